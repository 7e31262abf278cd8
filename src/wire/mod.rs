//! The canonical contract on the wire: what a message looks like in JSON, under which path and with which headers it goes, and
//! which status says what. Both ends speak it: the harness, and whoever implements the contract (`orderstorm serve` does).
//!
//! Commands, queries and partner calls are HTTP requests; feeds, callbacks and events are CloudEvents 1.0 in JSON; webhooks are signed
//! as Standard Webhooks says; errors are problem details (RFC 9457). Times are the run's: nanoseconds since it began.
//!
//! Rooms: `names` (texts of one estate to ids and back), `payload` (fields), `envelope` (CloudEvents), `http` (paths, headers, statuses),
//! `sign` (webhook signatures), `trace` (trace context), `line` (the child-process protocol), `sandbox` (what one case sets up), `contract` (all of it as documents).

pub mod contract;
mod envelope;
mod http;
mod line;
mod names;
mod payload;
mod sandbox;
mod sign;
mod trace;

pub use envelope::{CLOUD_EVENT, CloudEvent, event_time};
pub use http::{
    Answered, CALL_PREFIX, CAUSATION_ID, CORRELATION_ID, IDEMPOTENCY_KEY, MESSAGE_ID, Problem, REPLAYED, RETRY_AFTER, TRACEPARENT, answer,
    command_path, command_route, read_answer, request_headers,
};
pub use line::{ADAPTER, FromAdapter, LONGEST_LINE, ToAdapter, class_of, outcome_of};
pub use names::Names;
pub use payload::{Payload, PayloadLine, PayloadOrder, PayloadOrderLine};
pub use sandbox::{DeadLetter, OrderView, Sandbox, Skip, SkipLine, Skipped, StockView};
pub use sign::{Signature, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
pub use trace::{TraceContext, Traces};

/// What a text from outside lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    pub field: &'static str,
    pub expected: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: expected {}", self.field, self.expected)
    }
}

/// Media type of problem details.
pub const PROBLEM: &str = "application/problem+json";
pub const JSON: &str = "application/json";
