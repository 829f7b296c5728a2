//! The one way to standard output: whoever reads it may close it, and nothing panics.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Why nothing more is printed.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line, unless the output is closed. The first failure is kept for
/// [`failure`], and what comes after it is not printed.
macro_rules! say {
    () => {
        $crate::support::print_line(format_args!(""))
    };
    ($($words:tt)*) => {
        $crate::support::print_line(format_args!($($words)*))
    };
}
pub(crate) use say;

/// What [`say`] does.
pub(crate) fn print_line(line: fmt::Arguments<'_>) {
    print(format_args!("{line}\n"));
}

/// Prints `text` at once, without ending the line.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        let mut output = io::stdout().lock();
        *failed = output.write_fmt(text).and_then(|()| output.flush()).err();
    }
}

/// Whether printing is of no use any more.
pub(crate) fn is_closed() -> bool {
    FAILED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_some()
}

/// What went wrong while printing. That `| head` has seen enough is nothing wrong.
pub(super) fn failure() -> io::Result<()> {
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failed {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
