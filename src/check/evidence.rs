//! EVIDENCE and EVENT_GAPLESS: can the record, and what the target says, be relied on at all?

use super::{Checker, Context, account::Arrival};
use crate::history::{Entry, Kind};
use crate::model::OrderNo;
use crate::sim::Timestamp;

/// The record itself is whole (entry numbers without a gap, times that never go back), and an event keeps its content.
///
/// A broken record is nobody's failure: it makes the verdict unknown. A changed event is the target's.
#[derive(Default)]
pub(super) struct Evidence {
    last_n: u64,
    last_at: Timestamp,
    damage: Option<(u64, String)>,
}

impl Checker for Evidence {
    fn name(&self) -> &'static str {
        "EVIDENCE"
    }
    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        ctx.judged();
        let damage = if e.n != self.last_n + 1 {
            Some(format!("entry {} follows entry {}", e.n, self.last_n))
        } else if e.at < self.last_at {
            Some(format!("entry {} is at {}, earlier than {} of the entry before it", e.n, e.at, self.last_at))
        } else {
            None
        };
        if let Some(text) = damage {
            ctx.unknown();
            self.damage.get_or_insert((e.n, text));
        }
        self.last_n = e.n;
        self.last_at = self.last_at.max(e.at);
    }
}

impl Evidence {
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_ref().map(|(_, text)| text.as_str())
    }
    /// An event arrived that is already known.
    pub(super) fn redelivered(&self, e: &Entry, arrival: Arrival, ctx: &mut Context<'_>) {
        if let Arrival::Changed { n } = arrival {
            let what = format!("event {} ({}) of {} was delivered again with other content", e.msg.id, e.msg.op, e.msg.order);
            let expected = "an event id stands for one content: who has handled it once may discard it";
            ctx.fail("EVIDENCE", e.msg.order, what, expected, vec![n, e.n]);
        }
    }
}

/// The events of one order, once all is at rest, number 1, 2, 3, .. without a hole. A target that commits a fact and loses
/// its event deceives everybody who listens. Events without numbers (a target that is only sampled) are not judged.
#[derive(Default)]
pub(super) struct EventGapless;

impl Checker for EventGapless {
    fn name(&self) -> &'static str {
        "EVENT_GAPLESS"
    }
    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        if e.kind == Kind::Event && e.msg.seq != 0 && e.msg.order.is_some() {
            ctx.judged();
        }
    }
    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some((missing, next)) = ctx.ledger.order(order).and_then(|account| account.hole()) else { return };
        if ctx.at_rest {
            let what = format!("event {missing} of {order} was never heard, though later ones were");
            ctx.fail(self.name(), order, what, "every committed event is delivered at least once: 1, 2, 3, .. without a hole", vec![next]);
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
        h.accepts("EVIDENCE").accepts("EVENT_GAPLESS");
    }

    #[test]
    fn rejects_an_event_that_comes_back_changed() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        let last = h.event(1, Op::OrderCompleted, |_| {});
        h.again_with(last, |m| m.amount.0 = 77);
        h.rejects("EVIDENCE", "other content");
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

    #[test]
    fn a_record_with_a_gap_is_unknown() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).complete(1);
        h.remove(1);
        assert_eq!(h.judge().verdict_of("EVIDENCE"), Verdict::Unknown);
        assert_ne!(h.judge().verdict, Verdict::Pass);
    }
}
