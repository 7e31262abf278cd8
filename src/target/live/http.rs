//! A target that speaks the canonical contract over HTTP: commands, feeds and callbacks go out as requests, its calls and events come in
//! at a server of ours. async ends here: the engine sees a [`Target`] with an inbox.

use super::super::{Inbound, Look, Outbound, Skip, Target};
use super::exchange::Exchange;
use super::{Asking, Commands, Controlled, Ears, Heard, What, stated, until_told};
use crate::model::{Class, Code, Harm, Id, Message, NodeId, Op, OrderNo, Outcome, SharedNames, SkuId};
use crate::net::{Arrived, Client, Deed, Failed, How, Limits, Request, Response, Server, SpanKind, Spans};
use crate::sim::{Clock, Inbox, Mailbox, Span, Timestamp, WallClock, time_of_day_ns};
use crate::wire::{self, Answered, CloudEvent, Names, Payload, Sandbox, Signature, Skipped, StockView, Traces, Unreadable};
use hyper::Method;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tracing::{debug, info, trace, warn};

/// Where an answer of ours goes to, and how.
pub(super) type Responder = oneshot::Sender<(Answered, How)>;

/// Who listens for one case.
pub(super) trait Ear: Send + Sync {
    fn receive(self: Arc<Self>, arrived: Arrived) -> Pin<Box<dyn Future<Output = Deed> + Send>>;
}

/// Cases by name. One that is over is none any more, and its name stays known.
type Cases = Arc<RwLock<FxHashMap<String, Option<Arc<dyn Ear>>>>>;

/// What nobody can read, in any format and character set that there is.
const GARBAGE: &[u8] = b"\xff\xfe\x00{]<garbage";

/// Room for the body of an order of a few lines.
const USUAL_BODY: usize = 512;

/// Requests that wait are looked through for those that wait no more where there are so many, each time that their list is full.
const MOST_QUEUED: usize = 4_096;
/// A target has so long to take a case's end.
const GOODBYE: Duration = Duration::from_secs(2);

/// So many messages that cannot be read, and none between them that can: the rest is not waited for.
const UNREADABLE_IN_A_ROW: usize = 40;

/// What the receiving threads know of one case.
struct Case {
    name: String,
    names: Names,
    clock: WallClock,
    inbox: Mailbox<Heard<Responder>>,
    signature: Option<Signature>,
    /// messages that could not be read: told at the end
    unreadable: AtomicUsize,
    /// of those, how many came since one that could be, and what was wrong with the last
    in_a_row: AtomicUsize,
    lacks: Mutex<String>,
    spans: Option<Spans>,
}

impl Case {
    fn log(&self, what: &'static str, msg: &Message) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            // names are not made for nobody
            return;
        }
        let names = &self.names;
        let (order, key) = (msg.order.is_some().then(|| names.show_order(msg.order)), msg.key.is_some().then(|| names.show_id(msg.key)));
        debug!(case = self.name, op = msg.op.name(), order, id = names.show_id(msg.id), key, "{what}");
    }

    /// A span from now on, of a message that goes out, or that came in with a header.
    fn exchange(&self, kind: SpanKind, msg: &Message, header: Option<&str>) -> Option<Exchange> {
        let spans = self.spans.as_ref()?;
        let traces = self.names.traces();
        let context = header.map_or_else(|| traces.outgoing(msg), |header| traces.incoming(msg, header));
        Some(Exchange::begin(spans, &self.name, kind, context, msg, &self.names))
    }
}

impl Ear for Case {
    fn receive(self: Arc<Self>, arrived: Arrived) -> Pin<Box<dyn Future<Output = Deed> + Send>> {
        Box::pin(async move { receive(&self, arrived).await })
    }
}

/// The side of the harness that a target calls: one server for all cases, each under a path of its own.
#[derive(Clone)]
pub struct Harness {
    handle: Handle,
    cases: Cases,
    /// where targets reach it
    url: String,
    spans: Option<Spans>,
}

