//! Herald's files of a field test, and truyvet's lines of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use truyvet::field::herald::{ContactsReader, Detection, What, battery_levels};
use truyvet::field::participants::Hash;
use truyvet::field::sightings::{Line, next_line};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, file)) = data.split_first() else {
        return;
    };
    match kind {
        0 => contacts(file),
        1 => detection(file),
        2 => {
            let levels = battery_levels(file).unwrap_or_default();
            for level in levels {
                let line = format!("{level}\n");
                assert_eq!(battery_levels(line.as_bytes()).map_or(0, |it| it.len()), 1);
            }
        }
        _ => lines(file),
    }
});

/// What is read is written, and read again as it was, if it needs no quotes.
fn contacts(file: &[u8]) {
    let Ok(mut reader) = ContactsReader::new(file) else {
        return;
    };
    let mut lines = 0;
    while let Ok(Some(contact)) = reader.next() {
        lines += 1;
        let text = match contact.what {
            What::Read(name) | What::Share(name) => name,
            _ => "",
        };
        let quotes = |text: &str| text.contains([',', '"', '\n', '\r']);
        if quotes(contact.id) || quotes(text) {
            continue;
        }
        let line = format!(
            "time,id,detect,read,measure,share,data\n{}\n",
            short(&contact.to_string())
        );
        let mut again = ContactsReader::new(line.as_bytes()).unwrap();
        let read = again.next().unwrap().unwrap();
        assert_eq!((read.id, read.what), (contact.id, contact.what));
        assert_eq!(read.at.unix_seconds(), contact.at.unix_seconds());
    }
    assert!(lines + reader.refused() <= file.len() as u64);
}

/// The columns that are read, of a line of all nine.
fn short(line: &str) -> String {
    let cells: Vec<&str> = line.split(',').collect();
    assert_eq!(cells.len(), 9, "{line}");
    let kept = cells
        .iter()
        .enumerate()
        .filter(|(place, _)| ![1, 7].contains(place));
    kept.map(|(_, cell)| *cell).collect::<Vec<_>>().join(",")
}

/// What is read is one line, and the same when it is read again.
fn detection(file: &[u8]) {
    if let Ok(detection) = Detection::read(file) {
        let line = detection.to_string();
        assert_eq!(line.lines().count(), 1);
        let again = Detection::read(line.as_bytes()).unwrap();
        assert_eq!(again.to_string(), line);
    }
}

fn lines(mut file: &[u8]) {
    let mut refused = 0;
    while let Ok(Some(line)) = next_line(&mut file, &mut refused) {
        let text = serde_json::to_string(&line).unwrap();
        let again: Line = serde_json::from_str(&text).unwrap();
        if let (Line::Frame(one), Line::Frame(other)) = (line, again) {
            assert_eq!(one, other);
            assert_eq!(
                Hash::try_from(one.identifier.to_string()),
                Ok(one.identifier)
            );
        }
    }
}
