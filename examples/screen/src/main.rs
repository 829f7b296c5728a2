//! The example `trace` on a live screen: the same arguments and radios, the same story, shown otherwise.

// Trace whole, as it is. What it calls by the crate's name is given that name here.
#[allow(dead_code, reason = "its lines, and how it hands over to this")]
#[path = "../../trace/main.rs"]
mod trace;
use trace::{aftermath, authority, ending, show, story, support};

mod draw;
mod nearness;
mod neighbours;
mod screen;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use screen::Screen;
use trace::{Args, handover};

#[tokio::main]
async fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    let result = match Args::from_arg_matches(&matches) {
        Ok(args) => match handover::refuse_without_terminal() {
            Ok(()) => trace::run(&args, &matches, &mut Screen::default()).await,
            Err(error) => Err(error),
        },
        Err(error) => error.exit(),
    };
    support::run(result)
}
