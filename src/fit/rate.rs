//! The rate that a history had: a level for each day, times a table of slots.

use super::axis::{Axis, DAY_S};
use super::events::{self, Crowd, Event, MOST_CROWDS, Shape};

/// The finest grid that is looked at: quarters of an hour.
const FINEST: usize = 96;
/// A table of slots.
#[derive(Clone, Copy, Debug)]
struct Table {
    /// after so many days it begins anew
    period: usize,
    /// slots of a day
    of_day: usize,
    /// each day of the period is so many times the same course of a day: of a short history a week has more slots than can be told apart
    product: bool,
}

/// Those that are tried.
const TABLES: [Table; 11] = {
    const fn table(period: usize, of_day: usize) -> Table {
        Table { period, of_day, product: false }
    }
    const fn product(of_day: usize) -> Table {
        Table { period: 7, of_day, product: true }
    }
    [
        table(1, 1),
        table(7, 1),
        table(1, 24),
        table(1, 48),
        product(24),
        product(48),
        table(7, 24),
        table(7, 48),
        table(1, FINEST),
        product(FINEST),
        table(7, FINEST),
    ]
};
/// Days to each side of the one whose level is a mean: 29 in all, which is four weeks and a day, so that days of the week weigh alike.
const BESIDE: usize = 14;
/// Shorter histories have no trend that could be told from their days of the week.
const TREND_DAYS: usize = 28;
/// Shorter ones do not tell days of the week from single days: each day has its own level.
pub(super) const WEEK_DAYS: usize = 3 * 7;
/// Of so many weeks half are enough to foretell the others.
const ENOUGH_WEEKS: usize = 8;
/// A day without orders was closed if so many were expected: by chance that happens once in a thousand days.
const CLOSED_AT: f64 = 7.0;
/// Rounds of taking odd days out and looking again without them.
const ROUNDS: usize = 4;

/// Orders a second: the level of the day times the rate of the slot, and crowds besides.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// of each day from day 0 on; 0 is closed, the mean of the usual ones 1
    pub levels: Vec<f64>,
    /// orders a second at level 1
    pub slots: Vec<f64>,
    /// days after which the slots begin anew
    pub period: usize,
    /// the days of a period differ in how much there is and not in when
    pub product: bool,
    /// days that are not as usual, of which `events` tells
    pub odd: Vec<bool>,
    /// so many are not that they are no exceptions
    pub many_odd: bool,
    pub events: Vec<Event>,
    /// what comes besides, and until when
    crowds: Vec<(Crowd, f64)>,
    /// expected orders up to the begin of each slot of each day
    before: Vec<f64>,
}

impl Rate {
    /// The same at every moment of the history, open or closed.
    pub fn flat(axis: &Axis) -> Rate {
        let mut levels = vec![1.0; axis.days];
        levels[0] = 0.0;
        let rate = axis.times.len() as f64 / ((axis.days - 1) as f64 * DAY_S);
        Rate::new(levels, vec![rate], TABLES[0])
    }

    /// Levels, the table of slots that foretells the other half of the history best, and what happened on days that these do not explain.
    pub fn fitted(axis: &Axis) -> Rate {
        let mut grid = Grid::of(axis);
        let all = Rate::usual(axis, &grid);
        if axis.days <= WEEK_DAYS {
            return all;
        }
        let mut rate = all.clone();
        for _ in 0..ROUNDS {
            // what was odd once stays so: else two days that hide each other would come and go
            let odd: Vec<bool> = events::odd_days(axis, &rate).iter().zip(&grid.odd).map(|(now, before)| *now || *before).collect();
            if odd == grid.odd {
                break;
            }
            if events::are_usual(&odd, &all) {
                return Rate { many_odd: true, ..all };
            }
            grid.odd = odd;
            rate = Rate::usual(axis, &grid);
        }
        rate.with_events(axis, &grid.odd)
    }

    /// The same with odd days as what they were, and not as the usual rate has them.
    fn with_events(mut self, axis: &Axis, odd: &[bool]) -> Rate {
        for day in (0..axis.days).filter(|day| odd[*day]) {
            // the tail of a crowd of the day before is there already
            let Some(event) = events::event(axis, &self, day, self.crowds.len() < MOST_CROWDS) else { continue };
            self.odd[day] = true;
            match event.shape {
                Shape::Level(times) => self.levels[day] *= times,
                Shape::Crowd { crowd, level } => {
                    self.levels[day] *= level;
                    self.crowds.push((crowd, crowd.ends()));
                }
            }
            self.events.push(event);
            // the next day may be odd as well, and its first minutes are looked at together with the last of this one
            self = self.counted();
        }
        self
    }

