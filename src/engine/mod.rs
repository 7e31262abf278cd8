//! One event loop for both clocks: it picks the next time, asks the clock, and moves messages between world and target through the
//! fault rules, writing down everything that is sent, heard, answered or done.
//!
//! Simultaneous items have one total order that follows from their content (class, entity, id), so neither the calendar's make nor
//! the number of threads can show in a result.

use crate::fault::{Fate, Link, Reply, Storm};
use crate::history::{Entry, Kind, Observer};
use crate::model::{Code, Id, LineQty, Message, Money, NodeId, Op, Order, OrderNo, Outcome, SkuId};
use crate::sim::{Calendar, Clock, Law, NoInbox, Purpose, Seed, Span, Timestamp, Wake};
use crate::target::{Inbound, Outbound, Target};
use crate::world::{Actions, Later, Send, World};
use rustc_hash::FxHashMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LINK_TIME: Purpose = Purpose(700);
/// How long a sender waits for an answer.
const SEND_TIMEOUT: Span = Span::from_secs(30);

/// Messages that are sent once more leave so far apart, and the target has so long to make something of them.
const REPLAY_APART: Span = Span::from_millis(100);
const REPLAY_LASTS: Span = Span::from_days(30);

/// One way through the network (assumed: a cloud region).
const LINK: Law = Law::LogNormal { p50: Span::from_millis(8), p95: Span::from_millis(30) };

/// Orders in time order: when each is due.
pub type Arrivals<'a> = Box<dyn Iterator<Item = (Timestamp, OrderNo, Arc<Order>)> + 'a>;

/// What a run is made of.
pub struct Engine<'a> {
    pub world: World,
    /// what the world does before anything else
    pub opening: Actions,
    pub storm: Storm,
    pub target: &'a mut dyn Target,
    pub clock: &'a mut dyn Clock,
    pub arrivals: Arrivals<'a>,
    pub seed: Seed,
    /// from when on no fault acts
    pub calm: Timestamp,
    /// at the latest the run is at rest here
    pub horizon: Timestamp,
    pub stop: &'a AtomicBool,
}

/// How a run went.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ran {
    pub entries: u64,
    /// turns of the loop: things that were due
    pub events: u64,
    /// stopped from outside before its end
    pub stopped: bool,
    /// how often each rule acted, in rule order
    pub fired: Vec<u64>,
    pub ended: Timestamp,
    /// the worst lateness that the clock admitted
    pub lag: Span,
}

/// Something under way.
enum Flight {
    Send(Send),
    /// a copy under a new id leaves
    Copy(Send),
    /// a message leaves once more, as rule `rule` wants it
    Again {
        rule: u16,
        send: Send,
    },
    Arrive(Message),
    Hear {
        send: Send,
        outcome: Outcome,
        code: Code,
        retry_after: Span,
    },
    CallArrives {
        call: Message,
        lost: bool,
    },
    AnswerArrives {
        msg: Message,
        outcome: Outcome,
    },
    EventArrives(Message),
    World(Later),
}

/// What the calendar holds. Ordered by class, entity and id; the slot only finds the body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    class: u8,
    entity: u64,
    id: u64,
    slot: u32,
}

struct Loop<'a, O: Observer> {
    world: World,
    storm: Storm,
    target: &'a mut dyn Target,
    observer: O,
    seed: Seed,
    calendar: Calendar<Item>,
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// messages of ours that wait for their answer; true where the answer will be lost
    pending: FxHashMap<Id, (Send, bool)>,
    now: Timestamp,
    n: u64,
    fired: Vec<u64>,
    calm_told: bool,
    /// what is to be sent once more at the end, and by which rule; kept only where there is such a rule
    log: Vec<(u16, Span, Send)>,
    replaying: bool,
    out: Vec<Outbound>,
}

