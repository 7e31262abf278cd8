//! Whether a fitted profile makes what the history was: replicas drawn from the profile by the code of a run, each statistic against its limit.

use super::Told;
use super::axis::{Axis, BEGINS_S, DAY_S};
use super::drift::{Overlap, TOPS, TOPS_APART, Tops};
use super::laws::{Numbers, distance};
use super::rate::Rate;
use super::stream::{Stream, WINDOWS, variation};
use crate::model::Channel;
use crate::scenario::{Goods, LoadProfile, Process};
use crate::sim::{Seed, Span};
use crate::workload::Import;
use crate::workload::arrivals::{Share, due};
use crate::workload::goods::Bodies;
use serde::Serialize;
use std::sync::Arc;

/// Replicas that are drawn of each model.
pub const REPLICAS: usize = 20;
/// Replicas in all whose peak hours are looked at before a model is rejected for it: a right one is beyond all of them once in fifty times.
const OF_PEAKS: usize = 99;
/// Limits of the differences and of the ratios (docs/fit.md says where they come from).
const GAPS: f64 = 0.05;
const WEEK: f64 = 0.04;
const RANKS: f64 = 0.05;
const BASKETS: f64 = 0.07;
const CHANNELS: f64 = 0.02;
const DISPERSION: (f64, f64) = (0.8, 1.25);
const PEAK: (f64, f64) = (0.9, 1.1);
/// Further off no peak hour is accepted, however different replicas are.
const PEAK_AT_MOST: (f64, f64) = (0.7, 1.4);
pub(super) const POPULARITY: &str = "popularity by rank";
pub(super) const LINES: &str = "lines of an order";
pub(super) const UNITS: &str = "units of a line";
const NAMES: [&str; 4] = ["dispersion in 1 min", "dispersion in 10 min", "dispersion in 1 h", "dispersion in 1 d"];

/// One statistic of a model, and whether it is accepted.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Check {
    pub statistic: &'static str,
    /// distance of history and replicas, or ratio of replicas to history
    pub value: f64,
    /// the same of the odd and the even weeks of the history: its own noise
    pub floor: f64,
    /// from, to
    pub limit: (f64, f64),
    /// the same of single replicas, from the 5th to the 95th percentile: distances from all of them, ratios to the history. Of a peak hour
    /// beyond its limit: from the least to the greatest of 99
    pub spread: (f64, f64),
    /// within the limit, or no further off than single replicas are; then up to twice the limit, for a model whose replicas are very different
    /// from each other proves nothing (a peak hour up to 0.7 or 1.4: one maximum says little)
    pub accepted: bool,
}

impl Check {
    fn distance(statistic: &'static str, value: f64, floor: f64, most: f64, of_replicas: Vec<f64>) -> Check {
        let spread = percentiles(of_replicas);
        let accepted = value < most || value <= spread.1.min(2.0 * most);
        Check { statistic, value, floor, limit: (0.0, most), spread, accepted }
    }

    fn ratio(statistic: &'static str, real: f64, floor: f64, limit: (f64, f64), of_replicas: &[f64]) -> Check {
        let over = |value: f64| if real > 0.0 { value / real } else { f64::from(value == 0.0) };
        let value = over(of_replicas.iter().sum::<f64>() / of_replicas.len().max(1) as f64);
        let spread = percentiles(of_replicas.iter().map(|replica| over(*replica)).collect());
        let within = |lo: f64, hi: f64| (lo..=hi).contains(&value);
        let as_replicas = (spread.0..=spread.1).contains(&1.0) && within(limit.0 * limit.0, limit.1 * limit.1);
        let accepted = within(limit.0, limit.1) || as_replicas;
        Check { statistic, value, floor, limit, spread, accepted }
    }

    /// No further off than single replicas are, and rejected all the same: they are too different from each other to prove anything.
    pub(super) fn is_too_short(&self) -> bool {
        let among = if self.limit.0 == 0.0 { self.value <= self.spread.1 } else { (self.spread.0..=self.spread.1).contains(&1.0) };
        !self.accepted && among
    }

