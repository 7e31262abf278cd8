//! PRECEDENCE: the life of an order goes one way, by the target's own numbering.

use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Op, OrderNo};

pub(super) const ABOUT: Invariant = Invariant {
    name: "PRECEDENCE",
    summary: "the life of an order goes one way",
    definition: "Per order, events in the order of their `seq`: `order.accepted` is the first of all; the order's `payment.authorized` comes before any `fulfillment.released`; of one fulfillment `fulfillment.allocated`, `.released`, `.accepted`, `.picked`, `.packed` or `.ready_for_pickup`, `shipment.shipped` or `fulfillment.picked_up`, `shipment.in_transit`, `shipment.delivered` come in this order, and its `payment.captured` after it left (where the policy `capture` is `on_ship`); of one return `return.received`, `.inspected`, `.restocked` or `.scrapped`; nothing of a fulfillment of the order's own is released, shipped or captured after `order.completed`. A step that never comes is not this rule's business.",
    needs: "events with `seq`",
    traps: "arrival order is not real order: events wait for those before them, and what stands behind one that never came is unknown; events without `seq` are not compared; fulfillments and payments of an exchange come after the end of their order",
    facts_only: false,
};

/// What an event is about, for a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    Order,
    Fulfillment,
    Return,
}

/// `earlier` must not follow `later`, about the same object.
struct Rule {
    earlier: Op,
    later: &'static [Op],
    of: Of,
}

const GONE: [Op; 2] = [Op::ShipmentShipped, Op::FulfillmentPickedUp];
const RULES: &[Rule] = &[
    Rule { earlier: Op::PaymentAuthorized, later: &[Op::FulfillmentReleased], of: Of::Order },
    Rule { earlier: Op::FulfillmentAllocated, later: &[Op::FulfillmentReleased, GONE[0], GONE[1], Op::ShipmentDelivered], of: Of::Fulfillment },
    Rule {
        earlier: Op::FulfillmentReleased,
        later: &[Op::FulfillmentAccepted, GONE[0], GONE[1], Op::ShipmentDelivered, Op::PaymentCaptured],
        of: Of::Fulfillment,
    },
    Rule { earlier: Op::FulfillmentAccepted, later: &[Op::FulfillmentPicked, Op::FulfillmentPacked, GONE[0], GONE[1]], of: Of::Fulfillment },
    Rule { earlier: Op::FulfillmentPicked, later: &[Op::FulfillmentPacked, Op::FulfillmentReady, GONE[0], GONE[1]], of: Of::Fulfillment },
    Rule { earlier: Op::FulfillmentPacked, later: &[GONE[0]], of: Of::Fulfillment },
    Rule { earlier: Op::FulfillmentReady, later: &[GONE[1]], of: Of::Fulfillment },
    Rule { earlier: GONE[0], later: &[Op::ShipmentInTransit, Op::ShipmentDelivered, Op::PaymentCaptured], of: Of::Fulfillment },
    Rule { earlier: GONE[1], later: &[Op::PaymentCaptured], of: Of::Fulfillment },
    Rule { earlier: Op::ShipmentInTransit, later: &[Op::ShipmentDelivered], of: Of::Fulfillment },
    Rule { earlier: Op::ReturnReceived, later: &[Op::ReturnInspected, Op::ReturnRestocked, Op::ReturnScrapped], of: Of::Return },
    Rule { earlier: Op::ReturnInspected, later: &[Op::ReturnRestocked, Op::ReturnScrapped], of: Of::Return },
    Rule { earlier: Op::FulfillmentReleased, later: &[Op::OrderCompleted], of: Of::Order },
    Rule { earlier: GONE[0], later: &[Op::OrderCompleted], of: Of::Order },
    Rule { earlier: GONE[1], later: &[Op::OrderCompleted], of: Of::Order },
    Rule { earlier: Op::PaymentCaptured, later: &[Op::OrderCompleted], of: Of::Order },
];

#[derive(Clone, Copy)]
struct Step {
    seq: u32,
    op: Op,
    fulfillment: u64,
    ret: u64,
    n: u64,
}

impl Step {
    /// The object of a rule, or none where the rule is not about this event.
    fn object(&self, of: Of) -> Option<u64> {
        match of {
            // what belongs to an exchange has a life of its own
            Of::Order => (self.ret == 0).then_some(0),
            Of::Fulfillment => Some(self.fulfillment).filter(|id| *id != 0),
            Of::Return => Some(self.ret).filter(|id| *id != 0),
        }
    }
}

#[derive(Default)]
struct Life {
    next: u32,
    waiting: Vec<Step>,
    /// steps that a rule names as later
    seen: Vec<Step>,
    accepted: bool,
    first: Option<Step>,
}

pub(super) struct Precedence {
    orders: PerOrder<Life>,
    /// by operation: the rules that name it as the earlier step, and whether any names it as a later one
    rules: Vec<(Vec<&'static Rule>, bool)>,
}

impl Default for Precedence {
    fn default() -> Precedence {
        let of = |op: &Op| (RULES.iter().filter(|rule| rule.earlier == *op).collect(), RULES.iter().any(|rule| rule.later.contains(op)));
        Precedence { orders: PerOrder::default(), rules: Op::ALL.iter().map(of).collect() }
    }
}

impl Checker for Precedence {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, _: Op) -> bool {
        kind == Kind::Event
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if m.order.is_none() || m.seq == 0 {
            return;
        }
        let Some(place) = ctx.place else { return };
        let Precedence { orders, rules } = self;
        let life = orders.entry(place);
        let step = Step { seq: m.seq, op: m.op, fulfillment: m.fulfillment.0, ret: m.ret.0, n: e.n };
        if step.seq == life.next + 1 && life.waiting.is_empty() {
            life.next = step.seq;
            return take(rules, life, step, m.order, ctx);
        }
        life.waiting.push(step);
        while let Some(at) = life.waiting.iter().position(|step| step.seq <= life.next + 1) {
            let step = life.waiting.swap_remove(at);
            life.next = life.next.max(step.seq);
            take(rules, life, step, m.order, ctx);
        }
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        if ctx.place.and_then(|place| self.orders.remove(place)).is_some_and(|life| !life.waiting.is_empty()) {
            ctx.unknown();
        }
    }
}

