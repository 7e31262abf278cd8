//! What the orchestrator knows of one order.

use crate::model::{Code, Fid, Fulfil, Id, LineNo, Money, NodeId, Order, OrderNo, SkuId};
use crate::sim::Timestamp;
use smallvec::SmallVec;
use std::sync::Arc;

/// An internal order: the external number, and a copy number that is 0 unless a defect doubles orders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Oid(u64);

impl Oid {
    pub fn new(order: OrderNo, copy: u64) -> Oid {
        Oid(u64::from(order.0) | copy << 32)
    }
    pub fn order(self) -> OrderNo {
        OrderNo(self.0 as u32)
    }
    /// The `n`th fulfillment of this order: the id says whose it is.
    pub fn fulfillment(self, n: usize) -> Fid {
        Fid(self.0 << 10 | (n as u64 + 1))
    }
    pub fn of(fid: Fid) -> (Oid, usize) {
        (Oid(fid.0 >> 10), ((fid.0 & 0x3ff) as usize).wrapping_sub(1))
    }
    /// The idempotency key of the `n`th business intent of one kind: the same intent has the same key on every attempt.
    pub fn key(self, kind: u8, n: u32) -> Id {
        Id(1 << 63 | self.0 << 24 | u64::from(kind) << 16 | u64::from(n & 0xffff))
    }
    pub fn of_key(key: Id) -> (Oid, u8, u32) {
        let raw = key.0 & !(1 << 63);
        (Oid(raw >> 24), (raw >> 16) as u8, (raw & 0xffff) as u32)
    }
}

/// Units of lines.
pub type Units = SmallVec<[(LineNo, SkuId, u32); 2]>;

/// One line: every unit is in exactly one place.
#[derive(Clone, Debug)]
pub struct LineState {
    pub line: LineNo,
    pub sku: SkuId,
    pub qty: u32,
    /// what the shopper owes for all of it
    pub total: Money,
    pub fulfil: Fulfil,
    pub pickup_node: NodeId,
    /// the exchange that brought it in, if one did
    pub ret: Id,
    pub backordered: u32,
    /// promised at a node, not yet in a fulfillment
    pub reserved: SmallVec<[(NodeId, u32); 2]>,
    pub in_fulfillment: u32,
    pub shipped: u32,
    pub cancelled: u32,
    /// asked to come back, whether or not it has
    pub return_asked: u32,
    /// captured so far, in units
    pub captured_units: u32,
}

