//! An outcome made by hand, with something in every picture, and names that would be markup.

use truyvet::sim::{
    AttackOutcome, Cell, Cost, Day, Detection, OUTCOME_VERSION, Outcome, Parameter, PlaceHours,
    ScheduleOutcome, World,
};

use crate::browser::Browser;
use crate::page::page;

pub(crate) fn outcome() -> Outcome {
    Outcome {
        version: OUTCOME_VERSION,
        seed: 7,
        scenario: vec![Parameter {
            name: "people".to_owned(),
            value: "300".to_owned(),
            source: "chosen: <b>few</b>".to_owned(),
        }],
        worlds: [0.0, 0.1366, 0.4, 0.8].map(world).to_vec(),
        schedules: vec![
            schedule("always on", 1.0, None),
            schedule("every 2 minutes", 0.249, Some(0.2558)),
        ],
        attacks: vec![attack("replay", true), attack("live relay", false)],
    }
}

fn world(adoption: f64) -> World {
    World {
        adoption,
        tracing: adoption > 0.0,
        people: 300,
        devices: (300.0 * adoption) as u32,
        days: (0..35).map(|number| day(number, adoption)).collect(),
        detection: detection(),
        delay_hours: (0..200_u32).map(|number| f64::from(number) * 0.9).collect(),
        cost: Cost {
            log_bytes: 24_310.0,
            frames: 5_120.0,
            sightings: 812.0,
            download_bytes: 1_912.0,
            radio_mah: 3.1,
        },
        places: ["home", "bus", "work", "market"]
            .into_iter()
            .zip(1_u32..)
            .map(place)
            .collect(),
    }
}

fn day(day: u32, adoption: f64) -> Day {
    let wave = (-(f64::from(day) - 20.0).powi(2) / 60.0).exp();
    let infectious = (90.0 * wave * (1.0 - 0.8 * adoption)) as u32;
    Day {
        day,
        susceptible: 300 - infectious,
        exposed: infectious / 2,
        infectious,
        recovered: 0,
        infections: infectious / 4,
        tests_positive: infectious / 8,
        reports: infectious / 16,
        notified: infectious / 4,
        isolated: infectious / 3,
    }
}

fn detection() -> Detection {
    let bounds = [
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, 4.0),
        (4.0, 8.0),
        (8.0, f64::INFINITY),
    ];
    let times = [(0.0, 5.0), (5.0, 15.0), (15.0, 30.0), (30.0, f64::INFINITY)];
    let cells = bounds
        .into_iter()
        .enumerate()
        .flat_map(|(column, (from_m, to_m))| {
            times
                .into_iter()
                .enumerate()
                .map(move |(row, (from_minutes, to_minutes))| Cell {
                    from_m,
                    to_m,
                    from_minutes,
                    to_minutes,
                    meetings: if column == 4 && row == 3 {
                        0
                    } else {
                        1_200 / (1 + 3 * row as u64)
                    },
                    seen: (1_200 / (1 + 3 * row as u64)) * (row as u64 + 1) / (5 + column as u64),
                    told: if row > 1 { 60 / (column as u64 + 1) } else { 0 },
                })
        });
    Detection {
        contacts: 1_234,
        found: 987,
        missed: 247,
        false_alerts: 56,
        false_far: 3,
        near_m: 2.0,
        near_minutes: 15.0,
        far_m: 20.0,
        cells: cells.collect(),
    }
}

fn place((place, number): (&str, u32)) -> PlaceHours {
    PlaceHours {
        place: place.to_owned(),
        minutes: (0..24_u32)
            .map(|hour| f64::from((hour * number) % 11) * 31.0)
            .collect(),
    }
}

fn schedule(name: &str, continuity: f64, published: Option<f64>) -> ScheduleOutcome {
    ScheduleOutcome {
        name: name.to_owned(),
        scanning: continuity / 2.0,
        continuity,
        published,
        noticed_mean_s: 60.0 / continuity,
        noticed_max_s: 120.0 / continuity,
        radio_mah: 157.0 * continuity,
        note: "Herald's simulation & ours".to_owned(),
    }
}

fn attack(name: &str, holds: bool) -> AttackOutcome {
    AttackOutcome {
        name: name.to_owned(),
        what: "Records what it hears, and sends it again <elsewhere>.".to_owned(),
        measure: "alerts".to_owned(),
        achieved: if holds { 0.0 } else { 12.0 },
        baseline: 0.0,
        holds,
    }
}

#[test]
fn every_picture_is_on_the_page() {
    let page = page(&outcome());
    for label in [
        "People who are infectious, day by day",
        "Infected in all, by adoption",
        "Seen, by distance and duration",
        "Told, by distance and duration",
        "Delay to notification",
        "Contact minutes by place and hour",
        "Continuity by schedule",
        "Time to notice a neighbour, by schedule",
    ] {
        assert!(page.contains(&format!("aria-label=\"{label}\"")), "{label}");
    }
    assert!(page.contains("no medical advice"));
    assert!(page.contains("published: 25.58 %"));
    assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
}

#[test]
fn a_browser_draws_every_picture_on_a_desk_and_a_phone_in_both_schemes() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("simulation.html");
    std::fs::write(&file, page(&outcome())).unwrap();
    for (dark, scheme) in [(false, "light"), (true, "dark")] {
        let Some(browser) = Browser::start(dark) else {
            return;
        };
        let url = format!("file://{}", file.display());
        browser.assert_drawn_everywhere(&url, &format!("simulation-{scheme}"), 10);
    }
}

#[test]
fn a_live_relay_is_said_not_to_be_held() {
    let page = page(&outcome());
    let card = page.split("<h3>live relay</h3>").nth(1).unwrap();
    let card = card.split("</div>").next().unwrap();
    assert!(
        card.contains("does not hold") && card.contains("<b>12</b>, against 0"),
        "{card}"
    );
}

#[test]
fn text_is_no_markup() {
    let page = page(&outcome());
    assert!(page.contains("chosen: &lt;b&gt;few&lt;/b&gt;") && page.contains("&lt;elsewhere&gt;"));
    assert!(!page.contains("<script") && !page.contains("http:") && !page.contains("https:"));
}

#[test]
fn an_outcome_of_nothing_is_a_page_too() {
    let mut empty = outcome();
    for world in &mut empty.worlds {
        world.days.clear();
        world.delay_hours.clear();
        world.detection.cells.clear();
        world.places.clear();
    }
    empty.schedules.clear();
    empty.attacks.clear();
    let text = page(&empty);
    assert!(
        text.ends_with("</html>\n") && !text.contains("NaN"),
        "{text}"
    );
    empty.worlds.clear();
    assert!(page(&empty).ends_with("</html>\n"));
}
