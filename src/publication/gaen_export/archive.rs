//! The zip container: two entries out of it and into it, and nothing it claims is believed.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use rawzip::{CompressionMethod, Crc32, DataDescriptorOutput, ErrorKind, ReaderAt};
use rawzip::{RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder, ZipArchiveWriter};
use rawzip::{ZipLocator, ZipReader, ZipVerification};

use super::deflate::{Inflate, InflateFault, deflated};
use super::{
    ARCHIVE_BYTES_MAX, BIN, BIN_BYTES_MAX, ENTRIES_MAX, ExportError, RATIO_FREE_BYTES, RATIO_MAX,
    SIG, SIG_BYTES_MAX,
};

/// An export's zip, of which the directory has been read and both entries found.
pub(super) struct Archive<R> {
    zip: ZipArchive<Shared<R>>,
    bin: Found,
    sig: Found,
}

/// An entry, and what the directory says of it.
#[derive(Clone, Copy, Debug)]
struct Found {
    name: &'static str,
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
}

/// A file of which several readers read, each where it is.
struct Shared<R>(Mutex<R>);

impl<R: Read + Seek> ReaderAt for Shared<R> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // Each reading begins with a seek: whoever panicked has left nothing behind that matters.
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        loop {
            match file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory of `file`. Entries of other names are ignored, their contents never
    /// touched.
    pub(super) fn open(mut file: R) -> Result<Self, ExportError> {
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if len > ARCHIVE_BYTES_MAX as u64 {
            return Err(ExportError::ArchiveTooLong { len });
        }
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let file = Shared(Mutex::new(file));
        let zip = ZipLocator::new().locate_in_reader(file, &mut buffer, len);
        let zip = zip.map_err(|(_, error)| not_zip(error))?;
        let mut bin = Wanted::new(BIN, BIN_BYTES_MAX);
        let mut sig = Wanted::new(SIG, SIG_BYTES_MAX);
        let mut entries = zip.entries(&mut buffer);
        let mut count = 0;
        while let Some(entry) = entries.next_entry().map_err(not_zip)? {
            count += 1;
            if count > ENTRIES_MAX {
                return Err(ExportError::TooManyEntries);
            }
            for wanted in [&mut bin, &mut sig] {
                if entry.file_path().as_bytes() == wanted.name.as_bytes() {
                    let encrypted = entry.flags().is_encrypted();
                    wanted.found(entry.wayfinder(), entry.compression_method(), encrypted)?;
                }
            }
        }
        let (bin, sig) = (bin.checked()?, sig.checked()?);
        Ok(Self { zip, bin, sig })
    }

    /// `export.bin`, from its beginning.
    pub(super) fn bin(&self) -> Result<Entry<'_, R>, ExportError> {
        Entry::open(&self.zip, self.bin)
    }

    /// The whole of `export.sig`.
    pub(super) fn sig(&self) -> Result<Vec<u8>, ExportError> {
        let mut entry = Entry::open(&self.zip, self.sig)?;
        let mut contents = vec![0; usize::try_from(entry.left).unwrap_or(SIG_BYTES_MAX)];
        let read = entry.read_full(&mut contents)?;
        contents.truncate(read);
        Ok(contents)
    }
}

fn not_zip(error: rawzip::Error) -> ExportError {
    match error.into_kind() {
        ErrorKind::IO(error) if error.kind() != io::ErrorKind::UnexpectedEof => failed(error),
        kind => ExportError::NotZip {
            reason: rawzip::Error::from(kind).to_string(),
        },
    }
}

/// The file could not be read.
pub(super) fn failed(error: io::Error) -> ExportError {
    ExportError::Io {
        kind: error.kind(),
        reason: error.to_string(),
    }
}

/// An entry that is looked for.
struct Wanted {
    name: &'static str,
    bytes_max: usize,
    entry: Option<(Found, bool)>,
}

impl Wanted {
    fn new(name: &'static str, bytes_max: usize) -> Self {
        Self {
            name,
            bytes_max,
            entry: None,
        }
    }

    fn found(
        &mut self,
        place: ZipArchiveEntryWayfinder,
        method: CompressionMethod,
        encrypted: bool,
    ) -> Result<(), ExportError> {
        let name = self.name;
        let found = Found {
            name,
            place,
            method,
        };
        // Two readers that disagree on which of two entries counts would read different keys.
        match self.entry.replace((found, encrypted)) {
            None => Ok(()),
            Some(_) => Err(ExportError::EntryRepeated { name }),
        }
    }

