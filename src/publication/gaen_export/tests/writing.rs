use std::time::Duration;

use proptest::prelude::*;

use super::super::write::dealt;
use super::*;
use crate::entropy::{Entropy, EntropyError};

fn not_written(writer: ExportWriter) -> ExportWriteError {
    writer
        .write(&[&AUTHORITY], &mut SeededEntropy::new(1))
        .unwrap_err()
}

#[test]
fn padding_looks_alike() {
    let mut early = DiagnosisKey::new([1; 16], IntervalNumber(2_650_100), 44).unwrap();
    early.transmission_risk = 3;
    early.days_since_onset = Some(-2);
    early.report_type = ReportType::SelfReport;
    let mut options = options();
    options.padding = Padding::default();
    let real = [early.clone(), key(2)];
    let zip = written(ExportWriter::new(options).keys(real.clone()));
    let export = read(&zip).unwrap();
    assert!((1000..=1099).contains(&export.keys.len()));
    assert!(real.iter().all(|key| export.keys.contains(key)));
    assert!(export.keys.is_sorted_by(|a, b| a.key() < b.key()));
    let like = |model: &DiagnosisKey, key: &&DiagnosisKey| {
        (key.rolling_start(), key.rolling_period())
            == (model.rolling_start(), model.rolling_period())
            && key.transmission_risk == model.transmission_risk
            && key.days_since_onset == model.days_since_onset
            && key.report_type == model.report_type
    };
    let early_ones = export.keys.iter().filter(|key| like(&early, key)).count();
    let others = export.keys.iter().filter(|key| like(&real[1], key)).count();
    assert_eq!(early_ones + others, export.keys.len());
    assert!(early_ones > 400 && others > 400, "{early_ones} {others}");
}

#[test]
fn padding_of_none_and_of_enough() {
    let mut options = options();
    options.padding = Padding::default();
    let empty = written(ExportWriter::new(options.clone()));
    assert_eq!(read(&empty).unwrap().keys, []);
    options.padding = Padding {
        min_keys: 2,
        extra_max: 0,
    };
    for real in [2, 3] {
        let zip = written(ExportWriter::new(options.clone()).keys((0..real).map(key)));
        assert_eq!(read(&zip).unwrap().keys.len(), usize::from(real));
    }
    options.padding.min_keys = usize::MAX;
    options.padding.extra_max = usize::MAX;
    assert!(matches!(
        not_written(ExportWriter::new(options).keys([key(1)])),
        ExportWriteError::TooManyKeys { .. }
    ));
}

#[test]
fn keys_repeated_are_refused() {
    let new = ExportWriter::new(options()).keys([key(1), key(2), key(1)]);
    let list = KeyList::New;
    assert!(matches!(
        not_written(new),
        ExportWriteError::KeyRepeated { list: found } if found == list
    ));
    let both = ExportWriter::new(options())
        .keys([key(1)])
        .revised_keys([key(1)]);
    let list = KeyList::Revised;
    assert!(matches!(
        not_written(both),
        ExportWriteError::KeyRepeated { list: found } if found == list
    ));
}

#[test]
fn options_refused() {
    let mut backwards = options();
    std::mem::swap(&mut backwards.start, &mut backwards.end);
    assert!(matches!(
        not_written(ExportWriter::new(backwards)),
        ExportWriteError::EndBeforeStart { .. }
    ));
    let mut long = options();
    long.region = "x".repeat(256);
    let error = not_written(ExportWriter::new(long));
    assert_eq!(
        error.to_string(),
        "expected a region of at most 255 bytes, got 256"
    );
    for signers in [vec![], vec![&*AUTHORITY; SIGNATURES_MAX + 1]] {
        let got = signers.len();
        let result = ExportWriter::new(options()).write(&signers, &mut SeededEntropy::new(1));
        assert!(matches!(
            result,
            Err(ExportWriteError::Signers { got: found }) if found == got
        ));
    }
    let mut wrong = key(1);
    wrong.transmission_risk = 9;
    let error = not_written(ExportWriter::new(options()).keys([wrong]));
    assert_eq!(
        error.to_string(),
        "key 0: expected a transmission risk level of 0 to 8, got 9"
    );
}

#[test]
fn still_valid_keys_are_not_written() {
    let key = key(1);
    let mut options = options();
    options.end = IntervalNumber(2_650_144).start();
    assert!(!written(ExportWriter::new(options.clone()).keys([key.clone()])).is_empty());
    options.end = options.end.saturating_sub(Duration::from_secs(1));
    let error = not_written(ExportWriter::new(options.clone()).keys([key.clone()]));
    assert_eq!(
        error.to_string(),
        "key 0: expected validity to end by 2020-05-21T18:39:59Z, got one until 2020-05-21T18:40:00Z"
    );
    let list = ExportWriter::new(options.clone()).revised_keys([key.clone()]);
    assert!(matches!(
        not_written(list),
        ExportWriteError::StillValid {
            list: KeyList::Revised,
            index: 0,
            ..
        }
    ));
    // Withdrawn it harms nobody, and told to it is written all the same.
    let revoked = reported(1, ReportType::Revoked);
    assert!(!written(ExportWriter::new(options.clone()).revised_keys([revoked])).is_empty());
    options.embargo = None;
    assert!(!written(ExportWriter::new(options).keys([key])).is_empty());
}

