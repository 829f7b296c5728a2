//! A whole tracer on the small BlueZ.

use truyvet::engine::State;
use truyvet::log::MemoryKey;
use truyvet::radio::system;
use truyvet::sighting::GapCause;
use truyvet::{EncounterLog, Event, Events, Health, Secret, Tracer};

use super::stack::Stack;
use super::{on, with_bluez};

/// Waits until health is as `wanted`.
async fn health(events: &mut Events, wanted: impl Fn(&Health) -> bool) {
    loop {
        if let Event::Health(health) = events.next().await.unwrap()
            && wanted(&health)
        {
            return;
        }
    }
}

fn works(health: &Health) -> bool {
    [&health.scanning, &health.advertising]
        .iter()
        .all(|status| status.state == State::Working)
}

fn fails(health: &Health) -> bool {
    [&health.scanning, &health.advertising]
        .iter()
        .all(|status| matches!(status.state, State::Failing(_)))
}

#[test]
fn a_tracer_works_again_when_its_adapter_does() {
    with_bluez(1, async |bluez| {
        let stack = Stack::open();
        let directory = tempfile::tempdir().unwrap();
        let key = MemoryKey::new(Secret::new([3; 32]));
        let log = EncounterLog::open(directory.path(), key).unwrap();
        let radio = system(on("hci0")).await.unwrap();
        let tracer = Tracer::builder(log, radio).start().await.unwrap();
        let mut events = tracer.events();
        health(&mut events, works).await;

        stack.power("hci0", false).await;
        health(&mut events, fails).await;
        stack.power("hci0", true).await;
        health(&mut events, works).await;
        is_used(&stack).await;

        bluez.vanish().await;
        health(&mut events, fails).await;
        bluez.appear().await;
        health(&mut events, works).await;
        is_used(&stack).await;

        bluez.sleep(true).await;
        health(&mut events, fails).await;
        bluez.sleep(false).await;
        health(&mut events, works).await;
        is_used(&stack).await;

        // So fast that the tracer may see it only afterwards, and nobody is told.
        bluez.vanish().await;
        bluez.appear().await;
        is_used(&stack).await;

        let reader = tracer.log_reader().unwrap();
        tracer.stop().await.unwrap();
        // The three that lasted are marked in the log.
        let gaps = reader.gaps().unwrap();
        assert!(gaps.len() >= 3, "{gaps:?}");
        for gap in &gaps {
            assert_eq!(gap.cause, GapCause::Adapter);
        }
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
    });
}

async fn is_used(stack: &Stack) {
    while !stack.is_discovering("hci0").await {}
    while stack.active_instances("hci0").await.unwrap() != 1 {}
}
