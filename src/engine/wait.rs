//! Until what is due: at once in virtual time, and as long as it takes with a live target.

use super::Loop;
use crate::history::Observer;
use crate::sim::{Clock, Inbox, NoInbox, Span, Timestamp, Wake};
use crate::target::Skip;

/// Where the next order is due so soon, orders come as load, and time passes as it does.
const LOAD: Span = Span::from_secs(1);
/// With a live target: how long until it is asked again whether anything is under way, and the longest single wait.
const BUSY: Span = Span::from_millis(1);
const MOMENT: Span = Span::from_millis(200);
/// Under load what is heard may lie for so long: far less than partners take to answer.
const TICK: Span = Span::from_millis(1);

/// How a wait ended.
pub(super) enum Wait {
    /// what is due may be done
    Due,
    /// something changed: look again
    Again,
    /// nothing is to come any more
    Rest,
}

/// In virtual time: there at once.
pub(super) fn simulated(clock: &mut dyn Clock, due: Timestamp, horizon: Timestamp) -> (Wait, Span) {
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
    pub(super) fn wait(&mut self, clock: &mut dyn Clock, due: Timestamp, at_order: Timestamp, horizon: Timestamp) -> (Wait, Span) {
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
        // whatever is heard has its stamp: who is about to wake up anyway need not be woken for it
        let soon = under_load && until.since(now) <= TICK;
        let inbox: &dyn Inbox = if soon { &NoInbox } else { self.target.inbox() };
        // not longer, so that a stop is noticed
        match clock.wait_until(until.min(now + MOMENT), inbox) {
            // what came in meanwhile came before
            Wake::Reached { .. } if soon => (Wait::Again, Span::ZERO),
            Wake::Reached { lag } if due <= clock.now() && due <= horizon => (Wait::Due, lag),
            _ => (Wait::Again, Span::ZERO),
        }
    }
}
