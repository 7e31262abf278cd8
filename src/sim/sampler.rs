//! A law prepared for the hot path. A log-normal sample costs a logarithm, a root and an exponential, an exponential one a rejection loop; nearly
//! all of them are link and service times, so their quantiles are put into a table once.

use super::{Law, Purpose, Seed, Span, normal_quantile};
use std::sync::{Arc, Mutex, PoisonError};

/// A tail is cut into octaves of its probability, each half as likely as the one before, and each into so many cells.
const CELLS: usize = 32;
/// What is rarer than 1 in 2^42 on either side is as far out as that: 7 standard deviations.
const OCTAVES: usize = 41;

/// Upper ends of the cells of a tail, from where it begins outwards.
type Tail = Vec<u64>;

#[derive(Debug)]
enum Table {
    /// below the median, and above it
    Both([Tail; 2]),
    /// from nothing upwards
    Upper(Tail),
}

impl Table {
    fn of(law: Law) -> Option<Table> {
        let tail = |end: &dyn Fn(f64) -> Span| grid().map(|further| end(further).0).collect::<Tail>();
        match law {
            Law::LogNormal { .. } => {
                Some(Table::Both([-1.0, 1.0].map(|side| tail(&|further| law.at_normal(-side * normal_quantile(further / 2.0))))))
            }
            Law::Exp { .. } => Some(Table::Upper(tail(&|further| law.at_means(-libm::log(further))))),
            Law::Const(_) | Law::Uniform(..) => None,
        }
    }
    /// The sample that a random word stands for. With two tails its first bit is the side; the others are the share of it that lies further out.
    #[inline]
    fn at(&self, word: u64) -> Span {
        match self {
            Table::Both(tails) => at(&tails[(word >> 63) as usize], word << 1),
            Table::Upper(tail) => at(tail, word),
        }
    }
}

/// Samples a [`Law`], a log-normal or exponential one from a table of its quantiles with straight lines between them. Equal laws share their table.
#[derive(Clone, Debug)]
pub struct Sampler {
    law: Law,
    table: Option<Arc<Table>>,
}

impl Sampler {
    pub fn new(law: Law) -> Sampler {
        static MADE: Mutex<Vec<(Law, Arc<Table>)>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.iter().find(|(known, _)| *known == law).map(|(_, table)| table.clone());
        let table = known.or_else(|| {
            let table = Arc::new(Table::of(law)?);
            made.push((law, table.clone()));
            Some(table)
        });
        Sampler { law, table }
    }

    #[inline]
    pub fn sample(&self, seed: Seed, purpose: Purpose, entity: u64, step: u32) -> Span {
        match &self.table {
            Some(table) => table.at(seed.word(purpose, entity, step)),
            None => self.law.sample(&mut seed.draw(purpose, entity, step)),
        }
    }
}

/// The sample of which this share of the tail lies further out.
#[inline(always)]
fn at(tail: &[u64], further: u64) -> Span {
    let octave = further.leading_zeros() as usize;
    if octave >= OCTAVES {
        return Span(tail[OCTAVES * CELLS]);
    }
    // the first set bit names the octave; the next five are the cell, counted towards the median, and the rest is the place in it
    let rest = further << octave << 1;
    let cell = CELLS - 1 - (rest >> 59) as usize;
    let (near, far) = (tail[octave * CELLS + cell], tail[octave * CELLS + cell + 1]);
    let from_far = rest << 5;
    let share = |width: u64| ((u128::from(width) * u128::from(from_far)) >> 64) as u64;
    Span(if near >= far { far + share(near - far) } else { far - share(far - near) })
}

