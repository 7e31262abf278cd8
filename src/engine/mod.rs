//! One event loop for both clocks: it picks the next time, asks the clock, and moves messages between world and target through the
//! fault rules, writing down everything that is sent, heard, answered or done.
//!
//! Simultaneous items have one total order that follows from their content (class, entity, id), so neither the calendar's make nor
//! the number of threads can show in a result.

mod outage;
mod traffic;
mod wait;

use crate::fault::{Acted, Crash, Link, Moment, Storm};
use crate::history::{Entry, Kind, Observer};
use crate::model::{Code, Harm, Id, LineQty, Message, Money, NodeId, Op, Order, OrderNo, Outcome, SkuId};
use crate::sim::{Calendar, Clock, Law, Paged, Purpose, Sampler, Seed, Span, Timestamp};
use crate::target::{Inbound, Look, Outbound, Target};
use crate::world::{Actions, Later, Send, Tried, World};
use rustc_hash::FxHashMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wait::{Wait, simulated};

const LINK_TIME: Purpose = Purpose(700);
/// How long a sender waits for an answer.
const SEND_TIMEOUT: Span = Span::from_secs(30);

/// Messages that are sent once more leave so far apart, and the target has so long to make something of them.
const REPLAY_APART: Span = Span::from_millis(100);
const REPLAY_LASTS: Span = Span::from_days(30);

/// At rest a target is asked for the states of so many orders at a time.
const ASKED_AT_ONCE: usize = 64;

/// One way through the network (assumed: a cloud region).
pub const LINK: Law = Law::LogNormal { p50: Span::from_millis(8), p95: Span::from_millis(30) };

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
    /// one way through the network, where it is not a real one
    pub link: Law,
    /// what is due within so long leaves together, at the end of it; zero: each at its time
    pub coalesce: Span,
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
    /// what the rules did, where the storm was to remember it
    pub acted: Vec<Acted>,
    pub ended: Timestamp,
    /// the worst lateness that the clock admitted
    pub lag: Span,
    /// what of its scenario came to be
    pub tried: Tried,
}

/// Something under way.
enum Flight {
    Send(Send),
    /// a copy under a new id leaves
    Copy(Send),
    /// another message under the same key leaves; a rule of this number makes it
    Conflict(Send, u32),
    /// a message leaves once more, as rule `rule` wants it
    Again {
        rule: u32,
        send: Send,
    },
    Arrive(Arc<Message>),
    /// it arrives harmed, by rule `rule`
    ArriveHarmed {
        msg: Arc<Message>,
        harm: Harm,
        rule: u32,
    },
    /// the answer to a message of ours, for whoever waits for it still
    Answered {
        to: Id,
        outcome: Outcome,
        code: Code,
        retry_after: Span,
    },
    Hear {
        send: Send,
        outcome: Outcome,
        code: Code,
        retry_after: Span,
    },
    CallArrives {
        call: Arc<Message>,
        lost: bool,
        /// the answer carries fields that the target does not know
        drift: bool,
        /// what becomes of the answer's body
        harm: Option<Harm>,
    },
    AnswerArrives {
        msg: Arc<Message>,
        outcome: Outcome,
        harm: Option<Harm>,
    },
    EventArrives {
        event: Arc<Message>,
        /// the target hears that it was taken
        heard: bool,
        /// what becomes of the answer's body
        harm: Option<Harm>,
    },
    /// the target hears that its event was taken
    EventTaken(Id),
    /// the target hears, or has waited long enough to believe, that its event was not taken
    EventFailed(Id),
    /// the target's call will have no answer
    Unanswered(Id),
    /// a client has waited long enough for the answer to this command
    GiveUp(Id),
    Crash {
        rule: u32,
        down: Span,
        by: Arc<Message>,
    },
    Pause {
        rule: u32,
        down: Span,
        by: Arc<Message>,
    },
    Resume {
        rule: u32,
        by: Arc<Message>,
    },
    Restart {
        rule: u32,
        by: Arc<Message>,
    },
    World(Later),
}

/// A message of ours that waits for its answer.
struct Waiting {
    send: Send,
    /// whoever sent it will not hear the answer, and gives up by itself
    lost: bool,
    /// the target has it
    delivered: bool,
    /// the answer to it is on its way
    answered: bool,
}

impl Waiting {
    fn is_stock_on_the_wire(&self) -> bool {
        self.send.link == Link::Feeds && self.delivered && !self.lost
    }
}

