//! NO_LOST: every order that was taken on comes to exactly one end.

use super::account::{Account, Happened, LineBook};
use super::coverage::{ENDS, GOODS};
use super::{Checker, Context, Invariant};
use crate::model::{Code, Fulfil, NodeId, Op, OrderNo};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "NO_LOST",
    summary: "every accepted order comes to exactly one end",
    definition: "An order that was taken on (a reply, or anything that was heard or done later) is at rest completed, cancelled or rejected, announced and answered alike; or parked, after `exception.raised`. It may be open while a backordered line waits and no node has units for the whole line free. A completed order owes no unit; a return whose goods were inspected completes.",
    needs: "commands and their replies, events, `GetOrder` at rest",
    traps: "refused commands owe nothing, nor do those that timed out and are unknown to the target; nodes that are switched off, or that refused the order and have had no goods since, are no supply.",
    facts_only: false,
};

/// At rest, every order that the target took on (it said so, or anything it did later shows it) is completed, cancelled or
/// rejected, once and announced; or parked in an exception queue, after raising the exception. It may be open only while it
/// waits for a backorder that no node can fill. A completed order has shipped or cancelled every unit; a return that was
/// accepted and whose goods were inspected has completed.
///
/// Traps: an order whose every attempt was definitely refused owes nothing; nor does one that timed out and was never heard
/// of again. A lost event makes what follows from claims unknown, but an order that is `open` at rest is lost all the same.
#[derive(Default)]
pub(super) struct NoLost;

impl Checker for NoLost {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.placed.is_set()) else { return };
        match account.happened() {
            Happened::No => return,
            Happened::Unknown if ctx.at_rest && account.said.is_none() => return ctx.unknown(),
            // nobody ever learned of it: excused by whatever swallowed the command or its answer
            Happened::Unknown => return ctx.excuse(),
            // a target that announces no end at all and was not asked has said nothing that could be judged
            Happened::Yes if account.said.is_none() && !ctx.covers.claims(ENDS) => return,
            Happened::Yes => ctx.judged(),
        }
        if !ctx.at_rest {
            if !account.is_ended() {
                ctx.unknown();
            }
            return;
        }
        let stands = |ctx: &Context<'_>| account.where_it_stands(&ctx.header.fault_rules);
        let evidence = |more: u64| vec![account.placed.n, account.last_claim.map_or(0, |(_, n)| n), account.last.n, more];
        if let Some((what, expected, more)) = end_of(account, ctx) {
            let stands = stands(ctx);
            ctx.fail(order, format!("{order} {what}; {stands}"), expected, evidence(more));
            return;
        }
        if ctx.suspended {
            return ctx.unknown();
        }
        if account.ended(Op::OrderCompleted) && ctx.covers.facts(GOODS) {
            for line in account.lines.iter().filter(|line| line.exchange.is_none() && line.shipped + line.cancelled < line.qty) {
                let what = format!(
                    "{order} is completed, but of line {} only {} of {} units have left or were cancelled",
                    line.line.0,
                    line.shipped + line.cancelled,
                    line.qty
                );
                ctx.fail(order, what, "a completed order owes nothing", evidence(0));
            }
        }
        if account.is_parked() {
            return;
        }
        let completes = ctx.covers.claims(&[Op::ReturnCompleted, Op::ExchangeCompleted]);
        for ret in account.returns.iter().filter(|ret| completes && ret.is_open() && ret.inspected.is_set()) {
            if account.lines.iter().any(|line| line.exchange == ret.id && ret.exchange && waits(account, line, ctx)) {
                continue;
            }
            let kind = if ret.exchange { "exchange" } else { "return" };
            let stands = stands(ctx);
            let what = format!("{kind} {} of {order} never completed, though its goods came back and were inspected; {stands}", ret.id);
            ctx.fail(order, what, "an accepted return completes once the goods are back", evidence(ret.inspected.n));
        }
        for line in account.lines.iter().filter(|line| line.exchange.is_some() && line.shipped + line.cancelled < line.qty) {
            if account.ret(line.exchange).is_some_and(|ret| ret.completed.is_set()) {
                let what = format!("exchange {} of {order} is completed, but new line {} never left", line.exchange, line.line.0);
                ctx.fail(order, what, "a completed exchange has sent its new goods", evidence(0));
            }
        }
    }
}

