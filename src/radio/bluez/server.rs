//! The identifier as an iPhone offers it: not on the air, but to be read over a connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, prop_cast};
use dbus::{MethodErr, Path};
use dbus_crossroads::{Crossroads, IfaceBuilder};

use super::bus::{Bus, radio_error};
use super::following::Place;
use super::{BluezAdvertiser, CANNOT_ADVERTISE, CONNECTABLE};
use crate::advertisement::Advertisement;
use crate::protocol::Heard;
use crate::protocol::bluezone::WireProfile;
use crate::radio::{Advertised, Advertiser, Caveat, RadioError, SystemOptions};

const MANAGER: &str = "org.bluez.GattManager1";
const ROOT: &str = "/vn/truyvet/gatt";
const SERVICE: &str = "/vn/truyvet/gatt/service";
const CHARACTERISTIC: &str = "/vn/truyvet/gatt/service/identifier";

const ONE_ADDRESS: Caveat = Caveat::LinkableAddress {
    why: "BlueZ lets others connect to the adapter's public address alone: broadcast instead",
};

/// Offers Bluezone's identifier as its app on iOS does: advertises the service in connectable frames,
/// and answers whoever connects and reads the characteristic.
///
/// Meant for tests with readers. It undoes what rotating identifiers are for: BlueZ's connectable
/// frames come from the adapter's public address, which stays the same for ever, so that each
/// identifier can be linked with all the others; and whoever connects may ask the system to pair.
/// Health says so as long as it runs ([`Caveat::LinkableAddress`]).
pub struct BluezGattServer {
    profile: WireProfile,
    place: Place,
    advertiser: BluezAdvertiser,
    serving: Shared,
    application: Option<Application>,
}

impl BluezGattServer {
    /// Offers the identifiers of `profile` on the adapter that `options` name, or else on the first
    /// that is switched on.
    ///
    /// # Errors
    ///
    /// [`RadioError`]; [`RadioError::Unsupported`] if the adapter cannot advertise.
    pub async fn open(options: &SystemOptions, profile: WireProfile) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let adapter = bus.adapter(options.adapter.as_deref()).await?;
        match adapter.advertises {
            true => Ok(Self::at(Place::at(&adapter), profile)),
            false => Err(CANNOT_ADVERTISE),
        }
    }

    pub(in crate::radio) fn at(place: Place, profile: WireProfile) -> Self {
        Self {
            profile,
            advertiser: BluezAdvertiser::at(place.clone(), CONNECTABLE),
            place,
            serving: Shared::default(),
            application: None,
        }
    }

    /// The application, known to BlueZ.
    async fn application(&mut self) -> Result<&Application, RadioError> {
        let application = match self.application.take() {
            Some(application) if application.is_registered().await => application,
            _ => Application::register(&self.place, &self.profile, &self.serving).await?,
        };
        Ok(self.application.insert(application))
    }

    fn offer(&self, offered: Option<Offered>) {
        locked(&self.serving).offered = offered;
    }
}

impl Advertiser for BluezGattServer {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        lifetime: Duration,
    ) -> Result<Advertised, RadioError> {
        let Ok(Some(Heard::Identifier { id, .. })) = self.profile.parse(frame) else {
            return Err(RadioError::Unsupported {
                why: "only Bluezone's identifiers are read over a connection",
            });
        };
        let mut listed = Advertisement::new();
        listed.push_service_uuid128(self.profile.ios_service)?;
        self.application().await?;
        self.offer(Some(Offered {
            value: id.as_bytes().to_vec(),
            until: Instant::now().checked_add(lifetime),
        }));
        let advertised = self.advertiser.advertise(&listed, lifetime).await;
        if advertised.is_err() {
            self.offer(None);
        }
        let mut advertised = advertised?;
        advertised.caveats.push(ONE_ADDRESS);
        // Not before: whoever has read must not keep the next identifier waiting.
        if let Some(application) = &self.application {
            application.forget_readers_in_time().await;
        }
        Ok(advertised)
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        // Nobody is answered from now on.
        self.offer(None);
        let stopped = self.advertiser.stop().await;
        if let Some(application) = self.application.take() {
            application.forget_readers_in_time().await;
            // With the connection, BlueZ ends the rest.
            application.bus.close().await;
        }
        stopped
    }
}

impl std::fmt::Debug for BluezGattServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BluezGattServer")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What the characteristic holds.
struct Offered {
    value: Vec<u8>,
    /// Unless it has no end.
    until: Option<Instant>,
}

/// The characteristic, and who has read it since they were last forgotten.
#[derive(Default)]
struct Serving {
    offered: Option<Offered>,
    readers: Vec<Path<'static>>,
}

type Shared = Arc<Mutex<Serving>>;

fn locked(serving: &Shared) -> MutexGuard<'_, Serving> {
    serving.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Readers noted at a time. Chosen: more than connect within a slot.
const READERS_MAX: usize = 256;

/// How long it may take to have the readers forgotten. Chosen: much less than a call to the radio may; who
/// is left is forgotten the next time.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(2);

/// A service with its characteristic, served to BlueZ over a connection of its own.
struct Application {
    bus: Bus,
    adapter: Path<'static>,
    serving: Shared,
}

