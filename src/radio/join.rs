//! Joins the pieces in which some systems report an advertisement.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Filter, Peer};
use crate::advertisement::{Advertisement, uuid_to_u16};
use crate::sighting::Rssi;

/// Devices remembered. BlueZ forgets one 30 seconds after its last frame, and a full train hardly has
/// more than this in range; each costs about a hundred bytes. What falls out of a flood of invented
/// addresses loses its list of services alone, as a strength comes with nearly every payload.
const DEVICES_MAX: usize = 1024;

/// What a system reports of a device at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pieces {
    /// The strength in dBm; 127 where it was not measured.
    pub rssi_dbm: Option<i16>,
    /// The services listed, unless they are those of before.
    pub services: Option<Vec<Uuid>>,
    /// Service data.
    pub service_data: HashMap<Uuid, Vec<u8>>,
    /// Manufacturer data.
    pub manufacturer_data: HashMap<u16, Vec<u8>>,
}

/// A frame that is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Joined {
    /// What was on the air of interest.
    pub frame: Advertisement,
    /// The strength at which it was heard, if that was measured.
    pub rssi: Option<Rssi>,
}

/// Joins the pieces in which BlueZ reports advertisements, and whoever reports them alike.
///
/// A device that is new comes with all its properties, one that is known with those that have changed:
/// strength and data each time, the list of services hardly ever. What is known of the devices around
/// completes the next piece. It is bounded: 1,024 devices, the stalest of which gives way to another.
#[derive(Debug)]
pub struct Join {
    filter: Filter,
    devices: HashMap<Peer, Device>,
    /// Counts pieces; a device's last one tells how stale it is.
    pieces: u64,
}

#[derive(Debug, Default)]
struct Device {
    rssi: Option<Rssi>,
    /// Only those of interest, so that no neighbour chooses how long the list gets.
    services: Vec<Uuid>,
    last_piece: u64,
}

