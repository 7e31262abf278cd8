//! What a record tells of at all. Our own tell of everything; that of another program may hold a partner's books without the
//! target's events, or the other way round. A rule whose side is not there has nothing to judge.

use crate::history::{Entry, Kind, Tells};
use crate::model::{Class, Op};

/// The payment partner's books.
pub(super) const MONEY: &[Op] = &[Op::PaymentAuthorize, Op::PaymentCapture, Op::PaymentVoid, Op::PaymentRefund, Op::CbPaymentExpired];
/// Goods that left or came back.
pub(super) const GOODS: &[Op] = &[Op::NodeRelease, Op::CbNodeShipped, Op::CbNodeCollected, Op::CbNodeReceived, Op::CbNodeInspected];
/// How a return ends.
pub(super) const RETURN_ENDS: &[Op] = &[Op::ReturnCompleted, Op::ExchangeCompleted];
/// How an order ends.
pub(super) const ENDS: &[Op] = &[Op::OrderCompleted, Op::OrderCancelled, Op::OrderRejected];

/// Operations that occur in a record as facts, and as events of the target.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    facts: Ops,
    claims: Ops,
    stock: bool,
    placed: bool,
    everything: bool,
}

impl Coverage {
    /// A record that holds all there was.
    pub fn everything() -> Coverage {
        Coverage { everything: true, ..Coverage::default() }
    }
    /// What a header says that its record tells of.
    pub fn of(tells: &Tells) -> Coverage {
        let mut coverage = Coverage { placed: true, ..Coverage::default() };
        tells.facts.iter().for_each(|op| coverage.facts.add(*op));
        tells.claims.iter().for_each(|op| coverage.claims.add(*op));
        Coverage { stock: coverage.facts.any(GOODS), ..coverage }
    }
    pub fn observe(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Fact if entry.msg.op.class() == Class::Stock => self.stock = true,
            Kind::Fact => self.facts.add(entry.msg.op),
            Kind::Event => self.claims.add(entry.msg.op),
            Kind::Sent => self.placed |= entry.msg.op == Op::PlaceOrder,
            _ => {}
        }
    }
    /// Does the record hold all there was?
    pub(super) fn is_whole(&self) -> bool {
        self.everything
    }
    /// Are effects of one of these sorts recorded?
    pub(super) fn facts(&self, ops: &[Op]) -> bool {
        self.everything || self.facts.any(ops)
    }
    /// Does the target announce one of these?
    pub(super) fn claims(&self, ops: &[Op]) -> bool {
        self.everything || self.claims.any(ops)
    }
    /// Does the target announce anything?
    pub(super) fn any_claim(&self) -> bool {
        self.everything || self.claims != Ops::default()
    }
    /// Does it say which orders were placed?
    pub(super) fn placed(&self) -> bool {
        self.everything || self.placed
    }
    /// Are movements on shelves recorded?
    pub(super) fn stock(&self) -> bool {
        self.everything || self.stock
    }
}

/// A set of operations: a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Ops([u64; 4]);

