//! Evidence as bytes.

use proptest::prelude::*;

use super::*;
use crate::report::sealed::{AuthorityPrivateKey, MessageKind, SizeClass, open, seal};

const GOLDEN: &str = include_str!("golden.hex");

/// One contact and one opening of each protocol, of chosen bytes.
fn golden() -> ContactEvidence {
    let contact = |protocol, slot, id| Contact {
        protocol,
        key: KeyReference([0x11; 16]),
        slot,
        id,
        minutes: 9,
        strength: Strength::Near,
    };
    let bluezone = DAY.unix_days() * 96 + 40;
    let gaen = DAY.unix_days() * 144 + 60;
    ContactEvidence {
        request: REQUEST,
        asked_by: "CDC".to_owned(),
        contacts: vec![
            contact(ProtocolKind::Bluezone, bluezone, [0x22; 12].into()),
            contact(ProtocolKind::Gaen, gaen, [0x33; 16].into()),
        ],
        openings: vec![
            Opening {
                first: bluezone,
                last: bluezone,
                secret: Opened::Bluezone(Secret::new([0x44; 32])),
            },
            Opening {
                first: gaen,
                last: gaen + 1,
                secret: Opened::Gaen(Secret::new([0x55; 16])),
            },
        ],
    }
}

fn bytes_of(evidence: &ContactEvidence) -> Vec<u8> {
    evidence.to_bytes().unwrap().to_vec()
}

#[test]
fn bytes_are_pinned() {
    let bytes = bytes_of(&golden());
    let text = data_encoding::HEXLOWER.encode(&bytes);
    assert_eq!(text, GOLDEN.split_whitespace().collect::<String>());
    let read = ContactEvidence::from_bytes(&bytes).unwrap();
    assert_eq!(bytes_of(&read), bytes);
    assert_eq!(read.asked_by(), "CDC");
    assert_eq!(read.request(), REQUEST);
}

