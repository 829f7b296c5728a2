//! Evidence that holds, and lies of every party.

use std::collections::BTreeSet;
use std::time::Duration;

use super::opening::{Opened, Opening};
use super::*;
use crate::entropy::SeededEntropy;
use crate::exposure::{MatchConfig, Matcher};
use crate::log::{EncounterLog, LogOptions, LogReader, MemoryKey, MemoryStorage};
use crate::protocol::{EphemeralId, OwnKey};
use crate::secret::Secret;
use crate::sighting::{Rssi, RssiSummary, Sighting, Source};

mod digests;
mod lies;
mod wire;

const DAY: UtcDay = UtcDay::from_unix_days(18_482);
const REQUEST: EvidenceRequest = EvidenceRequest::from_bytes([5; 16]);
const BOTH: [ProtocolKind; 2] = [ProtocolKind::Bluezone, ProtocolKind::Gaen];

fn at(minute: u64) -> Timestamp {
    DAY.start().saturating_add(Duration::from_secs(minute * 60))
}

fn draw(protocol: ProtocolKind, seed: u64, from: Timestamp) -> OwnKey {
    OwnKey::draw(protocol, &mut SeededEntropy::new(seed), from).unwrap()
}

/// What is heard of `key` from minute to minute of the day: a sighting each half of one.
fn heard_of(key: &OwnKey, minutes: std::ops::Range<u64>) -> Vec<Sighting> {
    let rssi = Rssi::from_dbm(-65).unwrap();
    let halves = (minutes.start * 2..minutes.end * 2).map(|half| half * 30);
    halves
        .map(|second| {
            let first = DAY.start().saturating_add(Duration::from_secs(second));
            Sighting {
                protocol: key.protocol(),
                id: key.identifier(first).unwrap(),
                metadata: None,
                first,
                last: first.saturating_add(Duration::from_secs(20)),
                frames: 20,
                rssi: Some(RssiSummary {
                    min: rssi,
                    mean: rssi,
                    max: rssi,
                }),
                source: Source::ManufacturerData,
            }
        })
        .collect()
}

fn log_of(sightings: &[Sighting], own_keys: &[OwnKey]) -> LogReader {
    let key = MemoryKey::new(Secret::new([3; 32]));
    let mut log =
        EncounterLog::open_on(MemoryStorage::default(), key, LogOptions::default()).unwrap();
    log.append(sightings).unwrap();
    log.save_own_keys(own_keys).unwrap();
    let reader = log.reader().unwrap();
    log.close().unwrap();
    reader
}

fn digests(heard: &[Sighting], keys: &[PublishedKey]) -> HeardDigests {
    HeardDigests::of_sightings(heard, [DAY], keys, &mut SeededEntropy::new(9)).unwrap()
}

fn consent() -> EvidenceConsent {
    EvidenceConsent::new("CDC Binh Dinh", REQUEST, [DAY]).unwrap()
}

/// F0 and F1, who were near each other from 10:05 to 10:35.
struct Pair {
    keys: Vec<PublishedKey>,
    heard: HeardDigests,
    evidence: ContactEvidence,
    f1_key: OwnKey,
}

const TOGETHER: std::ops::Range<u64> = 605..635;

impl Pair {
    fn near(protocol: ProtocolKind) -> Self {
        let mut f0_key = draw(protocol, 1, DAY.start());
        let f1_key = draw(protocol, 2, DAY.start());
        let f1_heard = heard_of(&f0_key, TOGETHER);
        let keys = vec![f0_key.release(DAY.end()).unwrap().unwrap()];
        let exposures = Matcher::new(MatchConfig::default(), f1_heard.clone()).exposures(&keys);
        let log = log_of(&f1_heard, std::slice::from_ref(&f1_key));
        let built = ContactEvidence::build(consent(), DAY.end(), &keys, &exposures, &log);
        Self {
            heard: digests(&heard_of(&f1_key, TOGETHER), &keys),
            evidence: built.unwrap(),
            keys,
            f1_key,
        }
    }

    fn confirm(&self) -> Result<Confirmation, EvidenceRefused> {
        self.confirm_with(Some(&self.heard))
    }

    fn confirm_knowing(
        &self,
        known: impl Fn(&DayFingerprint) -> Option<KnownDay>,
    ) -> Result<Confirmation, EvidenceRefused> {
        let report = CaseReport {
            keys: &self.keys,
            heard: Some(&self.heard),
        };
        confirm(&self.evidence, REQUEST, report, known)
    }

