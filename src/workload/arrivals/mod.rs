//! Due times: when each order of a case is placed, whatever the target does.
//!
//! A process runs in *operational time*, which counts expected orders: there a Poisson process has exponential gaps of mean 1, whatever the
//! rate does. Then the cumulative rate is inverted segment by segment (`path`, `segment`), so nothing is drawn in vain and no bound on the
//! rate is needed. All is an iterator: memory does not grow with the number of orders.
//!
//! **Partitions** run at the same time, each with its share of the rate. What modulates the rate is drawn from the case's seed, so all see
//! the same peaks; the orders themselves from the partition's. The sum of independent Poisson processes is one, also on one drawn rate; a
//! Hawkes process is the sum of its clusters, and each partition has its share of those that nothing set off.
//!
//! **A number of orders and a duration** together: given how many come, the times of a Poisson process are independent draws from the
//! normalised rate. Their order statistics are drawn one after another, so the number is exact, the shape is kept, and no order is late. Equal
//! gaps are equal parts of the mass. So are drawn, too, the times of partitions without a duration, up to one end for all. Those of a Hawkes process are stretched or
//! shortened to it, for the number of its orders and their times are not independent; one that is not cut, and batches, are scaled to expect the number
//! in the duration, and their last orders may come somewhat after it, at the mean rate.

mod batch;
mod modulation;
mod path;
mod segment;
#[cfg(test)]
mod tests;

use crate::scenario::{Arrival, Process};
use crate::sim::{Draw, Purpose, Seed, Timestamp};
use batch::Batches;
pub use batch::batches_in;
use path::Path;
use segment::Segment;
use std::sync::Arc;

/// The gap before an order, keyed by the order's number.
const GAP: Purpose = Purpose(0x0100);
/// No order is later: 73 years.
const LATEST: u64 = u64::MAX / 8;

/// A partition's part of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    pub number: u32,
    pub of: u32,
    /// orders of this partition
    pub orders: u32,
    /// orders of the whole case
    pub in_all: u32,
}

impl Share {
    /// All of a case.
    pub fn whole(orders: u32) -> Share {
        Share { number: 0, of: 1, orders, in_all: orders }
    }
}

/// The due times of one partition, in order; `case` is the seed of the case, `seed` that of the partition.
pub fn due(arrival: &Arc<Arrival>, case: Seed, seed: Seed, share: Share) -> Due {
    let fitted = arrival.duration.is_some();
    let in_all = f64::from(share.in_all.max(1));
    // the mass of the whole case; where the rate is as it stands, it is that of its orders
    let path = || if fitted { Path::new(arrival, case).ending() } else { (Path::new(arrival, case), in_all) };
    let timed = |clock, path| Form::Timed(Box::new(Timed { clock, path, now: Segment::NONE, mass: 0.0, passed: 0.0 }));
    let form = match &arrival.process {
        Process::Burst => Form::Burst,
        // how long all orders take is a matter of the case: did each partition end in its own time, the load would taper off. Given when one more
        // would come, orders are spread evenly up to then (in operational time)
        Process::Poisson if share.of > 1 && !fitted => {
            let total = case.draw(GAP, 0, 0).gamma(in_all + 1.0);
            timed(Clock::Given { passed: 0.0, total }, Path::new(arrival, case))
        }
        Process::Poisson if arrival.is_plain() => Form::Gaps { last: 0, mean: arrival.gap * f64::from(share.of) },
        Process::Constant if arrival.is_plain() => Form::Steps(arrival.gap),
        Process::Poisson => {
            let (path, total) = path();
            timed(if fitted { Clock::Given { passed: 0.0, total } } else { Clock::Poisson(0.0) }, path)
        }
        Process::Constant => {
            let (path, total) = path();
            timed(Clock::Even { unit: total / in_all }, path)
        }
        Process::Hawkes { branching, half_life } => {
            let (path, total) = path();
            // orders that are expected in the half-life, at the mean rate
            let gap = arrival.duration.map_or(arrival.gap, |duration| duration.0 as f64 / in_all);
            let decay = std::f64::consts::LN_2 / (half_life.0 as f64 / gap);
            let of = f64::from(share.of);
            let (base, excess) = ((1.0 - branching) / of, branching / of);
            let clusters = Clusters { at: 0.0, base, excess, jump: branching * decay, decay };
            let unit = if share.of > 1 {
                // one end for all, as above: each partition is stretched until the order after its last would come then. Clusters make numbers vary
                // by 1 / (1 - branching)^2 more than independent orders do
                let fewer = (1.0 - branching) * (1.0 - branching);
                let end = if fitted { total } else { case.draw(GAP, 0, 0).gamma((in_all + 1.0) * fewer) / fewer };
                let mut lasts = clusters.clone();
                (1..=u64::from(share.orders) + 1).for_each(|n| lasts.step(&mut seed.draw(GAP, n, 0)));
                end / lasts.at
            } else {
                total / in_all
            };
            timed(Clock::Hawkes { clusters, unit }, path)
        }
        Process::Batch { every, jitter, size, sigma, within } => {
            let fitted = arrival.duration.map(|duration| (duration, share.in_all));
            Form::Batch(Batches::new(case, (*every, *jitter, *within), (*size, *sigma), fitted))
        }
        Process::Replay { times, speed } => Form::Replay { times: times.clone(), speed: *speed },
    };
    Due { form, seed, share, next: 0 }
}

