//! Published keys × log: which sightings were of whom.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use super::assembly::exposure;
use super::clocks::{self, Stored};
use super::index::Index;
use super::rules::{Quarantine, Rules, SetAside, heard_max, judge};
use super::search::Search;
use super::simd::Avx512;
use super::{Exposure, Findings};
use crate::log::{LogError, LogReader};
use crate::protocol::{PublishedKey, bluezone, gaen};
use crate::sighting::Sighting;
use crate::time::{ClockRecord, Timestamp, UtcDay};

/// How sightings are matched and counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchConfig {
    /// How far outside its slot a Bluezone identifier may be heard. Bluezone itself allows nothing;
    /// see [`bluezone::DEFAULT_TOLERANCE`].
    pub bluezone_tolerance: Duration,
    /// How far outside its interval a GAEN identifier may be heard: [`gaen::TOLERANCE`].
    pub gaen_tolerance: Duration,
    /// Power assumed of Bluezone senders, dBm; they do not tell. By default -15, what Android's
    /// "low" transmit power, which Bluezone asks for, nominally is.
    pub bluezone_tx_power_dbm: i8,
    /// What this receiver's strengths lack to those of the reference receiver, dB:
    /// attenuation = power - (strength + correction), as GAEN has it. By default 0.
    pub rssi_correction_db: i8,
    /// Two sightings no further apart than this count as one stay, with the time between them; a
    /// longer gap counts nothing. By default five minutes, the most that GAEN counts for one scan.
    pub gap_max: Duration,
    /// What computes the identifiers of keys; the exposures are the same.
    pub backend: Backend,
    /// Threads that search at most; fewer do if there is little to search for. By default the processor's, up to
    /// eight.
    pub threads: NonZeroUsize,
}

/// What computes the identifiers of published keys.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Backend {
    /// The fastest that this processor has.
    #[default]
    Auto,
    /// One key after the other, with what the libraries for AES and SHA-256 find in the processor.
    Portable,
    /// Sixteen keys side by side in AVX-512's registers. Where the processor lacks it (F, BW and VAES), this is
    /// [`Portable`](Self::Portable); [`Matcher::backend`] tells.
    Avx512,
}

/// More threads share their caches and would gain little. Chosen.
const THREADS_MAX: usize = 8;

