//! The bed under a test: the air, `bluetoothd`, processes and their memory, and tracers.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use truyvet::engine::State;
use truyvet::log::MemoryKey;
use truyvet::protocol::gaen::{Config, TemporaryExposureKey};
use truyvet::radio::{SystemOptions, system};
use truyvet::time::{Clock, IntervalNumber};
use truyvet::{Advertisement, EncounterLog, EphemeralId, Event, Events, Protocol, Secret, Tracer};

use super::stack::Stack;

/// How long anything may take that is not measured. Chosen: an emulated machine under load, many
/// times over.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How often a condition is looked at again, so also how exact a measured time is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a process that a test has started is to do.
const TASK: &str = "TRUYVET_STACK_TASK";

/// Only one test at a time may direct the air.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

/// Plays `scenario`, of the test that calls this, in a process of its own: btleplug leaves a connection
/// to the bus behind, and memory is measured of this test alone.
pub(crate) fn on_bed(scenario: impl AsyncFnOnce(&Bed)) {
    let test = test_of(&scenario);
    if task().is_some_and(|task| task == test) {
        return runtime().block_on(async { scenario(&Bed::open()).await });
    }
    let _guard = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let status = myself(test, test).status().unwrap();
    assert!(status.success(), "{test} ended with {status}");
}

/// What this process is to do, if it is one that a test has started.
pub(crate) fn task() -> Option<String> {
    std::env::var(TASK).ok()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// The name of the test in which a scenario is written.
fn test_of<S>(_scenario: &S) -> &'static str {
    let path = std::any::type_name::<S>();
    let test = path.trim_end_matches("::{{closure}}");
    // The first step is the name of this program.
    test.split_once("::").unwrap().1
}

/// This program anew, to run `test` with `task`.
pub(crate) fn myself(test: &str, task: &str) -> Command {
    // On the bed it is started by a dynamic linker of its own, which stands before it.
    let line = fs::read("/proc/self/cmdline").unwrap();
    let program = std::env::args_os().next().unwrap();
    let mut words = line.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let first = words.next().unwrap();
    let mut command = Command::new(first);
    if first != program {
        command.args(words.take_while(|word| *word != program));
        command.arg(program);
    }
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env(TASK, task).stdin(Stdio::null());
    command
}

/// A number from the environment, for longer runs than the ordinary one.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Waits until `condition` holds, and tells how long that took.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "still waiting: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    begun.elapsed()
}

pub(crate) struct Bed {
    air: RefCell<BufReader<UnixStream>>,
    pub(crate) stack: Stack,
}

impl Bed {
    /// Everybody hears everybody at -63 dBm, and nothing else is on the air.
    fn open() -> Self {
        let path = std::env::var_os("TRUYVET_BED_AIR");
        let path = path.expect("this test needs the bed: see CONTRIBUTING.md");
        let bed = Self {
            air: RefCell::new(BufReader::new(UnixStream::connect(path).unwrap())),
            stack: Stack::open(),
        };
        bed.air("link * * -63 0 0");
        for controller in 0..controllers() {
            bed.air(&format!("silence {controller}"));
        }
        bed
    }

    /// Has the air obey a command of `tests/bed/README.md`.
    pub(crate) fn air(&self, command: &str) {
        let mut air = self.air.borrow_mut();
        writeln!(air.get_mut(), "{command}").unwrap();
        let mut answer = String::new();
        air.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "ok", "{command}");
    }

    /// Has a neighbour that is no tracer send `frame` beside hci`controller`, every tenth of a second.
    pub(crate) fn send(&self, controller: usize, frame: &Advertisement) {
        self.air(&format!("send {controller} {} 100", hex(frame.as_bytes())));
    }

    /// Has a neighbour of its own take the place of any other beside hci0, and waits until it appears.
    pub(crate) async fn until_appeared(&self, traced: &mut Traced, interval: u32) -> Duration {
        let frame = gaen_frame(interval);
        let appears = |event: Event| match event {
            Event::NeighbourAppeared { id, .. } => holds(frame.as_bytes(), &id),
            _ => false,
        };
        let begun = Instant::now();
        self.air("silence 0");
        self.send(0, &frame);
        let appeared = async { while !appears(traced.events.next().await.unwrap()) {} };
        let in_time = tokio::time::timeout(DEADLINE, appeared).await;
        in_time.expect("the neighbour should be heard");
        begun.elapsed()
    }

    /// What the air has counted under `name` for hci`controller`.
    pub(crate) fn count(&self, controller: usize, name: &str) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stats");
        self.air(&format!("stats {}", path.display()));
        let text = fs::read_to_string(path).unwrap();
        let wanted = format!("{controller} {name} ");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&wanted));
        lines.next().expect(name).parse().unwrap()
    }
}

