//! What is beside the business: a sandbox for one case, its clock, and reads.

use crate::model::Fixture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An orchestrator of its own for one case: `PUT /v1/{sandbox}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// nodes, products and policies
    pub estate: Fixture,
    /// keys the draws of the service model
    #[serde(default)]
    pub seed: u64,
    /// a new order waits so long before it is released
    #[serde(default)]
    pub remorse_hold_ns: Option<u64>,
    /// where partners are called, such as `http://127.0.0.1:9/case-1/partners`
    pub partners_url: String,
    /// where events are sent
    pub webhook_url: String,
    /// what they are signed with; empty where nobody checks
    #[serde(default)]
    pub webhook_secret: String,
    /// feeds and callbacks are signed with the same secret, and what does not verify is to be answered with 401
    #[serde(default)]
    pub signed: bool,
}

/// `POST /v1/{sandbox}/clock`: nothing is under way, as far as the harness knows, so time may be skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// nanoseconds since the sandbox began; absent: to what the target itself has to do next
    #[serde(default)]
    pub to_ns: Option<u64>,
    /// calls and events that the harness has received and not answered
    pub open_calls: usize,
    pub open_events: usize,
}

/// The same to a child process: `skip`. It has written so many events and calls before, or else something is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SkipLine {
    #[serde(default)]
    pub to_ns: Option<u64>,
    /// lines with an `event` or a `call` that the harness has read
    pub heard: u64,
}

/// How far it went: to that time, or to when the target itself has something to do; not at all where something is under way that the
/// harness has not seen yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    pub busy: bool,
    /// no time was named, and there is nothing to do
    pub idle: bool,
    pub now_ns: u64,
}

/// An event that was delivered too often in vain: `GET /v1/{sandbox}/dead-letters`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    pub event: super::CloudEvent,
    /// deliveries that failed
    pub attempts: u32,
}

/// `GET /v1/{sandbox}/orders/{order}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// `open`, `completed`, `state_cancelled`, ..
    pub state: String,
    /// units for which a reservation stands
    pub reserved: i32,
    /// captured less refunded, in minor units
    pub net: i64,
}

/// `GET /v1/{sandbox}/inventory/{node}/{sku}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StockView {
    pub on_hand: i64,
    pub reserved: i64,
}