    /// One maximum of the history: a limit alone would reject a right model of a short history more often than not, and so would the spread of a
    /// few replicas.
    fn peak(real: f64, floor: f64, mut of_replicas: Vec<f64>, more: impl Iterator<Item = f64>) -> Check {
        let check = Check::ratio("peak hour", real, floor, PEAK, &of_replicas);
        if check.accepted || real <= 0.0 || !(PEAK_AT_MOST.0..=PEAK_AT_MOST.1).contains(&check.value) {
            return check;
        }
        of_replicas.extend(more);
        let over = || of_replicas.iter().map(|replica| replica / real);
        let (least, greatest) = (over().fold(f64::INFINITY, f64::min), over().fold(0.0, f64::max));
        let value = over().sum::<f64>() / of_replicas.len() as f64;
        Check { value, spread: (least, greatest), accepted: (least..=greatest).contains(&1.0), ..check }
    }
}

fn percentiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get((part * values.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0.0);
    (at(0.05), at(0.95))
}

fn quotient(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 1.0 }
}

/// Weeks in turn; of a short history, days in turn.
fn even(days: usize) -> impl Fn(usize) -> bool {
    move |day| if days > super::rate::WEEK_DAYS { day.saturating_sub(1) / 7 % 2 == 0 } else { day % 2 == 0 }
}

/// What replicas look like, all together.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    pub week: Vec<f64>,
    /// orders of each day of the first replica
    pub by_day: Vec<f64>,
    pub gaps: Vec<f64>,
}

/// Times: rescaled gaps, dispersion, the week and the peak hour.
pub(super) fn arrivals(axis: &Axis, rate: &Rate, profile: &LoadProfile, seed: Seed, drawn: &dyn Fn()) -> (Vec<Check>, Pool) {
    let days = axis.days;
    let even = even(days);
    let all = Stream::of(&axis.times, days, rate, &|_| true);
    let one = Stream::of(&axis.times, days, rate, &even);
    let other = Stream::of(&axis.times, days, rate, &|day| !even(day));
    let orders = axis.times.len();
    let replica = |number: usize| {
        let case = seed.derive(&format!("replica {number}"));
        // clusters come in any number: cut at that of the history, they would leave its last days to chance
        let more = if matches!(profile.arrival.process, Process::Hawkes { .. }) { 2 } else { 1 };
        let share = Share { orders: orders as u32 * more, ..Share::whole(orders as u32) };
        let due = due(&profile.arrival, case, case.derive("orders"), share);
        let end = days as f64 * DAY_S;
        let times: Vec<f64> = due.map(|at| BEGINS_S + at.0 as f64 / 1e9).take_while(|at| *at < end).collect();
        Stream::of(&times, days, rate, &|_| true)
    };
    let replicas: Vec<Stream> = (0..REPLICAS).map(replica).inspect(|_| drawn()).collect();
    let by_day = replicas.first().map_or(Vec::new(), |one| one.by_day.clone());
    let pool = Pool { week: sum(replicas.iter().map(|one| &one.week)), by_day, gaps: sum(replicas.iter().map(|one| &one.gaps)) };
    let single = |distance: &dyn Fn(&Stream) -> f64| replicas.iter().map(distance).collect::<Vec<f64>>();

    let most = (1.36 / (orders as f64).sqrt()).max(GAPS);
    let of_gaps = single(&|one| distance(&one.gaps, &pool.gaps));
    let mut checks = vec![Check::distance("gaps, rescaled", distance(&all.gaps, &pool.gaps), distance(&one.gaps, &other.gaps), most, of_gaps)];
    for (n, name) in NAMES.into_iter().enumerate().take(WINDOWS.len()) {
        let idc: Vec<f64> = replicas.iter().map(|one| one.idc[n]).collect();
        checks.push(Check::ratio(name, all.idc[n], quotient(one.idc[n], other.idc[n]), DISPERSION, &idc));
    }
    let of_week = single(&|one| variation(&one.week, &pool.week));
    checks.push(Check::distance("hours of the week", variation(&all.week, &pool.week), variation(&one.week, &other.week), WEEK, of_week));
    let more = (REPLICAS..OF_PEAKS).map(|number| replica(number).peak);
    checks.push(Check::peak(all.peak, quotient(one.peak, other.peak), single(&|one| one.peak), more));
    (checks, pool)
}

