//! Every byte of the log's files. `docs/log-format.md` has the same as tables; a change to one is a
//! change to both.

use zeroize::Zeroizing;

use super::LogError;
use crate::crypto::{self, AeadKey, ENCAPSULATED_BYTES, TAG_BYTES};
use crate::secret::Secret;
use crate::time::UtcDay;

/// The version of a segment that is written, and the newest that is read. Version 1 had no packing, both 1 and 2
/// were sealed under a key that the writer held, and none before 4 had entries.
pub(crate) const SEGMENT_VERSION: u16 = 4;

/// The first version whose root is sealed to the reading key.
pub(crate) const ROOTED_VERSION: u16 = 3;

/// The version of a sealed file. Version 1 of `log.meta` knew no reading key.
const FILE_VERSION: u16 = 2;

/// In PNG's manner: a byte no text has, the name, and the line ends that transfers damage.
const SEGMENT_MAGIC: [u8; 8] = *b"\x89TVS\r\n\x1A\n";
const FILE_MAGIC: [u8; 8] = *b"\x89TVF\r\n\x1A\n";

/// What every version of a segment begins with.
pub(crate) const PRELUDE_BYTES: usize = 48;

/// The sealed root behind it: an encapsulated key, and 32 bytes with their tag.
pub(crate) const SEALED_ROOT_BYTES: usize = ENCAPSULATED_BYTES + 32 + TAG_BYTES;

/// Where the chunks begin.
pub(crate) const SEGMENT_HEADER_BYTES: usize = PRELUDE_BYTES + SEALED_ROOT_BYTES;

/// A chunk's length.
pub(crate) const CHUNK_HEADER_BYTES: usize = 4;

/// Sealed bytes behind a chunk's header at most. Chosen: a full chunk of sightings (43 kB at worst) with room
/// for larger records to come, and small enough to be read into memory at once.
pub(crate) const CHUNK_BYTES_MAX: usize = 1 << 17;

const FILE_HEADER_BYTES: usize = 28;

/// What identifies a log; every segment and file of it bears it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LogId(pub(crate) [u8; 16]);

/// What tells a segment from all others, in its header.
pub(crate) type SegmentId = [u8; 16];

/// The first 48 bytes of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) version: u16,
    /// Which of its day's it is; 0 in versions 1 and 2, which did not say.
    pub(crate) number: u16,
    pub(crate) day: UtcDay,
    pub(crate) log_id: LogId,
    /// Random; in versions 1 and 2 the salt of the segment's key.
    pub(crate) id: SegmentId,
}

impl SegmentHeader {
    /// magic 8 | version 2 | number 2 | day 4 | log id 16 | segment id 16, integers little-endian.
    pub(crate) fn to_bytes(self) -> [u8; PRELUDE_BYTES] {
        let mut bytes = [0; PRELUDE_BYTES];
        let fields = [
            &SEGMENT_MAGIC[..],
            &self.version.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.day.unix_days().to_le_bytes(),
            &self.log_id.0,
            &self.id,
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; PRELUDE_BYTES], segment: &str) -> Result<Self, LogError> {
        let (magic, rest) = split::<8>(bytes);
        let (version, rest) = split::<2>(rest);
        let (number, rest) = split::<2>(rest);
        let (day, rest) = split::<4>(rest);
        let (log_id, rest) = split::<16>(rest);
        let (id, _) = split::<16>(rest);
        let version = check_prelude(magic, SEGMENT_MAGIC, version, SEGMENT_VERSION, segment)?;
        if version < ROOTED_VERSION && number != [0, 0] {
            return Err(LogError::corrupted(
                segment,
                10,
                "two bytes that must be zero are not",
            ));
        }
        Ok(Self {
            version,
            number: u16::from_le_bytes(number),
            day: UtcDay::from_unix_days(u32::from_le_bytes(day)),
            log_id: LogId(log_id),
            id,
        })
    }

    /// `SealBase(reading key, "truyvet log segment v3", header, root)`.
    pub(crate) fn seal_root(
        &self,
        reading: &[u8; 32],
        root: &Secret<32>,
    ) -> Result<Vec<u8>, LogError> {
        let sealed = crypto::seal_to(reading, SEGMENT_INFO, &self.to_bytes(), root.expose());
        let (encapsulated, sealed) = sealed.map_err(|_| LogError::Crypto)?;
        Ok([&encapsulated[..], &sealed].concat())
    }

    /// The root in what [`seal_root`](Self::seal_root) gave; `None` if it does not open.
    pub(crate) fn open_root(&self, private: &Secret<32>, sealed: &[u8]) -> Option<Secret<32>> {
        let (encapsulated, sealed) = sealed.split_first_chunk()?;
        let aad = self.to_bytes();
        let root = crypto::open_sealed(private, encapsulated, SEGMENT_INFO, &aad, sealed).ok()?;
        Some(Secret::new(root.as_slice().try_into().ok()?))
    }