impl<'a> Engine<'a> {
    /// Runs to rest, to the horizon, or until stopped; every entry goes to `observer` as it happens.
    pub fn run<O: Observer>(self, observer: O) -> Ran {
        let Engine { world, opening, storm, target, clock, arrivals, seed, calm, mut horizon, stop } = self;
        let mut arrivals: Peekable<Arrivals<'_>> = arrivals.peekable();
        let mut l = Loop {
            world,
            storm,
            target,
            observer,
            seed,
            calendar: Calendar::new(),
            slots: Vec::new(),
            free: Vec::new(),
            pending: FxHashMap::default(),
            now: Timestamp::ZERO,
            n: 0,
            fired: Vec::new(),
            calm_told: false,
            log: Vec::new(),
            replaying: false,
            out: Vec::new(),
        };
        l.act(opening, false);
        let mut orders: Vec<OrderNo> = Vec::new();
        let mut lag = Span::ZERO;
        let mut stopped = false;
        let mut turns = 0u64;
        loop {
            turns += 1;
            if turns.is_multiple_of(64) && stop.load(Ordering::Relaxed) {
                stopped = true;
                break;
            }
            let at_order = arrivals.peek().map_or(Timestamp::NEVER, |(at, _, _)| *at);
            let at_item = l.calendar.next_at().unwrap_or(Timestamp::NEVER);
            let at_target = l.target.next_due();
            let due = at_order.min(at_item).min(at_target);
            if due == Timestamp::NEVER && !l.log.is_empty() {
                l.rest(&orders);
                horizon = l.begin_replay();
                continue;
            }
            if due == Timestamp::NEVER || due > horizon {
                break;
            }
            if let Wake::Reached { lag: late } = clock.wait_until(due, &NoInbox) {
                lag = lag.max(late);
            }
            l.now = due.max(l.now);
            if !l.calm_told && l.now >= calm {
                l.mark(Op::MarkCalm);
                l.calm_told = true;
            }
            if at_order == due {
                if let Some((at, number, body)) = arrivals.next() {
                    orders.push(number);
                    let send = l.world.place_order(number, body, at);
                    l.dispatch(send, true);
                }
            } else if at_item == due {
                if let Some((_, item)) = l.calendar.pop() {
                    l.fly(item.slot);
                }
            } else {
                let mut out = std::mem::take(&mut l.out);
                l.target.poll(l.now, &mut out);
                l.heard(out);
            }
        }
        if stopped {
            l.mark(Op::MarkStopped);
        } else {
            l.rest(&orders);
        }
        Ran { entries: l.n, events: turns, stopped, fired: l.fired, ended: l.now, lag }
    }
}

