//! EXCEPTION_CLASS: an exception is filed where it belongs.

use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Code, Op, OrderNo, Outcome};

pub(super) const ABOUT: Invariant = Invariant {
    name: "EXCEPTION_CLASS",
    summary: "an exception is filed where it belongs",
    definition: "The `code` of `exception.raised` fits what set it off (`cause`). Answers and callbacks of payment: exc_payment (of a refund also exc_return). Screening: exc_fraud. Address checks: exc_address. Releases, refusals, short picks and other callbacks of nodes: exc_inventory. Labels and tracking: exc_carrier. Returned goods: exc_return. Requests for a return or exchange: exc_return, exc_inventory, exc_payment. exc_partner fits every call that failed for technical reasons. What a timer raises fits a trouble of that class that the record shows for the order before it.",
    needs: "`exception.raised` with `code`; `cause`, or faults and answers of the order's calls",
    traps: "an exception without a class says nothing that could be wrong; one that a message about another order set off (stock that somebody else needed) is not judged; one raised by a timer for an order without any trouble in the record is unknown.",
    facts_only: false,
};

/// One bit for each class of trouble.
type Classes = u8;
const PAYMENT: Classes = 1;
const FRAUD: Classes = 2;
const ADDRESS: Classes = 4;
const INVENTORY: Classes = 8;
const CARRIER: Classes = 16;
const PARTNER: Classes = 32;
const RETURN: Classes = 64;

const NAMES: [(Classes, Code); 7] = [
    (PAYMENT, Code::ExcPayment),
    (FRAUD, Code::ExcFraud),
    (ADDRESS, Code::ExcAddress),
    (INVENTORY, Code::ExcInventory),
    (CARRIER, Code::ExcCarrier),
    (PARTNER, Code::ExcPartner),
    (RETURN, Code::ExcReturn),
];

/// The classes that trouble with such a message may be filed under; 0 where any may be.
fn classes_of(op: Op) -> Classes {
    match op {
        Op::PaymentAuthorize | Op::PaymentCapture | Op::PaymentVoid | Op::CbPaymentDecided | Op::CbPaymentExpired => PAYMENT,
        Op::PaymentRefund => PAYMENT | RETURN,
        Op::FraudScreen | Op::CbFraudDecided => FRAUD,
        Op::AddressValidate => ADDRESS,
        Op::CarrierLabel | Op::CbCarrierInTransit | Op::CbCarrierDelivered => CARRIER,
        Op::NodeRelease | Op::NodeCancel => INVENTORY,
        Op::CbNodeAccepted | Op::CbNodeRejected | Op::CbNodeShortPicked | Op::CbNodePicked | Op::CbNodePacked => INVENTORY,
        Op::CbNodeReady | Op::CbNodeCollected | Op::CbNodeShipped => INVENTORY,
        Op::CbNodeReceived | Op::CbNodeInspected => RETURN,
        Op::RequestReturn | Op::RequestExchange | Op::CancelReturn => RETURN | INVENTORY | PAYMENT,
        _ => 0,
    }
}

#[derive(Default)]
pub(super) struct ExceptionClass {
    /// what went wrong for each open order
    troubles: PerOrder<Classes>,
}

impl Checker for ExceptionClass {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Event => op == Op::ExceptionRaised,
            Kind::Fault | Kind::Answer => classes_of(op) != 0 || op == Op::NotificationSend,
            Kind::Fact => matches!(op, Op::CbNodeRejected | Op::CbNodeShortPicked | Op::CbPaymentExpired),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if e.kind == Kind::Event {
            return self.raised(e, ctx);
        }
        let Some(place) = ctx.place else { return };
        let technical = match e.kind {
            Kind::Fault => m.op.class() == crate::model::Class::Call,
            Kind::Answer => !matches!(e.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected),
            _ => false,
        };
        let turned_down = e.kind == Kind::Answer && e.outcome == Outcome::Rejected;
        if technical || turned_down || e.kind == Kind::Fact {
            *self.troubles.entry(place) |= classes_of(m.op) | if technical { PARTNER } else { 0 };
        }
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        if let Some(place) = ctx.place {
            self.troubles.remove(place);
        }
    }
}

