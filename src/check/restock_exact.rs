//! RESTOCK_EXACT: what comes back is put on the shelf once, where it is, or nowhere if it was scrapped.

use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Code, Id, Lines, NodeId, Op, OrderNo, SkuId};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "RESTOCK_EXACT",
    summary: "what comes back is put on the shelf once, where it is",
    definition: "At rest, per return whose goods were inspected (`node.inspected`): code `restock`: the units of all its `return.restocked` are the inspected units, SKU by SKU, at the node that inspected them. Any other code: none are restocked. A return of which no goods were received restocks nothing.",
    needs: "`node.received` and `node.inspected` facts; `return.restocked` or `return.scrapped` events",
    traps: "inspection and restock take their time: judged at rest. Redelivered events count once. A return without a word is a failure only in a record in which the target speaks of restocking at all.",
    facts_only: false,
};

/// One return on its way through a node.
#[derive(Default)]
struct Back {
    ret: Id,
    received: u64,
    inspected: u64,
    node: NodeId,
    code: Code,
    lines: Lines,
    restocked: SmallVec<[(NodeId, SkuId, i64); 2]>,
    spoken: SmallVec<[u64; 2]>,
}

/// Returns without a word that are kept until it is known whether the target ever speaks of them.
const SILENT_KEPT: usize = 8;

#[derive(Default)]
pub(super) struct RestockExact {
    orders: PerOrder<SmallVec<[Back; 1]>>,
    speaks: bool,
    silent: Vec<(OrderNo, Id, u64)>,
}

impl Checker for RestockExact {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Fact => matches!(op, Op::CbNodeReceived | Op::CbNodeInspected),
            Kind::Event => matches!(op, Op::ReturnRestocked | Op::ReturnScrapped),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        let Some(place) = ctx.place else { return };
        let backs = self.orders.entry(place);
        let at = backs.iter().position(|back| back.ret == m.ret).unwrap_or_else(|| {
            backs.push(Back { ret: m.ret, ..Back::default() });
            backs.len() - 1
        });
        let back = &mut backs[at];
        match m.op {
            Op::CbNodeReceived => back.received = e.n,
            Op::CbNodeInspected => {
                (back.inspected, back.node, back.code) = (e.n, m.node, m.code);
                back.lines.extend(m.lines.iter().copied());
            }
            _ => {
                self.speaks = true;
                back.spoken.push(e.n);
                if m.op == Op::ReturnRestocked {
                    for q in &m.lines {
                        add(&mut back.restocked, m.node, q.sku, q.qty.into());
                    }
                }
            }
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        for back in ctx.place.and_then(|place| self.orders.remove(place)).unwrap_or_default() {
            if back.spoken.is_empty() {
                let silent = back.inspected != 0 && back.code == Code::Restock && ctx.at_rest && !ctx.suspended;
                if silent && self.silent.len() < SILENT_KEPT {
                    self.silent.push((order, back.ret, back.inspected));
                }
                continue;
            }
            ctx.judged();
            if !ctx.at_rest || ctx.suspended || (back.inspected == 0 && back.received != 0) {
                ctx.unknown();
                continue;
            }
            let mut due: SmallVec<[(NodeId, SkuId, i64); 2]> = SmallVec::new();
            if back.code == Code::Restock {
                back.lines.iter().for_each(|q| add(&mut due, back.node, q.sku, q.qty.into()));
            }
            let said = list(&back.restocked, ctx);
            due.sort_unstable();
            let mut restocked = back.restocked;
            restocked.sort_unstable();
            if restocked == due {
                continue;
            }
            let what = match back.code {
                Code::Restock => format!("return {} of {order} was restocked as {said}; inspected for the shelf were {}", back.ret, list(&due, ctx)),
                _ if back.inspected == 0 => format!("return {} of {order} was restocked as {said}, but nothing came back", back.ret),
                code => format!("return {} of {order} was restocked as {said}, but inspection said `{code}`", back.ret),
            };
            let evidence = back.spoken.iter().copied().chain([back.received, back.inspected]).collect();
            ctx.fail(order, what, "one restock for each return: the units, SKUs and node of its inspection, and none where it said scrap", evidence);
        }
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        if !self.speaks {
            return;
        }
        for (order, ret, n) in std::mem::take(&mut self.silent) {
            ctx.judged();
            let what = format!("return {ret} of {order} was inspected for the shelf and never restocked");
            ctx.fail(order, what, "one restock for each return that inspection lets back on the shelf", vec![n]);
        }
    }
}

