//! NO_OVERSELL: nothing is promised that the target cannot honestly believe to have.

use super::sell_outs::SellOutMeter;
use super::supply::{MEMORY, Shelf};
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Code, Fulfil, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::sim::Timestamp;
use rustc_hash::FxHashMap;

pub(super) const ABOUT: Invariant = Invariant {
    name: "NO_OVERSELL",
    summary: "nothing is promised that the target cannot believe to have",
    definition: "At each `inventory.reserved`: reserved - released, ever, at that node and SKU <= supply - safety stock. Supply = opening + increases from the moment they are *sent* - decreases *known*, all without what orders took away themselves.",
    needs: "the feeds and their acknowledgements, `seq` of movements, `cause` of events.",
    traps: "- a decrease is known only if it was acknowledged a grace before the message that caused the reservation was sent; and only without a gap before it, since a target may wait for what is missing. A snapshot says all about what came before it; - a release may be *heard* after the reservation that reuses its units. A crossing stays open until rest, and every release heard later takes away from it whose cause was sent before the reservation was heard. A release caused later excuses nothing, so an oversell that ends in a short pick stays one. A timer's release (no cause, or an event or call of the target's own) counts if it is heard within a grace (twice the worst publish lag of the probe orders, 0.5 s to 10 s; 2 s without probes), or a fault that held it up says that it had happened; - units held by an order with a lost event may have been released: then unknown.",
    facts_only: false,
};

type Key = (NodeId, SkuId);

/// Open questions kept for one node and SKU.
const PENDING_MAX: usize = 16;

/// At each `inventory.reserved`: everything reserved at that node and SKU less everything released is at most the supply
/// that the target could believe in when it decided, less safety stock.
///
/// Supply is the widest that the messages allow: opening and every increase from the moment it is sent, less only those
/// decreases that had been acknowledged, without a gap before them, a grace before the message that caused the reservation
/// was sent (see `supply`).
///
/// Trap: events of different orders come in any order. A release heard after the reservation that reuses its units is no
/// oversell. So a crossing stays open until rest, and every later-heard release takes away from it that *can* have happened
/// before: one whose cause was sent before the reservation was heard. A release caused later (the short pick that an
/// oversell ends in, say) excuses nothing.
#[derive(Default)]
pub(super) struct NoOversell {
    pending: FxHashMap<Key, Vec<Crossing>>,
    /// so many more were open than are kept
    crowded: FxHashMap<Key, u64>,
    /// what orders with a lost event hold: the lost event may have been a release
    holed: FxHashMap<Key, i64>,
    last_reservation: FxHashMap<Key, u64>,
    sell_outs: SellOutMeter,
}

struct Crossing {
    order: OrderNo,
    n: u64,
    at: Timestamp,
    before: u64,
    told: [u64; 2],
    qty: i64,
    committed: i64,
    limit: i64,
    excess: i64,
}

