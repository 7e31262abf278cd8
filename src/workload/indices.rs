//! Burstiness indices of a stream of due times: how far it is from a steady one, in the numbers that capacity planning uses.

use crate::sim::Timestamp;
use std::collections::VecDeque;

/// Counts are kept in at most so many equal bins.
const MOST_BINS: u64 = 1 << 22;
const SECOND: u64 = 1_000_000_000;
/// Fewer windows say nothing of a variance.
const FEWEST_WINDOWS: usize = 10;
/// Load of the fluid server that the backlog is of.
pub const RHO: f64 = 0.8;

/// What a stream is like.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Indices {
    pub orders: u64,
    /// from the first moment to the last order, in seconds
    pub seconds: f64,
    /// orders a second in the mean
    pub rate: f64,
    /// width in seconds; most orders in a window of it, divided by the mean
    pub peaks: Vec<(f64, f64)>,
    /// width in seconds; variance to mean of the counts in windows of it, 1 for a Poisson process
    pub idc: Vec<(f64, f64)>,
    /// squared coefficient of variation of gaps, 1 for a Poisson process
    pub cv2: f64,
    /// slope of the variance over widths of windows: 0.5 without memory, towards 1 with long bursts; none of a short stream
    pub hurst: Option<f64>,
    /// the longest backlog, in orders, of a server that could serve 1 / 0.8 of the mean rate without a break
    pub backlog: f64,
    /// counts in equal parts of the time, and their width in seconds
    pub counts: Vec<u32>,
    pub width: f64,
}

impl Indices {
    /// Of times in order; they are gone through twice.
    pub fn of(times: impl Iterator<Item = Timestamp> + Clone) -> Indices {
        let (mut orders, mut first, mut last, mut squares) = (0u64, 0u64, 0u64, 0.0);
        for at in times.clone() {
            if orders == 0 {
                // what passes before the first is no gap between two
                (first, last) = (at.0, at.0);
            }
            let gap = (at.0 - last) as f64;
            squares += gap * gap;
            (orders, last) = (orders + 1, at.0);
        }
        if last == 0 {
            // all at once, where there are any: what is told by time cannot be told
            return Indices { orders, backlog: orders as f64, ..Indices::default() };
        }
        let span = last;
        let mean_gap = span as f64 / orders as f64;
        let width = SECOND.max(span / MOST_BINS + 1);
        let mut counts = vec![0u32; (span / width + 1) as usize];
        let (mut backlog, mut most, mut before) = (0.0f64, 0.0f64, 0u64);
        // a second is as wide as a bin, so what it holds at most is counted order by order
        let (mut second, mut most_in_one) = (VecDeque::new(), 0);
        for at in times {
            if width == SECOND {
                second.push_back(at.0);
                while second.front().is_some_and(|first| at.0 - first >= SECOND) {
                    second.pop_front();
                }
                most_in_one = most_in_one.max(second.len());
            }
            counts[(at.0 / width) as usize] += 1;
            backlog = (backlog - (at.0 - before) as f64 / mean_gap / RHO).max(0.0) + 1.0;
            most = most.max(backlog);
            before = at.0;
        }
        let bin = width as f64 / 1e9;
        let rate = orders as f64 / (span as f64 / 1e9);
        let wide = |seconds: f64| ((seconds / bin).round() as usize).max(1);
        let fits = |seconds: &f64, windows: usize| *seconds >= bin && wide(*seconds) * windows <= counts.len();
        let peak = |seconds: f64| {
            let most = if wide(seconds) == 1 && width == SECOND { most_in_one as f64 } else { busiest(&counts, wide(seconds)) };
            (seconds, most / (rate * wide(seconds) as f64 * bin))
        };
        let peaks = [1.0, 60.0, 3_600.0].into_iter().filter(|seconds| fits(seconds, 1)).map(peak).collect();
        let spread = |seconds: f64| {
            let (mean, variance) = moments(whole_sums(&counts, wide(seconds)));
            (seconds, if mean > 0.0 { variance / mean } else { 0.0 })
        };
        let idc = [1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0].into_iter().filter(|s| fits(s, FEWEST_WINDOWS)).map(spread).collect();
        Indices {
            orders,
            seconds: span as f64 / 1e9,
            rate,
            peaks,
            idc,
            cv2: match (last - first) as f64 / (orders - 1).max(1) as f64 {
                between if between > 0.0 => squares / (orders - 1) as f64 / (between * between) - 1.0,
                _ => 0.0,
            },
            hurst: hurst(&counts),
            backlog: most,
            counts,
            width: bin,
        }
    }

    /// Mean rates, in orders a second, of `parts` equal parts of the time, with the middle of each in seconds.
    pub fn course(&self, parts: usize) -> Vec<(f64, f64)> {
        let wide = self.counts.len().div_ceil(parts.max(1)).max(1);
        let lasts = wide as f64 * self.width;
        let part = |(n, sum): (usize, f64)| {
            let from = n as f64 * lasts;
            let until = (from + lasts).min(self.seconds);
            // what is left at the end may be too short to have a rate
            (n == 0 || until - from >= lasts / 2.0).then(|| ((from + until) / 2.0, sum / (until - from)))
        };
        sums(&self.counts, wide).enumerate().filter_map(part).collect()
    }
}

