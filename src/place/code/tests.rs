use proptest::prelude::*;

use super::super::personal::PersonalField;
use super::*;
use crate::entropy::SeededEntropy;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_596_888_000);
const LATER: Timestamp = Timestamp::from_unix_seconds(1_596_888_000 + 86_400);
const NAME: &str = "Phở Thìn Lò Đúc";

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn id() -> PlaceId {
    PlaceId::random(&mut SeededEntropy::new(1)).unwrap()
}

fn owners(key: &SigningKey) -> PlaceCode {
    PlaceCode::sign_as_owner(NAME, NOON..LATER, key).unwrap()
}

fn authoritys(key: &SigningKey) -> PlaceCode {
    PlaceCode::sign_as_authority(id(), NAME, NOON..LATER, key).unwrap()
}

/// The body's bytes and the signature, and back to a text.
fn bytes(code: &PlaceCode) -> Vec<u8> {
    let text = code.to_string();
    BASE32_NOPAD
        .decode(text.strip_prefix(SCHEME).unwrap().as_bytes())
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    format!("{SCHEME}{}", BASE32_NOPAD.encode(bytes))
}

fn outcome(
    text: &str,
    trusted: &[VerificationKey],
    now: Timestamp,
) -> Result<Place, PlaceCodeError> {
    PlaceCode::parse(text)?.verify(trusted, now)
}

#[test]
fn an_owners_code_needs_no_authority() {
    let key = key();
    let place = outcome(&owners(&key).to_string(), &[], NOON).unwrap();
    assert_eq!(place.name(), NAME);
    assert_eq!(place.signer(), PlaceSigner::Owner);
    assert_eq!(place.id(), PlaceId::of_owner(key.verification_key()));
    assert_eq!(place.valid(), NOON..LATER);
    let renamed = PlaceCode::sign_as_owner("Phở", NOON..LATER, &key).unwrap();
    let renamed = renamed.verify(&[], NOON).unwrap();
    assert_eq!(renamed.id(), place.id(), "the same owner, the same place");
}

#[test]
fn an_authoritys_code_is_of_the_key_that_it_names() {
    let (authority, other) = (key(), key());
    let trusted = [other, authority];
    let keys: Vec<_> = trusted
        .iter()
        .map(|key| key.verification_key().clone())
        .collect();
    let place = outcome(&authoritys(&trusted[1]).to_string(), &keys, NOON).unwrap();
    assert_eq!(place.id(), id());
    assert_eq!(place.signer(), PlaceSigner::Authority);
}

#[test]
fn wrong_signer() {
    let code = authoritys(&key()).to_string();
    let other = [key().verification_key().clone()];
    for trusted in [&other[..], &[]] {
        let outcome = outcome(&code, trusted, NOON);
        assert_eq!(outcome, Err(PlaceCodeError::WrongSigner));
    }
}

#[test]
fn authority_claimed_with_anothers_signature() {
    let (authority, other) = (key(), key());
    let (mut honest, forged) = (authoritys(&authority), authoritys(&other));
    honest.signature = forged.signature;
    let trusted = [authority.verification_key().clone()];
    let outcome = honest.verify(&trusted, NOON);
    assert_eq!(outcome, Err(PlaceCodeError::SignatureInvalid));
}

#[test]
fn signature_flipped() {
    let authority = key();
    let trusted = [authority.verification_key().clone()];
    for code in [owners(&authority), authoritys(&authority)] {
        let bytes = bytes(&code);
        let signature_at = bytes.len() - COMPACT_SIGNATURE_BYTES;
        for bit in (signature_at * 8..bytes.len() * 8).step_by(3) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let outcome = outcome(&text(&flipped), &trusted, NOON);
            assert_eq!(outcome, Err(PlaceCodeError::SignatureInvalid), "bit {bit}");
        }
    }
}

#[test]
fn any_byte_flipped_is_refused() {
    let authority = key();
    let trusted = [authority.verification_key().clone()];
    for code in [owners(&authority), authoritys(&authority)] {
        let bytes = bytes(&code);
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert!(outcome(&text(&flipped), &trusted, NOON).is_err(), "{index}");
        }
    }
}