/// What the calendar holds. Ordered by class, entity and id; the slot only finds the body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    class: u8,
    entity: u64,
    id: u64,
    slot: u32,
}

impl Item {
    /// A reply, a call or an event of the target.
    fn came_in(self) -> bool {
        matches!(self.class, 5 | 6 | 8)
    }
}

struct Loop<'a, O: Observer> {
    world: World,
    storm: Storm,
    target: &'a mut dyn Target,
    observer: O,
    seed: Seed,
    link: Sampler,
    calendar: Calendar<Item>,
    slots: Paged<Option<Flight>>,
    free: Vec<u32>,
    pending: FxHashMap<Id, Waiting>,
    /// by key: the rule that sends another message under it once there is an answer, and how long after that
    conflicts: FxHashMap<Id, (u32, Span)>,
    /// messages that came in harmed and have no answer yet, and by which rule
    harmed: FxHashMap<Id, u32>,
    /// the target is down: it refuses connections, and hears nothing
    down: bool,
    /// until when the target stands still, if it does
    paused: Option<Timestamp>,
    /// what reached it meanwhile
    stalled: Vec<Flight>,
    now: Timestamp,
    /// when something was sent, or heard of the target, for the last time
    heard_at: Timestamp,
    n: u64,
    fired: Vec<u64>,
    calm_told: bool,
    /// what is to be sent once more at the end, and by which rule; kept only where there is such a rule
    log: Vec<(u32, Span, Send)>,
    replaying: bool,
    /// emptied and kept, so that saying or doing something takes no memory
    out: Vec<Outbound>,
    actions: Actions,
    /// what was noted down last
    noted: Option<Arc<Message>>,
    /// what is due within so long leaves together
    coalesce: Span,
}

impl<'a> Engine<'a> {
    /// Runs to rest, to the horizon, or until stopped; every entry goes to `observer` as it happens.
    pub fn run<O: Observer>(self, observer: O) -> Ran {
        let Engine { world, opening, storm, target, clock, arrivals, seed, calm, mut horizon, stop, link, coalesce } = self;
        let mut arrivals: Peekable<Arrivals<'_>> = arrivals.peekable();
        let mut l = Loop {
            world,
            storm,
            target,
            observer,
            seed,
            link: Sampler::new(link),
            calendar: Calendar::new(),
            slots: Paged::default(),
            free: Vec::new(),
            pending: FxHashMap::default(),
            conflicts: FxHashMap::default(),
            harmed: FxHashMap::default(),
            down: false,
            paused: None,
            stalled: Vec::new(),
            now: Timestamp::ZERO,
            heard_at: Timestamp::ZERO,
            n: 0,
            fired: Vec::new(),
            calm_told: false,
            log: Vec::new(),
            replaying: false,
            out: Vec::new(),
            actions: opening,
            noted: None,
            coalesce,
        };
        l.act(false);
        let mut orders: Vec<OrderNo> = Vec::new();
        let mut lag = Span::ZERO;
        let mut stopped = false;
        let mut turns = 0u64;
        let live = l.target.is_live();
        loop {
            turns += 1;
            let ends = || stop.load(Ordering::Relaxed);
            if live && (ends() || !l.down && l.target.is_gone()) || turns.is_multiple_of(64) && ends() {
                stopped = true;
                break;
            }
            // no shop opens before its stock is known, and on a real network that takes as long as it takes
            let opening = live && orders.is_empty() && l.pending.values().any(Waiting::is_stock_on_the_wire);
            let at_order = if opening { Timestamp::NEVER } else { arrivals.peek().map_or(Timestamp::NEVER, |(at, _, _)| l.leaves_at(*at)) };
            let at_item = l.calendar.next_at().unwrap_or(Timestamp::NEVER);
            let at_target = if l.down || l.stalls() { Timestamp::NEVER } else { l.target.next_due() };
            let due = at_order.min(at_item).min(at_target);
            let (wait, late) = if live { l.wait(clock, due, at_order, horizon) } else { simulated(clock, due, horizon) };
            match wait {
                Wait::Again => continue,
                Wait::Rest if due == Timestamp::NEVER && !l.log.is_empty() => {
                    l.now = if live { clock.now().max(l.now) } else { l.now };
                    l.rest(&orders);
                    horizon = l.begin_replay();
                    continue;
                }
                Wait::Rest => break,
                Wait::Due => {}
            }
            let item = if at_order != due && at_item == due { l.calendar.pop().map(|(_, item)| item) } else { None };
            // what came in has its stamp, whenever we see to it; what leaves, leaves now, be it late
            let came_in = item.map_or(at_order != due, Item::came_in);
            let now = if live && !came_in { clock.now() } else { due };
            if !came_in {
                lag = lag.max(late);
            }
            l.now = now.max(l.now);
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
            } else if let Some(item) = item {
                l.fly(item.slot);
            } else {
                l.target.poll(l.now, &mut l.out);
                l.heard();
            }
        }
        if live && l.paused.is_some() {
            // nobody is left standing
            l.target.resume();
        }
        if stopped {
            l.mark(Op::MarkStopped);
        } else {
            l.rest(&orders);
        }
        Ran { entries: l.n, events: turns, stopped, fired: l.fired, acted: l.storm.acted(), ended: l.now, lag, tried: l.world.tried() }
    }
}

