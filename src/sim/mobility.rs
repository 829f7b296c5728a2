//! Where people were, from a file: a trace of movements as CSV.

use std::collections::HashMap;

/// Rows at most. Chosen: as many people at as many times as are compared with each other in a minute.
const ROWS_MAX: usize = 2_000_000;

/// People at most. Chosen: so that all of them in one place can be compared with each other.
const PEOPLE_MAX: usize = 5_000;

/// Places at most. Chosen: a home for each.
const PLACES_MAX: usize = 10_000;

/// Bytes of a name. Chosen.
const NAME_BYTES_MAX: usize = 64;

/// A trace lasts for so long at most, seconds. Chosen: sixty days.
const SECONDS_MAX: f64 = 60.0 * 86_400.0;

/// Coordinates lie within so many metres. Chosen: a large country.
const METRES_MAX: f64 = 1e7;

/// The place of whoever is near nobody.
const AWAY: &str = "away";

/// Where somebody was from one time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) at_ms: u64,
    pub(super) person: u32,
    pub(super) x_m: f32,
    pub(super) y_m: f32,
    /// `None` if away from everybody.
    pub(super) place: Option<u32>,
}

/// A trace of movements.
///
/// Rows of `time_s,person,x_m,y_m` or `time_s,person,x_m,y_m,place`, in any order, with or without that line as a
/// heading. From its time on the person stands there until the next row, or the end. People of different places
/// neither meet nor hear each other; without a place all are in one, and in the place `away` nobody meets anybody.
#[derive(Clone, Debug, PartialEq)]
pub struct Mobility {
    /// By person, then time.
    pub(super) rows: Vec<Row>,
    pub(super) places: Vec<String>,
    people: u32,
    end_ms: u64,
}

/// A trace that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MobilityError {
    /// It is too long.
    #[error("expected at most {max} {what}, got {got}: cut the trace")]
    TooMany {
        /// Bytes, rows, people or places.
        what: &'static str,
        /// How many there may be.
        max: usize,
        /// How many there are, or more.
        got: usize,
    },
    /// A line is no row.
    #[error("line {line}: expected {expected}, got `{got}`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What does, shortened.
        got: String,
    },
    /// There is no row.
    #[error("expected rows of time_s,person,x_m,y_m[,place], got none")]
    Empty,
}

/// Names in the order in which they came.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, u32>, Vec<&'a str>);

impl<'a> Names<'a> {
    fn number(&mut self, name: &'a str) -> u32 {
        let next = u32::try_from(self.1.len()).unwrap_or(u32::MAX);
        *self.0.entry(name).or_insert_with(|| {
            self.1.push(name);
            next
        })
    }
}

impl Mobility {
    /// Bytes of a trace at most, 64 MiB. Chosen: two million rows.
    pub const BYTES_MAX: usize = 64 << 20;

    /// Reads a trace.
    ///
    /// # Errors
    ///
    /// [`MobilityError`], with the line.
    pub fn parse(csv: &str) -> Result<Self, MobilityError> {
        at_most("bytes", Self::BYTES_MAX, csv.len())?;
        let (mut people, mut places) = (Names::default(), Names::default());
        let (mut rows, mut origin) = (Vec::new(), None);
        for (index, text) in csv.lines().enumerate() {
            let text = text.trim().trim_start_matches('\u{feff}');
            if text.is_empty() || (index == 0 && text.starts_with("time_s")) {
                continue;
            }
            rows.push(row(index + 1, text, &mut people, &mut places, &mut origin)?);
            at_most("rows", ROWS_MAX, rows.len())?;
            at_most("people", PEOPLE_MAX, people.1.len())?;
            at_most("places", PLACES_MAX, places.1.len())?;
        }
        let end_ms = rows.iter().map(|row| row.at_ms).max();
        let end_ms = end_ms.ok_or(MobilityError::Empty)?;
        // Stable: of two rows of one time the later line holds.
        rows.sort_by_key(|row| (row.person, row.at_ms));
        Ok(Self {
            rows,
            places: places.1.into_iter().map(str::to_owned).collect(),
            people: u32::try_from(people.1.len()).unwrap_or(u32::MAX),
            end_ms,
        })
    }

    /// People in it.
    pub fn people(&self) -> u32 {
        self.people
    }

    /// Days that it lasts, the last one begun among them.
    pub fn days(&self) -> u32 {
        u32::try_from(self.end_ms / super::DAY_MS + 1).unwrap_or(u32::MAX)
    }

    pub(super) fn end_ms(&self) -> u64 {
        self.end_ms
    }
}

