//! One orchestrator and everything that belongs to it: a task that owns it, takes what comes in, stores it, and only then lets out what
//! follows: answers, calls of partners, webhooks.

use super::Shared;
use super::counters::count;
use super::journal::OnDisk;
use crate::model::{Code, Id, Message, NodeId, OrderNo, Outcome, SkuId};
use crate::net::{Client, Failed, Request, Response};
use crate::sim::{Clock, Span, WallClock};
use crate::target::{Embedded, Inbound, Outbound, Target};
use crate::wire::{self, CloudEvent, DeadLetter, Names, OrderView, Payload, Sandbox, Signature, Skip, Skipped, StockView, Traces};
use hyper::Method;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, trace, warn};

/// Events that can be asked for again.
const EVENTS_KEPT: usize = 10_000;
/// A partner or a receiver of events has so long for its answer. The orchestrator itself gives up earlier, by its own clock.
const PATIENCE: Duration = Duration::from_secs(120);
const IN_FLIGHT: usize = 256;

pub type Answer = oneshot::Sender<(Outcome, Code, Span)>;

/// What is asked of a sandbox.
pub enum Ask {
    Message(Message, Answer),
    Order(OrderNo, oneshot::Sender<Option<OrderView>>),
    Stock(NodeId, SkuId, oneshot::Sender<StockView>),
    Events {
        after: usize,
        most: usize,
        to: oneshot::Sender<Vec<CloudEvent>>,
    },
    /// sends events once more, from this place on
    Replay {
        after: usize,
        to: oneshot::Sender<usize>,
    },
    Skip(Skip, oneshot::Sender<Skipped>),
    /// the answer to a call, or none
    Answered(Option<Box<(Message, Outcome)>>),
    Delivered {
        event: Id,
        taken: bool,
        /// somebody asked for it: it is not owed
        once_more: bool,
    },
    DeadLetters {
        after: usize,
        most: usize,
        to: oneshot::Sender<Vec<DeadLetter>>,
    },
    /// begins with all of them anew
    Redeliver(oneshot::Sender<usize>),
    /// the sandbox is removed
    End,
}

impl Ask {
    /// A call or an event of its own that nobody is there for: it goes on with them for ever.
    fn is_of_nobody(&self) -> bool {
        match self {
            Ask::Answered(None) | Ask::Delivered { taken: false, .. } => true,
            Ask::Answered(Some(answer)) => answer.1 == Outcome::Refused,
            _ => false,
        }
    }
}

/// How others reach it.
#[derive(Clone)]
pub struct Running {
    pub names: Arc<Names>,
    /// what feeds and callbacks must be signed with
    pub signature: Option<Signature>,
    pub asks: mpsc::UnboundedSender<Ask>,
    /// when somebody spoke to it last, in seconds since the service began
    heard: Arc<Mutex<f64>>,
}

