//! PROGRESS: what is due is done in time, whether or not it is done in the end.

use super::account::Account;
use super::owed::value_left;
use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Code, Fid, Fulfil, Id, Money, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::sim::{Span, Timestamp};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "PROGRESS",
    summary: "what is due is done in time",
    definition: "Deadlines of the target's own work, declared in the policies: from the moment that an order is paid, screened (whatever it asked for is answered well), reserved and past its `remorse_hold_s`, every unit reserved is with its node (`node.release` in the node's book) within `release_within_s`; a parcel that left or was handed over is captured within `capture_within_s` (policy `capture` = `on_ship`); goods of a return that were inspected are refunded within `refund_within_s` (policy `refund` = `on_inspection`). 0 demands nothing. A deadline is extended by the time from the order's first fault to the calm, and by that in which the target was down, as far as they overlap.",
    needs: "partners' facts, calls and answers; for the release `inventory.reserved` events",
    traps: "business waits run before the clock starts: reviews, the remorse hold, lines of a ship-complete order that wait for goods; an order that is being cancelled, is parked with an exception, or whose node refused it owes no release; a store's hours and a pickup's hold are the node's and the shopper's time, not the target's; a deadline that is still running when the record ends is unknown, and so is what a lost event may have settled",
    facts_only: false,
};

/// What begins a deadline or ends it, and what changes whether an order can be released.
const FACTS: &[Op] = &[
    Op::NodeRelease,
    Op::CbNodeShipped,
    Op::CbNodeCollected,
    Op::CbNodeRejected,
    Op::CbNodeShortPicked,
    Op::CbNodeInspected,
    Op::PaymentAuthorize,
    Op::PaymentCapture,
    Op::PaymentVoid,
    Op::PaymentRefund,
    Op::CbPaymentExpired,
];
const EVENTS: &[Op] = &[
    Op::InventoryReserved,
    Op::InventoryReleased,
    Op::LineBackordered,
    Op::LineCancelled,
    Op::ExchangeCreated,
    Op::ExceptionRaised,
    Op::OrderCancelled,
    Op::OrderRejected,
    Op::OrderCompleted,
];

#[derive(Clone, Copy)]
struct Since {
    at: Timestamp,
    n: u64,
}

/// What one order waits for.
#[derive(Default)]
struct Waits {
    /// screenings asked for, and those that said yes
    asked: SmallVec<[Op; 2]>,
    good: SmallVec<[Op; 2]>,
    /// units taken on by nodes
    handed: SmallVec<[(NodeId, SkuId, i64); 2]>,
    /// ready to be released
    ready: Option<Since>,
    /// parcels that left and are not captured
    gone: SmallVec<[(u64, Since); 1]>,
    /// fulfillments captured
    captured: SmallVec<[u64; 1]>,
    /// returns inspected and not refunded
    back: SmallVec<[(Id, Since); 1]>,
    refunded: SmallVec<[Id; 1]>,
}

#[derive(Default)]
pub(super) struct Progress {
    orders: PerOrder<Waits>,
}

/// A deadline that was met late, or is not met yet.
struct Late {
    took: Span,
    limit: Span,
    credit: Span,
}

impl Late {
    fn of(since: Since, to: Timestamp, limit_s: u64, account: &Account, ctx: &Context<'_>) -> Late {
        let credit = ctx.ledger.credit(account, ctx.header).between(since.at, to);
        Late { took: to.since(since.at), limit: Span::from_secs(limit_s), credit }
    }
    fn is_late(&self) -> bool {
        self.took > self.limit + self.credit
    }
    fn expected(&self, rule: &str) -> String {
        let more = if self.credit.0 == 0 { String::new() } else { format!(", and {} more for faults", self.credit) };
        format!("{rule} within {}{more}, as the target's policies declare", self.limit)
    }
}

const RELEASED: &str = "what is paid, screened and reserved goes to its node";
const CAPTURED: &str = "what left is captured";
const REFUNDED: &str = "what came back and was inspected is refunded";

