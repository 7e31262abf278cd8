use super::*;
use crate::check::Verdict;

/// The published schema must be what the types say. `ORDERSTORM_BLESS=1 cargo test` writes it anew.
fn same_as_file(path: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("ORDERSTORM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(&path, text).expect("writable");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "{} is out of date: run with ORDERSTORM_BLESS=1", path.display());
}

#[test]
fn the_published_summary_schema_is_up_to_date() {
    same_as_file("schemas/summary.v1.json", &summary_schema());
}

#[test]
fn the_published_history_schema_is_up_to_date() {
    same_as_file("schemas/history.v1.json", &crate::history::history_schema());
}

#[test]
fn a_stored_run_reads_back_and_draws_the_same() {
    let report = sample::run();
    // ORDERSTORM_SAMPLE=dir leaves the files for looking at
    let kept = std::env::var_os("ORDERSTORM_SAMPLE").map(std::path::PathBuf::from);
    let dir = kept.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("orderstorm-report-{}", std::process::id())));
    let paths = write_all(&dir, &report).expect("writable");
    assert_eq!(paths.plots.len(), 6);
    let again = read_summary(&dir).expect("readable");
    assert!(again == json::tidied(&report), "what was read is not what was written");
    assert!(to_html(&again).expect("drawable") == std::fs::read_to_string(&paths.html).expect("written"), "drawn again, the page differs");
    let left: Vec<_> = std::fs::read_dir(&dir).expect("a folder").flatten().filter(|f| f.file_name().to_string_lossy().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    if kept.is_none() {
        std::fs::remove_dir_all(&dir).expect("removable");
    } else {
        std::fs::write(dir.join("terminal.txt"), summary(&report, View::default())).expect("writable");
        std::fs::write(dir.join("terminal.ansi"), summary(&report, View { color: true, ..View::default() })).expect("writable");
    }
}

/// Twenty seeds that pass share a row, and one that fails has its own: both forms count cases, and say how many rows there are.
#[test]
fn the_page_and_the_terminal_count_the_same_cases_where_seeds_share_a_row() {
    let mut report = sample::run();
    let row = |verdict| report.cases.iter().find(|case| case.verdict == verdict).expect("one of them").clone();
    let (mut pass, fail, mut idle) = (row(Verdict::Pass), row(Verdict::Fail), row(Verdict::NotApplicable));
    (pass.seeds, idle.seeds) = (20, 3);
    report.cases = vec![pass, fail, idle];
    let (terminal, html) = (summary(&report, View::default()), to_html(&report).expect("drawable"));
    let shared = "24 cases in 3 rows: seeds of one cell that came out alike share a row";
    assert!(terminal.contains("24 cases: 1 fail, 20 pass, 3 not applicable") && terminal.contains(shared), "{terminal}");
    assert!(terminal.contains("    3  a pickup order has no carrier"), "{terminal}");
    assert!(html.contains("<h1>24 cases on ") && html.contains(shared));
    for part in ["<div class=\"count\">20</div>", "</span> and 19 more seeds", "<td class=\"num\">3</td><td>a pickup order has no carrier"] {
        assert!(html.contains(part), "{part}");
    }
    report.cases.iter_mut().for_each(|case| case.seeds = 1);
    assert!(!summary(&report, View::default()).contains("share a row") && !to_html(&report).expect("drawable").contains("share a row"));
}