impl Harness {
    /// Listens on `address`; port 0 takes a free one.
    pub fn listen(handle: Handle, address: &str) -> io::Result<Harness> {
        let server = handle.block_on(Server::bind(address, Limits::default()))?;
        let url = format!("http://{}", server.address()?);
        let cases: Cases = Arc::default();
        let known = cases.clone();
        handle.spawn(server.run(move |arrived| {
            let name = arrived.path.trim_start_matches('/').split('/').next().unwrap_or_default();
            let case = {
                let known = known.read().unwrap_or_else(PoisonError::into_inner);
                // a target that sends everything to one address has one case at a time
                let only = || {
                    let mut running = known.values().flatten();
                    running.next().filter(|_| running.next().is_none())
                };
                // what is still on its way to a case that is over is not for the next one
                known.get(name).map_or_else(only, Option::as_ref).cloned()
            };
            async move {
                match case {
                    Some(case) => case.receive(arrived).await,
                    None => deed(Answered::problem(&wire::Problem::new(404, "unknown_case", "no case of this name is running"))),
                }
            }
        }));
        Ok(Harness { handle, cases, url, spans: None })
    }

    /// The same, with a span for each exchange.
    pub fn telling(self, spans: Option<Spans>) -> Harness {
        Harness { spans, ..self }
    }

    pub(super) fn spans(&self) -> Option<&Spans> {
        self.spans.as_ref()
    }
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
    pub(super) fn url(&self) -> &str {
        &self.url
    }
    pub(super) fn register(&self, name: &str, case: Arc<dyn Ear>) {
        self.cases.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Some(case));
    }
    pub(super) fn leave(&self, name: &str) {
        self.cases.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), None);
    }

    /// Reads something of a target, outside of any case.
    pub fn get(&self, client: &Client, path: &str) -> Result<Response, Failed> {
        self.handle.block_on(client.send(Request { method: Method::GET, path: path.into(), headers: Vec::new(), body: Vec::new() }))
    }
}

pub(super) fn deed(answered: Answered) -> Deed {
    deed_as(answered, How::AtOnce)
}

pub(super) fn deed_as(answered: Answered, how: How) -> Deed {
    Deed::Answer { status: answered.status, headers: answered.headers(), body: answered.body, how }
}

/// One request of the target: a call of a partner, or the delivery of an event.
async fn receive(case: &Case, arrived: Arrived) -> Deed {
    let at = case.clock.now();
    let path: Vec<&str> = arrived.path.trim_matches('/').split('/').skip(1).collect();
    let refuse = |status, lacks: Unreadable| {
        case.unreadable.fetch_add(1, Ordering::Relaxed);
        case.in_a_row.fetch_add(1, Ordering::Relaxed);
        *case.lacks.lock().unwrap_or_else(PoisonError::into_inner) = lacks.to_string();
        warn!(case = case.name, path = arrived.path, status, %lacks, "a message that cannot be read");
        deed(Answered::problem(&wire::Problem::new(status, "invalid", lacks.to_string())))
    };
    let (answer, answered) = oneshot::channel();
    let mut traceparent = arrived.header(wire::TRACEPARENT).unwrap_or_default().to_owned();
    let what = match path.as_slice() {
        ["webhook"] => {
            if case.signature.as_ref().is_some_and(|signature| !signature.vouches(|name| arrived.header(name), &arrived.body)) {
                return refuse(401, Unreadable { field: wire::WEBHOOK_SIGNATURE, expected: "a signature with the secret of this case".into() });
            }
            match serde_json::from_slice::<CloudEvent>(&arrived.body) {
                Ok(event) => {
                    let read = event.message(&case.names).map(|msg| What::Event(msg, answer));
                    traceparent = event.traceparent;
                    read
                }
                Err(error) => Err(Unreadable { field: "body", expected: format!("a CloudEvent in JSON: {error}") }),
            }
        }
        [wire::CALL_PREFIX, partner, verb] => canonical_call(&case.names, &arrived, partner, verb).map(|msg| What::Call(msg, answer)),
        _ => return deed(Answered::problem(&wire::Problem::new(404, "unknown_path", "partners/{partner}/{verb} and webhook are here"))),
    };
    let exchange = match &what {
        Ok(What::Call(msg, _) | What::Event(msg, _)) => case.exchange(SpanKind::Server, msg, Some(&traceparent)),
        _ => None,
    };
    match what {
        Ok(what) => {
            case.in_a_row.store(0, Ordering::Relaxed);
            match &what {
                What::Call(msg, _) => case.log("call received", msg),
                What::Event(msg, _) => case.log("event received", msg),
                What::Reply { .. } | What::Skipped(_) => {}
            }
            case.inbox.push(Heard { at, what });
        }
        Err(lacks) => return refuse(400, lacks),
    }
    match answered.await {
        Ok((answered, how)) => {
            debug!(case = case.name, path = arrived.path, status = answered.status, "answered");
            exchange.into_iter().for_each(|exchange| exchange.end(Ok(answered.status)));
            deed_as(answered, how)
        }
        // the engine has decided that no answer comes
        Err(_) => {
            debug!(case = case.name, path = arrived.path, "left without an answer");
            drop(exchange);
            Deed::Cut
        }
    }
}

