//! `check`, `report` and `explain`: from what was stored.

use super::execute;
use super::gauge::{self, Gauge};
use super::{Ended, Stop, Trouble, cannot_write, say, shown, width};
use crate::check::{Coverage, Judgement, Suite, Verdict};
use crate::cli::{CheckArgs, ExplainArgs, Format, ReportArgs};
use crate::history::{End, Entry, Fingerprint, Header, Kind, Observer, Recorded, read_history};
use crate::model::{Op, OrderNo, Threshold};
use crate::report::{self, CaseReport, FindingReport, Lens, RunReport, ThresholdReport, View};
use std::path::{Path, PathBuf};

pub fn check(args: &CheckArgs) -> Result<Ended, Trouble> {
    let Recorded { header, entries, end, names } = read_history(&args.history).map_err(|error| Trouble::Usage(error.to_string()))?;
    let expect = execute::expectations(&header).map_err(Trouble::Usage)?;
    let mut suite = Suite::new(header.clone(), expect);
    if header.is_foreign() && header.tells.is_none() {
        let mut coverage = Coverage::default();
        entries.iter().for_each(|entry| coverage.observe(entry));
        suite = suite.covering(coverage);
    }
    entries.iter().for_each(|entry| suite.observe(entry));
    let judgement = suite.finish(end.complete);
    let stories = execute::stories(&Lens::new(&header).with_names(&names), &judgement.findings, &entries, &header.command);
    let thresholds = demanded(&header, &entries, end.complete)?;
    let verdict = if end.complete { judgement.verdict } else { judgement.verdict.merge(Verdict::Unknown) };
    let verdict = verdict.merge(gauge::verdict(&thresholds).0);
    if args.format == Format::Json {
        let missing = end.missing.clone().unwrap_or_default();
        say(&format!(
            "{:#}\n",
            serde_json::json!({"case": header.case, "verdict": verdict, "complete": end.complete, "missing": missing, "reason": judgement.reason,
                "orders": judgement.orders, "entries": judgement.entries, "publish_lag": report::LagReport::of(judgement.lag),
                "sell_outs": report::SellOutReport::of(&judgement.sell_outs), "checks": judgement.results, "thresholds": thresholds,
                "findings": stories})
        ));
    } else {
        say(&judged(args, &header, &entries, &end, &judgement, &thresholds, &stories, verdict));
    }
    Ok(match verdict {
        Verdict::Pass => Ended::Good,
        Verdict::Fail => Ended::Failed,
        _ => Ended::Undecided,
    })
}

/// What the header demands of the measures, judged over what was recorded.
fn demanded(header: &Header, entries: &[Entry], complete: bool) -> Result<Vec<ThresholdReport>, Trouble> {
    let parse = |text: &String| {
        Threshold::parse(text).map_err(|(what, help)| Trouble::Usage(format!("error: the header's threshold `{text}`: {what}\n  = help: {help}")))
    };
    let thresholds: Vec<Threshold> = header.thresholds.iter().map(parse).collect::<Result<_, _>>()?;
    if thresholds.is_empty() {
        return Ok(Vec::new());
    }
    let mut gauge = Gauge::of(&thresholds, false, &Stop::new());
    entries.iter().for_each(|entry| gauge.observe(entry));
    let (totals, broke) = gauge.finish();
    let stopped = entries.iter().any(|entry| entry.msg.op == Op::MarkStopped);
    // of a case that went on to its end a threshold ended nothing
    let end = gauge::End { cut: !complete || stopped, broke: broke.as_ref().filter(|_| stopped), doubt: None, bounded: None };
    Ok(gauge::judge(&thresholds, &totals, end))
}

