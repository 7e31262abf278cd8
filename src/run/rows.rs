//! What comes of the cases of a run: a row for each, or for the seeds of one cell that came out alike.

use super::bounds::Bounded;
use super::matrix::{Chosen, history_name};
use super::{execute, gauge};
use crate::check::{CheckResult, PublishLag, SellOuts, Verdict};
use crate::cli::Record;
use crate::history::Fingerprints;
use crate::measure::{Measures, MeterTotals};
use crate::model::Op;
use crate::report::{CaseReport, FindingReport, LagReport, SellOutReport};
use crate::scenario::Case;
use crate::world::Tried;
use std::collections::BTreeMap;

/// A part of a case shows that the case fails. What a whole case must hold is seen here only where the part is all of it.
pub(super) fn fails(case: &Case, part: &execute::Part) -> bool {
    let end = gauge::End { cut: part.ran.stopped, broke: part.broke.as_ref(), doubt: part.doubt.as_deref(), bounded: part.bounded.as_ref() };
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
                row.partitions += case.partitions;
                if let Some(lag) = LagReport::over([row.publish_lag, case.publish_lag]) {
                    row.publish_lag = lag;
                }
                row.sell_outs = SellOutReport::over([row.sell_outs, case.sell_outs]);
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
                row.digest = Fingerprints::of([row.digest.as_str(), &case.digest]);
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

/// Findings of one case that are told; where each of thousands of regions fails, the rest is counted.
const FINDINGS_TOLD: usize = 200;

/// What the parts of one case come to, added up as they come: a large case has many, and nothing is kept of one but its sum.
#[derive(Default)]
pub(super) struct Parts {
    /// none: there was no part
    verdict: Option<Verdict>,
    entries: u64,
    partitions: u32,
    lag: Option<PublishLag>,
    sell_outs: SellOuts,
    checks: Vec<CheckResult>,
    findings: Vec<FindingReport>,
    findings_total: u64,
    ended: f64,
    fired: BTreeMap<String, u64>,
    tried: Tried,
    outcomes: BTreeMap<String, u64>,
    /// the first reason, doubt and early end that a part gave
    said: String,
    doubt: Option<String>,
    bounded: Option<Bounded>,
    broke: Option<gauge::Broke>,
    stopped: bool,
    histories: Vec<String>,
    digests: Fingerprints,
    measured: MeterTotals,
}

impl Parts {
    pub fn is_empty(&self) -> bool {
        self.verdict.is_none()
    }

    /// Counts part `number` of `of` in; they come in their order.
    pub fn add(&mut self, case: &Case, number: u32, of: u32, part: execute::Part) {
        let verdict = part.judgement.verdict;
        self.verdict = Some(self.verdict.map_or(verdict, |worst| worst.merge(verdict)));
        self.entries += part.judgement.entries;
        self.partitions += 1;
        self.lag = Some(self.lag.map_or(part.judgement.lag, |lag| lag.merged(part.judgement.lag)));
        self.sell_outs = std::mem::take(&mut self.sell_outs).merged(part.judgement.sell_outs);
        self.findings_total += part.judgement.findings_total;
        self.ended = self.ended.max(part.ran.ended.0 as f64 / 1e9);
        if self.findings.len() < FINDINGS_TOLD {
            self.findings.extend(part.stories);
        }
        for (at, rule) in case.fault.rules.iter().enumerate() {
            *self.fired.entry(rule.name.clone()).or_default() += part.ran.fired.get(at).copied().unwrap_or(0);
        }
        self.tried = self.tried.or(part.ran.tried);
        for (op, times) in &part.judgement.outcomes {
            *self.outcomes.entry(op.to_string()).or_default() += times;
        }
        for result in part.judgement.results {
            match self.checks.iter_mut().find(|check| check.name == result.name) {
                None => self.checks.push(result),
                Some(check) => check.add(&result),
            }
        }
        if self.said.is_empty() {
            self.said = part.judgement.reason;
        }
        self.doubt = self.doubt.take().or(part.doubt);
        self.bounded = self.bounded.take().or(part.bounded);
        self.broke = self.broke.take().or(part.broke);
        self.stopped |= part.ran.stopped;
        if part.kept {
            self.histories.push(format!("histories/{}", history_name(case, number, of)));
        }
        self.digests.add(&part.digest);
        self.measured.merge_partition(&part.totals);
    }

    /// What was measured, of all of them.
    pub fn measured(&self) -> &MeterTotals {
        &self.measured
    }
}

/// What the scenario has shoppers and partners do that none of them did, if there is something. Of several kinds of orders, a small case may have none.
fn never_tried(case: &Case, tried: Tried) -> Option<String> {
    let [kind] = case.scenario.kinds.as_slice() else { return None };
    let is_idle = |bits: u64, at: usize| at < 64 && bits >> at & 1 == 0;
    let step = kind.steps.iter().enumerate().find(|(at, step)| step.action.is_of_order() && is_idle(tried.steps, *at));
    if let Some((at, step)) = step {
        let (does, on) = (word_of(&step.action), step.on.map_or("order.placed", Op::name));
        return Some(format!("step {} of the scenario (`{does}` on `{on}`) never came to be", at + 1));
    }
    let partner = kind.partner.iter().enumerate().find(|(at, _)| is_idle(tried.partners, *at));
    partner.map(|(at, behaves)| {
        format!("partner {} of the scenario (`{}` at `{}`) was never asked in that way", at + 1, word_of(&behaves.answer), word_of(&behaves.at))
    })
}

/// As a file writes it.
fn word_of(word: &impl serde::Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The row of one case from its parts. `short`: some were never begun. `record`: which of their histories were to be kept.
pub(super) fn case_report(setup: &execute::Setup, chosen: &Chosen, case: &Case, parts: Parts, short: bool, record: Record) -> CaseReport {
    let Parts { checks, fired, broke, .. } = parts;
    let mut verdict = parts.verdict.unwrap_or(Verdict::NotApplicable);
    let mut reason = case.not_applicable.clone().unwrap_or_default();
    let stopped = short || parts.stopped;
    let mut thresholds = Vec::new();
    if case.not_applicable.is_none() {
        let end = gauge::End { cut: stopped, broke: broke.as_ref(), doubt: parts.doubt.as_deref(), bounded: parts.bounded.as_ref() };
        thresholds = gauge::judge(&case.thresholds, &parts.measured, end);
        let (demanded, why) = gauge::verdict(&thresholds);
        let found = verdict == Verdict::Fail;
        if stopped {
            verdict = verdict.merge(Verdict::Unknown);
            reason = "the run was stopped before this case came to rest".into();
        } else if !case.fault.rules.is_empty() && fired.values().all(|n| *n == 0) {
            verdict = verdict.merge(Verdict::NotExercised);
            reason = format!("no rule of fault set `{}` ever acted", case.fault.name);
        } else if let Some(idle) = never_tried(case, parts.tried).filter(|_| verdict == Verdict::Pass) {
            verdict = Verdict::NotExercised;
            reason = idle;
        } else if verdict == Verdict::Unknown {
            let which: Vec<&str> = checks.iter().filter(|check| check.verdict == Verdict::Unknown).map(|check| check.name.as_str()).collect();
            reason = if parts.said.is_empty() { format!("could not be decided: {}", which.join(", ")) } else { parts.said };
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
    let reproduce = execute::reproduce(setup, &case.name);
    if record == Record::Failures && verdict == Verdict::Fail && parts.histories.is_empty() {
        // none of them is kept for a figure that only all of them have: of a large case they are many, and would have to run again
        reason += &match parts.partitions {
            1 => format!("; no history was kept: `{reproduce} --record all` keeps it"),
            of => format!("; no history was kept, for none of its {of} parts fails alone: `{reproduce} --record all` keeps that of each"),
        };
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
        findings: parts.findings,
        findings_total: parts.findings_total,
        publish_lag: parts.lag.map(LagReport::of).unwrap_or_default(),
        sell_outs: SellOutReport::of(&parts.sell_outs),
        outcomes: parts.outcomes,
        faults_fired: fired,
        entries: parts.entries,
        virtual_s: parts.ended,
        histories: parts.histories,
        partitions: parts.partitions,
        digest: parts.digests.hex(),
        // courses over time are for the whole run: for every case they would be most of the summary
        measures: Measures { series: Vec::new(), course: Vec::new(), ..parts.measured.measures() },
        reproduce,
    }
}
