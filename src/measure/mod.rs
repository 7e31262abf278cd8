//! Latencies, throughput and the seven KPIs: a fold over history entries.

mod course;
mod latency;
mod meter;
mod open;
mod order;
mod series;
mod tally;
mod totals;

pub use crate::model::Stage;
pub use latency::Reading;
pub use meter::{Focus, Meter};
pub use totals::MeterTotals;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was measured in one case, or in all.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Measures {
    /// by stage, from the intended time: `ack`, `accept_to_allocate`, `order_to_ship`, ..
    pub latency: BTreeMap<String, Quantiles>,
    pub kpis: Kpis,
    pub orders_placed: u64,
    /// orders a virtual second, over the time in which orders were placed
    pub throughput_per_s: f64,
    /// points for the plots
    pub series: Vec<SeriesPoint>,
    /// how the load went while orders came; only for runs with a load profile
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub course: Vec<CoursePoint>,
}

/// Quantiles of a latency, in virtual seconds. A quantile with fewer than ten samples beyond it is absent.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    pub count: u64,
    pub mean_s: f64,
    pub max_s: f64,
    pub p50_s: Option<f64>,
    pub p90_s: Option<f64>,
    pub p95_s: Option<f64>,
    pub p99_s: Option<f64>,
    pub p999_s: Option<f64>,
}

/// The seven KPIs (domain section 6); rates are shares from 0 to 1.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Kpis {
    /// median and 95th percentile stand in `latency.order_to_ship`; this is the mean in seconds
    pub order_to_ship_s: Option<f64>,
    pub order_failure_rate: Option<f64>,
    pub cancellation_rate: Option<f64>,
    pub manual_intervention_rate: Option<f64>,
    pub split_shipment_rate: Option<f64>,
    pub inventory_mismatch_rate: Option<f64>,
    /// modelled: expected tickets per 100 orders, with assumed weights
    pub tickets_per_100: Option<f64>,
}

/// One bucket of time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SeriesPoint {
    /// start of the bucket, virtual seconds
    pub t_s: f64,
    pub placed: u64,
    pub shipped: u64,
    pub completed: u64,
    pub faults: u64,
    /// acknowledgements heard in the bucket: their largest latency in seconds
    pub ack_max_s: f64,
}

/// One interval of the time in which orders came.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CoursePoint {
    /// start of the interval, virtual seconds since the first moment of the load
    pub t_s: f64,
    pub width_s: f64,
    /// orders that were due in it
    pub offered: u64,
    /// orders that had their first definite answer in it
    pub answered: u64,
    /// orders that were due by its end and not answered
    pub backlog: u64,
    /// those answers by how long they took: from, to (in seconds, counted from when the order was due), how many
    pub took: Vec<(f64, f64, u32)>,
}

#[cfg(test)]
mod tests;
