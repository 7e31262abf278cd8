//! Load profiles as their users meet them: run, planned, generated, reduced, and refused where they mean nothing.

use crate::source::{read, root};
use crate::world::{Folder, items, text};
use std::process::{Command, Stdio};

const PROFILES: [&str; 10] =
    ["steady", "diurnal", "flash-sale", "holiday-peak", "promo-email", "retry-storm", "bot-drop", "hot-sku", "marketplace-batch", "inventory-feed"];

#[test]
fn every_shipped_profile_is_run_and_found_right() {
    let folder = Folder::new("load-shipped");
    for profile in PROFILES {
        let out = format!("out-{profile}");
        let arguments = ["--profile", profile, "--orders", "600", "--faults", "none,duplicate,delay,crash-placed", "--record", "none"];
        let summary = folder.run(&out, &arguments, 0);
        let cases = summary.cases();
        assert_eq!(cases.len(), 4, "{profile}");
        assert!(cases.iter().all(|case| text(&case["scenario"]) == "LOAD" && text(&case["variant"]) == profile));
        assert!(text(&cases[0]["reproduce"]).contains(&format!("--profile {profile} ")), "{}", cases[0]["reproduce"]);
    }
}

/// The same crowd, with a target that looks at the stock two seconds before it takes it, and with one that does not.
#[test]
fn a_run_says_what_race_it_would_have_shown_and_what_race_it_did() {
    let folder = Folder::new("race");
    let crowd = ["--profile", "hot-sku", "--orders", "2000", "--faults", "none", "--record", "none"];
    let clean = folder.run("clean", &crowd, 0);
    let seen = &clean.0["cases"][0]["sell_outs"];
    assert!(seen["count"].as_u64() >= Some(1) && seen["raced"] == 0 && seen["window_ms"].is_null(), "{seen}");
    let shows = seen["shows_from_ms"].as_f64().expect("it was asked for");
    assert!(0.1 < shows && shows < 100.0, "{shows}");
    let racing = folder.run("racing", &[&crowd[..], &["--defect", "check-then-reserve"]].concat(), 1);
    let seen = &racing.0["cases"][0]["sell_outs"];
    assert!(seen["raced"].as_u64() > Some(100), "{seen}");
    let window = seen["window_ms"].as_f64().expect("a window");
    assert!(500.0 < window && window < 4_000.0, "{window}");
    let page = std::fs::read_to_string(folder.at("racing").join("report.html")).expect("a page");
    assert!(page.contains("of the last unit&#x27;s buyer") || page.contains("of the last unit's buyer"), "the page tells it");
}

#[test]
fn a_profile_names_its_own_fault_sets_and_its_orders_may_share_one_stock() {
    let folder = Folder::new("load-own");
    let summary = folder.run("hot", &["--profile", "hot-sku", "--orders", "5000", "--record", "all"], 0);
    let cases = summary.cases();
    assert_eq!(cases.iter().map(|case| text(&case["fault"])).collect::<Vec<_>>(), ["everyday"]);
    assert!(cases[0]["faults_fired"].as_object().is_some_and(|fired| fired.len() == 9), "every rule acts: {}", cases[0]["faults_fired"]);
    assert_eq!(items(&cases[0]["histories"]).len(), 1, "one stock cannot be cut");
    let cut = folder.run("cut", &["--profile", "steady", "--orders", "5000", "--record", "all", "--faults", "none"], 0);
    assert_eq!(items(&cut.cases()[0]["histories"]).len(), 5);
    // a scenario that only borrows the times of a profile keeps the whole matrix
    let plan = folder.orderstorm(&["plan", "S01.base", "--profile", "hot-sku", "--format", "json"]).exits(0);
    assert!(plan.out.matches("S01.base.").count() > 30, "{}", plan.out);
}

