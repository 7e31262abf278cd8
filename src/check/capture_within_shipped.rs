//! CAPTURE_WITHIN_SHIPPED: money is taken for goods that have left, not before.

use super::account::Flow;
use super::coverage::GOODS;
use super::owed::{capturable, nets};
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Money, Op};

pub(super) const ABOUT: Invariant = Invariant {
    name: "CAPTURE_WITHIN_SHIPPED",
    summary: "nothing is charged before it has left",
    definition: "Under the policy `capture = on_ship`, at every capture fact: captured in all <= value of the units that have left by then (a node's `shipped` and `collected` facts), in cents by cumulative rounding, with shipping once if anything has left. An exchange (policy `exchange = net`) adds, once something of it has left, what its new goods cost more in all than what is to come back.",
    needs: "`payment.capture` facts, and the policy `on_ship`",
    traps: "other capture policies (not judged); units of an exchange may be a cent off, for what came back before them is open. A capture that the target only announced is not looked at.",
    facts_only: true,
};

#[derive(Default)]
pub(super) struct CaptureWithinShipped;

impl Checker for CaptureWithinShipped {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Fact && op == Op::PaymentCapture
    }

    fn observe(&mut self, _: &Entry, ctx: &mut Context<'_>) {
        if ctx.header.fixture.policies.capture != "on_ship" || !ctx.covers.facts(GOODS) {
            return;
        }
        let Some(account) = ctx.account.filter(|account| account.body.is_some() && nets(account, ctx)) else { return };
        ctx.judged();
        let (captured, left) = (account.sum(Flow::Captured, true), capturable(account));
        if captured > left {
            let what = format!("{} captured for {}, but only {} has left so far", Money(captured), account.no, Money(left));
            let mut evidence = account.entries_of(Flow::Captured);
            evidence.extend(account.parcels.iter().flat_map(|parcel| parcel.shipments.iter().copied()));
            ctx.fail(account.no, what, "the policy is on_ship: units are charged when they have left, and shipping once", evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::Op;

    #[test]
    fn accepts_parcels_that_are_charged_as_they_leave() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).ship(1, 2, DC1, &[(1, A, 1)]).capture(1, 50, 4000);
        h.accepts("CAPTURE_WITHIN_SHIPPED");
    }

    fn early() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).capture(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]);
        h
    }

    #[test]
    fn rejects_a_charge_before_the_goods_leave() {
        early().rejects("CAPTURE_WITHIN_SHIPPED", "48.00 captured for O1, but only 0.00 has left");
    }

    #[test]
    fn another_policy_is_not_judged() {
        let mut h = early();
        h.header.fixture.policies.capture = "on_order".into();
        assert_eq!(h.judge().verdict_of("CAPTURE_WITHIN_SHIPPED"), Verdict::NotExercised);
    }

    #[test]
    fn rejects_units_that_the_node_could_not_find() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 8800);
        h.rejects("CAPTURE_WITHIN_SHIPPED", "88.00 captured for O1, but only 48.00 has left");
    }

    /// One A (40.00) exchanged for one B at 60.00.
    fn exchanged(cents: i64) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).complete(1);
        h.exchange(1, 900, &[(1, A, 1)], &[(2, B, 1, 6000)]);
        h.event(1, Op::ExchangeCreated, |m| in_return(m, 900, &[(2, B, 1)]));
        h.authorize(1, 51, cents);
        h.fact(1, Op::CbNodeShipped, |m| {
            parcel(m, 2);
            at_node(m, DC1, &[(2, B, 1)]);
            m.ret = crate::model::Id(900);
        });
        h.capture(1, 51, cents);
        h
    }

    #[test]
    fn an_exchange_is_charged_for_its_difference() {
        exchanged(2000).accepts("CAPTURE_WITHIN_SHIPPED");
        exchanged(6000).rejects("CAPTURE_WITHIN_SHIPPED", "108.00 captured for O1");
    }
}
