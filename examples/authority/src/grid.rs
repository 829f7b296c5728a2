//! When an answer leaves: not when the work is done, but at a fixed time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Waits for the next multiple of `grid` after `arrived`.
///
/// Opening a dummy takes less than checking a report, and a wrong code less than a right one. Both are done long
/// before the first multiple; under such a load that they are not, what waits is the same queue for all.
pub(crate) async fn wait(arrived: Instant, grid: Duration) {
    sleep_until(arrived + next_multiple(arrived.elapsed(), grid)).await;
}

fn next_multiple(elapsed: Duration, grid: Duration) -> Duration {
    let grid = grid.as_nanos();
    let multiples = elapsed.as_nanos().checked_div(grid).map_or(0, |n| n + 1);
    let nanos = multiples.saturating_mul(grid);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_at_multiples() {
        let ms = Duration::from_millis;
        for (elapsed, expected) in [(0, 250), (1, 250), (249, 250), (250, 500), (251, 500)] {
            assert_eq!(next_multiple(ms(elapsed), ms(250)), ms(expected));
        }
        assert_eq!(next_multiple(ms(7), Duration::ZERO), Duration::ZERO);
    }
}
