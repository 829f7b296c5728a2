//! The survey as a whole, lies of devices and aggregators, and the specification's vectors.

use data_encoding::HEXLOWER as HEX;
use prio::codec::Encode as _;
use prio::flp::gadgets::{Mul, ParallelSum};
use prio::flp::types::SumVec;
use prio::vdaf::prio3::Prio3;
use prio::vdaf::xof::XofTurboShake128;

use super::*;
use crate::entropy::SeededEntropy;
use crate::secret::Secret;

const KEY: [u8; 32] = [1; 32];

fn survey(id: u8) -> AdoptionSurvey {
    AdoptionSurvey::new([id; 32], PROVINCES_2021.len()).unwrap()
}

fn pair(survey: &AdoptionSurvey) -> [Aggregator; 2] {
    [Role::Leader, Role::Helper].map(|role| Aggregator::new(survey, role, Secret::new(KEY)))
}

/// What each of the two says of a report.
fn count(
    [leader, helper]: &mut [Aggregator; 2],
    [for_leader, for_helper]: &[ReportShare; 2],
) -> [Result<(), ReportRefused>; 2] {
    let (at_leader, at_helper) = match (leader.prepare(for_leader), helper.prepare(for_helper)) {
        (Ok(at_leader), Ok(at_helper)) => (at_leader, at_helper),
        (a, b) => return [a.map(drop), b.map(drop)],
    };
    let messages = [at_leader.message().to_vec(), at_helper.message().to_vec()];
    [
        leader.accumulate(at_leader, &messages[1]),
        helper.accumulate(at_helper, &messages[0]),
    ]
}

fn report(survey: &AdoptionSurvey, province: usize, seed: u64) -> [ReportShare; 2] {
    survey
        .device_report(province, &mut SeededEntropy::new(seed))
        .unwrap()
}

/// 40 in Bình Định, 61 in Cà Mau.
fn counted(survey: &AdoptionSurvey) -> [Aggregator; 2] {
    let mut pair = pair(survey);
    for device in 0..101 {
        let province = if device < 40 { 34 } else { 62 };
        let report = report(survey, province, device);
        assert_eq!(count(&mut pair, &report), [Ok(()); 2]);
    }
    pair
}

#[test]
fn what_devices_report_is_counted() {
    let survey = survey(1);
    let [leader, helper] = counted(&survey);
    let histogram = histogram(&survey, leader.finish().unwrap(), helper.finish().unwrap());
    let mut expected = vec![0; 63];
    (expected[34], expected[62]) = (40, 61);
    assert_eq!(histogram, Ok(expected));
}

#[test]
fn the_provinces_are_in_the_order_of_their_codes() {
    let codes = PROVINCES_2021.map(|province| province.code);
    assert!(codes.is_sorted_by(|a, b| a < b));
    assert_eq!(PROVINCES_2021[34].name, "Bình Định");
    assert_eq!((codes[0], codes[34], codes[62]), (1, 52, 96));
    // As docs/adoption.md has it for other deployments.
    assert_eq!(survey(1).chunk_length(), 9);
}

/// The same report, split twice, is other bytes throughout; and either half alone says the same of any province.
#[test]
fn a_share_alone_is_random() {
    let survey = survey(1);
    let shares = |province| report(&survey, province, 5).map(|share| share.input_share);
    let ([a, b], [c, d]) = (shares(7), shares(7));
    let same = |a: &[u8], b: &[u8]| a.chunks(16).zip(b.chunks(16)).any(|(a, b)| a == b);
    assert!(!same(&a, &c) && !same(&b, &d));
    // Among a leader's elements, that of its province does not stand out.
    let elements = &a[..63 * 16];
    assert!(elements.chunks(16).all(|element| element[2..] != [0; 14]));
}

#[test]
fn a_report_of_another_batch() {
    let survey = survey(1);
    let (first, second) = (survey.batch(1), survey.batch(2));
    let once = report(&first, 3, 1);
    assert_eq!(count(&mut pair(&first), &once), [Ok(()); 2]);
    let refused = [Err(ReportRefused::NotOneProvince); 2];
    assert_eq!(count(&mut pair(&second), &once), refused);
    assert_eq!(count(&mut pair(&survey), &once), refused);
}

