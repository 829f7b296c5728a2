use std::fs::{self, OpenOptions};
use std::io::{Read, Seek};

use proptest::prelude::*;

use super::*;

fn secret(byte: u8) -> Secret<32> {
    Secret::new([byte; 32])
}

fn load(provider: &KeyFile, purpose: KeyPurpose) -> Option<[u8; 32]> {
    provider.load(purpose).unwrap().map(|key| *key.expose())
}

fn parse_text(text: impl AsRef<[u8]>) -> Result<Keys, KeyError> {
    parse(text.as_ref(), Path::new("key"))
}

/// The names in the directory.
fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, mode).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

#[test]
fn a_new_key_file_holds_no_key_and_takes_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = KeyFile::open_or_create(&path).unwrap();
    assert_eq!(load(&made, KeyPurpose::Logging), None);
    assert_eq!(load(&made, KeyPurpose::Reading), None);
    made.replace(KeyPurpose::Reading, &secret(1)).unwrap();
    assert_eq!(load(&made, KeyPurpose::Logging), None);
    assert_eq!(load(&made, KeyPurpose::Reading), Some([1; 32]));
}

#[test]
fn replaced_key_is_kept_over_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = KeyFile::open_or_create(&path).unwrap();
    for byte in 1..=3 {
        made.replace(KeyPurpose::Logging, &secret(byte)).unwrap();
        made.replace(KeyPurpose::Reading, &secret(byte + 100))
            .unwrap();
        for again in [
            KeyFile::open(&path).unwrap(),
            KeyFile::open_or_create(&path).unwrap(),
        ] {
            assert_eq!(load(&again, KeyPurpose::Logging), Some([byte; 32]));
            assert_eq!(load(&again, KeyPurpose::Reading), Some([byte + 100; 32]));
        }
        assert_eq!(names(dir.path()), ["key"]);
    }
}

#[test]
fn a_power_cut_between_write_and_rename_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = KeyFile::open_or_create(&path).unwrap();
    made.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    let left = dir.path().join("key.new");
    for cut in [0, 20, 400] {
        fs::write(&left, vec![b'x'; cut]).unwrap();
        let again = KeyFile::open(&path).unwrap();
        assert_eq!(load(&again, KeyPurpose::Logging), Some([1; 32]));
        again.replace(KeyPurpose::Reading, &secret(2)).unwrap();
        assert_eq!(load(&made, KeyPurpose::Reading), Some([2; 32]));
        assert_eq!(names(dir.path()), ["key"]);
    }
}

/// What was left may hold a key that is current still.
#[cfg(unix)]
#[test]
fn what_a_power_cut_left_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let left = dir.path().join("key.new");
    let made = KeyFile::open_or_create(&path).unwrap();
    let forget: [&dyn Fn(); 2] = [
        &|| made.replace(KeyPurpose::Logging, &secret(1)).unwrap(),
        &|| made.erase().unwrap(),
    ];
    for forget in forget {
        fs::write(&left, "a key").unwrap();
        let mut still_open = OpenOptions::new().read(true).open(&left).unwrap();
        forget();
        let mut text = String::new();
        still_open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        assert!(!left.exists());
    }
}

#[cfg(unix)]
#[test]
fn a_link_where_the_new_file_is_written_is_removed_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = KeyFile::open_or_create(&path).unwrap();
    fs::write(dir.path().join("letter"), "dear").unwrap();
    std::os::unix::fs::symlink("letter", dir.path().join("key.new")).unwrap();
    made.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    let letter = fs::read_to_string(dir.path().join("letter")).unwrap();
    assert_eq!(letter, "dear");
    assert_eq!(load(&made, KeyPurpose::Logging), Some([1; 32]));
}

#[cfg(unix)]
#[test]
fn a_key_file_behind_a_link_is_replaced_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("key"), dir.path().join("link"));
    KeyFile::open_or_create(&path).unwrap();
    std::os::unix::fs::symlink("key", &link).unwrap();
    let behind = KeyFile::open(&link).unwrap();
    behind.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let direct = KeyFile::open(&path).unwrap();
    assert_eq!(load(&direct, KeyPurpose::Logging), Some([1; 32]));
}

/// Somebody who has the old file open stands for the disk's blocks, which no test can read.
#[cfg(unix)]
#[test]
fn replaced_and_erased_bytes_are_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = KeyFile::open_or_create(&path).unwrap();
    made.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    let forget: [&dyn Fn(); 2] = [
        &|| made.replace(KeyPurpose::Logging, &secret(2)).unwrap(),
        &|| made.erase().unwrap(),
    ];
    for forget in forget {
        let mut still_open = OpenOptions::new().read(true).open(&path).unwrap();
        let mut text = String::new();
        still_open.read_to_string(&mut text).unwrap();
        assert!(text.contains("logging"));
        forget();
        still_open.rewind().unwrap();
        text.clear();
        still_open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
    }
}

