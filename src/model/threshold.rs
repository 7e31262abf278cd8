//! Thresholds: `[PHASE:] METRIC OPERATOR LIMIT [abort [after DURATION]]`, such as `peak: latency.ack.p99 < 250ms abort after 30s`.
//!
//! One grammar for the command line, load profiles, scenarios and the header of a history.

use super::metric::{Metric, Moves, Unit};
use crate::sim::Span;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Differs,
}

/// The longer first: `<=` begins as `<` does.
const RELATIONS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("!=", Relation::Differs),
    ("<", Relation::Less),
    (">", Relation::Greater),
];

impl Relation {
    pub fn name(self) -> &'static str {
        RELATIONS.iter().find(|(_, relation)| *relation == self).map_or("", |(name, _)| name)
    }
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Relation::Less => value < limit,
            Relation::AtMost => value <= limit,
            Relation::Greater => value > limit,
            Relation::AtLeast => value >= limit,
            Relation::Equal => value == limit,
            Relation::Differs => value != limit,
        }
    }
}

/// A part of a run, counted from its first moment; what lies exactly at the end is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    pub from: Span,
    pub until: Span,
}

const FOR_EVER: Span = Span(u64::MAX);

impl Window {
    pub fn contains(self, at: Span) -> bool {
        self.from <= at && at < self.until
    }

    /// `1h..2h`; either side may be left out.
    pub fn parse(text: &str) -> Result<Window, String> {
        let (from, until) = text.split_once("..").ok_or_else(|| format!("`{text}` is no part of a run: write it as `1h..2h`, `10m..` or `..10m`"))?;
        let side = |text: &str, otherwise: Span| if text.trim().is_empty() { Ok(otherwise) } else { Span::parse(text) };
        let window = Window { from: side(from, Span::ZERO)?, until: side(until, FOR_EVER)? };
        if window.from >= window.until { Err(format!("`{text}` holds nothing: write the shorter time first")) } else { Ok(window) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = if self.until == FOR_EVER { String::new() } else { exact(self.until) };
        write!(f, "{}..{until}", exact(self.from))
    }
}

/// A duration that reads back as what it is; `Display` gives two units at most.
fn exact(span: Span) -> String {
    let short = span.to_string().replace(' ', "");
    if Span::parse(&short) == Ok(span) { short } else { format!("{}ns", span.0) }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// the name of its phase, where it was given one
    pub phase: Option<String>,
    /// the part of the run that it is about; the whole where none
    pub window: Option<Window>,
    pub metric: Metric,
    pub relation: Relation,
    /// in seconds, orders, parts of one, or orders a second
    pub limit: f64,
    /// as it was written
    limit_text: String,
    /// the case ends as soon as it fails, but not before so much of its phase has passed
    pub abort: Option<Span>,
}

/// What is wrong, and what to do.
pub type Wrong = (String, String);

const FORM: &str =
    "write [PHASE:] METRIC OPERATOR LIMIT, such as `latency.ack.p99 < 250ms`, `orders.failed == 0` or `peak: requests.failed.share < 1%`";

impl Threshold {
    /// The same of another figure.
    pub fn about(&self, metric: Metric) -> Threshold {
        Threshold { metric, ..self.clone() }
    }

