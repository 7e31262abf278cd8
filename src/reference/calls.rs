//! Calls to partners: one idempotency key an intent, tried again with backoff until there is a definite answer or the budget is
//! spent; then a dead letter and an exception, never silence.

use super::state::{Oid, Screen, Stage};
use super::{Defect, Effect, Reference, Timer};
use crate::model::{Code, Id, Message, Op, OrderNo, Outcome};
use crate::sim::{Purpose, Span};
use std::sync::Arc;

const BACKOFF_JITTER: Purpose = Purpose(900);

/// What a call is for. The number is part of the idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    Authorize = 1,
    Screen,
    Validate,
    Release,
    Stop,
    Label,
    Capture,
    Void,
    Refund,
    Notify,
}

// a kind is found by its number
const _: () = {
    let mut at = 0;
    while at < Kind::ALL.len() {
        assert!(Kind::ALL[at] as usize == at + 1);
        at += 1;
    }
};

impl Kind {
    /// In the order of their numbers.
    const ALL: [Kind; 10] = [
        Kind::Authorize,
        Kind::Screen,
        Kind::Validate,
        Kind::Release,
        Kind::Stop,
        Kind::Label,
        Kind::Capture,
        Kind::Void,
        Kind::Refund,
        Kind::Notify,
    ];
    fn of(raw: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(raw).wrapping_sub(1)).copied()
    }
}

/// A call that has no definite answer yet.
pub struct PendingCall {
    msg: Arc<Message>,
    attempt: u32,
    /// the partner said pending: a callback will decide
    waiting: bool,
}

/// A key as `CaptureKeyTruncated` sends it.
fn cut(key: Id) -> Id {
    let (oid, kind, n) = Oid::of_key(key);
    Oid::new(OrderNo(oid.order().0 % 100), 0).key(kind, n)
}

impl Reference {
    /// Makes a call, unless the same intent is on its way already.
    pub(super) fn call(&mut self, oid: Oid, kind: Kind, n: u32, fill: impl FnOnce(&mut Message)) {
        let key = oid.key(kind as u8, n);
        if self.calls.contains_key(&key) {
            return;
        }
        let id = self.fresh_id();
        let corr = self.correlation(oid);
        let mut msg = Message { key, corr, order: oid.order(), cause: self.cause, ..Message::new(Op::NotificationSend, id) };
        fill(&mut msg);
        let msg = Arc::new(msg);
        self.calls.insert(key, PendingCall { msg: msg.clone(), attempt: 0, waiting: false });
        self.send(msg, key, 0);
    }

    /// One notice of a kind for the `n`th thing of its kind (line, fulfillment, refund).
    pub(super) fn notify(&mut self, oid: Oid, n: u32, template: Code, ret: Id) {
        const TEMPLATES: [Code; 8] = [
            Code::NoteConfirmed,
            Code::NoteRejected,
            Code::NoteBackordered,
            Code::NoteReady,
            Code::NoteShipped,
            Code::NoteDelivered,
            Code::NoteCancelled,
            Code::NoteRefunded,
        ];
        let kind = TEMPLATES.iter().position(|known| *known == template).unwrap_or(0) as u32;
        self.call(oid, Kind::Notify, kind << 13 | (n & 0x1fff), |m| {
            m.op = Op::NotificationSend;
            m.code = template;
            m.ret = ret;
        });
    }

    /// The id of the latest attempt of a call that has no answer yet.
    pub(super) fn attempt_of(&self, key: Id) -> Id {
        self.calls.get(&key).map_or(Id::NONE, |call| call.msg.id)
    }

    /// Nobody knows whether the last attempts left before it went down: the next ones name what made those.
    pub(super) fn forget_attempts(&mut self) {
        #[allow(clippy::iter_over_hash_type, reason = "each is changed by itself")]
        for call in self.calls.values_mut() {
            Arc::make_mut(&mut call.msg).id = call.msg.cause;
        }
    }

    /// Sends a call once more.
    fn send_attempt(&mut self, key: Id) {
        let id = self.fresh_id();
        let Some(call) = self.calls.get_mut(&key) else { return };
        let msg = Arc::make_mut(&mut call.msg);
        msg.id = id;
        msg.cause = self.cause;
        let (msg, attempt) = (call.msg.clone(), call.attempt);
        self.send(msg, key, attempt);
    }

