//! `report.html`: one file that needs nothing else, no network and no script.

use super::exercise::outcomes_over;
use super::grid::{Counts, Grid, kpi_rows, meaning, pace, reasons, seconds, shared, stages_in_order, thousands, times};
use super::plots::{Ground, plots};
use super::thresholds::{Row, rows};
use super::{BookRow, CaseReport, LagReport, RunReport, SellOutReport, TimelineRow};
use crate::check::{CheckResult, Verdict, invariant};
use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

const TEMPLATE: &str = include_str!("report.html.j2");
/// Findings drawn; more are counted and stand in `summary.json`. A page that no browser opens helps nobody.
const MOST_FINDINGS: usize = 120;
const MOST_ROWS: usize = 60;

#[derive(Serialize)]
struct Tally {
    class: &'static str,
    letter: &'static str,
    name: &'static str,
    meaning: &'static str,
    count: String,
    share: f64,
    any: bool,
}

#[derive(Serialize)]
struct CellView {
    class: &'static str,
    letter: &'static str,
    title: String,
    href: String,
}

#[derive(Serialize)]
struct RowView {
    scenario: String,
    variant: String,
    /// first row of its scenario
    first: bool,
    cells: Vec<Option<CellView>>,
}

#[derive(Serialize)]
struct FindingView<'a> {
    anchor: String,
    case: &'a str,
    case_href: String,
    check: &'a str,
    /// `order O17`
    order: String,
    what: &'a str,
    expected: &'a str,
    /// what the check claims, in a sentence, and in full
    rule: &'static str,
    definition: &'static str,
    faults: String,
    books: &'a [BookRow],
    rows: Vec<TimelineView<'a>>,
    more_rows: usize,
    /// the whole story of the order
    story: Vec<TimelineView<'a>>,
    reproduce: &'a str,
}

#[derive(Serialize)]
struct TimelineView<'a> {
    n: String,
    at: &'a str,
    side: &'a str,
    from: &'static str,
    text: &'a str,
    marked: bool,
}

#[derive(Serialize)]
struct CaseView<'a> {
    anchor: String,
    name: &'a str,
    /// the other seeds that the row stands for
    more_seeds: String,
    class: &'static str,
    letter: &'static str,
    verdict: &'static str,
    reason: &'a str,
    orders: String,
    entries: String,
    virtual_time: String,
    faults: String,
    checks: String,
    /// checks that are not a pass, in words
    troubles: Vec<String>,
    /// checks that excused something
    excused: String,
    findings_href: String,
    findings: String,
    digest: String,
    digest_short: String,
    histories: &'a [String],
    reproduce: &'a str,
}

#[derive(Serialize)]
struct GroupView<'a> {
    scenario: &'a str,
    tally: String,
    open: bool,
    cases: Vec<CaseView<'a>>,
}

#[derive(Serialize)]
struct CheckView<'a> {
    check: &'a str,
    findings: String,
    cases: String,
    faults: String,
    /// the first finding of it that is drawn
    href: String,
}

#[derive(Serialize)]
struct ThresholdView<'a> {
    class: &'static str,
    letter: &'static str,
    verdict: &'static str,
    threshold: &'a str,
    value: String,
    limit: &'a str,
    reason: &'a str,
    cases: String,
    case: &'a str,
    case_href: String,
    /// empty where it holds
    reproduce: &'a str,
}

#[derive(Serialize)]
struct TotalView<'a> {
    name: &'a str,
    class: &'static str,
    letter: &'static str,
    summary: &'static str,
    judged: String,
    unknown: String,
    excused: String,
    failed: String,
}

#[derive(Serialize)]
struct LatencyView {
    stage: String,
    count: String,
    mean: String,
    quantiles: Vec<String>,
    max: String,
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::NotExercised => "idle",
        Verdict::Unknown => "unknown",
        Verdict::Fail => "fail",
        Verdict::NotApplicable => "na",
    }
}

fn letter(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "P",
        Verdict::NotExercised => "N",
        Verdict::Unknown => "?",
        Verdict::Fail => "F",
        Verdict::NotApplicable => "\u{2013}",
    }
}

