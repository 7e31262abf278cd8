//! TRACEABLE: whoever looks for an order finds all of it, and why each thing happened.

use super::per_order::PerOrder;
use super::{Arrival, Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Class, Id, Op, OrderNo};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "TRACEABLE",
    summary: "everything about an order carries its correlation, and names its cause",
    definition: "Every event and every partner call of an order carries the `corr` that the client sent with PlaceOrder, on each attempt and each delivery. Every one names a `cause`: a message about this order, the answer to a call of its, a feed, or (what a timer does) an event or call of the order's own. Any other cause is right only for an order that waits for goods, which another order may have set free. Each is demanded only of a target that sends such ids at all; in a record of another program, which may leave out what it likes, only correlations are compared.",
    needs: "`corr` of PlaceOrder; `corr` and `cause` of events and calls",
    traps: "an event may be heard before the one that it names, so an unknown cause is judged when the order is settled; a call that a fault kept from its partner is known by the fault; where an event is lost the cause may be that one: unknown; where the target went down while the order was open (our fault, or a connection that nobody took or that broke), a call may name an attempt that never left it: an excuse",
    facts_only: false,
};

/// Entries without an id that are remembered until it is known whether the target ever sends one.
const KEPT: usize = 5;
/// Open causes of one order.
const OPEN_MAX: usize = 8;

/// One sort of id: is it sent at all, and where was it missing before that was known?
#[derive(Default)]
struct Use {
    sent: bool,
    missing: Vec<(OrderNo, Op, u64)>,
}

/// Causes that were not the order's own when they were heard: which, of what, in which entry.
type Open = SmallVec<[(Id, Op, u64); 2]>;

#[derive(Default)]
pub(super) struct Traceable {
    corr: Use,
    cause: Use,
    open: PerOrder<Open>,
}

const CORR: &str = "whatever is about an order carries the order's correlation id, a resend too";
const CAUSE: &str = "an event or call names what caused it: a message or answer about its order, a feed, or what started its timer";

impl Use {
    fn there(&mut self, word: &str, expected: &'static str, ctx: &mut Context<'_>) {
        self.sent = true;
        if !self.missing.is_empty() {
            self.tell(word, expected, ctx);
        }
    }
    #[cold]
    fn tell(&mut self, word: &str, expected: &'static str, ctx: &mut Context<'_>) {
        for (order, op, n) in std::mem::take(&mut self.missing) {
            ctx.fail(order, format!("{op} of {order} (entry {n}) carries no {word}, though others do"), expected, vec![n]);
        }
    }
    fn absent(&mut self, word: &str, expected: &'static str, e: &Entry, ctx: &mut Context<'_>) {
        let order = e.msg.order;
        if !ctx.covers.is_whole() {
            return;
        }
        if self.sent {
            ctx.judged();
            ctx.fail(order, format!("{} of {order} (entry {}) carries no {word}, though others do", e.msg.op, e.n), expected, vec![e.n]);
        } else if self.missing.len() < KEPT {
            self.missing.push((order, e.msg.op, e.n));
        }
    }
}

impl Traceable {
    fn correlation(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let Some((wanted, placed)) = ctx.account.filter(|a| a.corr.is_some()).map(|a| (a.corr, a.placed.n)) else { return };
        if e.msg.corr.is_none() {
            return self.corr.absent("correlation id", CORR, e, ctx);
        }
        ctx.judged();
        self.corr.there("correlation id", CORR, ctx);
        if e.msg.corr != wanted {
            let what = format!("{} of {} (entry {}) carries correlation {}, the order's is {wanted}", e.msg.op, e.msg.order, e.n, e.msg.corr);
            ctx.fail(e.msg.order, what, CORR, vec![placed, e.n]);
        }
    }
}

