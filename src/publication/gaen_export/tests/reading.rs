use proptest::prelude::*;
use prost::Message;

use super::super::proto::{
    SignatureInfo, TekSignature, TekSignatureList, TemporaryExposureKey, TemporaryExposureKeyExport,
};
use super::*;

pub(super) fn message() -> TemporaryExposureKeyExport {
    TemporaryExposureKeyExport {
        batch_num: Some(1),
        batch_size: Some(1),
        ..Default::default()
    }
}

pub(super) fn bin(message: &TemporaryExposureKeyExport) -> Vec<u8> {
    [HEADER.as_slice(), &message.encode_to_vec()].concat()
}

pub(super) fn signed(bin: &[u8], infos: &[SignatureInfo]) -> Vec<u8> {
    let signatures = infos
        .iter()
        .map(|info| TekSignature {
            signature_info: Some(info.clone()),
            batch_num: Some(1),
            batch_size: Some(1),
            signature: Some(AUTHORITY.sign(bin).unwrap()),
        })
        .collect();
    let sig = TekSignatureList { signatures }.encode_to_vec();
    archive::pack(bin, &sig).unwrap()
}

pub(super) fn info(id: &str, version: &str) -> SignatureInfo {
    (&KeyName::new(id, version)).into()
}

fn every_key(bin: &[u8]) -> Result<Export, ExportError> {
    UnverifiedExport::from_unsigned_bin(bin.to_vec())?
        .with_options(ReadOptions::EVERY_KEY)
        .parse_without_verification()
}