/// A call of a partner in the form of the contract.
pub(super) fn canonical_call(names: &Names, arrived: &Arrived, partner: &str, verb: &str) -> Result<Message, Unreadable> {
    let op = Op::parse(&format!("{partner}.{verb}")).filter(|op| op.class() == Class::Call);
    let op = op.ok_or_else(|| Unreadable { field: "path", expected: format!("a partner call of the contract, not {partner}/{verb}") })?;
    let payload: Payload = serde_json::from_slice(&arrived.body).map_err(|error| Unreadable { field: "body", expected: format!("JSON: {error}") })?;
    payload.request(op, names, |name| arrived.header(name))
}

/// A target of one case.
pub struct Live {
    handle: Handle,
    client: Client,
    case: Arc<Case>,
    harness: Harness,
    /// the case's name in every path
    name: String,
    ears: Ears<Responder>,
    /// requests of ours without an answer so far
    in_flight: Arc<AtomicUsize>,
    /// those that waited before they were sent
    queued: Vec<AbortHandle>,
    skips: bool,
    /// what feeds and callbacks are signed with
    signature: Option<Signature>,
    patience: Span,
    /// keys that went out, where somebody reads the log
    keys: FxHashSet<Id>,
    /// it did not answer when it was asked at rest
    mute: bool,
    process: Controlled,
}

/// What a target is set up with for one case.
pub struct Opening<'a> {
    pub name: String,
    pub sandbox: Sandbox,
    pub clock: &'a WallClock,
    /// its clock can be moved
    pub skips: bool,
    pub patience: Span,
    /// how its process is killed, started, paused and resumed
    pub commands: Commands,
}

impl Live {
    /// Sets a sandbox up for one case. `sandbox` lacks our addresses, which are filled in here.
    pub fn open(harness: &Harness, client: Client, opening: Opening<'_>) -> Result<Live, String> {
        let Opening { name, mut sandbox, clock, skips, patience, commands } = opening;
        sandbox.partners_url = format!("{}/{name}/{}", harness.url, wire::CALL_PREFIX);
        sandbox.webhook_url = format!("{}/{name}/webhook", harness.url);
        let signature = (!sandbox.webhook_secret.is_empty()).then(|| Signature::new(&sandbox.webhook_secret));
        let traces = Traces::beginning(salt(&name));
        let names = Names::new(Arc::new(sandbox.estate.clone())).in_traces(traces);
        let case = Case {
            name: name.clone(),
            names,
            clock: clock.clone(),
            inbox: Mailbox::new(),
            signature,
            unreadable: AtomicUsize::new(0),
            in_a_row: AtomicUsize::new(0),
            lacks: Mutex::default(),
            spans: harness.spans.clone(),
        };
        let live = Live {
            handle: harness.handle.clone(),
            client,
            case: Arc::new(case),
            harness: harness.clone(),
            name,
            ears: Ears::new(),
            in_flight: Arc::default(),
            queued: Vec::new(),
            skips,
            signature: (sandbox.signed && !sandbox.webhook_secret.is_empty()).then(|| Signature::new(&sandbox.webhook_secret)),
            patience,
            keys: FxHashSet::default(),
            mute: false,
            process: Controlled::by(commands),
        };
        harness.register(&live.name, live.case.clone());
        let body = serde_json::to_vec(&sandbox).map_err(|error| error.to_string())?;
        let made = live.ask(Method::PUT, "", body).map_err(|why| format!("{}: {why}", live.client.authority()))?;
        if made.status >= 300 {
            let said = String::from_utf8_lossy(&made.body).chars().take(300).collect::<String>();
            return Err(format!("{} answered {} to the opening of a sandbox: {said}", live.client.authority(), made.status));
        }
        info!(case = live.name, at = live.client.authority(), "sandbox opened");
        Ok(live)
    }

