//! What a test says: who heard whom, in how many windows, with what pauses, and whether it lasted.
//!
//! # How it is counted
//!
//! The **contact event** is from when the last device came in to when the first went out. It is cut into **windows** of
//! 30 seconds, `floor((t − start) / 30 s)`; there are `ceil(event / 30 s)` of them, and the last may be shorter. A reading at
//! the very start counts, one at the very end does not.
//!
//! A window of an **ordered pair** (who hears, who is heard) is *hit* if it holds a reading: a frame that was heard
//! (Herald's code 3) or an identity that was written (code 4).
//!
//! - **Detection**: of the n (n − 1) ordered pairs, those with a reading in the event.
//! - **Continuity**: of all windows of all ordered pairs, those hit.
//! - **Longevity**: 100 less what the shares of windows missed in the first and in the last hour differ by, in percentage
//!   points; from eight hours on, as Herald asks for.
//! - **Gaps**: from one frame to the next, within the event. What is written is none. Percentiles are by nearest rank.
//!
//! **As Herald's script counts** ([`Pair::windows_as_herald`]): its windows begin with the first reading that a device has of
//! anybody in the event, and a reading at the very second of the end counts. A pair can so have one window more than there
//! are: of 2020-12-08, where the definition gives 16,797 of 16,800, the script gives the published 16,799.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::readings::{DeviceLog, FieldTest, Reading};
use crate::time::Timestamp;

/// The length of a window (Herald, "efficacy").
pub const WINDOW: Duration = Duration::from_secs(30);

/// How long a test lasts at least that has a longevity (Herald, "efficacy").
pub const LONGEVITY_FROM: Duration = Duration::from_secs(8 * 3_600);

/// Windows of an hour.
const HOUR_WINDOWS: usize = 120;

/// How long an event may be. Chosen: no battery lasts longer, and a false clock gives no more windows.
pub const EVENT_MAX: Duration = Duration::from_secs(31 * 86_400);

/// From the last device that came in to the first that went out, `[from, until)`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct ContactEvent {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

impl ContactEvent {
    /// That of the logs' own spans, without a last window of less than half its length: nobody ends a run to the
    /// second, and a window of a moment is missed by chance. Whoever came in later than its log began has to say so.
    pub fn of(test: &FieldTest) -> Self {
        let epoch = Timestamp::from_unix_seconds(0);
        let from = test.devices.iter().map(|device| device.from).max();
        let until = test.devices.iter().map(|device| device.until).min();
        let (from, until) = (from.unwrap_or(epoch), until.unwrap_or(epoch));
        let left_ms = until.since(from).as_millis() % WINDOW.as_millis();
        let whole = until.saturating_sub(Duration::from_millis(left_ms as u64));
        let spare = 2 * left_ms < WINDOW.as_millis() && whole > from;
        let until = if spare { whole } else { until };
        Self { from, until }
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.until.since(self.from)
    }

    /// Its windows, the last of which may be shorter.
    pub fn windows(&self) -> usize {
        let (length, event) = (WINDOW.as_millis(), self.duration().as_millis());
        usize::try_from(event.div_ceil(length)).unwrap_or(usize::MAX)
    }

    /// The window of `at`, counted from 0; none outside the event.
    pub fn window(&self, at: Timestamp) -> Option<usize> {
        let within = (self.from..self.until).contains(&at);
        let window = at.since(self.from).as_millis() / WINDOW.as_millis();
        within.then(|| usize::try_from(window).ok())?
    }
}

/// An event in which nothing can be counted.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "expected an event of a second to 31 days in which all devices took part, got {from} to {until}"
)]
pub struct NoEvent {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

/// What a test says.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// The contact event.
    pub event: ContactEvent,
    /// Its windows.
    pub windows: usize,
    /// The devices, in the order of their folders.
    pub devices: Vec<Device>,
    /// All ordered pairs.
    pub pairs: Vec<Pair>,
    /// The share of pairs that were detected, percent.
    pub detection_percent: f64,
    /// Windows hit, of all pairs.
    pub hit: usize,
    /// The same as Herald's script counts.
    pub hit_as_herald: usize,
    /// Windows of all pairs.
    pub total: usize,
    /// The share of windows hit, percent.
    pub continuity_percent: f64,
    /// Percent; `None` for a test under eight hours.
    pub longevity_percent: Option<f64>,
}

