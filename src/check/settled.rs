//! What is remembered of orders that were judged and forgotten: how each had ended, in a few bits.

use super::account::{Account, Happened};
use crate::model::{Code, Op, OrderNo};
use rustc_hash::FxHashMap;

/// How an order that was settled and forgotten had ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Completed = 1,
    Cancelled,
    Rejected,
    /// answered with a definite no, and never heard of
    TurnedDown,
}

impl End {
    pub fn of(account: &Account) -> End {
        match account.ends.first() {
            Some((Op::OrderCancelled, _)) => End::Cancelled,
            Some((Op::OrderRejected, _)) => End::Rejected,
            None if account.happened() == Happened::No => End::TurnedDown,
            _ => End::Completed,
        }
    }
    pub fn code(self) -> Code {
        match self {
            End::Completed => Code::StateCompleted,
            End::Cancelled => Code::StateCancelled,
            End::Rejected => Code::StateRejected,
            End::TurnedDown => Code::UnknownOrder,
        }
    }
}

/// The ends of forgotten orders, four bits an order. Orders with names of another program are numbered from the top bit on, and so have a
/// table of their own.
#[derive(Default)]
pub(super) struct Settled(FxHashMap<u32, u64>);

impl Settled {
    pub fn get(&self, no: OrderNo) -> Option<End> {
        let bits = self.0.get(&(no.0 / 16)).map_or(0, |word| word >> (no.0 % 16 * 4) & 15);
        [None, Some(End::Completed), Some(End::Cancelled), Some(End::Rejected), Some(End::TurnedDown)].get(bits as usize).copied().flatten()
    }
    pub fn set(&mut self, no: OrderNo, end: End) {
        let (word, shift) = (self.0.entry(no.0 / 16).or_default(), no.0 % 16 * 4);
        *word = *word & !(15 << shift) | (end as u64) << shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_keeps_its_own_end_beside_its_neighbours() {
        let ends = [End::Completed, End::Cancelled, End::Rejected, End::TurnedDown];
        let mut settled = Settled::default();
        (1..200u32).filter(|no| no % 3 != 0).for_each(|no| settled.set(OrderNo(no), ends[no as usize % 4]));
        settled.set(OrderNo(5), End::Rejected);
        for no in 1..200u32 {
            let expected = (no % 3 != 0).then(|| if no == 5 { End::Rejected } else { ends[no as usize % 4] });
            assert_eq!(settled.get(OrderNo(no)), expected, "{no}");
        }
    }
}
