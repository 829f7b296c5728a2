//! Schedules chosen by what they do.

use truyvet::engine::{Target, Unattainable};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_target_is_met_with_pauses() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(9_000.0, 0.0)];
    let log = EncounterLog::open(dirs[0].path(), key()).unwrap();
    let target: Target = "99%/60s".parse().unwrap();
    let tracer = Tracer::builder(log, devices[0].radio())
        .advertise(Protocol::gaen())
        .notice(target)
        .unwrap()
        .clock(air.clock())
        .start()
        .await
        .unwrap();
    let mut events = tracer.events();
    let other = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    // Within a pause: the schedule scans for a second, and rests for 29.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let came = tokio::time::Instant::now();
    devices[1].move_to(1.0, 0.0);
    let appeared = |event: &Event| matches!(event, Event::NeighbourAppeared { .. });
    wait_for(&mut events, appeared).await;
    let waited = came.elapsed().as_secs_f64();
    assert!((20.0..60.0).contains(&waited), "{waited} s");
    tracer.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_target_that_no_radio_meets_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let target: Target = "99%/1s".parse().unwrap();
    let refused = Tracer::builder(log, radio::quiet()).notice(target);
    let best = match refused {
        Err(Unattainable { best, .. }) => best,
        Ok(_) => panic!("it cannot be done"),
    };
    assert!((0.9..0.99).contains(&best), "{best}");
}
