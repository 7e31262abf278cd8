//! Requests in: paths to what is asked of a sandbox, and what it says to statuses.

use super::counters::count;
use super::sandbox::{Actor, Ask, Running};
use super::{Shared, orchestrator};
use crate::model::{Message, Op, Outcome};
use crate::net::{Arrived, Deed, How};
use crate::wire::{self, Answered, CloudEvent, Payload, Problem, Sandbox, Skip, Unreadable};
use serde_json::json;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{debug, info};

/// Names of the sandboxes that are open.
pub fn sandboxes(shared: &Shared) -> Vec<String> {
    shared.sandboxes.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
}

/// Opens a sandbox. `restored`: it stands in the journal already.
pub fn open(shared: &Arc<Shared>, name: &str, sandbox: &Sandbox, restored: bool) -> Result<(), String> {
    let built = orchestrator::build(&shared.config, shared.journals.as_ref(), name, sandbox, restored);
    let (target, journal) = built.map_err(|error| error.to_string())?;
    let running = Actor::start(shared, name, sandbox, target, journal, restored)?;
    end(shared.sandboxes.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), running));
    Ok(())
}

/// Ends the task of a sandbox; was there one?
fn end(running: Option<Running>) -> bool {
    running.map(|running| running.asks.send(Ask::End)).is_some()
}

/// What is stored of a sandbox is not kept.
fn forget(shared: &Shared, name: &str) {
    if let Some(journals) = &shared.journals {
        let _ = journals.remove(name);
    }
}

/// Closes what nobody spoke to for so long, but for the one that was spoken to last: somebody may want to look at it.
pub fn close_idle(shared: &Shared, idle: Duration) {
    let now = shared.began.seconds();
    let mut open = shared.sandboxes.write().unwrap_or_else(PoisonError::into_inner);
    let last = open.values().map(Running::heard).fold(0.0, f64::max);
    let silent = |running: &Running| running.heard() < last && now - running.heard() >= idle.as_secs_f64();
    let names: Vec<String> = open.iter().filter(|(_, running)| silent(running)).map(|(name, _)| name.clone()).collect();
    for name in &names {
        end(open.remove(name));
    }
    drop(open);
    for name in names {
        info!(sandbox = name, idle_s = idle.as_secs_f64(), "sandbox closed: nobody spoke to it");
        forget(shared, &name);
    }
}

fn respond(answered: Answered) -> Deed {
    Deed::Answer { status: answered.status, headers: answered.headers(), body: answered.body, how: How::AtOnce }
}

fn problem(status: u16, code: &str, detail: impl Into<String>) -> Answered {
    Answered::problem(&Problem::new(status, code, detail))
}

const METHODS: [&str; 4] = ["GET", "PUT", "POST", "DELETE"];

/// What a method and a path ask for.
enum Route<'a> {
    Health,
    Metrics,
    Manifest,
    Open(&'a str),
    Close(&'a str),
    Inside(&'a str, Inside<'a>),
}

/// The same of one sandbox.
enum Inside<'a> {
    Order(&'a str),
    Stock(&'a str, &'a str),
    Events,
    Tell,
    Replay,
    DeadLetters,
    Redeliver,
    Clock,
    Command(Op),
}

fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("GET", ["health"]) => Route::Health,
        ("GET", ["metrics"]) => Route::Metrics,
        ("GET", ["v1"]) => Route::Manifest,
        ("PUT", ["v1", name]) => Route::Open(name),
        ("DELETE", ["v1", name]) => Route::Close(name),
        (_, ["v1", name, rest @ ..]) => Route::Inside(name, inside(method, rest)?),
        _ => return None,
    })
}

fn inside<'a>(method: &str, path: &[&'a str]) -> Option<Inside<'a>> {
    Some(match (method, path) {
        ("GET", ["orders", order]) => Inside::Order(order),
        ("GET", ["inventory", node, sku]) => Inside::Stock(node, sku),
        ("GET", ["events"]) => Inside::Events,
        ("POST", ["events"]) => Inside::Tell,
        ("POST", ["replays"]) => Inside::Replay,
        ("GET", ["dead-letters"]) => Inside::DeadLetters,
        ("POST", ["dead-letters", "redeliveries"]) => Inside::Redeliver,
        ("POST", ["clock"]) => Inside::Clock,
        _ => Inside::Command(wire::command_route(method, path)?),
    })
}

pub async fn serve(shared: Arc<Shared>, arrived: Arrived) -> Deed {
    let path: Vec<&str> = arrived.path.trim_matches('/').split('/').collect();
    let answered = match route(&arrived.method, &path) {
        Some(Route::Health) => Answered::json(200, &json!({"status": "pass", "version": env!("CARGO_PKG_VERSION")})),
        Some(Route::Metrics) => {
            let text = shared.counters.text(sandboxes(&shared).len());
            Answered { media: "text/plain; version=0.0.4", body: text.into_bytes(), ..Answered::empty(200) }
        }
        Some(Route::Manifest) => Answered::json(200, &manifest(&shared)),
        Some(Route::Open(name)) => put(&shared, name, &arrived),
        Some(Route::Close(name)) => {
            info!(sandbox = name, "sandbox closed");
            let known = end(shared.sandboxes.write().unwrap_or_else(PoisonError::into_inner).remove(name));
            forget(&shared, name);
            Answered::empty(if known { 204 } else { 404 })
        }
        Some(Route::Inside(name, asked)) => {
            let running = shared.sandboxes.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
            match running {
                Some(running) => in_sandbox(&running, &arrived, asked).await.unwrap_or_else(|refused| refused),
                None => problem(404, "unknown_sandbox", format!("there is no sandbox `{name}`: PUT /v1/{name} opens one")),
            }
        }
        None => nowhere(&arrived, &path),
    };
    if matches!(answered.status, 400..=405 | 413) {
        debug!(method = arrived.method, path = arrived.path, status = answered.status, "refused");
        count(&shared.counters.refused);
    }
    respond(answered)
}

