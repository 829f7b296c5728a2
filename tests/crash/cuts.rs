//! A power cut before, between and after all operations of a recording, with many outcomes of each.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::disk::CrashDisk;
use crate::platter::{Entry, Image, Outcome, Platter};

/// Power cuts of one run of all tests.
const CUTS: usize = 10_000;

/// So many; [`CUTS`] unless it is set.
const CUTS_VARIABLE: &str = "TRUYVET_CRASH_CUTS";

/// The one cut to be made again: `name:operations:number`, as a failure prints it.
const AT_VARIABLE: &str = "TRUYVET_CRASH_AT";

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// One power cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cut {
    pub(crate) name: String,
    /// Operations done before it.
    pub(crate) operations: usize,
    /// Of the outcome: 0 nothing that was not synced, 1 everything, else the seed of the chances.
    pub(crate) number: u64,
}

impl Cut {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = text.rsplitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (Some(number), Some(operations)) = (number(), number()) else {
            panic!("{AT_VARIABLE} is not name:operations:number: {text}");
        };
        Self {
            name: parts.next().unwrap_or_default().to_owned(),
            operations: usize::try_from(operations).unwrap(),
            number,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.operations, self.number)
    }
}

/// A cut after which something was not as it must be.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cut: Cut,
    pub(crate) why: String,
    around: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "after the cut {}: {}", self.cut, self.why)?;
        writeln!(f, "{}", self.around)?;
        let test = self.cut.name.split(['/', '#']).next().unwrap_or_default();
        write!(
            f,
            "again: {AT_VARIABLE}={} cargo test --test crash {test}",
            self.cut
        )
    }
}

/// What was done to a disk, and where it began.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) base: Image,
    pub(crate) journal: Vec<Entry>,
    /// Operations before the first cut.
    pub(crate) from: usize,
}

impl Recording {
    /// Of all that has been done to `disk`.
    pub(crate) fn of(name: &str, disk: &CrashDisk, from: usize) -> Self {
        Self {
            name: name.to_owned(),
            base: disk.base(),
            journal: disk.journal(),
            from,
        }
    }
}

/// How many cuts are to be made: `percent` of all.
pub(crate) fn budget(percent: usize) -> usize {
    let all = std::env::var(CUTS_VARIABLE).map_or(CUTS, |text| {
        let parsed = text.parse();
        parsed.unwrap_or_else(|_| panic!("{CUTS_VARIABLE} is no number: {text}"))
    });
    (all * percent).div_ceil(100)
}

/// Makes `cuts` cuts and gives what remains of the disk to `check`. Gives the number made.
pub(crate) fn walk(
    recording: &Recording,
    cuts: usize,
    mut check: impl FnMut(&Cut, Image) -> Result<(), String>,
) -> Result<usize, Failure> {
    let mut plan = Plan::new(recording, cuts);
    let mut platter = Platter::from(&recording.base);
    let (mut made, mut told) = (0, Instant::now());
    for operations in 0..=recording.journal.len() {
        if operations > 0 {
            platter.apply(&recording.journal[operations - 1]);
        }
        if operations < recording.from {
            continue;
        }
        for number in plan.numbers(operations, &platter) {
            let cut = Cut {
                name: recording.name.clone(),
                operations,
                number,
            };
            let image = platter.cut(Outcome::from_number(number));
            made += 1;
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                say(&format!("{cut}: {made} of {cuts}"));
            }
            check(&cut, image).map_err(|why| Failure {
                around: around(recording, operations),
                cut,
                why,
            })?;
        }
    }
    Ok(made)
}

/// Which outcomes of each cut are looked at.
enum Plan {
    /// So many in all, spread evenly; of a point of which a power cut leaves one thing only a quarter.
    Spread {
        cuts: usize,
        weight: usize,
        spent: usize,
        made: u64,
    },
    /// One.
    Only(Option<Cut>),
}

const CERTAIN: usize = 1;
const UNCERTAIN: usize = 4;

impl Plan {
    fn new(recording: &Recording, cuts: usize) -> Self {
        if let Ok(text) = std::env::var(AT_VARIABLE) {
            let cut = Cut::parse(&text);
            return Self::Only(Some(cut).filter(|cut| cut.name == recording.name));
        }
        let mut platter = Platter::from(&recording.base);
        let mut weight = 0;
        for operations in 0..=recording.journal.len() {
            if operations > 0 {
                platter.apply(&recording.journal[operations - 1]);
            }
            if operations >= recording.from {
                weight += Self::weight(&platter);
            }
        }
        Self::Spread {
            cuts,
            weight,
            spent: 0,
            made: 0,
        }
    }

    fn weight(platter: &Platter) -> usize {
        match platter.is_certain() {
            true => CERTAIN,
            false => UNCERTAIN,
        }
    }

    /// The outcomes of the next point: by turns the least, the most, and two of chance.
    fn numbers(&mut self, operations: usize, platter: &Platter) -> Vec<u64> {
        match self {
            Self::Spread {
                cuts,
                weight,
                spent,
                made,
            } => {
                *spent += Self::weight(platter);
                let before = *made;
                *made = (*cuts * *spent / *weight) as u64;
                let number = |turn: u64| match turn % 4 {
                    extreme @ (0 | 1) => extreme,
                    // Another one for each cut: the same chances in all would be few.
                    _ => (operations as u64) << 24 | turn,
                };
                (before..*made).map(number).collect()
            }
            Self::Only(Some(cut)) if cut.operations == operations => vec![cut.number],
            Self::Only(_) => Vec::new(),
        }
    }
}

/// What was done before the cut, and what would have come next.
fn around(recording: &Recording, operations: usize) -> String {
    let mut platter = Platter::from(&recording.base);
    let mut lines = Vec::new();
    for (number, entry) in (1..).zip(&recording.journal) {
        let line = format!("{number:>6} {}", platter.describe(entry));
        platter.apply(entry);
        if number == operations + 1 {
            lines.push("       -- power cut --".to_owned());
        }
        if (operations.saturating_sub(12)..=operations + 3).contains(&number) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Says something at once, whether the test fails or not.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "crash: {what}");
}
