//! NO_UNDERSELL: no order is turned away while the goods are there.

use super::account::{Account, Happened};
use super::per_order::PerOrder;
use super::{Checker, Context, Invariant, certain};
use crate::history::{Entry, Kind};
use crate::model::{Code, Fulfil, Node, NodeId, NodeKind, Op, OrderNo, Outcome, SkuId};
use crate::sim::Timestamp;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "NO_UNDERSELL",
    summary: "no order is turned away while the goods are there",
    definition: "An order is turned down (PlaceOrder answered `rejected`, `order.rejected`) or cancelled by the target before anything went to a node, for whatever reason it names, though one distribution center certainly had all that is shipped and the stores that its shopper chose had what is picked up; and nothing in the record speaks against it: its shopper did not cancel it, payment, screening and address had nothing against it, no node refused it and no fault acted on it.",
    needs: "the body of the order, the feeds and their acknowledgements, and every `inventory.reserved`: judged at rest",
    traps: "units may be held for an order that fails before it says so, at one node or another. So `certainly had` takes from the first stock that was acknowledged a grace before the order was sent all that ever fell, the safety stock, and all that any other order or exchange ever asked for of the SKU, before or after; but not what an order asked for that was turned down in the answer, for a single unit, without a partner having been asked: who has what it wants is not turned down. Stores, third parties and suppliers need not ship, nor a node of another region (but under the policy `region` = `nearest`); nodes with a capacity, and nodes that may have been out of routing, have nothing for certain. Probe orders are not judged: a target may not know their SKU. `key_reuse` turns down a message, not an order; `backpressure` is no decision. A call that its partner never answered may be the reason. Where an event of some order was lost: unknown.",
    facts_only: false,
};

/// More suspicions than these are not kept: a target that turns everything away does it again and again.
const KEPT: usize = 1_024;

#[derive(Default)]
struct State {
    /// payment, screening or address was asked
    asked: bool,
    /// a partner was against it
    against: bool,
    /// partners that have not made up their minds
    open: SmallVec<[Op; 1]>,
    /// answered `pending`: decided later
    later: bool,
    /// the first that says so
    turned_down: Option<No>,
}

/// What turned an order away.
#[derive(Clone, Copy)]
struct No {
    n: u64,
    at: Timestamp,
    code: Code,
    /// the answer to PlaceOrder says so, too
    in_answer: bool,
}

/// An order that was turned away, and what certainly would have served it by what is known so far.
struct Suspicion {
    order: OrderNo,
    what: String,
    placed_at: Timestamp,
    units: Units,
    /// what of all that was asked for is its own
    own: Demand,
    evidence: [u64; 2],
}

/// Units of SKUs, wherever they are.
type Demand = SmallVec<[(SkuId, i64); 2]>;
/// Units wanted of shelves.
type Units = SmallVec<[(NodeId, SkuId, i64); 2]>;

#[derive(Default)]
pub(super) struct NoUndersell {
    orders: PerOrder<State>,
    suspicions: Vec<Suspicion>,
    /// units that were asked for by orders that may have held them
    asked: FxHashMap<SkuId, i64>,
    /// events of some order are missing, or what it asked for: what may have been held is not known
    gap: bool,
}

