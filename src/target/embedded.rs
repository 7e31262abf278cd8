//! The reference orchestrator inside the simulation, behind a service model: workers, service time and a bounded queue, so that a
//! virtual flash sale queues and sheds like a real one. Where a case kills it, it keeps a log of what it has taken in, and starts from
//! that again.

use super::service_model::{Discipline, Lane, ServiceModel};
use super::{Inbound, Outbound, Target};
use crate::model::{Class, Code, Fixture, Id, Message, Money, NodeId, OrderNo, Outcome, SkuId};
use crate::reference::{Defect, Effect, Input, Reference, Settings};
use crate::sim::{Calendar, Purpose, Seed, Span, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

const SERVICE: Purpose = Purpose(800);

/// Ordered by content: by number of arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Done(u64),
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
    defect: Option<Defect>,
    seed: Seed,
    arrived: u64,
    busy: usize,
    at_work: FxHashMap<u64, Inbound>,
    waiting: VecDeque<Waiting>,
    /// keys of which an order is at work or waits for a worker, and the orders that wait for that one
    locked: FxHashMap<SkuId, VecDeque<Waiting>>,
    /// how many those are
    held_up: usize,
    due: Calendar<Due>,
    /// published and not yet taken by the sink
    outbox: FxHashMap<Id, (Message, u32)>,
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
            model,
            defect,
            seed,
            arrived: 0,
            busy: 0,
            at_work: FxHashMap::default(),
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

    /// An event that was published and that nobody has taken.
    pub fn owed(&self, event: Id) -> Option<Message> {
        self.outbox.get(&event).map(|(msg, _)| msg.clone())
    }

    fn start(&mut self, now: Timestamp, number: u64, inbound: Inbound) {
        self.busy += 1;
        let takes = self.model.service.sample(&mut self.seed.draw(SERVICE, number, 0));
        self.at_work.insert(number, inbound);
        self.due.push(now + self.model.lasts(now, takes), Due::Done(number));
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
        let late = self.stores_late();
        for effect in std::mem::take(&mut self.effects) {
            let early = match effect {
                Effect::Event(_) => self.defect == Some(Defect::EventBeforeCommit),
                Effect::Reply { .. } => self.defect == Some(Defect::AcknowledgedBeforeStored),
                Effect::Call(_) => false,
            };
            if late && !early {
                self.held.push(effect);
            } else {
                self.let_out(now, effect, out);
            }
        }
    }

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
    fn send_again(&mut self, event: Id) -> Option<Message> {
        let (msg, tries) = self.outbox.get(&event)?;
        let (mut msg, tries) = (msg.clone(), *tries);
        if self.defect == Some(Defect::BodyRegeneratedOnRedelivery)
            && tries > 0
            && let Some((_, _, net)) = self.core.order_state(msg.order)
        {
            msg.amount = Money(net);
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
            self.locked.extend(key.map(|key| (key, VecDeque::new())));
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
            self.locked.extend(key.map(|key| (key, VecDeque::new())));
            self.waiting.push_back((number, now, inbound));
        }
    }

    fn next_due(&mut self) -> Timestamp {
        self.core.next_due().min(self.due.next_at().unwrap_or(Timestamp::NEVER))
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        while self.due.next_at().is_some_and(|at| at <= now) {
            match self.due.pop() {
                Some((_, Due::Done(number))) => {
                    self.busy -= 1;
                    if let Some(inbound) = self.at_work.remove(&number) {
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
        let mut owed: Vec<Message> = self.outbox.values().map(|(msg, _)| msg.clone()).collect();
        owed.sort_unstable_by_key(|msg| msg.id);
        out.extend(owed.into_iter().map(Outbound::Event));
        self.store(now, || Logged::Restarted(now));
        self.core.restarted(now, &mut self.effects);
        // calls that hang are tried again when their time-outs are over, which they may be by now
        self.wake(now);
        self.publish(now, out);
    }

    fn order_state(&mut self, order: OrderNo) -> Option<(Code, i32, i64)> {
        self.core.order_state(order)
    }

    fn inventory(&mut self, node: NodeId, sku: SkuId) -> Option<(i64, i64)> {
        Some(self.core.inventory(node, sku))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LineNo, LineQty, NodeKind, Op, Order, OrderLine, Product, Region};

    fn target(defect: Option<Defect>) -> Embedded {
        let node = crate::model::Node {
            name: "DC1".into(),
            kind: NodeKind::Dc,
            region: Region::East,
            safety_stock: 0,
            capacity_per_day: 0,
            opens_h: 0,
            closes_h: 24,
            enabled: true,
        };
        let product = Product { name: "A".into(), price: Money(4000), backorderable: false };
        let estate = Arc::new(Fixture { nodes: vec![node], products: vec![product], ..Fixture::default() });
        Embedded::new(estate, Settings::default(), ServiceModel::default(), defect, Seed(1)).durable()
    }

    fn snapshot() -> Message {
        let mut msg = Message { node: NodeId(1), ..Message::new(Op::InventorySnapshot, Id(2)) };
        msg.lines.push(LineQty { sku: SkuId(1), qty: 5, seq: 1, ..LineQty::default() });
        msg
    }

    fn place() -> Message {
        let line = OrderLine { line: LineNo(1), sku: SkuId(1), qty: 2, unit_price: Money(4000), ..OrderLine::default() };
        let body = Some(Arc::new(Order { lines: vec![line], ..Order::default() }));
        Message { key: Id(256), body, ..Message::of_order(Op::PlaceOrder, Id(4), OrderNo(1)) }
    }

    /// Delivers at the second `at` and works for `ms` after that.
    fn work(target: &mut Embedded, at: u64, ms: u64, message: Option<Message>) -> Vec<Outbound> {
        let mut out = Vec::new();
        let start = Timestamp(Span::from_secs(at).0);
        if let Some(message) = message {
            target.deliver(start, Inbound::Message(message), &mut out);
        }
        while target.next_due() <= start + Span::from_millis(ms) {
            let due = target.next_due();
            target.poll(due, &mut out);
        }
        out
    }

    /// Events of the order.
    fn events(out: &[Outbound]) -> Vec<Message> {
        let event = |out: &Outbound| if let Outbound::Event(msg) = out { Some(msg.clone()) } else { None };
        out.iter().filter_map(event).filter(|msg| msg.order.is_some()).collect()
    }

    fn restart(target: &mut Embedded, at: u64) -> Vec<Outbound> {
        let mut out = Vec::new();
        target.crash();
        target.restart(Timestamp(Span::from_secs(at).0), &mut out);
        out
    }

    #[test]
    fn what_it_had_stored_is_there_again_and_what_the_sink_has_is_not_sent_again() {
        let mut target = target(None);
        work(&mut target, 0, 500, Some(snapshot()));
        let told = events(&work(&mut target, 1, 500, Some(place())));
        assert!(told.len() > 1 && told[0].op == Op::OrderAccepted);
        target.acknowledged(Timestamp::ZERO, told[0].id);
        let before = (target.order_state(OrderNo(1)), target.inventory(NodeId(1), SkuId(1)));
        assert_eq!(events(&restart(&mut target, 6)), told[1..], "the same ids with the same content");
        assert_eq!((target.order_state(OrderNo(1)), target.inventory(NodeId(1), SkuId(1))), before);
        assert_eq!(events(&restart(&mut target, 12)), told[1..], "as often as it falls");
    }

    #[test]
    fn orders_for_one_key_are_worked_on_one_after_another_and_others_beside_them() {
        let of = |number: u32, sku: u32| {
            let line = OrderLine { line: LineNo(1), sku: SkuId(sku), qty: 1, unit_price: Money(4000), ..OrderLine::default() };
            let body = Some(Arc::new(Order { lines: vec![line], ..Order::default() }));
            Message { key: Id(u64::from(number) * 256), body, ..Message::of_order(Op::PlaceOrder, Id(u64::from(number)), OrderNo(number)) }
        };
        // milliseconds after which each order has its answer
        let answered = |lane, workers, queue| {
            let mut target = target(None);
            target.model = ServiceModel { workers, queue, lane, service: crate::sim::Law::Const(Span::from_millis(10)), ..ServiceModel::default() };
            let mut out = Vec::new();
            for (number, sku) in [(1, 1), (2, 1), (3, 1), (4, 2)] {
                target.deliver(Timestamp::ZERO, Inbound::Message(of(number, sku)), &mut out);
            }
            let mut at: Vec<(u64, u64)> = Vec::new();
            for ms in 0..=50 {
                let now = Timestamp::ZERO + Span::from_millis(ms);
                if target.next_due() <= now {
                    target.poll(now, &mut out);
                }
                at.extend(out.drain(..).filter_map(|out| if let Outbound::Reply { to, .. } = out { Some((to.0, ms)) } else { None }));
            }
            at.sort_unstable();
            at
        };
        assert_eq!(answered(Lane::Commands, 8, 64), [(1, 10), (2, 10), (3, 10), (4, 10)]);
        assert_eq!(answered(Lane::Keys, 8, 64), [(1, 10), (2, 20), (3, 30), (4, 10)]);
        // a worker is not kept waiting by a key
        assert_eq!(answered(Lane::Keys, 1, 64).iter().map(|(_, ms)| *ms).max(), Some(40));
        // who waits for a key waits in the same queue: the third of them is turned away at once
        assert_eq!(answered(Lane::Keys, 8, 1), [(1, 10), (2, 20), (3, 0), (4, 10)]);
    }

    #[test]
    fn calls_that_hang_are_tried_again_under_their_keys() {
        let calls = |out: &[Outbound]| -> Vec<Id> {
            let mut keys: Vec<Id> = out.iter().filter_map(|out| if let Outbound::Call(msg) = out { Some(msg.key) } else { None }).collect();
            keys.sort_unstable();
            keys
        };
        let mut target = target(None);
        work(&mut target, 0, 500, Some(snapshot()));
        let asked = calls(&work(&mut target, 1, 500, Some(place())));
        assert!(!asked.is_empty());
        let mut again = restart(&mut target, 600);
        again.extend(work(&mut target, 600, 20_000, None));
        assert_eq!(calls(&again), asked);
        // whether the first attempts left it nobody knows, so no later one names them
        let causes = again.iter().filter_map(|out| if let Outbound::Call(msg) = out { Some(msg.cause) } else { None });
        assert!(causes.clone().count() > 0 && causes.into_iter().all(|cause| cause == place().id));
    }

    #[test]
    fn what_was_at_work_is_gone_and_was_never_told() {
        let mut target = target(None);
        work(&mut target, 0, 500, Some(snapshot()));
        assert_eq!(work(&mut target, 1, 0, Some(place())), [], "it takes a moment");
        restart(&mut target, 6);
        assert_eq!(work(&mut target, 6, 5_000, None), []);
        assert_eq!(target.order_state(OrderNo(1)), None);
    }

    #[test]
    fn a_refused_event_is_sent_again_as_it_was_until_it_is_taken() {
        let again = |defect| {
            let mut target = target(defect);
            work(&mut target, 0, 500, Some(snapshot()));
            let first = events(&work(&mut target, 1, 500, Some(place()))).remove(0);
            target.refused(Timestamp(Span::from_secs(2).0), first.id);
            let second = events(&work(&mut target, 2, 20_000, None));
            (first, second)
        };
        let (first, second) = again(None);
        assert_eq!(second, [first]);
        assert_eq!(again(Some(Defect::WebhookDroppedAfter500)).1, []);
        let (first, second) = again(Some(Defect::BodyRegeneratedOnRedelivery));
        assert!(second[0].id == first.id && second[0].amount != first.amount, "{second:?}");
    }

    #[test]
    fn defects_lose_in_a_crash_what_they_had_said_or_done() {
        let after_crash = |defect| {
            let mut target = target(Some(defect));
            work(&mut target, 0, 900, Some(snapshot()));
            let told = work(&mut target, 1, 300, Some(place()));
            let owed = restart(&mut target, 6);
            (told, events(&owed), target.order_state(OrderNo(1)).is_some())
        };
        let yes = |out: &[Outbound]| out.iter().any(|out| matches!(out, Outbound::Reply { outcome: Outcome::Ok, .. }));
        let (told, owed, known) = after_crash(Defect::AcknowledgedBeforeStored);
        assert!(yes(&told) && owed.is_empty() && !known);
        let (told, owed, known) = after_crash(Defect::EventBeforeCommit);
        assert!(!events(&told).is_empty() && !yes(&told) && owed.is_empty() && !known);
        let (told, owed, known) = after_crash(Defect::EventLostOnCrash);
        assert!(events(&told).is_empty() && owed.is_empty() && known);
        let (told, owed, known) = after_crash(Defect::ReplayNotIdempotent);
        let reserved = |events: &[Message]| events.iter().filter(|msg| msg.op == Op::InventoryReserved).count();
        assert!(known && reserved(&events(&told)) == 1 && reserved(&owed) == 2, "one of the first time, one of recovery");
    }
}
