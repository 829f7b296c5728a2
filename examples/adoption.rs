//! How many use the app in each province, counted by two aggregators of which neither learns who.

mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use truyvet::Secret;
use truyvet::adoption::{
    AdoptionSurvey, Aggregator, PROVINCES_2021, Province, ReportShare, Role, histogram,
};
use truyvet::entropy::{Entropy, SeededEntropy, SystemEntropy};

use support::{Error, say};

#[derive(Parser)]
#[command(
    about = "Count how many use the app in each province, so that nobody learns who",
    long_about = "Count how many use the app in each province, so that nobody learns who: people are drawn, each in any of \
        Vietnam's 63 provinces of 2021 alike; those who use the app report their province in two shares, and two \
        aggregators in this process add them up",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example adoption --features adoption\n      \
        a thousand devices\n  \
        cargo run --release --example adoption --features adoption -- --devices 20000 --seed 2\n      \
        twenty thousand others"
)]
struct Args {
    /// Devices that report
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    devices: u32,
    /// Who uses the app, in per cent: 13.66 in the letter of Bình Định's province
    #[arg(long, default_value_t = 13.66, value_parser = percent)]
    adoption: f64,
    /// The same seed draws the same people
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "expected a number")?;
    match (0.01..=100.0).contains(&percent) {
        true => Ok(percent),
        false => Err(format!("expected 0.01 to 100, got {percent}")),
    }
}

fn main() -> ExitCode {
    support::run(survey(&Args::parse()))
}

fn survey(args: &Args) -> Result<(), Error> {
    let people = People::draw(args)?;
    let survey = AdoptionSurvey::new(random()?, PROVINCES_2021.len())?;
    let key = random()?;
    let [mut leader, mut helper] = [Role::Leader, Role::Helper].map(|role| Station {
        aggregator: Aggregator::new(&survey, role, Secret::new(key)),
        busy: Duration::ZERO,
        bytes: 0,
    });
    let mut reporting = Duration::ZERO;
    for (province, users) in people.users.iter().enumerate() {
        for _ in 0..*users {
            let begun = Instant::now();
            let report = survey.device_report(province, &mut SystemEntropy)?;
            reporting += begun.elapsed();
            count(&mut leader, &mut helper, &report)?;
        }
    }
    let stations = [&leader, &helper].map(|it| (it.busy, it.bytes));
    let counted = histogram(
        &survey,
        leader.aggregator.finish()?,
        helper.aggregator.finish()?,
    )?;
    people.chart(&counted);
    costs(args.devices, reporting, stations);
    Ok(())
}

/// An aggregator, how long it has worked, and what it was sent.
struct Station {
    aggregator: Aggregator,
    busy: Duration,
    bytes: usize,
}

/// Both check a report, each by what the other says, and add it up.
fn count(
    leader: &mut Station,
    helper: &mut Station,
    [for_leader, for_helper]: &[ReportShare; 2],
) -> Result<(), Error> {
    let prepare = |station: &mut Station, share: &ReportShare| {
        let begun = Instant::now();
        let bytes = share.to_bytes();
        station.bytes += bytes.len();
        let prepared = station
            .aggregator
            .prepare(&ReportShare::from_bytes(&bytes)?);
        station.busy += begun.elapsed();
        prepared
    };
    let at_leader = prepare(leader, for_leader)?;
    let at_helper = prepare(helper, for_helper)?;
    let (from_leader, from_helper) = (at_leader.message().to_vec(), at_helper.message().to_vec());
    for (station, own, other) in [
        (leader, at_leader, from_helper),
        (helper, at_helper, from_leader),
    ] {
        let begun = Instant::now();
        station.aggregator.accumulate(own, &other)?;
        station.busy += begun.elapsed();
    }
    Ok(())
}

/// How many people live in each province, and how many of them use the app.
struct People {
    inhabitants: [u32; PROVINCES_2021.len()],
    users: [u32; PROVINCES_2021.len()],
}

impl People {
    /// Draws people until there are as many devices as wanted.
    fn draw(args: &Args) -> Result<Self, Error> {
        let mut entropy = SeededEntropy::new(args.seed);
        let mut people = Self {
            inhabitants: [0; PROVINCES_2021.len()],
            users: [0; PROVINCES_2021.len()],
        };
        let mut devices = 0;
        while devices < args.devices {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes)?;
            let [a, b, c, d, chance @ ..] = bytes;
            let place = u32::from_le_bytes([a, b, c, d]) as usize % PROVINCES_2021.len();
            let uses = f64::from(u32::from_le_bytes(chance)) / 4_294_967_296.0;
            let uses = u32::from(uses * 100.0 < args.adoption);
            if let (Some(all), Some(users)) = (
                people.inhabitants.get_mut(place),
                people.users.get_mut(place),
            ) {
                *all += 1;
                *users += uses;
            }
            devices += uses;
        }
        Ok(people)
    }

    /// A bar for each province: what was counted, beside the truth that only the drawing knows.
    fn chart(&self, counted: &[u64]) {
        say!("province               counted  true  of people");
        let rows = self.inhabitants.iter().zip(&self.users).zip(counted);
        for (Province { code, name, .. }, ((inhabitants, users), counted)) in
            PROVINCES_2021.iter().zip(rows)
        {
            let percent = *counted as f64 * 100.0 / f64::from((*inhabitants).max(1));
            let bar = "█".repeat(usize::try_from(*counted).unwrap_or(0).min(50));
            say!(
                "{code:02} {name:18} {counted:>8} {users:>5} {inhabitants:>6}  {percent:>5.1} %  {bar}"
            );
        }
        let people: u32 = self.inhabitants.iter().sum();
        let total: u64 = counted.iter().sum();
        let percent = total as f64 * 100.0 / f64::from(people.max(1));
        let differ = self.users.iter().zip(counted);
        let differ = differ.filter(|(users, counted)| u64::from(**users) != **counted);
        say!("{total} devices of {people} people: {percent:.2} %");
        say!("provinces whose count is not the truth: {}", differ.count());
    }
}

fn costs(devices: u32, reporting: Duration, stations: [(Duration, usize); 2]) {
    let each = f64::from(devices);
    say!();
    say!(
        "a device: {:.2} ms a report",
        reporting.as_secs_f64() * 1_000.0 / each
    );
    for (name, (busy, bytes)) in ["leader", "helper"].into_iter().zip(stations) {
        say!(
            "the {name}: {:.0} bytes a report, {:.0} reports a second on one core",
            bytes as f64 / each,
            each / busy.as_secs_f64()
        );
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes)?;
    Ok(bytes)
}