impl Checker for NoUndersell {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Reply => op == Op::PlaceOrder,
            Kind::Event => matches!(op, Op::OrderRejected | Op::OrderCancelled),
            Kind::Answer => matches!(op, Op::PaymentAuthorize | Op::FraudScreen | Op::AddressValidate | Op::NodeRelease),
            Kind::Sent => matches!(op, Op::CbPaymentDecided | Op::CbPaymentExpired | Op::CbFraudDecided),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let Some(place) = ctx.place else { return };
        let code = e.msg.code;
        let agreed = matches!(e.outcome, Outcome::Ok | Outcome::Replayed);
        match (e.kind, e.msg.op) {
            (Kind::Reply, _) if e.outcome == Outcome::Pending => self.orders.entry(place).later = true,
            (Kind::Reply, _) if e.outcome != Outcome::Rejected || code == Code::KeyReuse => {}
            (Kind::Reply | Kind::Event, _) => {
                let no = No { n: e.n, at: e.at, code, in_answer: false };
                // the event may be heard before the answer
                self.orders.entry(place).turned_down.get_or_insert(no).in_answer |= e.kind == Kind::Reply;
            }
            (Kind::Sent, op) => {
                let state = self.orders.entry(place);
                let asked = if op == Op::CbFraudDecided { Op::FraudScreen } else { Op::PaymentAuthorize };
                state.open.retain(|open| *open != asked);
                state.against |= !matches!(code, Code::Accept | Code::Approved);
            }
            (_, Op::NodeRelease) if agreed => {}
            (_, op) => {
                let state = self.orders.entry(place);
                state.asked = true;
                if e.outcome == Outcome::Pending || code == Code::Review {
                    state.open.push(op);
                } else {
                    state.against |= !agreed || matches!(code, Code::Declined | Code::Reject | Code::Undeliverable);
                }
            }
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        self.gap |= ctx.suspended;
        let state = ctx.place.and_then(|place| self.orders.remove(place)).unwrap_or_default();
        let Some(account) = ctx.account else { return };
        if account.body.is_none() {
            // nobody knows what it asked for
            self.gap = true;
            return;
        }
        if !ctx.covers.claims(&[Op::InventoryReserved]) {
            return;
        }
        let cancelled = account.ended(Op::OrderCancelled);
        // one of several attempts may be turned down, and another taken on
        let turned_away = cancelled || account.ended(Op::OrderRejected) || account.happened() != Happened::Yes;
        let turned_down = state.turned_down.filter(|_| turned_away && !ctx.suspended);
        let unit = matches!(account.lines.as_slice(), [line] if line.qty == 1);
        let in_one_go = turned_down.is_some_and(|no| no.in_answer) && !state.later && !state.asked && unit;
        let own = if in_one_go { Demand::new() } else { demand(account) };
        for (sku, qty) in &own {
            *self.asked.entry(*sku).or_default() += qty;
        }
        // a target may know nothing of what probe orders are for
        let Some(No { n, at, code, .. }) = turned_down.filter(|_| !ctx.probe) else { return };
        ctx.judged();
        let reason = state.against || !state.open.is_empty() || has_a_reason(account);
        // what is certain only grows less: what is not certain now never will be
        if !reason
            && self.suspicions.len() < KEPT
            && let Some((who, units)) = server(account, at, ctx)
        {
            let verb = if cancelled { "cancelled, unasked," } else { "turned down" };
            let why = if code == Code::None { String::new() } else { format!(" (`{code}`)") };
            let what = format!("{order} was {verb}{why} though {who} certainly had everything");
            self.suspicions.push(Suspicion { order, what, placed_at: account.placed.at, units, own, evidence: [account.placed.n, n] });
        }
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        for Suspicion { order, what, placed_at, units, own, evidence } in std::mem::take(&mut self.suspicions) {
            let others = |sku: SkuId| {
                let own: i64 = own.iter().filter(|(of, _)| *of == sku).map(|(_, qty)| qty).sum();
                self.asked.get(&sku).map_or(0, |all| all - own)
            };
            if !units.iter().all(|(id, sku, qty)| had(*id, *sku, placed_at, ctx) - others(*sku) >= *qty) {
                continue;
            }
            if self.gap || !ctx.at_rest {
                ctx.unknown();
                continue;
            }
            let told = units.iter().filter_map(|(id, sku, _)| ctx.ledger.shelf(*id, *sku)).map(|shelf| shelf.told_first);
            let evidence = told.chain(evidence).collect();
            let fixture = &ctx.header.fixture;
            let sum = |(id, sku, qty): &(NodeId, SkuId, i64)| {
                let (had, others) = (had(*id, *sku, placed_at, ctx), others(*sku));
                let (sku, node) = (fixture.sku_name(*sku), fixture.node_name(*id));
                format!("{had} {sku} at {node}, of which other orders may have held {others}; {qty} were asked for")
            };
            let sums = units.iter().map(sum).collect::<Vec<_>>().join("; ");
            let expected = "no order is turned away for goods that are there, unless its shopper, a partner, a node or a fault is the reason";
            ctx.fail(order, format!("{what}: {sums}"), expected, evidence);
        }
    }
}

