//! Capacity and recovery of the embedded reference, beside what theory says of its service model.

use crate::world::{Folder, text};
use serde_json::Value;

const MODEL: &str = "workers=10,law=exponential,lane=commands,network=0ms";

fn result(folder: &Folder, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.at(file)).expect("a file")).expect("JSON")
}

/// The share of orders that wait and are served for longer than `t` seconds, in a queue M/M/c with `mu` orders a second and server (Erlang; Gross
/// and Harris, Fundamentals of Queueing Theory, ch. 2).
fn later_than(t: f64, rate: f64, mu: f64, c: u32) -> f64 {
    let a = rate / mu;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..c {
        term *= a / f64::from(n);
        sum += term;
    }
    let last = term * a / f64::from(c) / (1.0 - a / f64::from(c));
    let waits = last / (sum + last);
    let spare = f64::from(c) - 1.0 - a;
    (-mu * t).exp() * (1.0 + waits * (1.0 - (-mu * t * spare).exp()) / spare)
}

#[test]
fn the_largest_rate_is_the_one_of_queueing_theory() {
    let (mut least, mut most) = (100.0, 999.0);
    for _ in 0..60 {
        let middle = (least + most) / 2.0;
        if later_than(0.1, middle, 100.0, 10) < 0.01 { least = middle } else { most = middle }
    }
    let folder = Folder::new("capacity");
    let service = format!("{MODEL},mean=10ms,queue=none");
    let ended = folder.orderstorm(&[
        "capacity",
        "S01.last-units",
        "--objective",
        "p99<100ms",
        "--service",
        &service,
        "--from",
        "400",
        "--most",
        "1600",
        "--out",
        "out",
    ]);
    ended.exits(0).says(&["Held ", "held, confirmation 3", "Beyond   collapse", "reproduce: orderstorm capacity S01.last-units"]);
    let found = result(&folder, "out/capacity.json");
    let held = found["held"].as_f64().expect("a rate");
    assert!((held / least - 1.0).abs() < 0.02, "{held} held, {least:.1} by theory");
    // nobody gets slower by more work here, so there is no knee to be found
    assert!(found["law"]["knee"].is_null(), "{}", found["law"]);
    for picture in ["capacity.svg", "beyond.svg"] {
        assert!(std::fs::read_to_string(folder.at(&format!("out/{picture}"))).expect("a file").contains("<svg"));
    }
    // the same again, and another queue bears more than it can take
    let again = folder.orderstorm(&[
        "capacity",
        "S01.last-units",
        "--objective",
        "p99<400ms",
        "--service",
        &format!("{MODEL},mean=10ms,queue=30"),
        "--client",
        "retries=none",
        "--errors",
        "0.2",
        "--from",
        "400",
        "--most",
        "900",
        "--out",
        "bounded",
        "--format",
        "json",
    ]);
    let again = again.exits(0);
    // where no table tells of the trials, a line each does
    let lines = again.err.lines().filter(|line| line.starts_with("trial ") && line.contains(": ")).count();
    let bounded: Value = serde_json::from_str(&again.out).expect("JSON");
    assert_eq!(lines, bounded["trials"].as_array().expect("trials").len(), "{}", again.err);
    assert_eq!((bounded["held"].as_f64(), bounded["lost"].is_null()), (Some(900.0), true));
    assert_eq!(text(&bounded["grade"]["word"]), "graceful", "{}", bounded["grade"]);
}

/// Who comes back by itself, of rates of 45, 60 and 75 % of the capacity after ten seconds at a tenth of it.
fn comes_back(folder: &Folder, name: &str, client: &str, queue: &str) -> Vec<bool> {
    let service = format!("{MODEL},mean=100ms,{queue}");
    folder.orderstorm(&[
        "probe",
        "S01.last-units",
        "--rate",
        "45,60,75",
        "--trigger",
        "brownout",
        "--lasts",
        "10s",
        "--objective",
        "p99<1s",
        "--service",
        &service,
        "--client",
        client,
        "--out",
        name,
    ]);
    let cells = result(folder, &format!("{name}/probe.json"));
    cells["cells"].as_array().expect("cells").iter().map(|cell| !cell["recovered_after_s"].is_null()).collect()
}

