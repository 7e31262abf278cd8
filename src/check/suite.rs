//! All checkers over one history, and the verdict.

use super::account::{Arrival, Happened};
use super::evidence::{self, Evidence};
use super::settled::{End, Settled};
use super::{
    CheckResult, Checker, Context, Coverage, Finding, Invariant, Ledger, PublishLag, SellOuts, Verdict, quiet_after_end, reject_inert, roster,
};
use crate::history::{Entry, Header, Kind, Observer};
use crate::model::{Code, Op, OrderNo, Outcome};
use crate::scenario::Expect;
use crate::sim::{Span, Timestamp};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Findings of one check that are kept; the rest is counted.
pub const FINDINGS_KEPT: usize = 5;
/// An order that has ended is settled and forgotten when nothing was heard of it for so long: longer than a return window.
pub const QUIET: Span = Span::from_days(40);
/// Orders that were turned down, or ended without goods, are kept as long as others; where there are more of them than this, the oldest go when
/// nothing was heard of them for a while. So a target that is offered more than it takes can be judged for hours.
const REFUSED_KEPT: usize = 8_192;
/// For one that was answered with a no, and never heard of.
const REFUSED_QUIET: Span = Span::from_secs(5);
/// For one that was called rejected or cancelled: longer than partners take to answer.
const CALLED_OFF_QUIET: Span = Span::from_secs(40);

/// What came out.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    /// one for every invariant in order, then `EXPECTATION`
    pub results: Vec<CheckResult>,
    /// at most [`FINDINGS_KEPT`] a check, by rank
    pub findings: Vec<Finding>,
    pub findings_total: u64,
    pub entries: u64,
    /// orders that were placed
    pub orders: u64,
    pub unknowns: u64,
    /// outcomes that the scenario allows, with how many orders each came true for
    pub outcomes: Vec<(Op, u64)>,
    /// why it is unknown or not exercised, if there is one reason for the whole
    pub reason: String,
    /// how late claims are heard, by the probe orders
    pub lag: PublishLag,
    /// what sold out, and so how narrow a race would have shown
    pub sell_outs: SellOuts,
}

impl Judgement {
    /// Not all that the target said is in the record. What the partners' own books show holds; whatever rests on claims may be an effect of what
    /// is missing, and is unknown.
    pub fn doubt(&mut self, reason: String) {
        for result in self.results.iter_mut().filter(|result| result.verdict == Verdict::Fail) {
            if !roster::invariant(&result.name).is_some_and(|about| about.facts_only) {
                result.verdict = Verdict::Unknown;
            }
        }
        let fails = self.results.iter().any(|result| result.verdict == Verdict::Fail);
        self.verdict = if fails { Verdict::Fail } else { Verdict::Unknown };
        self.reason = reason;
    }
}

/// What one checker has come to.
pub(super) struct Tally {
    /// what it says of itself, at hand
    pub about: &'static Invariant,
    /// how often it had something to judge; 0 at the end is `not exercised`
    pub activations: u64,
    /// checks that could not be decided
    pub unknowns: u64,
    /// checks that passed only thanks to an excuse: they would have failed without a fault that stood in the way
    pub excused: u64,
    failures: u64,
    pub findings: Vec<Finding>,
    panicked: bool,
}

impl Tally {
    fn of(about: &'static Invariant) -> Tally {
        Tally { about, activations: 0, unknowns: 0, excused: 0, failures: 0, findings: Vec::new(), panicked: false }
    }
    /// Counts a finding, and keeps the first few.
    pub fn fail(&mut self, finding: Finding) {
        self.failures += 1;
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(finding);
        }
    }
    fn verdict(&self) -> Verdict {
        if self.failures > 0 {
            Verdict::Fail
        } else if self.panicked || self.unknowns > 0 {
            Verdict::Unknown
        } else if self.activations == 0 {
            Verdict::NotExercised
        } else {
            Verdict::Pass
        }
    }
}

