//! CANCEL_HONEST: what a shopper is told about a cancellation comes true.

use super::per_order::PerOrder;
use super::{Account, Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Code, Id, Lines, Op, OrderNo, Outcome};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "CANCEL_HONEST",
    summary: "what a shopper is told about a cancellation comes true",
    definition: "By the answers to CancelOrder. `ok`, where the policy `cancel_ok` is `done`: of the order (or of the units named) nothing ever leaves, neither before nor after. `rejected` with `too_late`, and no other answer: the order is not cancelled for the customer. `pending` (and `ok` under `cancel_ok` = `accepted`): exactly one of the two, so an order that ends as cancelled has no parcel that left, and where it was asked for once `order.cancelled` and `order.cancel_rejected` do not both come. And units of `line.cancelled` are no units that left.",
    needs: "CancelOrder with its reply; parcel facts; `order.cancelled` with its `code`, `order.cancel_rejected`, `line.cancelled`; the policy `cancel_ok`",
    traps: "`replayed`, time-outs and errors promise nothing: only the first definite answer to a key counts. Two cancellations may be answered in two ways; an order that is cancelled for another reason (fraud, out of stock) was not too late to be. That something comes of a pending one at all is NO_LOST's.",
    facts_only: false,
};

struct Asked {
    id: Id,
    key: Id,
    lines: Lines,
    n: u64,
    answer: Option<(Outcome, Code, u64)>,
}

#[derive(Default)]
struct State {
    asked: SmallVec<[Asked; 1]>,
    /// `order.cancelled`: why, and which entry
    cancelled: Option<(Code, u64)>,
    /// `order.cancel_rejected` of the whole order
    refused: Option<u64>,
    /// `line.cancelled`
    called_off: SmallVec<[u64; 1]>,
}

#[derive(Default)]
pub(super) struct CancelHonest {
    orders: PerOrder<State>,
}

impl Checker for CancelHonest {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        matches!(kind, Kind::Sent | Kind::Reply) && op == Op::CancelOrder
            || kind == Kind::Event && matches!(op, Op::OrderCancelled | Op::OrderCancelRejected | Op::LineCancelled)
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        let Some(place) = ctx.place else { return };
        let state = self.orders.entry(place);
        match e.kind {
            Kind::Sent => state.asked.push(Asked { id: m.id, key: m.key, lines: m.lines.clone(), n: e.n, answer: None }),
            Kind::Reply if matches!(e.outcome, Outcome::Ok | Outcome::Pending | Outcome::Rejected) => {
                if let Some(asked) = state.asked.iter_mut().find(|asked| asked.id == m.id && asked.answer.is_none()) {
                    asked.answer = Some((e.outcome, m.code, e.n));
                }
            }
            Kind::Event if m.op == Op::OrderCancelled => state.cancelled = state.cancelled.or(Some((m.code, e.n))),
            Kind::Event if m.op == Op::LineCancelled => state.called_off.push(e.n),
            Kind::Event if m.lines.is_empty() => state.refused = state.refused.or(Some(e.n)),
            _ => {}
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account else { return };
        let state = ctx.place.and_then(|place| self.orders.remove(place)).unwrap_or_default();
        units_called_off(order, account, &state.called_off, ctx);
        let left: Vec<u64> = account.parcels.iter().flat_map(|parcel| parcel.shipments.iter().copied()).collect();
        let done = |outcome: Outcome| outcome == Outcome::Ok && ctx.header.fixture.policies.cancel_ok == "done";
        let mut promised: SmallVec<[(usize, i64, [u64; 2]); 2]> = SmallVec::new();
        let mut keys: SmallVec<[Id; 2]> = SmallVec::new();
        for asked in &state.asked {
            let Some((outcome, code, reply)) = asked.answer else { continue };
            if outcome == Outcome::Rejected && code != Code::TooLate {
                continue;
            }
            ctx.judged();
            let mut evidence = vec![asked.n, reply];
            if !asked.lines.is_empty() {
                if done(outcome) && !keys.contains(&asked.key) {
                    keys.push(asked.key);
                    let known = |line| account.lines.iter().position(|book| book.line == line);
                    promised.extend(asked.lines.iter().filter_map(|q| Some((known(q.line)?, q.qty.into(), [asked.n, reply]))));
                }
            } else if done(outcome) {
                if !left.is_empty() {
                    evidence.extend(&left);
                    let what = format!("the cancellation of {order} was answered `ok` (done), and a parcel of it left");
                    ctx.fail(
                        order,
                        what,
                        "of an order whose cancellation is answered as done nothing leaves; where that is not certain, the answer is `pending`",
                        evidence,
                    );
                } else if !ctx.at_rest {
                    ctx.unknown();
                }
            } else if outcome != Outcome::Rejected {
                match state.cancelled {
                    Some((_, n)) if !left.is_empty() => {
                        evidence.extend(left.iter().chain([&n]));
                        let what = format!("the cancellation of {order} was both done ({}) and too late: a parcel left", Op::OrderCancelled);
                        ctx.fail(order, what, "exactly one of both: cancelled and nothing leaves, or it goes on", evidence);
                    }
                    _ if !ctx.at_rest => ctx.unknown(),
                    _ => {}
                }
            }
        }
        for (at, line) in account.lines.iter().enumerate() {
            let of_line = || promised.iter().filter(move |(of, _, _)| *of == at);
            let units: i64 = of_line().map(|(_, qty, _)| qty).sum();
            if units > 0 && line.shipped > (line.qty - units).max(0) {
                let what = format!(
                    "the cancellation of {units} units of line {} of {order} was answered `ok` (done), and {} of {} have left",
                    line.line.0, line.shipped, line.qty
                );
                let evidence = of_line().flat_map(|(_, _, entries)| *entries).chain(left.iter().copied()).collect();
                ctx.fail(order, what, "units whose cancellation is answered as done do not leave", evidence);
            }
        }
        self::too_late(order, &state, ctx);
        both_ways(order, &state, ctx);
    }
}

