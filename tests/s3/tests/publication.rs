//! The same publication in a folder and behind an S3 API.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use truyvet::Secret;
use truyvet::protocol::PublishedKey;
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::publication::publisher::{
    AcceptedKey, PublishError, Published, Publisher, PublisherOptions, ReportId,
};
use truyvet::publication::signature::{SigningKey, VerificationKey};
use truyvet::publication::store::{
    BatchSource, FolderStore, PublicationStore, StoreError, open_url,
};
use truyvet::publication::update::{Cursor, Update, UpdateOptions};
use truyvet::time::{IntervalNumber, Timestamp, UtcDay};
use truyvet_s3::{ACCESS_KEY, SECRET_KEY, Server};

const BUCKET: &str = "publications";

/// A server, a bucket in it, and a folder of its own for what is published without it.
struct Bed {
    server: Server,
    _served: TempDir,
    folder: TempDir,
}

impl Bed {
    fn new() -> Self {
        // Of two, the first stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let served = tempfile::tempdir().unwrap();
        std::fs::create_dir(served.path().join(BUCKET)).unwrap();
        Self {
            server: Server::start(served.path()).unwrap(),
            _served: served,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The store in the bucket, by its URL, as an operator names it.
    fn s3(&self) -> Box<dyn PublicationStore + Send + Sync> {
        self.s3_as(SECRET_KEY)
    }

    fn s3_as(&self, secret: &str) -> Box<dyn PublicationStore + Send + Sync> {
        let endpoint = self.server.endpoint();
        let options = [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_allow_http", "true"),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", ACCESS_KEY),
            ("aws_secret_access_key", secret),
        ];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        open_url(&format!("s3://{BUCKET}/vn"), options).unwrap()
    }

    fn folder(&self) -> FolderStore {
        FolderStore::new(self.folder.path())
    }
}

fn at(hours: u64) -> Timestamp {
    let day: UtcDay = "2026-11-23".parse().unwrap();
    day.start()
        .saturating_add(Duration::from_secs(3600 * hours + 600))
}

/// Reports of both protocols in hours of three days.
fn keys() -> Vec<AcceptedKey> {
    let start = at(0).utc_day().start();
    let mut keys = Vec::new();
    for number in 1..20_u8 {
        let (hours, report) = (26 + u64::from(number), ReportId(u64::from(number)));
        let key = DiagnosisKey::new([number; 16], IntervalNumber::at(start), 144).unwrap();
        keys.push(AcceptedKey::new(key, at(hours), report));
        let first = start.unix_seconds();
        let entry = PublishedEntry::new([number; 32], first, first + 86_399, 96).unwrap();
        keys.push(AcceptedKey::new(entry, at(hours), report));
    }
    keys
}

struct Authority {
    publisher: Publisher,
    key: SigningKey,
}

impl Authority {
    fn new() -> Self {
        Self {
            publisher: Publisher::new(PublisherOptions::new("VN"), Secret::new([9; 32])),
            key: SigningKey::generate().unwrap(),
        }
    }

    fn run(&self, store: &dyn PublicationStore, hours: u64) -> Result<Published, PublishError> {
        self.publisher.run(store, keys(), &[&self.key], at(hours))
    }

    fn trusted(&self) -> [VerificationKey; 1] {
        [self.key.verification_key().clone()]
    }
}

fn files(store: &dyn PublicationStore) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut names = store.names().unwrap();
    names.push(String::from("index.json"));
    for name in names {
        let mut bytes = Vec::new();
        let mut contents = store.open(&name, 1 << 25).unwrap().unwrap();
        std::io::Read::read_to_end(&mut contents, &mut bytes).unwrap();
        files.insert(name, bytes);
    }
    files
}

fn read(
    authority: &Authority,
    source: &dyn BatchSource,
    cursor: &mut Cursor,
    hours: u64,
) -> Vec<PublishedKey> {
    let (trusted, options) = (authority.trusted(), UpdateOptions::default());
    let mut update = Update::fetch(source, &trusted, cursor, options, at(hours)).unwrap();
    let mut keys = Vec::new();
    while let Some(batch) = update.next_batch().unwrap() {
        keys.extend(batch.into_keys(&trusted).unwrap());
        update.matched();
    }
    *cursor = update.cursor().clone();
    keys
}

