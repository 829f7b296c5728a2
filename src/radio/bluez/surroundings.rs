//! What stands beside the bus and matters: a blocked adapter, and how `bluetoothd` is configured.

use std::fs;
use std::path::Path;

use crate::radio::{Caveat, RadioError};

/// Where the kernel tells of each adapter's block.
pub(super) const CLASS: &str = "/sys/class/bluetooth";

/// Where Debian, Fedora and Arch keep BlueZ's configuration. One given to `bluetoothd --configfile` is
/// not found; a witness sees what comes of it.
const MAIN_CONF: &str = "/etc/bluetooth/main.conf";

/// Why the adapter of this `name` is off: blocked, or only switched off.
pub(super) fn why_off(class: &Path, name: &str) -> RadioError {
    let entries = fs::read_dir(class.join(name)).into_iter().flatten();
    let blocks = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("rfkill")
    });
    let mut soft = false;
    for block in blocks {
        let is_set = |kind| fs::read_to_string(block.path().join(kind)).is_ok_and(is_one);
        if is_set("hard") {
            let remedy = "turn on the machine's switch or key for wireless devices";
            return RadioError::Blocked { remedy };
        }
        soft |= is_set("soft");
    }
    match soft {
        true => RadioError::Blocked {
            remedy: "rfkill unblock bluetooth, or leave flight mode",
        },
        false => RadioError::AdapterOff,
    }
}

fn is_one(text: String) -> bool {
    text.trim() == "1"
}

/// What BlueZ's `Privacy` brings about for broadcasts, if it is on.
pub(super) fn privacy() -> Option<Caveat> {
    let text = fs::read_to_string(MAIN_CONF).ok()?;
    privacy_is_on(&text).then_some(Caveat::LinkableAddress {
        why: "Privacy is on in /etc/bluetooth/main.conf, and the address stays over many \
              identifiers: set it to off, and restart bluetoothd",
    })
}

/// Whether `main.conf` says `Privacy = device` or its like; it is off by default.
fn privacy_is_on(main_conf: &str) -> bool {
    let mut in_general = false;
    let mut on = false;
    for line in main_conf.lines().map(str::trim) {
        if line.starts_with('[') {
            in_general = line == "[General]";
        } else if let Some((key, value)) = line.split_once('=')
            && in_general
            && key.trim() == "Privacy"
        {
            // The last one counts.
            on = value.trim() != "off";
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privacy_is_off_unless_said_to_be_on() {
        for on in [
            "[General]\nPrivacy = device\n",
            "[General]\n#Privacy = off\nPrivacy=limited-network",
            "[Policy]\nx=1\n[General]\nPrivacy = off\nPrivacy = network",
        ] {
            assert!(privacy_is_on(on), "{on}");
        }
        for off in [
            "",
            "[General]\n# Privacy = device",
            "[General]\nPrivacy = off",
            "[LE]\nPrivacy = device",
            "[General]\nPrivacyX = device",
        ] {
            assert!(!privacy_is_on(off), "{off}");
        }
    }

    fn why(soft: &str, hard: &str) -> String {
        let class = tempfile::tempdir().unwrap();
        let rfkill = class.path().join("hci0/rfkill7");
        fs::create_dir_all(&rfkill).unwrap();
        fs::write(rfkill.join("soft"), soft).unwrap();
        fs::write(rfkill.join("hard"), hard).unwrap();
        why_off(class.path(), "hci0").to_string()
    }

    #[test]
    fn a_block_is_told_from_an_adapter_that_is_off() {
        assert!(why("0\n", "0\n").contains("is off: switch it on"));
        assert!(why("1\n", "0\n").contains("rfkill unblock bluetooth"));
        assert!(why("1\n", "1\n").contains("switch or key"));
        assert!(why("", "nonsense").contains("is off"));
        let nowhere = Path::new("/nonexistent");
        assert!(matches!(why_off(nowhere, "hci0"), RadioError::AdapterOff));
    }
}
