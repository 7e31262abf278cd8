//! The matrix as a grid: a row for each scenario and variant, a column for each fault set, the worst verdict in each cell.

use super::{CaseReport, RunReport};
use crate::check::Verdict;
use crate::measure::Quantiles;
use std::collections::BTreeMap;

/// From so many orders on a rate is worth telling.
const PACED: u64 = 1_000;

pub(super) struct Grid {
    /// fault sets in the order of the run
    pub faults: Vec<String>,
    pub rows: Vec<GridRow>,
}

pub(super) struct GridRow {
    pub scenario: String,
    pub variant: String,
    /// by column; empty where the matrix has no case
    pub cells: Vec<Cell>,
}

#[derive(Default, Clone)]
pub(super) struct Cell {
    /// indices into the run's cases
    pub cases: Vec<usize>,
    pub verdict: Option<Verdict>,
}

impl Grid {
    pub fn of(cases: &[CaseReport]) -> Grid {
        let mut faults: Vec<String> = Vec::new();
        let mut columns: BTreeMap<&str, usize> = BTreeMap::new();
        for case in cases {
            columns.entry(&case.fault).or_insert_with(|| {
                faults.push(case.fault.clone());
                faults.len() - 1
            });
        }
        let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut rows: Vec<GridRow> = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            let place = *places.entry((&case.scenario, &case.variant)).or_insert_with(|| {
                let cells = vec![Cell::default(); faults.len()];
                rows.push(GridRow { scenario: case.scenario.clone(), variant: case.variant.clone(), cells });
                rows.len() - 1
            });
            let cell = &mut rows[place].cells[columns[case.fault.as_str()]];
            cell.cases.push(index);
            cell.verdict = Some(cell.verdict.map_or(case.verdict, |verdict| verdict.merge(case.verdict)));
        }
        Grid { faults, rows }
    }
}

/// How many cases have each verdict.
#[derive(Default, Clone, Copy)]
pub(super) struct Counts {
    pub pass: usize,
    pub not_exercised: usize,
    pub unknown: usize,
    pub fail: usize,
    pub not_applicable: usize,
}

impl Counts {
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a CaseReport>) -> Counts {
        let mut counts = Counts::default();
        for case in cases {
            match case.verdict {
                Verdict::Pass => counts.pass += case.seeds as usize,
                Verdict::NotExercised => counts.not_exercised += case.seeds as usize,
                Verdict::Unknown => counts.unknown += case.seeds as usize,
                Verdict::Fail => counts.fail += case.seeds as usize,
                Verdict::NotApplicable => counts.not_applicable += case.seeds as usize,
            }
        }
        counts
    }

    /// Cases in all. Seeds of one cell that came out alike share a row, so there may be fewer rows.
    pub fn cases(&self) -> usize {
        self.each().iter().map(|(_, n)| n).sum()
    }

    /// In the order in which a reader wants them: the worst first.
    pub fn each(&self) -> [(Verdict, usize); 5] {
        [
            (Verdict::Fail, self.fail),
            (Verdict::Unknown, self.unknown),
            (Verdict::NotExercised, self.not_exercised),
            (Verdict::Pass, self.pass),
            (Verdict::NotApplicable, self.not_applicable),
        ]
    }
}

/// How many rows stand for how many cases, where that is not the same.
pub(super) fn shared(cases: &[CaseReport]) -> Option<String> {
    let (rows, all) = (cases.len(), Counts::of(cases).cases());
    let word = if rows == 1 { "row" } else { "rows" };
    (rows < all)
        .then(|| format!("{} cases in {} {word}: seeds of one cell that came out alike share a row", thousands(all as u64), thousands(rows as u64)))
}

/// Reasons for not being applicable, the most frequent first.
pub(super) fn reasons(cases: &[CaseReport]) -> Vec<(String, usize)> {
    let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.verdict == Verdict::NotApplicable) {
        *by_reason.entry(if case.reason.is_empty() { "no reason given" } else { &case.reason }).or_default() += case.seeds as usize;
    }
    let mut list: Vec<(String, usize)> = by_reason.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list
}

/// What a verdict means, for a reader who sees one for the first time.
pub(super) fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Every check had something to judge where it was bound to, and found nothing wrong.",
        Verdict::NotExercised => {
            "Nothing went wrong, but what the case is about never happened: a fault that did not act, a check with nothing to judge. This is not a pass."
        }
        Verdict::Unknown => {
            "It cannot be decided: the record was cut short, the harness was too slow, or an outcome stayed open. This is not a pass."
        }
        Verdict::Fail => "At least one check found something wrong; the finding shows the entries that prove it.",
        Verdict::NotApplicable => {
            "The target does not claim what the case needs, or the axes do not go together. It is left out of the overall verdict."
        }
    }
}

/// A duration for a person, from seconds: two or three significant figures.
pub fn seconds(s: f64) -> String {
    let figures = |value: f64, unit: &str| {
        let digits = if value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text} {unit}")
    };
    match s {
        s if !s.is_finite() => "-".into(),
        s if s < 0.000_999_5 => figures(s * 1e6, "us"),
        s if s < 0.999_5 => figures(s * 1e3, "ms"),
        s if s < 60.0 => figures(s, "s"),
        s if s < 3_600.0 => figures(s / 60.0, "min"),
        s if s < 172_800.0 => figures(s / 3_600.0, "h"),
        s => figures(s / 86_400.0, "d"),
    }
}

