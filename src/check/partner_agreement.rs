//! PARTNER_AGREEMENT: the target's story matches its partners' books.

use super::account::{Account, Flow, MoneyMove};
use super::coverage::{GOODS, MONEY};
use super::{Checker, Context, Invariant};
use crate::model::{Lines, Money, Op, OrderNo, SkuId};
use smallvec::SmallVec;

type Moves = SmallVec<[MoneyMove; 2]>;
type FlowClaims = (Flow, &'static str, &'static [Op]);

/// Movements of money, and the events that announce them.
const FLOWS: &[FlowClaims] = &[
    (Flow::Authorized, "authorized", &[Op::PaymentAuthorized, Op::PaymentReauthorized]),
    (Flow::Captured, "captured", &[Op::PaymentCaptured]),
    (Flow::Voided, "voided", &[Op::PaymentVoided]),
    (Flow::Refunded, "refunded", &[Op::PaymentRefunded]),
];
const RELEASED: &[Op] = &[Op::FulfillmentReleased];
const SHIPPED: &[Op] = &[Op::ShipmentShipped, Op::FulfillmentPickedUp];

pub(super) const ABOUT: Invariant = Invariant {
    name: "PARTNER_AGREEMENT",
    summary: "the target's story matches its partners' books",
    definition: "At rest, per order: authorizations, captures, voids, refunds by authorization and amount; releases by fulfillment, units and node, parcels by fulfillment and units: the same multiset in facts and claims. And the amount that `order.accepted` says, where it says one, is what the order comes to.",
    needs: "payment, release and parcel facts and their events; the body of the order",
    traps: "effects, not attempts; an authorization closed without a capture, or a release that was cancelled, before the target ever announced it. A release that is announced without its lines is compared by number alone.",
    facts_only: false,
};

/// At rest, per order: authorizations, captures, voids and refunds in the payment partner's books are the same multiset as
/// those that the target announced, by authorization and amount; so are fulfillments taken on by nodes, and parcels that
/// left, with their units. What the target said at acceptance that the shopper owes is what the order comes to.
///
/// Traps: effects are compared, not attempts (a retry under its key leaves one fact). A claim that names no authorization
/// matches by amount. An effect whose answer was lost and that the target undid before it ever learned of it need not be
/// announced: an authorization closed without a capture, a release that the node cancelled. What the record does not hold on
/// both sides (a target that never announces releases, books that nobody kept) is not compared.
#[derive(Default)]
pub(super) struct PartnerAgreement;

impl Checker for PartnerAgreement {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account else { return };
        owes_what_it_comes_to(order, account, ctx);
        if account.money.is_empty() && account.parcels.iter().all(|p| p.releases.is_empty() && p.released_claims.is_empty()) {
            return;
        }
        let covers = ctx.covers;
        let money = || FLOWS.iter().filter(|(_, _, claims)| covers.facts(MONEY) && covers.claims(claims));
        let [releases, shipments] = [RELEASED, SHIPPED].map(|claims| ctx.covers.facts(GOODS) && ctx.covers.claims(claims));
        if money().next().is_none() && !releases && !shipments {
            return;
        }
        ctx.judged();
        if !ctx.at_rest || ctx.suspended {
            return ctx.unknown();
        }
        for (flow, name, _) in money() {
            if !account.money.iter().any(|moved| moved.flow == *flow) {
                continue;
            }
            let (facts, claims, excused) = unmatched(account, *flow);
            if excused {
                ctx.excuse();
            }
            if facts.is_empty() && claims.is_empty() {
                continue;
            }
            let list = |moves: &[MoneyMove]| moves.iter().map(|m| format!("{} (entry {})", Money(m.amount), m.n)).collect::<Vec<_>>().join(", ");
            let what = match (facts.is_empty(), claims.is_empty()) {
                (false, true) => format!("{name} for {order} in the partner's books but never announced: {}", list(&facts)),
                (true, false) => format!("{name} for {order} as announced, but not in the partner's books: {}", list(&claims)),
                _ => format!("{name} for {order}: the books have {}, the target announced {}", list(&facts), list(&claims)),
            };
            let evidence = facts.iter().chain(&claims).map(|m| m.n).collect();
            ctx.fail(order, what, "every effect is announced once, and nothing else is", evidence);
        }
        for parcel in &account.parcels {
            let undone = parcel.released_claims.is_empty() && !parcel.cancels.is_empty();
            // what is never announced is no claim that could agree
            let pairs = [
                ("taken on by its node", &parcel.releases, "released", &parcel.released_claims, releases, undone),
                ("left its node", &parcel.shipments, "shipped", &parcel.shipped_claims, shipments, false),
            ];
            for (fact, facts, claim, claims, _, excused) in pairs.into_iter().filter(|(.., told, _)| *told) {
                if facts.len() != claims.len() && excused {
                    ctx.excuse();
                } else if facts.len() != claims.len() {
                    let what = format!("{} of {order} {fact} {} times, announced as {claim} {} times", parcel.fid, facts.len(), claims.len());
                    let evidence = facts.iter().chain(claims.iter()).copied().collect();
                    ctx.fail(order, what, "every effect is announced once, and nothing else is", evidence);
                }
            }
            if let ([fact], [claim]) = (parcel.shipments.as_slice(), parcel.shipped_claims.as_slice())
                && !is_same(&parcel.shipped_lines, &parcel.claimed_lines)
            {
                let what = format!("{} of {order} left with other units than were announced", parcel.fid);
                ctx.fail(order, what, "the units announced are those that left", vec![*fact, *claim]);
            }
            if let ([fact], [claim]) = (parcel.releases.as_slice(), parcel.released_claims.as_slice()) {
                if !parcel.claimed_release.is_empty() && !is_same(&parcel.release_lines, &parcel.claimed_release) {
                    let what = format!("{} of {order} was taken on by its node with other units than were announced as released", parcel.fid);
                    ctx.fail(order, what, "the units announced are those that the node was given", vec![*fact, *claim]);
                }
                if parcel.claimed_node.is_some() && parcel.claimed_node != parcel.release_node {
                    let what = format!("{} of {order} was taken on by another node than was announced", parcel.fid);
                    ctx.fail(order, what, "the node announced is the one that has it", vec![*fact, *claim]);
                }
            }
        }
    }
}

