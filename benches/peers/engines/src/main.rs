//! Runs the order model in one engine: `orderstorm-peers ENGINE ORDERS ROUNDS SEED`.
//!
//! Prints one line of JSON: orders delivered, their mean lead time, the logical events, and the processor time a round.

mod heap;
mod nexo;
mod ours;
mod shop;
mod simrs_desk;

use rustix::time::{ClockId, clock_gettime};
use shop::{Shop, Tally};
use std::hint::black_box;
use std::process::ExitCode;

/// Processor time of this process with all its threads, in nanoseconds.
fn cpu_ns() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok());
    let run: fn(Shop) -> Tally = match words.first().map(String::as_str) {
        Some("ours") => ours::run,
        Some("heap") => heap::run,
        Some("nexosim") => nexo::run,
        Some("simrs") => simrs_desk::run,
        _ => return usage(),
    };
    let (Some(orders), Some(rounds), Some(seed)) = (number(1), number(2), number(3)) else { return usage() };
    let mut tally = Tally::default();
    let began = cpu_ns();
    for _ in 0..rounds {
        tally = black_box(run(Shop::new(u64::from(seed), orders)));
    }
    let each = (cpu_ns() - began) / i64::from(rounds.max(1));
    println!(r#"{{"delivered":{},"mean_lead_ns":{},"events":{},"cpu_ns":{each}}}"#, tally.delivered, tally.mean_lead(), tally.events);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: orderstorm-peers ours|heap|nexosim|simrs ORDERS ROUNDS SEED");
    ExitCode::from(2)
}
