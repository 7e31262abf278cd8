//! Whatever is wrong with what the user gives is said at its place, with exit code 2 and without a panic.

use crate::world::{Ended, Folder};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// A scenario without a mistake; mistakes are made by replacing a part of it.
const SOUND: &str = r#"name = "MINE"
title = "A test of the tests"
stock = { "A@DC1" = 10 }

[order]
lines = [{ sku = "A", qty = 2 }]

[expect]
flow = ["order.accepted > order.completed"]
"#;

/// What is replaced by what, and what is to be said of it, with its place.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("title = \"A", "titel = \"A", &["mine.toml:2:1", "unknown key `titel`", "did you mean `title`?", "2 | titel = \"A test of the tests\""]),
    ("qty = 2", "qty = -2", &["mine.toml:6:29", "`qty` must be at least 1", "6 | lines = [{ sku = \"A\", qty = -2 }]"]),
    ("\"A@DC1\"", "\"AA@DC1\"", &["mine.toml:3:12", "unknown SKU `AA`", "3 | stock = { \"AA@DC1\" = 10 }"]),
    ("order.completed", "order.complete", &["mine.toml:9:27", "unknown event `order.complete`", "did you mean `order.completed`?", "9 | flow"]),
];

fn plan(folder: &Folder, text: impl AsRef<[u8]>) -> Ended {
    let file = folder.write("mine.toml", text);
    folder.orderstorm(&["plan", &file])
}

#[test]
fn the_sound_scenario_is_accepted_and_runs() {
    let folder = Folder::new("bad-sound");
    plan(&folder, SOUND).exits(0).says(&["MINE.base.none.web.1"]);
    folder.run("out", &["mine.toml", "--faults", "none,duplicate", "--record", "none"], 0);
}

