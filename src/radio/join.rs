//! Joins the pieces in which some systems report an advertisement.

use std::collections::HashMap;
use std::hash::Hash;

use uuid::Uuid;

use super::{Filter, Peer};
use crate::advertisement::{Advertisement, uuid_to_u16};
use crate::sighting::Rssi;

/// Devices remembered. BlueZ forgets one 30 seconds after its last frame, and a full train hardly has
/// more than this in range; each costs about a hundred bytes. What falls out of a flood of invented
/// addresses loses its list of services alone, as the strength precedes every payload anew.
const DEVICES_MAX: usize = 1024;

/// A frame that is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Joined {
    /// What was on the air of interest.
    pub frame: Advertisement,
    /// The strength at which it was heard, if that was measured.
    pub rssi: Option<Rssi>,
    /// Who can be connected to for more.
    pub peer: Option<Peer>,
}

/// Joins the pieces in which btleplug reports an advertisement on Linux, and whoever reports it alike;
/// `I` names a device.
///
/// BlueZ's signals reach btleplug's users as events of one piece each: a signal strength, then service
/// data or manufacturer data, and the list of services only when it changes. The first frame of an
/// address comes in no piece at all; it has to be read from the device's properties. What is known of
/// the devices around completes the next piece. It is bounded: 1,024 devices, the stalest of which gives
/// way to another.
#[derive(Debug)]
pub struct Join<I> {
    filter: Filter,
    /// How to connect to a device.
    peer_of: fn(&I) -> Option<Peer>,
    devices: HashMap<I, Device>,
    /// Counts pieces; a device's last one tells how stale it is.
    pieces: u64,
}

#[derive(Debug, Default)]
struct Device {
    peer: Option<Peer>,
    rssi: Option<Rssi>,
    /// Only those of interest, so that no neighbour chooses how long the list gets.
    services: Vec<Uuid>,
    last_piece: u64,
}

impl<I: Clone + Eq + Hash> Join<I> {
    /// For frames that pass `filter`; `peer_of` tells how to connect to a device, if one can.
    pub fn new(filter: Filter, peer_of: fn(&I) -> Option<Peer>) -> Self {
        Self {
            filter,
            peer_of,
            devices: HashMap::new(),
            pieces: 0,
        }
    }

    /// What is listened for.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// All that is known of a device, as read from its properties.
    ///
    /// Without `rssi_dbm` it is a device the system remembers (a paired one, say) and has not heard:
    /// its services are noted, but nothing was on the air. A strength of 127 is not such a case: the
    /// frame was heard, at a strength nobody measured.
    pub fn properties(
        &mut self,
        id: &I,
        rssi_dbm: Option<i16>,
        services: &[Uuid],
        service_data: &HashMap<Uuid, Vec<u8>>,
        manufacturer_data: &HashMap<u16, Vec<u8>>,
    ) -> Option<Joined> {
        self.services(id, services);
        self.rssi(id, rssi_dbm?);
        let frame = self
            .filter
            .frame(services, service_data, manufacturer_data)?;
        Some(joined(frame, self.devices.get(id)))
    }

    /// A device has been heard at `dbm`, the strength of the frame whose payload comes next. If it lists a 128-bit service of interest, that is the
    /// frame: nothing may come after it, as there is no data that would tell more.
    pub fn strength(&mut self, id: &I, dbm: i16) -> Option<Joined> {
        self.rssi(id, dbm);
        let device = self.devices.get(id)?;
        let services = &device.services;
        if services.iter().all(|uuid| uuid_to_u16(*uuid).is_some()) {
            return None;
        }
        let frame = self
            .filter
            .frame(services, &HashMap::new(), &HashMap::new())?;
        Some(joined(frame, Some(device)))
    }

    fn rssi(&mut self, id: &I, dbm: i16) {
        self.note(id, |device| device.rssi = Rssi::from_dbm(dbm));
    }

    /// The services that a device lists from now on.
    pub fn services(&mut self, id: &I, services: &[Uuid]) {
        let wanted = self.filter.services();
        let of_interest = wanted
            .iter()
            .filter(|uuid| services.contains(uuid))
            .copied()
            .collect();
        self.note(id, |device| device.services = of_interest);
    }

