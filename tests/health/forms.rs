//! Bytes, JSON and envelopes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use truyvet::report::health::message::{
    ATTACHMENT_BYTES_MAX, HealthMessage, HealthMessageError, seal_declaration,
};
use truyvet::report::health::{HealthJsonError, JSON_BYTES_MAX, RECORD_BYTES_MAX, RecordError};
use truyvet::report::sealed::{AuthorityPrivateKey, MessageKind, SizeClass, open};

use super::*;

fn from_json(value: &Value) -> Result<HealthDeclaration, HealthJsonError> {
    HealthDeclaration::from_json(value.to_string().as_bytes(), NOW)
}

#[test]
fn record_bytes_are_pinned() {
    let checked = everything().check(NOW).unwrap();
    let mut golden = vec![1];
    golden.extend(NOW.unix_millis().to_le_bytes());
    golden.extend(420_i16.to_le_bytes());
    golden.extend([0, 21]);
    golden.extend([1, 11, 0, 0, 0, 0, 0, 0, 0]);
    golden.extend("bà ngoại".as_bytes());
    golden.extend([0b1111_1111, 0b10, 0b1000, 0b111, 0b10]);
    golden.extend([1, 1]);
    golden.extend(day("2021-05-30").unix_days().to_le_bytes());
    golden.push(1);
    golden.extend(day("2021-05-28").unix_days().to_le_bytes());
    golden.extend(18_u64.to_le_bytes());
    golden.extend("ho khan\nvề đêm".as_bytes());
    golden.push(1);
    golden.extend([0xAB; 16]);
    assert_eq!(checked.to_bytes(), golden);
    assert_eq!(
        HealthDeclaration::from_bytes(&golden).unwrap(),
        everything()
    );
    // By Python's hashlib.
    assert_eq!(checked.id().to_string(), "de1185185e91de3515507b07b75c1ec6");
}

#[test]
fn record_cut_longer_or_of_tomorrow() {
    let record = everything().check(NOW).unwrap().to_bytes().to_vec();
    for len in 0..record.len() {
        let cut = HealthDeclaration::from_bytes(&record[..len]);
        assert_eq!(cut, Err(RecordError::Malformed), "{len}");
    }
    let longer = [&record[..], &[0]].concat();
    assert_eq!(
        HealthDeclaration::from_bytes(&longer),
        Err(RecordError::Malformed)
    );
    let tomorrow = HealthDeclaration::from_bytes(&[2, 0]);
    assert_eq!(tomorrow, Err(RecordError::UnsupportedVersion { found: 2 }));
    let long = HealthDeclaration::from_bytes(&[1; RECORD_BYTES_MAX + 1]);
    assert_eq!(long, Err(RecordError::TooLong { len: 4_097 }));
}

#[test]
fn json_has_the_names_of_the_wire() {
    let json: Value = serde_json::from_str(&everything().to_json()).unwrap();
    let expected = json!({
        "TrieuChungBenh": {
            "sot": false, "ho": true, "kho_tho": false, "dau_hong": false, "non_buon_non": false,
            "tieu_chay": false, "xuat_huyet_ngoai_da": false, "noi_ban_ngoai_da": false,
        },
        "LichSuPhoiNhiem": { "phoi_nhiem_1": false, "phoi_nhiem_2": true },
        "InforEntryPersonReport": { "LtinforEntryPersonReportDetail": [
            { "StateID": 1, "Value": false }, { "StateID": 2, "Value": false },
            { "StateID": 3, "Value": false }, { "StateID": 4, "Value": true },
            { "StateID": 5, "Value": false },
        ] },
        "truyvet": {
            "version": 1, "made_at": NOW.unix_millis(), "utc_offset_min": 420, "form": "full",
            "window_days": 21, "on_behalf_of": "bà ngoại", "exposures": { "case_contact": false },
            "test": { "outcome": "positive", "date": "2021-05-30" }, "onset": "2021-05-28",
            "note": "ho khan\nvề đêm", "corrects": "ab".repeat(16),
        },
    });
    assert_eq!(json, expected);
}

