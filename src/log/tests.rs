//! What the writing process holds, and what that opens.

use std::io::Read;

use super::format::{CHUNK_INFO, PRELUDE_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::*;
use crate::crypto::{AeadKey, step};
use crate::protocol::ProtocolKind;
use crate::secret::Secret;
use crate::sighting::Source;

fn sighting(number: u8, first_s: u64) -> Sighting {
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: [number; 16].into(),
        metadata: None,
        first: Timestamp::from_unix_seconds(first_s),
        last: Timestamp::from_unix_seconds(first_s + 20),
        frames: 3,
        rssi: None,
        source: Source::ServiceData,
    }
}

/// What a chunk is bound to, and its sealed body.
type Chunk = (Vec<u8>, Vec<u8>);

/// A segment's header, and its chunks.
fn chunks(storage: &MemoryStorage, name: &str) -> (Vec<u8>, Vec<Chunk>) {
    let mut bytes = Vec::new();
    let mut file = storage.open(name).unwrap().bytes;
    file.read_to_end(&mut bytes).unwrap();
    let (header, mut rest) = bytes.split_at(SEGMENT_HEADER_BYTES);
    let mut chunks = Vec::new();
    while let Some((length, body)) = rest.split_first_chunk::<4>() {
        let (sealed, behind) = body.split_at(u32::from_le_bytes(*length) as usize);
        let aad = [header, length].concat();
        chunks.push((aad, sealed.to_vec()));
        rest = behind;
    }
    (header.to_vec(), chunks)
}

/// How many of a segment's chunks open with `secret`, taken for anything that a secret can be: the
/// segment's root or any later state, a chunk's key, the reading key, or what sealed earlier versions.
fn opened_with(secret: &Secret<32>, header: &[u8], chunks: &[Chunk]) -> usize {
    let prelude =
        SegmentHeader::from_bytes(header[..PRELUDE_BYTES].try_into().unwrap(), "s").unwrap();
    let mut keys = vec![
        AeadKey::new(secret).unwrap(),
        prelude.legacy_key(secret).unwrap(),
    ];
    let root = prelude.open_root(secret, &header[PRELUDE_BYTES..]);
    for begin in [Some(secret.duplicate()), root].into_iter().flatten() {
        let mut state = begin;
        for _ in 0..chunks.len() {
            let [key, next] = step(&state, CHUNK_INFO).unwrap();
            keys.push(AeadKey::new(&key).unwrap());
            state = next;
        }
    }
    let opens = |(aad, sealed): &&Chunk| {
        keys.iter()
            .any(|key| key.open(0, aad, &mut sealed.clone()).is_ok())
    };
    chunks.iter().filter(opens).count()
}

/// Every secret that the writer can reach is tried on everything it has written, at each hour of a day.
#[test]
fn the_writer_holds_nothing_that_opens_what_it_has_written() {
    let (storage, keys) = (
        MemoryStorage::default(),
        Arc::new(MemoryKey::random().unwrap()),
    );
    let options = LogOptions::default();
    let mut log = EncounterLog::open_on(storage.clone(), Arc::clone(&keys), options).unwrap();
    let reading = keys.load(KeyPurpose::Reading).unwrap().unwrap();
    for hour in 0..26 {
        log.append(&[sighting(hour, u64::from(hour) * 3_600)])
            .unwrap();
        let mut held = vec![
            log.home.kek.duplicate(),
            Secret::new(log.home.reading.unwrap()),
        ];
        held.extend(log.writers.iter().map(|writer| writer.ratchet.secret()));
        let mut written = 0;
        for name in log.manifest.segments.keys() {
            let (header, chunks) = chunks(&storage, &name.to_string());
            for secret in &held {
                assert_eq!(opened_with(secret, &header, &chunks), 0, "at {hour}:00");
            }
            // What a reader gets does open them, so that the above says something.
            assert_eq!(opened_with(&reading, &header, &chunks), chunks.len());
            written += chunks.len();
        }
        assert_eq!(written, usize::from(hour) + 1);
    }
}

