//! A target under load: one rate held until it is decided, and steps beyond what it can take.

use super::super::bounds::Bounded;
use super::super::execute::{self, Conditions, Setup};
use super::super::live::{self, Broken, Session};
use super::super::progress::Progress;
use super::super::{Stop, Trouble, cannot_write, matrix};
use super::skew::Keys;
use super::spec;
use super::trigger::with_fault;
use super::watch::{Drain, Seconds, Watch};
use crate::capacity::{Decision, Objective, Sends, Step, Trial};
use crate::check::{Judgement, Suite, Verdict};
use crate::cli::{Format, LoadedArgs};
use crate::history::Observer;
use crate::net::Waited;
use crate::scenario::{Arrival, Base, Case, FaultRule, Library, LoadProfile, Scenario, Selection, Stage, expand};
use crate::sim::{Seed, Span, Timestamp, VirtualClock};
use crate::workload::{self, OPENS};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

/// A trial that has not decided by then is lost.
const LONGEST: Span = Span::from_secs(300);
/// Batches are as long as this, and longer where fewer orders than [`BATCH_ORDERS`] would come in one.
const BATCH: Span = Span::from_secs(5);
const BATCH_ORDERS: f64 = 50.0;
/// A confirmation of a live target lasts so long at most; in virtual time as long as any trial.
const CONFIRM_LASTS: Span = Span::from_secs(120);
/// In virtual time, which costs little, batches and trials of slow targets are longer, as long as they have no more orders than this, and so many times
/// at most: late orders come in clumps, and a short trial has few of them.
const STRETCH_ORDERS: f64 = 200_000.0;
const STRETCH: f64 = 12.0;
/// Steps beyond the capacity, in times of it, and back again; a step is as long as keeps its orders in memory.
const FACTORS: [f64; 6] = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0];
const STEP_S: f64 = 30.0;
const STEP_ORDERS: f64 = 60_000.0;
/// A step is so many times as long as an order may take: in a shorter one what waits is not late yet, whatever the target does.
const STEP_TIMES: f64 = 4.0;
/// Orders of one trial, which must have a number each.
pub(super) const MOST_ORDERS: f64 = 50_000_000.0;

/// A target, and one case to offer it at any rate.
pub(super) struct Rig<'a> {
    pub case: Case,
    pub setup: Setup,
    /// what acts on it, and how long after the shop opens it begins to
    pub fault: Option<(FaultRule, Span)>,
    session: Option<Session>,
    pub dir: PathBuf,
    /// trials so far, so that each has a record of its own
    trials: Cell<u32>,
    pub progress: Progress,
    /// seconds of load that were offered so far
    pub offered_s: Cell<f64>,
    pub stop: &'a Stop,
}

