//! Is there a trend, and how steep is it at least?
//!
//! - Theil–Sen: the slope is the median of the slopes of all pairs of points (Theil 1950; Sen 1968, J. Am.
//!   Stat. Assoc. 63:1379–1389). It asks nothing of the distribution, and a burst is but a few points.
//! - Mann–Kendall: `S` is the number of pairs that rise less that of those that fall, of known variance where
//!   there is no trend (Mann 1945; Kendall 1975). The slope's lower bound follows from it: of `N` pair
//!   slopes the one at rank `(N − Z·√Var S) / 2` (Sen 1968; Gilbert 1987, *Statistical Methods for
//!   Environmental Pollution Monitoring*, p. 217–218). It is above zero where the test is passed.
//! - Hamed–Rao: memory depends on what it was a moment ago, and such a series wanders, which looks like a
//!   trend. The variance of `S` is widened by the autocorrelation of the ranks of what remains without
//!   the slope, of the lags that are significant at 5 % (Hamed & Rao 1998, *A modified Mann-Kendall trend test
//!   for autocorrelated data*, J. Hydrology 204:182–196).

/// The most points that are judged together.
pub const MOST: usize = 72;

/// Fewer points say too little: eight that all rise are at z = 3.5, and six of them at 2.8.
pub const FEWEST: usize = 8;

/// One-sided 99 %.
const Z: f64 = 2.326_347_874;

/// Two-sided 95 %: which autocorrelations count.
const Z_LAG: f64 = 1.959_963_985;

/// What was seen, and when: time in any unit, increasing.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The time.
    pub at: f64,
    /// The value; never NaN.
    pub value: f64,
}

impl Point {
    /// Room for a series.
    pub fn buffer() -> [Self; MOST] {
        [Self { at: 0.0, value: 0.0 }; MOST]
    }
}

/// A slope and what it is at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Theil–Sen, per unit of time.
    pub slope: f64,
    /// Its lower 99 % bound.
    pub at_least: f64,
}

/// The slope of a series if its lower bound is above what is asked, which is zero or more: above zero is what
/// Mann and Kendall's test says at this confidence.
pub fn rise(points: &[Point], above: f64) -> Option<Rise> {
    if points.len() < FEWEST {
        return None;
    }
    let mut buffer = [0.0; MOST * (MOST - 1) / 2];
    let slopes = pair_slopes(points, &mut buffer);
    let pairs = slopes.len() as f64;
    let rank = |variance: f64| ((pairs - Z * variance.sqrt()) / 2.0).floor().max(0.0) as usize;
    let variance = variance(points);
    let not_above = slopes.iter().filter(|slope| **slope <= above).count();
    // The correction only ever widens: nearly all series end here, before anything is sorted.
    if not_above >= rank(variance) {
        return None;
    }
    let slope = median(slopes);
    // Negative correlation would make the test bolder than for independent values, and from few points
    // it is mostly an artefact of taking the slope out; it could even make the variance negative.
    let rank = rank(variance * correction(points, slope).max(1.0));
    if not_above >= rank {
        return None;
    }
    let at_least = *slopes.select_nth_unstable_by(rank - 1, f64::total_cmp).1;
    Some(Rise { slope, at_least })
}

/// The Theil–Sen slope, significant or not; zero for fewer than two points.
pub fn slope(points: &[Point]) -> f64 {
    let mut buffer = [0.0; MOST * (MOST - 1) / 2];
    median(pair_slopes(points, &mut buffer))
}

/// The variance of Mann and Kendall's `S` for independent values.
fn variance(points: &[Point]) -> f64 {
    // Σ t(t−1)(2t+5) over groups of t equal values: one more in a group of k adds 6k(k+2).
    let mut ties = 0;
    for (i, point) in points.iter().enumerate() {
        let twins = points[i + 1..].iter().filter(|later| later.value == point.value).count();
        ties += 6 * twins * (twins + 2);
    }
    let n = points.len();
    (n * (n - 1) * (2 * n + 5) - ties) as f64 / 18.0
}

/// By what the variance of `S` is to be multiplied: Hamed and Rao's n/n*, which may be below one.
fn correction(points: &[Point], slope: f64) -> f64 {
    let mut ranks = [0.0; MOST];
    let ranks = residual_ranks(points, slope, &mut ranks);
    let n = ranks.len() as f64;
    let product = |lag: usize| ranks.iter().zip(&ranks[lag..]).map(|(a, b)| a * b).sum::<f64>();
    let whole = product(0);
    if whole <= 0.0 {
        return 1.0;
    }
    let significant = Z_LAG / n.sqrt();
    let mut sum = 0.0;
    for lag in 1..ranks.len() {
        let correlation = product(lag) / whole;
        if correlation.abs() > significant {
            let left = n - lag as f64;
            sum += left * (left - 1.0) * (left - 2.0) * correlation;
        }
    }
    1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * sum
}