fn at_most(what: &'static str, max: usize, got: usize) -> Result<(), MobilityError> {
    match got > max {
        true => Err(MobilityError::TooMany { what, max, got }),
        false => Ok(()),
    }
}

fn row<'a>(
    line: usize,
    text: &'a str,
    people: &mut Names<'a>,
    places: &mut Names<'a>,
    origin: &mut Option<(f64, f64)>,
) -> Result<Row, MobilityError> {
    let fields: Vec<&str> = text.split(',').take(6).map(str::trim).collect();
    let (time, person, x, y, place) = match fields.as_slice() {
        [time, person, x, y] => (*time, *person, *x, *y, ""),
        [time, person, x, y, place] => (*time, *person, *x, *y, *place),
        _ => {
            let expected = "time_s,person,x_m,y_m[,place]";
            return Err(wrong(line, expected, text));
        }
    };
    let seconds = number(line, "seconds from 0 to 5184000", time, 0.0..=SECONDS_MAX)?;
    let metres = -METRES_MAX..=METRES_MAX;
    let x = number(line, "metres within 10000 km", x, metres.clone())?;
    let y = number(line, "metres within 10000 km", y, metres)?;
    if person.is_empty() || person.len() > NAME_BYTES_MAX {
        return Err(wrong(line, "a person's name of 1 to 64 bytes", person));
    }
    if place.len() > NAME_BYTES_MAX {
        return Err(wrong(line, "a place's name of at most 64 bytes", place));
    }
    let (from_x, from_y) = *origin.get_or_insert((x, y));
    Ok(Row {
        at_ms: (seconds * 1_000.0).round() as u64,
        person: people.number(person),
        // From where the first one was: a country's own coordinates would leave an f32 no centimetres.
        x_m: (x - from_x) as f32,
        y_m: (y - from_y) as f32,
        place: (place != AWAY).then(|| places.number(place)),
    })
}

fn number(
    line: usize,
    expected: &'static str,
    text: &str,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, MobilityError> {
    let value = text.parse::<f64>().ok();
    value
        .filter(|value| range.contains(value))
        .ok_or_else(|| wrong(line, expected, text))
}

fn wrong(line: usize, expected: &'static str, got: &str) -> MobilityError {
    MobilityError::Line {
        line,
        expected,
        got: got.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_in_any_order_with_a_heading_and_places() {
        let csv = "time_s,person,x_m,y_m,place\n10,Binh,1,2,bus\n0,An,0,0,bus\n5.5,An,3,0,away\n0,Binh,0,0,\n";
        let trace = Mobility::parse(csv).unwrap();
        assert_eq!((trace.people(), trace.days()), (2, 1));
        assert_eq!(trace.places, ["bus", ""]);
        let times: Vec<_> = trace
            .rows
            .iter()
            .map(|row| (row.person, row.at_ms))
            .collect();
        assert_eq!(times, [(0, 0), (0, 10_000), (1, 0), (1, 5_500)]);
        assert_eq!(trace.rows[3].place, None);
        // From where the first row's person is.
        assert_eq!((trace.rows[0].x_m, trace.rows[0].y_m), (-1.0, -2.0));
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        let told = |csv: &str| Mobility::parse(csv).unwrap_err().to_string();
        assert_eq!(
            told("0,An,0,0\n1,An,x,0"),
            "line 2: expected metres within 10000 km, got `x`"
        );
        assert!(told("-1,An,0,0").starts_with("line 1: expected seconds"));
        assert!(told("NaN,An,0,0").starts_with("line 1: expected seconds"));
        assert!(told("1,An,inf,0").starts_with("line 1: expected metres"));
        assert!(told("1,,0,0").contains("a person's name"));
        assert!(told("1,An,0").contains("time_s,person"));
        assert!(told("1,An,0,0,a,b").contains("time_s,person"));
        assert!(told(&"9".repeat(500)).len() < 120);
        assert_eq!(Mobility::parse("\n\n"), Err(MobilityError::Empty));
    }

    #[test]
    fn too_many_people_are_refused() {
        let csv: String = (0..=PEOPLE_MAX).map(|n| format!("0,p{n},0,0\n")).collect();
        let refused = Mobility::parse(&csv).unwrap_err();
        assert!(
            matches!(refused, MobilityError::TooMany { what: "people", .. }),
            "{refused}"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-z,.\n\u{e9}-]{0,400}") {
            if let Ok(trace) = Mobility::parse(&text) {
                prop_assert!(trace.people() > 0 && !trace.rows.is_empty());
            }
        }
    }
}