/// Bodies as Bluezone's app sent them, whose other fields are for others.
#[test]
fn bodies_of_bluezone_are_read() {
    let daily = json!({ "InforEntryPersonReport": {
        "InforEntryObjectGuid": "00000000-0000-0000-0000-000000000000",
        "InforEntryPersonObjectGuid": null,
        "LtinforEntryPersonReportDetail": [
            { "StateID": 1, "Value": true, "Name": "?" }, { "StateID": 5, "Value": false },
        ],
    } });
    let read = from_json(&daily).unwrap();
    assert_eq!((read.form, read.made_at), (Form::Daily, NOW));
    assert_eq!(read.states, [DailyState::Fever].into());
    read.check(NOW).unwrap();

    let entry = json!({
        "FullName": "?", "SoHoChieu": "?", "ThongTinDiLai": [1, 2],
        "TrieuChungBenh": {
            "sot": "yes", "ho": 0, "kho_tho": 1, "dau_hong": "no", "non_buon_non": false,
            "tieu_chay": false, "xuat_huyet_ngoai_da": false, "noi_ban_ngoai_da": false,
            "mat_vi_giac": "perhaps",
        },
        "LichSuPhoiNhiem": { "phoi_nhiem_1": 0, "phoi_nhiem_2": true },
    });
    let read = from_json(&entry).unwrap();
    assert_eq!(read.form, Form::Full);
    let yes = read.symptoms.iter().filter(|(_, yes)| **yes);
    let yes: Vec<_> = yes.map(|(symptom, _)| *symptom).collect();
    assert_eq!(yes, [Symptom::Fever, Symptom::DifficultyBreathing]);
    read.check(NOW).unwrap();
}

/// As in Bluezone's app.
#[test]
fn nothing_chosen_is_healthy() {
    let none = json!({ "InforEntryPersonReport": { "LtinforEntryPersonReportDetail": [] } });
    assert_eq!(from_json(&none).unwrap(), healthy());
}

#[test]
fn json_that_is_no_declaration() {
    let value = |field| Err(HealthJsonError::Value { field });
    let state = |id: i32, answer| {
        let detail = json!([{ "StateID": id, "Value": answer }]);
        json!({ "InforEntryPersonReport": { "LtinforEntryPersonReportDetail": detail } })
    };
    let field = "LtinforEntryPersonReportDetail";
    assert_eq!(from_json(&state(6, json!(true))), value(field));
    assert_eq!(from_json(&state(1, json!("perhaps"))), value(field));
    assert_eq!(
        from_json(&json!({ "TrieuChungBenh": { "sot": 2 } })),
        value("TrieuChungBenh")
    );
    let own = |name: &str, with: Value| {
        let mut json: Value = serde_json::from_str(&everything().to_json()).unwrap();
        json["truyvet"][name] = with;
        from_json(&json)
    };
    assert_eq!(own("form", json!("other")), value("form"));
    assert_eq!(own("window_days", json!(15)), value("window_days"));
    assert_eq!(own("onset", json!("2021-02-30")), value("onset"));
    assert_eq!(own("corrects", json!("ab")), value("corrects"));
    let test = json!({ "outcome": "maybe", "date": "2021-05-30" });
    assert_eq!(own("test", test), value("outcome"));
    assert_eq!(
        own("version", json!(2)),
        Err(HealthJsonError::UnsupportedVersion { found: 2 })
    );
    assert!(matches!(
        own("note", json!(7)),
        Err(HealthJsonError::Malformed { line: 1, .. })
    ));
    let long = vec![b' '; JSON_BYTES_MAX + 1];
    assert_eq!(
        HealthDeclaration::from_json(&long, NOW),
        Err(HealthJsonError::TooLong { len: 16_385 })
    );
}

#[test]
fn a_declaration_reaches_its_authority_and_nobody_else() {
    let authority = AuthorityPrivateKey::generate().unwrap();
    let key = authority.public_key().unwrap();
    let checked = everything().check(NOW).unwrap();
    let photograph = vec![0xD8; ATTACHMENT_BYTES_MAX];
    for (attachment, len) in [
        (&[][..], SizeClass::USUAL.envelope_bytes()),
        (&photograph[..], 1 << 18),
    ] {
        let envelope = seal_declaration(&key, &checked, attachment).unwrap();
        assert_eq!(envelope.len(), len);
        assert!(open(&[AuthorityPrivateKey::generate().unwrap()], &envelope).is_err());
        let opened = open(std::slice::from_ref(&authority), &envelope).unwrap();
        assert_eq!(opened.kind, MessageKind::HealthDeclaration);
        let message = HealthMessage::from_bytes(&opened.payload).unwrap();
        assert_eq!(message.attachment, attachment);
        assert_eq!(message.declaration.check(NOW).unwrap(), checked);
    }
    let long = vec![0; ATTACHMENT_BYTES_MAX + 1];
    assert_eq!(
        seal_declaration(&key, &checked, &long),
        Err(HealthMessageError::AttachmentTooLong { len: 131_073 })
    );
}

