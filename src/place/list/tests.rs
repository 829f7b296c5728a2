use std::time::Duration;

use super::*;
use crate::entropy::{Entropy, SeededEntropy};
use crate::publication::signature::SigningKey;

const DAY: UtcDay = UtcDay::from_unix_days(18_482);

fn at(hour: u64) -> Timestamp {
    DAY.start()
        .saturating_add(Duration::from_secs(hour * 3_600))
}

fn id(number: u8) -> PlaceId {
    PlaceId::from_bytes([number; 16])
}

fn told(key: &str) -> PlaceMessage {
    PlaceMessage::Key(key.to_owned())
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn draft() -> PlaceListDraft {
    let mut draft = PlaceListDraft::new(7, at(20));
    draft
        .add(id(1), at(8)..at(9), &told("place.monitor"))
        .unwrap();
    draft
        .add(id(2), at(10)..at(11), &told("place.test"))
        .unwrap();
    draft
}

fn signed(key: &SigningKey) -> Vec<u8> {
    draft().sign(key, &mut SeededEntropy::new(1)).unwrap()
}

/// `bytes` with another signature, by `key`.
fn signed_again(mut bytes: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    bytes.truncate(bytes.len() - COMPACT_SIGNATURE_BYTES);
    let signature = key.sign_compact(&[DOMAIN, &bytes].concat()).unwrap();
    bytes.extend(signature);
    bytes
}

fn refusal(bytes: &[u8], key: &SigningKey) -> PlaceListError {
    let trusted = [key.verification_key().clone()];
    PlaceList::verify(bytes, &trusted, at(21), None).unwrap_err()
}

#[test]
fn who_has_the_id_finds_the_entries_and_nobody_else() {
    let key = key();
    let bytes = signed(&key);
    let trusted = [key.verification_key().clone()];
    let list = PlaceList::verify(&bytes, &trusted, at(21), None).unwrap();
    assert_eq!((list.sequence(), list.published_at()), (7, at(20)));
    assert_eq!(list.entry_count(), 64);
    let found = list.of_place(&id(1), DAY).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].during(), at(8)..at(9));
    assert_eq!(found[0].message, told("place.monitor"));
    assert!(list.of_place(&id(3), DAY).unwrap().is_empty());
    assert!(
        list.of_place(&id(1), DAY.saturating_sub(1))
            .unwrap()
            .is_empty()
    );
    let said = b"place.monitor";
    assert!(!bytes.windows(said.len()).any(|window| window == said));
    assert!(!bytes.windows(16).any(|window| window == id(1).as_bytes()));
}

#[test]
fn two_lists_of_one_place_have_no_entry_in_common() {
    let key = key();
    let lists = [1, 2].map(|seed| draft().sign(&key, &mut SeededEntropy::new(seed)).unwrap());
    let entries = |list: &[u8]| {
        let (entries, _) = list[HEADER_BYTES..].as_chunks::<ENTRY_BYTES>();
        entries
            .iter()
            .map(|e| tag_of(e).to_vec())
            .collect::<Vec<_>>()
    };
    let [first, second] = [entries(&lists[0]), entries(&lists[1])];
    assert!(first.iter().all(|tag| !second.contains(tag)));
}

#[test]
fn signature_flipped() {
    let key = key();
    let bytes = signed(&key);
    for index in (bytes.len() - COMPACT_SIGNATURE_BYTES)..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        assert_eq!(refusal(&flipped, &key), PlaceListError::SignatureInvalid);
    }
}

#[test]
fn any_byte_flipped_is_refused() {
    let key = key();
    let bytes = signed(&key);
    for index in (0..HEADER_BYTES).chain((HEADER_BYTES..bytes.len()).step_by(97)) {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1;
        refusal(&flipped, &key);
    }
}

