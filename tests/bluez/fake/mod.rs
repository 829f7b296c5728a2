//! A small `org.bluez`: adapters that hear one another's advertisements, over a bus and without a
//! radio. It does what BlueZ does as far as scanning and advertising go, refusals included.

mod interfaces;
mod phone;
mod storm;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, RefArg, Variant};
use dbus::channel::{Channel, MatchingReceiver, Sender};
use dbus::message::{MatchRule, SignalArgs};
use dbus::nonblock::stdintf::org_freedesktop_dbus::PropertiesPropertiesChanged;
use dbus::nonblock::{MsgMatch, SyncConnection};
use dbus::{Message, Path};
use dbus_crossroads::{Crossroads, IfaceToken};

use self::interfaces::{Pattern, adapter1, advertising_manager1, device1, monitor_manager1};
pub(crate) use self::phone::Phone;

/// The advertising interval.
const INTERVAL: Duration = Duration::from_millis(20);
/// `SupportedInstances` of most controllers.
pub(crate) const INSTANCES_MAX: usize = 5;

const DEVICE: &str = "org.bluez.Device1";
const BASE_UUID_TAIL: &str = "-0000-1000-8000-00805f9b34fb";

type Data<K> = HashMap<K, Variant<Vec<u8>>>;

/// One advertisement on the air.
#[derive(Clone)]
struct Broadcast {
    adapter: usize,
    owner: String,
    object: Path<'static>,
    address: String,
    services: Vec<String>,
    service_data: Data<String>,
    manufacturer_data: Data<u16>,
    timeout_s: Option<u16>,
}

impl Broadcast {
    /// Bytes it has on the air, the kernel's flags included.
    fn len(&self) -> usize {
        let uuid_len = |uuid: &String| match uuid.ends_with(BASE_UUID_TAIL) {
            true => 2,
            false => 16,
        };
        let services: usize = self.services.iter().map(|uuid| 2 + uuid_len(uuid)).sum();
        let data = self.service_data.values();
        let data: usize = data
            .chain(self.manufacturer_data.values())
            .map(|v| 4 + v.0.len())
            .sum();
        3 + services + data
    }
}

/// A broadcast as one adapter has heard it.
struct Device {
    adapter: Path<'static>,
    rssi_dbm: i16,
    broadcast: Broadcast,
    /// Nobody scans, but it matches a monitor.
    by_monitor: bool,
}

#[derive(Default)]
struct Adapter {
    /// The end of its address.
    number: usize,
    powered: bool,
    /// Who scans.
    discovering: HashSet<String>,
}

#[derive(Default)]
struct World {
    adapters: Vec<Adapter>,
    broadcasts: Vec<Broadcast>,
    addresses: u32,
    rssi_dbm: i16,
    /// Scans still to be refused.
    refusals: u32,
    /// Scans begun.
    scans: u32,
    /// Whether no adapter begins to advertise while it scans.
    strict: bool,
    /// The patterns of each client's monitor; `None` without `--experimental`.
    monitors: Option<HashMap<String, Vec<Pattern>>>,
    /// Whether patterns of service data are looked for behind the UUID alone.
    behind_uuid: bool,
    /// When a frame was last told of.
    told: Option<Instant>,
    /// Monitors asked for, taken or not.
    monitors_asked: u32,
    /// The object of the last one taken, and whose it is.
    last_monitor: Option<(String, Path<'static>)>,
    /// The calls that concerned phones.
    phone_calls: Vec<&'static str>,
    /// Removals still to be ignored.
    removals_ignored: u32,
}

impl World {
    fn forget(&mut self, client: &str) {
        self.broadcasts
            .retain(|broadcast| broadcast.owner != client);
        for adapter in &mut self.adapters {
            adapter.discovering.remove(client);
        }
        if let Some(monitors) = &mut self.monitors {
            monitors.remove(client);
        }
    }

    /// Tells the last monitor's client that it has been let go of.
    fn release_monitor(&mut self, connection: &SyncConnection) {
        let (owner, object) = self.last_monitor.take().unwrap();
        let interface = "org.bluez.AdvertisementMonitor1";
        let release = Message::new_method_call(owner, object, interface, "Release").unwrap();
        // It fails also if only the connection's task was woken already, to send what is queued.
        let _ = connection.send(release);
    }

