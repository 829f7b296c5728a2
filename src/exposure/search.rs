//! A search of a log for published keys, as many as there are, a batch at a time.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, thread};

use super::derivation::{self, Day, Derivation, EntryDay, KeyDay, Suspect};
use super::index::Index;
use super::matching::Matcher;
use super::{Exposure, Findings};
use crate::protocol::PublishedKey;
use crate::protocol::bluezone::PublishedEntry;
use crate::time::Timestamp;

/// Keys, and days of Bluezone's entries, that are searched for together. Chosen: enough for each day's
/// filter to be worth fetching, and three megabytes.
const BATCH: usize = 32_768;

/// Days of keys that a thread takes at a time. Chosen: a tenth of a millisecond's work.
const PIECE: usize = 256;

/// A search of a [`Matcher`]'s sightings for keys that come bit by bit, so that a file of a million need never be
/// in memory at once. [`Matcher::search`] begins one.
///
/// ```
/// use std::ops::ControlFlow;
/// use truyvet::exposure::{MatchConfig, Matcher};
/// # let (matcher, files) = (Matcher::new(MatchConfig::default(), []), [Vec::<truyvet::PublishedKey>::new()]);
///
/// let mut search = matcher.search().on_progress(|progress| {
///     println!("{} keys, {} exposures", progress.keys, progress.exposures);
///     ControlFlow::Continue(()) // or Break, and `add` and `finish` give `Cancelled`
/// });
/// for keys in &files {
///     search.add(keys)?;
/// }
/// let exposures = search.finish()?;
/// # assert!(exposures.is_empty());
/// # Ok::<(), truyvet::exposure::Cancelled>(())
/// ```
#[must_use = "a search tells what it found when it is finished"]
pub struct Search<'m> {
    matcher: &'m Matcher,
    progress: Option<Box<dyn FnMut(Progress) -> ControlFlow<()> + 'm>>,
    cancelled: bool,
    keys: usize,
    published: Option<Timestamp>,
    batch: Batch,
    workers: Vec<Worker>,
    findings: Findings,
    /// Keys of which something was heard, each with its number and when it was published.
    matched: HashMap<Identity, (usize, Option<Timestamp>)>,
    /// Keys that were withdrawn.
    revoked: HashSet<[u8; 16]>,
}

/// How far a search has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Keys looked for so far.
    pub keys: usize,
    /// Exposures found so far.
    pub exposures: usize,
}

/// A search was given up because its progress callback said so. What it had found is dropped: half an answer looks
/// like "no exposure".
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the search was cancelled")]
pub struct Cancelled;

/// What tells one published key from another: of GAEN's its bytes, whatever the authority says of it.
#[derive(Clone, Eq, Hash, PartialEq)]
enum Identity {
    Gaen([u8; 16]),
    Bluezone(PublishedEntry),
}

impl Identity {
    fn of(key: &PublishedKey) -> Self {
        match key {
            PublishedKey::Gaen(key) => Self::Gaen(*key.key()),
            PublishedKey::Bluezone(entry) => Self::Bluezone(entry.clone()),
        }
    }
}

/// Keys near whose days something was heard, and those days.
#[derive(Default)]
struct Batch {
    /// Each with its number among all keys, and when it was published.
    keys: Vec<(usize, PublishedKey, Option<Timestamp>)>,
    key_days: Vec<KeyDay>,
    entry_days: Vec<EntryDay>,
}

/// That a sighting is of a key: the key's place in the batch, when the identifier was advertised, and the sighting's
/// place in the index.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Hit {
    key: u32,
    advertised: Timestamp,
    place: usize,
}

/// What one thread keeps from piece to piece.
struct Worker {
    derivation: Box<Derivation>,
    suspects: Vec<Suspect>,
    hits: Vec<Hit>,
}

impl<'m> Search<'m> {
    pub(super) fn new(matcher: &'m Matcher) -> Self {
        Self {
            matcher,
            progress: None,
            cancelled: false,
            keys: 0,
            published: None,
            batch: Batch::default(),
            workers: Vec::new(),
            findings: Findings::default(),
            matched: HashMap::new(),
            revoked: HashSet::new(),
        }
    }

