//! What a load profile is like, drawn before anybody spends a run on it.

use super::axes::{BOTTOM, HEIGHT, above, frame, key, tick, x_of, y_of};
use super::grid::{seconds, thousands};
use super::plots::{COMPLETED, Ground, INK, PLACED, Plot, SHIPPED, canvas, count_ticks, finish, time_ticks};
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

/// What there is to draw.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shape {
    /// seconds and orders a second, as drawn
    pub counted: Vec<(f64, f64)>,
    /// the same, as expected
    pub expected: Vec<(f64, f64)>,
    /// share of the lines of each SKU, the largest first; empty where a profile has no goods
    pub popularity: Vec<f64>,
    /// probabilities of 1, 2, 3, .. lines of an order, and units of a line
    pub lines: Vec<f64>,
    pub units: Vec<f64>,
}

/// Units in which a rate is told, and their seconds: the first in which it has a digit before the point.
pub const RATE_UNITS: [(&str, f64); 4] = [("a second", 1.0), ("a minute", 60.0), ("an hour", 3_600.0), ("a day", 86_400.0)];

const BARS: usize = 20;
/// What is rarer is not drawn.
const MOST_DECADES: i32 = 9;

/// Rate over time, popularity and baskets, each a file of its own.
pub fn shape_plots(shape: &Shape) -> Vec<Plot> {
    let mut list = Vec::new();
    let mut add = |name, title, caption, svg: Option<String>| {
        if let Some(svg) = svg {
            list.push(Plot { name, title, caption, svg: finish(svg, title, Ground::File) });
        }
    };
    add("rate", "Rate over time", "Orders as drawn, and as expected where the process has a rate.", rate(shape));
    add("popularity", "Popularity", "Share of the lines of each SKU by rank; both axes are logarithmic.", popularity(&shape.popularity));
    add("baskets", "Baskets", "How many lines orders have, and how many units lines have.", baskets(shape));
    list
}

fn rate(shape: &Shape) -> Option<String> {
    let most = shape.counted.iter().chain(&shape.expected).map(|(_, rate)| *rate).fold(0.0, f64::max);
    let end = shape.counted.last().map_or(0.0, |(t, _)| *t).max(shape.expected.last().map_or(0.0, |(t, _)| *t));
    if shape.counted.len() < 2 || most <= 0.0 || end <= 0.0 {
        return None;
    }
    let (per, seconds_of) = RATE_UNITS.into_iter().find(|(_, seconds)| most * seconds >= 1.0).unwrap_or(("a day", 86_400.0));
    // small rates have round ticks too, each with the digits that tell it from the next
    let most = most * seconds_of;
    let decade = (most.log10() - 2.0).floor();
    let unit = 10f64.powf(decade);
    let ticks = count_ticks((most / unit).ceil() as u64);
    let top = ticks.last().copied().unwrap_or(1).max(1) as f64 * unit;
    let step = ticks.get(1).map_or(unit, |step| *step as f64 * unit);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let label = |n: &u64| {
        let value = *n as f64 * unit;
        (value / top, if digits == 0 { thousands(value.round() as u64) } else { format!("{value:.digits$}") })
    };
    canvas(HEIGHT, |c| {
        frame(c, &ticks.iter().map(label).collect::<Vec<_>>(), "time since the first moment");
        for time in time_ticks(end) {
            tick(c, time / end, &if time == 0.0 { "0".into() } else { seconds(time) });
        }
        above(c, &format!("orders {per}"));
        for (n, (name, color, series)) in [("drawn", PLACED, &shape.counted), ("expected", SHIPPED, &shape.expected)].into_iter().enumerate() {
            if series.is_empty() {
                continue;
            }
            key(c, n, 130, name, color);
            c.line(series.iter().map(|(t, rate)| (x_of(t / end), y_of(rate * seconds_of / top))).collect(), color.stroke_width(2));
        }
    })
}

