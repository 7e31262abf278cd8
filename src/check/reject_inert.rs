//! REJECT_INERT: a no is a no.

use super::per_order::PerOrder;
use super::{Account, Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Class, Code, Id, Op, OrderNo, Outcome};
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "REJECT_INERT",
    summary: "a command that is answered with a definite no has no effect",
    definition: "Per command answered `rejected`: no event whose `cause` is that command says that something was done (accepted, reserved, released, allocated, cancelled, backordered, authorized, created, ..), and no call with that `cause` has a fact. Per order whose every definite answer to PlaceOrder was `rejected`: no node takes on a release, nothing leaves, no money is captured, and `order.accepted` is never said, by whatever cause. And what comes harmed (cut short, garbled, signed by somebody else) is never answered with a yes.",
    needs: "the commands, their replies, `cause` of events and calls, `key` of calls and facts; for what came harmed, the `fault` with the `outcome` of it",
    traps: "saying no is no effect: `order.rejected`, `order.cancel_requested`, `order.cancel_rejected`, `return.rejected`, a notice, an exception, a screening. What the same command reserved and gave back, or authorized and voided, is undone. `error` and time-outs are not a no. `key_reuse` turns down the message, not the order that the key stands for.",
    facts_only: false,
};

struct Command {
    op: Op,
    id: Id,
    n: u64,
    refused: u64,
    code: Code,
    /// keys of calls that it caused
    calls: SmallVec<[Id; 2]>,
    /// what was done because of it
    done: SmallVec<[(Op, u64); 1]>,
    /// units reserved less units released because of it
    held: i64,
    reserved: u64,
    authorized: u64,
}

#[derive(Default)]
struct State {
    commands: SmallVec<[Command; 2]>,
    placed_no: u64,
    placed_yes: bool,
}

#[derive(Default)]
pub(super) struct RejectInert {
    orders: PerOrder<State>,
}

/// An event that says that something was done.
fn is_deed(op: Op) -> bool {
    matches!(
        op,
        Op::OrderAccepted
            | Op::OrderCancelled
            | Op::OrderCompleted
            | Op::LineBackordered
            | Op::LineCancelled
            | Op::FulfillmentAllocated
            | Op::FulfillmentReleased
            | Op::FulfillmentCancelled
            | Op::PaymentCaptured
            | Op::PaymentVoided
            | Op::PaymentRefunded
            | Op::ReturnAuthorized
            | Op::ReturnCancelled
            | Op::ExchangeCreated
    )
}

impl Checker for RejectInert {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Sent | Kind::Reply => op.class() == Class::Command,
            Kind::Fault => matches!(op.class(), Class::Command | Class::Feed | Class::Callback),
            Kind::Event => is_deed(op) || matches!(op, Op::InventoryReserved | Op::InventoryReleased),
            Kind::Call | Kind::Fact => op.class() == Class::Call && !matches!(op, Op::NotificationSend | Op::FraudScreen | Op::AddressValidate),
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let m = &e.msg;
        if e.kind == Kind::Fault {
            return harmed(e, ctx);
        }
        if m.order.is_none() {
            return;
        }
        let Some(place) = ctx.place else { return };
        let state = self.orders.entry(place);
        match e.kind {
            Kind::Sent => {
                if !state.commands.iter().any(|command| command.id == m.id) {
                    let (calls, done) = Default::default();
                    let (op, id, n) = (m.op, m.id, e.n);
                    state.commands.push(Command { op, id, n, refused: 0, code: Code::None, calls, done, held: 0, reserved: 0, authorized: 0 });
                }
            }
            Kind::Reply => {
                let no = e.outcome == Outcome::Rejected;
                if m.op == Op::PlaceOrder {
                    state.placed_yes |= matches!(e.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending);
                    if no && m.code != Code::KeyReuse {
                        state.placed_no = e.n;
                    }
                }
                if let Some(command) = state.commands.iter_mut().find(|command| no && command.id == m.id) {
                    (command.refused, command.code) = (e.n, m.code);
                }
            }
            Kind::Event => {
                let Some(command) = state.commands.iter_mut().find(|command| command.id == m.cause) else { return };
                let units: i64 = m.lines.iter().map(|q| i64::from(q.qty)).sum();
                match m.op {
                    Op::InventoryReserved => (command.held, command.reserved) = (command.held + units, e.n),
                    Op::InventoryReleased => {
                        command.held -= units;
                        if command.held < 0 {
                            command.done.push((m.op, e.n));
                        }
                    }
                    op => command.done.push((op, e.n)),
                }
            }
            Kind::Call => {
                if let Some(command) = state.commands.iter_mut().find(|command| command.id == m.cause) {
                    command.calls.push(m.key);
                }
            }
            _ => {
                let Some(command) = state.commands.iter_mut().find(|command| m.key.is_some() && command.calls.contains(&m.key)) else { return };
                match m.op {
                    Op::PaymentAuthorize => command.authorized = e.n,
                    Op::PaymentVoid if command.authorized != 0 => command.authorized = 0,
                    op => command.done.push((op, e.n)),
                }
            }
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        self.orders.close(ctx.place, |state| settle_one(order, state, ctx));
    }
}

