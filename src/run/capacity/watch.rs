//! What trials look at while a run goes on: when each order was due, and when it had its answer.

use super::super::Stop;
use crate::capacity::{Batch, Decision, Objective, Second, Sends, Trial};
use crate::history::{Entry, Kind, Observer};
use crate::model::{Op, OrderNo, Outcome};
use crate::sim::{Span, Stopwatch, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry as Slot;

/// A definite answer to an order: yes, no, or taken, with the decision to come as an event (202).
fn is_answer(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected)
}

/// An order that has no answer yet.
struct Open {
    due: Timestamp,
    /// its last attempt ended without one
    failed: bool,
}

/// Cuts a run into batches, and ends it as soon as they decide.
pub(super) struct Watch<'a> {
    trial: Trial,
    objective: Objective,
    /// orders before this are none of the trial's
    from: Timestamp,
    length: Span,
    open: FxHashMap<OrderNo, Open>,
    batches: VecDeque<Batch>,
    /// of the first of `batches`
    number: u64,
    /// the next batch whose end has not come
    ends: u64,
    answered: u64,
    waited: Span,
    user: Stop,
    done: Stop,
    /// told of every batch that is over: how much of the trial has passed
    passed: &'a dyn Fn(Span),
    pub sends: Sends,
    pub decision: Option<Decision>,
}

impl<'a> Watch<'a> {
    pub fn new(trial: Trial, objective: Objective, from: Timestamp, length: Span, user: &Stop, passed: &'a dyn Fn(Span)) -> Watch<'a> {
        Watch {
            trial,
            objective,
            from,
            length,
            open: FxHashMap::default(),
            batches: VecDeque::new(),
            number: 0,
            ends: 0,
            answered: 0,
            waited: Span::ZERO,
            user: user.clone(),
            done: Stop::new(),
            passed,
            sends: Sends::within(&objective),
            decision: None,
        }
    }

    /// Set when the run may end.
    pub fn done(&self) -> &Stop {
        &self.done
    }

    /// Mean time to an answer in seconds.
    pub fn mean(&self) -> f64 {
        self.waited.as_secs_f64() / self.answered.max(1) as f64
    }

    pub fn steady(&self) -> &[Batch] {
        self.trial.steady()
    }

    fn batch(&mut self, due: Timestamp) -> Option<&mut Batch> {
        let number = (due.since(self.from).0 / self.length.0).checked_sub(self.number)? as usize;
        while self.batches.len() <= number {
            self.batches.push_back(Batch::default());
        }
        self.batches.get_mut(number)
    }

    fn end_of(&self, number: u64) -> Timestamp {
        self.from + self.length.saturating_mul(number + 1)
    }

    /// Batches that are over are judged once their last order had the time that the objective gives it.
    fn tick(&mut self, now: Timestamp) {
        while now >= self.end_of(self.ends) {
            let (end, number) = (self.end_of(self.ends), self.ends);
            #[allow(clippy::iter_over_hash_type, reason = "a count has no order")]
            // whoever was told to come again, or gave up, is not with the target
            let backlog = self.open.values().filter(|open| open.due < end && !open.failed).count() as u64;
            if let Some(batch) = number.checked_sub(self.number).and_then(|at| self.batches.get_mut(at as usize)) {
                batch.backlog = backlog;
            }
            self.ends += 1;
            (self.passed)(self.length.saturating_mul(self.ends));
        }
        while self.decision.is_none() && now > self.end_of(self.number) + self.objective.within {
            let (from, to) = (self.from + self.length.saturating_mul(self.number), self.end_of(self.number));
            let mut batch = self.batches.pop_front().unwrap_or_default();
            self.number += 1;
            #[allow(clippy::iter_over_hash_type, reason = "counts have no order")]
            for open in self.open.values().filter(|open| (from..to).contains(&open.due)) {
                batch.slow += 1;
                batch.errors += u64::from(open.failed);
            }
            self.decision = self.trial.push(batch);
        }
        if self.decision.is_some() || self.user.is_set() {
            self.done.set();
        }
    }
}

impl Observer for Watch<'_> {
    fn observe(&mut self, e: &Entry) {
        if self.decision.is_some() {
            // what comes to rest afterwards is no part of it
            return;
        }
        self.tick(e.at);
        let order = e.msg.order;
        if e.msg.op != Op::PlaceOrder || order.is_none() || order.is_probe() {
            return;
        }
        match e.kind {
            Kind::Sent if e.due >= self.from && !self.open.contains_key(&order) => {
                if let Some(batch) = self.batch(e.due) {
                    batch.offered += 1;
                }
                self.sends.add(e.at.since(e.due));
                self.open.insert(order, Open { due: e.due, failed: false });
            }
            Kind::Sent => self.open.get_mut(&order).into_iter().for_each(|open| open.failed = false),
            Kind::Reply if is_answer(e.outcome) => {
                let Some(open) = self.open.remove(&order) else { return };
                let took = e.at.since(open.due);
                (self.answered, self.waited) = (self.answered + 1, self.waited + took);
                if took > self.objective.within
                    && let Some(batch) = self.batch(open.due)
                {
                    batch.slow += 1;
                }
            }
            Kind::Reply => {
                if let Some(open) = self.open.get_mut(&order) {
                    open.failed = true;
                }
            }
            _ => {}
        }
    }
}

