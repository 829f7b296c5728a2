//! Advertising with CoreBluetooth, on macOS and iOS, which leave an app nothing but a name and
//! service UUIDs. Type-checked, not run yet.
#![allow(
    unsafe_code,
    reason = "CoreBluetooth is Objective-C: every call into it is unsafe to Rust"
)]

use std::time::Duration;

use dispatch2::DispatchQueue;
use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObjectProtocol, ProtocolObject};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_core_bluetooth::{
    CBAdvertisementDataServiceUUIDsKey, CBManager, CBManagerAuthorization, CBManagerState,
    CBPeripheralManager, CBPeripheralManagerDelegate, CBUUID,
};
use objc2_foundation::{NSArray, NSDictionary, NSError, NSObject, NSString};
use tokio::sync::watch;

use super::{Advertised, Advertiser, Caveat, RadioError};
use crate::advertisement::{Advertisement, uuid_to_u16};
use crate::protocol::FrameForm;

const ADDRESS: Caveat = Caveat::LinkableAddress {
    why: "Apple's systems choose the address, and when it changes; nothing can be done about it",
};

const METADATA: Caveat = Caveat::NoMetadata {
    why: "Apple's systems let an app advertise service UUIDs alone",
};

/// Advertises with CoreBluetooth, as [service UUIDs](FrameForm::ServiceUuid).
///
/// The app's `Info.plist` must hold `NSBluetoothAlwaysUsageDescription`: without it the system ends the
/// process at the first call. iOS puts the UUIDs where nobody reads them as soon as the app is in the
/// background, and the system chooses the address ([`Caveat::LinkableAddress`]) and the interval. There
/// is no lifetime: a process that is frozen in the foreground goes on advertising. Dropped without
/// [`stop`](Advertiser::stop), the advertiser ends the advertisement all the same. It is connectable, as
/// CoreBluetooth has no other; nothing is offered to those who connect.
#[derive(Debug, Default)]
pub struct AppleAdvertiser {
    session: Option<Session>,
}

