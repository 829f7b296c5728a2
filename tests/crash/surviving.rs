//! What must hold of a log after a power cut.

use truyvet::log::{LogError, LogReader};

use crate::cuts::{Cut, Recording, budget, say, walk};
use crate::disk::CrashDisk;
use crate::keys::CrashKeys;
use crate::known::Known;
use crate::platter::{Image, Outcome};
use crate::random::Random;
use crate::session::{FIRST_DAY, Session, Step};

/// How often the power is cut again while the log recovers.
const SECOND_CUTS: u32 = 1;

/// A log before the power cut, and what is left of its disk.
#[derive(Clone)]
pub(crate) struct Left {
    pub(crate) image: Image,
    pub(crate) known: Known,
    /// So far, so that none is made twice.
    pub(crate) sightings: u32,
}

/// Cuts the power at all operations of `steps`, `percent` of all cuts that are to be made.
pub(crate) fn every_cut(name: &str, percent: usize, steps: &[Step]) {
    let session = Session::new(CrashDisk::new(&Image::default()), Known::default(), 0);
    every_cut_of(name, percent, session, steps);
}

/// The same of what `session` does from now on.
pub(crate) fn every_cut_of(name: &str, percent: usize, mut session: Session, steps: &[Step]) {
    let from = session.disk.operations();
    session.run(steps);
    assert!(session.errors.is_empty(), "{name}: {:?}", session.errors);
    session
        .compare()
        .unwrap_or_else(|why| panic!("{name}: {why}"));
    session.run(&[Step::Close]);
    let made = cut_everywhere(name, from, &session, budget(percent));
    say(&format!(
        "{name}: {} operations, {made} power cuts, each with another one in the recovery",
        session.disk.operations() - from
    ));
}

/// Cuts the power at each of the operations of `session` after the first `from`.
pub(crate) fn cut_everywhere(name: &str, from: usize, session: &Session, cuts: usize) -> usize {
    let recording = Recording {
        name: name.to_owned(),
        base: Image::default(),
        journal: session.disk.journal(),
        from,
    };
    let made = walk(&recording, cuts, |cut, image| {
        let left = Left {
            image,
            known: session.known_at(cut.operations),
            sightings: session.sightings(),
        };
        survives(left, cut)
    });
    made.unwrap_or_else(|failure| panic!("{failure}"))
}

/// That the log of `left` is whole, and goes on; also if the power is cut once more meanwhile.
pub(crate) fn survives(left: Left, cut: &Cut) -> Result<(), String> {
    let mut random = Random::new(cut.number).fork(cut.operations as u64);
    let mut left = left;
    for again in 0..=SECOND_CUTS {
        let session = recovered(left, &mut random)?;
        if again == SECOND_CUTS {
            break;
        }
        let operations = random.below(session.disk.operations() + 1);
        let outcome = Outcome::from_number(random.below(1 << 20) as u64);
        left = Left {
            image: session.disk.cut_at(operations, outcome),
            known: session.known_at(operations),
            sightings: session.sightings(),
        };
    }
    Ok(())
}

/// The session in which an app goes on after the power cut.
fn recovered(left: Left, random: &mut Random) -> Result<Session, String> {
    let disk = CrashDisk::new(&left.image);
    let mut known = left.known;
    // Somebody who only reads may be the first.
    match LogReader::open_on(disk.clone(), &CrashKeys(disk.clone())) {
        Ok(reader) => known.settle(&reader)?,
        Err(LogError::NoLog { .. }) if !known.is_made() => {}
        Err(e) => return Err(format!("it cannot be opened to be read: {e}")),
    }
    let mut session = Session::new(disk, known, left.sightings);
    for step in steps_of_recovery(&session.known(), random) {
        session.run(&[step]);
        if let Some(error) = session.errors.first() {
            return Err(format!("{step:?} fails: {error}"));
        }
        session
            .compare()
            .map_err(|why| format!("after {step:?}: {why}"))?;
    }
    let reader = LogReader::open_on(session.disk.clone(), &session.keys());
    let reader = reader.map_err(|e| format!("it cannot be opened again: {e}"))?;
    session.known().compare(&reader)?;
    Ok(session)
}

/// What an app does that starts again: it always opens the log and appends to it.
fn steps_of_recovery(known: &Known, random: &mut Random) -> Vec<Step> {
    let day = known
        .last_day()
        .map_or(0, |day| day.unix_days() - FIRST_DAY);
    // As late as the last purge, but for the day of the newest sighting.
    let today = known
        .oldest()
        .map_or(day, |oldest| day.max(oldest.unix_days() + 14 - FIRST_DAY));
    let append = Step::Append { day, count: 2 };
    let purge = Step::Purge { today };
    let mut steps = vec![Step::Open];
    match random.below(4) {
        0 => steps.push(append),
        1 => steps.extend([append, Step::Open, append]),
        2 => steps.extend([purge, append]),
        _ => steps.extend([Step::SaveKeys { day }, append]),
    }
    if !random.one_in(3) {
        steps.push(Step::Close);
    }
    steps
}