/// What `check` prints: the checks, the findings with their proofs, and what the record is worth.
#[allow(clippy::too_many_arguments, reason = "each is another part of what is printed")]
fn judged(
    args: &CheckArgs,
    header: &Header,
    entries: &[Entry],
    end: &End,
    judgement: &Judgement,
    thresholds: &[ThresholdReport],
    stories: &[FindingReport],
    verdict: Verdict,
) -> String {
    let case = if header.case.is_empty() { "history" } else { &header.case };
    let mut out = format!("{case}  {}\n", args.history.display());
    let (idle, judged): (Vec<_>, Vec<_>) = judgement.results.iter().partition(|r| header.is_foreign() && r.verdict == Verdict::NotExercised);
    for result in judged {
        out += &format!("  {:<22} {:<14} {:>8} judged", result.name, result.verdict.name(), result.activations);
        out += &match (result.failures, result.unknowns) {
            (0, 0) => "\n".into(),
            (failures, unknowns) => format!(", {failures} failed, {unknowns} unknown\n"),
        };
    }
    if !idle.is_empty() {
        let names: Vec<&str> = idle.iter().map(|result| result.name.as_str()).collect();
        out +=
            &format!("Not exercised, for the record has nothing that they judge (docs/history.md says what each needs):\n  {}\n", names.join(", "));
    }
    for one in thresholds {
        out += &format!("  {:<22} {:<14} {}\n", "threshold", one.verdict.name(), one.sentence());
    }
    if header.partitions > 1 && thresholds.is_empty() {
        let (number, of) = (header.partition.saturating_add(1), header.partitions);
        out += &format!("  part {number} of {of} of its case: thresholds are of whole cases and were not judged in this part\n");
    }
    if let Some(sold_out) = report::SellOutReport::of(&judgement.sell_outs).sentence(judgement.orders) {
        out += &format!("{sold_out}\n");
    }
    for story in stories {
        out += &format!("\n{} {}  {}\n  expected: {}\n", story.check, story.order, story.what, story.expected);
        out += &report::timeline(&story.evidence, View { width: width(), ..View::default() });
    }
    if let Some(missing) = &end.missing {
        out += &format!("\nThe record is not whole: {missing}. What is there was judged; it cannot pass.\n");
    } else if !judgement.reason.is_empty() {
        out += &format!("\nIt cannot pass: {}.\n", judgement.reason);
        if !entries.iter().any(|entry| entry.msg.op == Op::MarkRest) {
            out += "What is owed is judged only after an entry of kind `mark` with op `mark.rest`: nothing is pending any more.\n";
        }
    }
    if header.is_foreign() {
        let of = |kind: Kind| entries.iter().filter(|entry| entry.kind == kind).count();
        let sums = (of(Kind::Sent), of(Kind::Fact), of(Kind::Event), of(Kind::State));
        out += &format!("\n{} orders; {} messages sent, {} facts, {} events, {} answers at rest", judgement.orders, sums.0, sums.1, sums.2, sums.3);
        out += if end.digested { "" } else { "; without a digest, a change of the file would not be noticed" };
    }
    if !header.is_foreign() && end.complete {
        out += &format!("\ndigest {}", Fingerprint::of(header, entries));
    }
    out += &format!("\n{} entries: {}\n", judgement.entries, verdict.name());
    if !header.command.is_empty() {
        out += &format!("Reproduce: {}\n", header.command);
    }
    out
}

pub(super) fn stored(dir: &Path) -> Result<RunReport, Trouble> {
    report::read_summary(dir).map_err(|error| {
        if !dir.join("summary.json").exists() && dir.join("histories").is_dir() {
            return Trouble::Usage(format!(
                "error: the run of {} did not come to its end: it has no summary\n  = help: run it again in a new folder; \
                 `orderstorm check {}/FILE` judges a history that it kept",
                dir.display(),
                dir.join("histories").display()
            ));
        }
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
    if args.case.is_some() && !args.run.is_dir() {
        let help = "leave it out, or name the folder of the run";
        return Err(Trouble::Usage(format!(
            "error: --case chooses among the cases of a folder, and {} is one history\n  = help: {help}",
            args.run.display()
        )));
    }
    let files = if args.run.is_dir() { candidates(args, &stored(&args.run)?)? } else { vec![args.run.clone()] };
    for file in &files {
        let Recorded { header, entries, end, names } = read_history(file).map_err(|error| Trouble::Usage(error.to_string()))?;
        let lens = Lens::new(&header).with_names(&names);
        let number = || args.order.trim_start_matches(['O', 'o', '#']).parse::<u32>().map(OrderNo).ok();
        let wanted = names.find_order(&args.order).or_else(number);
        let Some(order) = wanted.filter(|order| entries.iter().any(|entry| entry.msg.order == *order)) else { continue };
        say(&format!("{}  {}\n\n", header.case, lens.title(order)));
        let rows = lens.timeline(&entries, order, &[]);
        shown(report::print_timeline(&rows, View { width: width(), ..View::default() }))?;
        if !end.complete {
            say(&format!("\nThe record is not whole: {}\n", end.missing.unwrap_or_default()));
        }
        if !header.command.is_empty() {
            say(&format!("\nReproduce: {}\n", header.command));
        }
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
