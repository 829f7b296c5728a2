//! One controller: what its host has set, what it advertises and what it hears.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::hci::{self, Address, Command, Handle, Piece, Property, Report};
use crate::random::Random;

/// What the filter remembers; when it is full, it is begun anew. Chosen: more than a storm of ten minutes at
/// a hundred a second.
const FILTER_CAPACITY: usize = 1 << 16;

/// What each advertising event is put off by at most (Volume 6, Part B, 4.4.2.2.1).
const DELAY_MAX: Duration = Duration::from_millis(10);

/// Further behind than this, events are left out rather than made up for. Chosen: a machine that was
/// stopped for longer is not to be flooded.
const LAG_MAX: Duration = Duration::from_secs(1);

/// Advertising sets that a controller offers; BlueZ's own emulator has as many.
const SETS_MAX: u8 = 5;

/// By what a controller knows an advertisement again. Real ones differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dedup {
    Address,
    AddressAndData,
    /// The filter that the host asks for is not there.
    None,
}

/// What goes over the air at once.
#[derive(Clone, Debug)]
pub(crate) struct Advert {
    pub(crate) properties: u16,
    pub(crate) random: bool,
    pub(crate) address: Address,
    pub(crate) data: Vec<u8>,
    /// What an active scan is answered.
    pub(crate) response: Vec<u8>,
    pub(crate) at: Instant,
}

#[derive(Clone, Debug, Default)]
struct Set {
    properties: u16,
    interval: Duration,
    random: bool,
    address: Option<Address>,
    data: Vec<u8>,
    response: Vec<u8>,
    /// The next event, if it advertises.
    next: Option<Instant>,
    until: Option<Instant>,
}

#[derive(Debug)]
struct Scan {
    active: bool,
    interval: Duration,
    window: Duration,
    since: Option<Instant>,
    filter: bool,
    seen: HashSet<Vec<u8>>,
}

impl Default for Scan {
    /// What holds before the host has set anything: 10 ms of every 10 ms (7.8.10).
    fn default() -> Self {
        Self {
            active: false,
            interval: Duration::from_millis(10),
            window: Duration::from_millis(10),
            since: None,
            filter: false,
            seen: HashSet::new(),
        }
    }
}

impl Scan {
    /// Whether it listens at a moment: in the first part of each interval since it began.
    fn listens(&self, at: Instant) -> bool {
        let Some(since) = self
            .since
            .and_then(|since| at.checked_duration_since(since))
        else {
            return false;
        };
        let interval = self.interval.as_nanos().max(1);
        since.as_nanos() % interval < self.window.as_nanos()
    }

    /// Whether the filter lets an advertisement pass.
    fn passes(&mut self, dedup: Dedup, report: &Report<'_>) -> bool {
        if !self.filter || dedup == Dedup::None {
            return true;
        }
        let mut key = vec![u8::from(report.response), u8::from(report.random)];
        key.extend(report.address);
        if dedup == Dedup::AddressAndData {
            key.extend(report.data);
        }
        if self.seen.len() >= FILTER_CAPACITY {
            self.seen.clear();
        }
        self.seen.insert(key)
    }
}

/// What a controller has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Reports to the host.
    pub(crate) delivered: u64,
    /// Reports that the host did not get, for the filter knew them.
    pub(crate) duplicates: u64,
    /// Advertisements lost on the way, while the controller scanned.
    pub(crate) lost: u64,
    /// Advertisements at a time at which the scan did not listen.
    pub(crate) outside_window: u64,
    /// Advertising events of its own.
    pub(crate) advertised: u64,
    /// Commands that ended with an error code.
    pub(crate) refused: u64,
}

#[derive(Debug)]
pub(crate) struct Controller {
    address: Address,
    extended: bool,
    dedup: Dedup,
    random_address: Option<Address>,
    sets: BTreeMap<Handle, Set>,
    scan: Scan,
    pub(crate) counters: Counters,
}

impl Controller {
    pub(crate) fn new(address: Address, extended: bool, dedup: Dedup) -> Self {
        Self {
            address,
            extended,
            dedup,
            random_address: None,
            sets: BTreeMap::new(),
            scan: Scan::default(),
            counters: Counters::default(),
        }
    }

    /// Forgets whatever the host has set.
    pub(crate) fn reset(&mut self) {
        self.random_address = None;
        self.sets.clear();
        self.scan = Scan::default();
    }

