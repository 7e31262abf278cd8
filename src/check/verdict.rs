//! Verdicts and findings.

use crate::model::OrderNo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Merged by the worst, in this order. `NotApplicable` stands outside the merge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    NotExercised,
    Unknown,
    Fail,
    NotApplicable,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::NotExercised => "not exercised",
            Verdict::Unknown => "unknown",
            Verdict::Fail => "fail",
            Verdict::NotApplicable => "not applicable",
        }
    }
    /// The worse of two; not applicable gives way to anything.
    pub fn merge(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::NotApplicable, v) | (v, Verdict::NotApplicable) => v,
            (a, b) => a.max(b),
        }
    }
}

/// One thing that went wrong, with what proves it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// the invariant, or `EXPECTATION`
    pub check: String,
    /// the order concerned, if it is one
    pub order: Option<OrderNo>,
    /// what happened, in one sentence with figures
    pub what: String,
    /// what was expected, and why
    pub expected: String,
    /// numbers (`n`) of the few entries that prove it, in order
    pub evidence: Vec<u64>,
}

/// One checker's result for one history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    pub name: String,
    pub verdict: Verdict,
    pub activations: u64,
    pub unknowns: u64,
    /// how many checks passed only thanks to an excuse
    pub excused: u64,
    /// how many times it failed; findings beyond the first few are counted, not kept
    pub failures: u64,
}

impl CheckResult {
    /// Counts the result of the same check in another history in: exercised in one is exercised.
    pub fn add(&mut self, other: &CheckResult) {
        self.verdict = match (self.verdict, other.verdict) {
            (Verdict::NotExercised, verdict) | (verdict, Verdict::NotExercised) => verdict,
            (a, b) => a.merge(b),
        };
        self.activations += other.activations;
        self.unknowns += other.unknowns;
        self.excused += other.excused;
        self.failures += other.failures;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_histories_add_up_and_exercised_in_one_is_exercised() {
        let result = |verdict, n| CheckResult { name: "X".into(), verdict, activations: n, unknowns: n + 1, excused: n + 2, failures: n + 3 };
        let mut sum = result(Verdict::NotExercised, 10);
        sum.add(&result(Verdict::Pass, 20));
        assert_eq!(sum, CheckResult { name: "X".into(), verdict: Verdict::Pass, activations: 30, unknowns: 32, excused: 34, failures: 36 });
        sum.add(&result(Verdict::Fail, 0));
        assert_eq!(sum.verdict, Verdict::Fail);
    }
}
