//! Thresholds of a case: watched while it runs, where one may end it early, and judged at its end.

use super::Stop;
use super::bounds::Bounded;
use crate::check::Verdict;
use crate::history::{Entry, Observer};
use crate::measure::{Focus, Meter, MeterTotals, Reading};
use crate::model::{Metric, Stage, Threshold, Unit};
use crate::report::ThresholdReport;
use crate::scenario::Case;
use crate::sim::{Span, Timestamp};
use crate::workload::OPENS;

/// A running case is looked at so often, and where it is long after each two hundredth part of what has passed: a look at a histogram takes time.
const LOOKS: Span = Span::from_secs(1);
const PARTS: u64 = 200;

/// What ended a case early.
#[derive(Clone, PartialEq, Debug)]
pub struct Broke {
    pub threshold: Threshold,
    pub at: Timestamp,
    pub value: f64,
    /// why it is no more than the least that it may be; empty where it is the value
    pub least: String,
}

/// Measures a case, and stops it where a threshold says so.
pub struct Gauge {
    meter: Meter,
    /// thresholds that end the case, each with the time from which on it may
    ends: Vec<(Threshold, Timestamp)>,
    next: Timestamp,
    stop: Stop,
    broke: Option<Broke>,
}

/// What is measured for these thresholds.
fn focus(thresholds: &[Threshold], course: bool) -> Focus {
    Focus { opens: Timestamp::ZERO + OPENS, windows: thresholds.iter().filter_map(|threshold| threshold.window).collect(), course }
}

impl Gauge {
    pub fn new(case: &Case, stop: &Stop) -> Gauge {
        Gauge::of(&case.thresholds, case.is_load, stop)
    }

    /// The same for what was recorded: over the same entries it comes to the same end.
    pub fn of(thresholds: &[Threshold], course: bool, stop: &Stop) -> Gauge {
        let ends = thresholds.iter().filter_map(|threshold| {
            let begins = OPENS + threshold.window.map_or(Span::ZERO, |window| window.from);
            threshold.abort.map(|delay| (threshold.clone(), Timestamp::ZERO + begins + delay))
        });
        let ends: Vec<(Threshold, Timestamp)> = ends.collect();
        let stop = if ends.is_empty() { stop.clone() } else { stop.of_case() };
        let next = if ends.is_empty() { Timestamp::NEVER } else { Timestamp::ZERO };
        Gauge { meter: Meter::with(&focus(thresholds, course)), ends, next, stop, broke: None }
    }

    /// What ends the case: whoever runs it listens to this.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    pub fn finish(self) -> (MeterTotals, Option<Broke>) {
        (self.meter.totals(), self.broke)
    }

    fn look(&mut self, now: Timestamp) {
        self.next = now + LOOKS.max(Span(now.0 / PARTS));
        for (threshold, _) in self.ends.iter().filter(|(_, from)| *from <= now) {
            let (value, least) = match self.meter.reading(threshold) {
                Reading::Value(value) if own_lag(threshold, value, |other| self.meter.reading(other)).is_some() => continue,
                Reading::Value(value) if !threshold.holds(value) && !threshold.may_still_hold(value, self.meter.best(threshold)) => {
                    (value, String::new())
                }
                Reading::AtLeast(least, _) if own_lag(threshold, least, |other| self.meter.reading(other)).is_some() => continue,
                Reading::AtLeast(least, why) if exceeds(threshold, least) => (least, why),
                _ => continue,
            };
            self.broke = Some(Broke { threshold: threshold.clone(), at: now, value, least });
            self.next = Timestamp::NEVER;
            self.stop.set();
            return;
        }
    }
}

impl Observer for Gauge {
    fn observe(&mut self, entry: &Entry) {
        self.meter.observe(entry);
        if entry.at >= self.next {
            self.look(entry.at);
        }
    }
}

/// A figure that is at least this cannot hold the threshold.
fn exceeds(threshold: &Threshold, least: f64) -> bool {
    use crate::model::Relation::{AtMost, Equal, Less};
    match threshold.relation {
        Less | AtMost => !threshold.holds(least),
        Equal => !threshold.holds(least) && least > threshold.limit,
        _ => false,
    }
}

/// By how much the harness itself sent late, where the limit might have been kept without that: latencies count from when an order was due, and
/// what was lost before it was sent is no fault of the target's.
fn own_lag(threshold: &Threshold, value: f64, reading: impl Fn(&Threshold) -> Reading) -> Option<f64> {
    let Metric::Latency(stage, aggregate) = threshold.metric else { return None };
    if !stage.counts_from_due() || threshold.holds(value) {
        return None;
    }
    let lag = reading(&threshold.about(Metric::Latency(Stage::SendLag, aggregate)));
    // of few orders both are known as far as the same share of them goes
    let (Reading::Value(lag) | Reading::AtLeast(lag, _)) = lag else { return None };
    threshold.holds(value - lag).then_some(lag)
}

fn late_itself(lag: f64) -> String {
    format!("of that the harness itself was {} late, and without it the limit might hold", Span::from_secs_f64(lag))
}

/// How a case came to its end, as far as thresholds ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct End<'a> {
    /// the record ends before the case did
    pub cut: bool,
    pub broke: Option<&'a Broke>,
    /// why times that were measured cannot be relied on
    pub doubt: Option<&'a str>,
    /// orders waited for ourselves
    pub bounded: Option<&'a Bounded>,
}

/// What came of every threshold.
pub fn judge(thresholds: &[Threshold], totals: &MeterTotals, end: End<'_>) -> Vec<ThresholdReport> {
    thresholds.iter().map(|threshold| one(threshold, totals, end)).collect()
}

