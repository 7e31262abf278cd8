//! `--rate` and `--duration`: a load profile at another pace.

use super::Trouble;
use crate::scenario::{Arrival, LoadProfile, Process};
use crate::sim::{Seed, Span};
use crate::workload::arrivals::{batches_in, expected};
use std::sync::Arc;

/// What the command line says of pace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub rate: Option<&'a str>,
    pub duration: Option<&'a str>,
    pub orders: Option<u32>,
    pub seed: u64,
    /// the most orders that a verb takes
    pub most: u32,
}

fn wrong(what: String, help: &str) -> Trouble {
    Trouble::Usage(format!("error: {what}\n  = help: {help}"))
}

/// Orders a second.
fn rate(text: &str) -> Result<f64, Trouble> {
    let (number, unit) = text.split_once('/').map_or((text, "s"), |(number, unit)| (number, unit.trim()));
    let seconds = match unit {
        "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3_600.0),
        _ => None,
    };
    let number = number.trim().parse::<f64>().ok().filter(|rate| rate.is_finite() && (1e-9..=1e9).contains(rate));
    number.zip(seconds).map(|(number, seconds)| number / seconds).ok_or_else(|| {
        wrong(format!("--rate: `{text}` is no rate"), "orders a second, such as 200, or with a unit: 12000/min, 5000/h; from 1e-9 to 1e9")
    })
}

/// The profile with the mean rate and the length that were asked for.
pub(super) fn paced(mut profile: LoadProfile, asked: Asked<'_>) -> Result<LoadProfile, Trouble> {
    let mean = asked.rate.map(rate).transpose()?;
    let span = |text: &str| match Span::parse(text) {
        Ok(Span::ZERO) => Err(wrong("--duration: no order comes in no time".into(), "such as 10m")),
        Ok(span) => Ok(span),
        Err(why) => Err(wrong(format!("--duration: {why}"), "such as 10m")),
    };
    let ends = asked.duration.map(span).transpose()?;
    let ends =
        if profile.by_rates && mean.is_none() && asked.orders.is_none() && is_rated(&profile) { ends.or(profile.arrival.duration) } else { ends };
    if mean.is_none() && ends.is_none() {
        return Ok(profile);
    }
    let old = &profile.arrival;
    if matches!(old.process, Process::Burst | Process::Replay { .. }) {
        let help = "take a profile whose process is poisson, constant, hawkes or batch; a replay has `speed`";
        return Err(wrong(format!("the orders of load profile `{}` come at given moments: it has no rate and no duration", profile.name), help));
    }
    let counted = |orders: f64| {
        let n = orders.round();
        if n < 1.0 {
            return Err(wrong(
                format!("no order of load profile `{}` would come in that time", profile.name),
                "give a longer --duration, or a higher --rate",
            ));
        }
        if n > f64::from(asked.most) {
            return Err(wrong(format!("that is {n} orders, and {} are the most", asked.most), "give a shorter --duration, or a lower --rate"));
        }
        Ok(n as u32)
    };
    let of = |seconds: f64| Span((seconds * 1e9).round().clamp(1.0, 9e18) as u64);
    let mut arrival = Arrival::clone(old);
    let mut orders = asked.orders.unwrap_or(profile.orders);
    match (mean, ends, asked.orders) {
        (Some(_), Some(_), Some(_)) => {
            return Err(wrong("--orders, --rate and --duration: two of them say the third".into(), "leave one out"));
        }
        // as many orders as come at this rate until the end
        (Some(mean), _, None) if ends.or(old.duration).is_some() => {
            arrival.duration = ends.or(old.duration);
            orders = counted(mean * arrival.duration.map_or(0.0, Span::as_secs_f64))?;
        }
        (Some(_), None, Some(_)) if old.duration.is_some() => {
            let lasts = old.duration.unwrap_or_default();
            let what = format!("load profile `{}` lasts {lasts}, so --rate says how many orders there are, and --orders says it too", profile.name);
            return Err(wrong(what, "leave one of them out, or give --rate and --duration"));
        }
        // the same at every moment: each gap is that of the rate
        (Some(mean), ..) if old.is_plain() => arrival.gap = 1e9 / mean,
        (Some(mean), ..) => arrival.duration = Some(of(f64::from(orders) / mean)),
        (None, _, Some(_)) => arrival.duration = ends,
        // the rate stays what it is, and what would come later does not come
        (None, ..) => {
            orders = counted(own(&profile, ends.unwrap_or_default(), Seed(asked.seed)))?;
            arrival.duration = ends;
        }
    }
    (profile.arrival, profile.orders) = (Arc::new(arrival), orders);
    Ok(profile)
}

