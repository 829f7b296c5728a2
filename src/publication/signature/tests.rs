//! Keys in and out of their encodings, and what is refused.

use proptest::prelude::*;

use super::*;

/// google/exposure-notifications-server, examples/export.
const GOOGLE: &str = include_str!("../../../tests/vectors/gaen/gens_testExport.public.pem");

/// The SubjectPublicKeyInfo of an RSA key begins with this AlgorithmIdentifier (RFC 8017, A.1).
const RSA_ALGORITHM: [u8; 15] = [
    0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
];

fn spki() -> Vec<u8> {
    pem_block(GOOGLE, PUBLIC_LABEL).unwrap().to_vec()
}

#[test]
fn a_published_key_survives() {
    let key = VerificationKey::from_pem(GOOGLE).unwrap();
    assert_eq!(key.to_pem(), GOOGLE);
    assert_eq!(
        VerificationKey::from_uncompressed_point(key.as_uncompressed_point()).unwrap(),
        key
    );
    let windows = GOOGLE.replace('\n', "\r\n");
    let around = format!("subject: the authority\n{windows}the end\n");
    assert_eq!(VerificationKey::from_pem(&around).unwrap(), key);
}

#[test]
fn not_pem() {
    let refused = |pem: &str| {
        let label = PUBLIC_LABEL;
        let error = VerificationKey::from_pem(pem).unwrap_err();
        assert_eq!(error, KeyError::NotPem { label }, "{pem}");
    };
    refused("");
    refused("key");
    refused(&GOOGLE.replace("PUBLIC KEY", "CERTIFICATE"));
    refused(&GOOGLE.replace("-----END PUBLIC KEY-----", ""));
    refused(&GOOGLE.replace("MFkw", "MFk!"));
    refused(&GOOGLE.replace("==", "="));
    refused(&GOOGLE.repeat(2));
    refused(&SigningKey::generate().unwrap().to_pkcs8_pem());
}

#[test]
fn wrong_algorithm() {
    let rsa = [&[0x30, 0x11][..], &RSA_ALGORITHM, &[0x03, 0x00]].concat();
    assert_eq!(
        VerificationKey::from_spki_der(&rsa),
        Err(KeyError::Algorithm)
    );
    let rsa = [&[0x30, 0x12, 0x02, 0x01, 0x00][..], &RSA_ALGORITHM].concat();
    assert_eq!(
        SigningKey::from_pkcs8_der(&rsa).unwrap_err(),
        KeyError::Algorithm
    );
}

#[test]
fn wrong_curve() {
    // 1.2.840.10045.3.1.1 is P-192.
    let mut der = spki();
    der[22] = 1;
    assert_eq!(VerificationKey::from_spki_der(&der), Err(KeyError::Curve));
}

#[test]
fn wrong_length() {
    let point = spki()[SPKI_PREFIX.len()..].to_vec();
    for len in 0..point.len() {
        assert_eq!(
            VerificationKey::from_uncompressed_point(&point[..len]),
            Err(KeyError::Length { got: len })
        );
    }
    // A compressed point in an otherwise right structure.
    let mut compressed = spki()[..SPKI_PREFIX.len() + 33].to_vec();
    (compressed[1], compressed[24], compressed[26]) = (0x39, 0x22, 2);
    assert_eq!(
        VerificationKey::from_spki_der(&compressed),
        Err(KeyError::Length { got: 33 })
    );
}

#[test]
fn not_on_curve() {
    let mut der = spki();
    der[90] ^= 1;
    assert_eq!(
        VerificationKey::from_spki_der(&der),
        Err(KeyError::NotOnCurve)
    );
    // The point's first byte names its form; 5 names none.
    der[90] ^= 1;
    der[26] = 5;
    assert_eq!(
        VerificationKey::from_spki_der(&der),
        Err(KeyError::NotOnCurve)
    );
}

#[test]
fn truncated_everywhere_and_lengthened() {
    let der = spki();
    for end in 0..der.len() {
        assert!(VerificationKey::from_spki_der(&der[..end]).is_err());
    }
    assert!(VerificationKey::from_spki_der(&[&der[..], &[0]].concat()).is_err());
    let key = SigningKey::generate().unwrap();
    let der = key.as_pkcs8_der();
    for end in 0..der.len() {
        assert!(SigningKey::from_pkcs8_der(&der[..end]).is_err());
    }
}

