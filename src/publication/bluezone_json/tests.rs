//! Lists right and wrong.

use proptest::prelude::*;

use super::*;

const DAY: u64 = 1_596_844_800;

fn entry_json(key: &str, start: i64, end: u64, max: &str) -> String {
    format!(
        "{{\"data\":[{{\"daily_key\":\"{key}\",\"time_start\":{start},\"time_end\":{end},\"max\":{max}}}]}}"
    )
}

fn one(key: &str, start: u64, max: &str) -> Result<Vec<PublishedEntry>, BluezoneJsonError> {
    parse(entry_json(key, start as i64, DAY + 86_399, max).as_bytes())
}

fn entry(byte: u8) -> PublishedEntry {
    PublishedEntry::new([byte; 32], DAY, DAY + 86_399, 96).unwrap()
}

#[test]
fn an_entry_as_bluezone_writes_it() {
    let hex = "ab".repeat(32);
    let expected = vec![entry(0xAB)];
    assert_eq!(one(&hex, DAY, "96").unwrap(), expected);
    assert_eq!(one(&hex.to_uppercase(), DAY, "96").unwrap(), expected);
    assert_eq!(
        write(&expected),
        format!(
            "{{\"data\":[{{\"daily_key\":\"{hex}\",\"time_start\":1596844800,\
             \"time_end\":1596931199,\"max\":96}}]}}"
        )
    );
    assert_eq!(parse(b"{\"data\":[]}").unwrap(), vec![]);
    assert_eq!(write(&[]), "{\"data\":[]}");
}

#[test]
fn entries_that_stand_for_too_many_identifiers() {
    let long = PublishedEntry::new([7; 32], DAY, DAY + 21 * 86_400, 144).unwrap();
    let count = usize::try_from(IDENTIFIERS_MAX / long.candidate_count()).unwrap();
    assert!(parse(write(&vec![long.clone(); count]).as_bytes()).is_ok());
    assert_eq!(
        parse(write(&vec![long; count + 1]).as_bytes()),
        Err(BluezoneJsonError::TooManyIdentifiers)
    );
}

#[test]
fn unknown_fields_are_ignored() {
    let json = format!(
        " {{\"version\":[1,{{}}], \"data\": [ {{\"max\":96, \"note\":{{\"a\":null}}, \"time_end\":{}, \
         \"daily_key\":\"{}\", \"time_start\":{DAY}}} ] }}\n",
        DAY + 86_399,
        "07".repeat(32)
    );
    assert_eq!(parse(json.as_bytes()).unwrap(), vec![entry(7)]);
}

#[test]
fn escaped_hex_is_hex() {
    let hex = format!("\\u0030{}", "7".to_owned() + &"07".repeat(31));
    assert_eq!(one(&hex, DAY, "96").unwrap(), vec![entry(7)]);
}

#[test]
fn key_too_short() {
    let error = one(&"ab".repeat(31), DAY, "96").unwrap_err();
    let source = InvalidKey::KeyLength {
        expected: 32,
        got: 31,
    };
    assert_eq!(error, BluezoneJsonError::Invalid { index: 0, source });
    assert_eq!(
        error.to_string(),
        "entry 0: expected a key of 32 bytes, got 31"
    );
    assert!(one(&"a".repeat(63), DAY, "96").is_err());
    assert!(one("", DAY, "96").is_err());
}

#[test]
fn key_not_hex() {
    let error = one(&"xy".repeat(32), DAY, "96").unwrap_err();
    assert_eq!(error, BluezoneJsonError::KeyNotHex { index: 0 });
    // 64 bytes of text that are not 64 digits.
    assert!(one(&"ộ ".repeat(16), DAY, "96").is_err());
}

#[test]
fn rules_broken_are_named() {
    let hex = "ab".repeat(32);
    let source = |result: Result<_, _>| match result.unwrap_err() {
        BluezoneJsonError::Invalid { index: 0, source } => source,
        other => panic!("{other}"),
    };
    assert_eq!(
        source(one(&hex, DAY + 1, "96")),
        InvalidKey::StartNotMidnight {
            time_start: DAY + 1
        }
    );
    assert!(matches!(
        source(one(&hex, DAY + 86_400, "96")),
        InvalidKey::Span { .. }
    ));
    for (max, slots_per_day) in [("0", 0), ("97", 97), ("18446744073709551615", u32::MAX)] {
        assert_eq!(
            source(one(&hex, DAY, max)),
            InvalidKey::SlotsPerDay { slots_per_day }
        );
    }
}

#[test]
fn the_entry_at_fault_is_named() {
    let mut json = write(&[entry(1), entry(2), entry(3)]);
    json = json.replace(&"03".repeat(32), "03");
    assert!(matches!(
        parse(json.as_bytes()),
        Err(BluezoneJsonError::Invalid { index: 2, .. })
    ));
    let json = write(&[entry(1), entry(2)]).replacen(",\"max\":96}]", "}]", 1);
    assert_eq!(
        parse(json.as_bytes()),
        Err(BluezoneJsonError::FieldMissing {
            index: 1,
            field: "max"
        })
    );
}