/// What is remembered to be written shorter is who is near, and not the day.
#[test]
fn the_writer_remembers_nobody_of_hours_ago() {
    let mut log = EncounterLog::open_on(
        MemoryStorage::default(),
        MemoryKey::random().unwrap(),
        LogOptions::default(),
    )
    .unwrap();
    for minute in 0..240_u64 {
        let who = u8::try_from(minute / 15).unwrap();
        log.append(&[sighting(who, minute * 60)]).unwrap();
    }
    let remembered = log.writers[0].packer.remembered();
    assert!(remembered <= 3, "{remembered}");
}

#[test]
fn clocks_are_noted_when_a_segment_begins_and_when_they_jump() {
    let (storage, key) = (MemoryStorage::default(), || {
        MemoryKey::new(Secret::new([7; 32]))
    });
    let options = LogOptions::default();
    let mut log = EncounterLog::open_on(storage.clone(), key(), options).unwrap();
    let reading = |wall_s: u64, boot: u8, since_boot_s: u64| ClockReading {
        wall: Timestamp::from_unix_seconds(wall_s),
        uptime: Some(crate::time::Uptime {
            boot_id: [boot; 16],
            since_boot_ms: since_boot_s * 1_000,
        }),
    };
    let mut at = |reading: ClockReading| {
        log.observe(reading);
        log.append(&[sighting(1, 1_000)]).unwrap();
    };
    at(reading(1_000, 1, 10));
    at(reading(1_060, 1, 70));
    at(reading(5_120, 1, 130)); // an hour and a bit ahead
    at(reading(5_180, 1, 190));
    at(reading(1_240, 1, 250)); // set right again
    at(reading(1_300, 2, 5)); // another start of the machine
    drop(log);
    let reader = LogReader::open_on(storage.clone(), &key()).unwrap();
    let noted: Vec<_> = reader
        .clock_records()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it.reading.wall.unix_seconds(),
                it.jumped_from.map(Timestamp::unix_seconds),
            )
        })
        .collect();
    let expected = [
        (1_000, None),
        (5_120, Some(1_120)),
        (1_240, Some(5_240)),
        (1_300, None),
    ];
    assert_eq!(noted, expected);
    assert_eq!(reader.sightings().unwrap().count(), 6);
    let log = EncounterLog::open_on(storage, key(), LogOptions::default()).unwrap();
    assert_eq!(log.last_clock(), Some(reading(1_300, 2, 5)));
}

/// Its file is there before the manifest knows it; what has been stored in it since is as good as any.
#[test]
fn a_segment_listed_while_it_was_being_made_is_no_damage() {
    let storage = MemoryStorage::default();
    let key = || MemoryKey::new(Secret::new([7; 32]));
    let options = LogOptions::default();
    let mut log = EncounterLog::open_on(storage.clone(), key(), options).unwrap();
    let day = UtcDay::from_unix_days(0);
    let name = segment::SegmentName { day, number: 0 };
    let writer = SegmentWriter::create(&log.home, name).unwrap();
    let reader = LogReader::open_on(storage, &key()).unwrap();
    let found = reader.sightings().unwrap();
    log.note(&writer);
    log.write_manifest().unwrap();
    log.writers.push(writer);
    log.append(&[sighting(1, 10)]).unwrap();
    let found: Result<Vec<_>, _> = found.collect();
    assert_eq!(found.unwrap(), [sighting(1, 10)]);
}

