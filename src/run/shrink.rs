//! `shrink`: a failing case of a stored run, reduced to a scenario file of its own.

use super::execute::{self, Setup};
use super::matrix::{choose, defect, quoted};
use super::stored::stored;
use super::{Ended, Stop, Trouble, cannot_write, say, width};
use crate::check::{Judgement, Suite, Verdict};
use crate::cli::{ShrinkArgs, stored_run};
use crate::history::{Entry, Observer};
use crate::report::{self, CaseReport, Lens, Manifest, RunReport, View};
use crate::scenario::{Case, Library, Scenario, ScenarioFile, Selection, expand};
use crate::shrink::{Budget, Failure, Key, Oracle, Plan, Shrunk, Size, Why, materialise};
use crate::sim::{Seed, Span, Stopwatch, Timestamp, VirtualClock};
use crate::workload::{self, OPENS, Partition};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn shrink(args: &ShrinkArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let run = stored(&args.run)?;
    if run.manifest.target != "embedded" {
        return Err(Trouble::Usage(format!(
            "error: this run was made against `{}`, and a case is reduced by running it hundreds of times in virtual time, against the embedded \
             reference, which does not have that target's faults\n  = help: `orderstorm explain {} ORDER` shows what became of an order",
            run.manifest.target,
            args.run.display()
        )));
    }
    let row = failing(&run, &args.case)?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join(format!("{}.shrunk.toml", row.name)));
    if args.out.is_some() && out.exists() {
        return Err(Trouble::Usage(format!("error: {} is there already\n  = help: name a new file with --out", out.display())));
    }
    let watch = Stopwatch::start();
    let (setup, case) = again(&args.run, &run.manifest, row)?;
    let mut bench = Bench { seed: Seed(setup.seed), setup, key: None, runs: 0, stop, bar: spinner() };
    let (plan, failure) = match materialised(&mut bench, &case, row) {
        // whatever it says: it was not let finish
        _ if stop.is_set() => {
            bench.bar.finish_and_clear();
            say("Stopped before anything was reduced; nothing was written.\n");
            return Ok(Ended::Stopped);
        }
        seen => seen?,
    };
    let before = plan.size();
    bench.key = Some(failure.key.clone());
    let budget = Budget { runs: args.budget, idle: args.budget.div_ceil(2) };
    let shrunk = crate::shrink::shrink(plan, failure, budget, &mut bench);
    bench.bar.finish_and_clear();
    let reduced = Reduced { row, before, shrunk, seconds: watch.seconds() };
    reduced.write(&out, &mut bench)
}

/// The failing case that `asked` names, or the first that it matches.
fn failing<'a>(run: &'a RunReport, asked: &str) -> Result<&'a CaseReport, Trouble> {
    let pattern = glob::Pattern::new(asked).map_err(|error| Trouble::Usage(format!("error: `{asked}` is no pattern: {error}")))?;
    let named: Vec<&CaseReport> = run.cases.iter().filter(|case| case.name == asked || pattern.matches(&case.name)).collect();
    if let Some(row) = named.iter().find(|case| is_proven_wrong(case)) {
        return Ok(row);
    }
    let all: Vec<&str> = run.cases.iter().filter(|case| is_proven_wrong(case)).map(|case| case.name.as_str()).collect();
    let known = match all.as_slice() {
        [] => "no case of this run failed a check: there is nothing to reduce".to_string(),
        [one] => format!("one failed: {one}"),
        [first, ..] => format!("{} failed, such as {first}", all.len()),
    };
    let what = match named.as_slice() {
        [] => format!("no case of this run is named `{asked}`"),
        [one] if one.verdict == Verdict::Fail => {
            format!("`{}` failed by a threshold alone, which is about all of its orders: fewer say something else", one.name)
        }
        [one] => format!("`{}` did not fail: it is {}", one.name, one.verdict.name()),
        _ => format!("none of the {} cases that match `{asked}` failed a check", named.len()),
    };
    Err(Trouble::Usage(format!("error: {what}\n  = help: {known}")))
}

/// A check failed, and not only a threshold.
fn is_proven_wrong(case: &CaseReport) -> bool {
    case.verdict == Verdict::Fail && case.checks.iter().any(|check| check.verdict == Verdict::Fail)
}

