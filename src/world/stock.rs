//! Shelves, the books that report them, and the inventory feed.
//!
//! The *book* is what a node's system believes and reports; the *shelf* is what is there. They differ by phantom stock until
//! somebody looks. Every change of a book is one numbered movement of its (node, SKU).

use super::{Actions, Later, Send, World};
use crate::model::{Code, Fid, Fixture, Id, LineQty, Lines, Message, NodeId, Op, OrderNo, SkuId};
use crate::scenario::{Action, Link};
use crate::sim::{Law, Purpose, Span, Timestamp};

const ASK_STOCK: Purpose = Purpose(330);
const ASKED_AFTER: Law = Law::LogNormal { p50: Span::from_mins(10), p95: Span::from_hours(3) };

/// What is there when the run begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    pub node: NodeId,
    pub sku: SkuId,
    /// what the feed reports
    pub book: u32,
    /// what of it is not on the shelf
    pub phantom: u32,
}

/// Goods that come in or go out without an order, or news about stock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StockStep {
    pub at: Timestamp,
    pub action: Action,
    pub node: NodeId,
    pub sku: SkuId,
    pub qty: u32,
}

#[derive(Clone, Copy, Default)]
struct Shelf {
    book: i64,
    truth: i64,
    /// picked for somebody, not yet gone
    set_aside: i64,
    seq: u32,
    known: bool,
}

pub struct Shelves {
    shelves: Vec<Shelf>,
    skus: usize,
}

impl Shelves {
    pub fn new(estate: &Fixture) -> Shelves {
        let skus = estate.products.len() + 1;
        Shelves { shelves: vec![Shelf::default(); skus * (estate.nodes.len() + 1)], skus }
    }
    fn at(&mut self, node: NodeId, sku: SkuId) -> &mut Shelf {
        &mut self.shelves[node.0 as usize * self.skus + sku.0 as usize]
    }
    /// Units that may be picked now.
    pub fn free(&mut self, node: NodeId, sku: SkuId) -> u32 {
        let shelf = self.at(node, sku);
        (shelf.truth - shelf.set_aside).max(0) as u32
    }
    pub fn set_aside(&mut self, node: NodeId, sku: SkuId, qty: u32) {
        self.at(node, sku).set_aside += i64::from(qty);
    }
    pub fn put_back(&mut self, node: NodeId, sku: SkuId, qty: u32) {
        self.at(node, sku).set_aside -= i64::from(qty);
    }
    /// Units that the book has beyond the shelf.
    pub fn surplus(&mut self, node: NodeId, sku: SkuId) -> u32 {
        let shelf = self.at(node, sku);
        (shelf.book - shelf.truth).max(0) as u32
    }
    /// Units of the book that are not there after all, though the shelf said so.
    pub fn lose(&mut self, node: NodeId, sku: SkuId, qty: u32) {
        self.at(node, sku).truth -= i64::from(qty);
    }
}

impl World {
    pub(super) fn open(&mut self, opening: &[Opening], out: &mut Actions) {
        out.facts.reserve(opening.len());
        for item in opening {
            let shelf = self.stock.at(item.node, item.sku);
            shelf.book = item.book.into();
            shelf.truth = i64::from(item.book) - i64::from(item.phantom);
            shelf.seq = 1;
            shelf.known = true;
            let fact = self.fact(Op::StockOpening, OrderNo::NONE, |m| (m.node, m.sku, m.qty, m.seq) = (item.node, item.sku, item.book as i32, 1));
            out.facts.push(fact);
        }
        for node in self.estate.clone().node_ids() {
            self.send_snapshot(node, out);
        }
    }

    /// Every (node, SKU) that ever had stock, but that of the probes.
    pub fn stocked(&self) -> Vec<(NodeId, SkuId)> {
        let skus = self.stock.skus;
        let known = self.stock.shelves.iter().enumerate().filter(|(_, shelf)| shelf.known);
        let all = known.map(|(at, _)| (NodeId((at / skus) as u16), SkuId((at % skus) as u32)));
        all.filter(|(_, sku)| self.probes.is_none_or(|probes| probes.sku != *sku)).collect()
    }

    pub(super) fn send_snapshot(&mut self, node: NodeId, out: &mut Actions) {
        let mut lines = Lines::new();
        for sku in self.estate.clone().sku_ids() {
            let shelf = *self.stock.at(node, sku);
            if shelf.known {
                lines.push(LineQty { sku, qty: shelf.book as i32, seq: shelf.seq, ..LineQty::default() });
            }
        }
        if lines.is_empty() {
            return;
        }
        let id = self.fresh_id();
        let msg = Message { key: id, node, lines, ..Message::new(Op::InventorySnapshot, id) };
        out.sends.push(Send { link: Link::Feeds, msg: msg.into(), due: self.now, after: Span::ZERO, attempt: 0 });
    }

