use super::*;

fn export(end_s: u64, keys: &[DiagnosisKey], revised_keys: &[DiagnosisKey]) -> Export {
    Export {
        start: Timestamp::from_unix_seconds(0),
        end: Timestamp::from_unix_seconds(end_s),
        region: String::from("VN"),
        batch_num: 1,
        batch_size: 1,
        keys: keys.to_vec(),
        revised_keys: revised_keys.to_vec(),
        refused: RefusedKeys::default(),
        signed_by: None,
    }
}

#[test]
fn a_later_file_withdraws_a_key() {
    let (self_reported, kept) = (
        reported(1, ReportType::SelfReport),
        reported(2, ReportType::ConfirmedTest),
    );
    let revoked = reported(1, ReportType::Revoked);
    let first = export(100, &[self_reported.clone(), kept.clone()], &[]);
    let second = export(
        200,
        std::slice::from_ref(&revoked),
        std::slice::from_ref(&revoked),
    );
    // A plain copy in yet another file does not bring it back.
    let third = export(300, &[self_reported], &[]);
    let expected = vec![PublishedKey::Gaen(revoked), PublishedKey::Gaen(kept)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let files = [&first, &second, &third];
        let combined = Export::combine(order.map(|at| files[at].clone()));
        assert_eq!(combined, expected);
    }
    assert!(expected[0].is_revoked());
}

#[test]
fn the_last_revision_stands() {
    let suspected = reported(1, ReportType::ConfirmedClinicalDiagnosis);
    let confirmed = reported(1, ReportType::ConfirmedTest);
    let revoked = reported(1, ReportType::Revoked);
    let files = [
        export(300, &[], std::slice::from_ref(&revoked)),
        export(200, &[], &[confirmed]),
        export(100, &[suspected], &[]),
    ];
    assert_eq!(Export::combine(files), vec![PublishedKey::Gaen(revoked)]);
}

#[test]
fn messages_say_why_no_signature_held() {
    let refused = vec![
        RefusedSignature {
            name: KeyName::new("310", "v1"),
            reason: Refusal::Wrong,
        },
        RefusedSignature {
            name: KeyName::new("a\"; b\n", "v2"),
            reason: Refusal::UnknownKey,
        },
    ];
    assert_eq!(
        ExportError::NotVerified { refused }.to_string(),
        "no signature holds: key \"310\" version \"v1\": it does not verify; \
         key \"a\\\"; b\\n\" version \"v2\": no such key was given"
    );
    let refused = vec![];
    assert_eq!(
        ExportError::NotVerified { refused }.to_string(),
        "no signature holds: export.sig has none"
    );
}
