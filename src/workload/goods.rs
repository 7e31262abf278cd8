//! What orders are about: bodies drawn from a load profile, each from streams keyed by the order's number. What the draws mean can also depend
//! on the time: a hot set that opens, ranks that drift.

use crate::model::{Channel, Region};
use crate::scenario::{Goods, Popularity};
use crate::sim::{Alias, Draw, Purpose, Seed, Span};
use smallvec::SmallVec;
use std::sync::Arc;

const ORDER: Purpose = Purpose(0x0120);
const LINE: Purpose = Purpose(0x0121);
const PRICE: Purpose = Purpose(0x0122);
const DRIFT: Purpose = Purpose(0x0123);

/// So many nights ranks drift; after a year they stay.
const MOST_NIGHTS: u64 = 366;

/// One order before anything is numbered: SKUs are places in the catalogue, from 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Drawn {
    pub channel: Channel,
    pub region: Region,
    pub customer: u32,
    pub pickup: bool,
    /// SKU and units
    pub lines: SmallVec<[(u32, u32); 4]>,
}

/// Draws orders in the order of their times.
#[derive(Clone)]
pub struct Bodies {
    goods: Arc<Goods>,
    /// of the case: what all partitions see alike
    case: Seed,
    seed: Seed,
    /// which law, by how many of them count
    mix: Alias,
    /// when the next law begins to count
    until: Span,
    /// the midnights that have passed, and which SKU has which rank; empty while nothing has moved
    drifted: (u64, Vec<u32>),
}

impl Bodies {
    pub fn new(goods: &Arc<Goods>, case: Seed, seed: Seed) -> Bodies {
        Bodies { goods: goods.clone(), case, seed, mix: Alias::default(), until: Span::ZERO, drifted: (0, Vec::new()) }
    }

    /// The order with this number, placed so long after the first moment of the case.
    pub fn order(&mut self, number: u32, at: Span) -> Drawn {
        self.reach(at);
        let mut draw = self.seed.draw(ORDER, number.into(), 0);
        let shoppers = &self.goods.shoppers;
        let channel = Channel::ALL[self.goods.channels.sample(&mut draw) as usize % Channel::ALL.len()];
        let customer = draw.below(shoppers.people.into()) as u32;
        let region = if draw.chance(shoppers.west) { Region::West } else { Region::East };
        let pickup = draw.chance(shoppers.pickup);
        let count = 1 + self.goods.lines.table().sample(&mut draw);
        let mut lines: SmallVec<[(u32, u32); 4]> = SmallVec::new();
        for line in 0..count {
            let mut draw = self.seed.draw(LINE, number.into(), line);
            let sku = self.sku(&mut draw);
            let units = 1 + self.goods.qty.table().sample(&mut draw);
            match lines.iter_mut().find(|(other, _)| *other == sku) {
                Some((_, qty)) => *qty += units,
                None => lines.push((sku, units)),
            }
        }
        Drawn { channel, region, customer, pickup, lines }
    }

    /// A SKU as popular as in orders at the last time that was asked for.
    pub fn sku(&self, draw: &mut Draw) -> u32 {
        let Some(law) = self.goods.popularity.get(self.mix.sample(draw) as usize) else { return 0 };
        let at = law.first + law.table().sample(draw);
        match self.drifted.1.get(at as usize) {
            Some(sku) if law.drifts(self.goods.skus) => *sku,
            _ => at,
        }
    }

    /// What has begun to count, and how ranks have moved, by then.
    pub fn reach(&mut self, at: Span) {
        if at >= self.until {
            let laws = &self.goods.popularity;
            let share = |law: &Popularity| if law.from <= at { law.share } else { 0.0 };
            let shares: Vec<f64> = laws.iter().map(share).collect();
            // before anything counts, everything does
            self.mix = Alias::new(&shares).or_else(|| Alias::new(&vec![1.0; laws.len()])).unwrap_or_default();
            self.until = laws.iter().map(|law| law.from).filter(|from| *from > at).min().unwrap_or(Span(u64::MAX));
        }
        if self.goods.drift > 0.0 {
            let midnight = crate::model::RUN_BEGINS_AT_H * 3_600_000_000_000;
            let passed = (at.0.saturating_add(midnight) / Span::from_days(1).0).min(MOST_NIGHTS);
            while self.drifted.0 < passed {
                self.drift();
            }
        }
    }

