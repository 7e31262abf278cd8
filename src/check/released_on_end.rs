//! RELEASED_ON_END: an order that ended holds no stock.

use super::coverage::GOODS;
use super::{Checker, Context, Invariant};
use crate::model::{NodeId, Op, OrderNo, SkuId};
use rustc_hash::{FxHashMap, FxHashSet};

const RESERVED: &[Op] = &[Op::InventoryReserved];
const SHIPPED: &[Op] = &[Op::ShipmentShipped, Op::FulfillmentPickedUp];

pub(super) const ABOUT: Invariant = Invariant {
    name: "RELEASED_ON_END",
    summary: "an order that ended holds no stock",
    definition: "At rest, for an order that ended with no return under way: reserved - released - shipped = 0 at every node and SKU; `GetOrder` says 0; and on every shelf `GetInventory` says what open orders hold. Of an order called cancelled no parcel has left: what left was not given back.",
    needs: "`inventory.reserved` and `inventory.released` events, the end of the order",
    traps: "releases come after the end; lost events (unknown).",
    facts_only: false,
};

/// At rest: an order that was completed, cancelled or rejected (and has no return or exchange under way) has given back or
/// shipped all that it reserved, at every node and SKU; the target says 0 when asked; and what it says to be reserved on a
/// shelf is what its open orders hold. Of a cancelled order nothing has left: what left was not given back.
///
/// Traps: releases come later than the end, so nothing is judged before rest; where an event of the order was lost, what it
/// holds is unknown, and so are the shelves it touched.
/// A target that announces no reservations is judged by what it answers, and by goods that left.
#[derive(Default)]
pub(super) struct ReleasedOnEnd {
    open: FxHashMap<(NodeId, SkuId), i64>,
    doubtful: FxHashSet<(NodeId, SkuId)>,
}

