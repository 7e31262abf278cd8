//! The report: cases, verdicts, findings, measures and how to reproduce them, as plain data, and the formats that draw it.

mod axes;
mod capacity;
mod compared;
mod course;
mod data;
mod exercise;
mod explain;
mod grid;
mod html;
mod json;
mod junit;
mod paint;
mod plots;
mod proof;
mod sell_outs;
mod shape;
mod terminal;
mod thresholds;
mod write;

pub use capacity::{Skewed, capacity_plots, frontier_plots, skew_plots};
pub use compared::{Compared, compared_plots};
pub use data::{BookRow, CaseReport, FindingReport, LagReport, Manifest, RunReport, SUMMARY_VERSION, ThresholdReport, TimelineRow};
pub use exercise::{checks_over, never_exercised};
pub use explain::Lens;
pub use grid::seconds;
pub use html::to_html;
pub use json::{run_digest, summary_schema, to_json};
pub use junit::to_junit;
pub use plots::{Ground, Plot, plots};
pub use proof::{CleanProof, DefectProof, InvariantProof, PROOF_VERSION, Proof, proof_markdown, proof_text};
pub use sell_outs::SellOutReport;
pub use shape::{RATE_UNITS, Shape, shape_plots};
pub use terminal::{View, print, print_timeline, summary, timeline};
pub use write::{Paths, read_summary, write_all, write_plots};

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
