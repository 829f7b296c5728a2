//! Events as lines, and time as a bar.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use truyvet::Event;
use truyvet::engine::NeighbourId;
use truyvet::time::{Moment, Timestamp};

use crate::show::{Show, Watched};
use crate::support::{Error, bar, count, say};

/// A contact is shown as growing every so many minutes.
const GROWTH_SHOWN_MIN: u64 = 5;

#[derive(Default)]
pub(crate) struct Display {
    bar: Option<ProgressBar>,
    shown_min: HashMap<NeighbourId, u64>,
    last_health: String,
}

impl Show for Display {
    fn begin(&mut self, watched: &Watched<'_>) -> Result<(), Error> {
        // A bar that fills, if it is known in what time.
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}");
        self.bar = watched.length.map(|length| {
            let bar = ProgressBar::new(length.as_secs());
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Ok(())
    }

    fn event(&mut self, now: Timestamp, event: &Event) {
        if let Some(text) = self.describe(event) {
            self.line(&format!("{}  {text}", clock_face(now)));
        }
    }

    fn passed(&mut self, elapsed: Duration, _: Moment, _: &Watched<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.as_secs());
            bar.set_message(count(self.shown_min.len(), "neighbour"));
        }
    }

    /// Nobody types at lines.
    async fn left(&mut self) {
        std::future::pending().await
    }

    fn end(&mut self) -> Result<(), Error> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        Ok(())
    }
}

impl Display {
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
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

pub(crate) fn clock_face(time: Timestamp) -> String {
    let second = time.unix_seconds() % 86_400;
    format!("{:02}:{:02}", second / 3600, second / 60 % 60)
}
