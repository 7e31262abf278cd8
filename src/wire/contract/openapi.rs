//! Requests in both directions as OpenAPI 3.1: what a target serves, and under `webhooks` what it calls.

use super::VERSION;
use super::fields::{ANSWERS, MESSAGES, Row};
use super::schema::{ALL, DIALECT, Schemas, answer_name};
use crate::model::{Class, Op};
use crate::wire::{
    CAUSATION_ID, CLOUD_EVENT, CORRELATION_ID, IDEMPOTENCY_KEY, JSON, MESSAGE_ID, OrderView, PROBLEM, Problem, REPLAYED, RETRY_AFTER, Sandbox, Skip,
    Skipped, StockView, TRACEPARENT, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
};
use serde_json::{Map, Value as Json, json};

const ABOUT: &str = "What an order orchestrator (the target) serves to a test harness, and which calls it makes to the partners that the harness \
    plays. Amounts are minor units of one currency, times are those of the run, and a receiver ignores what it does not know. \
    docs/contract.md explains it, asyncapi.json has the events, message.schema.json the payloads alone.";

/// Header names as people write them.
fn shown(header: &str) -> String {
    if header == TRACEPARENT || header.starts_with("webhook-") {
        return header.into();
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at(1.min(word.len()));
        if word == "id" { "ID".to_string() } else { first.to_uppercase() + rest }
    };
    // X-Message-Id, as the tables of this contract write it
    header.split('-').map(word).collect::<Vec<_>>().join("-").replace("-ID", "-Id")
}

/// Headers of a request, with their names under `components/parameters`.
const HEADERS: &[(&str, &str, bool, &str)] = &[
    ("IdempotencyKey", IDEMPOTENCY_KEY, true, "The business intent. It is the same for every attempt; the answer to the same key is the same."),
    ("MessageId", MESSAGE_ID, true, "This very attempt. A resend has a new one."),
    ("CorrelationId", CORRELATION_ID, false, "Everything about one order has the same."),
    ("CausationId", CAUSATION_ID, false, "Id of the message that caused this one."),
    ("Traceparent", TRACEPARENT, false, "W3C Trace Context."),
];

const SIGNATURE: &[(&str, &str, &str)] = &[
    ("WebhookId", WEBHOOK_ID, "The `id` of the event."),
    ("WebhookTimestamp", WEBHOOK_TIMESTAMP, "Whole seconds, as they were signed."),
    ("WebhookSignature", WEBHOOK_SIGNATURE, "`v1,` and the signature in base64, as Standard Webhooks 1.0 has it; several are separated by blanks."),
];

/// Answers that are problems: name, status, meaning.
const PROBLEMS: &[(&str, u16, &str)] = &[
    ("Unreadable", 400, "It cannot be read, or a header that must be there is missing. It will not be better the next time."),
    ("Unsigned", 401, "The signature is not one with the secret of this sandbox."),
    ("Unknown", 404, "There is no such path, sandbox, order, node or SKU."),
    ("KeyReuse", 409, "The key was used before for a request that says something else. Nothing happened."),
    ("TurnedDown", 422, "A definite no for a reason of the business, in `code`. Nothing happened, and the same request gets the same answer."),
    ("Throttled", 429, "Too many at once. Nothing happened: try again after `Retry-After`, with the same key."),
    ("Failed", 500, "Something went wrong, and nobody knows whether anything happened. Try again with the same key."),
    ("Unavailable", 503, "Not now. Nothing happened: try again after `Retry-After`, with the same key."),
];

fn problem(name: &str) -> Json {
    json!({"$ref": format!("#/components/responses/{name}")})
}

fn problems(into: &mut Map<String, Json>, names: &[&str]) {
    for (name, status, _) in PROBLEMS.iter().filter(|(name, ..)| names.contains(name)) {
        into.insert(status.to_string(), problem(name));
    }
}

