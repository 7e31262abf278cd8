//! Stock that goes with an imported history: enough for nearly everything, and the rest later.
//!
//! A history says what was ordered, not what was on the shelf. With all demand in stock nothing would be contended; with
//! too little some orders would never end. So the opening stock covers a share, and what is missing comes as receipts.

use super::Import;
use crate::model::Region;
use crate::sim::{Span, Timestamp};
use std::collections::BTreeMap;

/// How long after the stock ran out the missing units come in.
pub const DEFAULT_RECEIPT_LAG: Span = Span::from_days(5);

/// Units of a SKU (an index into `Import::skus`) in a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RegionStock {
    pub sku: u32,
    pub region: Region,
    pub units: u64,
}

/// Units that come in at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Receipt {
    pub at: Timestamp,
    pub sku: u32,
    pub region: Region,
    pub units: u64,
}

#[derive(Clone, Copy, Default)]
struct Demand {
    /// of the first order for it
    first: u64,
    total: u64,
}

/// The stock that covers `share` of each SKU's demand in each region, rounded down, but at least the first order for it: a
/// SKU that is asked for once would otherwise open with nothing and always be backordered.
pub fn opening_stock(import: &Import, share: f64) -> Vec<RegionStock> {
    // In millionths, for 29 % of 100 units are 29 units, not the 28 that binary fractions make of it.
    let millionths = (share.clamp(0.0, 1.0) * 1e6).round() as u128;
    let covered = |demand: Demand| ((u128::from(demand.total) * millionths / 1_000_000) as u64).max(demand.first);
    demand(import).into_iter().map(|((sku, region), demand)| RegionStock { sku, region, units: covered(demand) }).collect()
}

/// For each SKU and region that the opening stock does not cover, the missing units, `lag` after the order with which it
/// runs out, in order of time. Opening stock and receipts together are exactly the demand.
pub fn replenishment(import: &Import, opening: &[RegionStock], lag: Span) -> Vec<Receipt> {
    let mut left: BTreeMap<(u32, Region), u64> = opening.iter().map(|stock| ((stock.sku, stock.region), stock.units)).collect();
    let mut missing: BTreeMap<(u32, Region), (Timestamp, u64)> = BTreeMap::new();
    for order in &import.orders {
        for line in &order.lines {
            let key = (line.sku, order.region);
            let on_hand = left.entry(key).or_default();
            let short = u64::from(line.qty).saturating_sub(*on_hand);
            *on_hand = on_hand.saturating_sub(u64::from(line.qty));
            if short > 0 {
                missing.entry(key).or_insert((order.placed_at, 0)).1 += short;
            }
        }
    }
    let mut receipts: Vec<Receipt> =
        missing.into_iter().map(|((sku, region), (ran_out, units))| Receipt { at: ran_out + lag, sku, region, units }).collect();
    receipts.sort_unstable();
    receipts
}

/// Units ordered of each SKU in each region.
fn demand(import: &Import) -> BTreeMap<(u32, Region), Demand> {
    let mut demand: BTreeMap<(u32, Region), Demand> = BTreeMap::new();
    for order in &import.orders {
        // An order may have two lines of a SKU, at two prices.
        let mut units: BTreeMap<u32, u64> = BTreeMap::new();
        for line in &order.lines {
            *units.entry(line.sku).or_default() += u64::from(line.qty);
        }
        for (sku, units) in units {
            let entry = demand.entry((sku, order.region)).or_insert(Demand { first: units, total: 0 });
            entry.total += units;
        }
    }
    demand
}