/// Partitions have seeds of their own and a modulation in common, so neither their number nor the threads show.
#[test]
fn the_same_orders_come_out_whatever_the_number_of_threads() {
    let folder = Folder::new("load-jobs");
    let digests = |jobs: &str| {
        let arguments = ["--profile", "flash-sale", "--orders", "5000", "--faults", "none", "--record", "none", "--jobs", jobs];
        let summary = folder.run(&format!("jobs-{jobs}"), &arguments, 0);
        summary.cases().iter().map(|case| text(&case["digest"]).to_string()).collect::<Vec<_>>()
    };
    let one = digests("1");
    assert!(one.len() == 1 && !one[0].is_empty());
    assert_eq!(one, digests("3"));
}

#[test]
fn a_plan_shows_the_shape_and_what_is_assumed_and_draws_it() {
    let folder = Folder::new("load-plan");
    let plan = ["plan", "--profile", "flash-sale", "--faults", "none", "--plot", "drawn"];
    folder.orderstorm(&plan).exits(0).says(&[
        "peak / mean",
        "dispersion",
        "backlog",
        "assumed      arrival.flash.floor",
        "LOAD.flash-sale.none.app.5000",
    ]);
    for name in ["rate", "popularity", "baskets"] {
        let svg = std::fs::read_to_string(folder.at(&format!("drawn/flash-sale-{name}.svg"))).expect("drawn");
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{name}");
    }
    let json = folder.orderstorm(&["plan", "--profile", "steady", "--faults", "none", "--format", "json"]).exits(0);
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert!((95.0..105.0).contains(&json["load"]["rate"].as_f64().expect("a rate")), "{json}");
    folder.orderstorm(&["plan", "S01", "--plot"]).exits(2).says(&["--profile"]);
}

#[test]
fn a_scenario_keeps_its_orders_and_takes_the_times_of_a_profile() {
    let folder = Folder::new("load-lent");
    folder.write("times", "0\n0.5\n60\n");
    let replay = folder.write("replay.toml", "name = \"r\"\ntitle = \"t\"\norders = 5\n[arrival]\nprocess = \"replay\"\ntimes = \"times\"\n");
    let summary = folder.run("lent", &["S01.base", "--profile", &replay, "--faults", "none"], 0);
    assert!(summary.cases().iter().all(|case| case["orders"] == 5 && text(&case["scenario"]) == "S01"));
    folder.orderstorm(&["explain", "lent", "O3"]).exits(0).says(&["00:02:00"]);
    // who does not say how many orders there are means those that were recorded
    let all = folder.write("all.toml", "name = \"r\"\ntitle = \"t\"\n[arrival]\nprocess = \"replay\"\ntimes = \"times\"\n");
    let summary = folder.run("all", &["S01.base", "--profile", &all, "--faults", "none"], 0);
    assert!(summary.cases().iter().all(|case| case["orders"] == 3));
    folder.write("times", "0\n1\n0.5\n");
    folder.orderstorm(&["plan", "--profile", &replay]).exits(2).says(&["times: line 3", "earlier"]);
    folder.write("times", "soon\n");
    folder.orderstorm(&["plan", "--profile", &replay]).exits(2).says(&["line 1: `soon` is no time"]);
    std::fs::remove_file(folder.at("times")).expect("there");
    folder.orderstorm(&["plan", "--profile", &replay]).exits(2).says(&["cannot read"]);
}

