//! A connection of our own to the system bus, and what `bluetoothd` says there of its adapters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbus::arg::{AppendAll, PropMap, ReadAll, prop_cast};
use dbus::channel::MatchingReceiver;
use dbus::message::MatchRule;
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use dbus::nonblock::{Proxy, SyncConnection};
use dbus::{Message, Path};
use dbus_crossroads::Crossroads;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::RadioError;
use super::surroundings;

pub(super) const BLUEZ: &str = "org.bluez";
pub(super) const ADVERTISING: &str = "org.bluez.LEAdvertisingManager1";
pub(super) const ADAPTER: &str = "org.bluez.Adapter1";
pub(super) const DEVICE: &str = "org.bluez.Device1";

/// How long `bluetoothd` may take for an answer. Registering an advertisement took up to 1.5 seconds
/// on an emulated machine under load; a controller that has hung answers never.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A connection to the system bus. Dropping it closes the connection, whereupon BlueZ ends all that
/// was registered over it.
pub(crate) struct Bus {
    connection: Arc<SyncConnection>,
    io: JoinHandle<()>,
    here: Arc<watch::Sender<bool>>,
}

impl Bus {
    /// Connects.
    pub(crate) async fn open() -> Result<Self, RadioError> {
        // libdbus connects and greets the bus synchronously.
        let opened = tokio::task::spawn_blocking(dbus_tokio::connection::new_system_sync);
        let (io, connection) = opened
            .await
            .map_err(|error| RadioError::System(error.to_string()))?
            .map_err(|error| RadioError::NoService(text(&error)))?;
        let here = Arc::new(watch::Sender::new(true));
        let gone = Arc::clone(&here);
        let held = Arc::clone(&connection);
        let io = tokio::spawn(async move {
            // The socket must close after the reactor has let go of it, not before: another thread
            // may be given its number at once, and lose its events. Locals end in reverse order, if
            // the task is aborted too.
            let _held = held;
            let io = io;
            // It ends when the bus has gone, and whoever calls over it is told so then.
            io.await;
            gone.send_replace(false);
        });
        Ok(Self {
            connection,
            io,
            here,
        })
    }

    /// Leaves the bus, and has left it on return.
    pub(super) async fn close(mut self) {
        self.io.abort();
        // It ends in having been aborted, or has ended before.
        let _ = (&mut self.io).await;
    }

    /// Whether the bus has gone. A connection does not come back.
    pub(crate) fn is_lost(&self) -> bool {
        self.io.is_finished()
    }

    /// Answers calls of `objects`, for as long as the connection lasts.
    pub(super) fn serve(&self, objects: Crossroads) -> Arc<Mutex<Crossroads>> {
        let objects = Arc::new(Mutex::new(objects));
        let served = Arc::clone(&objects);
        self.connection.start_receive(
            MatchRule::new_method_call(),
            Box::new(move |message, connection| {
                let mut objects = served.lock().unwrap_or_else(PoisonError::into_inner);
                // It fails for other messages than calls, and none comes here.
                let _ = objects.handle_message(message, connection);
                true
            }),
        );
        objects
    }

    /// Has the bus pass on the signals of a match rule.
    pub(super) async fn subscribe(&self, rule: &str) -> Result<(), RadioError> {
        let added = self.connection.add_match_no_cb(rule).await;
        added.map_err(radio_error)
    }

    /// Hands `take` what matches `rule`, for as long as the connection lasts. Of several rules that match
    /// a message, one alone gets it.
    pub(super) fn receive(
        &self,
        rule: MatchRule<'static>,
        take: impl Fn(&Message) + Send + Sync + 'static,
    ) {
        let take = Box::new(move |message: Message, _: &SyncConnection| {
            take(&message);
            true
        });
        self.connection.start_receive(rule, take);
    }

    /// Whether the bus is there, as long as [`follow`](Self::follow) is not called.
    pub(super) fn presence(&self) -> watch::Receiver<bool> {
        self.here.subscribe()
    }