/// What the target called off, and what left, are different units.
fn units_called_off(order: OrderNo, account: &Account, claims: &[u64], ctx: &mut Context<'_>) {
    for line in account.lines.iter().filter(|line| line.cancelled > 0) {
        ctx.judged();
        if line.cancelled + line.shipped > line.qty {
            let what = format!(
                "of {} units of line {} of {order} {} were announced as cancelled, and {} have left",
                line.qty, line.line.0, line.cancelled, line.shipped
            );
            let left = account.parcels.iter().flat_map(|parcel| parcel.shipments.iter().copied());
            let evidence = claims.iter().copied().chain(left).collect();
            ctx.fail(order, what, "units that are announced as cancelled do not leave", evidence);
        }
    }
}

/// It was asked for once, and both done and refused.
fn both_ways(order: OrderNo, state: &State, ctx: &mut Context<'_>) {
    let [first, more @ ..] = state.asked.as_slice() else { return };
    let (Some((Code::Customer, done)), Some(refused)) = (state.cancelled, state.refused) else { return };
    if first.lines.is_empty() && more.iter().all(|asked| asked.key == first.key) {
        let what = format!("the one cancellation of {order} was both done ({}) and refused ({})", Op::OrderCancelled, Op::OrderCancelRejected);
        ctx.fail(order, what, "exactly one of both comes of it", vec![first.n, done, refused]);
    }
}