#[test]
fn truncated_at_every_length() {
    let key = key();
    let bytes = signed(&key);
    for len in (0..HEADER_BYTES + 2).chain([bytes.len() - ENTRY_BYTES, bytes.len() - 1]) {
        let error = refusal(&bytes[..len], &key);
        let named = matches!(error, PlaceListError::Length { .. });
        assert!(
            named || len < 4 && error == PlaceListError::NotAPlaceList,
            "{len}: {error}"
        );
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(
        refusal(&longer, &key),
        PlaceListError::Length { .. }
    ));
}

#[test]
fn wrong_signer() {
    let bytes = signed(&key());
    assert_eq!(refusal(&bytes, &key()), PlaceListError::WrongSigner);
}

#[test]
fn unknown_version() {
    let key = key();
    let mut bytes = signed(&key);
    bytes[4] = 2;
    let bytes = signed_again(bytes, &key);
    assert_eq!(
        refusal(&bytes, &key),
        PlaceListError::UnknownVersion { version: 2 }
    );
}

#[test]
fn a_number_of_entries_that_is_a_lie() {
    let key = key();
    let count_at = HEADER_BYTES - 4;
    for (claimed, expected) in [
        (
            u32::MAX,
            PlaceListError::TooManyEntries {
                got: u32::MAX as usize,
            },
        ),
        (10_001, PlaceListError::TooManyEntries { got: 10_001 }),
    ] {
        let mut bytes = signed(&key);
        bytes[count_at..HEADER_BYTES].copy_from_slice(&u32::to_be_bytes(claimed));
        assert_eq!(refusal(&bytes, &key), expected);
    }
    let mut bytes = signed(&key);
    bytes[count_at..HEADER_BYTES].copy_from_slice(&[0, 0, 0, 63]);
    assert!(matches!(
        refusal(&bytes, &key),
        PlaceListError::Length { .. }
    ));
    let len = LIST_BYTES_MAX + 1;
    assert_eq!(
        refusal(&vec![0; len], &key),
        PlaceListError::TooLong { len }
    );
}

#[test]
fn published_in_the_future() {
    let key = key();
    let bytes = signed(&key);
    let trusted = [key.verification_key().clone()];
    let tolerated = at(20).saturating_sub(Duration::from_secs(AHEAD_S_MAX));
    assert!(PlaceList::verify(&bytes, &trusted, tolerated, None).is_ok());
    let earlier = tolerated.saturating_sub(Duration::from_secs(1));
    let error = PlaceList::verify(&bytes, &trusted, earlier, None).unwrap_err();
    assert!(
        matches!(error, PlaceListError::PublishedInTheFuture { .. }),
        "{error}"
    );
}

#[test]
fn downgrade() {
    let key = key();
    let bytes = signed(&key);
    let trusted = [key.verification_key().clone()];
    let read = |seen| PlaceList::verify(&bytes, &trusted, at(21), seen).map(|_| ());
    for seen in [None, Some(0), Some(6), Some(7)] {
        assert_eq!(read(seen), Ok(()), "{seen:?}");
    }
    let (sequence, newest_seen) = (7, 8);
    let superseded = PlaceListError::Superseded {
        sequence,
        newest_seen,
    };
    assert_eq!(read(Some(8)), Err(superseded));
}

#[test]
fn entries_out_of_order() {
    let key = key();
    let mut bytes = signed(&key);
    let (entries, _) = bytes[HEADER_BYTES..].as_chunks_mut::<ENTRY_BYTES>();
    entries.swap(3, 4);
    let bytes = signed_again(bytes, &key);
    assert_eq!(
        refusal(&bytes, &key),
        PlaceListError::OutOfOrder { index: 4 }
    );
}

