//! The judge's own books: an account for every open order, a shelf for every SKU at every node.

use super::account::{Account, Arrival};
use super::credit::{Credit, Downtime};
use super::lag::{LagMeter, PublishLag};
use super::per_order::Place;
use super::rules::Rules;
use super::supply::{MEMORY, Shelf, Told};
use crate::history::{Entry, Header, Kind};
use crate::model::{Class, Code, Id, Message, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::sim::{Paged, Timestamp};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;

type Movements = SmallVec<[(SkuId, u32, Told); 2]>;

#[derive(Default)]
pub struct Ledger {
    /// accounts of open orders, each at its place; a place that was left is free for the next, with what its account had allocated
    accounts: Paged<Account>,
    free: Vec<u32>,
    places: FxHashMap<OrderNo, u32>,
    /// the order that the entry at hand is about
    current: Option<Place>,
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
    pub now: Timestamp,
}

impl Ledger {
    /// The books of a record.
    pub(super) fn of(header: &Header) -> Ledger {
        Ledger { lag: LagMeter::at_scale(header.scale()), ..Ledger::default() }
    }
    pub fn order(&self, no: OrderNo) -> Option<&Account> {
        self.place(no).map(|place| self.account(place))
    }
    pub(super) fn account(&self, place: Place) -> &Account {
        &self.accounts[place.at as usize]
    }
    /// Where the account of an order is kept, while it is open.
    pub fn place(&self, order: OrderNo) -> Option<Place> {
        match self.current {
            Some(place) if place.order == order => Some(place),
            _ => self.places.get(&order).map(|at| Place { order, at: *at }),
        }
    }
    /// What follows is about this order.
    pub(super) fn turn_to(&mut self, order: OrderNo) -> Option<Place> {
        self.current = self.place(order);
        self.current
    }
    /// A place for an order that has none yet.
    #[cold]
    fn open(&mut self, order: OrderNo) -> Place {
        let at = match self.free.pop() {
            Some(at) => {
                self.accounts[at as usize].renew(order);
                at
            }
            None => {
                self.accounts.push(Account::new(order));
                self.accounts.len() as u32 - 1
            }
        };
        self.places.insert(order, at);
        let place = Place { order, at };
        self.current = Some(place);
        place
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
    /// When the harness first sent the message of this id, which is about no order.
    pub(super) fn feed_sent_at(&self, id: Id) -> Option<Timestamp> {
        self.feeds.get(&id).copied()
    }
    /// Did the target go down after this?
    pub(super) fn was_down_since(&self, from: Timestamp) -> bool {
        self.downtime.any_since(from)
    }
    /// What extends the deadlines of an order.
    pub(super) fn credit(&self, account: &Account, header: &Header) -> Credit<'_> {
        Credit::of(account, &self.downtime, header)
    }
    pub(super) fn orders(&self) -> Vec<OrderNo> {
        let mut all: Vec<_> = self.places.keys().copied().collect();
        all.sort_unstable();
        all
    }
    pub(super) fn forget(&mut self, no: OrderNo) {
        if let Some(at) = self.places.remove(&no) {
            self.free.push(at);
        }
        self.unasked.retain(|(order, ..)| *order != no);
        self.current = None;
    }

    pub(super) fn observe(&mut self, e: &Entry) -> Arrival {
        self.now = self.now.max(e.at);
        let mut arrival = Arrival::New;
        if e.kind == Kind::Fault {
            self.downtime.observe(e);
        }
        if e.msg.order.is_some() {
            let place = match self.place(e.msg.order) {
                Some(place) => place,
                None => self.open(e.msg.order),
            };
            let account = &mut self.accounts[place.at as usize];
            arrival = account.observe(e);
            // a connection that nobody took, or that broke
            if e.kind == Kind::Reply && matches!(e.outcome, Outcome::Refused | Outcome::TimedOut) && account.faulted_at(e.msg.id).is_none() {
                self.downtime.not_reached(e.at);
            }
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
            if may_tell_of_stock(e) || !self.unasked.is_empty() {
                self.stock(e);
            }
            if e.msg.op == Op::UpsertNode {
                self.rules.observe(e, self.lag.measured().grace);
            }
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
                let reserved = m.lines.first().map(|q| i64::from(q.qty));
                self.shelf_mut(m.node, m.sku).said = Some((i64::from(m.qty), reserved, e.n));
            }
            _ => {}
        }
    }
}

/// Most entries say nothing of stock, and nothing of what is on its way.
fn may_tell_of_stock(e: &Entry) -> bool {
    match e.kind {
        Kind::Fact => e.msg.op.class() == Class::Stock,
        Kind::Sent => e.msg.op.class() != Class::Command,
        Kind::Event => matches!(e.msg.op, Op::InventoryReserved | Op::InventoryReleased),
        Kind::State => e.msg.op == Op::GetInventory,
        Kind::Reply => true,
        Kind::Call | Kind::Answer | Kind::Fault | Kind::Mark => false,
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
