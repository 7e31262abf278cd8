//! ALLOC_WITHIN_ORDER: no line is promised more units than it ordered.

use super::in_order::InOrder;
use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{LineNo, Lines, Op, OrderNo, SkuId};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "ALLOC_WITHIN_ORDER",
    summary: "no line is promised more units than it ordered",
    definition: "Per line, after each `inventory.reserved` in the order of `seq`: units reserved - units released <= units ordered - units of `line.cancelled` so far. Units that left stay reserved in this sum. Lines of an exchange count from its `exchange.created`.",
    needs: "the order's body; `inventory.reserved` and `inventory.released` with `line` (or SKU)",
    traps: "sourcing anew after a short pick gives back first: net, not gross. Events are heard in any order, so they are taken by `seq`; where they have none, only the sums at rest are judged. What comes after a missing event is not judged.",
    facts_only: false,
};

/// A change of what a line holds.
struct Step {
    op: Op,
    lines: Lines,
    n: u64,
}

#[derive(Default)]
struct Tally {
    line: LineNo,
    sku: SkuId,
    net: i64,
    cancelled: i64,
    reserved_by: SmallVec<[u64; 3]>,
    told: bool,
}

#[derive(Default)]
struct State {
    queue: InOrder<Option<Step>>,
    tallies: SmallVec<[Tally; 2]>,
    unnumbered: bool,
}

#[derive(Default)]
pub(super) struct AllocWithinOrder {
    orders: PerOrder<State>,
}

impl Checker for AllocWithinOrder {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, _op: Op) -> bool {
        kind == Kind::Event
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        if e.msg.order.is_none() {
            return;
        }
        let counts = matches!(e.msg.op, Op::InventoryReserved | Op::InventoryReleased | Op::LineCancelled);
        let Some(place) = ctx.place else { return };
        let state = self.orders.entry(place);
        if e.msg.seq == 0 {
            state.unnumbered |= counts;
            return;
        }
        if state.queue.passes(e.msg.seq) {
            if counts {
                take(&mut state.tallies, (e.msg.order, e.msg.op, e.n), &e.msg.lines, ctx);
            }
            return;
        }
        state.queue.push(e.msg.seq, counts.then(|| Step { op: e.msg.op, lines: e.msg.lines.clone(), n: e.n }));
        while let Some(step) = state.queue.pop() {
            if let Some(step) = step {
                take(&mut state.tallies, (e.msg.order, step.op, step.n), &step.lines, ctx);
            }
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        self.orders.close(ctx.place, |state| unnumbered(order, state, ctx));
    }
}

/// Only the sums can be judged where events have no numbers.
fn unnumbered(order: OrderNo, state: &State, ctx: &mut Context<'_>) {
    if !state.unnumbered {
        return;
    }
    let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
    if state.tallies.is_empty() && account.lines.iter().any(|line| line.reserved > 0) {
        ctx.judged();
        if !ctx.at_rest {
            return ctx.unknown();
        }
        for line in &account.lines {
            let (net, most) = (line.reserved - line.released, line.qty - line.cancelled);
            if net > most {
                let what = format!("line {} of {order} holds {net} reserved units, {most} are ordered", line.line.0);
                let held = account.held.iter().filter(|held| held.sku == line.sku).map(|held| held.last_n);
                let evidence = held.chain([account.placed.n]).collect();
                ctx.fail(order, what, "reserved - released <= ordered - cancelled, for every line", evidence);
            }
        }
    }
}

fn take(tallies: &mut SmallVec<[Tally; 2]>, (order, op, n): (OrderNo, Op, u64), lines: &Lines, ctx: &mut Context<'_>) {
    let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
    if op == Op::InventoryReserved {
        ctx.judged();
    }
    for q in lines {
        let Some(line) = account.line(q.line, q.sku) else { continue };
        let at = tallies.iter().position(|t| (t.line, t.sku) == (line.line, line.sku)).unwrap_or_else(|| {
            tallies.push(Tally { line: line.line, sku: line.sku, ..Tally::default() });
            tallies.len() - 1
        });
        let tally = &mut tallies[at];
        match op {
            Op::InventoryReserved => {
                tally.net += i64::from(q.qty);
                tally.reserved_by.push(n);
            }
            Op::InventoryReleased => tally.net -= i64::from(q.qty),
            _ => tally.cancelled += i64::from(q.qty),
        }
        let most = line.qty - tally.cancelled;
        if op == Op::InventoryReserved && tally.net > most && !tally.told {
            tally.told = true;
            let sku = ctx.header.fixture.sku_name(line.sku);
            let what = format!("line {} of {order} holds {} reserved units of {sku}, {most} are ordered", line.line.0, tally.net);
            let evidence = tally.reserved_by.iter().copied().chain([account.placed.n]).collect();
            ctx.fail(order, what, "a node gives what is still missing of a line: reserved - released <= ordered - cancelled", evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Op};

    #[test]
    fn accepts_a_line_of_two_nodes_and_one_sourced_anew() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 5)]).accept(1).reserve(1, DC1, &[(1, A, 3)], Id::NONE).reserve(1, S1, &[(1, A, 2)], Id::NONE);
        h.release(1, S1, &[(1, A, 2)], Id::NONE).reserve(1, DC1, &[(1, A, 2)], Id::NONE).accepts("ALLOC_WITHIN_ORDER");
    }

    #[test]
    fn accepts_a_release_that_is_heard_after_what_reuses_its_units() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).reserve(1, DC1, &[(1, A, 2)], Id::NONE);
        h.hold_event(1, Op::InventoryReleased, |m| at_node(m, DC1, &[(1, A, 2)]));
        h.reserve(1, S1, &[(1, A, 2)], Id::NONE);
        h.deliver(0);
        h.accepts("ALLOC_WITHIN_ORDER");
    }

    #[test]
    fn rejects_three_and_five_of_five() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 5)]).accept(1).reserve(1, DC1, &[(1, A, 3)], Id::NONE).reserve(1, S1, &[(1, A, 5)], Id::NONE);
        h.rejects("ALLOC_WITHIN_ORDER", "line 1 of O1 holds 8 reserved units of A, 5 are ordered");
        assert_eq!(h.cut_short().verdict_of("ALLOC_WITHIN_ORDER"), Verdict::Fail);
    }

    #[test]
    fn a_cancelled_unit_is_not_ordered_any_more() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE);
        h.claim(1, Op::LineCancelled, |m| lines(m, &[(1, A, 1)])).reserve(1, S1, &[(1, A, 1)], Id::NONE);
        h.rejects("ALLOC_WITHIN_ORDER", "holds 2 reserved units of A, 1 are ordered");
    }

    #[test]
    fn without_numbers_only_the_sums_at_rest_are_judged() {
        let story = |last: i32| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 2)]);
            for (op, qty) in [(Op::InventoryReserved, 2), (Op::InventoryReserved, 2), (Op::InventoryReleased, last)] {
                h.unnumbered(1, op, |m| at_node(m, DC1, &[(1, A, qty)]));
            }
            h
        };
        story(2).accepts("ALLOC_WITHIN_ORDER");
        story(1).rejects("ALLOC_WITHIN_ORDER", "holds 3 reserved units");
    }
}
