//! Warehouses, stores and the carrier: what happens to a released fulfillment, by the clock and by what is on the shelf.

use super::{Actions, Later, World};
use crate::model::{Code, Fid, Id, LineQty, Lines, Message, Node, NodeId, NodeKind, Op, OrderNo, Outcome, RUN_BEGINS_AT_H};
use crate::scenario::{PartnerAnswer, PartnerPoint, PartnerReason};
use crate::sim::{Law, Purpose, Span, Timestamp};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

const WORK_TIME: Purpose = Purpose(310);
const ON_THE_DOCK: Purpose = Purpose(311);

/// A step of a node's or carrier's work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Work {
    Accept,
    Pick,
    Pack,
    HandOver,
    Collect,
    Transit,
    Deliver,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    /// told to stop before it was told to start
    NeverStarted,
    Released,
    Accepted,
    Picked,
    Packed,
    Ready,
    Gone,
    Ended,
}

struct Job {
    order: OrderNo,
    node: NodeId,
    ret: Id,
    pickup: bool,
    lines: Lines,
    stage: Stage,
    labelled: bool,
    /// it said once that it is too late to stop, and stands by it
    refused: bool,
}

#[derive(Default)]
pub struct Floor {
    jobs: FxHashMap<Fid, Job>,
    /// per order: its fulfillments that left, in order
    shipped: FxHashMap<OrderNo, SmallVec<[Fid; 2]>>,
}

impl Floor {
    /// The node that a line of an order left from.
    pub fn left_from(&self, order: OrderNo, line: crate::model::LineNo) -> NodeId {
        let gone = self.shipped.get(&order).into_iter().flatten().filter_map(|fid| self.jobs.get(fid));
        gone.into_iter().find(|job| job.lines.iter().any(|item| item.line == line)).map_or(NodeId(1), |job| job.node)
    }
}

impl World {
    fn work_time(&self, law: Law, fid: Fid, work: Work) -> Span {
        law.sample(&mut self.seed.draw(WORK_TIME, fid.0, work as u32))
    }

    /// A store works in its opening hours: when something that takes `takes` from now is done.
    fn done_after(&self, node: NodeId, takes: Span) -> Span {
        let Some(node) = self.estate.node(node) else { return takes };
        let start = next_open(node, self.now);
        let closes = start + until_close(node, start);
        let done = if start + takes > closes { next_open(node, closes) + takes } else { start + takes };
        done.since(self.now)
    }

    fn is_store(&self, node: NodeId) -> bool {
        self.estate.node(node).is_some_and(|node| node.kind == NodeKind::Store)
    }

    /// The node's own dedup is by fulfillment id, as real warehouses do it.
    pub(super) fn node_release(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        match self.nodes.jobs.get(&call.fulfillment).map(|job| job.stage) {
            Some(Stage::NeverStarted) => {
                answer.code = Code::TooLate;
                return Outcome::Rejected;
            }
            Some(_) => return Outcome::Replayed,
            None => {}
        }
        let order = self.shopper.order(call.order);
        let pickup = call.lines.first().and_then(|item| order.as_ref().and_then(|order| order.line(item.line).map(|line| line.fulfil)));
        let pickup = pickup == Some(crate::model::Fulfil::Pickup);
        let job = Job {
            order: call.order,
            node: call.node,
            ret: call.ret,
            pickup,
            lines: call.lines.clone(),
            stage: Stage::Released,
            labelled: false,
            refused: false,
        };
        self.nodes.jobs.insert(call.fulfillment, job);
        let fact = self.fact(Op::NodeRelease, call.order, |m| {
            (m.fulfillment, m.node, m.ret, m.lines, m.key) = (call.fulfillment, call.node, call.ret, call.lines.clone(), call.key);
        });
        out.facts.push(fact);
        let behaviour = self.behaviour(call.order, PartnerPoint::Accept, call.node);
        if behaviour.is_some_and(|b| b.answer == PartnerAnswer::Never) {
            return Outcome::Ok;
        }
        let law = if self.is_store(call.node) {
            // domain 6.2: a store accepts within 20 minutes in the median; helpful ones within 90 minutes always
            Law::LogNormal { p50: Span::from_mins(20), p95: Span::from_mins(60) }
        } else {
            Law::LogNormal { p50: Span::from_secs(40), p95: Span::from_mins(3) }
        };
        let takes = self.work_time(law, call.fulfillment, Work::Accept).min(Span::from_mins(90));
        let wait = behaviour.and_then(|b| b.after).unwrap_or_else(|| self.done_after(call.node, takes));
        out.later.push((wait, Later::Node(Work::Accept, call.fulfillment)));
        Outcome::Ok
    }