fn take(rules: &[(Vec<&Rule>, bool)], life: &mut Life, step: Step, order: OrderNo, ctx: &mut Context<'_>) {
    let (rules, is_later) = &rules[step.op as usize];
    if life.first.is_none() {
        life.first = Some(step);
    }
    if step.op == Op::OrderAccepted {
        let first = life.first.unwrap_or(step);
        ctx.judged();
        if !life.accepted && first.n != step.n {
            let what = format!("{order} was accepted (#{}) after {} of its had come (#{})", step.seq, first.op, first.seq);
            ctx.fail(order, what, "an order is accepted before anything else happens to it", vec![first.n, step.n]);
        }
        life.accepted = true;
    }
    for rule in rules {
        let Some(object) = step.object(rule.of) else { continue };
        ctx.judged();
        let is_late = |seen: &&Step| {
            let counts = || seen.op != Op::PaymentCaptured || !GONE.contains(&step.op) || ctx.header.fixture.policies.capture == "on_ship";
            rule.later.contains(&seen.op) && seen.object(rule.of) == Some(object) && counts()
        };
        if let Some(seen) = life.seen.iter().find(is_late) {
            let whose = match rule.of {
                Of::Order => String::new(),
                Of::Fulfillment => format!(" for F{object:x}"),
                Of::Return => format!(" for return {object:x}"),
            };
            let what = format!("{} of {order} is #{}, after {}, #{}{whose}", step.op, step.seq, seen.op, seen.seq);
            ctx.fail(order, what, format!("{} comes before {}, by the target's own numbers", step.op, seen.op), vec![seen.n, step.n]);
        }
    }
    if *is_later {
        life.seen.push(step);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Op};

    fn told(ops: &[Op]) -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]);
        for op in ops {
            h.event(1, *op, |m| parcel(m, 1));
        }
        h
    }

    #[test]
    fn accepts_a_life_in_its_order_however_it_is_heard() {
        let mut h = Story::new();
        h.plain_order(1);
        h.accepts("PRECEDENCE");
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]);
        let ops = [Op::OrderAccepted, Op::PaymentAuthorized, Op::FulfillmentReleased, Op::ShipmentShipped, Op::PaymentCaptured, Op::OrderCompleted];
        let held: Vec<usize> = ops.into_iter().map(|op| h.hold_event(1, op, |m| parcel(m, 1))).collect();
        for event in held.into_iter().rev() {
            h.deliver(event);
        }
        h.accepts("PRECEDENCE");
    }

    #[test]
    fn rejects_each_pair_the_other_way_round() {
        let wrong = [
            [Op::FulfillmentReleased, Op::PaymentAuthorized],
            [Op::ShipmentShipped, Op::FulfillmentReleased],
            [Op::PaymentCaptured, Op::ShipmentShipped],
            [Op::ShipmentShipped, Op::FulfillmentPacked],
            [Op::FulfillmentPacked, Op::FulfillmentPicked],
            [Op::FulfillmentPicked, Op::FulfillmentAccepted],
            [Op::FulfillmentPickedUp, Op::FulfillmentReady],
            [Op::PaymentCaptured, Op::FulfillmentPickedUp],
            [Op::ShipmentDelivered, Op::ShipmentInTransit],
            [Op::ShipmentInTransit, Op::ShipmentShipped],
            [Op::OrderCompleted, Op::PaymentCaptured],
            [Op::OrderCompleted, Op::ShipmentShipped],
        ];
        for [first, then] in wrong {
            let finding = told(&[Op::OrderAccepted, first, then]).rejects("PRECEDENCE", &format!("{then} of O1 is #3, after {first}, #2"));
            assert_eq!(finding.evidence.len(), 2);
        }
        told(&[Op::RiskAssessed, Op::OrderAccepted]).rejects("PRECEDENCE", "was accepted (#2) after risk.assessed");
    }

    #[test]
    fn a_return_is_received_before_it_is_inspected() {
        let mut h = told(&[Op::OrderAccepted]);
        h.event(1, Op::ReturnInspected, |m| m.ret = Id(9));
        h.event(1, Op::ReturnReceived, |m| m.ret = Id(9));
        h.rejects("PRECEDENCE", "for return 9");
    }

    #[test]
    fn other_fulfillments_and_exchanges_are_not_compared() {
        let mut h = told(&[Op::OrderAccepted, Op::ShipmentShipped]);
        h.event(1, Op::FulfillmentReleased, |m| parcel(m, 2));
        h.complete(1);
        h.event(1, Op::FulfillmentReleased, |m| {
            parcel(m, 3);
            m.ret = Id(9);
        });
        h.accepts("PRECEDENCE");
    }

    #[test]
    fn what_stands_behind_a_lost_event_is_unknown() {
        let mut h = told(&[Op::OrderAccepted]);
        h.hold_event(1, Op::ShipmentShipped, |m| parcel(m, 1));
        h.event(1, Op::PaymentCaptured, |m| parcel(m, 1));
        assert_eq!(h.judge().verdict_of("PRECEDENCE"), Verdict::Unknown);
    }
}
