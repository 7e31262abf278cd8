//! What is compared of a stream of order times: counts in windows, the week, the peak, and gaps in rescaled time.

use super::axis::DAY_S;
use super::rate::Rate;
use std::ops::Range;

/// Widths of the windows of counts, in minutes.
pub(super) const WINDOWS: [usize; 4] = [1, 10, 60, 1_440];
pub(super) const HOURS: usize = 7 * 24;
/// Gaps are counted in so many equal parts of the exponential distribution: a distance is known to a thousandth at worst.
const PARTS: usize = 4_096;

/// What a stream is like.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// variance to mean of the counts in windows of each width
    pub idc: [f64; 4],
    /// orders of each hour of the week, the first being that of day 0
    pub week: Vec<f64>,
    /// orders of each day from day 0 on
    pub by_day: Vec<f64>,
    /// most orders in an hour
    pub peak: f64,
    /// gaps in expected orders, by parts of the exponential distribution
    pub gaps: Vec<f64>,
}

impl Stream {
    /// Times in order, in seconds from midnight of day 0; gaps are rescaled by the rate. Only what lies in the `days` that are asked for counts.
    pub fn of(times: &[f64], days: usize, rate: &Rate, counted: &dyn Fn(usize) -> bool) -> Stream {
        let mut minutes = vec![0u32; days * 1_440];
        let mut gaps = vec![0.0; PARTS];
        let mut before: Option<f64> = None;
        for t in times {
            let u = rate.up_to(*t);
            let day = (t / DAY_S) as usize;
            if day < days && counted(day) {
                minutes[((t / 60.0) as usize).min(days * 1_440 - 1)] += 1;
                if let Some(before) = before {
                    let share: f64 = -libm::expm1(-(u - before));
                    gaps[((share * PARTS as f64) as usize).min(PARTS - 1)] += 1.0;
                }
            }
            before = Some(u);
        }
        let windows: Vec<Range<usize>> = (1..days).filter(|day| counted(*day)).map(|day| day * 1_440..(day + 1) * 1_440).collect();
        let mut week = vec![0.0; HOURS];
        let mut peak = 0.0f64;
        for window in &windows {
            for (hour, counts) in minutes[window.clone()].chunks(60).enumerate() {
                let came: f64 = counts.iter().map(|count| f64::from(*count)).sum();
                week[(window.start / 60 + hour) % HOURS] += came;
                peak = peak.max(came);
            }
        }
        let mut by_day = vec![0.0; days];
        for window in &windows {
            by_day[window.start / 1_440] = minutes[window.clone()].iter().map(|count| f64::from(*count)).sum();
        }
        let idc = WINDOWS.map(|width| {
            let of = windows.iter().flat_map(|window| minutes[window.clone()].chunks(width));
            dispersion(of.map(|counts| counts.iter().map(|count| f64::from(*count)).sum::<f64>()))
        });
        Stream { idc, week, by_day, peak, gaps }
    }

    /// Share of gaps longer than each tenth of a mean gap, up to five: of independent orders e^-x.
    pub fn survival(&self) -> Vec<(f64, f64)> {
        survival(&self.gaps)
    }
}

/// The same of gaps of several streams together.
pub(super) fn survival(gaps: &[f64]) -> Vec<(f64, f64)> {
    let total: f64 = gaps.iter().sum();
    let longer = |x: f64| gaps[((-libm::expm1(-x) * PARTS as f64) as usize).min(PARTS)..].iter().sum::<f64>() / total.max(1.0);
    (0..=50).map(|n| f64::from(n) / 10.0).map(|x| (x, longer(x))).collect()
}

fn dispersion(counts: impl Iterator<Item = f64>) -> f64 {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for count in counts {
        n += 1.0;
        sum += count;
        squares += count * count;
    }
    if sum > 0.0 { (squares / n - (sum / n).powi(2)) / (sum / n) } else { 0.0 }
}

/// Half the sum of differences between two sets of shares.
pub(super) fn variation(a: &[f64], b: &[f64]) -> f64 {
    let (of_a, of_b): (f64, f64) = (a.iter().sum::<f64>().max(1e-300), b.iter().sum::<f64>().max(1e-300));
    a.iter().zip(b).map(|(a, b)| (a / of_a - b / of_b).abs()).sum::<f64>() / 2.0
}
