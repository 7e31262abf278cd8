//! Sweeps: every single fault at every call site, a crash after every moment, and what they find.

use crate::world::{Folder, items, text};
use std::collections::BTreeSet;

#[test]
fn the_reference_passes_every_single_fault_and_every_crash_and_each_of_them_acted() {
    let folder = Folder::new("sweep-clean");
    for (what, least) in [("single-fault", 150), ("crash", 40)] {
        let summary = folder.run(what, &["S01.base", "--sweep", what, "--record", "none"], 0);
        let names: BTreeSet<&str> = summary.cases().iter().map(|case| text(&case["name"])).collect();
        assert!(names.len() >= least, "{what}: {}", names.len());
        assert_eq!(names.len(), summary.cases().len(), "each once");
        for case in summary.cases() {
            let fired: u64 = case["faults_fired"].as_object().expect("a table").values().filter_map(serde_json::Value::as_u64).sum();
            assert_eq!(fired, 1, "{}", case["name"]);
        }
        assert!(text(&summary.0["manifest"]["cover"]).contains(&format!("{} cases", names.len())), "{}", summary.0["manifest"]["cover"]);
    }
}

#[test]
fn the_sites_are_those_of_the_story() {
    let folder = Folder::new("sweep-sites");
    let summary = folder.run("a", &["S01.base", "--sweep", "single-fault", "--record", "none"], 0);
    let has = |name: &str| summary.cases().iter().any(|case| case["name"] == name);
    for site in ["payment.capture-1-lose_reply", "PlaceOrder-1-mutate", "node.shipped-1-extra_field", "order.accepted-1-unavailable"] {
        assert!(has(&format!("S01.base.sweep-{site}.web.1")), "{site}");
    }
    for none in ["payment.capture-2-lose_reply", "payment.refund-1-error", "payment.capture-1-mutate", "node.shipped-1-refuse"] {
        assert!(!has(&format!("S01.base.sweep-{none}.web.1")), "{none}");
    }
}

#[test]
fn a_sweep_finds_what_only_one_fault_in_many_sets_off_and_its_command_finds_it_again() {
    let folder = Folder::new("sweep-defects");
    for (defect, sweep, place) in [
        ("capture-under-new-key", "single-fault", "payment.capture-1-lose_reply"),
        ("key-conflict-overwrites", "single-fault", "PlaceOrder-1-mutate"),
        ("body-regenerated-on-redelivery", "single-fault", "order.accepted-1-lose_reply"),
        ("event-lost-on-crash", "crash", "crash-PlaceOrder-1-reply"),
        ("replay-not-idempotent", "crash", "crash-order.accepted-1-event"),
        ("acknowledged-before-stored", "crash", "crash-PlaceOrder-1-reply"),
    ] {
        let summary = folder.run(defect, &["S01.base", "--sweep", sweep, "--defect", defect, "--record", "none"], 1);
        assert!(summary.with_verdict("pass").count() > 0, "{defect} breaks everything: no fault is shown to set it off");
        let name = format!("S01.base.sweep-{place}.web.1");
        let case = summary.case(&name);
        assert_eq!(case["verdict"], "fail", "{defect}: {name}");
        let command = text(&items(&case["findings"])[0]["reproduce"]);
        assert_eq!(command, format!("orderstorm run S01.base --sweep {sweep} --defect {defect} --seed 1 --case {name}"));
        let words: Vec<&str> = command.split(' ').skip(2).collect();
        let again = folder.run(&format!("{defect}-again"), &words, 1);
        assert_eq!(again.cases().len(), 1, "{command}");
        assert_eq!(again.cases()[0]["findings"], case["findings"], "{command}");
        assert_eq!(again.cases()[0]["digest"], case["digest"], "{command}");
    }
}

#[test]
fn a_sweep_is_the_same_every_time_and_is_not_mixed_with_fault_sets() {
    let folder = Folder::new("sweep-same");
    folder.orderstorm(&["run", "S06.released", "--sweep", "crash", "--check-determinism"]).exits(0).says(&["every entry was the same"]);
    folder.orderstorm(&["run", "S01", "--sweep", "crash", "--faults", "drop"]).exits(2).says(&["--sweep", "--faults"]);
    folder.orderstorm(&["plan", "S01.base", "--sweep", "single-fault"]).exits(0).says(&["S01.base.sweep-payment.capture-1-lose_reply.web.1"]);
}
