//! What a mapped target says: webhooks, rows of polls and calls of partners, and what they are in the vocabulary.

use super::super::http::{Responder, canonical_call, deed, deed_as};
use super::super::{Heard, What};
use super::case::{Case, lock, short};
use super::steps;
use crate::mapping::{EventRule, Partner, Poll, Scheme, Scope, Shape, Whose, value_of};
use crate::model::{Class, Id, Message, Op, OrderNo, Outcome, fnv1a};
use crate::net::{Arrived, Deed, How};
use crate::sim::{Clock, Stopwatch};
use crate::wire::{self, Answered, Payload, Problem, Signature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use minijinja::value::Value;
use serde_json::{Value as Json, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Where the engine's answer to something that was heard comes.
type Reply = oneshot::Receiver<(Answered, How)>;

fn refuse(status: u16, code: &str, what: &str) -> Deed {
    deed(Answered::problem(&Problem::new(status, code, what)))
}

fn headers(arrived: &Arrived) -> Value {
    let text = |value: &hyper::header::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
    Value::from(arrived.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect::<BTreeMap<String, Value>>())
}

/// One request of the target.
pub(super) async fn receive(case: Arc<Case>, arrived: Arrived) -> Deed {
    let path: Vec<&str> = arrived.path.trim_matches('/').split('/').collect();
    match path.split_first().map(|(_, rest)| rest) {
        // a target that cannot be told a path of a case's own
        None | Some([]) => webhook(&case, &arrived).await,
        Some([wire::CALL_PREFIX, rest @ ..]) => {
            case.traffic.moved(case.clock.now());
            call(&case, &arrived, rest).await
        }
        Some(_) => webhook(&case, &arrived).await,
    }
}

fn is_signed(case: &Case, arrived: &Arrived) -> Result<bool, String> {
    let Some((scheme, header, key)) = &case.shared.mapping.events.verify else { return Ok(true) };
    let key = key.text(&case.scope(OrderNo::NONE))?;
    let said = |name: &str| arrived.header(name).unwrap_or_default();
    let tag = match scheme {
        Scheme::Standard => {
            let signature = Signature::new(&key);
            let (id, time, tag) = (said(wire::WEBHOOK_ID), said(wire::WEBHOOK_TIMESTAMP), said(wire::WEBHOOK_SIGNATURE));
            return Ok(signature.verifies(id, time, &arrived.body, tag));
        }
        Scheme::HmacHex => from_hex(said(header).trim_start_matches("sha256=")),
        Scheme::HmacBase64 => STANDARD.decode(said(header).trim_start_matches("sha256=")).ok(),
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return Ok(false) };
    mac.update(&arrived.body);
    Ok(tag.is_some_and(|tag| mac.verify_slice(&tag).is_ok()))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    text.len().is_multiple_of(2).then(|| digits.collect())?
}

async fn webhook(case: &Arc<Case>, arrived: &Arrived) -> Deed {
    match is_signed(case, arrived) {
        Ok(true) => {}
        Ok(false) => {
            case.trouble("a webhook had no signature that fits [events.verify]".into());
            return refuse(401, "invalid", "the signature does not fit");
        }
        Err(why) => {
            case.trouble(format!("profile, events.verify.key: {why}"));
            return refuse(500, "invalid", "this receiver cannot check signatures");
        }
    }
    let Ok(event) = serde_json::from_slice::<Json>(&arrived.body) else {
        case.trouble(format!("a webhook is no JSON: {}", short(&String::from_utf8_lossy(&arrived.body))));
        return refuse(400, "invalid", "expected JSON");
    };
    let headers = headers(arrived);
    let id = match identity(case, &event, &headers) {
        Ok(id) => id,
        Err(why) => {
            case.trouble(why);
            return refuse(400, "invalid", "it has no id");
        }
    };
    if case.is_hopeless(&id) {
        return refuse(400, "invalid", "it could not be understood");
    }
    let owed = case.is_owed(&id);
    if !owed {
        case.traffic.moved(case.clock.now());
    }
    case.tape(|| format!("{:<26} {:<6} {}", "", "event", short(&event.to_string())));
    let heard = hear(case, &id, event, headers).await;
    let again = heard.as_ref().is_ok_and(Taken::is_to_come_again);
    case.owe(id.clone(), again);
    if owed && !again {
        case.traffic.moved(case.clock.now());
    }
    match heard {
        Ok(taken) if taken.cut => Deed::Cut,
        Ok(taken) if taken.failed == 0 => deed_as(Answered::empty(case.shared.mapping.events.answer), How::AtOnce),
        Ok(taken) => refuse(taken.failed, "unavailable", "not now"),
        Err(why) => {
            case.give_up(&id);
            case.trouble(why);
            refuse(400, "invalid", "it could not be understood")
        }
    }
}

/// The same for each delivery of an event. Without an id of its own it is what it says, and what says the same again is the same.
fn identity(case: &Case, event: &Json, headers: &Value) -> Result<String, String> {
    let scope = case.scope(OrderNo::NONE).with("event", value_of(event)).with("headers", headers.clone()).with("item", Value::default());
    let id = case.shared.mapping.events.id.as_ref().map(|id| id.text(&scope)).transpose().map_err(|why| format!("profile, events.id: {why}"))?;
    Ok(id.flatten().unwrap_or_else(|| format!("{:016x}", fnv1a(event.to_string().as_bytes()))))
}

#[derive(Default)]
struct Taken {
    /// the connection is closed without a word
    cut: bool,
    /// the status of a refusal; 0 where it was taken
    failed: u16,
}

impl Taken {
    fn is_to_come_again(&self) -> bool {
        self.cut || self.failed != 0
    }
}

/// What one event of the target is, by the rules; ends when the engine has taken all of it, or not.
async fn hear(case: &Arc<Case>, id: &str, event: Json, headers: Value) -> Result<Taken, String> {
    // until it is with the engine it is under way; one that waits for its order is, too
    case.traffic.opened();
    let told = tell(case, id, event, headers).await;
    case.traffic.closed();
    let mut taken = Taken::default();
    for answered in told? {
        match answered.await {
            Ok((answered, _)) if answered.status < 300 => {}
            Ok((answered, _)) => taken.failed = answered.status,
            Err(_) => taken.cut = true,
        }
    }
    Ok(taken)
}

/// Gives what an event is to the engine, and says where the answers come.
async fn tell(case: &Arc<Case>, id: &str, event: Json, headers: Value) -> Result<Vec<Reply>, String> {
    let events = &case.shared.mapping.events;
    let scope = case.scope(OrderNo::NONE).with("event", value_of(&event)).with("headers", headers).with("item", Value::default());
    if let Some(sequence) = &events.sequence {
        let number = sequence.text(&scope).map_err(|why| format!("profile, events.sequence: {why}"))?;
        number.and_then(|text| text.parse().ok()).into_iter().for_each(|number| case.numbered(number));
    }
    let mut waiting = Vec::new();
    for rule in &events.rules {
        let wrong = |why: String| format!("profile, events.map number {}: {why}", rule.number);
        if !rule.when.as_ref().map_or(Ok(true), |when| when.holds(&scope)).map_err(wrong)? {
            continue;
        }
        let messages = apply(case, rule, id, &scope).await.map_err(wrong)?;
        for (msg, wanted) in messages {
            let (answer, answered) = oneshot::channel();
            let at = case.clock.now();
            if msg.op.class() == Class::Call {
                case.driven(msg.clone());
                case.inbox.push(Heard { at, what: What::Call(msg, answer) });
            } else {
                case.inbox.push(Heard { at, what: What::Event(msg, answer) });
            }
            if wanted {
                waiting.push(answered);
            }
        }
        if !rule.also {
            break;
        }
    }
    Ok(waiting)
}

/// Messages of one rule, each with whether the target waits for it to be taken.
async fn apply(case: &Arc<Case>, rule: &EventRule, id: &str, scope: &Scope) -> Result<Vec<(Message, bool)>, String> {
    let Some(op) = rule.op else { return Ok(Vec::new()) };
    let order = whose(case, &rule.order, scope).await?;
    let heard = |order: OrderNo| case.scope(order).with("event", scope.get("event")).with("headers", scope.get("headers"));
    case.bind(order, &rule.bind, &heard(order).with("item", Value::default()))?;
    let heard = heard(order);
    let items = match &rule.each {
        Some(each) => each.list(&heard)?,
        None => vec![Value::default()],
    };
    let mut messages = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let scope = heard.clone().with("item", item);
        let own = if rule.each.is_some() { format!("{id}/{}.{at}", rule.number) } else { format!("{id}/{}", rule.number) };
        let key = match &rule.key {
            Some(key) => key.text(&scope)?.ok_or("its `key` has no value")?,
            None => own.clone(),
        };
        let msg = message(case, op, order, &rule.data, &scope)?;
        let call = op.class() == Class::Call;
        let key = if call { case.names.id(&format!("{op}/{key}")) } else { Id::NONE };
        messages.push((Message { id: case.names.id(&own), key, ..msg }, !call));
    }
    Ok(messages)
}

fn message(case: &Case, op: Op, order: OrderNo, data: &Shape, scope: &Scope) -> Result<Message, String> {
    let mut fields = data.build(scope)?;
    if order.is_some() {
        fields["order_id"] = case.names.show_order(order).into();
    }
    let payload: Payload = serde_json::from_value(fields).map_err(|error| format!("`data` are no fields of the contract: {error}"))?;
    if let Some(unknown) = payload.unknown.keys().next() {
        return Err(format!("`data.{unknown}` is no field of the contract: docs/contract.md has them"));
    }
    let msg = payload.message(op, &case.names).map_err(|lacks| lacks.to_string())?;
    Ok(Message { drift: false, ..msg })
}

/// Whose event it is. One of an order that is not known yet waits for a while: it often comes before the answer that says the id.
async fn whose(case: &Arc<Case>, whose: &Whose, scope: &Scope) -> Result<OrderNo, String> {
    match whose {
        Whose::Nobody => Ok(OrderNo::NONE),
        Whose::Named(expr) => {
            let name = expr.text(scope)?.ok_or("its `order` has no value")?;
            let order = case.names.order(&name);
            if order.is_none() { Err(format!("`{}` names no order", short(&name))) } else { Ok(order) }
        }
        Whose::Known(ways) => {
            let waited = Stopwatch::start();
            let park = case.shared.mapping.events.park.0 as f64 / 1e9;
            let mut values = Vec::new();
            for (name, expr) in ways {
                values.extend(expr.text(scope)?.map(|value| (name.as_str(), value)));
            }
            loop {
                if let Some(order) = values.iter().find_map(|(name, value)| case.owner(name, value)) {
                    return Ok(order);
                }
                let in_vain = values.iter().all(|(name, value)| case.is_nobodys(name, value));
                if in_vain || waited.seconds() > park {
                    values.iter().for_each(|(name, value)| case.is_nobodys_from_now_on(name, value));
                    let tried: Vec<String> = values.iter().map(|(name, value)| format!("{name}={}", short(value))).collect();
                    return Err(format!("after {park} s no order is known that it belongs to: {}", tried.join(", ")));
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), case.learnt.notified()).await;
            }
        }
    }
}