impl<'a> Rig<'a> {
    /// `keys`: orders for goods by such a law, in place of a scenario's.
    pub fn new(args: &LoadedArgs, keys: Option<&Keys>, stop: &'a Stop) -> Result<Rig<'a>, Trouble> {
        let mut library = Library::shipped()?;
        let case = match keys {
            Some(keys) => keys.case(&mut library, args.seed)?,
            None => shipped(&mut library, args)?,
        };
        let mut conditions = Conditions::default();
        let live = args.target != "embedded";
        if live && !args.service.is_empty() {
            return Err(Trouble::Usage("error: --service is for the embedded target: a live one is as fast as it is".into()));
        }
        if !args.service.is_empty() {
            spec::service(&args.service, &mut conditions)?;
        }
        if !args.client.is_empty() {
            conditions.client = spec::client(&args.client)?;
        }
        let session = live.then(|| Session::open(&args.target, &args.allow_host, None, &mut library)).transpose()?;
        if let Some(why) = session.as_ref().and_then(|session| session.not_applicable(&case)) {
            return Err(Trouble::Usage(format!("error: {} cannot be asked of this target: {why}", args.scenario)));
        }
        if let Some(scale) = session.as_ref().map(|session| session.profile.scale).filter(|scale| (scale - 1.0).abs() > 1e-9) {
            let help = "run it at `scale = 1` under [clock]: orders a second are told in seconds of everybody";
            return Err(Trouble::Usage(format!(
                "error: the clock of {} runs at {scale}, and a rate is held in real time\n  = help: {help}",
                args.target
            )));
        }
        let dir = matrix::out_dir(args.out.as_deref())?;
        // what a record of a trial can be begun again with: its case, though not at its rate
        let target = if live { format!(" --target {}", matrix::quoted(&args.target)) } else { String::new() };
        let arguments = format!("{} --faults none{target} --seed {}", matrix::quoted(&args.scenario), args.seed);
        let setup = Setup { seed: args.seed, target: args.target.clone(), defect: None, conditions, arguments };
        let progress = Progress::new(args.format == Format::Human);
        // a trial ends when it is decided, and by nothing else
        let case = Case { thresholds: Vec::new(), ..case };
        Ok(Rig { case, setup, fault: None, session, dir, trials: Cell::new(0), progress, offered_s: Cell::new(0.0), stop })
    }

    /// Offers orders as `arrival` says until `done` is set, or all are over.
    pub fn offer(&self, arrival: Arrival, orders: f64, seed: Seed, done: &Stop, observer: &mut dyn Observer) -> Result<Offered, Trouble> {
        let orders = orders.clamp(1.0, MOST_ORDERS) as u32;
        let case = Case { arrival: Arc::new(arrival), orders, seed, ..self.case.clone() };
        let part = workload::whole(&case);
        let case = match &self.fault {
            Some((rule, from)) => with_fault(case, &part, rule, *from),
            None => case,
        };
        let Some(session) = &self.session else {
            let mut suite = Suite::new(execute::header(&self.setup, &case, &part), case.scenario.expect.clone());
            let ran = execute::simulate(&self.setup, &case, &part, &mut VirtualClock::new(), done, (&mut suite, observer));
            return Ok(Offered { judgement: suite.finish(!ran.stopped), doubt: None, waited: Waited::default() });
        };
        self.trials.set(self.trials.get() + 1);
        let file = self.dir.join(format!("trial-{}.jsonl.gz", self.trials.get()));
        // what is owed is judged at rest: no more orders come, and what is under way may come to its end
        let mut drain = Drain { observer, user: self.stop.clone(), done: done.clone(), halt: Stop::new(), since: None };
        let halt = drain.halt.clone();
        let before = session.waited();
        let result = live::watched(session, &self.setup, &case, &part, &file, &halt, None, (Some(done), &mut drain));
        if result.as_ref().is_ok_and(|part| part.judgement.verdict != Verdict::Fail) {
            // a trial that went well is told by its numbers
            let _ = std::fs::remove_file(&file);
        }
        let waited = session.waited().since(before);
        result.map(|part| Offered { judgement: part.judgement, doubt: part.doubt, waited }).map_err(|broken| match broken {
            Broken::Disk(error) => cannot_write(&file, &error),
            Broken::Target(why) => Trouble::Environment(format!("error: {why}")),
        })
    }

    /// Why this cannot be done to the target, if so.
    pub fn cannot(&self, rule: &FaultRule) -> Option<String> {
        let session = self.session.as_ref()?;
        session.not_applicable(&with_fault(self.case.clone(), &workload::whole(&self.case), rule, Span::ZERO))
    }

    pub fn named(&self) -> String {
        format!("{}.{}", self.case.scenario.name, self.case.scenario.variant)
    }

    pub fn seed(&self, what: &str) -> Seed {
        Seed(self.setup.seed).derive(what)
    }

    pub fn write(&self, name: &str, text: &str) -> Result<(), Trouble> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))
    }
}

/// The one variant of a scenario that is shipped or in a file, without faults.
fn shipped(library: &mut Library, args: &LoadedArgs) -> Result<Case, Trouble> {
    let scenarios = library.scenarios(std::slice::from_ref(&args.scenario))?;
    let [scenario] = scenarios.as_slice() else {
        let names: Vec<String> = scenarios.iter().map(|scenario| format!("{}.{}", scenario.name, scenario.variant)).collect();
        let what = format!("error: {} has several variants, and one is put under load\n  = help: name one of {}", args.scenario, names.join(", "));
        return Err(Trouble::Usage(what));
    };
    without_faults(library, scenario, LoadProfile::poisson("load", Span::from_secs(1), 1), args.seed)
        .and_then(|case| case.ok_or_else(|| Trouble::Usage(format!("error: {} cannot be run without faults", args.scenario))))
}

