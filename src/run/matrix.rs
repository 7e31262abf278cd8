//! `run`, and what a run is made of.

use super::execute::{self, Setup};
use super::live::{self, Broken, Session};
use super::pace::{Asked, paced};
use super::progress::Sending;
use super::rows::{Parts, Rows, case_report, fails};
use super::source::{self, Recorded};
use super::{Ended, Stop, Trouble, cannot_write, say, shown, sweep, width};
use crate::check::Verdict;
use crate::cli::{Format, MatrixArgs, Record, RunArgs};
use crate::measure::MeterTotals;
use crate::model::Threshold;
use crate::reference::{DEFECTS, Defect};
use crate::report::{self, Manifest, RunReport, View};
use crate::scenario::{Case, Expansion, Library, LoadProfile, Problem, Problems, Selection, expand};
use crate::sim::{Seed, Stopwatch};
use crate::workload::{self, Partition};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that a run or a plan is about.
pub(super) struct Chosen {
    pub expansion: Expansion,
    pub library: Library,
    pub profile: Option<LoadProfile>,
    recorded: Option<Arc<Recorded>>,
    /// the cases are those of a sweep
    pub swept: bool,
    /// a target in real time is offered all orders of a case at their own rate, so a case is not cut
    live: bool,
}

impl Chosen {
    pub fn partitions(&self, case: &Case) -> u32 {
        match &self.recorded {
            Some(recorded) => recorded.parts.len() as u32,
            None if self.live || case.aborts() => 1,
            None => workload::partitions(case),
        }
    }
    /// A part of a case that takes a moment: its first partition, or so many orders of a case that is not cut.
    pub fn sample(&self, case: &Case, most: u32) -> Partition {
        match &self.recorded {
            Some(recorded) => recorded.first(case, 0, most as usize),
            None if self.partitions(case) == 1 && case.scenario.places.is_empty() => {
                workload::whole(&Case { orders: case.orders.min(most), ..case.clone() })
            }
            None => self.partition(case, 0),
        }
    }
    pub fn partition(&self, case: &Case, number: u32) -> Partition {
        match &self.recorded {
            Some(recorded) => recorded.partition(case, number),
            None if self.live || case.aborts() => workload::whole(case),
            None => workload::partition(case, number),
        }
    }
}

pub(super) fn choose(args: &MatrixArgs, setup: &Setup) -> Result<Chosen, Trouble> {
    let mut library = Library::shipped()?;
    let all = ["all".to_string()];
    let mut profile = args.profile.as_deref().map(|name| library.load_profile(name)).transpose()?;
    if let Some(asked) = profile.take() {
        let (rate, duration) = (args.rate.as_deref(), args.duration.as_deref());
        profile = Some(paced(asked, Asked { rate, duration, orders: args.orders, seed: args.seed, most: 100_000_000 })?);
    }
    let mut cases = Vec::new();
    if let Some(glob) = &args.case {
        cases.push(glob::Pattern::new(glob).map_err(|error| {
            Trouble::Usage(format!("error: `{glob}` is no pattern: {error}\n  = help: use `*` and `?`, such as 'S06.*.delay.*'"))
        })?);
    }
    let (scenarios, recorded) = match (&args.source, &args.columns) {
        (Some(file), Some(columns)) => {
            if !args.scenarios.is_empty() || args.profile.is_some() {
                return Err(Trouble::Usage("error: --source brings its own orders: name no scenarios and no --profile with it".into()));
            }
            let (scenario, recorded) = source::load(file, columns, args.orders, &mut library)?;
            (vec![Arc::new(scenario)], Some(Arc::new(recorded)))
        }
        _ => match profile.as_ref().filter(|_| args.scenarios.is_empty()).and_then(LoadProfile::scenario) {
            // a profile that makes whole orders is a scenario of its own
            Some(scenario) => (vec![Arc::new(scenario?)], None),
            None => (library.scenarios(&args.scenarios)?, None),
        },
    };
    let own = profile.as_ref().filter(|profile| args.scenarios.is_empty() && profile.goods.is_some()).map_or(&[][..], |profile| &profile.faults);
    let asked = if args.faults.is_empty() { own } else { &args.faults };
    let faults = library.fault_sets(if asked.is_empty() { &all } else { asked }).map_err(|mut problems| {
        if let Some(profile) = profile.as_ref().filter(|_| args.faults.is_empty() && !own.is_empty()) {
            problems.0.push(Problem::plain(format!("it is the key `faults` of load profile `{}` that names it", profile.name), None));
        }
        problems
    })?;
    let selection =
        Selection { profile: profile.clone(), orders: args.orders, seed: Seed(args.seed), seeds: args.seeds, cases, ..Selection::default() };
    let expansion = match args.sweep {
        Some(what) => sweep::cases(&scenarios, setup, what, &selection),
        None => expand(&scenarios, &faults, &selection),
    };
    if expansion.cases.is_empty() {
        let glob = args.case.clone().unwrap_or_default();
        let problem = Problem::plain(
            format!("no case matches `{glob}`"),
            Some("`orderstorm plan` lists the names: scenario.variant.fault.channel.orders".into()),
        );
        return Err(Problems(vec![problem]).into());
    }
    Ok(Chosen { expansion, library, profile, recorded, swept: args.sweep.is_some(), live: false })
}

