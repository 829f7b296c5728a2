//! What a sniffer heard: packets of the link layer on the advertising channels (Bluetooth Core Specification 5.4, Vol. 6,
//! Part B, 2), bare or behind a header of its receiver's.

use std::collections::VecDeque;

use super::{Address, Counts, Form, HeardAdvertisement, Link, Observation, Record};
use crate::sighting::Rssi;

/// The access address of all advertising.
const ADVERTISING: [u8; 4] = 0x8E89_BED6_u32.to_le_bytes();

const CRC_BYTES: usize = 3;
const CRC_INIT: u32 = 0x55_5555;
/// x²⁴ + x¹⁰ + x⁹ + x⁶ + x⁴ + x³ + x + 1, as the bits come: the least significant first.
const CRC_POLYNOMIAL: u32 = 0xDA_6000;

/// The link layer's packet, and what the receiver says of it.
struct Packet<'a> {
    bytes: &'a [u8],
    adapter: u16,
    rssi: Option<Rssi>,
    /// Whether its checksum is right, if the receiver has looked.
    sound: Option<bool>,
}

pub(super) fn take(record: &Record, ready: &mut VecDeque<Observation>, counts: &mut Counts) {
    let packet = match record.link {
        Link::Air => Some(bare(&record.bytes)),
        Link::AirWithHeader => with_header(&record.bytes),
        Link::Nordic => match nordic(&record.bytes) {
            Some(Some(packet)) => Some(packet),
            // The sniffer and its host speak of other things too.
            Some(None) => return,
            None => None,
        },
        _ => None,
    };
    let Some(packet) = packet else {
        counts.malformed += 1;
        return;
    };
    let Some(pdu) = packet.bytes.strip_prefix(&ADVERTISING) else {
        return;
    };
    let Some((pdu, crc)) = pdu.split_last_chunk::<CRC_BYTES>() else {
        counts.malformed += 1;
        return;
    };
    if !packet.sound.unwrap_or_else(|| crc_of(pdu) == *crc) {
        counts.misheard += 1;
        return;
    }
    match advertisement(pdu) {
        Some(Some(heard)) => ready.push_back(Observation::Heard(HeardAdvertisement {
            at_us: record.at_us,
            adapter: packet.adapter,
            rssi: packet.rssi,
            ..heard
        })),
        Some(None) => {}
        None => counts.malformed += 1,
    }
}

fn bare(bytes: &[u8]) -> Packet<'_> {
    Packet {
        bytes,
        adapter: 0,
        rssi: None,
        sound: None,
    }
}

/// LINKTYPE_BLUETOOTH_LE_LL_WITH_PHDR: channel, strength, noise, offences, reference access address, flags.
fn with_header(bytes: &[u8]) -> Option<Packet<'_>> {
    const STRENGTH_VALID: u16 = 0x0002;
    const CRC_CHECKED: u16 = 0x0400;
    const CRC_VALID: u16 = 0x0800;
    let ([_, strength, _, _, _, _, _, _, flags @ ..], bytes) = bytes.split_first_chunk::<10>()?;
    let flags = u16::from_le_bytes(*flags);
    let measured = flags & STRENGTH_VALID != 0;
    Some(Packet {
        bytes,
        adapter: 0,
        rssi: Rssi::from_dbm(strength.cast_signed()).filter(|_| measured),
        sound: (flags & CRC_CHECKED != 0).then_some(flags & CRC_VALID != 0),
    })
}

/// LINKTYPE_NORDIC_BLE, versions 1 to 3 of its protocol. `Some(None)` is a message of another kind.
fn nordic(bytes: &[u8]) -> Option<Option<Packet<'_>>> {
    const EVENT_ADVERTISING_PDU: u8 = 0x02;
    const EVENT_PACKET: u8 = 0x06;
    const HEADER_BYTES: u8 = 10;
    const PHY_CODED: u8 = 2;
    // In version 1 the second byte is the header's length, later it belongs to the payload's.
    let ([board, _, _, version, _, _, kind], payload) = bytes.split_first_chunk::<7>()?;
    if !(1..=3).contains(version) || ![EVENT_ADVERTISING_PDU, EVENT_PACKET].contains(kind) {
        return Some(None);
    }
    let ([HEADER_BYTES, flags, _, loss, _, _, _, _, _, _], packet) =
        payload.split_first_chunk::<10>()?
    else {
        return None;
    };
    // On the coded PHY a byte stands between access address and header that is no part of the packet's checksum.
    if flags >> 4 & 0b111 == PHY_CODED {
        return Some(None);
    }
    Some(Some(Packet {
        bytes: packet,
        adapter: u16::from(*board),
        rssi: Rssi::from_dbm(-i32::from(*loss)),
        sound: Some(flags & 1 != 0),
    }))
}

