//! SHIP_ONCE: nobody gets more than was ordered.

use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Op, OrderNo, SkuId};

pub(super) const ABOUT: Invariant = Invariant {
    name: "SHIP_ONCE",
    summary: "nobody gets more than was ordered",
    definition: "Per line, units that left (`node.shipped`, `node.collected` facts) <= units ordered; no unit of a SKU leaves that neither the order nor an exchange of its asked for; a fulfillment leaves once.",
    needs: "the order's body; `exchange.created` for the lines of an exchange, which continue the order's numbers.",
    traps: "a parcel with a line that was not announced yet is not judged.",
    facts_only: true,
};

/// Units that physically left (shipped or collected) never exceed what the line ordered, and a fulfillment leaves once.
///
/// Decided on facts; claims are read only to learn the lines of an exchange (`exchange.created`). Trap: exchange lines
/// continue the numbers of their order; where the target did not announce them yet, their parcels are not judged.
#[derive(Default)]
pub(super) struct ShipOnce;

impl Checker for ShipOnce {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        kind == Kind::Fact && matches!(op, Op::CbNodeShipped | Op::CbNodeCollected)
    }
    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
        ctx.judged();
        let parcels_with = |line, sku| {
            let of = account.parcels.iter().filter(move |p| p.shipped_lines.iter().any(|q| q.line == line && q.sku == sku));
            of.flat_map(|p| p.shipments.iter().copied()).collect::<Vec<u64>>()
        };
        if let Some(parcel) = account.parcel(e.msg.fulfillment).filter(|p| p.fid.is_some() && p.shipments.len() > 1) {
            let what = format!("{} of {} left {} times", parcel.fid, account.no, parcel.shipments.len());
            ctx.fail(account.no, what, "a fulfillment leaves once", parcel.shipments.to_vec());
            return;
        }
        for (i, q) in e.msg.lines.iter().enumerate() {
            if e.msg.lines[..i].iter().any(|other| other.line == q.line && other.sku == q.sku) {
                continue;
            }
            let Some(line) = account.line(q.line, q.sku) else { continue };
            if line.shipped > line.qty {
                let what = format!("{} units of line {} of {} have left, {} were ordered", line.shipped, line.line.0, account.no, line.qty);
                let mut evidence = vec![account.placed.n];
                evidence.extend(parcels_with(q.line, q.sku));
                ctx.fail(account.no, what, "no unit leaves that was not ordered", evidence);
            }
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
        let new_goods = || account.returns.iter().filter_map(|ret| ret.body.as_ref()).flat_map(|body| &body.lines);
        let ordered = |sku: SkuId| account.lines.iter().any(|line| line.sku == sku) || new_goods().any(|line| line.sku == sku);
        for parcel in &account.parcels {
            for q in parcel.shipped_lines.iter().filter(|q| !ordered(q.sku)) {
                let what = format!("{} of {} left for {order}, which ordered none", q.qty, ctx.header.fixture.sku_name(q.sku));
                let evidence = parcel.shipments.iter().copied().chain([account.placed.n]).collect();
                ctx.fail(order, what, "no unit leaves that was not ordered", evidence);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::Op;

    #[test]
    fn rejects_goods_that_nobody_ordered() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).ship(1, 1, DC1, &[(1, B, 1)]);
        h.rejects("SHIP_ONCE", "1 of B left for O1, which ordered none");
    }

    #[test]
    fn accepts_an_order_in_two_parcels() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 3)]).accept(1).ship(1, 1, DC1, &[(1, A, 2)]).ship(1, 2, DC1, &[(1, A, 1)]);
        h.accepts("SHIP_ONCE");
    }

    #[test]
    fn accepts_the_parcel_of_an_exchange_line() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]);
        h.exchange(1, 900, &[(1, A, 1)], &[(2, B, 1, 6000)]);
        h.event(1, Op::ExchangeCreated, |m| in_return(m, 900, &[(2, B, 1)]));
        h.ship(1, 2, DC1, &[(2, B, 1)]);
        h.accepts("SHIP_ONCE");
    }

    #[test]
    fn rejects_a_second_parcel_for_the_same_units() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]).ship(1, 2, DC1, &[(1, A, 1)]);
        h.rejects("SHIP_ONCE", "2 units of line 1 of O1 have left, 1 were ordered");
    }

    #[test]
    fn rejects_a_fulfillment_that_leaves_twice() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).ship(1, 1, DC1, &[(1, A, 1)]).ship(1, 1, DC1, &[(1, A, 1)]);
        h.rejects("SHIP_ONCE", "left 2 times");
    }
}