    fn send(&mut self, mut msg: Arc<Message>, key: Id, attempt: u32) {
        if self.has(Defect::CaptureKeyTruncated) && msg.op == Op::PaymentCapture {
            let cut = cut(msg.key);
            Arc::make_mut(&mut msg).key = cut;
        }
        self.out.push(Effect::Call(msg));
        let timeout = (self.now + self.settings.call_timeout, Timer::CallTimeout(key, attempt));
        let at = self.timeouts.iter().rposition(|known| *known <= timeout).map_or(0, |before| before + 1);
        self.timeouts.insert(at, timeout);
    }

    pub(super) fn on_call_timeout(&mut self, key: Id, attempt: u32) {
        if self.calls.get(&key).is_some_and(|call| call.attempt == attempt && !call.waiting) {
            self.retry_later(key, Span::ZERO);
        }
    }

    fn retry_later(&mut self, key: Id, at_least: Span) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.attempt += 1;
        let attempt = call.attempt;
        if self.defect == Some(Defect::GivesUpAfterThree) && attempt >= 3 {
            self.calls.remove(&key);
            return;
        }
        if attempt >= self.settings.call_budget {
            self.dead_letter(key);
            return;
        }
        let full = self.settings.backoff.saturating_mul(1 << (attempt - 1).min(20)).min(self.settings.backoff_max);
        // half fixed, half drawn: retries of many orders do not come in step
        let wait = self.seed.draw(BACKOFF_JITTER, key.0, attempt).span(Span(full.0 / 2), full).max(at_least);
        self.timers.push(self.now + wait, Timer::CallRetry(key, attempt));
    }

    pub(super) fn on_call_retry(&mut self, key: Id, attempt: u32) {
        if self.calls.get(&key).is_none_or(|call| call.attempt != attempt) {
            return;
        }
        let (oid, kind, n) = Oid::of_key(key);
        let renewed = match self.defect {
            Some(Defect::CaptureUnderNewKey) => kind == Kind::Capture as u8,
            Some(Defect::AuthorizeUnderNewKey) => kind == Kind::Authorize as u8,
            _ => false,
        };
        if renewed {
            let new_key = oid.key(kind, n % 1000 + 1000 * attempt);
            if let Some(mut call) = self.calls.remove(&key) {
                Arc::make_mut(&mut call.msg).key = new_key;
                self.calls.insert(new_key, call);
            }
            self.send_attempt(new_key);
            return;
        }
        if self.has(Defect::CorrelationLostOnRetry)
            && let Some(call) = self.calls.get_mut(&key)
        {
            Arc::make_mut(&mut call.msg).corr = Id::NONE;
        }
        if self.has(Defect::ReleaseUnderNewId)
            && kind == Kind::Release as u8
            && let Some(call) = self.calls.get_mut(&key)
        {
            let fid = &mut Arc::make_mut(&mut call.msg).fulfillment;
            fid.0 = fid.0 & super::nodes::FID_MASK | u64::from(attempt) << 50;
            let fid = *fid;
            if let Some(f) = self.fulfillment_mut(oid, n as usize) {
                f.fid = fid;
            }
        }
        self.send_attempt(key);
    }

    fn dead_letter(&mut self, key: Id) {
        let Some(call) = self.calls.remove(&key) else { return };
        let (oid, _, _) = Oid::of_key(key);
        if let Some(order) = self.orders.get_mut(&oid) {
            order.exception = true;
        }
        self.event(oid, Op::DeadLettered, |m| m.qty = call.attempt as i32);
        self.event(oid, Op::ExceptionRaised, |m| m.code = Code::ExcPartner);
    }

    pub(super) fn on_answer(&mut self, msg: &Message, outcome: Outcome) {
        if self.has(Defect::CaptureKeyTruncated) && msg.op == Op::PaymentCapture {
            let (_, kind, n) = Oid::of_key(msg.key);
            let whole = Message { key: Oid::new(msg.order, 0).key(kind, n), ..msg.clone() };
            return self.settle(&whole, outcome);
        }
        self.settle(msg, outcome);
    }

    fn settle(&mut self, msg: &Message, outcome: Outcome) {
        if matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Rejected) {
            let Some(call) = self.calls.remove(&msg.key) else { return };
            return self.settle_call(msg, &call.msg, outcome);
        }
        let Some(call) = self.calls.get_mut(&msg.key) else { return };
        match outcome {
            Outcome::Pending => call.waiting = true,
            // a late failure of an earlier attempt says nothing about the one under way
            _ if call.msg.id != msg.id => {}
            _ => self.retry_later(msg.key, Span::from_secs(msg.qty.max(0) as u64)),
        }
    }

    fn settle_call(&mut self, answer: &Message, asked: &Message, outcome: Outcome) {
        let (oid, kind, n) = Oid::of_key(asked.key);
        let yes = outcome != Outcome::Rejected;
        match Kind::of(kind) {
            Some(Kind::Authorize) => self.on_authorized(oid, n % 1000, answer.pay, asked.amount, yes, answer.code),
            Some(Kind::Screen) => self.on_screened(oid, answer.code),
            Some(Kind::Validate) => self.on_validated(oid, answer.code),
            Some(Kind::Release) => self.on_released(oid, n as usize, yes),
            Some(Kind::Stop) => self.on_stopped(oid, n as usize, yes),
            Some(Kind::Capture) => self.on_captured(oid, n % 1000, asked.pay, yes, answer.code),
            Some(Kind::Void) => self.on_voided(oid, asked.pay, yes),
            Some(Kind::Refund) => self.on_refunded(oid, n, asked.ret, asked.pay, asked.amount, yes),
            Some(Kind::Label | Kind::Notify) | None => {}
        }
    }

    fn on_screened(&mut self, oid: Oid, verdict: Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        if order.fraud != Screen::Asked || order.held_fraud {
            return;
        }
        match verdict {
            Code::Review => order.held_fraud = true,
            Code::Reject => order.fraud = Screen::Bad,
            _ => order.fraud = Screen::Good,
        }
        self.event(oid, Op::RiskAssessed, |m| m.code = verdict);
        if verdict == Code::Review {
            self.event(oid, Op::OrderHeld, |m| m.code = Code::HoldFraud);
        }
        self.advance(oid);
    }

    /// The decision of a review; it may overtake the answer that announced it.
    pub(super) fn on_fraud_decided(&mut self, msg: &Message) -> (Outcome, Code) {
        let oid = Oid::new(msg.order, 0);
        let Some(order) = self.orders.get(&oid) else { return (Outcome::Rejected, Code::UnknownOrder) };
        if order.fraud != Screen::Asked {
            return (Outcome::Replayed, Code::None);
        }
        if !order.held_fraud {
            let key = oid.key(Kind::Screen as u8, 0);
            self.calls.remove(&key);
            self.on_screened(oid, Code::Review);
        }
        let Some(order) = self.orders.get_mut(&oid) else { return (Outcome::Error, Code::None) };
        order.held_fraud = false;
        order.fraud = if msg.code == Code::Accept { Screen::Good } else { Screen::Bad };
        let cancelled = order.cancelling.is_some();
        if msg.code == Code::Accept && !cancelled {
            self.event(oid, Op::OrderHoldReleased, |m| m.code = Code::HoldFraud);
        }
        self.advance(oid);
        (Outcome::Ok, Code::None)
    }

    fn on_validated(&mut self, oid: Oid, verdict: Code) {
        let Some(order) = self.orders.get_mut(&oid) else { return };
        let op = match verdict {
            Code::Undeliverable => Op::AddressFailed,
            Code::Corrected => Op::AddressCorrected,
            _ => Op::AddressValidated,
        };
        order.address = if op == Op::AddressFailed { Screen::Bad } else { Screen::Good };
        self.event(oid, op, |m| m.code = verdict);
        self.advance(oid);
    }

    fn on_released(&mut self, oid: Oid, n: usize, yes: bool) {
        if yes {
            self.catch_up(oid, n, Stage::Released);
        }
        // a node that refuses a release has been told to stop before; its word on that settles the fulfillment
    }
}