/// The most in so many parts that follow each other, wherever they begin.
fn busiest(counts: &[u32], wide: usize) -> f64 {
    let (mut sum, mut most) = (0u64, 0);
    for (at, count) in counts.iter().enumerate() {
        sum += u64::from(*count);
        if at >= wide {
            sum -= u64::from(counts[at - wide]);
        }
        most = most.max(sum);
    }
    most as f64
}

/// Sums of windows side by side; the last may be short.
fn sums(counts: &[u32], wide: usize) -> impl Iterator<Item = f64> + '_ {
    counts.chunks(wide).map(|window| window.iter().map(|count| f64::from(*count)).sum())
}

/// The same without one that is short.
fn whole_sums(counts: &[u32], wide: usize) -> impl Iterator<Item = f64> + Clone + '_ {
    counts.chunks_exact(wide).map(|window| window.iter().map(|count| f64::from(*count)).sum())
}

fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    // of few windows the mean lies among them
    (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0))
}

/// Least squares through the logarithms of variance and width: the variance of means falls as width^(2H - 2).
fn hurst(counts: &[u32]) -> Option<f64> {
    let mut points = Vec::new();
    let mut wide = 1;
    while counts.len() / wide >= 4 * FEWEST_WINDOWS {
        let (_, variance) = moments(whole_sums(counts, wide));
        if variance > 0.0 {
            points.push((libm::log(wide as f64), libm::log(variance / (wide * wide) as f64)));
        }
        wide *= 2;
    }
    if points.len() < 4 {
        return None;
    }
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    Some((1.0 + slope / 2.0).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Arrival, Process, State};
    use crate::sim::{Seed, Span};
    use crate::workload::arrivals::{Share, due};
    use std::sync::Arc;

    fn of(arrival: Arrival) -> Indices {
        Indices::of(due(&Arc::new(arrival), Seed(3), Seed(4), Share::whole(100_000)))
    }
    fn at(list: &[(f64, f64)], width: f64) -> f64 {
        list.iter().find(|(seconds, _)| *seconds == width).map_or(f64::NAN, |(_, value)| *value)
    }

    #[test]
    fn a_poisson_process_has_the_indices_of_the_book_and_others_have_not() {
        let steady = of(Arrival::poisson(Span::from_millis(100)));
        assert!((steady.rate - 10.0).abs() < 0.1 && (steady.cv2 - 1.0).abs() < 0.03, "{} {}", steady.rate, steady.cv2);
        for width in [1.0, 10.0, 60.0] {
            assert!((at(&steady.idc, width) - 1.0).abs() < 0.2, "{width}: {:?}", steady.idc);
        }
        assert!((steady.hurst.unwrap() - 0.5).abs() < 0.06, "{:?}", steady.hurst);
        assert!(at(&steady.peaks, 3_600.0) < 1.05 && (1.5..4.0).contains(&at(&steady.peaks, 1.0)), "{:?}", steady.peaks);
        assert!((5.0..60.0).contains(&steady.backlog), "{}", steady.backlog);

        let even = of(Arrival { process: Process::Constant, ..Arrival::poisson(Span::from_millis(100)) });
        assert!(even.cv2 < 0.01 && at(&even.idc, 10.0) < 0.01 && (even.backlog - 1.0).abs() < 0.01, "{even:?}");
        let states = vec![State { level: 0.2, stay: Span::from_mins(3) }, State { level: 5.0, stay: Span::from_secs(40) }];
        let bursty = of(Arrival { states, ..Arrival::poisson(Span::from_millis(100)) });
        assert!(at(&bursty.idc, 60.0) > 50.0 && bursty.cv2 > 1.5 && bursty.hurst.unwrap() > 0.7 && bursty.backlog > 500.0, "{:?}", bursty.idc);
    }

    /// A hundred orders a second from ten seconds on, and the last a moment after a whole second.
    #[test]
    fn what_passes_before_the_first_order_is_no_gap_and_a_piece_of_a_second_has_no_rate() {
        let late = Indices::of((1_000..=2_005u64).map(|n| Timestamp(n * 10_000_000)));
        assert!(late.cv2.abs() < 1e-6, "{}", late.cv2);
        let course = late.course(400);
        assert!(course.last().is_some_and(|(middle, rate)| *middle < 20.0 && (rate - 100.0).abs() < 1e-6), "{course:?}");
    }

    #[test]
    fn a_stream_without_length_has_indices_too() {
        for process in [Process::Burst, Process::Constant] {
            let one = Indices::of(due(&Arc::new(Arrival { process, ..Arrival::poisson(Span(1)) }), Seed(1), Seed(1), Share::whole(1)));
            assert_eq!((one.orders, one.hurst, one.backlog), (1, None, 1.0));
        }
        let at_once = Indices::of(std::iter::repeat_n(Timestamp::ZERO, 50));
        assert_eq!((at_once.orders, at_once.seconds, at_once.rate, at_once.cv2), (50, 0.0, 0.0, 0.0));
        assert_eq!(Indices::of(std::iter::empty()), Indices::default());
    }
}
