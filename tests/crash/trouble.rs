//! Calls that fail.

use std::io::ErrorKind;

use crate::platter::Entry;

/// What the disk is asked for.
pub(crate) enum Call<'a> {
    Read(&'static str),
    Change(&'a Entry),
}

impl Call<'_> {
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self, Self::Change(Entry::Sync { .. }))
    }

    fn needs_room(&self) -> bool {
        let Self::Change(entry) = self else {
            return false;
        };
        matches!(entry, Entry::Create { .. } | Entry::Append { .. })
    }

    /// Files alone: the keys are elsewhere.
    fn writes(&self) -> bool {
        match self {
            Self::Read(what) => *what == "lock",
            Self::Change(Entry::ReplaceKey { .. } | Entry::EraseKeys) => false,
            Self::Change(_) => true,
        }
    }
}

/// What is wrong with the disk. Calls are counted from 1, reading included.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    None,
    /// One call does nothing and says so. A sync does part of it; see [`super::disk`].
    Refused(usize, ErrorKind),
    /// One call does half of what it should: of an append some bytes are written.
    Short(usize, ErrorKind),
    /// One call does what it should, and says that it has not.
    Late(usize, ErrorKind),
    /// From a call on there is no room: nothing can be made, and of what is appended half is written.
    FullFrom(usize),
    /// Nothing can be written.
    ReadOnly,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Fine,
    Refused(ErrorKind),
    Short(ErrorKind),
    Late(ErrorKind),
}

impl Trouble {
    pub(crate) fn of(self, number: usize, call: &Call<'_>) -> Verdict {
        match self {
            Self::Refused(at, kind) if at == number => Verdict::Refused(kind),
            Self::Short(at, kind) if at == number => match call {
                Call::Change(Entry::Append { .. } | Entry::Overwrite { .. }) => {
                    Verdict::Short(kind)
                }
                _ => Verdict::Refused(kind),
            },
            Self::Late(at, kind) if at == number => match call {
                Call::Read(_) => Verdict::Refused(kind),
                Call::Change(_) => Verdict::Late(kind),
            },
            Self::FullFrom(from) if number >= from && call.needs_room() => match call {
                Call::Change(Entry::Append { .. }) => Verdict::Short(ErrorKind::StorageFull),
                _ => Verdict::Refused(ErrorKind::StorageFull),
            },
            Self::ReadOnly if call.writes() => Verdict::Refused(ErrorKind::ReadOnlyFilesystem),
            _ => Verdict::Fine,
        }
    }
}
