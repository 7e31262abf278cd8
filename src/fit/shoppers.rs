//! Who orders, what it costs, and what is taken back.

use crate::model::{Channel, Region};
use crate::sim::Span;
use crate::workload::{Import, SourceOrder};
use serde::Serialize;
use std::collections::BTreeMap;

/// Up to here goods are taken back before they are sent: a cancellation. Later it is a return.
const CANCELLED_WITHIN: Span = Span(86_400_000_000_000);

/// Later returns count as if they came then: judges of a run know no order of which nothing was heard for forty days.
const LATEST_RETURN: Span = Span(30 * CANCELLED_WITHIN.0);

/// Times for which fewer orders were watched, or a smaller share of them, say too little of what comes back after them.
const FEWEST_WATCHED: usize = 100;
const ENOUGH_WATCHED: f64 = 0.1;
/// Where the last tenth of what comes back begins later in the time for which enough orders were watched, more may come after it.
const LATE: f64 = 0.8;

/// A profile holds so many.
const MOST_PEOPLE: f64 = 1e9;

/// What the columns map lets a history tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    pub regions: bool,
    pub channels: bool,
    pub cancellations: bool,
    /// decimal digits of the currency's minor unit
    pub minor_digits: u32,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Shoppers {
    /// of so many, each as likely to order as any other, as many order as there are different customers
    pub people: Option<u32>,
    /// share of the orders to the west
    pub west: Option<f64>,
    /// orders that came through each channel
    pub channels: Option<BTreeMap<&'static str, u64>>,
    /// median in cents, and standard deviation of the logarithm, over SKUs
    pub price: Option<(i64, f64)>,
}

impl Shoppers {
    pub(super) fn of(history: &Import, told: Told) -> Shoppers {
        let orders = history.orders.len() as f64;
        let west = history.orders.iter().filter(|order| order.region == Region::West).count() as f64 / orders.max(1.0);
        // the price at which a SKU was first sold
        let mut prices = vec![None; history.skus.len()];
        for line in history.orders.iter().flat_map(|order| &order.lines) {
            prices[line.sku as usize].get_or_insert(line.unit_price.0);
        }
        let cents = libm::pow(10.0, f64::from(told.minor_digits) - 2.0);
        let logs: Vec<f64> = prices.into_iter().flatten().map(|price| libm::log((price as f64 / cents).max(1.0))).collect();
        let n = logs.len().max(1) as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let sigma = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / n).sqrt();
        Shoppers {
            people: people(history.orders.iter().filter(|order| order.customer.is_some()).count(), history.customers.len()),
            west: told.regions.then_some(west),
            channels: told.channels.then(|| {
                let count = |channel: Channel| (channel.name(), history.orders.iter().filter(|order| order.channel == channel).count() as u64);
                Channel::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
            }),
            price: (!logs.is_empty()).then(|| (libm::exp(mean).round().clamp(1.0, 1e8) as i64, sigma.min(2.0))),
        }
    }
}

/// How many people there are where so many orders are of so many different customers, if each order is of any of them. Where some order more often than
/// others that is fewer than there are, but as many as make the customers of a replica different from each other as often.
fn people(orders: usize, customers: usize) -> Option<u32> {
    if customers == 0 {
        return None;
    }
    // where all are different, any more people would do as well
    let seen = (customers as f64).min(orders as f64 - 0.5);
    let expected = |people: f64| -people * libm::expm1(orders as f64 * libm::log1p(-1.0 / people));
    let (mut few, mut many) = (customers as f64, MOST_PEOPLE);
    for _ in 0..60 {
        let middle = (few * many).sqrt();
        if expected(middle) < seen {
            few = middle;
        } else {
            many = middle;
        }
    }
    Some(many.round() as u32)
}

/// Shares of the orders that are taken back, and how late: from the 10th to the 90th percentile, and returns at most 30 days.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Afterwards {
    pub cancel: f64,
    #[serde(skip)]
    pub cancel_after: (Span, Span),
    #[serde(rename = "return")]
    pub returns: f64,
    #[serde(skip)]
    pub return_after: (Span, Span),
    /// seconds, at 25, 50, 75 and 90 in a hundred of all that was taken back
    pub lag_s: [f64; 4],
    /// seconds for which enough orders were watched; what was taken back later is in no share
    pub watched_s: f64,
    /// documents that took goods back, and orders that were found for them
    pub documents: u64,
    pub matched: u64,
}

