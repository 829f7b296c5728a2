//! Clocks that somebody sets.

use truyvet::log::{EncounterLog, LogOptions, LogReader, MemoryKey, MemoryStorage};
use truyvet::sighting::{GapCause, ScanGap};
use truyvet::time::{ClockReading, Uptime};
use truyvet::{EphemeralId, ProtocolKind, Secret};

use super::*;

/// A device whose clocks do as they are told, and its log.
struct Device {
    log: EncounterLog,
    storage: MemoryStorage,
    wall_ms: i64,
    /// Since its start, which has a number; `None` where the system does not tell.
    boot: Option<(u8, i64)>,
}

fn key_of_log() -> MemoryKey {
    MemoryKey::new(Secret::new([9; 32]))
}

/// The begin of the key's day.
fn midnight_ms() -> i64 {
    i64::try_from(IntervalNumber(START).start().unix_millis()).unwrap()
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_unix_millis(u64::try_from(ms).unwrap())
}

impl Device {
    /// Started an hour ago, by its clock on the day after the key's, at noon.
    fn new() -> Self {
        let storage = MemoryStorage::default();
        let options = LogOptions::default();
        Self {
            log: EncounterLog::open_on(storage.clone(), key_of_log(), options).unwrap(),
            storage,
            wall_ms: midnight_ms() + DAY_MS + 12 * HOUR_MS,
            boot: Some((1, HOUR_MS)),
        }
    }

    fn passes(&mut self, ms: i64) {
        self.wall_ms += ms;
        if let Some((_, since_ms)) = &mut self.boot {
            *since_ms += ms;
        }
    }

    /// So far from where it stands.
    fn set_clock(&mut self, by_ms: i64) {
        self.wall_ms += by_ms;
    }

    fn starts_anew(&mut self) {
        let (number, _) = self.boot.unwrap();
        self.boot = Some((number + 1, 20_000));
    }

    fn look_at_the_clocks(&mut self) {
        let uptime = self.boot.map(|(number, since_ms)| Uptime {
            boot_id: [number; 16],
            since_boot_ms: u64::try_from(since_ms).unwrap(),
        });
        let wall = time(self.wall_ms);
        self.log.observe(ClockReading { wall, uptime });
    }

    fn hear(&mut self, id: EphemeralId) {
        let sighting = self.of(id);
        self.passes(10_000);
        self.look_at_the_clocks();
        self.log.append(&[sighting]).unwrap();
    }

    /// Nothing could be heard for the last ten seconds, which is stored.
    fn misses(&mut self) {
        let from = time(self.wall_ms);
        self.passes(10_000);
        self.look_at_the_clocks();
        let (to, cause) = (time(self.wall_ms), GapCause::ClockJump);
        let gap = serde_json::json!({ "from": from, "to": to, "cause": cause });
        let gap: ScanGap = serde_json::from_value(gap).unwrap();
        self.log.append_gaps(&[gap]).unwrap();
    }

    /// What is heard of `id` now.
    fn of(&self, id: EphemeralId) -> Sighting {
        let protocol = match id.as_bytes().len() {
            12 => ProtocolKind::Bluezone,
            _ => ProtocolKind::Gaen,
        };
        Sighting {
            protocol,
            id,
            metadata: None,
            first: time(self.wall_ms),
            last: time(self.wall_ms + 5_000),
            frames: 3,
            rssi: None,
            source: Source::ServiceData,
        }
    }

    /// Somebody whose key is never published.
    fn hear_others_for(&mut self, ms: i64) {
        let end = self.wall_ms + ms;
        let mut number = 0_u8;
        while self.wall_ms < end {
            number = number.wrapping_add(1);
            self.hear([number; 16].into());
            self.passes((5 * MINUTE_MS).min(end - self.wall_ms).max(0));
        }
    }

    /// The identifier that the key's holder has at this time of the wall clock.
    fn replayed(&self, key: &PublishedKey) -> EphemeralId {
        let mut found = None;
        key.for_each_candidate(|candidate| {
            if candidate.heard_at(time(self.wall_ms), Duration::ZERO) {
                found = found.or(Some(candidate.id));
            }
        });
        found.unwrap()
    }

    /// Hears what is replayed, minute by minute.
    fn hear_replay(&mut self, key: &PublishedKey, times: usize) {
        for _ in 0..times {
            self.hear(self.replayed(key));
            self.passes(MINUTE_MS);
        }
    }

    fn findings(self, keys: &[&PublishedKey]) -> Findings {
        drop(self.log);
        let reader = LogReader::open_on(self.storage, &key_of_log()).unwrap();
        let matcher = Matcher::from_log(MatchConfig::default(), &reader).unwrap();
        matcher.findings(keys.iter().copied(), None)
    }

