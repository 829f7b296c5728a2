use super::*;
use crate::place::{CODE_CHARS_MAX, NAME_BYTES_MAX, PlaceId};
use crate::publication::signature::SigningKey;
use crate::time::Timestamp;

/// Pixels of a module in the picture that the decoder is given.
const PIXELS: usize = 4;

fn code(name: &str) -> PlaceCode {
    let at = Timestamp::from_unix_seconds;
    let key = SigningKey::generate().unwrap();
    PlaceCode::sign_as_owner(name, at(1_596_888_000)..at(1_628_424_000), &key).unwrap()
}

/// The modules that the SVG's path draws: rows of dark and light.
fn modules(svg: &str) -> Vec<Vec<bool>> {
    let path = svg
        .split_once("<path d=\"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0;
    let runs: Vec<[usize; 3]> = path
        .split_terminator('z')
        .map(|step| {
            let (x, rest) = step.strip_prefix('M').unwrap().split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (run, back) = rest.split_once("v1h-").unwrap();
            assert_eq!(run, back);
            [x, y, run].map(|number| number.parse().unwrap())
        })
        .collect();
    let size = runs.iter().map(|[_, y, _]| y + 1).max().unwrap();
    let mut grid = vec![vec![false; size]; size];
    for [x, y, run] in runs {
        grid[y][x..x + run].fill(true);
    }
    grid
}

/// What a decoder sees in the picture, with the quiet zone around it: the text, and the version.
fn decoded(svg: &str) -> (String, usize) {
    let grid = modules(svg);
    let quiet = QUIET_MODULES as usize;
    let edge = (grid.len() + 2 * quiet) * PIXELS;
    let dark = |x: usize, y: usize| {
        let module = |pixel: usize| (pixel / PIXELS).checked_sub(quiet);
        let at = module(x).zip(module(y));
        at.and_then(|(x, y)| grid.get(y)?.get(x))
            .copied()
            .unwrap_or(false)
    };
    let mut picture = rqrr::PreparedImage::prepare_from_bitmap(edge, edge, dark);
    let found = picture.detect_grids();
    assert_eq!(found.len(), 1);
    let (meta, text) = found[0].decode().unwrap();
    (text, meta.version.0)
}

#[test]
fn the_poster_is_read_again() {
    for (name, version) in [
        ("Phở", 8),
        ("Chợ Bến Thành", 8),
        (&"x".repeat(28), 8),
        (&"x".repeat(29), 9),
        (&"x".repeat(NAME_BYTES_MAX), 10),
    ] {
        let code = code(name);
        let (text, found) = decoded(&poster_svg(&code).unwrap());
        assert_eq!(text, code.to_string());
        assert_eq!(found, version, "{} characters", text.len());
    }
    assert_eq!(
        code(&"x".repeat(NAME_BYTES_MAX)).to_string().len(),
        CODE_CHARS_MAX
    );
}

#[test]
fn an_authoritys_code_is_read_again() {
    let at = Timestamp::from_unix_seconds;
    let key = SigningKey::generate().unwrap();
    let id = PlaceId::from_bytes([7; 16]);
    let valid = at(1_596_888_000)..at(1_628_424_000);
    let code = PlaceCode::sign_as_authority(id, "Bệnh viện Bạch Mai", valid, &key).unwrap();
    let (text, version) = decoded(&poster_svg(&code).unwrap());
    assert_eq!((text.as_str(), version), (code.to_string().as_str(), 8));
}

#[test]
fn a_name_stays_text() {
    let svg = poster_svg(&code("A&B <script>\"x\"</script>")).unwrap();
    assert!(svg.contains("A&amp;B &lt;script&gt;"), "{svg}");
    assert!(!svg.contains("<script"));
    assert_eq!(svg.matches("<svg").count(), 1);
}

#[test]
fn names_are_broken_where_they_can_be() {
    for (name, expected) in [
        ("Phở", vec!["Phở"]),
        (
            "Trung tâm Văn hoá Thể thao quận Hai Bà Trưng",
            vec!["Trung tâm Văn hoá Thể", "thao quận Hai Bà Trưng"],
        ),
        (
            "abcdefghijklmnopqrstuvwxyz",
            vec!["abcdefghijklmnopqrstuvwx", "yz"],
        ),
        (
            "河内市立中央图书馆阅览室大厅",
            vec!["河内市立中央图书馆阅览室", "大厅"],
        ),
    ] {
        assert_eq!(
            laid_out(name),
            (12, expected.into_iter().map(str::to_owned).collect())
        );
    }
}

/// Baselines and sizes of the name's lines on the sheet end above the quiet zone.
fn ends_above_the_code(name: &str) {
    assert!(name.len() <= NAME_BYTES_MAX);
    let (size, lines) = laid_out(name);
    let quiet_mm = 4.0 * f64::from(CODE_EDGE) / 49.0;
    let last = f64::from(last_line(size, lines.len()));
    assert!(
        last + f64::from(size) / 4.0 <= f64::from(CODE_TOP) - quiet_mm,
        "{name}: {} lines of {size}",
        lines.len()
    );
    assert_eq!(lines.concat().replace(' ', ""), name.replace(' ', ""));
}

#[test]
fn the_longest_names_end_above_the_code_wherever_they_break() {
    let five_of_13_and_one_of_10 = "abcdefghijklm ".repeat(5) + "abcdefghij";
    assert_eq!(five_of_13_and_one_of_10.len(), NAME_BYTES_MAX);
    ends_above_the_code(&five_of_13_and_one_of_10);
    assert_eq!(laid_out(&five_of_13_and_one_of_10).0, 10);
    ends_above_the_code(&"W".repeat(NAME_BYTES_MAX));
    // Two lengths in turn, with the worst for each width among them: a short word before one that fills a line.
    for (a, b) in (1..NAME_BYTES_MAX).flat_map(|a| (1..NAME_BYTES_MAX).map(move |b| (a, b))) {
        let pair = format!("{} {} ", "x".repeat(a), "y".repeat(b));
        let name = pair.repeat(NAME_BYTES_MAX);
        ends_above_the_code(name[..NAME_BYTES_MAX].trim_end());
    }
}

#[test]
fn it_says_what_becomes_of_a_visit_in_both_languages() {
    let svg = poster_svg(&code("Phở")).unwrap();
    for text in ABOVE.iter().chain(&BELOW) {
        assert!(svg.contains(text));
    }
}
