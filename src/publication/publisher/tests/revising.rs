//! Keys that are said to be something else, or nothing.

use super::*;

fn revision(number: u8, report_type: ReportType, hours: u64) -> AcceptedKey {
    AcceptedKey::revision(said(number, report_type), at(hours), ReportId(100))
}

fn exports(store: &MemoryStore, now: Timestamp) -> Vec<(usize, usize)> {
    let mut update = fetch(store, &Cursor::default(), now);
    let mut counts = Vec::new();
    while let Some(Batch::Gaen(mut file)) = update.next_batch().unwrap() {
        let export = file.verify(&trusted()).unwrap().into_export().unwrap();
        let revised = export.revised_keys.len();
        counts.push((export.keys.len() - revised, revised));
        update.matched();
    }
    counts
}

#[test]
fn revoked_after_publication_is_a_revised_key() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 30), revision(1, ReportType::Revoked, 33)];
    run(&store, &keys, after(31));
    assert_eq!(
        device(&store, after(31)).real(),
        [(1, ReportType::ConfirmedTest)]
    );
    run(&store, &keys, after(34));
    let counts = exports(&store, after(34));
    assert_eq!(counts.len(), 2);
    assert!(counts[0].0 >= 10 && counts[0].1 == 0);
    assert_eq!(counts[1], (0, 1));
    // Rolled up, only the last word is left, and a device that read the hours reads it too.
    run(&store, &keys, after(49));
    assert_eq!(device(&store, after(49)).real(), [(1, ReportType::Revoked)]);
}

#[test]
fn revoked_before_publication_is_never_seen() {
    let store = MemoryStore::default();
    let keys = [
        accepted(1, 3),
        accepted(2, 3),
        revision(1, ReportType::Revoked, 20),
    ];
    let done = run(&store, &keys, after(27));
    assert_eq!(done.keys, 1);
    assert_eq!(device(&store, after(27)).numbers(), [2]);
}

#[test]
fn revised_before_publication_is_new() {
    let store = MemoryStore::default();
    let suspected = said(1, ReportType::ConfirmedClinicalDiagnosis);
    let keys = [
        AcceptedKey::new(suspected, at(3), ReportId(1)),
        revision(1, ReportType::ConfirmedTest, 20),
    ];
    run(&store, &keys, after(27));
    assert_eq!(
        device(&store, after(27)).real(),
        [(1, ReportType::ConfirmedTest)]
    );
    assert_eq!(exports(&store, after(27))[0].1, 0);
}

#[test]
fn a_key_revoked_without_being_called_a_revision_is_one() {
    let store = MemoryStore::default();
    let revoked = AcceptedKey::new(said(1, ReportType::Revoked), at(33), ReportId(2));
    run(&store, &[accepted(1, 30), revoked], after(34));
    assert_eq!(exports(&store, after(34))[1], (0, 1));
}

#[test]
fn of_revisions_in_an_hour_the_last_counts() {
    let store = MemoryStore::default();
    let first = said(1, ReportType::ConfirmedClinicalDiagnosis);
    let keys = [
        AcceptedKey::new(first, at(30), ReportId(1)),
        revision(1, ReportType::Revoked, 33),
        AcceptedKey {
            accepted_at: after(32),
            ..revision(1, ReportType::ConfirmedTest, 33)
        },
    ];
    // The later word was accepted in the hour before, and came first.
    run(&store, &keys, after(34));
    let seen = device(&store, after(34)).real();
    assert_eq!(seen.last(), Some(&(1, ReportType::Revoked)));
}

/// A list cannot say that an entry no longer counts.
#[test]
fn entries_of_bluezone_are_withdrawn_while_they_wait_and_no_later() {
    let store = MemoryStore::default();
    let new = |number| AcceptedKey::new(entry(number), at(20), ReportId(1));
    let revoked = |number, hours| AcceptedKey::revocation(entry(number), at(hours), ReportId(2));
    let revised = AcceptedKey::revision(entry(3), at(40), ReportId(3));
    let keys = [
        new(1),
        new(2),
        new(3),
        revoked(1, 22),
        revoked(2, 40),
        revised,
    ];
    let done = run(&store, &keys, after(25));
    assert_eq!(done.keys, 2);
    assert_eq!(run(&store, &keys, after(41)).keys, 0);
    assert_eq!(device(&store, after(41)).numbers(), [2, 3]);
}
