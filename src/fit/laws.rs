//! Laws of what orders are about: how SKUs share the lines, how many lines orders have, how many units lines have.

use super::minimum::{least, least_of_two};
use crate::scenario::{NumberLaw, PopularityName, rank_weights};
use serde::Serialize;

/// A law stands for the numbers themselves only where nobody would see the difference: so far may its distribution be off.
const AS_GOOD: f64 = 0.02;
/// SKUs differ for certain where the variance of their lines is so many standard errors above that of chance.
const SURE: f64 = 3.0;
/// A success of a negative binomial law is no more likely, so that five digits of its probability hold three of that of a failure. What is rarer is as
/// well said by fewer failures.
const MOST_P: f64 = 0.999;
/// A law of numbers holds so many.
pub(super) const MOST: usize = 1_000;

/// How many of 1, 2, 3, .. there were; more than `MOST` counts as `MOST`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Numbers {
    pub counts: Vec<u64>,
    /// how many were larger than a law can hold
    pub cut: u64,
}

impl Numbers {
    pub fn of(numbers: impl Iterator<Item = u64>) -> Numbers {
        let (mut counts, mut cut) = (Vec::new(), 0);
        for number in numbers.filter(|number| *number > 0) {
            cut += u64::from(number > MOST as u64);
            let at = number.min(MOST as u64) as usize;
            if counts.len() < at {
                counts.resize(at, 0);
            }
            counts[at - 1] += 1;
        }
        Numbers { counts, cut }
    }

    fn known(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        (1u32..).zip(&self.counts).filter(|(_, count)| **count > 0).map(|(n, count)| (f64::from(n), *count as f64))
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let total: f64 = self.known().map(|(_, count)| count).sum();
        self.known().map(|(n, count)| of(n) * count).sum::<f64>() / total.max(1.0)
    }

    pub fn weights(&self) -> Vec<f64> {
        self.counts.iter().map(|count| *count as f64).collect()
    }
}

/// A law of numbers with what it was fitted to.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(tag = "law", rename_all = "snake_case")]
pub enum Number {
    NegativeBinomial { r: f64, p: f64 },
    Lognormal { mu: f64, sigma: f64 },
    Empirical,
}

/// A law that was tried, and how far its distribution is from the one of the history (Kolmogorov and Smirnov's distance).
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Tried<L> {
    #[serde(flatten)]
    pub law: L,
    pub ks: f64,
}

/// Laws by maximum likelihood, the nearest first; then the numbers themselves.
pub(super) fn numbers(numbers: &Numbers) -> Vec<Tried<Number>> {
    let real = numbers.weights();
    let most = real.len().max(1);
    let surprise = |law: &NumberLaw| -numbers.known().map(|(n, count)| count * libm::log(law.weights[n as usize - 1].max(1e-300))).sum::<f64>();
    let mean = numbers.mean(|n| n - 1.0);
    let mut tried = Vec::new();
    if mean > 0.0 {
        let p = |r: f64| (r / (r + mean)).max(1e-6);
        let most_log_r = libm::log(MOST_P / (1.0 - MOST_P) * mean).min(6.0);
        let r = libm::exp(least(most_log_r.min(-6.0), most_log_r, |log_r| {
            surprise(&NumberLaw::negative_binomial(libm::exp(log_r), p(libm::exp(log_r)), most))
        }));
        tried.push(Tried { law: Number::NegativeBinomial { r, p: p(r) }, ks: distance(&real, &NumberLaw::negative_binomial(r, p(r), most).weights) });
        let mu = numbers.mean(libm::log);
        let sigma = numbers.mean(|n| (libm::log(n) - mu).powi(2)).sqrt().max(0.05);
        let [mu, log_sigma] = least_of_two([mu, libm::log(sigma)], [0.2, 0.2], |[mu, log_sigma]| {
            surprise(&NumberLaw::lognormal(mu.clamp(-20.0, 20.0), libm::exp(log_sigma).min(10.0), most))
        });
        let (mu, sigma) = (mu.clamp(-20.0, 20.0), libm::exp(log_sigma).min(10.0));
        tried.push(Tried { law: Number::Lognormal { mu, sigma }, ks: distance(&real, &NumberLaw::lognormal(mu, sigma, most).weights) });
        tried.sort_by(|a, b| a.ks.total_cmp(&b.ks));
    }
    tried.push(Tried { law: Number::Empirical, ks: 0.0 });
    tried
}

/// The nearest law where it is as good as the numbers themselves, else these.
pub(super) fn chosen(tried: &[Tried<Number>]) -> Number {
    tried.first().filter(|nearest| nearest.ks < AS_GOOD).map_or(Number::Empirical, |nearest| nearest.law)
}

/// A law of ranks with what it was fitted to.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(tag = "law", rename_all = "snake_case")]
pub enum Ranks {
    Lognormal { sigma: f64 },
    Zipf { s: f64 },
    ZipfMandelbrot { s: f64, q: f64 },
    Uniform,
    Empirical,
}