#[test]
fn a_report_replayed() {
    let survey = survey(1);
    let mut pair = pair(&survey);
    let once = report(&survey, 3, 1);
    assert_eq!(count(&mut pair, &once), [Ok(()); 2]);
    let refused = [Err(ReportRefused::Replayed); 2];
    assert_eq!(count(&mut pair, &once), refused);
    // Another report under its nonce is one too.
    assert_eq!(count(&mut pair, &report(&survey, 4, 1)), refused);
    assert_eq!(pair[0].count(), 1);
}

/// A device that proves, by a circuit of its own, that it has two zeros-or-ones: it counts itself twice.
#[test]
fn a_device_in_two_provinces() {
    let survey = survey(1);
    let circuit: SumVec<Field, ParallelSum<Field, Mul>> =
        SumVec::new(1, survey.provinces(), survey.chunk_length()).unwrap();
    let liar = Prio3::<_, XofTurboShake128, 32>::new(2, 1, 4, circuit).unwrap();
    let said = |provinces: &[usize], nonce: u8| {
        let mut measurement = vec![0; survey.provinces()];
        for province in provinces {
            measurement[*province] = 1;
        }
        let nonce = [nonce; 16];
        let (public, input) = liar.shard(&survey.context, &measurement, &nonce).unwrap();
        [0, 1].map(|role: usize| ReportShare {
            nonce,
            public_share: public.get_encoded().unwrap(),
            input_share: input[role].get_encoded().unwrap(),
        })
    };
    let mut pair = pair(&survey);
    let refused = [Err(ReportRefused::NotOneProvince); 2];
    assert_eq!(count(&mut pair, &said(&[3, 4], 1)), refused);
    assert_eq!(count(&mut pair, &said(&[], 2)), refused);
    assert_eq!(pair.map(|it| it.count()), [0, 0]);
}

type Field = prio::field::Field128;

#[test]
fn a_share_changed() {
    let survey = survey(1);
    let mut pair = pair(&survey);
    for (seed, role, place) in [(1, 0, 0), (2, 0, 63 * 16), (3, 1, 0), (4, 1, 32)] {
        let mut shares = report(&survey, 3, seed);
        shares[role].input_share[place] ^= 1;
        let refused = [Err(ReportRefused::NotOneProvince); 2];
        assert_eq!(count(&mut pair, &shares), refused, "{role} {place}");
    }
    let mut shares = report(&survey, 3, 5);
    for share in &mut shares {
        share.public_share[0] ^= 1;
    }
    assert!(count(&mut pair, &shares).iter().any(Result::is_err));
}

#[test]
fn shares_of_two_reports() {
    let survey = survey(1);
    let ([a, _], [_, d]) = (report(&survey, 3, 1), report(&survey, 3, 1));
    let refused = [Err(ReportRefused::NotOneProvince); 2];
    assert_eq!(count(&mut pair(&survey), &[a, d]), refused);
}

#[test]
fn a_report_for_another_survey() {
    let refused = [Err(ReportRefused::NotOneProvince); 2];
    let other = report(&survey(2), 3, 1);
    assert_eq!(count(&mut pair(&survey(1)), &other), refused);
}

#[test]
fn a_share_cut_or_too_long() {
    let survey = survey(1);
    let [leader, helper] = report(&survey, 3, 1);
    for share in [&leader, &helper] {
        let read = ReportShare::from_bytes(&share.to_bytes()).unwrap();
        assert!(read == *share);
    }
    let bytes = leader.to_bytes();
    for len in [0, 15, 16, 79] {
        let refused = ReportRefused::Length { got: len };
        assert_eq!(ReportShare::from_bytes(&bytes[..len]), Err(refused));
    }
    assert!(ReportShare::from_bytes(&vec![0; 16 * 1024 + 1]).is_err());
    let mut pair = pair(&survey);
    for share in [
        &bytes[..80],
        &bytes[..bytes.len() - 1],
        &[&bytes[..], &[0]].concat(),
    ] {
        let share = ReportShare::from_bytes(share).unwrap();
        assert_eq!(
            pair[0].prepare(&share).unwrap_err(),
            ReportRefused::Malformed
        );
    }
    // Each has a form of its own.
    assert!(pair[0].prepare(&helper).is_err());
    assert!(pair[1].prepare(&leader).is_err());
}