/// As published for retries without cancellation: the hidden capacity is that of one attempt in 1 + R (workload of Huang et al., OSDI 2022).
#[test]
fn retries_keep_a_target_down_and_budgets_and_short_queues_do_not() {
    let folder = Folder::new("metastable");
    let retries = "timeout=1s,retries=3,backoff=none";
    for (name, client, queue, expected) in [
        ("none", "timeout=1s,retries=none", "queue=none", [true, true, true]),
        ("one", "timeout=1s,retries=1,backoff=none", "queue=none", [true, false, false]),
        ("three", retries, "queue=none", [false, false, false]),
        ("jitter", "timeout=1s,retries=3,backoff=exponential,wait=100ms", "queue=none", [false, false, false]),
        ("budget", "timeout=1s,retries=3,backoff=none,budget=0.1", "queue=none", [true, true, true]),
        ("bounded", retries, "queue=50", [true, true, true]),
        ("lifo", retries, "queue=none,next=lifo", [true, true, true]),
        ("expired", retries, "queue=none,expires=1s", [true, false, false]),
    ] {
        assert_eq!(comes_back(&folder, name, client, queue), expected, "{name}");
    }
    // three retries leave a quarter of the capacity of 100, one retry half of it: the hidden capacity
    let cured = |name: &str| -> Vec<Option<f64>> {
        let cells = result(&folder, &format!("{name}/probe.json"));
        cells["cells"].as_array().expect("cells").iter().map(|cell| cell["cured_at_load"].as_f64()).collect()
    };
    assert_eq!(cured("three"), [Some(0.5), Some(0.25), Some(0.25)]);
    assert_eq!(cured("one"), [None, Some(0.5), Some(0.5)]);
    assert!(std::fs::read_to_string(folder.at("three/vulnerability.svg")).expect("a file").contains("stayed down"));
}

/// Each trigger of the probe acts: what waited for a target that stood still is worked off by the spare capacity, what was lost comes again by
/// clients' retries alone, and partners that fail are no matter of orders taken on.
#[test]
fn each_trigger_shows_what_it_leaves_behind() {
    let folder = Folder::new("triggers");
    let service = format!("{MODEL},mean=100ms,queue=none");
    let probe = |trigger: &str, client: &str, out: &str| {
        let asked = ["probe", "S01.last-units", "--rate", "75", "--lasts", "10s", "--trigger", trigger, "--objective", "p99<1s"];
        folder.orderstorm(&[&asked[..], &["--service", &service, "--client", client, "--out", out]].concat());
        result(&folder, &format!("{out}/probe.json"))["cells"][0].clone()
    };
    let after = |cell: &Value| cell["recovered_after_s"].as_u64();
    let (once, thrice, patient) = ("timeout=1s,retries=none", "timeout=1s,retries=3,backoff=none", "timeout=40s,retries=none");
    // 750 orders at 25 a second, less the second that each may wait
    let paused = probe("pause", once, "pause");
    assert_eq!(paused["ideal_s"].as_f64(), Some(30.0), "{paused}");
    assert!(after(&paused).is_some_and(|seconds| (24..=36).contains(&seconds)), "{paused}");
    assert!(after(&probe("pause", thrice, "pause-retries")).is_none());
    // nobody sends again what was lost: nothing is left behind
    let lost = probe("blackhole", once, "blackhole");
    assert_eq!((after(&lost), lost["ideal_s"].is_null()), (Some(0), true), "{lost}");
    // four attempts each leave a quarter of the capacity
    assert!(after(&probe("blackhole", thrice, "blackhole-retries")).is_none());
    assert_eq!(after(&probe("partners", thrice, "partners")), Some(0));
    // whoever waits for longer than it stands still hears the answer that comes then
    assert!(after(&probe("pause", patient, "patient")).is_some_and(|seconds| seconds <= 36));
}

