//! ROUTING: orders go to nodes that may have them, by the rules that were in force.

use super::account::Account;
use super::per_order::PerOrder;
use super::{Checker, Context, Invariant, certain};
use crate::history::{Entry, Kind};
use crate::model::{Code, Fid, Fulfil, Id, Node, NodeId, NodeKind, Op, OrderNo, Outcome, RUN_BEGINS_AT_H, SkuId};
use crate::sim::{Span, Timestamp};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "ROUTING",
    summary: "orders go to nodes that may have them, by the rules in force",
    definition: "At each `inventory.reserved`, for the time between the sending of its `cause` and the event: the node can have been enabled; `rule_version`, where stamped, is not older than one that was certain before and not newer than any sent; a pickup line is reserved, and released (`node.release`), at the store that its shopper chose; a node that refused or could not find the SKU for this order is not asked for it again before goods or news of that shelf came. No acceptance time-out (`node.cancel` with `accept_timeout`) before the policy's `node_accept_sla_s`, counted in the node's opening hours, is over. Once orders are settled: orders with shipped lines that stay promised to a node on one day of the calendar <= its `capacity_per_day`; under the policy `split` = `fewest_nodes` no decision takes two nodes where one certainly had everything; under `region` = `nearest` none goes to another region where a node of the shopper's own certainly had everything.",
    needs: "`inventory.reserved` with `cause`; the header's nodes and policies; UpsertNode and its replies for rules that change; calls and facts of nodes",
    traps: "a change of rules is possible from its sending and certain 2 s after its acknowledgement: in between both are right. A decision without a known cause may be as old as its order. Capacity counts only orders that were certainly promised on that day and never given back. `Certainly had` counts the first stock that was acknowledged, less all that ever fell and all that anybody ever reserved there, less safety stock; nodes with a capacity, suppliers and nodes that refused the order are no alternative. What the record cannot decide is not judged.",
    facts_only: false,
};

/// What one message made the target take from which nodes, of lines that are shipped.
struct Decision {
    cause: Id,
    from: Timestamp,
    to: Timestamp,
    picks: SmallVec<[(NodeId, u64); 2]>,
    demand: SmallVec<[(SkuId, i64); 2]>,
}

/// A node told the target that it has not got a SKU.
struct Refusal {
    id: Id,
    node: NodeId,
    sku: SkuId,
    n: u64,
    known: Timestamp,
}

#[derive(Default)]
struct State {
    decisions: SmallVec<[Decision; 1]>,
    refusals: SmallVec<[Refusal; 1]>,
    /// nodes of limited capacity: (node, day, entry)
    slots: SmallVec<[(NodeId, u64, u64); 1]>,
    /// when a release was first under way
    released: SmallVec<[(Fid, Timestamp, u64); 1]>,
}

#[derive(Default)]
pub(super) struct Routing {
    orders: PerOrder<State>,
    promised: FxHashMap<(NodeId, u64), Promised>,
}

/// Orders promised to a node for a day: how many, and the entries of the first few.
type Promised = (u32, SmallVec<[u64; 4]>);

