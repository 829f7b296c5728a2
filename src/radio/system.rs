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
    /// Under which company identifier GAEN's data goes out on Windows, which lets an app send no
    /// service data; without it, only Bluezone is advertised there. The peers must know it too
    /// ([`gaen::Config::company`](crate::protocol::gaen::Config::company)).
    pub company: Option<u16>,
}

/// The machine's own Bluetooth, scanner and advertiser on the same adapter. Windows and Apple's systems
/// let an app choose little of what it advertises: see [`FrameForm`](crate::protocol::FrameForm), and
/// the [`Caveat`](super::Caveat)s in the tracer's health. It only scans where the adapter cannot
/// advertise, and on Android, where the app's own Kotlin or Java has to do it (see
/// [`Advertiser`](super::Advertiser)); the tracer's health says why.
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
            true => {
                let advertiser = BluezAdvertiser::beside(scanner.pauses(), &adapter);
                Radio::new(scanner, advertiser)
            }
            false => Radio::scan_only(scanner, "the Bluetooth adapter cannot advertise"),
        })
    }
    #[cfg(windows)]
    {
        use super::windows::WindowsAdvertiser;

        let scanner = BtleplugScanner::open(&options).await?;
        Ok(match WindowsAdvertiser::open(&options).await {
            Ok(advertiser) => Radio::new(scanner, advertiser),
            Err(RadioError::Unsupported { why }) => Radio::scan_only(scanner, why),
            Err(error) => return Err(error),
        })
    }
    #[cfg(target_vendor = "apple")]
    {
        let scanner = BtleplugScanner::open(&options).await?;
        Ok(Radio::new(scanner, super::apple::AppleAdvertiser::new()))
    }
    #[cfg(not(any(target_os = "linux", windows, target_vendor = "apple")))]
    {
        let scanner = BtleplugScanner::open(&options).await?;
        let why = "on this system the app has to advertise by itself: hand over an `Advertiser`";
        Ok(Radio::scan_only(scanner, why))
    }
}
