//! Advertising on Windows, which leaves an app nothing but manufacturer data. Type-checked, not run
//! yet.

use std::time::Duration;

use tokio::sync::watch;
use windows::Devices::Bluetooth::Advertisement::{
    BluetoothLEAdvertisement, BluetoothLEAdvertisementPublisher,
    BluetoothLEAdvertisementPublisherStatus as Status,
    BluetoothLEAdvertisementPublisherStatusChangedEventArgs as StatusChange,
    BluetoothLEManufacturerData,
};
use windows::Devices::Bluetooth::{BluetoothAdapter, BluetoothError};
use windows::Devices::Radios::RadioState;
use windows::Foundation::TypedEventHandler;
use windows::Storage::Streams::DataWriter;
use windows::core::HRESULT;

use super::{Advertised, Advertiser, Caveat, RadioError, SystemOptions};
use crate::advertisement::Advertisement;
use crate::protocol::FrameForm;

const ADDRESS: Caveat = Caveat::LinkableAddress {
    why: "Windows chooses the address, and when it changes; nothing can be done about it",
};

/// E_ACCESSDENIED.
const ACCESS_DENIED: HRESULT = HRESULT(0x8007_0005_u32.cast_signed());

/// Advertises on the default adapter of Windows, non-connectable, as
/// [manufacturer data](FrameForm::ManufacturerData).
///
/// Windows chooses the address ([`Caveat::LinkableAddress`]) and the interval, and knows no lifetime:
/// a process that is frozen goes on advertising. Dropped without [`stop`](Advertiser::stop), the
/// advertiser tells Windows to end the advertisement; only `stop` waits for it.
#[derive(Debug)]
pub struct WindowsAdvertiser {
    company: Option<u16>,
    publication: Option<Publication>,
}

impl WindowsAdvertiser {
    /// Advertises on the default adapter.
    ///
    /// # Errors
    ///
    /// [`RadioError::NoAdapter`], [`RadioError::AdapterOff`], [`RadioError::PermissionDenied`],
    /// [`RadioError::Unsupported`] if the adapter cannot advertise, [`RadioError::System`].
    pub async fn open(options: &SystemOptions) -> Result<Self, RadioError> {
        require_ready().await?;
        Ok(Self {
            company: options.company,
            publication: None,
        })
    }
}

impl Advertiser for WindowsAdvertiser {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        _: Duration,
    ) -> Result<Advertised, RadioError> {
        self.stop().await?;
        let company = self.company;
        let frame = FrameForm::ManufacturerData { company }.of(frame)?;
        require_ready().await?;
        // Given up while it waits, it is dropped, and ended by that.
        let mut publication = Publication::of(&frame).map_err(radio_error)?;
        publication.begin().await?;
        self.publication = Some(publication);
        Ok(Advertised {
            interval: None,
            caveats: vec![ADDRESS],
        })
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        match self.publication.take() {
            Some(mut publication) => publication.end().await,
            None => Ok(()),
        }
    }
}

/// One advertisement. It ends when this is dropped.
#[derive(Debug)]
struct Publication {
    publisher: BluetoothLEAdvertisementPublisher,
    /// To be handed back for no more of `changes`.
    registration: i64,
    /// What Windows has said of it last.
    changes: watch::Receiver<(Status, BluetoothError)>,
}

