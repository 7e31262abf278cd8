//! The same loop on the standard library's binary heap: what the calendar alone is worth.

use crate::shop::{FIRST, Shop, Tally};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub fn run(mut shop: Shop) -> Tally {
    let mut heap = BinaryHeap::from([Reverse((0, FIRST))]);
    while let Some(Reverse((now, event))) = heap.pop() {
        shop.happen(now, event, |delay, event| heap.push(Reverse((now + delay, event))));
    }
    shop.tally
}
