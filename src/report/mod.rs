//! The report: cases, verdicts, findings, measures and how to reproduce them, as plain data, and the formats that draw it.

mod data;

pub use data::{CaseReport, FindingReport, Manifest, RunReport, TimelineRow};