impl Running {
    pub fn heard(&self) -> f64 {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Actor {
    name: String,
    shared: Arc<Shared>,
    names: Arc<Names>,
    target: Embedded,
    clock: WallClock,
    journal: Option<OnDisk>,
    asks: mpsc::UnboundedReceiver<Ask>,
    to_self: mpsc::UnboundedSender<Ask>,
    heard: Arc<Mutex<f64>>,
    answers: FxHashMap<Id, VecDeque<Answer>>,
    out: Vec<Outbound>,
    skips: Vec<(Skip, oneshot::Sender<Skipped>)>,
    partners: Client,
    webhook: Client,
    signature: Option<Signature>,
    open_calls: usize,
    open_events: usize,
    /// published, oldest first, and how many went before
    published: VecDeque<Arc<Message>>,
    forgotten: usize,
    /// deliveries that failed, of events that are owed
    failed: FxHashMap<Id, u32>,
    /// owed still, and not tried any more; the oldest first
    dead: Vec<Arc<Message>>,
}

impl Actor {
    /// Starts the task of a sandbox. `restored`: its journal has something in it.
    pub fn start(
        shared: &Arc<Shared>,
        name: &str,
        sandbox: &Sandbox,
        target: Embedded,
        journal: Option<OnDisk>,
        restored: bool,
    ) -> Result<Running, String> {
        // of its own where a command names no trace; a harness hashes otherwise
        let salt = name.bytes().fold(sandbox.seed, |salt, byte| salt.rotate_left(7) ^ u64::from(byte));
        let names = Names::new(Arc::new(sandbox.estate.clone())).in_traces(Traces::following(salt));
        let names = Arc::new(names);
        let (to_self, asks) = mpsc::unbounded_channel();
        let signature = (!sandbox.webhook_secret.is_empty()).then(|| Signature::new(&sandbox.webhook_secret));
        let client = |url: &str| Client::trusting(shared.config.trust.as_ref(), url, IN_FLIGHT, PATIENCE);
        let heard = Arc::new(Mutex::new(shared.began.seconds()));
        let signed = signature.clone().filter(|_| sandbox.signed);
        let running = Running { names: names.clone(), signature: signed, asks: to_self.clone(), heard: heard.clone() };
        let actor = Actor {
            name: name.to_owned(),
            shared: shared.clone(),
            names,
            target,
            clock: WallClock::new(shared.config.scale),
            journal,
            asks,
            to_self,
            heard,
            answers: FxHashMap::default(),
            out: Vec::new(),
            skips: Vec::new(),
            partners: client(&sandbox.partners_url)?,
            webhook: client(&sandbox.webhook_url)?,
            signature,
            open_calls: 0,
            open_events: 0,
            published: VecDeque::new(),
            forgotten: 0,
            failed: FxHashMap::default(),
            dead: Vec::new(),
        };
        tokio::spawn(actor.run(restored));
        Ok(running)
    }

    fn log(&self, what: &'static str, msg: &Message) {
        let names = &self.names;
        let (order, key) = (msg.order.is_some().then(|| names.show_order(msg.order)), msg.key.is_some().then(|| names.show_id(msg.key)));
        debug!(sandbox = self.name, op = msg.op.name(), order, id = names.show_id(msg.id), key, "{what}");
    }

    async fn run(mut self, restored: bool) {
        info!(sandbox = self.name, restored, "sandbox opened");
        if restored {
            let begin = self.journal.as_ref().and_then(|journal| journal.latest());
            // time went on while nobody was there, but a journal cannot say by how much: it goes on where it stopped
            self.clock.skip_to(begin.unwrap_or_default());
            self.target.restart(self.clock.now(), &mut self.out);
            self.let_out().await;
        }
        loop {
            let wait = super::wall_until(self.target.next_due(), &self.clock);
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(Ask::End) | None => return,
                    Some(ask) => self.take(ask),
                },
                () = tokio::time::sleep(wait) => {}
            }
            for _ in 0..256 {
                match self.asks.try_recv() {
                    Ok(Ask::End) => return,
                    Ok(ask) => self.take(ask),
                    Err(_) => break,
                }
            }
            self.target.poll(self.clock.now(), &mut self.out);
            self.let_out().await;
            self.skip();
        }
    }

