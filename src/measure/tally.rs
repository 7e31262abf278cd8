//! What was counted of all orders, or of those that were due in a part of the run, in a form that adds up.

use super::latency::{Latencies, Reading};
use crate::model::{Aggregate, Counter, Metric};
use crate::sim::Timestamp;

#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub latencies: Latencies,
    pub placed: u64,
    pub acked: u64,
    /// orders that have no answer, and an attempt under way
    pub trying: u64,
    pub completed: u64,
    pub cancelled: u64,
    pub rejected: u64,
    pub exceptions: u64,
    pub with_parcel: u64,
    pub split: u64,
    /// orders of records that reached rest, and how many of them never came to an end
    pub settled: u64,
    pub failed: u64,
    pub requests: u64,
    pub requests_rejected: u64,
    pub requests_failed: u64,
    pub stock_checked: u64,
    pub stock_wrong: u64,
    pub tickets: f64,
    /// the record came to rest: what is known at the end is known
    pub rested: bool,
    /// of one history, or of those that ran at the same time
    pub first_due: Option<Timestamp>,
    pub last_due: Timestamp,
    pub last_ack: Timestamp,
    /// no more is counted
    closed: bool,
    /// once closed: the time in which orders were placed, that in which they were answered, and gaps between orders; of histories that ran one after
    /// another their sums
    placing_ns: u64,
    serving_ns: u64,
    gaps: u64,
}

impl Tally {
    /// Seconds from the first due time to the last, and to the last answer.
    fn spans_ns(&self) -> (u64, u64) {
        let since = |at: Timestamp| self.first_due.map_or(0, |first| at.since(first).0);
        (since(self.last_due), since(self.last_ack.max(self.last_due)))
    }

    /// Closes the books of one history: from now on it adds up with others.
    pub fn close(&mut self, rested: bool) {
        self.rested = rested;
        self.settled = if rested { self.placed } else { 0 };
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.closed = true;
        (self.placing_ns, self.serving_ns) = self.spans_ns();
        self.gaps = self.placed.saturating_sub(1);
    }

    /// `together`: at the same time, as partitions of one case are, and not one after another.
    pub fn merge(&mut self, other: &Tally, together: bool) {
        let empty = self.placed == 0 && self.requests == 0 && self.stock_checked == 0;
        self.rested = other.rested && (empty || self.rested);
        self.latencies.merge(&other.latencies);
        self.placed += other.placed;
        if together {
            self.first_due = self.first_due.into_iter().chain(other.first_due).min();
            self.last_due = self.last_due.max(other.last_due);
            self.last_ack = self.last_ack.max(other.last_ack);
            self.sum_up();
        } else {
            self.closed = true;
            self.placing_ns = self.placing_ns.saturating_add(other.placing_ns);
            self.serving_ns = self.serving_ns.saturating_add(other.serving_ns);
            self.gaps += other.gaps;
        }
        self.acked += other.acked;
        self.trying += other.trying;
        self.completed += other.completed;
        self.cancelled += other.cancelled;
        self.rejected += other.rejected;
        self.exceptions += other.exceptions;
        self.with_parcel += other.with_parcel;
        self.split += other.split;
        self.settled += other.settled;
        self.failed += other.failed;
        self.requests += other.requests;
        self.requests_rejected += other.requests_rejected;
        self.requests_failed += other.requests_failed;
        self.stock_checked += other.stock_checked;
        self.stock_wrong += other.stock_wrong;
        self.tickets += other.tickets;
    }

    /// Orders a second while orders were placed; 0 where that took no time.
    pub fn throughput(&self) -> f64 {
        if self.placing_ns == 0 { 0.0 } else { self.gaps as f64 * 1e9 / self.placing_ns as f64 }
    }

    /// A figure as it stands, while the history goes on or after its end.
    pub fn reading(&self, metric: Metric) -> Reading {
        let of_orders = match metric {
            Metric::Share(Counter::StockWrong) => false,
            // callbacks and cancellations are requests, too, and go on where no order is due
            Metric::Count(counter) | Metric::Share(counter) | Metric::Rate(counter) => !counter.is_of_requests() || self.requests == 0,
            Metric::Latency(..) => true,
        };
        if self.placed == 0 && of_orders {
            return Reading::Nothing("no order was due".into());
        }
        if metric.is_known_at_the_end() && !self.rested {
            return Reading::Nothing("the record does not reach the end, where it would be known".into());
        }
        let of = |part: u64, whole: u64, what: &str| match whole {
            0 => Reading::Nothing(format!("there was no {what}")),
            whole => Reading::Value(part as f64 / whole as f64),
        };
        match metric {
            Metric::Latency(stage, Aggregate::Count) => Reading::Value(self.latencies.count(stage) as f64),
            Metric::Latency(stage, aggregate) => self.latencies.reading(stage, aggregate),
            Metric::Count(Counter::Tickets) => Reading::Value(self.tickets * 100.0 / self.placed as f64),
            Metric::Count(counter) => Reading::Value(self.count(counter) as f64),
            Metric::Share(Counter::Split) => of(self.split, self.with_parcel, "parcel"),
            Metric::Share(Counter::StockWrong) => of(self.stock_wrong, self.stock_checked, "shelf to compare"),
            Metric::Share(counter @ (Counter::RequestsFailed | Counter::RequestsRejected)) => of(self.count(counter), self.requests, "answer"),
            Metric::Share(counter) => of(self.count(counter), self.placed, "order"),
            Metric::Rate(counter) => {
                let going = !self.closed;
                let (placing_ns, serving_ns) = if going { self.spans_ns() } else { (self.placing_ns, self.serving_ns) };
                // between n orders are n - 1 gaps; answers are counted over a time that begins before the first
                let (n, span) = match counter {
                    Counter::Placed => (if going { self.placed.saturating_sub(1) } else { self.gaps }, placing_ns),
                    counter => (self.count(counter), serving_ns),
                };
                if span == 0 || n == 0 {
                    Reading::Nothing("a rate needs some time that passes".into())
                } else {
                    Reading::Value(n as f64 * 1e9 / span as f64)
                }
            }
        }
    }

    /// As far as a share of the orders can rise by those that are not decided. Of a record that was cut short any order without an answer may be sent
    /// again; while it goes on, only who is under way is waited for, for a target that answers nobody would be waited for to the end.
    pub fn best(&self, metric: Metric) -> Option<f64> {
        let Metric::Share(counter) = metric else { return None };
        let open = match counter {
            Counter::Acked if self.closed => self.placed.saturating_sub(self.acked),
            Counter::Acked => self.trying,
            Counter::Completed | Counter::Cancelled | Counter::Rejected => self.undecided(),
            Counter::Exceptions => self.undecided().saturating_sub(self.exceptions),
            _ => return None,
        };
        (self.placed > 0).then(|| (self.count(counter) + open).min(self.placed) as f64 / self.placed as f64)
    }

    fn undecided(&self) -> u64 {
        self.placed.saturating_sub(self.completed + self.cancelled + self.rejected)
    }

    fn count(&self, counter: Counter) -> u64 {
        match counter {
            Counter::Placed => self.placed,
            Counter::Acked => self.acked,
            Counter::Completed => self.completed,
            Counter::Cancelled => self.cancelled,
            Counter::Rejected => self.rejected,
            Counter::Exceptions => self.exceptions,
            Counter::Failed => self.failed,
            Counter::Split => self.split,
            Counter::Requests => self.requests,
            Counter::RequestsRejected => self.requests_rejected,
            Counter::RequestsFailed => self.requests_failed,
            Counter::StockWrong => self.stock_wrong,
            Counter::Tickets => 0,
        }
    }
}
