//! How many use the app in each province, from reports that tell nobody of any one of them.
//!
//! A device splits "I am in this province" into two shares, one for each of two aggregators that do not work together:
//! Prio3Histogram of the VDAF specification (draft-irtf-cfrg-vdaf-18), by the crate `prio`. Each share alone is
//! random. The aggregators check, without learning it, that a report names exactly one province, add up their
//! shares, and only the two sums together are the histogram.
//!
//! ```
//! use truyvet::Secret;
//! use truyvet::adoption::{AdoptionSurvey, Aggregator, PROVINCES_2021, Role, histogram};
//! use truyvet::entropy::SystemEntropy;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let survey = AdoptionSurvey::new([7; 32], PROVINCES_2021.len())?;
//! // Known to the two aggregators alone.
//! let mut leader = Aggregator::new(&survey, Role::Leader, Secret::new([1; 32]));
//! let mut helper = Aggregator::new(&survey, Role::Helper, Secret::new([1; 32]));
//! for device in 0..100 {
//!     let province = device % 2; // Hà Nội, Hà Giang
//!     let [for_leader, for_helper] = survey.device_report(province, &mut SystemEntropy)?;
//!     let at_leader = leader.prepare(&for_leader)?;
//!     let at_helper = helper.prepare(&for_helper)?;
//!     let (to_helper, to_leader) = (at_leader.message().to_vec(), at_helper.message().to_vec());
//!     leader.accumulate(at_leader, &to_leader)?;
//!     helper.accumulate(at_helper, &to_helper)?;
//! }
//! let counted = histogram(&survey, leader.finish()?, helper.finish()?)?;
//! assert_eq!(counted[..3], [50, 50, 0]);
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! The two aggregators together learn each report's province, and each learns from which address it came: put a proxy
//! between. Nobody is kept from reporting twice under two nonces, so that [`REPORTS_MIN`] is no protection from
//! whoever adds 99 reports of his own to one that he wants to know. No noise is added: the counts are exact, so that who
//! knows all other users of a province learns the last one's. `docs/adoption.md` in the repository has the reasons,
//! and how to run the same on an existing deployment of DAP.

use prio::codec::Encode;
use prio::vdaf::prio3::{Prio3Histogram, optimal_chunk_length};
use prio::vdaf::{Client, VdafError};

use crate::entropy::{Entropy, EntropyError};

mod aggregator;
mod provinces;
#[cfg(test)]
mod tests;

pub use aggregator::{
    AggregateShare, Aggregator, Prepared, REPORTS_MAX, ReportRefused, Role, histogram,
};
pub use provinces::{PROVINCES_2021, Province};

/// Reports without which no aggregator gives its sum away. Chosen: with fewer, most of 63 provinces would have one
/// or two; a survey of a whole country has thousands of times as many.
pub const REPORTS_MIN: usize = 100;

/// Provinces that a survey may have. Chosen: four times as many as there are; the work grows with it.
pub const PROVINCES_MAX: usize = 256;

const AGGREGATORS: u8 = 2;

/// A survey: its name, which all shares are bound to, and how many provinces there are.
#[derive(Clone, Debug)]
pub struct AdoptionSurvey {
    context: Vec<u8>,
    provinces: usize,
    reports_min: usize,
    vdaf: Prio3Histogram,
}

impl AdoptionSurvey {
    /// The survey `id`, of which there is one batch only (see [`batch`](Self::batch)), over `provinces` of them: for Vietnam's,
    /// [`PROVINCES_2021`]`.len()`.
    ///
    /// # Errors
    ///
    /// [`AdoptionError::Provinces`].
    pub fn new(id: [u8; 32], provinces: usize) -> Result<Self, AdoptionError> {
        if !(2..=PROVINCES_MAX).contains(&provinces) {
            return Err(AdoptionError::Provinces { got: provinces });
        }
        let context = [&b"truyvet adoption 1"[..], &id].concat();
        let chunk_length = optimal_chunk_length(provinces);
        Self::of(context, provinces, chunk_length, REPORTS_MIN)
    }

    /// The same survey's batch of this number. Shares are bound to it, so that none counts in another: an
    /// [`Aggregator`] knows the reports of its own batch alone, and a survey that is counted more than once without
    /// this would count a report again that somebody sends again. Devices have to be told the number of the batch that
    /// runs; what comes late is refused.
    #[must_use]
    pub fn batch(&self, number: u32) -> Self {
        let context = [&self.context[..], b" batch ", &number.to_be_bytes()].concat();
        Self {
            context,
            ..self.clone()
        }
    }

    fn of(
        context: Vec<u8>,
        provinces: usize,
        chunk_length: usize,
        reports_min: usize,
    ) -> Result<Self, AdoptionError> {
        let vdaf = Prio3Histogram::new_histogram(AGGREGATORS, provinces, chunk_length)?;
        Ok(Self {
            context,
            provinces,
            reports_min,
            vdaf,
        })
    }

