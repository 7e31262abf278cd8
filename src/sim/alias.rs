//! Alias tables: one of n things by its weight, at the cost of one draw whatever n is.

use super::Draw;

/// A table after Vose ("A linear algorithm for generating random numbers with a given distribution", IEEE TSE 17, 1991): each
/// column holds at most two things, and is chosen with the same probability. Eight bytes a thing; weights are met to 2^-32.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Alias {
    /// how much of the column is the thing itself, in parts of 2^32, and what the rest is
    columns: Vec<(u32, u32)>,
}

impl Alias {
    /// A table of weights that need not add up to one. None where there is nothing to choose from: no weight above zero, one that is
    /// negative or no finite number, or more than 2^32 of them.
    pub fn new(weights: &[f64]) -> Option<Alias> {
        let total: f64 = weights.iter().sum();
        let sound = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) && total.is_finite() && total > 0.0;
        if !sound || u32::try_from(weights.len()).is_err() {
            return None;
        }
        let n = weights.len() as f64;
        let mut rest: Vec<f64> = weights.iter().map(|weight| weight / total * n).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = (0..weights.len() as u32).partition(|at| rest[*at as usize] < 1.0);
        let mut columns: Vec<(u32, u32)> = (0..weights.len() as u32).map(|at| (u32::MAX, at)).collect();
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            let share = rest[less as usize];
            columns[less as usize] = ((share * 4_294_967_296.0) as u32, more);
            rest[more as usize] -= 1.0 - share;
            if rest[more as usize] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        Some(Alias { columns })
    }

    /// One of the things, from 0 on; 0 from an empty table.
    pub fn sample(&self, draw: &mut Draw) -> u32 {
        let word = draw.word();
        let at = (((word >> 32) * self.columns.len() as u64) >> 32) as usize;
        match self.columns.get(at) {
            Some((own, other)) if (word as u32) >= *own => *other,
            _ => at as u32,
        }
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Purpose, Seed};

    fn chi2(table: &Alias, weights: &[f64]) -> f64 {
        let n = 200_000;
        let mut counts = vec![0.0; weights.len()];
        (0..n).for_each(|i| counts[table.sample(&mut Seed(5).draw(Purpose(1), i, 0)) as usize] += 1.0);
        let total: f64 = weights.iter().sum();
        let terms = counts.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        terms
            .map(|(count, weight)| (weight / total * n as f64, count))
            .map(|(expected, count): (f64, &f64)| (count - expected).powi(2) / expected)
            .sum()
    }

    /// 9 degrees of freedom: 27.9 is passed once in a thousand. The seed is fixed.
    #[test]
    fn each_thing_comes_as_often_as_its_weight_says() {
        let weights: Vec<f64> = (1..=10).map(|rank| 1.0 / f64::from(rank)).collect();
        let table = Alias::new(&weights).unwrap();
        let right = chi2(&table, &weights);
        assert!(right < 27.9, "{right}");
        let equal = chi2(&table, &[1.0; 10]);
        assert!(equal > 1000.0, "the same draws are no equal weights: {equal}");
    }

    #[test]
    fn what_weighs_nothing_never_comes_and_what_is_no_weight_is_refused() {
        let table = Alias::new(&[0.0, 3.0, 0.0]).unwrap();
        assert!((0..10_000).all(|i| table.sample(&mut Seed(1).draw(Purpose(1), i, 0)) == 1));
        for bad in [&[][..], &[0.0, 0.0], &[1.0, -1.0], &[f64::NAN], &[f64::INFINITY], &[1e308, 1e308]] {
            assert_eq!(Alias::new(bad), None, "{bad:?}");
        }
    }
}
