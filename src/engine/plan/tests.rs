use proptest::prelude::*;

use super::*;
use crate::engine::RadioUse;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn periodic(on_ms: u64, off_ms: u64) -> DutyCycle {
    DutyCycle::periodic(ms(on_ms), ms(off_ms)).unwrap()
}

fn between(preset: Preset) -> Plan {
    Plan::between(&preset.schedule(), preset.frames())
}

#[test]
fn bluezone_in_the_background_notices_within_five_minutes() {
    let both = between(Preset::BluezoneBackground);
    // Out of the scan's last 15 s, in which the neighbour is silent, to the next scan; and two frames' time.
    assert_eq!(both.worst_case(), Some(s(285) + 2 * ms(110)));
    assert!(both.noticed_within(s(300)) > 0.999);
    let advertising = Plan::new(both.scan, DutyCycle::CONTINUOUS, both.frames);
    assert_eq!(advertising.worst_case(), Some(s(260) + 2 * ms(110)));
}

#[test]
fn gaen_notices_within_five_minutes() {
    for (preset, pause) in [
        (Preset::GaenGoogle, 296),
        (Preset::GaenApple, 146),
        (Preset::GaenAppleAsleep, 296),
    ] {
        let worst = between(preset).worst_case();
        assert_eq!(worst, Some(s(pause) + 2 * ms(280)), "{preset}");
    }
}

#[test]
fn two_who_are_always_on_miss_nothing_but_lost_frames() {
    let plan = between(Preset::Continuous);
    assert_eq!(plan.worst_case(), Some(ms(280)));
    // A frame each 275 ms, half of them lost: 0.5 of one, and 0.25 of two.
    assert!((plan.noticed_within(ms(275)) - 0.5).abs() < 1e-9);
    assert!((plan.noticed_within(ms(550)) - 0.75).abs() < 1e-9);
    assert!((plan.sightings_per_minute() - 30.0 / 0.275).abs() < 1e-9);
    assert_eq!(plan.noticed_within(Duration::ZERO), 0.0);
}

#[test]
fn cycles_in_step_can_miss_each_other_for_ever() {
    let half = periodic(15_000, 15_000);
    let plan = Plan::new(half, half, Frames::default());
    assert_eq!(plan.worst_case(), None);
    // Only those do whose times on begin within a frame or two of the other's end.
    let noticed = plan.noticed_within(s(600));
    assert!((0.98..0.999).contains(&noticed), "{noticed}");
    // Half of the frame's time more, and no phase is left in which they do.
    let longer = DutyCycle::periodic(s(15) + ms(560), s(15) - ms(560)).unwrap();
    let worst = Plan::new(longer, half, Frames::default()).worst_case();
    assert!(worst.is_some_and(|worst| worst < s(60)), "{worst:?}");
}

#[test]
fn a_time_on_that_is_shorter_than_a_frames_interval_may_never_hear_one() {
    let frames = Frames::new(ms(990), 0.0).unwrap();
    let worst = |on_ms| {
        let scan = periodic(on_ms, 1_000);
        Plan::new(scan, DutyCycle::CONTINUOUS, frames).worst_case()
    };
    assert_eq!(worst(999), None);
    assert_eq!(worst(1_000), Some(ms(3_000)));
}

#[test]
fn another_period_ends_what_would_go_on_for_ever() {
    // The scan shifts by 10 s each time, and leaves a silence of 20 s after two.
    let (scan, advertise) = (periodic(15_000, 15_000), periodic(20_000, 20_000));
    let plan = Plan::new(scan, advertise, Frames::default());
    assert!(plan.worst_case().is_some_and(|worst| worst < s(90)));
    // One that shifts by a millisecond takes hours for it, and one by less than that more than a day.
    let scan = |off_ms| periodic(10_000, off_ms);
    let plan = |off_ms| Plan::new(scan(off_ms), periodic(20_000, 20_000), Frames::default());
    assert_eq!(plan(30_000).worst_case(), None);
    assert_eq!(plan(30_001).worst_case(), None);
    let worst = plan(30_100).worst_case();
    assert!(
        worst.is_some_and(|it| it > s(3_600) && it < s(4_800)),
        "{worst:?}"
    );
}

