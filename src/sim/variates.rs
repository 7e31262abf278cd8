//! Normal, exponential and gamma variates whose bits are the same on every platform: each logarithm and root is `libm`'s.

use super::Draw;

/// The standard normal distribution: the probability of a value up to `z`.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Its inverse, by Newton's method; `p` is held within what doubles can tell from 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    let p = p.clamp(1e-15, 1.0 - 1e-15);
    // from the tail that is nearer, where small probabilities keep their digits
    let (tail, sign) = if p < 0.5 { (p, -1.0) } else { (1.0 - p, 1.0) };
    let mut z = 0.0;
    for _ in 0..60 {
        let upper = 0.5 * libm::erfc(z / std::f64::consts::SQRT_2);
        let density = libm::exp(-0.5 * z * z) / (2.0 * std::f64::consts::PI).sqrt();
        // the logarithm of the tail is nearly straight, so that no step goes too far
        let step = (libm::log(upper) - libm::log(tail)) * upper / density;
        // beyond 37 the tail is no double any more
        z = (z + step).clamp(0.0, 37.0);
        if step.abs() < 1e-13 {
            break;
        }
    }
    sign * z
}

impl Draw {
    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log1p(-self.unit())
    }

    /// Standard normal, by Box and Muller's transform.
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = ((2.0 * self.exponential()).sqrt(), 2.0 * std::f64::consts::PI * self.unit());
        radius * libm::cos(angle)
    }

    /// Gamma with this shape and scale 1, so its mean is the shape, after Marsaglia and Tsang (ACM TOMS 26, 2000). 0 where the shape is not
    /// above zero.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape.is_nan() || shape <= 0.0 {
            return 0.0;
        }
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * libm::pow(1.0 - self.unit(), 1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && -self.exponential() < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Purpose, Seed};

    #[test]
    fn quantiles_are_the_inverse_of_the_distribution() {
        for (p, z) in [(0.5, 0.0), (0.95, 1.644_853_626_951), (0.01, -2.326_347_874_041), (1e-9, -5.997_807_015_0)] {
            assert!((normal_quantile(p) - z).abs() < 1e-8, "{p}: {}", normal_quantile(p));
            assert!((normal_cdf(normal_quantile(p)) / p - 1.0).abs() < 1e-9);
        }
        assert!(normal_quantile(0.0).is_finite() && normal_quantile(1.0).is_finite());
    }

    #[test]
    fn gamma_and_normal_variates_have_their_moments() {
        let moments = |sample: &dyn Fn(u64) -> f64| {
            let n = 40_000;
            let mean = (0..n).map(sample).sum::<f64>() / n as f64;
            (mean, (0..n).map(|i| (sample(i) - mean).powi(2)).sum::<f64>() / n as f64)
        };
        for shape in [0.3, 1.0, 30.0] {
            let (mean, variance) = moments(&|i| Seed(7).draw(Purpose(1), i, 0).gamma(shape));
            assert!((mean / shape - 1.0).abs() < 0.03 && (variance / shape - 1.0).abs() < 0.06, "{shape}: {mean} {variance}");
        }
        let (mean, variance) = moments(&|i| Seed(7).draw(Purpose(2), i, 0).normal());
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        assert_eq!((Seed(1).draw(Purpose(1), 0, 0).gamma(-1.0), Seed(1).draw(Purpose(1), 0, 0).gamma(f64::NAN)), (0.0, 0.0));
    }
}
