//! Which adapters there are, and which of them is meant.

use dbus::Path;
use dbus::arg::{PropMap, prop_cast};

use super::bus::Bus;
use super::surroundings;
use crate::radio::RadioError;

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
    pub(super) fn new(path: Path<'static>, properties: &PropMap, advertises: bool) -> Option<Self> {
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
pub(super) fn off(path: &Path<'static>) -> RadioError {
    surroundings::why_off(std::path::Path::new(surroundings::CLASS), name(path))
}

/// What the adapter at `path` is called.
fn name<'a>(path: &'a Path<'static>) -> &'a str {
    path.rsplit('/').next().unwrap_or_default()
}

impl Bus {
    /// The adapter `wanted` by name or address, else the first that is switched on.
    pub(crate) async fn adapter(&self, wanted: Option<&str>) -> Result<Adapter, RadioError> {
        choose(&self.adapters().await?, wanted)
    }
}

fn choose(adapters: &[Adapter], wanted: Option<&str>) -> Result<Adapter, RadioError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
