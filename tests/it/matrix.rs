//! The shipped matrix against the reference: everything passes, and the pass means something.

use crate::source::read;
use crate::world::{Folder, Summary, breaches, items, list, text};
use orderstorm::scenario::Library;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// One run of everything that is shipped, for all tests here.
static WHOLE: LazyLock<Summary> = LazyLock::new(|| {
    let folder = Folder::new("matrix-whole");
    folder.run("all", &["--record", "none"], 0)
});

fn pairs(of: impl Fn(&serde_json::Value) -> bool) -> BTreeSet<(String, String)> {
    WHOLE.cases().iter().filter(|case| of(case)).map(|case| (text(&case["scenario"]).to_string(), text(&case["fault"]).to_string())).collect()
}

#[test]
fn the_whole_shipped_matrix_passes_and_leaves_nothing_open() {
    assert_eq!(WHOLE.0["verdict"], "pass");
    assert_eq!(WHOLE.0["partial"], false);
    let other: Vec<&str> =
        WHOLE.cases().iter().filter(|case| !matches!(text(&case["verdict"]), "pass" | "not_applicable")).map(|case| text(&case["name"])).collect();
    assert!(other.is_empty(), "{other:?}");
    let (pass, idle) = (WHOLE.with_verdict("pass").count(), WHOLE.with_verdict("not_applicable").count());
    assert_eq!(pass + idle, WHOLE.cases().len());
    assert!(pass >= 800, "only {pass} cases are left of the matrix");
    for case in WHOLE.with_verdict("pass") {
        assert_eq!((items(&case["findings"]).len(), case["findings_total"].as_u64()), (0, Some(0)), "{}", case["name"]);
        assert!(case["entries"].as_u64() > Some(0) && text(&case["digest"]).len() == 64, "{}", case["name"]);
        for check in items(&case["checks"]) {
            let judged = check["activations"].as_u64() > Some(0);
            assert_eq!(text(&check["verdict"]), if judged { "pass" } else { "not_exercised" }, "{} {check}", case["name"]);
        }
    }
}

#[test]
fn every_scenario_has_a_base_and_at_least_three_variants_that_run() {
    let mut variants: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for case in WHOLE.with_verdict("pass") {
        variants.entry(text(&case["scenario"])).or_default().insert(text(&case["variant"]));
    }
    let names = ["M01", "M02", "M03", "M04", "S01", "S02", "S03", "S04", "S05", "S06", "S07", "S08"];
    assert_eq!(variants.keys().copied().collect::<Vec<_>>(), names);
    for (scenario, variants) in &variants {
        // a mix has kinds in place of variants
        let least = if scenario.starts_with('M') { 1 } else { 4 };
        assert!(variants.contains("base") && variants.len() >= least, "{scenario}: {variants:?}");
    }
    let listed: BTreeSet<String> = list("scenarios").iter().map(|item| text(&item["name"]).to_string()).collect();
    let run: BTreeSet<String> = variants.iter().flat_map(|(scenario, all)| all.iter().map(move |variant| format!("{scenario}.{variant}"))).collect();
    assert_eq!(listed, run, "what is listed is what is run");
}

/// The library says where a fault set can act; the second table says it once more by hand, so that a set that quietly stops to act is missed.
#[test]
fn every_fault_set_runs_in_every_scenario_where_it_can_act() {
    let run = pairs(|case| case["verdict"] == "pass");
    let mut library = Library::shipped().expect("what is shipped is right");
    let (scenarios, faults) = (library.scenarios(&[]).expect("all"), library.fault_sets(&["all".into()]).expect("all"));
    for fault in &faults {
        for scenario in scenarios.iter().filter(|scenario| fault.acts_on(scenario).is_ok()) {
            assert!(run.contains(&(scenario.name.clone(), fault.name.clone())), "{} never runs under {}", scenario.name, fault.name);
        }
    }
    let without_feeds = ["S01", "S04", "S06", "S07"];
    let never: BTreeSet<(String, String)> = without_feeds
        .iter()
        .flat_map(|scenario| ["feed-delayed", "feed-duplicate", "feed-gap", "feed-stale"].map(|fault| (scenario.to_string(), fault.to_string())))
        .collect();
    let left: BTreeSet<(String, String)> = pairs(|_| true).difference(&run).cloned().collect();
    assert_eq!(left, never, "scenarios in which goods only move with orders, and faults of the feeds");
}

#[test]
fn every_cell_that_is_not_applicable_says_why_and_names_its_fault_set() {
    let mut idle = 0;
    for case in WHOLE.with_verdict("not_applicable") {
        let (reason, fault) = (text(&case["reason"]), text(&case["fault"]));
        assert!(reason.contains(&format!("`{fault}`")), "{}: {reason}", case["name"]);
        assert_eq!(case["entries"], 0, "{}", case["name"]);
        assert_ne!(fault, "none", "calm is possible everywhere: {}", case["name"]);
        idle += 1;
    }
    assert!(idle > 0);
}