    /// How many sightings of the key count, and how many are in a clock jump.
    fn outcome(self, key: &PublishedKey) -> (usize, usize) {
        let found = self.findings(&[key]);
        let (replayed, published, jump) = not_counted(&found);
        assert_eq!((replayed, published), (0, 0));
        (counted(&found), jump)
    }
}

#[test]
fn what_is_heard_by_a_clock_that_nobody_sets_counts() {
    for key in [gaen_key(), bluezone_key()] {
        let mut device = Device::new();
        device.set_clock(-DAY_MS);
        device.hear_replay(&key, 10);
        assert_eq!(device.outcome(&key), (10, 0));
    }
}

#[test]
fn a_clock_set_to_yesterday_for_a_replay_and_set_right_again_is_no_contact() {
    for key in [gaen_key(), bluezone_key()] {
        let mut device = Device::new();
        device.hear_others_for(HOUR_MS);
        device.set_clock(-DAY_MS);
        device.hear_replay(&key, 10);
        device.set_clock(DAY_MS);
        device.hear_others_for(HOUR_MS);
        assert_eq!(device.outcome(&key), (0, 10));
    }
}

#[test]
fn a_clock_set_ahead_and_back_is_no_contact_either() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-2 * DAY_MS);
    device.hear_others_for(HOUR_MS);
    device.set_clock(DAY_MS);
    device.hear_replay(&key, 10);
    device.set_clock(-DAY_MS);
    device.hear_others_for(HOUR_MS);
    assert_eq!(device.outcome(&key), (0, 10));
}

#[test]
fn a_clock_that_is_still_set_to_yesterday_when_keys_are_matched_is_no_contact() {
    let key = gaen_key();
    let mut device = Device::new();
    device.hear_others_for(HOUR_MS);
    device.set_clock(-DAY_MS);
    device.hear_replay(&key, 10);
    assert_eq!(device.outcome(&key), (0, 10));
}

#[test]
fn a_clock_false_since_the_machine_started_and_then_put_right_is_no_contact() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-DAY_MS);
    device.hear_replay(&key, 10);
    device.set_clock(DAY_MS);
    device.hear_others_for(3 * HOUR_MS);
    assert_eq!(device.outcome(&key), (0, 10));
}

/// That the clock stood elsewhere is noted beside gaps alone.
#[test]
fn a_clock_set_to_yesterday_while_nobody_else_is_near_is_no_contact() {
    let key = gaen_key();
    for (before, after) in [(true, false), (false, true), (true, true)] {
        let mut device = Device::new();
        if before {
            device.misses();
        }
        device.passes(HOUR_MS);
        device.set_clock(-DAY_MS);
        device.hear_replay(&key, 10);
        device.set_clock(DAY_MS);
        if after {
            device.misses();
        }
        assert_eq!(device.outcome(&key), (0, 10), "{before}, {after}");
    }
}

/// False when the machine started, and false in the same way at the end: the clock has come back to where it began.
#[test]
fn a_clock_false_at_both_ends_of_days_that_were_right_is_no_contact() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-2 * DAY_MS);
    device.hear_others_for(10 * MINUTE_MS);
    device.set_clock(DAY_MS);
    device.hear_others_for(HOUR_MS);
    device.hear_replay(&key, 5);
    device.hear_others_for(29 * HOUR_MS);
    device.set_clock(-DAY_MS);
    device.hear_replay(&key, 10);
    assert_eq!(device.outcome(&key), (5, 10));
}

#[test]
fn a_replay_that_is_stored_once_the_clock_is_right_again_is_no_contact() {
    for tells_start in [true, false] {
        let key = gaen_key();
        let mut device = Device::new();
        if !tells_start {
            device.boot = None;
        }
        device.hear_others_for(HOUR_MS);
        device.set_clock(-DAY_MS);
        let replayed = device.of(device.replayed(&key));
        device.set_clock(DAY_MS);
        device.look_at_the_clocks();
        device.log.append(&[replayed]).unwrap();
        device.hear_others_for(HOUR_MS);
        assert_eq!(device.outcome(&key), (0, 1), "{tells_start}");
    }
}

#[test]
fn a_machine_started_anew_into_yesterday_is_no_contact() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-DAY_MS);
    device.hear_others_for(25 * HOUR_MS);
    device.starts_anew();
    device.set_clock(-24 * HOUR_MS);
    device.hear_replay(&key, 10);
    device.starts_anew();
    device.set_clock(24 * HOUR_MS);
    device.hear_others_for(HOUR_MS);
    assert_eq!(device.outcome(&key), (0, 10));
}