/// What an authority's own mistake would be: everything is signed, and an entry is not what it should be.
#[test]
fn entries_that_break_a_rule() {
    let (key, salt) = (key(), [9; SALT_BYTES]);
    let entry = |from_s: u64, until_s: u64, message: PlaceMessage| Entry {
        from_s: (DAY.start().unix_seconds() + from_s) as u32,
        until_s: (DAY.start().unix_seconds() + until_s) as u32,
        message,
    };
    let monitor = || told("place.monitor");
    for (entry, fault) in [
        (entry(100, 100, monitor()), EntryFault::Times),
        (entry(200, 100, monitor()), EntryFault::Times),
        (entry(80_000, 86_401, monitor()), EntryFault::Times),
        (entry(0, 72_001, monitor()), EntryFault::FutureClaim),
        (entry(0, 100, told("Place")), EntryFault::MessageNotPlain),
        (entry(0, 100, told("")), EntryFault::MessageNotPlain),
        (
            entry(0, 100, PlaceMessage::Text("\u{1b}[2J".into())),
            EntryFault::MessageNotPlain,
        ),
    ] {
        let keys = EntryKeys::derive(&salt, &id(1), DAY).unwrap();
        let sealed = entry.seal(&keys, 0).unwrap();
        let error = read_one(&sealed, salt, &key);
        assert_eq!(
            error,
            PlaceListError::Entry { index: 0, fault },
            "{entry:?}"
        );
    }
    let keys = EntryKeys::derive(&salt, &id(1), DAY).unwrap();
    let elsewhere = entry(0, 100, monitor()).seal(&keys, 1).unwrap();
    let fault = EntryFault::NotOpened;
    let error = read_one(&elsewhere, salt, &key);
    assert_eq!(error, PlaceListError::Entry { index: 0, fault });
}

/// What comes of a list of this one entry, published at 20:00.
fn read_one(entry: &[u8; ENTRY_BYTES], salt: [u8; SALT_BYTES], key: &SigningKey) -> PlaceListError {
    let header = Header {
        fingerprint: key.verification_key().fingerprint(),
        sequence: 1,
        published_s: at(20).unix_seconds() as u32,
        salt,
        entries: 1,
    };
    let bytes = [
        header.bytes().as_slice(),
        entry,
        &[0; COMPACT_SIGNATURE_BYTES],
    ]
    .concat();
    let bytes = signed_again(bytes, key);
    let trusted = [key.verification_key().clone()];
    let list = PlaceList::verify(&bytes, &trusted, at(21), None).unwrap();
    list.of_place(&id(1), DAY).unwrap_err()
}

#[test]
fn what_cannot_be_added() {
    let mut draft = draft();
    let long = PlaceMessage::Text("x".repeat(MESSAGE_BYTES_MAX + 1));
    for (during, message, fault) in [
        (at(9)..at(8), told("a"), EntryFault::Times),
        (at(19)..at(21), told("a"), EntryFault::FutureClaim),
        (at(8)..at(9), long, EntryFault::MessageTooLong { len: 119 }),
        (at(8)..at(9), told("A b"), EntryFault::MessageNotPlain),
    ] {
        let error = draft.add(id(3), during, &message).unwrap_err();
        assert_eq!(error, PlaceListError::Entry { index: 2, fault });
    }
    // Half of what reaches into the future is not added either.
    let yesterday = at(0).saturating_sub(Duration::from_secs(3_600));
    assert!(draft.add(id(3), yesterday..at(21), &told("a")).is_err());
    assert_eq!(draft.entries.len(), 2);
    let long_ago = at(0).saturating_sub(Duration::from_secs(20_000 * 86_400));
    let error = draft.add(id(3), long_ago..at(1), &told("a")).unwrap_err();
    assert_eq!(
        error,
        PlaceListError::TooManyEntries {
            got: ENTRIES_MAX + 1
        }
    );
    assert_eq!(draft.entries.len(), 2);
}

