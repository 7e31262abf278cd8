//! What goes wrong in a probe, for a while.

use crate::cli::Trigger;
use crate::model::Op;
use crate::scenario::{Case, FaultAction, FaultRule, FaultSet, Link, Moment, Trigger as SetOff};
use crate::sim::{Span, Timestamp};
use crate::workload::{OPENS, Partition};
use std::sync::Arc;

/// Times the rate.
pub(super) const SPIKE: f64 = 3.0;
/// Of the capacity.
pub(super) const LEFT: f64 = 0.1;

impl Trigger {
    pub(super) fn name(self) -> &'static str {
        match self {
            Trigger::Spike => "spike",
            Trigger::Brownout => "brownout",
            Trigger::Pause => "pause",
            Trigger::Blackhole => "blackhole",
            Trigger::Partners => "partners",
        }
    }

    pub(super) fn says(self) -> String {
        match self {
            Trigger::Spike => format!("{SPIKE} times the rate"),
            Trigger::Brownout => format!("{:.0} % of the capacity", LEFT * 100.0),
            Trigger::Pause => "it stands still".into(),
            Trigger::Blackhole => "no request reaches it".into(),
            Trigger::Partners => "its partners answer 503".into(),
        }
    }

    /// Times the rate that is offered while it lasts.
    pub(super) fn offers(self) -> f64 {
        if self == Trigger::Spike { SPIKE } else { 1.0 }
    }

    /// What of the capacity is left while it lasts, where all that is offered waits for it.
    fn leaves(self) -> Option<f64> {
        match self {
            Trigger::Spike => Some(1.0),
            Trigger::Brownout => Some(LEFT),
            Trigger::Pause => Some(0.0),
            // what is not heard in time comes again when whoever sent it thinks fit
            Trigger::Blackhole | Trigger::Partners => None,
        }
    }

    /// How long it takes who works off what was left and nothing else. `load`: share of the capacity that is offered as a rule.
    pub(super) fn ideal(self, load: f64, lasts: u64) -> Option<f64> {
        let left = self.leaves()?;
        Some(if load >= 1.0 { f64::INFINITY } else { (lasts as f64 * (load * self.offers() - left) / (1.0 - load)).max(0.0) })
    }

    /// The fault that it is, where it is one.
    pub(super) fn rule(self, lasts: Span) -> Option<FaultRule> {
        let window = |link, action| FaultRule { lasts: Some(lasts), share: 1.0, name: self.name().into(), ..FaultRule::of(link, action) };
        match self {
            Trigger::Spike | Trigger::Brownout => None,
            Trigger::Pause => Some(FaultRule { down: lasts, name: self.name().into(), ..FaultRule::of(Link::Target, FaultAction::Pause) }),
            Trigger::Blackhole => Some(window(Link::Commands, FaultAction::Blackhole)),
            Trigger::Partners => Some(window(Link::Calls, FaultAction::Unavailable)),
        }
    }
}

/// The case in which that rule begins to act so long after the shop opens. Rules are set off by what happens, and the first order does.
pub(super) fn with_fault(case: Case, part: &Partition, rule: &FaultRule, from: Span) -> Case {
    let first = part.orders().find(|(_, order, _)| !order.is_probe()).map_or(Timestamp::ZERO, |(due, ..)| due);
    let wait = (Timestamp::ZERO + OPENS + from).since(first);
    let after = Some(SetOff { moment: Moment::Sent, op: Op::PlaceOrder, order: None, nth: 1, wait });
    let rule = FaultRule { after, ..rule.clone() };
    Case { fault: Arc::new(FaultSet { name: rule.name.clone(), rules: vec![rule], ..FaultSet::default() }), ..case }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_worked_off_by_the_spare_capacity() {
        // at half the load: three times that is half more than it can take; a tenth of it leaves four tenths; standing still leaves all
        let ideal = |trigger: Trigger, load| trigger.ideal(load, 10).map(|seconds| (seconds * 1e6).round() / 1e6);
        assert_eq!((ideal(Trigger::Spike, 0.5), ideal(Trigger::Brownout, 0.5), ideal(Trigger::Pause, 0.5)), (Some(10.0), Some(8.0), Some(10.0)));
        assert_eq!((ideal(Trigger::Spike, 0.3), ideal(Trigger::Pause, 1.0)), (Some(0.0), Some(f64::INFINITY)));
        assert_eq!((ideal(Trigger::Blackhole, 0.5), ideal(Trigger::Partners, 0.5)), (None, None));
    }
}
