use super::*;
use crate::entropy::SeededEntropy;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_596_880_800);
const DAY: Duration = Duration::from_secs(86_400);

fn key() -> CodeKey {
    CodeKey::from_bytes(Secret::new([4; 32]))
}

fn issued() -> (VerificationCode, IssuedCode) {
    let policy = CodePolicy::default();
    policy
        .issue(&key(), NOW, &mut SeededEntropy::new(1))
        .unwrap()
}

fn commitment(byte: u8) -> Commitment {
    Commitment::from_bytes([byte; 32])
}

#[test]
fn the_default_is_a_policy() {
    let default = CodePolicy::default();
    let made = CodePolicy::new(9, DAY, 10_000, 600);
    assert_eq!(made, Ok(default));
    let (code, _) = issued();
    assert_eq!(code.to_bytes().len(), 10);
}

#[test]
fn codes_that_could_be_guessed() {
    let policy = |length, out, tries| CodePolicy::new(length, DAY, out, tries);
    assert_eq!(
        policy(8, 10_000, 600),
        Err(InvalidPolicy::Guessable {
            per_million: 47_939
        })
    );
    assert!(policy(8, 2_000, 600).is_ok());
    // 32^8 / (100 x 8,785 x 1,000), from both sides.
    assert!(policy(8, 1_251, 1_000).is_ok());
    assert!(policy(8, 1_252, 1_000).is_err());
    assert!(policy(16, 100_000_000, u32::MAX).is_ok());
    assert!(policy(10, u32::MAX, u32::MAX).is_err());
}

#[test]
fn policies_out_of_bounds() {
    let policy = |length, lifetime_s, out, tries| {
        CodePolicy::new(length, Duration::from_secs(lifetime_s), out, tries).unwrap_err()
    };
    assert_eq!(policy(7, 3_600, 1, 1), InvalidPolicy::Length { got: 7 });
    assert_eq!(policy(17, 3_600, 1, 1), InvalidPolicy::Length { got: 17 });
    for got_s in [0, 299, 604_801] {
        assert_eq!(policy(9, got_s, 1, 1), InvalidPolicy::Lifetime { got_s });
    }
    assert_eq!(policy(9, 3_600, 0, 1), InvalidPolicy::Nothing);
    assert_eq!(policy(9, 3_600, 1, 0), InvalidPolicy::Nothing);
}

#[test]
fn code_replayed() {
    let (code, mut issued) = issued();
    assert_eq!(issued.redeem(&key(), &code, commitment(1), NOW), Ok(()));
    assert_eq!(
        issued.redeem(&key(), &code, commitment(2), NOW),
        Err(CodeRefused::Used)
    );
    // The answer was lost.
    assert_eq!(issued.redeem(&key(), &code, commitment(1), NOW), Ok(()));
    assert_eq!(issued.redeemed_for, Some(commitment(1)));
}

#[test]
fn code_expired() {
    let (code, mut issued) = issued();
    let end = NOW.saturating_add(DAY);
    let last = end.saturating_sub(Duration::from_millis(1));
    assert_eq!(
        issued.redeem(&key(), &code, commitment(1), end),
        Err(CodeRefused::Expired)
    );
    assert_eq!(issued.redeemed_for, None);
    assert_eq!(issued.redeem(&key(), &code, commitment(1), last), Ok(()));
    assert_eq!(
        issued.redeem(&key(), &code, commitment(1), end),
        Err(CodeRefused::Expired)
    );
}

#[test]
fn code_wrong() {
    let (_, mut issued) = issued();
    let other = VerificationCode::draw(9, &mut SeededEntropy::new(2)).unwrap();
    assert_eq!(
        issued.redeem(&key(), &other, commitment(1), NOW),
        Err(CodeRefused::Wrong)
    );
    assert_eq!(issued.redeemed_for, None);
}

#[test]
fn a_digest_under_another_key() {
    let (code, issued) = issued();
    let other = CodeKey::from_bytes(Secret::new([5; 32]));
    assert!(key().matches(&code, &issued.digest));
    assert!(!other.matches(&code, &issued.digest));
    assert_eq!(
        CodeDigest::from_bytes(issued.digest.to_bytes()),
        key().digest(&code)
    );
}

#[test]
fn wrong_tries_end_and_come_back() {
    let policy = CodePolicy::new(9, DAY, 10, 60).unwrap();
    let mut attempts = Attempts::new(&policy);
    let mut now = Duration::from_secs(1_000_000);
    for _ in 0..60 {
        attempts.begin(now).unwrap();
    }
    let retry_after = Duration::from_secs(60);
    assert_eq!(attempts.begin(now), Err(TooManyAttempts { retry_after }));
    now += retry_after;
    assert_eq!(attempts.begin(now), Ok(()));
    assert!(attempts.begin(now).is_err());
    now += 10 * GATHERED;
    let admitted = (0..100).filter(|_| attempts.begin(now).is_ok()).count();
    assert_eq!(admitted, 60, "no more gather than an hour's");
}

#[test]
fn right_tries_do_not_count() {
    let policy = CodePolicy::new(9, DAY, 10, 1).unwrap();
    let mut attempts = Attempts::new(&policy);
    for _ in 0..100 {
        attempts.begin(Duration::ZERO).unwrap();
        attempts.was_right();
    }
    attempts.begin(Duration::ZERO).unwrap();
    assert!(attempts.begin(Duration::ZERO).is_err());
}

/// What the arithmetic of the policy counts on.
#[test]
fn a_year_of_tries_that_never_rest_admits_what_the_policy_counts() {
    let policy = CodePolicy::new(9, DAY, 10, 60).unwrap();
    let mut attempts = Attempts::new(&policy);
    let seconds = 30 * 86_400_u64;
    let admitted = (0..seconds)
        .filter(|second| attempts.begin(Duration::from_secs(*second)).is_ok())
        .count();
    assert_eq!(admitted, 60 * (30 * 24) + 59);
}
