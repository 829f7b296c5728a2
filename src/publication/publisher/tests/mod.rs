//! What a publisher makes, and what a device reads of it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::protocol::bluezone::PublishedEntry;
use crate::protocol::gaen::DiagnosisKey;
use crate::protocol::{PublishedKey, ReportType};
use crate::publication::signature::KeyName;
use crate::publication::store::MemoryStore;
use crate::publication::update::{Batch, Cursor, Update, UpdateOptions};
use crate::time::{IntervalNumber, UtcDay};

mod crashing;
mod days;
mod revising;
mod scheduling;

static AUTHORITY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v1"))
});

/// Midnight of the day on which the tests' keys are valid.
fn day() -> Timestamp {
    "2026-11-23".parse::<UtcDay>().unwrap().start()
}

/// So many hours after that midnight.
fn at(hours: u64) -> Timestamp {
    day().saturating_add(Duration::from_secs(3600 * hours))
}

/// When the hour that ends then is published.
fn after(hours: u64) -> Timestamp {
    at(hours).saturating_add(Duration::from_secs(600))
}

fn options() -> PublisherOptions {
    let mut options = PublisherOptions::new("VN");
    options.padding = Padding {
        min_keys: 10,
        extra_max: 3,
    };
    options
}

fn publisher() -> Publisher {
    Publisher::new(options(), Secret::new([9; 32]))
}

/// The key whose bytes are of `number`, valid on the first day.
fn diagnosis_key(number: u8) -> DiagnosisKey {
    let mut key = DiagnosisKey::new([number; 16], IntervalNumber::at(day()), 144).unwrap();
    key.report_type = ReportType::ConfirmedTest;
    key
}

fn said(number: u8, report_type: ReportType) -> DiagnosisKey {
    let mut key = diagnosis_key(number);
    key.report_type = report_type;
    key
}

fn accepted(number: u8, hours: u64) -> AcceptedKey {
    let report = ReportId(u64::from(number));
    AcceptedKey::new(diagnosis_key(number), at(hours), report)
}

fn entry(number: u8) -> PublishedEntry {
    let start = day().unix_seconds();
    PublishedEntry::new([number; 32], start, start + 86_399, 96).unwrap()
}

fn run(store: &dyn PublicationStore, keys: &[AcceptedKey], now: Timestamp) -> Published {
    run_by(&publisher(), store, keys, now).unwrap()
}

fn run_by(
    publisher: &Publisher,
    store: &dyn PublicationStore,
    keys: &[AcceptedKey],
    now: Timestamp,
) -> Result<Published, PublishError> {
    publisher.run(store, keys.iter().cloned(), &[&AUTHORITY], now)
}

fn trusted() -> [VerificationKey; 1] {
    [AUTHORITY.verification_key().clone()]
}

fn fetch<'s>(store: &'s MemoryStore, cursor: &Cursor, now: Timestamp) -> Update<'s> {
    Update::fetch(store, &trusted(), cursor, UpdateOptions::default(), now).unwrap()
}

/// A device, and what it has read.
#[derive(Default)]
struct Device {
    cursor: Cursor,
    /// The keys in the order in which they came, and how each is reported.
    keys: Vec<(PublishedKey, ReportType)>,
    packages: usize,
}

impl Device {
    fn reads(&mut self, store: &MemoryStore, now: Timestamp) -> &mut Self {
        let mut update = fetch(store, &self.cursor, now);
        while let Some(batch) = update.next_batch().unwrap() {
            self.packages += 1;
            for key in batch.into_keys(&trusted()).unwrap() {
                let report_type = match &key {
                    PublishedKey::Gaen(key) => key.report_type,
                    PublishedKey::Bluezone(_) => ReportType::Unknown,
                };
                self.keys.push((key, report_type));
            }
            update.matched();
        }
        self.cursor = update.cursor().clone();
        self
    }

    /// The numbers of the keys that are no padding: all of its bytes are the same.
    fn real(&self) -> Vec<(u8, ReportType)> {
        let number = |key: &PublishedKey| {
            let bytes: &[u8] = match key {
                PublishedKey::Gaen(key) => key.key(),
                PublishedKey::Bluezone(entry) => entry.daily_key(),
            };
            bytes.iter().all(|byte| *byte == bytes[0]).then(|| bytes[0])
        };
        let real = self.keys.iter();
        real.filter_map(|(key, said)| Some((number(key)?, *said)))
            .collect()
    }

    fn numbers(&self) -> Vec<u8> {
        self.real().into_iter().map(|(number, _)| number).collect()
    }
}

/// Whatever is in `store` is what a device takes.
fn device(store: &MemoryStore, now: Timestamp) -> Device {
    let mut device = Device::default();
    device.reads(store, now);
    device
}

/// The keys of the packages of `cycle`, padding and all.
fn published(store: &MemoryStore, cycle: Cycle) -> BTreeSet<String> {
    let (file, _) = store.index().unwrap().unwrap();
    let index = Index::verify(&file, &trusted()).unwrap();
    let packages = index.packages.iter().filter(|it| it.cycle == cycle);
    packages
        .flat_map(|package| {
            let batch = crate::publication::update::open(store, package).unwrap();
            batch.into_keys(&trusted()).unwrap()
        })
        .map(|key| format!("{key:?}"))
        .collect()
}
