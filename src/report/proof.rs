//! What `prove` found, as plain data, and the tables that show it: defects against fault sets, and invariants against defects.

use super::paint::{Paint, wrap};
use crate::check::Verdict;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

pub const PROOF_VERSION: u32 = 1;

/// A whole proof; `proof.json` is exactly this.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    /// format version
    pub orderstorm_proof: u32,
    pub version: String,
    pub command: String,
    pub seed: u64,
    /// seeds for each cell of the matrix
    pub seeds: u32,
    /// orders of one run, where the scenario does not fix them or is about more
    pub orders: u32,
    /// columns of the matrix
    pub faults: Vec<String>,
    pub defects: Vec<DefectProof>,
    pub invariants: Vec<InvariantProof>,
    pub clean: CleanProof,
    /// everything that is not as it must be; empty is proven
    pub problems: Vec<String>,
    /// stopped before its end: nothing is proven
    pub partial: bool,
    pub wall_s: f64,
}

/// One defect: where it was found, and where it was silent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DefectProof {
    pub name: String,
    pub about: String,
    /// where the like was seen
    pub seen: String,
    /// invariants of which one must be the first to report it
    pub caught_by: Vec<String>,
    /// scenario and variant that it is put into
    pub ground: String,
    /// fault sets that must expose it
    pub exposed_by: Vec<String>,
    /// per cent of the seeds that must fail there, sampling error aside
    pub floor: u32,
    /// by fault set
    pub cells: BTreeMap<String, Cell>,
    /// what lacks its stimulus, such as `S01.base none`
    pub quiet_in: String,
    pub quiet: Cell,
}

/// Runs of one defect under one fault set.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cell {
    pub runs: u32,
    pub failed: u32,
    /// the first finding of the failed runs: check, and how often
    pub first: BTreeMap<String, u32>,
}

impl Cell {
    pub fn percent(&self) -> u32 {
        (self.failed * 100 + self.runs / 2).checked_div(self.runs).unwrap_or(0)
    }
}

/// One invariant: which defects it reports first, and how often it had something to judge in clean runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InvariantProof {
    pub name: String,
    /// defects of which it was the first reporter in some run, with how many runs
    pub first_of: BTreeMap<String, u32>,
    /// clean runs: how often it had something to judge, by fault set
    pub activations: BTreeMap<String, u64>,
}

/// Runs of the correct reference.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CleanProof {
    pub runs: u64,
    pub orders: u64,
    pub entries: u64,
    pub failed: u64,
    /// checks that were judged, could not be decided, and passed only thanks to an excuse
    pub judged: u64,
    pub unknown: u64,
    pub excused: u64,
    /// the first few that failed, with the command that repeats each
    pub alarms: Vec<String>,
}

impl CleanProof {
    pub fn unknown_share(&self) -> f64 {
        if self.judged == 0 { 0.0 } else { self.unknown as f64 / self.judged as f64 }
    }
}

impl Proof {
    pub fn verdict(&self) -> Verdict {
        match (self.problems.is_empty(), self.partial) {
            (false, _) => Verdict::Fail,
            (true, true) => Verdict::Unknown,
            (true, false) => Verdict::Pass,
        }
    }

    fn conclusion(&self) -> String {
        if self.partial {
            "Stopped before its end: nothing is proven.".into()
        } else if self.problems.is_empty() {
            let alarms = if self.clean.runs > 0 { "no false alarm" } else { "and false alarms were not looked for" };
            format!("No survivor, no unproven invariant, {alarms}.")
        } else {
            format!("NOT PROVEN: {} problem{}.", self.problems.len(), if self.problems.len() == 1 { "" } else { "s" })
        }
    }

    fn clean_line(&self) -> String {
        let c = &self.clean;
        format!(
            "{} clean runs ({} orders, {} entries): {} failed; {} of {} judged checks unknown ({:.3} %), {} passed only thanks to an excuse.",
            c.runs,
            c.orders,
            c.entries,
            c.failed,
            c.unknown,
            c.judged,
            c.unknown_share() * 100.0,
            c.excused
        )
    }
}

impl DefectProof {
    /// The fault set that exposes it, with most failures.
    fn best(&self) -> (&str, Cell) {
        let all = self.exposed_by.iter().map(|fault| (fault.as_str(), self.cells.get(fault).cloned().unwrap_or_default()));
        all.max_by_key(|(_, cell)| cell.percent()).unwrap_or_default()
    }
}

fn first(cell: &Cell) -> String {
    let mut all: Vec<(&String, &u32)> = cell.first.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    all.iter().take(3).map(|(check, n)| format!("{check} {n}")).collect::<Vec<_>>().join(", ")
}