/// Units that the order and its exchanges ask for.
fn demand(account: &Account) -> Demand {
    let lines = account.lines.iter().map(|line| (line.sku, line.qty));
    let asked = account.returns.iter().filter(|ret| !ret.created.is_set()).filter_map(|ret| ret.body.as_deref());
    lines.chain(asked.flat_map(|body| body.lines.iter().map(|line| (line.sku, i64::from(line.qty))))).collect()
}

/// Something other than stock that the record shows against serving it.
fn has_a_reason(account: &Account) -> bool {
    account.cancel_sent.is_set()
        || account.first_fault.is_set()
        || !account.unhelpful.is_empty()
        || account.parcels.iter().any(|parcel| !parcel.releases.is_empty())
        || account.has_open_call()
}

/// Who certainly could have served all of it, by name, and with what.
fn server(account: &Account, to: Timestamp, ctx: &Context<'_>) -> Option<(String, Units)> {
    let fixture = &ctx.header.fixture;
    let mut picked_up = Units::new();
    let mut shipped: SmallVec<[(SkuId, i64); 2]> = SmallVec::new();
    for line in account.lines.iter().filter(|line| line.exchange.is_none()) {
        match line.fulfil {
            Fulfil::Pickup => add(&mut picked_up, line.node, line.sku, line.qty),
            Fulfil::Ship => shipped.push((line.sku, line.qty)),
        }
    }
    let serves = |id: NodeId| -> Option<Units> {
        let mut units = picked_up.clone();
        shipped.iter().for_each(|(sku, qty)| add(&mut units, id, *sku, *qty));
        let from = account.placed.at;
        let open = |id: NodeId| fixture.node(id).is_some_and(|node| certain::open(id, node, from, to, ctx));
        let all = !units.is_empty() && units.iter().all(|(id, sku, qty)| open(*id) && had(*id, *sku, from, ctx) >= *qty);
        all.then_some(units)
    };
    let region = account.body.as_ref().map(|body| body.ship_to);
    let ships = |id: &NodeId| {
        let near = |node: &Node| fixture.policies.region == "nearest" || Some(node.region) == region;
        fixture.node(*id).is_some_and(|node| node.kind == NodeKind::Dc && near(node))
    };
    let ids: SmallVec<[NodeId; 2]> =
        if shipped.is_empty() { picked_up.iter().map(|(id, ..)| *id).take(1).collect() } else { fixture.node_ids().filter(ships).collect() };
    let units = ids.into_iter().find_map(serves)?;
    let mut names: Vec<&str> = units.iter().map(|(id, ..)| fixture.node_name(*id)).collect();
    names.dedup();
    Some((names.join(" and "), units))
}

fn add(units: &mut Units, node: NodeId, sku: SkuId, qty: i64) {
    match units.iter_mut().find(|(id, of, _)| (*id, *of) == (node, sku)) {
        Some((_, _, sum)) => *sum += qty,
        None => units.push((node, sku, qty)),
    }
}