/// Counts of what orders are about.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// lines of each SKU, the most popular first
    pub popularity: Vec<u64>,
    pub lines: Numbers,
    pub units: Numbers,
    /// orders through each channel, in the order of `Channel::ALL`
    channels: Vec<f64>,
}

impl Counted {
    /// Of the orders that are asked for, by their places in the history.
    pub fn of(history: &Import, counted: &dyn Fn(usize) -> bool) -> Counted {
        let mut popularity = vec![0u64; history.skus.len()];
        let orders = || history.orders.iter().enumerate().filter(|(at, _)| counted(*at)).map(|(_, order)| order);
        for line in orders().flat_map(|order| &order.lines) {
            popularity[line.sku as usize] += 1;
        }
        popularity.sort_unstable_by(|a, b| b.cmp(a));
        let mut channels = vec![0.0; Channel::ALL.len()];
        orders().for_each(|order| channels[order.channel as usize] += 1.0);
        Counted {
            channels,
            popularity,
            lines: Numbers::of(orders().map(|order| order.lines.len() as u64)),
            units: Numbers::of(orders().flat_map(|order| &order.lines).map(|line| u64::from(line.qty))),
        }
    }

    /// Of orders at the times of the history, with the top of each week.
    pub fn drawn(goods: &Arc<Goods>, axis: &Axis, case: Seed) -> (Counted, Tops) {
        let mut bodies = Bodies::new(goods, case, case.derive("orders"));
        let mut popularity = vec![0u64; goods.skus as usize];
        let mut sold: Vec<(usize, u32)> = Vec::new();
        let (mut lines, mut units, mut channels) = (Vec::new(), Vec::new(), vec![0.0; Channel::ALL.len()]);
        let count = |list: &mut Vec<u64>, n: usize| {
            if list.len() < n {
                list.resize(n, 0);
            }
            list[n - 1] += 1;
        };
        for (number, time) in (1..).zip(&axis.times) {
            let order = bodies.order(number, Span::from_secs_f64((time - BEGINS_S).max(0.0)));
            count(&mut lines, order.lines.len().max(1));
            channels[order.channel as usize] += 1.0;
            for (sku, qty) in &order.lines {
                popularity[*sku as usize] += 1;
                sold.push(((time / DAY_S) as usize, *sku));
                count(&mut units, (*qty as usize).clamp(1, super::laws::MOST));
            }
        }
        let tops = Tops::of(popularity.len(), sold.into_iter());
        popularity.sort_unstable_by(|a, b| b.cmp(a));
        (Counted { popularity, lines: Numbers { counts: lines, cut: 0 }, units: Numbers { counts: units, cut: 0 }, channels }, tops)
    }
}

/// Name, limit, how far apart two of them are, and what is compared.
type View<'a> = (&'static str, f64, fn(&[f64], &[f64]) -> f64, &'a dyn Fn(&Counted) -> Vec<f64>);