/// Every answer was `too_late`, and yet the order was cancelled for the customer.
fn too_late(order: OrderNo, state: &State, ctx: &mut Context<'_>) {
    let (mut refusals, mut other) = (Vec::new(), false);
    for asked in state.asked.iter().filter(|asked| asked.lines.is_empty()) {
        match asked.answer {
            Some((Outcome::Rejected, Code::TooLate, n)) => refusals.extend([asked.n, n]),
            _ => other = true,
        }
    }
    let Some((code, n)) = state.cancelled.filter(|_| !refusals.is_empty() && !other) else { return };
    match code {
        Code::Customer => {
            refusals.push(n);
            let what = format!("the cancellation of {order} was answered `too_late`, and the order was cancelled for the customer");
            ctx.fail(order, what, "an order for which it is too late goes on", refusals);
        }
        Code::None => ctx.unknown(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, Id, Op, Outcome};

    /// An order that is cancelled with this answer.
    fn asked(outcome: Outcome, code: Code) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1);
        h.cancel_answered(1, &[], outcome, code);
        h
    }
    fn cancelled(h: &mut Story, code: Code) -> &mut Story {
        h.claim(1, Op::OrderCancelled, |m| m.code = code)
    }

    #[test]
    fn accepts_each_answer_that_comes_true() {
        cancelled(&mut asked(Outcome::Ok, Code::None), Code::Customer).accepts("CANCEL_HONEST");
        cancelled(&mut asked(Outcome::Pending, Code::None), Code::Customer).accepts("CANCEL_HONEST");
        asked(Outcome::Pending, Code::None).ship(1, 1, DC1, &[(1, A, 2)]).complete(1).accepts("CANCEL_HONEST");
        asked(Outcome::Rejected, Code::TooLate).ship(1, 1, DC1, &[(1, A, 2)]).complete(1).accepts("CANCEL_HONEST");
        cancelled(&mut asked(Outcome::Rejected, Code::TooLate), Code::OutOfStock).accepts("CANCEL_HONEST");
    }

    #[test]
    fn rejects_a_cancellation_done_of_which_a_parcel_leaves() {
        let mut h = asked(Outcome::Ok, Code::None);
        h.ship(1, 1, DC1, &[(1, A, 2)]).rejects("CANCEL_HONEST", "answered `ok` (done), and a parcel of it left");
        assert_eq!(h.cut_short().verdict_of("CANCEL_HONEST"), Verdict::Fail);
        assert_eq!(asked(Outcome::Ok, Code::None).cut_short().verdict_of("CANCEL_HONEST"), Verdict::Unknown);
    }

    #[test]
    fn ok_promises_nothing_where_it_only_means_accepted() {
        let mut h = asked(Outcome::Ok, Code::None);
        h.header.fixture.policies.cancel_ok = "accepted".into();
        h.ship(1, 1, DC1, &[(1, A, 2)]).complete(1).accepts("CANCEL_HONEST");
    }

    #[test]
    fn rejects_both_at_once_and_a_cancellation_that_was_too_late() {
        let mut h = asked(Outcome::Pending, Code::None);
        cancelled(h.ship(1, 1, DC1, &[(1, A, 2)]), Code::Customer).rejects("CANCEL_HONEST", "both done");
        cancelled(&mut asked(Outcome::Rejected, Code::TooLate), Code::Customer).rejects("CANCEL_HONEST", "answered `too_late`");
    }

    #[test]
    fn rejects_two_ends_of_one_cancellation_and_accepts_an_end_each_of_two() {
        let mut h = asked(Outcome::Pending, Code::None);
        cancelled(h.claim(1, Op::OrderCancelRejected, |m| m.code = Code::TooLate), Code::Customer);
        h.rejects("CANCEL_HONEST", "was both done (order.cancelled) and refused (order.cancel_rejected)");
        let mut h = asked(Outcome::Pending, Code::None);
        let other = h.sent(1, Op::CancelOrder, |m| m.key = Id(4711));
        h.reply(other, Outcome::Pending);
        cancelled(h.claim(1, Op::OrderCancelRejected, |m| m.code = Code::TooLate), Code::Customer).accepts("CANCEL_HONEST");
    }

    #[test]
    fn rejects_units_that_were_announced_as_cancelled_and_left() {
        let story = |called_off: i32| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 2)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]);
            h.claim(1, Op::LineCancelled, |m| at_node(m, DC1, &[(1, A, called_off)]));
            h
        };
        story(1).accepts("CANCEL_HONEST");
        let found = story(2).rejects("CANCEL_HONEST", "of 2 units of line 1 of O1 2 were announced as cancelled, and 1 have left");
        assert_eq!(found.evidence.len(), 2, "the claim and the parcel: {:?}", found.evidence);
    }

    #[test]
    fn whether_an_end_without_a_reason_breaks_too_late_is_open() {
        cancelled(&mut asked(Outcome::Rejected, Code::TooLate), Code::None).leaves_open("CANCEL_HONEST");
    }

    #[test]
    fn a_part_that_is_done_does_not_leave() {
        let story = |shipped| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 2)]).accept(1);
            h.cancel_answered(1, &[(1, A, 1)], Outcome::Ok, Code::None);
            h.ship(1, 1, DC1, &[(1, A, shipped)]);
            h
        };
        story(1).accepts("CANCEL_HONEST");
        story(2).rejects("CANCEL_HONEST", "the cancellation of 1 units of line 1");
    }

    #[test]
    fn an_answer_that_nobody_heard_promises_nothing() {
        let mut h = asked(Outcome::TimedOut, Code::None);
        h.ship(1, 1, DC1, &[(1, A, 2)]).complete(1);
        assert_eq!(h.judge().verdict_of("CANCEL_HONEST"), Verdict::NotExercised);
    }
}