impl Checker for Routing {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Event => op == Op::InventoryReserved,
            Kind::Fact => op == Op::NodeRelease,
            Kind::Call => matches!(op, Op::NodeRelease | Op::NodeCancel),
            Kind::Fault => op == Op::NodeRelease,
            Kind::Sent | Kind::Reply => matches!(op, Op::CbNodeRejected | Op::CbNodeShortPicked),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if m.order.is_none() {
            return;
        }
        let Some(place) = ctx.place else { return };
        let state = self.orders.entry(place);
        match (e.kind, m.op) {
            (Kind::Event, _) => reserved(state, e, ctx),
            (Kind::Fact, _) => picked_up_elsewhere(e, "was to be picked up by", ctx),
            (Kind::Call | Kind::Fault, Op::NodeRelease) if !state.released.iter().any(|(fid, _, _)| *fid == m.fulfillment) => {
                state.released.push((m.fulfillment, e.at, e.n));
            }
            (Kind::Call, _) if m.code == Code::AcceptTimeout => too_early(state, e, ctx),
            (Kind::Sent, _) => {
                let of = m.lines.iter().map(|q| Refusal { id: m.id, node: m.node, sku: q.sku, n: e.n, known: Timestamp::NEVER });
                state.refusals.extend(of);
            }
            (Kind::Reply, _) if matches!(e.outcome, Outcome::Ok | Outcome::Replayed) => {
                for refusal in state.refusals.iter_mut().filter(|refusal| refusal.id == m.id) {
                    refusal.known = refusal.known.min(e.at + ctx.grace());
                }
            }
            _ => {}
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(state) = ctx.place.and_then(|place| self.orders.remove(place)) else { return };
        let Some(account) = ctx.account else { return };
        if ctx.suspended {
            if !state.decisions.is_empty() {
                ctx.unknown();
            }
            return;
        }
        for (node, day, n) in &state.slots {
            let stands = account.held.iter().any(|held| held.node == *node && held.reserved > held.released);
            let most = ctx.header.fixture.node(*node).map_or(0, |node| node.capacity_per_day);
            if !stands || most == 0 {
                continue;
            }
            ctx.judged();
            let (count, first) = self.promised.entry((*node, *day)).or_default();
            *count += 1;
            if *count > most {
                let name = ctx.header.fixture.node_name(*node);
                let what = format!("{order} is order number {count} promised to {name} on day {}, which can take {most} a day", day + 1);
                let evidence = first.iter().copied().chain([*n]).collect();
                ctx.fail(order, what, "orders promised to a node on one day <= its capacity", evidence);
            }
            if first.len() < 4 {
                first.push(*n);
            }
        }
        for decision in &state.decisions {
            judge_choice(account, decision, ctx);
        }
    }
}

/// An order was promised units of a node.
fn reserved(state: &mut State, e: &Entry, ctx: &mut Context<'_>) {
    let m = &e.msg;
    let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
    let Some(node) = ctx.header.fixture.node(m.node) else { return };
    let cause_at = ctx.sent_at(m.cause);
    let from = cause_at.unwrap_or(account.placed.at);
    let rules = ctx.ledger.rules();
    let name = node.name.as_str();
    ctx.judged();
    if !rules.possibly(m.node, true, node.enabled, from, e.at) {
        let what = format!("{} was promised units of {name}, which was out of routing", m.order);
        ctx.fail(m.order, what, "nothing new is promised at a node that is disabled", vec![rules.changed(m.node, e.at), e.n]);
    }
    if m.rule_version != 0 {
        let (certain, n) = rules.certain_version(from);
        if m.rule_version < certain {
            let what = format!("{} was routed by version {} of the rules, though {certain} was in force", m.order, m.rule_version);
            ctx.fail(m.order, what, "a decision follows the rules in force when its cause was sent, or newer ones", vec![n, e.n]);
        } else if m.rule_version > rules.possible_version(e.at) {
            let what = format!("{} was routed by version {} of the rules, which nobody has sent", m.order, m.rule_version);
            ctx.fail(m.order, what, "a version of the rules that exists", vec![e.n]);
        }
    }
    picked_up_elsewhere(e, "is reserved for a pickup at", ctx);
    if cause_at.is_some() && m.ret.is_none() {
        for q in &m.lines {
            let asked_again = state.refusals.iter().find(|refusal| {
                let news = ctx.ledger.shelf(m.node, q.sku).map_or(0, |shelf| shelf.last_in.max(shelf.told_last));
                (refusal.node, refusal.sku) == (m.node, q.sku) && refusal.known <= from && news <= refusal.n
            });
            if let Some(refusal) = asked_again {
                let what = format!(
                    "{} was promised {} of {name} again, which had said that it has none for it",
                    m.order,
                    ctx.header.fixture.sku_name(q.sku)
                );
                ctx.fail(m.order, what, "a node that gave an order back is not asked again before goods came in there", vec![refusal.n, e.n]);
            }
        }
    }
    let shipped = |line, sku| account.line(line, sku).is_some_and(|line| line.fulfil == Fulfil::Ship);
    let ship: SmallVec<[(SkuId, i64); 2]> = m.lines.iter().filter(|q| shipped(q.line, q.sku)).map(|q| (q.sku, q.qty.into())).collect();
    if ship.is_empty() {
        return;
    }
    let today = day(from);
    if node.capacity_per_day > 0 && today == day(e.at) && !state.slots.iter().any(|(of, day, _)| (*of, *day) == (m.node, today)) {
        state.slots.push((m.node, today, e.n));
    }
    if cause_at.is_none() || m.ret.is_some() {
        return;
    }
    let at = state.decisions.iter().position(|decision| decision.cause == m.cause).unwrap_or_else(|| {
        state.decisions.push(Decision { cause: m.cause, from, to: e.at, picks: SmallVec::new(), demand: SmallVec::new() });
        state.decisions.len() - 1
    });
    let decision = &mut state.decisions[at];
    decision.to = decision.to.max(e.at);
    decision.picks.push((m.node, e.n));
    for (sku, qty) in ship {
        match decision.demand.iter_mut().find(|(known, _)| *known == sku) {
            Some((_, sum)) => *sum += qty,
            None => decision.demand.push((sku, qty)),
        }
    }
}

