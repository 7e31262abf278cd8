//! The profile as a file: what was fitted, written so that a person can read and change it.

use super::axis::{Axis, BEGINS_S, DAY_S};
use super::drift::Drift;
use super::events::{Crowd, Event, Shape};
use super::laws::{self, Catalogue, Number};
use super::trials::{Times, Wares};
use super::verify::Counted;
use super::{Afterwards, Shoppers};
use crate::sim::Span;
use std::fmt::{Display, Write};

/// What goes into the file.
pub(super) struct Parts<'a> {
    pub name: &'a str,
    pub title: String,
    pub about: String,
    pub axis: &'a Axis,
    pub times: &'a Times,
    pub wares: Wares,
    pub counted: &'a Counted,
    /// of each SKU, the most popular first
    pub popularity: &'a [f64],
    pub shoppers: &'a Shoppers,
    pub after: Option<&'a Afterwards>,
}

impl Parts<'_> {
    pub fn text(&self) -> String {
        let mut out = String::new();
        // writing to a text cannot fail
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        line(format!("name = {}\ntitle = {}", quoted(self.name), quoted(&self.title)));
        line(format!("about = {}\norders = {}", quoted(&self.about), self.axis.times.len()));
        self.arrival(&mut line);
        line(format!("\n[goods]\nskus = {}", self.wares.catalogue.map_or(self.popularity.len(), |all| all.skus)));
        if let Some((price, sigma)) = self.shoppers.price {
            line(format!("price = {price}\nprice_sigma = {:?}", digits(sigma)));
        }
        let skus = self.popularity.len();
        let weights = |of: &dyn Fn(f64) -> f64| {
            let weights: Vec<f64> = self.popularity.iter().map(|weight| digits(of(*weight))).collect();
            format!("law = \"empirical\"\nweights = {}", list(&weights, 20))
        };
        let (told, law) = match (self.wares.catalogue, self.wares.drift) {
            (Some(Catalogue { sigma, .. }), _) => {
                let told = format!("{skus} SKUs sold, most of them a few times: more than these are on offer");
                (told, format!("law = \"lognormal\"\nsigma = {:?}", digits(sigma)))
            }
            (None, None) if laws::alike(self.popularity) => ("SKUs differ no more than by chance".into(), "law = \"uniform\"".into()),
            (None, None) => ("lines of each SKU, less what is chance in them, the most popular first".into(), weights(&|weight| weight)),
            (None, Some(Drift { nightly, steeper })) => {
                line(format!("drift = {:?}", digits(nightly)));
                let told = format!(
                    "lines of each SKU, less what is chance in them, to the power of {steeper}, the most popular first: drift flattens them to what they were"
                );
                (told, weights(&|weight| libm::pow(weight, steeper)))
            }
        };
        line(format!("# {told}"));
        line(format!("[[goods.popularity]]\n{law}"));
        for (name, (law, numbers)) in [("lines", (self.wares.lines, &self.counted.lines)), ("qty", (self.wares.units, &self.counted.units))] {
            line(format!("\n[basket.{name}]"));
            let most = numbers.counts.len().max(1);
            match law {
                Number::NegativeBinomial { r, p } => {
                    line(format!("law = \"negative_binomial\"\nr = {:?}\np = {:?}\nmost = {most}", digits(r), digits(p)))
                }
                Number::Lognormal { mu, sigma } => {
                    line(format!("law = \"lognormal\"\nmu = {:?}\nsigma = {:?}\nmost = {most}", digits(mu), digits(sigma)))
                }
                Number::Empirical => line(format!("law = \"empirical\"\nweights = {}", list(&numbers.counts, 20))),
            }
        }
        if let Some(channels) = &self.shoppers.channels {
            let all = channels.values().sum::<u64>().max(1) as f64;
            line("\n[channels]".into());
            channels.iter().for_each(|(channel, orders)| line(format!("{channel} = {:?}", digits(*orders as f64 / all))));
        }
        let Shoppers { people, west, .. } = self.shoppers;
        if people.is_some() || west.is_some() {
            line("\n[shoppers]".into());
            people.iter().for_each(|people| line(format!("people = {people}")));
            west.iter().for_each(|west| line(format!("west = {:?}", digits(*west))));
        }
        if let Some(after) = self.after {
            line("\n[after]".into());
            let range = |(lo, hi): (Span, Span)| format!("{}..{}", minutes(lo), minutes(hi));
            if after.cancel > 0.0 {
                line(format!("cancel = {:?}\ncancel_after = {:?}", digits(after.cancel), range(after.cancel_after)));
            }
            if after.returns > 0.0 {
                line(format!("return = {:?}\nreturn_after = {:?}", digits(after.returns), range(after.return_after)));
            }
        }
        out
    }

    fn arrival(&self, line: &mut dyn FnMut(String)) {
        let (axis, rate) = (self.axis, &self.times.rate);
        let duration = axis.days as f64 * DAY_S - BEGINS_S;
        line("\n[arrival]".into());
        match &self.times.clusters {
            Some(clusters) => {
                // the file counts in time at the mean rate
                let half_life = clusters.half_life * duration / axis.times.len() as f64;
                let ns = (half_life * 1e9).round().clamp(1.0, 1e18);
                line(format!("process = \"hawkes\"\nbranching = {:?}\nhalf_life = \"{}\"", digits(clusters.branching), Span(ns as u64).exact()));
            }
            None => line("process = \"poisson\"".into()),
        }
        // slots of mean 1, so that the rate is that of a day of level 1
        let mean = rate.slots.iter().sum::<f64>() / rate.slots.len() as f64;
        line(format!("rate = {:?}", digits(mean.max(1e-9))));
        line(format!("duration = \"{}h\"", (duration / 3_600.0).round() as u64));
        if rate.slots.len() > 1 {
            let slots: Vec<String> = rate.slots.iter().map(|slot| format!("{:?}", digits(slot / mean))).collect();
            line(format!("period = \"{}d\"", rate.period));
            line(format!("# from midnight of the day before {}, {} a day", axis.first, rate.of_day()));
            line(format!("slots = {}", list(&slots, 12)));
        }
        let days: Vec<String> = rate.levels.iter().map(|level| format!("{:?}", digits(*level))).collect();
        line(format!("# the first is the day before {}, on which the run begins and nothing comes", axis.first));
        line(format!("days = {}", list(&days, 14)));
        if let Some(factor) = self.times.factor {
            line(format!("cox = {{ day_cv = {:?}, day_ar1 = {:?} }}", digits(factor.cv), digits(factor.ar1)));
        }
        for Event { date, orders, usual, shape } in &rate.events {
            match shape {
                Shape::Level(times) => {
                    line(format!("# {date} has a level of its own, {times:.2} times the usual: {orders} orders, usual {usual:.0}"))
                }
                Shape::Crowd { crowd: Crowd { at_s, orders: of_crowd, median_s, sigma }, level } => {
                    let span = |seconds: f64| Span(((seconds * 1e9).round().max(1.0)) as u64).exact();
                    let rest = if *level == 1.0 { String::new() } else { format!("; the rest of the day has a level of {level:.2} times the usual") };
                    line(format!(
                        "# {date}: {orders} orders, usual {usual:.0}{rest}\n[[arrival.wave]]\nat = \"{}\"",
                        span((at_s - BEGINS_S).round())
                    ));
                    line(format!("orders = {:?}\nlaw = \"lognormal\"", digits(*of_crowd)));
                    line(format!("scale = \"{}\"\nshape = {:?}", span(median_s.round().max(1.0)), digits(*sigma)));
                }
            }
        }
    }
}

/// Whole minutes, which is what shoppers are known by.
fn minutes(span: Span) -> String {
    format!("{}m", span.0 / 60_000_000_000)
}

/// Five significant digits.
fn digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let unit = libm::pow(10.0, 4.0 - libm::floor(libm::log10(value.abs())));
    // the division brings the shortest form of the decimal number back
    let rounded = (value * unit).round() / unit;
    format!("{rounded:.12}").parse().unwrap_or(rounded)
}

fn list<T: Display>(values: &[T], a_line: usize) -> String {
    let rows: Vec<String> = values.chunks(a_line).map(|row| row.iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")).collect();
    format!("[\n  {},\n]", rows.join(",\n  "))
}
