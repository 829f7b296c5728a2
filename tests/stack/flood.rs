//! Advertisements by somebody who means harm, or knows no better.

use std::sync::Arc;
use std::time::{Duration, Instant};

use truyvet::time::SystemClock;
use truyvet::{Advertisement, Protocol};

use super::bed::{
    Bed, DEADLINE, Traced, bluetoothd, gaen_frame, hex, on_bed, own_kib, resident_kib, setting,
    until,
};

/// As many bytes as a legacy advertisement has.
const LEN_MAX: usize = 31;

const SERVICE_DATA_16: u8 = 0x16;

/// Between two malformed advertisements: `bluetoothd` keeps up with this on an emulated machine.
const PACE: Duration = Duration::from_millis(5);

async fn listener() -> Traced {
    let clock = Arc::new(SystemClock::default());
    Traced::start(1, Protocol::gaen(), clock).await
}

/// Asserts that a neighbour that is none of the flood is heard, behind all that waits before it.
async fn still_hears(bed: &Bed, traced: &mut Traced) {
    let heard = bed.until_appeared(traced, 99).await;
    println!("a true neighbour is heard after {heard:.1?}");
    assert!(traced.works(), "{}", traced.tracer.health());
}

/// Every length with every type that a protocol uses, and every type at three lengths: each once whole,
/// and once claiming more bytes than there are.
fn malformed() -> Vec<Vec<u8>> {
    let used = [0x01, 0x02, 0x03, 0x06, 0x07, SERVICE_DATA_16, 0xff];
    let every_len = used
        .iter()
        .flat_map(|kind| (0..=LEN_MAX).map(|len| (*kind, len)));
    let every_type = (0..=u8::MAX).flat_map(|kind| [2, 15, LEN_MAX].map(|len| (kind, len)));
    let mut adverts = Vec::new();
    for (kind, len) in every_len.chain(every_type) {
        let claims = len.saturating_sub(1) as u8;
        // 6F FD: what follows the type may be GAEN's service.
        let mut bytes = [&[claims, kind, 0x6f, 0xfd][..], &[0x55; LEN_MAX]].concat();
        bytes.truncate(len);
        adverts.push(bytes.clone());
        if let Some(claims) = bytes.first_mut() {
            *claims = claims.saturating_add(9);
            adverts.push(bytes);
        }
    }
    adverts
}

/// Whether `bytes` hold service data of GAEN that is none of its frames.
fn is_broken_gaen(bytes: &[u8]) -> bool {
    let frame = Advertisement::parse(bytes);
    let frame = frame.as_ref().ok();
    let data = frame.and_then(|frame| frame.service_data16(0xfd6f));
    data.is_some_and(|data| data.len() != 20)
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn malformed_adverts() {
    on_bed(async |bed| {
        let mut traced = listener().await;
        let reports = async || bed.count(1, "delivered");
        let malformed_frames = |traced: &Traced| traced.tracer.health().counters.malformed_frames;
        let (broken, others): (Vec<_>, Vec<_>) = malformed()
            .into_iter()
            .partition(|bytes| is_broken_gaen(bytes));
        let before = reports().await;
        for bytes in &broken {
            bed.air(&format!("send 0 {} 100", hex(bytes)));
        }
        let all = async || malformed_frames(&traced) >= broken.len() as u64;
        let told = until("the broken frames are counted", all).await;
        bed.air("silence 0");
        println!(
            "{} frames of GAEN that are broken: counted after {told:.1?}",
            broken.len()
        );

        let mut pace = tokio::time::interval(PACE);
        for bytes in &others {
            pace.tick().await;
            let payload = if bytes.is_empty() {
                "-".to_owned()
            } else {
                hex(bytes)
            };
            // For longer than a scan that is begun anew is deaf.
            bed.air(&format!("send 0 {payload} 100 8"));
        }
        still_hears(bed, &mut traced).await;
        let delivered = reports().await - before;
        let counters = traced.tracer.stop().await.unwrap().counters;
        println!(
            "{} others: {delivered} reports of all to hci1, of which reached the tracer {} malformed, \
             {} foreign, {} dropped; the rest ended in BlueZ or in the filter",
            others.len(),
            counters.malformed_frames,
            counters.foreign_frames,
            counters.dropped_frames,
        );
        let told = counters.malformed_frames + counters.foreign_frames + counters.dropped_frames;
        assert!(told <= delivered);
        // A scan that begins anew is deaf for a moment, not for half of the time.
        assert!(2 * delivered > (broken.len() + others.len()) as u64);
    });
}

/// Advertisements in the storm, half of them GAEN's, unless the environment says otherwise.
const STORM: u64 = 2_000;

/// How fast they come. Chosen: an emulated machine bears this; at four times the rate `bluetoothd`
/// answers more slowly than btleplug asks, which holds what waits in a queue without bound.
const STORM_PER_SECOND: u64 = 50;

/// How much more memory may be in use during the storm than after its first fifth, in KiB. Chosen: the
/// tracer holds 4,096 neighbours, and as many frames, of some hundred bytes each.
const GROWTH_MAX_KIB: u64 = 4_096;

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn address_storm() {
    on_bed(async |bed| {
        let mut traced = listener().await;
        let count = setting("TRUYVET_BED_STORM", STORM) / 2;
        let rate = setting("TRUYVET_BED_STORM_PER_SECOND", STORM_PER_SECOND) / 2;
        let own = std::process::id();
        println!("before the storm: {} KiB", resident_kib(own));
        // The counter stands in the last four bytes: here in GAEN's metadata, which makes it another
        // neighbour as well as another identifier would, and there in some company's data.
        let gaen = gaen_frame(5);
        let mut foreign = Advertisement::new();
        foreign.push_manufacturer_data(0x0059, &[1; 20]).unwrap();
        for frame in [gaen, foreign] {
            let payload = hex(frame.as_bytes());
            bed.air(&format!("storm 0 {count} {rate} {payload}"));
        }
        let begun = Instant::now();
        let mut samples = Vec::new();
        while bed.count(0, "storm_left") > 0 {
            assert!(begun.elapsed() < 20 * DEADLINE);
            tokio::time::sleep(Duration::from_secs(2)).await;
            samples.push(resident_kib(own));
            let counters = traced.tracer.health().counters;
            println!(
                "after {:5.1} s, {} left: {} KiB, of which {} its own, bluetoothd {} KiB; {} frames, \
                 {} dropped, {} evicted",
                begun.elapsed().as_secs_f64(),
                bed.count(0, "storm_left"),
                resident_kib(own),
                own_kib(own),
                resident_kib(bluetoothd().unwrap()),
                counters.frames,
                counters.dropped_frames,
                counters.evicted_neighbours,
            );
        }
        still_hears(bed, &mut traced).await;
        let early = samples[samples.len() / 5];
        let most = *samples[samples.len() / 5..].iter().max().unwrap();
        let counters = traced.tracer.stop().await.unwrap().counters;
        println!(
            "{} of {count} identifiers heard; {early} KiB after the first fifth, {most} KiB at most; \
             {counters:?}",
            counters.frames - 1
        );
        assert!(most <= early + GROWTH_MAX_KIB);
        assert!(counters.frames > 1);
    });
}