#[test]
fn cut_or_followed_by_something() {
    let bytes = bytes_of(&golden());
    for end in 0..bytes.len() {
        assert!(ContactEvidence::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = ContactEvidence::from_bytes(&longer).unwrap_err();
    assert_eq!(error, MalformedEvidence::Record);
}

#[test]
fn another_version() {
    let mut bytes = bytes_of(&golden());
    bytes[0] = 2;
    let error = ContactEvidence::from_bytes(&bytes).unwrap_err();
    assert_eq!(error, MalformedEvidence::Version { found: 2 });
}

fn refusal(change: impl FnOnce(&mut ContactEvidence)) -> MalformedEvidence {
    let mut evidence = golden();
    change(&mut evidence);
    ContactEvidence::from_bytes(&bytes_of(&evidence)).unwrap_err()
}

#[test]
fn contacts_out_of_order_or_twice() {
    assert_eq!(
        refusal(|it| it.contacts.reverse()),
        MalformedEvidence::Order
    );
    assert_eq!(
        refusal(|it| it.contacts.push(it.contacts[1])),
        MalformedEvidence::Order
    );
}

#[test]
fn two_openings_of_one_slot() {
    let twice = |it: &mut ContactEvidence| {
        let first = it.openings[1].last;
        it.openings.push(Opening {
            first,
            last: first,
            secret: Opened::Gaen(Secret::new([0; 16])),
        });
    };
    assert_eq!(refusal(twice), MalformedEvidence::Order);
}

#[test]
fn an_opening_over_midnight_or_backwards() {
    let over = |it: &mut ContactEvidence| it.openings[1].last += 144;
    assert!(matches!(
        refusal(over),
        MalformedEvidence::OpeningSpan { .. }
    ));
    let backwards = |it: &mut ContactEvidence| it.openings[0].first += 1;
    assert!(matches!(
        refusal(backwards),
        MalformedEvidence::OpeningSpan { .. }
    ));
}

#[test]
fn an_opening_of_the_other_protocols_length() {
    let mut bytes = bytes_of(&golden());
    // The first opening's protocol, which stands behind the number of openings.
    let place = bytes.len() - (4 + 4 + 4 + 8 + 16) - (4 + 4 + 4 + 8 + 32);
    bytes[place] = 1;
    let error = ContactEvidence::from_bytes(&bytes).unwrap_err();
    let expected = MalformedEvidence::SecretLength {
        expected: 16,
        got: 32,
    };
    assert_eq!(error, expected);
}

#[test]
fn too_much_of_anything() {
    let contacts = |it: &mut ContactEvidence| it.contacts = vec![it.contacts[0]; 2_049];
    assert_eq!(
        refusal(contacts),
        MalformedEvidence::TooManyContacts { got: 2_049 }
    );
    let openings = |it: &mut ContactEvidence| {
        let opening = |slot| Opening {
            first: slot,
            last: slot,
            secret: Opened::Gaen(Secret::new([0; 16])),
        };
        it.openings = (0..65).map(opening).collect();
    };
    assert_eq!(
        refusal(openings),
        MalformedEvidence::TooManyOpenings { got: 65 }
    );
    let name = |it: &mut ContactEvidence| it.asked_by = "x".repeat(101);
    assert_eq!(refusal(name), MalformedEvidence::AskedBy { got: 101 });
}

#[test]
fn a_name_that_does_not_show_as_it_is() {
    for name in [" ", "CDC\u{202E}", "\u{1B}[2J"] {
        let name = |it: &mut ContactEvidence| it.asked_by = name.to_owned();
        assert_eq!(refusal(name), MalformedEvidence::AskedByNotPlain);
    }
}

/// The most that evidence can be is what an envelope holds.
#[test]
fn the_longest_evidence_fits_an_envelope() {
    let mut evidence = golden();
    let first = evidence.contacts[1];
    let slots = first.slot..first.slot + CONTACTS_MAX as u32;
    evidence.contacts = slots.map(|slot| Contact { slot, ..first }).collect();
    let opening = |day: u32| Opening {
        first: day * 96 + 1,
        last: day * 96 + 1,
        secret: Opened::Bluezone(Secret::new([0; 32])),
    };
    evidence.openings = (0..64).map(opening).collect();
    evidence.asked_by = "x".repeat(ASKED_BY_MAX);
    let bytes = evidence.to_bytes().unwrap();
    assert!(bytes.len() <= bytes.capacity());
    assert!(SizeClass::for_payload(bytes.len()).is_some());
    let read = ContactEvidence::from_bytes(&bytes).unwrap();
    assert_eq!(read.contacts().len(), CONTACTS_MAX);
}

#[test]
fn sealed_evidence_is_opened_by_the_authority() {
    let authority = AuthorityPrivateKey::generate().unwrap();
    let to = authority.public_key().unwrap();
    let envelope = golden().seal(&to).unwrap();
    assert_eq!(envelope.len(), SizeClass::USUAL.envelope_bytes());
    let opened = open(std::slice::from_ref(&authority), &envelope).unwrap();
    let read = ContactEvidence::from_envelope(&opened).unwrap();
    assert_eq!(bytes_of(&read), bytes_of(&golden()));

    let other = seal(&to, MessageKind::HealthDeclaration, &bytes_of(&golden())).unwrap();
    let opened = open(&[authority], &other).unwrap();
    let found = MessageKind::HealthDeclaration;
    assert_eq!(
        ContactEvidence::from_envelope(&opened).unwrap_err(),
        MalformedEvidence::Kind { found }
    );
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", golden());
    assert_eq!(text, "ContactEvidence { contacts: 2, openings: 2, .. }");
    let opening = format!("{:?}", golden().openings[0]);
    assert!(opening.contains("Secret(..)"), "{opening}");
    let contact = golden().contacts[0];
    let slot = contact.slot;
    assert_eq!(
        format!("{contact:?}"),
        format!("Contact {{ protocol: Bluezone, slot: {slot}, minutes: 9, strength: Near, .. }}")
    );
    assert_eq!(format!("{:?}", contact.key), "KeyReference(..)");
    assert_eq!(format!("{REQUEST:?}"), "EvidenceRequest(..)");
    let day = golden().openings[0].fingerprint().unwrap();
    assert_eq!(format!("{day:?}"), "DayFingerprint(..)");
}

proptest! {
    #[test]
    fn any_bytes_are_evidence_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ContactEvidence::from_bytes(&bytes);
    }

    #[test]
    fn evidence_with_a_byte_changed_is_read_as_it_stands(place in 0_usize..1_000, byte: u8) {
        let mut bytes = bytes_of(&golden());
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(read) = ContactEvidence::from_bytes(&bytes) {
            prop_assert_eq!(bytes_of(&read), bytes);
        }
    }
}
