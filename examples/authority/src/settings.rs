//! What an operator may set, and what is chosen where he does not.

use std::path::PathBuf;
use std::time::Duration;

use truyvet::report::authorisation::CodePolicy;

/// Where things are and how much is allowed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the key files.
    pub keys: PathBuf,
    /// The database file.
    pub database: PathBuf,
    /// The folder that is published.
    pub folder: PathBuf,
    /// What the published files say they are for: an ISO 3166 country.
    pub region: String,
    /// How codes are made, how long they live, and how much guessing is let through.
    pub codes: CodePolicy,
    /// How long a certificate may be used.
    pub certificate_lifetime: Duration,
    /// Multiples of this after its last byte, a message is answered, whatever was in it. Zero answers at once: for
    /// measuring alone.
    pub answer_grid: Duration,
    /// How often keys are published without being asked to, from the start on. None: only when staff asks.
    pub publish_every: Option<Duration>,
    /// The longest pause after which publishing goes on by itself.
    pub pause_max: Duration,
    /// Whether staff may let the clock run ahead.
    pub demonstration: bool,
}

impl Settings {
    /// Everything beneath one folder, as chosen.
    pub fn beneath(data: PathBuf) -> Self {
        Self {
            keys: data.join("keys"),
            database: data.join("authority.db"),
            folder: data.join("published"),
            region: "VN".to_owned(),
            codes: CodePolicy::default(),
            // Chosen: the device sends the report at once; a day lets it wait for a connection.
            certificate_lifetime: Duration::from_secs(24 * 3600),
            // Chosen: far above what opening, checking and a group's sync take (some ten milliseconds), and below
            // what somebody who waits minds.
            answer_grid: Duration::from_millis(250),
            // Chosen: the hour of the smallest package.
            publish_every: Some(Duration::from_secs(3600)),
            // The publisher's own.
            pause_max: Duration::from_secs(7 * 86_400),
            demonstration: false,
        }
    }
}

/// Wrong endings of one code's beginning, after which the code is dead. Chosen: more than anybody mistypes whom the check
/// character warns before it is sent.
pub const WRONG_ENDINGS_MAX: u32 = 5;

/// How long it is kept that a code was used or has expired, for the page of whoever issued it. Chosen: a working day's end.
pub const CODE_KEPT_S: u64 = 24 * 3600;

/// How long sealed messages for staff, and reports that evidence may refer to, stay in the inbox: GAEN's and Bluezone's
/// memory of 14 days, and no longer.
pub const INBOX_KEPT_S: u64 = 14 * 86_400;

/// Bytes of sealed messages in the database above which nothing is taken until some have gone. Chosen: half a million
/// reports of 4 KiB, or thirty thousand of 64 KiB with what was heard, in the 14 days for which they stay.
pub const INBOX_BYTES_MAX: u64 = 2 << 30;

/// Bytes of them, with their answers, that are kept for staff. Chosen: a quarter, so that declarations, which need no
/// code, close the service to no report.
pub const FOR_STAFF_BYTES_MAX: u64 = INBOX_BYTES_MAX / 4;

/// How long a sender may take over a request. Chosen: 256 KiB on a bad telephone line.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Largest body of a request by staff. Chosen: a dozen short fields.
pub const STAFF_BODY_BYTES_MAX: usize = 4096;

/// How long a contact who was asked has to answer. Chosen: a week, for whoever has to think about it, or was told by letter.
pub const REQUEST_LIFETIME_S: u64 = 7 * 86_400;

/// How long staff sees what became of a request, from its asking on. Chosen: another week, as long as its report may stay.
pub const REQUEST_KEPT_S: u64 = INBOX_KEPT_S;

/// Requests that may wait for an answer at once. Chosen: as many as codes may be open.
pub const REQUESTS_OPEN_MAX: u32 = 10_000;

/// How long it is kept that somebody opened a day of his own, or that it was published. Chosen: the cases who met him on that day report it for 14 days,
/// and evidence may refer to such a report for another 14; two for clocks.
pub const OWN_DAY_KEPT_S: u64 = 30 * 86_400;

/// Declarations in one answer. Chosen: 8 MiB if all have the largest attachment, which the database reads in one go.
pub const DECLARATIONS_AT_ONCE: usize = 32;
