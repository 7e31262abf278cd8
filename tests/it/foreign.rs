//! Histories of another program: written by hand from docs/history.md, judged rightly, refused with help, and exported.

use crate::source::read;
use crate::world::{Ended, Folder, items, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A history of tests/histories, with something changed.
fn written(name: &str, change: impl Fn(&str) -> String) -> String {
    change(&read(&format!("tests/histories/{name}.jsonl")))
}

fn same(text: &str) -> String {
    text.to_string()
}

fn check(folder: &Folder, history: &str, arguments: &[&str]) -> Ended {
    let file = folder.write("theirs.jsonl", history);
    folder.orderstorm(&[&["check", &file], arguments].concat())
}

/// Invariant, order, and the numbers of the entries that prove it.
fn findings(ended: &Ended) -> Vec<(String, String, Vec<u64>)> {
    let json = ended.json();
    let rows = |finding: &Value| items(&finding["evidence"]).iter().filter(|row| row["marked"] == true).filter_map(|row| row["n"].as_u64()).collect();
    items(&json["findings"]).iter().map(|f| (text(&f["check"]).into(), text(&f["order"]).into(), rows(f))).collect()
}

fn verdicts(ended: &Ended) -> BTreeMap<String, String> {
    items(&ended.json()["checks"]).iter().map(|check| (text(&check["name"]).into(), text(&check["verdict"]).into())).collect()
}

fn finding(check: &str, order: &str, evidence: &[u64]) -> (String, String, Vec<u64>) {
    (check.into(), order.into(), evidence.to_vec())
}

/// The fenced history of the page.
fn example() -> String {
    let page = read("docs/history.md");
    let (_, after) = page.split_once("```jsonl\n").expect("an example");
    after.split_once("```").expect("its end").0.to_string()
}

#[test]
fn the_example_of_the_page_passes() {
    let folder = Folder::new("foreign-example");
    let ended = check(&folder, &example(), &["--format", "json"]).exits(0);
    let verdicts = verdicts(&ended);
    for rule in ["SHIP_ONCE", "CAPTURE_WITHIN_AUTH", "CAPTURE_COMPLETE", "ACCEPT_ONCE", "NO_LOST", "PARTNER_AGREEMENT", "STOCK_CONSERVED"] {
        assert_eq!(verdicts[rule], "pass", "{rule}");
    }
    assert_eq!(findings(&ended), []);
    // and would not, if the pot were charged twice
    let charged_twice = example().replace("\"fulfillment\":\"P-2\",\"amount\":3400}", "\"fulfillment\":\"P-2\",\"amount\":6800}");
    assert_eq!(findings(&check(&folder, &charged_twice, &["--format", "json"]).exits(1))[0].0, "CAPTURE_WITHIN_AUTH");
}

#[test]
fn the_page_says_of_every_rule_what_it_needs() {
    let page = read("docs/history.md");
    for rule in crate::world::list("invariants") {
        assert!(page.contains(&format!("| `{}` |", text(&rule["name"]))), "docs/history.md does not say what {} needs", rule["name"]);
    }
}

#[test]
fn a_right_history_passes_in_its_own_words() {
    let folder = Folder::new("foreign-right");
    let history = written("two-parcels", same);
    let ended = check(&folder, &history, &["--format", "json"]).exits(0);
    let not_exercised: Vec<String> = verdicts(&ended).into_iter().filter(|(_, verdict)| verdict != "pass").map(|(name, _)| name).collect();
    let nothing_to_judge = [
        "BACKORDER_FAIR",
        "CANCEL_HONEST",
        "EXCEPTION_CLASS",
        "EXPECTATION",
        "FEED_TRACKED",
        "NO_UNDERSELL",
        "PROGRESS",
        "QUIET_AFTER_END",
        "REJECT_INERT",
        "REPLAY_EQUAL",
        "REPLY_IDEMPOTENT",
        "RESTOCK_EXACT",
        "TRACEABLE",
    ];
    assert_eq!(not_exercised, nothing_to_judge);
    check(&folder, &history, &[]).exits(0).says(&[
        "two parcels, one cup back",
        "1 orders; 4 messages sent, 15 facts, 15 events, 3 answers",
        "44 entries: pass",
    ]);
    let file = folder.write("theirs.jsonl", &history);
    folder.orderstorm(&["explain", &file, "KS-2024/0417"]).exits(0).says(&["order KS-2024/0417", "auth pi_3Mx", "cap/P-1", "RMA 5"]);
}

/// Records of right orchestrators, ours or others', that were once accused.
#[test]
fn what_was_a_false_alarm_once_stays_none() {
    let folder = Folder::new("foreign-false-alarms");
    let mut names: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories/false-alarms"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let history = read(&format!("tests/histories/false-alarms/{name}"));
        assert_eq!(findings(&check(&folder, &history, &["--format", "json"]).exits(0)), [], "{name}");
    }
}

