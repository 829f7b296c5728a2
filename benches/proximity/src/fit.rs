//! How the constants that truyvet ships are found.

use truyvet::exposure::{LogDistance, ProximityModel, weighted_median};

use crate::windows::Window;
use crate::{Result, solve};

/// Steps after which a fit that has not ended is given up. Newton's method takes fewer than ten.
const STEPS_MAX: usize = 100;

/// What a step may still gain when a fit ends.
const GAIN_MIN: f64 = 1e-10;

/// The smallest part of a step that is tried.
const PART_MIN: f64 = 1e-9;

/// The model under which the windows' distances are the most likely.
///
/// A logistic distribution of the logarithm, in the form in which the likelihood has one summit only
/// (Olsen 1978 for the normal distribution; Burridge 1981 for the logistic): the scale's inverse, and
/// the other constants divided by the scale. Newton's method, with its steps halved while they lose.
/// Where more time would be farther, the summit within the model's bounds is at no effect of time.
///
/// # Errors
///
/// Too few windows, or losses that fall with distance: these windows do not say what the model takes for
/// given.
pub fn proximity_model(windows: &[Window]) -> Result<ProximityModel> {
    let model = model(&summit(&rows(windows)?)?);
    if model.per_doubling > 0.0 {
        return loss_alone(windows);
    }
    with_sound_loss(model)
}

/// As [`proximity_model`], without an effect of time.
///
/// # Errors
///
/// The same.
pub fn loss_alone(windows: &[Window]) -> Result<ProximityModel> {
    let rows = rows(windows)?;
    let timeless: Vec<Row> = rows
        .iter()
        .map(|[y, middle, loss, _]| [*y, *middle, *loss, 0.0])
        .collect();
    with_sound_loss(model(&summit(&timeless)?))
}

fn with_sound_loss(model: ProximityModel) -> Result<ProximityModel> {
    if model.per_10_db < 0.0 {
        return Err(format!("expected losses that grow with distance, got {model:?}").into());
    }
    Ok(model)
}

fn model(at: &[f64; 4]) -> ProximityModel {
    let [inverse, middle, per_10_db, per_doubling] = at;
    ProximityModel {
        middle: middle / inverse,
        per_10_db: per_10_db / inverse,
        per_doubling: per_doubling / inverse,
        spread: 1.0 / inverse,
    }
}

/// Where the likelihood is largest.
fn summit(rows: &[Row]) -> Result<[f64; 4]> {
    let mut at = [1.0, 0.0, 0.0, 0.0];
    let mut best = likelihood(rows, &at);
    for _ in 0..STEPS_MAX {
        let step = newton_step(rows, &at)?;
        let mut part = 1.0;
        let gained = loop {
            let next: [f64; 4] =
                std::array::from_fn(|n| element(&at, n) + part * element(&step, n));
            let reached = likelihood(rows, &next);
            if reached > best {
                let gained = reached - best;
                (at, best) = (next, reached);
                break gained;
            }
            part /= 2.0;
            if part < PART_MIN {
                break 0.0;
            }
        };
        if gained < GAIN_MIN {
            return Ok(at);
        }
    }
    Err("expected a fit that ends, got one that goes on".into())
}

fn rows(windows: &[Window]) -> Result<Vec<Row>> {
    if windows.is_empty() {
        return Err("expected windows, got none".into());
    }
    let rows = windows.iter().map(row).collect::<Option<_>>();
    rows.ok_or_else(|| "expected a scan in each window, got none".into())
}

/// What the likelihood of one window is made of: the logarithm of its distance, then what the middle, the
/// loss and the time are multiplied with, negative.
type Row = [f64; 4];

fn row(window: &Window) -> Option<Row> {
    let middle_of = |per_10_db, per_doubling| {
        let one = ProximityModel {
            middle: 0.0,
            per_10_db,
            per_doubling,
            spread: 1.0,
        };
        Some(one.estimate(&window.scans)?.distance_m().ln())
    };
    Some([
        window.distance_m.ln(),
        -1.0,
        -middle_of(1.0, 0.0)?,
        -middle_of(0.0, 1.0)?,
    ])
}

