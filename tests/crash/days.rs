//! What must be read of each day, what may be, and in which order.

use std::collections::BTreeMap;
use std::fmt::Debug;

use truyvet::Sighting;
use truyvet::log::LogEntry;
use truyvet::sighting::ScanGap;
use truyvet::time::UtcDay;

pub(crate) trait Record: Clone + Debug + PartialEq {
    /// The day it is stored under.
    fn day(&self) -> UtcDay;
}

impl Record for Sighting {
    fn day(&self) -> UtcDay {
        self.first.utc_day()
    }
}

impl Record for ScanGap {
    fn day(&self) -> UtcDay {
        self.to.utc_day()
    }
}

impl Record for LogEntry {
    fn day(&self) -> UtcDay {
        self.at.utc_day()
    }
}

#[derive(Clone, Debug)]
enum Item<T> {
    /// Acknowledged.
    Sure(T),
    /// Given to the log, which has not answered: the first of them may be there, as many as there are.
    Open(Vec<T>),
    /// The same of a process that has died.
    Maybe(Vec<T>),
}

/// The records of a log, day by day.
#[derive(Clone, Debug)]
pub(crate) struct Days<T>(BTreeMap<UtcDay, Vec<Item<T>>>);

impl<T> Default for Days<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Record> FromIterator<T> for Days<T> {
    /// All of them for certain.
    fn from_iter<I: IntoIterator<Item = T>>(records: I) -> Self {
        let mut days = Self::default();
        for record in records {
            let of_day = days.0.entry(record.day()).or_default();
            of_day.push(Item::Sure(record));
        }
        days
    }
}

impl<T: Record> Days<T> {
    /// The log is given `batch`.
    pub(crate) fn begin(&mut self, batch: &[T]) {
        let mut of_days: BTreeMap<UtcDay, Vec<T>> = BTreeMap::new();
        for record in batch {
            let of_day = of_days.entry(record.day()).or_default();
            of_day.push(record.clone());
        }
        for (day, batch) in of_days {
            self.0.entry(day).or_default().push(Item::Open(batch));
        }
    }

    /// The log has stored what it was given but `failed`, which is of whole days.
    pub(crate) fn end(&mut self, failed: &[T]) {
        self.each_open(|batch| match failed.contains(&batch[0]) {
            true => Vec::new(),
            false => batch.into_iter().map(Item::Sure).collect(),
        });
    }

    /// Whether the log has stored what it was given, nobody will know.
    pub(crate) fn abandon(&mut self) {
        self.each_open(|batch| vec![Item::Maybe(batch)]);
    }

    fn each_open(&mut self, become_of: impl Fn(Vec<T>) -> Vec<Item<T>>) {
        for items in self.0.values_mut() {
            if let Some(Item::Open(batch)) = items.last() {
                let batch = batch.clone();
                items.pop();
                items.extend(become_of(batch));
            }
        }
    }

    /// The days before `oldest` are gone.
    pub(crate) fn forget_before(&mut self, oldest: UtcDay) {
        self.0.retain(|day, _| *day >= oldest);
    }

    pub(crate) fn last_day(&self) -> Option<UtcDay> {
        self.0.keys().last().copied()
    }

    /// Whether that is what may be `read`; of the days before `purging` some may be gone.
    pub(crate) fn compare(&self, read: &[T], purging: Option<UtcDay>) -> Result<(), String> {
        let mut of_days: BTreeMap<UtcDay, Vec<T>> = BTreeMap::new();
        let mut last = None;
        for record in read {
            let day = record.day();
            if last > Some(day) {
                return Err(format!("{day} is read after {last:?}: {record:?}"));
            }
            last = Some(day);
            of_days.entry(day).or_default().push(record.clone());
        }
        let days = self.0.keys().chain(of_days.keys());
        for day in days {
            let expected = self.0.get(day).map(Vec::as_slice).unwrap_or_default();
            let read = of_days.get(day).map(Vec::as_slice).unwrap_or_default();
            let fits = match purging {
                Some(oldest) if *day < oldest => is_part(expected, read),
                _ => fit(expected, read),
            };
            if !fits {
                return Err(difference(*day, expected, read));
            }
        }
        Ok(())
    }
}

fn fit<T: Record>(expected: &[Item<T>], read: &[T]) -> bool {
    let mut rest = read;
    for (index, item) in expected.iter().enumerate() {
        match item {
            Item::Sure(record) => match rest.split_first() {
                Some((first, others)) if first == record => rest = others,
                _ => return false,
            },
            Item::Open(batch) | Item::Maybe(batch) => {
                let same = batch.iter().zip(rest).take_while(|(a, b)| a == b).count();
                let behind = &expected[index + 1..];
                return (0..=same).rev().any(|taken| fit(behind, &rest[taken..]));
            }
        }
    }
    rest.is_empty()
}

/// Whether `read` is some of what is expected, in order.
fn is_part<T: Record>(expected: &[Item<T>], read: &[T]) -> bool {
    let mut all = expected.iter().flat_map(|item| match item {
        Item::Sure(record) => std::slice::from_ref(record),
        Item::Open(batch) | Item::Maybe(batch) => batch.as_slice(),
    });
    read.iter().all(|record| all.any(|it| it == record))
}

fn difference<T: Record>(day: UtcDay, expected: &[Item<T>], read: &[T]) -> String {
    let sure = expected
        .iter()
        .filter(|it| matches!(it, Item::Sure(_)))
        .count();
    let lost = expected.iter().find_map(|item| match item {
        Item::Sure(record) if !read.contains(record) => Some(record),
        _ => None,
    });
    let known = |record: &T| {
        expected.iter().any(|item| match item {
            Item::Sure(it) => it == record,
            Item::Open(batch) | Item::Maybe(batch) => batch.contains(record),
        })
    };
    let invented = read.iter().find(|record| !known(record));
    let twice = read
        .iter()
        .enumerate()
        .find(|(at, it)| read[..*at].contains(it));
    format!(
        "{day}: {sure} acknowledged, {} read; lost {lost:?}; invented {invented:?}; twice {:?}",
        read.len(),
        twice.map(|(_, it)| it),
    )
}
