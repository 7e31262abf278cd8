//! Counts over time in a bounded number of buckets: when they run out, neighbours are joined and the width doubles.

use super::SeriesPoint;
use crate::sim::{Span, Timestamp};

const BUCKETS: usize = 120;
const NARROWEST_NS: u64 = 100_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    pub placed: u64,
    pub shipped: u64,
    pub completed: u64,
    pub faults: u64,
    pub ack_max_us: u64,
}

impl Bucket {
    fn join(&mut self, other: &Bucket) {
        self.placed += other.placed;
        self.shipped += other.shipped;
        self.completed += other.completed;
        self.faults += other.faults;
        self.ack_max_us = self.ack_max_us.max(other.ack_max_us);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    width_ns: u64,
    buckets: Vec<Bucket>,
}

impl Default for Series {
    fn default() -> Series {
        Series { width_ns: NARROWEST_NS, buckets: Vec::new() }
    }
}

impl Series {
    pub fn at(&mut self, time: Timestamp) -> &mut Bucket {
        while time.0 / self.width_ns >= BUCKETS as u64 {
            self.widen();
        }
        let index = (time.0 / self.width_ns) as usize;
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, Bucket::default());
        }
        &mut self.buckets[index]
    }

    fn widen(&mut self) {
        self.width_ns = self.width_ns.saturating_mul(2);
        self.buckets = self
            .buckets
            .chunks(2)
            .map(|pair| {
                let mut joined = Bucket::default();
                pair.iter().for_each(|bucket| joined.join(bucket));
                joined
            })
            .collect();
    }

    /// Lays another series over this one; both begin at the start of their case.
    pub fn merge(&mut self, other: &Series) {
        while self.width_ns < other.width_ns {
            self.widen();
        }
        for (i, bucket) in other.buckets.iter().enumerate() {
            self.at(Timestamp(i as u64 * other.width_ns)).join(bucket);
        }
    }

    pub fn points(&self) -> Vec<SeriesPoint> {
        let point = |(i, b): (usize, &Bucket)| SeriesPoint {
            t_s: Span(i as u64 * self.width_ns).as_secs_f64(),
            placed: b.placed,
            shipped: b.shipped,
            completed: b.completed,
            faults: b.faults,
            ack_max_s: b.ack_max_us as f64 / 1e6,
        };
        self.buckets.iter().enumerate().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_fits_into_the_buckets_and_nothing_is_lost() {
        let mut series = Series::default();
        for day in 0..365 {
            series.at(Timestamp::ZERO + Span::from_days(day)).placed += 1;
        }
        let mut short = Series::default();
        short.at(Timestamp(5)).placed += 3;
        short.merge(&series);
        let points = short.points();
        assert!(points.len() <= BUCKETS);
        assert_eq!(points.iter().map(|p| p.placed).sum::<u64>(), 368);
    }
}