/// Bodies: popularity by rank, lines of an order, units of a line, and channels where the history tells them; with what the replicas have of the
/// first two, all together.
pub(super) fn goods(
    history: &Import,
    axis: &Axis,
    weekly: &Tops,
    profile: &LoadProfile,
    told: Told,
    seed: Seed,
    drawn: &dyn Fn(),
) -> (Vec<Check>, [Vec<f64>; 2]) {
    let Some(goods) = &profile.goods else { return (Vec::new(), [Vec::new(), Vec::new()]) };
    let even = even(axis.days);
    let (all, one) = (Counted::of(history, &|_| true), Counted::of(history, &|at| even(axis.day_of(history, at))));
    let other = Counted::of(history, &|at| !even(axis.day_of(history, at)));
    let replica = |number| {
        drawn();
        Counted::drawn(goods, axis, seed.derive(&format!("replica {number}")))
    };
    let (replicas, tops): (Vec<Counted>, Vec<Tops>) = (0..REPLICAS).map(replica).unzip();
    let mut views: Vec<View<'_>> = vec![
        (POPULARITY, RANKS, distance, &|counted| counted.popularity.iter().map(|count| *count as f64).collect()),
        (LINES, BASKETS, distance, &|counted| counted.lines.weights()),
        (UNITS, BASKETS, distance, &|counted| counted.units.weights()),
    ];
    if told.channels {
        views.push(("channels", CHANNELS, variation, &|counted| counted.channels.clone()));
    }
    let mut pools = Vec::new();
    let checks = views.into_iter().map(|(name, most, distance, view)| {
        let single: Vec<Vec<f64>> = replicas.iter().map(view).collect();
        let pool = sum(single.iter());
        let of_replicas = single.iter().map(|one| distance(one, &pool)).collect();
        let check = Check::distance(name, distance(&view(&all), &pool), distance(&view(&one), &view(&other)), most, of_replicas);
        pools.push(pool);
        check
    });
    let mut checks: Vec<Check> = checks.collect();
    checks.extend(of_tops(weekly, &tops));
    let mut pools = pools.into_iter();
    (checks, [pools.next().unwrap_or_default(), pools.next().unwrap_or_default()])
}

/// One replica of a profile under test: how far its popularity is from the history's, in units of the limit, and its tops.
pub(super) fn tried(history: &Counted, axis: &Axis, profile: &LoadProfile, seed: Seed) -> Option<(f64, Overlap)> {
    let (counted, tops) = Counted::drawn(profile.goods.as_ref()?, axis, seed);
    Some((of_ranks(history, &counted), tops.overlap(&|_| true)?))
}

/// The same for the popularity alone.
pub(super) fn tried_ranks(history: &Counted, axis: &Axis, profile: &LoadProfile, seed: Seed) -> Option<f64> {
    Some(of_ranks(history, &Counted::drawn(profile.goods.as_ref()?, axis, seed.derive("catalogue")).0))
}

fn of_ranks(history: &Counted, drawn: &Counted) -> f64 {
    let shares = |counted: &Counted| counted.popularity.iter().map(|count| *count as f64).collect::<Vec<_>>();
    distance(&shares(history), &shares(drawn)) / RANKS
}

/// How much of a week's top is in the next, and in a later one, where the history can tell.
fn of_tops(real: &Tops, replicas: &[Tops]) -> Vec<Check> {
    let of = |tops: &Tops| tops.overlap(&|_| true);
    let Some(all) = of(real) else { return Vec::new() };
    let of_weeks = |even: bool, view: fn(Overlap) -> f64| real.overlap(&|week| (week % 2 == 0) == even).map_or(0.0, view);
    let check = |name, view: fn(Overlap) -> f64| {
        let of_replicas: Vec<f64> = replicas.iter().map(|tops| of(tops).map_or(0.0, view)).collect();
        let check = Check::ratio(name, view(all), quotient(of_weeks(true, view), of_weeks(false, view)), TOPS, &of_replicas);
        let apart = of_replicas.iter().sum::<f64>() / of_replicas.len().max(1) as f64 - view(all);
        Check { accepted: check.accepted || apart.abs() < TOPS_APART, ..check }
    };
    vec![check("top, a week later", |all| all.next), check("top, weeks later", |all| all.later)]
}

