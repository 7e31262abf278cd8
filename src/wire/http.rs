//! Paths, headers and statuses.

use super::{Names, Payload, Unreadable};
use crate::model::{Code, Id, Message, Op, Outcome};
use crate::sim::Span;
use serde::{Deserialize, Serialize};

/// Draft of the IETF httpapi working group: the business intent, the same for every attempt.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub const MESSAGE_ID: &str = "x-message-id";
pub const CORRELATION_ID: &str = "x-correlation-id";
pub const CAUSATION_ID: &str = "x-causation-id";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
pub const RETRY_AFTER: &str = "retry-after";
/// The same key was answered before, and nothing new happened.
pub const REPLAYED: &str = "idempotency-replayed";
/// Partner calls go to this path of the harness, then partner and verb: `partners/payment/authorize`.
pub const CALL_PREFIX: &str = "partners";

/// Problem details (RFC 9457), with the canonical reason.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Problem {
    /// `urn:orderstorm:problem:` and the code
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// a word of the vocabulary
    pub code: String,
}

impl Problem {
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Problem {
        let title = match status {
            400 => "The request cannot be read",
            401 => "The signature is not right",
            404 => "There is no such thing here",
            405 => "There is no such method here",
            409 => "The key was used for another request",
            422 => "The request was turned down",
            429 | 503 => "Not now",
            _ => "Something went wrong",
        };
        Problem { kind: format!("urn:orderstorm:problem:{code}"), title: title.into(), status, detail: detail.into(), code: code.into() }
    }
}

/// The method and path of a command, below the sandbox.
pub fn command_path(msg: &Message, names: &Names) -> Option<(&'static str, String)> {
    let order = || names.show_order(msg.order);
    Some(match msg.op {
        Op::PlaceOrder => ("POST", "orders".into()),
        Op::CancelOrder => ("POST", format!("orders/{}/cancellations", order())),
        Op::RequestReturn => ("POST", format!("orders/{}/returns", order())),
        Op::RequestExchange => ("POST", format!("orders/{}/exchanges", order())),
        Op::CancelReturn => ("POST", format!("orders/{}/returns/{}/cancellation", order(), names.show_id(msg.ret))),
        Op::UpsertNode => ("PUT", format!("nodes/{}", names.estate().node_name(msg.node))),
        _ => return None,
    })
}

/// Names and values of the headers of a command or of a partner call.
pub fn request_headers(msg: &Message, names: &Names) -> Vec<(&'static str, String)> {
    let mut headers = Vec::with_capacity(6);
    headers.push(("content-type", super::JSON.to_string()));
    headers.push((TRACEPARENT, names.traces().outgoing(msg).header()));
    let always = [(MESSAGE_ID, msg.id), (IDEMPOTENCY_KEY, msg.key)];
    let where_there_is_one = [(CORRELATION_ID, msg.corr), (CAUSATION_ID, msg.cause)].into_iter().filter(|(_, id)| id.is_some());
    headers.extend(always.into_iter().chain(where_there_is_one).map(|(name, id)| (name, names.show_id(id))));
    headers
}

/// The command that goes to such a path. Ids of the path stand in the body, too.
pub fn command_route(method: &str, path: &[&str]) -> Option<Op> {
    Some(match (method, path) {
        ("POST", ["orders"]) => Op::PlaceOrder,
        ("POST", ["orders", _, "cancellations"]) => Op::CancelOrder,
        ("POST", ["orders", _, "returns"]) => Op::RequestReturn,
        ("POST", ["orders", _, "exchanges"]) => Op::RequestExchange,
        ("POST", ["orders", _, "returns", _, "cancellation"]) => Op::CancelReturn,
        ("PUT", ["nodes", _]) => Op::UpsertNode,
        _ => return None,
    })
}

/// An answer on the wire.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered {
    pub status: u16,
    pub media: &'static str,
    pub body: Vec<u8>,
    pub replayed: bool,
    /// whole seconds
    pub retry_after: Option<u64>,
    /// methods that there are; of 405
    pub allow: Option<String>,
}

