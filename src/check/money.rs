//! The judge's own arithmetic of units and amounts.

use crate::model::Money;

/// Value of the first `units` of a line of `qty` units that costs `total`: `total * units / qty`, rounded half up.
///
/// Differences of this function are what any run of units is worth; so however a line is cut into parcels and returns,
/// the parts sum to the whole to the cent.
pub(super) fn first_units(total: Money, qty: i64, units: i64) -> Money {
    if qty <= 0 {
        return Money::ZERO;
    }
    let units = i128::from(units.clamp(0, qty));
    let (total, qty) = (i128::from(total.0), i128::from(qty));
    let cents = (2 * total * units + qty).div_euclid(2 * qty);
    Money(i64::try_from(cents).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_line_sum_to_the_whole() {
        let parts: Vec<i64> = (1..=3).map(|k| (first_units(Money(1000), 3, k) - first_units(Money(1000), 3, k - 1)).0).collect();
        assert_eq!(parts, [333, 334, 333]);
        assert_eq!(first_units(Money(1000), 3, 3), Money(1000));
    }

    #[test]
    fn half_a_cent_rounds_up_and_nonsense_is_worth_nothing() {
        assert_eq!(first_units(Money(5), 2, 1), Money(3));
        assert_eq!(first_units(Money(5), 0, 1), Money::ZERO);
        assert_eq!(first_units(Money(5), 2, -4), Money::ZERO);
        assert_eq!(first_units(Money(5), 2, 9), Money(5), "more units than ordered are worth no more than the line");
    }
}