#[test]
fn each_mistake_is_shown_at_its_line_and_column_and_alone() {
    let folder = Folder::new("bad-each");
    for (part, wrong, said) in MISTAKES {
        assert_eq!(SOUND.matches(part).count(), 1, "{part}");
        let ended = plan(&folder, SOUND.replace(part, wrong)).exits(2).says(said);
        // a missing `title` is a mistake of its own, and no consequence that the reader could do without
        let expected = if wrong.contains("titel") { 2 } else { 1 };
        assert_eq!(ended.err.matches("error:").count(), expected, "{ended}");
        assert!(ended.out.is_empty(), "{ended}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once_whether_of_form_or_of_meaning() {
    let folder = Folder::new("bad-all");
    let all = MISTAKES.iter().fold(SOUND.to_string(), |text, (part, wrong, _)| text.replace(part, wrong));
    let mut ended = plan(&folder, &all).exits(2);
    for (_, _, said) in MISTAKES {
        ended = ended.says(said);
    }
    assert_eq!(ended.err.matches("error:").count(), MISTAKES.len() + 1, "no less and no more than these and the missing title: {ended}");
    let lines: Vec<usize> =
        ["mine.toml:2:", "mine.toml:3:", "mine.toml:6:", "mine.toml:9:"].iter().filter_map(|place| ended.err.find(place)).collect();
    assert!(lines.len() == 4 && lines.is_sorted(), "in the order of the file: {ended}");
}

#[test]
fn what_only_follows_from_a_mistake_of_form_is_not_said() {
    let folder = Folder::new("bad-follows");
    for (text, errors) in [
        // stock that nobody could read is no reason to doubt what is said of phantoms
        (SOUND.replace("stock = {", "stok = {").replace("[order]", "phantom = { \"A@DC1\" = 3 }\n[order]"), 1),
        // nor lines that could not be read a reason to doubt steps and sums
        (
            SOUND.replace("qty = 2 }", "qty = 2 }, { sku = \"B\", qty = 0 }")
                + "[expect.ledger]\ncaptured = \"line.2\"\n[[step]]\ndo = \"cancel\"\non = \"order.accepted\"\nlines = [{ line = 2 }]\n",
            1,
        ),
        (SOUND.replace("lines = [{ sku = \"A\", qty = 2 }]", "lines = \"none\""), 1),
        // a step whose verb is unknown has no keys that do not fit
        (format!("{SOUND}[[step]]\ndo = \"recieve\"\nnode = \"DC1\"\nsku = \"A\"\nqty = 1\n"), 1),
        (format!("{SOUND}[[step]]\ndo = \"receipt\"\nnod = \"DC1\"\nsku = \"A\"\nqty = 1\n"), 1),
        (format!("{SOUND}[[step]]\ndo = \"receipt\"\nnode = \"DC7\"\nsku = 7\nqty = 1\n"), 2),
        (SOUND.replace("name = \"MINE\"", "name = 5"), 1),
        (SOUND.replace("name = \"MINE\"\n", ""), 1),
        // a variant is looked at like the base
        (format!("{SOUND}[[variant]]\nname = \"v\"\nstock = {{ \"Z@DC1\" = 1 }}\norder = {{ lines = [{{ sku = \"Y\", qty = 0 }}] }}\n"), 3),
    ] {
        let ended = plan(&folder, &text).exits(2);
        assert_eq!(ended.err.matches("error:").count(), errors, "{text}\n{ended}");
    }
}

#[test]
fn a_bad_fault_set_and_a_bad_load_profile_are_shown_with_all_their_mistakes() {
    let folder = Folder::new("bad-profiles");
    let faults = "name = \"evening\"\ntitle = \"t\"\n[[rule]]\nname = \"r\"\nlink = \"calls\"\ndo = \"dely\"\ndelay = \"5 parsecs\"\nshare = 2\n";
    let file = folder.write("evening.toml", faults);
    folder.orderstorm(&["plan", "S01", "--faults", &file]).exits(2).says(&[
        "evening.toml:6:6",
        "`dely` is not a value of `do`",
        "did you mean `delay`?",
        "evening.toml:7:9",
        "`5 parsecs` is not a duration",
        "evening.toml:8:9",
        "`share` must be at most 1",
    ]);
    let text = "name = \"l\"\ntitle = \"t\"\norders = 0\n[arrival]\nprocess = \"poison\"\nrate = nan\nduration = \"soon\"\nrat = 1\n";
    let load = folder.write("load.toml", text);
    folder.orderstorm(&["plan", "S01", "--profile", &load]).exits(2).says(&[
        "load.toml:3:10",
        "`orders` must be at least 1",
        "load.toml:5:11",
        "did you mean `poisson`?",
        "load.toml:6:8",
        "`rate` must be at least",
        "load.toml:7:12",
        "`soon` is not a duration",
        "load.toml:8:1",
        "did you mean `rate`?",
    ]);
}

#[test]
fn unknown_names_are_met_with_what_is_known() {
    let folder = Folder::new("bad-names");
    for (arguments, said) in [
        (&["run", "S99"][..], &["no scenario named `S99`", "S01, S02"][..]),
        (&["run", "S01.last-unit"], &["no variant `last-unit`", "did you mean `last-units`?"]),
        (&["run", "--faults", "duplicat"], &["no fault set named `duplicat`", "did you mean `duplicate`?"]),
        (&["run", "--profile", "flash-sael"], &["no load profile named `flash-sael`", "did you mean `flash-sale`?"]),
        (&["run", "--defect", "dedup-by-message"], &["no defect named `dedup-by-message`", "did you mean `dedup-by-message-id`?"]),
        (&["run", "--target", "http"], &["no target named `http`", "`embedded`"]),
        (&["run", "--case", "S0[1"], &["`S0[1` is no pattern", "'S06.*.delay.*'"]),
        (&["run", "--case", "S01.*.nothing.*"], &["no case matches `S01.*.nothing.*`", "orderstorm plan"]),
        (&["run", "--orders", "0"], &["--orders", "0"]),
        (&["run", "--seed=-1"], &["--seed"]),
        (&["run", "--jobs", "0"], &["--jobs"]),
        (&["run", "--source", "x.csv"], &["--columns"]),
        (&["run", "S01", "--source", "x.csv", "--columns", "online-retail"], &["--source brings its own orders"]),
        (&["schema", "scenaro"], &["no format named `scenaro`", "scenario"]),
        (&["list", "bugs"], &["defects"]),
        (&["sing"], &["sing"]),
        (&[], &["Usage"]),
    ] {
        folder.orderstorm(arguments).exits(2).says(said);
    }
    assert!(!folder.at("results").exists(), "nothing was begun");
}

/// A number below zero is a value, and no option that nobody knows.
#[test]
fn numbers_below_zero_are_refused_for_what_they_are() {
    let folder = Folder::new("bad-below-zero");
    for (arguments, said) in [
        (&["run", "--orders", "-5"][..], "invalid value '-5' for '--orders <N>': -5 is not in 1..=100000000"),
        (&["run", "--seed", "-1"], "invalid value '-1' for '--seed <N>': expected a whole number from 0 to 18446744073709551615"),
        (&["generate", "--profile", "steady", "--seed", "x"], "expected a whole number from 0 to"),
        (&["run", "--seeds", "-3"], "-3 is not in 1..=100000"),
        (&["run", "--profile", "steady", "--rate", "-5"], "--rate: `-5` is no rate"),
        (&["run", "--profile", "steady", "--rate", "5", "--duration", "-5m"], "--duration: `-5m` is not a duration"),
        (&["serve", "--scale", "-.5"], "--scale -0.5: expected a number from 0.001 to 1000"),
        (&["run", "--check-determinism", "-1"], "unexpected value '-1' for '--check-determinism'"),
    ] {
        let ended = folder.orderstorm(arguments).exits(2).says(&[said]);
        assert!(!ended.err.contains("as a value, use"), "{ended}");
    }
    // behind `--` all are names
    folder.orderstorm(&["run", "--", "-5"]).exits(2).says(&["no scenario named `-5`"]);
    assert!(!folder.at("results").exists(), "nothing was begun");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = Folder::new("bad-files");
    folder.orderstorm(&["plan", "nothing.toml"]).exits(2).says(&["cannot read nothing.toml"]);
    std::fs::create_dir(folder.at("folder.toml")).expect("a folder");
    folder.orderstorm(&["plan", "folder.toml"]).exits(2).says(&["there is no .toml file in folder.toml"]);
    folder.orderstorm(&["plan", "--profile", "./folder.toml"]).exits(2).says(&["cannot read ./folder.toml"]);
    plan(&folder, "").exits(2).says(&["mine.toml", "missing key `name`", "missing key `title`"]);
    plan(&folder, "\n\n# nothing\n").exits(2).says(&["missing key `name`"]);
    let garbage: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    plan(&folder, garbage).exits(2).says(&["mine.toml:1:", "not UTF-8"]);
    plan(&folder, b"name = \"x\"\ntitle = \"\xff\"\n").exits(2).says(&["mine.toml:2:10", "not UTF-8", "2 | title"]);
    plan(&folder, "name = \"x\"\ntitle = \n").exits(2).says(&["mine.toml:2:", "not valid TOML"]);
    plan(&folder, "name = \"x\0\"\n").exits(2).says(&["mine.toml:1:", "not valid TOML"]);
}

#[test]
fn deep_nesting_is_refused_and_does_no_harm() {
    let folder = Folder::new("bad-deep");
    let n = 50_000;
    for text in [
        format!("x = {}{}", "[".repeat(n), "]".repeat(n)),
        format!("x = {}1{}", "{ a = ".repeat(n), " }".repeat(n)),
        format!("[{}a]\n", "a.".repeat(n)),
        format!("{}a = 1\n", "a.".repeat(n)),
        // deep enough to be read, and no deeper
        format!("x = {}{}", "[".repeat(60), "]".repeat(60)),
        format!("{SOUND}[[variant]]\nname = \"v\"\n{}a = 1\n", "order.".repeat(60)),
    ] {
        plan(&folder, &text).exits(2).says(&["mine.toml:"]);
    }
    // a chain of a hundred thousand steps, and one of as many brackets
    for flow in ["order.accepted > ".repeat(n) + "order.completed", "(".repeat(n) + "order.completed" + &")".repeat(n)] {
        plan(&folder, SOUND.replace("order.accepted > order.completed", &flow));
    }
}

#[test]
fn numbers_at_the_edge_are_refused_or_carried() {
    let folder = Folder::new("bad-numbers");
    for wrong in ["4294967296", "-1", "99999999999999999999999", "1.5", "\"2\"", "nan", "true", "1979-05-27"] {
        plan(&folder, SOUND.replace("qty = 2", &format!("qty = {wrong}"))).exits(2).says(&["mine.toml:6:29"]);
    }
    for (part, wrong, place) in [("qty = 2", "qty = 2, price = -5", "mine.toml:6:40"), ("qty = 2", "qty = 2, discount = 999999", "mine.toml:6:43")] {
        plan(&folder, SOUND.replace(part, wrong)).exits(2).says(&[place]);
    }
}

#[test]
fn a_recorded_history_that_cannot_be_read_is_refused_with_its_place() {
    let folder = Folder::new("bad-source");
    let source = |file: &str, columns: &str| folder.orderstorm(&["run", "--source", file, "--columns", columns, "--out", "out"]).exits(2);
    let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let row = "536365,85123A,THING,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n";
    source("nothing.csv", "online-retail").says(&["cannot read the order history nothing.csv"]);
    source(".", "online-retail").says(&["cannot read the order history"]);
    let file = folder.write("columns.csv", "InvoiceNo,StockCode\n1,2\n");
    source(&file, "online-retail").says(&["columns.csv:1: no column `Quantity`, which `quantity.column` names", "`InvoiceNo`, `StockCode`"]);
    let file = folder.write("empty.csv", "");
    source(&file, "online-retail").says(&["empty.csv", "the file is empty"]);
    let file = folder.write("bad.csv.gz", b"\x1f\x8bgarbage");
    source(&file, "online-retail").says(&["bad.csv.gz", "cut or damaged"]);
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    zip.write_all(format!("{header}{}", row.repeat(5_000)).as_bytes()).expect("memory");
    let zip = zip.finish().expect("memory");
    let file = folder.write("cut.csv.gz", &zip[..zip.len() - 20]);
    source(&file, "online-retail").says(&["cut.csv.gz", "cut or damaged"]);
    let file = folder.write("good.csv", format!("{header}{row}"));
    source(&file, "no-such-map").says(&["cannot read the column map no-such-map", "online-retail"]);
    let map = crate::source::read("profiles/columns/online-retail.toml");
    let wrong = folder.write("map.toml", map.replace("[quantity]", "[quantty]"));
    source(&file, &wrong).says(&["map.toml:", "quantty", "quantity"]);
    let wrong = folder.write("map.toml", map.replace("minor_digits = 2", "minor_digits = \"two\""));
    source(&file, &wrong).says(&["map.toml:", "minor_digits"]);
    assert!(!folder.at("out").exists(), "nothing was begun");
}

/// What could not be printed is no success, whatever was done.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let folder = Folder::new("full");
    for arguments in [&["list", "scenarios"][..], &["completions", "bash"], &["plan", "S01.base"], &["schema", "fault"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let output = folder.command(arguments).stdout(full).output().expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.contains("cannot print")), (Some(3), true), "{arguments:?}: {said}");
    }
}

