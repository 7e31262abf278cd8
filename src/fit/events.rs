//! Days that the usual rate does not explain: a sale, a campaign, an outage. They are taken out before trend, slots and day factor are fitted, and
//! put back as what they were: a level of their own, or a crowd that comes besides.

use super::axis::{Axis, DAY_S};
use super::rate::Rate;
use serde::Serialize;

/// Orders are odd where their number is so many standard deviations off the usual, and as many times too many or too few. Deviations are those of
/// the root, which has the same variance at every rate (Anscombe, Biometrika 35, 1948); beside the noise of a Poisson process they have what days or
/// hours differ by themselves, from the median of absolute deviations, which odd ones do not move.
struct Limit {
    deviations: f64,
    times: f64,
    /// fewer expected orders say too little
    fewest: f64,
}
const DAY: Limit = Limit { deviations: 4.0, times: 1.5, fewest: 20.0 };
/// There are more hours than days, and orders within an hour set off others.
const HOUR: Limit = Limit { deviations: 6.0, times: 2.0, fewest: 5.0 };
/// Where more of the days are odd, they are no exceptions: that is how days differ.
const MOST: f64 = 0.1;
/// From the median of absolute deviations to the standard deviation of a normal law.
const OF_MAD: f64 = 1.482_602_218_505_602;
/// A profile holds so many waves.
pub(super) const MOST_CROWDS: usize = 100;
/// As many times of a day are looked at for its shape; of more, one in so many.
const LOOKED_AT: usize = 4_000;
const STEPS: usize = 40;
/// A crowd begins so many minutes before its densest quarter of an hour does.
const BEFORE: [f64; 15] = [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 360.0];
const HOUR_S: f64 = 3_600.0;

/// A day that the usual rate does not explain.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    pub date: String,
    pub orders: usize,
    /// orders that the usual rate expects
    pub usual: f64,
    pub shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// the whole day so many times the usual rate
    Level(f64),
    /// a crowd besides, and the rest of the day so many times the usual rate
    Crowd {
        #[serde(flatten)]
        crowd: Crowd,
        level: f64,
    },
}

/// Orders that come besides, with lognormal delays after a moment.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Crowd {
    /// seconds from midnight of day 0, which is the day before the first order
    pub at_s: f64,
    pub orders: f64,
    /// median of the delays, in seconds
    pub median_s: f64,
    /// standard deviation of their logarithm
    pub sigma: f64,
}

impl Crowd {
    /// Orders of it expected up to `t`.
    pub fn up_to(&self, t: f64) -> f64 {
        if t <= self.at_s {
            return 0.0;
        }
        let z = libm::log((t - self.at_s) / self.median_s) / self.sigma;
        self.orders * 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
    }

    /// From then on all of it has come, but for one order in a thousand million.
    pub fn ends(&self) -> f64 {
        self.at_s + self.median_s * libm::exp(6.0 * self.sigma)
    }

    /// Orders a second at `t`.
    fn at(&self, t: f64) -> f64 {
        let delay = t - self.at_s;
        if delay <= 0.0 {
            return 0.0;
        }
        let z = libm::log(delay / self.median_s) / self.sigma;
        self.orders * libm::exp(-0.5 * z * z) / (delay * self.sigma * (2.0 * std::f64::consts::PI).sqrt())
    }
}

/// The days whose orders are too many or too few to be the usual ones, or those of one of whose hours too many.
pub(super) fn odd_days(axis: &Axis, rate: &Rate) -> Vec<bool> {
    let mut hours = vec![0.0; axis.days * 24];
    for t in &axis.times {
        hours[((t / HOUR_S) as usize).min(axis.days * 24 - 1)] += 1.0;
    }
    let of_day = |day: usize| hours[day * 24..(day + 1) * 24].iter().sum::<f64>();
    let usual: Vec<f64> = (0..axis.days).map(|day| rate.of(day)).collect();
    let days: Vec<Seen> = (1..axis.days).map(|day| Seen::of(day, of_day(day), usual[day])).collect();
    let mut odd = vec![false; axis.days];
    for (day, _) in beyond(&days, &DAY) {
        odd[day] = true;
    }
    // an hour is compared with the rest of its day, which may be a busy one
    let of_hour = |day: usize, hour: usize| {
        let from = day as f64 * DAY_S + hour as f64 * HOUR_S;
        let (came, expected) = (hours[day * 24 + hour], rate.up_to(from + HOUR_S) - rate.up_to(from));
        let rest = (of_day(day) - came + 1.0) / (usual[day] - expected + 1.0);
        Seen::of(day, came, expected * rest)
    };
    let open = (1..axis.days).filter(|day| usual[*day] >= HOUR.fewest);
    let all: Vec<Seen> = open.flat_map(|day| (0..24).map(move |hour| of_hour(day, hour))).collect();
    for (day, factor) in beyond(&all, &HOUR) {
        odd[day] |= factor > 1.0;
    }
    odd
}

