//! Which node brings which units, and who waits for a SKU that is short.

use super::state::{LineState, Oid, Status};
use super::{Defect, Effect, Reference, Timer};
use crate::model::{Code, Fixture, Fulfil, LineNo, Message, NodeId, NodeKind, Op, OrderLine, Outcome, RUN_BEGINS_AT_H, Region, SkuId};
use crate::sim::Span;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::OnceLock;

/// Backordered lines by SKU, longest waiting first.
#[derive(Default)]
pub struct Backlog {
    waiting: FxHashMap<SkuId, VecDeque<(Oid, LineNo)>>,
    /// by day: fulfillments promised to each node
    used: FxHashMap<u64, Vec<u32>>,
}

impl Backlog {
    pub fn add(&mut self, sku: SkuId, oid: Oid, line: LineNo) {
        let queue = self.waiting.entry(sku).or_default();
        if !queue.contains(&(oid, line)) {
            queue.push_back((oid, line));
        }
    }
    pub fn skus_waited_for(&self) -> Vec<SkuId> {
        let mut skus: Vec<SkuId> = self.waiting.iter().filter(|(_, queue)| !queue.is_empty()).map(|(sku, _)| *sku).collect();
        skus.sort_unstable();
        skus
    }
    pub fn waiting_for(&self, sku: SkuId) -> Vec<Oid> {
        self.waiting.get(&sku).into_iter().flatten().map(|(oid, _)| *oid).collect()
    }
    pub fn is_waited_for(&self, sku: SkuId) -> bool {
        self.waiting.get(&sku).is_some_and(|queue| !queue.is_empty())
    }
    /// Fulfillments promised to a node for a day.
    pub fn used_mut(&mut self, node: NodeId, day: u64) -> &mut u32 {
        let (used, at) = (self.used.entry(day).or_default(), usize::from(node.0));
        if used.len() <= at {
            used.resize(at + 1, 0);
        }
        &mut used[at]
    }
    pub fn remove(&mut self, sku: SkuId, oid: Oid, line: LineNo) {
        if let Some(queue) = self.waiting.get_mut(&sku) {
            queue.retain(|waiting| *waiting != (oid, line));
        }
    }
}

/// Which nodes may be asked. Every change has a version; the newest that was applied is the version of the whole.
pub struct Rules {
    version: u32,
    /// by node: the version that it was changed by last, and whether it may be asked
    nodes: Vec<(u32, bool)>,
    /// heard and not yet in force: only a defect leaves anything here
    unread: Vec<Message>,
}

impl Rules {
    pub fn new(estate: &Fixture) -> Rules {
        Rules { version: 1, nodes: estate.nodes.iter().map(|node| (1, node.enabled)).collect(), unread: Vec::new() }
    }
    fn enabled(&self, node: NodeId) -> bool {
        self.nodes.get(usize::from(node.0).wrapping_sub(1)).is_some_and(|(_, enabled)| *enabled)
    }
}

/// More nodes than these are not weighed against each other: twelve are 4,095 sets, enough for an estate of the reference, and never slow.
const MOST_NODES: usize = 12;

/// All sets of `n` nodes but the empty one, as bits, in the order in which they are to be tried: fewer nodes first, and of two sets of one size
/// the one with the better first node, for nodes are best first.
fn sets_of(n: usize) -> &'static [u32] {
    static SETS: [OnceLock<Vec<u32>>; MOST_NODES + 1] = [const { OnceLock::new() }; MOST_NODES + 1];
    SETS[n].get_or_init(|| {
        let mut sets: Vec<u32> = (1..1u32 << n).collect();
        sets.sort_by_key(|set| (set.count_ones(), !set.reverse_bits()));
        sets
    })
}

/// Units wanted of one line.
#[derive(Clone, Copy)]
pub struct Want {
    pub line: LineNo,
    pub sku: SkuId,
    pub qty: u32,
    pub fulfil: Fulfil,
    pub pickup_node: NodeId,
}

