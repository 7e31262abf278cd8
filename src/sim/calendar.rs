//! The future-event list: a ladder wheel.
//!
//! A binary heap costs more the more is pending, because each pop walks memory at random. Here a push appends to one of
//! 416 slots, and a pop takes from a short sorted list, the bottom. Only when the bottom is used up is the next slot
//! emptied into it, and a slot with too many items is first spread over finer slots. Each item moves at most once a
//! level, sequentially, so the cost does not grow with the number pending.
//!
//! Time is cut into digits of five bits. An item stands at the level of the highest digit in which its time differs from
//! `covered`, in the slot of that digit's value. Nothing has to be tuned to the distribution of times.

use super::Timestamp;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Bits of a digit: 32 slots a level, so one word says which are occupied.
const DIGIT: u32 = 5;
const SLOTS: usize = 1 << DIGIT;
/// Levels that it takes for all 64 bits of time.
const LEVELS: usize = 13;
/// A slot up to this size is sorted straight into the bottom; a larger one is spread over finer slots first.
const SORT_MAX: usize = 32;
/// Up to this size an item is inserted into the bottom itself; beyond, moving the rest costs more than a heap.
const INSERT_MAX: usize = 32;
/// The memory of a slot, and of the bottom, is kept for its next use up to this capacity, so that one burst does not hold memory for ever.
const KEEP_CAPACITY: usize = 256;
/// The heap may grow to this size before anyone asks whether its items are better spread over the wheel.
const HEAP_MAX: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry<T> {
    at: u64,
    item: T,
}

/// What is due in one span of time, in no order.
struct Slot<T> {
    /// The time of the earliest item, so that looking ahead moves nothing.
    earliest: u64,
    entries: Vec<Entry<T>>,
}

/// The future-event list: items leave in the order of (time, the item's own order).
///
/// The order of simultaneous items comes from their content alone: neither the order of pushing nor how the list is made
/// can show in a result. Times need not be later than what was popped last; an item pushed late simply is the next.
pub struct Calendar<T: Ord + Copy> {
    /// The last instant that the bottom and the heap answer for; everything in the wheel is later.
    covered: u64,
    /// Bit l: some slot of level l is occupied.
    levels: u16,
    /// Bit s of word l: slot s of level l is occupied.
    occupied: [u32; LEVELS],
    slots: Box<[Slot<T>]>,
    /// Sorted, the earliest last.
    bottom: Vec<Entry<T>>,
    /// Items pushed at or before `covered` while the bottom is long: bursts of reactions without delay.
    heap: BinaryHeap<Reverse<Entry<T>>>,
    len: usize,
}

/// Puts a handful of items at different times into an empty list, the latest first; of anything else it does nothing and says so. Most slots hold a
/// handful.
fn rank_into<T: Copy>(sorted: &mut Vec<Entry<T>>, entries: &[Entry<T>]) -> bool {
    match entries.len() {
        1 => rank_all::<1, T>(sorted, entries),
        2 => rank_all::<2, T>(sorted, entries),
        3 => rank_all::<3, T>(sorted, entries),
        4 => rank_all::<4, T>(sorted, entries),
        5 => rank_all::<5, T>(sorted, entries),
        6 => rank_all::<6, T>(sorted, entries),
        7 => rank_all::<7, T>(sorted, entries),
        8 => rank_all::<8, T>(sorted, entries),
        _ => false,
    }
}

/// The same for exactly `N` items. An item's place is how many are later: counting that takes no branch, where each step of a sort by comparisons is one
/// that the processor has to guess.
#[inline]
fn rank_all<const N: usize, T: Copy>(sorted: &mut Vec<Entry<T>>, entries: &[Entry<T>]) -> bool {
    let Some(entries) = entries.first_chunk::<N>() else { return false };
    let mut later = [0usize; N];
    let mut simultaneous = false;
    for i in 1..N {
        for j in 0..i {
            let is_later = usize::from(entries[j].at > entries[i].at);
            later[i] += is_later;
            later[j] += 1 - is_later;
            simultaneous |= entries[i].at == entries[j].at;
        }
    }
    if simultaneous {
        return false;
    }
    let mut places = *entries;
    for (entry, later) in entries.iter().zip(later) {
        places[later] = *entry;
    }
    sorted.extend_from_slice(&places);
    true
}

impl<T: Ord + Copy> Default for Calendar<T> {
    fn default() -> Self {
        Calendar::new()
    }
}

