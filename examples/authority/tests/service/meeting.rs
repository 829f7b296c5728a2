//! Two devices that met yesterday: what the case reports, and what the contact can prove, through the library alone.

use std::ops::Range;
use std::time::Duration;

use truyvet::engine::Config;
use truyvet::entropy::SeededEntropy;
use truyvet::exposure::{Exposure, MatchConfig, Matcher};
use truyvet::log::{EncounterLog, LogOptions, LogReader, MemoryKey, MemoryStorage};
use truyvet::protocol::{OwnKey, PublishedKey};
use truyvet::report::consent::{ConsentRequest, Scope};
use truyvet::report::diagnosis::{DiagnosisReport, PreparedReport};
use truyvet::report::evidence::{ContactEvidence, EvidenceConsent, EvidenceRequest};
use truyvet::sighting::{Rssi, RssiSummary, Sighting, Source};
use truyvet::time::{Moment, Timestamp, UtcDay};
use truyvet::{Engine, Protocol, Secret};

/// From 10:05 to 10:35.
const TOGETHER: Range<u64> = 605..635;

/// The case, and the contact's log.
pub(crate) struct Meeting {
    pub(crate) keys: Vec<PublishedKey>,
    /// With what the case heard.
    case_log: LogReader,
    now: Timestamp,
    day: UtcDay,
    log: LogReader,
    exposures: Vec<Exposure>,
}

impl Meeting {
    /// Of the devices of these two seeds, on the day before `now`.
    pub(crate) fn of(protocol: Protocol, case: u64, contact: u64, now: Timestamp) -> Self {
        let day = now.utc_day().saturating_sub(1);
        let case = device(protocol.clone(), case, day);
        let contact = device(protocol, contact, day);
        let contact_heard = heard_of(&case.own_keys()[0], day);
        let case_heard = heard_of(&contact.own_keys()[0], day);
        let mut case_log = log(&case_heard, case.own_keys());
        let keys = case_log.release_own_keys(now, [day]).unwrap();
        let matcher = Matcher::new(MatchConfig::default(), contact_heard.clone());
        let exposures = matcher.exposures(&keys);
        assert_eq!((keys.len(), exposures.len()), (1, 1));
        Self {
            keys,
            case_log: case_log.reader().unwrap(),
            now,
            day,
            log: log(&contact_heard, contact.own_keys()).reader().unwrap(),
            exposures,
        }
    }

    /// What the case reports, with what it heard.
    pub(crate) fn report(&self) -> PreparedReport {
        let prepared = self.prepare(Scope::WithHeardDigests);
        let entropy = &mut SeededEntropy::new(9);
        prepared.with_heard_from(&self.case_log, entropy).unwrap()
    }

    pub(crate) fn report_of_keys_alone(&self) -> PreparedReport {
        self.prepare(Scope::KeysOnly)
    }

    fn prepare(&self, scope: Scope) -> PreparedReport {
        let request = ConsentRequest::new("CDC Hải Dương", self.day, self.day).scope(scope);
        let consent = request.granted(self.now, 14).unwrap();
        DiagnosisReport::prepare(consent, self.keys.clone()).unwrap()
    }

    /// What the contact answers.
    pub(crate) fn evidence(&self, request: EvidenceRequest) -> ContactEvidence {
        let consent = EvidenceConsent::new("CDC Bình Định", request, [self.day]).unwrap();
        let (keys, exposures) = (&self.keys, &self.exposures);
        ContactEvidence::build(consent, self.now, keys, exposures, &self.log).unwrap()
    }
}

/// A device with a key for the whole of `day`.
fn device(protocol: Protocol, seed: u64, day: UtcDay) -> Engine {
    let entropy = Box::new(SeededEntropy::new(seed));
    let mut engine = Engine::new(Config::new(protocol), Vec::new(), entropy);
    engine.start(Moment {
        wall: day.start(),
        monotonic: Duration::ZERO,
    });
    engine
}

/// A sighting of `key` in each half of a minute.
fn heard_of(key: &OwnKey, day: UtcDay) -> Vec<Sighting> {
    let rssi = Rssi::from_dbm(-65).unwrap();
    let halves = (TOGETHER.start * 2..TOGETHER.end * 2).map(|half| half * 30);
    let sighting = |second| {
        let first = day.start().saturating_add(Duration::from_secs(second));
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
    };
    halves.map(sighting).collect()
}

fn log(sightings: &[Sighting], own_keys: &[OwnKey]) -> EncounterLog {
    let key = MemoryKey::new(Secret::new([3; 32]));
    let storage = MemoryStorage::default();
    let mut log = EncounterLog::open_on(storage, key, LogOptions::default()).unwrap();
    log.append(sightings).unwrap();
    log.save_own_keys(own_keys).unwrap();
    log
}
