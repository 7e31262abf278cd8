//! What nodes and carriers tell. Callbacks may come twice, late and out of order: a later stage implies the earlier ones, and a
//! stage that was passed is not passed again.

use super::calls::Kind;
use super::sourcing::{Want, Wants};
use super::state::{Oid, Stage, Status, Units};
use super::{Defect, Reference, Timer};
use crate::model::{Code, Fid, Id, LineNo, LineQty, Lines, Message, Node, Op, Outcome, RUN_BEGINS_AT_H, SkuId};
use crate::sim::{Span, Timestamp};

/// The part of a fulfillment id that says whose it is.
pub(super) const FID_MASK: u64 = (1 << 50) - 1;

impl Reference {
    pub(super) fn on_node_callback(&mut self, msg: &Message) -> (Outcome, Code) {
        let (oid, n) = Oid::of(Fid(msg.fulfillment.0 & FID_MASK));
        let Some(f) = self.fulfillment(oid, n) else { return (Outcome::Rejected, Code::UnknownOrder) };
        let (live, stage, pickup) = (f.is_live(), f.stage, f.pickup);
        if self.has(Defect::EarlyShippedDropped) && msg.op == Op::CbNodeShipped && self.calls.contains_key(&oid.key(Kind::Release as u8, n as u32)) {
            return (Outcome::Ok, Code::None);
        }
        let told = match msg.op {
            Op::CbNodeAccepted => Stage::Accepted,
            Op::CbNodePicked => Stage::Picked,
            Op::CbNodePacked => Stage::Packed,
            Op::CbNodeShipped => Stage::Shipped,
            _ => stage,
        };
        let open = || self.orders.get(&oid).is_some_and(|order| order.status == Status::Open);
        if self.has(Defect::StatusDowngrade) && matches!(stage, Stage::Shipped | Stage::Delivered) && told < stage && open() {
            return self.fall_back(oid, n, told);
        }
        if self.has(Defect::LateNewsDowngrades) && stage <= Stage::Delivered {
            let told = match msg.op {
                Op::CbNodeAccepted => Some((Stage::Accepted, Op::FulfillmentAccepted)),
                Op::CbNodePicked => Some((Stage::Picked, Op::FulfillmentPicked)),
                Op::CbNodePacked => Some((Stage::Packed, Op::FulfillmentPacked)),
                _ => None,
            };
            if let Some((_, op)) = told.filter(|(told, _)| *told < stage) {
                self.fulfillment_event(oid, n, op);
                return (Outcome::Ok, Code::None);
            }
        }
        match msg.op {
            Op::CbNodeAccepted if live => self.catch_up(oid, n, Stage::Accepted),
            Op::CbNodePicked if live => self.catch_up(oid, n, Stage::Picked),
            Op::CbNodePacked if live && !pickup => {
                self.catch_up(oid, n, Stage::Packed);
                self.ask_label(oid, n, msg.fulfillment);
            }
            Op::CbNodeReady if live && pickup => self.make_ready(oid, n),
            Op::CbNodeShortPicked if live => self.on_short_picked(oid, n, msg),
            Op::CbNodeRejected if live => self.on_rejected(oid, n, msg.code),
            Op::CbNodeShipped if live => self.on_shipped(oid, n, &msg.lines),
            Op::CbNodeCollected if live => {
                self.make_ready(oid, n);
                self.on_collected(oid, n, &msg.lines);
            }
            Op::CbCarrierInTransit | Op::CbCarrierDelivered if live => {
                // the carrier is ahead of the node: kept until the node says shipped
                if let Some(f) = self.fulfillment_mut(oid, n)
                    && !f.early.contains(&msg.op)
                {
                    f.early.push(msg.op);
                }
            }
            Op::CbCarrierInTransit if stage == Stage::Shipped => {
                let told = self.fulfillment(oid, n).is_some_and(|f| f.early.contains(&Op::CbCarrierInTransit));
                if !told {
                    if let Some(f) = self.fulfillment_mut(oid, n) {
                        f.early.push(Op::CbCarrierInTransit);
                    }
                    self.fulfillment_event(oid, n, Op::ShipmentInTransit);
                }
            }
            Op::CbCarrierDelivered if stage == Stage::Shipped => self.on_delivered(oid, n),
            _ => return (Outcome::Replayed, Code::None),
        }
        (Outcome::Ok, Code::None)
    }

