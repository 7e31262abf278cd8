//! The service model of the embedded target: how fast it works, what it takes on, and in which order.

use crate::sim::{Law, Span, Timestamp};

/// How fast it works and how much it takes on.
#[derive(Clone, Debug)]
pub struct ServiceModel {
    pub workers: usize,
    pub service: Law,
    /// messages waiting for a worker; more are answered with backpressure
    pub queue: usize,
    pub discipline: Discipline,
    /// a message that has waited so long is dropped in place of being worked on, and never answered
    pub expires: Option<Span>,
    /// what the workers are for; all else is done at once
    pub lane: Lane,
    pub brownout: Option<Brownout>,
}

/// Who is next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Discipline {
    /// whoever waits longest
    #[default]
    Fifo,
    /// whoever came last
    Lifo,
}

/// Which messages need a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lane {
    /// every one
    #[default]
    All,
    /// commands alone: what comes back from partners has workers of its own, and never waits
    Commands,
    /// commands alone, and of two orders for the same goods (of their first lines) one after the other, as where an order locks the row of its stock
    Keys,
}

/// For a time the workers are slower: a trigger of congestion.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Brownout {
    pub from: Timestamp,
    pub to: Timestamp,
    /// share of the capacity that is left, above 0
    pub left: f64,
}

impl ServiceModel {
    /// As fast as it goes, with no bound: the machine is the model.
    pub fn none() -> ServiceModel {
        ServiceModel { workers: usize::MAX, service: Law::Const(Span::ZERO), queue: usize::MAX, ..ServiceModel::default() }
    }

    /// How long work of length `takes` lasts that begins at `now`. What is left of the capacity counts for the part that lies in the brownout.
    pub(super) fn lasts(&self, now: Timestamp, takes: Span) -> Span {
        let Some(brownout) = self.brownout.filter(|brownout| (brownout.from..brownout.to).contains(&now)) else { return takes };
        let slow = Span((takes.0 as f64 / brownout.left) as u64);
        let room = brownout.to.since(now);
        if slow <= room {
            return slow;
        }
        let done = Span((room.0 as f64 * brownout.left) as u64);
        room + Span(takes.0.saturating_sub(done.0))
    }
}

impl Default for ServiceModel {
    fn default() -> ServiceModel {
        ServiceModel {
            workers: 8,
            service: Law::LogNormal { p50: Span::from_millis(4), p95: Span::from_millis(15) },
            queue: 64,
            discipline: Discipline::default(),
            expires: None,
            lane: Lane::default(),
            brownout: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_a_brownout_is_slower_for_the_part_that_lies_in_it() {
        let at = |seconds| Timestamp::ZERO + Span::from_secs(seconds);
        let model = ServiceModel { brownout: Some(Brownout { from: at(10), to: at(20), left: 0.1 }), ..ServiceModel::default() };
        let lasts = |from, takes| model.lasts(at(from), Span::from_millis(takes)).0 / 1_000_000;
        assert_eq!(lasts(5, 500), 500);
        assert_eq!(lasts(10, 500), 5_000);
        // one second of the brownout does a tenth of a second's work
        assert_eq!(lasts(19, 500), 1_000 + 400);
        assert_eq!(lasts(20, 500), 500);
    }
}