impl Want {
    /// All of a line.
    pub fn new(line: &OrderLine) -> Want {
        Want { line: line.line, sku: line.sku, qty: line.qty, fulfil: line.fulfil, pickup_node: line.node }
    }
    pub fn of(line: &LineState, qty: u32) -> Want {
        Want { line: line.line, sku: line.sku, qty, fulfil: line.fulfil, pickup_node: line.pickup_node }
    }
}

/// Units of a line taken from a node.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    pub node: NodeId,
    pub line: LineNo,
    pub sku: SkuId,
    pub qty: u32,
}

pub type Wants = SmallVec<[Want; 4]>;
pub type Picks = SmallVec<[Pick; 4]>;

/// The smallest set of the nodes that together have everything, as bits, the best first among equals; none where nothing has everything.
/// `held` is what the nodes have, a row for each SKU of `demand`.
fn fewest(demand: &[(SkuId, i64)], held: &[i64], nodes: usize) -> Option<u32> {
    let n = nodes.min(MOST_NODES);
    let has = |set: u32, row: &[i64], qty: i64| {
        let (mut rest, mut sum) = (set, 0);
        while rest != 0 {
            sum += row[rest.trailing_zeros() as usize];
            rest &= rest - 1;
        }
        sum >= qty
    };
    let has_all = |set: u32| demand.iter().zip(held.chunks_exact(nodes)).all(|((_, qty), row)| has(set, row, *qty));
    if !has_all((1 << n) - 1) {
        return None;
    }
    sets_of(n).iter().copied().find(|set| has_all(*set))
}

/// Whether a set has the node at this place; no set is all nodes.
fn in_set(set: Option<u32>, at: usize) -> bool {
    set.is_none_or(|set| at < MOST_NODES && set >> at & 1 == 1)
}

impl Reference {
    /// Goods came in at a node: orders that it had nothing for may ask it again.
    pub(super) fn goods_came_in(&mut self, node: NodeId, sku: SkuId) {
        for oid in self.backlog.waiting_for(sku) {
            if let Some(order) = self.orders.get_mut(&oid) {
                order.excluded.retain(|excluded| *excluded != (node, sku));
            }
        }
        self.serve_backlog(sku);
    }

    /// The day of the calendar.
    fn day(&self) -> u64 {
        (self.now.0 + Span::from_hours(RUN_BEGINS_AT_H).0) / Span::from_days(1).0
    }

    /// A node may be asked from now on, or may not. What was promised there stays.
    pub(super) fn upsert_node(&mut self, msg: &Message) -> (Outcome, Code) {
        if self.estate.node(msg.node).is_none() || !matches!(msg.code, Code::NodeEnabled | Code::NodeDisabled) {
            return (Outcome::Rejected, Code::Invalid);
        }
        if self.has(Defect::StaleRuleVersion) {
            // the rules are kept in a cache that is read anew once an hour
            self.rules.unread.push(msg.clone());
            self.timers.push(self.now + Span::from_hours(1), Timer::RulesReload);
            return (Outcome::Ok, Code::None);
        }
        self.apply_rule(msg)
    }

    pub(super) fn reload_rules(&mut self) {
        for msg in std::mem::take(&mut self.rules.unread) {
            self.apply_rule(&msg);
        }
    }

    fn apply_rule(&mut self, msg: &Message) -> (Outcome, Code) {
        let Some(rule) = self.rules.nodes.get_mut(usize::from(msg.node.0).wrapping_sub(1)) else { return (Outcome::Rejected, Code::Invalid) };
        if msg.rule_version <= rule.0 {
            return (Outcome::Replayed, Code::None);
        }
        let enabled = msg.code == Code::NodeEnabled;
        *rule = (msg.rule_version, enabled);
        self.rules.version = self.rules.version.max(msg.rule_version);
        let version = self.rules.version;
        let event =
            Message { node: msg.node, code: msg.code, rule_version: version, cause: self.cause, ..Message::new(Op::RulesActivated, self.fresh_id()) };
        self.out.push(Effect::Event(event.into()));
        if enabled {
            for sku in self.backlog.skus_waited_for() {
                self.serve_backlog(sku);
            }
        }
        (Outcome::Ok, Code::None)
    }

