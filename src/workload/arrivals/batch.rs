//! Many at once, again and again: what a marketplace or a trading partner sends. When and how many is drawn from the seed of the case; its
//! orders are dealt out to the partitions in turn.

use crate::sim::{Purpose, Seed, Span};

const BATCH: Purpose = Purpose(0x0113);

#[derive(Clone)]
pub(super) struct Batches {
    pub seed: Seed,
    pub every: f64,
    pub jitter: f64,
    pub median: f64,
    pub sigma: f64,
    pub within: f64,
    /// in a duration: the number of the last batch, and how many orders there are in all
    last: Option<(u64, u64)>,
    /// the batch, the number of its first order in the case, and how many it has
    now: (u64, u64, u64),
}

/// How many batches are over after so long, whenever each of them begins; at least one.
pub fn batches_in(duration: Span, (every, jitter, within): (Span, Span, Span)) -> u64 {
    let latest = jitter.saturating_mul(2) + within;
    // one that begins at the very end is after it
    duration.0.saturating_sub(latest.0.max(1)) / every.0.max(1) + 1
}

impl Batches {
    /// Batches as they stand, or scaled so that `orders` are expected in the duration, with as many batches as are over by then; what chance leaves
    /// over comes with the last one of it.
    pub fn new(seed: Seed, (every, jitter, within): (Span, Span, Span), (size, sigma): (f64, f64), fitted: Option<(Span, u32)>) -> Batches {
        let last = fitted.map(|(duration, orders)| (batches_in(duration, (every, jitter, within)) - 1, u64::from(orders)));
        let scale = last.map_or(1.0, |(last, orders)| orders as f64 / ((last + 1) as f64 * size * libm::exp(sigma * sigma / 2.0)));
        let (every, jitter, within) = (every.0 as f64, jitter.0 as f64, within.0 as f64);
        let mut batches = Batches { seed, every, jitter, median: size * scale, sigma, within, last, now: (0, 0, 0) };
        batches.now.2 = batches.size_of(0, 0);
        batches
    }

    /// How many orders a batch has that begins with this one.
    fn size_of(&self, batch: u64, first: u64) -> u64 {
        match self.last {
            Some((last, orders)) if batch == last => orders.saturating_sub(first),
            _ => self.orders_of(batch),
        }
    }

    /// Rounded at random, so that small batches keep their mean.
    fn orders_of(&self, batch: u64) -> u64 {
        let mut draw = self.seed.draw(BATCH, batch, 0);
        let mean = self.median * libm::exp(self.sigma * draw.normal());
        (mean + draw.unit()) as u64
    }

    /// When the order with this number (from 0, over all partitions) comes; numbers are asked for in order.
    pub fn when(&mut self, number: u64) -> f64 {
        while number >= self.now.1 + self.now.2 {
            let next = self.now.0 + 1;
            let first = self.now.1 + self.now.2;
            self.now = (next, first, self.size_of(next, first));
        }
        let (batch, first, orders) = self.now;
        let off = self.seed.draw(BATCH, batch, 1).unit() * 2.0 * self.jitter;
        batch as f64 * self.every + off + self.within * (number - first) as f64 / orders as f64
    }
}