impl Publication {
    fn of(frame: &Advertisement) -> windows::core::Result<Self> {
        let advertisement = BluetoothLEAdvertisement::new()?;
        for structure in frame.structures() {
            if let Some((company, data)) = structure.as_manufacturer_data() {
                let writer = DataWriter::new()?;
                writer.WriteBytes(data)?;
                let data = BluetoothLEManufacturerData::Create(company, &writer.DetachBuffer()?)?;
                advertisement.ManufacturerData()?.Append(&data)?;
            }
        }
        let publisher = BluetoothLEAdvertisementPublisher::Create(&advertisement)?;
        let (told, changes) = watch::channel((Status::Created, BluetoothError::Success));
        let registration = publisher.StatusChanged(&TypedEventHandler::new(
            move |_, change: windows::core::Ref<'_, StatusChange>| {
                let change = change.ok()?;
                told.send_replace((change.Status()?, change.Error()?));
                Ok(())
            },
        ))?;
        Ok(Self {
            publisher,
            registration,
            changes,
        })
    }

    /// Begins, and waits until Windows says that it is on the air: that may take a while, as others
    /// advertise too.
    async fn begin(&mut self) -> Result<(), RadioError> {
        self.publisher.Start().map_err(radio_error)?;
        let begun = |(status, _): &(Status, _)| {
            [Status::Started, Status::Stopped, Status::Aborted].contains(status)
        };
        match *self.changes.wait_for(begun).await.map_err(forgotten)? {
            (Status::Started, _) => Ok(()),
            (_, error) => Err(refusal(error)),
        }
    }

    async fn end(&mut self) -> Result<(), RadioError> {
        let ended = |status| [Status::Created, Status::Stopped, Status::Aborted].contains(&status);
        if ended(self.publisher.Status().map_err(radio_error)?) {
            return Ok(());
        }
        self.publisher.Stop().map_err(radio_error)?;
        let told = self.changes.wait_for(|(status, _)| ended(*status)).await;
        told.map(drop).map_err(forgotten)
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // Nobody is left to tell that it failed.
        let _ = self.publisher.Stop();
        let _ = self.publisher.RemoveStatusChanged(self.registration);
    }
}

/// Windows has let go of the handler.
fn forgotten(_: watch::error::RecvError) -> RadioError {
    RadioError::System("Windows tells nothing more of the advertisement".to_owned())
}

async fn require_ready() -> Result<(), RadioError> {
    let asked = BluetoothAdapter::GetDefaultAsync().map_err(radio_error)?;
    let adapter = match asked.await {
        Ok(adapter) => adapter,
        // That there is none is no failure, but no object either.
        Err(error) if error.code().is_ok() => return Err(RadioError::NoAdapter),
        Err(error) => return Err(radio_error(error)),
    };
    if !adapter.IsPeripheralRoleSupported().map_err(radio_error)? {
        return Err(RadioError::Unsupported {
            why: "the Bluetooth adapter cannot advertise",
        });
    }
    let radio = adapter.GetRadioAsync().map_err(radio_error)?;
    match radio.await.and_then(|radio| radio.State()) {
        Ok(RadioState::Off | RadioState::Disabled) => Err(RadioError::AdapterOff),
        Ok(_) => Ok(()),
        Err(error) => Err(radio_error(error)),
    }
}

/// Why Windows has ended an advertisement, or not begun it.
fn refusal(error: BluetoothError) -> RadioError {
    let denied = |why: &str| RadioError::PermissionDenied(why.to_owned());
    match error {
        BluetoothError::RadioNotAvailable => RadioError::AdapterOff,
        BluetoothError::ResourceInUse => RadioError::TooManyAdvertisements,
        BluetoothError::DisabledByPolicy => denied("by the administrator's policy"),
        BluetoothError::DisabledByUser => denied("switched off by the user"),
        BluetoothError::ConsentRequired => denied("the user has not consented"),
        BluetoothError::NotSupported | BluetoothError::TransportNotSupported => {
            RadioError::Unsupported {
                why: "the Bluetooth adapter cannot advertise this",
            }
        }
        BluetoothError(code) => {
            RadioError::System(format!("Windows ended the advertisement, error {code}"))
        }
    }
}

fn radio_error(error: windows::core::Error) -> RadioError {
    match error.code() {
        ACCESS_DENIED => RadioError::PermissionDenied(error.message()),
        code => RadioError::System(format!("{} ({code})", error.message())),
    }
}
