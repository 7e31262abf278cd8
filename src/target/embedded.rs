//! The reference orchestrator inside the simulation, behind a service model: workers, service time and a bounded queue, so that a
//! virtual flash sale queues and sheds like a real one. Where a case kills it, it keeps a log of what it has taken in, and starts from
//! that again.

use super::service_model::{Discipline, Lane, ServiceModel};
use super::{Inbound, Look, Outbound, Target};
use crate::model::{Class, Code, Fixture, Id, Message, Money, NodeId, OrderNo, Outcome, SkuId};
use crate::reference::{Defect, Effect, Input, Reference, Settings};
use crate::sim::{Calendar, Purpose, Sampler, Seed, Span, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

const SERVICE: Purpose = Purpose(800);

/// Ordered by content: by number of arrival. The place only finds what was worked on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Done(u64, u32),
    /// send an event again that the sink refused
    Resend(Id),
    /// what was taken in since the last time is stored: only defects put that off
    Store,
}

/// Defects put something off for so long that should come at once.
const TOO_LATE: Span = Span::from_millis(500);

/// One thing in the durable log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Logged {
    Input(Timestamp, Input),
    /// it did what was due by itself
    Woke(Timestamp),
    /// it started from this log
    Restarted(Timestamp),
    /// the sink has this event
    Taken(Id),
}

/// Where the durable log is kept. What is appended may be relied on once whoever owns the journal has stored it, and nothing that
/// follows from it may be let out before.
pub trait Journal: Send {
    fn append(&mut self, logged: Logged);
    /// Everything, in order.
    fn read(&self) -> Vec<Logged>;
}

/// In memory: as durable as the simulation that it belongs to.
impl Journal for Vec<Logged> {
    fn append(&mut self, logged: Logged) {
        self.push(logged);
    }
    fn read(&self) -> Vec<Logged> {
        self.clone()
    }
}

/// Number, when it came, what.
type Waiting = (u64, Timestamp, Inbound);

pub struct Embedded {
    make: Box<dyn Fn() -> Reference + Send>,
    core: Reference,
    model: ServiceModel,
    service: Sampler,
    defect: Option<Defect>,
    seed: Seed,
    arrived: u64,
    busy: usize,
    /// what is worked on, each at its place, and places that are free
    at_work: Vec<Option<Inbound>>,
    free: Vec<u32>,
    waiting: VecDeque<Waiting>,
    /// keys of which an order is at work or waits for a worker, and the orders that wait for that one
    locked: FxHashMap<SkuId, VecDeque<Waiting>>,
    /// how many those are
    held_up: usize,
    due: Calendar<Due>,
    /// published and not yet taken by the sink
    outbox: FxHashMap<Id, (Arc<Message>, u32)>,
    effects: Vec<Effect>,
    /// what survives a crash; not kept where there is none
    log: Option<Box<dyn Journal>>,
    /// not stored yet, and what waits for that: only defects leave anything here
    unstored: Vec<Logged>,
    held: Vec<Effect>,
}

