//! NO_PHANTOM: nothing is claimed or done about what does not exist.

use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Class, Fid, Op, OrderNo};
use rustc_hash::FxHashMap;

pub(super) const ABOUT: Invariant = Invariant {
    name: "NO_PHANTOM",
    summary: "nothing is claimed or done about what does not exist",
    definition: "Every event, call and effect about an order names one that was placed. A fulfillment belongs to the order under which it was first named (in a record of another program its name need only differ within the order). A payment named in an event stands in the payment partner's book for that order. A return named in an event or call was asked for by that order's shopper, or its goods came in.",
    needs: "commands, events and calls; for payments the payment partner's facts",
    traps: "an answer precedes what is said of it, and a request what comes of it, so references are known when they are heard; payments are judged once some authorization stands in the book; what is about no order (a feed applied) is not judged",
    facts_only: false,
};

#[derive(Default)]
pub(super) struct NoPhantom {
    /// whose fulfillment it is, and where that was first said; of orders that are not settled
    owners: FxHashMap<Fid, (OrderNo, u64)>,
    /// some authorization stands in the payment book
    books: bool,
}

impl Checker for NoPhantom {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        matches!(kind, Kind::Event | Kind::Call | Kind::Fact) && op.class() != Class::Stock
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let (m, n) = (&e.msg, e.n);
        let kind = || e.kind.name();
        if m.order.is_none() {
            return;
        }
        self.books |= e.kind == Kind::Fact && m.op == Op::PaymentAuthorize;
        let Some(account) = ctx.account else { return };
        // a record without any PlaceOrder does not tell who placed what
        if !account.placed.is_set() && !ctx.covers.placed() {
            return;
        }
        ctx.judged();
        if !account.placed.is_set() {
            let what = format!("{} {} (entry {n}) is about {}, which was never placed", kind(), m.op, m.order);
            return ctx.fail(m.order, what, "whatever is said or done is about an order that was placed", vec![n]);
        }
        let fail = |ctx: &mut Context<'_>, what: String, expected: &str, other: u64| ctx.fail(m.order, what, expected, vec![other, n]);
        // other programs may number the parcels of each order from one
        if m.fulfillment.is_some() && ctx.covers.is_whole() {
            let (owner, first) = *self.owners.entry(m.fulfillment).or_insert((m.order, n));
            if owner != m.order {
                let what = format!("{} {} of {} (entry {n}) names {}, a fulfillment of {owner}", kind(), m.op, m.order, m.fulfillment);
                fail(ctx, what, "a fulfillment belongs to one order", first);
            }
        }
        let of_money =
            matches!(m.op, Op::PaymentAuthorized | Op::PaymentReauthorized | Op::PaymentCaptured | Op::PaymentVoided | Op::PaymentRefunded);
        if of_money && m.pay.is_some() && self.books && !account.money.iter().any(|moved| moved.fact && moved.pay == m.pay) {
            let what =
                format!("{} of {} (entry {n}) names authorization {}, which the payment partner's book does not know for it", m.op, m.order, m.pay);
            fail(ctx, what, "an announced payment stands in the partner's book", account.placed.n);
        }
        let known = |ret: &crate::check::account::Return| ret.requested.is_set() || ret.received.is_set() || ret.inspected.is_set();
        if e.kind != Kind::Fact && m.ret.is_some() && !account.ret(m.ret).is_some_and(known) {
            let what = format!("{} {} of {} (entry {n}) is about return {}, which nobody asked for", kind(), m.op, m.order, m.ret);
            fail(ctx, what, "a return is asked for, or goods come in", account.placed.n);
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        for parcel in ctx.account.iter().flat_map(|account| account.parcels.iter()) {
            if self.owners.get(&parcel.fid).is_some_and(|(owner, _)| *owner == order) {
                self.owners.remove(&parcel.fid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::{Id, Op};

    #[test]
    fn accepts_an_order_with_a_return() {
        let mut h = Story::new();
        h.plain_order(1).request_return(1, 900, &[(1, A, 1)]).give_back(1, 900, &[(1, A, 1)]).refund(1, 501, 900, 4000);
        h.accepts("NO_PHANTOM");
    }

    #[test]
    fn rejects_what_is_said_or_done_for_an_order_that_was_never_placed() {
        let mut h = Story::new();
        h.plain_order(1).accept(99);
        h.rejects("NO_PHANTOM", "is about O99, which was never placed");
        let mut h = Story::new();
        h.plain_order(1).fact(99, Op::NodeRelease, |m| parcel(m, 7));
        h.rejects("NO_PHANTOM", "fact node.release");
    }

    #[test]
    fn rejects_a_fulfillment_of_another_order() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).node_release(1, 1, DC1, &[(1, A, 1)]).place(2, &[(1, A, 1)]);
        h.event(2, Op::ShipmentInTransit, |m| parcel(m, 1));
        let finding = h.rejects("NO_PHANTOM", "event shipment.in_transit of O2 (entry 7) names F1, a fulfillment of O1");
        assert_eq!(finding.evidence, [3, 7]);
    }

    #[test]
    fn rejects_a_payment_that_is_not_in_the_book_and_a_return_that_nobody_asked_for() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).authorize(1, 50, 4800);
        h.event(1, Op::PaymentCaptured, |m| pays(m, 51, 4800));
        h.rejects("NO_PHANTOM", "authorization 33");
        h.event(1, Op::ReturnAuthorized, |m| m.ret = Id(0x900));
        h.rejects("NO_PHANTOM", "is about return 900");
    }
}
