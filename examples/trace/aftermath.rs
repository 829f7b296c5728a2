//! After the morning, with a health authority that is really there: a code, a report, a publication, a match, a
//! declaration, and proof of the contact.

use std::time::Duration;

use truyvet::entropy::SystemEntropy;
use truyvet::exposure::risk::{BluezoneRule, RiskModel};
use truyvet::exposure::{Exposure, MatchConfig, Matcher, WindowConfig, exposure_windows};
use truyvet::log::LogReader;
use truyvet::protocol::PublishedKey;
use truyvet::publication::update::{Cursor, Update, UpdateOptions};
use truyvet::report::answer::Answer;
use truyvet::report::authorisation::Certificate;
use truyvet::report::consent::{ConsentRequest, Scope};
use truyvet::report::diagnosis::DiagnosisReport;
use truyvet::report::evidence::{ContactEvidence, EvidenceConsent};
use truyvet::report::health::{self, Form, HealthDeclaration, Symptom};
use truyvet::time::{Timestamp, UtcDay};

use crate::authority::Authority;
use crate::story::Neighbour;
use crate::support::{Error, count, now, picture, say};

/// By whom an owner is asked, as the app shows it.
const ASKED_BY: &str = "the authority of this demonstration";

/// Hours that the authority's clock runs ahead: to the end of the hour in which the report comes, and some minutes more. From
/// midnight UTC on, a late clock still matches yesterday's GAEN key for two hours, and it is published with the third.
const HOURS_TO_PUBLICATION: u32 = 4;

/// The patient's device, from the code to the published keys.
pub(crate) async fn report(
    authority: &Authority,
    patient: &Neighbour,
    day: UtcDay,
) -> Result<(), Error> {
    let today = now().utc_day();
    say!("\n1. Minh tests positive. A health worker reads a code out to him.");
    let code = authority.issue_code(today, day)?;
    say!("   the code: {}, for one report", code.to_text().as_str());

    say!("2. He agrees to publish the key of {day}, with digests of what his device heard.");
    let request = ConsentRequest::new(ASKED_BY, day, day).scope(Scope::WithHeardDigests);
    let consent = request.granted(now(), 14)?;
    let released = patient.tracer.release(consent.days()).await?;
    let log = patient.tracer.log_reader()?;
    let prepared = DiagnosisReport::prepare(consent, released)?;
    let prepared = prepared.with_heard_from(&log, &mut SystemEntropy)?;

    let exchange = prepared.code_exchange(&code, &authority.envelope_key)?;
    let certificate = match authority.send(&exchange)? {
        Answer::Certificate(bytes) => Certificate::from_bytes(&bytes)?,
        other => return Err(refused(&other)),
    };
    say!(
        "   sealed, {}: the code and a commitment to the key; a certificate comes back",
        kib(&exchange)
    );
    let report = prepared
        .authorised(certificate)?
        .seal(&authority.envelope_key)?;
    accepted(&authority.send(&report)?)?;
    say!("   sealed, {}: the report; accepted", kib(&report));
    Ok(())
}

/// The authority's part: publishes what may be published.
pub(crate) fn publish(authority: &Authority) -> Result<(), Error> {
    say!(
        "3. The hour ends ({HOURS_TO_PUBLICATION} hours by the demonstration's clock), and the authority publishes."
    );
    let published = authority.publish_after(HOURS_TO_PUBLICATION)?;
    for name in &published.packages {
        say!("   {name}");
    }
    say!(
        "   {} among random ones, so that their number tells nothing",
        count(published.keys as usize, "key")
    );
    Ok(())
}