#[test]
fn a_message_of_the_other_aggregator_cut_or_changed() {
    let survey = survey(1);
    let [mut leader, mut helper] = pair(&survey);
    for (seed, change) in [(1, 0), (2, 1)] {
        let [for_leader, for_helper] = report(&survey, 3, seed);
        let at_leader = leader.prepare(&for_leader).unwrap();
        let mut message = helper.prepare(&for_helper).unwrap().message().to_vec();
        let refused = match change {
            0 => {
                message.pop();
                ReportRefused::Malformed
            }
            _ => {
                message[0] ^= 1;
                ReportRefused::NotOneProvince
            }
        };
        assert_eq!(leader.accumulate(at_leader, &message), Err(refused));
    }
    assert_eq!(leader.count(), 0);
}

#[test]
fn too_few_reports_have_no_sum() {
    let survey = survey(1);
    let mut pair = pair(&survey);
    for device in 0..99 {
        assert_eq!(count(&mut pair, &report(&survey, 3, device)), [Ok(()); 2]);
    }
    let [leader, _] = pair;
    let too_few = AdoptionError::TooFewReports { min: 100, got: 99 };
    assert_eq!(leader.finish().unwrap_err(), too_few);
}

#[test]
fn aggregators_that_counted_other_reports() {
    let survey = survey(1);
    let [leader, _] = counted(&survey);
    let mut other = pair(&survey);
    for device in 0..101 {
        let counted = count(&mut other, &report(&survey, 3, 1_000 + device));
        assert_eq!(counted, [Ok(()); 2]);
    }
    let [_, helper] = other;
    let [leader, helper] = [leader, helper].map(|it| it.finish().unwrap());
    let differ = AdoptionError::BatchesDiffer {
        leader: 101,
        helper: 101,
    };
    assert_eq!(histogram(&survey, leader, helper), Err(differ));
}

#[test]
fn one_aggregators_sum_for_both() {
    let survey = survey(1);
    let [leader, helper] = counted(&survey).map(|it| it.finish().unwrap());
    assert_eq!(
        histogram(&survey, helper, leader),
        Err(AdoptionError::Roles)
    );
}

#[test]
fn surveys_and_provinces_that_there_are_not() {
    for provinces in [0, 1, 257] {
        let refused = AdoptionSurvey::new([1; 32], provinces).unwrap_err();
        assert_eq!(refused, AdoptionError::Provinces { got: provinces });
    }
    assert!(AdoptionSurvey::new([1; 32], 256).is_ok());
    let refused = survey(1).device_report(63, &mut SeededEntropy::new(1));
    let expected = AdoptionError::NoSuchProvince {
        got: 63,
        provinces: 63,
    };
    assert_eq!(refused.unwrap_err(), expected);
}

#[test]
fn the_longest_share_is_read() {
    let survey = AdoptionSurvey::new([1; 32], PROVINCES_MAX).unwrap();
    let [leader, _] = report(&survey, 255, 1);
    assert!(ReportShare::from_bytes(&leader.to_bytes()).is_ok());
}

#[test]
fn debug_shows_no_share() {
    let survey = survey(1);
    let [leader, _] = report(&survey, 3, 1);
    let len = leader.input_share.len();
    assert_eq!(
        format!("{leader:?}"),
        format!("ReportShare {{ bytes: {len}, .. }}")
    );
}

// -- Prio3Histogram_0 of the test vectors of draft-irtf-cfrg-vdaf-18, with which `prio` 0.18.1 comes --