fn one(threshold: &Threshold, totals: &MeterTotals, end: End<'_>) -> ThresholdReport {
    let broke = end.broke.filter(|broke| broke.threshold == *threshold);
    let timed = matches!(threshold.metric.unit(), Unit::Seconds | Unit::PerSecond);
    let (verdict, value, reason) = match (broke, totals.reading(threshold)) {
        (_, reading) if timed && end.doubt.is_some() => {
            let value = if let Reading::Value(value) = reading { Some(value) } else { None };
            (Verdict::Unknown, value, end.doubt.unwrap_or_default().to_string())
        }
        (Some(broke), _) => {
            let least = if broke.least.is_empty() { String::new() } else { format!("; at least, for {}", broke.least) };
            (Verdict::Fail, Some(broke.value), format!("ended the case after {}{least}", broke.at.since(Timestamp::ZERO + OPENS)))
        }
        (None, Reading::Nothing(why)) => (Verdict::Unknown, None, why),
        (None, Reading::AtLeast(least, why)) if exceeds(threshold, least) => match own_lag(threshold, least, |other| totals.reading(other)) {
            Some(lag) => (Verdict::Unknown, Some(least), late_itself(lag)),
            None => (Verdict::Fail, Some(least), format!("at least; {why}")),
        },
        (None, Reading::AtLeast(_, why)) => (Verdict::Unknown, None, why),
        (None, Reading::Value(value)) => match threshold.holds(value) {
            true if end.cut => (Verdict::Unknown, Some(value), "it held so far, and the record ends early".into()),
            false if end.cut && threshold.may_still_hold(value, totals.best(threshold)) => {
                (Verdict::Unknown, Some(value), "the record ends early".into())
            }
            true => (Verdict::Pass, Some(value), String::new()),
            false => match own_lag(threshold, value, |other| totals.reading(other)) {
                Some(lag) => (Verdict::Unknown, Some(value), late_itself(lag)),
                None => (Verdict::Fail, Some(value), String::new()),
            },
        },
    };
    // a time that is kept in spite of it is kept
    let explains = |bounded: &Bounded| match threshold.metric.unit() {
        Unit::Seconds => bounded.explains(threshold.limit),
        Unit::PerSecond => bounded.explains_all(),
        _ => false,
    };
    let bounded = end.bounded.filter(|bounded| verdict == Verdict::Fail && explains(bounded));
    let (verdict, reason) = bounded.map_or((verdict, reason), |bounded| (Verdict::Unknown, bounded.why.clone()));
    ThresholdReport {
        threshold: threshold.to_string(),
        metric: threshold.metric.to_string(),
        phase: threshold.phase.clone().or(threshold.window.map(|window| window.to_string())).unwrap_or_default(),
        verdict,
        value,
        limit: threshold.limit,
        limit_said: format!("{} {}", threshold.relation.name(), threshold.limit_text()),
        unit: Metric::unit(threshold.metric).name().into(),
        reason,
        ended_at_s: broke.map(|broke| broke.at.since(Timestamp::ZERO + OPENS).as_secs_f64()),
    }
}

/// The worst of them, and why, in a sentence; nothing where there are none.
pub fn verdict(reports: &[ThresholdReport]) -> (Verdict, String) {
    let worst = reports.iter().fold(Verdict::NotApplicable, |worst, report| worst.merge(report.verdict));
    // what ended the case says why it came to the others
    let first = reports.iter().filter(|report| report.verdict == worst).max_by_key(|report| report.ended_at_s.is_some());
    let said = first.filter(|_| matches!(worst, Verdict::Fail | Verdict::Unknown)).map_or(String::new(), ThresholdReport::sentence);
    (worst, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the harness lost, with a 99th percentile of 69 ms of which it was `lag` late itself.
    fn lost(text: &str, lag: f64) -> Option<f64> {
        let threshold = Threshold::parse(text).unwrap();
        own_lag(&threshold, 0.069, |other| {
            assert_eq!(other.metric.to_string(), "latency.send_lag.p99");
            Reading::Value(lag)
        })
    }

    #[test]
    fn a_limit_that_only_the_harness_broke_is_nobodys_failure() {
        assert_eq!(lost("latency.ack.p99 < 50ms", 0.023), Some(0.023));
        assert_eq!(lost("latency.order_to_accept.p99 <= 50ms", 0.023), Some(0.023));
        // it would have been broken without it
        assert_eq!(lost("latency.ack.p99 < 50ms", 0.015), None);
        assert_eq!(lost("latency.ack.p99 < 46ms", 0.023), None);
        // it is kept
        assert_eq!(lost("latency.ack.p99 < 70ms", 0.023), None);
        // counted from when it was sent
        assert_eq!(lost("latency.ack_service.p99 < 50ms", 0.023), None);
        assert_eq!(lost("requests.failed == 0", 0.023), None);
    }

    #[test]
    fn of_few_orders_the_harness_is_not_held_against_the_target_either() {
        let threshold = Threshold::parse("latency.ack.p99 < 50ms").unwrap();
        let lag = |lag| own_lag(&threshold, 0.069, |_| Reading::AtLeast(lag, "there are few".into()));
        assert_eq!((lag(0.023), lag(0.015)), (Some(0.023), None));
    }

    #[test]
    fn where_the_harness_was_not_late_there_is_nothing_to_take_away() {
        let threshold = Threshold::parse("latency.ack.p99 < 50ms").unwrap();
        assert_eq!(own_lag(&threshold, 0.069, |_| Reading::Nothing("in virtual time it never is".into())), None);
    }
}
