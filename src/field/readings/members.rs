//! Who takes part, before the logs are read.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{FieldError, open};
use crate::field::herald::Detection;
use crate::field::participants::{Hash, Participant, ShortName};

/// Who a device of the test is, before its log is read.
pub(super) enum Member {
    /// One of truyvet's.
    Own(Box<Participant>),
    /// One of Herald's.
    Herald(Detection),
}

pub(super) fn member(folder: &Path) -> Result<Member, FieldError> {
    let path = folder.join("own.json");
    if path.exists() {
        let own = Participant::read(&path);
        let own = own.map_err(|source| FieldError::File { path, source })?;
        return Ok(Member::Own(Box::new(own)));
    }
    let path = folder.join("detection.csv");
    let read = open(&path)?;
    Detection::read(read)
        .map(Member::Herald)
        .map_err(|source| FieldError::Herald { path, source })
}

/// What each is called.
pub(super) fn names_of(folders: &[PathBuf], members: &[Member]) -> Result<Vec<String>, FieldError> {
    let mut names = Vec::new();
    for (folder, member) in folders.iter().zip(members) {
        let name = match member {
            Member::Own(own) => own.name.to_string(),
            Member::Herald(detection) => match folder.file_name().and_then(OsStr::to_str) {
                Some(name) => printable(name),
                None => printable(&detection.own),
            },
        };
        if names.contains(&name) {
            return Err(FieldError::SameName(name));
        }
        names.push(name);
    }
    Ok(names)
}

/// Without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

pub(super) fn require_one_test(members: &[Member]) -> Result<(), FieldError> {
    let mut own = members.iter().filter_map(|member| match member {
        Member::Own(own) => Some(own),
        Member::Herald(_) => None,
    });
    let Some(first) = own.next() else {
        return Ok(());
    };
    match own.find(|other| other.test != first.test) {
        None => Ok(()),
        Some(other) => Err(FieldError::OtherTest {
            one: first.name.to_string(),
            other: other.name.to_string(),
        }),
    }
}

/// Whose each identifier is.
pub(super) fn hashes(members: &[Member]) -> HashMap<Hash, usize> {
    let mut hashes = HashMap::new();
    for (index, member) in members.iter().enumerate() {
        if let Member::Own(own) = member {
            hashes.extend(own.identifiers.iter().map(|it| (it.identifier, index)));
        }
    }
    hashes
}

/// Whose each of Herald's short names is.
pub(super) fn shorts(members: &[Member]) -> HashMap<&str, usize> {
    let mut shorts = HashMap::new();
    for (index, member) in members.iter().enumerate() {
        if let Member::Herald(detection) = member {
            shorts.insert(six(&detection.own), index);
        }
    }
    shorts
}

/// The letters of a short name that Herald's analysis looks at.
pub(super) fn six(name: &str) -> &str {
    name.get(..ShortName::LETTERS_MAX).unwrap_or(name)
}