impl<O: Observer> Loop<'_, O> {
    /// Gives the message back as it came.
    fn write(&mut self, kind: Kind, outcome: Outcome, due: Timestamp, msg: Arc<Message>) -> Arc<Message> {
        if self.storm.waits()
            && let Some(moment) = moment(kind, outcome)
            && let Some(Crash { rule, wait, down, pauses }) = self.storm.witness(self.now, moment, &msg)
        {
            let by = Arc::new(Message::of_order(msg.op, msg.id, msg.order));
            let flight = if pauses { Flight::Pause { rule, down, by } } else { Flight::Crash { rule, down, by } };
            self.later(wait, 0, rule.into(), 0, flight);
        }
        self.n += 1;
        self.heard_at = self.now;
        let entry = Entry { n: self.n, at: self.now, due, kind, outcome, msg };
        self.observer.observe(&entry);
        entry.msg
    }

    /// Writes down what goes no further than the record, in the memory of the last such message: it is at hand still.
    fn note_down(&mut self, kind: Kind, outcome: Outcome, due: Timestamp, msg: Message) {
        let msg = match self.noted.take() {
            Some(mut noted) => match Arc::get_mut(&mut noted) {
                Some(last) => {
                    *last = msg;
                    noted
                }
                // somebody kept it
                None => msg.into(),
            },
            None => msg.into(),
        };
        self.noted = Some(self.write(kind, outcome, due, msg));
    }

    fn mark(&mut self, op: Op) {
        self.note_down(Kind::Mark, Outcome::None, self.now, Message::new(op, Id::NONE));
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
        let (at, item) = (self.now + after, Item { class, entity, id, slot });
        let at = if after == Span::ZERO || item.came_in() { at } else { self.leaves_at(at) };
        self.calendar.push(at, item);
    }

    /// When what is due then leaves: with all that is due in its quantum, at the end of that.
    fn leaves_at(&self, due: Timestamp) -> Timestamp {
        if self.coalesce == Span::ZERO { due } else { Timestamp(due.0.checked_next_multiple_of(self.coalesce.0).unwrap_or(due.0)) }
    }

    fn later_msg(&mut self, after: Span, class: u8, entity: OrderNo, id: Id, flight: Flight) {
        self.later(after, class, entity.0.into(), id.0, flight);
    }

    /// How long a message of ours, or the answer to it, is under way. Whoever sends again does not meet the same network.
    fn link_time_of(&self, send: &Send, leg: u32) -> Span {
        self.link_time_from(u64::from(send.attempt) << 52, &send.msg, leg)
    }

    fn link_time(&self, msg: &Message, leg: u32) -> Span {
        self.link_time_from(0, msg, leg)
    }

    /// How long a message is under way: the same for the same message, whatever else happens.
    fn link_time_from(&self, attempt: u64, msg: &Message, leg: u32) -> Span {
        if self.target.is_live() {
            // there is a network, and it takes its time
            return Span::ZERO;
        }
        let entity = attempt ^ u64::from(msg.order.0) << 24 ^ msg.fulfillment.0 ^ msg.ret.0 ^ u64::from(msg.seq) << 40;
        self.link.sample(self.seed, LINK_TIME, entity, (msg.op as u32) << 8 | leg)
    }

    fn fly(&mut self, slot: u32) {
        let Some(flight) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.free.push(slot);
        self.perform(flight);
    }

    fn perform(&mut self, flight: Flight) {
        use Flight as F;
        let reaches = matches!(
            flight,
            F::Arrive(_) | F::ArriveHarmed { .. } | F::AnswerArrives { .. } | F::Unanswered(_) | F::EventTaken(_) | F::EventFailed(_)
        );
        if reaches && self.stalls() {
            return self.stall(flight);
        }
        match flight {
            Flight::Send(send) => self.dispatch(send, true),
            Flight::Again { rule, mut send } => {
                self.fired(rule);
                send.msg = self.write(Kind::Sent, Outcome::None, self.now, send.msg);
                let (order, id, link) = (send.msg.order, send.msg.id, self.link_time_of(&send, 0));
                self.later_msg(link, 3, order, id, Flight::Arrive(send.msg.clone()));
                self.wait_for(send, false);
            }
            Flight::Copy(mut send) => {
                self.keep_for_replay(&send);
                send.msg = self.write(Kind::Sent, Outcome::None, self.now, send.msg);
                self.wait_for(send.clone(), false);
                self.deliver(send.msg, None);
            }
            Flight::Conflict(mut send, rule) => {
                send.msg = self.write(Kind::Sent, Outcome::None, self.now, send.msg);
                self.fault(rule, &send.msg);
                let (link, order, id) = (self.link_time_of(&send, 0), send.msg.order, send.msg.id);
                self.later_msg(link, 3, order, id, Flight::Arrive(send.msg.clone()));
                self.wait_for(send, false);
            }
            Flight::Arrive(msg) => self.deliver(msg, None),
            Flight::ArriveHarmed { msg, harm, rule } => {
                if !self.down && !matches!(harm, Harm::Slow(_)) {
                    self.harmed.insert(msg.id, rule);
                }
                self.deliver(msg, Some(harm));
            }
            Flight::Answered { to, outcome, code, retry_after } => {
                if let Some(Waiting { send, .. }) = self.pending.remove(&to) {
                    self.hear_reply(send, outcome, code, retry_after);
                }
            }
            Flight::Hear { send, outcome, code, retry_after } => self.hear_reply(send, outcome, code, retry_after),
            Flight::CallArrives { call, lost, drift, harm } => self.call_arrives(call, lost, drift, harm),
            // the connection that it would have come by is gone
            Flight::AnswerArrives { .. } if self.down => {}
            Flight::AnswerArrives { msg, outcome, harm: Some(harm) } => self.target.answer_harmed(self.now, msg, outcome, harm),
            Flight::AnswerArrives { msg, outcome, harm: None } => {
                self.target.deliver(self.now, Inbound::Answer { msg, outcome }, &mut self.out);
                self.heard();
            }
            Flight::EventArrives { event, heard, harm } => {
                match harm {
                    Some(Harm::Reset) if self.stalls() => self.stall(Flight::EventFailed(event.id)),
                    _ if heard && self.stalls() => self.stall(Flight::EventTaken(event.id)),
                    Some(harm) if !self.down => self.target.acknowledge_harmed(self.now, event.id, harm),
                    None if heard && !self.down => self.target.acknowledged(self.now, event.id),
                    _ => {}
                }
                self.world.on_event(self.now, &event, &mut self.actions);
                self.write(Kind::Event, Outcome::None, self.now, event);
                self.act(true);
            }
            Flight::EventTaken(id) => {
                if !self.down {
                    self.target.acknowledged(self.now, id);
                }
            }
            Flight::Unanswered(call) => self.target.unanswered(call),
            Flight::GiveUp(id) => {
                if let Some(Waiting { send, .. }) = self.pending.remove(&id) {
                    self.hear_reply(send, Outcome::TimedOut, Code::None, Span::ZERO);
                }
            }
            Flight::EventFailed(id) => {
                if !self.down {
                    self.target.refused(self.now, id);
                }
            }
            Flight::Crash { rule, down, by } => self.crash(rule, down, by),
            Flight::Pause { rule, down, by } => self.pause(rule, down, by),
            Flight::Resume { rule, by } => {
                self.note(rule, Op::TargetResumed, &by);
                self.paused = None;
                self.target.resume();
                std::mem::take(&mut self.stalled).into_iter().for_each(|flight| self.perform(flight));
            }
            Flight::Restart { rule, by } => {
                self.note(rule, Op::TargetRestarted, &by);
                self.down = false;
                self.target.restart(self.now, &mut self.out);
                self.heard();
            }
            Flight::World(what) => {
                self.world.on_due(self.now, what, &mut self.actions);
                self.act(true);
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
    fn act(&mut self, faults: bool) {
        self.state();
        if !self.actions.sends.is_empty() {
            let mut sends = std::mem::take(&mut self.actions.sends);
            for send in sends.drain(..) {
                // what came in was stamped before now, and what follows from it leaves now
                if send.after > Span::ZERO || self.target.is_live() && faults {
                    let (after, order, id) = (send.after, send.msg.order, send.msg.id);
                    self.later_msg(after, 1, order, id, Flight::Send(send));
                } else {
                    self.dispatch(send, faults);
                }
            }
            self.actions.sends = sends;
        }
        for i in 0..self.actions.asks.len() {
            let (node, sku, after) = self.actions.asks[i];
            self.read_stock(node, sku, after);
        }
        self.actions.asks.clear();
        for i in 0..self.actions.later.len() {
            let (after, what) = self.actions.later[i];
            self.later(after, 2, what.entity(), what.kind(), Flight::World(what));
        }
        self.actions.later.clear();
    }

    /// Writes down what the partners did.
    fn state(&mut self) {
        if !self.actions.facts.is_empty() {
            let mut facts = std::mem::take(&mut self.actions.facts);
            for fact in facts.drain(..) {
                self.note_down(Kind::Fact, Outcome::None, self.now, fact);
            }
            self.actions.facts = facts;
        }
    }

    fn fired(&mut self, rule: u32) {
        let at = rule as usize - 1;
        if self.fired.len() <= at {
            self.fired.resize(at + 1, 0);
        }
        self.fired[at] += 1;
    }

    /// What a rule did to the target itself, set off by message `by`.
    fn note(&mut self, rule: u32, op: Op, by: &Message) {
        let note = Message { cause: by.id, seq: rule, ..Message::of_order(op, Id::NONE, by.order) };
        self.note_down(Kind::Fault, Outcome::None, self.now, note);
    }

    fn fault(&mut self, rule: u32, msg: &Message) {
        self.fired(rule);
        let note = Message {
            cause: msg.id,
            key: msg.key,
            fulfillment: msg.fulfillment,
            ret: msg.ret,
            node: msg.node,
            sku: msg.sku,
            seq: rule,
            ..Message::of_order(msg.op, Id::NONE, msg.order)
        };
        self.note_down(Kind::Fault, Outcome::None, self.now, note);
    }

    /// At rest: what the target says of every order and every stock level.
    fn read_states(&mut self, orders: &[OrderNo]) {
        let asked = if self.target.tells_states() { orders } else { &[] };
        for some in asked.chunks(ASKED_AT_ONCE) {
            let states = self.target.order_states(some);
            for (order, state) in some.iter().zip(states) {
                let mut msg = Message::of_order(Op::GetOrder, Id::NONE, *order);
                let outcome = match state {
                    Look::Is((code, held, net)) => {
                        (msg.code, msg.qty, msg.amount) = (code, held, Money(net));
                        Outcome::Ok
                    }
                    Look::Unknown => {
                        msg.code = Code::UnknownOrder;
                        Outcome::Ok
                    }
                    Look::Silent => Outcome::TimedOut,
                };
                self.note_down(Kind::State, outcome, self.now, msg);
            }
        }
        for (node, sku) in self.world.stocked() {
            self.read_stock(node, sku, Id::NONE);
        }
    }

    /// `cause` is the feed message after which it is asked, or none at rest.
    fn read_stock(&mut self, node: NodeId, sku: SkuId, cause: Id) {
        if self.down || self.paused.is_some() {
            // nobody answers
            return;
        }
        let at_rest = cause.is_none();
        let mut msg = Message { node, sku, cause, ..Message::new(Op::GetInventory, Id::NONE) };
        let outcome = match self.target.inventory(node, sku, at_rest) {
            Look::Is((on_hand, reserved)) => {
                msg.qty = on_hand as i32;
                msg.lines.push(LineQty { sku, qty: reserved as i32, ..LineQty::default() });
                Outcome::Ok
            }
            // in the middle of things nobody waits for it; at rest it was told of the shelf, and asked more than once
            Look::Unknown | Look::Silent if !at_rest || !self.target.tells_stock() => return,
            Look::Unknown | Look::Silent => Outcome::TimedOut,
        };
        self.note_down(Kind::State, outcome, self.now, msg);
    }
}

/// The sort of thing that may set a rule off. Of answers only those that say something for certain.
fn moment(kind: Kind, outcome: Outcome) -> Option<Moment> {
    match kind {
        Kind::Sent => Some(Moment::Sent),
        Kind::Reply => is_definite(outcome).then_some(Moment::Reply),
        Kind::Call => Some(Moment::Call),
        Kind::Event => Some(Moment::Event),
        Kind::Fact => Some(Moment::Fact),
        Kind::Answer | Kind::Fault | Kind::State | Kind::Mark => None,
    }
}

fn is_definite(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected)
}