    /// A phase that has a name has no window yet: see [`Threshold::within`].
    pub fn parse(text: &str) -> Result<Threshold, Wrong> {
        let bad = |what: String| (what, FORM.to_string());
        let (phase, rest) = text.split_once(':').map_or((None, text), |(phase, rest)| (Some(phase.trim()), rest));
        let at = rest.find(['<', '>', '=', '!']).ok_or_else(|| bad(format!("`{}` compares nothing", text.trim())))?;
        let (metric, rest) = rest.split_at(at);
        let Some((word, relation)) = RELATIONS.iter().find(|(word, _)| rest.starts_with(word)) else {
            let wrong: String = rest.chars().take_while(|c| "<>=!".contains(*c)).collect();
            return Err((format!("`{wrong}` is no operator"), "there are < <= > >= == and !=".into()));
        };
        let metric = Metric::parse(metric.trim())?;
        let words: Vec<&str> = rest[word.len()..].split_whitespace().collect();
        let aborts = words.iter().position(|word| *word == "abort");
        let limit_text = words[..aborts.unwrap_or(words.len())].join(" ");
        let limit = limit(metric, &limit_text)?;
        let abort = match aborts.map(|at| &words[at + 1..]) {
            None => None,
            Some([]) => Some(Span::ZERO),
            Some(["after", delay @ ..]) if !delay.is_empty() => {
                Some(Span::parse(&delay.join(" ")).map_err(|what| (what, "such as `abort after 30s`".to_string()))?)
            }
            Some(other) => return Err((format!("`{}` after `abort` says nothing", other.join(" ")), "write `abort`, or `abort after 30s`".into())),
        };
        if abort.is_some() && metric.is_known_at_the_end() {
            return Err((format!("`{metric}` is known only at the end, so nothing can be aborted for it"), "leave `abort` out".into()));
        }
        if phase.is_some() && !metric.has_phases() {
            return Err((format!("`{metric}` is only measured over the whole run"), "leave the phase out".into()));
        }
        let window = phase.filter(|phase| phase.contains("..")).map(Window::parse).transpose().map_err(|what| (what, FORM.to_string()))?;
        if phase == Some("") {
            return Err(bad("nothing stands before `:`".into()));
        }
        let phase = phase.filter(|_| window.is_none()).map(str::to_owned);
        Ok(Threshold { phase, window, metric, relation: *relation, limit, limit_text, abort })
    }

    /// With the window of its phase, which `phases` has by name; `whose` says whose phases they are.
    pub fn within(mut self, phases: &[(String, Window)], whose: &str) -> Result<Threshold, Wrong> {
        let Some(phase) = &self.phase else { return Ok(self) };
        if let Some((_, window)) = phases.iter().find(|(name, _)| name == phase) {
            self.window = Some(*window);
            return Ok(self);
        }
        let names: Vec<&str> = phases.iter().map(|(name, _)| name.as_str()).collect();
        let likeness = |name: &str| strsim::jaro_winkler(name, phase);
        let nearest = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|name| likeness(name) > 0.75);
        let hint = nearest.map_or(String::new(), |name| format!("did you mean `{name}`? "));
        let there = if names.is_empty() { format!("{whose} names none") } else { format!("{whose} has {}", names.join(", ")) };
        Err((format!("there is no phase named `{phase}`"), format!("{hint}{there}; a part of the run may stand in its place, such as `1h..2h: ..`")))
    }

    /// By the figures as they are shown: what reads 2.6 % is 2.6 %, whatever the last bits of its computation say.
    pub fn holds(&self, value: f64) -> bool {
        self.relation.holds(as_shown(value), as_shown(self.limit))
    }

    /// A value that fails it now may still come to hold it; `best`: as far as it can rise by what is open now, where that is known.
    pub fn may_still_hold(&self, value: f64, best: Option<f64>) -> bool {
        use Relation::{AtLeast, AtMost, Differs, Equal, Greater, Less};
        if let (Some(best), Greater | AtLeast) = (best, self.relation)
            && self.holds(best)
        {
            return true;
        }
        if let (Some(best), Equal) = (best, self.relation)
            && value < self.limit
            && (self.limit < best || self.holds(best))
        {
            return true;
        }
        match (self.metric.moves(), self.relation) {
            (Moves::Up, Greater | AtLeast | Differs) | (Moves::Down, Less | AtMost | Differs) => true,
            (Moves::Up, Equal) => as_shown(value) < as_shown(self.limit),
            (Moves::Down, Equal) => as_shown(value) > as_shown(self.limit),
            _ => false,
        }
    }