#[test]
fn message_cut_or_of_tomorrow() {
    let record = healthy().check(NOW).unwrap().to_bytes().to_vec();
    let message = [&[1, record.len() as u8, 0][..], &record].concat();
    assert_eq!(
        HealthMessage::from_bytes(&message).unwrap().declaration,
        healthy()
    );
    for len in 0..message.len() {
        let cut = HealthMessage::from_bytes(&message[..len]);
        assert_eq!(cut, Err(HealthMessageError::Cut { len }));
    }
    assert_eq!(
        HealthMessage::from_bytes(&[2, 0, 0]),
        Err(HealthMessageError::UnsupportedVersion { found: 2 })
    );
    let malformed = HealthMessageError::Declaration(RecordError::Malformed);
    assert_eq!(HealthMessage::from_bytes(&[1, 0, 0, 7]), Err(malformed));
}

fn answers<T: Copy + std::fmt::Debug + Ord + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = BTreeMap<T, bool>> {
    proptest::collection::btree_map(proptest::sample::select(all), any::<bool>(), 0..=all.len())
}

prop_compose! {
    fn declarations()(
        (made_at, utc_offset_min, is_full, is_long) in
            (0_u64..4_000_000_000_000, -720_i16..=840, any::<bool>(), any::<bool>()),
        label in proptest::option::of("\\PC{0,60}"),
        symptoms in answers(&Symptom::ALL),
        states in proptest::collection::btree_set(
            proptest::sample::select(&DailyState::ALL[..4]), 0..4),
        exposures in answers(&Exposure::ALL),
        test in proptest::option::of((0_usize..3, 0_u32..40_000)),
        onset in proptest::option::of(0_u32..40_000),
        note in "(.|\n){0,300}",
        corrects in proptest::option::of(any::<[u8; 16]>()),
    ) -> HealthDeclaration {
        let form = if is_full { Form::Full } else { Form::Daily };
        let mut it = HealthDeclaration::new(form, Timestamp::from_unix_millis(made_at));
        it.utc_offset_min = utc_offset_min;
        it.window = if is_long { Window::Days21 } else { Window::Days14 };
        if let Some(label) = label {
            it.subject = Subject::HouseholdMember { label };
        }
        it.symptoms = symptoms;
        let states: BTreeSet<_> = states;
        it.states = states;
        it.exposures = exposures;
        let outcomes = [TestOutcome::Negative, TestOutcome::Positive, TestOutcome::Pending];
        it.test = test.map(|(outcome, date)| TestResult {
            outcome: outcomes[outcome],
            date: UtcDay::from_unix_days(date),
        });
        it.onset = onset.map(UtcDay::from_unix_days);
        it.note = note;
        it.corrects = corrects.map(DeclarationId);
        it
    }
}

proptest! {
    #[test]
    fn json_gives_back_what_it_was_made_of(it in declarations()) {
        let read = HealthDeclaration::from_json(it.to_json().as_bytes(), NOW).unwrap();
        prop_assert_eq!(read, it);
    }

    #[test]
    fn what_keeps_the_rules_has_one_record(it in declarations()) {
        if let Ok(checked) = it.clone().check(it.made_at) {
            let read = HealthDeclaration::from_bytes(checked.to_bytes()).unwrap();
            prop_assert_eq!(read, it);
        }
    }

    #[test]
    fn any_bytes_are_one_declaration_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [&[1], &bytes[..]].concat();
        if let Ok(it) = HealthDeclaration::from_bytes(&bytes)
            && let Ok(checked) = it.clone().check(it.made_at)
        {
            prop_assert_eq!(checked.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_flipped_bit_is_another_declaration_or_none(place in any::<proptest::sample::Index>(), bit in 0_u32..8) {
        let mut record = everything().check(NOW).unwrap().to_bytes().to_vec();
        let place = place.index(record.len());
        record[place] ^= 1_u8 << bit;
        if let Ok(read) = HealthDeclaration::from_bytes(&record) {
            prop_assert_ne!(read, everything());
        }
    }
}
