//! `probe`: something goes wrong for a while and is gone again. Does the target come back by itself?
//!
//! A state that stays bad after its trigger is gone is a metastable failure (Bronson et al., HotOS 2021): retries of clients, say, keep up the very
//! load that made them. Where it stays down, the load is cut to half, a quarter and nothing, to see what it takes. Who was not well before the trigger
//! shows nothing of it.

use super::super::{Ended, Stop, Trouble, say};
use super::rig::{Flaw, MOST_ORDERS, Rig, at_rate, flaw};
use super::spec;
use super::told::command;
use super::trigger::{LEFT, SPIKE};
use super::watch::Seconds;
use crate::capacity::{Objective, Second, itself_before, recovered};
use crate::cli::{Format, ProbeArgs, Trigger};
use crate::report;
use crate::scenario::{Arrival, Base, Stage};
use crate::sim::{Span, Timestamp};
use crate::target::{Brownout, Lane, ServiceModel};
use crate::workload::OPENS;
use serde_json::json;

/// Before the trigger, to know what is usual.
const BASELINE_S: u64 = 30;
/// It is watched for so long at least after the trigger, and for so many times the trigger; where it is known how long it takes to work off what was
/// left, with all that clients send again, twice as long as that and a minute, but no longer than an hour.
const WATCHED_S: u64 = 120;
const WATCHED_TIMES: u64 = 10;
const WATCHED_IDEALS: f64 = 2.0;
const WATCHED_MORE_S: f64 = 60.0;
const WATCHED_MOST_S: u64 = 3_600;
/// Where it stays down: shares of the load. After none at all the whole load comes back for a while, for without any nobody can be late.
const CURES: [f64; 3] = [0.5, 0.25, 0.0];
const BACK_S: u64 = 60;
/// One after another, each for so long, on a live target. What has queued up for minutes takes many to be worked off, so in virtual time each is tried
/// from where it stayed down, and longer: so many seconds, or so many orders at the whole rate.
const CURE_S: u64 = 60;
const CURE_VIRTUAL_S: u64 = 1_800;
const CURE_ORDERS: f64 = 2e6;

/// What is offered in one trial: as usual, the trigger, as before, and the cures.
#[derive(Clone, Copy)]
struct Course<'a> {
    rate: f64,
    lasts: u64,
    /// how long it takes who works off what was left and nothing else
    ideal: Option<f64>,
    /// the same for whoever has each order sent to him as often as its client ever may, where that is no more than he can do
    drained: Option<f64>,
    cures: &'a [f64],
    cure_s: u64,
}

impl Course<'_> {
    fn begins(self) -> usize {
        BASELINE_S as usize
    }
    fn ends(self) -> usize {
        (BASELINE_S + self.lasts) as usize
    }
    /// How long it is watched whether it comes back by itself.
    fn until(self) -> usize {
        self.ends() + self.watched_s() as usize
    }
    fn watched_s(self) -> u64 {
        let least = WATCHED_S.max(WATCHED_TIMES * self.lasts);
        let longest = self.drained.or(self.ideal).map_or(0.0, |seconds| WATCHED_IDEALS * seconds + WATCHED_MORE_S);
        least.max((longest as u64).min(WATCHED_MOST_S))
    }

    /// Shares of the rate, each with its seconds.
    fn parts(self, spike: f64) -> Vec<(f64, u64)> {
        let mut parts = vec![(1.0, BASELINE_S), (spike, self.lasts), (1.0, self.watched_s())];
        for share in self.cures {
            parts.push((*share, self.cure_s));
            if *share == 0.0 {
                parts.push((1.0, BACK_S));
            }
        }
        parts
    }

    fn seconds(self) -> u64 {
        self.parts(1.0).iter().map(|part| part.1).sum()
    }

    fn orders(self, spike: f64) -> f64 {
        self.parts(spike).iter().map(|(share, seconds)| share * *seconds as f64).sum::<f64>() * self.rate
    }

    fn itself(self, seen: &[Second], quantile: f64) -> Option<usize> {
        recovered(seen.get(..self.until())?, self.begins(), self.ends(), quantile)
    }

    /// The first share of the load by which it came back, and after how many seconds of it, as far as it was seen.
    fn cured(self, seen: &[Second], quantile: f64) -> Option<(f64, usize)> {
        let mut from = self.until();
        for share in self.cures {
            let over = from + self.cure_s as usize;
            let (looks, to) = if *share == 0.0 { (over, over + BACK_S as usize) } else { (from, over) };
            if let Some(after) = recovered(&seen[..seen.len().min(to)], self.begins(), looks, quantile) {
                return Some((*share, looks - from + after));
            }
            from = to;
        }
        None
    }

    /// Whether what was seen of its first seconds is all that it takes.
    fn is_told(self, seen: &[Second], quantile: f64) -> bool {
        match seen.len() {
            len if len < self.begins() => false,
            len if len == self.begins() => !itself_before(seen, len, quantile),
            len if len < self.until() => false,
            len if len == self.until() => self.itself(seen, quantile).is_some(),
            _ => self.cured(seen, quantile).is_some(),
        }
    }
}