fn dot(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn element(of: &[f64; 4], n: usize) -> f64 {
    of.get(n).copied().unwrap_or_default()
}

/// The logarithm of the likelihood, without what does not change.
fn likelihood(rows: &[Row], at: &[f64; 4]) -> f64 {
    let inverse = element(at, 0);
    if inverse <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let one = |row| {
        let z: f64 = dot(row, at);
        // ln of e⁻ᶻ/(1 + e⁻ᶻ)², which is the same for -z.
        inverse.ln() - z.abs() - 2.0 * (-z.abs()).exp().ln_1p()
    };
    rows.iter().map(one).sum()
}

fn newton_step(rows: &[Row], at: &[f64; 4]) -> Result<[f64; 4]> {
    let mut slope = [0.0; 4];
    let mut curve = [[0.0; 4]; 4];
    for row in rows {
        let t = (dot(row, at) / 2.0).tanh();
        for (n, (slope, line)) in slope.iter_mut().zip(&mut curve).enumerate() {
            *slope -= t * element(row, n);
            for (m, curve) in line.iter_mut().enumerate() {
                *curve += (1.0 - t * t) / 2.0 * element(row, n) * element(row, m);
            }
        }
    }
    let (count, inverse) = (rows.len() as f64, element(at, 0));
    for (n, (slope, line)) in slope.iter_mut().zip(&mut curve).enumerate() {
        if n == 0 {
            *slope += count / inverse;
        }
        if let Some(curve) = line.get_mut(n) {
            if n == 0 {
                *curve += count / (inverse * inverse);
            }
            // What no row tells of stays as it is.
            if *curve == 0.0 {
                *curve = 1.0;
            }
        }
    }
    solve::linear(curve, slope).ok_or_else(|| "expected windows that differ, got too few".into())
}

/// The textbook's law through the windows' distances and losses, by least squares of the losses.
///
/// # Errors
///
/// No windows, or losses that do not grow with distance.
pub fn log_distance(windows: &[Window]) -> Result<LogDistance> {
    let points: Vec<(f64, f64)> = windows
        .iter()
        .map(|window| {
            let loss = weighted_median(&window.scans)?;
            Some((window.distance_m.log10(), f64::from(loss.db())))
        })
        .collect::<Option<_>>()
        .ok_or("an empty window")?;
    if points.len() < 3 {
        return Err(format!("expected at least 3 windows, got {}", points.len()).into());
    }
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|(x, y)| of(x - mean_x, y - mean_y)).sum()
    };
    let slope = sum(&|x, y| x * y) / sum(&|x, _| x * x);
    if slope.is_nan() || slope <= 0.0 {
        return Err(
            format!("expected losses that grow with distance, got {slope} dB a decade").into(),
        );
    }
    let squares = sum(&|x, y| (y - slope * x).powi(2));
    Ok(LogDistance {
        at_1_m_db: mean_y - slope * mean_x,
        exponent: slope / 10.0,
        deviation_db: (squares / (count - 2.0)).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use truyvet::sighting::Attenuation;

    use super::*;

    /// Windows at the quantiles of a model's own distributions.
    fn windows_of(model: ProximityModel) -> Vec<Window> {
        let mut windows = Vec::new();
        for db in (40..80).step_by(4) {
            for seconds in [60, 240, 960] {
                let scans = vec![(Attenuation::from_db(db), seconds)];
                let middle = model.estimate(&scans).unwrap().distance_m().ln();
                for n in 0..200 {
                    let share = (f64::from(n) + 0.5) / 200.0;
                    let z = (share / (1.0 - share)).ln();
                    windows.push(Window {
                        scans: scans.clone(),
                        distance_m: (middle + model.spread * z).exp(),
                    });
                }
            }
        }
        windows
    }

    #[test]
    fn a_known_model_is_found_again() {
        let model = ProximityModel {
            middle: 0.7,
            per_10_db: 0.45,
            per_doubling: -0.2,
            spread: 0.35,
        };
        let found = proximity_model(&windows_of(model)).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 0.01;
        assert!(
            near(found.middle, 0.7) && near(found.per_10_db, 0.45),
            "{found:?}"
        );
        assert!(
            near(found.per_doubling, -0.2) && near(found.spread, 0.35),
            "{found:?}"
        );
    }

    #[test]
    fn losses_that_fall_with_distance() {
        let model = ProximityModel {
            middle: 0.7,
            per_10_db: -0.45,
            per_doubling: -0.2,
            spread: 0.35,
        };
        assert!(proximity_model(&windows_of(model)).is_err());
        assert!(log_distance(&windows_of(model)).is_err());
    }

    #[test]
    fn longer_stays_that_are_farther_have_no_effect() {
        let model = ProximityModel {
            middle: 0.7,
            per_10_db: 0.45,
            per_doubling: 0.1,
            spread: 0.35,
        };
        let windows = windows_of(model);
        let found = proximity_model(&windows).unwrap();
        assert_eq!(found.per_doubling, 0.0);
        assert!((found.per_10_db - 0.45).abs() < 0.02, "{found:?}");
        assert_eq!(found, loss_alone(&windows).unwrap());
    }

    #[test]
    fn too_few_windows() {
        assert!(proximity_model(&[]).is_err());
        assert!(log_distance(&[]).is_err());
        assert!(proximity_model(&windows_of(ProximityModel::SCENES)[..1]).is_err());
    }

    #[test]
    fn a_known_law_is_found_again() {
        let windows: Vec<Window> = (1..20)
            .map(|metres| Window {
                scans: vec![(Attenuation::from_db(50 + 2 * metres), 60)],
                distance_m: 10_f64.powf(f64::from(metres) / 10.0),
            })
            .collect();
        let law = log_distance(&windows).unwrap();
        assert!((law.at_1_m_db - 50.0).abs() < 1e-9 && (law.exponent - 2.0).abs() < 1e-9);
        assert!(law.deviation_db < 1e-6);
    }
}