    /// Whether the controller scans: for a client, or for a monitor.
    fn scans(&self, adapter: usize) -> bool {
        let monitors = self.monitors.iter().flatten();
        !self.adapters[adapter].discovering.is_empty() || monitors.count() > 0
    }

    /// Whether `broadcast` has what a monitor is for.
    fn matches(&self, broadcast: &Broadcast) -> bool {
        let patterns = self.monitors.iter().flat_map(HashMap::values).flatten();
        let service = |short: [u8; 2]| {
            let uuid = format!("0000{:04x}{BASE_UUID_TAIL}", u16::from_le_bytes(short));
            !self.behind_uuid && broadcast.service_data.contains_key(&uuid)
        };
        let company = |id: [u8; 2]| {
            let id = u16::from_le_bytes(id);
            broadcast.manufacturer_data.contains_key(&id)
        };
        let mut patterns = patterns.map(|(_, kind, bytes)| (kind, bytes[..].try_into().unwrap()));
        patterns.any(|(kind, bytes)| match kind {
            0x16 => service(bytes),
            _ => company(bytes),
        })
    }

    fn on(&self, adapter: usize) -> usize {
        let on = |broadcast: &&Broadcast| broadcast.adapter == adapter;
        self.broadcasts.iter().filter(on).count()
    }
}

type Shared<T> = Arc<Mutex<T>>;

/// The daemon.
pub(crate) struct Fake {
    connection: Arc<SyncConnection>,
    world: Shared<World>,
    objects: Shared<Crossroads>,
    adapter_interfaces: [IfaceToken<usize>; 3],
    phone_interface: IfaceToken<phone::Device>,
    _clients: MsgMatch,
}

impl Fake {
    /// Owns `org.bluez` on the bus at `address`, with so many `adapters`, all switched on.
    pub(crate) async fn start(address: &str, adapters: usize) -> Self {
        let mut channel = Channel::open_private(address).unwrap();
        channel.register().unwrap();
        let (io, connection) =
            dbus_tokio::connection::from_channel::<SyncConnection>(channel).unwrap();
        tokio::spawn(io);
        let world = Arc::new(Mutex::new(World {
            rssi_dbm: -63,
            ..World::default()
        }));

        let mut objects = Crossroads::new();
        objects.set_object_manager_support(Some(connection.clone()));
        let spawner = Box::new(|future| drop(tokio::spawn(future)));
        objects.set_async_support(Some((connection.clone(), spawner)));
        let manager = objects.object_manager();
        objects.insert("/", &[manager], ());
        let adapter_interfaces = [
            objects.register("org.bluez.Adapter1", |b| adapter1(b, &world)),
            objects.register("org.bluez.LEAdvertisingManager1", |b| {
                advertising_manager1(b, &world, &connection);
            }),
            objects.register("org.bluez.AdvertisementMonitorManager1", |b| {
                monitor_manager1(b, &world, &connection);
            }),
        ];
        let device_interface = objects.register(DEVICE, device1);
        let phone_interface = phone::register(&mut objects, &world, &connection);
        let objects = Arc::new(Mutex::new(objects));

        let served = Arc::clone(&objects);
        connection.start_receive(
            MatchRule::new_method_call(),
            Box::new(move |message, connection| {
                served
                    .lock()
                    .unwrap()
                    .handle_message(message, connection)
                    .unwrap();
                true
            }),
        );
        let air = Air {
            connection: connection.clone(),
            world: Arc::clone(&world),
            objects: Arc::clone(&objects),
            device_interface,
            known: HashSet::new(),
        };
        tokio::spawn(air.blow());
        let clients = follow_clients(&connection, &world).await;
        let fake = Self {
            connection,
            world,
            objects,
            adapter_interfaces,
            phone_interface,
            _clients: clients,
        };
        for index in 0..adapters {
            fake.world.lock().unwrap().adapters.push(Adapter::default());
            fake.plug(index);
        }
        fake.appear().await;
        fake
    }

