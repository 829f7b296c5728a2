//! By the contact, by the case, and by somebody who listened.

use super::*;
use crate::protocol::bluezone::{DailyKey, PublishedEntry, SLOTS_PER_DAY, pick};
use crate::protocol::gaen::TemporaryExposureKey;

#[test]
fn an_identifier_that_is_not_of_the_key() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        pair.evidence.contacts[1].id = pair.f1_key.identifier(at(620)).unwrap();
        let refused = EvidenceRefused::IdentifierNotOfKey { contact: 1 };
        assert_eq!(pair.confirm(), Err(refused));
    }
}

#[test]
fn a_key_that_is_not_of_the_report() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    let other = Pair::near(ProtocolKind::Bluezone);
    pair.evidence.contacts[0].key = KeyReference::of(&other.keys[0]);
    let refused = EvidenceRefused::KeyNotOfReport { contact: 0 };
    assert_eq!(pair.confirm(), Err(refused));
}

#[test]
fn a_contact_under_the_other_protocol() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    for contact in &mut pair.evidence.contacts {
        contact.protocol = ProtocolKind::Bluezone;
        contact.slot = slot_number(ProtocolKind::Bluezone, at(605));
    }
    let refused = EvidenceRefused::IdentifierNotOfKey { contact: 0 };
    assert_eq!(pair.confirm(), Err(refused));
}

#[test]
fn an_identifier_said_to_be_heard_at_another_time() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        let sent = pair.evidence.contacts[0].slot;
        for (heard, counts) in [(sent - 2, false), (sent - 1, true), (sent, true)] {
            pair.evidence.contacts[0].slot = heard;
            pair.evidence.openings[0].first = heard;
            assert_eq!(pair.confirm().is_ok(), counts, "{heard}");
        }
        let last = pair.evidence.contacts.len() - 1;
        let sent = pair.evidence.contacts[last].slot;
        let after = if protocol == ProtocolKind::Gaen { 3 } else { 1 };
        for heard in [sent + after, sent + after + 1] {
            pair.evidence.contacts[last].slot = heard;
            pair.evidence.openings[0].last = heard;
            let refused = EvidenceRefused::HeardOutsideSlot {
                contact: last,
                sent,
                heard,
            };
            let expected = if heard == sent + after {
                None
            } else {
                Some(refused)
            };
            assert_eq!(pair.confirm().err(), expected);
        }
    }
}

#[test]
fn a_day_outside_the_report() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    pair.evidence.contacts[0].slot -= 288;
    let refused = EvidenceRefused::OutsideReport {
        contact: 0,
        day: DAY.saturating_sub(2),
    };
    assert_eq!(pair.confirm(), Err(refused));
}

#[test]
fn more_minutes_than_a_slot_has() {
    for (protocol, most) in [(ProtocolKind::Bluezone, 15), (ProtocolKind::Gaen, 10)] {
        let mut pair = Pair::near(protocol);
        for (minutes, counts) in [(0, false), (1, true), (most, true), (most + 1, false)] {
            pair.evidence.contacts[0].minutes = minutes;
            assert_eq!(pair.confirm().is_ok(), counts, "{minutes}");
        }
        let minutes = most + 1;
        let refused = EvidenceRefused::Minutes {
            contact: 0,
            minutes,
        };
        assert_eq!(pair.confirm(), Err(refused));
    }
}

#[test]
fn an_opening_of_a_slot_without_a_contact() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        pair.evidence.openings[0].last += 1;
        let refused = EvidenceRefused::OwnKeyWrongSlot { opening: 0 };
        assert_eq!(pair.confirm(), Err(refused));
    }
}

/// He has a chain of his own, and says that it stands elsewhere in the day than it does.
#[test]
fn a_sub_key_of_another_slot() {
    let mut pair = Pair::near(ProtocolKind::Bluezone);
    let (first, last) = (
        pair.evidence.openings[0].first,
        pair.evidence.openings[0].last,
    );
    let moved = Opening::of(&pair.f1_key, first + 4, last + 4).unwrap();
    pair.evidence.openings[0].secret = moved.secret;
    assert_eq!(pair.confirm().unwrap().f0_heard_f1, Some(0));
}

#[test]
fn an_rpik_of_another_day() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    let slot = pair.evidence.openings[0].first;
    let other = draw(ProtocolKind::Gaen, 3, DAY.start());
    pair.evidence.openings[0].secret = Opening::of(&other, slot, slot).unwrap().secret;
    assert_eq!(pair.confirm().unwrap().f0_heard_f1, Some(0));
}