/// A pickup line belongs to the store that its shopper chose.
fn picked_up_elsewhere(e: &Entry, doing: &str, ctx: &mut Context<'_>) {
    let m = &e.msg;
    let Some(account) = ctx.account else { return };
    for q in &m.lines {
        let Some(line) = account.line(q.line, q.sku) else { continue };
        if line.fulfil != Fulfil::Pickup || line.node.is_none() || m.node.is_none() {
            continue;
        }
        ctx.judged();
        if line.node != m.node {
            let fixture = &ctx.header.fixture;
            let (chosen, other) = (fixture.node_name(line.node), fixture.node_name(m.node));
            let what = match e.kind {
                Kind::Fact => format!("line {} of {} {doing} its shopper at {chosen}, but {other} was told to prepare it", line.line.0, m.order),
                _ => format!("line {} of {} {doing} {other}; its shopper chose {chosen}", line.line.0, m.order),
            };
            ctx.fail(m.order, what, "a pickup is prepared in the store that the shopper chose", vec![account.placed.n, e.n]);
        }
    }
}

/// An order is taken away from a node because it did not accept in time.
fn too_early(state: &State, e: &Entry, ctx: &mut Context<'_>) {
    let m = &e.msg;
    let Some((_, first, n)) = state.released.iter().find(|(fid, _, _)| *fid == m.fulfillment).copied() else { return };
    let Some(node) = ctx.header.fixture.node(m.node) else { return };
    ctx.judged();
    let sla = Span::from_secs(ctx.header.fixture.policies.node_accept_sla_s);
    // it may have been told a moment before the record shows it
    let before = Timestamp(first.0.saturating_sub(ctx.grace().0));
    let due = deadline(node, before, sla).min(deadline(node, first, sla));
    if e.at < due {
        let what = format!("{} was taken away from {} at {}, which had until {due} to accept it", m.order, node.name, e.at);
        let expected = format!("{sla} to accept, counted while the node is open ({} to {} o'clock)", node.opens_h, node.closes_h);
        ctx.fail(m.order, what, expected, vec![n, e.n]);
    }
}

