//! The fold: entries in, counts and histograms out. Memory is bounded by the orders that are open at a time.

use super::latency::Stage;
use super::order::{OpenOrder, weight};
use super::{Measures, MeterTotals};
use crate::history::{Entry, Kind, Observer};
use crate::model::{Code, Id, Message, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::sim::{Span, Timestamp};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// An order that has ended is kept this long, for what still comes in late.
const QUIET: Span = Span::from_mins(10);
/// Orders that were turned down at once go sooner where there are more of them than this.
const TURNED_DOWN_KEPT: usize = 8_192;
const TURNED_DOWN_QUIET: Span = Span::from_secs(5);
/// A refund later than this after the goods came back makes shoppers ask.
const REFUND_PATIENCE: Span = Span::from_days(5);

/// Measures one history while it is written or read.
#[derive(Debug, Default)]
pub struct Meter {
    totals: MeterTotals,
    open: FxHashMap<OrderNo, OpenOrder>,
    /// orders that have ended, in the order in which they did
    ended: VecDeque<(Timestamp, OrderNo)>,
    /// orders that were turned down at once, by when
    turned_down: VecDeque<(Timestamp, OrderNo)>,
    /// one bit an order that was dropped, so that a late resend does not bring it back; by number / 64
    dropped: FxHashMap<u32, u64>,
    returns: FxHashMap<OrderNo, SmallVec<[OpenReturn; 1]>>,
    stock: FxHashMap<(NodeId, SkuId), i64>,
    first_due: Option<Timestamp>,
    last_due: Timestamp,
    /// tickets with notices left out of account
    silent_tickets: f64,
    notices: bool,
    at_rest: bool,
    stopped: bool,
    replaying: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct OpenReturn {
    ret: Id,
    key: Id,
    asked: Timestamp,
    received: Option<Timestamp>,
}

impl Meter {
    pub fn new() -> Meter {
        Meter::default()
    }

    /// What was measured, in a form that adds up with that of other histories.
    pub fn totals(mut self) -> MeterTotals {
        // where the record was cut short nobody knows what would have become of the open orders
        let judged = self.at_rest && !self.stopped;
        let ended = std::mem::take(&mut self.ended);
        for (_, order) in ended.into_iter().chain(std::mem::take(&mut self.turned_down)) {
            self.drop_order(order);
        }
        let open = std::mem::take(&mut self.open);
        let mut left: Vec<_> = open.into_iter().collect();
        left.sort_unstable_by_key(|(order, _)| *order);
        for (_, order) in left {
            self.totals.failed += u64::from(judged && !order.ended && !order.exception);
            self.fold(&order);
        }
        self.totals.settled = if judged { self.totals.placed } else { 0 };
        if !self.notices {
            self.totals.tickets = self.silent_tickets;
        }
        if let Some(first) = self.first_due {
            self.totals.placing_ns = self.last_due.since(first).0;
            self.totals.gaps = self.totals.placed.saturating_sub(1);
        }
        self.totals
    }

    pub fn finish(self) -> Measures {
        self.totals().measures()
    }

    /// Adds a finished order to the totals.
    fn fold(&mut self, order: &OpenOrder) {
        self.totals.with_parcel += u64::from(!order.parcels.is_empty());
        self.totals.split += u64::from(order.parcels.len() > 1);
        let (silent, noted) = order.tickets();
        self.silent_tickets += silent;
        self.totals.tickets += noted;
    }

    fn drop_order(&mut self, no: OrderNo) {
        if let Some(order) = self.open.remove(&no) {
            self.fold(&order);
            *self.dropped.entry(no.0 / 64).or_default() |= 1 << (no.0 % 64);
        }
    }

    fn end(&mut self, no: OrderNo, at: Timestamp) {
        if let Some(order) = self.open.get_mut(&no)
            && !order.ended
        {
            order.ended = true;
            self.ended.push_back((at, no));
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, no)) = self.ended.front().copied()
            && now.since(at) > QUIET
        {
            self.ended.pop_front();
            self.drop_order(no);
        }
        while self.turned_down.len() > TURNED_DOWN_KEPT
            && let Some((at, no)) = self.turned_down.front().copied()
            && now.since(at) > TURNED_DOWN_QUIET
        {
            self.turned_down.pop_front();
            self.drop_order(no);
        }
    }

    fn placed(&mut self, entry: &Entry) {
        let no = entry.msg.order;
        if self.dropped.get(&(no.0 / 64)).is_some_and(|bits| bits >> (no.0 % 64) & 1 == 1) {
            return;
        }
        let order = self.open.entry(no).or_insert_with(|| {
            if entry.at > entry.due {
                self.totals.latencies.record(Stage::SendLag, entry.at.since(entry.due));
            }
            self.totals.placed += 1;
            self.totals.series.at(entry.due).placed += 1;
            self.first_due = Some(self.first_due.map_or(entry.due, |first| first.min(entry.due)));
            self.last_due = self.last_due.max(entry.due);
            let body = entry.msg.body.as_deref();
            OpenOrder {
                due: entry.due,
                total: body.map_or(crate::model::Money(i64::MAX), |order| order.total()),
                lines: body.map_or(0, |order| order.lines.len().min(u16::MAX.into()) as u16),
                ..OpenOrder::default()
            }
        });
        if !order.acked {
            order.attempts.push((entry.msg.id, entry.at));
        }
    }

    fn answered(&mut self, entry: &Entry) {
        if !matches!(entry.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Rejected) {
            return;
        }
        let msg = &entry.msg;
        match msg.op {
            // another request under its key is not the order
            Op::PlaceOrder if msg.code == Code::KeyReuse => {}
            Op::PlaceOrder => {
                let Some(order) = self.open.get_mut(&msg.order) else { return };
                if !order.acked {
                    order.acked = true;
                    let ack = entry.at.since(order.due);
                    self.totals.latencies.record(Stage::Ack, ack);
                    if let Some((_, sent)) = order.attempts.iter().find(|(id, _)| *id == msg.id) {
                        self.totals.latencies.record(Stage::AckService, entry.at.since(*sent));
                    }
                    let bucket = self.totals.series.at(entry.at);
                    bucket.ack_max_us = bucket.ack_max_us.max(ack.as_micros());
                    order.attempts = SmallVec::new();
                }
                if entry.outcome == Outcome::Rejected && !order.ended {
                    order.ended = true;
                    self.turned_down.push_back((entry.at, msg.order));
                }
            }
            Op::RequestReturn if entry.outcome == Outcome::Rejected => self.end_return(msg),
            Op::RequestReturn if msg.ret.is_some() => {
                // the target gave the return its id
                let returns = self.returns.get_mut(&msg.order);
                if let Some(open) = returns.and_then(|list| list.iter_mut().find(|r| r.ret.is_none() && r.key == msg.key)) {
                    open.ret = msg.ret;
                }
            }
            _ => {}
        }
    }

    fn return_of(&mut self, msg: &Message) -> Option<&mut OpenReturn> {
        let list = self.returns.get_mut(&msg.order)?;
        let at = list.iter().position(|r| r.ret == msg.ret).or_else(|| list.iter().position(|r| r.ret.is_none()))?;
        list.get_mut(at)
    }

    fn end_return(&mut self, msg: &Message) {
        if let Some(list) = self.returns.get_mut(&msg.order) {
            let at = list.iter().position(|r| r.ret == msg.ret).or_else(|| list.iter().position(|r| r.ret.is_none()));
            at.map(|at| list.remove(at));
            if list.is_empty() {
                self.returns.remove(&msg.order);
            }
        }
    }

    fn asked_back(&mut self, entry: &Entry) {
        let msg = &entry.msg;
        let list = self.returns.entry(msg.order).or_default();
        if !list.iter().any(|r| (r.ret.is_some() && r.ret == msg.ret) || (r.key.is_some() && r.key == msg.key)) {
            list.push(OpenReturn { ret: msg.ret, key: msg.key, asked: entry.due, received: None });
        }
    }

    fn shipped(&mut self, entry: &Entry) {
        if let Some(order) = self.open.get_mut(&entry.msg.order)
            && !order.shipped
        {
            order.shipped = true;
            self.totals.latencies.record(Stage::OrderToShip, entry.at.since(order.due));
            self.totals.series.at(entry.at).shipped += 1;
        }
    }

    /// A fulfillment stands ready or left its node.
    fn left_node(&mut self, entry: &Entry) {
        if let Some(order) = self.open.get_mut(&entry.msg.order)
            && let Some(at) = order.at_node.iter().position(|(fid, _)| *fid == entry.msg.fulfillment)
        {
            let (_, since) = order.at_node.remove(at);
            self.totals.latencies.record(Stage::ReleaseToShip, entry.at.since(since));
        }
    }

    fn once(&mut self, entry: &Entry, stage: Stage, flag: impl FnOnce(&mut OpenOrder) -> &mut bool) {
        if let Some(order) = self.open.get_mut(&entry.msg.order) {
            let due = order.due;
            if !std::mem::replace(flag(order), true) {
                self.totals.latencies.record(stage, entry.at.since(due));
            }
        }
    }

    fn claimed(&mut self, entry: &Entry) {
        let msg = &entry.msg;
        match msg.op {
            Op::OrderAccepted => self.once(entry, Stage::OrderToAccept, |order| &mut order.accepted),
            Op::FulfillmentAllocated => self.once(entry, Stage::OrderToAllocate, |order| &mut order.allocated),
            Op::FulfillmentReleased => self.once(entry, Stage::OrderToRelease, |order| &mut order.released),
            Op::ShipmentShipped | Op::FulfillmentReady | Op::FulfillmentPickedUp => self.shipped(entry),
            Op::OrderCompleted => {
                if let Some(order) = self.open.get(&msg.order).filter(|order| !order.ended) {
                    self.totals.latencies.record(Stage::OrderToComplete, entry.at.since(order.due));
                    self.totals.series.at(entry.at).completed += 1;
                }
                self.end(msg.order, entry.at);
            }
            Op::OrderCancelled => {
                if let Some(order) = self.open.get_mut(&msg.order).filter(|order| !order.ended) {
                    order.merchant_cancel = !matches!(msg.code, Code::None | Code::Customer | Code::NoShow);
                    self.totals.cancelled += 1;
                }
                self.end(msg.order, entry.at);
            }
            Op::OrderRejected => self.end(msg.order, entry.at),
            Op::ReturnRejected | Op::ReturnCancelled => self.end_return(msg),
            Op::ExceptionRaised => {
                if let Some(order) = self.open.get_mut(&msg.order) {
                    self.totals.exceptions += u64::from(!order.exception);
                    order.exception = true;
                }
            }
            _ => {}
        }
    }

    fn done(&mut self, entry: &Entry) {
        let msg = &entry.msg;
        match msg.op {
            Op::NodeRelease => {
                self.once(entry, Stage::OrderToRelease, |order| &mut order.released);
                if let Some(order) = self.open.get_mut(&msg.order)
                    && !order.at_node.iter().any(|(fid, _)| *fid == msg.fulfillment)
                {
                    order.at_node.push((msg.fulfillment, entry.at));
                }
            }
            Op::NodeCancel | Op::CbNodeRejected => {
                if let Some(order) = self.open.get_mut(&msg.order) {
                    order.at_node.retain(|(fid, _)| *fid != msg.fulfillment);
                }
            }
            Op::CbNodeShipped | Op::CbNodeCollected => {
                self.left_node(entry);
                self.shipped(entry);
                if let Some(order) = self.open.get_mut(&msg.order)
                    && order.is_own_parcel(msg)
                    && !order.parcels.contains(&msg.fulfillment)
                {
                    order.parcels.push(msg.fulfillment);
                }
            }
            Op::CbNodeReceived => {
                if let Some(open) = self.return_of(msg) {
                    open.received.get_or_insert(entry.at);
                }
            }
            Op::PaymentCapture => {
                if let Some(order) = self.open.get_mut(&msg.order) {
                    order.captured += msg.amount;
                }
            }
            Op::PaymentRefund => {
                if msg.ret.is_some()
                    && let Some(open) = self.return_of(msg).copied()
                {
                    self.totals.latencies.record(Stage::ReturnToRefund, entry.at.since(open.asked));
                    if open.received.is_some_and(|received| entry.at.since(received) > REFUND_PATIENCE) {
                        // most orders have ended by then: what a late refund adds to one that is otherwise quiet
                        let more = (1.0 - weight::BASE) * weight::LATE_REFUND;
                        self.totals.tickets += more;
                        self.silent_tickets += more;
                    }
                    self.end_return(msg);
                }
            }
            Op::NotificationSend => {
                self.notices = true;
                if let Some(order) = self.open.get_mut(&msg.order) {
                    match msg.code {
                        Code::NoteConfirmed => order.confirmations = order.confirmations.saturating_add(1),
                        Code::NoteShipped | Code::NoteReady => order.shipping_notes = order.shipping_notes.saturating_add(1),
                        _ => {}
                    }
                }
            }
            _ if msg.op.class() == crate::model::Class::Stock => {
                let shelf = self.stock.entry((msg.node, msg.sku)).or_default();
                *shelf = shelf.saturating_add(msg.qty.into());
            }
            _ => {}
        }
    }

    fn stated(&mut self, entry: &Entry) {
        let msg = &entry.msg;
        match msg.op {
            Op::GetInventory if msg.code == Code::None && msg.cause.is_none() => {
                let shelf = self.stock.get(&(msg.node, msg.sku)).copied().unwrap_or(0);
                self.totals.stock_checked += 1;
                self.totals.stock_wrong += u64::from(i64::from(msg.qty) != shelf);
            }
            // a target without events still says how its orders ended
            Op::GetOrder if matches!(msg.code, Code::StateCompleted | Code::StateCancelled | Code::StateRejected) => {
                if msg.code == Code::StateCancelled && self.open.get(&msg.order).is_some_and(|order| !order.ended) {
                    self.totals.cancelled += 1;
                }
                self.end(msg.order, entry.at);
            }
            Op::GetOrder if msg.code == Code::StateException => {
                if let Some(order) = self.open.get_mut(&msg.order) {
                    self.totals.exceptions += u64::from(!order.exception);
                    order.exception = true;
                }
            }
            _ => {}
        }
    }
}

impl Observer for Meter {
    fn observe(&mut self, entry: &Entry) {
        // what is sent once more was measured the first time
        self.replaying |= entry.msg.op == Op::MarkReplay;
        if entry.msg.order.is_probe() || self.replaying && entry.kind != Kind::Mark {
            return;
        }
        self.forget(entry.at);
        match (entry.kind, entry.msg.op) {
            (Kind::Sent, Op::PlaceOrder) => self.placed(entry),
            (Kind::Sent, Op::RequestReturn) => self.asked_back(entry),
            // a pickup is ready when the store says so
            (Kind::Sent, Op::CbNodeReady) => {
                self.left_node(entry);
                self.shipped(entry);
            }
            (Kind::Reply, _) => self.answered(entry),
            (Kind::Event, _) => self.claimed(entry),
            (Kind::Fact, _) => self.done(entry),
            (Kind::Fault, _) => self.totals.series.at(entry.at).faults += 1,
            (Kind::State, _) => self.stated(entry),
            (Kind::Mark, Op::MarkRest) => self.at_rest = true,
            (Kind::Mark, Op::MarkStopped) => self.stopped = true,
            _ => {}
        }
    }
}
