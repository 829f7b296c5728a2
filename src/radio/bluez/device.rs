//! What `bluetoothd` remembers of a device that is connected to.

use dbus::Path;
use dbus::nonblock::stdintf::org_freedesktop_dbus::Properties;

use super::bus::{ADAPTER, Bus, DEVICE, radio_error};
use crate::radio::RadioError;

impl Bus {
    /// Whether its owner has paired or trusted the device at `path`.
    pub(crate) async fn is_owners_device(&self, path: &Path<'static>) -> Result<bool, RadioError> {
        let device = self.at(path);
        for property in ["Paired", "Trusted"] {
            let set = device.get::<bool>(DEVICE, property).await;
            if set.map_err(radio_error)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has everything forgotten of the device at `path`, a connection too. BlueZ writes to disk, for
    /// good, what it has connected to once.
    pub(crate) async fn forget_device(
        &self,
        adapter: &Path<'static>,
        path: &Path<'static>,
    ) -> Result<(), RadioError> {
        let method = "RemoveDevice";
        self.call::<()>(adapter, ADAPTER, method, (path.clone(),))
            .await
            .map_err(radio_error)
    }
}
