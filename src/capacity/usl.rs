//! The Universal Scalability Law (Gunther, Guerrilla Capacity Planning, 2007): X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1)), where N orders
//! are under way at a time and X are done a second. Alpha is what has to wait for its turn, beta what it costs to agree.

use crate::sim::{Purpose, Seed};

const RESAMPLE: Purpose = Purpose(0x0500);
const RESAMPLES: u64 = 400;
/// Fewer points, or points that lie closer together, say nothing about the shape.
const LEAST_POINTS: usize = 6;
const LEAST_SPAN: f64 = 16.0;
/// So many times as much as it allows is still within what chance does to a rate.
const TOLERANCE: f64 = 1.05;

/// Between these it lies with 95 %, by the bootstrap.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    pub lo: f64,
    pub hi: f64,
}

/// A fitted law.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usl {
    /// orders a second that one alone would do
    pub gamma: f64,
    pub alpha: f64,
    pub beta: f64,
    pub alpha_in: Interval,
    pub beta_in: Interval,
    /// under way where most was done, and at the last point
    pub rises_to: f64,
    pub reaches: f64,
}

impl Usl {
    /// Orders a second with `n` under way.
    pub fn rate(&self, n: f64) -> f64 {
        self.gamma * n / (1.0 + self.alpha * (n - 1.0) + self.beta * n * (n - 1.0))
    }
    /// Where more under way makes it slower: the knee. None where no such point can be told from the points, where they go on rising beyond it,
    /// or where it lies further than twice as far as they reach.
    pub fn knee(&self) -> Option<f64> {
        let knee = ((1.0 - self.alpha) / self.beta).max(1.0).sqrt();
        (self.beta_in.lo > 0.0 && knee > self.rises_to * 0.9 && knee <= self.reaches * 2.0).then_some(knee)
    }
    /// The law, unless more was done a second than it lets anybody do: then what it was fitted to was a queue that grew, and no cost of agreeing.
    pub fn beside(self, done: f64) -> Result<Usl, String> {
        let most = self.knee().map(|n| self.rate(n)).or(self.limit()).unwrap_or(f64::INFINITY);
        if done <= most * TOLERANCE {
            return Ok(self);
        }
        Err(format!(
            "not identifiable: by the law of these rates no more than {most:.0} orders a second can be done, and beyond the capacity {done:.0} were"
        ))
    }
    /// The most that any number under way can reach by waiting alone.
    pub fn limit(&self) -> Option<f64> {
        (self.alpha_in.lo > 0.0).then(|| self.gamma / self.alpha)
    }
}

/// Fits the law to (under way, done a second). Says why where it cannot be told.
pub fn fit(points: &[(f64, f64)], seed: Seed) -> Result<Usl, String> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|(n, x)| *n > 0.0 && *x > 0.0 && n.is_finite() && x.is_finite()).collect();
    if points.len() < LEAST_POINTS {
        return Err(format!("not identifiable: {} points, and it takes {LEAST_POINTS}", points.len()));
    }
    let least = points.iter().map(|(n, _)| *n).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|(n, _)| *n).fold(0.0, f64::max);
    if most / least < LEAST_SPAN {
        return Err(format!("not identifiable: from {least:.2} to {most:.2} orders under way is less than {LEAST_SPAN} times as many"));
    }
    let rises_to = points.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(most, |(n, _)| *n);
    let (gamma, alpha, beta) = least_squares(&points).ok_or("not identifiable: the points lie on no curve")?;
    let mut resampled: Vec<(f64, f64)> = Vec::new();
    for round in 0..RESAMPLES {
        let pick = |at: usize| points[seed.draw(RESAMPLE, round, at as u32).below(points.len() as u64) as usize];
        let sample: Vec<(f64, f64)> = (0..points.len()).map(pick).collect();
        resampled.extend(least_squares(&sample).map(|(_, alpha, beta)| (alpha, beta)));
    }
    let interval = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = resampled.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| values.get((q * values.len() as f64) as usize).or(values.last()).copied().unwrap_or(0.0);
        Interval { lo: at(0.025), hi: at(0.975) }
    };
    Ok(Usl { gamma, alpha, beta, alpha_in: interval(|it| it.0), beta_in: interval(|it| it.1), rises_to, reaches: most })
}

/// N/X is linear in 1, N-1 and N(N-1): least squares of relative errors, with no coefficient below nought.
fn least_squares(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let row = |n: f64| [1.0, n - 1.0, n * (n - 1.0)];
    let mut best: Option<(f64, [f64; 3])> = None;
    // which of the two may be other than nought
    for used in [[true, true, true], [true, true, false], [true, false, true], [true, false, false]] {
        let columns: Vec<usize> = (0..3).filter(|at| used[*at]).collect();
        let mut normal = vec![vec![0.0; columns.len() + 1]; columns.len()];
        for (n, x) in points {
            let (row, y) = (row(*n), n / x);
            for (i, a) in columns.iter().enumerate() {
                for (j, b) in columns.iter().enumerate() {
                    normal[i][j] += row[*a] * row[*b] / (y * y);
                }
                normal[i][columns.len()] += row[*a] / y;
            }
        }
        let Some(solved) = solve(normal) else { continue };
        let mut found = [0.0; 3];
        columns.iter().zip(&solved).for_each(|(at, value)| found[*at] = *value);
        if found[0] <= 0.0 || found[1] < 0.0 || found[2] < 0.0 {
            continue;
        }
        let miss = |(n, x): &(f64, f64)| {
            let y = n / x;
            let told: f64 = row(*n).iter().zip(found).map(|(a, b)| a * b).sum();
            ((told - y) / y).powi(2)
        };
        let missed: f64 = points.iter().map(miss).sum();
        if best.is_none_or(|(least, _)| missed < least) {
            best = Some((missed, found));
        }
    }
    best.map(|(_, [a, b, c])| (1.0 / a, b / a, c / a))
}

