//! Factors of the rate: slots, levels of days, and what is drawn. Drawn ones come from the seed of the case, so that all its partitions see
//! the same peaks.

use crate::model::RUN_BEGINS_AT_H;
use crate::scenario::Arrival;
use crate::sim::{Purpose, Seed};
use std::sync::Arc;

const DAY_FACTOR: Purpose = Purpose(0x0110);
const HOUR_FACTOR: Purpose = Purpose(0x0111);
const STATE: Purpose = Purpose(0x0112);

pub(super) const HOUR: f64 = 3_600e9;
pub(super) const DAY: f64 = 86_400e9;
/// From midnight to the first moment of a case.
pub(super) const MIDNIGHT: f64 = RUN_BEGINS_AT_H as f64 * HOUR;

/// The product of all factors, read from front to back.
#[derive(Clone)]
pub(super) struct Factors {
    arrival: Arc<Arrival>,
    seed: Seed,
    /// which day, and its factor, as a gamma variate that is not yet scaled to a mean of 1
    day: (u64, f64),
    /// which hour, and its factor
    hour: (u64, f64),
    /// which state, until when, and how many there were before
    state: (usize, f64, u64),
}

impl Factors {
    pub fn new(arrival: &Arc<Arrival>, seed: Seed) -> Factors {
        let none = u64::MAX;
        let mut factors = Factors { arrival: arrival.clone(), seed, day: (none, 1.0), hour: (none, 1.0), state: (0, 0.0, 0) };
        if !arrival.states.is_empty() {
            factors.state.0 = factors.first_state();
            factors.state.1 = factors.stay();
        }
        factors
    }

    /// The factor at `t`, and until when it stays.
    pub fn at(&mut self, t: f64) -> (f64, f64) {
        let (mut factor, mut until) = (1.0, f64::INFINITY);
        let clock = t + MIDNIGHT;
        let mut slot = |width: f64| {
            let at = (clock / width).floor();
            // the end of a slot can round to its own begin: then it is the next one that counts
            let at = if (at + 1.0) * width - MIDNIGHT <= t { at + 1.0 } else { at };
            until = until.min((at + 1.0) * width - MIDNIGHT);
            at as u64
        };
        let arrival = self.arrival.clone();
        if !arrival.slots.is_empty() {
            let n = arrival.slots.len();
            factor *= arrival.slots[(slot(arrival.period.0 as f64 / n as f64) % n as u64) as usize];
        }
        if !arrival.days.is_empty() {
            factor *= arrival.days[(slot(DAY) % arrival.days.len() as u64) as usize];
        }
        if arrival.cox.day_cv > 0.0 {
            let day = slot(DAY);
            factor *= self.of_day(day);
        }
        if arrival.cox.hour_cv > 0.0 {
            let hour = slot(HOUR);
            factor *= self.of_hour(hour);
        }
        if !arrival.states.is_empty() {
            while self.state.1 <= t {
                self.switch();
            }
            until = until.min(self.state.1);
            factor *= arrival.states[self.state.0].level;
        }
        (factor, until)
    }

    /// A gamma variate for each day. With correlation r each keeps a random part of the one before, a beta(kr, k(1-r)) share, and gets a
    /// gamma(k(1-r)) on top: the law stays gamma(k), and neighbours correlate by r (Lewis, McKenzie and Hugus, 1989).
    fn of_day(&mut self, day: u64) -> f64 {
        let (cv, r) = (self.arrival.cox.day_cv, self.arrival.cox.day_ar1);
        let shape = 1.0 / (cv * cv);
        while self.day.0 != day {
            let next = self.day.0.wrapping_add(1);
            let mut draw = self.seed.draw(DAY_FACTOR, next, 0);
            self.day.1 = if next == 0 || r == 0.0 {
                draw.gamma(shape)
            } else {
                let (kept, lost) = (draw.gamma(shape * r), draw.gamma(shape * (1.0 - r)));
                let share = if kept + lost > 0.0 { kept / (kept + lost) } else { 0.0 };
                self.day.1 * share + draw.gamma(shape * (1.0 - r))
            };
            self.day.0 = next;
        }
        self.day.1 / shape
    }

    fn of_hour(&mut self, hour: u64) -> f64 {
        if self.hour.0 != hour {
            let shape = 1.0 / (self.arrival.cox.hour_cv * self.arrival.cox.hour_cv);
            self.hour = (hour, self.seed.draw(HOUR_FACTOR, hour, 0).gamma(shape) / shape);
        }
        self.hour.1
    }

    /// Each state is the first as often as the chain is in it.
    fn first_state(&self) -> usize {
        let stays: f64 = self.arrival.states.iter().map(|state| state.stay.0 as f64).sum();
        let mut left = self.seed.draw(STATE, 0, 1).unit() * stays;
        let within = |state: &crate::scenario::State| {
            left -= state.stay.0 as f64;
            left < 0.0
        };
        self.arrival.states.iter().position(within).unwrap_or(0)
    }

    fn stay(&self) -> f64 {
        let mean = self.arrival.states[self.state.0].stay.0 as f64;
        // no stay is nothing, so that time goes on
        (self.seed.draw(STATE, self.state.2, 0).exponential() * mean).max(1.0)
    }

    fn switch(&mut self) {
        let (from, until, before) = self.state;
        let others = self.arrival.states.len() as u64 - 1;
        let to = self.seed.draw(STATE, before + 1, 1).below(others) as usize;
        self.state = (if to >= from { to + 1 } else { to }, until, before + 1);
        self.state.1 = until + self.stay();
    }
}
