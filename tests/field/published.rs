//! Herald's raw logs of 8 December 2020 against what it has published of them.

use std::fs;

use rawzip::ZipLocator;
use truyvet::field::evaluation::{ContactEvent, Evaluation};
use truyvet::field::herald::parse_time;
use truyvet::field::readings::FieldTest;

use crate::conformance::conformance_file;

/// Four phones' folders.
fn unzipped(zip: &[u8]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let archive = ZipLocator::new().locate_in_slice(zip).map_err(|(_, e)| e);
    let archive = archive.unwrap();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().unwrap() {
        let path = entry.file_path().try_normalize().unwrap();
        let path: &str = path.as_ref();
        let Some(path) = path
            .strip_prefix("20201208/")
            .filter(|it| it.ends_with(".csv"))
        else {
            continue;
        };
        let mut bytes = vec![0; entry.uncompressed_size_hint() as usize];
        let found = archive.get_entry(entry.wayfinder()).unwrap();
        let mut inflate = zlib_rs::Inflate::new(false, 15);
        let flush = zlib_rs::InflateFlush::Finish;
        inflate.decompress(found.data(), &mut bytes, flush).unwrap();
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    home
}

/// Who hears whom: windows of 1400, mean and longest gap in seconds. Computed by others from the same logs.
const PAIRS: [(&str, &str, usize, f64, f64); 12] = [
    ("A10", "A20", 1400, 0.94, 30.0),
    ("A10", "Denmark", 1400, 0.73, 30.0),
    ("A10", "Netherlands", 1400, 0.71, 30.0),
    ("A20", "A10", 1400, 0.95, 24.0),
    ("A20", "Denmark", 1400, 0.73, 23.0),
    ("A20", "Netherlands", 1400, 0.71, 23.0),
    ("Denmark", "A10", 1400, 2.56, 10.0),
    ("Denmark", "A20", 1400, 2.56, 12.0),
    ("Denmark", "Netherlands", 1399, 5.63, 42.0),
    ("Netherlands", "A10", 1400, 2.56, 9.0),
    ("Netherlands", "A20", 1400, 2.57, 9.0),
    ("Netherlands", "Denmark", 1398, 5.61, 40.0),
];

#[test]
fn heralds_test_of_december_2020() {
    let Some(zip) = conformance_file("herald/herald_formal_test_20201208.zip") else {
        return;
    };
    let home = unzipped(&fs::read(zip).unwrap());
    let folders = FieldTest::folders(&[home.path().to_owned()]).unwrap();
    let mut bytes = 0;
    let test = FieldTest::read(&folders, |read| bytes += read).unwrap();
    assert_eq!(bytes, 14_883_453 + 14_908_742 + 7_413_425 + 7_203_477);
    assert!(test.devices.iter().all(|device| device.refused == 0));
    // As its script has them.
    let event = ContactEvent {
        from: parse_time("2020-12-08 23:20:00").unwrap(),
        until: parse_time("2020-12-09 11:00:00").unwrap(),
    };
    let evaluation = Evaluation::of(&test, event).unwrap();
    assert_eq!(evaluation.total, 16_800);
    assert_eq!(evaluation.hit_as_herald, 16_799, "what was published");
    assert_eq!(evaluation.hit, 16_797, "by the definition");
    assert_eq!(evaluation.detection_percent, 100.0);
    let longevity = evaluation.longevity_percent.unwrap();
    assert_eq!(format!("{longevity:.2}"), "99.93", "what was published");
    assert_eq!(evaluation.pairs.len(), PAIRS.len());
    for (pair, (seer, seen, hit, mean_s, max_s)) in evaluation.pairs.iter().zip(PAIRS) {
        let gaps = pair.gaps.unwrap();
        assert_eq!((pair.seer.as_str(), pair.seen.as_str()), (seer, seen));
        assert_eq!(pair.hit, hit, "{seer} hears {seen}");
        assert!(
            (gaps.mean_s - mean_s).abs() <= 0.005,
            "{seer} hears {seen}: {gaps:?}"
        );
        assert_eq!(gaps.max_s, max_s, "{seer} hears {seen}");
    }
    // The window more that the script finds, at the very end, and the one that is missing before.
    let denmark: Vec<_> = evaluation.pairs[6..9]
        .iter()
        .map(|it| it.windows_as_herald)
        .collect();
    assert_eq!(denmark, [1400, 1401, 1400]);
    assert_eq!(evaluation.pairs[8].missing(), [(705, 1)]);
}
