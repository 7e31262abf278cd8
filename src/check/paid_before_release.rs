//! PAID_BEFORE_RELEASE: no node is set to work before the order is paid and screened.

use super::account::{Account, Flow, Spot};
use super::money::first_units;
use super::owed::{capturable, least, worth_of_request};
use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Kind};
use crate::model::{Code, Fid, Id, LineQty, Message, Money, Op, OrderNo, Outcome};
use crate::sim::Span;
use smallvec::SmallVec;

pub(super) const ABOUT: Invariant = Invariant {
    name: "PAID_BEFORE_RELEASE",
    summary: "nothing is released before it is paid and screened",
    definition: "At every `node.release` fact: live authorizations (authorized, less captured, voided and expired) and what was captured for goods that have not left >= value of the units released, in cents; for an exchange, what is to come back pays along. If fraud screening was asked of a partner before that fact, its last verdict then (the screening's, or of a review the decision's) is `accept`; if address validation was asked, its verdict is `valid` or `corrected`.",
    needs: "`node.release` facts, the body of the order",
    traps: "orders that cost nothing; a target that screens nowhere (judged by payment alone). A target can only know that an authorization expired once it was told: a release within a minute of its acknowledging that, or one that a fault had held up since before it, is excused and counted. Shipping and a cent a line are left out of the value.",
    facts_only: true,
};

/// How long a release may be under way by itself.
const UNDER_WAY: Span = Span::from_mins(1);

/// What partners have said of one order.
#[derive(Default)]
struct Said {
    fraud_asked: u64,
    fraud: Option<(Code, u64)>,
    address_asked: u64,
    address: Option<(Code, u64)>,
    /// messages that an authorization expired: message, authorization, and when the target acknowledged it
    expired: SmallVec<[(Id, Id, Spot); 1]>,
    /// releases that a fault acted on, and where first
    held_up: SmallVec<[(Fid, u64); 1]>,
}

#[derive(Default)]
pub(super) struct PaidBeforeRelease {
    said: PerOrder<Said>,
}

impl Checker for PaidBeforeRelease {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        match kind {
            Kind::Call | Kind::Answer => matches!(op, Op::FraudScreen | Op::AddressValidate),
            Kind::Fact => matches!(op, Op::FraudScreen | Op::NodeRelease),
            Kind::Sent => matches!(op, Op::CbFraudDecided | Op::CbPaymentExpired),
            Kind::Reply => op == Op::CbPaymentExpired,
            Kind::Fault => op == Op::NodeRelease,
            _ => false,
        }
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        if !ctx.covers.facts(&[Op::PaymentAuthorize]) {
            return;
        }
        if (e.kind, e.msg.op) == (Kind::Fact, Op::NodeRelease) {
            return self.released(e, ctx);
        }
        let Some(place) = ctx.place else { return };
        let said = self.said.entry(place);
        let definite = matches!(e.outcome, Outcome::Ok | Outcome::Replayed);
        match (e.kind, e.msg.op) {
            (Kind::Call, Op::FraudScreen) if said.fraud_asked == 0 => said.fraud_asked = e.n,
            (Kind::Call, Op::AddressValidate) if said.address_asked == 0 => said.address_asked = e.n,
            (Kind::Sent, Op::CbFraudDecided) => said.fraud = Some((e.msg.code, e.n)),
            // asked again, a screening says what it said before: a decision since then stands
            (Kind::Fact, Op::FraudScreen) if said.fraud.is_none() => said.fraud = Some((e.msg.code, e.n)),
            (Kind::Answer, Op::FraudScreen) if definite && said.fraud.is_none() => said.fraud = Some((e.msg.code, e.n)),
            (Kind::Answer, Op::AddressValidate) if definite => said.address = Some((e.msg.code, e.n)),
            (Kind::Sent, Op::CbPaymentExpired) => said.expired.push((e.msg.id, e.msg.pay, Spot::default())),
            (Kind::Reply, Op::CbPaymentExpired) if definite => {
                let told = said.expired.iter_mut().find(|(id, _, told)| *id == e.msg.id && !told.is_set());
                if let Some((_, _, told)) = told {
                    *told = Spot { n: e.n, at: e.at };
                }
            }
            (Kind::Fault, _) if !said.held_up.iter().any(|(fid, _)| *fid == e.msg.fulfillment) => said.held_up.push((e.msg.fulfillment, e.n)),
            _ => {}
        }
    }

    fn settle_order(&mut self, _: OrderNo, ctx: &mut Context<'_>) {
        if let Some(place) = ctx.place {
            self.said.remove(place);
        }
    }
}

