//! Plots as SVG, drawn without fonts of their own: text stays text, in the reader's sans-serif.

use super::course::Course;
use super::grid::{seconds, stages_in_order, thousands};
use crate::measure::{Measures, Quantiles, SeriesPoint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeMap;

pub(super) const WIDTH: u32 = 860;
const LEFT: i32 = 150;
pub(super) const RIGHT: i32 = 30;
pub(super) const PLACED: RGBColor = RGBColor(0x2f, 0x7e, 0xd8);
pub(super) const SHIPPED: RGBColor = RGBColor(0xd9, 0x82, 0x2b);
pub(super) const COMPLETED: RGBColor = RGBColor(0x2a, 0x9d, 0x62);
const FAULTS: RGBColor = RGBColor(0xb4, 0x47, 0x9b);
/// Stands for the colour of text, and is replaced by it in the finished SVG: plotters knows no `currentColor`.
pub(super) const INK: RGBColor = RGBColor(1, 2, 3);
const INK_TEXT: &str = "#010203";

/// Where a plot will be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ground {
    /// inside a page, whose text colour it takes on
    Page,
    /// a file of its own, on white
    File,
}

/// One finished plot.
pub struct Plot {
    /// file name without `.svg`
    pub name: &'static str,
    pub title: &'static str,
    /// how to read it
    pub caption: &'static str,
    pub svg: String,
}

/// Every plot there is something to draw for.
pub fn plots(measures: &Measures, ground: Ground) -> Vec<Plot> {
    let mut list = Vec::new();
    let mut add = |name, title, caption, svg: Option<String>| {
        if let Some(svg) = svg {
            list.push(Plot { name, title, caption, svg: finish(svg, title, ground) });
        }
    };
    let series = trim(&measures.series);
    let course = Course::of(&measures.course);
    let course = course.as_ref();
    add(
        "latency-over-time",
        "Latency over time",
        "Answers by when they came and how long they took since the order was due; the darker, the more. The upright axis is logarithmic.",
        course.and_then(Course::heat),
    );
    add(
        "rate",
        "Rate offered and served",
        "Orders a second that were due, and that had their first definite answer. Where the second stays below the first, the target does not keep up.",
        course.and_then(Course::rates),
    );
    add("backlog", "Backlog", "Orders that were due by the end of each interval and had no definite answer yet.", course.and_then(Course::backlog));
    add(
        "latency",
        "Latency by stage",
        "Each line runs from the median (or, with fewer than 20 samples, the mean) to the longest; marks are quantiles that at least ten samples lie beyond. The time axis is logarithmic. Measured from the time an order was due, so waiting to send counts.",
        latency(&measures.latency),
    );
    add(
        "orders",
        "Orders over virtual time",
        "Orders in each interval of virtual time, all cases laid over each other from their starts. Ticks under the axis: intervals in which faults acted, but for what is sent once more at the end.",
        orders(series),
    );
    add(
        "ack",
        "Longest acknowledgement over virtual time",
        "The longest wait for a definite answer among those heard in each interval, from the time the order was due. Logarithmic.",
        ack(series),
    );
    list
}

pub(super) fn finish(svg: String, title: &str, ground: Ground) -> String {
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{title}\" "), 1);
    match ground {
        Ground::Page => svg.replace(INK_TEXT, "currentColor"),
        Ground::File => {
            let svg = svg.replace(INK_TEXT, "#222222");
            match svg.find('>') {
                Some(end) => format!("{}<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{}", &svg[..=end], &svg[end + 1..]),
                None => svg,
            }
        }
    }
}

fn trim(series: &[SeriesPoint]) -> &[SeriesPoint] {
    let busy = |p: &SeriesPoint| p.placed + p.shipped + p.completed + p.faults > 0 || p.ack_max_s > 0.0;
    series.iter().rposition(busy).map_or(&[], |last| &series[..=last])
}

/// A surface in pixels, with the few marks that the plots need. Drawing into a string cannot fail.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
}