fn parameter(name: &str) -> Json {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn headers() -> Vec<Json> {
    HEADERS.iter().map(|(name, ..)| parameter(name)).collect()
}

fn content(media: &str, schema: Json) -> Json {
    json!({media: {"schema": schema}})
}

/// An answer that says something, or nothing.
fn said(about: &str, schema: Option<Json>) -> Json {
    let mut response = json!({"description": about});
    if let Some(schema) = schema {
        response["content"] = content(JSON, schema);
    }
    response
}

/// What a command, a call, a feed or a callback is answered with. `good`: what a good answer says.
fn answers(good: &Json, may_wait: bool) -> Map<String, Json> {
    let mut all = Map::new();
    let mut done = said("Done, or taken on.", Some(good.clone()));
    done["headers"] = json!({shown(REPLAYED): {"$ref": "#/components/headers/IdempotencyReplayed"}});
    all.insert("200".into(), done);
    if may_wait {
        all.insert("202".into(), said("Taken on, and not decided yet: what comes of it is said later.", Some(good.clone())));
    }
    problems(&mut all, &["Unreadable", "Unknown", "KeyReuse", "TurnedDown", "Throttled", "Failed", "Unavailable"]);
    all
}

fn named(path: &str) -> Vec<Json> {
    let inside = path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    inside
        .map(|name| {
            let about = match name {
                "sandbox" => "Name of the sandbox: letters, digits, `-`, `_` and `.`, at most 120.",
                "order" => "The client's name of the order.",
                "return" => "The client's name of the return or exchange.",
                "node" => "Name of the node.",
                _ => "Name of the SKU.",
            };
            json!({"name": name, "in": "path", "required": true, "description": about, "schema": {"type": "string", "minLength": 1}})
        })
        .collect()
}

/// Method and path of a command below the sandbox. A test holds it to `command_route`.
fn command(op: Op) -> Option<(&'static str, &'static str)> {
    Some(match op {
        Op::PlaceOrder => ("post", "/orders"),
        Op::CancelOrder => ("post", "/orders/{order}/cancellations"),
        Op::RequestReturn => ("post", "/orders/{order}/returns"),
        Op::RequestExchange => ("post", "/orders/{order}/exchanges"),
        Op::CancelReturn => ("post", "/orders/{order}/returns/{return}/cancellation"),
        Op::UpsertNode => ("put", "/nodes/{node}"),
        _ => return None,
    })
}

fn from_title(text: &str) -> &str {
    text.split_inclusive(['.', ':']).next().unwrap_or(text).trim_end_matches(['.', ':'])
}

fn request(row: &Row, schemas: &Schemas, good: &Json, tag: &str) -> Json {
    json!({
        "operationId": row.op.name(),
        "tags": [tag],
        "summary": from_title(row.about),
        "description": row.about,
        "parameters": headers(),
        "requestBody": {"required": true, "content": content(JSON, schemas.reference(row.op.name()))},
        "responses": answers(good, tag == "commands" || row.op == Op::PaymentAuthorize),
    })
}

fn operation(id: &str, tag: &str, summary: &str, responses: Json) -> Json {
    json!({"operationId": id, "tags": [tag], "summary": summary, "responses": responses})
}

fn after(about: &str) -> Json {
    json!({"name": "after", "in": "query", "description": about, "schema": {"type": "integer", "minimum": 0, "default": 0}})
}

/// The call of a partner, as the target makes it.
fn call(row: &Row, schemas: &Schemas) -> Json {
    let mut call = request(row, schemas, &schemas.reference(&answer_name(row.op)), "partners");
    if let Some(answer) = ANSWERS.iter().find(|answer| answer.op == row.op) {
        call["responses"]["200"]["description"] = json!(answer.about);
    }
    json!({
        "description": format!("The target sends it to `{{partners_url}}/{}`.", row.op.name().replacen('.', "/", 1)),
        "post": call,
    })
}

/// The delivery of an event, as the target makes it.
fn delivery(events: &[Json]) -> Json {
    let mut responses = json!({
        "204": {"description": "Taken."},
        "503": {"description": "Not taken. Deliver it again later, with the same id."},
    });
    if let Some(map) = responses.as_object_mut() {
        problems(map, &["Unreadable", "Unsigned", "Unknown"]);
    }
    let mut parameters: Vec<Json> = SIGNATURE.iter().map(|(name, ..)| parameter(name)).collect();
    parameters.push(parameter("Traceparent"));
    json!({
        "description": "The target sends it to `webhook_url`.",
        "post": {
            "operationId": "event",
            "tags": ["events"],
            "summary": "An event of the target",
            "description": "asyncapi.json lists them. Every one is delivered until it is taken.",
            "parameters": parameters,
            "requestBody": {"required": true, "content": content(CLOUD_EVENT, json!({"oneOf": events}))},
            "responses": responses,
        }
    })
}

fn paths(schemas: &mut Schemas, told: &[Json], published: &[Json]) -> Map<String, Json> {
    let mut paths = Map::new();
    let mut add = |path: &str, method: &str, operation: Json| {
        let entry = paths.entry(path.to_string()).or_insert_with(|| {
            let names = named(path);
            if names.is_empty() { json!({}) } else { json!({"parameters": names}) }
        });
        entry[method] = operation;
    };
    let health = json!({"type": "object", "required": ["status"], "properties": {"status": {"const": "pass"}, "version": {"type": "string"}}});
    add("/health", "get", operation("health", "operations", "Is it there?", json!({"200": said("It is.", Some(health))})));
    let text =
        json!({"200": {"description": "Counters in the text format of Prometheus.", "content": content("text/plain", json!({"type": "string"}))}});
    add("/metrics", "get", operation("metrics", "operations", "What it has done so far", text));
    let manifest = json!({"200": said("The manifest.", Some(schemas.reference("Manifest")))});
    add("/v1", "get", operation("manifest", "operations", "What this target is, and what may be judged of it", manifest));

    let sandbox = schemas.of::<Sandbox>();
    let opened = json!({"type": "object", "properties": {"sandbox": {"type": "string"}}});
    let mut open = operation(
        "openSandbox",
        "sandbox",
        "Opens a sandbox: an orchestrator of its own for one case",
        json!({
            "201": said("It is open. One of the same name was closed first.", Some(opened)),
            "400": problem("Unreadable"),
        }),
    );
    open["requestBody"] = json!({"required": true, "content": content(JSON, sandbox)});
    let calls = MESSAGES.iter().filter(|row| row.op.class() == Class::Call).map(|row| {
        let url = format!("{{$request.body#/partners_url}}/{}", row.op.name().replacen('.', "/", 1));
        (row.op.name().to_string(), json!({url: {"$ref": format!("#/components/pathItems/{}", row.op.name())}}))
    });
    let mut callbacks: Map<String, Json> = calls.collect();
    callbacks.insert("event".into(), json!({"{$request.body#/webhook_url}": {"$ref": "#/components/pathItems/event"}}));
    open["callbacks"] = Json::Object(callbacks);
    add("/v1/{sandbox}", "put", open);
    let gone = json!({"204": {"description": "It is closed, and nothing of it is kept."}, "404": {"description": "There was none."}});
    add("/v1/{sandbox}", "delete", operation("closeSandbox", "sandbox", "Closes a sandbox", gone));

    let good = schemas.reference("Accepted");
    for row in MESSAGES {
        if let Some((method, path)) = command(row.op) {
            add(&format!("/v1/{{sandbox}}{path}"), method, request(row, schemas, &good, "commands"));
        }
    }
    let mut feed = operation("tell", "events", "A feed or a callback", Json::Object(answers(&good, false)));
    feed["description"] = json!(
        "Partners and stock tell what happened. `idempotencykey` of the envelope is the key: the same for every attempt. A resend has a new `id`."
    );
    feed["requestBody"] = json!({"required": true, "content": content(CLOUD_EVENT, json!({"oneOf": told}))});
    add("/v1/{sandbox}/events", "post", feed);

    let read = |name: &str, schema: Json| json!({"200": said(name, Some(schema)), "404": problem("Unknown"), "503": problem("Unavailable")});
    let view = schemas.of::<OrderView>();
    add("/v1/{sandbox}/orders/{order}", "get", operation("GetOrder", "queries", "What the target says of an order", read("Its state.", view)));
    let view = schemas.of::<StockView>();
    add(
        "/v1/{sandbox}/inventory/{node}/{sku}",
        "get",
        operation("GetInventory", "queries", "What the target says of a node's stock", read("Its stock.", view)),
    );
    let list = json!({"type": "array", "items": {"oneOf": published}});
    let mut events = operation("listEvents", "queries", "Events that were published, oldest first", read("Some of them.", list));
    let page = json!([
        after("so many of them are left out"),
        {"name": "limit", "in": "query", "description": "how many at most", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
    ]);
    events["parameters"] = page.clone();
    events["responses"]["400"] = problem("Unreadable");
    add("/v1/{sandbox}/events", "get", events);

    let many = json!({"type": "object", "required": ["events"], "properties": {"events": {"type": "integer", "minimum": 0, "description": "so many are delivered again"}}});
    let mut replay = operation(
        "replay",
        "sandbox",
        "Delivers published events once more",
        json!({
            "202": said("They are on their way, with the ids that they had.", Some(many.clone())),
            "404": problem("Unknown"),
            "503": problem("Unavailable"),
        }),
    );
    replay["parameters"] = json!([after("from this place on")]);
    replay["responses"]["400"] = problem("Unreadable");
    add("/v1/{sandbox}/replays", "post", replay);

    let attempts = json!({"type": "integer", "minimum": 1, "description": "deliveries that failed"});
    let letter = json!({"type": "object", "required": ["event", "attempts"], "properties": {"event": {"oneOf": published}, "attempts": attempts}});
    let mut letters = operation(
        "listDeadLetters",
        "queries",
        "Events that are owed, and were delivered too often in vain to be tried again",
        read("Some of them, oldest first.", json!({"type": "array", "items": letter})),
    );
    letters["parameters"] = page;
    letters["responses"]["400"] = problem("Unreadable");
    add("/v1/{sandbox}/dead-letters", "get", letters);
    let redeliver = operation(
        "redeliver",
        "sandbox",
        "Delivers all dead letters, each until it is taken or given up again",
        json!({
            "202": said("They are on their way, with the ids that they had.", Some(many)),
            "404": problem("Unknown"),
            "503": problem("Unavailable"),
        }),
    );
    add("/v1/{sandbox}/dead-letters/redeliveries", "post", redeliver);

    let (skip, skipped) = (schemas.of::<Skip>(), schemas.of::<Skipped>());
    let mut clock = operation(
        "skip",
        "sandbox",
        "Moves the clock of the sandbox",
        json!({
            "200": said("How far it went.", Some(skipped)),
            "400": problem("Unreadable"),
            "404": problem("Unknown"),
            "503": problem("Unavailable"),
        }),
    );
    clock["description"] = json!(
        "Only where both ends agree that nothing is under way. A target whose clock cannot be moved says so in its manifest, and does not have this path."
    );
    clock["requestBody"] = json!({"required": true, "content": content(JSON, skip)});
    add("/v1/{sandbox}/clock", "post", clock);
    paths
}

/// `GET /v1`.
fn manifest() -> Json {
    json!({
        "type": "object",
        "required": ["contract"],
        "properties": {
            "name": {"type": "string"},
            "version": {"type": "string", "description": "of the target"},
            "contract": {"const": "orderstorm/v1"},
            "capabilities": {"type": "array", "items": {"type": "string"}, "description": "what it can do"},
            "observe": {"type": "string", "enum": ["webhook"], "description": "how it tells what happened"},
            "clock": {
                "type": "object",
                "properties": {
                    "mode": {"type": "string", "enum": ["skip", "passes"], "description": "`skip`: `POST /v1/{sandbox}/clock` moves it"},
                    "scale": {"type": "number", "exclusiveMinimum": 0, "description": "business seconds in one of the wall clock; 1 where absent"},
                },
            },
            "durable": {"type": "boolean", "description": "what was acknowledged outlives a kill"},
            "sandboxes": {"type": "array", "items": {"type": "string"}, "description": "those that are open"},
        },
        "additionalProperties": true,
    })
}

/// `openapi.json`.
pub fn document() -> Json {
    let mut schemas = Schemas::new("/components/schemas");
    schemas.add_messages(ALL);
    schemas.add("Manifest", manifest());
    schemas.add(
        "Accepted",
        json!({"type": "object", "description": "What a target says besides yes: nothing, or more than anybody asked for.", "additionalProperties": true}),
    );
    let problem_schema = schemas.of::<Problem>();
    let mut events = |classes: &[Class]| -> Vec<(String, Json)> {
        let names = schemas.add_events(classes);
        names.into_iter().map(|(name, _)| (name.clone(), schemas.reference(&name))).collect()
    };
    let (told, published) = (events(&[Class::Feed, Class::Callback]), events(&[Class::Event]));
    let [told, published] = [told, published].map(|events| events.into_iter().map(|(_, reference)| reference).collect::<Vec<Json>>());
    let paths = paths(&mut schemas, &told, &published);

    let mut items: Map<String, Json> =
        MESSAGES.iter().filter(|row| row.op.class() == Class::Call).map(|row| (row.op.name().into(), call(row, &schemas))).collect();
    items.insert("event".into(), delivery(&published));
    let webhooks: Map<String, Json> = items.keys().map(|name| (name.clone(), json!({"$ref": format!("#/components/pathItems/{name}")}))).collect();

    let header = |name: &str, required: bool, about: &str| json!({"name": shown(name), "in": "header", "required": required, "description": about, "schema": {"type": "string", "minLength": 1}});
    let parameters = HEADERS.iter().map(|(key, name, required, about)| (key.to_string(), header(name, *required, about)));
    let signatures = SIGNATURE.iter().map(|(key, name, about)| (key.to_string(), header(name, false, about)));
    let parameters: Map<String, Json> = parameters.chain(signatures).collect();
    let responses: Map<String, Json> = PROBLEMS
        .iter()
        .map(|(name, status, about)| {
            let mut response = json!({"description": about, "content": content(PROBLEM, problem_schema.clone())});
            if matches!(status, 429 | 503) {
                response["headers"] = json!({shown(RETRY_AFTER): {"$ref": "#/components/headers/RetryAfter"}});
            }
            (name.to_string(), response)
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "The canonical contract of orderstorm",
            "version": VERSION,
            "summary": "What an order orchestrator serves, and what it calls",
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "{target}", "description": "the target", "variables": {"target": {"default": "http://127.0.0.1:7070"}}}],
        // who may reach a target is the network's business
        "security": [],
        "tags": [
            {"name": "commands", "description": "Business requests of the harness"},
            {"name": "queries", "description": "Reads"},
            {"name": "events", "description": "News in both directions, as CloudEvents 1.0"},
            {"name": "partners", "description": "Calls that the target makes to the partners that the harness plays"},
            {"name": "sandbox", "description": "One case: its beginning, its clock, its end"},
            {"name": "operations", "description": "What is there"},
        ],
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas.finish(),
            "parameters": parameters,
            "responses": responses,
            "headers": {
                "IdempotencyReplayed": {
                    "description": "There, and `true`, where the same key was answered before. Nothing new happened.",
                    "schema": {"type": "string", "enum": ["true"]},
                },
                "RetryAfter": {"description": "Whole seconds to wait before the next attempt.", "schema": {"type": "integer", "minimum": 0}},
            },
            "pathItems": items,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::command_route;

    #[test]
    fn paths_of_commands_lead_to_them() {
        for op in Op::ALL {
            let routed = command(*op).and_then(|(method, path)| {
                let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
                command_route(&method.to_uppercase(), &parts)
            });
            assert_eq!(routed, (op.class() == Class::Command).then_some(*op), "{op}");
        }
    }

    #[test]
    fn headers_are_written_as_people_write_them() {
        let all = [IDEMPOTENCY_KEY, MESSAGE_ID, TRACEPARENT, REPLAYED, WEBHOOK_ID].map(shown);
        assert_eq!(all, ["Idempotency-Key", "X-Message-Id", "traceparent", "Idempotency-Replayed", "webhook-id"]);
    }
}