impl PaidBeforeRelease {
    fn released(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.body.is_some()) else { return };
        ctx.judged();
        let (order, fid) = (account.no, e.msg.fulfillment);
        let nothing = Said::default();
        let said = ctx.place.and_then(|place| self.said.get(place)).unwrap_or(&nothing);
        let (paid, worth) = (secured(account, &e.msg), worth(account, &e.msg));
        if paid < worth {
            let late = |pay: Id| {
                let told = said.expired.iter().filter(|(_, known, told)| *known == pay && told.is_set()).map(|(_, _, told)| *told).next();
                let held_up = said.held_up.iter().find(|(known, _)| *known == fid).map(|(_, n)| *n);
                told.is_none_or(|told| told.at + UNDER_WAY >= e.at || held_up.is_some_and(|n| n < told.n))
            };
            let unknowing: i64 = account.auths.iter().filter(|auth| auth.expired > 0 && late(auth.pay)).map(|auth| auth.expired).sum();
            if paid + unknowing >= worth {
                ctx.excuse();
            } else {
                let gone = account.auths.iter().rev().find(|auth| auth.closed.is_set());
                let why = match gone {
                    Some(auth) if auth.expired > 0 => format!(": an authorization over {} had expired", Money(auth.amount)),
                    Some(auth) if auth.voided > 0 => format!(": an authorization over {} had been voided", Money(auth.amount)),
                    _ if account.auths.is_empty() => ": nothing was ever authorized".into(),
                    _ => String::new(),
                };
                let what = format!("{fid} of {order} was released with goods for {}, but only {} was secured{why}", Money(worth), Money(paid));
                let mut evidence: Vec<u64> = account.auths.iter().flat_map(|auth| [auth.made.n, auth.closed.n]).collect();
                evidence.push(e.n);
                ctx.fail(order, what, "goods are released against a live authorization, or money that was captured", evidence);
            }
        }
        let screens = [
            ("fraud screening", said.fraud_asked, said.fraud, &[Code::Accept][..]),
            ("address validation", said.address_asked, said.address, &[Code::Valid, Code::Corrected]),
        ];
        for (name, asked, verdict, good) in screens {
            let (asked, verdict) = match verdict {
                None if asked == 0 => continue,
                Some((code, _)) if good.contains(&code) => continue,
                Some((code, n)) => (n, format!("had said {code}")),
                None => (asked, "had not answered yet".into()),
            };
            let what = format!("{fid} of {order} was released although {name} {verdict}");
            ctx.fail(order, what, format!("{name} was asked, so it passes before goods are released"), vec![asked, e.n]);
        }
    }
}

/// What units of a release are worth at least.
fn worth(account: &Account, release: &Message) -> i64 {
    let units = release.lines.iter().map(|q| {
        // the lines of an exchange are known from its event, which may be late; what was asked for tells the price, too
        let asked = || {
            let body = account.ret(release.ret).and_then(|ret| ret.body.as_ref())?;
            body.lines.iter().find(|line| line.sku == q.sku).map(|line| (line.total(), i64::from(line.qty)))
        };
        let (total, qty) = account.line(q.line, q.sku).map(|line| (line.total, line.qty)).or_else(asked).unwrap_or_default();
        least(total, qty, i64::from(q.qty))
    });
    units.sum()
}

/// What stands ready to pay for a release: live authorizations, what was captured for goods that have not left, and in an exchange the
/// goods that are to come back.
fn secured(account: &Account, release: &Message) -> i64 {
    let live: i64 = account.auths.iter().filter(|auth| auth.open() > 0).map(|auth| auth.open()).sum();
    let ahead = account.sum(Flow::Captured, true) - account.sum(Flow::Refunded, true) - capturable(account) + given_back(account);
    let exchange = account.ret(release.ret).filter(|ret| ret.exchange);
    live + ahead.max(0) + exchange.map_or(0, |ret| worth_of_request(account, ret) + 1)
}

