//! Whether all files of a window are there.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::ExportHeader;
use crate::time::Timestamp;

/// Files of one window that do not make a whole. Keys that were published are missing then: what was found
/// may be told, that nothing was found may not.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Files are missing.
    #[error("{region:?} until {end}: expected {size} files, missing {}", Numbers(.missing))]
    Missing {
        /// Where the keys come from.
        region: String,
        /// The end of the window.
        end: Timestamp,
        /// The files of the window.
        size: u32,
        /// The numbers of those that are not there, from 1.
        missing: Vec<RangeInclusive<u32>>,
    },
    /// Two files of one window have the same number.
    #[error("{region:?} until {end}: expected one file {num} of {size}, got more")]
    Repeated {
        /// Where the keys come from.
        region: String,
        /// The end of the window.
        end: Timestamp,
        /// The number.
        num: u32,
        /// The files of the window.
        size: u32,
    },
    /// Two files of one window disagree on how many there are.
    #[error(
        "{region:?} until {end}: expected {size} files as one says, got another that says {other}"
    )]
    Sizes {
        /// Where the keys come from.
        region: String,
        /// The end of the window.
        end: Timestamp,
        /// The files of the window, as one says.
        size: u32,
        /// And as another says.
        other: u32,
    },
}

struct Numbers<'a>(&'a [RangeInclusive<u32>]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first} to {last}")?,
            }
        }
        Ok(())
    }
}

/// Checks that of each window, which region, start and end tell, every file is there once: 1 to
/// `batch_size`, as Google's verifier demands. Google's own server writes one file a window, and gives the
/// next one an end of its own.
///
/// # Errors
///
/// [`BatchError`], for the first window that is not whole.
pub fn check_batches<'h>(
    headers: impl IntoIterator<Item = &'h ExportHeader>,
) -> Result<(), BatchError> {
    let mut windows: BTreeMap<_, Vec<&ExportHeader>> = BTreeMap::new();
    for header in headers {
        let window = (header.start, header.end, header.region.as_str());
        windows.entry(window).or_default().push(header);
    }
    for ((_, end, region), mut files) in windows {
        files.sort_by_key(|header| header.batch_num);
        check_window(region, end, &files)?;
    }
    Ok(())
}

fn check_window(region: &str, end: Timestamp, files: &[&ExportHeader]) -> Result<(), BatchError> {
    let region = || region.to_owned();
    let size = files.first().map_or(0, |header| header.batch_size);
    // No more ranges than files and one, whatever the numbers claim.
    let mut missing = Vec::new();
    let mut last = 0;
    for header in files {
        let (num, other) = (header.batch_num, header.batch_size);
        if other != size {
            return Err(BatchError::Sizes {
                region: region(),
                end,
                size,
                other,
            });
        }
        if num == last {
            return Err(BatchError::Repeated {
                region: region(),
                end,
                num,
                size,
            });
        }
        if num > last + 1 {
            missing.push(last + 1..=num - 1);
        }
        last = num;
    }
    if last < size {
        missing.push(last + 1..=size);
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(BatchError::Missing {
        region: region(),
        end,
        size,
        missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(end_s: u64, batch_num: u32, batch_size: u32) -> ExportHeader {
        ExportHeader {
            start: Timestamp::from_unix_seconds(0),
            end: Timestamp::from_unix_seconds(end_s),
            region: String::from("VN"),
            batch_num,
            batch_size,
        }
    }

    fn check(files: &[(u64, u32, u32)]) -> Result<(), String> {
        let headers: Vec<_> = files.iter().map(|it| header(it.0, it.1, it.2)).collect();
        check_batches(&headers).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_windows() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[(1, 1, 1), (2, 1, 1)]), Ok(()));
        assert_eq!(check(&[(1, 3, 3), (1, 1, 3), (2, 1, 1), (1, 2, 3)]), Ok(()));
    }

    #[test]
    fn missing_files_are_told() {
        let missing = check(&[(1, 1, 1), (86_400, 2, 9), (86_400, 4, 9), (86_400, 5, 9)]);
        let expected = "\"VN\" until 1970-01-02T00:00:00Z: expected 9 files, missing 1, 3, 6 to 9";
        assert_eq!(missing.unwrap_err(), expected);
        // Two thousand million files are claimed, and not listed one by one.
        let most = i32::MAX as u32;
        let BatchError::Missing { missing, .. } = check_batches(&[header(1, 2, most)]).unwrap_err()
        else {
            panic!("not missing");
        };
        assert_eq!(missing, [1..=1, 3..=most]);
    }

    #[test]
    fn files_that_contradict_each_other() {
        let (region, end) = (String::from("VN"), Timestamp::from_unix_seconds(1));
        let twice = [header(1, 1, 2), header(1, 1, 2)];
        let error = BatchError::Repeated {
            region: region.clone(),
            end,
            num: 1,
            size: 2,
        };
        assert_eq!(check_batches(&twice), Err(error));
        let sizes = [header(1, 1, 2), header(1, 2, 3)];
        let error = BatchError::Sizes {
            region,
            end,
            size: 2,
            other: 3,
        };
        assert_eq!(check_batches(&sizes), Err(error));
    }
}
