//! Placing, screening, allocating, cancelling and completing an order.

use super::calls::Kind;
use super::sourcing::{Pick, Picks, Want, Wants};
use super::state::{Fulfillment, LineState, Oid, OrderState, Screen, Stage, Status, Units};
use super::{Defect, Reference, Timer};
use crate::model::{Code, Fid, Fulfil, Id, LineNo, LineQty, Lines, Message, Money, NodeId, Op, Order, OrderLine, OrderNo, Outcome, SkuId};
use crate::sim::Span;
use smallvec::SmallVec;
use std::sync::Arc;

/// How long after the look the write comes, where the two are not one.
const LATE_RESERVE: Span = Span::from_secs(2);
/// How long after the decision a node hears of it, where the order is not locked meanwhile.
const LATE_RELEASE: Span = Span::from_secs(5);

pub(super) fn line_state(line: &OrderLine, number: LineNo, ret: Id) -> LineState {
    LineState {
        line: number,
        sku: line.sku,
        qty: line.qty,
        total: line.total(),
        fulfil: line.fulfil,
        pickup_node: line.node,
        ret,
        backordered: 0,
        reserved: SmallVec::new(),
        in_fulfillment: 0,
        shipped: 0,
        cancelled: 0,
        return_asked: 0,
        captured_units: 0,
    }
}

impl Reference {
    pub(super) fn place(&mut self, msg: &Message) -> (Outcome, Code) {
        let Some(body) = msg.body.clone() else { return (Outcome::Rejected, Code::Invalid) };
        let copies = self.copies(msg.order);
        if copies > 0 {
            let forgotten = match self.defect {
                Some(Defect::DedupByMessageId) => self.seen_messages.insert(msg.id, ()).is_none(),
                Some(Defect::DedupEvicted) => self.placed_since(msg.order) >= 8 || self.is_old(msg.order),
                _ => false,
            };
            if !forgotten {
                let Some(first) = self.orders.get(&Oid::new(msg.order, 0)) else { return (Outcome::Error, Code::None) };
                if *first.order != *body || self.has(Defect::ReplyNotIdempotent) {
                    if self.has(Defect::KeyConflictOverwrites) {
                        return self.overwrite(Oid::new(msg.order, 0), &body);
                    }
                    return (Outcome::Rejected, Code::KeyReuse);
                }
                return match first.status {
                    Status::Rejected => (Outcome::Rejected, Code::OutOfStock),
                    _ => (Outcome::Replayed, Code::None),
                };
            }
        }
        if self.has(Defect::DedupByMessageId) {
            self.seen_messages.insert(msg.id, ());
        }
        let known = body.lines.iter().all(|line| {
            let pickup_ok = line.fulfil == Fulfil::Ship || self.estate.node(line.node).is_some();
            self.estate.product(line.sku).is_some() && line.qty > 0 && pickup_ok
        });
        if !known || body.lines.is_empty() {
            return (Outcome::Rejected, Code::UnknownSku);
        }
        if copies > 0
            && let Some(first) = self.orders.get_mut(&Oid::new(msg.order, 0))
        {
            first.copies += 1;
        }
        let oid = Oid::new(msg.order, copies);
        let wants: Wants = body.lines.iter().map(Want::new).collect();
        let picks = self.source_new(body.ship_to, &wants);
        let short_for_good = |want: &Want| {
            let got: u32 = picks.iter().filter(|pick| pick.line == want.line).map(|pick| pick.qty).sum();
            got < want.qty && !self.estate.product(want.sku).is_some_and(|product| product.backorderable && want.fulfil == Fulfil::Ship)
        };
        let rejected = wants.iter().any(short_for_good);
        // nothing becomes of the lines of an order that is turned down
        let lines = if rejected { Vec::new() } else { body.lines.iter().map(|line| line_state(line, line.line, Id::NONE)).collect() };
        let ships = body.lines.iter().any(|line| line.fulfil == Fulfil::Ship);
        let total = body.total();
        let order = OrderState {
            corr: msg.corr,
            copies: 1,
            events: 0,
            cancels: SmallVec::new(),
            accepted_at: self.now,
            status: if rejected { Status::Rejected } else { Status::Open },
            exception: false,
            lines,
            fulfillments: Vec::new(),
            returns: Vec::new(),
            payment: if total > Money::ZERO { Screen::Asked } else { Screen::None },
            fraud: Screen::Asked,
            address: if ships { Screen::Asked } else { Screen::None },
            held_fraud: false,
            held_remorse: self.settings.remorse_hold.is_some(),
            auths: Vec::new(),
            auth_calls: 0,
            auth_pending: false,
            captures: Vec::new(),
            captured: Money::ZERO,
            refunded: Money::ZERO,
            shipping_captured: body.shipping == Money::ZERO,
            void_asked: None,
            cancelling: None,
            cancel_asked: false,
            refunds: 0,
            slots: SmallVec::new(),
            refused_returns: SmallVec::new(),
            excluded: SmallVec::new(),
            order: body,
        };
        self.orders.insert(oid, order);
        if rejected {
            if self.has(Defect::RejectedOrderStillReserves) {
                self.commit_picks(oid, &picks);
            }
            self.event(oid, Op::OrderRejected, |m| m.code = Code::OutOfStock);
            self.notify(oid, 0, Code::NoteRejected, Id::NONE);
            return (Outcome::Rejected, Code::OutOfStock);
        }
        let accepted = self.event(oid, Op::OrderAccepted, |m| m.amount = total);
        self.promise(oid, &wants, &picks, accepted);
        if let Some(hold) = self.settings.remorse_hold {
            let held = self.event(oid, Op::OrderHeld, |m| m.code = Code::HoldRemorse);
            self.timers.push(self.now + hold, Timer::Remorse(oid, held));
        }
        if total > Money::ZERO {
            self.authorize(oid, total);
        }
        self.call(oid, Kind::Screen, 0, |m| m.op = Op::FraudScreen);
        if ships {
            self.call(oid, Kind::Validate, 0, |m| m.op = Op::AddressValidate);
        }
        self.notify(oid, 0, Code::NoteConfirmed, Id::NONE);
        self.advance(oid);
        (Outcome::Ok, Code::None)
    }