impl Canvas<'_> {
    pub(super) fn line(&self, points: Vec<(i32, i32)>, style: ShapeStyle) {
        let _ = self.area.draw(&PathElement::new(points, style));
    }
    pub(super) fn rule(&self, from: (i32, i32), to: (i32, i32), strength: f64) {
        self.line(vec![from, to], INK.mix(strength).stroke_width(1));
    }
    pub(super) fn dot(&self, at: (i32, i32), radius: i32, color: RGBColor) {
        let _ = self.area.draw(&Circle::new(at, radius, color.filled()));
    }
    /// A filled box from its upper left to its lower right.
    pub(super) fn cell(&self, from: (i32, i32), to: (i32, i32), color: RGBColor, strength: f64) {
        let _ = self.area.draw(&Rectangle::new([from, to], color.mix(strength).filled()));
    }
    fn ring(&self, at: (i32, i32), radius: i32, color: RGBColor) {
        let _ = self.area.draw(&Circle::new(at, radius, color.stroke_width(2)));
    }
    pub(super) fn text(&self, at: (i32, i32), text: &str, h: HPos, color: RGBColor) {
        let style = ("sans-serif", 16).into_font().color(&color).pos(Pos::new(h, VPos::Center));
        let _ = self.area.draw(&Text::new(text.to_owned(), at, style));
    }
}

type Mark = fn(&Canvas<'_>, (i32, i32));
type Count = fn(&SeriesPoint) -> u64;

pub(super) fn canvas(height: u32, draw: impl FnOnce(&Canvas<'_>)) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let canvas = Canvas { area };
        draw(&canvas);
        canvas.area.present().ok()?;
    }
    Some(svg)
}

/// Decades of seconds, and where a value lies between the first and last.
pub(super) struct LogAxis {
    pub(super) ticks: Vec<f64>,
    lo: f64,
    hi: f64,
}

impl LogAxis {
    pub(super) fn over(least: f64, most: f64) -> LogAxis {
        const STOPS: [f64; 15] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 864_000.0, 8_640_000.0];
        let last = STOPS.len() - 1;
        let mut first = STOPS.iter().rposition(|stop| *stop <= least).unwrap_or(0);
        let mut end = STOPS.iter().position(|stop| *stop >= most).unwrap_or(last);
        if first == end {
            first = first.saturating_sub(1);
            end = (end + 1).min(last);
        }
        LogAxis { ticks: STOPS[first..=end].to_vec(), lo: STOPS[first].log10(), hi: STOPS[end].log10() }
    }
    pub(super) fn share(&self, value: f64) -> f64 {
        ((value.max(1e-9).log10() - self.lo) / (self.hi - self.lo)).clamp(0.0, 1.0)
    }
}

/// Round steps from 0 for counts.
pub(super) fn count_ticks(most: u64) -> Vec<u64> {
    let mut step = 1u64;
    'found: for decade in 0..18 {
        for factor in [1, 2, 5] {
            step = factor * 10u64.pow(decade);
            if most.div_ceil(step) <= 5 {
                break 'found;
            }
        }
    }
    (0..=most.div_ceil(step).max(1)).map(|i| i * step).collect()
}

pub(super) fn time_ticks(most_s: f64) -> Vec<f64> {
    const STEPS: [f64; 27] = [
        0.1,
        0.2,
        0.5,
        1.0,
        2.0,
        5.0,
        10.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        1_800.0,
        3_600.0,
        7_200.0,
        10_800.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        432_000.0,
        864_000.0,
        1_728_000.0,
        4_320_000.0,
        8_640_000.0,
        17_280_000.0,
        86_400_000.0,
    ];
    let step = STEPS.into_iter().find(|step| most_s / step <= 8.0).unwrap_or(most_s / 8.0);
    (0..=(most_s / step) as usize).map(|i| i as f64 * step).collect()
}

