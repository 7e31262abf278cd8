//! What the kernel costs: the calendar against a plain binary heap, and a draw.
//!
//! Both structures run alternately in one process and pop the same items, so that what else the machine does falls on both
//! alike; read the ratios, not the nanoseconds. `cargo bench --bench kernel [-- rounds]`

use orderstorm::sim::{Calendar, Law, Purpose, Seed, Span, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Instant;

const SECOND: u64 = 1_000_000_000;
/// Increments are drawn beforehand: the time of drawing them is not the calendar's.
const GAPS: usize = 1 << 16;

trait Queue {
    fn empty() -> Self;
    fn push(&mut self, at: u64, item: u64);
    fn pop(&mut self) -> Option<(u64, u64)>;
}

impl Queue for Calendar<u64> {
    fn empty() -> Self {
        Calendar::new()
    }
    fn push(&mut self, at: u64, item: u64) {
        Calendar::push(self, Timestamp(at), item);
    }
    fn pop(&mut self) -> Option<(u64, u64)> {
        Calendar::pop(self).map(|(at, item)| (at.0, item))
    }
}

impl Queue for BinaryHeap<Reverse<(u64, u64)>> {
    fn empty() -> Self {
        BinaryHeap::new()
    }
    fn push(&mut self, at: u64, item: u64) {
        BinaryHeap::push(self, Reverse((at, item)));
    }
    fn pop(&mut self) -> Option<(u64, u64)> {
        BinaryHeap::pop(self).map(|Reverse(pair)| pair)
    }
}

#[allow(clippy::disallowed_methods, reason = "a bench measures the time that it takes")]
fn timed<R>(work: impl FnOnce() -> R) -> (f64, R) {
    let start = Instant::now();
    let result = black_box(work());
    (start.elapsed().as_nanos() as f64, result)
}

/// The increments of a distribution by name.
fn gaps(name: &str) -> Vec<u64> {
    let exponential = Law::Exp { mean: Span::from_secs(600) };
    (0..GAPS as u64)
        .map(|i| {
            let mut draw = Seed(1).draw(Purpose(1), i, 0);
            match name {
                "exp" => exponential.sample(&mut draw).0,
                "ties" => exponential.sample(&mut draw).0.div_ceil(60 * SECOND) * 60 * SECOND,
                _ => match draw.unit() {
                    u if u < 0.5 => Law::Exp { mean: Span::from_millis(50) }.sample(&mut draw).0,
                    u if u < 0.8 => Law::Exp { mean: Span::from_mins(5) }.sample(&mut draw).0,
                    _ => Law::Exp { mean: Span::from_hours(4) }.sample(&mut draw).0,
                },
            }
        })
        .collect()
}

/// The hold model: with `pending` items in the queue, pop one and push it later. Nanoseconds a pair, and a checksum of the
/// order of leaving.
fn hold<Q: Queue>(pending: usize, gaps: &[u64]) -> (f64, u64) {
    let mut queue = Q::empty();
    for i in 0..pending {
        queue.push(gaps[i % GAPS] + (i / GAPS) as u64, i as u64);
    }
    let turns = (2 * pending).max(400_000);
    let mut run = |turns: usize, sum: &mut u64| {
        for i in 0..turns {
            let Some((at, item)) = queue.pop() else { return };
            *sum = sum.wrapping_mul(31).wrapping_add(at ^ item);
            queue.push(at + gaps[(item as usize).wrapping_mul(31).wrapping_add(i) % GAPS], item);
        }
    };
    let mut sum = 0;
    run(turns / 2, &mut sum);
    let (ns, ()) = timed(|| run(turns, &mut sum));
    (ns / turns as f64, sum)
}

/// So many simultaneous items, each of which causes three more without delay. Nanoseconds an item.
fn burst<Q: Queue>(items: u64) -> (f64, u64) {
    let (ns, sum) = timed(|| {
        let mut queue = Q::empty();
        for i in 0..items {
            queue.push(SECOND, i);
        }
        let (mut sum, mut next) = (0u64, items);
        while let Some((at, item)) = queue.pop() {
            sum = sum.wrapping_mul(31).wrapping_add(at ^ item);
            if item < items {
                for _ in 0..3 {
                    queue.push(at, next);
                    next += 1;
                }
            }
        }
        sum
    });
    (ns / (4 * items) as f64, sum)
}

/// A queue that first held a few far timers, of which one was popped, and then the ordinary load before the others.
fn far_timers<Q: Queue>(pending: usize, gaps: &[u64]) -> (f64, u64) {
    let mut queue = Q::empty();
    let week = 7 * 86_400 * SECOND;
    for i in 0..50 {
        queue.push(week + i * 3_600 * SECOND, u64::MAX - i);
    }
    let mut sum = queue.pop().map_or(0, |(at, item)| at ^ item);
    for i in 0..pending {
        queue.push(week + gaps[i % GAPS], i as u64);
    }
    let turns = (2 * pending).max(400_000);
    let (ns, ()) = timed(|| {
        for i in 0..turns {
            let Some((at, item)) = queue.pop() else { return };
            sum = sum.wrapping_mul(31).wrapping_add(at ^ item);
            queue.push(at + gaps[(item as usize).wrapping_mul(31).wrapping_add(i) % GAPS], item);
        }
    });
    (ns / turns as f64, sum)
}

/// Medians of both, run alternately.
fn compare(name: &str, rounds: usize, ladder: impl Fn() -> (f64, u64), heap: impl Fn() -> (f64, u64)) {
    let (mut ladder_ns, mut heap_ns) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (ns, ladder_sum) = ladder();
        ladder_ns.push(ns);
        let (ns, heap_sum) = heap();
        heap_ns.push(ns);
        assert_eq!(ladder_sum, heap_sum, "{name}: the two left in different orders");
    }
    let (ladder, heap) = (median(ladder_ns), median(heap_ns));
    println!("{name:<22} {ladder:>9.1} {heap:>9.1} {:>7.1}x", heap / ladder);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn draws(name: &str, rounds: usize, sample: impl Fn(u64) -> u64) {
    const N: u64 = 2_000_000;
    let ns = (0..rounds).map(|_| timed(|| (0..N).fold(0u64, |sum, i| sum.wrapping_add(sample(i)))).0 / N as f64).collect();
    println!("{name:<22} {:>9.1}", median(ns));
}

fn main() {
    // `cargo bench` passes flags of its own, `cargo test --benches` asks only whether it runs.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = !arguments.iter().any(|argument| argument == "--bench");
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 1 } else { 5 });
    type Heap = BinaryHeap<Reverse<(u64, u64)>>;

    println!("{:<22} {:>9} {:>9} {:>8}", "ns per pop+push", "ladder", "heap", "ratio");
    for name in ["exp", "ties", "mix"] {
        let gaps = gaps(name);
        for pending in [1_000, 10_000, 100_000, 1_000_000].into_iter().take(if quick { 2 } else { 4 }) {
            compare(&format!("{name} {pending}"), rounds, || hold::<Calendar<u64>>(pending, &gaps), || hold::<Heap>(pending, &gaps));
        }
    }
    let gaps = gaps("exp");
    compare("burst 30000 x 4", rounds, || burst::<Calendar<u64>>(30_000), || burst::<Heap>(30_000));
    compare("far timers 100000", rounds, || far_timers::<Calendar<u64>>(100_000, &gaps), || far_timers::<Heap>(100_000, &gaps));

    println!("\n{:<22} {:>9}", "ns per keyed draw", "");
    draws("one word", rounds, |i| Seed(1).draw(Purpose(1), i, 0).word());
    draws("below(100)", rounds, |i| Seed(1).draw(Purpose(1), i, 0).below(100));
    let exponential = Law::Exp { mean: Span::from_secs(1) };
    draws("Law::Exp", rounds, |i| exponential.sample(&mut Seed(1).draw(Purpose(1), i, 0)).0);
    let log_normal = Law::LogNormal { p50: Span::from_millis(80), p95: Span::from_millis(400) };
    draws("Law::LogNormal", rounds, |i| log_normal.sample(&mut Seed(1).draw(Purpose(1), i, 0)).0);
}
