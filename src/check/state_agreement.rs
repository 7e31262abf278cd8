//! STATE_AGREEMENT: what the target answers is what it announced.

use super::account::Flow;
use super::{Checker, Context, Invariant};
use crate::model::{Code, Money, Op, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "STATE_AGREEMENT",
    summary: "what the target answers is what it announced",
    definition: "At rest `GetOrder` = fold(events): the state is that of the order's last end event (`exception` while it is open and `exception.raised` came); the units still reserved are reserved - released - shipped or picked up; the amount is captured - refunded, in minor units.",
    needs: "`GetOrder` at rest; `inventory.*`, `payment.*` and end events",
    traps: "an order with a lost event is unknown; an order that the target does not know any more is NO_LOST's finding; a target that announces neither reservations nor money is not compared in them",
    facts_only: false,
};

#[derive(Default)]
pub(super) struct StateAgreement;

impl Checker for StateAgreement {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account else { return };
        let Some(said) = account.said.filter(|said| !matches!(said.code, Code::UnknownOrder | Code::None)) else { return };
        let Some((_, last)) = account.last_claim else { return };
        ctx.judged();
        if ctx.suspended {
            return ctx.unknown();
        }
        let told = match account.ends.last() {
            Some((Op::OrderCompleted, _)) => Code::StateCompleted,
            Some((Op::OrderCancelled, _)) => Code::StateCancelled,
            Some(_) => Code::StateRejected,
            None if account.exception.is_set() && said.code == Code::StateException => Code::StateException,
            None => Code::StateOpen,
        };
        let expected = "what is answered when asked is the sum of what was announced";
        let claims = |op: Op| ctx.covers.claims(&[op]);
        // an end that this record never tells of is not held against the answer
        let tells_ends = match said.code {
            Code::StateCompleted => claims(Op::OrderCompleted),
            Code::StateCancelled => claims(Op::OrderCancelled),
            Code::StateRejected => claims(Op::OrderRejected),
            _ => true,
        };
        if told != said.code && tells_ends {
            let what = format!("{order} is `{}` when asked, and `{told}` by its events", said.code);
            ctx.fail(order, what, expected, vec![account.ends.last().map_or(last, |(_, n)| *n), said.n]);
        }
        let held: i64 = account.held.iter().map(|held| held.net()).sum();
        let left = account.lines.iter().any(|line| line.shipped > 0) || account.parcels.iter().any(|parcel| !parcel.shipped_claims.is_empty());
        let tells_stock = claims(Op::InventoryReserved) && (!left || claims(Op::ShipmentShipped) || claims(Op::FulfillmentPickedUp));
        if !account.held.is_empty() && tells_stock && held != said.qty {
            let what = format!("{} units are reserved for {order} when asked, {held} by its events", said.qty);
            let mut evidence: Vec<u64> = account.held.iter().map(|held| held.last_n).collect();
            evidence.push(said.n);
            ctx.fail(order, what, expected, evidence);
        }
        let (captured, refunded) = (account.sum(Flow::Captured, false), account.sum(Flow::Refunded, false));
        let told_of = |flow: Flow, op: Op| claims(op) || account.sum(flow, true) == 0;
        let tells_money = told_of(Flow::Captured, Op::PaymentCaptured) && told_of(Flow::Refunded, Op::PaymentRefunded);
        // another program may not say what was taken
        let asked = said.amount != 0 || ctx.covers.is_whole();
        if account.money.iter().any(|m| !m.fact) && tells_money && asked && captured - refunded != said.amount {
            let what = format!(
                "{} was taken for {order} when asked; its events say {} ({} captured, {} refunded)",
                Money(said.amount),
                Money(captured - refunded),
                Money(captured),
                Money(refunded)
            );
            let moves = account.money.iter().filter(|m| !m.fact && matches!(m.flow, Flow::Captured | Flow::Refunded)).map(|m| m.n);
            ctx.fail(order, what, expected, moves.chain([said.n]).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::{Code, Id, Message, Money, Op};

    fn shipped() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE).authorize(1, 50, 4800);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800);
        h
    }
    fn says(code: Code, held: i32, cents: i64) -> impl FnOnce(&mut Message) {
        move |m| (m.code, m.qty, m.amount) = (code, held, Money(cents))
    }

    #[test]
    fn accepts_an_answer_that_is_the_sum_of_the_events() {
        let mut h = shipped();
        h.complete(1).answers(1, says(Code::StateCompleted, 0, 4800)).accepts("STATE_AGREEMENT");
        let mut h = shipped();
        h.event(1, Op::ExceptionRaised, |_| {});
        h.answers(1, says(Code::StateException, 0, 4800)).accepts("STATE_AGREEMENT");
    }

    #[test]
    fn rejects_another_state_other_units_and_other_money() {
        shipped().answers(1, says(Code::StateCompleted, 0, 4800)).rejects("STATE_AGREEMENT", "`completed` when asked, and `open` by its events");
        shipped().answers(1, says(Code::StateOpen, 1, 4800)).rejects("STATE_AGREEMENT", "1 units are reserved for O1 when asked, 0 by its events");
        let mut h = shipped();
        let finding = h.answers(1, says(Code::StateOpen, 0, 0)).rejects("STATE_AGREEMENT", "0.00 was taken for O1 when asked; its events say 48.00");
        assert_eq!(finding.evidence.len(), 2);
    }

    #[test]
    fn a_lost_event_makes_it_unknown() {
        let mut h = shipped();
        h.hold_event(1, Op::PaymentRefunded, |m| pays(m, 50, 100));
        h.complete(1).answers(1, says(Code::StateCompleted, 0, 4700)).leaves_open("STATE_AGREEMENT");
    }
}