#[test]
fn version_1_is_read_and_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, format!("{PREFIX_1}{}\n", "ab".repeat(32))).unwrap();
    set_mode(&path, 0o600);
    let old = KeyFile::open_or_create(&path).unwrap();
    assert_eq!(load(&old, KeyPurpose::Logging), Some([0xAB; 32]));
    assert_eq!(load(&old, KeyPurpose::Reading), None);
    old.replace(KeyPurpose::Reading, &secret(1)).unwrap();
    assert_eq!(load(&old, KeyPurpose::Logging), Some([0xAB; 32]));
    assert_eq!(load(&old, KeyPurpose::Reading), Some([1; 32]));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("truyvet-keys-2\nlogging abab"), "{text}");
}

/// The check by Python's hashlib.
#[test]
fn the_text_is_pinned() {
    let keys = |logging: Option<u8>, reading: Option<u8>| Keys {
        logging: logging.map(secret),
        reading: reading.map(secret),
    };
    let text = |keys| String::from_utf8(print(&keys).to_vec()).unwrap();
    assert_eq!(
        text(keys(Some(0xAB), Some(1))),
        format!(
            "truyvet-keys-2\nlogging {}\nreading {}\ncheck {}\n",
            "ab".repeat(32),
            "01".repeat(32),
            "e5ec8d740a7d77f383251e1dcee526eb2b7a04a34da3a6aded80aaa9fefab94f"
        )
    );
    for (logging, reading) in [(None, None), (Some(1), None), (None, Some(2))] {
        let again = parse_text(text(keys(logging, reading))).unwrap();
        let byte = |key: Option<Secret<32>>| key.map(|key| key.expose()[0]);
        assert_eq!(
            (byte(again.logging), byte(again.reading)),
            (logging, reading)
        );
    }
}

#[test]
fn everybody_who_starts_at_once_has_the_same_file() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::thread::scope(|scope| {
            for byte in 1..=4 {
                let path = &path;
                scope.spawn(move || {
                    let provider = KeyFile::open_or_create(path).unwrap();
                    // The log's lock lets one alone do it; nobody's opening may undo it.
                    if byte == 1 {
                        provider.replace(KeyPurpose::Logging, &secret(1)).unwrap();
                    }
                });
            }
        });
        let provider = KeyFile::open(&path).unwrap();
        assert_eq!(load(&provider, KeyPurpose::Logging), Some([1; 32]));
        assert_eq!(names(dir.path()), ["key"]);
    }
}

/// Two providers as two processes would have them: neither takes back the other's key, and whoever
/// loads meanwhile finds a whole file.
#[cfg(unix)]
#[test]
fn keys_replaced_at_once_are_both_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    KeyFile::open_or_create(&path).unwrap();
    std::thread::scope(|scope| {
        for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
            let path = &path;
            scope.spawn(move || {
                let provider = KeyFile::open(path).unwrap();
                for byte in 1..=20 {
                    provider.replace(purpose, &secret(byte)).unwrap();
                    assert_eq!(load(&provider, purpose), Some([byte; 32]));
                }
            });
        }
        for _ in 0..200 {
            KeyFile::open(&path).unwrap();
        }
    });
    let provider = KeyFile::open(&path).unwrap();
    assert_eq!(load(&provider, KeyPurpose::Logging), Some([20; 32]));
    assert_eq!(load(&provider, KeyPurpose::Reading), Some([20; 32]));
}

/// Whoever loads in the middle of a replacement waits for its end: here the old file is cut already when
/// the new one takes its place.
#[cfg(unix)]
#[test]
fn nothing_is_loaded_in_the_middle_of_a_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let (path, new) = (dir.path().join("key"), dir.path().join("new"));
    for (path, byte) in [(&path, 1), (&new, 2)] {
        let provider = KeyFile::open_or_create(path).unwrap();
        provider
            .replace(KeyPurpose::Logging, &secret(byte))
            .unwrap();
    }
    let provider = KeyFile::open(&path).unwrap();
    let old = OpenOptions::new().write(true).open(&path).unwrap();
    old.lock().unwrap();
    let begun = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let loader = scope.spawn(|| {
            begun.wait();
            load(&provider, KeyPurpose::Logging)
        });
        begun.wait();
        old.set_len(30).unwrap();
        old.sync_all().unwrap();
        fs::rename(&new, &path).unwrap();
        old.unlock().unwrap();
        assert_eq!(loader.join().unwrap(), Some([2; 32]));
    });
}

