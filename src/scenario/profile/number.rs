//! Laws of small numbers: the lines of an order, the units of a line.

use crate::scenario::resolve::Check;
use crate::sim::{Alias, normal_cdf};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// How many: at least 1.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberFile {
    #[serde(default)]
    pub law: NumberName,
    /// negative_binomial: failures counted before the r-th success, plus 1; r need not be whole
    #[schemars(range(min = 0.000001, max = 10000.0))]
    pub r: Option<f64>,
    /// negative_binomial: probability of a success
    #[schemars(range(min = 0.000001, max = 0.999999))]
    pub p: Option<f64>,
    /// lognormal: mean of the logarithm
    #[schemars(range(min = -20.0, max = 20.0))]
    pub mu: Option<f64>,
    /// lognormal: standard deviation of the logarithm
    #[schemars(range(min = 0.0, max = 10.0))]
    pub sigma: Option<f64>,
    /// empirical: weights of 1, 2, 3, ..
    #[serde(default)]
    #[schemars(length(max = 1000), inner(range(min = 0.0, max = 1000000000000.0)))]
    pub weights: Vec<f64>,
    /// never more; what would be more is this many. Default 100
    #[schemars(range(min = 1, max = 1000))]
    pub most: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberName {
    /// always 1
    #[default]
    One,
    /// 1 plus a negative binomial number
    NegativeBinomial,
    /// a lognormal number, rounded
    Lognormal,
    Empirical,
}

/// A law of small numbers, checked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NumberLaw {
    /// probabilities of 1, 2, 3, ..
    pub weights: Vec<f64>,
    table: OnceLock<Alias>,
}

impl NumberLaw {
    /// A number from 0 for 1 on.
    pub fn table(&self) -> &Alias {
        self.table.get_or_init(|| Alias::new(&self.weights).unwrap_or_default())
    }

    pub fn mean(&self) -> f64 {
        let total: f64 = self.weights.iter().sum();
        (1..).zip(&self.weights).map(|(n, weight): (u32, _)| f64::from(n) * weight).sum::<f64>() / total
    }

    /// 1 plus a negative binomial number: failures before the `r`-th success of probability `p`; never more than `most`.
    pub fn negative_binomial(r: f64, p: f64, most: usize) -> NumberLaw {
        NumberLaw { weights: negative_binomial(r, p, most.max(1)), table: OnceLock::new() }
    }

    /// A lognormal number with these moments of its logarithm, rounded; never more than `most`.
    pub fn lognormal(mu: f64, sigma: f64, most: usize) -> NumberLaw {
        NumberLaw { weights: lognormal(mu, sigma, most.max(1)), table: OnceLock::new() }
    }

    pub(super) fn resolve(file: &NumberFile, path: &str, check: &mut Check<'_>) -> NumberLaw {
        use NumberName as N;
        let name = match file.law {
            N::One => "one",
            N::NegativeBinomial => "negative_binomial",
            N::Lognormal => "lognormal",
            N::Empirical => "empirical",
        };
        for (key, given, fits) in [
            ("r", file.r.is_some(), file.law == N::NegativeBinomial),
            ("p", file.p.is_some(), file.law == N::NegativeBinomial),
            ("mu", file.mu.is_some(), file.law == N::Lognormal),
            ("sigma", file.sigma.is_some(), file.law == N::Lognormal),
            ("weights", !file.weights.is_empty(), file.law == N::Empirical),
        ] {
            if given && !fits {
                check.key(&format!("{path}.{key}"), format!("`{key}` has no meaning with `law = \"{name}\"`"), None);
            }
            if fits && !given {
                check.value(path, format!("`law = \"{name}\"` needs `{key}`"), None);
            }
        }
        if matches!(file.law, N::One | N::Empirical) && file.most.is_some() {
            check.key(&format!("{path}.most"), format!("`most` has no meaning with `law = \"{name}\"`"), None);
        }
        if file.law == N::Empirical && !file.weights.is_empty() && Alias::new(&file.weights).is_none() {
            check.value(&format!("{path}.weights"), "these weights choose nothing", Some("one of them must be above 0".into()));
        }
        let most = file.most.unwrap_or(100) as usize;
        let weights = match file.law {
            N::One => vec![1.0],
            N::Empirical => file.weights.clone(),
            N::NegativeBinomial => negative_binomial(file.r.unwrap_or(1.0), file.p.unwrap_or(0.5), most),
            N::Lognormal => lognormal(file.mu.unwrap_or(0.0), file.sigma.unwrap_or(0.0), most),
        };
        NumberLaw { weights, table: OnceLock::new() }
    }
}

fn negative_binomial(r: f64, p: f64, most: usize) -> Vec<f64> {
    let of = |k: f64| libm::exp(libm::lgamma(k + r) - libm::lgamma(r) - libm::lgamma(k + 1.0) + r * libm::log(p) + k * libm::log1p(-p));
    with_the_rest((0..most - 1).map(|k| of(k as f64)).collect())
}

/// The lognormal law rounded to whole numbers; what is below 1.5 is 1.
fn lognormal(mu: f64, sigma: f64, most: usize) -> Vec<f64> {
    let up_to = |x: f64| if sigma > 0.0 { normal_cdf((libm::log(x) - mu) / sigma) } else { f64::from(libm::log(x) > mu) };
    let mut below = 0.0;
    let weights = (1..most).map(|n| {
        let now = up_to(n as f64 + 0.5);
        now - std::mem::replace(&mut below, now)
    });
    with_the_rest(weights.collect())
}

fn with_the_rest(mut weights: Vec<f64>) -> Vec<f64> {
    let rest = 1.0 - weights.iter().sum::<f64>();
    weights.push(rest.max(0.0));
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means and shares that workload data show: Superstore's lines, CDNOW's quantities.
    #[test]
    fn laws_have_the_means_that_they_were_fitted_to() {
        let lines = NumberLaw { weights: negative_binomial(0.961, 0.491, 100), ..NumberLaw::default() };
        assert!((lines.mean() - 1.996).abs() < 0.01 && (lines.weights[0] - 0.505).abs() < 0.01, "{} {}", lines.mean(), lines.weights[0]);
        let qty = NumberLaw { weights: lognormal(0.509, 0.822, 100), ..NumberLaw::default() };
        assert!((qty.mean() - 2.4).abs() < 0.1 && (qty.weights[0] - 0.45).abs() < 0.02, "{} {}", qty.mean(), qty.weights[0]);
    }

    #[test]
    fn extreme_parameters_still_make_a_law() {
        for weights in [negative_binomial(1e4, 1e-6, 50), negative_binomial(1e-6, 0.5, 1), lognormal(20.0, 0.0, 3), lognormal(-20.0, 10.0, 1000)] {
            assert!(Alias::new(&weights).is_some(), "{weights:?}");
        }
    }
}
