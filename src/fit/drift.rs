//! Ranks that change: the most popular goods of one week are not those of the next, and less so those of ten weeks later.
//!
//! A profile whose ranks stand still is too easy on whoever keeps popular goods at hand. So the share of SKUs that change rank every night is looked
//! for, and with it how much steeper popularity is on any one day than over the whole history, which the changes flatten.

use super::axis::Axis;
use crate::sim::{Purpose, Seed};
use crate::workload::Import;
use serde::Serialize;

const TIES: Purpose = Purpose(0x0181);
/// So many goods are a week's top, in a small shop a tenth of all; a smaller shop than for ten of them has none.
const TOP: usize = 100;
const LEAST_TOP: usize = 10;
/// A week with fewer lines for each of its top is left out: chance makes its order.
const LINES: usize = 10;
/// Shorter histories cannot tell drift from chance.
pub const FEWEST_WEEKS: usize = 12;
/// The second look is so many weeks on, in a short history half of it.
const LATER: usize = 10;
/// Limits of the ratio of replicas to history.
pub(super) const TOPS: (f64, f64) = (0.85, 1.15);
/// Nearer to each other than this part of the top they are as good as the same: where weeks share little of it, the ratio of two such shares is chance.
pub(super) const TOPS_APART: f64 = 0.075;
/// Nearer than this, the ranks of the history stand still as far as anybody can tell.
const NEAR: f64 = 0.05;
/// What is tried: parts of the nightly share that the decline alone would ask for, which knows nothing of chance and of those who come back, and how
/// much steeper.
const SHARES: [f64; 5] = [0.6, 0.8, 1.0, 1.2, 1.4];
const STEEPER: [f64; 5] = [1.0, 1.1, 1.2, 1.3, 1.4];
/// Draws without drift, which say how much chance alone changes tops; and the standard deviations of theirs by which a history has to be beyond them.
const STILL: usize = 20;
const SURE: f64 = 3.0;
/// Draws that a search takes at most.
pub(super) const TRIES: usize = STILL + SHARES.len() * STEEPER.len();

/// How ranks change in a profile.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Drift {
    /// share of the SKUs that change rank every night
    pub nightly: f64,
    /// weights of a day are the counts of the whole history to this power
    pub steeper: f64,
}

/// How much of a week's top is in a later one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Overlap {
    /// how many goods are the top
    pub top: usize,
    /// a week later
    pub next: f64,
    /// that many weeks later
    pub weeks: usize,
    pub later: f64,
}

/// The top of each week, sorted by SKU; none of a week with too few lines.
pub(super) struct Tops {
    size: usize,
    weeks: Vec<Option<Vec<u32>>>,
}

impl Tops {
    /// Of lines in order of time, each with the day of its order.
    pub fn of(skus: usize, lines: impl Iterator<Item = (usize, u32)>) -> Tops {
        let mut tops = Tops { size: (skus / 10).min(TOP), weeks: Vec::new() };
        if tops.size < LEAST_TOP {
            return tops;
        }
        let (mut counts, mut at) = (vec![0u32; skus], 0);
        for (day, sku) in lines {
            // day 0 is the one before the first order
            let week = day.saturating_sub(1) / 7;
            while at < week {
                tops.end_week(&mut counts);
                at += 1;
            }
            counts[sku as usize] += 1;
        }
        tops.end_week(&mut counts);
        tops
    }

    pub fn of_history(history: &Import, axis: &Axis) -> Tops {
        let days = history.orders.iter().enumerate().map(|(at, order)| (axis.day_of(history, at), order));
        Tops::of(history.skus.len(), days.flat_map(|(day, order)| order.lines.iter().map(move |line| (day, line.sku))))
    }

    fn end_week(&mut self, counts: &mut [u32]) {
        let week = Seed(self.weeks.len() as u64);
        let sold: usize = counts.iter().map(|count| *count as usize).sum();
        let top = (sold >= LINES * self.size).then(|| {
            let mut all: Vec<u32> = (0..counts.len() as u32).filter(|sku| counts[*sku as usize] > 0).collect();
            // equals in an order of each week's own: one order for all weeks would make weeks alike
            all.sort_by_cached_key(|sku| (std::cmp::Reverse(counts[*sku as usize]), week.word(TIES, (*sku).into(), 0)));
            all.truncate(self.size);
            all.sort_unstable();
            all
        });
        self.weeks.push(top);
        counts.fill(0);
    }