    /// The last message is right, whatever came before it.
    fn fall_back(&mut self, oid: Oid, n: usize, to: Stage) -> (Outcome, Code) {
        if let Some(f) = self.fulfillment_mut(oid, n) {
            f.stage = to;
        }
        let op = match to {
            Stage::Accepted => Op::FulfillmentAccepted,
            Stage::Picked => Op::FulfillmentPicked,
            Stage::Packed => Op::FulfillmentPacked,
            _ => Op::ShipmentShipped,
        };
        self.fulfillment_event(oid, n, op);
        (Outcome::Ok, Code::None)
    }

    /// Brings a fulfillment to a stage through all stages before it, with an event each.
    pub(super) fn catch_up(&mut self, oid: Oid, n: usize, to: Stage) {
        if to > Stage::Released {
            self.forget_release(oid, n);
        }
        loop {
            let Some(f) = self.fulfillment_mut(oid, n) else { return };
            if f.stage >= to || !f.is_live() {
                return;
            }
            let (next, op) = match f.stage {
                Stage::Allocated => (Stage::Released, Op::FulfillmentReleased),
                Stage::Released => (Stage::Accepted, Op::FulfillmentAccepted),
                Stage::Accepted => (Stage::Picked, Op::FulfillmentPicked),
                Stage::Picked => (Stage::Packed, Op::FulfillmentPacked),
                _ => return,
            };
            f.stage = next;
            let event = self.fulfillment_event(oid, n, op);
            if next == Stage::Released && to == Stage::Released {
                self.await_acceptance(oid, n, event);
            }
        }
    }

    /// A node that is at work, or has refused, has the release, whatever became of its answer: no need to ask again.
    fn forget_release(&mut self, oid: Oid, n: usize) {
        if !self.has(Defect::EarlyShippedDropped) {
            self.calls.remove(&oid.key(Kind::Release as u8, n as u32));
        }
    }

    pub(super) fn await_acceptance(&mut self, oid: Oid, n: usize, since: Id) {
        let Some(f) = self.fulfillment(oid, n) else { return };
        let (fid, due) = (f.fid, self.accept_by(f.node));
        if let Some(f) = self.fulfillment_mut(oid, n) {
            f.accept_by = due;
        }
        self.timers.push(due, Timer::AcceptSla(fid, since));
    }

    /// When a node must have accepted: the agreed time, counted in its opening hours.
    fn accept_by(&self, node: crate::model::NodeId) -> Timestamp {
        let sla = Span::from_secs(self.estate.policies.node_accept_sla_s);
        let Some(node) = self.estate.node(node).filter(|_| !self.has(Defect::IgnoresHours)) else { return self.now + sla };
        let start = next_open(node, self.now);
        let due = start + sla;
        let closes = start + until_close(node, start);
        if due > closes { next_open(node, closes) + sla } else { due }
    }

    pub(super) fn on_accept_overdue(&mut self, fid: Fid) {
        let (oid, n) = Oid::of(fid);
        // a release that was confirmed since has more time
        if self.fulfillment(oid, n).is_some_and(|f| f.stage <= Stage::Released && self.now >= f.accept_by) {
            self.stop(oid, n, Code::AcceptTimeout);
        }
    }

    pub(super) fn on_pickup_overdue(&mut self, fid: Fid) {
        let (oid, n) = Oid::of(fid);
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        if f.stage != Stage::Ready || f.stopping.is_some() {
            return;
        }
        f.expired = true;
        self.fulfillment_event(oid, n, Op::FulfillmentExpired);
        self.stop(oid, n, Code::NoShow);
    }

    fn ask_label(&mut self, oid: Oid, n: usize, fid: Fid) {
        let again = self.has(Defect::ReleaseUnderNewId);
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        if (f.label_asked && !again) || f.stage != Stage::Packed {
            return;
        }
        f.label_asked = true;
        let (node, ret, lines) = (f.node, f.ret, super::orders::fulfillment_lines(f));
        self.call(oid, Kind::Label, n as u32 + 256 * (fid.0 >> 50) as u32, |m| {
            m.op = Op::CarrierLabel;
            m.fulfillment = fid;
            m.node = node;
            m.ret = ret;
            m.lines = lines;
        });
    }