    /// One numbered movement of a book. The shelf moves with it, but for a recount.
    pub(super) fn movement(&mut self, op: Op, node: NodeId, sku: SkuId, qty: i64, about: (OrderNo, Fid, Id), out: &mut Actions) -> u32 {
        let shelf = self.stock.at(node, sku);
        shelf.book += qty;
        if op != Op::StockRecount {
            shelf.truth += qty;
        }
        shelf.seq += 1;
        shelf.known = true;
        let seq = shelf.seq;
        let (order, fulfillment, ret) = about;
        let fact = self.fact(op, order, |m| (m.node, m.sku, m.qty, m.seq, m.fulfillment, m.ret) = (node, sku, qty as i32, seq, fulfillment, ret));
        out.facts.push(fact);
        seq
    }

    /// Tells the target of a movement that no callback tells it of.
    pub(super) fn send_delta(&mut self, node: NodeId, sku: SkuId, qty: i64, seq: u32, out: &mut Actions) {
        let id = self.fresh_id();
        let msg = Message { key: id, node, sku, qty: qty as i32, seq, ..Message::new(Op::InventoryDelta, id) };
        out.sends.push(Send { link: Link::Feeds, msg: msg.into(), due: self.now, after: Span::ZERO, attempt: 0 });
    }

    /// Somebody looked: the book is set right, and the feed says so.
    pub(super) fn recount(&mut self, node: NodeId, sku: SkuId, out: &mut Actions) {
        let surplus = self.stock.surplus(node, sku);
        if surplus > 0 {
            let seq = self.movement(Op::StockRecount, node, sku, -i64::from(surplus), (OrderNo::NONE, Fid::NONE, Id::NONE), out);
            self.send_delta(node, sku, -i64::from(surplus), seq, out);
        }
    }

    /// Some time after the target has taken a message of the feed it is asked for one level that the message told of: soon, while what
    /// follows is under way, or hours later.
    pub(super) fn ask_stock(&self, told: &Message, out: &mut Actions) {
        let mut draw = self.seed.draw(ASK_STOCK, told.id.0, 0);
        let sku = match told.lines.len() {
            0 => told.sku,
            lines => told.lines[draw.below(lines as u64) as usize].sku,
        };
        let wait = ASKED_AFTER.sample(&mut draw).min(Span::from_days(1));
        out.later.push((wait, Later::AskStock { node: told.node, sku, after: told.id }));
    }

    pub(super) fn stock_step(&mut self, n: usize, out: &mut Actions) {
        let Some(step) = self.steps.get(n).copied() else { return };
        let nobody = (OrderNo::NONE, Fid::NONE, Id::NONE);
        match step.action {
            Action::Receipt => {
                let seq = self.movement(Op::StockReceipt, step.node, step.sku, step.qty.into(), nobody, out);
                self.send_delta(step.node, step.sku, step.qty.into(), seq, out);
            }
            Action::Sale => {
                // a till cannot sell what is not on the shelf
                let qty = i64::from(step.qty.min(self.stock.free(step.node, step.sku)));
                if qty > 0 {
                    let seq = self.movement(Op::StockSale, step.node, step.sku, -qty, nobody, out);
                    self.send_delta(step.node, step.sku, -qty, seq, out);
                }
            }
            Action::Supply => {
                let id = self.fresh_id();
                let msg = Message { key: id, node: step.node, sku: step.sku, qty: step.qty as i32, ..Message::new(Op::InventorySupply, id) };
                out.sends.push(Send { link: Link::Feeds, msg: msg.into(), due: self.now, after: Span::ZERO, attempt: 0 });
            }
            Action::Snapshot => {
                for node in self.estate.clone().node_ids() {
                    self.send_snapshot(node, out);
                }
            }
            Action::DisableNode | Action::EnableNode => {
                let id = self.fresh_id();
                self.rule_version += 1;
                let code = if step.action == Action::EnableNode { Code::NodeEnabled } else { Code::NodeDisabled };
                let msg = Message { key: id, node: step.node, code, rule_version: self.rule_version, ..Message::new(Op::UpsertNode, id) };
                out.sends.push(Send { link: Link::Commands, msg: msg.into(), due: self.now, after: Span::ZERO, attempt: 0 });
            }
            Action::Cancel | Action::Return | Action::Exchange | Action::CancelReturn => {}
        }
    }
}
