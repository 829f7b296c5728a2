use super::*;
use crate::protocol::Protocol;
use crate::radio::RadioEvent;
use crate::time::{ManualClock, SystemClock, Timestamp};

fn frame() -> Advertisement {
    let mut frame = Advertisement::new();
    frame.push_manufacturer_data(0x22B5, &[1; 12]).unwrap();
    frame
}

/// What a listener `distance_m` away hears in `seconds`: times and strengths.
fn hear(config: AirConfig, distance_m: f64, seconds: u64) -> Vec<(Duration, i8)> {
    let clock = ManualClock::new(Timestamp::from_unix_seconds(1_596_844_800));
    let air = Air::new(config, Arc::new(clock.clone()));
    let (sender, listener) = (air.place(0.0, 0.0), air.place(distance_m, 0.0));
    let (sink, mut events) = RadioSink::new(air.clock(), 100_000);
    listener.listen(Some((Filter::of(&[Protocol::bluezone()]), sink)));
    sender.send(Some(frame()));
    clock.advance(Duration::from_secs(seconds));
    air.catch_up();
    std::iter::from_fn(|| events.try_next())
        .map(|event| match event {
            RadioEvent::Heard { at, rssi, .. } => (at.monotonic, rssi.unwrap().dbm()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn quiet() -> AirConfig {
    AirConfig {
        noise_db: 0.0,
        loss: 0.0,
        ..AirConfig::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_air() {
    let first = hear(AirConfig::default(), 3.0, 100);
    assert_eq!(first, hear(AirConfig::default(), 3.0, 100));
    let other = AirConfig {
        seed: 1,
        ..AirConfig::default()
    };
    assert_ne!(first, hear(other, 3.0, 100));
}

#[test]
fn strength_falls_by_six_db_when_distance_doubles() {
    let at = |distance_m| hear(quiet(), distance_m, 1)[0].1;
    assert_eq!([at(1.0), at(2.0), at(4.0)], [-59, -65, -71]);
}

#[test]
fn a_frame_every_interval() {
    let heard = hear(quiet(), 1.0, 100);
    assert!((385..=401).contains(&heard.len()), "{}", heard.len());
    assert!(heard.is_sorted());
}

#[test]
fn a_tenth_is_lost() {
    let lossy = AirConfig {
        loss: 0.1,
        ..quiet()
    };
    let share = hear(lossy, 1.0, 1_000).len() as f64 / hear(quiet(), 1.0, 1_000).len() as f64;
    assert!((0.88..0.92).contains(&share), "{share}");
}

#[test]
fn an_identifier_is_not_sent_beyond_its_end() {
    let clock = ManualClock::new(Timestamp::from_unix_seconds(1_596_844_800));
    let air = Air::new(quiet(), Arc::new(clock.clone()));
    let (sender, listener) = (air.place(0.0, 0.0), air.place(1.0, 0.0));
    let (sink, mut events) = RadioSink::new(air.clock(), 1_000);
    listener.listen(Some((Filter::of(&[Protocol::bluezone()]), sink)));
    let mut advertiser = AirAdvertiser(sender);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let lifetime = Duration::from_secs(10);
    runtime
        .block_on(advertiser.advertise(&frame(), lifetime))
        .unwrap();
    clock.advance(Duration::from_secs(100));
    air.catch_up();
    let last = std::iter::from_fn(|| events.try_next()).last().unwrap();
    let RadioEvent::Heard { at, .. } = last else {
        panic!("{last:?}")
    };
    assert!((9..10).contains(&at.monotonic.as_secs()), "{at:?}");
}

#[test]
fn air_outlives_a_runtime() {
    let air = Air::new(quiet(), Arc::new(SystemClock::default()));
    let (sender, listener) = (air.place(0.0, 0.0), air.place(1.0, 0.0));
    sender.send(Some(frame()));
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (sink, mut events) = RadioSink::new(air.clock(), 1_000);
        let mut scanner = AirScanner(listener.clone());
        runtime.block_on(async {
            let filter = Filter::of(&[Protocol::bluezone()]);
            scanner.start(filter, sink).await.unwrap();
            let heard = tokio::time::timeout(Duration::from_secs(10), events.next());
            assert!(matches!(heard.await, Ok(Some(RadioEvent::Heard { .. }))));
        });
    }
}

#[test]
fn out_of_range_is_silence() {
    assert_eq!(hear(quiet(), 200.0, 10), []);
}