#[test]
fn without_the_machines_start_a_clock_that_goes_back_within_a_day_is_no_contact() {
    let key = gaen_key();
    let mut device = Device::new();
    device.boot = None;
    device.set_clock(-DAY_MS);
    device.hear_others_for(2 * HOUR_MS);
    device.set_clock(-2 * HOUR_MS);
    device.hear_replay(&key, 10);
    device.set_clock(2 * HOUR_MS);
    device.hear_others_for(HOUR_MS);
    assert_eq!(device.outcome(&key), (0, 10));
}

#[test]
fn what_was_truly_heard_counts_beside_a_replay() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-DAY_MS);
    device.hear_replay(&key, 5);
    let met_ms = device.wall_ms;
    device.hear_others_for(20 * HOUR_MS);
    device.set_clock(met_ms + HOUR_MS - device.wall_ms);
    let set_by_ms = 20 * HOUR_MS - HOUR_MS;
    device.hear_replay(&key, 10);
    device.set_clock(set_by_ms);
    device.hear_others_for(HOUR_MS);
    assert_eq!(device.outcome(&key), (5, 10));
}

/// A clock that is corrected by two minutes is as good as one that is not.
#[test]
fn every_limit_of_a_correction_from_both_sides() {
    let limit = 2 * MINUTE_MS;
    for (by_ms, counts) in [
        (limit, true),
        (limit + 1, false),
        (-limit, true),
        (-limit - 1, false),
    ] {
        let key = gaen_key();
        let mut device = Device::new();
        device.set_clock(-DAY_MS);
        device.hear_others_for(HOUR_MS);
        device.set_clock(by_ms);
        device.hear_replay(&key, 5);
        let expected = if counts { (5, 0) } else { (0, 5) };
        assert_eq!(device.outcome(&key), expected, "{by_ms} ms");
    }
}

/// A clock that was put right for good is believed once it has held for longer than it was wrong and for two hours, or
/// for a day.
#[test]
fn every_limit_of_holding_from_both_sides() {
    let minute = MINUTE_MS;
    for (wrong_ms, right_ms, counts) in [
        (5 * minute, 2 * HOUR_MS - minute, false),
        (5 * minute, 2 * HOUR_MS + minute, true),
        (5 * HOUR_MS, 5 * HOUR_MS - 20 * minute, false),
        (5 * HOUR_MS, 5 * HOUR_MS + 20 * minute, true),
        (40 * HOUR_MS, 24 * HOUR_MS - 20 * minute, false),
        (40 * HOUR_MS, 24 * HOUR_MS + 20 * minute, true),
    ] {
        let key = gaen_key();
        let mut device = Device::new();
        device.wall_ms = midnight_ms() + 8 * HOUR_MS - wrong_ms - 10 * DAY_MS;
        device.hear_others_for(wrong_ms);
        device.set_clock(10 * DAY_MS);
        let end_ms = device.wall_ms + right_ms;
        // What is stored first after a jump may be of before it.
        device.hear([1; 16].into());
        device.hear_replay(&key, 5);
        device.hear_others_for(end_ms - device.wall_ms);
        device.hear([1; 16].into());
        let expected = if counts { (5, 0) } else { (0, 5) };
        assert_eq!(
            device.outcome(&key),
            expected,
            "{wrong_ms} ms, {right_ms} ms"
        );
    }
}

/// A clock that runs ahead and is put right must not have everything after it go back.
#[test]
fn a_clock_that_ran_ahead_does_not_silence_the_next_run() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-DAY_MS);
    device.hear_others_for(HOUR_MS);
    device.set_clock(6 * HOUR_MS);
    device.hear_others_for(10 * MINUTE_MS);
    device.set_clock(-6 * HOUR_MS);
    device.hear_others_for(10 * MINUTE_MS);
    device.starts_anew();
    device.hear_replay(&key, 5);
    assert_eq!(device.outcome(&key), (5, 0));
}

#[test]
fn a_sleep_is_no_jump() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-DAY_MS);
    device.hear_replay(&key, 3);
    device.passes(8 * HOUR_MS);
    device.hear_replay(&key, 3);
    assert_eq!(device.outcome(&key), (6, 0));
}

#[test]
fn where_nobody_told_the_log_the_time_everything_counts() {
    let key = gaen_key();
    let mut device = Device::new();
    device.set_clock(-DAY_MS);
    for _ in 0..5 {
        let sighting = device.of(device.replayed(&key));
        device.log.append(&[sighting]).unwrap();
        device.set_clock(-HOUR_MS);
    }
    assert_eq!(device.outcome(&key), (5, 0));
}
