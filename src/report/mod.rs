//! What a device sends to a health authority, and only with its owner's consent.
//!
//! Nothing here opens a connection: an app hands the bytes on, or does not. [`sealed`] is the one form
//! in which they leave the device: sealed to the authority's key, of a few fixed sizes, the same for a
//! dummy. `docs/report-format.md` in the repository has every byte.
//!
//! # A report, from the code to the published keys
//!
//! ```
//! use std::time::Duration;
//! use truyvet::entropy::SystemEntropy;
//! use truyvet::log::{EncounterLog, LogOptions, MemoryKey, MemoryStorage};
//! use truyvet::protocol::ReportType;
//! use truyvet::publication::signature::SigningKey;
//! use truyvet::report::authorisation::{
//!     CertificateSigner, CertificateVerifier, CodeKey, CodePolicy, Diagnosis, UsedInMemory, VerificationCode,
//! };
//! use truyvet::report::consent::ConsentRequest;
//! use truyvet::report::diagnosis::{CodeExchange, DiagnosisReport};
//! use truyvet::report::sealed::{AuthorityPrivateKey, open};
//! use truyvet::time::Timestamp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::from_unix_seconds(1_596_880_800); // 2020-08-08T10:00Z
//! let today = now.utc_day();
//! let authority = AuthorityPrivateKey::generate()?;
//! let signer = CertificateSigner::new(SigningKey::generate()?);
//!
//! // A health worker reads a code out to somebody who was tested.
//! let code_key = CodeKey::generate()?;
//! let (code, mut issued) = CodePolicy::default().issue(&code_key, now, &mut SystemEntropy)?;
//! let typed = code.to_text().to_lowercase();
//!
//! // On the device: its owner's consent, and the keys of those days.
//! # let mut log = EncounterLog::open_on(MemoryStorage::default(), MemoryKey::random()?, LogOptions::default())?;
//! # let mut engine = truyvet::Engine::new(truyvet::engine::Config::new(truyvet::Protocol::gaen()), Vec::new(),
//! #     Box::new(SystemEntropy));
//! # engine.start(truyvet::time::Moment { wall: now, monotonic: Duration::ZERO });
//! # log.save_own_keys(engine.own_keys())?;
//! let consent = ConsentRequest::new("CDC Hải Dương", today, today).granted(now, 14)?;
//! let released = log.release_own_keys(now, consent.days())?;
//! let prepared = DiagnosisReport::prepare(consent, released)?;
//! let to = authority.public_key()?;
//! let sent = prepared.code_exchange(&typed.parse::<VerificationCode>()?, &to)?;
//!
//! // The authority burns the code, and signs what it cannot see.
//! let keys = [authority];
//! let exchange = CodeExchange::from_bytes(&open(&keys, &sent)?.payload)?;
//! issued.redeem(&code_key, &exchange.code, exchange.commitment, now)?;
//! let diagnosis = Diagnosis {
//!     report_type: ReportType::ConfirmedTest,
//!     test_date: Some(today),
//!     onset: Some(today.saturating_sub(2)),
//! };
//! let certificate = signer.sign(&diagnosis, exchange.commitment, now, &mut SystemEntropy)?;
//!
//! // The device reports, and the publisher believes the certificate, once.
//! let sent = prepared.authorised(certificate)?.seal(&to)?;
//! let report = DiagnosisReport::from_bytes(&open(&keys, &sent)?.payload)?;
//! let verifier = CertificateVerifier::new([signer.verification_key().clone()]);
//! let authorised = verifier.authorise(report, now, &mut UsedInMemory::default())?;
//! let key = authorised.keys[0].clone().into_gaen().unwrap();
//! assert_eq!((key.report_type, key.days_since_onset), (ReportType::ConfirmedTest, Some(2)));
//! # Ok(())
//! # }
//! ```

pub mod answer;
pub mod authorisation;
pub mod consent;
pub mod diagnosis;
pub mod evidence;
pub mod health;
pub mod keys;
pub mod sealed;
