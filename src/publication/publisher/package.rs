//! The files of one window.

use super::PublishError;
use super::padding::PackageEntropy;
use super::schedule::{Folding, Hour, fold};
use super::{Publisher, Tally};
use crate::crypto::{Sha256, sha256};
use crate::entropy::Entropy;
use crate::protocol::ProtocolKind;
use crate::protocol::bluezone::PublishedEntry;
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::bluezone_json::{self, ENTRIES_MAX, IDENTIFIERS_MAX};
use crate::publication::gaen_export::{ExportOptions, ExportWriter, Padding, below};
use crate::publication::index::{Cycle, Index, PackageInfo};
use crate::publication::signature::SigningKey;
use crate::publication::store::{PublicationStore, StoreError};
use crate::time::Timestamp;

/// Where packages go as they are made, one at a time: of a million entries, the lists would take more memory
/// than the entries.
pub(super) struct Shelf<'s> {
    pub(super) store: &'s dyn PublicationStore,
    written: Vec<PackageInfo>,
}

impl<'s> Shelf<'s> {
    pub(super) fn of(store: &'s dyn PublicationStore) -> Self {
        Self {
            store,
            written: Vec::new(),
        }
    }

    /// Writes a package of `window`, the `part`th.
    fn put(&mut self, window: Window, part: u16, contents: &[u8]) -> Result<(), StoreError> {
        let info = PackageInfo {
            protocol: window.protocol,
            cycle: window.cycle,
            start: window.start,
            part,
            bytes: contents.len() as u64,
            sha256: sha256(&[contents]),
        };
        self.store.create(&info.name(), contents)?;
        self.written.push(info);
        Ok(())
    }

    /// Names in `index` what was written.
    pub(super) fn list_in(self, index: &mut Index) {
        index.packages.extend(self.written);
        index.packages.sort();
    }
}

/// A window of a protocol's keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) protocol: ProtocolKind,
    pub(super) cycle: Cycle,
    pub(super) start: Timestamp,
}

impl Publisher {
    /// Makes the packages of what became publishable in the hour from `start`.
    pub(super) fn hour(
        &self,
        start: Timestamp,
        hour: Hour,
        signers: &[&SigningKey],
        shelf: &mut Shelf<'_>,
        tally: &mut Tally,
    ) -> Result<(), PublishError> {
        let window = |protocol| Window {
            protocol,
            cycle: Cycle::Hourly,
            start,
        };
        let Hour {
            gaen,
            bluezone,
            withdrawn,
        } = hour;
        let (keys, revised) = fold(gaen, Folding::Unseen, tally);
        tally.keys += keys.len() + revised.len();
        let padding = self.options.padding;
        self.export(
            window(ProtocolKind::Gaen),
            (keys, revised),
            padding,
            signers,
            shelf,
        )?;

        let given = bluezone.len();
        let mut entries = each_once(bluezone);
        tally.repeated += given - entries.len();
        let withdrawn = each_once(withdrawn);
        entries.retain(|entry| {
            withdrawn
                .binary_search_by_key(&order(entry), order)
                .is_err()
        });
        tally.keys += entries.len();
        self.pad(&mut entries, start)?;
        lists(window(ProtocolKind::Bluezone), &entries, shelf)
    }

    /// Makes the exports of keys and revised keys; none if there are none.
    pub(super) fn export(
        &self,
        window: Window,
        (keys, revised): (Vec<DiagnosisKey>, Vec<DiagnosisKey>),
        padding: Padding,
        signers: &[&SigningKey],
        shelf: &mut Shelf<'_>,
    ) -> Result<(), PublishError> {
        if keys.is_empty() && revised.is_empty() {
            return Ok(());
        }
        let mut hash = Sha256::new();
        keys.iter().for_each(|key| hash.update(key.key()));
        let mut entropy = self.entropy(window, &hash.finish())?;
        let end = window.start.saturating_add(window.cycle.length());
        let mut options = ExportOptions::new(&self.options.region, window.start, end);
        options.padding = padding;
        let writer = ExportWriter::new(options).keys(keys).revised_keys(revised);
        for (part, zip) in (1..).zip(writer.write_files(signers, &mut entropy)?) {
            shelf.put(window, part, &zip)?;
        }
        Ok(())
    }

    fn entropy(&self, window: Window, digest: &[u8; 32]) -> Result<PackageEntropy, PublishError> {
        let (protocol, start) = (window.protocol, window.start);
        Ok(PackageEntropy::new(
            &self.padding_secret,
            protocol,
            start,
            digest,
        )?)
    }

    /// Fills `entries` up with random ones that look like them, as [`ExportWriter`] does with keys.
    fn pad(&self, entries: &mut Vec<PublishedEntry>, start: Timestamp) -> Result<(), PublishError> {
        let real = entries.len();
        if real == 0 {
            return Ok(());
        }
        let window = Window {
            protocol: ProtocolKind::Bluezone,
            cycle: Cycle::Hourly,
            start,
        };
        let mut hash = Sha256::new();
        entries
            .iter()
            .for_each(|entry| hash.update(entry.daily_key()));
        let mut entropy = self.entropy(window, &hash.finish())?;
        let Padding {
            min_keys,
            extra_max,
        } = self.options.padding;
        let extra = below(extra_max.saturating_add(1), &mut entropy)?;
        let wanted = min_keys.saturating_add(extra).min(ENTRIES_MAX);
        while entries.len() < wanted {
            let Some(model) = entries.get(below(real, &mut entropy)?) else {
                return Ok(());
            };
            let (first, last) = (model.time_start(), model.time_end());
            let slots = model.slots_per_day();
            let mut key = [0; 32];
            entropy.fill(&mut key)?;
            entries.push(PublishedEntry::new(key, first, last, slots)?);
        }
        entries.sort_unstable_by_key(order);
        Ok(())
    }
}

/// `entries` in the order of their keys, each once.
pub(super) fn each_once(mut entries: Vec<PublishedEntry>) -> Vec<PublishedEntry> {
    entries.sort_unstable_by_key(order);
    entries.dedup();
    entries
}

fn order(entry: &PublishedEntry) -> ([u8; 32], u64, u64, u32) {
    let (first, last) = (entry.time_start(), entry.time_end());
    (*entry.daily_key(), first, last, entry.slots_per_day())
}

/// Makes the lists of `entries`: as many as a reader's limits ask for.
pub(super) fn lists(
    window: Window,
    entries: &[PublishedEntry],
    shelf: &mut Shelf<'_>,
) -> Result<(), PublishError> {
    let (mut rest, mut part) = (entries, 1);
    while !rest.is_empty() {
        let mut identifiers = 0;
        let fits = |entry: &&PublishedEntry| {
            identifiers += entry.candidate_count();
            identifiers <= IDENTIFIERS_MAX
        };
        // One entry alone stands for less than a list may.
        let fitting = rest.iter().take(ENTRIES_MAX).take_while(fits).count();
        let (list, others) = rest.split_at(fitting.max(1));
        shelf.put(window, part, bluezone_json::write(list).as_bytes())?;
        (rest, part) = (others, part + 1);
    }
    Ok(())
}
