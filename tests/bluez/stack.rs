//! What a test asks of BlueZ, ours or the machine's, past the library.

use std::sync::Arc;
use std::time::Duration;

use dbus::Path;
use dbus::arg::{PropMap, RefArg, Variant, cast, prop_cast};
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use dbus::nonblock::{Proxy, SyncConnection};
use truyvet::Advertisement;

const ADAPTER: &str = "org.bluez.Adapter1";
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Stack {
    connection: Arc<SyncConnection>,
}

impl Stack {
    pub(crate) fn open() -> Self {
        let (io, connection) = dbus_tokio::connection::new_system_sync().unwrap();
        tokio::spawn(io);
        Self { connection }
    }

    pub(crate) fn at(&self, path: &str) -> Proxy<'static, Arc<SyncConnection>> {
        let path = Path::from(path.to_owned());
        Proxy::new("org.bluez", path, PATIENCE, Arc::clone(&self.connection))
    }

    pub(crate) fn adapter(&self, name: &str) -> Proxy<'static, Arc<SyncConnection>> {
        self.at(&format!("/org/bluez/{name}"))
    }

    pub(crate) async fn power(&self, adapter: &str, on: bool) {
        self.adapter(adapter)
            .set(ADAPTER, "Powered", on)
            .await
            .unwrap();
    }

    pub(crate) async fn is_powered(&self, adapter: &str) -> bool {
        self.adapter(adapter).get(ADAPTER, "Powered").await.unwrap()
    }

    /// Has `adapter` scan for this program, or no more.
    pub(crate) async fn scan(&self, adapter: &str, on: bool) {
        let method = if on {
            "StartDiscovery"
        } else {
            "StopDiscovery"
        };
        let called = self.adapter(adapter).method_call(ADAPTER, method, ());
        let () = called.await.unwrap();
    }

    pub(crate) async fn is_discovering(&self, adapter: &str) -> bool {
        self.adapter(adapter)
            .get(ADAPTER, "Discovering")
            .await
            .unwrap()
    }

    pub(crate) async fn active_instances(&self, adapter: &str) -> Result<u8, dbus::Error> {
        let manager = "org.bluez.LEAdvertisingManager1";
        self.adapter(adapter).get(manager, "ActiveInstances").await
    }

    /// The address under which `adapter` has heard the data of `frame`.
    pub(crate) async fn address_of(&self, adapter: &str, frame: &Advertisement) -> String {
        let objects = self.at("/").get_managed_objects().await.unwrap();
        let within = format!("/org/bluez/{adapter}/");
        let mut addresses = objects.iter().filter_map(|(path, interfaces)| {
            let device = interfaces.get("org.bluez.Device1")?;
            let found = path.starts_with(&within) && holds(device, frame);
            found.then(|| prop_cast::<String>(device, "Address").unwrap().clone())
        });
        let address = addresses.next().unwrap();
        assert_eq!(addresses.next(), None, "one frame under two addresses");
        address
    }
}

fn holds(device: &PropMap, frame: &Advertisement) -> bool {
    type Data<K> = std::collections::HashMap<K, Variant<Box<dyn RefArg>>>;
    let bytes = |value: &Variant<Box<dyn RefArg>>| cast::<Vec<u8>>(&value.0).unwrap().clone();
    let service = prop_cast::<Data<String>>(device, "ServiceData");
    let company = prop_cast::<Data<u16>>(device, "ManufacturerData");
    let mut data = service.into_iter().flatten().map(|(_, value)| bytes(value));
    let mut more = company.into_iter().flatten().map(|(_, value)| bytes(value));
    frame.structures().any(|structure| {
        let wanted = structure
            .as_service_data16()
            .or(structure.as_manufacturer_data());
        wanted.is_some_and(|(_, wanted)| {
            data.any(|found| found == wanted) || more.any(|found| found == wanted)
        })
    })
}
