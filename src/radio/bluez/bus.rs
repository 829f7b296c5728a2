//! A connection of our own to the system bus, and what `bluetoothd` says there of its adapters.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbus::arg::{AppendAll, PropMap, ReadAll};
use dbus::channel::MatchingReceiver;
use dbus::message::MatchRule;
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use dbus::nonblock::{Proxy, SyncConnection};
use dbus::{Message, Path};
use dbus_crossroads::Crossroads;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::RadioError;
use super::adapter::{Adapter, off};

pub(super) const BLUEZ: &str = "org.bluez";
pub(super) const ADVERTISING: &str = "org.bluez.LEAdvertisingManager1";
pub(super) const ADAPTER: &str = "org.bluez.Adapter1";
pub(super) const DEVICE: &str = "org.bluez.Device1";
pub(super) const DBUS: &str = "org.freedesktop.DBus";
/// systemd's login manager, and elogind (org.freedesktop.login1(5)).
const LOGIN: &str = "org.freedesktop.login1.Manager";
pub(super) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long `bluetoothd` may take for an answer. Registering an advertisement took up to 1.5 seconds
/// on an emulated machine under load; a controller that has hung answers never.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A connection to the system bus. Dropping it closes the connection, whereupon BlueZ ends all that
/// was registered over it.
pub(crate) struct Bus {
    connection: Arc<SyncConnection>,
    io: JoinHandle<()>,
    here: Arc<watch::Sender<bool>>,
    changes: Arc<AtomicU64>,
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
            changes: Arc::default(),
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
    pub(super) async fn adapters(&self) -> Result<Vec<Adapter>, RadioError> {
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
    /// the machine go to sleep, the bus itself go. btleplug reports none of these.
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
        self.follow_sleep().await?;
        Ok(Presence(self.here.subscribe()))
    }

    /// A machine that sleeps has no adapter. The kernel lets the controller rest by itself, and takes
    /// up after it what went on before, an identifier of long ago too, until it is replaced.
    async fn follow_sleep(&self) -> Result<(), RadioError> {
        let (here, changes) = (Arc::clone(&self.here), Arc::clone(&self.changes));
        let path = "path='/org/freedesktop/login1'";
        self.on_signal(LOGIN, "PrepareForSleep", path, move |message| {
            if let Some(sleeps) = message.get1::<bool>() {
                changes.fetch_add(1, Ordering::Relaxed);
                here.send_replace(!sleeps);
            }
        })
        .await
    }

    /// Counts how often `bluetoothd` and the adapter that is followed have come and gone: what they
    /// said before need not be true any more.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Follows whether `bluetoothd` is there.
    pub(super) async fn follow_owner(&self) -> Result<(), RadioError> {
        let (here, changes) = (Arc::clone(&self.here), Arc::clone(&self.changes));
        self.on_signal(
            DBUS,
            "NameOwnerChanged",
            "arg0='org.bluez'",
            move |message| {
                if let (Some(BLUEZ), _, Some(owner)) = message.get3::<&str, &str, &str>() {
                    changes.fetch_add(1, Ordering::Relaxed);
                    here.send_replace(!owner.is_empty());
                }
            },
        )
        .await
    }

    async fn follow_adapter(
        &self,
        path: &Path<'static>,
        member: &'static str,
        becomes: bool,
        concerns: fn(&Message) -> bool,
    ) -> Result<(), RadioError> {
        // The bus itself sorts out the signals of every device that is found.
        let further = format!("arg0path='{path}'");
        let (path, here) = (path.clone(), Arc::clone(&self.here));
        let changes = Arc::clone(&self.changes);
        self.on_signal(OBJECTS, member, &further, move |message| {
            let at_path = message.get1::<Path<'_>>().is_some_and(|at| at == path);
            // An adapter gains and loses other interfaces while it is there.
            if at_path && concerns(message) {
                changes.fetch_add(1, Ordering::Relaxed);
                here.send_replace(becomes);
            }
        })
        .await
    }

    /// Hands on every signal `member` of `interface`, of whoever speaks it here, that passes the rule
    /// `further`, and perhaps some that do not. There is one receiver for each member.
    pub(super) async fn on_signal(
        &self,
        interface: &'static str,
        member: &'static str,
        further: &str,
        receiver: impl Fn(&Message) + Send + 'static,
    ) -> Result<(), RadioError> {
        let sender = match interface {
            DBUS => DBUS,
            LOGIN => "org.freedesktop.login1",
            _ => BLUEZ,
        };
        let rule = format!(
            "type='signal',sender='{sender}',interface='{interface}',member='{member}',{further}"
        );
        let added = self.connection.add_match_no_cb(&rule).await;
        added.map_err(radio_error)?;
        self.connection.start_receive(
            MatchRule::new_signal(interface, member),
            Box::new(move |message, _| {
                // What is addressed to us passed no rule: anybody on the bus may send it. What comes from
                // these services is for everybody.
                if message.destination().is_none() {
                    receiver(&message);
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
pub(super) fn text(error: &dbus::Error) -> String {
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
}
