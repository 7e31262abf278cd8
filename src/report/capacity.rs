//! Pictures of capacity: what is done a second by how much is under way, what comes out beyond it, and where a target stays down.

use super::axes::{HEIGHT, above, frame, key, level, tick, x_of, y_of};
use super::plots::{COMPLETED, Canvas, Ground, INK, PLACED, Plot, SHIPPED, canvas, finish};
use crate::capacity::{Step, Usl};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

const LOST: RGBColor = RGBColor(0xc0, 0x39, 0x2b);

/// Linear axes from nought to `most`.
struct Axes {
    most: (f64, f64),
}

impl Axes {
    fn new(points: impl Iterator<Item = (f64, f64)>) -> Option<Axes> {
        let most = points.fold((0.0f64, 0.0f64), |most, (x, y)| (most.0.max(x), most.1.max(y)));
        (most.0 > 0.0 && most.1 > 0.0 && most.0.is_finite() && most.1.is_finite()).then(|| Axes { most: (nice(most.0), nice(most.1)) })
    }
    fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (x_of(x / self.most.0), y_of(y / self.most.1))
    }
    fn frame(&self, c: &Canvas<'_>, upwards: &str, below: &str) {
        let parts = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        frame(c, &parts.map(|share| (share, short(self.most.1 * share))), below);
        parts.iter().for_each(|share| tick(c, *share, &short(self.most.0 * share)));
        above(c, upwards);
    }
}

/// The next round number.
fn nice(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().map(|times| times * unit).find(|most| *most >= value).unwrap_or(value)
}

fn short(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.1}").trim_end_matches(".0").into(),
        v => format!("{v:.3}"),
    }
}

/// The capacity curve with its fitted law, and the steps beyond it.
pub fn capacity_plots(points: &[(f64, f64)], law: Option<&Usl>, held: f64, steps: &[Step]) -> Vec<Plot> {
    let mut list = Vec::new();
    let mut add = |name, title, caption, svg: Option<String>| {
        if let Some(svg) = svg {
            list.push(Plot { name, title, caption, svg: finish(svg, title, Ground::File) });
        }
    };
    add(
        "capacity",
        "Capacity",
        "Orders a second by how many are under way at a time (rates that were held), with the fitted law of scalability.",
        curve(points, law, held),
    );
    add("beyond", "Beyond capacity", "Orders answered in time by what was offered, on the way up and back.", beyond(steps));
    list
}

fn curve(points: &[(f64, f64)], law: Option<&Usl>, held: f64) -> Option<String> {
    let axes = Axes::new(points.iter().copied().chain([(0.0, held)]))?;
    canvas(HEIGHT, |c| {
        axes.frame(c, "orders a second", "orders under way");
        if let Some(law) = law {
            let line = (1..=120).map(|n| axes.most.0 * f64::from(n) / 120.0).map(|n| axes.at((n, law.rate(n)))).collect();
            c.line(line, SHIPPED.stroke_width(2));
        }
        for point in points {
            c.dot(axes.at(*point), 5, PLACED);
        }
        level(c, held / axes.most.1, 0.5);
        // on the left, where low rates leave room
        c.text((x_of(0.0) + 8, axes.at((0.0, held)).1 + 12), &format!("held: {}", short(held)), HPos::Left, INK);
    })
}

fn beyond(steps: &[Step]) -> Option<String> {
    let axes = Axes::new(steps.iter().map(|step| (step.offered, step.goodput.max(step.offered / 3.0))))?;
    canvas(HEIGHT, |c| {
        axes.frame(c, "in time, orders a second", "offered, orders a second");
        for (n, (name, color, down)) in [("on the way up", PLACED, false), ("on the way back", COMPLETED, true)].into_iter().enumerate() {
            let line: Vec<(i32, i32)> = steps.iter().filter(|step| step.down == down).map(|step| axes.at((step.offered, step.goodput))).collect();
            line.iter().for_each(|at| c.dot(*at, 5, color));
            c.line(line, color.stroke_width(2));
            key(c, n, 200, name, color);
        }
    })
}

