//! What is drawn for a state, cell by cell.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};
use truyvet::engine::{Config, Health, OwnIdentifier, State as Doing, Status};
use truyvet::entropy::SystemEntropy;
use truyvet::sighting::{Rssi, RssiSummary};
use truyvet::time::{Moment, Timestamp};
use truyvet::{Engine, Event, Protocol, ProtocolKind};

use crate::draw::{Palette, draw};
use crate::neighbours::{Neighbours, SHOWN_AFTER_LEAVING};
use crate::state::{Key, State};

/// Nine in the morning.
const START: Timestamp = Timestamp::from_unix_seconds(1_606_554_000);

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn working() -> Health {
    let config = Config::new(Protocol::bluezone());
    let mut health = Engine::new(config, Vec::new(), Box::new(SystemEntropy)).health();
    let working = Status {
        state: Doing::Working,
        since: START,
    };
    health.own_identifier = Some(OwnIdentifier {
        protocol: ProtocolKind::Bluezone,
        since: START,
        until: START.saturating_add(minutes(15)),
    });
    health.scanning = working.clone();
    health.advertising = working.clone();
    health.log = working.clone();
    health.erasure = working;
    health
}

/// Twelve minutes after the start, with `frames` heard in the last ten seconds.
fn state_of(neighbours: Neighbours, mut health: Health, frames: u64) -> State {
    let mut state = State::default();
    state.radio = "the virtual air, a simulated crowd";
    state.length = Some(minutes(45));
    let at = Instant::now();
    for seconds in [710, 720] {
        let elapsed = Duration::from_secs(seconds);
        let now = Moment {
            wall: START.saturating_add(elapsed),
            monotonic: elapsed,
        };
        state.passed(at, elapsed, now, health.clone());
        health.counters.frames += frames;
    }
    state.with(neighbours)
}

/// Somebody who has been heard for ten minutes, a sighting each half, always as strong.
fn add(neighbours: &mut Neighbours, name: &str, dbm: i8) {
    let rssi = Rssi::from_dbm(dbm);
    let summary = rssi.map(|mean| RssiSummary {
        min: mean,
        mean,
        max: mean,
    });
    let (name, id) = (name.to_owned(), "C0FFEE***".to_owned());
    neighbours.appeared(name.clone(), id, "Bluezone".to_owned(), rssi, START);
    for sighting in 1..=20 {
        let near_for = Duration::from_secs(30 * sighting);
        neighbours.grew(&name, near_for, summary, START.saturating_add(near_for));
    }
}

fn one() -> Neighbours {
    let mut neighbours = Neighbours::default();
    add(&mut neighbours, "#1", -60);
    neighbours
}

fn hundred() -> Neighbours {
    let mut neighbours = Neighbours::default();
    for number in 1..=100 {
        add(&mut neighbours, &format!("#{number}"), -60);
    }
    neighbours
}

fn terminal(state: &mut State, palette: Palette, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, palette)).unwrap();
    terminal
}

/// The lines drawn, without what is empty at their ends.
fn drawn(state: &mut State, width: u16, height: u16) -> Vec<String> {
    let terminal = terminal(state, Palette::of(false), width, height);
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(move |x| buffer[(x, y)].symbol());
    (0..height)
        .map(|y| line(y).collect::<String>().trim_end().to_owned())
        .collect()
}

#[test]
fn nobody_yet() {
    let mut state = state_of(Neighbours::default(), working(), 0);
    assert_eq!(
        drawn(&mut state, 80, 10),
        [
            "truyvet  the virtual air, a simulated crowd           12 of 45 min, 09:12:00 UTC",
            "own identifier: Bluezone, 12 min old, new in 3 min (09:15)",
            "✓ scanning  ✓ advertising  ✓ log  ✓ erasure  0.0 frames/s",
            "─ neighbours ───────────────────────────────────────────────────────────────────",
            "Nobody is heard yet. h says whether it works.",
            "",
            "",
            "",
            "",
            "q quit  ↑↓ select  h health  p pause  ? help",
        ]
    );
}

#[test]
fn one_neighbour() {
    let mut state = state_of(one(), working(), 35);
    state.next = Some("Minh, who comes to talk, goes in 3 min".to_owned());
    assert_eq!(
        drawn(&mut state, 80, 24),
        [
            "truyvet  the virtual air, a simulated crowd           12 of 45 min, 09:12:00 UTC",
            "own identifier: Bluezone, 12 min old, new in 3 min (09:15)",
            "✓ scanning  ✓ advertising  ✓ log  ✓ erasure  3.5 frames/s",
            "story: Minh, who comes to talk, goes in 3 min",
            "─ neighbours 1 ─────────────────────────────────────────────────────────────────",
            "  #     identifier protocol  min signal                         dBm distance",
            "▸ #1    C0FFEE***  Bluezone   10 ▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆           -60 near?",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "─ #1 C0FFEE*** Bluezone ────────────────────────────────────────────────────────",
            "heard     for 10 min 0 s, since 09:00:00 UTC",
            "distance  near?: 85 of 100 such are within 2 m, 80 of 100 at 0.6 to 2.3 m",
            "strength  -60 dBm, from -60 to -60 dBm in the last sighting",
            "          a hint: its power is assumed (-15 dBm), a body costs as much as metres",
            "",
            "q quit  ↑↓ select  h health  p pause  ? help",
        ]
    );
}

