//! Peers on iOS, whose identifiers have to be read.

use truyvet::protocol::bluezone::WireProfile;
use truyvet::radio::{GattRequest, Peer};
use truyvet::sighting::Source;
use truyvet::{EphemeralId, Sighting};

use super::*;

const PHONE: Peer = Peer::from_system_id([1; 16]);

/// A tracer that advertises Bluezone and reads.
fn reading() -> Rig {
    let mut config = Config::new(Protocol::bluezone());
    config.read_identifiers = true;
    Rig::started(config).0
}

/// In the foreground.
fn ios_frame() -> Advertisement {
    let mut frame = Advertisement::new();
    frame
        .push_service_uuid128(WireProfile::default().ios_service)
        .unwrap();
    frame
}

fn requests(actions: &[Action]) -> Vec<GattRequest> {
    let request = |action: &Action| match action {
        Action::ReadIdentifier { request, .. } => Some(*request),
        _ => None,
    };
    actions.iter().filter_map(request).collect()
}

fn sightings(actions: &[Action]) -> Vec<Sighting> {
    let stored = |action: &Action| match action {
        Action::Store(sightings) => sightings.clone(),
        _ => Vec::new(),
    };
    actions.iter().flat_map(stored).collect()
}

impl Rig {
    fn hear_phone(&mut self, dbm: i8) -> Vec<GattRequest> {
        let rssi = Rssi::from_dbm(dbm);
        self.engine
            .heard_from(self.clock.now(), PHONE, &ios_frame(), rssi);
        requests(&self.actions())
    }

    fn answer(&mut self, result: Result<&[u8], String>) {
        self.engine.read_result(self.clock.now(), PHONE, result);
    }
}

