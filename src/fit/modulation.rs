//! What a rate leaves unexplained: days busier than planned, and orders that set off others.

use super::axis::Axis;
use super::minimum::least_of_two;
use super::rate::Rate;

/// Days on which fewer orders are expected say too little of a factor.
const FEWEST_A_DAY: f64 = 5.0;
const FEWEST_DAYS: usize = 10;
/// A Hawkes process is kept only where it explains so much more (in log-likelihood), and sets off so many orders.
const GAIN: f64 = 6.0;
const BRANCHING: f64 = 0.05;
/// Where one order seems to set off nearly all others, the rate changes in ways that slots and days do not hold: these are no clusters.
const MOST_BRANCHING: f64 = 0.9;
/// Times that factor and clusters are estimated again, each with the other as it was found last.
const TURNS: usize = 2;

/// A gamma factor of mean 1 for each day.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct DayFactor {
    /// coefficient of variation
    pub cv: f64,
    /// correlation of a day with the next
    pub ar1: f64,
    /// squared coefficient of variation in standard errors of what a Poisson process, or clusters, alone would show
    pub z: f64,
}

/// What a rate leaves unexplained.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Residual {
    /// how days differ where orders are independent of each other
    pub alone: Option<DayFactor>,
    /// the same beside clusters, where these count
    pub beside: Option<DayFactor>,
    pub clusters: Clusters,
}

impl Residual {
    /// Clusters make days differ, and days that differ pass for clusters: so each is estimated with the other taken out, in turns.
    pub fn of(axis: &Axis, rate: &Rate) -> Residual {
        let alone = day_factor(axis, rate, None);
        let independent = clusters(axis, rate, alone, None);
        let mut found = Residual { alone, beside: alone, clusters: independent };
        for _ in 0..TURNS {
            if !found.clusters.count() {
                break;
            }
            found.beside = day_factor(axis, rate, Some(found.clusters));
            found.clusters = clusters(axis, rate, found.beside, Some(found.clusters));
        }
        found
    }
}

