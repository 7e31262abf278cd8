//! Fraud screening, address validation, notifications.

use super::{Actions, Later, World};
use crate::model::{Code, Id, Message, NodeId, Op, OrderNo, Outcome};
use crate::scenario::{PartnerAnswer, PartnerPoint};
use crate::sim::Span;
use rustc_hash::{FxBuildHasher, FxHashMap};

#[derive(Default)]
pub struct Screens {
    screened: FxHashMap<OrderNo, (Code, Code)>,
    validated: FxHashMap<OrderNo, Code>,
    notified: FxHashMap<Id, ()>,
}

impl Screens {
    /// With room for so many orders, each of which ends in a notice or two.
    pub fn new(orders: u32) -> Screens {
        Screens { notified: FxHashMap::with_capacity_and_hasher(orders as usize * 2, FxBuildHasher), ..Screens::default() }
    }
}

impl World {
    pub(super) fn screen(&mut self, call: &Message, answer: &mut Message, out: &mut Actions) -> Outcome {
        if let Some((verdict, _)) = self.screens.screened.get(&call.order) {
            answer.code = *verdict;
            return Outcome::Replayed;
        }
        let behaviour = self.behaviour(call.order, PartnerPoint::Screen, NodeId::NONE);
        let (verdict, decision) = match behaviour.map(|b| b.answer) {
            Some(PartnerAnswer::ReviewAccept) => (Code::Review, Code::Accept),
            Some(PartnerAnswer::ReviewReject) => (Code::Review, Code::Reject),
            Some(PartnerAnswer::Reject | PartnerAnswer::Decline) => (Code::Reject, Code::None),
            _ => (Code::Accept, Code::None),
        };
        if verdict == Code::Review {
            let wait = behaviour.and_then(|b| b.after).unwrap_or(Span::from_hours(3));
            out.later.push((wait, Later::FraudDecides(call.order)));
        }
        self.screens.screened.insert(call.order, (verdict, decision));
        let fact = self.fact(Op::FraudScreen, call.order, |m| (m.code, m.key) = (verdict, call.key));
        out.facts.push(fact);
        answer.code = verdict;
        Outcome::Ok
    }

    pub(super) fn fraud_decides(&mut self, order: OrderNo, out: &mut Actions) {
        let Some((_, decision)) = self.screens.screened.get(&order).copied() else { return };
        let send = self.callback(Op::CbFraudDecided, order, |m| m.code = decision);
        out.sends.push(send);
    }

    pub(super) fn validate(&mut self, call: &Message, answer: &mut Message) -> Outcome {
        if let Some(verdict) = self.screens.validated.get(&call.order) {
            answer.code = *verdict;
            return Outcome::Replayed;
        }
        let verdict = match self.behaviour(call.order, PartnerPoint::Validate, NodeId::NONE).map(|b| b.answer) {
            Some(PartnerAnswer::Corrected) => Code::Corrected,
            Some(PartnerAnswer::Undeliverable | PartnerAnswer::Reject) => Code::Undeliverable,
            _ => Code::Valid,
        };
        self.screens.validated.insert(call.order, verdict);
        answer.code = verdict;
        Outcome::Ok
    }

    pub(super) fn notify(&mut self, call: &Message, out: &mut Actions) -> Outcome {
        if self.screens.notified.insert(call.key, ()).is_some() {
            return Outcome::Replayed;
        }
        let fact = self.fact(Op::NotificationSend, call.order, |m| (m.code, m.key, m.ret) = (call.code, call.key, call.ret));
        out.facts.push(fact);
        Outcome::Ok
    }
}
