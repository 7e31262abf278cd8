//! Laws: how long something takes, as a distribution.

use super::{Draw, Span};
use rand_distr::{Distribution, Exp1, StandardNormal};

/// The standard normal distribution's quantiles.
const Z95: f64 = 1.644_853_626_951_472_7;
const Z99: f64 = 2.326_347_874_040_840_8;
/// No sample is more than so many means of an exponential law, or standard deviations of the log of a log-normal one. A
/// sound stream passes this once in 10^13 samples or less; a mistaken law cannot stop a run for a virtual century.
const EXP_MOST: f64 = 30.0;
const Z_MOST: f64 = 7.5;

/// The distribution of a service time or a lag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// always the same
    Const(Span),
    /// from the first up to the second
    Uniform(Span, Span),
    /// what comes without memory, such as the time to the next of many independent things
    Exp { mean: Span },
    /// the usual shape of response times, said by the median and the 95th percentile
    LogNormal { p50: Span, p95: Span },
}

impl Law {
    /// A log-normal law said by the median and the 99th percentile.
    pub fn log_normal_p99(p50: Span, p99: Span) -> Law {
        let ratio = libm::exp(sigma(p50, p99, Z99) * Z95);
        Law::LogNormal { p50, p95: scaled(p50, ratio) }
    }

    pub fn mean(&self) -> Span {
        match *self {
            Law::Const(span) => span,
            Law::Uniform(lo, hi) => Span(lo.0 / 2 + hi.0 / 2),
            Law::Exp { mean } => mean,
            Law::LogNormal { p50, p95 } => scaled(p50, libm::exp(sigma(p50, p95, Z95).powi(2) / 2.0)),
        }
    }

    pub fn sample(&self, draw: &mut Draw) -> Span {
        match *self {
            Law::Const(span) => span,
            Law::Uniform(lo, hi) => draw.span(lo, hi),
            Law::Exp { .. } => {
                let gap: f64 = Exp1.sample(draw);
                self.at_means(gap)
            }
            Law::LogNormal { .. } => self.at_normal(StandardNormal.sample(draw)),
        }
    }

    /// So many means.
    pub(super) fn at_means(&self, times: f64) -> Span {
        scaled(self.mean(), times.min(EXP_MOST))
    }

    /// Of a log-normal law: the value that lies `z` standard deviations of its logarithm from the median.
    pub(super) fn at_normal(&self, z: f64) -> Span {
        match *self {
            Law::LogNormal { p50, p95 } => scaled(p50, libm::exp(sigma(p50, p95, Z95) * z.clamp(-Z_MOST, Z_MOST))),
            _ => self.mean(),
        }
    }
}

/// The standard deviation of the logarithm; zero, and so a constant, where the quantile is not above a positive median.
fn sigma(p50: Span, quantile: Span, z: f64) -> f64 {
    if p50.0 == 0 || quantile <= p50 { 0.0 } else { libm::log(quantile.0 as f64 / p50.0 as f64) / z }
}

fn scaled(span: Span, factor: f64) -> Span {
    Span((span.0 as f64 * factor).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Purpose, Seed};

    /// The quantiles that are asked for, of 20,000 samples from a fixed seed.
    fn quantiles<const N: usize>(law: Law, at: [f64; N]) -> [f64; N] {
        let mut samples: Vec<u64> = (0..20_000).map(|i| law.sample(&mut Seed(11).draw(Purpose(9), i, 0)).0).collect();
        samples.sort_unstable();
        at.map(|q| samples[(q * samples.len() as f64) as usize] as f64 / 1e6)
    }

    fn near(got: f64, expected: f64) -> bool {
        (got / expected - 1.0).abs() < 0.05
    }

    #[test]
    fn a_log_normal_law_meets_its_quantiles() {
        let [p50, p95] = quantiles(Law::LogNormal { p50: Span::from_millis(80), p95: Span::from_millis(400) }, [0.5, 0.95]);
        assert!(near(p50, 80.0) && near(p95, 400.0), "{p50} {p95}");
        let [p50, p99] = quantiles(Law::log_normal_p99(Span::from_millis(80), Span::from_millis(400)), [0.5, 0.99]);
        assert!(near(p50, 80.0) && near(p99, 400.0), "{p50} {p99}");
    }

    #[test]
    fn an_exponential_law_meets_its_mean() {
        let [p50, p95] = quantiles(Law::Exp { mean: Span::from_millis(100) }, [0.5, 0.95]);
        assert!(near(p50, 69.3) && near(p95, 299.6), "{p50} {p95}");
    }

    #[test]
    fn a_uniform_law_stays_inside_and_a_constant_one_stands_still() {
        let [p0, p50, p99] = quantiles(Law::Uniform(Span::from_millis(100), Span::from_millis(200)), [0.0, 0.5, 0.9999]);
        assert!(p0 >= 100.0 && near(p50, 150.0) && p99 < 200.0, "{p0} {p50} {p99}");
        assert_eq!(quantiles(Law::Const(Span::from_millis(7)), [0.0, 0.9999]), [7.0, 7.0]);
    }

    #[test]
    fn a_law_without_spread_is_its_median() {
        for p95 in [Span::ZERO, Span::from_millis(5), Span::from_millis(80)] {
            assert_eq!(quantiles(Law::LogNormal { p50: Span::from_millis(80), p95 }, [0.0, 0.9999]), [80.0, 80.0]);
        }
        assert_eq!(quantiles(Law::LogNormal { p50: Span::ZERO, p95: Span::from_secs(1) }, [0.9999]), [0.0]);
        assert_eq!(quantiles(Law::Exp { mean: Span::ZERO }, [0.9999]), [0.0]);
    }
}
