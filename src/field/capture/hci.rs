//! HCI packets: whose they are, and the reports of advertisements in them (Bluetooth Core Specification 5.4, Vol. 4, Part E,
//! 7.7.65).

use std::collections::{BTreeMap, VecDeque};

use super::host::Host;
use super::{
    ADVERTISING_DATA_BYTES_MAX, Address, Counts, Form, HeardAdvertisement, Link, Observation,
    Record,
};
use crate::sighting::Rssi;

/// Controllers of one capture. Chosen: a machine has a few, and a file that names more is no work of one.
const ADAPTERS_MAX: usize = 64;

/// What H4 says a packet is.
const H4_COMMAND: u8 = 1;
const H4_EVENT: u8 = 4;

/// Operations of BlueZ's monitor (`src/shared/btsnoop.h`).
const NEW_INDEX: u16 = 0;
const DEL_INDEX: u16 = 1;
const COMMAND: u16 = 2;
const EVENT: u16 = 3;

const COMMAND_COMPLETE: u8 = 0x0E;
const LE_META: u8 = 0x3E;

/// Subevents of the LE meta event.
const CONNECTION_COMPLETE: u8 = 0x01;
const ADVERTISING_REPORT: u8 = 0x02;
const ENHANCED_CONNECTION_COMPLETE: u8 = 0x0A;
const EXTENDED_ADVERTISING_REPORT: u8 = 0x0D;
const ADVERTISING_SET_TERMINATED: u8 = 0x12;

