//! Requests in: paths to what is asked of a sandbox, and what it says to statuses.

use super::Shared;
use super::counters::count;
use super::journal::Opened;
use super::sandbox::{Actor, Ask, Running};
use crate::model::{Message, Outcome};
use crate::net::{Arrived, Deed};
use crate::reference::Settings;
use crate::sim::{Seed, Span};
use crate::target::{Embedded, ServiceModel};
use crate::wire::{self, Answered, CloudEvent, Payload, Problem, Sandbox, Skip, Unreadable};
use serde_json::json;
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

/// Names of the sandboxes that are open.
pub fn sandboxes(shared: &Shared) -> Vec<String> {
    shared.sandboxes.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
}

/// Opens a sandbox. `restored`: it stands in the journal already.
pub fn open(shared: &Arc<Shared>, name: &str, opened: Opened, restored: bool) -> Option<String> {
    let sandbox = &opened.sandbox;
    let settings = Settings { remorse_hold: sandbox.remorse_hold_ns.map(Span), ..Settings::default() }.at_scale(shared.config.scale);
    let model = if shared.config.service_model { ServiceModel::default() } else { ServiceModel::none() };
    let mut target = Embedded::new(Arc::new(sandbox.estate.clone()), settings, model, shared.config.defect, Seed(sandbox.seed));
    let mut journal = None;
    if let Some(journals) = &shared.journals {
        if !restored && let Err(error) = journals.begin(name, &opened) {
            return Some(error.to_string());
        }
        let log = journals.of(name);
        target = target.keeping(Box::new(log.clone()));
        journal = Some(log);
    }
    match Actor::start(shared, name, sandbox, target, journal, restored) {
        Ok(running) => {
            end(shared.sandboxes.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), running));
            None
        }
        Err(why) => Some(why),
    }
}

/// Ends the task of a sandbox; was there one?
fn end(running: Option<Running>) -> bool {
    running.map(|running| running.asks.send(Ask::End)).is_some()
}

fn respond(answered: Answered) -> Deed {
    Deed::Answer { status: answered.status, headers: answered.headers(), body: answered.body }
}

fn problem(status: u16, code: &str, detail: impl Into<String>) -> Answered {
    Answered::problem(&Problem::new(status, code, detail))
}

pub async fn serve(shared: Arc<Shared>, arrived: Arrived) -> Deed {
    let path: Vec<&str> = arrived.path.trim_matches('/').split('/').collect();
    let answered = match (arrived.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => Answered::json(200, &json!({"status": "pass", "version": env!("CARGO_PKG_VERSION")})),
        ("GET", ["metrics"]) => {
            let text = shared.counters.text(sandboxes(&shared).len());
            Answered { media: "text/plain; version=0.0.4", body: text.into_bytes(), ..Answered::empty(200) }
        }
        ("GET", ["v1"]) => Answered::json(200, &manifest(&shared)),
        ("PUT", ["v1", name]) => put(&shared, name, &arrived),
        ("DELETE", ["v1", name]) => {
            let known = end(shared.sandboxes.write().unwrap_or_else(PoisonError::into_inner).remove(*name));
            if let Some(journals) = &shared.journals {
                let _ = journals.remove(name);
            }
            Answered::empty(if known { 204 } else { 404 })
        }
        (_, ["v1", name, rest @ ..]) => {
            let running = shared.sandboxes.read().unwrap_or_else(PoisonError::into_inner).get(*name).cloned();
            match running {
                Some(running) => in_sandbox(&running, &arrived, rest).await,
                None => problem(404, "unknown_sandbox", format!("there is no sandbox `{name}`: PUT /v1/{name} opens one")),
            }
        }
        _ => problem(404, "unknown_path", "see GET /v1"),
    };
    if matches!(answered.status, 400..=404 | 413) {
        count(&shared.counters.refused);
    }
    respond(answered)
}

/// What this target is, and what may be judged of it.
fn manifest(shared: &Shared) -> serde_json::Value {
    json!({
        "name": "orderstorm reference",
        "version": env!("CARGO_PKG_VERSION"),
        "contract": "orderstorm/v1",
        "capabilities": ["reserve", "split", "split_line", "bopis", "backorder", "cancel.pre_release", "cancel.post_release", "return",
            "return.partial", "exchange.on_receipt", "exchange.advance", "holds", "exceptions", "rules.versioned", "events.ordered", "events.replay"],
        "observe": "webhook",
        "clock": {"mode": "skip", "scale": shared.config.scale},
        "durable": shared.journals.is_some(),
        "sandboxes": sandboxes(shared),
    })
}