#[test]
fn a_signing_key_survives() {
    let key = SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v1"));
    let pem = key.to_pkcs8_pem();
    assert!(pem.lines().all(|line| line.len() <= 64));
    let again = SigningKey::from_pkcs8_pem(&pem).unwrap();
    assert_eq!(again.as_pkcs8_der(), key.as_pkcs8_der());
    let signature = again.sign(b"message").unwrap();
    assert!(key.verification_key().verify(b"message", &signature));
    assert!(!key.verification_key().verify(b"massage", &signature));
    assert_eq!(key.verification_key().name(), &KeyName::new("452", "v1"));
    assert_eq!(again.verification_key().name(), &KeyName::default());
}

fn framed(label: &str, lines: &[&str]) -> String {
    let body = lines.join("\n");
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn a_key_of_openssl() {
    // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256; made for this test, worth
    // nothing. Without its frame here, so that no search for leaked keys stumbles over it.
    let private = framed(
        "PRIVATE KEY",
        &[
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTv8SACf0XOxT3kcX",
            "q4wEeIdkcNmbT+B9Jb+Rq7pVndShRANCAARfNfTVkug80/wyV5DWnwRR+imXunLb",
            "hqI8ix9OliXVMksWSKk+ez1ZJHT7J+aziBMBQoPRz+qs0WRg+z+VGk+U",
        ],
    );
    let public = framed(
        "PUBLIC KEY",
        &[
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXzX01ZLoPNP8MleQ1p8EUfopl7py",
            "24aiPIsfTpYl1TJLFkipPns9WSR0+yfms4gTAUKD0c/qrNFkYPs/lRpPlA==",
        ],
    );
    let key = SigningKey::from_pkcs8_pem(&private).unwrap();
    assert_eq!(key.verification_key().to_pem(), public);
    assert_eq!(*key.to_pkcs8_pem(), private);
}

#[test]
fn parts_that_do_not_fit() {
    let mut der = SigningKey::generate().unwrap().as_pkcs8_der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    assert_eq!(
        SigningKey::from_pkcs8_der(&der).unwrap_err(),
        KeyError::Inconsistent
    );
}

#[test]
fn a_signing_key_prints_nothing() {
    let key = SigningKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey(..)");
}

#[test]
fn names_admit() {
    let (any, v1) = (KeyName::default(), KeyName::new("310", "v1"));
    assert!(any.admits(&v1) && any.admits(&any) && v1.admits(&v1));
    assert!(!v1.admits(&any));
    assert!(!v1.admits(&KeyName::new("310", "v2")));
    assert!(!v1.admits(&KeyName::new("311", "v1")));
    assert_eq!(v1.to_string(), "key \"310\" version \"v1\"");
}

proptest! {
    #[test]
    fn any_text(text: String, bytes: Vec<u8>) {
        let _ = VerificationKey::from_pem(&text);
        let _ = SigningKey::from_pkcs8_pem(&text);
        let _ = VerificationKey::from_spki_der(&bytes);
        let _ = SigningKey::from_pkcs8_der(&bytes);
    }

    /// Every single byte of the structure matters; those of the point make another key at most.
    #[test]
    fn mutations(at in 0..91usize, byte: u8) {
        let mut der = spki();
        let same = der[at] == byte;
        der[at] = byte;
        prop_assert_eq!(VerificationKey::from_spki_der(&der).is_ok(), same);
    }
}

#[test]
fn a_compressed_point_is_the_same_key() {
    let key = SigningKey::generate().unwrap();
    let public = key.verification_key();
    let compressed = public.to_compressed_point();
    assert_eq!(
        VerificationKey::from_compressed_point(&compressed).as_ref(),
        Ok(public)
    );
    let mut other = compressed;
    other[0] ^= 1;
    let mirrored = VerificationKey::from_compressed_point(&other).unwrap();
    assert_ne!(&mirrored, public);
    assert_ne!(mirrored.fingerprint(), public.fingerprint());
    other[0] = 4;
    let refused = VerificationKey::from_compressed_point(&other);
    assert_eq!(refused, Err(KeyError::NotOnCurve));
}

#[test]
fn a_compact_signature_is_of_its_message_and_key_alone() {
    let (key, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let signature = key.sign_compact(b"message").unwrap();
    let public = key.verification_key();
    assert!(public.verify_compact(&[b"mess", b"age"], &signature));
    assert!(!public.verify_compact(&[b"massage"], &signature));
    assert!(
        !other
            .verification_key()
            .verify_compact(&[b"message"], &signature)
    );
}
