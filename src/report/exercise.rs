//! What a run exercised: each check over all cases, and what nothing in the run ever put to the test.

use super::CaseReport;
use super::grid::thousands;
use crate::check::{CheckResult, Verdict};
use std::collections::BTreeMap;

/// Every check over all cases, in their order.
pub fn checks_over(cases: &[CaseReport]) -> Vec<CheckResult> {
    let mut all: Vec<CheckResult> = Vec::new();
    for check in cases.iter().flat_map(|case| &case.checks) {
        match all.iter_mut().find(|known| known.name == check.name) {
            None => all.push(check.clone()),
            Some(known) => known.add(check),
        }
    }
    all
}

/// How orders ended where their scenario leaves it open, over all cases.
pub(super) fn outcomes_over(cases: &[CaseReport]) -> String {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for (outcome, times) in cases.iter().flat_map(|case| &case.outcomes) {
        *all.entry(outcome).or_default() += times;
    }
    let told: Vec<String> = all.into_iter().map(|(outcome, times)| format!("{} {outcome}", thousands(times))).collect();
    told.join(", ")
}

/// Checks that never had anything to judge, and outcomes that a scenario allows and that never came true.
pub fn never_exercised(cases: &[CaseReport]) -> Vec<String> {
    let idle = checks_over(cases).into_iter().filter(|check| check.verdict == Verdict::NotExercised);
    let mut never: Vec<String> = idle.map(|check| format!("{}: nothing in this run gave it anything to judge", check.name)).collect();
    let mut outcomes: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for case in cases {
        for (outcome, times) in &case.outcomes {
            *outcomes.entry((&case.scenario, &case.variant, outcome)).or_default() += times;
        }
    }
    let empty = outcomes.into_iter().filter(|(_, times)| *times == 0);
    never.extend(empty.map(|((scenario, variant, outcome), _)| format!("{scenario}.{variant}: outcome {outcome} never came true")));
    never
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_check_or_an_outcome_that_nothing_exercised_is_named() {
        let mut cases = sample::run().cases;
        cases.truncate(2);
        for (case, times) in cases.iter_mut().zip([0, 3]) {
            case.checks.iter_mut().for_each(|check| (check.verdict, check.activations, check.excused) = (Verdict::Pass, 2, 1));
            case.checks[0].verdict = Verdict::NotExercised;
            case.outcomes = [("order.cancelled".into(), 0), ("order.completed".into(), times)].into();
        }
        assert_eq!(outcomes_over(&cases), "0 order.cancelled, 3 order.completed");
        let never = never_exercised(&cases);
        assert!(never[0].starts_with("NO_OVERSELL: "), "{never:?}");
        assert!(never[1].ends_with("outcome order.cancelled never came true") && never.len() == 2, "{never:?}");
        assert_eq!((checks_over(&cases)[1].activations, checks_over(&cases)[1].excused), (4, 2));
        cases[1].checks[0].verdict = Verdict::Pass;
        assert_eq!(never_exercised(&cases).len(), 1, "exercised in one case is exercised");
    }
}
