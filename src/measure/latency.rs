//! Latency histograms that can be added up over cases.

use super::Quantiles;
use crate::sim::Span;
use hdrhistogram::Histogram;

/// The stages of an order's way that are timed, each from its start to its end as the harness saw them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
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
    pub const ALL: [Stage; 9] = [
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

/// One histogram for each stage, all of one configuration, so that adding up never fails; made when first needed,
/// because most cases use few.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    stages: [Option<Histogram<u32>>; Stage::ALL.len()],
    /// latencies beyond the longest, counted as the longest
    pub overflows: u64,
}

fn empty() -> Option<Histogram<u32>> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).ok()
}

impl Latencies {
    pub fn record(&mut self, stage: Stage, latency: Span) {
        let micros = latency.as_micros().max(1);
        self.overflows += u64::from(micros > LONGEST_US);
        let slot = &mut self.stages[stage as usize];
        if slot.is_none() {
            *slot = empty();
        }
        if let Some(histogram) = slot {
            histogram.saturating_record(micros.min(LONGEST_US));
        }
    }

    pub fn merge(&mut self, other: &Latencies) {
        self.overflows += other.overflows;
        for (mine, theirs) in self.stages.iter_mut().zip(&other.stages) {
            match (mine.as_mut(), theirs) {
                (Some(histogram), Some(more)) => {
                    // cannot fail: both have the one configuration
                    let _ = histogram.add(more);
                }
                (None, Some(more)) => *mine = Some(more.clone()),
                (_, None) => {}
            }
        }
    }

    pub fn mean_s(&self, stage: Stage) -> Option<f64> {
        self.stages[stage as usize].as_ref().filter(|h| !h.is_empty()).map(|h| round6(h.mean() / 1e6))
    }

    pub fn quantiles(&self) -> impl Iterator<Item = (String, Quantiles)> + '_ {
        Stage::ALL.into_iter().filter_map(|stage| {
            let histogram = self.stages[stage as usize].as_ref()?;
            Some((stage.name().to_owned(), quantiles(histogram)))
        })
    }
}

/// A quantile says something only where at least ten samples lie beyond it.
fn quantiles(histogram: &Histogram<u32>) -> Quantiles {
    let count = histogram.len();
    let at = |beyond_permille: u64| {
        let quantile = 1.0 - beyond_permille as f64 / 1000.0;
        (count.saturating_mul(beyond_permille) >= 10_000).then(|| histogram.value_at_quantile(quantile) as f64 / 1e6)
    };
    Quantiles {
        count,
        mean_s: if count == 0 { 0.0 } else { round6(histogram.mean() / 1e6) },
        max_s: histogram.max() as f64 / 1e6,
        p50_s: at(500),
        p90_s: at(100),
        p95_s: at(50),
        p99_s: at(10),
        p999_s: at(1),
    }
}

/// Means are exact to the microsecond at best; further digits would only make the bytes of a summary fragile.
pub(super) fn round6(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