impl<O: Observer> Loop<'_, O> {
    fn write(&mut self, kind: Kind, outcome: Outcome, due: Timestamp, msg: Message) {
        self.n += 1;
        self.observer.observe(&Entry { n: self.n, at: self.now, due, kind, outcome, msg });
    }

    fn mark(&mut self, op: Op) {
        self.write(Kind::Mark, Outcome::None, self.now, Message::new(op, Id::NONE));
    }

    fn later(&mut self, after: Span, class: u8, entity: u64, id: u64, flight: Flight) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(flight);
                slot
            }
            None => {
                self.slots.push(Some(flight));
                (self.slots.len() - 1) as u32
            }
        };
        self.calendar.push(self.now + after, Item { class, entity, id, slot });
    }

    fn later_msg(&mut self, after: Span, class: u8, entity: OrderNo, id: Id, flight: Flight) {
        self.later(after, class, entity.0.into(), id.0, flight);
    }

    /// How long a message is under way: the same for the same message, whatever else happens.
    fn link_time(&self, msg: &Message, leg: u32) -> Span {
        let entity = u64::from(msg.order.0) << 24 ^ msg.fulfillment.0 ^ msg.ret.0 ^ u64::from(msg.seq) << 40;
        LINK.sample(&mut self.seed.draw(LINK_TIME, entity, (msg.op as u32) << 8 | leg))
    }

    fn fly(&mut self, slot: u32) {
        let Some(flight) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.free.push(slot);
        match flight {
            Flight::Send(send) => self.dispatch(send, true),
            Flight::Again { rule, send } => {
                self.count_fault(rule);
                self.write(Kind::Sent, Outcome::None, self.now, send.msg.clone());
                let (order, id, link) = (send.msg.order, send.msg.id, self.link_time(&send.msg, 0));
                self.later_msg(link, 3, order, id, Flight::Arrive(send.msg.clone()));
                self.pending.insert(id, (send, false));
            }
            Flight::Copy(send) => {
                self.keep_for_replay(&send);
                self.write(Kind::Sent, Outcome::None, self.now, send.msg.clone());
                self.pending.insert(send.msg.id, (send.clone(), false));
                self.deliver(send.msg);
            }
            Flight::Arrive(msg) => self.deliver(msg),
            Flight::Hear { send, outcome, code, retry_after } => self.hear_reply(send, outcome, code, retry_after),
            Flight::CallArrives { call, lost } => self.call_arrives(call, lost),
            Flight::AnswerArrives { msg, outcome } => {
                let mut out = std::mem::take(&mut self.out);
                self.target.deliver(self.now, Inbound::Answer { msg, outcome }, &mut out);
                self.heard(out);
            }
            Flight::EventArrives(msg) => {
                self.target.acknowledged(msg.id);
                let mut actions = Actions::default();
                self.world.on_event(self.now, &msg, &mut actions);
                self.write(Kind::Event, Outcome::None, self.now, msg);
                self.act(actions, true);
            }
            Flight::World(what) => {
                let mut actions = Actions::default();
                self.world.on_due(self.now, what, &mut actions);
                self.act(actions, true);
            }
        }
    }

    /// Nothing is pending: what the target says of everything.
    fn rest(&mut self, orders: &[OrderNo]) {
        if !self.calm_told {
            self.mark(Op::MarkCalm);
            self.calm_told = true;
        }
        self.read_states(orders);
        self.mark(Op::MarkRest);
    }

    /// Everything that was sent goes out once more, each under its old id and key and in its old order; no rule acts on it. Gives the
    /// latest time at which the run is at rest again.
    fn begin_replay(&mut self) -> Timestamp {
        self.mark(Op::MarkReplay);
        self.storm.end();
        self.replaying = true;
        let mut last = Span::ZERO;
        for (i, (rule, delay, send)) in std::mem::take(&mut self.log).into_iter().enumerate() {
            last = delay + REPLAY_APART.saturating_mul(i as u64);
            // numbered, so that what leaves at one time leaves in its old order
            self.later(last, 9, i as u64, send.msg.id.0, Flight::Again { rule, send });
        }
        self.now + last + REPLAY_LASTS
    }

    fn keep_for_replay(&mut self, send: &Send) {
        if let Some((rule, delay)) = self.storm.replay_of(send.link, send.msg.op).filter(|_| !self.replaying) {
            self.log.push((rule, delay, send.clone()));
        }
    }

    /// Does what the world wants done: facts are written first, so that what follows from them follows in the record too.
    fn act(&mut self, actions: Actions, faults: bool) {
        for fact in actions.facts {
            self.write(Kind::Fact, Outcome::None, self.now, fact);
        }
        for send in actions.sends {
            if send.after > Span::ZERO {
                let (after, order, id) = (send.after, send.msg.order, send.msg.id);
                self.later_msg(after, 1, order, id, Flight::Send(send));
            } else {
                self.dispatch(send, faults);
            }
        }
        for (node, sku, after) in actions.asks {
            self.read_stock(node, sku, after);
        }
        for (after, what) in actions.later {
            self.later(after, 2, what.entity(), what.kind(), Flight::World(what));
        }
    }

    fn count_fault(&mut self, rule: u16) {
        let at = usize::from(rule) - 1;
        if self.fired.len() <= at {
            self.fired.resize(at + 1, 0);
        }
        self.fired[at] += 1;
    }

    fn fault(&mut self, fate: &Fate, msg: &Message) {
        self.count_fault(fate.rule);
        let note = Message {
            cause: msg.id,
            key: msg.key,
            fulfillment: msg.fulfillment,
            ret: msg.ret,
            node: msg.node,
            sku: msg.sku,
            seq: fate.rule.into(),
            ..Message::of_order(msg.op, Id::NONE, msg.order)
        };
        self.write(Kind::Fault, Outcome::None, self.now, note);
    }

    /// A message of the world leaves.
    fn dispatch(&mut self, send: Send, faults: bool) {
        self.write(Kind::Sent, Outcome::None, send.due.min(self.now), send.msg.clone());
        self.keep_for_replay(&send);
        let link = self.link_time(&send.msg, 0);
        let (order, id) = (send.msg.order, send.msg.id);
        let fate = if faults { self.storm.ask(self.now, send.link, &send.msg) } else { None };
        let Some(fate) = fate else {
            self.later_msg(link, 3, order, id, Flight::Arrive(send.msg.clone()));
            self.pending.insert(id, (send, false));
            return;
        };
        self.fault(&fate, &send.msg);
        for (at, delivery) in fate.deliveries.iter().enumerate() {
            let after = link + delivery.after;
            if delivery.new_id && at > 0 {
                let msg = self.world.copy_of(&send.msg);
                let id = msg.id;
                self.later_msg(after, 4, order, id, Flight::Copy(Send { msg, ..send.clone() }));
            } else {
                self.later_msg(after, 3, order, id, Flight::Arrive(send.msg.clone()));
            }
        }
        match fate.reply {
            Reply::Comes if fate.deliveries.is_empty() => {}
            Reply::Comes => {
                self.pending.insert(id, (send.clone(), false));
            }
            Reply::Lost => {
                self.pending.insert(id, (send.clone(), true));
                let heard = Flight::Hear { send: send.clone(), outcome: Outcome::TimedOut, code: Code::None, retry_after: Span::ZERO };
                self.later_msg(SEND_TIMEOUT, 5, order, id, heard);
            }
            Reply::Instead(outcome, retry_after) => {
                let code = if outcome == Outcome::Backpressure { Code::Throttled } else { Code::None };
                let heard = Flight::Hear { send: send.clone(), outcome, code, retry_after };
                self.later_msg(link, 5, order, id, heard);
            }
            Reply::SentAgain(after) => {
                let msg = self.world.copy_of(&send.msg);
                let id = msg.id;
                self.later_msg(after, 1, order, id, Flight::Send(Send { msg, ..send.clone() }));
            }
        }
        if let Some(wait) = fate.resync {
            let mut actions = Actions::default();
            self.world.resync(send.msg.node, wait, &mut actions);
            self.act(actions, true);
        }
    }

    fn deliver(&mut self, msg: Message) {
        let mut out = std::mem::take(&mut self.out);
        self.target.deliver(self.now, Inbound::Message(msg), &mut out);
        self.heard(out);
    }

    fn hear_reply(&mut self, send: Send, outcome: Outcome, code: Code, retry_after: Span) {
        if outcome == Outcome::TimedOut {
            // nobody waits for it any more
            self.pending.remove(&send.msg.id);
        }
        let msg = Message {
            key: send.msg.key,
            ret: send.msg.ret,
            node: send.msg.node,
            sku: send.msg.sku,
            seq: send.msg.seq,
            fulfillment: send.msg.fulfillment,
            code,
            ..Message::of_order(send.msg.op, send.msg.id, send.msg.order)
        };
        self.write(Kind::Reply, outcome, send.due.min(self.now), msg);
        if self.replaying {
            // whoever sent it had its answer long ago
            return;
        }
        let mut actions = Actions::default();
        self.world.on_reply(self.now, &send, outcome, code, retry_after, &mut actions);
        self.act(actions, true);
    }

    /// What the target said goes on its way.
    fn heard(&mut self, mut out: Vec<Outbound>) {
        for outbound in out.drain(..) {
            match outbound {
                Outbound::Reply { to, outcome, code } => {
                    let Some((send, lost)) = self.pending.remove(&to) else { continue };
                    if !lost {
                        let link = self.link_time(&send.msg, 1);
                        let (order, id) = (send.msg.order, send.msg.id);
                        self.later_msg(link, 5, order, id, Flight::Hear { send, outcome, code, retry_after: Span::ZERO });
                    }
                }
                Outbound::Call(call) => self.call_leaves(call),
                Outbound::Event(event) => self.event_leaves(event),
            }
        }
        self.out = out;
    }

    fn call_leaves(&mut self, call: Message) {
        let link = self.link_time(&call, 2);
        let (order, id) = (call.order, call.id);
        let Some(fate) = self.storm.ask(self.now, Link::Calls, &call) else {
            self.later_msg(link, 6, order, id, Flight::CallArrives { call, lost: false });
            return;
        };
        self.fault(&fate, &call);
        let lost = fate.reply == Reply::Lost;
        for (at, delivery) in fate.deliveries.iter().enumerate() {
            // the answer to a copy finds nobody who waits for it
            let arrives = Flight::CallArrives { call: call.clone(), lost: lost || at > 0 };
            self.later_msg(link + delivery.after, 6, order, id, arrives);
        }
        if let Reply::Instead(outcome, retry_after) = fate.reply {
            let seconds = (retry_after.0 / 1_000_000_000) as i32;
            let msg = Message { key: call.key, qty: seconds, ..Message::of_order(call.op, call.id, call.order) };
            self.later_msg(link, 7, order, id, Flight::AnswerArrives { msg, outcome });
        }
    }

    fn call_arrives(&mut self, call: Message, lost: bool) {
        self.write(Kind::Call, Outcome::None, self.now, call.clone());
        let mut actions = Actions::default();
        let (outcome, answer, takes) = self.world.on_call(self.now, &call, &mut actions);
        let (facts, rest) = (std::mem::take(&mut actions.facts), actions);
        self.act(Actions { facts, ..Actions::default() }, true);
        self.write(Kind::Answer, outcome, self.now, answer.clone());
        if !lost {
            let link = self.link_time(&answer, 3);
            let (order, id) = (answer.order, answer.id);
            self.later_msg(takes + link, 7, order, id, Flight::AnswerArrives { msg: answer, outcome });
        }
        self.act(rest, true);
    }

    fn event_leaves(&mut self, event: Message) {
        let link = self.link_time(&event, 4);
        let (order, id) = (event.order, event.id);
        let Some(fate) = self.storm.ask(self.now, Link::Events, &event) else {
            self.later_msg(link, 8, order, id, Flight::EventArrives(event));
            return;
        };
        self.fault(&fate, &event);
        if fate.deliveries.is_empty() {
            self.target.refused(self.now, id);
        }
        for delivery in &fate.deliveries {
            self.later_msg(link + delivery.after, 8, order, id, Flight::EventArrives(event.clone()));
        }
    }

    /// At rest: what the target says of every order and every stock level.
    fn read_states(&mut self, orders: &[OrderNo]) {
        for order in orders {
            let mut msg = Message::of_order(Op::GetOrder, Id::NONE, *order);
            match self.target.order_state(*order) {
                Some((code, held, net)) => (msg.code, msg.qty, msg.amount) = (code, held, Money(net)),
                None => msg.code = Code::UnknownOrder,
            }
            self.write(Kind::State, Outcome::Ok, self.now, msg);
        }
        for (node, sku) in self.world.stocked() {
            self.read_stock(node, sku, Id::NONE);
        }
    }

    /// `cause` is the feed message after which it is asked, or none at rest.
    fn read_stock(&mut self, node: NodeId, sku: SkuId, cause: Id) {
        let Some((on_hand, reserved)) = self.target.inventory(node, sku) else { return };
        let mut msg = Message { node, sku, cause, qty: on_hand as i32, ..Message::new(Op::GetInventory, Id::NONE) };
        msg.lines.push(LineQty { sku, qty: reserved as i32, ..LineQty::default() });
        self.write(Kind::State, Outcome::Ok, self.now, msg);
    }
}
