//! What an order comes to in money at rest, by what left and what came back.

use super::Context;
use super::account::{Account, Return};
use super::money::first_units;
use crate::model::{Id, LineNo, Money};

/// What is to be captured and what is to be refunded in all, in cents.
pub(super) struct Owed {
    pub captured: i64,
    pub refunded: i64,
    /// cents that are open either way: where an exchange and a return share a line, which unit came back with which is open
    pub slack: i64,
}

/// Units that left by cumulative rounding and shipping once; units that came back likewise, from the first unit of their line on.
/// An exchange nets: what the new goods that left cost more is captured, what they cost less is refunded.
pub(super) fn owed(account: &Account) -> Owed {
    if account.returns.is_empty() {
        return Owed { captured: shipped(account, Id::NONE), refunded: 0, slack: 0 };
    }
    let mut returns: Vec<&Return> = account.returns.iter().filter(|ret| !ret.is_off() && !ret.units().is_empty()).collect();
    returns.sort_by_key(|ret| if ret.inspected.is_set() { ret.inspected.n } else { ret.requested.n });
    let mut before: Vec<(LineNo, i64)> = Vec::new();
    let (mut captured, mut refunded, mut shared) = (shipped(account, Id::NONE), 0, 0);
    for ret in &returns {
        let mut value = 0;
        for q in ret.units() {
            let Some(line) = account.line(q.line, q.sku) else { continue };
            let i = before.iter().position(|(no, _)| *no == line.line).unwrap_or_else(|| {
                before.push((line.line, 0));
                before.len() - 1
            });
            let from = before[i].1;
            shared += i64::from(from > 0);
            before[i].1 += i64::from(q.qty);
            value += (first_units(line.total, line.qty, before[i].1) - first_units(line.total, line.qty, from)).0;
        }
        let new = if ret.exchange { shipped(account, ret.id) } else { 0 };
        captured += (new - value).max(0);
        refunded += (value - new).max(0);
    }
    // goods of an exchange of which nothing came back
    let others = account.returns.iter().filter(|ret| ret.exchange && !returns.iter().any(|known| known.id == ret.id));
    captured += others.map(|ret| shipped(account, ret.id)).sum::<i64>();
    let exchanged = returns.iter().any(|ret| ret.exchange);
    Owed { captured, refunded, slack: if exchanged { shared } else { 0 } }
}

/// Its exchanges, if it has any, follow the one policy for them that is known here.
pub(super) fn nets(account: &Account, ctx: &Context<'_>) -> bool {
    ctx.header.fixture.policies.exchange == "net" || !account.returns.iter().any(|ret| ret.exchange)
}

/// What left of the order itself (no id), or of one exchange, is worth, with its shipping once if anything left.
fn shipped(account: &Account, exchange: Id) -> i64 {
    let body = if exchange.is_none() { account.body.as_ref() } else { account.ret(exchange).and_then(|ret| ret.body.as_ref()) };
    let left = || account.lines.iter().filter(|line| line.exchange == exchange && line.shipped > 0);
    let shipping = body.filter(|_| left().next().is_some()).map_or(0, |body| body.shipping.0);
    left().map(|line| first_units(line.total, line.qty, line.shipped).0).sum::<i64>() + shipping
}

/// All that left is worth, of the order and of its exchanges.
pub(super) fn value_left(account: &Account) -> i64 {
    shipped(account, Id::NONE) + account.returns.iter().filter(|ret| ret.exchange).map(|ret| shipped(account, ret.id)).sum::<i64>()
}

/// The most that may have been captured by now where money is taken as goods leave: what left of the order, and of each exchange of which
/// something left what it costs more in all than what is to come back.
pub(super) fn capturable(account: &Account) -> i64 {
    let left = |ret: &&Return| account.parcels.iter().any(|parcel| parcel.ret == ret.id && !parcel.shipments.is_empty());
    let exchanges = account.returns.iter().filter(|ret| ret.exchange).filter(left);
    shipped(account, Id::NONE) + exchanges.map(|ret| difference(account, ret)).sum::<i64>()
}

/// The most that may be authorized for the order and its exchanges in all. A guarantee for goods that leave before the old ones are back
/// may be as much as the new goods cost.
pub(super) fn authorizable(account: &Account) -> i64 {
    let exchanges = account.returns.iter().filter(|ret| ret.exchange && !ret.is_off());
    let most = |ret: &Return| if ret.advance { ret.body.as_ref().map_or(0, |body| body.total().0) } else { difference(account, ret) };
    account.body.as_ref().map_or(0, |body| body.total().0) + exchanges.map(most).sum::<i64>()
}

/// What an exchange costs more than what is to come back; never less than nothing, and never too little for the rounding of a unit.
fn difference(account: &Account, ret: &Return) -> i64 {
    let new = ret.body.as_ref().map_or(0, |body| body.total().0);
    (new - worth_of_request(account, ret)).max(0)
}

/// What the units that were asked to come back are worth at least: the rounding of single units depends on what came back before.
pub(super) fn worth_of_request(account: &Account, ret: &Return) -> i64 {
    let lines = ret.request.iter().filter_map(|q| account.line(q.line, q.sku).map(|line| (line, i64::from(q.qty))));
    lines.map(|(line, qty)| least(line.total, line.qty, qty)).sum()
}

/// What any `units` of a line are worth at least.
pub(super) fn least(total: Money, qty: i64, units: i64) -> i64 {
    if qty <= 0 { 0 } else { (first_units(total, qty, units).0 - 1).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_units_of_a_line_are_worth_at_least_the_least() {
        for (total, qty) in [(Money(1000), 3), (Money(1001), 2)] {
            for (from, to) in [(0, 1), (1, 2), (qty - 1, qty), (0, 2), (qty - 2, qty)] {
                let (least, value) = (least(total, qty, to - from), (first_units(total, qty, to) - first_units(total, qty, from)).0);
                assert!(least <= value && value <= least + 2, "{total}, {from}..{to} of {qty}: {least} {value}");
            }
        }
        assert_eq!(least(Money(1000), 0, 1), 0);
    }
}
