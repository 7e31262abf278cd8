//! One event loop for both clocks: it picks the next time, asks the clock, and moves messages between world and target through the
//! fault rules, writing down everything that is sent, heard, answered or done.
//!
//! Simultaneous items have one total order that follows from their content (class, entity, id), so neither the calendar's make nor
//! the number of threads can show in a result.

use crate::fault::{Acted, Crash, Link, Moment, Reply, Storm};
use crate::history::{Entry, Kind, Observer};
use crate::model::{Code, Harm, Id, LineQty, Message, Money, NodeId, Op, Order, OrderNo, Outcome, SkuId};
use crate::sim::{Calendar, Clock, Law, NoInbox, Purpose, Seed, Span, Timestamp, Wake};
use crate::target::{Inbound, Outbound, Skip, Target};
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

/// Where the next order is due so soon, orders come as load, and time passes as it does.
const LOAD: Span = Span::from_secs(1);
/// With a live target: how long until it is asked again whether anything is under way, and the longest single wait.
const BUSY: Span = Span::from_millis(1);
const MOMENT: Span = Span::from_millis(200);

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
    /// what the rules did, where the storm was to remember it
    pub acted: Vec<Acted>,
    pub ended: Timestamp,
    /// the worst lateness that the clock admitted
    pub lag: Span,
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
    Arrive(Message),
    /// it arrives harmed, by rule `rule`
    ArriveHarmed {
        msg: Message,
        harm: Harm,
        rule: u32,
    },
    Hear {
        send: Send,
        outcome: Outcome,
        code: Code,
        retry_after: Span,
    },
    CallArrives {
        call: Message,
        lost: bool,
        /// the answer carries fields that the target does not know
        drift: bool,
        /// what becomes of the answer's body
        harm: Option<Harm>,
    },
    AnswerArrives {
        msg: Message,
        outcome: Outcome,
        harm: Option<Harm>,
    },
    EventArrives {
        event: Message,
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
    Crash {
        rule: u32,
        down: Span,
        by: Message,
    },
    Pause {
        rule: u32,
        down: Span,
        by: Message,
    },
    Resume {
        rule: u32,
        by: Message,
    },
    Restart {
        rule: u32,
        by: Message,
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

struct Loop<'a, O: Observer> {
    world: World,
    storm: Storm,
    target: &'a mut dyn Target,
    observer: O,
    seed: Seed,
    calendar: Calendar<Item>,
    slots: Vec<Option<Flight>>,
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
        };
        l.act(opening, false);
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
            let at_order = if opening { Timestamp::NEVER } else { arrivals.peek().map_or(Timestamp::NEVER, |(at, _, _)| *at) };
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
            // what came in has its stamp; what leaves, leaves now, be it late
            let now = if live && due != at_target { clock.now() } else { due };
            if due != at_target {
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
        if live && l.paused.is_some() {
            // nobody is left standing
            l.target.resume();
        }
        if stopped {
            l.mark(Op::MarkStopped);
        } else {
            l.rest(&orders);
        }
        Ran { entries: l.n, events: turns, stopped, fired: l.fired, acted: l.storm.acted(), ended: l.now, lag }
    }
}

/// How a wait ended.
enum Wait {
    /// what is due may be done
    Due,
    /// something changed: look again
    Again,
    /// nothing is to come any more
    Rest,
}

/// In virtual time: there at once.
fn simulated(clock: &mut dyn Clock, due: Timestamp, horizon: Timestamp) -> (Wait, Span) {
    if due == Timestamp::NEVER || due > horizon {
        return (Wait::Rest, Span::ZERO);
    }
    match clock.wait_until(due, &NoInbox) {
        Wake::Reached { lag } => (Wait::Due, lag),
        Wake::Heard => (Wait::Again, Span::ZERO),
    }
}

