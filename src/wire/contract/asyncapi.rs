//! Events, feeds and callbacks as AsyncAPI 3.0, as the target sees them: it sends events, and receives the rest.

use super::VERSION;
use super::fields::Row;
use super::schema::{ENVELOPED, Schemas, kind};
use crate::model::Class;
use crate::wire::{CLOUD_EVENT, TRACEPARENT, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use serde_json::{Map, Value as Json, json};

const ABOUT: &str = "What an order orchestrator (the target) tells a test harness, and what partners and stock, which the harness plays, tell it. \
    Every message is a CloudEvent 1.0 in JSON, one a request. Delivery is at least once and in any order: a receiver tells duplicates by \
    `source` and `id`, or by `idempotencykey` where there is one, and order by `subject` and `sequence`. openapi.json has the requests.";

fn message(name: &str, row: &Row, schemas: &Schemas) -> Json {
    let text = |about: &str| json!({"type": "string", "description": about});
    let mut headers = Map::from_iter([(TRACEPARENT.to_string(), text("W3C Trace Context."))]);
    if row.op.class() == Class::Event {
        headers.insert(WEBHOOK_ID.into(), text("The `id` of the event."));
        headers.insert(WEBHOOK_TIMESTAMP.into(), text("Whole seconds, as they were signed."));
        headers.insert(WEBHOOK_SIGNATURE.into(), text("`v1,` and HMAC-SHA256 over `id.timestamp.body` in base64 (Standard Webhooks 1.0)."));
    }
    json!({
        "name": kind(row.op),
        "title": row.op.name(),
        "summary": row.about,
        "contentType": CLOUD_EVENT,
        "headers": {"type": "object", "properties": headers},
        "payload": schemas.reference(name),
    })
}

/// `asyncapi.json`.
pub fn document() -> Json {
    let mut schemas = Schemas::new("/components/schemas");
    schemas.add_messages(ENVELOPED);
    let groups = [("feeds", Class::Feed), ("callbacks", Class::Callback), ("events", Class::Event)].map(|(group, class)| {
        let names = schemas.add_events(&[class]);
        (group, names)
    });
    let mut messages = Map::new();
    let (mut into, mut out) = (Map::new(), Map::new());
    let mut operations = Map::new();
    for (group, names) in &groups {
        let (channel, action, about) = match *group {
            "feeds" => ("inbox", "receive", "Stock tells what it holds, and how that changed."),
            "callbacks" => ("inbox", "receive", "Partners tell what happened after a call."),
            _ => ("webhook", "send", "The target tells what happened. It delivers each event until it is taken."),
        };
        let refer = |place: String| json!({"$ref": place});
        let mut part = Vec::new();
        for (name, row) in names {
            let key = row.op.name();
            messages.insert(key.into(), message(name, row, &schemas));
            let listed = if *group == "events" { &mut out } else { &mut into };
            listed.insert(key.into(), refer(format!("#/components/messages/{key}")));
            part.push(refer(format!("#/channels/{channel}/messages/{key}")));
        }
        operations.insert(
            group.to_string(),
            json!({"action": action, "summary": about, "channel": refer(format!("#/channels/{channel}")), "messages": part, "bindings": {"http": {"method": "POST"}}}),
        );
    }
    let used = schemas.finish();
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:orderstorm:contract:v1",
        "info": {
            "title": "The canonical contract of orderstorm: events",
            "version": VERSION,
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": CLOUD_EVENT,
        "servers": {
            "target": {"host": "{host}", "protocol": "http", "description": "the orchestrator", "variables": {"host": {"default": "127.0.0.1:7070"}}},
            "harness": {"host": "{host}", "protocol": "http", "description": "the harness, as `webhook_url` of the sandbox names it", "variables": {"host": {"default": "127.0.0.1:7071"}}},
        },
        "channels": {
            "inbox": {
                "address": "/v1/{sandbox}/events",
                "description": "Feeds and callbacks go to the target.",
                "servers": [{"$ref": "#/servers/target"}],
                "parameters": {"sandbox": {"description": "Name of the sandbox."}},
                "messages": into,
            },
            "webhook": {
                "address": null,
                "description": "Events go to `webhook_url`, which the request that opens the sandbox names.",
                "servers": [{"$ref": "#/servers/harness"}],
                "messages": out,
            },
        },
        "operations": operations,
        "components": {"schemas": used, "messages": messages},
    })
}
