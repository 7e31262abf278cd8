//! Sell-outs: how narrow a race this record could have shown.
//!
//! A target that looks at the stock and takes it some time `w` later sells a unit once more to each order that asks within `w` after the one that
//! gets the last. So what counts are the lags from the ask that got the last unit to those that followed, over all sell-outs: as many orders are
//! oversold as there are lags shorter than `w`, however large the stock was. Asks are near enough a Poisson process for so short a time, so with
//! so many lags a second none is oversold with probability `exp(-w * lags a second)`: what a pass is worth follows. And where orders were oversold,
//! the window is about as long as the lag of that rank. When the target looks nobody sees, so both take it that it looks as often as it is asked.

use crate::model::{NodeId, OrderNo, SkuId};
use crate::sim::{Span, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// So many of the shortest lags are kept, and so many asks for a SKU remembered, for so long.
const KEPT: usize = 1024;
const REMEMBERED: Span = Span::from_mins(1);
/// The rate is taken from so many of them: it is that of the shortest times, and not much a matter of chance.
const COUNTED: usize = 32;
/// Fewer say nothing about a rate.
const FEWEST: usize = 4;
/// An answer that is given again comes after so few others.
const AGAIN: usize = 128;
/// Sell-outs of one SKU that are followed at a time.
const FOLLOWED: usize = 8;
/// -ln(0.05): what is expected so often happens at least once with 95 % probability (Poisson).
const NEARLY_CERTAIN: f64 = 2.995_732_273_553_991;

/// The sell-outs of a run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SellOuts {
    /// how often the last unit of a SKU was promised, and others asked for it after that
    pub count: u64,
    /// orders that were promised more than there was
    pub oversold: u64,
    /// those of them that asked for what had sold out so
    pub raced: u64,
    /// the shortest times from the ask that got a last unit to a later one for the same, in order
    lags: Vec<Span>,
}

impl SellOuts {
    /// Several partitions together.
    pub fn merged(mut self, other: SellOuts) -> SellOuts {
        self.lags.extend(other.lags);
        let (count, oversold, raced) = (self.count + other.count, self.oversold + other.oversold, self.raced + other.raced);
        SellOuts { count, oversold, raced, lags: shortest(self.lags) }
    }

    /// How often a second it was asked for what had just sold out, summed over the sell-outs; 0 where it was asked too seldom to say.
    pub fn asks_per_s(&self) -> f64 {
        let counted = &self.lags[..self.lags.len().min(COUNTED)];
        let Some(last) = counted.last().filter(|_| counted.len() >= FEWEST) else { return 0.0 };
        // of a burst at one instant no more is known than that it came within a microsecond; the reciprocal of what n gaps last in all (a gamma
        // variate) is too great by one in n on average
        (counted.len() - 1) as f64 / last.as_secs_f64().max(1e-6)
    }

    /// Seconds within which as many asked as raced: about the time from looking at the stock to taking it. None where nothing raced, where it is longer
    /// than can be told, or so long that it was no race.
    pub fn window_s(&self) -> Option<f64> {
        let rank = usize::try_from(self.raced).ok()?.checked_sub(1)?;
        self.lags.get(rank).filter(|lag| **lag <= REMEMBERED).map(|lag| lag.as_secs_f64())
    }
}

/// Seconds between looking at the stock and taking it that would have shown with 95 % certainty at so many asks a second.
pub fn shows_from_s(asks_per_s: f64) -> Option<f64> {
    (asks_per_s > 0.0).then(|| NEARLY_CERTAIN / asks_per_s)
}

fn shortest(mut lags: Vec<Span>) -> Vec<Span> {
    // two sorted lists, as a rule, which this sort merges
    lags.sort();
    lags.truncate(KEPT);
    lags
}

/// What is known of one SKU.
#[derive(Default)]
struct Asks {
    /// when, whose, and the one node that it could come from, if there is one
    recent: VecDeque<(Timestamp, OrderNo, NodeId)>,
    followed: Vec<Followed>,
    /// it has sold out at all
    sold_out: bool,
}