fn latency(stages: &BTreeMap<String, Quantiles>) -> Option<String> {
    let rows: Vec<_> = stages_in_order(stages).into_iter().filter(|(_, q)| q.count > 0 && q.max_s > 0.0 && q.max_s.is_finite()).collect();
    if rows.is_empty() {
        return None;
    }
    let start = |q: &Quantiles| q.p50_s.unwrap_or(q.mean_s).max(1e-6);
    let least = rows.iter().map(|(_, q)| start(q)).fold(f64::INFINITY, f64::min);
    let most = rows.iter().map(|(_, q)| q.max_s).fold(0.0, f64::max);
    let axis = LogAxis::over(least, most);
    const ROW: i32 = 34;
    const TOP: i32 = 44;
    let bottom = TOP + ROW * rows.len() as i32;
    let span = WIDTH as i32 - LEFT - RIGHT;
    let x = |value: f64| LEFT + (axis.share(value) * f64::from(span)) as i32;
    canvas(bottom as u32 + 52, |c| {
        let marks: [(&str, Mark); 4] = [
            ("median", |c, at| c.dot(at, 5, PLACED)),
            ("p95", |c, at| c.dot(at, 5, COMPLETED)),
            ("p99", |c, at| c.dot(at, 5, SHIPPED)),
            ("max", |c, at| c.ring(at, 4, FAULTS)),
        ];
        for (i, (name, mark)) in marks.iter().enumerate() {
            let at = LEFT + i as i32 * 95;
            mark(c, (at, 16));
            c.text((at + 10, 16), name, HPos::Left, INK);
        }
        for tick in &axis.ticks {
            c.rule((x(*tick), TOP), (x(*tick), bottom), 0.18);
            c.text((x(*tick), bottom + 14), &seconds(*tick), HPos::Center, INK);
        }
        c.text((LEFT + span / 2, bottom + 38), "virtual time (logarithmic)", HPos::Center, INK);
        for (i, (name, q)) in rows.iter().enumerate() {
            let y = TOP + ROW * i as i32 + ROW / 2;
            c.text((LEFT - 12, y), &name.replace('_', " "), HPos::Right, INK);
            c.line(vec![(x(start(q)), y), (x(q.max_s), y)], INK.mix(0.45).stroke_width(2));
            for ((_, mark), value) in marks.iter().zip([q.p50_s, q.p95_s, q.p99_s, Some(q.max_s)]) {
                if let Some(value) = value {
                    mark(c, (x(value), y));
                }
            }
        }
    })
}

const TIME_TOP: i32 = 44;
const TIME_BOTTOM: i32 = 250;
const TIME_LEFT: i32 = 80;

/// The frame shared by the plots over time: returns how seconds lie on it.
fn time_frame(c: &Canvas<'_>, series: &[SeriesPoint]) -> (f64, impl Fn(f64) -> i32 + use<>) {
    let width_s = series.get(1).map_or(0.1, |p| p.t_s);
    let end = (series.last().map_or(0.0, |p| p.t_s) + width_s).max(1e-9);
    let span = f64::from(WIDTH as i32 - TIME_LEFT - RIGHT);
    let x = move |t: f64| TIME_LEFT + (t / end * span) as i32;
    for tick in time_ticks(end) {
        c.rule((x(tick), TIME_BOTTOM), (x(tick), TIME_BOTTOM + 5), 0.6);
        c.text((x(tick), TIME_BOTTOM + 30), &if tick == 0.0 { "0".into() } else { seconds(tick) }, HPos::Center, INK);
    }
    c.rule((TIME_LEFT, TIME_BOTTOM), (WIDTH as i32 - RIGHT, TIME_BOTTOM), 0.6);
    c.text((x(end / 2.0), TIME_BOTTOM + 54), "virtual time since the case began", HPos::Center, INK);
    (width_s, x)
}

