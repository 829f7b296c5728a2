//! Each scene, told from what the others taught.

use truyvet::exposure::{Proximity, weighted_median};
use truyvet::sighting::Attenuation;

use crate::score::{Forecast, Scores, scores};
use crate::windows::Window;
use crate::{Result, fit};

/// What counts as near, metres.
pub const WITHIN_M: [f64; 3] = [1.5, 2.0, 3.0];

/// SwissCovid's thresholds from 11 September 2020: below the first counts whole, below the second half
/// (admin-ch/PT-System-Documents, `SwissCovid-ExposureScore.pdf`).
pub const SWISSCOVID_DB: [u8; 2] = [55, 63];

/// What is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `ProximityModel`.
    Model,
    /// The same, fitted without an effect of time.
    LossAlone,
    /// `LogDistance`, the baseline.
    Law,
    /// Below one of [`SWISSCOVID_DB`].
    Threshold(u8),
    /// The share that was near in the other scenes, whatever was heard.
    Share,
}

impl Method {
    /// In the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Model,
        Self::LossAlone,
        Self::Law,
        Self::Threshold(SWISSCOVID_DB[0]),
        Self::Threshold(SWISSCOVID_DB[1]),
        Self::Share,
    ];

    /// Its name in the table.
    pub fn name(self) -> String {
        match self {
            Self::Model => "truyvet".into(),
            Self::LossAlone => "without time".into(),
            Self::Law => "log-distance".into(),
            Self::Threshold(db) => format!("below {db} dB"),
            Self::Share => "share elsewhere".into(),
        }
    }
}

/// A scene with what each method says of it that has not seen it.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// The scene's name.
    pub scene: &'static str,
    /// Its windows and their estimates.
    pub windows: Vec<Told>,
    /// Shares of the other scenes' windows that were within [`WITHIN_M`].
    shares: [f64; 3],
}

/// A window and what was told of it.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    distance_m: f64,
    attenuation: Attenuation,
    model: Proximity,
    loss_alone: Proximity,
    law: Proximity,
}

/// Each of `scenes`, told from all the others.
///
/// # Errors
///
/// A fit that fails.
pub fn hold_out(scenes: &[(&'static str, Vec<Window>)]) -> Result<Vec<HeldOut>> {
    let one = |(scene, windows): &(&'static str, Vec<Window>)| {
        HeldOut::new(scene, windows, &all_but(scenes, scene))
    };
    scenes.iter().map(one).collect()
}

/// All scenes but one, told from that one alone, for each in turn; named after the one. A scene from
/// which nothing can be fitted has its error.
pub fn teach_by_one(
    scenes: &[(&'static str, Vec<Window>)],
) -> Vec<(&'static str, Result<HeldOut>)> {
    let one = |(scene, windows): &(&'static str, Vec<Window>)| {
        let told = HeldOut::new(scene, &all_but(scenes, scene), windows);
        (*scene, told)
    };
    scenes.iter().map(one).collect()
}

fn all_but(scenes: &[(&'static str, Vec<Window>)], scene: &str) -> Vec<Window> {
    let others = scenes.iter().filter(|(other, _)| *other != scene);
    others
        .flat_map(|(_, windows)| windows.iter().cloned())
        .collect()
}

fn share_within(windows: &[Window], within_m: f64) -> f64 {
    let within = windows
        .iter()
        .filter(|window| window.distance_m <= within_m);
    within.count() as f64 / windows.len() as f64
}

impl HeldOut {
    fn new(scene: &'static str, windows: &[Window], training: &[Window]) -> Result<Self> {
        let model = fit::proximity_model(training)?;
        let loss_alone = fit::loss_alone(training)?;
        let law = fit::log_distance(training)?;
        let told = windows.iter().map(|window| {
            Some(Told {
                distance_m: window.distance_m,
                attenuation: weighted_median(&window.scans)?,
                model: model.estimate(&window.scans)?,
                loss_alone: loss_alone.estimate(&window.scans)?,
                law: law.estimate(&window.scans)?,
            })
        });
        Ok(Self {
            scene,
            windows: told.collect::<Option<_>>().ok_or("an empty window")?,
            shares: WITHIN_M.map(|within_m| share_within(training, within_m)),
        })
    }

    /// What `method` says of each window being within `within_m`, one of [`WITHIN_M`].
    pub fn forecasts(&self, method: Method, within_m: f64) -> Vec<Forecast> {
        let share = WITHIN_M
            .iter()
            .zip(self.shares)
            .find(|(metres, _)| **metres == within_m);
        let share = share.map_or(f64::NAN, |(_, share)| share);
        let probability = |told: &Told| match method {
            Method::Model => told.model.within(within_m),
            Method::LossAlone => told.loss_alone.within(within_m),
            Method::Law => told.law.within(within_m),
            Method::Threshold(db) => f64::from(u8::from(told.attenuation.db() < db)),
            Method::Share => share,
        };
        self.windows
            .iter()
            .map(|told| Forecast {
                probability: probability(told),
                near: told.distance_m <= within_m,
            })
            .collect()
    }

    /// Of the windows, the shares whose distance was in the 80 % interval of the model and of the law.
    pub fn inside_intervals(&self) -> [f64; 2] {
        let share = |of: fn(&Told) -> Proximity| {
            let inside = self.windows.iter().filter(|told| {
                let (from, to) = of(told).interval_80_m();
                (from..=to).contains(&told.distance_m)
            });
            inside.count() as f64 / self.windows.len() as f64
        };
        [share(|told| told.model), share(|told| told.law)]
    }
}

/// The forecasts of all scenes together.
pub fn pooled(held_out: &[HeldOut], method: Method, within_m: f64) -> Vec<Forecast> {
    let scenes = held_out.iter();
    scenes
        .flat_map(|scene| scene.forecasts(method, within_m))
        .collect()
}

/// Scores over all windows.
pub fn pooled_scores(held_out: &[HeldOut], method: Method, within_m: f64) -> Scores {
    scores(&pooled(held_out, method, within_m))
}

/// The mean over the scenes of the AUC within each: how well windows of one place are put in order.
pub fn mean_auc(held_out: &[HeldOut], method: Method, within_m: f64) -> f64 {
    let auc = held_out
        .iter()
        .map(|scene| scores(&scene.forecasts(method, within_m)).auc);
    auc.sum::<f64>() / held_out.len() as f64
}
