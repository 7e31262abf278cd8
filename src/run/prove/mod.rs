//! `prove`: is the judge to be trusted? Every defect of the reference must be found, by an invariant that should, where its stimulus is, and
//! nowhere else; every invariant must be the first to find some defect; and the correct reference must never be accused.

mod stimuli;

use super::execute::{self, Setup};
use super::{Ended, Stop, Trouble, cannot_write, jobs, say, width};
use crate::check::{INVARIANTS, Judgement, Verdict};
use crate::cli::{Format, ProveArgs};
use crate::reference::{DEFECTS, Defect};
use crate::report::{CleanProof, DefectProof, InvariantProof, PROOF_VERSION, Proof, proof_markdown, proof_text};
use crate::scenario::{Case, Cover, FaultSet, Library, Scenario, Selection, expand};
use crate::sim::{Seed, Stopwatch};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::sync::Arc;
use stimuli::{ONLY_UNDER, STIMULI};

/// Orders of one run, where the scenario does not fix them or is about more.
const ORDERS: u32 = 40;
/// At most so many judged checks of clean runs may be unknown.
const UNKNOWN_SHARE: f64 = 0.01;
/// One-sided 99 % of the normal distribution: how far below its floor a share may lie by chance.
const SAMPLING: f64 = 2.33;
/// Scenarios of clean runs: those that mix many kinds of orders.
const MIXES: &str = "M";

/// How much is run.
struct Effort {
    seeds: u32,
    clean: u64,
    /// every fault set for every defect, or only those that expose it
    whole: bool,
}

/// What a run is for.
#[derive(Clone, Copy)]
enum For {
    /// defect, fault set
    Cell(usize, usize),
    /// without probe orders: they are cancelled, and that may be the very stimulus
    Quiet(usize),
    /// fault set
    Clean(usize),
}

struct Job {
    purpose: For,
    case: Case,
    defect: Option<Defect>,
}

pub fn prove(args: &ProveArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let effort = if args.quick { Effort { seeds: 5, clean: 600, whole: false } } else { Effort { seeds: 40, clean: 20_000, whole: true } };
    let effort = Effort { seeds: args.seeds.unwrap_or(effort.seeds), clean: args.clean.unwrap_or(effort.clean), ..effort };
    let watch = Stopwatch::start();
    let dir = super::out_dir(args.out.as_deref())?;
    let ground = Ground::new(args, &effort)?;
    let mut proof = ground.empty(args, &effort);
    let bar: ProgressBar = super::progress(ground.jobs.len(), ground.jobs.len());
    let work = |at: usize| {
        let job = &ground.jobs[at];
        let setup = Setup {
            seed: args.seed,
            target: "embedded".into(),
            defect: job.defect,
            conditions: execute::Conditions::default(),
            arguments: String::new(),
        };
        let judgement = execute::judged(&setup, &job.case, !matches!(job.purpose, For::Quiet(_)), stop);
        bar.inc(1);
        judgement
    };
    execute::in_parallel(ground.jobs.len(), jobs(args.jobs), stop, work, |at, judgement| {
        if let Some(judgement) = judgement {
            ground.count(&mut proof, &ground.jobs[at], &judgement);
        }
    });
    bar.finish_and_clear();
    proof.partial = stop.is_set();
    if !proof.partial {
        proof.problems = problems(&proof, effort.whole && args.defects.is_empty());
    }
    proof.wall_s = watch.seconds();
    let json = serde_json::to_string_pretty(&proof).map_err(|error| Trouble::Environment(format!("error: {error}")))?;
    for (name, text) in [("proof.json", format!("{json}\n")), ("proof.md", proof_markdown(&proof))] {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
    }
    match args.format {
        Format::Json => say(&format!("{json}\n")),
        Format::Human => {
            let color = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
            say(&proof_text(&proof, width(), color));
            say(&format!("{:.0} s.  {}\n", proof.wall_s, dir.join("proof.md").display()));
        }
    }
    Ok(match (proof.partial, proof.verdict()) {
        (true, _) => Ended::Stopped,
        (_, Verdict::Pass) => Ended::Good,
        _ => Ended::Failed,
    })
}

/// Everything that is to be run.
struct Ground {
    faults: Vec<Arc<FaultSet>>,
    stimuli: Vec<&'static stimuli::Stimulus>,
    jobs: Vec<Job>,
}