    /// Texts of the target's that ids stand for.
    pub fn names(&self) -> SharedNames {
        self.case.names.shared()
    }
    /// Messages of the target that could not be read.
    pub fn unreadable(&self) -> usize {
        self.case.unreadable.load(Ordering::Relaxed)
    }

    /// Why it is of no use to go on, if so.
    pub fn broken(&self) -> Option<String> {
        let silent = || self.ears.is_silent().then(|| "the target has not answered for a minute".to_string());
        let unreadable = || {
            let lacks = self.case.lacks.lock().unwrap_or_else(PoisonError::into_inner);
            self.speaks_in_vain().then(|| format!("the last {UNREADABLE_IN_A_ROW} messages of the target could not be read: {lacks}"))
        };
        self.process.broken().map(|why| format!("the target's process: {why}")).or_else(silent).or_else(unreadable)
    }

    /// What it sends again and again nobody can read.
    fn speaks_in_vain(&self) -> bool {
        self.case.in_a_row.load(Ordering::Relaxed) >= UNREADABLE_IN_A_ROW
    }

    fn path(&self, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        ["/", &self.name, slash, rest].concat()
    }

    /// A request beside the business.
    fn asking(&self, method: Method, rest: &str, body: Vec<u8>) -> Request {
        Request { method, path: self.path(rest), headers: vec![("content-type", wire::JSON.to_string())], body }
    }

    /// Asks and waits: reads, and what is beside the business.
    fn ask(&self, method: Method, rest: &str, body: Vec<u8>) -> Result<Response, Failed> {
        self.handle.block_on(self.client.send(self.asking(method, rest, body)))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, rest: &str) -> Look<T> {
        self.ask(Method::GET, rest, Vec::new()).map_or(Look::Silent, |response| read_as(&response))
    }

    /// What it says of these, asked once, all at a time: one after another, each would wait for the network.
    fn ask_states(&self, orders: &[OrderNo]) -> Vec<Look<(Code, i32, i64)>> {
        let ask = |order: &OrderNo| {
            let path = self.path(&["orders/", &self.case.names.show_order(*order)].concat());
            Request { method: Method::GET, path, headers: Vec::new(), body: Vec::new() }
        };
        let (client, requests): (Client, Vec<Request>) = (self.client.clone(), orders.iter().map(ask).collect());
        let state = |response: &Response| read_as(response).and_then(stated);
        // by one task of the network, which sees many answers at a time, and wakes this thread once
        let asking = self.handle.spawn(async move {
            let asked: Vec<_> = requests.into_iter().map(|request| client.ask(request)).collect();
            let mut answers = Vec::new();
            for answer in asked {
                answers.push(answer.await.ok().and_then(Result::ok));
            }
            answers
        });
        let answers = self.handle.block_on(asking).unwrap_or_else(|_| orders.iter().map(|_| None).collect());
        answers.iter().map(|answer| answer.as_ref().map_or(Look::Silent, state)).collect()
    }

    /// A resend, or a duplicate: of interest to nobody but the log.
    fn sent_before(&mut self, msg: &Message) -> bool {
        tracing::enabled!(tracing::Level::DEBUG) && msg.key.is_some() && !self.keys.insert(msg.key)
    }

    fn request(&self, now: Timestamp, msg: &Message, signature: Option<&Signature>) -> Request {
        let names = &self.case.names;
        if let Some((method, path)) = wire::command_path(msg, names) {
            let headers = wire::request_headers(msg, names);
            let body = json(&Payload::of(msg, names));
            let method = if method == "PUT" { Method::PUT } else { Method::POST };
            return Request { method, path: self.path(&path), headers, body };
        }
        let event = CloudEvent::of(msg, now, "orderstorm", names);
        let body = json(&event);
        let mut headers = vec![("content-type", wire::CLOUD_EVENT.to_string())];
        if let Some(signature) = signature {
            headers.extend(signature.headers(&event.id, now, &body));
        }
        Request { method: Method::POST, path: self.path("events"), headers, body }
    }