#[test]
fn the_longest_message_and_the_fullest_list() {
    let key = key();
    let mut draft = PlaceListDraft::new(1, at(24));
    let message = PlaceMessage::Text("ộ".repeat(MESSAGE_BYTES_MAX / 3));
    for number in 0..ENTRIES_MAX {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        draft
            .add(PlaceId::from_bytes(bytes), at(1)..at(2), &message)
            .unwrap();
    }
    assert!(draft.add(id(1), at(1)..at(2), &message).is_err());
    let list = draft.sign(&key, &mut SeededEntropy::new(1)).unwrap();
    assert_eq!(list.len(), LIST_BYTES_MAX);
    let trusted = [key.verification_key().clone()];
    let list = PlaceList::verify(&list, &trusted, at(24), None).unwrap();
    let found = list.of_place(&PlaceId::from_bytes([0; 16]), DAY).unwrap();
    assert_eq!(found[0].message, message);
}

#[test]
fn an_empty_list_has_the_length_of_one_with_a_place() {
    let key = key();
    let empty = PlaceListDraft::new(1, at(20));
    let empty = empty.sign(&key, &mut SeededEntropy::new(1)).unwrap();
    assert_eq!(empty.len(), signed(&key).len());
}

#[test]
fn without_random_bytes_there_is_no_list() {
    struct Dry;
    impl Entropy for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), crate::entropy::EntropyError> {
            Err(crate::entropy::EntropyError)
        }
    }
    let error = draft().sign(&key(), &mut Dry).unwrap_err();
    assert_eq!(error, PlaceListError::Key(KeyError::Crypto));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let magic = [&MAGIC[..], &bytes].concat();
        proptest::prop_assert!(PlaceList::verify(&bytes, &[], at(21), None).is_err());
        proptest::prop_assert!(PlaceList::verify(&magic, &[], at(21), None).is_err());
    }
}

#[test]
fn too_many_of_one_place() {
    let key = key();
    let mut draft = draft();
    let more = ENTRIES_OF_PLACE_MAX - 1;
    for _ in 0..more {
        draft
            .add(id(1), at(8)..at(9), &told("place.monitor"))
            .unwrap();
    }
    let one_more = draft.add(id(1), at(8)..at(9), &told("place.monitor"));
    let index = draft.entries.len();
    assert_eq!(one_more, Err(PlaceListError::TooManyOfOnePlace { index }));
    assert_eq!(index, 2 + more, "nothing is added");
    // The next day has its own, as far as the list's time allows.
    let before = DAY.saturating_sub(1).start();
    let early = before..before.saturating_add(Duration::from_secs(60));
    draft.add(id(1), early, &told("place.monitor")).unwrap();
    let trusted = [key.verification_key().clone()];
    let bytes = draft.sign(&key, &mut SeededEntropy::new(1)).unwrap();
    let list = PlaceList::verify(&bytes, &trusted, at(21), None).unwrap();
    assert_eq!(
        list.of_place(&id(1), DAY).unwrap().len(),
        ENTRIES_OF_PLACE_MAX
    );
    // An authority that does not keep to the library, with all entries of one place among them.
    for entries in [97, ENTRIES_MAX] {
        let mut draft = PlaceListDraft::new(7, at(20));
        draft
            .add(id(1), at(8)..at(9), &told("place.monitor"))
            .unwrap();
        let entry = draft.entries[0].clone();
        draft.entries.resize(entries, entry);
        let bytes = draft.sign(&key, &mut SeededEntropy::new(1)).unwrap();
        let refused = refusal(&bytes, &key);
        assert!(
            matches!(refused, PlaceListError::TooManyOfOnePlace { .. }),
            "{refused}"
        );
    }
}

#[test]
fn which_key_has_signed() {
    let keys = [key(), key()];
    let trusted = [0, 1].map(|of: usize| keys[of].verification_key().clone());
    for (key, trusted_key) in keys.iter().zip(&trusted) {
        let bytes = signed(key);
        let list = PlaceList::verify(&bytes, &trusted, at(21), None).unwrap();
        assert_eq!(list.signed_by(), trusted_key.fingerprint());
    }
}
