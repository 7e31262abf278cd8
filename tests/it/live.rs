//! Live targets: the same cases against a service and against a child process, in time that passes.
#![cfg(unix)]

use crate::world::{Folder, Summary, items, text, unzipped};
use orderstorm::sim::Stopwatch;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `orderstorm serve` on a port of its own, ended with the test.
pub struct Service {
    child: Child,
    pub url: String,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Service {
    pub fn start(folder: &Folder, arguments: &[&str]) -> Service {
        Service::at(folder, "127.0.0.1:0", arguments)
    }
    pub fn at(folder: &Folder, address: &str, arguments: &[&str]) -> Service {
        let mut all = vec!["serve", "--listen", address];
        all.extend(arguments);
        let mut child = folder.command(&all).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program can be started");
        let mut said = BufReader::new(child.stderr.take().expect("its standard error"));
        let mut first = String::new();
        said.read_line(&mut first).expect("it says where it listens");
        let url =
            first.split_whitespace().last().filter(|url| url.starts_with("http://")).unwrap_or_else(|| panic!("no address in `{first}`")).to_string();
        // what it says later must have somewhere to go
        let later = Arc::new(Mutex::new(Vec::new()));
        let lines = later.clone();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while said.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                lines.lock().expect("whole").append(&mut line);
            }
        });
        Service { child, url, said: later }
    }
    /// What it has said on standard error, but for its first line.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().expect("whole")).into_owned()
    }
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
    pub fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }
    /// Runs cases against it.
    pub fn run(&self, folder: &Folder, out: &str, arguments: &[&str]) -> (i32, String) {
        let mut all = vec!["run", "--target", "reference", "--out", out];
        all.extend(arguments);
        let ran = folder.command(&all).env("ORDERSTORM_TARGET_URL", &self.url).output().expect("the program can be started");
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(!said.contains("panicked"), "{said}");
        (ran.status.code().unwrap_or(-1), said)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_methods, reason = "another process is waited for")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// What became of each order of each case: what the target answers at rest, and what moved in the books.
fn outcomes(folder: &Folder, run: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (name, bytes) in folder.histories(run) {
        let mut orders: BTreeMap<String, String> = BTreeMap::new();
        let mut facts: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for line in unzipped(&bytes).lines().skip(1) {
            let entry: Value = serde_json::from_str(line).expect("an entry");
            let (order, op) = (text(&entry["order"]).to_string(), text(&entry["op"]));
            if entry["kind"] == "fact" && !order.is_empty() {
                *facts.entry(order).or_default().entry(op.into()).or_default() += entry["amount"].as_i64().unwrap_or(0) + 1;
            } else if entry["kind"] == "state" && op == "GetOrder" {
                orders.insert(order, format!("{} {} {}", entry["code"], entry["qty"], entry["amount"]));
            }
        }
        for (order, outcome) in &mut orders {
            *outcome += &format!(" {:?}", facts.remove(order).unwrap_or_default());
        }
        assert!(!orders.is_empty(), "{name} tells of no order");
        all.insert(name, orders);
    }
    all
}

fn first_checks(summary: &Summary) -> Vec<String> {
    summary.with_verdict("fail").map(|case| text(&items(&case["findings"])[0]["check"]).to_string()).collect()
}

#[test]
fn the_same_cases_end_the_same_embedded_over_http_and_behind_a_child_process() {
    let folder = Folder::new("live-same");
    let cases =
        ["S01", "S02.base", "S04.base", "S05.base", "S06.base", "S07.base", "S08.base", "--faults", "none,duplicate,sink-503", "--orders", "2"];
    folder.run("embedded", &cases, 0);
    let service = Service::start(&folder, &[]);
    let (code, said) = service.run(&folder, "http", &cases);
    assert_eq!(code, 0, "{said}");
    let mut process = vec!["--target", "reference-process"];
    process.extend(cases);
    folder.run("process", &process, 0);
    let embedded = outcomes(&folder, "embedded");
    assert!(embedded.len() > 30, "{} histories", embedded.len());
    assert_eq!(embedded, outcomes(&folder, "http"));
    assert_eq!(embedded, outcomes(&folder, "process"));
}