/// So many odd days that they are no exceptions? The first and the last day of a history are as a rule only a part of one.
pub(super) fn are_usual(odd: &[bool], rate: &Rate) -> bool {
    let within = 2..odd.len().saturating_sub(1);
    let known = within.clone().filter(|day| rate.of(*day) >= HOUR.fewest).count();
    within.filter(|day| odd[*day]).count() as f64 > MOST * known as f64
}

/// Orders of a day or an hour beside the usual.
struct Seen {
    day: usize,
    came: f64,
    usual: f64,
    log: f64,
}

impl Seen {
    fn of(day: usize, came: f64, usual: f64) -> Seen {
        Seen { day, came, usual, log: libm::log((came + 0.5) / (usual + 0.5)) }
    }
}

/// Those that are too far off, with how many times the usual they are. Where too little is usual to tell, nothing can be too few, and for too many
/// they count as if the fewest that tell were usual.
fn beyond(all: &[Seen], limit: &Limit) -> Vec<(usize, f64)> {
    let telling = || all.iter().filter(|seen| seen.usual >= limit.fewest);
    let middle = median(telling().map(|seen| seen.log));
    let wide = OF_MAD * median(telling().map(|seen| (seen.log - middle).abs()));
    let by_chance = median(telling().map(|seen| 1.0 / seen.usual));
    let variance = (wide * wide - by_chance).max(0.0);
    let root = |number: f64| 2.0 * (number + 0.375).sqrt();
    let off = |seen: &Seen| {
        let usual = (seen.usual * libm::exp(middle)).max(limit.fewest);
        let deviations = (root(seen.came) - root(usual)) / (1.0 + usual * variance).sqrt();
        let (far, times) = (deviations.abs() > limit.deviations, (seen.came + 0.5) / (usual + 0.5));
        let many = times > limit.times || seen.usual >= limit.fewest && times < 1.0 / limit.times;
        (far && many).then_some((seen.day, times))
    };
    all.iter().filter_map(off).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// What made an odd day so: a crowd, where that explains its times so much better than another level that its parameters are worth it (by the
/// Bayesian information criterion). Nothing, where only an hour was odd and no crowd explains it.
pub(super) fn event(axis: &Axis, rate: &Rate, day: usize, crowds: bool) -> Option<Event> {
    let from = day as f64 * DAY_S;
    let times = &axis.times[axis.times.partition_point(|t| *t < from)..axis.times.partition_point(|t| *t < from + DAY_S)];
    let (orders, usual) = (times.len(), rate.of(day));
    if usual < HOUR.fewest {
        return None;
    }
    let is_odd = |level: f64| !(1.0 / DAY.times..=DAY.times).contains(&level);
    let level = orders as f64 / usual;
    let besides = if level > 1.0 && crowds { crowd(rate, times, from) } else { None };
    let shape = match besides {
        // how days differ by themselves is the day factor's
        Some((crowd, rest, gain)) if gain > 2.0 * libm::log(orders as f64) => Shape::Crowd { crowd, level: if is_odd(rest) { rest } else { 1.0 } },
        _ if is_odd(level) => Shape::Level(level),
        _ => return None,
    };
    Some(Event { date: axis.date(day), orders, usual, shape })
}

/// The crowd that explains the times of a day best beside the usual rate at some level, that level, and how much more (in log-likelihood) both
/// explain than another level alone does.
fn crowd(rate: &Rate, times: &[f64], from: f64) -> Option<(Crowd, f64, f64)> {
    let (densest, excess) = densest(rate, times, from)?;
    let every = times.len().div_ceil(LOOKED_AT);
    let looked_at: Vec<f64> = times.iter().step_by(every).copied().collect();
    let usual = rate.up_to(from + DAY_S) - rate.up_to(from);
    // where hardly anything is usual, something may come all the same
    let base: Vec<f64> = looked_at.iter().map(|t| (rate.up_to(t + 60.0) - rate.up_to(t - 60.0)) / 120.0 + 0.01 * usual / DAY_S).collect();
    let day = Day { times: &looked_at, base: &base, each: times.len() as f64 / looked_at.len() as f64, usual: usual * 1.01, until: from + DAY_S };
    let tried = BEFORE.into_iter().map(|minutes| day.explained((densest - minutes * 60.0).max(from), excess));
    let (crowd, level, likelihood) = tried.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some((crowd, level, likelihood - day.of_level()))
}

/// When a crowd seems to be the densest, and how many it may have: from the quarter of an hour with the most orders above the usual.
fn densest(rate: &Rate, times: &[f64], from: f64) -> Option<(f64, f64)> {
    const QUARTERS: usize = 96;
    const QUARTER_S: f64 = DAY_S / QUARTERS as f64;
    let mut came = [0.0; QUARTERS];
    for t in times {
        came[(((t - from) / QUARTER_S) as usize).min(QUARTERS - 1)] += 1.0;
    }
    let usual: Vec<f64> = (0..QUARTERS).map(|n| from + n as f64 * QUARTER_S).map(|t| rate.up_to(t + QUARTER_S) - rate.up_to(t)).collect();
    let level = median((0..QUARTERS).filter(|n| usual[*n] > 0.5).map(|n| came[n] / usual[n])).max(0.1);
    let above = |n: usize| came[n] - level * usual[n];
    let most = (0..QUARTERS).max_by(|a, b| above(*a).total_cmp(&above(*b)))?;
    let excess = (times.len() as f64 - level * usual.iter().sum::<f64>()).max(above(most));
    (excess > HOUR.fewest).then_some((from + most as f64 * QUARTER_S, excess))
}

/// The times of one day, each standing for `each` orders, with the usual rate at them.
struct Day<'a> {
    times: &'a [f64],
    base: &'a [f64],
    each: f64,
    /// orders that are usual on it
    usual: f64,
    until: f64,
}