impl AppleAdvertiser {
    /// Advertises once told to; the user is asked for permission then.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Advertiser for AppleAdvertiser {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        _: Duration,
    ) -> Result<Advertised, RadioError> {
        // If this fails, or is given up while it waits, the session is dropped, and with it ends what
        // it advertises.
        let mut session = self.session.take().unwrap_or_else(Session::open);
        session.end();
        let made = FrameForm::ServiceUuid.of(frame)?;
        session.ready().await?;
        session.begin(&made).await?;
        self.session = Some(session);
        let has_metadata = frame
            .structures()
            .any(|structure| structure.as_service_data16().is_some());
        let mut caveats = vec![ADDRESS];
        caveats.extend(has_metadata.then_some(METADATA));
        Ok(Advertised {
            interval: None,
            caveats,
        })
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        match self.session.take() {
            Some(session) if session.end() => Err(RadioError::System(
                "the advertisement goes on although it was told to end".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

/// What the system has said.
#[derive(Clone, Debug)]
struct Reports {
    state: CBManagerState,
    /// How the last start went, once that is known.
    started: Option<Result<(), String>>,
}

/// A peripheral manager with the delegate that it reports to: it keeps none alive.
#[derive(Debug)]
struct Session {
    manager: Retained<CBPeripheralManager>,
    delegate: Retained<Delegate>,
    reports: watch::Receiver<Reports>,
}

// SAFETY: a session is not `Sync`, so one thread at a time calls the manager, whichever it is;
// CoreBluetooth passes what it is asked to its own queue, as btleplug relies on too. References are
// counted atomically, and the delegate holds a `watch::Sender`, which is `Send` and `Sync`.
unsafe impl Send for Session {}

impl Session {
    fn open() -> Self {
        let (told, reports) = watch::channel(Reports {
            state: CBManagerState::Unknown,
            started: None,
        });
        let delegate = Delegate::reporting_to(told);
        let queue = DispatchQueue::new("vn.truyvet.advertiser", None);
        // SAFETY: a serial queue is what the manager asks for, and the delegate is held as long as the
        // manager.
        let manager = unsafe {
            CBPeripheralManager::initWithDelegate_queue(
                CBPeripheralManager::alloc(),
                Some(ProtocolObject::from_ref(&*delegate)),
                Some(&queue),
            )
        };
        Self {
            manager,
            delegate,
            reports,
        }
    }

    /// Waits until the system says whether the adapter can be used; it may ask the user first.
    async fn ready(&mut self) -> Result<(), RadioError> {
        loop {
            let state = self.reports.borrow_and_update().state;
            match state {
                CBManagerState::PoweredOn => return Ok(()),
                CBManagerState::PoweredOff => return Err(RadioError::AdapterOff),
                CBManagerState::Unsupported => return Err(RadioError::NoAdapter),
                CBManagerState::Unauthorized => {
                    if let Some(why) = denial() {
                        return Err(RadioError::PermissionDenied(why.to_owned()));
                    }
                }
                // Not known yet, or the system's service is being restarted.
                _ => {}
            }
            self.reports.changed().await.map_err(forgotten)?;
        }
    }

    /// Begins, and waits until the system says that it has.
    async fn begin(&mut self, frame: &Advertisement) -> Result<(), RadioError> {
        let uuids: Vec<_> = frame
            .services()
            .map(|uuid| match uuid_to_u16(uuid) {
                Some(short) => format!("{short:04X}"),
                None => uuid.hyphenated().to_string(),
            })
            .collect();
        // What was said of an earlier start says nothing of this one.
        let reports = self.delegate.ivars();
        reports.send_modify(|told| told.started = None);
        self.start(&uuids);
        let over =
            |told: &Reports| told.started.is_some() || told.state != CBManagerState::PoweredOn;
        let told = self.reports.wait_for(over).await.map_err(forgotten)?;
        match told.started.clone() {
            Some(started) => started.map_err(RadioError::System),
            None => Err(RadioError::AdapterOff),
        }
    }

    fn start(&self, uuids: &[String]) {
        let uuids: Vec<_> = uuids
            .iter()
            // SAFETY: four hexadecimal digits, or 32 with hyphens, are taken; anything else would raise.
            .map(|uuid| unsafe { CBUUID::UUIDWithString(&NSString::from_str(uuid)) })
            .collect();
        let uuids = NSArray::from_retained_slice(&uuids);
        // SAFETY: a constant of the framework.
        let key = unsafe { CBAdvertisementDataServiceUUIDsKey };
        let data = NSDictionary::<NSString, AnyObject>::from_slices(&[key], &[uuids.as_ref()]);
        // SAFETY: under this key the manager expects an array of `CBUUID`, and has it.
        unsafe { self.manager.startAdvertising(Some(&data)) };
    }

    /// Ends what is advertised, and tells whether it goes on all the same.
    fn end(&self) -> bool {
        if self.reports.borrow().state != CBManagerState::PoweredOn {
            // Nothing is on the air, and the manager takes no orders.
            return false;
        }
        // SAFETY: both may be called of a manager that is powered on.
        unsafe {
            self.manager.stopAdvertising();
            self.manager.isAdvertising()
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why the app may not use Bluetooth; `None` while the user is being asked.
fn denial() -> Option<&'static str> {
    // SAFETY: it only reads, and can be called at any time.
    match unsafe { CBManager::authorization_class() } {
        CBManagerAuthorization::NotDetermined => None,
        CBManagerAuthorization::Restricted => Some("this device restricts it"),
        _ => Some("allow this app in the system's privacy settings"),
    }
}

/// The delegate has gone.
fn forgotten(_: watch::error::RecvError) -> RadioError {
    RadioError::System("CoreBluetooth tells nothing more".to_owned())
}

define_class!(
    // SAFETY: NSObject asks nothing of those who derive from it, and there is no Drop.
    #[unsafe(super(NSObject))]
    #[thread_kind = AnyThread]
    #[ivars = watch::Sender<Reports>]
    #[derive(Debug)]
    struct Delegate;

    // SAFETY: the protocol has no conditions.
    unsafe impl NSObjectProtocol for Delegate {}

    // SAFETY: the methods have the signatures of CoreBluetooth's headers.
    unsafe impl CBPeripheralManagerDelegate for Delegate {
        #[unsafe(method(peripheralManagerDidUpdateState:))]
        fn did_update_state(&self, manager: &CBPeripheralManager) {
            // SAFETY: it only reads.
            let state = unsafe { manager.state() };
            self.ivars().send_modify(|told| told.state = state);
        }

        #[unsafe(method(peripheralManagerDidStartAdvertising:error:))]
        fn did_start_advertising(&self, _: &CBPeripheralManager, error: Option<&NSError>) {
            let started = match error {
                Some(error) => Err(error.localizedDescription().to_string()),
                None => Ok(()),
            };
            self.ivars().send_modify(|told| told.started = Some(started));
        }
    }
);

impl Delegate {
    fn reporting_to(told: watch::Sender<Reports>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(told);
        // SAFETY: NSObject's `init`, on what has just been allocated.
        unsafe { msg_send![super(this), init] }
    }
}