/// One cell of the grid.
struct Cell {
    rate: f64,
    lasts: u64,
    /// it held the rate before the trigger
    before: bool,
    recovered: Option<usize>,
    /// for how long that was waited for
    watched_s: u64,
    /// how long it takes who works off what was left and nothing else
    ideal: Option<f64>,
    drained: Option<f64>,
    /// the share of the load at which it came back, where it had stayed down, and after how many seconds
    cured: Option<(f64, usize)>,
    /// for how long each share is tried at most
    cure_s: u64,
    /// orders answered in time of those that were due while it was watched
    good: f64,
    flaw: Option<Flaw>,
}

impl Cell {
    /// It stayed down for longer than it takes to work off what was left.
    fn stayed_down(&self) -> bool {
        self.before && self.recovered.is_none() && self.drained.or(self.ideal).is_none_or(|seconds| seconds <= self.watched_s as f64)
    }
    /// It was not watched for long enough to know.
    fn is_open(&self) -> bool {
        self.before && self.recovered.is_none() && !self.stayed_down()
    }
}

pub fn probe(args: &ProbeArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let objective = spec::objective(&args.loaded.objective, 0.0)?;
    let bad = |what: String| Trouble::Usage(format!("error: {what}"));
    if let Some(rate) = args.rate.iter().find(|rate| !rate.is_finite() || !(0.1..=1e5).contains(*rate)) {
        return Err(bad(format!("--rate: {rate} is no rate from 0.1 to 100000 orders a second")));
    }
    let lasts: Vec<u64> = args
        .lasts
        .iter()
        .map(|text| match Span::parse(text) {
            Ok(span) if span >= Span::from_secs(1) && span <= Span::from_mins(10) => Ok(span.0 / 1_000_000_000),
            Ok(_) => Err(bad(format!("--lasts: {text} is not between 1s and 10m"))),
            Err(why) => Err(bad(format!("--lasts: {why}"))),
        })
        .collect::<Result<_, _>>()?;
    if args.trigger == Trigger::Brownout && args.loaded.target != "embedded" {
        return Err(bad("--trigger brownout is for the embedded target: nobody here can slow a live one down\n  = help: --trigger spike".into()));
    }
    let mut rig = Rig::new(&args.loaded, None, stop)?;
    let human = args.loaded.format == Format::Human;
    let (name, id) = (rig.setup.target.clone(), rig.named());
    let (trigger, what) = (args.trigger.name(), args.trigger.says());
    // of whatever length
    if let Some(why) = args.trigger.rule(Span::from_secs(1)).and_then(|rule| rig.cannot(&rule)) {
        return Err(bad(format!("--trigger {trigger}: {why}\n  = help: --trigger spike or blackhole")));
    }
    let live = args.loaded.target != "embedded";
    let capacity = if live { None } else { capacity_of(&rig.setup.conditions.service) };
    let ideal = |rate: f64, lasts: u64| args.trigger.ideal(rate / capacity?, lasts);
    let attempts = 1.0 + rig.setup.conditions.client.retries.map_or(0.0, f64::from);
    let drained = |rate: f64, lasts: u64| ideal(rate * attempts, lasts).filter(|seconds| seconds.is_finite());
    let of = |rate: f64, lasts: u64| {
        courses(live, Course { rate, lasts, ideal: ideal(rate, lasts), drained: drained(rate, lasts), cures: &CURES, cure_s: CURE_S })
    };
    let grid: Vec<Vec<Course<'_>>> = args.rate.iter().flat_map(|rate| lasts.iter().map(|lasts| of(*rate, *lasts))).collect();
    // who has no orders left is no longer put under load, and what comes of it would be told as if he were
    if let Some(course) = grid.iter().flatten().find(|course| course.orders(SPIKE) > MOST_ORDERS) {
        let (rate, lasts, orders) = (course.rate, course.lasts, course.orders(SPIKE));
        return Err(bad(format!(
            "--rate {rate} with --lasts {lasts}s: takes up to {orders:.0} orders, and one trial may have {MOST_ORDERS:.0}\n  = help: a lower rate, or a shorter trigger"
        )));
    }
    if human {
        say(&format!(
            "{id} against {name}: {what} for a while, then as before\n\n{:>10} {:>8} {:>18} {:>10} {:>10}  cure\n",
            "orders/s", "trigger", "itself again after", "ideal", "in time"
        ));
    }
    let mut cells = Vec::new();
    let in_all: f64 = grid.iter().flatten().map(|course| course.seconds() as f64).sum();
    let mut offered = 0.0;
    'grid: for courses in &grid {
        let mut told: Option<Cell> = None;
        for course in courses {
            let left = (cells.len(), in_all - offered);
            let Some(mut cell) = one(&mut rig, args.trigger, *course, objective, left)? else { break 'grid };
            offered += course.seconds() as f64;
            // what was done wrong under one share stays wrong, whatever comes of the next
            cell.flaw = told.and_then(|before| before.flaw).or(cell.flaw);
            let ends = !cell.before || cell.recovered.is_some() || cell.cured.is_some();
            told = Some(cell);
            if ends {
                break;
            }
        }
        let Some(cell) = told else { continue };
        let line = row(&cell);
        if human {
            rig.progress.aside(|| say(&line));
        }
        rig.progress.ended(line.trim());
        cells.push(cell);
    }
    let list: Vec<serde_json::Value> = cells
        .iter()
        .map(|cell| {
            json!({"rate": cell.rate, "trigger_s": cell.lasts, "itself_before": cell.before, "recovered_after_s": cell.recovered, "watched_s": cell.watched_s, "ideal_s": cell.ideal,
                "cured_at_load": cell.cured.map(|cured| cured.0), "cured_after_s": cell.cured.map(|cured| cured.1), "in_time": cell.good,
                "flaw": cell.flaw.as_ref().map(Flaw::why)})
        })
        .collect();
    let command = probe_command(args, trigger);
    let summary = json!({"command": command, "partial": stop.is_set(), "scenario": args.loaded.scenario, "target": name, "trigger": trigger, "client": args.loaded.client,
        "service": args.loaded.service, "cells": list});
    rig.write("probe.json", &format!("{summary:#}\n"))?;
    let asked = || cells.iter().filter(|cell| cell.before);
    let frontier: Vec<(f64, f64, bool)> =
        asked().filter(|cell| !cell.is_open()).map(|cell| (cell.rate, cell.lasts as f64, cell.recovered.is_some())).collect();
    for plot in report::frontier_plots(&frontier) {
        rig.write(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    if human {
        let down = asked().filter(|cell| cell.stayed_down()).count();
        let open = asked().filter(|cell| cell.is_open()).count();
        let stopped = if cells.len() < grid.len() { format!("Stopped after {} of {} trials.\n", cells.len(), grid.len()) } else { String::new() };
        let trials = |n: usize| format!("{n} {}", if n == 1 { "trial" } else { "trials" });
        let told = match (asked().count(), down) {
            (0, _) if cells.is_empty() => "It was not seen in any trial.".into(),
            (0, _) => String::new(),
            (of, 0) => format!("It came back by itself in {} of {}.", of - open, trials(cells.len())),
            (_, down) => format!("It stayed down in {down} of {}: metastable.", trials(cells.len())),
        };
        let told = match open {
            0 => told,
            n => format!(
                "{told}\nIn {} it was not watched for as long as it takes to work off what was left: whether it comes back is not known.",
                trials(n)
            ),
        };
        let before = match cells.len() - asked().count() {
            0 => String::new(),
            n => format!(
                "{} {} nothing: the rate was more than it holds, without any trigger. Lower rates do, and `orderstorm capacity` finds the largest.\n",
                trials(n),
                if n == 1 { "says" } else { "say" }
            ),
        };
        let told = if told.is_empty() { told } else { format!("{told}\n") };
        say(&format!("\n{stopped}{told}{before}reproduce: {command}\n\nResults  {}\n", rig.dir.display()));
    } else {
        say(&format!("{summary:#}\n"));
    }
    Ok(match () {
        () if stop.is_set() => Ended::Stopped,
        () if cells.iter().any(|cell| matches!(cell.flaw, Some(Flaw::Wrong(_)))) => Ended::Failed,
        // who stayed down because we were late is not known to have
        () if cells.iter().any(|cell| cell.flaw.as_ref().is_some_and(Flaw::is_ours)) => Ended::Undecided,
        () if cells.iter().any(Cell::stayed_down) => Ended::Failed,
        () if cells.iter().any(|cell| !cell.before || cell.is_open()) => Ended::Undecided,
        () => Ended::Good,
    })
}

fn probe_command(args: &ProbeArgs, trigger: &str) -> String {
    let rates: Vec<String> = args.rate.iter().map(f64::to_string).collect();
    let more = [("--rate", rates.join(","), "100"), ("--trigger", trigger.into(), "spike"), ("--lasts", args.lasts.join(","), "2s,10s,30s")];
    command("probe", &args.loaded, &more)
}

/// What is offered for one cell of the grid, in turn, until it is told.
fn courses(live: bool, course: Course<'static>) -> Vec<Course<'static>> {
    if live {
        return vec![course];
    }
    let cure_s = ((CURE_ORDERS / course.rate) as u64).clamp(CURE_S, CURE_VIRTUAL_S);
    CURES.chunks(1).map(|cures| Course { cures, cure_s, ..course }).collect()
}

/// Orders a second that the model can take, where one order is one piece of work.
fn capacity_of(model: &ServiceModel) -> Option<f64> {
    let mean = model.service.mean().as_secs_f64();
    (model.lane == Lane::Commands && mean > 0.0).then(|| model.workers as f64 / mean)
}

/// One trial; none where the user stopped.
fn one(
    rig: &mut Rig<'_>,
    trigger: Trigger,
    course: Course<'_>,
    objective: Objective,
    (number, left_s): (usize, f64),
) -> Result<Option<Cell>, Trouble> {
    let Course { rate, lasts, .. } = course;
    let (begins, ends, until) = (course.begins() as u64, course.ends() as u64, course.until() as u64);
    let spike = trigger.offers();
    let parts = course.parts(spike);
    let at_once = |(share, seconds): &(f64, u64)| [Stage { lasts: Span::ZERO, to: *share }, Stage { lasts: Span::from_secs(*seconds), to: *share }];
    let mut stages: Vec<Stage> = parts.iter().flat_map(at_once).collect();
    // the last orders come when everything has been seen
    stages.push(Stage { lasts: Span::ZERO, to: 1.0 });
    let orders = course.orders(spike);
    let from = Timestamp::ZERO + OPENS;
    rig.setup.conditions.service.brownout =
        (trigger == Trigger::Brownout).then(|| Brownout { from: from + Span::from_secs(begins), to: from + Span::from_secs(ends), left: LEFT });
    rig.fault = trigger.rule(Span::from_secs(lasts)).map(|rule| (rule, Span::from_secs(begins)));
    let arrival = Arrival { base: Base::Stages(stages), ..at_rate(rate) };
    let (before, longest) = (rig.offered_s.get(), course.seconds());
    let passed = |span: Span| {
        let at = span.as_secs_f64();
        rig.offered_s.set(before + at);
        let phase = match span.0 / 1_000_000_000 {
            second if second < begins => "as usual",
            second if second < ends => "the trigger",
            second if second < until => "watched",
            _ => "cure",
        };
        let left = rig.progress.left(before + at, (left_s - at).max(0.0));
        rig.progress.now(format!("trial {}: {rate:.1} orders/s, {lasts} s of trigger: {phase}, {at:.0} s of {longest} s{left}", number + 1));
    };
    let enough = |seen: &[Second]| course.is_told(seen, objective.quantile);
    let mut seconds = Seconds::new(from, course.seconds() as usize, &objective, rig.stop, &passed, &enough);
    let done = seconds.done().clone();
    let came = rig.offer(arrival, orders + 10.0 * rate + 100.0, rig.seed(&format!("probe {rate} {lasts}")), &done, &mut seconds)?;
    if rig.stop.is_set() {
        return Ok(None);
    }
    let all = seconds.settled();
    let before = itself_before(all, course.begins(), objective.quantile);
    let itself = if before { course.itself(all, objective.quantile) } else { None };
    let watched = if before { course.ends()..course.until() } else { 0..course.begins() };
    let (offered, good) =
        all.get(watched).unwrap_or_default().iter().fold((0, 0), |(offered, good), second| (offered + second.offered, good + second.good));
    let bounded = || rig.bounded(&came, seconds.sends.orders(), rate * spike, &objective).map(Flaw::Bounded);
    Ok(Some(Cell {
        rate,
        lasts,
        before,
        recovered: itself,
        watched_s: course.watched_s(),
        ideal: course.ideal,
        drained: course.drained,
        cured: if before && itself.is_none() { course.cured(all, objective.quantile) } else { None },
        cure_s: course.cure_s,
        good: good as f64 / f64::max(offered as f64, 1.0),
        flaw: flaw(&came, &seconds.sends, &objective).or_else(bounded),
    }))
}

fn row(cell: &Cell) -> String {
    let after = match cell.recovered {
        Some(seconds) => format!("{seconds} s"),
        None if cell.before => format!("not in {} s", cell.watched_s),
        None => "nor before".into(),
    };
    let ideal = cell.ideal.map_or("-".into(), |seconds| format!("{seconds:.0} s"));
    let cure = match (cell.recovered, cell.cured) {
        _ if !cell.before => "the rate is more than it holds".into(),
        (Some(_), _) => String::new(),
        (None, Some((share, after))) if share > 0.0 => {
            format!("at {:.0} % of the load, {:.1} orders/s, after {after} s", share * 100.0, cell.rate * share)
        }
        (None, Some(_)) => format!("after {} s with no load at all", cell.cure_s),
        (None, None) => format!("none, nor {} s with no load at all", cell.cure_s),
    };
    let good = format!("{:.1} %", cell.good * 100.0);
    let flaw = cell.flaw.as_ref().map_or(String::new(), |flaw| format!("{:>12}{}\n", "", flaw.why()));
    format!("{:>10.1} {:>6} s {after:>18} {ideal:>10} {good:>10}  {cure}\n{flaw}", cell.rate, cell.lasts)
}
