//! `capacity` and `probe`: rates are held, and what is seen is judged by the rules of [`crate::capacity`].

mod probe;
mod rig;
mod skew;
mod spec;
mod told;
mod trigger;
mod watch;

pub use probe::probe;
pub(super) use spec::service_model;

use super::{Ended, Stop, Trouble, say};
use crate::capacity::{Decision, Found, Objective, Search, Tried, fit};
use crate::cli::{CapacityArgs, Format};
use crate::report;
use rig::{Flaw, Rig, Seen};
use told::{capacity_command, conclusion, percent, row, summary};

/// What a rate is confirmed by: so many seeds.
const CONFIRM: u32 = 3;
/// The search ends where what was lost is so many times what was held.
const PRECISION: f64 = 1.02;
/// A trial in which the harness was late says nothing, and is made again so often.
const ATTEMPTS: u32 = 3;

/// So many trials in which something was done wrong, and none that was held: it is no matter of the rate.
const WRONG: usize = 3;

/// What one search came to.
struct Outcome {
    held: f64,
    lost: Option<f64>,
    confirmed: bool,
    ended: Ended,
}

pub fn capacity(args: &CapacityArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let objective = spec::objective(&args.loaded.objective, args.errors)?;
    let sound = |rate: f64| rate.is_finite() && (0.01..=1e6).contains(&rate);
    if !sound(args.from) || !sound(args.most) || args.from > args.most {
        return Err(Trouble::Usage("error: --from and --most are rates from 0.01 to 1000000 orders a second, the first not above the second".into()));
    }
    if !args.skew.is_empty() {
        return skew::by_skew(args, objective, stop);
    }
    let rig = Rig::new(&args.loaded, None, stop)?;
    let outcome = searched(&rig, args, objective)?;
    if args.loaded.format == Format::Human {
        say(&format!("\nreproduce: {}\n\nResults  {}\n", capacity_command(args), rig.dir.display()));
    }
    Ok(outcome.ended)
}

/// Searches, looks beyond what was found, and writes it to the folder of the rig; what was seen of a search that is stopped, too.
fn searched(rig: &Rig<'_>, args: &CapacityArgs, objective: Objective) -> Result<Outcome, Trouble> {
    let human = args.loaded.format == Format::Human;
    let told = |text: &str| {
        if human {
            rig.progress.aside(|| say(text));
        }
    };
    told(&format!(
        "Capacity of {} for {}: {} of orders answered within {}, at most {} % without an answer\n\n{:>12} {:>9} {:>9} {:>9} {:>11} {:>8}  came out\n",
        rig.setup.target,
        rig.named(),
        percent(objective.quantile),
        objective.within,
        objective.errors * 100.0,
        "orders/s",
        "orders",
        "late",
        "no answer",
        "mean",
        "backlog"
    ));
    let search = Search { from: args.from, most: args.most, precision: PRECISION, confirm: CONFIRM };
    let mut all: Vec<(Seen, Decision)> = Vec::new();
    let mut tried: Vec<Tried> = Vec::new();
    let mut trouble = None;
    let mut once = |rate: f64, confirms: u32| -> Result<Option<Decision>, Trouble> {
        // a lower rate takes ever longer to try
        if all.len() >= WRONG && all.iter().all(|(seen, _)| matches!(seen.flaw, Some(Flaw::Wrong(_)))) {
            return Ok(None);
        }
        for attempt in 1.. {
            let Some((decision, seen)) = rig.trial(objective, rate, confirms, search.left(&tried))? else { return Ok(None) };
            let again = attempt < ATTEMPTS && matches!(seen.flaw, Some(Flaw::Ours(_)));
            let line = row(&seen, &decision, again);
            told(&line);
            rig.progress.ended(line.trim());
            if !again {
                all.push((seen, decision.clone()));
                tried.push(Tried { rate, confirms, decision: decision.clone() });
                // a search takes long, and whoever kills it keeps what it saw
                let so_far = Found::so_far(tried.clone());
                let summary = summary(args, &so_far, &all, &Err("the search was not at its end".into()), (&[], &None), true);
                rig.write("capacity.json", &format!("{summary:#}\n"))?;
                return Ok(Some(decision));
            }
        }
        Ok(None)
    };
    let found = search.run(|rate, confirms| {
        once(rate, confirms).unwrap_or_else(|error| {
            trouble = Some(error);
            None
        })
    });
    if let Some(error) = trouble {
        return Err(error);
    }
    let stopped = found.is_none();
    let found = found.unwrap_or_else(|| Found::so_far(tried));
    let points: Vec<(f64, f64)> =
        all.iter().filter(|(_, decision)| *decision == Decision::Held).map(|(seen, _)| (seen.rate * seen.mean, seen.rate)).collect();
    let beyond = if found.held > 0.0 && !stopped { rig.beyond(found.held, objective)? } else { None };
    let (steps, beyond) = beyond.unwrap_or_default();
    let done = steps.iter().map(|step| step.goodput + step.wasted).fold(0.0, f64::max);
    let usl = fit(&points, rig.seed("usl")).and_then(|law| law.beside(done));
    let plots = report::capacity_plots(&points, usl.as_ref().ok(), found.held, &steps);
    for plot in &plots {
        rig.write(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    let partial = rig.stop.is_set();
    let summary = summary(args, &found, &all, &usl, (&steps, &beyond), partial);
    rig.write("capacity.json", &format!("{summary:#}\n"))?;
    if stopped && !partial {
        told("\nSomething was done wrong at each rate: lower ones were not tried.\n");
    } else if stopped {
        told("\nStopped: the search did not come to its end, and nothing is confirmed.\n");
    }
    told(&conclusion(&found, &usl, &steps, partial));
    if let Some(flaw) = &beyond {
        told(&format!("\nBeyond the capacity {}\n", flaw.why()));
    }
    if !human && args.skew.is_empty() {
        say(&format!("{summary:#}\n"));
    }
    // what was done wrong at any rate is wrong; who was the limit matters where the search ended
    let flaws = || all.iter().map(|(seen, _)| &seen.flaw).chain([&beyond]);
    let decisive = |seen: &Seen| found.lost == Some(seen.rate);
    let ours =
        all.iter().any(|(seen, _)| decisive(seen) && seen.flaw.as_ref().is_some_and(Flaw::is_ours)) || beyond.as_ref().is_some_and(Flaw::is_ours);
    let ended = match () {
        () if partial => Ended::Stopped,
        () if flaws().any(|flaw| matches!(flaw, Some(Flaw::Wrong(_)))) => Ended::Failed,
        () if ours => Ended::Undecided,
        () if !found.confirmed => Ended::Failed,
        () => Ended::Good,
    };
    Ok(Outcome { held: found.held, lost: found.lost, confirmed: found.confirmed, ended })
}