/// A target that has not come to rest by then after a trial is left as it is; then nobody knows what it owes.
const DRAIN_S: f64 = 60.0;

/// Lets a live trial come to rest once it is decided, for a while.
pub(super) struct Drain<'a> {
    pub observer: &'a mut dyn Observer,
    pub user: Stop,
    /// no more orders come
    pub done: Stop,
    /// set when it ends, at rest or not
    pub halt: Stop,
    pub since: Option<Stopwatch>,
}

impl Observer for Drain<'_> {
    fn observe(&mut self, e: &Entry) {
        self.observer.observe(e);
        let late = self.done.is_set() && self.since.get_or_insert_with(Stopwatch::start).seconds() > DRAIN_S;
        if late || self.user.is_set() {
            self.halt.set();
        }
    }
}

/// Counts every second of a run.
pub(super) struct Seconds<'a> {
    from: Timestamp,
    within: Span,
    /// by order: when it was due, and whether it has its answer
    orders: FxHashMap<OrderNo, (Timestamp, bool)>,
    pub seconds: Vec<Second>,
    /// by second: attempts that ended in a no for now, and answers that came too late for anybody
    pub shed: Vec<u64>,
    pub late: Vec<u64>,
    /// attempts that whoever made them still waits for
    waiting: u64,
    now: usize,
    settled: usize,
    user: Stop,
    done: Stop,
    until: Timestamp,
    /// told of every second that is over
    passed: &'a dyn Fn(Span),
    /// whether the seconds whose orders had their time are all that it takes
    enough: &'a dyn Fn(&[Second]) -> bool,
    pub sends: Sends,
}

impl<'a> Seconds<'a> {
    /// From `from` for so many seconds, or until it is enough.
    pub fn new(
        from: Timestamp,
        seconds: usize,
        objective: &Objective,
        user: &Stop,
        passed: &'a dyn Fn(Span),
        enough: &'a dyn Fn(&[Second]) -> bool,
    ) -> Seconds<'a> {
        let within = objective.within;
        Seconds {
            from,
            within,
            enough,
            orders: FxHashMap::default(),
            seconds: vec![Second::default(); seconds],
            shed: vec![0; seconds],
            late: vec![0; seconds],
            waiting: 0,
            now: 0,
            settled: 0,
            user: user.clone(),
            done: Stop::new(),
            until: from + Span::from_secs(seconds as u64) + within,
            passed,
            sends: Sends::within(objective),
        }
    }

    pub fn done(&self) -> &Stop {
        &self.done
    }

    fn at(&self, time: Timestamp) -> usize {
        (time.since(self.from).0 / 1_000_000_000) as usize
    }

    /// The seconds whose orders had the time that the objective gives them.
    pub fn settled(&self) -> &[Second] {
        &self.seconds[..self.settled]
    }
}

impl Observer for Seconds<'_> {
    fn observe(&mut self, e: &Entry) {
        if e.at > self.until || self.user.is_set() {
            self.done.set();
        }
        let second = self.at(e.at);
        while self.now < second.min(self.seconds.len()) {
            self.seconds[self.now].backlog = self.waiting;
            self.now += 1;
            (self.passed)(Span::from_secs(self.now as u64));
        }
        let had = second.saturating_sub(self.within.0.div_ceil(1_000_000_000) as usize);
        while self.settled < had.min(self.seconds.len()) {
            self.settled += 1;
            if (self.enough)(self.settled()) {
                self.done.set();
            }
        }
        let order = e.msg.order;
        if e.msg.op != Op::PlaceOrder || order.is_none() || order.is_probe() {
            return;
        }
        match e.kind {
            Kind::Sent => {
                self.waiting += 1;
                let due = self.at(e.due);
                if let Slot::Vacant(first) = self.orders.entry(order) {
                    first.insert((e.due, false));
                    self.sends.add(e.at.since(e.due));
                    self.seconds.get_mut(due).into_iter().for_each(|second| second.offered += 1);
                }
            }
            Kind::Reply => {
                self.waiting = self.waiting.saturating_sub(1);
                if matches!(e.outcome, Outcome::Backpressure | Outcome::Refused)
                    && let Some(shed) = self.shed.get_mut(second)
                {
                    *shed += 1;
                }
                let Some((due, answered)) = self.orders.get_mut(&order).filter(|_| is_answer(e.outcome)) else { return };
                if std::mem::replace(answered, true) {
                    return;
                }
                let (due, good) = (*due, e.at.since(*due) <= self.within);
                let at = self.at(due);
                match good {
                    true => self.seconds.get_mut(at).into_iter().for_each(|second| second.good += 1),
                    false => self.late.get_mut(second).into_iter().for_each(|late| *late += 1),
                }
            }
            _ => {}
        }
    }
}
