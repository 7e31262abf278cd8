//! The reference orchestrator: a real, correct order orchestrator, written sans-IO as `handle(now, input) -> effects`.
//!
//! It is event-sourced by its inputs: state is a fold over the journal of inputs and time, and nothing else is read. The same
//! journal gives the same state and the same effects, so a shell that stores each input before it lets the effects out loses
//! nothing that it acknowledged, and there is no second code path for recovery that could disagree with the first.
//!
//! `defects` switch on bugs that were seen in real systems, one at a time, so that a judge can be proven.
//!
//! Rooms: `orders` (place, screen, allocate, cancel, complete), `nodes` (fulfillment callbacks), `money` (authorize, capture, void,
//! refund), `returns` (returns and exchanges), `calls` (retry, budget, dead letters), `stock` (what is on hand and promised),
//! `sourcing` (which node).

mod calls;
mod defects;
mod money;
mod nodes;
mod orders;
mod returns;
mod sourcing;
mod state;
mod stock;

pub use defects::{DEFECTS, Defect, DefectEntry};

use crate::model::{Class, Code, Fid, Fixture, Id, Lines, Message, NodeId, Op, Order, OrderNo, Outcome, SkuId};
use crate::sim::{Calendar, Seed, Span, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use state::{Oid, OrderState};
use std::collections::VecDeque;
use std::sync::Arc;

/// What goes in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Input {
    /// a command, feed or callback
    Message(Arc<Message>),
    /// the answer to one of its calls: `msg.key` is the call's key
    Answer { msg: Arc<Message>, outcome: Outcome },
}

/// What comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// the answer to message `to`
    Reply {
        to: Id,
        outcome: Outcome,
        code: Code,
    },
    Event(Arc<Message>),
    Call(Arc<Message>),
}

/// How it is set up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// a new order waits this long before it is released
    pub remorse_hold: Option<Span>,
    /// no answer to a call in this time: try again
    pub call_timeout: Span,
    /// first wait before a call is tried again; doubles up to `backoff_max`
    pub backoff: Span,
    pub backoff_max: Span,
    /// tries of one call before it is given up to the dead letters
    pub call_budget: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            remorse_hold: None,
            call_timeout: Span::from_secs(30),
            backoff: Span::from_secs(1),
            backoff_max: Span::from_mins(5),
            call_budget: 200,
        }
    }
}

impl Settings {
    /// What is a matter of networks and machines, and not of business, where business runs so many times faster.
    pub fn at_scale(self, scale: f64) -> Settings {
        let stretched = |span: Span| Span((span.0 as f64 * scale.max(1.0)) as u64);
        Settings { call_timeout: stretched(self.call_timeout), backoff: stretched(self.backoff), backoff_max: stretched(self.backoff_max), ..self }
    }
}

/// After a restart others have so long to repeat what nobody heard: longer than senders wait between two attempts, and shorter than
/// the time in which what is due must be done (`release_within_s`).
const PATIENCE: Span = Span::from_mins(10);

/// Something due by itself, with the event that set it where one did. Ordered by content, so that simultaneous timers fire in one order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    LateReserve(Oid, Id),
    LateRelease(Fid, Id),
    RulesReload,
    Remorse(Oid, Id),
    AcceptSla(Fid, Id),
    PickupHold(Fid, Id),
    CallTimeout(Id, u32),
    CallRetry(Id, u32),
}

/// The content of a command.
type Asked = (Op, OrderNo, Id, Code, Lines, Option<Arc<Order>>);

