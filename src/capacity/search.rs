//! The largest rate that is held: doubled until one is lost, halved between the two on a logarithmic scale, and confirmed by other seeds.

use super::Decision;

/// Within what, and how carefully.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// the first rate, orders a second
    pub from: f64,
    /// beyond this nothing is tried
    pub most: f64,
    /// it ends where the rate that was lost is so many times the one that was held, such as 1.02
    pub precision: f64,
    /// longer trials with seeds of their own that the rate must hold, too
    pub confirm: u32,
}

/// One trial.
#[derive(Clone, PartialEq, Debug)]
pub struct Tried {
    pub rate: f64,
    /// 0 while searching, then the number of the confirmation
    pub confirms: u32,
    pub decision: Decision,
}

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// the largest rate that was held and confirmed; 0 where none was
    pub held: f64,
    /// the smallest that was lost; none where everything was held
    pub lost: Option<f64>,
    /// it was held by every confirmation
    pub confirmed: bool,
    pub trials: Vec<Tried>,
}

/// A rate that fails so often when it is confirmed, a step lower each time, is none that can be promised.
const STEPS_DOWN: u32 = 40;
/// No target is so slow that a smaller rate would be of use.
const SLOWEST: f64 = 0.01;

impl Search {
    /// Searches with `trial`, which holds a rate for a while and says how it went; none where it was stopped. The second number is 0, or that of
    /// a confirmation.
    pub fn run(&self, mut trial: impl FnMut(f64, u32) -> Option<Decision>) -> Option<Found> {
        let mut trials = Vec::new();
        let mut holds = |rate: f64, confirms: u32, trials: &mut Vec<Tried>| {
            let decision = trial(rate, confirms)?;
            let held = decision == Decision::Held;
            trials.push(Tried { rate, confirms, decision });
            Some(held)
        };
        let (mut held, mut lost) = (0.0, None);
        let mut rate = self.from.min(self.most);
        loop {
            if holds(rate, 0, &mut trials)? {
                held = rate;
                // on the way down the rate above it is known
                if rate >= self.most || lost.is_some() {
                    break;
                }
                rate = (rate * 2.0).min(self.most);
            } else {
                lost = Some(rate);
                if held > 0.0 || rate / 2.0 < SLOWEST {
                    break;
                }
                rate /= 2.0;
            }
        }
        while let Some(above) = lost.filter(|above| held > 0.0 && above / held > self.precision) {
            let middle = (held * above).sqrt();
            if holds(middle, 0, &mut trials)? {
                held = middle;
            } else {
                lost = Some(middle);
            }
        }
        let mut confirmed = held > 0.0;
        let (mut number, mut steps) = (0, 0);
        while confirmed && number < self.confirm {
            number += 1;
            if !holds(held, number, &mut trials)? {
                lost = Some(held);
                // half as far as the search goes: a whole step below what is held by a hair would be less than it promises
                held /= self.precision.sqrt();
                (number, steps) = (0, steps + 1);
                confirmed = steps < STEPS_DOWN;
            }
        }
        // the last step down was not tried: what is told was
        Some(if confirmed { Found { held, lost, confirmed, trials } } else { Found::so_far(trials) })
    }

    /// How many trials are left at most, as they went so far: of the search, and of the confirmation, as long as it does not step down.
    pub fn left(&self, trials: &[Tried]) -> (u32, u32) {
        let Found { held, lost, .. } = Found::so_far(trials.to_vec());
        let confirmed = trials.iter().rev().take_while(|tried| tried.confirms > 0 && tried.decision == Decision::Held).count() as u32;
        let doublings = |times: f64| times.log2().ceil().max(0.0) as u32;
        let halvings = |times: f64| (times.ln() / self.precision.ln()).log2().ceil().max(0.0) as u32;
        let (up, down) = (|from: f64| doublings(self.most / from) + halvings(2.0), |from: f64| doublings(from / SLOWEST) + halvings(2.0));
        let searching = match lost {
            _ if trials.iter().any(|tried| tried.confirms > 0) => 0,
            None if held >= self.most => 0,
            None if held > 0.0 => up(held),
            None => 1 + up(self.from).max(down(self.from)),
            Some(lost) if held > 0.0 => halvings(lost / held),
            Some(lost) => down(lost),
        };
        (searching, self.confirm.saturating_sub(confirmed))
    }
}

impl Found {
    /// The smallest rate above it that was seen to be too much. What is between the two, nobody knows; what was `lost` may only have been undecided.
    pub fn too_much(&self) -> Option<f64> {
        let seen = self.trials.iter().filter(|tried| tried.rate > self.held && tried.decision.is_too_much());
        seen.map(|tried| tried.rate).min_by(f64::total_cmp)
    }