    /// Has `callback` told, each some ten thousand keys and at the end, how far the search has come.
    /// `ControlFlow::Break` cancels it.
    pub fn on_progress(mut self, callback: impl FnMut(Progress) -> ControlFlow<()> + 'm) -> Self {
        self.progress = Some(Box::new(callback));
        self
    }

    /// Says when the keys that are added from here on were published, if that is known: a GAEN export's end, or when
    /// a Bluezone list was got. What was heard then or later does not count.
    pub fn published_at(&mut self, published: impl Into<Option<Timestamp>>) {
        self.published = published.into();
    }

    /// Searches for `keys`, which are counted on from those that were added before. Revoked keys match
    /// nothing, whenever they are added, and a key that is added twice counts once.
    ///
    /// # Errors
    ///
    /// [`Cancelled`].
    pub fn add<K: Borrow<PublishedKey>>(
        &mut self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), Cancelled> {
        if self.cancelled {
            return Err(Cancelled);
        }
        for key in keys {
            self.collect(key.borrow());
            if self.keys.is_multiple_of(BATCH) || self.batch.entry_days.len() >= BATCH {
                self.report()?;
            }
        }
        Ok(())
    }

    /// The exposures found, in the order of their days, then of the keys.
    ///
    /// # Errors
    ///
    /// [`Cancelled`].
    pub fn finish(self) -> Result<Vec<Exposure>, Cancelled> {
        Ok(self.findings()?.exposures)
    }

    /// The exposures found, and what was found and does not count.
    ///
    /// # Errors
    ///
    /// [`Cancelled`].
    pub fn findings(mut self) -> Result<Findings, Cancelled> {
        self.report()?;
        Ok(self.found())
    }

    /// As [`findings`](Self::findings), for a search that nobody can cancel.
    pub(super) fn found(mut self) -> Findings {
        self.search();
        let mut findings = self.findings;
        let withdrawn: HashSet<usize> = self
            .revoked
            .iter()
            .filter_map(|key| self.matched.get(&Identity::Gaen(*key)))
            .map(|(number, _)| *number)
            .collect();
        let stands = |number| !withdrawn.contains(&number);
        findings.exposures.retain(|it| stands(it.key_index));
        findings.set_aside.retain(|it| stands(it.key_index));
        let order = |exposure: &Exposure| (exposure.day, exposure.key_index);
        findings.exposures.sort_by_key(order);
        // Of a key that came again they stand at the end.
        findings.set_aside.sort_by_key(|it| it.key_index);
        findings
    }

    /// Puts the days of `key` into the batch near which something was heard.
    fn collect(&mut self, key: &PublishedKey) {
        let number = self.keys;
        self.keys += 1;
        if let (true, PublishedKey::Gaen(key)) = (key.is_revoked(), key) {
            self.revoked.insert(*key.key());
            return;
        }
        let batch = &mut self.batch;
        let Ok(place) = u32::try_from(batch.keys.len()) else {
            return;
        };
        let days = batch.key_days.len() + batch.entry_days.len();
        match key {
            PublishedKey::Gaen(key) => {
                let filters = self.matcher.gaen.filters();
                derivation::days_of_key(key, place, filters, &mut batch.key_days);
            }
            PublishedKey::Bluezone(entry) => {
                let filters = self.matcher.bluezone.filters();
                derivation::days_of_entry(entry, place, filters, &mut batch.entry_days);
            }
        }
        if batch.key_days.len() + batch.entry_days.len() > days {
            batch.keys.push((number, key.clone(), self.published));
        }
    }

