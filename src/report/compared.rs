//! A history beside what its fitted profile makes.

use super::axes::{HEIGHT, above, frame, key, tick, x_of, y_of};
use super::plots::{Canvas, Ground, PLACED, Plot, SHIPPED, canvas, finish};
use plotters::style::{Color, RGBColor};

/// What there is to draw: always the history first, then the replicas.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Compared {
    /// share of the orders in each hour of a week
    pub week: [Vec<f64>; 2],
    /// share of the orders on each day; of the replicas one
    pub days: [Vec<f64>; 2],
    /// share of the lines by rank
    pub ranks: [Vec<f64>; 2],
    /// length in mean gaps, and share of the gaps that are longer
    pub gaps: [Vec<(f64, f64)>; 2],
    /// share of orders with 1, 2, 3, .. lines
    pub lines: [Vec<f64>; 2],
}

const NAMES: [(&str, RGBColor); 2] = [("history", PLACED), ("replicas", SHIPPED)];
/// Logarithmic axes go down so far.
const DECADES: f64 = 6.0;
const ORDERS: &str = "share of the orders";
/// Orders with more lines are not drawn one by one.
const MOST_LINES: usize = 60;

/// The week, the days, popularity, gaps and baskets, each a file of its own.
pub fn compared_plots(compared: &Compared) -> Vec<Plot> {
    let mut list = Vec::new();
    let mut add = |name, title, caption, svg: Option<String>| {
        if let Some(svg) = svg {
            list.push(Plot { name, title, caption, svg: finish(svg, title, Ground::File) });
        }
    };
    let numbered = |lists: &[Vec<f64>; 2], most: usize| -> [Vec<(f64, f64)>; 2] {
        [0, 1].map(|n| lists[n].iter().take(most).enumerate().map(|(at, value)| (at as f64, *value)).collect())
    };
    add(
        "week",
        "Hours of the week",
        "Share of the orders in each hour of a week.",
        linear(&numbered(&compared.week, 168), ("hour of the week, which begins on the weekday before the first day", ORDERS), 24.0),
    );
    let days = compared.days[0].len();
    // whole weeks between the ticks, and about a dozen of these
    let step = 7.0 * (days as f64 / 84.0).ceil();
    add(
        "days",
        "Days",
        "Share of the orders on each day; of the replicas the first.",
        linear(&numbered(&compared.days, days), ("day", ORDERS), step),
    );
    let logs = |lists: &[Vec<f64>; 2]| -> [Vec<(f64, f64)>; 2] {
        let point = |(at, value): (usize, &f64)| ((at as f64 + 1.0).log10(), value.log10());
        [0, 1].map(|n| lists[n].iter().enumerate().filter(|(_, value)| **value > 0.0).map(point).collect())
    };
    add(
        "popularity",
        "Popularity",
        "Share of the lines of each SKU by rank; both axes are logarithmic.",
        logarithmic(&logs(&compared.ranks), ("rank", "share of the lines"), true),
    );
    let gaps = [0, 1].map(|n| compared.gaps[n].iter().filter(|(_, share)| *share > 0.0).map(|(x, share)| (*x, share.log10())).collect());
    add(
        "gaps",
        "Gaps",
        "Share of the gaps longer than so many expected orders; a straight line is a Poisson process.",
        logarithmic(&gaps, ("expected orders between two orders", "share of the gaps that are longer"), false),
    );
    add(
        "baskets",
        "Baskets",
        "Share of orders with so many lines, from 1 on.",
        linear(&numbered(&compared.lines, MOST_LINES), ("lines less 1", ORDERS), 10.0),
    );
    list
}

fn ground(c: &Canvas<'_>, ticks: &[(f64, String)], (x, y): (&str, &str)) {
    frame(c, ticks, x);
    above(c, y);
    NAMES.into_iter().enumerate().for_each(|(n, (name, color))| key(c, n, 130, name, color));
}