/// Place by place; a shorter list counts as 0 where it has nothing.
fn sum<'a>(lists: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let mut sums: Vec<f64> = Vec::new();
    for list in lists {
        if sums.len() < list.len() {
            sums.resize(list.len(), 0.0);
        }
        sums.iter_mut().zip(list).for_each(|(sum, value)| *sum += value);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse_load_profile;
    use crate::workload::{import, parse_columns};

    fn peak(real: f64, few: &[f64], more: &[f64]) -> Check {
        Check::peak(real, 1.0, few.to_vec(), more.iter().copied())
    }

    #[test]
    fn a_peak_hour_beyond_its_limit_is_accepted_where_it_lies_among_many_replicas_and_not_where_it_does_not() {
        let near = peak(100.0, &[95.0, 105.0], &[]);
        assert_eq!((near.accepted, near.value), (true, 1.0));
        let among = peak(100.0, &[115.0, 125.0], &[98.0, 122.0]);
        assert_eq!((among.accepted, among.spread), (true, (0.98, 1.25)));
        assert!(!peak(100.0, &[115.0, 125.0], &[105.0, 122.0]).accepted, "all of theirs are busier");
        assert!(!peak(100.0, &[145.0, 150.0], &[50.0]).accepted, "too far off, whatever more replicas would say");
    }

    #[test]
    fn what_is_no_further_off_than_replicas_and_rejected_tells_of_a_short_history() {
        let far = |value: f64| Check::distance("week", value, 0.1, 0.04, vec![0.13, 0.15]);
        assert_eq!((far(0.03).is_too_short(), far(0.14).is_too_short(), far(0.16).is_too_short()), (false, true, false));
        let days = |real: f64| Check::ratio("days", real, 1.0, (0.8, 1.25), &[0.7, 3.0]);
        assert_eq!((days(1.0).accepted, days(1.0).is_too_short(), days(4.0).is_too_short()), (false, true, false));
    }

    #[test]
    fn other_channels_than_the_history_has_are_rejected() {
        let mut rows = "order,placed_at,sku,quantity,unit_price,customer,region,channel\n".to_string();
        for n in 0..600 {
            let channel = ["web", "app", "app", "marketplace"][n % 4];
            rows += &format!("O{n},2026-03-{:02}T10:{:02}:00.000Z,SKU1,1,9.50,C1,east,{channel}\n", 1 + n / 60, n % 60);
        }
        let columns = parse_columns(include_str!("../../profiles/columns/orderstorm.toml"), "orderstorm").expect("a map");
        let history = import(rows.as_bytes(), "orders.csv", &columns).expect("a history");
        let axis = Axis::of(&history, Seed(1)).expect("long enough");
        let check = |channels: &str| {
            let arrival = "name = \"p\"\ntitle = \"p\"\norders = 600\n[arrival]\nprocess = \"poisson\"\nrate = 1.0";
            let profile =
                parse_load_profile("p", &format!("{arrival}\n[goods]\nskus = 1\npopularity = [{{ law = \"uniform\" }}]\n[channels]\n{channels}\n"))
                    .expect("a profile");
            let told = Told { channels: true, ..Told::default() };
            let (checks, _) = goods(&history, &axis, &Tops::of_history(&history, &axis), &profile, told, Seed(1), &|| ());
            checks.into_iter().find(|check| check.statistic == "channels").expect("there")
        };
        let right = check("web = 0.25\napp = 0.5\nmarketplace = 0.25");
        assert!(right.accepted && right.value < 0.02, "{right:?}");
        for other in ["web = 1.0", "web = 0.25\napp = 0.5\nstore = 0.25", "web = 0.31\napp = 0.44\nmarketplace = 0.25"] {
            let wrong = check(other);
            assert!(!wrong.accepted, "{other}: {wrong:?}");
        }
    }

    #[test]
    fn ranks_that_stand_still_are_rejected_where_those_of_the_history_drift_and_the_other_way_round() {
        // fifty goods of 500 sell, and all of them are others after a year of such drift
        let tops = |moved: usize| {
            let week =
                move |week: usize| (0..50).flat_map(move |rank| std::iter::repeat_n((week * 7 + 1, ((week * moved + rank) % 500) as u32), 60 - rank));
            Tops::of(500, (0..20).flat_map(week))
        };
        let accepted = |real: usize, drawn: usize| {
            let checks = of_tops(&tops(real), &[tops(drawn), tops(drawn)]);
            checks.iter().map(|check| check.accepted).collect::<Vec<_>>()
        };
        assert_eq!((accepted(0, 0), accepted(2, 2)), (vec![true, true], vec![true, true]));
        assert_eq!((accepted(2, 0), accepted(0, 2)), (vec![true, false], vec![true, false]));
        assert_eq!(accepted(10, 0), [false, false]);
        assert!(of_tops(&Tops::of(500, std::iter::empty()), &[tops(0)]).is_empty(), "what cannot be told is no check");
    }
}
