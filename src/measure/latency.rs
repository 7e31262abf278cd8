//! Latency histograms that can be added up over cases.

use super::Quantiles;
use crate::model::{Aggregate, Stage};
use crate::sim::Span;
use hdrhistogram::Histogram;

/// Longest latency that is told apart from a longer one: 400 days in microseconds.
const LONGEST_US: u64 = 400 * 86_400 * 1_000_000;

/// So many latencies of a stage are kept one by one; more go into a histogram, which takes 140 KB however few they are. Most
/// cases are small, and a run has many.
const FEW: usize = 2_048;

/// A quantile says something only where so many samples lie beyond it.
const BEYOND: u64 = 10;

/// What can be said of a figure.
#[derive(Clone, PartialEq, Debug)]
pub enum Reading {
    Value(f64),
    /// too few samples to say it, and why; it is not less than this
    AtLeast(f64, String),
    /// there was nothing to measure, and why
    Nothing(String),
}

/// Latencies of one stage in microseconds.
#[derive(Clone, Debug)]
enum Samples {
    Few(Vec<u64>),
    Many(Box<Histogram<u32>>),
}

impl Default for Samples {
    fn default() -> Samples {
        Samples::Few(Vec::new())
    }
}

impl Samples {
    fn add(&mut self, micros: u64) {
        match self {
            Samples::Few(list) if list.len() < FEW => list.push(micros),
            Samples::Few(list) => {
                // cannot fail: the bounds are sound, and a test holds it
                let Ok(mut histogram) = Histogram::new_with_bounds(1, LONGEST_US, 3) else { return };
                list.iter().for_each(|sample| histogram.saturating_record(*sample));
                histogram.saturating_record(micros);
                *self = Samples::Many(Box::new(histogram));
            }
            Samples::Many(histogram) => histogram.saturating_record(micros),
        }
    }

    fn merge(&mut self, other: &Samples) {
        match (&mut *self, other) {
            (_, Samples::Few(list)) => list.iter().for_each(|sample| self.add(*sample)),
            (Samples::Many(mine), Samples::Many(theirs)) => {
                // cannot fail: both have the one configuration
                let _ = mine.add(theirs.as_ref());
            }
            (Samples::Few(list), Samples::Many(theirs)) => {
                let list = std::mem::take(list);
                *self = Samples::Many(theirs.clone());
                list.into_iter().for_each(|sample| self.add(sample));
            }
        }
    }

    fn count(&self) -> u64 {
        match self {
            Samples::Few(list) => list.len() as u64,
            Samples::Many(histogram) => histogram.len(),
        }
    }

    fn mean_us(&self) -> f64 {
        match self {
            Samples::Few(list) if list.is_empty() => 0.0,
            Samples::Few(list) => list.iter().sum::<u64>() as f64 / list.len() as f64,
            Samples::Many(histogram) => histogram.mean(),
        }
    }

    fn sorted(&self) -> Vec<u64> {
        let mut sorted = match self {
            Samples::Few(list) => list.clone(),
            Samples::Many(_) => Vec::new(),
        };
        sorted.sort_unstable();
        sorted
    }

    /// The smallest sample that at least this share of all does not exceed; `sorted` is what [`Samples::sorted`] gives.
    fn quantile_us(&self, sorted: &[u64], quantile: f64) -> u64 {
        match self {
            Samples::Many(histogram) => histogram.value_at_quantile(quantile),
            Samples::Few(_) => {
                // 0.55 of a hundred is 55, and not what is a bit more in binary
                let rank = (quantile * sorted.len() as f64 - 1e-9).ceil() as usize;
                sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
            }
        }
    }

