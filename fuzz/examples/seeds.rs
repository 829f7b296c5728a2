//! Writes the seeds of every target, `cargo run --example seeds -- FOLDER` with `RUSTFLAGS="--cfg fuzzing"`:
//! golden files of `tests/vectors`, what the library itself makes, and both as the targets take them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chunks::{clocks, entries, gaps, of_version_1, packed, packed_again, times};
use truyvet::entropy::SeededEntropy;
use truyvet::log::fuzzing::{self, SEGMENT, payloads, public_key};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::{self, DiagnosisKey};
use truyvet::protocol::{FrameForm, ReportType};
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{ExportOptions, ExportWriter, Padding, UnverifiedExport};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::time::{IntervalNumber, Timestamp, UtcDay};
use truyvet::{Advertisement, Protocol, Secret};
use truyvet_fuzz::{ABSENT, FILES, FileInput, PLAIN, SEALED, SegmentInput, joined};

#[path = "seeds/captures.rs"]
mod captures;
#[path = "seeds/chunks.rs"]
mod chunks;
#[path = "seeds/contact.rs"]
mod contact;
#[path = "seeds/declarations.rs"]
mod declarations;
#[path = "seeds/field.rs"]
mod field;
#[path = "seeds/matching.rs"]
mod matching;
#[path = "seeds/places.rs"]
mod places;
#[path = "seeds/report.rs"]
mod report;

const DAY: UtcDay = UtcDay::from_unix_days(18_482);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let to = PathBuf::from(std::env::args().nth(1).ok_or("give a folder to write to")?);
    let seeds = [
        ("segment", segments()?),
        ("sealed_files", sealed_files()?),
        ("key_file", key_files()),
        ("advertisement", advertisements()?),
        ("gaen_export", gaen_exports()?),
        ("bluezone_json", bluezone_lists()?),
        ("matcher", matching::matches()),
        ("risk_config", matching::risk_configs()?),
        ("place_code", places::places()?),
        ("contact_evidence", contact::evidence()?),
        ("report_message", report::messages()?),
        ("health_json", declarations::declarations()?),
        ("capture", captures::captures()?),
        ("herald_csv", field::files()?),
    ];
    for (target, seeds) in seeds {
        let folder = to.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in &seeds {
            fs::write(folder.join(name.replace(' ', "-")), bytes)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}

type Seeds = BTreeMap<String, Vec<u8>>;

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(name)
}

fn segments() -> Result<Seeds, Failure> {
    let [clock, jumped] = clocks();
    let (packed, again, gaps, entries) = (packed(), packed_again(), gaps(), entries());
    let [old_sighting, old_gap] = of_version_1();
    let whole: Vec<&[u8]> = vec![&clock, &packed, &again, &gaps, &jumped, &entries];
    let new = |parts: Vec<&[u8]>, edit, at, with| {
        let (version, noted) = (4, 2);
        let input = SegmentInput {
            version,
            noted,
            edit,
            at,
            with,
            parts,
        };
        input.encode()
    };
    let mut seeds = Seeds::new();
    let mut add = |name: &str, bytes| drop(seeds.insert(name.to_owned(), bytes));
    add("whole", new(whole.clone(), 0, 0, 0));
    add("empty", new(vec![], 0, 0, 0));
    let names = ["clock", "packed", "again", "gaps", "jumped", "entries"];
    for (name, part) in names.into_iter().zip(&whole) {
        add(name, new(vec![part], 0, 0, 0));
    }
    let again = vec![&packed[..], &again, &entries];
    add("written again", new(again, 0xF0, 0, 0));
    for edit in 1..8 {
        add(&format!("edit {edit}"), new(whole.clone(), edit, 160, 2));
    }
    for noted in [0, 1, 3] {
        let parts = whole.clone();
        let input = SegmentInput {
            version: 4,
            noted,
            edit: 1,
            at: 300,
            with: 0,
            parts,
        };
        add(&format!("noted {noted}"), input.encode());
    }
    for (version, parts) in [
        (1, vec![&old_sighting[..], &old_gap]),
        (2, vec![&packed, &gaps]),
        (3, vec![&packed, &gaps]),
    ] {
        for noted in [1, 3] {
            let parts = parts.clone();
            let input = SegmentInput {
                version,
                noted,
                parts,
                ..SegmentInput::default()
            };
            add(&format!("version {version} noted {noted}"), input.encode());
        }
    }
    for log in ["log-v1", "log-v2", "log-v3", "log-v4"] {
        let file = fs::read(vectors(log).join("2026-11-23.0000.segment"))?;
        let input = SegmentInput {
            noted: 3,
            parts: vec![&file],
            ..SegmentInput::default()
        };
        add(log, input.encode());
    }
    Ok(seeds)
}

fn file(name: &str, form: u8, suffix: u8, payload: &[u8]) -> Vec<u8> {
    let kind = FILES.iter().position(|it| *it == name);
    FileInput {
        kind: kind.expect("a name of a log's file") as u8,
        form,
        suffix,
        payload,
    }
    .encode()
}

fn sealed(name: &str, payload: &[u8]) -> Vec<u8> {
    file(name, SEALED, 0, payload)
}