/// The case as it was, from what the run wrote down about itself.
fn again(dir: &Path, manifest: &Manifest, row: &CaseReport) -> Result<(Setup, Case), Trouble> {
    let damaged = |what: &str| Trouble::Usage(format!("error: {}: {what}\n  = help: do the run again, and shrink that", dir.display()));
    if manifest.source.is_some() {
        return Err(Trouble::Usage("error: a run of recorded orders cannot be reduced: its orders are not in a scenario".into()));
    }
    let args = stored_run(&manifest.command).ok_or_else(|| damaged("the manifest's command cannot be understood"))?;
    let mut matrix = args.matrix;
    let (plain, seed) = row.name.split_once(".seed").map_or((row.name.as_str(), None), |(plain, seed)| (plain, seed.parse().ok()));
    (matrix.seed, matrix.seeds, matrix.case) = (seed.unwrap_or(manifest.seed), 1, Some(glob::Pattern::escape(plain)));
    let defect = defect((!manifest.defect.is_empty()).then_some(&manifest.defect))?;
    let setup =
        Setup { seed: matrix.seed, target: manifest.target.clone(), defect, conditions: execute::Conditions::default(), arguments: String::new() };
    let chosen = choose(&matrix, &setup)?;
    let changed = chosen.library.files.iter().find(|(name, digest)| manifest.files.get(*name).is_some_and(|then| then != *digest));
    if let Some((name, _)) = changed {
        return Err(damaged(&format!("{name} is not the file any more that the run was made from")));
    }
    let case =
        chosen.expansion.cases.iter().find(|case| case.name == plain).cloned().ok_or_else(|| damaged("its matrix has no such case any more"))?;
    Ok((setup, case))
}

/// The case as data, after seeing it fail as the run says, and as data too.
fn materialised(bench: &mut Bench<'_>, case: &Case, row: &CaseReport) -> Result<(Plan, Failure), Trouble> {
    for number in 0..workload::partitions(case) {
        let part = workload::partition(case, number);
        let setup = bench.setup.clone();
        let mut storm = execute::storm(case, &part);
        storm.remember();
        bench.runs += 1;
        let mut suite = Suite::new(execute::header(&setup, case, &part), case.scenario.expect.clone());
        let mut proof = Proof::default();
        let ran = execute::simulate_under(storm, &setup, case, &part, &mut VirtualClock::new(), bench.stop, (&mut suite, &mut proof));
        let Some(failure) = failure(&suite.finish(!ran.stopped), &part, &proof).filter(|_| !ran.stopped) else { continue };
        let acted = ran.acted.iter().map(|acted| acted.as_rule(&case.fault, &part.plan.estate));
        let faults = case.fault.rules.iter().filter_map(|rule| rule.of_no_message()).chain(acted).collect();
        let mut plan = materialise(case, &part, faults).with(|file| file.name += "-shrunk");
        if case.scenario.file.name.ends_with("-shrunk") {
            plan = plan.with(|file| file.name.clone_from(&case.scenario.file.name));
        }
        bench.key = Some(failure.key.clone());
        return match bench.fails(&plan) {
            Some(again) => Ok((plan, again)),
            None => Err(Trouble::Usage(format!(
                "error: {}, written down order by order and fault by fault, does not fail as it did ({}){}\n  = help: this is a defect of orderstorm: \
                 please report it with the command of the run",
                row.name,
                failure.key,
                if setup.defect.is_some() { ", or fails without the defect too" } else { "" }
            ))),
        };
    }
    Err(Trouble::Usage(format!(
        "error: {} does not fail any more\n  = help: the run was made by version {} of orderstorm: do it again, and shrink that",
        row.name,
        env!("CARGO_PKG_VERSION")
    )))
}

/// What the proof of a finding may name: for each entry, when it was and whom it is about.
#[derive(Default)]
struct Proof(Vec<(Timestamp, u32, u32)>);

impl Observer for Proof {
    fn observe(&mut self, entry: &Entry) {
        let sku = if entry.msg.sku.is_some() { entry.msg.sku } else { entry.msg.lines.first().map_or(entry.msg.sku, |line| line.sku) };
        self.0.push((entry.at, entry.msg.order.0, sku.0));
    }
}

/// The first finding, in order of rank.
fn failure(judgement: &Judgement, part: &Partition, proof: &Proof) -> Option<Failure> {
    let finding = judgement.findings.first().filter(|_| judgement.verdict == Verdict::Fail)?;
    let estate = &part.plan.estate;
    let entries: Vec<(Timestamp, u32, u32)> = finding.evidence.iter().filter_map(|n| proof.0.get((*n as usize).checked_sub(1)?)).copied().collect();
    let base = |sku: u32| estate.sku_name(crate::model::SkuId(sku)).split('~').next().unwrap_or_default().to_string();
    Some(Failure {
        key: Key::of(finding, estate),
        order: finding.order.map(|order| order.0),
        proof: entries.iter().map(|(_, order, _)| *order).filter(|order| *order != 0).collect(),
        skus: entries.iter().filter(|(.., sku)| *sku != 0).map(|(.., sku)| base(*sku)).collect::<BTreeSet<String>>(),
        at: entries.iter().map(|(at, ..)| at.since(Timestamp::ZERO + OPENS)).max().unwrap_or(Span(u64::MAX)),
    })
}

/// Runs plans.
struct Bench<'a> {
    setup: Setup,
    seed: Seed,
    /// what a plan must fail with; none is anything
    key: Option<Key>,
    runs: u32,
    stop: &'a Stop,
    bar: ProgressBar,
}