/// Adds what the command line demands of every case.
fn demand(chosen: &mut Chosen, asked: &[String]) -> Result<(), Trouble> {
    let phases = chosen.profile.as_ref().map_or(&[][..], |profile| &profile.phases);
    let whose = chosen.profile.as_ref().map_or("a run without --profile".into(), |profile| format!("load profile {}", profile.name));
    let parse = |text: &String| {
        let threshold = Threshold::parse(text).and_then(|threshold| threshold.within(phases, &whose));
        threshold.map_err(|(what, help)| Trouble::Usage(format!("error: --threshold '{text}': {what}\n  = help: {help}")))
    };
    let asked: Vec<Threshold> = asked.iter().map(parse).collect::<Result<_, _>>()?;
    for case in &mut chosen.expansion.cases {
        let new = asked.iter().filter(|threshold| !case.thresholds.contains(threshold)).cloned().collect::<Vec<_>>();
        case.thresholds.extend(new);
    }
    let regions = chosen.recorded.as_ref().map_or(0, |recorded| recorded.parts.len());
    if regions > 1 && chosen.expansion.cases.iter().any(Case::aborts) {
        let help = "leave `abort` out: recorded orders run region by region, and none of them sees all orders";
        return Err(Trouble::Usage(format!("error: a threshold cannot end a run of --source early\n  = help: {help}")));
    }
    Ok(())
}

pub(super) fn defect(name: Option<&String>) -> Result<Option<Defect>, Trouble> {
    let Some(name) = name else { return Ok(None) };
    if let Some(defect) = Defect::parse(name) {
        return Ok(Some(defect));
    }
    let likeness = |entry: &&crate::reference::DefectEntry| strsim::jaro_winkler(entry.name, name);
    let nearest = DEFECTS.iter().filter(|entry| likeness(entry) > 0.75).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = nearest.map_or(String::new(), |entry| format!("did you mean `{}`? ", entry.name));
    Err(Trouble::Usage(format!("error: there is no defect named `{name}`\n  = help: {hint}`orderstorm list defects` shows all")))
}

