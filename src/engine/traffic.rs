//! Messages in both directions, each through the fault rules of its link.

use super::{Flight, Loop, SEND_TIMEOUT, Waiting, is_definite};
use crate::fault::{Link, Reply};
use crate::history::{Kind, Observer};
use crate::model::{Code, Harm, Id, Message, Outcome};
use crate::sim::Span;
use crate::target::{Inbound, Outbound};
use crate::world::Send;
use std::sync::Arc;

impl<O: Observer> Loop<'_, O> {
    /// Whoever sent it hears nothing and gives up: in his own time, if he has one, since he began to wait.
    pub(super) fn give_up_later(&mut self, send: Send) {
        if self.patience_of(&send).is_some() {
            return;
        }
        let (order, id) = (send.msg.order, send.msg.id);
        let heard = Flight::Hear { send, outcome: Outcome::TimedOut, code: Code::None, retry_after: Span::ZERO };
        self.later_msg(SEND_TIMEOUT, 5, order, id, heard);
    }

    /// How long a client waits for an answer, where clients have a patience of their own.
    pub(super) fn patience_of(&self, send: &Send) -> Option<Span> {
        self.world.client_timeout().filter(|_| send.link == Link::Commands)
    }

    pub(super) fn wait_for(&mut self, send: Send, lost: bool) {
        if let Some(timeout) = self.patience_of(&send) {
            self.later_msg(timeout, 5, send.msg.order, send.msg.id, Flight::GiveUp(send.msg.id));
        }
        self.pending.insert(send.msg.id, Waiting { send, lost, delivered: false, answered: false });
    }

    /// A message of the world leaves.
    pub(super) fn dispatch(&mut self, mut send: Send, faults: bool) {
        let mut fate = if faults { self.storm.ask(self.now, send.link, &send.msg) } else { None };
        if fate.as_ref().is_some_and(|fate| fate.drift) {
            Arc::make_mut(&mut send.msg).drift = true;
        }
        send.msg = self.write(Kind::Sent, Outcome::None, send.due.min(self.now), send.msg);
        self.keep_for_replay(&send);
        let link = self.link_time_of(&send, 0);
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
                let msg = Arc::new(self.world.copy_of(&send.msg));
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
                let msg = Arc::new(self.world.copy_of(&send.msg));
                let id = msg.id;
                self.later_msg(after, 1, order, id, Flight::Send(Send { msg, ..send.clone() }));
            }
        }
        if let Some(wait) = fate.resync {
            self.world.resync(send.msg.node, wait, &mut self.actions);
            self.act(true);
        }
    }

    pub(super) fn deliver(&mut self, msg: Arc<Message>, harm: Option<Harm>) {
        if self.down {
            return self.refuse(msg.id);
        }
        if self.stalls() {
            return self.stall(Flight::Arrive(msg));
        }
        if let Some(waiting) = self.pending.get_mut(&msg.id) {
            waiting.delivered = true;
        }
        match harm {
            Some(harm) => self.target.deliver_harmed(self.now, msg, harm, &mut self.out),
            None => self.target.deliver(self.now, Inbound::Message(msg), &mut self.out),
        }
        self.heard();
    }

    /// Nobody listens where the message was to go.
    pub(super) fn refuse(&mut self, id: Id) {
        // who gives up by itself, or was answered before, hears nothing new
        let Some(waiting) = self.pending.get(&id).filter(|waiting| !waiting.lost) else { return };
        let (send, link) = (waiting.send.clone(), self.link_time_of(&waiting.send, 1));
        self.pending.remove(&id);
        let order = send.msg.order;
        self.later_msg(link, 5, order, id, Flight::Hear { send, outcome: Outcome::Refused, code: Code::None, retry_after: Span::ZERO });
    }

    pub(super) fn hear_reply(&mut self, send: Send, outcome: Outcome, code: Code, retry_after: Span) {
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
            self.note_down(Kind::Fault, outcome, self.now, note);
        }
        self.note_down(Kind::Reply, outcome, send.due.min(self.now), msg);
        if self.replaying {
            // whoever sent it had its answer long ago
            return;
        }
        if is_definite(outcome)
            && let Some((rule, wait)) = self.conflicts.remove(&send.msg.key)
            && let Some(msg) = self.world.conflicting(&send.msg)
        {
            let (order, id) = (msg.order, msg.id);
            self.later_msg(wait, 1, order, id, Flight::Conflict(Send { msg: msg.into(), due: self.now + wait, ..send.clone() }, rule));
        }
        self.world.on_reply(self.now, &send, outcome, code, retry_after, &mut self.actions);
        self.act(true);
    }

    /// What the target said goes on its way.
    pub(super) fn heard(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let patient = self.world.client_timeout();
        let mut out = std::mem::take(&mut self.out);
        for outbound in out.drain(..) {
            match outbound {
                Outbound::Reply { to, outcome, code, retry_after } => {
                    // who has a patience of his own may lose it while the answer is on its way
                    let Some(waiting) = self.pending.get_mut(&to) else { continue };
                    if patient.is_some() && waiting.send.link == Link::Commands {
                        if !waiting.lost && !std::mem::replace(&mut waiting.answered, true) {
                            let send = waiting.send.clone();
                            let link = self.link_time_of(&send, 1);
                            self.later_msg(link, 5, send.msg.order, send.msg.id, Flight::Answered { to, outcome, code, retry_after });
                        }
                        continue;
                    }
                    let Some(Waiting { send, lost, .. }) = self.pending.remove(&to) else { continue };
                    if !lost {
                        let link = self.link_time_of(&send, 1);
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

    pub(super) fn call_leaves(&mut self, call: Arc<Message>) {
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
            let msg = Message { key: call.key, corr: call.corr, qty: seconds, ..Message::of_order(call.op, call.id, call.order) }.into();
            self.later_msg(link, 7, order, id, Flight::AnswerArrives { msg, outcome, harm: None });
        }
    }

    pub(super) fn call_arrives(&mut self, call: Arc<Message>, lost: bool, drift: bool, harm: Option<Harm>) {
        let call = self.write(Kind::Call, Outcome::None, self.now, call);
        let (outcome, mut answer, takes) = self.world.on_call(self.now, &call, &mut self.actions);
        answer.drift = drift;
        self.state();
        let answer = self.write(Kind::Answer, outcome, self.now, answer.into());
        if !lost {
            let link = self.link_time(&answer, 3);
            let (order, id) = (answer.order, answer.id);
            let (more, harm) = self.trickles(harm);
            self.later_msg(takes + link + more, 7, order, id, Flight::AnswerArrives { msg: answer, outcome, harm });
        }
        self.act(true);
    }

    /// What trickles in is there when it is whole: in the simulation that is a delay, and on a wire it is done.
    pub(super) fn trickles(&self, harm: Option<Harm>) -> (Span, Option<Harm>) {
        match harm {
            Some(Harm::Slow(over)) if !self.target.is_live() => (over, None),
            harm => (Span::ZERO, harm),
        }
    }

    pub(super) fn event_leaves(&mut self, event: Arc<Message>) {
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
}