/// Each of these would have switched something off without a word.
#[test]
fn words_and_rules_that_do_nothing_are_refused() {
    let folder = Folder::new("idle");
    let target = "name = \"t\"\ntitle = \"t\"\n[http]\nbase_url = \"http://127.0.0.1:1\"\n[policies]\ncapture = \"on_shp\"\n";
    let target = folder.write("target.toml", target);
    folder.orderstorm(&["run", "S01.base", "--target", &target]).exits(2).says(&["target.toml:6", "`on_shp` is no word", "on_ship"]);
    let load = folder.write("load.toml", "name = \"l\"\ntitle = \"t\"\nfaults = []\n[arrival]\nprocess = \"poisson\"\nrate = 5.0\n");
    folder.orderstorm(&["plan", "S01.base", "--profile", &load]).exits(2).says(&["load.toml:3", "names no fault set"]);
    let empty = folder.write("empty.toml", "name = \"bad-evening\"\ntitle = \"t\"\n");
    folder.orderstorm(&["run", "S01.base", "--faults", &empty]).exits(2).says(&["empty.toml:1", "has no rules"]);
}

/// Half of the calls of an outage are half of them, and without a share it is all.
#[test]
fn a_share_of_a_window_is_a_share_of_it() {
    let folder = Folder::new("window");
    let fired = |name: &str, share: &str| {
        let rule =
            format!("name = \"{name}\"\ntitle = \"t\"\n[[rule]]\nname = \"r\"\nlink = \"calls\"\ndo = \"unavailable\"\nlasts = \"20m\"\n{share}");
        let set = folder.write(&format!("{name}.toml"), rule);
        let summary = folder.run(name, &["S01.base", "--faults", &set, "--orders", "12"], 0);
        let fired = summary.cases().iter().filter_map(|case| case["faults_fired"].as_object());
        fired.flat_map(|rules| rules.values().filter_map(serde_json::Value::as_u64)).sum::<u64>()
    };
    let (all, whole, half) = (fired("every", ""), fired("whole", "share = 1.0\n"), fired("half", "share = 0.5\n"));
    // each set has luck of its own, and who is refused half of the time asks less often
    assert!(all > 30 && whole > all / 2 && half < all / 2 && half > 0, "{all} {whole} {half}");
}

