//! Recorded orders as the source of a run.

use crate::source::root;
use crate::world::{Folder, Summary, text, unzipped};
use serde_json::Value;
use std::io::Write;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The account of rows as (read, accepted, merged, rejected), after a look at whether it adds up.
fn account(summary: &Summary) -> (u64, u64, u64, u64) {
    let source = &summary.0["manifest"]["source"];
    let account = &source["account"];
    let (rows, accepted, merged) = (number(&account["rows"]), number(&account["accepted"]), number(&account["merged"]));
    let rejected: u64 = account["rejected"].as_object().expect("a table").values().map(number).sum();
    assert_eq!(accepted + merged + rejected, rows, "{account}");
    assert!(accepted > 0 && number(&source["orders"]) > 0 && number(&source["skus"]) > 0, "{source}");
    (rows, accepted, merged, rejected)
}

#[test]
fn the_sample_runs_accounts_for_every_row_and_meets_contention() {
    let folder = Folder::new("recorded-sample");
    let sample = root().join("tests/data/online-retail-sample.csv");
    let sample = sample.to_str().expect("a path of text");
    let run = ["run", "--source", sample, "--columns", "online-retail", "--faults", "none,delay,duplicate", "--out", "out"];
    let ended = folder.orderstorm(&run).exits(0).says(&["323 rows", "accepted", "merged", "rejected", "cancellation", "non_product"]);
    let summary = folder.summary("out");
    let (rows, accepted, merged, rejected) = account(&summary);
    assert_eq!(rows, 323);
    assert!(ended.out.contains(&format!("{rows} rows: {accepted} accepted, {merged} merged, {rejected} rejected")), "{ended}");
    assert_eq!(summary.with_verdict("pass").count(), 3);
    let orders = number(&summary.0["manifest"]["source"]["orders"]);
    for case in summary.cases() {
        assert_eq!(number(&case["orders"]), orders, "{case}");
    }
    let calm: String = folder.histories("out").iter().filter(|(name, _)| name.contains(".none.")).map(|(_, bytes)| unzipped(bytes)).collect();
    // probe orders are the harness's own
    let accepted = calm.lines().filter(|line| line.contains("\"op\":\"order.accepted\"") && !line.contains("\"order\":\"O42949"));
    assert_eq!(accepted.count() as u64, orders);
    assert!(calm.contains("\"op\":\"line.backordered\""), "nothing ever ran short");
    let files = summary.0["manifest"]["files"].as_object().expect("a table");
    assert!(files.contains_key(sample) && files.keys().any(|name| name.contains("online-retail.toml")), "{files:?}");
}

#[test]
fn a_recorded_run_is_the_same_again_and_can_be_cut_to_its_first_orders() {
    let folder = Folder::new("recorded-same");
    let sample = root().join("tests/data/online-retail-sample.csv");
    let sample = sample.to_str().expect("a path of text");
    let source = ["--source", sample, "--columns", "online-retail", "--faults", "none"];
    folder.run("a", &source, 0);
    folder.run("b", &[&source[..], &["--jobs", "1"]].concat(), 0);
    assert!(folder.histories("a") == folder.histories("b"));
    let few = folder.run("c", &[&source[..], &["--orders", "3"]].concat(), 0);
    assert_eq!(few.cases()[0]["orders"], 3);
}

/// Replays what it could read, and does not pass for it: the rows may have been most of the history.
#[test]
fn a_history_of_which_too_much_was_left_out_does_not_pass() {
    let folder = Folder::new("recorded-lost");
    let head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let row = |n: usize, of: usize| {
        let time = if n < of { "1.12.2010 8:26" } else { "2010-12-01 08:26:00" };
        format!("{n},85123A,THING,6,{time},2.55,17850.0,United Kingdom\n")
    };
    let file = |name: &str, of: usize| folder.write(name, format!("{head}{}", (0..100).map(|n| row(n, of)).collect::<String>()));
    let run = |file: &str, out: &str| folder.orderstorm(&["run", "--source", file, "--columns", "online-retail", "--faults", "none", "--out", out]);
    let said = "6 rows of many.csv were left out that may have been sales, 6.00 % of all that may have been, and 5 % are the most: malformed_timestamp: \
                `placed_at.format` of the column map";
    let rows = "100 rows: 94 accepted, 0 merged, 6 rejected (6.00 %) of many.csv";
    run(&file("many.csv", 6), "out").exits(4).says(&["UNKNOWN  1 case: 1 pass", said, rows]);
    assert_eq!(folder.summary("out").0["verdict"], "unknown");
    let junit = std::fs::read_to_string(folder.at("out/junit.xml")).expect("written");
    assert!(junit.contains("errors=\"1\"") && junit.contains("6.00 % of all that may have been"), "{junit}");
    let page = std::fs::read_to_string(folder.at("out/report.html")).expect("written");
    assert!(page.contains(said) && page.contains(rows), "{}", &page[page.find("<header>").unwrap_or(0)..][..2_000]);
    folder.orderstorm(&["report", "out"]).exits(0).says(&[said]);
    // a few are told, and no more; what is no sale is not missed
    run(&file("few.csv", 5), "few").exits(0).says(&["PASS", "5 rejected (5.00 %) of few.csv"]);
    let no_sales = (0..90).map(|n| format!("C{}", row(n, 0))).collect::<String>();
    let mixed = folder.write("mixed.csv", format!("{head}{no_sales}{}", row(95, 0)));
    run(&mixed, "mixed").exits(0).says(&["90 rejected"]);
}

#[test]
fn the_sample_finds_a_defect_too() {
    let folder = Folder::new("recorded-defect");
    let sample = root().join("tests/data/online-retail-sample.csv");
    let sample = sample.to_str().expect("a path of text");
    let source = ["--source", sample, "--columns", "online-retail", "--faults", "duplicate", "--defect", "dedup-by-message-id"];
    let summary = folder.run("out", &source, 1);
    assert!(text(&summary.cases()[0]["findings"][0]["reproduce"]).contains("--source"), "{}", summary.cases()[0]["findings"][0]);
}

/// The whole history is too large for the repository: it is used where it lies beside it.
#[test]
fn the_whole_history_runs_where_it_is_at_hand() {
    let file = root().join("../shared/data/online-retail.csv.gz");
    if !file.is_file() {
        // not by a macro, whose output a test that passes does not show
        let _ = writeln!(std::io::stderr(), "NOT RUN: the whole recorded history (no ../shared/data/online-retail.csv.gz)");
        return;
    }
    let folder = Folder::new("recorded-whole");
    let file = file.to_str().expect("a path of text");
    let summary = folder.run("out", &["--source", file, "--columns", "online-retail", "--faults", "none", "--record", "none"], 0);
    let (rows, accepted, ..) = account(&summary);
    assert_eq!(rows, 541_909);
    assert!(accepted > 500_000, "{accepted}");
}
