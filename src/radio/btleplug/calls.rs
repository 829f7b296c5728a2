//! What the scanner's task asks of btleplug, as errands.

use ::btleplug::api::{Central, ScanFilter};
use ::btleplug::platform::Adapter;

use super::explain;
use super::os::Power;
use crate::radio::{Filter, RadioError, ScanMode};

/// How a scan was begun, or refused.
pub(super) struct Begun {
    /// How it is heard, if there is to be one and the adapter is on.
    pub(super) mode: Option<ScanMode>,
    pub(super) result: Result<(), RadioError>,
}

/// Begins a scan, if there is to be one and the adapter is on.
pub(super) async fn begin(adapter: &Adapter, power: &Power, filter: Option<Filter>) -> Begun {
    let mut mode = None;
    let result = async {
        // btleplug would switch the adapter on, against its owner's will.
        power.require_on().await?;
        let Some(filter) = filter else {
            return Ok(());
        };
        // Before the old scan ends, so as not to be deaf for longer.
        mode = Some(power.hear_more(&filter).await);
        // What may be left of an old scan would be in the new one's way.
        let _ = adapter.stop_scan().await;
        match adapter.start_scan(ScanFilter::default()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(explain(power, error).await),
        }
    };
    let result = result.await;
    Begun { mode, result }
}
