//! Memory over a long time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use truyvet::Protocol;
use truyvet::time::{Clock, SimulatedClock, Timestamp};

use super::bed::{Traced, bluetoothd, on_bed, own_kib, resident_kib, setting};

/// An identifier of Bluezone lasts ten seconds, unless the environment says otherwise.
const SPEED: u64 = 90;

/// 2026-11-24T08:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_795_507_200);

const SAMPLES: u32 = 20;

/// How much more memory there may be at the end than after the first tenth, in percent.
const GROWTH_MAX_PERCENT: u64 = 5;

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn soak() {
    on_bed(async |_| {
        let speed = setting("TRUYVET_BED_SOAK_SPEED", SPEED) as u32;
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(START, speed));
        let mut tracers = Vec::new();
        for adapter in 0..2 {
            tracers.push(Traced::start(adapter, Protocol::bluezone(), Arc::clone(&clock)).await);
        }
        let minutes = setting("TRUYVET_BED_SOAK_MINUTES", 2);
        let begun = Instant::now();
        let mut samples = Vec::new();
        for sample in 1..=SAMPLES {
            let until = Duration::from_secs(60 * minutes) * sample / SAMPLES;
            tokio::time::sleep(until.saturating_sub(begun.elapsed())).await;
            let (own, daemon) = (std::process::id(), bluetoothd().unwrap());
            let frames: Vec<_> = tracers.iter().map(Traced::frames).collect();
            samples.push(resident_kib(own));
            println!(
                "after {:6.1} s: {} KiB, of which {} its own, bluetoothd {} KiB, frames heard {frames:?}",
                begun.elapsed().as_secs_f64(),
                resident_kib(own),
                own_kib(own),
                resident_kib(daemon),
            );
        }
        let (early, late) = (
            samples[SAMPLES as usize / 10 - 1],
            samples[SAMPLES as usize - 1],
        );
        println!("{early} KiB after the first tenth, {late} KiB at the end");
        assert!(late * 100 <= early * (100 + GROWTH_MAX_PERCENT));
        for traced in tracers {
            assert!(traced.works(), "{}", traced.tracer.health());
            traced.tracer.stop().await.unwrap();
        }
    });
}