/// This device's part: reads what is new, matches it, and says what it comes to.
pub(crate) fn find_out(
    authority: &Authority,
    log: &LogReader,
) -> Result<(Vec<PublishedKey>, Vec<Exposure>), Error> {
    say!("4. This device reads what is new to it, as every device does, and matches it.");
    let later = now().saturating_add(Duration::from_secs(3_600 * u64::from(HOURS_TO_PUBLICATION)));
    let trusted = [authority.trusted.clone()];
    let options = UpdateOptions::default();
    let mut update = Update::fetch(authority, &trusted, &Cursor::default(), options, later)?;
    let number = update.index().number;
    let packages = update.remaining();
    let mut keys = Vec::new();
    while let Some(batch) = update.next_batch()? {
        keys.extend(batch.into_keys(&trusted)?);
        update.matched();
    }
    let matcher = Matcher::from_log(MatchConfig::default(), log)?;
    let exposures = matcher.findings(&keys, Some(later)).exposures;
    say!(
        "   index {number} of {}, signed: verified; {}, {}",
        authority.region,
        count(packages, "package"),
        count(keys.len(), "key")
    );
    say!(
        "   against {}: {}.\n",
        count(matcher.sighting_count(), "sighting"),
        count(exposures.len(), "exposure")
    );
    for exposure in &exposures {
        say!("{exposure}\n\n    |{}| a bar a minute\n", picture(exposure));
    }
    let windows = exposure_windows(&exposures, &WindowConfig::default());
    let today = later.utc_day();
    let assessment = BluezoneRule::default().assess(&windows, today);
    say!("{assessment}");
    Ok((keys, exposures))
}

/// This device's part: declares how its owner is.
pub(crate) fn declare(authority: &Authority, now: Timestamp) -> Result<(), Error> {
    say!("5. Its owner fills in the health declaration, and sends it.");
    let mut declaration = HealthDeclaration::new(Form::Full, now);
    for symptom in Symptom::ALL {
        declaration
            .symptoms
            .insert(symptom, symptom == Symptom::Cough);
    }
    for exposure in health::Exposure::ALL {
        let near = exposure == health::Exposure::CloseContact;
        declaration.exposures.insert(exposure, near);
    }
    declaration.onset = Some(declaration.day());
    let checked = declaration.check(now)?;
    let envelope = health::message::seal_declaration(&authority.envelope_key, &checked, &[])?;
    accepted(&authority.send(&envelope)?)?;
    say!(
        "   sealed, {}: a cough since today, close to a case; accepted",
        kib(&envelope)
    );
    let advice: Vec<_> = health::advice::advise(&checked)
        .iter()
        .map(|it| it.key.name())
        .collect();
    say!("   what an app has words for: {}", advice.join(", "));
    Ok(())
}

/// This device's part: proves the contact, as somebody asked who may.
pub(crate) fn prove(
    authority: &Authority,
    keys: &[PublishedKey],
    exposures: &[Exposure],
    log: &LogReader,
) -> Result<(), Error> {
    say!(
        "6. The authority asks whether both devices heard each other, and the owner agrees to prove it."
    );
    let (text, request) = authority.ask_for_evidence()?;
    let consent = EvidenceConsent::new(ASKED_BY, request, exposures.iter().map(|it| it.day))?;
    let evidence = ContactEvidence::build(consent, now(), keys, exposures, log)?;
    for opened in evidence.disclosures() {
        say!(
            "   gives away what this device was called from {} to {}, and nothing else of its log",
            opened.from,
            opened.until
        );
    }
    let envelope = evidence.seal(&authority.envelope_key)?;
    accepted(&authority.send(&envelope)?)?;
    say!(
        "   sealed, {}: {}; accepted",
        kib(&envelope),
        count(evidence.contacts().len(), "contact")
    );
    let confirmed = authority.confirmation(&text)?;
    say!("   what the authority makes of it: {confirmed}");
    Ok(())
}

fn kib(envelope: &[u8]) -> String {
    format!("{} KiB", envelope.len() / 1_024)
}

fn accepted(answer: &Answer) -> Result<(), Error> {
    match answer {
        Answer::Accepted => Ok(()),
        other => Err(refused(other)),
    }
}

fn refused(answer: &Answer) -> Error {
    match answer {
        Answer::Refused(why) => format!("the authority refuses: {why}").into(),
        other => format!("the authority answers {other:?}").into(),
    }
}
