//! What was counted, in a form that adds up over partitions and cases; quantiles are taken only from the sum.

use super::course::Course;
use super::latency::{Reading, round6};
use super::series::Series;
use super::tally::Tally;
use super::{Kpis, Measures};
use crate::model::{Stage, Threshold, Window};

#[derive(Clone, Debug, Default)]
pub struct MeterTotals {
    pub(super) all: Tally,
    /// of the orders that were due in a part of the run
    pub(super) windows: Vec<(Window, Tally)>,
    pub(super) series: Series,
    pub(super) course: Option<Course>,
}

impl MeterTotals {
    /// Adds another case, as if it had run after this one. Parts of a run are those of one case, and not added.
    pub fn merge(&mut self, other: &MeterTotals) {
        self.windows.clear();
        self.add(other, false);
    }

    /// Adds another partition of the same case: its orders were placed at the same time.
    pub fn merge_partition(&mut self, other: &MeterTotals) {
        if self.windows.is_empty() {
            self.windows = other.windows.iter().map(|(window, _)| (*window, Tally::default())).collect();
        }
        for ((_, mine), (_, theirs)) in self.windows.iter_mut().zip(&other.windows) {
            mine.merge(theirs, true);
        }
        self.add(other, true);
    }

    fn add(&mut self, other: &MeterTotals, together: bool) {
        self.all.merge(&other.all, together);
        self.series.merge(&other.series);
        if let Some(theirs) = &other.course {
            self.course.get_or_insert_default().merge(theirs);
        }
    }

    /// Latencies longer than the histograms reach; they are counted as the longest.
    pub fn overflows(&self) -> u64 {
        self.all.latencies.overflows
    }

    /// What a threshold is about, as it stands.
    pub fn reading(&self, threshold: &Threshold) -> Reading {
        match threshold.window {
            None => self.all.reading(threshold.metric),
            Some(window) => match self.windows.iter().find(|(known, _)| *known == window) {
                Some((_, tally)) => tally.reading(threshold.metric),
                None => Reading::Nothing("no order was due".into()),
            },
        }
    }

    /// As far as it can rise by orders that are not decided, where that is known.
    pub fn best(&self, threshold: &Threshold) -> Option<f64> {
        let tally = match threshold.window {
            None => &self.all,
            Some(window) => self.windows.iter().find(|(known, _)| *known == window).map(|(_, tally)| tally)?,
        };
        tally.best(threshold.metric)
    }

    pub fn measures(&self) -> Measures {
        let Tally { placed, settled, failed, cancelled, exceptions, split, with_parcel, stock_wrong, stock_checked, tickets, .. } = self.all;
        let rate = |part: u64, whole: u64| (whole > 0).then(|| round6(part as f64 / whole as f64));
        Measures {
            latency: self.all.latencies.quantiles().collect(),
            kpis: Kpis {
                order_to_ship_s: self.all.latencies.mean_s(Stage::OrderToShip),
                order_failure_rate: rate(failed, settled),
                cancellation_rate: rate(cancelled, placed),
                manual_intervention_rate: rate(exceptions, placed),
                split_shipment_rate: rate(split, with_parcel),
                inventory_mismatch_rate: rate(stock_wrong, stock_checked),
                tickets_per_100: (placed > 0).then(|| round6(tickets * 100.0 / placed as f64)),
            },
            orders_placed: placed,
            throughput_per_s: round6(self.all.throughput()),
            series: self.series.points(),
            course: self.course.as_ref().map(Course::points).unwrap_or_default(),
        }
    }
}