    /// What trials show where the search did not come to its end: nothing of it is confirmed.
    pub fn so_far(trials: Vec<Tried>) -> Found {
        let lost = trials.iter().filter(|tried| tried.decision != Decision::Held).map(|tried| tried.rate).min_by(f64::total_cmp);
        let held = trials.iter().filter(|tried| tried.decision == Decision::Held).map(|tried| tried.rate);
        // a rate that one seed held and another lost was not held
        let held = held.filter(|rate| lost.is_none_or(|lost| *rate < lost)).max_by(f64::total_cmp).unwrap_or(0.0);
        Found { held, lost, confirmed: false, trials }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search { from: 10.0, most: 1e6, precision: 1.02, confirm: 3 };

    fn up_to(capacity: f64) -> impl Fn(f64, u32) -> Option<Decision> {
        move |rate, _| Some(if rate <= capacity { Decision::Held } else { Decision::Lost("too much".into()) })
    }

    #[test]
    fn it_brackets_what_is_held_within_the_precision() {
        for capacity in [948.5, 10.0, 3.3, 77_777.0] {
            let found = SEARCH.run(up_to(capacity)).unwrap();
            let lost = found.lost.unwrap();
            assert!(found.held <= capacity && capacity < lost && lost / found.held <= 1.02 && found.confirmed, "{capacity}: {found:?}");
            assert!(found.trials.len() < 30, "{}", found.trials.len());
        }
    }

    #[test]
    fn what_other_seeds_do_not_hold_steps_down_and_is_confirmed_again() {
        let found = SEARCH.run(|rate, confirms| up_to(if confirms == 2 { 900.0 } else { 1_000.0 })(rate, confirms)).unwrap();
        assert!(found.held <= 900.0 && found.held > 850.0, "{found:?}");
        // finer than the search itself
        assert!(found.lost.is_some_and(|lost| lost / found.held < 1.011), "{found:?}");
        assert_eq!(found.trials.iter().rev().take(3).map(|tried| tried.confirms).collect::<Vec<_>>(), [3, 2, 1]);
    }

    #[test]
    fn what_no_other_seed_holds_is_not_told_at_a_rate_that_nobody_tried() {
        let found = SEARCH.run(|rate, confirms| up_to(if confirms > 0 { 0.0 } else { 1_000.0 })(rate, confirms)).unwrap();
        assert!(!found.confirmed && found.lost.is_some_and(|lost| lost > found.held), "{found:?}");
        assert!(found.trials.iter().any(|tried| tried.rate == found.held && tried.decision == Decision::Held), "{found:?}");
    }

    #[test]
    fn what_is_left_is_never_less_than_what_comes() {
        for capacity in [948.5, 10.0, 3.3, 0.02, 77_777.0, 1e9] {
            let found = SEARCH.run(up_to(capacity)).unwrap();
            for (n, _) in found.trials.iter().enumerate() {
                let (searching, confirming) = SEARCH.left(&found.trials[..n]);
                let left = found.trials.len() - n;
                assert!((searching + confirming) as usize >= left, "{capacity}: {left} trials after {n}, and {searching} and {confirming} foreseen");
                // within the confirmation it is exact
                assert!(found.trials[n].confirms == 0 || (searching + confirming) as usize == left, "{capacity}: {n}");
            }
        }
        let (searching, confirming) = SEARCH.left(&[]);
        assert!(searching < 30 && confirming == 3, "{searching}");
    }

    #[test]
    fn a_search_that_was_stopped_shows_its_interval() {
        let trials = SEARCH.run(up_to(948.5)).unwrap().trials;
        let few = Found::so_far(trials[..9].to_vec());
        assert!(few.held <= 948.5 && few.lost.is_some_and(|lost| lost > 948.5) && !few.confirmed, "{few:?}");
        assert_eq!((Found::so_far(Vec::new()).held, Found::so_far(Vec::new()).lost), (0.0, None));
    }

    #[test]
    fn what_nobody_could_tell_is_neither_held_nor_too_much() {
        let undecided = |why: &str| Some(Decision::Lost(why.into()));
        let found = SEARCH.run(|rate, _| match rate {
            _ if rate <= 900.0 => Some(Decision::Held),
            _ if rate <= 1_000.0 => undecided("undecided: who knows"),
            _ => undecided("too much"),
        });
        let found = found.unwrap();
        assert!(found.lost.is_some_and(|lost| lost < 920.0), "{found:?}");
        assert!(found.too_much().is_some_and(|rate| (1_000.0..1_300.0).contains(&rate)), "{found:?}");
        assert_eq!(SEARCH.run(up_to(948.5)).map(|found| found.too_much() == found.lost), Some(true));
    }

    #[test]
    fn nothing_held_everything_held_and_a_stop() {
        let nothing = SEARCH.run(up_to(0.0)).unwrap();
        assert_eq!((nothing.held, nothing.confirmed), (0.0, false));
        let all = Search { most: 5_000.0, ..SEARCH }.run(up_to(1e9)).unwrap();
        assert_eq!((all.held, all.lost), (5_000.0, None));
        assert_eq!(SEARCH.run(|_, _| None), None);
    }
}
