//! What must hold of a log after a power cut.

use truyvet::log::{LogError, LogReader, RETENTION_DAYS};

use crate::cuts::{Cut, Recording, budget, say, walk};
use crate::disk::CrashDisk;
use crate::forgetting::has_forgotten;
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
    /// The disk as it was before something was purged.
    pub(crate) attic: Option<Image>,
}

/// Plays `steps`, which must go well, and cuts the power at all their operations: `percent` of all cuts that
/// are to be made.
pub(crate) fn every_cut(name: &str, percent: usize, steps: &[Step]) {
    every_cut_of(name, percent, Session::fresh(), steps);
}

/// The same on what `session` has.
pub(crate) fn every_cut_of(name: &str, percent: usize, session: Session, steps: &[Step]) {
    let session = played_on(name, session, steps);
    let made = cut_everywhere(name, 0, &session, budget(percent));
    tell(name, session.disk.operations(), made);
}

/// An app that has done `steps`.
pub(crate) fn played(name: &str, steps: &[Step]) -> Session {
    played_on(name, Session::fresh(), steps)
}

fn played_on(name: &str, mut session: Session, steps: &[Step]) -> Session {
    session.run(steps);
    goes_well(name, &session);
    session.run(&[Step::Close]);
    session
}

fn goes_well(name: &str, session: &Session) {
    assert!(session.errors.is_empty(), "{name}: {:?}", session.errors);
    let compared = session.compare();
    compared.unwrap_or_else(|why| panic!("{name}: {why}"));
}

fn tell(name: &str, operations: usize, made: usize) {
    say(&format!(
        "{name}: {operations} operations, {made} power cuts, each with another one in the recovery"
    ));
}

/// Has the process die at each operation of `steps`, the next one do the steps `then`, and cuts the power at all
/// operations of that.
pub(crate) fn every_death(name: &str, percent: usize, steps: &[Step], then: &[Step]) {
    let operations = played(name, steps).disk.operations();
    let cuts = budget(percent).div_ceil(operations);
    let mut made = 0;
    for death in 0..operations {
        let name = format!("{name}/{death}");
        let mut session = Session::fresh();
        session.disk.die_at(death);
        session.run(steps);
        assert!(session.disk.is_dead(), "{name}");
        session.restart();
        session.run(then);
        goes_well(&name, &session);
        made += cut_everywhere(&name, death, &session, cuts);
    }
    tell(name, operations, made);
}

/// Cuts the power at each of the operations of `session` after the first `from`.
pub(crate) fn cut_everywhere(name: &str, from: usize, session: &Session, cuts: usize) -> usize {
    let recording = Recording::of(name, &session.disk, from);
    let made = walk(&recording, cuts, |cut, image| {
        let left = Left {
            image,
            known: session.known_at(cut.operations),
            sightings: session.sightings(),
            attic: session
                .before_purge()
                .map(|at| session.disk.cut_at(at, Outcome::Most)),
        };
        survives(left, cut)
    });
    made.unwrap_or_else(|failure| panic!("{failure}"))
}

/// That the log of `left` is whole, and goes on; also if the power is cut once more meanwhile.
pub(crate) fn survives(left: Left, cut: &Cut) -> Result<(), String> {
    let mut random = Random::new(cut.number).fork(cut.operations as u64);
    let mut left = left;
    let attic = left.attic.take();
    for again in 0..=SECOND_CUTS {
        let session = recovered(left, &mut random)?;
        if let Some(attic) = &attic {
            stays_forgotten(&session, attic)?;
        }
        if again == SECOND_CUTS {
            break;
        }
        let operations = random.below(session.disk.operations() + 1);
        let outcome = Outcome::from_number(random.below(1 << 20) as u64);
        left = Left {
            image: session.disk.cut_at(operations, outcome),
            known: session.known_at(operations),
            sightings: session.sightings(),
            attic: None,
        };
    }
    Ok(())
}

/// That of what was purged nothing can be read with the keys that are left, and the disk as it was, or as it is
/// with the old segments put back.
fn stays_forgotten(session: &Session, attic: &Image) -> Result<(), String> {
    let (known, mut present) = (session.known(), session.disk.cut(Outcome::Most));
    let past = Image {
        files: attic.files.clone(),
        keys: present.keys,
    };
    has_forgotten(&past, &known)?;
    for (name, bytes) in &attic.files {
        let file = present.files.entry(name.clone());
        file.or_insert_with(|| bytes.clone());
    }
    has_forgotten(&present, &known)
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
        if matches!(step, Step::Purge { .. }) {
            let compared = session.compare();
            compared.map_err(|why| format!("after {step:?}: {why}"))?;
        }
    }
    let reader = LogReader::open_on(session.disk.clone(), &session.keys());
    let reader = reader.map_err(|e| format!("it cannot be opened again: {e}"))?;
    session.known().compare(&reader)?;
    Ok(session)
}

/// Plays stories that `seed` makes up, and cuts each everywhere.
pub(crate) fn every_cut_of_stories(name: &str, percent: usize, seed: u64, stories: u64) {
    let cuts = budget(percent).div_ceil(stories as usize);
    let (mut operations, mut made) = (0, 0);
    for number in seed..seed + stories {
        let name = format!("{name}/{number}");
        let session = played(&name, &story(number));
        operations += session.disk.operations();
        made += cut_everywhere(&name, 0, &session, cuts);
    }
    tell(name, operations, made);
}

/// Days go by, with what an app may do in them.
fn story(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let (mut steps, mut day) = (vec![Step::Open], 0);
    for _ in 0..8 + random.below(8) {
        let count = 1 + random.below(20) as u32;
        steps.push(match random.below(11) {
            0..=2 => Step::Append { day, count },
            3 => Step::AppendOverMidnight { day, count },
            4 => Step::Gap { day },
            10 => Step::Enter { day },
            5 => Step::SaveKeys { day },
            6 => Step::Release { day },
            7 => Step::Purge { today: day },
            8 => Step::Open,
            _ => {
                day += [1, 1, 3, 10][random.below(4)];
                Step::Append { day, count }
            }
        });
    }
    steps.push(Step::Close);
    steps
}

/// What an app does that starts again: it always opens the log and appends to it.
fn steps_of_recovery(known: &Known, random: &mut Random) -> Vec<Step> {
    let oldest = known.oldest();
    let day = known.last_day().max(oldest);
    let day = day.map_or(0, |day| day.unix_days().saturating_sub(FIRST_DAY));
    // Once more what was purged last.
    let purged = oldest.map(|oldest| oldest.unix_days() + RETENTION_DAYS - FIRST_DAY);
    let today = purged.unwrap_or(day).max(day);
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
