//! What `capacity` says of what it saw: a row a trial, the conclusion, and all of it as JSON.

use super::super::matrix;
use super::rig::{Flaw, Seen};
use crate::capacity::{Decision, Found, Step, Usl, grade};
use crate::cli::{CapacityArgs, LoadedArgs};
use crate::sim::Span;

pub(super) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

pub(super) fn row(seen: &Seen, decision: &Decision, again: bool) -> String {
    let came = match decision {
        Decision::Lost(why) if again => format!("not counted, and tried again: {why}"),
        Decision::Held if seen.confirms > 0 => format!("held, confirmation {}", seen.confirms),
        Decision::Held => "held".into(),
        Decision::Lost(why) => format!("lost: {why}"),
    };
    let share = |part: u64| format!("{:.2} %", part as f64 * 100.0 / seen.offered.max(1) as f64);
    let mean = Span::from_secs_f64(seen.mean);
    format!(
        "{:>12.2} {:>9} {:>9} {:>9} {:>8.2} ms {:>8}  {came}\n",
        seen.rate,
        seen.offered,
        share(seen.late),
        share(seen.errors),
        mean.0 as f64 / 1e6,
        seen.backlog
    )
}

/// `partial`: the user stopped it.
pub(super) fn conclusion(found: &Found, usl: &Result<Usl, String>, steps: &[Step], partial: bool) -> String {
    let mut out = String::new();
    out += &match (found.held, found.lost) {
        (held, _) if held <= 0.0 => "\nNo rate was held.\n".into(),
        (held, Some(lost)) => {
            // what nobody could tell is not promised, and may be held all the same
            let was = match found.too_much() {
                Some(rate) if rate == lost => "was not".into(),
                Some(rate) => format!("could not be told from too much within a trial, so it is not promised; {rate:.2} was too much"),
                None => "could not be told from too much within a trial, so it is not promised".into(),
            };
            format!("\nHeld     {held:.2} orders a second; {lost:.2} {was}\n")
        }
        (held, None) => format!("\nHeld     {held:.2} orders a second, the most that was tried\n"),
    };
    if found.held > 0.0 && !found.confirmed {
        out += if partial { "         not confirmed: it was stopped before\n" } else { "         but not in every confirmation\n" };
    }
    out += &match usl {
        Err(why) => format!("Law      {why}\n"),
        Ok(law) => {
            let knee = match (law.knee(), law.limit()) {
                (Some(n), _) => format!("more than {n:.0} under way make it slower"),
                (None, Some(limit)) => format!("no knee can be told from these rates; waiting alone limits it to {limit:.0} orders a second"),
                (None, None) => "no knee and no limit can be told from these rates".into(),
            };
            format!(
                "Law      alpha {:.4} ({:.4} to {:.4}), beta {:.6} ({:.6} to {:.6}): {knee}\n",
                law.alpha, law.alpha_in.lo, law.alpha_in.hi, law.beta, law.beta_in.lo, law.beta_in.hi
            )
        }
    };
    if let Some(grade) = grade(steps) {
        // where nothing was lost, the steps are times of the most that was tried, and say less
        let (double, back) = (grade.at_double * 100.0, grade.hysteresis * 100.0);
        out += &match found.lost {
            Some(_) => {
                let word = grade.word();
                format!(
                    "Beyond   {word}: at twice the capacity {double:.0} % of the orders in time at it still are; on the way back the share in time differs by {back:.1} %\n\n"
                )
            }
            None => format!(
                "Beyond   at twice that, {double:.0} % as many orders are in time; on the way back the share in time differs by {back:.1} %\n\n"
            ),
        };
        // an order that is shed comes again, so there may be more of these than were offered
        out += &format!("{:>12} {:>10} {:>10} {:>10} {:>16}\n", "load", "offered/s", "in time/s", "too late/s", "attempts shed/s");
        for step in steps {
            let way = if step.down { "down" } else { "up" };
            out +=
                &format!("{:>7.1} {way:<4} {:>10.1} {:>10.1} {:>10.1} {:>16.1}\n", step.factor, step.offered, step.goodput, step.wasted, step.shed);
        }
    }
    out
}