impl Afterwards {
    pub(super) fn of(history: &Import) -> Afterwards {
        let taken = &history.cancellations.orders;
        let Returned { shares, watched } = Returned::of(history);
        let up_to =
            |lag: Span| shares.partition_point(|(at, _)| *at <= lag).checked_sub(1).and_then(|n| shares.get(n)).map_or(0.0, |(_, share)| *share);
        let (cancel, all) = (up_to(CANCELLED_WITHIN), up_to(Span(u64::MAX)));
        let at = |from: f64, to: f64, part: f64| {
            let n = shares.partition_point(|(_, share)| *share < from + part * (to - from));
            shares.get(n).or(shares.last()).map_or(Span::ZERO, |(lag, _)| *lag)
        };
        Afterwards {
            cancel,
            cancel_after: (at(0.0, cancel, 0.1), at(0.0, cancel, 0.9)),
            returns: all - cancel,
            return_after: (at(cancel, all, 0.1).min(LATEST_RETURN), at(cancel, all, 0.9).min(LATEST_RETURN)),
            lag_s: [0.25, 0.5, 0.75, 0.9].map(|part| at(0.0, all, part).as_secs_f64()),
            watched_s: watched.as_secs_f64(),
            documents: history.cancellations.documents,
            matched: taken.len() as u64,
        }
    }

    /// Where so much comes back so late that more may do so than the history could see: after how many days, and how many of them it could see.
    pub(super) fn cut_off(&self) -> Option<[f64; 2]> {
        let [.., late] = self.lag_s;
        (late > LATE * self.watched_s).then(|| [late, self.watched_s].map(|seconds| seconds / 86_400.0))
    }
}

/// Which share of the orders is taken back within which time.
struct Returned {
    shares: Vec<(Span, f64)>,
    /// for so long enough orders were watched
    watched: Span,
}