/// No such path, or another method of one that there is.
fn nowhere(arrived: &Arrived, path: &[&str]) -> Answered {
    let allowed: Vec<&str> = METHODS.into_iter().filter(|method| route(method, path).is_some()).collect();
    if allowed.is_empty() {
        return problem(404, "unknown_path", format!("there is no {}: see GET /v1", arrived.path));
    }
    let allow = allowed.join(", ");
    Answered { allow: Some(allow.clone()), ..problem(405, "unknown_method", format!("{} has {allow}, and no {}", arrived.path, arrived.method)) }
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
    match open(shared, name, &sandbox, false) {
        Ok(()) => Answered::json(201, &json!({"sandbox": name})),
        Err(why) => problem(400, "invalid", why),
    }
}

/// How many a list is to have at most.
const LONGEST_LIST: usize = 1_000;

/// A whole number of the query, or what is taken where there is none.
fn number(arrived: &Arrived, key: &str, range: RangeInclusive<usize>, otherwise: usize) -> Result<usize, Answered> {
    let Some(text) = arrived.query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key)).map(|(_, text)| text) else {
        return Ok(otherwise);
    };
    let expected = || {
        let (least, most) = (range.start(), range.end());
        let bounds = if *most == usize::MAX { format!("from {least} on") } else { format!("from {least} to {most}") };
        problem(400, "invalid", format!("`{key}` is `{text}`: expected a whole number {bounds}"))
    };
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(expected)
}

/// Where a list begins, and how long it may be.
fn page(arrived: &Arrived) -> Result<(usize, usize), Answered> {
    Ok((number(arrived, "after", 0..=usize::MAX, 0)?, number(arrived, "limit", 1..=LONGEST_LIST, 100)?))
}

/// The body, as what it must be.
fn body<T: serde::de::DeserializeOwned>(arrived: &Arrived, what: &str) -> Result<T, Answered> {
    serde_json::from_slice(&arrived.body).map_err(|error| problem(400, "invalid", format!("{what}: {error}")))
}

/// The answer, or what is wrong with the question.
async fn in_sandbox(running: &Running, arrived: &Arrived, inside: Inside<'_>) -> Result<Answered, Answered> {
    let again = |events: usize| Answered::json(202, &json!({"events": events}));
    Ok(match inside {
        Inside::Order(order) => match asked(running, |to| Ask::Order(running.names.order(order), to)).await? {
            Some(view) => Answered::json(200, &view),
            None => problem(404, "unknown_order", format!("there is no order `{order}`")),
        },
        Inside::Stock(node, sku) => {
            let unknown = |lacks: Unreadable| problem(404, "unknown_stock", lacks.to_string());
            let (node, sku) = (running.names.node(node).map_err(unknown)?, running.names.sku(sku).map_err(unknown)?);
            Answered::json(200, &asked(running, |to| Ask::Stock(node, sku, to)).await?)
        }
        Inside::Events => {
            let (after, most) = page(arrived)?;
            Answered::json(200, &asked(running, |to| Ask::Events { after, most, to }).await?)
        }
        Inside::Tell if running.signature.as_ref().is_some_and(|signature| !signature.vouches(|name| arrived.header(name), &arrived.body)) => {
            return Err(problem(401, "invalid", "expected a signature with the secret of this sandbox"));
        }
        Inside::Tell => {
            let event: CloudEvent = body(arrived, "no CloudEvent in JSON")?;
            took(running, event.message(&running.names)).await?
        }
        Inside::Replay => {
            let (after, _) = page(arrived)?;
            again(asked(running, |to| Ask::Replay { after, to }).await?)
        }
        Inside::DeadLetters => {
            let (after, most) = page(arrived)?;
            Answered::json(200, &asked(running, |to| Ask::DeadLetters { after, most, to }).await?)
        }
        Inside::Redeliver => again(asked(running, Ask::Redeliver).await?),
        Inside::Clock => {
            let skip: Skip = body(arrived, "expected to_ns, open_calls and open_events")?;
            Answered::json(200, &asked(running, |to| Ask::Skip(skip, to)).await?)
        }
        Inside::Command(op) => {
            let payload: Payload = body(arrived, "no JSON of the contract")?;
            took(running, payload.request(op, &running.names, |name| arrived.header(name))).await?
        }
    })
}

async fn asked<T>(running: &Running, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Answered> {
    let (to, answer) = oneshot::channel();
    let ending = || problem(503, "unavailable", "the sandbox is ending");
    running.asks.send(ask(to)).map_err(|_| ending())?;
    answer.await.map_err(|_| ending())
}

/// A command, feed or callback is taken to the orchestrator.
async fn took(running: &Running, msg: Result<Message, Unreadable>) -> Result<Answered, Answered> {
    let msg = msg.map_err(|lacks| match lacks.field {
        "sku" | "node_id" => problem(422, "unknown_sku", lacks.to_string()),
        _ => problem(400, "invalid", lacks.to_string()),
    })?;
    let (outcome, code, retry_after) = asked(running, |to| Ask::Message(msg, to)).await?;
    let said = Payload { code: if outcome == Outcome::Ok { code.name().into() } else { String::new() }, ..Payload::default() };
    Ok(wire::answer(outcome, code, retry_after, &said))
}
