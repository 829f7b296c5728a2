use proptest::prelude::*;

use super::*;

fn authority(seed: u8) -> AuthorityPrivateKey {
    AuthorityPrivateKey::from_bytes(Secret::new([seed; 32]))
}

fn sealed(payload: &[u8]) -> (AuthorityPrivateKey, Vec<u8>) {
    let authority = authority(1);
    let to = authority.public_key().unwrap();
    let envelope = seal(&to, MessageKind::DiagnosisReport, payload).unwrap();
    (authority, envelope)
}

/// What `open` says of an envelope whose sealed part is `inner`.
fn opened_inner(inner: &[u8]) -> Result<Opened, OpenError> {
    let authority = authority(1);
    let size = SizeClass::Kib1.payload_bytes_max() + INNER_BYTES;
    let mut inner = inner.to_vec();
    inner.resize(size, 0);
    let envelope = seal_inner(&authority.public_key().unwrap(), &inner).unwrap();
    open(&[authority], &envelope)
}

#[test]
fn every_size_holds_as_much_as_it_says_and_a_byte_more_takes_the_next() {
    for (at, size) in SizeClass::ALL.into_iter().enumerate() {
        let full = vec![7; size.payload_bytes_max()];
        let (authority, envelope) = sealed(&full);
        assert_eq!(envelope.len(), size.envelope_bytes());
        let opened = open(&[authority], &envelope).unwrap();
        assert_eq!(
            (opened.kind, &*opened.payload),
            (MessageKind::DiagnosisReport, &full)
        );
        let next = SizeClass::for_payload(full.len() + 1);
        assert_eq!(next, SizeClass::ALL.get(at + 1).copied());
    }
    assert_eq!(SizeClass::Kib1.payload_bytes_max(), 962);
}

#[test]
fn too_long() {
    let to = authority(1).public_key().unwrap();
    let max = SizeClass::Kib256.payload_bytes_max();
    assert_eq!(
        seal(&to, MessageKind::DiagnosisReport, &vec![0; max + 1]),
        Err(SealError::TooLong { got: max + 1, max })
    );
    let max = SizeClass::Kib1.payload_bytes_max();
    assert_eq!(
        seal_in(
            &to,
            MessageKind::CodeExchange,
            &vec![0; max + 1],
            SizeClass::Kib1
        ),
        Err(SealError::TooLong { got: max + 1, max })
    );
}

#[test]
fn a_dummy_has_the_form_of_a_report() {
    let authority = authority(1);
    let to = authority.public_key().unwrap();
    for size in SizeClass::ALL {
        let dummy = seal_dummy(&to, size).unwrap();
        let report = seal_in(&to, MessageKind::DiagnosisReport, &[1; 300], size).unwrap();
        assert_eq!(dummy.len(), report.len());
        assert_eq!(dummy[..HEADER_BYTES], report[..HEADER_BYTES]);
        let sealed_part = &dummy[HEADER_BYTES..];
        assert_ne!(sealed_part, &seal_dummy(&to, size).unwrap()[HEADER_BYTES..]);
        let opened = open(std::slice::from_ref(&authority), &dummy).unwrap();
        assert_eq!(opened.kind, MessageKind::Dummy);
        assert!(opened.payload.is_empty());
    }
}

#[test]
fn the_outside_says_nothing_of_what_is_inside() {
    let to = authority(1).public_key().unwrap();
    let header = |kind, payload: &[u8]| seal(&to, kind, payload).unwrap()[..HEADER_BYTES].to_vec();
    let expected = header(MessageKind::Dummy, b"");
    for kind in MessageKind::ALL {
        assert_eq!(header(kind, b"something"), expected);
    }
    assert_eq!(expected[..5], *b"TVEN\x01");
    assert_eq!(expected[5..], to.key_id());
}

#[test]
fn tag_flipped() {
    let (authority, envelope) = sealed(b"report");
    let keys = [authority];
    for from_end in 1..=TAG_BYTES {
        let mut flipped = envelope.clone();
        let at = flipped.len() - from_end;
        flipped[at] ^= 1;
        assert_eq!(open(&keys, &flipped).unwrap_err(), OpenError::Changed);
    }
}

