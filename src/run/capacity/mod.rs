//! `capacity` and `probe`: rates are held, and what is seen is judged by the rules of [`crate::capacity`].

mod probe;
mod spec;
mod watch;

pub use probe::probe;

use super::execute::{self, Conditions, Setup};
use super::live::{self, Broken, Session};
use super::{Ended, Stop, Trouble, cannot_write, matrix, say};
use crate::capacity::{Decision, Found, Objective, Search, Step, Trial, Usl, fit, grade};
use crate::check::{Judgement, Suite, Verdict};
use crate::cli::{CapacityArgs, Format, LoadedArgs};
use crate::history::Observer;
use crate::report;
use crate::scenario::{Arrival, Base, Case, Library, LoadProfile, Selection, Stage, expand};
use crate::sim::{Seed, Span, Timestamp, VirtualClock};
use crate::workload::{self, OPENS};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use watch::{Seconds, Watch};

/// A trial that has not decided by then is lost.
const LONGEST: Span = Span::from_secs(300);
/// Batches are as long as this, and longer where fewer orders than [`BATCH_ORDERS`] would come in one.
const BATCH: Span = Span::from_secs(5);
const BATCH_ORDERS: f64 = 50.0;
/// What a rate is confirmed by: so many seeds, each for so long.
const CONFIRM: u32 = 3;
const CONFIRM_LASTS: Span = Span::from_secs(120);
/// The search ends where what was lost is so many times what was held.
const PRECISION: f64 = 1.02;
/// Steps beyond the capacity, in times of it, and back again; a step is as long as keeps its orders in memory.
const FACTORS: [f64; 6] = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0];
const STEP_S: f64 = 30.0;
const STEP_ORDERS: f64 = 60_000.0;

/// A target, and one case to offer it at any rate.
struct Rig<'a> {
    case: Case,
    setup: Setup,
    session: Option<Session>,
    dir: PathBuf,
    /// trials so far, so that each has a record of its own
    trials: Cell<u32>,
    stop: &'a Stop,
}

impl<'a> Rig<'a> {
    fn new(args: &LoadedArgs, stop: &'a Stop) -> Result<Rig<'a>, Trouble> {
        let mut library = Library::shipped()?;
        let scenarios = library.scenarios(std::slice::from_ref(&args.scenario))?;
        let [scenario] = scenarios.as_slice() else {
            let names: Vec<String> = scenarios.iter().map(|scenario| format!("{}.{}", scenario.name, scenario.variant)).collect();
            let what =
                format!("error: {} has several variants, and one is put under load\n  = help: name one of {}", args.scenario, names.join(", "));
            return Err(Trouble::Usage(what));
        };
        let faults = library.fault_sets(&["none".into()])?;
        let selection =
            Selection { profile: Some(LoadProfile::poisson("load", Span::from_secs(1), 1)), seed: Seed(args.seed), ..Selection::default() };
        let case = expand(std::slice::from_ref(scenario), &faults, &selection).cases.into_iter().find(|case| case.not_applicable.is_none());
        let case = case.ok_or_else(|| Trouble::Usage(format!("error: {} cannot be run without faults", args.scenario)))?;
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
        let dir = matrix::out_dir(args.out.as_deref())?;
        // what a record of a trial can be begun again with: its case, though not at its rate
        let target = if live { format!(" --target {}", matrix::quoted(&args.target)) } else { String::new() };
        let arguments = format!("{} --faults none{target} --seed {}", matrix::quoted(&args.scenario), args.seed);
        let setup = Setup { seed: args.seed, target: args.target.clone(), defect: None, conditions, arguments };
        Ok(Rig { case, setup, session, dir, trials: Cell::new(0), stop })
    }

    /// Offers orders as `arrival` says until `done` is set, or all are over.
    fn offer(&self, arrival: Arrival, orders: f64, seed: Seed, done: &Stop, observer: &mut dyn Observer) -> Result<Judgement, Trouble> {
        let orders = orders.clamp(1.0, 50_000_000.0) as u32;
        let case = Case { arrival: Arc::new(arrival), orders, seed, ..self.case.clone() };
        let part = workload::whole(&case);
        let Some(session) = &self.session else {
            let mut suite = Suite::new(execute::header(&self.setup, &case, &part), case.scenario.expect.clone());
            let ran = execute::simulate(&self.setup, &case, &part, &mut VirtualClock::new(), done, (&mut suite, observer));
            return Ok(suite.finish(!ran.stopped));
        };
        self.trials.set(self.trials.get() + 1);
        let file = self.dir.join(format!("trial-{}.jsonl.gz", self.trials.get()));
        let result = live::watched(session, &self.setup, &case, &part, &file, done, None, observer);
        if result.as_ref().is_ok_and(|part| part.judgement.verdict != Verdict::Fail) {
            // a trial that went well is told by its numbers
            let _ = std::fs::remove_file(&file);
        }
        result.map(|part| part.judgement).map_err(|broken| match broken {
            Broken::Disk(error) => cannot_write(&file, &error),
            Broken::Target(why) => Trouble::Environment(format!("error: {why}")),
        })
    }

    fn named(&self) -> String {
        format!("{}.{}", self.case.scenario.name, self.case.scenario.variant)
    }

    fn seed(&self, what: &str) -> Seed {
        Seed(self.setup.seed).derive(what)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Trouble> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))
    }
}

