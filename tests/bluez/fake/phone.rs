//! A device that can be connected to, and what it offers.

use std::sync::Arc;

use dbus::Path;
use dbus::arg::{PropMap, Variant};
use dbus::channel::Sender;
use dbus::message::SignalArgs;
use dbus::nonblock::SyncConnection;
use dbus::nonblock::stdintf::org_freedesktop_dbus::PropertiesPropertiesChanged;
use dbus_crossroads::{Crossroads, IfaceBuilder, IfaceToken};

use super::interfaces::error;
use super::{DEVICE, Fake, Shared, World, path};

/// How a device behaves.
#[derive(Clone, Default)]
pub(crate) struct Phone {
    /// Its owner has paired it with this one.
    pub(crate) paired: bool,
    /// It never answers an attempt to connect.
    pub(crate) hangs: bool,
    /// The service that it offers, the characteristic in it, and what that holds.
    pub(crate) offers: (String, String, Vec<u8>),
}

/// A device on the bus.
pub(super) struct Device {
    phone: Phone,
    connected: bool,
    resolved: bool,
}

struct Characteristic {
    service: Path<'static>,
    uuid: String,
    value: Vec<u8>,
}

impl Fake {
    /// `phone` is in range of an adapter.
    pub(crate) fn put_phone(&self, adapter: usize, address: [u8; 6], phone: Phone) {
        let object = phone_path(adapter, address);
        let device = Device {
            phone,
            connected: false,
            resolved: false,
        };
        let mut objects = self.objects.lock().unwrap();
        objects.insert(object, &[self.phone_interface], device);
    }

    /// The calls that concerned phones.
    pub(crate) fn phone_calls(&self) -> Vec<&'static str> {
        self.world.lock().unwrap().phone_calls.clone()
    }

    /// The next so many devices that are to be removed are not, and nobody is told.
    pub(crate) fn ignore_removals(&self, count: u32) {
        self.world.lock().unwrap().removals_ignored = count;
    }
}

fn phone_path(adapter: usize, address: [u8; 6]) -> Path<'static> {
    let digits = address.map(|byte| format!("{byte:02X}")).join("_");
    format!("{}/dev_{digits}", path(adapter)).into()
}

/// Registers the interfaces of a device and of what it offers.
pub(super) fn register(
    objects: &mut Crossroads,
    world: &Shared<World>,
    connection: &Arc<SyncConnection>,
) -> IfaceToken<Device> {
    let service = objects.register("org.bluez.GattService1", |b: &mut IfaceBuilder<String>| {
        b.property("UUID").get(|_, uuid| Ok(uuid.clone()));
    });
    let characteristic = objects.register("org.bluez.GattCharacteristic1", |b| {
        characteristic1(b, world);
    });
    objects.register(DEVICE, |b| {
        device1(b, world, connection, service, characteristic);
    })
}

fn characteristic1(b: &mut IfaceBuilder<Characteristic>, world: &Shared<World>) {
    b.property("UUID").get(|_, it| Ok(it.uuid.clone()));
    b.property("Service").get(|_, it| Ok(it.service.clone()));
    let world = Arc::clone(world);
    b.method(
        "ReadValue",
        ("options",),
        ("value",),
        move |_, it, (_,): (PropMap,)| {
            world.lock().unwrap().phone_calls.push("ReadValue");
            Ok((it.value.clone(),))
        },
    );
}

fn device1(
    b: &mut IfaceBuilder<Device>,
    world: &Shared<World>,
    connection: &Arc<SyncConnection>,
    service: IfaceToken<String>,
    characteristic: IfaceToken<Characteristic>,
) {
    b.property("Paired").get(|_, it| Ok(it.phone.paired));
    b.property("Trusted").get(|_, _| Ok(false));
    b.property("Connected").get(|_, it| Ok(it.connected));
    b.property("ServicesResolved").get(|_, it| Ok(it.resolved));
    let (world, connection) = (Arc::clone(world), Arc::clone(connection));
    b.method_with_cr_async("Connect", (), (), move |mut ctx, objects, ()| {
        world.lock().unwrap().phone_calls.push("Connect");
        let at = ctx.path().clone();
        let device = objects.data_mut::<Device>(&at).unwrap();
        (device.connected, device.resolved) = (true, true);
        let phone = device.phone.clone();
        if !phone.hangs {
            let (uuid, characteristic_uuid, value) = phone.offers;
            let service_path = Path::from(format!("{at}/service0001"));
            let held = Characteristic {
                service: service_path.clone(),
                uuid: characteristic_uuid,
                value,
            };
            let below = format!("{service_path}/char0002");
            objects.insert(service_path, &[service], uuid);
            objects.insert(below, &[characteristic], held);
        }
        let connection = Arc::clone(&connection);
        async move {
            if phone.hangs {
                std::future::pending::<()>().await;
            }
            let answered = ctx.reply(Ok(()));
            // BlueZ looks for what the device offers after it has answered.
            let resolved = PropertiesPropertiesChanged {
                interface_name: DEVICE.to_owned(),
                changed_properties: PropMap::from([(
                    "ServicesResolved".to_owned(),
                    Variant(Box::new(true) as Box<_>),
                )]),
                invalidated_properties: Vec::new(),
            };
            // It fails also if only the connection's task was woken already, to send what is queued.
            let _ = connection.send(resolved.to_emit_message(&at));
            answered
        }
    });
}

/// Adds it to the adapter.
pub(super) fn remove_device(b: &mut IfaceBuilder<usize>, world: &Shared<World>) {
    let shared = Arc::clone(world);
    b.method_with_cr_async(
        "RemoveDevice",
        ("device",),
        (),
        move |mut ctx, objects, (device,): (Path<'static>,)| {
            let mut world = shared.lock().unwrap();
            world.phone_calls.push("RemoveDevice");
            let ignored = world.removals_ignored > 0;
            world.removals_ignored = world.removals_ignored.saturating_sub(1);
            let answer = match !ignored && remove(objects, &device) {
                true => Ok(()),
                false => Err(error("DoesNotExist", "Does Not Exist")),
            };
            async move {
                if ignored {
                    std::future::pending::<()>().await;
                }
                ctx.reply(answer)
            }
        },
    );
}

/// Whether there was such a device.
fn remove(objects: &mut Crossroads, device: &Path<'static>) -> bool {
    let service = Path::from(format!("{device}/service0001"));
    objects.remove::<Characteristic>(&Path::from(format!("{service}/char0002")));
    objects.remove::<String>(&service);
    objects.remove::<Device>(device).is_some()
}