    fn may_be_asked(&self, node: NodeId) -> bool {
        self.rules.enabled(node) || self.has(Defect::IgnoresDisabledNode)
    }

    /// Nodes that may ship to `region`, best first: same region, then DC before store before 3PL, then those whose feed has no gap.
    fn candidates(&self, region: Region, wants: &[Want]) -> SmallVec<[NodeId; 8]> {
        let used = self.backlog.used.get(&self.day()).map_or(&[][..], Vec::as_slice);
        // what counts most in the highest bits, the node itself in the lowest
        let mut nodes: SmallVec<[u32; 8]> = SmallVec::new();
        for (id, node) in self.estate.node_ids().zip(&self.estate.nodes) {
            let rank = match node.kind {
                NodeKind::Dc => 0,
                NodeKind::Store => 1,
                NodeKind::ThirdParty => 2,
                NodeKind::Supplier => continue,
            };
            let full = node.capacity_per_day > 0 && used.get(usize::from(id.0)).is_some_and(|used| *used >= node.capacity_per_day);
            let full = full && !self.has(Defect::IgnoresCapacity);
            if !self.may_be_asked(id) || full {
                continue;
            }
            let stale = wants.iter().any(|want| self.stock.level(id, want.sku).is_stale());
            nodes.push(u32::from(node.region != region) << 20 | rank << 18 | u32::from(stale) << 17 | u32::from(id.0));
        }
        nodes.sort_unstable();
        nodes.into_iter().map(|node| NodeId(node as u16)).collect()
    }

    /// What can be had for `wants`: pickup lines from their store, the others from as few nodes as possible. What is missing from
    /// the answer is short. `blocked` says which (node, SKU) must not be asked.
    pub(super) fn source(&self, region: Region, wants: &[Want], blocked: impl Fn(NodeId, SkuId) -> bool) -> Picks {
        let mut picks = Picks::new();
        // without what an earlier line of this very order has taken
        let free = |picks: &[Pick], node: NodeId, sku: SkuId| {
            if blocked(node, sku) {
                return 0;
            }
            let mine: i64 = picks.iter().filter(|pick| (pick.node, pick.sku) == (node, sku)).map(|pick| i64::from(pick.qty)).sum();
            (self.stock.available(node, sku) - mine).max(0)
        };
        for want in wants.iter().filter(|want| want.fulfil == Fulfil::Pickup) {
            if self.may_be_asked(want.pickup_node) && free(&picks, want.pickup_node, want.sku) >= i64::from(want.qty) {
                picks.push(Pick { node: want.pickup_node, line: want.line, sku: want.sku, qty: want.qty });
            }
        }
        let ship: Wants = wants.iter().filter(|want| want.fulfil == Fulfil::Ship).copied().collect();
        if ship.is_empty() {
            return picks;
        }
        let nodes = self.candidates(region, &ship);
        if nodes.is_empty() {
            return picks;
        }
        let mut demand: SmallVec<[(SkuId, i64); 4]> = SmallVec::new();
        for want in &ship {
            match demand.iter_mut().find(|(sku, _)| *sku == want.sku) {
                Some((_, qty)) => *qty += i64::from(want.qty),
                None => demand.push((want.sku, i64::from(want.qty))),
            }
        }
        // looked up once: of each SKU a row of what the nodes have
        let mut held: SmallVec<[i64; 32]> = SmallVec::new();
        for (sku, _) in &demand {
            held.extend(nodes.iter().map(|node| free(&picks, *node, *sku)));
        }
        let (greedy, over) = (self.has(Defect::AvoidableSplit), self.has(Defect::SplitOverAllocates));
        let chosen = if greedy || over { None } else { fewest(&demand, &held, nodes.len()) };
        for want in &ship {
            let mut left = i64::from(want.qty);
            let row = demand.iter().position(|(sku, _)| *sku == want.sku).unwrap_or(0) * nodes.len();
            for (node, held) in nodes.iter().zip(&mut held[row..]).enumerate().filter(|(at, _)| in_set(chosen, *at)).map(|(_, node)| node) {
                let take = (*held).min(if over { want.qty.into() } else { left });
                if take > 0 {
                    picks.push(Pick { node: *node, line: want.line, sku: want.sku, qty: take as u32 });
                    *held -= take;
                    left -= take;
                }
            }
        }
        picks
    }