impl Ground {
    fn new(args: &ProveArgs, effort: &Effort) -> Result<Ground, Trouble> {
        for name in &args.defects {
            super::defect(Some(name))?;
        }
        let mut library = Library::shipped()?;
        let faults = library.fault_sets(&["all".into()])?;
        let scenarios = library.scenarios(&[])?;
        let wanted = |s: &&stimuli::Stimulus| args.defects.is_empty() || args.defects.iter().any(|name| name == s.defect);
        let mut ground = Ground { faults, stimuli: STIMULI.iter().filter(wanted).collect(), jobs: Vec::new() };
        for (at, stimulus) in ground.stimuli.clone().into_iter().enumerate() {
            let defect = Defect::parse(stimulus.defect);
            let scenario = named(&scenarios, stimulus.ground)?;
            for fault in 0..ground.faults.len() {
                if effort.whole || stimulus.exposed_by.contains(&ground.faults[fault].name.as_str()) {
                    ground.add(For::Cell(at, fault), scenario, fault, args.seed, effort.seeds, defect);
                }
            }
            let (calm, quiet) = stimulus.quiet;
            let fault = ground.faults.iter().position(|set| set.name == quiet);
            let fault =
                fault.ok_or_else(|| Trouble::Usage(format!("error: {} is to be silent under `{quiet}`, which is no fault set", stimulus.defect)))?;
            ground.add(For::Quiet(at), named(&scenarios, calm)?, fault, args.seed, effort.seeds, defect);
        }
        let mixes: Vec<&Arc<Scenario>> = scenarios.iter().filter(|s| s.name.starts_with(MIXES)).collect();
        let cells = (mixes.len() * ground.faults.len()).max(1) as u64;
        let seeds = effort.clean.div_ceil(cells) as u32;
        if effort.clean > 0 {
            for scenario in mixes {
                for fault in 0..ground.faults.len() {
                    ground.add(For::Clean(fault), scenario, fault, args.seed, seeds, None);
                }
            }
        }
        Ok(ground)
    }

    /// The runs of one scenario under one fault set, where that makes sense.
    fn add(&mut self, purpose: For, scenario: &Arc<Scenario>, fault: usize, seed: u64, seeds: u32, defect: Option<Defect>) {
        let channels = scenario.matrix.channels.iter().take(1).copied().collect();
        // a scenario that is about a crowd keeps its crowd
        let orders = scenario.matrix.orders.iter().copied().max().unwrap_or(0).max(ORDERS);
        let selection = Selection { orders: Some(orders), channels, cover: Some(Cover::Full), seed: Seed(seed), seeds, ..Selection::default() };
        let cases = expand(std::slice::from_ref(scenario), &self.faults[fault..=fault], &selection).cases;
        let applicable = cases.into_iter().filter(|case| case.not_applicable.is_none());
        self.jobs.extend(applicable.map(|case| Job { purpose, case, defect }));
    }

    fn empty(&self, args: &ProveArgs, effort: &Effort) -> Proof {
        let defects = self.stimuli.iter().map(|s| {
            let entry = DEFECTS.iter().find(|entry| entry.name == s.defect);
            DefectProof {
                name: s.defect.into(),
                about: entry.map_or("", |entry| entry.about).into(),
                seen: entry.map_or("", |entry| entry.seen).into(),
                caught_by: entry.map_or(&[][..], |entry| entry.caught_by).iter().map(|check| check.to_string()).collect(),
                ground: s.ground.into(),
                exposed_by: s.exposed_by.iter().map(|fault| fault.to_string()).collect(),
                floor: s.floor,
                cells: BTreeMap::new(),
                quiet_in: format!("{} under {}", s.quiet.0, s.quiet.1),
                quiet: Default::default(),
            }
        });
        Proof {
            orderstorm_proof: PROOF_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            command: command(args),
            seed: args.seed,
            seeds: effort.seeds,
            orders: ORDERS,
            faults: self.faults.iter().map(|set| set.name.clone()).collect(),
            defects: defects.collect(),
            invariants: INVARIANTS.iter().map(|i| InvariantProof { name: i.name.into(), ..InvariantProof::default() }).collect(),
            ..Proof::default()
        }
    }

    fn count(&self, proof: &mut Proof, job: &Job, judgement: &Judgement) {
        let failed = judgement.verdict == Verdict::Fail;
        let first = judgement.findings.first().map(|finding| finding.check.clone()).unwrap_or_default();
        let cell = match job.purpose {
            For::Cell(defect, fault) => proof.defects[defect].cells.entry(self.faults[fault].name.clone()).or_default(),
            For::Quiet(defect) => &mut proof.defects[defect].quiet,
            For::Clean(fault) => return self.count_clean(proof, fault, job, judgement),
        };
        cell.runs += 1;
        cell.failed += u32::from(failed);
        if failed {
            *cell.first.entry(first.clone()).or_default() += 1;
            let name = job.defect.map_or("", Defect::name);
            if let Some(invariant) = proof.invariants.iter_mut().find(|i| i.name == first) {
                *invariant.first_of.entry(name.into()).or_default() += 1;
            }
        }
    }