/// What a run showed beside its numbers, where it showed anything.
enum Flaw {
    /// an invariant was broken: the first finding
    Wrong(String),
    /// the harness sent late, so nothing can be said of the target
    Ours(String),
}

impl Flaw {
    fn why(&self) -> &str {
        let (Flaw::Wrong(why) | Flaw::Ours(why)) = self;
        why
    }
}

fn flaw(judgement: &Judgement) -> Option<Flaw> {
    if judgement.verdict == Verdict::Fail {
        let first = judgement.findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.check, finding.what));
        return Some(Flaw::Wrong(format!("something was done wrong: {first}")));
    }
    judgement.reason.starts_with("the harness").then(|| Flaw::Ours(judgement.reason.clone()))
}

/// A gap that makes a rate.
fn at_rate(rate: f64) -> Arrival {
    Arrival { gap: 1e9 / rate, ..Arrival::poisson(Span::from_secs(1)) }
}

/// The steps beyond the capacity, and what was wrong with them.
type Beyond = (Vec<Step>, Option<Flaw>);

/// What one trial showed beside its decision.
#[derive(Default)]
struct Seen {
    rate: f64,
    confirms: u32,
    /// seconds to an answer, in the mean
    mean: f64,
    offered: u64,
    late: u64,
    backlog: u64,
    flaw: Option<Flaw>,
}