/// The case of a scenario under a profile.
pub(super) fn without_faults(library: &mut Library, scenario: &Arc<Scenario>, profile: LoadProfile, seed: u64) -> Result<Option<Case>, Trouble> {
    let faults = library.fault_sets(&["none".into()])?;
    let selection = Selection { profile: Some(profile), seed: Seed(seed), ..Selection::default() };
    Ok(expand(std::slice::from_ref(scenario), &faults, &selection).cases.into_iter().find(|case| case.not_applicable.is_none()))
}

/// What a run showed beside its numbers, where it showed anything.
pub(super) enum Flaw {
    /// an invariant was broken: the first finding
    Wrong(String),
    /// the harness sent late, so nothing can be said of the target
    Ours(String),
    /// the profile of the target lets no more be sent: the same, and so it is whenever it is tried
    Bounded(String),
}

impl Flaw {
    pub fn why(&self) -> &str {
        let (Flaw::Wrong(why) | Flaw::Ours(why) | Flaw::Bounded(why)) = self;
        why
    }
    /// The target has nothing to do with it.
    pub fn is_ours(&self) -> bool {
        matches!(self, Flaw::Ours(_) | Flaw::Bounded(_))
    }
}

/// What came of a load.
pub(super) struct Offered {
    judgement: Judgement,
    /// why its times cannot be relied on
    doubt: Option<String>,
    /// requests that waited before they were sent
    waited: Waited,
}

pub(super) fn flaw(offered: &Offered, sends: &Sends, objective: &Objective) -> Option<Flaw> {
    let Offered { judgement, doubt, .. } = offered;
    if judgement.verdict == Verdict::Fail {
        let first = judgement.findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.check, finding.what));
        return Some(Flaw::Wrong(format!("something was done wrong: {first}")));
    }
    doubt.clone().or_else(|| sends.spoilt(objective)).map(Flaw::Ours)
}

/// Why the rate that is told was not the one that was offered, if it was not: who stands still offers nothing, and to nothing everybody has an answer in
/// time. Five in a hundred, and three standard deviations of a Poisson number, may be missing.
fn too_few(offered: u64, meant: f64) -> Option<String> {
    ((offered as f64) < meant * 0.95 - 3.0 * meant.sqrt())
        .then(|| format!("the harness was the bottleneck: of some {meant:.0} orders in the batches that were judged it sent {offered}"))
}

/// How long a step beyond a capacity lasts, where all of them are so many times that capacity in all.
fn step_s(capacity: f64, total: f64, objective: &Objective) -> f64 {
    (STEP_ORDERS / (capacity * total)).clamp(2.0, STEP_S).floor().max((STEP_TIMES * objective.within.as_secs_f64()).ceil())
}

/// A gap that makes a rate.
pub(super) fn at_rate(rate: f64) -> Arrival {
    Arrival { gap: 1e9 / rate, ..Arrival::poisson(Span::from_secs(1)) }
}

/// The steps beyond the capacity, and what was wrong with them.
pub(super) type Beyond = (Vec<Step>, Option<Flaw>);

/// What one trial showed beside its decision.
pub(super) struct Seen {
    pub rate: f64,
    pub confirms: u32,
    /// seconds to an answer, in the mean
    pub mean: f64,
    pub offered: u64,
    pub late: u64,
    pub errors: u64,
    pub backlog: u64,
    pub flaw: Option<Flaw>,
}

