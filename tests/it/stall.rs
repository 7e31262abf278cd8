//! A target that stands still for a second shows in the quantiles as queueing theory says, for load does not wait for answers.

use crate::stub::{Freeze, SOLD_OUT, Stub, closed_loop};
use crate::world::{Folder, text};
use std::time::Duration;

const RATE: f64 = 1_000.0;
const ORDERS: usize = 6_000;
const FREEZE: Duration = Duration::from_secs(1);
/// What the reported quantile may be off.
const WITHIN: f64 = 0.03;
/// Orders that are sent later than this in more than one of a hundred cases say that the machine had no time for the harness. Who waits for a target
/// that stands still waits from when he was due, so less than this changes nothing.
const LAG_S: f64 = 0.1;

/// Orders come evenly for `total` seconds, and of those that come while nobody is answered for `freeze` seconds each waits for its end: from nought to
/// all of it, each length as likely. So a share (freeze - x) / total of all waits longer than x, and that is one in a hundred at
/// x = freeze - total / 100: 0.94 s for a second in six.
fn analytic_p99(freeze: f64, total: f64) -> f64 {
    freeze - 0.01 * total
}

fn accepted(p99: f64, freeze: f64, total: f64) -> bool {
    (p99 / analytic_p99(freeze, total) - 1.0).abs() < WITHIN
}

/// What one run reports: the 99th percentiles of the time to an answer and of how late the harness itself was, and how long the stub stood still.
fn offered(folder: &Folder, out: &str) -> (f64, f64, f64) {
    let stub = Stub::start(Some(Freeze { after: Duration::from_secs(2), lasts: FREEZE }));
    let target = folder.write("stub.toml", stub.profile());
    let scenario = folder.write("load.toml", SOLD_OUT);
    let rate = folder
        .write("rate.toml", format!("name = \"rate\"\ntitle = \"t\"\norders = {ORDERS}\n[arrival]\nprocess = \"constant\"\nrate = {RATE:.1}\n"));
    let profile = ["--profile", &rate, "--target", &target, "--faults", "none", "--record", "failures"];
    let ended = folder.orderstorm(&[&["run", &scenario, "--out", out], &profile[..]].concat());
    let summary = folder.summary(out);
    let [case] = summary.cases() else { panic!("{ended}") };
    let p99 = |stage: &str| case["measures"]["latency"][stage]["p99_s"].as_f64().unwrap_or_else(|| panic!("no p99 of {stage}: {case}\n{ended}"));
    let (requests, orders) = stub.orders();
    // every run has a few probe orders besides
    assert!(
        requests == orders && (ORDERS..ORDERS + 10).contains(&orders),
        "each once, however long it waited: {requests} requests for {orders} orders"
    );
    assert!(!text(&case["reason"]).contains("the harness"), "{case}");
    // the hundredth of the orders that waits longest
    let froze = stub.froze_for(ORDERS / 100).expect("it stood still");
    (p99("ack"), p99("send_lag"), froze)
}

#[test]
fn a_stall_of_a_second_is_reported_as_theory_has_it() {
    let folder = Folder::new("stall");
    let total = ORDERS as f64 / RATE;
    // a machine that has no time for the harness shows nothing of it: that is seen by its own lag, never by the result
    let mut late = Vec::new();
    for attempt in 0..4 {
        let (ack, lag, froze) = offered(&folder, &format!("out-{attempt}"));
        eprintln!("p99 {ack:.4} s, by theory {:.4} s ({froze:.4} s of standing still), send lag p99 {lag:.4} s", analytic_p99(froze, total));
        if lag > LAG_S {
            late.push(lag);
            continue;
        }
        let theory = analytic_p99(froze, total);
        assert!(accepted(ack, froze, total), "p99 {ack:.4} s, where theory says {theory:.4} s; send lag p99 {lag:.4} s");
        return;
    }
    panic!("the harness sent late each time, so nothing can be said of what it reports: send lag p99 {late:?} s");
}

#[test]
fn who_waits_for_each_answer_would_be_found_out() {
    let stub = Stub::start(Some(Freeze { after: Duration::from_millis(200), lasts: FREEZE }));
    let requests = 500;
    let mut took = closed_loop(&stub, requests);
    took.sort_by(f64::total_cmp);
    let (froze, total) = (stub.froze_for(1).expect("it stood still"), requests as f64 * 0.001 + 1.0);
    assert!(took[requests - 1] > 0.9, "one request met the stall");
    let p99 = took[requests - 1 - requests / 100];
    assert!(p99 < 0.1 && !accepted(p99, froze, total), "{p99} s, by theory {}", analytic_p99(froze, total));
    // 0.94 s, give or take 3 %
    assert!(accepted(0.966, 1.0, 6.0) && accepted(0.913, 1.0, 6.0));
    assert!(!accepted(0.97, 1.0, 6.0) && !accepted(0.91, 1.0, 6.0) && !accepted(0.97, 1.0, 60.0));
}