    fn make_ready(&mut self, oid: Oid, n: usize) {
        self.catch_up(oid, n, Stage::Picked);
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        if f.stage != Stage::Picked {
            return;
        }
        f.stage = Stage::Ready;
        let fid = f.fid;
        let ready = self.fulfillment_event(oid, n, Op::FulfillmentReady);
        self.notify(oid, n as u32, Code::NoteReady, Id::NONE);
        self.timers.push(self.now + Span::from_secs(self.estate.policies.pickup_hold_s), Timer::PickupHold(fid, ready));
    }

    fn on_shipped(&mut self, oid: Oid, n: usize, left: &Lines) {
        self.catch_up(oid, n, Stage::Packed);
        self.short_by_shipping(oid, n, left);
        if !self.goods_left(oid, n, left, Stage::Shipped, Op::ShipmentShipped) {
            return;
        }
        self.notify(oid, n as u32, Code::NoteShipped, Id::NONE);
        let early = self.fulfillment_mut(oid, n).map(|f| std::mem::take(&mut f.early)).unwrap_or_default();
        if early.contains(&Op::CbCarrierInTransit) {
            if let Some(f) = self.fulfillment_mut(oid, n) {
                f.early.push(Op::CbCarrierInTransit);
            }
            self.fulfillment_event(oid, n, Op::ShipmentInTransit);
        }
        if early.contains(&Op::CbCarrierDelivered) {
            self.on_delivered(oid, n);
        }
        self.advance(oid);
    }

    fn on_collected(&mut self, oid: Oid, n: usize, left: &Lines) {
        self.short_by_shipping(oid, n, left);
        if self.goods_left(oid, n, left, Stage::PickedUp, Op::FulfillmentPickedUp) {
            self.advance(oid);
        }
    }

    /// Goods are out of the house: off the shelf, off the promise, and due to be paid.
    fn goods_left(&mut self, oid: Oid, n: usize, left: &Lines, stage: Stage, op: Op) -> bool {
        let (in_full, early, announced) =
            (self.has(Defect::ShortPickCapturedInFull), self.has(Defect::CaptureAtRelease), self.has(Defect::CapturedBeforeShipped));
        let Some(f) = self.fulfillment_mut(oid, n) else { return false };
        f.stage = stage;
        let (fid, node, ret) = (f.fid, f.node, f.ret);
        let units: Units = left.iter().map(|item| (item.line, item.sku, item.qty.unsigned_abs())).collect();
        f.lines = units.clone();
        self.consume(node, left);
        if let Some(order) = self.orders.get_mut(&oid) {
            for (line, _, qty) in &units {
                if let Some(line) = order.line_mut(*line) {
                    line.in_fulfillment = line.in_fulfillment.saturating_sub(*qty);
                    line.shipped += qty;
                }
            }
        }
        let mut charged = units;
        if in_full && let Some(order) = self.orders.get(&oid) {
            let short = order.fulfillments.get(n).map(|f| f.short_told.clone()).unwrap_or_default();
            for (line, _, qty) in charged.iter_mut().filter(|(line, _, _)| short.contains(line)) {
                *qty = order.lines.iter().find(|l| l.line == *line).map_or(*qty, |l| l.qty);
            }
        }
        if announced {
            self.capture_due(oid, fid, ret, &charged);
        }
        self.fulfillment_event(oid, n, op);
        if !announced && !early {
            self.capture_due(oid, fid, ret, &charged);
        }
        true
    }

    fn on_delivered(&mut self, oid: Oid, n: usize) {
        if let Some(f) = self.fulfillment_mut(oid, n) {
            f.stage = Stage::Delivered;
        }
        self.fulfillment_event(oid, n, Op::ShipmentDelivered);
        self.advance(oid);
    }