/// Of a tail so much lies further out than the ends of the cells, down from all of it.
fn grid() -> impl Iterator<Item = f64> {
    (0..=OCTAVES * CELLS).map(|i| libm::exp2(-((i / CELLS) as f64)) * (1.0 - (i % CELLS) as f64 / (2 * CELLS) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::normal_cdf;

    const LAW: Law = Law::LogNormal { p50: Span::from_millis(80), p95: Span::from_millis(400) };

    /// The probability of a value that is further from the median, on its side.
    fn further(span: Span) -> f64 {
        let sigma = libm::log(5.0) / 1.644_853_626_951_472_7;
        normal_cdf(-(libm::log(span.0 as f64 / 80e6) / sigma).abs())
    }

    #[test]
    fn every_word_stands_for_the_quantile_that_it_should() {
        let table = Sampler::new(LAW).table.expect("a table");
        let (mut worst, mut judged) = (0.0f64, 0);
        for i in 0..200_000u64 {
            let mut draw = Seed(3).draw(Purpose(9), i, 0);
            // far out as often as near the median
            let word = draw.word() >> 1 >> draw.below(30) | draw.word() & 1 << 63;
            let (share, value) = ((word << 1) as f64 / 2f64.powi(65), table.at(word));
            assert_eq!(value > Span::from_millis(80), word >> 63 == 1, "{word:x}");
            // nanoseconds are no fine grain where a sample is a few of them
            if share > 1e-9 {
                worst = worst.max((further(value) / share - 1.0).abs());
                judged += 1;
            }
        }
        assert!(worst < 0.002 && judged > 150_000, "{worst} of {judged}");
    }

    #[test]
    fn every_word_stands_for_its_quantile_of_an_exponential_law_too() {
        let mean = Span::from_secs(60);
        let table = Sampler::new(Law::Exp { mean }).table.expect("a table");
        let (mut worst, mut judged) = (0.0f64, 0);
        for i in 0..200_000u64 {
            let mut draw = Seed(3).draw(Purpose(9), i, 0);
            let word = draw.word() >> draw.below(30);
            let share = word as f64 / 2f64.powi(64);
            // the table has an end
            if share > 1e-12 {
                worst = worst.max((table.at(word).0 as f64 / mean.0 as f64 + libm::log(share)).abs());
                judged += 1;
            }
        }
        assert!(worst < 2e-4 && judged > 190_000, "{worst} means of {judged}");
        let most = table.at(0);
        assert!(most > Span::from_mins(28) && most < Span::from_mins(29) && table.at(u64::MAX) < Span::from_millis(1), "{most}");
    }

    #[test]
    fn samples_have_the_mean_of_the_law_and_its_quantiles() {
        let sampler = Sampler::new(LAW);
        let mut samples: Vec<u64> = (0..200_000).map(|i| sampler.sample(Seed(11), Purpose(9), i, 0).0).collect();
        let mean = samples.iter().sum::<u64>() as f64 / samples.len() as f64;
        assert!((mean / LAW.mean().0 as f64 - 1.0).abs() < 0.02, "{mean}");
        samples.sort_unstable();
        for (q, expected) in [(0.5, 80e6), (0.95, 400e6)] {
            let got = samples[(q * samples.len() as f64) as usize] as f64;
            assert!((got / expected - 1.0).abs() < 0.02, "{q}: {got}");
        }
    }

    #[test]
    fn the_ends_of_the_table_are_finite_and_other_laws_pass() {
        let table = Sampler::new(LAW).table.expect("a table");
        let (least, most) = (table.at(0), table.at(1 << 63));
        assert!(least > Span::ZERO && least < Span::from_millis(1) && most > Span::from_secs(60) && most < Span::from_hours(1), "{least} {most}");
        assert!(table.at(u64::MAX >> 1) <= Span::from_millis(80) && table.at(u64::MAX) >= Span::from_millis(80));
        let constant = Sampler::new(Law::Const(Span::from_millis(7)));
        assert_eq!(constant.sample(Seed(1), Purpose(1), 1, 1), Span::from_millis(7));
        let still = Sampler::new(Law::LogNormal { p50: Span::from_millis(8), p95: Span::ZERO });
        assert_eq!(still.sample(Seed(1), Purpose(1), 1, 1), Span::from_millis(8));
    }
}
