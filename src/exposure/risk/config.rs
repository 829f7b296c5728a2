//! Configurations of risk models, as data that anyone may have written.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

/// The bytes that one configuration may have. Chosen: Corona-Warn-App's, the longest known, takes 1.6 kB
/// as JSON.
pub const CONFIG_BYTES_MAX: usize = 65_536;

/// Characters of another's text that an error repeats.
const REASON_CHARS_MAX: usize = 200;

/// A configuration that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More bytes than [`CONFIG_BYTES_MAX`].
    #[error("expected a configuration of at most {CONFIG_BYTES_MAX} bytes, got {len}")]
    TooLong {
        /// Bytes it has.
        len: usize,
    },
    /// No JSON, an unknown field, one that is missing, or a value of the wrong type.
    #[error("{reason}")]
    Malformed {
        /// What serde says, with line and column.
        reason: String,
    },
    /// A value that the model has no meaning for.
    #[error("{field}: expected {expected}, got {got}")]
    OutOfRange {
        /// Which.
        field: String,
        /// What it may be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A model that there is not.
    #[error("expected a risk model out of {expected}, got \"{got}\"")]
    UnknownModel {
        /// Those that there are.
        expected: String,
        /// As given.
        got: String,
    },
}

impl ConfigError {
    /// That `field` is `got`, and not `expected`.
    pub(crate) fn out_of_range(
        field: impl Display,
        expected: impl Display,
        got: impl Display,
    ) -> Self {
        Self::OutOfRange {
            field: field.to_string(),
            expected: expected.to_string(),
            got: shortened(&got.to_string()),
        }
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).collect()
}

/// A configuration as data. Fields that are left out of the JSON have their defaults, unless they
/// say otherwise; unknown ones are refused, as a weight with a slip in its name must not be forgotten.
pub trait Configuration: DeserializeOwned {
    /// Whether every value has a meaning.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for the first that has none.
    fn check(&self) -> Result<(), ConfigError>;

    /// Reads and checks it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        if json.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong { len: json.len() });
        }
        let config: Self =
            serde_json::from_slice(json).map_err(|error| ConfigError::Malformed {
                reason: shortened(&error.to_string()),
            })?;
        config.check()?;
        Ok(config)
    }
}

/// That `value` lies in `range`; not a number never does.
pub(crate) fn check_range<T: PartialOrd + Display>(
    field: impl Display,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("{} to {}", range.start(), range.end());
    Err(ConfigError::out_of_range(field, expected, value))
}

/// That each of `values` lies in `range`.
pub(super) fn check_all<T: PartialOrd + Display + Copy>(
    field: &str,
    values: &[T],
    range: &RangeInclusive<T>,
) -> Result<(), ConfigError> {
    values.iter().enumerate().try_for_each(|(index, value)| {
        check_range(format!("{field}[{index}]"), *value, range.clone())
    })
}

/// That each of `values` is greater than the one before it.
pub(super) fn check_ascending<T: PartialOrd + Display + Copy>(
    field: &str,
    values: &[T],
) -> Result<(), ConfigError> {
    let (index, before, value) =
        match values
            .windows(2)
            .enumerate()
            .find_map(|(index, pair)| match pair {
                [before, value] if before < value => None,
                [before, value] => Some((index + 1, *before, *value)),
                _ => None,
            }) {
            None => return Ok(()),
            Some(found) => found,
        };
    Err(ConfigError::out_of_range(
        format!("{field}[{index}]"),
        format!("more than the {before} before it"),
        value,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_in_no_range() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 2.6] {
            let error = check_range("weight", value, 0.0..=2.5).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("weight: expected 0 to 2.5, got ")
            );
        }
        for value in [0.0, 2.5] {
            assert_eq!(check_range("weight", value, 0.0..=2.5), Ok(()));
        }
    }

    #[test]
    fn thresholds_that_do_not_ascend() {
        assert_eq!(check_ascending("t", &[1, 2, 3]), Ok(()));
        assert_eq!(check_ascending::<u8>("t", &[]), Ok(()));
        for wrong in [[1, 1, 2], [2, 1, 3], [1, 3, 2]] {
            let error = check_ascending("t", &wrong).unwrap_err();
            assert!(error.to_string().contains("before it, got"), "{error}");
        }
    }
}