#[test]
fn frames_that_nobody_sends_or_hears() {
    assert!(Frames::new(ms(19), 0.0).is_err());
    assert!(Frames::new(ms(10_241), 0.0).is_err());
    for loss in [-0.01, 0.991, f64::NAN, f64::INFINITY] {
        assert!(Frames::new(ms(100), loss).is_err(), "{loss}");
    }
    let refused = Frames::new(ms(100), 1.0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "expected a loss of 0 to 0.99 of the frames, got 1"
    );
    assert!(Frames::new(ms(20), 0.0).is_ok() && Frames::new(ms(10_240), 0.99).is_ok());
}

#[test]
fn a_continuity_is_that_of_half_a_minute() {
    // Half a minute touches the scan of 4 s in 150 if it begins in one of 34 s, and hears a frame of nearly each touch.
    let noticed = between(Preset::GaenApple).noticed_within(s(30));
    assert!((noticed - 34.0 / 150.0).abs() < 0.01, "{noticed}");
}

/// Every moment of a listener's cycle, finely, in place of a lattice's.
fn one_that_is_always_on(cycle: DutyCycle, plan: &Plan, t: f64) -> f64 {
    const PARTS: u32 = 100_000;
    let (on, off) = (cycle.on().as_secs_f64(), cycle.off().as_secs_f64());
    let missed_in = |seconds: f64| {
        let frames = seconds / (plan.frames.interval().as_secs_f64() + 0.005);
        let lost = plan.frames.loss();
        lost.powf(frames.floor()) * (1.0 - frames.fract() * (1.0 - lost))
    };
    let mut sum = 0.0;
    for part in 0..PARTS {
        let at = (f64::from(part) + 0.5) / f64::from(PARTS) * (on + off);
        let mut missed = 1.0;
        let mut begins = -at;
        while begins < t {
            let heard = (begins + on).min(t) - begins.max(0.0);
            missed *= missed_in(heard.max(0.0));
            begins += on + off;
        }
        sum += missed;
    }
    1.0 - sum / f64::from(PARTS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn beside_one_that_is_always_on_the_error_is_below_a_thousandth(
        on in 500_u64..60_000, off in 500_u64..300_000, t in 1_u64..400, interval in 20_u64..2_000,
    ) {
        let cycle = periodic(on, off);
        let frames = Frames::new(ms(interval), 0.5).unwrap();
        for plan in [
            Plan::new(cycle, DutyCycle::CONTINUOUS, frames),
            Plan::new(DutyCycle::CONTINUOUS, cycle, frames),
        ] {
            let (told, true_one) = (plan.noticed_within(s(t)), one_that_is_always_on(cycle, &plan, t as f64));
            prop_assert!((told - true_one).abs() < 0.001, "{told} {true_one}");
        }
    }

    #[test]
    fn probabilities_are_those_of_devices_that_meet_at_random(
        scan in a_cycle(), advertise in a_cycle(), interval in 50_u64..1_300, loss in 0.0..0.9, t in 1_u64..120,
        seed: u64,
    ) {
        let frames = Frames::new(ms(interval), loss).unwrap();
        let plan = Plan::new(scan, advertise, frames);
        let noticed = Meetings { plan, random: Random(seed) }.noticed(t as f64);
        let told = plan.noticed_within(s(t));
        // Five standard deviations of the simulation, and the error that is promised.
        prop_assert!((told - noticed).abs() < 5.0 * 0.5 / f64::from(TRIALS).sqrt() + 0.01, "{told} {noticed}");
    }

    #[test]
    fn the_worst_case_is_the_worst_of_all_moments(
        a in (2_u64..16, 2_u64..16), b in (2_u64..16, 2_u64..16),
    ) {
        // All in quarters of a second; the margin is two.
        let frames = Frames::new(ms(490), 0.0).unwrap();
        let plan = Plan::new(periodic(250 * a.0, 250 * a.1), periodic(250 * b.0, 250 * b.1), frames);
        let told = plan.worst_case();
        match (worst_of_all(a, b), told) {
            (None, None) => {}
            (Some(worst), Some(told)) => {
                let worst = ms(125) * worst;
                prop_assert!(worst <= told && told <= worst + ms(250), "{worst:?} {told:?}");
            }
            (worst, told) => prop_assert!(false, "{worst:?} {told:?}"),
        }
    }

    #[test]
    fn a_jittered_worst_case_is_a_bound(scan in a_cycle(), advertise in a_cycle(), seed: u64) {
        let frames = Frames::new(ms(200), 0.0).unwrap();
        let plan = Plan::new(scan, advertise, frames);
        if let Some(worst) = plan.worst_case() {
            let noticed = Meetings { plan, random: Random(seed) }.noticed(worst.as_secs_f64());
            prop_assert_eq!(noticed, 1.0);
        }
    }
}

/// Always on, or some seconds on and off, with jitter or without.
fn a_cycle() -> impl Strategy<Value = DutyCycle> {
    let paused = (
        1_000_u64..30_000,
        500_u64..40_000,
        prop_oneof![Just(0), 1_u64..20_000],
    );
    prop_oneof![
        1 => Just(DutyCycle::CONTINUOUS),
        3 => paused.prop_map(|(on, off, jitter)| periodic(on, off).jittered(ms(jitter)).unwrap()),
    ]
}

/// How many eighths of a second the longest wait takes, over all phases of both; `None` if some never meet.
fn worst_of_all(a: (u64, u64), b: (u64, u64)) -> Option<u32> {
    const MARGIN: u32 = 4;
    let (period_a, period_b) = (2 * (a.0 + a.1), 2 * (b.0 + b.1));
    let together = 2 * period_a * period_b;
    let mut worst = 0;
    for ahead in 0..period_b {
        let both = |at: u64| at % period_a < 2 * a.0 && (at + ahead) % period_b < 2 * b.0;
        // Backwards, so that each moment knows the next one that is certain.
        let (mut run, mut certain_in) = (0_u32, None);
        for at in (0..together).rev() {
            run = if both(at) { run + 1 } else { 0 };
            certain_in = match run >= MARGIN {
                true => Some(MARGIN),
                false => certain_in.map(|it| it + 1),
            };
            if at < period_a * period_b {
                worst = worst.max(certain_in?);
            }
        }
    }
    Some(worst)
}

const TRIALS: u32 = 2_000;

/// Devices that meet at random, frame by frame.
struct Meetings {
    plan: Plan,
    random: Random,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Meetings {
    /// The share of those noticed within `t` seconds.
    fn noticed(&mut self, t: f64) -> f64 {
        let noticed = (0..TRIALS).filter(|_| self.one(t)).count();
        noticed as f64 / f64::from(TRIALS)
    }

    fn one(&mut self, t: f64) -> bool {
        let scans = self.times_on(self.plan.scan, t);
        for (begins, ends) in self.times_on(self.plan.advertise, t) {
            let interval = self.plan.frames.interval().as_secs_f64();
            let mut frame = begins + self.random.next() * interval;
            while frame < ends.min(t) {
                let heard = scans.iter().any(|(from, to)| (*from..*to).contains(&frame));
                if frame >= 0.0 && heard && self.random.next() >= self.plan.frames.loss() {
                    return true;
                }
                frame += interval + self.random.next() * 0.010;
            }
        }
        false
    }

    /// Those of a device that has run for long, from a moment drawn evenly of some time, which is 0.
    fn times_on(&mut self, cycle: DutyCycle, t: f64) -> Vec<(f64, f64)> {
        if cycle.is_continuous() {
            return vec![(-1.0, f64::INFINITY)];
        }
        let (on, off) = (cycle.on().as_secs_f64(), cycle.off().as_secs_f64());
        // Long beside a cycle, so that it matters little that it began with a time on.
        let came = 2_000.0 * self.random.next() + 500.0;
        let (mut found, mut begins) = (Vec::new(), 0.0);
        while begins < came + t {
            if begins + on > came {
                found.push((begins - came, begins + on - came));
            }
            begins += on + off + self.random.next() * cycle.jitter().as_secs_f64();
        }
        found
    }
}

#[test]
fn the_cheapest_schedule_meets_its_target() {
    for text in ["99%/60s", "50%/5min", "0.9/10s", "99.9%/1h", "1%/1s"] {
        let target: Target = text.parse().unwrap();
        let schedule = target.cheapest(Frames::default()).unwrap();
        let noticed = Plan::between(&schedule, Frames::default()).noticed_within(target.within());
        assert!(noticed >= target.probability(), "{text}: {noticed}");
    }
    let minute: Target = "99%/60s".parse().unwrap();
    let scan = minute.cheapest(Frames::default()).unwrap().scan;
    assert!(scan.share_on() < 0.1, "{scan:?}");
}

#[test]
fn what_no_radio_can_do() {
    let target: Target = "99%/1s".parse().unwrap();
    let refused = target.cheapest(Frames::default()).unwrap_err();
    let best = between(Preset::Continuous).noticed_within(s(1));
    assert_eq!(refused, Unattainable { target, best });
    assert_eq!(
        refused.to_string(),
        "to notice 99 % within 1 s cannot be done: a radio that is always on does it with 91.4 %"
    );
}

#[test]
fn targets_in_text() {
    let target = |text: &str| text.parse::<Target>();
    for text in [
        "99%/60s",
        "0.99/60s",
        " 99 % / 1 min",
        "99%/0.0166666666666666666h",
    ] {
        let read = target(text).unwrap();
        assert!((read.within().as_secs_f64() - 60.0).abs() < 1e-6, "{text}");
        assert_eq!(
            read.to_string().split(" within").next(),
            Some("99 %"),
            "{text}"
        );
    }
    for text in [
        "",
        "99%",
        "99%/60",
        "99%/s",
        "x/60s",
        "99%/-1s",
        "99%/1e300h",
        "/",
    ] {
        assert_eq!(target(text), Err(InvalidTarget::Text), "{text}");
    }
    for text in [
        "0/60s",
        "100%/60s",
        "99.91%/60s",
        "NaN/60s",
        "99/60s",
        "inf/1s",
    ] {
        let refused = target(text);
        assert!(
            matches!(refused, Err(InvalidTarget::Probability { .. })),
            "{text}"
        );
    }
    for text in ["99%/0.9s", "99%/3601s", "99%/2h"] {
        assert!(
            matches!(target(text), Err(InvalidTarget::Within { .. })),
            "{text}"
        );
    }
}

fn row(name: &str, plan: &Plan) -> String {
    let by = |probability| plan.time_to_notice(probability, s(3_600));
    let seconds = |time: Option<Duration>| match time {
        Some(time) => format!("{:.1} s", time.as_secs_f64()),
        None => "never surely".to_owned(),
    };
    format!(
        "| {name} | {:.1} % | {} | {} | {} | {:.1} |",
        100.0 * plan.noticed_within(s(30)),
        seconds(by(0.5)),
        seconds(by(0.99)),
        seconds(plan.worst_case()),
        plan.sightings_per_minute()
    )
}

#[test]
fn the_table_in_the_docs_is_what_is_computed() {
    let mut rows: Vec<_> = Preset::ALL
        .into_iter()
        .map(|preset| row(preset.name(), &between(preset)))
        .collect();
    for text in ["99%/60s", "99%/5min"] {
        let target: Target = text.parse().unwrap();
        let schedule = target.cheapest(Frames::default()).unwrap();
        let (on, off) = (
            schedule.scan.on().as_secs_f64(),
            schedule.scan.off().as_secs_f64(),
        );
        let used = schedule.radio_use(31, Frames::default().interval());
        let mah = used.mah_per_day(RadioUse::RECEIVE_MA, RadioUse::SEND_MA);
        let name = format!("`{text}`: {on} s on, {off} s off; {mah:.1} mAh a day");
        rows.push(row(&name, &Plan::between(&schedule, Frames::default())));
    }
    let page = include_str!("../../../docs/power.md");
    rows.retain(|row| !page.contains(row));
    assert!(
        rows.is_empty(),
        "docs/power.md should have the rows\n{}",
        rows.join("\n")
    );
}

#[test]
fn presets_by_name() {
    for preset in Preset::ALL {
        assert_eq!(preset.name().parse(), Ok(preset));
    }
    let refused = "gaen".parse::<Preset>().unwrap_err();
    assert!(refused.to_string().contains("gaen-google"), "{refused}");
}