/// The page.
pub fn to_html(report: &RunReport) -> io::Result<String> {
    let counts = Counts::of(&report.cases);
    let total = counts.cases();
    let tallies: Vec<Tally> = counts
        .each()
        .into_iter()
        .map(|(verdict, count)| Tally {
            class: class(verdict),
            letter: letter(verdict),
            name: verdict.name(),
            meaning: meaning(verdict),
            count: thousands(count as u64),
            share: if total == 0 { 0.0 } else { 100.0 * count as f64 / total as f64 },
            any: count > 0,
        })
        .collect();
    let (findings, anchors) = findings(report);
    let all_findings: u64 = report.cases.iter().map(|case| case.findings_total.max(case.findings.len() as u64)).sum();
    let orders: u64 = report.cases.iter().map(CaseReport::orders_run).sum();
    let entries: u64 = report.cases.iter().map(|case| case.entries).sum();
    let grid = Grid::of(&report.cases);
    let kpis: Vec<_> = kpi_rows(&report.totals.kpis);
    let drawn: Vec<_> = plots(&report.totals, Ground::Page).into_iter().map(|plot| (plot.title, plot.svg, plot.caption)).collect();
    let policies =
        if report.manifest.policies.is_null() { String::new() } else { serde_json::to_string_pretty(&report.manifest.policies).unwrap_or_default() };
    let source = report.manifest.source.as_ref().map(|source| serde_json::to_string_pretty(source).unwrap_or_default());

    let mut env = Environment::new();
    env.add_template("report.html.j2", TEMPLATE).map_err(io::Error::other)?;
    let template = env.get_template("report.html.j2").map_err(io::Error::other)?;
    template
        .render(context! {
            verdict => report.verdict.name(),
            verdict_class => class(report.verdict),
            verdict_meaning => meaning(report.verdict),
            partial => report.partial,
            doubts => &report.doubts,
            taken => report.rows(),
            case_count => thousands(total as u64),
            shared => shared(&report.cases),
            order_count => thousands(orders),
            publish_lag => LagReport::over(report.cases.iter().map(|case| case.publish_lag)).map(|lag| lag.sentence()),
            sell_outs => SellOutReport::over(report.cases.iter().map(|case| case.sell_outs)).sentence(orders),
            entry_count => thousands(entries),
            wall => seconds(report.wall_s),
            pace => pace(report),
            tallies => Serde(&tallies),
            faults => Serde(&grid.faults),
            rows => Serde(&matrix(&grid, report, &anchors)),
            findings => Serde(&findings),
            by_check => Serde(&by_check(report, &findings)),
            findings_total => thousands(all_findings),
            findings_hidden => thousands(all_findings.saturating_sub(findings.len() as u64)),
            any_hidden => all_findings > findings.len() as u64,
            reasons => Serde(&reasons(&report.cases)),
            groups => Serde(&groups(report, &anchors)),
            thresholds => Serde(&thresholds(report)),
            check_totals => Serde(&check_totals(report)),
            only_thanks => thousands(report.cases.iter().filter(|case| case.verdict == Verdict::Pass && case.excused() > 0).count() as u64),
            never => Serde(&report.never_exercised),
            latency => Serde(&latency(report)),
            kpis => Serde(&kpis),
            throughput => format!("{:.3}", report.totals.throughput_per_s),
            orders_placed => thousands(report.totals.orders_placed),
            outcomes => outcomes_over(&report.cases),
            plots => Serde(&drawn),
            manifest => Serde(&report.manifest),
            policies => policies,
            source => source,
            digest => super::json::run_digest(report),
        })
        .map_err(io::Error::other)
        // control characters are not legal in a page, whoever put them into a name
        .map(|page| page.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}"))
}