/// Gauss with pivots; the last column is the right-hand side.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = rows.len();
    for at in 0..size {
        let pivot = (at..size).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        let scale: f64 = rows[at][..size].iter().map(|value| value.abs()).fold(0.0, f64::max);
        if rows[at][at].abs() <= 1e-12 * scale.max(f64::MIN_POSITIVE) {
            return None;
        }
        let top = rows[at].clone();
        for row in &mut rows[at + 1..] {
            let factor = row[at] / top[at];
            row.iter_mut().zip(&top).skip(at).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solved = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|column| rows[at][column] * solved[column]).sum();
        solved[at] = (rows[at][size] - known) / rows[at][at];
    }
    Some(solved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUE: Usl = Usl {
        gamma: 100.0,
        alpha: 0.05,
        beta: 0.002,
        alpha_in: Interval { lo: 0.0, hi: 0.0 },
        beta_in: Interval { lo: 0.0, hi: 0.0 },
        rises_to: 0.0,
        reaches: 0.0,
    };

    fn measured(law: &Usl, noise: f64) -> Vec<(f64, f64)> {
        let wobble = |at: usize| 1.0 + noise * [0.7, -1.0, 0.2, 0.9, -0.6, -0.3, 1.0, -0.8][at % 8];
        [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0].iter().enumerate().map(|(at, n)| (*n, law.rate(*n) * wobble(at))).collect()
    }

    #[test]
    fn a_known_law_is_found_again_with_its_knee() {
        let found = fit(&measured(&TRUE, 0.01), Seed(1)).unwrap();
        assert!((found.gamma / 100.0 - 1.0).abs() < 0.03 && (found.alpha - 0.05).abs() < 0.02 && (found.beta / 0.002 - 1.0).abs() < 0.3, "{found:?}");
        assert!(found.alpha_in.lo <= found.alpha && found.alpha <= found.alpha_in.hi, "{found:?}");
        let knee = found.knee().unwrap();
        assert!((knee - (0.95f64 / 0.002).sqrt()).abs() < 4.0, "{knee}");
    }

    #[test]
    fn a_law_without_a_knee_has_none() {
        let flat = Usl { beta: 0.0, ..TRUE };
        let found = fit(&measured(&flat, 0.01), Seed(1)).unwrap();
        assert_eq!(found.knee(), None, "{found:?}");
        let limit = found.limit().unwrap();
        assert!((limit / 2_000.0 - 1.0).abs() < 0.2, "{limit}");
    }

    #[test]
    fn points_that_rise_beyond_a_knee_have_none() {
        // as a queue behind ten workers has it: straight up to ten, then flat
        let queue: Vec<(f64, f64)> = [1.0f64, 2.0, 4.0, 8.0, 9.6, 12.0, 20.0, 28.0].map(|n| (n, 100.0 * n.min(9.4 + n / 50.0))).to_vec();
        let found = fit(&queue, Seed(1)).unwrap();
        assert_eq!(found.knee(), None, "{found:?}");
    }

    #[test]
    fn a_law_that_what_was_done_contradicts_is_none() {
        let found = fit(&measured(&TRUE, 0.0), Seed(1)).unwrap();
        let most = found.rate(found.knee().unwrap());
        assert_eq!(found.beside(most), Ok(found));
        assert!(found.beside(most * 1.2).unwrap_err().contains("not identifiable: by the law of these rates no more than"));
        let flat = fit(&measured(&Usl { beta: 0.0, ..TRUE }, 0.0), Seed(1)).unwrap();
        assert!(flat.beside(2_000.0).is_ok() && flat.beside(2_500.0).is_err());
    }

    #[test]
    fn few_points_close_points_and_nonsense_are_not_identifiable() {
        assert!(fit(&measured(&TRUE, 0.0)[..5], Seed(1)).unwrap_err().contains("5 points"));
        let close: Vec<(f64, f64)> = (10..20).map(|n| (f64::from(n), TRUE.rate(f64::from(n)))).collect();
        assert!(fit(&close, Seed(1)).unwrap_err().contains("less than 16 times"));
        assert!(fit(&[(f64::NAN, 1.0); 9], Seed(1)).unwrap_err().contains("0 points"));
        assert!(fit(&[(1.0, 0.0); 9], Seed(1)).is_err());
    }
}
