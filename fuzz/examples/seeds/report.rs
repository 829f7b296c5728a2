//! Seeds of what a device sends.

use truyvet::entropy::{SeededEntropy, SystemEntropy};
use truyvet::log::{EncounterLog, LogOptions, MemoryKey, MemoryStorage};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::protocol::{ProtocolKind, PublishedKey, ReportType};
use truyvet::publication::signature::SigningKey;
use truyvet::report::authorisation::{CertificateSigner, CodeKey, CodePolicy, Diagnosis};
use truyvet::report::consent::{ConsentRequest, Scope};
use truyvet::report::diagnosis::{DiagnosisReport, PreparedReport};
use truyvet::report::sealed::{AuthorityPrivateKey, MessageKind, SizeClass, open, seal};
use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{Secret, Sighting};

use super::{Failure, Seeds};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_596_880_800);

/// Behind the byte that says which: an envelope 0, a payload 1, an exchange 2, a report 3, a certificate 4, a
/// code 5.
pub fn messages() -> Result<Seeds, Failure> {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, what: u8, bytes: &[u8]| {
        drop(seeds.insert(name.to_owned(), [&[what], bytes].concat()));
    };
    let authority = [AuthorityPrivateKey::from_bytes(Secret::new([1; 32]))];
    let to = authority[0].public_key()?;
    let envelope = seal(&to, MessageKind::HealthDeclaration, b"fever")?;
    add("envelope", 0, &envelope);
    add("envelope cut", 0, &envelope[..1_000]);
    add("payload", 1, b"fever");
    let full = vec![7; SizeClass::Kib1.payload_bytes_max()];
    add("payload that fills", 1, &full);

    let key = CodeKey::from_bytes(Secret::new([4; 32]));
    let (code, _) = CodePolicy::default().issue(&key, NOW, &mut SeededEntropy::new(1))?;
    add("code", 5, code.to_text().as_bytes());
    add(
        "code mistyped",
        5,
        code.to_text().replace('0', "8").as_bytes(),
    );
    add("code confused", 5, b"ooooo-ooloo-lol");

    let keys_only = prepared(Scope::KeysOnly)?;
    let sent = keys_only.code_exchange(&code, &to)?;
    add("exchange", 2, &open(&authority, &sent)?.payload);
    let report = finished(keys_only)?;
    add("certificate", 4, report.certificate().as_bytes());
    add("report", 3, &report.to_bytes()?);
    let log_key = MemoryKey::new(Secret::new([5; 32]));
    let log = EncounterLog::open_on(MemoryStorage::default(), log_key, LogOptions::default())?;
    let digests = prepared(Scope::WithHeardDigests)?
        .with_heard_from(&log.reader()?, &mut SeededEntropy::new(2))?;
    add("report with digests", 3, &finished(digests)?.to_bytes()?);
    let sightings = [
        sighting([3; 16].into(), true)?,
        sighting([4; 12].into(), false)?,
    ];
    let sightings = prepared(Scope::WithSightings)?.with_sightings(sightings)?;
    add(
        "report with sightings",
        3,
        &finished(sightings)?.to_bytes()?,
    );
    Ok(seeds)
}

fn prepared(scope: Scope) -> Result<PreparedReport, Failure> {
    let today = NOW.utc_day();
    let start = today.start();
    let keys: Vec<PublishedKey> = vec![
        DiagnosisKey::new([1; 16], IntervalNumber::at(start), 60)?.into(),
        DiagnosisKey::new([2; 16], IntervalNumber::at(start).saturating_add(60), 1)?.into(),
        PublishedEntry::new(
            [3; 32],
            start.unix_seconds(),
            start.unix_seconds() + 86_399,
            96,
        )?
        .into(),
    ];
    let request = ConsentRequest::new("authority", today.saturating_sub(1), today);
    let consent = request.scope(scope).granted(NOW, 14)?;
    Ok(DiagnosisReport::prepare(consent, keys)?)
}

fn finished(prepared: PreparedReport) -> Result<DiagnosisReport, Failure> {
    let diagnosis = Diagnosis {
        report_type: ReportType::ConfirmedTest,
        test_date: Some(NOW.utc_day()),
        onset: None,
    };
    let signer = CertificateSigner::new(SigningKey::generate()?);
    let random = &mut SystemEntropy;
    let certificate = signer.sign(&diagnosis, prepared.commitment(), NOW, random)?;
    Ok(prepared.authorised(certificate)?)
}

fn sighting(id: truyvet::EphemeralId, measured: bool) -> Result<Sighting, Failure> {
    let rssi = Rssi::from_dbm(-60).ok_or("an RSSI")?;
    Ok(Sighting {
        protocol: ProtocolKind::Gaen,
        id,
        metadata: None,
        first: NOW,
        last: NOW,
        frames: 3,
        rssi: measured.then_some(RssiSummary {
            min: rssi,
            mean: rssi,
            max: rssi,
        }),
        source: Source::ServiceData,
    })
}