/// The orchestrator.
pub struct Reference {
    estate: Arc<Fixture>,
    settings: Settings,
    defect: Option<Defect>,
    orders: FxHashMap<Oid, OrderState>,
    stock: stock::Stock,
    backlog: sourcing::Backlog,
    rules: sourcing::Rules,
    /// picked and not reserved yet: only a defect leaves anything here
    late_picks: FxHashMap<Oid, Vec<sourcing::Pick>>,
    calls: FxHashMap<Id, calls::PendingCall>,
    /// callbacks about returns that nobody has requested yet
    parked: FxHashMap<Id, Vec<Message>>,
    seen_messages: FxHashMap<Id, ()>,
    /// what was first asked under a key; of PlaceOrder the order itself remembers
    asked: FxHashMap<Id, Asked>,
    timers: Calendar<Timer>,
    /// time-outs of calls, the next first: all take the same time, so a new one belongs at the end
    timeouts: VecDeque<(Timestamp, Timer)>,
    /// when the next of either is due
    due: Timestamp,
    /// no deadline of others runs out before: it was down, and whoever kept one could not say so
    patient_until: Timestamp,
    seed: Seed,
    next_id: u64,
    now: Timestamp,
    cause: Id,
    /// the order placed last, and its message: only a defect looks at it
    before: (OrderNo, Id),
    /// holds that are over and that nobody saw to: only a defect leaves any here
    overslept: Vec<(Oid, Id)>,
    out: Vec<Effect>,
}