/// All checkers over one history (one partition of a case).
pub struct Suite {
    header: Header,
    coverage: Coverage,
    ledger: Ledger,
    evidence: Evidence,
    checkers: Vec<Box<dyn Checker>>,
    /// what each has come to
    tallies: Vec<Tally>,
    /// which checkers see an entry, by its kind and operation; none yet where no such entry came
    routes: Vec<Option<Vec<usize>>>,
    /// checkers that see an event delivered again
    again: Vec<usize>,
    /// every checker that is at work
    all: Vec<usize>,
    broken: bool,
    outcomes: Vec<(Op, u64)>,
    sell_outs: SellOuts,
    quiet: Span,
    /// orders that ended, by the time they were last seen to be quiet from
    ended: VecDeque<(Timestamp, OrderNo)>,
    /// until then none of them is to be settled
    quiet_until: Timestamp,
    /// orders that were turned down at once, by when
    turned_down: VecDeque<(Timestamp, OrderNo)>,
    settled: Settled,
    entries: u64,
    orders: u64,
    /// of them, those that were taken on or turned down
    decided: u64,
    rest_seen: bool,
    /// after `mark.replay`: only those that hear the replay go on
    replaying: bool,
    stopped: bool,
}

/// Where in `routes` the checkers of such an entry stand.
fn route_of(kind: Kind, op: Op) -> usize {
    kind as usize * Op::ALL.len() + op as usize
}

/// Which checkers are called.
#[derive(Clone, Copy)]
enum Who {
    /// those that hear entries of this route
    Hearing(usize),
    /// those that see an event delivered again
    Again,
    All,
}

/// How the record stands when they are called.
#[derive(Clone, Copy, Default)]
struct Standing {
    at_rest: bool,
    suspended: bool,
}

impl Suite {
    pub fn new(header: Header, expect: Expect) -> Suite {
        let checkers = roster::checkers(&header, expect);
        Suite::of(header, checkers)
    }

