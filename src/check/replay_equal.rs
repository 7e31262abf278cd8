//! REPLAY_EQUAL: a settled target that is sent everything once more does nothing more.

use super::{Checker, Context, Invariant};
use crate::history::{Entry, Header, Kind};
use crate::model::{Code, Id, NodeId, Op, OrderNo, SkuId};
use rustc_hash::{FxHashMap, FxHashSet};

pub(super) const ABOUT: Invariant = Invariant {
    name: "REPLAY_EQUAL",
    summary: "sending everything once more changes nothing",
    definition: "After `mark.replay` every message that was ever sent to the target comes once more, under its old id and key. Then no partner's book or shelf moves, no event with a new id is heard, and at the end `GetOrder` and `GetInventory` answer as they did before the mark.",
    needs: "`replay` in the header; the states at rest before `mark.replay`, the messages after it, and the states at rest after those",
    traps: "an event whose id was heard before is a redelivery and legal; so is a call to a partner that moves nothing. What is answered to a repeated message is free. The mark ends the judging of everything else: it comes when the run is at rest.",
    facts_only: false,
};

type Level = (i32, i32, u64);

/// Remembers every event id and every state, but only where the header announces a replay.
#[derive(Default)]
pub(super) struct ReplayEqual {
    /// everything is sent once more, by the header
    expected: bool,
    begun: bool,
    heard: FxHashSet<Id>,
    orders: FxHashMap<OrderNo, (Code, i32, i64, u64)>,
    levels: FxHashMap<(NodeId, SkuId), Level>,
}

impl ReplayEqual {
    pub(super) fn new(header: &Header) -> ReplayEqual {
        ReplayEqual { expected: header.replay, ..ReplayEqual::default() }
    }
}

impl Checker for ReplayEqual {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, _: Op) -> bool {
        self.expected && matches!(kind, Kind::Event | Kind::Fact | Kind::State | Kind::Sent | Kind::Mark)
    }
    fn hears_replay(&self) -> bool {
        true
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        match e.kind {
            Kind::Mark => self.begun |= m.op == Op::MarkReplay,
            Kind::Sent if self.begun => ctx.judged(),
            Kind::Event if m.id.is_some() && !self.heard.insert(m.id) => {}
            Kind::Event | Kind::Fact if self.begun => {
                let (what, expected) = match e.kind {
                    Kind::Fact => ("happened again or anew", "no effect: every message was a repetition of one that was dealt with"),
                    _ => ("was published under a new id", "no event but redeliveries: every message was a repetition of one that was dealt with"),
                };
                ctx.fail(m.order, format!("{} {what} when everything was sent once more", m.op), expected, vec![e.n]);
            }
            Kind::State if m.op == Op::GetOrder => {
                let now = (m.code, m.qty, m.amount.0, e.n);
                match self.orders.insert(m.order, now).filter(|_| self.begun) {
                    Some(was) if (was.0, was.1, was.2) != (now.0, now.1, now.2) => {
                        let what = format!(
                            "{} is `{}` with {} units held and {} captured since everything was sent once more",
                            m.order, now.0, now.1, m.amount
                        );
                        let expected = format!("`{}`, {} units, {}, as before", was.0, was.1, crate::model::Money(was.2));
                        ctx.fail(m.order, what, expected, vec![was.3, e.n]);
                    }
                    _ => {}
                }
            }
            Kind::State if m.op == Op::GetInventory => {
                let now: Level = (m.qty, m.lines.first().map_or(0, |q| q.qty), e.n);
                match self.levels.insert((m.node, m.sku), now).filter(|_| self.begun) {
                    Some(was) if (was.0, was.1) != (now.0, now.1) => {
                        let (node, sku) = (ctx.header.fixture.node_name(m.node), ctx.header.fixture.sku_name(m.sku));
                        let what = format!("{} of {sku} are on hand at {node} and {} reserved since everything was sent once more", now.0, now.1);
                        ctx.fail(OrderNo::NONE, what, format!("{} and {}, as before", was.0, was.1), vec![was.2, e.n]);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        if self.begun && !ctx.at_rest {
            ctx.unknown();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, Message, Money, Op, OrderNo, Outcome};
    use crate::sim::Span;

    /// A plain order at rest, and its message sent once more a month later.
    fn replayed() -> Story {
        let mut h = Story::new();
        h.header.replay = true;
        h.plain_order(1).mark(Op::MarkRest).wait(Span::from_days(60)).mark(Op::MarkReplay).resend(1, Outcome::Replayed);
        h
    }

    #[test]
    fn accepts_silence_redelivered_events_and_the_same_states() {
        let mut h = replayed();
        let accepted = h.entries().iter().position(|e| e.msg.op == Op::OrderAccepted).unwrap();
        let completed = |m: &mut Message| (m.code, m.amount) = (Code::StateCompleted, Money(4800));
        h.again(accepted).answers(1, completed).shelf_state(DC1, A, 9, 0).accepts("REPLAY_EQUAL");
        assert_eq!(h.judge().verdict, Verdict::Pass, "{:#?}", h.judge().findings);
        assert_eq!(h.cut_short().verdict, Verdict::Unknown);
    }

    #[test]
    fn rejects_a_new_fact_a_new_event_and_another_state() {
        let mut h = replayed();
        h.fact(1, Op::PaymentRefund, |m| pays(m, 501, 4000));
        h.rejects("REPLAY_EQUAL", "payment.refund happened again or anew");
        let mut h = replayed();
        h.accept(1);
        let finding = h.rejects("REPLAY_EQUAL", "order.accepted was published under a new id");
        assert_eq!(finding.order, Some(OrderNo(1)));
        let mut h = replayed();
        h.state(1, Code::StateOpen, 1);
        h.rejects("REPLAY_EQUAL", "O1 is `open` with 1 units held");
        let mut h = replayed();
        h.shelf_state(DC1, A, 8, 0);
        h.rejects("REPLAY_EQUAL", "8 of A are on hand at DC1");
    }

    #[test]
    fn what_comes_after_the_mark_is_judged_by_nothing_else() {
        let mut h = replayed();
        h.accept(1);
        let failing: Vec<_> = h.judge().results.into_iter().filter(|r| r.verdict == Verdict::Fail).map(|r| r.name).collect();
        assert_eq!(failing, ["REPLAY_EQUAL"]);
    }
}