/// An id cannot be claimed, for an owner's code bears none: it is the hash of the key that the code holds.
#[test]
fn place_id_not_of_this_key() {
    let (owner, thief) = (key(), key());
    let place = owners(&owner).verify(&[], NOON).unwrap();
    // The thief's own code is another place, under the same name.
    let copied = owners(&thief).verify(&[], NOON).unwrap();
    assert_ne!(copied.id(), place.id());
    // The owner's key with the thief's signature is no code.
    let mut stolen = owners(&owner);
    stolen.signature = owners(&thief).signature;
    assert_eq!(
        stolen.verify(&[], NOON),
        Err(PlaceCodeError::SignatureInvalid)
    );
    // Neither is the owner's signature over the thief's key.
    let mut swapped = owners(&owner);
    swapped.body.signer = owners(&thief).body.signer;
    assert_eq!(
        swapped.verify(&[], NOON),
        Err(PlaceCodeError::SignatureInvalid)
    );
    // Who holds no authority's key cannot pass an owner's id for an authority's either.
    let claimed = PlaceCode::sign_as_authority(place.id(), NAME, NOON..LATER, &thief).unwrap();
    assert_eq!(claimed.verify(&[], NOON), Err(PlaceCodeError::WrongSigner));
}

#[test]
fn expired_and_not_yet_valid() {
    let code = owners(&key()).to_string();
    let second = std::time::Duration::from_secs(1);
    let ms = std::time::Duration::from_millis(1);
    for (now, holds) in [
        (NOON.saturating_sub(ms), false),
        (NOON, true),
        (LATER.saturating_sub(ms), true),
        (LATER, false),
        (LATER.saturating_add(second), false),
    ] {
        let outcome = outcome(&code, &[], now);
        match outcome {
            Ok(_) => assert!(holds, "{now}"),
            Err(PlaceCodeError::NotYetValid { from, .. }) => assert!(now < from && from == NOON),
            Err(PlaceCodeError::Expired { until, .. }) => assert!(now >= until && until == LATER),
            Err(other) => panic!("{other}"),
        }
    }
    // Of a forged code it is not told when it would have been valid.
    let mut forged = owners(&key());
    forged.signature = owners(&key()).signature;
    let late = forged.verify(&[], LATER);
    assert_eq!(late, Err(PlaceCodeError::SignatureInvalid));
}

#[test]
fn name_too_long() {
    let key = key();
    let fits = "x".repeat(NAME_BYTES_MAX);
    let code = PlaceCode::sign_as_owner(&fits, NOON..LATER, &key).unwrap();
    assert_eq!(code.to_string().len(), CODE_CHARS_MAX);
    assert_eq!(outcome(&code.to_string(), &[], NOON).unwrap().name(), fits);
    let error = PlaceCodeError::NameTooLong { len: 81 };
    let long = PlaceCode::sign_as_owner(&"x".repeat(81), NOON..LATER, &key);
    assert_eq!(long, Err(error.clone()));
    let mut claimed = bytes(&owners(&key));
    claimed[1 + COMPRESSED_POINT_BYTES + 8] = 81;
    assert_eq!(PlaceCode::parse(&text(&claimed)), Err(error));
}

#[test]
fn names_that_are_not_shown() {
    let key = key();
    for name in [
        "",
        " ",
        "a\nb",
        "a\u{1b}[2J",
        "a\u{202e}b",
        "\u{200b}",
        "\u{feff}a",
    ] {
        let code = PlaceCode::sign_as_owner(name, NOON..LATER, &key);
        assert_eq!(code, Err(PlaceCodeError::NameNotPlain), "{name:?}");
    }
    let mut not_utf8 = bytes(&owners(&key));
    not_utf8[1 + COMPRESSED_POINT_BYTES + 9] = 0xFF;
    let error = PlaceCode::parse(&text(&not_utf8));
    assert_eq!(error, Err(PlaceCodeError::NameNotPlain));
}

#[test]
fn validity_that_is_none() {
    let key = key();
    let past_2106 = Timestamp::from_unix_seconds(1 << 32);
    for valid in [LATER..NOON, NOON..NOON, NOON..past_2106] {
        let code = PlaceCode::sign_as_owner(NAME, valid, &key);
        assert_eq!(code, Err(PlaceCodeError::InvalidValidity));
    }
}

#[test]
fn unknown_version() {
    let rest = owners(&key()).to_string().split_off(SCHEME.len());
    for version in ["2", "0", "10", "01"] {
        let code = PlaceCode::parse(&format!("TVP{version}:{rest}"));
        assert_eq!(code, Err(PlaceCodeError::UnknownVersion), "{version}");
    }
    let mut kind = bytes(&owners(&key()));
    kind[0] = 3;
    let unknown = PlaceCodeError::UnknownSigner { kind: 3 };
    assert_eq!(PlaceCode::parse(&text(&kind)), Err(unknown));
}