impl Reference {
    pub fn new(estate: Arc<Fixture>, settings: Settings, defect: Option<Defect>, seed: Seed) -> Reference {
        let stock = stock::Stock::new(&estate, defect);
        let rules = sourcing::Rules::new(&estate);
        Reference {
            estate,
            settings,
            defect,
            orders: FxHashMap::default(),
            stock,
            backlog: sourcing::Backlog::default(),
            rules,
            late_picks: FxHashMap::default(),
            calls: FxHashMap::default(),
            parked: FxHashMap::default(),
            seen_messages: FxHashMap::default(),
            asked: FxHashMap::default(),
            timers: Calendar::new(),
            timeouts: VecDeque::new(),
            due: Timestamp::NEVER,
            patient_until: Timestamp::ZERO,
            seed,
            next_id: 0,
            now: Timestamp::ZERO,
            cause: Id::NONE,
            before: (OrderNo::NONE, Id::NONE),
            overslept: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Takes one input at `now`; what it causes is appended to `effects`.
    pub fn handle(&mut self, now: Timestamp, input: Input, effects: &mut Vec<Effect>) {
        self.now = now;
        match input {
            Input::Message(msg) => {
                self.oversleep();
                self.cause = msg.id;
                self.on_message(&msg);
                if msg.op == Op::PlaceOrder {
                    self.before = (msg.order, msg.id);
                }
            }
            Input::Answer { msg, outcome } => {
                self.cause = msg.id;
                self.on_answer(&msg, outcome);
            }
        }
        self.rest(effects);
    }

    /// When something is due by itself; [`Timestamp::NEVER`] if nothing is.
    pub fn next_due(&self) -> Timestamp {
        self.due
    }

    /// All is done for now: says what came of it, and when it is to be woken.
    fn rest(&mut self, effects: &mut Vec<Effect>) {
        if effects.is_empty() {
            std::mem::swap(effects, &mut self.out);
        } else {
            effects.append(&mut self.out);
        }
        let timeout = self.timeouts.front().map_or(Timestamp::NEVER, |(at, _)| *at);
        self.due = self.timers.next_at().map_or(timeout, |at| at.min(timeout));
    }

    /// Makes room for so many orders, where it is known how many will come.
    pub fn make_room(&mut self, orders: u32) {
        self.orders.reserve(orders as usize);
    }

    /// Takes out what is due by `now`, one after the other: by time, and at one moment in the order of timers.
    fn next_timer(&mut self, now: Timestamp) -> Option<Timer> {
        let Some((timeout_at, timeout)) = self.timeouts.front().copied().filter(|(at, _)| *at <= now) else {
            return self.timers.next_at().filter(|at| *at <= now).and_then(|_| self.timers.pop()).map(|(_, timer)| timer);
        };
        if self.timers.next_at().is_some_and(|at| at <= timeout_at)
            && let Some((at, timer)) = self.timers.pop()
        {
            if (at, timer) < (timeout_at, timeout) {
                return Some(timer);
            }
            self.timers.push(at, timer);
        }
        self.timeouts.pop_front();
        Some(timeout)
    }

    /// Does everything that is due at `now`.
    pub fn wake(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.now = now;
        while let Some(timer) = self.next_timer(now) {
            // most calls have their answer when their time is over
            if let Timer::CallTimeout(key, _) | Timer::CallRetry(key, _) = timer
                && !self.calls.contains_key(&key)
            {
                continue;
            }
            let deadline = matches!(timer, Timer::Remorse(..) | Timer::AcceptSla(..) | Timer::PickupHold(..));
            if deadline && now < self.patient_until {
                self.timers.push(self.patient_until, timer);
                continue;
            }
            // what a timer does names what started it: an event, or the attempt of a call
            self.cause = match timer {
                Timer::LateReserve(_, event)
                | Timer::LateRelease(_, event)
                | Timer::Remorse(_, event)
                | Timer::AcceptSla(_, event)
                | Timer::PickupHold(_, event) => event,
                Timer::RulesReload => Id::NONE,
                Timer::CallTimeout(key, _) | Timer::CallRetry(key, _) => self.attempt_of(key),
            };
            match timer {
                Timer::LateReserve(oid, _) => self.on_late_reserve(oid),
                Timer::LateRelease(fid, allocated) => self.on_late_release(fid, allocated),
                Timer::RulesReload => self.reload_rules(),
                Timer::Remorse(oid, event) if self.has(Defect::SlowReleaseAfterHold) => self.overslept.push((oid, event)),
                Timer::Remorse(oid, _) => self.on_remorse_over(oid),
                Timer::AcceptSla(fid, _) => self.on_accept_overdue(fid),
                Timer::PickupHold(fid, _) => self.on_pickup_overdue(fid),
                Timer::CallTimeout(key, attempt) => self.on_call_timeout(key, attempt),
                Timer::CallRetry(key, attempt) => self.on_call_retry(key, attempt),
            }
        }
        self.rest(effects);
    }

    /// Another command came under this one's key before.
    fn reuses_key(&mut self, msg: &Message) -> bool {
        if msg.op.class() != Class::Command || msg.op == Op::PlaceOrder {
            return false;
        }
        let asked = || (msg.op, msg.order, msg.ret, msg.code, msg.lines.clone(), msg.body.clone());
        *self.asked.entry(msg.key).or_insert_with(asked) != asked()
    }

    /// It was down, and has its journal behind it: from now on it is heard and hears again. To be put in the journal itself.
    pub fn restarted(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.now = now;
        self.cause = Id::NONE;
        self.patient_until = now + PATIENCE;
        self.forget_attempts();
        // a number that was given out and forgotten must not come to mean another thing
        self.next_id = ((self.next_id >> 24) + 1) << 24;
        if self.has(Defect::ReplayNotIdempotent) {
            self.reserve_again();
        }
        self.rest(effects);
    }

    /// What should have been done at the end of a hold, now that something else wakes us.
    fn oversleep(&mut self) {
        for (oid, event) in std::mem::take(&mut self.overslept) {
            self.cause = event;
            self.on_remorse_over(oid);
        }
    }

    fn on_message(&mut self, msg: &Message) {
        let (outcome, code) = match msg.op {
            _ if msg.drift && msg.order.is_some() && self.has(Defect::UnknownFieldPoisons) => (Outcome::Ok, Code::None),
            _ if self.reuses_key(msg) => (Outcome::Rejected, Code::KeyReuse),
            Op::PlaceOrder => self.place(msg),
            Op::CancelOrder => self.cancel(msg),
            Op::RequestReturn => self.request_return(msg),
            Op::RequestExchange => self.request_exchange(msg),
            Op::CancelReturn => self.cancel_return(msg),
            Op::UpsertNode => self.upsert_node(msg),
            Op::InventorySnapshot => self.apply_snapshot(msg),
            Op::InventoryDelta => self.apply_delta(msg),
            Op::InventorySupply => self.apply_supply(msg),
            Op::CbPaymentDecided => self.on_payment_decided(msg),
            Op::CbPaymentExpired => self.on_payment_expired(msg),
            Op::CbFraudDecided => self.on_fraud_decided(msg),
            Op::CbNodeReceived | Op::CbNodeInspected => self.on_return_callback(msg),
            op if op.class() == Class::Callback => self.on_node_callback(msg),
            _ => (Outcome::Rejected, Code::Invalid),
        };
        self.out.push(Effect::Reply { to: msg.id, outcome, code });
    }

    /// What it answers to `GetOrder`: (state, units still reserved, captured less refunded).
    pub fn order_state(&self, order: OrderNo) -> Option<(Code, i32, i64)> {
        let copies = self.copies(order);
        if copies == 0 {
            return None;
        }
        let all = (0..copies).filter_map(|copy| self.orders.get(&Oid::new(order, copy)));
        let mut state = Code::StateCompleted;
        let (mut reserved, mut net) = (0, 0);
        for order in all {
            reserved += order.units_held();
            let refunded = if self.has(Defect::StateQueryStale) { 0 } else { order.refunded.0 };
            net += order.captured.0 - refunded;
            if order.state_code() != Code::StateCompleted {
                state = order.state_code();
            }
        }
        Some((state, reserved, net))
    }

    /// What it answers to `GetInventory`: (on hand, reserved).
    pub fn inventory(&self, node: NodeId, sku: SkuId) -> (i64, i64) {
        let level = self.stock.level(node, sku);
        (level.on_hand, level.reserved)
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn fresh_id(&mut self) -> Id {
        self.next_id += 1;
        // odd ids are the target's, even ones the world's
        Id(self.next_id * 2 + 1)
    }

    /// How many internal orders stand for an external one.
    fn copies(&self, order: OrderNo) -> u64 {
        self.orders.get(&Oid::new(order, 0)).map_or(0, |first| first.copies)
    }

    /// The client's correlation id of an order.
    fn correlation(&self, oid: Oid) -> Id {
        self.orders.get(&oid).map_or(Id::NONE, |order| order.corr)
    }

    /// Publishes an event of an order; `fill` says what it is about. Returns its id.
    fn event(&mut self, oid: Oid, op: Op, fill: impl FnOnce(&mut Message)) -> Id {
        let order = oid.order();
        let first = Oid::new(order, 0);
        let Some(known) = self.orders.get_mut(&first) else { return Id::NONE };
        known.events += 1;
        let (seq, corr) = (known.events, known.corr);
        let corr = if oid == first { corr } else { self.correlation(oid) };
        let id = self.fresh_id();
        let mut msg = Message { seq, cause: self.cause, corr, ..Message::of_order(op, id, order) };
        fill(&mut msg);
        if self.has(Defect::CauseOfAnotherOrder) && op == Op::PaymentCaptured && order.0.is_multiple_of(3) && self.before.0 != order {
            msg.cause = self.before.1;
        }
        if self.has(Defect::CaptureAnnouncedTwice) && op == Op::PaymentCaptured {
            let again = Message { seq: seq + 1, id: self.fresh_id(), ..msg.clone() };
            if let Some(known) = self.orders.get_mut(&first) {
                known.events = seq + 1;
            }
            self.out.push(Effect::Event(again.into()));
        }
        if self.has(Defect::CapturedEventLost) && op == Op::PaymentCaptured && order.0 % 3 == 1 {
            // the transaction committed, the publish that followed it did not: nothing is sent, and the next event takes the number
            if let Some(known) = self.orders.get_mut(&first) {
                known.events -= 1;
            }
            return id;
        }
        if self.has(Defect::DeliveredEventLost) && op == Op::ShipmentDelivered {
            // here the number is used up: a gap is left
            return id;
        }
        self.out.push(Effect::Event(msg.into()));
        id
    }
}

#[cfg(test)]
mod tests;
