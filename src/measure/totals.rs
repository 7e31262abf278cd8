//! What was counted, in a form that adds up over partitions and cases; quantiles are taken only from the sum.

use super::latency::{Latencies, Stage, round6};
use super::series::Series;
use super::{Kpis, Measures};

#[derive(Clone, Debug, Default)]
pub struct MeterTotals {
    pub(super) latencies: Latencies,
    pub(super) series: Series,
    pub(super) placed: u64,
    /// time in which orders were placed, and how many gaps between orders it holds
    pub(super) placing_ns: u64,
    pub(super) gaps: u64,
    pub(super) cancelled: u64,
    pub(super) exceptions: u64,
    pub(super) with_parcel: u64,
    pub(super) split: u64,
    /// orders of records that reached rest, and how many of them never came to an end
    pub(super) settled: u64,
    pub(super) failed: u64,
    pub(super) stock_checked: u64,
    pub(super) stock_wrong: u64,
    pub(super) tickets: f64,
}

impl MeterTotals {
    /// Adds another case, as if it had run after this one.
    pub fn merge(&mut self, other: &MeterTotals) {
        let placing_ns = self.placing_ns.saturating_add(other.placing_ns);
        self.add(other);
        self.placing_ns = placing_ns;
    }

    /// Adds another partition of the same case: its orders were placed at the same time.
    pub fn merge_partition(&mut self, other: &MeterTotals) {
        let placing_ns = self.placing_ns.max(other.placing_ns);
        self.add(other);
        self.placing_ns = placing_ns;
    }

    fn add(&mut self, other: &MeterTotals) {
        self.latencies.merge(&other.latencies);
        self.series.merge(&other.series);
        self.placed += other.placed;
        self.gaps += other.gaps;
        self.cancelled += other.cancelled;
        self.exceptions += other.exceptions;
        self.with_parcel += other.with_parcel;
        self.split += other.split;
        self.settled += other.settled;
        self.failed += other.failed;
        self.stock_checked += other.stock_checked;
        self.stock_wrong += other.stock_wrong;
        self.tickets += other.tickets;
    }

    /// Latencies longer than the histograms reach; they are counted as the longest.
    pub fn overflows(&self) -> u64 {
        self.latencies.overflows
    }

    pub fn measures(&self) -> Measures {
        let rate = |part: u64, whole: u64| (whole > 0).then(|| round6(part as f64 / whole as f64));
        Measures {
            latency: self.latencies.quantiles().collect(),
            kpis: Kpis {
                order_to_ship_s: self.latencies.mean_s(Stage::OrderToShip),
                order_failure_rate: rate(self.failed, self.settled),
                cancellation_rate: rate(self.cancelled, self.placed),
                manual_intervention_rate: rate(self.exceptions, self.placed),
                split_shipment_rate: rate(self.split, self.with_parcel),
                inventory_mismatch_rate: rate(self.stock_wrong, self.stock_checked),
                tickets_per_100: (self.placed > 0).then(|| round6(self.tickets * 100.0 / self.placed as f64)),
            },
            orders_placed: self.placed,
            throughput_per_s: if self.placing_ns == 0 { 0.0 } else { round6(self.gaps as f64 * 1e9 / self.placing_ns as f64) },
            series: self.series.points(),
        }
    }
}
