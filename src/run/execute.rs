//! Running cases: each is cut into its fixed partitions, threads pick partitions, and results are put together in the order of the
//! plan, so that nothing depends on how many threads there are.

use super::bounds::Bounded;
use super::gauge::{Broke, Gauge};
use super::stop::Stop;
use crate::check::{Finding, Judgement, Suite};
use crate::engine::{Engine, LINK, Ran};
use crate::fault::Storm;
use crate::history::{Entry, Fingerprint, HISTORY_VERSION, Header, HistoryWriter, Observer};
use crate::measure::MeterTotals;
use crate::model::{Class, OrderNo, Threshold};
use crate::reference::{Defect, Settings};
use crate::report::{FindingReport, Lens};
use crate::scenario::{Case, Expect};
use crate::sim::{Clock, Law, Span, Timestamp, VirtualClock};
use crate::target::{Embedded, ServiceModel};
use crate::workload::{self, Partition};
use crate::world::{Client, World};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is the same for all cases of a run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub target: String,
    pub defect: Option<Defect>,
    pub conditions: Conditions,
    /// the arguments that make this run, without `--case`
    pub arguments: String,
}

/// What is around the target, and how fast it is itself where it is the embedded one.
#[derive(Clone, Debug)]
pub struct Conditions {
    pub service: ServiceModel,
    pub client: Client,
    /// one way through the network
    pub link: Law,
}

impl Default for Conditions {
    fn default() -> Conditions {
        Conditions { service: ServiceModel::default(), client: Client::default(), link: LINK }
    }
}

/// What came of one partition.
pub struct Part {
    pub judgement: Judgement,
    pub totals: MeterTotals,
    /// the fingerprint of its history
    pub digest: String,
    pub ran: Ran,
    /// the threshold that ended it early
    pub broke: Option<Broke>,
    /// why the times that were measured cannot be relied on
    pub doubt: Option<String>,
    /// orders waited for ourselves, so what was slow may not have been the target
    pub bounded: Option<Bounded>,
    /// it is the whole case
    pub of_one: bool,
    /// its history was kept in a file
    pub kept: bool,
    /// findings with the story that proves them
    pub stories: Vec<FindingReport>,
}

/// What a history of this partition says first.
pub fn header(setup: &Setup, case: &Case, part: &Partition) -> Header {
    Header {
        orderstorm_history: HISTORY_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        case: case.name.clone(),
        seed: setup.seed,
        partition: part.number,
        partitions: part.of,
        target: setup.target.clone(),
        defect: setup.defect.map_or(String::new(), |defect| defect.to_string()),
        fault_rules: case.fault.rules.iter().map(|rule| rule.name.clone()).collect(),
        fault_does: case.fault.rules.iter().map(|rule| rule.action.words().into()).collect(),
        calm_ns: part.calm.0,
        horizon_ns: part.horizon.0,
        time_scale: 0.0,
        tells: None,
        replay: case.fault.replays(),
        fixture: (*part.plan.estate).clone(),
        expect: case.scenario.expect_file.clone(),
        // what holds for a whole case says nothing of a part of it
        thresholds: if part.of == 1 { case.thresholds.iter().map(Threshold::by_window).collect() } else { Vec::new() },
        command: reproduce(setup, &case.name),
    }
}

/// The command that runs one case of this run alone.
pub fn reproduce(setup: &Setup, case: &str) -> String {
    format!("orderstorm run {} --case {case}", setup.arguments)
}

/// Runs one partition on `clock`; every entry goes to `observer`.
pub fn simulate<O: Observer>(setup: &Setup, case: &Case, part: &Partition, clock: &mut dyn Clock, stop: &Stop, observer: O) -> Ran {
    simulate_under(storm(case, part), setup, case, part, clock, stop, observer)
}

/// Until when faults may act: where there are none, that is over before it begins.
pub fn storms_until(case: &Case, part: &Partition) -> Timestamp {
    if case.fault.is_calm() { Timestamp::ZERO } else { part.calm }
}

/// The faults of a case.
pub fn storm(case: &Case, part: &Partition) -> Storm {
    Storm::new(&case.fault, part.seed, part.first.0, part.calm, &part.plan.estate)
}