impl Default for MatchConfig {
    fn default() -> Self {
        Self {
            bluezone_tolerance: bluezone::DEFAULT_TOLERANCE,
            gaen_tolerance: gaen::TOLERANCE,
            bluezone_tx_power_dbm: -15,
            rssi_correction_db: 0,
            gap_max: Duration::from_secs(300),
            backend: Backend::Auto,
            threads: thread::available_parallelism()
                .ok()
                .and_then(|threads| NonZeroUsize::new(threads.get().min(THREADS_MAX)))
                .unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// The sightings of a log, ready to be matched against any number of keys.
pub struct Matcher {
    pub(super) config: MatchConfig,
    /// Sightings of identifiers of 16 bytes.
    pub(super) gaen: Index,
    /// Of 12 bytes.
    pub(super) bluezone: Index,
    pub(super) avx512: Option<Avx512>,
    /// Sightings of them whose time cannot be trusted.
    quarantine: Quarantine,
    sighting_count: usize,
    damage: Vec<LogError>,
    torn_bytes: u64,
}

impl Matcher {
    /// A matcher of `sightings`.
    pub fn new(config: MatchConfig, sightings: impl IntoIterator<Item = Sighting>) -> Self {
        let mut gaen: Vec<Sighting> = sightings.into_iter().collect();
        let is_short = |sighting: &mut Sighting| sighting.id.as_bytes().len() < 16;
        let bluezone: Vec<Sighting> = gaen.extract_if(.., is_short).collect();
        Self {
            sighting_count: gaen.len() + bluezone.len(),
            gaen: Index::new(config.gaen_tolerance, gaen),
            bluezone: Index::new(config.bluezone_tolerance, bluezone),
            avx512: match config.backend {
                Backend::Portable => None,
                Backend::Auto | Backend::Avx512 => Avx512::detect(),
            },
            quarantine: Quarantine::default(),
            damage: Vec::new(),
            torn_bytes: 0,
            config,
        }
    }

    /// A matcher of everything that `log` holds. Parts of it that are damaged are passed over and
    /// told by [`damage`](Self::damage). By what the log noted of the clocks, sightings whose time cannot be
    /// trusted are known, and do not count.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] if the log cannot be listed.
    pub fn from_log(config: MatchConfig, log: &LogReader) -> Result<Self, LogError> {
        let mut damage = Vec::new();
        let mut all = Vec::new();
        // How many there are before the next note of the clocks, and that note.
        let mut notes: Vec<(usize, Option<ClockRecord>)> = Vec::new();
        let mut sightings = log.sightings()?;
        loop {
            let next = sightings.next();
            // Where a clock stood while nobody was heard tells of the others.
            let noted = sightings.take_clocks().into_iter();
            notes.extend(noted.map(|record| (all.len(), Some(record))));
            match next {
                None => break,
                Some(Ok(sighting)) => {
                    let clock = sightings.clock();
                    if notes.last().is_none_or(|(_, noted)| *noted != clock) {
                        notes.push((all.len(), clock));
                    }
                    all.push(sighting);
                }
                Some(Err(error)) => damage.push(error),
            }
        }
        let torn_bytes = sightings.torn_bytes();
        let ends = notes.iter().skip(1).map(|(from, _)| *from);
        let ranges = notes.iter().zip(ends.chain([all.len()]));
        let stored: Vec<Stored<'_>> = ranges
            .map(|(&(from, clock), to)| Stored {
                clock,
                sightings: all.get(from..to).unwrap_or_default(),
            })
            .collect();
        let quarantine = clocks::quarantine(&stored);
        let mut matcher = Self::new(config, all);
        (matcher.quarantine, matcher.damage, matcher.torn_bytes) = (quarantine, damage, torn_bytes);
        Ok(matcher)
    }

    /// What computes the identifiers of keys here: never [`Backend::Auto`].
    pub fn backend(&self) -> Backend {
        match self.avx512 {
            Some(_) => Backend::Avx512,
            None => Backend::Portable,
        }
    }

    /// Sightings it holds.
    pub fn sighting_count(&self) -> usize {
        self.sighting_count
    }

    /// What of the log could not be read. An exposure may have been in it.
    pub fn damage(&self) -> &[LogError] {
        &self.damage
    }

    /// Bytes at the ends of segments that are of no whole chunk: writes cut by a crash, or somebody's
    /// damage to a last chunk, which looks the same.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The exposures to `keys`, in the order of their days, then of the keys. Revoked keys give
    /// none. Whoever makes the keys makes the exposures: give only those whose signature has held.
    ///
    /// [`findings`](Self::findings) also tells which sightings of the keys did not count, and why: an app that says
    /// "no exposure" should look there first.
    pub fn exposures<'k>(&self, keys: impl IntoIterator<Item = &'k PublishedKey>) -> Vec<Exposure> {
        let mut search = self.search();
        // Nobody was asked whether to cancel.
        let _ = search.add(keys);
        search.found().exposures
    }

    /// As [`exposures`](Self::exposures), with what was found and does not count. What was heard once the keys were
    /// `published` is of that: a GAEN export's end, or when a Bluezone list was got.
    pub fn findings<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k PublishedKey>,
        published: Option<Timestamp>,
    ) -> Findings {
        let mut search = self.search();
        search.published_at(published);
        // Nobody was asked whether to cancel.
        let _ = search.add(keys);
        search.found()
    }

    /// Begins a search for keys that come bit by bit, with progress, and a way to cancel it.
    pub fn search(&self) -> Search<'_> {
        Search::new(self)
    }

    /// The sightings among which those of `key` are.
    pub(super) fn index_of(&self, key: &PublishedKey) -> &Index {
        match key {
            PublishedKey::Bluezone(_) => &self.bluezone,
            PublishedKey::Gaen(_) => &self.gaen,
        }
    }

    /// Makes exposures of those of the sightings found for one key, at least one, that count, and sets the others
    /// aside.
    pub(super) fn assemble(
        &self,
        key_index: usize,
        key: &PublishedKey,
        published: Option<Timestamp>,
        heard: Vec<&Sighting>,
        out: &mut Findings,
    ) {
        let rules = Rules {
            heard_max: heard_max(&self.config, key),
            published,
            quarantine: &self.quarantine,
        };
        let (counted, set_aside) = judge(&rules, heard);
        let set_aside = set_aside.into_iter().map(|(sighting, reason)| SetAside {
            key_index,
            first: sighting.first,
            last: sighting.last,
            reason,
        });
        out.set_aside.extend(set_aside);
        let mut days: BTreeMap<UtcDay, Vec<&Sighting>> = BTreeMap::new();
        for sighting in counted {
            let day = days.entry(sighting.first.utc_day()).or_default();
            day.push(sighting);
        }
        for (day, sightings) in days {
            let exposure = exposure(&self.config, key_index, key, day, sightings);
            out.exposures.push(exposure);
        }
    }
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher")
            .field("sightings", &self.sighting_count)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ReportType;
    use crate::protocol::gaen::{DiagnosisKey, Metadata};
    use crate::sighting::{Rssi, RssiSummary};
    use crate::time::Timestamp;

