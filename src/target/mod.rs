//! The system under test behind `deliver` and `poll`.

mod embedded;
mod live;

pub use embedded::{Embedded, Journal, Logged, ServiceModel};
pub use live::{Adapter, Harness, Live, Mapped, Opened, Opening, Process, Shared};

use crate::model::{Code, Id, Message, NodeId, OrderNo, Outcome, SkuId};
use crate::sim::{Inbox, NoInbox, Span, Timestamp};

/// What reaches a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inbound {
    /// a command, feed or callback
    Message(Message),
    /// the answer to one of its calls: `msg.key` is the call's key, `msg.id` the call's id
    Answer { msg: Message, outcome: Outcome },
}

/// What comes from a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outbound {
    /// the answer to message `to`
    Reply {
        to: Id,
        outcome: Outcome,
        code: Code,
        /// backpressure: how long the target asks to wait
        retry_after: Span,
    },
    Event(Message),
    Call(Message),
}

/// May time be skipped to what is due next?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skip {
    /// the target has a clock that nobody can move
    Unable,
    /// something is under way: ask again
    Busy,
    /// the target's clock now says this: what was asked for, or when the target itself has something to do
    To(Timestamp),
    /// nothing was asked for, and the target has nothing to do
    Idle,
}

/// A system under test. Time only passes by the arguments: a target reads no clock.
pub trait Target {
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, out: &mut Vec<Outbound>);
    /// When it has something to do by itself; [`Timestamp::NEVER`] if nothing.
    fn next_due(&mut self) -> Timestamp;
    /// Does what is due.
    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>);
    /// The event sink has taken the event: it need not be sent again.
    fn acknowledged(&mut self, now: Timestamp, event: Id);
    /// The event sink has refused the event: it is owed still.
    fn refused(&mut self, now: Timestamp, event: Id);
    /// The process is killed: whatever was not stored is gone. Nothing is asked of it until it is started again.
    fn crash(&mut self);
    /// It starts from what it had stored.
    fn restart(&mut self, now: Timestamp, out: &mut Vec<Outbound>);
    /// `GetOrder`: (state, units still reserved, captured less refunded).
    fn order_state(&mut self, order: OrderNo) -> Option<(Code, i32, i64)>;
    /// `GetInventory`: (on hand, reserved).
    fn inventory(&mut self, node: NodeId, sku: SkuId) -> Option<(i64, i64)>;

    /// Can it be asked for the state of an order at all?
    fn tells_states(&self) -> bool {
        true
    }
    /// Lives elsewhere, in time that passes by itself; what it says comes in by its inbox.
    fn is_live(&self) -> bool {
        false
    }
    /// Where what it says comes in while somebody waits.
    fn inbox(&self) -> &dyn Inbox {
        &NoInbox
    }
    /// Nothing is to happen before `to`, or at all: may time go there at once, or to what the target has to do earlier?
    fn skip(&mut self, _to: Option<Timestamp>) -> Skip {
        Skip::Unable
    }
    /// Where time cannot be skipped: after so long without a word there is nothing to come any more.
    fn patience(&self) -> Span {
        Span::ZERO
    }
    /// It has ended, and nobody wanted it to.
    fn is_gone(&self) -> bool {
        false
    }
    /// Its call will have no answer.
    fn unanswered(&mut self, _call: Id) {}
}