    pub(super) fn node_cancel(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        let fid = call.fulfillment;
        let Some(stage) = self.nodes.jobs.get(&fid).map(|job| job.stage) else {
            // not here yet: if it comes, it will not be started
            let job = Job {
                order: call.order,
                node: call.node,
                ret: call.ret,
                pickup: false,
                lines: Lines::new(),
                stage: Stage::NeverStarted,
                labelled: false,
                refused: false,
            };
            self.nodes.jobs.insert(fid, job);
            return Outcome::Ok;
        };
        match stage {
            Stage::NeverStarted => return Outcome::Replayed,
            Stage::Ended => return Outcome::Replayed,
            Stage::Gone => {
                answer.code = Code::TooLate;
                return Outcome::Rejected;
            }
            Stage::Released | Stage::Accepted | Stage::Picked | Stage::Packed | Stage::Ready => {}
        }
        let answered = self.nodes.jobs.get(&fid).is_some_and(|job| job.refused);
        let refuses = answered || self.behaviour(call.order, PartnerPoint::NodeCancel, call.node).is_some_and(|b| b.answer == PartnerAnswer::TooLate);
        // a labelled parcel waits on the dock: half of them can still be found there (assumed)
        let labelled = stage == Stage::Packed && self.nodes.jobs.get(&fid).is_some_and(|job| job.labelled);
        if refuses || (labelled && self.seed.draw(ON_THE_DOCK, fid.0, 0).chance(0.5)) {
            if let Some(job) = self.nodes.jobs.get_mut(&fid) {
                job.refused = true;
            }
            answer.code = Code::TooLate;
            return Outcome::Rejected;
        }
        let Some(job) = self.nodes.jobs.get_mut(&fid) else { return Outcome::Error };
        job.stage = Stage::Ended;
        let (node, lines) = (job.node, job.lines.clone());
        if stage >= Stage::Picked {
            for item in &lines {
                self.stock.put_back(node, item.sku, item.qty.unsigned_abs());
            }
        }
        let fact = self.fact(Op::NodeCancel, call.order, |m| (m.fulfillment, m.node, m.ret, m.lines, m.key) = (fid, node, call.ret, lines, call.key));
        out.facts.push(fact);
        Outcome::Ok
    }

    pub(super) fn label(&mut self, call: &Message, out: &mut Actions) -> Outcome {
        let fid = call.fulfillment;
        let Some(job) = self.nodes.jobs.get_mut(&fid) else { return Outcome::Rejected };
        if job.labelled {
            return Outcome::Replayed;
        }
        job.labelled = true;
        let (node, packed) = (job.node, job.stage == Stage::Packed);
        let fact = self.fact(Op::CarrierLabel, call.order, |m| (m.fulfillment, m.node, m.key, m.ret) = (fid, node, call.key, call.ret));
        out.facts.push(fact);
        if packed {
            let takes = self.work_time(Law::LogNormal { p50: Span::from_mins(90), p95: Span::from_hours(6) }, fid, Work::HandOver);
            out.later.push((takes, Later::Node(Work::HandOver, fid)));
        }
        Outcome::Ok
    }

