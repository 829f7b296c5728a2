//! Seeds of what is scanned and fetched of places.

use data_encoding::BASE32_NOPAD;
use truyvet::entropy::SeededEntropy;
use truyvet::place::{PlaceCode, PlaceListDraft, PlaceMessage, fuzzing::PLACE};
use truyvet::publication::signature::SigningKey;

use super::{DAY, Failure, Seeds};

/// As the target takes them: the first byte says what the others are.
pub(super) fn places() -> Result<Seeds, Failure> {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, kind: u8, bytes: &[u8]| {
        drop(seeds.insert(name.to_owned(), [&[kind], bytes].concat()));
    };
    let key = SigningKey::generate()?;
    let valid = DAY.start()..DAY.end();
    let owners = PlaceCode::sign_as_owner("Phở Thìn", valid.clone(), &key)?.to_string();
    let authoritys = PlaceCode::sign_as_authority(PLACE, "Chợ", valid.clone(), &key)?.to_string();
    for (name, text) in [("owner", &owners), ("authority", &authoritys)] {
        add(name, 0, text.as_bytes());
        let base32 = text.trim_start_matches("TVP1:").as_bytes();
        let bytes = BASE32_NOPAD.decode(base32)?;
        add(&format!("{name} body"), 1, &bytes[..bytes.len() - 64]);
    }
    add(
        "personal",
        0,
        b"001234567890|NGUYEN VAN A|1980-02-03|0|QID|EXT",
    );
    add("other version", 0, b"TVP2:AAAA");

    let mut draft = PlaceListDraft::new(1, valid.end);
    for message in ["place.monitor", "place.test"] {
        let message = PlaceMessage::Key(message.into());
        draft.add(PLACE, valid.clone(), &message)?;
    }
    let list = draft.sign(&key, &mut SeededEntropy::new(1))?;
    add("list", 2, &list);
    // Without magic, fingerprint and signature.
    add("list signed anew", 3, &list[9..list.len() - 64]);

    let entry = |from: u64, until: u64, kind: u8, message: &str| {
        let at = |s: u64| ((DAY.start().unix_seconds() + s) as u32).to_be_bytes();
        let mut plain = [&at(from)[..], &at(until), &[kind, message.len() as u8]].concat();
        plain.extend(message.as_bytes());
        plain.resize(128, 0);
        plain
    };
    let entries = [
        entry(0, 3_600, 0, "place.monitor"),
        entry(3_600, 86_400, 1, "Theo dõi sức khoẻ"),
    ];
    add("entries", 4, &entries.concat());
    add("an entry of no time", 4, &entry(5, 5, 0, "x"));
    Ok(seeds)
}
