//! What the profile of a live target bounds: who waits for that before it is sent does not wait for the target.

use crate::net::Waited;

/// A share of the orders that waited so is not seen in a 99th percentile.
pub const FEW: f64 = 0.01;

/// Orders waited before they were sent, and for which times that may be the reason.
#[derive(Clone, PartialEq, Debug)]
pub struct Bounded {
    pub why: String,
    /// times of less than so many seconds were the target's own all the same
    from_s: f64,
}

impl Bounded {
    /// None where no more than a share of the orders waited. Where as many requests as may be are under way, those that are wait for the target; but
    /// if fewer may be than orders come in some time, a target that answers each of them in that time makes others wait.
    pub fn of(waited: Waited, (orders, few): (u64, f64), rate: f64, (in_flight, max_rate): (usize, u32)) -> Option<Bounded> {
        let many = |requests: u64| requests as f64 > orders.max(1) as f64 * few;
        if many(waited.for_turn) {
            let why = format!(
                "{} requests waited for their turn: the target's profile allows {max_rate} a second (`max_rate` under [limits])",
                waited.for_turn
            );
            return Some(Bounded { why, from_s: 0.0 });
        }
        many(waited.for_place).then(|| Bounded {
            why: format!(
                "{} requests waited for a place: with {rate:.0} orders a second the target's profile allows {in_flight} under way (`max_in_flight` under [http])",
                waited.for_place
            ),
            from_s: in_flight as f64 / rate,
        })
    }

    /// Whether a target that answers within so many seconds may seem not to.
    pub fn explains(&self, limit_s: f64) -> bool {
        limit_s > self.from_s
    }

    /// Whether whatever takes time may seem slower than the target is, however slow it is.
    pub fn explains_all(&self) -> bool {
        self.from_s == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_place_waits_for_the_target_unless_there_are_too_few_of_them() {
        let said = |for_place, for_turn, rate| {
            let bounded = Bounded::of(Waited { for_place, for_turn }, (10_000, FEW), rate, (256, 100));
            bounded.filter(|bounded| bounded.explains(1.0)).map(|bounded| bounded.why)
        };
        // 200 a second with 256 under way take longer than a second each
        assert_eq!((said(5_000, 0, 200.0), said(100, 0, 900.0), said(0, 100, 900.0)), (None, None, None));
        assert!(said(5_000, 0, 900.0).is_some_and(|why| why.contains("5000 requests waited for a place") && why.contains("allows 256 under way")));
        assert!(said(0, 5_000, 200.0).is_some_and(|why| why.contains("allows 100 a second")));
        let all =
            |for_place, for_turn| Bounded::of(Waited { for_place, for_turn }, (100, FEW), 900.0, (256, 100)).map(|bounded| bounded.explains_all());
        assert_eq!((all(0, 0), all(50, 0), all(0, 50)), (None, Some(false), Some(true)));
    }
}
