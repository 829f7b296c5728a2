//! Sightings to scan instances to windows.

use super::super::assembly::{losses, strengths};
use super::super::{CountedSighting, Exposure};
use super::{ExposureWindow, ScanAttenuation, ScanInstance, ScanSeconds, WindowConfig};
use crate::protocol::ReportType;
use crate::time::Timestamp;

/// `maxExposureWindowDurationMinutes`: what began 30 minutes after the window is of the next one.
const WINDOW_MS: u128 = 30 * 60 * 1000;

/// 1.5 times the longest scan of GAEN, of 4 + 13 seconds.
const SAME_SCAN_MS: u128 = 25_500;

/// Chosen: a minute's resolution for whoever listens without a pause; GAEN's scans take 17 s at most.
const SCAN_SPAN_MS: u128 = 60_000;

/// `maxMinutesSinceLastScan`.
const SINCE_LAST_SCAN_MAX_MIN: u64 = 5;

/// `defaultMinutesSinceLastScan`, in seconds.
const SINCE_LAST_SCAN_UNKNOWN_S: u32 = 120;

impl Exposure {
    /// Its windows, in order of time; none if the key was revoked.
    pub fn windows(&self, config: &WindowConfig) -> Vec<ExposureWindow> {
        let mut windows: Vec<ExposureWindow> = Vec::new();
        if self.report_type == ReportType::Revoked {
            return windows;
        }
        let mut sightings = self.sightings.clone();
        sightings.sort_by_key(|sighting| (sighting.first, sighting.last));
        let mut clock = ScanClock::new(config);
        let mut scan: Vec<CountedSighting> = Vec::new();
        for sighting in sightings {
            let since = |earlier: Timestamp| sighting.first.since(earlier).as_millis();
            let window = windows.last().map(|window| window.start);
            let is_new_window = window.is_none_or(|start| since(start) >= WINDOW_MS);
            let is_same_scan = scan.first().zip(scan.last()).is_some_and(|(first, last)| {
                since(last.first) <= SAME_SCAN_MS && since(first.first) < SCAN_SPAN_MS
            });
            if is_new_window || !is_same_scan {
                close(&mut windows, &mut scan, &mut clock);
            }
            if is_new_window {
                windows.push(self.window(sighting.first, config));
            }
            scan.push(sighting);
        }
        close(&mut windows, &mut scan, &mut clock);
        windows
    }

    fn window(&self, start: Timestamp, config: &WindowConfig) -> ExposureWindow {
        let infectiousness = self
            .days_since_onset
            .and_then(|day| config.infectiousness.on(day))
            .unwrap_or(config.infectiousness_when_missing);
        let report_type = match self.report_type {
            ReportType::Unknown => config.report_type_when_missing,
            said => said,
        };
        ExposureWindow {
            key_index: self.key_index,
            protocol: self.protocol,
            report_type,
            infectiousness,
            transmission_risk: self.transmission_risk,
            days_since_onset: self.days_since_onset,
            ..ExposureWindow::new(start, Vec::new())
        }
    }
}

/// Makes of `scan` the last window's next scan instance.
fn close(
    windows: &mut [ExposureWindow],
    scan: &mut Vec<CountedSighting>,
    clock: &mut ScanClock<'_>,
) {
    let (Some(window), Some(first)) = (windows.last_mut(), scan.first()) else {
        return;
    };
    let loss = losses(scan);
    if let Some(loss) = loss {
        let known = window.power.unwrap_or(loss.basis).weaker(loss.basis);
        window.power = Some(known);
        window.calibration_confidence = known.into();
    }
    window.scans.push(ScanInstance {
        start: first.first,
        seconds_since_last_scan: clock.seconds(scan),
        attenuation: loss.map(|loss| ScanAttenuation {
            typical: loss.mean,
            min: loss.min,
        }),
        rssi: strengths(scan),
    });
    scan.clear();
}

/// Tells how long each scan counts, one after the other.
struct ScanClock<'c> {
    config: &'c WindowConfig,
    previous_start: Option<Timestamp>,
    covered_until: Option<Timestamp>,
    /// Counted until now, so that what is rounded down of one scan is the next one's.
    covered_ms: u128,
}

impl<'c> ScanClock<'c> {
    fn new(config: &'c WindowConfig) -> Self {
        Self {
            config,
            previous_start: None,
            covered_until: None,
            covered_ms: 0,
        }
    }

    fn seconds(&mut self, scan: &[CountedSighting]) -> u32 {
        match self.config.seconds {
            ScanSeconds::Covered => self.covered(scan),
            ScanSeconds::SinceLastScan => self.since_last_scan(scan),
        }
    }

    fn covered(&mut self, scan: &[CountedSighting]) -> u32 {
        let before = self.covered_ms / 1000;
        let gap_max_ms = u128::from(self.config.gap_max_s) * 1000;
        for sighting in scan {
            let from = match self.covered_until {
                Some(end) if sighting.first.since(end).as_millis() <= gap_max_ms => end,
                _ => sighting.first,
            };
            self.covered_ms += sighting.last.since(from).as_millis();
            self.covered_until = self.covered_until.max(Some(sighting.last));
        }
        u32::try_from(self.covered_ms / 1000 - before).unwrap_or(u32::MAX)
    }

    fn since_last_scan(&mut self, scan: &[CountedSighting]) -> u32 {
        let Some(start) = scan.first().map(|sighting| sighting.first) else {
            return 0;
        };
        let minute = |time: Timestamp| time.unix_seconds() / 60;
        match self.previous_start.replace(start) {
            None => SINCE_LAST_SCAN_UNKNOWN_S,
            Some(previous) => {
                let minutes = minute(start).saturating_sub(minute(previous));
                60 * u32::try_from(minutes.min(SINCE_LAST_SCAN_MAX_MIN)).unwrap_or(0)
            }
        }
    }
}