/// What was there for orders when this one was sent, less all that went without one then or later.
fn had(id: NodeId, sku: SkuId, from: Timestamp, ctx: &Context<'_>) -> i64 {
    ctx.header.fixture.node(id).map_or(0, |node| certain::had(id, node, sku, from, ctx))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Message, Order};
    use crate::sim::Span;
    use std::sync::Arc;

    const ALL: [(u16, SkuId, i32); 1] = [(1, A, 2)];

    /// Ten of A at DC1, long known, and order 1 for two of them turned down.
    fn turned_down() -> Story {
        let mut h = Story::new();
        h.stock(DC1, A, 10).wait(Span::from_secs(10));
        rejected(&mut h, 1, Code::OutOfStock);
        h
    }
    fn rejected(h: &mut Story, order: u32, code: Code) {
        let body = h.body(&ALL);
        let id = h.sent(order, Op::PlaceOrder, |m| m.body = Some(body));
        let msg = Message { code, ..Message::of_order(Op::PlaceOrder, id, OrderNo(order)) };
        h.put(Kind::Reply, Outcome::Rejected, msg);
    }
    fn verdict(h: &mut Story) -> Verdict {
        h.judge().verdict_of(ABOUT.name)
    }
    /// Others reserve so many.
    fn others(h: &mut Story, units: i32) {
        h.place(9, &[(1, A, units)]).accept(9).reserve(9, DC1, &[(1, A, units)], Id::NONE);
    }

    #[test]
    fn an_order_is_not_turned_down_for_goods_that_are_there() {
        let judgement = turned_down().judge();
        assert_eq!(judgement.verdict_of(ABOUT.name), Verdict::Fail);
        let finding = judgement.findings.iter().find(|finding| finding.check == ABOUT.name).unwrap();
        let sum = "DC1 certainly had everything: 10 A at DC1, of which other orders may have held 0; 2 were asked for";
        assert!(finding.what.contains(sum), "{}", finding.what);
        assert_eq!(finding.evidence.len(), 3, "the snapshot, the order, the answer");
    }

    #[test]
    fn what_others_reserve_is_theirs_even_if_it_is_heard_of_later() {
        let mut h = turned_down();
        others(&mut h, 8);
        assert_eq!(verdict(&mut h), Verdict::Fail, "two are left");
        let mut h = turned_down();
        others(&mut h, 9);
        assert_eq!(verdict(&mut h), Verdict::Pass, "one is left");
        let mut h = turned_down();
        h.movement(Op::StockSale, DC1, A, -9, 2);
        assert_eq!(verdict(&mut h), Verdict::Pass, "they were sold elsewhere");
    }

    #[test]
    fn goods_that_the_target_did_not_know_of_are_not_there() {
        let mut h = Story::new();
        rejected(&mut h, 1, Code::OutOfStock);
        h.stock(DC1, A, 10);
        assert_eq!(verdict(&mut h), Verdict::Pass);
    }

    #[test]
    fn units_may_be_held_for_an_order_that_fails_before_it_says_so() {
        let declined = |units| {
            let mut h = turned_down();
            h.place(9, &[(1, A, units)]).accept(9);
            h.put(Kind::Answer, Outcome::Rejected, Message { code: Code::Declined, ..Message::of_order(Op::PaymentAuthorize, Id(77), OrderNo(9)) });
            h.claim(9, Op::OrderCancelled, |_| {});
            verdict(&mut h)
        };
        assert_eq!((declined(8), declined(9)), (Verdict::Fail, Verdict::Pass));
        // the first line may be held until it is seen that the second is short
        let mut h = turned_down();
        let body = h.body(&[(1, A, 9), (2, B, 1)]);
        h.place_with(9, body, Outcome::Rejected);
        assert_eq!(verdict(&mut h), Verdict::Pass);
    }

    #[test]
    fn who_has_the_one_unit_it_wants_is_not_turned_down_and_holds_none() {
        let mut h = Story::new();
        h.stock(DC1, A, 1).wait(Span::from_secs(10));
        let body = h.body(&[(1, A, 1)]);
        for order in 1..=3 {
            h.place_with(order, body.clone(), Outcome::Rejected);
        }
        h.place_with(9, h.body(&[(1, A, 1)]), Outcome::Rejected).claim(9, Op::OrderRejected, |_| {});
        let failures = |h: &Story| h.judge().results.iter().find(|r| r.name == ABOUT.name).map(|r| r.failures);
        assert_eq!(failures(&h), Some(4));
        // but one that was decided later may have been waiting for a partner
        h.place_with(4, body, Outcome::Pending).claim(4, Op::OrderRejected, |_| {});
        assert_eq!(failures(&h), Some(1), "itself");
    }

    #[test]
    fn what_others_may_have_held_for_a_while_is_not_there() {
        let last = |story: &dyn Fn(&mut Story)| {
            let mut h = Story::new();
            h.stock(DC1, A, 2).stock(NodeId(2), A, 9).wait(Span::from_secs(10));
            story(&mut h);
            rejected(&mut h, 1, Code::OutOfStock);
            verdict(&mut h)
        };
        assert_eq!(last(&|_| {}), Verdict::Fail);
        // taken at DC1 at first, and then from another node
        let elsewhere = |h: &mut Story| {
            h.place(9, &ALL).accept(9).reserve(9, NodeId(2), &ALL, Id::NONE);
        };
        assert_eq!(last(&elsewhere), Verdict::Pass);
        // for an exchange that its bank then declined
        let exchange = |h: &mut Story| {
            h.place(9, &[(1, D, 1)]).exchange(9, 7, &[(1, D, 1)], &[(2, A, 2, 4000)]);
        };
        assert_eq!(last(&exchange), Verdict::Pass);
    }

    #[test]
    fn who_ships_where_is_not_assumed() {
        let at = |node: NodeId, policy: &str| {
            let mut h = Story::new();
            h.header.fixture.policies.region = policy.into();
            h.header.fixture.nodes.iter_mut().for_each(|node| node.capacity_per_day = 0);
            h.stock(node, A, 10).wait(Span::from_secs(10));
            rejected(&mut h, 1, Code::OutOfStock);
            verdict(&mut h)
        };
        assert_eq!((at(DC1, "other"), at(NodeId(2), "nearest")), (Verdict::Fail, Verdict::Fail));
        assert_eq!((at(NodeId(2), "other"), at(S1, "nearest"), at(NodeId(5), "nearest")), (Verdict::Pass, Verdict::Pass, Verdict::Pass));
    }

    #[test]
    fn a_node_that_may_not_be_asked_has_nothing() {
        for change in [|h: &mut Story| h.header.fixture.nodes[0].enabled = false, |h: &mut Story| h.header.fixture.nodes[0].capacity_per_day = 5] {
            let mut h = turned_down();
            change(&mut h);
            assert_eq!(verdict(&mut h), Verdict::Pass);
        }
        let mut h = turned_down();
        h.header.fixture.nodes[0].safety_stock = 9;
        assert_eq!(verdict(&mut h), Verdict::Pass);
    }

    #[test]
    fn a_pickup_needs_the_store_that_its_shopper_chose() {
        let at = |node| {
            let mut h = Story::new();
            // how many orders a store can take is another matter
            h.header.fixture.nodes.iter_mut().for_each(|node| node.capacity_per_day = 0);
            h.stock(DC1, A, 10).stock(S1, A, 2).wait(Span::from_secs(10));
            let mut body: Order = (*h.body(&ALL)).clone();
            (body.lines[0].fulfil, body.lines[0].node) = (Fulfil::Pickup, node);
            h.place_with(1, Arc::new(body), Outcome::Rejected);
            h
        };
        assert_eq!(verdict(&mut at(S1)), Verdict::Fail);
        assert_eq!(verdict(&mut at(NodeId(4))), Verdict::Pass, "the other store has none");
    }

    #[test]
    fn one_node_has_to_have_everything() {
        let baskets = |b_at: NodeId| {
            let mut h = Story::new();
            h.stock(DC1, A, 10).stock(b_at, B, 10).wait(Span::from_secs(10));
            let body = h.body(&[(1, A, 1), (2, B, 1)]);
            h.place_with(1, body, Outcome::Rejected);
            h
        };
        assert_eq!(verdict(&mut baskets(DC1)), Verdict::Fail);
        assert_eq!(verdict(&mut baskets(NodeId(2))), Verdict::Pass, "nobody has to split an order");
    }

    #[test]
    fn a_message_that_is_turned_down_is_no_order_and_neither_is_one_that_was_taken_on_later() {
        let mut h = Story::new();
        h.stock(DC1, A, 10).wait(Span::from_secs(10));
        rejected(&mut h, 1, Code::KeyReuse);
        assert_eq!(verdict(&mut h), Verdict::NotExercised);
        let mut h = Story::new();
        h.stock(DC1, A, 10).wait(Span::from_secs(10));
        rejected(&mut h, OrderNo::FIRST_PROBE.0, Code::UnknownSku);
        assert_eq!(verdict(&mut h), Verdict::NotExercised, "a probe order");
        let mut h = turned_down();
        h.resend(1, Outcome::Ok).accept(1);
        assert_eq!(verdict(&mut h), Verdict::NotExercised);
    }

    #[test]
    fn an_order_that_nobody_cancelled_is_not_cancelled() {
        let accepted = || {
            let mut h = Story::new();
            h.stock(DC1, A, 10).wait(Span::from_secs(10));
            h.place(1, &ALL).accept(1);
            h
        };
        let cancelled = |h: &mut Story| {
            h.claim(1, Op::OrderCancelled, |_| {});
            verdict(h)
        };
        assert_eq!(cancelled(&mut accepted()), Verdict::Fail);
        let mut h = accepted();
        h.cancel(1);
        assert_eq!(cancelled(&mut h), Verdict::Pass, "its shopper did");
        let mut h = accepted();
        h.node_release(1, 1, DC1, &ALL);
        assert_eq!(cancelled(&mut h), Verdict::Pass, "a node had it: who knows what it said");
        let mut h = accepted();
        let id = h.sent(1, Op::CancelOrder, |_| {});
        h.fault(1, id);
        assert_eq!(cancelled(&mut h), Verdict::Pass, "a fault acted on it");
    }

    #[test]
    fn a_partner_that_is_against_it_is_a_reason() {
        for (op, outcome, code, wanted) in [
            (Op::PaymentAuthorize, Outcome::Ok, Code::Approved, Verdict::Fail),
            (Op::PaymentAuthorize, Outcome::Rejected, Code::Declined, Verdict::Pass),
            (Op::PaymentAuthorize, Outcome::Pending, Code::None, Verdict::Pass),
            (Op::FraudScreen, Outcome::Ok, Code::Accept, Verdict::Fail),
            (Op::FraudScreen, Outcome::Ok, Code::Review, Verdict::Pass),
            (Op::AddressValidate, Outcome::Ok, Code::Undeliverable, Verdict::Pass),
        ] {
            let mut h = turned_down();
            let call = Id(77);
            h.entry(Kind::Call, 1, op, |m| m.id = call);
            h.put(Kind::Answer, outcome, Message { code, ..Message::of_order(op, call, OrderNo(1)) });
            assert_eq!(verdict(&mut h), wanted, "{op} {code}");
        }
        let mut h = turned_down();
        h.entry(Kind::Call, 1, Op::PaymentAuthorize, |_| {});
        assert_eq!(verdict(&mut h), Verdict::Pass, "no answer yet");
        let mut h = turned_down();
        h.sent(1, Op::CbFraudDecided, |m| m.code = Code::Reject);
        assert_eq!(verdict(&mut h), Verdict::Pass, "decided later");
        let mut h = turned_down();
        h.put(Kind::Answer, Outcome::Ok, Message { code: Code::Review, ..Message::of_order(Op::FraudScreen, Id(77), OrderNo(1)) });
        h.sent(1, Op::CbFraudDecided, |m| m.code = Code::Accept);
        assert_eq!(verdict(&mut h), Verdict::Fail, "reviewed, and found good");
        let mut h = turned_down();
        h.answer(1, Op::NodeRelease, Id(77), Outcome::Rejected);
        assert_eq!(verdict(&mut h), Verdict::Pass, "a node does not want it");
    }

    #[test]
    fn where_events_are_missing_or_the_record_is_cut_short_nobody_knows_what_was_reserved() {
        let mut h = turned_down();
        h.place(9, &ALL).accept(9);
        h.hold_event(9, Op::InventoryReserved, |m| at_node(m, DC1, &ALL));
        h.claim(9, Op::FulfillmentAllocated, |m| parcel(m, 1));
        assert_eq!(verdict(&mut h), Verdict::Unknown);
        let mut h = turned_down();
        h.claim(9, Op::InventoryReserved, |m| at_node(m, DC1, &ALL));
        assert_eq!(verdict(&mut h), Verdict::Unknown, "an order that nobody knows the body of");
        assert_eq!(turned_down().cut_short().verdict_of(ABOUT.name), Verdict::Unknown, "not at rest");
    }
}