#[test]
fn the_last_unit_sold_twice_and_a_capture_under_a_new_key_are_found() {
    let folder = Folder::new("foreign-oversell");
    let ended = check(&folder, &written("last-pot-sold-twice", same), &["--format", "json"]).exits(1);
    let expected = [
        finding("CAPTURE_WITHIN_AUTH", "4711", &[7, 16, 18]),
        finding("CAPTURE_WITHIN_SHIPPED", "4711", &[14, 16, 18]),
        finding("CAPTURE_COMPLETE", "4711", &[14, 16, 18, 19]),
        finding("NO_OVERSELL", "4712", &[2, 8, 13]),
        finding("PARTNER_AGREEMENT", "4711", &[18]),
    ];
    assert_eq!(findings(&ended), expected);
    // with a second pot, and one capture, all is well
    let mended = written("last-pot-sold-twice", |text| {
        let lines =
            text.lines().filter(|line| !line.contains("\"key\":\"c-2\"")).map(|line| line.replace("\"qty\":1,\"seq\":1", "\"qty\":2,\"seq\":1"));
        lines.map(|line| format!("{line}\n")).collect()
    });
    check(&folder, &mended, &[]).exits(0);
}

#[test]
fn books_and_shelves_alone_are_judged_and_the_silent_target_is_not() {
    let folder = Folder::new("foreign-books");
    let ended = check(&folder, &written("books-only", same), &["--format", "json"]).exits(1);
    assert_eq!(
        findings(&ended),
        [finding("SHIP_ONCE", "Bestellung 12", &[2, 6, 12]), finding("REFUND_WITHIN_CAPTURED", "Bestellung 13", &[11, 14, 15])]
    );
    let clean = check(&folder, &written("books-only-clean", same), &["--format", "json"]).exits(0);
    for verdicts in [verdicts(&ended), verdicts(&clean)] {
        for claims in ["EVENT_GAPLESS", "ACCEPT_ONCE", "NO_OVERSELL", "BACKORDER_FAIR", "RELEASED_ON_END", "NO_LOST", "PARTNER_AGREEMENT"] {
            assert_eq!(verdicts[claims], "not_exercised", "{claims}");
        }
    }
    let words = check(&folder, &written("books-only", same), &[]).exits(1);
    words.says(&[
        "4 units of line 1 of Bestellung 12 have left, 2 were ordered",
        "25.00 refunded to Bestellung 13, but only 12.50 captured",
        "0 events",
    ]);
}

/// Where no return's end is ever announced, its inspection is one: the order does not stay open for good.
#[test]
fn an_order_with_a_return_is_held_to_what_it_charged() {
    let folder = Folder::new("foreign-short");
    let ended = check(&folder, &written("charged-short", same), &["--format", "json"]).exits(1);
    let checks: Vec<String> = findings(&ended).into_iter().map(|(check, ..)| check).collect();
    assert_eq!(checks, ["AUTH_ONCE", "CAPTURE_COMPLETE"]);
    let paid = written("charged-short", |text| text.replace("\"amount\": 1200", "\"amount\": 2000"));
    check(&folder, &paid, &[]).exits(0);
}