/// Laws of the lines of each SKU by maximum likelihood, the nearest first. The distance is that of cumulative shares by rank.
pub(super) fn ranks(lines: &[u64]) -> Vec<Tried<Ranks>> {
    let mut sorted: Vec<f64> = lines.iter().map(|count| *count as f64).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let n = sorted.len() as u32;
    let surprise = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        -sorted.iter().zip(weights).map(|(count, weight)| count * libm::log((weight / total).max(1e-300))).sum::<f64>()
    };
    let of = |law: Ranks| match law {
        Ranks::Lognormal { sigma } => rank_weights(PopularityName::Lognormal, n, (0.0, 0.0), sigma),
        Ranks::Zipf { s } => rank_weights(PopularityName::Zipf, n, (s, 0.0), 0.0),
        Ranks::ZipfMandelbrot { s, q } => rank_weights(PopularityName::ZipfMandelbrot, n, (s, q), 0.0),
        Ranks::Uniform => vec![1.0; n as usize],
        Ranks::Empirical => sorted.clone(),
    };
    let quantiles = rank_weights(PopularityName::Lognormal, n, (0.0, 0.0), 1.0);
    let logs: Vec<f64> = quantiles.iter().map(|weight| libm::log(*weight)).collect();
    // powers of the same quantiles: no quantile is found twice
    let sigma = least(0.0, 5.0, |sigma| surprise(&logs.iter().map(|log| libm::exp(sigma * log)).collect::<Vec<_>>()));
    let s = least(0.0, 5.0, |s| surprise(&of(Ranks::Zipf { s })));
    let bounded = |[s, log_q]: [f64; 2]| Ranks::ZipfMandelbrot { s: s.clamp(0.0, 10.0), q: libm::exp(log_q.min(13.0)) };
    let both = least_of_two([s + 0.3, 2.0], [0.3, 1.0], |at| surprise(&of(bounded(at))));
    let laws = [Ranks::Lognormal { sigma }, Ranks::Zipf { s }, bounded(both), Ranks::Uniform];
    let mut tried: Vec<Tried<Ranks>> = laws.into_iter().map(|law| Tried { law, ks: distance(&sorted, &of(law)) }).collect();
    tried.sort_by(|a, b| a.ks.total_cmp(&b.ks));
    tried.push(Tried { law: Ranks::Empirical, ks: 0.0 });
    tried
}

/// How popular SKUs are that had so many lines. Counts differ by chance as well, and replicas of them would differ by it twice. Taken as Poisson counts
/// of means with a gamma law, their variance less their mean is that of popularity: they are drawn to their mean until that is theirs (Louis, Journal of
/// the American Statistical Association 79, 1984, of estimates that are to vary as what they estimate). An order has a SKU in one line as a rule, so
/// that lines of one order do not add to the chance of a SKU.
pub(super) fn popularity(lines: &[u64]) -> Vec<f64> {
    let n = lines.len().max(1) as f64;
    let mean = lines.iter().map(|count| *count as f64).sum::<f64>() / n;
    let variance = lines.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / n;
    let sure = variance - mean > SURE * mean * (2.0 / n).sqrt();
    let kept = if sure { (1.0 - mean / variance).sqrt() } else { 0.0 };
    lines.iter().map(|count| mean + kept * (*count as f64 - mean)).collect()
}

/// All are as popular as each other, the most popular standing first.
pub(super) fn alike(weights: &[f64]) -> bool {
    weights.first() == weights.last()
}

/// A catalogue of which a part never sold: how many SKUs are on offer, and the spread of their lognormal popularity.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Catalogue {
    pub skus: usize,
    pub sigma: f64,
}

/// How many SKUs are on offer at the least: those that sold once and twice tell how many did not sell (Chao, Scandinavian Journal of Statistics 11, 1984).
pub(super) fn on_offer(lines: &[u64]) -> usize {
    let sold = |times: u64| lines.iter().filter(|count| **count == times).count() as f64;
    lines.len() + (sold(1) * sold(1) / (2.0 * sold(2).max(1.0))).round() as usize
}

