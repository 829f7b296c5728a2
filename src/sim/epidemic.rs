//! What is assumed of the infection, as data. A model to compare worlds with, and no medical advice.

use super::random::{Stream, purpose};
use super::scenario::SimError;

/// A number that a simulation assumes, and where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumption {
    /// The number.
    pub value: f64,
    /// Its unit, empty for a share or a plain number.
    pub unit: &'static str,
    /// Where it is from, or `chosen: ` and why.
    pub source: String,
}

impl Assumption {
    pub(super) fn new(value: f64, unit: &'static str, source: &str) -> Self {
        Self {
            value,
            unit,
            source: source.to_owned(),
        }
    }

    fn share(value: f64, source: &str) -> Self {
        Self::new(value, "", source)
    }
}

/// How infectious a patient is on each day, counted from the onset of symptoms.
#[derive(Clone, Debug, PartialEq)]
pub struct Infectivity {
    /// The first day with a weight; negative before the onset.
    pub first_day: i32,
    /// One for each day from then on; their greatest is 1.
    pub weights: Vec<f64>,
    /// Where they are from.
    pub source: String,
}

impl Infectivity {
    /// Of `day` after the onset; 0 outside.
    pub fn on(&self, day: i32) -> f64 {
        usize::try_from(day.saturating_sub(self.first_day))
            .ok()
            .and_then(|index| self.weights.get(index).copied())
            .unwrap_or(0.0)
    }

    fn last_day(&self) -> i32 {
        let days = i32::try_from(self.weights.len()).unwrap_or(i32::MAX);
        self.first_day.saturating_add(days).saturating_sub(1)
    }
}

/// What is assumed of the infection, of tests, and of what people do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Epidemic {
    /// People infected as it begins.
    pub infected_first: u32,
    /// Mean of the logarithm of the days from infection to the onset of symptoms.
    pub incubation_log_mean: Assumption,
    /// Standard deviation of that logarithm.
    pub incubation_log_deviation: Assumption,
    /// How infectious a patient is on which day.
    pub infectivity: Infectivity,
    /// Chance of an infection in a minute near a patient on the most infectious day.
    pub transmission: Assumption,
    /// Share of the infected who notice symptoms; the others infect as much.
    pub symptomatic: Assumption,
    /// Share of those with symptoms who are tested.
    pub tested: Assumption,
    /// Days from the onset to the test's result.
    pub test_delay: Assumption,
    /// Days before the onset from which on keys are given.
    pub reported_before_onset: Assumption,
    /// Share of those tested positive with the app who agree to give their keys.
    pub consent: Assumption,
    /// Share of those told of an exposure who stay at home.
    pub compliance: Assumption,
    /// Days for which they do, from the exposure on.
    pub quarantine: Assumption,
}

impl Default for Epidemic {
    fn default() -> Self {
        let lauer = "Lauer et al., Annals of Internal Medicine 2020: log-normal 1.621, 0.418 (median 5.1 days)";
        Self {
            infected_first: 4,
            incubation_log_mean: Assumption::new(1.621, "ln days", lauer),
            incubation_log_deviation: Assumption::new(0.418, "ln days", lauer),
            infectivity: Infectivity {
                first_day: -4,
                // Masses of the gamma distribution within half a day of each day, over the greatest.
                weights: vec![
                    0.27, 0.50, 0.75, 0.94, 1.0, 0.94, 0.79, 0.61, 0.43, 0.28, 0.17, 0.10, 0.05,
                ],
                source:
                    "He et al., Nature Medicine 2020, corrected: gamma, shape 20.52, rate 1.59, \
                         shifted by 12.27 days"
                        .to_owned(),
            },
            transmission: Assumption::new(
                0.0008,
                "a minute",
                "chosen: so that the epidemic of the default town is seen within its weeks",
            ),
            symptomatic: Assumption::share(
                0.69,
                "Buitrago-Garcia et al., PLOS Medicine 2020: 31 % without symptoms in screened groups",
            ),
            tested: Assumption::share(0.8, "chosen: most of those who notice symptoms"),
            test_delay: Assumption::new(2.0, "days", "chosen: a day to go, a day to the result"),
            reported_before_onset: Assumption::new(
                2.0,
                "days",
                "WHO, Contact tracing in the context of COVID-19, 2020: from two days before the onset",
            ),
            consent: Assumption::share(
                0.8,
                "OpenABM-Covid19: traceable_interaction_fraction 0.8, read as willingness",
            ),
            compliance: Assumption::share(
                0.7,
                "chosen: between OpenABM-Covid19's quarantine_compliance of 0.5 and 0.9",
            ),
            quarantine: Assumption::new(14.0, "days", "Viet Nam's quarantine of 2020"),
        }
    }
}

