//! `probe`: something goes wrong for a while and is gone again. Does the target come back by itself?
//!
//! A state that stays bad after its trigger is gone is a metastable failure (Bronson et al., HotOS 2021): retries of clients, say, keep up the very
//! load that made them. Where it stays down, the load is cut to half, a quarter and nothing, to see what it takes.

use super::super::{Ended, Stop, Trouble, say};
use super::rig::{Flaw, Rig, at_rate, flaw};
use super::spec;
use super::told::command;
use super::watch::Seconds;
use crate::capacity::{Objective, recovered};
use crate::cli::{Format, ProbeArgs, Trigger};
use crate::report;
use crate::scenario::{Arrival, Base, Stage};
use crate::sim::{Span, Timestamp};
use crate::target::{Brownout, Lane, ServiceModel};
use crate::workload::OPENS;
use serde_json::json;

/// Before the trigger, to know what is usual.
const BASELINE_S: u64 = 30;
/// It is watched for so long at least after the trigger, and for so many times the trigger.
const WATCHED_S: u64 = 120;
const WATCHED_TIMES: u64 = 10;
/// Where it stays down: shares of the load, each for so long.
const CURES: [f64; 3] = [0.5, 0.25, 0.0];
const CURE_S: u64 = 60;
const SPIKE: f64 = 3.0;
const LEFT: f64 = 0.1;