#[test]
fn erase_leaves_nothing_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let provider = KeyFile::open_or_create(&path).unwrap();
    provider.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    fs::write(dir.path().join("key.new"), "left by a power cut").unwrap();
    provider.erase().unwrap();
    assert_eq!(names(dir.path()), [""; 0]);
    provider.erase().unwrap();
    assert_eq!(load(&provider, KeyPurpose::Logging), None);

    provider.replace(KeyPurpose::Reading, &secret(2)).unwrap();
    let again = KeyFile::open(&path).unwrap();
    assert_eq!(load(&again, KeyPurpose::Logging), None);
    assert_eq!(load(&again, KeyPurpose::Reading), Some([2; 32]));
}

#[test]
fn key_file_absent() {
    let dir = tempfile::tempdir().unwrap();
    let error = KeyFile::open(dir.path().join("key")).unwrap_err();
    assert!(matches!(error, KeyError::Io { .. }), "{error}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn key_file_readable_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = KeyFile::open_or_create(&path).unwrap();
    made.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    set_mode(&path, 0o640);
    let before = fs::read(&path).unwrap();
    for error in [
        KeyFile::open(&path).unwrap_err(),
        made.load(KeyPurpose::Logging).unwrap_err(),
        made.replace(KeyPurpose::Logging, &secret(2)).unwrap_err(),
    ] {
        assert!(matches!(
            error,
            KeyError::ReadableByOthers { mode: 0o640, .. }
        ));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn version_1_malformed() {
    let good = format!("{PREFIX_1}{}\n", "ab".repeat(32));
    assert!(parse_text(&good).is_ok());
    assert!(parse_text(good.trim_end()).is_ok());
    for bad in [
        PREFIX_1.to_owned(),
        good[1..].to_owned(),
        good.replace('a', "g"),
        format!("{good}\n"),
        format!("{PREFIX_1}{}\n", "ab".repeat(31)),
    ] {
        let error = parse_text(&bad).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{bad:?}");
    }
}

#[test]
fn version_of_tomorrow() {
    let error = parse_text("truyvet-keys-3\nand so on").unwrap_err();
    assert!(matches!(
        error,
        KeyError::UnsupportedVersion { newest: 2, .. }
    ));
    for never in ["truyvet-keys-0\n", "truyvet-keys-x\n", "truyvet-keys-\n"] {
        let error = parse_text(never).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
    }
}

fn whole() -> Bytes {
    print(&Keys {
        logging: Some(secret(1)),
        reading: Some(secret(2)),
    })
}

#[test]
fn file_cut_or_lengthened() {
    let whole = whole();
    for end in 1..whole.len() {
        let error = parse_text(&whole[..end]).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{end}");
    }
    assert!(parse_text([&whole[..], b"\n"].concat()).is_err());
    assert!(parse_text([&whole[..], &whole[..]].concat()).is_err());
}

#[test]
fn byte_flipped() {
    for at in 0..whole().len() {
        let mut bytes = whole();
        bytes[at] ^= 1;
        // The version's last bit makes it 3.
        let version = at == PREFIX.len();
        let error = parse_text(&*bytes).unwrap_err();
        assert_eq!(matches!(error, KeyError::Malformed { .. }), !version);
    }
}

#[test]
fn lines_swapped_or_repeated() {
    let text = String::from_utf8(whole().to_vec()).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    for order in [&[0, 2, 1, 3][..], &[0, 1, 1, 3], &[0, 1, 3], &[0, 3]] {
        let body: String = order[..order.len() - 1].iter().map(|i| lines[*i]).collect();
        let mut bytes = body.into_bytes();
        assert!(parse_text([&bytes, lines[3].as_bytes()].concat()).is_err());
        let check = sha256(&[&bytes]);
        print_line(&mut bytes, "check", &check);
        let in_order = order.is_sorted() && order[1] != order[2 % order.len()];
        assert_eq!(parse_text(&bytes).is_ok(), in_order, "{order:?}");
    }
}

#[test]
fn debug_prints_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let provider = KeyFile::open_or_create(dir.path().join("key")).unwrap();
    provider
        .replace(KeyPurpose::Logging, &secret(0xAB))
        .unwrap();
    let printed = format!("{provider:?}");
    assert!(!printed.contains("abab") && !printed.contains("171"));
}

proptest! {
    #[test]
    fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 1..600)) {
        prop_assert!(parse_text(bytes).is_err());
    }

    #[test]
    fn any_lines_parse_or_fail(lines in proptest::collection::vec(
        "(truyvet-keys?-[0-9]{0,6}|logging|reading|check)?( [0-9a-f]{63,65})?\n?", 1..5,
    )) {
        let _ = parse_text(lines.concat());
    }

    #[test]
    fn any_keys_come_back(logging: Option<[u8; 32]>, reading: Option<[u8; 32]>) {
        let keys = Keys { logging: logging.map(Secret::new), reading: reading.map(Secret::new) };
        let again = parse_text(&*print(&keys)).unwrap();
        prop_assert_eq!(again.logging.map(|key| *key.expose()), logging);
        prop_assert_eq!(again.reading.map(|key| *key.expose()), reading);
    }
}
