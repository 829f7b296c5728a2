//! What is published, read by programs that know nothing of this library. `.ci/third-party` brings them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use truyvet::Secret;
use truyvet::protocol::ReportType;
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::publication::publisher::{AcceptedKey, Publisher, PublisherOptions, ReportId};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::publication::store::FolderStore;
use truyvet::time::{IntervalNumber, Timestamp, UtcDay};

fn at(hours: u64) -> Timestamp {
    let day: UtcDay = "2026-11-23".parse().unwrap();
    let wait = Duration::from_secs(3600 * hours + 600);
    day.start().saturating_add(wait)
}

/// A key with something to say in every field.
fn key(number: u8) -> DiagnosisKey {
    let start = IntervalNumber::at(at(0)).saturating_add(u32::from(number));
    let period = if number == 1 {
        144
    } else {
        144 - u32::from(number)
    };
    let mut key = DiagnosisKey::new([number; 16], start, period).unwrap();
    key.transmission_risk = number % 9;
    key.report_type = ReportType::ConfirmedTest;
    key.days_since_onset = Some(i8::try_from(number).unwrap() - 3);
    key
}

fn accepted() -> Vec<AcceptedKey> {
    let start = at(0).utc_day().start().unix_seconds();
    let mut keys: Vec<_> = (1..6)
        .map(|number| AcceptedKey::new(key(number), at(30), ReportId(1)))
        .collect();
    let entry = PublishedEntry::new([7; 32], start, start + 86_399, 96).unwrap();
    keys.push(AcceptedKey::new(entry, at(30), ReportId(2)));
    let mut revoked = key(2);
    revoked.report_type = ReportType::Revoked;
    keys.push(AcceptedKey::revision(revoked, at(33), ReportId(3)));
    keys
}

/// A publication of two hours and a day in `folder`, and the authority's public key beside it.
fn publish(folder: &Path) -> PathBuf {
    let signer = SigningKey::generate().unwrap();
    let signer = signer.named(KeyName::new("452", "v1"));
    let publisher = Publisher::new(PublisherOptions::new("VN"), Secret::new([9; 32]));
    let store = FolderStore::new(folder.join("publication"));
    for hours in [31, 34, 49] {
        publisher
            .run(&store, accepted(), &[&signer], at(hours))
            .unwrap();
    }
    let public = folder.join("authority.pub.pem");
    std::fs::write(&public, signer.verification_key().to_pem()).unwrap();
    public
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/third_party")
        .join(name)
}

#[test]
#[ignore = "needs Python's protobuf: .ci/third-party"]
fn pythons_protobuf_reads_the_packages() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path());
    let python = std::env::var("TRUYVET_PYTHON").unwrap_or(String::from("python3"));
    let read = Command::new(python)
        .arg(script("read_publication.py"))
        .arg(folder.path().join("publication"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{complaint}");
    let found: Value = serde_json::from_slice(&read.stdout).unwrap();
    let packages = found["packages"].as_object().unwrap();
    let of = |prefix: &str| -> Vec<&Value> {
        let named = packages.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, package)| package).collect()
    };
    let hours = of("gaen/hourly/");
    assert_eq!(hours.len(), 2);
    let first = hours[0];
    assert_eq!(first["region"], "VN");
    assert_eq!(first["batch"], json!([1, 1]));
    assert_eq!(first["signed_by"], json!(["452"]));
    assert_eq!(
        first["end"].as_u64().unwrap() - first["start"].as_u64().unwrap(),
        3600
    );
    assert!(first["keys"].as_array().unwrap().len() >= 1000);
    for number in 1..6 {
        assert_eq!(real(&first["keys"], number), [told(&key(number), 1)]);
    }
    assert_eq!(hours[1]["keys"], json!([]));
    assert_eq!(real(&hours[1]["revised_keys"], 2), [told(&key(2), 5)]);
    let days = of("gaen/daily/");
    assert_eq!(days.len(), 1);
    assert_eq!(real(&days[0]["keys"], 3), [told(&key(3), 1)]);
    assert_eq!(real(&days[0]["revised_keys"], 2), [told(&key(2), 5)]);
    let entries = of("bluezone/daily/")[0]["data"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .any(|entry| entry["daily_key"] == "07".repeat(32))
    );
}

/// Those of `keys` whose bytes are all `number`.
fn real(keys: &Value, number: u8) -> Vec<Value> {
    let name = format!("{number:02x}").repeat(16);
    let keys = keys.as_array().unwrap().iter();
    keys.filter(|key| key["key"] == *name).cloned().collect()
}

/// `key` as the script tells it.
fn told(key: &DiagnosisKey, report_type: u8) -> Value {
    json!({
        "key": format!("{:02x}", key.key()[0]).repeat(16),
        "start": key.rolling_start().0,
        "period": key.rolling_period(),
        "risk": key.transmission_risk,
        "report_type": report_type,
        "days": key.days_since_onset,
    })
}

#[test]
#[ignore = "needs openssl and Python: .ci/third-party"]
fn openssl_verifies_the_packages_and_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let public = publish(folder.path());
    let other = folder.path().join("other.pub.pem");
    let stranger = SigningKey::generate().unwrap();
    std::fs::write(&other, stranger.verification_key().to_pem()).unwrap();
    let publication = folder.path().join("publication");
    let mut files = vec![publication.join("index.json")];
    for cycle in ["hourly", "daily"] {
        let entries = publication.join("gaen").join(cycle).read_dir().unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    assert_eq!(files.len(), 4);
    for file in files {
        let verified = |key: &Path| {
            let verify = Command::new(script("verify"))
                .arg(key)
                .arg(&file)
                .output()
                .unwrap();
            (
                verify.status.success(),
                String::from_utf8_lossy(&verify.stdout).into_owned(),
            )
        };
        assert_eq!(
            verified(&public),
            (true, String::from("Verified OK\n")),
            "{}",
            file.display()
        );
        assert!(!verified(&other).0, "{}", file.display());
    }
}
