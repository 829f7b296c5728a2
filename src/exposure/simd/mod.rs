//! The derivations once more, with what some processors have beyond the common: the only unsafe code of the
//! crate's own accord.
//!
//! It is chosen at run time and computes what [`derivation`](super::derivation) does, which the tests hold it
//! to. Keys that are published are no secrets, so neither wipes anything.
//!
//! SHA-NI is not used here: its instructions have no AVX encoding, and with dirty upper halves of the registers
//! each takes a hundred times as long. Nobody needs it, as sixteen hashes side by side are faster.
#![allow(
    unsafe_code,
    reason = "loads, stores and gathers of vectors, and calls of what the processor was asked for, cannot be had without"
)]

#[cfg(target_arch = "x86_64")]
mod aes;
#[cfg(target_arch = "x86_64")]
mod bluezone;
#[cfg(target_arch = "x86_64")]
mod gaen;
#[cfg(target_arch = "x86_64")]
mod sha256;
#[cfg(target_arch = "x86_64")]
mod vector;

use super::derivation::{EntryDay, KeyDay, Suspect};
use super::filter::DayFilters;
use crate::crypto::UnsaltedHkdf;

/// That the processor has AVX-512 (F, BW) and VAES: Intel's since Ice Lake, AMD's since Zen 4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("vaes");
        has_all.then_some(Self(()))
    }

    /// As [`Derivation::gaen`](super::derivation::Derivation::gaen).
    pub(super) fn gaen(
        self,
        hkdf: &UnsaltedHkdf,
        days: &[KeyDay],
        filters: &DayFilters,
        out: &mut Vec<Suspect>,
    ) {
        // SAFETY: a value of this type is made by `detect` alone, once the processor has the features.
        unsafe { gaen::suspects(hkdf, days, filters, out) }
    }

    /// As [`derivation::bluezone`](super::derivation::bluezone).
    pub(super) fn bluezone(self, days: &[EntryDay], filters: &DayFilters, out: &mut Vec<Suspect>) {
        // SAFETY: as above.
        unsafe { bluezone::suspects(days, filters, out) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Avx512 {
    /// No other processor has it.
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn gaen(self, _: &UnsaltedHkdf, _: &[KeyDay], _: &DayFilters, _: &mut Vec<Suspect>) {
    }

    pub(super) fn bluezone(self, _: &[EntryDay], _: &DayFilters, _: &mut Vec<Suspect>) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::derivation::{self, Derivation};
    use super::*;
    use crate::time::IntervalNumber;

    fn key_day() -> impl Strategy<Value = KeyDay> {
        let first = prop_oneof![
            any::<u32>(),
            Just(0),
            u32::MAX - 200..=u32::MAX,
            Just(2_642_976),
        ];
        (any::<[u8; 16]>(), first, 0_u32..=144).prop_map(|(tek, first, count)| KeyDay {
            key: 0,
            filter: 0,
            first: IntervalNumber(first),
            count,
            tek,
        })
    }

    fn entry_day() -> impl Strategy<Value = EntryDay> {
        (any::<[u8; 32]>(), 1_u32..=144).prop_map(|(daily_key, count)| EntryDay {
            key: 0,
            filter: 0,
            start: 1_596_844_800,
            step: 900,
            count,
            daily_key,
        })
    }

    /// In one order.
    fn sorted(mut suspects: Vec<Suspect>) -> Vec<Suspect> {
        suspects.sort_unstable_by_key(|suspect| (suspect.day, suspect.slot));
        suspects
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_gaen_identifier_is_the_portable_one(days in prop::collection::vec(key_day(), 0..40)) {
            let Some(simd) = Avx512::detect() else {
                return Ok(());
            };
            let (filters, mut portable) = (DayFilters::of_everything(), Derivation::new());
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            simd.gaen(portable.hkdf(), &days, &filters, &mut ours);
            portable.gaen(&days, &filters, &mut theirs);
            let count: u32 = days.iter().map(|day| day.count).sum();
            prop_assert_eq!(theirs.len(), count as usize);
            prop_assert_eq!(sorted(ours), sorted(theirs));
        }

        #[test]
        fn every_bluezone_identifier_is_the_portable_one(days in prop::collection::vec(entry_day(), 0..40)) {
            let Some(simd) = Avx512::detect() else {
                return Ok(());
            };
            let filters = DayFilters::of_everything();
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            simd.bluezone(&days, &filters, &mut ours);
            derivation::bluezone(&days, &filters, &mut theirs);
            let count: u32 = days.iter().map(|day| day.count).sum();
            prop_assert_eq!(theirs.len(), count as usize);
            prop_assert_eq!(sorted(ours), sorted(theirs));
        }
    }
}