impl LineState {
    pub fn reserved_units(&self) -> u32 {
        self.reserved.iter().map(|(_, qty)| qty).sum()
    }
    pub fn is_settled(&self) -> bool {
        self.shipped + self.cancelled == self.qty
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    Allocated,
    Released,
    Accepted,
    Picked,
    Packed,
    Ready,
    Shipped,
    PickedUp,
    Delivered,
    Rejected,
    Cancelled,
}

#[derive(Clone, Debug)]
pub struct Fulfillment {
    pub fid: Fid,
    pub node: NodeId,
    pub pickup: bool,
    pub ret: Id,
    /// what it still has to bring: line, units
    pub lines: Units,
    pub stage: Stage,
    /// the release call is out or was confirmed: the node may be at work
    pub release_sent: bool,
    /// when the node must have accepted
    pub accept_by: crate::sim::Timestamp,
    /// the node was asked to stop, and why
    pub stopping: Option<Code>,
    pub expired: bool,
    /// the carrier said in transit or delivered before the node said shipped
    pub early: SmallVec<[crate::model::Op; 2]>,
    pub label_asked: bool,
    /// lines of which the node said that units are missing
    pub short_told: SmallVec<[LineNo; 2]>,
}

impl Fulfillment {
    pub fn is_live(&self) -> bool {
        self.stage < Stage::Shipped
    }
}

#[derive(Clone, Debug)]
pub struct Authorization {
    pub pay: Id,
    /// the exchange whose difference it covers, if it is for one
    pub ret: Id,
    pub refunded: Money,
    pub amount: Money,
    pub captured: Money,
    pub open: bool,
}

#[derive(Clone, Debug)]
pub struct CaptureDue {
    pub n: u32,
    pub fid: Fid,
    pub ret: Id,
    pub amount: Money,
    pub asked: bool,
    pub done: bool,
}

#[derive(Clone, Debug)]
pub struct ReturnState {
    pub ret: Id,
    pub lines: Units,
    pub keep: bool,
    pub exchange: bool,
    pub advance: bool,
    /// an exchange: what the new goods cost more (or less) than what comes back
    pub difference: Money,
    pub received: bool,
    pub inspected: bool,
    pub node: NodeId,
    /// what the units that come back are worth
    pub value: Money,
    /// amount that goes back, once known
    pub refund: Option<Money>,
    /// what of it was asked for, and what came
    pub refund_asked: Money,
    pub refund_done: Money,
    pub completed: bool,
    /// when it was inspected
    pub inspected_at: Timestamp,
    pub cancelled: bool,
    /// the difference of an exchange is authorized (or there is none to authorize)
    pub paid: bool,
    /// number of the authorization of the difference
    pub auth_n: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Screen {
    /// not needed
    None,
    Asked,
    Good,
    Bad,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Open,
    Completed,
    Cancelled,
    Rejected,
}

#[derive(Clone, Debug)]
pub struct OrderState {
    pub order: Arc<Order>,
    pub corr: Id,
    /// how many internal orders stand for the external one (one, unless a defect doubles it): the first of them counts
    pub copies: u64,
    /// events of the external order so far: the first of them counts
    pub events: u32,
    /// idempotency keys of cancellations that were dealt with, and whether they were refused
    pub cancels: SmallVec<[(Id, bool); 1]>,
    pub accepted_at: Timestamp,
    pub status: Status,
    pub exception: bool,
    pub lines: Vec<LineState>,
    pub fulfillments: Vec<Fulfillment>,
    pub returns: Vec<ReturnState>,
    pub payment: Screen,
    pub fraud: Screen,
    pub address: Screen,
    pub held_fraud: bool,
    pub held_remorse: bool,
    pub auths: Vec<Authorization>,
    pub auth_calls: u32,
    pub auth_pending: bool,
    pub captures: Vec<CaptureDue>,
    pub captured: Money,
    pub refunded: Money,
    pub shipping_captured: bool,
    pub void_asked: Option<Id>,
    /// the whole order is being cancelled, and why
    pub cancelling: Option<Code>,
    /// the shopper asked for it (so an answer is owed if it fails)
    pub cancel_asked: bool,
    pub refunds: u32,
    /// the (node, day) in whose capacity it counts
    pub slots: SmallVec<[(NodeId, u64); 2]>,
    /// returns and exchanges that were refused, and why: the same request again gets the same answer
    pub refused_returns: SmallVec<[(Id, Code); 1]>,
    /// nodes that refused goods of this order: not asked again for it
    pub excluded: SmallVec<[(NodeId, SkuId); 2]>,
}

impl OrderState {
    pub fn line_mut(&mut self, line: LineNo) -> Option<&mut LineState> {
        self.lines.iter_mut().find(|l| l.line == line)
    }
    pub fn units_held(&self) -> i32 {
        self.lines.iter().map(|line| (line.reserved_units() + line.in_fulfillment) as i32).sum()
    }
    pub fn state_code(&self) -> Code {
        match self.status {
            _ if self.exception && self.status == Status::Open => Code::StateException,
            Status::Open => Code::StateOpen,
            Status::Completed => Code::StateCompleted,
            Status::Cancelled => Code::StateCancelled,
            Status::Rejected => Code::StateRejected,
        }
    }
    /// Lines of the order itself, without those an exchange brought in.
    pub fn own_lines(&self) -> impl Iterator<Item = &LineState> {
        self.lines.iter().filter(|line| line.ret.is_none())
    }
    /// What is still to be captured for the order's own lines, shipping included.
    pub fn still_to_capture(&self) -> Money {
        let goods: Money = self.own_lines().map(|line| cumulative(line.total, line.qty, line.captured_units, line.qty - line.cancelled)).sum();
        let dues: Money = self.captures.iter().filter(|due| !due.done && !due.asked).map(|due| due.amount).sum();
        let shipping = if self.shipping_captured { Money::ZERO } else { self.order.shipping };
        goods + dues + shipping
    }
}

/// What units `from..to` of a line cost, so that the parts of a line always add up to the line.
pub fn cumulative(total: Money, qty: u32, from: u32, to: u32) -> Money {
    if qty == 0 || to <= from {
        return Money::ZERO;
    }
    let upto = |n: u32| {
        let (a, q) = (i128::from(total.0) * i128::from(n), i128::from(qty));
        ((2 * a + q).div_euclid(2 * q)) as i64
    };
    Money(upto(to) - upto(from))
}