fn plain(name: &str, bytes: &[u8]) -> Vec<u8> {
    file(name, PLAIN, 0, bytes)
}

fn absent(name: &str) -> Vec<u8> {
    file(name, ABSENT, 0, &[])
}

/// Own keys of both protocols.
fn own_keys() -> Vec<u8> {
    let mut bytes = 2_u64.to_le_bytes().to_vec();
    for (protocol, len) in [(0_u8, 32_usize), (1, 16)] {
        bytes.extend([protocol, 0, 0, 0]);
        bytes.extend((len as u64).to_le_bytes());
        bytes.extend(vec![5; len]);
        let ends = [DAY.start(), DAY.end()].map(Timestamp::unix_millis);
        bytes.extend(times(&[], &ends, &[protocol]));
    }
    bytes
}

/// `log.meta` with another reading key than the provider's, which is 32 times 09.
fn other_meta() -> Result<Vec<u8>, Failure> {
    let [meta, _] = payloads()?;
    Ok([&meta[..16], &public_key([9; 32])?].concat())
}

fn sealed_files() -> Result<Seeds, Failure> {
    let [meta, roots] = payloads()?;
    let manifest = sealed("manifest.sealed", &fuzzing::manifest(&[150])?);
    let overflowing = fuzzing::manifest(&[u64::MAX, u64::MAX])?;
    let own_keys = sealed("own-keys.sealed", &own_keys());
    let roots = sealed("segment-keys.sealed", &roots);
    let [old_meta, old_keys] = ["log.meta", "own-keys.sealed"]
        .map(|name| fs::read(vectors("log-v2").join(name)).map(|bytes| plain(name, &bytes)));
    let (old_meta, old_keys) = (old_meta?, old_keys?);
    let (no_segment, no_roots) = (absent(SEGMENT), absent("segment-keys.sealed"));
    let old_log = [&old_meta[..], &old_keys, &no_segment, &no_roots].concat();
    let seeds = [
        ("whole", [&manifest[..], &own_keys].concat()),
        ("roots and a manifest", [&roots[..], &manifest].concat()),
        ("no roots", [&no_roots[..], &manifest].concat()),
        ("no segment", [&no_segment[..], &manifest].concat()),
        ("no manifest", vec![]),
        ("manifest", manifest),
        ("own keys", own_keys),
        ("roots", roots),
        ("no meta", absent("log.meta")),
        ("meta", sealed("log.meta", &meta)),
        ("meta of version 1", sealed("log.meta", &meta[..16])),
        ("another reading key", sealed("log.meta", &other_meta()?)),
        ("meta as it stands", old_meta),
        ("own keys as they stand", old_keys),
        ("a log of version 2", old_log),
        ("overflow", sealed("manifest.sealed", &overflowing)),
    ];
    let mut seeds: Seeds = seeds.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    seeds.extend(half_done()?);
    Ok(seeds)
}

/// Logs with records, and logs as crashes leave them.
fn half_done() -> Result<Seeds, Failure> {
    let [clock, jumped] = clocks();
    let chunks: [&[u8]; 4] = [&clock, &packed(), &gaps(), &jumped];
    let records = joined(&chunks);
    // A header; behind each length of two bytes in the input, four and a tag of sixteen in the segment.
    let len = 128 + (records.len() + chunks.len() * 18) as u64;
    let segment = sealed(SEGMENT, &records);
    let manifest = sealed("manifest.sealed", &fuzzing::manifest(&[len])?);
    let renewed = |meta: Vec<u8>| -> Result<Vec<u8>, Failure> {
        let manifest = file("manifest.sealed", SEALED, 1, &fuzzing::manifest(&[150])?);
        Ok([meta, manifest, sealed("reading-key.sealed", &[9; 32])].concat())
    };
    let leftovers = [
        file("log.meta", PLAIN, 2, &[1]),
        file(SEGMENT, PLAIN, 2, &[2]),
    ];
    let seeds = [
        ("segment", segment.clone()),
        ("segment and its manifest", [manifest, segment].concat()),
        ("leftovers", leftovers.concat()),
        (
            "a renewal cut short",
            renewed(file("log.meta", SEALED, 1, &other_meta()?))?,
        ),
        (
            "a renewal not yet taken",
            renewed(sealed("log.meta", &other_meta()?))?,
        ),
        ("a renewal without meta", renewed(Vec::new())?),
    ];
    Ok(seeds.map(|(name, bytes)| (name.to_owned(), bytes)).into())
}

fn key_files() -> Seeds {
    let keys = |lines: &[&str]| {
        use std::fmt::Write;
        let mut text = String::from("truyvet-keys-2\n");
        for line in lines {
            let _ = writeln!(text, "{line} {}", "07".repeat(32));
        }
        text
    };
    let seeds = [
        ("empty", String::new()),
        ("version 1", format!("truyvet-key-1 {}\n", "07".repeat(32))),
        ("no key", keys(&["check"])),
        ("one key", keys(&["logging", "check"])),
        ("both keys", keys(&["logging", "reading", "check"])),
        ("cut", keys(&["logging"])),
        (
            "of tomorrow",
            String::from("truyvet-keys-3\nlogging later\n"),
        ),
    ];
    seeds
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .into()
}