/// A device, and what the test cost it.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    /// What it is called.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Readings of others, who take no part.
    pub strangers: u64,
    /// Lines of its log that were none.
    pub refused: u64,
    /// What its battery lost in an hour of the event, percentage points; `None` if it has none, was fed from outside, or
    /// tells too little.
    pub battery_percent_per_hour: Option<f64>,
    /// Processor time, percent of one core; `None` where it is not known.
    pub cpu_percent: Option<f64>,
    /// Frames of which nothing came, by cause; `None` where it is not known.
    pub lost: Option<super::sightings::Lost>,
}

/// One device that hears another.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Who hears.
    pub seer: String,
    /// Who is heard.
    pub seen: String,
    /// Frames heard in the event.
    pub frames: usize,
    /// Which windows were hit.
    #[serde(serialize_with = "as_digits")]
    pub windows: Vec<bool>,
    /// How many were.
    pub hit: usize,
    /// The same as Herald's script counts.
    pub windows_as_herald: usize,
    /// Times from one frame to the next; `None` under two frames.
    pub gaps: Option<Gaps>,
    /// The median strength, dBm.
    pub rssi_dbm: Option<i8>,
}

impl Pair {
    /// The share of windows hit, percent.
    pub fn continuity_percent(&self) -> f64 {
        percent(self.hit, self.windows.len())
    }

    /// Runs of windows missed: the first, and how many.
    pub fn missing(&self) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let missed = self.windows.iter().enumerate().filter(|(_, hit)| !**hit);
        for (window, _) in missed {
            match runs.last_mut() {
                Some((first, length)) if *first + *length == window => *length += 1,
                _ => runs.push((window, 1)),
            }
        }
        runs
    }
}

/// Times from one frame to the next, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gaps {
    /// Their mean: Herald's "mean time between readings".
    pub mean_s: f64,
    /// Half are no longer.
    pub p50_s: f64,
    /// 95 of 100 are no longer.
    pub p95_s: f64,
    /// The longest.
    pub max_s: f64,
}

/// A string of a digit a window: 1 if it was hit.
fn as_digits<S: Serializer>(windows: &[bool], to: S) -> Result<S::Ok, S::Error> {
    let digits = windows.iter().map(|hit| if *hit { '1' } else { '0' });
    to.serialize_str(&digits.collect::<String>())
}

fn percent(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 0.0,
        whole => 100.0 * part as f64 / whole as f64,
    }
}

impl Evaluation {
    /// Counts what `test` says of `event`.
    ///
    /// # Errors
    ///
    /// [`NoEvent`] if the event is empty, or longer than [`EVENT_MAX`].
    pub fn of(test: &FieldTest, event: ContactEvent) -> Result<Self, NoEvent> {
        let ContactEvent { from, until } = event;
        if event.duration().is_zero() || event.duration() > EVENT_MAX {
            return Err(NoEvent { from, until });
        }
        let mut pairs = Vec::new();
        for (index, seer) in test.devices.iter().enumerate() {
            let start = start_of_herald(seer, event);
            for (other, seen) in test.devices.iter().enumerate() {
                if index != other {
                    let readings = seer.heard.get(&other).map_or(&[][..], Vec::as_slice);
                    pairs.push(pair(&seer.name, &seen.name, readings, event, start));
                }
            }
        }
        let windows = event.windows();
        let total = windows * pairs.len();
        let hit = pairs.iter().map(|pair| pair.hit).sum();
        let detected = |pair: &&Pair| pair.hit > 0;
        Ok(Self {
            event,
            windows,
            devices: test.devices.iter().map(|log| device(log, event)).collect(),
            detection_percent: percent(pairs.iter().filter(detected).count(), pairs.len()),
            hit,
            hit_as_herald: pairs.iter().map(|pair| pair.windows_as_herald).sum(),
            total,
            continuity_percent: percent(hit, total),
            longevity_percent: longevity(&pairs, event),
            pairs,
        })
    }
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(at.unix_seconds())
}

fn in_script(event: ContactEvent, at: Timestamp) -> bool {
    (event.from..=event.until).contains(&whole_second(at))
}

/// Where the windows of Herald's script begin: with the first reading of anybody who takes part.
fn start_of_herald(seer: &DeviceLog, event: ContactEvent) -> Option<Timestamp> {
    let times = seer.heard.values().flatten().map(|reading| reading.at);
    let first = times.filter(|at| in_script(event, *at)).min();
    first.map(whole_second)
}

