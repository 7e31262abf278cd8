//! QUIET_AFTER_END: after an order was called cancelled or rejected nothing more is done for it.

use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Id, Op, OrderNo};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "QUIET_AFTER_END",
    summary: "after an order was called cancelled or rejected nothing more is done for it",
    definition: "Once `order.cancelled` or `order.rejected` was heard, there is no new fact of the order that a node took a release on, that a parcel left or was collected, or that money was captured; and no `inventory.reserved` of it has a higher `seq` than its end. Of an order that was settled and forgotten (long after its end, or sooner where very many were called off) the same facts are still failures: a few bits an order are kept for that.",
    needs: "`order.cancelled` or `order.rejected`; release, parcel and capture facts",
    traps: "the end was published before it was heard, so a fact after the hearing is a fact after the end. Goods already on the belt are no excuse: whoever cannot call them back must not say `cancelled` before the node has agreed. A release or capture whose first attempt left before the end was heard, and that a fault held up, was decided before: excused and counted. A parcel that leaves although its node had confirmed to stop it is the node's. Reservations are compared by `seq`, not by arrival.",
    facts_only: false,
};

#[derive(Default)]
struct State {
    /// releases and captures asked for: idempotency key, entry of the first attempt
    asked: SmallVec<[(Id, u64); 2]>,
    /// the reservation with the highest `seq`: (seq, entry)
    reserved: (u32, u64),
    /// the end: (what, seq, entry)
    end: Option<(Op, u32, u64)>,
}

#[derive(Default)]
pub(super) struct QuietAfterEnd {
    orders: PerOrder<State>,
}

/// An effect that an order that ended must not have any more.
pub(super) fn is_effect(kind: Kind, op: Op) -> bool {
    kind == Kind::Fact && matches!(op, Op::NodeRelease | Op::CbNodeShipped | Op::CbNodeCollected | Op::PaymentCapture)
}

/// What it is called in a finding.
pub(super) fn in_words(op: Op) -> &'static str {
    match op {
        Op::NodeRelease => "a node took on a release of it",
        Op::CbNodeShipped => "a parcel of it left",
        Op::CbNodeCollected => "a pickup of it was handed over",
        Op::InventoryReserved => "units were reserved for it",
        _ => "money was captured for it",
    }
}

pub(super) const EXPECTED: &str = "an order that was called cancelled or rejected has no effect any more; the end is published last";

