//! An adapter that is not there when a tracer starts, or not where it was.

use tempfile::TempDir;
use truyvet::engine::State;
use truyvet::log::MemoryKey;
use truyvet::radio::{RadioError, SystemOptions, system};
use truyvet::{EncounterLog, Health, Secret, Tracer};

use super::private_bus::without_bus;
use super::stack::Stack;
use super::{on, with_bluez};

/// Whatever adapter there will be.
fn patient() -> SystemOptions {
    let mut options = SystemOptions::default();
    options.wait = true;
    options
}

/// A tracer on an adapter for which it may have to wait.
async fn start(options: SystemOptions) -> (Tracer, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let key = MemoryKey::new(Secret::new([3; 32]));
    let log = EncounterLog::open(directory.path(), key).unwrap();
    let radio = system(options).await.unwrap();
    let tracer = Tracer::builder(log, radio).start().await.unwrap();
    (tracer, directory)
}

async fn until(tracer: &Tracer, is: impl Fn(&Health) -> bool) {
    while !is(&tracer.health()) {
        tokio::task::yield_now().await;
    }
}

/// Waits until health tells `why` neither half of the radio works.
async fn until_failing(tracer: &Tracer, why: &str) {
    until(tracer, |health| {
        let states = [&health.scanning.state, &health.advertising.state];
        let fails = |state: &&State| matches!(state, State::Failing(told) if told.contains(why));
        states.iter().all(fails)
    })
    .await;
}

/// Waits until the tracer uses `adapter`, and says so; then ends it.
async fn works_on(tracer: Tracer, adapter: &str) {
    let stack = Stack::open();
    until(&tracer, |health| {
        let states = [&health.scanning.state, &health.advertising.state];
        states.iter().all(|state| **state == State::Working)
    })
    .await;
    assert!(stack.is_discovering(adapter).await);
    assert_eq!(stack.active_instances(adapter).await.unwrap(), 1);
    tracer.stop().await.unwrap();
    assert!(!stack.is_discovering(adapter).await);
    assert_eq!(stack.active_instances(adapter).await.unwrap(), 0);
}

#[test]
fn an_adapter_that_is_off_is_waited_for() {
    with_bluez(1, async |_| {
        let stack = Stack::open();
        stack.power("hci0", false).await;
        let (tracer, _directory) = start(patient()).await;
        until_failing(&tracer, "is off").await;
        assert!(!stack.is_powered("hci0").await);
        stack.power("hci0", true).await;
        works_on(tracer, "hci0").await;
    });
}

#[test]
fn an_adapter_that_is_not_plugged_in_is_waited_for() {
    with_bluez(2, async |bluez| {
        bluez.unplug(0);
        let mut options = on("hci0");
        options.wait = true;
        let (tracer, _directory) = start(options).await;
        until_failing(&tracer, "no Bluetooth adapter named hci0").await;
        bluez.unplug(1);
        bluez.plug(0);
        works_on(tracer, "hci0").await;
    });
}

#[test]
fn a_bluetoothd_that_does_not_run_is_waited_for() {
    with_bluez(1, async |bluez| {
        bluez.vanish().await;
        let (tracer, _directory) = start(patient()).await;
        until_failing(&tracer, "does not answer").await;
        bluez.appear().await;
        works_on(tracer, "hci0").await;
    });
}

#[test]
fn a_bus_is_not_waited_for() {
    without_bus("waiting::a_bus_is_not_waited_for", |_| async {
        let opened = system(patient()).await;
        assert!(
            matches!(opened, Err(RadioError::NoService(_))),
            "{opened:?}"
        );
    });
}

#[test]
fn an_adapter_chosen_by_address_is_followed_to_another_name() {
    with_bluez(2, async |bluez| {
        bluez.unplug(1);
        let (tracer, _directory) = start(on("00:00:5e:00:53:00")).await;
        until(&tracer, |health| health.scanning.state == State::Working).await;
        bluez.unplug(0);
        until_failing(&tracer, "has gone").await;
        bluez.plug_as(1, 0);
        works_on(tracer, "hci1").await;
    });
}
