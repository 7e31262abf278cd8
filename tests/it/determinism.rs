//! The same seed and files give the same histories, byte for byte.

use crate::world::{Folder, text, unzipped};
use std::collections::BTreeMap;

#[test]
fn the_whole_matrix_writes_the_same_histories_on_one_thread_and_on_many() {
    let folder = Folder::new("determinism-jobs");
    let many = folder.run("a", &["--seed", "7", "--jobs", "4"], 0);
    let one = folder.run("b", &["--seed", "7", "--jobs", "1"], 0);
    let (a, b) = (folder.histories("a"), folder.histories("b"));
    assert!(a.len() > 800, "{} histories", a.len());
    assert_eq!(a.len(), b.len());
    for ((name, bytes), (other, more)) in a.iter().zip(&b) {
        assert_eq!(name, other);
        assert!(bytes == more, "{name} differs");
    }
    assert_eq!(many.0["cases"], one.0["cases"]);
    assert_eq!(many.0["totals"], one.0["totals"]);
}

#[test]
fn another_seed_gives_another_history_of_every_case() {
    let folder = Folder::new("determinism-seed");
    let (a, b) = (folder.run("a", &["S02", "--seed", "7"], 0), folder.run("b", &["S02", "--seed", "8"], 0));
    assert_eq!(a.cases().len(), b.cases().len());
    for case in a.with_verdict("pass") {
        assert_ne!(case["digest"], b.case(text(&case["name"]))["digest"], "{}", case["name"]);
    }
}

#[test]
fn a_case_alone_behaves_as_in_the_whole_run_and_a_seed_alone_as_among_many() {
    let folder = Folder::new("determinism-alone");
    folder.run("all", &["S06", "--seed", "3"], 0);
    folder.run("alone", &["--seed", "3", "--case", "S06.released.delay.*"], 0);
    let all: BTreeMap<String, Vec<u8>> = folder.histories("all").into_iter().collect();
    let alone = folder.histories("alone");
    assert!(!alone.is_empty());
    for (name, bytes) in &alone {
        // the command that repeats the case names the scenario in one and not in the other
        let body = |bytes: &[u8]| unzipped(bytes).lines().skip(1).filter(|line| !line.starts_with("{\"end\"")).map(String::from).collect::<Vec<_>>();
        assert!(body(bytes) == body(&all[name]), "{name}");
    }
    folder.run("seeds", &["S01.base", "--faults", "none", "--seeds", "3", "--record", "all"], 0);
    folder.run("third", &["S01.base", "--faults", "none", "--seed", "3", "--record", "all"], 0);
    let entries = |run: &str, ending: &str| -> Vec<Vec<String>> {
        let kept =
            folder.histories(run).into_iter().filter(|(name, _)| name.ends_with(ending) && (ending.contains("seed") || !name.contains("seed")));
        kept.map(|(_, bytes)| unzipped(&bytes).lines().skip(1).filter(|line| !line.starts_with("{\"end\"")).map(String::from).collect()).collect()
    };
    let (among, alone) = (entries("seeds", ".seed3.jsonl.gz"), entries("third", ".jsonl.gz"));
    assert!(!among.is_empty() && among == alone);
}

#[test]
fn checking_determinism_runs_everything_twice_and_finds_no_difference() {
    let folder = Folder::new("determinism-check");
    folder.orderstorm(&["run", "--check-determinism"]).exits(0).says(&["cases ran twice: every entry was the same"]);
    assert!(!folder.at("results").exists(), "it leaves nothing behind");
}

#[test]
fn only_histories_of_failing_cases_are_kept_where_that_is_asked_and_they_are_the_same() {
    let folder = Folder::new("determinism-failures");
    let arguments = ["S01", "S07", "--defect", "dedup-by-message-id", "--faults", "none,duplicate"];
    let with = |record: &'static str| arguments.iter().copied().chain(["--record", record]).collect::<Vec<_>>();
    let all = folder.run("all", &with("all"), 1);
    let failures = folder.run("failures", &with("failures"), 1);
    folder.run("nothing", &with("none"), 1);
    assert_eq!(folder.histories("nothing").len(), 0);
    let whole: BTreeMap<String, Vec<u8>> = folder.histories("all").into_iter().collect();
    let kept = folder.histories("failures");
    let failing: Vec<String> = failures.with_verdict("fail").map(|case| format!("{}.jsonl.gz", text(&case["name"]))).collect();
    let mut sorted = failing.clone();
    sorted.sort();
    assert_eq!(kept.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), sorted);
    assert!(!kept.is_empty() && kept.len() < whole.len());
    for (name, bytes) in &kept {
        assert!(*bytes == whole[name], "{name}");
    }
    for case in all.cases() {
        assert_eq!(case["digest"], failures.case(text(&case["name"]))["digest"], "{}", case["name"]);
    }
}

/// Digests of one small case. They may change with a release of `rand` or `rand_distr` (their draws are part of a history), with the version of this
/// program (the header names it), and with a deliberate change of a scenario, of the world, of the reference or of the history's
/// format. A change for no such reason is a bug: results of two builds can no longer be compared.
#[test]
fn a_small_case_has_the_history_that_it_always_had() {
    const KNOWN: &[(&str, &str)] = &[("S01.base.duplicate.app.12", "cb0a9da42a079b58b176c7386698101c232fbe285c04ea274b538f165bf98828")];
    let folder = Folder::new("determinism-golden");
    let summary = folder.run("golden", &["--seed", "1", "--record", "none", "--case", "S01.base.duplicate.*"], 0);
    let found: Vec<(&str, &str)> = summary.cases().iter().map(|case| (text(&case["name"]), text(&case["digest"]))).collect();
    assert_eq!(found, KNOWN);
}
