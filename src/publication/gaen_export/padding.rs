//! Random keys among the real ones.

use super::write::WRITTEN_KEYS_MAX;
use super::{ExportWriteError, KeyList};
use crate::entropy::{Entropy, EntropyError};
use crate::protocol::gaen::DiagnosisKey;
use crate::time::IntervalNumber;

/// How many keys a file is filled up to with random ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Padding {
    /// Keys that a file has at least.
    pub min_keys: usize,
    /// Up to so many more, drawn anew for each file, so that its size does not say whether it was
    /// filled up.
    pub extra_max: usize,
}

impl Padding {
    /// No padding. The size of a file then tells how many people reported.
    pub const NONE: Self = Self {
        min_keys: 0,
        extra_max: 0,
    };
}

/// Google's server's: 1000 keys (EXPORT_FILE_MIN_RECORDS) and 0 to 99 more
/// (EXPORT_FILE_PADDING_RANGE).
impl Default for Padding {
    fn default() -> Self {
        Self {
            min_keys: 1000,
            extra_max: 99,
        }
    }
}

/// Fills `keys` up with random ones that look like them.
pub(super) fn pad(
    keys: &mut Vec<DiagnosisKey>,
    padding: Padding,
    entropy: &mut dyn Entropy,
) -> Result<(), ExportWriteError> {
    let real = keys.len();
    if real == 0 {
        return Ok(());
    }
    let extra = below(padding.extra_max.saturating_add(1), entropy)?;
    let target = padding.min_keys.saturating_add(extra);
    if real >= target {
        return Ok(());
    }
    // Before a single key is drawn: a number typed wrong must not fill the memory.
    if target > WRITTEN_KEYS_MAX {
        return Err(ExportWriteError::TooManyKeys { got: target });
    }
    while keys.len() < target {
        let Some(model) = keys.get(below(real, entropy)?) else {
            return Ok(());
        };
        let filling = look_alike(model, entropy)?;
        keys.push(filling);
    }
    Ok(())
}

fn look_alike(
    model: &DiagnosisKey,
    entropy: &mut dyn Entropy,
) -> Result<DiagnosisKey, ExportWriteError> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    let start = IntervalNumber(model.rolling_start().0);
    let mut key = DiagnosisKey::new(bytes, start, model.rolling_period()).map_err(|source| {
        ExportWriteError::InvalidKey {
            list: KeyList::New,
            index: 0,
            source,
        }
    })?;
    key.transmission_risk = model.transmission_risk;
    key.report_type = model.report_type;
    key.days_since_onset = model.days_since_onset;
    Ok(key)
}

/// A random number below `bound`, which must not be 0. The remainder of 64 random bits favours the
/// low numbers by less than one part in 2^44 for the bounds used here.
pub(in crate::publication) fn below(
    bound: usize,
    entropy: &mut dyn Entropy,
) -> Result<usize, EntropyError> {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes)?;
    Ok((u64::from_le_bytes(bytes) % bound.max(1) as u64) as usize)
}
