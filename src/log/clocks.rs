//! What is noted of the clocks.

use crate::time::{ClockReading, ClockRecord, Timestamp};

/// How far the wall clock may part from the time that has passed before that is noted as a jump. Chosen: as
/// the engine has it.
const JUMP_MIN_MS: u128 = 5_000;

/// What is to be noted of the clocks in a segment in which `before` was noted last: that it begins, that the
/// machine has been started anew, or that the wall clock has jumped.
pub(super) fn to_note(reading: ClockReading, before: Option<ClockRecord>) -> Option<ClockRecord> {
    let jumped_from = match before.map(|before| before.reading) {
        None => None,
        Some(before) => match reading.ahead_ms(&before) {
            Some(ahead) if ahead.unsigned_abs() < JUMP_MIN_MS => return None,
            Some(ahead) => Some(unjumped(reading.wall, ahead)),
            None if before.uptime.is_none() && reading.uptime.is_none() => return None,
            None => None,
        },
    };
    Some(ClockRecord {
        reading,
        jumped_from,
    })
}

fn unjumped(wall: Timestamp, ahead_ms: i128) -> Timestamp {
    let millis = i128::from(wall.unix_millis()) - ahead_ms;
    Timestamp::from_unix_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
}
