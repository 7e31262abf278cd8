//! Authorizing, capturing, voiding and refunding.

use super::calls::Kind;
use super::state::{Authorization, CaptureDue, Oid, Screen, Status, cumulative};
use super::{Defect, Reference};
use crate::model::{Code, Fid, Id, LineNo, Message, Money, Op, Outcome, SkuId};

impl Reference {
    /// Asks for an authorization and returns its number.
    pub(super) fn authorize(&mut self, oid: Oid, amount: Money) -> u32 {
        let Some(order) = self.orders.get_mut(&oid) else { return 0 };
        let n = order.auth_calls;
        order.auth_calls += 1;
        order.auth_pending = true;
        self.call(oid, Kind::Authorize, n, |m| {
            m.op = Op::PaymentAuthorize;
            m.amount = amount;
        });
        n
    }

    pub(super) fn on_authorized(&mut self, oid: Oid, n: u32, pay: Id, amount: Money, yes: bool, code: Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        order.auth_pending = false;
        let for_exchange = order.returns.iter_mut().find(|ret| ret.difference > Money::ZERO && ret.auth_n == Some(n));
        let ret = for_exchange.as_ref().map_or(Id::NONE, |ret| ret.ret);
        if !yes {
            if self.defect == Some(Defect::DeclineIgnored) {
                order.payment = Screen::Good;
                self.event(oid, Op::PaymentDeclined, |m| (m.code, m.ret) = (code, ret));
                return self.advance(oid);
            }
            if ret.is_some() {
                order.exception = true;
                self.event(oid, Op::PaymentDeclined, |m| (m.code, m.ret) = (code, ret));
                self.event(oid, Op::ExceptionRaised, |m| m.code = Code::ExcPayment);
                return;
            }
            order.payment = Screen::Bad;
            // goods have left that nobody pays for: a person has to see to it
            let owed = order.captures.iter().any(|due| !due.done);
            order.exception |= owed;
            self.event(oid, Op::PaymentDeclined, |m| m.code = code);
            if owed {
                self.event(oid, Op::ExceptionRaised, |m| m.code = Code::ExcPayment);
            }
            self.advance(oid);
            return;
        }
        if let Some(ret) = for_exchange {
            ret.paid = true;
        }
        order.auths.push(Authorization { pay, ret, refunded: Money::ZERO, amount, captured: Money::ZERO, open: true });
        if order.payment == Screen::Asked {
            order.payment = Screen::Good;
        }
        let op = if n == 0 || ret.is_some() { Op::PaymentAuthorized } else { Op::PaymentReauthorized };
        self.event(oid, op, |m| (m.pay, m.amount, m.ret) = (pay, amount, ret));
        self.advance(oid);
    }

    /// A pending authorization was decided; the callback may overtake the answer that said pending.
    pub(super) fn on_payment_decided(&mut self, msg: &Message) -> (Outcome, Code) {
        let Some(call) = self.calls.remove(&msg.key) else { return (Outcome::Replayed, Code::None) };
        drop(call);
        let (oid, _, n) = Oid::of_key(msg.key);
        self.on_authorized(oid, n, msg.pay, msg.amount, msg.code == Code::Approved, msg.code);
        (Outcome::Ok, Code::None)
    }

