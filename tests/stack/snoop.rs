//! What went to a controller, as `btmon` has recorded it: advertisements, read by the library's own reader of captures from
//! the commands that the controller has carried out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use truyvet::field::capture::{AddressKind, Capture, Observation};

use super::bed::until;

/// One advertisement, from the moment in which it was enabled to that in which it was disabled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Broadcast {
    /// Whether the address is random; else it is the adapter's own, and never changes.
    pub(crate) random: bool,
    /// As it stands in the command.
    pub(crate) address: [u8; 6],
    pub(crate) data: Vec<u8>,
    /// Since an arbitrary moment.
    pub(crate) begun: Duration,
    pub(crate) ended: Option<Duration>,
}

/// What a recording, which may be under way, says `adapter` has advertised, in order.
fn broadcasts(recording: &[u8], adapter: u16) -> Vec<Broadcast> {
    let mut capture = Capture::open(recording).unwrap();
    let mut found = Vec::new();
    while let Some(observation) = capture.next_observation().unwrap() {
        if let Observation::Sent(sent) = observation
            && sent.adapter == adapter
        {
            // An adapter whose address nobody has told yet advertises under its own.
            let random = sent
                .address
                .is_some_and(|it| it.kind() != AddressKind::Public);
            found.push(Broadcast {
                random,
                address: sent.address.map(|it| it.bytes()).unwrap_or_default(),
                data: sent.data,
                begun: Duration::from_micros(sent.begun_us),
                ended: sent.ended_us.map(Duration::from_micros),
            });
        }
    }
    found
}

/// A recording under way.
pub(crate) struct Snoop {
    btmon: Child,
    path: PathBuf,
    _directory: TempDir,
}

impl Snoop {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // To look at it afterwards, with the example `fieldtest linkability` or with btmon -r.
        let kept = std::env::var_os("TRUYVET_STACK_CAPTURE").map(PathBuf::from);
        let path = kept.unwrap_or_else(|| directory.path().join("btsnoop"));
        let btmon = Command::new("btmon")
            .arg("-w")
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It begins by noting the adapters there are.
        let begun = async || fs::metadata(&path).is_ok_and(|file| file.len() > 16);
        until("btmon records", begun).await;
        Self {
            btmon,
            path,
            _directory: directory,
        }
    }

    /// What hci`adapter` has advertised since the start.
    pub(crate) fn broadcasts(&self, adapter: u16) -> Vec<Broadcast> {
        broadcasts(&fs::read(&self.path).unwrap(), adapter)
    }

    /// The file that is recorded into.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether hci`adapter` is silent, having advertised.
    pub(crate) fn is_silent(&self, adapter: u16) -> bool {
        let last = self.broadcasts(adapter).pop();
        last.is_some_and(|broadcast| broadcast.ended.is_some())
    }
}

impl Drop for Snoop {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.btmon.kill();
        let _ = self.btmon.wait();
    }
}

/// Every broadcast has an address and a payload that none other has, and none begins before the one
/// before it has ended.
pub(crate) fn assert_each_has_its_own(broadcasts: &[Broadcast]) {
    for (index, broadcast) in broadcasts.iter().enumerate() {
        assert!(broadcast.random, "under the adapter's own address");
        for other in &broadcasts[..index] {
            assert_ne!(other.address, broadcast.address, "an address again");
            assert_ne!(
                other.data, broadcast.data,
                "a payload again: {other:?} and {broadcast:?}"
            );
        }
    }
}
