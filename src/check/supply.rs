//! What the target was told about one SKU at one node, and the most it could honestly believe to have.
//!
//! Quantities here are *gross*: on-hand plus everything that orders have taken away. A shipment changes on-hand but not
//! gross, so gross can be compared with all reservations ever made less those given back.

use crate::sim::{Span, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// How late an event may be heard: what was known before that is folded together.
pub const MEMORY: Span = Span::from_hours(26);

/// What a message says of one movement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// so many more or fewer
    Change(i64),
    /// an order took goods away: nothing new for gross
    Taken,
    /// on-hand is so many as of this movement
    Level(i64),
}

/// A prefix of the numbered movements, and what stands beyond a gap.
#[derive(Clone, Debug, Default)]
struct Prefix {
    seq: u32,
    gross: i64,
    /// behind a gap: what each movement changes
    ahead: BTreeMap<u32, i64>,
}

/// One state of knowledge: from `at` on gross was known to be `gross`; `rises` sums what rose on the way to it.
#[derive(Clone, Copy, Debug)]
struct Known {
    at: Timestamp,
    gross: i64,
    rises: i64,
}

/// One SKU at one node.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// facts: sum of all movements, and the same without the opening
    pub truth: i64,
    pub moved: i64,
    pub last_fact: u64,
    /// the last time goods came in
    pub last_in: u64,
    /// the first and the last message about it; 0 is none
    pub told_first: u64,
    pub told_last: u64,
    told_all: Prefix,
    acked: Prefix,
    known: VecDeque<Known>,
    /// when a message about it was last acknowledged
    acked_at: Timestamp,
    /// older states were folded away
    folded: bool,
    /// rises that were sent and not yet acknowledged in sequence
    rises: BTreeMap<u32, i64>,
    /// units taken away by orders, cumulative by movement number
    taken: VecDeque<(u32, i64)>,
    taken_base: i64,
    /// claims: reserved less released, ever; and reserved alone
    pub committed: i64,
    pub reserved_ever: i64,
    /// facts: units that went without an order
    fell: i64,
    /// gross when it was acknowledged for the first time, and when
    first_known: Option<(Timestamp, i64)>,
    /// what the target said at rest: on hand, reserved (if it said so), entry
    pub said: Option<(i64, Option<i64>, u64)>,
}

impl Prefix {
    /// Takes one message in; gaps wait.
    fn take(&mut self, seq: u32, told: Told, taken_by: impl Fn(u32) -> i64) {
        if seq == 0 {
            // a message without a movement number counts at once
            match told {
                Told::Change(d) => self.gross += d,
                Told::Taken => {}
                Told::Level(q) => self.gross = q + taken_by(u32::MAX),
            }
            return;
        }
        if seq <= self.seq {
            return;
        }
        // nothing waits, and this is the next: the usual case
        if self.ahead.is_empty()
            && seq == self.seq + 1
            && let Told::Change(_) | Told::Taken = told
        {
            self.seq = seq;
            self.gross += if let Told::Change(d) = told { d } else { 0 };
            return;
        }
        match told {
            // a level says all about what came before it, gap or not
            Told::Level(q) => {
                self.seq = seq;
                self.gross = q + taken_by(seq);
                self.ahead = self.ahead.split_off(&(seq + 1));
            }
            Told::Change(d) => drop(self.ahead.insert(seq, d)),
            Told::Taken => drop(self.ahead.insert(seq, 0)),
        }
        while let Some(change) = self.ahead.remove(&(self.seq + 1)) {
            self.seq += 1;
            self.gross += change;
        }
    }
}

impl Shelf {
    /// Units that orders took away up to and including movement `seq`.
    fn taken_by(taken: &VecDeque<(u32, i64)>, base: i64, seq: u32) -> i64 {
        let i = taken.partition_point(|(s, _)| *s <= seq);
        if i == 0 { base } else { taken[i - 1].1 }
    }

    /// A physical movement; `taken` where an order took the goods.
    pub fn fact(&mut self, n: u64, seq: u32, qty: i64, opening: bool, taken: bool) {
        self.truth += qty;
        self.last_fact = n;
        if !opening {
            self.moved += qty;
            if qty > 0 {
                self.last_in = n;
            }
        }
        if !opening && !taken && qty < 0 {
            self.fell -= qty;
        }
        if taken {
            let before = self.taken.back().map_or(self.taken_base, |(_, sum)| *sum);
            self.taken.push_back((seq, before - qty));
        }
    }

