//! Integer time: nanoseconds since the run began.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A point in time: nanoseconds since the run began. `u64` holds 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A length of time in nanoseconds; never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Span(pub u64);

impl Timestamp {
    pub const ZERO: Timestamp = Timestamp(0);
    /// Later than every time a run can reach.
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// The span since `earlier`; zero if `earlier` is in fact later.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_millis(ms: u64) -> Span {
        Span(ms * 1_000_000)
    }
    pub const fn from_secs(s: u64) -> Span {
        Span(s * 1_000_000_000)
    }
    pub const fn from_mins(m: u64) -> Span {
        Span::from_secs(m * 60)
    }
    pub const fn from_hours(h: u64) -> Span {
        Span::from_mins(h * 60)
    }
    pub const fn from_days(d: u64) -> Span {
        Span::from_hours(d * 24)
    }
    /// From seconds as a real number, as distributions yield them; negative and NaN become zero.
    pub fn from_secs_f64(s: f64) -> Span {
        Span((s.max(0.0) * 1e9) as u64)
    }
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    pub fn as_micros(self) -> u64 {
        self.0 / 1_000
    }
    pub fn saturating_mul(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }

    /// Reads `250ms`, `5s`, `2h`, `7d`, `1h30m`, `1.5s`. Units: ns, us, ms, s, m (or min), h, d.
    pub fn parse(text: &str) -> Result<Span, String> {
        let bad = || format!("`{text}` is not a duration: write a number and a unit (ns, us, ms, s, m, h, d), such as `250ms`, `2h` or `1h30m`");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
            let number: f64 = rest[..split].parse().map_err(|_| bad())?;
            let tail = &rest[split..];
            let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let scale: f64 = match tail[..unit_len].trim() {
                "ns" => 1.0,
                "us" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" | "min" => 60e9,
                "h" => 3_600e9,
                "d" => 86_400e9,
                _ => return Err(bad()),
            };
            let part = number * scale;
            if part > 9.2e18 {
                return Err(format!("`{text}` is too long a duration: the longest is 292 years"));
            }
            total = total.checked_add(part.round() as u64).ok_or_else(bad)?;
            rest = tail[unit_len..].trim_start();
        }
        Ok(Span(total))
    }
}

impl Span {
    /// All of it as text that [`Span::parse`] reads back, such as `2h 5m 3s 20ms`.
    pub fn exact(self) -> String {
        let mut rest = self.0;
        let mut parts = Vec::new();
        for (unit, name) in UNITS {
            if rest >= unit {
                parts.push(format!("{}{name}", rest / unit));
                rest %= unit;
            }
        }
        if parts.is_empty() { "0s".into() } else { parts.join(" ") }
    }
}

const UNITS: [(u64, &str); 7] =
    [(86_400_000_000_000, "d"), (3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];

impl fmt::Display for Span {
    /// The two largest units, such as `2h 5m` or `350ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let first = UNITS.iter().position(|(unit, _)| self.0 >= *unit).unwrap_or(UNITS.len() - 1);
        let (unit, name) = UNITS[first];
        write!(f, "{}{name}", self.0 / unit)?;
        let rest = self.0 % unit;
        if let Some((next, next_name)) = UNITS.get(first + 1)
            && rest / next > 0
        {
            write!(f, " {}{next_name}", rest / next)?;
        }
        Ok(())
    }
}

impl fmt::Display for Timestamp {
    /// `d+hh:mm:ss.mmm` since the run began.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 / 1_000_000;
        let (s, m, h, d) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
        if d > 0 {
            write!(f, "{d}d+")?;
        }
        write!(f, "{:02}:{:02}:{:02}.{:03}", h % 24, m % 60, s % 60, ms % 1_000)
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}
impl AddAssign<Span> for Timestamp {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}
impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}
impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}
impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}
impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_compound_durations_and_refuses_nonsense() {
        assert_eq!(Span::parse("1h30m"), Ok(Span::from_mins(90)));
        assert_eq!(Span::parse("1.5s"), Ok(Span::from_millis(1500)));
        assert_eq!(Span::parse("0s"), Ok(Span::ZERO));
        for exact in [0, 1, 999, 90_061_001_002_003, 3_888_000_123_456_789] {
            assert_eq!(Span::parse(&Span(exact).exact()), Ok(Span(exact)));
        }
        for bad in ["", "5", "h", "-3s", "5 parsecs", "1..2s"] {
            assert!(Span::parse(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn shows_the_two_largest_units() {
        assert_eq!(Span::from_mins(125).to_string(), "2h 5m");
        assert_eq!(Span::from_millis(350).to_string(), "350ms");
        assert_eq!(Timestamp(90_061_001_000_000).to_string(), "1d+01:01:01.001");
    }
}