    /// How many provinces it has.
    pub fn provinces(&self) -> usize {
        self.provinces
    }

    /// Prio3Histogram's chunk length here, which a deployment of DAP has to be told.
    pub fn chunk_length(&self) -> usize {
        optimal_chunk_length(self.provinces)
    }

    /// A device's report that it is in `province`, counted from 0: a share for the [leader](Role::Leader), and one for the
    /// [helper](Role::Helper), each to be sent to that one alone. To be called with the owner's consent, once a survey.
    ///
    /// The nonce is drawn from `entropy`; what splits the report always from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`AdoptionError::NoSuchProvince`], [`AdoptionError::Entropy`], [`AdoptionError::Prio`].
    pub fn device_report(
        &self,
        province: usize,
        entropy: &mut dyn Entropy,
    ) -> Result<[ReportShare; 2], AdoptionError> {
        if province >= self.provinces {
            return Err(AdoptionError::NoSuchProvince {
                got: province,
                provinces: self.provinces,
            });
        }
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce)?;
        let (public_share, input_shares) = self.vdaf.shard(&self.context, &province, &nonce)?;
        let public_share = encoded(&public_share)?;
        let [leader, helper] = input_shares.as_slice() else {
            return Err(AdoptionError::Prio);
        };
        let share = |input_share| ReportShare {
            nonce,
            public_share: public_share.clone(),
            input_share,
        };
        Ok([share(encoded(leader)?), share(encoded(helper)?)])
    }
}

fn encoded(value: &impl Encode) -> Result<Vec<u8>, AdoptionError> {
    value.get_encoded().map_err(|_| AdoptionError::Prio)
}

/// What one aggregator gets of a device's report.
#[derive(Clone, Eq, PartialEq)]
pub struct ReportShare {
    nonce: [u8; 16],
    public_share: Vec<u8>,
    input_share: Vec<u8>,
}

impl ReportShare {
    /// Of the public share: a seed of 32 bytes for each aggregator.
    const PUBLIC_BYTES: usize = 64;

    /// Bytes of a share at most: the leader's, of a survey with [`PROVINCES_MAX`].
    const BYTES_MAX: usize = 16 * 1024;

    /// Nonce, public share, and this aggregator's input share, as VDAF encodes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.nonce[..], &self.public_share, &self.input_share].concat()
    }

    /// A share as somebody sent it. Whether it is one is found when it is [prepared](Aggregator::prepare).
    ///
    /// # Errors
    ///
    /// [`ReportRefused::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReportRefused> {
        let refused = ReportRefused::Length { got: bytes.len() };
        if bytes.len() > Self::BYTES_MAX {
            return Err(refused);
        }
        let (nonce, rest) = bytes.split_first_chunk::<16>().ok_or(refused)?;
        let (public_share, input_share) =
            rest.split_at_checked(Self::PUBLIC_BYTES).ok_or(refused)?;
        Ok(Self {
            nonce: *nonce,
            public_share: public_share.to_vec(),
            input_share: input_share.to_vec(),
        })
    }
}

impl std::fmt::Debug for ReportShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportShare")
            .field("bytes", &self.input_share.len())
            .finish_non_exhaustive()
    }
}

/// No report or no histogram.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptionError {
    /// A number of provinces that no survey has.
    #[error("expected 2 to {PROVINCES_MAX} provinces, got {got}")]
    Provinces {
        /// How many there are.
        got: usize,
    },
    /// A province that the survey does not have.
    #[error("expected a province below {provinces}, got {got}")]
    NoSuchProvince {
        /// Which.
        got: usize,
        /// How many there are.
        provinces: usize,
    },
    /// There are no random bytes for a nonce.
    #[error("the random number generator gave no bytes for a nonce")]
    Entropy,
    /// Too few reports to tell a sum without telling of people.
    #[error("expected at least {min} reports in a batch, got {got}")]
    TooFewReports {
        /// How many there must be.
        min: usize,
        /// How many there are.
        got: usize,
    },
    /// The two sums are not the leader's and the helper's.
    #[error("expected one sum of the leader and one of the helper")]
    Roles,
    /// The two sums are not of the same reports.
    #[error("the two aggregators did not count the same reports: {leader} and {helper}")]
    BatchesDiffer {
        /// How many the leader counted.
        leader: usize,
        /// How many the helper counted.
        helper: usize,
    },
    /// The sums do not come to as many as there are reports: one is false, or of another survey.
    #[error("the two sums do not come to {reports} reports")]
    SumsDiffer {
        /// How many there are.
        reports: usize,
    },
    /// The library could not compute it.
    #[error("the share could not be computed")]
    Prio,
}

impl From<VdafError> for AdoptionError {
    fn from(_: VdafError) -> Self {
        Self::Prio
    }
}

impl From<EntropyError> for AdoptionError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}