    /// A message about it left for the target.
    pub fn sent(&mut self, n: u64, seq: u32, told: Told) {
        if self.told_first == 0 {
            self.told_first = n;
        }
        self.told_last = n;
        let (taken, base) = (&self.taken, self.taken_base);
        self.told_all.take(seq, told, |s| Self::taken_by(taken, base, s));
        if seq != 0 && seq <= self.acked.seq {
            return;
        }
        match told {
            Told::Change(d) if d > 0 && seq == 0 => *self.rises.entry(0).or_default() += d,
            Told::Change(d) if d > 0 => drop(self.rises.insert(seq, d)),
            Told::Level(q) => {
                // what a snapshot says beyond the rises it contains is a rise of its own
                let explained: i64 = self.acked.gross + self.rises.range(..=seq).map(|(_, d)| *d).sum::<i64>();
                let more = q + Self::taken_by(taken, base, seq) - explained;
                if more > 0 {
                    *self.rises.entry(seq).or_default() += more;
                }
            }
            _ => {}
        }
    }

    /// The target acknowledged that message.
    pub fn acknowledged(&mut self, at: Timestamp, seq: u32, told: Told) {
        self.acked_at = at;
        let (taken, base) = (&self.taken, self.taken_base);
        let before = self.acked.seq;
        let gross = self.acked.gross;
        self.acked.take(seq, told, |s| Self::taken_by(taken, base, s));
        if self.acked.seq != before || seq == 0 {
            let reached = if seq == 0 { 0 } else { self.acked.seq };
            let mut rises = 0;
            if !self.rises.is_empty() {
                let later = self.rises.split_off(&(reached + 1));
                rises = std::mem::replace(&mut self.rises, later).values().sum();
            }
            let rises = rises.max(self.acked.gross - gross);
            self.first_known.get_or_insert((at, self.acked.gross));
            if rises != 0 || self.acked.gross != gross {
                self.known.push_back(Known { at, gross: self.acked.gross, rises });
            }
        }
        while self.known.len() > 1 && self.known[1].at + MEMORY < at {
            self.known.pop_front();
            self.folded = true;
        }
        let safe = self.acked.seq.min(self.told_all.seq);
        while self.taken.len() > 1 && self.taken[1].0 <= safe {
            self.taken_base = self.taken[0].1;
            self.taken.pop_front();
        }
    }

    /// The most that could be promised in all by a decision that was made at `decided` or later: what was surely known
    /// then, and every rise since, but no fall. For `grace` after its acknowledgement a fall may still be on its way through the target.
    pub fn most(&self, decided: Timestamp, grace: Span) -> i64 {
        let mut most: i64 = self.rises.values().sum();
        for known in self.known.iter().rev() {
            if known.at + grace <= decided {
                return most + known.gross;
            }
            most += known.rises;
        }
        // decided before everything that is remembered: nothing can be held against it
        if self.folded { i64::MAX / 4 } else { most }
    }

    /// Units that were free at `decided` whatever order things happened in: the first stock that was acknowledged, if that was before, less
    /// all that ever fell and all that was ever reserved. What rose later is left out.
    pub fn least(&self, decided: Timestamp, grace: Span) -> i64 {
        self.least_for_orders(decided, grace) - self.reserved_ever
    }

    /// The same without what was reserved.
    pub fn least_for_orders(&self, decided: Timestamp, grace: Span) -> i64 {
        match self.first_known {
            Some((at, gross)) if at + grace <= decided => gross - self.fell,
            _ => 0,
        }
    }

    /// What is on hand by every message that the target has acknowledged, if those are all that were sent, none is missing between them, and
    /// the last was acknowledged a `grace` before `now`. Else something is under way, and what the messages so far come to is the error.
    pub fn delivered(&self, now: Timestamp, grace: Span) -> Result<i64, i64> {
        let level = self.acked.gross - Self::taken_by(&self.taken, self.taken_base, self.acked.seq);
        let all = self.acked.seq == self.told_all.seq && self.acked.gross == self.told_all.gross;
        let gap = !(self.acked.ahead.is_empty() && self.told_all.ahead.is_empty());
        if all && !gap && self.acked_at + grace <= now { Ok(level) } else { Err(level) }
    }

    /// Were its movements told, with their numbers?
    pub fn is_numbered(&self) -> bool {
        self.acked.seq != 0
    }