    fn drift(&mut self) {
        let (passed, ranks) = &mut self.drifted;
        *passed += 1;
        let n = self.goods.skus;
        if ranks.is_empty() {
            *ranks = (0..n).collect();
        }
        let mut draw = self.case.draw(DRIFT, *passed, 0);
        // each swap moves two, and a part of one comes when it is whole
        let swaps = |nights: u64| (f64::from(n) * self.goods.drift / 2.0 * nights as f64).round() as u64;
        for _ in swaps(*passed - 1)..swaps(*passed) {
            let (a, b) = (draw.below(n.into()) as usize, draw.below(n.into()) as usize);
            ranks.swap(a, b);
        }
    }
}

/// Share of the lines that each SKU of the catalogue has when every law counts, the largest first.
pub fn shares(goods: &Goods) -> Vec<f64> {
    let mut shares = vec![0.0; goods.skus as usize];
    for law in &goods.popularity {
        let weights = law.weights();
        let total: f64 = weights.iter().sum();
        for (share, weight) in shares[law.first as usize..].iter_mut().zip(&weights) {
            *share += law.share * weight / total;
        }
    }
    shares.sort_unstable_by(|a, b| b.total_cmp(a));
    shares
}

/// Cents for a unit.
pub fn price(goods: &Goods, sku: u32) -> i64 {
    // a catalogue has its prices whatever is drawn from it
    let z = Seed(0).draw(PRICE, sku.into(), 0).normal();
    (goods.price as f64 * libm::exp(goods.price_sigma * z)).round().clamp(1.0, 1e9) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Library;

    fn bodies(profile: &str) -> (Arc<Goods>, Bodies) {
        let goods = Library::shipped().unwrap().load_profile(profile).unwrap().goods.unwrap();
        (goods.clone(), Bodies::new(&goods, Seed(1), Seed(2)))
    }

    #[test]
    fn a_hot_set_counts_from_its_time_on_and_has_its_share() {
        let (_, mut bodies) = bodies("flash-sale");
        let hot = |bodies: &mut Bodies, at: Span| {
            let lines: Vec<(u32, u32)> = (1..=20_000).flat_map(|n| bodies.order(n, at).lines).collect();
            lines.iter().filter(|(sku, _)| *sku < 10).count() as f64 / lines.len() as f64
        };
        let (before, after) = (hot(&mut bodies, Span::ZERO), hot(&mut bodies, Span::from_hours(1)));
        assert!(before < 0.05 && (0.55..0.65).contains(&after), "{before} {after}");
    }

    #[test]
    fn ranks_drift_at_midnight_and_for_all_partitions_alike() {
        let (goods, mut one) = bodies("diurnal");
        let mut other = Bodies::new(&goods, Seed(1), Seed(3));
        one.reach(Span::from_hours(13));
        assert!(one.drifted.1.is_empty());
        one.reach(Span::from_days(3));
        other.reach(Span::from_days(3));
        assert_eq!(one.drifted, other.drifted);
        let moved = (0..).zip(&one.drifted.1).filter(|(rank, sku)| rank != *sku).count() as f64 / f64::from(goods.skus);
        // three midnights of three in a hundred each
        assert!((0.07..0.095).contains(&moved), "{moved}");
    }

    #[test]
    fn an_order_is_the_same_whoever_was_drawn_before() {
        let (_, mut bodies) = bodies("steady");
        let alone = bodies.clone().order(7, Span::ZERO);
        (1..7).for_each(|n| drop(bodies.order(n, Span::ZERO)));
        assert_eq!(bodies.order(7, Span::ZERO), alone);
    }
}