fn orders(series: &[SeriesPoint]) -> Option<String> {
    let most = series.iter().map(|p| p.placed.max(p.shipped).max(p.completed)).max().filter(|most| *most > 0)?;
    canvas(TIME_BOTTOM as u32 + 70, |c| {
        let (width_s, x) = time_frame(c, series);
        let ticks = count_ticks(most);
        let top = ticks.last().copied().unwrap_or(1).max(1);
        let y = |n: u64| TIME_BOTTOM - (n as f64 / top as f64 * f64::from(TIME_BOTTOM - TIME_TOP)) as i32;
        for tick in &ticks {
            c.rule((TIME_LEFT, y(*tick)), (WIDTH as i32 - RIGHT, y(*tick)), 0.15);
            c.text((TIME_LEFT - 10, y(*tick)), &thousands(*tick), HPos::Right, INK);
        }
        c.text((10, 16), &format!("orders per {}", seconds(width_s)), HPos::Left, INK);
        let value: [(&str, RGBColor, Count); 3] =
            [("placed", PLACED, |p| p.placed), ("first shipped", SHIPPED, |p| p.shipped), ("completed", COMPLETED, |p| p.completed)];
        for (i, (name, color, get)) in value.into_iter().enumerate() {
            let at = WIDTH as i32 / 3 + i as i32 * 130;
            c.line(vec![(at, 16), (at + 22, 16)], color.stroke_width(3));
            c.text((at + 30, 16), name, HPos::Left, INK);
            // steps: a count belongs to its whole interval
            let steps = series.iter().flat_map(|p| [(x(p.t_s), y(get(p))), (x(p.t_s + width_s), y(get(p)))]).collect();
            c.line(steps, color.stroke_width(2));
        }
        let at = WIDTH as i32 / 3 + 3 * 130;
        c.line(vec![(at + 8, 10), (at + 8, 22)], FAULTS.stroke_width(4));
        c.text((at + 18, 16), "faults", HPos::Left, INK);
        for p in series.iter().filter(|p| p.faults > 0) {
            let middle = x(p.t_s + width_s / 2.0);
            c.line(vec![(middle, TIME_BOTTOM + 7), (middle, TIME_BOTTOM + 17)], FAULTS.stroke_width(3));
        }
    })
}

fn ack(series: &[SeriesPoint]) -> Option<String> {
    let heard: Vec<&SeriesPoint> = series.iter().filter(|p| p.ack_max_s > 0.0 && p.ack_max_s.is_finite()).collect();
    let least = heard.iter().map(|p| p.ack_max_s).fold(f64::INFINITY, f64::min);
    let most = heard.iter().map(|p| p.ack_max_s).fold(0.0, f64::max);
    if heard.len() < 2 {
        return None;
    }
    let axis = LogAxis::over(least, most);
    canvas(TIME_BOTTOM as u32 + 70, |c| {
        let (width_s, x) = time_frame(c, series);
        let y = |value: f64| TIME_BOTTOM - (axis.share(value) * f64::from(TIME_BOTTOM - TIME_TOP)) as i32;
        for tick in &axis.ticks {
            c.rule((TIME_LEFT, y(*tick)), (WIDTH as i32 - RIGHT, y(*tick)), 0.15);
            c.text((TIME_LEFT - 10, y(*tick)), &seconds(*tick), HPos::Right, INK);
        }
        c.text((10, 16), &format!("longest acknowledgement in each {}", seconds(width_s)), HPos::Left, INK);
        for p in heard {
            let middle = x(p.t_s + width_s / 2.0);
            c.rule((middle, TIME_BOTTOM), (middle, y(p.ack_max_s)), 0.25);
            c.dot((middle, y(p.ack_max_s)), 4, PLACED);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_what_is_there() {
        assert_eq!(count_ticks(7), [0, 2, 4, 6, 8]);
        assert_eq!(count_ticks(1), [0, 1]);
        assert_eq!(time_ticks(3_600.0), [0.0, 600.0, 1_200.0, 1_800.0, 2_400.0, 3_000.0, 3_600.0]);
        let axis = LogAxis::over(0.35, 9_000.0);
        assert_eq!((axis.ticks.first(), axis.ticks.last()), (Some(&0.1), Some(&21_600.0)));
    }

    #[test]
    fn nothing_measured_is_nothing_drawn() {
        assert!(plots(&Measures::default(), Ground::Page).is_empty());
    }
}
