//! CAPTURE_COMPLETE: at rest, what left has been charged, and nothing else.

use super::account::Flow;
use super::coverage::{GOODS, MONEY};
use super::owed::{Owed, nets, owed};
use super::{Checker, Context, Invariant};
use crate::model::{Money, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "CAPTURE_COMPLETE",
    summary: "what left was charged, to the cent",
    definition: "At rest, for an order that ended with no return under way: captured = value of the units that left, in cents: n units of a line of q units for t are worth `round_half_up(t*n/q)`, with shipping once if anything left. Of an exchange (policy `exchange = net`) only what the new goods that left cost more than what came back. What was captured beyond that must have been paid back besides what REFUND_EXACT asks for. With REFUND_EXACT: captured - refunded = value of what the shopper keeps.",
    needs: "payment and parcel facts, and the end of the order",
    traps: "an order parked with an exception (not judged: a person decides about its money); an exchange whose lines may be hidden by a lost event (unknown); where an exchange and a return share a line, one cent each is open. That the order ended is the only claim used.",
    facts_only: true,
};

#[derive(Default)]
pub(super) struct CaptureComplete;

impl Checker for CaptureComplete {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        if !(ctx.covers.facts(MONEY) && ctx.covers.facts(GOODS)) {
            return;
        }
        let Some(account) = ctx.account.filter(|a| a.body.is_some() && a.is_over(ctx.covers) && !a.is_parked() && nets(a, ctx)) else {
            return;
        };
        ctx.judged();
        // the lines of an exchange are known from its event
        if !ctx.at_rest || ctx.suspended && !account.returns.is_empty() {
            return ctx.unknown();
        }
        let Owed { captured: due, refunded: back, slack } = owed(account);
        let (captured, refunded) = (account.sum(Flow::Captured, true), account.sum(Flow::Refunded, true));
        let (beyond, paid_back) = (captured - due, refunded - back);
        if beyond.abs() <= slack || beyond > 0 && (beyond - paid_back).abs() <= slack {
            return;
        }
        let short = if beyond < 0 { "too little" } else { "too much" };
        let what = format!("{} captured for {order}, {} is due: {} {short}", Money(captured), Money(due), Money(beyond.abs()));
        let mut evidence = account.entries_of(Flow::Captured);
        evidence.extend(account.parcels.iter().flat_map(|parcel| parcel.shipments.iter().copied()));
        evidence.push(account.ends.first().map_or(0, |(_, n)| *n));
        ctx.fail(order, what, "captured = value of the units that left, with shipping once", evidence);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::Op;

    #[test]
    fn accepts_an_order_partly_cancelled_and_its_remainder_voided() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800);
        h.event(1, Op::LineCancelled, |m| lines(m, &[(1, A, 1)]));
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).void(1, 50, 4000).complete(1);
        h.accepts("CAPTURE_COMPLETE");
    }

    #[test]
    fn rejects_a_charge_for_what_never_left() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 8800).complete(1);
        h.rejects("CAPTURE_COMPLETE", "88.00 captured for O1, 48.00 is due: 40.00 too much");
        assert_eq!(h.cut_short().verdict_of("CAPTURE_COMPLETE"), Verdict::Unknown);
    }

    #[test]
    fn accepts_a_charge_too_much_that_was_paid_back() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 8800);
        h.refund(1, 50, 0, 4000).complete(1);
        h.accepts("CAPTURE_COMPLETE").accepts("REFUND_EXACT");
    }

    #[test]
    fn rejects_goods_that_left_and_were_never_charged() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]).complete(1);
        h.rejects("CAPTURE_COMPLETE", "0.00 captured for O1, 48.00 is due: 48.00 too little");
    }

    #[test]
    fn rejects_shipping_charged_with_each_parcel() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 9600);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).ship(1, 2, DC1, &[(1, A, 1)]).capture(1, 50, 4800).complete(1);
        h.rejects("CAPTURE_COMPLETE", "96.00 captured for O1, 88.00 is due");
    }

    #[test]
    fn does_not_judge_an_order_that_somebody_has_to_look_at() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]);
        h.event(1, Op::ExceptionRaised, |_| {});
        assert_eq!(h.judge().verdict_of("CAPTURE_COMPLETE"), Verdict::NotExercised);
    }
}