impl Checker for Progress {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Fact => FACTS.contains(&op),
            Kind::Call | Kind::Answer => matches!(op, Op::FraudScreen | Op::AddressValidate),
            Kind::Sent => matches!(op, Op::CbFraudDecided | Op::CancelOrder | Op::RequestReturn | Op::RequestExchange),
            Kind::Event => EVENTS.contains(&op),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        let Some(account) = ctx.account.filter(|account| account.placed.is_set()) else { return };
        let Some(place) = ctx.place else { return };
        let waits = self.orders.entry(place);
        let policies = &ctx.header.fixture.policies;
        let here = Since { at: e.at, n: e.n };
        match (e.kind, m.op) {
            (Kind::Call, op) if !waits.asked.contains(&op) => waits.asked.push(op),
            (Kind::Answer, op) if e.outcome != Outcome::Error && matches!(m.code, Code::Accept | Code::Valid | Code::Corrected) => {
                waits.good.push(op)
            }
            (Kind::Sent, Op::CbFraudDecided) if m.code == Code::Accept => waits.good.push(Op::FraudScreen),
            (Kind::Fact, Op::NodeRelease) => {
                for q in &m.lines {
                    match waits.handed.iter_mut().find(|(node, sku, _)| (*node, *sku) == (m.node, q.sku)) {
                        Some((.., qty)) => *qty += i64::from(q.qty),
                        None => waits.handed.push((m.node, q.sku, i64::from(q.qty))),
                    }
                }
            }
            (Kind::Fact, Op::CbNodeShipped | Op::CbNodeCollected)
                if policies.capture == "on_ship"
                    && policies.capture_within_s > 0
                    && is_own(m.fulfillment, m.ret, account)
                    && !waits.captured.contains(&m.fulfillment.0) =>
            {
                waits.gone.push((m.fulfillment.0, here));
            }
            (Kind::Fact, Op::PaymentCapture) => {
                let (met_now, left) = waits.gone.iter().copied().partition(|(fid, _)| m.fulfillment.is_none() || *fid == m.fulfillment.0);
                let done: SmallVec<[(u64, Since); 1]> = met_now;
                waits.gone = left;
                waits.captured.push(m.fulfillment.0);
                done.into_iter().for_each(|(_, since)| met(CAPTURED, since, here, policies.capture_within_s, account, ctx));
            }
            (Kind::Fact, Op::CbNodeInspected) | (Kind::Sent, Op::RequestReturn) if policies.refund == "on_inspection" => {
                // goods may come before anybody asked: both are needed
                let due = account.ret(m.ret).is_some_and(|ret| ret.requested.is_set() && ret.inspected.is_set() && !ret.exchange);
                if due && policies.refund_within_s > 0 && !waits.refunded.contains(&m.ret) && !waits.back.iter().any(|(ret, _)| *ret == m.ret) {
                    waits.back.push((m.ret, here));
                }
            }
            (Kind::Fact, Op::PaymentRefund) => {
                let (met_now, left) = waits.back.iter().copied().partition(|(ret, _)| m.ret.is_none() || *ret == m.ret);
                let done: SmallVec<[(Id, Since); 1]> = met_now;
                waits.back = left;
                waits.refunded.push(m.ret);
                done.into_iter().for_each(|(_, since)| met(REFUNDED, since, here, policies.refund_within_s, account, ctx));
            }
            _ => {}
        }
        if policies.release_within_s == 0 {
            return;
        }
        let begins = account.offered + Span::from_secs(policies.remorse_hold_s);
        match (waits.ready, is_ready(account, waits)) {
            (None, true) => waits.ready = Some(Since { at: here.at.max(begins), n: here.n }),
            // released, or no longer to be released: either way it had waited so long
            (Some(since), false) => {
                waits.ready = None;
                met(RELEASED, since, here, policies.release_within_s, account, ctx);
            }
            _ => {}
        }
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        self.orders.close(ctx.place, |waits| settle_one(waits, ctx));
    }
}

/// Judges one order that is not heard of any more.
fn settle_one(waits: &Waits, ctx: &mut Context<'_>) {
    let Some(account) = ctx.account else { return };
    let policies = &ctx.header.fixture.policies;
    // whose books are not in the record cannot show that something was not done
    if let Some(since) = waits.ready.filter(|_| ctx.covers.facts(&[Op::NodeRelease])) {
        owed(RELEASED, "is not with its node", since, policies.release_within_s, account, ctx);
    }
    let unpaid = ctx.covers.facts(&[Op::PaymentCapture]) && !account.exception.is_set();
    if unpaid && value_left(account) > account.sum(super::account::Flow::Captured, true) {
        for (fid, since) in &waits.gone {
            owed(CAPTURED, &format!("is not captured for F{fid:x}"), *since, policies.capture_within_s, account, ctx);
        }
    }
    let kept = ctx.covers.facts(&[Op::PaymentRefund]);
    for (id, since) in waits.back.iter().filter(|_| kept) {
        let Some(ret) = account.ret(*id) else { continue };
        let worth = account.lines.iter().any(|line| line.total > Money::ZERO && ret.units().iter().any(|q| q.line == line.line));
        if worth && !ret.is_off() && (ret.accepted || ret.authorized.is_set()) && !account.exception.is_set() {
            owed(REFUNDED, &format!("is not refunded for return {id}"), *since, policies.refund_within_s, account, ctx);
        }
    }
}

