//! The future-event list.
use super::Timestamp;
/// stub
pub struct Calendar<T: Ord + Copy> {
    heap: std::collections::BinaryHeap<std::cmp::Reverse<(Timestamp, T)>>,
}
impl<T: Ord + Copy> Default for Calendar<T> {
    fn default() -> Self {
        Calendar::new()
    }
}
impl<T: Ord + Copy> Calendar<T> {
    pub fn new() -> Self {
        Calendar { heap: Default::default() }
    }
    pub fn push(&mut self, at: Timestamp, item: T) {
        self.heap.push(std::cmp::Reverse((at, item)));
    }
    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        self.heap.pop().map(|r| r.0)
    }
    /// Time of the earliest item. Takes `&mut self` because looking may sort.
    pub fn next_at(&mut self) -> Option<Timestamp> {
        self.heap.peek().map(|r| r.0.0)
    }
    pub fn len(&self) -> usize {
        self.heap.len()
    }
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}
