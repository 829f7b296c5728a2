//! Files of every format, whole, cut and hostile; and what a host says that it sent.

use std::sync::LazyLock;

use proptest::prelude::*;
use truyvet::field::capture::{
    Address, Broadcast, Capture, CaptureError, HeardAdvertisement, Observation, RECORD_BYTES_MAX,
};

use super::air::{Device, Frame, START_US, crowd, heard};
use super::files::{self, COMMAND, EVENT, MONITOR, btsnoop_header, btsnoop_record};
use super::{check, observations};

static FRAMES: LazyLock<Vec<Frame>> = LazyLock::new(|| {
    let answering = Device {
        answer: Some(vec![3, 9, b'h', b'i']),
        ..Device::new(3)
    };
    let mut frames = heard(&[crowd(1..3), vec![answering]].concat());
    frames.truncate(60);
    frames
});

fn some_frames() -> Vec<Frame> {
    FRAMES.clone()
}

/// Whether a file tells the frames, with or without their strength.
fn assert_tells(file: &[u8], frames: &[Frame], measured: bool) {
    let told = observations(file);
    assert_eq!(told.len(), frames.len());
    for (observation, frame) in told.iter().zip(frames) {
        let Observation::Heard(heard) = observation else {
            panic!("{observation:?}");
        };
        let HeardAdvertisement {
            at_us,
            address,
            data,
            rssi,
            ..
        } = heard;
        assert_eq!((*at_us, data), (frame.at_us, &frame.data));
        assert_eq!(*address, Address::from_wire(frame.address, frame.random));
        assert_eq!(rssi.map(|it| it.dbm()), measured.then_some(-63));
        let form = heard.form;
        let expected = (false, frame.event == 2, frame.event == 4);
        assert_eq!(
            (form.connectable, form.scannable, form.scan_response),
            expected
        );
        assert!(!form.extended && !form.directed);
    }
}

#[test]
fn every_format_and_link_type_tells_the_same() {
    let frames = some_frames();
    for file in [
        files::btsnoop_of(&frames),
        files::android_of(&frames),
        files::hci_of(&frames),
    ] {
        assert_tells(&file, &frames, true);
    }
    for link in [187, 201, 251, 254, 256, 272] {
        let measured = link != 251;
        for (nanos, big) in [(false, false), (true, false), (false, true), (true, true)] {
            assert_tells(
                &files::pcap_of(link, &frames, nanos, big),
                &frames,
                measured,
            );
        }
        assert_tells(&files::pcapng_of(link, &frames), &frames, measured);
    }
}

#[test]
fn a_frame_that_was_misheard_is_counted() {
    let frames = some_frames();
    let mut file = files::pcap_of(251, &frames[..1], false, false);
    let last = file.len() - 5;
    file[last] ^= 0x10;
    let mut capture = Capture::open(&file[..]).unwrap();
    assert_eq!(capture.next_observation().unwrap(), None);
    assert_eq!(capture.counts().misheard, 1);
}

#[test]
fn an_extended_report_in_pieces() {
    let frame = some_frames().into_iter().find(|it| it.event == 3).unwrap();
    let (first, second) = frame.data.split_at(9);
    let mut file = btsnoop_header(MONITOR);
    for (piece, status) in [(first, 0x20), (second, 0x00)] {
        let piece = Frame {
            data: piece.to_vec(),
            ..frame.clone()
        };
        let mut report = files::extended_report(&piece);
        report[4] |= status;
        file.extend(btsnoop_record(frame.at_us, EVENT, &report));
    }
    assert_tells(&file, &[frame], true);
}

#[test]
fn truncated() {
    let frames = some_frames();
    let ng = files::pcapng_of(187, &frames[..3]);
    let pcap = files::pcap_of(187, &frames[..3], false, false);
    for file in [files::btsnoop_of(&frames[..3]), pcap, ng] {
        let whole = observations(&file).len();
        assert_eq!(whole, 3);
        let mut capture = Capture::open(&file[..file.len() - 1]).unwrap();
        let mut told = 0;
        while capture.next_observation().unwrap().is_some() {
            told += 1;
        }
        assert_eq!(told, 2);
        let Some(CaptureError::Cut { expected, got, .. }) = capture.cut() else {
            panic!("{:?}", capture.cut());
        };
        assert!(got < expected, "{got} of {expected}");
    }
}