    /// Every judge by name, in rank order.
    pub fn judges(header: &Header) -> Vec<&'static str> {
        roster::checkers(header, Expect::default()).iter().map(|checker| checker.about().name).collect()
    }

    /// The books, and one judge of that name or none: to measure what each costs.
    pub fn only(header: Header, expect: Expect, name: Option<&str>) -> Suite {
        let mut checkers = roster::checkers(&header, expect);
        checkers.retain(|checker| Some(checker.about().name) == name);
        Suite::of(header, checkers)
    }

    fn of(header: Header, checkers: Vec<Box<dyn Checker>>) -> Suite {
        let again = (0..checkers.len()).filter(|i| checkers[*i].hears_again()).collect();
        Suite {
            ledger: Ledger::of(&header),
            coverage: header.tells.as_ref().map_or_else(Coverage::everything, Coverage::of),
            header,
            evidence: Evidence::default(),
            routes: vec![None; Kind::ALL.len() * Op::ALL.len()],
            again,
            all: (0..checkers.len()).collect(),
            tallies: checkers.iter().map(|checker| Tally::of(checker.about())).collect(),
            checkers,
            broken: false,
            outcomes: Vec::new(),
            sell_outs: SellOuts::default(),
            quiet: QUIET,
            ended: VecDeque::new(),
            quiet_until: Timestamp::NEVER,
            turned_down: VecDeque::new(),
            settled: Settled::default(),
            entries: 0,
            orders: 0,
            decided: 0,
            rest_seen: false,
            replaying: false,
            stopped: false,
        }
    }

    /// Judges a record that tells only of this.
    pub fn covering(self, coverage: Coverage) -> Suite {
        Suite { coverage, ..self }
    }

    /// Judges what is left. `complete`: the record has its footer. A record without `mark.rest`, too, counts as cut short.
    pub fn finish(mut self, complete: bool) -> Judgement {
        let at_rest = complete && self.rest_seen && !self.stopped && self.evidence.damage().is_none();
        if !self.broken && !self.replaying {
            for order in self.ledger.orders() {
                self.settle_order(order, at_rest);
            }
        }
        if !self.broken {
            self.settle(at_rest);
        }
        self.judgement(at_rest)
    }

    /// Calls the checkers concerned in turn; one that panics is left out from then on, and unknown.
    fn call_all(&mut self, who: Who, order: OrderNo, standing: Standing, call: impl Fn(&mut dyn Checker, &mut Context<'_>)) {
        let Suite { header, ledger, coverage: covers, outcomes, sell_outs, tallies, checkers, routes, again, all, .. } = self;
        let mut todo = match who {
            Who::Hearing(route) => routes[route].as_deref().unwrap_or_default(),
            Who::Again => again,
            Who::All => all,
        };
        if todo.is_empty() {
            return;
        }
        let place = if order.is_some() { ledger.place(order) } else { None };
        let (probe, account) = (order.is_probe(), place.map(|place| ledger.account(place)));
        let Standing { at_rest, suspended } = standing;
        let mut ctx = Context { header, ledger, covers, at_rest, suspended, probe, tallies, at: 0, place, account, outcomes, sell_outs };
        let mut panicked = false;
        while catch_unwind(AssertUnwindSafe(|| {
            for at in todo {
                ctx.at = *at;
                call(&mut *checkers[*at], &mut ctx);
            }
        }))
        .is_err()
        {
            panicked = true;
            ctx.tally().panicked = true;
            let done = todo.iter().position(|at| *at == ctx.at).map_or(todo.len(), |at| at + 1);
            todo = &todo[done..];
        }
        if panicked {
            self.leave_out();
        }
    }

    /// Those that panicked are called no more.
    #[cold]
    fn leave_out(&mut self) {
        for route in self.routes.iter_mut().flatten().chain([&mut self.again, &mut self.all]) {
            route.retain(|at| !self.tallies[*at].panicked);
        }
    }

    fn who_hears(&self, kind: Kind, op: Op) -> Vec<usize> {
        self.all.iter().copied().filter(|i| self.checkers[*i].hears(kind, op)).collect()
    }

    /// Shows an entry to those that hear such.
    fn show(&mut self, e: &Entry) {
        let route = route_of(e.kind, e.msg.op);
        if self.routes[route].is_none() {
            self.routes[route] = Some(self.who_hears(e.kind, e.msg.op));
        }
        self.call_all(Who::Hearing(route), e.msg.order, Standing::default(), |checker, ctx| checker.observe(e, ctx));
    }

    fn settle(&mut self, at_rest: bool) {
        self.call_all(Who::All, OrderNo::NONE, Standing { at_rest, suspended: false }, |checker, ctx| checker.settle(ctx));
    }

    fn settle_order(&mut self, order: OrderNo, at_rest: bool) {
        self.ledger.turn_to(order);
        let suspended = self.ledger.order(order).is_some_and(|account| account.hole().is_some());
        self.call_all(Who::All, order, Standing { at_rest, suspended }, |checker, ctx| checker.settle_order(order, ctx));
        if let Some(account) = self.ledger.order(order) {
            self.settled.set(order, End::of(account));
            self.decided += u64::from(!order.is_probe() && account.is_decided());
        }
        self.ledger.forget(order);
    }

    /// The run is at rest, and everything will be sent once more: what has been heard so far is judged now.
    #[cold]
    fn begin_replay(&mut self) {
        let at_rest = self.rest_seen && !self.stopped && self.evidence.damage().is_none();
        for order in self.ledger.orders() {
            self.settle_order(order, at_rest);
        }
        let replay: Vec<usize> = (0..self.checkers.len()).filter(|i| self.checkers[*i].hears_replay()).collect();
        self.all.retain(|i| !replay.contains(i));
        self.settle(at_rest);
        self.routes.fill(None);
        self.again.retain(|i| replay.contains(i));
        self.all = replay;
        self.all.retain(|i| !self.tallies[*i].panicked);
        self.replaying = true;
        // the end of the replay has to be seen as well
        self.rest_seen = false;
    }

    fn settle_quiet(&mut self) {
        let now = self.ledger.now;
        while let Some((since, order)) = self.ended.front().copied()
            && since + self.quiet < now
        {
            self.ended.pop_front();
            match self.ledger.order(order).map(|account| account.last.at) {
                Some(last) if last + self.quiet < now => self.settle_order(order, true),
                Some(last) => self.ended.push_back((last, order)),
                None => {}
            }
        }
        self.quiet_until = self.ended.front().map_or(Timestamp::NEVER, |(since, _)| *since + self.quiet);
    }

    /// Orders that were turned down or called off make room for others.
    fn settle_turned_down(&mut self) {
        while self.turned_down.len() > REFUSED_KEPT
            && let Some((since, order)) = self.turned_down.front().copied()
            && since + REFUSED_QUIET < self.ledger.now
        {
            let Some(account) = self.ledger.order(order) else {
                self.turned_down.pop_front();
                continue;
            };
            let called_off = account.is_called_off();
            let quiet = if called_off { CALLED_OFF_QUIET } else { REFUSED_QUIET };
            if account.last.at + quiet >= self.ledger.now {
                break;
            }
            let settles = called_off || account.happened() == Happened::No && account.is_untouched();
            self.turned_down.pop_front();
            if settles {
                self.settle_order(order, true);
            }
        }
    }

    /// An entry about an order that was settled before: too late to judge, except what the target says of it at rest.
    #[cold]
    fn late(&mut self, e: &Entry, end: End) {
        self.ledger.observe_stock(e);
        let (order, op) = (e.msg.order, e.msg.op);
        if quiet_after_end::is_effect(e.kind, op) && end != End::Completed {
            let did = quiet_after_end::in_words(op);
            return match end {
                End::TurnedDown => {
                    let what = format!("{order} was answered `rejected`, and yet {did} (entry {})", e.n);
                    self.late_finding(reject_inert::ABOUT.name, what, "of an order that was turned down nothing is ever done", e)
                }
                _ => {
                    let what = format!("{order} had ended as `{}`, then {did} (entry {})", end.code(), e.n);
                    self.late_finding(quiet_after_end::ABOUT.name, what, quiet_after_end::EXPECTED, e)
                }
            };
        }
        match e.kind {
            Kind::State if op == Op::GetOrder => self.late_answer(e, end),
            Kind::State => {}
            // whoever was said no to may ask again, and be told so again
            Kind::Sent | Kind::Fault if end != End::Completed => {}
            Kind::Reply if end != End::Completed && !matches!(e.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending) => {}
            Kind::Event if end == End::TurnedDown && op == Op::OrderRejected => self.settled.set(order, End::Rejected),
            _ => self.evidence.unknowns += 1,
        }
    }

    fn late_answer(&mut self, e: &Entry, end: End) {
        let said = e.msg.code;
        if said == end.code() {
            return;
        }
        let (what, expected) = match end {
            End::TurnedDown if said == Code::None => return,
            End::TurnedDown => {
                (format!("{} was answered `rejected`, but the target now says `{said}`", e.msg.order), "an order that was turned down is nobody's")
            }
            _ => (format!("{} had ended as `{}`, but the target now says `{said}`", e.msg.order, end.code()), "an end is final"),
        };
        self.late_finding("NO_LOST", what, expected, e);
    }

    /// What an entry about an order that was settled before shows by itself.
    fn late_finding(&mut self, check: &'static str, what: String, expected: &str, e: &Entry) {
        if let Some(tally) = self.tallies.iter_mut().find(|tally| tally.about.name == check) {
            let (order, expected, evidence) = (Some(e.msg.order), expected.to_string(), vec![e.n]);
            tally.fail(Finding { check: check.into(), order, what, expected, evidence });
        }
    }

    fn take(&mut self, e: &Entry) {
        self.entries += 1;
        match e.msg.op {
            Op::MarkRest => self.rest_seen = true,
            Op::MarkStopped => self.stopped = true,
            _ => {}
        }
        self.evidence.observe(e);
        if e.kind == Kind::State && e.outcome == Outcome::TimedOut {
            // nothing was said, so there is nothing to be compared
            self.evidence.unanswered += 1;
            return;
        }
        if e.msg.op == Op::MarkReplay && !self.replaying {
            self.begin_replay();
        }
        if self.replaying {
            return self.show(e);
        }
        if e.msg.order.is_some()
            && self.ledger.turn_to(e.msg.order).is_none()
            && let Some(end) = self.settled.get(e.msg.order)
        {
            return self.late(e, end);
        }
        let arrival = self.ledger.observe(e);
        if arrival != Arrival::New {
            return self.call_all(Who::Again, e.msg.order, Standing::default(), |checker, ctx| checker.again(e, arrival, ctx));
        }
        if e.kind == Kind::Sent && e.msg.op == Op::PlaceOrder && self.ledger.order(e.msg.order).is_some_and(|account| account.placed.n == e.n) {
            self.orders += u64::from(!e.msg.order.is_probe());
        }
        self.show(e);
        if e.kind == Kind::Event && matches!(e.msg.op, Op::OrderCompleted | Op::OrderCancelled | Op::OrderRejected) {
            self.ended.push_back((e.at, e.msg.order));
            self.quiet_until = self.quiet_until.min(e.at + self.quiet);
            if e.msg.op != Op::OrderCompleted {
                self.turned_down.push_back((e.at, e.msg.order));
            }
        }
        if e.kind == Kind::Reply && e.msg.op == Op::PlaceOrder && e.outcome == Outcome::Rejected && e.msg.code != Code::KeyReuse {
            self.turned_down.push_back((e.at, e.msg.order));
        }
        if self.ledger.now > self.quiet_until {
            self.settle_quiet();
        }
        self.settle_turned_down();
    }

    fn judgement(self, at_rest: bool) -> Judgement {
        let damage = self.evidence.damage().map(|text| format!("the record is damaged: {text}"));
        let record = Tally { activations: self.entries, unknowns: self.evidence.unknowns + self.evidence.unanswered, ..Tally::of(&evidence::ABOUT) };
        let (mut results, mut findings) = (Vec::new(), Vec::new());
        for tally in std::iter::once(record).chain(self.tallies) {
            // what a damaged record shows may be an effect of the damage
            let verdict = if self.broken || damage.is_some() && tally.failures > 0 { Verdict::Unknown } else { tally.verdict() };
            let Tally { about, activations, excused, failures, .. } = tally;
            let unknowns = tally.unknowns + u64::from(tally.panicked);
            results.push(CheckResult { name: about.name.into(), verdict, activations, unknowns, excused, failures });
            findings.extend(tally.findings);
        }
        let judged = results.iter().filter(|r| r.verdict != Verdict::NotExercised).map(|r| r.verdict);
        let mut verdict = judged.fold(Verdict::Pass, Verdict::merge);
        let mut reason = String::new();
        let nothing = results.iter().skip(1).all(|r| r.verdict == Verdict::NotExercised);
        if self.evidence.unanswered > 0 {
            let questions = if self.evidence.unanswered == 1 { "question" } else { "questions" };
            reason = format!(
                "{} {questions} at rest had no answer that could be read: what the target makes of those orders or shelves is not known",
                self.evidence.unanswered
            );
        }
        // a shelf that was asked for is no order
        if self.orders == 0 || nothing || self.decided == 0 {
            verdict = verdict.merge(Verdict::NotExercised);
            reason = if self.orders == 0 { "no order was placed" } else { "no order was taken on or turned down" }.into();
        }
        if !at_rest {
            verdict = verdict.merge(Verdict::Unknown);
            reason = "the record was cut short before the run came to rest".into();
        }
        if self.broken {
            reason = "the judge itself failed on this record".into();
        }
        if let Some(damage) = damage {
            reason = damage;
        }
        let lag = self.ledger.publish_lag();
        let findings_total = results.iter().map(|r| r.failures).sum();
        let unknowns = results.iter().map(|r| r.unknowns).sum();
        Judgement {
            verdict,
            results,
            findings,
            findings_total,
            entries: self.entries,
            orders: self.orders,
            unknowns,
            outcomes: self.outcomes,
            reason,
            lag,
            sell_outs: self.sell_outs,
        }
    }
}

