//! The times of a history on the axis of a profile: seconds from midnight of the day before its first order.
//!
//! A run begins at ten in the morning. So that no order of the first day is lost, the profile begins one day earlier, on a day on which nothing
//! comes; then the calendar is that of the history, to the slot.

use super::FitError;
use crate::sim::{Purpose, Seed};
use crate::workload::Import;
use jiff::civil;

pub(super) const DAY_S: f64 = 86_400.0;
/// Seconds from midnight to the first moment of a run.
pub(super) const BEGINS_S: f64 = crate::model::RUN_BEGINS_AT_H as f64 * 3_600.0;
const JITTER: Purpose = Purpose(0x0180);
/// Units in which clocks write, in nanoseconds, the coarsest first.
const UNITS: [u64; 9] = [86_400_000_000_000, 3_600_000_000_000, 900_000_000_000, 300_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1];
/// A unit counts where so many of the times are whole numbers of it.
const MOST_TIMES: f64 = 0.995;
/// Fewer orders, or orders on fewer days, have no shape that could be told from chance.
pub const FEWEST_ORDERS: usize = 200;
pub const FEWEST_DAYS: usize = 4;
/// A profile holds levels of so many days.
const MOST_DAYS: usize = 3_700;

/// When orders came.
pub(super) struct Axis {
    /// seconds from midnight of day 0, in order
    pub times: Vec<f64>,
    /// all days, with the empty one at the front
    pub days: usize,
    /// the first day with orders, which is day 1
    pub first: civil::Date,
    /// unit of the recorded times, in nanoseconds
    pub unit: u64,
    /// nanoseconds from midnight of the first day to the first order
    pub from: u64,
}

impl Axis {
    /// Takes the rounding out of the times: each gets a uniform part of the unit. Without that, equal times would look like bursts.
    pub fn of(history: &Import, seed: Seed) -> Result<Axis, FitError> {
        let orders = history.orders.len();
        if orders < FEWEST_ORDERS {
            let help = "give a longer history";
            return Err(FitError::new(format!("{orders} orders are too few to tell a shape from chance: at least {FEWEST_ORDERS} are needed"), help));
        }
        let started: civil::DateTime =
            history.started.parse().map_err(|e| FitError::new(format!("`{}` is no time: {e}", history.started), "see the columns map"))?;
        let time = started.time();
        let seconds = u64::from(time.hour().unsigned_abs()) * 3_600 + u64::from(time.minute().unsigned_abs()) * 60;
        let first_ns = (seconds + u64::from(time.second().unsigned_abs())) * 1_000_000_000 + u64::from(time.subsec_nanosecond().unsigned_abs());
        // since midnight of the first day with orders
        let exact = || history.orders.iter().map(|order| first_ns + order.placed_at.0);
        let fits = |unit: u64| exact().filter(|ns| ns % unit == 0).count() as f64 >= MOST_TIMES * orders as f64;
        let unit = UNITS.into_iter().find(|unit| fits(*unit)).unwrap_or(1);
        let last = exact().next_back().unwrap_or(first_ns);
        let days = (last / UNITS[0]) as usize + 2;
        let mut with_orders = 0;
        let mut before = None;
        for day in exact().map(|ns| ns / UNITS[0]) {
            with_orders += usize::from(before != Some(day));
            before = Some(day);
        }
        if with_orders < FEWEST_DAYS {
            let what = if history.span.0 == 0 { "all orders have the same time".into() } else { format!("days with orders: {with_orders}") };
            let help = "give a longer history; is `placed_at.format` of the columns map right?";
            return Err(FitError::new(format!("{what}: at least {FEWEST_DAYS} days are needed to know how they differ"), help));
        }
        if days > MOST_DAYS {
            let help = "give the last years of it";
            return Err(FitError::new(format!("the history spans {days} days: a profile holds levels of {MOST_DAYS}"), help));
        }
        let mut times: Vec<f64> = (0..)
            .zip(exact())
            .map(|(n, ns)| {
                let part = if ns % unit == 0 && unit > 1 { seed.draw(JITTER, n, 0).unit() * unit as f64 } else { 0.0 };
                DAY_S + (ns as f64 + part) / 1e9
            })
            .collect();
        times.sort_by(f64::total_cmp);
        Ok(Axis { times, days, first: started.date(), unit, from: first_ns })
    }

    /// The date of a day.
    pub fn date(&self, day: usize) -> String {
        self.first.checked_add(jiff::Span::new().days(day as i64 - 1)).unwrap_or(self.first).to_string()
    }

    /// The day of an order, by its place in the history.
    pub fn day_of(&self, history: &Import, at: usize) -> usize {
        let since = history.orders.get(at).map_or(0, |order| order.placed_at.0);
        ((self.from + since) / UNITS[0]) as usize + 1
    }
}