    /// What the feed says is on hand after everything that was sent, whatever order it came in; none where a gap is left.
    pub fn book(&self) -> Option<i64> {
        if !self.told_all.ahead.is_empty() {
            return None;
        }
        Some(self.told_all.gross - self.taken.back().map_or(self.taken_base, |(_, sum)| *sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Span = Span::from_secs(2);

    fn s(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }
    fn opened(units: i64) -> Shelf {
        let mut shelf = Shelf::default();
        shelf.fact(1, 1, units, true, false);
        shelf.sent(9, 1, Told::Level(units));
        shelf.acknowledged(s(0), 1, Told::Level(units));
        shelf
    }

    #[test]
    fn a_rise_counts_from_its_sending_and_a_fall_from_a_grace_after_its_acknowledgement() {
        let mut shelf = opened(5);
        shelf.sent(9, 2, Told::Change(3));
        assert_eq!(shelf.most(s(10), GRACE), 8);
        shelf.acknowledged(s(11), 2, Told::Change(3));
        shelf.sent(9, 3, Told::Change(-4));
        assert_eq!(shelf.most(s(20), GRACE), 8);
        shelf.acknowledged(s(20), 3, Told::Change(-4));
        assert_eq!(shelf.most(s(21), GRACE), 8, "within the grace");
        assert_eq!(shelf.most(s(22), GRACE), 4);
        assert_eq!(shelf.book(), Some(4));
    }

    #[test]
    fn a_fall_behind_a_gap_is_not_yet_known() {
        let mut shelf = opened(5);
        shelf.sent(9, 2, Told::Change(1));
        shelf.sent(9, 3, Told::Change(-4));
        shelf.acknowledged(s(10), 3, Told::Change(-4));
        assert_eq!(shelf.most(s(60), GRACE), 6);
        shelf.acknowledged(s(70), 2, Told::Change(1));
        assert_eq!(shelf.most(s(80), GRACE), 2);
    }

    #[test]
    fn a_shipment_takes_nothing_from_gross_and_an_older_snapshot_nothing_from_a_newer_state() {
        let mut shelf = opened(5);
        shelf.fact(2, 2, -2, false, true);
        shelf.sent(9, 2, Told::Taken);
        shelf.acknowledged(s(10), 2, Told::Taken);
        shelf.sent(9, 2, Told::Level(3));
        shelf.acknowledged(s(20), 2, Told::Level(3));
        assert_eq!((shelf.most(s(30), GRACE), shelf.book()), (5, Some(3)));
        shelf.sent(9, 1, Told::Level(50));
        assert_eq!(shelf.most(s(40), GRACE), 5);
    }

    #[test]
    fn a_rise_without_a_number_counts_from_its_sending_too() {
        let mut shelf = opened(5);
        shelf.sent(9, 0, Told::Change(3));
        assert_eq!(shelf.most(s(10), GRACE), 8);
        shelf.acknowledged(s(11), 0, Told::Change(3));
        assert_eq!(shelf.most(s(20), GRACE), 8);
    }

    #[test]
    fn a_snapshot_is_a_rise_by_what_it_says_beyond_the_rises_before_it() {
        let mut shelf = opened(5);
        shelf.sent(9, 2, Told::Change(3));
        shelf.sent(9, 3, Told::Level(8));
        assert_eq!(shelf.most(s(10), GRACE), 8);
        shelf.sent(9, 4, Told::Level(9));
        assert_eq!(shelf.most(s(10), GRACE), 9);
    }

    #[test]
    fn the_least_is_what_was_known_less_all_that_fell_or_was_reserved() {
        let mut shelf = opened(5);
        shelf.fact(2, 2, -2, false, false);
        shelf.fact(3, 3, -1, false, true);
        shelf.fact(4, 4, 3, false, false);
        shelf.reserved_ever = 1;
        assert_eq!(shelf.least(s(10), GRACE), 2);
        assert_eq!(shelf.least(s(1), GRACE), -1, "within the grace");
    }

    #[test]
    fn a_snapshot_mends_a_gap() {
        let mut shelf = opened(5);
        shelf.sent(9, 3, Told::Change(-1));
        assert_eq!(shelf.book(), None);
        shelf.sent(9, 3, Told::Level(2));
        shelf.acknowledged(s(10), 3, Told::Level(2));
        assert_eq!(shelf.most(s(60), GRACE), 2);
    }
}
