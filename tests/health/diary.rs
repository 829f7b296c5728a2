//! What a device keeps of what was declared.

use std::time::Duration;

use truyvet::EncounterLog;
use truyvet::log::{EntryKind, LogEntry, LogError, LogOptions, MemoryKey, MemoryStorage};
use truyvet::report::health::message::HealthMessage;
use truyvet::report::health::{Diary, DiaryError};

use super::*;

fn log() -> EncounterLog {
    let keys = MemoryKey::random().unwrap();
    EncounterLog::open_on(MemoryStorage::default(), keys, LogOptions::default()).unwrap()
}

fn diary(log: &EncounterLog) -> Diary {
    Diary::of(&log.reader().unwrap()).unwrap()
}

fn later(hours: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(hours * 3_600))
}

fn coughing(at: Timestamp) -> HealthDeclaration {
    let mut it = HealthDeclaration::new(Form::Daily, at);
    it.states.insert(DailyState::Cough);
    it
}

fn refusal(appended: Result<DeclarationId, DiaryError>) -> HealthError {
    match appended.unwrap_err() {
        DiaryError::Health(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_day_and_its_corrections_are_kept() {
    let mut log = log();
    let mut held = diary(&log);
    let first = held.append(&mut log, healthy(), NOW).unwrap();
    let mut correction = coughing(later(20));
    correction.corrects = Some(first);
    let second = held.append(&mut log, correction, later(20)).unwrap();
    let mut correction = coughing(later(21));
    correction.corrects = Some(second);
    correction.note = "dry".to_owned();
    let third = held
        .append(&mut log, correction.clone(), later(21))
        .unwrap();
    let read = diary(&log);
    assert_eq!(read.all(), held.all());
    let shown: Vec<_> = read
        .all()
        .iter()
        .map(|it| (it.id, it.is_corrected))
        .collect();
    assert_eq!(shown, [(first, true), (second, true), (third, false)]);
    // Made on the day after, they speak of the day that they correct.
    assert_eq!(read.days(), [day("2021-05-31")]);
    let counts: Vec<_> = read.of_day(day("2021-05-31")).map(|it| it.id).collect();
    assert_eq!(counts, [third]);
    let latest = read.latest(&Subject::Myself).unwrap();
    assert_eq!(latest.declaration, correction);
    // So that the day after may have its own.
    held.append(&mut log, coughing(later(21)), later(21))
        .unwrap();
    assert_eq!(diary(&log).days().len(), 2);
}

#[test]
fn a_second_update_of_a_day() {
    let mut log = log();
    let mut diary = diary(&log);
    diary.append(&mut log, healthy(), NOW).unwrap();
    let again = refusal(diary.append(&mut log, coughing(later(1)), later(1)));
    let day = day("2021-05-31");
    assert_eq!(again, HealthError::DeclaredAlready { day });
    // Somebody else's, and a full form, are others.
    let mut other = healthy();
    other.subject = Subject::HouseholdMember {
        label: "son".to_owned(),
    };
    diary.append(&mut log, other, NOW).unwrap();
    diary.append(&mut log, full(), NOW).unwrap();
    assert_eq!(diary.all().len(), 3);
}

#[test]
fn corrections_of_what_is_not_to_be_corrected() {
    let mut log = log();
    let mut diary = diary(&log);
    let first = diary.append(&mut log, healthy(), later(1)).unwrap();
    let correcting = |id, mut it: HealthDeclaration| {
        it.corrects = Some(id);
        it
    };
    let mut refused = |it| refusal(diary.append(&mut log, it, later(2)));
    let unknown = correcting(DeclarationId([0; 16]), coughing(later(2)));
    assert_eq!(refused(unknown), HealthError::NothingToCorrect);
    let mut other = coughing(later(2));
    other.subject = Subject::HouseholdMember {
        label: "son".to_owned(),
    };
    let other = refused(correcting(first, other));
    assert_eq!(other, HealthError::CorrectsAnother);
    let form = refused(correcting(first, full()));
    assert_eq!(form, HealthError::CorrectsAnother);
    let early = Timestamp::from_unix_millis(NOW.unix_millis() - 1);
    let early = refused(correcting(first, coughing(early)));
    assert_eq!(early, HealthError::CorrectsLater);
    let once = correcting(first, coughing(later(2)));
    diary.append(&mut log, once, later(2)).unwrap();
    let twice = correcting(first, coughing(later(2)));
    let twice = refusal(diary.append(&mut log, twice, later(2)));
    assert_eq!(twice, HealthError::CorrectedAlready);
}

#[test]
fn what_no_release_of_today_reads_is_counted() {
    let mut log = log();
    let entry = |kind, bytes: &[u8]| LogEntry {
        at: NOW,
        kind,
        bytes: bytes.to_vec(),
    };
    log.append_entries(&[
        entry(EntryKind::HealthDeclaration, &[9, 9]),
        entry(EntryKind::CheckIn, b"a place"),
    ])
    .unwrap();
    // The same entry twice, of a writer that was not told of the first, is one declaration.
    let checked = healthy().check(NOW).unwrap();
    log.append_entries(&[checked.to_entry(), checked.to_entry()])
        .unwrap();
    let diary = diary(&log);
    assert_eq!((diary.all().len(), diary.unreadable()), (1, 1));
    assert!(diary.damage().is_empty());
}

/// Neither as text nor as bytes, in decimal or hexadecimal.
#[test]
fn debug_says_nothing_of_what_was_declared() {
    let mut log = log();
    let mut diary = diary(&log);
    let first = diary.append(&mut log, full_with_note(), NOW).unwrap();
    let checked = everything().check(NOW).unwrap();
    let record = checked.to_bytes().to_vec();
    let mut payload = vec![1];
    payload.extend((record.len() as u16).to_le_bytes());
    payload.extend(&record);
    payload.extend([201, 202, 203]);
    let message = HealthMessage::from_bytes(&payload).unwrap();
    let shown = [
        format!("{checked:?} {:?}", checked.id()),
        format!("{message:?}"),
        format!("{diary:?} {:?} {first:?}", diary.all()),
    ];
    let id = first.0;
    let secret = [
        "ngo",
        "khan",
        "Cough",
        "Positive",
        "Pain",
        "CloseContact",
        "201, 202",
        "c9ca",
        "symptoms",
        "onset",
        "note",
    ];
    let bytes = [&record[..4], &record[record.len() - 4..], &id[..4]];
    for shown in shown {
        for secret in secret {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        for bytes in bytes {
            let decimal = format!("{bytes:?}");
            let decimal = decimal.trim_matches(['[', ']']);
            assert!(!shown.contains(decimal), "{decimal} in {shown}");
        }
        assert!(!shown.contains(&first.to_string()), "{shown}");
    }
}

fn full_with_note() -> HealthDeclaration {
    let mut declaration = everything();
    declaration.corrects = None;
    declaration
}

/// One that speaks of 21 days may have been made 20 days ago; a log of 14 would delete it at once.
#[test]
fn made_before_the_days_that_the_log_keeps() {
    let mut log = log();
    let mut diary = diary(&log);
    let made = |days_ago: u64| {
        let mut declaration = full();
        declaration.window = Window::Days21;
        declaration.made_at = NOW.saturating_sub(Duration::from_secs(days_ago * 86_400));
        declaration
    };
    diary.append(&mut log, made(14), NOW).unwrap();
    for days_ago in [15, 20] {
        let refused = diary.append(&mut log, made(days_ago), NOW);
        assert!(
            matches!(&refused, Err(DiaryError::Log(LogError::EntryDay { first, .. }))
                if *first == NOW.utc_day().saturating_sub(14)),
            "{refused:?}"
        );
    }
    assert_eq!(diary.all().len(), 1);
    assert_eq!(self::diary(&log).all().len(), 1);
}
