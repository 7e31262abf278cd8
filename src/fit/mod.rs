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
mod trials;
#[cfg(test)]
mod truth;
mod verify;

pub use axis::{FEWEST_DAYS, FEWEST_ORDERS};
pub use drift::{Drift, Overlap};
pub use events::{Crowd, Event, Shape};
pub use laws::{Catalogue, Number, Ranks, Tried};
pub use modulation::{Clusters, DayFactor};
pub use shoppers::{Afterwards, Shoppers, Told};
pub use verify::Check;

use crate::scenario::Problems;
use crate::sim::Span;
use crate::workload::{Account, Import};
use axis::Axis;
use modulation::Residual;
use rate::Rate;
use serde::Serialize;
use std::fmt;
use stream::Stream;
use trials::{Times, Trial, Whole, Work};
pub use verify::REPLICAS;

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
    /// the days of a week differ in how many orders there are, and not in when they come
    pub product: bool,
    /// days that these do not explain
    pub events: Vec<Event>,
    pub day_factor: Option<DayFactor>,
    pub clusters: Clusters,
    pub popularity: Vec<Tried<Ranks>>,
    /// SKUs differ no more than by chance, so the profile has one popularity for all
    pub alike: bool,
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

/// What is being drawn, how many replicas of all were, and how many there will be at most.
pub type Drawing<'a> = &'a dyn Fn(&str, usize, usize);

/// Fits a history. The same history and seed give the same profile and report, byte for byte. `drawing` is told of each replica.
pub fn fit(history: &Import, wanted: &Wanted<'_>, drawing: Drawing<'_>) -> Result<Fitted, FitError> {
    let work = Work::of(history, wanted, drawing)?;
    let axis = &work.axis;
    let rate = Rate::fitted(axis);
    let Residual { alone, beside, clusters } = Residual::of(axis, &rate);
    let sure = |factor: Option<DayFactor>| factor.is_some_and(|factor| factor.z > SURE);
    let models = match wanted.model {
        Some(model) => vec![model],
        None if clusters.count() => vec![Model::Poisson, Model::Nhpp, Model::Cox, Model::Hawkes],
        None => vec![Model::Poisson, Model::Nhpp, Model::Cox],
    };
    work.expect(models.len());
    let trial = |model: Model| {
        let rate = if model == Model::Poisson { Rate::flat(axis) } else { rate.clone() };
        let factor = match model {
            Model::Poisson | Model::Nhpp => None,
            Model::Cox => alone,
            // days that differ by chance alone have no factor, whatever else is tried
            Model::Hawkes => beside.filter(|_| sure(beside) || wanted.model.is_some()),
        };
        work.trial(model, Times { rate, factor, clusters: (model == Model::Hawkes).then_some(clusters) })
    };
    let mut trials = models.into_iter().map(trial).collect::<Result<Vec<Trial>, FitError>>()?;
    let at = if wanted.model.is_some() { 0 } else { best(&trials, sure(alone)) };
    let chosen = trials.remove(at);
    let whole = work.whole(&chosen.times)?;

    let picture = picture(&work, &chosen, &whole);
    let (_, lost) = history.account.lost();
    let verdict = match chosen.report.accepted && whole.checks.iter().all(|check| check.accepted) {
        false => Verdict::Rejected,
        true if lost > MOST_LOST => Verdict::Unknown,
        true => Verdict::Accepted,
    };
    let checks = chosen.report.checks.iter().chain(&whole.checks);
    let short: Vec<&str> = checks.filter(|check| check.is_too_short()).map(|check| check.statistic).collect();
    let model = chosen.report.model;
    let factor = if model == Model::Hawkes { beside } else { alone };
    let notes = text::notes(history, &work, wanted, (factor, sure(factor)), clusters, (&short, rate.many_odd));
    trials.insert(at, chosen);
    let (first, last) = work.ends();
    let report = Report {
        source: wanted.source.into(),
        columns: wanted.columns.into(),
        rows: history.account.clone(),
        lost,
        seed: wanted.seed,
        orders: axis.times.len(),
        lines: work.popularity.iter().sum(),
        skus: work.popularity.len(),
        first: format!("{first} to {last}"),
        days: axis.days - 1,
        closed_days: rate.levels[1..].iter().filter(|level| **level == 0.0).count(),
        resolution: Span(axis.unit).to_string(),
        slots: (rate.period, rate.of_day()),
        product: rate.product,
        events: if model == Model::Poisson { Vec::new() } else { rate.events },
        day_factor: factor,
        clusters,
        popularity: laws::ranks(&work.popularity),
        alike: laws::alike(&work.weights),
        basket_lines: work.lines,
        basket_units: work.units,
        catalogue: whole.wares.catalogue,
        chosen_lines: whole.wares.lines,
        chosen_units: whole.wares.units,
        tops: work.tops,
        drift: whole.wares.drift,
        shoppers: work.shoppers,
        after: work.after,
        replicas: verify::REPLICAS,
        models: trials.into_iter().map(|trial| trial.report).collect(),
        chosen: model,
        goods: whole.checks,
        verdict,
        notes,
    };
    Ok(Fitted { profile: whole.profile, report, picture })
}

fn picture(work: &Work<'_>, chosen: &Trial, whole: &Whole) -> Picture {
    let real = Stream::of(&work.axis.times, work.axis.days, &chosen.times.rate, &|_| true);
    let shares = |weights: &[f64]| {
        let total = weights.iter().sum::<f64>().max(1.0);
        weights.iter().map(|weight| weight / total).collect::<Vec<_>>()
    };
    let [of_ranks, of_lines] = &whole.pools;
    let sold: Vec<f64> = work.popularity.iter().map(|count| *count as f64).collect();
    Picture {
        week: [shares(&real.week), shares(&chosen.pool.week)],
        days: [shares(&real.by_day), shares(&chosen.pool.by_day)],
        ranks: [shares(&sold), shares(of_ranks)],
        gaps: [real.survival(), stream::survival(&chosen.pool.gaps)],
        lines: [shares(&work.counted.lines.weights()), shares(of_lines)],
    }
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