impl Answered {
    /// Names and values of its headers.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        headers.extend((!self.body.is_empty()).then(|| ("content-type", self.media.to_string())));
        headers.extend(self.allow.iter().map(|methods| ("allow", methods.clone())));
        headers.extend(self.replayed.then(|| (REPLAYED, "true".to_string())));
        headers.extend(self.retry_after.map(|seconds| (RETRY_AFTER, seconds.to_string())));
        headers
    }
    pub fn json(status: u16, value: &impl Serialize) -> Answered {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Answered { status, media: super::JSON, body, replayed: false, retry_after: None, allow: None }
    }
    pub fn problem(problem: &Problem) -> Answered {
        Answered { media: super::PROBLEM, ..Answered::json(problem.status, problem) }
    }
    pub fn empty(status: u16) -> Answered {
        Answered { status, media: super::JSON, body: Vec::new(), replayed: false, retry_after: None, allow: None }
    }
}

/// How an outcome goes over the wire; `payload` is what a good answer says.
pub fn answer(outcome: Outcome, code: Code, retry_after: Span, payload: &Payload) -> Answered {
    let problem = |status| Answered::problem(&Problem::new(status, code.name(), ""));
    match outcome {
        Outcome::Ok | Outcome::None => Answered::json(200, payload),
        Outcome::Replayed => Answered { replayed: true, ..Answered::json(200, payload) },
        Outcome::Pending => Answered::json(202, payload),
        Outcome::Rejected if code == Code::KeyReuse => problem(409),
        Outcome::Rejected => problem(422),
        Outcome::Backpressure => {
            let status = if code == Code::Throttled { 429 } else { 503 };
            Answered { retry_after: Some(retry_after.0.div_ceil(1_000_000_000).max(1)), ..problem(status) }
        }
        Outcome::Error | Outcome::Refused | Outcome::TimedOut => problem(500),
    }
}

/// What an answer means: outcome, reason, and how long to wait. `payload` is what a good answer said.
pub fn read_answer(status: u16, replayed: bool, retry_after: Option<&str>, body: &[u8]) -> (Outcome, Code, Span, Payload) {
    let good = || serde_json::from_slice::<Payload>(body).unwrap_or_default();
    let reason = || serde_json::from_slice::<Problem>(body).ok().and_then(|problem| Code::parse(&problem.code)).unwrap_or_default();
    let wait = || Span::from_secs(retry_after.and_then(|text| text.trim().parse().ok()).unwrap_or(0));
    match status {
        202 => (Outcome::Pending, Code::None, Span::ZERO, good()),
        200..=299 => {
            let payload = good();
            let code = Code::parse(&payload.code).unwrap_or_default();
            (if replayed { Outcome::Replayed } else { Outcome::Ok }, code, Span::ZERO, payload)
        }
        409 => (Outcome::Rejected, Code::KeyReuse, Span::ZERO, Payload::default()),
        429 | 503 => (Outcome::Backpressure, reason(), wait(), Payload::default()),
        400..=499 => {
            let reason = reason();
            (Outcome::Rejected, if reason == Code::None { Code::Invalid } else { reason }, Span::ZERO, Payload::default())
        }
        _ => (Outcome::Error, reason(), Span::ZERO, Payload::default()),
    }
}

impl Payload {
    /// The message of a request with these fields, whose ids stand in its headers. `header` gives the text of one.
    pub fn request<'a>(&self, op: Op, names: &Names, header: impl Fn(&str) -> Option<&'a str>) -> Result<Message, Unreadable> {
        let id = |name: &str| header(name).map_or(Id::NONE, |text| names.id(text));
        let msg =
            Message { id: id(MESSAGE_ID), key: id(IDEMPOTENCY_KEY), corr: id(CORRELATION_ID), cause: id(CAUSATION_ID), ..self.message(op, names)? };
        if msg.id.is_none() || msg.key.is_none() {
            let field = if msg.id.is_none() { MESSAGE_ID } else { IDEMPOTENCY_KEY };
            return Err(Unreadable { field, expected: "a header of this name".into() });
        }
        names.traces().incoming(&msg, header(TRACEPARENT).unwrap_or_default());
        Ok(msg)
    }
}