/// The same under a storm that was made before.
pub fn simulate_under<O: Observer>(
    storm: Storm,
    setup: &Setup,
    case: &Case,
    part: &Partition,
    clock: &mut dyn Clock,
    stop: &Stop,
    observer: O,
) -> Ran {
    let (world, opening) = World::new(&part.plan);
    let Conditions { service, client, link } = setup.conditions.clone();
    let settings = Settings { remorse_hold: case.scenario.remorse_hold, ..Settings::default() };
    let mut target = Embedded::new(part.plan.estate.clone(), settings, service, setup.defect, part.seed).expecting(part.plan.room);
    if case.fault.crashes() {
        target = target.durable();
    }
    let engine = Engine {
        world: world.with_client(client).with_faults_until(storms_until(case, part)),
        link,
        coalesce: Span::ZERO,
        opening,
        storm,
        target: &mut target,
        clock,
        arrivals: Box::new(part.orders()),
        seed: part.seed,
        calm: part.calm,
        horizon: part.horizon,
        stop: stop.flag(),
    };
    engine.run(observer)
}

/// Runs, judges and measures one partition; keeps its history in `file` if one is named.
pub fn partition(setup: &Setup, case: &Case, part: &Partition, file: Option<&Path>, stop: &Stop) -> io::Result<Part> {
    let header = header(setup, case, part);
    let mut suite = Suite::new(header.clone(), case.scenario.expect.clone());
    let mut gauge = Gauge::new(case, stop);
    let ends = gauge.stop();
    let mut clock = VirtualClock::new();
    let mut fingerprint = Fingerprint::new(&header);
    let always = (&mut suite, (&mut gauge, &mut fingerprint));
    let ran = if let Some(path) = file {
        let mut writer = HistoryWriter::create(path, &header)?;
        let ran = simulate(setup, case, part, &mut clock, &ends, (always, &mut writer));
        writer.finish()?;
        ran
    } else {
        simulate(setup, case, part, &mut clock, &ends, always)
    };
    let judgement = suite.finish(!ran.stopped);
    let stories = if judgement.findings.is_empty() { Vec::new() } else { tell(setup, case, part, &header, &judgement) };
    let (totals, broke) = gauge.finish();
    Ok(Part {
        judgement,
        totals,
        digest: fingerprint.hex(),
        ran,
        broke,
        doubt: None,
        bounded: None,
        of_one: part.of == 1,
        kept: file.is_some(),
        stories,
    })
}

/// Runs and judges a case, and keeps nothing else. `probes`: with the probe orders that every run has.
pub fn judged(setup: &Setup, case: &Case, probes: bool, stop: &Stop) -> Judgement {
    let mut part = workload::partition(case, 0);
    part.plan.probes = part.plan.probes.filter(|_| probes);
    let mut suite = Suite::new(header(setup, case, &part), case.scenario.expect.clone());
    let ran = simulate(setup, case, &part, &mut VirtualClock::new(), stop, &mut suite);
    suite.finish(!ran.stopped)
}

/// Keeps the entries of a few orders, the marks that stand in every story, and what a finding names.
struct Witnesses {
    /// so many were judged; then the run may end
    entries: u64,
    enough: Stop,
    orders: Vec<OrderNo>,
    numbers: Vec<u64>,
    kept: Vec<Entry>,
}

impl Observer for Witnesses {
    fn observe(&mut self, entry: &Entry) {
        // a mark, or a crash of the target, is in everybody's story
        let told = entry.msg.op.class() == Class::Mark || (entry.msg.order.is_some() && self.orders.contains(&entry.msg.order));
        if told || self.numbers.contains(&entry.n) {
            self.kept.push(entry.clone());
        }
        if entry.n >= self.entries {
            self.enough.set();
        }
    }
}

