//! Calls to the radio, none of which may take for ever.

use std::time::Duration;

use crate::radio::RadioError;

/// How long the radio may take for one call. Chosen: BlueZ answers within a second, or after ten
/// while it comes back from a crash.
const RADIO_CALL_MAX: Duration = Duration::from_secs(15);

/// The result of a call to the radio, or an error if none comes.
pub(super) async fn in_time<T>(
    call: impl Future<Output = Result<T, RadioError>>,
) -> Result<T, RadioError> {
    match tokio::time::timeout(RADIO_CALL_MAX, call).await {
        Ok(result) => result,
        Err(_) => Err(RadioError::NoAnswer),
    }
}