    /// Every frame is heard this strong from now on.
    pub(crate) fn rssi(&self, dbm: i16) {
        self.world.lock().unwrap().rssi_dbm = dbm;
    }

    /// The next so many scans are refused, as while a crashed daemon's scan still runs.
    pub(crate) fn refuse_scans(&self, count: u32) {
        self.world.lock().unwrap().refusals = count;
    }

    /// Adapters have no extended advertising, and begin to advertise only while they do not scan.
    pub(crate) fn be_strict(&self) {
        self.world.lock().unwrap().strict = true;
    }

    /// It offers monitors, and heeds intervals, as with `--experimental`.
    pub(crate) fn be_experimental(&self) {
        self.world.lock().unwrap().monitors = Some(HashMap::new());
    }

    /// It looks for patterns of service data behind the UUID alone, as 5.82.
    pub(crate) fn look_behind_uuids(&self) {
        self.world.lock().unwrap().behind_uuid = true;
    }

    /// The patterns of all monitors.
    pub(crate) fn monitored(&self) -> Vec<Pattern> {
        let world = self.world.lock().unwrap();
        let monitors = world.monitors.iter().flat_map(HashMap::values);
        monitors.flatten().cloned().collect()
    }

    /// When a frame was last told of.
    pub(crate) fn told(&self) -> Instant {
        self.world.lock().unwrap().told.unwrap()
    }

    /// How often a monitor has been asked for.
    pub(crate) fn monitors_asked(&self) -> u32 {
        self.world.lock().unwrap().monitors_asked
    }

    /// It lets go of all monitors, as of one that the kernel does not take.
    pub(crate) fn release_monitors(&self) {
        let mut world = self.world.lock().unwrap();
        world.monitors.as_mut().unwrap().clear();
        world.release_monitor(&self.connection);
    }

    /// How many scans have been begun.
    pub(crate) fn scans(&self) -> u32 {
        self.world.lock().unwrap().scans
    }

    /// The `Timeout` of each advertisement on the air that has one.
    pub(crate) fn timeouts(&self) -> Vec<u16> {
        let world = self.world.lock().unwrap();
        let timeouts = world.broadcasts.iter().filter_map(|known| known.timeout_s);
        timeouts.collect()
    }

    /// The `Timeout` of every advertisement that has one is over.
    pub(crate) fn time_out(&self) {
        let mut world = self.world.lock().unwrap();
        let over: Vec<_> = world
            .broadcasts
            .extract_if(.., |known| known.timeout_s.is_some())
            .collect();
        for Broadcast { owner, object, .. } in over {
            let interface = "org.bluez.LEAdvertisement1";
            let release = Message::new_method_call(owner, object, interface, "Release").unwrap();
            // It fails also if only the connection's task was woken already, to send what is queued.
            let _ = self.connection.send(release);
        }
    }

    /// The daemon ends, with all that it did for its clients.
    pub(crate) async fn vanish(&self) {
        self.connection.release_name("org.bluez").await.unwrap();
        let mut world = self.world.lock().unwrap();
        world.broadcasts.clear();
        if let Some(monitors) = &mut world.monitors {
            monitors.clear();
        }
        for adapter in &mut world.adapters {
            adapter.discovering.clear();
        }
    }

    /// The daemon starts.
    pub(crate) async fn appear(&self) {
        let name = self
            .connection
            .request_name("org.bluez", false, false, true);
        name.await.unwrap();
    }

    /// The machine goes to sleep, or has woken up, as its login manager says.
    pub(crate) async fn sleep(&self, sleeps: bool) {
        let name = "org.freedesktop.login1";
        let owned = self.connection.request_name(name, false, true, true);
        owned.await.unwrap();
        let path = "/org/freedesktop/login1";
        let interface = "org.freedesktop.login1.Manager";
        let signal = Message::new_signal(path, interface, "PrepareForSleep");
        // It fails also if only the connection's task was woken already, to send what is queued.
        let _ = self.connection.send(signal.unwrap().append1(sleeps));
    }

