//! EVIDENCE: can the record be relied on at all?

use super::Invariant;
use crate::history::Entry;
use crate::sim::Timestamp;

pub(super) const ABOUT: Invariant = Invariant {
    name: "EVIDENCE",
    summary: "the record is whole",
    definition: "Entry numbers have no gap and times never go back, and nothing is heard of an order after it was settled; the target answers what it is asked at rest. A broken record is nobody's failure: it makes the verdict unknown, and what else it shows may be an effect of the damage.",
    needs: "every entry",
    traps: "",
    facts_only: false,
};

/// Sees every entry before the books do.
#[derive(Default)]
pub(super) struct Evidence {
    last_n: u64,
    last_at: Timestamp,
    /// entries that do not fit the one before, or came too late to be judged
    pub unknowns: u64,
    /// questions at rest that the target did not answer
    pub unanswered: u64,
    damage: Option<String>,
}

impl Evidence {
    pub(super) fn observe(&mut self, e: &Entry) {
        if e.n == self.last_n + 1 && e.at >= self.last_at {
            (self.last_n, self.last_at) = (e.n, e.at);
        } else {
            self.broken(e);
        }
    }
    #[cold]
    fn broken(&mut self, e: &Entry) {
        let damage = if e.n != self.last_n + 1 {
            format!("entry {} follows entry {}", e.n, self.last_n)
        } else {
            format!("entry {} is at {}, earlier than {} of the entry before it", e.n, e.at, self.last_at)
        };
        self.unknowns += 1;
        self.damage.get_or_insert(damage);
        self.last_n = e.n;
        self.last_at = self.last_at.max(e.at);
    }
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;

    #[test]
    fn accepts_a_whole_record() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).complete(1);
        h.accepts("EVIDENCE");
    }

    #[test]
    fn a_record_with_a_gap_is_unknown() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).complete(1);
        h.remove(1);
        assert_eq!(h.judge().verdict_of("EVIDENCE"), Verdict::Unknown);
        assert_ne!(h.judge().verdict, Verdict::Pass);
    }

    #[test]
    fn what_a_damaged_record_shows_is_nobodys_failure() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).accept(1).rejects("ACCEPT_ONCE", "");
        h.remove(1);
        let judgement = h.judge();
        assert_eq!((judgement.verdict_of("ACCEPT_ONCE"), judgement.verdict), (Verdict::Unknown, Verdict::Unknown));
    }
}