    /// None where the history is too short, or the shop too small. `counted`: of the earlier week of each pair.
    pub fn overlap(&self, counted: &dyn Fn(usize) -> bool) -> Option<Overlap> {
        let weeks = LATER.min(self.weeks.len() / 2);
        let after = |lag: usize| {
            let pairs = self.weeks.iter().zip(self.weeks.get(lag..)?).enumerate().filter(|(week, _)| counted(*week));
            let shares: Vec<f64> = pairs.filter_map(|(_, (one, other))| Some(shared(one.as_ref()?, other.as_ref()?) / self.size as f64)).collect();
            (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
        };
        let tell = self.weeks.iter().flatten().count() >= FEWEST_WEEKS;
        tell.then(|| Some(Overlap { top: self.size, next: after(1)?, weeks, later: after(weeks)? })).flatten()
    }
}

/// How many are in both of two sorted lists.
fn shared(one: &[u32], other: &[u32]) -> f64 {
    one.iter().filter(|sku| other.binary_search(sku).is_ok()).count() as f64
}

/// The drift with which what is drawn comes nearest to the history; none where it stands still as far as can be told. `draw` makes orders with it, by
/// a number of the draw, and says how far their popularity is from the history's, in units of its limit, and how much of the tops they share.
pub(super) fn search(real: Overlap, mut draw: impl FnMut(Option<Drift>, usize) -> Option<(f64, Overlap)>) -> Option<Drift> {
    if real.later >= real.next {
        return None;
    }
    let apart = |drawn: Overlap| [drawn.next / real.next, drawn.later / real.later].map(libm::log);
    let stills = (0..STILL).map(|number| draw(None, number)).collect::<Option<Vec<(f64, Overlap)>>>()?;
    let mean = |of: &dyn Fn(&(f64, Overlap)) -> f64| stills.iter().map(of).sum::<f64>() / STILL as f64;
    let lost = mean(&|(_, drawn)| drawn.next - drawn.later);
    let by_chance = mean(&|(_, drawn)| (drawn.next - drawn.later - lost).powi(2)).sqrt();
    let still = (mean(&|(of_ranks, _)| *of_ranks), Overlap { next: mean(&|(_, drawn)| drawn.next), later: mean(&|(_, drawn)| drawn.later), ..real });
    if real.next - real.later <= lost + SURE * by_chance || apart(still.1).iter().all(|off| off.abs() < NEAR) {
        return None;
    }
    // the worst of the three counts, each in units of its limit
    let of = |(of_ranks, drawn): (f64, Overlap)| apart(drawn).iter().map(|off| off.abs() / libm::log(TOPS.1)).fold(of_ranks, f64::max);
    let decline = 1.0 - libm::exp(libm::log(real.later / real.next) / (7.0 * (real.weeks - 1).max(1) as f64));
    let mut best = (of(still), None);
    for (share, steeper) in SHARES.iter().flat_map(|share| STEEPER.map(|steeper| (share, steeper))) {
        let drift = Drift { nightly: decline * share, steeper };
        let off = draw(Some(drift), 0).map_or(f64::INFINITY, of);
        if off < best.0 {
            best = (off, Some(drift));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks in which thirty of 300 goods sell, from the one on that `moved` says.
    fn tops(weeks: usize, moved: impl Fn(usize) -> u32) -> Tops {
        let lines = (0..weeks).flat_map(|week| {
            let first = moved(week);
            (0..30).flat_map(move |rank: u32| std::iter::repeat_n((week * 7 + 1, (first + rank) % 300), 40 - rank as usize))
        });
        Tops::of(300, lines)
    }

    #[test]
    fn what_stands_still_is_shared_by_all_weeks_and_what_moves_by_fewer_the_later() {
        let overlap = tops(20, |_| 0).overlap(&|_| true).expect("long enough");
        assert_eq!(overlap, Overlap { top: 30, next: 1.0, weeks: 10, later: 1.0 });
        // one leaves each week
        let overlap = tops(20, |week| week as u32).overlap(&|_| true).expect("long enough");
        assert!((overlap.next - 29.0 / 30.0).abs() < 1e-9 && (overlap.later - 20.0 / 30.0).abs() < 1e-9, "{overlap:?}");
    }

    #[test]
    fn short_histories_and_small_shops_say_nothing() {
        assert_eq!(tops(11, |_| 0).overlap(&|_| true), None);
        assert_eq!(Tops::of(90, (0..100).flat_map(|week| (0..90).map(move |sku| (week * 7 + 1, sku)))).overlap(&|_| true), None);
        // one line a week and good orders nothing
        assert_eq!(Tops::of(300, (0..20).map(|week| (week * 7 + 1, 5))).overlap(&|_| true), None);
    }

    #[test]
    fn a_search_takes_what_comes_nearest_and_nothing_where_ranks_stand_still() {
        let real = Overlap { top: 100, next: 0.7, weeks: 10, later: 0.5 };
        // as if each change left the top, and steepness were 1.2
        let draw = |drift: Option<Drift>, _: usize| {
            let Drift { nightly, steeper } = drift.unwrap_or(Drift { nightly: 0.0, steeper: 1.0 });
            let kept = |weeks: f64| libm::pow(1.0 - nightly, 7.0 * weeks);
            Some(((steeper - 1.2).abs() * 10.0, Overlap { next: 0.73 * kept(1.0), later: 0.73 * kept(10.0), ..real }))
        };
        let found = search(real, draw).expect("there is drift");
        assert!((0.0045..0.0065).contains(&found.nightly) && found.steeper == 1.2, "{found:?}");
        let still = Overlap { later: 0.69, ..real };
        assert_eq!(search(still, |_, _| Some((0.0, still))), None);
        // what is lost by chance alone is 0.1, give or take as much
        let by_chance = |real: Overlap| {
            search(real, |drift, number| Some((0.0, drift.map_or(Overlap { later: 0.7 - 0.2 * (number % 2) as f64, ..real }, |_| real))))
        };
        assert_eq!(by_chance(Overlap { later: 0.4, ..real }), None);
        assert!(by_chance(Overlap { later: 0.25, ..real }).is_some());
    }
}
