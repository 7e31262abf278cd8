//! Events of one order in the order of their numbers, whatever order they are heard in.

use smallvec::SmallVec;

/// Gives items out by their `seq` 1, 2, 3, .., each as soon as all before it have come.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    given: u32,
    /// few, so a list
    ahead: SmallVec<[(u32, T); 1]>,
}

impl<T> Default for InOrder<T> {
    fn default() -> InOrder<T> {
        InOrder { given: 0, ahead: SmallVec::new() }
    }
}

impl<T> InOrder<T> {
    /// Takes an item in; one whose number was given out already comes next.
    pub fn push(&mut self, seq: u32, item: T) {
        match self.ahead.iter_mut().find(|(known, _)| *known == seq) {
            Some((_, known)) => *known = item,
            None => self.ahead.push((seq, item)),
        }
    }
    /// Is it this number's turn, with nothing waiting? Then it counts as given out, and need not be put in.
    pub fn passes(&mut self, seq: u32) -> bool {
        let next = seq == self.given + 1 && self.ahead.is_empty();
        self.given += u32::from(next);
        next
    }
    /// The next item, unless one before it is missing.
    pub fn pop(&mut self) -> Option<T> {
        let first = (0..self.ahead.len()).min_by_key(|at| self.ahead[*at].0)?;
        if self.ahead[first].0 > self.given + 1 {
            return None;
        }
        let (seq, item) = self.ahead.swap_remove(first);
        self.given = self.given.max(seq);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_time_passes_and_only_that() {
        let mut queue: InOrder<u32> = InOrder::default();
        assert_eq!([queue.passes(1), queue.passes(1), queue.passes(3), queue.passes(2)], [true, false, false, true]);
        queue.push(4, 4);
        assert!(!queue.passes(3) && queue.pop().is_none());
        queue.push(3, 3);
        assert_eq!((queue.pop(), queue.pop(), queue.passes(5)), (Some(3), Some(4), true));
    }

    #[test]
    fn items_wait_for_those_before_them() {
        let mut queue = InOrder::default();
        let mut come = |seq| {
            queue.push(seq, seq);
            std::iter::from_fn(|| queue.pop()).collect::<Vec<u32>>()
        };
        assert_eq!([come(2), come(1), come(5), come(3), come(2), come(4)], [vec![], vec![1, 2], vec![], vec![3], vec![2], vec![4, 5]]);
    }
}