impl Ops {
    fn add(&mut self, op: Op) {
        self.0[op as usize / 64] |= 1 << (op as usize % 64);
    }
    fn any(&self, ops: &[Op]) -> bool {
        ops.iter().any(|op| self.0[*op as usize / 64] >> (*op as usize % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;
    use crate::check::{Judgement, Verdict};
    use crate::model::Code;

    /// Judged as a record of another program: by what it tells of.
    fn judge(h: &Story) -> Judgement {
        let mut coverage = Coverage::default();
        h.entries().iter().for_each(|entry| coverage.observe(entry));
        h.run(h.suite().covering(coverage))
    }

    fn sold_and_paid() -> Story {
        let mut h = Story::new();
        // a record of another program that declares nothing may charge when it sells
        h.header.fixture.policies.capture.clear();
        h.place(1, &[(1, A, 1)]);
        h.fact(1, Op::PaymentAuthorize, |m| pays(m, 50, 4800)).fact(1, Op::PaymentCapture, |m| pays(m, 50, 4800));
        h
    }

    fn leaves(h: &mut Story, order: u32, fid: u64) {
        h.fact(order, Op::CbNodeShipped, |m| {
            parcel(m, fid);
            at_node(m, DC1, &[(1, A, 1)]);
        });
    }

    #[test]
    fn books_alone_are_judged_by_what_books_alone_can_show() {
        let mut h = sold_and_paid();
        leaves(&mut h, 1, 1);
        let judgement = judge(&h);
        assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", judgement.findings);
        for silent in ["NO_LOST", "PARTNER_AGREEMENT", "RELEASED_ON_END", "CAPTURE_COMPLETE", "ACCEPT_ONCE", "EVENT_GAPLESS"] {
            assert_eq!(judgement.verdict_of(silent), Verdict::NotExercised, "{silent}");
        }
        leaves(&mut h, 1, 2);
        assert_eq!(judge(&h).verdict_of("SHIP_ONCE"), Verdict::Fail);
    }

    #[test]
    fn a_target_that_announces_captures_announces_all_of_them_but_need_not_announce_parcels() {
        let mut h = sold_and_paid();
        leaves(&mut h, 1, 1);
        h.event(1, Op::PaymentCaptured, |m| pays(m, 50, 4800));
        h.place(2, &[(1, A, 1)]).fact(2, Op::PaymentAuthorize, |m| pays(m, 51, 4800));
        assert_eq!(judge(&h).verdict_of("PARTNER_AGREEMENT"), Verdict::Pass);
        h.fact(2, Op::PaymentCapture, |m| pays(m, 51, 4800));
        let judgement = judge(&h);
        assert_eq!(judgement.findings.iter().map(|f| f.check.as_str()).collect::<Vec<_>>(), ["PARTNER_AGREEMENT"]);
        assert!(judgement.findings[0].what.contains("never announced: 48.00"), "{:?}", judgement.findings);
    }

    #[test]
    fn a_target_that_only_answers_is_judged_by_its_answers() {
        let mut h = sold_and_paid();
        leaves(&mut h, 1, 1);
        h.state(1, Code::StateCompleted, 0).shelf_state(DC1, A, 7, 2);
        let judgement = judge(&h);
        assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", judgement.findings);
        assert_eq!(judgement.verdict_of("STOCK_CONSERVED"), Verdict::NotExercised);
        h.place(2, &[(1, A, 1)]).state(2, Code::StateOpen, 0);
        assert_eq!(judge(&h).verdict_of("NO_LOST"), Verdict::Fail);
    }

    #[test]
    fn claims_alone_are_not_held_against_books_that_nobody_kept() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h.event(1, Op::PaymentCaptured, |m| pays(m, 50, 4800));
        h.event(1, Op::ShipmentShipped, |m| {
            parcel(m, 1);
            at_node(m, DC1, &[(1, A, 1)]);
        });
        h.complete(1);
        let judgement = judge(&h);
        assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", judgement.findings);
        h.accept(1);
        assert_eq!(judge(&h).verdict_of("ACCEPT_ONCE"), Verdict::Fail);
    }

    #[test]
    fn a_capture_without_any_authorization_in_the_record_is_a_sale_and_with_one_it_is_theft() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).fact(1, Op::PaymentCapture, |m| pays(m, 50, 4800));
        assert_eq!(judge(&h).verdict_of("CAPTURE_WITHIN_AUTH"), Verdict::NotExercised);
        h.place(2, &[(1, A, 1)]).fact(2, Op::PaymentAuthorize, |m| pays(m, 51, 4800)).fact(2, Op::PaymentCapture, |m| pays(m, 52, 4800));
        assert_eq!(judge(&h).verdict_of("CAPTURE_WITHIN_AUTH"), Verdict::Fail);
    }

    #[test]
    fn reservations_are_followed_only_where_departures_are_announced_too() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], crate::model::Id::NONE);
        leaves(&mut h, 1, 1);
        h.complete(1);
        let judgement = judge(&h);
        assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", judgement.findings);
        h.place(2, &[(1, A, 1)]).accept(2).reserve(2, DC1, &[(1, A, 1)], crate::model::Id::NONE);
        h.event(2, Op::OrderCancelled, |_| {});
        assert_eq!(judge(&h).verdict_of("RELEASED_ON_END"), Verdict::Fail);
    }
}
