//! RELEASE_WITHIN_ALLOC: a node is told to ship what was allocated there, and no more.

use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{LineNo, NodeId, Op, OrderNo, SkuId};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "RELEASE_WITHIN_ALLOC",
    summary: "a node is told to ship what was allocated there, and no more",
    definition: "At rest, per order, line and node: units of `node.release` facts, ever, <= units of `inventory.reserved`, ever, at that node; and <= units of `fulfillment.allocated`, ever, where the target announces those. Gross on both sides: what is given back is released anew only after it was allocated anew.",
    needs: "`node.release` facts with `lines`; `inventory.reserved` or `fulfillment.allocated` of the order",
    traps: "the release may reach its node before the allocation is heard, so nothing is judged before rest; a target that announces neither is not judged; after a lost event it is unknown.",
    facts_only: false,
};

#[derive(Default)]
struct Place {
    line: LineNo,
    sku: SkuId,
    node: NodeId,
    released: i64,
    reserved: i64,
    allocated: i64,
    entries: SmallVec<[u64; 4]>,
}

#[derive(Default)]
pub(super) struct ReleaseWithinAlloc {
    orders: PerOrder<Vec<Place>>,
}

impl Checker for ReleaseWithinAlloc {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Fact => op == Op::NodeRelease,
            Kind::Event => matches!(op, Op::InventoryReserved | Op::FulfillmentAllocated),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let Some(place) = ctx.place else { return };
        let places = self.orders.entry(place);
        for q in &e.msg.lines {
            let key = (q.line, q.sku, e.msg.node);
            let at = places.iter().position(|p| (p.line, p.sku, p.node) == key).unwrap_or_else(|| {
                places.push(Place { line: q.line, sku: q.sku, node: e.msg.node, ..Place::default() });
                places.len() - 1
            });
            let place = &mut places[at];
            let sum = match e.msg.op {
                Op::NodeRelease => &mut place.released,
                Op::InventoryReserved => &mut place.reserved,
                _ => &mut place.allocated,
            };
            *sum += i64::from(q.qty);
            place.entries.push(e.n);
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(places) = ctx.place.and_then(|place| self.orders.remove(place)) else { return };
        let says = |of: fn(&Place) -> i64| places.iter().any(|place| of(place) > 0);
        let (reserves, allocates) = (says(|p| p.reserved), says(|p| p.allocated));
        if !says(|p| p.released) || !(reserves || allocates) {
            return;
        }
        ctx.judged();
        if !ctx.at_rest || ctx.suspended {
            return ctx.unknown();
        }
        for place in &places {
            let limits = [(reserves, place.reserved, "reserved"), (allocates, place.allocated, "allocated")];
            let Some((_, most, word)) = limits.into_iter().find(|(says, most, _)| *says && place.released > *most) else { continue };
            let (node, sku) = (ctx.header.fixture.node_name(place.node), ctx.header.fixture.sku_name(place.sku));
            let what = format!("{node} was told to ship {} of {sku} (line {}) for {order}, {most} are {word} there", place.released, place.line.0);
            ctx.fail(order, what, format!("released to a node <= {word} at that node, line by line"), place.entries.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::Id;

    fn split() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 5)]).accept(1).reserve(1, DC1, &[(1, A, 3)], Id::NONE).reserve(1, S1, &[(1, A, 2)], Id::NONE);
        h
    }

    #[test]
    fn accepts_a_release_that_comes_before_its_allocation_is_heard() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).node_release(1, 1, DC1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE);
        h.accepts("RELEASE_WITHIN_ALLOC");
    }

    #[test]
    fn accepts_a_line_split_over_two_nodes() {
        split().node_release(1, 1, DC1, &[(1, A, 3)]).node_release(1, 2, S1, &[(1, A, 2)]).accepts("RELEASE_WITHIN_ALLOC");
    }

    #[test]
    fn rejects_the_whole_line_at_each_node_and_a_node_that_holds_nothing() {
        let mut h = split();
        h.node_release(1, 1, DC1, &[(1, A, 5)]);
        h.rejects("RELEASE_WITHIN_ALLOC", "DC1 was told to ship 5 of A (line 1) for O1, 3 are reserved there");
        assert_eq!(h.cut_short().verdict_of("RELEASE_WITHIN_ALLOC"), Verdict::Unknown);
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, S1, &[(1, A, 1)], Id::NONE).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.rejects("RELEASE_WITHIN_ALLOC", "0 are reserved there");
    }

    #[test]
    fn a_target_that_says_nothing_of_allocations_is_not_judged() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).node_release(1, 1, DC1, &[(1, A, 1)]);
        assert_eq!(h.judge().verdict_of("RELEASE_WITHIN_ALLOC"), Verdict::NotExercised);
    }
}