    fn usual(axis: &Axis, grid: &Grid) -> Rate {
        let levels = grid.levels();
        let tried = TABLES.into_iter().filter(|table| table.period == 1 || axis.days > WEEK_DAYS);
        let best = tried.map(|table| (grid.deviance(&levels, table), table)).min_by(|a, b| a.0.total_cmp(&b.0));
        let table = best.map_or(TABLES[0], |(_, table)| table);
        Rate::new(levels.clone(), grid.table(&levels, table, &|_| true), table)
    }

    fn new(levels: Vec<f64>, slots: Vec<f64>, Table { period, product, .. }: Table) -> Rate {
        let odd = vec![false; levels.len()];
        Rate { levels, slots, period, product, odd, many_odd: false, events: Vec::new(), crowds: Vec::new(), before: Vec::new() }.counted()
    }

    /// Adds up what is expected.
    fn counted(mut self) -> Rate {
        let (of_day, width) = (self.of_day(), self.width());
        let mut sum = 0.0;
        self.before = Vec::with_capacity(self.levels.len() * of_day + 1);
        for n in 0..self.levels.len() * of_day {
            self.before.push(sum);
            sum += self.at(n) * width;
        }
        self.before.push(sum);
        self
    }

    /// Slots of a day.
    pub fn of_day(&self) -> usize {
        self.slots.len() / self.period
    }

    /// Seconds of a slot.
    pub fn width(&self) -> f64 {
        DAY_S / self.of_day() as f64
    }

    /// Orders a second in the n-th slot from the begin of day 0, without crowds.
    fn at(&self, n: usize) -> f64 {
        let level = self.levels.get(n / self.of_day()).copied().unwrap_or(0.0);
        level * self.slots[n % self.slots.len()]
    }

    /// Expected orders up to `t`, in seconds from the begin of day 0.
    pub fn up_to(&self, t: f64) -> f64 {
        let n = ((t / self.width()) as usize).min(self.before.len() - 1);
        self.before[n] + (t - n as f64 * self.width()).max(0.0) * self.at(n) + self.of_crowds(t)
    }

    /// Expected orders of a day.
    pub fn of(&self, day: usize) -> f64 {
        let k = self.of_day();
        let (from, until) = (day as f64 * DAY_S, (day + 1) as f64 * DAY_S);
        self.before[(day + 1) * k] - self.before[day * k] + self.of_crowds(until) - self.of_crowds(from)
    }

    /// Orders of crowds up to `t`. It is asked for every order of every replica, and most crowds are long over or far off.
    fn of_crowds(&self, t: f64) -> f64 {
        self.crowds.iter().map(|(crowd, ends)| if t >= *ends { crowd.orders } else { crowd.up_to(t) }).sum()
    }
}

/// Counts in quarters of an hour.
struct Grid {
    days: usize,
    counts: Vec<u32>,
    /// days that are left out: they say nothing of what is usual
    odd: Vec<bool>,
}

impl Grid {
    fn of(axis: &Axis) -> Grid {
        let mut counts = vec![0; axis.days * FINEST];
        for t in &axis.times {
            let at = ((t / DAY_S * FINEST as f64) as usize).min(counts.len() - 1);
            counts[at] += 1;
        }
        Grid { days: axis.days, counts, odd: vec![false; axis.days] }
    }

    fn of_day(&self, day: usize) -> f64 {
        self.counts[day * FINEST..(day + 1) * FINEST].iter().map(|count| f64::from(*count)).sum()
    }