/// Runs a partition again from its seed to tell the story of its findings: the first run keeps nothing. It goes on to where the
/// first one ended, even if that was stopped: a finding without its proof is of no use to anybody.
fn tell(setup: &Setup, case: &Case, part: &Partition, header: &Header, judgement: &Judgement) -> Vec<FindingReport> {
    let findings = &judgement.findings;
    let enough = Stop::new();
    let mut witnesses = Witnesses {
        entries: judgement.entries,
        enough: enough.clone(),
        orders: findings.iter().filter_map(|finding| finding.order).collect(),
        numbers: findings.iter().flat_map(|finding| finding.evidence.iter().copied()).collect(),
        kept: Vec::new(),
    };
    simulate(setup, case, part, &mut VirtualClock::new(), &enough, &mut witnesses);
    let kept = witnesses.kept.partition_point(|entry| entry.n <= judgement.entries);
    stories(&Lens::new(header), findings, &witnesses.kept[..kept], &reproduce(setup, &case.name))
}

/// Findings with the entries that prove them, drawn from `entries`. The first few orders have their whole story with their first finding.
pub fn stories(lens: &Lens<'_>, findings: &[Finding], entries: &[Entry], reproduce: &str) -> Vec<FindingReport> {
    const MOST_ROWS: usize = 12;
    const MOST_STORIES: usize = 3;
    const LONGEST_STORY: usize = 250;
    let mut told: Vec<OrderNo> = Vec::new();
    let one = |finding: &Finding| {
        let order = finding.order;
        let first = order.filter(|order| told.len() < MOST_STORIES && !told.contains(order));
        told.extend(first);
        FindingReport {
            check: finding.check.clone(),
            order: order.map_or(String::new(), |order| lens.order(order)),
            what: lens.retell(&finding.what),
            expected: lens.retell(&finding.expected),
            evidence: lens.excerpt(entries, order, &finding.evidence, MOST_ROWS),
            faults: order.map_or(Vec::new(), |order| lens.faults_of(entries, order, &finding.evidence)),
            books: order.map_or(Vec::new(), |order| lens.books(entries, order)),
            story: first.map_or(Vec::new(), |_| lens.excerpt(entries, order, &finding.evidence, LONGEST_STORY)),
            reproduce: reproduce.into(),
        }
    };
    findings.iter().map(one).collect()
}

/// Does `work` for 0..count on `jobs` threads and hands the results to `take` in order, on this thread, as they come. What was not
/// begun when `stop` was set is none. Only results that came before their turn are held.
pub fn in_parallel<T: Send>(count: usize, jobs: usize, stop: &Stop, work: impl Fn(usize) -> T + Sync, mut take: impl FnMut(usize, Option<T>)) {
    let next = AtomicUsize::new(0);
    let (sender, results) = std::sync::mpsc::sync_channel::<(usize, T)>(64);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(count).max(1) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || stop.is_set() || sender.send((at, work(at))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: BTreeMap<usize, T> = BTreeMap::new();
        let mut turn = 0;
        for (at, result) in results {
            early.insert(at, result);
            while let Some(result) = early.remove(&turn) {
                take(turn, Some(result));
                turn += 1;
            }
        }
        // stopped: what is missing was never begun
        for at in turn..count {
            take(at, early.remove(&at));
        }
    });
}

/// Runs a partition twice and gives the first entry in which the two differ, if any.
pub fn first_difference(setup: &Setup, case: &Case, part: &Partition, stop: &Stop) -> Option<(u64, String, String)> {
    let mut first: Vec<Entry> = Vec::new();
    simulate(setup, case, part, &mut VirtualClock::new(), stop, &mut first);
    let mut second: Vec<Entry> = Vec::new();
    simulate(setup, case, part, &mut VirtualClock::new(), stop, &mut second);
    let show = |entry: Option<&Entry>| entry.map_or("(nothing: the record ends before)".into(), |entry| format!("{entry:?}"));
    let at = (0..first.len().max(second.len())).find(|at| first.get(*at) != second.get(*at))?;
    Some((at as u64 + 1, show(first.get(at)), show(second.get(at))))
}

/// Reads a header's expectations again, for a history judged alone.
pub fn expectations(header: &Header) -> Result<Expect, String> {
    Expect::parse(&header.expect, &header.fixture).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
        format!("the history's expectations cannot be read: {}", lines.join("; "))
    })
}
