//! The rate of a case over time as segments, from front to back and without a list of them.

use super::modulation::Factors;
use super::segment::{Law, Segment};
use crate::scenario::{Arrival, Base, DelayName, Wave};
use crate::sim::{Seed, normal_quantile};
use std::sync::Arc;

/// Into so many slots of equal mass a wave is cut.
const WAVE_SLOTS: usize = 128;
/// The last slot of a wave ends where so little is left, and has it all the same.
const WAVE_TAIL: f64 = 0.001;
/// No slot is shorter: a law may have no bound where it begins.
const SHORTEST: f64 = 1_000.0;

/// The segments of a rate. With a duration they end there, and the mean rate goes on for ever.
#[derive(Clone)]
pub(super) struct Path {
    arrival: Arc<Arrival>,
    factors: Factors,
    /// ends of slots with the rate up to there, for each wave
    waves: Vec<Vec<(f64, f64)>>,
    at: f64,
    ends: f64,
    /// the rate after the end
    beyond: f64,
}

impl Path {
    pub fn new(arrival: &Arc<Arrival>, case: Seed) -> Path {
        let ends = arrival.duration.map_or(f64::INFINITY, |duration| duration.0 as f64);
        let waves = arrival.waves.iter().map(slots).collect();
        Path { arrival: arrival.clone(), factors: Factors::new(arrival, case), waves, at: 0.0, ends, beyond: 0.0 }
    }

    /// The mass up to the end of the duration; none without one.
    pub fn total(&self) -> Option<f64> {
        self.ends.is_finite().then(|| self.clone().take_while(|segment| segment.from < self.ends).map(|segment| segment.mass()).sum())
    }

    /// The same, with a mean rate that goes on. Where nothing at all was to come, the rate is the same at every moment.
    pub fn ending(mut self) -> (Path, f64) {
        let total = self.total().unwrap_or(0.0);
        if total.is_nan() || total <= 0.0 {
            let flat = Arrival { process: self.arrival.process.clone(), duration: self.arrival.duration, ..Arrival::poisson(crate::sim::Span(1)) };
            self.arrival = Arc::new(flat);
            self.factors = Factors::new(&self.arrival, Seed(0));
            self.waves.clear();
        }
        let total = self.total().unwrap_or(0.0);
        self.beyond = total / self.ends;
        (self, total)
    }

    /// The base rate from `t` on, as a multiple of the rate: its law, and until when it holds.
    fn base(&self, t: f64) -> (Law, f64) {
        match &self.arrival.base {
            Base::Flat => (Law::Linear(1.0, 1.0), f64::INFINITY),
            Base::Stages(stages) => {
                let (mut from, mut level) = (0.0, 0.0);
                for stage in stages {
                    let until = from + stage.lasts.0 as f64;
                    if t < until {
                        let at = |t: f64| level + (stage.to - level) * (t - from) / (until - from);
                        return (Law::Linear(at(t), stage.to), until);
                    }
                    (from, level) = (until, stage.to);
                }
                (Law::Linear(level, level), f64::INFINITY)
            }
            Base::Flash(flash) => {
                let (opens, rise) = (flash.at.0 as f64, flash.rise.0 as f64);
                let falls = opens + rise;
                if t < opens {
                    return (Law::Linear(1.0, 1.0), opens);
                }
                if t < falls {
                    return (Law::Linear(1.0 + (flash.peak - 1.0) * (t - opens) / rise, flash.peak), falls);
                }
                let reaches_floor = if flash.floor >= flash.peak {
                    falls
                } else if flash.floor > 0.0 && flash.exponent > 0.0 {
                    opens + rise * libm::pow(flash.peak / flash.floor, 1.0 / flash.exponent)
                } else {
                    f64::INFINITY
                };
                if t >= reaches_floor {
                    return (Law::Linear(flash.floor.min(flash.peak), flash.floor.min(flash.peak)), f64::INFINITY);
                }
                (Law::power(flash.peak, opens, rise, flash.exponent, t), reaches_floor)
            }
        }
    }

    /// What waves add at `t`, in orders a nanosecond, and until when.
    fn added(&self, t: f64) -> (f64, f64) {
        let (mut rate, mut until) = (0.0, f64::INFINITY);
        for slots in &self.waves {
            let at = slots.partition_point(|(end, _)| *end <= t);
            if let Some((end, of_slot)) = slots.get(at) {
                rate += of_slot;
                until = until.min(*end);
            }
        }
        (rate, until)
    }
}

impl Iterator for Path {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let from = self.at;
        if from >= self.ends {
            return Some(Segment { from, until: f64::INFINITY, law: Law::Linear(self.beyond, self.beyond) });
        }
        let (law, of_base) = self.base(from);
        let (factor, of_factor) = self.factors.at(from);
        let (added, of_waves) = self.added(from);
        // time always goes on, even where two ends are closer than its numbers can tell
        let until = of_base.min(of_factor).min(of_waves).min(self.ends).max(from + 1.0);
        let rate = factor / self.arrival.gap;
        let law = match law {
            Law::Linear(a, b) => {
                let at_until = if of_base.is_finite() { a + (b - a) * ((until - from) / (of_base - from)).min(1.0) } else { a };
                Law::Linear(a * rate + added, at_until * rate + added)
            }
            Law::Power { scale, origin, unit, exponent, begun } => Law::Power { scale: scale * rate, origin, unit, exponent, begun },
        };
        self.at = until;
        Some(Segment { from, until, law })
    }
}

/// Slots of equal mass; the first, if the wave does not begin at once, is empty.
fn slots(wave: &Wave) -> Vec<(f64, f64)> {
    let (start, scale) = (wave.at.0 as f64, wave.scale.0 as f64);
    let quantile = |p: f64| match wave.law {
        DelayName::Weibull => scale * libm::pow(-libm::log1p(-p), 1.0 / wave.shape),
        DelayName::Lognormal => scale * libm::exp(wave.shape * normal_quantile(p)),
    };
    let mut slots = vec![(start, 0.0)];
    let mut from = start;
    for n in 1..=WAVE_SLOTS {
        let p = if n == WAVE_SLOTS { 1.0 - WAVE_TAIL } else { n as f64 / WAVE_SLOTS as f64 };
        let until = (start + quantile(p)).max(from + SHORTEST);
        slots.push((until, wave.orders / WAVE_SLOTS as f64 / (until - from)));
        from = until;
    }
    slots
}