    /// A frame's service data.
    pub fn service_data(
        &mut self,
        id: &I,
        service_data: &HashMap<Uuid, Vec<u8>>,
    ) -> Option<Joined> {
        let wanted = self.filter.services();
        if !wanted.iter().any(|uuid| service_data.contains_key(uuid)) {
            return None;
        }
        self.payload(id, service_data, &HashMap::new())
    }

    /// A frame's manufacturer data.
    pub fn manufacturer_data(
        &mut self,
        id: &I,
        manufacturer_data: &HashMap<u16, Vec<u8>>,
    ) -> Option<Joined> {
        let wanted = self.filter.companies();
        if !wanted.iter().any(|id| manufacturer_data.contains_key(id)) {
            return None;
        }
        self.payload(id, &HashMap::new(), manufacturer_data)
    }

    fn payload(
        &mut self,
        id: &I,
        service_data: &HashMap<Uuid, Vec<u8>>,
        manufacturer_data: &HashMap<u16, Vec<u8>>,
    ) -> Option<Joined> {
        let device = self.devices.get(id);
        let services = device.map_or(&[][..], |device| &device.services);
        let frame = self
            .filter
            .frame(services, service_data, manufacturer_data)?;
        Some(joined(frame, device))
    }

    fn note(&mut self, id: &I, change: impl FnOnce(&mut Device)) {
        self.pieces += 1;
        let last_piece = self.pieces;
        let change = |device: &mut Device| {
            device.last_piece = last_piece;
            change(device);
        };
        // An entry would cost a copy of the name for each piece.
        if let Some(device) = self.devices.get_mut(id) {
            return change(device);
        }
        if self.devices.len() >= DEVICES_MAX {
            self.forget_stalest();
        }
        let mut device = Device {
            peer: (self.peer_of)(id),
            ..Device::default()
        };
        change(&mut device);
        self.devices.insert(id.clone(), device);
    }

    fn forget_stalest(&mut self) {
        let stalest = self
            .devices
            .iter()
            .min_by_key(|(_, device)| device.last_piece)
            .map(|(id, _)| id.clone());
        if let Some(id) = stalest {
            self.devices.remove(&id);
        }
    }
}