impl Day<'_> {
    fn orders(&self) -> f64 {
        self.times.len() as f64 * self.each
    }

    /// Log-likelihood of the usual rate at the day's own level.
    fn of_level(&self) -> f64 {
        let level = self.orders() / self.usual;
        self.base.iter().map(|base| libm::log(level * base)).sum::<f64>() * self.each - self.orders()
    }

    /// A crowd from `at` on beside the usual rate at a level of its own, by expectation and maximization; that level, and the log-likelihood of both.
    fn explained(&self, at: f64, excess: f64) -> (Crowd, f64, f64) {
        let after = self.times.iter().filter(|t| **t > at).map(|t| t - at);
        let mut crowd = Crowd { at_s: at, orders: excess, median_s: median(after).clamp(30.0, DAY_S / 8.0), sigma: 1.0 };
        let mut level = (self.orders() - excess).max(1.0) / self.usual;
        for _ in 0..STEPS {
            let (mut all, mut logs, mut squares) = (0.0, 0.0, 0.0);
            for (t, base) in self.times.iter().zip(self.base) {
                let of_crowd = crowd.at(*t);
                if of_crowd > 0.0 {
                    let share = of_crowd / (of_crowd + level * base);
                    let log = libm::log(t - at);
                    all += share;
                    logs += share * log;
                    squares += share * log * log;
                }
            }
            if all * self.each < 1.0 {
                break;
            }
            let mean = logs / all;
            let seen = crowd.up_to(self.until) / crowd.orders;
            crowd.median_s = libm::exp(mean).max(1.0);
            crowd.sigma = (squares / all - mean * mean).max(0.0).sqrt().clamp(0.05, 3.0);
            crowd.orders = all * self.each / seen;
            level = (self.orders() - all * self.each).max(1.0) / self.usual;
        }
        let each = self.times.iter().zip(self.base).map(|(t, base)| libm::log(crowd.at(*t) + level * base));
        (crowd, level, each.sum::<f64>() * self.each - level * self.usual - crowd.up_to(self.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Purpose, Seed};
    use jiff::civil::date;

    /// So many orders on each day from 1 on, within hours of it, as evenly as draws are.
    fn axis(days: usize, of: impl Fn(usize) -> Vec<(u64, f64, f64)>) -> Axis {
        let mut times = Vec::new();
        for day in 1..=days {
            for (n, (orders, from, until)) in of(day).into_iter().enumerate() {
                let draw = |order: u64| Seed(3).draw(Purpose(1), (day * 10 + n) as u64 * 10_000 + order, 0).unit();
                times.extend((0..orders).map(|order| day as f64 * DAY_S + (from + (until - from) * draw(order)) * HOUR_S));
            }
        }
        times.sort_by(f64::total_cmp);
        Axis { times, days: days + 1, first: date(2026, 1, 1), unit: 1, from: 0 }
    }

    /// A hundred orders from eight to eighteen, but for the days with another number.
    fn shop(others: &[(usize, u64)]) -> Axis {
        let orders = |day| others.iter().find(|(of, _)| *of == day).map_or(100, |(_, orders)| *orders);
        axis(60, |day| vec![(orders(day), 8.0, 18.0)])
    }

    fn odd(rate: &Rate) -> Vec<(&str, usize, Shape)> {
        rate.events.iter().map(|event| (event.date.as_str(), event.orders, event.shape)).collect()
    }

    #[test]
    fn a_day_with_three_times_the_orders_at_the_usual_hours_has_a_level_of_its_own_and_the_others_keep_theirs() {
        let rate = Rate::fitted(&shop(&[(20, 300), (40, 10)]));
        let found = odd(&rate);
        let [("2026-01-20", 300, Shape::Level(busy)), ("2026-02-09", 10, Shape::Level(quiet))] = found[..] else { panic!("{found:?}") };
        assert!((busy - 3.0).abs() < 0.1 && (quiet - 0.1).abs() < 0.01, "{found:?}");
        assert!((10..30).filter(|day| *day != 20).all(|day| (rate.of(day) - 100.0).abs() < 2.0), "the days around are as they were");
        assert!((rate.of(20) - 300.0).abs() < 3.0 && (rate.of(40) - 10.0).abs() < 1.0);
    }

    #[test]
    fn where_many_days_are_odd_they_are_no_exceptions_and_days_alike_have_none() {
        let few: Vec<(usize, u64)> = (0..5).map(|n| (5 + 11 * n, 400)).collect();
        let many: Vec<(usize, u64)> = (0..7).map(|n| (5 + 8 * n, 400)).collect();
        let [none, few, many] = [&[][..], &few, &many].map(|others| Rate::fitted(&shop(others)));
        assert_eq!((none.events.len(), few.events.len(), many.events.len()), (0, 5, 0));
        assert_eq!((none.many_odd, few.many_odd, many.many_odd), (false, false, true));
    }

    #[test]
    fn a_crowd_is_found_with_its_moment_its_size_and_its_delays() {
        let mut axis = shop(&[]);
        let law = |part: f64| libm::exp(1.2 * crate::sim::normal_quantile(part)) * 900.0;
        axis.times.extend((0..400).map(|n| 30.0 * DAY_S + 13.0 * HOUR_S + law((f64::from(n) + 0.5) / 400.0)));
        axis.times.sort_by(f64::total_cmp);
        let rate = Rate::fitted(&axis);
        let [Event { orders, shape: Shape::Crowd { crowd, level: 1.0 }, .. }] = &rate.events[..] else { panic!("{:?}", rate.events) };
        assert!((480..=500).contains(orders) && (crowd.at_s - 30.0 * DAY_S - 13.0 * HOUR_S).abs() < 301.0, "{orders}, {crowd:?}");
        assert!((crowd.orders - 400.0).abs() < 30.0 && (crowd.median_s - 900.0).abs() < 120.0 && (crowd.sigma - 1.2).abs() < 0.15, "{crowd:?}");
        // what is expected up to a moment is what the density adds up to
        let sum: f64 = (0..100_000).map(|n| crowd.at(crowd.at_s + f64::from(n) + 0.5)).sum();
        assert!((sum - crowd.up_to(crowd.at_s + 100_000.0)).abs() < 0.1, "{sum}");
        assert!((rate.up_to(61.0 * DAY_S) - axis.times.len() as f64).abs() < 20.0);
    }

    #[test]
    fn a_day_that_is_busy_as_a_whole_and_has_a_crowd_keeps_both() {
        let rate = Rate::fitted(&axis(60, |day| if day == 30 { vec![(350, 8.0, 18.0), (500, 13.0, 13.4)] } else { vec![(100, 8.0, 18.0)] }));
        let [Event { shape: Shape::Crowd { crowd, level }, .. }] = &rate.events[..] else { panic!("{:?}", rate.events) };
        assert!((level - 3.5).abs() < 0.3 && (crowd.orders - 500.0).abs() < 40.0, "{level}, {crowd:?}");
        assert!((rate.of(30) - 850.0).abs() < 40.0, "{}", rate.of(30));
    }

    #[test]
    fn a_crowd_on_the_day_after_another_odd_day_is_found_as_well() {
        let sale = |day: usize| {
            Rate::fitted(&axis(60, |of| {
                if of == 30 {
                    vec![(400, 0.0, 24.0)]
                } else if of == day {
                    vec![(100, 0.0, 24.0), (500, 0.0, 0.4)]
                } else {
                    vec![(100, 0.0, 24.0)]
                }
            }))
        };
        for rate in [sale(31), sale(35)] {
            let [Event { shape: Shape::Level(_), .. }, Event { shape: Shape::Crowd { crowd, .. }, .. }] = &rate.events[..] else {
                panic!("{:?}", rate.events)
            };
            assert!((crowd.orders - 500.0).abs() < 50.0, "{crowd:?}");
        }
    }

    #[test]
    fn an_hour_is_enough_where_a_crowd_explains_it() {
        let sale = |more: u64| Rate::fitted(&axis(60, |day| vec![(100, 8.0, 18.0), (if day == 30 { more } else { 0 }, 13.0, 13.2)]));
        let (some, few) = (sale(45), sale(6));
        let found = odd(&some);
        let [("2026-01-30", 145, Shape::Crowd { crowd, .. })] = found[..] else { panic!("{found:?}") };
        assert!((crowd.orders - 45.0).abs() < 15.0, "{crowd:?}");
        assert!(few.events.is_empty(), "{:?}", few.events);
        // all orders of two hours of the day, and hardly any in the others
        let short = axis(60, |day| vec![(if day == 30 { 800 } else { 160 }, 12.0, 14.0), (8, 0.0, 24.0)]);
        let short = Rate::fitted(&short);
        assert_eq!(odd(&short).iter().map(|(date, ..)| *date).collect::<Vec<_>>(), ["2026-01-30"]);
    }

    #[test]
    fn days_that_say_too_little_are_not_odd_and_nothing_is_divided_by_nothing() {
        // six a day, and none on one: by chance that happens twice a year
        let quiet = Rate::fitted(&axis(60, |day| vec![(if day == 30 { 0 } else { 6 }, 8.0, 18.0)]));
        assert!(quiet.events.is_empty(), "{:?}", quiet.events);
        // closed on one day of the week, but for one sale
        let closed = Rate::fitted(&axis(62, |day| match day {
            44 => vec![(2_000, 8.0, 18.0)],
            _ if day % 7 == 2 => Vec::new(),
            _ => vec![(100, 8.0, 18.0)],
        }));
        assert!((1..63).all(|day| closed.of(day).is_finite() && closed.levels[day].is_finite()), "{:?}", closed.levels);
        assert!((35..50).filter(|day| day % 7 != 2).all(|day| (closed.of(day) - 100.0).abs() < 5.0), "the other days are as they were");
    }

    #[test]
    fn of_a_short_history_that_is_cut_at_both_ends_a_sale_is_found() {
        for days in [22, 29] {
            let orders = |day: usize| {
                if day == 1 || day == days {
                    10
                } else if day == 12 {
                    400
                } else {
                    100
                }
            };
            let rate = Rate::fitted(&axis(days, |day| vec![(orders(day), 8.0, 18.0)]));
            assert!(odd(&rate).iter().any(|(date, orders, _)| (*date, *orders) == ("2026-01-12", 400)), "{days}: {:?}", rate.events);
        }
    }
}
