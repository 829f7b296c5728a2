//! What is written out for a log's owner.

use std::io;

use proptest::prelude::*;
use serde_json::{Value, json};
use truyvet::log::{EntryKind, Exported, LogEntry, NotExported, OwnersConsent};
use truyvet::time::{ClockReading, Uptime};

use super::reading::{DAY_MS, Watched, at, flip, gap, heard, three_chunks_with_keys};
use super::*;

fn exported(reader: &LogReader, consent: OwnersConsent) -> (Value, Exported) {
    let mut json = Vec::new();
    let exported = reader.export_json(consent, &mut json).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["complete"], exported.is_complete());
    assert_eq!(json["torn_bytes"], exported.torn_bytes);
    let damage = json["damage"].as_array().unwrap();
    assert_eq!(damage.len(), exported.damage.len());
    let entries = json["entries"].as_array().unwrap();
    assert_eq!(entries.len() as u64, exported.entries);
    let sightings = json["sightings"].as_array().unwrap();
    assert_eq!(sightings.len() as u64, exported.sightings);
    (json, exported)
}

const HEARD: OwnersConsent = OwnersConsent::to_what_was_heard();

#[test]
fn an_export_holds_everything() {
    let watched = Watched::default();
    let mut log = watched.log();
    log.observe(ClockReading {
        wall: at(7),
        uptime: Some(Uptime {
            boot_id: [0xAB; 16],
            since_boot_ms: 99,
        }),
    });
    log.append(&[
        heard(1, 1_125, 2_000),
        Sighting {
            protocol: ProtocolKind::Bluezone,
            id: [0x5A; 12].into(),
            metadata: None,
            rssi: None,
            source: Source::GattRead,
            ..heard(2, DAY_MS, DAY_MS)
        },
    ])
    .unwrap();
    log.append_gaps(&[gap(0, 1_000)]).unwrap();
    let (json, _) = exported(&watched.reader(), HEARD);
    let expected = json!({
        "format": "truyvet own data",
        "version": 1,
        "sightings": [
            {
                "protocol": "GAEN", "id": "6964656e7469666965722e2e01000000",
                "metadata": "01020304",
                "first": "2026-11-23T00:00:01.125Z", "last": "2026-11-23T00:00:02.000Z",
                "frames": 4, "rssi": { "min_dbm": -80, "mean_dbm": -70, "max_dbm": -60 },
                "source": "service_data",
            },
            {
                "protocol": "Bluezone", "id": "5a5a5a5a5a5a5a5a5a5a5a5a", "metadata": null,
                "first": "2026-11-24T00:00:00.000Z", "last": "2026-11-24T00:00:00.000Z",
                "frames": 4, "rssi": null, "source": "gatt_read",
            },
        ],
        "gaps": [{
            "from": "2026-11-23T00:00:00.000Z", "to": "2026-11-23T00:00:01.000Z",
            "cause": "adapter",
        }],
        "clock_records": json["clock_records"],
        "entries": [],
        "torn_bytes": 0,
        "damage": [],
        "complete": true,
    });
    assert_eq!(json, expected);
    let record = json!({
        "wall": "2026-11-23T00:00:00.007Z",
        "boot_id": "abababababababababababababababab",
        "since_boot_ms": 99,
        "jumped_from": null,
    });
    assert_eq!(json["clock_records"], json!([record, record]));
}

#[test]
fn an_export_holds_what_the_owner_has_entered() {
    let watched = Watched::default();
    let mut log = watched.log();
    let kinds = [
        EntryKind::HealthDeclaration,
        EntryKind::CheckIn,
        EntryKind::Other(7),
    ];
    let entry = |kind| LogEntry {
        at: at(1),
        kind,
        bytes: vec![0xA5, 0],
    };
    log.append_entries(&kinds.map(entry)).unwrap();
    let (json, exported) = exported(&watched.reader(), HEARD);
    assert_eq!(exported.entries, 3);
    let expected = json!([
            { "at": "2026-11-23T00:00:00.001Z", "kind": "health_declaration", "bytes": "a500" },
            { "at": "2026-11-23T00:00:00.001Z", "kind": "check_in", "bytes": "a500" },
            { "at": "2026-11-23T00:00:00.001Z", "kind": 7, "bytes": "a500" },
    ]);
    assert_eq!(json["entries"], expected);
}

