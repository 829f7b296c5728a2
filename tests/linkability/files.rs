//! Captures as bytes, in every format and link type that is read.

use super::air::Frame;

/// btsnoop's time at 1970, µs.
const EPOCH_US: u64 = 0x00DC_DDB3_0F2F_8000;

/// BlueZ's monitor.
pub(super) const MONITOR: u32 = 2001;
pub(super) const COMMAND: u32 = 2;
pub(super) const EVENT: u32 = 3;

pub(super) fn btsnoop_header(link: u32) -> Vec<u8> {
    [&b"btsnoop\0"[..], &1u32.to_be_bytes(), &link.to_be_bytes()].concat()
}

pub(super) fn btsnoop_record(at_us: u64, flags: u32, packet: &[u8]) -> Vec<u8> {
    let len = (packet.len() as u32).to_be_bytes();
    let at = (EPOCH_US + at_us).to_be_bytes();
    [&len[..], &len, &flags.to_be_bytes(), &[0; 4], &at, packet].concat()
}

/// The HCI event that reports a frame, with its strength.
pub(super) fn report(frame: &Frame) -> Vec<u8> {
    let len = frame.data.len() as u8;
    let head = [0x3E, 12 + len, 2, 1, frame.event, u8::from(frame.random)];
    [
        &head[..],
        &frame.address,
        &[len],
        &frame.data,
        &[(-63i8) as u8],
    ]
    .concat()
}

/// The same as an extended report of a legacy PDU.
pub(super) fn extended_report(frame: &Frame) -> Vec<u8> {
    let len = frame.data.len() as u8;
    // Legacy, and for connections and scans as it stands in the other kind of report.
    let event = match frame.event {
        0 => 0x13,
        2 => 0x12,
        4 => 0x1A,
        _ => 0x10,
    };
    let head = [0x3E, 26 + len, 0x0D, 1, event, 0, u8::from(frame.random)];
    let tail = [
        1,
        0,
        0xFF,
        127,
        (-63i8) as u8,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        len,
    ];
    [&head[..], &frame.address, &tail, &frame.data].concat()
}

/// What hci0 heard, by `btmon -w`.
pub(super) fn btsnoop_of(frames: &[Frame]) -> Vec<u8> {
    let mut file = btsnoop_header(MONITOR);
    for frame in frames {
        file.extend(btsnoop_record(frame.at_us, EVENT, &report(frame)));
    }
    file
}

/// What Android's HCI log has of it.
pub(super) fn android_of(frames: &[Frame]) -> Vec<u8> {
    let mut file = btsnoop_header(1002);
    for frame in frames {
        let packet = [&[4], &extended_report(frame)[..]].concat();
        file.extend(btsnoop_record(frame.at_us, 3, &packet));
    }
    file
}

/// And one without H4's byte.
pub(super) fn hci_of(frames: &[Frame]) -> Vec<u8> {
    let mut file = btsnoop_header(1001);
    for frame in frames {
        file.extend(btsnoop_record(frame.at_us, 3, &report(frame)));
    }
    file
}

/// A frame on the link layer, with its checksum by the shift register of the specification, bit by bit.
pub(super) fn link_layer(frame: &Frame) -> Vec<u8> {
    let kind = match frame.event {
        2 => 6,
        3 => 2,
        other => other,
    };
    let header = [
        kind | u8::from(frame.random) << 6,
        6 + frame.data.len() as u8,
    ];
    let pdu = [&header[..], &frame.address, &frame.data].concat();
    let mut register = [false; 24];
    for (place, bit) in register.iter_mut().enumerate() {
        *bit = 0x55_5555 >> place & 1 != 0;
    }
    for bit in pdu
        .iter()
        .flat_map(|byte| (0..8).map(move |n| byte >> n & 1 != 0))
    {
        let feedback = register[23] ^ bit;
        register.rotate_right(1);
        register[0] = feedback;
        for tap in [1, 3, 4, 6, 9, 10] {
            register[tap] ^= feedback;
        }
    }
    // The last place is the first on the air.
    let bits: Vec<bool> = register.iter().rev().copied().collect();
    let crc = bits
        .chunks(8)
        .map(|bits| (0..8).map(|n| u8::from(bits[n]) << n).sum::<u8>());
    [
        &0x8E89_BED6_u32.to_le_bytes()[..],
        &pdu,
        &crc.collect::<Vec<u8>>(),
    ]
    .concat()
}

/// A frame as a record of a pcap link type.
pub(super) fn packet(link: u32, frame: &Frame) -> Vec<u8> {
    match link {
        187 => [&[4], &report(frame)[..]].concat(),
        201 => [&[0, 0, 0, 1, 4], &report(frame)[..]].concat(),
        254 => [&[0, 0, 0, 3], &report(frame)[..]].concat(),
        251 => link_layer(frame),
        // Strength valid, checksum looked at and right.
        256 => [
            &[37, (-63i8) as u8, 0, 0, 0xD6, 0xBE, 0x89, 0x8E, 0x03, 0x0C],
            &link_layer(frame)[..],
        ]
        .concat(),
        272 => {
            let packet = link_layer(frame);
            let len = (10 + packet.len() as u16).to_le_bytes();
            let head = [
                0, len[0], len[1], 3, 1, 0, 2, 10, 1, 37, 63, 0, 0, 0, 0, 0, 0,
            ];
            [&head[..], &packet].concat()
        }
        other => panic!("{other}"),
    }
}

/// A pcap of a link type; with nanoseconds or the other byte order.
pub(super) fn pcap_of(link: u32, frames: &[Frame], nanos: bool, big: bool) -> Vec<u8> {
    let number = |it: u32| {
        if big {
            it.to_be_bytes()
        } else {
            it.to_le_bytes()
        }
    };
    let short = |it: u16| {
        if big {
            it.to_be_bytes()
        } else {
            it.to_le_bytes()
        }
    };
    let magic = if nanos { 0xA1B2_3C4D } else { 0xA1B2_C3D4 };
    let mut file = [number(magic).to_vec(), short(2).to_vec(), short(4).to_vec()].concat();
    file.extend([number(0), number(0), number(65_535), number(link)].concat());
    for frame in frames {
        let packet = packet(link, frame);
        let (seconds, micros) = (frame.at_us / 1_000_000, frame.at_us % 1_000_000);
        let part = if nanos { micros * 1_000 } else { micros };
        let len = number(packet.len() as u32);
        file.extend([number(seconds as u32), number(part as u32), len, len].concat());
        file.extend(packet);
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, &body, &len].concat()
}

/// A pcapng of a link type, whose times are nanoseconds.
pub(super) fn pcapng_of(link: u32, frames: &[Frame]) -> Vec<u8> {
    let section = [
        &0x1A2B_3C4D_u32.to_le_bytes()[..],
        &[1, 0, 0, 0],
        &[0xFF; 8],
    ]
    .concat();
    let mut file = block(0x0A0D_0D0A, &section);
    let link_type = (link as u16).to_le_bytes();
    // if_tsresol: 10⁻⁹ s; end of options.
    let options = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    let interface = [&link_type[..], &[0, 0, 0, 0, 0, 0], &options].concat();
    file.extend(block(1, &interface));
    for frame in frames {
        let packet = packet(link, frame);
        let ticks = frame.at_us * 1_000;
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let len = packet.len() as u32;
        let head = [0, high, low, len, len].map(u32::to_le_bytes).concat();
        file.extend(block(6, &[head, packet].concat()));
    }
    file
}