impl Returned {
    /// An order near the end of a history was not watched for long, and may still be taken back: those taken back after some time are a share of the
    /// orders that were watched for so long (Kaplan and Meier, Journal of the American Statistical Association 53, 1958).
    fn of(history: &Import) -> Returned {
        let taken = &history.cancellations.orders;
        let placed = |at: u32| history.orders.get(at as usize).map_or(0, |order| order.placed_at.0);
        let end = taken.iter().map(|(at, lag)| placed(*at).saturating_add(lag.0)).fold(history.span.0, u64::max);
        let watched_for = |order: &SourceOrder| end.saturating_sub(order.placed_at.0);
        // how long each order was watched, and whether that ended with its being taken back
        let mut orders: Vec<(u64, bool)> = history.orders.iter().map(|order| (watched_for(order), false)).collect();
        for (at, lag) in taken {
            if let Some(order) = orders.get_mut(*at as usize) {
                *order = (lag.0, true);
            }
        }
        // what is taken back at the very end of its time was still watched
        orders.sort_unstable_by_key(|(time, taken)| (*time, !taken));
        let enough = ((orders.len() as f64 * ENOUGH_WATCHED) as usize).max(FEWEST_WATCHED);
        // the first orders were watched for the longest time
        let watched = history.orders.get(enough - 1).map_or(0, watched_for);
        let mut kept = 1.0;
        let mut shares = Vec::with_capacity(taken.len());
        for (n, (time, _)) in orders.iter().enumerate().filter(|(_, (time, taken))| *taken && *time <= watched) {
            kept *= 1.0 - 1.0 / (orders.len() - n) as f64;
            shares.push((Span(*time), 1.0 - kept));
        }
        Returned { shares, watched: Span(watched) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::truth::{ONE, history, profile};
    use crate::sim::{Purpose, Seed};
    use crate::workload::Cancellations;

    /// A history in which a tenth of the orders is cancelled within twenty hours, and a fifth comes back after one to twenty days.
    fn afterwards(orders: u32, days: u32, seed: u64) -> Afterwards {
        let mut history = history(&profile(orders, days, "", ONE), seed);
        let hours = |hours: f64| Span::from_secs_f64(hours * 3_600.0);
        let taken = |at: u32| {
            let mut draw = Seed(seed).draw(Purpose(1), at.into(), 0);
            let (kind, part) = (draw.unit(), draw.unit());
            if kind < 0.1 { Some((at, hours(20.0 * part))) } else { (kind < 0.3).then(|| (at, hours(24.5 + 455.5 * part))) }
        };
        let seen = |(at, lag): &(u32, Span)| history.orders[*at as usize].placed_at.0 + lag.0 <= history.span.0;
        history.cancellations.orders = (0..orders).filter_map(taken).filter(seen).collect();
        history.cancellations.documents = history.cancellations.orders.len() as u64;
        Afterwards::of(&history)
    }

    #[test]
    fn what_would_still_have_come_back_after_the_end_of_a_history_counts() {
        for seed in 1..=3 {
            let of_days = |days: u32| afterwards(14_000, days, seed);
            for after in [28, 365].map(of_days) {
                assert!((after.cancel - 0.1).abs() < 0.01 && (after.returns - 0.2).abs() < 0.015, "seed {seed}: {after:?}");
                let (from, until) = (after.return_after.0.as_secs_f64() / 86_400.0, after.return_after.1.as_secs_f64() / 86_400.0);
                assert!((from - 2.9).abs() < 0.4 && (until - 18.1).abs() < 0.6, "seed {seed}: {from} {until}");
                assert_eq!(after.cut_off(), None, "seed {seed}");
            }
            let short = of_days(14);
            assert!(short.cut_off().is_some_and(|[late, watched]| late < 12.5 && (12.0..13.5).contains(&watched)), "seed {seed}: {short:?}");
            assert!((short.cancel - 0.1).abs() < 0.01, "seed {seed}: {short:?}");
        }
    }

    #[test]
    fn a_replica_has_as_many_different_customers_as_the_history() {
        let different = |people: u32, seed: u64| history(&(profile(14_000, 84, "", ONE) + &format!("[shoppers]\npeople = {people}\n")), seed);
        for people in [1, 50, 4_000, 14_000, 100_000] {
            let known = different(people, 1);
            let found = Shoppers::of(&known, Told::default()).people.expect("customers");
            assert!((f64::from(found) / f64::from(people) - 1.0).abs() < 0.1, "{found}, and not {people}");
            let (seen, again) = (known.customers.len() as f64, different(found, 2).customers.len() as f64);
            assert!((again / seen - 1.0).abs() < 0.01, "{people}: {seen} customers, and {again} in a replica");
        }
        // a tenth of the customers has nine tenths of the orders
        let mut regulars = different(100_000, 1);
        regulars.orders.iter_mut().enumerate().filter(|(n, _)| n % 10 > 0).for_each(|(n, order)| order.customer = Some(n as u32 % 100));
        let mut seen: Vec<u32> = regulars.orders.iter().filter_map(|order| order.customer).collect();
        seen.sort_unstable();
        seen.dedup();
        regulars.customers.truncate(seen.len());
        let found = Shoppers::of(&regulars, Told::default()).people.expect("customers");
        let again = different(found, 2).customers.len() as f64;
        assert!((again / seen.len() as f64 - 1.0).abs() < 0.01, "{} customers, and {again} in a replica", seen.len());
    }

    #[test]
    fn people_are_within_what_a_profile_holds() {
        assert_eq!(people(14_000, 0), None);
        assert_eq!(people(14_000, 1), Some(1));
        assert!(people(14_000, 14_000).is_some_and(|people| people > 100_000_000), "all are different");
        assert_eq!(people(1_000_000, 1_000_000), Some(1_000_000_000));
    }

    #[test]
    fn where_nothing_comes_back_nothing_is_cut_off_and_all_may_be_taken_back() {
        let mut none = history(&profile(300, 28, "", ONE), 1);
        none.cancellations.documents = 3;
        let after = Afterwards::of(&none);
        assert_eq!((after.cancel, after.returns, after.cut_off()), (0.0, 0.0, None));
        let hour = |at: u32| (at, Span::from_hours(1));
        let all = Import { cancellations: Cancellations { documents: 300, orders: (0..300).map(hour).collect() }, ..none };
        assert!(Afterwards::of(&all).cancel > 0.99, "of all that are taken back none is left to be watched");
    }
}