    pub(super) fn on_payment_expired(&mut self, msg: &Message) -> (Outcome, Code) {
        let oid = Oid::new(msg.order, 0);
        if self.has(Defect::ExpiryIgnored) {
            return (Outcome::Ok, Code::None);
        }
        let Some(order) = self.orders.get_mut(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        if let Some(auth) = order.auths.iter_mut().find(|auth| auth.pay == msg.pay) {
            auth.open = false;
        }
        self.advance(oid);
        (Outcome::Ok, Code::None)
    }

    /// There is an open authorization for what is still to be captured; asks for one where there is none.
    pub(super) fn is_paid(&mut self, oid: Oid) -> bool {
        let Some(order) = self.orders.get(&oid) else { return false };
        if self.has(Defect::DeclineIgnored) && order.auths.is_empty() {
            return true;
        }
        let needed = order.still_to_capture();
        if needed <= Money::ZERO || order.auths.iter().any(|auth| auth.open && auth.ret.is_none() && auth.amount - auth.captured >= needed) {
            return true;
        }
        if !order.auth_pending && order.cancelling.is_none() {
            self.authorize(oid, needed);
        }
        false
    }

    /// A parcel left, or a pickup was handed over: what it is worth is due.
    pub(super) fn capture_due(&mut self, oid: Oid, fid: Fid, ret: Id, units: &[(LineNo, SkuId, u32)]) {
        let per_parcel = self.has(Defect::ShippingPerParcel);
        let full = self.has(Defect::SplitCapturesFull);
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let mut amount = Money::ZERO;
        for (line_no, _, qty) in units {
            if let Some(line) = order.line_mut(*line_no) {
                let upto = (line.captured_units + qty).min(line.qty);
                amount += cumulative(line.total, line.qty, line.captured_units, upto);
                line.captured_units = upto;
            }
        }
        if ret.is_some() {
            // an exchange: only what the new goods cost more, once
            let due_before = order.captures.iter().any(|due| due.ret == ret);
            let difference = order.returns.iter().find(|r| r.ret == ret).map_or(Money::ZERO, |r| r.difference);
            amount = if due_before { Money::ZERO } else { difference.max(Money::ZERO) };
        } else if !order.shipping_captured || per_parcel {
            amount += order.order.shipping;
            order.shipping_captured = true;
        }
        if full && ret.is_none() {
            amount = order.order.total();
        }
        // the first capture completed the payment
        let completed = self.defect == Some(Defect::LaterParcelsUncaptured) && ret.is_none() && !order.captures.is_empty();
        if amount > Money::ZERO && !completed {
            let n = order.captures.len() as u32;
            order.captures.push(CaptureDue { n, fid, ret, amount, asked: false, done: false });
        }
        self.try_captures(oid);
    }

    pub(super) fn try_captures(&mut self, oid: Oid) {
        let careless = self.has(Defect::SplitCapturesFull) || self.has(Defect::ShippingPerParcel);
        let ignores = self.has(Defect::DeclineIgnored);
        while let Some(order) = self.orders.get_mut(&oid)
            && let Some(at) = order.captures.iter().position(|due| !due.asked && !due.done)
        {
            let due = order.captures[at].clone();
            let unpaid = ignores && order.auths.is_empty();
            let open =
                order.auths.iter_mut().find(|auth| auth.open && auth.ret == due.ret && (careless || auth.amount - auth.captured >= due.amount));
            let pay = match open {
                Some(auth) => {
                    auth.captured += due.amount;
                    auth.pay
                }
                // there is nothing to capture on: the provider will refuse
                None if unpaid => Id::NONE,
                None => {
                    if !order.auth_pending && order.payment == Screen::Good {
                        self.authorize(oid, due.amount);
                    }
                    return;
                }
            };
            order.captures[at].asked = true;
            if self.has(Defect::CapturedBeforeShipped) {
                let (fid, ret, amount) = (due.fid, due.ret, due.amount);
                self.event(oid, Op::PaymentCaptured, |m| (m.pay, m.amount, m.fulfillment, m.ret) = (pay, amount, fid, ret));
            }
            self.call(oid, Kind::Capture, due.n, |m| {
                m.op = Op::PaymentCapture;
                m.pay = pay;
                m.amount = due.amount;
                m.fulfillment = due.fid;
                m.ret = due.ret;
            });
            if self.has(Defect::CapturedBeforeShipped) {
                self.event(oid, Op::PaymentCaptured, |m| (m.pay, m.amount, m.fulfillment, m.ret) = (pay, due.amount, due.fid, due.ret));
            }
        }
    }

    pub(super) fn on_captured(&mut self, oid: Oid, n: u32, pay: Id, yes: bool, code: Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let next = order.captures.len() as u32;
        let Some(due) = order.captures.iter_mut().find(|due| due.n == n) else { return };
        if yes {
            due.done = true;
            let (fid, ret, amount) = (due.fid, due.ret, due.amount);
            order.captured += amount;
            if !self.has(Defect::CapturedBeforeShipped) {
                self.event(oid, Op::PaymentCaptured, |m| (m.pay, m.amount, m.fulfillment, m.ret) = (pay, amount, fid, ret));
            }
        } else {
            let amount = due.amount;
            due.asked = false;
            // a new intent: the old key is spent on a refusal
            due.n = next + n + 100;
            if let Some(auth) = order.auths.iter_mut().find(|auth| auth.pay == pay) {
                auth.captured -= amount;
                auth.open = false;
            }
            if code != Code::Expired {
                order.exception = true;
                self.event(oid, Op::ExceptionRaised, |m| m.code = Code::ExcPayment);
                return;
            }
        }
        self.advance(oid);
    }

    /// Gives back what authorizations still hold; true while that is under way.
    pub(super) fn void_open(&mut self, oid: Oid) -> bool {
        let never_after_capture = self.has(Defect::RemainderNeverVoided);
        let Some(order) = self.orders.get_mut(&oid) else { return false };
        // what covers an exchange under way is not the order's to give back
        let Some(at) = order.auths.iter().position(|auth| auth.open && auth.ret.is_none() && auth.amount > auth.captured) else { return false };
        if never_after_capture && order.captured > Money::ZERO {
            return false;
        }
        let pay = order.auths[at].pay;
        if order.void_asked != Some(pay) {
            order.void_asked = Some(pay);
            self.call(oid, Kind::Void, at as u32, |m| {
                m.op = Op::PaymentVoid;
                m.pay = pay;
            });
        }
        true
    }

    pub(super) fn on_voided(&mut self, oid: Oid, pay: Id, yes: bool) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let mut left = Money::ZERO;
        if let Some(auth) = order.auths.iter_mut().find(|auth| auth.pay == pay) {
            left = auth.amount - auth.captured;
            auth.open = false;
        }
        if yes {
            self.event(oid, Op::PaymentVoided, |m| (m.pay, m.amount) = (pay, left));
        }
        self.advance(oid);
    }