#[test]
fn own_keys_only_if_asked_for() {
    let dir = three_chunks_with_keys();
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let (json, without) = exported(&reader, HEARD);
    assert!(json.get("own_keys").is_none() && without.own_keys.is_none());
    let mut secret = [0; 32];
    SeededEntropy::new(1).fill(&mut secret).unwrap();
    let secret = data_encoding::HEXLOWER.encode(&secret);
    assert!(!json.to_string().contains(&secret));

    let (json, with) = exported(&reader, HEARD.and_own_keys());
    assert_eq!(with.own_keys, Some(1));
    let expected = json!([{
        "protocol": "Bluezone", "day": DAY.to_string(),
        "valid_from": "2026-11-23T00:00:00.000Z", "valid_until": "2026-11-24T00:00:00.000Z",
        "released": false, "secret": secret,
    }]);
    assert_eq!(json["own_keys"], expected);
}

#[test]
fn an_export_says_what_is_missing_in_it() {
    let dir = three_chunks_with_keys();
    flip(&segments(dir.path())[0], CHUNK_ENDS[1] + 10);
    flip(&dir.path().join("manifest.sealed"), 40);
    flip(&dir.path().join("own-keys.sealed"), 40);
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let (json, exported) = exported(&reader, HEARD.and_own_keys());
    // Without its manifest nobody can tell a damaged last chunk from a torn one.
    assert_eq!((exported.sightings, exported.own_keys), (5, None));
    assert_eq!(json["own_keys"], json!([]));
    let damage = json["damage"].as_array().unwrap();
    let files: Vec<_> = damage.iter().map(|it| &it["file"]).collect();
    assert_eq!(files, ["manifest.sealed", "own-keys.sealed"]);
    assert!(exported.torn_bytes > 0);
    assert_eq!(damage[0]["offset"], 28);
}

proptest! {
    #[test]
    fn an_export_is_json_whatever_byte_is_damaged(place in any::<prop::sample::Index>(), bits in 1_u8..) {
        let dir = three_chunks();
        let paths = [&segments(dir.path())[0], &dir.path().join("manifest.sealed")];
        let lens = paths.map(|path| fs::metadata(path).unwrap().len() as usize);
        let place = place.index(lens[0] + lens[1]);
        let (path, byte) = match place.checked_sub(lens[0]) {
            None => (paths[0], place),
            Some(byte) => (paths[1], byte),
        };
        let mut bytes = fs::read(path).unwrap();
        bytes[byte] ^= bits;
        fs::write(path, bytes).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        let (_, exported) = exported(&reader, HEARD);
        prop_assert!(!exported.is_complete());
        prop_assert_eq!(exported.damage.len(), 1);
    }
}

/// Takes so many bytes, and remembers the longest write.
struct Disk {
    room: usize,
    longest: usize,
    taken: usize,
}

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.longest = self.longest.max(bytes.len());
        self.taken += bytes.len();
        match self.taken <= self.room {
            true => Ok(bytes.len()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_export_goes_out_chunk_by_chunk_and_a_full_disk_is_an_error() {
    let watched = Watched::default();
    watched.log().append(&sightings(0..20_000)).unwrap();
    let reader = watched.reader();
    let mut disk = Disk {
        room: usize::MAX,
        longest: 0,
        taken: 0,
    };
    reader.export_json(HEARD, &mut disk).unwrap();
    assert!(disk.longest < disk.taken / 15, "{} at once", disk.longest);
    disk.room = disk.taken / 2;
    disk.taken = 0;
    let failed = reader.export_json(HEARD, &mut disk).unwrap_err();
    assert!(matches!(failed, NotExported::Write(e) if e.kind() == io::ErrorKind::StorageFull));
}
