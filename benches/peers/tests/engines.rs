//! Every engine keeps all that it is given, and nothing of it in plain: what is measured is the same work.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use truyvet::time::Timestamp;
use truyvet::{ProtocolKind, Sighting};
use truyvet_peers::days;
use truyvet_peers::engines::{ENGINES, Engine};

/// A mixed lot: of both protocols, with and without what can be missing.
fn sightings() -> Vec<Sighting> {
    let mut sightings: Vec<_> = days::busy(0).into_iter().take(1_000).collect();
    for (number, sighting) in sightings.iter_mut().enumerate() {
        if number % 3 == 0 {
            sighting.protocol = ProtocolKind::Bluezone;
            sighting.id = [number as u8; 12].into();
            sighting.metadata = None;
        }
        if number % 5 == 0 {
            sighting.rssi = None;
        }
    }
    sightings
}

fn read(engine: &Engine, dir: &Path) -> Vec<Sighting> {
    let mut read = Vec::new();
    (engine.read)(dir, &mut |sighting| read.push(sighting)).unwrap();
    read
}

#[test]
fn all_is_read_as_it_was_given() {
    let sightings = sightings();
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = sightings.split_at(300);
        engine.store(dir.path(), before, days::BATCH).unwrap();
        assert_eq!(read(engine, dir.path()), before, "{}", engine.name);
        // Opened again, it goes on behind what it has.
        engine.store(dir.path(), after, days::BATCH).unwrap();
        assert_eq!(read(engine, dir.path()), sightings, "{}", engine.name);
    }
}

#[test]
fn a_batch_is_there_before_anything_is_closed() {
    let sightings = sightings();
    for engine in ENGINES {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut writer = (engine.open)(dir.path()).unwrap();
        writer.append(&sightings).unwrap();
        // As the disk is when the power goes.
        copy_all(dir.path(), copy.path());
        writer.close().unwrap();
        assert_eq!(read(engine, copy.path()), sightings, "{}", engine.name);
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn nothing_is_in_plain() {
    let sightings: Vec<_> = days::busy(0).into_iter().take(500).collect();
    let first_ms = |time: Timestamp| time.unix_millis().to_le_bytes()[..6].to_vec();
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        engine.store(dir.path(), &sightings, days::BATCH).unwrap();
        let mut files = Vec::new();
        bytes_below(dir.path(), &mut files);
        // It is all in these files: truyvet packs a sighting of a busy day in some 12 bytes.
        assert!(files.len() > 500 * 8, "{}", engine.name);
        for sighting in [&sightings[0], &sightings[250], &sightings[499]] {
            let (id, first) = (sighting.id.as_bytes(), first_ms(sighting.first));
            let mut big_endian = first.clone();
            big_endian.reverse();
            for secret in [id, &first, &big_endian] {
                let found = files.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{}: {secret:?}", engine.name);
            }
        }
    }
}

fn bytes_below(dir: &Path, bytes: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            bytes_below(&entry.path(), bytes);
        } else {
            let file = std::fs::read(entry.path()).unwrap();
            // fjall's journal is made with 64 MiB of zeros.
            let end = file.iter().rposition(|byte| *byte != 0);
            bytes.extend(&file[..end.map_or(0, |last| last + 1)]);
        }
    }
}

#[test]
fn an_engine_that_is_not_there() {
    let error = Engine::named("leveldb").err().unwrap().to_string();
    assert!(
        error.contains("truyvet") && error.contains("leveldb"),
        "{error}"
    );
}
