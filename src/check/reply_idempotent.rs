//! REPLY_IDEMPOTENT: the same request gets the same answer.

use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Class, Id, Message, Op, OrderNo, Outcome};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

pub(super) const ABOUT: Invariant = Invariant {
    name: "REPLY_IDEMPOTENT",
    summary: "the same request gets the same answer",
    definition: "Commands of one order that carry the same `key` and ask for the same thing get answers of the same class: done (`ok`, `replayed`) or definitely not (`rejected`). Of commands that carry the same `key` and ask for different things at most one is done; the others are rejected.",
    needs: "two definite replies to commands of one `key`",
    traps: "`pending` while the first attempt is at work, `backpressure`, `refused`, `error` and `timed_out` are no definite answers; which of two different requests came first at the target is not known, so either may be the one that counts; ids, causes and correlation are not part of what is asked",
    facts_only: false,
};

/// A thing asked for under a key, and the first definite answer to it.
struct Asked {
    what: Arc<Message>,
    ids: SmallVec<[Id; 2]>,
    answer: Option<(bool, u64)>,
}

#[derive(Default)]
pub(super) struct ReplyIdempotent {
    orders: PerOrder<SmallVec<[Asked; 1]>>,
}

/// The same request, but for what differs from one attempt to the next.
fn is_same(one: &Message, other: &Message) -> bool {
    let Message {
        id: _,
        cause: _,
        corr: _,
        op,
        key,
        order,
        fulfillment,
        ret,
        pay,
        node,
        sku,
        line,
        qty,
        amount,
        code,
        seq,
        rule_version,
        drift,
        lines,
        body,
    } = one;
    let who = (*op, *key, *order, *fulfillment, *ret, *pay) == (other.op, other.key, other.order, other.fulfillment, other.ret, other.pay);
    let what = (*node, *sku, *line, *qty, *amount) == (other.node, other.sku, other.line, other.qty, other.amount);
    let rest = (*code, *seq, *rule_version, *drift) == (other.code, other.seq, other.rule_version, other.drift);
    who && what && rest && *lines == other.lines && *body == other.body
}

fn word(done: bool) -> &'static str {
    if done { "done" } else { "rejected" }
}

impl Checker for ReplyIdempotent {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        matches!(kind, Kind::Sent | Kind::Reply) && op.class() == Class::Command
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if m.order.is_none() || m.key.is_none() {
            return;
        }
        let Some(place) = ctx.place else { return };
        let asked = self.orders.entry(place);
        if e.kind == Kind::Sent {
            match asked.iter_mut().find(|known| is_same(&known.what, m)) {
                Some(known) => known.ids.push(m.id),
                None => asked.push(Asked { what: m.clone(), ids: smallvec![m.id], answer: None }),
            }
            return;
        }
        let done = match e.outcome {
            Outcome::Ok | Outcome::Replayed => true,
            Outcome::Rejected => false,
            _ => return,
        };
        let Some(at) = asked.iter().position(|known| known.ids.contains(&m.id)) else { return };
        let others = asked.iter().enumerate().filter(|(i, other)| *i != at && (other.what.key, other.what.op) == (m.key, m.op));
        let other = others.filter_map(|(_, other)| other.answer).find(|(other, _)| *other);
        if let Some((_, n)) = other {
            ctx.judged();
            if done {
                let what = format!("{} of {} under key {} asked for two different things, and both were answered as done", m.op, m.order, m.key);
                ctx.fail(m.order, what, "a key stands for one request: another one under it is rejected", vec![n, e.n]);
            }
        }
        match asked[at].answer {
            None => asked[at].answer = Some((done, e.n)),
            Some((first, n)) => {
                ctx.judged();
                if first != done {
                    let (was, is) = (word(first), word(done));
                    let what = format!("{} of {} under key {} was {was} (entry {n}) and, sent again, {is}", m.op, m.order, m.key);
                    ctx.fail(m.order, what, "the same request under the same key gets the same answer", vec![n, e.n]);
                }
            }
        }
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        if let Some(place) = ctx.place {
            self.orders.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Op, Outcome};

    fn cancels(outcomes: &[(Outcome, i32)]) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 3)]);
        for (outcome, qty) in outcomes {
            let id = h.sent(1, Op::CancelOrder, |m| {
                m.key = Id(7);
                lines(m, &[(1, A, *qty)]);
            });
            h.reply(id, *outcome);
        }
        h
    }

    #[test]
    fn accepts_the_same_answer_again_and_answers_that_say_nothing() {
        cancels(&[(Outcome::Ok, 1), (Outcome::Replayed, 1)]).accepts("REPLY_IDEMPOTENT");
        cancels(&[(Outcome::Rejected, 1), (Outcome::Rejected, 1)]).accepts("REPLY_IDEMPOTENT");
        cancels(&[(Outcome::Pending, 1), (Outcome::Backpressure, 1), (Outcome::Ok, 1), (Outcome::TimedOut, 1), (Outcome::Ok, 1)])
            .accepts("REPLY_IDEMPOTENT");
        assert_eq!(cancels(&[(Outcome::TimedOut, 1), (Outcome::Ok, 1)]).judge().verdict_of("REPLY_IDEMPOTENT"), Verdict::NotExercised);
    }

    #[test]
    fn rejects_an_answer_that_changes() {
        let finding =
            cancels(&[(Outcome::Ok, 1), (Outcome::Rejected, 1)]).rejects("REPLY_IDEMPOTENT", "was done (entry 4) and, sent again, rejected");
        assert_eq!(finding.evidence, [4, 6]);
        cancels(&[(Outcome::Rejected, 1), (Outcome::Ok, 1)]).rejects("REPLY_IDEMPOTENT", "was rejected");
    }

    #[test]
    fn a_request_sent_again_under_another_correlation_is_the_same_request() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 3)]);
        for (corr, outcome) in [(1, Outcome::Ok), (2, Outcome::Rejected)] {
            let id = h.sent(1, Op::CancelOrder, |m| (m.key, m.corr) = (Id(7), Id(corr)));
            h.reply(id, outcome);
        }
        h.rejects("REPLY_IDEMPOTENT", "was done (entry 4) and, sent again, rejected");
    }

    #[test]
    fn another_request_under_the_same_key_is_rejected() {
        cancels(&[(Outcome::Ok, 1), (Outcome::Rejected, 2)]).accepts("REPLY_IDEMPOTENT");
        cancels(&[(Outcome::Ok, 1), (Outcome::Ok, 2)]).rejects("REPLY_IDEMPOTENT", "two different things");
    }
}
