//! The fold: entries in, counts and histograms out. Memory is bounded by the orders that are open at a time.

use super::course::Course;
use super::open::OpenOrders;
use super::order::{OpenOrder, weight};
use super::tally::Tally;
use super::{Measures, MeterTotals, Reading};
use crate::history::{Entry, Kind, Observer};
use crate::model::{Code, Id, Message, NodeId, Op, OrderNo, Outcome, SkuId, Stage, Threshold, Window};
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

/// What is measured besides the usual.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Focus {
    /// when the first moment of the load is, from which parts of a run are counted
    pub opens: Timestamp,
    /// parts of the run whose orders are counted by themselves
    pub windows: Vec<Window>,
    /// how the load goes over time
    pub course: bool,
}

/// Measures one history while it is written or read.
#[derive(Debug, Default)]
pub struct Meter {
    totals: MeterTotals,
    open: OpenOrders,
    /// orders that have ended, in the order in which they did
    ended: VecDeque<(Timestamp, OrderNo)>,
    /// until then all of them are kept
    kept_until: Timestamp,
    /// orders that were turned down at once, by when
    turned_down: VecDeque<(Timestamp, OrderNo)>,
    /// one bit an order that was dropped, so that a late resend does not bring it back; by number / 64
    dropped: FxHashMap<u32, u64>,
    returns: FxHashMap<OrderNo, SmallVec<[OpenReturn; 1]>>,
    stock: FxHashMap<(NodeId, SkuId), i64>,
    opens: Timestamp,
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

    pub fn with(focus: &Focus) -> Meter {
        let mut meter = Meter { opens: focus.opens, ..Meter::default() };
        for window in &focus.windows {
            if !meter.totals.windows.iter().any(|(known, _)| known == window) {
                meter.totals.windows.push((*window, Tally::default()));
            }
        }
        meter.totals.course = focus.course.then(Course::default);
        meter
    }

    /// What a threshold is about, as it stands now.
    pub fn reading(&self, threshold: &Threshold) -> Reading {
        self.totals.reading(threshold)
    }

    /// As far as it can rise by orders that are not decided yet, where that is known.
    pub fn best(&self, threshold: &Threshold) -> Option<f64> {
        self.totals.best(threshold)
    }

    /// Counts something of an order that was due at `due`: in all, and in the parts of the run that hold that time.
    fn tally(&mut self, due: Timestamp, count: impl Fn(&mut Tally)) {
        count(&mut self.totals.all);
        if !self.totals.windows.is_empty() {
            let at = due.since(self.opens);
            let here = self.totals.windows.iter_mut().filter(|(window, _)| due >= self.opens && window.contains(at));
            here.for_each(|(_, tally)| count(tally));
        }
    }

    fn record(&mut self, due: Timestamp, stage: Stage, latency: Span) {
        self.tally(due, |tally| tally.latencies.record(stage, latency));
    }

    /// What was measured, in a form that adds up with that of other histories.
    pub fn totals(mut self) -> MeterTotals {
        // where the record was cut short nobody knows what would have become of the open orders
        let judged = self.at_rest && !self.stopped;
        let ended = std::mem::take(&mut self.ended);
        for (_, order) in ended.into_iter().chain(std::mem::take(&mut self.turned_down)) {
            self.drop_order(order);
        }
        for no in self.open.numbers() {
            let Some(order) = self.open.remove(no) else { continue };
            let failed = judged && !order.ended && !order.exception;
            self.tally(order.due, |tally| tally.failed += u64::from(failed));
            self.fold(&order);
        }
        if !self.notices {
            self.totals.all.tickets = self.silent_tickets;
        }
        self.totals.all.close(judged);
        self.totals.windows.iter_mut().for_each(|(_, tally)| tally.close(judged));
        self.totals
    }

    pub fn finish(self) -> Measures {
        self.totals().measures()
    }

    /// Adds a finished order to the totals.
    fn fold(&mut self, order: &OpenOrder) {
        let parcels = order.parcels.len();
        self.tally(order.due, |tally| {
            tally.with_parcel += u64::from(parcels > 0);
            tally.split += u64::from(parcels > 1);
        });
        let (silent, noted) = order.tickets();
        self.silent_tickets += silent;
        self.totals.all.tickets += noted;
    }

    fn drop_order(&mut self, no: OrderNo) {
        if let Some(order) = self.open.remove(no) {
            self.fold(&order);
            *self.dropped.entry(no.0 / 64).or_default() |= 1 << (no.0 % 64);
        }
    }

