//! PEM (RFC 7468) and as much of DER (X.690) as a key of one curve needs.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::KeyError;

pub(super) const PUBLIC_LABEL: &str = "PUBLIC KEY";
pub(super) const PRIVATE_LABEL: &str = "PRIVATE KEY";

/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
/// secp256r1, 1.2.840.10045.3.1.7 (RFC 5480, 2.1.1.1).
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];

/// SubjectPublicKeyInfo of a P-256 key, up to the point: SEQUENCE { SEQUENCE { id-ecPublicKey,
/// secp256r1 }, BIT STRING of whole bytes.
pub(super) const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A,
    0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// DER tags (X.690, 8).
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// Characters of base64 in a line of PEM (RFC 7468, 2).
const PEM_LINE: usize = 64;

/// Checks an AlgorithmIdentifier: an elliptic curve key on P-256.
pub(super) fn require_p256(algorithm: &[u8], malformed: KeyError) -> Result<(), KeyError> {
    let (kind, parameters) = der_value(algorithm, OID).ok_or(malformed)?;
    if kind != EC_PUBLIC_KEY {
        return Err(KeyError::Algorithm);
    }
    match der_value(parameters, OID) {
        Some((P256, [])) => Ok(()),
        _ => Err(KeyError::Curve),
    }
}

/// The private key in what follows the algorithm of a PKCS#8 document: an OCTET STRING of an
/// ECPrivateKey (RFC 5915), SEQUENCE { INTEGER 1, OCTET STRING of the scalar, …}.
pub(super) fn private_scalar(after_algorithm: &[u8]) -> Option<&[u8]> {
    let (document, _) = der_value(after_algorithm, OCTET_STRING)?;
    let (key, _) = der_value(document, SEQUENCE)?;
    let (_, after_version) = der_value(key, INTEGER)?;
    der_value(after_version, OCTET_STRING).map(|(scalar, _)| scalar)
}

/// The contents of the DER value of `tag` that `der` begins with, and what follows it. Lengths up to
/// 65,535, which no key of this curve comes near.
pub(super) fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match rest {
        [short @ 0..=0x7F, rest @ ..] => (usize::from(*short), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The bytes of the one PEM block in `text`, whose label must be `label`.
pub(super) fn pem_block(text: &str, label: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let malformed = KeyError::NotPem { label };
    let block = text
        .split_once(&format!("-----BEGIN {label}-----"))
        .and_then(|(_, from_block)| from_block.split_once(&format!("-----END {label}-----")))
        .filter(|(_, after)| !after.contains("-----BEGIN "));
    let (body, _) = block.ok_or(malformed)?;
    // All of the size it can need from the start: a buffer that grew would leave copies behind.
    let mut base64 = Zeroizing::new(Vec::with_capacity(body.len()));
    base64.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let length = BASE64.decode_len(base64.len()).map_err(|_| malformed)?;
    let mut der = Zeroizing::new(vec![0; length]);
    let written = BASE64
        .decode_mut(&base64, &mut der)
        .map_err(|_| malformed)?;
    der.truncate(written);
    Ok(der)
}

/// `der` as a PEM block.
pub(super) fn pem_text(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(BASE64.encode(der));
    let (first, last) = (
        format!("-----BEGIN {label}-----\n"),
        format!("-----END {label}-----\n"),
    );
    let lines = base64.len().div_ceil(PEM_LINE);
    let mut pem = Zeroizing::new(String::with_capacity(
        first.len() + base64.len() + lines + last.len(),
    ));
    pem.push_str(&first);
    for (index, digit) in base64.chars().enumerate() {
        if index > 0 && index % PEM_LINE == 0 {
            pem.push('\n');
        }
        pem.push(digit);
    }
    pem.push('\n');
    pem.push_str(&last);
    pem
}
