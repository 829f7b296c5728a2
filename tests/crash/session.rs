//! An app that uses a log, and keeps a book of what it has acknowledged.

use truyvet::engine::{Config, Engine};
use truyvet::entropy::SeededEntropy;
use truyvet::log::{
    EncounterLog, EntryKind, KeysRenewed, LogEntry, LogError, LogOptions, RETENTION_DAYS,
};
use truyvet::protocol::{EphemeralId, OwnKey};
use truyvet::sighting::{Rssi, RssiSummary, ScanGap, Source};
use truyvet::time::{Clock, ClockReading, ManualClock, Timestamp, Uptime, UtcDay};
use truyvet::{Protocol, ProtocolKind, Sighting};

use crate::disk::CrashDisk;
use crate::keys::CrashKeys;
use crate::known::{KeyPrint, Known, Mark};
use crate::platter::Image;

/// 2026-11-23; days of a story are counted from it.
pub(crate) const FIRST_DAY: u32 = 20_780;

pub(crate) fn day(number: u32) -> UtcDay {
    UtcDay::from_unix_days(FIRST_DAY + number)
}

/// What an app does. Days are counted from [`FIRST_DAY`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Opens the log, after closing it if it is open.
    Open,
    Close,
    /// So many sightings of one day.
    Append {
        day: u32,
        count: u32,
    },
    /// So many of each of two days.
    AppendOverMidnight {
        day: u32,
        count: u32,
    },
    Gap {
        day: u32,
    },
    /// What the owner enters.
    Enter {
        day: u32,
    },
    /// Draws the day's own key as a tracer does that is started, and saves all.
    SaveKeys {
        day: u32,
    },
    Release {
        day: u32,
    },
    Purge {
        today: u32,
    },
}

pub(crate) struct Session {
    pub(crate) disk: CrashDisk,
    log: Option<EncounterLog>,
    /// Before the marks.
    before: Known,
    /// With the number of operations that were done then.
    marks: Vec<(usize, Mark)>,
    /// Sightings so far: tells them apart.
    sightings: u32,
    /// Not stored yet: given again with the next batch.
    unsent: Vec<Sighting>,
    /// What the log has refused.
    pub(crate) errors: Vec<LogError>,
}

impl Session {
    /// Of an app that is new.
    pub(crate) fn fresh() -> Self {
        Self::new(CrashDisk::new(&Image::default()), Known::default(), 0)
    }

