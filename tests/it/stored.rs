//! What was stored is enough: it is judged, drawn and explained again, and a record that was touched never passes.

use crate::world::{Ended, Folder, items, text, unzipped};
use std::fs;

const CASE: &str = "S01.base.duplicate.app.12";

/// A folder with the run `good` of one case, and its history as text.
fn good(name: &str) -> (Folder, Vec<String>) {
    let folder = Folder::new(name);
    folder.run("good", &["--case", CASE], 0);
    let lines = unzipped(&folder.histories("good")[0].1).lines().map(String::from).collect();
    (folder, lines)
}

/// The lines as a file, judged.
fn check(folder: &Folder, lines: &[String]) -> Ended {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let file = folder.write("h.jsonl", text);
    folder.orderstorm(&["check", &file])
}

#[test]
fn a_whole_history_passes_plain_and_gzipped() {
    let (folder, lines) = good("stored-whole");
    let file = format!("good/histories/{CASE}.jsonl.gz");
    folder.orderstorm(&["check", &file]).exits(0).says(&[CASE, "entries: pass", "NO_OVERSELL", "Reproduce: orderstorm run"]);
    check(&folder, &lines).exits(0);
    let json = folder.orderstorm(&["check", &file, "--format", "json"]).exits(0).json();
    assert_eq!((&json["verdict"], &json["complete"], &json["entries"]), (&"pass".into(), &true.into(), &(lines.len() as u64 - 2).into()));
    let summary = folder.summary("good");
    assert_eq!(json["checks"], summary.case(CASE)["checks"]);
}

#[test]
fn a_history_that_was_cut_short_never_passes_and_says_where() {
    let (folder, lines) = good("stored-cut");
    for kept in [1, 2, 10, lines.len() / 2, lines.len() - 2, lines.len() - 1] {
        check(&folder, &lines[..kept]).exits(4).says(&["not whole", "the footer is missing", &format!("after line {kept}"), "it cannot pass"]);
    }
    let whole = lines.join("\n");
    for at in [whole.len() / 3, whole.len() - 5] {
        let file = folder.write("cut.jsonl", &whole.as_bytes()[..at]);
        folder.orderstorm(&["check", &file]).exits(4).says(&["the footer is missing", "in the middle of an entry"]);
    }
    let bytes = folder.histories("good")[0].1.clone();
    for at in [bytes.len() / 2, bytes.len() - 100, bytes.len() - 4] {
        let file = folder.write("cut.jsonl.gz", &bytes[..at]);
        folder.orderstorm(&["check", &file]).exits(4).says(&["not whole", "cut off"]);
    }
    // not even the header is there: nothing can be judged
    for at in [30, 0] {
        let file = folder.write("cut.jsonl.gz", &bytes[..at]);
        folder.orderstorm(&["check", &file]).exits(2).says(&["cut.jsonl.gz"]);
    }
    let file = folder.write("cut.jsonl", &whole.as_bytes()[..100]);
    folder.orderstorm(&["check", &file]).exits(2).says(&["cut.jsonl:1: the file ends in the middle of its first line"]);
}

#[test]
fn a_field_that_was_edited_is_noticed_by_the_digest() {
    let (folder, lines) = good("stored-edited");
    for (what, by) in
        [("\"code\":\"accept\"", "\"code\":\"reject\""), ("\"amount\":4800", "\"amount\":4801"), ("\"op\":\"mark.rest\"", "\"op\":\"mark.calm\"")]
    {
        let at = lines.iter().skip(1).position(|line| line.contains(what)).expect("such a line") + 1;
        let mut edited = lines.clone();
        edited[at] = edited[at].replace(what, by);
        let ended = check(&folder, &edited).says(&["the digest in the footer", "the file was changed after it was written"]);
        assert!(matches!(ended.code, 1 | 4), "{ended}");
    }
    let mut header = lines.clone();
    header[0] = header[0].replace("\"seed\":1", "\"seed\":2");
    check(&folder, &header).exits(4).says(&["the digest in the footer"]);
}

#[test]
fn lines_that_were_taken_out_put_in_or_moved_are_noticed() {
    let (folder, lines) = good("stored-lines");
    let mut without = lines.clone();
    without.remove(49);
    check(&folder, &without).exits(4).says(&["line 50 is entry 50 where 49 should follow", "unknown"]);
    let mut last = lines.clone();
    last.remove(lines.len() - 2);
    check(&folder, &last).exits(4).says(&["counts", "lines were taken out or put in"]);
    let mut twice = lines.clone();
    twice.insert(60, lines[59].clone());
    check(&folder, &twice).exits(4).says(&["should follow"]);
    let mut swapped = lines.clone();
    swapped.swap(70, 71);
    check(&folder, &swapped).exits(4).says(&["should follow"]);
    let mut after = lines.clone();
    after.push(lines[5].clone());
    check(&folder, &after).exits(4).says(&["stands after the footer"]);
}

