use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

fn at(ms: u64) -> Moment {
    let since = Duration::from_millis(ms);
    Moment {
        wall: START.saturating_add(since),
        monotonic: since,
    }
}

fn frame(number: u32, dbm: i32) -> Frame {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    Frame {
        protocol: ProtocolKind::Gaen,
        id: id.into(),
        metadata: Some([0; 4]),
        source: Source::ServiceData,
        rssi: Rssi::from_dbm(dbm),
    }
}

fn hear(neighbours: &mut Neighbours, now: Moment, frame: &Frame, out: &mut Outcome) {
    if !neighbours.heard_again(now, frame, out) {
        neighbours.appear(now, frame, out);
    }
}

#[test]
fn four_frames_a_second_make_one_sighting_in_half_a_minute() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    for ms in (0..60_000).step_by(250) {
        neighbours.look(at(ms).monotonic, &mut out);
        hear(
            &mut neighbours,
            at(ms),
            &frame(1, -60 - (ms / 250 % 3) as i32),
            &mut out,
        );
    }
    neighbours.close_all(&mut out);
    assert_eq!(out.sightings.len(), 2);
    for (index, sighting) in out.sightings.iter().enumerate() {
        assert_eq!(sighting.first, at(index as u64 * 30_000).wall);
        assert_eq!(sighting.last, at(index as u64 * 30_000 + 29_750).wall);
        assert_eq!(sighting.frames, 120);
        let rssi = sighting.rssi.unwrap();
        assert_eq!(
            [rssi.min, rssi.mean, rssi.max].map(Rssi::dbm),
            [-62, -61, -60]
        );
    }
}

#[test]
fn no_sighting_is_longer_than_half_a_minute_though_nobody_looks() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    for ms in (0..300_000).step_by(7_000) {
        hear(&mut neighbours, at(ms), &frame(1, -60), &mut out);
    }
    neighbours.close_all(&mut out);
    assert_eq!(out.sightings.iter().map(|s| s.frames).sum::<u16>(), 43);
    for sighting in out.sightings {
        assert!(sighting.last.since(sighting.first) <= SPAN_MAX);
    }
}

#[test]
fn the_mean_rounds_to_the_nearest_dbm() {
    let mean = |values: &[i32]| {
        let mut sum = None;
        for value in values {
            sum = Some(RssiSum::with(sum, Rssi::from_dbm(*value).unwrap()));
        }
        sum.unwrap().summary().unwrap().mean.dbm()
    };
    assert_eq!(mean(&[-60]), -60);
    assert_eq!(mean(&[-60, -61]), -61);
    assert_eq!(mean(&[-60, -60, -61]), -60);
    assert_eq!(mean(&[0, 1]), 1);
    assert_eq!(mean(&[-127, 20]), -54);
}

#[test]
fn a_frame_without_strength_counts_as_heard() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    hear(&mut neighbours, at(0), &frame(1, 127), &mut out);
    neighbours.close_all(&mut out);
    assert_eq!(out.sightings[0].frames, 1);
    assert_eq!(out.sightings[0].rssi, None);
}

#[test]
fn a_silent_neighbour_leaves() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    hear(&mut neighbours, at(0), &frame(1, -60), &mut out);
    hear(&mut neighbours, at(20_000), &frame(1, -60), &mut out);
    for ms in (0..=90_000).step_by(1_000) {
        neighbours.look(at(ms).monotonic, &mut out);
    }
    assert_eq!(neighbours.len(), 0);
    let left = Event::NeighbourLeft {
        neighbour: NeighbourId(1),
        duration: Duration::from_secs(20),
    };
    assert_eq!(out.events.last(), Some(&left));
    assert_eq!(out.sightings.len(), 1);
}

#[test]
fn a_silent_neighbour_gives_way_before_one_that_is_heard() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    hear(&mut neighbours, at(0), &frame(0, -60), &mut out);
    neighbours.look(at(30_000).monotonic, &mut out);
    // It is due later than all of these.
    for number in 1..=NEIGHBOURS_MAX as u32 {
        hear(&mut neighbours, at(30_001), &frame(number, -60), &mut out);
    }
    assert_eq!((neighbours.len(), neighbours.evicted), (NEIGHBOURS_MAX, 1));
    let left: Vec<_> = out
        .events
        .iter()
        .filter(|it| matches!(it, Event::NeighbourLeft { .. }))
        .collect();
    let first = Event::NeighbourLeft {
        neighbour: NeighbourId(1),
        duration: Duration::ZERO,
    };
    assert_eq!(left, [&first]);
}

#[test]
fn another_time_to_leave_is_that_of_the_silent_too() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER * 6), Outcome::default());
    hear(&mut neighbours, at(0), &frame(1, -60), &mut out);
    neighbours.look(at(30_000).monotonic, &mut out);
    neighbours.set_gone_after(GONE_AFTER);
    assert_eq!(neighbours.next_look(), Some(GONE_AFTER));
    neighbours.look(at(59_999).monotonic, &mut out);
    assert_eq!(neighbours.len(), 1);
    neighbours.set_gone_after(GONE_AFTER * 2);
    neighbours.look(at(119_999).monotonic, &mut out);
    assert_eq!(neighbours.len(), 1);
    neighbours.look(at(120_000).monotonic, &mut out);
    assert_eq!((neighbours.len(), neighbours.next_look()), (0, None));
}

#[test]
fn other_metadata_is_another_neighbour() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    hear(&mut neighbours, at(0), &frame(1, -60), &mut out);
    let mut forged = frame(1, -60);
    forged.metadata = Some([1; 4]);
    hear(&mut neighbours, at(1), &forged, &mut out);
    assert_eq!(neighbours.len(), 2);
}

#[test]
fn a_flood_stays_within_bounds_and_loses_nothing() {
    let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
    for number in 0..20_000 {
        hear(
            &mut neighbours,
            at(u64::from(number)),
            &frame(number, -60),
            &mut out,
        );
        assert!(neighbours.len() <= NEIGHBOURS_MAX);
        assert_eq!(
            neighbours.open.len() + neighbours.silent.len(),
            neighbours.len()
        );
    }
    neighbours.close_all(&mut out);
    assert_eq!(out.sightings.len(), 20_000);
    assert_eq!(neighbours.evicted, 20_000 - NEIGHBOURS_MAX as u64);
}
