//! A disk of which every call fails once, or that is full from every call on.

use std::io::ErrorKind;

use truyvet::log::{LogError, LogReader};

use crate::cuts::{Cut, say};
use crate::platter::{Entry, Outcome};
use crate::session::{Session, Step};
use crate::surviving::{Left, survives};
use crate::trouble::Trouble;

/// Power cuts after each failure.
const CUTS: u64 = 3;

/// Plays `steps` once for each of their calls, with `trouble` at that call. Whatever fails, nothing that was
/// acknowledged is lost, and once the trouble is over the next append stores what could not be stored; also if the
/// power is cut then. Gives what failed.
pub(crate) fn every_call(
    name: &str,
    steps: &[Step],
    trouble: impl Fn(usize) -> Trouble,
) -> Vec<String> {
    let mut dry = Session::fresh();
    dry.run(steps);
    assert!(dry.errors.is_empty(), "{name}: {:?}", dry.errors);
    let (mut troubled, mut noticed) = (Vec::new(), 0);
    for call in 1..=dry.disk.calls() {
        let mut session = Session::fresh();
        session.disk.trouble(trouble(call));
        session.run(steps);
        let failed = session.disk.failed();
        let Some(first) = failed.first().cloned() else {
            continue;
        };
        noticed += usize::from(!session.errors.is_empty());
        goes_on(session, name, call)
            .unwrap_or_else(|why| panic!("{name}, call {call}, which is to {first}: {why}"));
        troubled.push(first);
    }
    say(&format!(
        "{name}: {} calls failed, {noticed} of them were told",
        troubled.len()
    ));
    troubled
}

fn goes_on(mut session: Session, name: &str, call: usize) -> Result<(), String> {
    for error in std::mem::take(&mut session.errors) {
        says_what_is_wrong(&error)?;
    }
    session.disk.trouble(Trouble::None);
    let append = Step::Append { day: 1, count: 1 };
    session.run(&[append]);
    if let Some(error) = session.errors.first() {
        return Err(format!("the trouble is over, and it fails still: {error}"));
    }
    session.compare()?;
    is_latched(&session.disk.journal())?;
    cut(&session, name, call)?;
    session.run(&[Step::Open, append]);
    if let Some(error) = session.errors.first() {
        return Err(format!("it cannot be opened again: {error}"));
    }
    session.run(&[Step::Close]);
    let reader = LogReader::open_on(session.disk.clone(), &session.keys());
    let reader = reader.map_err(|e| format!("it cannot be opened to be read: {e}"))?;
    session.known().compare(&reader)
}

/// That it is all the same if the power is cut now.
fn cut(session: &Session, name: &str, call: usize) -> Result<(), String> {
    for number in 0..CUTS {
        let cut = Cut {
            name: format!("{name}/{call}"),
            operations: session.disk.operations(),
            number,
        };
        let left = Left {
            image: session.disk.cut(Outcome::from_number(number)),
            known: session.known(),
            sightings: session.sightings(),
            attic: None,
        };
        survives(left, &cut).map_err(|why| format!("after the cut {number}: {why}"))?;
    }
    Ok(())
}

/// That an error names the file and the system's reason, and what to do if there is no room; or is the key's.
fn says_what_is_wrong(error: &LogError) -> Result<(), String> {
    let text = error.to_string();
    let says = |words: &str| match text.contains(words) {
        true => Ok(()),
        false => Err(format!("an error does not say {words:?}: {text}")),
    };
    match error {
        LogError::Io { path, source, .. } => {
            says(&path.display().to_string())?;
            says(&source.to_string())?;
            match source.kind() {
                ErrorKind::StorageFull => says("free some space"),
                ErrorKind::ReadOnlyFilesystem => says("give another directory"),
                _ => Ok(()),
            }
        }
        LogError::Key(_) => Ok(()),
        _ => Err(format!("an error that is not the disk's: {text}")),
    }
}

/// That nothing was appended to a file whose sync has failed.
pub(crate) fn is_latched(journal: &[Entry]) -> Result<(), String> {
    let mut failed = Vec::new();
    for entry in journal {
        match entry {
            Entry::FailedSync { file } => failed.push(*file),
            Entry::Append { file, .. } | Entry::Overwrite { file, .. } if failed.contains(file) => {
                return Err("something was appended after a failed sync".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// That nothing can be written, which is said at once, and that all can be read.
pub(crate) fn read_only(steps: &[Step]) {
    let mut session = Session::fresh();
    session.run(steps);
    assert!(session.errors.is_empty(), "{:?}", session.errors);
    session.disk.trouble(Trouble::ReadOnly);
    let operations = session.disk.operations();
    session.run(&[Step::Open]);
    let [error @ LogError::Io { source, .. }] = &session.errors[..] else {
        panic!("{:?}", session.errors);
    };
    assert_eq!(source.kind(), ErrorKind::ReadOnlyFilesystem);
    says_what_is_wrong(error).unwrap();
    assert_eq!(session.disk.operations(), operations);
    if session.known().is_made() {
        let reader = LogReader::open_on(session.disk.clone(), &session.keys()).unwrap();
        session.known().compare(&reader).unwrap();
    }
}
