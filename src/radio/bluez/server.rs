//! The identifier as an iPhone offers it: not on the air, but to be read over a connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, prop_cast};
use dbus::{MethodErr, Path};
use dbus_crossroads::{Crossroads, IfaceBuilder};

use super::bus::{Adapter, Bus, choose, radio_error};
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
    adapter: Path<'static>,
    advertiser: BluezAdvertiser,
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
        let adapter = choose(&bus.adapters().await?, options.adapter.as_deref())?;
        match adapter.advertises {
            true => Ok(Self::on(&adapter, profile)),
            false => Err(CANNOT_ADVERTISE),
        }
    }

    pub(in crate::radio) fn on(adapter: &Adapter, profile: WireProfile) -> Self {
        Self {
            profile,
            adapter: adapter.path.clone(),
            advertiser: BluezAdvertiser::of_kind(adapter, CONNECTABLE),
            application: None,
        }
    }

    async fn offer(&mut self, offered: Offered) -> Result<(), RadioError> {
        let application = match self.application.take() {
            Some(application) if application.is_registered().await => application,
            _ => Application::register(&self.adapter, &self.profile).await?,
        };
        application.offer(Some(offered));
        self.application = Some(application);
        Ok(())
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
        self.offer(Offered {
            value: id.as_bytes().to_vec(),
            until: Instant::now() + lifetime,
        })
        .await?;
        let mut listed = Advertisement::new();
        listed.push_service_uuid128(self.profile.ios_service)?;
        let mut advertised = self.advertiser.advertise(&listed, lifetime).await?;
        advertised.caveats.push(ONE_ADDRESS);
        Ok(advertised)
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        if let Some(application) = self.application.take() {
            // Nobody is answered from now on; with the connection, BlueZ ends the rest.
            application.offer(None);
            application.bus.close().await;
        }
        self.advertiser.stop().await
    }
}

impl std::fmt::Debug for BluezGattServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BluezGattServer")
            .field("adapter", &&*self.adapter)
            .finish_non_exhaustive()
    }
}

/// What the characteristic holds.
struct Offered {
    value: Vec<u8>,
    until: Instant,
}

type Value = Arc<Mutex<Option<Offered>>>;

/// A service with its characteristic, served to BlueZ over a connection of its own.
struct Application {
    bus: Bus,
    adapter: Path<'static>,
    value: Value,
}

impl Application {
    async fn register(adapter: &Path<'static>, profile: &WireProfile) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        bus.require_powered(adapter).await?;
        let value = Value::default();
        bus.serve(objects(profile, &value));
        let arguments = (Path::from(ROOT), PropMap::new());
        let method = "RegisterApplication";
        bus.call::<()>(adapter, MANAGER, method, arguments)
            .await
            .map_err(radio_error)?;
        Ok(Self {
            bus,
            adapter: adapter.clone(),
            value,
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

    fn offer(&self, offered: Option<Offered>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = offered;
    }
}

/// As BlueZ's `doc/gatt-api.txt` has them.
fn objects(profile: &WireProfile, value: &Value) -> Crossroads {
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
        |interface: &mut IfaceBuilder<Value>| {
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
                |_, value: &mut Value, (options,): (PropMap,)| {
                    read(value, &options).map(|it| (it,))
                },
            );
        },
    );
    objects.insert(CHARACTERISTIC, &[characteristic], Arc::clone(value));
    objects
}

fn read(value: &Value, options: &PropMap) -> Result<Vec<u8>, MethodErr> {
    let offset = prop_cast::<u16>(options, "offset").copied().unwrap_or(0);
    let value = value.lock().unwrap_or_else(PoisonError::into_inner);
    let valid = value
        .as_ref()
        .filter(|offered| Instant::now() < offered.until);
    let Some(offered) = valid else {
        let why = (
            "org.bluez.Error.NotPermitted",
            "no identifier is offered now",
        );
        return Err(MethodErr::from(why));
    };
    match offered.value.get(usize::from(offset)..) {
        Some(rest) => Ok(rest.to_vec()),
        None => {
            let why = ("org.bluez.Error.InvalidOffset", "beyond the identifier");
            Err(MethodErr::from(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use dbus::arg::Variant;

    use super::*;

    fn offered(lifetime: Duration) -> Value {
        Arc::new(Mutex::new(Some(Offered {
            value: vec![7; 12],
            until: Instant::now() + lifetime,
        })))
    }

    fn at(offset: u16) -> PropMap {
        PropMap::from([("offset".to_owned(), Variant(Box::new(offset) as Box<_>))])
    }

    #[test]
    fn what_is_offered_is_read_whole_or_from_an_offset() {
        let value = offered(Duration::from_secs(600));
        assert_eq!(read(&value, &PropMap::new()).unwrap(), [7; 12]);
        assert_eq!(read(&value, &at(10)).unwrap(), [7; 2]);
        assert!(read(&value, &at(12)).unwrap().is_empty());
        assert!(read(&value, &at(13)).is_err());
    }

    #[test]
    fn nothing_is_read_beyond_its_slot() {
        assert!(read(&offered(Duration::ZERO), &PropMap::new()).is_err());
        assert!(read(&Value::default(), &PropMap::new()).is_err());
    }
}
