//! What a load profile is like: `plan` with a profile says it, and draws it where that is asked for.

use crate::model::Channel;
use crate::report::{RATE_UNITS, Shape};
use crate::scenario::{Arrival, Base, Goods, LoadProfile, Popularity, Process};
use crate::sim::{Seed, Span};
use crate::workload::arrivals::{Share, due, expected};
use crate::workload::goods::shares;
use crate::workload::{Indices, RHO, seed_of};
use serde_json::{Value, json};
use std::fmt::Write;

/// More are not drawn to know the shape: that takes seconds.
const MOST: u32 = 20_000_000;
/// Points of a course.
const PARTS: usize = 400;

/// A profile with its indices, for so many orders under the seed of a case.
pub(super) struct Look<'a> {
    profile: &'a LoadProfile,
    /// of all orders, or of as many as are drawn
    indices: Indices,
    orders: u32,
    case: Seed,
    shares: Vec<f64>,
}

impl<'a> Look<'a> {
    pub fn of(profile: &'a LoadProfile, orders: u32, case: Seed) -> Look<'a> {
        let indices = Indices::of(due(&profile.arrival, case, seed_of(case, 0), Share::whole(orders.min(MOST))));
        Look { profile, indices, orders, case, shares: profile.goods.as_ref().map(|goods| shares(goods)).unwrap_or_default() }
    }

    /// As many orders as are drawn, in a duration, for each that there is: the rate is so much higher than that of those.
    fn times(&self) -> f64 {
        if self.profile.arrival.duration.is_some() { f64::from(self.orders) / f64::from(self.orders.clamp(1, MOST)) } else { 1.0 }
    }

    /// What is more than by chance grows with the counts.
    fn dispersion(&self) -> Vec<(f64, f64)> {
        // equal gaps and clusters are as they are at any rate
        let times = if matches!(self.profile.arrival.process, Process::Poisson | Process::Batch { .. }) { self.times() } else { 1.0 };
        self.indices.idc.iter().map(|(width, idc)| (*width, 1.0 + (idc - 1.0) * times)).collect()
    }

    pub fn shape(&self) -> Shape {
        let arrival = &self.profile.arrival;
        let counted = self.indices.course(PARTS).into_iter().map(|(middle, rate)| (middle, rate * self.times())).collect();
        let rated = matches!(arrival.process, Process::Poisson | Process::Constant | Process::Hawkes { .. });
        let span = arrival.duration.map_or(self.indices.seconds, |duration| duration.as_secs_f64());
        // as wide as what is counted, or the two would seem to differ
        let parts = PARTS.min((span / self.indices.width.max(f64::MIN_POSITIVE)).ceil() as usize).max(1);
        let mut course = if rated { expected(arrival, self.case, span * 1e9, parts) } else { Vec::new() };
        // orders are fitted into a duration
        let total: f64 = course.iter().sum();
        let scale = if arrival.duration.is_some() && total > 0.0 { f64::from(self.orders) / total } else { 1.0 };
        course.iter_mut().for_each(|orders| *orders *= scale * parts as f64 / span);
        let middle = |n: usize| (n as f64 + 0.5) * span / parts as f64;
        let goods = self.profile.goods.as_ref();
        Shape {
            counted,
            expected: course.into_iter().enumerate().map(|(n, rate)| (middle(n), rate)).collect(),
            popularity: self.shares.clone(),
            lines: goods.map(|goods| goods.lines.weights.clone()).unwrap_or_default(),
            units: goods.map(|goods| goods.qty.weights.clone()).unwrap_or_default(),
        }
    }

    pub fn text(&self) -> String {
        let (profile, indices) = (self.profile, &self.indices);
        let mut out = format!("Load profile {}: {}\n", profile.name, profile.title);
        let mut row = |name: &str, text: String| {
            // writing to a text cannot fail
            let _ = writeln!(out, "  {name:<12} {text}");
        };
        let list =
            |values: &[(f64, f64)]| values.iter().map(|(width, value)| format!("{value:.2} in {}", words(*width))).collect::<Vec<_>>().join(", ");
        row("arrival", process(&profile.arrival));
        let times = self.times();
        let dispersion = self.dispersion();
        if self.orders > MOST {
            let what =
                if times > 1.0 { "counts are those of all by their proportion, and gaps those of the sample" } else { "the others come later" };
            row("drawn", format!("{MOST} of {} orders: {what}", self.orders));
        }
        if indices.seconds > 0.0 {
            let orders = indices.orders as f64 * times;
            row("orders", format!("{orders:.0} in {}, {} in the mean", words(indices.seconds), rate(indices.rate * times)));
            row("peak / mean", list(&indices.peaks));
        } else {
            row("orders", format!("{} at once: there is no rate, and there are no gaps", indices.orders));
        }
        if !indices.idc.is_empty() {
            row("dispersion", format!("{} (variance to mean of counts; a Poisson process has 1)", list(&dispersion)));
        }
        if indices.seconds > 0.0 {
            row("gaps", format!("squared coefficient of variation {:.2} (1 for a Poisson process)", indices.cv2));
        }
        row("Hurst", indices.hurst.map_or("the stream is too short to tell".into(), |hurst| format!("{hurst:.2} (0.5 without memory)")));
        if indices.seconds > 0.0 {
            row("backlog", format!("at most {:.0} orders, for a server of {} times the mean rate", indices.backlog * times, 1.0 / RHO));
        }
        if let Some(goods) = &profile.goods {
            row("baskets", format!("{:.2} lines, {:.2} units a line in the mean; lines of one SKU become one", goods.lines.mean(), goods.qty.mean()));
            row("popularity", self.popularity(goods));
            row("channels", channels(goods));
            let later = &goods.later;
            row("afterwards", format!("{:.1} % cancelled, {:.1} % returned", later.cancel * 100.0, later.returns * 100.0));
            if goods.deltas > 0.0 || goods.snapshot.is_some() {
                let every = goods.snapshot.map_or(String::new(), |every| format!(", a snapshot every {every}"));
                row("feed", format!("{} messages for each order{every}", goods.deltas));
            }
        }
        row("assumed", if profile.assumed.is_empty() { "nothing is labelled so".into() } else { profile.assumed.join(", ") });
        out
    }

    fn popularity(&self, goods: &Goods) -> String {
        let top = |part: f64| self.shares.iter().take((self.shares.len() as f64 * part).ceil() as usize).sum::<f64>() * 100.0;
        let hottest = self.shares.first().copied().unwrap_or(0.0) * 100.0;
        let since = |from: Span| match from {
            Span::ZERO => String::new(),
            from if from.as_secs_f64() > self.indices.seconds => format!(" from {from}, which is after the last order: never asked for"),
            from => format!(" from {from}"),
        };
        let named = |law: &Popularity| format!("{:.0} % {} over {}{}", law.share * 100.0, law.law.name(), law.skus, since(law.from));
        let laws: Vec<String> = goods.popularity.iter().map(named).collect();
        let drift = if goods.drift > 0.0 { format!("; {:.2} % change rank every night", goods.drift * 100.0) } else { String::new() };
        format!(
            "{} SKUs, the first has {hottest:.2} % of the lines once all are asked for, a fifth of them {:.0} % ({}){drift}",
            goods.skus,
            top(0.2),
            laws.join(", ")
        )
    }

    pub fn as_json(&self) -> Value {
        let indices = &self.indices;
        let pairs = |values: &[(f64, f64)]| values.iter().map(|(width, value)| json!({"seconds": width, "value": value})).collect::<Vec<_>>();
        // of orders that come at once nothing can be told that takes time
        let timed = |value: f64| (indices.seconds > 0.0).then_some(value);
        let times = self.times();
        let dispersion = self.dispersion();
        json!({"profile": self.profile.name, "orders": self.orders, "drawn": indices.orders, "seconds": indices.seconds,
            "rate": timed(indices.rate * times), "peak_to_mean": pairs(&indices.peaks), "dispersion": pairs(&dispersion),
            "cv2_of_gaps": timed(indices.cv2), "hurst": indices.hurst, "backlog": timed(indices.backlog * times), "assumed": self.profile.assumed})
    }
}

/// A rate in the unit in which it has a digit before the point.
fn rate(a_second: f64) -> String {
    let (unit, seconds) = RATE_UNITS.into_iter().find(|(_, seconds)| a_second * seconds >= 1.0).unwrap_or(("a day", 86_400.0));
    format!("{:.2} {unit}", a_second * seconds)
}

fn words(seconds: f64) -> String {
    crate::sim::Span::from_secs_f64(seconds).to_string()
}

fn channels(goods: &Goods) -> String {
    let total: f64 = goods.channel_shares.iter().sum();
    let named = Channel::ALL.iter().zip(goods.channel_shares).filter(|(_, share)| *share > 0.0);
    named.map(|(channel, share)| format!("{} {:.0} %", channel.name(), share / total * 100.0)).collect::<Vec<_>>().join(", ")
}

fn process(arrival: &Arrival) -> String {
    let mut parts = vec![match &arrival.process {
        Process::Poisson => "Poisson".to_string(),
        Process::Constant => "equal gaps".into(),
        Process::Burst => "all at once".into(),
        Process::Hawkes { branching, half_life } => format!("Hawkes, branching {branching}, half-life {half_life}"),
        Process::Batch { every, size, .. } => format!("batches of {size} in the median, every {every}"),
        Process::Replay { times, speed } => format!("{} recorded times at {speed} times their speed", times.len()),
    }];
    match &arrival.base {
        Base::Flat => {}
        Base::Stages(stages) => parts.push(format!("{} stages", stages.len())),
        Base::Flash(flash) => {
            parts.push(format!("a flash after {} to {} times the rate in {}, then t^-{}", flash.at, flash.peak, flash.rise, flash.exponent))
        }
    }
    let mut when = |holds: bool, text: String| {
        if holds {
            parts.push(text)
        }
    };
    when(!arrival.slots.is_empty(), format!("{} slots of {}", arrival.slots.len(), arrival.period));
    when(!arrival.days.is_empty(), format!("levels of {} days", arrival.days.len()));
    let cox = &arrival.cox;
    when(cox.day_cv > 0.0, format!("a gamma factor a day (cv {}, correlation {})", cox.day_cv, cox.day_ar1));
    when(cox.hour_cv > 0.0, format!("a gamma factor an hour (cv {})", cox.hour_cv));
    when(!arrival.states.is_empty(), format!("{} random states", arrival.states.len()));
    when(!arrival.waves.is_empty(), format!("{} waves", arrival.waves.len()));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_the_unit_that_shows_it() {
        assert_eq!(
            [100.04, 1.0, 0.5, 0.0006, 1e-5, 0.0].map(rate),
            ["100.04 a second", "1.00 a second", "30.00 a minute", "2.16 an hour", "0.86 a day", "0.00 a day"]
        );
    }
}
