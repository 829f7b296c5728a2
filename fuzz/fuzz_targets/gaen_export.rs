//! GAEN's export: whatever comes as a zip, whatever stands in a zip that is whole, and whatever an authority
//! signs.
#![no_main]

use std::io::{Cursor, Write};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter};
use truyvet::entropy::SeededEntropy;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::publication::gaen_export::{
    Export, ExportError, ExportOptions, ExportReader, ExportWriter, KEYS_MAX, Padding, ReadOptions,
    UnverifiedExport, parse_unsigned_bin,
};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::time::Timestamp;

/// Made anew by each process: nothing that is looked at depends on it.
static AUTHORITY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v1"))
});

/// Keys that are written again at most.
const REWRITTEN_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((&form, data)) = data.split_first() else {
        return;
    };
    match form % 3 {
        0 => zip(data),
        1 => bin(data),
        _ => {
            let at = usize::from(form / 3).min(data.len());
            let (sig, bin) = data.split_at(at);
            zip(&zipped(bin, sig));
        }
    }
});

fn zip(bytes: &[u8]) {
    let export = match UnverifiedExport::read(bytes) {
        Ok(export) => export,
        Err(error) => return drop(error.to_string()),
    };
    // Nobody has the authority's key but this process.
    let refused = export.verify(&[AUTHORITY.verification_key().clone()]);
    let Err(ExportError::NotVerified { refused }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.len(), export.signatures().len());
    refused.iter().for_each(|it| drop(it.to_string()));
    let parsed = export.parse_without_verification();
    assert_eq!(parsed, parse_unsigned_bin(export.bin()));
    let mut reader = ExportReader::open(Cursor::new(bytes)).unwrap();
    let streamed = reader.stream_without_verification();
    assert_eq!(streamed.and_then(|stream| stream.into_export()), parsed);
}

fn bin(bytes: &[u8]) {
    let export = match parse_unsigned_bin(bytes) {
        Ok(export) => export,
        Err(error) => return drop(error.to_string()),
    };
    assert!(export.keys.len() + export.revised_keys.len() <= 2 * KEYS_MAX);
    assert!((1..=export.batch_size).contains(&export.batch_num));
    for key in export.keys.iter().take(3) {
        let mut count = 0;
        key.for_each_candidate(|_| count += 1);
        assert_eq!(count, key.rolling_period());
    }
    let combined = Export::combine([export.clone(), export.clone()]);
    assert!(combined.len() <= export.keys.len());
    if export.keys.len() <= REWRITTEN_MAX {
        written_again(export);
    }
}

/// What can be read can be written, unless a key is there twice, and is then read as it was.
fn written_again(export: Export) {
    let mut options = ExportOptions::new(export.region.clone(), export.start, export.end);
    (options.padding, options.embargo) = (Padding::NONE, None);
    let writer = ExportWriter::new(options).keys(export.keys.clone());
    let Ok(zip) = writer.write(&[&AUTHORITY], &mut SeededEntropy::new(1)) else {
        return;
    };
    let trusted = [AUTHORITY.verification_key().clone()];
    let read = UnverifiedExport::read(&zip)
        .unwrap()
        .with_options(ReadOptions::EVERY_KEY)
        .verify(&trusted)
        .unwrap();
    // Written in seconds; the last moment there is has a fraction of one.
    let window = |it: &Export| [it.start, it.end].map(Timestamp::unix_seconds);
    assert_eq!(window(&read), window(&export));
    assert_eq!(read.region, export.region);
    assert_eq!(sorted(read.keys), sorted(export.keys));
}

fn sorted(mut keys: Vec<DiagnosisKey>) -> Vec<DiagnosisKey> {
    keys.sort_by_key(|key| *key.key());
    keys
}

fn zipped(bin: &[u8], sig: &[u8]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, contents) in [("export.bin", bin), ("export.sig", sig)] {
        let (mut entry, _) = archive
            .new_file(name)
            .compression_method(CompressionMethod::STORE)
            .start()
            .unwrap();
        entry.write_all(contents).unwrap();
        let (crc, len) = (rawzip::crc32(contents), contents.len() as u64);
        entry.finish(DataDescriptorOutput::new(crc, len)).unwrap();
    }
    archive.finish().unwrap()
}