impl Embedded {
    pub fn new(estate: Arc<Fixture>, settings: Settings, model: ServiceModel, defect: Option<Defect>, seed: Seed) -> Embedded {
        let make = move || Reference::new(estate.clone(), settings.clone(), defect, seed);
        Embedded {
            core: make(),
            make: Box::new(make),
            service: Sampler::new(model.service),
            model,
            defect,
            seed,
            arrived: 0,
            busy: 0,
            at_work: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            locked: FxHashMap::default(),
            held_up: 0,
            due: Calendar::new(),
            outbox: FxHashMap::default(),
            effects: Vec::new(),
            log: None,
            unstored: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Keeps what it takes in, so that it can be killed and started again. To be said before anything is delivered.
    pub fn durable(self) -> Embedded {
        self.keeping(Box::new(Vec::new()))
    }

    /// The same, in a journal of somebody else's. Where that has something in it already, [`Target::restart`] comes next.
    pub fn keeping(self, journal: Box<dyn Journal>) -> Embedded {
        Embedded { log: Some(journal), ..self }
    }

    /// Makes room for so many orders, where it is known how many will come.
    pub fn expecting(mut self, orders: u32) -> Embedded {
        self.core.make_room(orders);
        self
    }

    /// An event that was published and that nobody has taken.
    pub fn owed(&self, event: Id) -> Option<Arc<Message>> {
        self.outbox.get(&event).map(|(msg, _)| msg.clone())
    }

    fn start(&mut self, now: Timestamp, number: u64, inbound: Inbound) {
        self.busy += 1;
        let takes = self.service.sample(self.seed, SERVICE, number, 0);
        let place = self.free.pop().unwrap_or_else(|| {
            self.at_work.push(None);
            self.at_work.len() as u32 - 1
        });
        self.at_work[place as usize] = Some(inbound);
        self.due.push(now + self.model.lasts(now, takes), Due::Done(number, place));
    }

    /// A worker is free for whoever is next.
    fn start_next(&mut self, now: Timestamp) {
        let expires = self.model.expires;
        let stale = |since: Timestamp| expires.is_some_and(|most| now.since(since) > most);
        while let Some((number, since, inbound)) = match self.model.discipline {
            Discipline::Fifo => self.waiting.pop_front(),
            Discipline::Lifo => self.waiting.pop_back(),
        } {
            // answers to its own calls are never dropped: it asked for them
            if matches!(inbound, Inbound::Message(_)) && stale(since) {
                self.unlock(&inbound);
                continue;
            }
            return self.start(now, number, inbound);
        }
    }

    fn needs_a_worker(&self, inbound: &Inbound) -> bool {
        match self.model.lane {
            Lane::All => true,
            Lane::Commands | Lane::Keys => matches!(inbound, Inbound::Message(msg) if msg.op.class() == Class::Command),
        }
    }

    /// The key that an order locks, if keys are locked.
    fn key(&self, inbound: &Inbound) -> Option<SkuId> {
        let Inbound::Message(msg) = inbound else { return None };
        let body = msg.body.as_ref().filter(|_| self.model.lane == Lane::Keys)?;
        body.lines.first().map(|line| line.sku)
    }

    fn lock(&mut self, key: Option<SkuId>) {
        if let Some(key) = key {
            self.locked.insert(key, VecDeque::new());
        }
    }

    /// Whoever held a key has done with it: the next order for it may be worked on.
    fn unlock(&mut self, inbound: &Inbound) {
        let Some(key) = self.key(inbound) else { return };
        let next = self.locked.get_mut(&key).and_then(|orders| match self.model.discipline {
            Discipline::Fifo => orders.pop_front(),
            Discipline::Lifo => orders.pop_back(),
        });
        match next {
            Some(order) => {
                self.held_up -= 1;
                self.waiting.push_back(order);
            }
            None => drop(self.locked.remove(&key)),
        }
    }

    /// A defect that lets something out before it stores what caused it, where anything is stored at all.
    fn stores_late(&self) -> bool {
        self.log.is_some() && matches!(self.defect, Some(Defect::EventBeforeCommit | Defect::AcknowledgedBeforeStored))
    }

    fn store(&mut self, now: Timestamp, what: impl FnOnce() -> Logged) {
        let late = self.stores_late();
        let Some(log) = &mut self.log else { return };
        if !late {
            log.append(what());
            return;
        }
        if self.unstored.is_empty() {
            self.due.push(now + TOO_LATE, Due::Store);
        }
        self.unstored.push(what());
    }

    fn handle(&mut self, now: Timestamp, inbound: Inbound) {
        let input = match inbound {
            Inbound::Message(msg) => Input::Message(msg),
            Inbound::Answer { msg, outcome } => Input::Answer { msg, outcome },
        };
        // first to the log, then out: what it let out it will know again
        self.store(now, || Logged::Input(now, input.clone()));
        self.core.handle(now, input, &mut self.effects);
    }

    fn wake(&mut self, now: Timestamp) {
        if self.core.next_due() <= now {
            self.store(now, || Logged::Woke(now));
            self.core.wake(now, &mut self.effects);
        }
    }

    fn publish(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        if self.effects.is_empty() {
            return;
        }
        let late = self.stores_late();
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            let early = || match effect {
                Effect::Event(_) => self.defect == Some(Defect::EventBeforeCommit),
                Effect::Reply { .. } => self.defect == Some(Defect::AcknowledgedBeforeStored),
                Effect::Call(_) => false,
            };
            if late && !early() {
                self.held.push(effect);
            } else {
                self.let_out(now, effect, out);
            }
        }
        self.effects = effects;
    }

    #[inline(always)]
    fn let_out(&mut self, now: Timestamp, effect: Effect, out: &mut Vec<Outbound>) {
        out.push(match effect {
            Effect::Reply { to, outcome, code } => Outbound::Reply { to, outcome, code, retry_after: Span::ZERO },
            Effect::Call(msg) => Outbound::Call(msg),
            Effect::Event(msg) => {
                self.outbox.insert(msg.id, (msg.clone(), 0));
                if self.defect == Some(Defect::EventLostOnCrash) && self.log.is_some() {
                    // a task of its own will send it
                    self.due.push(now + TOO_LATE, Due::Resend(msg.id));
                    return;
                }
                Outbound::Event(msg)
            }
        });
    }

    /// An event goes out again as it was the first time.
    fn send_again(&mut self, event: Id) -> Option<Arc<Message>> {
        let (msg, tries) = self.outbox.get(&event)?;
        let (mut msg, tries) = (msg.clone(), *tries);
        if self.defect == Some(Defect::BodyRegeneratedOnRedelivery)
            && tries > 0
            && let Some((_, _, net)) = self.core.order_state(msg.order)
        {
            Arc::make_mut(&mut msg).amount = Money(net);
        }
        Some(msg)
    }
}

impl Target for Embedded {
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, out: &mut Vec<Outbound>) {
        self.arrived += 1;
        let number = self.arrived;
        if !self.needs_a_worker(&inbound) {
            self.handle(now, inbound);
            self.publish(now, out);
            return;
        }
        let key = self.key(&inbound);
        let locked = key.is_some_and(|key| self.locked.contains_key(&key));
        if self.busy < self.model.workers && !locked {
            self.lock(key);
            self.start(now, number, inbound);
        } else if let Inbound::Message(msg) = &inbound
            && self.waiting.len() + self.held_up >= self.model.queue
        {
            // answers to its own calls are never shed: it asked for them
            let outcome = if self.defect == Some(Defect::SilentDropWhenFull) { Outcome::Ok } else { Outcome::Backpressure };
            let code = if outcome == Outcome::Ok { Code::None } else { Code::QueueFull };
            out.push(Outbound::Reply { to: msg.id, outcome, code, retry_after: Span::ZERO });
        } else if let Some(orders) = key.and_then(|key| self.locked.get_mut(&key)) {
            self.held_up += 1;
            orders.push_back((number, now, inbound));
        } else {
            self.lock(key);
            self.waiting.push_back((number, now, inbound));
        }
    }

