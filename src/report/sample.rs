//! A plausible run for tests and for looking at: some six hundred cases, several findings, awkward texts.

use super::{BookRow, CaseReport, FindingReport, LagReport, Manifest, RunReport, SUMMARY_VERSION, SellOutReport, ThresholdReport, TimelineRow};
use crate::check::{CheckResult, Verdict};
use crate::measure::{CoursePoint, Kpis, Measures, Quantiles, SeriesPoint};
use std::collections::BTreeMap;

const SCENARIOS: [(&str, &[&str]); 9] = [
    ("S01", &["base", "tax", "bundle"]),
    ("S02", &["base", "partial-backorder", "late-receipt"]),
    ("S03", &["base", "ship-complete"]),
    ("S04", &["cancel-early", "cancel-late", "cancel-after-ship", "cancel-line"]),
    ("S05", &["pickup", "no-show", "store-rejects"]),
    ("S06", &["return-mail", "return-store", "scrap", "keep-it"]),
    ("S07", &["exchange-on-receipt", "exchange-advance"]),
    ("S08", &["fraud-review", "payment-pending", "payment-declined"]),
    ("M02", &["hot-sku", "flash"]),
];
const FAULTS: [&str; 12] = [
    "none",
    "duplicate",
    "drop",
    "delay",
    "reorder",
    "payment-timeout",
    "payment-lose-reply",
    "node-outage",
    "carrier-5xx",
    "feed-loss",
    "throttle",
    "storm-of-everything",
];
const CHECKS: [&str; 8] = [
    "NO_OVERSELL",
    "NO_DOUBLE_CAPTURE",
    "NO_CAPTURE_WITHOUT_SHIPMENT",
    "REFUND_BALANCE",
    "STOCK_CONSERVED",
    "EVENT_ORDER",
    "LIVENESS",
    "EXPECTATION",
];

fn row(n: u64, at: &str, side: &str, text: &str, marked: bool) -> TimelineRow {
    TimelineRow { n, at: at.into(), side: side.into(), text: text.into(), marked }
}

fn finding(case: &str, kind: usize) -> FindingReport {
    let reproduce = format!("orderstorm run --seed 42 --case {case}");
    match kind % 3 {
        0 => FindingReport {
            check: "NO_DOUBLE_CAPTURE".into(),
            order: "O3".into(),
            what: "48.00 was captured twice for fulfillment F2 under two keys; 96.00 captured, 48.00 owed.".into(),
            expected: "A shipment is captured once, however often the target has to ask: a retry carries the key of the first call.".into(),
            evidence: vec![
                row(11, "00:00:05.000", "sent", "PlaceOrder 2 A, 1 B for 148.00 by web key 1f -> ok after 350ms", false),
                row(17, "00:00:05.420", "claim", "order.accepted 148.00 #1", false),
                row(31, "06:12:40.100", "fact", "node.shipped 1 A (line 1) at DC1 F2", false),
                row(32, "06:12:40.100", "fact", "stock.shipped -1 A at DC1 F2", false),
                row(36, "06:12:40.400", "call", "payment.capture 48.00 auth 77 key a1 -> timed out, may or may not be done after 10s", false),
                row(37, "06:12:40.700", "fact", "payment.capture 48.00 auth 77 key a1", true),
                row(38, "06:12:40.700", "fault", "fault `lose-capture-reply` acted on payment.capture message 5c", false),
                row(41, "06:12:50.900", "call", "payment.capture 48.00 auth 77 key b9 -> ok after 300ms", false),
                row(42, "06:12:51.200", "fact", "payment.capture 48.00 auth 77 key b9", true),
                row(44, "06:12:51.300", "claim", "payment.captured 48.00 F2 auth 77 #9", false),
                row(60, "1d+00:00:00.000", "mark", "rest: nothing is pending", false),
            ],
            faults: vec!["`lose-capture-reply` on payment.capture at 06:12:40.700 (entry 38): done, answer lost".into()],
            books: vec![BookRow { what: "captured".into(), facts: "96.00".into(), claims: "48.00".into() }],
            story: vec![row(11, "00:00:05.000", "sent", "PlaceOrder 2 A, 1 B for 148.00 by web key 1f -> ok after 350ms", false)],
            reproduce,
        },
        1 => FindingReport {
            check: "NO_OVERSELL".into(),
            order: String::new(),
            what: "13 units of A at DC1 were promised with 12 on the shelf.".into(),
            expected: "Reservations never exceed on-hand less safety stock at one (node, SKU).".into(),
            evidence: vec![
                row(3, "00:00:00.000", "fact", "stock.opening +12 A at DC1", true),
                row(180, "00:41:03.250", "claim", "inventory.reserved 1 A (line 1) at DC1 #2", false),
                row(181, "00:41:03.251", "claim", "inventory.reserved 1 A (line 1) at DC1 #2", true),
            ],
            faults: vec!["reorder-feeds".into(), "duplicate-commands".into()],
            reproduce,
            ..FindingReport::default()
        },
        _ => FindingReport {
            check: "EXPECTATION".into(),
            order: "100045-<b>&\u{1}".into(),
            what: "order.completed never came; <script>alert(1)</script> & \"quotes\" stay text.".into(),
            expected: "order.accepted > fulfillment.released > order.completed".into(),
            evidence: vec![
                row(9, "00:00:09.000", "claim", "order.held hold_fraud #2", true),
                row(0, "00:00:09.000", "mark", ".. 14 not shown", false),
            ],
            faults: vec![],
            reproduce,
            ..FindingReport::default()
        },
    }
}