impl Checker for QuietAfterEnd {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Event => matches!(op, Op::OrderCancelled | Op::OrderRejected | Op::InventoryReserved),
            Kind::Call | Kind::Fault => matches!(op, Op::NodeRelease | Op::PaymentCapture),
            _ => is_effect(kind, op),
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if m.order.is_none() {
            return;
        }
        let Some(place) = ctx.place else { return };
        let state = self.orders.entry(place);
        match e.kind {
            Kind::Call | Kind::Fault => {
                if !state.asked.iter().any(|(key, _)| *key == m.key) {
                    state.asked.push((m.key, e.n));
                }
                return;
            }
            Kind::Event if m.op == Op::InventoryReserved => state.reserved = state.reserved.max((m.seq, e.n)),
            Kind::Event if state.end.is_none() => {
                ctx.judged();
                state.end = Some((m.op, m.seq, e.n));
            }
            _ => {}
        }
        let Some((end, end_seq, end_n)) = state.end else { return };
        if e.kind == Kind::Event {
            let (seq, n) = state.reserved;
            if seq > end_seq && end_seq != 0 {
                state.reserved = (0, 0);
                let what = format!("{} had ended with {end} (event {end_seq}), then units were reserved for it (event {seq})", m.order);
                ctx.fail(m.order, what, EXPECTED, vec![end_n, n]);
            }
            return;
        }
        let decided_before = state.asked.iter().any(|(key, n)| key.is_some() && *key == m.key && *n < end_n);
        let account = ctx.account;
        let stopped = account.and_then(|account| account.parcel(m.fulfillment)).is_some_and(|parcel| !parcel.cancels.is_empty());
        if decided_before {
            return ctx.excuse();
        }
        if stopped && matches!(m.op, Op::CbNodeShipped | Op::CbNodeCollected) {
            return;
        }
        let what = format!("{} had ended with {end}, then {} (entry {})", m.order, in_words(m.op), e.n);
        ctx.fail(m.order, what, EXPECTED, vec![end_n, e.n]);
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        if let Some(place) = ctx.place {
            self.orders.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::QUIET;
    use crate::check::testing::*;
    use crate::history::Kind;
    use crate::model::{Id, Op};
    use crate::sim::Span;

    fn cancelled() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE).authorize(1, 50, 4800);
        h.release(1, DC1, &[(1, A, 1)], Id::NONE).claim(1, Op::OrderCancelled, |_| {});
        h
    }

    #[test]
    fn accepts_an_end_after_which_the_money_is_given_back() {
        cancelled().void(1, 50, 4800).accepts("QUIET_AFTER_END");
    }

    #[test]
    fn rejects_a_release_a_parcel_a_capture_and_a_reservation_after_the_end() {
        cancelled()
            .node_release(1, 1, DC1, &[(1, A, 1)])
            .rejects("QUIET_AFTER_END", "O1 had ended with order.cancelled, then a node took on a release");
        cancelled().ship(1, 1, DC1, &[(1, A, 1)]).rejects("QUIET_AFTER_END", "a parcel of it left");
        cancelled().fact(1, Op::CbNodeCollected, |m| parcel(m, 1)).rejects("QUIET_AFTER_END", "a pickup of it was handed over");
        cancelled().capture(1, 50, 4800).rejects("QUIET_AFTER_END", "money was captured");
        cancelled().reserve(1, DC1, &[(1, A, 1)], Id::NONE).rejects("QUIET_AFTER_END", "units were reserved for it (event 6)");
    }

    #[test]
    fn reservations_are_compared_by_number_whatever_order_they_are_heard_in() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h.hold_event(1, Op::InventoryReserved, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.claim(1, Op::OrderCancelled, |_| {}).deliver(0);
        h.accepts("QUIET_AFTER_END");
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h.hold_event(1, Op::OrderCancelled, |_| {});
        h.reserve(1, DC1, &[(1, A, 1)], Id::NONE).deliver(0);
        h.rejects("QUIET_AFTER_END", "then units were reserved for it");
    }

    #[test]
    fn a_capture_that_a_fault_held_up_was_decided_before() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800);
        h.entry(Kind::Fault, 1, Op::PaymentCapture, |m| m.key = Id(77));
        h.claim(1, Op::OrderCancelled, |_| {}).fact(1, Op::PaymentCapture, |m| {
            pays(m, 50, 4800);
            m.key = Id(77);
        });
        h.accepts("QUIET_AFTER_END");
        assert_eq!(h.judge().results.iter().find(|r| r.name == "QUIET_AFTER_END").map(|r| r.excused), Some(1));
    }

    #[test]
    fn another_capture_asked_for_before_and_one_asked_for_between_two_ends_excuse_nothing() {
        let capture = |h: &mut Story, key: u64| {
            h.fact(1, Op::PaymentCapture, |m| {
                pays(m, 50, 4800);
                m.key = Id(key);
            });
        };
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).entry(Kind::Fault, 1, Op::PaymentCapture, |m| m.key = Id(77));
        h.claim(1, Op::OrderCancelled, |_| {});
        capture(&mut h, 78);
        h.rejects("QUIET_AFTER_END", "money was captured");
        let mut h = cancelled();
        h.call(1, Op::PaymentCapture, |m| m.key = Id(77)).claim(1, Op::OrderCancelled, |_| {});
        capture(&mut h, 77);
        h.rejects("QUIET_AFTER_END", "money was captured");
    }

    #[test]
    fn a_parcel_that_its_node_had_stopped_is_not_the_targets() {
        let mut h = cancelled();
        h.fact(1, Op::NodeCancel, |m| parcel(m, 1)).ship(1, 1, DC1, &[(1, A, 1)]).accepts("QUIET_AFTER_END");
    }

    #[test]
    fn an_order_long_forgotten_stays_quiet_too() {
        let mut h = cancelled();
        h.void(1, 50, 4800).wait(QUIET + Span::from_days(2)).place(2, &[(1, A, 1)]).accept(2);
        h.ship(1, 1, DC1, &[(1, A, 1)]).rejects("QUIET_AFTER_END", "O1 had ended as `state_cancelled`, then a parcel of it left");
    }
}
