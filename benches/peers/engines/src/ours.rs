//! Our kernel: the calendar of `orderstorm::sim` and a loop.

use crate::shop::{Event, FIRST, Shop, Tally};
use orderstorm::sim::{Calendar, Timestamp};

pub fn run(mut shop: Shop) -> Tally {
    let mut calendar: Calendar<Event> = Calendar::new();
    calendar.push(Timestamp::ZERO, FIRST);
    while let Some((now, event)) = calendar.pop() {
        shop.happen(now.0, event, |delay, event| calendar.push(Timestamp(now.0 + delay), event));
    }
    shop.tally
}
