//! Two devices on the virtual air, one of which is found to be infected: what the other can prove of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use truyvet::entropy::SeededEntropy;
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::MemoryKey;
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::report::consent::{ConsentRequest, Scope};
use truyvet::report::diagnosis::{Contacts, DiagnosisReport};
use truyvet::report::evidence::{
    CaseReport, Confirmation, ContactEvidence, EvidenceConsent, EvidenceError, EvidenceRequest,
    HeardDigests, confirm,
};
use truyvet::report::sealed::{AuthorityPrivateKey, open};
use truyvet::time::{SimulatedClock, Timestamp, UtcDay};
use truyvet::{EncounterLog, Protocol, PublishedKey, Secret, Tracer};

/// 2020-08-08T10:05Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_300);
const REQUEST: EvidenceRequest = EvidenceRequest::from_bytes([5; 16]);

fn today() -> UtcDay {
    START.utc_day()
}

fn air() -> Air {
    let clock = SimulatedClock::new(START, 1);
    Air::new(AirConfig::default(), Arc::new(clock))
}

async fn start(
    directory: &Path,
    air: &Air,
    device: &AirDevice,
    protocol: Protocol,
    seed: u64,
) -> Tracer {
    let log = EncounterLog::open(directory, MemoryKey::new(Secret::new([3; 32]))).unwrap();
    Tracer::builder(log, device.radio())
        .advertise(protocol)
        .clock(air.clock())
        .entropy(Box::new(SeededEntropy::new(seed)))
        .start()
        .await
        .unwrap()
}

async fn minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(minutes * 60)).await;
}

/// What the patient's device gives: its key of today, and digests of what it heard.
async fn report(f0: &Tracer) -> (Vec<PublishedKey>, HeardDigests) {
    let keys = f0.release([today()]).await.unwrap();
    let heard = digests(f0, &keys);
    (keys, heard)
}

/// What the report of `keys` says that `device` heard.
fn digests(device: &Tracer, keys: &[PublishedKey]) -> HeardDigests {
    let request = ConsentRequest::new("CDC Bình Định", today(), today());
    let request = request.scope(Scope::WithHeardDigests);
    let consent = request.granted(START, 14).unwrap();
    let prepared = DiagnosisReport::prepare(consent, keys.to_vec()).unwrap();
    let log = device.log_reader().unwrap();
    let prepared = prepared.with_heard_from(&log, &mut SeededEntropy::new(7));
    match prepared.unwrap().contacts() {
        Contacts::HeardDigests(sent) => HeardDigests::from_bytes(sent).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What the contact's device gives, once it has found its exposure.
async fn evidence(f1: &Tracer, air: &Air, keys: &[PublishedKey]) -> ContactEvidence {
    // What was heard up to now is stored, and the day's key is not advertised any more.
    f1.release([today()]).await.unwrap();
    let log = f1.log_reader().unwrap();
    let exposures = Matcher::from_log(MatchConfig::default(), &log)
        .unwrap()
        .exposures(keys);
    assert_eq!(exposures.len(), 1);
    let consent = EvidenceConsent::new("CDC Bình Định", REQUEST, [today()]).unwrap();
    ContactEvidence::build(consent, air.clock().now().wall, keys, &exposures, &log).unwrap()
}

/// Through an envelope, as the authority gets it.
fn confirmed(
    evidence: &ContactEvidence,
    keys: &[PublishedKey],
    heard: &HeardDigests,
) -> Confirmation {
    let authority = AuthorityPrivateKey::generate().unwrap();
    let envelope = evidence.seal(&authority.public_key().unwrap()).unwrap();
    let opened = open(&[authority], &envelope).unwrap();
    let evidence = ContactEvidence::from_envelope(&opened).unwrap();
    let report = CaseReport {
        keys,
        heard: Some(heard),
    };
    confirm(&evidence, REQUEST, report, |_| None).unwrap()
}

async fn near_for_half_an_hour(protocol: Protocol) {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let f0 = start(dirs[0].path(), &air, &devices[0], protocol.clone(), 1).await;
    let f1 = start(dirs[1].path(), &air, &devices[1], protocol, 2).await;
    minutes(30).await;
    devices[1].move_to(9_000.0, 0.0);
    minutes(30).await;

    let (keys, heard) = report(&f0).await;
    let evidence = evidence(&f1, &air, &keys).await;
    let confirmed = confirmed(&evidence, &keys, &heard);
    assert!(confirmed.mutual.slots >= 3, "{confirmed}");
    assert_eq!(confirmed.mutual, confirmed.f1_heard_f0, "{confirmed}");
    assert!((25..=40).contains(&confirmed.mutual.minutes), "{confirmed}");
    assert_eq!(confirmed.f0_heard_f1, Some(confirmed.mutual.slots));
    for tracer in [f0, f1] {
        tracer.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_heard_each_other_is_mutual_in_gaen() {
    near_for_half_an_hour(Protocol::gaen()).await;
}

#[tokio::test(start_paused = true)]
async fn who_heard_each_other_is_mutual_in_bluezone() {
    near_for_half_an_hour(Protocol::bluezone()).await;
}

/// The patient's log has been lost, or its receiver is deaf: the contact's word stands alone, and is said to.
#[tokio::test(start_paused = true)]
async fn a_case_that_heard_nobody_confirms_nothing() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [(0.0, 0.0), (1.0, 0.0), (9_000.0, 0.0)].map(|(x, y)| air.place(x, y));
    let f0 = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
    let f1 = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let deaf = start(dirs[2].path(), &air, &devices[2], Protocol::gaen(), 3).await;
    minutes(30).await;
    let keys = f0.release([today()]).await.unwrap();
    let heard = digests(&deaf, &keys);
    let evidence = evidence(&f1, &air, &keys).await;
    let confirmed = confirmed(&evidence, &keys, &heard);
    assert!(confirmed.f1_heard_f0.slots >= 3, "{confirmed}");
    assert_eq!(confirmed.f0_heard_f1, Some(0));
    assert_eq!(confirmed.mutual.slots, 0);
}

/// What is opened of today would tell the rest of the day.
#[tokio::test(start_paused = true)]
async fn todays_key_is_given_up_before_it_is_opened() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let f0 = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
    let f1 = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    minutes(30).await;
    let (keys, _) = report(&f0).await;
    let build = || {
        let consent = EvidenceConsent::new("CDC", REQUEST, [today()]).unwrap();
        let log = f1.log_reader().unwrap();
        let matcher = Matcher::from_log(MatchConfig::default(), &log).unwrap();
        let exposures = matcher.exposures(&keys);
        ContactEvidence::build(consent, air.clock().now().wall, &keys, &exposures, &log)
    };
    let refused = build().unwrap_err();
    assert!(matches!(refused, EvidenceError::KeyInUse { day } if day == today()));
    f1.release([today()]).await.unwrap();
    let evidence = build().unwrap();

    // From the next slot on it goes by identifiers that do not follow from what was opened.
    minutes(11).await;
    let log = f1.log_reader().unwrap();
    let keys = log.own_keys().unwrap();
    let in_use: Vec<_> = keys.iter().filter(|key| !key.is_released()).collect();
    assert_eq!(in_use.len(), 1);
    assert_eq!(evidence.disclosures().len(), 1);
}
