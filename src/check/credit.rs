//! By how much faults extend a deadline: an excuse in proportion, not a switch-off.

use super::account::Account;
use crate::history::{Entry, Header, Kind};
use crate::model::Op;
use crate::sim::{Span, Timestamp};

/// When the target was down, or stood still, because of us; and when it was last not to be reached without us.
#[derive(Debug, Default)]
pub struct Downtime {
    ours: Vec<(Timestamp, Timestamp)>,
    not_reached: Option<Timestamp>,
}

impl Downtime {
    pub(super) fn observe(&mut self, e: &Entry) {
        match (e.kind, e.msg.op) {
            (Kind::Fault, Op::TargetCrashed | Op::TargetPaused) => self.ours.push((e.at, Timestamp::NEVER)),
            (Kind::Fault, Op::TargetRestarted | Op::TargetResumed) => {
                if let Some((_, to)) = self.ours.last_mut() {
                    *to = e.at;
                }
            }
            _ => {}
        }
    }
    /// Nobody took a connection, or one broke, and it was no fault of ours: it may have been down, who knows since when.
    pub(super) fn not_reached(&mut self, at: Timestamp) {
        self.not_reached = self.not_reached.max(Some(at));
    }
    pub(super) fn any_since(&self, from: Timestamp) -> bool {
        self.ours.iter().any(|(down, _)| *down >= from) || self.not_reached.is_some_and(|at| at >= from)
    }
    fn within(&self, from: Timestamp, to: Timestamp) -> Span {
        let each = self.ours.iter().map(|(down, up)| (*up).min(to).since((*down).max(from)).0);
        Span(each.sum())
    }
}

/// What extends the deadlines of one order.
pub(super) struct Credit<'a> {
    first_fault: Timestamp,
    calm: Timestamp,
    downtime: &'a Downtime,
    /// what the wire and the machine may take, where business runs faster than they do
    slack: Span,
}

/// So long a target may take on the wire for what takes no time in business: assumed, a busy machine's worst.
const ON_THE_WIRE: f64 = 2e9;

impl Credit<'_> {
    pub fn of<'a>(account: &Account, downtime: &'a Downtime, header: &Header) -> Credit<'a> {
        let first_fault = if account.first_fault.is_set() { account.first_fault.at } else { Timestamp::NEVER };
        let slack = Span((ON_THE_WIRE * (header.scale() - 1.0)) as u64);
        Credit { first_fault, calm: Timestamp(header.calm_ns), downtime, slack }
    }
    /// How much of the time from `from` to `to` faults could act on the order: from its first fault to the calm, or while the target was down.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Span {
        let own = to.min(self.calm).since(from.max(self.first_fault));
        Span(own.max(self.downtime.within(from, to)).0.saturating_add(self.slack.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;

    #[test]
    fn downtime_counts_as_far_as_it_overlaps_and_an_orders_own_fault_until_the_calm() {
        let h = Story::new();
        let header = Header { calm_ns: 1_000, ..h.header.clone() };
        let downtime = Downtime { ours: vec![(Timestamp(100), Timestamp(200)), (Timestamp(500), Timestamp::NEVER)], not_reached: None };
        let mut account = Account::default();
        let credit = Credit::of(&account, &downtime, &header);
        assert_eq!(credit.between(Timestamp(0), Timestamp(50)).0, 0);
        assert_eq!(credit.between(Timestamp(150), Timestamp(600)).0, 50 + 100);
        account.first_fault.at = Timestamp(300);
        account.first_fault.n = 7;
        let credit = Credit::of(&account, &downtime, &header);
        assert_eq!(credit.between(Timestamp(150), Timestamp(450)).0, 150);
        assert_eq!(credit.between(Timestamp(2_000), Timestamp(1_500)).0, 0);
        // at a hundred business seconds a second, two seconds on the wire are two hundred
        let header = Header { time_scale: 101.0, ..header };
        assert_eq!(Credit::of(&account, &downtime, &header).between(Timestamp(2_000), Timestamp(1_500)), Span::from_secs(200));
    }
}
