//! `plan`: what would be run, and what a load profile is like. Nothing is sent.

use super::execute::{self, Setup};
use super::matrix::{Chosen, choose, jobs};
use super::shape::Look;
use super::{Ended, Stop, Trouble, cannot_write_to, say};
use crate::cli::{Format, PlanArgs};
use crate::report;
use crate::scenario::Case;
use crate::sim::Stopwatch;
use crate::workload::PARTITION_ORDERS;

pub fn plan(args: &PlanArgs) -> Result<Ended, Trouble> {
    let setup = Setup { seed: 1, target: "embedded".into(), defect: None, conditions: execute::Conditions::default(), arguments: String::new() };
    let chosen = choose(&args.matrix, &setup)?;
    let expansion = &chosen.expansion;
    let look = chosen.profile.as_ref().zip(expansion.cases.first()).map(|(profile, case)| Look::of(profile, case.orders, case.seed));
    let mut drawn = Vec::new();
    if let (Some(dir), Some(look), Some(profile)) = (&args.plot, &look, &chosen.profile) {
        drawn = report::write_plots(dir, &format!("{}-", profile.name), &report::shape_plots(&look.shape()))
            .map_err(|error| cannot_write_to("--plot", dir, &error))?;
    }
    if args.format == Format::Json {
        let cases: Vec<serde_json::Value> = expansion
            .cases
            .iter()
            .map(|case| {
                serde_json::json!({"name": case.name, "scenario": case.scenario.name, "variant": case.scenario.variant, "fault": case.fault.name,
                    "channel": case.channel.name(), "orders": case.orders, "seed": case.seed.0, "partitions": chosen.partitions(case),
                    "not_applicable": case.not_applicable})
            })
            .collect();
        let load = look.as_ref().map(Look::as_json);
        say(&format!("{:#}\n", serde_json::json!({"cover": expansion.cover, "load": load, "cases": cases})));
        return Ok(Ended::Good);
    }
    let mut out = look.map_or(String::new(), |look| look.text());
    drawn.iter().for_each(|path| out += &format!("  drawn        {}\n", path.display()));
    let mut scenario = String::new();
    for case in &expansion.cases {
        let title = format!("{} {}", case.scenario.name, case.scenario.title);
        if title != scenario {
            out += &format!("\n{title}\n");
            scenario = title;
        }
        match &case.not_applicable {
            Some(reason) => out += &format!("  {:<52} not applicable: {reason}\n", case.name),
            None => out += &format!("  {:<52} {}, then {}\n", case.name, counted(case.orders.into(), "order"), steps_of(case)),
        }
    }
    let applicable: Vec<&Case> = expansion.cases.iter().filter(|case| case.not_applicable.is_none()).collect();
    let orders: u64 = applicable.iter().map(|case| u64::from(case.orders)).sum();
    out += &format!("\n{}\n", expansion.cover);
    let cases = counted(applicable.len() as u64, "case");
    out += &format!("{cases} to run, {} not applicable; {} in all.\n", expansion.cases.len() - applicable.len(), counted(orders, "order"));
    out += &format!("{}\n", estimate(&setup, &chosen, &applicable, orders));
    say(&out);
    Ok(Ended::Good)
}

fn steps_of(case: &Case) -> String {
    let steps: Vec<String> = case.scenario.steps.iter().map(|step| format!("{:?}", step.action).to_lowercase()).collect();
    if case.scenario.kinds.len() > 1 {
        return format!("what each of {} kinds does", case.scenario.kinds.len());
    }
    if steps.is_empty() { "nothing more".into() } else { steps.join(", ") }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How long it would take: measured on a few of the cases, for machines differ; on a part of those that are large.
fn estimate(setup: &Setup, chosen: &Chosen, applicable: &[&Case], orders: u64) -> String {
    let watch = Stopwatch::start();
    let mut done = 0;
    let every = (applicable.len() / 12).max(1);
    for case in applicable.iter().step_by(every) {
        if done > 0 && watch.seconds() > 0.5 {
            break;
        }
        let part = chosen.sample(case, PARTITION_ORDERS);
        if execute::partition(setup, case, &part, None, &Stop::new()).is_ok() {
            done += u64::from(part.orders);
        }
    }
    if done == 0 {
        return "How long it would take was not measured: there is nothing to run.".into();
    }
    // a piece of a case is run by one thread
    let pieces: u64 = applicable.iter().map(|case| u64::from(chosen.partitions(case))).sum();
    let jobs = (jobs(None) as u64).min(pieces);
    let seconds = watch.seconds() / done as f64 * orders as f64 / jobs as f64;
    // the more of one piece is open at once, the more an order costs
    let grows = applicable.iter().any(|case| case.orders > PARTITION_ORDERS && chosen.partitions(case) == 1);
    format!(
        "It would take {} in virtual time on {} (measured on {}). Nothing was sent.",
        took(if grows { "at least" } else { "about" }, seconds),
        counted(jobs, "core"),
        counted(done, "order")
    )
}

fn took(about: &str, seconds: f64) -> String {
    match seconds {
        ..0.1 => "less than 0.1 s".into(),
        ..90.0 => format!("{about} {seconds:.1} s"),
        ..5_400.0 => format!("{about} {:.0} min", seconds / 60.0),
        _ => format!("{about} {:.1} h", seconds / 3_600.0),
    }
}