    /// Does what a packet of the host says; the event that answers it, if it was a command.
    pub(crate) fn obey(&mut self, packet: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (opcode, parameters) = hci::split(packet)?;
        let done = hci::parse(opcode, parameters, self.extended)
            .and_then(|command| self.perform(command, now));
        let mut result = vec![hci::SUCCESS];
        match done {
            Ok(answer) => result.extend(answer),
            Err(code) => {
                self.counters.refused += 1;
                result = vec![code];
            }
        }
        Some(hci::command_complete(opcode, &result))
    }

    fn perform(&mut self, command: Command<'_>, now: Instant) -> Result<Vec<u8>, u8> {
        match command {
            Command::Accept => {}
            Command::Reset => self.reset(),
            Command::Read(property) => return Ok(self.read(property)),
            Command::SetRandomAddress(handle, address) => self.set_address(handle, address)?,
            Command::SetAdvertising {
                handle,
                properties,
                interval,
                random,
            } => {
                if handle.is_some() && !self.has_room(handle) {
                    return Err(hci::NO_MEMORY);
                }
                let set = self.sets.entry(handle).or_default();
                if set.next.is_some() {
                    return Err(hci::DISALLOWED);
                }
                set.properties = properties;
                set.interval = interval;
                set.random = random;
                // The power that was chosen, in dBm, which the legacy command does not tell.
                return Ok(handle.map(|_| 7).into_iter().collect());
            }
            Command::SetData {
                handle,
                response,
                piece,
                data,
            } => {
                self.set_data(handle, response, piece, data)?;
            }
            Command::Advertise { on: true, sets } => self.advertise(&sets, now)?,
            Command::Advertise { on: false, sets } => {
                for (handle, set) in &mut self.sets {
                    if sets.is_empty() || sets.iter().any(|(named, _)| named == handle) {
                        set.next = None;
                    }
                }
            }
            Command::RemoveSet(handle) => {
                let removed = self.sets.remove(&Some(handle));
                removed.ok_or(hci::UNKNOWN_ADVERTISING)?;
            }
            Command::ClearSets => self.sets.retain(|handle, _| handle.is_none()),
            Command::SetScan {
                active,
                interval,
                window,
            } => {
                if self.scan.since.is_some() {
                    return Err(hci::DISALLOWED);
                }
                (self.scan.active, self.scan.interval, self.scan.window) =
                    (active, interval, window);
            }
            Command::Scan { on, filter } => {
                self.scan.since = on.then_some(now);
                self.scan.filter = filter;
                self.scan.seen.clear();
            }
        }
        Ok(Vec::new())
    }

    fn has_room(&self, handle: Handle) -> bool {
        self.sets.contains_key(&handle) || self.sets.len() < usize::from(SETS_MAX)
    }

    /// A controller refuses another address while it advertises with it (7.8.4, 7.8.52), and another
    /// random address of its own during a scan too, which Linux does not heed.
    fn set_address(&mut self, handle: Handle, address: Address) -> Result<(), u8> {
        let set = self.sets.get_mut(&handle);
        let advertises = set.as_ref().is_some_and(|set| set.next.is_some());
        if advertises || (handle.is_none() && self.scan.since.is_some()) {
            return Err(hci::DISALLOWED);
        }
        match (handle, set) {
            (None, _) => self.random_address = Some(address),
            (_, Some(set)) => set.address = Some(address),
            (_, None) => return Err(hci::UNKNOWN_ADVERTISING),
        }
        Ok(())
    }

    fn set_data(
        &mut self,
        handle: Handle,
        response: bool,
        piece: Piece,
        data: &[u8],
    ) -> Result<(), u8> {
        let set = match handle {
            // The host may set the data before the parameters.
            None => self.sets.entry(None).or_default(),
            _ => {
                let set = self.sets.get_mut(&handle);
                set.ok_or(hci::UNKNOWN_ADVERTISING)?
            }
        };
        let is_legacy = handle.is_none() || set.properties & hci::LEGACY > 0;
        let len_max = if is_legacy {
            hci::LEGACY_LEN_MAX
        } else {
            hci::LEN_MAX
        };
        let held = if response {
            &mut set.response
        } else {
            &mut set.data
        };
        let before = match piece {
            Piece::Unchanged => return Ok(()),
            Piece::First => 0,
            Piece::Further => held.len(),
        };
        if before + data.len() > len_max {
            return Err(hci::INVALID_PARAMETERS);
        }
        held.truncate(before);
        held.extend(data);
        Ok(())
    }