fn put(shared: &Arc<Shared>, name: &str, arrived: &Arrived) -> Answered {
    let fits = !name.is_empty() && name.len() <= 120 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !fits {
        return problem(400, "invalid", "the name of a sandbox has letters, digits, `-`, `_` and `.`");
    }
    let sandbox: Sandbox = match serde_json::from_slice(&arrived.body) {
        Ok(sandbox) => sandbox,
        Err(error) => return problem(400, "invalid", format!("no sandbox: {error}")),
    };
    match open(shared, name, Opened { sandbox }, false) {
        None => Answered::json(201, &json!({"sandbox": name})),
        Some(why) => problem(400, "invalid", why),
    }
}

async fn in_sandbox(running: &Running, arrived: &Arrived, path: &[&str]) -> Answered {
    let number = |key: &str| arrived.query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse::<usize>().ok());
    let gone = || problem(503, "unavailable", "the sandbox is ending");
    match (arrived.method.as_str(), path) {
        ("GET", ["orders", order]) => match asked(running, |to| Ask::Order(running.names.order(order), to)).await {
            Some(Some(view)) => Answered::json(200, &view),
            Some(None) => problem(404, "unknown_order", format!("there is no order `{order}`")),
            None => gone(),
        },
        ("GET", ["inventory", node, sku]) => match (running.names.node(node), running.names.sku(sku)) {
            (Ok(node), Ok(sku)) => asked(running, |to| Ask::Stock(node, sku, to)).await.map_or_else(gone, |view| Answered::json(200, &view)),
            (Err(lacks), _) | (_, Err(lacks)) => problem(404, "unknown_stock", lacks.to_string()),
        },
        ("GET", ["events"]) => {
            let (after, most) = (number("after").unwrap_or(0), number("limit").unwrap_or(100).min(1_000));
            asked(running, |to| Ask::Events { after, most, to }).await.map_or_else(gone, |events| Answered::json(200, &events))
        }
        ("POST", ["events"])
            if running.signature.as_ref().is_some_and(|signature| !signature.vouches(|name| arrived.header(name), &arrived.body)) =>
        {
            problem(401, "invalid", "expected a signature with the secret of this sandbox")
        }
        ("POST", ["events"]) => match serde_json::from_slice::<CloudEvent>(&arrived.body) {
            Ok(event) => took(running, event.message(&running.names)).await,
            Err(error) => problem(400, "invalid", format!("no CloudEvent in JSON: {error}")),
        },
        ("POST", ["replays"]) => {
            let after = number("after").unwrap_or(0);
            asked(running, |to| Ask::Replay { after, to }).await.map_or_else(gone, |events| Answered::json(202, &json!({"events": events})))
        }
        ("POST", ["clock"]) => match serde_json::from_slice::<Skip>(&arrived.body) {
            Ok(skip) => asked(running, |to| Ask::Skip(skip, to)).await.map_or_else(gone, |skipped| Answered::json(200, &skipped)),
            Err(error) => problem(400, "invalid", format!("expected to_ns, open_calls and open_events: {error}")),
        },
        (method, path) => match wire::command_route(method, path) {
            Some(op) => match serde_json::from_slice::<Payload>(&arrived.body) {
                Ok(payload) => took(running, payload.request(op, &running.names, |name| arrived.header(name))).await,
                Err(error) => problem(400, "invalid", format!("no JSON of the contract: {error}")),
            },
            None => problem(404, "unknown_path", format!("there is no {method} {}", arrived.path)),
        },
    }
}

async fn asked<T>(running: &Running, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
    let (to, answer) = oneshot::channel();
    running.asks.send(ask(to)).ok()?;
    answer.await.ok()
}

/// A command, feed or callback is taken to the orchestrator.
async fn took(running: &Running, msg: Result<Message, Unreadable>) -> Answered {
    let msg = match msg {
        Ok(msg) => msg,
        Err(lacks) if matches!(lacks.field, "sku" | "node_id") => return problem(422, "unknown_sku", lacks.to_string()),
        Err(lacks) => return problem(400, "invalid", lacks.to_string()),
    };
    match asked(running, |to| Ask::Message(msg, to)).await {
        Some((outcome, code, retry_after)) => {
            let said = Payload { code: if outcome == Outcome::Ok { code.name().into() } else { String::new() }, ..Payload::default() };
            wire::answer(outcome, code, retry_after, &said)
        }
        None => problem(503, "unavailable", "the sandbox is ending"),
    }
}
