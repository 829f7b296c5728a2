//! How far a device has read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::UpdateError;
use crate::publication::index::{Index, PackageInfo};
use crate::time::Timestamp;

/// How far a device has read a publication. It holds nothing about anybody: whoever reads the same publication at
/// the same time has the same.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Cursor {
    /// The highest number of an index that was read, and the SHA-256 of its file.
    number: u64,
    digest: [u8; 32],
    /// The region of the index.
    region: Option<String>,
    /// What became publishable before was read.
    until: Timestamp,
    /// Packages that were read whose windows end later.
    done: BTreeSet<String>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            number: 0,
            digest: [0; 32],
            region: None,
            until: Timestamp::from_unix_seconds(0),
            done: BTreeSet::new(),
        }
    }
}

impl Cursor {
    /// What became publishable before this time was read.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// The same, once `index` has been read, of which `digest` is the file's.
    pub(super) fn seen(&self, index: &Index, digest: [u8; 32]) -> Result<Self, UpdateError> {
        let (expected, got) = (self.number, index.number);
        if got < expected {
            return Err(UpdateError::Downgraded { expected, got });
        }
        let before = self.region.as_ref();
        if got == expected && before.is_some() && digest != self.digest {
            return Err(UpdateError::Forked { number: got });
        }
        if let Some(before) = before.filter(|before| **before != index.region) {
            return Err(UpdateError::OtherRegion {
                expected: before.clone(),
                got: index.region.clone(),
            });
        }
        Ok(Self {
            number: got,
            digest,
            region: Some(index.region.clone()),
            ..self.clone()
        })
    }

    pub(super) fn has_done(&self, package: &PackageInfo) -> bool {
        self.done.contains(&package.name())
    }

    pub(super) fn done(&mut self, package: &PackageInfo) {
        self.done.insert(package.name());
    }

    /// Everything before `until` was read.
    pub(super) fn advance(&mut self, until: Timestamp) {
        self.until = self.until.max(until);
        self.done
            .retain(|name| PackageInfo::window_of(name).is_some_and(|(_, end)| end > self.until));
    }
}
