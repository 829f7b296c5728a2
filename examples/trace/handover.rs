//! The live screen is a package of its own, so that this one stays light to build: it is handed the same arguments.

use std::env;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::support::Error;

/// What to type where there is no cargo to ask.
const BY_HAND: &str = "in the checkout: cargo run --release -p truyvet-screen --";

/// Runs the screen in place of this program, with the same arguments and in the same terminal.
pub(crate) fn to_screen() -> Result<ExitCode, Error> {
    refuse_without_terminal()?;
    let cargo = env::var_os("CARGO").ok_or_else(|| {
        format!("the screen is a package of its own, which cargo builds; type {BY_HAND}, and the same arguments")
    })?;
    let mut command = Command::new(&cargo);
    command.args(["run", "--release", "--package", "truyvet-screen"]);
    // Cargo says where the checkout is; without it, it is looked for from here.
    if let Some(checkout) = env::var_os("CARGO_MANIFEST_DIR") {
        let manifest = PathBuf::from(checkout).join("Cargo.toml");
        command.arg("--manifest-path").arg(manifest);
    }
    command.arg("--").args(env::args_os().skip(1));
    let error = |e| format!("{}: {e}; type {BY_HAND}", cargo.display());
    in_place_of_this(command).map_err(|e| error(e).into())
}

/// A screen needs a terminal to be on.
pub(crate) fn refuse_without_terminal() -> Result<(), Error> {
    // A teletype, or a pipe into a file.
    if stdout().is_terminal() && env::var_os("TERM").is_none_or(|name| name != "dumb") {
        return Ok(());
    }
    Err("--screen needs a terminal that moves its cursor; without --screen, the same comes as lines".into())
}

/// No parent stays, so that signals and the terminal are the screen's alone. Returns if that fails.
#[cfg(unix)]
fn in_place_of_this(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn in_place_of_this(mut command: Command) -> std::io::Result<ExitCode> {
    let status = command.status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
