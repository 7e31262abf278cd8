//! Profiles on trial: each is written from what a history says, read back, and its replicas are held against the history.

use super::drift::{self, Drift, Overlap, Tops};
use super::laws::{self, Catalogue, Number, Tried};
use super::modulation::{Clusters, DayFactor};
use super::profile::Parts;
use super::rate::Rate;
use super::verify::{self, Check, Counted, Pool};
use super::{Afterwards, Axis, Drawing, FitError, MOST_ORDERS, MOST_SKUS, Model, ModelReport, Shoppers, Wanted, text};
use crate::scenario::{LoadProfile, parse_load_profile};
use crate::sim::Seed;
use crate::workload::Import;
use std::cell::Cell;

/// How orders come, by one model.
#[derive(Clone)]
pub(super) struct Times {
    pub rate: Rate,
    pub factor: Option<DayFactor>,
    pub clusters: Option<Clusters>,
}

/// What orders are about.
#[derive(Clone, Copy)]
pub(super) struct Wares {
    pub lines: Number,
    pub units: Number,
    /// takes the place of the counts
    pub catalogue: Option<Catalogue>,
    pub drift: Option<Drift>,
}

/// A model of the times, and what its replicas are like.
pub(super) struct Trial {
    pub report: ModelReport,
    pub pool: Pool,
    pub times: Times,
}

impl Trial {
    pub fn failed(&self) -> usize {
        self.report.checks.iter().filter(|check| !check.accepted).count()
    }
    pub fn gaps(&self) -> f64 {
        self.report.checks.first().map_or(1.0, |check| check.value)
    }
}

/// A whole profile, and what the goods of its replicas are like.
pub(super) struct Whole {
    pub wares: Wares,
    pub profile: String,
    pub checks: Vec<Check>,
    /// popularity by rank, and lines of an order, of all replicas together
    pub pools: [Vec<f64>; 2],
}

impl Whole {
    fn fails(&self, names: &[&str]) -> bool {
        self.checks.iter().any(|check| !check.accepted && names.contains(&check.statistic))
    }
}

/// What a history says, whatever the model.
pub(super) struct Work<'a> {
    history: &'a Import,
    wanted: &'a Wanted<'a>,
    seed: Seed,
    pub axis: Axis,
    pub counted: Counted,
    /// lines of each SKU that sold, the most popular first
    pub popularity: Vec<u64>,
    /// how popular these are, without what is chance in their lines
    pub weights: Vec<f64>,
    pub lines: Vec<Tried<Number>>,
    pub units: Vec<Tried<Number>>,
    weekly: Tops,
    /// how much of a week's top is in later ones, where the history can tell
    pub tops: Option<Overlap>,
    pub shoppers: Shoppers,
    pub after: Option<Afterwards>,
    drawing: Drawing<'a>,
    drawn: Cell<usize>,
    /// replicas that will be drawn at most
    in_all: Cell<usize>,
}

