//! Thresholds, pace and pictures as users meet them.

use crate::world::{Folder, Summary, text};
use serde_json::Value;

/// A profile with phases of its own, and what it demands.
const PROFILE: &str = r#"name = "mine"
title = "A ramp and a peak"
orders = 900
thresholds = ["orders.failed == 0", "peak: orders.placed > 400"]
phases = { start = "..5s" }

[arrival]
rate = 10.0
stages = [{ for = "10s", to = 1.0 }, { for = "20s", to = 5.0, name = "peak" }, { for = "10s", to = 0.0 }]

[goods]
skus = 100
popularity = [{ law = "uniform" }]
"#;

fn thresholds(summary: &Summary) -> Vec<Value> {
    summary.cases()[0]["thresholds"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_run_that_holds_its_thresholds_passes_and_says_so() {
    let folder = Folder::new("thresholds-hold");
    let demands = ["--threshold", "latency.ack.p90 < 30s", "--threshold", "orders.failed == 0", "--threshold", "0s..1h: orders.placed == 300"];
    let run = ["run", "--out", "out", "--profile", "steady", "--orders", "300", "--faults", "none"];
    folder.orderstorm(&[&run[..], &demands].concat()).exits(0).says(&["Thresholds", ". latency.ack.p90 < 30s", ". orders.failed == 0"]);
    let all = thresholds(&folder.summary("out"));
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one["verdict"] == "pass"), "{all:?}");
    assert!(all[0]["value"].as_f64().is_some_and(|p90| p90 > 0.0 && p90 < 30.0) && all[0]["limit"] == 30.0 && all[0]["unit"] == "s");
}

#[test]
fn a_run_that_misses_one_fails_and_every_form_of_the_report_tells() {
    let folder = Folder::new("thresholds-miss");
    let run = ["run", "--out", "out", "--profile", "steady", "--orders", "300", "--faults", "none", "--threshold", "latency.ack.p50 < 1us"];
    let again = "orderstorm run --profile steady --orders 300 --faults none --threshold 'latency.ack.p50 < 1us'";
    folder.orderstorm(&run).exits(1).says(&["F latency.ack.p50 < 1us", again]);
    let summary = folder.summary("out");
    let case = &summary.cases()[0];
    assert!(case["findings"].as_array().is_some_and(Vec::is_empty), "nothing else was wrong: {case}");
    assert_eq!(case["verdict"], "fail");
    assert!(text(&case["reason"]).contains("latency.ack.p50 is "), "{}", case["reason"]);
    let file = |name: &str| std::fs::read_to_string(folder.at("out").join(name)).expect(name);
    assert!(file("report.html").contains("id=\"thresholds\"") && file("report.html").contains("latency.ack.p50 &lt; 1us"));
    assert!(file("junit.xml").contains("latency.ack.p50 &lt; 1us") && file("junit.xml").contains("failures=\"1\""));
    // judged alone, the record says the same
    let history = folder.histories("out").first().map(|(name, _)| format!("out/histories/{name}")).expect("kept");
    folder.orderstorm(&["check", &history]).exits(1).says(&["threshold", "latency.ack.p50 is "]);
}

#[test]
fn a_case_in_parts_that_only_together_miss_one_says_why_it_kept_no_history_and_how_to_get_one() {
    let folder = Folder::new("thresholds-parts");
    let run = ["run", "--out", "out", "--profile", "steady", "--orders", "1500", "--faults", "none", "--record", "failures", "--jobs", "2"];
    let ended = folder.orderstorm(&[&run[..], &["--threshold", "latency.ack.p50 < 1us"]].concat()).exits(1);
    let summary = folder.summary("out");
    let case = &summary.cases()[0];
    assert!(folder.histories("out").is_empty() && case["partitions"].as_u64().is_some_and(|parts| parts > 1), "{case}");
    let again = format!("`{} --record all`", text(&case["reproduce"]));
    let reason = text(&case["reason"]);
    assert!(reason.contains("; no history was kept, for none of its ") && reason.contains(&again), "{reason}");
    ended.says(&[&again]);
    let page = std::fs::read_to_string(folder.at("out/report.html")).expect("written");
    assert!(page.contains("no history was kept") && page.contains("--record all"));
    // it does what it says
    let plain = ["--profile", "steady", "--orders", "1500", "--faults", "none", "--threshold", "latency.ack.p50 < 1us", "--seed", "1"];
    folder.run("all", &[&plain[..], &["--case", text(&case["name"]), "--record", "all"]].concat(), 1);
    assert_eq!(folder.histories("all").len() as u64, case["partitions"].as_u64().expect("counted"));
    // one part alone cannot tell, and does not keep silent about it
    let part = folder.histories("all")[0].0.clone();
    let of = format!("part 1 of {} of its case: thresholds are of whole cases", case["partitions"]);
    folder.orderstorm(&["check", &format!("all/histories/{part}")]).exits(0).says(&[&of, "were not judged in this part"]);
}

