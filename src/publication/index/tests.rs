use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::publication::signature::KeyName;

static AUTHORITY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v1"))
});

fn trusted() -> [VerificationKey; 1] {
    [AUTHORITY.verification_key().clone()]
}

fn time(text: &str, hours: u64) -> Timestamp {
    let day: UtcDay = text.parse().unwrap();
    day.start()
        .saturating_add(Duration::from_secs(3600 * hours))
}

fn package(cycle: Cycle, start: Timestamp) -> PackageInfo {
    PackageInfo {
        protocol: ProtocolKind::Gaen,
        cycle,
        start,
        part: 1,
        bytes: 1000,
        sha256: [0xAB; 32],
    }
}

fn index() -> Index {
    let mut index = Index::empty("VN", time("2026-11-22", 3));
    index.number = 7;
    index.daily_until = time("2026-11-23", 0);
    index.published_until = time("2026-11-23", 11);
    index.packages = vec![
        package(Cycle::Hourly, time("2026-11-23", 10)),
        package(Cycle::Daily, time("2026-11-22", 0)),
    ];
    index
}

#[test]
fn an_index_survives() {
    let file = index().sign(&[&AUTHORITY]).unwrap();
    assert_eq!(Index::verify(&file, &trusted()), Ok(index()));
    assert_eq!(file, index().sign(&[&AUTHORITY]).unwrap());
}

#[test]
fn names_say_what_they_are() {
    let hourly = package(Cycle::Hourly, time("2026-11-23", 10)).name();
    assert_eq!(hourly, "gaen/hourly/2026-11-23T10.1-abababababababab.zip");
    let mut daily = package(Cycle::Daily, time("2026-11-23", 0));
    daily.protocol = ProtocolKind::Bluezone;
    assert_eq!(
        daily.name(),
        "bluezone/daily/2026-11-23.1-abababababababab.json"
    );
    let window = PackageInfo::window_of(&hourly);
    assert_eq!(window, Some((Cycle::Hourly, time("2026-11-23", 11))));
    let window = PackageInfo::window_of(&daily.name());
    assert_eq!(window, Some((Cycle::Daily, time("2026-11-24", 0))));
    for other in [
        "index.json",
        "gaen/hourly/x",
        "gaen/weekly/2026-11-23.1.zip",
        "a/b/c/d",
    ] {
        assert_eq!(PackageInfo::window_of(other), None, "{other}");
    }
}

#[test]
fn flipped_bits_are_refused() {
    let file = index().sign(&[&AUTHORITY]).unwrap();
    for at in (0..file.len()).step_by(7) {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        assert!(Index::verify(&flipped, &trusted()).is_err(), "{at}");
    }
}

#[test]
fn another_authority_is_refused() {
    let other = SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v1"));
    let file = index().sign(&[&other]).unwrap();
    let refused = IndexError::NotVerified { signatures: 1 };
    assert_eq!(Index::verify(&file, &trusted()), Err(refused));
    // While keys change, either is enough.
    let both = index().sign(&[&other, &AUTHORITY]).unwrap();
    assert_eq!(Index::verify(&both, &trusted()), Ok(index()));
}

/// What an authority signed by mistake, or to attack.
fn signed(line: &str) -> Vec<u8> {
    let mut file = format!("{line}\n").into_bytes();
    let signature = data_encoding::BASE64.encode(&AUTHORITY.sign(&file).unwrap());
    file.extend(format!("{{\"signatures\":[{{\"key_id\":\"452\",\"key_version\":\"v1\",\"signature\":\"{signature}\"}}]}}\n").bytes());
    file
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let file = index().sign(&[&AUTHORITY]).unwrap();
    let line = String::from_utf8(file).unwrap();
    let line = line.lines().next().unwrap();
    let refusal = |from: &str, to: &str| {
        assert!(line.contains(from), "{from}");
        Index::verify(&signed(&line.replacen(from, to, 1)), &trusted()).unwrap_err()
    };
    let expected = "truyvet publication 1";
    assert_eq!(
        refusal("publication 1", "publication 2"),
        IndexError::Format { expected }
    );
    let wrong = |problem| IndexError::Package { at: 0, problem };
    assert_eq!(
        refusal("gaen/hourly/", "gaen/../../hourly/"),
        wrong("its name")
    );
    assert_eq!(
        refusal("\"sha256\":\"ab", "\"sha256\":\"zz"),
        wrong("its hash")
    );
    assert_eq!(
        refusal("\"bytes\":1000", "\"bytes\":99999999999"),
        wrong("its length")
    );
    assert!(matches!(
        refusal("\"number\":7", "\"number\":-7"),
        IndexError::Malformed { .. }
    ));
    let published = time("2026-11-23", 11).unix_seconds();
    let published = |until| format!("\"published_until\":{until}", until = published - until);
    assert_eq!(refusal(&published(0), &published(3600)), wrong("its end"));
    assert_eq!(refusal(&published(0), &published(1)), IndexError::Times);
}

#[test]
fn no_lines_at_all() {
    assert_eq!(Index::verify(b"{}", &trusted()), Err(IndexError::Form));
    assert_eq!(
        Index::verify(b"{}\n{}\n", &trusted()),
        Err(IndexError::Form)
    );
    let long = vec![b' '; INDEX_BYTES_MAX + 1];
    let got = long.len();
    assert_eq!(
        Index::verify(&long, &trusted()),
        Err(IndexError::TooLong { got })
    );
    let none = b"{}\n{\"signatures\":[]}\n";
    assert!(matches!(
        Index::verify(none, &trusted()),
        Err(IndexError::Signatures { got: 0, .. })
    ));
}

#[test]
fn packages_twice_are_refused() {
    let mut index = index();
    let first = index.packages[0].clone();
    index.packages.insert(0, first);
    assert_eq!(index.sign(&[&AUTHORITY]), Err(IndexError::Order));
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = Index::verify(&bytes, &trusted());
    }

    #[test]
    fn any_list(line in "[^\n]{0,200}") {
        let _ = Index::verify(&signed(&line), &trusted());
    }
}