fn quantiles(median: f64, count: u64) -> Quantiles {
    let at = |factor: f64, beyond: f64| (count as f64 * beyond >= 10.0).then_some(median * factor);
    Quantiles {
        count,
        mean_s: median * 1.2,
        max_s: median * 31.0,
        p50_s: at(1.0, 0.5),
        p90_s: at(2.4, 0.1),
        p95_s: at(3.6, 0.05),
        p99_s: at(9.0, 0.01),
        p999_s: at(20.0, 0.001),
    }
}

fn totals(orders: u64) -> Measures {
    let stages = [
        ("ack", 0.38),
        ("ack_service", 0.35),
        ("order_to_accept", 0.42),
        ("order_to_allocate", 2.1),
        ("order_to_release", 1_803.0),
        ("order_to_ship", 23_000.0),
        ("order_to_complete", 260_000.0),
        ("release_to_ship", 21_600.0),
        ("return_to_refund", 400_000.0),
    ];
    let wave = |i: u64, shift: u64, scale: f64| ((1.0 + ((i + shift) as f64 / 9.0).sin()) * scale * (-(i as f64) / 50.0).exp()) as u64;
    Measures {
        latency: stages
            .into_iter()
            .map(|(stage, median)| (stage.to_owned(), quantiles(median, if stage == "return_to_refund" { 130 } else { orders })))
            .collect(),
        kpis: Kpis {
            order_to_ship_s: Some(27_400.0),
            order_failure_rate: Some(0.0021),
            cancellation_rate: Some(0.041),
            manual_intervention_rate: Some(0.0175),
            split_shipment_rate: Some(0.132),
            inventory_mismatch_rate: None,
            tickets_per_100: Some(6.2),
        },
        orders_placed: orders,
        throughput_per_s: 0.0033,
        series: (0..96)
            .map(|i| SeriesPoint {
                t_s: i as f64 * 1_638.4,
                placed: wave(i, 20, 220.0),
                shipped: wave(i, 12, 190.0),
                completed: if i > 40 { wave(i, 50, 260.0) } else { 0 },
                faults: if i < 30 { i % 3 } else { 0 },
                ack_max_s: if i < 60 { 0.3 + (i % 7) as f64 * if i < 30 { 2.5 } else { 0.1 } } else { 0.0 },
            })
            .collect(),
        course: course(),
    }
}

/// A load that grows beyond what is served, and falls again.
fn course() -> Vec<CoursePoint> {
    let mut backlog = 0u64;
    (0..60u64)
        .map(|i| {
            let offered = 40 + 80 * u64::from((20..35).contains(&i));
            let answered = (offered + backlog).min(70);
            backlog = backlog + offered - answered;
            let waited = 0.02 * (1.0 + backlog as f64);
            let took = (0..8u32).map(|k| (waited * 1.25f64.powi(k as i32), waited * 1.25f64.powi(k as i32 + 1), 1 + (8 - k) * (8 - k))).collect();
            CoursePoint { t_s: i as f64 * 5.0, width_s: 5.0, offered, answered, backlog, took }
        })
        .collect()
}

/// One threshold of each outcome.
fn thresholds() -> Vec<ThresholdReport> {
    let one = |text: &str, verdict, value, limit, unit: &str, reason: &str| ThresholdReport {
        threshold: text.into(),
        metric: text.split(' ').next().unwrap_or_default().into(),
        phase: String::new(),
        verdict,
        value,
        limit,
        limit_said: text.split_once(' ').map_or(String::new(), |(_, limit)| limit.into()),
        unit: unit.into(),
        reason: reason.into(),
        ended_at_s: None,
    };
    vec![
        one("orders.failed == 0", Verdict::Pass, Some(0.0), 0.0, "count", ""),
        one("latency.ack.p99 < 250ms", Verdict::Fail, Some(0.612), 0.25, "s", "ended the case after 2m 5s"),
        one("latency.ack.p99.9 < 1s", Verdict::Unknown, None, 1.0, "s", "p99.9 needs 10000 samples, and there are <script>12</script>"),
    ]
}

