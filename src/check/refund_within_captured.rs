//! REFUND_WITHIN_CAPTURED: nobody gets back more than they paid.

use super::account::Flow;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Money, Op};

pub(super) const ABOUT: Invariant = Invariant {
    name: "REFUND_WITHIN_CAPTURED",
    summary: "nobody gets back more than was captured",
    definition: "At every refund fact: refunded <= captured, in cents, for the order and for the payment (the authorization that was captured) that is refunded. What was only authorized is voided, not refunded.",
    needs: "`payment.refund` facts",
    traps: "none in time, for both sides stand in the payment partner's books; a refund retried under its key leaves no second fact. A refund whose fact names no payment is held against the order alone.",
    facts_only: true,
};

#[derive(Default)]
pub(super) struct RefundWithinCaptured;

impl Checker for RefundWithinCaptured {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Fact && op == Op::PaymentRefund
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        if !ctx.covers.facts(&[Op::PaymentCapture]) {
            return;
        }
        let Some(account) = ctx.account else { return };
        ctx.judged();
        let of = |flow: Flow| account.money.iter().filter(move |m| m.fact && m.flow == flow);
        let evidence = |paid: bool| {
            let moves = of(Flow::Captured).chain(of(Flow::Refunded));
            moves.filter(|m| !paid || m.pay == e.msg.pay).map(|m| m.n).collect::<Vec<u64>>()
        };
        let (captured, refunded) = (account.sum(Flow::Captured, true), account.sum(Flow::Refunded, true));
        if refunded > captured {
            let what = format!("{} refunded to {}, but only {} captured", Money(refunded), account.no, Money(captured));
            return ctx.fail(account.no, what, "refunds stay within captures: what was only authorized is voided", evidence(false));
        }
        if e.msg.pay.is_none() {
            return;
        }
        let on_it = |flow| of(flow).filter(|m| m.pay == e.msg.pay).map(|m| m.amount).sum::<i64>();
        let (captured, refunded) = (on_it(Flow::Captured), on_it(Flow::Refunded));
        if refunded > captured {
            let pay = e.msg.pay;
            let what = format!("{} refunded to {} on payment {pay}, of which only {} was captured", Money(refunded), account.no, Money(captured));
            ctx.fail(account.no, what, "money goes back the way it came: no payment is refunded beyond what was captured on it", evidence(true));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;

    /// Two parcels on two payments of 48.00 and 40.00; then a refund on one of them.
    fn two_payments(pay: u64, cents: i64) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800);
        h.authorize(1, 51, 4000).ship(1, 2, DC1, &[(1, A, 1)]).capture(1, 51, 4000).complete(1);
        h.refund(1, pay, 900, cents);
        h
    }

    #[test]
    fn accepts_refunds_of_what_each_payment_took() {
        let mut h = two_payments(50, 4800);
        h.refund(1, 51, 901, 3200);
        h.accepts("REFUND_WITHIN_CAPTURED");
    }

    #[test]
    fn rejects_a_refund_beyond_what_was_captured() {
        two_payments(50, 8801).rejects("REFUND_WITHIN_CAPTURED", "88.01 refunded to O1, but only 88.00 captured");
    }

    #[test]
    fn rejects_a_refund_of_money_that_was_only_authorized() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).refund(1, 50, 0, 4800);
        h.rejects("REFUND_WITHIN_CAPTURED", "48.00 refunded to O1, but only 0.00 captured");
    }

    #[test]
    fn rejects_a_refund_on_another_payment_than_the_one_that_took_the_money() {
        two_payments(51, 4100).rejects("REFUND_WITHIN_CAPTURED", "41.00 refunded to O1 on payment 33, of which only 40.00 was captured");
        two_payments(52, 100).rejects("REFUND_WITHIN_CAPTURED", "on payment 34, of which only 0.00 was captured");
    }
}
