//! How codes are issued so that guessing fails, and how one is redeemed.

use std::fmt;
use std::time::Duration;

use super::code::{DRAWN_MAX, DRAWN_MIN, VerificationCode};
use crate::crypto::{hmac_sha256, hmac_sha256_verify};
use crate::entropy::{Entropy, EntropyError, SystemEntropy, random_secret};
use crate::report::keys::Commitment;
use crate::secret::Secret;
use crate::time::Timestamp;

/// How long a code may live. Chosen: over the telephone takes five minutes, by letter a week.
const LIFETIME_MIN: Duration = Duration::from_secs(5 * 60);
const LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A leap year, and the tries of an hour that have gathered when it begins.
const HOURS_OF_A_YEAR: u128 = 8_785;

/// One code guessed in so many years, with tries that never end. Chosen: longer than an epidemic, by far.
const YEARS_PER_GUESS: u128 = 100;

/// How codes are issued.
///
/// A guess hits one of the codes that are out with the chance `outstanding / 32^length`, and
/// [`Attempts`] admits `wrong tries an hour`, from everybody together. So in a year
///
/// ```text
/// codes guessed = outstanding x (wrong tries an hour x 8,785 h) / 32^length
/// ```
///
/// are guessed by somebody who never rests, and a policy is refused if that is more than 0.01. By default,
/// 10,000 codes out, 600 wrong tries an hour and nine characters: 0.0015 a year, one code in 670 years. The
/// check character is not counted: it keeps the honest from wrong tries, and nobody from guessing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CodePolicy {
    length: usize,
    lifetime: Duration,
    outstanding_max: u32,
    wrong_tries_per_hour: u32,
}

impl Default for CodePolicy {
    /// Nine characters and the check character, for a day; 10,000 out and 600 wrong tries an hour. Chosen: a
    /// code of two groups of five is told over a telephone, and these bounds let a country of a hundred million
    /// through.
    fn default() -> Self {
        Self {
            length: 9,
            lifetime: Duration::from_secs(86_400),
            outstanding_max: 10_000,
            wrong_tries_per_hour: 600,
        }
    }
}

impl CodePolicy {
    /// Codes of `length` random characters (8..=16) beside the check character, valid for `lifetime` (five
    /// minutes to seven days), of which `outstanding_max` are out at most, with `wrong_tries_per_hour` for all
    /// devices together.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`], above all if codes could be guessed.
    pub fn new(
        length: usize,
        lifetime: Duration,
        outstanding_max: u32,
        wrong_tries_per_hour: u32,
    ) -> Result<Self, InvalidPolicy> {
        if !(DRAWN_MIN..=DRAWN_MAX).contains(&length) {
            return Err(InvalidPolicy::Length { got: length });
        }
        if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
            let got_s = lifetime.as_secs();
            return Err(InvalidPolicy::Lifetime { got_s });
        }
        if outstanding_max == 0 || wrong_tries_per_hour == 0 {
            return Err(InvalidPolicy::Nothing);
        }
        let space = 1_u128 << (5 * length);
        let tries = u128::from(wrong_tries_per_hour) * HOURS_OF_A_YEAR;
        let hits = u128::from(outstanding_max) * tries;
        if hits * YEARS_PER_GUESS > space {
            let per_million = u64::try_from(hits * 1_000_000 / space).unwrap_or(u64::MAX);
            return Err(InvalidPolicy::Guessable { per_million });
        }
        Ok(Self {
            length,
            lifetime,
            outstanding_max,
            wrong_tries_per_hour,
        })
    }

    /// Random characters of a code; it has one more.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How long a code is valid.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Codes that may be out, neither used nor expired. Whoever issues them is to refuse more.
    pub fn outstanding_max(&self) -> u32 {
        self.outstanding_max
    }

    /// Wrong tries that [`Attempts`] admits.
    pub fn wrong_tries_per_hour(&self) -> u32 {
        self.wrong_tries_per_hour
    }

    /// A new code, to be shown once, and what is kept of it.
    ///
    /// # Errors
    ///
    /// [`EntropyError`].
    pub fn issue(
        &self,
        key: &CodeKey,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(VerificationCode, IssuedCode), EntropyError> {
        let code = VerificationCode::draw(self.length, entropy)?;
        let issued = IssuedCode {
            digest: key.digest(&code),
            issued_at: now,
            expires_at: now.saturating_add(self.lifetime),
            redeemed_for: None,
        };
        Ok((code, issued))
    }
}

/// A policy under which codes could be guessed, or nothing be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// Too few characters, or too many.
    #[error("expected codes of 8 to 16 random characters, got {got}")]
    Length {
        /// Characters asked for.
        got: usize,
    },
    /// Too short a time, or too long.
    #[error("expected a lifetime of 300 to 604,800 seconds, got {got_s}")]
    Lifetime {
        /// Seconds asked for.
        got_s: u64,
    },
    /// No codes, or no tries.
    #[error("expected at least one code and one wrong try an hour")]
    Nothing,
    /// Codes could be guessed.
    #[error("expected at most 10,000 of a million codes guessed in a year, got {per_million}")]
    Guessable {
        /// Codes guessed in a million years, by somebody who never rests.
        per_million: u64,
    },
}

