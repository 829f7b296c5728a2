//! What somebody who only listens could link: identifiers, and the devices behind them.
//!
//! A tracer's promise is that what it sends now and what it sends a quarter of an hour later have nothing in common. A
//! [`Checker`] takes what [captures](super::capture) hold and says where that is not so, for how long, how sure it is, and what
//! to do. `docs/linkability.md` says what is checked, and what is not.
//!
//! ```no_run
//! use truyvet::field::capture::Capture;
//! use truyvet::field::linkability::{Checker, Config, Verdict};
//!
//! let mut capture = Capture::open(std::fs::File::open("capture.btsnoop")?)?;
//! let mut checker = Checker::new(Config::default());
//! while let Some(observation) = capture.next_observation()? {
//!     checker.take(&observation);
//! }
//! let report = checker.finish();
//! assert_eq!(report.verdict, Verdict::Clean, "{:#?}", report.findings);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chains;
mod constants;
mod fields;
mod pairs;
mod presence;
mod report;
mod timing;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::protocol::Protocol;

use super::capture::{Address, Broadcast, HeardAdvertisement, Observation};

pub use report::{
    Certainty, Check, Device, Evidence, Finding, Kind, REPORT_VERSION, Report, Severity, Stay,
    Totals, Verdict,
};

use fields::Read;
use presence::{Presences, Source};

/// Addresses whose last frame is remembered. Chosen: more than are ever near at once; a flood makes it slower, and nothing else.
const LATEST_MAX: usize = 4_096;

/// What is looked for, and how much is enough.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The protocols whose identifiers are looked for, with their numbers on the air.
    pub protocols: Vec<Protocol>,
    /// Changes of identifier below which nothing is said to be clean. 3 by default, chosen: a slip that happens at every change
    /// is seen at the first one, and one or two may be an arrival taken for a change.
    pub min_changes: usize,
    /// Devices side by side below which a common value (flags, interval, form) singles nobody out. 3 by default, chosen: of two,
    /// each is the one unlike the other.
    pub min_crowd: usize,
    /// Pairs of address and identifier that are remembered, the first ones. 65,536 by default, chosen: some hundred devices for a
    /// day, in about 64 MiB.
    pub presences_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocols: vec![Protocol::bluezone(), Protocol::gaen()],
            min_changes: 3,
            min_crowd: 3,
            presences_max: 65_536,
        }
    }
}

/// Takes observations, of one capture or several, and tells what they link. Its memory is bounded by its [`Config`].
pub struct Checker {
    config: Config,
    presences: Presences,
    capture: u32,
    /// What was heard last of each address, as most frames are the same as the one before.
    latest: BTreeMap<Address, (HeardAdvertisement, Arc<Read>)>,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Checker {
    /// One that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            presences: Presences::new(config.presences_max),
            config,
            capture: 0,
            latest: BTreeMap::new(),
        }
    }

    /// Takes one observation. Those of one capture come in its order.
    pub fn take(&mut self, observation: &Observation) {
        match observation {
            Observation::Heard(heard) => self.heard(heard),
            Observation::Sent(sent) => self.sent(sent),
        }
    }

    /// What comes next is from another capture, whose controllers have nothing to do with those before.
    pub fn next_capture(&mut self) {
        self.capture = self.capture.saturating_add(1);
    }

    /// So much of a capture could not be read ([`Counts`](super::capture::Counts)), a cut end among it: nothing is called
    /// clean then.
    pub fn lost(&mut self, records: u64) {
        let totals = &mut self.presences.totals;
        totals.left_out = totals.left_out.saturating_add(records);
    }

    /// What it comes to.
    pub fn finish(self) -> Report {
        report::report(&self.config, self.presences)
    }

    fn heard(&mut self, heard: &HeardAdvertisement) {
        let ear = Source {
            capture: self.capture,
            adapter: heard.adapter,
        };
        let known = self.latest.get(&heard.address).filter(|(before, _)| {
            (before.form, before.tx_power_dbm) == (heard.form, heard.tx_power_dbm)
                && before.data == heard.data
        });
        if let Some((_, read)) = known {
            return self.presences.heard(heard, ear, read, false);
        }
        let read = Arc::new(fields::read(&heard.data, &self.config.protocols));
        self.presences.heard(heard, ear, &read, true);
        if self.latest.len() >= LATEST_MAX {
            self.latest.clear();
        }
        self.latest.insert(heard.address, (heard.clone(), read));
    }

    fn sent(&mut self, sent: &Broadcast) {
        let read = fields::read(&sent.data, &self.config.protocols);
        let source = Source {
            capture: self.capture,
            adapter: sent.adapter,
        };
        self.presences.sent(sent, source, &read);
        if !sent.scan_response.is_empty() {
            let answer = fields::read(&sent.scan_response, &[]);
            self.presences.answered(sent, &answer);
        }
    }
}