/// Units that came back to be refunded; what comes back in an exchange pays for its new goods.
fn given_back(account: &Account) -> i64 {
    let returns = account.returns.iter().filter(|ret| !ret.exchange && !ret.is_off()).flat_map(|ret| ret.units().iter());
    let value = |q: &LineQty| account.line(q.line, q.sku).map_or(0, |line| first_units(line.total, line.qty, i64::from(q.qty)).0);
    returns.map(value).sum()
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::history::Kind;
    use crate::model::{Code, Fid, Id, Message, Op, OrderNo, Outcome};
    use crate::sim::Span;

    fn placed() -> Story {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1);
        h
    }

    fn expired(h: &mut Story) -> Id {
        h.fact(1, Op::CbPaymentExpired, |m| pays(m, 50, 4800));
        h.sent(1, Op::CbPaymentExpired, |m| pays(m, 50, 4800))
    }

    #[test]
    fn accepts_a_release_against_a_live_authorization() {
        let mut h = placed();
        h.authorize(1, 50, 4800).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.accepts("PAID_BEFORE_RELEASE");
    }

    #[test]
    fn accepts_the_rest_of_an_order_after_its_first_parcel_was_charged() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).node_release(1, 2, DC1, &[(1, A, 1)]);
        h.accepts("PAID_BEFORE_RELEASE");
    }

    #[test]
    fn accepts_goods_that_were_charged_when_they_were_ordered() {
        let mut h = placed();
        h.authorize(1, 50, 4800).capture(1, 50, 4800).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.accepts("PAID_BEFORE_RELEASE");
    }

    #[test]
    fn money_for_goods_that_left_pays_for_nothing_more() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 4800).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).node_release(1, 2, DC1, &[(1, A, 1)]);
        h.rejects("PAID_BEFORE_RELEASE", "but only 0.00 was secured");
    }

    #[test]
    fn a_refund_for_what_came_back_takes_nothing_from_what_is_still_to_leave() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 2)]).accept(1).authorize(1, 50, 8800).capture(1, 50, 8800).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.ship(1, 1, DC1, &[(1, A, 1)]).request_return(1, 900, &[(1, A, 1)]).give_back(1, 900, &[(1, A, 1)]).refund(1, 50, 900, 4000);
        h.node_release(1, 2, DC1, &[(1, A, 1)]).accepts("PAID_BEFORE_RELEASE");
    }

    #[test]
    fn rejects_a_release_that_nobody_pays_for() {
        let mut h = placed();
        h.node_release(1, 1, DC1, &[(1, A, 1)]).authorize(1, 50, 4800);
        h.rejects("PAID_BEFORE_RELEASE", "but only 0.00 was secured: nothing was ever authorized");
        let mut h = placed();
        h.authorize(1, 50, 100).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.rejects("PAID_BEFORE_RELEASE", "but only 1.00 was secured");
        let mut h = placed();
        h.authorize(1, 50, 4800).void(1, 50, 4800).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.rejects("PAID_BEFORE_RELEASE", "had been voided");
    }

    #[test]
    fn rejects_a_release_on_an_authorization_that_is_known_to_have_expired() {
        let mut h = placed();
        h.authorize(1, 50, 4800);
        let told = expired(&mut h);
        h.reply(told, Outcome::Ok).wait(Span::from_hours(1)).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.rejects("PAID_BEFORE_RELEASE", "an authorization over 48.00 had expired");
        let mut h = placed();
        h.authorize(1, 50, 4800);
        let told = expired(&mut h);
        h.reply(told, Outcome::Ok).authorize(1, 51, 4800).wait(Span::from_hours(1)).node_release(1, 1, DC1, &[(1, A, 1)]);
        h.accepts("PAID_BEFORE_RELEASE");
    }

    #[test]
    fn excuses_a_release_by_a_target_that_could_not_know_of_the_end_of_its_authorization() {
        let excused = |h: &Story| h.judge().results.iter().find(|r| r.name == "PAID_BEFORE_RELEASE").map(|r| r.excused);
        let mut untold = placed();
        untold.authorize(1, 50, 4800);
        expired(&mut untold);
        untold.wait(Span::from_hours(1)).node_release(1, 1, DC1, &[(1, A, 1)]);
        untold.accepts("PAID_BEFORE_RELEASE");
        assert_eq!(excused(&untold), Some(1));

        let mut told_of_another = placed();
        told_of_another.authorize(1, 50, 4800);
        expired(&mut told_of_another);
        let other = told_of_another.sent(1, Op::CbPaymentExpired, |m| pays(m, 51, 100));
        told_of_another.reply(other, Outcome::Ok).wait(Span::from_hours(1)).node_release(1, 1, DC1, &[(1, A, 1)]);
        assert_eq!(excused(&told_of_another), Some(1));

        let mut held_up = placed();
        held_up.authorize(1, 50, 4800);
        let hit = Message { fulfillment: Fid(1), seq: 1, ..Message::of_order(Op::NodeRelease, Id::NONE, OrderNo(1)) };
        held_up.put(Kind::Fault, Outcome::None, hit);
        let told = expired(&mut held_up);
        held_up.reply(told, Outcome::Ok).wait(Span::from_hours(1)).node_release(1, 1, DC1, &[(1, A, 1)]);
        held_up.accepts("PAID_BEFORE_RELEASE");
        assert_eq!(excused(&held_up), Some(1));
    }

    fn screened(op: Op, verdict: Option<Code>) -> Story {
        let mut h = placed();
        h.authorize(1, 50, 4800);
        h.put(Kind::Call, Outcome::None, Message::of_order(op, Id(7), OrderNo(1)));
        if let Some(code) = verdict {
            h.put(Kind::Answer, Outcome::Ok, Message { code, ..Message::of_order(op, Id(7), OrderNo(1)) });
        }
        h
    }

    #[test]
    fn screens_that_were_asked_pass_first() {
        for (op, verdict, says) in [
            (Op::FraudScreen, Some(Code::Accept), ""),
            (Op::AddressValidate, Some(Code::Corrected), ""),
            (Op::FraudScreen, None, "although fraud screening had not answered yet"),
            (Op::FraudScreen, Some(Code::Review), "although fraud screening had said review"),
            (Op::AddressValidate, Some(Code::Undeliverable), "although address validation had said undeliverable"),
        ] {
            let mut h = screened(op, verdict);
            h.node_release(1, 1, DC1, &[(1, A, 1)]);
            if says.is_empty() {
                h.accepts("PAID_BEFORE_RELEASE");
            } else {
                h.rejects("PAID_BEFORE_RELEASE", says);
            }
        }
    }

    #[test]
    fn a_review_ends_with_its_decision() {
        for (code, passes) in [(Code::Accept, true), (Code::Reject, false)] {
            let mut h = screened(Op::FraudScreen, Some(Code::Review));
            h.sent(1, Op::CbFraudDecided, |m| m.code = code);
            h.put(Kind::Answer, Outcome::Replayed, Message { code: Code::Review, ..Message::of_order(Op::FraudScreen, Id(8), OrderNo(1)) });
            h.node_release(1, 1, DC1, &[(1, A, 1)]);
            assert_eq!(h.judge().findings.iter().any(|f| f.check == "PAID_BEFORE_RELEASE"), !passes);
        }
    }

    #[test]
    fn in_an_exchange_the_old_goods_pay_along() {
        for (cents, passes) in [(2000, true), (1000, false)] {
            let mut h = placed();
            h.authorize(1, 50, 4800).node_release(1, 1, DC1, &[(1, A, 1)]).ship(1, 1, DC1, &[(1, A, 1)]).capture(1, 50, 4800).complete(1);
            h.exchange(1, 900, &[(1, A, 1)], &[(2, B, 1, 6000)]);
            h.authorize(1, 51, cents);
            h.fact(1, Op::NodeRelease, |m| {
                parcel(m, 2);
                at_node(m, DC1, &[(2, B, 1)]);
                m.ret = Id(900);
            });
            assert_eq!(h.judge().findings.iter().any(|f| f.check == "PAID_BEFORE_RELEASE"), !passes, "{cents}");
        }
    }
}