fn add(sums: &mut SmallVec<[(NodeId, SkuId, i64); 2]>, node: NodeId, sku: SkuId, qty: i64) {
    match sums.iter_mut().find(|(n, s, _)| (*n, *s) == (node, sku)) {
        Some((_, _, sum)) => *sum += qty,
        None => sums.push((node, sku, qty)),
    }
}

fn list(sums: &[(NodeId, SkuId, i64)], ctx: &Context<'_>) -> String {
    let fixture = &ctx.header.fixture;
    let each: Vec<String> = sums.iter().map(|(node, sku, qty)| format!("{qty} {} at {}", fixture.sku_name(*sku), fixture.node_name(*node))).collect();
    if each.is_empty() { "nothing".into() } else { each.join(" and ") }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, NodeId, Op};

    /// Goods of return 900 come back to S1 and are inspected.
    fn back(code: Code) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).ship(1, 1, DC1, &[(1, A, 2)]).complete(1).request_return(1, 900, &[(1, A, 1)]);
        for op in [Op::CbNodeReceived, Op::CbNodeInspected] {
            h.fact(1, op, |m| {
                in_return(m, 900, &[(1, A, 1)]);
                (m.node, m.code) = (S1, code);
            });
        }
        h
    }
    fn restock(h: &mut Story, node: NodeId) -> &mut Story {
        h.claim(1, Op::ReturnRestocked, |m| {
            in_return(m, 900, &[(1, A, 1)]);
            m.node = node;
        })
    }

    #[test]
    fn accepts_one_restock_at_the_node_that_has_the_goods_and_none_of_what_was_scrapped() {
        restock(&mut back(Code::Restock), S1).accepts("RESTOCK_EXACT");
        back(Code::Scrap).claim(1, Op::ReturnScrapped, |m| in_return(m, 900, &[(1, A, 1)])).accepts("RESTOCK_EXACT");
    }

    #[test]
    fn rejects_two_restocks_one_elsewhere_one_of_scrap_and_one_of_nothing() {
        let mut h = back(Code::Restock);
        restock(&mut h, S1);
        restock(&mut h, S1).rejects("RESTOCK_EXACT", "was restocked as 2 A at S1; inspected for the shelf were 1 A at S1");
        assert_eq!(h.cut_short().verdict_of("RESTOCK_EXACT"), Verdict::Unknown);
        restock(&mut back(Code::Restock), DC1).rejects("RESTOCK_EXACT", "as 1 A at DC1");
        restock(&mut back(Code::Scrap), S1).rejects("RESTOCK_EXACT", "inspection said `scrap`");
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1);
        restock(&mut h, S1).rejects("RESTOCK_EXACT", "nothing came back");
    }

    #[test]
    fn silence_is_a_failure_only_of_a_target_that_speaks_of_restocking() {
        assert_eq!(back(Code::Restock).judge().verdict_of("RESTOCK_EXACT"), Verdict::NotExercised);
        let beside_one_that_speaks = |code| {
            let mut h = back(code);
            h.place(2, &[(1, A, 1)]).claim(2, Op::ReturnScrapped, |m| in_return(m, 901, &[(1, A, 1)]));
            h
        };
        let mut h = beside_one_that_speaks(Code::Restock);
        h.rejects("RESTOCK_EXACT", "return 384 of O1 was inspected for the shelf and never restocked");
        h.hold_event(1, Op::ReturnRestocked, |_| {});
        h.claim(1, Op::ReturnCompleted, |m| in_return(m, 900, &[])).accepts("RESTOCK_EXACT");
        beside_one_that_speaks(Code::Scrap).accepts("RESTOCK_EXACT");
    }
}