fn popularity(shares: &[f64]) -> Option<String> {
    // of one SKU there are no ranks
    let first = shares.first().copied().filter(|first| *first > 0.0 && shares.len() > 1)?;
    let least = shares.iter().rev().copied().find(|share| *share > 0.0)?;
    let hi = first.log10().ceil() as i32;
    let lo = (least.log10().floor() as i32).clamp(hi - MOST_DECADES, hi - 1);
    let decades = (shares.len() as f64).log10().max(1.0);
    let y = |share: f64| (share.log10() - f64::from(lo)) / f64::from(hi - lo);
    canvas(HEIGHT, |c| {
        // as many digits as a power of ten has
        let percent = |decade: i32| format!("{:.*} %", usize::try_from(-decade - 2).unwrap_or(0), 10f64.powi(decade + 2));
        let ticks: Vec<(f64, String)> = (lo..=hi).map(|decade| (y(10f64.powi(decade)), percent(decade))).collect();
        frame(c, &ticks, "rank of the SKU (logarithmic)");
        for decade in 0..=decades as i32 {
            tick(c, f64::from(decade) / decades, &thousands(10u64.pow(decade as u32)));
        }
        above(c, "share of the lines (logarithmic)");
        // a point for each pixel is enough
        let mut points: Vec<(i32, i32)> = Vec::new();
        for (rank, share) in (1u32..).zip(shares).filter(|(_, share)| **share > 0.0) {
            let at = x_of(f64::from(rank).log10() / decades);
            if points.last().is_none_or(|(last, _)| *last != at) {
                points.push((at, y_of(y(*share))));
            }
        }
        c.line(points, PLACED.stroke_width(2));
    })
}

fn baskets(shape: &Shape) -> Option<String> {
    let bars = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        let mut bars: Vec<f64> = weights.iter().take(BARS).map(|weight| weight / total).collect();
        if let Some(last) = bars.last_mut() {
            *last += weights.iter().skip(BARS).sum::<f64>() / total;
        }
        bars
    };
    let (lines, units) = (bars(&shape.lines), bars(&shape.units));
    let many = lines.len().max(units.len());
    let most = lines.iter().chain(&units).fold(0.0f64, |most, share| most.max(*share));
    if many == 0 || !most.is_finite() || most <= 0.0 {
        return None;
    }
    let top = (most * 10.0).ceil() / 10.0;
    canvas(HEIGHT, |c| {
        let ticks: Vec<(f64, String)> = (0..=(top * 10.0).round() as i32).map(|n| (f64::from(n) / 10.0 / top, format!("{} %", n * 10))).collect();
        frame(c, &ticks, "how many");
        above(c, "share of the orders, and of the lines");
        for (n, (name, color, bars)) in [("lines of an order", PLACED, &lines), ("units of a line", COMPLETED, &units)].into_iter().enumerate() {
            key(c, n, 190, name, color);
            for (k, share) in bars.iter().enumerate() {
                let middle = x_of((k as f64 + 0.35 + 0.3 * n as f64) / many as f64);
                c.line(vec![(middle, BOTTOM), (middle, y_of(share / top))], color.stroke_width(8));
            }
        }
        for k in 0..many {
            let more = if k + 1 == BARS && many == BARS { "+" } else { "" };
            c.text((x_of((k as f64 + 0.5) / many as f64), BOTTOM + 20), &format!("{}{more}", k + 1), HPos::Center, INK);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_is_drawn_and_nothing_is_not() {
        let names = |shape: &Shape| shape_plots(shape).iter().map(|plot| plot.name).collect::<Vec<_>>();
        let rate = vec![(1.0, 0.02), (2.0, 0.05)];
        let all = Shape { counted: rate.clone(), expected: rate, popularity: vec![0.7, 0.3], lines: vec![1.0], units: vec![0.5; 40] };
        assert_eq!(names(&all), ["rate", "popularity", "baskets"]);
        assert!(shape_plots(&all).iter().all(|plot| plot.svg.starts_with("<svg") && !plot.svg.contains("NaN")));
        assert!(names(&Shape::default()).is_empty());
        // so slow that it has to be told by the hour; a batch process has no rate to expect
        let slow = Shape { counted: vec![(1.0, 0.0001), (2.0, 0.0006)], ..Shape::default() };
        let svg = &shape_plots(&slow)[0].svg;
        assert!(svg.contains("orders an hour") && !svg.contains("expected"), "{svg}");
        let labels: Vec<&str> =
            ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"].into_iter().filter(|label| svg.contains(&format!("\n{label}\n"))).collect();
        assert_eq!(labels, ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"], "{svg}");
        let odd = Shape { counted: vec![(0.0, f64::NAN), (0.0, 0.0)], popularity: vec![0.0], lines: vec![0.0], ..Shape::default() };
        assert!(names(&odd).is_empty());
        let steep = Shape { popularity: vec![1.0, 1e-6, 1e-300], ..Shape::default() };
        assert!(shape_plots(&steep)[0].svg.contains("0.0001 %"));
    }
}