#[test]
fn truncated() {
    for code in [owners(&key()), authoritys(&key())] {
        let whole = code.to_string();
        for end in SCHEME.len()..whole.len() {
            let cut = PlaceCode::parse(&whole[..end]);
            assert!(
                matches!(cut, Err(PlaceCodeError::Truncated { .. })),
                "{end}: {cut:?}"
            );
        }
        for end in 0..SCHEME.len() {
            let cut = PlaceCode::parse(&whole[..end]);
            assert_eq!(cut, Err(PlaceCodeError::NotAPlaceCode), "{end}");
        }
    }
}

#[test]
fn something_follows() {
    let mut longer = bytes(&owners(&key()));
    let expected = longer.len();
    longer.push(0);
    let got = expected + 1;
    let error = PlaceCodeError::TrailingBytes { expected, got };
    assert_eq!(PlaceCode::parse(&text(&longer)), Err(error));
    let len = CODE_CHARS_MAX + 1;
    let flood = format!("{SCHEME}{}", "A".repeat(len - SCHEME.len()));
    assert_eq!(
        PlaceCode::parse(&flood),
        Err(PlaceCodeError::TooLong { len })
    );
}

#[test]
fn not_a_place_code() {
    for other in [
        "",
        "https://example.org",
        "TVP",
        "TVP:",
        "TVPX:AA",
        "tvp1:AA",
        " TVP1:AA",
    ] {
        let code = PlaceCode::parse(other);
        assert_eq!(code, Err(PlaceCodeError::NotAPlaceCode), "{other}");
    }
    for (other, position) in [
        ("TVP1:AAaAAAAA", 7),
        ("TVP1:1AAAAAAA", 5),
        ("TVP1:AAAAAA==", 11),
    ] {
        let code = PlaceCode::parse(other);
        assert_eq!(code, Err(PlaceCodeError::NotBase32 { position }), "{other}");
    }
}

#[test]
fn owners_key_off_the_curve() {
    let mut off = bytes(&owners(&key()));
    off[1] = 4;
    let error = PlaceCodeError::Key(KeyError::NotOnCurve);
    assert_eq!(PlaceCode::parse(&text(&off)), Err(error));
}

#[test]
fn personal_code_scanned() {
    let personal = "001234567890|NGUYEN VAN A|1980-02-03|0|QID123|0901234567";
    let error = PlaceCode::parse(personal).unwrap_err();
    let PlaceCodeError::Personal(disclosures) = &error else {
        panic!("{error}");
    };
    assert_eq!(disclosures.fields().len(), 6);
    assert_eq!(
        disclosures.fields().first(),
        Some(&PersonalField::DocumentNumber)
    );
    let message = format!("{error} {error:?}");
    assert!(message.contains("SoGiayTo") && message.contains("full name"));
    for value in ["001234567890", "NGUYEN", "1980", "QID123", "0901234567"] {
        assert!(!message.contains(value), "{message}");
    }
    let flood = format!("a|b|c|0|e|{}", "f".repeat(SCANNED_BYTES_MAX));
    assert!(matches!(
        PlaceCode::parse(&flood),
        Err(PlaceCodeError::TooLong { .. })
    ));
}

#[test]
fn neither_id_nor_name_is_printed() {
    let code = owners(&key());
    let place = code.verify(&[], NOON).unwrap();
    let printed = format!("{code:?} {place:?} {:?}", place.id());
    assert!(!printed.contains("Phở"), "{printed}");
    assert!(
        printed.contains("PlaceCode(..)") && printed.contains("PlaceId(..)"),
        "{printed}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_parses_or_fails(text in "(TVP1:)?[A-Z2-7|]{0,320}") {
        if let Ok(code) = PlaceCode::parse(&text) {
            prop_assert_eq!(code.to_string(), text);
        }
    }

    #[test]
    fn every_code_has_one_text(name in "\\PC{1,20}", from in 0u32..4_000_000_000, s in 1u32..200_000_000) {
        let at = |seconds: u32| Timestamp::from_unix_seconds(u64::from(seconds));
        let valid = at(from)..at(from + s);
        if let Ok(code) = PlaceCode::sign_as_owner(&name, valid.clone(), &key()) {
            let again = PlaceCode::parse(&code.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), code.to_string());
            let place = again.verify(&[], valid.start).unwrap();
            prop_assert_eq!(place.name(), name);
        }
    }
}
