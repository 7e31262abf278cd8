//! From a real order history to a load profile, with the proof that the profile makes what the history was.
//!
//! A history is taken apart: times without their rounding, closed days and hours, a trend, a table of slots, days that are busier than planned,
//! orders that set off others; popularity, baskets, what is taken back. What comes out is the text of a profile. That text is read as any
//! profile is, replicas are drawn from it by the code of a run, and each statistic is compared with the history. Only counts leave a history:
//! no name of a customer or of a SKU is in the profile.

mod axis;
mod drift;
mod events;
mod laws;
mod minimum;
mod modulation;
mod profile;
mod rate;
mod shoppers;
mod stream;
mod text;
mod verify;

pub use axis::{FEWEST_DAYS, FEWEST_ORDERS};
pub use drift::{Drift, Overlap};
pub use events::{Crowd, Event, Shape};
pub use laws::{Catalogue, Number, Ranks, Tried};
pub use modulation::{Clusters, DayFactor};
pub use shoppers::{Afterwards, Shoppers, Told};
pub use verify::Check;

use crate::scenario::{LoadProfile, Problems, parse_load_profile};
use crate::sim::{Seed, Span};
use crate::workload::{Account, Import};
use axis::Axis;
use drift::Tops;
use profile::Parts;
use rate::Rate;
use serde::Serialize;
use std::cell::Cell;
use std::fmt;
use stream::Stream;
pub use verify::REPLICAS;
use verify::{Counted, Pool};

/// Days differ for certain where the variance is so many standard errors above that of chance.
const SURE: f64 = 3.0;

/// What a profile can hold.
const MOST_SKUS: usize = 5_000_000;
const MOST_ORDERS: usize = 100_000_000;
/// Where more of the rows that may have been sales were left out, what was read may be another history: a limit of hours of the week is 0.04, one of
/// baskets 0.07, and rows are seldom lost evenly.
const MOST_LOST: f64 = 0.01;

/// Which model of the times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// one rate at every moment
    Poisson,
    /// trend, days and slots
    Nhpp,
    /// the same with a drawn factor for each day
    Cox,
    /// the same with orders that set off others
    Hawkes,
}

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Model::Poisson => "poisson",
            Model::Nhpp => "nhpp",
            Model::Cox => "cox",
            Model::Hawkes => "cox + hawkes",
        }
    }
}

/// What is wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Wanted<'a> {
    /// of the profile: letters, digits, `-` and `_`
    pub name: &'a str,
    /// what the history is called in the report and in the profile
    pub source: &'a str,
    /// the column map that the history was read by
    pub columns: &'a str,
    pub seed: u64,
    /// the best where absent
    pub model: Option<Model>,
    pub told: Told,
}

/// Why there is no profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FitError {
    pub message: String,
    pub help: String,
}

impl FitError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> FitError {
        FitError { message: message.into(), help: help.into() }
    }
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  = help: {}", self.message, self.help)
    }
}
impl std::error::Error for FitError {}

impl From<Problems> for FitError {
    fn from(problems: Problems) -> FitError {
        FitError::new(format!("the fitted profile cannot be read back: {}", problems.render(false)), "this is a mistake of the program")
    }
}

/// What came out.
pub struct Fitted {
    /// the profile as a file
    pub profile: String,
    pub report: Report,
    pub picture: Picture,
}

/// The acceptance report.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    pub source: String,
    pub columns: String,
    /// what became of every row
    pub rows: Account,
    /// share of the rows that may have been sales and are in no order
    pub lost: f64,
    pub seed: u64,
    pub orders: usize,
    pub lines: u64,
    pub skus: usize,
    /// first and last day with orders
    pub first: String,
    pub days: usize,
    pub closed_days: usize,
    /// unit of the recorded times
    pub resolution: String,
    /// days after which the table of slots begins anew, and slots of a day
    pub slots: (usize, usize),
    /// days that these do not explain
    pub events: Vec<Event>,
    pub day_factor: Option<DayFactor>,
    pub clusters: Clusters,
    pub popularity: Vec<Tried<Ranks>>,
    pub basket_lines: Vec<Tried<Number>>,
    pub basket_units: Vec<Tried<Number>>,
    /// where goods that never sold are on offer too; else the counts are taken
    pub catalogue: Option<Catalogue>,
    pub chosen_lines: Number,
    pub chosen_units: Number,
    /// how much of a week's top is in later ones, where the history can tell
    pub tops: Option<Overlap>,
    pub drift: Option<Drift>,
    pub shoppers: Shoppers,
    pub after: Option<Afterwards>,
    pub replicas: usize,
    pub models: Vec<ModelReport>,
    pub chosen: Model,
    pub goods: Vec<Check>,
    pub verdict: Verdict,
    /// what was not fitted, and what a reader must know
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// replicas are as the history is
    Accepted,
    /// replicas are as the rows are that were read, and too many were not
    Unknown,
    Rejected,
}