    /// The same about the window instead of a name: it can be read without the profile that names it.
    pub fn by_window(&self) -> String {
        Threshold { phase: None, ..self.clone() }.to_string()
    }

    pub fn limit_text(&self) -> &str {
        &self.limit_text
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.phase, &self.window) {
            (Some(name), _) => write!(f, "{name}: ")?,
            (None, Some(window)) => write!(f, "{window}: ")?,
            (None, None) => {}
        }
        write!(f, "{} {} {}", self.metric, self.relation.name(), self.limit_text)?;
        match self.abort {
            None => Ok(()),
            Some(Span::ZERO) => f.write_str(" abort"),
            Some(delay) => write!(f, " abort after {}", exact(delay)),
        }
    }
}

/// To nine decimals, which is as far as results show values and limits.
pub fn as_shown(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

fn limit(metric: Metric, text: &str) -> Result<f64, Wrong> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let wrong = |what: &str, help: &str| (format!("`{text}` is no {what}, and `{metric}` is one"), help.to_string());
    match metric.unit() {
        Unit::Seconds if number(text) == Some(0.0) => Ok(0.0),
        Unit::Seconds => Span::parse(text).map(Span::as_secs_f64).map_err(|_| wrong("duration", "write a number and a unit, such as 250ms or 1.5s")),
        Unit::Share => {
            let share = match text.strip_suffix('%') {
                Some(percent) => number(percent).map(|percent| percent / 100.0),
                None => number(text),
            };
            share.filter(|share| *share <= 1.0).ok_or_else(|| wrong("share", "write it from 0 to 1, or in per cent, such as 0.01 or 1%"))
        }
        Unit::PerSecond => {
            let (value, seconds) = match text.split_once('/').map(|(value, unit)| (value, unit.trim())) {
                None => (text, Some(1.0)),
                Some((value, "s")) => (value, Some(1.0)),
                Some((value, "m" | "min")) => (value, Some(60.0)),
                Some((value, "h")) => (value, Some(3_600.0)),
                Some((value, _)) => (value, None),
            };
            number(value).zip(seconds).map(|(value, seconds)| value / seconds).ok_or_else(|| wrong("rate", "such as 200/s or 12000/min"))
        }
        Unit::Count => number(text).filter(|n| n.fract() == 0.0).ok_or_else(|| wrong("count", "write a whole number, such as 0")),
        Unit::Number => number(text).ok_or_else(|| wrong("number", "such as 3.5")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Threshold {
        Threshold::parse(text).unwrap_or_else(|(what, help)| panic!("{text}: {what}: {help}"))
    }

    #[test]
    fn what_was_written_reads_back() {
        for text in [
            "latency.ack.p99 < 250ms",
            "orders.failed == 0",
            "requests.failed.share <= 0.5%",
            "orders.acked.rate >= 200/s",
            "peak: latency.ack.p99.9 < 1.5s abort after 30s",
            "1h..2h: orders.placed != 0",
            "10m..: latency.ack.max < 2s abort",
            "tickets.per_100 < 3.5",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("  latency.ack.p99<250ms"), parse("latency.ack.p99  <  250ms"));
        assert_eq!(parse("requests.failed.share < 1%").limit, 0.01);
        assert_eq!(parse("orders.acked.rate > 12000/min").limit, 200.0);
        assert_eq!(parse("..10m: latency.ack.p99 < 250ms").window, Some(Window { from: Span::ZERO, until: Span::from_mins(10) }));
    }

    #[test]
    fn a_window_reads_back_to_the_nanosecond() {
        let window = Window { from: Span(3_661_000_000_001), until: Span::from_mins(90) };
        assert_eq!(Window::parse(&window.to_string()), Ok(window));
        let peak = parse("peak: latency.ack.p99 < 1s").within(&[("peak".into(), window)], "it").expect("there");
        assert_eq!((peak.window, Threshold::parse(&peak.by_window()).expect("readable").window), (Some(window), Some(window)));
    }

    #[test]
    fn bad_ones_say_what_to_do() {
        for (text, what, help) in [
            ("latency.ack.p99", "compares nothing", "METRIC OPERATOR LIMIT"),
            ("latency.ack.p99 = 250ms", "`=` is no operator", "=="),
            ("latency.ack.p99 < 250", "no duration", "250ms"),
            ("orders.failed < 1.5", "no count", "whole number"),
            ("requests.failed.share < 5", "no share", "1%"),
            ("orders.acked.rate > 5/day", "no rate", "/s"),
            ("orders.failed == 0 abort", "known only at the end", "leave"),
            ("peak: stock.mismatch.share == 0", "only measured over the whole run", "leave"),
            ("2h..1h: orders.placed > 0", "holds nothing", "PHASE"),
            ("latency.ack.p99 < 1s abort soon", "says nothing", "abort after"),
            ("latency.ack.p99 < 1s abort after soon", "not a duration", "abort after"),
            (": orders.placed > 0", "nothing stands before", "PHASE"),
        ] {
            let (said, helped) = Threshold::parse(text).expect_err(text);
            assert!(said.contains(what) && helped.contains(help), "{text}: {said}: {helped}");
        }
        let phases = [("peak".to_string(), Window { from: Span::ZERO, until: Span(1) })];
        let (said, helped) = parse("peek: orders.placed > 0").within(&phases, "profile x").expect_err("unknown");
        assert!(said.contains("`peek`") && helped.contains("did you mean `peak`? profile x has peak"), "{helped}");
    }

    #[test]
    fn a_border_is_where_the_figures_say_that_it_is() {
        for (few, all) in [(26, 1_000), (29, 1_000), (7, 300), (1, 3)] {
            let share = f64::from(few) / f64::from(all);
            let said = [format!("{:?}", as_shown(share)), format!("{:?}%", as_shown(share * 100.0))];
            for limit in if all == 1_000 { &said[..] } else { &said[..1] } {
                for (relation, holds) in [("<", false), ("<=", true), (">", false), (">=", true), ("==", true), ("!=", false)] {
                    let threshold = parse(&format!("orders.cancelled.share {relation} {limit}"));
                    assert_eq!(threshold.holds(share), holds, "{threshold}: {share}");
                }
            }
        }
        let summed = (0..1_000).map(|_| 0.03).sum::<f64>() / 1_000.0 * 100.0;
        assert!(summed != 3.0 && parse("tickets.per_100 <= 3").holds(summed) && parse("tickets.per_100 == 3").holds(summed));
        assert!(!parse("tickets.per_100 <= 3").holds(3.000_000_01) && !parse("orders.cancelled.share < 2.6%").holds(0.026_000_001));
    }

    #[test]
    fn what_only_grows_may_still_reach_a_lower_limit() {
        assert!(parse("orders.completed >= 10").may_still_hold(3.0, None));
        assert!(parse("orders.completed == 10").may_still_hold(3.0, None));
        assert!(!parse("orders.completed == 10").may_still_hold(11.0, None));
        assert!(!parse("orders.rejected < 10").may_still_hold(11.0, None));
        assert!(!parse("latency.ack.p99 < 1s").may_still_hold(2.0, None));
        assert!(parse("latency.ack.min < 1s").may_still_hold(2.0, None));
        // what is open may still be decided, for better or worse
        for (text, best, may) in [
            ("orders.acked.share >= 99%", 1.0, true),
            ("orders.acked.share >= 99%", 0.98, false),
            ("orders.completed.share == 100%", 1.0, true),
            ("orders.completed.share == 100%", 0.99, false),
            ("orders.cancelled.share <= 1%", 1.0, false),
        ] {
            assert_eq!(parse(text).may_still_hold(0.5, Some(best)), may, "{text} {best}");
        }
    }
}
