//! A case and its contact, as the target `contact_evidence` and its seeds have them.

use std::time::Duration;

use truyvet::engine::{Config, Engine};
use truyvet::entropy::SeededEntropy;
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::{EncounterLog, LogOptions, MemoryKey, MemoryStorage};
use truyvet::protocol::OwnKey;
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::report::consent::{ConsentRequest, Scope};
use truyvet::report::diagnosis::{Contacts, DiagnosisReport};
use truyvet::report::evidence::{ContactEvidence, EvidenceConsent, EvidenceRequest, HeardDigests};
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Moment, Timestamp, UtcDay};
use truyvet::{EphemeralId, Protocol, ProtocolKind, PublishedKey, Secret, Sighting};

const DAY: UtcDay = UtcDay::from_unix_days(18_482);

/// What the contact is asked by.
pub const REQUEST: EvidenceRequest = EvidenceRequest::from_bytes([5; 16]);

type Failure = Box<dyn std::error::Error>;

/// A case whose device heard its contact's, in both protocols, and what the contact proves.
pub struct Case {
    /// The report's keys.
    pub keys: Vec<PublishedKey>,
    /// What the case heard.
    pub heard: HeardDigests,
    /// What the contact gives.
    pub evidence: ContactEvidence,
}

impl Case {
    /// The same every time.
    pub fn new() -> Result<Self, Failure> {
        let start = DAY.start();
        let keys: Vec<PublishedKey> = vec![
            DiagnosisKey::new([1; 16], IntervalNumber::at(start), 144)?.into(),
            PublishedEntry::new(
                [2; 32],
                start.unix_seconds(),
                DAY.end().unix_seconds() - 1,
                96,
            )?
            .into(),
        ];
        let (log_key, days) = (MemoryKey::new(Secret::new([3; 32])), [DAY]);
        let mut log =
            EncounterLog::open_on(MemoryStorage::default(), log_key, LogOptions::default())?;
        // The second goes on with the first's keys.
        log.save_own_keys(advertising(Protocol::gaen(), Vec::new()).own_keys())?;
        let both = advertising(Protocol::bluezone(), log.own_keys()?);
        log.save_own_keys(both.own_keys())?;
        let own = log.own_keys()?;
        let (mut heard_by_f1, mut heard_by_f0) = (Vec::new(), Vec::new());
        for key in &keys {
            key.for_each_candidate(|it| {
                heard_by_f1.push(sighting(key.protocol(), it.id, it.first))
            });
        }
        for key in &own {
            for sighting_of_f0 in &heard_by_f1 {
                if let Ok(id) = key.identifier(sighting_of_f0.first) {
                    heard_by_f0.push(sighting(key.protocol(), id, sighting_of_f0.first));
                }
            }
        }
        heard_by_f1.retain(|it| (600..660).contains(&(it.first.since(start).as_secs() / 60)));
        log.append(&heard_by_f1)?;
        let heard = digests(&heard_by_f0, &keys)?;
        let log = log.reader()?;
        let exposures = Matcher::from_log(MatchConfig::default(), &log)?.exposures(&keys);
        let consent = EvidenceConsent::new("CDC", REQUEST, days)?;
        let evidence = ContactEvidence::build(consent, DAY.end(), &keys, &exposures, &log)?;
        Ok(Self {
            keys,
            heard,
            evidence,
        })
    }
}

/// What the case's report says that it heard.
fn digests(heard: &[Sighting], keys: &[PublishedKey]) -> Result<HeardDigests, Failure> {
    let log_key = MemoryKey::new(Secret::new([6; 32]));
    let mut log = EncounterLog::open_on(MemoryStorage::default(), log_key, LogOptions::default())?;
    log.append(heard)?;
    let request = ConsentRequest::new("CDC", DAY, DAY).scope(Scope::WithHeardDigests);
    let prepared = DiagnosisReport::prepare(request.granted(DAY.end(), 14)?, keys.to_vec())?;
    let entropy = &mut SeededEntropy::new(4);
    match prepared
        .with_heard_from(&log.reader()?, entropy)?
        .contacts()
    {
        Contacts::HeardDigests(bytes) => Ok(HeardDigests::from_bytes(bytes)?),
        _ => Err("a report with digests".into()),
    }
}

/// An engine that has begun to advertise, for whose keys it is.
fn advertising(protocol: Protocol, keys: Vec<OwnKey>) -> Engine {
    let entropy = Box::new(SeededEntropy::new(2));
    let mut engine = Engine::new(Config::new(protocol), keys, entropy);
    engine.start(Moment {
        wall: DAY.start(),
        monotonic: Duration::ZERO,
    });
    engine
}

fn sighting(protocol: ProtocolKind, id: EphemeralId, first: Timestamp) -> Sighting {
    Sighting {
        protocol,
        id,
        metadata: None,
        first,
        last: first.saturating_add(Duration::from_secs(30)),
        frames: 30,
        rssi: None,
        source: Source::ServiceData,
    }
}
