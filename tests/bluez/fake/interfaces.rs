//! The interfaces that the small BlueZ offers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbus::Path;
use dbus::arg::{PropMap, RefArg, Variant, cast, prop_cast};
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use dbus::nonblock::{Proxy, SyncConnection};
use dbus_crossroads::{IfaceBuilder, MethodErr};

use super::{Broadcast, Data, Device, INSTANCES_MAX, Shared, World, phone};

pub(super) fn error(name: &str, message: &str) -> MethodErr {
    MethodErr::from((format!("org.bluez.Error.{name}"), message))
}

pub(super) fn adapter1(b: &mut IfaceBuilder<usize>, world: &Shared<World>) {
    let shared = Arc::clone(world);
    b.method("StartDiscovery", (), (), move |ctx, index, ()| {
        let client = ctx.message().sender().unwrap().to_string();
        let mut world = shared.lock().unwrap();
        let in_progress = || error("InProgress", "Operation already in progress");
        if world.refusals > 0 {
            world.refusals -= 1;
            return Err(in_progress());
        }
        let adapter = &world.adapters[*index];
        if !adapter.powered {
            return Err(error("NotReady", "Resource Not Ready"));
        }
        world.scans += 1;
        let adapter = &mut world.adapters[*index];
        match adapter.discovering.insert(client) {
            true => Ok(()),
            false => Err(in_progress()),
        }
    });
    let shared = Arc::clone(world);
    b.method("StopDiscovery", (), (), move |ctx, index, ()| {
        let client = ctx.message().sender().unwrap().to_string();
        let adapter = &mut shared.lock().unwrap().adapters[*index];
        match adapter.discovering.remove(&client) {
            true => Ok(()),
            false => Err(error("Failed", "No discovery started")),
        }
    });
    b.method(
        "SetDiscoveryFilter",
        ("filter",),
        (),
        |_, _, _: (PropMap,)| Ok(()),
    );
    phone::remove_device(b, world);
    let shared = Arc::clone(world);
    b.property("Address").get(move |_, index| {
        let number = shared.lock().unwrap().adapters[*index].number;
        Ok(format!("00:00:5E:00:53:{number:02X}"))
    });
    b.property("AddressType")
        .get(|_, _| Ok("public".to_owned()));
    b.property("Name")
        .get(|_, index| Ok(format!("fake{index}")));
    b.property("Alias")
        .get(|_, index| Ok(format!("fake{index}")));
    b.property("Modalias")
        .get(|_, _| Ok("usb:v1D6Bp0246d0542".to_owned()));
    let shared = Arc::clone(world);
    b.property("Discovering").get(move |_, index| {
        Ok(!shared.lock().unwrap().adapters[*index]
            .discovering
            .is_empty())
    });
    let (shared, set) = (Arc::clone(world), Arc::clone(world));
    b.property("Powered")
        .get(move |_, index| Ok(shared.lock().unwrap().adapters[*index].powered))
        .set(move |_, index, powered| {
            let adapter = &mut set.lock().unwrap().adapters[*index];
            if !powered {
                adapter.discovering.clear();
            }
            let changed = std::mem::replace(&mut adapter.powered, powered) != powered;
            Ok(changed.then_some(powered))
        });
}

pub(super) fn advertising_manager1(
    b: &mut IfaceBuilder<usize>,
    world: &Shared<World>,
    connection: &Arc<SyncConnection>,
) {
    let (shared, connection) = (Arc::clone(world), Arc::clone(connection));
    b.method_with_cr_async(
        "RegisterAdvertisement",
        ("advertisement", "options"),
        (),
        move |mut ctx, objects, (object, _): (Path<'static>, PropMap)| {
            let adapter = *objects.data_mut::<usize>(ctx.path()).unwrap();
            let owner = ctx.message().sender().unwrap().to_string();
            let (world, connection) = (Arc::clone(&shared), Arc::clone(&connection));
            async move {
                let read = read(&connection, adapter, owner, object).await;
                ctx.reply(read.and_then(|broadcast| register(&world, broadcast)))
            }
        },
    );
    let shared = Arc::clone(world);
    b.method(
        "UnregisterAdvertisement",
        ("service",),
        (),
        move |ctx, _, (object,): (Path<'static>,)| {
            let owner = ctx.message().sender().unwrap().to_string();
            let broadcasts = &mut shared.lock().unwrap().broadcasts;
            let before = broadcasts.len();
            broadcasts.retain(|known| (&known.owner, &known.object) != (&owner, &object));
            match broadcasts.len() < before {
                true => Ok(()),
                false => Err(error("DoesNotExist", "Does Not Exist")),
            }
        },
    );
    let shared = Arc::clone(world);
    b.property("ActiveInstances")
        .get(move |_, index| Ok(u8::try_from(shared.lock().unwrap().on(*index)).unwrap()));
    let shared = Arc::clone(world);
    b.property("SupportedCapabilities")
        .get(move |_, _| match shared.lock().unwrap().monitors {
            Some(_) => Ok(PropMap::new()),
            None => Err(MethodErr::no_property("SupportedCapabilities")),
        });
}

/// Position, AD type, bytes.
pub(crate) type Pattern = (u8, u8, Vec<u8>);