    /// Calls a method of BlueZ.
    pub(super) async fn call<R: ReadAll + 'static>(
        &self,
        path: &Path<'static>,
        interface: &'static str,
        method: &'static str,
        args: impl AppendAll,
    ) -> Result<R, dbus::Error> {
        self.at(path).method_call(interface, method, args).await
    }

    /// The adapters there are, by name.
    pub(crate) async fn adapters(&self) -> Result<Vec<Adapter>, RadioError> {
        let root = Path::from("/");
        let objects = self.at(&root).get_managed_objects().await;
        let mut adapters: Vec<_> = objects
            .map_err(radio_error)?
            .into_iter()
            .filter_map(|(path, interfaces)| {
                let properties = interfaces.get(ADAPTER)?;
                let advertises = interfaces.contains_key(ADVERTISING);
                Adapter::new(path, properties, advertises)
            })
            .collect();
        adapters.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(adapters)
    }

    /// Whether the adapter at `path` is switched on.
    pub(crate) async fn require_powered(&self, path: &Path<'static>) -> Result<(), RadioError> {
        match self.at(path).get::<bool>(ADAPTER, "Powered").await {
            Ok(true) => Ok(()),
            Ok(false) => Err(off(path)),
            Err(error) => Err(match radio_error(error) {
                // Nobody at this path speaks of power, so it is no adapter any more.
                RadioError::Unsupported { .. } => RadioError::NoAdapter,
                error => error,
            }),
        }
    }

    /// Whether BlueZ heeds the interval that an advertisement asks for: since 5.77, or with
    /// `--experimental`. The property came out of its experimental stage together with it.
    pub(super) async fn heeds_intervals(&self, path: &Path<'static>) -> bool {
        self.at(path)
            .get::<PropMap>(ADVERTISING, "SupportedCapabilities")
            .await
            .is_ok()
    }

    /// Whether anybody has the adapter at `path` scan.
    pub(super) async fn is_scanning(&self, path: &Path<'static>) -> bool {
        let scanning = self.at(path).get(ADAPTER, "Discovering").await;
        scanning.unwrap_or(false)
    }

    /// Follows whether the adapter at `path` is there: `bluetoothd` may stop, an adapter be unplugged,
    /// the bus itself go. btleplug reports none of these.
    pub(crate) async fn follow(&self, path: &Path<'static>) -> Result<Presence, RadioError> {
        self.follow_owner().await?;
        self.follow_adapter(path, "InterfacesAdded", true, |message| {
            message
                .get2::<Path<'_>, HashMap<String, PropMap>>()
                .1
                .is_some_and(|interfaces| interfaces.contains_key(ADAPTER))
        })
        .await?;
        self.follow_adapter(path, "InterfacesRemoved", false, |message| {
            message
                .get2::<Path<'_>, Vec<String>>()
                .1
                .is_some_and(|interfaces| interfaces.iter().any(|name| name == ADAPTER))
        })
        .await?;
        Ok(Presence(self.here.subscribe()))
    }

    async fn follow_owner(&self) -> Result<(), RadioError> {
        let rule = "type='signal',sender='org.freedesktop.DBus',\
                    interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'";
        let added = self.connection.add_match_no_cb(rule).await;
        added.map_err(radio_error)?;
        let here = Arc::clone(&self.here);
        self.connection.start_receive(
            MatchRule::new_signal("org.freedesktop.DBus", "NameOwnerChanged"),
            Box::new(move |message, _| {
                if let (Some(BLUEZ), _, Some(owner)) = message.get3::<&str, &str, &str>() {
                    here.send_replace(!owner.is_empty());
                }
                true
            }),
        );
        Ok(())
    }

    async fn follow_adapter(
        &self,
        path: &Path<'static>,
        member: &'static str,
        becomes: bool,
        concerns: fn(&Message) -> bool,
    ) -> Result<(), RadioError> {
        const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
        // The bus itself sorts out the signals of every device that is found.
        let rule = format!(
            "type='signal',sender='{BLUEZ}',interface='{OBJECTS}',member='{member}',arg0path='{path}'"
        );
        let added = self.connection.add_match_no_cb(&rule).await;
        added.map_err(radio_error)?;
        let (path, here) = (path.clone(), Arc::clone(&self.here));
        self.connection.start_receive(
            MatchRule::new_signal(OBJECTS, member),
            Box::new(move |message, _| {
                let at_path = message.get1::<Path<'_>>().is_some_and(|at| at == path);
                // An adapter gains and loses other interfaces while it is there.
                if at_path && concerns(&message) {
                    here.send_replace(becomes);
                }
                true
            }),
        );
        Ok(())
    }

    pub(super) fn at<'a>(&'a self, path: &'a Path<'static>) -> Proxy<'a, &'a SyncConnection> {
        Proxy::new(BLUEZ, path, ANSWER_WITHIN, &self.connection)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // The task holds the connection open.
        self.io.abort();
    }
}