#[test]
fn what_cannot_be_told_is_unknown_and_never_green() {
    let folder = Folder::new("thresholds-unknown");
    for (n, (demand, why)) in [
        ("latency.ack.p99 < 1h", "p99 needs 1000 samples"),
        ("5h..: latency.ack.max < 1h", "no order was due"),
        ("latency.send_lag.max < 1h", "no such latency was measured"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("out-{n}");
        let run = ["run", "--out", &out, "--profile", "steady", "--orders", "50", "--faults", "none", "--record", "none", "--threshold", demand];
        folder.orderstorm(&run).exits(4).says(&[why]);
        assert_eq!(thresholds(&folder.summary(&out))[0]["verdict"], "unknown");
    }
    // ten that lie beyond the limit are enough to know that p99 does
    let run = ["--profile", "steady", "--orders", "50", "--faults", "none", "--record", "none", "--threshold", "latency.ack.p99 < 1us"];
    assert_eq!(thresholds(&folder.run("certain", &run, 1))[0]["verdict"], "fail");
}

#[test]
fn a_threshold_may_end_a_case_early_and_the_record_can_be_used() {
    let folder = Folder::new("thresholds-abort");
    let ends =
        ["--profile", "steady", "--rate", "50", "--duration", "2m", "--faults", "none", "--threshold", "latency.ack.p50 < 1us abort after 20s"];
    let summary = folder.run("one", &ends, 1);
    let case = &summary.cases()[0];
    let at = thresholds(&summary)[0]["ended_at_s"].as_f64().expect("it was ended");
    assert!((20.0..22.0).contains(&at), "{at}");
    assert!(case["measures"]["orders_placed"].as_u64().is_some_and(|n| (900..1_300).contains(&n)), "{}", case["measures"]["orders_placed"]);
    assert!(text(&case["reason"]).contains("ended the case after"), "{}", case["reason"]);
    let history = folder.histories("one").first().map(|(name, _)| format!("one/histories/{name}")).expect("kept");
    // judged alone, the record names the moment and the value that ended the case, and not what came of it afterwards
    let ended = text(&case["reason"]).to_string();
    folder.orderstorm(&["check", &history]).exits(1).says(&[&ended, "cannot pass"]);
    folder.orderstorm(&["explain", "one", "O3"]).exits(0).says(&["cut short"]);
    // the same again ends at the same entry, on however many threads
    let again = folder.run("two", &[&ends[..], &["--jobs", "3"]].concat(), 1);
    assert_eq!(again.cases()[0]["digest"], case["digest"]);
    // one that holds ends nothing
    let holds = ["--profile", "steady", "--orders", "300", "--faults", "none", "--threshold", "latency.ack.p50 < 1h abort"];
    assert_eq!(folder.run("holds", &holds, 0).cases()[0]["measures"]["orders_placed"], 300);
}

#[test]
fn profiles_and_scenarios_have_thresholds_and_phases_and_mistakes_have_places() {
    let folder = Folder::new("thresholds-files");
    let profile = folder.write("mine.toml", PROFILE);
    let summary = folder.run("mine", &["--profile", &profile, "--faults", "none", "--threshold", "start: orders.placed < 200"], 0);
    let all = thresholds(&summary);
    assert_eq!(all.iter().map(|one| text(&one["phase"])).collect::<Vec<_>>(), ["", "peak", "start"]);
    // under the stages are areas of 5, 60 and 25, and 900 orders
    let peak = all[1]["value"].as_f64().expect("counted");
    assert!((peak - 900.0 * 60.0 / 90.0).abs() < 60.0, "{peak}");
    for (part, wrong, said) in [
        ("peak: orders", "peek: orders", &["mine.toml:4:", "no phase named `peek`", "did you mean `peak`?"][..]),
        ("orders.failed ==", "orders.fialed ==", &["mine.toml:4:", "no metric named `orders.fialed`", "did you mean `orders.failed`?"]),
        ("\"..5s\"", "\"5s\"", &["mine.toml:5:", "no part of a run"]),
        ("start =", "peak =", &["mine.toml:", "a second phase is named `peak`"]),
    ] {
        assert_eq!(PROFILE.matches(part).count(), 1, "{part}");
        let profile = folder.write("mine.toml", PROFILE.replace(part, wrong));
        folder.orderstorm(&["plan", "--profile", &profile]).exits(2).says(said);
    }
    let scenario = "name = \"MINE\"\ntitle = \"t\"\nthresholds = [\"latency.ack.max < 1us\"]\nstock = { \"A@DC1\" = 10 }\n[order]\nlines = [{ sku = \"A\", qty = 2 }]\n";
    let scenario = folder.write("scenario.toml", scenario);
    assert_eq!(thresholds(&folder.run("scenario", &[&scenario, "--faults", "none"], 1))[0]["verdict"], "fail");
    let flag = |demand: &str| folder.orderstorm(&["run", "--profile", "steady", "--threshold", demand]);
    flag("latency.akc.p99 < 1s").exits(2).says(&["--threshold", "did you mean `latency.ack.p99`?", "list metrics"]);
    flag("peak: orders.placed > 1").exits(2).says(&["no phase named `peak`", "load profile steady names none"]);
    flag("orders.failed == 0 abort").exits(2).says(&["known only at the end"]);
    folder.orderstorm(&["list", "metrics"]).exits(0).says(&["latency.ack.p99.99", "requests.failed.share"]);
}

#[cfg(unix)]
#[test]
fn a_live_case_is_ended_early_too() {
    let folder = Folder::new("thresholds-live");
    let served = crate::live::Service::start(&folder, &[]);
    let demand = "latency.ack.p50 < 1us abort after 1s";
    let (code, said) = served.run(&folder, "out", &["--profile", "steady", "--orders", "400", "--faults", "none", "--threshold", demand]);
    assert_eq!(code, 1, "{said}");
    let summary = folder.summary("out");
    let case = &summary.cases()[0];
    assert!(thresholds(&summary)[0]["ended_at_s"].as_f64().is_some_and(|at| at >= 1.0), "{case}");
    assert!(case["measures"]["orders_placed"].as_u64().is_some_and(|n| n < 400), "{}", case["measures"]);
    let history = folder.histories("out").first().map(|(name, _)| format!("out/histories/{name}")).expect("kept");
    folder.orderstorm(&["check", &history]).exits(1).says(&["latency.ack.p50 is "]);
}

#[cfg(unix)]
#[test]
fn who_waits_for_a_place_that_the_profile_of_the_target_does_not_have_shows_nothing_of_the_target() {
    let folder = Folder::new("thresholds-bounded");
    let served = crate::live::Service::start(&folder, &["--service-model=workers=64,law=constant,mean=20ms,queue=none"]);
    let reference = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/target/reference.toml")).expect("it is shipped");
    for (out, was, is, said) in [
        ("places", "max_in_flight = 256", "max_in_flight = 1", "`max_in_flight` under [http]"),
        ("turns", "[limits]\n", "[limits]\nmax_rate = 60\n", "`max_rate` under [limits]"),
    ] {
        assert!(reference.contains(was));
        let target = folder.write("bounded.toml", reference.replacen(was, is, 1));
        let arguments = ["run", "--rate", "100", "--orders", "30", "--profile", "steady", "--faults", "none"];
        let more = ["--out", out, "--target", &target, "--threshold", "latency.ack.p50 < 50ms"];
        let ran =
            folder.command(&[&arguments[..], &more[..]].concat()).env("ORDERSTORM_TARGET_URL", &served.url).output().expect("it can be started");
        let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!(ran.status.code(), Some(4), "{text}");
        let demands = thresholds(&folder.summary(out));
        assert!(demands[0]["verdict"] == "unknown" && demands[0]["reason"].as_str().is_some_and(|why| why.contains(said)), "{demands:?}");
    }
}

#[test]
fn rate_and_duration_set_the_pace_of_a_profile() {
    let folder = Folder::new("pace");
    let plan =
        folder.orderstorm(&["plan", "--profile", "steady", "--rate", "200", "--duration", "10m", "--faults", "none", "--format", "json"]).exits(0);
    let plan: Value = serde_json::from_str(&plan.out).expect("JSON");
    assert_eq!(plan["load"]["orders"], 120_000);
    assert!((plan["load"]["rate"].as_f64().expect("a rate") - 200.0).abs() < 1.0 && plan["load"]["seconds"].as_f64().expect("a length") <= 600.0);
    let generate = ["generate", "--profile", "flash-sale", "--rate", "1/s", "--duration", "1m"];
    let orders = folder.orderstorm(&generate).exits(0);
    assert_eq!(orders.out.lines().count(), 60);
    folder.orderstorm(&["plan", "S01", "--rate", "200"]).exits(2).says(&["--profile"]);
    folder.orderstorm(&["run", "--profile", "bot-drop", "--rate", "fast"]).exits(2).says(&["`fast` is no rate"]);
}

/// Who writes stages in orders a second, and no number of orders, gets those rates.
#[test]
fn a_profile_without_a_number_of_orders_has_as_many_as_its_rates_make() {
    let folder = Folder::new("by-rates");
    let stages = "name = \"k6\"\ntitle = \"Stages\"\n[arrival]\nstages = [{ for = \"1m\", to = 20.0 }, { for = \"5m\", to = 20.0 }]\n";
    let goods = "[goods]\nskus = 10\npopularity = [{ law = \"uniform\" }]\n";
    folder.write("k6.toml", format!("{stages}{goods}"));
    folder.write("times.toml", stages);
    let orders = |more: &[&str]| {
        let plan = folder.orderstorm(&[&["plan", "--faults", "none", "--format", "json"], more].concat()).exits(0);
        serde_json::from_str::<Value>(&plan.out).expect("JSON")["load"]["orders"].clone()
    };
    assert_eq!(orders(&["--profile", "k6.toml"]), 6_600);
    assert_eq!(orders(&["--profile", "k6.toml", "--duration", "1m"]), 600);
    assert_eq!(orders(&["--profile", "k6.toml", "--orders", "50"]), 50);
    // for each case of a scenario that borrows the times it would be many
    assert_eq!(orders(&["S01.base", "--profile", "times.toml"]), 1_000);
}

#[test]
fn a_load_is_drawn_over_time_and_the_same_whatever_the_number_of_threads() {
    let folder = Folder::new("pictures");
    let drawn = |jobs: &str| {
        let out = format!("jobs-{jobs}");
        let run = ["--profile", "steady", "--orders", "5000", "--faults", "none", "--record", "none", "--jobs", jobs];
        let summary = folder.run(&out, &run, 0);
        let course = summary.0["totals"]["course"].clone();
        let offered: u64 = course.as_array().expect("points").iter().filter_map(|point| point["offered"].as_u64()).sum();
        assert_eq!(offered, 5_000);
        let page = std::fs::read_to_string(folder.at(&out).join("report.html")).expect("a page");
        for title in ["Latency over time", "Rate offered and served", "Backlog"] {
            assert!(page.contains(title), "{title}");
        }
        ["latency-over-time", "rate", "backlog"].map(|name| {
            let svg = std::fs::read_to_string(folder.at(&out).join(format!("plots/{name}.svg"))).expect("drawn");
            assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{name}");
            svg
        })
    };
    assert_eq!(drawn("1"), drawn("3"));
    // a run without a load profile has no load to draw
    folder.run("plain", &["S01.base", "--faults", "none", "--record", "none"], 0);
    assert!(!folder.at("plain/plots/rate.svg").exists());
}