    fn end(&mut self, no: OrderNo, at: Timestamp) {
        if let Some(order) = self.open.get_mut(no)
            && !order.ended
        {
            order.ended = true;
            self.ended.push_back((at, no));
            self.kept_until = self.kept_until.min(at + QUIET);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, no)) = self.ended.front().copied()
            && now.since(at) > QUIET
        {
            self.ended.pop_front();
            self.drop_order(no);
        }
        self.kept_until = self.ended.front().map_or(Timestamp::NEVER, |(at, _)| *at + QUIET);
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
        if self.open.get(no).is_none() {
            self.first_placed(entry);
        }
        let Some(order) = self.open.get_mut(no) else { return };
        if !order.acked {
            order.attempts.push((entry.msg.id, entry.at));
            let (due, begins) = (order.due, !std::mem::replace(&mut order.trying, true));
            self.tally(due, |tally| tally.trying += u64::from(begins));
        }
    }

    /// An order is sent for the first time.
    fn first_placed(&mut self, entry: &Entry) {
        let due = entry.due;
        if entry.at > due {
            self.record(due, Stage::SendLag, entry.at.since(due));
        }
        self.tally(due, |tally| {
            tally.placed += 1;
            tally.first_due = Some(tally.first_due.map_or(due, |first| first.min(due)));
            tally.last_due = tally.last_due.max(due);
        });
        self.totals.series.at(due).placed += 1;
        if let Some(course) = &mut self.totals.course {
            course.offered(Timestamp(due.since(self.opens).0));
        }
        let body = entry.msg.body.as_deref();
        let order = OpenOrder {
            due,
            total: body.map_or(crate::model::Money(i64::MAX), |order| order.total()),
            lines: body.map_or(0, |order| order.lines.len().min(u16::MAX.into()) as u16),
            ..OpenOrder::default()
        };
        self.open.insert(entry.msg.order, order);
    }

    /// The first definite answer to an order that was due at `due`, and when the attempt that has it was sent.
    fn first_answered(&mut self, entry: &Entry, due: Timestamp, sent: Option<Timestamp>) {
        let (at, ack) = (entry.at, entry.at.since(due));
        self.tally(due, |tally| {
            tally.acked += 1;
            tally.last_ack = tally.last_ack.max(at);
            tally.latencies.record(Stage::Ack, ack);
            if let Some(sent) = sent {
                tally.latencies.record(Stage::AckService, at.since(sent));
            }
        });
        let bucket = self.totals.series.at(at);
        bucket.ack_max_us = bucket.ack_max_us.max(ack.as_micros());
        if let Some(course) = &mut self.totals.course {
            course.answered(Timestamp(at.since(self.opens).0), ack);
        }
    }

    fn answered(&mut self, entry: &Entry) {
        let outcome = entry.outcome;
        self.tally(entry.at, |tally| {
            tally.requests += 1;
            tally.requests_rejected += u64::from(outcome == Outcome::Rejected);
            let failed = matches!(outcome, Outcome::Backpressure | Outcome::Error | Outcome::Refused | Outcome::TimedOut);
            tally.requests_failed += u64::from(failed);
        });
        if entry.msg.op == Op::PlaceOrder
            && let Some(order) = self.open.get_mut(entry.msg.order)
            && std::mem::take(&mut order.trying)
        {
            let due = order.due;
            self.tally(due, |tally| tally.trying -= 1);
        }
        // taken, with the decision to come as an event, is an answer too (202)
        if !matches!(entry.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected) {
            return;
        }
        let msg = &entry.msg;
        match msg.op {
            // another request under its key is not the order
            Op::PlaceOrder if msg.code == Code::KeyReuse => {}
            Op::PlaceOrder => {
                let Some(order) = self.open.get_mut(msg.order) else { return };
                let due = order.due;
                if !order.acked {
                    order.acked = true;
                    let attempts = std::mem::take(&mut order.attempts);
                    let sent = attempts.iter().find(|(id, _)| *id == msg.id).map(|(_, sent)| *sent);
                    self.first_answered(entry, due, sent);
                }
                if outcome == Outcome::Rejected
                    && let Some(order) = self.open.get_mut(msg.order)
                    && !order.ended
                {
                    order.ended = true;
                    self.turned_down.push_back((entry.at, msg.order));
                    self.tally(due, |tally| tally.rejected += 1);
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
        if let Some(order) = self.open.get_mut(entry.msg.order)
            && !order.shipped
        {
            order.shipped = true;
            let due = order.due;
            self.record(due, Stage::OrderToShip, entry.at.since(due));
            self.totals.series.at(entry.at).shipped += 1;
        }
    }

    /// A fulfillment stands ready or left its node.
    fn left_node(&mut self, entry: &Entry) {
        if let Some(order) = self.open.get_mut(entry.msg.order)
            && let Some(at) = order.at_node.iter().position(|(fid, _)| *fid == entry.msg.fulfillment)
        {
            let (_, since) = order.at_node.remove(at);
            let due = order.due;
            self.record(due, Stage::ReleaseToShip, entry.at.since(since));
        }
    }

    fn once(&mut self, entry: &Entry, stage: Stage, flag: impl FnOnce(&mut OpenOrder) -> &mut bool) {
        if let Some(order) = self.open.get_mut(entry.msg.order) {
            let due = order.due;
            if !std::mem::replace(flag(order), true) {
                self.record(due, stage, entry.at.since(due));
            }
        }
    }

    /// When an order was due that has not ended.
    fn still_open(&self, no: OrderNo) -> Option<Timestamp> {
        self.open.get(no).filter(|order| !order.ended).map(|order| order.due)
    }

    fn needs_a_person(&mut self, no: OrderNo) {
        if let Some(order) = self.open.get_mut(no)
            && !std::mem::replace(&mut order.exception, true)
        {
            let due = order.due;
            self.tally(due, |tally| tally.exceptions += 1);
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
                if let Some(due) = self.still_open(msg.order) {
                    self.record(due, Stage::OrderToComplete, entry.at.since(due));
                    self.tally(due, |tally| tally.completed += 1);
                    self.totals.series.at(entry.at).completed += 1;
                }
                self.end(msg.order, entry.at);
            }
            Op::OrderCancelled => {
                if let Some(order) = self.open.get_mut(msg.order).filter(|order| !order.ended) {
                    order.merchant_cancel = !matches!(msg.code, Code::None | Code::Customer | Code::NoShow);
                    let due = order.due;
                    self.tally(due, |tally| tally.cancelled += 1);
                }
                self.end(msg.order, entry.at);
            }
            Op::OrderRejected => {
                if let Some(due) = self.still_open(msg.order) {
                    self.tally(due, |tally| tally.rejected += 1);
                }
                self.end(msg.order, entry.at);
            }
            Op::ReturnRejected | Op::ReturnCancelled => self.end_return(msg),
            Op::ExceptionRaised => self.needs_a_person(msg.order),
            _ => {}
        }
    }

    fn done(&mut self, entry: &Entry) {
        let msg = &entry.msg;
        match msg.op {
            Op::NodeRelease => {
                self.once(entry, Stage::OrderToRelease, |order| &mut order.released);
                if let Some(order) = self.open.get_mut(msg.order)
                    && !order.at_node.iter().any(|(fid, _)| *fid == msg.fulfillment)
                {
                    order.at_node.push((msg.fulfillment, entry.at));
                }
            }
            Op::NodeCancel | Op::CbNodeRejected => {
                if let Some(order) = self.open.get_mut(msg.order) {
                    order.at_node.retain(|(fid, _)| *fid != msg.fulfillment);
                }
            }
            Op::CbNodeShipped | Op::CbNodeCollected => {
                self.left_node(entry);
                self.shipped(entry);
                if let Some(order) = self.open.get_mut(msg.order)
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
                if let Some(order) = self.open.get_mut(msg.order) {
                    order.captured += msg.amount;
                }
            }
            Op::PaymentRefund => {
                if msg.ret.is_some()
                    && let Some(open) = self.return_of(msg).copied()
                {
                    self.totals.all.latencies.record(Stage::ReturnToRefund, entry.at.since(open.asked));
                    if open.received.is_some_and(|received| entry.at.since(received) > REFUND_PATIENCE) {
                        // most orders have ended by then: what a late refund adds to one that is otherwise quiet
                        let more = (1.0 - weight::BASE) * weight::LATE_REFUND;
                        self.totals.all.tickets += more;
                        self.silent_tickets += more;
                    }
                    self.end_return(msg);
                }
            }
            Op::NotificationSend => {
                self.notices = true;
                if let Some(order) = self.open.get_mut(msg.order) {
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
                self.totals.all.stock_checked += 1;
                self.totals.all.stock_wrong += u64::from(i64::from(msg.qty) != shelf);
            }
            // a target without events still says how its orders ended
            Op::GetOrder if matches!(msg.code, Code::StateCompleted | Code::StateCancelled | Code::StateRejected) => {
                if let Some(due) = self.still_open(msg.order) {
                    self.tally(due, |tally| match msg.code {
                        Code::StateCancelled => tally.cancelled += 1,
                        Code::StateRejected => tally.rejected += 1,
                        _ => tally.completed += 1,
                    });
                }
                self.end(msg.order, entry.at);
            }
            Op::GetOrder if msg.code == Code::StateException => self.needs_a_person(msg.order),
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
        if entry.at > self.kept_until || self.turned_down.len() > TURNED_DOWN_KEPT {
            self.forget(entry.at);
        }
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
            // what came of a fault stands in an entry of its own: that a harmed message was heard, that the target is back
            (Kind::Fault, Op::TargetRestarted | Op::TargetResumed) => {}
            (Kind::Fault, _) if entry.outcome != Outcome::None => {}
            (Kind::Fault, _) => self.totals.series.at(entry.at).faults += 1,
            (Kind::State, _) => self.stated(entry),
            (Kind::Mark, Op::MarkRest) => self.at_rest = true,
            (Kind::Mark, Op::MarkStopped) => self.stopped = true,
            _ => {}
        }
    }
}
