//! What is heard, and what it counts as.

use super::*;

#[test]
fn the_device_knows_its_own_identifiers_when_they_come_back() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::gaen()));
    rig.pass(s(3_600));
    rig.engine
        .heard(rig.clock.now(), &frames(&first)[0].0, None);
    assert_eq!(rig.engine.health().counters.own_frames, 1);
    assert_eq!(rig.engine.neighbour_count(), 0);
}

#[test]
fn an_identifier_that_becomes_its_own_is_no_neighbours_any_more() {
    // Another device that has the day's key, and is ahead.
    let (mut ahead, _) = Rig::started(Config::new(Protocol::bluezone()));
    let next = frames(&ahead.pass(s(900)))[0].0;
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    rig.pass(s(895));
    rig.engine.heard(rig.clock.now(), &next, None);
    rig.pass(s(10));
    assert_eq!(rig.engine.neighbour_count(), 0);
    rig.engine.heard(rig.clock.now(), &next, None);
    let counters = rig.engine.health().counters;
    assert_eq!((counters.frames, counters.own_frames), (1, 1));
    assert_eq!(counters.sightings, 1);
}

#[test]
fn what_is_heard_is_counted_by_what_it_is() {
    let config = Config::new(Protocol::bluezone()).also_listen(Protocol::gaen());
    let (mut rig, first) = Rig::started(config);
    let mut heard = |frame: &Advertisement| rig.engine.heard(rig.clock.now(), frame, None);
    let bluezone = bluezone_frame(9);
    let mut gaen = Advertisement::new();
    gaen.push_service_data16(0xFD6F, &[9; 20]).unwrap();
    let mut short = Advertisement::new();
    short.push_service_data16(0xFD6F, &[9; 19]).unwrap();
    let mut ios = Advertisement::new();
    let overflow = [1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ios.push_manufacturer_data(0x004C, &overflow).unwrap();
    for frame in [
        bluezone,
        gaen,
        short,
        ios,
        Advertisement::new(),
        frames(&first)[0].0,
    ] {
        heard(&frame);
    }
    let counters = rig.engine.health().counters;
    let counted = [
        counters.frames,
        counters.malformed_frames,
        counters.unread_frames,
        counters.foreign_frames,
        counters.own_frames,
    ];
    assert_eq!(counted, [2, 1, 1, 1, 1]);
}

#[test]
fn a_frame_that_mentions_one_protocol_and_carries_another_is_read() {
    let config = Config::new(Protocol::bluezone()).also_listen(Protocol::gaen());
    let (mut rig, _) = Rig::started(config);
    let mut frame = Advertisement::new();
    frame.push_service_data16(0xFD6F, &[9; 20]).unwrap();
    frame.push_service_uuid16(0x4E56).unwrap();
    rig.engine.heard(rig.clock.now(), &frame, None);
    let counters = rig.engine.health().counters;
    assert_eq!((counters.frames, counters.malformed_frames), (1, 0));
}

#[test]
fn an_engine_hears_the_virtual_air_under_a_clock_moved_by_hand() {
    let (mut rig, actions) = Rig::started(Config::new(Protocol::gaen()));
    let air = Air::new(AirConfig::default(), Arc::new(rig.clock.clone()));
    let (here, there) = (air.place(0.0, 0.0), air.place(2.0, 0.0));
    let (sink, mut events) = RadioSink::new(air.clock(), 10_000);
    here.listen(Some((Filter::of(&[Protocol::gaen()]), sink)));
    let mut other = Rig::started(Config::new(Protocol::gaen())).1;
    other.retain(|action| matches!(action, Action::Advertise { .. }));
    // Another device: other keys.
    let mut engine = Engine::new(
        Config::new(Protocol::gaen()),
        Vec::new(),
        Box::new(SeededEntropy::new(2)),
    );
    engine.start(rig.clock.now());
    let theirs: Vec<_> = std::iter::from_fn(|| engine.next_action()).collect();
    assert_ne!(frames(&theirs), frames(&actions));
    there.send(Some(frames(&theirs)[0].0));

    rig.clock.advance(s(25));
    air.catch_up();
    while let Some(event) = events.try_next() {
        if let RadioEvent::Heard {
            at, frame, rssi, ..
        } = event
        {
            rig.engine.heard(at, &frame, rssi);
        }
    }
    assert_eq!(rig.engine.neighbour_count(), 1);
    assert!((80..100).contains(&rig.engine.health().counters.frames));
}
