//! One of the two that add up.

use std::collections::HashSet;

use prio::codec::ParameterizedDecode;
use prio::field::Field128;
use prio::vdaf::prio3::{Prio3Histogram, Prio3VerifierShare, Prio3VerifyState};
use prio::vdaf::{self, Aggregatable, Aggregator as _, Collector, VerifyTransition};

use super::{AdoptionError, AdoptionSurvey, ReportShare, encoded};
use crate::crypto::sha256;
use crate::secret::Secret;

/// Reports of one batch at most. Chosen: their nonces take 64 MiB or twice that, which bounds what a flood costs.
pub const REPORTS_MAX: usize = 1 << 22;

/// Which of the two aggregators.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// The one that gets the long shares.
    Leader,
    /// The one whose shares are seeds.
    Helper,
}

impl Role {
    /// VDAF's number of the aggregator.
    const fn number(self) -> usize {
        match self {
            Self::Leader => 0,
            Self::Helper => 1,
        }
    }
}

type VerifierShare = Prio3VerifierShare<Field128, 32>;

/// An aggregator: what it learns of any single report is whether it names exactly one province.
pub struct Aggregator {
    survey: AdoptionSurvey,
    role: Role,
    verify_key: Secret<32>,
    /// Of all reports that were prepared, counted or not.
    nonces: HashSet<[u8; 16]>,
    sum: vdaf::AggregateShare<Field128>,
    count: usize,
    /// As DAP has it: the digests of the counted reports' nonces, xored.
    checksum: [u8; 32],
}

impl Aggregator {
    /// An aggregator of `survey`. The two have the same `verify_key`, random, and nobody else has it: a device that knew it
    /// could lie.
    pub fn new(survey: &AdoptionSurvey, role: Role, verify_key: Secret<32>) -> Self {
        Self {
            sum: survey.vdaf.aggregate_init(&()),
            survey: survey.clone(),
            role,
            verify_key,
            nonces: HashSet::new(),
            count: 0,
            checksum: [0; 32],
        }
    }

    /// Begins to check a report. The other aggregator gets [`Prepared::message`], and its own goes to
    /// [`accumulate`](Self::accumulate).
    ///
    /// # Errors
    ///
    /// [`ReportRefused::Replayed`], [`ReportRefused::BatchFull`], [`ReportRefused::Malformed`].
    pub fn prepare(&mut self, share: &ReportShare) -> Result<Prepared, ReportRefused> {
        if self.nonces.contains(&share.nonce) {
            return Err(ReportRefused::Replayed);
        }
        if self.nonces.len() >= REPORTS_MAX {
            return Err(ReportRefused::BatchFull);
        }
        let vdaf = &self.survey.vdaf;
        let malformed = |_| ReportRefused::Malformed;
        let public_share = ParameterizedDecode::get_decoded_with_param(vdaf, &share.public_share)
            .map_err(malformed)?;
        let place = (vdaf, self.role.number());
        let input_share = ParameterizedDecode::get_decoded_with_param(&place, &share.input_share)
            .map_err(malformed)?;
        let (state, verifier) = vdaf
            .verify_init(
                self.verify_key.expose(),
                &self.survey.context,
                self.role.number(),
                &(),
                &share.nonce,
                &public_share,
                &input_share,
            )
            .map_err(|_| ReportRefused::Malformed)?;
        let message = encoded(&verifier).map_err(|_| ReportRefused::Malformed)?;
        self.nonces.insert(share.nonce);
        Ok(Prepared {
            nonce: share.nonce,
            state,
            verifier,
            message,
        })
    }

    /// Ends the check of a report with the other aggregator's `message`, and adds this one's share of it to the sum.
    ///
    /// # Errors
    ///
    /// [`ReportRefused::NotOneProvince`], [`ReportRefused::Malformed`]. The other aggregator refuses it too: both have
    /// the same two messages.
    pub fn accumulate(&mut self, own: Prepared, message: &[u8]) -> Result<(), ReportRefused> {
        let vdaf = &self.survey.vdaf;
        let other = VerifierShare::get_decoded_with_param(&own.state, message)
            .map_err(|_| ReportRefused::Malformed)?;
        let in_order = match self.role {
            Role::Leader => [own.verifier, other],
            Role::Helper => [other, own.verifier],
        };
        let context = &self.survey.context;
        let verified = vdaf
            .verifier_shares_to_message(context, &(), in_order)
            .and_then(|agreed| vdaf.verify_next(context, own.state, agreed))
            .map_err(|_| ReportRefused::NotOneProvince)?;
        let VerifyTransition::Finish(share) = verified else {
            return Err(ReportRefused::NotOneProvince);
        };
        self.sum
            .accumulate(&share)
            .map_err(|_| ReportRefused::Malformed)?;
        self.count += 1;
        for (sum, byte) in self.checksum.iter_mut().zip(sha256(&[&own.nonce])) {
            *sum ^= byte;
        }
        Ok(())
    }

