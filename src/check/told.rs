//! What of a scenario's expectations a record can show at all, where its target does not tell of everything.

use super::Coverage;
use super::coverage::MONEY;
use crate::history::Header;
use crate::model::Op;
use crate::scenario::{Amount, Chain, Count, Expect, FlowStep, Never, Relation, StepTree, Term};
use crate::sim::Span;

/// When a target without the policy `capture = "on_ship"` moves money, and without `refund = "on_inspection"` gives it back, is its own affair.
const PAYS: &[Op] = &[Op::PaymentAuthorized, Op::PaymentReauthorized, Op::PaymentDeclined, Op::PaymentCaptured, Op::PaymentVoided];

/// Leaves out what cannot come true for anybody: steps that the target never announces, counts of calls that nobody saw, sums of
/// books that nobody kept. Where states are only sampled, a step between others may be missed, and a deadline grows by two samples.
pub(super) fn told(mut expect: Expect, covers: &Coverage, header: &Header) -> Expect {
    if covers.is_whole() {
        return expect;
    }
    let policies = &header.fixture.policies;
    let announced = |op: Op| {
        let own_affair = policies.capture != "on_ship" && PAYS.contains(&op) || policies.refund != "on_inspection" && op == Op::PaymentRefunded;
        covers.claims(&[op]) && !own_affair
    };
    let sampled = header.tells.as_ref().map_or(Span::ZERO, |tells| Span(tells.sampled_ns));
    expect.flow = expect.flow.into_iter().filter_map(|chain| of_chain(chain, &announced, sampled > Span::ZERO)).collect();
    expect.never.retain(|never| can_be_seen(never, &announced));
    expect.within.retain(|deadline| announced(deadline.from) && deadline.to.iter().all(|op| announced(*op)));
    expect.within.iter_mut().for_each(|deadline| deadline.limit = deadline.limit + sampled + sampled);
    expect.calls.retain(|(op, _)| covers.facts(&[*op]));
    if policies.capture != "on_ship" {
        // what is charged at once is given back where another would not have charged at all: the sums are judged by the rules for money
        expect.calls.retain(|(op, _)| !MONEY.contains(op));
        if expect.ledger.captured.as_ref().is_none_or(is_nothing) {
            (expect.ledger.captured, expect.ledger.refunded) = (None, None);
        }
    }
    if !covers.facts(MONEY) {
        (expect.ledger.captured, expect.ledger.refunded, expect.ledger.authorized_open) = (None, None, None);
    }
    if !covers.stock() {
        expect.ledger.stock.clear();
    }
    // who cannot be heard to have ended one way cannot be held to exactly one way
    let ends = |op: &Op| covers.claims(&[*op]) || *op == Op::OrderRejected;
    if !expect.outcomes.iter().all(|(op, _)| ends(op)) {
        expect.outcomes.clear();
    }
    expect.outcomes = expect.outcomes.into_iter().map(|(op, outcome)| (op, told(outcome, covers, header))).collect();
    expect
}

fn is_nothing(amount: &Amount) -> bool {
    amount.terms.iter().all(|(_, term)| *term == Term::Cents(0))
}

fn can_be_seen(never: &Never, announced: &impl Fn(Op) -> bool) -> bool {
    announced(never.op)
        && match never.relation {
            Relation::AtAll | Relation::After(_) => true,
            Relation::Before(other) => announced(other),
        }
}

fn of_chain(mut chain: Chain, announced: &impl Fn(Op) -> bool, sampled: bool) -> Option<Chain> {
    let parts = chain.parts.len();
    let last = chain.parts.last().cloned().and_then(|part| of_tree(part, announced));
    chain.parts = chain.parts.into_iter().filter_map(|part| of_tree(part, announced)).collect();
    // `all` speaks of the objects of its first part
    let all_kept = !chain.all || chain.parts.len() == parts;
    if sampled {
        let seen = chain.parts.len() - usize::from(last.is_some());
        chain.parts.iter_mut().take(seen).for_each(optional);
    }
    (all_kept && !chain.parts.is_empty()).then_some(chain)
}

/// Whether a hold of goods is told of by the order, by the line or by the place is the target's own affair.
fn at_its_own_grain(step: FlowStep) -> FlowStep {
    let grains = matches!(step.op, Op::InventoryReserved | Op::InventoryReleased);
    FlowStep { count: Count { max: step.count.max.filter(|_| !grains), ..step.count }, ..step }
}

fn of_tree(tree: StepTree, announced: &impl Fn(Op) -> bool) -> Option<StepTree> {
    match tree {
        StepTree::One(step) => announced(step.op).then_some(StepTree::One(at_its_own_grain(step))),
        StepTree::And(parts) => {
            let kept: Vec<StepTree> = parts.into_iter().filter_map(|part| of_tree(part, announced)).collect();
            (!kept.is_empty()).then_some(StepTree::And(kept))
        }
        // one of these, of which some are never heard: nobody can say whether it was that one
        StepTree::Or(parts) => {
            let all: Option<Vec<StepTree>> = parts.into_iter().map(|part| of_tree(part, announced)).collect();
            all.map(StepTree::Or)
        }
    }
}