/// The ask that got a last unit.
struct Followed {
    since: Timestamp,
    order: OrderNo,
    /// where that unit was
    node: NodeId,
    /// so many came after it
    after: usize,
}

/// The measuring.
#[derive(Default)]
pub(super) struct SellOutMeter {
    asks: FxHashMap<SkuId, Asks>,
    measured: SellOuts,
}

impl SellOutMeter {
    /// The target has decided on an order for one unit of this and nothing else; `only`: it can come from nowhere else.
    pub(super) fn asked(&mut self, sku: SkuId, order: OrderNo, only: NodeId, at: Timestamp) {
        let asks = self.asks.entry(sku).or_default();
        // who is told again what he was told asks no more
        if asks.recent.iter().rev().take(AGAIN).any(|(_, other, _)| *other == order) {
            return;
        }
        // of an order the promise may be heard before the answer
        for followed in asks.followed.iter_mut().filter(|followed| followed.order != order && (only.is_none() || only == followed.node)) {
            self.measured.lags.push(at.since(followed.since));
            self.measured.count += u64::from(followed.after == 0);
            followed.after += 1;
        }
        asks.followed.retain(|followed| followed.after < KEPT);
        while asks.recent.len() == KEPT || asks.recent.front().is_some_and(|(asked, ..)| *asked + REMEMBERED < at) {
            asks.recent.pop_front();
        }
        asks.recent.push_back((at, order, only));
        if self.measured.lags.len() > 16 * KEPT {
            self.measured.lags = shortest(std::mem::take(&mut self.measured.lags));
        }
    }

    /// The last unit of it, which was at `node`, was promised to `order`, as is heard `at`; `waited`: not because it asked just now.
    pub(super) fn sold_out(&mut self, sku: SkuId, (order, node): (OrderNo, NodeId), at: Timestamp, waited: bool) {
        let asks = self.asks.entry(sku).or_default();
        asks.sold_out = true;
        if asks.followed.len() == FOLLOWED {
            asks.followed.remove(0);
        }
        let its = asks.recent.iter().rposition(|(asked, other, _)| *other == order && *asked + REMEMBERED >= at).filter(|_| !waited);
        let since = its.map_or(at, |its| asks.recent[its].0);
        let later = its.map_or(0, |its| asks.recent.len() - 1 - its);
        let could = |only: &NodeId| only.is_none() || *only == node;
        let before = self.measured.lags.len();
        self.measured.lags.extend(asks.recent.iter().rev().take(later).filter(|(.., only)| could(only)).map(|(asked, ..)| asked.since(since)));
        let after = self.measured.lags.len() - before;
        self.measured.count += u64::from(after > 0);
        asks.followed.push(Followed { since, order, node, after });
    }

    /// More of it was promised than there was, to so many orders.
    pub(super) fn oversold(&mut self, sku: SkuId, orders: u64) {
        self.measured.oversold += orders;
        // what was never there, or is there elsewhere, nobody raced for
        self.measured.raced += if self.asks.get(&sku).is_some_and(|asks| asks.sold_out) { orders } else { 0 };
    }