/// What failed, by check: how often, in how many cases, under which faults.
fn by_check<'a>(report: &'a RunReport, drawn: &[FindingView<'_>]) -> Vec<CheckView<'a>> {
    let mut by_name: BTreeMap<&str, (u64, usize, BTreeMap<&str, usize>)> = BTreeMap::new();
    for case in &report.cases {
        let mut names: Vec<&str> = case.findings.iter().map(|finding| finding.check.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let kept = case.findings.iter().filter(|finding| finding.check == name).count() as u64;
            let counted = case.checks.iter().find(|check| check.name == name).map_or(0, |check| check.failures);
            let (findings, cases, faults) = by_name.entry(name).or_default();
            *findings += kept.max(counted);
            *cases += 1;
            *faults.entry(case.fault.as_str()).or_default() += 1;
        }
    }
    let view = |(check, (findings, cases, faults)): (&'a str, (u64, usize, BTreeMap<&str, usize>))| {
        let mut faults: Vec<(&str, usize)> = faults.into_iter().collect();
        faults.sort_by_key(|(name, cases)| (std::cmp::Reverse(*cases), *name));
        let faults: Vec<String> = faults
            .iter()
            .take(4)
            .map(|(name, cases)| if *cases == 1 { format!("{name} (1 case)") } else { format!("{name} ({cases} cases)") })
            .collect();
        let href = drawn.iter().find(|view| view.check == check).map(|view| format!("#{}", view.anchor)).unwrap_or_default();
        (cases, CheckView { check, findings: thousands(findings), cases: thousands(cases as u64), faults: faults.join(", "), href })
    };
    let mut views: Vec<(usize, CheckView<'a>)> = by_name.into_iter().map(view).collect();
    views.sort_by_key(|(cases, view)| (std::cmp::Reverse(*cases), view.check));
    views.into_iter().map(|(_, view)| view).collect()
}

/// Finding views, the first of every case before the second of any, and the anchor of each case's first.
fn findings(report: &RunReport) -> (Vec<FindingView<'_>>, BTreeMap<usize, String>) {
    let most = report.cases.iter().map(|case| case.findings.len()).max().unwrap_or(0);
    let rounds =
        (0..most).flat_map(|round| report.cases.iter().enumerate().filter_map(move |(i, case)| case.findings.get(round).map(|f| (i, case, f))));
    let mut anchors = BTreeMap::new();
    let mut views: Vec<(usize, FindingView<'_>)> = Vec::new();
    for (number, (index, case, finding)) in rounds.take(MOST_FINDINGS).enumerate() {
        let anchor = format!("finding-{}", number + 1);
        anchors.entry(index).or_insert_with(|| anchor.clone());
        let view = FindingView {
            anchor,
            case: &case.name,
            case_href: format!("#case-{}", index + 1),
            check: &finding.check,
            order: finding.whose(),
            what: &finding.what,
            expected: &finding.expected,
            rule: invariant(&finding.check).map_or("", |about| about.summary),
            definition: invariant(&finding.check).map_or("", |about| about.definition),
            faults: finding.faults.join("; "),
            books: &finding.books,
            rows: story(&finding.evidence[..finding.evidence.len().min(MOST_ROWS)]),
            story: story(&finding.story),
            more_rows: finding.evidence.len().saturating_sub(MOST_ROWS),
            reproduce: &finding.reproduce,
        };
        views.push((index, view));
    }
    // read by case, though chosen by turns
    views.sort_by_key(|(index, _)| *index);
    (views.into_iter().map(|(_, view)| view).collect(), anchors)
}

fn story(rows: &[TimelineRow]) -> Vec<TimelineView<'_>> {
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let from = match row.side.as_str() {
            "sent" => "to target",
            "call" => "to partner",
            _ => "",
        };
        let n = if row.n == 0 { String::new() } else { row.n.to_string() };
        views.push(TimelineView { n, at: &row.at, side: &row.side, from, text: &row.text, marked: row.marked });
    }
    views
}

fn matrix(grid: &Grid, report: &RunReport, anchors: &BTreeMap<usize, String>) -> Vec<RowView> {
    let mut before = "";
    let mut rows = Vec::with_capacity(grid.rows.len());
    for row in &grid.rows {
        let cells = row.cells.iter().map(|cell| {
            let verdict = cell.verdict?;
            let worst = cell.cases.iter().copied().find(|&i| report.cases[i].verdict == verdict)?;
            let names = cell.cases.iter().map(|&i| {
                let case = &report.cases[i];
                format!("{}{}: {}", case.name, more_seeds(case), case.verdict.name())
            });
            let href = anchors.get(&worst).map_or_else(|| format!("#case-{}", worst + 1), |anchor| format!("#{anchor}"));
            Some(CellView { class: class(verdict), letter: letter(verdict), title: names.collect::<Vec<_>>().join("\n"), href })
        });
        rows.push(RowView { scenario: row.scenario.clone(), variant: row.variant.clone(), first: row.scenario != before, cells: cells.collect() });
        before = &row.scenario;
    }
    rows
}

fn groups<'a>(report: &'a RunReport, anchors: &BTreeMap<usize, String>) -> Vec<GroupView<'a>> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, case) in report.cases.iter().enumerate() {
        let place = *places.entry(&case.scenario).or_insert_with(|| {
            groups.push((&case.scenario, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(index);
    }
    let view = |(scenario, indices): (&'a str, Vec<usize>)| {
        let counts = Counts::of(indices.iter().map(|&i| &report.cases[i]));
        let tally: Vec<String> =
            counts.each().into_iter().filter(|(_, count)| *count > 0).map(|(verdict, count)| format!("{count} {}", verdict.name())).collect();
        let cases: Vec<CaseView<'a>> = indices.iter().map(|&i| case_view(i, &report.cases[i], anchors.get(&i))).collect();
        GroupView {
            scenario,
            tally: tally.join(", "),
            open: indices.iter().any(|&i| matches!(report.cases[i].verdict, Verdict::Fail | Verdict::Unknown)),
            cases,
        }
    };
    groups.into_iter().map(view).collect()
}

/// The seeds that share the row of a case, but for its own.
fn more_seeds(case: &CaseReport) -> String {
    match case.seeds {
        0 | 1 => String::new(),
        2 => " and 1 more seed".into(),
        seeds => format!(" and {} more seeds", seeds - 1),
    }
}

fn case_view<'a>(index: usize, case: &'a CaseReport, anchor: Option<&String>) -> CaseView<'a> {
    let count = |verdict: Verdict| case.checks.iter().filter(|check| check.verdict == verdict).count();
    let parts = [(Verdict::Pass, "passed"), (Verdict::Fail, "failed"), (Verdict::Unknown, "unknown"), (Verdict::NotExercised, "not exercised")];
    let checks: Vec<String> =
        parts.into_iter().filter(|(verdict, _)| count(*verdict) > 0).map(|(verdict, word)| format!("{} {word}", count(verdict))).collect();
    let troubles = case.checks.iter().filter_map(|check| match check.verdict {
        // one thing that is judged may fail in several ways
        Verdict::Fail => Some(format!("{} failed {}, {} judged", check.name, times(check.failures), thousands(check.activations))),
        Verdict::Unknown => Some(format!("{}: {} undecided", check.name, thousands(check.unknowns))),
        _ => None,
    });
    let excused: Vec<String> =
        case.checks.iter().filter(|check| check.excused > 0).map(|check| format!("{} {}", check.name, thousands(check.excused))).collect();
    let faults: Vec<String> = case.faults_fired.iter().map(|(rule, times)| format!("{rule} {}", thousands(*times))).collect();
    CaseView {
        anchor: format!("case-{}", index + 1),
        name: &case.name,
        more_seeds: more_seeds(case),
        class: class(case.verdict),
        letter: letter(case.verdict),
        verdict: case.verdict.name(),
        reason: &case.reason,
        orders: thousands(case.orders.into()),
        entries: thousands(case.entries),
        virtual_time: if case.entries == 0 { String::new() } else { seconds(case.virtual_s) },
        faults: faults.join(", "),
        checks: checks.join(", "),
        troubles: troubles.collect(),
        excused: excused.join(", "),
        findings_href: anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default(),
        findings: thousands(case.findings_total.max(case.findings.len() as u64)),
        digest: case.digest.clone(),
        digest_short: case.digest.chars().take(12).collect(),
        histories: &case.histories,
        reproduce: &case.reproduce,
    }
}

