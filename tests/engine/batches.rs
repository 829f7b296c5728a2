//! When what was heard is handed over to be stored.

use truyvet::engine::Batch;

use super::*;

/// When sightings are handed over, and how many, while `neighbours` are near for `duration`.
fn batches(config: Config, neighbours: u8, duration: Duration) -> Vec<(Duration, usize)> {
    let (mut rig, _) = Rig::started(config);
    let mut found = Vec::new();
    let begin = rig.clock.now().monotonic;
    while rig.clock.now().monotonic - begin < duration {
        for neighbour in 0..neighbours {
            let frame = bluezone_frame(neighbour + 1);
            rig.engine.heard(rig.clock.now(), &frame, None);
        }
        for action in rig.pass(s(1)) {
            if let Action::Store(sightings) = action {
                found.push((rig.clock.now().monotonic - begin, sightings.len()));
            }
        }
    }
    found
}

fn config(batch: Batch) -> Config {
    Config::new(Protocol::bluezone()).batch(batch)
}

#[test]
fn a_minute_of_a_few_and_sixty_four_of_many() {
    let default = Config::new(Protocol::bluezone());
    // A sighting of each is complete every half minute.
    let few = batches(default.clone(), 3, s(200));
    assert!(few.len() >= 2, "{few:?}");
    assert!(few.iter().all(|(_, many)| *many <= 9), "{few:?}");
    let gap = few[1].0 - few[0].0;
    assert!((s(60)..=s(95)).contains(&gap), "{gap:?}");
    let many = batches(default, 100, s(40));
    assert!(many.iter().any(|(_, many)| *many >= 64), "{many:?}");
}

#[test]
fn each_at_once() {
    for batch in [
        Batch::new(1, s(60)).unwrap(),
        Batch::new(64, Duration::ZERO).unwrap(),
    ] {
        let found = batches(config(batch), 1, s(100));
        assert!(found.len() >= 3, "{found:?}");
        assert!(found.iter().all(|(_, many)| *many == 1), "{found:?}");
    }
}

#[test]
fn rarely() {
    let batch = Batch::new(Batch::SIGHTINGS_MAX, Batch::AGE_MAX).unwrap();
    let found = batches(config(batch), 4, s(940));
    let [(at, many)] = found[..] else {
        panic!("{found:?}")
    };
    assert!(at >= s(900) && many >= 4 * 29, "{at:?} {many}");
}

#[test]
fn what_is_held_is_handed_over_at_the_end() {
    let batch = Batch::new(Batch::SIGHTINGS_MAX, Batch::AGE_MAX).unwrap();
    let (mut rig, _) = Rig::started(config(batch));
    rig.engine.heard(rig.clock.now(), &bluezone_frame(1), None);
    rig.engine.stop(rig.clock.now());
    let stored =
        |action: &Action| matches!(action, Action::Store(sightings) if sightings.len() == 1);
    assert!(rig.actions().iter().any(stored));
}