/// Though nothing is heard after midnight that would push anybody out.
#[test]
fn the_writer_remembers_nobody_after_midnight() {
    let storage = MemoryStorage::default();
    let key = MemoryKey::random().unwrap();
    let mut log = EncounterLog::open_on(storage, key, LogOptions::default()).unwrap();
    for who in 0..20 {
        log.append(&[sighting(who, 86_300)]).unwrap();
    }
    let mut at = |wall_s| {
        let wall = Timestamp::from_unix_seconds(wall_s);
        log.observe(ClockReading { wall, uptime: None });
        let remembered = log.writers.iter().map(|it| it.packer.remembered());
        (log.writers.len(), remembered.sum::<usize>())
    };
    assert_eq!(at(86_399), (1, 20));
    assert_eq!(at(86_400 + 1_199).0, 1);
    assert_eq!(at(86_400 + 1_200), (0, 0));
}

/// The same within a day.
#[test]
fn the_writer_remembers_nobody_when_nothing_is_heard() {
    let storage = MemoryStorage::default();
    let key = MemoryKey::random().unwrap();
    let mut log = EncounterLog::open_on(storage, key, LogOptions::default()).unwrap();
    log.append(&[sighting(1, 1_000)]).unwrap();
    for wall_s in [1_600, 2_200] {
        let wall = Timestamp::from_unix_seconds(wall_s);
        log.observe(ClockReading { wall, uptime: None });
    }
    assert_eq!(log.writers[0].packer.remembered(), 0);
}

/// A file that somebody has put there with the day's last number.
#[test]
fn a_stray_last_segment_does_not_stop_the_day() {
    let storage = MemoryStorage::default();
    let key = MemoryKey::random().unwrap();
    let mut log = EncounterLog::open_on(storage.clone(), key, LogOptions::default()).unwrap();
    for number in ["0000", "0999"] {
        storage
            .create(&format!("1970-01-01.{number}.segment"))
            .unwrap();
    }
    log.append(&[sighting(1, 10)]).unwrap();
    assert_eq!(log.writers[0].name.number, 1);
}

/// What was appended since is noted at the end then.
#[test]
fn a_manifest_that_could_not_be_written_is_still_due() {
    let storage = MemoryStorage::default();
    let key = MemoryKey::random().unwrap();
    let mut log = EncounterLog::open_on(storage, key, LogOptions::default()).unwrap();
    log.append(&[sighting(1, 10)]).unwrap();
    assert_eq!(log.unnoted, 1);
    let day = UtcDay::from_unix_days(0);
    // More than a sealed file may have.
    let too_many =
        (1..50_000).map(|number| (segment::SegmentName { day, number }, Length::default()));
    log.manifest.segments.extend(too_many);
    log.write_manifest().unwrap_err();
    assert_eq!(log.unnoted, 1);
    log.manifest.segments.retain(|name, _| name.number == 0);
    log.write_manifest().unwrap();
    assert_eq!(log.unnoted, 0);
}

/// Whoever gives a log less room than it has taken loses no day that begins.
#[test]
fn a_budget_smaller_than_what_is_stored_stops_no_new_day() {
    let at = |day| segment::SegmentName {
        day: UtcDay::from_unix_days(day),
        number: 0,
    };
    let mib = |mib: u64| Length {
        acknowledged: mib << 20,
        found: 0,
    };
    let options = LogOptions::default().with_budget_bytes(4 << 20).unwrap();
    let manifest = Manifest {
        segments: (1..=17).map(|day| (at(day), mib(u64::from(day)))).collect(),
        ..Manifest::default()
    };
    let used = used_in(&manifest, &options);
    let used = |day| used(UtcDay::from_unix_days(day)) >> 20;
    assert_eq!((used(18), used(17), used(3)), (0, 17, 3));
    // Fifteen days are newer.
    assert_eq!((used(2), used(1), used(0)), (3, 3, 3));

    let storage = MemoryStorage::default();
    let mut log = EncounterLog::open_on(storage, MemoryKey::random().unwrap(), options).unwrap();
    log.manifest.segments.extend(manifest.segments.clone());
    log.append(&[sighting(1, 18 * 86_400)]).unwrap();
    assert_eq!((log.admitted().stored, log.admitted().over_budget), (1, 0));
}