    fn confirm_with(&self, heard: Option<&HeardDigests>) -> Result<Confirmation, EvidenceRefused> {
        let keys = &self.keys;
        confirm(&self.evidence, REQUEST, CaseReport { keys, heard }, |_| {
            None
        })
    }
}

#[test]
fn who_heard_each_other_is_mutual() {
    for protocol in BOTH {
        let pair = Pair::near(protocol);
        let confirmed = pair.confirm().unwrap();
        // 10:00, 10:15, 10:30; or 10:00 to 10:30 by tens.
        let slots = if protocol == ProtocolKind::Gaen { 4 } else { 3 };
        assert_eq!(confirmed.f1_heard_f0, Extent { slots, minutes: 30 });
        assert_eq!(confirmed.f0_heard_f1, Some(slots));
        assert_eq!(confirmed.mutual, confirmed.f1_heard_f0);
        assert_eq!(confirmed.fingerprints.len(), 1);
        let bytes = pair.evidence.to_bytes().unwrap();
        let read = ContactEvidence::from_bytes(&bytes).unwrap();
        let report = CaseReport {
            keys: &pair.keys,
            heard: Some(&pair.heard),
        };
        assert_eq!(confirm(&read, REQUEST, report, |_| None), Ok(confirmed));
    }
}

#[test]
fn clocks_a_minute_apart_are_mutual_all_the_same() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        let mut late = heard_of(&pair.f1_key, TOGETHER);
        for sighting in &mut late {
            sighting.first = sighting.first.saturating_add(Duration::from_secs(60));
            sighting.last = sighting.last.saturating_add(Duration::from_secs(60));
        }
        pair.heard = digests(&late, &pair.keys);
        let confirmed = pair.confirm().unwrap();
        assert_eq!(confirmed.mutual, confirmed.f1_heard_f0);
    }
}

/// GAEN's identifiers last for up to 20 minutes: what F1 is called by in a slot may be of the slot before the last.
#[test]
fn an_identifier_that_outlasts_its_interval_is_mutual_all_the_same() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    let mut heard = heard_of(&pair.f1_key, TOGETHER);
    for sighting in &mut heard {
        // Drawn at 9:49, and kept to 10:09, and so on.
        let minute = sighting.first.since(DAY.start()).as_secs() / 60;
        let drawn = at((minute - 9) / 20 * 20 + 9);
        sighting.id = pair.f1_key.identifier(drawn).unwrap();
    }
    pair.heard = digests(&heard, &pair.keys);
    let confirmed = pair.confirm().unwrap();
    assert_eq!(confirmed.f0_heard_f1, Some(4));
    assert_eq!(confirmed.mutual, confirmed.f1_heard_f0);
}

#[test]
fn a_case_that_heard_nothing_is_one_sided() {
    for protocol in BOTH {
        let pair = Pair::near(protocol);
        let nobody = digests(&[], &pair.keys);
        let confirmed = pair.confirm_with(Some(&nobody)).unwrap();
        assert_eq!(confirmed.f0_heard_f1, Some(0));
        assert_eq!(confirmed.mutual, Extent::default());
        assert_eq!(confirmed.f1_heard_f0.minutes, 30);
        assert!(confirmed.to_string().contains("holds nothing"));
    }
}

#[test]
fn a_case_that_gave_no_digests_is_not_known() {
    let pair = Pair::near(ProtocolKind::Gaen);
    let confirmed = pair.confirm_with(None).unwrap();
    assert_eq!(confirmed.f0_heard_f1, None);
    assert_eq!(confirmed.mutual, Extent::default());
    assert!(confirmed.to_string().contains("not known"));
}

#[test]
fn a_device_that_only_listens_has_nothing_to_open() {
    let mut f0_key = draw(ProtocolKind::Gaen, 1, DAY.start());
    let heard = heard_of(&f0_key, TOGETHER);
    let keys = vec![f0_key.release(DAY.end()).unwrap().unwrap()];
    let exposures = Matcher::new(MatchConfig::default(), heard.clone()).exposures(&keys);
    let log = log_of(&heard, &[]);
    let evidence = ContactEvidence::build(consent(), DAY.end(), &keys, &exposures, &log).unwrap();
    assert!(evidence.disclosures().is_empty());
    let heard = digests(&[], &keys);
    let report = CaseReport {
        keys: &keys,
        heard: Some(&heard),
    };
    let confirmed = confirm(&evidence, REQUEST, report, |_| None).unwrap();
    assert_eq!(confirmed.f0_heard_f1, None);
}