    /// Of versions 1 and 2: `HKDF(key-encryption key, segment id, "truyvet log segment v1" || log id || day, 32)`.
    pub(crate) fn legacy_key(&self, kek: &Secret<32>) -> Result<AeadKey, LogError> {
        let day = self.day.unix_days().to_le_bytes();
        let info: [&[u8]; 3] = [b"truyvet log segment v1", &self.log_id.0, &day];
        derive(kek, &self.id, &info)
    }
}

/// Also in version 4, which the header says: what is sealed is the same.
const SEGMENT_INFO: &[u8] = b"truyvet log segment v3";

/// What the key of a chunk and the secret of the next are made of: see [`crypto::step`].
pub(crate) const CHUNK_INFO: &[u8] = b"truyvet log chunk v3";

/// A small file that is sealed and replaced as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FileKind {
    /// The log's identity, and to whom segments are sealed; what tells a wrong key.
    Meta,
    /// The device's own daily keys.
    OwnKeys,
    /// Which segments there are, and how long.
    Manifest,
    /// The roots of segments whose own header is sealed to a reading key of before.
    SegmentKeys,
    /// A reading key, sealed to the one before.
    ReadingKey,
}

impl FileKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "log.meta",
            Self::OwnKeys => "own-keys.sealed",
            Self::Manifest => "manifest.sealed",
            Self::SegmentKeys => "segment-keys.sealed",
            Self::ReadingKey => "reading-key.sealed",
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::Meta => 1,
            Self::OwnKeys => 2,
            Self::Manifest => 3,
            Self::SegmentKeys => 4,
            Self::ReadingKey => 5,
        }
    }

    /// magic 8 | version 2 | kind 2 | `tail` 16: a salt, or the log id.
    fn header(self, tail: &[u8; 16]) -> Vec<u8> {
        [
            &FILE_MAGIC[..],
            &FILE_VERSION.to_le_bytes(),
            &self.number().to_le_bytes(),
            tail,
        ]
        .concat()
    }

    /// header 28 | sealed payload, under the logging key. `context` is what the payload is bound to beside
    /// that: the log id, or nothing for the file that holds it.
    pub(crate) fn seal(
        self,
        kek: &Secret<32>,
        salt: [u8; 16],
        context: &[u8],
        mut payload: Vec<u8>,
    ) -> Result<Vec<u8>, LogError> {
        let mut bytes = self.header(&salt);
        let aad = [&bytes, context].concat();
        self.key(kek, &salt)?
            .seal(0, &aad, &mut payload)
            .map_err(|_| LogError::Crypto)?;
        bytes.extend(payload);
        Ok(bytes)
    }

    /// The payload; `None` if it does not open under this key and context.
    pub(crate) fn open(
        self,
        kek: &Secret<32>,
        context: &[u8],
        bytes: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, LogError> {
        let Parts {
            header,
            tail: salt,
            sealed,
        } = self.split(bytes)?;
        let aad = [&header[..], context].concat();
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = self.key(kek, &salt)?.open(0, &aad, &mut sealed);
        Ok(opened.ok().map(|payload| Zeroizing::new(payload.to_vec())))
    }

    /// header 28, with the log id | encapsulated key 32 | sealed payload, to the reading key.
    pub(crate) fn seal_to(
        self,
        reading: &[u8; 32],
        log_id: LogId,
        payload: &[u8],
    ) -> Result<Vec<u8>, LogError> {
        let mut bytes = self.header(&log_id.0);
        let sealed = crypto::seal_to(reading, FILE_INFO, &bytes, payload);
        let (encapsulated, sealed) = sealed.map_err(|_| LogError::Crypto)?;
        bytes.extend(encapsulated);
        bytes.extend(sealed);
        Ok(bytes)
    }

    /// The payload; `None` if it does not open with this key, or is another log's.
    pub(crate) fn open_sealed(
        self,
        private: &Secret<32>,
        log_id: LogId,
        bytes: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, LogError> {
        let parts = self.split(bytes)?;
        let Some((encapsulated, sealed)) = parts.sealed.split_first_chunk() else {
            return Err(LogError::corrupted(self.name(), 0, "the file is cut"));
        };
        let opened = crypto::open_sealed(private, encapsulated, FILE_INFO, parts.header, sealed);
        Ok(opened.ok().filter(|_| parts.tail == log_id.0))
    }

    fn split(self, bytes: &[u8]) -> Result<Parts<'_>, LogError> {
        let Some((header, sealed)) = bytes.split_first_chunk::<FILE_HEADER_BYTES>() else {
            return Err(LogError::corrupted(self.name(), 0, "the file is cut"));
        };
        let (magic, rest) = split::<8>(header);
        let (version, rest) = split::<2>(rest);
        let (kind, rest) = split::<2>(rest);
        let (tail, _) = split::<16>(rest);
        check_prelude(magic, FILE_MAGIC, version, FILE_VERSION, self.name())?;
        if kind != self.number().to_le_bytes() {
            return Err(LogError::corrupted(
                self.name(),
                10,
                "it is another kind of file",
            ));
        }
        Ok(Parts {
            header,
            tail,
            sealed,
        })
    }

    fn key(self, kek: &Secret<32>, salt: &[u8; 16]) -> Result<AeadKey, LogError> {
        derive(
            kek,
            salt,
            &[b"truyvet log file v1", &self.number().to_le_bytes()],
        )
    }
}

