//! A run that is stopped, or killed, leaves a record that says so.
#![cfg(unix)]

use crate::live::Service;
use crate::stub::{Freeze, SOLD_OUT, Stub};
use crate::world::{Folder, items, text};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// As many orders as no machine runs in the time that a test waits.
const ENDLESS: &str = "2000000";

#[allow(clippy::disallowed_methods, reason = "another process is waited for")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        pause();
    }
    panic!("not within a minute: {what}");
}

fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("there is a `kill`");
    assert!(sent.success());
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

fn start(folder: &Folder, arguments: &[&str]) -> Child {
    let mut command = folder.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program can be started")
}

/// Until so many histories are there. With two cases at a time all but two of them are of cases that are over.
fn until_recorded(folder: &Folder, least: usize) {
    wait_until("a run that has recorded something", || files(&folder.at("out/histories")).len() >= least);
}

fn ends_with_130(mut child: Child) -> String {
    wait_until("a run that has stopped", || child.try_wait().expect("a child").is_some());
    let ended = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_shop_that_is_waited_for_is_said_to_be_and_the_wait_can_be_ended() {
    let folder = Folder::new("stop-waiting");
    folder.write("shop.toml", include_str!("shop/shop.toml").replace("within = \"5s\"", "within = \"10m\""));
    let wait = |arguments: &[&str]| {
        let mut command = folder.command(arguments);
        for (name, value) in [("SHOP_URL", "http://127.0.0.1:1"), ("SHOP_SECRET", "s"), ("SHOP_PASSWORD", "p")] {
            command.env(name, value);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let mut said = BufReader::new(child.stderr.take().expect("its standard error"));
        let mut first = String::new();
        said.read_line(&mut first).expect("it says that it waits");
        assert!(first.starts_with("waiting  127.0.0.1:1: not ready yet after 1s; it is asked for 10m "), "{first}");
        signal("-INT", &child);
        ends_with_130(child);
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("text");
        rest
    };
    let said = wait(&["check-target", "shop.toml"]);
    assert!(said.contains("127.0.0.1:1: stopped before it was ready") && said.contains("Connection refused"), "{said}");
    wait(&["run", "S01.base", "--faults", "none", "--target", "shop.toml", "--out", "out"]);
    let summary = folder.summary("out");
    assert!(summary.cases().is_empty() && summary.0["partial"] == true, "{:?}", summary.cases());
}

#[test]
fn a_run_that_is_stopped_keeps_what_it_has_and_does_not_pass() {
    let folder = Folder::new("stop-matrix");
    let child = start(&folder, &["run", "--seeds", "2000", "--record", "all", "--jobs", "2", "--out", "out"]);
    until_recorded(&folder, 6);
    signal("-INT", &child);
    assert!(ends_with_130(child).contains("Stopping"));
    let summary = folder.summary("out");
    assert_eq!(summary.0["partial"], true);
    assert_eq!(summary.0["verdict"], "unknown", "what was not run was not shown");
    assert!(summary.with_verdict("pass").count() > 0, "what came to its end before counts");
    assert_eq!(summary.with_verdict("fail").count(), 0);
    for case in summary.with_verdict("unknown") {
        assert!(text(&case["reason"]).contains("stopped"), "{case}");
    }
    assert!(files(&folder.at("out")).contains(&"report.html".to_string()));
    folder.orderstorm(&["report", "out"]).exits(0);
}

#[test]
fn a_case_that_is_stopped_is_unknown_and_so_is_its_history() {
    let folder = Folder::new("stop-case");
    // stock that all orders share keeps them in one partition, so that the stop falls into it
    let scenario = format!(
        "name = \"LONG\"\ntitle = \"t\"\nstock = {{ \"A@DC1\" = {ENDLESS} }}\nmatrix = {{ channels = [\"web\"], orders = [{ENDLESS}], stock = \"fixed\", gap = \"1s\" }}\n\
         [order]\nlines = [{{ sku = \"A\", qty = 1 }}]\n[expect]\nflow = [\"order.accepted > order.completed\"]\n"
    );
    let file = folder.write("long.toml", scenario);
    let child = start(&folder, &["run", &file, "--faults", "none", "--record", "all", "--out", "out"]);
    let history = folder.at(&format!("out/histories/LONG.base.none.web.{ENDLESS}.jsonl.gz"));
    wait_until("a history with something in it", || std::fs::metadata(&history).is_ok_and(|file| file.len() > 100_000));
    signal("-INT", &child);
    ends_with_130(child);
    let summary = folder.summary("out");
    assert_eq!((&summary.0["partial"], &summary.0["verdict"]), (&true.into(), &"unknown".into()));
    let [case] = summary.cases() else { panic!("{} cases", summary.cases().len()) };
    assert_eq!(case["verdict"], "unknown");
    assert!(text(&case["reason"]).contains("stopped before"), "{case}");
    let [file] = items(&case["histories"]) else { panic!("{case}") };
    let ended = folder.orderstorm(&["check", &format!("out/{}", text(file)), "--format", "json"]).exits(4);
    let json = ended.json();
    assert_eq!((&json["verdict"], &json["findings"]), (&"unknown".into(), &serde_json::json!([])), "{ended}");
    assert_eq!(json["entries"], case["entries"]);
}

#[test]
fn a_stopped_run_with_findings_still_proves_them() {
    let folder = Folder::new("stop-findings");
    let child = start(&folder, &["run", "--seeds", "2000", "--record", "failures", "--jobs", "2", "--defect", "captured-event-lost", "--out", "out"]);
    until_recorded(&folder, 3);
    signal("-INT", &child);
    ends_with_130(child);
    let summary = folder.summary("out");
    assert_eq!(summary.0["verdict"], "fail");
    for case in summary.with_verdict("fail") {
        for finding in items(&case["findings"]) {
            assert!(items(&finding["evidence"]).iter().any(|row| row["marked"] == true), "{}: {finding}", case["name"]);
        }
    }
}

/// A search is stopped when it has said so many lines with these words: these lines, and what the search leaves in `out`.
fn stopped_after(folder: &Folder, child: &mut Child, words: &str, times: usize) -> (Vec<String>, serde_json::Value) {
    let mut said = BufReader::new(child.stderr.take().expect("its errors"));
    let mut lines: Vec<String> = Vec::new();
    while lines.len() < times {
        let mut line = String::new();
        assert!(said.read_line(&mut line).expect("text") > 0, "it ended before that");
        if line.contains(words) {
            lines.push(line);
        }
    }
    signal("-INT", child);
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("a child").code(), Some(130), "{rest}");
    assert!(!rest.contains("panicked"), "{rest}");
    let found = std::fs::read_to_string(folder.at("out/capacity.json")).expect("it is there");
    (lines, serde_json::from_str(&found).expect("JSON"))
}

#[test]
fn a_search_that_is_stopped_shows_the_trials_that_it_made() {
    let folder = Folder::new("stop-capacity");
    let mut child = start(
        &folder,
        &["capacity", "--from", "100", "--most", "20000", "--service", "workers=100000,queue=none", "--format", "json", "--out", "out"],
    );
    let (_, found) = stopped_after(&folder, &mut child, "trial 1: ", 1);
    assert_eq!((&found["partial"], &found["confirmed"]), (&true.into(), &false.into()), "{found}");
    let held = items(&found["trials"]).iter().filter(|trial| trial["held"] == true).filter_map(|trial| trial["rate"].as_f64()).fold(0.0, f64::max);
    assert!(held >= 100.0 && found["held"] == held, "{found}");
}

/// What build servers end a program with.
#[test]
fn a_run_that_is_terminated_ends_as_one_that_is_stopped_by_hand() {
    let folder = Folder::new("stop-term");
    let child = start(&folder, &["run", "S01", "--seeds", "1000", "--record", "all", "--jobs", "2", "--out", "out"]);
    until_recorded(&folder, 3);
    signal("-TERM", &child);
    let said = ends_with_130(child);
    assert!(said.contains("Stopping: "), "{said}");
    assert!(folder.summary("out").cases().iter().any(|case| case["verdict"] == "pass"));
}

#[test]
fn a_live_search_that_is_stopped_keeps_what_was_done_wrong() {
    let folder = Folder::new("stop-live-search");
    let service = Service::start(&folder, &["--defect", "captured-event-lost"]);
    let search = ["capacity", "--target", "reference", "--from", "40", "--format", "json", "--log", "info", "--log-format", "json", "--out", "out"];
    let mut search = folder.command(&search);
    search.env("ORDERSTORM_TARGET_URL", &service.url).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = search.spawn().expect("the program can be started");
    let (opened, found) = stopped_after(&folder, &mut child, "\"sandbox opened\"", 2);
    // what is still on its way to one trial is not heard by the next
    let name = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["case"].to_string();
    assert_ne!(name(&opened[0]), name(&opened[1]));
    let first = &items(&found["trials"])[0];
    assert_eq!((&found["partial"], &found["confirmed"], found["held"].as_f64()), (&true.into(), &false.into(), Some(0.0)), "{found}");
    assert!(first["rate"] == 40.0 && first["held"] == false && first["orders"].as_u64() > Some(400), "{first}");
    assert!(text(&first["why"]).starts_with("something was done wrong: PARTNER_AGREEMENT"), "{first}");
    // whoever doubts it reads the record of the trial
    folder.orderstorm(&["check", "out/trial-1.jsonl.gz"]).exits(1).says(&["PARTNER_AGREEMENT", "never announced"]);
}

#[test]
fn a_fit_that_is_stopped_ends_whatever_it_is_doing_and_writes_nothing() {
    let folder = Folder::new("stop-fit");
    // nobody ever writes to it, so the reader waits for ever
    assert!(Command::new("mkfifo").arg(folder.at("orders.csv")).status().expect("there is a `mkfifo`").success());
    let child = start(&folder, &["fit", "orders.csv", "--out", "mine.toml", "--report", "drawn"]);
    (0..10).for_each(|_| pause());
    signal("-INT", &child);
    let said = ends_with_130(child);
    assert!(said.contains("Stopping: ") && said.contains("no profile and no report were written"), "{said}");
    assert_eq!(files(&folder.at(".")), ["orders.csv"]);
}

#[test]
fn orders_that_are_generated_up_to_a_stop_are_whole_and_counted() {
    let folder = Folder::new("stop-generate");
    let child = start(&folder, &["generate", "--profile", "steady", "--orders", "300000000", "--out", "o.ndjson"]);
    wait_until("some orders", || std::fs::metadata(folder.at("o.ndjson")).is_ok_and(|file| file.len() > 100_000));
    signal("-INT", &child);
    let said = ends_with_130(child);
    let orders = std::fs::read_to_string(folder.at("o.ndjson")).expect("written");
    assert!(orders.ends_with("]}\n"), "whole lines");
    assert!(said.contains(&format!("Stopped: {} of 300000000 orders of steady under seed 1 are in o.ndjson", orders.lines().count())), "{said}");
}

#[test]
fn a_closed_terminal_is_a_stop_and_under_nohup_it_is_none() {
    let folder = Folder::new("stop-hang-up");
    let make = |out: &str| folder.command(&["generate", "--profile", "steady", "--orders", "300000000", "--out", out]);
    let length = |out: &str| std::fs::metadata(folder.at(out)).map_or(0, |file| file.len());
    let mut plain = make("plain.ndjson");
    let plain = plain.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program can be started");
    wait_until("some orders", || length("plain.ndjson") > 100_000);
    signal("-HUP", &plain);
    assert!(ends_with_130(plain).contains("Stopped: "));

    let made = make("kept.ndjson");
    let mut kept = Command::new("nohup");
    kept.arg(made.get_program()).args(made.get_args()).current_dir(folder.at(".")).stdout(Stdio::null()).stderr(Stdio::piped());
    let kept = kept.spawn().expect("there is a `nohup`");
    wait_until("some orders", || length("kept.ndjson") > 100_000);
    signal("-HUP", &kept);
    let before = length("kept.ndjson");
    wait_until("more orders", || length("kept.ndjson") > before + 1_000_000);
    signal("-INT", &kept);
    ends_with_130(kept);
}

/// Where a shell runs the tests in the background it may ignore SIGINT for all of them; then a program without a handler never hears of it.
fn ignores_sigint() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    ignored.is_some_and(|bits| bits & 1 << 1 != 0)
}

