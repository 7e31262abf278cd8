//! MONEY_CONSERVED: charged is exactly what the shopper keeps.

use super::account::Flow;
use super::coverage::{GOODS, MONEY, RETURNS};
use super::{Checker, Context, Invariant};
use crate::model::{Money, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "MONEY_CONSERVED",
    summary: "charged is exactly what the shopper keeps",
    definition: "At rest, for an order that ended with no return under way: captured - refunded = value of units that left less units given back, with shipping once if anything left; no authorization stays open.",
    needs: "payment and parcel facts, and the end of the order",
    traps: "parked orders are not judged. That the order ended is the only claim used.",
    facts_only: true,
};

/// At rest, for an order that ended and has no return or exchange under way: captured less refunded is the value of the
/// units that left and did not come back (cumulative rounding), with shipping once if anything left; so nothing is kept for
/// units that were cancelled. And every authorization is used up, voided or expired.
///
/// Money and goods are facts; only that the order ended is the target's word. Traps: an order parked in an exception queue is
/// not judged; the lines of an exchange are known from `exchange.created`, so a lost event leaves an exchange open.
#[derive(Default)]
pub(super) struct MoneyConserved;

impl Checker for MoneyConserved {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        if !(ctx.covers.facts(MONEY) && ctx.covers.facts(GOODS)) {
            return;
        }
        let Some(account) = ctx.ledger.order(order).filter(|a| a.body.is_some() && a.is_over() && !a.is_parked()) else { return };
        if account.sum(Flow::Refunded, true) != 0 && !ctx.covers.facts(RETURNS) {
            return;
        }
        ctx.judged();
        if !ctx.at_rest || ctx.suspended && !account.returns.is_empty() {
            return ctx.unknown();
        }
        let end = account.ends.first().map_or(0, |(_, n)| *n);
        let (captured, refunded) = (account.sum(Flow::Captured, true), account.sum(Flow::Refunded, true));
        let kept = account.value_kept();
        if captured - refunded != kept {
            let what = format!("{} captured and {} refunded for {order}: {} net", Money(captured), Money(refunded), Money(captured - refunded));
            let expected = format!("{}, the value of what left and did not come back, with shipping once", Money(kept));
            let mut evidence = [account.entries_of(Flow::Captured), account.entries_of(Flow::Refunded)].concat();
            evidence.extend(account.parcels.iter().flat_map(|parcel| parcel.shipments.iter().copied()));
            evidence.push(end);
            ctx.fail(order, what, expected, evidence);
        }
        let open: Vec<_> = account.auths.iter().filter(|auth| auth.open() > 0).collect();
        if !open.is_empty() {
            let sum = Money(open.iter().map(|auth| auth.open()).sum());
            let mut evidence: Vec<u64> = open.iter().map(|auth| auth.made.n).collect();
            evidence.push(end);
            let what = format!("{sum} stays authorized for {order}, which has ended");
            ctx.fail(order, what, "an unused authorization is voided", evidence);
        }
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
        h.accepts("MONEY_CONSERVED");
    }

    #[test]
    fn rejects_a_charge_for_what_never_left() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 8800).complete(1);
        h.rejects("MONEY_CONSERVED", "88.00 net");
        assert_eq!(h.cut_short().verdict_of("MONEY_CONSERVED"), Verdict::Unknown);
    }

    #[test]
    fn rejects_shipping_charged_with_each_parcel() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 9600);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).ship(1, 2, DC1, &[(1, A, 1)]).capture(1, 50, 4800).complete(1);
        h.rejects("MONEY_CONSERVED", "96.00 net");
    }

    #[test]
    fn rejects_an_authorization_left_open() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800);
        h.cancel(1);
        h.event(1, Op::OrderCancelled, |_| {});
        h.rejects("MONEY_CONSERVED", "48.00 stays authorized");
    }

    #[test]
    fn accepts_an_authorization_that_expired() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800);
        h.fact(1, Op::CbPaymentExpired, |m| pays(m, 50, 4800));
        h.event(1, Op::OrderCancelled, |_| {});
        h.accepts("MONEY_CONSERVED");
    }
}
