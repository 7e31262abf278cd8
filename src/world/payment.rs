//! The payment provider's books: authorizations with an expiry, captures, voids and refunds, each once per idempotency key.
//!
//! It is lenient: it books a capture beyond the authorized amount, because a provider that refuses would hide an orchestrator
//! that asks. It refuses what no provider can do: capture on a voided or expired authorization.

use super::{Actions, Later, World};
use crate::model::{Code, Id, Message, Money, NodeId, Op, OrderNo, Outcome};
use crate::scenario::{PartnerAnswer, PartnerPoint};
use crate::sim::Span;
use rustc_hash::FxHashMap;

/// How long an authorization is good for (domain 4.0).
const AUTH_VALID: Span = Span::from_days(7);

struct Auth {
    order: OrderNo,
    amount: Money,
    captured: Money,
    state: AuthState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthState {
    Open,
    Voided,
    Expired,
}

struct Decision {
    order: OrderNo,
    amount: Money,
    decided: bool,
}

#[derive(Default)]
pub struct Books {
    answered: FxHashMap<Id, (Outcome, Id, Code)>,
    auths: FxHashMap<Id, Auth>,
    pending: FxHashMap<Id, Decision>,
}

impl World {
    pub(super) fn payment_call(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        answer.amount = call.amount;
        if let Some((outcome, pay, code)) = self.payment.answered.get(&call.key) {
            (answer.pay, answer.code) = (*pay, *code);
            return if *outcome == Outcome::Ok { Outcome::Replayed } else { *outcome };
        }
        let outcome = match call.op {
            Op::PaymentAuthorize => self.authorize(call, answer, out),
            Op::PaymentCapture => self.capture(call, answer, out),
            Op::PaymentVoid => self.void(call, answer, out),
            _ => self.refund(call, answer, out),
        };
        if outcome != Outcome::Pending {
            self.payment.answered.insert(call.key, (outcome, answer.pay, answer.code));
        }
        outcome
    }

    fn authorize(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        if self.payment.pending.contains_key(&call.key) {
            return Outcome::Pending;
        }
        let behaviour = self.behaviour(call.order, PartnerPoint::Authorize, NodeId::NONE);
        match behaviour.map(|b| b.answer) {
            Some(PartnerAnswer::Decline | PartnerAnswer::Reject) => {
                answer.code = Code::Declined;
                Outcome::Rejected
            }
            Some(PartnerAnswer::Pending) => {
                self.payment.pending.insert(call.key, Decision { order: call.order, amount: call.amount, decided: false });
                let wait = behaviour.and_then(|b| b.after).unwrap_or(Span::from_secs(30));
                out.later.push((wait, Later::PaymentDecides(call.key)));
                Outcome::Pending
            }
            _ => {
                answer.pay = self.open_auth(call.order, call.amount, call.key, out);
                answer.code = Code::Approved;
                Outcome::Ok
            }
        }
    }

    fn open_auth(&mut self, order: OrderNo, amount: Money, key: Id, out: &mut Actions) -> Id {
        let pay = self.fresh_id();
        self.payment.auths.insert(pay, Auth { order, amount, captured: Money::ZERO, state: AuthState::Open });
        let fact = self.fact(Op::PaymentAuthorize, order, |m| (m.pay, m.amount, m.key) = (pay, amount, key));
        out.facts.push(fact);
        out.later.push((AUTH_VALID, Later::AuthExpires(pay)));
        pay
    }

    pub(super) fn payment_decides(&mut self, key: Id, out: &mut Actions) {
        let Some(decision) = self.payment.pending.get_mut(&key) else { return };
        if decision.decided {
            return;
        }
        decision.decided = true;
        let (order, amount) = (decision.order, decision.amount);
        let pay = self.open_auth(order, amount, key, out);
        self.payment.answered.insert(key, (Outcome::Ok, pay, Code::Approved));
        let send = self.callback(Op::CbPaymentDecided, order, |m| (m.key, m.pay, m.amount, m.code) = (key, pay, amount, Code::Approved));
        out.sends.push(send);
    }

    fn capture(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        answer.pay = call.pay;
        let Some(auth) = self.payment.auths.get_mut(&call.pay) else {
            answer.code = Code::Invalid;
            return Outcome::Rejected;
        };
        if auth.state != AuthState::Open {
            answer.code = if auth.state == AuthState::Expired { Code::Expired } else { Code::Invalid };
            return Outcome::Rejected;
        }
        auth.captured += call.amount;
        self.ledger_line(call, call.amount, out);
        Outcome::Ok
    }

    fn void(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        answer.pay = call.pay;
        let Some(auth) = self.payment.auths.get_mut(&call.pay) else {
            answer.code = Code::Invalid;
            return Outcome::Rejected;
        };
        if auth.state != AuthState::Open {
            answer.code = Code::Expired;
            return Outcome::Rejected;
        }
        auth.state = AuthState::Voided;
        let left = auth.amount - auth.captured;
        answer.amount = left;
        self.ledger_line(call, left, out);
        Outcome::Ok
    }

    fn refund(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        answer.pay = call.pay;
        if !self.payment.auths.contains_key(&call.pay) {
            answer.code = Code::Invalid;
            return Outcome::Rejected;
        }
        self.ledger_line(call, call.amount, out);
        Outcome::Ok
    }

    fn ledger_line(&mut self, call: &Message, amount: Money, out: &mut Actions) {
        let fact = self.fact(call.op, call.order, |m| {
            (m.pay, m.amount, m.key, m.fulfillment, m.ret) = (call.pay, amount, call.key, call.fulfillment, call.ret);
        });
        out.facts.push(fact);
    }

    pub(super) fn auth_expires(&mut self, pay: Id, out: &mut Actions) {
        let Some(auth) = self.payment.auths.get_mut(&pay) else { return };
        if auth.state != AuthState::Open || auth.captured >= auth.amount {
            return;
        }
        auth.state = AuthState::Expired;
        let (order, left) = (auth.order, auth.amount - auth.captured);
        let fact = self.fact(Op::CbPaymentExpired, order, |m| (m.pay, m.amount) = (pay, left));
        out.facts.push(fact);
        let send = self.callback(Op::CbPaymentExpired, order, |m| (m.pay, m.amount) = (pay, left));
        out.sends.push(send);
    }
}