impl Epidemic {
    /// Each number with its name.
    pub fn assumptions(&self) -> [(&'static str, &Assumption); 10] {
        [
            ("incubation, mean of ln days", &self.incubation_log_mean),
            (
                "incubation, deviation of ln days",
                &self.incubation_log_deviation,
            ),
            (
                "transmission on the most infectious day",
                &self.transmission,
            ),
            ("share with symptoms", &self.symptomatic),
            ("share tested of these", &self.tested),
            ("from onset to result", &self.test_delay),
            ("keys from before the onset", &self.reported_before_onset),
            ("consent to report", &self.consent),
            ("compliance of those told", &self.compliance),
            ("stay at home after an exposure", &self.quarantine),
        ]
    }

    /// Whether each number is one that a simulation can be run with; else what is wrong.
    pub(super) fn check(&self) -> Result<(), SimError> {
        let wrong = |expected: String, got: String| Err(SimError::Scenario { expected, got });
        let shares = ["transmission", "share", "consent", "compliance"];
        for (name, assumption) in self.assumptions() {
            let is_share = shares.iter().any(|word| name.contains(word));
            let max = if is_share { 1.0 } else { 60.0 };
            if !(0.0..=max).contains(&assumption.value) {
                let got = assumption.value.to_string();
                return wrong(format!("{name} of 0 to {max}"), got);
            }
        }
        let weights = &self.infectivity.weights;
        let days = i32::try_from(weights.len()).unwrap_or(i32::MAX);
        let is_weight = |weight: &f64| (0.0..=1.0).contains(weight);
        if !(1..=60).contains(&days) || !weights.iter().all(is_weight) {
            let expected = "1 to 60 weights of infectivity of 0 to 1".to_owned();
            return wrong(expected, format!("{days}: {weights:?}"));
        }
        if !(-30..=30).contains(&self.infectivity.first_day) {
            let expected = "infectivity that begins within 30 days of the onset".to_owned();
            return wrong(expected, self.infectivity.first_day.to_string());
        }
        Ok(())
    }

    /// What becomes of `person`, if infected on `day`: the same in every world of a seed.
    pub(super) fn course(&self, seed: u64, person: u32, day: u32) -> Course {
        let mut stream = Stream::of(seed, purpose::COURSE, u64::from(person), 0);
        let incubation =
            self.incubation_log_mean.value + self.incubation_log_deviation.value * stream.normal();
        let days = incubation.exp().round().clamp(1.0, 30.0) as i32;
        let day = i32::try_from(day).unwrap_or(i32::MAX);
        let onset = day.saturating_add(days);
        let has_symptoms = stream.uniform() < self.symptomatic.value;
        let is_tested = stream.uniform() < self.tested.value && has_symptoms;
        let result = onset.saturating_add(self.test_delay.value.round() as i32);
        let first = onset.saturating_add(self.infectivity.first_day);
        Course {
            onset,
            result: is_tested.then_some(result),
            consents: stream.uniform() < self.consent.value,
            infectious_from: first.max(day.saturating_add(1)),
            infectious_to: onset.saturating_add(self.infectivity.last_day()),
        }
    }
}

/// What becomes of somebody who is infected; days of the simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    pub(super) onset: i32,
    /// When a test says positive, if there is one.
    pub(super) result: Option<i32>,
    pub(super) consents: bool,
    pub(super) infectious_from: i32,
    pub(super) infectious_to: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_incubation_comes_out() {
        let model = Epidemic::default();
        let mut days: Vec<i32> = (0..10_001)
            .map(|person| model.course(1, person, 0).onset)
            .collect();
        days.sort_unstable();
        // Lauer: median 5.1 days, 97.5 % by 11.5.
        assert_eq!(days[5_000], 5);
        assert!((11..=12).contains(&days[9_750]), "{}", days[9_750]);
    }

    #[test]
    fn nobody_infects_on_the_day_of_the_own_infection() {
        let model = Epidemic::default();
        for person in 0..1_000 {
            assert!(model.course(1, person, 7).infectious_from >= 8);
        }
    }

    #[test]
    fn infectivity_is_zero_outside_its_days() {
        let infectivity = Epidemic::default().infectivity;
        assert_eq!(infectivity.on(-5), 0.0);
        assert_eq!(infectivity.on(0), 1.0);
        assert_eq!(infectivity.on(9), 0.0);
        assert_eq!(infectivity.last_day(), 8);
    }

    #[test]
    fn a_share_above_one_is_refused() {
        let mut model = Epidemic::default();
        assert!(model.check().is_ok());
        model.consent.value = 1.5;
        assert!(model.check().is_err_and(|why| {
            why.to_string()
                .contains("expected consent to report of 0 to 1, got 1.5")
        }));
    }
}
