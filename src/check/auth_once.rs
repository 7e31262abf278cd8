//! AUTH_ONCE: no more money is blocked than the order costs, and none once it has ended.

use super::account::Flow;
use super::owed::authorizable;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Money, Op, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "AUTH_ONCE",
    summary: "money is blocked once, and set free again",
    definition: "At every authorization fact: live authorizations of the order (authorized, less captured, voided and expired, in cents) <= what the order and its exchanges cost, less what was captured already. At rest, for an order that ended with no return under way: nothing stays authorized, and nothing that was authorized before the end expired only after it: what is not needed is voided.",
    needs: "`payment.authorize` facts; for the second half the end of the order, which is the only claim used",
    traps: "authorizing anew after one expired or was voided, and one authorization for each parcel or exchange: sums are compared, not numbers of authorizations. An exchange in advance may block the full price of its new goods. An order parked with an exception (not judged at rest).",
    facts_only: true,
};

#[derive(Default)]
pub(super) struct AuthOnce;

impl Checker for AuthOnce {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Fact && op == Op::PaymentAuthorize
    }

    fn observe(&mut self, _: &Entry, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
        ctx.judged();
        let open = account.auths.iter().filter(|auth| auth.open() > 0);
        let (live, evidence): (i64, Vec<u64>) = open.fold((0, Vec::new()), |(sum, mut list), auth| {
            list.push(auth.made.n);
            (sum + auth.open(), list)
        });
        let owes = (authorizable(account) - account.sum(Flow::Captured, true)).max(0);
        if live > owes {
            let what = format!(
                "{} is blocked for {} by {} live authorizations, but it costs no more than another {}",
                Money(live),
                account.no,
                evidence.len(),
                Money(owes)
            );
            ctx.fail(account.no, what, "one live authorization for what is still to be paid: another only when it expired or was voided", evidence);
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|a| a.is_over(ctx.covers) && !a.is_parked() && !a.auths.is_empty()) else { return };
        ctx.judged();
        if !ctx.at_rest {
            return ctx.unknown();
        }
        let end = account.ends.first().map_or(0, |(_, n)| *n);
        for auth in account.auths.iter().filter(|auth| auth.expired > 0 && auth.made.n < end && end < auth.closed.n) {
            let what = format!("{} stayed authorized for {order} after it had ended, until it expired", Money(auth.expired));
            ctx.fail(order, what, "an unused authorization is voided, not left to expire", vec![auth.made.n, end, auth.closed.n]);
        }
        let open: Vec<_> = account.auths.iter().filter(|auth| auth.open() > 0).collect();
        if !open.is_empty() {
            let sum = Money(open.iter().map(|auth| auth.open()).sum());
            let mut evidence: Vec<u64> = open.iter().map(|auth| auth.made.n).collect();
            evidence.push(end);
            ctx.fail(order, format!("{sum} stays authorized for {order}, which has ended"), "an unused authorization is voided", evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, Id, Op, Outcome};

    fn authorized() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800);
        h
    }

    #[test]
    fn accepts_an_authorization_after_one_that_expired_or_was_voided() {
        let mut h = authorized();
        h.fact(1, Op::CbPaymentExpired, |m| pays(m, 50, 4800)).authorize(1, 51, 4800).void(1, 51, 4800).authorize(1, 52, 4800);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 52, 4800).complete(1);
        h.accepts("AUTH_ONCE");
    }

    #[test]
    fn accepts_an_authorization_for_each_parcel() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 4800).authorize(1, 51, 4000);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).ship(1, 2, DC1, &[(1, A, 1)]).capture(1, 51, 4000).complete(1);
        h.accepts("AUTH_ONCE");
    }

    #[test]
    fn rejects_a_second_live_authorization() {
        let mut h = authorized();
        h.authorize(1, 51, 4800);
        h.rejects("AUTH_ONCE", "96.00 is blocked for O1 by 2 live authorizations, but it costs no more than another 48.00");
    }

    #[test]
    fn an_authorization_that_was_voided_is_none_of_those_that_live() {
        let mut h = authorized();
        h.void(1, 50, 4800).authorize(1, 51, 4800).authorize(1, 52, 4800);
        h.rejects("AUTH_ONCE", "by 2 live authorizations");
    }

    #[test]
    fn rejects_an_authorization_for_what_was_captured_already() {
        let mut h = authorized();
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).authorize(1, 51, 4800);
        h.rejects("AUTH_ONCE", "another 0.00");
    }

    #[test]
    fn rejects_an_authorization_left_open() {
        let mut h = authorized();
        h.cancel(1);
        h.event(1, Op::OrderCancelled, |_| {});
        h.rejects("AUTH_ONCE", "48.00 stays authorized for O1, which has ended");
        assert_eq!(h.cut_short().verdict_of("AUTH_ONCE"), Verdict::Unknown);
    }

    #[test]
    fn rejects_an_authorization_left_to_expire() {
        let mut h = authorized();
        h.event(1, Op::OrderCancelled, |_| {});
        h.fact(1, Op::CbPaymentExpired, |m| pays(m, 50, 4800));
        h.rejects("AUTH_ONCE", "48.00 stayed authorized for O1 after it had ended, until it expired");
    }

    #[test]
    fn accepts_an_authorization_that_expired_by_itself() {
        let mut h = authorized();
        h.fact(1, Op::CbPaymentExpired, |m| pays(m, 50, 4800));
        h.event(1, Op::OrderCancelled, |_| {});
        h.accepts("AUTH_ONCE");
    }

    /// One A (40.00) exchanged for one B at 60.00, for which `cents` are blocked.
    fn exchange(code: Code, cents: i64) -> Story {
        let mut h = authorized();
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).complete(1);
        let mut body = crate::model::Order::clone(&h.body(&[(2, B, 1)]));
        (body.lines[0].unit_price, body.shipping) = (crate::model::Money(6000), crate::model::Money::ZERO);
        let id = h.sent(1, Op::RequestExchange, |m| {
            in_return(m, 900, &[(1, A, 1)]);
            (m.code, m.body, m.ret) = (code, Some(std::sync::Arc::new(body)), Id(900));
        });
        h.reply(id, Outcome::Ok).authorize(1, 51, cents);
        h
    }

    #[test]
    fn an_exchange_blocks_its_difference_and_in_advance_at_most_the_whole() {
        exchange(Code::OnReceipt, 2000).accepts("AUTH_ONCE");
        exchange(Code::OnReceipt, 6000).rejects("AUTH_ONCE", "60.00 is blocked for O1");
        exchange(Code::Advance, 6000).accepts("AUTH_ONCE");
        exchange(Code::Advance, 6001).rejects("AUTH_ONCE", "60.01 is blocked for O1");
    }
}
