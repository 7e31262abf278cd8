//! FEED_TRACKED: what the target believes to be on hand is what it was told.

use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Op, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "FEED_TRACKED",
    summary: "the target believes what its feeds told it",
    definition: "Where `GetInventory` is answered during the run, on hand = the units that all acknowledged messages about that node and SKU come to, in the order of their movement numbers: snapshots, deltas, goods that left, goods restocked, counts set right. Asked only of a node and SKU that the feed message in `cause` told of.",
    needs: "`GetInventory` during the run with `cause`, feeds and callbacks with `seq` and their acknowledgements",
    traps: "under a gap in the numbers, while a message is sent and not yet acknowledged, while goods lie inspected whose return the target has not taken on, and within the grace (twice the worst publish lag of the probe orders) after the last acknowledgement nothing is concluded: an answer that differs then is counted as excused. A movement that was never told is not the target's to know. At rest STOCK_CONSERVED judges.",
    facts_only: false,
};

/// Compares one answer with the judge's own sum of the messages.
pub(super) struct FeedTracked;

impl Checker for FeedTracked {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::State && op == Op::GetInventory
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        let Some(shelf) = ctx.ledger.shelf(m.node, m.sku).filter(|shelf| shelf.is_numbered() && m.cause.is_some()) else { return };
        let said = i64::from(m.qty);
        match shelf.delivered(e.at, ctx.grace()) {
            Err(level) if level == said => {}
            Err(_) => ctx.excuse(),
            Ok(level) => {
                ctx.judged();
                if level != said {
                    let (node, sku) = (ctx.header.fixture.node_name(m.node), ctx.header.fixture.sku_name(m.sku));
                    let what = format!("the target says {said} of {sku} are on hand at {node}, it was told of {level}");
                    let expected = format!("{level}: every message about it was acknowledged, none is missing, and nothing is under way");
                    ctx.fail(OrderNo::NONE, what, expected, vec![shelf.told_first, shelf.told_last, e.n]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::history::Kind;
    use crate::model::{Code, Id, Message, Op, Outcome};
    use crate::sim::Span;

    /// Five units, and a receipt of three that the target has taken.
    fn received() -> (Story, Id) {
        let mut h = Story::new();
        h.stock(DC1, A, 5).movement(Op::StockReceipt, DC1, A, 3, 2);
        let delta = h.delta(DC1, A, 3, 2);
        h.reply(delta, Outcome::Ok).wait(Span::from_mins(1));
        (h, delta)
    }

    #[test]
    fn accepts_what_the_messages_come_to_and_rejects_anything_else() {
        for (said, verdict) in [(8, Verdict::Pass), (5, Verdict::Fail), (11, Verdict::Fail)] {
            let (mut h, delta) = received();
            h.shelf_asked(DC1, A, said, delta);
            assert_eq!(h.judge().verdict_of("FEED_TRACKED"), verdict, "{said}");
        }
        let (mut h, delta) = received();
        h.shelf_asked(DC1, A, 5, delta);
        let finding = h.rejects("FEED_TRACKED", "says 5 of A are on hand at DC1, it was told of 8");
        assert_eq!(finding.evidence, [2, 5, 7]);
    }

    #[test]
    fn accepts_goods_that_left_and_an_old_snapshot_behind_newer_news() {
        let (mut h, delta) = received();
        h.movement(Op::StockShipped, DC1, A, -2, 3);
        let shipped = h.sent(1, Op::CbNodeShipped, |m| {
            at_node(m, DC1, &[(1, A, 2)]);
            m.lines[0].seq = 3;
        });
        let old = h.snapshot(DC1, &[(A, 5, 1)]);
        h.reply(shipped, Outcome::Ok).reply(old, Outcome::Ok).wait(Span::from_mins(1)).shelf_asked(DC1, A, 6, delta).accepts("FEED_TRACKED");
    }

    /// Nobody asked for the return of what came back: the target may book it when somebody does.
    #[test]
    fn goods_of_a_return_that_nobody_asked_for_may_wait_for_the_request() {
        let unasked = |asked: bool| {
            let (mut h, delta) = received();
            h.place(1, &[(1, A, 1)]).movement(Op::StockRestocked, DC1, A, 1, 3);
            let inspected = h.sent(1, Op::CbNodeInspected, |m| {
                in_return(m, 900, &[(1, A, 1)]);
                (m.node, m.code, m.lines[0].seq) = (DC1, Code::Restock, 3);
            });
            h.reply(inspected, Outcome::Ok);
            if asked {
                let request = h.sent(1, Op::RequestReturn, |m| in_return(m, 900, &[(1, A, 1)]));
                h.reply(request, Outcome::Ok);
            }
            h.wait(Span::from_mins(1)).shelf_asked(DC1, A, 8, delta);
            h
        };
        assert_eq!(unasked(false).judge().verdict_of("FEED_TRACKED"), Verdict::NotExercised);
        unasked(true).rejects("FEED_TRACKED", "it was told of 9");
    }

    #[test]
    fn a_count_set_right_by_a_node_that_came_up_short_is_news_like_any_other() {
        for (code, left) in [(Code::NotInStock, 0), (Code::Mismatch, 7), (Code::DamagedGoods, 7)] {
            let (mut h, delta) = received();
            let short = h.sent(1, Op::CbNodeShortPicked, |m| {
                at_node(m, DC1, &[(1, A, 1)]);
                (m.code, m.lines[0].seq) = (code, 3);
            });
            h.reply(short, Outcome::Ok).wait(Span::from_mins(1)).shelf_asked(DC1, A, left, delta).accepts("FEED_TRACKED");
        }
    }

    #[test]
    fn a_movement_with_a_cause_is_no_answer() {
        let (mut h, delta) = received();
        h.put(Kind::Fact, Outcome::None, Message { node: DC1, sku: A, qty: 3, cause: delta, ..Message::new(Op::StockReceipt, Id::NONE) });
        assert_eq!(h.judge().verdict_of("FEED_TRACKED"), Verdict::NotExercised);
    }

    /// Under a gap, while a message is under way, and just after it was acknowledged.
    #[test]
    fn concludes_nothing_while_something_is_under_way() {
        let gap = |h: &mut Story| {
            let ahead = h.delta(DC1, A, -1, 4);
            h.reply(ahead, Outcome::Ok).wait(Span::from_mins(1));
        };
        let sent = |h: &mut Story| {
            h.delta(DC1, A, -1, 3);
            h.wait(Span::from_mins(1));
        };
        let fresh = |h: &mut Story| {
            let next = h.delta(DC1, A, -1, 3);
            h.reply(next, Outcome::Ok);
        };
        for (name, under_way) in [("gap", &gap as &dyn Fn(&mut Story)), ("sent", &sent), ("fresh", &fresh)] {
            let (mut h, delta) = received();
            under_way(&mut h);
            h.shelf_asked(DC1, A, 77, delta);
            let judgement = h.judge();
            let result = judgement.results.iter().find(|r| r.name == "FEED_TRACKED").cloned();
            assert_eq!(result.map(|r| (r.verdict, r.excused)), Some((Verdict::NotExercised, 1)), "{name}");
        }
    }

    #[test]
    fn a_snapshot_mends_a_gap_and_what_it_says_is_owed_again() {
        let (mut h, delta) = received();
        let ahead = h.delta(DC1, A, -1, 4);
        h.reply(ahead, Outcome::Ok);
        let resync = h.snapshot(DC1, &[(A, 3, 4)]);
        h.reply(resync, Outcome::Ok).wait(Span::from_mins(1)).shelf_asked(DC1, A, 7, delta);
        h.rejects("FEED_TRACKED", "it was told of 3");
    }

    #[test]
    fn answers_at_rest_and_of_shelves_without_numbers_are_not_judged_here() {
        let mut h = Story::new();
        h.stock(DC1, A, 5).shelf_state(DC1, A, 77, 0);
        assert_eq!(h.judge().verdict_of("FEED_TRACKED"), Verdict::NotExercised);
        let delta = h.delta(DC1, B, 1, 0);
        h.reply(delta, Outcome::Ok).wait(Span::from_mins(1)).shelf_asked(DC1, B, 77, delta);
        assert_eq!(h.judge().verdict_of("FEED_TRACKED"), Verdict::NotExercised);
    }
}
