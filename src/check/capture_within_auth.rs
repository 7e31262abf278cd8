//! CAPTURE_WITHIN_AUTH: nobody is charged more than they agreed to.

use super::account::Flow;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::Op;

pub(super) const ABOUT: Invariant = Invariant {
    name: "CAPTURE_WITHIN_AUTH",
    summary: "nobody is charged more than was authorized",
    definition: "At every capture fact: captured <= authorized for the order and for the authorization; none on a voided or expired one.",
    needs: "`payment.capture` facts",
    traps: "none; a retry under its key leaves no second fact.",
    facts_only: true,
};

/// At every capture: captured in all is at most authorized in all for the order; each authorization is captured for at most
/// its amount; and nothing is captured on one that was voided or has expired.
///
/// Facts only (the payment partner's books): no trap of timing exists, and a retry under the same key leaves no second fact.
/// A record without any authorization comes from a partner that knows none: nothing is judged.
#[derive(Default)]
pub(super) struct CaptureWithinAuth;

impl Checker for CaptureWithinAuth {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Fact && op == Op::PaymentCapture
    }
    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        if !ctx.covers.facts(&[Op::PaymentAuthorize]) {
            return;
        }
        let Some(account) = ctx.account else { return };
        ctx.judged();
        let captures = || account.entries_of(Flow::Captured);
        let Some(auth) = account.auths.iter().find(|auth| auth.pay == e.msg.pay) else {
            let what = format!("{} captured for {} on an authorization ({}) that does not exist", e.msg.amount, account.no, e.msg.pay);
            return ctx.fail(account.no, what, "a capture needs an authorization", vec![e.n]);
        };
        let (captured, authorized) = (account.sum(Flow::Captured, true), account.sum(Flow::Authorized, true));
        let money = |cents| crate::model::Money(cents);
        let mut evidence = captures();
        evidence.insert(0, auth.made.n);
        if auth.closed.is_set() {
            let why = if auth.voided > 0 { "voided" } else { "expired" };
            evidence.push(auth.closed.n);
            let what = format!("{} captured for {} on an authorization that was {why} before", e.msg.amount, account.no);
            ctx.fail(account.no, what, "a closed authorization takes no capture", evidence);
        } else if captured > authorized || auth.captured > auth.amount {
            let (captured, authorized) = if captured > authorized { (captured, authorized) } else { (auth.captured, auth.amount) };
            let what = format!("{} captured for {}, but only {} authorized", money(captured), account.no, money(authorized));
            ctx.fail(account.no, what, "captures stay within the authorization", evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::Op;

    #[test]
    fn accepts_captures_that_sum_to_the_authorization() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).capture(1, 50, 4800).capture(1, 50, 4000);
        h.accepts("CAPTURE_WITHIN_AUTH");
    }

    #[test]
    fn rejects_a_capture_retried_under_another_key() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).capture(1, 50, 4800).capture(1, 50, 4800);
        h.rejects("CAPTURE_WITHIN_AUTH", "96.00 captured for O1, but only 48.00 authorized");
    }

    #[test]
    fn rejects_a_capture_on_a_voided_authorization() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800);
        h.fact(1, Op::PaymentVoid, |m| pays(m, 50, 4800));
        h.capture(1, 50, 4800);
        h.rejects("CAPTURE_WITHIN_AUTH", "voided before");
    }
}