#[test]
fn bugs_are_caught_live_too_by_the_invariant_that_should() {
    let folder = Folder::new("live-defects");
    for (defect, cases, check) in [
        ("dedup-by-message-id", "S01.base.reply-lost.*", "SHIP_ONCE ACCEPT_ONCE AUTH_ONCE"),
        ("cancel-keeps-reservation", "S06.base.none.*", "RELEASED_ON_END"),
        ("captured-event-lost", "S01.base.none.*", "PARTNER_AGREEMENT"),
        ("webhook-dropped-after-500", "S01.base.sink-503.*", "EVENT_GAPLESS NO_LOST"),
        ("refund-rounds-each-unit", "S07.discounted.none.*", "REFUND_EXACT"),
    ] {
        let service = Service::start(&folder, &["--defect", defect]);
        let (code, said) = service.run(&folder, defect, &["--case", cases]);
        assert_eq!(code, 1, "{defect}: {said}");
        let first = first_checks(&folder.summary(defect));
        assert!(first.iter().any(|first| check.contains(first.as_str())), "{defect}: {first:?}");
    }
}

/// How many messages came harmed, by what was made of them.
fn harmed(folder: &Folder, run: &str) -> BTreeMap<String, usize> {
    let mut made = BTreeMap::new();
    for (_, bytes) in folder.histories(run) {
        for line in unzipped(&bytes).lines().skip(1) {
            let entry: Value = serde_json::from_str(line).expect("an entry");
            if entry["kind"] == "fault" && !entry["outcome"].is_null() {
                *made.entry(text(&entry["outcome"]).to_string()).or_default() += 1;
            }
        }
    }
    made
}

#[test]
fn harmed_bodies_are_turned_away_on_the_wire_as_in_the_simulation_and_nothing_is_lost() {
    let folder = Folder::new("live-bodies");
    let cases = ["S01.base", "S03.base", "--faults", "truncate,reset,slow,wrong-signature", "--orders", "1"];
    folder.run("embedded", &cases, 0);
    let service = Service::start(&folder, &[]);
    let (code, said) = service.run(&folder, "http", &cases);
    assert_eq!(code, 0, "{said}");
    assert_eq!(outcomes(&folder, "embedded"), outcomes(&folder, "http"));
    let made = harmed(&folder, "http");
    assert!(made.keys().eq(["refused", "timed_out"]) && made["refused"] > 20, "{made:?}");
    assert_eq!(made, harmed(&folder, "embedded"));
    // behind a pipe there is nothing to be harmed, and nobody says that it was
    let mut process = vec!["--target", "reference-process"];
    process.extend(cases);
    let reasons: Vec<String> = folder.run("process", &process, 4).cases().iter().map(|case| text(&case["reason"]).to_string()).collect();
    assert!(reasons.iter().all(|reason| reason.contains("a pipe to a child process has no bodies")), "{reasons:?}");
}