    fn on_rejected(&mut self, oid: Oid, n: usize, code: Code) {
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        // being stopped already: the node's refusal is as good as its consent
        let reason = f.stopping.unwrap_or(code);
        let stopping = f.stopping.is_some();
        self.forget_release(oid, n);
        self.catch_up(oid, n, Stage::Released);
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        f.stage = Stage::Rejected;
        self.fulfillment_event(oid, n, Op::FulfillmentRejected);
        self.give_back(oid, n, if stopping { reason } else { code });
    }

    pub(super) fn on_stopped(&mut self, oid: Oid, n: usize, yes: bool) {
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        let reason = f.stopping.unwrap_or(Code::Merchant);
        if !f.is_live() {
            self.advance(oid);
            return;
        }
        if !yes {
            // too late: the parcel goes on, and whoever wanted it stopped will hear
            f.stopping = None;
            if reason == Code::Customer || reason == Code::FraudRejected || reason == Code::Undeliverable || reason == Code::Declined {
                f.stopping = Some(reason);
            }
            return;
        }
        f.stage = Stage::Cancelled;
        self.forget_release(oid, n);
        self.fulfillment_event(oid, n, Op::FulfillmentCancelled);
        self.give_back(oid, n, reason);
    }

    /// The units of a fulfillment that will not leave: taken back, then sourced anew, or cancelled with the order.
    fn give_back(&mut self, oid: Oid, n: usize, code: Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let Some(f) = order.fulfillments.get(n) else { return };
        let (node, ret, units) = (f.node, f.ret, f.lines.clone());
        let cancelling = order.cancelling.is_some() && ret.is_none();
        let ends = cancelling || code == Code::NoShow;
        for (line_no, sku, qty) in &units {
            if let Some(line) = order.line_mut(*line_no) {
                line.in_fulfillment = line.in_fulfillment.saturating_sub(*qty);
                if ends {
                    line.cancelled += qty;
                }
            }
            if !ends && !order.excluded.contains(&(node, *sku)) {
                order.excluded.push((node, *sku));
            }
        }
        self.unreserve(oid, node, &units, ret);
        if !ends {
            self.resource(oid, &units);
        } else if code == Code::NoShow && !cancelling {
            let Some(order) = self.orders.get_mut(&oid) else { return };
            if order.own_lines().all(|line| line.cancelled == line.qty) {
                order.cancelling = Some(Code::NoShow);
            } else {
                for (line, sku, qty) in &units {
                    let (line, sku, qty) = (*line, *sku, *qty);
                    self.event(oid, Op::LineCancelled, |m| {
                        (m.code, m.line, m.sku) = (Code::NoShow, line, sku);
                        m.lines.push(LineQty { line, sku, qty: qty as i32, seq: 0 });
                    });
                }
            }
        }
        self.advance(oid);
        for (_, sku, _) in &units {
            self.serve_backlog(*sku);
        }
    }

    fn on_short_picked(&mut self, oid: Oid, n: usize, msg: &Message) {
        self.catch_up(oid, n, Stage::Accepted);
        let told: Units = msg.lines.iter().map(|item| (item.line, item.sku, item.qty.unsigned_abs())).collect();
        self.units_missing(oid, n, &told, msg.code);
        self.advance(oid);
    }

    /// A node that ships fewer units than it was given has come up short, even if its notice of that is still under way.
    fn short_by_shipping(&mut self, oid: Oid, n: usize, left: &Lines) {
        let Some(f) = self.fulfillment(oid, n) else { return };
        let gone = |line: LineNo| left.iter().filter(|item| item.line == line).map(|item| item.qty.unsigned_abs()).sum::<u32>();
        let missing: Units =
            f.lines.iter().map(|(line, sku, qty)| (*line, *sku, qty.saturating_sub(gone(*line)))).filter(|(_, _, qty)| *qty > 0).collect();
        if !missing.is_empty() {
            self.units_missing(oid, n, &missing, Code::None);
        }
    }