    /// A step of work is done. What was cancelled meanwhile does nothing.
    pub(super) fn node_work(&mut self, work: Work, fid: Fid, out: &mut Actions) {
        let Some(stage) = self.nodes.jobs.get(&fid).map(|job| job.stage) else { return };
        match (work, stage) {
            (Work::Accept, Stage::Released) => self.accept(fid, out),
            (Work::Pick, Stage::Accepted) => self.pick(fid, out),
            (Work::Pack, Stage::Picked) => self.pack(fid, out),
            (Work::HandOver, Stage::Packed) => self.hand_over(fid, out),
            (Work::Collect, Stage::Ready) => self.collect(fid, out),
            (Work::Transit | Work::Deliver, Stage::Gone) => self.carry(work, fid, out),
            _ => {}
        }
    }

    fn tell(&mut self, fid: Fid, op: Op, code: Code, lines: Option<Lines>, out: &mut Actions) {
        let Some(job) = self.nodes.jobs.get(&fid) else { return };
        let (order, node, ret) = (job.order, job.node, job.ret);
        let lines = lines.unwrap_or_else(|| job.lines.clone());
        let send = self.callback(op, order, |m| (m.fulfillment, m.node, m.ret, m.code, m.lines) = (fid, node, ret, code, lines));
        out.sends.push(send);
    }

    fn job_fact(&mut self, fid: Fid, op: Op, code: Code, lines: Option<Lines>, out: &mut Actions) {
        let Some(job) = self.nodes.jobs.get(&fid) else { return };
        let (order, node, ret) = (job.order, job.node, job.ret);
        let lines = lines.unwrap_or_else(|| job.lines.clone());
        let fact = self.fact(op, order, |m| (m.fulfillment, m.node, m.ret, m.code, m.lines) = (fid, node, ret, code, lines));
        out.facts.push(fact);
    }

    fn accept(&mut self, fid: Fid, out: &mut Actions) {
        let Some(job) = self.nodes.jobs.get(&fid) else { return };
        let (order, node, lines) = (job.order, job.node, job.lines.clone());
        let forced = self.kind(order).partner.iter().find(|b| {
            b.at == PartnerPoint::Accept
                && b.answer == PartnerAnswer::Reject
                && (b.node.is_none() || b.node == node)
                && b.nth.is_none_or(|n| n == self.met(order))
        });
        let forced = forced.map(|b| b.reason.unwrap_or(PartnerReason::NoVariance));
        let empty = self.is_store(node) && lines.iter().any(|item| self.stock.free(node, item.sku) < item.qty.unsigned_abs());
        if forced.is_none() && !empty {
            let Some(job) = self.nodes.jobs.get_mut(&fid) else { return };
            job.stage = Stage::Accepted;
            self.tell(fid, Op::CbNodeAccepted, Code::None, None, out);
            let law = if self.is_store(node) {
                Law::LogNormal { p50: Span::from_mins(8), p95: Span::from_mins(25) }
            } else {
                Law::LogNormal { p50: Span::from_mins(150), p95: Span::from_hours(9) }
            };
            let takes = self.work_time(law, fid, Work::Pick);
            let cap = if self.is_store(node) { Span::from_mins(30) } else { Span::from_hours(24) };
            let wait = self.done_after(node, takes.min(cap));
            out.later.push((wait, Later::Node(Work::Pick, fid)));
            return;
        }
        let reason = forced.map_or(Code::NotInStock, reason_code);
        for item in &lines {
            self.correct(node, item, reason, out);
        }
        if let Some(job) = self.nodes.jobs.get_mut(&fid) {
            job.stage = Stage::Ended;
        }
        self.job_fact(fid, Op::CbNodeRejected, reason, None, out);
        self.tell(fid, Op::CbNodeRejected, reason, None, out);
    }

    fn met(&self, order: OrderNo) -> u32 {
        self.met.get(&(order, PartnerPoint::Accept as u8)).copied().unwrap_or(0)
    }

