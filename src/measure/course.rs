//! How a load went, over the time in which orders came: what was offered, what was answered, and how long answers took. The number of
//! intervals is fixed, and their width doubles when they run out, so memory does not grow with orders.

use super::CoursePoint;
use crate::sim::{Span, Timestamp};

const INTERVALS: usize = 240;
const NARROWEST_NS: u64 = 100_000_000;
/// Parts of an octave, as a power of two: a quarter of an octave is a step of about 19 %.
const PARTS: u32 = 2;

#[derive(Clone, Debug, Default)]
struct Interval {
    offered: u64,
    answered: u64,
    /// answers by how long they took, in steps of [`step_of`]; as long as the longest
    took: Vec<u32>,
}

impl Interval {
    fn join(&mut self, other: &Interval) {
        self.offered += other.offered;
        self.answered += other.answered;
        if self.took.len() < other.took.len() {
            self.took.resize(other.took.len(), 0);
        }
        self.took.iter_mut().zip(&other.took).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
    }
}

#[derive(Clone, Debug)]
pub(super) struct Course {
    width_ns: u64,
    intervals: Vec<Interval>,
}

impl Default for Course {
    fn default() -> Course {
        Course { width_ns: NARROWEST_NS, intervals: Vec::new() }
    }
}

/// Which step a latency of at least 1 us is in: whole numbers only, so that every machine says the same.
fn step_of(micros: u64) -> usize {
    let octave = micros.max(1).ilog2();
    let part = if octave >= PARTS { (micros >> (octave - PARTS)) & ((1 << PARTS) - 1) } else { (micros << (PARTS - octave)) & ((1 << PARTS) - 1) };
    (octave as usize) << PARTS | part as usize
}

/// Where a step begins, in microseconds.
fn step_from(step: usize) -> f64 {
    let parts = f64::from(1 << PARTS);
    let (octave, part) = (step >> PARTS, step & ((1 << PARTS) - 1));
    (octave as f64).exp2() * (1.0 + part as f64 / parts)
}

impl Course {
    fn at(&mut self, time: Timestamp) -> &mut Interval {
        while time.0 / self.width_ns >= INTERVALS as u64 {
            self.widen();
        }
        let index = (time.0 / self.width_ns) as usize;
        if index >= self.intervals.len() {
            self.intervals.resize(index + 1, Interval::default());
        }
        &mut self.intervals[index]
    }

    fn widen(&mut self) {
        self.width_ns = self.width_ns.saturating_mul(2);
        let joined = self.intervals.chunks(2).map(|pair| {
            let mut joined = Interval::default();
            pair.iter().for_each(|interval| joined.join(interval));
            joined
        });
        self.intervals = joined.collect();
    }

    /// An order was due at `at`.
    pub fn offered(&mut self, at: Timestamp) {
        self.at(at).offered += 1;
    }

    /// An order had its first definite answer at `at`, so long after it was due.
    pub fn answered(&mut self, at: Timestamp, took: Span) {
        let step = step_of(took.as_micros());
        let interval = self.at(at);
        interval.answered += 1;
        if interval.took.len() <= step {
            interval.took.resize(step + 1, 0);
        }
        interval.took[step] = interval.took[step].saturating_add(1);
    }

    /// Lays another course over this one; both count from the first moment of their case.
    pub fn merge(&mut self, other: &Course) {
        while self.width_ns < other.width_ns {
            self.widen();
        }
        for (i, interval) in other.intervals.iter().enumerate() {
            self.at(Timestamp(i as u64 * other.width_ns)).join(interval);
        }
    }

    pub fn points(&self) -> Vec<CoursePoint> {
        let (mut offered, mut answered) = (0u64, 0u64);
        let mut points = Vec::with_capacity(self.intervals.len());
        for (i, interval) in self.intervals.iter().enumerate() {
            offered += interval.offered;
            answered += interval.answered;
            let took = interval.took.iter().enumerate().filter(|(_, n)| **n > 0);
            points.push(CoursePoint {
                t_s: Span(i as u64 * self.width_ns).as_secs_f64(),
                width_s: Span(self.width_ns).as_secs_f64(),
                offered: interval.offered,
                answered: interval.answered,
                // an answer to an order of another case cannot come before it was due, so this is never below 0
                backlog: offered.saturating_sub(answered),
                took: took.map(|(step, n)| (step_from(step) / 1e6, step_from(step + 1) / 1e6, *n)).collect(),
            });
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lie_side_by_side_and_hold_what_belongs_to_them() {
        for micros in (1..5_000u64).chain((0..44).flat_map(|octave| [1 << octave, (1 << octave) + 1, (2 << octave) - 1])) {
            let step = step_of(micros);
            assert!(step_from(step) <= micros as f64 && (micros as f64) < step_from(step + 1), "{micros} in step {step}");
        }
        assert_eq!(step_of(0), step_of(1));
    }

    #[test]
    fn a_long_course_takes_no_more_room_and_loses_nothing() {
        let mut course = Course::default();
        let mut parts = [Course::default(), Course::default()];
        for n in 0..100_000u64 {
            let at = Timestamp::ZERO + Span::from_secs(n);
            for course in [&mut course, &mut parts[(n % 2) as usize]] {
                course.offered(at);
                course.answered(at + Span::from_millis(n % 900), Span::from_millis(n % 900));
            }
        }
        let points = course.points();
        assert!(points.len() <= INTERVALS && course.intervals.iter().all(|interval| interval.took.len() < 100));
        assert_eq!(points.iter().map(|p| p.offered).sum::<u64>(), 100_000);
        assert_eq!(points.iter().flat_map(|p| &p.took).map(|(.., n)| u64::from(*n)).sum::<u64>(), 100_000);
        assert_eq!(points.last().map(|p| p.backlog), Some(0));
        let [mut first, second] = parts;
        first.merge(&second);
        assert_eq!(first.points(), points, "two halves together are the whole");
    }

    #[test]
    fn what_is_not_answered_yet_is_backlog() {
        let mut course = Course::default();
        (0..10).for_each(|n| course.offered(Timestamp(n)));
        course.answered(Timestamp::ZERO + Span::from_millis(150), Span::from_millis(150));
        let backlog: Vec<u64> = course.points().iter().map(|p| p.backlog).collect();
        assert_eq!(backlog, [10, 9]);
    }
}
