//! How a load went: latency over time as a heat map, rate offered and served, backlog.

use super::axes::{BOTTOM, HEIGHT, above, frame, key, tick, x_of, y_of};
use super::grid::{seconds, thousands};
use super::plots::{COMPLETED, INK, LogAxis, PLACED, RIGHT, SHIPPED, WIDTH, canvas, count_ticks, time_ticks};
use crate::measure::CoursePoint;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};
use std::collections::BTreeMap;

/// Shades of the heat map; each stands for so many times the answers of the one before.
const SHADES: u32 = 8;
const HEAT: RGBColor = RGBColor(0xc0, 0x39, 0x2b);
/// The picture ends where no order comes any more and this share of all answers is there.
const SHOWN: f64 = 0.999;

/// What of a course is drawn.
pub(super) struct Course<'a> {
    points: &'a [CoursePoint],
    /// where the picture ends, in seconds
    end: f64,
    /// answers that came after it
    later: u64,
}

impl<'a> Course<'a> {
    pub fn of(points: &'a [CoursePoint]) -> Option<Course<'a>> {
        let all: u64 = points.iter().map(|p| p.answered).sum();
        let last_offered = points.iter().rposition(|p| p.offered > 0)?;
        let (mut answered, mut last) = (0u64, 0);
        for (at, point) in points.iter().enumerate() {
            answered += point.answered;
            last = at;
            if at >= last_offered && answered as f64 >= all as f64 * SHOWN {
                break;
            }
        }
        let points = &points[..=last];
        let end = points.last().map(|p| p.t_s + p.width_s).filter(|end| end.is_finite() && *end > 0.0)?;
        (points.len() > 1).then_some(Course { points, end, later: all - answered })
    }

    fn x(&self, t: f64) -> i32 {
        x_of(t / self.end)
    }

    /// The axis of time, and what lies beyond it.
    fn ground(&self, c: &super::plots::Canvas<'_>, ticks: &[(f64, String)]) {
        frame(c, ticks, "time since the load began");
        for time in time_ticks(self.end) {
            tick(c, time / self.end, &if time == 0.0 { "0".into() } else { seconds(time) });
        }
        if self.later > 0 {
            c.text((WIDTH as i32 - RIGHT, 16), &format!("{} answers came later", thousands(self.later)), HPos::Right, INK);
        }
    }

    /// Latency over time: the darker, the more answers.
    pub fn heat(&self) -> Option<String> {
        let cells = || self.points.iter().flat_map(|p| &p.took).filter(|(from, to, n)| *n > 0 && from < to);
        let least = cells().map(|(from, ..)| *from).fold(f64::INFINITY, f64::min);
        let longest = cells().map(|(_, to, _)| *to).fold(0.0, f64::max);
        let most = cells().map(|(.., n)| *n).max()?;
        // times in a line: of positive numbers the bits are in the same order
        let mut rows: BTreeMap<u64, (f64, f64, Vec<u32>)> = BTreeMap::new();
        let shade = |n: u32| 1 + (f64::from(SHADES - 1) * f64::from(n).ln() / f64::from(most.max(2)).ln()).round() as u32;
        for (at, point) in self.points.iter().enumerate() {
            for (from, to, n) in point.took.iter().filter(|(_, _, n)| *n > 0) {
                let row = rows.entry(from.to_bits()).or_insert_with(|| (*from, *to, vec![0; self.points.len()]));
                row.2[at] = shade(*n);
            }
        }
        let axis = LogAxis::over(least, longest);
        let alpha = |shade: u32| 0.12 + 0.88 * f64::from(shade - 1) / f64::from(SHADES - 1);
        canvas(HEIGHT, |c| {
            for (from, to, shades) in rows.values() {
                let (bottom, top) = (y_of(axis.share(*from)), y_of(axis.share(*to)));
                let mut at = 0;
                // neighbours of one shade are one box
                while at < shades.len() {
                    let same = shades[at..].iter().take_while(|shade| **shade == shades[at]).count();
                    if shades[at] > 0 {
                        let (first, last) = (&self.points[at], &self.points[at + same - 1]);
                        let (left, right) = (self.x(first.t_s), self.x(last.t_s + last.width_s));
                        c.cell((left, top), (right.max(left + 1), bottom), HEAT, alpha(shades[at]));
                    }
                    at += same;
                }
            }
            let ticks: Vec<(f64, String)> = axis.ticks.iter().map(|t| (axis.share(*t), seconds(*t))).collect();
            self.ground(c, &ticks);
            above(c, &format!("time to an answer, by answers in each {}", seconds(self.points[0].width_s)));
            // the shades, and how many answers the lightest and the darkest stand for
            let from = WIDTH as i32 * 5 / 9;
            c.text((from - 10, 16), "1", HPos::Right, INK);
            for shade in 1..=SHADES {
                let left = from + (shade as i32 - 1) * 16;
                c.cell((left, 9), (left + 16, 23), HEAT, alpha(shade));
            }
            c.text((from + SHADES as i32 * 16 + 10, 16), &thousands(u64::from(most)), HPos::Left, INK);
        })
    }

    /// Rates offered and served.
    pub fn rates(&self) -> Option<String> {
        let rate = |n: u64, p: &CoursePoint| n as f64 / p.width_s;
        let most = self.points.iter().map(|p| rate(p.offered.max(p.answered), p)).fold(0.0, f64::max);
        if most <= 0.0 || !most.is_finite() {
            return None;
        }
        // small rates have round ticks too
        let unit = 10f64.powf((most.log10() - 2.0).floor());
        let ticks = count_ticks((most / unit).ceil() as u64);
        let top = ticks.last().copied().unwrap_or(1).max(1) as f64 * unit;
        let digits = if unit >= 1.0 { 0 } else { (-unit.log10()).ceil() as usize };
        let label = |n: &u64| {
            let value = *n as f64 * unit;
            (value / top, if value >= 1_000.0 { thousands(value.round() as u64) } else { format!("{value:.digits$}") })
        };
        canvas(HEIGHT, |c| {
            self.ground(c, &ticks.iter().map(label).collect::<Vec<_>>());
            above(c, "orders a second");
            let lines: [(&str, RGBColor, Vec<f64>); 2] = [
                ("offered (due)", PLACED, self.points.iter().map(|p| rate(p.offered, p)).collect()),
                ("served (answered)", COMPLETED, self.points.iter().map(|p| rate(p.answered, p)).collect()),
            ];
            for (n, (name, color, values)) in lines.into_iter().enumerate() {
                key(c, n, 150, name, color);
                // steps: a rate belongs to its whole interval
                let steps = self.points.iter().zip(values).flat_map(|(p, rate)| {
                    let y = y_of(rate / top);
                    [(self.x(p.t_s), y), (self.x(p.t_s + p.width_s), y)]
                });
                c.line(steps.collect(), color.stroke_width(if n == 0 { 4 } else { 2 }));
            }
        })
    }

    /// Orders that were due and have no answer yet.
    pub fn backlog(&self) -> Option<String> {
        let most = self.points.iter().map(|p| p.backlog).max()?;
        let ticks = count_ticks(most.max(1));
        let top = ticks.last().copied().unwrap_or(1).max(1) as f64;
        canvas(HEIGHT, |c| {
            let label = |n: &u64| (*n as f64 / top, thousands(*n));
            self.ground(c, &ticks.iter().map(label).collect::<Vec<_>>());
            above(c, "orders due and not yet answered");
            let steps: Vec<(i32, i32)> = self.points.iter().map(|p| (self.x(p.t_s + p.width_s), y_of(p.backlog as f64 / top))).collect();
            for (x, y) in &steps {
                c.rule((*x, BOTTOM), (*x, *y), 0.15);
            }
            c.line(std::iter::once((x_of(0.0), BOTTOM)).chain(steps).collect(), SHIPPED.stroke_width(2));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(n: u64, offered: u64, answered: u64, took: Vec<(f64, f64, u32)>) -> CoursePoint {
        CoursePoint { t_s: n as f64, width_s: 1.0, offered, answered, backlog: offered.saturating_sub(answered), took }
    }

    #[test]
    fn neighbours_of_one_shade_are_one_box_and_stragglers_do_not_squeeze_the_picture() {
        let cell = |n| vec![(0.1, 0.125, n)];
        let mut points: Vec<CoursePoint> = (0..10).map(|n| point(n, 200, 200, cell(200))).collect();
        points.extend((10..200).map(|n| point(n, 0, 0, Vec::new())));
        points.push(point(200, 0, 1, vec![(100.0, 112.0, 1)]));
        let course = Course::of(&points).expect("something to draw");
        assert_eq!((course.end, course.later), (10.0, 1));
        let svg = course.heat().expect("drawn");
        // one box, and the shades of the key
        assert_eq!(svg.matches("<rect").count(), 1 + SHADES as usize, "{svg}");
        assert!(svg.contains("1 answers came later") && !svg.contains("NaN"));
        assert!(course.rates().is_some_and(|svg| svg.contains("served")) && course.backlog().is_some_and(|svg| !svg.contains("NaN")));
    }

    #[test]
    fn nothing_offered_is_nothing_drawn() {
        assert!(Course::of(&[]).is_none());
        assert!(Course::of(&[point(0, 0, 0, Vec::new()), point(1, 0, 0, Vec::new())]).is_none());
        let silent = [point(0, 5, 0, Vec::new()), point(1, 5, 0, Vec::new())];
        let course = Course::of(&silent).expect("orders were offered");
        assert!(course.heat().is_none() && course.rates().is_some() && course.backlog().is_some());
    }
}
