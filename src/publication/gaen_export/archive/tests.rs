//! Containers right and wrong.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A zip of entries as they are told, right or wrong.
struct Entry<'a> {
    name: &'a str,
    method: CompressionMethod,
    data: &'a [u8],
    crc: u32,
    len: u64,
    encrypted: bool,
}

impl<'a> Entry<'a> {
    fn stored(name: &'a str, data: &'a [u8]) -> Self {
        Self {
            name,
            method: CompressionMethod::STORE,
            data,
            crc: rawzip::crc32(data),
            len: data.len() as u64,
            encrypted: false,
        }
    }
}

fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for told in entries {
        let (mut entry, _) = archive
            .new_file(told.name)
            .compression_method(told.method)
            .encrypted(told.encrypted)
            .start()
            .unwrap();
        entry.write_all(told.data).unwrap();
        entry
            .finish(DataDescriptorOutput::new(told.crc, told.len))
            .unwrap();
    }
    archive.finish().unwrap()
}

/// A zip of both files as they are.
pub(in super::super) fn stored_zip(bin: &[u8], sig: &[u8]) -> Vec<u8> {
    zip(&[Entry::stored(BIN, bin), Entry::stored(SIG, sig)])
}

struct Files {
    bin: Vec<u8>,
    sig: Vec<u8>,
}

fn unpack(bytes: &[u8]) -> Result<Files, ExportError> {
    let archive = Archive::open(Cursor::new(bytes))?;
    let mut entry = archive.bin()?;
    let (mut bin, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        let read = entry.read_full(&mut piece)?;
        bin.extend_from_slice(&piece[..read]);
        if read < piece.len() {
            let sig = archive.sig()?;
            return Ok(Files { bin, sig });
        }
    }
}

fn refusal(bytes: &[u8]) -> ExportError {
    match unpack(bytes) {
        Err(error) => error,
        Ok(_) => panic!("accepted"),
    }
}

fn refused(entries: &[Entry<'_>]) -> ExportError {
    refusal(&zip(entries))
}

fn sig() -> Entry<'static> {
    Entry::stored(SIG, b"sig")
}

#[test]
fn stored_and_deflated_are_read() {
    for bytes in [
        zip(&[Entry::stored(BIN, b"bin"), sig()]),
        zip(&[
            sig(),
            Entry::stored("readme", b""),
            Entry::stored(BIN, b"bin"),
        ]),
        pack(b"bin", b"sig").unwrap(),
    ] {
        let files = unpack(&bytes).unwrap();
        assert_eq!((&files.bin[..], &files.sig[..]), (&b"bin"[..], &b"sig"[..]));
    }
    let files = unpack(&pack(b"", b"").unwrap()).unwrap();
    assert!(files.bin.is_empty() && files.sig.is_empty());
}

#[test]
fn entry_missing() {
    assert_eq!(refused(&[sig()]), ExportError::EntryMissing { name: BIN });
    assert_eq!(
        refused(&[
            Entry::stored(BIN, b"bin"),
            Entry::stored("x/export.sig", b"sig")
        ]),
        ExportError::EntryMissing { name: SIG }
    );
    assert_eq!(refused(&[]), ExportError::EntryMissing { name: BIN });
}

#[test]
fn entry_repeated() {
    let entries = [Entry::stored(BIN, b"a"), sig(), Entry::stored(BIN, b"b")];
    assert_eq!(refused(&entries), ExportError::EntryRepeated { name: BIN });
    assert_eq!(
        refused(&[sig(), sig()]),
        ExportError::EntryRepeated { name: SIG }
    );
}

#[test]
fn entry_encrypted() {
    let mut bin = Entry::stored(BIN, b"bin");
    bin.encrypted = true;
    assert_eq!(
        refused(&[bin, sig()]),
        ExportError::EntryEncrypted { name: BIN }
    );
}

#[test]
fn entry_of_another_method() {
    let mut bin = Entry::stored(BIN, b"bin");
    bin.method = CompressionMethod::ZSTD;
    let error = ExportError::EntryMethod {
        name: BIN,
        method: 93,
    };
    assert_eq!(refused(&[bin, sig()]), error);
}

