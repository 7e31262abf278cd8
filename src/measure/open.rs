//! The orders that are open, each at a place of its own: what is searched by number is small, and growing it moves no order.

use super::order::OpenOrder;
use crate::model::OrderNo;
use crate::sim::Paged;
use rustc_hash::FxHashMap;

#[derive(Debug, Default)]
pub(super) struct OpenOrders {
    orders: Paged<OpenOrder>,
    /// places that were left
    free: Vec<u32>,
    places: FxHashMap<OrderNo, u32>,
}

impl OpenOrders {
    pub fn get(&self, no: OrderNo) -> Option<&OpenOrder> {
        self.places.get(&no).and_then(|at| self.orders.get(*at as usize))
    }
    pub fn get_mut(&mut self, no: OrderNo) -> Option<&mut OpenOrder> {
        self.places.get(&no).and_then(|at| self.orders.get_mut(*at as usize))
    }
    pub fn insert(&mut self, no: OrderNo, order: OpenOrder) {
        let at = match self.free.pop() {
            Some(at) => {
                self.orders[at as usize] = order;
                at
            }
            None => {
                self.orders.push(order);
                self.orders.len() as u32 - 1
            }
        };
        self.places.insert(no, at);
    }
    pub fn remove(&mut self, no: OrderNo) -> Option<OpenOrder> {
        let at = self.places.remove(&no)?;
        self.free.push(at);
        self.orders.get_mut(at as usize).map(std::mem::take)
    }
    /// All of them.
    pub fn numbers(&self) -> Vec<OrderNo> {
        let mut all: Vec<_> = self.places.keys().copied().collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Timestamp;

    #[test]
    fn an_order_is_found_until_it_is_removed_and_its_place_is_used_again() {
        let due = |due| OpenOrder { due: Timestamp(due), ..OpenOrder::default() };
        let mut open = OpenOrders::default();
        (1..=3).for_each(|no| open.insert(OrderNo(no), due(no.into())));
        assert_eq!(open.remove(OrderNo(2)).map(|order| order.due), Some(Timestamp(2)));
        assert!(open.remove(OrderNo(2)).is_none() && open.get(OrderNo(2)).is_none() && open.get_mut(OrderNo(9)).is_none());
        open.insert(OrderNo(7), due(7));
        assert_eq!((open.orders.len(), open.numbers()), (3, vec![OrderNo(1), OrderNo(3), OrderNo(7)]));
        assert_eq!([1, 3, 7].map(|no| open.get(OrderNo(no)).map(|order| order.due.0)), [Some(1), Some(3), Some(7)]);
    }
}
