//! EVENT_STABLE: an event keeps its content.

use super::{Checker, Context, Invariant, account::Arrival};
use crate::history::Entry;

pub(super) const ABOUT: Invariant = Invariant {
    name: "EVENT_STABLE",
    summary: "an event keeps its content",
    definition: "The same event id always says the same: operation, references, quantities, amounts, lines, `seq`. Who has handled an event once may discard it when it comes again.",
    needs: "events that are delivered again under their id",
    traps: "delivery data may differ between two deliveries, so `cause` and times are not compared.",
    facts_only: false,
};

/// The books compare digests; what comes here is an event whose id they know.
#[derive(Default)]
pub(super) struct EventStable;

impl Checker for EventStable {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears_again(&self) -> bool {
        true
    }
    fn again(&mut self, e: &Entry, arrival: Arrival, ctx: &mut Context<'_>) {
        ctx.judged();
        if let Arrival::Changed { n } = arrival {
            let what = format!("event {} ({}) of {} was delivered again with other content", e.msg.id, e.msg.op, e.msg.order);
            let expected = "an event id stands for one content: who has handled it once may discard it";
            ctx.fail(e.msg.order, what, expected, vec![n, e.n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::Op;

    #[test]
    fn accepts_an_event_that_comes_again_as_it_was() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        let last = h.event(1, Op::InventoryReserved, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.again(last);
        h.accepts("EVENT_STABLE");
    }

    #[test]
    fn rejects_an_event_that_comes_back_changed() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        let last = h.event(1, Op::OrderCompleted, |_| {});
        h.again_with(last, |m| m.amount.0 = 77);
        h.rejects("EVENT_STABLE", "other content");
    }

    #[test]
    fn is_not_exercised_where_nothing_comes_again() {
        let mut h = Story::new();
        h.plain_order(1);
        assert_eq!(h.judge().verdict_of("EVENT_STABLE"), Verdict::NotExercised);
    }
}
