//! The bugs on switches are found, by the invariants that claim to find them, with a proof and a command that repeats it.

use crate::world::{Folder, Summary, items, list, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Defects of which most failing cases begin with another check than those of `caught_by`, and why. An entry that is no longer
/// true fails the test.
const MOSTLY_ELSEWHERE: &[(&str, &str)] = &[];

/// Defects whose first failing case begins with another check, and why.
const AT_FIRST_ELSEWHERE: &[(&str, &str)] = &[];

/// Each defect with the whole matrix under it.
static FOUND: LazyLock<Vec<(Value, Summary)>> = LazyLock::new(|| {
    let run = |defect: Value| {
        let name = text(&defect["name"]).to_string();
        let folder = Folder::new(&format!("defects-{name}"));
        let summary = folder.run("all", &["--record", "none", "--defect", &name], 1);
        (defect, summary)
    };
    list("defects").into_iter().map(run).collect()
});

fn each() -> impl Iterator<Item = (&'static str, Vec<&'static str>, Vec<&'static Value>)> {
    FOUND.iter().map(|(defect, summary)| {
        let caught_by = items(&defect["caught_by"]).iter().map(text).collect();
        (text(&defect["name"]), caught_by, summary.with_verdict("fail").collect())
    })
}

fn first_check(case: &Value) -> &str {
    text(&case["findings"][0]["check"])
}

fn excused(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(excused, why)| *excused == name && !why.is_empty())
}

#[test]
fn every_defect_fails_the_shipped_matrix_and_is_named_in_its_summary() {
    assert!(FOUND.len() >= 20);
    for (defect, summary) in FOUND.iter() {
        assert_eq!(summary.0["verdict"], "fail", "{}", defect["name"]);
        assert_eq!(summary.0["manifest"]["defect"], defect["name"]);
        assert!(summary.with_verdict("pass").count() > 0, "{} breaks everything: it proves nothing about any check", defect["name"]);
    }
}

#[test]
fn most_failing_cases_begin_with_a_check_that_the_defect_names() {
    for (name, caught_by, failing) in each() {
        let mut firsts: BTreeMap<&str, usize> = BTreeMap::new();
        failing.iter().for_each(|case| *firsts.entry(first_check(case)).or_default() += 1);
        let named: usize = firsts.iter().filter(|(check, _)| caught_by.contains(check)).map(|(_, n)| n).sum();
        assert!(named > 0, "{name} is to be caught by {caught_by:?}, but was by {firsts:?}");
        assert_eq!(2 * named <= failing.len(), excused(MOSTLY_ELSEWHERE, name), "{name} is to be caught by {caught_by:?}, but was by {firsts:?}");
    }
}

#[test]
fn the_first_failing_case_begins_with_a_check_that_the_defect_names() {
    for (name, caught_by, failing) in each() {
        let (case, check) = (text(&failing[0]["name"]), first_check(failing[0]));
        assert_eq!(!caught_by.contains(&check), excused(AT_FIRST_ELSEWHERE, name), "{name}: {case} begins with {check}, not {caught_by:?}");
    }
}

#[test]
fn findings_tell_what_happened_to_whom_and_prove_it() {
    // what the books of a shelf or of all orders together say is nobody's in particular
    const OF_NO_ORDER: &[&str] = &["STOCK_CONSERVED", "RELEASED_ON_END", "EXPECTATION", "FEED_TRACKED", "REPLAY_EQUAL"];
    for (name, _, failing) in each() {
        for case in failing {
            let place = format!("{name}: {}", text(&case["name"]));
            assert!(
                !items(&case["findings"]).is_empty() && case["findings_total"].as_u64() >= Some(items(&case["findings"]).len() as u64),
                "{place}"
            );
            for finding in items(&case["findings"]) {
                let (check, order) = (text(&finding["check"]), text(&finding["order"]));
                let number = order.strip_prefix('O').and_then(|number| number.parse::<u32>().ok());
                assert!(number.is_some() || (order.is_empty() && OF_NO_ORDER.contains(&check)), "{place}: {finding}");
                assert!(!text(&finding["what"]).is_empty() && !text(&finding["expected"]).is_empty(), "{place}: {finding}");
                let rows = items(&finding["evidence"]);
                assert!(rows.iter().any(|row| row["marked"] == true && row["n"].as_u64() > Some(0)), "{place}: no entry proves it: {finding}");
                assert!(
                    rows.windows(2).all(|two| text(&two[0]["at"]) <= text(&two[1]["at"]) || text(&two[1]["at"]).len() > 12),
                    "{place}: {finding}"
                );
                assert_eq!(text(&finding["reproduce"]), format!("orderstorm run --defect {name} --seed 1 --case {}", text(&case["name"])));
            }
        }
    }
}

#[test]
fn the_reproduce_command_of_a_finding_finds_the_same_again() {
    let folder = Folder::new("defects-reproduce");
    for (name, _, failing) in each() {
        for (at, case) in [failing[0], failing[failing.len() / 2]].into_iter().enumerate() {
            let command = text(&case["findings"][0]["reproduce"]);
            let words: Vec<&str> = command.split(' ').collect();
            assert_eq!(words[..2], ["orderstorm", "run"], "{command}");
            let again = folder.run(&format!("{name}-{at}"), &words[2..], 1);
            assert_eq!(again.cases().len(), 1, "{command}");
            assert_eq!(again.cases()[0]["findings"], case["findings"], "{command}");
            assert_eq!(again.cases()[0]["digest"], case["digest"], "{command}");
        }
    }
}

#[test]
fn a_defect_that_nothing_sets_off_is_not_found() {
    let folder = Folder::new("defects-asleep");
    for (defect, arguments) in [
        ("dedup-by-message-id", &["S01", "--faults", "none"][..]),
        ("dedup-by-message-id", &["--faults", "delay,duplicate-event"]),
        ("dedup-evicted", &["--faults", "none"]),
        ("capture-under-new-key", &["--faults", "none"]),
        ("release-under-new-id", &["--faults", "none"]),
        ("refund-rounds-each-unit", &["S01", "S02", "S03"]),
        ("backorders-lifo", &["S01", "S02", "S06"]),
        ("feed-duplicate-applied", &["--faults", "none,delay"]),
        ("stale-snapshot-wins", &["--faults", "none"]),
        ("restock-at-wrong-node", &["S01", "S05"]),
        ("split-captures-full", &["S01.base"]),
        ("early-shipped-dropped", &["--faults", "none"]),
        ("authorize-under-new-key", &["--faults", "none"]),
        ("expiry-ignored", &["S01", "S02"]),
        ("decline-ignored", &["S02", "S05"]),
        ("exchange-refunds-and-nets", &["S01", "S07"]),
        ("refund-forgets-discount", &["S05", "S08"]),
        ("refund-forgets-tax", &["S05", "S08"]),
        ("capture-key-truncated", &["S02", "S03"]),
        ("feed-gap-ignored", &["--faults", "none"]),
        ("supply-counted-as-stock", &["S01", "S03"]),
        ("safety-stock-ignored", &["S01", "S02"]),
        ("zero-quantity-ignored", &["--faults", "none,feed-duplicate"]),
        ("feed-at-first-node", &["S01", "S07"]),
        ("callback-memory-expires", &["S07", "--faults", "none,duplicate-callback"]),
    ] {
        let mut all = vec!["run", "--defect", defect, "--record", "none", "--format", "json", "--out"];
        let out = format!("{defect}-{}", arguments.join("-"));
        all.push(&out);
        all.extend(arguments);
        assert_eq!(folder.orderstorm(&all).exits(0).json()["verdict"], "pass", "{defect}");
    }
}
