//! REFUND_EXACT: refunded is exactly what the returned units were worth.

use super::account::{Account, Flow};
use super::coverage::MONEY;
use super::owed::{Owed, nets, owed};
use super::{Checker, Context, Invariant};
use crate::model::{Money, Op, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "REFUND_EXACT",
    summary: "refunded is exactly what the returned units were worth",
    definition: "At rest refunded = value of the units given back: n units of a line of q units for t are worth `round_half_up(t*n/q)`, and units k+1..n the difference of two such values, so parts always sum to the whole. An exchange refunds only what the new goods that left were cheaper (policy `exchange = net`; else orders with an exchange are not judged); shipping is kept. Under a policy `rounding` other than `cumulative` a cent a unit is open. What was captured beyond the goods that left may be paid back besides.",
    needs: "`node.inspected` facts; for `keep`, an accepted request.",
    traps: "returns that were refused or called off; an exchange under way (unknown); an order parked with an exception (not judged); where an exchange and a return share a line, one cent each is open.",
    facts_only: true,
};

/// At rest: refunded is the value of all units given back, each line valued by
/// cumulative rounding from its first returned unit on, less the new goods that left in exchange; shipping is not refunded.
/// What was captured beyond the value of the goods that left may be paid back besides.
///
/// Traps: only returns that the target took on count, and only units that were inspected (or that the shopper keeps with
/// leave); an exchange under way and an order parked in an exception queue are not judged; where an exchange and a return
/// share a line, the order of units among them is open, and so is one cent each.
#[derive(Default)]
pub(super) struct RefundExact;

impl Checker for RefundExact {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
        let refunded = account.sum(Flow::Refunded, true);
        let came_back = account.returns.iter().any(|ret| !ret.units().is_empty());
        let recorded = ctx.covers.facts(MONEY) && ctx.covers.facts(&[Op::CbNodeInspected]);
        if refunded == 0 && !came_back || account.is_parked() || !nets(account, ctx) || !recorded {
            return;
        }
        ctx.judged();
        let exchange_open = account.returns.iter().any(|ret| ret.exchange && ret.is_open());
        let exchange_hidden = ctx.suspended && account.returns.iter().any(|ret| ret.exchange);
        if !ctx.at_rest || exchange_open || exchange_hidden {
            return ctx.unknown();
        }
        let Owed { captured, refunded: due, slack } = owed(account);
        // under another rounding each unit may be a cent off
        let units = || account.returns.iter().flat_map(|ret| ret.units().iter()).map(|q| i64::from(q.qty)).sum::<i64>();
        let slack = if ctx.header.fixture.policies.rounding == "cumulative" { slack } else { slack + units() };
        let beyond = (account.sum(Flow::Captured, true) - captured).max(0);
        if (refunded - due).abs() > slack && (refunded - due - beyond).abs() > slack {
            let what = format!("{} refunded to {order}, {} was due", Money(refunded), Money(due));
            let mut evidence: Vec<u64> =
                account.returns.iter().map(|ret| if ret.inspected.is_set() { ret.inspected.n } else { ret.requested.n }).collect();
            evidence.extend(account.entries_of(Flow::Refunded));
            let expected = format!("refund = value of the units given back, less new goods in exchange{}", per_line(account));
            ctx.fail(order, what, expected, evidence);
        }
    }
}