/// The key under which an authority hashes codes, so that whoever reads its database has none. Kept apart
/// from the database.
#[derive(Debug)]
pub struct CodeKey(Secret<32>);

impl CodeKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the system has none to give.
    pub fn generate() -> Result<Self, EntropyError> {
        random_secret(&mut SystemEntropy).map(Self)
    }

    /// The key with these bytes: any 32 that are random.
    pub fn from_bytes(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Its bytes, for whoever keeps it.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// By what a code is looked up: HMAC-SHA256("truyvet code 1" || its characters). How long a search among
    /// digests takes tells nothing of codes.
    pub fn digest(&self, code: &VerificationCode) -> CodeDigest {
        CodeDigest(hmac_sha256(&self.0, &message(code)))
    }

    /// Whether `digest` is that of `code`. It takes as long wherever they differ.
    pub fn matches(&self, code: &VerificationCode, digest: &CodeDigest) -> bool {
        hmac_sha256_verify(&self.0, &message(code), &digest.0)
    }
}

fn message(code: &VerificationCode) -> zeroize::Zeroizing<Vec<u8>> {
    let characters = code.to_bytes();
    let mut message = zeroize::Zeroizing::new(Vec::with_capacity(32));
    message.extend(b"truyvet code 1");
    message.extend(characters.iter());
    message
}

/// What is stored in place of a code.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CodeDigest([u8; 32]);

impl CodeDigest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for CodeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeDigest(..)")
    }
}

/// What an authority keeps of a code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuedCode {
    /// Its keyed hash.
    pub digest: CodeDigest,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The first moment at which it is not valid any more.
    pub expires_at: Timestamp,
    /// For which keys it was redeemed; `None` while it is unused.
    pub redeemed_for: Option<Commitment>,
}

impl IssuedCode {
    /// Redeems the code for the keys of `commitment`. For the same keys it may be redeemed again, until it
    /// expires, because an answer may get lost; for others, never.
    ///
    /// # Errors
    ///
    /// [`CodeRefused`], by name.
    pub fn redeem(
        &mut self,
        key: &CodeKey,
        code: &VerificationCode,
        commitment: Commitment,
        now: Timestamp,
    ) -> Result<(), CodeRefused> {
        if !key.matches(code, &self.digest) {
            return Err(CodeRefused::Wrong);
        }
        if now >= self.expires_at {
            return Err(CodeRefused::Expired);
        }
        match self.redeemed_for {
            Some(earlier) if earlier != commitment => Err(CodeRefused::Used),
            _ => {
                self.redeemed_for = Some(commitment);
                Ok(())
            }
        }
    }
}

/// A code that is not redeemed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeRefused {
    /// There is no such code.
    #[error("no such code was issued")]
    Wrong,
    /// It is too old.
    #[error("the code has expired")]
    Expired,
    /// It was redeemed for other keys.
    #[error("the code was used before")]
    Used,
}

/// How many wrong codes are admitted, from everybody together: the policy's in an hour, and what an hour
/// gathers at once. Pure: a service asks it, with its monotonic clock.
///
/// A limit for each sender stands before it, at whatever knows senders: else one who only disturbs uses the
/// tries of all.
#[derive(Clone, Debug)]
pub struct Attempts {
    per_try: Duration,
    /// Until when the tries so far have used up time.
    used_until: Duration,
}

/// Over how long tries gather.
const GATHERED: Duration = Duration::from_secs(3_600);

impl Attempts {
    /// No tries yet.
    pub fn new(policy: &CodePolicy) -> Self {
        Self {
            per_try: GATHERED / policy.wrong_tries_per_hour.max(1),
            used_until: Duration::ZERO,
        }
    }

    /// A code is to be tried at `now`. To be called before it is looked up, so that tries side by side count.
    ///
    /// # Errors
    ///
    /// [`TooManyAttempts`]: the code is not to be looked up.
    pub fn begin(&mut self, now: Duration) -> Result<(), TooManyAttempts> {
        let used_until = self.used_until.max(now).saturating_add(self.per_try);
        let full = now.saturating_add(GATHERED);
        if used_until > full {
            let retry_after = used_until.saturating_sub(full);
            return Err(TooManyAttempts { retry_after });
        }
        self.used_until = used_until;
        Ok(())
    }

    /// The try was right, and does not count.
    pub fn was_right(&mut self) {
        self.used_until = self.used_until.saturating_sub(self.per_try);
    }
}

/// Too many wrong codes were tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many wrong codes were tried, the next in {} s", retry_after.as_secs() + 1)]
pub struct TooManyAttempts {
    /// When there is a try again.
    pub retry_after: Duration,
}

#[cfg(test)]
mod tests;