impl Rig<'_> {
    /// The length of a batch, and how many there are at most.
    fn batches(&self, rate: f64, confirms: bool) -> (Span, usize) {
        let live = self.session.is_some();
        let longest = if confirms && live { CONFIRM_LASTS } else { LONGEST };
        let times = if live { 1.0 } else { (STRETCH_ORDERS / (rate * LONGEST.as_secs_f64())).clamp(1.0, STRETCH) };
        let length = BATCH.as_secs_f64().max(BATCH_ORDERS / rate) * times;
        (Span::from_secs_f64(length), ((longest.as_secs_f64() * times / length) as usize).max(8))
    }

    /// Seconds of load that a search may take at most, where so many trials of both kinds are left.
    fn longest_s(&self, rate: f64, objective: &Objective, (searching, confirming): (u32, u32)) -> f64 {
        let of = |confirms: bool| {
            let (length, most) = self.batches(rate, confirms);
            length.as_secs_f64() * most as f64
        };
        let steps = step_s(rate, 1.0, objective).max(STEP_S) * (2 * FACTORS.len() - 1) as f64;
        f64::from(searching) * of(false) + f64::from(confirming) * of(true) + steps
    }

    /// Holds a rate until it is decided; none where the user stopped. `left`: how many trials are left at most, with this one.
    pub fn trial(&self, objective: Objective, rate: f64, confirms: u32, left: (u32, u32)) -> Result<Option<(Decision, Seen)>, Trouble> {
        let (length, most) = self.batches(rate, confirms > 0);
        let trial = Trial::new(objective, most);
        let trial = if confirms > 0 { trial.confirming() } else { trial };
        let (before, in_all) = (self.offered_s.get(), self.longest_s(rate, &objective, left));
        let what = if confirms > 0 { format!("in confirmation {confirms}") } else { "tried".into() };
        let passed = |span: Span| {
            let seconds = span.as_secs_f64();
            self.offered_s.set(before + seconds);
            let time_left = self.progress.left(before + seconds, (in_all - seconds).max(0.0));
            let longest = most as f64 * length.as_secs_f64();
            self.progress.now(format!("trial {}: {rate:.2} orders/s {what}, {seconds:.0} s of {longest:.0} s{time_left}", self.progress.done() + 1));
        };
        passed(Span::ZERO);
        let mut watch = Watch::new(trial, objective, Timestamp::ZERO + OPENS, length, self.stop, &passed);
        let orders = rate * (length.as_secs_f64() * (most + 2) as f64 + objective.within.as_secs_f64()) + 1_000.0;
        let done = watch.done().clone();
        let offered = self.offer(at_rate(rate), orders, self.seed(&format!("{rate} {confirms}")), &done, &mut watch)?;
        if self.stop.is_set() {
            return Ok(None);
        }
        let mut decision = watch.decision.clone().unwrap_or(Decision::Lost("it ended before anything was decided".into()));
        let steady = watch.steady();
        let sum = |of: fn(&crate::capacity::Batch) -> u64| steady.iter().map(of).sum::<u64>();
        let backlog = steady.last().map_or(0, |batch| batch.backlog);
        let (offered_orders, late, errors) = (sum(|b| b.offered), sum(|b| b.slow), sum(|b| b.errors));
        let mut seen = Seen { rate, confirms, mean: watch.mean(), offered: offered_orders, late, errors, backlog, flaw: None };
        // a rate that was held although we were late is held: lateness of ours only makes a target look worse, as long as it was the rate that was offered
        let held = decision == Decision::Held;
        let short = too_few(offered_orders, rate * length.as_secs_f64() * steady.len() as f64);
        let bounded = || self.bounded(&offered, watch.sends.orders(), rate, &objective).filter(|_| !held).map(Flaw::Bounded);
        let ours = || short.map(Flaw::Ours).or_else(bounded);
        seen.flaw = flaw(&offered, &watch.sends, &objective).filter(|flaw| !(held && matches!(flaw, Flaw::Ours(_)))).or_else(ours);
        if let Some(flaw) = &seen.flaw {
            decision = Decision::Lost(flaw.why().into());
        }
        Ok(Some((decision, seen)))
    }

    /// Why a rate could not be offered as the profile of the target has it, if it could not.
    pub fn bounded(&self, offered: &Offered, orders: u64, rate: f64, objective: &Objective) -> Option<String> {
        let profile = &self.session.as_ref()?.profile;
        let bounded = Bounded::of(offered.waited, (orders, 1.0 - objective.quantile), rate, (profile.max_in_flight, profile.max_rate))?;
        bounded.explains(objective.within.as_secs_f64()).then(|| format!("the harness was the bottleneck: {}", bounded.why))
    }

    /// Load up to three times the capacity, and back; what was done wrong under it, too. None where the user stopped.
    pub fn beyond(&self, capacity: f64, objective: Objective) -> Result<Option<Beyond>, Trouble> {
        let (up, down) = (FACTORS.iter().map(|factor| (*factor, false)), FACTORS.iter().rev().skip(1).map(|factor| (*factor, true)));
        let factors: Vec<(f64, bool)> = up.chain(down).collect();
        let total: f64 = factors.iter().map(|(factor, _)| factor).sum();
        let step = step_s(capacity, total, &objective);
        let lasts = Span::from_secs_f64(step);
        let stages = factors.iter().flat_map(|(factor, _)| [Stage { lasts: Span::ZERO, to: *factor }, Stage { lasts, to: *factor }]).collect();
        let arrival = Arrival { base: Base::Stages(stages), ..at_rate(capacity) };
        let (before, in_all) = (self.offered_s.get(), step * factors.len() as f64);
        let passed = |span: Span| {
            let seconds = span.as_secs_f64();
            let (factor, down) = factors[((seconds / step) as usize).min(factors.len() - 1)];
            let way = if down { "on the way back" } else { "on the way up" };
            let time_left = self.progress.left(before + seconds, (in_all - seconds).max(0.0));
            self.progress.now(format!("beyond it: {factor} times the rate, {way}, {seconds:.0} s of {in_all:.0} s{time_left}"));
        };
        let mut seconds = Seconds::new(Timestamp::ZERO + OPENS, (step as usize) * factors.len(), &objective, self.stop, &passed, &|_| false);
        let done = seconds.done().clone();
        let offered = self.offer(arrival, capacity * total * step * 1.02 + 1_000.0, self.seed("beyond"), &done, &mut seconds)?;
        if self.stop.is_set() {
            return Ok(None);
        }
        let width = step as usize;
        let of = |n: usize, counts: &dyn Fn(usize) -> u64| (n * width..(n + 1) * width).map(counts).sum::<u64>() as f64 / step;
        let steps = factors.iter().enumerate().map(|(n, (factor, down))| Step {
            factor: *factor,
            down: *down,
            offered: of(n, &|at| seconds.seconds[at].offered),
            goodput: of(n, &|at| seconds.seconds[at].good),
            shed: of(n, &|at| seconds.shed[at]),
            wasted: of(n, &|at| seconds.late[at]),
        });
        let bounded = || self.bounded(&offered, seconds.sends.orders(), capacity * FACTORS[FACTORS.len() - 1], &objective).map(Flaw::Bounded);
        Ok(Some((steps.collect(), flaw(&offered, &seconds.sends, &objective).or_else(bounded))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_nothing_everybody_has_an_answer_in_time() {
        assert_eq!((too_few(1_000, 1_000.0), too_few(900, 1_000.0), too_few(9, 12.0)), (None, None, None));
        assert!(too_few(0, 12_000.0).is_some_and(|why| why.contains("of some 12000 orders in the batches that were judged it sent 0")));
        assert!(too_few(840, 1_000.0).is_some());
        assert!(too_few(0, 12.0).is_some());
    }

    #[test]
    fn a_step_is_longer_than_an_order_may_take() {
        let step = |capacity, within| step_s(capacity, 18.0, &Objective { quantile: 0.99, within, errors: 0.001 });
        assert_eq!((step(10.0, Span::from_secs(1)), step(1_000.0, Span::from_millis(250)), step(1e6, Span::from_millis(250))), (30.0, 3.0, 2.0));
        // what waits three seconds in one of three is late in the next
        assert_eq!((step(1_000.0, Span::from_secs(3)), step(1.0, Span::from_secs(60))), (12.0, 240.0));
    }
}
