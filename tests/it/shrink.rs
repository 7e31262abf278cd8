//! A failing case becomes the least that fails for the same reason.

use crate::world::{Ended, Folder, Summary, items, text};

/// Runs a case with a defect, reduces it, and gives the check that failed and what was said.
fn shrunk(folder: &Folder, defect: &str, arguments: &[&str], more: &[&str]) -> (String, Ended) {
    let mut all = vec!["--record", "none", "--defect", defect];
    all.extend(arguments);
    let whole = folder.run("whole", &all, 1);
    let check = first_check(&whole);
    let mut all = vec!["shrink", "whole", "*", "--out", "small.toml"];
    all.extend(more);
    (check, folder.orderstorm(&all).exits(0))
}

fn first_check(summary: &Summary) -> String {
    let failed = summary.with_verdict("fail").next().expect("a failure");
    text(&items(&failed["findings"])[0]["check"]).to_string()
}

/// The numbers before `orders` and `faults` in the line that says what is left.
fn left(said: &Ended) -> (usize, usize) {
    let line = said.out.lines().find(|line| line.trim_start().starts_with("is ")).expect("what is left");
    let words: Vec<&str> = line.split_whitespace().collect();
    (words[1].parse().expect("orders"), words[3].parse().expect("faults"))
}

/// Whatever kind of bug it is: one command reproduces it, and the correct reference passes the same plan, so it is the same bug
/// and not a plan that nobody could carry out.
#[test]
fn what_is_left_fails_the_same_check_with_the_defect_and_passes_without() {
    let cases: [(&str, &[&str]); 6] = [
        ("capture-under-new-key", &["M01", "--faults", "effect-late"]),
        ("cancel-keeps-reservation", &["M04", "--faults", "none"]),
        ("short-pick-stuck", &["M02", "--faults", "delay"]),
        ("gives-up-after-three", &["M03", "--faults", "outage-503"]),
        ("feed-duplicate-applied", &["M02", "--faults", "feed-duplicate"]),
        // orders with SKUs of their own, and expectations
        ("refund-rounds-each-unit", &["S07.discounted", "--orders", "6", "--faults", "duplicate"]),
    ];
    for (defect, arguments) in cases {
        let folder = Folder::new(&format!("shrink-{defect}"));
        let (check, said) = shrunk(&folder, defect, arguments, &[]);
        let (orders, faults) = left(&said);
        assert!(orders <= 3 && faults <= 3, "{defect}: {said}");
        assert!(!said.out.contains(" runs in 0.0 s"), "{said}");
        let said = said.says(&["nothing more can be left out", "Reproduce: orderstorm run ", "small.toml", &check]);
        let command = said.out.lines().find_map(|line| line.strip_prefix("Reproduce: orderstorm ")).expect("a command").to_string();
        let words: Vec<&str> = command.split(' ').chain(["--out", "again", "--record", "none"]).collect();
        folder.orderstorm(&words).exits(1);
        let again = folder.summary("again");
        assert_eq!((first_check(&again), again.cases().len()), (check, 1), "{defect}");
        let mut without: Vec<&str> = words.iter().copied().filter(|word| !["--defect", defect].contains(word)).collect();
        without[words.len() - 5] = "correct";
        folder.orderstorm(&without).exits(0);
    }
}

#[test]
fn a_budget_that_is_used_up_is_said_and_what_was_found_until_then_still_fails() {
    let folder = Folder::new("shrink-budget");
    let (check, said) = shrunk(&folder, "capture-under-new-key", &["M01", "--faults", "effect-late"], &["--budget", "9"]);
    said.says(&["reduced, not minimal: the budget is used up"]);
    let again = folder.run("again", &["small.toml", "--defect", "capture-under-new-key", "--record", "none"], 1);
    assert_eq!(first_check(&again), check);
    // what is reduced already can be reduced again
    folder.orderstorm(&["shrink", "again", "*", "--out", "smaller.toml"]).exits(0).says(&["nothing more can be left out"]);
    folder.run("once-more", &["smaller.toml", "--defect", "capture-under-new-key", "--record", "none"], 1);
}

#[test]
fn what_cannot_be_reduced_is_refused_with_what_to_do() {
    let folder = Folder::new("shrink-bad");
    folder.orderstorm(&["shrink", "nowhere", "x"]).exits(2).says(&["nowhere is not the folder of a run"]);
    let copy = include_str!("../../scenarios/M04-second-thoughts.toml").replace("\"M04\"", "\"MINE\"");
    folder.write("mine.toml", &copy);
    folder.run("good", &["S01.base", "--faults", "none", "--record", "none"], 0);
    folder.run("bad", &["./mine.toml", "--faults", "none,delay", "--defect", "cancel-keeps-reservation", "--record", "none"], 1);
    folder.orderstorm(&["shrink", "good", "*"]).exits(2).says(&["no case of this run failed"]);
    folder.orderstorm(&["shrink", "good", "S01.base.none.web.1"]).exits(2).says(&["did not fail: it is pass"]);
    folder.orderstorm(&["shrink", "bad", "MINE.base.none.web.41"]).exits(2).says(&["no case of this run is named", "such as MINE.base.none.web.40"]);
    folder.write("there.toml", "");
    folder.orderstorm(&["shrink", "bad", "*", "--out", "there.toml"]).exits(2).says(&["there.toml is there already"]);

    folder.write("mine.toml", copy.replace("weight = 3", "weight = 4"));
    folder.orderstorm(&["shrink", "bad", "*"]).exits(2).says(&["mine.toml is not the file any more", "do the run again"]);
    folder.write("mine.toml", &copy);
    let summary = std::fs::read_to_string(folder.at("bad/summary.json")).expect("a summary");
    folder.write("bad/summary.json", summary.replace("orderstorm run ", "orderstorm rum "));
    folder.orderstorm(&["shrink", "bad", "*"]).exits(2).says(&["the manifest's command cannot be understood"]);
    // the embedded reference does not have the faults of another target
    folder.write("bad/summary.json", summary.replace("\"target\": \"embedded\"", "\"target\": \"reference\""));
    folder.orderstorm(&["shrink", "bad", "*"]).exits(2).says(&["made against `reference`", "orderstorm explain"]);
    folder.run("late", &["S01.base", "--faults", "none", "--record", "none", "--threshold", "orders.placed > 1000"], 1);
    folder.orderstorm(&["shrink", "late", "S01.base.none.web.1"]).exits(2).says(&["by a threshold alone", "no case of this run failed a check"]);
    folder.write("bad/summary.json", &summary[..summary.len() / 2]);
    folder.orderstorm(&["shrink", "bad", "*"]).exits(2).says(&["bad is not the folder of a run"]);
}
