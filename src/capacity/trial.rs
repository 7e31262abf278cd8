//! One rate, held for a while: does it meet the objective? Judged batch by batch, so that a clear case ends early.
//!
//! Sequential test on batch means, as in simulation output analysis (Law, Simulation Modeling and Analysis, ch. 9): batches of equal length,
//! a confidence interval about their mean, and an end as soon as it lies on one side of the limit. What is undecided at the longest time fails:
//! a capacity is promised, and what is not known is not promised.

use crate::sim::Span;

/// What is asked of the target.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Objective {
    /// share of the orders that must be answered in time, such as 0.99
    pub quantile: f64,
    /// in time: from when the order was due to the definite answer
    pub within: Span,
    /// share of orders that may end in an error or without an answer
    pub errors: f64,
}

/// A few seconds of a trial, by when its orders were due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    pub offered: u64,
    /// answered later than the objective says, or not at all
    pub slow: u64,
    /// ended without a yes or a no of the target's own: shed, refused, failed, given up
    pub errors: u64,
    /// orders without an answer at its end
    pub backlog: u64,
}

/// How a trial ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Decision {
    /// it holds this rate
    Held,
    /// it does not, and why
    Lost(String),
}

impl Decision {
    /// It was seen that it does not, and not only left open.
    pub fn is_too_much(&self) -> bool {
        matches!(self, Decision::Lost(why) if !why.starts_with(UNDECIDED))
    }
}

/// Half the width of the interval about a mean, in standard errors: of six batches and more two-sided 95 % of Student's t, and some for looking again after each.
const WIDTH: f64 = 2.6;
/// Of five the distribution is wider (2.78 without looking again).
const WIDTH_OF_FIVE: f64 = 2.85;
/// Fewer batches decide nothing.
const LEAST: usize = 5;
/// Fewer do not show that a backlog grows.
const GROWS: usize = 8;
/// Fewer do not show that a rate near the limit is held.
const NEAR: usize = 16;

/// How the reason begins where a trial showed neither that its rate is held nor that it is too much.
const UNDECIDED: &str = "undecided";

/// The batches of one trial so far.
#[derive(Clone, Debug)]
pub struct Trial {
    objective: Objective,
    batches: Vec<Batch>,
    /// more are not waited for
    most: usize,
    /// what the search held is tried once more, to the end: it need only not be seen to be lost
    confirms: bool,
}

impl Trial {
    pub fn new(objective: Objective, most: usize) -> Trial {
        Trial { objective, batches: Vec::new(), most: most.max(LEAST + 1), confirms: false }
    }

    /// A trial of a rate that was held already. It goes on to its longest time unless the rate is lost before; then the mean decides, however wide
    /// the interval about it.
    pub fn confirming(self) -> Trial {
        Trial { confirms: true, ..self }
    }

    /// One more batch; says how the trial ended, if it did.
    pub fn push(&mut self, batch: Batch) -> Option<Decision> {
        self.batches.push(batch);
        let steady = self.steady();
        let decision = if steady.len() >= LEAST { self.decide(steady) } else { None };
        // near the limit long queues take minutes to come, and half a minute may see none: so whoever confirms looks to the end
        if decision.is_some() && !(self.confirms && decision == Some(Decision::Held)) {
            return decision;
        }
        if self.batches.len() < self.most {
            return None;
        }
        let steady = self.steady();
        let late = Mean::of(steady, slow).mean;
        let wrong = Mean::of(self.counted(), errors).mean;
        let fine = steady.len() >= LEAST && late <= 1.0 - self.objective.quantile && wrong <= self.objective.errors;
        if self.confirms && fine && backlog_grows(steady).is_none() {
            return Some(Decision::Held);
        }
        Some(Decision::Lost(self.undecided()))
    }

