//! Every byte of the log's files. `docs/log-format.md` has the same as tables; a change to one is a
//! change to both.

use crate::crypto::{self, AeadKey, TAG_BYTES};
use crate::secret::Secret;
use crate::time::UtcDay;

use super::LogError;

/// The version of a segment that is written, and the newest that is read. Version 1 had no packing.
pub(crate) const SEGMENT_VERSION: u16 = 2;

/// The version of a sealed file.
const FILE_VERSION: u16 = 1;

/// In PNG's manner: a byte no text has, the name, and the line ends that transfers damage.
const SEGMENT_MAGIC: [u8; 8] = *b"\x89TVS\r\n\x1A\n";
const FILE_MAGIC: [u8; 8] = *b"\x89TVF\r\n\x1A\n";

pub(crate) const SEGMENT_HEADER_BYTES: usize = 48;

/// A chunk's length, sealed: so that a length that was changed is damage, and not the look of a chunk
/// that was cut.
pub(crate) const CHUNK_HEADER_BYTES: usize = 4 + TAG_BYTES;

/// Sealed bytes behind a chunk's header at most. Chosen: a full chunk of sightings (about 53 kB) with room for
/// larger records to come, and small enough to be read into memory at once.
pub(crate) const CHUNK_BYTES_MAX: usize = 1 << 17;

/// What identifies a log; every segment and file of it bears it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LogId(pub(crate) [u8; 16]);

/// The first 48 bytes of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) version: u16,
    pub(crate) day: UtcDay,
    pub(crate) log_id: LogId,
    pub(crate) salt: [u8; 16],
}

impl SegmentHeader {
    /// magic 8 | version 2 | zero 2 | day 4 | log id 16 | salt 16, integers little-endian.
    pub(crate) fn to_bytes(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let fields = [
            &SEGMENT_MAGIC[..],
            &self.version.to_le_bytes(),
            &[0, 0],
            &self.day.unix_days().to_le_bytes(),
            &self.log_id.0,
            &self.salt,
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    pub(crate) fn from_bytes(
        bytes: &[u8; SEGMENT_HEADER_BYTES],
        segment: &str,
    ) -> Result<Self, LogError> {
        let (magic, rest) = split::<8>(bytes);
        let (version, rest) = split::<2>(rest);
        let (zero, rest) = split::<2>(rest);
        let (day, rest) = split::<4>(rest);
        let (log_id, rest) = split::<16>(rest);
        let (salt, _) = split::<16>(rest);
        let version = check_prelude(magic, SEGMENT_MAGIC, version, SEGMENT_VERSION, segment)?;
        if zero != [0, 0] {
            return Err(LogError::corrupted(
                segment,
                10,
                "two bytes that must be zero are not",
            ));
        }
        Ok(Self {
            version,
            day: UtcDay::from_unix_days(u32::from_le_bytes(day)),
            log_id: LogId(log_id),
            salt,
        })
    }

    /// `HKDF(key-encryption key, salt, "truyvet log segment v1" || log id || day, 32)`: fresh for
    /// every segment, because the salt is, so that chunk numbers may begin at zero in each.
    pub(crate) fn segment_key(&self, kek: &Secret<32>) -> Result<AeadKey, LogError> {
        let day = self.day.unix_days().to_le_bytes();
        let info: [&[u8]; 3] = [b"truyvet log segment v1", &self.log_id.0, &day];
        derive(kek, &self.salt, &info)
    }
}

/// The nonces of a chunk's header and of its body; the additional data of both is the segment's header.
pub(crate) const fn chunk_nonces(chunk_index: u64) -> [u64; 2] {
    [2 * chunk_index, 2 * chunk_index + 1]
}

/// A small file that is sealed and replaced as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FileKind {
    /// The log's identity; what tells a wrong key.
    Meta,
    /// The device's own daily keys.
    OwnKeys,
}

impl FileKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "log.meta",
            Self::OwnKeys => "own-keys.sealed",
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::Meta => 1,
            Self::OwnKeys => 2,
        }
    }

    /// magic 8 | version 2 | kind 2 | salt 16 | sealed payload. `context` is what the payload is
    /// bound to beside that: the log id, or nothing for the file that holds it.
    pub(crate) fn seal(
        self,
        kek: &Secret<32>,
        salt: [u8; 16],
        context: &[u8],
        mut payload: Vec<u8>,
    ) -> Result<Vec<u8>, LogError> {
        let mut bytes = [
            &FILE_MAGIC[..],
            &FILE_VERSION.to_le_bytes(),
            &self.number().to_le_bytes(),
            &salt,
        ]
        .concat();
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
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, LogError> {
        let Some((header, sealed)) = bytes.split_first_chunk::<28>() else {
            return Err(LogError::corrupted(self.name(), 0, "the file is cut"));
        };
        let (magic, rest) = split::<8>(header);
        let (version, rest) = split::<2>(rest);
        let (kind, rest) = split::<2>(rest);
        let (salt, _) = split::<16>(rest);
        check_prelude(magic, FILE_MAGIC, version, FILE_VERSION, self.name())?;
        if kind != self.number().to_le_bytes() {
            return Err(LogError::corrupted(
                self.name(),
                10,
                "it is another kind of file",
            ));
        }
        let aad = [header, context].concat();
        let mut sealed = zeroize::Zeroizing::new(sealed.to_vec());
        let opened = self.key(kek, &salt)?.open(0, &aad, &mut sealed);
        Ok(opened
            .ok()
            .map(|payload| zeroize::Zeroizing::new(payload.to_vec())))
    }

    fn key(self, kek: &Secret<32>, salt: &[u8; 16]) -> Result<AeadKey, LogError> {
        derive(
            kek,
            salt,
            &[b"truyvet log file v1", &self.number().to_le_bytes()],
        )
    }
}

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
        version: 2,
        day: UtcDay::from_unix_days(0x0002_0304),
        log_id: LogId([5; 16]),
        salt: [6; 16],
    };

    #[test]
    fn header_bytes_are_pinned() {
        let mut expected = b"\x89TVS\r\n\x1A\n\x02\x00\x00\x00\x04\x03\x02\x00".to_vec();
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
        for version in [0_u8, 3] {
            let mut bytes = HEADER.to_bytes();
            bytes[8] = version;
            let error = SegmentHeader::from_bytes(&bytes, "s").unwrap_err();
            assert!(matches!(
                error,
                LogError::UnsupportedVersion { found, newest: 2, .. } if found == u16::from(version)
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
