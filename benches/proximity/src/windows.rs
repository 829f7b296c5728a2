//! A scene's frames as windows: what an app has, with the distance that the camera saw.

use std::collections::BTreeMap;

use truyvet::sighting::Attenuation;

use crate::scenes::{Frame, Scene};

/// Frames of one sender with longer pauses are of two scans: 1.5 × 17 s (Google's
/// exposure-notifications-internals, `ExposureWindowUtils`).
const SCAN_PAUSE_S: f64 = 25.5;

/// A window's length (GAEN).
const WINDOW_S: f64 = 1_800.0;

/// Minutes that a scan stands for at most, and seconds without one before (GAEN).
const SCAN_MINUTES_MAX: f64 = 5.0;
const FIRST_SCAN_S: u32 = 120;

/// What one phone heard of another in up to half an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Typical loss and seconds of each scan.
    pub scans: Vec<(Attenuation, u32)>,
    /// The distance that half the scans' time or more was within, metres.
    pub distance_m: f64,
}

/// One scan, with the camera's mean distance.
#[derive(Clone, Copy, Debug)]
struct Scan {
    at_s: f64,
    attenuation: Attenuation,
    distance_m: f64,
}

/// The windows of all pairs, in order of receiver, transmitter and time.
pub fn of(scene: &Scene) -> Vec<Window> {
    let mut pairs: BTreeMap<(&str, &str), Vec<&Frame>> = BTreeMap::new();
    for frame in &scene.frames {
        let pair = (frame.receiver.as_str(), frame.transmitter.as_str());
        pairs.entry(pair).or_default().push(frame);
    }
    let scans = pairs.into_values().map(|frames| scans(&frames));
    scans.flat_map(|scans| windows(&scans)).collect()
}

fn scans(frames: &[&Frame]) -> Vec<Scan> {
    let apart = |a: &&Frame, b: &&Frame| b.at_s - a.at_s <= SCAN_PAUSE_S;
    let scan = |frames: &[&Frame]| {
        let count = frames.len() as f64;
        let losses: f64 = frames
            .iter()
            .map(|frame| f64::from(frame.attenuation.db()))
            .sum();
        let distances: f64 = frames.iter().map(|frame| frame.distance_m).sum();
        Some(Scan {
            at_s: frames.first()?.at_s,
            // A mean of bytes is one.
            attenuation: Attenuation::from_db((losses / count).round() as u8),
            distance_m: distances / count,
        })
    };
    frames.chunk_by(apart).filter_map(scan).collect()
}

fn windows(scans: &[Scan]) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut rest = scans;
    while let Some(first) = rest.first() {
        let length = rest
            .iter()
            .take_while(|scan| scan.at_s - first.at_s < WINDOW_S)
            .count();
        let (inside, after) = rest.split_at(length);
        windows.push(window(inside));
        rest = after;
    }
    windows
}

fn window(scans: &[Scan]) -> Window {
    let before = std::iter::once(None).chain(scans.iter().map(Some));
    let seconds = scans.iter().zip(before).map(|(scan, before)| match before {
        Some(before) => {
            let minutes = (scan.at_s / 60.0).floor() - (before.at_s / 60.0).floor();
            (60.0 * minutes.min(SCAN_MINUTES_MAX)) as u32
        }
        None => FIRST_SCAN_S,
    });
    let seconds: Vec<u32> = seconds.collect();
    Window {
        distance_m: median_distance(scans, &seconds),
        scans: scans
            .iter()
            .zip(seconds)
            .map(|(scan, seconds)| (scan.attenuation, seconds))
            .collect(),
    }
}

fn median_distance(scans: &[Scan], seconds: &[u32]) -> f64 {
    let mut timed: Vec<(f64, u32)> = scans
        .iter()
        .zip(seconds)
        .map(|(scan, seconds)| (scan.distance_m, (*seconds).max(1)))
        .collect();
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: u32 = timed.iter().map(|(_, seconds)| seconds).sum();
    let mut below = 0;
    timed
        .iter()
        .find(|(_, seconds)| {
            below += seconds;
            2 * below >= total
        })
        .map_or(f64::NAN, |(distance_m, _)| *distance_m)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(at_s: f64, db: u8, distance_m: f64) -> Frame {
        Frame {
            receiver: "a".into(),
            transmitter: "b".into(),
            at_s,
            attenuation: Attenuation::from_db(db),
            distance_m,
        }
    }

    fn of_frames(frames: Vec<Frame>) -> Vec<Window> {
        of(&Scene {
            name: "test",
            frames,
        })
    }

    #[test]
    fn frames_come_to_scans_and_scans_to_windows() {
        let windows = of_frames(vec![
            frame(0.0, 50, 1.0),
            frame(25.5, 53, 2.0),
            frame(240.0, 60, 4.0),
            frame(1_799.0, 61, 5.0),
            frame(1_826.0, 62, 6.0),
        ]);
        let scans = |window: &Window| -> Vec<(u8, u32)> {
            let scans = window.scans.iter();
            scans.map(|(loss, seconds)| (loss.db(), *seconds)).collect()
        };
        let found: Vec<_> = windows.iter().map(scans).collect();
        assert_eq!(
            found,
            [vec![(52, 120), (60, 240), (61, 300)], vec![(62, 120)]]
        );
        let distances: Vec<f64> = windows.iter().map(|window| window.distance_m).collect();
        assert_eq!(distances, [4.0, 6.0]);
    }

    #[test]
    fn pairs_are_apart() {
        let mut other = frame(1.0, 70, 3.0);
        other.receiver = "c".into();
        assert_eq!(of_frames(vec![frame(0.0, 50, 1.0), other]).len(), 2);
    }
}