#[test]
fn zip_bomb() {
    // 64 MiB of zeros in 64 KiB: refused by what it claims, beside what it has, and by what comes
    // out if it claims less.
    let zeros = vec![0; 64 << 20];
    let data = deflated(&zeros).unwrap();
    drop(zeros);
    let claiming = |len| Entry {
        name: BIN,
        method: CompressionMethod::DEFLATE,
        data: &data,
        crc: 0,
        len,
        encrypted: false,
    };
    let too_long = |len, max| ExportError::EntryTooLong {
        name: BIN,
        len,
        max,
    };
    let max = BIN_BYTES_MAX as u64;
    assert_eq!(
        refused(&[claiming(64 << 20), sig()]),
        too_long(64 << 20, max)
    );
    assert_eq!(refused(&[claiming(max + 1), sig()]), too_long(max + 1, max));
    assert_eq!(refused(&[claiming(100), sig()]), too_long(101, 100));
    assert_eq!(refused(&[claiming(0), sig()]), too_long(1, 0));
    assert_eq!(
        refused(&[claiming(max), sig()]),
        ExportError::EntryRatio {
            name: BIN,
            len: max,
            compressed: data.len() as u64,
        }
    );
    let most = RATIO_MAX * data.len() as u64;
    assert_eq!(refused(&[claiming(most), sig()]), too_long(most + 1, most));
}

#[test]
fn claims_more_than_it_holds() {
    for (len, crc) in [
        (4, rawzip::crc32(b"bin")),
        (3, 0),
        (2, rawzip::crc32(b"bi")),
    ] {
        let mut bin = Entry::stored(BIN, b"bin");
        (bin.len, bin.crc) = (len, crc);
        assert_eq!(
            refused(&[bin, sig()]),
            ExportError::EntryCorrupted { name: BIN }
        );
        let deflated = deflated(b"bin").unwrap();
        let bin = Entry {
            name: BIN,
            method: CompressionMethod::DEFLATE,
            data: &deflated,
            crc,
            len,
            encrypted: false,
        };
        assert!(unpack(&zip(&[bin, sig()])).is_err());
    }
    // A size past 32 bits needs a zip64 record; the claim alone is refused.
    let mut bin = Entry::stored(BIN, b"bin");
    bin.len = 1 << 40;
    assert!(matches!(
        refused(&[bin, sig()]),
        ExportError::EntryTooLong { .. }
    ));
}

#[test]
fn too_many_entries() {
    let names: Vec<String> = (0..=ENTRIES_MAX).map(|n| n.to_string()).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| Entry::stored(name, b"")).collect();
    assert_eq!(refused(&entries), ExportError::TooManyEntries);
}

#[test]
fn archive_too_long() {
    let bytes = vec![0; ARCHIVE_BYTES_MAX + 1];
    let len = bytes.len() as u64;
    assert_eq!(refusal(&bytes), ExportError::ArchiveTooLong { len });
    assert!(matches!(refusal(b""), ExportError::NotZip { .. }));
}

#[test]
fn sig_too_long() {
    let long = vec![0; SIG_BYTES_MAX + 1];
    assert_eq!(
        refused(&[Entry::stored(BIN, b""), Entry::stored(SIG, &long)]),
        ExportError::EntryTooLong {
            name: SIG,
            len: SIG_BYTES_MAX as u64 + 1,
            max: SIG_BYTES_MAX as u64,
        }
    );
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        prop_assert!(unpack(&bytes).is_err());
    }

    #[test]
    fn packed_files_are_unpacked(bin: Vec<u8>, sig: Vec<u8>) {
        let files = unpack(&pack(&bin, &sig).unwrap()).unwrap();
        prop_assert_eq!((files.bin, files.sig), (bin, sig));
    }

    /// A changed byte is refused or changes nothing: CRC-32 sees every change of one byte.
    #[test]
    fn mutations(at: prop::sample::Index, byte: u8) {
        let mut bytes = pack(&[7; 300], b"a signature").unwrap();
        *at.get_mut(&mut bytes) = byte;
        if let Ok(files) = unpack(&bytes) {
            prop_assert_eq!(files.bin, vec![7; 300]);
            prop_assert_eq!(files.sig, b"a signature");
        }
    }
}