    /// Promises units to an order's lines and says so, one event a node.
    pub(super) fn commit_picks(&mut self, oid: Oid, picks: &[Pick]) {
        let day = self.day();
        let mut nodes: SmallVec<[NodeId; 4]> = picks.iter().map(|pick| pick.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            *self.backlog.used_mut(node, day) += 1;
            if let Some(order) = self.orders.get_mut(&oid) {
                order.slots.push((node, day));
            }
            let mut lines = crate::model::Lines::new();
            let mut ret = crate::model::Id::NONE;
            for pick in picks.iter().filter(|pick| pick.node == node) {
                self.stock.reserve(node, pick.sku, pick.qty);
                lines.push(crate::model::LineQty { line: pick.line, sku: pick.sku, qty: pick.qty as i32, seq: 0 });
                if let Some(line) = self.orders.get_mut(&oid).and_then(|order| order.line_mut(pick.line)) {
                    ret = line.ret;
                    match line.reserved.iter_mut().find(|(n, _)| *n == node) {
                        Some((_, qty)) => *qty += pick.qty,
                        None => line.reserved.push((node, pick.qty)),
                    }
                }
            }
            let rule_version = self.rules.version;
            self.event(oid, Op::InventoryReserved, |m| {
                m.node = node;
                m.rule_version = rule_version;
                m.ret = ret;
                m.lines = lines;
            });
        }
    }

    /// Gives whoever waits for `sku` what has become free, longest waiting first. Strictly in order: who cannot be served whole
    /// holds the queue, so that nobody overtakes.
    pub(super) fn serve_backlog(&mut self, sku: SkuId) {
        loop {
            let Some(queue) = self.backlog.waiting.get(&sku) else { return };
            let lifo = self.has(Defect::BackordersLifo);
            let Some((oid, line_no)) = (if lifo { queue.back() } else { queue.front() }).copied() else { return };
            let Some(order) = self.orders.get(&oid) else { return };
            let Some(line) = order.lines.iter().find(|line| line.line == line_no) else { return };
            let ended = order.status != Status::Open && line.ret.is_none() && !self.has(Defect::CancelForgetsBackorder);
            let cancelled = line.backordered == 0 || ended;
            if cancelled {
                self.backlog.remove(sku, oid, line_no);
                continue;
            }
            let want = Want::of(line, line.backordered);
            let region = order.order.ship_to;
            let excluded = order.excluded.clone();
            let picks = self.source(region, &[want], |node, sku| excluded.contains(&(node, sku)));
            let got: u32 = picks.iter().map(|pick| pick.qty).sum();
            if got == 0 || (got < want.qty && !self.estate.policies.backorder_partial) {
                return;
            }
            if let Some(line) = self.orders.get_mut(&oid).and_then(|order| order.line_mut(line_no)) {
                line.backordered -= got;
                if line.backordered == 0 {
                    self.backlog.remove(sku, oid, line_no);
                }
            }
            self.commit_picks(oid, &picks);
            self.advance(oid);
            if got < want.qty {
                return;
            }
        }
    }
}