fn joined(frame: Advertisement, device: Option<&Device>) -> Joined {
    Joined {
        frame,
        rssi: device.and_then(|device| device.rssi),
        peer: device.and_then(|device| device.peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advertisement::uuid_from_u16;
    use crate::protocol::Protocol;
    use crate::protocol::bluezone::WireProfile;

    const GAEN: Uuid = uuid_from_u16(0xFD6F);
    const BLUEZONE: Uuid = uuid_from_u16(0x4E56);

    fn join() -> Join<u32> {
        Join::new(
            Filter::of(&[Protocol::bluezone(), Protocol::gaen()]),
            |id: &u32| {
                id.is_multiple_of(2)
                    .then(|| Peer::from_address([*id as u8; 6]))
            },
        )
    }

    fn gaen_data(byte: u8) -> HashMap<Uuid, Vec<u8>> {
        HashMap::from([(GAEN, vec![byte; 20])])
    }

    fn bluezone_data() -> HashMap<u16, Vec<u8>> {
        HashMap::from([(0x22B5, vec![7; 12])])
    }

    #[test]
    fn first_frame_of_a_new_address() {
        let Joined { frame, rssi, .. } = join()
            .properties(&1, Some(-63), &[GAEN], &gaen_data(9), &HashMap::new())
            .unwrap();
        assert_eq!(frame.service_data16(0xFD6F), Some(&[9; 20][..]));
        assert!(frame.has_service(GAEN));
        assert_eq!(rssi, Rssi::from_dbm(-63));
    }

    #[test]
    fn a_remembered_device_was_not_heard() {
        let mut join = join();
        let none = join.properties(&1, None, &[BLUEZONE], &HashMap::new(), &bluezone_data());
        assert_eq!(none, None);
        let Joined { frame, .. } = join.manufacturer_data(&1, &bluezone_data()).unwrap();
        assert!(frame.has_service(BLUEZONE));
    }

    #[test]
    fn rssi_joins_the_next_payload() {
        let mut join = join();
        join.rssi(&1, -50);
        join.rssi(&2, -80);
        let heard = |joined: Option<Joined>| joined.unwrap().rssi.map(Rssi::dbm);
        assert_eq!(heard(join.service_data(&1, &gaen_data(1))), Some(-50));
        assert_eq!(
            heard(join.manufacturer_data(&2, &bluezone_data())),
            Some(-80)
        );
        join.rssi(&1, -52);
        assert_eq!(heard(join.service_data(&1, &gaen_data(1))), Some(-52));
    }

    #[test]
    fn rssi_127_is_unknown() {
        let mut join = join();
        join.rssi(&1, -50);
        join.rssi(&1, 127);
        assert_eq!(join.service_data(&1, &gaen_data(1)).unwrap().rssi, None);
        let first = join.properties(&2, Some(127), &[], &gaen_data(2), &HashMap::new());
        assert_eq!(first.unwrap().rssi, None);
    }

    #[test]
    fn a_long_service_alone_is_a_frame_each_time() {
        let mut join = join();
        let ios = WireProfile::default().ios_service;
        join.services(&1, &[ios]);
        join.services(&2, &[GAEN]);
        for dbm in [-50, -60] {
            let Joined { frame, rssi, .. } = join.strength(&1, dbm).unwrap();
            assert!(frame.has_service(ios));
            assert_eq!(rssi, Rssi::from_dbm(dbm));
            assert_eq!(join.strength(&2, dbm), None);
            assert_eq!(join.strength(&3, dbm), None);
        }
    }

    #[test]
    fn payload_without_a_strength() {
        let Joined { frame, rssi, .. } = join().service_data(&1, &gaen_data(1)).unwrap();
        assert_eq!(frame.service_data16(0xFD6F), Some(&[1; 20][..]));
        assert_eq!(rssi, None);
    }

    #[test]
    fn known_services_join_manufacturer_data() {
        let mut join = join();
        join.services(&1, &[uuid_from_u16(0x180F), BLUEZONE]);
        let Joined { frame, .. } = join.manufacturer_data(&1, &bluezone_data()).unwrap();
        assert!(frame.has_service(BLUEZONE));
        assert!(!frame.has_service(uuid_from_u16(0x180F)));
        assert_eq!(frame.manufacturer_data(0x22B5), Some(&[7; 12][..]));
    }

    #[test]
    fn a_strangers_data_is_no_frame_of_a_known_service() {
        let mut join = join();
        join.services(&1, &[GAEN]);
        let battery = HashMap::from([(uuid_from_u16(0x180F), vec![90])]);
        assert_eq!(join.service_data(&1, &battery), None);
        let stranger = HashMap::from([(0x0059, vec![1; 9])]);
        assert_eq!(join.manufacturer_data(&1, &stranger), None);
    }

    #[test]
    fn services_of_a_stranger_take_no_room() {
        let mut join = join();
        let many: Vec<_> = (0..5_000).map(uuid_from_u16).collect();
        join.services(&1, &many);
        assert!(join.devices[&1].services.is_empty());
    }

    #[test]
    fn whom_a_frame_comes_from() {
        let mut join = join();
        for (id, connectable) in [(1, false), (2, true)] {
            join.rssi(&id, -50);
            let joined = join.service_data(&id, &gaen_data(1)).unwrap();
            assert_eq!(joined.peer.is_some(), connectable);
        }
    }

    #[test]
    fn map_is_bounded() {
        let mut join = join();
        let flood = u32::try_from(3 * DEVICES_MAX).unwrap();
        for id in 0..flood {
            join.rssi(&id, -70);
        }
        assert_eq!(join.devices.len(), DEVICES_MAX);
    }

    #[test]
    fn the_stalest_is_forgotten_first() {
        let mut join = join();
        let full = u32::try_from(DEVICES_MAX).unwrap();
        for id in 0..full {
            join.rssi(&id, -70);
        }
        join.rssi(&0, -60);
        join.rssi(&full, -80);
        assert!(join.devices.contains_key(&0) && join.devices.contains_key(&full));
        assert!(!join.devices.contains_key(&1));
        assert_eq!(join.service_data(&1, &gaen_data(1)).unwrap().rssi, None);
    }
}