    /// A defect's: takes a larger order in place of the first.
    fn overwrite(&mut self, oid: Oid, body: &Arc<Order>) -> (Outcome, Code) {
        let Some(order) = self.orders.get_mut(&oid).filter(|order| order.status == Status::Open) else { return (Outcome::Ok, Code::None) };
        order.order = body.clone();
        let mut wants = Vec::new();
        for line in &body.lines {
            if let Some(known) = order.line_mut(line.line).filter(|known| known.qty < line.qty) {
                wants.push(Want::of(known, line.qty - known.qty));
                (known.qty, known.total) = (line.qty, line.total());
            }
        }
        let picks = self.source_new(body.ship_to, &wants);
        self.promise(oid, &wants, &picks, Id::NONE);
        self.advance(oid);
        (Outcome::Ok, Code::None)
    }

    /// A defect's: reserves once more what open orders have reserved, and forgets that it has it twice.
    pub(super) fn reserve_again(&mut self) {
        let mut open: Vec<Oid> = self.orders.iter().filter(|(_, order)| order.status == Status::Open).map(|(oid, _)| *oid).collect();
        open.sort_unstable();
        for oid in open {
            let lines = self.orders.get(&oid).map_or(&[][..], |order| &order.lines);
            let each = lines.iter().flat_map(|line| line.reserved.iter().map(move |(node, qty)| (line, *node, *qty)));
            let again: Vec<(NodeId, LineQty)> =
                each.map(|(line, node, qty)| (node, LineQty { line: line.line, sku: line.sku, qty: qty as i32, seq: 0 })).collect();
            for (node, item) in again {
                self.stock.reserve(node, item.sku, item.qty as u32);
                self.event(oid, Op::InventoryReserved, |m| {
                    m.node = node;
                    m.lines.push(item);
                });
            }
        }
    }

    fn placed_since(&self, order: OrderNo) -> usize {
        let Some(known) = self.orders.get(&Oid::new(order, 0)) else { return 0 };
        self.orders.values().filter(|other| other.accepted_at > known.accepted_at).count()
    }

    fn is_old(&self, order: OrderNo) -> bool {
        self.orders.get(&Oid::new(order, 0)).is_some_and(|known| self.now.since(known.accepted_at) > Span::from_hours(1))
    }