/// Whoever has heard F1's identifier knows twelve bytes of its sub-key and may choose the rest. As what opens a slot is
/// what stands before its sub-key, that gets him nowhere.
#[test]
fn a_sub_key_made_up_around_an_overheard_identifier() {
    let mut pair = Pair::near(ProtocolKind::Bluezone);
    let overheard = pair.f1_key.identifier(at(605)).unwrap();
    let mut made_up = [0x77; 32];
    let positions = [0, 4, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30];
    for (position, byte) in positions.into_iter().zip(overheard.as_bytes()) {
        made_up[position] = *byte;
    }
    assert_eq!(EphemeralId::from(pick(&made_up)), overheard);
    let only = pair.evidence.contacts[0];
    assert_ne!(only.slot % SLOTS_PER_DAY, 0);
    pair.evidence.contacts.truncate(1);
    pair.evidence.openings[0] = Opening {
        first: only.slot,
        last: only.slot,
        secret: Opened::Bluezone(Secret::new(made_up)),
    };
    let confirmed = pair.confirm().unwrap();
    assert_eq!(confirmed.f0_heard_f1, Some(0));
    // With F1's own, the same slot is confirmed.
    pair.evidence.openings[0] = Opening::of(&pair.f1_key, only.slot, only.slot).unwrap();
    assert_eq!(pair.confirm().unwrap().f0_heard_f1, Some(1));
}

/// He stood near F0, never heard by it, and computes from the published key what he would have heard.
#[test]
fn identifiers_computed_from_the_published_key() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    let liar = draw(ProtocolKind::Gaen, 4, DAY.start());
    let (first, last) = (
        pair.evidence.openings[0].first,
        pair.evidence.openings[0].last,
    );
    pair.evidence.openings[0] = Opening::of(&liar, first, last).unwrap();
    let confirmed = pair.confirm().unwrap();
    // His word stands as his word, and nothing confirms it.
    assert_eq!(confirmed.f1_heard_f0.slots, 4);
    assert_eq!(confirmed.mutual, Extent::default());
}

#[test]
fn evidence_for_another_request() {
    let pair = Pair::near(ProtocolKind::Gaen);
    let report = CaseReport {
        keys: &pair.keys,
        heard: Some(&pair.heard),
    };
    let other = EvidenceRequest::from_bytes([6; 16]);
    let refused = confirm(&pair.evidence, other, report, |_| None);
    assert_eq!(refused, Err(EvidenceRefused::AnotherRequest));
}

/// With a request of his own, and opened from a later slot, so that no byte of the opening is the same.
#[test]
fn evidence_copied_by_somebody_else() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        let first = pair.confirm().unwrap();
        let last = pair.evidence.openings[0].last;
        let contacts = pair.evidence.contacts.len();
        pair.evidence.contacts.drain(..contacts - 1);
        pair.evidence.openings[0] = Opening::of(&pair.f1_key, last, last).unwrap();
        pair.evidence.request = EvidenceRequest::from_bytes([6; 16]);
        let report = CaseReport {
            keys: &pair.keys,
            heard: Some(&pair.heard),
        };
        let known = |day: &DayFingerprint| {
            let opened = first.fingerprints.contains(day);
            opened.then_some(KnownDay::OtherEvidence)
        };
        let refused = confirm(&pair.evidence, pair.evidence.request, report, known);
        let expected = EvidenceRefused::OwnKeyUsedBefore { opening: 0 };
        assert_eq!(refused, Err(expected));
    }
}

/// Another case, who was near F0 and whose key is published since: who reads it can open what that case was called.
#[test]
fn another_cases_published_key_opened_as_ones_own() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        let published = pair.f1_key.release(DAY.end()).unwrap().unwrap();
        let opening = &mut pair.evidence.openings[0];
        // From what is published alone.
        opening.secret = match &published {
            PublishedKey::Bluezone(entry) => {
                let key = DailyKey::new(Secret::new(*entry.daily_key()));
                let before = opening.first % SLOTS_PER_DAY - 1;
                let sub_key = key.sub_keys().nth(before as usize).unwrap();
                Opened::Bluezone(sub_key.secret().duplicate())
            }
            PublishedKey::Gaen(key) => {
                let tek = TemporaryExposureKey::new(Secret::new(*key.key()));
                let rpik = tek.rolling_proximity_identifier_key().unwrap();
                Opened::Gaen(rpik.secret().duplicate())
            }
        };
        let days = DayFingerprint::of_published(&published);
        assert_eq!(days, pair.confirm().unwrap().fingerprints);
        let known = |day: &DayFingerprint| days.contains(day).then_some(KnownDay::Published);
        let refused = EvidenceRefused::OwnKeyPublished { opening: 0 };
        assert_eq!(pair.confirm_knowing(known), Err(refused));
    }
}