/// What a scenario has shoppers or partners do, and none of them ever did, is not shown by a pass.
#[test]
fn a_step_and_a_partner_that_never_come_to_be_are_not_exercised() {
    let folder = Folder::new("never");
    let ran = |name: &str, more: &str, code: i32| {
        let text = format!(
            "name = \"{}\"\ntitle = \"t\"\nstock = {{ \"A@DC1\" = 10 }}\nmatrix = {{ channels = [\"web\"], orders = [1] }}\n[order]\nlines = [{{ sku = \"A\", qty = 1 }}]\n{more}",
            name.to_uppercase()
        );
        let file = folder.write(&format!("{name}.toml"), text);
        let summary = folder.run(name, &[&file, "--faults", "none"], code);
        summary.cases()[0]["reason"].as_str().unwrap_or_default().to_string()
    };
    let step = ran("step", "[[step]]\ndo = \"cancel\"\non = \"order.held\"\nafter = \"1m\"\n[expect]\nflow = [\"order.accepted\"]\n", 4);
    assert_eq!(step, "step 1 of the scenario (`cancel` on `order.held`) never came to be");
    let partner = "[[partner]]\nat = \"node.pick\"\nnode = \"S2\"\nanswer = \"short\"\n[expect]\nflow = [\"order.accepted\"]\n";
    assert_eq!(ran("partner", partner, 4), "partner 1 of the scenario (`short` at `node.pick`) was never asked in that way");
    ran(
        "done",
        "[[step]]\ndo = \"cancel\"\non = \"order.accepted\"\n[[partner]]\nat = \"payment.authorize\"\nanswer = \"pending\"\n[expect]\nflow = [\"order.accepted\"]\n",
        0,
    );
}

/// A sum that does not fit is refused, and not cut.
#[test]
fn a_line_is_worth_no_more_than_can_be_added_up() {
    let folder = Folder::new("worth");
    let scenario = |qty: u64| {
        format!(
            "name = \"RICH\"\ntitle = \"t\"\nstock = {{ \"A@DC1\" = 1 }}\n[order]\nlines = [{{ sku = \"A\", qty = {qty}, price = 1000000000 }}]\n[expect]\nflow = [\"order.accepted\"]\n"
        )
    };
    plan(&folder, scenario(1_000)).exits(0);
    plan(&folder, scenario(1_001)).exits(2).says(&["a line is worth at most 1000000000000 cents"]);
}