    /// Sourcing for a new order or exchange: it may not overtake those who already wait for a SKU.
    pub(super) fn source_new(&self, region: crate::model::Region, wants: &[Want]) -> Picks {
        self.source(region, wants, |_, sku| self.backlog.is_waited_for(sku))
    }

    /// Reserves what was picked and puts the rest on the backlog. `taken_on` is the event that began it.
    pub(super) fn promise(&mut self, oid: Oid, wants: &[Want], picks: &[Pick], taken_on: Id) {
        if self.has(Defect::CheckThenReserve) && !picks.is_empty() {
            // the look was taken; the write comes a moment later
            self.timers.push(self.now + LATE_RESERVE, Timer::LateReserve(oid, taken_on));
            self.late_picks.entry(oid).or_default().extend_from_slice(picks);
        } else {
            self.commit_picks(oid, picks);
        }
        for want in wants {
            let got: u32 = picks.iter().filter(|pick| pick.line == want.line).map(|pick| pick.qty).sum();
            if got < want.qty {
                self.backorder(oid, want.line, want.sku, want.qty - got);
            }
        }
    }

    pub(super) fn on_late_reserve(&mut self, oid: Oid) {
        self.reserve_late_picks(oid);
        self.advance(oid);
    }

    /// Reserves what was picked a moment ago, without a second look.
    fn reserve_late_picks(&mut self, oid: Oid) {
        if let Some(picks) = self.late_picks.remove(&oid) {
            self.commit_picks(oid, &picks);
        }
    }

    pub(super) fn backorder(&mut self, oid: Oid, line_no: LineNo, sku: SkuId, qty: u32) {
        let mut ret = Id::NONE;
        if let Some(line) = self.orders.get_mut(&oid).and_then(|order| order.line_mut(line_no)) {
            line.backordered += qty;
            ret = line.ret;
        }
        self.backlog.add(sku, oid, line_no);
        self.event(oid, Op::LineBackordered, |m| {
            m.line = line_no;
            m.sku = sku;
            m.ret = ret;
            m.lines.push(LineQty { line: line_no, sku, qty: qty as i32, seq: 0 });
        });
        self.notify(oid, line_no.0.into(), Code::NoteBackordered, Id::NONE);
    }