/// What queued up near the capacity takes minutes to be worked off, though nobody keeps it up: no metastable failure. And who never held the
/// objective has nothing to come back to.
#[test]
fn what_takes_long_to_work_off_is_waited_for_and_what_was_late_before_says_nothing() {
    let folder = Folder::new("drains");
    let service = format!("{MODEL},mean=100ms,queue=none");
    let probe = |rate: &str, objective: &str, out: &str| {
        let model = ["--service", &service, "--client", "timeout=1s,retries=none"];
        let asked = ["probe", "S01.last-units", "--rate", rate, "--lasts", "10s", "--trigger", "brownout", "--objective", objective, "--out", out];
        folder.orderstorm(&[&asked[..], &model].concat())
    };
    probe("94", "p99<1s", "slow").exits(0);
    let cell = &result(&folder, "slow/probe.json")["cells"][0];
    let seconds = |key: &str| cell[key].as_f64().expect("a number");
    assert!(seconds("recovered_after_s") > 100.0 && seconds("watched_s") > 2.0 * seconds("ideal_s"), "{cell}");
    // service alone makes 8 % late
    probe("20", "p99<250ms", "late").exits(4).says(&["says nothing"]);
}

/// A rate beyond the capacity stays bad after a trigger as it was before: that is no metastable failure.
#[test]
fn a_rate_that_was_never_held_says_nothing_of_triggers() {
    let folder = Folder::new("overload");
    let service = format!("{MODEL},mean=100ms,queue=none");
    let probe = |rates: &str, out: &str| {
        let flags = ["--lasts", "2s", "--service", &service, "--client", "timeout=1s,retries=none", "--objective", "p99<1s", "--out", out];
        folder.orderstorm(&[&["probe", "S01.last-units", "--rate", rates], &flags[..]].concat())
    };
    let over = probe("120", "over").exits(4);
    assert!(over.out.contains("1 trial says nothing") && !over.out.contains("metastable"), "{}", over.out);
    let both = probe("45,120", "both").exits(4);
    assert!(both.out.contains("came back by itself in 1 of 2 trials") && both.out.contains("says nothing"), "{}", both.out);
    let cells = result(&folder, "both/probe.json");
    assert_eq!((&cells["cells"][0]["itself_before"], &cells["cells"][1]["itself_before"]), (&true.into(), &false.into()));
    // what is there is not written over
    probe("45", "both").exits(2).says(&["holds the results of another run"]);
}

/// Ten workers of 10 ms each serve 1,000 orders a second. Orders for one key come one after another, which is a queue M/M/1 of 100 a second: of those, a
/// share exp(-(100 - r) t) takes longer than t at r a second, and a hundredth of all orders may. The hottest key has a share p of them.
#[test]
fn a_hot_key_bears_one_order_after_another_however_many_workers_there_are() {
    // the first of a thousand keys by Zipf's law, and what a queue M/M/1 bears of which it is that share
    let share = 1.0 / (1..=1_000).map(|rank| f64::from(rank).powf(-1.2)).sum::<f64>();
    let theory = (100.0 - (100.0 * share).ln()) / share;
    let folder = Folder::new("capacity-skew");
    let service = "workers=10,law=exponential,mean=10ms,queue=none,lane=keys,network=0ms";
    let flags = ["--objective", "p99<1s", "--service", service, "--from", "300", "--most", "2000", "--out", "out"];
    let ended = folder.orderstorm(&[&["capacity", "--skew", "1.2"], &flags[..]].concat());
    ended.exits(0).says(&["hottest of 1000 keys", "reproduce: orderstorm capacity --objective 'p99<1s'", "--skew 1.2"]);
    let found = result(&folder, "out/capacity.json");
    let [row] = &found["skews"].as_array().expect("a row for each")[..] else { panic!("{found}") };
    let number = |key: &str| row[key].as_f64().expect("a number");
    assert!((number("hottest") - share).abs() < 1e-6, "{row}");
    assert!(
        number("held") < theory * 1.03 && theory < number("lost") * 1.03 && number("lost") / number("held") < 1.1,
        "{row}, {theory:.1} by theory"
    );
    let own = result(&folder, &format!("out/{}/capacity.json", text(&row["folder"])));
    assert_eq!(own["held"], row["held"]);
    assert!(std::fs::read_to_string(folder.at("out/skew.svg")).expect("a file").contains("1.2: "));
}

