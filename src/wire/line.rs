//! The child-process protocol, `adapter/1`: one JSON object a line on the adapter's standard input and output. docs/adapter.md is all that
//! somebody needs who writes an adapter in any language.

use super::{Names, Payload, Unreadable};
use crate::model::{Class, Code, Id, Message, Op, Outcome};
use crate::sim::Span;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const ADAPTER: &str = "adapter/1";
/// A longer line is an error of whoever wrote it.
pub const LONGEST_LINE: usize = 1 << 20;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A line from the harness.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ToAdapter {
    /// to be answered under this number; 0 where no answer is wanted
    #[serde(skip_serializing_if = "is_default")]
    pub id: u64,
    /// `init`, `skip`, `quit`, `GetOrder`, `GetInventory`, or a command, feed or callback
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_id: String,
    /// the business intent: the same for every attempt
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    #[serde(skip_serializing_if = "is_default")]
    pub seq: u32,
    /// nanoseconds of business time since the case began
    pub now_ns: u64,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub args: Value,
    /// the answer to the adapter's call of this id, with `class`, `reason` and `args`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "is_default")]
    pub retry_after_ms: u64,
    /// the adapter's event of this id was taken
    #[serde(skip_serializing_if = "String::is_empty")]
    pub taken: String,
    /// it was not: it is owed still
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refused: String,
}

/// A line from the adapter.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FromAdapter {
    /// the answer to the request of this number
    #[serde(skip_serializing_if = "is_default")]
    pub re: u64,
    /// `ok`, `replayed`, `pending`, `rejected`, `busy`, `error`, `unknown` or `unsupported`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "is_default")]
    pub retry_after_ms: u64,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub result: Value,
    /// an event of the vocabulary
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// a call of a partner, such as `payment.authorize`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub call: String,
    /// of the event or call
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// of the call: the same for every attempt
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// of the event: its number among those of its order, from 1
    #[serde(skip_serializing_if = "is_default")]
    pub seq: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub data: Payload,
    /// something for the person who reads along; `msg` says what
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub msg: String,
}

fn show(id: Id, names: &Names) -> String {
    if id.is_some() { names.show_id(id) } else { String::new() }
}

impl ToAdapter {
    pub fn message(id: u64, msg: &Message, now_ns: u64, names: &Names) -> ToAdapter {
        ToAdapter {
            id,
            op: msg.op.name().into(),
            message_id: show(msg.id, names),
            key: show(msg.key, names),
            correlation_id: show(msg.corr, names),
            cause: show(msg.cause, names),
            seq: msg.seq,
            now_ns,
            args: serde_json::to_value(Payload::of(msg, names)).unwrap_or_default(),
            ..ToAdapter::default()
        }
    }

    /// The command, feed or callback that this line is.
    pub fn read(&self, names: &Names) -> Result<Message, Unreadable> {
        let op = Op::parse(&self.op).filter(|op| matches!(op.class(), Class::Command | Class::Feed | Class::Callback));
        let op = op.ok_or_else(|| Unreadable { field: "op", expected: format!("an operation of the vocabulary, not `{}`", self.op) })?;
        let payload: Payload = serde_json::from_value(self.args.clone())
            .map_err(|error| Unreadable { field: "args", expected: format!("fields of the contract: {error}") })?;
        let (id, key) = (names.id(&self.message_id), names.id(&self.key));
        let (corr, cause) = (names.id(&self.correlation_id), names.id(&self.cause));
        Ok(Message { id, key, corr, cause, seq: self.seq, ..payload.message(op, names)? })
    }
}

impl FromAdapter {
    /// The event or the call that this line is.
    pub fn read(&self, names: &Names) -> Result<Message, Unreadable> {
        let (name, class) = if self.event.is_empty() { (&self.call, Class::Call) } else { (&self.event, Class::Event) };
        let op = Op::parse(name).filter(|op| op.class() == class);
        let op = op.ok_or_else(|| Unreadable { field: "event or call", expected: format!("a name of the vocabulary, not `{name}`") })?;
        if self.id.is_empty() {
            return Err(Unreadable { field: "id", expected: "an id of this event or call".into() });
        }
        let (id, key) = (names.id(&self.id), names.id(&self.key));
        let (corr, cause) = (names.id(&self.correlation_id), names.id(&self.cause));
        Ok(Message { id, key, corr, cause, seq: self.seq, ..self.data.message(op, names)? })
    }

    pub fn said(msg: &Message, names: &Names) -> FromAdapter {
        let name = msg.op.name().to_string();
        let (event, call) = if msg.op.class() == Class::Event { (name, String::new()) } else { (String::new(), name) };
        FromAdapter {
            event,
            call,
            id: show(msg.id, names),
            key: show(msg.key, names),
            correlation_id: show(msg.corr, names),
            cause: show(msg.cause, names),
            seq: msg.seq,
            data: Payload::of(msg, names),
            ..FromAdapter::default()
        }
    }
}

/// The word for an outcome.
pub fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::None | Outcome::Ok => "ok",
        Outcome::Replayed => "replayed",
        Outcome::Pending => "pending",
        Outcome::Rejected => "rejected",
        Outcome::Backpressure => "busy",
        Outcome::Error => "error",
        Outcome::Refused | Outcome::TimedOut => "unknown",
    }
}

/// The outcome that a word stands for, with its reason. A word that is not known leaves everything open.
pub fn outcome_of(class: &str, reason: &str, retry_after_ms: u64) -> (Outcome, Code, Span) {
    let outcome = match class {
        "ok" => Outcome::Ok,
        "replayed" => Outcome::Replayed,
        "pending" => Outcome::Pending,
        "rejected" | "unsupported" => Outcome::Rejected,
        "busy" => Outcome::Backpressure,
        "error" => Outcome::Error,
        _ => Outcome::TimedOut,
    };
    let code = Code::parse(reason).unwrap_or(Code::Invalid);
    (outcome, code, Span::from_millis(retry_after_ms))
}
