//! What was demanded of a run by its measures, and what came of it.

use super::grid::{seconds, thousands};
use super::{CaseReport, RunReport, ThresholdReport};
use crate::check::Verdict;

impl ThresholdReport {
    /// The value as it is read, in the unit of its figure.
    pub fn value_said(&self) -> String {
        let Some(value) = self.value else { return "-".into() };
        let digits = |value: f64| format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_string();
        match self.unit.as_str() {
            "s" => seconds(value),
            "share" => format!("{} %", format!("{:.4}", value * 100.0).trim_end_matches('0').trim_end_matches('.')),
            "per_s" => format!("{}/s", digits(value)),
            "count" => thousands(value as u64),
            _ => digits(value),
        }
    }

    /// `latency.ack.p99 is 612 ms, and the threshold is < 250ms: ended the case after 2m 5s`
    pub fn sentence(&self) -> String {
        let phase = if self.phase.is_empty() { String::new() } else { format!(" of phase {}", self.phase) };
        let why = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        match self.value {
            Some(_) => format!("{}{phase} is {}, and the threshold is {}{why}", self.metric, self.value_said(), self.limit_said),
            None => format!("threshold {} could not be judged{why}", self.threshold),
        }
    }
}

/// One threshold over all cases that had it.
pub(super) struct Row<'a> {
    pub threshold: &'a str,
    pub verdict: Verdict,
    /// of the worst case
    pub value: String,
    pub limit: &'a str,
    pub reason: &'a str,
    pub case: &'a CaseReport,
    /// how many cases it is about, and how many have this verdict
    pub cases: usize,
    pub alike: usize,
}

/// Each threshold with its worst case, in the order in which they were given.
pub(super) fn rows(report: &RunReport) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for case in &report.cases {
        for one in &case.thresholds {
            let new = || Row {
                threshold: &one.threshold,
                verdict: one.verdict,
                value: one.value_said(),
                limit: &one.limit_said,
                reason: &one.reason,
                case,
                cases: 1,
                alike: 1,
            };
            match rows.iter_mut().find(|row| row.threshold == one.threshold) {
                None => rows.push(new()),
                Some(row) if row.verdict.merge(one.verdict) != row.verdict => *row = Row { cases: row.cases + 1, ..new() },
                Some(row) => {
                    row.cases += 1;
                    row.alike += usize::from(row.verdict == one.verdict);
                }
            }
        }
    }
    rows
}

impl Row<'_> {
    /// `3 of 40 cases`, where there is more than one.
    pub fn how_many(&self) -> String {
        if self.cases == 1 { String::new() } else { format!("{} of {} cases", thousands(self.alike as u64), thousands(self.cases as u64)) }
    }
    pub fn is_good(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}
