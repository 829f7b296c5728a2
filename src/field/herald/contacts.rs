//! `contacts.csv`: a line for each thing that happened with a neighbour.

use std::fmt;
use std::io::Read;

use super::csv::{Record, Records};
use super::{HeraldError, day_and_clock, format_time};
use crate::sighting::Rssi;
use crate::time::{Timestamp, UtcDay};

/// The first line, as Herald's phones wrote it in 2020. Later versions have further columns, which are passed over.
pub const CONTACTS_HEADER: &str = "time,sensor,id,detect,read,measure,share,visit,data";

/// The columns that are read.
const COLUMNS: [&str; 7] = ["time", "id", "detect", "read", "measure", "share", "data"];

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contact<'a> {
    /// When, to the second.
    pub at: Timestamp,
    /// Of whom: an address on Android, a number of the system's on iOS, a hash of the identifier in truyvet's logs.
    pub id: &'a str,
    /// What happened.
    pub what: What<'a>,
}

/// What happened with a neighbour.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum What<'a> {
    /// It was noticed: code 1.
    Detect,
    /// Who it is was read: code 2, with its short name.
    Read(&'a str),
    /// A frame of it was heard: code 3.
    Measure {
        /// How strong, if that was measured.
        rssi: Option<Rssi>,
        /// The power that it says to send with, dBm.
        tx_power_dbm: Option<i8>,
    },
    /// It, or another on its behalf, told who it is: code 4, with the short name.
    Share(&'a str),
    /// Something else.
    Other,
}

impl<'a> What<'a> {
    fn of_data(data: &str) -> Self {
        let (strength, power) = match data.split_once('[') {
            Some((strength, power)) => (strength, power.strip_suffix(']').unwrap_or(power)),
            None => (data, ""),
        };
        let number = |text: &str, key| -> Option<f32> {
            text.strip_prefix(key)?
                .parse()
                .ok()
                .filter(|it: &f32| it.abs() <= 127.0)
        };
        // Both are whole numbers with a point; a cast of a float to an integer saturates.
        let rssi = number(strength, "RSSI:").map(|dbm| dbm.round() as i32);
        let power = number(power, "BLETransmitPower:").map(|dbm| dbm.round() as i8);
        Self::Measure {
            rssi: rssi.and_then(Rssi::from_dbm),
            tx_power_dbm: power,
        }
    }
}

/// The line, without its end. Its texts are to be without commas, quotes and ends of lines, as
/// [short names](crate::field::participants::ShortName) and hashes are.
impl fmt::Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},BLE,{},", format_time(self.at), self.id)?;
        match self.what {
            What::Detect => f.write_str("1,,,,,"),
            What::Read(name) => write!(f, ",2,,,,{name}"),
            What::Share(name) => write!(f, ",,,4,,{name}"),
            What::Other => f.write_str(",,,,,"),
            What::Measure { rssi, tx_power_dbm } => {
                f.write_str(",,3,,,")?;
                if let Some(rssi) = rssi {
                    write!(f, "RSSI:{}.0", rssi.dbm())?;
                }
                match tx_power_dbm {
                    Some(dbm) => write!(f, "[BLETransmitPower:{dbm}.0]"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Reads `contacts.csv` line by line.
pub struct ContactsReader<R> {
    records: Records<R>,
    columns: [usize; COLUMNS.len()],
    /// Nearly all lines are of the day of the line above.
    day: Option<([u8; 10], UtcDay)>,
    refused: u64,
}

impl<R: Read> ContactsReader<R> {
    /// Reads the line with the columns' names.
    ///
    /// # Errors
    ///
    /// [`HeraldError::Header`] if one is missing, [`HeraldError::Read`], [`HeraldError::TooLong`].
    pub fn new(from: R) -> Result<Self, HeraldError> {
        let mut records = Records::new(from);
        let mut columns = [0; COLUMNS.len()];
        records.advance()?;
        let header = records.record();
        for (column, name) in columns.iter_mut().zip(COLUMNS) {
            let place = header.iter().position(|it| it == Some(name));
            *column = place.ok_or(HeraldError::Header {
                expected: CONTACTS_HEADER,
                missing: name,
            })?;
        }
        Ok(Self {
            records,
            columns,
            day: None,
            refused: 0,
        })
    }

    /// The next line that is one. Others are counted: a device that dies leaves half a line behind.
    ///
    /// # Errors
    ///
    /// [`HeraldError::Read`], [`HeraldError::TooLong`].
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives is borrowed from it"
    )]
    pub fn next(&mut self) -> Result<Option<Contact<'_>>, HeraldError> {
        while self.records.advance()? {
            let cells = Cells::of(&self.records.record(), &self.columns);
            let at = cells.and_then(|cells| time(cells.time, &mut self.day));
            let Some(at) = at else {
                self.refused += 1;
                continue;
            };
            // Once more, as what is not given out must not stay borrowed.
            let cells = Cells::of(&self.records.record(), &self.columns);
            return Ok(cells.map(|cells| cells.contact(at)));
        }
        Ok(None)
    }

    /// Lines that were none, so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// The cells of a line that are read.
struct Cells<'a> {
    time: &'a str,
    id: &'a str,
    codes: [&'a str; 4],
    data: &'a str,
}

impl<'a> Cells<'a> {
    /// `None` if one is missing.
    fn of(record: &Record<'a>, columns: &[usize; COLUMNS.len()]) -> Option<Self> {
        let [time, id, detect, read, measure, share, data] =
            columns.map(|column| record.field(column));
        Some(Self {
            time: time?,
            id: id?,
            codes: [detect?, read?, measure?, share?],
            data: data?,
        })
    }

    fn contact(self, at: Timestamp) -> Contact<'a> {
        let what = match self.codes {
            ["1", "", "", ""] => What::Detect,
            ["", "2", "", ""] => What::Read(self.data),
            ["", "", "3", ""] => What::of_data(self.data),
            ["", "", "", "4"] => What::Share(self.data),
            _ => What::Other,
        };
        Contact {
            at,
            id: self.id,
            what,
        }
    }
}

/// [`parse_time`](super::parse_time), which has the day of the line above at hand.
fn time(text: &str, last: &mut Option<([u8; 10], UtcDay)>) -> Option<Timestamp> {
    let (day, clock) = text.split_at_checked(10)?;
    let bytes = <[u8; 10]>::try_from(day.as_bytes()).ok()?;
    let day = match *last {
        Some((text, day)) if text == bytes => day,
        _ => day.parse().ok()?,
    };
    *last = Some((bytes, day));
    day_and_clock(day, clock)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::herald::parse_time;

    fn lines(text: &str) -> Result<(Vec<String>, u64), HeraldError> {
        let mut reader = ContactsReader::new(text.as_bytes())?;
        let mut lines = Vec::new();
        while let Some(contact) = reader.next()? {
            lines.push(contact.to_string());
        }
        Ok((lines, reader.refused()))
    }

    #[test]
    fn lines_of_each_kind_are_read_and_written() {
        let written = [
            "2020-12-08 22:55:02,BLE,6B5BFE4E,1,,,,,",
            "2020-12-08 22:55:02,BLE,6B5BFE4E,,2,,,,EVoqIA",
            "2020-12-08 22:55:03,BLE,C5CCD170,,,3,,,RSSI:-55.0",
            "2020-12-08 22:55:03,BLE,C5CCD170,,,3,,,",
            "2020-12-08 22:55:03,BLE,C5CCD170,,,3,,,RSSI:-78.0[BLETransmitPower:12.0]",
            "2020-12-08 22:55:03,BLE,C5CCD170,,,,4,,aq0oUQ",
            "2020-12-08 22:55:03,BLE,C5CCD170,,,,,,",
        ];
        let (read, refused) =
            lines(&format!("{CONTACTS_HEADER}\n{}\n", written.join("\n"))).unwrap();
        assert_eq!(read, written);
        assert_eq!(refused, 0);
    }

    #[test]
    fn columns_of_later_versions_are_passed_over() {
        let text = "time,sensor,id,detect,read,measure,share,visit,detectHerald,delete,data\n\
                    2021-03-22 10:00:00,BLE,AA,,,3,,,,,RSSI:-60.0\n\
                    2021-03-22 10:00:01,BLE,AA,,,,,,6,,\n";
        let mut reader = ContactsReader::new(text.as_bytes()).unwrap();
        let contact = reader.next().unwrap().unwrap();
        let rssi = Rssi::from_dbm(-60);
        let tx_power_dbm = None;
        assert_eq!(contact.what, What::Measure { rssi, tx_power_dbm });
        assert_eq!(reader.next().unwrap().unwrap().what, What::Other);
    }

    #[test]
    fn strengths_that_are_none() {
        for data in [
            "RSSI:127.0",
            "RSSI:-128.0",
            "RSSI:NaN",
            "RSSI:",
            "rssi:-60",
            "RSSI:1e9",
            "",
        ] {
            let what = What::of_data(data);
            assert!(matches!(what, What::Measure { rssi: None, .. }), "{data}");
        }
    }

    #[test]
    fn half_a_line_is_counted() {
        let whole = "2020-12-08 22:55:02,BLE,A,1,,,,,";
        let text =
            format!("{CONTACTS_HEADER}\n{whole}\nyesterday,BLE,A,1,,,,,\n{whole}\n2020-12-08 22:5");
        assert_eq!(lines(&text).unwrap(), (vec![whole.to_owned(); 2], 2));
    }

    #[test]
    fn column_that_is_missing() {
        for text in ["", "time,sensor,id,detect,read,measure,visit,data\n"] {
            let error = lines(text).unwrap_err().to_string();
            assert!(error.contains("got none named"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut text = format!("{CONTACTS_HEADER}\n").into_bytes();
            text.extend(bytes);
            let mut reader = ContactsReader::new(&text[..]).unwrap();
            while let Ok(Some(contact)) = reader.next() {
                let time = format_time(contact.at);
                prop_assert!(parse_time(&time).is_some());
            }
        }
    }
}
