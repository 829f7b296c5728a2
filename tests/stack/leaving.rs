//! However a process that advertises ends, nothing of it stays on the air.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use truyvet::Protocol;
use truyvet::time::SystemClock;

use super::bed::{Bed, Traced, myself, on_bed, runtime, signal, task, until};
use super::snoop::Snoop;

/// How soon the air is silent. Chosen: the bus notices that a connection has closed at once, and BlueZ
/// has one command to send.
const SILENT_WITHIN: Duration = Duration::from_secs(1);

/// How the process that [`a_process_that_advertises`] plays is to end, with its exit code.
const ENDS: [(&str, Option<i32>); 4] = [
    ("panic", Some(101)),
    ("stop", Some(0)),
    ("interrupt", Some(0)),
    ("kill", None),
];

/// What it says first.
const ADVERTISES: &str = "it advertises";

/// Not a test: the process that [`nothing_left_behind`] starts.
#[test]
#[ignore = "is started by another test"]
fn a_process_that_advertises() {
    let Some(end) = task().filter(|task| ENDS.iter().any(|(end, _)| end == task)) else {
        return;
    };
    runtime().block_on(async {
        let clock = Arc::new(SystemClock::default());
        let traced = Traced::start(0, Protocol::gaen(), clock).await;
        // The handler stands before the other process may send the signal.
        let interrupted = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        let mut interrupted = interrupted.unwrap();
        println!("\n{ADVERTISES}");
        match end.as_str() {
            "panic" => panic!("as asked for"),
            "stop" => drop(traced.tracer.stop().await.unwrap()),
            _ => {
                interrupted.recv().await;
                traced.tracer.stop().await.unwrap();
            }
        }
    });
}

/// Starts the process, and waits until it advertises. It may say more.
fn advertise(end: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = myself("leaving::a_process_that_advertises", end)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let said = lines.any(|line| line == ADVERTISES);
    assert!(said, "the process should advertise before it ends");
    (child, lines)
}

async fn is_silent(bed: &Bed) -> bool {
    bed.stack.active_instances("hci0").await.unwrap() == 0
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn nothing_left_behind() {
    on_bed(async |bed| {
        let snoop = Snoop::start().await;
        for (end, code) in ENDS {
            let (mut child, said) = tokio::task::block_in_place(|| advertise(end));
            match end {
                "interrupt" => signal("INT", child.id()),
                "kill" => signal("KILL", child.id()),
                _ => {}
            }
            tokio::task::block_in_place(|| said.for_each(drop));
            let status = tokio::task::block_in_place(|| child.wait()).unwrap();
            let ended = Instant::now();
            assert_eq!(status.code(), code, "{end}");
            until("BlueZ has let go of it", async || is_silent(bed).await).await;
            until("the controller is silent", async || snoop.is_silent(0)).await;
            let silent = ended.elapsed();
            println!("{end} ({status}): silent {silent:.1?} after the process ended");
            assert!(silent <= SILENT_WITHIN);
        }
        let broadcasts = snoop.broadcasts(0);
        assert!(broadcasts.len() >= ENDS.len(), "{broadcasts:?}");
    });
}
