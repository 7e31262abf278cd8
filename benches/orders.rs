//! Orders and events a second through the whole virtual run: generation, world, faults, the embedded reference, every judge, the
//! measures and the history's digest. One core, one partition after another, so that figures of two machines compare.
//!
//! `cargo bench --bench orders` ; `cargo bench --bench orders -- 100000` for another number of orders.

use orderstorm::run::Stop;
use orderstorm::run::execute::{self, Conditions, Setup};
use orderstorm::scenario::{Library, Selection, expand};
use orderstorm::sim::{Seed, Stopwatch};
use orderstorm::workload;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders: u32 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(20_000);
    let mut library = Library::shipped()?;
    let setup = Setup { seed: 1, target: "embedded".into(), defect: None, conditions: Conditions::default(), arguments: String::new() };
    println!("{orders} orders a case, one core, every judge on");
    println!("{:<34} {:>10} {:>12} {:>12} {:>12} {:>10}", "case", "seconds", "orders/s", "events/s", "entries/s", "verdict");
    for (scenario, fault) in
        [("S01.base", "none"), ("S01.base", "duplicate"), ("S02.base", "reply-lost"), ("S05.base", "feed-duplicate"), ("S07.base", "delay")]
    {
        let scenarios = library.scenarios(&[scenario.to_string()])?;
        let faults = library.fault_sets(&[fault.to_string()])?;
        let selection = Selection { orders: Some(orders), seed: Seed(1), ..Selection::default() };
        let expansion = expand(&scenarios, &faults, &selection);
        let Some(case) = expansion.cases.first() else { continue };
        let watch = Stopwatch::start();
        let (mut events, mut entries, mut placed) = (0, 0, 0u64);
        let mut verdict = orderstorm::check::Verdict::NotApplicable;
        for number in 0..workload::partitions(case) {
            let part = workload::partition(case, number);
            let result = execute::partition(&setup, case, &part, None, &Stop::new())?;
            events += result.ran.events;
            entries += result.ran.entries;
            placed += u64::from(part.orders);
            verdict = verdict.merge(result.judgement.verdict);
        }
        let seconds = watch.seconds();
        let rate = |n: u64| format!("{:.0}", n as f64 / seconds);
        println!("{:<34} {seconds:>10.2} {:>12} {:>12} {:>12} {:>10}", case.name, rate(placed), rate(events), rate(entries), verdict.name());
    }
    Ok(())
}
