//! A day's packages, of its hours'.

use super::package::{Shelf, Window, each_once, lists};
use super::schedule::{Entry, Folding, fold};
use super::{PublishError, Publisher, Tally};
use crate::protocol::ProtocolKind;
use crate::publication::gaen_export::{ExportError, ExportReader, KeyList, Padding};
use crate::publication::index::{Cycle, PackageInfo};
use crate::publication::signature::{SigningKey, VerificationKey};
use crate::publication::store::Contents;
use crate::publication::update::{Batch, UpdateError, open};
use crate::time::Timestamp;

impl Publisher {
    /// Makes the packages of the day from `start`, out of the hourly ones among `packages` as they lie on the shelf:
    /// their padding is in it too. A day with other padding than its hours would tell which keys are
    /// real.
    pub(super) fn day(
        &self,
        start: Timestamp,
        packages: &[PackageInfo],
        trusted: &[VerificationKey],
        signers: &[&SigningKey],
        shelf: &mut Shelf<'_>,
    ) -> Result<(), PublishError> {
        let window = |protocol| Window {
            protocol,
            cycle: Cycle::Daily,
            start,
        };
        let (mut keys, mut entries) = (Vec::new(), Vec::new());
        let hourly = packages.iter().filter(|package| {
            package.cycle == Cycle::Hourly && Cycle::Daily.start_of(package.start) == start
        });
        for package in hourly {
            match open(shelf.store, package)? {
                Batch::Gaen(mut file) => {
                    let read = read_export(&mut file, package, trusted, &mut keys);
                    let name = || package.name();
                    read.map_err(|source| UpdateError::Export {
                        name: name(),
                        source,
                    })?;
                }
                Batch::Bluezone(list) => entries.extend(list),
            }
        }
        let lasting = fold(keys, Folding::Seen, &mut Tally::default());
        let gaen = window(ProtocolKind::Gaen);
        self.export(gaen, lasting, Padding::NONE, signers, shelf)?;
        lists(window(ProtocolKind::Bluezone), &each_once(entries), shelf)
    }
}

/// Adds the keys of an hour to `keys`.
fn read_export(
    file: &mut ExportReader<Box<dyn Contents>>,
    package: &PackageInfo,
    trusted: &[VerificationKey],
    keys: &mut Vec<Entry>,
) -> Result<(), ExportError> {
    let mut export = file.verify(trusted)?;
    keys.reserve_exact(export.key_count());
    while let Some((list, key)) = export.next_key()? {
        keys.push(Entry {
            key,
            at: package.start,
            revision: list == KeyList::Revised,
        });
    }
    Ok(())
}