/// How many controllers the air has.
pub(crate) fn controllers() -> usize {
    fs::read_dir("/sys/class/bluetooth").unwrap().count()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A GAEN frame whose identifier no tracer has.
pub(crate) fn gaen_frame(interval: u32) -> Advertisement {
    let tek = TemporaryExposureKey::new(Secret::new([7; 16]));
    Config::default()
        .frame(&tek, IntervalNumber(interval))
        .unwrap()
}

/// Whether the bytes of an advertisement hold this identifier.
pub(crate) fn holds(advertisement: &[u8], id: &EphemeralId) -> bool {
    let id = id.as_bytes();
    advertisement.windows(id.len()).any(|bytes| bytes == id)
}

/// The process that runs `bluetoothd`.
pub(crate) fn bluetoothd() -> Option<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let mut ids =
        processes.filter_map(|process| process.ok()?.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let name = fs::read_to_string(format!("/proc/{id}/comm"));
        name.is_ok_and(|name| name.trim() == "bluetoothd")
    })
}

/// Runs a program of the bed.
pub(crate) fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?} ended with {status}");
}

/// Sends a signal, such as `KILL`, to a process.
pub(crate) fn signal(name: &str, process: u32) {
    run("kill", &[&format!("-{name}"), &process.to_string()]);
}

/// The resident memory of a process in KiB.
pub(crate) fn resident_kib(process: u32) -> u64 {
    memory_kib(process, "Rss:")
}

/// What of it is the process's own, and no page of a program or a library.
pub(crate) fn own_kib(process: u32) -> u64 {
    memory_kib(process, "Anonymous:")
}

/// This counts page by page, unlike `VmRSS`, which up to Linux 6.1 lags by as many as 64 pages a thread.
fn memory_kib(process: u32, name: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with(name));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

/// A tracer with its log.
pub(crate) struct Traced {
    pub(crate) tracer: Tracer,
    pub(crate) events: Events,
    _directory: TempDir,
}

impl Traced {
    /// One on `adapter` that advertises `protocol` and listens for both, and works.
    pub(crate) async fn start(adapter: usize, protocol: Protocol, clock: Arc<dyn Clock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = MemoryKey::new(Secret::new([3; 32]));
        let log = EncounterLog::open(directory.path(), key).unwrap();
        let mut options = SystemOptions::default();
        options.adapter = Some(format!("hci{adapter}"));
        let tracer = Tracer::builder(log, system(options).await.unwrap())
            .advertise(protocol)
            .also_listen(Protocol::bluezone())
            .also_listen(Protocol::gaen())
            .clock(clock)
            .start()
            .await
            .unwrap();
        let traced = Self {
            events: tracer.events(),
            tracer,
            _directory: directory,
        };
        until("the tracer works", async || traced.works()).await;
        traced
    }

    pub(crate) fn scans(&self) -> bool {
        self.tracer.health().scanning.state == State::Working
    }

    pub(crate) fn works(&self) -> bool {
        self.scans() && self.tracer.health().advertising.state == State::Working
    }

    /// Frames with an identifier that it has heard.
    pub(crate) fn frames(&self) -> u64 {
        self.tracer.health().counters.frames
    }

    /// Waits until the scan is known to have failed.
    pub(crate) async fn until_deaf(&self) {
        until("the failure is told", async || !self.scans()).await;
    }

    /// Waits until a further frame is heard.
    pub(crate) async fn until_heard(&self) -> Duration {
        let before = self.frames();
        until("a frame is heard", async || self.frames() > before).await
    }
}
