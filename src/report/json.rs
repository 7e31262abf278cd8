//! `summary.json`: everything the other formats draw from, and its published schema.

use super::RunReport;
use crate::measure::Measures;
use crate::model::as_shown;
use sha2::{Digest as _, Sha256};

/// The text of `summary.json`.
pub fn to_json(report: &RunReport) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&tidied(report))?;
    text.push(b'\n');
    Ok(text)
}

/// The report with numbers as JSON can hold them: finite, and with six decimals, which read back as the same numbers.
pub(super) fn tidied(report: &RunReport) -> RunReport {
    let mut report = report.clone();
    tidy(&mut report.wall_s);
    tidy_measures(&mut report.totals);
    for case in &mut report.cases {
        tidy(&mut case.virtual_s);
        tidy_measures(&mut case.measures);
        for one in &mut case.thresholds {
            fine(&mut one.limit);
            one.value = one.value.filter(|value| value.is_finite());
            one.value.iter_mut().for_each(fine);
            one.ended_at_s.iter_mut().for_each(tidy);
        }
    }
    report
}

/// Limits, and steps of latency, may be shorter than a microsecond.
fn fine(value: &mut f64) {
    *value = if value.is_finite() { as_shown(*value) } else { 0.0 };
}

fn tidy(value: &mut f64) {
    *value = if value.is_finite() { (*value * 1e6).round() / 1e6 } else { 0.0 };
}

fn tidy_some(value: &mut Option<f64>) {
    *value = value.filter(|v| v.is_finite());
    value.iter_mut().for_each(tidy);
}

fn tidy_measures(measures: &mut Measures) {
    for point in &mut measures.course {
        tidy(&mut point.t_s);
        tidy(&mut point.width_s);
        for (from, to, _) in &mut point.took {
            fine(from);
            fine(to);
        }
    }
    tidy(&mut measures.throughput_per_s);
    for q in measures.latency.values_mut() {
        tidy(&mut q.mean_s);
        tidy(&mut q.max_s);
        [&mut q.p50_s, &mut q.p90_s, &mut q.p95_s, &mut q.p99_s, &mut q.p999_s].into_iter().for_each(tidy_some);
    }
    let kpis = &mut measures.kpis;
    [
        &mut kpis.order_to_ship_s,
        &mut kpis.order_failure_rate,
        &mut kpis.cancellation_rate,
        &mut kpis.manual_intervention_rate,
        &mut kpis.split_shipment_rate,
        &mut kpis.inventory_mismatch_rate,
        &mut kpis.tickets_per_100,
    ]
    .into_iter()
    .for_each(tidy_some);
    for point in &mut measures.series {
        tidy(&mut point.t_s);
        tidy(&mut point.ack_max_s);
    }
}

/// One digest over those of all cases, in order; none where a case that ran has none.
pub fn run_digest(report: &RunReport) -> Option<String> {
    let mut sha = Sha256::new();
    let mut any = false;
    for case in report.cases.iter().filter(|case| case.verdict != crate::check::Verdict::NotApplicable) {
        if case.digest.is_empty() {
            return None;
        }
        any = true;
        sha.update(format!("{} {}\n", case.name, case.digest));
    }
    any.then(|| sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// JSON Schema of `summary.json`.
pub fn summary_schema() -> String {
    let mut schema = schemars::schema_for!(RunReport);
    schema.insert("$id".into(), "https://orderstorm.dev/schemas/summary.v1.json".into());
    schema.insert("title".into(), "orderstorm summary".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