    fn take(&mut self, ask: Ask) {
        let now = self.clock.now();
        if !ask.is_of_nobody() {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = self.shared.began.seconds();
        }
        match ask {
            Ask::Message(msg, answer) => {
                count(&self.shared.counters.messages);
                self.log("received", &msg);
                self.answers.entry(msg.id).or_default().push_back(answer);
                self.target.deliver(now, Inbound::Message(msg.into()), &mut self.out);
            }
            Ask::Order(order, to) => {
                let view = self.target.order_state(order).known();
                let _ = to.send(view.map(|(state, reserved, net)| OrderView { state: state.name().into(), reserved, net }));
            }
            Ask::Stock(node, sku, to) => {
                let (on_hand, reserved) = self.target.inventory(node, sku, true).known().unwrap_or_default();
                let _ = to.send(StockView { on_hand, reserved });
            }
            Ask::Events { after, most, to } => {
                let events = self.published.iter().skip(after.saturating_sub(self.forgotten)).take(most);
                let _ = to.send(events.map(|msg| CloudEvent::of(msg, now, &self.source(), &self.names)).collect());
            }
            Ask::Replay { after, to } => {
                let again: Vec<Arc<Message>> = self.published.iter().skip(after.saturating_sub(self.forgotten)).cloned().collect();
                let _ = to.send(again.len());
                again.into_iter().for_each(|msg| self.publish(msg, true));
            }
            Ask::Skip(skip, to) => self.skips.push((skip, to)),
            Ask::End => {}
            Ask::Answered(answer) => {
                self.open_calls -= 1;
                match answer {
                    Some(answer) => {
                        let (msg, outcome) = *answer;
                        debug!(sandbox = self.name, op = msg.op.name(), id = self.names.show_id(msg.id), outcome = outcome.name(), "call answered");
                        self.target.deliver(now, Inbound::Answer { msg: msg.into(), outcome }, &mut self.out);
                    }
                    // nobody knows: its own time-out will see to it
                    None => count(&self.shared.counters.calls_unanswered),
                }
            }
            Ask::Delivered { event, taken, once_more } => {
                self.open_events -= 1;
                if taken {
                    count(&self.shared.counters.events_taken);
                    self.failed.remove(&event);
                    self.dead.retain(|dead| dead.id != event);
                    self.target.acknowledged(now, event);
                } else if !once_more {
                    self.not_taken(event);
                }
            }
            Ask::DeadLetters { after, most, to } => {
                let letter = |msg: &Arc<Message>| DeadLetter {
                    event: CloudEvent::of(msg, now, &self.source(), &self.names),
                    attempts: self.failed.get(&msg.id).copied().unwrap_or_default(),
                };
                let _ = to.send(self.dead.iter().skip(after).take(most).map(letter).collect());
            }
            Ask::Redeliver(to) => {
                let again = std::mem::take(&mut self.dead);
                let _ = to.send(again.len());
                for msg in again {
                    self.failed.remove(&msg.id);
                    self.publish(msg, false);
                }
            }
        }
    }

    /// It is owed still, and sent again later; after too many times only when somebody says so, or when the service starts again.
    fn not_taken(&mut self, event: Id) {
        debug!(sandbox = self.name, id = self.names.show_id(event), "event not taken");
        let failed = self.failed.entry(event).or_default();
        *failed += 1;
        if *failed < self.shared.config.webhook_attempts {
            return self.target.refused(self.clock.now(), event);
        }
        warn!(sandbox = self.name, id = self.names.show_id(event), attempts = *failed, "event put to the dead letters");
        count(&self.shared.counters.dead_letters);
        self.dead.extend(self.target.owed(event));
    }

    fn source(&self) -> String {
        format!("orderstorm/{}", self.name)
    }

    /// First to the disk, then out.
    async fn let_out(&mut self) {
        if let Some(journal) = &self.journal
            && journal.commit().await
        {
            count(&self.shared.counters.commits);
        }
        for outbound in std::mem::take(&mut self.out) {
            match outbound {
                Outbound::Reply { to, outcome, code, retry_after } => {
                    let Some(queue) = self.answers.get_mut(&to) else { continue };
                    let answer = queue.pop_front();
                    if queue.is_empty() {
                        self.answers.remove(&to);
                    }
                    debug!(sandbox = self.name, id = self.names.show_id(to), outcome = outcome.name(), code = code.name(), "answered");
                    // whoever asked may be gone
                    let _ = answer.map(|answer| answer.send((outcome, code, retry_after)));
                }
                Outbound::Call(msg) => self.call(msg),
                Outbound::Event(msg) => {
                    // one that is sent again stands in the list already
                    if !self.failed.contains_key(&msg.id) {
                        self.published.push_back(msg.clone());
                    }
                    if self.published.len() > EVENTS_KEPT {
                        self.published.pop_front();
                        self.forgotten += 1;
                    }
                    self.publish(msg, false);
                }
            }
        }
    }

