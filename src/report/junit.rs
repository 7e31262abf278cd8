//! `junit.xml` for build servers: a suite for each case, a test for each check.

use super::grid::{thousands, times};
use super::{CaseReport, FindingReport, RunReport};
use crate::check::Verdict;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write as _;
use std::io;

/// The text of `junit.xml`. Characters that XML does not have are left out.
pub fn to_junit(report: &RunReport) -> io::Result<Vec<u8>> {
    let mut out = Report::new("orderstorm");
    for case in &report.cases {
        let mut suite = TestSuite::new(case.name.as_str());
        let seed = case.seed.to_string();
        for (name, value) in [("seed", seed.as_str()), ("reproduce", &case.reproduce), ("digest", &case.digest), ("verdict", case.verdict.name())] {
            suite.add_property(Property::new(name, value));
        }
        for check in &case.checks {
            let findings: Vec<&FindingReport> = case.findings.iter().filter(|finding| finding.check == check.name).collect();
            let reason = match check.verdict {
                Verdict::Fail => format!("{} failed {}, {} judged", check.name, times(check.failures), thousands(check.activations)),
                Verdict::Unknown => {
                    // what the case says of itself is about what made it what it is
                    let why = if case.verdict == Verdict::Unknown { format!(". {}", case.reason) } else { String::new() };
                    format!(
                        "{} of {} could not be decided{}",
                        check.unknowns,
                        check.activations.max(check.unknowns),
                        why.trim_end_matches(['.', ' '])
                    )
                }
                Verdict::NotExercised => format!("not exercised: nothing in this case gave {} anything to judge", check.name),
                _ => case.reason.clone(),
            };
            suite.add_test_case(test(case, &check.name, check.verdict, reason.trim(), &findings));
        }
        for one in &case.thresholds {
            suite.add_test_case(test(case, &one.threshold, one.verdict, &format!("{}. reproduce: {}", one.sentence(), case.reproduce), &[]));
        }
        // what the checks do not show: a fault that never acted, a record cut short, a case that could not run
        let shown = case.checks.iter().map(|check| check.verdict).chain(case.thresholds.iter().map(|one| one.verdict)).reduce(Verdict::merge);
        if shown != Some(case.verdict) {
            let strays: Vec<&FindingReport> =
                case.findings.iter().filter(|finding| !case.checks.iter().any(|check| check.name == finding.check)).collect();
            suite.add_test_case(test(case, "case", case.verdict, &case.reason, &strays));
        }
        out.add_test_suite(suite);
    }
    let stopped = report.partial.then(|| "stopped before its end: cases that were not begun are not here".to_string());
    let doubts: Vec<&String> = report.doubts.iter().chain(&stopped).collect();
    if !doubts.is_empty() {
        // whatever the cases came to, the run cannot pass
        let mut suite = TestSuite::new("run");
        for doubt in doubts {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(doubt.as_str());
            status.set_type(Verdict::Unknown.name());
            suite.add_test_case(TestCase::new("the whole run", status));
        }
        out.add_test_suite(suite);
    }
    let mut text = Vec::new();
    out.serialize(&mut text).map_err(io::Error::other)?;
    Ok(text)
}

fn test(case: &CaseReport, name: &str, verdict: Verdict, reason: &str, findings: &[&FindingReport]) -> TestCase {
    let mut status = match verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::NotExercised | Verdict::NotApplicable => TestCaseStatus::skipped(),
    };
    if verdict != Verdict::Pass {
        let prefix = if verdict == Verdict::NotApplicable { "not applicable: " } else { "" };
        let message = findings.first().map_or_else(|| format!("{prefix}{reason}"), |finding| finding.what.clone());
        status.set_message(message);
        status.set_type(verdict.name());
        if !findings.is_empty() {
            status.set_description(findings.iter().map(|finding| describe(finding)).collect::<Vec<_>>().join("\n\n"));
        }
    }
    let mut test = TestCase::new(name, status);
    test.set_classname(format!("{}.{}", case.scenario, case.variant));
    test
}

fn describe(finding: &FindingReport) -> String {
    let mut text = String::new();
    if !finding.order.is_empty() {
        let _ = write!(text, "{}: ", finding.whose());
    }
    let _ = writeln!(text, "{}\nexpected: {}", finding.what, finding.expected);
    for row in &finding.evidence {
        let number = if row.n == 0 { String::new() } else { row.n.to_string() };
        let _ = writeln!(text, "{} {number:>7} {} {:<5} {}", if row.marked { ">" } else { " " }, row.at, row.side, row.text);
    }
    let _ = write!(text, "reproduce: {}", finding.reproduce);
    text
}
