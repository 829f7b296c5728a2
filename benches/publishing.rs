//! A million keys published at once, the worst hour that a country could have: how long it takes, and in what
//! memory. `cargo bench --bench publishing`; a figure of the machine it runs on, and a failure if the promise is
//! broken: under a minute, in 256 MiB.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::time::{Duration, Instant};

use truyvet::Secret;
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::protocol::ReportType;
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::publication::publisher::{AcceptedKey, Publisher, PublisherOptions, ReportId};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::publication::store::{FolderStore, PublicationStore};
use truyvet::time::{IntervalNumber, Timestamp};

/// Keys published. A report has 14.
const KEYS: u64 = 1_000_000;

/// 2020-08-08T00:00Z, on which the last of the keys is valid.
const DAY: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

const TIME_MAX: Duration = Duration::from_secs(60);
const MEMORY_MAX_MIB: f64 = 256.0;

fn main() {
    // Tests are built of benches too, and run with `--test`: nothing is measured then.
    let count = if std::env::args().any(|argument| argument == "--bench") {
        KEYS
    } else {
        KEYS / 100
    };
    let before = peak_mib();
    publish("GAEN", count, diagnosis_key);
    publish("Bluezone", count, entry);
    let peak = peak_mib();
    println!("peak of memory {peak:.0} MiB, of which {before:.0} MiB before the first key");
    assert!(peak < MEMORY_MAX_MIB, "{peak} MiB");
}

/// Publishes the hour in which all keys become publishable, and then the day that it is of.
fn publish<K>(protocol: &str, count: u64, key: impl Fn(u64, &mut SeededEntropy) -> K)
where
    K: Into<truyvet::PublishedKey>,
{
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path());
    let publisher = Publisher::new(PublisherOptions::new("VN"), Secret::new([9; 32]));
    let signer = SigningKey::generate().unwrap();
    let signer = signer.named(KeyName::new("452", "v1"));
    let after = |hours: u64| DAY.saturating_add(Duration::from_secs(hours * 3600 + 600));
    publisher.run(&store, [], &[&signer], after(26)).unwrap();

    let mut entropy = SeededEntropy::new(1);
    // One after the other, as they come out of a database.
    let keys = (0..count).map(|number| {
        AcceptedKey::new(key(number, &mut entropy), after(26), ReportId(number / 14))
    });
    let begun = Instant::now();
    let hour = publisher.run(&store, keys, &[&signer], after(27)).unwrap();
    let hour_s = begun.elapsed();
    assert_eq!((hour.keys as u64, hour.waiting), (count, 0));
    let begun = Instant::now();
    let day = publisher.run(&store, [], &[&signer], after(48)).unwrap();
    let day_s = begun.elapsed();
    assert!(!day.packages.is_empty());

    let names = store.names().unwrap();
    let bytes = |cycle: &str| -> u64 {
        let named = names.iter().filter(|name| name.contains(cycle));
        named
            .map(|name| fs::metadata(folder.path().join(name)).unwrap().len())
            .sum()
    };
    println!(
        "{count} {protocol} keys: the hour in {:.1} s, {} files, {:.1} bytes a key; the day in {:.1} s, {} files",
        hour_s.as_secs_f64(),
        hour.packages.len(),
        bytes("hourly") as f64 / count as f64,
        day_s.as_secs_f64(),
        day.packages.len(),
    );
    assert!(hour_s + day_s < TIME_MAX);
}

fn diagnosis_key(number: u64, entropy: &mut SeededEntropy) -> DiagnosisKey {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes).unwrap();
    let start = DAY.saturating_sub(Duration::from_secs(86_400 * (number % 14)));
    let mut key = DiagnosisKey::new(bytes, IntervalNumber::at(start), 144).unwrap();
    key.report_type = ReportType::ConfirmedTest;
    key.transmission_risk = (number % 9) as u8;
    key.days_since_onset = Some(3 - (number % 14) as i8);
    key
}

fn entry(number: u64, entropy: &mut SeededEntropy) -> PublishedEntry {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes).unwrap();
    let start = DAY.unix_seconds() - 86_400 * (number % 14);
    PublishedEntry::new(bytes, start, start + 86_399, 96).unwrap()
}

/// The most memory that this process has had (Linux); 0 where it is not told.
fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
