//! What is on hand and what is promised, per (node, SKU).
//!
//! Every physical movement of a (node, SKU) carries a number 1, 2, 3, ..; so each is applied once, in whatever order it is told,
//! and a snapshot as of movement s takes the place of all movements up to s and of none after it.

use super::{Defect, Reference};
use crate::model::{Code, Fixture, Lines, Message, NodeId, Op, Outcome, SkuId};
use smallvec::SmallVec;

#[derive(Clone, Default, Debug)]
pub struct Level {
    pub on_hand: i64,
    pub reserved: i64,
    /// every movement up to here is in `on_hand`
    base: u32,
    /// movements after `base` that are in `on_hand`, by number
    ahead: SmallVec<[(u32, i32); 2]>,
}

impl Level {
    /// False if it was applied before.
    fn movement(&mut self, seq: u32, qty: i32) -> bool {
        if seq <= self.base || self.ahead.iter().any(|(s, _)| *s == seq) {
            return false;
        }
        self.on_hand += i64::from(qty);
        let at = self.ahead.partition_point(|(s, _)| *s < seq);
        self.ahead.insert(at, (seq, qty));
        self.fold();
        true
    }
    /// False if it says nothing that is not known.
    fn snapshot(&mut self, seq: u32, qty: i32) -> bool {
        if seq < self.base {
            return false;
        }
        let before = (self.on_hand, self.base, self.ahead.len());
        self.ahead.retain(|(s, _)| *s > seq);
        self.on_hand = i64::from(qty) + self.ahead.iter().map(|(_, q)| i64::from(*q)).sum::<i64>();
        self.base = seq;
        self.fold();
        before != (self.on_hand, self.base, self.ahead.len())
    }
    fn fold(&mut self) {
        while self.ahead.first().is_some_and(|(s, _)| *s == self.base + 1) {
            self.base += 1;
            self.ahead.remove(0);
        }
    }
    /// A movement is missing: what is on hand may be wrong.
    pub fn is_stale(&self) -> bool {
        !self.ahead.is_empty()
    }
}

pub struct Stock {
    levels: Vec<Level>,
    skus: usize,
    safety: Vec<i64>,
    defect: Option<Defect>,
}

impl Stock {
    pub fn new(estate: &Fixture, defect: Option<Defect>) -> Stock {
        let skus = estate.products.len() + 1;
        Stock {
            levels: vec![Level::default(); skus * (estate.nodes.len() + 1)],
            skus,
            safety: std::iter::once(0).chain(estate.nodes.iter().map(|node| i64::from(node.safety_stock))).collect(),
            defect,
        }
    }
    fn at(&self, node: NodeId, sku: SkuId) -> usize {
        node.0 as usize * self.skus + sku.0 as usize
    }
    pub fn level(&self, node: NodeId, sku: SkuId) -> &Level {
        &self.levels[self.at(node, sku)]
    }
    fn level_mut(&mut self, node: NodeId, sku: SkuId) -> &mut Level {
        let at = self.at(node, sku);
        &mut self.levels[at]
    }
    /// Units that may still be promised.
    pub fn available(&self, node: NodeId, sku: SkuId) -> i64 {
        let level = self.level(node, sku);
        let kept = if self.defect == Some(Defect::SafetyStockIgnored) { 0 } else { self.safety[node.0 as usize] };
        let taken = if self.defect == Some(Defect::ReservedCountedTwice) { 2 * level.reserved } else { level.reserved };
        (level.on_hand - taken - kept).max(0)
    }
    pub fn reserve(&mut self, node: NodeId, sku: SkuId, qty: u32) {
        self.level_mut(node, sku).reserved += i64::from(qty);
    }
    pub fn release(&mut self, node: NodeId, sku: SkuId, qty: u32) {
        self.level_mut(node, sku).reserved -= i64::from(qty);
    }
    /// More on hand that no movement speaks of: only a defect does so.
    pub fn put(&mut self, node: NodeId, sku: SkuId, qty: i32) {
        self.level_mut(node, sku).on_hand += i64::from(qty);
    }
    pub fn movement(&mut self, node: NodeId, sku: SkuId, seq: u32, qty: i32) -> bool {
        let defect = self.defect;
        let level = self.level_mut(node, sku);
        if defect == Some(Defect::FeedDuplicateApplied) && seq != 0 && !level.movement(seq, qty) && qty > 0 {
            level.on_hand += i64::from(qty);
            return true;
        } else if defect == Some(Defect::FeedDuplicateApplied) {
            return true;
        }
        if defect == Some(Defect::FeedGapIgnored) && seq > level.base + 1 {
            // a number is missing; it goes on with the new one, and what comes late is old news
            level.on_hand += i64::from(qty);
            level.base = seq;
            return true;
        }
        level.movement(seq, qty)
    }
    pub fn snapshot(&mut self, node: NodeId, sku: SkuId, seq: u32, qty: i32) -> bool {
        let defect = self.defect;
        let level = self.level_mut(node, sku);
        if defect == Some(Defect::ZeroQuantityIgnored) && qty == 0 {
            // an empty field and a nought are one to it
            return false;
        }
        if defect == Some(Defect::StaleSnapshotWins) {
            level.on_hand = i64::from(qty);
            return true;
        }
        level.snapshot(seq, qty)
    }
}

