//! How address and identifier change, read from what went to the controller.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, RefArg, Variant};
use dbus::blocking::Connection;
use dbus::channel::{MatchingReceiver, Sender};
use dbus::message::{MatchRule, SignalArgs};
use dbus::{Message, Path};
use dbus_crossroads::Crossroads;
use truyvet::Protocol;
use truyvet::field::capture::Capture;
use truyvet::field::linkability::{Checker, Config, Verdict};
use truyvet::time::{SimulatedClock, Timestamp};

use super::bed::{DEADLINE, Traced, on_bed, setting, until};
use super::snoop::{Broadcast, Snoop, assert_each_has_its_own};

const ROTATIONS: usize = 20;

/// A GAEN identifier lasts one to two seconds; TRUYVET_STACK_SPEED gives it more.
const SPEED: u64 = 600;

/// 2026-11-24T08:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_795_507_200);

const GAEN_SERVICE: &str = "0000fd6f-0000-1000-8000-00805f9b34fb";

/// The silences between one broadcast and the next.
fn silences(broadcasts: &[Broadcast]) -> Vec<Duration> {
    let silence = |pair: &[Broadcast]| pair[1].begun.checked_sub(pair[0].ended.unwrap());
    let silences: Option<_> = broadcasts.windows(2).map(silence).collect();
    silences.expect("a broadcast should begin after the one before it has ended")
}

/// The least, the middle one and the greatest of some durations.
fn spread(mut durations: Vec<Duration>) -> String {
    durations.sort();
    let ms = |index: usize| durations[index].as_secs_f64() * 1e3;
    let last = durations.len() - 1;
    let (least, median, most) = (ms(0), ms(last / 2), ms(last));
    format!("{least:.1} to {most:.1} ms, in the median {median:.1} ms")
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn address_and_identifier_change_together() {
    on_bed(async |_| {
        let snoop = Snoop::start().await;
        let speed = setting("TRUYVET_STACK_SPEED", SPEED) as u32;
        let clock = Arc::new(SimulatedClock::new(START, speed));
        let traced = Traced::start(0, Protocol::gaen(), clock.clone()).await;
        // Another one, who hears it, and is heard.
        let other = Traced::start(1, Protocol::gaen(), clock.clone()).await;
        // The recording is read once there is enough of it: on the bed, that takes its time. How long the slots take is known.
        let slots = Protocol::gaen().kind().slot_length() * (ROTATIONS as u32 + 1);
        tokio::time::sleep(slots / speed).await;
        let enough = async || snoop.broadcasts(0).len() > ROTATIONS;
        until("the tracer rotates", enough).await;
        for (adapter, traced) in [(0, traced), (1, other)] {
            traced.tracer.stop().await.unwrap();
            let silent = async || snoop.is_silent(adapter);
            until("the tracer is silent", silent).await;
        }
        let broadcasts = snoop.broadcasts(0);
        assert_each_has_its_own(&broadcasts);
        let silences = silences(&broadcasts);
        println!(
            "registered anew by the tracer: {} rotations, each with an address and a payload of its \
             own; silent for {}",
            silences.len(),
            spread(silences)
        );
        assert_nothing_is_linkable(&snoop);
    });
}

/// What the linkability checker makes of all that was recorded.
fn assert_nothing_is_linkable(snoop: &Snoop) {
    let mut capture = Capture::open(fs::File::open(snoop.path()).unwrap()).unwrap();
    let mut checker = Checker::new(Config::default());
    while let Some(observation) = capture.next_observation().unwrap() {
        checker.take(&observation);
    }
    let report = checker.finish();
    assert_eq!(report.verdict, Verdict::Clean, "{report:#?}");
    println!("an observer links nothing: {:?}", report.totals);
}

/// The other way that BlueZ has, and why the tracer does not take it: the kernel gives the controller
/// the new data first, so that for a moment it is on the air under the old address.
#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn data_changed_in_place() {
    on_bed(async |_| {
        let snoop = Snoop::start().await;
        let changed = tokio::task::spawn_blocking(move || {
            change_in_place(&snoop);
            snoop.broadcasts(0)
        });
        let broadcasts = changed.await.unwrap();
        let is_last = |pair: &[Broadcast]| pair[0].data != pair[1].data;
        let last_of_each = broadcasts.windows(2).filter(|pair| is_last(pair));
        let settled: Vec<Broadcast> = last_of_each.map(|pair| pair[0].clone()).collect();
        assert_each_has_its_own(&settled);

        let passing = broadcasts.windows(2).filter(|pair| !is_last(pair));
        let mixed: Vec<Duration> = passing
            .map(|pair| pair[0].ended.unwrap() - pair[0].begun)
            .collect();
        let (changes, silences) = (settled.len(), silences(&broadcasts));
        let silences = silences.into_iter().filter(|silence| !silence.is_zero());
        println!(
            "changed in place: {changes} changes, silent for {}",
            spread(silences.collect())
        );
        match mixed.is_empty() {
            true => println!("no new payload was on the air under an old address"),
            false => println!(
                "{} times the new payload was on the air under the old address, for {}",
                mixed.len(),
                spread(mixed)
            ),
        }
    });
}

