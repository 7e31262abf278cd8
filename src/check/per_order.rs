//! What is remembered of each open order, by the order's place in the books: an index in place of a hash for every checker and entry.

use crate::model::OrderNo;

/// Where the books keep an order that is open. Places are used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub(super) order: OrderNo,
    pub(super) at: u32,
}

/// One `T` for each order that a checker has something to remember of.
pub(super) struct PerOrder<T>(Vec<Option<Box<(OrderNo, T)>>>);

impl<T> Default for PerOrder<T> {
    fn default() -> PerOrder<T> {
        PerOrder(Vec::new())
    }
}

impl<T: Default> PerOrder<T> {
    /// What is remembered of the order; nothing yet is the default.
    pub fn entry(&mut self, place: Place) -> &mut T {
        let at = place.at as usize;
        if at >= self.0.len() {
            self.0.resize_with(at + 1, || None);
        }
        let slot = &mut self.0[at];
        // what was left behind of an order that had this place before is nobody's
        if slot.as_ref().is_some_and(|kept| kept.0 != place.order) {
            *slot = None;
        }
        &mut slot.get_or_insert_with(|| Box::new((place.order, T::default()))).1
    }
    pub fn get(&self, place: Place) -> Option<&T> {
        let kept = self.0.get(place.at as usize)?.as_ref()?;
        (kept.0 == place.order).then_some(&kept.1)
    }
    pub fn remove(&mut self, place: Place) -> Option<T> {
        let kept = self.0.get_mut(place.at as usize)?.take()?;
        (kept.0 == place.order).then_some(kept.1)
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
        assert_eq!((sums.remove(place(1)), sums.remove(place(2))), (None, None));
        assert_eq!(sums.remove(Place { order: OrderNo(1), at: 9 }), None);
    }
}