impl Checker for NoOversell {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Event => matches!(op, Op::InventoryReserved | Op::InventoryReleased),
            Kind::Reply => op == Op::PlaceOrder,
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        match e.msg.op {
            Op::InventoryReserved => self.reserved(e, ctx),
            Op::InventoryReleased if !self.pending.is_empty() => self.released(e, ctx),
            // of a request that is no order at all nobody looked at the stock
            Op::PlaceOrder
                if matches!(e.outcome, Outcome::Ok | Outcome::Pending | Outcome::Rejected)
                    && !matches!(e.msg.code, Code::KeyReuse | Code::UnknownSku | Code::Invalid)
                    && !ctx.probe =>
            {
                // who wants several, or something else as well, may get none of it though there is one: only he counts who surely took the last unit
                let lines = ctx.account.and_then(|account| account.body.as_ref()).map_or(&[][..], |body| &body.lines);
                if let [line] = lines
                    && line.qty == 1
                {
                    let only = if line.fulfil == Fulfil::Pickup { line.node } else { NodeId::NONE };
                    self.sell_outs.asked(line.sku, e.msg.order, only, e.at);
                }
            }
            _ => {}
        }
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        if !ctx.suspended {
            return;
        }
        for held in ctx.account.iter().flat_map(|account| account.held.iter()) {
            *self.holed.entry((held.node, held.sku)).or_default() += (held.reserved - held.released).max(0);
        }
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        let mut keys: Vec<Key> = self.pending.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let excuse = self.holed.get(&key).copied().unwrap_or(0);
            let crossings = self.pending.remove(&key).unwrap_or_default();
            let more = self.crowded.get(&key).copied().unwrap_or(0);
            if crossings.is_empty() && more > 0 {
                ctx.unknown();
            }
            let mut failed = 0;
            for c in crossings {
                if c.excess <= excuse || !(ctx.at_rest || c.at + MEMORY < ctx.ledger.now) {
                    ctx.unknown();
                    continue;
                }
                let (node, sku) = (ctx.header.fixture.node_name(key.0), ctx.header.fixture.sku_name(key.1));
                let safety = ctx.header.fixture.node(key.0).map_or(0, |n| n.safety_stock);
                let what = format!("{} reserved {} of {sku} at {node}: {} are promised there, {} too many", c.order, c.qty, c.committed, c.excess);
                let expected = format!(
                    "at most {} could be promised, by all that {node} had reported (safety stock {safety}) and all releases that can have come before",
                    c.limit
                );
                ctx.fail(c.order, what, expected, vec![c.told[0], c.told[1], c.before, c.n]);
                failed += 1;
            }
            if failed > 0 {
                // where some of those that were kept came right, so may others have
                let more = if failed == PENDING_MAX as u64 { more } else { 0 };
                self.sell_outs.oversold(key.1, failed + more);
            }
        }
        *ctx.sell_outs = self.sell_outs.measured(ctx.header.time_scale.max(1.0));
    }
}

impl NoOversell {
    fn reserved(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        for (i, q) in e.msg.lines.iter().enumerate() {
            let key = (e.msg.node, q.sku);
            if e.msg.lines[..i].iter().any(|other| other.sku == q.sku) || !ctx.ledger.is_told() {
                continue;
            }
            let Some(shelf) = ctx.ledger.shelf(key.0, key.1) else { continue };
            ctx.judged();
            // decided after its cause was sent; where the cause is not known, after the order was
            let placed = ctx.account.map_or(Timestamp::ZERO, |account| account.placed.at);
            let decided = ctx.sent_at(e.msg.cause).unwrap_or(placed);
            let limit = limit(shelf, key.0, decided, ctx);
            let excess = shelf.committed - limit;
            let before = self.last_reservation.insert(key, e.n).unwrap_or(0);
            let qty: i64 = e.msg.lines.iter().filter(|other| other.sku == q.sku).map(|other| i64::from(other.qty)).sum();
            if excess >= 0 && excess < qty && limit > 0 && !ctx.probe && is_gone_elsewhere(key, decided, ctx) {
                self.sell_outs.sold_out(q.sku, (e.msg.order, key.0), e.at, waited(e, q.sku, ctx));
            }
            if excess <= 0 {
                continue;
            }
            let pending = self.pending.entry(key).or_default();
            if pending.len() >= PENDING_MAX {
                *self.crowded.entry(key).or_default() += 1;
                continue;
            }
            let told = [shelf.told_first, shelf.told_last];
            pending.push(Crossing { order: e.msg.order, n: e.n, at: e.at, before, told, qty, committed: shelf.committed, limit, excess });
        }
    }