pub(super) fn monitor_manager1(
    b: &mut IfaceBuilder<usize>,
    world: &Shared<World>,
    connection: &Arc<SyncConnection>,
) {
    let releasing = Arc::clone(connection);
    let (shared, connection) = (Arc::clone(world), Arc::clone(connection));
    b.method_with_cr_async(
        "RegisterMonitor",
        ("application",),
        (),
        move |mut ctx, _, (root,): (Path<'static>,)| {
            let owner = ctx.message().sender().unwrap().to_string();
            let (world, connection) = (Arc::clone(&shared), Arc::clone(&connection));
            async move {
                let answer = {
                    let mut world = world.lock().unwrap();
                    world.monitors_asked += 1;
                    match world.monitors {
                        None => Err(MethodErr::no_method("RegisterMonitor")),
                        Some(_) => Ok(()),
                    }
                };
                if answer.is_ok() {
                    let (object, patterns) = monitor_of(&connection, &owner, root).await;
                    let mut world = world.lock().unwrap();
                    world.last_monitor = Some((owner.clone(), object));
                    if let Some(monitors) = &mut world.monitors {
                        monitors.insert(owner, patterns);
                    }
                }
                ctx.reply(answer)
            }
        },
    );
    let shared = Arc::clone(world);
    b.method(
        "UnregisterMonitor",
        ("application",),
        (),
        move |ctx, _, _: (Path<'static>,)| {
            let owner = ctx.message().sender().unwrap().to_string();
            let mut world = shared.lock().unwrap();
            match &mut world.monitors {
                None => Err(MethodErr::no_method("UnregisterMonitor")),
                Some(monitors) => match monitors.remove(&owner) {
                    Some(_) => {
                        world.release_monitor(&releasing);
                        Ok(())
                    }
                    None => Err(error("DoesNotExist", "Does Not Exist")),
                },
            }
        },
    );
}

/// Reads a client's monitor, and tells it that it is active.
async fn monitor_of(
    connection: &SyncConnection,
    owner: &str,
    root: Path<'static>,
) -> (Path<'static>, Vec<Pattern>) {
    const MONITOR: &str = "org.bluez.AdvertisementMonitor1";
    let patience = Duration::from_secs(5);
    let app = Proxy::new(owner, &root, patience, connection);
    let objects = app.get_managed_objects().await.unwrap();
    let mut monitors = objects
        .into_iter()
        .filter(|(_, interfaces)| interfaces.contains_key(MONITOR));
    let (path, _) = monitors.next().unwrap();
    assert!(monitors.next().is_none());
    let monitor = Proxy::new(owner, &path, patience, connection);
    let kind: String = monitor.get(MONITOR, "Type").await.unwrap();
    assert_eq!(kind, "or_patterns");
    let patterns = monitor.get(MONITOR, "Patterns").await.unwrap();
    let () = monitor.method_call(MONITOR, "Activate", ()).await.unwrap();
    (path, patterns)
}

/// Reads a client's `LEAdvertisement1`.
async fn read(
    connection: &SyncConnection,
    adapter: usize,
    owner: String,
    object: Path<'static>,
) -> Result<Broadcast, MethodErr> {
    let client = Proxy::new(&owner, &object, Duration::from_secs(5), connection);
    let properties = client
        .get_all("org.bluez.LEAdvertisement1")
        .await
        .map_err(|_| error("Failed", "Failed to parse advertisement."))?;
    let kind = prop_cast::<String>(&properties, "Type");
    assert_eq!(kind.map(String::as_str), Some("broadcast"));
    let services = prop_cast::<Vec<String>>(&properties, "ServiceUUIDs");
    Ok(Broadcast {
        adapter,
        services: services.cloned().unwrap_or_default(),
        service_data: data(prop_cast(&properties, "ServiceData")),
        manufacturer_data: data(prop_cast(&properties, "ManufacturerData")),
        timeout_s: prop_cast(&properties, "Timeout").copied(),
        address: String::new(),
        owner,
        object,
    })
}

fn data<K: Clone + Eq + std::hash::Hash>(
    map: Option<&HashMap<K, Variant<Box<dyn RefArg>>>>,
) -> Data<K> {
    let bytes = |value: &Variant<Box<dyn RefArg>>| cast::<Vec<u8>>(&value.0).unwrap().clone();
    let entries = map.into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), Variant(bytes(value))))
        .collect()
}

/// Puts it on the air, under an address of its own.
fn register(world: &Mutex<World>, mut broadcast: Broadcast) -> Result<(), MethodErr> {
    let mut world = world.lock().unwrap();
    if broadcast.len() > 31 {
        return Err(error("Failed", "Failed to parse advertisement."));
    }
    if world.on(broadcast.adapter) >= INSTANCES_MAX {
        return Err(error("NotPermitted", "Maximum advertisements reached"));
    }
    if world.strict && world.scans(broadcast.adapter) {
        return Err(error("Failed", "Failed to register advertisement"));
    }
    world.addresses += 1;
    let [_, a, b, c] = world.addresses.to_be_bytes();
    // The two highest bits clear: a non-resolvable private address.
    broadcast.address = format!("1A:2B:3C:{a:02X}:{b:02X}:{c:02X}");
    world.broadcasts.push(broadcast);
    Ok(())
}

pub(super) fn device1(b: &mut IfaceBuilder<Device>) {
    b.property("Address")
        .get(|_, device| Ok(device.broadcast.address.clone()));
    b.property("AddressType")
        .get(|_, _| Ok("random".to_owned()));
    b.property("Alias")
        .get(|_, device| Ok(device.broadcast.address.replace(':', "-")));
    b.property("Adapter")
        .get(|_, device| Ok(device.adapter.clone()));
    b.property("UUIDs")
        .get(|_, device| Ok(device.broadcast.services.clone()));
    b.property("RSSI").get(|_, device| Ok(device.rssi_dbm));
    b.property("ServiceData")
        .get(|_, device| Ok(device.broadcast.service_data.clone()));
    b.property("ManufacturerData")
        .get(|_, device| Ok(device.broadcast.manufacturer_data.clone()));
    for no in [
        "Paired",
        "Connected",
        "Trusted",
        "Blocked",
        "LegacyPairing",
        "ServicesResolved",
    ] {
        b.property(no).get(|_, _| Ok(false));
    }
}