#[test]
fn what_was_generated_can_be_replayed_and_is_not_written_over() {
    let folder = Folder::new("load-generated");
    let generate = ["generate", "--profile", "steady", "--orders", "300", "--seed", "4", "--format", "csv", "--out", "orders.csv"];
    folder.orderstorm(&generate).exits(0).says(&["300 orders of steady under seed 4"]);
    let first = std::fs::read(folder.at("orders.csv")).expect("written");
    folder.orderstorm(&generate).exits(2).says(&["is there already", "--force"]);
    folder.orderstorm(&[&generate[..], &["--force"]].concat()).exits(0);
    assert_eq!(first, std::fs::read(folder.at("orders.csv")).expect("written"), "the same bytes");
    folder.run("replayed", &["--source", "orders.csv", "--columns", "orderstorm", "--faults", "none", "--record", "none"], 0);

    let parquet = ["generate", "--profile", "steady", "--orders", "300", "--format", "parquet", "--out", "orders.parquet"];
    if cfg!(feature = "parquet") {
        folder.orderstorm(&parquet).exits(0);
        let file = std::fs::read(folder.at("orders.parquet")).expect("written");
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
        folder.orderstorm(&[&parquet[..], &["--force", "--feeds", "feed"]].concat()).exits(2).says(&["feeds are written as NDJSON or CSV"]);
    } else {
        folder.orderstorm(&parquet).exits(2).says(&["without the feature `parquet`", "--features parquet"]);
        assert!(!folder.at("orders.parquet").exists());
    }

    let feed = ["generate", "--profile", "inventory-feed", "--orders", "20", "--out", "o.ndjson", "--feeds", "f.ndjson"];
    folder.orderstorm(&feed).exits(0);
    assert!(std::fs::read_to_string(folder.at("f.ndjson")).expect("written").lines().count() > 20 * 35);
    folder.orderstorm(&["generate", "--profile", "steady", "--feeds", "g"]).exits(2).says(&["has no stock feed"]);
    let plain = folder.write("plain.toml", "name = \"p\"\ntitle = \"t\"\n[arrival]\n");
    folder.orderstorm(&["generate", "--profile", &plain]).exits(2).says(&["does not say what orders are about"]);
}

/// Batches of very different sizes: another draw is another stream.
#[test]
fn a_plan_is_of_the_stream_that_is_generated() {
    let folder = Folder::new("load-one-stream");
    for (profile, orders, seed) in [("marketplace-batch", "5000", "1"), ("marketplace-batch", "5000", "2"), ("diurnal", "3000", "1")] {
        let asked = ["--profile", profile, "--orders", orders, "--seed", seed];
        let plan = folder.orderstorm(&[&["plan", "--format", "json"], &asked[..]].concat()).exits(0).json();
        let csv = folder.orderstorm(&[&["generate", "--format", "csv"], &asked[..]].concat()).exits(0).out;
        let times: Vec<f64> = csv.lines().skip(1).map(|row| seconds(row.split(',').nth(1).expect("a time"))).collect();
        let planned = plan["load"]["seconds"].as_f64().expect("a number");
        assert!((times.last().expect("orders") - planned).abs() < 0.002, "{profile} under {seed}: {planned} s planned, {:?} generated", times.last());
    }
}

/// Since ten in the morning of the first day, which is when a run begins.
fn seconds(time: &str) -> f64 {
    let of = |from: usize, to: usize| time[from..to].parse::<f64>().expect("digits");
    (of(8, 10) - 1.0) * 86_400.0 + (of(11, 13) - 10.0) * 3_600.0 + of(14, 16) * 60.0 + of(17, 23)
}