/// Opens the live target, and says which cases it cannot be asked.
fn live_session(args: &RunArgs, chosen: &mut Chosen) -> Result<Session, Trouble> {
    if args.defect.is_some() {
        let help = "switch it on where the orchestrator runs: `orderstorm serve --defect NAME`";
        return Err(Trouble::Usage(format!("error: --defect is for the embedded target\n  = help: {help}")));
    }
    if args.check_determinism {
        return Err(Trouble::Usage("error: --check-determinism is for the embedded target: no two moments of a live one are the same".into()));
    }
    chosen.live = true;
    let session = Session::open(&args.target, &args.allow_host, args.otlp.as_deref(), &mut chosen.library)?;
    for case in &mut chosen.expansion.cases {
        case.not_applicable = case.not_applicable.take().or_else(|| session.not_applicable(case));
    }
    let planned: Vec<&Case> = chosen.expansion.cases.iter().filter(|case| case.not_applicable.is_none()).collect();
    if let Some(warning) = session.warning(planned.len(), planned.iter().map(|case| u64::from(case.orders)).sum()) {
        eprintln!("note: {warning}");
    }
    Ok(session)
}

/// The arguments that make this run again, in the order of the help text.
fn arguments(args: &RunArgs) -> String {
    let m = &args.matrix;
    let mut words: Vec<String> = m.scenarios.iter().map(|name| quoted(name)).collect();
    let mut add = |flag: &str, value: Option<String>| words.extend(value.map(|value| format!("{flag} {}", quoted(&value))));
    add("--profile", m.profile.clone());
    add("--orders", m.orders.map(|n| n.to_string()));
    add("--rate", m.rate.clone());
    add("--duration", m.duration.clone());
    add("--faults", (!m.faults.is_empty()).then(|| m.faults.join(",")));
    add("--sweep", m.sweep.map(|sweep| sweep.name().into()));
    add("--source", m.source.as_ref().map(|path| path.display().to_string()));
    add("--columns", m.columns.clone());
    args.threshold.iter().for_each(|text| add("--threshold", Some(text.clone())));
    add("--target", (args.target != "embedded").then(|| args.target.clone()));
    args.allow_host.iter().for_each(|host| add("--allow-host", Some(host.clone())));
    add("--defect", args.defect.clone());
    add("--seed", Some(m.seed.to_string()));
    add("--seeds", (m.seeds > 1).then(|| m.seeds.to_string()));
    words.join(" ")
}

pub(super) fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "-_./,:=".contains(c));
    if plain { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

pub(super) fn jobs(asked: Option<u32>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize)
}