/// An entry over three days of Bluezone's chain is three own days.
#[test]
fn each_day_of_a_published_key_is_known() {
    let start = DAY.start().unix_seconds();
    let entry = |key: &DailyKey, days: u64| {
        let end = start + days * 86_400 - 1;
        let entry = PublishedEntry::new(*key.secret().expose(), start, end, 96);
        DayFingerprint::of_published(&entry.unwrap().into())
    };
    let first = DailyKey::new(Secret::new([7; 32]));
    let second = first.next_in_chain();
    let third = second.next_in_chain();
    let each = [&first, &second, &third].map(|key| entry(key, 1)[0]);
    assert_eq!(entry(&first, 3), each);
}

/// A slot's tolerance lets a chain be said to stand a slot earlier or later than it does. It is one key all the same.
#[test]
fn a_chain_shifted_by_a_slot_is_no_other_key() {
    let shifted = |by: i32| {
        let mut pair = Pair::near(ProtocolKind::Bluezone);
        let opening = &mut pair.evidence.openings[0];
        let begins = match by {
            -1 => opening.first + 1,
            _ => opening.first,
        };
        opening.secret = Opening::of(&pair.f1_key, begins, begins).unwrap().secret;
        opening.first = begins.checked_add_signed(by).unwrap();
        pair
    };
    let pairs = [-1, 0, 1].map(shifted);
    let confirmed = pairs.each_ref().map(|pair| pair.confirm().unwrap());
    for (place, first) in confirmed.iter().enumerate() {
        assert_ne!(first.f0_heard_f1, Some(0), "{place}");
        for later in &pairs {
            for what in [KnownDay::OtherEvidence, KnownDay::Published] {
                let noted = |day: &DayFingerprint| first.fingerprints.contains(day);
                let refused = later.confirm_knowing(|day| noted(day).then_some(what));
                let opening = 0;
                let expected = match what {
                    KnownDay::Published => EvidenceRefused::OwnKeyPublished { opening },
                    KnownDay::OtherEvidence => EvidenceRefused::OwnKeyUsedBefore { opening },
                };
                assert_eq!(refused, Err(expected));
            }
        }
    }
}

/// F0's clock is wrong by hours, so that a chain fits its digests in other slots than its own.
#[test]
fn a_chain_shifted_by_any_slots_of_a_day_is_no_other_key() {
    let key = draw(ProtocolKind::Bluezone, 2, DAY.start());
    let midnight = slot_number(ProtocolKind::Bluezone, DAY.start());
    let noted = Opening::of(&key, midnight, midnight).unwrap().fingerprint();
    let noted = noted.unwrap();
    let other = draw(ProtocolKind::Bluezone, 3, DAY.start());
    let other = Opening::of(&other, midnight, midnight).unwrap();
    assert!(!other.fingerprints().contains(&noted));
    for own in 1..SLOTS_PER_DAY {
        for said in [1, own, SLOTS_PER_DAY - 1] {
            let mut opening = Opening::of(&key, midnight + own, midnight + own).unwrap();
            (opening.first, opening.last) = (midnight + said, midnight + said);
            assert!(opening.fingerprints().contains(&noted), "{own} as {said}");
        }
    }
}

/// F0 lies: it puts its own identifiers among the digests, and comes as its own contact.
#[test]
fn the_case_as_its_own_contact() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        let f0_key = draw(protocol, 1, DAY.start());
        pair.heard = digests(&heard_of(&f0_key, TOGETHER), &pair.keys);
        let opening = &pair.evidence.openings[0];
        pair.evidence.openings[0] = Opening::of(&f0_key, opening.first, opening.last).unwrap();
        let refused = EvidenceRefused::OwnKeyOfReport { opening: 0 };
        assert_eq!(pair.confirm(), Err(refused));
    }
}

/// Somebody recorded F1 and played it to F0 an hour later.
#[test]
fn an_identifier_replayed_to_the_case() {
    for protocol in BOTH {
        let mut pair = Pair::near(protocol);
        let mut replayed = heard_of(&pair.f1_key, TOGETHER);
        for sighting in &mut replayed {
            sighting.first = sighting.first.saturating_add(Duration::from_secs(3_600));
            sighting.last = sighting.last.saturating_add(Duration::from_secs(3_600));
        }
        pair.heard = digests(&replayed, &pair.keys);
        assert_eq!(pair.confirm().unwrap().f0_heard_f1, Some(0));
    }
}

#[test]
fn digests_of_another_report() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    let other = Pair::near(ProtocolKind::Bluezone);
    pair.heard = digests(&heard_of(&pair.f1_key, TOGETHER), &other.keys);
    let refused = EvidenceRefused::DigestsOfAnotherReport;
    assert_eq!(pair.confirm(), Err(refused));
}

#[test]
fn more_keys_than_a_report_has() {
    let mut pair = Pair::near(ProtocolKind::Gaen);
    pair.keys = vec![pair.keys[0].clone(); 65];
    let refused = EvidenceRefused::TooManyKeys { got: 65 };
    assert_eq!(pair.confirm(), Err(refused));
}
