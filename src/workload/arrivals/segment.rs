//! A stretch of time in which the rate has a closed form, and so has the time by which a given mass of it has passed.

/// Rates are orders a nanosecond, times nanoseconds since the case began, masses expected orders.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Segment {
    pub from: f64,
    pub until: f64,
    pub law: Law,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Law {
    /// from the first rate to the second in a straight line
    Linear(f64, f64),
    /// `scale` times (t - origin) / unit to the power of `-exponent`; `begun` is the power, by 1 - `exponent`, where the segment begins: every order
    /// needs it
    Power { scale: f64, origin: f64, unit: f64, exponent: f64, begun: f64 },
}

impl Law {
    /// A power law as it is in a segment that begins at `from`.
    pub fn power(scale: f64, origin: f64, unit: f64, exponent: f64, from: f64) -> Law {
        Law::Power { scale, origin, unit, exponent, begun: libm::pow((from - origin) / unit, 1.0 - exponent) }
    }
}

impl Segment {
    pub const NONE: Segment = Segment { from: 0.0, until: 0.0, law: Law::Linear(0.0, 0.0) };

    /// The rate's integral.
    pub fn mass(&self) -> f64 {
        let width = self.until - self.from;
        match self.law {
            Law::Linear(a, b) if a == b => a * width,
            Law::Linear(a, b) => 0.5 * (a + b) * width,
            Law::Power { scale, origin, unit, exponent, begun } => {
                let (lo, hi) = ((self.from - origin) / unit, (self.until - origin) / unit);
                let rest = 1.0 - exponent;
                let integral = if rest.abs() < 1e-9 { libm::log(hi / lo) } else { (libm::pow(hi, rest) - begun) / rest };
                scale * unit * integral
            }
        }
    }

    /// When so much of the mass has passed; never outside the segment.
    pub fn when(&self, mass: f64) -> f64 {
        let at = match self.law {
            Law::Linear(a, b) if a == b => self.from + mass / a,
            Law::Linear(a, b) => {
                let slope = (b - a) / (self.until - self.from);
                self.from + 2.0 * mass / (a + (a * a + 2.0 * slope * mass).max(0.0).sqrt())
            }
            Law::Power { scale, origin, unit, exponent, begun } => {
                let part = mass / (scale * unit);
                let rest = 1.0 - exponent;
                let hi = if rest.abs() < 1e-9 {
                    (self.from - origin) / unit * libm::exp(part)
                } else {
                    libm::pow((begun + part * rest).max(0.0), 1.0 / rest)
                };
                origin + hi * unit
            }
        };
        if at.is_nan() { self.from } else { at.clamp(self.from, self.until) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mass_and_its_time_are_each_others_inverse() {
        let power = |exponent| Law::power(2.0, 40.0, 26.0, exponent, 66.0);
        for law in [Law::Linear(0.5, 0.5), Law::Linear(0.0, 3.0), Law::Linear(3.0, 0.0), power(0.383), power(1.0), power(2.5)] {
            let whole = Segment { from: 66.0, until: 900.0, law };
            let mut last = 0.0;
            for part in 1..=20 {
                let mass = whole.mass() * f64::from(part) / 20.0;
                let at = whole.when(mass);
                let again = Segment { until: at, law: cut(law, whole, at), ..whole }.mass();
                assert!((again / mass - 1.0).abs() < 1e-9 && at > last, "{law:?}: {again} {mass}");
                last = at;
            }
        }
    }

    fn cut(law: Law, whole: Segment, at: f64) -> Law {
        match law {
            Law::Linear(a, b) => Law::Linear(a, a + (b - a) * (at - whole.from) / (whole.until - whole.from)),
            power => power,
        }
    }
}