/// The largest difference of two cumulative distributions, each given by its weights.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    let (of_a, of_b): (f64, f64) = (a.iter().sum(), b.iter().sum());
    if of_a <= 0.0 || of_b <= 0.0 {
        return if of_a <= 0.0 && of_b <= 0.0 { 0.0 } else { 1.0 };
    }
    let (mut up_to_a, mut up_to_b, mut most) = (0.0, 0.0, 0.0f64);
    for n in 0..a.len().max(b.len()) {
        up_to_a += a.get(n).copied().unwrap_or(0.0);
        up_to_b += b.get(n).copied().unwrap_or(0.0);
        most = most.max((up_to_a / of_a - up_to_b / of_b).abs());
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Alias, Purpose, Seed};

    fn counts(weights: &[f64], total: f64) -> Vec<u64> {
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| (weight / sum * total).round() as u64).collect()
    }

    #[test]
    fn a_law_of_numbers_is_found_again_and_one_that_is_none_is_kept_as_it_is() {
        let law = NumberLaw::negative_binomial(1.7, 0.16, 100);
        let tried = numbers(&Numbers { counts: counts(&law.weights, 50_000.0), cut: 0 });
        let Number::NegativeBinomial { r, p } = chosen(&tried) else { panic!("{tried:?}") };
        assert!((r - 1.7).abs() < 0.05 && (p - 0.16).abs() < 0.01, "{r} {p}");
        let law = NumberLaw::lognormal(0.5, 0.82, 100);
        let tried = numbers(&Numbers { counts: counts(&law.weights, 50_000.0), cut: 0 });
        let Number::Lognormal { mu, sigma } = chosen(&tried) else { panic!("{tried:?}") };
        assert!((mu - 0.5).abs() < 0.02 && (sigma - 0.82).abs() < 0.02, "{mu} {sigma}");
        let dozens = Numbers::of((0..1_200).map(|n| if n % 3 == 0 { 12 } else { 1 + n % 2 }));
        assert_eq!(chosen(&numbers(&dozens)), Number::Empirical);
        assert_eq!(chosen(&numbers(&Numbers::of([1, 1, 1].into_iter()))), Number::Empirical);
        assert_eq!(Numbers::of([5_000, 0, 2].into_iter()).cut, 1);
    }

    #[test]
    fn numbers_that_are_nearly_always_one_have_a_law_whose_mean_outlives_five_digits() {
        for more in [1, 2, 7, 40, 300] {
            let rare = Numbers { counts: vec![20_000, more, more / 3], cut: 0 };
            let tried = numbers(&rare);
            let Number::NegativeBinomial { r, p } =
                tried.iter().map(|tried| tried.law).find(|law| matches!(law, Number::NegativeBinomial { .. })).unwrap()
            else {
                panic!("{tried:?}")
            };
            let written = (p * 1e5).round() / 1e5;
            assert!(written <= 0.999_99 && r >= 1e-6, "{r} {p}");
            let (mean, real) = (r * (1.0 - written) / written, rare.mean(|n| n - 1.0));
            assert!((mean / real - 1.0).abs() < 0.02, "{more}: {mean} {real}");
        }
    }

    #[test]
    fn goods_that_sold_once_tell_of_those_that_did_not_sell() {
        assert_eq!(on_offer(&[9, 7, 5, 3]), 4, "all have sold");
        assert_eq!(on_offer(&[5, 2, 2, 1, 1, 1, 1]), 7 + 4);
        assert_eq!(on_offer(&[1, 1, 1, 1]), 4 + 8, "none sold twice");
    }

    /// Lines of SKUs of a lognormal law, as they come by chance.
    fn drawn(skus: u32, sigma: f64, lines: u64) -> Vec<u64> {
        let table = Alias::new(&rank_weights(PopularityName::Lognormal, skus, (0.0, 0.0), sigma)).expect("weights");
        let mut counts = vec![0; skus as usize];
        (0..lines).for_each(|line| counts[table.sample(&mut Seed(4).draw(Purpose(1), line, 0)) as usize] += 1);
        counts.retain(|count| *count > 0);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn popularity_varies_as_much_as_that_of_which_it_was_drawn() {
        let cv = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt() / mean
        };
        for (skus, sigma, lines) in [(800, 0.2, 35_000), (800, 0.3, 35_000), (3_000, 0.5, 35_000), (300, 1.2, 35_000)] {
            let counts = drawn(skus, sigma, lines);
            let truth = cv(&rank_weights(PopularityName::Lognormal, skus, (0.0, 0.0), sigma));
            let found = cv(&popularity(&counts));
            assert!((found / truth - 1.0).abs() < 0.06, "{sigma}: {found}, and not {truth}");
        }
        for skus in [200, 800, 3_000] {
            let alike = popularity(&drawn(skus, 0.0, 35_000));
            assert!(alike.iter().all(|weight| *weight == alike[0]), "{skus}: {alike:?}");
        }
        // of a few that sell a lot nearly all is known
        let skewed = popularity(&[2_000, 400, 100, 30, 9, 3, 1, 1]);
        assert!((skewed[0] - 2_000.0).abs() < 4.0 && (skewed[7] - 1.0).abs() < 1.0, "{skewed:?}");
    }

    #[test]
    fn laws_of_ranks_are_found_again() {
        let of = |law, sq, sigma| ranks(&counts(&rank_weights(law, 500, sq, sigma), 200_000.0));
        let lognormal = of(PopularityName::Lognormal, (0.0, 0.0), 1.2);
        assert!(matches!(lognormal[0].law, Ranks::Lognormal { sigma } if (sigma - 1.2).abs() < 0.02), "{lognormal:?}");
        let zipf = of(PopularityName::Zipf, (0.9, 0.0), 0.0);
        let s = zipf.iter().find_map(|tried| if let Ranks::Zipf { s } = tried.law { Some(s) } else { None });
        assert!((s.unwrap() - 0.9).abs() < 0.02, "{zipf:?}");
        assert!(zipf.iter().find(|tried| matches!(tried.law, Ranks::Uniform)).unwrap().ks > 0.3);
    }
}
