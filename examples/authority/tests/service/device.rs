//! The device's side: keys, a consent, a report, through the library alone.

use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::protocol::PublishedKey;
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::report::answer::Answer;
use truyvet::report::authorisation::Certificate;
use truyvet::report::consent::ConsentRequest;
use truyvet::report::diagnosis::{DiagnosisReport, PreparedReport};
use truyvet::time::{IntervalNumber, Timestamp, UtcDay};

pub(crate) const SLOTS_PER_DAY: u32 = 96;

/// Keys of the `days` before `today`, of both protocols by turns.
pub(crate) fn keys(seed: u64, today: UtcDay, days: u32) -> Vec<PublishedKey> {
    let mut entropy = SeededEntropy::new(seed);
    let day_key = |ago: u32| {
        let day = today.saturating_sub(ago);
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes).unwrap();
        if ago % 4 == 3 {
            let start = day.start().unix_seconds();
            let end = start + 86_400 - 900;
            let entry = PublishedEntry::new(bytes, start, end, SLOTS_PER_DAY).unwrap();
            return PublishedKey::from(entry);
        }
        let key: [u8; 16] = bytes[..16].try_into().unwrap();
        PublishedKey::from(DiagnosisKey::new(key, IntervalNumber::at(day.start()), 144).unwrap())
    };
    (1..=days).map(day_key).collect()
}

/// A key's bytes, to know it by.
pub(crate) fn bytes_of(key: &PublishedKey) -> Vec<u8> {
    match key {
        PublishedKey::Gaen(key) => key.key().to_vec(),
        PublishedKey::Bluezone(entry) => entry.daily_key().to_vec(),
        _ => unreachable!("a third protocol"),
    }
}

/// A report of `keys` that waits for its certificate.
pub(crate) fn prepare(keys: Vec<PublishedKey>, now: Timestamp) -> PreparedReport {
    let today = now.utc_day();
    let request = ConsentRequest::new("CDC Hải Dương", today.saturating_sub(14), today);
    DiagnosisReport::prepare(request.granted(now, 14).unwrap(), keys).unwrap()
}

/// The certificate in an answer.
pub(crate) fn certificate(answer: &[u8]) -> Certificate {
    match Answer::from_bytes(answer).unwrap() {
        Answer::Certificate(bytes) => Certificate::from_bytes(&bytes).unwrap(),
        other => panic!("expected a certificate, got {other:?}"),
    }
}