    /// Which of the two it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How many reports it has counted.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Its sum, with which the batch ends. The nonces that it knows end with it: the next batch is of another survey, or
    /// of another [`batch`](AdoptionSurvey::batch) of this one, or a report of this may be counted in that again.
    ///
    /// # Errors
    ///
    /// [`AdoptionError::TooFewReports`] below [`REPORTS_MIN`](super::REPORTS_MIN), whoever asks.
    pub fn finish(self) -> Result<AggregateShare, AdoptionError> {
        self.survey.require_enough(self.count)?;
        Ok(AggregateShare {
            role: self.role,
            sum: self.sum,
            count: self.count,
            checksum: self.checksum,
        })
    }
}

impl AdoptionSurvey {
    fn require_enough(&self, got: usize) -> Result<(), AdoptionError> {
        let min = self.reports_min;
        match got >= min {
            true => Ok(()),
            false => Err(AdoptionError::TooFewReports { min, got }),
        }
    }
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aggregator")
            .field("role", &self.role)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// A report that one aggregator has begun to check.
pub struct Prepared {
    nonce: [u8; 16],
    state: Prio3VerifyState<Field128, 32>,
    verifier: VerifierShare,
    message: Vec<u8>,
}

impl Prepared {
    /// What the other aggregator has to be told.
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// The sum of one aggregator's shares: random without the other's.
pub struct AggregateShare {
    role: Role,
    sum: vdaf::AggregateShare<Field128>,
    count: usize,
    checksum: [u8; 32],
}

impl AggregateShare {
    /// How many reports are in it.
    pub fn count(&self) -> usize {
        self.count
    }

    #[cfg(test)]
    pub(super) fn sum_bytes(&self) -> Vec<u8> {
        encoded(&self.sum).unwrap()
    }
}

impl std::fmt::Debug for AggregateShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateShare")
            .field("role", &self.role)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// How many devices are in each province, from both aggregators' sums of `survey`.
///
/// # Errors
///
/// [`AdoptionError::TooFewReports`], [`AdoptionError::Roles`], [`AdoptionError::BatchesDiffer`],
/// [`AdoptionError::SumsDiffer`].
pub fn histogram(
    survey: &AdoptionSurvey,
    leader: AggregateShare,
    helper: AggregateShare,
) -> Result<Vec<u64>, AdoptionError> {
    if (leader.role, helper.role) != (Role::Leader, Role::Helper) {
        return Err(AdoptionError::Roles);
    }
    let reports = leader.count;
    if (leader.count, leader.checksum) != (helper.count, helper.checksum) {
        return Err(AdoptionError::BatchesDiffer {
            leader: leader.count,
            helper: helper.count,
        });
    }
    survey.require_enough(reports)?;
    let vdaf: &Prio3Histogram = &survey.vdaf;
    let differ = AdoptionError::SumsDiffer { reports };
    let counts = vdaf
        .unshard(&(), [leader.sum, helper.sum], reports)
        .map_err(|_| differ)?;
    let counts: Vec<u64> = counts
        .into_iter()
        .map(|count| u64::try_from(count).map_err(|_| differ))
        .collect::<Result<_, _>>()?;
    let total = counts
        .iter()
        .try_fold(0_u64, |sum, it| sum.checked_add(*it));
    match total == Some(reports as u64) {
        true => Ok(counts),
        false => Err(differ),
    }
}

/// A report that does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportRefused {
    /// Shorter or longer than any share.
    #[error("a report's share has not {got} bytes")]
    Length {
        /// Bytes it has.
        got: usize,
    },
    /// A report of the same nonce was there before.
    #[error("the report was there before")]
    Replayed,
    /// No more reports fit into this batch.
    #[error("the batch has {REPORTS_MAX} reports, and takes no more")]
    BatchFull,
    /// Bytes that are no share of this survey's form, or no message of the other aggregator's.
    #[error("the share or the other aggregator's message is malformed")]
    Malformed,
    /// The two shares together are not of exactly one province, or not for this survey, or one was changed. Which of these
    /// it is, nobody can tell.
    #[error("the report does not name exactly one province of this survey")]
    NotOneProvince,
}