#[test]
fn a_history_that_is_not_whole_or_not_at_rest_never_passes_and_says_why() {
    let folder = Folder::new("foreign-cut");
    let without = |what: &str| written("two-parcels", |text| text.lines().filter(|l| !l.contains(what)).map(|line| format!("{line}\n")).collect());
    check(&folder, &without("\"end\""), &[]).exits(4).says(&["not whole", "the footer is missing: the file ends after line 45"]);
    check(&folder, &without("mark.rest"), &[]).exits(4).says(&["It cannot pass", "op `mark.rest`"]);
    let counted = |footer: &str| written("two-parcels", |text| text.replace("{\"end\":{}}", footer));
    check(&folder, &counted("{\"end\":{\"entries\":44}}"), &[]).exits(0);
    check(&folder, &counted("{\"end\":{\"entries\":45}}"), &[]).exits(4).says(&["counts 45 entries, the file has 44"]);
    check(&folder, &counted("{\"end\":{\"sha256\":\"00\"}}"), &[]).exits(4).says(&["the digest in the footer"]);
    check(&folder, &counted("{\"end\":{\"entires\":44}}"), &[]).exits(2).says(&["unknown key `entires`", "did you mean `entries`?"]);
    // an editor's habits do no harm
    check(&folder, written("two-parcels", same).trim_end(), &[]).exits(0);
    check(&folder, &written("two-parcels", |text| text.replace('\n', "\r\n\r\n")), &[]).exits(0);
}

#[test]
fn what_a_stranger_gets_wrong_is_named_with_its_line_and_what_to_write() {
    let folder = Folder::new("foreign-wrong");
    let wrong = |from: &str, to: &str| {
        let history = written("two-parcels", |text| text.replacen(from, to, 1));
        assert_ne!(history, written("two-parcels", same), "{from}");
        check(&folder, &history, &[]).exits(2)
    };
    wrong("\"target\"", "\"traget\"").says(&["theirs.jsonl:1:", "unknown key `traget`", "did you mean `target`?"]);
    wrong("\"kind\":\"store\"}", "\"knid\":\"store\"}").says(&["theirs.jsonl:1:", "unknown key `knid`", "did you mean `kind`?"]);
    wrong("\"capture\":\"on_ship\"", "\"captrue\":\"on_ship\"").says(&["theirs.jsonl:1:", "did you mean `capture`?"]);
    wrong("\"fixture\":{", "\"expect\":{},\"fxture\":{").says(&["theirs.jsonl:1:", "did you mean `fixture`?"]);
    wrong("\"node\":\"Leeds\"", "\"node\":\"Leads\"").says(&["theirs.jsonl:2:", "unknown node `Leads`", "did you mean `Leeds`?"]);
    wrong(",\"order\":\"KS-2024/0417\",\"body\"", ",\"body\"").says(&["theirs.jsonl:8:", "the key `order` is missing", "which order it is about"]);
    wrong("{\"line\":1,\"sku\":\"TEA-250\",\"qty\":3,\"unit", "{\"sku\":\"TEA-250\",\"qty\":3,\"unit")
        .says(&["the key `body` is missing", "each with `line`"]);
    wrong("\"kind\":\"fact\",\"op\":\"node.shipped\"", "\"kind\":\"fact\",\"op\":\"shipment.shipped\"").says(&[
        "theirs.jsonl:22:",
        "`shipment.shipped` cannot be of kind `fact`",
        "as event",
        "did you mean",
    ]);
    wrong("\"pay\":\"pi_3Mx\",", "").says(&["theirs.jsonl:12:", "the key `pay` is missing"]);
    wrong("\"outcome\":\"ok\",\"order\"", "\"order\"").says(&["theirs.jsonl:9:", "the key `outcome` is missing"]);
    wrong("{\"at\":0,", "{").says(&["theirs.jsonl:2:", "the key `at` is missing"]);
    wrong("\"at\":0,", "\"at\":\"2024-04-17\",").says(&["theirs.jsonl:2:", "(in `at`)", "whole number"]);
    wrong("\"capture\":\"on_ship\"", "\"capture\":\"on_shipment\"").says(&["theirs.jsonl:1:", "`on_shipment`", "did you mean `on_ship`?"]);
    wrong("\"unit_price\":1250", "\"unit_price\":9223372036854775807").says(&["theirs.jsonl:8:", "an order that cannot be added up"]);
    wrong("\"key\":\"auth/0417\",\"amount\":", "\"key\":\"auth/0417\",\"amount\":-").says(&["(in `amount`)", "whole cents from 0"]);
    let parcel = |qty: &str| {
        written("two-parcels", |text| {
            text.lines().map(|l| if l.contains("node.shipped") { l.replacen("\"qty\":", qty, 1) } else { l.into() } + "\n").collect()
        })
    };
    check(&folder, &parcel("\"qty\":-"), &[]).exits(2).says(&["(in `qty`)", "a quantity above 0"]);
    let back = check(&folder, &written("two-parcels", |text| text.replacen("\"at\":61000000000", "\"at\":1", 1)), &[]).exits(4);
    back.says(&["earlier than"]);
    let bare = "{\"orderstorm_history\":1}\n{\"end\":{}}\n";
    check(&folder, bare, &[]).exits(2).says(&["theirs.jsonl:1", "the key `fixture` is missing"]);
    let empty = "{\"orderstorm_history\":1,\"fixture\":{}}\n{\"end\":{}}\n";
    check(&folder, empty, &[]).exits(4).says(&["0 entries"]);
}