impl ExceptionClass {
    fn raised(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        let Some((class, _)) = NAMES.into_iter().find(|(_, code)| *code == m.code) else { return };
        let Some(account) = ctx.account else { return };
        let trouble = ctx.place.and_then(|place| self.troubles.get(place)).copied().unwrap_or(0);
        let names =
            |classes: Classes| NAMES.iter().filter(|(bit, _)| bit & classes != 0).map(|(_, code)| code.name()).collect::<Vec<_>>().join(" or ");
        if m.cause.is_none() {
            ctx.judged();
            if trouble == 0 {
                ctx.unknown();
            } else if trouble & class == 0 {
                let what = format!("{} was filed under {}, but what went wrong with it was of {}", m.order, m.code, names(trouble));
                ctx.fail(m.order, what, "an exception is of the class of what went wrong", vec![account.first_fault.n, e.n]);
            }
            return;
        }
        let Some((op, n)) = account.inbound_op(m.cause) else { return };
        let mut fits = classes_of(op);
        if fits == 0 {
            return;
        }
        ctx.judged();
        fits |= trouble & PARTNER;
        if fits & class == 0 {
            let what = format!("{} was filed under {}, but {op} (entry {n}) set it off", m.order, m.code);
            ctx.fail(m.order, what, format!("what {op} sets off belongs to {}", names(fits)), vec![n, e.n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::history::Kind;
    use crate::model::{Code, Id, Op, Outcome};

    fn raised(h: &mut Story, code: Code, cause: Id) -> &mut Story {
        h.claim(1, Op::ExceptionRaised, |m| (m.code, m.cause) = (code, cause))
    }
    /// A node gives the order back.
    fn refused() -> (Story, Id) {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).fact(1, Op::CbNodeRejected, |m| at_node(m, DC1, &[(1, A, 1)]));
        let id = h.sent(1, Op::CbNodeRejected, |m| at_node(m, DC1, &[(1, A, 1)]));
        h.reply(id, Outcome::Ok);
        (h, id)
    }

    #[test]
    fn accepts_goods_that_nobody_has_among_the_inventory_exceptions() {
        let (mut h, id) = refused();
        raised(&mut h, Code::ExcInventory, id).accepts("EXCEPTION_CLASS");
    }

    #[test]
    fn rejects_them_among_the_payment_exceptions() {
        let (mut h, id) = refused();
        raised(&mut h, Code::ExcPayment, id).rejects("EXCEPTION_CLASS", "O1 was filed under exc_payment, but node.rejected");
    }

    #[test]
    fn a_capture_that_is_refused_is_a_payment_exception_and_nothing_else() {
        let story = |code| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1).answer(1, Op::PaymentCapture, Id(40), Outcome::Rejected);
            raised(&mut h, code, Id(40));
            h
        };
        story(Code::ExcPayment).accepts("EXCEPTION_CLASS");
        story(Code::ExcInventory).rejects("EXCEPTION_CLASS", "payment.capture");
        story(Code::ExcPartner).rejects("EXCEPTION_CLASS", "payment.capture");
    }

    #[test]
    fn what_a_timer_raises_fits_a_trouble_of_the_order() {
        let story = |op, code| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1).entry(Kind::Fault, 1, op, |m| m.key = Id(5));
            raised(&mut h, code, Id::NONE);
            h
        };
        story(Op::CarrierLabel, Code::ExcPartner).accepts("EXCEPTION_CLASS");
        story(Op::CarrierLabel, Code::ExcCarrier).accepts("EXCEPTION_CLASS");
        story(Op::CarrierLabel, Code::ExcFraud).rejects("EXCEPTION_CLASS", "of exc_carrier or exc_partner");
        let (mut h, _) = refused();
        raised(&mut h, Code::ExcFraud, Id::NONE).rejects("EXCEPTION_CLASS", "of exc_inventory");
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).answer(1, Op::PaymentCapture, Id(40), Outcome::Ok);
        raised(&mut h, Code::ExcFraud, Id::NONE).leaves_open("EXCEPTION_CLASS");
    }

    #[test]
    fn an_exception_without_a_class_is_not_judged() {
        let (mut h, id) = refused();
        raised(&mut h, Code::None, id);
        assert_eq!(h.judge().verdict_of("EXCEPTION_CLASS"), Verdict::NotExercised);
    }
}