#[test]
fn what_is_no_history_is_refused_with_its_line() {
    let (folder, lines) = good("stored-junk");
    let mut junk = lines.clone();
    junk[49] = "foreign junk".into();
    check(&folder, &junk).exits(2).says(&["h.jsonl:50:2: not JSON", "| foreign junk", "one JSON object a line"]);
    let mut key = lines.clone();
    let at = key.iter().skip(1).position(|line| line.contains("\"order\":")).expect("such a line") + 1;
    key[at] = key[at].replacen("\"order\":", "\"odrer\":", 1);
    check(&folder, &key).exits(2).says(&[&format!("h.jsonl:{}:", at + 1), "unknown key `odrer`", "did you mean `order`?"]);
    let mut op = lines.clone();
    let at = op.iter().position(|line| line.contains("\"op\":\"payment.authorized\"")).expect("such a line");
    op[at] = op[at].replace("payment.authorized", "payment.authorised");
    check(&folder, &op).exits(2).says(&[&format!("h.jsonl:{}:", at + 1), "payment.authorised", "did you mean `payment.authorized`?"]);
    let mut version = lines.clone();
    version[0] = version[0].replace("\"orderstorm_history\":1", "\"orderstorm_history\":99");
    check(&folder, &version).exits(2).says(&["h.jsonl:1", "format version 99"]);
    check(&folder, &["{\"a\":1}".to_string()]).exits(2).says(&["h.jsonl:1", "not the header of a history"]);
    let file = folder.write("bytes.jsonl", [0xff, 0xfe, 0x00, b'\n', 0x80]);
    folder.orderstorm(&["check", &file]).exits(2).says(&["bytes.jsonl:1"]);
    folder.orderstorm(&["check", "good"]).exits(2).says(&["good: ", "directory"]);
    folder.orderstorm(&["check", "nothing.jsonl"]).exits(2).says(&["nothing.jsonl: cannot be opened"]);
}

#[test]
fn the_history_of_a_defect_is_judged_as_the_run_judged_it() {
    let folder = Folder::new("stored-defect");
    for defect in ["dedup-by-message-id", "split-captures-full", "backorders-lifo", "negative-delta-ignored"] {
        let summary = folder.run(defect, &["S01", "S02", "S03.base", "S05.fifo", "--defect", defect, "--faults", "none,duplicate"], 1);
        let case = summary.with_verdict("fail").next().expect("a failing case");
        let file = format!("{defect}/{}", text(&items(&case["histories"])[0]));
        let json = folder.orderstorm(&["check", &file, "--format", "json"]).exits(1).json();
        assert_eq!(json["verdict"], "fail");
        assert_eq!(json["findings"], case["findings"], "{defect}");
        assert_eq!(json["checks"], case["checks"], "{defect}");
        let first = &case["findings"][0];
        folder.orderstorm(&["check", &file]).exits(1).says(&[text(&first["check"]), text(&first["what"]), text(&first["expected"])]);
    }
}

#[test]
fn a_stored_run_is_drawn_again_as_it_was() {
    let folder = Folder::new("stored-report");
    folder.run("d", &["S01", "--defect", "dedup-by-message-id", "--faults", "none,duplicate"], 1);
    let read = |name: &str| fs::read(folder.at("d").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let names = ["report.html", "junit.xml", "summary.json"];
    let before = names.map(read);
    names[..2].iter().for_each(|name| fs::remove_file(folder.at("d").join(name)).expect("a file to remove"));
    folder.orderstorm(&["report", "d"]).exits(0).says(&["FAIL", "ACCEPT_ONCE", "report.html"]);
    for (name, before) in names.iter().zip(before) {
        assert!(read(name) == before, "{name} differs");
    }
    folder.orderstorm(&["report", "nowhere"]).exits(2).says(&["nowhere is not the folder of a run", "= help:"]);
    folder.write("d/summary.json", "{}");
    folder.orderstorm(&["report", "d"]).exits(2).says(&["not a summary"]);
    folder.write("d/summary.json", "{\"orderstorm_summary\":99}");
    folder.orderstorm(&["report", "d"]).exits(2).says(&["format version 99"]);
}

#[test]
fn the_story_of_an_order_shows_facts_beside_claims() {
    let (folder, _) = good("stored-explain");
    let both = ["facts", "claims of the target", "payment.captured", "node.shipped", "Reproduce: orderstorm run", "order O1"];
    let told = folder.orderstorm(&["explain", "good", "O1"]).exits(0).says(&both);
    // a fact stands left of the line between the columns, a claim right of it
    let beside = |what: &str| {
        let columns = told.out.lines().filter_map(|line| line.split_once('|'));
        columns.map(|(left, right)| (left.contains(what), right.contains(what))).find(|(left, right)| *left || *right)
    };
    assert_eq!(beside("node.shipped"), Some((true, false)), "{told}");
    assert_eq!(beside("order.accepted"), Some((false, true)), "{told}");
    let file = format!("good/histories/{CASE}.jsonl.gz");
    for order in ["1", "o1", "#1"] {
        assert_eq!(folder.orderstorm(&["explain", &file, order]).exits(0).out, told.out, "{order}");
    }
    folder.orderstorm(&["explain", "good", "O1", "--case", "S01.*.duplicate.*"]).exits(0);
    for unknown in ["O99", "", "order one", "O-1", "O99999999999"] {
        folder.orderstorm(&["explain", "good", unknown]).exits(2).says(&[&format!("has an order `{unknown}`"), "= help: orders are numbered O1, O2"]);
    }
    folder.orderstorm(&["explain", "good", "O1", "--case", "S09.*"]).exits(2).says(&["no case of this run matches"]);
    folder.orderstorm(&["explain", "good", "O1", "--case", "["]).exits(2).says(&["--case"]);
    folder.run("none", &["--case", CASE, "--record", "none"], 0);
    folder.orderstorm(&["explain", "none", "O1"]).exits(2).says(&["keep histories with --record all"]);
}

#[test]
fn a_reader_who_has_seen_enough_ends_nothing_badly() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let (folder, _) = good("stored-pipe");
    for arguments in [&["explain", "good", "O1"][..], &["report", "good"], &["plan"], &["list", "defects"], &["schema", "scenario"]] {
        let mut child = folder.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let mut first = String::new();
        // the other end is closed after one line
        BufReader::with_capacity(16, child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

#[test]
fn a_folder_that_holds_a_run_is_not_written_over() {
    let (folder, _) = good("stored-again");
    folder.orderstorm(&["run", "--case", CASE, "--out", "good"]).exits(2).says(&["good holds the results of another run", "= help:"]);
}