impl Application {
    async fn register(
        place: &Place,
        profile: &WireProfile,
        serving: &Shared,
    ) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let adapter = place.path_on(&bus).await?;
        bus.require_powered(&adapter).await?;
        bus.serve(objects(profile, serving));
        let arguments = (Path::from(ROOT), PropMap::new());
        let method = "RegisterApplication";
        bus.call::<()>(&adapter, MANAGER, method, arguments)
            .await
            .map_err(radio_error)?;
        Ok(Self {
            bus,
            adapter,
            serving: Arc::clone(serving),
        })
    }

    /// A `bluetoothd` that has been started anew knows nothing of it: it answers a second registration
    /// with anything but "already exists".
    async fn is_registered(&self) -> bool {
        let arguments = (Path::from(ROOT), PropMap::new());
        let method = "RegisterApplication";
        let again = self
            .bus
            .call::<()>(&self.adapter, MANAGER, method, arguments);
        match again.await {
            Ok(()) => true,
            Err(error) => error.name() == Some("org.bluez.Error.AlreadyExists"),
        }
    }

    /// BlueZ would keep a list on disk of everybody who has connected.
    async fn forget_readers_in_time(&self) {
        // Who has not been forgotten by then is still noted.
        let _ = tokio::time::timeout(FORGOTTEN_WITHIN, self.forget_readers()).await;
    }

    async fn forget_readers(&self) {
        while let Some(reader) = self.reader() {
            let forgotten = match self.bus.is_owners_device(&reader).await {
                Ok(true) => Ok(()),
                Ok(false) => self.bus.forget_device(&self.adapter, &reader).await,
                Err(error) => Err(error),
            };
            // Any other error than this says that BlueZ has forgotten it already.
            if let Err(RadioError::NoService(_)) = forgotten {
                return;
            }
            locked(&self.serving).readers.retain(|it| *it != reader);
        }
    }

    /// One that is to be forgotten.
    fn reader(&self) -> Option<Path<'static>> {
        locked(&self.serving).readers.first().cloned()
    }
}

/// As BlueZ's `doc/gatt-api.txt` has them.
fn objects(profile: &WireProfile, serving: &Shared) -> Crossroads {
    let mut objects = Crossroads::new();
    let manager = objects.object_manager();
    objects.insert(ROOT, &[manager], ());
    let uuid = profile.ios_service.to_string();
    let service = objects.register(
        "org.bluez.GattService1",
        |interface: &mut IfaceBuilder<()>| {
            interface
                .property("UUID")
                .get(move |_, ()| Ok(uuid.clone()));
            interface.property("Primary").get(|_, ()| Ok(true));
        },
    );
    objects.insert(SERVICE, &[service], ());
    let uuid = profile.ios_characteristic.to_string();
    let characteristic = objects.register(
        "org.bluez.GattCharacteristic1",
        |interface: &mut IfaceBuilder<Shared>| {
            interface.property("UUID").get(move |_, _| Ok(uuid.clone()));
            interface
                .property("Service")
                .get(|_, _| Ok(Path::from(SERVICE)));
            interface
                .property("Flags")
                .get(|_, _| Ok(vec!["read".to_owned()]));
            interface.method(
                "ReadValue",
                ("options",),
                ("value",),
                |_, serving: &mut Shared, (options,): (PropMap,)| {
                    locked(serving).read(&options).map(|value| (value,))
                },
            );
        },
    );
    objects.insert(CHARACTERISTIC, &[characteristic], Arc::clone(serving));
    objects
}

impl Serving {
    /// What somebody reads, with `options` as BlueZ passes them on.
    fn read(&mut self, options: &PropMap) -> Result<Vec<u8>, MethodErr> {
        self.note_reader(options);
        let valid = |offered: &&Offered| offered.until.is_none_or(|until| Instant::now() < until);
        let Some(offered) = self.offered.as_ref().filter(valid) else {
            let why = (
                "org.bluez.Error.NotPermitted",
                "no identifier is offered now",
            );
            return Err(MethodErr::from(why));
        };
        let offset = prop_cast::<u16>(options, "offset").copied().unwrap_or(0);
        let rest = offered.value.get(usize::from(offset)..);
        let beyond = ("org.bluez.Error.InvalidOffset", "beyond the identifier");
        rest.map(<[u8]>::to_vec)
            .ok_or_else(|| MethodErr::from(beyond))
    }

    fn note_reader(&mut self, options: &PropMap) {
        if let Some(reader) = prop_cast::<Path<'static>>(options, "device")
            && self.readers.len() < READERS_MAX
            && !self.readers.contains(reader)
        {
            self.readers.push(reader.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use dbus::arg::{RefArg, Variant};

    use super::*;

    fn serving(lifetime: Duration) -> Serving {
        Serving {
            offered: Some(Offered {
                value: vec![7; 12],
                until: Instant::now().checked_add(lifetime),
            }),
            readers: Vec::new(),
        }
    }

    fn option(name: &str, value: impl RefArg + 'static) -> PropMap {
        PropMap::from([(name.to_owned(), Variant(Box::new(value) as Box<_>))])
    }

    #[test]
    fn what_is_offered_is_read_whole_or_from_an_offset() {
        let mut serving = serving(Duration::from_secs(600));
        let mut from = |offset: u16| serving.read(&option("offset", offset));
        assert_eq!(from(0).unwrap(), [7; 12]);
        assert_eq!(from(10).unwrap(), [7; 2]);
        assert!(from(12).unwrap().is_empty());
        assert!(from(13).is_err());
    }

    #[test]
    fn nothing_is_read_beyond_its_slot() {
        let none = PropMap::new();
        assert!(serving(Duration::ZERO).read(&none).is_err());
        assert!(Serving::default().read(&none).is_err());
    }

    #[test]
    fn an_identifier_without_an_end_is_read_too() {
        assert!(serving(Duration::MAX).read(&PropMap::new()).is_ok());
    }

    #[test]
    fn readers_are_noted_once_and_not_without_end() {
        let mut serving = serving(Duration::ZERO);
        for n in (0..300).chain(0..300) {
            let path = Path::from(format!("/org/bluez/hci0/dev_{n}"));
            let _ = serving.read(&option("device", path));
        }
        assert_eq!(serving.readers.len(), READERS_MAX);
    }
}