/// A sealed file, as far as it is in plain.
struct Parts<'a> {
    header: &'a [u8; FILE_HEADER_BYTES],
    /// The header's end: a salt, or the log id.
    tail: [u8; 16],
    sealed: &'a [u8],
}

const FILE_INFO: &[u8] = b"truyvet log file v2";

fn derive(kek: &Secret<32>, salt: &[u8; 16], info: &[&[u8]]) -> Result<AeadKey, LogError> {
    crypto::hkdf_sha256(kek.expose(), salt, info)
        .and_then(|key| AeadKey::new(&key))
        .map_err(|_| LogError::Crypto)
}

/// The version, if it is one that is known.
fn check_prelude(
    magic: [u8; 8],
    expected: [u8; 8],
    version: [u8; 2],
    newest: u16,
    file: &str,
) -> Result<u16, LogError> {
    if magic != expected {
        return Err(LogError::corrupted(file, 0, "it is no file of a log"));
    }
    let found = u16::from_le_bytes(version);
    match (1..=newest).contains(&found) {
        true => Ok(found),
        false => Err(LogError::UnsupportedVersion {
            file: file.to_owned(),
            found,
            newest,
        }),
    }
}

/// The first `N` of `bytes`, which the caller knows to be there; zeros where they are not.
fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    match bytes.split_first_chunk::<N>() {
        Some((first, rest)) => (*first, rest),
        None => ([0; N], &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        version: 4,
        number: 0x0607,
        day: UtcDay::from_unix_days(0x0002_0304),
        log_id: LogId([5; 16]),
        id: [6; 16],
    };

    #[test]
    fn header_bytes_are_pinned() {
        let mut expected = b"\x89TVS\r\n\x1A\n\x04\x00\x07\x06\x04\x03\x02\x00".to_vec();
        expected.extend([5; 16]);
        expected.extend([6; 16]);
        assert_eq!(HEADER.to_bytes().to_vec(), expected);
        assert_eq!(
            SegmentHeader::from_bytes(&HEADER.to_bytes(), "s").unwrap(),
            HEADER
        );
    }

    #[test]
    fn magic_wrong() {
        let mut bytes = HEADER.to_bytes();
        bytes[3] = b'X';
        let error = SegmentHeader::from_bytes(&bytes, "s").unwrap_err();
        assert!(matches!(error, LogError::Corrupted { offset: 0, .. }));
    }

    #[test]
    fn version_of_tomorrow() {
        for version in [0_u8, 5] {
            let mut bytes = HEADER.to_bytes();
            bytes[8] = version;
            let error = SegmentHeader::from_bytes(&bytes, "s").unwrap_err();
            assert!(matches!(
                error,
                LogError::UnsupportedVersion { found, newest: 4, .. } if found == u16::from(version)
            ));
        }
    }

    #[test]
    fn sealed_files_open_only_whole_with_their_key_in_their_place() {
        let (kek, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let sealed = FileKind::OwnKeys
            .seal(&kek, [3; 16], b"log a", b"payload".to_vec())
            .unwrap();
        let open = |kek, context: &[u8], bytes: &[u8]| {
            FileKind::OwnKeys.open(kek, context, bytes).unwrap()
        };
        assert_eq!(
            **open(&kek, b"log a", &sealed).as_ref().unwrap(),
            *b"payload"
        );
        assert!(open(&other, b"log a", &sealed).is_none());
        assert!(open(&kek, b"log b", &sealed).is_none());
        assert!(open(&kek, b"log a", &sealed[..sealed.len() - 1]).is_none());
        assert!(FileKind::Meta.open(&kek, b"log a", &sealed).is_err());
        assert!(FileKind::OwnKeys.open(&kek, b"", &sealed[..27]).is_err());
    }
}