    /// The batches after the warm-up. The first is never counted; how many more by the rule MSER (White, Simulation 69, 1997): those without which the
    /// mean of the rest is surest, and half of them at most.
    /// That is for late orders alone: whatever comes in bursts, as errors do, would be counted less often than it comes, for the bursts of the first
    /// half would be warm-up. Late orders of a busy queue come in bursts as well, so whoever confirms counts them all: there the mean alone decides.
    pub fn steady(&self) -> &[Batch] {
        let rest = self.counted();
        if self.confirms {
            return rest;
        }
        let unsure = |from: usize| {
            let Mean { error, .. } = Mean::of(&rest[from..], slow);
            error * error
        };
        let from = (0..=rest.len() / 2).min_by(|a, b| unsure(*a).total_cmp(&unsure(*b))).unwrap_or(0);
        &rest[from..]
    }

    /// All but the first.
    fn counted(&self) -> &[Batch] {
        self.batches.get(1..).unwrap_or_default()
    }

    fn decide(&self, steady: &[Batch]) -> Option<Decision> {
        let Objective { quantile, within, errors: may } = self.objective;
        let allowed = 1.0 - quantile;
        let late = Mean::of(steady, slow);
        let wrong = Mean::of(self.counted(), errors);
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        if late.at_least() > allowed {
            let what = format!("{} of the orders were answered later than {within}, where {} may", percent(late.mean), percent(allowed));
            return Some(Decision::Lost(what));
        }
        if wrong.at_least() > may {
            return Some(Decision::Lost(format!("{} of the orders ended in an error, where {} may", percent(wrong.mean), percent(may))));
        }
        if let Some(grows) = backlog_grows(steady) {
            if steady.len() < GROWS {
                // it may be a wave of a busy queue: a few batches more will tell
                return None;
            }
            return Some(Decision::Lost(format!("the backlog grows by {grows:.1} orders a batch")));
        }
        // nothing seen in n orders leaves 3/n possible (rule of three)
        let seen: u64 = steady.iter().map(|batch| batch.offered).sum();
        let unseen = 3.0 / seen.max(1) as f64;
        // batches of a busy queue hang together, so near the limit a few of them look surer than they are
        let near = late.at_most() > allowed / 4.0 && steady.len() < NEAR;
        let fine = !near && late.at_most().max(unseen) < allowed && (may == 0.0 && wrong.mean == 0.0 || wrong.at_most() <= may);
        fine.then_some(Decision::Held)
    }