/// Whether the adapter is there, as it changes.
pub(crate) struct Presence(watch::Receiver<bool>);

impl Presence {
    /// Waits for the next change. `true`: the adapter has come, perhaps after having been away
    /// unseen.
    pub(crate) async fn changed(&mut self) -> bool {
        if self.0.changed().await.is_err() {
            // We have closed the bus ourselves, and nobody waits for adapters any more.
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}

/// An adapter, as BlueZ describes it.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    /// Its object.
    pub(crate) path: Path<'static>,
    /// Its public address.
    pub(crate) address: String,
    /// Whether it is switched on.
    pub(crate) powered: bool,
    /// Whether it can advertise.
    pub(crate) advertises: bool,
}

impl Adapter {
    fn new(path: Path<'static>, properties: &PropMap, advertises: bool) -> Option<Self> {
        Some(Self {
            path,
            address: prop_cast::<String>(properties, "Address")?.clone(),
            powered: *prop_cast::<bool>(properties, "Powered")?,
            advertises,
        })
    }

    /// Its name, such as `hci0`.
    pub(crate) fn name(&self) -> &str {
        name(&self.path)
    }
}

/// Why the adapter at `path` is off.
fn off(path: &Path<'static>) -> RadioError {
    surroundings::why_off(std::path::Path::new(surroundings::CLASS), name(path))
}

/// What the adapter at `path` is called.
fn name<'a>(path: &'a Path<'static>) -> &'a str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Picks the adapter `wanted` by name or address, else the first that is switched on.
pub(crate) fn choose(adapters: &[Adapter], wanted: Option<&str>) -> Result<Adapter, RadioError> {
    let Some(wanted) = wanted else {
        let powered = adapters.iter().find(|adapter| adapter.powered);
        return match (powered, adapters.first()) {
            (Some(adapter), _) => Ok(adapter.clone()),
            (None, Some(first)) => Err(off(&first.path)),
            (None, None) => Err(RadioError::NoAdapter),
        };
    };
    let chosen = adapters
        .iter()
        .find(|adapter| adapter.name() == wanted || adapter.address.eq_ignore_ascii_case(wanted));
    match chosen {
        Some(adapter) if adapter.powered => Ok(adapter.clone()),
        Some(adapter) => Err(off(&adapter.path)),
        None if adapters.is_empty() => Err(RadioError::NoAdapter),
        None => {
            let found: Vec<_> = adapters.iter().map(Adapter::name).collect();
            Err(RadioError::AdapterNotFound {
                wanted: wanted.to_owned(),
                found: found.join(", "),
            })
        }
    }
}

/// What a D-Bus error means to whoever has to put it right.
pub(super) fn radio_error(error: dbus::Error) -> RadioError {
    let text = text(&error);
    match error.name().unwrap_or_default() {
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner"
        | "org.freedesktop.DBus.Error.NoServer"
        | "org.freedesktop.DBus.Error.FileNotFound"
        | "org.freedesktop.DBus.Error.Disconnected"
        // No answer: `bluetoothd` hangs, or went away while it was asked.
        | "org.freedesktop.DBus.Error.NoReply"
        | "org.freedesktop.DBus.Error.Timeout"
        | "org.freedesktop.DBus.Error.TimedOut"
        // The bus was to start `bluetoothd` and could not.
        | "org.freedesktop.systemd1.NoSuchUnit" => RadioError::NoService(text),
        name if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => {
            RadioError::NoService(text)
        }
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.AuthFailed"
        | "org.bluez.Error.NotAuthorized" => RadioError::PermissionDenied(text),
        "org.bluez.Error.NotPermitted" if text.contains("Maximum advertisements") => {
            RadioError::TooManyAdvertisements
        }
        "org.bluez.Error.NotPermitted" => RadioError::PermissionDenied(text),
        // As `add_client_complete` has it in BlueZ's src/advertising.c.
        "org.bluez.Error.Failed" if text == "Failed to register advertisement" => {
            RadioError::AdvertisementRefused
        }
        "org.bluez.Error.NotReady" => RadioError::AdapterOff,
        "org.freedesktop.DBus.Error.UnknownObject" => RadioError::NoAdapter,
        "org.bluez.Error.NotSupported"
        | "org.freedesktop.DBus.Error.UnknownInterface"
        | "org.freedesktop.DBus.Error.UnknownMethod" => RadioError::Unsupported {
            why: "the adapter or its driver does not offer it to BlueZ",
        },
        // Sending over a connection that has closed fails without a name of its own.
        "org.freedesktop.DBus.Error.Failed" if text.contains("Failed to send message") => {
            RadioError::NoService("the connection to the system bus has closed".to_owned())
        }
        _ => RadioError::System(text),
    }
}

/// What the system says, with the name of the error where it says nothing else.
fn text(error: &dbus::Error) -> String {
    match (error.message(), error.name()) {
        // The bus, when it denies something, goes on about every detail of the message.
        (Some(message), _) if !message.is_empty() => {
            let reason = message.split("; type=").next();
            reason.unwrap_or(message).to_owned()
        }
        (_, name) => name.unwrap_or("no reason given").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(name: &str, message: &str) -> RadioError {
        radio_error(dbus::Error::new_custom(name.to_owned(), message))
    }

    #[test]
    fn errors_are_told_apart() {
        assert!(matches!(
            meaning(
                "org.freedesktop.DBus.Error.ServiceUnknown",
                "not provided by any"
            ),
            RadioError::NoService(text) if text == "not provided by any"
        ));
        assert!(matches!(
            meaning("org.freedesktop.DBus.Error.Spawn.ExecFailed", "no file"),
            RadioError::NoService(_)
        ));
        assert!(matches!(
            meaning("org.freedesktop.DBus.Error.AccessDenied", "rejected"),
            RadioError::PermissionDenied(_)
        ));
        assert!(matches!(
            meaning(
                "org.bluez.Error.NotPermitted",
                "Maximum advertisements reached"
            ),
            RadioError::TooManyAdvertisements
        ));
        assert!(matches!(
            meaning("org.bluez.Error.Failed", "Failed to register advertisement"),
            RadioError::AdvertisementRefused
        ));
        assert!(matches!(
            meaning("org.bluez.Error.NotReady", "Resource Not Ready"),
            RadioError::AdapterOff
        ));
        assert!(matches!(
            meaning("org.freedesktop.DBus.Error.UnknownObject", "hci7"),
            RadioError::NoAdapter
        ));
        assert!(matches!(
            meaning("org.bluez.Error.Failed", ""),
            RadioError::System(text) if text == "org.bluez.Error.Failed"
        ));
    }

    fn adapter(name: &str, address: &str, powered: bool) -> Adapter {
        Adapter {
            path: format!("/org/bluez/{name}").into(),
            address: address.to_owned(),
            powered,
            advertises: true,
        }
    }

    #[test]
    fn adapters_by_name_and_address() {
        let both = [
            adapter("hci0", "00:00:5E:00:53:00", false),
            adapter("hci1", "00:00:5E:00:53:AF", true),
        ];
        for wanted in [None, Some("hci1"), Some("00:00:5e:00:53:af")] {
            assert_eq!(choose(&both, wanted).unwrap().name(), "hci1");
        }
        assert!(matches!(
            choose(&both, Some("hci0")),
            Err(RadioError::AdapterOff)
        ));
        let missing = choose(&both, Some("hci2")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no Bluetooth adapter named hci2; there is hci0, hci1"
        );
        assert!(matches!(
            choose(&both[..1], None),
            Err(RadioError::AdapterOff)
        ));
        assert!(matches!(choose(&[], None), Err(RadioError::NoAdapter)));
    }
}
