//! BACKORDER_FAIR: who waits longest is served first.

use super::account::{Account, LineBook};
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Id, LineNo, Op, OrderNo, SkuId};
use crate::sim::{Span, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

pub(super) const ABOUT: Invariant = Invariant {
    name: "BACKORDER_FAIR",
    summary: "who waits longest is served first",
    definition: "Under the policy `fifo`: X was placed after Y's `line.backordered` had been heard, was backordered for the same SKU, and gets units while Y waits on.",
    needs: "`line.backordered` and `inventory.reserved` events with `cause`",
    traps: "one receipt may serve both (same cause); Y served by an earlier cause, heard late; Y needs more than X got, and parts are not allowed; Y wants it in another way (pickup, other store, all lines at once); Y is asked to be cancelled; new lines of exchanges. Only the eight who wait longest are compared.",
    facts_only: false,
};

/// How many of those who wait for a SKU are compared with one who is served.
const LOOKED_AT: usize = 8;
/// Reservations without a known cause count as made together when heard within this.
const TOGETHER: Span = Span::from_secs(60);

/// Under the policy `fifo`: X was backordered for a SKU after Y was, and gets units of it that Y could have used, while Y
/// waits on: Y is served by a later cause, or never.
///
/// Traps: the order in which events are heard is not that in which the target decided, so X counts as later only if it was
/// *sent* after Y's `line.backordered` had *arrived*; one receipt may serve both, in any order of events, so only a different
/// and later cause convicts; Y must fit into what X got (or parts be allowed), want it in the same way, and not have been
/// asked to be cancelled. New lines of an exchange are left aside.
#[derive(Default)]
pub(super) struct BackorderFair {
    waiting: FxHashMap<SkuId, VecDeque<Waiting>>,
    suspicions: FxHashMap<OrderNo, Vec<Suspicion>>,
}

#[derive(Clone, Copy)]
struct Waiting {
    order: OrderNo,
    line: LineNo,
    at: Timestamp,
    n: u64,
}

struct Suspicion {
    line: LineNo,
    since: u64,
    rival: OrderNo,
    rival_placed: u64,
    served: u64,
    served_at: Timestamp,
    cause: Id,
    cause_at: Option<Timestamp>,
}

impl Checker for BackorderFair {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Event && matches!(op, Op::LineBackordered | Op::InventoryReserved)
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        if ctx.header.fixture.policies.backorder != "fifo" {
            return;
        }
        let Some(account) = ctx.account else { return };
        for q in &e.msg.lines {
            let Some(line) = account.line(q.line, q.sku).filter(|line| line.exchange.is_none()) else { continue };
            if e.msg.op == Op::LineBackordered {
                let queue = self.waiting.entry(q.sku).or_default();
                if !queue.iter().rev().take(LOOKED_AT).any(|w| (w.order, w.line) == (account.no, line.line)) {
                    queue.push_back(Waiting { order: account.no, line: line.line, at: e.at, n: e.n });
                }
            } else {
                self.resolve(account, line, e, ctx);
                if line.backordered.is_set() {
                    ctx.judged();
                    self.suspect(account, line, i64::from(q.qty), e, ctx);
                }
            }
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(suspicions) = self.suspicions.remove(&order) else { return };
        let Some(account) = ctx.account else { return };
        for s in suspicions {
            if account.cancel_sent.is_set() && account.cancel_sent.at <= s.served_at {
                continue;
            }
            if ctx.suspended || !ctx.at_rest {
                ctx.unknown();
            } else {
                self.convict(order, &s, "was never served", 0, ctx);
            }
        }
    }
}

fn still_waits(account: &Account, waiting: &Waiting) -> bool {
    account.ends.is_empty() && !account.cancel_sent.is_set() && account.line(waiting.line, SkuId::NONE).is_some_and(|line| line.need() > 0)
}

impl BackorderFair {
    /// `line` of `account` was served: who waits since before it was even sent, and could have used the units?
    fn suspect(&mut self, account: &Account, line: &LineBook, qty: i64, e: &Entry, ctx: &mut Context<'_>) {
        let Some(queue) = self.waiting.get_mut(&line.sku) else { return };
        let of = |waiting: &Waiting| ctx.ledger.order(waiting.order);
        while queue.front().is_some_and(|w| of(w).is_none_or(|other| !still_waits(other, w))) {
            queue.pop_front();
        }
        for w in queue.iter().take(LOOKED_AT) {
            if w.at >= account.placed.at || w.order == account.no {
                continue;
            }
            let Some(other) = of(w).filter(|other| still_waits(other, w)) else { continue };
            let Some(wanted) = other.line(w.line, line.sku) else { continue };
            let fits = wanted.need() <= qty || ctx.header.fixture.policies.backorder_partial;
            let alike = (wanted.fulfil, wanted.node) == (line.fulfil, line.node);
            let whole = other.body.as_ref().is_some_and(|body| body.ship_complete && body.lines.len() > 1);
            if !fits || !alike || whole {
                continue;
            }
            let cause_at = ctx.sent_at(e.msg.cause);
            let (rival, rival_placed) = (account.no, account.placed.n);
            let suspicion = Suspicion { line: w.line, since: w.n, rival, rival_placed, served: e.n, served_at: e.at, cause: e.msg.cause, cause_at };
            self.suspicions.entry(w.order).or_default().push(suspicion);
        }
    }

    /// `line` of `account` is served now: by the same or an earlier cause than those who seemed to overtake it?
    fn resolve(&mut self, account: &Account, line: &LineBook, e: &Entry, ctx: &mut Context<'_>) {
        let Some(open) = self.suspicions.get_mut(&account.no) else { return };
        let cause_at = ctx.sent_at(e.msg.cause);
        let (mine, others): (Vec<_>, Vec<_>) = std::mem::take(open).into_iter().partition(|s| s.line == line.line);
        *open = others;
        for s in mine {
            let fair = match (cause_at, s.cause_at) {
                _ if e.msg.cause.is_some() && e.msg.cause == s.cause => true,
                (Some(mine), Some(theirs)) => mine <= theirs,
                _ => e.at.since(s.served_at) <= TOGETHER || account.faulted_at(e.msg.id).is_some(),
            };
            if !fair {
                self.convict(account.no, &s, "was served only later, by another cause", e.n, ctx);
            }
        }
    }

    fn convict(&self, order: OrderNo, s: &Suspicion, fate: &str, served: u64, ctx: &mut Context<'_>) {
        let what = format!(
            "line {} of {order} waited and {fate}, while {} was served, which was placed after that wait had been announced",
            s.line.0, s.rival
        );
        let expected = "the policy is fifo: who waits longest for a SKU is served first";
        ctx.fail(order, what, expected, vec![s.since, s.rival_placed, s.served, served]);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Op};
    use crate::sim::Span;

    fn two_wait() -> Story {
        let mut h = Story::new();
        for order in [1, 2] {
            h.place(order, &[(1, D, 2)]).event(order, Op::LineBackordered, |m| lines(m, &[(1, D, 2)]));
        }
        h
    }

    #[test]
    fn accepts_first_come_first_served() {
        let mut h = two_wait();
        let first = h.delta(DC1, D, 2, 1);
        h.reserve(1, DC1, &[(1, D, 2)], first);
        let second = h.delta(DC1, D, 2, 2);
        h.reserve(2, DC1, &[(1, D, 2)], second);
        h.accepts("BACKORDER_FAIR");
    }

    #[test]
    fn rejects_last_come_first_served() {
        let mut h = two_wait();
        let first = h.delta(DC1, D, 2, 1);
        h.reserve(2, DC1, &[(1, D, 2)], first);
        let second = h.delta(DC1, D, 2, 2);
        h.reserve(1, DC1, &[(1, D, 2)], second);
        let finding = h.rejects("BACKORDER_FAIR", "line 1 of O1 waited");
        assert_eq!(finding.evidence, [3, 4, 8, 10]);
    }

    #[test]
    fn rejects_who_is_passed_over_and_never_served() {
        let mut h = two_wait();
        let first = h.delta(DC1, D, 2, 1);
        h.reserve(2, DC1, &[(1, D, 2)], first);
        h.rejects("BACKORDER_FAIR", "never served");
        assert_eq!(h.cut_short().verdict_of("BACKORDER_FAIR"), Verdict::Unknown);
    }

    #[test]
    fn accepts_one_receipt_that_serves_both_whatever_is_heard_first() {
        let mut h = two_wait();
        let receipt = h.delta(DC1, D, 4, 1);
        h.reserve(2, DC1, &[(1, D, 2)], receipt).reserve(1, DC1, &[(1, D, 2)], receipt);
        h.accepts("BACKORDER_FAIR");
    }

    #[test]
    fn accepts_a_late_event_of_an_earlier_receipt() {
        let mut h = two_wait();
        let first = h.delta(DC1, D, 2, 1);
        let late = h.hold_event(1, Op::InventoryReserved, |m| {
            at_node(m, DC1, &[(1, D, 2)]);
            m.cause = first;
        });
        let second = h.delta(DC1, D, 2, 2);
        h.reserve(2, DC1, &[(1, D, 2)], second).deliver(late);
        h.accepts("BACKORDER_FAIR");
    }

    #[test]
    fn reservations_without_a_cause_count_as_made_together_within_a_minute() {
        let story = |apart: u64| {
            let mut h = two_wait();
            h.reserve(2, DC1, &[(1, D, 2)], Id::NONE).wait(Span::from_secs(apart)).reserve(1, DC1, &[(1, D, 2)], Id::NONE);
            h
        };
        story(59).accepts("BACKORDER_FAIR");
        story(60).rejects("BACKORDER_FAIR", "served only later, by another cause");
    }

    #[test]
    fn accepts_passing_over_who_does_not_fit_or_is_being_cancelled() {
        let mut h = Story::new();
        h.place(1, &[(1, D, 3)]).event(1, Op::LineBackordered, |m| lines(m, &[(1, D, 3)]));
        h.place(2, &[(1, D, 2)]).event(2, Op::LineBackordered, |m| lines(m, &[(1, D, 2)]));
        h.cancel(2);
        h.place(3, &[(1, D, 2)]).event(3, Op::LineBackordered, |m| lines(m, &[(1, D, 2)]));
        let receipt = h.delta(DC1, D, 2, 1);
        h.reserve(3, DC1, &[(1, D, 2)], receipt);
        h.accepts("BACKORDER_FAIR");
    }

    #[test]
    fn accepts_orders_whose_backorders_crossed_on_the_wire() {
        let mut h = Story::new();
        h.place(1, &[(1, D, 1)]).place(2, &[(1, D, 1)]);
        h.event(1, Op::LineBackordered, |m| lines(m, &[(1, D, 1)]));
        h.event(2, Op::LineBackordered, |m| lines(m, &[(1, D, 1)]));
        h.reserve(2, DC1, &[(1, D, 1)], Id::NONE);
        h.accepts("BACKORDER_FAIR");
    }
}