fn thresholds(report: &RunReport) -> Vec<ThresholdView<'_>> {
    fn view<'a>(report: &'a RunReport, row: Row<'a>) -> ThresholdView<'a> {
        ThresholdView {
            class: class(row.verdict),
            letter: letter(row.verdict),
            verdict: row.verdict.name(),
            cases: row.how_many(),
            reproduce: if row.is_good() { "" } else { &row.case.reproduce },
            threshold: row.threshold,
            limit: row.limit,
            reason: row.reason,
            case_href: report.cases.iter().position(|case| case.name == row.case.name).map_or(String::new(), |at| format!("#case-{}", at + 1)),
            case: &row.case.name,
            value: row.value,
        }
    }
    rows(report).into_iter().map(|row| view(report, row)).collect()
}

fn check_totals(report: &RunReport) -> Vec<TotalView<'_>> {
    fn view(check: &CheckResult) -> TotalView<'_> {
        TotalView {
            name: &check.name,
            class: class(check.verdict),
            letter: letter(check.verdict),
            summary: invariant(&check.name).map_or("", |about| about.summary),
            judged: thousands(check.activations),
            unknown: thousands(check.unknowns),
            excused: thousands(check.excused),
            failed: thousands(check.failures),
        }
    }
    report.checks.iter().map(view).collect()
}

fn latency(report: &RunReport) -> Vec<LatencyView> {
    let show = |value: Option<f64>| value.map_or("\u{2013}".to_owned(), seconds);
    let row = |(stage, q): (&str, &crate::measure::Quantiles)| LatencyView {
        stage: stage.replace('_', " "),
        count: thousands(q.count),
        mean: seconds(q.mean_s),
        quantiles: [q.p50_s, q.p90_s, q.p95_s, q.p99_s, q.p999_s].map(show).into(),
        max: seconds(q.max_s),
    };
    stages_in_order(&report.totals.latency).into_iter().map(row).collect()
}
