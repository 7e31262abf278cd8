//! Publish lag: how late a claim of the target is heard when nothing stands in its way, as its probe orders show it.
//!
//! The lag of a claim is the time from the answer that caused it to its hearing. What caused it says `cause`: a message to the target counts
//! from when the target had acknowledged it, a call of the target from when its partner had answered. A claim that is heard before its cause
//! was acknowledged has no lag. Nothing else is compared: only along `cause` is one known to follow from the other.

use crate::history::{Entry, Kind};
use crate::model::Id;
use crate::sim::{Span, Timestamp};
use rustc_hash::FxHashMap;

/// What is waited for where nothing was measured: a history without probe orders.
const UNMEASURED: Span = Span::from_secs(2);
/// Some fifty claims cannot show how long the tail is, so the grace is never less than this.
const LEAST: Span = Span::from_millis(500);
/// An outage while the probes ran must not excuse everything, so the grace is never more than this.
const MOST: Span = Span::from_secs(10);

/// How late claims may be, and from how much that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublishLag {
    /// probe orders of which a claim was heard
    pub probes: u64,
    /// claims that were measured
    pub claims: u64,
    /// the worst lag among them (p100)
    pub worst: Span,
    /// twice the worst, within bounds; a constant where nothing was measured
    pub grace: Span,
}

impl Default for PublishLag {
    fn default() -> PublishLag {
        PublishLag { probes: 0, claims: 0, worst: Span::ZERO, grace: UNMEASURED }
    }
}

impl PublishLag {
    /// Several partitions or seeds together: the worst of them.
    pub fn merged(self, other: PublishLag) -> PublishLag {
        let grace = match (self.claims, other.claims) {
            (0, _) => other.grace,
            (_, 0) => self.grace,
            _ => self.grace.max(other.grace),
        };
        PublishLag { probes: self.probes + other.probes, claims: self.claims + other.claims, worst: self.worst.max(other.worst), grace }
    }
}

/// The measuring: a few ids of the probe orders, nothing else.
#[derive(Default)]
pub(super) struct LagMeter {
    /// messages and calls, and when they were acknowledged or answered
    causes: FxHashMap<Id, Option<Timestamp>>,
    /// business seconds in one on the wire, less one: nothing where they are the same
    over_scale: f64,
    /// a bit for each probe of which something was heard
    heard_of: u8,
    measured: PublishLag,
}

/// A span of the wire in business time.
fn scaled(span: Span, over_scale: f64) -> Span {
    Span(span.0.saturating_add((span.0 as f64 * over_scale) as u64))
}

impl LagMeter {
    /// Bounds are those of the wire: where business runs faster, they are wider in its time.
    pub(super) fn at_scale(scale: f64) -> LagMeter {
        let over_scale = scale - 1.0;
        let measured = PublishLag { grace: scaled(UNMEASURED, over_scale), ..PublishLag::default() };
        LagMeter { over_scale, measured, ..LagMeter::default() }
    }
    /// Takes in a new entry about a probe order.
    pub(super) fn observe(&mut self, e: &Entry) {
        match e.kind {
            Kind::Sent | Kind::Call if e.msg.id.is_some() => {
                self.causes.entry(e.msg.id).or_default();
            }
            Kind::Reply | Kind::Answer | Kind::Fact if e.msg.id.is_some() => {
                self.causes.entry(e.msg.id).or_default().get_or_insert(e.at);
            }
            Kind::Event => {
                let Some(answered) = self.causes.get(&e.msg.cause) else { return };
                let lag = answered.map_or(Span::ZERO, |at| e.at.since(at));
                let m = &mut self.measured;
                // eight probes are told apart; more are not placed
                let bit = 1u8 << (e.msg.order.0 & 7);
                m.probes += u64::from(self.heard_of & bit == 0);
                self.heard_of |= bit;
                m.claims += 1;
                m.worst = m.worst.max(lag);
                m.grace = m.worst.saturating_mul(2).max(scaled(LEAST, self.over_scale)).min(scaled(MOST, self.over_scale));
            }
            _ => {}
        }
    }

    pub(super) fn measured(&self) -> PublishLag {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Op, OrderNo};

    #[test]
    fn bounds_are_those_of_the_wire_where_business_runs_faster() {
        assert_eq!(LagMeter::at_scale(1.0).measured(), PublishLag::default());
        assert_eq!(LagMeter::at_scale(100.0).measured().grace, UNMEASURED.saturating_mul(100));
    }

    #[test]
    fn the_grace_is_twice_the_worst_lag_within_bounds_and_a_constant_without_probes() {
        for (lag, grace) in [(Some(None), LEAST), (Some(Some(3)), Span::from_secs(6)), (Some(Some(50)), MOST), (None, UNMEASURED)] {
            let mut h = Story::new();
            if let Some(lag) = lag {
                h.probe(lag.map(Span::from_secs));
            }
            h.plain_order(1);
            let judgement = h.judge();
            let measured = u64::from(lag.is_some());
            let worst = Span::from_secs(lag.flatten().unwrap_or(0));
            assert_eq!(judgement.lag, PublishLag { probes: measured, claims: measured, worst, grace });
            assert_eq!(judgement.orders, 1, "a probe is no order of the case");
        }
    }

    #[test]
    fn several_partitions_have_the_worst_lag_of_them() {
        let quick = PublishLag { probes: 3, claims: 9, worst: Span::from_millis(40), grace: LEAST };
        let slow = PublishLag { probes: 3, claims: 8, worst: Span::from_secs(1), grace: Span::from_secs(2) };
        assert_eq!(quick.merged(slow), PublishLag { probes: 6, claims: 17, ..slow });
        assert_eq!(PublishLag::default().merged(quick).grace, LEAST, "what was not measured says nothing");
    }

    #[test]
    fn probes_are_judged_but_exercise_nothing() {
        let mut h = Story::new();
        let place = h.probe(None).entries()[0].msg.id;
        let by = |m: &mut crate::model::Message| m.cause = place;
        h.event(OrderNo::FIRST_PROBE.0, Op::OrderCancelled, by);
        assert_eq!(h.judge().verdict, Verdict::NotExercised, "{:?}", h.judge().findings);
        h.event(OrderNo::FIRST_PROBE.0, Op::OrderAccepted, by);
        assert_eq!(h.judge().verdict_of("ACCEPT_ONCE"), Verdict::Fail);
    }
}