    /// Sends a message, and makes of the answer what `read` says.
    fn post(&mut self, msg: &Message, how: How, request: Request, read: fn(Result<Response, Failed>) -> (Outcome, Code, Span)) {
        let (client, case, in_flight, op, to) = (self.client.clone(), self.case.clone(), self.in_flight.clone(), msg.op, msg.id);
        in_flight.fetch_add(1, Ordering::AcqRel);
        let exchange = self.case.exchange(SpanKind::Client, msg, None);
        let what = if self.sent_before(msg) { "sent again" } else { "sent" };
        self.case.log(what, msg);
        let done = move |answer: Result<Response, Failed>| {
            let at = case.clock.now();
            if let Some(exchange) = exchange {
                exchange.end(answer.as_ref().map(|answer| answer.status).map_err(Failed::to_string));
            }
            let (outcome, code, retry_after) = read(answer);
            debug!(case = case.name, op = op.name(), id = case.names.show_id(to), outcome = outcome.name(), code = code.name(), "answer");
            case.inbox.push(Heard { at, what: What::Reply { to, outcome, code, retry_after } });
            in_flight.fetch_sub(1, Ordering::AcqRel);
        };
        if self.queued.len() >= MOST_QUEUED && self.queued.len() == self.queued.capacity() {
            self.queued.retain(|task| !task.is_finished());
        }
        match how {
            How::AtOnce => self.queued.extend(client.start(&self.handle, request, done)),
            how => self.queued.push(self.handle.spawn(async move { done(client.send_as(how, request).await) }).abort_handle()),
        }
    }

    fn how(&self, harm: Harm) -> How {
        match harm {
            Harm::Reset => How::BrokenOff,
            Harm::Slow(over) => How::Slowly(Duration::from_nanos((over.0 as f64 / self.case.clock.scale()) as u64)),
            Harm::Truncated | Harm::Garbled | Harm::Forged => How::AtOnce,
        }
    }
}

/// As JSON, with room for most messages from the beginning.
fn json(said: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::with_capacity(USUAL_BODY);
    if serde_json::to_writer(&mut text, said).is_err() {
        text.clear();
    }
    text
}

/// What a good answer to a read says.
fn read_as<T: serde::de::DeserializeOwned>(response: &Response) -> Look<T> {
    match response.status {
        200 => serde_json::from_slice(&response.body).map_or(Look::Silent, Look::Is),
        404 => Look::Unknown,
        _ => Look::Silent,
    }
}

/// Does it answer with its manifest?
fn is_ready(handle: &Handle, client: &Client) -> bool {
    let asked = Request { method: Method::GET, path: String::new(), headers: Vec::new(), body: Vec::new() };
    handle.block_on(client.send(asked)).is_ok_and(|answer| answer.status == 200)
}

impl Drop for Live {
    fn drop(&mut self) {
        self.harness.leave(&self.name);
        info!(case = self.name, "sandbox closed");
        // what a case that was stopped has not sent is not sent any more
        self.queued.drain(..).for_each(|task| task.abort());
        // a sandbox that stays behind costs the target memory; nobody waits for this, and a target that stands still does not hold up the end
        let request = self.asking(Method::DELETE, "", Vec::new());
        let _ = self.handle.block_on(async { tokio::time::timeout(GOODBYE, self.client.send(request)).await });
    }
}

/// Tells the traces of this case and this run from all others.
pub(super) fn salt(name: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(name.as_bytes());
    hasher.write_u64(time_of_day_ns());
    hasher.finish()
}

fn outcome_of(result: Result<Response, Failed>) -> (Outcome, Code, Span) {
    match result {
        Ok(response) => {
            let replayed = response.header(wire::REPLAYED).is_some();
            let (outcome, code, wait, _) = wire::read_answer(response.status, replayed, response.header(wire::RETRY_AFTER), &response.body);
            // a good answer's reason is none of a command's business
            (outcome, if matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending) { Code::None } else { code }, wait)
        }
        Err(Failed::Refused(_)) => (Outcome::Refused, Code::None, Span::ZERO),
        Err(Failed::Broken(_) | Failed::TimedOut) => (Outcome::TimedOut, Code::None, Span::ZERO),
        Err(Failed::Malformed(_)) => (Outcome::Error, Code::Invalid, Span::ZERO),
    }
}

/// The answer to a message that was harmed: to turn it away is to say that nothing happened.
fn outcome_of_harmed(result: Result<Response, Failed>) -> (Outcome, Code, Span) {
    match outcome_of(result) {
        (Outcome::Rejected, _, wait) => (Outcome::Refused, Code::Invalid, wait),
        answered => answered,
    }
}

