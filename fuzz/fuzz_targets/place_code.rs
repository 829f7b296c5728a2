//! What is scanned and fetched of places: codes, personal texts, lists.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use truyvet::place::{
    Disclosures, ENTRIES_MAX, NAME_BYTES_MAX, PlaceCode, PlaceCodeError, PlaceId, PlaceList,
    PlaceMatchConfig, Visit, fuzzing,
};
use truyvet::publication::signature::{SigningKey, VerificationKey};
use truyvet::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_seconds(18_482 * 86_400 + 43_200);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

static TRUSTED: LazyLock<[VerificationKey; 1]> = LazyLock::new(|| [KEY.verification_key().clone()]);

// The first byte says what the others are: as they come, or what a key that is trusted has signed or sealed.
fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 5 {
        0 => scanned(&String::from_utf8_lossy(data)),
        1 => scanned(&fuzzing::code_around(&trusted(data), &KEY).unwrap()),
        2 => listed(data),
        3 => listed(&fuzzing::list_around(data, &KEY).unwrap()),
        _ => {
            let entries: Vec<&[u8]> = data.chunks(128).collect();
            listed(&fuzzing::list_of(&entries, NOW.utc_day(), &KEY).unwrap());
        }
    }
});

/// `body` with the fingerprint of the trusted key, if it is an authority's.
fn trusted(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    if let [1, a, b, c, d, ..] = body.as_mut_slice() {
        [*a, *b, *c, *d] = KEY.verification_key().fingerprint();
    }
    body
}

fn scanned(text: &str) {
    let disclosures = Disclosures::of(text);
    if let Some(disclosures) = &disclosures {
        assert!(text.matches('|').count() >= 5);
        assert!(disclosures.fields().len() <= 6);
    }
    let code = match PlaceCode::parse(text) {
        Ok(code) => code,
        Err(error) => {
            // What is said of a text has a length of its own, and is not the text's.
            assert!(error.to_string().len() < 600);
            if let PlaceCodeError::Personal(told) = error {
                assert_eq!(Some(told), disclosures);
            }
            return;
        }
    };
    assert_eq!(code.to_string(), text);
    assert!(code.unverified_name().len() <= NAME_BYTES_MAX);
    if let Ok(place) = code.verify(&*TRUSTED, NOW) {
        assert!(place.valid().contains(&NOW));
        assert_eq!(place.name(), code.unverified_name());
    }
}

fn listed(bytes: &[u8]) {
    // By when the lists that are sealed here are published.
    let now = NOW.utc_day().end();
    let list = match PlaceList::verify(bytes, &*TRUSTED, now, Some(1)) {
        Ok(list) => list,
        Err(error) => return drop(error.to_string()),
    };
    assert!(list.entry_count() <= ENTRIES_MAX);
    assert!(list.sequence() >= 1);
    let visits = [1, 2].map(|number| Visit {
        place: PlaceId::from_bytes([number; 16]),
        name: "x".into(),
        from: now.saturating_sub(Duration::from_secs(86_400)),
        until: now,
        checked_out: true,
    });
    if let Ok(found) = list.exposures(&visits, &PlaceMatchConfig::default()) {
        assert!(found.is_sorted_by_key(|exposure| exposure.overlap.start));
        for exposure in found {
            assert!(exposure.overlap.start < exposure.overlap.end);
            assert!(exposure.overlap.end <= list.published_at());
        }
    }
}
