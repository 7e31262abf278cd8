//! EVENT_GAPLESS: no event is lost.

use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Op, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "EVENT_GAPLESS",
    summary: "no event is lost",
    definition: "At rest the events of an order are numbered 1, 2, 3, .. without a hole.",
    needs: "`seq`.",
    traps: "late and reordered events fill the hole, so nothing is judged before rest. A tail that is missing leaves no hole: NO_LOST and PARTNER_AGREEMENT see it. While an order has a hole, checks that follow from its claims are unknown for it.",
    facts_only: false,
};

/// The events of one order, once all is at rest, number 1, 2, 3, .. without a hole. A target that commits a fact and loses
/// its event deceives everybody who listens. Events without numbers (a target that is only sampled) are not judged.
#[derive(Default)]
pub(super) struct EventGapless;

impl Checker for EventGapless {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, _: Kind, _: Op) -> bool {
        false
    }
    fn observe(&mut self, _: &Entry, _: &mut Context<'_>) {}
    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account else { return };
        ctx.judged_so_often(account.numbered());
        let Some((missing, next)) = account.hole() else { return };
        if ctx.at_rest {
            let what = format!("event {missing} of {order} was never heard, though later ones were");
            ctx.fail(order, what, "every committed event is delivered at least once: 1, 2, 3, .. without a hole", vec![next]);
        } else {
            ctx.unknown();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::Op;

    #[test]
    fn accepts_a_redelivered_event_and_a_late_one() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        let last = h.event(1, Op::InventoryReserved, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.again(last);
        let (third, fourth) =
            (h.hold_event(1, Op::FulfillmentAllocated, |m| parcel(m, 1)), h.hold_event(1, Op::FulfillmentReleased, |m| parcel(m, 1)));
        h.deliver(fourth).deliver(third);
        h.accepts("EVENT_GAPLESS");
    }

    #[test]
    fn rejects_a_hole_in_the_events_at_rest() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h.hold_event(1, Op::InventoryReserved, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.event(1, Op::OrderCompleted, |_| {});
        h.rejects("EVENT_GAPLESS", "event 2 of O1");
    }

    #[test]
    fn a_hole_in_a_record_cut_short_is_unknown() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h.hold_event(1, Op::InventoryReserved, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.event(1, Op::OrderCompleted, |_| {});
        assert_eq!(h.cut_short().verdict_of("EVENT_GAPLESS"), Verdict::Unknown);
    }
}