    fn released(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let cause_at = ctx.sent_at(e.msg.cause);
        // a release that nobody asked for (a timer's) happened no longer than a grace before it was heard
        let grace = ctx.grace();
        let timer = ctx.is_timers(e.msg.cause);
        let emitted_by = ctx.account.and_then(|account| account.faulted_at(e.msg.id)).unwrap_or(e.at);
        for q in &e.msg.lines {
            let Some(pending) = self.pending.get_mut(&(e.msg.node, q.sku)) else { continue };
            for crossing in pending.iter_mut() {
                let was_open = crossing.excess > 0;
                let before = match cause_at {
                    Some(cause_at) => cause_at <= crossing.at,
                    None if timer => emitted_by <= crossing.at + grace,
                    None => true,
                };
                if before {
                    crossing.excess -= i64::from(q.qty);
                    if was_open && crossing.excess <= 0 {
                        ctx.excuse();
                    }
                }
            }
            pending.retain(|crossing| crossing.excess > 0);
        }
    }
}

/// The order got it because there was some again, or because of something else that happened to it, and not because it asked for it.
fn waited(e: &Entry, sku: SkuId, ctx: &Context<'_>) -> bool {
    let Some(account) = ctx.account else { return true };
    let cause = e.msg.cause;
    let by_asking = cause.is_none() || account.inbound_op(cause).map_or_else(|| account.is_own(cause), |(op, _)| op == Op::PlaceOrder);
    !by_asking || account.lines.iter().any(|line| line.sku == sku && line.backordered.is_set())
}

/// No other node has any of it left to promise.
fn is_gone_elsewhere((here, sku): Key, decided: Timestamp, ctx: &Context<'_>) -> bool {
    let elsewhere = ctx.header.fixture.node_ids().filter(|id| *id != here);
    elsewhere.filter_map(|id| Some((id, ctx.ledger.shelf(id, sku)?))).all(|(id, shelf)| shelf.committed >= limit(shelf, id, decided, ctx))
}

