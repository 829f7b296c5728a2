//! How the bytes of an input say what a target is to do, and back, for the seeds.

mod evidence;
mod matching;

pub use evidence::{Case, REQUEST};
pub use matching::{MatcherInput, Record};

/// What the target `segment` reads.
#[derive(Clone, Debug, Default)]
pub struct SegmentInput<'a> {
    /// The format's version, 1 to 4, of a segment that is sealed around `parts`; 0 for a file that is the
    /// parts, one after the other.
    pub version: u8,
    /// What the manifest says of it: 0 nothing, 1 that there is one, 2 and 3 how long it is.
    pub noted: u8,
    /// What is done to the file: see [`edit`](Self::edit).
    pub edit: u8,
    /// Where.
    pub at: u16,
    /// With what.
    pub with: u8,
    /// What chunks hold.
    pub parts: Vec<&'a [u8]>,
}

impl<'a> SegmentInput<'a> {
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[kind, edit, low, high, with], rest) = bytes.split_first_chunk()?;
        Some(Self {
            version: match kind & 0b1_0011 {
                0b1_0011 => 4,
                _ => kind & 3,
            },
            noted: kind >> 2 & 3,
            edit,
            at: u16::from_le_bytes([low, high]),
            with,
            parts: match kind & 3 {
                0 => vec![rest],
                _ => parts(rest),
            },
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let [low, high] = self.at.to_le_bytes();
        let version = match self.version {
            4 => 0b1_0011,
            version => version & 3,
        };
        let kind = version | self.noted << 2;
        let mut bytes = vec![kind, self.edit, low, high, self.with];
        bytes.extend(match self.version {
            0 => self.parts.concat(),
            _ => joined(&self.parts),
        });
        bytes
    }

    /// Whether what is read is to be written to a log again, in place of an edit.
    pub fn is_written_again(&self) -> bool {
        self.edit >= 0xF0
    }

    /// `file`, changed.
    pub fn edited(&self, file: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        let at = usize::from(self.at) % (file.len() + 1);
        match self.edit % 8 {
            1 => file.truncate(at),
            2 => file
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= self.with),
            3 => file.extend(vec![self.with; at]),
            4 => file.iter_mut().skip(at).for_each(|byte| *byte = 0),
            5 => file = [&file[..at], &[self.with], &file[at..]].concat(),
            6 => drop(file.drain(at..(at + usize::from(self.with)).min(file.len()))),
            // One of an older version, cut.
            7 => {
                file.iter_mut()
                    .skip(8)
                    .take(1)
                    .for_each(|byte| *byte = self.with);
                file.truncate(at);
            }
            _ => {}
        }
        file
    }
}

/// `parts`, each behind its length.
pub fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let part = |part: &&[u8]| [&(part.len() as u16).to_le_bytes()[..], part].concat();
    parts.iter().flat_map(part).collect()
}

/// Pieces of a length of two bytes each, the last of which may be cut.
pub fn parts(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
        let (part, rest) = rest.split_at(len);
        parts.push(part);
        bytes = rest;
    }
    parts
}

/// A file of the log that the target `sealed_files` opens.
#[derive(Clone, Copy, Debug)]
pub struct FileInput<'a> {
    /// Which: an index of [`FILES`].
    pub kind: u8,
    /// Whether it is there sealed, as it stands, or not at all.
    pub form: u8,
    /// What stands behind its name.
    pub suffix: u8,
    /// Its payload, or itself.
    pub payload: &'a [u8],
}

/// Names of a log's files.
pub const FILES: [&str; 6] = [
    "log.meta",
    "own-keys.sealed",
    "manifest.sealed",
    "segment-keys.sealed",
    "reading-key.sealed",
    truyvet::log::fuzzing::SEGMENT,
];

/// Forms of a [`FileInput`].
pub const SEALED: u8 = 0;
pub const PLAIN: u8 = 1;
pub const ABSENT: u8 = 2;

impl<'a> FileInput<'a> {
    pub fn decode_all(bytes: &'a [u8]) -> Vec<Self> {
        let files = parts(bytes).into_iter().take(8);
        files.filter_map(Self::decode).collect()
    }

    fn decode(part: &'a [u8]) -> Option<Self> {
        let (&first, payload) = part.split_first()?;
        Some(Self {
            kind: (first & 15) % FILES.len() as u8,
            form: first >> 4 & 3,
            suffix: first >> 6,
            payload,
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let len = self.payload.len() as u16 + 1;
        let first = self.kind | self.form << 4 | self.suffix << 6;
        [&len.to_le_bytes()[..], &[first], self.payload].concat()
    }

    pub fn name(&self) -> String {
        let suffix = ["", ".next", ".new", ".next.new"][usize::from(self.suffix & 3)];
        [FILES[usize::from(self.kind)], suffix].concat()
    }
}