/// By moments: the variance of counts over expectations, less what independent orders, or clusters, have by themselves; odd days are none of it. None
/// of a history with few busy days, or whose days differ no more than that.
fn day_factor(axis: &Axis, rate: &Rate, clusters: Option<Clusters>) -> Option<DayFactor> {
    let counts = by_day(axis);
    let ratio = |day: usize| {
        let fit = rate.of(day);
        (fit >= FEWEST_A_DAY && !rate.odd[day]).then(|| (counts[day] / fit, dispersion(clusters, fit) / fit))
    };
    let ratios: Vec<Option<(f64, f64)>> = (0..axis.days).map(ratio).collect();
    let known: Vec<(f64, f64)> = ratios.iter().flatten().copied().collect();
    if known.len() < FEWEST_DAYS {
        return None;
    }
    let n = known.len() as f64;
    let mean = known.iter().map(|(ratio, _)| ratio).sum::<f64>() / n;
    let variance = known.iter().map(|(ratio, _)| (ratio - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let by_chance = known.iter().map(|(_, noise)| noise).sum::<f64>() / n;
    let cv2 = variance - by_chance;
    let pairs: Vec<f64> = ratios.windows(2).filter_map(|pair| Some((pair[0]?.0 - mean) * (pair[1]?.0 - mean))).collect();
    let covariance = pairs.iter().sum::<f64>() / pairs.len().max(1) as f64;
    let z = cv2 / (by_chance * (2.0 / n).sqrt());
    (cv2 > 0.0).then(|| DayFactor { cv: cv2.sqrt().min(3.0), ar1: (covariance / cv2).clamp(0.0, 0.95), z })
}

/// Variance to mean of the number of orders in a window in which so many are expected; of independent orders 1.
fn dispersion(clusters: Option<Clusters>, expected: f64) -> f64 {
    clusters.map_or(1.0, |clusters| clusters.dispersion(expected))
}

fn by_day(axis: &Axis) -> Vec<f64> {
    let mut counts = vec![0.0; axis.days];
    for t in &axis.times {
        counts[((t / super::axis::DAY_S) as usize).min(axis.days - 1)] += 1.0;
    }
    counts
}

/// A self-exciting process with an exponential kernel, in rescaled time, where one order comes in a unit.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Clusters {
    /// orders that one sets off by itself, in the mean
    pub branching: f64,
    /// in mean gaps
    pub half_life: f64,
    /// log-likelihood above that of independent orders
    pub gain: f64,
}

impl Clusters {
    /// It explains so much that chance is no explanation, is not too weak to matter, and does not stand for a rate that was missed.
    pub fn count(&self) -> bool {
        self.gain > GAIN && self.branching > BRANCHING && self.branching < MOST_BRANCHING
    }

    /// Variance to mean of the number of orders in a window in which so many are expected: 1 in a short one, 1 / (1 - branching)^2 in one that is long
    /// against the half-life (Da Fonseca and Zaatour, Journal of Futures Markets 34, 2014).
    fn dispersion(&self, expected: f64) -> f64 {
        let whole = (1.0 - self.branching).powi(-2);
        let fades = expected * (1.0 - self.branching) * std::f64::consts::LN_2 / self.half_life;
        if fades > 0.0 { whole + (1.0 - whole) * -libm::expm1(-fades) / fades } else { 1.0 }
    }
}

/// By maximum likelihood, in one pass for each trial. A day's own factor is taken out first (its mean, given the orders of the day), or a
/// busy day would pass for a cluster. What clusters are known already make its orders say less of that factor. Odd days are left out, and
/// the first and the last: in a part of a day all orders would be one cluster.
fn clusters(axis: &Axis, rate: &Rate, factor: Option<DayFactor>, known: Option<Clusters>) -> Clusters {
    let counts = by_day(axis);
    let own = |day: usize| {
        let fit = rate.of(day);
        factor.map_or(1.0, |factor| {
            let shape = dispersion(known, fit) / (factor.cv * factor.cv);
            (shape + counts[day]) / (shape + fit)
        })
    };
    let factors: Vec<f64> = (0..axis.days).map(own).collect();
    // the history may begin or end in the middle of a day
    let is_whole = |day: usize| day > 1 && day + 1 < axis.days && !rate.odd[day];
    let mut passed = vec![0.0; axis.days + 1];
    for day in 0..axis.days {
        passed[day + 1] = passed[day] + if is_whole(day) { factors[day] * rate.of(day) } else { 0.0 };
    }
    let rescaled = |t: &f64| {
        let day = ((t / super::axis::DAY_S) as usize).min(axis.days - 1);
        is_whole(day).then(|| passed[day] + factors[day] * (rate.up_to(*t) - rate.up_to(day as f64 * super::axis::DAY_S)))
    };
    let times: Vec<f64> = axis.times.iter().filter_map(rescaled).collect();
    let end = passed[axis.days].max(times.last().copied().unwrap_or(0.0));
    // one order a unit in the mean, whatever a rounding left
    let unit = end / times.len().max(1) as f64;
    let times: Vec<f64> = times.iter().map(|u| u / unit).collect();
    of_unit_rate(&times)
}

fn of_unit_rate(times: &[f64]) -> Clusters {
    let value = |[a, b]: [f64; 2]| -gain(times, logistic(a), libm::exp(b));
    let starts = [[-2.5, 1.5], [-2.5, -1.5]];
    let found = starts.map(|start| least_of_two(start, [0.7, 0.7], value));
    let [a, b] = if value(found[0]) <= value(found[1]) { found[0] } else { found[1] };
    Clusters { branching: logistic(a), half_life: std::f64::consts::LN_2 / libm::exp(b), gain: gain(times, logistic(a), libm::exp(b)).max(0.0) }
}

fn logistic(a: f64) -> f64 {
    0.99 / (1.0 + libm::exp(-a))
}

/// Log-likelihood of a Hawkes process of rate 1 above that of a Poisson process of rate 1. With an exponential kernel the sum over all earlier
/// orders follows from the last one's (Ozaki, Annals of the Institute of Statistical Mathematics 31, 1979).
fn gain(times: &[f64], branching: f64, decay: f64) -> f64 {
    let end = times.last().copied().unwrap_or(0.0);
    let (mut sum, mut excited, mut before) = (0.0, 0.0, 0.0);
    for t in times {
        excited *= libm::exp(-decay * (t - before));
        sum += libm::log(1.0 - branching + branching * decay * excited) + branching * libm::expm1(-decay * (end - t));
        excited += 1.0;
        before = *t;
    }
    sum + branching * end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::truth::{ONE, history, profile};
    use crate::scenario::{Arrival, Process};
    use crate::sim::{Seed, Span};
    use crate::workload::arrivals::{Share, due};
    use std::sync::Arc;

    fn times(process: Process) -> Vec<f64> {
        let arrival = Arc::new(Arrival { process, ..Arrival::poisson(Span::from_secs_f64(1.0)) });
        due(&arrival, Seed(5), Seed(6), Share::whole(20_000)).map(|at| at.0 as f64 / 1e9).collect()
    }

    #[test]
    fn clusters_are_found_where_there_are_some_and_only_there() {
        let none = of_unit_rate(&times(Process::Poisson));
        assert!(!none.count(), "{none:?}");
        let some = of_unit_rate(&times(Process::Hawkes { branching: 0.3, half_life: Span::from_secs_f64(0.5) }));
        assert!(some.count() && (some.branching - 0.3).abs() < 0.03 && (some.half_life - 0.5).abs() < 0.1, "{some:?}");
    }

    /// So many days of a shop whose orders come so.
    fn residual(days: u32, process: &str, seed: u64) -> Residual {
        let text = profile(14_000, days, process, ONE);
        let axis = Axis::of(&history(&text, seed), Seed(1)).expect("long enough");
        Residual::of(&axis, &Rate::fitted(&axis))
    }

    #[test]
    fn days_that_clusters_make_differ_have_no_factor_and_those_that_differ_besides_have_their_own() {
        let clusters = "process = \"hawkes\"\nbranching = 0.3\nhalf_life = \"1m\"";
        for seed in 1..=6 {
            let near = |found: Clusters| found.count() && (found.branching - 0.3).abs() < 0.04;
            let found = residual(84, clusters, seed);
            assert!(near(found.clusters), "seed {seed}: {found:?}");
            assert!(found.alone.is_some_and(|factor| factor.z > 3.0) && found.beside.is_none_or(|factor| factor.z < 3.0), "seed {seed}: {found:?}");
            // days of the same seed have the same factors, which of twelve weeks are not quite those of the law
            let (days, both) = (residual(84, "cox = { day_cv = 0.2 }", seed), residual(84, &format!("{clusters}\ncox = {{ day_cv = 0.2 }}"), seed));
            assert!(!days.clusters.count() && days.beside == days.alone, "seed {seed}: {days:?}");
            let cv = |factor: Option<DayFactor>| factor.filter(|factor| factor.z > 3.0).expect("days differ").cv;
            assert!((cv(days.alone) - 0.2).abs() < 0.05, "seed {seed}: {days:?}");
            assert!(near(both.clusters) && (cv(both.beside) - cv(days.alone)).abs() < 0.03, "seed {seed}: {both:?} {days:?}");
        }
    }

    #[test]
    fn parts_of_days_at_the_ends_of_a_history_are_no_clusters() {
        for (days, seed) in [(7, 1), (7, 2), (28, 1), (28, 2), (42, 1), (42, 2)] {
            let found = residual(days, "days = [1.23, 1.27, 0.98, 0.87, 0.86, 0.96, 0.84]\ncox = { day_cv = 0.18 }", seed).clusters;
            assert!(!found.count() && found.gain < 3.0, "{days} days, seed {seed}: {found:?}");
        }
    }

    #[test]
    fn counts_of_clusters_vary_as_these_do() {
        let process = Process::Hawkes { branching: 0.4, half_life: Span::from_secs_f64(2.0) };
        let times = times(process);
        let known = Clusters { branching: 0.4, half_life: 2.0, gain: 0.0 };
        for window in [1.0, 10.0, 100.0] {
            let mut counts = vec![0.0; (times.last().expect("some") / window) as usize];
            times.iter().for_each(|t| {
                if let Some(count) = counts.get_mut((t / window) as usize) {
                    *count += 1.0
                }
            });
            let n = counts.len() as f64;
            let mean = counts.iter().sum::<f64>() / n;
            let variance = counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / n;
            let expected = known.dispersion(window);
            assert!((variance / mean / expected - 1.0).abs() < 0.15, "{window}: {} {expected}", variance / mean);
        }
        assert!((known.dispersion(1e6) - 1.0 / 0.36).abs() < 0.01);
    }
}
