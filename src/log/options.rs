//! How long a log keeps what it has, and how much of it.

use super::RETENTION_DAYS;

/// The most days that may be kept beside today's. Chosen with the field's longest incubation in mind: Bluezone
/// looked back 21 days.
const RETENTION_DAYS_MAX: u32 = 21;

/// What a log may take up. Chosen: 220 days of a dense city (50,000 sightings, at 12.1 bytes), so that a day which
/// is flooded has a quarter of its part left for fifty near neighbours, who take 1.9 MB.
const BUDGET_BYTES: u64 = 128 << 20;

/// The least it may be told to take up. Chosen: a quarter of a dense day for each of the most days.
const BUDGET_BYTES_MIN: u64 = 4 << 20;

/// Of a day's part, what sightings leave to entries; of a small part, a quarter. Chosen: four entries of the greatest
/// length, or four hundred check-ins.
const ENTRIES_SHARE_BYTES: u64 = 1 << 16;

/// How long a log keeps what it has, and how much of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogOptions {
    retention_days: u32,
    budget_bytes: u64,
}

impl Default for LogOptions {
    /// Fourteen days beside today; 128 MiB, which is 220 days of a dense city (50,000 sightings of 300 people):
    /// fourteen of them take 9 MB.
    fn default() -> Self {
        Self {
            retention_days: RETENTION_DAYS,
            budget_bytes: BUDGET_BYTES,
        }
    }
}

/// A log cannot be kept like that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// The days to be kept.
    #[error("expected a retention of 1 to {RETENTION_DAYS_MAX} days, got {days}")]
    Retention {
        /// As given.
        days: u32,
    },
    /// The bytes to be taken up.
    #[error("expected a budget of at least {BUDGET_BYTES_MIN} bytes, got {bytes}")]
    Budget {
        /// As given.
        bytes: u64,
    },
}

impl LogOptions {
    /// Keeps `days` days beside today's, 1..=21.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions::Retention`].
    pub fn with_retention_days(self, days: u32) -> Result<Self, InvalidOptions> {
        match (1..=RETENTION_DAYS_MAX).contains(&days) {
            true => Ok(Self {
                retention_days: days,
                ..self
            }),
            false => Err(InvalidOptions::Retention { days }),
        }
    }

    /// Takes up at most `bytes` bytes, 4 MiB or more; each day may take its part of them.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions::Budget`].
    pub fn with_budget_bytes(self, bytes: u64) -> Result<Self, InvalidOptions> {
        match bytes >= BUDGET_BYTES_MIN {
            true => Ok(Self {
                budget_bytes: bytes,
                ..self
            }),
            false => Err(InvalidOptions::Budget { bytes }),
        }
    }

    /// Days kept beside today's.
    pub fn retention_days(&self) -> u32 {
        self.retention_days
    }

    /// Bytes that the log may take up.
    pub fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    /// Bytes that one day may take.
    pub(super) fn day_share_bytes(&self) -> u64 {
        self.budget_bytes / (u64::from(self.retention_days) + 1)
    }

    /// Bytes of those that sightings may take.
    pub(super) fn sightings_share_bytes(&self) -> u64 {
        let share = self.day_share_bytes();
        share - ENTRIES_SHARE_BYTES.min(share / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range() {
        let options = LogOptions::default;
        for days in [0, 22, u32::MAX] {
            let refused = options().with_retention_days(days);
            assert_eq!(refused, Err(InvalidOptions::Retention { days }));
        }
        for days in [1, 21] {
            assert_eq!(
                options()
                    .with_retention_days(days)
                    .unwrap()
                    .retention_days(),
                days
            );
        }
        let bytes = BUDGET_BYTES_MIN - 1;
        let refused = options().with_budget_bytes(bytes);
        assert_eq!(refused, Err(InvalidOptions::Budget { bytes }));
    }
}