const CONTEXT: &str = "736f6d65206170706c69636174696f6e";
const VERIFY_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NONCE: &str = "000102030405060708090a0b0c0d0e0f";
const PUBLIC: &str = "99fe27688507f8fb85eb564b85374872af0d5db417228ff8940d3d21c56aa1f6ac76ff51698f6c2e1a3e8869b44cf53de72da459d305e8a27e731bb685b05d86";
const INPUTS: [&str; 2] = [
    "0bc33b18788b18bcf18237224441fd12b1b4413faf2a370602f1413a4c66b6173abf42cc98f49a3e0184b1a6c30ecdedbe47eb2c834389c435afe71f5d7e3d44c31ff8ceb49d12b8725242e3ba03df8c83960dbbc545b556d9019e198b028f96e1ecab09b3f32995f1a77c63335af43584a9997fc045cacfc36314da79c0a9f62def334c7f96a411ac6fd7e371e8a1229daae809ed2fa5ce7aad581296f369a8c5037c7ff445c426ca35ed34904b335b38a164283612e000d9a14f293c88e998cec8c468354b53db7d539c3e68d0077bed5bc04691710dc8ecda1f022bef7ae724ea5e3b4d3ce268621b4d1e9012f39c404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
];
const VERIFIERS: [&str; 2] = [
    "240bc6b75e169e6d038e3bf7c2cb841ff88d5cca88280090c2cc0e3674f45e244bee3f036043e1f14b87869d7be2899a6d19c8d38a6704b433a13ff6d88f0ad6da9f371e0c799b01374891c253741a7b47e011a8c5532aba63528ae7799e47a499fe27688507f8fb85eb564b85374872af0d5db417228ff8940d3d21c56aa1f6",
    "ddf43948a1e96192e071c4083d347be07806e8fb20b426b204f73c5d5c352626851c75df044841b730623dcd732c1551382232b34bd5bd1a5aeefb4a687120ed5f6ca8e1d9ea721755f3a30788dd75fab3ec4db86e1f19c224226005677ffcc1ac76ff51698f6c2e1a3e8869b44cf53de72da459d305e8a27e731bb685b05d86",
];
const SUMS: [&str; 2] = [
    "0bc33b18788b18bcf18237224441fd12b1b4413faf2a370602f1413a4c66b6173abf42cc98f49a3e0184b1a6c30ecdedbe47eb2c834389c435afe71f5d7e3d44",
    "f63cc4e78774e743f27cc8ddbbbe02ed504bbec050d5c8f9e10ebec5b39949e8c840bd33670b65c1e27b4e593cf1321243b814d37cbc763bae5018e0a281c2bb",
];

fn hex(text: &str) -> Vec<u8> {
    HEX.decode(text.as_bytes()).unwrap()
}

#[test]
fn the_specifications_vector_comes_out() {
    let survey = AdoptionSurvey::of(hex(CONTEXT), 4, 2, 1).unwrap();
    let key: [u8; 32] = hex(VERIFY_KEY).try_into().unwrap();
    let mut aggregators =
        [Role::Leader, Role::Helper].map(|role| Aggregator::new(&survey, role, Secret::new(key)));
    let shares = INPUTS.map(|input| {
        let bytes = [hex(NONCE), hex(PUBLIC), hex(input)].concat();
        ReportShare::from_bytes(&bytes).unwrap()
    });
    for (place, verifier) in VERIFIERS.iter().enumerate() {
        let prepared = Aggregator::new(&survey, aggregators[place].role(), Secret::new(key))
            .prepare(&shares[place])
            .unwrap();
        assert_eq!(prepared.message(), hex(verifier));
    }
    assert_eq!(count(&mut aggregators, &shares), [Ok(()); 2]);
    let [leader, helper] = aggregators.map(|it| it.finish().unwrap());
    assert_eq!([leader.sum_bytes(), helper.sum_bytes()], SUMS.map(hex));
    assert_eq!(histogram(&survey, leader, helper), Ok(vec![0, 0, 1, 0]));
}