/// What is wrong with how the order ended, if anything: what, what was expected, one more entry.
fn end_of(account: &Account, ctx: &Context<'_>) -> Option<(String, &'static str, u64)> {
    let one_end = "exactly one of completed, cancelled and rejected";
    let mut kinds: SmallVec<[Op; 2]> = account.ends.iter().map(|(op, _)| *op).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        let names: Vec<&str> = kinds.iter().map(|op| op.name()).collect();
        return Some((format!("ended in more than one way: {}", names.join(" and ")), one_end, account.ends[1].1));
    }
    let Some(said) = account.said else {
        // nobody could be asked: what was announced must do
        let fine = !account.ends.is_empty() || account.exception.is_set() || waits_in_vain(account, ctx) || ctx.suspended;
        return (!fine).then(|| ("was taken on and never came to an end".into(), one_end, 0));
    };
    let announced = match kinds.first() {
        Some(Op::OrderCompleted) => Code::StateCompleted,
        Some(Op::OrderCancelled) => Code::StateCancelled,
        Some(_) => Code::StateRejected,
        None => Code::None,
    };
    match said.code {
        Code::UnknownOrder => Some(("was taken on, and the target does not know it any more".into(), "an order that was taken on is known", said.n)),
        Code::StateException if account.exception.is_set() => None,
        Code::StateException => (!ctx.suspended && ctx.covers.any_claim())
            .then(|| ("is parked, but no exception was ever raised".into(), "whoever parks an order says so", said.n)),
        Code::StateOpen if waits_in_vain(account, ctx) => None,
        Code::StateOpen => Some(("is still open at rest, and waits for nothing that is missing".into(), one_end, said.n)),
        end if announced == Code::None => (!ctx.suspended && ctx.covers.claims(ENDS))
            .then(|| (format!("is `{end}` when asked, but no event ever said so"), "an end is announced", said.n)),
        end if end != announced => Some((format!("was announced as `{announced}` and is `{end}` when asked"), one_end, said.n)),
        _ => None,
    }
}

/// Some line waits for units that nobody has.
fn waits_in_vain(account: &Account, ctx: &Context<'_>) -> bool {
    account.lines.iter().any(|line| waits(account, line, ctx))
}