#[test]
fn several_files_end_a_second_apart() {
    let many = Padding {
        min_keys: 20,
        extra_max: 5,
    };
    let mut options = options();
    options.padding = many;
    for (keys, count) in [(0, 0), (3, 20)] {
        let writer = ExportWriter::new(options.clone()).keys((0..keys).map(key));
        let zips = writer.write_files(&[&AUTHORITY], &mut SeededEntropy::new(1));
        let [zip] = &zips.unwrap()[..] else {
            panic!("not one");
        };
        assert!((count..=count + 5).contains(&read(zip).unwrap().keys.len()));
    }
    let keys = |keys: &[u8]| keys.iter().copied().map(key).collect::<Vec<_>>();
    let zips = ExportWriter::new(options.clone())
        .keys(keys(&[4, 2, 1, 3, 5]))
        .revised_keys(keys(&[9, 8]))
        .write_parts(&[&AUTHORITY], &mut SeededEntropy::new(1), 13)
        .unwrap();
    let exports: Vec<Export> = zips.iter().map(|zip| read(zip).unwrap()).collect();
    assert!(exports.len() == 2 || exports.len() == 3);
    let second = Duration::from_secs(1);
    for files in exports.windows(2) {
        assert_eq!(files[1].end, files[0].end.saturating_add(second));
    }
    let headers: Vec<_> = exports.iter().map(Export::header).collect();
    assert_eq!(check_batches(&headers), Ok(()));
    assert!(Export::combine(exports).len() >= 22);
}

#[test]
fn no_entropy_no_padding() {
    struct Dry;
    impl Entropy for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let mut options = options();
    options.padding = Padding::default();
    let result = ExportWriter::new(options)
        .keys([key(1)])
        .write(&[&AUTHORITY], &mut Dry);
    assert!(matches!(result, Err(ExportWriteError::Entropy(_))));
}

prop_compose! {
    fn any_key()(
        bytes: [u8; 16],
        start in 0..3_000_000u32,
        period in prop_oneof![Just(144u32), 1..=144u32],
        level in 0..=8u8,
        report in prop::sample::select(vec![
            ReportType::Unknown,
            ReportType::ConfirmedTest,
            ReportType::ConfirmedClinicalDiagnosis,
            ReportType::SelfReport,
            ReportType::Recursive,
            ReportType::Revoked,
        ]),
        days in prop::option::of(-14..=14i8),
    ) -> DiagnosisKey {
        let mut key = DiagnosisKey::new(bytes, IntervalNumber(start), period).unwrap();
        key.transmission_risk = level;
        key.report_type = report;
        key.days_since_onset = days;
        key
    }
}

proptest! {
    /// Every key is dealt once, in order, and no part has more than it may.
    #[test]
    fn keys_are_dealt_once(new in 0..300usize, revised in 0..300usize, most in 2..120usize) {
        let (new, revised): (Vec<_>, Vec<_>) = ((0..new).collect(), (1000..1000 + revised).collect());
        let parts = dealt(&new, &revised, most);
        prop_assert!(!parts.is_empty());
        prop_assert!(parts.iter().all(|part| part.0.len() + part.1.len() <= most));
        let back: Vec<usize> = parts.iter().flat_map(|part| part.0).copied().collect();
        prop_assert_eq!(&back, &new);
        let back: Vec<usize> = parts.iter().flat_map(|part| part.1).copied().collect();
        prop_assert_eq!(&back, &revised);
    }

    #[test]
    fn written_files_are_read(
        mut keys in prop::collection::vec(any_key(), 0..40),
        region in ".{0,20}",
        start in 0..1u64 << 36,
        length in 0..1u64 << 36,
    ) {
        keys.sort_by_key(|key| *key.key());
        keys.dedup_by_key(|key| *key.key());
        let mut options = options();
        options.start = Timestamp::from_unix_seconds(start);
        options.end = Timestamp::from_unix_seconds(start + length);
        options.region = region.clone();
        options.embargo = None;
        let zip = written(ExportWriter::new(options).keys(keys.clone()));
        let file = UnverifiedExport::read(&zip).unwrap().with_options(ReadOptions::EVERY_KEY);
        let export = file.verify(&trusted()).unwrap();
        prop_assert_eq!(export.keys, keys);
        prop_assert_eq!(export.region, region);
        prop_assert_eq!(export.start.unix_seconds(), start);
        prop_assert_eq!(export.end.unix_seconds(), start + length);
    }
}