fn advertisements() -> Result<Seeds, Failure> {
    let Protocol::Bluezone(profile) = Protocol::bluezone() else {
        return Err("no Bluezone".into());
    };
    let bluezone = profile.frame(b"\x13\x0C\xEA\x64\x72\x13\x0C\x18\x5D\x86\x43\xDF")?;
    let tek = gaen::TemporaryExposureKey::new(Secret::new([7; 16]));
    let gaen = gaen::Config::default().frame(&tek, IntervalNumber(2_663_488))?;
    let company = Some(0xFFFF);
    let windows = FrameForm::ManufacturerData { company };
    let mut iphone = Advertisement::new();
    iphone.push_service_uuid128(profile.ios_service)?;
    let mut background = Advertisement::new();
    background.push_manufacturer_data(0x004C, &[&[1, 8][..], &[0; 15]].concat())?;
    let mut own = Advertisement::new();
    own.push_service_uuid16(0xFFF0)?;
    own.push_manufacturer_data(0xFFFF, &[5; 12])?;
    let frames = [
        ("bluezone", bluezone),
        ("bluezone as a UUID", FrameForm::ServiceUuid.of(&bluezone)?),
        ("gaen", gaen),
        ("gaen as a UUID", FrameForm::ServiceUuid.of(&gaen)?),
        ("gaen on Windows", windows.of(&gaen)?),
        ("iphone", iphone),
        ("iphone in the background", background),
        ("an app of its own", own),
    ];
    let mut seeds: Seeds = frames
        .map(|(name, it)| (name.to_owned(), it.as_bytes().into()))
        .into();
    seeds.insert("cut".to_owned(), vec![2, 1, 6, 5, 9, 65]);
    seeds.insert("ended early".to_owned(), vec![2, 1, 6, 0, 200, 200]);
    seeds.insert(
        "UUIDs of both widths".to_owned(),
        [&[5, 2, 1, 2, 3, 4, 17, 6][..], &[7; 16]].concat(),
    );
    Ok(seeds)
}

fn gaen_exports() -> Result<Seeds, Failure> {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, form: u8, bytes: &[u8]| {
        drop(seeds.insert(name.to_owned(), [&[form], bytes].concat()));
    };
    let mut of_a_server = None;
    for name in [
        "gens_testExport-2-records-1-of-1.zip",
        "geni_sample_diagnosis_key_file.zip",
    ] {
        let zip = fs::read(vectors("gaen").join(name))?;
        add(name, 0, &zip);
        let export = UnverifiedExport::read(&zip)?;
        add(&format!("{name} inside"), 1, export.bin());
        of_a_server = of_a_server.or(Some(export));
    }
    let authority = SigningKey::generate()?.named(KeyName::new("452", "v1"));
    let mut options = ExportOptions::new("VN", DAY.start(), DAY.end());
    options.padding = Padding::NONE;
    let key = |byte| DiagnosisKey::new([byte; 16], IntervalNumber::at(DAY.start()), 144);
    let (mut onset, mut revoked) = (key(1)?, key(2)?);
    (onset.report_type, onset.days_since_onset) = (ReportType::ConfirmedTest, Some(-3));
    revoked.report_type = ReportType::Revoked;
    let writer = ExportWriter::new(options)
        .keys([onset, key(3)?])
        .revised_keys([revoked]);
    let zip = writer.write(&[&authority], &mut SeededEntropy::new(1))?;
    add("written", 0, &zip);
    let written = UnverifiedExport::read(&zip)?;
    add("written inside", 1, written.bin());
    // export.sig, and export.bin behind its first so many bytes: see the target.
    let sig = [&[0x0A, 4, 0x0A, 2, 0x0A, 0][..], &[0x0A, 2, 0x22, 0]].concat();
    let form = 3 * sig.len() as u8 + 2;
    add(
        "two signatures",
        form,
        &[&sig[..], &written.bin()[..40]].concat(),
    );
    Ok(seeds)
}

fn bluezone_lists() -> Result<Seeds, Failure> {
    let start = DAY.start().unix_seconds();
    let entry = |byte, days: u64, slots| {
        PublishedEntry::new([byte; 32], start, start + days * 86_400 - 1, slots)
    };
    let mut seeds = Seeds::new();
    let mut add = |name: &str, text: String| drop(seeds.insert(name.to_owned(), text.into()));
    add("one", bluezone_json::write(&[entry(7, 1, 96)?]));
    add(
        "two",
        bluezone_json::write(&[entry(0xAB, 2, 24)?, entry(1, 21, 144)?]),
    );
    add("none", bluezone_json::write(&[]));
    let one = bluezone_json::write(&[entry(7, 1, 96)?]);
    add("a field missing", one.replace(",\"max\":96", ""));
    add(
        "other fields",
        one.replace("\"max\"", "\"note\":{\"a\":[null,1.5e3,true]},\"max\""),
    );
    add("escaped", one.replacen("07", "\\u00307", 1));
    Ok(seeds)
}