/// What the published schema of OCEL 2.0 demands of a log, and what its specification adds: names lead somewhere.
fn assert_is_ocel2(log: &Value) {
    let string = |value: &Value| assert!(value.is_string(), "{value} is not a text");
    let declared = |types: &Value| -> BTreeMap<String, BTreeSet<String>> {
        assert!(types.is_array());
        let one = |of: &Value| {
            assert!(of["attributes"].is_array(), "{of}");
            let names = items(&of["attributes"]).iter().map(|attribute| {
                assert!(["string", "time", "integer", "float", "boolean"].contains(&text(&attribute["type"])), "{attribute}");
                text(&attribute["name"]).to_string()
            });
            (text(&of["name"]).to_string(), names.collect())
        };
        let all: BTreeMap<_, _> = items(types).iter().map(one).collect();
        assert_eq!(all.len(), items(types).len(), "a type is declared twice");
        all
    };
    let (object_types, event_types) = (declared(&log["objectTypes"]), declared(&log["eventTypes"]));
    assert!(log["objects"].is_array() && log["events"].is_array());
    let ids: BTreeSet<&str> = items(&log["objects"]).iter().map(|object| text(&object["id"])).collect();
    assert_eq!(ids.len(), items(&log["objects"]).len(), "an object stands twice");
    let event_ids: BTreeSet<&str> = items(&log["events"]).iter().map(|event| text(&event["id"])).collect();
    assert_eq!(event_ids.len(), items(&log["events"]).len(), "an event stands twice");
    let instant = |value: &Value| assert!(text(value).parse::<jiff::Timestamp>().is_ok(), "{value} is no time");
    let related = |of: &Value| {
        for relation in items(&of["relationships"]) {
            string(&relation["qualifier"]);
            assert!(ids.contains(text(&relation["objectId"])), "{relation} leads nowhere");
        }
    };
    for object in items(&log["objects"]) {
        let known = &object_types[text(&object["type"])];
        for attribute in items(&object["attributes"]) {
            assert!(known.contains(text(&attribute["name"])), "{attribute} is not declared");
            string(&attribute["value"]);
            instant(&attribute["time"]);
        }
        related(object);
    }
    for event in items(&log["events"]) {
        let known = &event_types[text(&event["type"])];
        instant(&event["time"]);
        for attribute in items(&event["attributes"]) {
            assert!(known.contains(text(&attribute["name"])), "{attribute} is not declared");
            string(&attribute["value"]);
        }
        assert!(!items(&event["relationships"]).is_empty(), "{event} is about nothing");
        related(event);
    }
}