    fn undecided(&self) -> String {
        let steady = self.steady();
        if steady.len() < LEAST {
            return format!("{UNDECIDED}: it did not come to a steady state");
        }
        let allowed = 1.0 - self.objective.quantile;
        let (late, wrong) = (Mean::of(steady, slow), Mean::of(self.counted(), errors));
        let interval = |of: &Mean, what: &str, may: f64| {
            let (least, most) = (of.at_least().max(0.0) * 100.0, of.at_most() * 100.0);
            format!("{least:.2} to {most:.2} % of the orders {what}, where {:.2} % may", may * 100.0)
        };
        // the mean decides for whoever confirms, and the whole interval for whoever searches
        let of = |mean: &Mean| if self.confirms { mean.mean } else { mean.at_most() };
        let mut why = Vec::new();
        if of(&late) >= allowed {
            why.push(interval(&late, "were late", allowed));
        }
        if of(&wrong) > self.objective.errors {
            why.push(interval(&wrong, "had no answer", self.objective.errors));
        }
        why.extend(backlog_grows(steady).map(|grows| format!("the backlog grows by {grows:.1} orders a batch")));
        if why.is_empty() {
            why.push(format!("too few orders to tell so near the limit: {}", interval(&late, "were late", allowed)));
        }
        format!("{UNDECIDED}: {}", why.join("; "))
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn slow(batch: &Batch) -> f64 {
    share(batch.slow, batch.offered)
}

fn errors(batch: &Batch) -> f64 {
    share(batch.errors, batch.offered)
}

/// A mean with its standard error.
struct Mean {
    mean: f64,
    error: f64,
    width: f64,
}

impl Mean {
    fn of(batches: &[Batch], value: impl Fn(&Batch) -> f64) -> Mean {
        let n = batches.len().max(1) as f64;
        let mean = batches.iter().map(&value).sum::<f64>() / n;
        let variance = batches.iter().map(|batch| (value(batch) - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let width = if batches.len() <= LEAST { WIDTH_OF_FIVE } else { WIDTH };
        Mean { mean, error: (variance / n).sqrt(), width }
    }
    fn at_least(&self) -> f64 {
        self.mean - self.width * self.error
    }
    fn at_most(&self) -> f64 {
        self.mean + self.width * self.error
    }
}

/// Orders a batch by which the backlog grows, if it does for certain: the slope of a line through it, with its error.
fn backlog_grows(batches: &[Batch]) -> Option<f64> {
    let n = batches.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = batches.iter().map(|batch| batch.backlog as f64).sum::<f64>() / n;
    let points = || batches.iter().enumerate().map(|(at, batch)| (at as f64 - middle, batch.backlog as f64 - mean));
    let spread: f64 = points().map(|(x, _)| x * x).sum();
    let slope = points().map(|(x, y)| x * y).sum::<f64>() / spread;
    let residual: f64 = points().map(|(x, y)| (y - slope * x).powi(2)).sum::<f64>() / (n - 2.0).max(1.0);
    let error = (residual / spread).sqrt();
    // a busy queue wavers, for a while in one direction: what grows by less than this is seen by its lateness
    let offered = batches.iter().map(|batch| batch.offered).sum::<u64>() as f64 / n;
    (slope - WIDTH * error > 0.0 && slope > 0.005 * offered && slope * n > 10.0).then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Objective = Objective { quantile: 0.99, within: Span::from_millis(100), errors: 0.001 };

    /// The decision on batches of 5,000 orders, and after how many of them it fell.
    fn decided(slow: impl Fn(usize) -> u64, errors: u64, backlog: impl Fn(usize) -> u64) -> (Decision, usize) {
        let mut trial = Trial::new(OBJECTIVE, 60);
        for at in 0.. {
            if let Some(decision) = trial.push(Batch { offered: 5_000, slow: slow(at), errors, backlog: backlog(at) }) {
                return (decision, at + 1);
            }
        }
        unreachable!("a trial ends at its longest time")
    }
    /// Spread of a kind that never repeats.
    fn noise(at: usize) -> u64 {
        [3, 11, 7, 0, 9, 5, 13][at % 7]
    }

    #[test]
    fn a_clear_case_ends_early_and_a_close_one_is_lost() {
        let (held, after) = decided(noise, 0, |_| 20);
        assert_eq!(held, Decision::Held);
        assert!(after < 10, "{after}");
        let (lost, after) = decided(|at| 200 + noise(at), 0, |_| 20);
        assert!(matches!(lost, Decision::Lost(why) if why.contains("later than 100ms")) && after < 10);
        // 50 of 5,000 is just what may be late
        let (lost, after) = decided(|at| 44 + noise(at), 0, |_| 20);
        assert!(matches!(lost, Decision::Lost(why) if why.contains("undecided")) && after == 60);
    }

    #[test]
    fn what_is_tried_once_more_is_decided_by_its_mean() {
        let once_more = |slow: u64| {
            let mut trial = Trial::new(OBJECTIVE, 24).confirming();
            (0..).find_map(|at| trial.push(Batch { offered: 5_000, slow: slow + noise(at), ..Batch::default() }))
        };
        assert_eq!(once_more(38), Some(Decision::Held));
        assert!(matches!(once_more(46), Some(Decision::Lost(_))));
    }

    #[test]
    fn what_is_undecided_says_what_stands_in_the_way() {
        let why = |slow: u64, wrong: fn(usize) -> u64, confirms: bool| {
            let trial = Trial::new(OBJECTIVE, 24);
            let mut trial = if confirms { trial.confirming() } else { trial };
            let ended = (0..).find_map(|at| trial.push(Batch { offered: 5_000, slow: slow + noise(at), errors: wrong(at), backlog: 20 }));
            match ended {
                Some(Decision::Lost(why)) => why,
                held => format!("{held:?}"),
            }
        };
        let rare = |at: usize| if at.is_multiple_of(4) { 28 } else { 0 };
        for confirms in [false, true] {
            assert!(why(44, |_| 0, confirms).contains("were late") && !why(44, |_| 0, confirms).contains("yes or no"));
            // one in a thousand may have no answer, and some six of 5,000 have none
            let errors = why(1, rare, confirms);
            assert!(errors.starts_with("undecided: ") && errors.contains("had no answer") && !errors.contains("late"), "{errors}");
        }
        assert!(why(44, rare, false).contains("were late") && why(44, rare, false).contains("had no answer"));
    }

    #[test]
    fn errors_and_a_growing_backlog_lose_and_a_wavering_one_does_not() {
        let (lost, _) = decided(noise, 20, |_| 0);
        assert!(matches!(lost, Decision::Lost(why) if why.contains("error")));
        let (lost, _) = decided(noise, 0, |at| 100 * at as u64);
        assert!(matches!(lost, Decision::Lost(why) if why.contains("backlog grows")));
        let (held, _) = decided(noise, 0, |at| 40 + noise(at + 3));
        assert_eq!(held, Decision::Held);
    }

    #[test]
    fn a_slow_start_is_warm_up_and_a_slow_end_is_not() {
        let (held, after) = decided(|at| if at < 4 { 1_000 } else { noise(at) }, 0, |_| 20);
        assert_eq!(held, Decision::Held);
        assert!(after > 8, "{after}");
        let (lost, _) = decided(|at| if at < 4 { noise(at) } else { 400 * at as u64 }, 0, |_| 20);
        assert_ne!(lost, Decision::Held);
    }

    /// One batch in six with so many of 5,000 orders late and without an answer, more of them in the first half: how it ended, and how many batches
    /// were not warm-up.
    fn in_bursts(trial: Trial, late: u64, unanswered: u64) -> (Option<Decision>, usize) {
        let mut trial = trial;
        let ended = (0..).find_map(|at| {
            let burst = u64::from((2..=10).contains(&at) && at % 4 == 2 || at == 20);
            trial.push(Batch { offered: 5_000, slow: burst * late, errors: burst * unanswered, backlog: 20 })
        });
        (ended, trial.steady().len())
    }

    #[test]
    fn errors_that_come_in_bursts_are_counted_as_often_as_they_come() {
        // a third more than may be; those of the first half would be warm-up
        let (ended, counted) = in_bursts(Trial::new(OBJECTIVE, 24), 40, 40);
        assert!(counted < 16, "{counted}");
        assert!(matches!(&ended, Some(Decision::Lost(why)) if why.contains("had no answer")), "{ended:?}");
    }

    #[test]
    fn whoever_confirms_counts_late_orders_as_often_as_they_come() {
        // 1.4 % in the mean, where 1 % may
        let (ended, counted) = in_bursts(Trial::new(OBJECTIVE, 24).confirming(), 400, 0);
        assert_eq!(counted, 23);
        assert!(matches!(&ended, Some(Decision::Lost(why)) if why.contains("were late")), "{ended:?}");
        let (ended, _) = in_bursts(Trial::new(OBJECTIVE, 24).confirming(), 200, 0);
        assert_eq!(ended, Some(Decision::Held));
    }

    #[test]
    fn few_orders_cannot_show_a_rare_thing() {
        let mut trial = Trial::new(OBJECTIVE, 40);
        let after = (1..).find_map(|at| trial.push(Batch { offered: 10, ..Batch::default() }).map(|decision| (at, decision)));
        // 3 in 300 is one in a hundred: more than thirty batches of ten, and the first
        assert!(matches!(after, Some((31..=32, Decision::Held))), "{after:?}");
    }
}
