//! When a target is itself again after a trigger is gone.

/// One second of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Second {
    /// orders that were due in it
    pub offered: u64,
    /// of those, how many were answered in time
    pub good: u64,
    /// orders without an answer at its end
    pub backlog: u64,
}

/// It is itself again when so many seconds in a row are as they should be.
const IN_A_ROW: usize = 10;

/// The least that is answered in time where all is well: 95 % of those offered, less three standard deviations of a Poisson number.
fn least(offered: u64) -> f64 {
    offered as f64 * 0.95 - 3.0 * (offered as f64).sqrt()
}

/// It held its load before the trigger: in the second half of the seconds before `begins` no more orders were late than the objective's quantile
/// allows, and three standard deviations of a Poisson number. Who did not has nothing to come back to.
pub fn itself_before(seconds: &[Second], begins: usize, quantile: f64) -> bool {
    let usual = seconds.get(begins / 2..begins).unwrap_or_default();
    let (offered, good) = usual.iter().fold((0, 0), |(offered, good), second| (offered + second.offered, good + second.good));
    let allowed = offered as f64 * (1.0 - quantile);
    // one order may always be late: of few that says nothing
    offered > 0 && (offered - good) as f64 <= (allowed + 3.0 * allowed.sqrt()).max(1.0)
}

/// Seconds from `ends` (when the trigger was gone) until it is itself again: ten seconds in a row in which the good ones are at least 95 % of those
/// offered, less three standard deviations of a Poisson number, and the backlog is no more than it was in 95 % of the seconds before `begins`.
/// None where that does not come.
pub fn recovered(seconds: &[Second], begins: usize, ends: usize) -> Option<usize> {
    let mut before: Vec<u64> = seconds.get(..begins)?.iter().map(|second| second.backlog).collect();
    before.sort_unstable();
    let usual = before.get(before.len() * 95 / 100).or(before.last()).copied().unwrap_or(0);
    let fine = |second: &Second| {
        // a few orders more than usual are no backlog
        second.good as f64 >= least(second.offered) && second.backlog <= usual.max(1) * 2 + 3
    };
    let after = seconds.get(ends..)?;
    after.windows(IN_A_ROW).position(|row| row.iter().all(fine))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bad: std::ops::Range<usize>) -> Vec<Second> {
        (0..100)
            .map(|at| if bad.contains(&at) { Second { offered: 100, good: 0, backlog: 500 } } else { Second { offered: 100, good: 98, backlog: 4 } })
            .collect()
    }

    #[test]
    fn who_was_late_before_the_trigger_was_not_itself() {
        assert!(itself_before(&run(20..30), 20, 0.98));
        // a slow start is none of it
        assert!(itself_before(&run(0..9), 20, 0.98));
        assert!(!itself_before(&run(14..30), 20, 0.98));
        assert!(!itself_before(&[], 20, 0.98), "nobody was asked");
        // two in a hundred are late: a tenth may be, and one in two hundred may not
        assert!(itself_before(&run(20..30), 20, 0.9) && !itself_before(&run(20..30), 20, 0.995));
    }

    #[test]
    fn it_is_the_first_of_ten_good_seconds() {
        assert_eq!(recovered(&run(20..45), 20, 30), Some(15));
        assert_eq!(recovered(&run(20..30), 20, 30), Some(0));
        assert_eq!(recovered(&run(20..100), 20, 30), None);
        // nine good seconds are not enough
        assert_eq!(recovered(&run(20..91), 20, 30), None);
        let mut backlog = run(20..30);
        backlog[30..60].iter_mut().for_each(|second| second.backlog = 300);
        assert_eq!(recovered(&backlog, 20, 30), Some(30), "what is good but stays behind is not itself again");
    }
}