/// The first thing that a target says of an order, and the shopper reads, may be said without an amount.
fn owes_what_it_comes_to(order: OrderNo, account: &Account, ctx: &mut Context<'_>) {
    let (Some(body), said) = (&account.body, account.accepted_at) else { return };
    if said == Money::ZERO {
        return;
    }
    ctx.judged();
    if said != body.total() {
        let what = format!("{order} was accepted at {said}, and comes to {}", body.total());
        ctx.fail(order, what, "what the shopper is told to owe is what the order comes to", vec![account.placed.n, account.accepted[0]]);
    }
}

/// Facts and claims of one kind that have no counterpart, and whether some fact was excused: undone before it was known.
fn unmatched(account: &Account, flow: Flow) -> (Moves, Moves, bool) {
    let of = |fact: bool| account.money.iter().filter(move |m| m.flow == flow && m.fact == fact && m.amount != 0).copied();
    let mut facts: Moves = of(true).collect();
    let (mut claims, mut excused) = (Moves::new(), false);
    // those that name their authorization first
    for claim in of(false).filter(|m| m.pay.is_some()).chain(of(false).filter(|m| m.pay.is_none())) {
        match facts.iter().position(|m| m.amount == claim.amount && (m.pay == claim.pay || claim.pay.is_none())) {
            Some(i) => {
                facts.remove(i);
            }
            None => claims.push(claim),
        }
    }
    if matches!(flow, Flow::Authorized | Flow::Voided) {
        let known = facts.len();
        facts.retain(|m| !undone_unheard(account, m));
        excused = facts.len() < known;
    }
    (facts, claims, excused)
}

/// The authorization came and went without the target's ever having announced it.
fn undone_unheard(account: &Account, m: &MoneyMove) -> bool {
    let announced = account.money.iter().any(|c| !c.fact && c.flow == Flow::Authorized && c.pay == m.pay);
    let undone = account.auths.iter().any(|auth| auth.pay == m.pay && auth.captured == 0 && auth.open() == 0);
    undone && !announced
}

/// The same units, however they are listed.
fn is_same(one: &Lines, other: &Lines) -> bool {
    let as_listed = one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one.sku, one.qty) == (other.sku, other.qty));
    as_listed || by_sku(one) == by_sku(other)
}