/// Not a parcel of an exchange: that one is paid by the goods that come back.
fn is_own(fulfillment: Fid, ret: Id, account: &Account) -> bool {
    ret.is_none() && account.parcel(fulfillment).is_none_or(|parcel| parcel.ret.is_none())
}

/// Units reserved that no node was given.
fn unreleased(account: &Account, waits: &Waits) -> i64 {
    let handed = |node, sku| waits.handed.iter().filter(|(n, s, _)| (*n, *s) == (node, sku)).map(|(.., qty)| qty).sum::<i64>();
    account.held.iter().map(|held| (held.reserved - held.released - handed(held.node, held.sku)).max(0)).sum()
}

/// Everything that the release waits for is there.
fn is_ready(account: &Account, waits: &Waits) -> bool {
    let Some(body) = account.body.as_ref().filter(|_| !account.held.is_empty()) else { return false };
    let paid = || {
        let total = body.total();
        total == Money::ZERO || account.auths.iter().map(|auth| auth.open()).sum::<i64>() >= total.0 - value_left(account)
    };
    let stopped = account.cancel_sent.is_set() || !account.ends.is_empty() || account.exception.is_set() || !account.unhelpful.is_empty();
    let other = account.returns.iter().any(|ret| ret.exchange);
    let whole = !body.ship_complete || account.lines.iter().all(|line| line.need() <= 0);
    let pickup = body.lines.iter().any(|line| line.fulfil == Fulfil::Pickup);
    // both screens were asked for (an address only where something is sent), and said yes
    let screened = waits.asked.iter().all(|op| waits.good.contains(op)) && waits.asked.len() >= if pickup { 1 } else { 2 };
    // what costs most to say is asked last
    !stopped && !other && screened && unreleased(account, waits) > 0 && whole && paid()
}

fn met(rule: &str, since: Since, done: Since, limit_s: u64, account: &Account, ctx: &mut Context<'_>) {
    if limit_s == 0 {
        return;
    }
    ctx.judged();
    let late = Late::of(since, done.at, limit_s, account, ctx);
    if late.is_late() {
        let what = format!("{}: {rule}, but that took {}", account.no, late.took);
        ctx.fail(account.no, what, late.expected(rule), vec![since.n, account.first_fault.n, done.n]);
    } else if late.took > late.limit {
        ctx.excuse();
    }
}

