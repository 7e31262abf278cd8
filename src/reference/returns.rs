//! Returns and exchanges: one linked workflow. An exchange is a return whose refund pays for new lines of the same order.

use super::sourcing::{Want, Wants};
use super::state::{LineState, Oid, ReturnState, Status, Units, cumulative};
use super::{Defect, Reference};
use crate::model::{Code, Id, LineNo, LineQty, Lines, Message, Money, Op, Outcome, SkuId};
use crate::sim::Span;

/// How long a defect remembers which callbacks were dealt with.
const CALLBACK_MEMORY: Span = Span::from_days(14);

impl Reference {
    /// The lines of a return request, if all of it may come back.
    fn returnable(&self, oid: Oid, msg: &Message) -> Option<Units> {
        let order = self.orders.get(&oid)?;
        let mut units = Units::new();
        for item in &msg.lines {
            let line = order.lines.iter().find(|line| line.line == item.line)?;
            let qty = item.qty.unsigned_abs();
            if qty == 0 || line.shipped < line.return_asked + qty {
                return None;
            }
            units.push((line.line, line.sku, qty));
        }
        (!units.is_empty()).then_some(units)
    }

    /// The answer to a request that was dealt with before.
    fn known_return(&self, oid: Oid, ret: Id) -> Option<(Outcome, Code)> {
        let order = self.orders.get(&oid)?;
        if order.returns.iter().any(|known| known.ret == ret) {
            return Some((Outcome::Replayed, Code::None));
        }
        order.refused_returns.iter().find(|(refused, _)| *refused == ret).map(|(_, code)| (Outcome::Rejected, *code))
    }

    fn refuse_return(&mut self, oid: Oid, msg: &Message, code: Code) -> (Outcome, Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        order.refused_returns.push((msg.ret, code));
        self.event(oid, Op::ReturnRejected, |m| (m.ret, m.code, m.lines) = (msg.ret, code, msg.lines.clone()));
        (Outcome::Rejected, code)
    }

    fn open_return(&mut self, oid: Oid, msg: &Message, units: Units, exchange: bool) {
        let value = units.iter().map(|(line, _, qty)| self.return_value(oid, *line, *qty)).sum();
        let Some(order) = self.orders.get_mut(&oid) else { return };
        for (line_no, _, qty) in &units {
            if let Some(line) = order.line_mut(*line_no) {
                line.return_asked += qty;
            }
        }
        order.returns.push(ReturnState {
            ret: msg.ret,
            lines: units,
            keep: msg.code == Code::Keep,
            exchange,
            advance: msg.code == Code::Advance,
            difference: Money::ZERO,
            received: false,
            inspected: false,
            node: msg.node,
            value,
            refund: None,
            refund_asked: Money::ZERO,
            refund_done: Money::ZERO,
            completed: false,
            inspected_at: self.now,
            cancelled: false,
            paid: true,
            auth_n: None,
        });
    }

    pub(super) fn request_return(&mut self, msg: &Message) -> (Outcome, Code) {
        let oid = Oid::new(msg.order, 0);
        if let Some(answer) = self.known_return(oid, msg.ret) {
            return answer;
        }
        let Some(units) = self.returnable(oid, msg) else { return self.refuse_return(oid, msg, Code::NotReturnable) };
        self.open_return(oid, msg, units, false);
        self.event(oid, Op::ReturnAuthorized, |m| (m.ret, m.lines) = (msg.ret, msg.lines.clone()));
        self.after_request(oid, msg.ret);
        (Outcome::Ok, Code::None)
    }

    /// Goods may have come back before anybody asked: what was parked is dealt with now.
    fn after_request(&mut self, oid: Oid, ret: Id) {
        for callback in self.parked.remove(&ret).unwrap_or_default() {
            self.on_return_callback(&callback);
        }
        self.advance(oid);
    }

