//! A log's small files: whatever stands in them, and whatever a holder of the keys seals into them. The log
//! is read, opened to be written to, written to, purged and read again.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::fuzzing::{KEY, SEGMENT, payloads, put, seal_file, seal_segment};
use truyvet::log::{
    EncounterLog, KeyProvider, KeyPurpose, LogError, LogOptions, LogReader, MemoryKey,
    MemoryStorage, OwnersConsent,
};
use truyvet::sighting::Source;
use truyvet::time::UtcDay;
use truyvet::{ProtocolKind, Secret, Sighting};
use truyvet_fuzz::{ABSENT, FileInput, PLAIN, parts};

/// A log of one segment, whose manifest the input may bring.
static WHOLE: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let [meta, roots] = payloads().unwrap();
    let seal = |name, payload: &[u8]| seal_file(name, payload).unwrap().unwrap();
    BTreeMap::from(
        [
            ("log.meta", seal("log.meta", &meta)),
            ("segment-keys.sealed", seal("segment-keys.sealed", &roots)),
            (SEGMENT, seal_segment(3, &[&[0, 0]]).unwrap()),
        ]
        .map(|(name, bytes)| (name.to_owned(), bytes)),
    )
});

const DAY: Duration = Duration::from_secs(86_400);
const TODAY: UtcDay = UtcDay::from_unix_days(18_482);

fuzz_target!(|data: &[u8]| {
    let mut files = WHOLE.clone();
    for input in FileInput::decode_all(data) {
        let name = input.name();
        let sealed = match input.form {
            ABSENT => None,
            PLAIN => Some(input.payload.to_vec()),
            _ if name.starts_with(SEGMENT) => Some(seal_segment(3, &parts(input.payload)).unwrap()),
            _ => {
                let stem = name.split_inclusive(".sealed").next().unwrap_or(&name);
                let stem = if name.starts_with("log.meta") {
                    "log.meta"
                } else {
                    stem
                };
                seal_file(stem, input.payload).unwrap()
            }
        };
        match sealed {
            Some(bytes) => drop(files.insert(name, bytes)),
            None => drop(files.remove(&name)),
        }
    }
    let storage = MemoryStorage::default();
    for (name, bytes) in files {
        put(&storage, &name, &bytes).unwrap();
    }
    let keys = Arc::new(replaceable());
    read(&storage, &keys);
    let opened = EncounterLog::open_on(storage.clone(), Arc::clone(&keys), LogOptions::default());
    let Ok(mut log) = opened else {
        return;
    };
    use_it(&mut log, data.len().is_multiple_of(2));
    drop(log);
    read(&storage, &keys);
    // What could be opened once can be again.
    EncounterLog::open_on(storage, keys, LogOptions::default()).unwrap();
});

/// The keys of the log, which may be replaced.
fn replaceable() -> MemoryKey {
    let fixed = MemoryKey::new(Secret::new(KEY));
    let keys = MemoryKey::empty();
    for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
        let key = fixed.load(purpose).unwrap().unwrap();
        keys.replace(purpose, &key).unwrap();
    }
    keys
}

/// Everything that a reader offers, which agrees on what there is.
fn read(storage: &MemoryStorage, keys: &Arc<MemoryKey>) {
    let Ok(reader) = LogReader::open_on(storage.clone(), keys) else {
        return;
    };
    let _ = (reader.own_keys(), reader.gaps(), reader.clock_records());
    let verified = reader.verify(|_| {}).unwrap();
    let consent = OwnersConsent::to_what_was_heard().and_own_keys();
    let mut json = Vec::new();
    let exported = reader.export_json(consent, &mut json).unwrap();
    serde_json::from_slice::<IgnoredAny>(&json).unwrap();
    assert_eq!(exported.sightings, verified.sightings());
    assert_eq!(exported.is_complete(), exported.damage.is_empty());
    let Ok(sightings) = reader.sightings() else {
        assert!(!verified.is_well() && !exported.is_complete());
        return;
    };
    let sightings = sightings.filter_map(Result::ok).count() as u64;
    assert_eq!(sightings, verified.sightings());
    let Ok(days) = reader.stats() else {
        // Without a manifest nobody knows which days there are.
        assert!(!verified.is_well());
        return;
    };
    let days: Vec<_> = days.collect();
    let of_days: u64 = days.iter().map(|day| day.sightings).sum();
    assert_eq!(sightings, of_days);
    assert!(
        days.iter()
            .all(|day| day.minutes_heard <= 1_440 && day.gaps <= DAY)
    );
    let matcher = Matcher::from_log(MatchConfig::default(), &reader).unwrap();
    assert_eq!(sightings, matcher.sighting_count() as u64);
}

fn use_it(log: &mut EncounterLog, purged: bool) {
    let _ = log.last_clock();
    let first = TODAY.saturating_sub(21);
    if log.own_keys().is_ok() {
        let _ = log.release_own_keys(TODAY.end(), first.through(TODAY));
    }
    let sighting = sighting();
    let appended = log.append(std::slice::from_ref(&sighting));
    if let Err(refused) = &appended {
        // Numbers that are used up, or a reading key that is no point anything can be sealed to.
        let refusal = &refused.source;
        let expected = matches!(refusal, LogError::TooManySegments { .. } | LogError::Crypto);
        assert!(expected, "{refused}");
    }
    if purged {
        let _ = log.purge(TODAY);
    }
    // A manifest that has the log full leaves no room.
    if appended.is_ok()
        && log.admitted().stored == 1
        && let Ok(reader) = log.reader()
    {
        let mut sightings = reader.sightings().unwrap();
        let found = sightings.any(|it| it.is_ok_and(|it| it == sighting));
        assert!(found, "what was appended is not read");
    }
}

fn sighting() -> Sighting {
    let first = TODAY.start();
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: [9; 16].into(),
        metadata: Some([1, 2, 3, 4]),
        first,
        last: first.saturating_add(Duration::from_secs(9)),
        frames: 3,
        rssi: None,
        source: Source::ServiceData,
    }
}