    /// The entry, if what the directory says of it may be.
    fn checked(self) -> Result<Found, ExportError> {
        let (name, max) = (self.name, self.bytes_max as u64);
        let (found, encrypted) = self.entry.ok_or(ExportError::EntryMissing { name })?;
        if encrypted {
            return Err(ExportError::EntryEncrypted { name });
        }
        if ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&found.method) {
            let method = found.method.as_u16();
            return Err(ExportError::EntryMethod { name, method });
        }
        let len = found.place.uncompressed_size_hint();
        let compressed = found.place.compressed_size_hint();
        if len > max {
            return Err(ExportError::EntryTooLong { name, len, max });
        }
        if len > RATIO_FREE_BYTES && len > compressed.saturating_mul(RATIO_MAX) {
            return Err(ExportError::EntryRatio {
                name,
                len,
                compressed,
            });
        }
        Ok(found)
    }
}

/// An entry's contents as they stream out: exactly as many as the directory says, or an error.
pub(super) struct Entry<'a, R> {
    name: &'static str,
    contents: Contents<ZipReader<&'a Shared<R>>>,
    len: u64,
    left: u64,
    crc: Crc32,
    expected: ZipVerification,
}

enum Contents<T> {
    Stored(T),
    Deflated(Box<Inflate<T>>),
}

impl<'a, R: Read + Seek> Entry<'a, R> {
    fn open(zip: &'a ZipArchive<Shared<R>>, found: Found) -> Result<Self, ExportError> {
        let entry = zip.get_entry(found.place).map_err(not_zip)?;
        let data = entry.reader();
        let expected = data.claim_verifier();
        let len = found.place.uncompressed_size_hint();
        Ok(Self {
            name: found.name,
            contents: match found.method {
                CompressionMethod::STORE => Contents::Stored(data),
                _ => Contents::Deflated(Box::new(Inflate::new(data))),
            },
            len,
            left: len,
            crc: Crc32::new(),
            expected,
        })
    }

    /// Bytes it has, as the directory says.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `into` as far as there is something, and says how far. Whoever got less than asked for,
    /// or all of [`len`](Self::len), has had the whole, and its CRC-32 is the directory's.
    pub(super) fn read_full(&mut self, into: &mut [u8]) -> Result<usize, ExportError> {
        let (name, wanted) = (self.name, self.left.min(into.len() as u64) as usize);
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..wanted).filter(|rest| !rest.is_empty()) {
            match self.contents.read(rest) {
                Ok(0) => return Err(ExportError::EntryCorrupted { name }),
                Ok(read) => filled += read,
                Err(fault) => return Err(fault.of(name)),
            }
        }
        self.crc.update(into.get(..filled).unwrap_or_default());
        self.left -= filled as u64;
        if self.left == 0 {
            self.check_end()?;
        }
        Ok(filled)
    }

    /// That no more comes, and the CRC-32.
    fn check_end(&mut self) -> Result<(), ExportError> {
        let (name, max) = (self.name, self.len);
        let more = self
            .contents
            .read(&mut [0])
            .map_err(|fault| fault.of(name))?;
        if more > 0 && matches!(self.contents, Contents::Deflated(_)) {
            let len = max + 1;
            return Err(ExportError::EntryTooLong { name, len, max });
        }
        if more > 0 || self.crc.checksum() != self.expected.crc {
            return Err(ExportError::EntryCorrupted { name });
        }
        Ok(())
    }
}

impl<T: Read> Contents<T> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, InflateFault> {
        match self {
            Self::Stored(data) => Ok(data.read(into)?),
            Self::Deflated(data) => data.read(into),
        }
    }
}

impl InflateFault {
    fn of(self, name: &'static str) -> ExportError {
        match self {
            Self::Corrupted => ExportError::EntryCorrupted { name },
            Self::Io(error) => failed(error),
        }
    }
}

/// A zip of both files, deflated as every server does. No time of writing: the same files give the
/// same zip. `None` if it cannot be made.
pub(super) fn pack(bin: &[u8], sig: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ZipArchiveWriter::new(Vec::with_capacity(bin.len() + 1024));
    for (name, contents) in [(BIN, bin), (SIG, sig)] {
        let file = archive.new_file(name);
        let (mut entry, _) = file
            .compression_method(CompressionMethod::DEFLATE)
            .start()
            .ok()?;
        entry.write_all(&deflated(contents)?).ok()?;
        let (crc, len) = (rawzip::crc32(contents), contents.len() as u64);
        entry.finish(DataDescriptorOutput::new(crc, len)).ok()?;
    }
    archive.finish().ok()
}

#[cfg(test)]
pub(super) mod tests;