impl Observer for Suite {
    fn observe(&mut self, entry: &Entry) {
        if self.broken {
            self.entries += 1;
        } else if catch_unwind(AssertUnwindSafe(|| self.take(entry))).is_err() {
            self.broken = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;
    use crate::model::Outcome;

    #[test]
    fn a_plain_order_passes_and_what_it_cannot_touch_is_not_exercised() {
        let mut h = Story::new();
        h.plain_order(1);
        let judgement = h.judge();
        assert_eq!((judgement.verdict, judgement.orders), (Verdict::Pass, 1), "{:#?}", judgement.findings);
        assert_eq!(judgement.verdict_of("BACKORDER_FAIR"), Verdict::NotExercised);
    }

    #[test]
    fn where_not_all_was_heard_only_what_the_books_show_is_held_against_anybody() {
        let mut h = Story::new();
        h.place(1, &[(1, A, 1)]).accept(1).accept(1);
        let mut judgement = h.judge();
        assert_eq!(judgement.verdict, Verdict::Fail);
        judgement.doubt("a webhook could not be read".into());
        assert_eq!((judgement.verdict, judgement.verdict_of("ACCEPT_ONCE")), (Verdict::Unknown, Verdict::Unknown));
        for parcel_number in [1, 2] {
            h.fact(1, Op::CbNodeShipped, |m| {
                parcel(m, parcel_number);
                at_node(m, DC1, &[(1, A, 1)]);
            });
        }
        let mut judgement = h.judge();
        judgement.doubt("a webhook could not be read".into());
        assert_eq!((judgement.verdict, judgement.verdict_of("SHIP_ONCE")), (Verdict::Fail, Verdict::Fail));
    }

    #[test]
    fn a_history_without_an_order_is_not_exercised() {
        let nothing = Story::new().judge();
        assert_eq!((nothing.verdict, nothing.reason.as_str()), (Verdict::NotExercised, "no order was placed"));
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        let shed = h.place_with(1, body, Outcome::Backpressure).judge();
        assert_eq!((shed.verdict, shed.reason.as_str()), (Verdict::NotExercised, "no order was taken on or turned down"));
        // what lies on a shelf is no order
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        h.stock(DC1, A, 10).place_with(1, body, Outcome::Backpressure).shelf_state(DC1, A, 10, 0);
        let judgement = h.judge();
        assert!(judgement.results.iter().skip(1).any(|result| result.activations > 0), "it was asked for");
        assert_eq!((judgement.verdict, judgement.reason.as_str()), (Verdict::NotExercised, "no order was taken on or turned down"));
    }

    #[test]
    fn a_record_cut_short_never_passes() {
        let mut h = Story::new();
        h.plain_order(1);
        assert_eq!(h.cut_short().verdict, Verdict::Unknown);
        assert_eq!(h.judge_with(|suite| suite.finish(false)).verdict, Verdict::Unknown, "rest was marked, but the footer is missing");
    }

    #[test]
    fn a_panicking_checker_is_unknown_and_the_others_go_on() {
        struct Bomb;
        impl Checker for Bomb {
            fn about(&self) -> &'static Invariant {
                const { &Invariant { name: "BOMB", summary: "", definition: "", needs: "", traps: "", facts_only: false } }
            }
            fn hears(&self, _: Kind, _: Op) -> bool {
                true
            }
            fn observe(&mut self, e: &Entry, _: &mut Context<'_>) {
                assert!(e.n < 3, "boom");
            }
        }
        let mut h = Story::new();
        h.plain_order(1);
        let mut checkers = roster::checkers(&h.header, h.expect.clone());
        checkers.insert(0, Box::new(Bomb));
        let suite = Suite::of(h.header.clone(), checkers);
        let judgement = h.run(suite);
        assert_eq!(judgement.verdict_of("BOMB"), Verdict::Unknown);
        assert_eq!(judgement.verdict_of("CAPTURE_WITHIN_AUTH"), Verdict::Pass);
        assert_eq!(judgement.verdict, Verdict::Unknown);
    }

    #[test]
    fn an_ended_order_is_forgotten_after_its_quiet_time_and_later_news_of_it_is_unknown() {
        let mut h = Story::new();
        h.plain_order(1);
        h.wait(QUIET + Span::from_days(1)).place(2, &[(1, A, 1)]);
        let mut suite = h.suite();
        h.entries().iter().for_each(|e| suite.observe(e));
        assert_eq!(suite.ledger.orders(), [OrderNo(2)]);
        h.event(1, Op::ShipmentDelivered, |m| parcel(m, 1));
        assert!(h.judge().results[0].unknowns > 0);
    }

    /// So many orders are turned down that the first are forgotten; the last of them is `LAST`.
    fn turned_down() -> Story {
        let mut h = Story::new();
        let body = h.body(&[(1, A, 1)]);
        for order in 1..=LAST {
            h.place_with(order, body.clone(), Outcome::Rejected);
        }
        h.wait(REFUSED_QUIET + Span::from_secs(1)).plain_order(LAST + 1);
        h
    }
    const LAST: u32 = REFUSED_KEPT as u32 + 20;

    #[test]
    fn orders_that_were_turned_down_make_room_and_may_be_turned_down_again() {
        let mut h = turned_down();
        let mut suite = h.suite();
        h.entries().iter().for_each(|e| suite.observe(e));
        assert_eq!(suite.ledger.orders().len(), REFUSED_KEPT + 1);
        h.resend(1, Outcome::Rejected).state(1, Code::UnknownOrder, 0).event(2, Op::OrderRejected, |_| {});
        let again = h.state(2, Code::StateRejected, 0).judge();
        assert_eq!((again.verdict, again.orders), (Verdict::Pass, u64::from(LAST) + 1), "{:#?}", again.findings);
    }

    #[test]
    fn news_of_an_order_that_was_turned_down_and_forgotten_are_held_against_the_target() {
        let after = |news: &dyn Fn(&mut Story)| {
            let mut h = turned_down();
            news(&mut h);
            h.judge()
        };
        let goods = after(&|h| {
            h.fact(1, Op::CbNodeShipped, |m| {
                parcel(m, 1);
                at_node(m, DC1, &[(1, A, 1)]);
            });
        });
        assert_eq!(goods.verdict_of("REJECT_INERT"), Verdict::Fail);
        let known = after(&|h| {
            h.state(1, Code::StateOpen, 0);
        });
        assert_eq!(known.verdict_of("NO_LOST"), Verdict::Fail);
        // whether the second answer was right cannot be known any more
        let yes = after(&|h| {
            h.resend(1, Outcome::Ok);
        });
        assert_eq!(yes.verdict, Verdict::Unknown);
    }

    #[test]
    fn findings_beyond_the_first_few_are_counted() {
        let mut h = Story::new();
        for order in 1..=8 {
            h.place(order, &[(1, A, 1)]).accept(order).accept(order);
        }
        let judgement = h.judge();
        let kept = judgement.findings.iter().filter(|f| f.check == "ACCEPT_ONCE").count();
        let result = judgement.results.iter().find(|r| r.name == "ACCEPT_ONCE");
        assert_eq!((kept, result.map(|r| r.failures)), (FINDINGS_KEPT, Some(8)));
    }
}