#[test]
fn a_verb_with_nothing_to_keep_ends_at_the_first_stop() {
    let folder = Folder::new("stop-plan");
    assert!(Command::new("mkfifo").arg(folder.at("orders.csv")).status().expect("there is a `mkfifo`").success());
    let mut child = start(&folder, &["plan", "--source", "orders.csv", "--columns", "orderstorm"]);
    (0..10).for_each(|_| pause());
    signal(if ignores_sigint() { "-TERM" } else { "-INT" }, &child);
    wait_until("a plan that has stopped", || child.try_wait().expect("a child").is_some());
    assert!(!child.wait().expect("a child").success());
}

/// Whoever ends a program and then its whole group, as `timeout` does, means it once.
#[test]
fn two_stops_at_once_are_one() {
    let folder = Folder::new("stop-twice-at-once");
    let child = start(&folder, &["run", "--seeds", "2000", "--record", "all", "--out", "out"]);
    until_recorded(&folder, 1);
    signal("-TERM", &child);
    signal("-TERM", &child);
    ends_with_130(child);
    assert!(folder.at("out/summary.json").exists(), "what there was is told");
}

#[test]
fn a_second_stop_ends_at_once() {
    let folder = Folder::new("stop-twice");
    let stub = Stub::start(Some(Freeze { after: Duration::from_millis(100), lasts: Duration::from_secs(6) }));
    let (scenario, target) = (folder.write("load.toml", SOLD_OUT), folder.write("stub.toml", stub.profile()));
    let profile = folder.write("rate.toml", "name = \"rate\"\ntitle = \"t\"\norders = 1000\n[arrival]\nprocess = \"poisson\"\nrate = 50.0\n");
    let child = start(&folder, &["run", &scenario, "--faults", "none", "--profile", &profile, "--target", &target, "--out", "out"]);
    wait_until("orders under way", || stub.orders().0 >= 3);
    // it stands still by now
    (0..8).for_each(|_| pause());
    signal("-INT", &child);
    // a target that stands still is waited for a while
    (0..16).for_each(|_| pause());
    signal("-INT", &child);
    ends_with_130(child);
    assert!(!folder.at("out/summary.json").exists(), "it did not come to that");
}