fn refusals(error: ExportError) -> Vec<Refusal> {
    match error {
        ExportError::NotVerified { refused } => {
            refused.into_iter().map(|refused| refused.reason).collect()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_written_file_is_read() {
    let export = read(&two_keys()).unwrap();
    assert_eq!(export.region, "VN");
    assert_eq!(export.start, options().start);
    assert_eq!(export.end, options().end);
    assert_eq!((export.batch_num, export.batch_size), (1, 1));
    assert_eq!(export.keys, [key(1), key(2)]);
    assert_eq!(export.signed_by, Some(KeyName::new("452", "v1")));
    let unverified = UnverifiedExport::read(&two_keys()).unwrap();
    assert_eq!(unverified.signatures().len(), 1);
    assert_eq!(unverified.bin()[..16], HEADER[..]);
    let unsigned = unverified.parse_without_verification().unwrap();
    assert_eq!(unsigned.signed_by, None);
    assert_eq!(unsigned.keys, export.keys);
    assert_eq!(export.into_published_keys().len(), 2);
}

#[test]
fn signature_of_another_key() {
    let other = SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v1"));
    let file = UnverifiedExport::read(&two_keys()).unwrap();
    let keys = [other.verification_key().clone()];
    assert_eq!(refusals(file.verify(&keys).unwrap_err()), [Refusal::Wrong]);
    // Beside the right one it does no harm, and a key without a name is tried as well.
    let unnamed = trusted()[0].clone().named(KeyName::default());
    let keys = [keys[0].clone(), unnamed];
    let export = file.verify(&keys).unwrap();
    assert_eq!(export.signed_by, Some(KeyName::default()));
}

#[test]
fn key_of_another_name() {
    let file = UnverifiedExport::read(&two_keys()).unwrap();
    for name in [KeyName::new("452", "v2"), KeyName::new("453", "v1")] {
        let keys = [trusted()[0].clone().named(name)];
        assert_eq!(
            refusals(file.verify(&keys).unwrap_err()),
            [Refusal::UnknownKey]
        );
    }
    assert_eq!(
        refusals(file.verify(&[]).unwrap_err()),
        [Refusal::UnknownKey]
    );
}

#[test]
fn signatures_of_several_keys() {
    let newer = SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v2"));
    let zip = ExportWriter::new(options())
        .keys([key(1)])
        .write(&[&newer, &AUTHORITY], &mut SeededEntropy::new(1))
        .unwrap();
    let file = UnverifiedExport::read(&zip).unwrap();
    for signer in [&newer, &AUTHORITY] {
        let key = signer.verification_key().clone();
        let name = key.name().clone();
        assert_eq!(file.verify(&[key]).unwrap().signed_by, Some(name));
    }
}

#[test]
fn bin_flipped() {
    let file = UnverifiedExport::read(&two_keys()).unwrap();
    let bin = file.bin().to_vec();
    let sig = TekSignatureList {
        signatures: vec![TekSignature {
            signature_info: Some(info("452", "v1")),
            signature: Some(file.signatures()[0].signature.clone()),
            ..Default::default()
        }],
    };
    // The header and the last byte alike: the signature is over all of it.
    for bit in 0..bin.len() * 8 {
        let mut flipped = bin.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let zip = archive::pack(&flipped, &sig.encode_to_vec()).unwrap();
        assert_eq!(refusals(read(&zip).unwrap_err()), [Refusal::Wrong]);
    }
}

#[test]
fn nothing_is_parsed_before_the_signature() {
    let sig = TekSignatureList { signatures: vec![] };
    let zip = archive::pack(b"no export at all", &sig.encode_to_vec()).unwrap();
    assert_eq!(refusals(read(&zip).unwrap_err()), []);
    let zip = signed(b"no export at all", &[info("452", "v1")]);
    assert_eq!(read(&zip), Err(ExportError::Header));
}

#[test]
fn algorithm_of_another_kind() {
    let bin = bin(&message());
    let mut sha512 = info("452", "v1");
    sha512.signature_algorithm = Some(String::from("1.2.840.10045.4.3.4"));
    let zip = signed(&bin, &[sha512.clone()]);
    assert_eq!(refusals(read(&zip).unwrap_err()), [Refusal::Algorithm]);
    let mut silent = info("452", "v1");
    silent.signature_algorithm = None;
    assert!(read(&signed(&bin, &[sha512, silent])).is_ok());
}

#[test]
fn too_many_signatures() {
    let bin = bin(&message());
    let infos = vec![info("452", "v1"); SIGNATURES_MAX];
    assert!(read(&signed(&bin, &infos)).is_ok());
    let infos = vec![info("452", "v1"); SIGNATURES_MAX + 1];
    assert_eq!(
        read(&signed(&bin, &infos)),
        Err(ExportError::TooManySignatures)
    );
}

#[test]
fn header_wrong() {
    let right = bin(&message());
    assert!(parse_unsigned_bin(&right).is_ok());
    for at in 0..16 {
        let mut wrong = right.clone();
        wrong[at] ^= 0x20;
        assert_eq!(parse_unsigned_bin(&wrong), Err(ExportError::Header));
        assert_eq!(parse_unsigned_bin(&right[..at]), Err(ExportError::Header));
    }
    // The header alone lacks a batch number.
    assert_eq!(
        parse_unsigned_bin(&right[..16]),
        Err(ExportError::Batch { num: 0, size: 0 })
    );
}

#[test]
fn export_sig_malformed() {
    let bin = bin(&message());
    for (sig, offset) in [
        (&[0x0A, 5, 1][..], 0),
        (&[0x12, 0, 0x0A, 2, 0x0A, 7], 2),
        (&[0x08, 1], 0),
    ] {
        let zip = archive::pack(&bin, sig).unwrap();
        let error = ExportError::Malformed { name: SIG, offset };
        assert_eq!(read(&zip), Err(error));
    }
}

#[test]
fn export_bin_malformed() {
    let parse = |bytes: &[u8]| parse_unsigned_bin(&[&bin(&message())[..], bytes].concat());
    let offset = bin(&message()).len();
    for bytes in [
        &[0x08, 1][..],         // a start that is no fixed64
        &[0x1A, 1, 0xFF],       // a region that is no UTF-8
        &[0x22, 1, 1],          // a batch number that is no number
        &[0x38, 1],             // a key that is no message
        &[0x3A, 1, 0x0B],       // a key that is no message of fields
        &[0x3A, 2, 0x0A, 16],   // a key longer than its message
        &[0x42, 3, 0x08, 1, 1], // a revised key of another kind
        &[0x7B],                // a group
    ] {
        let error = ExportError::Malformed { name: BIN, offset };
        assert_eq!(parse(bytes), Err(error), "{bytes:?}");
    }
    assert!(parse(&[0x78, 1, 0x7D, 0, 0, 0, 0]).is_ok());
}

#[test]
fn two_to_the_40_keys_claimed() {
    // A key of a length of 2^40, then one in a list that a packed encoding would give.
    let length = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    let start = bin(&message());
    let offset = start.len();
    for key in [0x3A, 0x42] {
        let bytes = [&start[..], &[key], &length].concat();
        let error = parse_unsigned_bin(&bytes).unwrap_err();
        let len = 1 << 40;
        assert_eq!(error, ExportError::FieldTooLong { offset, len });
        assert_eq!(
            error.to_string(),
            "export.bin: expected a field of at most 16384 bytes at byte 20, got 1099511627776"
        );
    }
    // A field that nobody reads.
    let bytes = [&start[..], &[0x32], &length].concat();
    let error = ExportError::Malformed { name: BIN, offset };
    assert_eq!(parse_unsigned_bin(&bytes), Err(error));
    // The same inside a key.
    let bytes = [&start[..], &[0x3A, 7, 0x0A], &length].concat();
    assert!(parse_unsigned_bin(&bytes).is_err());
}

#[test]
fn too_many_keys() {
    let one = TemporaryExposureKey::try_from(&key(7)).unwrap();
    let mut body = vec![0x3A];
    body.extend(one.encode_length_delimited_to_vec());
    let mut bytes = bin(&message());
    bytes.extend(body.repeat(KEYS_MAX));
    assert_eq!(every_key(&bytes).unwrap().keys.len(), KEYS_MAX);
    body[0] = 0x42;
    bytes.extend(body);
    assert_eq!(parse_unsigned_bin(&bytes), Err(ExportError::TooManyKeys));
    bytes.resize(BIN_BYTES_MAX + 1, 0);
    assert_eq!(
        parse_unsigned_bin(&bytes),
        Err(ExportError::BinTooLong {
            len: BIN_BYTES_MAX + 1
        })
    );
}

#[test]
fn the_key_at_fault_is_named() {
    let good = TemporaryExposureKey::try_from(&key(7)).unwrap();
    let mut bad = good.clone();
    bad.rolling_period = Some(0);
    let mut short = good.clone();
    short.key_data = Some(vec![0; 15]);
    let mut export = message();
    export.keys = vec![good.clone(), good.clone(), bad];
    let error = parse_unsigned_bin(&bin(&export)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key 2: expected a rolling period of 1 to 144 intervals, got 0"
    );
    export.keys = vec![good.clone()];
    export.revised_keys = vec![good, short];
    let error = parse_unsigned_bin(&bin(&export)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "revised key 1: expected a key of 16 bytes, got 15"
    );
}

#[test]
fn batch_numbers() {
    for (num, size, good) in [
        (1, 1, true),
        (3, 3, true),
        (0, 1, false),
        (2, 1, false),
        (0, 0, false),
        (-1, 1, false),
        (1, -1, false),
    ] {
        let mut export = message();
        (export.batch_num, export.batch_size) = (Some(num), Some(size));
        let expected = ExportError::Batch { num, size };
        match parse_unsigned_bin(&bin(&export)) {
            Ok(_) => assert!(good, "{num} of {size}"),
            Err(error) => assert_eq!((good, error), (false, expected)),
        }
    }
}

#[test]
fn revised_keys_replace() {
    let revoked = reported(1, ReportType::Revoked);
    let earlier = reported(9, ReportType::Revoked);
    let zip = written(
        ExportWriter::new(options())
            .keys([key(2), key(3)])
            .revised_keys([earlier.clone(), revoked.clone()]),
    );
    let export = read(&zip).unwrap();
    assert_eq!(
        export.keys,
        [key(2), key(3), revoked.clone(), earlier.clone()]
    );
    assert_eq!(export.revised_keys, [revoked.clone(), earlier]);
    // A file that says both of one key, and the key twice: only the last revision counts.
    let both = [key(1), key(2), key(1)];
    let mut export = message();
    export.keys = both.iter().map(|key| key.try_into().unwrap()).collect();
    export.revised_keys = [reported(1, ReportType::SelfReport), revoked.clone()]
        .iter()
        .map(|key| key.try_into().unwrap())
        .collect();
    export.end_timestamp = Some(options().end.unix_seconds());
    let export = parse_unsigned_bin(&bin(&export)).unwrap();
    assert_eq!(export.keys, [key(2), revoked.clone()]);
    assert_eq!(export.revised_keys, [revoked]);
}

#[test]
fn truncated_everywhere() {
    let zip = two_keys();
    for end in 0..zip.len() {
        assert!(UnverifiedExport::read(&zip[..end]).is_err(), "{end}");
    }
    // Of an export.bin, a prefix that ends with a field is a shorter export: that is what the
    // signature is for. None but the shorter ones is read.
    let file = UnverifiedExport::read(&zip).unwrap();
    for end in 0..file.bin().len() {
        if let Ok(export) = parse_unsigned_bin(&file.bin()[..end]) {
            assert!(export.keys.len() < 2);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = UnverifiedExport::read(&bytes);
        let _ = parse_unsigned_bin(&[HEADER.as_slice(), &bytes].concat());
        if let Ok(file) = UnverifiedExport::read(&archive::pack(&bytes, &bytes).unwrap()) {
            prop_assert!(file.verify(&trusted()).is_err());
        }
    }

    /// Whatever byte of a file changes, the keys are those that were signed, or none.
    #[test]
    fn mutations(at: prop::sample::Index, byte: u8) {
        let mut zip = two_keys();
        *at.get_mut(&mut zip) = byte;
        if let Ok(export) = read(&zip) {
            prop_assert_eq!(export.keys, [key(1), key(2)]);
        }
    }

    #[test]
    fn mutations_of_an_unsigned_bin(at: prop::sample::Index, byte: u8) {
        let mut bin = UnverifiedExport::read(&two_keys()).unwrap().bin().to_vec();
        *at.get_mut(&mut bin) = byte;
        let _ = parse_unsigned_bin(&bin);
    }
}
