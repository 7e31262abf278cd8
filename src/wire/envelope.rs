//! Feeds, callbacks and events: CloudEvents 1.0.2, JSON structured mode.

use super::{Names, Payload, Unreadable};
use crate::model::{Class, Message, Op};
use crate::sim::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Media type of one event in structured mode.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// An event, a feed or a callback. Receivers tell duplicates by (`source`, `id`), and order by (`subject`, `sequence`).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CloudEvent {
    pub specversion: String,
    /// of this very message: it keeps it when it is delivered again
    pub id: String,
    pub source: String,
    /// `oms.` and the operation and `.v1`, such as `oms.shipment.shipped.v1`
    #[serde(rename = "type")]
    pub kind: String,
    /// `order/O17`, `node/DC1`, or `node/DC1/sku/A`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// RFC 3339, in the time of the run
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time: String,
    pub datacontenttype: String,
    /// the client's name for everything about one order
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correlationid: String,
    /// id of the message that caused this one
    #[serde(skip_serializing_if = "String::is_empty")]
    pub causationid: String,
    /// callbacks and feeds: the same for every attempt to say the same
    #[serde(skip_serializing_if = "String::is_empty")]
    pub idempotencykey: String,
    /// number within the subject, from 1
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sequence: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sequencetype: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
    pub data: Payload,
}

/// A time of the run in RFC 3339. Every run begins at ten.
pub fn event_time(at: Timestamp) -> String {
    const BEGINS: i64 = 946_720_800; // 2000-01-01T10:00:00Z
    let at = jiff::Timestamp::from_second(BEGINS).ok().and_then(|begin| begin.checked_add(jiff::SignedDuration::from_nanos(at.0 as i64)).ok());
    at.map_or(String::new(), |at| at.to_string())
}

pub(super) fn is_enveloped(op: Op) -> bool {
    matches!(op.class(), Class::Feed | Class::Callback | Class::Event)
}

impl CloudEvent {
    pub fn of(msg: &Message, at: Timestamp, source: &str, names: &Names) -> CloudEvent {
        let data = Payload::of(msg, names);
        let text = |id: crate::model::Id| if id.is_some() { names.show_id(id) } else { String::new() };
        let subject = match (msg.order.is_some(), data.node_id.as_str(), data.sku.as_str()) {
            (true, ..) => format!("order/{}", data.order_id),
            (_, "", _) => String::new(),
            (_, node, "") => format!("node/{node}"),
            (_, node, sku) => format!("node/{node}/sku/{sku}"),
        };
        let numbered = msg.seq != 0;
        CloudEvent {
            specversion: "1.0".into(),
            id: text(msg.id),
            source: source.into(),
            kind: format!("oms.{}.v1", msg.op.name()),
            subject,
            time: event_time(at),
            datacontenttype: super::JSON.into(),
            correlationid: text(msg.corr),
            causationid: text(msg.cause),
            idempotencykey: text(msg.key),
            sequence: if numbered { msg.seq.to_string() } else { String::new() },
            sequencetype: if numbered { "Integer".into() } else { String::new() },
            traceparent: names.traces().outgoing(msg).header(),
            data,
        }
    }

    pub fn message(&self, names: &Names) -> Result<Message, Unreadable> {
        let lacks = |field: &'static str, expected: &str| Unreadable { field, expected: expected.into() };
        if self.specversion != "1.0" {
            return Err(lacks("specversion", "\"1.0\""));
        }
        if self.id.is_empty() {
            return Err(lacks("id", "the id of the message"));
        }
        let name = self.kind.strip_prefix("oms.").and_then(|name| name.strip_suffix(".v1"));
        let op = name.and_then(Op::parse).filter(|op| is_enveloped(*op));
        let op = op.ok_or_else(|| lacks("type", &format!("`oms.<entity>.<fact>.v1` of the vocabulary, not `{}`", self.kind)))?;
        let seq = match self.sequence.as_str() {
            "" => 0,
            text => text.parse().map_err(|_| lacks("sequence", "a whole number as text"))?,
        };
        let msg = Message {
            id: names.id(&self.id),
            key: names.id(&self.idempotencykey),
            cause: names.id(&self.causationid),
            corr: names.id(&self.correlationid),
            seq,
            ..self.data.message(op, names)?
        };
        names.traces().incoming(&msg, &self.traceparent);
        Ok(msg)
    }
}
