//! The machine's own Bluetooth.

#[cfg(target_os = "linux")]
use super::bluez::BluezReader as Reader;
#[cfg(not(target_os = "linux"))]
use super::btleplug::{BtleplugReader as Reader, BtleplugScanner};
use super::{Radio, RadioError};
use crate::protocol::bluezone::WireProfile;

/// How [`system`] picks the adapter.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SystemOptions {
    /// The adapter by name (`hci0`) or by public address; without it, the first that is switched
    /// on.
    pub adapter: Option<String>,
    /// Whether [`system`] succeeds also while Bluetooth cannot be used yet: the adapter is off, blocked
    /// or not plugged in, or `bluetoothd` does not run. The tracer's health says what is missing, and
    /// the tracer begins once it is there. Otherwise each of these is an error. Heeded on Linux; on
    /// other systems only an adapter that is off is waited for.
    pub wait: bool,
    /// Under which company identifier GAEN's data goes out on Windows, which lets an app send no
    /// service data; without it, only Bluezone is advertised there. The peers must know it too
    /// ([`gaen::Config::company`](crate::protocol::gaen::Config::company)).
    pub company: Option<u16>,
    /// Whether the identifiers of Bluezone's peers on iOS are read, by connecting to them. Off unless
    /// told otherwise; what a connection gives away is said at [`GattReader`](super::GattReader).
    pub read_identifiers: bool,
    /// Offers Bluezone's identifier over a connection, as its app on iOS does, in place of the
    /// broadcast; only on Linux, and off unless told otherwise, as it makes identifiers linkable
    /// (`BluezGattServer`).
    pub gatt_server: Option<WireProfile>,
}

/// The machine's own Bluetooth, scanner and advertiser on the same adapter. Windows and Apple's systems
/// let an app choose little of what it advertises: see [`FrameForm`](crate::protocol::FrameForm), and
/// the [`Caveat`](super::Caveat)s in the tracer's health. It only scans where the adapter cannot
/// advertise, and on Android, where the app's own Kotlin or Java has to do it (see
/// [`Advertiser`](super::Advertiser)); the tracer's health says why.
///
/// Call it within a tokio runtime with I/O and time enabled.
///
/// On Linux an adapter chosen by address is followed by it, though it may come back under another name.
///
/// # Errors
///
/// Fewer if it is to [`wait`](SystemOptions::wait):
/// [`RadioError::NoService`] without a system bus or `bluetoothd` on it, [`RadioError::NoAdapter`],
/// [`RadioError::AdapterNotFound`], [`RadioError::AdapterOff`], [`RadioError::PermissionDenied`], and
/// [`RadioError::System`] for anything else.
pub async fn system(options: SystemOptions) -> Result<Radio, RadioError> {
    let (radio, reader) = open(&options).await?;
    Ok(match options.read_identifiers {
        true => radio.with_reader(reader),
        false => radio,
    })
}

#[cfg(target_os = "linux")]
async fn open(options: &SystemOptions) -> Result<(Radio, Reader), RadioError> {
    use super::bluez::{BluezAdvertiser, BluezGattServer, Bus, FollowingScanner, Place};

    let bus = Bus::open().await?;
    let place = Place::of(options.adapter.clone());
    let found = match place.find(&bus).await {
        Ok(adapter) => Some(adapter),
        Err(error) if options.wait && may_pass(&error) => None,
        Err(error) => return Err(error),
    };
    // Of one that is not there, it shows once it is asked to.
    let advertises = found.as_ref().is_none_or(|adapter| adapter.advertises);
    let scanner = FollowingScanner::open(bus, place.clone(), found.as_ref()).await?;
    let reader = Reader::beside(scanner.pauses(), place.clone());
    let radio = match &options.gatt_server {
        _ if !advertises => Radio::scan_only(scanner, "the Bluetooth adapter cannot advertise"),
        Some(profile) => Radio::new(scanner, BluezGattServer::at(place, profile.clone())),
        None => {
            let advertiser = BluezAdvertiser::beside(scanner.pauses(), place);
            Radio::new(scanner, advertiser)
        }
    };
    Ok((radio, reader))
}

/// Whether there may be Bluetooth later.
#[cfg(target_os = "linux")]
fn may_pass(error: &RadioError) -> bool {
    matches!(
        error,
        RadioError::AdapterOff
            | RadioError::Blocked { .. }
            | RadioError::NoAdapter
            | RadioError::AdapterNotFound { .. }
            | RadioError::NoService(_)
    )
}

#[cfg(not(target_os = "linux"))]
async fn open(options: &SystemOptions) -> Result<(Radio, Reader), RadioError> {
    let scanner = BtleplugScanner::open(options).await?;
    let reader = scanner.reader();
    if options.gatt_server.is_some() {
        let why =
            "identifiers are offered over a connection on Linux alone: leave `gatt_server` out";
        return Ok((Radio::scan_only(scanner, why), reader));
    }
    Ok((with_advertiser(scanner, options).await?, reader))
}

#[cfg(windows)]
async fn with_advertiser(
    scanner: BtleplugScanner,
    options: &SystemOptions,
) -> Result<Radio, RadioError> {
    match super::windows::WindowsAdvertiser::open(options).await {
        Ok(advertiser) => Ok(Radio::new(scanner, advertiser)),
        Err(RadioError::Unsupported { why }) => Ok(Radio::scan_only(scanner, why)),
        Err(error) => Err(error),
    }
}

#[cfg(target_vendor = "apple")]
async fn with_advertiser(scanner: BtleplugScanner, _: &SystemOptions) -> Result<Radio, RadioError> {
    let advertiser = super::apple::AppleAdvertiser::new();
    Ok(Radio::new(scanner, advertiser))
}

#[cfg(not(any(target_os = "linux", windows, target_vendor = "apple")))]
async fn with_advertiser(scanner: BtleplugScanner, _: &SystemOptions) -> Result<Radio, RadioError> {
    let why = "on this system the app has to advertise by itself: hand over an `Advertiser`";
    Ok(Radio::scan_only(scanner, why))
}