impl Checker for Traceable {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, _: Op) -> bool {
        matches!(kind, Kind::Event | Kind::Call)
    }
    fn hears_again(&self) -> bool {
        true
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if m.order.is_none() {
            return;
        }
        self.correlation(e, ctx);
        if m.cause.is_none() {
            return self.cause.absent("cause", CAUSE, e, ctx);
        }
        ctx.judged();
        self.cause.there("cause", CAUSE, ctx);
        let unknown = ctx.covers.is_whole() && !ctx.can_cause(m.cause);
        let Some(place) = ctx.place.filter(|_| unknown) else { return };
        let open = self.open.entry(place);
        if open.len() < OPEN_MAX && !open.iter().any(|(id, ..)| *id == m.cause) {
            open.push((m.cause, m.op, e.n));
        }
    }

    fn again(&mut self, e: &Entry, _: Arrival, ctx: &mut Context<'_>) {
        if e.msg.order.is_some() {
            self.correlation(e, ctx);
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Some(open) = ctx.place.and_then(|place| self.open.remove(place)) else { return };
        let Some(account) = ctx.account else { return };
        let waited = account.lines.iter().any(|line| line.backordered.is_set());
        for (id, op, n) in open {
            // whoever waits for goods is served when another order gives them back
            if waited || ctx.can_cause(id) {
                continue;
            }
            if ctx.suspended || !ctx.at_rest {
                ctx.unknown();
                continue;
            }
            // a first attempt that died with the target, before it had left it
            if op.class() == Class::Call && ctx.ledger.was_down_since(account.placed.at) {
                ctx.excuse();
                continue;
            }
            let what = format!("{op} of {order} (entry {n}) names as its cause {id}, which is no message about it, and nothing that it did");
            ctx.fail(order, what, CAUSE, vec![account.placed.n, n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Id, Message, Op, Outcome};

    const CORR: Id = Id(0x102);

    fn placed() -> (Story, Id) {
        let mut h = Story::new();
        let body = h.body(&[(1, D, 1)]);
        let place = h.sent(1, Op::PlaceOrder, |m| (m.body, m.corr) = (Some(body), CORR));
        (h, place)
    }
    fn with(corr: Id, cause: Id) -> impl FnOnce(&mut Message) {
        move |m| (m.corr, m.cause) = (corr, cause)
    }

    #[test]
    fn accepts_the_orders_correlation_and_causes_that_are_known_even_if_only_later() {
        let (mut h, place) = placed();
        h.event(1, Op::OrderAccepted, with(CORR, place));
        let held = h.hold_event(1, Op::OrderHeld, with(CORR, place));
        let hold = h.held_id(held);
        h.event(1, Op::OrderHoldReleased, with(CORR, hold));
        h.call(1, Op::NodeRelease, with(CORR, hold));
        h.deliver(held).accepts("TRACEABLE");
    }

    #[test]
    fn a_target_that_sends_no_ids_is_not_exercised() {
        let (mut h, _) = placed();
        h.accept(1).call(1, Op::PaymentAuthorize, |_| {});
        assert_eq!(h.judge().verdict_of("TRACEABLE"), Verdict::NotExercised);
    }

    #[test]
    fn rejects_a_call_that_lost_the_correlation_and_one_that_carries_anothers() {
        for (corr, says) in [(Id::NONE, "carries no correlation id"), (Id(0x202), "carries correlation 202, the order's is 102")] {
            let (mut h, place) = placed();
            h.event(1, Op::OrderAccepted, with(CORR, place));
            h.call(1, Op::PaymentCapture, with(corr, place)).rejects("TRACEABLE", says);
            let (mut h, place) = placed();
            h.call(1, Op::PaymentCapture, with(corr, place)).event(1, Op::OrderAccepted, with(CORR, place));
            h.rejects("TRACEABLE", says);
        }
    }

    #[test]
    fn rejects_an_event_that_is_delivered_again_without_its_correlation() {
        let (mut h, place) = placed();
        let accepted = h.event(1, Op::OrderAccepted, with(CORR, place));
        h.again_with(accepted, |m| m.corr = Id::NONE);
        h.rejects("TRACEABLE", "carries no correlation id");
    }

    #[test]
    fn rejects_a_cause_that_nobody_sent_and_leaves_it_open_where_an_event_is_lost() {
        let (mut h, place) = placed();
        h.event(1, Op::OrderAccepted, with(CORR, place));
        h.event(1, Op::RiskAssessed, with(CORR, Id(0xdead)));
        h.rejects("TRACEABLE", "names as its cause dead, which is no message about it");
        h.hold_event(1, Op::OrderHeld, |_| {});
        h.event(1, Op::AddressValidated, with(CORR, place));
        h.leaves_open("TRACEABLE");
    }

    #[test]
    fn a_call_after_a_crash_may_name_an_attempt_that_never_left_the_target_but_an_event_may_not() {
        let story = |down: bool, call: bool| {
            let (mut h, place) = placed();
            h.event(1, Op::OrderAccepted, with(CORR, place));
            if down {
                h.target(Op::TargetCrashed).target(Op::TargetRestarted);
            }
            if call {
                h.call(1, Op::NotificationSend, with(CORR, Id(0xdead)));
            } else {
                h.event(1, Op::RiskAssessed, with(CORR, Id(0xdead)));
            }
            h
        };
        // killed by somebody else: all that is seen of it is a connection that nobody took, and that no fault of ours kept from it
        let killed = |fault: bool, outcome: Outcome| {
            let mut h = story(false, true);
            let id = h.sent(1, Op::CancelOrder, |_| {});
            if fault {
                h.fault(1, id);
            }
            h.reply(id, outcome);
            h
        };
        killed(false, Outcome::Refused).accepts("TRACEABLE");
        killed(false, Outcome::TimedOut).accepts("TRACEABLE");
        killed(false, Outcome::Rejected).rejects("TRACEABLE", "names as its cause dead");
        killed(true, Outcome::TimedOut).rejects("TRACEABLE", "names as its cause dead");
        story(true, true).accepts("TRACEABLE");
        story(true, false).rejects("TRACEABLE", "names as its cause dead");
        story(false, true).rejects("TRACEABLE", "names as its cause dead");
    }

    #[test]
    fn a_cause_of_another_order_is_right_only_for_who_waits() {
        let (mut h, place) = placed();
        h.event(1, Op::OrderAccepted, with(CORR, place));
        let other = h.place(2, &[(1, D, 1)]).cancel(2);
        h.event(1, Op::InventoryReserved, with(CORR, other));
        h.rejects("TRACEABLE", "which is no message about it");
        h.event(1, Op::LineBackordered, |m| {
            lines(m, &[(1, D, 1)]);
            (m.corr, m.cause) = (CORR, place);
        });
        h.accepts("TRACEABLE");
    }
}
