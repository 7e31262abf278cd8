//! Latency histograms that can be added up over cases.

use super::Quantiles;
use crate::sim::Span;
use hdrhistogram::Histogram;

/// The stages of an order's way that are timed, each from its start to its end as the harness saw them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// intended time of the order to its first sending: how late the harness itself was. In virtual time it never is
    SendLag,
    /// intended time of the order to the first definite answer
    Ack,
    /// actual sending of the attempt that was answered to its answer
    AckService,
    OrderToAccept,
    OrderToAllocate,
    OrderToRelease,
    /// to the first units that left, were handed over or stood ready for pickup
    OrderToShip,
    OrderToComplete,
    /// a node takes a fulfillment on, until it leaves
    ReleaseToShip,
    /// the request for a return, until its refund stands in the payment books
    ReturnToRefund,
}

impl Stage {
    pub const ALL: [Stage; 10] = [
        Stage::SendLag,
        Stage::Ack,
        Stage::AckService,
        Stage::OrderToAccept,
        Stage::OrderToAllocate,
        Stage::OrderToRelease,
        Stage::OrderToShip,
        Stage::OrderToComplete,
        Stage::ReleaseToShip,
        Stage::ReturnToRefund,
    ];

    /// The key in `Measures::latency`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::SendLag => "send_lag",
            Stage::Ack => "ack",
            Stage::AckService => "ack_service",
            Stage::OrderToAccept => "order_to_accept",
            Stage::OrderToAllocate => "order_to_allocate",
            Stage::OrderToRelease => "order_to_release",
            Stage::OrderToShip => "order_to_ship",
            Stage::OrderToComplete => "order_to_complete",
            Stage::ReleaseToShip => "release_to_ship",
            Stage::ReturnToRefund => "return_to_refund",
        }
    }
}

/// Longest latency that is told apart from a longer one: 400 days in microseconds.
const LONGEST_US: u64 = 400 * 86_400 * 1_000_000;

/// So many latencies of a stage are kept one by one; more go into a histogram, which takes 140 KB however few they are. Most
/// cases are small, and a run has many.
const FEW: usize = 512;

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

    fn quantiles(&self) -> Quantiles {
        let count = self.count();
        let mut sorted = match self {
            Samples::Few(list) => list.clone(),
            Samples::Many(_) => Vec::new(),
        };
        sorted.sort_unstable();
        // a quantile says something only where at least ten samples lie beyond it
        let at = |beyond_permille: u64| {
            let quantile = 1.0 - beyond_permille as f64 / 1000.0;
            let micros = match self {
                Samples::Many(histogram) => histogram.value_at_quantile(quantile),
                Samples::Few(_) => {
                    let rank = (quantile * count as f64).ceil() as usize;
                    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
                }
            };
            (count.saturating_mul(beyond_permille) >= 10_000).then_some(micros as f64 / 1e6)
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