#[test]
fn record_longer_than_file() {
    let mut file = files::btsnoop_of(&some_frames()[..1]);
    // The second record claims a kilobyte, and has three bytes.
    file.extend(btsnoop_record(START_US, EVENT, &[0; 3]));
    let len_at = file.len() - 3 - 20;
    file[len_at..len_at + 4].copy_from_slice(&1_024u32.to_be_bytes());
    let mut capture = Capture::open(&file[..]).unwrap();
    assert!(capture.next_observation().unwrap().is_some());
    assert!(capture.next_observation().unwrap().is_none());
    let cut = capture.cut().unwrap().to_string();
    assert!(cut.contains("has 1024 bytes, 3 follow"), "{cut}");
}

#[test]
fn record_longer_than_any() {
    for len in [RECORD_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut file = btsnoop_header(MONITOR);
        file.extend(btsnoop_record(START_US, EVENT, &[0; 3]));
        file[20..24].copy_from_slice(&len.to_be_bytes());
        let error = Capture::open(&file[..])
            .unwrap()
            .next_observation()
            .unwrap_err();
        assert!(
            matches!(error, CaptureError::RecordTooLong { offset: 40, .. }),
            "{error}"
        );
    }
    // The parser of the others has a window, which grows for nobody.
    let frames = some_frames();
    for mut file in [
        files::pcap_of(187, &frames[..1], false, false),
        files::pcapng_of(187, &frames[..1]),
    ] {
        let at = if file[0] == 0x0A { file.len() - 72 } else { 32 };
        let at = file[at..]
            .windows(4)
            .position(|it| it[1..] == [0, 0, 0] && it[0] > 40)
            .unwrap()
            + at;
        file[at..at + 4].copy_from_slice(&0x0F00_0000u32.to_le_bytes());
        let file = [file, vec![0; 3_000_000]].concat();
        let mut capture = Capture::open(&file[..]).unwrap();
        let error = capture.next_observation().unwrap_err();
        assert!(
            matches!(
                error,
                CaptureError::RecordTooLong { .. } | CaptureError::Malformed { .. }
            ),
            "{error}"
        );
    }
}

#[test]
fn no_capture_of_bluetooth() {
    let refused = |file: &[u8]| match Capture::open(file) {
        Err(error) => error.to_string(),
        Ok(mut capture) => capture.next_observation().unwrap_err().to_string(),
    };
    assert!(refused(b"").contains("expected a btsnoop, pcap or pcapng file"));
    assert!(refused(b"PK\x03\x04").contains("504b0304"));
    assert!(refused(b"btsnoop\0").contains("8 are there"));
    assert!(refused(&btsnoop_header(1003)).contains("got 1003"));
    let version = [&b"btsnoop\0"[..], &[0, 0, 0, 2, 0, 0, 7, 0xD1]].concat();
    assert!(refused(&version).contains("version 1, got 2"));
    let mut ethernet = files::pcap_of(187, &[], false, false);
    ethernet[20] = 1;
    let why = refused(&ethernet);
    assert!(why.contains("got 1: capture again"), "{why}");
}

/// Commands to hci3, each answered with this status.
fn commands(commands: &[(u16, &[u8], u8)]) -> Vec<u8> {
    let mut file = btsnoop_header(MONITOR);
    for (at_us, (command, parameters, status)) in (START_US..).zip(commands) {
        let [low, high] = command.to_le_bytes();
        let asked = [&[low, high, parameters.len() as u8], *parameters].concat();
        file.extend(btsnoop_record(at_us, 3 << 16 | COMMAND, &asked));
        let answer = [0x0E, 4, 1, low, high, *status];
        file.extend(btsnoop_record(at_us, 3 << 16 | EVENT, &answer));
    }
    file
}

fn sent(file: &[u8]) -> Vec<Broadcast> {
    let sent = observations(file).into_iter().map(|it| match it {
        Observation::Sent(sent) => sent,
        other => panic!("{other:?}"),
    });
    sent.collect()
}

#[test]
fn a_broadcast_is_read_from_what_was_carried_out() {
    let whole = commands(&[
        (0x2006, &[0, 8, 0, 8, 3, 1], 0),
        (0x2005, &[1; 6], 0),
        (0x2008, &[2, 1, 2, 9], 0),
        (0x200A, &[1], 0),
        // The controller refuses another address while it advertises.
        (0x2005, &[2; 6], 0x0C),
        (0x200A, &[0], 0),
        (0x200A, &[1], 0),
    ]);
    let found = sent(&whole);
    let [first, second] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((first.adapter, first.set), (3, None));
    assert_eq!(
        (first.begun_us, first.ended_us),
        (START_US + 3, Some(START_US + 5))
    );
    assert_eq!(first.address, Some(Address::from_wire([1; 6], true)));
    assert_eq!(first.data, [1, 2]);
    assert_eq!((second.address, second.ended_us), (first.address, None));
    // What is on the air at the end was there until the last record, whatever that is of.
    assert_eq!(second.known_until_us, second.begun_us);
    let hours = START_US + 3 * 3_600_000_000;
    let later = btsnoop_record(hours, 3 << 16 | EVENT, &[0x0E, 4, 1, 0x03, 0x10, 0]);
    let kept = sent(&[&whole[..], &later].concat());
    assert_eq!(kept[1].known_until_us, hours);
    for cut in 16..whole.len() {
        assert!(sent(&whole[..cut]).len() <= 2);
    }
}