#[test]
fn every_fault_acted_in_every_case_that_has_one_and_every_rule_acted_somewhere() {
    let mut rules: BTreeMap<(String, String), u64> = BTreeMap::new();
    for case in WHOLE.with_verdict("pass") {
        let fired = case["faults_fired"].as_object().expect("a table");
        for (rule, times) in fired {
            *rules.entry((text(&case["fault"]).into(), rule.clone())).or_default() += times.as_u64().expect("a number");
        }
        let sum: u64 = fired.values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(sum > 0, case["fault"] != "none", "{}: {fired:?}", case["name"]);
    }
    let silent: Vec<_> = rules.iter().filter(|(_, times)| **times == 0).collect();
    assert!(silent.is_empty(), "{silent:?}");
    let sets: BTreeSet<&str> = rules.keys().map(|(set, _)| set.as_str()).collect();
    assert_eq!(sets.len() + 1, list("faults").len(), "all sets but `none`: {sets:?}");
}

#[test]
fn every_invariant_and_the_expectations_were_exercised() {
    let mut activations: BTreeMap<&str, u64> = BTreeMap::new();
    for check in WHOLE.with_verdict("pass").flat_map(|case| items(&case["checks"])) {
        *activations.entry(text(&check["name"])).or_default() += check["activations"].as_u64().unwrap_or(0);
    }
    for invariant in list("invariants").iter().map(|item| text(&item["name"])).chain(["EXPECTATION"]) {
        assert!(activations.get(invariant).is_some_and(|n| *n > 0), "{invariant}: {activations:?}");
    }
    // every family judges its expectations in every case: none is a scenario without a demand
    for case in WHOLE.with_verdict("pass") {
        assert!(items(&case["checks"]).iter().any(|check| check["name"] == "EXPECTATION" && check["verdict"] == "pass"), "{}", case["name"]);
    }
}

/// Under every storm of the feeds what the target makes of them is judged, and the replay is judged wherever it runs.
#[test]
fn what_a_fault_set_is_about_is_exercised_under_it() {
    let judged = |fault: &str, check: &str| -> u64 {
        let checks = WHOLE.with_verdict("pass").filter(|case| case["fault"] == fault).flat_map(|case| items(&case["checks"]));
        checks.filter(|result| result["name"] == check).filter_map(|result| result["activations"].as_u64()).sum()
    };
    for fault in ["feed-delayed", "feed-stale", "feed-gap", "feed-duplicate"] {
        for check in ["FEED_TRACKED", "NO_OVERSELL", "STOCK_CONSERVED"] {
            assert!(judged(fault, check) > 0, "{check} has nothing to judge under {fault}");
        }
    }
    assert!(judged("replay", "REPLAY_EQUAL") > 0);
    assert_eq!(judged("none", "REPLAY_EQUAL"), 0, "without a replay there is nothing to judge");
}

#[test]
fn the_publish_lag_was_measured_in_every_case() {
    for case in WHOLE.with_verdict("pass") {
        let lag = &case["publish_lag"];
        assert!(lag["probes"].as_u64() >= Some(3) && lag["claims"].as_u64() > Some(9), "{}: {lag}", case["name"]);
        assert!(lag["worst_ms"].as_f64() > Some(0.0) && lag["grace_ms"].as_f64() >= Some(500.0), "{}: {lag}", case["name"]);
    }
}

#[test]
fn the_summary_is_what_its_schema_says() {
    let schema: serde_json::Value = serde_json::from_str(&read("schemas/summary.v1.json")).expect("JSON");
    let mut found = Vec::new();
    breaches(&WHOLE.0, &schema, &schema, "summary", &mut found);
    assert!(found.is_empty(), "{} breaches, such as {:#?}", found.len(), &found[..found.len().min(10)]);

    let mut broken = WHOLE.0.clone();
    broken["cases"][0].as_object_mut().expect("a table").remove("digest");
    broken["verdict"] = "splendid".into();
    breaches(&broken, &schema, &schema, "summary", &mut found);
    assert!(found.len() >= 2 && found.iter().any(|line| line.contains("digest")), "the test can fail: {found:?}");
}

#[test]
fn the_summary_counts_what_it_holds() {
    let measured: u64 = WHOLE.cases().iter().filter_map(|case| case["measures"]["orders_placed"].as_u64()).sum();
    assert!(measured > 0 && WHOLE.0["totals"]["orders_placed"].as_u64() == Some(measured), "{measured} orders: {}", WHOLE.0["totals"]);
    for case in WHOLE.with_verdict("pass") {
        let name = format!(
            "{}.{}.{}.{}.{}",
            text(&case["scenario"]),
            text(&case["variant"]),
            text(&case["fault"]),
            text(&case["channel"]),
            case["orders"].as_u64().unwrap_or(0)
        );
        assert_eq!(text(&case["name"]), name);
        assert_eq!(case["measures"]["orders_placed"], case["orders"], "{name}");
    }
    let files = WHOLE.0["manifest"]["files"].as_object().expect("a table");
    assert!(files.len() >= 8 + 20 && files.values().all(|digest| text(digest).len() == 64), "{files:?}");
}