impl Rig<'_> {
    /// Holds a rate until it is decided; none where the user stopped.
    fn trial(&self, objective: Objective, rate: f64, confirms: u32) -> Result<Option<(Decision, Seen)>, Trouble> {
        let length = BATCH.max(Span::from_secs_f64(BATCH_ORDERS / rate));
        let longest = if confirms > 0 { CONFIRM_LASTS } else { LONGEST };
        let most = (longest.0 / length.0).max(8) as usize;
        let trial = Trial::new(objective, most);
        let trial = if confirms > 0 { trial.confirming() } else { trial };
        let mut watch = Watch::new(trial, objective, Timestamp::ZERO + OPENS, length, self.stop);
        let orders = rate * (length.as_secs_f64() * (most + 2) as f64 + objective.within.as_secs_f64()) + 1_000.0;
        let done = watch.done().clone();
        let judgement = self.offer(at_rate(rate), orders, self.seed(&format!("{rate} {confirms}")), &done, &mut watch)?;
        if self.stop.is_set() {
            return Ok(None);
        }
        let mut decision = watch.decision.clone().unwrap_or(Decision::Lost("it ended before anything was decided".into()));
        let steady = watch.steady();
        let sum = |of: fn(&crate::capacity::Batch) -> u64| steady.iter().map(of).sum::<u64>();
        let backlog = steady.last().map_or(0, |batch| batch.backlog);
        let mut seen = Seen { rate, confirms, mean: watch.mean(), offered: sum(|b| b.offered), late: sum(|b| b.slow), backlog, ..Seen::default() };
        seen.flaw = flaw(&judgement);
        if let Some(flaw) = &seen.flaw {
            decision = Decision::Lost(flaw.why().into());
        }
        Ok(Some((decision, seen)))
    }

    /// Load up to three times the capacity, and back; what was done wrong under it, too. None where the user stopped.
    fn beyond(&self, capacity: f64, objective: Objective) -> Result<Option<Beyond>, Trouble> {
        let (up, down) = (FACTORS.iter().map(|factor| (*factor, false)), FACTORS.iter().rev().skip(1).map(|factor| (*factor, true)));
        let factors: Vec<(f64, bool)> = up.chain(down).collect();
        let total: f64 = factors.iter().map(|(factor, _)| factor).sum();
        let step = (STEP_ORDERS / (capacity * total)).clamp(2.0, STEP_S).floor();
        let lasts = Span::from_secs_f64(step);
        let stages = factors.iter().flat_map(|(factor, _)| [Stage { lasts: Span::ZERO, to: *factor }, Stage { lasts, to: *factor }]).collect();
        let arrival = Arrival { base: Base::Stages(stages), ..at_rate(capacity) };
        let mut seconds = Seconds::new(Timestamp::ZERO + OPENS, (step as usize) * factors.len(), objective.within, self.stop);
        let done = seconds.done().clone();
        let judgement = self.offer(arrival, capacity * total * step * 1.02 + 1_000.0, self.seed("beyond"), &done, &mut seconds)?;
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
        Ok(Some((steps.collect(), flaw(&judgement))))
    }
}