    fn count_clean(&self, proof: &mut Proof, fault: usize, job: &Job, judgement: &Judgement) {
        const ALARMS_SHOWN: usize = 20;
        let fault = &self.faults[fault].name;
        let clean: &mut CleanProof = &mut proof.clean;
        clean.runs += 1;
        clean.orders += judgement.orders;
        clean.entries += judgement.entries;
        clean.failed += u64::from(judgement.verdict == Verdict::Fail);
        for result in &judgement.results {
            clean.judged += result.activations;
            clean.unknown += result.unknowns;
            clean.excused += result.excused;
            if let Some(invariant) = proof.invariants.iter_mut().find(|i| i.name == result.name) {
                *invariant.activations.entry(fault.clone()).or_default() += result.activations;
            }
        }
        if let Some(finding) = judgement.findings.first()
            && clean.alarms.len() < ALARMS_SHOWN
        {
            let plain = job.case.name.split(".seed").next().unwrap_or_default();
            let seed = job.case.name.split(".seed").nth(1).map_or(proof.seed.to_string(), str::to_string);
            let scenario = &job.case.scenario.name;
            let again = format!("orderstorm run {scenario} --orders {ORDERS} --faults {fault} --seed {seed} --case {plain}");
            clean.alarms.push(format!("{}: {} ({again})", finding.check, finding.what));
        }
    }
}

fn named<'a>(scenarios: &'a [Arc<Scenario>], name: &str) -> Result<&'a Arc<Scenario>, Trouble> {
    let found = scenarios.iter().find(|s| format!("{}.{}", s.name, s.variant) == name);
    found.ok_or_else(|| Trouble::Usage(format!("error: there is no scenario variant named `{name}`")))
}

fn command(args: &ProveArgs) -> String {
    let mut words = vec!["orderstorm prove".to_string()];
    words.extend(args.quick.then(|| "--quick".into()));
    words.extend((!args.defects.is_empty()).then(|| format!("--defects {}", args.defects.join(","))));
    words.extend(args.seeds.map(|n| format!("--seeds {n}")));
    words.extend(args.clean.map(|n| format!("--clean {n}")));
    words.extend((args.seed != 1).then(|| format!("--seed {}", args.seed)));
    words.join(" ")
}

/// Everything that is not as it must be. `whole`: everything was run, so that an invariant without a defect is unproven.
fn problems(proof: &Proof, whole: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for d in &proof.defects {
        let cells: Vec<_> = d.exposed_by.iter().filter_map(|fault| d.cells.get(fault).map(|cell| (fault, cell))).collect();
        if cells.is_empty() {
            problems.push(format!("{} was never run: {} does not go with {}", d.name, d.ground, d.exposed_by.join(", ")));
        }
        for (fault, cell) in cells {
            let (share, floor, n) = (f64::from(cell.failed) / f64::from(cell.runs.max(1)), f64::from(d.floor) / 100.0, f64::from(cell.runs.max(1)));
            let (ground, percent) = (&d.ground, cell.percent());
            if cell.failed == 0 {
                problems.push(format!("{} survives {ground} under {fault}: {} runs, none failed", d.name, cell.runs));
            } else if share + SAMPLING * (floor * (1.0 - floor) / n).sqrt() < floor {
                problems.push(format!("{} is found in {percent} % of the runs of {ground} under {fault}, and must be in {} %", d.name, d.floor));
            }
            let rightly: u32 = cell.first.iter().filter(|(check, _)| d.caught_by.contains(check)).map(|(_, n)| n).sum();
            if 2 * rightly < cell.failed {
                problems.push(format!(
                    "{} under {fault} is to be reported first by {}, but is by {:?}",
                    d.name,
                    d.caught_by.join(" or "),
                    cell.first
                ));
            }
        }
        if d.quiet.runs == 0 || d.quiet.failed > 0 {
            let (failed, runs) = (d.quiet.failed, d.quiet.runs);
            problems.push(format!("{} is to be silent in {}, and fails {failed} of {runs} runs: {:?}", d.name, d.quiet_in, d.quiet.first));
        }
    }
    if whole {
        for i in proof.invariants.iter().filter(|i| i.first_of.is_empty() && i.name != "EVIDENCE") {
            problems.push(format!("{} is unproven: it is the first reporter of no defect", i.name));
        }
    }
    let clean = &proof.clean;
    if clean.failed > 0 {
        problems.push(format!("{} of {} clean runs failed", clean.failed, clean.runs));
    }
    if clean.unknown_share() > UNKNOWN_SHARE {
        problems.push(format!("{:.2} % of the judged checks of clean runs are unknown", clean.unknown_share() * 100.0));
    }
    // a sample is too small to meet with everything
    if whole && clean.runs > 0 {
        for i in &proof.invariants {
            let only = ONLY_UNDER.iter().find(|(name, _)| *name == i.name).map(|(_, faults)| *faults);
            let touched = |fault: &&String| only.is_none_or(|faults| faults.contains(&fault.as_str()));
            let asleep: Vec<&str> = proof.faults.iter().filter(touched).filter(|f| i.activations.get(*f) == Some(&0)).map(String::as_str).collect();
            if !asleep.is_empty() {
                problems.push(format!("{} had nothing to judge in clean runs under {}", i.name, asleep.join(", ")));
            }
        }
    }
    problems
}
