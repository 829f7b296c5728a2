//! What the screen shows: made of events and keys, and drawn by `draw`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use truyvet::Event;
use truyvet::engine::Health;
use truyvet::time::{Moment, Timestamp};

use crate::neighbours::{Neighbour, Neighbours};
use crate::support::count;

/// Frames a second are of so much of the tracer's time. Chosen: a sighting's length, which is calm enough to be read.
const RATE_OVER: Duration = Duration::from_secs(30);

/// How long, in life, a note is shown. Chosen: long enough to be read.
const NOTE_SHOWN: Duration = Duration::from_secs(10);

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum View {
    #[default]
    List,
    Health,
    Help,
}

/// A key that was pressed, by what it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Health,
    Help,
    Pause,
    Back,
}

/// What a page up or down moves by. Chosen: less than the smallest list that is useful.
const PAGE: isize = 5;

#[derive(Default)]
pub(crate) struct State {
    /// What is heard with, in words.
    pub(crate) radio: &'static str,
    pub(crate) now: Option<Timestamp>,
    pub(crate) elapsed: Duration,
    pub(crate) length: Option<Duration>,
    pub(crate) health: Option<Health>,
    /// What a story is about to do.
    pub(crate) next: Option<String>,
    pub(crate) view: View,
    /// First line shown of a view that is longer than the screen.
    pub(crate) scroll: u16,
    /// The first row shown of the list.
    pub(crate) top: usize,
    neighbours: Neighbours,
    /// The list as it was when it was paused.
    paused: Option<Neighbours>,
    selected: Option<String>,
    note: Option<(Instant, String)>,
    /// When so many frames had been heard, by the tracer's time.
    frames: VecDeque<(Duration, u64)>,
}

impl State {
    pub(crate) fn event(&mut self, now: Timestamp, event: &Event, at: Instant) {
        self.now = Some(now);
        match event {
            Event::NeighbourAppeared {
                neighbour,
                protocol,
                id,
                rssi,
            } => self.neighbours.appeared(
                neighbour.to_string(),
                id.to_string(),
                protocol.to_string(),
                *rssi,
                now,
            ),
            Event::ContactGrowing {
                neighbour,
                duration,
                rssi,
            } => self
                .neighbours
                .grew(&neighbour.to_string(), *duration, *rssi, now),
            Event::NeighbourLeft {
                neighbour,
                duration,
            } => self.neighbours.left(&neighbour.to_string(), *duration, at),
            Event::Health(health) => self.health = Some((**health).clone()),
            Event::ClockJumped { by_ms } => {
                self.note(at, format!("the clock jumped by {} s", by_ms / 1000));
            }
            Event::Missed(missed) => {
                // Who has left meanwhile is not known: those who are near will show themselves.
                self.neighbours = Neighbours::default();
                let events = count(*missed as usize, "event");
                self.note(at, format!("{events} not shown: the list begins anew"));
            }
            _ => {}
        }
        self.keep_selection(None);
    }

    fn note(&mut self, at: Instant, text: String) {
        self.note = Some((at, text));
    }

    /// Time has passed, in life and for the tracer, whose health is `health`.
    pub(crate) fn passed(&mut self, at: Instant, elapsed: Duration, now: Moment, health: Health) {
        self.now = Some(now.wall);
        self.elapsed = elapsed;
        self.frames.push_back((elapsed, health.counters.frames));
        while let Some((second, _)) = self.frames.get(1)
            && elapsed.saturating_sub(*second) >= RATE_OVER
        {
            self.frames.pop_front();
        }
        self.health = Some(health);
        if self
            .note
            .as_ref()
            .is_some_and(|(since, _)| at.saturating_duration_since(*since) >= NOTE_SHOWN)
        {
            self.note = None;
        }
        let place = self.selected_place();
        if self.neighbours.forget(at) {
            self.keep_selection(place);
        }
    }

    /// Frames a second, by the tracer's clock.
    pub(crate) fn frames_per_s(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.frames.front()?, self.frames.back()?);
        let seconds = to.saturating_sub(*from).as_secs_f64();
        (seconds > 0.0).then(|| after.saturating_sub(*before) as f64 / seconds)
    }

    /// What has just happened and is worth a line.
    pub(crate) fn noted(&self) -> Option<&str> {
        self.note.as_ref().map(|(_, text)| text.as_str())
    }

    /// The rows that are shown.
    pub(crate) fn rows(&self) -> &[Neighbour] {
        &self.paused.as_ref().unwrap_or(&self.neighbours).0
    }

    pub(crate) fn count_present(&self) -> usize {
        self.neighbours.count_present()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(crate) fn selected(&self) -> Option<&Neighbour> {
        let selected = self.selected.as_ref()?;
        self.rows().iter().find(|it| it.name == *selected)
    }

    pub(crate) fn selected_place(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.rows().iter().position(|it| it.name == *selected)
    }

    /// Selects another row if the selected one is gone: that which stands in its `place` now.
    fn keep_selection(&mut self, place: Option<usize>) {
        if self.selected_place().is_none() {
            self.select(place.unwrap_or(0));
        }
    }

    fn select(&mut self, place: usize) {
        let place = place.min(self.rows().len().saturating_sub(1));
        self.selected = self.rows().get(place).map(|it| it.name.clone());
    }

    pub(crate) fn key(&mut self, key: Key) {
        match key {
            Key::Health => self.show(View::Health),
            Key::Help => self.show(View::Help),
            Key::Back => self.show(View::List),
            Key::Pause => {
                let place = self.selected_place();
                self.paused = match self.paused {
                    Some(_) => None,
                    None => Some(self.neighbours.clone()),
                };
                self.keep_selection(place);
            }
            Key::Up => self.go(-1),
            Key::Down => self.go(1),
            Key::PageUp => self.go(-PAGE),
            Key::PageDown => self.go(PAGE),
            Key::First => self.go(isize::MIN),
            Key::Last => self.go(isize::MAX),
        }
    }

    /// The key of a view that is shown already goes back to the list.
    fn show(&mut self, view: View) {
        self.view = match self.view == view {
            true => View::List,
            false => view,
        };
        self.scroll = 0;
    }

    fn go(&mut self, by: isize) {
        match self.view {
            View::List => {
                let place = self.selected_place().unwrap_or(0);
                self.select(place.saturating_add_signed(by));
            }
            // Drawing takes back what is too much.
            _ => {
                let by = by.clamp(i16::MIN.into(), i16::MAX.into());
                let to = isize::try_from(self.scroll).unwrap_or(0).saturating_add(by);
                self.scroll = u16::try_from(to.max(0)).unwrap_or(u16::MAX);
            }
        }
    }
}

#[cfg(test)]
impl State {
    /// Neighbours without a tracer, for a drawing.
    pub(crate) fn with(mut self, neighbours: Neighbours) -> Self {
        self.neighbours = neighbours;
        self.keep_selection(None);
        self
    }
}