/// A call of a partner: by a mapping of the profile, or in the form of the contract.
async fn call(case: &Arc<Case>, arrived: &Arrived, path: &[&str]) -> Deed {
    let below = format!("/{}", path.join("/"));
    let partner = case.shared.mapping.partners.iter().find(|partner| partner.method == arrived.method && partner.path == below);
    let Some(partner) = partner else {
        let [partner, verb] = path else { return refuse(404, "unknown_path", "no partner of this profile has this path") };
        let msg = match canonical_call(&case.names, arrived, partner, verb) {
            Ok(msg) => msg,
            Err(lacks) => {
                case.trouble(format!("a call of {partner}/{verb} could not be read: {lacks}"));
                return refuse(400, "invalid", &lacks.to_string());
            }
        };
        case.tape(|| format!("{:<26} {:<6} {}", "", "call", msg.op));
        return answer_of(case, msg).await.map_or(Deed::Cut, |(answered, how)| deed_as(answered, how));
    };
    match foreign_call(case, arrived, partner).await {
        Ok(deed) => deed,
        Err(why) => {
            case.trouble(format!("a call of {below} could not be understood: {why}"));
            refuse(400, "invalid", &why)
        }
    }
}

async fn answer_of(case: &Case, msg: Message) -> Option<(Answered, How)> {
    let (answer, answered): (Responder, Reply) = oneshot::channel();
    case.inbox.push(Heard { at: case.clock.now(), what: What::Call(msg, answer) });
    answered.await.ok()
}