    fn advertise(&mut self, sets: &[(Handle, Duration)], now: Instant) -> Result<(), u8> {
        if sets.is_empty() {
            return Err(hci::INVALID_PARAMETERS);
        }
        for (handle, duration) in sets {
            let common = self.random_address;
            let set = self.sets.get_mut(handle);
            let set = set.ok_or(hci::UNKNOWN_ADVERTISING)?;
            if handle.is_none() {
                set.address = common;
            }
            if set.random && set.address.is_none() {
                return Err(hci::INVALID_PARAMETERS);
            }
            set.next = Some(now);
            set.until = (!duration.is_zero()).then(|| now + *duration);
        }
        Ok(())
    }

    fn read(&self, property: Property) -> Vec<u8> {
        match property {
            // 5.2, made by the Linux Foundation.
            Property::Version => vec![0x0b, 0, 0, 0x0b, 0xf1, 0x05, 0, 0],
            Property::Commands => commands(self.extended),
            // LE, and nothing else.
            Property::Features => vec![0, 0, 0, 0, 0x60, 0, 0, 0],
            Property::Address => self.address.to_vec(),
            // Eight of 251 bytes: Linux wants some, though there are no connections.
            Property::Buffers => vec![251, 0, 8],
            // Extended advertising.
            Property::LeFeatures => vec![0, u8::from(self.extended) << 4, 0, 0, 0, 0, 0, 0],
            // Whatever can go on at once, can.
            Property::LeStates => vec![0xff, 0xff, 0xff, 0xff, 0xff, 0x03, 0, 0],
            Property::TxPower => vec![4],
            Property::AcceptListSize => vec![8],
            Property::DataLenMax => {
                let len = u16::try_from(hci::LEN_MAX).unwrap_or(u16::MAX);
                len.to_le_bytes().to_vec()
            }
            Property::SetsMax => vec![SETS_MAX],
        }
    }

    /// What it sends up to `now`, and the events by which it tells its host of sets that are over.
    pub(crate) fn due(&mut self, now: Instant, random: &mut Random) -> (Vec<Advert>, Vec<Vec<u8>>) {
        let (mut adverts, mut events) = (Vec::new(), Vec::new());
        for (handle, set) in &mut self.sets {
            let Some(at) = set.next else { continue };
            if set.until.is_some_and(|until| until <= now) {
                set.next = None;
                events.extend(handle.map(hci::set_terminated));
                continue;
            }
            if at > now {
                continue;
            }
            let own = set.address.filter(|_| set.random);
            adverts.push(Advert {
                properties: set.properties,
                random: own.is_some(),
                address: own.unwrap_or(self.address),
                data: set.data.clone(),
                response: set.response.clone(),
                at,
            });
            let from = if now - at > LAG_MAX { now } else { at };
            set.next = Some(from + set.interval + DELAY_MAX.mul_f64(random.unit()));
            self.counters.advertised += 1;
        }
        (adverts, events)
    }

    /// Hears an advertisement, if it listens and it is not `lost`: the events for its host.
    pub(crate) fn hear(&mut self, advert: &Advert, rssi_dbm: i8, lost: bool) -> Vec<Vec<u8>> {
        if self.scan.since.is_none() {
            return Vec::new();
        }
        if !self.scan.listens(advert.at) {
            self.counters.outside_window += 1;
            return Vec::new();
        }
        if lost {
            self.counters.lost += 1;
            return Vec::new();
        }
        let asks = self.scan.active && advert.properties & hci::SCANNABLE > 0;
        let answer = asks.then_some((true, &advert.response));
        let mut events = Vec::new();
        for (response, data) in [(false, &advert.data)].into_iter().chain(answer) {
            let report = Report {
                properties: advert.properties,
                response,
                random: advert.random,
                address: advert.address,
                data,
                rssi_dbm,
            };
            let event = if self.extended {
                report.extended()
            } else {
                report.legacy()
            };
            let Some(event) = event else { continue };
            if self.scan.passes(self.dedup, &report) {
                self.counters.delivered += 1;
                events.push(event);
            } else {
                self.counters.duplicates += 1;
            }
        }
        events
    }
}