    /// Somebody pulls an adapter out.
    pub(crate) fn unplug(&self, index: usize) {
        self.objects.lock().unwrap().remove::<usize>(&path(index));
        let mut world = self.world.lock().unwrap();
        world.adapters[index] = Adapter::default();
        world
            .broadcasts
            .retain(|broadcast| broadcast.adapter != index);
    }

    /// Somebody plugs an adapter in, and it is switched on.
    pub(crate) fn plug(&self, index: usize) {
        self.plug_as(index, index);
    }

    /// The same with that of another index, which keeps its address.
    pub(crate) fn plug_as(&self, index: usize, number: usize) {
        let adapter = Adapter {
            number,
            powered: true,
            ..Adapter::default()
        };
        self.world.lock().unwrap().adapters[index] = adapter;
        let mut objects = self.objects.lock().unwrap();
        objects.insert(path(index), &self.adapter_interfaces, index);
    }
}

fn path(adapter: usize) -> Path<'static> {
    format!("/org/bluez/hci{adapter}").into()
}

/// What a client has begun ends when it leaves the bus.
async fn follow_clients(connection: &SyncConnection, world: &Shared<World>) -> MsgMatch {
    let rule = MatchRule::new_signal("org.freedesktop.DBus", "NameOwnerChanged");
    let world = Arc::clone(world);
    let added = connection.add_match(rule).await.unwrap();
    added.cb(move |_, (name, _, owner): (String, String, String)| {
        if owner.is_empty() {
            world.lock().unwrap().forget(&name);
        }
        true
    })
}

/// What carries broadcasts to those who scan.
struct Air {
    connection: Arc<SyncConnection>,
    world: Shared<World>,
    objects: Shared<Crossroads>,
    device_interface: IfaceToken<Device>,
    known: HashSet<Path<'static>>,
}

impl Air {
    async fn blow(mut self) {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            for device in self.audible() {
                self.hear(device);
            }
        }
    }

    fn audible(&self) -> Vec<Device> {
        let world = self.world.lock().unwrap();
        let mut audible = Vec::new();
        for (index, adapter) in world.adapters.iter().enumerate() {
            for broadcast in &world.broadcasts {
                let from = &world.adapters[broadcast.adapter];
                let other = broadcast.adapter != index;
                let by_monitor = adapter.discovering.is_empty();
                if other && from.powered && (!by_monitor || world.matches(broadcast)) {
                    audible.push(Device {
                        adapter: path(index),
                        rssi_dbm: world.rssi_dbm,
                        broadcast: broadcast.clone(),
                        by_monitor,
                    });
                }
            }
        }
        audible
    }

    /// The first frame of an address adds an object; each later one is a signal of what has changed, which
    /// nothing has for a monitor.
    fn hear(&mut self, device: Device) {
        self.world.lock().unwrap().told = Some(Instant::now());
        let name = device.broadcast.address.replace(':', "_");
        let object = Path::from(format!("{}/dev_{name}", device.adapter));
        if self.known.insert(object.clone()) {
            let mut objects = self.objects.lock().unwrap();
            objects.insert(object, &[self.device_interface], device);
            return;
        }
        if device.by_monitor {
            return;
        }
        let (broadcast, mut changed) = (device.broadcast, PropMap::new());
        changed.insert("RSSI".to_owned(), Variant(Box::new(device.rssi_dbm)));
        if !broadcast.service_data.is_empty() {
            let data = Variant(Box::new(broadcast.service_data) as Box<dyn RefArg>);
            changed.insert("ServiceData".to_owned(), data);
        }
        if !broadcast.manufacturer_data.is_empty() {
            let data = Variant(Box::new(broadcast.manufacturer_data) as Box<dyn RefArg>);
            changed.insert("ManufacturerData".to_owned(), data);
        }
        let signal = PropertiesPropertiesChanged {
            interface_name: DEVICE.to_owned(),
            changed_properties: changed,
            invalidated_properties: Vec::new(),
        };
        // It fails also if only the connection's task was woken already, to send what is queued.
        let _ = self.connection.send(signal.to_emit_message(&object));
    }
}