/// One model of the times.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ModelReport {
    pub model: Model,
    pub accepted: bool,
    pub checks: Vec<Check>,
}

/// Real against synthetic, to be drawn: the history first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Picture {
    /// orders in each hour of the week, from midnight of the weekday of day 0
    pub week: [Vec<f64>; 2],
    /// share of the orders on each day; of the replicas one
    pub days: [Vec<f64>; 2],
    /// share of the lines by rank
    pub ranks: [Vec<f64>; 2],
    /// length in mean gaps, and share of the rescaled gaps that are longer
    pub gaps: [Vec<(f64, f64)>; 2],
    /// share of orders with 1, 2, 3, .. lines
    pub lines: [Vec<f64>; 2],
}

impl Report {
    /// The report for a terminal.
    pub fn text(&self) -> String {
        text::text(self)
    }
}

/// A model of the times under test.
struct Trial {
    report: ModelReport,
    pool: Pool,
    rate: Rate,
    factor: Option<DayFactor>,
    clusters: Option<Clusters>,
}

impl Trial {
    fn failed(&self) -> usize {
        self.report.checks.iter().filter(|check| !check.accepted).count()
    }
    fn gaps(&self) -> f64 {
        self.report.checks.first().map_or(1.0, |check| check.value)
    }
}

/// What is being drawn, how many replicas of all were, and how many there will be at most.
pub type Drawing<'a> = &'a dyn Fn(&str, usize, usize);