impl Checker for ReleasedOnEnd {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account else { return };
        if account.held.is_empty() && !account.is_ended() {
            return;
        }
        if ctx.suspended {
            self.doubtful.extend(account.held.iter().map(|held| (held.node, held.sku)));
        } else if !account.is_over(ctx.covers) {
            for held in &account.held {
                *self.open.entry((held.node, held.sku)).or_default() += held.net();
            }
        }
        if !account.is_over(ctx.covers) {
            return;
        }
        let cancelled_with_goods = account.ended(Op::OrderCancelled) && ctx.covers.facts(GOODS);
        if !ctx.covers.claims(RESERVED) && account.said.is_none() && !cancelled_with_goods {
            return;
        }
        ctx.judged();
        if ctx.suspended || !ctx.at_rest {
            return ctx.unknown();
        }
        let end = account.ends.first().map_or(0, |(_, n)| *n);
        // what left is taken off by its announcement: a target that announces none cannot be followed to the end
        let followed = ctx.covers.claims(RESERVED) && (ctx.covers.claims(SHIPPED) || account.lines.iter().all(|line| line.shipped == 0));
        let mut leaks: Vec<_> = account.held.iter().filter(|held| followed && held.net() != 0).collect();
        leaks.sort_unstable_by_key(|held| (held.node, held.sku));
        for held in leaks {
            let (node, sku) = (ctx.header.fixture.node_name(held.node), ctx.header.fixture.sku_name(held.sku));
            let story = format!("{} reserved, {} released, {} shipped", held.reserved, held.released, held.consumed);
            let what = match held.net() {
                net if net > 0 => format!("{order} has ended and still holds {net} of {sku} at {node} ({story})"),
                net => format!("{order} gave back {} of {sku} at {node} more than it held ({story})", -net),
            };
            ctx.fail(order, what, "reserved = released + shipped once the order has ended", vec![held.last_n, end]);
        }
        if let Some((_, cancelled)) = account.ends.iter().find(|(op, _)| *op == Op::OrderCancelled) {
            for parcel in account.parcels.iter().filter(|parcel| !parcel.shipments.is_empty()) {
                let what = format!("{order} was called cancelled, but {} has left its node", parcel.fid);
                let evidence = parcel.shipments.iter().copied().chain([*cancelled]).collect();
                ctx.fail(order, what, "of a cancelled order every unit was given back; where some have left, only the rest is cancelled", evidence);
            }
        }
        if let Some(said) = account.said.filter(|said| said.qty != 0) {
            let what = format!("{order} has ended, and the target says that {} units are still reserved for it", said.qty);
            ctx.fail(order, what, "0 reserved for an order that has ended", vec![end, said.n]);
        }
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        if !ctx.covers.claims(RESERVED) || !ctx.covers.claims(SHIPPED) && ctx.covers.facts(GOODS) {
            return;
        }
        for ((node, sku), shelf) in ctx.ledger.shelves() {
            let Some((_, Some(reserved), n)) = shelf.said else { continue };
            let open = self.open.get(&(node, sku)).copied().unwrap_or(0);
            ctx.judged();
            if !ctx.at_rest || self.doubtful.contains(&(node, sku)) {
                ctx.unknown();
            } else if reserved != open {
                let (node, sku) = (ctx.header.fixture.node_name(node), ctx.header.fixture.sku_name(sku));
                let what = format!(
                    "the target says {reserved} of {sku} are reserved at {node}, but what it announced to be reserved for open orders is {open}"
                );
                ctx.fail(OrderNo::NONE, what, "reserved on a shelf = reservations of open orders", vec![n]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, Id, Op};

    fn cancelled(release: bool) -> Story {
        let mut h = Story::new();
        h.stock(DC1, A, 5).place(1, &[(1, A, 2)]).accept(1).reserve(1, DC1, &[(1, A, 2)], Id::NONE);
        let cancel = h.cancel(1);
        h.event(1, Op::OrderCancelled, |_| {});
        if release {
            h.release(1, DC1, &[(1, A, 2)], cancel);
        }
        h
    }

    #[test]
    fn accepts_a_release_heard_after_the_end() {
        cancelled(true).state(1, Code::StateCancelled, 0).shelf_state(DC1, A, 5, 0).accepts("RELEASED_ON_END");
    }

    #[test]
    fn accepts_a_completed_order_whose_units_left() {
        let mut h = Story::new();
        h.plain_order(1);
        h.accepts("RELEASED_ON_END");
    }

    #[test]
    fn rejects_a_cancelled_order_that_still_holds_its_units() {
        cancelled(false).rejects("RELEASED_ON_END", "still holds 2 of A at DC1");
        assert_eq!(cancelled(false).cut_short().verdict_of("RELEASED_ON_END"), Verdict::Unknown);
    }

    #[test]
    fn rejects_a_target_that_says_it_still_holds_units() {
        cancelled(true).state(1, Code::StateCancelled, 2).rejects("RELEASED_ON_END", "still reserved for it");
        cancelled(true).shelf_state(DC1, A, 5, 2).rejects("RELEASED_ON_END", "for open orders is 0");
    }

    #[test]
    fn what_a_shelf_says_to_be_reserved_is_what_its_open_orders_hold() {
        let says = |reserved| {
            let mut h = Story::new();
            h.stock(DC1, A, 5);
            for order in [1, 2] {
                h.place(order, &[(1, A, 1)]).accept(order).reserve(order, DC1, &[(1, A, 1)], Id::NONE);
            }
            h.shelf_state(DC1, A, 5, reserved);
            h
        };
        says(2).accepts("RELEASED_ON_END");
        says(1).rejects("RELEASED_ON_END", "1 of A are reserved at DC1, but what it announced to be reserved for open orders is 2");
    }

    #[test]
    fn rejects_a_cancelled_order_whose_parcel_left() {
        let mut h = Story::new();
        h.plain_order(1);
        h.event(1, Op::OrderCancelled, |_| {});
        h.rejects("RELEASED_ON_END", "was called cancelled, but");
    }

    #[test]
    fn a_lost_event_makes_it_unknown() {
        let mut h = cancelled(false);
        h.hold_event(1, Op::InventoryReleased, |m| at_node(m, DC1, &[(1, A, 2)]));
        h.event(1, Op::NotificationRequested, |_| {});
        h.leaves_open("RELEASED_ON_END");
    }
}