#[test]
fn any_bit_flipped() {
    let (authority, envelope) = sealed(b"report");
    let keys = [authority];
    for at in 0..HEADER_BYTES + ENCAPSULATED_BYTES + INNER_BYTES + 10 {
        for bit in 0..8 {
            let mut flipped = envelope.clone();
            flipped[at] ^= 1 << bit;
            // X25519 ignores the last bit of a point (RFC 7748, 5); HPKE's key schedule does not.
            assert!(open(&keys, &flipped).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn header_flipped() {
    let (authority, envelope) = sealed(b"report");
    let keys = [authority];
    for (at, expected) in [
        (0, OpenError::NotAnEnvelope),
        (3, OpenError::NotAnEnvelope),
        (5, OpenError::OtherAuthority),
        (8, OpenError::OtherAuthority),
    ] {
        let mut flipped = envelope.clone();
        flipped[at] ^= 1;
        assert_eq!(open(&keys, &flipped).unwrap_err(), expected);
    }
}

#[test]
fn header_not_covered() {
    // Sealed under another header, and then given the right one.
    let authority = authority(1);
    let to = authority.public_key().unwrap();
    let inner = vec![0; SizeClass::Kib1.payload_bytes_max() + INNER_BYTES];
    let (encapsulated, sealed) = seal_to(&to.0, INFO, b"TVEN\x02....", &inner).unwrap();
    let envelope = [&header(&to)[..], &encapsulated, &sealed].concat();
    assert_eq!(
        open(&[authority], &envelope).unwrap_err(),
        OpenError::Changed
    );
}

#[test]
fn sealed_for_another_purpose() {
    let authority = authority(1);
    let to = authority.public_key().unwrap();
    let inner = vec![0; SizeClass::Kib1.payload_bytes_max() + INNER_BYTES];
    let (encapsulated, sealed) = seal_to(&to.0, b"truyvet log", &header(&to), &inner).unwrap();
    let envelope = [&header(&to)[..], &encapsulated, &sealed].concat();
    assert_eq!(
        open(&[authority], &envelope).unwrap_err(),
        OpenError::Changed
    );
}

#[test]
fn unknown_version() {
    let (authority, mut envelope) = sealed(b"report");
    envelope[4] = 2;
    assert_eq!(
        open(&[authority], &envelope).unwrap_err(),
        OpenError::Version { got: 2 }
    );
}

#[test]
fn truncated() {
    let (authority, envelope) = sealed(&[1; 2000]);
    let keys = [authority];
    for len in [0, 4, HEADER_BYTES, 1023, 1025, envelope.len() - 1] {
        assert_eq!(
            open(&keys, &envelope[..len]).unwrap_err(),
            OpenError::Length { got: len }
        );
    }
    // To the size of another class.
    assert_eq!(
        open(&keys, &envelope[..1024]).unwrap_err(),
        OpenError::Changed
    );
}

#[test]
fn extended() {
    let (authority, mut envelope) = sealed(b"report");
    let keys = [authority];
    envelope.push(0);
    assert_eq!(
        open(&keys, &envelope).unwrap_err(),
        OpenError::Length { got: 1025 }
    );
    envelope.resize(SizeClass::Kib4.envelope_bytes(), 0);
    assert_eq!(open(&keys, &envelope).unwrap_err(), OpenError::Changed);
}

#[test]
fn wrong_authority() {
    let (ours, envelope) = sealed(b"report");
    assert_eq!(
        open(&[authority(2)], &envelope).unwrap_err(),
        OpenError::OtherAuthority
    );
    assert_eq!(open(&[], &envelope).unwrap_err(), OpenError::OtherAuthority);
    // Among several, the one that is named.
    assert!(open(&[authority(2), ours, authority(3)], &envelope).is_ok());
}

#[test]
fn resealed_under_another_key_id() {
    let (_, mut envelope) = sealed(b"report");
    let other = authority(2);
    envelope[5..9].copy_from_slice(&other.public_key().unwrap().key_id());
    assert_eq!(open(&[other], &envelope).unwrap_err(), OpenError::Changed);
}

#[test]
fn padding_not_zero() {
    let error = opened_inner(&[2, 1, 0, 0, 0, 9, 1]).unwrap_err();
    assert_eq!(error, OpenError::PaddingNotZero);
    assert!(opened_inner(&[2, 2, 0, 0, 0, 9, 1]).is_ok());
}

#[test]
fn unknown_kind() {
    for kind in 5..=255 {
        let error = opened_inner(&[kind, 0, 0, 0, 0]).unwrap_err();
        assert_eq!(error, OpenError::UnknownKind { got: kind });
    }
}

#[test]
fn inner_length_too_long() {
    let max = SizeClass::Kib1.payload_bytes_max();
    for claimed in [max as u32 + 1, u32::MAX] {
        let inner = [&[2][..], &claimed.to_le_bytes()].concat();
        assert_eq!(
            opened_inner(&inner).unwrap_err(),
            OpenError::InnerLength { claimed, max }
        );
    }
}

#[test]
fn a_point_of_low_order_is_not_sealed_to() {
    for bytes in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let to = AuthorityPublicKey::from_bytes(bytes);
        assert_eq!(
            seal_dummy(&to, SizeClass::Kib1).unwrap_err(),
            SealError::Crypto
        );
    }
}

/// Sealed by another implementation, in Python on OpenSSL, to the key of 32 times 1.
#[test]
fn an_envelope_of_version_1_opens_for_ever() {
    let text = include_str!("golden.b64");
    let envelope = data_encoding::BASE64
        .decode(text.trim().as_bytes())
        .unwrap();
    let opened = open(&[authority(1)], &envelope).unwrap();
    assert_eq!(opened.kind, MessageKind::HealthDeclaration);
    assert_eq!(*opened.payload, b"how I am");
}

#[test]
fn keys_are_read_as_they_are_printed() {
    let key = authority(1).public_key().unwrap();
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!(key.to_string().len(), 43);
    assert_ne!(key.key_id(), authority(2).public_key().unwrap().key_id());
    for wrong in [
        "",
        "AAAA",
        &format!("{key}="),
        &format!("+{}", &key.to_string()[1..]),
    ] {
        let got = wrong.len();
        assert_eq!(
            wrong.parse::<AuthorityPublicKey>(),
            Err(NotAnAuthorityKey { got })
        );
    }
    assert!(!format!("{:?}", authority(1)).contains("1, 1"));
}

proptest! {
    #[test]
    fn any_bytes_open_or_fail(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        named in any::<bool>(),
    ) {
        let authority = authority(1);
        let mut bytes = bytes;
        if named {
            bytes.resize(1024, 0);
            bytes[..HEADER_BYTES].copy_from_slice(&header(&authority.public_key().unwrap()));
        }
        prop_assert!(open(&[authority], &bytes).is_err());
    }

    #[test]
    fn any_inner_bytes_are_read_or_refused(inner in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(opened) = read_inner(&inner) {
            let mut again = vec![opened.kind.byte()];
            again.extend((opened.payload.len() as u32).to_le_bytes());
            again.extend(opened.payload.iter());
            again.resize(inner.len(), 0);
            prop_assert_eq!(again, inner);
        }
    }

    #[test]
    fn what_is_sealed_is_opened(payload in proptest::collection::vec(any::<u8>(), 0..5000), kind in 0..5_usize) {
        let authority = authority(1);
        let kind = MessageKind::ALL[kind];
        let envelope = seal(&authority.public_key().unwrap(), kind, &payload).unwrap();
        let opened = open(&[authority], &envelope).unwrap();
        prop_assert_eq!(opened.kind, kind);
        prop_assert_eq!(&*opened.payload, &payload);
    }
}