    /// What a node's reason does to its stock (the reason codes of HotWax).
    fn correct(&mut self, node: NodeId, item: &LineQty, reason: Code, out: &mut Actions) {
        match reason {
            Code::NotInStock => {
                let free = self.stock.free(node, item.sku);
                self.stock.lose(node, item.sku, free);
                self.recount(node, item.sku, out);
            }
            Code::Mismatch | Code::DamagedGoods => {
                let gone = item.qty.unsigned_abs().min(self.stock.free(node, item.sku));
                self.stock.lose(node, item.sku, gone);
                self.recount(node, item.sku, out);
            }
            _ => {}
        }
    }

    fn pick(&mut self, fid: Fid, out: &mut Actions) {
        let Some(job) = self.nodes.jobs.get(&fid) else { return };
        let (order, node, pickup, lines) = (job.order, job.node, job.pickup, job.lines.clone());
        let behaviour = self.behaviour(order, PartnerPoint::Pick, node).filter(|b| b.answer == PartnerAnswer::Short);
        let mut missing = Lines::new();
        let mut found = Lines::new();
        for item in &lines {
            let want = item.qty.unsigned_abs();
            let short = behaviour.map_or(0, |b| b.qty.unwrap_or(want).min(want));
            if short > 0 {
                let gone = short.min(self.stock.free(node, item.sku));
                self.stock.lose(node, item.sku, gone);
            }
            let have = self.stock.free(node, item.sku).min(want - short);
            if have > 0 {
                self.stock.set_aside(node, item.sku, have);
                found.push(LineQty { qty: have as i32, ..*item });
            }
            if have < want {
                missing.push(LineQty { qty: (want - have) as i32, ..*item });
            }
        }
        if let Some(job) = self.nodes.jobs.get_mut(&fid) {
            job.lines = found.clone();
            job.stage = if found.is_empty() { Stage::Ended } else { Stage::Picked };
        }
        let reason = behaviour.and_then(|b| b.reason).map_or(Code::NotInStock, reason_code);
        for item in &missing {
            self.recount(node, item.sku, out);
        }
        if found.is_empty() {
            self.job_fact(fid, Op::CbNodeRejected, reason, Some(missing.clone()), out);
            self.tell(fid, Op::CbNodeRejected, reason, Some(missing), out);
            return;
        }
        if !missing.is_empty() {
            self.job_fact(fid, Op::CbNodeShortPicked, reason, Some(missing.clone()), out);
            self.tell(fid, Op::CbNodeShortPicked, reason, Some(missing), out);
        }
        self.tell(fid, Op::CbNodePicked, Code::None, None, out);
        let takes = self.work_time(Law::LogNormal { p50: Span::from_mins(10), p95: Span::from_mins(40) }, fid, Work::Pack);
        let wait = self.done_after(node, takes.min(Span::from_hours(2)));
        if !pickup {
            out.later.push((wait, Later::Node(Work::Pack, fid)));
            return;
        }
        // a pickup is not packed: it is staged at once
        if let Some(job) = self.nodes.jobs.get_mut(&fid) {
            job.stage = Stage::Ready;
        }
        self.tell(fid, Op::CbNodeReady, Code::None, None, out);
        let behaviour = self.behaviour(order, PartnerPoint::Collect, node);
        if behaviour.is_some_and(|b| b.answer == PartnerAnswer::Never) {
            return;
        }
        let comes = self.work_time(Law::LogNormal { p50: Span::from_hours(20), p95: Span::from_days(3) }, fid, Work::Collect).min(Span::from_days(5));
        out.later.push((behaviour.and_then(|b| b.after).unwrap_or(comes), Later::Node(Work::Collect, fid)));
    }

