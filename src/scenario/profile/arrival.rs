//! When orders come: the `[arrival]` of a load profile, as the file says it and as it is used.

use crate::scenario::resolve::Check;
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most slots, batches, and switches between states in the duration: they cost no memory, but time in every partition.
const MOST_CHANGES: f64 = 1e6;
/// The most switches between states for each order, where there is no duration.
const MOST_AN_ORDER: f64 = 1e4;

/// When orders come. The rate at a moment is `rate`, times what `stages` or `flash` say, times the slot of the day, times the day's level,
/// times the drawn factors of `cox` and `states`; waves are added. The process says how orders come at that rate.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivalFile {
    #[serde(default)]
    pub process: ProcessName,
    /// orders a second where every factor is 1; default 1, and then `to` in the stages is orders a second
    #[schemars(range(min = 0.000000001, max = 1000000000.0))]
    pub rate: Option<f64>,
    /// how long the shape lasts, such as `"2h"`. The orders of a case are then fitted into it: the number is exact, and the rate is scaled so that
    /// the shape is kept. Where absent the rate is as it stands, and a case lasts as long as its orders take
    pub duration: Option<String>,
    /// ramps, one after another, each from where the last one ended; the first begins at 0. `for = "0s"` is a jump
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub stages: Vec<StageFile>,
    /// a sale that opens: a steep rise, then a power law
    pub flash: Option<FlashFile>,
    /// relative rates of equal parts of `period`, from midnight (of the first day, which begins at ten in the morning): 24 values are hours
    #[serde(default)]
    #[schemars(length(max = 10080), inner(range(min = 0.0, max = 1000000.0)))]
    pub slots: Vec<f64>,
    /// what the slots divide: `"1d"` (default), or `"7d"` for a week from midnight of the first day
    pub period: Option<String>,
    /// relative rates of days, the first being the day on which the run begins; after the last the first again
    #[serde(default)]
    #[schemars(length(max = 3700), inner(range(min = 0.0, max = 1000000.0)))]
    pub days: Vec<f64>,
    /// days and hours that are busier or calmer than planned, drawn once for all partitions of a case
    pub cox: Option<CoxFile>,
    /// states between which the rate switches at random moments (a Markov-modulated Poisson process), drawn once for all partitions; from each to
    /// any other with the same probability
    #[serde(default)]
    #[schemars(length(min = 2, max = 100))]
    pub states: Vec<StateFile>,
    /// crowds that come on top, such as after an e-mail
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub wave: Vec<WaveFile>,
    /// hawkes: orders that one order sets off by itself, in the mean; below 1
    #[schemars(range(min = 0.0, max = 0.99))]
    pub branching: Option<f64>,
    /// hawkes: time in which what an order sets off falls to half, at the mean rate; where the rate is k times as high, it is k times as short
    pub half_life: Option<String>,
    /// batch: time between two batches
    pub every: Option<String>,
    /// batch: each is early or late by up to so much; at most half of `every`
    pub jitter: Option<String>,
    /// batch: orders of a batch, the median of a lognormal law
    #[schemars(range(min = 1.0, max = 10000000.0))]
    pub size: Option<f64>,
    /// batch: standard deviation of the logarithm of the size; default 0, every batch alike
    #[schemars(range(min = 0.0, max = 4.0))]
    pub size_sigma: Option<f64>,
    /// batch: the orders of a batch are spread evenly over so long; default all at once
    pub within: Option<String>,
    /// replay: a file of times, one a line, in seconds from the first order on and in order; its path is relative to the profile
    pub times: Option<String>,
    /// replay: how many times as fast as recorded; default 1
    #[schemars(range(min = 0.000001, max = 1000000.0))]
    pub speed: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessName {
    /// each order by itself, as from many shoppers who know nothing of each other
    #[default]
    Poisson,
    /// as evenly as the rate allows
    Constant,
    /// all at the same instant
    Burst,
    /// orders set off others: a self-exciting process with an exponential kernel
    Hawkes,
    /// many at once, again and again
    Batch,
    /// at recorded times
    Replay,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageFile {
    /// how long the ramp takes, such as `"1m"`
    #[serde(rename = "for")]
    pub lasts: String,
    /// where it ends, in multiples of `rate`
    #[schemars(range(min = 0.0, max = 1000000000.0))]
    pub to: f64,
    /// a name that thresholds may use, such as `"peak"`
    #[serde(default)]
    pub name: Option<String>,
}

/// Before `at` the rate is `rate`; then it rises in a straight line, and falls as (t / rise)^-exponent, t being the time since `at`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlashFile {
    /// when it opens, after the first moment of the case
    pub at: String,
    /// from opening to the peak
    pub rise: String,
    /// the peak, in multiples of `rate`
    #[schemars(range(min = 0.000001, max = 1000000.0))]
    pub peak: f64,
    #[schemars(range(min = 0.0, max = 10.0))]
    pub exponent: f64,
    /// it falls no deeper than to this multiple of `rate`; default 0
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub floor: f64,
}

