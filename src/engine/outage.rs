//! A target that is killed, or stands still.

use super::{Flight, Loop, SEND_TIMEOUT};
use crate::history::Observer;
use crate::model::{Id, Message, Op};
use crate::sim::{Span, Timestamp};
use std::sync::Arc;

impl<O: Observer> Loop<'_, O> {
    /// Kills the target. What had reached it and was not answered gets no answer; what it had sent is under way all the same.
    pub(super) fn crash(&mut self, rule: u32, down: Span, by: Arc<Message>) {
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
            self.target.poll(Timestamp::NEVER, &mut self.out);
            self.heard();
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
    pub(super) fn pause(&mut self, rule: u32, down: Span, by: Arc<Message>) {
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
    pub(super) fn stalls(&self) -> bool {
        self.paused.is_some() && !self.target.is_live()
    }

    pub(super) fn stall(&mut self, flight: Flight) {
        if let Flight::Arrive(msg) | Flight::ArriveHarmed { msg, .. } = &flight {
            self.may_give_up(msg.id);
        }
        self.stalled.push(flight);
    }

    /// Whoever sent it gives up before the target goes on.
    pub(super) fn may_give_up(&mut self, id: Id) {
        let too_long = self.paused.is_some_and(|until| until >= self.now + SEND_TIMEOUT);
        let Some(send) = self.pending.get(&id).filter(|waiting| too_long && !waiting.lost).map(|waiting| waiting.send.clone()) else { return };
        if self.patience_of(&send).is_some() {
            // he does so in his own time, and hears what comes before
            return;
        }
        self.pending.entry(id).and_modify(|waiting| waiting.lost = true);
        self.give_up_later(send);
    }
}
