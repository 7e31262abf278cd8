//! The report as text for a terminal: what is wrong first, everything else short.

use super::exercise::outcomes_over;
use super::grid::{Counts, Grid, kpi_rows, pace, reasons, seconds, shared, stages_in_order, thousands};
use super::paint::{BOLD, DIM, FAULT, MARKED, Paint, clean, letter, wrap};
use super::thresholds::rows;
use super::{BookRow, CaseReport, FindingReport, LagReport, RunReport, SellOutReport, TimelineRow};
use crate::check::{Verdict, invariant};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How much room there is, and for what.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub width: usize,
    pub color: bool,
    /// findings shown in full
    pub findings: usize,
    /// rows of evidence for each
    pub evidence: usize,
}

impl Default for View {
    fn default() -> View {
        View { width: 100, color: false, findings: 8, evidence: 26 }
    }
}

/// Prints with colours where the stream takes them (`NO_COLOR`, `CLICOLOR_FORCE` and pipes are respected).
pub fn print(report: &RunReport, view: View) -> io::Result<()> {
    anstream::stdout().write_all(summary(report, View { color: true, ..view }).as_bytes())
}

/// Prints the story of one order, as [`print`] does.
pub fn print_timeline(rows: &[TimelineRow], view: View) -> io::Result<()> {
    anstream::stdout().write_all(timeline(rows, View { color: true, ..view }).as_bytes())
}

/// The whole report.
pub fn summary(report: &RunReport, view: View) -> String {
    let mut page = Page { out: String::new(), view, paint: Paint(view.color) };
    page.matrix(report);
    page.findings(report);
    page.thresholds(report);
    page.undecided(report);
    page.not_applicable(report);
    page.checks(report);
    page.measures(report);
    page.verdict(report);
    page.out
}

/// A timeline in two columns: facts on the left, claims on the right, everything else across both.
pub fn timeline(rows: &[TimelineRow], view: View) -> String {
    let mut page = Page { out: String::new(), view, paint: Paint(view.color) };
    page.timeline(rows, "");
    page.out
}

