//! By the contact, by the case, and by somebody who listened.

use super::*;
use crate::protocol::bluezone::{SLOTS_PER_DAY, pick};

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
    let refused = confirm(&pair.evidence, other, report, |_| false);
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
        let used = |fingerprint: &DayFingerprint| first.fingerprints.contains(fingerprint);
        let refused = confirm(&pair.evidence, pair.evidence.request, report, used);
        let expected = EvidenceRefused::OwnKeyUsedBefore { opening: 0 };
        assert_eq!(refused, Err(expected));
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
