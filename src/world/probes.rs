//! Probe orders: a few orders before the case begins, which nobody disturbs, so that the record shows how late the target's claims are heard
//! when nothing is wrong.
//!
//! They ask for a SKU of their own, and partners answer them at once and favourably: what takes time is the target. Each is cancelled when it
//! has had time to be reserved and authorized, so all have ended before the first order of the case, and no goods move.

use super::{Actions, Later, Send, World};
use crate::model::{Code, Id, LineNo, Message, Money, NodeId, Op, Order, OrderLine, OrderNo, SkuId};
use crate::scenario::Link;
use crate::sim::{Span, Timestamp};
use std::sync::Arc;

/// How many a partition places.
pub const PROBES: u32 = 3;
/// The name of their SKU.
pub const PROBE_SKU: &str = "PROBE";
/// What a unit of it costs.
pub const PROBE_PRICE: Money = Money(1_000);
/// When the first is placed, and how long after it the next.
const FIRST: Span = Span::from_secs(5);
const APART: Span = Span::from_secs(10);
/// How long after it was taken on a probe is cancelled: long enough to be reserved and authorized, and too short for a node to pick it.
const LIVES: Span = Span::from_secs(10);

/// What the probes of a partition ask for, and where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probes {
    pub sku: SkuId,
    pub node: NodeId,
}

impl World {
    pub(super) fn plan_probes(&self, out: &mut Actions) {
        for n in 0..if self.probes.is_some() { PROBES } else { 0 } {
            out.later.push((FIRST + APART.saturating_mul(n.into()), Later::Probe { order: OrderNo(OrderNo::FIRST_PROBE.0 + n), cancel: false }));
        }
    }

    pub(super) fn probe(&mut self, now: Timestamp, order: OrderNo, cancel: bool, out: &mut Actions) {
        let Some(Probes { sku, node }) = self.probes else { return };
        if cancel {
            let id = self.fresh_id();
            let msg = Message { key: Id(u64::from(order.0) << 8 | 1 << 63), code: Code::Customer, ..Message::of_order(Op::CancelOrder, id, order) };
            out.sends.push(Send { link: Link::Commands, msg: msg.into(), due: now, after: Span::ZERO, attempt: 0 });
        } else {
            let line = OrderLine { line: LineNo(1), sku, qty: 1, unit_price: PROBE_PRICE, ..OrderLine::default() };
            let ship_to = self.estate.node(node).map(|node| node.region).unwrap_or_default();
            let send = self.place_order(order, Arc::new(Order { lines: vec![line], ship_to, ..Order::default() }), now);
            out.sends.push(send);
        }
    }

    /// A probe was taken on.
    pub(super) fn probe_accepted(&mut self, order: OrderNo, out: &mut Actions) {
        out.later.push((LIVES, Later::Probe { order, cancel: true }));
    }
}