    /// Of an app that has come as far as `sightings` before.
    pub(crate) fn new(disk: CrashDisk, before: Known, sightings: u32) -> Self {
        Self {
            disk,
            log: None,
            before,
            marks: Vec::new(),
            sightings,
            unsent: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn keys(&self) -> CrashKeys {
        CrashKeys(self.disk.clone())
    }

    pub(crate) fn sightings(&self) -> u32 {
        self.sightings
    }

    /// What was known when so many operations had been done, with all that was acknowledged until then.
    pub(crate) fn known_at(&self, operations: usize) -> Known {
        let mut known = self.before.clone();
        let marks = self.marks.iter();
        marks
            .take_while(|(at, _)| *at <= operations)
            .for_each(|(_, mark)| known.learn(mark));
        known
    }

    pub(crate) fn known(&self) -> Known {
        self.known_at(usize::MAX)
    }

    /// The number of operations before the first purge.
    pub(crate) fn before_purge(&self) -> Option<usize> {
        let mut marks = self.marks.iter();
        let purging = marks.find(|(_, mark)| matches!(mark, Mark::Purging(_)));
        purging.map(|(at, _)| *at)
    }

    fn mark(&mut self, mark: Mark) {
        self.marks.push((self.disk.operations(), mark));
    }

    /// Does all steps, until the process dies. What fails is passed over.
    pub(crate) fn run(&mut self, steps: &[Step]) {
        for step in steps {
            if let Err(error) = self.step(*step) {
                self.errors.push(error);
            }
            if self.disk.is_dead() {
                return;
            }
        }
    }

    /// The process has died; the next one begins.
    pub(crate) fn restart(&mut self) {
        self.disk = self.disk.next_process();
        self.log = None;
        self.unsent.clear();
        self.errors.clear();
        self.mark(Mark::Died);
    }

    fn step(&mut self, step: Step) -> Result<(), LogError> {
        match step {
            Step::Open => {
                self.log = None;
                self.open().map(drop)
            }
            Step::Close => {
                self.log = None;
                Ok(())
            }
            Step::Append { day, count } => self.append(&[day], count),
            Step::AppendOverMidnight { day, count } => self.append(&[day, day + 1], count),
            Step::Gap { day } => self.gap(day),
            Step::Enter { day } => self.enter(day),
            Step::SaveKeys { day } => self.save_keys(day),
            Step::Release { day } => self.release(day),
            Step::Purge { today } => self.purge(today),
        }
    }

    /// Opens the log if it is not open.
    fn open(&mut self) -> Result<&mut EncounterLog, LogError> {
        if self.log.is_none() {
            let options = LogOptions::default();
            let log = EncounterLog::open_on(self.disk.clone(), self.keys(), options)?;
            self.log = Some(log);
            self.mark(Mark::Opened);
        }
        Ok(self.log.as_mut().unwrap())
    }

    fn append(&mut self, days: &[u32], count: u32) -> Result<(), LogError> {
        let mut batch = std::mem::take(&mut self.unsent);
        for _ in 0..count {
            for number in days {
                self.sightings += 1;
                batch.push(sighting(self.sightings, day(*number)));
            }
        }
        // Kept in case the log cannot even be opened.
        self.unsent.clone_from(&batch);
        let reading = clock(days[0], self.sightings);
        self.open()?.observe(reading);
        self.mark(Mark::Appending(batch.clone()));
        let appended = self.open()?.append(&batch);
        let (failed, result) = match appended {
            Ok(()) => (Vec::new(), Ok(())),
            Err(failed) => (failed.sightings, Err(failed.source)),
        };
        if !self.disk.is_dead() {
            self.mark(Mark::Appended(failed.clone()));
        }
        self.unsent = failed;
        result
    }

    fn gap(&mut self, of: u32) -> Result<(), LogError> {
        self.sightings += 1;
        let gap = gap(self.sightings, day(of));
        self.open()?;
        self.mark(Mark::Noting(gap));
        let noted = self.open()?.append_gaps(&[gap]);
        if !self.disk.is_dead() {
            let stored = noted.is_ok();
            self.mark(Mark::Noted { stored });
        }
        noted
    }

    fn enter(&mut self, of: u32) -> Result<(), LogError> {
        self.sightings += 1;
        let entry = LogEntry {
            at: at(self.sightings, day(of)),
            kind: EntryKind::CheckIn,
            bytes: vec![7; 50 + self.sightings as usize],
        };
        self.open()?;
        self.mark(Mark::Entering(entry.clone()));
        let entered = self.open()?.append_entries(&[entry]);
        if !self.disk.is_dead() {
            let stored = entered.is_ok();
            self.mark(Mark::Entered { stored });
        }
        entered
    }

    fn save_keys(&mut self, of: u32) -> Result<(), LogError> {
        let saved = self.open()?.own_keys()?;
        let engine = engine(saved, day(of));
        self.mark(Mark::SavingKeys(KeyPrint::all(engine.own_keys())));
        self.open()?.save_own_keys(engine.own_keys())?;
        self.mark(Mark::SavedKeys);
        Ok(())
    }

    fn release(&mut self, of: u32) -> Result<(), LogError> {
        let of = day(of);
        let mut keys = KeyPrint::all(&self.open()?.own_keys()?);
        let of_day = keys.iter_mut().filter(|key| key.day() == of);
        let count = of_day.map(|key| key.released = true).count();
        self.mark(Mark::SavingKeys(keys));
        let published = self.open()?.release_own_keys(of.end(), [of])?;
        assert_eq!(published.len(), count, "keys of {of}");
        self.mark(Mark::SavedKeys);
        Ok(())
    }

    fn purge(&mut self, today: u32) -> Result<(), LogError> {
        let today = day(today);
        self.open()?;
        self.mark(Mark::Purging(today.saturating_sub(RETENTION_DAYS)));
        let purged = self.open()?.purge(today)?;
        let forgotten = !matches!(purged.keys, KeysRenewed::Deferred(_));
        if !self.disk.is_dead() {
            self.mark(Mark::Purged { forgotten });
        }
        match purged.keys {
            KeysRenewed::Deferred(reason) => Err(reason.into()),
            _ => Ok(()),
        }
    }

    /// What is to be read, if the log is open.
    pub(crate) fn compare(&self) -> Result<(), String> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let reader = log.reader().map_err(|e| format!("no reader: {e}"))?;
        self.known().compare(&reader)
    }
}

fn at(number: u32, day: UtcDay) -> Timestamp {
    Timestamp::from_unix_millis(day.start().unix_millis() + u64::from(number) * 1_000)
}

/// Told from all others by its time; three quarters of the identifiers are of neighbours known already.
fn sighting(number: u32, day: UtcDay) -> Sighting {
    let mut id = *b"identifier......";
    let neighbour = if number.is_multiple_of(4) { number } else { 1 };
    id[12..].copy_from_slice(&neighbour.to_le_bytes());
    let first = at(number, day);
    let rssi = |dbm: i32| Rssi::from_dbm(dbm).unwrap();
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: EphemeralId::from(id),
        metadata: Some([1, 2, 3, 4]),
        first,
        last: Timestamp::from_unix_millis(first.unix_millis() + 900),
        frames: 4,
        rssi: Some(RssiSummary {
            min: rssi(-80),
            mean: rssi(-70),
            max: rssi(-60),
        }),
        source: Source::ServiceData,
    }
}

/// An app gets them from the engine alone, or from where it has stored them.
fn gap(number: u32, day: UtcDay) -> ScanGap {
    let from = at(number, day).unix_millis();
    let stored = format!(r#"{{"from":{from},"to":{},"cause":"Adapter"}}"#, from + 10);
    serde_json::from_str(&stored).unwrap()
}

/// A machine that was started with the first day.
fn clock(of: u32, number: u32) -> ClockReading {
    let wall = at(number, day(of));
    ClockReading {
        wall,
        uptime: Some(Uptime {
            boot_id: [7; 16],
            since_boot_ms: wall.unix_millis() - day(0).start().unix_millis(),
        }),
    }
}

/// Has `saved` and the key of `day`.
fn engine(saved: Vec<OwnKey>, day: UtcDay) -> Engine {
    let entropy = SeededEntropy::new(u64::from(day.unix_days()));
    let config = Config::new(Protocol::bluezone());
    let mut engine = Engine::new(config, saved, Box::new(entropy));
    engine.start(ManualClock::new(day.start()).now());
    engine
}