/// The most that could be promised there.
fn limit(shelf: &Shelf, node: NodeId, decided: Timestamp, ctx: &Context<'_>) -> i64 {
    let safety = ctx.header.fixture.node(node).map_or(0, |node| i64::from(node.safety_stock));
    (shelf.most(decided, ctx.grace()) - safety).max(0)
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Op, Outcome};
    use crate::sim::Span;

    const NOW: Id = Id::NONE;

    #[test]
    fn accepts_reservations_up_to_the_stock() {
        let mut h = Story::new();
        h.stock(DC1, A, 2).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW).place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW);
        h.accepts("NO_OVERSELL");
    }

    #[test]
    fn rejects_the_last_unit_sold_twice() {
        let mut h = Story::new();
        h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW).place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW);
        let finding = h.rejects("NO_OVERSELL", "O2 reserved 1 of A at DC1: 2 are promised there, 1 too many");
        assert_eq!(finding.evidence, [2, 6, 9], "the snapshot and both reservations");
    }

    #[test]
    fn rejects_a_sale_out_of_safety_stock_and_of_a_sku_that_the_snapshot_left_out() {
        let mut h = Story::new();
        h.header.fixture.nodes[0].safety_stock = 1;
        h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW);
        h.rejects("NO_OVERSELL", "1 too many");
        let mut h = Story::new();
        h.stock(DC1, A, 1).place(1, &[(1, B, 1)]).reserve(1, DC1, &[(1, B, 1)], NOW);
        h.rejects("NO_OVERSELL", "1 of B at DC1");
    }

    #[test]
    fn accepts_a_release_that_is_heard_after_the_reservation_that_reuses_its_units() {
        let mut h = Story::new();
        h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW);
        let cancel = h.cancel(1);
        let late = h.hold_event(1, Op::InventoryReleased, |m| {
            at_node(m, DC1, &[(1, A, 1)]);
            m.cause = cancel;
        });
        h.place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW).wait(Span::from_hours(3)).deliver(late);
        h.accepts("NO_OVERSELL");
    }

    #[test]
    fn rejects_an_oversell_that_is_repaired_later_by_what_came_of_it() {
        let mut h = Story::new();
        h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW).place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW);
        let short = h.sent(2, Op::CbNodeShortPicked, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.release(2, DC1, &[(1, A, 1)], short);
        h.rejects("NO_OVERSELL", "1 too many");
    }

    #[test]
    fn accepts_a_timers_release_heard_at_once_or_held_up_by_a_fault_but_not_one_long_after() {
        for (fault, wait, verdict) in [(false, 1, Verdict::Pass), (true, 900, Verdict::Pass), (false, 900, Verdict::Fail)] {
            let mut h = Story::new();
            h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW);
            let late = h.hold_event(1, Op::InventoryReleased, |m| at_node(m, DC1, &[(1, A, 1)]));
            if fault {
                let id = h.held_id(late);
                h.fault(1, id);
            }
            h.place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW).wait(Span::from_secs(wait)).deliver(late);
            assert_eq!(h.judge().verdict_of("NO_OVERSELL"), verdict, "fault {fault}, {wait} s");
        }
    }

    /// What a timer gave back is heard three seconds after what was promised of it.
    #[test]
    fn a_target_that_publishes_late_is_given_the_time_that_its_probes_took_and_no_more() {
        for (probe, verdict) in [(Some(Some(3)), Verdict::Pass), (Some(None), Verdict::Fail), (None, Verdict::Fail)] {
            let mut h = Story::new();
            if let Some(lag) = probe {
                h.probe(lag.map(Span::from_secs));
            }
            h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW);
            let late = h.hold_event(1, Op::InventoryReleased, |m| at_node(m, DC1, &[(1, A, 1)]));
            h.place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW).wait(Span::from_secs(2)).deliver(late);
            assert_eq!(h.judge().verdict_of("NO_OVERSELL"), verdict, "{probe:?}");
        }
    }

    #[test]
    fn a_decrease_is_held_against_a_target_from_a_grace_after_its_acknowledgement() {
        for (lag, verdict) in [(Some(Span::from_secs(4)), Verdict::Pass), (None, Verdict::Fail)] {
            let mut h = Story::new();
            h.probe(lag).stock(DC1, A, 1);
            let sale = h.delta(DC1, A, -1, 2);
            h.reply(sale, Outcome::Ok).wait(Span::from_secs(3)).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW);
            assert_eq!(h.judge().verdict_of("NO_OVERSELL"), verdict, "{lag:?}");
        }
    }

    #[test]
    fn a_decrease_counts_once_it_is_known_and_not_behind_a_gap() {
        for (seq, verdict) in [(2, Verdict::Fail), (3, Verdict::Pass)] {
            let mut h = Story::new();
            h.stock(DC1, A, 1);
            let sale = h.delta(DC1, A, -1, seq);
            h.reply(sale, Outcome::Ok).wait(Span::from_secs(9)).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW);
            assert_eq!(h.judge().verdict_of("NO_OVERSELL"), verdict, "movement {seq}");
        }
    }

    #[test]
    fn accepts_a_reservation_decided_before_the_decrease_and_heard_after_it() {
        let mut h = Story::new();
        h.stock(DC1, A, 1);
        let place = h.place(1, &[(1, A, 1)]).entries()[3].msg.id;
        let late = h.hold_event(1, Op::InventoryReserved, |m| {
            at_node(m, DC1, &[(1, A, 1)]);
            m.cause = place;
        });
        let sale = h.delta(DC1, A, -1, 2);
        h.reply(sale, Outcome::Ok).wait(Span::from_mins(9)).deliver(late);
        h.accepts("NO_OVERSELL");
    }

    #[test]
    fn a_crossing_is_open_where_the_record_is_cut_short_or_a_release_may_be_lost() {
        let mut h = Story::new();
        h.stock(DC1, A, 1).place(1, &[(1, A, 1)]).reserve(1, DC1, &[(1, A, 1)], NOW).place(2, &[(1, A, 1)]).reserve(2, DC1, &[(1, A, 1)], NOW);
        assert_eq!(h.cut_short().verdict_of("NO_OVERSELL"), Verdict::Unknown);
        h.hold_event(1, Op::InventoryReleased, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.event(1, Op::OrderCancelled, |_| {});
        h.leaves_open("NO_OVERSELL");
    }
}
