//! Findings of bugs on switches tell what happened, prove it, and name a command that repeats it. That every defect is found, by whom,
//! and that none is found where nothing sets it off, is what `orderstorm prove` shows.

use crate::world::{Folder, Summary, items, text};
use serde_json::Value;
use std::sync::LazyLock;

/// Defects of different kinds, each where it shows itself.
const SAMPLE: [(&str, &[&str]); 7] = [
    ("dedup-by-message-id", &["S01", "--faults", "duplicate"]),
    ("check-then-reserve", &["S01", "M02", "--faults", "none"]),
    ("refund-rounds-each-unit", &["S07", "--faults", "none,delay"]),
    ("unknown-field-poisons", &["S01", "--faults", "extra-field"]),
    ("negative-delta-ignored", &["S05", "--faults", "none"]),
    ("event-lost-on-crash", &["S01.base", "--faults", "crash-placed,crash-capturing"]),
    ("ignores-hours", &["S03", "--faults", "none"]),
];

static FOUND: LazyLock<Vec<(&str, Summary)>> = LazyLock::new(|| {
    let run = |(name, arguments): (&'static str, &[&str])| {
        let folder = Folder::new(&format!("defects-{name}"));
        let summary = folder.run("all", &[arguments, &["--record", "none", "--defect", name]].concat(), 1);
        assert_eq!(summary.0["manifest"]["defect"], name);
        (name, summary)
    };
    SAMPLE.into_iter().map(run).collect()
});

fn each() -> impl Iterator<Item = (&'static str, Vec<&'static Value>)> {
    FOUND.iter().map(|(name, summary)| (*name, summary.with_verdict("fail").collect()))
}

#[test]
fn findings_tell_what_happened_to_whom_and_prove_it() {
    // what the books of a shelf or of all orders together say is nobody's in particular
    const OF_NO_ORDER: &[&str] = &["STOCK_CONSERVED", "RELEASED_ON_END", "EXPECTATION", "FEED_TRACKED", "REPLAY_EQUAL"];
    for (name, failing) in each() {
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
                assert!(
                    text(&finding["reproduce"]).ends_with(&format!(" --defect {name} --seed 1 --case {}", text(&case["name"]))),
                    "{place}: {finding}"
                );
            }
        }
    }
}

#[test]
fn the_reproduce_command_of_a_finding_finds_the_same_again() {
    let folder = Folder::new("defects-reproduce");
    for (name, failing) in each() {
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
