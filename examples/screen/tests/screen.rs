//! The program in a real terminal: what it shows at several sizes, and what it leaves behind, however it ends.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod tmux;

use std::process::{Command, Stdio};

use tmux::Pane;

const PROGRAM: &str = env!("CARGO_BIN_EXE_truyvet-screen");

/// Nine minutes for the whole story, and three until the first identifier changes and its row goes: enough to look at it on
/// a machine that has other work.
const STORY: &str = "--screen --radio virtual --speed 5";

/// A pane with the story on its screen, and a neighbour in it.
fn story(name: &str, width: u16, height: u16) -> Option<Pane> {
    let pane = Pane::open(name, width, height)?;
    pane.runs(&format!("{PROGRAM} {STORY}"));
    pane.wait_for("the first neighbour, in words", |it| {
        row(it).is_some_and(|row| row.contains("far?") || row.contains("near"))
    });
    Some(pane)
}

/// Whether the last line is drawn, and so all of a window that has this height now.
fn is_whole(shown: &str, height: usize) -> bool {
    let last = shown.lines().nth(height - 1);
    last.is_some_and(|line| line.starts_with("q quit"))
}

/// The chosen row.
fn row(shown: &str) -> Option<&str> {
    shown.lines().find(|line| line.starts_with("▸ #1 "))
}

#[test]
fn it_fits_its_window_at_every_size() {
    let Some(pane) = story("sizes", 80, 24) else {
        return;
    };
    let shown = pane.shows();
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].starts_with("truyvet  the virtual air, a simulated crowd "));
    assert!(lines[0].ends_with(" UTC"), "{shown}");
    assert_eq!(lines[0].chars().count(), 80);
    assert!(
        lines[1].starts_with("own identifier: Bluezone, "),
        "{shown}"
    );
    assert!(lines[2].starts_with("✓ scanning  ✓ advertising  ✓ log  ✓ erasure  "));
    assert!(lines[3].starts_with("story: "), "{shown}");
    let columns = "  #     identifier protocol  min signal                         dBm distance";
    assert_eq!(lines[5], columns);
    let first: Vec<_> = lines[6].chars().collect();
    assert!(first[8..14].iter().all(char::is_ascii_hexdigit), "{shown}");
    let protocol: String = first[14..28].iter().collect();
    assert_eq!(protocol, "***  Bluezone ");
    assert_eq!(lines[23], "q quit  ↑↓ select  h health  p pause  ? help");

    pane.resizes(60, 16);
    let narrow = "  #     identifier  min signal              dBm distance";
    let shown = pane.wait_for("the narrow list", |it| {
        it.lines().any(|line| line == narrow) && is_whole(it, 16)
    });
    let lines: Vec<_> = shown.lines().collect();
    assert!(
        lines.iter().all(|line| line.chars().count() <= 60),
        "{shown}"
    );
    assert!(lines[13].starts_with("heard     for "), "{shown}");
    assert!(lines[15].starts_with("q quit"), "{shown}");

    pane.resizes(200, 60);
    let shown = pane.wait_for("the wide list", |it| {
        it.contains(" 80 of 100 at") && is_whole(it, 60)
    });
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0].chars().count(), 200);
    assert!(row(&shown).unwrap().ends_with(" m"), "{shown}");
    assert!(lines[59].starts_with("q quit"), "{shown}");

    pane.resizes(20, 5);
    pane.wait_for("what it needs", |it| it.contains("30 × 8 or more"));
    pane.resizes(80, 24);
    pane.wait_for("the list again", |it| {
        it.lines().any(|line| line == columns)
    });
    pane.presses("q");
    let left = pane.is_as_it_was();
    assert!(
        left.contains("Ended before the morning was over."),
        "{left}"
    );
}