/// The bit field of commands that are there (6.27), as octets and bits.
fn commands(extended: bool) -> Vec<u8> {
    let always: &[(usize, u8)] = &[
        // Event mask, reset; version, features, address.
        (5, 0xc0),
        (14, 0x28),
        (15, 0x02),
        // LE: event mask, buffers, features, random address, advertising; data, scan, accept list; states.
        (25, 0xf7),
        (26, 0xcf),
        (27, 0x03),
        (28, 0x08),
    ];
    // Sets, their data and their number; scanning.
    let further: &[(usize, u8)] = if extended {
        &[(36, 0xfe), (37, 0x63)]
    } else {
        &[]
    };
    let mut octets = vec![0; 64];
    for (octet, bits) in always.iter().chain(further) {
        if let Some(octet) = octets.get_mut(*octet) {
            *octet |= bits;
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Address = [1, 0, 0, 0, 0, 0];

    fn controller(dedup: Dedup) -> Controller {
        Controller::new(OWN, false, dedup)
    }

    /// Has the controller obey a command, and tells its error code.
    fn code(controller: &mut Controller, opcode: u16, parameters: &[u8], now: Instant) -> u8 {
        let mut packet = vec![hci::COMMAND_PACKET];
        packet.extend(opcode.to_le_bytes());
        packet.push(parameters.len().try_into().unwrap_or(u8::MAX));
        packet.extend(parameters);
        let answer = controller.obey(&packet, now).unwrap_or_default();
        // Packet type, event, length, how many commands may follow, opcode.
        answer.get(6).copied().unwrap_or(u8::MAX)
    }

    fn scanning(dedup: Dedup, window_units: u8, now: Instant) -> Controller {
        let mut controller = controller(dedup);
        let parameters = [1, 0x60, 0, window_units, 0, 0, 0];
        assert_eq!(
            code(&mut controller, 0x200b, &parameters, now),
            hci::SUCCESS
        );
        assert_eq!(code(&mut controller, 0x200c, &[1, 1], now), hci::SUCCESS);
        controller
    }

    fn advert(address: u8, data: u8, at: Instant) -> Advert {
        Advert {
            properties: hci::LEGACY,
            random: true,
            address: [address; 6],
            data: vec![data],
            response: Vec::new(),
            at,
        }
    }

    #[test]
    fn duplicates_are_told_by_what_the_filter_looks_at() {
        let now = Instant::now();
        for (dedup, delivered) in [
            (Dedup::Address, 2),
            (Dedup::AddressAndData, 3),
            (Dedup::None, 4),
        ] {
            let mut controller = scanning(dedup, 0x60, now);
            for (address, data) in [(1, 1), (1, 1), (1, 2), (2, 1)] {
                controller.hear(&advert(address, data, now), -50, false);
            }
            let counters = controller.counters;
            assert_eq!(counters.delivered, delivered, "{dedup:?}");
            assert_eq!(counters.duplicates, 4 - delivered, "{dedup:?}");
        }
    }

    #[test]
    fn a_scan_begun_anew_knows_nobody() {
        let now = Instant::now();
        let mut controller = scanning(Dedup::Address, 0x60, now);
        for enable in [1, 0, 1] {
            assert_eq!(
                code(&mut controller, 0x200c, &[enable, 1], now),
                hci::SUCCESS
            );
            controller.hear(&advert(1, 1, now), -50, false);
        }
        assert_eq!(controller.counters.delivered, 2);
    }

    #[test]
    fn nothing_is_heard_outside_the_window() {
        let now = Instant::now();
        // Half of every 60 ms.
        let mut controller = scanning(Dedup::None, 0x30, now);
        for ms in 0..120 {
            controller.hear(&advert(1, 1, now + Duration::from_millis(ms)), -50, false);
        }
        assert_eq!(controller.counters.delivered, 60);
        assert_eq!(controller.counters.outside_window, 60);
    }

    #[test]
    fn what_is_lost_does_not_reach_the_filter() {
        let now = Instant::now();
        let mut controller = scanning(Dedup::Address, 0x60, now);
        assert!(controller.hear(&advert(1, 1, now), -50, true).is_empty());
        assert_eq!(controller.hear(&advert(1, 1, now), -50, false).len(), 1);
        assert_eq!(controller.counters.lost, 1);
    }

    #[test]
    fn an_active_scan_is_answered_by_what_is_scannable() {
        let now = Instant::now();
        let mut controller = scanning(Dedup::Address, 0x60, now);
        let mut scannable = advert(1, 1, now);
        scannable.properties |= hci::SCANNABLE;
        assert_eq!(controller.hear(&scannable, -50, false).len(), 2);
        assert_eq!(controller.hear(&scannable, -50, false).len(), 0);
    }

    #[test]
    fn the_random_address_stays_while_it_is_advertised() {
        let now = Instant::now();
        let mut controller = controller(Dedup::Address);
        // Non-connectable, from the random address, every 100 ms.
        let parameters = [0xa0, 0, 0xa0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0];
        assert_eq!(
            code(&mut controller, 0x2006, &parameters, now),
            hci::SUCCESS
        );
        let none_yet = code(&mut controller, 0x200a, &[1], now);
        assert_eq!(none_yet, hci::INVALID_PARAMETERS);
        assert_eq!(code(&mut controller, 0x2005, &[5; 6], now), hci::SUCCESS);
        assert_eq!(code(&mut controller, 0x200a, &[1], now), hci::SUCCESS);
        assert_eq!(code(&mut controller, 0x2005, &[6; 6], now), hci::DISALLOWED);
        let (adverts, _) = controller.due(now, &mut Random::new(0));
        let addresses: Vec<Address> = adverts.iter().map(|advert| advert.address).collect();
        assert_eq!(addresses, [[5; 6]]);
        assert_eq!(code(&mut controller, 0x200a, &[0], now), hci::SUCCESS);
        assert_eq!(code(&mut controller, 0x2005, &[6; 6], now), hci::SUCCESS);
        assert_eq!(controller.counters.refused, 2);
    }

    /// An extended set has an address of its own, which a scan does not use.
    #[test]
    fn the_random_address_stays_during_a_scan() {
        let now = Instant::now();
        let mut controller = with_extended_set(now);
        let set_address = [&[1][..], &[5; 6]].concat();
        for (enable, expected) in [(1, hci::DISALLOWED), (0, hci::SUCCESS)] {
            let scan = [enable, 0, 0, 0, 0, 0];
            assert_eq!(code(&mut controller, 0x2042, &scan, now), hci::SUCCESS);
            assert_eq!(code(&mut controller, 0x2005, &[6; 6], now), expected);
            let of_set = code(&mut controller, 0x2035, &set_address, now);
            assert_eq!(of_set, hci::SUCCESS);
        }
    }

    /// A controller whose extended set 1 has its parameters.
    fn with_extended_set(now: Instant) -> Controller {
        let mut controller = Controller::new(OWN, true, Dedup::Address);
        let mut parameters = vec![1, 0, 0, 0xa0, 0, 0, 0xa0, 0, 0, 7];
        parameters.extend([0; 15]);
        assert_eq!(
            code(&mut controller, 0x2036, &parameters, now),
            hci::SUCCESS
        );
        controller
    }

    #[test]
    fn an_extended_set_ends_when_its_time_is_over() {
        let now = Instant::now();
        let mut controller = with_extended_set(now);
        // For a second.
        let enable = [1, 1, 1, 100, 0, 0];
        assert_eq!(code(&mut controller, 0x2039, &enable, now), hci::SUCCESS);
        let mut random = Random::new(0);
        assert_eq!(controller.due(now, &mut random).0.len(), 1);
        let (adverts, events) = controller.due(now + Duration::from_secs(1), &mut random);
        assert!(adverts.is_empty());
        assert_eq!(events, [hci::set_terminated(1)]);
        assert!(controller.due(now + LAG_MAX, &mut random).1.is_empty());
    }

    #[test]
    fn data_in_pieces_has_an_end() {
        let now = Instant::now();
        let mut controller = with_extended_set(now);
        let piece = |operation: u8| [&[1, operation, 0, 200][..], &[9; 200]].concat();
        assert_eq!(code(&mut controller, 0x2037, &piece(1), now), hci::SUCCESS);
        let too_long = code(&mut controller, 0x2037, &piece(2), now);
        assert_eq!(too_long, hci::INVALID_PARAMETERS);
    }
}