/// Factors with mean 1 that follow a gamma law.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CoxFile {
    /// coefficient of variation of a day's factor
    #[schemars(range(min = 0.0, max = 3.0))]
    pub day_cv: f64,
    /// correlation of one day's factor with the next one's
    #[schemars(range(min = 0.0, max = 0.999))]
    pub day_ar1: f64,
    /// coefficient of variation of an hour's factor
    #[schemars(range(min = 0.0, max = 3.0))]
    pub hour_cv: f64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateFile {
    /// factor of the rate
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub level: f64,
    /// mean stay, exponential
    pub stay: String,
}

/// Orders whose delays after `at` follow a law. The rate is constant in short slots, each of which has exactly the mass of the law.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaveFile {
    pub at: String,
    /// how many orders it brings in the mean, before the rate is scaled to the orders of a case
    #[schemars(range(min = 0.0, max = 1000000000.0))]
    pub orders: f64,
    #[serde(default)]
    pub law: DelayName,
    /// weibull: time in which 63 % have come; lognormal: median
    pub scale: String,
    /// weibull: the exponent (1 is exponential, less has a heavy tail); lognormal: standard deviation of the logarithm
    #[schemars(range(min = 0.05, max = 10.0))]
    pub shape: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DelayName {
    #[default]
    Weibull,
    Lognormal,
}

/// When orders come, checked. Times are nanoseconds, rates are multiples of one order in `gap`.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    pub process: Process,
    /// mean time between two orders where every factor is 1; kept as it was given, so that no digit is lost
    pub gap: f64,
    pub duration: Option<Span>,
    pub base: Base,
    pub slots: Vec<f64>,
    pub period: Span,
    pub days: Vec<f64>,
    pub cox: CoxFile,
    pub states: Vec<State>,
    pub waves: Vec<Wave>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Process {
    Poisson,
    Constant,
    Burst,
    Hawkes { branching: f64, half_life: Span },
    Batch { every: Span, jitter: Span, size: f64, sigma: f64, within: Span },
    Replay { times: Arc<[f64]>, speed: f64 },
}