/// Judges one order that is not heard of any more.
fn settle_one(order: OrderNo, state: &State, ctx: &mut Context<'_>) {
    let Some(account) = ctx.account else { return };
    let refused_order = state.placed_no != 0 && !state.placed_yes;
    let mut told = false;
    for command in state.commands.iter().filter(|command| command.refused != 0) {
        ctx.judged();
        let mut deeds: Vec<(String, u64)> = command.done.iter().map(|(op, n)| (op.to_string(), *n)).collect();
        // what it reserved or authorized may be undone by something else until rest
        if command.held > 0 && (ctx.at_rest && !ctx.suspended) && account.held.iter().any(|held| held.reserved > held.released) {
            deeds.push((format!("{} units reserved", command.held), command.reserved));
        }
        if command.authorized != 0 && ctx.at_rest && account.auths.iter().any(|auth| auth.open() > 0) {
            deeds.push(("money authorized".into(), command.authorized));
        }
        if deeds.is_empty() {
            continue;
        }
        told = true;
        let names: Vec<&str> = deeds.iter().map(|(name, _)| name.as_str()).collect();
        let code = if command.code == Code::None { String::new() } else { format!(" ({})", command.code) };
        let what = format!("{} of {order} was answered `rejected`{code}, and had an effect: {}", command.op, names.join(", "));
        let evidence = deeds.iter().map(|(_, n)| *n).chain([command.n, command.refused]).collect();
        ctx.fail(order, what, "a command that is answered with a definite no has no effect, no event and no reservation", evidence);
    }
    if refused_order && !told {
        let deeds = effects(account);
        if !deeds.is_empty() {
            let names: Vec<&str> = deeds.iter().map(|(name, _)| *name).collect();
            let what = format!("{order} was answered `rejected`, and yet: {}", names.join(", "));
            let evidence = deeds.iter().map(|(_, n)| *n).chain([account.placed.n, state.placed_no]).collect();
            ctx.fail(order, what, "of an order that was turned down nothing is ever done", evidence);
        }
    }
}

/// What was made of a message that came harmed.
fn harmed(e: &Entry, ctx: &mut Context<'_>) {
    if e.outcome == Outcome::None {
        return;
    }
    ctx.judged();
    if matches!(e.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending) {
        let what = format!("{} came harmed, and was answered `{}`", e.msg.op, e.outcome.name());
        ctx.fail(e.msg.order, what, "what cannot be read, or is signed by somebody else, is turned away", vec![e.n]);
    }
}