    const START: u32 = 2_642_976;

    fn key(report_type: ReportType) -> PublishedKey {
        let mut key = DiagnosisKey::new([7; 16], gaen::IntervalNumber(START), 144).unwrap();
        key.report_type = report_type;
        PublishedKey::Gaen(key)
    }

    /// A sighting of the key's identifier of interval 20, so many seconds after that began.
    fn sighting(after_s: i64, tx_power_dbm: i8) -> Sighting {
        let tek = gaen::TemporaryExposureKey::new(crate::Secret::new([7; 16]));
        let interval = gaen::IntervalNumber(START + 20);
        let id = tek
            .rolling_proximity_identifier_key()
            .unwrap()
            .identifier(interval);
        let metadata = Metadata {
            minor_version: 0,
            calibration_confidence: None,
            tx_power_dbm,
        };
        let aemk = tek.associated_encrypted_metadata_key().unwrap();
        let rssi = Rssi::from_dbm(-60).unwrap();
        let seconds = interval.start().unix_seconds().checked_add_signed(after_s);
        let first = Timestamp::from_unix_seconds(seconds.unwrap());
        Sighting {
            protocol: crate::ProtocolKind::Gaen,
            id: id.into(),
            metadata: Some(aemk.apply(&id, metadata.to_bytes())),
            first,
            last: first,
            frames: 3,
            rssi: Some(RssiSummary {
                min: rssi,
                mean: rssi,
                max: rssi,
            }),
            source: crate::sighting::Source::ServiceData,
        }
    }

    fn found(report_type: ReportType, sightings: &[Sighting]) -> Vec<Exposure> {
        let matcher = Matcher::new(MatchConfig::default(), sightings.to_vec());
        matcher.exposures(&[key(report_type)])
    }

    #[test]
    fn an_identifier_replayed_hours_later_is_no_contact() {
        let heard = |after_s| !found(ReportType::Unknown, &[sighting(after_s, -20)]).is_empty();
        assert!(!heard(-7_201) && heard(-7_200));
        assert!(heard(600 + 7_199) && !heard(600 + 7_200));
    }

    #[test]
    fn a_bluezone_identifier_replayed_minutes_later_is_no_contact() {
        let day = 1_596_844_800;
        let entry = bluezone::PublishedEntry::new([7; 32], day, day + 86_399, 96).unwrap();
        let mut first = None;
        entry.for_each_candidate(|candidate| first = first.or(Some(candidate.id)));
        let heard = |second: u64| {
            let mut sighting = sighting(0, 0);
            sighting.id = first.unwrap();
            sighting.first = Timestamp::from_unix_seconds(second);
            let matcher = Matcher::new(MatchConfig::default(), [sighting]);
            !matcher.exposures(&[entry.clone().into()]).is_empty()
        };
        assert!(!heard(day - 121) && heard(day - 120));
        assert!(heard(day + 900 + 120) && !heard(day + 900 + 121));
    }

    #[test]
    fn a_revoked_key_gives_no_exposure() {
        assert_eq!(found(ReportType::Revoked, &[sighting(0, -20)]), []);
        assert_eq!(found(ReportType::SelfReport, &[sighting(0, -20)]).len(), 1);
    }

    #[test]
    fn a_sighting_stored_twice_counts_once() {
        let twice = [sighting(0, -20), sighting(0, -20)];
        assert_eq!(found(ReportType::Unknown, &twice)[0].frames(), 3);
    }

    #[test]
    fn a_power_that_no_phone_has_is_none() {
        let attenuation = |power| {
            let exposures = found(ReportType::Unknown, &[sighting(0, power)]);
            exposures[0]
                .attenuation
                .map(|attenuation| attenuation.mean.db())
        };
        assert_eq!(attenuation(-50), Some(10));
        assert_eq!(attenuation(20), Some(80));
        assert_eq!(attenuation(-51), None);
        assert_eq!(attenuation(21), None);
    }
}