/// The ranks of what remains without the slope, equal values sharing theirs, about their mean.
fn residual_ranks<'a>(points: &[Point], slope: f64, ranks: &'a mut [f64; MOST]) -> &'a [f64] {
    let mut residuals = [0.0; MOST];
    let residuals = &mut residuals[..points.len()];
    for (residual, point) in residuals.iter_mut().zip(points) {
        *residual = point.value - slope * point.at;
    }
    let ranks = &mut ranks[..points.len()];
    for (rank, own) in ranks.iter_mut().zip(&*residuals) {
        let mut signs = 0i32;
        for other in &*residuals {
            if own > other {
                signs += 1;
            } else if own < other {
                signs -= 1;
            }
        }
        *rank = f64::from(signs) / 2.0;
    }
    ranks
}

fn pair_slopes<'a>(points: &[Point], buffer: &'a mut [f64]) -> &'a mut [f64] {
    let mut count = 0;
    for (i, point) in points.iter().enumerate() {
        for later in &points[i + 1..] {
            buffer[count] = (later.value - point.value) / (later.at - point.at);
            count += 1;
        }
    }
    &mut buffer[..count]
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let odd = values.len() % 2 == 1;
    let (below, &mut middle, _) = values.select_nth_unstable_by(values.len() / 2, f64::total_cmp);
    if odd {
        middle
    } else {
        (middle + below.iter().copied().fold(f64::NEG_INFINITY, f64::max)) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: impl IntoIterator<Item = i64>) -> Vec<Point> {
        values
            .into_iter()
            .enumerate()
            .map(|(i, value)| Point { at: i as f64, value: value as f64 })
            .collect()
    }

    /// Autocorrelated values, the same in every language.
    fn wander(rise: i64) -> Vec<Point> {
        let mut state = 0;
        points((0..60).map(|i| {
            state = state * 9 / 10 + i * i * 7919 % 101;
            state + rise * i
        }))
    }

    /// Against `original_test` and `hamed_rao_modification_test` of pymannkendall 1.4.3.
    #[test]
    fn agrees_with_pymannkendall() {
        let steps = points([3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 9, 9]);
        let fall = points((0..12).map(|i| 90 - 3 * i + i * i * 7919 % 13));
        let alternate = points((0..30).map(|i| 10 * i + i % 2 * 300));
        let cases = [
            ("steps", steps, 474.333_333_333, 474.333_333_333, 0.363_636_364),
            ("fall", fall, 210.666_666_667, 210.666_666_667, -2.5),
            ("wander", wander(0), 24_580.333_333_333, 104_613.056_745_137, 4.197_826_087),
            ("rise", wander(5), 24_581.333_333_333, 104_617.312_710_885, 9.197_826_087),
            ("alternate", alternate, 3_141.666_666_667, 177.202_380_952, 10.0),
        ];
        for (name, points, independent, corrected, expected) in cases {
            let (variance, slope) = (variance(&points), slope(&points));
            let seen = [variance, variance * correction(&points, slope), slope];
            for (seen, expected) in seen.into_iter().zip([independent, corrected, expected]) {
                let near = (seen - expected).abs() < 1e-8 * expected.abs().max(1.0);
                assert!(near, "{name}: {seen} is not {expected}");
            }
        }
    }

    /// The rank among the sorted pair slopes was taken from numpy.
    #[test]
    fn the_bound_counts_the_autocorrelation_in() {
        let near = |seen: Option<Rise>, bound: f64| (seen.unwrap().at_least - bound).abs() < 1e-9;
        assert!(near(rise(&wander(0), 0.0), 0.583_333_333_333));
        assert!(near(rise(&wander(5), 5.5), 5.583_333_333_333));
        assert_eq!(rise(&wander(5), 5.6), None);
        // The correction would be 0.75, and the bound 21.4: it is not used to be bolder.
        let alternate = points((0..30).map(|i| i * i + i % 2 * 300));
        assert!(near(rise(&alternate, 0.0), 20.0));
    }

    #[test]
    fn what_is_flat_falls_or_is_short_does_not_rise() {
        assert_eq!(rise(&points([5; 40]), 0.0), None);
        assert_eq!(rise(&points((0..40).map(|i| -i)), 0.0), None);
        assert_eq!(rise(&points(0..7), 0.0), None);
        assert_eq!(rise(&[], 0.0), None);
        assert_eq!(slope(&[]), 0.0);
        assert_eq!(slope(&points([1, 3])), 2.0);
        let steady = Rise { slope: 1.0, at_least: 1.0 };
        assert_eq!(rise(&points(0..8), 0.9), Some(steady));
        assert_eq!(rise(&points(0..MOST as i64), 0.9), Some(steady));
    }
}