#[test]
fn the_page_escapes_everything_and_needs_nothing_else() {
    let html = to_html(&sample::run()).expect("drawable");
    assert!(!html.contains("<script"), "text became markup");
    assert!(html.contains("&lt;script&gt;") && html.contains("default-src 'none'"));
    for outside in ["src=\"http", "href=\"http", "url(", "@import", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("<svg") && html.contains("currentColor") && !html.contains("#010203"));
    assert!(!html.contains('\u{1}'));
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

#[test]
fn only_a_case_that_passes_passes_thanks_to_excuses_and_more_may_fail_than_was_judged() {
    let mut report = sample::run();
    report.cases.truncate(1);
    report.cases[0].checks.truncate(1);
    let draw = |report: &mut RunReport, verdict| {
        let case = &mut report.cases[0];
        case.verdict = verdict;
        let check = &mut case.checks[0];
        (check.verdict, check.activations, check.excused, check.failures) = (verdict, 5, 2, if verdict == Verdict::Fail { 6 } else { 0 });
        (check.name.clone(), to_html(report).expect("drawable"), String::from_utf8(to_junit(report).expect("drawable")).expect("text"))
    };
    let (check, html, _) = draw(&mut report, Verdict::Pass);
    assert!(html.contains(&format!("passes only thanks to excuses: {check} 2")));
    for verdict in [Verdict::Fail, Verdict::Unknown, Verdict::NotExercised] {
        let (check, html, junit) = draw(&mut report, verdict);
        assert!(!html.contains("passes only thanks to excuses:") && html.contains(&format!(">excused: {check} 2")), "{verdict:?}");
        if verdict == Verdict::Fail {
            let said = format!("{check} failed 6 times, 5 judged");
            assert!(html.contains(&said) && junit.contains(&said));
        }
    }
}

#[test]
fn junit_has_a_suite_a_case_and_no_invalid_characters() {
    let report = sample::run();
    let xml = String::from_utf8(to_junit(&report).expect("drawable")).expect("UTF-8");
    assert_eq!(xml.matches("<testsuite ").count(), report.cases.len());
    assert!(!xml.contains('\u{1}') && !xml.contains("<script"));
    for part in ["<failure", "<error", "<skipped", "name=\"seed\"", "name=\"reproduce\"", "not applicable: the target does not claim"] {
        assert!(xml.contains(part), "{part}");
    }
}

/// What the case says of itself is about the case: a check that had nothing to judge in it says so, and nothing else.
#[test]
fn a_skipped_test_of_junit_carries_its_own_reason() {
    let mut report = sample::run();
    report.cases.truncate(1);
    let case = &mut report.cases[0];
    (case.verdict, case.reason) = (Verdict::Fail, "latency.ack.p99 is 2 s, and the threshold is < 1s".into());
    case.checks.truncate(3);
    for (check, verdict) in case.checks.iter_mut().zip([Verdict::Pass, Verdict::NotExercised, Verdict::Unknown]) {
        (check.verdict, check.activations, check.unknowns) = (verdict, 5, 2);
    }
    let idle = case.checks[1].name.clone();
    let xml = |report: &RunReport| String::from_utf8(to_junit(report).expect("drawable")).expect("text");
    let text = xml(&report);
    assert!(text.contains(&format!("message=\"not exercised: nothing in this case gave {idle} anything to judge\"")), "{text}");
    assert!(text.contains("message=\"2 of 5 could not be decided\""), "{text}");
    // of an undecided case it is why they could not be
    (report.cases[0].verdict, report.cases[0].reason) = (Verdict::Unknown, "the record was cut short".into());
    let text = xml(&report);
    assert!(text.contains("message=\"2 of 5 could not be decided. the record was cut short\""), "{text}");
    assert_eq!(text.matches("cut short").count(), 1, "{text}");
}

#[test]
fn the_terminal_keeps_to_its_width_and_to_its_colours() {
    let report = sample::run();
    for width in [60, 100, 160] {
        let text = summary(&report, View { width, ..View::default() });
        assert!(!text.contains('\u{1b}') && !text.contains('\u{1}'));
        // stories and the matrix keep to the width; commands and measures may not be broken
        let story =
            timeline(&report.cases.iter().flat_map(|case| &case.findings).next().expect("a finding").evidence, View { width, ..View::default() });
        assert!(story.lines().all(|line| line.chars().count() <= width.max(70)), "{story}");
    }
    assert!(summary(&report, View { color: true, ..View::default() }).contains('\u{1b}'));
}

#[test]
fn a_finding_about_a_probe_order_says_so() {
    let mut report = sample::run();
    report.cases.iter_mut().flat_map(|case| &mut case.findings).for_each(|finding| finding.order = "O4294967040".into());
    let junit = String::from_utf8(to_junit(&report).expect("drawable")).expect("UTF-8");
    for text in [summary(&report, View::default()), to_html(&report).expect("drawable"), junit] {
        assert!(text.contains("probe order O4294967040"), "{text}");
    }
    assert!(to_html(&report).expect("drawable").contains("The whole story of probe order O4294967040"));
}

#[test]
fn numbers_that_json_does_not_have_do_not_break_the_summary() {
    let mut report = sample::run();
    report.cases.truncate(1);
    report.wall_s = f64::NAN;
    report.totals.throughput_per_s = f64::INFINITY;
    let text = to_json(&report).expect("serialisable");
    let back: RunReport = serde_json::from_slice(&text).expect("readable");
    assert_eq!((back.wall_s, back.totals.throughput_per_s), (0.0, 0.0));
}

#[test]
fn an_empty_run_draws() {
    let report = RunReport {
        orderstorm_summary: SUMMARY_VERSION,
        manifest: Manifest::default(),
        verdict: Verdict::Unknown,
        partial: true,
        doubts: Vec::new(),
        cases: Vec::new(),
        checks: Vec::new(),
        never_exercised: Vec::new(),
        totals: Default::default(),
        wall_s: 0.0,
        peak_memory: None,
    };
    assert!(to_html(&report).expect("drawable").contains("unknown"));
    assert!(summary(&report, View { width: 1, ..View::default() }).contains("UNKNOWN"));
    assert!(!to_junit(&report).expect("drawable").is_empty());
}
