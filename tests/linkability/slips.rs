//! Slips made on purpose, each by its name.

use proptest::prelude::*;
use truyvet::field::capture::{AddressKind, Capture};
use truyvet::field::linkability::{
    Certainty, Checker, Config, Finding, Kind, Report, Severity, Verdict,
};

use super::air::{Device, Random, SECOND_US, SLOT_US, START_US, capture, crowd, gaen, heard};
use super::{check, files, observations};

/// The kinds found, each once, in order.
fn kinds(report: &Report) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = report.findings.iter().map(|it| it.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The only finding.
fn only(report: &Report) -> &Finding {
    assert_eq!(report.verdict, Verdict::Linkable);
    let [finding] = &report.findings[..] else {
        panic!("{:#?}", report.findings);
    };
    finding
}

fn with(device: Device) -> Vec<Device> {
    [vec![device], crowd(100..104)].concat()
}

#[test]
fn clean() {
    for seed in 0..3 {
        let report = check(&capture(&crowd(10 * seed..10 * seed + 5)));
        assert_eq!(report.findings, [], "seed {seed}");
        assert_eq!(report.verdict, Verdict::Clean, "{:#?}", report.checks);
        assert_eq!(
            (report.totals.identifiers, report.totals.addresses),
            (35, 35)
        );
    }
}

#[test]
fn alone_and_clean() {
    let report = check(&capture(&[Device::new(7)]));
    assert_eq!((report.verdict, report.totals.changes), (Verdict::Clean, 6));
    assert!(report.devices.len() == 1 && report.devices[0].stays.len() == 7);
    let judged = |name: &str| {
        report
            .checks
            .iter()
            .any(|it| it.name.contains(name) && it.judged)
    };
    assert!(
        judged("phase") && judged("moments") && !judged("intervals"),
        "{:#?}",
        report.checks
    );
}

/// What DP-3T found 38 times in 160,556 changes: an identifier that was sent from the next address too.
#[test]
fn identifier_outlives_its_address() {
    let report = check(&capture(&with(Device {
        new_id: |slot| slot != 3,
        ..Device::new(1)
    })));
    let finding = only(&report);
    assert_eq!(finding.kind, Kind::IdentifierOutlivesAddress);
    assert_eq!(
        (finding.severity, finding.certainty),
        (Severity::Medium, Certainty::Certain)
    );
    assert_eq!(finding.evidence.len(), 2);
    assert_eq!(
        finding.evidence[0].identifier,
        finding.evidence[1].identifier
    );
    // Both slots, and not a third.
    assert!(
        (1_190..1_210).contains(&finding.linkable_s.unwrap()),
        "{finding:?}"
    );
}

/// What DP-3T found of one phone, a Galaxy S10: its address stayed for three and a half hours.
#[test]
fn address_outlives_its_identifier() {
    let report = check(&capture(&[Device {
        slots: 21,
        new_address: |_| false,
        ..Device::new(1)
    }]));
    let finding = only(&report);
    assert_eq!(finding.kind, Kind::AddressOutlivesIdentifier);
    assert_eq!(
        (finding.severity, finding.certainty),
        (Severity::High, Certainty::Certain)
    );
    assert!(finding.linkable_s.unwrap() >= 12_590, "{finding:?}");
    assert!(
        finding.what.contains("20 times: 21 identifiers"),
        "{}",
        finding.what
    );
}

#[test]
fn both_slip_in_turn_and_all_is_one_chain() {
    let report = check(&capture(&with(Device {
        new_address: |slot| slot % 2 == 0,
        new_id: |slot| slot % 2 == 1,
        ..Device::new(1)
    })));
    assert_eq!(
        kinds(&report),
        [
            Kind::AddressOutlivesIdentifier,
            Kind::IdentifierOutlivesAddress
        ]
    );
    for finding in &report.findings {
        assert_eq!(finding.severity, Severity::High);
        assert!(finding.linkable_s.unwrap() > 4_190, "{finding:?}");
    }
}

#[test]
fn identifier_kept() {
    let report = check(&capture(&with(Device {
        new_id: |_| false,
        new_address: |_| false,
        ..Device::new(1)
    })));
    assert_eq!(only(&report).kind, Kind::IdentifierKept);
}

#[test]
fn constant_field() {
    // The metadata is not encrypted anew; a name in the answer to a scan.
    let metadata = Device {
        metadata: Some([1, 2, 3, 4]),
        ..Device::new(1)
    };
    let named = Device {
        answer: Some(vec![5, 9, b'A', b'l', b'm', b'a']),
        ..Device::new(2)
    };
    for (device, name) in [(metadata, "metadata"), (named, "name in the answer")] {
        for devices in [vec![device.clone()], with(device)] {
            let report = check(&capture(&devices));
            let found = report.findings.iter().find(|it| it.what.contains(name));
            let finding = found.unwrap_or_else(|| panic!("{name}: {:#?}", report.findings));
            assert_eq!(
                (finding.kind, finding.severity),
                (Kind::ConstantField, Severity::High)
            );
            assert!(finding.what.contains("over 6 changes"), "{}", finding.what);
        }
    }
}

#[test]
fn flags_unlike_all_others() {
    let odd = Device {
        flags: 0x06,
        ..Device::new(1)
    };
    let report = check(&capture(&with(odd.clone())));
    let finding = only(&report);
    assert_eq!(
        (finding.kind, finding.certainty),
        (Kind::ConstantField, Certainty::Possible)
    );
    assert!(
        finding.what.contains("the same flags over"),
        "{}",
        finding.what
    );
    // Beside one other, nobody can say whose the odd ones are; and two that share them are two.
    for devices in [
        vec![odd.clone(), Device::new(2)],
        [with(odd.clone()), vec![Device { seed: 9, ..odd }]].concat(),
    ] {
        let report = check(&capture(&devices));
        assert_eq!(report.findings, []);
    }
}

#[test]
fn interval_unlike_all_others() {
    let slow = Device {
        interval_us: 2 * SECOND_US + 60_000,
        ..Device::new(1)
    };
    let report = check(&capture(&with(slow)));
    let finding = only(&report);
    assert_eq!(finding.kind, Kind::ConstantField);
    assert!(
        finding.what.contains("advertising interval"),
        "{}",
        finding.what
    );
}

#[test]
fn phase_kept() {
    let device = Device {
        keeps_phase: true,
        ..Device::new(1)
    };
    let report = check(&capture(&[device]));
    let finding = only(&report);
    assert_eq!(
        (finding.kind, finding.severity),
        (Kind::PhaseKept, Severity::High)
    );
    assert!(finding.what.contains("of 6 changes"), "{}", finding.what);
}

#[test]
fn public_address() {
    let report = check(&capture(&with(Device {
        public: true,
        ..Device::new(1)
    })));
    assert_eq!(
        kinds(&report),
        [Kind::AddressOutlivesIdentifier, Kind::PublicAddress]
    );
    let public = report
        .findings
        .iter()
        .find(|it| it.kind == Kind::PublicAddress)
        .unwrap();
    assert_eq!(public.linkable_s, None);
    let of_kind = |kind| {
        report
            .devices
            .iter()
            .filter(move |it| it.stays[0].address_kind == kind)
    };
    assert_eq!(of_kind(AddressKind::Public).count(), 1);
}

#[test]
fn changes_at_a_fixed_offset() {
    let exact = |seed, late_us| Device {
        exact: true,
        late_us,
        ..Device::new(seed)
    };
    // All at the slots' ends; and one forty seconds behind, alone and beside others.
    let together = check(&capture(&[exact(1, 0), exact(2, 0), exact(3, 0)]));
    assert!(
        !kinds(&together).contains(&Kind::FixedOffset),
        "{:#?}",
        together.findings
    );
    for devices in [
        vec![exact(1, 40 * SECOND_US)],
        vec![exact(1, 40 * SECOND_US), exact(2, 20 * SECOND_US)],
    ] {
        assert!(kinds(&check(&capture(&devices))).contains(&Kind::FixedOffset));
    }
}

#[test]
fn too_little_to_judge() {
    let short = Device {
        slots: 3,
        ..Device::new(1)
    };
    let report = check(&capture(&[short]));
    assert_eq!(
        (report.verdict, report.totals.changes),
        (Verdict::TooLittle, 2)
    );
    assert!(!report.checks[0].judged, "{:?}", report.checks);
    let nothing = check(&files::btsnoop_of(&[]));
    assert_eq!(
        (nothing.verdict, nothing.totals.frames),
        (Verdict::TooLittle, 0)
    );
}

#[test]
fn a_flood_is_counted_and_nothing_is_called_clean() {
    let mut random = Random(5);
    let frames = (0..500).map(|n| super::air::Frame {
        at_us: START_US + n * 1_000,
        random: true,
        address: random.address(),
        event: 3,
        data: gaen(0x1A, &random.bytes(), &random.bytes()),
    });
    let flood: Vec<_> = frames.collect();
    let mut config = Config::default();
    config.presences_max = 50;
    let mut checker = Checker::new(config);
    for observation in observations(&files::btsnoop_of(&flood)) {
        checker.take(&observation);
    }
    let report = checker.finish();
    assert_eq!(
        (report.totals.identifiers, report.totals.left_out),
        (50, 450)
    );
    assert_ne!(report.verdict, Verdict::Clean);
}

/// Of many thousand metadata of four bytes two are the same by chance, which says nothing.
#[test]
fn a_value_that_chance_repeats_is_nobodys() {
    let mut random = Random(6);
    let frames = (0..4_000).map(|n| super::air::Frame {
        at_us: START_US + n * 30 * SECOND_US,
        random: true,
        address: random.address(),
        event: 3,
        data: gaen(0x1A, &random.bytes(), &(n as u32 % 3_999).to_le_bytes()),
    });
    let frames: Vec<_> = frames.collect();
    assert_eq!(check(&files::btsnoop_of(&frames)).findings, []);
    // Of a hundred it is one device's.
    let few = [&frames[..99], &frames[3_999..]].concat();
    assert_eq!(
        only(&check(&files::btsnoop_of(&few))).kind,
        Kind::ConstantField
    );
}

/// A relay sends somebody's identifier from its own address at the same time: that is said, and is not sure.
#[test]
fn a_relay_is_no_certain_slip() {
    let mut frames = heard(&crowd(1..5));
    let relayed: Vec<_> = frames
        .iter()
        .filter(|it| it.address == frames[0].address)
        .cloned()
        .collect();
    let mut random = Random(77);
    let address = random.address();
    frames.extend(relayed.into_iter().map(|frame| super::air::Frame {
        at_us: frame.at_us + 20_000,
        address,
        ..frame
    }));
    frames.sort_by_key(|frame| frame.at_us);
    let report = check(&files::btsnoop_of(&frames));
    let finding = only(&report);
    assert_eq!(finding.kind, Kind::IdentifierOutlivesAddress);
    assert_eq!(finding.certainty, Certainty::Possible);
}

/// Two captures of one hour say together what each says alone.
#[test]
fn two_listeners_are_one() {
    let frames = heard(&crowd(1..4));
    let (even, odd): (Vec<_>, Vec<_>) = frames.iter().cloned().partition(|it| it.at_us % 2 == 0);
    let mut checker = Checker::new(Config::default());
    for half in [even, odd] {
        for observation in observations(&files::btsnoop_of(&half)) {
            checker.take(&observation);
        }
        checker.next_capture();
    }
    let report = checker.finish();
    assert_eq!(report.verdict, Verdict::Clean, "{:#?}", report.findings);
    assert_eq!(report.totals.frames, frames.len() as u64);
}

/// What the bed recorded of two tracers on the real stack.
#[test]
fn two_tracers_on_the_real_stack_are_clean() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/captures");
    let file = std::fs::File::open(format!("{folder}/two-tracers.btsnoop")).unwrap();
    let mut capture = Capture::open(file).unwrap();
    let mut checker = Checker::new(Config::default());
    while let Some(observation) = capture.next_observation().unwrap() {
        checker.take(&observation);
    }
    let (counts, report) = (capture.counts(), checker.finish());
    assert_eq!((counts.malformed, counts.foreign), (0, 0));
    assert!(counts.heard > 0 && counts.sent > 0, "{counts:?}");
    assert_eq!(report.verdict, Verdict::Clean, "{:#?}", report.findings);
    assert!(report.totals.changes >= 20, "{:?}", report.totals);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// In whichever order devices stand, and whichever of two frames at the same moment comes first.
    #[test]
    fn shuffling_devices_does_not_change_findings(order in Just((0..4).collect::<Vec<usize>>()).prop_shuffle()) {
        let slips = [
            Device { new_address: |slot| slot != 2, ..Device::new(1) },
            Device { flags: 0x06, ..Device::new(2) },
            Device { metadata: Some([7; 4]), ..Device::new(3) },
            Device::new(4),
        ];
        let shuffled: Vec<Device> = order.iter().map(|it| slips[*it].clone()).collect();
        // A slot is long; the first three are enough here.
        let until = START_US + 4 * SLOT_US;
        let of = |devices: &[Device]| {
            let mut frames = heard(devices);
            frames.retain(|it| it.at_us < until);
            frames.iter_mut().for_each(|it| it.at_us = it.at_us / 1_000_000 * 1_000_000);
            check(&files::btsnoop_of(&frames))
        };
        let (expected, report) = (of(&slips), of(&shuffled));
        prop_assert!(!expected.findings.is_empty());
        prop_assert_eq!(expected.findings, report.findings);
        prop_assert_eq!(expected.checks, report.checks);
    }
}