    fn reading(&self, aggregate: Aggregate) -> Reading {
        let count = self.count();
        if aggregate == Aggregate::Count {
            return Reading::Value(count as f64);
        }
        if count == 0 {
            return Reading::Nothing("no such latency was measured".into());
        }
        let sorted = self.sorted();
        let seconds = |micros: u64| micros as f64 / 1e6;
        Reading::Value(match (aggregate, self) {
            (Aggregate::Mean, _) => round6(self.mean_us() / 1e6),
            (Aggregate::Min, Samples::Few(_)) => seconds(sorted.first().copied().unwrap_or(0)),
            (Aggregate::Min, Samples::Many(histogram)) => seconds(histogram.min()),
            (Aggregate::Max, Samples::Few(_)) => seconds(sorted.last().copied().unwrap_or(0)),
            (Aggregate::Max, Samples::Many(histogram)) => seconds(histogram.max()),
            (Aggregate::Quantile(q), _) => {
                let beyond = u64::from(100_000u32.saturating_sub(q)).max(1);
                let needed = (BEYOND * 100_000).div_ceil(beyond);
                if count < needed {
                    // the quantile that so many do lie beyond is no larger than the one asked for
                    let known = 1.0 - BEYOND as f64 / count as f64;
                    let least = if known > 0.0 { seconds(self.quantile_us(&sorted, known)) } else { 0.0 };
                    let why = format!("p{} needs {needed} samples, so that ten lie beyond it, and there are {count}", f64::from(q) / 1000.0);
                    return Reading::AtLeast(least, why);
                }
                seconds(self.quantile_us(&sorted, f64::from(q) / 100_000.0))
            }
            (Aggregate::Count, _) => count as f64,
        })
    }

    fn quantiles(&self) -> Quantiles {
        let count = self.count();
        let sorted = self.sorted();
        // a quantile says something only where at least ten samples lie beyond it
        let at = |beyond_permille: u64| {
            let micros = self.quantile_us(&sorted, 1.0 - beyond_permille as f64 / 1000.0);
            (count.saturating_mul(beyond_permille) >= 1_000 * BEYOND).then_some(micros as f64 / 1e6)
        };
        let max = match self {
            Samples::Few(_) => sorted.last().copied().unwrap_or(0),
            Samples::Many(histogram) => histogram.max(),
        };
        Quantiles {
            count,
            mean_s: round6(self.mean_us() / 1e6),
            max_s: max as f64 / 1e6,
            p50_s: at(500),
            p90_s: at(100),
            p95_s: at(50),
            p99_s: at(10),
            p999_s: at(1),
        }
    }
}

/// The latencies of all stages, in a form that adds up.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    stages: [Samples; Stage::ALL.len()],
    /// latencies beyond the longest, counted as the longest
    pub overflows: u64,
}

impl Latencies {
    pub fn record(&mut self, stage: Stage, latency: Span) {
        let micros = latency.as_micros().max(1);
        self.overflows += u64::from(micros > LONGEST_US);
        self.stages[stage as usize].add(micros.min(LONGEST_US));
    }

    pub fn merge(&mut self, other: &Latencies) {
        self.overflows += other.overflows;
        for (mine, theirs) in self.stages.iter_mut().zip(&other.stages) {
            mine.merge(theirs);
        }
    }

    pub fn count(&self, stage: Stage) -> u64 {
        self.stages[stage as usize].count()
    }

    /// What is made of the latencies of a stage.
    pub fn reading(&self, stage: Stage, aggregate: Aggregate) -> Reading {
        self.stages[stage as usize].reading(aggregate)
    }

    pub fn mean_s(&self, stage: Stage) -> Option<f64> {
        let samples = &self.stages[stage as usize];
        (samples.count() > 0).then(|| round6(samples.mean_us() / 1e6))
    }

    pub fn quantiles(&self) -> impl Iterator<Item = (String, Quantiles)> + '_ {
        Stage::ALL.into_iter().filter_map(|stage| {
            let samples = &self.stages[stage as usize];
            (samples.count() > 0).then(|| (stage.name().to_owned(), samples.quantiles()))
        })
    }
}

/// Means are exact to the microsecond at best; further digits would only make the bytes of a summary fragile.
pub(super) fn round6(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
