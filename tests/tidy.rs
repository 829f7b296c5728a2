//! The house's rules that a machine can check.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A module may use only what stands before it. `tracer` and `engine` stand last but for the shop
/// window.
const ROOMS: [&str; 20] = [
    "time",
    "secret",
    "crypto",
    "entropy",
    "codec",
    "advertisement",
    "sighting",
    "protocol",
    "log",
    "publication",
    "place",
    "exposure",
    "report",
    "radio",
    "engine",
    "tracer",
    "adoption",
    "sim",
    "field",
    "lib",
];

/// Uses that go upwards on purpose, with the reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    // A frame says where its identifier stood, and a sighting whose identifier it is: two small
    // vocabularies that are one.
    ("sighting", "protocol"),
    ("protocol", "sighting"),
];

/// Of code; tests, which are lists, may be longer.
const LINES_MAX: usize = 450;
const TEST_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What stands before a file's own tests.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("\n#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn arrows_point_down() {
    let place = |room: &str| ROOMS.iter().position(|other| *other == room);
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")) {
        let room = room_of(&path);
        let own = place(&room).unwrap_or_else(|| panic!("no place for the room {room}"));
        for line in code_of(&path)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            // A group would hide what it uses from what follows.
            if line.contains("crate::{") || line.trim_end().ends_with("crate::") {
                wrong.push(format!("{}: crate::{{…}}: one use a room", path.display()));
            }
            for used in line.split("crate::").skip(1) {
                let used = used
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next();
                let Some(used) = used.filter(|used| place(used).is_some()) else {
                    continue;
                };
                let allowed = EXCEPTIONS.contains(&(room.as_str(), used));
                if place(used).is_some_and(|other| other > own) && !allowed {
                    wrong.push(format!("{}: {room} uses {used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_one_file_names_each_of_the_hidden_crates() {
    for (name, home) in [
        ("ring::", "crypto"),
        ("aes::", "crypto"),
        ("sha2::", "crypto"),
        ("p256::", "crypto"),
        ("argon2::", "crypto"),
        ("bincode::", "codec"),
        ("prio::", "adoption"),
    ] {
        for path in rust_files(&root().join("src")) {
            let code = code_of(&path);
            let named = code.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && line
                        .split(|c: char| !c.is_alphanumeric() && c != ':' && c != '_')
                        .any(|word| word.starts_with(name))
            });
            assert!(
                !named || room_of(&path) == home,
                "{} names {name}",
                path.display()
            );
        }
    }
}

/// Where `unsafe` is allowed, and with it everything beneath; the lint denies it elsewhere.
const UNSAFE: [&str; 2] = ["exposure/simd/mod.rs", "radio/apple.rs"];

#[test]
fn unsafe_code_is_allowed_in_two_places_alone() {
    let source = root().join("src");
    let mut allowed: Vec<_> = rust_files(&source)
        .into_iter()
        .filter(|path| code_of(path).contains("unsafe_code"))
        .map(|path| path.strip_prefix(&source).unwrap().to_owned())
        .collect();
    allowed.sort();
    assert_eq!(allowed, UNSAFE.map(PathBuf::from));
}

#[test]
fn each_unsafe_block_of_the_simd_room_says_why_it_is_sound() {
    for path in rust_files(&root().join("src/exposure/simd")) {
        let code = code_of(&path);
        let lines: Vec<_> = code.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let explained = || {
                lines[..number]
                    .iter()
                    .rev()
                    .take(2)
                    .any(|line| line.contains("// SAFETY:"))
            };
            assert!(
                !line.contains("unsafe {") || explained(),
                "{}:{}",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn files_fit_into_a_head_and_functions_on_a_screen() {
    let mut long = Vec::new();
    for folder in [
        "src",
        "examples",
        "tests",
        "benches",
        "fuzz/src",
        "fuzz/fuzz_targets",
        "fuzz/examples",
    ] {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            let lines_max = if folder == "tests" {
                TEST_LINES_MAX
            } else {
                LINES_MAX
            };
            if text.lines().count() > lines_max {
                long.push(format!(
                    "{}: {} lines",
                    path.display(),
                    text.lines().count()
                ));
            }
            for function in functions(&text) {
                if function.len() > FUNCTION_LINES_MAX {
                    long.push(format!(
                        "{}:{}: {} lines",
                        path.display(),
                        function.start + 1,
                        function.len()
                    ));
                }
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// The first and the last line of each function that is in no other one, counted from 0.
fn functions(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begun = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let word = line.trim_start();
        if begun.is_none() && is_function(word) && !word.ends_with(';') {
            begun = Some((number, indent));
        }
        // As rustfmt has it: a function ends where a brace stands as deep as it began, or in the
        // line in which it began.
        if let Some((start, depth)) = begun
            && indent == depth
            && (word == "}" || word.ends_with("{}") || (number == start && word.ends_with('}')))
        {
            found.push(start..number);
            begun = None;
        }
    }
    found
}

/// Whether `line` begins a function: whatever stands before `fn` are its qualifiers.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.any(|word| word == "fn")
        && line
            .split_whitespace()
            .take_while(|word| *word != "fn")
            .all(is_qualifier)
}

fn is_qualifier(word: &str) -> bool {
    ["pub", "const", "async", "unsafe", "extern", "default", "in"].contains(&word)
        || word.starts_with("pub(")
        // What `in` names, and the name of an ABI.
        || word.ends_with(')')
        || word.starts_with('"')
}

#[test]
fn every_kind_of_function_is_seen() {
    for line in [
        "fn a() {",
        "pub fn a() {",
        "pub(super) async fn run(",
        "pub(in crate::log) const unsafe fn a() {",
        "pub unsafe extern \"C\" fn a() {",
        "const fn a<T>() -> T {",
    ] {
        assert!(is_function(line), "{line}");
    }
    for line in [
        "// a fn",
        "let f: fn() = g;",
        "type F = fn (u8);",
        "fns()",
        "f(|fn_name| 0)",
    ] {
        assert!(!is_function(line), "{line}");
    }
}

#[test]
fn the_walker_sees_the_tracers_loop() {
    let path = root().join("src/tracer/shell.rs");
    let text = fs::read_to_string(path).unwrap();
    let found = functions(&text);
    let run = found
        .iter()
        .find(|function| {
            text.lines()
                .nth(function.start)
                .unwrap()
                .contains("fn run(")
        })
        .unwrap();
    assert!(run.len() > 10, "{} lines", run.len());
}
