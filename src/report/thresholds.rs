//! What was demanded of a run by its measures, and what came of it.

use super::grid::{seconds, thousands};
use super::{CaseReport, RunReport, ThresholdReport};
use crate::check::Verdict;
use crate::model::{Relation, Threshold};

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

    /// How far its value lies on the wrong side of the limit, below zero on the right side; none where there is nothing to compare.
    fn wrong_by(&self) -> Option<f64> {
        let over = self.value? - self.limit;
        Some(match Threshold::parse(&self.threshold).ok()?.relation {
            Relation::Less | Relation::AtMost => over,
            Relation::Greater | Relation::AtLeast => -over,
            Relation::Equal => over.abs(),
            Relation::Differs => -over.abs(),
        })
    }
}

/// One threshold over all cases that had it.
pub(super) struct Row<'a> {
    pub threshold: &'a str,
    pub verdict: Verdict,
    /// of the worst case: of those with the worst verdict the one furthest on the wrong side
    pub value: String,
    pub limit: &'a str,
    pub reason: &'a str,
    pub case: &'a CaseReport,
    /// how many cases it is about, and how many have this verdict
    pub cases: usize,
    pub alike: usize,
    wrong_by: Option<f64>,
}

/// Each threshold with its worst case, in the order in which they were given.
pub(super) fn rows(report: &RunReport) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for case in &report.cases {
        // what holds in one seed of a row holds in all of them
        let seeds = case.seeds as usize;
        for one in &case.thresholds {
            let new = || Row {
                threshold: &one.threshold,
                verdict: one.verdict,
                value: one.value_said(),
                limit: &one.limit_said,
                reason: &one.reason,
                case,
                cases: seeds,
                alike: seeds,
                wrong_by: one.wrong_by(),
            };
            match rows.iter_mut().find(|row| row.threshold == one.threshold) {
                None => rows.push(new()),
                Some(row) if row.verdict.merge(one.verdict) != row.verdict => *row = Row { cases: row.cases + seeds, ..new() },
                Some(row) => {
                    row.cases += seeds;
                    if row.verdict == one.verdict {
                        row.alike += seeds;
                        // a case that has a value says more than one without
                        if one.wrong_by() > row.wrong_by {
                            *row = Row { cases: row.cases, alike: row.alike, ..new() };
                        }
                    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// The row of a threshold over one case for each of these verdicts and values.
    fn row(threshold: &str, limit: f64, of: &[(Verdict, Option<f64>)]) -> (Verdict, String, String, String) {
        let mut report = sample::run();
        report.cases.truncate(of.len());
        for (case, (verdict, value)) in report.cases.iter_mut().zip(of) {
            let one = ThresholdReport {
                threshold: threshold.into(),
                metric: String::new(),
                phase: String::new(),
                verdict: *verdict,
                value: *value,
                limit,
                limit_said: String::new(),
                unit: "count".into(),
                reason: String::new(),
                ended_at_s: None,
            };
            case.thresholds = vec![one];
        }
        let at = |name: &str| report.cases.iter().position(|case| case.name == name).expect("one of them").to_string();
        let rows = rows(&report);
        assert_eq!(rows.len(), 1);
        (rows[0].verdict, rows[0].value.clone(), at(&rows[0].case.name), rows[0].how_many())
    }

    #[test]
    fn a_row_shows_the_case_furthest_on_the_wrong_side() {
        use Verdict::{Fail, Pass, Unknown};
        let said = |verdict, value: &str, at: &str, many: &str| (verdict, value.to_string(), at.to_string(), many.to_string());
        let fails = |values: [f64; 3]| values.map(|value| (Fail, Some(value)));
        assert_eq!(row("orders.placed <= 5", 5.0, &fails([12.0, 150.0, 40.0])), said(Fail, "150", "1", "3 of 3 cases"));
        assert_eq!(row("orders.placed > 50", 50.0, &fails([12.0, 40.0, 3.0])), said(Fail, "3", "2", "3 of 3 cases"));
        assert_eq!(row("orders.placed == 50", 50.0, &fails([60.0, 10.0, 55.0])), said(Fail, "10", "1", "3 of 3 cases"));
        // of cases that hold it, the one that came nearest to failing; a worse verdict comes before any value
        let holds = [(Pass, Some(12.0)), (Pass, Some(150.0)), (Pass, Some(40.0))];
        assert_eq!(row("orders.placed < 200", 200.0, &holds), said(Pass, "150", "1", "3 of 3 cases"));
        let mixed = [(Pass, Some(150.0)), (Unknown, None), (Pass, Some(40.0))];
        assert_eq!(row("orders.placed < 200", 200.0, &mixed), said(Unknown, "-", "1", "1 of 3 cases"));
        let mixed = [(Fail, Some(6.0)), (Unknown, Some(900.0)), (Fail, Some(7.0))];
        assert_eq!(row("orders.placed <= 5", 5.0, &mixed), said(Fail, "7", "2", "2 of 3 cases"));
    }
}