struct Page {
    out: String,
    view: View,
    paint: Paint,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let text = self.paint.text(BOLD, text);
        self.out.push('\n');
        self.line(&text);
    }

    fn matrix(&mut self, report: &RunReport) {
        let grid = Grid::of(&report.cases);
        let names: Vec<String> = grid.rows.iter().map(|row| format!("{}.{}", clean(&row.scenario), clean(&row.variant))).collect();
        let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(self.view.width / 2).max(8);
        let per_block = (self.view.width.saturating_sub(name_width + 2) / 3).max(1);
        self.heading("Matrix");
        for (block, faults) in grid.faults.chunks(per_block).enumerate() {
            let first = block * per_block;
            let head: String = (first..first + faults.len()).map(|i| format!("{:>3}", i + 1)).collect();
            let head = self.paint.text(DIM, &head);
            self.line(&format!("{:name_width$}  {head}", ""));
            for (row, name) in grid.rows.iter().zip(&names) {
                let mut text = format!("{:name_width$}  ", name.chars().take(name_width).collect::<String>());
                for cell in row.cells.iter().skip(first).take(faults.len()) {
                    text.push_str("  ");
                    text.push_str(&cell.verdict.map_or(" ".into(), |verdict| self.paint.verdict(verdict, &letter(verdict).to_string())));
                }
                self.line(&text);
            }
        }
        let legend: Vec<String> = grid.faults.iter().enumerate().map(|(i, fault)| format!("{} {}", i + 1, clean(fault))).collect();
        for line in wrap(&legend.join(", "), self.view.width.saturating_sub(2)) {
            let line = self.paint.text(DIM, &line);
            self.line(&format!("  {line}"));
        }
        let key: Vec<String> = Counts::default()
            .each()
            .map(|(verdict, _)| format!("{} {}", self.paint.verdict(verdict, &letter(verdict).to_string()), verdict.name()))
            .into();
        self.line(&format!("  {} (the worst of a cell's cases)", key.join("  ")));
    }

    fn findings(&mut self, report: &RunReport) {
        let total: u64 = report.cases.iter().map(|case| case.findings_total.max(case.findings.len() as u64)).sum();
        if total == 0 {
            return;
        }
        self.heading(&format!("Findings ({})", thousands(total)));
        // one of every failing case first and checks by turns, so that neither one bad case nor one check hides the others
        let most = report.cases.iter().map(|case| case.findings.len()).max().unwrap_or(0);
        let rounds = (0..most).flat_map(|round| report.cases.iter().filter_map(move |case| case.findings.get(round).map(|finding| (case, finding))));
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut by_turns: Vec<_> = rounds
            .map(|(case, finding)| {
                let turn = seen.entry(&finding.check).or_default();
                *turn += 1;
                (*turn, case, finding)
            })
            .collect();
        by_turns.sort_by_key(|(turn, ..)| *turn);
        let mut shown = 0u64;
        for (_, case, finding) in by_turns.into_iter().take(self.view.findings) {
            shown += 1;
            self.finding(&case.name, finding);
        }
        if shown < total {
            self.line(&format!("\n  .. {} more findings: see report.html or summary.json", thousands(total - shown)));
        }
    }

    fn finding(&mut self, case: &str, finding: &FindingReport) {
        let whose = clean(&finding.whose());
        let head = self.paint.verdict(Verdict::Fail, &clean(&finding.check));
        self.line(&format!("\n  {head} {} {whose}", clean(case)));
        let width = self.view.width.saturating_sub(16);
        let rule = invariant(&finding.check).map_or("", |about| about.summary);
        let parts =
            [("rule", rule.into()), ("what", finding.what.clone()), ("expected", finding.expected.clone()), ("faults", finding.faults.join("; "))];
        for (word, text) in parts {
            if text.is_empty() {
                continue;
            }
            for (i, line) in wrap(&text, width).iter().enumerate() {
                let label = if i == 0 { word } else { "" };
                let label = self.paint.text(DIM, &format!("{label:<9}"));
                self.line(&format!("    {label} {line}"));
            }
        }
        let rows = &finding.evidence[..finding.evidence.len().min(self.view.evidence)];
        self.timeline(rows, "    ");
        if rows.len() < finding.evidence.len() {
            self.line(&format!("    .. {} more rows", finding.evidence.len() - rows.len()));
        }
        self.books(&finding.books);
        let label = self.paint.text(DIM, "reproduce");
        self.line(&format!("    {label} {}", clean(&finding.reproduce)));
    }

    /// Both sides of an order's books; where they differ stands out.
    fn books(&mut self, books: &[BookRow]) {
        if books.is_empty() {
            return;
        }
        let head = self.paint.text(DIM, &format!("    {:<24}{:>12}  {:>12}", "books", "facts", "claims"));
        self.line(&head);
        for row in books {
            let text = format!("    {:<24}{:>12}  {:>12}", clean(&row.what), clean(&row.facts), clean(&row.claims));
            let text = if row.facts == row.claims { text } else { self.paint.text(MARKED, &format!("{text}  differ")) };
            self.line(&text);
        }
    }

    /// What was demanded of the measures, each with its worst case.
    fn thresholds(&mut self, report: &RunReport) {
        let rows = rows(report);
        if rows.is_empty() {
            return;
        }
        self.heading("Thresholds");
        let width = rows.iter().map(|row| row.threshold.chars().count()).max().unwrap_or(0).min(self.view.width * 2 / 3);
        for row in &rows {
            let mark = self.paint.verdict(row.verdict, &letter(row.verdict).to_string());
            self.line(&format!("  {mark} {:<width$}  {:>10}  {}", clean(row.threshold), row.value, row.how_many()));
            if row.is_good() {
                continue;
            }
            if !row.reason.is_empty() {
                self.line(&format!("      {}", clean(row.reason)));
            }
            if row.cases > 1 {
                self.line(&format!("      {}", clean(&row.case.name)));
            }
            let again = self.paint.text(DIM, &clean(&row.case.reproduce));
            self.line(&format!("      {again}"));
        }
    }

    /// How often each check judged, and what was never put to the test.
    fn checks(&mut self, report: &RunReport) {
        if report.checks.is_empty() {
            return;
        }
        self.heading("Checks over all cases");
        let head = self.paint.text(DIM, &format!("  {:<24}{:>12}{:>10}{:>10}{:>10}", "check", "judged", "unknown", "excused", "failed"));
        self.line(&head);
        for check in &report.checks {
            let counts = [check.activations, check.unknowns, check.excused, check.failures].map(thousands);
            let name = self.paint.verdict(check.verdict, &format!("{:<24}", clean(&check.name)));
            self.line(&format!("  {name}{:>12}{:>10}{:>10}{:>10}", counts[0], counts[1], counts[2], counts[3]));
        }
        let only_thanks: Vec<&CaseReport> = report.cases.iter().filter(|case| case.verdict == Verdict::Pass && case.excused() > 0).collect();
        if let Some(first) = only_thanks.iter().max_by_key(|case| (case.excused(), std::cmp::Reverse(&case.name))) {
            let pass = if only_thanks.len() == 1 { "case passes" } else { "cases pass" };
            self.line(&format!(
                "  {} {pass} only thanks to excuses (a fault stood in the way); the most, {}, in {}",
                thousands(only_thanks.len() as u64),
                thousands(first.excused()),
                clean(&first.name)
            ));
        }
        const MOST: usize = 12;
        if !report.never_exercised.is_empty() {
            self.heading(&format!("Never exercised ({})", report.never_exercised.len()));
            for text in report.never_exercised.iter().take(MOST) {
                self.line(&format!("  {}", clean(text)));
            }
            if report.never_exercised.len() > MOST {
                self.line(&format!("  .. {} more: see report.html or summary.json", report.never_exercised.len() - MOST));
            }
        }
    }

    fn timeline(&mut self, rows: &[TimelineRow], indent: &str) {
        let number = rows.iter().map(|row| row.n.to_string().len()).max().unwrap_or(1);
        let time = rows.iter().map(|row| row.at.chars().count()).max().unwrap_or(12);
        let left = indent.chars().count() + 2 + number + 1 + time + 2;
        let room = self.view.width.saturating_sub(left).max(40);
        let column = room.saturating_sub(3) / 2;
        if rows.is_empty() {
            return;
        }
        let pad = " ".repeat(left);
        let head = self.paint.text(DIM, &format!("{:column$} | claims of the target", "facts"));
        self.line(&format!("{pad}{head}"));
        for row in rows {
            let no = if row.n == 0 { String::new() } else { row.n.to_string() };
            let mark = if row.marked { self.paint.text(MARKED, ">") } else { " ".into() };
            let stamp = self.paint.text(DIM, &format!("{no:>number$} {:>time$}", clean(&row.at)));
            let (at, width) = match row.side.as_str() {
                "fact" => (0, column),
                "claim" => (column + 3, column),
                _ => (0, room),
            };
            let text = match row.side.as_str() {
                "sent" => format!("to target: {}", row.text),
                "call" => format!("to partner: {}", row.text),
                _ => row.text.clone(),
            };
            for (i, part) in wrap(&text, width).iter().enumerate() {
                let style = if row.marked {
                    MARKED
                } else {
                    match row.side.as_str() {
                        "fault" => FAULT,
                        "fact" | "claim" => anstyle::Style::new(),
                        _ => DIM,
                    }
                };
                let fill = column.saturating_sub(part.chars().count());
                let body = match (row.side.as_str(), at) {
                    ("fact", _) => format!("{}{} |", self.paint.text(style, part), " ".repeat(fill)),
                    (_, 0) => self.paint.text(style, part),
                    _ => format!("{} | {}", " ".repeat(column), self.paint.text(style, part)),
                };
                if i == 0 {
                    self.line(&format!("{indent}{mark} {stamp}  {body}"));
                } else {
                    self.line(&format!("{pad}{body}"));
                }
            }
        }
    }

    /// Cases without a finding that are not a pass either.
    fn undecided(&mut self, report: &RunReport) {
        for verdict in [Verdict::Fail, Verdict::Unknown, Verdict::NotExercised] {
            let cases: Vec<_> =
                report.cases.iter().filter(|case| case.verdict == verdict && (verdict != Verdict::Fail || case.findings.is_empty())).collect();
            if cases.is_empty() {
                continue;
            }
            self.heading(&format!(
                "Cases {} ({})",
                if verdict == Verdict::Fail { "failing without a finding: by a threshold, or it was not kept" } else { verdict.name() },
                cases.len()
            ));
            const MOST: usize = 12;
            for case in cases.iter().take(MOST) {
                let name = self.paint.verdict(verdict, &clean(&case.name));
                self.line(&format!("  {name}  {}", clean(&case.reason)));
                if verdict != Verdict::NotExercised {
                    let again = self.paint.text(DIM, &clean(&case.reproduce));
                    self.line(&format!("    {again}"));
                }
            }
            if cases.len() > MOST {
                self.line(&format!("  .. {} more", cases.len() - MOST));
            }
        }
    }

    fn not_applicable(&mut self, report: &RunReport) {
        let reasons = reasons(&report.cases);
        if reasons.is_empty() {
            return;
        }
        self.heading("Not applicable, by reason");
        for (reason, count) in reasons {
            self.line(&format!("  {count:>5}  {}", clean(&reason)));
        }
    }

    fn measures(&mut self, report: &RunReport) {
        let totals = &report.totals;
        if totals.orders_placed == 0 {
            return;
        }
        self.heading("Measures over all cases");
        let head = format!("  {:<18}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}", "latency", "samples", "p50", "p95", "p99", "p99.9", "max");
        let head = self.paint.text(DIM, &head);
        self.line(&head);
        for (stage, q) in stages_in_order(&totals.latency) {
            let show = |value: Option<f64>| value.map_or("-".into(), seconds);
            self.line(&format!(
                "  {:<18}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
                stage,
                thousands(q.count),
                show(q.p50_s),
                show(q.p95_s),
                show(q.p99_s),
                show(q.p999_s),
                seconds(q.max_s)
            ));
        }
        for (name, value, _) in kpi_rows(&totals.kpis) {
            self.line(&format!("  {name:<44}{value:>12}"));
        }
        let outcomes = outcomes_over(&report.cases);
        if !outcomes.is_empty() {
            self.line(&format!("  Where a scenario leaves the end open, of {} orders in all: {outcomes}", thousands(totals.orders_placed)));
        }
    }

    fn verdict(&mut self, report: &RunReport) {
        let counts = Counts::of(&report.cases);
        let orders: u64 = report.cases.iter().map(CaseReport::orders_run).sum();
        let entries: u64 = report.cases.iter().map(|case| case.entries).sum();
        let parts: Vec<String> = counts
            .each()
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(verdict, n)| self.paint.verdict(verdict, &format!("{n} {}", verdict.name())))
            .collect();
        self.out.push('\n');
        let word = self.paint.verdict(report.verdict, &report.verdict.name().to_uppercase());
        let cases = counts.cases();
        let noun = if cases == 1 { "case" } else { "cases" };
        self.line(&format!("{word}  {} {noun}: {}", thousands(cases as u64), parts.join(", ")));
        if let Some(shared) = shared(&report.cases) {
            self.line(&shared);
        }
        if !report.manifest.cover.is_empty() {
            self.line(&clean(&report.manifest.cover));
        }
        for doubt in &report.doubts {
            let note = self.paint.verdict(Verdict::Unknown, &format!("It cannot pass: {}", clean(doubt)));
            self.line(&note);
        }
        if let Some(rows) = report.rows() {
            self.line(&clean(rows));
        }
        if report.partial {
            let note = self.paint.verdict(Verdict::Unknown, "The run was stopped before its end; what was recorded is judged.");
            self.line(&note);
        }
        let manifest = &report.manifest;
        let defect = if manifest.defect.is_empty() { String::new() } else { format!(" with defect {}", clean(&manifest.defect)) };
        self.line(&format!(
            "{} orders, {} entries in {:.1} s; target {}{defect}, seed {}",
            thousands(orders),
            thousands(entries),
            report.wall_s,
            clean(&manifest.target),
            manifest.seed
        ));
        if let Some(pace) = pace(report) {
            self.line(&pace);
        }
        if let Some(lag) = LagReport::over(report.cases.iter().map(|case| case.publish_lag)) {
            self.line(&lag.sentence());
        }
        if let Some(sold_out) = SellOutReport::over(report.cases.iter().map(|case| case.sell_outs)).sentence(orders) {
            self.line(&sold_out);
        }
        if let [case] = report.cases.as_slice()
            && !case.digest.is_empty()
        {
            self.line(&format!("digest {}", clean(&case.digest)));
        } else if let Some(digest) = super::json::run_digest(report) {
            self.line(&format!("digest of all histories {digest}"));
        }
        self.line(&format!("reproduce: {}", clean(&manifest.command)));
    }
}
