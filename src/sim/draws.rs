//! Keyed random draws: a pure function of (seed, purpose, entity, step).
//!
//! There is no generator to share and none to keep for each entity. One more draw in one place moves nothing in another,
//! the same order behaves the same way whatever else happened, and the result does not depend on interleaving.
//!
//! The function is Philox2x64 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
//! whose neighbouring keys and counters give unrelated bits.

use super::Span;
use rand::TryRng;
use rand::rand_core::utils::fill_bytes_via_next_word;
use std::convert::Infallible;

const MULTIPLIER: u64 = 0xd2b7_4407_b1ce_6e93;
/// The golden ratio's bits: what a key moves by from round to round.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;
const ROUNDS: u32 = 10;

/// 128 random bits from a counter and a key.
fn philox(counter: [u64; 2], key: u64) -> [u64; 2] {
    let ([mut left, mut right], mut key) = (counter, key);
    for _ in 0..ROUNDS {
        let product = u128::from(left) * u128::from(MULTIPLIER);
        left = (product >> 64) as u64 ^ key ^ right;
        right = product as u64;
        key = key.wrapping_add(WEYL);
    }
    [left, right]
}

/// One of many numbers in [0, 1) that follow from one drawn word, where each would be too dear with a draw of its own. By the finalizer of
/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub fn branch(word: u64, n: u64) -> f64 {
    unit(scramble(word.wrapping_add(WEYL.wrapping_mul(n + 1))))
}

#[inline]
fn scramble(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// What every draw of a run, or of a case, starts from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed of its own for something named, such as a case. Near names give unrelated seeds.
    pub fn derive(self, name: &str) -> Seed {
        let mut key = self.0;
        for chunk in name.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key = philox([u64::from_le_bytes(word), 1], key)[0];
        }
        // The length last: a name and the same name with zero bytes behind it differ.
        Seed(philox([name.len() as u64, 2], key)[0])
    }

    /// The stream of draws for one purpose, entity and step.
    pub fn draw(self, purpose: Purpose, entity: u64, step: u32) -> Draw {
        Draw { key: self.0, entity, cause: cause(purpose, step), block: 0, spare: None }
    }

    /// One word for one purpose, entity and step, at a quarter of the price of a stream: for what is drawn at each message.
    #[inline]
    pub fn word(self, purpose: Purpose, entity: u64, step: u32) -> u64 {
        scramble(scramble(self.0 ^ entity.wrapping_mul(WEYL)).wrapping_add(cause(purpose, step).wrapping_mul(MULTIPLIER)))
    }
}

#[inline]
fn cause(purpose: Purpose, step: u32) -> u64 {
    u64::from(purpose.0) << 48 | u64::from(step) << 16
}

/// What a draw is for: one number per call site, so that one more draw in one place moves nothing in another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Purpose(pub u16);

/// A stream of random bits without end; implements rand's generator traits.
#[derive(Clone, Debug)]
pub struct Draw {
    key: u64,
    entity: u64,
    /// purpose:16 | step:32 | zero:16, where the block's number goes
    cause: u64,
    block: u64,
    /// the second word of the last block
    spare: Option<u64>,
}

