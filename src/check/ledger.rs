//! The judge's own books: an account for every open order, a shelf for every SKU at every node.

use super::account::{Account, Arrival};
use super::credit::{Credit, Downtime};
use super::lag::{LagMeter, PublishLag};
use super::rules::Rules;
use super::supply::{MEMORY, Shelf, Told};
use crate::history::{Entry, Header, Kind};
use crate::model::{Class, Code, Id, Message, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::sim::Timestamp;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;

type Movements = SmallVec<[(SkuId, u32, Told); 2]>;

/// What an event or call of an order may name as its cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// a message about the order, the answer to a call of its, an event or call of its own; or a feed
    Own,
    /// the same of another order
    Other(OrderNo),
    Unknown,
}

#[derive(Default)]
pub struct Ledger {
    accounts: FxHashMap<OrderNo, Box<Account>>,
    shelves: FxHashMap<(NodeId, SkuId), Shelf>,
    /// some snapshot was sent
    told: bool,
    /// stock messages that were not acknowledged yet
    on_the_way: FxHashMap<Id, (NodeId, Movements)>,
    /// goods that came back and were inspected before the target took the return on: it may let them lie until then
    unasked: Vec<(OrderNo, Id, NodeId, Movements)>,
    /// messages to the target about no order, and when they were first sent
    feeds: FxHashMap<Id, Timestamp>,
    feed_order: VecDeque<(Timestamp, Id)>,
    rules: Rules,
    lag: LagMeter,
    downtime: Downtime,
    /// messages to the target about orders that are not forgotten (and calls of theirs that were answered), by whom they are about
    about: FxHashMap<Id, OrderNo>,
    pub now: Timestamp,
}