#[derive(Clone, PartialEq, Debug)]
pub enum Base {
    Flat,
    Stages(Vec<Stage>),
    Flash(Flash),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stage {
    pub lasts: Span,
    pub to: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flash {
    pub at: Span,
    pub rise: Span,
    pub peak: f64,
    pub exponent: f64,
    pub floor: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct State {
    pub level: f64,
    pub stay: Span,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wave {
    pub at: Span,
    pub orders: f64,
    pub law: DelayName,
    pub scale: Span,
    pub shape: f64,
}

impl Arrival {
    /// Orders at random with this mean gap; all at once where it is zero.
    pub fn poisson(gap: Span) -> Arrival {
        let process = if gap == Span::ZERO { Process::Burst } else { Process::Poisson };
        Arrival {
            process,
            gap: gap.0 as f64,
            duration: None,
            base: Base::Flat,
            slots: Vec::new(),
            period: Span::from_days(1),
            days: Vec::new(),
            cox: CoxFile::default(),
            states: Vec::new(),
            waves: Vec::new(),
        }
    }

    /// The same at every moment, and without end.
    pub fn is_plain(&self) -> bool {
        *self == Arrival { process: self.process.clone(), gap: self.gap, ..Arrival::poisson(Span(1)) }
    }

    pub(super) fn resolve(file: &ArrivalFile, check: &mut Check<'_>) -> Arrival {
        let key = |name: &str| format!("arrival.{name}");
        only(file, check);
        let needed = |name: &str, text: &Option<String>, check: &mut Check<'_>| match text {
            Some(text) => positive(&key(name), text, check),
            None => {
                check.value("arrival", format!("a {} process needs `{name}`", file.process.name()), Some(format!("such as {name} = \"1m\"")));
                Span(1)
            }
        };
        let process = match file.process {
            ProcessName::Poisson => Process::Poisson,
            ProcessName::Constant => Process::Constant,
            ProcessName::Burst => Process::Burst,
            ProcessName::Hawkes => {
                let branching = file.branching.unwrap_or_else(|| {
                    check.value("arrival", "a hawkes process needs `branching`", Some("such as branching = 0.5".into()));
                    0.0
                });
                Process::Hawkes { branching, half_life: needed("half_life", &file.half_life, check) }
            }
            ProcessName::Batch => {
                let every = needed("every", &file.every, check);
                let mut free = |name: &str, text: &Option<String>| text.as_ref().map_or(Span::ZERO, |text| check.span(&key(name), text));
                let (jitter, within) = (free("jitter", &file.jitter), free("within", &file.within));
                if u128::from(jitter.0) * 2 + u128::from(within.0) > u128::from(every.0) {
                    let help = "keep twice the `jitter` and `within` together below `every`";
                    check.value(&key("every"), "one batch would run into the next", Some(help.into()));
                }
                if file.size.is_none() {
                    check.value("arrival", "a batch process needs `size`", Some("such as size = 500".into()));
                }
                Process::Batch { every, jitter, size: file.size.unwrap_or(1.0), sigma: file.size_sigma.unwrap_or(0.0), within }
            }
            ProcessName::Replay => {
                if file.times.is_none() {
                    check.value("arrival", "a replay needs `times`", Some("such as times = \"orders.times\"".into()));
                }
                Process::Replay { times: Arc::default(), speed: file.speed.unwrap_or(1.0) }
            }
        };
        let before = check.problems.len();
        let stages: Vec<Stage> = (0..)
            .zip(&file.stages)
            .map(|(n, stage): (usize, _)| Stage { lasts: check.span(&format!("arrival.stages[{n}].for"), &stage.lasts), to: stage.to })
            .collect();
        let all_read = check.problems.len() == before;
        let of_stages = stages.iter().try_fold(0u64, |sum, stage| sum.checked_add(stage.lasts.0).filter(|sum| *sum < u64::MAX / 4));
        let mut duration = file.duration.as_ref().map(|text| positive(&key("duration"), text, check));
        match of_stages {
            // how long they last is not known
            _ if !all_read => {}
            None => check.value(&key("stages"), "the stages last too long together: the longest is 146 years", None),
            _ if !stages.is_empty() && file.wave.is_empty() && stages.iter().all(|stage| stage.to == 0.0) => {
                check.value(&key("stages"), "nothing ever comes: every stage ends at 0", None)
            }
            Some(0) if !stages.is_empty() => check.value(&key("stages"), "the stages last no time at all", Some("give one of them a `for`".into())),
            Some(sum) if !stages.is_empty() => duration = duration.or(Some(Span(sum))),
            Some(_) => {}
        }
        let flash = file.flash.as_ref().map(|flash| Flash {
            at: check.span("arrival.flash.at", &flash.at),
            rise: positive("arrival.flash.rise", &flash.rise, check),
            peak: flash.peak,
            exponent: flash.exponent,
            floor: flash.floor,
        });
        let waves = waves(file, check);
        let has = |what: bool, name: &str| what.then(|| name.to_string());
        if let Some(name) = has(flash.is_some(), "flash").or(has(!waves.is_empty(), "wave"))
            && duration.is_none()
        {
            check.value("arrival", format!("a profile with `{name}` needs `duration`"), Some("such as duration = \"2h\"".into()));
        }
        for (a, b, what) in [(!stages.is_empty(), flash.is_some(), "stages"), (!waves.is_empty(), flash.is_some(), "wave")] {
            if a && b {
                check.key("arrival.flash", format!("`flash` and `{what}` do not go together"), Some("keep one of them".into()));
            }
        }
        let period = file.period.as_ref().map_or(Span::from_days(1), |text| positive(&key("period"), text, check));
        for (name, list) in [("slots", &file.slots), ("days", &file.days)] {
            if !list.is_empty() && list.iter().all(|value| *value == 0.0) {
                check.value(&key(name), format!("nothing ever comes: all of `{name}` are 0"), None);
            }
        }
        let slot = period.0 as f64 / file.slots.len().max(1) as f64;
        if !file.slots.is_empty() && slot < 60e9 {
            check.value(&key("slots"), "a slot would be shorter than a minute", Some("give fewer slots, or a longer `period`".into()));
        }
        let never = |list: &[f64]| list.contains(&0.0);
        if duration.is_none() && never(&file.slots) && never(&file.days) {
            let help = "slots and days that are 0 might leave nothing: with a `duration` that is seen";
            check.value("arrival", "a profile with closed slots and closed days needs `duration`", Some(help.into()));
        }
        let changes = duration.map_or(0.0, |duration| match &process {
            Process::Batch { every, .. } => duration.0 as f64 / every.0 as f64,
            _ if !file.slots.is_empty() => duration.0 as f64 / slot,
            _ => duration.0 as f64 / 3_600e9,
        });
        if changes > MOST_CHANGES {
            check.value(&key("duration"), "this is too long: there would be more than a million slots, hours or batches in it", None);
        }
        let states = states(file, duration, check);
        let base = match flash {
            Some(flash) => Base::Flash(flash),
            None if !stages.is_empty() => Base::Stages(stages),
            None => Base::Flat,
        };
        Arrival {
            process,
            gap: 1e9 / file.rate.unwrap_or(1.0),
            duration,
            base,
            slots: file.slots.clone(),
            period,
            days: file.days.clone(),
            cox: file.cox.clone().unwrap_or_default(),
            states,
            waves,
        }
    }
}

impl ProcessName {
    pub fn name(self) -> &'static str {
        match self {
            ProcessName::Poisson => "poisson",
            ProcessName::Constant => "constant",
            ProcessName::Burst => "burst",
            ProcessName::Hawkes => "hawkes",
            ProcessName::Batch => "batch",
            ProcessName::Replay => "replay",
        }
    }
}

/// Says which keys mean nothing with the process that was chosen.
fn only(file: &ArrivalFile, check: &mut Check<'_>) {
    use ProcessName as P;
    let rated = matches!(file.process, P::Poisson | P::Constant | P::Hawkes);
    for (names, fits) in [
        (&["rate", "stages", "flash", "slots", "period", "days", "cox", "states", "wave"][..], rated),
        (&["duration"], rated || file.process == P::Batch),
        (&["branching", "half_life"], file.process == P::Hawkes),
        (&["every", "jitter", "size", "size_sigma", "within"], file.process == P::Batch),
        (&["times", "speed"], file.process == P::Replay),
    ] {
        for name in names.iter().filter(|_| !fits) {
            let path = format!("arrival.{name}");
            if check.spans.has(&path) {
                check.key(&path, format!("`{name}` has no meaning with `process = \"{}\"`", file.process.name()), None);
            }
        }
    }
}

fn positive(path: &str, text: &str, check: &mut Check<'_>) -> Span {
    let span = check.span(path, text);
    if span == Span::ZERO && Span::parse(text).is_ok() {
        check.value_itself(path, "this must be longer than nothing", Some("such as \"1m\"".into()));
    }
    span.max(Span(1))
}

fn waves(file: &ArrivalFile, check: &mut Check<'_>) -> Vec<Wave> {
    let all = file.wave.iter().enumerate();
    all.map(|(n, wave)| Wave {
        at: check.span(&format!("arrival.wave[{n}].at"), &wave.at),
        orders: wave.orders,
        law: wave.law,
        scale: positive(&format!("arrival.wave[{n}].scale"), &wave.scale, check),
        shape: wave.shape,
    })
    .collect()
}

fn states(file: &ArrivalFile, duration: Option<Span>, check: &mut Check<'_>) -> Vec<State> {
    let all = file.states.iter().enumerate();
    let states: Vec<State> =
        all.map(|(n, state)| State { level: state.level, stay: positive(&format!("arrival.states[{n}].stay"), &state.stay, check) }).collect();
    if !states.is_empty() && states.iter().all(|state| state.level == 0.0) {
        check.value("arrival.states", "nothing ever comes: the level of every state is 0", None);
    }
    let mean = states.iter().map(|state| state.stay.0 as f64).sum::<f64>() / states.len().max(1) as f64;
    let share = duration.map_or(1e9 / file.rate.unwrap_or(1.0) / mean / MOST_AN_ORDER, |duration| duration.0 as f64 / mean / MOST_CHANGES);
    if !states.is_empty() && share > 1.0 {
        let message = "there would be too many switches: the most are a million in the duration, or ten thousand for each order";
        check.value("arrival.states", message, Some("let the stays be longer".into()));
    }
    states
}
