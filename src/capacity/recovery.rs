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

/// It is itself again when so many seconds in a row are as they should be, and so many orders were due in them: of none nothing can be said.
const IN_A_ROW: usize = 10;
const ORDERS: u64 = 10;
/// So many of the orders of one second may be late, and the objective says how many of all of them.
const LATE_IN_A_SECOND: f64 = 0.05;

/// No more of them are late than a share allows, and three standard deviations of a Poisson number of late ones: one always may.
fn holds(offered: u64, good: u64, share: f64) -> bool {
    let allowed = offered as f64 * share;
    offered.saturating_sub(good) as f64 <= (allowed + 3.0 * allowed.sqrt()).max(1.0)
}

/// It held its load before the trigger: in the second half of the seconds before `begins` no more orders were late than the objective's quantile
/// allows, and three standard deviations of a Poisson number. Who did not has nothing to come back to.
pub fn itself_before(seconds: &[Second], begins: usize, quantile: f64) -> bool {
    let usual = seconds.get(begins / 2..begins).unwrap_or_default();
    let (offered, good) = usual.iter().fold((0, 0), |(offered, good), second| (offered + second.offered, good + second.good));
    offered > 0 && holds(offered, good, 1.0 - quantile)
}

/// Seconds from `ends` (when the trigger was gone) until it is itself again: ten seconds in a row, and as many more as it takes for ten orders, of which no
/// more are late than the objective's quantile allows, in none of them more than 5 %, and the backlog is no more than it was in 95 % of the seconds before
/// `begins` and three orders; all with three standard deviations of a Poisson number. None where that does not come.
pub fn recovered(seconds: &[Second], begins: usize, ends: usize, quantile: f64) -> Option<usize> {
    let mut before: Vec<u64> = seconds.get(..begins)?.iter().map(|second| second.backlog).collect();
    before.sort_unstable();
    let usual = before.get(before.len() * 95 / 100).or(before.last()).copied().unwrap_or(0);
    let fine = |second: &Second| {
        // a few orders more than usual are no backlog
        holds(second.offered, second.good, LATE_IN_A_SECOND) && second.backlog as f64 <= usual as f64 + 3.0 * (usual.max(1) as f64).sqrt() + 3.0
    };
    let after = seconds.get(ends..)?;
    (0..after.len()).find(|from| {
        let (mut offered, mut good) = (0, 0);
        for (length, second) in (1..).zip(&after[*from..]) {
            if !fine(second) {
                return false;
            }
            (offered, good) = (offered + second.offered, good + second.good);
            if length >= IN_A_ROW && offered >= ORDERS {
                return holds(offered, good, 1.0 - quantile);
            }
        }
        false
    })
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
        let after = |bad| recovered(&run(bad), 20, 30, 0.98);
        assert_eq!((after(20..45), after(20..30), after(20..100)), (Some(15), Some(0), None));
        // nine good seconds are not enough
        assert_eq!(after(20..91), None);
        let mut backlog = run(20..30);
        backlog[30..60].iter_mut().for_each(|second| second.backlog = 300);
        assert_eq!(recovered(&backlog, 20, 30, 0.98), Some(30), "what is good but stays behind is not itself again");
    }

    #[test]
    fn who_turns_some_away_for_ever_is_not_itself_again() {
        // nobody waits for a target that refuses at once
        let refuses = |offered: u64, good: u64| {
            let second = |at| if at < 30 { Second { offered, good: offered, backlog: 0 } } else { Second { offered, good, backlog: 0 } };
            recovered(&(0..200).map(second).collect::<Vec<_>>(), 20, 30, 0.99)
        };
        assert_eq!((refuses(5, 0), refuses(1, 0), refuses(5, 5), refuses(1, 1)), (None, None, Some(0), Some(0)));
        assert_eq!((refuses(100, 70), refuses(100, 96), refuses(100, 99)), (None, None, Some(0)));
        // one order in ten seconds: ten of them are waited for
        let slow: Vec<Second> = (0..400u64).map(|at| Second { offered: u64::from(at % 10 == 0), good: 0, backlog: 0 }).collect();
        assert_eq!(recovered(&slow, 20, 30, 0.99), None);
        assert_eq!(recovered(&[Second::default(); 400], 20, 30, 0.99), None, "of no orders nothing is said");
    }
}
