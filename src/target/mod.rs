//! The system under test behind `deliver` and `poll`.

mod embedded;

pub use embedded::{Embedded, ServiceModel};

use crate::model::{Code, Id, Message, NodeId, OrderNo, Outcome, SkuId};
use crate::sim::Timestamp;

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
    },
    Event(Message),
    Call(Message),
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
}