fn optional(tree: &mut StepTree) {
    match tree {
        StepTree::One(step) => step.count.min = 0,
        StepTree::And(parts) | StepTree::Or(parts) => parts.iter_mut().for_each(optional),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;
    use crate::check::{Judgement, Verdict};
    use crate::history::Tells;
    use crate::scenario::{AmountFile, ExpectFile};

    /// A target that announces only these, and whose partners' books show only those.
    fn judged(h: &mut Story, claims: &[Op], facts: &[Op], sampled_ns: u64, flow: &str) -> Judgement {
        let file = ExpectFile { flow: vec![flow.into()], ..ExpectFile::default() };
        h.expect = Expect::parse(&file, &h.header.fixture).unwrap();
        h.header.tells = Some(Tells { claims: claims.to_vec(), facts: facts.to_vec(), sampled_ns });
        h.run(h.suite())
    }

    fn shipped(h: &mut Story) {
        h.event(1, Op::ShipmentShipped, |m| {
            parcel(m, 1);
            at_node(m, DC1, &[(1, A, 1)]);
        });
    }

    const FLOW: &str = "order.accepted > fulfillment.picked > shipment.shipped";

    #[test]
    fn a_step_that_is_never_announced_is_not_missed_and_one_that_is_announced_is() {
        let story = || {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1);
            shipped(&mut h);
            h
        };
        let says = [Op::OrderAccepted, Op::ShipmentShipped];
        assert_eq!(judged(&mut story(), &says, &[], 0, FLOW).verdict_of("EXPECTATION"), Verdict::Pass);
        let more = [Op::OrderAccepted, Op::FulfillmentPicked, Op::ShipmentShipped];
        assert_eq!(judged(&mut story(), &more, &[], 0, FLOW).verdict_of("EXPECTATION"), Verdict::Fail);
        // between two samples it may have been picked
        assert_eq!(judged(&mut story(), &more, &[], 300_000_000, FLOW).verdict_of("EXPECTATION"), Verdict::Pass);
    }

    #[test]
    fn goods_may_be_held_line_by_line() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1), (2, B, 1)]).accept(1);
        h.reserve(1, DC1, &[(1, A, 1)], crate::model::Id::NONE).reserve(1, DC1, &[(2, B, 1)], crate::model::Id::NONE);
        let says = [Op::OrderAccepted, Op::InventoryReserved];
        let flow = "order.accepted > inventory.reserved";
        assert_eq!(judged(&mut h, &says, &[], 0, flow).verdict_of("EXPECTATION"), Verdict::Pass);
    }

    #[test]
    fn who_charges_at_once_may_give_back_and_may_not_charge_twice() {
        let story = |charges: u32, captured: Option<AmountFile>| {
            let mut h = Story::new();
            h.header.fixture.policies.capture = "other".into();
            h.place(1, &[(1, A, 1)]).accept(1);
            for at in 0..u64::from(charges) {
                h.fact(1, Op::PaymentAuthorize, |m| pays(m, 50 + at, 4800)).fact(1, Op::PaymentCapture, |m| pays(m, 50 + at, 4800));
            }
            h.fact(1, Op::PaymentRefund, |m| pays(m, 50, 4800));
            h.event(1, Op::OrderCancelled, |_| {});
            let mut file = ExpectFile::default();
            file.ledger.captured = captured;
            file.ledger.refunded = Some(AmountFile::Cents(0));
            h.expect = Expect::parse(&file, &h.header.fixture).unwrap();
            h.header.tells = Some(Tells { claims: vec![Op::OrderAccepted, Op::OrderCancelled], facts: MONEY.to_vec(), sampled_ns: 0 });
            h.run(h.suite())
        };
        for nothing in [Some(AmountFile::Cents(0)), None] {
            assert_ne!(story(1, nothing.clone()).verdict, Verdict::Fail);
            assert_eq!(story(2, nothing).verdict, Verdict::Fail);
        }
        // where something is expected to be kept, what is given back is counted
        assert_eq!(story(1, Some(AmountFile::Cents(4800))).verdict_of("EXPECTATION"), Verdict::Fail);
    }

    #[test]
    fn the_last_step_is_owed_though_states_are_only_sampled() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        let says = [Op::OrderAccepted, Op::FulfillmentPicked, Op::ShipmentShipped];
        assert_eq!(judged(&mut h, &says, &[], 300_000_000, FLOW).verdict_of("EXPECTATION"), Verdict::Fail);
    }
}