pub fn run(args: &RunArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let setup = Setup {
        seed: args.matrix.seed,
        target: args.target.clone(),
        defect: defect(args.defect.as_ref())?,
        conditions: execute::Conditions::default(),
        arguments: arguments(args),
    };
    let mut chosen = choose(&args.matrix, &setup)?;
    demand(&mut chosen, &args.threshold)?;
    if args.target == "embedded" && args.otlp.is_some() {
        return Err(Trouble::Usage("error: --otlp is for a live target: in virtual time nothing goes over a wire\n  = help: add --target".into()));
    }
    if let Some(host) = args.allow_host.first().filter(|_| args.target == "embedded") {
        let what = format!("error: --allow-host {host} is for a live target: in virtual time nothing is sent to any machine");
        return Err(Trouble::Usage(format!("{what}\n  = help: add --target")));
    }
    let live = if args.target == "embedded" { None } else { Some(live_session(args, &mut chosen)?) };
    if args.check_determinism {
        return check_determinism(&setup, &chosen, args, stop);
    }
    let dir = out_dir(args.out.as_deref())?;
    let histories = dir.join("histories");
    std::fs::create_dir_all(&histories).map_err(|error| cannot_write(&histories, &error))?;
    let watch = Stopwatch::start();
    let cases = &chosen.expansion.cases;
    let record = args.record.unwrap_or(if args.matrix.seeds > 1 || chosen.swept { Record::Failures } else { Record::All });
    let units: Vec<(usize, u32)> = (0..cases.len())
        .flat_map(|at| (0..if cases[at].not_applicable.is_some() { 1 } else { chosen.partitions(&cases[at]) }).map(move |number| (at, number)))
        .collect();
    let bar = progress(units.len(), cases.len());
    let mut totals = MeterTotals::default();
    let mut rows = Rows::default();
    let mut parts = Parts::default();
    let mut short = false;
    let mut broken: Option<Broken> = None;
    let work = |unit: usize| {
        let (at, number) = units[unit];
        let case = &cases[at];
        if case.not_applicable.is_some() {
            bar.inc(1);
            return Ok(None);
        }
        let part = chosen.partition(case, number);
        let name = || histories.join(history_name(case, number, chosen.partitions(case)));
        if let Some(session) = &live {
            let file = name();
            let mut sending = Sending::new(&bar, &case.name, part.orders);
            let mut result = live::partition(session, &setup, case, &part, &file, stop, &mut sending);
            if let Ok(part) = &mut result
                && (record == Record::None || record == Record::Failures && !fails(case, part))
            {
                // what was kept only to tell a story from; there is nothing to be done where it cannot be removed
                let _ = std::fs::remove_file(&file);
                part.kept = false;
            }
            bar.inc(1);
            bar.set_message(case.name.clone());
            // who was stopped before the target was ready has not begun
            if stop.is_set() && matches!(result, Err(Broken::Target(_))) {
                return Ok(None);
            }
            if result.is_err() {
                stop.set();
            }
            return result.map(Some);
        }
        let mut result = execute::partition(&setup, case, &part, (record == Record::All).then(name).as_deref(), stop);
        let failed = result.as_ref().is_ok_and(|part| fails(case, part));
        if failed && record == Record::Failures {
            // to its end, whatever comes: half a history would prove less than was found
            result = execute::partition(&setup, case, &part, Some(&name()), &Stop::new());
        }
        if result.is_err() {
            // the disk is full, or gone: no use in going on
            stop.set();
        }
        bar.inc(1);
        bar.set_message(case.name.clone());
        result.map(Some).map_err(Broken::Disk)
    };
    let at_once =
        live.as_ref().map_or_else(|| jobs(args.jobs), |session| args.jobs.map_or(usize::MAX, |jobs| jobs as usize).min(session.profile.cases));
    execute::in_parallel(units.len(), at_once, stop, work, |unit, result| {
        let (at, number) = units[unit];
        match result {
            Some(Ok(Some(part))) => parts.add(&cases[at], number, chosen.partitions(&cases[at]), part),
            Some(Ok(None)) => {}
            Some(Err(error)) => broken = broken.take().or(Some(error)),
            None => short = true,
        }
        if units.get(unit + 1).is_none_or(|(next, _)| *next != at) {
            let case = &cases[at];
            let parts = std::mem::take(&mut parts);
            if !parts.is_empty() || (case.not_applicable.is_some() && !short) {
                totals.merge(parts.measured());
                rows.add(case_report(&setup, &chosen, case, parts, short, record));
            }
            short = false;
        }
    });
    bar.finish_and_clear();
    if let Some(told) = live.as_ref().and_then(Session::finish) {
        eprintln!("{told}");
    }
    let reports = rows.cases;
    let lost = match broken {
        Some(Broken::Disk(error)) => return Err(cannot_write(&histories, &error)),
        Some(Broken::Target(why)) if reports.is_empty() => return Err(Trouble::Environment(format!("error: {why}"))),
        Some(Broken::Target(why)) => Some(why),
        None => None,
    };
    let partial = stop.is_set();
    // cases that were never begun have no row, and what was not tried was not shown
    let lost_at = lost.as_ref().map(|why| format!("the target was lost: {why}"));
    let doubts: Vec<String> = chosen.recorded.iter().filter_map(|recorded| recorded.doubt.clone()).chain(lost_at).collect();
    let least = if partial || !doubts.is_empty() { Verdict::Unknown } else { Verdict::NotApplicable };
    let verdict = reports.iter().fold(least, |worst, case| worst.merge(case.verdict));
    let report = RunReport {
        orderstorm_summary: report::SUMMARY_VERSION,
        manifest: manifest(&setup, &chosen, live.as_ref(), args.matrix.case.as_deref()),
        verdict,
        partial,
        doubts,
        checks: report::checks_over(&reports),
        never_exercised: report::never_exercised(&reports),
        cases: reports,
        totals: totals.measures(),
        wall_s: watch.seconds(),
        peak_memory: peak_memory(),
    };
    let paths = report::write_all(&dir, &report).map_err(|error| cannot_write(&dir, &error))?;
    link_latest(&dir);
    match args.format {
        Format::Json => {
            let text = report::to_json(&report).map_err(|error| Trouble::Environment(format!("error: {error}")))?;
            say(&format!("{}\n", String::from_utf8_lossy(&text)));
        }
        Format::Human => {
            if let Some(recorded) = &chosen.recorded {
                say(&format!("{}\n", recorded.account));
            }
            let view = View { width: width(), ..View::default() };
            shown(report::print(&report, view))?;
            say(&format!("\nReport   {}\nSummary  {}\nJUnit    {}\n", paths.html.display(), paths.summary.display(), paths.junit.display()));
        }
    }
    if let Some(why) = lost {
        // what had come to an end is told, as after Ctrl-C
        return Err(Trouble::Environment(format!("error: {why}\n  = help: the report holds the cases that had come to their end before")));
    }
    Ok(match (partial, verdict) {
        (true, _) => Ended::Stopped,
        (_, Verdict::Fail) => Ended::Failed,
        (_, Verdict::Unknown | Verdict::NotExercised) => Ended::Undecided,
        // nothing at all was applicable: nothing was shown
        (_, Verdict::NotApplicable) => Ended::Undecided,
        (_, Verdict::Pass) => Ended::Good,
    })
}