    /// What `RefundOnCancel` does in place of a void: it asks once to refund what stands authorized, and takes that for done.
    pub(super) fn refund_authorized(&mut self, oid: Oid) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let Some(auth) = order.auths.iter_mut().find(|auth| auth.open && auth.captured == Money::ZERO) else { return };
        auth.open = false;
        let (pay, amount, n) = (auth.pay, auth.amount, order.refunds);
        order.refunds += 1;
        self.call(oid, Kind::Refund, n, |m| (m.op, m.pay, m.amount) = (Op::PaymentRefund, pay, amount));
    }

    /// Asks for the refund of a return or exchange, once enough was captured to refund from: from each authorization no more than
    /// was captured on it.
    pub(super) fn try_refund(&mut self, oid: Oid, at: usize) {
        let first = self.has(Defect::RefundFromFirstPayment);
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let Some(ret) = order.returns.get_mut(at) else { return };
        let Some(amount) = ret.refund else { return };
        if order.captured - order.refunded < amount - ret.refund_done {
            return;
        }
        let mut parts: Vec<(Id, Money, u32)> = Vec::new();
        for auth in &mut order.auths {
            let left = if first { amount } else { auth.captured - auth.refunded };
            let part = (amount - ret.refund_asked).min(left);
            if part > Money::ZERO {
                auth.refunded += part;
                ret.refund_asked += part;
                parts.push((auth.pay, part, order.refunds));
                order.refunds += 1;
            }
        }
        let ret_id = ret.ret;
        for (pay, part, n) in parts {
            self.call(oid, Kind::Refund, n, |m| {
                m.op = Op::PaymentRefund;
                m.pay = pay;
                m.amount = part;
                m.ret = ret_id;
            });
        }
    }

    pub(super) fn on_refunded(&mut self, oid: Oid, n: u32, ret_id: Id, pay: Id, amount: Money, yes: bool) {
        let full = self.has(Defect::RefundAnnouncedInFull);
        let Some(order) = self.orders.get_mut(&oid) else { return };
        if !yes {
            order.exception = true;
            self.event(oid, Op::ExceptionRaised, |m| m.code = Code::ExcReturn);
            return;
        }
        order.refunded += amount;
        if let Some(ret) = order.returns.iter_mut().find(|ret| ret.ret == ret_id) {
            ret.refund_done += amount;
        }
        let stated = if full { order.captured } else { amount };
        self.event(oid, Op::PaymentRefunded, |m| (m.pay, m.amount, m.ret) = (pay, stated, ret_id));
        self.notify(oid, n, Code::NoteRefunded, ret_id);
        if self.orders.get(&oid).is_some_and(|order| order.status != Status::Rejected) {
            self.advance(oid);
        }
    }
}