impl Draw {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        if let Some(word) = self.spare.take() {
            return word;
        }
        // Sixteen bits of the counter number the blocks; beyond them the key moves, so that the stream never repeats.
        let key = self.key ^ (self.block >> 16).wrapping_mul(MULTIPLIER);
        let [first, second] = philox([self.entity, self.cause | (self.block & 0xffff)], key);
        self.block = self.block.wrapping_add(1);
        self.spare = Some(second);
        first
    }

    /// A real number in [0, 1), of 53 bits.
    pub fn unit(&mut self) -> f64 {
        unit(self.word())
    }

    /// A whole number below `n`, each as likely as the others; 0 if there is none below.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire's method: the high word is the result, and the few low words that would favour some result are drawn again.
        let mut product = u128::from(self.word()) * u128::from(n);
        if (product as u64) < n {
            let excess = n.wrapping_neg() % n;
            while (product as u64) < excess {
                product = u128::from(self.word()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// True with probability `p`; never at 0 or below, always at 1 or above.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A span from `lo` up to, not including, `hi`; exactly `lo` where the range is empty.
    pub fn span(&mut self, lo: Span, hi: Span) -> Span {
        if hi <= lo { lo } else { lo + Span(self.below(hi.0 - lo.0)) }
    }
}

impl TryRng for Draw {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.word() >> 32) as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word())
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(dst, || self.try_next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt};
    use std::collections::BTreeSet;

    /// Vectors of the Random123 distribution, `philox2x64 10`.
    #[test]
    fn known_answers() {
        let ones = u64::MAX;
        let vectors = [
            ([0, 0], 0, [0xca00_a045_9843_d731, 0x66c2_4222_c9a8_45b5]),
            ([ones, ones], ones, [0x65b0_21d6_0cd8_310f, 0x4d02_f322_2f86_df20]),
            ([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344], 0xa409_3822_299f_31d0, [0x0a5e_742c_2997_341c, 0xb0f8_83d3_8000_de5d]),
        ];
        for (counter, key, expected) in vectors {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn the_same_key_gives_the_same_stream_and_any_other_another() {
        let first = |seed: u64, purpose, entity, step| Seed(seed).draw(Purpose(purpose), entity, step).word();
        assert_eq!(first(1, 2, 3, 4), first(1, 2, 3, 4));
        let mut seen = BTreeSet::new();
        for bit in 0..64 {
            seen.insert(first(1 << bit, 0, 0, 0));
            seen.insert(first(0, 0, 1 << bit, 0));
        }
        for bit in 0..32 {
            seen.insert(first(0, 0, 0, 1 << bit));
        }
        for bit in 0..16 {
            seen.insert(first(0, 1 << bit, 0, 0));
        }
        seen.insert(first(0, 0, 0, 0));
        assert_eq!(seen.len(), 64 + 64 + 32 + 16 + 1);
    }

    #[test]
    fn a_stream_goes_on_past_its_counter_without_touching_its_neighbours() {
        let mut draw = Seed(9).draw(Purpose(1), 7, 0);
        let mut neighbour = Seed(9).draw(Purpose(1), 7, 1);
        let words: BTreeSet<u64> = (0..300_000).map(|_| draw.word()).chain((0..1000).map(|_| neighbour.word())).collect();
        assert_eq!(words.len(), 301_000);
    }

    #[test]
    fn branches_of_one_word_are_even_and_know_nothing_of_each_other() {
        let words = 100_000;
        let (mut sums, mut both) = ([0.0; 3], 0);
        for i in 0..words {
            let word = Seed(5).draw(Purpose(2), i, 0).word();
            let units = [0, 1, 2].map(|n| branch(word, n));
            sums.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
            both += u64::from(units[0] < 0.1 && units[1] < 0.1);
        }
        // five standard deviations
        assert!(sums.iter().all(|sum| (sum / words as f64 - 0.5).abs() < 5.0 * 0.289 / (words as f64).sqrt()), "{sums:?}");
        assert!((both as f64 - 1000.0).abs() < 5.0 * 1000f64.sqrt(), "{both}");
    }

    #[test]
    fn near_names_derive_unrelated_seeds() {
        let names = ["", "\0", "a", "b", "ab", "ba", "S01/web/1", "S01/web/2", "S01/web/10", "S02/web/1", "12345678", "12345678\0"];
        let seeds: BTreeSet<u64> = names.iter().map(|name| Seed(1).derive(name).0).collect();
        assert_eq!(seeds.len(), names.len());
        for n in 0..500 {
            let [a, b] = [n, n + 1].map(|n| Seed(1).derive(&format!("S01/web/{n}")).0);
            let distance = (a ^ b).count_ones();
            assert!((8..=56).contains(&distance), "{n}: {distance} bits differ");
        }
    }

    /// 255 degrees of freedom: mean 255, standard deviation 22.6. The seed is fixed, so this passes always or never.
    #[test]
    fn each_byte_is_uniform_over_entities() {
        let mut counts = vec![[0u32; 256]; 8];
        let n = 50_000;
        for entity in 0..n {
            for (position, byte) in Seed(42).draw(Purpose(3), entity, 0).word().to_le_bytes().into_iter().enumerate() {
                counts[position][usize::from(byte)] += 1;
            }
        }
        let expected = n as f64 / 256.0;
        for (position, count) in counts.iter().enumerate() {
            let chi2: f64 = count.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
            assert!((150.0..370.0).contains(&chi2), "byte {position}: chi-square {chi2}");
        }
    }

    #[test]
    fn neighbouring_entities_and_steps_are_uncorrelated() {
        let n = 50_000u32;
        let correlation = |pair: &dyn Fn(u32) -> (f64, f64)| {
            let sum: f64 = (0..n).map(pair).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum();
            sum * 12.0 / f64::from(n)
        };
        let unit = |entity: u32, step: u32| Seed(5).draw(Purpose(1), u64::from(entity), step).unit();
        // The standard deviation is 1 / sqrt(n) = 0.0045.
        assert!(correlation(&|i| (unit(i, 0), unit(i + 1, 0))).abs() < 0.02);
        assert!(correlation(&|i| (unit(i, 0), unit(i, 1))).abs() < 0.02);
        assert!(correlation(&|i| (unit(0, i), unit(0, i + 1))).abs() < 0.02);
    }

    #[test]
    fn helpers_stay_in_their_ranges() {
        let mut draw = Seed(3).draw(Purpose(0), 0, 0);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[draw.below(7) as usize] += 1;
            assert!((0.0..1.0).contains(&draw.unit()));
            let span = draw.span(Span(10), Span(12));
            assert!(span == Span(10) || span == Span(11));
            assert!(draw.chance(1.0) && !draw.chance(0.0));
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        assert_eq!((draw.below(0), draw.below(1)), (0, 0));
        assert_eq!(draw.span(Span(5), Span(5)), Span(5));
        assert_eq!(draw.span(Span(5), Span(1)), Span(5));
        // 2/3 of the range: a plain remainder would favour the lower third two to one.
        let n = u64::MAX / 3 * 2;
        let low = (0..3000).filter(|_| draw.below(n) < n / 2).count();
        assert!((1400..1600).contains(&low), "{low}");
    }

    #[test]
    fn rand_works_on_it() {
        let mut draw = Seed(3).draw(Purpose(0), 0, 0);
        assert!((1..=6).contains(&draw.random_range(1..=6)));
        let mut bytes = [0; 13];
        draw.fill_bytes(&mut bytes);
        assert_ne!(bytes, [0; 13]);
    }
}