impl Bench<'_> {
    fn case(&self, file: &ScenarioFile) -> Option<Case> {
        let scenario = Scenario::from_file(file, "base", "shrunk").ok()?;
        expand(&[Arc::new(scenario)], &[], &Selection { seed: self.seed, ..Selection::default() }).cases.pop()
    }

    fn run<O: Observer>(&mut self, setup: &Setup, case: &Case, observer: O) -> (Judgement, Partition) {
        self.runs += 1;
        let part = workload::partition(case, 0);
        let mut suite = Suite::new(execute::header(setup, case, &part), case.scenario.expect.clone());
        let ran = execute::simulate(setup, case, &part, &mut VirtualClock::new(), self.stop, (&mut suite, observer));
        (suite.finish(!ran.stopped), part)
    }
}

impl Oracle for Bench<'_> {
    fn fails(&mut self, plan: &Plan) -> Option<Failure> {
        self.bar.tick();
        let case = self.case(&plan.file())?;
        let setup = self.setup.clone();
        let mut proof = Proof::default();
        let (judgement, part) = self.run(&setup, &case, &mut proof);
        let failure = failure(&judgement, &part, &proof)?;
        if self.key.as_ref().is_some_and(|key| *key != failure.key) {
            return None;
        }
        // a plan that nobody could carry out shows nothing: the correct reference must
        if setup.defect.is_some() && self.run(&Setup { defect: None, ..setup }, &case, &mut Proof::default()).0.verdict != Verdict::Pass {
            return None;
        }
        Some(failure)
    }

    fn runs(&self) -> u32 {
        self.runs
    }

    fn stopped(&self) -> bool {
        self.stop.is_set()
    }

    fn smaller(&mut self, size: Size) {
        self.bar.set_message(format!("{} after {} runs", sizes(size), self.runs));
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn sizes(size: Size) -> String {
    let many = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}, {}, {}, {} of stock",
        many(size.orders, "order"),
        many(size.faults, "fault"),
        many(size.steps, "stock step"),
        many(size.units as usize, "unit")
    )
}

/// What came of it.
struct Reduced<'a> {
    row: &'a CaseReport,
    before: Size,
    shrunk: Shrunk,
    seconds: f64,
}

impl Reduced<'_> {
    /// Writes the file, reads it back, and shows how it fails.
    fn write(&self, out: &PathBuf, bench: &mut Bench<'_>) -> Result<Ended, Trouble> {
        let setup = bench.setup.clone();
        let key = bench.key.clone();
        let path = out.display().to_string();
        let path = if path.contains(['/', '\\']) || path.ends_with(".toml") { path } else { format!("./{path}") };
        let with = setup.defect.map_or(String::new(), |defect| format!(" --defect {defect}"));
        let command = format!("orderstorm run {}{with} --seed {}", quoted(&path), setup.seed);
        let mut file = self.shrunk.plan.file();
        let check = key.as_ref().map_or("", |key| &key.check);
        file.about = format!("Reduced from {} (seed {}), where it fails {check}. Run it:{with} --seed {}", self.row.name, setup.seed, setup.seed);
        std::fs::write(out, file.to_toml()).map_err(|error| cannot_write(out, &error))?;

        let broken =
            || Trouble::Environment(format!("error: {path} does not fail as the plan that it was written from\n  = help: please report this"));
        let scenarios = Library::default().scenarios(std::slice::from_ref(&path))?;
        let case = expand(&scenarios, &[], &Selection { seed: bench.seed, ..Selection::default() }).cases.pop().ok_or_else(broken)?;
        let stop = Stop::new();
        let mut last = Bench { setup: setup.clone(), seed: bench.seed, key: None, runs: 0, stop: &stop, bar: ProgressBar::hidden() };
        let mut entries: Vec<Entry> = Vec::new();
        let (judgement, part) = last.run(&setup, &case, &mut entries);
        let finding = judgement.findings.first().filter(|finding| Some(Key::of(finding, &part.plan.estate)) == key).ok_or_else(broken)?;
        let header = execute::header(&setup, &case, &part);

        let end = match self.shrunk.why {
            Why::Minimal => "nothing more can be left out by itself",
            Why::Budget => "reduced, not minimal: the budget is used up (--budget)",
            Why::Stopped => "reduced, not minimal: stopped",
        };
        let mut text = format!("{}\n  was  {}\n  is   {}\n", self.row.name, sizes(self.before), sizes(self.shrunk.plan.size()));
        text += &format!("  {} runs in {}; {end}\n", self.shrunk.runs, report::seconds(self.seconds));
        for story in execute::stories(&Lens::new(&header), std::slice::from_ref(finding), &entries, &command) {
            text += &format!("\n{} {}  {}\n  expected: {}\n", story.check, story.order, story.what, story.expected);
            text += &report::timeline(&story.evidence, View { width: width(), ..View::default() });
        }
        say(&format!("{text}\nWritten    {path}\nReproduce: {command}\n"));
        Ok(if self.shrunk.why == Why::Stopped { Ended::Stopped } else { Ended::Good })
    }
}