#[test]
fn an_iphone_is_read_once_a_slot_and_logged_with_every_frame() {
    let mut rig = reading();
    let profile = WireProfile::default();
    let request = GattRequest::new(PHONE, profile.ios_service, profile.ios_characteristic);
    assert_eq!(rig.hear_phone(-60), [request]);
    rig.answer(Ok(&[7; 12]));
    for dbm in [-70, -80] {
        assert_eq!(rig.hear_phone(dbm), []);
    }
    let mut actions = rig.pass(s(120));
    actions.extend(rig.actions());
    let [sighting] = &sightings(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(sighting.id, EphemeralId::from([7; 12]));
    assert_eq!(sighting.source, Source::GattRead);
    assert_eq!(sighting.frames, 3);
    let rssi = sighting.rssi.unwrap();
    assert_eq!((rssi.min.dbm(), rssi.mean.dbm()), (-80, -70));
    let counters = rig.engine.health().counters;
    assert_eq!((counters.frames, counters.reads), (3, 1));
    assert_eq!((counters.unread_frames, counters.failed_reads), (0, 0));
    // The next slot has another identifier.
    rig.pass(s(900));
    assert_eq!(rig.hear_phone(-60).len(), 1);
}

#[test]
fn in_the_background_too() {
    let mut rig = reading();
    let mut frame = Advertisement::new();
    let mut area = [0; 17];
    (area[0], area[1]) = (0x01, 0x18);
    frame.push_manufacturer_data(0x004C, &area).unwrap();
    rig.engine.heard_from(rig.clock.now(), PHONE, &frame, None);
    assert_eq!(requests(&rig.actions()).len(), 1);
}

#[test]
fn nothing_is_read_unless_told() {
    let mut rig = Rig::started(Config::new(Protocol::bluezone())).0;
    assert_eq!(rig.hear_phone(-60), []);
    assert_eq!(rig.engine.health().counters.unread_frames, 1);
    // Nor can anybody be read of whom no address is known.
    let mut rig = reading();
    rig.engine.heard(rig.clock.now(), &ios_frame(), None);
    assert_eq!(requests(&rig.actions()), []);
    assert_eq!(rig.engine.health().counters.unread_frames, 1);
}

#[test]
fn eleven_or_thirteen_bytes_are_no_identifier() {
    for value in [&[][..], &[7; 11], &[7; 13], &[7; 512]] {
        let mut rig = reading();
        rig.hear_phone(-60);
        rig.answer(Ok(value));
        assert_eq!(rig.hear_phone(-60), []);
        let counters = rig.engine.health().counters;
        assert_eq!((counters.failed_reads, counters.unread_frames), (1, 2));
        assert_eq!(counters.frames, 0);
        rig.pass(s(60));
        assert_eq!(rig.hear_phone(-60).len(), 1);
    }
}

#[test]
fn health_says_whether_reading_works_and_why_not() {
    let state = |rig: &Rig| rig.engine.health().reading.map(|reading| reading.state);
    let silent = Rig::started(Config::new(Protocol::bluezone())).0;
    assert_eq!(state(&silent), None);
    let mut rig = reading();
    assert_eq!(state(&rig), Some(State::Stopped));
    rig.hear_phone(-60);
    rig.answer(Ok(&[7; 11]));
    let why = "expected 12 bytes, got 11".to_owned();
    assert_eq!(state(&rig), Some(State::Failing(why)));
    let line = rig.engine.health().to_string();
    assert!(
        line.contains("reading failing: expected 12 bytes, got 11"),
        "{line}"
    );
    // No fault of this device's.
    assert!(rig.engine.health().is_well());
    rig.pass(s(60));
    rig.hear_phone(-60);
    rig.answer(Ok(&[7; 12]));
    assert_eq!(state(&rig), Some(State::Working));
    rig.engine.reading_ended(rig.clock.now(), "it has died");
    assert_eq!(state(&rig), Some(State::Failing("it has died".to_owned())));
    rig.pass(s(900));
    assert_eq!(rig.hear_phone(-60), []);
}

#[test]
fn a_read_that_nobody_answers_has_failed() {
    let mut rig = reading();
    rig.hear_phone(-60);
    rig.pass(s(29));
    assert_eq!(rig.engine.health().counters.failed_reads, 0);
    rig.pass(s(1));
    let counters = rig.engine.health().counters;
    assert_eq!((counters.failed_reads, counters.unread_frames), (1, 1));
    // An answer after all is too late.
    rig.answer(Ok(&[7; 12]));
    assert_eq!(rig.engine.health().counters.reads, 0);
}

#[test]
fn an_iphone_with_a_slow_clock_is_read_once_more_after_the_slot_has_begun() {
    let mut rig = reading();
    rig.hear_phone(-60);
    rig.answer(Ok(&[7; 12]));
    rig.pass(s(120));
    assert_eq!(rig.hear_phone(-60).len(), 1);
    rig.answer(Ok(&[8; 12]));
    assert_eq!(rig.hear_phone(-60), []);
    let counters = rig.engine.health().counters;
    // Each frame counts once, though two brought on a read.
    assert_eq!((counters.frames, counters.reads), (3, 2));
    assert_eq!(rig.engine.neighbour_count(), 2);
}

#[test]
fn an_answer_that_nobody_asked_for_is_nothing() {
    let mut rig = reading();
    rig.answer(Ok(&[7; 12]));
    rig.hear_phone(-60);
    rig.answer(Err("it has gone".to_owned()));
    rig.answer(Ok(&[7; 12]));
    let counters = rig.engine.health().counters;
    assert_eq!((counters.reads, counters.failed_reads), (0, 1));
}

#[test]
fn our_own_identifier_read_from_another_is_an_echo() {
    let mut config = Config::new(Protocol::bluezone());
    config.read_identifiers = true;
    let (mut rig, started) = Rig::started(config);
    let own = frames(&started)[0]
        .0
        .manufacturer_data(0x22B5)
        .unwrap()
        .to_vec();
    rig.hear_phone(-60);
    rig.answer(Ok(&own));
    let counters = rig.engine.health().counters;
    assert_eq!((counters.own_frames, counters.frames), (1, 0));
    assert_eq!(rig.engine.neighbour_count(), 0);
}

#[test]
fn what_is_under_way_at_the_end_is_not_waited_for_after_a_new_start() {
    let mut rig = reading();
    rig.hear_phone(-60);
    rig.engine.stop(rig.clock.now());
    rig.engine.start(rig.clock.now());
    rig.actions();
    assert_eq!(rig.hear_phone(-60).len(), 1);
}