/// The command that finds the same again: what both verbs share, with `more` flags of one; each with its usual value, which need not be said.
pub(super) fn command(verb: &str, loaded: &LoadedArgs, more: &[(&str, String, &str)]) -> String {
    let LoadedArgs { scenario, target, allow_host, objective, service, client, seed, .. } = loaded;
    let shared = [("--target", target, "embedded"), ("--objective", objective, "p99<250ms"), ("--service", service, ""), ("--client", client, "")];
    let hosts = allow_host.iter().map(|host| ("--allow-host", host.clone(), ""));
    let mut out = format!("orderstorm {verb}");
    // orders by skew are made of nothing but their keys
    if !more.iter().any(|(flag, value, _)| *flag == "--skew" && !value.is_empty()) {
        out += &format!(" {}", matrix::quoted(scenario));
    }
    for (flag, value, usual) in shared.map(|(flag, value, usual)| (flag, value.clone(), usual)).into_iter().chain(hosts).chain(more.iter().cloned()) {
        if value != usual {
            out += &format!(" {flag} {}", matrix::quoted(&value));
        }
    }
    out + &format!(" --seed {seed}")
}

pub(super) fn capacity_command(args: &CapacityArgs) -> String {
    let rates = [("--errors", args.errors.to_string(), "0.001"), ("--from", args.from.to_string(), "10"), ("--most", args.most.to_string(), "20000")];
    let skews = [("--skew", args.skew.join(","), ""), ("--keys", args.keys.to_string(), "1000")];
    let rates: Vec<_> = rates.into_iter().chain(skews).collect();
    command("capacity", &args.loaded, &rates)
}

pub(super) fn summary(
    args: &CapacityArgs,
    found: &Found,
    all: &[(Seen, Decision)],
    usl: &Result<Usl, String>,
    beyond: (&[Step], &Option<Flaw>),
    partial: bool,
) -> serde_json::Value {
    use serde_json::json;
    let trials: Vec<serde_json::Value> = all
        .iter()
        .map(|(seen, decision)| {
            let why = if let Decision::Lost(why) = decision { why.as_str() } else { "" };
            json!({"rate": seen.rate, "confirmation": seen.confirms, "held": *decision == Decision::Held, "why": why, "orders": seen.offered,
                "late": seen.late, "no_answer": seen.errors, "mean_s": seen.mean, "backlog": seen.backlog})
        })
        .collect();
    let law = match usl {
        Ok(law) => json!({"gamma": law.gamma, "alpha": law.alpha, "alpha_95": [law.alpha_in.lo, law.alpha_in.hi], "beta": law.beta,
            "beta_95": [law.beta_in.lo, law.beta_in.hi], "knee": law.knee(), "limit": law.limit()}),
        Err(why) => json!({"not_identifiable": why}),
    };
    let (steps, flaw) = beyond;
    let why = flaw.as_ref().map_or("", Flaw::why);
    let beyond: Vec<serde_json::Value> = steps
        .iter()
        .map(|step| json!({"factor": step.factor, "down": step.down, "offered": step.offered, "goodput": step.goodput, "shed": step.shed, "late": step.wasted}))
        .collect();
    let grade = grade(steps).map(|grade| json!({"word": grade.word(), "at_double": grade.at_double, "hysteresis": grade.hysteresis}));
    json!({"command": capacity_command(args), "partial": partial, "scenario": args.loaded.scenario, "target": args.loaded.target, "objective": args.loaded.objective,
        "errors": args.errors, "held": found.held, "lost": found.lost, "too_much": found.too_much(), "confirmed": found.confirmed, "trials": trials, "law": law, "beyond": beyond, "beyond_flaw": why, "grade": grade})
}
