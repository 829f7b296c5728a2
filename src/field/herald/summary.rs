//! The three short files: who was detected, how often, and what the battery said.

use std::fmt;
use std::io::Read;

use super::csv::Records;
use super::{HeraldError, format_time, parse_time};
use crate::time::Timestamp;

/// `statistics.csv`'s first line: of each neighbour the readings and, in seconds, the time from one to the next.
pub const STATISTICS_HEADER: &str = "payload,count,mean,sd,min,max";

/// `battery.csv`'s first line.
pub const BATTERY_HEADER: &str = "time,source,level";

/// Levels read of a battery at most. Chosen: a month at Herald's one each half minute.
const LEVELS_MAX: usize = 86_400;

/// `detection.csv`, which is one line: a device, and whose identities it has read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Detection {
    /// The device's model.
    pub model: String,
    /// Its system.
    pub system: String,
    /// The system's version.
    pub version: String,
    /// Its own short name.
    pub own: String,
    /// The short names it has read.
    pub seen: Vec<String>,
}

impl Detection {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`HeraldError::Line`] if it has under four fields or no own name, [`HeraldError::Read`],
    /// [`HeraldError::TooLong`].
    pub fn read(from: impl Read) -> Result<Self, HeraldError> {
        let mut records = Records::new(from);
        records.advance()?;
        let record = records.record();
        // A field that is no UTF-8 keeps its place.
        let mut fields = record.iter().map(|it| it.unwrap_or_default().to_owned());
        let mut next = || fields.next().unwrap_or_default();
        let (model, system, version, own) = (next(), next(), next(), next());
        if own.is_empty() {
            return Err(HeraldError::Line {
                line: 1,
                expected: "model, system, version, own name, and the names seen",
                got: format!("{} fields", record.len()),
            });
        }
        Ok(Self {
            model,
            system,
            version,
            own,
            seen: fields.collect(),
        })
    }
}

/// The line, without its end; commas, quotes and ends of lines in it become spaces, as Herald's reader knows no quotes
/// there.
impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text: &str| text.replace([',', '"', '\'', '\n', '\r', '#'], " ");
        let head = [&self.model, &self.system, &self.version, &self.own];
        let all = head.into_iter().chain(&self.seen).map(|it| plain(it));
        f.write_str(&all.collect::<Vec<_>>().join(","))
    }
}

/// A line of `statistics.csv`, as it builds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    last: Option<Timestamp>,
    count: u64,
    mean_s: f64,
    squares: f64,
    range_s: Option<(f64, f64)>,
}

impl Statistics {
    /// A reading at `at`; one that is before the last counts as at the same time.
    pub fn add(&mut self, at: Timestamp) {
        if let Some(last) = self.last.replace(at) {
            let gap_s = at.since(last).as_secs_f64();
            self.count += 1;
            // Welford's way, which does not lose the small differences of large sums.
            let off = gap_s - self.mean_s;
            self.mean_s += off / self.count as f64;
            self.squares += off * (gap_s - self.mean_s);
            let (min, max) = self.range_s.unwrap_or((gap_s, gap_s));
            self.range_s = Some((min.min(gap_s), max.max(gap_s)));
        }
    }

    /// The line of the neighbour `name`; `None` before its second reading.
    pub fn line(&self, name: &str) -> Option<String> {
        let (min, max) = self.range_s?;
        let deviation = match self.count {
            0 | 1 => 0.0,
            more => (self.squares / (more - 1) as f64).sqrt(),
        };
        let (count, mean) = (self.count, self.mean_s);
        Some(format!("{name},{count},{mean},{deviation},{min},{max}"))
    }
}

/// A line of `battery.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatteryLevel {
    /// When.
    pub at: Timestamp,
    /// Whether the device is fed from outside.
    pub external: bool,
    /// How full the battery is, percent.
    pub percent: f32,
}

/// The line, without its end.
impl fmt::Display for BatteryLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.external {
            true => "external",
            false => "battery",
        };
        write!(f, "{},{source},{:.1}", format_time(self.at), self.percent)
    }
}

/// The lines of `battery.csv` that are some, the first 86,400 at most.
///
/// # Errors
///
/// [`HeraldError::Read`], [`HeraldError::TooLong`].
pub fn battery_levels(from: impl Read) -> Result<Vec<BatteryLevel>, HeraldError> {
    let mut records = Records::new(from);
    let mut levels = Vec::new();
    while levels.len() < LEVELS_MAX && records.advance()? {
        let record = records.record();
        let time = record.field(0).and_then(parse_time);
        let percent = record.field(2).and_then(|text| text.parse().ok());
        let percent = percent.filter(|it| (0.0..=100.0).contains(it));
        if let (Some(at), Some(percent)) = (time, percent) {
            let external = record.field(1) == Some("external");
            levels.push(BatteryLevel {
                at,
                external,
                percent,
            });
        }
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection_is_read_and_written() {
        let line = "SM-A202F,Android,29,EVoqIA,AayC8A,I3bFYw";
        let detection = Detection::read(line.as_bytes()).unwrap();
        assert_eq!(detection.own, "EVoqIA");
        assert_eq!(detection.seen, ["AayC8A", "I3bFYw"]);
        assert_eq!(detection.to_string(), line);
        assert!(Detection::read(&b"SM-A202F,Android,29\n"[..]).is_err());
        assert!(Detection::read(&b""[..]).is_err());
    }

    #[test]
    fn a_models_name_breaks_no_line() {
        let detection = Detection {
            model: "A \"B\", C\n".into(),
            own: "abc".into(),
            ..Detection::default()
        };
        assert_eq!(detection.to_string().split(',').count(), 4);
    }

    #[test]
    fn statistics_of_three_readings() {
        let mut statistics = Statistics::default();
        for ms in [0, 1_000, 4_000] {
            assert!(statistics.line("A").is_none() || ms == 4_000);
            statistics.add(Timestamp::from_unix_millis(ms));
        }
        let line = statistics.line("A").unwrap();
        assert!(line.starts_with("A,2,2,1.41421"), "{line}");
        assert!(line.ends_with(",1,3"), "{line}");
    }

    #[test]
    fn battery_is_read_and_written() {
        let line = "2020-12-08 22:55:17,battery,92.0";
        let text = format!("{BATTERY_HEADER}\n{line}\n2020-12-08 22:55:17,battery,101\nx\n");
        let levels = battery_levels(text.as_bytes()).unwrap();
        assert_eq!(levels.len(), 1);
        assert_eq!(levels[0].to_string(), line);
    }
}
