//! What the record shows for certain of a node, in whatever order its events happened.

use super::Context;
use crate::model::{Node, NodeId, NodeKind, SkuId};
use crate::sim::Timestamp;

/// Could orders be promised there all the time between the two? A node that may have been out of routing could not, and of one that takes only so
/// many orders a day nobody knows.
pub(super) fn open(id: NodeId, node: &Node, from: Timestamp, to: Timestamp, ctx: &Context<'_>) -> bool {
    node.kind != NodeKind::Supplier && node.capacity_per_day == 0 && !maybe_disabled(id, node, from, to, ctx)
}

/// Was it possibly out of routing at some time between the two?
pub(super) fn maybe_disabled(id: NodeId, node: &Node, from: Timestamp, to: Timestamp, ctx: &Context<'_>) -> bool {
    ctx.ledger.rules().possibly(id, false, node.enabled, from, to)
}

/// Units of a shelf that were free for orders at `from`, without what orders had reserved by then or did later.
pub(super) fn free(id: NodeId, node: &Node, sku: SkuId, from: Timestamp, ctx: &Context<'_>) -> i64 {
    ctx.ledger.shelf(id, sku).map_or(0, |shelf| shelf.least(from, ctx.grace())) - i64::from(node.safety_stock)
}

/// Units of a shelf for orders, whoever gets them: what was known at `from`, less all that ever went without an order.
pub(super) fn had(id: NodeId, node: &Node, sku: SkuId, from: Timestamp, ctx: &Context<'_>) -> i64 {
    ctx.ledger.shelf(id, sku).map_or(0, |shelf| shelf.least_for_orders(from, ctx.grace())) - i64::from(node.safety_stock)
}