/// The checksum over header and payload, as it is on the air.
fn crc_of(pdu: &[u8]) -> [u8; CRC_BYTES] {
    let mut crc = CRC_INIT.reverse_bits() >> 8;
    for byte in pdu {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { CRC_POLYNOMIAL } else { 0 };
        }
    }
    let [low, middle, high, _] = crc.to_le_bytes();
    [low, middle, high]
}

/// An advertisement; `Some(None)` if the PDU is another one.
fn advertisement(pdu: &[u8]) -> Option<Option<HeardAdvertisement>> {
    const EXTENDED: u8 = 7;
    let ([header, len], payload) = pdu.split_first_chunk::<2>()?;
    let payload = payload.get(..usize::from(*len))?;
    let (kind, random) = (header & 0x0F, header & 0x40 != 0);
    let mut form = Form::default();
    match kind {
        0 => (form.connectable, form.scannable) = (true, true),
        2 => {}
        4 => form.scan_response = true,
        6 => form.scannable = true,
        EXTENDED => return extended(payload, random),
        // Directed ones carry no data; requests are a scanner's.
        _ => return Some(None),
    }
    let (address, data) = payload.split_first_chunk::<6>()?;
    Some(Some(heard(*address, random, form, data, None)))
}

/// The payload of an extended advertisement, of which the first packet has no data: that follows in an auxiliary one.
fn extended(payload: &[u8], random: bool) -> Option<Option<HeardAdvertisement>> {
    const ADDRESS: u8 = 0x01;
    const TARGET: u8 = 0x02;
    /// Bytes of target address, CTE, data information, pointer, synchronisation and power.
    const LENGTHS: [(u8, usize); 5] = [(TARGET, 6), (0x04, 1), (0x08, 2), (0x10, 3), (0x20, 18)];
    const POWER: u8 = 0x40;
    let (first, rest) = payload.split_first()?;
    let (header, data) = rest.split_at_checked(usize::from(first & 0x3F))?;
    let (Some((flags, fields)), false) = (header.split_first(), data.is_empty()) else {
        return Some(None);
    };
    if flags & ADDRESS == 0 {
        return Some(None);
    }
    let (address, mut fields) = fields.split_first_chunk::<6>()?;
    for (flag, len) in LENGTHS {
        if flags & flag != 0 {
            fields = fields.get(len..)?;
        }
    }
    let power = match flags & POWER {
        0 => None,
        _ => Some(fields.first()?.cast_signed()),
    };
    let mut form = Form::default();
    (form.connectable, form.scannable) = (first >> 6 & 1 != 0, first >> 7 != 0);
    (form.directed, form.extended) = (flags & TARGET != 0, true);
    Some(Some(heard(*address, random, form, data, power)))
}

fn heard(
    address: [u8; 6],
    random: bool,
    form: Form,
    data: &[u8],
    tx_power_dbm: Option<i8>,
) -> HeardAdvertisement {
    HeardAdvertisement {
        at_us: 0,
        adapter: 0,
        address: Address::from_wire(address, random),
        form,
        data: data.to_vec(),
        rssi: None,
        tx_power_dbm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bluetooth's own worked example is not at hand; this is its property: over a packet and its checksum, the register ends
    /// at zero, whatever the packet.
    #[test]
    fn the_checksum_divides_the_whole() {
        for pdu in [&[0x42, 0x09][..], &[0x40, 3, 1, 2, 3], &[0xFF; 39]] {
            let whole = [pdu, &crc_of(pdu)].concat();
            assert_eq!(crc_of(&whole), [0; 3]);
        }
        assert_ne!(crc_of(&[0x42, 0x09]), crc_of(&[0x42, 0x08]));
    }
}