    fn report(&mut self) -> Result<(), Cancelled> {
        if self.cancelled {
            return Err(Cancelled);
        }
        self.search();
        let progress = Progress {
            keys: self.keys,
            exposures: self.findings.exposures.len(),
        };
        if let Some(callback) = &mut self.progress {
            self.cancelled = callback(progress).is_break();
        }
        if self.cancelled {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Searches for the batch, and empties it.
    fn search(&mut self) {
        if self.batch.keys.is_empty() {
            return;
        }
        let Self {
            matcher,
            batch,
            workers,
            ..
        } = self;
        // A filter is used for all its days before the next.
        batch.key_days.sort_unstable_by_key(Day::filter);
        batch.entry_days.sort_unstable_by_key(Day::filter);
        let pieces = batch.key_days.len().div_ceil(PIECE) + batch.entry_days.len().div_ceil(PIECE);
        let threads = matcher.config.threads.get().min(pieces.div_ceil(2)).max(1);
        workers.resize_with(threads.max(workers.len()), Worker::new);
        let next = AtomicUsize::new(0);
        let (matcher, batch) = (*matcher, &*batch);
        thread::scope(|scope| {
            let Some((ours, others)) = workers.split_first_mut() else {
                return;
            };
            for worker in others.iter_mut().take(threads - 1) {
                let work = || worker.search(matcher, batch, &next);
                // A system that has no thread for us leaves the work to the others.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            ours.search(matcher, batch, &next);
        });
        self.assemble();
    }

    /// Makes exposures of what the workers found, in an order that does not depend on them.
    fn assemble(&mut self) {
        let mut hits = Vec::new();
        for worker in &mut self.workers {
            hits.append(&mut worker.hits);
        }
        hits.sort_unstable();
        for of_key in hits.chunk_by(|a, b| a.key == b.key) {
            let place = of_key.first().map_or(0, |hit| hit.key as usize);
            let Some((number, key, published)) = self.batch.keys.get(place) else {
                continue;
            };
            let index = self.matcher.index_of(key);
            let heard = of_key.iter().filter_map(|hit| index.at(hit.place));
            let heard = heard.collect();
            let identity = Identity::of(key);
            let (number, published) = match self.matched.get(&identity) {
                // The next of its packages has it again: it counts once, as the stricter time has it, and as it was
                // described last.
                Some((number, before)) => {
                    let times = before.iter().chain(published).min().copied();
                    let is_other = |it: usize| it != *number;
                    self.findings.exposures.retain(|it| is_other(it.key_index));
                    self.findings.set_aside.retain(|it| is_other(it.key_index));
                    (*number, times)
                }
                None => (*number, *published),
            };
            self.matched.insert(identity, (number, published));
            let out = &mut self.findings;
            self.matcher.assemble(number, key, published, heard, out);
        }
        self.batch.clear();
    }
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("keys", &self.keys)
            .field("exposures", &self.findings.exposures.len())
            .finish_non_exhaustive()
    }
}

impl Batch {
    fn clear(&mut self) {
        self.keys.clear();
        self.key_days.clear();
        self.entry_days.clear();
    }
}

impl Worker {
    fn new() -> Self {
        Self {
            derivation: Box::new(Derivation::new()),
            suspects: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Searches for one piece of the batch after the other, until all are taken.
    fn search(&mut self, matcher: &Matcher, batch: &Batch, next: &AtomicUsize) {
        let key_pieces = batch.key_days.len().div_ceil(PIECE);
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            let entry_piece = piece.checked_sub(key_pieces);
            if let Some(days) = batch.key_days.chunks(PIECE).nth(piece) {
                let filters = matcher.gaen.filters();
                match matcher.avx512 {
                    Some(simd) => {
                        simd.gaen(self.derivation.hkdf(), days, filters, &mut self.suspects);
                    }
                    None => self.derivation.gaen(days, filters, &mut self.suspects),
                }
                self.confirm(&matcher.gaen, days);
            } else if let Some(days) =
                entry_piece.and_then(|piece| batch.entry_days.chunks(PIECE).nth(piece))
            {
                let filters = matcher.bluezone.filters();
                match matcher.avx512 {
                    Some(simd) => simd.bluezone(days, filters, &mut self.suspects),
                    None => derivation::bluezone(days, filters, &mut self.suspects),
                }
                self.confirm(&matcher.bluezone, days);
            } else {
                return;
            }
        }
    }

    /// Looks the suspects up. They come together, so that the processor fetches several from memory at once.
    fn confirm(&mut self, index: &Index, days: &[impl Day]) {
        for suspect in self.suspects.drain(..) {
            let places = index.places(&suspect.id);
            if places.is_empty() {
                continue;
            }
            let day = days.get(suspect.day as usize);
            let Some((day, candidate)) = day.and_then(|day| Some((day, day.candidate(&suspect)?)))
            else {
                continue;
            };
            for place in places {
                let heard = index.at(place).map(|sighting| sighting.first);
                if heard.is_some_and(|time| candidate.heard_at(time, index.tolerance())) {
                    self.hits.push(Hit {
                        key: day.key(),
                        advertised: candidate.first,
                        place,
                    });
                }
            }
        }
    }
}