#[test]
fn one_neighbour_in_a_narrow_window() {
    let mut state = state_of(one(), working(), 35);
    assert_eq!(
        drawn(&mut state, 60, 16),
        [
            "truyvet  the virtual air, a simu… 12 of 45 min, 09:12:00 UTC",
            "own identifier: Bluezone, 12 min old, new in 3 min (09:15)",
            "✓ scanning  ✓ advertising  ✓ log  ✓ erasure  3.5 frames/s",
            "─ neighbours 1 ─────────────────────────────────────────────",
            "  #     identifier  min signal              dBm distance",
            "▸ #1    C0FFEE***    10 ▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆  -60 near?",
            "",
            "",
            "",
            "",
            "",
            "",
            "─ #1 C0FFEE*** Bluezone ────────────────────────────────────",
            "heard     for 10 min 0 s, since 09:00:00 UTC",
            "distance  near?: 80 of 100 such are at 0.6 to 2.3 m",
            "q quit  ↑↓ select  h health  p pause  ? help",
        ]
    );
}

#[test]
fn a_hundred_neighbours_scroll_with_the_chosen_one() {
    let mut state = state_of(hundred(), working(), 35);
    let rows = |lines: &[String]| {
        let names = lines.iter().filter_map(|line| line.get(..7));
        let names =
            names.filter(|line| line.contains('#') && !line.contains("# ") && !line.contains('─'));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let shown = drawn(&mut state, 80, 24);
    assert!(shown[3].starts_with("─ neighbours 100 ─"), "{}", shown[3]);
    assert!(shown[3].ends_with("─ ↑ 0 ↓ 88 more"), "{}", shown[3]);
    assert_eq!(rows(&shown).len(), 12, "{shown:#?}");
    state.key(Key::Last);
    let shown = drawn(&mut state, 80, 24);
    assert!(shown[3].ends_with("─ ↑ 88 ↓ 0 more"), "{}", shown[3]);
    assert!(shown[16].starts_with("▸ #100  C0FFEE***"), "{shown:#?}");
    assert!(shown[5].starts_with("  #89 "), "{shown:#?}");
    // A larger window shows more above, and nothing empty below.
    let shown = drawn(&mut state, 80, 60);
    assert!(shown[40].starts_with("▸ #100  C0FFEE***"), "{shown:#?}");
}

#[test]
fn what_fails_says_why_and_so_does_the_health() {
    let mut health = working();
    let why = "Bluetooth is off: bluetoothctl power on switches it on".to_owned();
    health.scanning.state = Doing::Failing(why);
    health.advertising.state = Doing::Resting;
    health.counters.lost_sightings = 3;
    let mut state = state_of(one(), health, 0);
    let shown = drawn(&mut state, 60, 16);
    assert_eq!(
        shown[2..4],
        [
            "✗ scanning  z advertising  ✓ log  ✓ erasure  0.0 frames/s",
            "! scanning fails: Bluetooth is off: bluetoothctl power on s…",
        ]
    );
    state.key(Key::Health);
    let shown = drawn(&mut state, 60, 16);
    assert_eq!(
        shown[4..],
        [
            "─ health ───────────────────────────────────────────────────",
            "✗ scanning      failing: Bluetooth is off: bluetoothctl",
            "                power on switches it on since",
            "                2020-11-28T09:00:00Z",
            "z advertising   resting since 2020-11-28T09:00:00Z",
            "✓ log           working since 2020-11-28T09:00:00Z",
            "✓ erasure       working since 2020-11-28T09:00:00Z",
            "",
            "        0 frames of neighbours",
            "        0 sightings given to the log",
            "        3 sightings lost because the log failed",
            "q quit  ↑↓ scroll  h back  ? help",
        ]
    );
    // A view that is longer than the window scrolls to its end, and no further.
    let shown = drawn(&mut state, 60, 10);
    assert!(shown[4].ends_with("↑ 0 ↓ 6 more lines"), "{}", shown[4]);
    state.key(Key::Last);
    let shown = drawn(&mut state, 60, 10);
    assert!(shown[4].ends_with("↑ 6 ↓ 0 more lines"), "{}", shown[4]);
    assert_eq!(shown[8], "        3 sightings lost because the log failed");
}

#[test]
fn colours_say_nothing_that_signs_do_not() {
    let mut health = working();
    health.scanning.state = Doing::Failing("deaf".to_owned());
    let coloured = terminal(
        &mut state_of(one(), health.clone(), 0),
        Palette::of(true),
        80,
        24,
    );
    let plain = terminal(&mut state_of(one(), health, 0), Palette::of(false), 80, 24);
    let (coloured, plain) = (coloured.backend().buffer(), plain.backend().buffer());
    assert_eq!(coloured[(0, 2)].fg, Color::Red);
    assert_eq!(coloured[(12, 2)].fg, Color::Green);
    for (one, other) in coloured.content().iter().zip(plain.content()) {
        assert_eq!(one.symbol(), other.symbol());
        assert_eq!(other.fg, Color::Reset);
        // Sixteen colours, whichever they are on this terminal.
        assert!(!matches!(one.fg, Color::Rgb(..) | Color::Indexed(_)));
    }
}

#[test]
fn long_texts_of_any_script_break_no_cell() {
    let mut health = working();
    health.log.state = Doing::Failing("磁盘已满，无法写入日志。".repeat(9));
    let mut state = state_of(one(), health, 0);
    state.next = Some("Nguyễn Thị Tuấn 👩‍⚕️, ".repeat(9));
    for width in 30..90 {
        let terminal = terminal(&mut state, Palette::of(false), width, 20);
        let buffer = terminal.backend().buffer();
        let symbols: String = (0..width).map(|x| buffer[(x, 3)].symbol()).collect();
        assert!(symbols.contains('…'), "{width}: {symbols}");
        // The row beneath is whole.
        let rule: String = (0..width).map(|x| buffer[(x, 5)].symbol()).collect();
        assert!(
            rule.starts_with("─ neighbours 1 ─") && rule.ends_with('─'),
            "{width}: {rule}"
        );
    }
    let sneaky = "\u{1b}[2J\u{202e}\nscanning".to_owned();
    state.next = Some(sneaky);
    let shown = drawn(&mut state, 80, 20);
    assert!(!shown.concat().contains(['\u{1b}', '\n']), "{}", shown[4]);
}

#[test]
fn every_size_is_drawn() {
    for (width, height) in [
        (1, 1),
        (2, 30),
        (29, 8),
        (30, 7),
        (30, 8),
        (300, 8),
        (31, 100),
        (300, 100),
    ] {
        let mut health = working();
        health.scanning.state = Doing::Failing("deaf".to_owned());
        let mut state = state_of(hundred(), health, 1);
        state.next = Some("the morning ends".to_owned());
        for key in [
            Key::Last,
            Key::Help,
            Key::PageDown,
            Key::Health,
            Key::Last,
            Key::Back,
        ] {
            let shown = drawn(&mut state, width, height);
            assert_eq!(shown.len(), usize::from(height));
            state.key(key);
        }
    }
}

#[test]
fn who_leaves_stays_for_a_moment_and_the_choice_goes_on_to_the_next() {
    let mut neighbours = Neighbours::default();
    for name in ["#1", "#2", "#3"] {
        add(&mut neighbours, name, -80);
    }
    let at = Instant::now();
    neighbours.left("#2", minutes(10), at);
    let mut state = state_of(neighbours, working(), 0);
    state.key(Key::Down);
    let shown = drawn(&mut state, 80, 24);
    assert!(shown[3].starts_with("─ neighbours 2 ─"), "{}", shown[3]);
    assert!(
        shown[6].starts_with("▸ #2 ") && shown[6].ends_with(" gone"),
        "{}",
        shown[6]
    );
    let terminal = terminal(&mut state, Palette::of(false), 80, 24);
    let modifier = terminal.backend().buffer()[(2, 6)].modifier;
    assert!(
        modifier.contains(Modifier::DIM | Modifier::REVERSED),
        "{modifier:?}"
    );

    let now = Moment {
        wall: START.saturating_add(minutes(13)),
        monotonic: minutes(13),
    };
    state.passed(at + SHOWN_AFTER_LEAVING, minutes(13), now, working());
    let shown = drawn(&mut state, 80, 24);
    assert!(shown[5].starts_with("  #1 "), "{}", shown[5]);
    assert!(shown[6].starts_with("▸ #3 "), "{}", shown[6]);
}

#[test]
fn a_paused_list_stands_still_while_the_count_goes_on() {
    let at = Instant::now();
    let mut state = state_of(one(), working(), 0);
    state.key(Key::Pause);
    state.event(START, &Event::Missed(7), at);
    let shown = drawn(&mut state, 80, 24);
    assert_eq!(shown[3], "! 7 events not shown: the list begins anew");
    assert!(
        shown[4].starts_with("─ neighbours 0 ─") && shown[4].ends_with("─ PAUSED"),
        "{}",
        shown[4]
    );
    assert!(shown[6].starts_with("▸ #1 "), "{}", shown[6]);
    state.key(Key::Pause);
    let shown = drawn(&mut state, 80, 24);
    assert_eq!(shown[5], "Nobody is heard yet. h says whether it works.");
}