impl Join {
    /// For frames that pass `filter`.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            devices: HashMap::new(),
            pieces: 0,
        }
    }

    /// What is listened for.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// All that the system knows of a device, as when it is new; gives the frame, if there was one of
    /// interest.
    ///
    /// Without a strength it is a device that the system remembers (a paired one, say) and has not heard:
    /// what it lists is noted, but nothing was on the air. A strength of 127 is not such a case: the
    /// frame was heard, at a strength nobody measured.
    pub fn properties(&mut self, peer: Peer, all: &Pieces) -> Option<Joined> {
        let listed = all.services.as_deref().unwrap_or_default();
        let device = self.note(peer, Some(listed), all.rssi_dbm);
        let rssi = device.rssi;
        all.rssi_dbm?;
        let frame = self
            .filter
            .frame(listed, &all.service_data, &all.manufacturer_data)?;
        Some(Joined { frame, rssi })
    }

    /// What has changed of a device; gives the frame, if that was one of interest.
    ///
    /// Data of interest is one, with the services that the device has listed. So is a new list of
    /// services that is heard, and a 128-bit service of interest each time that it is: nothing else
    /// comes of those that cannot advertise data.
    pub fn changed(&mut self, peer: Peer, pieces: &Pieces) -> Option<Joined> {
        let (service_data, manufacturer_data) = (&pieces.service_data, &pieces.manufacturer_data);
        let data = self.filter.holds_any(service_data, manufacturer_data);
        if !data && pieces.rssi_dbm.is_none() && pieces.services.is_none() {
            return None;
        }
        self.note(peer, pieces.services.as_deref(), pieces.rssi_dbm);
        let device = self.devices.get(&peer)?;
        let long = |uuid: &Uuid| uuid_to_u16(*uuid).is_none();
        let listed = match &pieces.services {
            _ if !data && pieces.rssi_dbm.is_none() => return None,
            Some(listed) => listed,
            None if data || device.services.iter().any(long) => &device.services,
            None => return None,
        };
        let frame = self.filter.frame(listed, service_data, manufacturer_data)?;
        let rssi = device.rssi;
        Some(Joined { frame, rssi })
    }

    /// Forgets a device that will be told of as new, should it come back.
    pub fn forget(&mut self, peer: Peer) {
        self.devices.remove(&peer);
    }

    fn note(&mut self, peer: Peer, services: Option<&[Uuid]>, rssi_dbm: Option<i16>) -> &Device {
        self.pieces += 1;
        if self.devices.len() >= DEVICES_MAX && !self.devices.contains_key(&peer) {
            self.forget_stalest();
        }
        let device = self.devices.entry(peer).or_default();
        device.last_piece = self.pieces;
        if let Some(dbm) = rssi_dbm {
            device.rssi = Rssi::from_dbm(dbm);
        }
        if let Some(services) = services {
            let wanted = self.filter.services().iter();
            device.services = wanted.filter(|it| services.contains(it)).copied().collect();
        }
        device
    }

    fn forget_stalest(&mut self) {
        let stalest = self
            .devices
            .iter()
            .min_by_key(|(_, device)| device.last_piece)
            .map(|(peer, _)| *peer);
        if let Some(peer) = stalest {
            self.devices.remove(&peer);
        }
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
    const BATTERY: Uuid = uuid_from_u16(0x180F);

    fn join() -> Join {
        Join::new(Filter::of(&[Protocol::bluezone(), Protocol::gaen()]))
    }

    fn peer(number: usize) -> Peer {
        let bytes = u128::try_from(number).unwrap().to_le_bytes();
        Peer::from_system_id(bytes)
    }

    fn strength(dbm: i16) -> Pieces {
        Pieces {
            rssi_dbm: Some(dbm),
            ..Pieces::default()
        }
    }

    fn services(listed: &[Uuid]) -> Pieces {
        Pieces {
            services: Some(listed.to_vec()),
            ..Pieces::default()
        }
    }

    fn gaen(byte: u8) -> Pieces {
        Pieces {
            service_data: HashMap::from([(GAEN, vec![byte; 20])]),
            ..Pieces::default()
        }
    }

    fn bluezone() -> Pieces {
        Pieces {
            manufacturer_data: HashMap::from([(0x22B5, vec![7; 12])]),
            ..Pieces::default()
        }
    }

    fn at(dbm: i16, pieces: Pieces) -> Pieces {
        Pieces {
            rssi_dbm: Some(dbm),
            ..pieces
        }
    }

    fn dbm(joined: Option<Joined>) -> Option<i8> {
        joined.unwrap().rssi.map(Rssi::dbm)
    }

    #[test]
    fn first_frame_of_a_new_address() {
        let new = Pieces {
            services: Some(vec![GAEN]),
            ..at(-63, gaen(9))
        };
        let Joined { frame, rssi } = join().properties(peer(1), &new).unwrap();
        assert_eq!(frame.service_data16(0xFD6F), Some(&[9; 20][..]));
        assert!(frame.has_service(GAEN));
        assert_eq!(rssi, Rssi::from_dbm(-63));
    }

    #[test]
    fn a_remembered_device_was_not_heard() {
        let mut join = join();
        let remembered = Pieces {
            services: Some(vec![BLUEZONE]),
            ..bluezone()
        };
        assert_eq!(join.properties(peer(1), &remembered), None);
        let Joined { frame, .. } = join.changed(peer(1), &at(-60, bluezone())).unwrap();
        assert!(frame.has_service(BLUEZONE));
    }

    #[test]
    fn data_without_a_strength_has_the_last_one() {
        let mut join = join();
        assert_eq!(join.changed(peer(1), &gaen(1)).unwrap().rssi, None);
        join.changed(peer(1), &strength(-50));
        join.changed(peer(2), &strength(-80));
        assert_eq!(dbm(join.changed(peer(1), &gaen(1))), Some(-50));
        assert_eq!(dbm(join.changed(peer(2), &bluezone())), Some(-80));
        assert_eq!(dbm(join.changed(peer(1), &at(-52, gaen(1)))), Some(-52));
    }

    #[test]
    fn rssi_127_is_unknown() {
        let mut join = join();
        join.changed(peer(1), &strength(-50));
        join.changed(peer(1), &strength(127));
        assert_eq!(dbm(join.changed(peer(1), &gaen(1))), None);
        assert_eq!(dbm(join.properties(peer(2), &at(127, gaen(2)))), None);
    }

    #[test]
    fn a_long_service_alone_is_a_frame_each_time() {
        let mut join = join();
        let ios = WireProfile::default().ios_service;
        assert_eq!(join.changed(peer(1), &services(&[ios])), None);
        join.changed(peer(2), &services(&[GAEN]));
        for heard in [-50, -60] {
            let joined = join.changed(peer(1), &strength(heard));
            assert!(joined.unwrap().frame.has_service(ios));
            assert_eq!(dbm(joined), Some(heard as i8));
            assert_eq!(join.changed(peer(2), &strength(heard)), None);
            assert_eq!(join.changed(peer(3), &strength(heard)), None);
        }
    }

    #[test]
    fn a_new_list_that_is_heard_may_hold_an_identifier() {
        let mut join = join();
        let id = Uuid::from_u128(7);
        let joined = join.changed(peer(1), &at(-60, services(&[GAEN, id])));
        assert!(joined.unwrap().frame.has_service(id));
        assert_eq!(join.changed(peer(1), &services(&[GAEN, id])), None);
    }

    #[test]
    fn known_services_join_manufacturer_data() {
        let mut join = join();
        join.changed(peer(1), &services(&[BATTERY, BLUEZONE]));
        let Joined { frame, .. } = join.changed(peer(1), &bluezone()).unwrap();
        assert!(frame.has_service(BLUEZONE));
        assert!(!frame.has_service(BATTERY));
        assert_eq!(frame.manufacturer_data(0x22B5), Some(&[7; 12][..]));
    }

    #[test]
    fn a_strangers_data_is_no_frame_of_a_known_service() {
        let mut join = join();
        join.changed(peer(1), &services(&[GAEN]));
        let battery = Pieces {
            service_data: HashMap::from([(BATTERY, vec![90])]),
            ..strength(-60)
        };
        assert_eq!(join.changed(peer(1), &battery), None);
        let stranger = Pieces {
            manufacturer_data: HashMap::from([(0x0059, vec![1; 9])]),
            ..strength(-60)
        };
        assert_eq!(join.changed(peer(1), &stranger), None);
    }

    #[test]
    fn services_of_a_stranger_take_no_room() {
        let mut join = join();
        let many: Vec<_> = (0..5_000).map(uuid_from_u16).collect();
        join.changed(peer(1), &services(&many));
        assert!(join.devices[&peer(1)].services.is_empty());
    }

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let mut join = join();
        for number in 0..10 {
            join.changed(peer(number), &strength(-70));
            join.forget(peer(number));
        }
        assert!(join.devices.is_empty());
    }

    #[test]
    fn map_is_bounded() {
        let mut join = join();
        for number in 0..3 * DEVICES_MAX {
            join.changed(peer(number), &strength(-70));
        }
        assert_eq!(join.devices.len(), DEVICES_MAX);
    }

    #[test]
    fn the_stalest_is_forgotten_first() {
        let mut join = join();
        for number in 0..DEVICES_MAX {
            join.changed(peer(number), &strength(-70));
        }
        join.changed(peer(0), &strength(-60));
        join.changed(peer(DEVICES_MAX), &strength(-80));
        assert!(join.devices.contains_key(&peer(0)));
        assert!(join.devices.contains_key(&peer(DEVICES_MAX)));
        assert!(!join.devices.contains_key(&peer(1)));
    }
}
