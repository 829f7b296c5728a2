//! Events as lines, and time as a bar.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use truyvet::Event;
use truyvet::engine::NeighbourId;
use truyvet::time::Timestamp;

use crate::support::{bar, count, say};

/// A contact is shown as growing every so many minutes.
const GROWTH_SHOWN_MIN: u64 = 5;

pub(crate) struct Display {
    bar: Option<ProgressBar>,
    shown_min: HashMap<NeighbourId, u64>,
    last_health: String,
}

impl Display {
    /// A display with a bar that fills in `length`, if that is known.
    pub(crate) fn new(length: Option<Duration>) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}");
        let bar = length.map(|length| {
            let bar = ProgressBar::new(length.as_secs());
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            bar,
            shown_min: HashMap::new(),
            last_health: String::new(),
        }
    }

    pub(crate) fn progress(&self, elapsed: Duration) {
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.as_secs());
            bar.set_message(count(self.shown_min.len(), "neighbour"));
        }
    }

    pub(crate) fn event(&mut self, now: Timestamp, event: &Event) {
        if let Some(text) = self.describe(event) {
            self.line(&format!("{}  {text}", clock_face(now)));
        }
    }

    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn describe(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::NeighbourAppeared {
                neighbour,
                protocol,
                id,
                rssi,
            } => {
                self.shown_min.insert(*neighbour, 0);
                let strength = rssi.map_or("no strength".to_owned(), |rssi| rssi.to_string());
                Some(format!(
                    "+ {neighbour:<4} {protocol} {id} appeared, {strength}"
                ))
            }
            Event::ContactGrowing {
                neighbour,
                duration,
                rssi,
            } => {
                let minutes = duration.as_secs() / 60;
                let shown = self.shown_min.entry(*neighbour).or_default();
                if minutes < *shown + GROWTH_SHOWN_MIN {
                    return None;
                }
                *shown = minutes;
                let dbm = rssi.map(|rssi| rssi.mean.dbm());
                let strength = rssi.map_or(String::new(), |rssi| rssi.mean.to_string());
                Some(format!(
                    "{} {neighbour:<4} near for {minutes} min, {strength}",
                    bar(dbm)
                ))
            }
            Event::NeighbourLeft {
                neighbour,
                duration,
            } => {
                self.shown_min.remove(neighbour);
                let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
                Some(format!(
                    "- {neighbour:<4} gone or renamed after {minutes} min {seconds} s"
                ))
            }
            Event::Rotated { until, .. } => Some(format!(
                "~ own identifier changed, until {}",
                clock_face(*until)
            )),
            Event::Health(health) => {
                let text = health.to_string();
                let news = text != self.last_health;
                self.last_health = text;
                news.then(|| format!("! {}", self.last_health))
            }
            Event::ClockJumped { by_ms } => {
                Some(format!("! the clock jumped by {} s", by_ms / 1000))
            }
            Event::Missed(missed) => {
                // Who has left meanwhile is not known: those who are near will show themselves.
                self.shown_min.clear();
                Some(format!("! {} not shown", count(*missed as usize, "event")))
            }
            _ => None,
        }
    }
}

fn clock_face(time: Timestamp) -> String {
    let second = time.unix_seconds() % 86_400;
    format!("{:02}:{:02}", second / 3600, second / 60 % 60)
}