fn per_line(account: &Account) -> String {
    let back = account.lines.iter().filter(|line| account.returned(line) > 0);
    back.map(|line| format!("; line {}: {} of {} units of {}", line.line.0, account.returned(line), line.qty, line.total)).collect()
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Money, Op, Order, Outcome};
    use std::sync::Arc;

    /// Three units for 100.00, of which `first` and then `second` come back.
    fn returned(first: i64, second: i64) -> Story {
        let mut h = Story::new();
        let mut body = Order::clone(&h.body(&[(1, A, 3)]));
        body.lines[0].discount = Money(2000);
        h.place_with(1, Arc::new(body), Outcome::Ok).accept(1).authorize(1, 50, 10800);
        h.ship(1, 1, DC1, &[(1, A, 3)]).capture(1, 50, 10800).complete(1);
        h.request_return(1, 900, &[(1, A, 1)]).give_back(1, 900, &[(1, A, 1)]).refund(1, 50, 900, first);
        h.request_return(1, 901, &[(1, A, 1)]).give_back(1, 901, &[(1, A, 1)]).refund(1, 50, 901, second);
        h
    }

    #[test]
    fn accepts_refunds_that_round_cumulatively() {
        returned(3333, 3334).accepts("REFUND_EXACT");
    }

    #[test]
    fn rejects_refunds_that_round_each_unit() {
        let finding = returned(3333, 3333).rejects("REFUND_EXACT", "66.66 refunded to O1, 66.67 was due");
        assert!(finding.expected.ends_with("; line 1: 2 of 3 units of 100.00"), "{}", finding.expected);
        let mut per_unit = returned(3333, 3333);
        per_unit.header.fixture.policies.rounding = "per_unit".into();
        per_unit.accepts("REFUND_EXACT");
        assert_eq!(returned(3333, 3333).cut_short().verdict_of("REFUND_EXACT"), Verdict::Unknown);
    }

    #[test]
    fn rejects_a_refund_that_nothing_came_back_for() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).refund(1, 50, 0, 4800);
        h.rejects("REFUND_EXACT", "48.00 refunded to O1, 0.00 was due");
    }

    #[test]
    fn rejects_a_refund_for_a_return_that_was_refused() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800);
        h.request_return(1, 900, &[(1, A, 1)]);
        h.event(1, Op::ReturnRejected, |m| in_return(m, 900, &[]));
        h.refund(1, 50, 900, 4000);
        h.rejects("REFUND_EXACT", "40.00 refunded to O1, 0.00 was due");
    }

    #[test]
    fn goods_of_a_return_that_was_called_off_are_owed_nothing() {
        for end in [Op::ReturnRejected, Op::ReturnCancelled] {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800);
            h.request_return(1, 900, &[(1, A, 1)]).claim(1, end, |m| in_return(m, 900, &[])).give_back(1, 900, &[(1, A, 1)]);
            h.refund(1, 50, 900, 4000).rejects("REFUND_EXACT", "40.00 refunded to O1, 0.00 was due");
        }
    }

    /// One A (40.00) exchanged for one B at `price`.
    fn exchanged(price: i64, refund: i64, capture: i64) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).complete(1);
        h.exchange(1, 900, &[(1, A, 1)], &[(2, B, 1, price)]);
        h.event(1, Op::ExchangeCreated, |m| in_return(m, 900, &[(2, B, 1)]));
        h.give_back(1, 900, &[(1, A, 1)]);
        if refund != 0 {
            h.refund(1, 50, 900, refund);
        }
        if capture != 0 {
            h.authorize(1, 51, capture).capture(1, 51, capture);
        }
        h.ship(1, 2, DC1, &[(2, B, 1)]);
        h.event(1, Op::ExchangeCompleted, |m| in_return(m, 900, &[]));
        h
    }

    #[test]
    fn accepts_exchanges_that_settle_the_difference() {
        for (price, refund, capture) in [(4000, 0, 0), (6000, 0, 2000), (2500, 1500, 0)] {
            exchanged(price, refund, capture).accepts("REFUND_EXACT").accepts("CAPTURE_COMPLETE");
        }
    }

    #[test]
    fn an_exchange_under_a_policy_that_it_does_not_know_is_not_judged() {
        let mut h = exchanged(4000, 4000, 4000);
        h.header.fixture.policies.exchange = "separate".into();
        assert_eq!(h.judge().verdict_of("REFUND_EXACT"), Verdict::NotExercised);
    }

    #[test]
    fn rejects_an_exchange_that_is_refunded_on_top() {
        exchanged(4000, 4000, 0).rejects("REFUND_EXACT", "40.00 refunded to O1, 0.00 was due");
    }
}