fn waits(account: &Account, line: &LineBook, ctx: &Context<'_>) -> bool {
    let need = line.need();
    if !line.backordered.is_set() || need <= 0 {
        return false;
    }
    let many = account.body.as_ref().is_some_and(|body| body.ship_complete && body.lines.len() > 1);
    let wanted = if ctx.header.fixture.policies.backorder_partial { 1 } else { need };
    let free = |node: NodeId| {
        let fixture = ctx.header.fixture.node(node);
        if !fixture.is_some_and(|n| ctx.ledger.rules().now(node, n.enabled))
            || (line.fulfil == Fulfil::Pickup && line.node.is_some() && line.node != node)
        {
            return 0;
        }
        let safety = fixture.map_or(0, |n| i64::from(n.safety_stock));
        let shelf = ctx.ledger.shelf(node, line.sku);
        // a node that had nothing for this order is no supply until goods come in
        let came_in = shelf.map_or(0, |shelf| shelf.last_in);
        if account.unhelpful.iter().any(|(refused, sku, n)| (*refused, *sku) == (node, line.sku) && *n > came_in) {
            return 0;
        }
        shelf.and_then(|shelf| shelf.said).map_or(0, |(qty, reserved, _)| qty - reserved.unwrap_or(0) - safety)
    };
    many || !ctx.header.fixture.node_ids().any(|node| free(node) >= wanted)
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, Op, Outcome};

    fn not_exercised(h: &Story) {
        assert_eq!(h.judge().verdict_of("NO_LOST"), Verdict::NotExercised);
    }

    /// What was answered with 202 is the target's from then on; where it is the answer to a copy, the first attempt may hear a no.
    #[test]
    fn an_order_that_was_taken_to_be_decided_later_is_owed_a_decision() {
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        h.place_with(1, body.clone(), Outcome::Pending);
        h.rejects("NO_LOST", "O1");
        h.event(1, Op::OrderRejected, |_| {});
        h.state(1, Code::StateRejected, 0).accepts("NO_LOST");
        let mut h = Story::new();
        h.place_with(1, body, Outcome::Pending).resend(1, Outcome::Rejected);
        assert_ne!(h.judge().verdict_of("NO_LOST"), Verdict::Fail);
    }

    #[test]
    fn accepts_an_order_that_ended_once_and_says_so() {
        let mut h = Story::new();
        h.plain_order(1);
        h.accepts("NO_LOST");
    }

    #[test]
    fn rejects_an_order_that_is_open_or_forgotten_at_rest() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).state(1, Code::StateOpen, 0);
        let finding = h.rejects("NO_LOST", "O1 is still open at rest");
        assert!(finding.what.contains("its last event is order.accepted"), "{}", finding.what);
        assert_eq!(h.cut_short().verdict_of("NO_LOST"), Verdict::Unknown);
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).state(1, Code::UnknownOrder, 0);
        h.rejects("NO_LOST", "does not know it");
    }

    #[test]
    fn a_refused_command_owes_nothing_and_an_unknown_one_that_was_never_heard_of_neither() {
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        h.place_with(1, body, Outcome::Backpressure).resend(1, Outcome::Refused).state(1, Code::UnknownOrder, 0);
        not_exercised(&h);
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        h.place_with(1, body, Outcome::TimedOut).state(1, Code::UnknownOrder, 0);
        not_exercised(&h);
    }

    #[test]
    fn an_unknown_outcome_is_settled_by_what_is_heard_later() {
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        h.place_with(1, body, Outcome::TimedOut).accept(1).state(1, Code::StateOpen, 0);
        h.rejects("NO_LOST", "still open");
    }

    #[test]
    fn accepts_an_order_parked_with_an_exception_and_rejects_one_parked_in_silence() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        let mut silent = Story::new();
        silent.place(1, &[(1, A, 1)]).accept(1).state(1, Code::StateException, 0);
        silent.rejects("NO_LOST", "no exception was ever raised");
        h.event(1, Op::ExceptionRaised, |m| m.code = Code::ExcPayment);
        h.accepts("NO_LOST");
        h.state(1, Code::StateException, 0).accepts("NO_LOST");
    }

    #[test]
    fn an_open_backorder_is_fine_only_while_nobody_has_the_units() {
        let waiting = |units| {
            let mut h = Story::new();
            h.place(1, &[(1, D, 2)]).accept(1);
            h.event(1, Op::LineBackordered, |m| lines(m, &[(1, D, 2)]));
            h.shelf_state(DC1, D, units, 0).state(1, Code::StateOpen, 0);
            h
        };
        waiting(1).accepts("NO_LOST");
        waiting(2).rejects("NO_LOST", "still open");
        let mut out_of_routing = waiting(2);
        out_of_routing.sent(0, Op::UpsertNode, |m| (m.node, m.rule_version, m.code) = (DC1, 2, Code::NodeDisabled));
        out_of_routing.accepts("NO_LOST");
    }

    #[test]
    fn rejects_two_ends_and_an_end_that_is_not_the_one_announced() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).complete(1);
        h.event(1, Op::OrderCancelled, |_| {});
        h.rejects("NO_LOST", "ended in more than one way");
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h.event(1, Op::OrderCancelled, |_| {});
        h.state(1, Code::StateCompleted, 0).rejects("NO_LOST", "announced as `state_cancelled`");
    }

    #[test]
    fn rejects_a_completed_order_that_owes_units_and_a_return_that_hangs() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]).complete(1);
        h.rejects("NO_LOST", "only 1 of 2 units");
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]).complete(1);
        h.request_return(1, 900, &[(1, A, 1)]).give_back(1, 900, &[(1, A, 1)]);
        h.rejects("NO_LOST", "return 384 of O1 never completed");
    }

    #[test]
    fn an_exchange_hangs_unless_its_new_goods_wait_in_vain() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]).complete(1).exchange(1, 900, &[(1, A, 1)], &[(2, D, 1, 4000)]);
        h.claim(1, Op::ExchangeCreated, |m| in_return(m, 900, &[(2, D, 1)])).give_back(1, 900, &[(1, A, 1)]);
        h.rejects("NO_LOST", "exchange 384 of O1 never completed");
        h.claim(1, Op::LineBackordered, |m| lines(m, &[(2, D, 1)])).accepts("NO_LOST");
    }
}