    fn call(&mut self, msg: Arc<Message>) {
        count(&self.shared.counters.calls);
        self.log("call sent", &msg);
        self.open_calls += 1;
        let names = self.names.clone();
        let headers = wire::request_headers(&msg, &names);
        let body = serde_json::to_vec(&Payload::of(&msg, &names)).unwrap_or_default();
        let path = format!("/{}", msg.op.name().replacen('.', "/", 1));
        let (client, to_self) = (self.partners.clone(), self.to_self.clone());
        tokio::spawn(async move {
            let response = client.send(Request { method: Method::POST, path, headers, body }).await;
            let answer = answer_of(&msg, response, &names).map(Box::new);
            let _ = to_self.send(Ask::Answered(answer));
        });
    }

    fn publish(&mut self, msg: Arc<Message>, once_more: bool) {
        count(&self.shared.counters.events);
        self.log("event sent", &msg);
        self.open_events += 1;
        let event = CloudEvent::of(&msg, self.clock.now(), &self.source(), &self.names);
        let body = serde_json::to_vec(&event).unwrap_or_default();
        let mut headers = vec![("content-type", wire::CLOUD_EVENT.to_string()), (wire::TRACEPARENT, event.traceparent.clone())];
        if let Some(signature) = &self.signature {
            headers.extend(signature.headers(&event.id, self.clock.now(), &body));
        }
        let (client, to_self, id) = (self.webhook.clone(), self.to_self.clone(), msg.id);
        tokio::spawn(async move {
            let response = client.send(Request { method: Method::POST, path: String::new(), headers, body }).await;
            let taken = response.is_ok_and(|response| (200..300).contains(&response.status));
            let _ = to_self.send(Ask::Delivered { event: id, taken, once_more });
        });
    }

    /// Moves the clock, where nothing is under way that the harness does not know of.
    fn skip(&mut self) {
        for (skip, to) in std::mem::take(&mut self.skips) {
            let agreed = (skip.open_calls, skip.open_events) == (self.open_calls, self.open_events) && self.asks.is_empty();
            let skipped = super::skip(&self.clock, self.target.next_due(), skip.to_ns, agreed);
            if !skipped.busy && !skipped.idle {
                count(&self.shared.counters.skips);
            }
            trace!(sandbox = self.name, ?skip, ?skipped, "clock");
            let _ = to.send(skipped);
        }
    }
}

/// What a partner said, as the orchestrator hears it. Without an answer nobody knows, except where nobody took the connection.
fn answer_of(call: &Message, response: Result<Response, Failed>, names: &Names) -> Option<(Message, Outcome)> {
    let same = |code: Code| Message {
        key: call.key,
        corr: call.corr,
        cause: call.id,
        fulfillment: call.fulfillment,
        ret: call.ret,
        code,
        ..Message::of_order(call.op, call.id, call.order)
    };
    match response {
        // the status says that there is more to read, and it cannot be read: nobody knows
        Ok(response) if matches!(response.status, 200..=299 | 422) && !is_json(&response.body) => None,
        Ok(response) => {
            let replayed = response.header(wire::REPLAYED).is_some();
            let (outcome, code, wait, payload) = wire::read_answer(response.status, replayed, response.header(wire::RETRY_AFTER), &response.body);
            let said = payload.message(call.op, names).unwrap_or_else(|_| same(code));
            let qty = if outcome == Outcome::Backpressure { (wait.0 / 1_000_000_000) as i32 } else { said.qty };
            let Message { pay, node, sku, amount, lines, drift, .. } = said;
            Some((Message { pay, node, sku, amount, lines, drift, qty, ..same(code) }, outcome))
        }
        Err(Failed::Refused(_)) => Some((same(Code::None), Outcome::Refused)),
        Err(Failed::Malformed(_)) => Some((same(Code::Invalid), Outcome::Error)),
        Err(Failed::Broken(_) | Failed::TimedOut) => None,
    }
}

fn is_json(body: &[u8]) -> bool {
    body.is_empty() || serde_json::from_slice::<serde_json::Value>(body).is_ok()
}
