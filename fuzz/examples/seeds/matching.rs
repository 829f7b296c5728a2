//! Seeds of what comes after reading: matching, and judging.

use truyvet::exposure::WindowConfig;
use truyvet::exposure::risk::{
    BluezoneRuleConfig, CoronaWarnAppConfig, GaenV1Config, GaenV2Config, SwissCovidConfig,
};
use truyvet_fuzz::{MatcherInput, Record};

use super::{Failure, Seeds};

fn gaen(seed: u8, start: u16, period: u8) -> Record {
    Record::Gaen {
        seed,
        start,
        period,
    }
}

fn bluezone(seed: u8, day: u8, slots: u8, minutes: u16) -> Record {
    Record::Bluezone {
        seed,
        day,
        slots,
        minutes,
    }
}

fn of(key: u8, identifier: u8, half_minutes: i16) -> Record {
    Record::Of {
        key,
        identifier,
        long_s: 5,
        half_minutes,
    }
}

fn other(seed: u8, len: u8, minutes: u16) -> Record {
    Record::Other {
        seed,
        len,
        long_s: 0,
        minutes,
    }
}

pub(super) fn matches() -> Seeds {
    let day = gaen(1, 0, 144);
    let entry = bluezone(1, 0, 96, 1_439);
    let both = [
        day,
        day,
        bluezone(2, 0, 144, 4_000),
        bluezone(2, 1, 24, 600),
    ];
    let heard = [of(0, 3, 0), of(2, 200, 1), of(3, 5, 90)];
    let others = [other(3, 0, 700), other(3, 1, 700)];
    let replayed = vec![day, of(0, 20, 0), of(0, 20, 40), of(0, 20, 41)];
    let short_replay = vec![entry, of(0, 20, -4), of(0, 20, 30)];
    let published = vec![day, of(0, 20, 0), of(0, 36, 0), of(0, 50, 0)];
    let late_key = gaen(1, 100, 144);
    let midnight = vec![late_key, of(0, 43, 19), of(0, 44, -1), of(0, 143, 0)];
    let all = [&both[..], &heard, &others].concat();
    let seeds = [
        ("met", 0, 0, vec![day, of(0, 20, 0), of(0, 21, 4)]),
        ("met in Bluezone", 0, 0, vec![entry, of(0, 20, 0)]),
        ("replayed", 0, 0, replayed),
        ("replayed in Bluezone", 1, 0, short_replay),
        ("published meanwhile", 0, 6, published),
        ("over midnight", 2, 0, midnight),
        ("of both, twice, and of others", 7, 40, all),
        ("no key", 0, 0, vec![other(1, 0, 0)]),
        ("nothing heard", 0, 0, vec![gaen(1, 0, 1)]),
    ];
    let encoded = seeds.map(|(name, config, published_h, records)| {
        let input = MatcherInput {
            config,
            published_h,
            records,
        };
        (name.to_owned(), input.encode())
    });
    encoded.into()
}

/// The configurations that the models have of their own, and some that are none; see the target for the first byte.
pub(super) fn risk_configs() -> Result<Seeds, Failure> {
    let own = [
        ("gaen v1", serde_json::to_string(&GaenV1Config::default())?),
        ("gaen v2", serde_json::to_string(&GaenV2Config::default())?),
        (
            "corona warn app",
            serde_json::to_string(&CoronaWarnAppConfig::default())?,
        ),
        (
            "swisscovid",
            serde_json::to_string(&SwissCovidConfig::default())?,
        ),
        (
            "bluezone",
            serde_json::to_string(&BluezoneRuleConfig::default())?,
        ),
        ("windows", serde_json::to_string(&WindowConfig::default())?),
    ];
    let mut seeds = Seeds::new();
    for (choice, (name, json)) in (0_u8..).zip(own) {
        let mut add = |name: String, json: &str| {
            drop(seeds.insert(name, [&[choice], json.as_bytes()].concat()));
        };
        add(name.to_owned(), &json);
        add(format!("{name} left out"), "{}");
        add(format!("{name} negative"), &json.replace(':', ":-"));
        add(format!("{name} cut"), &json[..json.len() / 2]);
    }
    Ok(seeds)
}