impl<O: Observer> Loop<'_, O> {
    /// Waits for what is due with a target whose time passes by itself, at most a moment at a time. Where both ends agree that
    /// nothing is under way, time is skipped.
    fn wait(&mut self, clock: &mut dyn Clock, due: Timestamp, at_order: Timestamp, horizon: Timestamp) -> (Wait, Span) {
        let now = clock.now();
        if due <= now && due <= horizon {
            return (Wait::Due, now.since(due));
        }
        let nothing = due == Timestamp::NEVER || due > horizon;
        let quiet = self.heard_at + self.target.patience();
        if self.down && !nothing {
            // nobody is there to be asked, or to say anything
            clock.skip(due);
            return (Wait::Again, Span::ZERO);
        }
        // load is offered at its own rate: nobody may hurry from one order to the next
        let under_load = at_order.since(now) < LOAD;
        // nobody who stands still can be asked
        let until = match if under_load || self.paused.is_some() { Skip::Unable } else { self.target.skip((!nothing).then_some(due)) } {
            Skip::To(time) => {
                clock.skip(time);
                return (if time > horizon { Wait::Rest } else { Wait::Again }, Span::ZERO);
            }
            Skip::Idle => return (Wait::Rest, Span::ZERO),
            Skip::Busy => now + BUSY,
            Skip::Unable if nothing && now >= quiet.min(horizon) => return (Wait::Rest, Span::ZERO),
            Skip::Unable => {
                if nothing {
                    quiet
                } else {
                    due
                }
            }
        };
        // not longer, so that a stop is noticed
        match clock.wait_until(until.min(now + MOMENT), self.target.inbox()) {
            Wake::Reached { lag } if due <= clock.now() && due <= horizon => (Wait::Due, lag),
            _ => (Wait::Again, Span::ZERO),
        }
    }

    fn write(&mut self, kind: Kind, outcome: Outcome, due: Timestamp, msg: Message) {
        if let Some(moment) = moment(kind, outcome)
            && let Some(Crash { rule, wait, down, pauses }) = self.storm.witness(self.now, moment, &msg)
        {
            let by = Message::of_order(msg.op, msg.id, msg.order);
            let flight = if pauses { Flight::Pause { rule, down, by } } else { Flight::Crash { rule, down, by } };
            self.later(wait, 0, rule.into(), 0, flight);
        }
        self.n += 1;
        self.heard_at = self.now;
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
        if self.target.is_live() {
            // there is a network, and it takes its time
            return Span::ZERO;
        }
        let entity = u64::from(msg.order.0) << 24 ^ msg.fulfillment.0 ^ msg.ret.0 ^ u64::from(msg.seq) << 40;
        LINK.sample(&mut self.seed.draw(LINK_TIME, entity, (msg.op as u32) << 8 | leg))
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
            Flight::Again { rule, send } => {
                self.fired(rule);
                self.write(Kind::Sent, Outcome::None, self.now, send.msg.clone());
                let (order, id, link) = (send.msg.order, send.msg.id, self.link_time(&send.msg, 0));
                self.later_msg(link, 3, order, id, Flight::Arrive(send.msg.clone()));
                self.wait_for(send, false);
            }
            Flight::Copy(send) => {
                self.keep_for_replay(&send);
                self.write(Kind::Sent, Outcome::None, self.now, send.msg.clone());
                self.wait_for(send.clone(), false);
                self.deliver(send.msg, None);
            }
            Flight::Conflict(send, rule) => {
                self.write(Kind::Sent, Outcome::None, self.now, send.msg.clone());
                self.fault(rule, &send.msg);
                let (link, order, id) = (self.link_time(&send.msg, 0), send.msg.order, send.msg.id);
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
            Flight::Hear { send, outcome, code, retry_after } => self.hear_reply(send, outcome, code, retry_after),
            Flight::CallArrives { call, lost, drift, harm } => self.call_arrives(call, lost, drift, harm),
            // the connection that it would have come by is gone
            Flight::AnswerArrives { .. } if self.down => {}
            Flight::AnswerArrives { msg, outcome, harm: Some(harm) } => self.target.answer_harmed(self.now, msg, outcome, harm),
            Flight::AnswerArrives { msg, outcome, harm: None } => {
                let mut out = std::mem::take(&mut self.out);
                self.target.deliver(self.now, Inbound::Answer { msg, outcome }, &mut out);
                self.heard(out);
            }
            Flight::EventArrives { event, heard, harm } => {
                match harm {
                    Some(Harm::Reset) if self.stalls() => self.stall(Flight::EventFailed(event.id)),
                    _ if heard && self.stalls() => self.stall(Flight::EventTaken(event.id)),
                    Some(harm) if !self.down => self.target.acknowledge_harmed(self.now, event.id, harm),
                    None if heard && !self.down => self.target.acknowledged(self.now, event.id),
                    _ => {}
                }
                let mut actions = Actions::default();
                self.world.on_event(self.now, &event, &mut actions);
                self.write(Kind::Event, Outcome::None, self.now, event);
                self.act(actions, true);
            }
            Flight::EventTaken(id) => {
                if !self.down {
                    self.target.acknowledged(self.now, id);
                }
            }
            Flight::Unanswered(call) => self.target.unanswered(call),
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
                let mut out = std::mem::take(&mut self.out);
                self.target.restart(self.now, &mut out);
                self.heard(out);
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

    /// Kills the target. What had reached it and was not answered gets no answer; what it had sent is under way all the same.
    fn crash(&mut self, rule: u32, down: Span, by: Message) {
        if self.down {
            return;
        }
        if let Some(until) = self.paused {
            // one thing after the other
            return self.later(until.since(self.now) + Span(1), 0, rule.into(), 0, Flight::Crash { rule, down, by });
        }
        self.fired(rule);
        self.note(rule, Op::TargetCrashed, &by);
        self.down = true;
        self.target.crash();
        if self.target.is_live() {
            // what it had sent before has left it
            let mut out = std::mem::take(&mut self.out);
            self.target.poll(Timestamp::NEVER, &mut out);
            self.heard(out);
        }
        let mut cut: Vec<Id> = self.pending.iter().filter(|(_, waiting)| waiting.delivered && !waiting.lost).map(|(id, _)| *id).collect();
        cut.sort_unstable();
        for id in cut {
            if let Some(waiting) = self.pending.get_mut(&id) {
                waiting.lost = true;
                let send = waiting.send.clone();
                self.give_up_later(send);
            }
        }
        self.later(down, 0, rule.into(), 1, Flight::Restart { rule, by });
    }

    /// The target stands still. What reaches it waits; whoever waits longer for it than he has patience gives up.
    fn pause(&mut self, rule: u32, down: Span, by: Message) {
        if self.down || self.paused.is_some() {
            return;
        }
        self.fired(rule);
        self.note(rule, Op::TargetPaused, &by);
        self.paused = Some(self.now + down);
        self.target.pause();
        if !self.target.is_live() {
            let mut open: Vec<Id> = self.pending.iter().filter(|(_, waiting)| waiting.delivered).map(|(id, _)| *id).collect();
            open.sort_unstable();
            open.into_iter().for_each(|id| self.may_give_up(id));
        }
        self.later(down, 0, rule.into(), 2, Flight::Resume { rule, by });
    }

    /// The target stands still, and there is no network that holds what is sent to it.
    fn stalls(&self) -> bool {
        self.paused.is_some() && !self.target.is_live()
    }

    fn stall(&mut self, flight: Flight) {
        if let Flight::Arrive(msg) | Flight::ArriveHarmed { msg, .. } = &flight {
            self.may_give_up(msg.id);
        }
        self.stalled.push(flight);
    }

    /// Whoever sent it gives up before the target goes on.
    fn may_give_up(&mut self, id: Id) {
        let too_long = self.paused.is_some_and(|until| until >= self.now + SEND_TIMEOUT);
        let Some(waiting) = self.pending.get_mut(&id).filter(|waiting| too_long && !waiting.lost) else { return };
        waiting.lost = true;
        let send = waiting.send.clone();
        self.give_up_later(send);
    }

    /// Whoever sent it hears nothing and gives up.
    fn give_up_later(&mut self, send: Send) {
        let (order, id) = (send.msg.order, send.msg.id);
        let heard = Flight::Hear { send, outcome: Outcome::TimedOut, code: Code::None, retry_after: Span::ZERO };
        self.later_msg(SEND_TIMEOUT, 5, order, id, heard);
    }

    fn wait_for(&mut self, send: Send, lost: bool) {
        self.pending.insert(send.msg.id, Waiting { send, lost, delivered: false });
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
        self.write(Kind::Fault, Outcome::None, self.now, note);
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
        self.write(Kind::Fault, Outcome::None, self.now, note);
    }

    /// A message of the world leaves.
    fn dispatch(&mut self, mut send: Send, faults: bool) {
        let mut fate = if faults { self.storm.ask(self.now, send.link, &send.msg) } else { None };
        send.msg.drift |= fate.as_ref().is_some_and(|fate| fate.drift);
        self.write(Kind::Sent, Outcome::None, send.due.min(self.now), send.msg.clone());
        self.keep_for_replay(&send);
        let link = self.link_time(&send.msg, 0);
        let (order, id) = (send.msg.order, send.msg.id);
        if let Some((rule, wait)) = fate.as_ref().and_then(|fate| Some((fate.rule, fate.conflict?))) {
            // the message itself goes its way
            self.conflicts.insert(send.msg.key, (rule, wait));
            fate = None;
        }
        let Some(fate) = fate else {
            self.later_msg(link, 3, order, id, Flight::Arrive(send.msg.clone()));
            self.wait_for(send, false);
            return;
        };
        self.fault(fate.rule, &send.msg);
        if let Some(harm) = fate.harm {
            let msg = send.msg.clone();
            let (more, flight) = match self.trickles(Some(harm)) {
                (more, Some(harm)) => (more, Flight::ArriveHarmed { msg, harm, rule: fate.rule }),
                (more, None) => (more, Flight::Arrive(msg)),
            };
            self.later_msg(link + more, 3, order, id, flight);
            self.wait_for(send, false);
            return;
        }
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
            Reply::Comes => self.wait_for(send.clone(), false),
            Reply::Lost => {
                self.wait_for(send.clone(), true);
                self.give_up_later(send.clone());
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

    fn deliver(&mut self, msg: Message, harm: Option<Harm>) {
        if self.down {
            return self.refuse(msg.id);
        }
        if self.stalls() {
            return self.stall(Flight::Arrive(msg));
        }
        if let Some(waiting) = self.pending.get_mut(&msg.id) {
            waiting.delivered = true;
        }
        let mut out = std::mem::take(&mut self.out);
        match harm {
            Some(harm) => self.target.deliver_harmed(self.now, msg, harm, &mut out),
            None => self.target.deliver(self.now, Inbound::Message(msg), &mut out),
        }
        self.heard(out);
    }

    /// Nobody listens where the message was to go.
    fn refuse(&mut self, id: Id) {
        // who gives up by itself, or was answered before, hears nothing new
        let Some(waiting) = self.pending.get(&id).filter(|waiting| !waiting.lost) else { return };
        let (send, link) = (waiting.send.clone(), self.link_time(&waiting.send.msg, 1));
        self.pending.remove(&id);
        let order = send.msg.order;
        self.later_msg(link, 5, order, id, Flight::Hear { send, outcome: Outcome::Refused, code: Code::None, retry_after: Span::ZERO });
    }

    fn hear_reply(&mut self, send: Send, outcome: Outcome, code: Code, retry_after: Span) {
        if outcome == Outcome::TimedOut {
            // nobody waits for it any more
            self.pending.remove(&send.msg.id);
        }
        let msg = Message {
            key: send.msg.key,
            corr: send.msg.corr,
            ret: send.msg.ret,
            node: send.msg.node,
            sku: send.msg.sku,
            seq: send.msg.seq,
            fulfillment: send.msg.fulfillment,
            code,
            ..Message::of_order(send.msg.op, send.msg.id, send.msg.order)
        };
        if let Some(rule) = self.harmed.remove(&send.msg.id) {
            // what was made of it stands with the fault
            let note = Message { cause: send.msg.id, key: send.msg.key, code, seq: rule, ..Message::of_order(send.msg.op, Id::NONE, send.msg.order) };
            self.write(Kind::Fault, outcome, self.now, note);
        }
        self.write(Kind::Reply, outcome, send.due.min(self.now), msg);
        if self.replaying {
            // whoever sent it had its answer long ago
            return;
        }
        if is_definite(outcome)
            && let Some((rule, wait)) = self.conflicts.remove(&send.msg.key)
            && let Some(msg) = self.world.conflicting(&send.msg)
        {
            let (order, id) = (msg.order, msg.id);
            self.later_msg(wait, 1, order, id, Flight::Conflict(Send { msg, due: self.now + wait, ..send.clone() }, rule));
        }
        let mut actions = Actions::default();
        self.world.on_reply(self.now, &send, outcome, code, retry_after, &mut actions);
        self.act(actions, true);
    }

    /// What the target said goes on its way.
    fn heard(&mut self, mut out: Vec<Outbound>) {
        for outbound in out.drain(..) {
            match outbound {
                Outbound::Reply { to, outcome, code, retry_after } => {
                    let Some(Waiting { send, lost, .. }) = self.pending.remove(&to) else { continue };
                    if !lost {
                        let link = self.link_time(&send.msg, 1);
                        let (order, id) = (send.msg.order, send.msg.id);
                        self.later_msg(link, 5, order, id, Flight::Hear { send, outcome, code, retry_after });
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
            self.later_msg(link, 6, order, id, Flight::CallArrives { call, lost: false, drift: false, harm: None });
            return;
        };
        self.fault(fate.rule, &call);
        let lost = fate.reply == Reply::Lost;
        for (at, delivery) in fate.deliveries.iter().enumerate() {
            // the answer to a copy finds nobody who waits for it
            let arrives = Flight::CallArrives { call: call.clone(), lost: lost || at > 0, drift: fate.drift, harm: fate.harm };
            self.later_msg(link + delivery.after, 6, order, id, arrives);
        }
        if lost {
            let last = fate.deliveries.iter().map(|delivery| delivery.after).max().unwrap_or_default();
            self.later_msg(link + last, 7, order, id, Flight::Unanswered(id));
        }
        if let Reply::Instead(outcome, retry_after) = fate.reply {
            let seconds = (retry_after.0 / 1_000_000_000) as i32;
            let msg = Message { key: call.key, corr: call.corr, qty: seconds, ..Message::of_order(call.op, call.id, call.order) };
            self.later_msg(link, 7, order, id, Flight::AnswerArrives { msg, outcome, harm: None });
        }
    }

    fn call_arrives(&mut self, call: Message, lost: bool, drift: bool, harm: Option<Harm>) {
        self.write(Kind::Call, Outcome::None, self.now, call.clone());
        let mut actions = Actions::default();
        let (outcome, mut answer, takes) = self.world.on_call(self.now, &call, &mut actions);
        answer.drift = drift;
        let (facts, rest) = (std::mem::take(&mut actions.facts), actions);
        self.act(Actions { facts, ..Actions::default() }, true);
        self.write(Kind::Answer, outcome, self.now, answer.clone());
        if !lost {
            let link = self.link_time(&answer, 3);
            let (order, id) = (answer.order, answer.id);
            let (more, harm) = self.trickles(harm);
            self.later_msg(takes + link + more, 7, order, id, Flight::AnswerArrives { msg: answer, outcome, harm });
        }
        self.act(rest, true);
    }

    /// What trickles in is there when it is whole: in the simulation that is a delay, and on a wire it is done.
    fn trickles(&self, harm: Option<Harm>) -> (Span, Option<Harm>) {
        match harm {
            Some(Harm::Slow(over)) if !self.target.is_live() => (over, None),
            harm => (Span::ZERO, harm),
        }
    }

    fn event_leaves(&mut self, event: Message) {
        let link = self.link_time(&event, 4);
        let (order, id) = (event.order, event.id);
        let Some(fate) = self.storm.ask(self.now, Link::Events, &event) else {
            self.later_msg(link, 8, order, id, Flight::EventArrives { event, heard: true, harm: None });
            return;
        };
        self.fault(fate.rule, &event);
        let failed = match fate.reply {
            Reply::Comes => None,
            Reply::Lost => Some(SEND_TIMEOUT),
            Reply::Instead(..) => Some(link),
            Reply::SentAgain(after) => Some(after),
        };
        let (more, harm) = self.trickles(fate.harm);
        for delivery in &fate.deliveries {
            let heard = failed.is_none() && more == Span::ZERO;
            self.later_msg(link + delivery.after, 8, order, id, Flight::EventArrives { event: event.clone(), heard, harm });
        }
        if more > Span::ZERO {
            self.later_msg(link + more, 9, order, id, Flight::EventTaken(id));
        }
        if let Some(after) = failed {
            self.later_msg(after, 9, order, id, Flight::EventFailed(id));
        }
    }

    /// At rest: what the target says of every order and every stock level.
    fn read_states(&mut self, orders: &[OrderNo]) {
        let asked = if self.target.tells_states() { orders } else { &[] };
        for order in asked {
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
        if self.down || self.paused.is_some() {
            // nobody answers
            return;
        }
        let Some((on_hand, reserved)) = self.target.inventory(node, sku) else { return };
        let mut msg = Message { node, sku, cause, qty: on_hand as i32, ..Message::new(Op::GetInventory, Id::NONE) };
        msg.lines.push(LineQty { sku, qty: reserved as i32, ..LineQty::default() });
        self.write(Kind::State, Outcome::Ok, self.now, msg);
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