/// The most memory that this process has held, in bytes: `VmHWM` of proc(5), which other systems than Linux do not have.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

pub(super) fn history_name(case: &Case, number: u32, of: u32) -> String {
    if of == 1 { format!("{}.jsonl.gz", case.name) } else { format!("{}.p{number:04}.jsonl.gz", case.name) }
}

/// Of so many units of work. A large case is several of them.
pub(super) fn progress(units: usize, cases: usize) -> ProgressBar {
    let what = if units > cases { "parts of cases" } else { "cases" };
    // two that write to one terminal would write over each other
    let bar = if super::logs::are_on() { ProgressBar::hidden() } else { ProgressBar::new(units as u64) };
    if let Ok(style) = ProgressStyle::with_template(&format!("{{elapsed_precise}} [{{bar:20}}] {{pos}}/{{len}} {what}{{pace}}  {{wide_msg}}")) {
        // before the first has ended nobody knows how long one takes
        let pace = |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            if state.pos() > 0 {
                let _ = write!(to, ", {:.1}/s, {:#} left", state.per_sec(), HumanDuration(state.eta()));
            }
        };
        bar.set_style(style.with_key("pace", pace).progress_chars("=> "));
    }
    bar
}

fn manifest(setup: &Setup, chosen: &Chosen, live: Option<&Session>, case: Option<&str>) -> Manifest {
    // the policies of the target, where they stand for those of every scenario
    let declared = live.and_then(Session::policies);
    let of_scenarios = if declared.is_some() { &[][..] } else { &chosen.expansion.cases };
    let default = declared.unwrap_or_default();
    let mut policies = serde_json::Map::new();
    policies.insert("default".into(), serde_json::json!(default));
    for case in of_scenarios {
        let own = &case.scenario.fixture.policies;
        if *own != default {
            policies.insert(format!("{}.{}", case.scenario.name, case.scenario.variant), serde_json::json!(own));
        }
    }
    Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        command: format!("orderstorm run {}{}", setup.arguments, case.map_or(String::new(), |glob| format!(" --case {}", quoted(glob)))),
        seed: setup.seed,
        target: setup.target.clone(),
        defect: setup.defect.map_or(String::new(), |defect| defect.to_string()),
        files: chosen.library.files.clone(),
        policies: policies.into(),
        cover: chosen.expansion.cover.clone(),
        source: chosen.recorded.as_ref().map(|recorded| recorded.as_json.clone()),
        sending: live.map_or(String::new(), Session::sending),
        assumed: assumed(chosen),
    }
}