#[test]
fn keys_select_and_show_health_and_help() {
    let Some(pane) = story("keys", 80, 24) else {
        return;
    };
    pane.wait_for("a second neighbour", |it| {
        it.lines().any(|line| line.starts_with("  #2 "))
    });
    pane.presses("Down");
    pane.wait_for("the second chosen", |it| {
        it.lines().any(|line| line.starts_with("▸ #2 "))
    });
    pane.presses("p");
    pane.wait_for("the pause", |it| {
        it.contains("PAUSED") && it.contains("p go on")
    });
    pane.presses("p");
    pane.wait_for("no pause", |it| !it.contains("PAUSED"));
    pane.presses("h");
    pane.wait_for("the health", |it| {
        it.contains("─ health ─") && it.contains("✓ advertising   working since ")
    });
    pane.presses("?");
    pane.wait_for("the help", |it| {
        it.contains("─ help ─") && it.contains("docs/proximity.md")
    });
    pane.presses("Escape");
    pane.wait_for("the list", |it| it.contains("─ neighbours"));
    pane.presses("q");
    pane.is_as_it_was();
}

#[test]
fn ctrl_c_ends_it_in_order() {
    let Some(pane) = story("ctrl-c", 80, 24) else {
        return;
    };
    pane.presses("C-c");
    let left = pane.is_as_it_was();
    assert!(
        left.contains("Ended before the morning was over."),
        "{left}"
    );
}

#[test]
fn signals_end_it_in_order() {
    for signal in ["TERM", "HUP", "INT"] {
        let Some(pane) = story(signal, 80, 24) else {
            return;
        };
        pane.signals(signal);
        let left = pane.is_as_it_was();
        assert!(
            left.contains("Ended before the morning was over."),
            "{signal}: {left}"
        );
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_it_goes_on() {
    let Some(pane) = story("ctrl-z", 80, 24) else {
        return;
    };
    pane.presses("C-z");
    pane.is_as_it_was();
    pane.types("fg");
    pane.wait_for("the screen again", |it| row(it).is_some());
    pane.presses("q");
    // What was before has been cleared meanwhile.
    pane.wait_for("the end", |it| {
        it.contains("Ended before the morning was over.")
    });
}

#[test]
fn colours_are_the_terminals_own_and_may_be_unwanted() {
    let Some(pane) = story("colours", 80, 24) else {
        return;
    };
    let green_tick = "\u{1b}[38;5;2m✓";
    assert!(
        pane.shows_coloured().contains(green_tick),
        "{:?}",
        pane.shows_coloured()
    );
    pane.presses("q");
    pane.is_as_it_was();
    pane.runs(&format!("env NO_COLOR=1 {PROGRAM} {STORY}"));
    pane.wait_for("the first neighbour", |it| row(it).is_some());
    let shown = pane.shows_coloured();
    assert!(shown.contains("\u{1b}[1m"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[38;"), "{shown:?}");
}

#[test]
fn a_recording_ends_by_itself_with_what_was_heard() {
    let Some(pane) = Pane::open("replay", 80, 24) else {
        return;
    };
    let log = tempfile::tempdir().unwrap();
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/../recordings/passer-by.jsonl");
    let (log, key) = (log.path().join("log"), log.path().join("key"));
    pane.runs(&format!(
        "{PROGRAM} --radio replay --recording {recording} --speed 30 --log {} --key {}",
        log.display(),
        key.display()
    ));
    pane.wait_for("the recording on the screen", |it| {
        it.starts_with("truyvet  a recording") && it.contains("! advertising is not possible: ")
    });
    let left = pane.is_as_it_was();
    assert!(
        left.contains("\nheard ") && left.contains("frames of neighbours"),
        "{left}"
    );
}

#[test]
fn what_cannot_begin_says_why_on_the_normal_screen() {
    let Some(pane) = Pane::open("error", 80, 24) else {
        return;
    };
    pane.runs(&format!(
        "{PROGRAM} --radio replay --recording nowhere.jsonl"
    ));
    let left = pane.is_as_it_was();
    assert!(left.contains("error: nowhere.jsonl: "), "{left}");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let mut command = Command::new(PROGRAM);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("without --screen, the same comes as lines"),
        "{error}"
    );
}