    fn next_due(&mut self) -> Timestamp {
        self.core.next_due().min(self.due.next_at().unwrap_or(Timestamp::NEVER))
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        while self.due.next_at().is_some_and(|at| at <= now) {
            match self.due.pop() {
                Some((_, Due::Done(_, place))) => {
                    self.busy -= 1;
                    self.free.push(place);
                    if let Some(inbound) = self.at_work[place as usize].take() {
                        self.unlock(&inbound);
                        self.handle(now, inbound);
                    }
                    self.start_next(now);
                }
                Some((_, Due::Resend(id))) => {
                    out.extend(self.send_again(id).map(Outbound::Event));
                }
                Some((_, Due::Store)) => {
                    let stored = std::mem::take(&mut self.unstored);
                    stored.into_iter().for_each(|logged| self.log.iter_mut().for_each(|log| log.append(logged.clone())));
                    for effect in std::mem::take(&mut self.held) {
                        self.let_out(now, effect, out);
                    }
                }
                None => break,
            }
            self.publish(now, out);
        }
        self.wake(now);
        self.publish(now, out);
    }

    fn acknowledged(&mut self, now: Timestamp, event: Id) {
        if self.outbox.remove(&event).is_some() {
            self.store(now, || Logged::Taken(event));
        }
    }

    fn refused(&mut self, now: Timestamp, event: Id) {
        if self.defect == Some(Defect::WebhookDroppedAfter500) {
            return self.acknowledged(now, event);
        }
        if let Some((_, tries)) = self.outbox.get_mut(&event) {
            let wait = Span::from_secs(1 << (*tries).min(8));
            *tries += 1;
            self.due.push(now + wait, Due::Resend(event));
        }
    }

    fn crash(&mut self) {
        self.core = (self.make)();
        self.busy = 0;
        self.at_work.clear();
        self.free.clear();
        self.waiting.clear();
        self.locked.clear();
        self.held_up = 0;
        self.due = Calendar::new();
        self.outbox.clear();
        self.unstored.clear();
        self.held.clear();
    }

    fn restart(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        // the same fold as the first time: what it let out then is not let out again
        for logged in self.log.as_ref().map_or(Vec::new(), |log| log.read()) {
            match logged {
                Logged::Input(at, input) => self.core.handle(at, input, &mut self.effects),
                Logged::Woke(at) => self.core.wake(at, &mut self.effects),
                Logged::Restarted(at) => self.core.restarted(at, &mut self.effects),
                Logged::Taken(event) => {
                    self.outbox.remove(&event);
                }
            }
            for effect in self.effects.drain(..) {
                if let Effect::Event(msg) = effect {
                    self.outbox.insert(msg.id, (msg, 0));
                }
            }
        }
        if self.defect == Some(Defect::EventLostOnCrash) {
            self.outbox.clear();
        }
        let mut owed: Vec<Arc<Message>> = self.outbox.values().map(|(msg, _)| msg.clone()).collect();
        owed.sort_unstable_by_key(|msg| msg.id);
        out.extend(owed.into_iter().map(Outbound::Event));
        self.store(now, || Logged::Restarted(now));
        self.core.restarted(now, &mut self.effects);
        // calls that hang are tried again when their time-outs are over, which they may be by now
        self.wake(now);
        self.publish(now, out);
    }

    fn order_state(&mut self, order: OrderNo) -> Look<(Code, i32, i64)> {
        self.core.order_state(order).map_or(Look::Unknown, Look::Is)
    }

    fn inventory(&mut self, node: NodeId, sku: SkuId, _at_rest: bool) -> Look<(i64, i64)> {
        Look::Is(self.core.inventory(node, sku))
    }
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
