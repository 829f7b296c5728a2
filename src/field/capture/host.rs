//! What one controller was told to advertise, by the commands that it has carried out (Bluetooth Core Specification 5.4, Vol. 4,
//! Part E, 7.3 and 7.8).

use std::collections::{BTreeMap, VecDeque};

use super::{ADVERTISING_DATA_BYTES_MAX, Address, Broadcast, Form, Observation};

const RESET: u16 = 0x0C03;
const READ_ADDRESS: u16 = 0x1009;
const SET_RANDOM_ADDRESS: u16 = 0x2005;
const SET_PARAMETERS: u16 = 0x2006;
const SET_DATA: u16 = 0x2008;
const SET_SCAN_RESPONSE: u16 = 0x2009;
const SET_ENABLE: u16 = 0x200A;
const SET_RANDOM_ADDRESS_OF_SET: u16 = 0x2035;
const SET_EXTENDED_PARAMETERS: u16 = 0x2036;
const SET_EXTENDED_DATA: u16 = 0x2037;
const SET_EXTENDED_SCAN_RESPONSE: u16 = 0x2038;
const SET_EXTENDED_ENABLE: u16 = 0x2039;
const REMOVE_SET: u16 = 0x203C;
const CLEAR_SETS: u16 = 0x203D;

/// Those that are remembered until they are answered.
const COMMANDS: [u16; 14] = [
    RESET,
    READ_ADDRESS,
    SET_RANDOM_ADDRESS,
    SET_PARAMETERS,
    SET_DATA,
    SET_SCAN_RESPONSE,
    SET_ENABLE,
    SET_RANDOM_ADDRESS_OF_SET,
    SET_EXTENDED_PARAMETERS,
    SET_EXTENDED_DATA,
    SET_EXTENDED_SCAN_RESPONSE,
    SET_EXTENDED_ENABLE,
    REMOVE_SET,
    CLEAR_SETS,
];

const SUCCESS: u8 = 0;

/// An advertising set; of a controller without extended advertising, its only one is `None`.
type Handle = Option<u8>;

#[derive(Default)]
pub(super) struct Host {
    /// The controller's own address.
    public: Option<[u8; 6]>,
    /// One random address for all, but for sets that have their own.
    random: Option<[u8; 6]>,
    /// By command, of which the host waits for the answer before it sends the next one.
    asked: BTreeMap<u16, Vec<u8>>,
    sets: BTreeMap<Handle, Set>,
    past: VecDeque<Broadcast>,
}

#[derive(Default)]
struct Set {
    own_address_type: u8,
    random: Option<[u8; 6]>,
    form: Form,
    data: Vec<u8>,
    scan_response: Vec<u8>,
    on: Option<Broadcast>,
}

impl Host {
    pub(super) fn begun(&mut self, address: Option<[u8; 6]>) {
        let public = address.or(self.public);
        *self = Self {
            public,
            past: std::mem::take(&mut self.past),
            ..Self::default()
        };
    }

    pub(super) fn gone(&mut self, at_us: u64) {
        self.reset(at_us);
    }

    /// A command with its parameters; `None` if it is cut.
    pub(super) fn asked(&mut self, command: &[u8]) -> Option<()> {
        let ([low, high, len], parameters) = command.split_first_chunk()?;
        let command = u16::from_le_bytes([*low, *high]);
        if COMMANDS.contains(&command) {
            let parameters = parameters.get(..usize::from(*len))?;
            self.asked.insert(command, parameters.to_vec());
        }
        Some(())
    }

    /// The controller has carried out a command, or refused it; `None` if the parameters break the command's layout.
    pub(super) fn answered(&mut self, at_us: u64, command: u16, answer: &[u8]) -> Option<()> {
        let Some(parameters) = self.asked.remove(&command) else {
            return Some(());
        };
        match answer.split_first()? {
            (&SUCCESS, values) => self.done(at_us, command, &parameters, values),
            // What it refuses changes nothing.
            _ => Some(()),
        }
    }

    fn done(&mut self, at_us: u64, command: u16, asked: &[u8], values: &[u8]) -> Option<()> {
        match command {
            RESET => self.reset(at_us),
            READ_ADDRESS => self.public = Some(*values.first_chunk()?),
            SET_RANDOM_ADDRESS => self.random = Some(*asked.first_chunk()?),
            SET_PARAMETERS => {
                let [_, _, _, _, kind, own, ..] = asked else {
                    return None;
                };
                let set = self.sets.entry(None).or_default();
                (set.own_address_type, set.form) = (*own, legacy_form(*kind));
            }
            SET_DATA | SET_SCAN_RESPONSE => {
                let (&len, data) = asked.split_first()?;
                let data = data.get(..usize::from(len))?.to_vec();
                self.change(at_us, None, |set| match command {
                    SET_DATA => set.data = data,
                    _ => set.scan_response = data,
                });
            }
            SET_ENABLE => match asked.first()? {
                0 => self.disable(at_us, None),
                _ => self.enable(at_us, None),
            },
            SET_RANDOM_ADDRESS_OF_SET => {
                let (&handle, address) = asked.split_first()?;
                let address = Some(*address.first_chunk()?);
                self.change(at_us, Some(handle), |set| set.random = address);
            }
            SET_EXTENDED_PARAMETERS => {
                let [handle, low, _, _, _, _, _, _, _, _, own, ..] = asked else {
                    return None;
                };
                let set = self.sets.entry(Some(*handle)).or_default();
                (set.own_address_type, set.form) = (*own, extended_form(*low));
            }
            SET_EXTENDED_DATA | SET_EXTENDED_SCAN_RESPONSE => {
                return self.set_extended_data(at_us, command, asked);
            }
            SET_EXTENDED_ENABLE => return self.set_extended_enable(at_us, asked),
            REMOVE_SET => {
                let handle = Some(*asked.first()?);
                self.disable(at_us, handle);
                self.sets.remove(&handle);
            }
            CLEAR_SETS => {
                self.disable_all(at_us);
                self.sets.clear();
            }
            _ => {}
        }
        Some(())
    }