/// One cell of the grid.
struct Cell {
    rate: f64,
    lasts: u64,
    recovered: Option<usize>,
    /// how long it takes who works off what was left and nothing else
    ideal: Option<f64>,
    /// the share of the load at which it came back, where it had stayed down
    cured_at: Option<f64>,
    /// orders answered in time of those that were due while it was watched
    good: f64,
    flaw: Option<Flaw>,
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
    let what = match args.trigger {
        Trigger::Spike => format!("{SPIKE} times the rate"),
        Trigger::Brownout => format!("{:.0} % of the capacity", LEFT * 100.0),
    };
    if human {
        say(&format!(
            "{id} against {name}: {what} for a while, then as before\n\n{:>10} {:>8} {:>18} {:>10} {:>10}  cure\n",
            "orders/s", "trigger", "itself again after", "ideal", "in time"
        ));
    }
    let mut cells = Vec::new();
    let in_all = lasts.iter().map(|lasts| seconds_of(*lasts)).sum::<f64>() * args.rate.len() as f64;
    let mut offered = 0.0;
    'grid: for rate in &args.rate {
        for lasts in &lasts {
            let Some(cell) = one(&mut rig, args.trigger, (*rate, *lasts), objective, (cells.len(), in_all - offered))? else { break 'grid };
            let line = row(&cell);
            if human {
                rig.progress.aside(|| say(&line));
            }
            rig.progress.ended(line.trim());
            offered += seconds_of(*lasts);
            cells.push(cell);
        }
    }
    let list: Vec<serde_json::Value> = cells
        .iter()
        .map(|cell| {
            json!({"rate": cell.rate, "trigger_s": cell.lasts, "recovered_after_s": cell.recovered, "ideal_s": cell.ideal,
                "cured_at_load": cell.cured_at, "in_time": cell.good, "flaw": cell.flaw.as_ref().map(Flaw::why)})
        })
        .collect();
    let trigger = if args.trigger == Trigger::Spike { "spike" } else { "brownout" };
    let command = probe_command(args, trigger);
    let summary = json!({"command": command, "partial": stop.is_set(), "scenario": args.loaded.scenario, "target": name, "trigger": trigger, "client": args.loaded.client,
        "service": args.loaded.service, "cells": list});
    rig.write("probe.json", &format!("{summary:#}\n"))?;
    let frontier: Vec<(f64, f64, bool)> = cells.iter().map(|cell| (cell.rate, cell.lasts as f64, cell.recovered.is_some())).collect();
    for plot in report::frontier_plots(&frontier) {
        rig.write(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    if human {
        let down = cells.iter().filter(|cell| cell.recovered.is_none()).count();
        let grid = args.rate.len() * lasts.len();
        let stopped = if cells.len() < grid { format!("Stopped after {} of {grid} trials.\n", cells.len()) } else { String::new() };
        let told = match down {
            _ if cells.is_empty() => "was not seen in any trial".into(),
            0 => "came back by itself each time".into(),
            down => format!("stayed down in {down} of {} trials: metastable", cells.len()),
        };
        say(&format!("\n{stopped}It {told}.\nreproduce: {command}\n\nResults  {}\n", rig.dir.display()));
    } else {
        say(&format!("{summary:#}\n"));
    }
    Ok(match () {
        () if stop.is_set() => Ended::Stopped,
        () if cells.iter().any(|cell| matches!(cell.flaw, Some(Flaw::Wrong(_)))) => Ended::Failed,
        // who stayed down because we were late is not known to have
        () if cells.iter().any(|cell| matches!(cell.flaw, Some(Flaw::Ours(_)))) => Ended::Undecided,
        () if cells.iter().any(|cell| cell.recovered.is_none()) => Ended::Failed,
        () => Ended::Good,
    })
}

fn probe_command(args: &ProbeArgs, trigger: &str) -> String {
    let rates: Vec<String> = args.rate.iter().map(f64::to_string).collect();
    let more = [("--rate", rates.join(","), "100"), ("--trigger", trigger.into(), "spike"), ("--lasts", args.lasts.join(","), "2s,10s,30s")];
    command("probe", &args.loaded, &more)
}

/// A trial is no longer than this.
fn seconds_of(lasts: u64) -> f64 {
    (BASELINE_S + lasts + WATCHED_S.max(WATCHED_TIMES * lasts) + CURE_S * CURES.len() as u64) as f64
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
    (rate, lasts): (f64, u64),
    objective: Objective,
    (number, left_s): (usize, f64),
) -> Result<Option<Cell>, Trouble> {
    let watched = WATCHED_S.max(WATCHED_TIMES * lasts);
    let (begins, ends) = (BASELINE_S, BASELINE_S + lasts);
    let until = ends + watched;
    let spike = if trigger == Trigger::Spike { SPIKE } else { 1.0 };
    let mut parts = vec![(1.0, BASELINE_S), (spike, lasts), (1.0, watched)];
    parts.extend(CURES.map(|share| (share, CURE_S)));
    let at_once = |(share, seconds): &(f64, u64)| [Stage { lasts: Span::ZERO, to: *share }, Stage { lasts: Span::from_secs(*seconds), to: *share }];
    let mut stages: Vec<Stage> = parts.iter().flat_map(at_once).collect();
    // the last orders come when everything has been seen
    stages.push(Stage { lasts: Span::ZERO, to: 1.0 });
    let orders: f64 = parts.iter().map(|(share, seconds)| share * *seconds as f64).sum::<f64>() * rate;
    let from = Timestamp::ZERO + OPENS;
    rig.setup.conditions.service.brownout =
        (trigger == Trigger::Brownout).then(|| Brownout { from: from + Span::from_secs(begins), to: from + Span::from_secs(ends), left: LEFT });
    let arrival = Arrival { base: Base::Stages(stages), ..at_rate(rate) };
    let (before, longest) = (rig.offered_s.get(), seconds_of(lasts));
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
        rig.progress.now(format!("trial {}: {rate:.1} orders/s, {lasts} s of trigger: {phase}, {at:.0} s of {longest:.0} s{left}", number + 1));
    };
    let mut seconds = Seconds::new(from, (until + CURE_S * CURES.len() as u64) as usize, &objective, rig.stop, &passed);
    let done = seconds.done().clone();
    let came = rig.offer(arrival, orders + 10.0 * rate + 100.0, rig.seed(&format!("probe {rate} {lasts}")), &done, &mut seconds)?;
    if rig.stop.is_set() {
        return Ok(None);
    }
    let (begins, ends, until) = (begins as usize, ends as usize, until as usize);
    let all = &seconds.seconds;
    let itself = recovered(&all[..until], begins, ends);
    let cured = |n: usize| {
        let from = until + n * CURE_S as usize;
        recovered(&all[..from + CURE_S as usize], begins, from)
    };
    let cured_at = CURES.iter().enumerate().find(|(n, _)| itself.is_none() && cured(*n).is_some()).map(|(_, share)| *share);
    let ideal = capacity_of(&rig.setup.conditions.service).map(|capacity| {
        let load = rate / capacity;
        let (offered, left) = if trigger == Trigger::Spike { (load * SPIKE, 1.0) } else { (load, LEFT) };
        if load >= 1.0 { f64::INFINITY } else { (lasts as f64 * (offered - left) / (1.0 - load)).max(0.0) }
    });
    let (offered, good) = all[ends..until].iter().fold((0, 0), |(offered, good), second| (offered + second.offered, good + second.good));
    Ok(Some(Cell {
        rate,
        lasts,
        recovered: itself,
        ideal,
        cured_at,
        good: good as f64 / f64::max(offered as f64, 1.0),
        flaw: flaw(&came, &seconds.sends, &objective),
    }))
}

fn row(cell: &Cell) -> String {
    let after = cell.recovered.map_or("never".into(), |seconds| format!("{seconds} s"));
    let ideal = cell.ideal.map_or("-".into(), |seconds| format!("{seconds:.0} s"));
    let cure = match (cell.recovered, cell.cured_at) {
        (Some(_), _) => String::new(),
        (None, Some(share)) if share > 0.0 => format!("at {:.0} % of the load: {:.0} orders/s", share * 100.0, cell.rate * share),
        (None, Some(_)) => "with no load at all".into(),
        (None, None) => format!("none within {CURE_S} s without load"),
    };
    let good = format!("{:.1} %", cell.good * 100.0);
    let flaw = cell.flaw.as_ref().map_or(String::new(), |flaw| format!("{:>12}{}\n", "", flaw.why()));
    format!("{:>10.1} {:>6} s {after:>18} {ideal:>10} {good:>10}  {cure}\n{flaw}", cell.rate, cell.lasts)
}
