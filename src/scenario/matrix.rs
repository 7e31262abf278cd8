//! The matrix: scenarios x variants x faults x channels x order counts, expanded into cases with stable names.

use super::{Arrival, FaultSet, Scenario};
use crate::model::Channel;
use crate::sim::{Seed, Span};
use std::sync::Arc;

/// One cell of the matrix: the unit of running, naming, judging and reporting.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// `S01.base.duplicate.web.12`: scenario, variant, fault set, channel, orders
    pub name: String,
    pub scenario: Arc<Scenario>,
    pub fault: Arc<FaultSet>,
    pub channel: Channel,
    pub orders: u32,
    pub arrival: Arrival,
    pub gap: Span,
    /// derived from the run's seed and the case name, so that a case replays alone
    pub seed: Seed,
    /// why this cell cannot be run, if so
    pub not_applicable: Option<String>,
}
