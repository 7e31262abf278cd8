//! What is remembered of each open order, by the order's place in the books: an index in place of a hash for every checker and entry.

use crate::model::OrderNo;
use crate::sim::Paged;

/// Where the books keep an order that is open. Places are used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub(super) order: OrderNo,
    pub(super) at: u32,
}

/// One `T` for each order that a checker has something to remember of. They lie side by side: looking one up is one miss of the cache.
pub(super) struct PerOrder<T> {
    kept: Paged<(OrderNo, T)>,
    /// so many there are, at hand
    room: usize,
}

impl<T> Default for PerOrder<T> {
    fn default() -> PerOrder<T> {
        PerOrder { kept: Paged::default(), room: 0 }
    }
}

impl<T: Default> PerOrder<T> {
    /// What is remembered of the order; nothing yet is the default.
    pub fn entry(&mut self, place: Place) -> &mut T {
        let at = place.at as usize;
        if at >= self.room {
            self.grow(at);
        }
        let kept = &mut self.kept[at];
        // what an order that had this place before left behind is nobody's, unless it was left for the next
        if kept.0 != place.order {
            if kept.0.is_some() {
                kept.1 = T::default();
            }
            kept.0 = place.order;
        }
        &mut kept.1
    }
    #[cold]
    fn grow(&mut self, at: usize) {
        self.kept.reach(at, || (OrderNo::NONE, T::default()));
        self.room = self.kept.len();
    }
    pub fn get(&self, place: Place) -> Option<&T> {
        let kept = self.kept.get(place.at as usize)?;
        (kept.0 == place.order).then_some(&kept.1)
    }
    /// The last look at what is remembered of an order: then it is forgotten, without having been moved.
    pub fn close(&mut self, place: Option<Place>, judge: impl FnOnce(&mut T)) {
        let kept = place.and_then(|place| self.kept.get_mut(place.at as usize).filter(|kept| kept.0 == place.order));
        if let Some(kept) = kept {
            judge(&mut kept.1);
            *kept = (OrderNo::NONE, T::default());
        }
    }
    pub fn remove(&mut self, place: Place) -> Option<T> {
        let kept = self.kept.get_mut(place.at as usize).filter(|kept| kept.0 == place.order)?;
        kept.0 = OrderNo::NONE;
        Some(std::mem::take(&mut kept.1))
    }
    /// The order is forgotten, and the next one at this place begins with what it left: a default, once it was emptied, that has memory already.
    pub fn leave(&mut self, place: Place) {
        if let Some(kept) = self.kept.get_mut(place.at as usize) {
            kept.0 = OrderNo::NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_used_again_remembers_nothing_of_the_order_before() {
        let place = |order| Place { order: OrderNo(order), at: 3 };
        let mut sums: PerOrder<i64> = PerOrder::default();
        *sums.entry(place(1)) += 5;
        *sums.entry(place(1)) += 5;
        assert_eq!((sums.get(place(1)), sums.get(place(2))), (Some(&10), None));
        assert_eq!(*sums.entry(place(2)), 0);
        assert_eq!((sums.remove(place(1)), sums.remove(place(2)), sums.remove(place(2))), (None, Some(0), None));
        assert_eq!(sums.remove(Place { order: OrderNo(1), at: 9 }), None);
    }

    #[test]
    fn what_is_left_for_the_next_order_is_no_ones_until_then() {
        let place = |order| Place { order: OrderNo(order), at: 0 };
        let mut lists: PerOrder<Vec<u8>> = PerOrder::default();
        lists.entry(place(1)).extend([1; 100]);
        lists.entry(place(1)).clear();
        lists.leave(place(1));
        assert_eq!((lists.get(place(1)), lists.get(place(2))), (None, None));
        let next = lists.entry(place(2));
        assert!(next.is_empty() && next.capacity() >= 100);
    }
}
