//! A scanner on an adapter that need not be there yet, and that may come back as another one.

use std::sync::{Arc, Mutex, PoisonError};

use dbus::Path;
use dbus::arg::PropMap;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::btleplug::{BtleplugScanner, Pauses};
use super::adapter::Adapter;
use super::bus::{ADAPTER, Bus, DBUS, OBJECTS, PROPERTIES};
use crate::radio::{AdapterState, Filter, RadioError, RadioSink, Scanner};

/// Which adapter a radio's parts share: as it was asked for, and where it has been found.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    wanted: Option<String>,
    path: Arc<Mutex<Option<Path<'static>>>>,
}

impl Place {
    /// Nowhere yet: the adapter of this name or address, or else the first that is switched on.
    pub(crate) fn of(wanted: Option<String>) -> Self {
        Self {
            wanted,
            path: Arc::default(),
        }
    }

    /// Where `adapter` is now, whatever it was asked for by.
    pub(super) fn at(adapter: &Adapter) -> Self {
        let place = Self::of(Some(adapter.name().to_owned()));
        place.put(&adapter.path);
        place
    }

    fn put(&self, path: &Path<'static>) {
        *self.path.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.clone());
    }

    fn path(&self) -> Option<Path<'static>> {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.clone()
    }

    /// Where the adapter is, or was last.
    pub(super) async fn path_on(&self, bus: &Bus) -> Result<Path<'static>, RadioError> {
        match self.path() {
            Some(path) => Ok(path),
            None => self.find(bus).await.map(|adapter| adapter.path),
        }
    }

    /// Looks for it among the adapters there are.
    pub(crate) async fn find(&self, bus: &Bus) -> Result<Adapter, RadioError> {
        let adapter = bus.adapter(self.wanted.as_deref()).await?;
        self.put(&adapter.path);
        Ok(adapter)
    }

    /// Whether it is to be looked for: it has not been found, or may be found elsewhere. An adapter
    /// that was unplugged can come back under another name, but with the same address.
    fn is_sought(&self) -> bool {
        let by_address = self.wanted.as_ref().is_some_and(|it| it.contains(':'));
        by_address || self.path().is_none()
    }
}

/// Of slashes in an adapter's path, such as `/org/bluez/hci0`.
const ADAPTER_DEPTH: usize = 3;

/// Whom the search is for.
type Listener = Arc<Mutex<Option<RadioSink>>>;

/// Scans where the adapter is. While it is not there the last sink is told once it is
/// [`Ready`](AdapterState::Ready), and the scan begins with the next start.
pub(crate) struct FollowingScanner {
    place: Place,
    pauses: Pauses,
    scanner: Option<(Path<'static>, BtleplugScanner)>,
    listener: Listener,
    search: Option<Search>,
}

/// A search that goes on, and the bus on which it does.
struct Search {
    bus: Arc<Bus>,
    task: JoinHandle<()>,
}

impl Search {
    fn goes_on(&self) -> bool {
        !self.task.is_finished() && !self.bus.is_lost()
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FollowingScanner {
    /// Scans at `place`, with `adapter` if it has been found there.
    pub(crate) async fn open(
        bus: Bus,
        place: Place,
        adapter: Option<&Adapter>,
    ) -> Result<Self, RadioError> {
        let mut scanner = Self {
            place,
            pauses: Pauses::default(),
            scanner: None,
            listener: Listener::default(),
            search: None,
        };
        scanner.search_if_sought().await?;
        if let Some(adapter) = adapter {
            scanner.settle(bus, adapter).await?;
        }
        Ok(scanner)
    }

    /// By which another part of the radio has the scan pause.
    pub(crate) fn pauses(&self) -> Pauses {
        self.pauses.clone()
    }

    async fn settle(&mut self, bus: Bus, adapter: &Adapter) -> Result<(), RadioError> {
        let scanner = BtleplugScanner::on(bus, adapter, self.pauses.clone()).await?;
        self.scanner = Some((adapter.path.clone(), scanner));
        Ok(())
    }

    async fn search_if_sought(&mut self) -> Result<(), RadioError> {
        if self.place.is_sought() && !self.search.as_ref().is_some_and(Search::goes_on) {
            let bus = Arc::new(Bus::open().await?);
            let changed = changes(&bus).await?;
            let (place, listener) = (self.place.clone(), Arc::clone(&self.listener));
            let task = tokio::spawn(search(Arc::clone(&bus), changed, place, listener));
            self.search = Some(Search { bus, task });
        }
        Ok(())
    }

    /// The scanner on the adapter where that is now.
    async fn scanner(&mut self) -> Result<&mut BtleplugScanner, RadioError> {
        self.search_if_sought().await?;
        let place = self.place.path();
        let moved = |(path, _): &mut (Path<'static>, _)| place.as_ref() != Some(path);
        if self.scanner.as_mut().is_none_or(moved) {
            let bus = Bus::open().await?;
            let adapter = self.place.find(&bus).await?;
            self.settle(bus, &adapter).await?;
        }
        match &mut self.scanner {
            Some((_, scanner)) => Ok(scanner),
            None => Err(RadioError::NoAdapter),
        }
    }
}

/// Notifies when adapters may be there that were not, or be on that were off.
async fn changes(bus: &Bus) -> Result<Arc<Notify>, RadioError> {
    let changed = Arc::new(Notify::new());
    let tell = Arc::clone(&changed);
    bus.on_signal(DBUS, "NameOwnerChanged", "arg0='org.bluez'", move |_| {
        tell.notify_one();
    })
    .await?;
    let tell = Arc::clone(&changed);
    bus.on_signal(
        OBJECTS,
        "InterfacesAdded",
        "arg0path='/org/bluez/'",
        move |message| {
            // Devices come deeper down.
            let path = message.get1::<Path<'_>>();
            if path.is_some_and(|path| path.matches('/').count() == ADAPTER_DEPTH) {
                tell.notify_one();
            }
        },
    )
    .await?;
    let tell = Arc::clone(&changed);
    let of_adapters = format!("arg0='{ADAPTER}'");
    bus.on_signal(
        PROPERTIES,
        "PropertiesChanged",
        &of_adapters,
        move |message| {
            let (_, properties) = message.get2::<&str, PropMap>();
            if properties.is_some_and(|properties| properties.contains_key("Powered")) {
                tell.notify_one();
            }
        },
    )
    .await?;
    Ok(changed)
}

/// Tells the listener when the adapter is where it was not before.
async fn search(bus: Arc<Bus>, changed: Arc<Notify>, place: Place, listener: Listener) {
    let mut known = place.path();
    // It may have come before anybody followed.
    changed.notify_one();
    loop {
        changed.notified().await;
        // What is missing still is told of, too, once it comes.
        let Ok(Adapter { path, .. }) = place.find(&bus).await else {
            continue;
        };
        if known.as_ref() != Some(&path) {
            known = Some(path);
            let listener = listener.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sink) = listener.as_ref() {
                sink.adapter(AdapterState::Ready);
            }
        }
        if !place.is_sought() {
            return;
        }
    }
}

impl Scanner for FollowingScanner {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink.clone());
        self.scanner().await?.start(filter, sink).await
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        match &mut self.scanner {
            Some((_, scanner)) => scanner.stop().await,
            None => Ok(()),
        }
    }
}