/// A target that says nothing more after its first line: the case is under way, and nearly nothing of it is recorded.
const MUTE: &str = r#"name = "mute"
title = "Takes everything in and answers nothing"
protocol = "adapter"
capabilities = []

[adapter]
command = ["sh", "-c", '''read line; echo '{"re":1,"class":"ok","result":{"protocol":"adapter/1","name":"mute","clock":"skip"}}'; while read line; do :; done''']

[clock]
mode = "skip"
"#;

#[test]
fn a_live_run_that_is_killed_has_the_case_under_way_on_the_disk() {
    let folder = Folder::new("stop-kill-live");
    let mute = folder.write("mute.toml", MUTE);
    let mut child = start(&folder, &["run", "S01.base", "--faults", "none", "--orders", "1", "--target", &mute, "--out", "out"]);
    wait_until("a history", || !files(&folder.at("out/histories")).is_empty());
    (0..4).for_each(|_| pause());
    signal("-KILL", &child);
    child.wait().expect("a child");
    let names = files(&folder.at("out/histories"));
    let name = names.iter().find(|name| name.ends_with(".jsonl.gz")).expect("begun");
    folder.orderstorm(&["check", &format!("out/histories/{name}")]).exits(4).says(&["S01.base.none.", "not whole"]);
}

/// What the profile makes wait would take two minutes to be sent: whoever stops the run sends no more of it.
#[test]
fn orders_that_wait_for_their_turn_are_not_sent_after_a_stop() {
    let folder = Folder::new("stop-queued");
    let service = Service::start(&folder, &[]);
    let profile = "name = \"slow\"\ntitle = \"Few at a time\"\n[http]\nbase_url = \"URL\"\n[clock]\nmode = \"skip\"\n[limits]\nmax_rate = 10\n";
    let target = folder.write("slow.toml", profile.replace("URL", &service.url));
    let load = "name = \"crowd\"\ntitle = \"A crowd\"\norders = 1200\n[arrival]\nprocess = \"poisson\"\nrate = 600.0\n";
    let load = folder.write("crowd.toml", load);
    let run = ["run", "S01.base", "--faults", "none", "--profile", &load, "--target", &target, "--record", "all", "--out", "out"];
    let child = start(&folder, &run);
    wait_until("a history", || !files(&folder.at("out/histories")).is_empty());
    (0..100).for_each(|_| pause());
    signal("-INT", &child);
    ends_with_130(child);
    assert!(folder.at("out/summary.json").exists());
}