    /// What it comes to, where a business second is `1 / scale` seconds of the target's.
    pub(super) fn measured(&mut self, scale: f64) -> SellOuts {
        let SellOuts { count, oversold, raced, lags } = std::mem::take(&mut self.measured);
        let real = |lag: Span| if scale == 1.0 { lag } else { Span((lag.0 as f64 / scale) as u64) };
        SellOuts { count, oversold, raced, lags: shortest(lags.into_iter().map(real).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;
    use crate::history::Kind;
    use crate::model::{Id, NodeId, Op, Outcome};
    use crate::sim::{Purpose, Seed};

    const NOW: Id = Id::NONE;
    const DC2: NodeId = NodeId(2);

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO + Span::from_millis(ms)
    }

    /// Sell-outs of a target that takes stock so many seconds after it looked, under Poisson asks of this rate.
    fn raced(seed: u64, sell_outs: u32, rate: f64, window: f64) -> SellOuts {
        let mut all = SellOuts::default();
        for one in 0..sell_outs {
            let mut draw = Seed(seed).draw(Purpose(900), one.into(), 0);
            let (mut meter, mut asked, mut taken) = (SellOutMeter::default(), 0.0, Vec::new());
            for order in 1..=80 {
                asked += -libm::log(1.0 - draw.unit()) / rate;
                let now = Timestamp::ZERO + Span::from_secs_f64(asked);
                meter.asked(SkuId(1), OrderNo(order), NodeId::NONE, now);
                // forty units; who looks before the last of them is taken sees one
                if taken.len() < 40 || asked < taken[39] {
                    taken.push(asked + window);
                    match taken.len() {
                        40 => meter.sold_out(SkuId(1), (OrderNo(order), NodeId(1)), now + Span::from_secs_f64(window), false),
                        41.. => meter.oversold(SkuId(1), 1),
                        _ => {}
                    }
                }
            }
            all = all.merged(meter.measured(1.0));
        }
        all
    }

    #[test]
    fn a_window_is_found_again() {
        for seed in 0..200 {
            let seen = raced(seed, 50, 200.0, 0.004);
            assert!(seen.window_s().is_some_and(|window| (0.0032..=0.004).contains(&window)), "{seen:?}");
        }
    }

    #[test]
    fn a_window_that_is_said_to_show_shows_in_nineteen_of_twenty_runs() {
        let mut shown = 0;
        for seed in 0..1000 {
            let clean = raced(seed, 20, 200.0, 0.0);
            assert_eq!((clean.count, clean.raced, clean.window_s()), (20, 0, None));
            let shows = shows_from_s(clean.asks_per_s()).expect("it was asked for");
            assert!((shows / (NEARLY_CERTAIN / 4000.0) - 1.0).abs() < 0.9, "{shows}");
            shown += u32::from(raced(seed + 5000, 20, 200.0, shows).raced > 0);
        }
        assert!((930..=965).contains(&shown), "{shown} of 1000");
    }

    #[test]
    fn asks_that_are_too_few_say_nothing_and_those_before_a_sell_out_do_not_count() {
        let mut few = SellOutMeter::default();
        (0..50).for_each(|ms| few.asked(SkuId(1), OrderNo(ms), NodeId::NONE, at(ms.into())));
        few.sold_out(SkuId(1), (OrderNo(49), NodeId(1)), at(60), false);
        (51..54).for_each(|ms| few.asked(SkuId(1), OrderNo(ms), NodeId::NONE, at(ms.into())));
        let seen = few.measured(1.0);
        assert_eq!((seen.count, seen.lags.len(), seen.asks_per_s()), (1, 3, 0.0));
        // who waited for goods got them when they came, and not when he asked
        let mut waited = SellOutMeter::default();
        (0..50).for_each(|ms| waited.asked(SkuId(1), OrderNo(ms), NodeId::NONE, at(ms.into())));
        waited.sold_out(SkuId(1), (OrderNo(3), NodeId(1)), at(9_000), true);
        assert_eq!(waited.measured(1.0).lags, []);
        // seconds of business are shorter where its clock runs faster
        let mut fast = SellOutMeter::default();
        fast.sold_out(SkuId(1), (OrderNo(0), NodeId(1)), at(0), false);
        (1..=8).for_each(|s| fast.asked(SkuId(1), OrderNo(s), NodeId::NONE, at(60_000 * u64::from(s))));
        assert!((fast.measured(60.0).asks_per_s() - 7.0 / 8.0).abs() < 1e-9);
    }

    #[test]
    fn who_could_not_have_had_it_does_not_count() {
        let mut elsewhere = SellOutMeter::default();
        elsewhere.sold_out(SkuId(1), (OrderNo(1), NodeId(1)), at(0), false);
        for order in 2..=9 {
            elsewhere.asked(SkuId(1), OrderNo(order), NodeId(if order % 2 == 0 { 1 } else { 3 }), at(order.into()));
        }
        assert_eq!(elsewhere.measured(1.0).lags, [2, 4, 6, 8].map(Span::from_millis));
        // a stock that is wrong for hours is no race
        let mut long = SellOutMeter::default();
        long.sold_out(SkuId(1), (OrderNo(1), NodeId(1)), at(0), false);
        long.asked(SkuId(1), OrderNo(2), NodeId::NONE, at(7_200_000));
        long.oversold(SkuId(1), 1);
        assert_eq!(long.measured(1.0).window_s(), None);
    }

    #[test]
    fn of_many_lags_the_shortest_are_kept() {
        let mut crowd = SellOutMeter::default();
        for round in 0..40 {
            let its = OrderNo(1000 + round as u32);
            crowd.sold_out(SkuId(1), (its, NodeId(1)), at(round * 1000), false);
            (1..=300).for_each(|ms| crowd.asked(SkuId(1), OrderNo(ms), NodeId::NONE, at(round * 1000 + u64::from(ms))));
            // its own answer is nobody else's
            crowd.asked(SkuId(1), its, NodeId::NONE, at(round * 1000 + 301));
        }
        let seen = crowd.measured(1.0);
        assert_eq!((seen.count, seen.lags.len(), seen.lags[39], seen.lags[40]), (40, KEPT, Span::from_millis(1), Span::from_millis(2)));
        let missing = SellOuts { raced: 1300, ..seen.clone() };
        assert_eq!((missing.window_s(), SellOuts { raced: 41, ..seen }.window_s()), (None, Some(0.002)));
    }

    /// Twenty orders for two units, of which these were promised one.
    fn crowd(promised: &[u32]) -> Story {
        let mut h = Story::new();
        h.stock(DC1, A, 2).stock(DC2, B, 50);
        for order in 1..=20 {
            let goods = [(1, A, 1)];
            let body = h.body(&goods);
            h.place_with(order, body, Outcome::Ok);
            if promised.contains(&order) {
                h.reserve(order, DC1, &goods, NOW);
            }
        }
        h
    }

    #[test]
    fn the_record_tells_of_sell_outs_and_of_what_was_oversold_at_them() {
        let story = crowd(&[1, 2]);
        let asks: Vec<Timestamp> = story.entries().iter().filter(|e| e.kind == Kind::Reply && e.msg.op == Op::PlaceOrder).map(|e| e.at).collect();
        let good = story.judge().sell_outs;
        assert_eq!((good.count, good.oversold), (1, 0));
        assert!((good.asks_per_s() * asks[19].since(asks[1]).as_secs_f64() - 17.0).abs() < 1e-6, "{good:?}");
        let bad = crowd(&[1, 2, 3, 4]).judge().sell_outs;
        assert_eq!((bad.count, bad.oversold, bad.raced), (1, 2, 2));
        // two asked after the second order, and the later of them set the window
        assert!(bad.window_s().is_some_and(|window| window > 0.0), "{bad:?}");
        assert_eq!(crowd(&[1]).judge().sell_outs, SellOuts::default());
    }

    #[test]
    fn more_oversold_orders_than_are_kept_are_counted_all_the_same() {
        let promised: Vec<u32> = (1..=20).collect();
        assert_eq!(crowd(&promised).judge().sell_outs.oversold, 18);
    }

    #[test]
    fn what_another_node_still_has_is_not_sold_out() {
        let mut h = crowd(&[]);
        h.stock(DC2, A, 5).reserve(1, DC1, &[(1, A, 1)], NOW).reserve(2, DC1, &[(1, A, 1)], NOW);
        assert_eq!(h.judge().sell_outs, SellOuts::default());
        (3..=7).for_each(|order| _ = h.reserve(order, DC2, &[(1, A, 1)], NOW));
        assert_eq!(h.judge().sell_outs.count, 1);
    }
}