async fn foreign_call(case: &Arc<Case>, arrived: &Arrived, partner: &Partner) -> Result<Deed, String> {
    let event: Json = if arrived.body.is_empty() {
        Json::Null
    } else {
        serde_json::from_slice(&arrived.body).map_err(|error| format!("its body is no JSON: {error}"))?
    };
    let scope = case.scope(OrderNo::NONE).with("event", value_of(&event)).with("headers", headers(arrived)).with("item", Value::default());
    let order = whose(case, &partner.order, &scope).await?;
    let heard = case.scope(order).with("event", scope.get("event")).with("headers", scope.get("headers")).with("item", Value::default());
    let msg = message(case, partner.op, order, &partner.data, &heard)?;
    // one that names no intent is a new one each time
    let nth = format!("{:016x}.{}", fnv1a(&arrived.body), case.traffic.moves());
    let key = partner.key.as_ref().map(|key| key.text(&heard)).transpose()?.flatten().unwrap_or_else(|| nth.clone());
    let key = case.names.id(&format!("{}/{key}", partner.op));
    let msg = Message { id: case.names.id(&format!("{}/{nth}", partner.op)), key, ..msg };
    case.tape(|| format!("{:<26} {:<6} {}", "", "call", msg.op));
    let Some((answered, how)) = answer_of(case, msg).await else { return Ok(Deed::Cut) };
    let (outcome, code, _, payload) = wire::read_answer(answered.status, answered.replayed, None, &answered.body);
    let word = wire::class_of(outcome);
    let found = partner.answer.get(word).or_else(|| partner.answer.get("ok").filter(|_| outcome == Outcome::Replayed));
    let Some((status, shape)) = found else { return Ok(deed_as(answered, how)) };
    let mut said = serde_json::to_value(&payload).unwrap_or_else(|_| json!({}));
    said["code"] = code.name().into();
    let scope = heard.with("answer", value_of(said));
    let body = shape.as_ref().map(|shape| shape.build(&scope)).transpose()?;
    let body = body.map(|json| serde_json::to_vec(&json)).transpose().map_err(|error| error.to_string())?;
    Ok(Deed::Answer { status: *status, headers: vec![("content-type", wire::JSON.into())], body: body.unwrap_or_default(), how })
}

