//! Targets that speak an API of their own: a small shop with baskets, webhooks and polls, and the profiles that map it.
#![cfg(unix)]

use crate::wire;
use crate::world::{Ended, Folder, Summary, items, text, unzipped};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

const WEBHOOKS: &str = include_str!("shop/shop.toml");
const POLLED: &str = include_str!("shop/shop-polled.toml");
const SECRET: &str = "a-secret-of-webhooks-8f1c";
const PASSWORD: &str = "a-password-of-staff-52ab";

/// The shop on a port of its own, ended with the test.
struct Shop {
    child: Child,
    url: String,
}

impl Shop {
    fn start(arguments: &[&str]) -> Shop {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/shop/shop.py");
        let mut command = Command::new("python3");
        command.arg(program).args(arguments).env("SHOP_SECRET", SECRET).env("SHOP_PASSWORD", PASSWORD);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("python3 is needed by the tests");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("its standard output")).read_line(&mut url).expect("it says where it listens");
        Shop { child, url: url.trim().into() }
    }

    fn orderstorm(&self, folder: &Folder, arguments: &[&str]) -> Ended {
        folder.orderstorm_in(&[("SHOP_URL", &self.url), ("SHOP_SECRET", SECRET), ("SHOP_PASSWORD", PASSWORD)], arguments)
    }

    /// Runs cases against it, by the profile `shop.toml` of the folder.
    fn run(&self, folder: &Folder, out: &str, arguments: &[&str], code: i32) -> Summary {
        let all = [&["run", "--target", "shop.toml", "--out", out], arguments].concat();
        self.orderstorm(folder, &all).exits(code);
        folder.summary(out)
    }

    /// What it counted.
    fn counted(&self) -> Value {
        let mut stream = std::net::TcpStream::connect(self.url.trim_start_matches("http://")).expect("the shop is there");
        stream.write_all(b"GET /counters HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Most of the time of a run is waiting, so several wait together.
fn at_once<T: Send>(all: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let test = &test;
    std::thread::scope(|scope| all.into_iter().for_each(|one| drop(scope.spawn(move || test(one)))));
}

/// A folder with the profile in it.
fn folder(name: &str, profile: &str) -> Folder {
    let folder = Folder::new(&format!("mapped-{name}"));
    folder.write("shop.toml", profile);
    folder
}

fn requests(counted: &Value, what: &str) -> u64 {
    counted["requests"][what].as_u64().unwrap_or(0)
}

#[track_caller]
fn all_pass(summary: &Summary, at_least: usize) {
    let passed = summary.with_verdict("pass").count();
    let failed: Vec<String> =
        summary.with_verdict("fail").chain(summary.with_verdict("unknown")).map(|case| format!("{} {}", case["name"], case["reason"])).collect();
    assert!(failed.is_empty() && passed >= at_least, "{passed} pass, but {failed:?}");
}

#[test]
fn check_target_shows_each_step_and_what_came_of_it() {
    let (shop, folder) = (Shop::start(&[]), folder("check", WEBHOOKS));
    let ended = shop.orderstorm(&folder, &["check-target", "shop.toml"]).exits(0);
    let ended = ended.says(&["target   its own API", "session.staff ", "open/warehouse ", "kept warehouse[DC1]=w", "lookup variant: 11 entries"]);
    let ended = ended.says(&[
        "PlaceOrder/add ",
        "PlaceOrder/checkout ",
        "call   payment.authorize",
        "event  {",
        "node.packed ",
        "read.order ",
        "verdict  pass",
    ]);
    ended.says(&["shipped cases can be run against it", "does not claim the capability backorder"]);
}

#[test]
fn a_span_of_ours_for_each_message_is_in_the_trace_that_its_requests_carry() {
    let (shop, folder, runtime) = (Shop::start(&[]), folder("otlp", WEBHOOKS), wire::runtime());
    let (collector, bodies) = wire::collector(&runtime);
    let arguments = ["run", "--case", "S01.base.none.web.*", "--orders", "2", "--target", "shop.toml", "--out", "out", "--otlp", &collector];
    shop.orderstorm(&folder, &arguments).exits(0).says(&["spans    "]);
    let bodies = bodies.lock().expect("whole").clone();
    let spans = wire::spans_of(&bodies);
    let placed: Vec<_> = spans.iter().filter(|span| span["name"] == "PlaceOrder").collect();
    assert!(placed.len() >= 2 && placed.iter().all(|span| wire::attribute(span, "orderstorm.outcome") == "ok"), "{placed:?}");
    let counted = shop.counted();
    let carried: Vec<&str> = items(&counted["traces"]).iter().map(text).collect();
    for span in placed {
        let wanted = format!("00-{}-{}-01", text(&span["traceId"]), text(&span["spanId"]));
        assert!(carried.contains(&wanted.as_str()), "no request carried {wanted}: {carried:?}");
    }
}

#[test]
fn a_shop_without_bugs_passes_under_faults_by_webhooks() {
    let (shop, folder) = (Shop::start(&[]), folder("webhooks", WEBHOOKS));
    let cases = [
        "S01.base",
        "S02.base",
        "S02.split-line-3-2",
        "S06.base",
        "--case",
        "*.web.*",
        "--orders",
        "1",
        "--faults",
        "none,duplicate,reply-lost,sink-503",
    ];
    all_pass(&shop.run(&folder, "out", &cases, 0), 12);
}

#[test]
fn a_shop_without_webhooks_is_looked_at() {
    let (shop, folder) = (Shop::start(&[]), folder("polled", POLLED));
    let cases = ["S01.base", "S06.base", "--case", "*.web.*", "--orders", "1", "--faults", "none,duplicate,sink-503"];
    let summary = shop.run(&folder, "out", &cases, 0);
    all_pass(&summary, 4);
    // the policies that are shown are those of the record that was judged: what the profile leaves out was not promised
    let (_, history) = &folder.histories("out")[0];
    let header: Value = serde_json::from_str(unzipped(history).lines().next().expect("a header")).expect("JSON");
    let policies = &summary.0["manifest"]["policies"];
    assert_eq!(policies, &serde_json::json!({"default": header["fixture"]["policies"]}));
    assert!(policies["default"]["refund"] == "" && policies["default"]["release_within_s"] == 0, "{policies}");
    // nobody sends it anything that could be turned away
    assert!(summary.with_verdict("not_applicable").all(|case| text(&case["name"]).contains("sink-503")), "{:?}", summary.cases());
    assert_eq!(summary.with_verdict("not_applicable").count(), 2);
}

/// Four shoppers, two units.
const LAST_UNITS: &str = r#"name = "LAST"
title = "Too many shoppers"
stock = { "A@DC1" = 2 }
matrix = { channels = ["web"], orders = [4], stock = "fixed", gap = "10ms" }

[order]
lines = [{ sku = "A", qty = 1 }]

[expect]
never = ["line.backordered"]
"#;

#[test]
fn bugs_of_the_shop_are_found_by_the_invariant_that_should() {
    let folder = folder("bugs", WEBHOOKS);
    folder.write("last.toml", LAST_UNITS);
    let bugs: [(&str, &[&str], &str); 3] = [
        ("oversell", &["last.toml", "--faults", "none"], "NO_OVERSELL"),
        ("double-charge", &["S01.base", "--case", "*.web.*", "--orders", "4", "--faults", "duplicate"], "AUTH_ONCE"),
        ("cancel-keeps-stock", &["S06.base", "--case", "*.web.*", "--orders", "2", "--faults", "none"], "RELEASED_ON_END"),
    ];
    at_once(bugs, |(bug, cases, check)| {
        let summary = Shop::start(&["--bug", bug]).run(&folder, bug, cases, 1);
        let first: Vec<&str> = summary.with_verdict("fail").map(|case| text(&items(&case["findings"])[0]["check"])).collect();
        assert!(!first.is_empty() && first.iter().all(|first| *first == check), "{bug}: {first:?}");
    });
    all_pass(&Shop::start(&[]).run(&folder, "last", &["last.toml", "--faults", "none"], 0), 1);
}

#[test]
fn what_was_said_and_not_heard_makes_a_case_unknown() {
    let folder = folder("unheard", WEBHOOKS);
    let bugs = [("lose-event", "event number 4 of the target never came"), ("bad-signature", "had no signature that fits [events.verify]")];
    at_once(bugs, |(bug, why)| {
        let summary = Shop::start(&["--bug", bug]).run(&folder, bug, &["S01.base", "--case", "*.web.1", "--faults", "none"], 4);
        let case = &summary.cases()[0];
        assert!(case["verdict"] == "unknown" && text(&case["reason"]).contains(why), "{bug}: {case}");
    });
    // whoever sends what is refused again and again does not hold the case up
    let wrong = WEBHOOKS.replace("env.SHOP_SECRET", "env.SHOP_SECRET_THAT_NOBODY_SET").replace("park = \"5s\"", "park = \"300ms\"");
    folder.write("shop.toml", wrong);
    let summary = Shop::start(&[]).run(&folder, "secret", &["S01.base", "--case", "*.web.1", "--faults", "none"], 4);
    assert!(text(&summary.cases()[0]["reason"]).contains("`env.SHOP_SECRET_THAT_NOBODY_SET` has no value"), "{}", summary.cases()[0]["reason"]);
}

#[test]
fn a_command_that_is_sent_again_goes_on_where_it_was_and_fills_no_second_basket() {
    let (shop, folder) = (Shop::start(&[]), folder("again", WEBHOOKS));
    let faults = "name = \"lost\"\ntitle = \"The first answer is lost\"\n[[rule]]\nname = \"lost\"\nlink = \"commands\"\nops = [\"PlaceOrder\"]\ndo = \"lose_reply\"\nshare = 0.6\n";
    folder.write("lost.toml", faults);
    let summary = shop.run(&folder, "out", &["S02.base", "--case", "*.web.*", "--orders", "2", "--faults", "lost.toml"], 0);
    all_pass(&summary, 1);
    let counted = shop.counted();
    let placed: usize = placed(&folder, "out");
    let (lines, checkouts) = (requests(&counted, "POST /basket/lines"), requests(&counted, "POST /basket/checkout"));
    assert_eq!((counted["orders"].as_u64(), lines), (Some(placed as u64), 2 + placed as u64), "{counted}");
    assert!(checkouts > placed as u64, "{checkouts} checkouts of {placed} orders");
}

/// Orders that were sent, those of probes too.
fn placed(folder: &Folder, run: &str) -> usize {
    let mut orders = std::collections::BTreeSet::new();
    for (name, bytes) in folder.histories(run) {
        for line in unzipped(&bytes).lines().skip(1) {
            let entry: Value = serde_json::from_str(line).expect("an entry");
            if entry["kind"] == "sent" && entry["op"] == "PlaceOrder" {
                orders.insert((name.clone(), text(&entry["order"]).to_string()));
            }
        }
    }
    orders.len()
}

#[test]
fn sessions_that_end_are_begun_again_and_a_basket_that_is_gone_is_filled_from_the_start() {
    let folder = folder("sessions", WEBHOOKS);
    let cases = ["S02.base", "--case", "*.web.*", "--orders", "2", "--faults", "none"];
    at_once([["--bug", "forget-basket"], ["--passes-last", "7"]], |switch| {
        let shop = Shop::start(&switch);
        all_pass(&shop.run(&folder, switch[1], &cases, 0), 1);
        let logins = requests(&shop.counted(), "POST /login/");
        assert!(logins > if switch[1] == "7" { 5 } else { 0 }, "{logins} logins");
        // who is not let in sends again what he had to say, and that is in the record: the client does nothing of its own
        let turned_away = folder.histories(switch[1]).iter().any(|(_, bytes)| {
            unzipped(bytes).lines().skip(1).any(|line| line.contains("\"kind\":\"reply\"") && line.contains("\"outcome\":\"backpressure\""))
        });
        assert!(turned_away, "{}", switch[1]);
    });
}

#[test]
fn a_shop_that_is_not_there_or_none_gets_a_clear_answer() {
    let folder = folder("bad", &WEBHOOKS.replace("within = \"5s\"", "within = \"1s\""));
    let run = |url: &str, password: &str| {
        folder.orderstorm_in(&[("SHOP_URL", url), ("SHOP_SECRET", SECRET), ("SHOP_PASSWORD", password)], &["check-target", "shop.toml"]).exits(3)
    };
    run("http://127.0.0.1:1", PASSWORD).says(&["127.0.0.1:1: it did not become ready in 1s", "step ready", "Connection refused"]);
    let shop = Shop::start(&[]);
    run(&shop.url, "wrong").says(&["session staff: session.staff ended with rejected"]);
    run(&crate::live::answers("hello"), PASSWORD).says(&["it did not become ready", "error", "hello"]);
    run(&crate::live::answers("{\"alive\":true}"), PASSWORD).says(&["session staff: no answer to its login has a value for pass"]);
    folder.orderstorm_in(&[], &["check-target", "shop.toml"]).exits(2).says(&["the environment has no SHOP_URL"]);
}

#[test]
fn mistakes_of_a_profile_are_told_with_file_and_line_before_anything_is_sent() {
    let folder = Folder::new("mapped-mistakes");
    for (profile, part, wrong, said) in [
        (WEBHOOKS, "reason = \"body.error.kind\"", "reason = \"boddy.kind\"", ["there is no `boddy` here; there is", "reason = \"boddy.kind\""]),
        (WEBHOOKS, "body.basket | to_map(", "body.basket | to_mapp(", ["there is no filter `to_mapp`", "bind = "]),
        (WEBHOOKS, "[command.PlaceOrder", "[command.CancelReturn", ["[command.PlaceOrder] is missing", "how an order is placed"]),
        (WEBHOOKS, "settle = ", "setle = ", ["unknown key `setle`", "did you mean `settle`?"]),
        (POLLED, "snapshot = ", "snapshoot = ", ["unknown key `snapshoot`", "did you mean `snapshot`?"]),
        (WEBHOOKS, "call = \"carrier.label\"", "call = \"carrier.lable\"", ["`carrier.lable` is not what", "did you mean `carrier.label`?"]),
        (WEBHOOKS, "carrier = \"driven\"", "carrier = \"driven\"\nfraud = \"driven\"", ["nothing sets fraud off", "fraud = \"driven\""]),
        (WEBHOOKS, "session = \"basket\"", "session = \"baskt\"", ["there is no [session.baskt]", "session = \"baskt\""]),
    ] {
        assert!(profile.contains(part), "{part}");
        folder.write("shop.toml", profile.replace(part, wrong));
        let ended = folder.orderstorm_in(&[("SHOP_URL", "http://127.0.0.1:1")], &["check-target", "shop.toml"]).exits(2);
        ended.says(&["shop.toml:"]).says(&said);
    }
}

#[test]
fn secrets_are_in_no_result_and_no_output() {
    let shop = Shop::start(&["--bug", "bad-signature"]);
    let query = WEBHOOKS.replace("path = \"/alive\"", "path = \"/alive\"\nquery = { key = \"{{ env.SHOP_PASSWORD }}\" }");
    let folder = folder("secrets", &query);
    let checked = shop.orderstorm(&folder, &["check-target", "shop.toml"]);
    let ran = shop.orderstorm(&folder, &["run", "--target", "shop.toml", "--out", "out", "S01.base", "--case", "*.web.1", "--faults", "none"]);
    for secret in [SECRET, PASSWORD] {
        assert!(![&checked.out, &checked.err, &ran.out, &ran.err].iter().any(|said| said.contains(secret)), "{secret} was printed");
        let mut folders = vec![folder.at("out")];
        while let Some(next) = folders.pop() {
            for file in std::fs::read_dir(next).expect("a folder").map(|file| file.expect("a file").path()) {
                if file.is_dir() {
                    folders.push(file);
                    continue;
                }
                let bytes = std::fs::read(&file).expect("a file");
                let all = if bytes.starts_with(b"\x1f\x8b") { unzipped(&bytes) } else { String::from_utf8_lossy(&bytes).into_owned() };
                assert!(!all.contains(secret), "{secret} is in {}", file.display());
            }
        }
    }
}

#[test]
fn limits_of_the_profile_hold() {
    let limited = WEBHOOKS.replace("[limits]\n", "[limits]\nmax_orders = 2\nmax_rate = 40\n");
    let (shop, folder) = (Shop::start(&[]), folder("limits", &limited));
    let too_many = shop.run(&folder, "many", &["S01.base", "--orders", "3", "--faults", "none"], 4);
    assert!(
        too_many.cases().iter().all(|case| text(&case["reason"]).contains("more orders than the profile allows: 2")),
        "{:?}",
        too_many.cases()[0]
    );
    all_pass(&shop.run(&folder, "few", &["S01.base", "--case", "*.web.*", "--orders", "2", "--faults", "none"], 0), 1);
    let stamps: Vec<f64> = items(&shop.counted()["stamps"]).iter().filter_map(Value::as_f64).collect();
    let (first, last) = (stamps[0], stamps[stamps.len() - 1]);
    // at a rate of 40 so many requests take so long at the least; twice as many would be no limit at all
    assert!(stamps.len() > 30 && stamps.len() as f64 / (last - first) < 60.0, "{} requests in {} s", stamps.len(), last - first);
}

#[test]
fn a_profile_to_begin_with_is_written_once_and_can_be_read() {
    let folder = Folder::new("mapped-init");
    folder.orderstorm(&["init", "--target", "web-shop"]).exits(0).says(&["profiles/target/web-shop.toml"]);
    folder.orderstorm(&["init", "--target", "web-shop"]).exits(2).says(&["is there already"]);
    folder.orderstorm(&["init", "--target", "../x"]).exits(2).says(&["cannot be the name of a target"]);
    let check = |file: &str| {
        folder.orderstorm_in(&[("ORDERSTORM_TARGET_URL", "http://127.0.0.1:1")], &["check-target", file]).exits(3).says(&["Connection refused"])
    };
    check("profiles/target/web-shop.toml");
    // every comment of it that is a table of TOML is one that is understood
    let text = std::fs::read_to_string(folder.at("profiles/target/web-shop.toml")).expect("it was written");
    assert!(text.contains("env.WEB_SHOP_PASSWORD") && !text.contains("NAME"), "{text}");
    let whole = text.split_once("protocol = ").map(|(_, rest)| rest.replace("\n# # ", "\n# ").replace("\n# ", "\n#@ ")).expect("a profile");
    let whole: String = whole
        .lines()
        .map(|line| {
            line.strip_prefix("#@ ").filter(|code| is_toml(code)).unwrap_or(if line.starts_with("#@ ") { "" } else { line }).to_string() + "\n"
        })
        .collect();
    let whole = whole
        .replace("node = \"internal\"", "node = \"driven\"")
        .replace("payment = \"internal\"", "payment = \"called\"")
        .replace("cases = 4", "cases = 1")
        .replace("within = \"30s\"", "within = \"1s\"")
        .replace("command = [", "step = [] # [");
    let whole = whole
        .replace("carrier = \"internal\"", "carrier = \"called\"")
        .replace("silent = [", &format!("silent = [{}, ", UNHEARD.map(|op| format!("{op:?}")).join(", ")));
    folder.write("whole.toml", format!("name = \"whole\"\ntitle = \"everything\"\nprotocol = {whole}"));
    check("whole.toml");
}

/// Callbacks that the template has no steps for.
const UNHEARD: [&str; 11] = [
    "node.accepted",
    "node.rejected",
    "node.short_picked",
    "node.picked",
    "node.ready",
    "node.collected",
    "node.received",
    "node.inspected",
    "carrier.in_transit",
    "payment.decided",
    "payment.auth_expired",
];

/// A table or a key with its value, and no sentence.
fn is_toml(line: &str) -> bool {
    line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, value)| !key.trim().contains(' ') && !value.is_empty())
}
