//! What an engine does.

use std::time::Duration;

use super::Schedule;
use crate::log::RETENTION_DAYS;
use crate::protocol::Protocol;

/// What an engine does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The protocol advertised.
    pub advertise: Protocol,
    /// The protocols listened for, the advertised one among them.
    pub listen: Vec<Protocol>,
    /// When the radio is on.
    pub schedule: Schedule,
    /// Whether the identifiers of Bluezone's peers on iOS are read, by connecting to them: see
    /// [`Action::ReadIdentifier`](super::Action::ReadIdentifier). Off unless told otherwise, as a
    /// connection tells the peer more than an advertisement does
    /// ([`GattReader`](crate::radio::GattReader)).
    pub read_identifiers: bool,
    /// When sightings are handed over to be stored.
    pub batch: Batch,
    /// Days for which own keys are kept beside today's: the log's own
    /// ([`LogOptions::retention_days`](crate::log::LogOptions::retention_days)), 14 unless told otherwise.
    pub retention_days: u32,
}

impl Config {
    /// Advertises `protocol` and listens for it, always on.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            listen: vec![protocol.clone()],
            advertise: protocol,
            schedule: Schedule::default(),
            read_identifiers: false,
            batch: Batch::default(),
            retention_days: RETENTION_DAYS,
        }
    }

    /// Listens for `protocol` too, unless one of its kind is listened for already.
    pub fn also_listen(mut self, protocol: Protocol) -> Self {
        if self
            .listen
            .iter()
            .all(|other| other.kind() != protocol.kind())
        {
            self.listen.push(protocol);
        }
        self
    }

    /// Follows `schedule`.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Hands sightings over in such batches.
    pub fn batch(mut self, batch: Batch) -> Self {
        self.batch = batch;
        self
    }

    /// Keeps own keys for `days` days beside today's.
    pub fn retention_days(mut self, days: u32) -> Self {
        self.retention_days = days;
        self
    }
}

/// How many sightings, and for how long, are held before they are handed over to be stored. A crash or an
/// empty battery loses what is held; each batch costs a sync to disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Batch {
    sightings: usize,
    age: Duration,
}

impl Batch {
    /// The most sightings. Chosen: a quarter of what a tracer holds while its log fails.
    pub const SIGHTINGS_MAX: usize = 4_096;

    /// The longest wait. Chosen: what a crash may take of an encounter without hiding that there was one.
    pub const AGE_MAX: Duration = Duration::from_secs(900);

    /// Handed over once there are `sightings`, 1..=4,096, or the oldest has waited for `age`, 0 to 15
    /// minutes. With one sighting or no age, each is handed over at once.
    ///
    /// # Errors
    ///
    /// [`InvalidBatch`].
    pub fn new(sightings: usize, age: Duration) -> Result<Self, InvalidBatch> {
        if !(1..=Self::SIGHTINGS_MAX).contains(&sightings) {
            return Err(InvalidBatch::Sightings { got: sightings });
        }
        if age > Self::AGE_MAX {
            return Err(InvalidBatch::Age { got: age });
        }
        Ok(Self { sightings, age })
    }

    /// Sightings that are handed over at once.
    pub const fn sightings(self) -> usize {
        self.sightings
    }

    /// How long one waits for others.
    pub const fn age(self) -> Duration {
        self.age
    }
}

impl Default for Batch {
    /// 64 sightings, or a minute. Chosen: a sync to disk for each half minute of a busy room is what flash
    /// bears for years, and a crash loses little.
    fn default() -> Self {
        Self {
            sightings: 64,
            age: Duration::from_secs(60),
        }
    }
}

/// Sightings cannot be held like that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBatch {
    /// Too few or too many.
    #[error(
        "expected a batch of 1 to {} sightings, got {got}",
        Batch::SIGHTINGS_MAX
    )]
    Sightings {
        /// As given.
        got: usize,
    },
    /// Too long.
    #[error(
        "expected sightings to wait for at most {:?}, got {got:?}",
        Batch::AGE_MAX
    )]
    Age {
        /// As given.
        got: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_nothing_or_of_too_much_or_for_ever() {
        let age = Batch::AGE_MAX;
        for got in [0, Batch::SIGHTINGS_MAX + 1, usize::MAX] {
            let refused = Batch::new(got, age);
            assert_eq!(refused, Err(InvalidBatch::Sightings { got }));
        }
        let got = age + Duration::from_nanos(1);
        let refused = Batch::new(1, got).unwrap_err();
        assert_eq!(refused, InvalidBatch::Age { got });
        assert!(refused.to_string().contains("at most 900s"), "{refused}");
        for sightings in [1, Batch::SIGHTINGS_MAX] {
            let batch = Batch::new(sightings, age).unwrap();
            assert_eq!((batch.sightings(), batch.age()), (sightings, age));
        }
        assert!(Batch::new(1, Duration::ZERO).is_ok());
    }
}