impl<'a> Work<'a> {
    pub fn of(history: &'a Import, wanted: &'a Wanted<'a>, drawing: Drawing<'a>) -> Result<Work<'a>, FitError> {
        let seed = Seed(wanted.seed).derive("fit");
        let axis = Axis::of(history, seed)?;
        let counted = Counted::of(history, &|_| true);
        let popularity: Vec<u64> = counted.popularity.iter().copied().filter(|count| *count > 0).collect();
        if popularity.len() > MOST_SKUS || axis.times.len() > MOST_ORDERS {
            let message = format!("{} orders and {} SKUs are more than a profile can hold", axis.times.len(), popularity.len());
            return Err(FitError::new(message, format!("the most are {MOST_ORDERS} and {MOST_SKUS}: give a part of the history")));
        }
        let weekly = Tops::of_history(history, &axis);
        Ok(Work {
            history,
            wanted,
            seed,
            lines: laws::numbers(&counted.lines),
            units: laws::numbers(&counted.units),
            counted,
            weights: laws::popularity(&popularity),
            popularity,
            tops: weekly.overlap(&|_| true),
            weekly,
            shoppers: Shoppers::of(history, wanted.told),
            after: wanted.told.cancellations.then(|| Afterwards::of(history)),
            axis,
            drawing,
            drawn: Cell::new(0),
            in_all: Cell::new(0),
        })
    }

    /// So many models of the times will be tried.
    pub fn expect(&self, models: usize) {
        // a law of baskets that does not hold has the orders drawn once more, and counts of ranks that do not hold twice
        self.in_all.set((models + 4) * verify::REPLICAS + self.tops.map_or(0, |_| drift::TRIES));
    }

    /// The laws of baskets that come nearest, and the counts of each rank.
    pub fn wares(&self) -> Wares {
        Wares { lines: laws::chosen(&self.lines), units: laws::chosen(&self.units), catalogue: None, drift: None }
    }

    /// The first and the last day with orders.
    pub fn ends(&self) -> (String, String) {
        (self.axis.date(1), self.axis.date(self.axis.days - 1))
    }

    fn tell(&self, what: &str) {
        self.drawn.set(self.drawn.get() + 1);
        (self.drawing)(what, self.drawn.get(), self.in_all.get());
    }

    fn profile(&self, times: &Times, wares: Wares) -> Result<(String, LoadProfile), FitError> {
        let (first, last) = self.ends();
        let parts = Parts {
            name: self.wanted.name,
            title: format!("As {}: {} orders from {first} to {last}", self.wanted.source, self.axis.times.len()),
            about: text::about(&self.history.account),
            axis: &self.axis,
            times,
            wares,
            counted: &self.counted,
            popularity: &self.weights,
            shoppers: &self.shoppers,
            after: self.after.as_ref(),
        };
        let text = parts.text();
        let read = parse_load_profile("the fitted profile", &text)?;
        Ok((text, read))
    }

    /// Replicas of a model of the times.
    pub fn trial(&self, model: Model, times: Times) -> Result<Trial, FitError> {
        let (_, profile) = self.profile(&times, self.wares())?;
        let (checks, pool) = verify::arrivals(&self.axis, &times.rate, &profile, self.seed, &|| self.tell(model.name()));
        Ok(Trial { report: ModelReport { model, accepted: checks.iter().all(|check| check.accepted), checks }, pool, times })
    }

    /// The profile with these times, with laws that hold where some do.
    pub fn whole(&self, times: &Times) -> Result<Whole, FitError> {
        let mut whole = self.replicas(times, Wares { drift: self.drift(times), ..self.wares() })?;
        let counts = Wares { lines: Number::Empirical, units: Number::Empirical, ..whole.wares };
        let by_law = (whole.wares.lines, whole.wares.units) != (counts.lines, counts.units);
        if by_law && whole.fails(&[verify::LINES, verify::UNITS]) {
            // a law that does not hold makes room for the numbers themselves
            whole = self.replicas(times, counts)?;
        }
        // of a few sales of many goods, counts say that all others are none
        if whole.fails(&[verify::POPULARITY]) && whole.wares.drift.is_none() {
            let larger = self.replicas(times, Wares { catalogue: Some(self.catalogue(times, whole.wares)?), ..whole.wares })?;
            if !larger.fails(&[verify::POPULARITY]) {
                whole = larger;
            }
        }
        Ok(whole)
    }

    fn replicas(&self, times: &Times, wares: Wares) -> Result<Whole, FitError> {
        let (text, profile) = self.profile(times, wares)?;
        let told = self.wanted.told;
        let (checks, pools) = verify::goods(self.history, &self.axis, &self.weekly, &profile, told, self.seed, &|| self.tell("goods"));
        Ok(Whole { wares, profile: text, checks, pools })
    }

    fn drift(&self, times: &Times) -> Option<Drift> {
        drift::search(self.tops?, |drift, number| {
            self.tell("drift");
            let (_, profile) = self.profile(times, Wares { drift, ..self.wares() }).ok()?;
            verify::tried(&self.counted, &self.axis, &profile, self.seed.derive(&format!("drift {number}")))
        })
    }

    /// Of twenty spreads of a larger catalogue the one whose draws come nearest.
    fn catalogue(&self, times: &Times, wares: Wares) -> Result<Catalogue, FitError> {
        let of = |tenth: usize| Catalogue { skus: laws::on_offer(&self.popularity).min(MOST_SKUS), sigma: tenth as f64 / 10.0 };
        let mut best = (f64::INFINITY, of(10));
        for catalogue in (1..=verify::REPLICAS).map(of) {
            self.tell("catalogue");
            let (_, profile) = self.profile(times, Wares { catalogue: Some(catalogue), ..wares })?;
            let off = verify::tried_ranks(&self.counted, &self.axis, &profile, self.seed).unwrap_or(f64::INFINITY);
            if off < best.0 {
                best = (off, catalogue);
            }
        }
        Ok(best.1)
    }
}
