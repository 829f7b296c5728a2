//! Token buckets that a restart does not refill.

use rusqlite::{Connection, OptionalExtension};

use super::DatabaseError;

/// How much is allowed at once, and how soon more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    burst: u64,
    refill_s: u64,
}

impl Rate {
    /// So many in an hour, and what an hour gathers at once.
    pub(super) fn per_hour(tokens: u32) -> Self {
        let burst = u64::from(tokens.max(1));
        Self {
            burst,
            // Rounded up: never more than was said.
            refill_s: 3_600_u64.div_ceil(burst),
        }
    }
}

/// What is left in `name`'s bucket at `now`, Unix seconds.
pub(super) fn left(
    connection: &Connection,
    name: &str,
    rate: Rate,
    now: u64,
) -> Result<u64, DatabaseError> {
    Ok(filled(connection, name, rate, now)?.0)
}

/// Takes one token, if there is one.
pub(super) fn take(
    connection: &Connection,
    name: &str,
    rate: Rate,
    now: u64,
) -> Result<(), DatabaseError> {
    let (tokens, filled_at) = filled(connection, name, rate, now)?;
    connection
        .prepare_cached("REPLACE INTO buckets (name, tokens, filled_at) VALUES (?1, ?2, ?3)")?
        .execute((name, tokens.saturating_sub(1), filled_at))?;
    Ok(())
}

/// Tokens, and the time to which they have been counted: a part of a refill is not lost.
fn filled(
    connection: &Connection,
    name: &str,
    rate: Rate,
    now: u64,
) -> Result<(u64, u64), DatabaseError> {
    let stored = connection
        .prepare_cached("SELECT tokens, filled_at FROM buckets WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((tokens, filled_at)): Option<(u64, u64)> = stored else {
        return Ok((rate.burst, now));
    };
    // A clock that was set back owes no refills for the time until it is there again.
    let filled_at = filled_at.min(now);
    let refills = now.saturating_sub(filled_at) / rate.refill_s;
    let tokens = tokens.saturating_add(refills);
    if tokens >= rate.burst {
        return Ok((rate.burst, now));
    }
    Ok((tokens, filled_at + refills * rate.refill_s))
}