/// The next of 1, 2, 5, 10 .. that is no smaller.
fn round_step(step: f64) -> f64 {
    let decade = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * decade).find(|round| *round >= step * (1.0 - 1e-9)).unwrap_or(step)
}

/// Points from 0 on, shares that begin at 0.
fn linear(series: &[Vec<(f64, f64)>; 2], titles: (&str, &str), step: f64) -> Option<String> {
    let points = || series.iter().flatten().filter(|(_, y)| y.is_finite());
    let (end, top) = (points().map(|p| p.0).fold(0.0, f64::max), points().map(|p| p.1).fold(0.0, f64::max));
    if end <= 0.0 || top <= 0.0 {
        return None;
    }
    canvas(HEIGHT, |c| {
        let step_y = round_step(top / 4.0);
        let digits = (-(step_y * 100.0).log10().floor()).max(0.0) as usize;
        let label = |n: usize| (n as f64 * step_y / top, format!("{:.digits$} %", n as f64 * step_y * 100.0));
        ground(c, &(0..=(top / step_y) as usize).map(label).collect::<Vec<_>>(), titles);
        for n in 0..=(end / step) as usize {
            let at = n as f64 * step;
            tick(c, at / end, &format!("{at:.0}"));
        }
        for (n, (_, color)) in NAMES.into_iter().enumerate() {
            c.line(series[n].iter().map(|(x, y)| (x_of(x / end), y_of(y / top))).collect(), color.stroke_width(2));
        }
    })
}

/// Points whose shares, and where `both` their places, are powers of ten.
fn logarithmic(series: &[Vec<(f64, f64)>; 2], titles: (&str, &str), both: bool) -> Option<String> {
    let points = || series.iter().flatten().filter(|(x, y)| x.is_finite() && y.is_finite());
    let (end, top) = (points().map(|p| p.0).fold(0.0, f64::max), points().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max).ceil());
    let low = points().map(|p| p.1).fold(f64::INFINITY, f64::min).floor().max(top - DECADES);
    if end <= 0.0 || !low.is_finite() || top <= low {
        return None;
    }
    canvas(HEIGHT, |c| {
        let label = |decade: i32| ((f64::from(decade) - low) / (top - low), format!("{} %", 10f64.powi(decade + 2)));
        ground(c, &(low as i32..=top as i32).map(label).collect::<Vec<_>>(), titles);
        for n in 0..=end as i32 {
            let text = if both { format!("{}", 10f64.powi(n)) } else { n.to_string() };
            tick(c, f64::from(n) / end, &text);
        }
        for (n, (_, color)) in NAMES.into_iter().enumerate() {
            // a point for each pixel is enough
            let mut drawn: Vec<(i32, i32)> = Vec::new();
            for (x, y) in &series[n] {
                let at = (x_of(x / end), y_of((y - low) / (top - low)));
                if drawn.last() != Some(&at) {
                    drawn.push(at);
                }
            }
            for at in &drawn {
                c.dot(*at, 1, color);
            }
            c.line(drawn, color.stroke_width(2));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_is_drawn_and_nothing_is_not() {
        assert!(compared_plots(&Compared::default()).is_empty());
        let two = |list: &[f64]| [list.to_vec(), list.to_vec()];
        let gaps = vec![(0.0, 1.0), (1.0, 0.3), (2.0, 0.0)];
        let all = Compared {
            week: two(&[0.1, 0.9]),
            days: two(&[0.0, 0.3, 0.7]),
            ranks: two(&[0.7, 0.3]),
            gaps: [gaps.clone(), gaps],
            lines: two(&[0.5, 0.2, 0.3]),
        };
        let drawn = compared_plots(&all);
        assert_eq!(drawn.iter().map(|plot| plot.name).collect::<Vec<_>>(), ["week", "days", "popularity", "gaps", "baskets"]);
        assert!(drawn.iter().all(|plot| plot.svg.starts_with("<svg") && !plot.svg.contains("NaN")));
    }
}