fn pair(
    seer: &str,
    seen: &str,
    readings: &[Reading],
    event: ContactEvent,
    start_of_herald: Option<Timestamp>,
) -> Pair {
    let mut windows = vec![false; event.windows()];
    let mut as_herald = BTreeSet::new();
    let mut times = Vec::new();
    let mut strengths = Vec::new();
    for reading in readings {
        if let Some(start) = start_of_herald.filter(|_| in_script(event, reading.at)) {
            let since = whole_second(reading.at).since(start);
            as_herald.insert(since.as_secs() / WINDOW.as_secs());
        }
        let Some(window) = event.window(reading.at) else {
            continue;
        };
        if let Some(hit) = windows.get_mut(window) {
            *hit = true;
        }
        if reading.measured {
            times.push(reading.at);
            strengths.extend(reading.rssi.map(|rssi| rssi.dbm()));
        }
    }
    Pair {
        seer: seer.to_owned(),
        seen: seen.to_owned(),
        frames: times.len(),
        hit: windows.iter().filter(|hit| **hit).count(),
        windows,
        windows_as_herald: as_herald.len(),
        gaps: gaps(&times),
        rssi_dbm: median(&mut strengths),
    }
}

/// Of times in their order.
fn gaps(times: &[Timestamp]) -> Option<Gaps> {
    let mut gaps: Vec<Duration> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(one, next)| next.since(*one))
        .collect();
    gaps.sort_unstable();
    let sum: Duration = gaps.iter().sum();
    Some(Gaps {
        mean_s: sum.as_secs_f64() / gaps.len() as f64,
        p50_s: ranked(&gaps, 50)?.as_secs_f64(),
        p95_s: ranked(&gaps, 95)?.as_secs_f64(),
        max_s: gaps.last()?.as_secs_f64(),
    })
}

/// The least of `sorted` that `percent` of them do not exceed.
fn ranked<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The middle one; the lower of two.
pub(in crate::field) fn median<T: Copy + Ord>(values: &mut [T]) -> Option<T> {
    values.sort_unstable();
    ranked(values, 50)
}

fn longevity(pairs: &[Pair], event: ContactEvent) -> Option<f64> {
    if event.duration() < LONGEVITY_FROM {
        return None;
    }
    let hit = |windows: &mut dyn Iterator<Item = &bool>| windows.filter(|hit| **hit).count();
    let of_pairs = |hour: &dyn Fn(&Pair) -> usize| {
        let hits = pairs.iter().map(hour).sum();
        percent(hits, pairs.len() * HOUR_WINDOWS)
    };
    let first = of_pairs(&|pair| hit(&mut pair.windows.iter().take(HOUR_WINDOWS)));
    let last = of_pairs(&|pair| hit(&mut pair.windows.iter().rev().take(HOUR_WINDOWS)));
    Some(100.0 - (first - last).abs())
}

fn device(log: &DeviceLog, event: ContactEvent) -> Device {
    Device {
        name: log.name.clone(),
        model: log.model.clone(),
        strangers: log.strangers,
        refused: log.refused,
        battery_percent_per_hour: battery(log, event),
        cpu_percent: cpu(log),
        lost: log.states.map(|[_, last]| last.lost),
    }
}

/// From the first level in the event to the last; nothing of one that was fed in between.
fn battery(log: &DeviceLog, event: ContactEvent) -> Option<f64> {
    let mut levels = log.battery.iter();
    let within: Vec<_> = levels
        .by_ref()
        .filter(|level| (event.from..event.until).contains(&level.at))
        .collect();
    let (first, last) = (within.first()?, within.last()?);
    let hours = last.at.since(first.at).as_secs_f64() / 3_600.0;
    let fed = within.iter().any(|level| level.external);
    (hours > 0.0 && !fed).then(|| f64::from(first.percent - last.percent) / hours)
}

fn cpu(log: &DeviceLog) -> Option<f64> {
    let [first, last] = log.states?;
    let passed_ms = last.at?.since(first.at?).as_millis();
    let taken_ms = last.cpu_ms?.checked_sub(first.cpu_ms?)?;
    (passed_ms > 0).then(|| 100.0 * taken_ms as f64 / passed_ms as f64)
}