#[test]
fn a_broadcast_of_an_extended_set() {
    let enable: &[u8] = &[1, 1, 7, 0, 0, 0];
    let parameters: &[u8] = &[
        7, 0x10, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 127, 1, 0, 1, 0, 0, 0,
    ];
    let file = commands(&[
        (0x2036, parameters, 0),
        (0x2035, &[7, 1, 1, 1, 1, 1, 1], 0),
        (0x2037, &[7, 1, 0, 2, 1, 2], 0),
        (0x2037, &[7, 2, 0, 1, 3], 0),
        (0x2039, enable, 0),
        // Changed on the air: another broadcast, under the same address.
        (0x2037, &[7, 3, 0, 1, 9], 0),
        (0x2039, &[0, 0], 0),
    ]);
    let found = sent(&file);
    let [first, second] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((first.set, &first.data[..]), (Some(7), &[1, 2, 3][..]));
    assert!(!first.form.extended && !first.form.connectable);
    assert_eq!(first.address, Some(Address::from_wire([1; 6], true)));
    assert_eq!(second.data, [9]);
    assert_eq!(first.ended_us, Some(second.begun_us));
}

/// Data that is changed in place is on the air under the old address for a moment, which nobody but the host itself may hear.
#[test]
fn old_and_new_at_once_are_told_from_the_commands_alone() {
    use truyvet::field::linkability::{Kind, Verdict};
    let data = |byte| {
        let frame = super::air::gaen(0x1A, &[byte; 16], &[byte; 4]);
        [vec![frame.len() as u8], frame].concat()
    };
    let (one, two) = (data(1), data(2));
    let file = commands(&[
        (0x2006, &[0, 8, 0, 8, 3, 1], 0),
        (0x2005, &[1; 6], 0),
        (0x2008, &one, 0),
        (0x200A, &[1], 0),
        (0x2008, &two, 0),
        (0x200A, &[0], 0),
    ]);
    let report = check(&file);
    assert_eq!(report.verdict, Verdict::Linkable);
    assert_eq!(report.findings[0].kind, Kind::AddressOutlivesIdentifier);
    assert_eq!(report.devices[0].sender, Some((0, 3)));
}

/// Whatever comes of a file, it is an end or an error.
fn exhaust(file: &[u8]) {
    if let Ok(mut capture) = Capture::open(file) {
        while let Ok(Some(_)) = capture.next_observation() {}
        assert!(matches!(capture.next_observation(), Ok(None)));
    }
}

proptest! {
    #[test]
    fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..9usize) {
        let links = [187, 201, 251, 254, 256, 272];
        let head = match kind {
            0 => Vec::new(),
            1 => btsnoop_header(MONITOR),
            2 => files::pcapng_of(187, &[]),
            _ => files::pcap_of(links[kind - 3], &[], false, false),
        };
        exhaust(&[head, bytes].concat());
    }

    #[test]
    fn any_packet_parses_or_fails(bytes in proptest::collection::vec(any::<u8>(), 0..80), flags in any::<u32>(), link in 0..3usize) {
        let head = btsnoop_header([1001, 1002, MONITOR][link]);
        let record = |packet: &[u8]| btsnoop_record(START_US, flags, packet);
        let event = [&[0x3E, 40, 0x0D], &bytes[..]].concat();
        exhaust(&[head, record(&bytes), record(&event)].concat());
    }

    #[test]
    fn a_file_changed_anywhere_parses_or_fails(at in any::<proptest::sample::Index>(), byte in any::<u8>(), kind in 0..4usize) {
        let frames = some_frames();
        let mut file = match kind {
            0 => files::btsnoop_of(&frames[..3]),
            1 => files::pcap_of(272, &frames[..3], false, true),
            2 => files::pcap_of(256, &frames[..3], true, false),
            _ => files::pcapng_of(251, &frames[..3]),
        };
        let at = at.index(file.len());
        file[at] = byte;
        exhaust(&file);
    }
}
