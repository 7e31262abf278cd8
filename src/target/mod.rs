//! The system under test behind `deliver` and `poll`.

mod embedded;
mod live;
mod service_model;

pub use embedded::{Embedded, Journal, Logged};
pub use live::{Adapter, Commands, Harness, Live, Mapped, MappedOpening, Opening, Process, Shared};
pub use service_model::{Brownout, Discipline, Lane, ServiceModel};

use crate::model::{Code, Harm, Id, Message, NodeId, OrderNo, Outcome, SkuId};
use crate::sim::{Inbox, NoInbox, Span, Timestamp};
use std::sync::Arc;

/// What reaches a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inbound {
    /// a command, feed or callback
    Message(Arc<Message>),
    /// the answer to one of its calls: `msg.key` is the call's key, `msg.id` the call's id
    Answer { msg: Arc<Message>, outcome: Outcome },
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
    Event(Arc<Message>),
    Call(Arc<Message>),
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

/// What comes of a look at an order or a shelf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look<T> {
    Is(T),
    /// it says that it knows of no such thing
    Unknown,
    /// it does not say, or nobody can read what it says
    Silent,
}

impl<T> Look<T> {
    /// What `read` makes of it, where there is something to be read.
    pub fn and_then<U>(self, read: impl FnOnce(T) -> Look<U>) -> Look<U> {
        match self {
            Look::Is(it) => read(it),
            Look::Unknown => Look::Unknown,
            Look::Silent => Look::Silent,
        }
    }
    pub fn known(self) -> Option<T> {
        match self {
            Look::Is(it) => Some(it),
            Look::Unknown | Look::Silent => None,
        }
    }
}

/// A system under test. Time only passes by the arguments: a target reads no clock.
pub trait Target {
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, out: &mut Vec<Outbound>);
    /// A message comes in harmed. What cannot be read is turned away before anything happens; of a connection that breaks nobody hears.
    fn deliver_harmed(&mut self, _now: Timestamp, msg: Arc<Message>, harm: Harm, out: &mut Vec<Outbound>) {
        let (outcome, code) = if harm == Harm::Reset { (Outcome::TimedOut, Code::None) } else { (Outcome::Refused, Code::Invalid) };
        out.push(Outbound::Reply { to: msg.id, outcome, code, retry_after: Span::ZERO });
    }
    /// The answer to one of its calls comes in harmed: one that cannot be read says nothing, and a time-out sees to it.
    fn answer_harmed(&mut self, _now: Timestamp, _msg: Arc<Message>, _outcome: Outcome, _harm: Harm) {}
    /// The sink has taken the event, and its answer comes in harmed: what its body says is nobody's business, as long as it is whole.
    fn acknowledge_harmed(&mut self, now: Timestamp, event: Id, harm: Harm) {
        if harm == Harm::Reset { self.refused(now, event) } else { self.acknowledged(now, event) }
    }
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
    /// Its process stands still: it takes in what comes, and does nothing.
    fn pause(&mut self) {}
    /// It goes on.
    fn resume(&mut self) {}
    /// `GetOrder`: (state, units still reserved, captured less refunded).
    fn order_state(&mut self, order: OrderNo) -> Look<(Code, i32, i64)>;
    /// The same of many orders, in their order.
    fn order_states(&mut self, orders: &[OrderNo]) -> Vec<Look<(Code, i32, i64)>> {
        orders.iter().map(|order| self.order_state(*order)).collect()
    }
    /// `GetInventory`: (on hand, reserved). `at_rest`: there is time to ask again where no answer comes.
    fn inventory(&mut self, node: NodeId, sku: SkuId, at_rest: bool) -> Look<(i64, i64)>;

    /// Can it be asked for the state of an order at all?
    fn tells_states(&self) -> bool {
        true
    }
    /// And for what lies on a shelf?
    fn tells_stock(&self) -> bool {
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
