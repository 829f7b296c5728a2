//! Seeds of captures.

use std::fs;

use super::{Failure, Seeds, advertisements, vectors};

/// Microseconds from the year 0 to 2020-08-08, which is how btsnoop counts.
const AT_US: u64 = 0x00DC_DDB3_0F2F_8000 + 1_596_844_800_000_000;

pub fn captures() -> Result<Seeds, Failure> {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, bytes| drop(seeds.insert(name.to_owned(), bytes));
    let recorded = fs::read(vectors("captures/two-tracers.btsnoop"))?;
    // The controllers, what they are told to send, and the first reports.
    add(
        "two tracers",
        recorded[..20_000.min(recorded.len())].to_vec(),
    );
    add("cut", recorded[..1_001].to_vec());
    let frames: Vec<Vec<u8>> = advertisements()?.into_values().take(8).collect();
    for (link, before) in [(1001, &[][..]), (1002, &[4])] {
        add(&format!("btsnoop {link}"), btsnoop(link, &frames, before));
    }
    for (link, before) in [
        (187, &[4][..]),
        (201, &[0, 0, 0, 1, 4]),
        (254, &[0, 0, 0, 3]),
    ] {
        let packets = frames.iter().map(|frame| [before, &report(frame)].concat());
        add(&format!("pcap {link}"), pcap(link, packets));
        let packets = frames.iter().map(|frame| [before, &report(frame)].concat());
        add(&format!("pcapng {link}"), pcapng(link, packets));
    }
    let good = [37, 193, 0, 0, 0xD6, 0xBE, 0x89, 0x8E, 0x03, 0x0C];
    let nordic = [0, 60, 0, 3, 1, 0, 2, 10, 1, 37, 63, 0, 0, 0, 0, 0, 0];
    for (link, before) in [(251, &[][..]), (256, &good), (272, &nordic)] {
        let packets = frames
            .iter()
            .map(|frame| [before, &link_layer(frame)].concat());
        add(&format!("pcap {link}"), pcap(link, packets));
    }
    Ok(seeds)
}

/// An advertising report.
fn report(frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u8;
    [
        &[0x3E, 12 + len, 2, 1, 3, 1, 1, 2, 3, 4, 5, 6, len],
        frame,
        &[200],
    ]
    .concat()
}

/// A packet of the link layer whose checksum nobody has made.
fn link_layer(frame: &[u8]) -> Vec<u8> {
    let head = [
        0xD6,
        0xBE,
        0x89,
        0x8E,
        0x42,
        6 + frame.len() as u8,
        1,
        2,
        3,
        4,
        5,
        6,
    ];
    [&head[..], frame, &[0; 3]].concat()
}

fn btsnoop(link: u32, frames: &[Vec<u8>], before: &[u8]) -> Vec<u8> {
    let mut file = [&b"btsnoop\0\0\0\0\x01"[..], &link.to_be_bytes()].concat();
    for (frame, at) in frames.iter().zip(AT_US..) {
        let packet = [before, &report(frame)].concat();
        let len = (packet.len() as u32).to_be_bytes();
        file.extend(
            [
                &len[..],
                &len,
                &3u32.to_be_bytes(),
                &[0; 4],
                &at.to_be_bytes(),
            ]
            .concat(),
        );
        file.extend(packet);
    }
    file
}

fn pcap(link: u32, packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let head = [0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, link].map(u32::to_le_bytes);
    let mut file = head.concat();
    for packet in packets {
        let len = packet.len() as u32;
        file.extend([1_596_844_800, 0, len, len].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

fn pcapng(link: u32, packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let len = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, &body, &len].concat()
    };
    let section = [0x1A2B_3C4D, 1, u32::MAX, u32::MAX].map(u32::to_le_bytes);
    let mut file = block(0x0A0D_0D0A, section.concat());
    file.extend(block(1, [link, 0].map(u32::to_le_bytes).concat()));
    for packet in packets {
        let len = packet.len() as u32;
        let head = [0, 0x0005_AC56, 0, len, len].map(u32::to_le_bytes).concat();
        file.extend(block(6, [head, packet].concat()));
    }
    file
}