fn of_type<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    items(list).iter().filter(|item| item["type"] == name).collect()
}

#[test]
fn a_foreign_history_becomes_an_object_centric_log() {
    let folder = Folder::new("foreign-ocel");
    let file = folder.write("theirs.jsonl", written("two-parcels", same));
    let ended = folder.orderstorm(&["export", &file, "--format", "ocel2", "--epoch", "2024-04-17T08:00:00Z"]).exits(0);
    let log = ended.json();
    assert_is_ocel2(&log);
    let counts = ["order", "line", "parcel", "payment", "return", "stock"].map(|name| of_type(&log["objects"], name).len());
    assert_eq!(counts, [1, 2, 2, 1, 1, 2]);
    let captures = of_type(&log["events"], "fact payment.capture");
    assert_eq!(captures.len(), 2);
    assert_eq!(captures[0]["time"], "2024-04-17T09:00:10Z");
    let related: Vec<(&str, &str)> = items(&captures[0]["relationships"]).iter().map(|r| (text(&r["qualifier"]), text(&r["objectId"]))).collect();
    let order = "KS-2024%2F0417";
    let expected =
        [("order", format!("order:{order}")), ("parcel", format!("parcel:{order}/P-1")), ("authorization", format!("payment:{order}/pi_3Mx"))];
    assert_eq!(related, expected.each_ref().map(|(part, id)| (*part, id.as_str())));
    assert_eq!(of_type(&log["events"], "claim order.completed").len(), 2, "a redelivery is an event of its own");
    // a log that leads nowhere would be noticed
    let mut broken = log.clone();
    broken["objects"].as_array_mut().expect("a list").pop();
    assert!(std::panic::catch_unwind(|| assert_is_ocel2(&broken)).is_err());
}

#[test]
fn the_history_of_a_run_becomes_one_too_and_errors_leave_nothing_behind() {
    let folder = Folder::new("foreign-ocel-run");
    let case = "S06.base.duplicate.web.12";
    folder.run("run", &["--case", "S06.*.duplicate.*"], 0);
    let history = folder.histories("run").into_iter().next().expect("a history").0;
    let path = format!("run/histories/{history}");
    folder.orderstorm(&["export", &path, "--format", "ocel2", "--out", "log.json"]).exits(0).says(&["events about", "log.json"]);
    let log = |name: &str| std::fs::read(folder.at(name)).expect("a log");
    assert_is_ocel2(&serde_json::from_slice(&log("log.json")).expect("JSON"));
    folder.orderstorm(&["export", &path, "--format", "ocel2", "--out", "again.json"]).exits(0);
    assert_eq!(log("log.json"), log("again.json"), "{case}");

    let bad = folder.write("bad.jsonl", written("two-parcels", |text| text.replacen("\"node.shipped\"", "\"node.shiped\"", 1)));
    folder.orderstorm(&["export", &bad, "--format", "ocel2", "--out", "bad.json"]).exits(2).says(&["bad.jsonl:22:", "did you mean `node.shipped`?"]);
    assert!(!folder.at("bad.json").exists(), "half a log was left");
    folder.orderstorm(&["export", "run", "--format", "ocel2"]).exits(2).says(&["run is not a file"]);
    folder.orderstorm(&["export", &bad, "--format", "ocel2", "--out", &bad]).exits(2).says(&["is the history itself"]);
    folder.orderstorm(&["export", &bad, "--format", "ocel2", "--epoch", "yesterday"]).exits(2).says(&["`yesterday` is not a time"]);
    let cut = folder.write("cut.jsonl", written("two-parcels", |text| text.lines().take(20).map(|line| format!("{line}\n")).collect()));
    let ended = folder.orderstorm(&["export", &cut, "--format", "ocel2"]).exits(0).says(&["The record is not whole"]);
    assert_is_ocel2(&ended.json());
    folder.orderstorm(&["export", "--help"]).exits(0).says(&["Examples:", "--format ocel2 --out"]);
}