/// Whether ten orders a second are held.
fn holds_ten(folder: &Folder, out: &str, service: &str, client: &str) -> bool {
    let mut arguments =
        vec!["capacity", "S01.last-units", "--from", "10", "--most", "10", "--objective", "p99<1s", "--errors", "0.005", "--out", out];
    arguments.extend(["--client", client]);
    if !service.is_empty() {
        arguments.extend(["--service", service]);
    }
    folder.orderstorm(&arguments);
    result(folder, &format!("{out}/capacity.json"))["held"].as_f64().is_some_and(|held| (held - 10.0).abs() < 1e-9)
}

#[test]
fn who_sends_again_meets_another_network_and_who_gave_up_hears_nothing() {
    let folder = Folder::new("capacity-clients");
    // some two in a hundred are on their way for longer than that; not four times in a row
    assert!(holds_ten(&folder, "again", "", "timeout=50ms,retries=3,backoff=none"));
    assert!(!holds_ten(&folder, "once", "", "timeout=50ms,retries=none"));
    // the answer leaves after 200 ms, and comes after 300
    let far = "workers=10,law=constant,mean=100ms,lane=commands,queue=none,network=100ms";
    assert!(holds_ten(&folder, "waits", far, "timeout=350ms,retries=none"));
    assert!(!holds_ten(&folder, "gone", far, "timeout=250ms,retries=none"));
}

#[test]
fn what_cannot_be_asked_is_said() {
    let folder = Folder::new("capacity-bad");
    let says = |arguments: &[&str], what: &str| {
        folder.orderstorm(arguments).exits(2).says(&[what]);
    };
    says(&["capacity", "S01"], "has several variants");
    says(&["capacity", "--objective", "fast"], "write it as p99<250ms");
    says(&["capacity", "--service", "worker=3"], "did you mean `workers`?");
    says(&["capacity", "--from", "0"], "rates from 0.01");
    says(&["capacity", "--from", "100", "--most", "10"], "the first not above the second");
    says(&["capacity", "--skew", "steep"], "`steep` is no exponent");
    says(&["capacity", "S01.base", "--skew", "1"], "cannot be used with");
    says(&["serve", "--service-model=network=1ms"], "`network` is no key");
    says(&["probe", "--lasts", "0s"], "not between 1s and 10m");
    says(&["probe", "--rate", "NaN"], "no rate from 0.1");
    says(&["probe", "--rate", "100000", "--lasts", "10m"], "one trial may have 50000000");
    says(&["probe", "--client", "timeout=0s"], "in no time at all");
    let reference = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/target/reference.toml")).expect("it is shipped");
    for (was, is, what) in [
        ("[limits]\n", "[limits]\ncoalesce = \"11ms\"\n", "expected at most 10ms"),
        ("timeout = \"15s\"", "timeout = \"0s\"", "nobody answers in no time at all"),
    ] {
        let target = folder.write("bad.toml", reference.replacen(was, is, 1));
        says(&["capacity", "--target", &target], what);
    }
    says(&["probe", "--client", "retries=3,backoff=sometimes"], "not understood");
    says(&["probe", "--trigger", "brownout", "--target", "reference"], "for the embedded target");
    says(&["probe", "--trigger", "earthquake"], "possible values: spike, brownout, pause, blackhole, partners");
    says(&["capacity", "--target", "reference", "--service", "workers=3"], "as fast as it is");
}