/// What the last polls saw, and how much had happened when the last of them that saw nothing new began.
#[derive(Default)]
pub(super) struct Seen {
    rows: Mutex<BTreeMap<String, Json>>,
    pub quiet_at: AtomicU64,
}

/// Looks that get no answer for so long make the case unknown.
const BLIND_FOR: Duration = Duration::from_secs(10);

/// Asks again and again; each row that is not as it was is an event.
pub(super) async fn poll(case: Arc<Case>, number: usize, seen: Arc<Seen>) {
    let mapping = case.shared.mapping.clone();
    let poll = &mapping.events.polls[number];
    let mut cursor = poll.start.as_ref().and_then(|start| start.text(&case.scope(OrderNo::NONE)).ok()).map(Value::from).unwrap_or_default();
    let mut blind: Option<Stopwatch> = None;
    loop {
        let before = case.traffic.moves();
        match polled(&case, poll, &seen, cursor.clone()).await {
            Ok(Some((news, next))) => {
                (cursor, blind) = (next, None);
                if news == 0 {
                    seen.quiet_at.store(before, Ordering::Release);
                }
            }
            // what was not seen this time is seen the next time
            Ok(None) if blind.get_or_insert_with(Stopwatch::start).seconds() < BLIND_FOR.as_secs_f64() => {}
            Ok(None) => {
                case.trouble(format!("poll {}: no good answer for {} s, so what the target did since is not known", poll.name, BLIND_FOR.as_secs()));
                seen.quiet_at.store(u64::MAX, Ordering::Release);
                return;
            }
            Err(why) => {
                case.trouble(format!("poll {}: {why}", poll.name));
                seen.quiet_at.store(before, Ordering::Release);
            }
        }
        tokio::time::sleep(Duration::from_nanos(poll.every.0)).await;
    }
}

/// How many rows were not as before, and the next cursor; none where the target gave no good answer.
async fn polled(case: &Arc<Case>, poll: &Poll, seen: &Seen, cursor: Value) -> Result<Option<(usize, Value)>, String> {
    let scope = case.scope(OrderNo::NONE).with("cursor", cursor.clone()).with("item", Value::default());
    let Some(answered) = steps::look(case, &poll.step, &scope).await? else { return Ok(None) };
    let next = poll.cursor.as_ref().map(|next| next.eval(&answered)).transpose()?.filter(|next| !next.is_undefined() && !next.is_none());
    let mut news = 0;
    for item in poll.each.list(&answered)? {
        let scope = answered.clone().with("item", item);
        let key = poll.key.text(&scope)?.ok_or("its `key` has no value")?;
        let now = poll.snapshot.build(&scope)?;
        let old = lock(&seen.rows).insert(key.clone(), now.clone());
        if old.as_ref() == Some(&now) {
            continue;
        }
        let delivery = format!("{}/{key}", poll.name);
        // a row that is seen again because our own sink did not take it is nothing new
        let owed = case.is_owed(&delivery);
        if !owed {
            news += 1;
            case.traffic.moved(case.clock.now());
        }
        let event = json!({"poll": poll.name, "key": key, "now": now, "before": old});
        case.tape(|| format!("{:<26} {:<6} {}", "", "seen", short(&event.to_string())));
        let id = identity(case, &event, &Value::default())?;
        let again = hear(case, &id, event, Value::default()).await?.is_to_come_again();
        case.owe(delivery, again);
        if again {
            match old {
                Some(old) => drop(lock(&seen.rows).insert(key, old)),
                None => drop(lock(&seen.rows).remove(&key)),
            }
        } else if owed {
            news += 1;
            case.traffic.moved(case.clock.now());
        }
    }
    Ok(Some((news, next.unwrap_or(cursor))))
}