/// Hours, a day rolled up, and hours that leave the index and the store.
const RUNS: [u64; 5] = [28, 40, 49, 24 * 5, 24 * 7];

#[test]
fn a_folder_and_s3_have_the_same_bytes_and_devices_read_both() {
    let (bed, authority) = (Bed::new(), Authority::new());
    let (s3, folder) = (bed.s3(), bed.folder());
    let mut cursors = (Cursor::default(), Cursor::default());
    for hours in RUNS {
        let done = authority.run(&*s3, hours).unwrap();
        assert_eq!(done, authority.run(&folder, hours).unwrap());
        let (there, here) = (files(&*s3), files(&folder));
        assert_eq!(
            there.keys().collect::<Vec<_>>(),
            here.keys().collect::<Vec<_>>()
        );
        assert!(there == here, "at {hours} hours");
        let found = read(&authority, &*s3, &mut cursors.0, hours);
        assert_eq!(found, read(&authority, &folder, &mut cursors.1, hours));
        assert_eq!(cursors.0, cursors.1);
        println!(
            "{hours} h: {} files, {} keys new to a device",
            there.len(),
            found.len()
        );
    }
    assert!(
        !bed.folder
            .path()
            .join("gaen/hourly")
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
    let again = authority.run(&*s3, RUNS[4]).unwrap();
    assert_eq!((again.keys, again.packages.len(), again.deleted), (0, 0, 0));
}

#[test]
fn two_publishers_at_once_publish_once() {
    let (bed, authority) = (Bed::new(), Authority::new());
    for hours in RUNS {
        std::thread::scope(|scope| {
            let run = || scope.spawn(|| authority.run(&*bed.s3(), hours));
            let done = [run(), run(), run()].map(|run| run.join().unwrap());
            for run in &done {
                match run {
                    Ok(_) | Err(PublishError::Store(StoreError::Conflict)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            let winners = done
                .iter()
                .flatten()
                .filter(|done| !done.packages.is_empty());
            assert!(winners.count() <= 1);
        });
    }
    let alone = bed.folder();
    for hours in RUNS {
        authority.run(&alone, hours).unwrap();
    }
    assert!(files(&*bed.s3()) == files(&alone));
}

#[test]
fn an_index_is_replaced_on_condition() {
    let bed = Bed::new();
    let s3 = bed.s3();
    assert_eq!(s3.index(), Ok(None));
    s3.replace_index(b"one", None).unwrap();
    assert_eq!(s3.replace_index(b"other", None), Err(StoreError::Conflict));
    let (_, first) = s3.index().unwrap().unwrap();
    s3.replace_index(b"two", Some(&first)).unwrap();
    assert_eq!(
        s3.replace_index(b"three", Some(&first)),
        Err(StoreError::Conflict)
    );
    assert_eq!(s3.index().unwrap().unwrap().0, b"two");
}

#[test]
fn what_is_too_long_is_not_held() {
    let bed = Bed::new();
    let s3 = bed.s3();
    s3.create("long", &[7; 1000]).unwrap();
    let refused = s3.open("long", 999).err();
    assert!(matches!(
        refused,
        Some(StoreError::TooLong { max: 999, .. })
    ));
    assert!(s3.open("long", 1000).unwrap().is_some());
    assert!(s3.open("short", 1000).unwrap().is_none());
}

#[test]
fn a_stranger_publishes_nothing() {
    let (bed, authority) = (Bed::new(), Authority::new());
    let refused = authority.run(&*bed.s3_as("guessed"), RUNS[0]).unwrap_err();
    assert!(
        matches!(refused, PublishError::Store(StoreError::Failed { .. })),
        "{refused}"
    );
    assert!(!Path::new(&bed.folder.path().join("index.json")).exists());
}