/// A packet, and what it is.
enum Packet<'a> {
    Begun { address: Option<[u8; 6]> },
    Gone,
    Command(&'a [u8]),
    Event(&'a [u8]),
}

/// The host's controllers.
#[derive(Default)]
pub(super) struct Hosts {
    adapters: BTreeMap<u16, Adapter>,
}

#[derive(Default)]
struct Adapter {
    host: Host,
    /// Of an extended report that comes in pieces, the first ones.
    pieces: Option<HeardAdvertisement>,
}

impl Hosts {
    pub(super) fn take(
        &mut self,
        record: &Record,
        ready: &mut VecDeque<Observation>,
        counts: &mut Counts,
    ) {
        let Some((adapter, packet)) = unwrap(record) else {
            return;
        };
        if !self.adapters.contains_key(&adapter) && self.adapters.len() == ADAPTERS_MAX {
            counts.left_out += 1;
            return;
        }
        let index = adapter;
        let adapter = self.adapters.entry(index).or_default();
        let host = &mut adapter.host;
        let at_us = record.at_us;
        let understood = match packet {
            Packet::Begun { address } => {
                host.begun(address);
                Some(())
            }
            Packet::Gone => {
                host.gone(at_us);
                Some(())
            }
            Packet::Command(command) => host.asked(command),
            Packet::Event([COMMAND_COMPLETE, _, _, low, high, answer @ ..]) => {
                host.answered(at_us, u16::from_le_bytes([*low, *high]), answer)
            }
            Packet::Event([LE_META, _, subevent, parameters @ ..]) => {
                adapter.meta(record, index, *subevent, parameters, ready)
            }
            Packet::Event(_) => Some(()),
        };
        if understood.is_none() {
            counts.malformed += 1;
        }
        adapter.host.drain(index, ready);
    }

    /// What is on the air as the capture ends.
    pub(super) fn end(&mut self, at_us: u64, ready: &mut VecDeque<Observation>) {
        for (index, adapter) in &mut self.adapters {
            adapter.host.end(at_us);
            adapter.host.drain(*index, ready);
        }
    }
}

/// Takes off what stands around an HCI packet; `None` if it is another kind of packet.
fn unwrap(record: &Record) -> Option<(u16, Packet<'_>)> {
    let bytes = record.bytes.as_slice();
    match record.link {
        // The second flag tells commands and events from data, the first who sent it.
        Link::Hci => match record.flags & 3 {
            2 => Some((0, Packet::Command(bytes))),
            3 => Some((0, Packet::Event(bytes))),
            _ => None,
        },
        Link::H4 => h4(bytes),
        Link::H4Directed => h4(bytes.get(4..)?),
        Link::Monitor => {
            let [a, b, c, d] = record.flags.to_be_bytes();
            monitor(
                u16::from_be_bytes([a, b]),
                u16::from_be_bytes([c, d]),
                bytes,
            )
        }
        Link::LinuxMonitor => {
            let ([a, b, c, d], bytes) = bytes.split_first_chunk()?;
            monitor(
                u16::from_be_bytes([*a, *b]),
                u16::from_be_bytes([*c, *d]),
                bytes,
            )
        }
        Link::Air | Link::AirWithHeader | Link::Nordic => None,
    }
}

fn h4(bytes: &[u8]) -> Option<(u16, Packet<'_>)> {
    match bytes.split_first()? {
        (&H4_COMMAND, packet) => Some((0, Packet::Command(packet))),
        (&H4_EVENT, packet) => Some((0, Packet::Event(packet))),
        _ => None,
    }
}

fn monitor(adapter: u16, operation: u16, bytes: &[u8]) -> Option<(u16, Packet<'_>)> {
    let packet = match operation {
        NEW_INDEX => {
            // Kind, bus, address, name. An address of zeroes is not known yet.
            let address = bytes.get(2..).and_then(|rest| rest.first_chunk());
            let address = address.copied().filter(|address| *address != [0; 6]);
            Packet::Begun { address }
        }
        DEL_INDEX => Packet::Gone,
        COMMAND => Packet::Command(bytes),
        EVENT => Packet::Event(bytes),
        _ => return None,
    };
    Some((adapter, packet))
}

impl Adapter {
    fn meta(
        &mut self,
        record: &Record,
        adapter: u16,
        subevent: u8,
        parameters: &[u8],
        ready: &mut VecDeque<Observation>,
    ) -> Option<()> {
        let heard = |heard: HeardAdvertisement| {
            Observation::Heard(HeardAdvertisement {
                at_us: record.at_us,
                adapter,
                ..heard
            })
        };
        match subevent {
            ADVERTISING_REPORT => {
                let (&number, mut rest) = parameters.split_first()?;
                for _ in 0..number {
                    let report;
                    (report, rest) = legacy_report(rest)?;
                    ready.push_back(heard(report));
                }
                Some(())
            }
            EXTENDED_ADVERTISING_REPORT => {
                let (&number, mut rest) = parameters.split_first()?;
                for _ in 0..number {
                    let (report, status);
                    (report, status, rest) = extended_report(rest)?;
                    ready.extend(self.joined(report, status).map(heard));
                }
                Some(())
            }
            // Status, handle, role: a connection as peripheral ends what was advertised for it.
            CONNECTION_COMPLETE | ENHANCED_CONNECTION_COMPLETE => {
                if let [0, _, _, 1, ..] = parameters {
                    self.host.connected(record.at_us);
                }
                Some(())
            }
            ADVERTISING_SET_TERMINATED => {
                let [_, set, ..] = parameters else {
                    return None;
                };
                self.host.terminated(record.at_us, *set);
                Some(())
            }
            _ => Some(()),
        }
    }

    /// A report with the pieces before it; `None` if more follow.
    fn joined(&mut self, report: HeardAdvertisement, status: u8) -> Option<HeardAdvertisement> {
        const MORE_FOLLOWS: u8 = 1;
        let first = self.pieces.take();
        let first = first.filter(|first| first.address == report.address);
        let whole = match first {
            Some(mut first) => {
                let room = ADVERTISING_DATA_BYTES_MAX.saturating_sub(first.data.len());
                first.data.extend(report.data.into_iter().take(room));
                first
            }
            None => report,
        };
        if status == MORE_FOLLOWS {
            self.pieces = Some(whole);
            return None;
        }
        Some(whole)
    }
}

/// An address by the type that stands beside it in reports: the second bit says that the controller has resolved it.
fn address_of(kind: u8, bytes: [u8; 6]) -> Address {
    Address::from_wire(bytes, kind & 1 != 0)
}

fn legacy_report(bytes: &[u8]) -> Option<(HeardAdvertisement, &[u8])> {
    let ([event, kind, address @ .., len], rest) = bytes.split_first_chunk::<9>()?;
    let (data, rest) = rest.split_at_checked(usize::from(*len))?;
    let (rssi, rest) = rest.split_first()?;
    let mut form = Form::default();
    match event {
        0 => (form.connectable, form.scannable) = (true, true),
        1 => (form.connectable, form.directed) = (true, true),
        2 => form.scannable = true,
        4 => form.scan_response = true,
        _ => {}
    }
    let report = HeardAdvertisement {
        at_us: 0,
        adapter: 0,
        address: address_of(*kind, *address),
        form,
        data: data.to_vec(),
        rssi: Rssi::from_dbm(rssi.cast_signed()),
        tx_power_dbm: None,
    };
    Some((report, rest))
}

/// A report, whether its data is whole, and what stands behind it.
fn extended_report(bytes: &[u8]) -> Option<(HeardAdvertisement, u8, &[u8])> {
    const NO_POWER: i8 = 127;
    let ([low, _, kind, rest @ ..], bytes) = bytes.split_first_chunk::<9>()?;
    // PHYs and set; periodic interval; the address it is directed to.
    let ([_, _, _, power, rssi, _, _, _, _, _, _, _, _, _, len], bytes) =
        bytes.split_first_chunk::<15>()?;
    let (data, bytes) = bytes.split_at_checked(usize::from(*len))?;
    let flag = |bit: u8| low >> bit & 1 != 0;
    let form = Form {
        connectable: flag(0),
        scannable: flag(1),
        directed: flag(2),
        scan_response: flag(3),
        extended: !flag(4),
    };
    let power = Some(power.cast_signed()).filter(|power| *power != NO_POWER);
    let report = HeardAdvertisement {
        at_us: 0,
        adapter: 0,
        address: address_of(*kind, *rest),
        form: legacy_form(form),
        data: data.to_vec(),
        rssi: Rssi::from_dbm(rssi.cast_signed()),
        tx_power_dbm: power,
    };
    Some((report, low >> 5 & 3, bytes))
}

/// The answer to a scan of a legacy advertisement bears the bits of what it answers; elsewhere it does not.
fn legacy_form(form: Form) -> Form {
    match form.scan_response && !form.extended {
        true => Form {
            scan_response: true,
            ..Form::default()
        },
        false => form,
    }
}