pub fn capacity(args: &CapacityArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let objective = spec::objective(&args.loaded.objective, args.errors)?;
    let sound = |rate: f64| rate.is_finite() && (0.01..=1e6).contains(&rate);
    if !sound(args.from) || !sound(args.most) || args.from > args.most {
        return Err(Trouble::Usage("error: --from and --most are rates from 0.01 to 1000000 orders a second, the first not above the second".into()));
    }
    let rig = Rig::new(&args.loaded, stop)?;
    let human = args.loaded.format == Format::Human;
    let told = |text: String| {
        if human {
            say(&text);
        }
    };
    told(format!(
        "Capacity of {} for {}: {} of orders answered within {}, at most {} % without an answer\n\n{:>12} {:>9} {:>9} {:>11} {:>8}  came out\n",
        rig.setup.target,
        rig.named(),
        percent(objective.quantile),
        objective.within,
        objective.errors * 100.0,
        "orders/s",
        "orders",
        "late",
        "mean",
        "backlog"
    ));
    let search = Search { from: args.from, most: args.most, precision: PRECISION, confirm: CONFIRM };
    let mut all: Vec<(Seen, Decision)> = Vec::new();
    let mut trouble = None;
    let found = search.run(|rate, confirms| match rig.trial(objective, rate, confirms) {
        Ok(Some((decision, seen))) => {
            told(row(&seen, &decision));
            all.push((seen, decision.clone()));
            Some(decision)
        }
        Ok(None) => None,
        Err(error) => {
            trouble = Some(error);
            None
        }
    });
    if let Some(error) = trouble {
        return Err(error);
    }
    let Some(found) = found else {
        told("\nStopped before anything was found; the trials above stand.\n".into());
        return Ok(Ended::Stopped);
    };
    let points: Vec<(f64, f64)> =
        all.iter().filter(|(_, decision)| *decision == Decision::Held).map(|(seen, _)| (seen.rate * seen.mean, seen.rate)).collect();
    let usl = fit(&points, rig.seed("usl"));
    let beyond = if found.held > 0.0 { rig.beyond(found.held, objective)? } else { None };
    let (steps, beyond) = beyond.unwrap_or_default();
    let plots = report::capacity_plots(&points, usl.as_ref().ok(), found.held, &steps);
    for plot in &plots {
        rig.write(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    let summary = summary(args, &found, &all, &usl, (&steps, &beyond));
    rig.write("capacity.json", &format!("{summary:#}\n"))?;
    told(conclusion(&found, &usl, &steps));
    if let Some(flaw) = &beyond {
        told(format!("\nBeyond the capacity {}\n", flaw.why()));
    }
    told(format!("\nreproduce: {}\n\nResults  {}\n", capacity_command(args), rig.dir.display()));
    if !human {
        say(&format!("{summary:#}\n"));
    }
    // what was done wrong at any rate is wrong; who was the limit matters where the search ended
    let flaws = || all.iter().map(|(seen, _)| &seen.flaw).chain([&beyond]);
    let decisive = |seen: &Seen| found.lost == Some(seen.rate);
    let ours = all.iter().any(|(seen, _)| decisive(seen) && matches!(seen.flaw, Some(Flaw::Ours(_)))) || matches!(beyond, Some(Flaw::Ours(_)));
    Ok(match () {
        () if stop.is_set() => Ended::Stopped,
        () if flaws().any(|flaw| matches!(flaw, Some(Flaw::Wrong(_)))) => Ended::Failed,
        () if ours => Ended::Undecided,
        () if !found.confirmed => Ended::Failed,
        () => Ended::Good,
    })
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

fn row(seen: &Seen, decision: &Decision) -> String {
    let came = match decision {
        Decision::Held if seen.confirms > 0 => format!("held, seed {}", seen.confirms),
        Decision::Held => "held".into(),
        Decision::Lost(why) => format!("lost: {why}"),
    };
    let late = if seen.offered == 0 { 0.0 } else { seen.late as f64 / seen.offered as f64 };
    let mean = Span::from_secs_f64(seen.mean);
    format!(
        "{:>12.2} {:>9} {:>9} {:>8.2} ms {:>8}  {came}\n",
        seen.rate,
        seen.offered,
        format!("{:.2} %", late * 100.0),
        mean.0 as f64 / 1e6,
        seen.backlog
    )
}

fn conclusion(found: &Found, usl: &Result<Usl, String>, steps: &[Step]) -> String {
    let mut out = String::new();
    out += &match (found.held, found.lost) {
        (held, _) if held <= 0.0 => "\nNo rate was held.\n".into(),
        (held, Some(lost)) => format!("\nHeld     {held:.2} orders a second; {lost:.2} was not\n"),
        (held, None) => format!("\nHeld     {held:.2} orders a second, the most that was tried\n"),
    };
    if found.held > 0.0 && !found.confirmed {
        out += "         but not with every seed\n";
    }
    out += &match usl {
        Err(why) => format!("Law      {why}\n"),
        Ok(law) => {
            let knee = match (law.knee(), law.limit()) {
                (Some(n), _) => format!("more than {n:.0} under way make it slower"),
                (None, Some(limit)) => format!("no knee can be told from these rates; waiting alone limits it to {limit:.0} orders a second"),
                (None, None) => "no knee and no limit can be told from these rates".into(),
            };
            format!(
                "Law      alpha {:.4} ({:.4} to {:.4}), beta {:.6} ({:.6} to {:.6}): {knee}\n",
                law.alpha, law.alpha_in.lo, law.alpha_in.hi, law.beta, law.beta_in.lo, law.beta_in.hi
            )
        }
    };
    if let Some(grade) = grade(steps) {
        out += &format!(
            "Beyond   {}: at twice the capacity {:.0} % of the orders in time at it still are; {:.1} % differ on the way back\n\n",
            grade.word(),
            grade.at_double * 100.0,
            grade.hysteresis * 100.0
        );
        out += &format!("{:>12} {:>10} {:>10} {:>10} {:>10}\n", "load", "offered/s", "in time/s", "shed/s", "too late/s");
        for step in steps {
            let way = if step.down { "down" } else { "up" };
            out +=
                &format!("{:>7.1} {way:<4} {:>10.1} {:>10.1} {:>10.1} {:>10.1}\n", step.factor, step.offered, step.goodput, step.shed, step.wasted);
        }
    }
    out
}

/// The command that finds the same again: what both verbs share, with `more` flags of one; each with its usual value, which need not be said.
fn command(verb: &str, loaded: &LoadedArgs, more: &[(&str, String, &str)]) -> String {
    let LoadedArgs { scenario, target, allow_host, objective, service, client, seed, .. } = loaded;
    let shared = [("--target", target, "embedded"), ("--objective", objective, "p99<250ms"), ("--service", service, ""), ("--client", client, "")];
    let hosts = allow_host.iter().map(|host| ("--allow-host", host.clone(), ""));
    let mut out = format!("orderstorm {verb} {}", matrix::quoted(scenario));
    for (flag, value, usual) in shared.map(|(flag, value, usual)| (flag, value.clone(), usual)).into_iter().chain(hosts).chain(more.iter().cloned()) {
        if value != usual {
            out += &format!(" {flag} {}", matrix::quoted(&value));
        }
    }
    out + &format!(" --seed {seed}")
}

fn capacity_command(args: &CapacityArgs) -> String {
    let rates = [("--errors", args.errors.to_string(), "0.001"), ("--from", args.from.to_string(), "10"), ("--most", args.most.to_string(), "20000")];
    command("capacity", &args.loaded, &rates)
}

fn summary(
    args: &CapacityArgs,
    found: &Found,
    all: &[(Seen, Decision)],
    usl: &Result<Usl, String>,
    beyond: (&[Step], &Option<Flaw>),
) -> serde_json::Value {
    use serde_json::json;
    let trials: Vec<serde_json::Value> = all
        .iter()
        .map(|(seen, decision)| {
            let why = if let Decision::Lost(why) = decision { why.as_str() } else { "" };
            json!({"rate": seen.rate, "confirmation": seen.confirms, "held": *decision == Decision::Held, "why": why, "orders": seen.offered,
                "late": seen.late, "mean_s": seen.mean, "backlog": seen.backlog})
        })
        .collect();
    let law = match usl {
        Ok(law) => json!({"gamma": law.gamma, "alpha": law.alpha, "alpha_95": [law.alpha_in.lo, law.alpha_in.hi], "beta": law.beta,
            "beta_95": [law.beta_in.lo, law.beta_in.hi], "knee": law.knee(), "limit": law.limit()}),
        Err(why) => json!({"not_identifiable": why}),
    };
    let (steps, flaw) = beyond;
    let why = flaw.as_ref().map_or("", Flaw::why);
    let beyond: Vec<serde_json::Value> = steps
        .iter()
        .map(|step| json!({"factor": step.factor, "down": step.down, "offered": step.offered, "goodput": step.goodput, "shed": step.shed, "late": step.wasted}))
        .collect();
    let grade = grade(steps).map(|grade| json!({"word": grade.word(), "at_double": grade.at_double, "hysteresis": grade.hysteresis}));
    json!({"command": capacity_command(args), "scenario": args.loaded.scenario, "target": args.loaded.target, "objective": args.loaded.objective,
        "errors": args.errors, "held": found.held, "lost": found.lost, "confirmed": found.confirmed, "trials": trials, "law": law, "beyond": beyond, "beyond_flaw": why, "grade": grade})
}