    fn pack(&mut self, fid: Fid, out: &mut Actions) {
        let Some(job) = self.nodes.jobs.get_mut(&fid) else { return };
        job.stage = Stage::Packed;
        let labelled = job.labelled;
        self.tell(fid, Op::CbNodePacked, Code::None, None, out);
        if labelled {
            out.later.push((Span::from_mins(30), Later::Node(Work::HandOver, fid)));
        }
    }

    fn leave(&mut self, fid: Fid, fact: Op, stock: Op, callback: Op, out: &mut Actions) {
        let Some(job) = self.nodes.jobs.get_mut(&fid) else { return };
        job.stage = Stage::Gone;
        let (order, node, ret, lines) = (job.order, job.node, job.ret, job.lines.clone());
        self.nodes.shipped.entry(order).or_default().push(fid);
        self.job_fact(fid, fact, Code::None, None, out);
        let mut moved = Lines::new();
        for item in &lines {
            self.stock.put_back(node, item.sku, item.qty.unsigned_abs());
            let seq = self.movement(stock, node, item.sku, -i64::from(item.qty), (order, fid, ret), out);
            moved.push(LineQty { seq, ..*item });
        }
        self.tell(fid, callback, Code::None, Some(moved), out);
    }

    fn hand_over(&mut self, fid: Fid, out: &mut Actions) {
        self.leave(fid, Op::CbNodeShipped, Op::StockShipped, Op::CbNodeShipped, out);
        let transit = self.work_time(Law::LogNormal { p50: Span::from_hours(6), p95: Span::from_hours(16) }, fid, Work::Transit);
        // domain 6.2: three days in the median (assumed)
        let arrives = self.work_time(Law::LogNormal { p50: Span::from_days(3), p95: Span::from_days(6) }, fid, Work::Deliver);
        out.later.push((transit.min(Span::from_days(1)), Later::Node(Work::Transit, fid)));
        out.later.push((arrives.max(Span::from_days(1)).min(Span::from_days(12)), Later::Node(Work::Deliver, fid)));
    }

    fn collect(&mut self, fid: Fid, out: &mut Actions) {
        self.leave(fid, Op::CbNodeCollected, Op::StockCollected, Op::CbNodeCollected, out);
    }

    fn carry(&mut self, work: Work, fid: Fid, out: &mut Actions) {
        if work == Work::Transit {
            self.tell(fid, Op::CbCarrierInTransit, Code::None, None, out);
        } else {
            self.job_fact(fid, Op::CbCarrierDelivered, Code::None, None, out);
            self.tell(fid, Op::CbCarrierDelivered, Code::None, None, out);
        }
    }
}

fn reason_code(reason: PartnerReason) -> Code {
    match reason {
        PartnerReason::NotInStock => Code::NotInStock,
        PartnerReason::Mismatch => Code::Mismatch,
        PartnerReason::Damaged => Code::DamagedGoods,
        PartnerReason::NoVariance => Code::NoVariance,
        PartnerReason::Closed => Code::Closed,
    }
}

// The orchestrator reckons opening hours for itself: what it gets wrong must not be wrong here too.
fn time_of_day(at: Timestamp) -> Span {
    Span((at.0 + Span::from_hours(RUN_BEGINS_AT_H).0) % Span::from_days(1).0)
}

/// Now if the node is open, else when it opens next.
fn next_open(node: &Node, at: Timestamp) -> Timestamp {
    if node.closes_h.saturating_sub(node.opens_h) >= 24 {
        return at;
    }
    let (time, opens, closes) = (time_of_day(at), Span::from_hours(node.opens_h.into()), Span::from_hours(node.closes_h.into()));
    if time >= opens && time < closes {
        return at;
    }
    let day = if time < opens { Span::ZERO } else { Span::from_days(1) };
    at + (day + opens - time)
}

fn until_close(node: &Node, at: Timestamp) -> Span {
    if node.closes_h.saturating_sub(node.opens_h) >= 24 { Span::from_days(36_500) } else { Span::from_hours(node.closes_h.into()) - time_of_day(at) }
}