#[test]
fn how_long_a_load_takes_is_estimated_from_a_part_of_it() {
    let folder = Folder::new("load-estimate");
    for (profile, measured) in [("flash-sale", "measured on 1000 orders"), ("hot-sku", "on 1 core (measured on 1024 orders)")] {
        let plan =
            folder.orderstorm(&["plan", "--profile", profile]).exits(0).says(&["It would take", measured, "1 case to run", "the only combination"]);
        assert!(!plan.out.contains("was not measured"), "{plan}");
    }
    let sample = root().join("tests/data/online-retail-sample.csv");
    let source = ["plan", "--source", sample.to_str().expect("a path of text"), "--columns", "online-retail", "--faults", "none"];
    folder.orderstorm(&source).exits(0).says(&["It would take", "measured on"]);
    let one = ["run", "--case", "S01.base.none.web.1", "--record", "none", "--out", "one"];
    folder.orderstorm(&one).exits(0).says(&["PASS  1 case: 1 pass"]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_orderstorm"))
        .args(["generate", "--profile", "steady", "--orders", "200000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// What a finding needs of thousands of orders is a scenario file that stands by itself.
#[test]
fn a_failing_case_of_a_load_profile_can_be_reduced() {
    let folder = Folder::new("load-shrink");
    let arguments = ["--profile", "steady", "--orders", "200", "--faults", "duplicate", "--defect", "dedup-by-message-id", "--record", "none"];
    let whole = folder.run("whole", &arguments, 1);
    let failed = whole.with_verdict("fail").next().expect("a failure");
    let check = text(&items(&failed["findings"])[0]["check"]).to_string();
    folder.orderstorm(&["shrink", "whole", "*", "--out", "small.toml"]).exits(0).says(&[&check, "Reproduce: orderstorm run "]);
    let small = std::fs::read_to_string(folder.at("small.toml")).expect("written");
    assert!(small.matches("SKU").count() < 20 && small.matches("[[place]]").count() <= 2, "{small}");
    folder.run("again", &["small.toml", "--defect", "dedup-by-message-id", "--record", "none"], 1);
    folder.run("correct", &["small.toml", "--record", "none"], 0);
}

#[test]
fn the_profile_of_the_page_is_accepted() {
    let page = read("docs/load.md");
    let example = page.split("```toml\n").nth(1).and_then(|after| after.split("```").next()).expect("an example");
    let folder = Folder::new("load-page");
    let file = folder.write("evening.toml", example);
    folder.run("out", &["--profile", &file, "--orders", "300", "--faults", "none", "--record", "none"], 0);
    assert!(root().join("docs/load.md").exists());
}

/// Up to the end and not beyond it: a ramp that the duration cuts, a jump where the last ramp ends.
#[test]
fn what_a_duration_cuts_is_no_mistake() {
    let folder = Folder::new("load-cut");
    for body in [
        "duration = \"1h\"\nstages = [{ for = \"50m\", to = 2 }, { for = \"1h\", to = 0 }]\n",
        "stages = [{ for = \"1h\", to = 2 }, { for = \"0s\", to = 0 }]\n",
        "duration = \"1h\"\nflash = { at = \"59m\", rise = \"5m\", peak = 2, exponent = 1 }\n",
    ] {
        let file = folder.write("cut.toml", format!("name = \"l\"\ntitle = \"t\"\n[arrival]\n{body}"));
        folder.orderstorm(&["plan", "S01.base", "--faults", "none", "--profile", &file]).exits(0);
    }
    // whoever asks for less than the profile has gets less
    folder.orderstorm(&["plan", "--profile", "flash-sale", "--duration", "5m", "--faults", "none"]).exits(0);
}

#[test]
fn what_a_profile_cannot_mean_is_refused_in_place() {
    let folder = Folder::new("load-bad");
    let head = "name = \"l\"\ntitle = \"t\"\n";
    let goods = "[arrival]\n[goods]\nskus = 10\n";
    for (body, said) in [
        ("[arrival]\nbranching = 0.5\n", &["4:1", "`branching` has no meaning with `process = \"poisson\"`"][..]),
        ("[arrival]\nprocess = \"hawkes\"\n", &["needs `branching`", "needs `half_life`"]),
        ("[arrival]\nrate = 0\n", &["`rate` must be at least"]),
        ("[arrival]\nrate = 1e300\n", &["`rate` must be at most"]),
        ("[arrival]\nduration = \"0s\"\n", &["must be longer than nothing"]),
        ("[arrival]\nslots = [0.0, 0.0]\n", &["nothing ever comes"]),
        ("[arrival]\nslots = [nan]\n", &["`slots` must be at least 0"]),
        ("[arrival]\nstages = [{ for = \"1m\", to = 0 }]\n", &["every stage ends at 0"]),
        ("[arrival]\nstages = [{ for = \"0s\", to = 2 }]\n", &["last no time at all"]),
        ("[arrival]\nflash = { at = \"1m\", rise = \"1s\", peak = 2, exponent = 1 }\n", &["needs `duration`"]),
        ("[arrival]\nstates = [{ level = 1, stay = \"1m\" }]\n", &["at least 2 items"]),
        ("[arrival]\nduration = \"1d\"\nstates = [{ level = 1, stay = \"1ms\" }, { level = 2, stay = \"1ms\" }]\n", &["too many switches"]),
        ("[arrival]\nprocess = \"batch\"\nevery = \"1m\"\njitter = \"1m\"\nsize = 5\n", &["run into the next"]),
        ("[arrival]\n[basket]\n", &["`basket` has no meaning without `goods`"]),
        (
            "[arrival]\nduration = \"1h\"\nflash = { at = \"2h\", rise = \"1s\", peak = 2, exponent = 1 }\n",
            &[
                "5:16",
                "the sale opens 2h after the first moment, and by then the load is over: it lasts 1h",
                "let it begin before 1h are over, or give a longer `duration`",
            ],
        ),
        ("[arrival]\nduration = \"1h\"\nwave = [{ at = \"1h\", orders = 9, scale = \"1h\", shape = 1 }]\n", &["5:16", "this wave begins 1h after"]),
        ("[arrival]\nduration = \"1m\"\nstages = [{ for = \"2m\", to = 2 }, { for = \"1m\", to = 0 }]\n", &["5:43", "this stage begins 2m after"]),
        (
            "[arrival]\nduration = \"1h\"\n[goods]\nskus = 9\npopularity = [{ share = 0.5, from = \"3h\" }, {}]\n",
            &["7:37", "this law counts 3h after", "it lasts 1h"],
        ),
        ("assumed = [\"arrival.rat\"]\n[arrival]\nrate = 1\n", &["3:12", "`arrival.rat` is no key of this profile"]),
    ] {
        let file = folder.write("bad.toml", format!("{head}{body}"));
        folder.orderstorm(&["plan", "--profile", &file]).exits(2).says(&["bad.toml:"]).says(said);
    }
    for (body, said) in [
        ("popularity = []\n", "must have at least 1 item"),
        ("popularity = [{ law = \"zipf\" }]\n", "`law = \"zipf\"` needs `s`"),
        ("popularity = [{ law = \"zipf\", s = inf }]\n", "`s` must be at most 10"),
        ("popularity = [{ sigma = 1 }]\n", "`sigma` has no meaning with `law = \"uniform\"`"),
        ("popularity = [{ share = 0.7 }, { share = 0.7 }]\n", "the shares add up to 1.400"),
        ("popularity = [{ skus = 11 }]\n", "the catalogue has no SKU beyond 10"),
        ("popularity = [{ law = \"empirical\", weights = [0, 0] }]\n", "these weights choose nothing"),
        ("popularity = [{}]\n[channels]\nweb = 0\n", "no channel has a share"),
        ("popularity = [{}]\n[after]\ncancel = 0.6\nreturn = 0.6\n", "more orders are cancelled or returned than there are"),
        ("popularity = [{}]\n[basket.lines]\nlaw = \"negative_binomial\"\nr = 1\n", "needs `p`"),
    ] {
        let file = folder.write("bad.toml", format!("{head}{goods}{body}"));
        folder.orderstorm(&["plan", "--profile", &file]).exits(2).says(&["bad.toml:", said]);
    }
    // what follows from a mistake is not told as one more
    let file = folder.write("bad.toml", format!("{head}[arrival]\nstages = [{{ for = \"30 parsec\", to = 2 }}]\n"));
    let ended = folder.orderstorm(&["plan", "--profile", &file]).exits(2).says(&["4:19", "`30 parsec` is not a duration"]);
    assert_eq!(ended.err.matches("error: ").count(), 1, "{ended}");
}