    pub(super) fn request_exchange(&mut self, msg: &Message) -> (Outcome, Code) {
        let oid = Oid::new(msg.order, 0);
        if let Some(answer) = self.known_return(oid, msg.ret) {
            return answer;
        }
        let Some(body) = msg.body.clone() else { return (Outcome::Rejected, Code::Invalid) };
        let units = self.returnable(oid, msg);
        let known = body.lines.iter().all(|line| self.estate.product(line.sku).is_some() && line.qty > 0);
        let (Some(units), true) = (units, known) else { return self.refuse_return(oid, msg, Code::NotReturnable) };
        let Some(order) = self.orders.get(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        let first = order.lines.iter().map(|line| line.line.0).max().unwrap_or(0) + 1;
        let new: Vec<LineState> =
            body.lines.iter().enumerate().map(|(i, line)| super::orders::line_state(line, LineNo(first + i as u16), msg.ret)).collect();
        let wants: Wants = new.iter().map(|line| Want::of(line, line.qty)).collect();
        let picks = self.source_new(order.order.ship_to, &wants);
        let short = |want: &Want| picks.iter().filter(|pick| pick.line == want.line).map(|pick| pick.qty).sum::<u32>() < want.qty;
        if wants.iter().any(|want| short(want) && !self.estate.product(want.sku).is_some_and(|product| product.backorderable)) {
            return self.refuse_return(oid, msg, Code::OutOfStock);
        }
        let back: Money = units.iter().map(|(line, _, qty)| self.return_value(oid, *line, *qty)).sum();
        let difference = body.lines.iter().map(|line| line.total()).sum::<Money>() - back;
        let lines: Lines = new.iter().map(|line| LineQty { line: line.line, sku: line.sku, qty: line.qty as i32, seq: 0 }).collect();
        self.open_return(oid, msg, units, true);
        if let Some(order) = self.orders.get_mut(&oid) {
            order.lines.extend(new);
            if let Some(ret) = order.returns.iter_mut().find(|ret| ret.ret == msg.ret) {
                ret.difference = difference;
                ret.paid = difference <= Money::ZERO;
            }
        }
        let created = self.event(oid, Op::ExchangeCreated, |m| (m.ret, m.amount, m.lines) = (msg.ret, difference, lines));
        self.event(oid, Op::ReturnAuthorized, |m| (m.ret, m.lines) = (msg.ret, msg.lines.clone()));
        self.promise(oid, &wants, &picks, created);
        if msg.code == Code::Advance {
            self.pay_difference(oid, msg.ret);
        }
        self.after_request(oid, msg.ret);
        (Outcome::Ok, Code::None)
    }

    /// What `qty` more units of a line are worth when they come back, after those that were asked for before.
    fn return_value(&self, oid: Oid, line_no: LineNo, qty: u32) -> Money {
        let Some(line) = self.orders.get(&oid).and_then(|order| order.lines.iter().find(|line| line.line == line_no)) else { return Money::ZERO };
        if self.has(Defect::RefundRoundsEachUnit) {
            let unit = (line.total.0 + i64::from(line.qty) - 1) / i64::from(line.qty);
            return Money(unit * i64::from(qty));
        }
        let body = self.orders.get(&oid).and_then(|order| order.order.line(line_no));
        let total = match (self.defect, body) {
            (Some(Defect::RefundForgetsDiscount), Some(body)) => line.total + body.discount,
            (Some(Defect::RefundForgetsTax), Some(body)) => line.total - body.tax,
            _ => line.total,
        };
        cumulative(total, line.qty, line.return_asked, line.return_asked + qty)
    }

    fn pay_difference(&mut self, oid: Oid, ret_id: Id) {
        let Some(ret) = self.orders.get(&oid).and_then(|order| order.returns.iter().find(|ret| ret.ret == ret_id)) else { return };
        if ret.paid || ret.auth_n.is_some() || ret.difference <= Money::ZERO {
            return;
        }
        let amount = ret.difference;
        let n = self.orders.get(&oid).map_or(0, |order| order.auth_calls);
        if let Some(ret) = self.orders.get_mut(&oid).and_then(|order| order.returns.iter_mut().find(|ret| ret.ret == ret_id)) {
            ret.auth_n = Some(n);
        }
        self.authorize(oid, amount);
    }

    pub(super) fn cancel_return(&mut self, msg: &Message) -> (Outcome, Code) {
        let oid = Oid::new(msg.order, 0);
        let Some(order) = self.orders.get_mut(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        let Some(ret) = order.returns.iter_mut().find(|ret| ret.ret == msg.ret) else { return (Outcome::Rejected, Code::UnknownOrder) };
        if ret.cancelled {
            return (Outcome::Replayed, Code::None);
        }
        if ret.received || ret.advance || ret.keep {
            return (Outcome::Rejected, Code::TooLate);
        }
        ret.cancelled = true;
        let units = ret.lines.clone();
        for (line_no, _, qty) in &units {
            if let Some(line) = order.line_mut(*line_no) {
                line.return_asked -= qty;
            }
        }
        let new: Vec<(LineNo, SkuId, u32)> =
            order.lines.iter().filter(|line| line.ret == msg.ret).map(|line| (line.line, line.sku, line.qty)).collect();
        self.event(oid, Op::ReturnCancelled, |m| m.ret = msg.ret);
        for (line, sku, qty) in new {
            self.cancel_units(oid, line, sku, qty, Code::Customer);
        }
        (Outcome::Ok, Code::None)
    }

    pub(super) fn on_return_callback(&mut self, msg: &Message) -> (Outcome, Code) {
        let twice = self.has(Defect::DuplicateReturnRefundsTwice);
        let oid = Oid::new(msg.order, 0);
        let Some(order) = self.orders.get_mut(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        let Some(at) = order.returns.iter().position(|ret| ret.ret == msg.ret) else {
            // goods that nobody announced: kept until somebody does
            self.parked.entry(msg.ret).or_default().push(msg.clone());
            return (Outcome::Ok, Code::None);
        };
        let ret = &mut order.returns[at];
        if twice && msg.op == Op::CbNodeInspected && ret.inspected && !ret.exchange {
            (ret.inspected, ret.completed, ret.refund_asked, ret.refund_done) = (false, false, Money::ZERO, Money::ZERO);
        }
        if self.defect == Some(Defect::CallbackMemoryExpires) && ret.completed && self.now.since(ret.inspected_at) > CALLBACK_MEMORY {
            // what was done is remembered for two weeks: the return begins anew
            (ret.received, ret.inspected, ret.completed) = (false, false, false);
            (ret.refund_asked, ret.refund_done) = (Money::ZERO, Money::ZERO);
            order.auths.iter_mut().for_each(|auth| auth.refunded = Money::ZERO);
            order.refunded = Money::ZERO;
        }
        if ret.cancelled || (msg.op == Op::CbNodeReceived && ret.received) || (msg.op == Op::CbNodeInspected && ret.inspected) {
            return (Outcome::Replayed, Code::None);
        }
        let (ret_id, received) = (ret.ret, ret.received);
        ret.received = true;
        ret.node = msg.node;
        if !received {
            self.event(oid, Op::ReturnReceived, |m| (m.ret, m.node, m.lines) = (ret_id, msg.node, msg.lines.clone()));
        }
        if msg.op == Op::CbNodeInspected {
            self.on_inspected(oid, at, msg);
        }
        (Outcome::Ok, Code::None)
    }

    fn on_inspected(&mut self, oid: Oid, at: usize, msg: &Message) {
        let (ret_id, now) = (msg.ret, self.now);
        if let Some(ret) = self.orders.get_mut(&oid).and_then(|order| order.returns.get_mut(at)) {
            ret.inspected = true;
            ret.inspected_at = now;
        }
        self.event(oid, Op::ReturnInspected, |m| (m.ret, m.node, m.code, m.lines) = (ret_id, msg.node, msg.code, msg.lines.clone()));
        let restock = msg.code == Code::Restock;
        let booked_at = if self.has(Defect::RestockAtWrongNode) { crate::model::NodeId(1) } else { msg.node };
        if restock {
            for item in &msg.lines {
                self.stock.movement(booked_at, item.sku, item.seq, item.qty);
            }
        }
        let scrap_too = !restock && self.has(Defect::ScrappedIsRestocked);
        if scrap_too {
            msg.lines.iter().for_each(|item| self.stock.put(booked_at, item.sku, item.qty));
        }
        let op = if restock || scrap_too { Op::ReturnRestocked } else { Op::ReturnScrapped };
        self.event(oid, op, |m| (m.ret, m.node, m.lines) = (ret_id, booked_at, msg.lines.clone()));
        self.pay_difference(oid, ret_id);
        self.advance(oid);
        for item in &msg.lines {
            self.serve_backlog(item.sku);
        }
    }

    /// Refunds what is due and closes what is done.
    pub(super) fn settle_returns(&mut self, oid: Oid) {
        let count = self.orders.get(&oid).map_or(0, |order| order.returns.len());
        for at in 0..count {
            let Some(order) = self.orders.get(&oid) else { return };
            let ret = &order.returns[at];
            if ret.cancelled || ret.completed || order.status == Status::Rejected || !(ret.inspected || ret.keep) {
                continue;
            }
            let nets = ret.exchange && !self.has(Defect::ExchangeRefundsAndNets);
            let amount = if nets { Money(-ret.difference.0).max(Money::ZERO) } else { ret.value };
            if ret.refund_done < amount {
                if let Some(ret) = self.orders.get_mut(&oid).and_then(|order| order.returns.get_mut(at)) {
                    ret.refund = Some(amount);
                }
                self.try_refund(oid, at);
                continue;
            }
            self.close_return(oid, at);
        }
    }

    fn close_return(&mut self, oid: Oid, at: usize) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let ret_id = order.returns[at].ret;
        if order.returns[at].exchange {
            let done = order.lines.iter().filter(|line| line.ret == ret_id).all(LineState::is_settled)
                && order.fulfillments.iter().filter(|f| f.ret == ret_id).all(|f| !f.is_live() && f.stage != super::state::Stage::Shipped)
                && order.captures.iter().filter(|due| due.ret == ret_id).all(|due| due.done);
            if !done {
                return;
            }
        }
        let exchange = order.returns[at].exchange;
        let lines: Lines =
            order.returns[at].lines.iter().map(|(line, sku, qty)| LineQty { line: *line, sku: *sku, qty: *qty as i32, seq: 0 }).collect();
        order.returns[at].completed = true;
        let op = if exchange { Op::ExchangeCompleted } else { Op::ReturnCompleted };
        self.event(oid, op, |m| (m.ret, m.lines) = (ret_id, lines));
    }
}