/// Was there certainly a better choice?
fn judge_choice(account: &Account, decision: &Decision, ctx: &mut Context<'_>) {
    let policies = &ctx.header.fixture.policies;
    let mut nodes: SmallVec<[NodeId; 2]> = decision.picks.iter().map(|(node, _)| *node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let region = account.body.as_ref().map(|body| body.ship_to);
    let (splits, wanders) = match nodes.as_slice() {
        [only] => (false, policies.region == "nearest" && ctx.header.fixture.node(*only).map(|node| node.region) != region),
        _ => (policies.split == "fewest_nodes", false),
    };
    if !splits && !wanders {
        return;
    }
    ctx.judged();
    let better = ctx.header.fixture.node_ids().find(|id| {
        let Some(node) = ctx.header.fixture.node(*id) else { return false };
        let mine = nodes.contains(id);
        (splits || Some(node.region) == region)
            && (node.capacity_per_day == 0 || mine)
            && node.kind != NodeKind::Supplier
            && !certain::maybe_disabled(*id, node, decision.from, decision.to, ctx)
            && !account.unhelpful.iter().any(|(refused, _, _)| refused == id)
            && decision.demand.iter().all(|(sku, qty)| certainly_had(account, *id, *sku, node, decision.from, ctx) >= *qty)
    });
    let Some(better) = better else { return };
    let name = |id: NodeId| ctx.header.fixture.node_name(id).to_string();
    let evidence = decision.picks.iter().map(|(_, n)| *n).chain([account.placed.n]).collect();
    let chosen = nodes.iter().map(|id| name(*id)).collect::<Vec<_>>().join(" and ");
    if splits {
        let what = format!("{} was split over {chosen}, though {} certainly had everything", account.no, name(better));
        ctx.fail(account.no, what, "no second node where one can bring all that is shipped (policy `split`)", evidence);
    } else {
        let what = format!("{} was given to {chosen}, though {} of its own region certainly had everything", account.no, name(better));
        ctx.fail(account.no, what, "a node of the shopper's region before any other (policy `region`)", evidence);
    }
}

/// Units of a shelf that were free at `from` whatever order things happened in, those of this very order included.
fn certainly_had(account: &Account, id: NodeId, sku: SkuId, node: &Node, from: Timestamp, ctx: &Context<'_>) -> i64 {
    let own: i64 = account.held.iter().filter(|held| (held.node, held.sku) == (id, sku)).map(|held| held.reserved).sum();
    certain::free(id, node, sku, from, ctx) + own
}

/// The day of the calendar.
fn day(at: Timestamp) -> u64 {
    (at.0 + Span::from_hours(RUN_BEGINS_AT_H).0) / Span::from_days(1).0
}

/// When `time` in opening hours is over, from `start` on.
fn deadline(node: &Node, start: Timestamp, time: Span) -> Timestamp {
    if node.opens_h >= node.closes_h || node.closes_h - node.opens_h >= 24 {
        return start + time;
    }
    let (opens, closes) = (Span::from_hours(node.opens_h.into()), Span::from_hours(node.closes_h.into()));
    let of_day = |at: Timestamp| Span((at.0 + Span::from_hours(RUN_BEGINS_AT_H).0) % Span::from_days(1).0);
    let a_day = Span(closes.0 - opens.0);
    // whole days first: the rest is less than one
    let mut at = start + Span(Span::from_days(1).0.saturating_mul(time.0 / a_day.0));
    let mut left = Span(time.0 % a_day.0);
    let tod = of_day(at);
    if tod < opens {
        at += Span(opens.0 - tod.0);
    } else if tod >= closes {
        at += Span(Span::from_days(1).0 - tod.0 + opens.0);
    }
    let today = Span(closes.0 - of_day(at).0);
    if left > today {
        left = Span(left.0 - today.0);
        at += Span(today.0 + Span::from_days(1).0 - a_day.0);
    }
    at + left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::testing::*;

    const DC2: NodeId = NodeId(2);
    const S2: NodeId = NodeId(4);

    fn h(hours: u64) -> Timestamp {
        Timestamp(Span::from_hours(hours).0)
    }

    /// Both nodes have A, only DC2 has B.
    fn estate() -> Story {
        let mut story = Story::new();
        story.stock(DC1, A, 50).stock(DC2, A, 50).stock(DC2, B, 50).wait(Span::from_secs(2));
        story
    }
    /// Sends a change of the rules, and acknowledges it.
    fn rule(story: &mut Story, node: NodeId, version: u32, code: Code) {
        let id = story.sent(0, Op::UpsertNode, |m| (m.node, m.rule_version, m.code) = (node, version, code));
        story.reply(id, Outcome::Ok);
    }
    /// An order of these lines, each taken from its node by one decision under a version of the rules.
    fn routed(story: &mut Story, order: u32, version: u32, of: &[(Qty, NodeId)]) {
        let body = story.body(&of.iter().map(|(qty, _)| *qty).collect::<Vec<Qty>>());
        let id = story.sent(order, Op::PlaceOrder, |m| m.body = Some(body));
        for (qty, node) in of {
            story.claim(order, Op::InventoryReserved, |m| {
                at_node(m, *node, &[*qty]);
                (m.cause, m.rule_version) = (id, version);
            });
        }
        story.reply(id, Outcome::Ok);
    }

    #[test]
    fn accepts_one_node_for_all_and_rejects_a_split_that_could_be_avoided() {
        let mut story = estate();
        routed(&mut story, 1, 1, &[((1, A, 1), DC2), ((2, B, 1), DC2)]);
        story.accepts("ROUTING");
        let mut story = estate();
        routed(&mut story, 1, 1, &[((1, A, 1), DC1), ((2, B, 1), DC2)]);
        story.rejects("ROUTING", "O1 was split over DC1 and DC2, though DC2 certainly had everything");
        story.header.fixture.policies.split = String::new();
        story.accepts("ROUTING");
    }

    #[test]
    fn one_node_has_to_bring_all_units_of_a_sku_that_several_lines_ask_for() {
        let story = |first, second| {
            let mut story = estate();
            routed(&mut story, 1, 1, &[((1, A, first), DC1), ((2, A, second), DC2)]);
            story
        };
        story(50, 10).accepts("ROUTING");
        story(40, 10).rejects("ROUTING", "though DC1 certainly had everything");
    }

    #[test]
    fn a_split_is_no_failure_where_anybody_may_have_had_the_units() {
        let mut story = estate();
        routed(&mut story, 1, 1, &[((1, A, 1), DC1), ((2, B, 1), DC2)]);
        // another order may have been faster
        routed(&mut story, 2, 1, &[((1, A, 50), DC2)]);
        story.accepts("ROUTING");
        let mut story = estate();
        rule(&mut story, DC2, 2, Code::NodeDisabled);
        rule(&mut story, DC2, 3, Code::NodeEnabled);
        routed(&mut story, 1, 3, &[((1, A, 1), DC1), ((2, B, 1), DC2)]);
        story.accepts("ROUTING");
    }

    #[test]
    fn rejects_another_region_where_the_shoppers_own_had_everything() {
        let mut story = estate();
        routed(&mut story, 1, 1, &[((1, A, 1), DC2)]);
        story.rejects("ROUTING", "O1 was given to DC2, though DC1 of its own region certainly had everything");
        let mut story = estate();
        routed(&mut story, 1, 1, &[((1, B, 1), DC2)]);
        story.accepts("ROUTING");
    }

    #[test]
    fn a_node_out_of_routing_is_promised_nothing_once_that_is_certain() {
        let mut story = estate();
        rule(&mut story, DC1, 2, Code::NodeDisabled);
        let mut under_way = estate();
        let id = under_way.sent(0, Op::UpsertNode, |m| (m.node, m.rule_version, m.code) = (DC1, 2, Code::NodeDisabled));
        story.wait(Span::from_secs(2));
        for story in [&mut story, &mut under_way] {
            routed(story, 1, 2, &[((1, A, 1), DC1)]);
        }
        story.rejects("ROUTING", "O1 was promised units of DC1, which was out of routing");
        under_way.reply(id, Outcome::Ok).accepts("ROUTING");
    }

    #[test]
    fn rejects_old_rules_and_rules_that_nobody_sent() {
        let story = |version| {
            let mut story = estate();
            rule(&mut story, S1, 2, Code::NodeDisabled);
            story.wait(Span::from_secs(2));
            routed(&mut story, 1, version, &[((1, A, 1), DC1)]);
            story
        };
        story(2).accepts("ROUTING");
        story(1).rejects("ROUTING", "by version 1 of the rules, though 2 was in force");
        story(3).rejects("ROUTING", "by version 3 of the rules, which nobody has sent");
    }

    #[test]
    fn a_node_takes_as_many_orders_a_day_as_it_can() {
        let mut story = estate();
        story.header.fixture.nodes[0].capacity_per_day = 2;
        for order in 1..=2 {
            routed(&mut story, order, 1, &[((1, A, 1), DC1)]);
        }
        story.accepts("ROUTING");
        // one that was given back makes room, and so does midnight
        routed(&mut story, 3, 1, &[((1, A, 1), DC1)]);
        story.rejects("ROUTING", "O3 is order number 3 promised to DC1 on day 1, which can take 2 a day");
        story.release(1, DC1, &[(1, A, 1)], Id::NONE).accepts("ROUTING");
        story.wait(Span::from_days(1));
        routed(&mut story, 4, 1, &[((1, A, 1), DC1)]);
        story.accepts("ROUTING");
    }

    #[test]
    fn a_pickup_is_prepared_where_the_shopper_comes() {
        let story = |reserved: NodeId, released: NodeId| {
            let mut story = Story::new();
            let mut body = (*story.body(&[(1, B, 1)])).clone();
            (body.lines[0].fulfil, body.lines[0].node) = (Fulfil::Pickup, S1);
            story.place_with(1, body.into(), Outcome::Ok).accept(1);
            story.reserve(1, reserved, &[(1, B, 1)], Id::NONE).node_release(1, 1, released, &[(1, B, 1)]);
            story
        };
        story(S1, S1).accepts("ROUTING");
        story(S2, S1).rejects("ROUTING", "is reserved for a pickup at S2; its shopper chose S1");
        story(S1, DC1).rejects("ROUTING", "its shopper at S1, but DC1 was told to prepare it");
    }

    #[test]
    fn a_node_that_gave_an_order_back_is_not_asked_again_before_goods_came_in() {
        let story = |goods: bool, answer| {
            let mut story = estate();
            routed(&mut story, 1, 1, &[((1, A, 1), DC1)]);
            let id = story.sent(1, Op::CbNodeRejected, |m| {
                at_node(m, DC1, &[(1, A, 1)]);
                m.code = Code::NoVariance;
            });
            story.reply(id, answer).release(1, DC1, &[(1, A, 1)], id).wait(Span::from_secs(2));
            if goods {
                story.movement(Op::StockReceipt, DC1, A, 5, 2);
            }
            let later = story.sent(1, Op::CbCarrierInTransit, |_| {});
            story.reserve(1, DC1, &[(1, A, 1)], later);
            story
        };
        story(true, Outcome::Ok).accepts("ROUTING");
        story(false, Outcome::TimedOut).accepts("ROUTING");
        story(false, Outcome::Ok).rejects("ROUTING", "O1 was promised A of DC1 again");
    }

    #[test]
    fn the_time_to_accept_is_counted_in_opening_hours() {
        let fixture = crate::scenario::standard_fixture();
        let store = fixture.node(S1).unwrap();
        // 10 o'clock is hour 0; S1 is open from 9 to 21
        let two = Span::from_hours(2);
        assert_eq!(deadline(store, h(1), two), h(3));
        assert_eq!(deadline(store, h(9), two), h(11), "just before it closes");
        assert_eq!(deadline(store, h(10), two), h(24), "one hour in the evening, one in the morning");
        assert_eq!(deadline(store, h(14), two), h(25), "closed when it came");
        assert_eq!(deadline(store, h(1), Span::from_hours(14)), h(27), "a day and two hours");
        assert_eq!(deadline(fixture.node(DC1).unwrap(), h(10), two), h(12));

        let taken_away = |after: u64| {
            let mut story = Story::new();
            story.place(1, &[(1, A, 1)]).accept(1).wait(Span::from_hours(10));
            story.entry(Kind::Call, 1, Op::NodeRelease, |m| (m.fulfillment, m.node) = (Fid(1), S1)).wait(Span::from_hours(after));
            story.entry(Kind::Call, 1, Op::NodeCancel, |m| (m.fulfillment, m.node, m.code) = (Fid(1), S1, Code::AcceptTimeout));
            story
        };
        taken_away(14).accepts("ROUTING");
        taken_away(3).rejects("ROUTING", "O1 was taken away from S1");
    }

    #[test]
    fn without_decisions_nothing_is_exercised() {
        assert_eq!(Story::new().place(1, &[(1, A, 1)]).judge().verdict_of("ROUTING"), Verdict::NotExercised);
    }
}