/// Passes everything on, and answers what was signed by somebody else as if it had not looked.
fn careless(to: String) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut from), Ok(mut on)) = (stream, std::net::TcpStream::connect(&to)) else { return };
            let (mut asks, mut goes) = (from.try_clone().expect("a socket"), on.try_clone().expect("a socket"));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut asks, &mut goes);
                let _ = goes.shutdown(std::net::Shutdown::Write);
            });
            std::thread::spawn(move || {
                let mut some = [0; 65536];
                while let Ok(n @ 1..) = on.read(&mut some) {
                    let answer = String::from_utf8_lossy(&some[..n]).replace("HTTP/1.1 401 Unauthorized", "HTTP/1.1 200 OK");
                    if from.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// One request or answer of HTTP/1.1 with a `content-length`: its first line, and all of it. None where the connection ends.
fn whole(from: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut all, mut first, mut length) = (Vec::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        all.extend_from_slice(line.as_bytes());
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().ok()?;
        }
        match (first.is_empty(), line.trim().is_empty()) {
            (true, _) => first = line.trim().to_string(),
            (false, true) => break,
            (false, false) => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    all.extend(body);
    Some((first, all))
}

/// Passes on what `instead` has no status for, by the first line of a request.
fn relay(to: String, instead: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let instead = Arc::new(instead);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(from), Ok(on)) = (stream, std::net::TcpStream::connect(&to)) else { return };
            let instead = instead.clone();
            std::thread::spawn(move || {
                let (mut asks, mut answers) = (BufReader::new(&from), BufReader::new(&on));
                while let Some((first, request)) = whole(&mut asks) {
                    let answer = match instead(&first) {
                        Some(status) => Some(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()),
                        None => (&on).write_all(&request).ok().and_then(|()| whole(&mut answers)).map(|(_, answer)| answer),
                    };
                    if answer.and_then(|answer| (&from).write_all(&answer).ok()).is_none() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// What is answered in place of the target, if anything is, by the first line of a request.
type Instead = Box<dyn Fn(&str) -> Option<&'static str> + Send + Sync>;

/// What the target does not say is neither a loss nor a yes.
#[test]
fn questions_at_rest_are_asked_again_and_without_an_answer_nothing_is_known() {
    let folder = Folder::new("live-silent");
    let ran = |out: &str, defect: &[&str], case: &str, instead: Instead| {
        let mut service = Service::start(&folder, defect);
        service.url = relay(service.address().to_string(), instead);
        let (code, said) = service.run(&folder, out, &["--faults", "none", "--case", case]);
        (code, text(&folder.summary(out).cases()[0]["reason"]).to_string(), said)
    };
    let asked = Mutex::new(std::collections::BTreeSet::new());
    let once = Box::new(move |first: &str| {
        (first.contains("/orders/O") && first.starts_with("GET") && asked.lock().expect("whole").insert(first.to_string())).then_some("503 Not now")
    });
    let (code, _, said) = ran("once", &[], "S01.base.none.web.1", once);
    assert_eq!(code, 0, "{said}");
    let never = |what: &'static str| Box::new(move |first: &str| (first.starts_with("GET") && first.contains(what)).then_some("503 Not now"));
    let (code, reason, said) = ran("never", &[], "S01.base.none.web.1", never("/orders/O"));
    assert_eq!((code, reason.contains("had no answer that could be read")), (4, true), "{reason} {said}");
    // which would have been seen
    let (code, reason, said) = ran("shelves", &["--defect", "negative-delta-ignored"], "S03.base.none.*.12", never("/inventory/"));
    assert_eq!((code, reason.contains("had no answer that could be read")), (4, true), "{reason} {said}");
}

/// Without faults, who has said `not now` for a day says no.
#[test]
fn a_target_that_always_says_not_now_is_not_asked_for_months() {
    let folder = Folder::new("live-sheds");
    let mut service = Service::start(&folder, &[]);
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = asked.clone();
    let sheds = Box::new(move |first: &str| {
        let sheds = first.starts_with("POST") && first.contains("/orders ");
        counted.fetch_add(u32::from(sheds), std::sync::atomic::Ordering::Relaxed);
        sheds.then_some("503 Not now")
    });
    service.url = relay(service.address().to_string(), sheds);
    let (code, said) = service.run(&folder, "out", &["--faults", "none", "--case", "S01.base.none.web.1"]);
    let summary = folder.summary("out");
    assert_eq!((code, text(&summary.cases()[0]["verdict"])), (4, "not_exercised"), "{said}");
    // an order and three of the harness's own, every 256 s in the end
    let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!((4 * 300..4 * 400).contains(&asked), "{asked}");
}

#[test]
fn a_target_that_says_yes_to_forged_news_fails() {
    let folder = Folder::new("live-forged");
    let mut service = Service::start(&folder, &[]);
    service.url = careless(service.address().to_string());
    let (code, said) = service.run(&folder, "out", &["S01.base", "--faults", "wrong-signature", "--orders", "1"]);
    assert_eq!(code, 1, "{said}");
    let first = first_checks(&folder.summary("out"));
    assert!(!first.is_empty() && first.iter().all(|check| check == "REJECT_INERT"), "{first:?}");
}

#[test]
fn a_service_that_is_killed_again_and_again_loses_nothing_that_it_acknowledged() {
    let folder = Folder::new("live-kill");
    let address = lasting_address().to_string();
    let mut service = Service::at(&folder, &address, &["--data", "journal"]);
    let arguments = ["run", "M01", "--orders", "120", "--faults", "none", "--target", "reference", "--out", "out"];
    let mut run = folder.command(&arguments);
    let mut run = run.env("ORDERSTORM_TARGET_URL", &service.url).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started");
    let mut kills = 0;
    while run.try_wait().expect("a child").is_none() && kills < 3 {
        pause(700);
        if run.try_wait().expect("a child").is_none() {
            service.kill();
            pause(100);
            service = Service::at(&folder, &address, &["--data", "journal"]);
            kills += 1;
        }
    }
    assert_eq!(run.wait().expect("a child").code(), Some(0), "after {kills} kills");
    assert!(kills > 0, "the run was over before anything could be killed");
}

#[test]
fn a_child_process_is_really_killed_and_what_it_lost_is_seen() {
    let folder = Folder::new("live-crash");
    let cases = ["S01.base", "--faults", "crash-placed,crash-announced,crash-capturing", "--orders", "3"];
    let mut good = vec!["--target", "reference-process"];
    good.extend(cases);
    folder.run("good", &good, 0);
    let profile = include_str!("../../profiles/target/reference-process.toml");
    let profile = profile.replace("\"--stdio\"", "\"--stdio\", \"--defect\", \"event-lost-on-crash\"").replace("#:schema", "#");
    let file = folder.write("lossy.toml", profile);
    let mut bad = vec!["--target", file.as_str()];
    bad.extend(cases);
    let first = first_checks(&folder.run("bad", &bad, 1));
    assert!(first.iter().all(|check| ["EVENT_GAPLESS", "NO_LOST", "PARTNER_AGREEMENT", "PROGRESS"].contains(&check.as_str())), "{first:?}");
}

/// An address of a service that is killed and comes back. A port that the system gives may meanwhile become the one that some connection of another
/// test leaves from, so this is one below those (32,768 and more on Linux).
fn lasting_address() -> std::net::SocketAddr {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let ports = || 20_000 + (std::process::id() + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) % 10_000;
    let bound = |port: u32| std::net::TcpListener::bind(("127.0.0.1", port as u16)).ok()?.local_addr().ok();
    std::iter::repeat_with(ports).take(1_000).find_map(bound).expect("a free port")
}

/// `scripts/served`: a service that is started, killed, stopped and resumed by commands, ended with the test.
struct Served {
    environment: Vec<(&'static str, String)>,
}

impl Served {
    fn start(folder: &Folder, name: &str, more: &str) -> Served {
        let free = lasting_address();
        let environment = vec![
            ("ORDERSTORM_SERVED", folder.at(name).display().to_string()),
            ("ORDERSTORM_TARGET_URL", format!("http://{free}")),
            ("ORDERSTORM_BIN", env!("CARGO_BIN_EXE_orderstorm").to_string()),
            ("ORDERSTORM_SERVE", more.to_string()),
        ];
        let served = Served { environment };
        assert!(served.does("start"));
        let up = |_: &i32| std::net::TcpStream::connect(free).is_err();
        assert!((0..200).take_while(up).inspect(|_| pause(20)).count() < 200, "it is not there");
        served
    }
    fn does(&self, what: &str) -> bool {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/served");
        Command::new(script).arg(what).envs(self.environment.iter().cloned()).status().is_ok_and(|status| status.success())
    }
    fn run(&self, folder: &Folder, out: &str, arguments: &[&str]) -> (i32, String) {
        let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/target/reference-restarted.toml");
        let mut all = vec!["run", "--target", profile, "--out", out];
        all.extend(arguments);
        let ran = folder.command(&all).envs(self.environment.iter().cloned()).output().expect("the program can be started");
        (ran.status.code().unwrap_or(-1), format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.does("stop");
    }
}

/// How many entries of a run are of this operation.
fn count(folder: &Folder, run: &str, op: &str) -> usize {
    let needle = format!("\"op\":\"{op}\"");
    folder.histories(run).iter().map(|(_, bytes)| unzipped(bytes).matches(&needle).count()).sum()
}

#[test]
fn a_service_is_killed_and_paused_by_the_commands_of_its_profile_and_what_it_lost_is_seen() {
    let folder = Folder::new("live-commands");
    let crashes = ["S01.base", "--faults", "crash-placed,crash-announced,crash-capturing", "--orders", "2"];
    let good = Served::start(&folder, "good-service", "");
    let (code, said) = good.run(&folder, "good", &crashes);
    assert_eq!(code, 0, "{said}");
    assert!(count(&folder, "good", "target.crashed") >= 3 && count(&folder, "good", "target.crashed") == count(&folder, "good", "target.restarted"));
    let (code, said) = good.run(&folder, "paused", &["S01.base", "--faults", "pause", "--orders", "1", "--case", "*.web.*"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!((count(&folder, "paused", "target.paused"), count(&folder, "paused", "target.resumed")), (1, 1));
    for (defect, wanted) in [("event-lost-on-crash", "EVENT_GAPLESS NO_LOST PARTNER_AGREEMENT PROGRESS"), ("event-before-commit", "ACCEPT_ONCE")] {
        let lossy = Served::start(&folder, &format!("{defect}-service"), &format!("--defect {defect}"));
        let (code, said) = lossy.run(&folder, defect, &["S01.base", "--faults", "crash-announced", "--orders", "1"]);
        assert_eq!(code, 1, "{defect}: {said}");
        let first = first_checks(&folder.summary(defect));
        assert!(!first.is_empty() && first.iter().all(|first| wanted.contains(first.as_str())), "{defect}: {first:?}");
    }
}

#[test]
fn who_stands_still_too_long_is_given_up_on_and_does_everything_once() {
    let folder = Folder::new("pause");
    let rule = "name = \"long\"\ntitle = \"It stands still\"\n[[rule]]\nname = \"still\"\nlink = \"target\"\ndo = \"pause\"\nafter = { sent = \"PlaceOrder\" }\n";
    let long = folder.write("long.toml", format!("{rule}down = \"2m\"\n"));
    folder.run("long", &["S01.base", "--faults", &long, "--orders", "12"], 0);
    assert!(count(&folder, "long", "target.paused") > 0);
    let late: usize = folder.histories("long").iter().map(|(_, bytes)| unzipped(bytes).matches("\"outcome\":\"timed_out\"").count()).sum();
    assert!(late > 0, "two minutes are longer than anybody waits");
    folder.run("short", &["S01.base", "--case", "S01.base.pause.*"], 0);
    // a child process really stands still, and time passes meanwhile
    folder.run("process", &["--target", "reference-process", "S01.base", "--faults", "pause", "--orders", "1", "--case", "*.web.*"], 0);
    assert_eq!((count(&folder, "process", "target.paused"), count(&folder, "process", "target.resumed")), (1, 1));
}

fn adapter(folder: &Folder, name: &str, program: &str) -> String {
    let words: Vec<String> = program.split('|').map(|word| format!("{word:?}")).collect();
    folder.write(
        name,
        format!("name = \"a\"\ntitle = \"an adapter\"\nprotocol = \"adapter\"\n[adapter]\ncommand = [{}]\ntimeout = \"5s\"\n", words.join(", ")),
    )
}

/// What the README says of target profiles holds in a folder that `init` wrote, without the repository.
#[test]
fn profiles_that_init_writes_find_the_programs_that_they_start() {
    let folder = Folder::new("live-init");
    folder.orderstorm(&["init"]).exits(0);
    let profiles = std::fs::read_dir(folder.at("profiles/target")).expect("written");
    let profiles: Vec<std::path::PathBuf> = profiles.map(|file| file.expect("readable").path()).collect();
    for name in ["toy", "reference-restarted", "reference", "vendure"] {
        assert!(profiles.iter().any(|path| path.file_stem().is_some_and(|stem| stem == name)), "{name} is not in {profiles:?}");
    }
    for profile in &profiles {
        let text = std::fs::read_to_string(profile).expect("readable");
        for program in text.split("\"${dir}/").skip(1).filter_map(|after| after.split('"').next()) {
            assert!(folder.at("profiles/target").join(program).is_file(), "{program} of {}", profile.display());
        }
    }
    let served = folder.at("scripts/served");
    assert_eq!(Command::new(served).arg("?").output().expect("it can be started").status.code(), Some(2));
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no python3");
        return;
    }
    folder.run("out", &["S01.base", "--faults", "none,duplicate", "--target", "profiles/target/toy.toml"], 0);
}

#[test]
fn the_toy_orchestrator_passes_what_it_can_do_and_fails_what_it_cannot() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no python3");
        return;
    }
    let folder = Folder::new("live-toy");
    let toy = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/target/toy.toml");
    folder.run("can", &["S01.base", "--faults", "none,duplicate", "--target", toy], 0);
    // what it does not claim is not asked of it
    let unclaimed = folder.run("unclaimed", &["S06.base", "--faults", "none", "--orders", "1", "--target", toy], 4);
    let reasons: Vec<&str> = unclaimed.cases().iter().map(|case| text(&case["reason"])).collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason.contains("does not claim the capability cancel")), "{reasons:?}");
    // what it claims it must be able to do
    let adapter = concat!(env!("CARGO_MANIFEST_DIR"), "/adapters/toy.py");
    let claims = include_str!("../../profiles/target/toy.toml").replace("capabilities = []", "capabilities = [\"cancel\"]");
    let claims = folder.write("claims.toml", claims.replace("${dir}/../../adapters/toy.py", adapter).replace("#:schema", "#"));
    let cannot = folder.run("cannot", &["S06.base", "--faults", "none", "--orders", "1", "--target", &claims], 1);
    assert!(cannot.with_verdict("fail").count() > 0);
}

#[test]
fn an_adapter_that_does_not_answer_in_time_is_asked_again_and_its_late_answer_is_none() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no python3");
        return;
    }
    let folder = Folder::new("live-late-adapter");
    // the first answer to an order comes with that to the second attempt, when nobody waits for it any longer
    let toy = include_str!("../../adapters/toy.py")
        .replace(
            "        return say(re=line[\"id\"], **{\"class\": \"replayed\"})",
            "        say(re=late.pop(line[\"key\"]), **{\"class\": \"ok\"})\n        return say(re=line[\"id\"], **{\"class\": \"replayed\"})",
        )
        .replace(
            "    say(re=line[\"id\"], **{\"class\": \"ok\"})\n    event(order, \"order.accepted\"",
            "    late[line[\"key\"]] = line[\"id\"]\n    event(order, \"order.accepted\"",
        )
        .replace("\nkeys = {}", "\nlate = {}\nkeys = {}");
    assert_eq!(toy.matches("late").count(), 3, "the toy is another");
    let toy = folder.write("late.py", toy);
    let profile = include_str!("../../profiles/target/toy.toml").replace("${dir}/../../adapters/toy.py", &toy).replace("#:schema", "#");
    let profile = folder.write("late.toml", profile.replace("[adapter]\n", "[adapter]\ntimeout = \"1s\"\n"));
    folder.run("out", &["S01.base", "--faults", "none", "--case", "S01.base.none.web.1", "--record", "all", "--target", &profile], 0);
    let late: usize = folder.histories("out").iter().map(|(_, bytes)| unzipped(bytes).matches("\"outcome\":\"timed_out\"").count()).sum();
    assert!(late > 0, "the first attempt timed out");
}

/// Numbers and times are those of one run; all else is the same in each.
#[test]
fn the_order_that_the_document_of_adapters_shows_is_what_comes_over_the_pipe() {
    let folder = Folder::new("live-adapter-line");
    let command = r#"["sh", "-c", "tee '${dir}/lines' | '${self}' serve --stdio"]"#;
    let profile = format!("name = \"a\"\ntitle = \"a\"\nprotocol = \"adapter\"\ncapabilities = []\n[adapter]\ncommand = {command}\n");
    let profile = folder.write("tee.toml", profile);
    folder.run("out", &["S01.base", "--case", "S01.base.none.web.1", "--target", &profile], 0);
    let in_one_run = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        for key in ["id", "now_ns"] {
            assert!(line[key].take().is_u64(), "{key}");
        }
        line.to_string()
    };
    let is_it = |line: &&str| line.contains("PlaceOrder") && line.contains("\"O1\"");
    let lines = std::fs::read_to_string(folder.at("lines")).expect("kept");
    let page = include_str!("../../docs/adapter.md");
    let shown = page.lines().skip_while(|line| *line != "```json").find(is_it).expect("an example");
    let came = lines.lines().find(is_it).expect("an order");
    assert_eq!(in_one_run(shown), in_one_run(came), "docs/adapter.md shows another line than what comes:\n{came}");
}

/// Whoever loses the target in the middle has the report of what came to its end before.
#[test]
fn a_target_that_is_lost_leaves_what_had_ended_and_no_green_report() {
    let folder = Folder::new("live-lost");
    let command = r#"["sh", "-c", "echo start >> '${dir}/starts'; [ $(wc -l < '${dir}/starts') -gt 3 ] || exec '${self}' serve --stdio"]"#;
    let profile = format!(
        "name = \"a\"\ntitle = \"a\"\nprotocol = \"adapter\"\n[adapter]\ncommand = {command}\n[clock]\nmode = \"skip\"\n[limits]\ncases = 1\n"
    );
    let profile = folder.write("short.toml", profile);
    let ran = folder.orderstorm(&["run", "S01.base", "--faults", "none", "--target", &profile, "--out", "out"]).exits(3);
    assert!(ran.err.contains("no answer to `init`") && ran.err.contains("the report holds"), "{ran}");
    let summary = folder.summary("out");
    assert_eq!((summary.cases().len(), summary.0["verdict"].as_str()), (3, Some("unknown")), "{ran}");
    let junit = std::fs::read_to_string(folder.at("out/junit.xml")).expect("a file");
    assert!(junit.contains("the target was lost") && junit.contains("<error"), "{junit}");
}

#[test]
fn adapters_that_cannot_be_talked_to_are_told_apart() {
    let folder = Folder::new("live-bad-adapters");
    let run = |profile: &str| {
        folder.orderstorm(&["run", "S01.base", "--faults", "none", "--orders", "1", "--target", profile, "--out", profile.trim_end_matches(".toml")])
    };
    run(&adapter(&folder, "absent.toml", "/no/such/program")).exits(3).says(&["/no/such/program cannot be started"]);
    run(&adapter(&folder, "silent.toml", "true")).exits(3).says(&["no answer to `init`"]);
    // whoever writes something else is not waited for: the time-out of these profiles is 5 s
    let expected = "= expected: a line such as {\"re\":1,\"class\":\"ok\",\"result\":{\"name\":\"mine\",\"protocol\":\"adapter/1\"}}";
    for (name, says, wrong) in [
        ("chatty.toml", "echo hello", "no answer to `init`: no JSON of the protocol (expected value at line 1 column 1) in `hello`"),
        (
            "echo.toml",
            "read -r line; echo \"$line\"",
            "no JSON of the protocol (invalid type: integer `1`, expected a string at line 1 column 7) in `{\"id\":1,",
        ),
        ("own.toml", "read line; echo '{\"ok\":true}'", "`event or call`: expected a name of the vocabulary, not `` in `{\"ok\":true}`"),
        ("other.toml", "read line; echo '{\"re\":2}'", "an answer to what nobody asked, or to what was answered before in `{\"re\":2}`"),
        ("refuses.toml", "read line; echo '{\"re\":1,\"class\":\"error\"}'", "`init` was answered `{\"re\":1,\"class\":\"error\"}`"),
    ] {
        let began = Stopwatch::start();
        run(&adapter(&folder, name, &format!("sh|-c|{says}; exec sleep 20"))).exits(3).says(&[wrong, expected, "= help: standard output is for"]);
        assert!(began.seconds() < 4.0, "{name}: {} s", began.seconds());
    }
    // it answers `init`, and ends
    let dying = "sh|-c|read line; echo '{\\\"re\\\":1,\\\"class\\\":\\\"ok\\\",\\\"result\\\":{\\\"protocol\\\":\\\"adapter/1\\\"}}'; read line";
    let profile = folder.write(
        "dying.toml",
        format!("name = \"a\"\ntitle = \"a\"\nprotocol = \"adapter\"\n[adapter]\ncommand = [{}]\n[clock]\npatience = \"1s\"\n", {
            dying.split('|').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
        }),
    );
    let ended = folder.orderstorm(&["run", "S01.base", "--case", "S01.base.none.web*", "--target", &profile, "--out", "dying"]);
    ended.exits(4);
    let summary = folder.summary("dying");
    assert!(
        summary.cases().iter().all(|case| text(&case["reason"]).contains("the adapter ended before the case did")),
        "{:?}",
        summary.cases()[0]["reason"]
    );
}

/// A server that answers every request with this.
pub fn answers(answer: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut some = [0; 4096];
            let _ = stream.read(&mut some);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
        }
    });
    url
}

#[test]
fn a_target_that_is_not_there_or_no_target_gets_a_clear_answer() {
    let folder = Folder::new("live-bad-targets");
    let run = |url: &str| {
        let mut command = folder.command(&["run", "S01.base", "--faults", "none", "--target", "reference", "--out", "out"]);
        let ran = command.env("ORDERSTORM_TARGET_URL", url).output().expect("the program can be started");
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    for (url, code, parts) in [
        ("http://127.0.0.1:1", 3, vec!["is not there", "orderstorm serve"]),
        (&answers("hello"), 3, vec!["is no target of the contract", "GET /v1 is no JSON"]),
        (&answers("{\"contract\":\"theirs\"}"), 3, vec!["its contract is \"theirs\""]),
        ("http://example.com", 2, vec!["example.com is another machine", "--allow-host example.com"]),
        ("ftp://127.0.0.1", 2, vec!["is not understood"]),
    ] {
        let (exit, said) = run(url);
        assert_eq!(exit, Some(code), "{url}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "`{part}` is not in {said}"));
    }
}