type Payload = Arc<Mutex<u8>>;

fn service_data(payload: u8) -> HashMap<String, Variant<Vec<u8>>> {
    HashMap::from([(GAEN_SERVICE.to_owned(), Variant(vec![payload; 20]))])
}

fn change_in_place(snoop: &Snoop) {
    const INTERFACE: &str = "org.bluez.LEAdvertisement1";
    let bus = Connection::new_system().unwrap();
    let payload: Payload = Arc::new(Mutex::new(1));
    let mut objects = Crossroads::new();
    let interface = objects.register(INTERFACE, |interface| {
        interface.method("Release", (), (), |_, _: &mut Payload, ()| Ok(()));
        let kind = interface.property("Type");
        kind.get(|_, _| Ok("broadcast".to_owned()));
        let services = interface.property("ServiceUUIDs");
        services.get(|_, _| Ok(vec![GAEN_SERVICE.to_owned()]));
        let data = interface.property("ServiceData");
        data.get(|_, payload| Ok(service_data(*payload.lock().unwrap())));
    });
    let object = Path::from("/vn/truyvet/in_place");
    objects.insert(object.clone(), &[interface], Arc::clone(&payload));
    let calls = MatchRule::new_method_call();
    bus.start_receive(
        calls,
        Box::new(move |message, bus| {
            objects.handle_message(message, bus).unwrap();
            true
        }),
    );
    let register = Message::call_with_args(
        "org.bluez",
        "/org/bluez/hci0",
        "org.bluez.LEAdvertisingManager1",
        "RegisterAdvertisement",
        (object.clone(), PropMap::new()),
    );
    // Not waited for: BlueZ asks for the object before it answers.
    bus.send(register).unwrap();
    for round in 2..=ROTATIONS as u8 + 2 {
        let begun = Instant::now();
        let before = [round - 1; 20];
        let is_old = |broadcast: Broadcast| broadcast.data.ends_with(&before);
        while !snoop.broadcasts(0).pop().is_some_and(is_old)
            || begun.elapsed() < Duration::from_millis(300)
        {
            assert!(begun.elapsed() < DEADLINE, "change {round} is not taken");
            bus.process(Duration::from_millis(20)).unwrap();
        }
        *payload.lock().unwrap() = round;
        let data: Box<dyn RefArg> = Box::new(service_data(round));
        let changed = dbus::blocking::stdintf::org_freedesktop_dbus::PropertiesPropertiesChanged {
            interface_name: INTERFACE.to_owned(),
            changed_properties: PropMap::from([("ServiceData".to_owned(), Variant(data))]),
            invalidated_properties: Vec::new(),
        };
        bus.send(changed.to_emit_message(&object)).unwrap();
    }
}
