//! `check-target`: is a target there, does it understand what it is told, and what could be asked of it?

use super::execute::{self, Setup};
use super::live::{self, Broken, Session};
use super::{Ended, Stop, Trouble, say, shown, width};
use crate::check::Verdict;
use crate::cli::CheckTargetArgs;
use crate::history::read_history;
use crate::model::OrderNo;
use crate::report::{self, Lens, View};
use crate::scenario::{Case, Library, Selection, expand};
use crate::sim::Seed;
use crate::workload;
use std::collections::BTreeMap;

/// The plainest case there is: one order, in calm.
const PLAINEST: &str = "S01.base.none.web.1";

pub fn check_target(args: &CheckTargetArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let mut library = Library::shipped()?;
    let session = Session::open(&args.profile, &args.allow_host, None, &mut library)?;
    say(&format!("{}: {}\n\n", session.profile.name, session.profile.title));
    say(&format!("target   {}\n", session.says()));
    let everything = expand(&library.scenarios(&[])?, &library.fault_sets(&["all".into()])?, &Selection { seed: Seed(1), ..Selection::default() });
    let plainest = Selection { orders: Some(1), seed: Seed(1), ..Selection::default() };
    let plainest = expand(&library.scenarios(&["S01.base".into()])?, &library.fault_sets(&["none".into()])?, &plainest);
    let Some(case) = plainest.cases.iter().find(|case| case.name == PLAINEST) else {
        return Err(Trouble::Usage(format!("error: the case {PLAINEST} is not shipped any more")));
    };
    let verdict = match place_one(&session, case, &args.profile, stop) {
        // it was not let come to anything
        Err(Trouble::Environment(why)) if stop.is_set() => {
            eprintln!("{why}");
            return Ok(Ended::Stopped);
        }
        seen => seen?,
    };
    applicable(&session, &everything.cases);
    Ok(match verdict {
        Verdict::Pass => Ended::Good,
        Verdict::Fail => Ended::Failed,
        _ => Ended::Undecided,
    })
}

/// Places one order, and shows what came back at each step.
fn place_one(session: &Session, case: &Case, profile: &str, stop: &Stop) -> Result<Verdict, Trouble> {
    let dir = std::env::temp_dir().join(format!("orderstorm-check-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| super::cannot_write(&dir, &error))?;
    let file = dir.join("one-order.jsonl");
    let arguments = format!("S01.base --target {}", super::matrix::quoted(profile));
    let setup = Setup { seed: 1, target: profile.into(), defect: None, conditions: execute::Conditions::default(), arguments };
    let mut tape = Vec::new();
    let result = live::watched(session, &setup, case, &workload::partition(case, 0), &file, stop, Some(&mut tape), (None, &mut ()));
    let part = result.map_err(|broken| match broken {
        Broken::Disk(error) => super::cannot_write(&dir, &error),
        Broken::Target(why) => Trouble::Environment(format!("error: {why}")),
    })?;
    if !tape.is_empty() {
        say(&format!("\nWhat was sent, and what came back:\n\n{}\n", tape.join("\n")));
    }
    say(&format!("\nOne order ({PLAINEST}), partners and warehouse played:\n\n"));
    let recorded = read_history(&file).map_err(|error| Trouble::Environment(error.to_string()))?;
    let lens = Lens::new(&recorded.header).with_names(&recorded.names);
    let rows = lens.timeline(&recorded.entries, OrderNo(1), &[]);
    shown(report::print_timeline(&rows, View { width: width(), ..View::default() }))?;
    let _ = std::fs::remove_dir_all(&dir);
    let judgement = &part.judgement;
    say(&format!("\nverdict  {}", judgement.verdict.name()));
    say(&if judgement.reason.is_empty() { "\n".to_string() } else { format!(": {}\n", judgement.reason) });
    for finding in &judgement.findings {
        say(&format!("  {:<22} {}\n  {:<22} expected: {}\n", finding.check, lens.retell(&finding.what), "", lens.retell(&finding.expected)));
    }
    if judgement.verdict != Verdict::Pass {
        say(&format!("  once more, with a report: {}\n", execute::reproduce(&setup, &case.name)));
    }
    Ok(judgement.verdict)
}

/// How much of what is shipped could be asked of it, and what stands in the way of the rest.
fn applicable(session: &Session, cases: &[Case]) {
    // combinations that make no sense with any target are not this one's
    let sensible: Vec<&Case> = cases.iter().filter(|case| case.not_applicable.is_none()).collect();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for case in &sensible {
        if let Some(reason) = session.not_applicable(case) {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let lost: usize = reasons.values().sum();
    say(&format!("\n{} of {} shipped cases can be run against it\n", sensible.len() - lost, sensible.len()));
    for (reason, count) in reasons {
        say(&format!("  {count} more if this were not so: {reason}\n"));
    }
}
