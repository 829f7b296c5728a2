//! The zip container: two entries out of it and into it, and nothing it claims is believed.

use std::io::Write;

use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchive, ZipArchiveWriter};
use rawzip::{ZipArchiveEntryWayfinder, ZipSliceArchive};

use super::{ARCHIVE_BYTES_MAX, BIN, BIN_BYTES_MAX, ENTRIES_MAX, ExportError, SIG, SIG_BYTES_MAX};

/// The two files of an export.
pub(super) struct Files {
    pub(super) bin: Vec<u8>,
    pub(super) sig: Vec<u8>,
}

/// Takes both files out of `zip`. Entries of other names are ignored, their contents never touched.
pub(super) fn unpack(zip: &[u8]) -> Result<Files, ExportError> {
    if zip.len() > ARCHIVE_BYTES_MAX {
        return Err(ExportError::ArchiveTooLong { len: zip.len() });
    }
    let archive = ZipArchive::from_slice(zip).map_err(not_zip)?;
    let mut bin = Wanted::new(BIN, BIN_BYTES_MAX);
    let mut sig = Wanted::new(SIG, SIG_BYTES_MAX);
    let mut entries = archive.entries();
    let mut count = 0;
    while let Some(entry) = entries.next_entry().map_err(not_zip)? {
        count += 1;
        if count > ENTRIES_MAX {
            return Err(ExportError::TooManyEntries);
        }
        for wanted in [&mut bin, &mut sig] {
            if entry.file_path().as_bytes() == wanted.name.as_bytes() {
                wanted.found(Found {
                    place: entry.wayfinder(),
                    method: entry.compression_method(),
                    encrypted: entry.flags().is_encrypted(),
                })?;
            }
        }
    }
    Ok(Files {
        bin: bin.contents(&archive)?,
        sig: sig.contents(&archive)?,
    })
}

fn not_zip(error: rawzip::Error) -> ExportError {
    ExportError::NotZip {
        reason: error.to_string(),
    }
}

/// An entry that is looked for.
struct Wanted {
    name: &'static str,
    bytes_max: usize,
    entry: Option<Found>,
}

struct Found {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    encrypted: bool,
}

impl Wanted {
    fn new(name: &'static str, bytes_max: usize) -> Self {
        Self {
            name,
            bytes_max,
            entry: None,
        }
    }

    fn found(&mut self, entry: Found) -> Result<(), ExportError> {
        // Two readers that disagree on which of two entries counts would read different keys.
        match self.entry.replace(entry) {
            None => Ok(()),
            Some(_) => Err(ExportError::EntryRepeated { name: self.name }),
        }
    }

    fn contents<T: AsRef<[u8]>>(
        &self,
        archive: &ZipSliceArchive<T>,
    ) -> Result<Vec<u8>, ExportError> {
        let name = self.name;
        let found = self
            .entry
            .as_ref()
            .ok_or(ExportError::EntryMissing { name })?;
        if found.encrypted {
            return Err(ExportError::EntryEncrypted { name });
        }
        let claimed = found.place.uncompressed_size_hint();
        let len = self.within_limit(claimed)?;
        let entry = archive.get_entry(found.place).map_err(not_zip)?;
        let contents = match found.method {
            CompressionMethod::STORE => self.stored(entry.data())?,
            CompressionMethod::DEFLATE => self.inflated(entry.data(), len)?,
            method => {
                let method = method.as_u16();
                return Err(ExportError::EntryMethod { name, method });
            }
        };
        let expected = entry.claim_verifier();
        if contents.len() != len || rawzip::crc32(&contents) != expected.crc {
            return Err(ExportError::EntryCorrupted { name });
        }
        Ok(contents)
    }

    fn within_limit(&self, claimed: u64) -> Result<usize, ExportError> {
        usize::try_from(claimed)
            .ok()
            .filter(|len| *len <= self.bytes_max)
            .ok_or(ExportError::EntryTooLong {
                name: self.name,
                len: claimed,
                max: self.bytes_max as u64,
            })
    }

    fn stored(&self, data: &[u8]) -> Result<Vec<u8>, ExportError> {
        self.within_limit(data.len() as u64)?;
        Ok(data.to_vec())
    }

    /// Inflates no further than one byte past the `len` that the entry claims: the buffer grows with
    /// what really comes out, up to the limit.
    fn inflated(&self, data: &[u8], len: usize) -> Result<Vec<u8>, ExportError> {
        let name = self.name;
        miniz_oxide::inflate::decompress_to_vec_with_limit(data, len + 1).map_err(|error| {
            match error.status {
                miniz_oxide::inflate::TINFLStatus::HasMoreOutput => ExportError::EntryTooLong {
                    name,
                    len: len as u64 + 1,
                    max: len as u64,
                },
                _ => ExportError::EntryCorrupted { name },
            }
        })
    }
}

/// A zip of both files, deflated as every server does. No time of writing: the same files give the
/// same zip.
pub(super) fn pack(bin: &[u8], sig: &[u8]) -> Result<Vec<u8>, rawzip::Error> {
    /// zlib's usual level: keys are random, so higher ones gain nothing.
    const LEVEL: u8 = 6;
    let mut archive = ZipArchiveWriter::new(Vec::with_capacity(bin.len() + 1024));
    for (name, contents) in [(BIN, bin), (SIG, sig)] {
        let (mut entry, _) = archive
            .new_file(name)
            .compression_method(CompressionMethod::DEFLATE)
            .start()?;
        let deflated = miniz_oxide::deflate::compress_to_vec(contents, LEVEL);
        entry.write_all(&deflated).map_err(rawzip::Error::from)?;
        let (crc, len) = (rawzip::crc32(contents), contents.len() as u64);
        entry.finish(DataDescriptorOutput::new(crc, len))?;
    }
    archive.finish()
}

#[cfg(test)]
mod tests {
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
        // 64 MiB of zeros in 64 KiB: refused by what it claims, and by what comes out if it
        // claims less.
        let zeros = vec![0; 64 << 20];
        let data = miniz_oxide::deflate::compress_to_vec(&zeros, 6);
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
        assert_eq!(refused(&[claiming(max), sig()]), too_long(max + 1, max));
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
            let deflated = miniz_oxide::deflate::compress_to_vec(b"bin", 6);
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
        let len = ARCHIVE_BYTES_MAX + 1;
        assert_eq!(refusal(&vec![0; len]), ExportError::ArchiveTooLong { len });
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
}