fn is_rated(profile: &LoadProfile) -> bool {
    matches!(profile.arrival.process, Process::Poisson | Process::Constant | Process::Hawkes { .. })
}

/// Orders that a profile has up to `ends` at its own pace.
fn own(profile: &LoadProfile, ends: Span, seed: Seed) -> f64 {
    let arrival = &profile.arrival;
    if let Process::Batch { every, jitter, size, sigma, within } = arrival.process {
        let batches = |span: Span| batches_in(span, (every, jitter, within)) as f64;
        return match arrival.duration {
            Some(lasts) => f64::from(profile.orders) * batches(ends) / batches(lasts),
            None => size * (sigma * sigma / 2.0).exp() * batches(ends),
        };
    }
    let open = Arc::new(Arrival { duration: None, ..Arrival::clone(arrival) });
    let mass = |span: Span| expected(&open, seed, span.0 as f64, 1).iter().sum::<f64>();
    match arrival.duration {
        _ if profile.by_rates => mass(ends),
        Some(lasts) => f64::from(profile.orders) * mass(ends) / mass(lasts).max(f64::MIN_POSITIVE),
        None => mass(ends),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Library;

    fn asked<'a>(rate: Option<&'a str>, duration: Option<&'a str>, orders: Option<u32>) -> Asked<'a> {
        Asked { rate, duration, orders, seed: 1, most: 100_000_000 }
    }
    fn shipped(name: &str) -> LoadProfile {
        Library::shipped().expect("sound").load_profile(name).expect("shipped")
    }
    fn made(name: &str, asked: Asked<'_>) -> (u32, Option<Span>) {
        let profile = paced(shipped(name), asked).unwrap_or_else(|trouble| panic!("{trouble}"));
        (profile.orders, profile.arrival.duration)
    }

    #[test]
    fn rate_and_duration_say_how_many_orders() {
        let ten = Some(Span::from_mins(10));
        assert_eq!(made("steady", asked(Some("200"), Some("10m"), None)), (120_000, ten));
        assert_eq!(made("flash-sale", asked(Some("12000/min"), Some("10m"), None)), (120_000, ten));
        // a profile of two hours keeps its shape
        assert_eq!(made("flash-sale", asked(Some("2"), None, None)), (14_400, Some(Span::from_mins(120))));
        // a hundred a second as it stands
        assert_eq!(made("steady", asked(None, Some("10m"), None)), (60_000, ten));
        assert_eq!(made("steady", asked(None, Some("10m"), Some(600))), (600, ten));
        let steady = paced(shipped("steady"), asked(Some("50/s"), None, None)).expect("sound");
        assert_eq!((steady.orders, steady.arrival.duration, steady.arrival.gap), (2_000, None, 2e7));
    }

    #[test]
    fn a_shorter_run_has_what_comes_until_then() {
        let (before, _) = made("flash-sale", asked(None, Some("10m"), None));
        let (most, _) = made("flash-sale", asked(None, Some("2h"), None));
        assert_eq!(most, 5_000);
        // before the sale opens the rate is 1 for 600 s; the rise and the power law after it have 45,000 s of that rate
        assert!((60..72).contains(&before), "{before}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let says = |name: &str, asked: Asked<'_>| paced(shipped(name), asked).expect_err("refused").to_string();
        assert!(says("steady", asked(Some("fast"), None, None)).contains("is no rate"));
        assert!(says("steady", asked(Some("5/day"), None, None)).contains("is no rate"));
        assert!(says("steady", asked(None, Some("0s"), None)).contains("no time"));
        assert!(says("steady", asked(Some("5"), Some("1m"), Some(5))).contains("two of them say the third"));
        assert!(says("flash-sale", asked(Some("5"), None, Some(5))).contains("leave one of them out"));
        assert!(says("steady", asked(Some("1000000"), Some("10d"), None)).contains("are the most"));
        assert!(says("steady", asked(Some("0.001"), Some("1s"), None)).contains("no order"));
    }
}
