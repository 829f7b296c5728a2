//! Who may report: codes that an authority gives out, certificates that it signs, and a publisher that
//! believes nothing else.
//!
//! 1. A health worker has a code issued ([`CodePolicy::issue`]) to somebody who was tested.
//! 2. His device sends it with a [`Commitment`](super::keys::Commitment) to its keys; the authority
//!    [redeems](IssuedCode::redeem) the code and [signs](CertificateSigner::sign) the commitment, with what is
//!    known of the test. It has not seen the keys.
//! 3. The device sends keys and certificate, and the publisher [authorises](CertificateVerifier::authorise)
//!    them: these keys, all of them, once.

mod certificate;
mod code;
mod policy;
mod publishing;
mod used;
mod verifier;

pub use certificate::{
    Certificate, CertificateError, CertificateId, CertificateSigner, DIAGNOSIS_DAYS_MAX, Diagnosis,
    MalformedCertificate,
};
pub use code::{InvalidCode, VerificationCode};
pub use policy::{
    Attempts, CodeDigest, CodeKey, CodePolicy, CodeRefused, InvalidPolicy, IssuedCode,
    TooManyAttempts,
};
pub use used::{UseOfCertificate, UsedCertificates, UsedInMemory};
pub use verifier::{AuthorisedReport, CertificateVerifier, NotAuthorised, Refusal};
