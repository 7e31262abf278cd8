//! STOCK_CONSERVED: the target's shelves match the real ones.

use super::{Checker, Context, Invariant};
use crate::model::OrderNo;

pub(super) const ABOUT: Invariant = Invariant {
    name: "STOCK_CONSERVED",
    summary: "the target's shelves match the real ones",
    definition: "At rest `GetInventory` on hand = all movements, or the node's own book where that differs; reserved >= 0.",
    needs: "stock facts, feeds, `GetInventory` at rest",
    traps: "a movement that was never reported leaves the book open (unknown); shelves that were not asked for.",
    facts_only: false,
};

/// At rest, per node and SKU: on hand as the target says is the sum of all physical movements, or the node's own book (all
/// that its feed reported) where that differs because stock is still missing that nobody has noticed. Reserved is not
/// negative.
///
/// Traps: a movement that was never reported, nor covered by a later snapshot, leaves the book open: then only a difference
/// from both is unknown, not failed. A shelf that the target was not asked about is not judged.
#[derive(Default)]
pub(super) struct StockConserved;

impl Checker for StockConserved {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        if !ctx.covers.stock() {
            return;
        }
        for ((node, sku), shelf) in ctx.ledger.shelves() {
            let Some((qty, reserved, n)) = shelf.said else { continue };
            ctx.judged();
            let book = shelf.book();
            let right = qty == shelf.truth || book == Some(qty);
            if !ctx.at_rest || !right && book.is_none() && reserved.is_none_or(|reserved| reserved >= 0) {
                ctx.unknown();
                continue;
            }
            let (node, sku) = (ctx.header.fixture.node_name(node), ctx.header.fixture.sku_name(sku));
            let evidence = || vec![shelf.told_first, shelf.last_fact, shelf.told_last, n];
            if !right {
                let what = format!("the target says {qty} of {sku} are on hand at {node}, there are {}", shelf.truth);
                let expected = match book {
                    Some(book) if book != shelf.truth => format!("{} by all movements, or {book} as {node} reports it", shelf.truth),
                    _ => format!("{}: opening and all movements", shelf.truth),
                };
                ctx.fail(OrderNo::NONE, what, expected, evidence());
            }
            if let Some(reserved) = reserved.filter(|reserved| *reserved < 0) {
                let what = format!("the target says {reserved} of {sku} are reserved at {node}");
                ctx.fail(OrderNo::NONE, what, "reserved is never negative", evidence());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Op, Outcome};

    #[test]
    fn accepts_opening_and_movements() {
        let mut h = Story::new();
        h.plain_order(1);
        h.accepts("STOCK_CONSERVED");
    }

    #[test]
    fn rejects_a_delta_applied_twice_and_a_negative_reservation() {
        let mut h = Story::new();
        h.stock(DC1, A, 5).movement(Op::StockReceipt, DC1, A, 3, 2);
        let delta = h.delta(DC1, A, 3, 2);
        h.reply(delta, Outcome::Ok).shelf_state(DC1, A, 11, 0);
        h.rejects("STOCK_CONSERVED", "says 11 of A are on hand at DC1, there are 8");
        assert_eq!(h.cut_short().verdict_of("STOCK_CONSERVED"), Verdict::Unknown);
        let mut h = Story::new();
        h.stock(DC1, A, 5).shelf_state(DC1, A, 5, -1);
        h.rejects("STOCK_CONSERVED", "-1 of A are reserved");
    }

    #[test]
    fn accepts_the_nodes_book_where_stock_is_missing_that_nobody_noticed() {
        let mut h = Story::new();
        h.movement(Op::StockOpening, S1, A, 0, 1);
        h.snapshot(S1, &[(A, 4, 1)]);
        h.shelf_state(S1, A, 4, 0).accepts("STOCK_CONSERVED");
    }

    #[test]
    fn a_movement_that_was_never_reported_leaves_the_book_open() {
        let mut h = Story::new();
        h.stock(DC1, A, 5).movement(Op::StockReceipt, DC1, A, 3, 2).movement(Op::StockSale, DC1, A, -1, 3);
        h.delta(DC1, A, -1, 3);
        h.shelf_state(DC1, A, 5, 0).leaves_open("STOCK_CONSERVED");
    }
}
