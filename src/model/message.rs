//! What crosses the border between the world and the target.

use super::{Code, Fid, Id, LineNo, Money, NodeId, Op, Order, OrderNo, SkuId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// A quantity of one SKU, on a line where there is one. `seq` numbers the physical movements of one (node, SKU):
/// 0 where the message does not report a movement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct LineQty {
    pub line: LineNo,
    pub sku: SkuId,
    pub qty: i32,
    pub seq: u32,
}

pub type Lines = SmallVec<[LineQty; 2]>;

/// One message in either direction; what a field means depends on `op`, and an unused field is zero.
///
/// A resend of the same request carries a new `id` and the same `key`.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// identity of this very message (an event keeps its id when it is delivered again)
    pub id: Id,
    pub op: Op,
    /// idempotency key of a command or call: the business intent
    pub key: Id,
    pub order: OrderNo,
    pub fulfillment: Fid,
    /// return or exchange
    pub ret: Id,
    /// authorization, capture or refund
    pub pay: Id,
    pub node: NodeId,
    pub sku: SkuId,
    pub line: LineNo,
    pub qty: i32,
    pub amount: Money,
    pub code: Code,
    /// an event's number within its order (1, 2, 3, ..), or a feed item's number within its (node, SKU)
    pub seq: u32,
    /// version of the routing rules: those that `UpsertNode` brings, or by which a node was chosen; from 1, which the header describes
    pub rule_version: u32,
    /// id of the message that caused this one; of what a timer does, the id of the event or call that started the timer
    pub cause: Id,
    /// correlation: chosen by the client with the order, and carried by everything that is about it
    pub corr: Id,
    /// it carries fields that the receiver does not know: a newer sender wrote it
    pub drift: bool,
    pub lines: Lines,
    /// PlaceOrder: the order. RequestExchange: the new lines.
    pub body: Option<Arc<Order>>,
}

/// By hand, for the lines: they are copied as they lie, and not one by one. Messages are cloned more often than anything else.
impl Clone for Message {
    fn clone(&self) -> Message {
        Message { lines: Lines::from_slice(&self.lines), body: self.body.clone(), ..*self }
    }
}

impl Message {
    pub fn new(op: Op, id: Id) -> Message {
        Message {
            id,
            op,
            key: Id::NONE,
            order: OrderNo::NONE,
            fulfillment: Fid::NONE,
            ret: Id::NONE,
            pay: Id::NONE,
            node: NodeId::NONE,
            sku: SkuId::NONE,
            line: LineNo::NONE,
            qty: 0,
            amount: Money::ZERO,
            code: Code::None,
            seq: 0,
            rule_version: 0,
            cause: Id::NONE,
            drift: false,
            corr: Id::NONE,
            lines: Lines::new(),
            body: None,
        }
    }
    pub fn of_order(op: Op, id: Id, order: OrderNo) -> Message {
        Message { order, ..Message::new(op, id) }
    }
}