impl<T: Ord + Copy> Calendar<T> {
    pub fn new() -> Self {
        Calendar {
            covered: 0,
            levels: 0,
            occupied: [0; LEVELS],
            slots: (0..LEVELS * SLOTS).map(|_| Slot { earliest: u64::MAX, entries: Vec::new() }).collect(),
            bottom: Vec::new(),
            heap: BinaryHeap::new(),
            len: 0,
        }
    }

    #[inline]
    pub fn push(&mut self, at: Timestamp, item: T) {
        self.len += 1;
        let entry = Entry { at: at.0, item };
        if entry.at > self.covered { self.place(entry) } else { self.push_near(entry) }
    }

    /// Takes what is due at or before `covered`.
    #[inline(never)]
    fn push_near(&mut self, entry: Entry<T>) {
        if self.bottom.len() <= INSERT_MAX {
            let index = self.bottom.partition_point(|other| *other > entry);
            self.bottom.insert(index, entry);
        } else {
            self.heap.push(Reverse(entry));
            // A heap that holds a good part of everything means that `covered` has run far ahead of the present.
            if self.heap.len() > HEAP_MAX && self.heap.len() * 16 > self.len {
                self.step_back();
            }
        }
    }

    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        if self.bottom.is_empty() && self.heap.is_empty() && !self.refill() {
            return None;
        }
        self.len -= 1;
        let from_heap = match (self.bottom.last(), self.heap.peek()) {
            (_, None) => false,
            (None, _) => true,
            (Some(last), Some(Reverse(top))) => top.cmp(last) == Ordering::Less,
        };
        let entry = if from_heap { self.heap.pop().map(|top| top.0) } else { self.bottom.pop() };
        entry.map(|entry| (Timestamp(entry.at), entry.item))
    }

    /// Time of the earliest item.
    ///
    /// Looking ahead does not move `covered`: an engine looks at a far timer, then pushes what is much nearer.
    pub fn next_at(&mut self) -> Option<Timestamp> {
        self.near_at().or_else(|| self.first_slot().map(|(level, slot)| self.slots[level * SLOTS + slot].earliest)).map(Timestamp)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Time of the earliest item in the bottom and the heap.
    fn near_at(&self) -> Option<u64> {
        match (self.bottom.last(), self.heap.peek()) {
            (Some(last), Some(Reverse(top))) => Some(last.at.min(top.at)),
            (Some(last), None) => Some(last.at),
            (None, top) => top.map(|Reverse(top)| top.at),
        }
    }

    /// The occupied slot with the earliest items: a lower level agrees with `covered` in more digits, so it is earlier.
    fn first_slot(&self) -> Option<(usize, usize)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// The level of the highest digit in which two times differ.
    fn level_of(at: u64, covered: u64) -> usize {
        ((63 - ((at ^ covered) | 1).leading_zeros()) / DIGIT) as usize
    }

    /// Appends to the slot that `covered` and the entry's time select.
    fn place(&mut self, entry: Entry<T>) {
        let level = Self::level_of(entry.at, self.covered);
        let slot = (entry.at >> (DIGIT * level as u32)) as usize % SLOTS;
        self.levels |= 1 << level;
        self.occupied[level] |= 1 << slot;
        let slot = &mut self.slots[level * SLOTS + slot];
        slot.earliest = slot.earliest.min(entry.at);
        slot.entries.push(entry);
    }

    /// Marks a slot as empty and hands out what was in it.
    fn take(&mut self, level: usize, slot: usize) -> Vec<Entry<T>> {
        self.occupied[level] &= !(1 << slot);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
        let slot = &mut self.slots[level * SLOTS + slot];
        slot.earliest = u64::MAX;
        std::mem::take(&mut slot.entries)
    }

    /// Gives a slot its memory back, unless that is much.
    fn keep(&mut self, level: usize, slot: usize, mut emptied: Vec<Entry<T>>) {
        if emptied.capacity() <= KEEP_CAPACITY {
            emptied.clear();
            self.slots[level * SLOTS + slot].entries = emptied;
        }
    }

    /// Fills the empty bottom with the earliest slot; false if there is none.
    fn refill(&mut self) -> bool {
        if self.bottom.capacity() > KEEP_CAPACITY {
            self.bottom = Vec::new();
        }
        while let Some((level, slot)) = self.first_slot() {
            let Slot { earliest, entries } = &mut self.slots[level * SLOTS + slot];
            if level == 0 || entries.len() <= SORT_MAX {
                self.covered = *earliest | ((1 << (DIGIT * level as u32)) - 1);
                if !rank_into(&mut self.bottom, entries) {
                    // nothing is copied: the slot goes on in the memory of the bottom, which is empty
                    std::mem::swap(&mut self.bottom, entries);
                    self.bottom.sort_unstable_by(|a, b| b.cmp(a));
                }
                let emptied = self.take(level, slot);
                self.keep(level, slot, emptied);
                return true;
            }
            let earliest = *earliest;
            let entries = self.take(level, slot);
            // Relative to its earliest item a slot spreads at once as finely as its items differ.
            self.covered = earliest;
            for entry in &entries {
                self.place(*entry);
            }
            self.keep(level, slot, entries);
        }
        false
    }

    /// Moves `covered` back to the earliest item, and what is later than that into the wheel.
    ///
    /// A coarse slot with few items goes straight into the bottom, and then `covered` is as late as the slot's end. Were
    /// much pushed before that instant, all of it would stand in the heap.
    fn step_back(&mut self) {
        let Some(present) = self.near_at().filter(|at| *at < self.covered) else { return };
        let mut moved: Vec<Entry<T>> = self.bottom.drain(..).collect();
        moved.extend(std::mem::take(&mut self.heap).into_iter().map(|Reverse(entry)| entry));
        // Slots below the digit that changes are relative to the old `covered`.
        for level in 0..Self::level_of(present, self.covered) {
            while self.occupied[level] != 0 {
                let slot = self.occupied[level].trailing_zeros() as usize;
                let entries = self.take(level, slot);
                moved.extend_from_slice(&entries);
                self.keep(level, slot, entries);
            }
        }
        self.covered = present;
        for entry in moved {
            if entry.at > present { self.place(entry) } else { self.heap.push(Reverse(entry)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Do {
        /// at an absolute time
        Push(u64, u16),
        /// this long after what was popped last
        After(u64, u16),
        /// so long before what was popped last
        Before(u64, u16),
        Pop,
        Look,
    }

    /// Does the same to a calendar and to a plain heap; both must agree at every step.
    fn agrees(steps: impl IntoIterator<Item = Do>) {
        let mut calendar = Calendar::new();
        let mut heap = BinaryHeap::new();
        let mut last = 0;
        let check_pop = |calendar: &mut Calendar<u16>, heap: &mut BinaryHeap<Reverse<(u64, u16)>>, last: &mut u64| {
            let expected = heap.pop().map(|Reverse(pair)| pair);
            let got = calendar.pop().map(|(at, item)| (at.0, item));
            assert_eq!(got, expected);
            *last = expected.map_or(*last, |(at, _)| at);
            expected.is_some()
        };
        for step in steps {
            match step {
                Do::Pop => {
                    check_pop(&mut calendar, &mut heap, &mut last);
                }
                Do::Look => assert_eq!(calendar.next_at().map(|at| at.0), heap.peek().map(|Reverse((at, _))| *at)),
                Do::Push(..) | Do::After(..) | Do::Before(..) => {
                    let (at, item) = match step {
                        Do::After(span, item) => (last.saturating_add(span), item),
                        Do::Before(span, item) => (last.saturating_sub(span), item),
                        Do::Push(at, item) => (at, item),
                        Do::Pop | Do::Look => unreachable!(),
                    };
                    calendar.push(Timestamp(at), item);
                    heap.push(Reverse((at, item)));
                }
            }
            assert_eq!(calendar.len(), heap.len());
            assert_eq!(calendar.is_empty(), heap.is_empty());
        }
        while check_pop(&mut calendar, &mut heap, &mut last) {}
        assert!(calendar.is_empty());
        assert_eq!(calendar.next_at(), None);
    }

    /// Times that lie where a digit carries over, and at both ends.
    fn border() -> impl Strategy<Value = u64> {
        (0u32..64, -2i64..=2, 0u64..70).prop_map(|(bit, off, times)| (1u64 << bit).wrapping_mul(times + 1).wrapping_add_signed(off))
    }

    fn time() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0u64..1000, (0u64..1000).prop_map(|back| u64::MAX - back), border(), Just(7), any::<u64>().prop_map(|t| t >> 30)]
    }

    fn step() -> impl Strategy<Value = Do> {
        prop_oneof![
            3 => (time(), any::<u16>()).prop_map(|(at, item)| Do::Push(at, item)),
            3 => (prop_oneof![Just(0), 0u64..5000, border()], any::<u16>()).prop_map(|(span, item)| Do::After(span, item)),
            1 => (prop_oneof![Just(1), 0u64..100_000, border()], any::<u16>()).prop_map(|(span, item)| Do::Before(span, item)),
            5 => Just(Do::Pop),
            2 => Just(Do::Look),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_interleaving_leaves_in_the_order_of_a_heap(steps in proptest::collection::vec(step(), 0..1200)) {
            agrees(steps);
        }

        #[test]
        fn many_pushed_then_drained_agree(times in proptest::collection::vec((time(), any::<u16>()), 0..2500)) {
            agrees(times.into_iter().map(|(at, item)| Do::Push(at, item)));
        }

        /// Long runs of pushes before the covered instant make the calendar step back.
        #[test]
        fn floods_before_a_far_item_agree(
            far in proptest::collection::vec(border(), 1..40),
            rounds in proptest::collection::vec((0u64..1 << 44, 1u64..1 << 30, 200u16..700, 0usize..400), 1..5),
        ) {
            let mut steps: Vec<Do> = far.into_iter().map(|at| Do::Push(at, 0)).chain([Do::Pop, Do::Look]).collect();
            for (start, stride, pushes, pops) in rounds {
                steps.extend((0..pushes).map(|i| Do::Push(start.wrapping_add(stride.wrapping_mul(u64::from(i % 97) * 31)), i)));
                steps.extend((0..pops).map(|i| if i % 5 == 0 { Do::After(0, i as u16) } else { Do::Pop }));
            }
            agrees(steps);
        }
    }

    #[test]
    fn simultaneous_items_leave_by_content_whatever_the_order_of_pushing() {
        for stride in [1u32, 7, 4999] {
            agrees((0..5000u32).map(|i| Do::Push(1_000_000_007, (i * stride % 5000) as u16)));
        }
    }

    #[test]
    fn a_burst_does_not_hold_its_memory_for_ever() {
        let mut calendar = Calendar::new();
        (0..5000u16).for_each(|i| calendar.push(Timestamp(1_000_000), i));
        (1..9u64).for_each(|i| calendar.push(Timestamp(i << 40), 0));
        while calendar.pop().is_some() {}
        let most = calendar.slots.iter().map(|slot| slot.entries.capacity()).max();
        assert!(calendar.bottom.capacity() <= KEEP_CAPACITY && most <= Some(KEEP_CAPACITY), "{} {most:?}", calendar.bottom.capacity());
    }

    #[test]
    fn chains_without_delay_stay_at_their_instant() {
        let burst = (0..3000).map(|i| Do::Push(60_000_000_000, i));
        let chain = (0..20_000u32).map(|i| if i % 3 == 0 { Do::Pop } else { Do::After(0, (i % 911) as u16) });
        agrees(burst.chain(chain));
    }

    #[test]
    fn every_level_border_and_both_ends_are_in_order() {
        let borders = (0..64).flat_map(|bit| [-1i64, 0, 1].map(|off| (1u64 << bit).wrapping_add_signed(off)));
        let ends = [0, u64::MAX, u64::MAX - 1, u64::MAX - 64];
        agrees(borders.chain(ends).enumerate().flat_map(|(i, at)| [Do::Push(at, i as u16), Do::Push(at, 0), Do::Look]));
        agrees([Do::Push(u64::MAX, 1), Do::Pop, Do::Push(u64::MAX, 2), Do::Push(0, 3), Do::Look, Do::Pop, Do::Pop, Do::Pop]);
    }

    #[test]
    fn looking_at_a_far_item_leaves_room_before_it() {
        let mut calendar = Calendar::new();
        calendar.push(Timestamp(86_400_000_000_000), 0u32);
        assert_eq!(calendar.next_at(), Some(Timestamp(86_400_000_000_000)));
        for i in 0..10_000u32 {
            calendar.push(Timestamp(u64::from(i) * 1_000_003), i);
        }
        assert!(calendar.heap.len() <= HEAP_MAX, "{} items stand in the heap", calendar.heap.len());
    }

    #[test]
    fn a_flood_before_the_covered_instant_goes_to_the_wheel() {
        let mut calendar = Calendar::new();
        for day in 40..90u64 {
            calendar.push(Timestamp(day * 8_640_000_000_000), 0u32);
        }
        assert!(calendar.pop().is_some());
        for i in 0..100_000u64 {
            calendar.push(Timestamp(40 * 8_640_000_000_000 + i * 7_001), i as u32);
        }
        assert!(calendar.heap.len() < 100_000 / 15, "{} items stand in the heap", calendar.heap.len());
    }
}
