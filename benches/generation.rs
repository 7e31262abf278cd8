//! Nanoseconds an order: due times alone for each process, and bodies for each shipped profile. One core.
//!
//! `cargo bench --bench generation` ; `cargo bench --bench generation -- 1000000` for another number of orders.

use orderstorm::scenario::{Arrival, Base, CoxFile, Flash, Library, LoadProfile, Process, State};
use orderstorm::sim::{Seed, Span, Stopwatch, Timestamp};
use orderstorm::workload::arrivals::{Share, due};
use orderstorm::workload::goods::Bodies;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders: u32 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10_000_000);
    println!("{orders} due times, one core\n{:<28} {:>12} {:>16}", "process", "ns/order", "last");
    for (name, arrival) in processes() {
        let arrival = Arc::new(arrival);
        // the least of three: what a busy machine adds is not ours
        let mut best = f64::INFINITY;
        let mut last = Timestamp::ZERO;
        for _ in 0..3 {
            let watch = Stopwatch::start();
            last = due(&arrival, Seed(1), Seed(2), Share::whole(orders)).last().unwrap_or_default();
            best = best.min(watch.seconds());
        }
        println!("{name:<28} {:>12.1} {:>16}", best * 1e9 / f64::from(orders), last.since(Timestamp::ZERO).to_string());
    }
    let bodies = orders / 10;
    println!("\n{bodies} orders with their bodies\n{:<28} {:>12} {:>16}", "profile", "ns/order", "lines");
    let mut library = Library::shipped()?;
    let names: Vec<String> = library.contents().2.map(|profile| profile.name.clone()).collect();
    for name in names {
        let LoadProfile { arrival, goods: Some(goods), .. } = library.load_profile(&name)? else { continue };
        let mut drawn = Bodies::new(&goods, Seed(1), Seed(2));
        let watch = Stopwatch::start();
        let times = (1..).zip(due(&arrival, Seed(1), Seed(2), Share::whole(bodies)));
        let lines: usize = times.map(|(number, at)| drawn.order(number, at.since(Timestamp::ZERO)).lines.len()).sum();
        println!("{name:<28} {:>12.1} {lines:>16}", watch.seconds() * 1e9 / f64::from(bodies));
    }
    Ok(())
}

fn processes() -> Vec<(&'static str, Arrival)> {
    let plain = || Arrival::poisson(Span::from_millis(10));
    let day = Some(Span::from_days(7));
    let flash = Flash { at: Span::from_mins(10), rise: Span::from_secs(26), peak: 36.0, exponent: 0.383, floor: 0.55 };
    let slots: Vec<f64> = (0..48).map(|slot| 0.1 + f64::from(slot % 12)).collect();
    let states = vec![State { level: 0.5, stay: Span::from_mins(10) }, State { level: 8.0, stay: Span::from_secs(30) }];
    let minutes = Span::from_mins;
    let batch = Process::Batch { every: minutes(15), jitter: minutes(1), size: 500.0, sigma: 1.2, within: minutes(1) };
    vec![
        ("poisson", plain()),
        ("constant", Arrival { process: Process::Constant, ..plain() }),
        ("slots, as they stand", Arrival { slots: slots.clone(), ..plain() }),
        ("slots, in a week", Arrival { slots, duration: day, ..plain() }),
        ("cox", Arrival { cox: CoxFile { day_cv: 0.2, day_ar1: 0.2, hour_cv: 0.1 }, duration: day, ..plain() }),
        ("states", Arrival { states, ..plain() }),
        ("power law", Arrival { base: Base::Flash(flash), duration: Some(Span::from_hours(2)), ..plain() }),
        ("hawkes", Arrival { process: Process::Hawkes { branching: 0.5, half_life: Span::from_secs(30) }, ..plain() }),
        ("batch", Arrival { process: batch, ..plain() }),
    ]
}