    fn set_extended_data(&mut self, at_us: u64, command: u16, asked: &[u8]) -> Option<()> {
        /// Of data in pieces those that are not the first one.
        const INTERMEDIATE: u8 = 0;
        const LAST: u8 = 2;
        const UNCHANGED: u8 = 4;
        let ([handle, operation, _, len], data) = asked.split_first_chunk()?;
        let data = data.get(..usize::from(*len))?;
        if *operation == UNCHANGED {
            return Some(());
        }
        self.change(at_us, Some(*handle), |set| {
            let whole = match command {
                SET_EXTENDED_DATA => &mut set.data,
                _ => &mut set.scan_response,
            };
            if ![INTERMEDIATE, LAST].contains(operation) {
                whole.clear();
            }
            let room = ADVERTISING_DATA_BYTES_MAX.saturating_sub(whole.len());
            whole.extend(data.iter().take(room));
        });
        Some(())
    }

    fn set_extended_enable(&mut self, at_us: u64, asked: &[u8]) -> Option<()> {
        let ([enable, number], sets) = asked.split_first_chunk()?;
        if (*enable, *number) == (0, 0) {
            self.disable_all(at_us);
        }
        // Handle, duration, number of events.
        for set in sets.chunks_exact(4).take(usize::from(*number)) {
            let handle = set.first().copied();
            match enable {
                0 => self.disable(at_us, handle),
                _ => self.enable(at_us, handle),
            }
        }
        Some(())
    }

    /// A connection was made, for which the legacy advertisement stops.
    pub(super) fn connected(&mut self, at_us: u64) {
        self.disable(at_us, None);
    }

    /// The controller has ended a set by itself.
    pub(super) fn terminated(&mut self, at_us: u64, set: u8) {
        self.disable(at_us, Some(set));
    }

    /// The capture ends: what is on the air stays so.
    pub(super) fn end(&mut self, at_us: u64) {
        for set in self.sets.values_mut() {
            self.past.extend(set.on.take().map(|broadcast| Broadcast {
                known_until_us: at_us,
                ..broadcast
            }));
        }
    }

    /// Gives out what has ended.
    pub(super) fn drain(&mut self, adapter: u16, ready: &mut VecDeque<Observation>) {
        let ended = self.past.drain(..);
        ready.extend(ended.map(|it| Observation::Sent(Broadcast { adapter, ..it })));
    }

    fn reset(&mut self, at_us: u64) {
        self.disable_all(at_us);
        self.sets.clear();
        self.random = None;
        self.asked.clear();
    }

    /// What is changed while it is on the air is another broadcast from there on.
    fn change(&mut self, at_us: u64, handle: Handle, change: impl FnOnce(&mut Set)) {
        let set = self.sets.entry(handle).or_default();
        change(set);
        if set.on.is_some() {
            self.disable(at_us, handle);
            self.enable(at_us, handle);
        }
    }

    fn enable(&mut self, at_us: u64, handle: Handle) {
        let (public, random) = (self.public, self.random);
        let set = self.sets.entry(handle).or_default();
        if set.on.is_some() {
            return;
        }
        let address = match set.own_address_type {
            0 => public.map(|bytes| Address::from_wire(bytes, false)),
            1 => set
                .random
                .or(random)
                .map(|bytes| Address::from_wire(bytes, true)),
            // The controller makes them, from a key that it has.
            _ => None,
        };
        set.on = Some(Broadcast {
            adapter: 0,
            set: handle,
            address,
            form: set.form,
            data: set.data.clone(),
            scan_response: set.scan_response.clone(),
            begun_us: at_us,
            ended_us: None,
            known_until_us: at_us,
        });
    }

    fn disable(&mut self, at_us: u64, handle: Handle) {
        let on = self.sets.get_mut(&handle).and_then(|set| set.on.take());
        self.past.extend(on.map(|broadcast| Broadcast {
            ended_us: Some(at_us),
            known_until_us: at_us,
            ..broadcast
        }));
    }

    fn disable_all(&mut self, at_us: u64) {
        let handles: Vec<Handle> = self.sets.keys().copied().collect();
        for handle in handles {
            self.disable(at_us, handle);
        }
    }
}

fn legacy_form(kind: u8) -> Form {
    Form {
        connectable: matches!(kind, 0 | 1 | 4),
        scannable: matches!(kind, 0 | 2),
        directed: matches!(kind, 1 | 4),
        ..Form::default()
    }
}

fn extended_form(properties: u8) -> Form {
    let flag = |bit: u8| properties >> bit & 1 != 0;
    Form {
        connectable: flag(0),
        scannable: flag(1),
        directed: flag(2),
        scan_response: false,
        extended: !flag(4),
    }
}
