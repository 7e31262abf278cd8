//! JSON Schema of one line of a history, for those who write histories with other programs.

use crate::model::{Channel, Class, Code, Op};
use serde_json::{Value, json};

/// The text of `schemas/history.v1.json`.
pub fn history_schema() -> String {
    let text = |about: &str| json!({"type": "string", "description": about});
    let whole = |about: &str| json!({"type": "integer", "minimum": 0, "description": about});
    let signed = |about: &str| json!({"type": "integer", "description": about});
    let ops: Vec<&str> = Op::ALL.iter().map(|op| op.name()).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).filter(|name| !name.is_empty()).collect();
    let marks: Vec<&str> = Op::ALL.iter().filter(|op| op.class() == Class::Mark).map(|op| op.name()).collect();
    let order_line = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "line": whole("number of the line, from 1"),
            "sku": text("name in the header's fixture"),
            "qty": whole("units"),
            "unit_price": signed("list price of a unit, minor units"),
            "discount": signed("off the whole line"),
            "tax": signed("on the whole line"),
            "fulfil": {"enum": ["ship", "pickup"]},
            "node": text("the store of a pickup line"),
        }
    });
    let line = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "line": whole("number of the line, from 1"),
            "sku": text("name in the header's fixture"),
            "qty": signed("units"),
            "seq": whole("number of the movement within its node and SKU"),
        }
    });
    let body = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "channel": {"enum": Channel::ALL.map(Channel::name)},
            "ship_to": {"enum": ["east", "west"]},
            "customer": {"type": "object", "properties": {"no": whole("the shopper; name and address are for the eye")}},
            "lines": {"type": "array", "items": order_line},
            "shipping": signed("minor units, once an order"),
            "ship_complete": {"type": "boolean"},
        }
    });
    let entry = json!({
        "title": "entry",
        "type": "object",
        "required": ["at", "kind", "op"],
        "additionalProperties": false,
        "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "number of the entry, from 1 without gaps; its place in the file where left out"},
            "at": whole("when the harness saw it, nanoseconds since the run began"),
            "due": whole("commands: when the order was meant to be sent; absent where equal to `at`"),
            "kind": {"enum": ["sent", "reply", "call", "answer", "event", "fact", "fault", "state", "mark"]},
            "outcome": {"enum": ["ok", "replayed", "pending", "rejected", "backpressure", "error", "refused", "timed_out"]},
            "op": {"enum": ops, "description": format!("canonical name of the operation; of a mark one of {}", marks.join(", "))},
            "id": text("identity of the message"),
            "key": text("idempotency key of a command or call"),
            "order": text("such as O17"),
            "line": whole("number of the line"),
            "fulfillment": text("fulfillment, and its parcel"),
            "ret": text("return or exchange"),
            "pay": text("payment authorization"),
            "node": text("name in the header's fixture"),
            "sku": text("name in the header's fixture"),
            "qty": signed("units"),
            "amount": signed("minor units"),
            "code": {"enum": codes},
            "seq": whole("number within its order, or within its node and SKU; of a fault the rule's number"),
            "rule_version": whole("version of the routing rules that it brings, or by which it chose a node"),
            "cause": text("id of the message that caused this one; of what a timer does, the event or call that started it"),
            "corr": text("correlation id: the client's for the order, on everything that is about it"),
            "drift": {"const": true, "description": "the message carried fields that its receiver does not know"},
            "lines": {"type": "array", "items": line},
            "body": body,
        }
    });
    let footer = json!({
        "title": "footer",
        "type": "object",
        "required": ["end"],
        "additionalProperties": false,
        "properties": {"end": {
            "type": "object",
            "additionalProperties": false,
            "properties": {"entries": whole("entries before it"), "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}},
        }}
    });
    let node = json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": text("as entries name it"),
            "kind": {"enum": ["dc", "store", "3pl", "supplier"]},
            "region": {"enum": ["east", "west"]},
            "safety_stock": whole("units of each SKU kept back from orders"),
            "capacity_per_day": whole("fulfillments a day; 0 is no limit"),
            "opens_h": whole("hour of the day"),
            "closes_h": whole("hour of the day; 24 where left out"),
            "enabled": {"type": "boolean"},
        }
    });
    let product = json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": text("as entries name it"),
            "price": signed("minor units"),
            "backorderable": {"type": "boolean"},
        }
    });
    let policies = json!({
        "type": "object",
        "additionalProperties": false,
        "description": "what the target declares of its own rules; what is left out is not declared",
        "properties": {
            "capture": text("`on_ship`"),
            "refund": text("`on_inspection`"),
            "exchange": text("`net`, also where left out"),
            "backorder": text("`fifo`"),
            "backorder_partial": {"type": "boolean"},
            "rounding": text("`cumulative`, also where left out"),
            "pickup_hold_s": whole("seconds"),
            "node_accept_sla_s": whole("seconds"),
            "cancel_ok": text("what `ok` to a cancellation promises: `done` or `accepted`"),
            "split": text("`fewest_nodes`"),
            "region": text("`nearest`"),
            "remorse_hold_s": whole("seconds"),
            "release_within_s": whole("seconds; 0 promises nothing"),
            "capture_within_s": whole("seconds; 0 promises nothing"),
            "refund_within_s": whole("seconds; 0 promises nothing"),
        }
    });
    let fixture = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "nodes": {"type": "array", "items": node},
            "products": {"type": "array", "items": product},
            "policies": policies,
        }
    });
    let header = json!({
        "title": "header",
        "type": "object",
        "required": ["orderstorm_history", "fixture"],
        "additionalProperties": false,
        "properties": {
            "orderstorm_history": {"const": crate::history::HISTORY_VERSION},
            "version": text("of the orderstorm that wrote it; leave it out"),
            "case": text("what to call the record"),
            "seed": whole("orderstorm's own"),
            "partition": whole("orderstorm's own"),
            "partitions": whole("orderstorm's own"),
            "target": text("what to call the orchestrator"),
            "defect": text("orderstorm's own"),
            "fault_rules": {"type": "array", "items": text("name of a fault rule")},
            "calm_ns": whole("from when on no fault acts"),
            "horizon_ns": whole("orderstorm's own"),
            "time_scale": {"type": "number", "description": "business seconds in one of the wall clock, above 1 where they ran faster"},
            "fixture": fixture,
            "tells": {
                "type": "object",
                "description": "what the record can tell of, where that is not everything; left out, it is found out from the entries",
                "required": ["facts", "claims"],
                "additionalProperties": false,
                "properties": {
                    "facts": {"type": "array", "items": text("a call or callback of a partner whose books are in it")},
                    "claims": {"type": "array", "items": text("an event that the target announces")},
                    "sampled_ns": whole("states are only looked at so often; 0 where each is announced"),
                },
            },
            "expect": {"type": "object", "description": "`[expect]` of a scenario, see its schema"},
            "command": text("what makes this record again"),
        },
    });
    let schema: Value = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://orderstorm.dev/schemas/history.v1.json",
        "title": "one line of an orderstorm history",
        "description": "First line: header. Then entries. Last line: footer.",
        "oneOf": [header, entry, footer],
    });
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