#[test]
fn a_day_not_consented_to_is_not_in_the_evidence() {
    let mut f0_key = draw(ProtocolKind::Gaen, 1, DAY.start());
    let heard = heard_of(&f0_key, TOGETHER);
    let own = [draw(ProtocolKind::Gaen, 2, DAY.start())];
    let keys = vec![f0_key.release(DAY.end()).unwrap().unwrap()];
    let exposures = Matcher::new(MatchConfig::default(), heard.clone()).exposures(&keys);
    let other = EvidenceConsent::new("CDC", REQUEST, [DAY.saturating_sub(1)]).unwrap();
    let log = log_of(&heard, &own);
    let built = ContactEvidence::build(other, DAY.end(), &keys, &exposures, &log);
    assert!(matches!(built, Err(EvidenceError::NoContact)));
    let built = ContactEvidence::build(consent(), DAY.end(), &[], &exposures, &log);
    assert!(matches!(
        built,
        Err(EvidenceError::KeysDiffer { keys: 0, .. })
    ));
}

#[test]
fn consent_without_a_name_or_a_day() {
    let made = |name: &str| EvidenceConsent::new(name, REQUEST, [DAY]);
    assert!(matches!(made(""), Err(EvidenceError::AskedBy { got: 0 })));
    assert!(made(&"x".repeat(100)).is_ok());
    assert!(made(&"x".repeat(101)).is_err());
    for name in [" ", "\n\t", "CDC\u{202E}", "C\u{200B}DC", "\u{1B}[2JCDC"] {
        assert!(matches!(made(name), Err(EvidenceError::AskedByNotPlain)));
    }
    let none = EvidenceConsent::new("CDC", REQUEST, []);
    assert!(matches!(none, Err(EvidenceError::NoDay)));
}

#[test]
fn a_key_that_is_still_advertised_is_not_opened() {
    for protocol in BOTH {
        let mut f0_key = draw(protocol, 1, DAY.start());
        let heard = heard_of(&f0_key, TOGETHER);
        let keys = vec![f0_key.release(at(700)).unwrap().unwrap()];
        let exposures = Matcher::new(MatchConfig::default(), heard.clone()).exposures(&keys);
        let mut own = draw(protocol, 2, DAY.start());
        let build = |own: &OwnKey| {
            let log = log_of(&heard, std::slice::from_ref(own));
            ContactEvidence::build(consent(), at(700), &keys, &exposures, &log)
        };
        let refused = build(&own);
        assert!(matches!(refused, Err(EvidenceError::KeyInUse { day: DAY })));
        own.release(at(700)).unwrap().unwrap();
        assert!(build(&own).is_ok());
    }
}

#[test]
fn what_an_opening_gives_away_is_told() {
    let [bluezone] = Pair::near(ProtocolKind::Bluezone).evidence.disclosures()[..] else {
        panic!("one opening");
    };
    assert_eq!((bluezone.from, bluezone.until), (at(585), DAY.end()));
    let [gaen] = Pair::near(ProtocolKind::Gaen).evidence.disclosures()[..] else {
        panic!("one opening");
    };
    assert_eq!((gaen.from, gaen.until), (DAY.start(), DAY.end()));
}

#[test]
fn strengths_have_swisscovids_classes() {
    let of = |db| Strength::of(Some(crate::sighting::Attenuation::from_db(db)));
    assert_eq!([of(54), of(55)], [Strength::Near, Strength::Middle]);
    assert_eq!([of(62), of(63)], [Strength::Middle, Strength::Far]);
    let pair = Pair::near(ProtocolKind::Bluezone);
    // -15 dBm less -65.
    assert_eq!(pair.evidence.contacts()[0].strength, Strength::Near);
}

/// Every slot of a day, in the first of which D(n) itself has to be opened.
#[test]
fn openings_give_the_identifiers_that_were_advertised() {
    for protocol in BOTH {
        let key = draw(protocol, 2, DAY.start());
        let slots = opening::slots_per_day(protocol);
        let midnight = slot_number(protocol, DAY.start());
        for first in [0, 1, 2, slots - 1] {
            let opening = Opening::of(&key, midnight + first, midnight + slots - 1).unwrap();
            let identifiers = opening.identifiers();
            let kept = kept_slots(protocol).min(first);
            assert_eq!(identifiers.len() as u32, slots - first + kept);
            for (slot, id) in identifiers {
                assert_eq!(key.identifier(slot_start(protocol, slot)).unwrap(), id);
            }
            let whole = Opening::of(&key, midnight, midnight).unwrap();
            assert_eq!(opening.fingerprint(), whole.fingerprint());
        }
    }
}
