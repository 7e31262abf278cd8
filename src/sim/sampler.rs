//! A law prepared for the hot path. A log-normal sample costs a logarithm, a root and an exponential; nearly all of them are link and service
//! times, so their quantiles are put into a table once.

use super::{Law, Purpose, Seed, Span, normal_quantile};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A tail is cut into octaves of its probability, each half as likely as the one before, and each into so many cells.
const CELLS: usize = 32;
/// What is rarer than 1 in 2^42 on either side is as far out as that: 7 standard deviations.
const OCTAVES: usize = 41;

/// Upper ends of the cells of both tails, from the median outwards.
type Tails = [Vec<u64>; 2];

/// Samples a [`Law`], the log-normal one from a table of its quantiles with straight lines between them. Equal laws share their table.
#[derive(Clone, Debug)]
pub struct Sampler {
    law: Law,
    tails: Option<Arc<Tails>>,
}

impl Sampler {
    pub fn new(law: Law) -> Sampler {
        static MADE: Mutex<Vec<(Law, Arc<Tails>)>> = Mutex::new(Vec::new());
        if !matches!(law, Law::LogNormal { .. }) {
            return Sampler { law, tails: None };
        }
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.iter().find(|(known, _)| *known == law).map(|(_, tails)| tails.clone());
        let tails = known.unwrap_or_else(|| {
            let tails = Arc::new([-1.0, 1.0].map(|side| grid().iter().map(|z| law.at_normal(side * z).0).collect()));
            made.push((law, tails.clone()));
            tails
        });
        Sampler { law, tails: Some(tails) }
    }

    pub fn sample(&self, seed: Seed, purpose: Purpose, entity: u64, step: u32) -> Span {
        match &self.tails {
            Some(tails) => at(tails, seed.word(purpose, entity, step)),
            None => self.law.sample(&mut seed.draw(purpose, entity, step)),
        }
    }
}

/// The sample that a random word stands for: its first bit is the side, the others the share of that side's half that lies further out.
fn at(tails: &Tails, word: u64) -> Span {
    let tail = &tails[(word >> 63) as usize];
    let further = word << 1;
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

/// How many standard deviations from the median the cells end.
fn grid() -> &'static [f64] {
    static GRID: OnceLock<Vec<f64>> = OnceLock::new();
    GRID.get_or_init(|| {
        let end = |i: usize| {
            let (octave, cell) = (i / CELLS, i % CELLS);
            // of this half so much lies further out, down from all of it at the median
            let further = libm::exp2(-(octave as f64)) * (1.0 - cell as f64 / (2 * CELLS) as f64);
            -normal_quantile(further / 2.0)
        };
        (0..=OCTAVES * CELLS).map(end).collect()
    })
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
        let tails = Sampler::new(LAW).tails.expect("a table");
        let (mut worst, mut judged) = (0.0f64, 0);
        for i in 0..200_000u64 {
            let mut draw = Seed(3).draw(Purpose(9), i, 0);
            // far out as often as near the median
            let word = draw.word() >> 1 >> draw.below(30) | draw.word() & 1 << 63;
            let (share, value) = ((word << 1) as f64 / 2f64.powi(65), at(&tails, word));
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
        let tails = Sampler::new(LAW).tails.expect("a table");
        let (least, most) = (at(&tails, 0), at(&tails, 1 << 63));
        assert!(least > Span::ZERO && least < Span::from_millis(1) && most > Span::from_secs(60) && most < Span::from_hours(1), "{least} {most}");
        assert!(at(&tails, u64::MAX >> 1) <= Span::from_millis(80) && at(&tails, u64::MAX) >= Span::from_millis(80));
        let constant = Sampler::new(Law::Const(Span::from_millis(7)));
        assert_eq!(constant.sample(Seed(1), Purpose(1), 1, 1), Span::from_millis(7));
        let still = Sampler::new(Law::LogNormal { p50: Span::from_millis(8), p95: Span::ZERO });
        assert_eq!(still.sample(Seed(1), Purpose(1), 1, 1), Span::from_millis(8));
    }
}
