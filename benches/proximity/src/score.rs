//! Scores of probabilities and calls, against what was so.

/// A probability that something was near, and whether it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// 0 to 1.
    pub probability: f64,
    /// Whether it was so.
    pub near: bool,
}

/// What forecasts are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// How probably something near is given more than something far: 0.5 is chance, 1 perfect. NaN if all
    /// were near or all were far.
    pub auc: f64,
    /// Mean square of the error: 0 is perfect; 0.25 is "a half" always.
    pub brier: f64,
    /// Of those with a half or more, the share that was near. NaN without any.
    pub precision: f64,
    /// Of those that were near, the share with a half or more. NaN without any.
    pub recall: f64,
}

/// Scores of `forecasts`.
pub fn scores(forecasts: &[Forecast]) -> Scores {
    let count = |of: fn(&&Forecast) -> bool| forecasts.iter().filter(of).count() as f64;
    let called = |forecast: &&Forecast| forecast.probability >= 0.5;
    let hits = count(|forecast| forecast.probability >= 0.5 && forecast.near);
    let squares: f64 = forecasts
        .iter()
        .map(|forecast| (forecast.probability - f64::from(u8::from(forecast.near))).powi(2))
        .sum();
    Scores {
        auc: auc(forecasts),
        brier: squares / forecasts.len() as f64,
        precision: hits / forecasts.iter().filter(called).count() as f64,
        recall: hits / count(|forecast| forecast.near),
    }
}

/// Of all pairs of one near and one far, those where the near one has more; ties count half.
fn auc(forecasts: &[Forecast]) -> f64 {
    let mut sorted = forecasts.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let (mut far_below, mut pairs) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.probability == b.probability) {
        let near = tied.iter().filter(|forecast| forecast.near).count() as f64;
        let far = tied.len() as f64 - near;
        pairs += near * (far_below + far / 2.0);
        far_below += far;
    }
    pairs / (far_below * (forecasts.len() as f64 - far_below))
}

/// Forecasts of about the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// How many.
    pub count: usize,
    /// Their mean probability.
    pub forecast: f64,
    /// The share that was near.
    pub observed: f64,
}

/// `forecasts` in `bins` bins of equal width, without the empty ones.
pub fn reliability(forecasts: &[Forecast], bins: u32) -> Vec<Bin> {
    let bin_of = |forecast: &Forecast| {
        let bin = (forecast.probability * f64::from(bins)).floor();
        (bin as u32).min(bins.saturating_sub(1))
    };
    (0..bins)
        .filter_map(|bin| {
            let inside: Vec<_> = forecasts.iter().filter(|one| bin_of(one) == bin).collect();
            let count = inside.len() as f64;
            let near = inside.iter().filter(|forecast| forecast.near).count() as f64;
            let sum: f64 = inside.iter().map(|forecast| forecast.probability).sum();
            (!inside.is_empty()).then(|| Bin {
                count: inside.len(),
                forecast: sum / count,
                observed: near / count,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecasts(of: &[(f64, bool)]) -> Vec<Forecast> {
        of.iter()
            .map(|(probability, near)| Forecast {
                probability: *probability,
                near: *near,
            })
            .collect()
    }

    #[test]
    fn scores_of_known_forecasts() {
        let found = scores(&forecasts(&[
            (0.9, true),
            (0.5, false),
            (0.5, true),
            (0.1, false),
        ]));
        assert_eq!(found.auc, 0.875);
        assert!((found.brier - 0.13).abs() < 1e-12);
        assert!((found.precision - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.recall, 1.0);
    }

    #[test]
    fn one_kind_alone_has_no_auc() {
        assert!(scores(&forecasts(&[(0.9, true), (0.2, true)])).auc.is_nan());
        let far = scores(&forecasts(&[(0.2, false)]));
        assert!(far.auc.is_nan() && far.precision.is_nan() && far.recall.is_nan());
    }

    #[test]
    fn certainty_is_in_the_last_bin() {
        let bins = reliability(&forecasts(&[(1.0, true), (0.95, false), (0.0, false)]), 10);
        let found: Vec<_> = bins.iter().map(|bin| (bin.count, bin.observed)).collect();
        assert_eq!(found, [(1, 0.0), (2, 0.5)]);
    }
}