    /// Units that a node will not bring after all: taken out of the fulfillment once, however often it is told, and sourced anew.
    fn units_missing(&mut self, oid: Oid, n: usize, told: &[(LineNo, SkuId, u32)], code: Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let Some(f) = order.fulfillments.get_mut(n) else { return };
        let (fid, node, ret) = (f.fid, f.node, f.ret);
        let mut missing = Units::new();
        for (line, sku, qty) in told {
            // what a node says of a line is what is missing of it in all
            let Some(at) = f.lines.iter().position(|(known, _, _)| known == line) else { continue };
            if f.short_told.contains(line) {
                continue;
            }
            f.short_told.push(*line);
            let gone = f.lines[at].2.min(*qty);
            f.lines[at].2 -= gone;
            missing.push((*line, *sku, gone));
        }
        f.lines.retain(|(_, _, qty)| *qty > 0);
        if missing.is_empty() {
            return;
        }
        let cancelling = order.cancelling.is_some();
        for (line_no, sku, qty) in &missing {
            if let Some(line) = order.line_mut(*line_no) {
                line.in_fulfillment = line.in_fulfillment.saturating_sub(*qty);
                if cancelling {
                    line.cancelled += qty;
                }
            }
            if !order.excluded.contains(&(node, *sku)) {
                order.excluded.push((node, *sku));
            }
        }
        let lines: Lines = missing.iter().map(|(line, sku, qty)| LineQty { line: *line, sku: *sku, qty: *qty as i32, seq: 0 }).collect();
        self.event(oid, Op::FulfillmentShortPicked, |m| {
            (m.fulfillment, m.node, m.ret, m.code) = (fid, node, ret, code);
            m.lines = lines;
        });
        self.unreserve(oid, node, &missing, ret);
        if !cancelling {
            self.resource(oid, &missing);
        }
    }

    /// Finds another node for units that came back; else they wait, or are cancelled where the SKU cannot wait.
    fn resource(&mut self, oid: Oid, units: &[(LineNo, SkuId, u32)]) {
        if self.has(Defect::ShortPickStuck) {
            return;
        }
        let Some(order) = self.orders.get(&oid) else { return };
        let wants: Wants =
            units.iter().filter_map(|(no, _, qty)| order.lines.iter().find(|line| line.line == *no).map(|line| Want::of(line, *qty))).collect();
        let (region, excluded) = (order.order.ship_to, order.excluded.clone());
        let picks = self.source(region, &wants, |node, sku| excluded.contains(&(node, sku)));
        self.commit_picks(oid, &picks);
        for want in wants {
            let got: u32 = picks.iter().filter(|pick| pick.line == want.line).map(|pick| pick.qty).sum();
            if got == want.qty {
                continue;
            }
            let backorderable = self.estate.product(want.sku).is_some_and(|product| product.backorderable);
            if backorderable && want.fulfil == crate::model::Fulfil::Ship {
                self.backorder(oid, want.line, want.sku, want.qty - got);
            } else {
                let class = if self.has(Defect::ExceptionMisfiled) { Code::ExcPayment } else { Code::ExcInventory };
                self.event(oid, Op::ExceptionRaised, |m| m.code = class);
                self.cancel_units(oid, want.line, want.sku, want.qty - got, Code::OutOfStock);
            }
        }
        if let Some(order) = self.orders.get_mut(&oid)
            && order.status == Status::Open
            && order.own_lines().all(|line| line.cancelled == line.qty)
        {
            order.cancelling = Some(Code::OutOfStock);
        }
    }
}

/// The local time of day, from midnight.
fn time_of_day(at: Timestamp) -> Span {
    Span((at.0 + Span::from_hours(RUN_BEGINS_AT_H).0) % Span::from_days(1).0)
}

/// Now if the node is open, else when it opens next.
fn next_open(node: &Node, at: Timestamp) -> Timestamp {
    if node.closes_h.saturating_sub(node.opens_h) >= 24 {
        return at;
    }
    let (tod, opens, closes) = (time_of_day(at), Span::from_hours(node.opens_h.into()), Span::from_hours(node.closes_h.into()));
    if tod < opens {
        at + (opens - tod)
    } else if tod < closes {
        at
    } else {
        at + (Span::from_days(1) - tod) + opens
    }
}

fn until_close(node: &Node, at: Timestamp) -> Span {
    if node.closes_h.saturating_sub(node.opens_h) >= 24 {
        return Span::from_days(36_500);
    }
    Span::from_hours(node.closes_h.into()) - time_of_day(at)
}
