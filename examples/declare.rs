//! A health declaration: filled in, kept in the log's diary, listed, and sealed to an authority.

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use truyvet::EncounterLog;
use truyvet::report::health::advice::advise;
use truyvet::report::health::message::{ATTACHMENT_BYTES_MAX, seal_declaration};
use truyvet::report::health::{
    CheckedDeclaration, DailyState, Diary, Exposure, Form, HealthDeclaration, Subject, Symptom,
    TestOutcome, TestResult, Window,
};
use truyvet::report::sealed::AuthorityPublicKey;
use truyvet::time::UtcDay;

use support::{Error, LogArgs, ask, count, create_new, now, refuse_if_there, say, warn};

#[derive(Parser)]
#[command(
    about = "Declare how you are: kept in the log's diary, and sealed to an authority if you say so",
    after_help = "Examples, to be typed in the checkout; the log is made if there is none:\n\n  \
        cargo run --release --example declare -- --state cough --note 'since noon'\n      \
        today's update; without --state or --symptom it asks\n  \
        cargo run --release --example declare -- --correct --state healthy --language vi\n      \
        corrects it; both stay in the diary\n  \
        cargo run --release --example declare -- --list\n      \
        what has been declared\n\n\
        --to and --out write what an authority is sent: 4 KiB that nobody else opens."
)]
struct Arguments {
    #[command(flatten)]
    log: LogArgs,
    /// Show the diary, and declare nothing
    #[arg(long)]
    list: bool,
    /// The whole form, where what is not given is answered by no; without it, the daily update
    #[arg(long)]
    full: bool,
    /// How you are today: fever, cough, difficulty-breathing, pain-or-fatigue or healthy
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<DailyState>,
    /// A symptom, in English (sore-throat) or as the form has it (dau_hong)
    #[arg(long, value_name = "SYMPTOM", value_parser = symptom)]
    symptom: Vec<Symptom>,
    /// close-contact, case-contact, outbreak-contact, symptomatic-contact or animal-market
    #[arg(long, value_name = "EXPOSURE", value_parser = exposure)]
    exposure: Vec<Exposure>,
    /// What a test has said
    #[arg(long, value_enum, requires = "tested_on")]
    test: Option<Outcome>,
    /// When it was taken, such as 2021-05-30
    #[arg(long, value_name = "DAY", requires = "test")]
    tested_on: Option<UtcDay>,
    /// When the symptoms began
    #[arg(long, value_name = "DAY")]
    onset: Option<UtcDay>,
    /// What else is to be said
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Of somebody of your household, by a word that names nobody to others
    #[arg(long, value_name = "WORD")]
    on_behalf_of: Option<String>,
    /// Speak of 21 days, not of 14
    #[arg(long)]
    days_21: bool,
    /// Correct the latest declaration of the same person and form
    #[arg(long)]
    correct: bool,
    /// The language of questions and advice
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
    /// Seal it to this authority's key, 43 characters
    // One key in 64 begins with a hyphen.
    #[arg(long, value_name = "KEY", requires = "out", allow_hyphen_values = true)]
    to: Option<AuthorityPublicKey>,
    /// The sealed file, which must not be there yet
    #[arg(short, long, value_name = "FILE", requires = "to")]
    out: Option<PathBuf>,
    /// Seal this file with it
    #[arg(long, value_name = "FILE", requires = "to")]
    attach: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Outcome {
    Negative,
    Positive,
    Pending,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    Vi,
    En,
}

type Texts = BTreeMap<String, String>;

impl Language {
    fn texts(self) -> Result<Texts, Error> {
        Ok(serde_json::from_str(match self {
            Self::Vi => include_str!("texts/vi.json"),
            Self::En => include_str!("texts/en.json"),
        })?)
    }
}

fn main() -> ExitCode {
    support::run(declare(&Arguments::parse()))
}

fn declare(args: &Arguments) -> Result<(), Error> {
    let texts = args.language.texts()?;
    if args.list {
        return list(&Diary::of(&args.log.reader()?)?, &texts);
    }
    if let Some(out) = &args.out {
        refuse_if_there(out)?;
    }
    let attachment = match &args.attach {
        Some(path) => read_attachment(path)?,
        None => Vec::new(),
    };
    let key = Arc::new(args.log.open_or_create_key()?);
    let mut log = EncounterLog::open(&args.log.log, key)?;
    let mut diary = Diary::of(&log.reader()?)?;
    let declaration = fill_in(args, &diary, &texts)?;
    let checked = diary.check(declaration.clone(), now())?;
    diary.append(&mut log, declaration, now())?;
    log.close()?;
    say!("Declared for {}.", checked.declaration().day());
    for advice in advise(&checked) {
        say!("- {}", text(&texts, advice.key.name()));
    }
    match (&args.to, &args.out) {
        (Some(to), Some(out)) => seal(&checked, to, &attachment, out),
        _ => Ok(()),
    }
}

fn fill_in(args: &Arguments, diary: &Diary, texts: &Texts) -> Result<HealthDeclaration, Error> {
    let form = match args.full {
        true => Form::Full,
        false => Form::Daily,
    };
    let mut it = HealthDeclaration::new(form, now());
    if let Some(label) = &args.on_behalf_of {
        let label = label.clone();
        it.subject = Subject::HouseholdMember { label };
    }
    if args.days_21 {
        it.window = Window::Days21;
    }
    it.states = args.state.iter().copied().collect();
    it.symptoms = args.symptom.iter().map(|it| (*it, true)).collect();
    it.exposures = args.exposure.iter().map(|it| (*it, true)).collect();
    if it.states.is_empty() && it.symptoms.is_empty() && it.exposures.is_empty() {
        ask_all(&mut it, texts)?;
    }
    if args.full {
        for symptom in Symptom::ALL {
            it.symptoms.entry(symptom).or_insert(false);
        }
        for exposure in Exposure::OF_ENTRY {
            it.exposures.entry(exposure).or_insert(false);
        }
    }
    if let (Some(outcome), Some(date)) = (args.test, args.tested_on) {
        let outcome = match outcome {
            Outcome::Negative => TestOutcome::Negative,
            Outcome::Positive => TestOutcome::Positive,
            Outcome::Pending => TestOutcome::Pending,
        };
        it.test = Some(TestResult { outcome, date });
    }
    it.onset = args.onset;
    it.note.clone_from(&args.note);
    if args.correct {
        let mut before = diary.all().iter().rev().filter(|it| !it.is_corrected);
        let latest = before.find(|before| {
            before.declaration.subject == it.subject && before.declaration.form == it.form
        });
        let latest = latest.ok_or("there is nothing to correct: no such form was filled in")?;
        it.corrects = Some(latest.id);
    }
    Ok(it)
}

fn ask_all(it: &mut HealthDeclaration, texts: &Texts) -> Result<(), Error> {
    if it.form == Form::Daily {
        let mut states = DailyState::ALL.into_iter();
        let ill = states.by_ref().take(DailyState::ALL.len() - 1);
        for state in ill {
            if is_so(text(texts, state.name()))? {
                it.states.insert(state);
            }
        }
        if it.states.is_empty() && is_so(text(texts, DailyState::Healthy.name()))? {
            it.states.insert(DailyState::Healthy);
        }
        return Ok(());
    }
    for symptom in Symptom::ALL {
        let answer = is_so(text(texts, symptom.wire_name()))?;
        it.symptoms.insert(symptom, answer);
    }
    for exposure in Exposure::ALL {
        let answer = is_so(text(texts, exposure.wire_name()))?;
        it.exposures.insert(exposure, answer);
    }
    Ok(())
}

fn is_so(question: &str) -> Result<bool, Error> {
    loop {
        match ask(&format!("{question}? (yes/no) "))?.as_deref() {
            Some("yes" | "y" | "có") => return Ok(true),
            Some("no" | "n" | "không") => return Ok(false),
            Some(_) => warn("yes or no, please"),
            None => return Err("nobody answers: say it by --state or --symptom".into()),
        }
    }
}

fn text<'a>(texts: &'a Texts, key: &'a str) -> &'a str {
    texts.get(key).map_or(key, String::as_str)
}

fn list(diary: &Diary, texts: &Texts) -> Result<(), Error> {
    for it in diary.all() {
        let declaration = &it.declaration;
        let states = declaration.states.iter().map(|it| it.name());
        let symptoms = declaration.symptoms.iter().filter(|(_, yes)| **yes);
        let symptoms = symptoms.map(|(it, _)| it.wire_name());
        let exposures = declaration.exposures.iter().filter(|(_, yes)| **yes);
        let exposures = exposures.map(|(it, _)| it.wire_name());
        let said = states.chain(symptoms).chain(exposures);
        let said: Vec<&str> = said.map(|key| text(texts, key)).collect();
        say!(
            "{} {}{}: {}{}",
            it.day,
            match &declaration.subject {
                Subject::Myself => "myself",
                Subject::HouseholdMember { label } => label,
            },
            if it.is_corrected {
                ", corrected since"
            } else {
                ""
            },
            match said.is_empty() {
                true => "nothing".to_owned(),
                false => said.join(", "),
            },
            match declaration.note.is_empty() {
                true => String::new(),
                false => format!(" ({})", declaration.note.replace('\n', " ")),
            },
        );
    }
    say!("{} in the diary.", count(diary.all().len(), "declaration"));
    match diary.damage().is_empty() && diary.unreadable() == 0 {
        true => Ok(()),
        false => Err("part of the diary cannot be read; log verify says what is damaged".into()),
    }
}

fn read_attachment(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |e| format!("{}: {e}", path.display());
    let mut bytes = Vec::new();
    let most = ATTACHMENT_BYTES_MAX as u64 + 1;
    let file = File::open(path).map_err(failed)?;
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() > ATTACHMENT_BYTES_MAX {
        true => Err(format!("{}: more than {ATTACHMENT_BYTES_MAX} bytes", path.display()).into()),
        false => Ok(bytes),
    }
}

fn seal(
    checked: &CheckedDeclaration,
    to: &AuthorityPublicKey,
    attachment: &[u8],
    out: &Path,
) -> Result<(), Error> {
    let envelope = seal_declaration(to, checked, attachment)?;
    let mut file = create_new(out, true)?;
    if let Err(e) = file.write_all(&envelope).and_then(|()| file.sync_all()) {
        // The error that is told is the first one.
        let _ = fs::remove_file(out);
        return Err(format!("{}: {e}", out.display()).into());
    }
    say!(
        "{}: {} for the authority alone",
        out.display(),
        count(envelope.len(), "byte")
    );
    Ok(())
}

fn state(text: &str) -> Result<DailyState, String> {
    named(text, &DailyState::ALL, |_| "")
}

fn symptom(text: &str) -> Result<Symptom, String> {
    named(text, &Symptom::ALL, Symptom::wire_name)
}

fn exposure(text: &str) -> Result<Exposure, String> {
    named(text, &Exposure::ALL, Exposure::wire_name)
}

/// By the name in code, in words with hyphens, or that on the wire.
fn named<T: Copy + Debug>(
    text: &str,
    all: &[T],
    wire_name: fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all
        .iter()
        .find(|it| hyphenated(it) == text || wire_name(**it) == text);
    found.copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(hyphenated).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn hyphenated(it: &impl Debug) -> String {
    let mut name = String::new();
    for letter in format!("{it:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}