/// Where it came back and where it stayed down: (orders a second, seconds of trigger, came back).
pub fn frontier_plots(cells: &[(f64, f64, bool)]) -> Vec<Plot> {
    let title = "Vulnerability";
    let svg = Axes::new(cells.iter().map(|(rate, lasts, _)| (*rate, *lasts))).and_then(|axes| {
        canvas(HEIGHT, |c| {
            axes.frame(c, "seconds of trigger", "orders a second");
            for (rate, lasts, back) in cells {
                let at = axes.at((*rate, *lasts));
                c.dot(at, 5, if *back { COMPLETED } else { LOST });
                // at the right edge a label ends near its point
                let (x, anchor) = if *rate >= most_of(cells) { (at.0 + 8, HPos::Right) } else { (at.0, HPos::Center) };
                c.text((x, at.1 - 14), if *back { "came back" } else { "stayed down" }, anchor, INK);
            }
        })
    });
    let caption = "Rates and lengths of the trigger after which the target came back by itself, and those after which it did not.";
    svg.map(|svg| Plot { name: "vulnerability", title, caption, svg: finish(svg, title, Ground::File) }).into_iter().collect()
}

fn most_of(cells: &[(f64, f64, bool)]) -> f64 {
    cells.iter().map(|(rate, ..)| *rate).fold(0.0, f64::max)
}

/// What was found under one skew of the keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Skewed {
    pub name: String,
    /// share of the orders that are for the hottest key
    pub hottest: f64,
    pub held: f64,
    pub lost: Option<f64>,
}

/// The rate that was held, by how much of it is for the hottest key.
pub fn skew_plots(rows: &[Skewed]) -> Vec<Plot> {
    let title = "Capacity by skew";
    let mut by_share: Vec<&Skewed> = rows.iter().filter(|row| row.held > 0.0).collect();
    by_share.sort_by(|a, b| a.hottest.total_cmp(&b.hottest));
    let svg = Axes::new(by_share.iter().map(|row| (row.hottest, row.held * 1.1))).and_then(|axes| {
        canvas(HEIGHT, |c| {
            axes.frame(c, "orders a second that were held", "share of the orders that are for the hottest key");
            c.line(by_share.iter().map(|row| axes.at((row.hottest, row.held))).collect(), PLACED.stroke_width(2));
            for row in &by_share {
                let at = axes.at((row.hottest, row.held));
                c.dot(at, 5, PLACED);
                c.text((at.0, at.1 - 14), &format!("{}: {}", row.name, short(row.held)), HPos::Center, INK);
            }
        })
    });
    let caption =
        "The largest rate that was held, by the share of the orders that are for the hottest key. Labels: exponent of Zipf's law, and the rate.";
    svg.map(|svg| Plot { name: "skew", title, caption, svg: finish(svg, title, Ground::File) }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_drawn_and_nothing_where_nothing_was() {
        let step = |factor: f64, down| Step { factor, down, offered: 100.0 * factor, goodput: 90.0, shed: 0.0, wasted: 0.0 };
        let plots = capacity_plots(&[(1.0, 50.0), (3.0, 100.0)], None, 100.0, &[step(1.0, false), step(2.0, false), step(1.0, true)]);
        assert_eq!(plots.iter().map(|plot| plot.name).collect::<Vec<_>>(), ["capacity", "beyond"]);
        assert!(plots[0].svg.contains("held: 100") && plots[1].svg.contains("on the way back"));
        assert!(capacity_plots(&[], None, 0.0, &[]).is_empty());
        let frontier = frontier_plots(&[(100.0, 2.0, true), (100.0, 10.0, false)]);
        assert!(frontier[0].svg.contains("came back") && frontier[0].svg.contains("stayed down"));
        assert!(frontier_plots(&[]).is_empty());
        let skewed = |name: &str, hottest, held| Skewed { name: name.into(), hottest, held, lost: None };
        let skews = skew_plots(&[skewed("one", 1.0, 95.0), skewed("0", 0.001, 940.0)]);
        assert!(skews[0].svg.contains("one: 95") && skews[0].svg.contains("0: 940"));
        assert!(skew_plots(&[skewed("one", 1.0, 0.0)]).is_empty());
    }
}