/// The due times of a partition.
#[derive(Clone)]
pub struct Due {
    form: Form,
    seed: Seed,
    share: Share,
    next: u32,
}

#[derive(Clone)]
enum Form {
    Burst,
    /// exponential gaps of one mean, each rounded to a nanosecond
    Gaps {
        last: u64,
        mean: f64,
    },
    /// equal gaps
    Steps(f64),
    Timed(Box<Timed>),
    Batch(Batches),
    Replay {
        times: Arc<[f64]>,
        speed: f64,
    },
}

/// A process in operational time.
#[derive(Clone)]
enum Clock {
    Poisson(f64),
    /// the order statistics of uniform numbers: exponential gaps, divided by how many are still to come, in the logarithm of what is left
    Given {
        passed: f64,
        total: f64,
    },
    Even {
        unit: f64,
    },
    Hawkes {
        clusters: Clusters,
        unit: f64,
    },
}

/// Dassios and Zhao, "Exact simulation of Hawkes process with exponentially decaying intensity", ECP 18 (2013)
#[derive(Clone)]
struct Clusters {
    at: f64,
    base: f64,
    excess: f64,
    jump: f64,
    decay: f64,
}

impl Clusters {
    fn step(&mut self, draw: &mut Draw) {
        let by_itself = draw.exponential() / self.base;
        let left = 1.0 - self.decay * draw.exponential() / self.excess;
        let gap = if left > 0.0 { by_itself.min(-libm::log(left) / self.decay) } else { by_itself };
        self.at += gap;
        self.excess = self.excess * libm::exp(-self.decay * gap) + self.jump;
    }
}

/// A process on the path of a rate.
#[derive(Clone)]
struct Timed {
    clock: Clock,
    path: Path,
    now: Segment,
    /// of the segment
    mass: f64,
    /// before the segment
    passed: f64,
}

impl Timed {
    /// When the mass has reached `up_to`, which never goes back.
    fn when(&mut self, up_to: f64) -> f64 {
        while up_to >= self.passed + self.mass {
            // what no run can reach need not be told apart
            if self.now.from >= LATEST as f64 {
                return LATEST as f64;
            }
            let Some(next) = self.path.next() else { break };
            self.passed += self.mass;
            self.now = next;
            self.mass = next.mass();
            if next.until == f64::INFINITY {
                break;
            }
        }
        self.now.when(up_to - self.passed)
    }
}

impl Iterator for Due {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        if self.next >= self.share.orders {
            return None;
        }
        self.next += 1;
        let Share { number, of, orders, .. } = self.share;
        let mut draw = self.seed.draw(GAP, u64::from(self.next), 0);
        // of all partitions together, from 0
        let nth = u64::from(number) + u64::from(self.next - 1) * u64::from(of);
        let at = match &mut self.form {
            Form::Burst => 0.0,
            Form::Gaps { last, mean } => {
                *last = last.saturating_add((draw.exponential() * *mean).round() as u64);
                return Some(Timestamp((*last).min(LATEST)));
            }
            Form::Steps(gap) => nth as f64 * *gap,
            Form::Timed(timed) => {
                let mass = match &mut timed.clock {
                    Clock::Poisson(at) => {
                        *at += draw.exponential() * f64::from(of);
                        *at
                    }
                    Clock::Given { passed, total } => {
                        *passed += draw.exponential() / f64::from(orders - self.next + 1);
                        -libm::expm1(-*passed) * *total
                    }
                    Clock::Even { unit } => nth as f64 * *unit,
                    Clock::Hawkes { clusters, unit } => {
                        clusters.step(&mut draw);
                        clusters.at * *unit
                    }
                };
                timed.when(mass)
            }
            Form::Batch(batches) => batches.when(nth),
            Form::Replay { times, speed } => match times.last() {
                // after the last time the recording begins anew, one mean gap later
                Some(last) => {
                    let n = times.len() as u64;
                    let again = last + if n > 1 { last / (n - 1) as f64 } else { 1.0 };
                    (times[(nth % n) as usize] + (nth / n) as f64 * again) * 1e9 / *speed
                }
                None => 0.0,
            },
        };
        Some(Timestamp((at.max(0.0).round() as u64).min(LATEST)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.share.orders - self.next) as usize;
        (left, Some(left))
    }
}

/// Expected orders in each of `slots` equal parts of `span` from the first moment on, if the rate stays as it stands; a drawn rate under this seed.
pub fn expected(arrival: &Arc<Arrival>, case: Seed, span: f64, slots: usize) -> Vec<f64> {
    let width = span / slots.max(1) as f64;
    let mut out = vec![0.0; slots];
    for segment in Path::new(arrival, case).take_while(|segment| segment.from < span) {
        let (mut from, mut seen) = (segment.from, 0.0);
        while from < segment.until.min(span) {
            let at = ((from / width) as usize).min(slots - 1);
            let until = ((at + 1) as f64 * width).min(segment.until).max(from + 1.0);
            let upto = Segment { until, law: cut(&segment, until), ..segment }.mass();
            out[at] += upto - seen;
            (from, seen) = (until, upto);
        }
        if segment.until == f64::INFINITY {
            break;
        }
    }
    out
}

/// The law of the part of a segment that ends at `until`.
fn cut(segment: &Segment, until: f64) -> segment::Law {
    match segment.law {
        segment::Law::Linear(a, b) if segment.until.is_finite() => {
            segment::Law::Linear(a, a + (b - a) * (until - segment.from) / (segment.until - segment.from))
        }
        law => law,
    }
}