    /// Trend and closed days. Trend and days of the week each see the other taken out, so they are found in turns.
    fn levels(&self) -> Vec<f64> {
        let days: Vec<f64> = (0..self.days).map(|day| self.of_day(day)).collect();
        let mut open = vec![true; self.days];
        open[0] = false;
        let mut levels = vec![1.0; self.days];
        let mean = days.iter().sum::<f64>() / (self.days - 1) as f64;
        for _ in 0..6 {
            let usual: Vec<bool> = open.iter().zip(&self.odd).map(|(open, odd)| *open && !odd).collect();
            let week = week(&days, &levels, &usual);
            if self.days > TREND_DAYS {
                for (day, level) in levels.iter_mut().enumerate() {
                    let around = day.saturating_sub(BESIDE)..(day + BESIDE + 1).min(self.days);
                    let expected: f64 = around.clone().filter(|other| usual[*other]).map(|other| week[other % 7]).sum();
                    let came: f64 = around.filter(|other| usual[*other]).map(|other| days[other]).sum();
                    *level = if expected > 0.0 { came / expected } else { 1.0 };
                }
            } else if self.days <= WEEK_DAYS {
                levels.clone_from(&days);
            }
            // a day of the week of which all open days are odd has no usual one
            for day in (1..self.days).filter(|day| !self.odd[*day]) {
                let expected = if self.days > WEEK_DAYS { week[day % 7] * levels[day] } else { mean };
                open[day] = days[day] > 0.0 || expected <= CLOSED_AT;
            }
        }
        // where nothing was expected and something came, the day must not be lost
        let least = levels.iter().copied().filter(|level| *level > 0.0).fold(f64::INFINITY, f64::min);
        let mean =
            (1..self.days).filter(|day| open[*day]).map(|day| levels[day]).sum::<f64>() / open.iter().filter(|open| **open).count().max(1) as f64;
        (0..self.days)
            .map(|day| match open[day] {
                false => 0.0,
                true if levels[day] > 0.0 => levels[day] / mean,
                true if least.is_finite() => least / mean,
                true => 1.0,
            })
            .collect()
    }

    /// Orders a second in each slot of a table at level 1, from the days for which `seen` holds.
    fn table(&self, levels: &[f64], Table { period, of_day, product }: Table, seen: &dyn Fn(usize) -> bool) -> Vec<f64> {
        let wide = FINEST / of_day;
        let mut came = vec![0.0; period * of_day];
        let mut exposed = vec![0.0; period];
        for day in (0..self.days).filter(|day| levels[*day] > 0.0 && !self.odd[*day] && seen(*day)) {
            exposed[day % period] += levels[day];
            for (slot, counts) in self.counts[day * FINEST..(day + 1) * FINEST].chunks(wide).enumerate() {
                came[day % period * of_day + slot] += counts.iter().map(|count| f64::from(*count)).sum::<f64>();
            }
        }
        if product {
            // what a day of the period and a slot of the day have in common: the most likely such numbers of Poisson
            let of_days: Vec<f64> = came.chunks(of_day).map(|day| day.iter().sum()).collect();
            let of_slots: Vec<f64> = (0..of_day).map(|slot| came.iter().skip(slot).step_by(of_day).sum()).collect();
            let all: f64 = of_days.iter().sum::<f64>().max(1.0);
            came.iter_mut().enumerate().for_each(|(n, came)| *came = of_days[n / of_day] * of_slots[n % of_day] / all);
        }
        let seconds = DAY_S / of_day as f64;
        came.iter().enumerate().map(|(n, came)| if exposed[n / of_day] > 0.0 { came / (exposed[n / of_day] * seconds) } else { 0.0 }).collect()
    }

    /// How badly each part of the history is foretold by the others, a Poisson deviance, but for a constant: even weeks by odd ones and odd by even, of a
    /// short history each week by all others, for half of it shows no days of a week, and of a shorter one even days by odd ones.
    fn deviance(&self, levels: &[f64], table: Table) -> f64 {
        let Table { period, of_day, .. } = table;
        // odd days are in neither
        let weeks = self.days / 7;
        let parts = if self.days > WEEK_DAYS && weeks < ENOUGH_WEEKS { weeks } else { 2 };
        let part_of = |day: usize| if self.days > WEEK_DAYS { day / 7 % parts } else { day % parts };
        let seconds = DAY_S / of_day as f64;
        let mean = self.counts.iter().map(|count| f64::from(*count)).sum::<f64>() / (levels.iter().sum::<f64>() * DAY_S);
        let mut sum = 0.0;
        for part in 0..parts {
            let rates = self.table(levels, table, &|day| part_of(day) != part);
            let exposed = |slot: usize| {
                let of =
                    (0..self.days).filter(|day| !self.odd[*day] && part_of(*day) != part && day % period == slot / of_day).map(|day| levels[day]);
                of.sum::<f64>()
            };
            let weights: Vec<f64> = (0..rates.len()).map(exposed).collect();
            for day in (0..self.days).filter(|day| !self.odd[*day] && part_of(*day) == part && levels[*day] > 0.0) {
                for (slot, counts) in self.counts[day * FINEST..(day + 1) * FINEST].chunks(FINEST / of_day).enumerate() {
                    let n = day % period * of_day + slot;
                    // a slot that was empty in one half need not be in the other: it counts as if a tenth of a mean day had been seen besides
                    let rate = (rates[n] * weights[n] + 0.1 * mean) / (weights[n] + 0.1);
                    let expected = rate * levels[day] * seconds;
                    let came: f64 = counts.iter().map(|count| f64::from(*count)).sum();
                    // in the units of the finest grid, so that tables of all widths compare
                    sum += expected - if came > 0.0 { came * libm::log(expected / seconds) } else { 0.0 };
                }
            }
        }
        sum
    }
}

