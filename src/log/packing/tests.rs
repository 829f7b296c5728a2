//! What is packed comes back, and takes few bytes.

use proptest::prelude::*;

use super::*;

fn sighting(id: impl Into<EphemeralId>, first_ms: u64) -> Sighting {
    let rssi = |dbm: i32| Rssi::from_dbm(dbm).unwrap();
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: id.into(),
        metadata: Some([1, 2, 3, 4]),
        first: Timestamp::from_unix_millis(first_ms),
        last: Timestamp::from_unix_millis(first_ms + 29_900),
        frames: 100,
        rssi: Some(RssiSummary {
            min: rssi(-80),
            mean: rssi(-70),
            max: rssi(-60),
        }),
        source: Source::ServiceData,
    }
}

fn numbered(number: u64) -> EphemeralId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    id.into()
}

fn pack(packer: &mut Packer, sightings: &[Sighting]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packer.pack(sightings, &mut bytes);
    bytes
}

fn unpack(bytes: &[u8]) -> Result<Vec<Sighting>, Malformed> {
    Unpacker::default().unpack(bytes, 1_024)
}

#[test]
fn bytes_are_pinned() {
    let mut packer = Packer::default();
    let two = [sighting([9; 16], 1_000), sighting([9; 16], 900)];
    let mut expected = vec![2, 0b0111_1001];
    expected.extend([9; 16]);
    expected.extend([1, 2, 3, 4]);
    // 2,000, twice a second; 59,800; a hundred frames; -80, -70, -60.
    expected.extend([0xD0, 0x0F, 0x98, 0xD3, 0x03, 100, 0xB0, 0xBA, 0xC4]);
    // The last identifier again, 100 ms before.
    expected.extend([0b0000_1000, 0, 0xC7, 0x01]);
    expected.extend([0x98, 0xD3, 0x03, 100, 0xB0, 0xBA, 0xC4]);
    assert_eq!(pack(&mut packer, &two), expected);
    assert_eq!(unpack(&expected).unwrap(), two);
    // What was written out in one chunk is known in the next.
    assert_eq!(pack(&mut packer, &two[1..]).len(), 1 + 2 + 2 + 3 + 1 + 3);
}

/// What one sighting takes.
fn through(both: &mut (Packer, Unpacker), number: u64, at_s: u64) -> usize {
    let one = [sighting(numbered(number), at_s * 1_000)];
    let bytes = pack(&mut both.0, &one);
    assert_eq!(both.1.unpack(&bytes, 1).unwrap(), one);
    bytes.len()
}

#[test]
fn an_identifier_of_many_others_ago_is_written_out_again() {
    let mut both = Default::default();
    let new = through(&mut both, 0, 1);
    for number in 1..REMEMBERED_MAX / 2 {
        through(&mut both, number, 1);
    }
    // It has been heard lately again, and is known in the first place of the reader's.
    for number in REMEMBERED_MAX / 2..REMEMBERED_MAX {
        assert!(through(&mut both, 0, 1) < new);
        through(&mut both, number, 1);
    }
    assert!(through(&mut both, 0, 1) < new);
    through(&mut both, REMEMBERED_MAX, 1);
    assert_eq!(through(&mut both, 0, 1), new);
}

#[test]
fn the_writing_side_forgets_whom_it_has_not_heard_for_long() {
    let mut both = Default::default();
    let new = through(&mut both, 0, 0);
    through(&mut both, 1, 0);
    for at_s in (0..3_600).step_by(60) {
        assert!(through(&mut both, 0, at_s) < new);
    }
    assert_eq!(both.0.remembered(), 1);
    assert!(both.0.lately.keys().all(|name| name.id == numbered(0)));
    assert!(through(&mut both, 1, 3_600) >= new);
}

#[test]
fn a_clock_that_goes_back_is_no_reason_to_remember() {
    let mut both = Default::default();
    let new = through(&mut both, 0, 5_000);
    // Sightings come as they end, not as they began.
    assert!(through(&mut both, 0, 4_970) < new);
    for at_s in [4_000, 3_000, 2_000] {
        assert_eq!(through(&mut both, at_s, at_s), new);
    }
    assert!(both.0.remembered() <= 2);
    assert_eq!(through(&mut both, 0, 2_000), new);
}

#[test]
fn the_memory_of_both_sides_is_bounded() {
    let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
    for number in 0..3 * REMEMBERED_MAX {
        let bytes = pack(&mut packer, &[sighting(numbered(number), 5)]);
        unpacker.unpack(&bytes, 1).unwrap();
    }
    let limit = usize::try_from(REMEMBERED_MAX).unwrap();
    assert!(packer.lately.len() + packer.before.len() <= limit);
    assert_eq!(unpacker.written.len(), limit);
}

#[test]
fn any_cut_is_malformed() {
    let bytes = pack(
        &mut Packer::default(),
        &[sighting([9; 16], 1_000), sighting([8; 16], 900)],
    );
    for end in 0..bytes.len() {
        assert_eq!(unpack(&bytes[..end]), Err(Malformed), "cut at {end}");
    }
    assert_eq!(unpack(&[&bytes[..], &[0]].concat()), Err(Malformed));
}

#[test]
fn more_than_there_may_be() {
    let bytes = pack(
        &mut Packer::default(),
        &[sighting([9; 16], 1_000), sighting([8; 16], 900)],
    );
    assert_eq!(Unpacker::default().unpack(&bytes, 1), Err(Malformed));
    assert_eq!(unpack(&[0xFF; 12]), Err(Malformed));
}

#[test]
fn an_identifier_that_was_not_written_out() {
    let mut packer = Packer::default();
    pack(&mut packer, &[sighting([9; 16], 1_000)]);
    let second = pack(&mut packer, &[sighting([9; 16], 1_000)]);
    assert_eq!(unpack(&second), Err(Malformed));
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let dbm = || (-127_i32..=20).prop_map(|dbm| Rssi::from_dbm(dbm).unwrap());
    let rssi = proptest::option::of((dbm(), dbm(), dbm()));
    // Few, so that they repeat.
    let id = prop_oneof![
        (0_u8..4).prop_map(|byte| EphemeralId::from([byte; 12])),
        (0_u8..4).prop_map(|byte| EphemeralId::from([byte; 16])),
    ];
    let times = (0_u64..1 << 60, 0_u64..1 << 60);
    let metadata = proptest::option::of((0_u8..3).prop_map(|byte| [byte; 4]));
    (
        id,
        metadata,
        times,
        any::<u16>(),
        rssi,
        any::<bool>(),
        0_u8..4,
    )
        .prop_map(
            |(id, metadata, (first, last), frames, rssi, gaen, from)| Sighting {
                protocol: match gaen {
                    true => ProtocolKind::Gaen,
                    false => ProtocolKind::Bluezone,
                },
                id,
                metadata,
                first: Timestamp::from_unix_millis(first),
                last: Timestamp::from_unix_millis(last),
                frames,
                rssi: rssi.map(|(min, mean, max)| RssiSummary { min, mean, max }),
                source: source(from),
            },
        )
}

proptest! {
    #[test]
    fn whatever_is_packed_comes_back(
        chunks in proptest::collection::vec(
            proptest::collection::vec(any_sighting(), 0..40), 0..5,
        ),
    ) {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        for chunk in chunks {
            let bytes = pack(&mut packer, &chunk);
            prop_assert_eq!(unpacker.unpack(&bytes, 40), Ok(chunk));
        }
    }

    #[test]
    fn any_bytes_unpack_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = unpack(&bytes);
    }
}