#[test]
fn a_run_that_is_killed_leaves_no_half_summary_and_its_last_histories_are_incomplete() {
    let folder = Folder::new("stop-kill");
    let mut child = start(&folder, &["run", "S01.base", "--faults", "none", "--orders", ENDLESS, "--record", "all", "--jobs", "2", "--out", "out"]);
    wait_until("some histories", || files(&folder.at("out/histories")).len() > 3);
    signal("-KILL", &child);
    let status = child.wait().expect("a child");
    assert_eq!(status.code(), None, "ended by the signal");
    assert_eq!(files(&folder.at("out")), ["histories"], "neither a summary nor a part of one");
    let names = files(&folder.at("out/histories"));
    let codes: Vec<i32> = names[names.len() - 2..]
        .iter()
        .map(|name| {
            let ended = folder.orderstorm(&["check", &format!("out/histories/{name}")]);
            match ended.code {
                0 => ended,
                // cut within the first block, or later
                2 => ended.says(&[name]),
                _ => ended.exits(4).says(&["not whole", "the footer is missing"]),
            }
            .code
        })
        .collect();
    assert!(codes.iter().any(|code| *code != 0), "{codes:?}");
    folder.orderstorm(&["report", "out"]).exits(2).says(&["did not come to its end", "orderstorm check out/histories/"]);
    folder.orderstorm(&["check", &format!("out/histories/{}", names[0])]).exits(0);
    // another run beside what is left of it would pass for one with it
    folder
        .orderstorm(&["run", "S01.base", "--faults", "none", "--out", "out"])
        .exits(2)
        .says(&["out holds histories of a run that did not come to its end"]);
    assert_eq!(files(&folder.at("out/histories")), names);
}
