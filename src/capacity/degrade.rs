//! What a target does beyond its capacity: the same steps of load up and down again, and what still comes out in time.

/// One step of load.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// times the capacity
    pub factor: f64,
    /// on the way down
    pub down: bool,
    /// orders a second
    pub offered: f64,
    /// answered yes or no in time
    pub goodput: f64,
    /// shed at once: backpressure or refused
    pub shed: f64,
    /// answered after whoever asked had gone or had no use for it any more
    pub wasted: f64,
}

/// How it bears more than it can take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Grade {
    /// goodput at twice the capacity as a share of that at it
    pub at_double: f64,
    /// mean difference between up and down of the share of what was offered that is in time
    pub hysteresis: f64,
}

impl Grade {
    /// In one word (limits: ours, assumed).
    pub fn word(&self) -> &'static str {
        match self.at_double {
            share if share >= 0.9 => "graceful",
            share if share >= 0.5 => "degraded",
            _ => "collapse",
        }
    }
}

/// Grades the steps; none where those at once and twice the capacity are missing.
pub fn grade(steps: &[Step]) -> Option<Grade> {
    let up = |factor: f64| steps.iter().find(|step| !step.down && (step.factor - factor).abs() < 1e-9);
    let (one, two) = (up(1.0).map(|step| step.goodput).filter(|goodput| *goodput > 0.0)?, up(2.0)?.goodput);
    // shares, for the orders of two steps are not as many
    let share = |step: &Step| (step.goodput / step.offered.max(f64::MIN_POSITIVE)).min(1.0);
    let pairs: Vec<f64> = steps.iter().filter(|step| step.down).filter_map(|down| Some((share(up(down.factor)?) - share(down)).abs())).collect();
    Some(Grade { at_double: two / one, hysteresis: pairs.iter().sum::<f64>() / pairs.len().max(1) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(factor: f64, down: bool, goodput: f64) -> Step {
        Step { factor, down, offered: factor * 100.0, goodput, shed: 0.0, wasted: 0.0 }
    }

    #[test]
    fn a_grade_is_the_goodput_at_double_the_load_and_what_differs_on_the_way_back() {
        let graceful = grade(&[step(0.5, false, 50.0), step(1.0, false, 100.0), step(2.0, false, 97.0), step(1.0, true, 100.0)]).unwrap();
        assert_eq!((graceful.word(), graceful.hysteresis), ("graceful", 0.0));
        let collapse = grade(&[step(1.0, false, 100.0), step(2.0, false, 0.0), step(1.0, true, 0.0)]).unwrap();
        assert_eq!((collapse.word(), collapse.hysteresis), ("collapse", 1.0));
        // fewer came by chance on the way back, and all of them were in time
        let fewer = Step { offered: 80.0, ..step(1.0, true, 80.0) };
        assert_eq!(grade(&[step(1.0, false, 100.0), step(2.0, false, 200.0), fewer]).unwrap().hysteresis, 0.0);
        assert_eq!(grade(&[step(1.0, false, 100.0), step(2.0, false, 60.0)]).unwrap().word(), "degraded");
        assert_eq!(grade(&[step(1.0, false, 100.0)]), None);
    }
}
