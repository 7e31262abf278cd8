//! What comes of the cases of a run: a row for each, or for the seeds of one cell that came out alike.

use super::matrix::{Chosen, history_name};
use super::{execute, gauge};
use crate::check::{CheckResult, PublishLag, Verdict};
use crate::history::combined_fingerprint;
use crate::measure::{Measures, MeterTotals};
use crate::report::{CaseReport, LagReport};
use crate::scenario::Case;
use std::collections::BTreeMap;

/// A part of a case shows that the case fails. What a whole case must hold is seen here only where the part is all of it.
pub(super) fn fails(case: &Case, part: &execute::Part) -> bool {
    let end = gauge::End { cut: part.ran.stopped, broke: part.broke.as_ref(), doubt: part.doubt.as_deref() };
    let missed = || part.of_one && gauge::judge(&case.thresholds, &part.totals, end).iter().any(|one| one.verdict == Verdict::Fail);
    part.judgement.verdict == Verdict::Fail || missed()
}

/// Case reports, with the seeds of one cell that came out alike and well in one row: what failed or is undecided keeps its own.
#[derive(Default)]
pub(super) struct Rows {
    pub cases: Vec<CaseReport>,
    /// where the good seeds of a cell are
    good: BTreeMap<String, usize>,
}

impl Rows {
    pub fn add(&mut self, case: CaseReport) {
        let folds = matches!(case.verdict, Verdict::Pass | Verdict::NotApplicable);
        let cell = case.name.split(".seed").next().unwrap_or(&case.name).to_string();
        match self.good.get(&cell) {
            Some(at) if folds && self.cases[*at].verdict == case.verdict => {
                let row = &mut self.cases[*at];
                row.seeds += 1;
                row.entries += case.entries;
                if let Some(lag) = LagReport::over([row.publish_lag, case.publish_lag]) {
                    row.publish_lag = lag;
                }
                row.histories.extend(case.histories);
                for (rule, fired) in case.faults_fired {
                    *row.faults_fired.entry(rule).or_default() += fired;
                }
                for (mine, more) in row.checks.iter_mut().zip(&case.checks) {
                    mine.add(more);
                }
                for (outcome, times) in case.outcomes {
                    *row.outcomes.entry(outcome).or_default() += times;
                }
                row.digest = combined_fingerprint([row.digest.as_str(), &case.digest]);
            }
            _ => {
                if folds {
                    self.good.insert(cell, self.cases.len());
                }
                self.cases.push(case);
            }
        }
    }
}

/// The row of one case from its parts.
pub(super) fn case_report(
    setup: &execute::Setup,
    chosen: &Chosen,
    case: &Case,
    parts: &[(u32, execute::Part)],
    short: bool,
    measured: &MeterTotals,
) -> CaseReport {
    let of = chosen.partitions(case);
    let mut checks: Vec<CheckResult> = Vec::new();
    let mut findings = Vec::new();
    let mut lag: Option<PublishLag> = None;
    let (mut fired, mut outcomes): (BTreeMap<String, u64>, BTreeMap<String, u64>) = Default::default();
    let mut verdict = Verdict::NotApplicable;
    let (mut entries, mut findings_total, mut ended) = (0, 0, 0.0f64);
    for (_, part) in parts {
        verdict = verdict.merge(part.judgement.verdict);
        entries += part.judgement.entries;
        lag = Some(lag.map_or(part.judgement.lag, |lag| lag.merged(part.judgement.lag)));
        findings_total += part.judgement.findings_total;
        ended = ended.max(part.ran.ended.0 as f64 / 1e9);
        findings.extend(part.stories.iter().cloned());
        for (at, rule) in case.fault.rules.iter().enumerate() {
            *fired.entry(rule.name.clone()).or_default() += part.ran.fired.get(at).copied().unwrap_or(0);
        }
        for (op, times) in &part.judgement.outcomes {
            *outcomes.entry(op.to_string()).or_default() += times;
        }
        for result in &part.judgement.results {
            match checks.iter_mut().find(|check| check.name == result.name) {
                None => checks.push(result.clone()),
                Some(check) => check.add(result),
            }
        }
    }
    let mut reason = case.not_applicable.clone().unwrap_or_default();
    let broke = parts.iter().find_map(|(_, part)| part.broke.as_ref());
    let stopped = short || parts.iter().any(|(_, part)| part.ran.stopped);
    let mut thresholds = Vec::new();
    if case.not_applicable.is_none() {
        let doubt = parts.iter().find_map(|(_, part)| part.doubt.as_deref());
        thresholds = gauge::judge(&case.thresholds, measured, gauge::End { cut: stopped, broke, doubt });
        let (demanded, why) = gauge::verdict(&thresholds);
        let found = verdict == Verdict::Fail;
        if stopped {
            verdict = verdict.merge(Verdict::Unknown);
            reason = "the run was stopped before this case came to rest".into();
        } else if !case.fault.rules.is_empty() && fired.values().all(|n| *n == 0) {
            verdict = verdict.merge(Verdict::NotExercised);
            reason = format!("no rule of fault set `{}` ever acted", case.fault.name);
        } else if verdict == Verdict::Unknown {
            let which: Vec<&str> = checks.iter().filter(|check| check.verdict == Verdict::Unknown).map(|check| check.name.as_str()).collect();
            let said = parts.iter().map(|(_, part)| part.judgement.reason.as_str()).find(|said| !said.is_empty());
            reason = said.map_or_else(|| format!("could not be decided: {}", which.join(", ")), str::to_owned);
        } else if verdict == Verdict::NotExercised {
            reason = "nothing was judged".into();
        }
        if broke.is_some()
            || demanded == Verdict::Fail && !found
            || demanded == Verdict::Unknown && !matches!(verdict, Verdict::Fail | Verdict::Unknown)
        {
            reason = why;
        }
        verdict = verdict.merge(demanded);
    }
    CaseReport {
        name: case.name.clone(),
        scenario: case.scenario.name.clone(),
        variant: case.scenario.variant.clone(),
        // of a sweep each case has a set of its own; the column is what they have in common
        fault: if chosen.swept { case.fault.title.clone() } else { case.fault.name.clone() },
        channel: case.channel.name().into(),
        orders: case.orders,
        seeds: 1,
        seed: case.seed.0,
        verdict,
        reason,
        checks,
        thresholds,
        findings,
        findings_total,
        publish_lag: lag.map(LagReport::of).unwrap_or_default(),
        outcomes,
        faults_fired: fired,
        entries,
        virtual_s: ended,
        histories: parts.iter().filter(|(_, part)| part.kept).map(|(n, _)| format!("histories/{}", history_name(case, *n, of))).collect(),
        digest: combined_fingerprint(parts.iter().map(|(_, part)| part.digest.as_str())),
        // courses over time are for the whole run: for every case they would be most of the summary
        measures: Measures { series: Vec::new(), course: Vec::new(), ..measured.measures() },
        reproduce: execute::reproduce(setup, &case.name),
    }
}
