//! `check`, `report` and `explain`: from what was stored.

use super::execute;
use super::{Ended, Trouble, cannot_write, say, shown, width};
use crate::check::{Suite, Verdict};
use crate::cli::{CheckArgs, ExplainArgs, Format, ReportArgs};
use crate::history::{End, Entry, HistoryReader, Item, Observer, read_history};
use crate::report::{self, CaseReport, Lens, RunReport, View};
use std::path::{Path, PathBuf};

pub fn check(args: &CheckArgs) -> Result<Ended, Trouble> {
    let usage = |error: Box<crate::history::ReadError>| Trouble::Usage(error.to_string());
    let mut reader = HistoryReader::open(&args.history).map_err(usage)?;
    let header = reader.header().clone();
    let expect = execute::expectations(&header).map_err(Trouble::Usage)?;
    let mut suite = Suite::new(header.clone(), expect);
    let mut entries: Vec<Entry> = Vec::new();
    let mut end = End { complete: false, missing: None, entries: 0, digest: String::new() };
    for item in reader.by_ref() {
        match item.map_err(usage)? {
            Item::Entry(entry) => {
                suite.observe(&entry);
                entries.push(*entry);
            }
            Item::End(found) => end = found,
        }
    }
    let judgement = suite.finish(end.complete);
    let stories = execute::stories(&header, &judgement.findings, &entries, &header.command);
    let missing = end.missing.clone().unwrap_or_default();
    let verdict = if end.complete { judgement.verdict } else { judgement.verdict.merge(Verdict::Unknown) };
    if args.format == Format::Json {
        say(&format!(
            "{:#}\n",
            serde_json::json!({"case": header.case, "verdict": verdict, "complete": end.complete, "missing": missing,
                "entries": judgement.entries, "publish_lag": report::LagReport::of(judgement.lag), "checks": judgement.results, "findings": stories})
        ));
    } else {
        let mut out = format!("{}  {}\n", header.case, args.history.display());
        for result in &judgement.results {
            out += &format!("  {:<20} {:<14} {:>8} judged", result.name, result.verdict.name(), result.activations);
            out += &match (result.failures, result.unknowns) {
                (0, 0) => "\n".into(),
                (failures, unknowns) => format!(", {failures} failed, {unknowns} unknown\n"),
            };
        }
        for story in &stories {
            out += &format!("\n{} {}  {}\n  expected: {}\n", story.check, story.order, story.what, story.expected);
            out += &report::timeline(&story.evidence, View { width: width(), ..View::default() });
        }
        if !end.complete {
            out += &format!("\nThe record is not whole: {missing}. What is there was judged; it cannot pass.\n");
        }
        out += &format!(
            "\n{}\n{} entries: {}\nReproduce: {}\n",
            report::LagReport::of(judgement.lag).sentence(),
            judgement.entries,
            verdict.name(),
            header.command
        );
        say(&out);
    }
    Ok(match verdict {
        Verdict::Pass => Ended::Good,
        Verdict::Fail => Ended::Failed,
        _ => Ended::Undecided,
    })
}

fn stored(dir: &Path) -> Result<RunReport, Trouble> {
    report::read_summary(dir).map_err(|error| {
        Trouble::Usage(format!(
            "error: {} is not the folder of a run: {error}\n  = help: name the folder that `orderstorm run` printed, such as results/latest",
            dir.display()
        ))
    })
}

pub fn report(args: &ReportArgs) -> Result<Ended, Trouble> {
    let stored = stored(&args.run)?;
    let paths = report::write_all(&args.run, &stored).map_err(|error| cannot_write(&args.run, &error))?;
    shown(report::print(&stored, View { width: width(), ..View::default() }))?;
    say(&format!("\nReport   {}\n", paths.html.display()));
    Ok(Ended::Good)
}

pub fn explain(args: &ExplainArgs) -> Result<Ended, Trouble> {
    let files = if args.run.is_dir() { candidates(args, &stored(&args.run)?)? } else { vec![args.run.clone()] };
    for file in &files {
        let (header, entries, end) = read_history(file).map_err(|error| Trouble::Usage(error.to_string()))?;
        let lens = Lens::new(&header);
        let wanted = args.order.trim_start_matches(['O', 'o', '#']).parse::<u32>().map(crate::model::OrderNo).ok();
        let Some(order) = wanted.filter(|order| entries.iter().any(|entry| entry.msg.order == *order)) else { continue };
        say(&format!("{}  order {order}\n\n", header.case));
        let rows = lens.timeline(&entries, order, &[]);
        shown(report::print_timeline(&rows, View { width: width(), ..View::default() }))?;
        if !end.complete {
            say(&format!("\nThe record is not whole: {}\n", end.missing.unwrap_or_default()));
        }
        say(&format!("\nReproduce: {}\n", header.command));
        return Ok(Ended::Good);
    }
    let help = "orders are numbered O1, O2, ..; choose a case with --case, and keep histories with --record all";
    Err(Trouble::Usage(format!("error: no kept history of {} has an order `{}`\n  = help: {help}", args.run.display(), args.order)))
}

/// Histories to look in: those of the cases asked for, failing cases first.
fn candidates(args: &ExplainArgs, run: &RunReport) -> Result<Vec<PathBuf>, Trouble> {
    let glob = args.case.as_deref().map(glob::Pattern::new).transpose().map_err(|error| Trouble::Usage(format!("error: --case: {error}")))?;
    let mut cases: Vec<&CaseReport> = run.cases.iter().filter(|case| glob.as_ref().is_none_or(|glob| glob.matches(&case.name))).collect();
    if cases.is_empty() {
        return Err(Trouble::Usage("error: no case of this run matches --case\n  = help: names are in summary.json and in the report".into()));
    }
    cases.sort_by_key(|case| case.verdict != Verdict::Fail);
    Ok(cases.iter().flat_map(|case| case.histories.iter().map(|file| args.run.join(file))).filter(|path| path.exists()).collect())
}