fn owed(rule: &str, lacks: &str, since: Since, limit_s: u64, account: &Account, ctx: &mut Context<'_>) {
    ctx.judged();
    let late = Late::of(since, ctx.ledger.now, limit_s, account, ctx);
    if ctx.suspended || !late.is_late() {
        return ctx.unknown();
    }
    let what = format!("{} {lacks}, {} after it was due to begin", account.no, late.took);
    ctx.fail(account.no, what, late.expected(rule), vec![since.n, account.first_fault.n, account.last.n]);
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Code, Id, Op, Outcome};
    use crate::sim::Span;

    fn cleared() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE).authorize(1, 50, 4800);
        h.call(1, Op::FraudScreen, |_| {}).call(1, Op::AddressValidate, |_| {});
        h.said(1, Op::FraudScreen, Code::Accept).said(1, Op::AddressValidate, Code::Valid);
        h
    }
    fn shipped() -> Story {
        let mut h = cleared();
        h.node_release(1, 1, DC1, &[(1, A, 1)]).wait(Span::from_hours(6)).ship(1, 1, DC1, &[(1, A, 1)]);
        h
    }
    fn hours(h: u64) -> Span {
        Span::from_hours(h)
    }

    #[test]
    fn accepts_what_is_done_in_time() {
        shipped().capture(1, 50, 4800).complete(1).wait(hours(9)).complete(2).accepts("PROGRESS");
    }

    #[test]
    fn rejects_a_release_that_comes_late_or_never() {
        let mut h = cleared();
        h.wait(hours(2)).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.rejects("PROGRESS", "but that took 2h");
        let mut h = cleared();
        h.wait(hours(2)).place(2, &[(1, A, 1)]);
        h.rejects("PROGRESS", "is not with its node");
    }

    #[test]
    fn a_review_and_a_remorse_hold_are_no_delay() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE).authorize(1, 50, 4800);
        h.call(1, Op::FraudScreen, |_| {}).call(1, Op::AddressValidate, |_| {});
        h.said(1, Op::FraudScreen, Code::Review).said(1, Op::AddressValidate, Code::Valid).wait(hours(4));
        h.sent(1, Op::CbFraudDecided, |m| m.code = Code::Accept);
        h.node_release(1, 1, DC1, &[(1, A, 1)]).accepts("PROGRESS");
        for (hold, verdict) in [(2 * 3600, Verdict::Pass), (1800, Verdict::Fail)] {
            let mut h = cleared();
            h.header.fixture.policies.remorse_hold_s = hold;
            h.wait(hours(2)).node_release(1, 1, DC1, &[(1, A, 1)]);
            assert_eq!(h.judge().verdict_of("PROGRESS"), verdict, "hold {hold} s");
        }
        // the hold begins when the order is taken, and not while it is turned away
        for (answer, verdict) in [(Outcome::Refused, Verdict::Pass), (Outcome::TimedOut, Verdict::Fail)] {
            let mut h = Story::new();
            h.header.fixture.policies.remorse_hold_s = 3600;
            let body = h.body(&[(1, A, 1)]);
            let id = h.sent(1, Op::PlaceOrder, |m| m.body = Some(body));
            h.reply(id, answer).wait(hours(2)).place(1, &[(1, A, 1)]);
            h.accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE).authorize(1, 50, 4800);
            h.call(1, Op::FraudScreen, |_| {}).call(1, Op::AddressValidate, |_| {});
            h.said(1, Op::FraudScreen, Code::Accept).said(1, Op::AddressValidate, Code::Valid);
            h.wait(hours(1)).node_release(1, 1, DC1, &[(1, A, 1)]);
            assert_eq!(h.judge().verdict_of("PROGRESS"), verdict, "{answer:?}");
        }
    }

    #[test]
    fn a_fault_extends_the_deadline_until_the_calm_and_that_is_counted() {
        for (calm, verdict) in [(9, Verdict::Pass), (1, Verdict::Fail)] {
            let mut h = cleared();
            h.header.calm_ns = hours(calm).0;
            h.fault(1, Id(7)).wait(hours(5)).node_release(1, 1, DC1, &[(1, A, 1)]);
            let judgement = h.judge();
            assert_eq!(judgement.verdict_of("PROGRESS"), verdict, "calm after {calm} h");
            let excused = judgement.results.iter().find(|r| r.name == "PROGRESS").map(|r| r.excused);
            assert_eq!(excused, Some(u64::from(verdict == Verdict::Pass)));
        }
    }

    #[test]
    fn rejects_a_capture_and_a_refund_that_come_late_or_never() {
        shipped().wait(hours(1)).capture(1, 50, 4800).rejects("PROGRESS", "what left is captured, but that took 1h");
        shipped().wait(hours(1)).place(2, &[(1, A, 1)]).rejects("PROGRESS", "is not captured for F1");
        let returned = || {
            let mut h = shipped();
            h.capture(1, 50, 4800).complete(1).request_return(1, 0x900, &[(1, A, 1)]).wait(hours(99)).give_back(1, 0x900, &[(1, A, 1)]);
            h
        };
        returned().refund(1, 50, 0x900, 4000).accepts("PROGRESS");
        returned().wait(hours(2)).refund(1, 50, 0x900, 4000).rejects("PROGRESS", "refunded, but that took 2h");
        returned().wait(hours(2)).place(2, &[(1, A, 1)]).rejects("PROGRESS", "is not refunded for return 900");
    }

    #[test]
    fn a_parcel_of_an_exchange_and_goods_that_cost_nothing_owe_no_money() {
        let mut h = shipped();
        h.capture(1, 50, 4800).complete(1).exchange(1, 0x900, &[(1, A, 1)], &[(2, B, 1, 4000)]);
        h.claim(1, Op::ExchangeCreated, |m| in_return(m, 0x900, &[(2, B, 1)])).fact(1, Op::CbNodeShipped, |m| {
            parcel(m, 2);
            in_return(m, 0x900, &[(2, B, 1)]);
        });
        h.wait(hours(2)).place(2, &[(1, A, 1)]).accepts("PROGRESS");
        let mut h = Story::new();
        let mut body = crate::model::Order::clone(&h.body(&[(1, A, 1), (2, B, 1)]));
        body.lines[1].unit_price = crate::model::Money::ZERO;
        h.place_with(1, body.into(), Outcome::Ok).accept(1).ship(1, 1, DC1, &[(1, A, 1), (2, B, 1)]).capture(1, 50, 4800).complete(1);
        h.request_return(1, 0x900, &[(2, B, 1)]).give_back(1, 0x900, &[(2, B, 1)]);
        h.wait(hours(2)).place(2, &[(1, A, 1)]).accepts("PROGRESS");
    }

    #[test]
    fn what_is_still_running_when_the_record_ends_is_unknown() {
        assert_eq!(cleared().judge().verdict_of("PROGRESS"), Verdict::Unknown);
        assert_eq!(shipped().cut_short().verdict_of("PROGRESS"), Verdict::Unknown);
    }
}
