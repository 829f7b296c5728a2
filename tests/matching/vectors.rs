//! The published identifiers of one key, found by every way.

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde_json::Value;

use super::*;

fn hex(value: &Value) -> [u8; 16] {
    let bytes = HEX.decode(value.as_str().unwrap().as_bytes()).unwrap();
    bytes.try_into().unwrap()
}

#[test]
fn each_of_the_144_published_identifiers_is_found() {
    let text = include_str!("../vectors/gaen/gaen_v1_2_test_vectors.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let start = u32::try_from(vectors["enin_at_key_generation"].as_u64().unwrap()).unwrap();
    let key = DiagnosisKey::new(hex(&vectors["tek"]), IntervalNumber(start), 144).unwrap();
    let published = vectors["advertised"].as_array().unwrap();
    assert_eq!(published.len(), 144);
    let heard: Vec<_> = published
        .iter()
        .map(|advertised| {
            let interval = u32::try_from(advertised["enin"].as_u64().unwrap()).unwrap();
            sighting(
                hex(&advertised["rpi"]).into(),
                IntervalNumber(interval).start(),
            )
        })
        .collect();
    // Beside fifteen other keys, in each of the places that a key can have among sixteen.
    for place in 0..16 {
        let mut keys: Vec<_> = (0..16).map(|number| gaen(number, start, 144)).collect();
        keys[place] = key.clone().into();
        for config in ways() {
            let exposures = Matcher::new(config.clone(), heard.clone()).exposures(&keys);
            let found: Vec<_> = exposures
                .iter()
                .map(|exposure| (exposure.key_index, exposure.identifiers))
                .collect();
            assert_eq!(found, [(place, 144)], "{config:?}");
        }
    }
}
