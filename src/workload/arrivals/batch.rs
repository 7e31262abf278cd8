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
    /// the batch, the number of its first order in the case, and how many it has
    now: (u64, u64, u64),
}

impl Batches {
    /// Batches as they stand, or scaled so that `orders` are expected in the duration.
    pub fn new(seed: Seed, (every, jitter, within): (Span, Span, Span), (size, sigma): (f64, f64), fitted: Option<(Span, u32)>) -> Batches {
        let scale = fitted.map_or(1.0, |(duration, orders)| {
            let batches = (duration.0 / every.0.max(1)).max(1) as f64;
            f64::from(orders) / (batches * size * libm::exp(sigma * sigma / 2.0))
        });
        let (every, jitter, within) = (every.0 as f64, jitter.0 as f64, within.0 as f64);
        let mut batches = Batches { seed, every, jitter, median: size * scale, sigma, within, now: (0, 0, 0) };
        batches.now.2 = batches.orders_of(0);
        batches
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
            self.now = (next, self.now.1 + self.now.2, self.orders_of(next));
        }
        let (batch, first, orders) = self.now;
        let off = self.seed.draw(BATCH, batch, 1).unit() * 2.0 * self.jitter;
        batch as f64 * self.every + off + self.within * (number - first) as f64 / orders as f64
    }
}
