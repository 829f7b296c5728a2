//! The machine's own Bluetooth.

use super::btleplug::BtleplugScanner;
use super::{Radio, RadioError};

/// How [`system`] picks the adapter.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SystemOptions {
    /// The adapter by name (`hci0`) or by public address; without it, the first that is switched
    /// on.
    pub adapter: Option<String>,
}

/// The machine's own Bluetooth, scanner and advertiser on the same adapter. It only scans where the
/// adapter cannot advertise, and on every system but Linux: macOS and iOS let no app advertise data,
/// Windows reserves the fields, and on Android the app's own Kotlin or Java has to do it (see
/// [`Advertiser`](super::Advertiser)).
///
/// Call it within a tokio runtime with I/O and time enabled.
///
/// # Errors
///
/// [`RadioError::NoService`] without a system bus or `bluetoothd` on it, [`RadioError::NoAdapter`],
/// [`RadioError::AdapterNotFound`], [`RadioError::AdapterOff`], [`RadioError::PermissionDenied`], and
/// [`RadioError::System`] for anything else.
pub async fn system(options: SystemOptions) -> Result<Radio, RadioError> {
    #[cfg(target_os = "linux")]
    {
        use super::bluez::{BluezAdvertiser, Bus, choose};

        let bus = Bus::open().await?;
        let adapter = choose(&bus.adapters().await?, options.adapter.as_deref())?;
        let scanner = BtleplugScanner::on(bus, &adapter).await?;
        Ok(match adapter.advertises {
            true => Radio::new(scanner, BluezAdvertiser::on(&adapter)),
            false => Radio::scan_only(scanner, "the Bluetooth adapter cannot advertise"),
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let scanner = BtleplugScanner::open(&options).await?;
        let why = "this version does not advertise on this system";
        Ok(Radio::scan_only(scanner, why))
    }
}