/// What must not be of an order that was turned down.
fn effects(account: &Account) -> Vec<(&'static str, u64)> {
    let first = |name: &'static str, n: Option<u64>| n.map(|n| (name, n));
    let of_parcels = |of: fn(&super::account::Parcel) -> &[u64]| account.parcels.iter().flat_map(|parcel| of(parcel).iter().copied()).min();
    let captured = account.money.iter().filter(|moved| moved.fact && moved.flow == super::account::Flow::Captured).map(|moved| moved.n);
    [
        first("it was called accepted", account.accepted.iter().copied().min()),
        first("a node took on a release of it", of_parcels(|parcel| &parcel.releases)),
        first("a parcel of it left", of_parcels(|parcel| &parcel.shipments)),
        first("money was captured for it", captured.min()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::{Code, Id, Op, Outcome};

    /// An order that is turned down, and the id of its PlaceOrder.
    fn refused() -> (Story, Id) {
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1), (2, B, 1)]);
        let id = h.sent(1, Op::PlaceOrder, |m| m.body = Some(body));
        h.claim(1, Op::OrderRejected, |m| m.cause = id).reply(id, Outcome::Rejected);
        (h, id)
    }

    #[test]
    fn accepts_a_no_that_is_said_and_nothing_else() {
        refused().0.accepts("REJECT_INERT");
    }

    #[test]
    fn what_comes_harmed_is_turned_away_and_never_taken() {
        for (outcome, good) in [(Outcome::Refused, true), (Outcome::Error, true), (Outcome::Ok, false), (Outcome::Pending, false)] {
            for order in [0, 1] {
                let mut h = Story::new();
                h.place(1, &[(1, A, 1)]).accept(1).complete(1);
                let op = if order == 0 { Op::InventoryDelta } else { Op::CbNodeShipped };
                h.harmed(order, op, outcome);
                if good {
                    h.accepts("REJECT_INERT");
                } else {
                    h.rejects("REJECT_INERT", "came harmed, and was answered");
                }
            }
        }
    }

    #[test]
    fn accepts_what_was_undone_before_the_no() {
        let (mut h, id) = refused();
        h.reserve(1, DC1, &[(1, A, 1)], id).release(1, DC1, &[(1, A, 1)], id).accepts("REJECT_INERT");
    }

    #[test]
    fn rejects_an_order_turned_down_that_keeps_units() {
        let (mut h, id) = refused();
        h.reserve(1, DC1, &[(1, A, 1)], id).rejects("REJECT_INERT", "PlaceOrder of O1 was answered `rejected`, and had an effect: 1 units reserved");
    }

    #[test]
    fn rejects_an_order_turned_down_that_is_shipped_all_the_same() {
        let (mut h, _) = refused();
        h.ship(1, 1, DC1, &[(1, A, 1)]).rejects("REJECT_INERT", "O1 was answered `rejected`, and yet: a parcel of it left");
    }

    #[test]
    fn an_order_that_was_taken_on_under_another_message_is_no_matter() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).resend(1, Outcome::Rejected).accept(1).ship(1, 1, DC1, &[(1, A, 1)]).accepts("REJECT_INERT");
    }

    #[test]
    fn rejects_a_cancellation_that_is_refused_and_done() {
        let story = |op: Op| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1);
            let id = h.cancel_answered(1, &[], Outcome::Rejected, Code::Invalid);
            h.claim(1, op, |m| m.cause = id);
            h
        };
        story(Op::OrderCancelRejected).accepts("REJECT_INERT");
        story(Op::OrderCancelled).rejects("REJECT_INERT", "CancelOrder of O1 was answered `rejected` (invalid), and had an effect: order.cancelled");
    }

    #[test]
    fn rejects_a_cancellation_that_is_refused_and_gives_back_units() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).reserve(1, DC1, &[(1, A, 1)], Id::NONE);
        let id = h.cancel_answered(1, &[], Outcome::Rejected, Code::TooLate);
        h.release(1, DC1, &[(1, A, 1)], id).rejects("REJECT_INERT", "had an effect: inventory.released");
    }

    #[test]
    fn a_call_counts_by_what_became_of_it() {
        let story = |stopped: bool| {
            let mut h = Story::new();
            h.place(1, &[(1, A, 1)]).accept(1);
            let id = h.cancel_answered(1, &[], Outcome::Rejected, Code::TooLate);
            h.entry(crate::history::Kind::Call, 1, Op::NodeCancel, |m| (m.key, m.cause) = (Id(7), id));
            if stopped {
                h.fact(1, Op::NodeCancel, |m| m.key = Id(7));
            }
            h
        };
        story(false).accepts("REJECT_INERT");
        story(true).rejects("REJECT_INERT", "had an effect: node.cancel");
    }
}