fn by_sku(lines: &Lines) -> Vec<(SkuId, i64)> {
    let mut units: Vec<(SkuId, i64)> = Vec::new();
    for q in lines {
        match units.iter_mut().find(|(sku, _)| *sku == q.sku) {
            Some((_, qty)) => *qty += i64::from(q.qty),
            None => units.push((q.sku, i64::from(q.qty))),
        }
    }
    units.sort_unstable();
    units
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Money, NodeId, Op};

    fn shipped() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).node_release(1, 1, DC1, &[(1, A, 1)]).ship(1, 1, DC1, &[(1, A, 1)]);
        h
    }

    #[test]
    fn accepts_effects_that_are_announced_once_each() {
        shipped().capture(1, 50, 4800).complete(1).accepts("PARTNER_AGREEMENT");
    }

    #[test]
    fn rejects_an_effect_that_was_never_announced_and_a_claim_without_an_effect() {
        let mut h = shipped();
        h.capture(1, 50, 4800).fact(1, Op::PaymentCapture, |m| pays(m, 50, 4800));
        h.rejects("PARTNER_AGREEMENT", "in the partner's books but never announced: 48.00");
        assert_eq!(h.cut_short().verdict_of("PARTNER_AGREEMENT"), Verdict::Unknown);
        let mut h = shipped();
        h.event(1, Op::PaymentCaptured, |m| pays(m, 50, 4800));
        h.rejects("PARTNER_AGREEMENT", "not in the partner's books: 48.00");
    }

    #[test]
    fn what_a_target_never_announces_is_not_compared_and_needs_no_excuse() {
        let told = |claims: &[Op]| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1).fact(1, Op::NodeRelease, |m| {
                parcel(m, 1);
                at_node(m, DC1, &[(1, A, 1)]);
            });
            let facts = [Op::NodeRelease, Op::CbNodeShipped, Op::CbNodeCollected, Op::NodeCancel];
            h.header.tells = Some(crate::history::Tells { claims: claims.to_vec(), facts: facts.to_vec(), sampled_ns: 0 });
            let judgement = h.judge();
            let result = judgement.results.iter().find(|result| result.name == "PARTNER_AGREEMENT").cloned();
            result.map(|result| (result.verdict, result.excused))
        };
        let shipments = [Op::OrderAccepted, Op::ShipmentShipped, Op::FulfillmentPickedUp];
        assert_eq!(told(&shipments), Some((Verdict::Pass, 0)));
        let releases = [&shipments[..], &[Op::FulfillmentReleased]].concat();
        assert_eq!(told(&releases), Some((Verdict::Fail, 0)));
    }

    #[test]
    fn rejects_a_parcel_that_was_never_announced() {
        let mut h = shipped();
        h.fact(1, Op::CbNodeShipped, |m| {
            parcel(m, 2);
            at_node(m, DC1, &[(1, A, 1)]);
        });
        h.rejects("PARTNER_AGREEMENT", "F2 of O1 left its node 1 times, announced as shipped 0 times");
    }

    #[test]
    fn rejects_a_release_that_was_announced_with_other_units_or_another_node_and_accepts_one_without_any() {
        let told = |node: NodeId, units: Option<i32>| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 2)]).accept(1);
            h.fact(1, Op::NodeRelease, |m| {
                parcel(m, 1);
                at_node(m, DC1, &[(1, A, 1)]);
            });
            h.event(1, Op::FulfillmentReleased, |m| {
                parcel(m, 1);
                units.into_iter().for_each(|units| at_node(m, node, &[(1, A, units)]));
                m.node = node;
            });
            h
        };
        for fine in [told(DC1, Some(1)), told(DC1, None), told(NodeId::NONE, Some(1)), told(NodeId::NONE, None)] {
            fine.accepts("PARTNER_AGREEMENT");
        }
        told(NodeId(2), None).rejects("PARTNER_AGREEMENT", "F1 of O1 was taken on by another node than was announced");
        let finding = told(DC1, Some(2)).rejects("PARTNER_AGREEMENT", "F1 of O1 was taken on by its node with other units than were announced");
        assert_eq!(finding.evidence.len(), 2, "the fact and the claim");
    }

    #[test]
    fn rejects_an_acceptance_at_another_amount_than_the_order_comes_to() {
        let at = |amount: i64| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 2)]);
            h.event(1, Op::OrderAccepted, |m| m.amount = Money(amount));
            h
        };
        let comes_to = Story::new().body(&[(1, A, 2)]).total().0;
        at(comes_to).accepts("PARTNER_AGREEMENT");
        at(comes_to - 1).rejects("PARTNER_AGREEMENT", "was accepted at");
        assert_eq!(at(0).judge().verdict_of("PARTNER_AGREEMENT"), Verdict::NotExercised, "a target need not say it");
    }

    #[test]
    fn accepts_what_the_target_undid_before_it_learned_of_it() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).fact(1, Op::PaymentAuthorize, |m| pays(m, 50, 4800)).fact(1, Op::PaymentVoid, |m| pays(m, 50, 4800));
        h.fact(1, Op::NodeRelease, |m| parcel(m, 1)).fact(1, Op::NodeCancel, |m| parcel(m, 1));
        h.event(1, Op::OrderCancelled, |_| {});
        h.accepts("PARTNER_AGREEMENT");
    }

    #[test]
    fn rejects_a_live_authorization_and_the_end_of_an_announced_one_that_were_kept_quiet() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).fact(1, Op::PaymentAuthorize, |m| pays(m, 50, 4800));
        h.rejects("PARTNER_AGREEMENT", "in the partner's books but never announced: 48.00");
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).fact(1, Op::PaymentVoid, |m| pays(m, 50, 4800));
        h.rejects("PARTNER_AGREEMENT", "in the partner's books but never announced: 48.00");
    }

    #[test]
    fn a_lost_event_makes_it_unknown() {
        let mut h = shipped();
        h.fact(1, Op::PaymentCapture, |m| pays(m, 50, 4800));
        h.hold_event(1, Op::PaymentCaptured, |m| pays(m, 50, 4800));
        h.complete(1).leaves_open("PARTNER_AGREEMENT");
    }
}