impl Ledger {
    pub fn order(&self, no: OrderNo) -> Option<&Account> {
        self.accounts.get(&no).map(Box::as_ref)
    }
    pub fn shelf(&self, node: NodeId, sku: SkuId) -> Option<&Shelf> {
        self.shelves.get(&(node, sku))
    }
    /// All shelves, by node and SKU.
    pub fn shelves(&self) -> Vec<((NodeId, SkuId), &Shelf)> {
        let mut all: Vec<_> = self.shelves.iter().map(|(key, shelf)| (*key, shelf)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
    /// Which nodes may be asked, since when.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
    /// Is the target told what is where? Then what it was not told of is not there.
    pub fn is_told(&self) -> bool {
        self.told
    }
    /// What the probe orders have shown so far.
    pub fn publish_lag(&self) -> PublishLag {
        self.lag.measured()
    }
    /// When the harness first sent the message of this id, as far as an event of this order can be caused by it.
    pub fn sent_at(&self, order: OrderNo, id: Id) -> Option<Timestamp> {
        if id.is_none() {
            return None;
        }
        self.order(order).and_then(|account| account.sent_at(id)).or_else(|| self.feeds.get(&id).copied())
    }
    /// What the record knows of an id that an event or call of this order names as its cause.
    pub fn cause_of(&self, order: OrderNo, id: Id) -> Cause {
        let own = self.order(order).is_some_and(|account| account.sent_at(id).is_some() || account.is_own(id));
        if own || self.feeds.contains_key(&id) {
            return Cause::Own;
        }
        self.about.get(&id).map_or(Cause::Unknown, |other| Cause::Other(*other))
    }
    /// Nobody asked for what names this cause: it was a timer's.
    pub fn is_timers(&self, order: OrderNo, cause: Id) -> bool {
        cause.is_none() || self.order(order).is_some_and(|account| account.is_own(cause))
    }
    /// What extends the deadlines of an order.
    pub(super) fn credit(&self, account: &Account, header: &Header) -> Credit<'_> {
        Credit::of(account, &self.downtime, header)
    }
    pub(super) fn orders(&self) -> Vec<OrderNo> {
        let mut all: Vec<_> = self.accounts.keys().copied().collect();
        all.sort_unstable();
        all
    }
    pub(super) fn forget(&mut self, no: OrderNo) {
        if let Some(account) = self.accounts.remove(&no) {
            for id in account.inbound() {
                self.about.remove(&id);
            }
        }
    }

    pub(super) fn observe(&mut self, e: &Entry) -> Arrival {
        self.now = self.now.max(e.at);
        let mut arrival = Arrival::New;
        self.downtime.observe(e);
        if e.msg.order.is_some() {
            if matches!(e.kind, Kind::Sent | Kind::Answer) && e.msg.id.is_some() {
                self.about.insert(e.msg.id, e.msg.order);
            }
            arrival = self.accounts.entry(e.msg.order).or_insert_with(|| Box::new(Account::new(e.msg.order))).observe(e);
        } else if e.kind == Kind::Sent && e.msg.id.is_some() && !self.feeds.contains_key(&e.msg.id) {
            self.feeds.insert(e.msg.id, e.at);
            self.feed_order.push_back((e.at, e.msg.id));
            while let Some((at, id)) = self.feed_order.front().copied()
                && at + MEMORY < e.at
            {
                self.feed_order.pop_front();
                self.feeds.remove(&id);
            }
        }
        if arrival == Arrival::New && e.msg.order.is_probe() {
            self.lag.observe(e);
        }
        if arrival == Arrival::New {
            self.stock(e);
            self.rules.observe(e, self.lag.measured().grace);
        }
        arrival
    }

    /// Takes in only what an entry says of shelves.
    pub(super) fn observe_stock(&mut self, e: &Entry) {
        self.now = self.now.max(e.at);
        self.stock(e);
    }

    fn shelf_mut(&mut self, node: NodeId, sku: SkuId) -> &mut Shelf {
        self.shelves.entry((node, sku)).or_default()
    }

    /// Has the target taken this return on?
    fn knows_return(&self, order: OrderNo, ret: Id) -> bool {
        self.order(order).and_then(|account| account.ret(ret)).is_some_and(|ret| ret.accepted || ret.authorized.is_set())
    }

    fn acknowledge(&mut self, at: Timestamp, node: NodeId, movements: Movements) {
        for (sku, seq, told) in movements {
            self.shelf_mut(node, sku).acknowledged(at, seq, told);
        }
    }

    fn stock(&mut self, e: &Entry) {
        let m = &e.msg;
        if !self.unasked.is_empty() && m.ret.is_some() && self.knows_return(m.order, m.ret) {
            let asked = |(order, ret, ..): &mut (OrderNo, Id, NodeId, Movements)| (*order, *ret) == (m.order, m.ret);
            let taken_on: Vec<_> = self.unasked.extract_if(.., asked).collect();
            taken_on.into_iter().for_each(|(_, _, node, movements)| self.acknowledge(e.at, node, movements));
        }
        match e.kind {
            Kind::Fact if m.op.class() == Class::Stock => {
                let taken = matches!(m.op, Op::StockShipped | Op::StockCollected);
                self.shelf_mut(m.node, m.sku).fact(e.n, m.seq, i64::from(m.qty), m.op == Op::StockOpening, taken);
            }
            Kind::Sent => {
                self.told |= m.op == Op::InventorySnapshot;
                let movements = movements(m);
                for (sku, seq, told) in &movements {
                    self.shelf_mut(m.node, *sku).sent(e.n, *seq, *told);
                }
                if !movements.is_empty() && m.id.is_some() {
                    self.on_the_way.insert(m.id, (m.node, movements));
                }
            }
            Kind::Reply if matches!(e.outcome, Outcome::Ok | Outcome::Replayed) => {
                if let Some((node, movements)) = self.on_the_way.remove(&m.id) {
                    if m.op == Op::CbNodeInspected && !self.knows_return(m.order, m.ret) {
                        self.unasked.push((m.order, m.ret, node, movements));
                    } else {
                        self.acknowledge(e.at, node, movements);
                    }
                }
            }
            Kind::Event if m.op == Op::InventoryReserved || m.op == Op::InventoryReleased => {
                let sign = if m.op == Op::InventoryReserved { 1 } else { -1 };
                for q in &m.lines {
                    let shelf = self.shelf_mut(m.node, q.sku);
                    shelf.committed += sign * i64::from(q.qty);
                    shelf.reserved_ever += if sign > 0 { i64::from(q.qty) } else { 0 };
                }
            }
            // with a cause it was asked during the run, while orders hold what they hold
            Kind::State if m.op == Op::GetInventory && m.cause.is_none() => {
                let reserved = m.lines.first().map_or(0, |q| i64::from(q.qty));
                self.shelf_mut(m.node, m.sku).said = Some((i64::from(m.qty), reserved, e.n));
            }
            _ => {}
        }
    }
}

/// What a message tells of stock.
fn movements(m: &Message) -> Movements {
    let each = |told: fn(i64) -> Told| m.lines.iter().filter(|q| q.seq != 0).map(|q| (q.sku, q.seq, told(i64::from(q.qty)))).collect();
    match (m.op, m.code) {
        (Op::InventorySnapshot, _) => m.lines.iter().map(|q| (q.sku, q.seq, Told::Level(i64::from(q.qty)))).collect(),
        (Op::InventoryDelta, _) => [(m.sku, m.seq, Told::Change(i64::from(m.qty)))].into_iter().collect(),
        (Op::CbNodeShipped | Op::CbNodeCollected, _) => each(|_| Told::Taken),
        (Op::CbNodeInspected, Code::Restock) => each(Told::Change),
        (Op::CbNodeRejected | Op::CbNodeShortPicked, Code::NotInStock) => each(|_| Told::Level(0)),
        (Op::CbNodeRejected | Op::CbNodeShortPicked, Code::Mismatch | Code::DamagedGoods) => each(|qty| Told::Change(-qty)),
        _ => Movements::new(),
    }
}