/// What no measurement stands behind.
fn assumed(chosen: &Chosen) -> Vec<String> {
    let mut assumed = vec![
        "service times of partners, nodes and carrier, and network latency, where the scenario names none".to_string(),
        "weights of the support ticket model".into(),
    ];
    if let Some(profile) = chosen.profile.as_ref().filter(|profile| !profile.assumed.is_empty()) {
        assumed.push(format!("of load profile {}: {}", profile.name, profile.assumed.join(", ")));
    }
    assumed
}

/// The folder asked for, or the next free one under results/. It must not hold a run yet.
pub(super) fn out_dir(asked: Option<&Path>) -> Result<PathBuf, Trouble> {
    if let Some(dir) = asked {
        if ["summary.json", "capacity.json", "probe.json"].iter().any(|file| dir.join(file).exists()) {
            return Err(Trouble::Usage(format!(
                "error: {} holds the results of another run\n  = help: name a new folder with --out, or remove that one",
                dir.display()
            )));
        }
        if std::fs::read_dir(dir.join("histories")).is_ok_and(|mut files| files.next().is_some()) {
            return Err(Trouble::Usage(format!(
                "error: {} holds histories of a run that did not come to its end\n  = help: name a new folder with --out, or remove that one; \
                 `orderstorm check` judges a history by itself",
                dir.display()
            )));
        }
        std::fs::create_dir_all(dir).map_err(|error| cannot_write(dir, &error))?;
        return Ok(dir.into());
    }
    let results = PathBuf::from("results");
    std::fs::create_dir_all(&results).map_err(|error| cannot_write(&results, &error))?;
    for n in 1..1_000_000u32 {
        let dir = results.join(format!("run-{n:04}"));
        match std::fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_write(&dir, &error)),
        }
    }
    Err(Trouble::Environment("error: results/ is full\n  = help: remove old runs".into()))
}

/// `results/latest` leads to the newest run, where the system has links.
fn link_latest(dir: &Path) {
    #[cfg(unix)]
    if let (Some(parent), Some(name)) = (dir.parent(), dir.file_name())
        && parent.ends_with("results")
    {
        let link = parent.join("latest");
        // a convenience: where it cannot be made, the path is printed all the same
        let _ = std::fs::remove_file(&link);
        let _ = std::os::unix::fs::symlink(name, link);
    }
}

fn check_determinism(setup: &Setup, chosen: &Chosen, args: &RunArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let cases: Vec<&Case> = chosen.expansion.cases.iter().filter(|case| case.not_applicable.is_none()).collect();
    let units: Vec<(&Case, u32)> = cases.iter().flat_map(|case| (0..chosen.partitions(case)).map(move |number| (*case, number))).collect();
    let bar = progress(units.len(), cases.len());
    let mut first: Option<String> = None;
    let twice = |at: usize| {
        let (case, number) = units[at];
        let difference = execute::first_difference(setup, case, &chosen.partition(case, number), stop);
        bar.inc(1);
        difference
    };
    execute::in_parallel(units.len(), jobs(args.jobs), stop, twice, |at, difference| {
        if let (None, Some(Some((n, one, other)))) = (&first, difference) {
            let (case, number) = units[at];
            let name = &case.name;
            first = Some(format!("{name} partition {number}: the two runs differ first at entry {n}\n  first:  {one}\n  second: {other}\n"));
        }
    });
    bar.finish_and_clear();
    if stop.is_set() {
        return Ok(Ended::Stopped);
    }
    if let Some(difference) = first {
        say(&difference);
        return Ok(Ended::Failed);
    }
    say(&format!("{} cases ran twice: every entry was the same.\n", cases.len()));
    Ok(Ended::Good)
}