pub(super) fn harmed(body: &mut Vec<u8>, harm: Harm) {
    match harm {
        Harm::Truncated => body.truncate(body.len() / 2),
        Harm::Garbled => *body = GARBAGE.to_vec(),
        Harm::Reset | Harm::Slow(_) | Harm::Forged => {}
    }
}

/// Lets a request have its answer; whoever asked may be gone.
pub(super) fn respond(waiting: Option<Responder>, answered: Answered) {
    let _ = waiting.map(|waiting| waiting.send((answered, How::AtOnce)));
}

pub(super) fn answered(outcome: Outcome, msg: &Message, names: &Names) -> Answered {
    let waits = if outcome == Outcome::Backpressure { Span::from_secs(msg.qty.max(0) as u64) } else { Span::ZERO };
    wire::answer(outcome, msg.code, waits, &Payload::of(msg, names))
}

impl Target for Live {
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, _out: &mut Vec<Outbound>) {
        self.ears.sent();
        match inbound {
            Inbound::Message(msg) => {
                let request = self.request(now, &msg, self.signature.as_ref());
                self.post(&msg, How::AtOnce, request, outcome_of);
            }
            Inbound::Answer { msg, outcome } => {
                let answered = answered(outcome, &msg, &self.case.names);
                // nobody took the connection: all that a server that runs can do is to close it without a word
                let caller = self.ears.caller(msg.id);
                respond(caller.filter(|_| outcome != Outcome::Refused), answered);
            }
        }
    }

    fn deliver_harmed(&mut self, now: Timestamp, msg: Arc<Message>, harm: Harm, _out: &mut Vec<Outbound>) {
        self.ears.sent();
        let forged = (harm == Harm::Forged).then(|| Signature::new("a secret of somebody else"));
        let mut request = self.request(now, &msg, forged.as_ref().or(self.signature.as_ref()));
        harmed(&mut request.body, harm);
        let read = if let Harm::Slow(_) = harm { outcome_of } else { outcome_of_harmed };
        self.post(&msg, self.how(harm), request, read);
    }

    fn answer_harmed(&mut self, _now: Timestamp, msg: Arc<Message>, outcome: Outcome, harm: Harm) {
        self.ears.sent();
        let mut answered = answered(outcome, &msg, &self.case.names);
        harmed(&mut answered.body, harm);
        let _ = self.ears.caller(msg.id).map(|caller| caller.send((answered, self.how(harm))));
    }

    fn acknowledge_harmed(&mut self, _now: Timestamp, event: Id, harm: Harm) {
        // the answer to an event has no body: to harm one, there must be one
        let mut answered = Answered::json(200, &serde_json::json!({"taken": true}));
        harmed(&mut answered.body, harm);
        let _ = self.ears.publisher(event).map(|publisher| publisher.send((answered, self.how(harm))));
    }

    fn next_due(&mut self) -> Timestamp {
        self.ears.gather(&self.case.inbox);
        self.ears.next_due()
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        self.ears.gather(&self.case.inbox);
        self.ears.poll(now, out);
    }

    fn acknowledged(&mut self, _now: Timestamp, event: Id) {
        respond(self.ears.publisher(event), Answered::empty(204));
    }

    fn refused(&mut self, _now: Timestamp, event: Id) {
        respond(self.ears.publisher(event), Answered::empty(503));
    }

    fn crash(&mut self) {
        self.process.kill();
        self.ears.asking = Asking::No;
        self.ears.gather(&self.case.inbox);
    }

    fn restart(&mut self, _now: Timestamp, _out: &mut Vec<Outbound>) {
        self.ears.forget();
        let (handle, client) = (self.handle.clone(), self.client.clone());
        self.process.start(|| is_ready(&handle, &client));
    }

    fn pause(&mut self) {
        self.process.pause();
    }

    fn resume(&mut self) {
        self.process.resume();
    }

    fn is_gone(&self) -> bool {
        self.process.broken().is_some() || self.ears.is_silent() || self.speaks_in_vain()
    }

    fn order_state(&mut self, order: OrderNo) -> Look<(Code, i32, i64)> {
        self.order_states(&[order]).pop().unwrap_or(Look::Silent)
    }

    /// All at a time, and those that had no answer a few times more.
    fn order_states(&mut self, orders: &[OrderNo]) -> Vec<Look<(Code, i32, i64)>> {
        let mut seen = vec![Look::Silent; orders.len()];
        let mut mute = self.mute;
        until_told(&mut mute, true, || {
            let left: Vec<usize> = (0..orders.len()).filter(|at| seen[*at] == Look::Silent).collect();
            let asked: Vec<OrderNo> = left.iter().map(|at| orders[*at]).collect();
            left.iter().zip(self.ask_states(&asked)).for_each(|(at, look)| seen[*at] = look);
            if seen.contains(&Look::Silent) { Look::Silent } else { Look::Is(()) }
        });
        self.mute |= !seen.is_empty() && seen.iter().all(|look| *look == Look::Silent);
        seen
    }
    fn inventory(&mut self, node: NodeId, sku: SkuId, at_rest: bool) -> Look<(i64, i64)> {
        let estate = self.case.names.estate();
        let path = format!("inventory/{}/{}", estate.node_name(node), estate.sku_name(sku));
        let mut mute = self.mute;
        let look = until_told(&mut mute, at_rest, || self.read(&path));
        self.mute = mute;
        look.and_then(|StockView { on_hand, reserved }| Look::Is((on_hand, reserved)))
    }

    fn is_live(&self) -> bool {
        true
    }

    fn inbox(&self) -> &dyn Inbox {
        &self.case.inbox
    }

    fn skip(&mut self, to: Option<Timestamp>) -> Skip {
        if !self.skips {
            return Skip::Unable;
        }
        if let Some(skip) = self.ears.asked() {
            return skip;
        }
        // in this order: an answer is put into the inbox before it is no longer under way
        let under_way = self.in_flight.load(Ordering::Acquire);
        self.ears.gather(&self.case.inbox);
        if under_way > 0 || !self.ears.heard.is_empty() {
            return Skip::Busy;
        }
        // who has hung up does not wait any more
        let open = |waiting: &FxHashMap<Id, VecDeque<Responder>>| waiting.values().flatten().filter(|sender| !sender.is_closed()).count();
        let ask = wire::Skip { to_ns: to.map(|to| to.0), open_calls: open(&self.ears.calls), open_events: open(&self.ears.events) };
        let body = serde_json::to_vec(&ask).unwrap_or_default();
        let request = self.asking(Method::POST, "clock", body);
        let (client, case) = (self.client.clone(), self.case.clone());
        self.ears.asking = Asking::Yes;
        self.handle.spawn(async move {
            let said = client.send(request).await.ok().and_then(|response| serde_json::from_slice::<Skipped>(&response.body).ok());
            trace!(case = case.name, ?said, "clock");
            case.inbox.push(Heard { at: case.clock.now(), what: What::Skipped(said) });
        });
        Skip::Busy
    }

    fn patience(&self) -> Span {
        self.patience
    }

    fn unanswered(&mut self, call: Id) {
        // dropped: the connection is closed
        self.ears.caller(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf(u16);
    impl Ear for Deaf {
        fn receive(self: Arc<Self>, _: Arrived) -> Pin<Box<dyn Future<Output = Deed> + Send>> {
            let answer = Deed::Answer { status: self.0, headers: Vec::new(), body: Vec::new(), how: How::AtOnce };
            Box::pin(std::future::ready(answer))
        }
    }

    #[test]
    fn what_comes_for_a_case_that_is_over_is_not_for_the_next_one_and_what_names_none_is() {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let harness = Harness::listen(runtime.handle().clone(), "127.0.0.1:0").expect("a free port");
        let client = Client::new(&harness.url, 4, Duration::from_secs(30)).expect("an address");
        let asked = |path: &str| {
            let request = Request { method: Method::POST, path: path.into(), headers: Vec::new(), body: Vec::new() };
            runtime.block_on(client.send(request)).expect("an answer").status
        };
        harness.register("one", Arc::new(Deaf(201)));
        assert_eq!((asked("/one/webhook"), asked("/all")), (201, 201));
        harness.leave("one");
        assert_eq!((asked("/one/webhook"), asked("/all")), (404, 404));
        harness.register("two", Arc::new(Deaf(202)));
        assert_eq!((asked("/one/webhook"), asked("/all"), asked("/two/webhook")), (404, 202, 202));
    }
}