    pub(super) fn on_remorse_over(&mut self, oid: Oid) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        order.held_remorse = false;
        if order.status == Status::Open && order.cancelling.is_none() {
            self.event(oid, Op::OrderHoldReleased, |m| m.code = Code::HoldRemorse);
            self.advance(oid);
        }
    }

    /// Does whatever the order is ready for. Called after everything that happens to it; doing it twice does no harm.
    pub(super) fn advance(&mut self, oid: Oid) {
        let Some(order) = self.orders.get(&oid) else { return };
        if order.cancelling.is_some() {
            self.try_finish_cancel(oid);
            return;
        }
        let bad = match (order.payment, order.fraud, order.address) {
            (Screen::Bad, _, _) => Some(Code::Declined),
            (_, Screen::Bad, _) => Some(Code::FraudRejected),
            (_, _, Screen::Bad) => Some(Code::Undeliverable),
            _ => None,
        };
        // what has left cannot be called back: only an order that still holds something is cancelled
        if let Some(code) = bad
            && order.status == Status::Open
            && !order.own_lines().all(LineState::is_settled)
        {
            self.begin_cancel(oid, code);
            return;
        }
        self.allocate(oid);
        self.try_captures(oid);
        self.settle_returns(oid);
        self.try_complete(oid);
    }

    fn is_cleared(order: &OrderState) -> bool {
        let good = |screen: Screen| matches!(screen, Screen::None | Screen::Good);
        good(order.payment) && good(order.fraud) && good(order.address) && !order.held_fraud && !order.held_remorse
    }

    /// Turns promised units into fulfillments, one for each node and way of reaching the shopper, and releases them.
    fn allocate(&mut self, oid: Oid) {
        let Some(order) = self.orders.get(&oid) else { return };
        if !Self::is_cleared(order) || order.lines.iter().all(|line| line.reserved.is_empty()) {
            return;
        }
        let waits = order.order.ship_complete && order.lines.iter().any(|line| line.backordered > 0);
        let reserved_own = order.own_lines().any(|line| !line.reserved.is_empty());
        if reserved_own && !waits && !self.is_paid(oid) {
            return;
        }
        let (over, from_default) = (self.has(Defect::SplitOverAllocates), self.has(Defect::PickupFromDefaultNode));
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let mut made: SmallVec<[usize; 4]> = SmallVec::new();
        for at in 0..order.lines.len() {
            let line = &order.lines[at];
            if line.ret.is_none() && waits {
                continue;
            }
            if line.ret.is_some() {
                let ready = order.returns.iter().any(|ret| ret.ret == line.ret && !ret.cancelled && ret.paid && (ret.advance || ret.inspected));
                if !ready {
                    continue;
                }
            }
            let (number, sku, pickup, ret) = (line.line, line.sku, line.fulfil == Fulfil::Pickup, line.ret);
            let reserved = std::mem::take(&mut order.lines[at].reserved);
            for (node, qty) in reserved {
                let node = if from_default && pickup { NodeId(1) } else { node };
                let line = &order.lines[at];
                // what was allocated beyond the line is not picked; it is never given back either
                let qty = if over { qty.min(line.qty.saturating_sub(line.in_fulfillment + line.shipped + line.cancelled)) } else { qty };
                if qty == 0 {
                    continue;
                }
                order.lines[at].in_fulfillment += qty;
                let same = |f: &usize| {
                    let f = &order.fulfillments[*f];
                    (f.node, f.pickup, f.ret) == (node, pickup, ret)
                };
                match made.iter().copied().find(same) {
                    Some(f) => order.fulfillments[f].lines.push((number, sku, qty)),
                    None => {
                        let n = order.fulfillments.len();
                        order.fulfillments.push(Fulfillment {
                            fid: oid.fulfillment(n),
                            node,
                            pickup,
                            ret,
                            lines: SmallVec::from_slice(&[(number, sku, qty)]),
                            stage: Stage::Allocated,
                            release_sent: false,
                            accept_by: self.now,
                            stopping: None,
                            expired: false,
                            early: SmallVec::new(),
                            label_asked: false,
                            short_told: SmallVec::new(),
                        });
                        made.push(n);
                    }
                }
            }
        }
        for n in made {
            let allocated = self.fulfillment_event(oid, n, Op::FulfillmentAllocated);
            if self.has(Defect::NoPerOrderLock) {
                self.timers.push(self.now + LATE_RELEASE, Timer::LateRelease(oid.fulfillment(n), allocated));
            } else {
                self.release(oid, n, allocated);
            }
        }
    }

    /// The node hears of the fulfillment now, whatever became of the order meanwhile.
    pub(super) fn on_late_release(&mut self, fid: Fid, allocated: Id) {
        let (oid, n) = Oid::of(fid);
        self.release(oid, n, allocated);
    }

    fn release(&mut self, oid: Oid, n: usize, allocated: Id) {
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        f.release_sent = true;
        let (fid, node, ret) = (f.fid, f.node, f.ret);
        // a release that is never confirmed does not wait for ever either
        self.await_acceptance(oid, n, allocated);
        let Some(f) = self.fulfillment(oid, n) else { return };
        let mut lines = fulfillment_lines(f);
        if self.has(Defect::SplitReleasesWholeLine) {
            let whole = |line: LineNo| self.orders.get(&oid).and_then(|order| order.order.line(line)).map(|line| line.qty as i32);
            lines.iter_mut().for_each(|item| item.qty = whole(item.line).unwrap_or(item.qty));
        }
        self.call(oid, Kind::Release, n as u32, |m| {
            m.op = Op::NodeRelease;
            m.fulfillment = fid;
            m.node = node;
            m.ret = ret;
            m.lines = lines;
        });
        if self.has(Defect::CaptureAtRelease)
            && let Some(units) = self.fulfillment(oid, n).map(|f| f.lines.clone())
        {
            self.capture_due(oid, fid, ret, &units);
        }
    }

    pub(super) fn fulfillment(&self, oid: Oid, n: usize) -> Option<&Fulfillment> {
        self.orders.get(&oid)?.fulfillments.get(n)
    }
    pub(super) fn fulfillment_mut(&mut self, oid: Oid, n: usize) -> Option<&mut Fulfillment> {
        self.orders.get_mut(&oid)?.fulfillments.get_mut(n)
    }

    pub(super) fn fulfillment_event(&mut self, oid: Oid, n: usize, op: Op) -> Id {
        let Some(f) = self.fulfillment(oid, n) else { return Id::NONE };
        let (mut fid, node, ret, lines) = (f.fid, f.node, f.ret, fulfillment_lines(f));
        if self.has(Defect::PhantomEvent) && op == Op::ShipmentInTransit && oid.order().0.is_multiple_of(3) {
            fid = Oid::new(OrderNo(oid.order().0 - 1), 0).fulfillment(n);
        }
        self.event(oid, op, |m| {
            m.fulfillment = fid;
            m.node = node;
            m.ret = ret;
            m.lines = lines;
        })
    }

    /// Gives promised units of some lines back: to the backlog first, then to anybody.
    pub(super) fn unreserve(&mut self, oid: Oid, node: NodeId, units: &[(LineNo, SkuId, u32)], ret: Id) {
        if units.is_empty() {
            return;
        }
        let mut lines = Lines::new();
        for (line, sku, qty) in units {
            lines.push(LineQty { line: *line, sku: *sku, qty: *qty as i32, seq: 0 });
        }
        // the node has its hands free again once nothing of the order is left there
        if let Some(order) = self.orders.get_mut(&oid) {
            let promised = order.lines.iter().any(|line| line.reserved.iter().any(|(at, _)| *at == node));
            let at_work = order.fulfillments.iter().any(|f| f.node == node && f.is_live() && !f.lines.is_empty());
            if !promised
                && !at_work
                && let Some(at) = order.slots.iter().position(|(at, _)| *at == node)
            {
                let (node, day) = order.slots.remove(at);
                let used = self.backlog.used_mut(node, day);
                *used = used.saturating_sub(1);
            }
        }
        let kept = self.has(Defect::CancelKeepsReservation) && self.orders.get(&oid).is_some_and(|order| order.cancelling.is_some());
        if kept {
            return;
        }
        for (_, sku, qty) in units {
            self.stock.release(node, *sku, *qty);
        }
        self.event(oid, Op::InventoryReleased, |m| {
            m.node = node;
            m.ret = ret;
            m.lines = lines;
        });
    }

    /// The shopper cancels.
    pub(super) fn cancel(&mut self, msg: &Message) -> (Outcome, Code) {
        let oid = Oid::new(msg.order, 0);
        let Some(order) = self.orders.get_mut(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        if let Some((_, refused)) = order.cancels.iter().find(|(key, _)| *key == msg.key) {
            return if *refused { (Outcome::Rejected, Code::TooLate) } else { (Outcome::Replayed, Code::None) };
        }
        let taken_out = |order: &OrderState| order.own_lines().map(|line| line.cancelled).sum::<u32>();
        let before = taken_out(order);
        let answer = match order.status {
            Status::Cancelled => (Outcome::Replayed, Code::None),
            Status::Completed | Status::Rejected => (Outcome::Rejected, Code::TooLate),
            Status::Open if order.cancelling.is_some() => (Outcome::Replayed, Code::None),
            Status::Open if !msg.lines.is_empty() => self.cancel_lines(oid, msg),
            Status::Open => {
                order.cancel_asked = true;
                self.event(oid, Op::OrderCancelRequested, |m| m.code = Code::Customer);
                self.begin_cancel(oid, Code::Customer);
                // done, being tried, or too late: what is not certain yet is not promised
                match self.orders.get(&oid) {
                    Some(order) if order.status == Status::Cancelled => (Outcome::Ok, Code::None),
                    Some(order) if order.cancelling.is_some() || taken_out(order) > before => (Outcome::Pending, Code::None),
                    _ => (Outcome::Rejected, Code::TooLate),
                }
            }
        };
        let answer = match answer {
            (Outcome::Pending | Outcome::Rejected, _) if self.has(Defect::LateCancelAnsweredDone) => (Outcome::Ok, Code::None),
            (Outcome::Pending | Outcome::Ok, _) if self.has(Defect::RefusedCancelHappens) => (Outcome::Rejected, Code::Invalid),
            answer => answer,
        };
        if let Some(order) = self.orders.get_mut(&oid) {
            order.cancels.push((msg.key, answer.0 == Outcome::Rejected));
        }
        answer
    }

    /// Some units: only what is not at a node yet can be taken out of an order.
    fn cancel_lines(&mut self, oid: Oid, msg: &Message) -> (Outcome, Code) {
        let Some(order) = self.orders.get(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        let wanted: Vec<(LineNo, SkuId, u32)> = msg.lines.iter().map(|item| (item.line, item.sku, item.qty.unsigned_abs())).collect();
        // the same request again, under whatever key: it is done already
        if wanted.iter().all(|(line, _, qty)| order.lines.iter().any(|l| l.line == *line && l.cancelled >= *qty)) {
            return (Outcome::Replayed, Code::None);
        }
        let can = wanted.iter().all(|(line, _, qty)| {
            order.lines.iter().find(|l| l.line == *line && l.ret.is_none()).is_some_and(|l| l.reserved_units() + l.backordered >= *qty)
        });
        self.event(oid, Op::OrderCancelRequested, |m| m.code = Code::Customer);
        if !can {
            self.event(oid, Op::OrderCancelRejected, |m| m.code = Code::TooLate);
            return (Outcome::Rejected, Code::TooLate);
        }
        for (line_no, sku, qty) in wanted {
            self.cancel_units(oid, line_no, sku, qty, Code::Customer);
        }
        self.advance(oid);
        (Outcome::Ok, Code::None)
    }

    /// Takes units that are not in a fulfillment out of the order: those that wait first, then those promised.
    pub(super) fn cancel_units(&mut self, oid: Oid, line_no: LineNo, sku: SkuId, qty: u32, code: Code) {
        let Some(line) = self.orders.get_mut(&oid).and_then(|order| order.line_mut(line_no)) else { return };
        let ret = line.ret;
        let waiting = line.backordered.min(qty);
        line.backordered -= waiting;
        line.cancelled += qty;
        let emptied = line.backordered == 0;
        let mut left = qty - waiting;
        let mut freed: Vec<(NodeId, u32)> = Vec::new();
        for (node, reserved) in line.reserved.iter_mut() {
            let take = (*reserved).min(left);
            *reserved -= take;
            left -= take;
            if take > 0 {
                freed.push((*node, take));
            }
        }
        line.reserved.retain(|(_, reserved)| *reserved > 0);
        if emptied {
            self.backlog.remove(sku, oid, line_no);
        }
        for (node, units) in freed {
            self.unreserve(oid, node, &[(line_no, sku, units)], ret);
        }
        self.event(oid, Op::LineCancelled, |m| {
            m.code = code;
            m.line = line_no;
            m.sku = sku;
            m.ret = ret;
            m.lines.push(LineQty { line: line_no, sku, qty: qty as i32, seq: 0 });
        });
        self.serve_backlog(sku);
    }

    /// Starts to cancel everything that has not left: stops nodes, gives promises back, then waits for the nodes' word.
    pub(super) fn begin_cancel(&mut self, oid: Oid, code: Code) {
        // a write that is under way is not called back
        self.reserve_late_picks(oid);
        let forgets = self.has(Defect::CancelForgetsBackorder);
        let Some(order) = self.orders.get_mut(&oid) else { return };
        order.cancelling = Some(code);
        let mut freed: Vec<(NodeId, Id, Units)> = Vec::new();
        let mut waiting: Vec<(SkuId, LineNo)> = Vec::new();
        for line in order.lines.iter_mut().filter(|line| line.ret.is_none()) {
            // whatever is not at a node yet: waiting, promised, or about to be promised
            line.cancelled = line.qty - line.shipped - line.in_fulfillment;
            if line.backordered > 0 && !forgets {
                waiting.push((line.sku, line.line));
                line.backordered = 0;
            }
            for (node, qty) in std::mem::take(&mut line.reserved) {
                match freed.iter_mut().find(|(n, _, _)| *n == node) {
                    Some((_, _, units)) => units.push((line.line, line.sku, qty)),
                    None => freed.push((node, line.ret, Units::from_slice(&[(line.line, line.sku, qty)]))),
                }
            }
        }
        let live: Vec<usize> = (0..order.fulfillments.len()).filter(|n| order.fulfillments[*n].is_live()).collect();
        for (sku, line) in waiting {
            self.backlog.remove(sku, oid, line);
        }
        let mut skus: Vec<SkuId> = freed.iter().flat_map(|(_, _, units)| units.iter().map(|(_, sku, _)| *sku)).collect();
        for (node, ret, units) in freed {
            self.unreserve(oid, node, &units, ret);
        }
        for n in live {
            if self.has(Defect::NoPerOrderLock) && self.fulfillment(oid, n).is_some_and(|f| !f.release_sent) {
                // no node has it, as far as this transaction can see
                self.on_stopped(oid, n, true);
            } else {
                self.stop(oid, n, code);
            }
        }
        self.try_finish_cancel(oid);
        skus.sort_unstable();
        skus.dedup();
        for sku in skus {
            self.serve_backlog(sku);
        }
    }

    /// Asks a node to stop, once.
    pub(super) fn stop(&mut self, oid: Oid, n: usize, code: Code) {
        let Some(f) = self.fulfillment_mut(oid, n) else { return };
        if f.stopping.is_some() || !f.is_live() {
            return;
        }
        f.stopping = Some(code);
        let (fid, node, ret) = (f.fid, f.node, f.ret);
        self.call(oid, Kind::Stop, n as u32, |m| {
            m.op = Op::NodeCancel;
            m.fulfillment = fid;
            m.node = node;
            m.ret = ret;
            m.code = code;
        });
    }

    /// Every node has answered and no payment is in flight: the cancellation has an outcome.
    pub(super) fn try_finish_cancel(&mut self, oid: Oid) {
        let Some(order) = self.orders.get(&oid) else { return };
        let Some(code) = order.cancelling else { return };
        if order.status != Status::Open || order.auth_pending {
            return;
        }
        // with the defect it does not care what the nodes have said
        let careless = self.has(Defect::CancelAlthoughShipped);
        if order.fulfillments.iter().any(|f| f.is_live() && f.ret.is_none()) {
            return;
        }
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let all = order.own_lines().all(|line| line.cancelled == line.qty);
        if all || careless {
            if self.has(Defect::RefundOnCancel) {
                self.refund_authorized(oid);
            }
            if self.void_open(oid) {
                return;
            }
            if let Some(order) = self.orders.get_mut(&oid) {
                order.status = Status::Cancelled;
            }
            self.event(oid, Op::OrderCancelled, |m| m.code = code);
            self.notify(oid, 0, Code::NoteCancelled, Id::NONE);
            return;
        }
        // something left after all: the order goes on with that
        order.cancelling = None;
        let asked = std::mem::take(&mut order.cancel_asked);
        let cancelled: Vec<(LineNo, SkuId, u32)> =
            order.own_lines().filter(|line| line.cancelled > 0).map(|line| (line.line, line.sku, line.cancelled)).collect();
        for (line, sku, qty) in cancelled {
            self.event(oid, Op::LineCancelled, |m| {
                m.code = code;
                m.line = line;
                m.sku = sku;
                m.lines.push(LineQty { line, sku, qty: qty as i32, seq: 0 });
            });
        }
        if asked {
            self.event(oid, Op::OrderCancelRejected, |m| m.code = Code::TooLate);
        }
        self.advance(oid);
    }

    /// All units have arrived or are cancelled, and all money is settled.
    fn try_complete(&mut self, oid: Oid) {
        let Some(order) = self.orders.get(&oid) else { return };
        if order.status != Status::Open || order.auth_pending || !order.own_lines().all(LineState::is_settled) {
            return;
        }
        if order.captures.iter().any(|due| !due.done) || order.exception {
            return;
        }
        // nothing more will be charged: what is left of the authorization is given back at once, not when the parcel arrives
        if self.void_open(oid) {
            return;
        }
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let own = |f: &&Fulfillment| f.ret.is_none();
        if !order.fulfillments.iter().filter(own).all(|f| !f.is_live() && f.stage != Stage::Shipped) {
            return;
        }
        let all_cancelled = order.own_lines().all(|line| line.cancelled == line.qty);
        if all_cancelled {
            order.status = Status::Cancelled;
            self.event(oid, Op::OrderCancelled, |m| m.code = Code::Merchant);
            self.notify(oid, 0, Code::NoteCancelled, Id::NONE);
        } else {
            order.status = Status::Completed;
            self.event(oid, Op::OrderCompleted, |_| {});
        }
        self.settle_returns(oid);
    }
}

pub(super) fn fulfillment_lines(f: &Fulfillment) -> Lines {
    f.lines.iter().map(|(line, sku, qty)| LineQty { line: *line, sku: *sku, qty: *qty as i32, seq: 0 }).collect()
}