/// For a terminal.
pub fn proof_text(proof: &Proof, width: usize, color: bool) -> String {
    let mut out = String::new();
    let wide = proof.defects.iter().map(|d| d.name.len()).max().unwrap_or(0);
    let _ = writeln!(out, "Defects: found in so many of {} seeds, by whom first\n", proof.seeds);
    for d in &proof.defects {
        let (fault, cell) = d.best();
        let at = format!("{} under {fault}", d.ground);
        let _ = writeln!(out, "  {:<wide$}  {:>3} %  {at:<44}  {}", d.name, cell.percent(), first(&cell));
    }
    let _ = writeln!(out, "\nInvariants: defects of which each was the first reporter\n");
    for i in &proof.invariants {
        let names: Vec<&str> = i.first_of.keys().map(String::as_str).collect();
        let mut lines = wrap(&if names.is_empty() { "none".into() } else { names.join(", ") }, width.saturating_sub(26)).into_iter();
        let _ = writeln!(out, "  {:<22}  {}", i.name, lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(out, "  {:<22}  {line}", "");
        }
    }
    let _ = writeln!(out, "\n{}", proof.clean_line());
    for alarm in &proof.clean.alarms {
        let _ = writeln!(out, "  {alarm}");
    }
    for problem in &proof.problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    let _ = writeln!(out, "\n{}", Paint(color).verdict(proof.verdict(), &proof.conclusion()));
    out
}

/// For the documentation.
pub fn proof_markdown(proof: &Proof) -> String {
    let mut out = String::from("# Proof of the judges\n\n");
    let _ = writeln!(out, "Made by `{}` with orderstorm {}. {}\n", proof.command, proof.version, proof.conclusion());
    let _ = writeln!(out, "{}\n", proof.clean_line());
    let _ = writeln!(out, "## Defects\n");
    let _ = writeln!(
        out,
        "Each defect is put into one scenario (its ground) and run under every fault set that makes sense there, {} seeds each, {} orders a run \
         where the scenario does not fix them. *Found* is the share of seeds that failed under the fault set that exposes it, *floor* what it must \
         reach. *Silent in* lacks what sets it off, and must not fail.\n",
        proof.seeds, proof.orders
    );
    out += "| defect | ground | exposed by | found | floor | first reported by | silent in | the like was seen in |\n|---|---|---|---|---|---|---|---|\n";
    for d in &proof.defects {
        let (_, cell) = d.best();
        let exposed = d.exposed_by.join(", ");
        let (percent, floor, first, name) = (cell.percent(), d.floor, first(&cell), &d.name);
        let _ = writeln!(out, "| {name} | {} | {exposed} | {percent} % | {floor} % | {first} | {} | {} |", d.ground, d.quiet_in, d.seen);
    }
    let _ = writeln!(out, "\n## Defects against fault sets\n\nPer cent of seeds that failed; `-` where the fault set cannot act on the ground.\n");
    let _ = writeln!(out, "| defect | {} |", proof.faults.join(" | "));
    let _ = writeln!(out, "|---|{}", "---|".repeat(proof.faults.len()));
    for d in &proof.defects {
        let cell = |fault: &String| d.cells.get(fault).filter(|cell| cell.runs > 0).map_or("-".into(), |cell| cell.percent().to_string());
        let _ = writeln!(out, "| {} | {} |", d.name, proof.faults.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    let _ = writeln!(out, "\n## Invariants against defects\n\nDefects of which each was the first reporter, with the number of runs.\n");
    out += "| invariant | first reporter of |\n|---|---|\n";
    for i in &proof.invariants {
        let of: Vec<String> = i.first_of.iter().map(|(defect, runs)| format!("{defect} {runs}")).collect();
        let _ = writeln!(out, "| {} | {} |", i.name, if of.is_empty() { "none".into() } else { of.join(", ") });
    }
    let _ = writeln!(out, "\n## What was exercised in clean runs\n\nHow often each invariant had something to judge, by fault set.\n");
    let _ = writeln!(out, "| invariant | {} |", proof.faults.join(" | "));
    let _ = writeln!(out, "|---|{}", "---|".repeat(proof.faults.len()));
    for i in &proof.invariants {
        let counts = proof.faults.iter().map(|fault| i.activations.get(fault).map_or("-".into(), u64::to_string));
        let _ = writeln!(out, "| {} | {} |", i.name, counts.collect::<Vec<_>>().join(" | "));
    }
    for problem in &proof.problems {
        let _ = writeln!(out, "\n- problem: {problem}");
    }
    out
}