/// How fast a run went, and what it took; nothing where it was too small to say.
pub(super) fn pace(report: &RunReport) -> Option<String> {
    let (orders, entries) = report.cases.iter().fold((0, 0), |(orders, entries), case| (orders + case.orders_run(), entries + case.entries));
    if orders < PACED || report.wall_s <= 0.0 {
        return None;
    }
    let a_second = |n: u64| {
        // no more digits than it is sure of
        let rate = n as f64 / report.wall_s;
        let unit = 10f64.powf(rate.max(1.0).log10().floor() - 2.0).max(1.0);
        thousands(((rate / unit).round() * unit) as u64)
    };
    let partitions: u64 = report.cases.iter().map(|case| u64::from(case.partitions)).sum();
    let mut text = format!(
        "{} orders and {} entries a second, in {} partition{}",
        a_second(orders),
        a_second(entries),
        thousands(partitions),
        if partitions == 1 { "" } else { "s" }
    );
    if let Some(bytes) = report.peak_memory {
        text.push_str(&format!(", with at most {} MB of memory", thousands(bytes.div_ceil(1_000_000))));
    }
    Some(text)
}

/// `once`, `12,345 times`
pub(super) fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{} times", thousands(n)) }
}

/// `12,345`
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// From the first stage of an order to the last.
const STAGE_ORDER: [&str; 10] = [
    "send_lag",
    "ack_service",
    "ack",
    "order_to_accept",
    "order_to_allocate",
    "order_to_release",
    "release_to_ship",
    "order_to_ship",
    "order_to_complete",
    "return_to_refund",
];

/// Latencies in the order of an order's way, whatever else follows.
pub(super) fn stages_in_order(stages: &BTreeMap<String, Quantiles>) -> Vec<(&str, &Quantiles)> {
    let mut rows: Vec<(&str, &Quantiles)> = stages.iter().map(|(name, q)| (name.as_str(), q)).collect();
    rows.sort_by_key(|(name, _)| STAGE_ORDER.iter().position(|stage| stage == name).unwrap_or(STAGE_ORDER.len()));
    rows
}

/// The KPIs with their formulas as they are computed here.
pub(super) fn kpi_rows(kpis: &crate::measure::Kpis) -> Vec<(&'static str, String, &'static str)> {
    let rate = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{:.2} %", v * 100.0));
    vec![
        (
            "Order-to-ship time (mean)",
            kpis.order_to_ship_s.map_or("-".into(), seconds),
            "first parcel left, handed over or ready for pickup, less the intended time of the order",
        ),
        (
            "Order failure rate",
            rate(kpis.order_failure_rate),
            "orders that were lost or stuck at rest / orders placed; business rejections and orders parked in an exception queue are not counted",
        ),
        ("Cancellation rate", rate(kpis.cancellation_rate), "orders cancelled as a whole / orders placed"),
        ("Manual intervention rate", rate(kpis.manual_intervention_rate), "orders with at least one exception raised / orders placed"),
        (
            "Split shipment rate",
            rate(kpis.split_shipment_rate),
            "orders with more than one outbound parcel / orders with at least one; exchange parcels left out",
        ),
        (
            "Inventory mismatch rate",
            rate(kpis.inventory_mismatch_rate),
            "(node, SKU) pairs whose on-hand at rest differs from the shelf / pairs asked for",
        ),
        (
            "Support tickets per 100 orders (modelled)",
            kpis.tickets_per_100.map_or("-".into(), |v| format!("{v:.1}")),
            "sum of 1 - product(1 - w): base .03, cancelled by merchant .40, refund over 5 d after receipt .30, charged too much .95, no confirmation .20, split without notice .08, repeated confirmation .05; the weights are assumptions",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_units() {
        let shown: Vec<String> = [0.0000123, 0.35, 0.99999, 1.5, 90.0, 7200.0, 90_000.0, 864_000.0, f64::NAN].into_iter().map(seconds).collect();
        assert_eq!(shown, ["12.3 us", "350 ms", "1 s", "1.5 s", "1.5 min", "2 h", "25 h", "10 d", "-"]);
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_pace_of_a_run_has_three_digits_and_none_where_it_was_small() {
        let mut report = crate::report::sample::run();
        report.cases.retain(|case| case.verdict == Verdict::Pass);
        report.cases.truncate(1);
        let case = &mut report.cases[0];
        (case.measures.orders_placed, case.seeds, case.entries, case.partitions) = (1_000_000, 1, 24_920_374, 977);
        (report.wall_s, report.peak_memory) = (7.6, Some(68_072 * 1024));
        let words = "132,000 orders and 3,280,000 entries a second, in 977 partitions";
        assert_eq!(pace(&report), Some(format!("{words}, with at most 70 MB of memory")));
        report.peak_memory = None;
        assert_eq!(pace(&report).as_deref(), Some(words));
        report.cases[0].partitions = 1;
        assert_eq!(pace(&report), Some(words.replace("977 partitions", "1 partition")));
        // of a million that were planned only these were placed before it was stopped
        (report.cases[0].orders, report.cases[0].measures.orders_placed) = (1_000_000, 999);
        assert_eq!(pace(&report), None);
        (report.cases[0].measures.orders_placed, report.wall_s) = (1_000, 0.0);
        assert_eq!(pace(&report), None);
    }
}