/// Mean orders of each day of the week, by its place from day 0 on; a short history does not tell them apart.
fn week(days: &[f64], levels: &[f64], open: &[bool]) -> [f64; 7] {
    let mean = |which: &dyn Fn(usize) -> bool| {
        let (mut came, mut exposed) = (0.0, 0.0);
        for day in (0..days.len()).filter(|day| open[*day] && which(*day)) {
            came += days[day];
            exposed += levels[day];
        }
        if exposed > 0.0 { came / exposed } else { 0.0 }
    };
    let all = mean(&|_| true);
    std::array::from_fn(|of_week| if days.len() > WEEK_DAYS { mean(&|day| day % 7 == of_week) } else { all })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    /// 20 an hour from eight to eighteen, nothing on the sixth day of a week and nothing on days 30 and 31.
    #[test]
    fn closed_hours_weekdays_and_days_are_found() {
        let mut times = Vec::new();
        for day in (1..71).filter(|day| day % 7 != 6 && *day != 30 && *day != 31) {
            times.extend((0..200).map(|n| f64::from(day) * DAY_S + 8.0 * 3_600.0 + f64::from(n) * 180.0 + 1.0));
        }
        let axis = Axis { times, days: 71, first: date(2026, 1, 1), unit: 1, from: 0 };
        let rate = Rate::fitted(&axis);
        assert_eq!(rate.period, 7);
        assert!([0, 30, 31].iter().all(|day| rate.levels[*day] == 0.0), "{:?}", rate.levels);
        assert!((1..71).filter(|day| ![30, 31].contains(day)).all(|day| (rate.levels[day] - 1.0).abs() < 0.02), "{:?}", rate.levels);
        assert!(rate.of(6) == 0.0 && (rate.of(7) - 200.0).abs() < 4.0, "{}", rate.of(7));
        assert!(rate.up_to(7.0 * DAY_S + 7.9 * 3_600.0) - rate.up_to(7.0 * DAY_S) < 1e-9);
        assert!((rate.up_to(71.0 * DAY_S) - axis.times.len() as f64).abs() < 1.0);
    }

    /// Four weeks whose days are busier or calmer by chance as well: a table of a week would have seen each of its hours four times.
    #[test]
    fn days_of_a_week_that_differ_in_size_alone_are_found_in_four_weeks_and_not_where_there_are_none() {
        let fitted = |of_week: [f64; 7]| {
            let mut times = Vec::new();
            for day in 1..29usize {
                let chance = [0.85, 1.1, 1.0, 1.15, 0.9][day * day % 5];
                for hour in 0..24usize {
                    let busy = if (8..20).contains(&hour) { 30.0 } else { 5.0 };
                    let orders = (busy * of_week[day % 7] * chance) as usize;
                    times.extend((0..orders).map(|n| day as f64 * DAY_S + (hour as f64 + (n as f64 + 0.5) / orders as f64) * 3_600.0));
                }
            }
            let rate = Rate::fitted(&Axis { times, days: 29, first: date(2026, 1, 1), unit: 1, from: 0 });
            (rate.period, rate.product)
        };
        assert_eq!(fitted([1.3, 1.3, 0.9, 0.8, 0.8, 0.9, 1.0]), (7, true));
        assert_eq!(fitted([1.0; 7]), (1, false));
    }
}