impl Reference {
    pub(super) fn apply_snapshot(&mut self, msg: &Message) -> (Outcome, Code) {
        for item in &msg.lines {
            if self.estate.product(item.sku).is_none() || self.estate.node(msg.node).is_none() {
                return (Outcome::Rejected, Code::UnknownSku);
            }
        }
        let mut risen = Vec::new();
        let mut news = false;
        for item in &msg.lines {
            let before = self.stock.level(msg.node, item.sku).on_hand;
            news |= self.stock.snapshot(msg.node, item.sku, item.seq, item.qty);
            if self.stock.level(msg.node, item.sku).on_hand > before {
                risen.push(item.sku);
            }
        }
        if !news {
            return (Outcome::Replayed, Code::None);
        }
        let mut event =
            Message { node: msg.node, lines: msg.lines.clone(), cause: self.cause, ..Message::new(Op::InventoryAdjusted, self.fresh_id()) };
        for item in &mut event.lines {
            item.qty = self.stock.level(msg.node, item.sku).on_hand as i32;
        }
        self.out.push(super::Effect::Event(event.into()));
        for sku in risen {
            self.goods_came_in(msg.node, sku);
        }
        (Outcome::Ok, Code::None)
    }

    pub(super) fn apply_delta(&mut self, msg: &Message) -> (Outcome, Code) {
        if self.estate.product(msg.sku).is_none() || self.estate.node(msg.node).is_none() {
            return (Outcome::Rejected, Code::UnknownSku);
        }
        if self.has(Defect::NegativeDeltaIgnored) && msg.qty < 0 {
            return (Outcome::Ok, Code::None);
        }
        let booked_at = if self.has(Defect::FeedAtFirstNode) { NodeId(1) } else { msg.node };
        if !self.stock.movement(booked_at, msg.sku, msg.seq, msg.qty) {
            return (Outcome::Replayed, Code::None);
        }
        let qty = self.stock.level(msg.node, msg.sku).on_hand as i32;
        let event = Message { node: msg.node, sku: msg.sku, qty, cause: self.cause, ..Message::new(Op::InventoryAdjusted, self.fresh_id()) };
        self.out.push(super::Effect::Event(event.into()));
        if msg.qty > 0 {
            self.goods_came_in(msg.node, msg.sku);
        } else {
            self.serve_backlog(msg.sku);
        }
        (Outcome::Ok, Code::None)
    }

    /// Goods are announced: nobody has them yet.
    pub(super) fn apply_supply(&mut self, msg: &Message) -> (Outcome, Code) {
        if self.has(Defect::SupplyCountedAsStock) && self.seen_messages.insert(msg.id, ()).is_none() {
            self.stock.level_mut(msg.node, msg.sku).on_hand += i64::from(msg.qty);
            self.goods_came_in(msg.node, msg.sku);
        }
        (Outcome::Ok, Code::None)
    }

    /// Units left a node: they are no longer on hand nor promised.
    pub(super) fn consume(&mut self, node: NodeId, lines: &Lines) {
        for item in lines {
            self.stock.release(node, item.sku, item.qty.unsigned_abs());
            self.stock.movement(node, item.sku, item.seq, -item.qty);
        }
    }
}
