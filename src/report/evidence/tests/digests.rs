//! What a case heard.

use super::*;
use crate::codec;
use crate::entropy::{Entropy, EntropyError};
use crate::report::consent::{ConsentRequest, Scope};
use crate::report::diagnosis::{Contacts, DiagnosisReport, ReportError};

/// Frames of one identifier of `seed`, heard in one slot.
fn stranger(seed: u32, frames: u16) -> Sighting {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&seed.to_le_bytes());
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: id.into(),
        metadata: None,
        first: at(600),
        last: at(600),
        frames,
        rssi: None,
        source: Source::ServiceData,
    }
}

#[test]
fn how_much_was_heard_is_hidden_in_a_class() {
    let count = |heard: u32| {
        let heard: Vec<_> = (0..heard).map(|seed| stranger(seed, 1)).collect();
        digests(&heard, &[]).digest_count()
    };
    assert_eq!([count(0), count(1), count(896)], [896; 3]);
    assert_eq!([count(897), count(3_584)], [3_584; 2]);
    assert_eq!([count(3_585), count(20_000)], [14_336; 2]);
}

#[test]
fn a_flood_pushes_out_nobody_of_whom_more_frames_were_heard() {
    let mut heard: Vec<_> = (0..20_000).map(|seed| stranger(seed, 2)).collect();
    let friend = stranger(20_000, 600);
    heard.push(friend.clone());
    let slot = slot_number(ProtocolKind::Gaen, friend.first);
    assert!(digests(&heard, &[]).hold(ProtocolKind::Gaen, &friend.id, slot));
}

#[test]
fn only_the_days_consented_to_are_in_digests() {
    let near = heard_of(&draw(ProtocolKind::Gaen, 2, DAY.start()), 600..601);
    let days = BTreeSet::from([DAY.saturating_sub(1)]);
    let log = log_of(&near, &[]);
    let made = |days: &BTreeSet<UtcDay>| {
        HeardDigests::of_log(&log, days.clone(), &[], &mut SeededEntropy::new(9)).unwrap()
    };
    let slot = slot_number(ProtocolKind::Gaen, near[0].first);
    let held = |digests: HeardDigests| digests.hold(ProtocolKind::Gaen, &near[0].id, slot);
    assert!(!held(made(&days)));
    assert!(held(made(&BTreeSet::from([DAY]))));
}

#[test]
fn day_taken_out_is_in_no_digest() {
    let near = heard_of(&draw(ProtocolKind::Gaen, 2, DAY.start()), 600..601);
    let mut before = near.clone();
    for sighting in &mut before {
        sighting.id = [8; 16].into();
        sighting.first = sighting.first.saturating_sub(Duration::from_secs(86_400));
        sighting.last = sighting.last.saturating_sub(Duration::from_secs(86_400));
    }
    let log = log_of(&[&before[..], &near].concat(), &[]);
    let held = |taken_out: Option<UtcDay>| {
        let mut key = draw(ProtocolKind::Gaen, 1, DAY.start());
        let keys = vec![key.release(DAY.end()).unwrap().unwrap()];
        let request = ConsentRequest::new("CDC", DAY.saturating_sub(1), DAY);
        let request = request.scope(Scope::WithHeardDigests);
        let request = taken_out.into_iter().fold(request, ConsentRequest::without);
        let consent = request.granted(at(1_400), 14).unwrap();
        let prepared = DiagnosisReport::prepare(consent, keys.clone()).unwrap();
        let entropy = &mut SeededEntropy::new(9);
        let prepared = prepared.with_heard_from(&log, entropy).unwrap();
        let Contacts::HeardDigests(bytes) = prepared.contacts() else {
            panic!("digests");
        };
        let digests = HeardDigests::from_bytes(bytes).unwrap();
        assert!(digests.are_for(&keys));
        [&before[0], &near[0]].map(|sighting| {
            let slot = slot_number(ProtocolKind::Gaen, sighting.first);
            digests.hold(ProtocolKind::Gaen, &sighting.id, slot)
        })
    };
    assert_eq!(held(None), [true, true]);
    assert_eq!(held(Some(DAY.saturating_sub(1))), [false, true]);
}

#[test]
fn digests_that_were_not_agreed_to() {
    for scope in [Scope::KeysOnly, Scope::WithSightings] {
        let mut key = draw(ProtocolKind::Gaen, 1, DAY.start());
        let keys = vec![key.release(DAY.end()).unwrap().unwrap()];
        let request = ConsentRequest::new("CDC", DAY, DAY).scope(scope);
        let consent = request.granted(at(1_400), 14).unwrap();
        let prepared = DiagnosisReport::prepare(consent, keys).unwrap();
        let added = prepared.with_heard_from(&log_of(&[], &[]), &mut SeededEntropy::new(9));
        let out_of_scope = HeardError::Report(ReportError::OutOfScope).to_string();
        assert_eq!(added.unwrap_err().to_string(), out_of_scope);
    }
}