/// Fits a history. The same history and seed give the same profile and report, byte for byte. `drawing` is told of each replica.
pub fn fit(history: &Import, wanted: &Wanted<'_>, drawing: Drawing<'_>) -> Result<Fitted, FitError> {
    let seed = Seed(wanted.seed).derive("fit");
    let axis = Axis::of(history, seed)?;
    let (flat, rate) = (Rate::flat(&axis), Rate::fitted(&axis));
    let factor = modulation::day_factor(&axis, &rate).filter(|factor| factor.cv > 0.0);
    let clusters = modulation::clusters(&axis, &rate, factor);
    let counted = Counted::of(history, &|_| true);
    let popularity: Vec<u64> = counted.popularity.iter().copied().filter(|count| *count > 0).collect();
    if popularity.len() > MOST_SKUS || axis.times.len() > MOST_ORDERS {
        let message = format!("{} orders and {} SKUs are more than a profile can hold", axis.times.len(), popularity.len());
        return Err(FitError::new(message, format!("the most are {MOST_ORDERS} and {MOST_SKUS}: give a part of the history")));
    }
    let (ranks, lines, units) = (laws::ranks(&popularity), laws::numbers(&counted.lines), laws::numbers(&counted.units));
    let shoppers = Shoppers::of(history, wanted.told);
    let after = wanted.told.cancellations.then(|| Afterwards::of(history));
    let last = axis.date(axis.days - 1);

    let written = |rate: &Rate,
                   factor: Option<DayFactor>,
                   clusters: Option<Clusters>,
                   numbers: (Number, Number),
                   catalogue: Option<Catalogue>,
                   drift: Option<Drift>| {
        let parts = Parts {
            name: wanted.name,
            title: format!("As {}: {} orders from {} to {last}", wanted.source, axis.times.len(), axis.first),
            about: text::about(&history.account),
            axis: &axis,
            rate,
            factor,
            clusters,
            popularity: &popularity,
            catalogue,
            drift,
            lines: (numbers.0, &counted.lines),
            units: (numbers.1, &counted.units),
            shoppers: &shoppers,
            after: after.as_ref(),
        };
        parts.text()
    };
    let write = |rate: &Rate, factor, clusters, numbers, drift| written(rate, factor, clusters, numbers, None, drift);
    let mut numbers = (laws::chosen(&lines), laws::chosen(&units));
    let read = |text: &str| -> Result<LoadProfile, FitError> { Ok(parse_load_profile("the fitted profile", text)?) };
    let (done, in_all) = (Cell::new(0), Cell::new(0));
    let drawn = |what: &'static str| {
        let (done, in_all) = (&done, &in_all);
        move || {
            done.set(done.get() + 1);
            drawing(what, done.get(), in_all.get());
        }
    };
    let trial = |model: Model| -> Result<Trial, FitError> {
        let rate = if model == Model::Poisson { &flat } else { &rate };
        let factor = factor.filter(|_| matches!(model, Model::Cox | Model::Hawkes));
        let clusters = (model == Model::Hawkes).then_some(clusters);
        let profile = read(&write(rate, factor, clusters, numbers, None))?;
        let (checks, pool) = verify::arrivals(&axis, rate, &profile, seed, &drawn(model.name()));
        let report = ModelReport { model, accepted: checks.iter().all(|check| check.accepted), checks };
        Ok(Trial { report, pool, rate: rate.clone(), factor, clusters })
    };
    let sure = factor.is_some_and(|factor| factor.z > SURE);
    let models = match wanted.model {
        Some(model) => vec![model],
        None if clusters.count() => vec![Model::Poisson, Model::Nhpp, Model::Cox, Model::Hawkes],
        None => vec![Model::Poisson, Model::Nhpp, Model::Cox],
    };
    // a law of baskets that does not hold has the orders drawn once more, and counts of ranks that do not hold twice
    let weekly = Tops::of_history(history, &axis);
    let tops = weekly.overlap(&|_| true);
    in_all.set((models.len() + 4) * verify::REPLICAS + tops.map_or(0, |_| drift::TRIES));
    let mut trials = models.into_iter().map(trial).collect::<Result<Vec<Trial>, FitError>>()?;
    let at = match wanted.model {
        Some(_) => 0,
        None => best(&trials, sure),
    };
    let chosen = trials.remove(at);

    let told = drawn("drift");
    let drift = tops.and_then(|real| {
        drift::search(real, |drift| {
            told();
            let profile = read(&write(&chosen.rate, chosen.factor, chosen.clusters, numbers, drift)).ok()?;
            verify::tried(&counted, &axis, &profile, seed)
        })
    });
    let mut profile = write(&chosen.rate, chosen.factor, chosen.clusters, numbers, drift);
    let (mut goods, mut pools) = verify::goods(history, &axis, &weekly, &read(&profile)?, wanted.told, seed, &drawn("goods"));
    let fails = |goods: &[Check], names: &[&str]| goods.iter().any(|check| !check.accepted && names.contains(&check.statistic));
    if fails(&goods, &[verify::LINES, verify::UNITS]) && numbers != (Number::Empirical, Number::Empirical) {
        // a law that does not hold makes room for the numbers themselves
        numbers = (Number::Empirical, Number::Empirical);
        profile = write(&chosen.rate, chosen.factor, chosen.clusters, numbers, drift);
        (goods, pools) = verify::goods(history, &axis, &weekly, &read(&profile)?, wanted.told, seed, &drawn("goods"));
    }
    // of a few sales of many goods, counts say that all others are none
    let mut catalogue = None;
    if fails(&goods, &[verify::POPULARITY]) && drift.is_none() {
        let told = drawn("catalogue");
        let skus = laws::on_offer(&popularity).min(MOST_SKUS);
        let with = |sigma: f64| written(&chosen.rate, chosen.factor, chosen.clusters, numbers, Some(Catalogue { skus, sigma }), None);
        let off = |sigma: f64| -> Result<f64, FitError> {
            told();
            Ok(verify::tried_ranks(&counted, &axis, &read(&with(sigma))?, seed).unwrap_or(f64::INFINITY))
        };
        let sigmas = (1..=verify::REPLICAS).map(|tenth| tenth as f64 / 10.0);
        let tried = sigmas.map(|sigma| Ok((off(sigma)?, sigma))).collect::<Result<Vec<_>, FitError>>()?;
        if let Some((_, sigma)) = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)) {
            let other = with(sigma);
            let (of_other, drawn_of) = verify::goods(history, &axis, &weekly, &read(&other)?, wanted.told, seed, &drawn("goods"));
            if !fails(&of_other, &[verify::POPULARITY]) {
                (catalogue, profile, goods, pools) = (Some(Catalogue { skus, sigma }), other, of_other, drawn_of);
            }
        }
    }
    let real = Stream::of(&axis.times, axis.days, &chosen.rate, &|_| true);
    let shares = |weights: &[f64]| {
        let total = weights.iter().sum::<f64>().max(1.0);
        weights.iter().map(|weight| weight / total).collect::<Vec<_>>()
    };
    let [of_ranks, of_lines] = &pools;
    let sold: Vec<f64> = popularity.iter().map(|count| *count as f64).collect();
    let picture = Picture {
        week: [shares(&real.week), shares(&chosen.pool.week)],
        days: [shares(&real.by_day), shares(&chosen.pool.by_day)],
        ranks: [shares(&sold), shares(of_ranks)],
        gaps: [real.survival(), stream::survival(&chosen.pool.gaps)],
        lines: [shares(&counted.lines.weights()), shares(of_lines)],
    };
    let (_, lost) = history.account.lost();
    let verdict = match chosen.report.accepted && goods.iter().all(|check| check.accepted) {
        false => Verdict::Rejected,
        true if lost > MOST_LOST => Verdict::Unknown,
        true => Verdict::Accepted,
    };
    let short: Vec<&str> = chosen.report.checks.iter().chain(&goods).filter(|check| check.is_too_short()).map(|check| check.statistic).collect();
    let model = chosen.report.model;
    trials.insert(at, chosen);
    let mut notes = text::notes(history, &axis, &counted, wanted, (factor, sure), clusters);
    if tops.is_none() {
        notes.push(format!("fewer than {} weeks with enough lines, or too few SKUs: drift of ranks was not fitted", drift::FEWEST_WEEKS));
    }
    if !short.is_empty() {
        notes.push(format!(
            "the history is too short to tell by {}: single replicas are as far off, and further than can be accepted; more orders would tell",
            short.join(", ")
        ));
    }
    let report = Report {
        source: wanted.source.into(),
        columns: wanted.columns.into(),
        rows: history.account.clone(),
        lost,
        seed: wanted.seed,
        orders: axis.times.len(),
        lines: popularity.iter().sum(),
        skus: popularity.len(),
        first: format!("{} to {last}", axis.first),
        days: axis.days - 1,
        closed_days: rate.levels[1..].iter().filter(|level| **level == 0.0).count(),
        resolution: Span(axis.unit).to_string(),
        slots: (rate.period, rate.of_day()),
        events: rate.events.clone(),
        day_factor: factor,
        clusters,
        popularity: ranks,
        basket_lines: lines,
        basket_units: units,
        catalogue,
        chosen_lines: numbers.0,
        chosen_units: numbers.1,
        tops,
        drift,
        shoppers: shoppers.clone(),
        after: after.clone(),
        replicas: verify::REPLICAS,
        models: trials.into_iter().map(|trial| trial.report).collect(),
        chosen: model,
        goods,
        verdict,
        notes,
    };
    Ok(Fitted { profile, report, picture })
}

/// Cox where days differ for certain, else without the drawn factor; self-excitation only where it comes closer.
fn best(trials: &[Trial], sure: bool) -> usize {
    let place = |model: Model| trials.iter().position(|trial| trial.report.model == model);
    let plain = place(if sure { Model::Cox } else { Model::Nhpp }).unwrap_or(0);
    match place(Model::Hawkes) {
        Some(excited) if (trials[excited].failed(), trials[excited].gaps()) < (trials[plain].failed(), trials[plain].gaps()) => excited,
        _ => plain,
    }
}
