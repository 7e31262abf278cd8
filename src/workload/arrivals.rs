//! Due times: when each order of a case is placed, whatever the target does.

use crate::scenario::Arrival;
use crate::sim::{Purpose, Seed, Span, Timestamp};

/// The gap before an order, keyed by the order's number.
const GAP: Purpose = Purpose(0x0100);

/// The due times of orders 1 to `orders`, in order, without a list of them.
///
/// A Poisson process is made of exponential gaps, and order n's gap is a draw keyed n, so a longer case begins like a
/// shorter one. Equal gaps begin at zero; a burst is all at zero.
pub fn due(arrival: Arrival, gap: Span, seed: Seed, orders: u32) -> impl Iterator<Item = Timestamp> + Clone {
    (1..=orders).scan(Timestamp::ZERO, move |last, order| {
        *last += match arrival {
            Arrival::Poisson => exponential(gap, seed, order),
            Arrival::Constant if order > 1 => gap,
            Arrival::Constant | Arrival::Burst => Span::ZERO,
        };
        Some(*last)
    })
}

/// By the inverse of the distribution and a logarithm of our own, so that a schedule is the same on every platform.
fn exponential(mean: Span, seed: Seed, order: u32) -> Span {
    let unit = seed.draw(GAP, u64::from(order), 0).unit();
    Span((-libm::log1p(-unit) * mean.0 as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Span = Span::from_millis(200);

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let times: Vec<u64> = due(Arrival::Poisson, MEAN, Seed(1), 20_000).map(|at| at.0).collect();
        assert!(times.is_sorted());
        let gaps: Vec<f64> =
            std::iter::once(times[0]).chain(times.windows(2).map(|pair| pair[1] - pair[0])).map(|gap| gap as f64 / MEAN.0 as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.03 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
    }

    #[test]
    fn a_longer_case_begins_like_a_shorter_one_and_another_seed_differs() {
        let times = |seed, orders| due(Arrival::Poisson, MEAN, Seed(seed), orders).collect::<Vec<_>>();
        assert_eq!(times(1, 100), times(1, 1000)[..100]);
        assert_ne!(times(1, 100), times(2, 100));
    }

    #[test]
    fn constant_and_burst_are_exact() {
        let times = |arrival, gap| due(arrival, gap, Seed(1), 3).map(|at| at.0).collect::<Vec<_>>();
        assert_eq!(times(Arrival::Constant, Span(7)), [0, 7, 14]);
        assert_eq!(times(Arrival::Burst, Span(7)), [0, 0, 0]);
        assert_eq!(times(Arrival::Poisson, Span::ZERO), [0, 0, 0]);
        assert_eq!(due(Arrival::Burst, Span(7), Seed(1), 0).count(), 0);
        // The end of time is not passed.
        assert_eq!(times(Arrival::Constant, Span(u64::MAX)), [0, u64::MAX, u64::MAX]);
    }
}
