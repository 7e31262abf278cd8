//! ACCEPT_ONCE: one order, one acceptance.

use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::Op;

pub(super) const ABOUT: Invariant = Invariant {
    name: "ACCEPT_ONCE",
    summary: "one order, one acceptance",
    definition: "At most one distinct `order.accepted`.",
    needs: "`order.accepted` events",
    traps: "redelivery; distinct ids are counted.",
    facts_only: false,
};

/// For each order of the harness the target accepts at most one order of its own, however often the command arrives.
///
/// Needs: `order.accepted`. Trap: the same event delivered again is legal; distinct event ids are counted, not deliveries.
#[derive(Default)]
pub(super) struct AcceptOnce;

impl Checker for AcceptOnce {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Event && op == Op::OrderAccepted
    }
    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        ctx.judged();
        let Some(account) = ctx.account else { return };
        if account.accepted.len() > 1 {
            let mut evidence = vec![account.placed.n, account.placed_last];
            evidence.extend(account.accepted.iter().take(3));
            let what = format!("{} was accepted {} times, by distinct events", e.msg.order, account.accepted.len());
            ctx.fail(e.msg.order, what, "a command that arrives again creates nothing new", evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::{Op, Outcome};

    #[test]
    fn accepts_a_command_that_was_sent_twice_and_an_event_that_was_delivered_twice() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).resend(1, Outcome::Replayed);
        let accepted = h.event(1, Op::OrderAccepted, |_| {});
        h.again(accepted);
        h.accepts("ACCEPT_ONCE");
    }

    #[test]
    fn rejects_two_acceptances_of_one_order() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).resend(1, Outcome::Ok).accept(1).accept(1);
        let finding = h.rejects("ACCEPT_ONCE", "accepted 2 times");
        assert_eq!(finding.evidence, [1, 3, 5, 6], "both commands and both events");
    }
}