/// A stay that ends in the next day's first slot belongs to both days, each by its own consent.
#[test]
fn a_sighting_over_midnight_is_of_the_days_consented_to() {
    let mut sighting = stranger(1, 1);
    sighting.first = DAY.end().saturating_sub(Duration::from_secs(5));
    sighting.last = DAY.end().saturating_add(Duration::from_secs(5));
    let made = digests(&[sighting.clone()], &[]);
    let slot = slot_number(ProtocolKind::Gaen, sighting.first);
    assert!(made.hold(ProtocolKind::Gaen, &sighting.id, slot));
    assert!(!made.hold(ProtocolKind::Gaen, &sighting.id, slot + 1));
}

#[test]
fn two_reports_have_no_digest_in_common() {
    let heard = heard_of(&draw(ProtocolKind::Gaen, 2, DAY.start()), 600..660);
    let bytes = |seed| {
        let entropy = &mut SeededEntropy::new(seed);
        let made = HeardDigests::of_sightings(&heard, [DAY], &[], entropy).unwrap();
        let bytes = codec::encode(&made).unwrap();
        let digests: BTreeSet<Vec<u8>> = bytes[40..].chunks(16).map(<[u8]>::to_vec).collect();
        assert_eq!(digests.len(), 896);
        digests
    };
    assert!(bytes(1).is_disjoint(&bytes(2)));
}

#[test]
fn digests_are_for_their_keys_in_any_order() {
    let key = |seed| {
        let mut key = draw(ProtocolKind::Gaen, seed, DAY.start());
        key.release(DAY.end()).unwrap().unwrap()
    };
    let made = digests(&[], &[key(1), key(2)]);
    assert!(made.are_for(&[key(2), key(1)]));
    for keys in [vec![], vec![key(1)], vec![key(1), key(3)]] {
        assert!(!made.are_for(&keys));
    }
}

#[test]
fn reported_digests_are_held_to_their_form() {
    let made = digests(&[stranger(1, 1)], &[]);
    let bytes = made.to_bytes().unwrap();
    assert_eq!(bytes.len(), 1 + 16 + 16 + 8 + 896 * 16);
    assert_eq!(HeardDigests::from_bytes(&bytes).unwrap(), made);

    let refused = |bytes: &[u8]| {
        let error = HeardDigests::from_bytes(bytes).unwrap_err();
        matches!(error, HeardError::Record)
    };
    let mut twice = bytes.clone();
    twice.copy_within(41..57, 57);
    assert!(refused(&twice));
    let mut fewer = bytes[..bytes.len() - 16].to_vec();
    fewer[33..41].copy_from_slice(&895_u64.to_le_bytes());
    assert!(refused(&fewer));
    assert!(refused(&bytes[..bytes.len() - 1]) && refused(&[]));
    let error = HeardDigests::from_bytes(&[&[2], &bytes[1..]].concat()).unwrap_err();
    assert!(matches!(error, HeardError::Version { found: 2 }));
    let text = format!("{made:?}");
    assert_eq!(text, "HeardDigests { digests: 896, .. }");
}

#[test]
fn the_most_digests_fit_into_a_report() {
    let heard: Vec<_> = (0..20_000).map(|seed| stranger(seed, 1)).collect();
    let bytes = digests(&heard, &[]).to_bytes().unwrap();
    assert!(bytes.len() <= crate::report::diagnosis::HEARD_BYTES_MAX);
}

/// SHA-256 by Python's hashlib.
#[test]
fn digests_are_as_documented() {
    let id = EphemeralId::from([0xAB; 12]);
    let made = HeardDigests::of_sightings(
        &[Sighting {
            protocol: ProtocolKind::Bluezone,
            id,
            ..stranger(1, 1)
        }],
        [DAY],
        &[],
        &mut Counting(0),
    );
    let bytes = codec::encode(&made.unwrap()).unwrap();
    let salt: [u8; 16] = std::array::from_fn(|place| place as u8);
    assert_eq!(bytes[..16], salt);
    let expected = data_encoding::HEXLOWER
        .decode(b"5d2aba27b12abcb0bfe5a4031f1f7f03")
        .unwrap();
    assert!(bytes[40..].chunks(16).any(|digest| digest == expected));
    let report = data_encoding::HEXLOWER
        .decode(b"71b95f356ac282a3c8aa02db7143f9b8")
        .unwrap();
    assert_eq!(bytes[16..32], report);
}

/// 0, 1, 2, …
struct Counting(u32);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for (byte, place) in out.iter_mut().zip(0_u8..) {
            *byte = place;
        }
        // The salt is plain; what follows differs.
        for (byte, other) in out.iter_mut().zip(self.0.to_le_bytes()) {
            *byte ^= other;
        }
        self.0 += 1;
        Ok(())
    }
}

/// A generator that repeats itself is no reason to wait for ever.
#[test]
fn a_random_source_that_is_stuck() {
    struct Stuck;
    impl Entropy for Stuck {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
            out.fill(1);
            Ok(())
        }
    }
    let made = HeardDigests::of_sightings(&[], [DAY], &[], &mut Stuck);
    assert!(matches!(made, Err(HeardError::Entropy(_))));
}