pub(super) fn run() -> RunReport {
    let mut cases = Vec::new();
    let mut number = 0usize;
    for (scenario, variants) in SCENARIOS {
        for variant in variants {
            for fault in FAULTS {
                for (channel, orders) in [("web", 1u32), ("app", 12)] {
                    number += 1;
                    if number % 17 == 5 {
                        continue;
                    }
                    cases.push(case(number, scenario, variant, fault, channel, orders));
                }
            }
        }
    }
    let orders = cases.iter().map(|case| u64::from(case.orders) * u64::from(case.seeds)).sum();
    RunReport {
        orderstorm_summary: SUMMARY_VERSION,
        manifest: Manifest {
            version: "0.1.0".into(),
            command: "orderstorm run --seed 42 --faults all --out results/nightly".into(),
            seed: 42,
            target: "reference".into(),
            defect: "capture-key-per-attempt".into(),
            files: [("scenarios/S01.toml", "9f86d081884c7d65"), ("profiles/fault/duplicate.toml", "2c26b46b68ffc68f")]
                .map(|(a, b)| (a.into(), b.repeat(4)))
                .into(),
            policies: serde_json::json!({"default": {"capture": "on_ship", "refund": "on_inspection"}, "S02.partial-backorder": {"backorder_partial": true}}),
            cover: "pairwise: 588 of 3,672 cells".into(),
            source: None,
            sending: String::new(),
            assumed: vec!["weights of the ticket model".into(), "phantom stock: 6 % of picks in stores, 0.3 % in distribution centres".into()],
        },
        verdict: cases.iter().map(|case| case.verdict).reduce(Verdict::merge).unwrap_or(Verdict::Unknown),
        partial: false,
        doubts: Vec::new(),
        totals: totals(orders),
        checks: super::checks_over(&cases),
        never_exercised: super::never_exercised(&cases),
        cases,
        wall_s: 14.7,
        peak_memory: Some(71_000_000),
    }
}

fn case(number: usize, scenario: &str, variant: &str, fault: &str, channel: &str, orders: u32) -> CaseReport {
    let name = format!("{scenario}.{variant}.{fault}.{channel}.{orders}");
    let failing = fault == "payment-lose-reply" && !variant.contains("declined") && orders == 12 || number % 97 == 13;
    let (verdict, reason) = match () {
        () if failing => (Verdict::Fail, String::new()),
        () if number % 83 == 7 => (Verdict::Unknown, "the record was cut short: the footer is missing".into()),
        () if number % 41 == 3 && fault != "none" => (Verdict::NotExercised, format!("fault `{fault}-events` never acted")),
        () if scenario == "S07" && fault == "carrier-5xx" => (Verdict::NotApplicable, "the target does not claim `exchange`".into()),
        () if scenario == "S05" && channel == "app" && fault == "throttle" => {
            (Verdict::NotApplicable, "a pickup order has no carrier to fail".into())
        }
        () => (Verdict::Pass, String::new()),
    };
    let findings: Vec<FindingReport> =
        if verdict == Verdict::Fail { (0..1 + number % 2).map(|k| finding(&name, number / 7 + k)).collect() } else { Vec::new() };
    let ran = verdict != Verdict::NotApplicable;
    let checks = CHECKS.iter().enumerate().filter(|_| ran).map(|(i, check)| {
        let failures = findings.iter().filter(|finding| finding.check == *check).count() as u64 * 3;
        let verdict = match () {
            () if failures > 0 => Verdict::Fail,
            () if verdict == Verdict::Unknown && i == 6 => Verdict::Unknown,
            () if i == 3 && scenario != "S06" => Verdict::NotExercised,
            () => Verdict::Pass,
        };
        CheckResult {
            name: (*check).into(),
            verdict,
            activations: u64::from(orders) * 7,
            excused: 0,
            unknowns: u64::from(verdict == Verdict::Unknown),
            failures,
        }
    });
    CaseReport {
        scenario: scenario.into(),
        variant: variant.into(),
        fault: fault.into(),
        channel: channel.into(),
        orders,
        seeds: 1,
        seed: 42u64.wrapping_mul(number as u64 + 1),
        verdict,
        reason,
        checks: checks.collect(),
        thresholds: if verdict == Verdict::Fail { thresholds() } else { Vec::new() },
        findings_total: findings.len() as u64 * 3,
        publish_lag: if ran { LagReport { probes: 3, claims: 30, worst_ms: 40.0, grace_ms: 500.0 } } else { LagReport::default() },
        sell_outs: if ran {
            SellOutReport { count: 1, asks_per_s: 25.0, shows_from_ms: Some(120.0), ..SellOutReport::default() }
        } else {
            SellOutReport::default()
        },
        outcomes: BTreeMap::from([("order.cancelled".into(), 0), ("order.completed".into(), u64::from(orders))]),
        faults_fired: if ran && fault != "none" { BTreeMap::from([(format!("{fault}-events"), number as u64 % 9 + 1)]) } else { BTreeMap::new() },
        entries: if ran { u64::from(orders) * 61 } else { 0 },
        virtual_s: if ran { 190_000.0 + number as f64 } else { 0.0 },
        histories: if verdict == Verdict::Fail { vec![format!("histories/{name}.jsonl.gz")] } else { vec![] },
        partitions: u32::from(ran),
        digest: if ran { format!("{:064x}", 0x9e37_79b9_7f4a_7c15u128 * (number as u128 + 77)) } else { String::new() },
        measures: Measures::default(),
        reproduce: format!("orderstorm run --seed 42 --case {name}"),
        findings,
        name,
    }
}