#[test]
fn wrong_types() {
    let hex = "ab".repeat(32);
    for max in ["-1", "1.5", "\"96\"", "[]", "1e400"] {
        assert!(
            matches!(
                one(&hex, DAY, max),
                Err(BluezoneJsonError::Malformed { line: 1, .. })
            ),
            "{max}"
        );
    }
    let negative = entry_json(&hex, -86_400, DAY, "96");
    for json in [
        "",
        "null",
        "[]",
        "{}",
        "{\"data\":{}}",
        "{\"data\":null}",
        "{\"data\":[1]}",
        "{\"data\":[null]}",
        "{\"data\":[],\"data\":[]}",
        "{\"data\":[]} x",
        &negative,
    ] {
        assert!(
            matches!(
                parse(json.as_bytes()),
                Err(BluezoneJsonError::Malformed { .. })
            ),
            "{json}"
        );
    }
    assert!(parse(&[0xFF, 0xFE]).is_err());
}

#[test]
fn nested_a_million_deep() {
    let json = format!("{{\"x\":{}", "[".repeat(1_000_000));
    assert!(parse(json.as_bytes()).is_err());
}

#[test]
fn truncated_everywhere() {
    let json = write(&[entry(1), entry(2)]);
    for end in 0..json.len() {
        assert!(parse(&json.as_bytes()[..end]).is_err(), "{end}");
    }
}

/// Gives a few bytes at once, and fails in the end if it is told to.
struct Slow<'a>(&'a [u8], usize, Option<io::ErrorKind>);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(into.len()).min(self.0.len());
        if let (0, Some(kind)) = (len, self.2) {
            return Err(kind.into());
        }
        self.0.read(&mut into[..len])
    }
}

#[test]
fn a_list_that_cannot_be_read_to_its_end() {
    let json = write(&[entry(1), entry(2)]);
    let kind = io::ErrorKind::ConnectionReset;
    let cut = Slow(&json.as_bytes()[..100], 7, Some(kind));
    assert_eq!(read(cut), Err(BluezoneJsonError::Io { kind }));
    assert_eq!(read(Slow(json.as_bytes(), 7, None)).unwrap().len(), 2);
}

#[test]
fn a_stream_without_end() {
    let endless = Read::chain(&b"{\"data\":["[..], io::repeat(b' '));
    let error = read(endless).unwrap_err();
    assert!(matches!(error, BluezoneJsonError::TooLong { len } if len > BYTES_MAX));
}

#[test]
fn limits() {
    let json = write(&vec![entry(1); ENTRIES_MAX]);
    assert!(json.len() <= BYTES_MAX);
    assert_eq!(parse(json.as_bytes()).unwrap().len(), ENTRIES_MAX);
    assert_eq!(read(json.as_bytes()).unwrap().len(), ENTRIES_MAX);
    let json = write(&vec![entry(1); ENTRIES_MAX + 1]);
    assert_eq!(
        read(json.as_bytes()),
        Err(BluezoneJsonError::TooManyEntries)
    );
    assert_eq!(
        parse(json.as_bytes()),
        Err(BluezoneJsonError::TooManyEntries)
    );
    assert_eq!(
        parse(&vec![b' '; BYTES_MAX + 1]),
        Err(BluezoneJsonError::TooLong { len: BYTES_MAX + 1 })
    );
}

prop_compose! {
    fn any_entry()(
        key: [u8; 32],
        day in 0..20_000u64,
        span in 0..=21 * 86_400u64,
        slots in prop::sample::select(vec![1u32, 24, 96, 144]),
    ) -> PublishedEntry {
        PublishedEntry::new(key, day * 86_400, day * 86_400 + span, slots).unwrap()
    }
}

proptest! {
    #[test]
    fn written_lists_are_read(entries in prop::collection::vec(any_entry(), 0..20)) {
        let json = write(&entries);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        prop_assert_eq!(parse(json.as_bytes()).unwrap(), entries);
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }

    #[test]
    fn mutations(at: prop::sample::Index, byte: u8) {
        let mut json = write(&[entry(1), entry(2)]).into_bytes();
        *at.get_mut(&mut json) = byte;
        match (read(Slow(&json, 7, None)), parse(&json)) {
            // Where a stream is at fault is told a byte later now and then.
            (Err(BluezoneJsonError::Malformed { .. }), Err(BluezoneJsonError::Malformed { .. })) => {}
            (streamed, whole) => prop_assert_eq!(streamed, whole),
        }
        if let Ok(entries) = parse(&json) {
            prop_assert!(entries.len() <= 2);
        }
    }
}
