//! What every format draws from; `summary.json` is exactly this.

use super::SellOutReport;
use crate::check::{CheckResult, PublishLag, Verdict};
use crate::measure::Measures;
use crate::model::names_probe;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const SUMMARY_VERSION: u32 = 1;

/// A whole run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// format version
    pub orderstorm_summary: u32,
    pub manifest: Manifest,
    /// the worst verdict of the applicable cases; where the run was stopped or is doubted, unknown at best
    pub verdict: Verdict,
    /// stopped before its end: what was recorded is judged and kept
    pub partial: bool,
    /// why the run as a whole cannot pass, whatever its cases say
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    pub cases: Vec<CaseReport>,
    /// every check over all cases: how often it judged, could not, passed only thanks to an excuse, failed
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// checks that never had anything to judge, and outcomes that a scenario allows and that never came true
    #[serde(default)]
    pub never_exercised: Vec<String>,
    /// over all cases
    pub totals: Measures,
    /// real seconds the run took
    pub wall_s: f64,
    /// the most memory that the program has held, in bytes; only where the system tells
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

impl RunReport {
    /// What became of the rows that the orders were taken from, in a sentence.
    pub fn rows(&self) -> Option<&str> {
        self.manifest.source.as_ref()?.get("rows")?.as_str()
    }
}

/// What is needed to do it again.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    pub version: String,
    pub command: String,
    pub seed: u64,
    pub target: String,
    pub defect: String,
    /// SHA-256 of every scenario, fault set, profile and source file that was read, by name
    pub files: std::collections::BTreeMap<String, String>,
    /// the target's policies that the judge goes by: `default`, and by scenario variant where they differ from it; empty words and 0 are what
    /// a target has not declared
    pub policies: serde_json::Value,
    /// how the matrix was covered, such as `pairwise: 612 of 3,672 cells`
    pub cover: String,
    /// for a run on a real order history: the account of its rows
    pub source: Option<serde_json::Value>,
    /// of a live target: how requests are sent to it, and what its profile allows
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sending: String,
    /// assumptions without a source that the run rests on
    pub assumed: Vec<String>,
}

/// One case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CaseReport {
    pub name: String,
    pub scenario: String,
    pub variant: String,
    pub fault: String,
    pub channel: String,
    /// orders of one run of it
    pub orders: u32,
    /// how many seeds this row stands for: seeds that passed share one, with the measures of the first
    pub seeds: u32,
    /// the first of them
    pub seed: u64,
    pub verdict: Verdict,
    /// why it is not applicable, not exercised or unknown
    pub reason: String,
    pub checks: Vec<CheckResult>,
    /// what was demanded of its measures, and what came of it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdReport>,
    pub findings: Vec<FindingReport>,
    /// how many findings there were before they were capped
    pub findings_total: u64,
    /// how late claims of the target are heard, and what the judge makes of it
    pub publish_lag: LagReport,
    /// what sold out, and how narrow a race for the last unit would have shown
    #[serde(default)]
    pub sell_outs: SellOutReport,
    /// outcomes that the scenario allows, with how many orders each came true for
    #[serde(default)]
    pub outcomes: std::collections::BTreeMap<String, u64>,
    /// how often each fault rule acted
    pub faults_fired: std::collections::BTreeMap<String, u64>,
    pub entries: u64,
    /// independent regions that it was cut into
    #[serde(default)]
    pub partitions: u32,
    /// virtual seconds from first to last entry
    pub virtual_s: f64,
    /// history files, relative to the run's folder
    pub histories: Vec<String>,
    /// fingerprint of the case's histories, in partition order: equal where they are; also there when none was kept
    pub digest: String,
    pub measures: Measures,
    /// the command that runs this case alone
    pub reproduce: String,
}

impl CaseReport {
    /// Checks that passed only thanks to an excuse.
    pub fn excused(&self) -> u64 {
        self.checks.iter().map(|check| check.excused).sum()
    }
    /// Orders that were really placed: none where the case makes no sense, and fewer than planned where it was stopped.
    pub fn orders_run(&self) -> u64 {
        match self.seeds {
            _ if self.verdict == Verdict::NotApplicable => 0,
            // several seeds share the measures of one of them, and only those that came to their end do
            2.. => u64::from(self.orders) * u64::from(self.seeds),
            _ => self.measures.orders_placed,
        }
    }
}

/// What came of one threshold in one case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdReport {
    /// as it was written: `peak: latency.ack.p99 < 250ms`
    pub threshold: String,
    pub metric: String,
    /// the part of the run that it is about; empty for all of it
    pub phase: String,
    /// unknown where there was nothing to measure, or too little
    pub verdict: Verdict,
    pub value: Option<f64>,
    pub limit: f64,
    /// operator and limit as they were written
    pub limit_said: String,
    /// of value and limit: `s`, `count`, `share`, `per_s` or `number`
    pub unit: String,
    /// why it is unknown, or what else is to be said
    pub reason: String,
    /// it ended the case so many virtual seconds after its first moment
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_s: Option<f64>,
}

/// How late claims of the target are heard when nothing stands in their way, by the probe orders.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct LagReport {
    /// probe orders of which a claim was heard
    pub probes: u64,
    /// claims that were measured
    pub claims: u64,
    /// the worst lag among them, in milliseconds
    pub worst_ms: f64,
    /// for so long the judge gives a late claim the benefit of the doubt, in milliseconds
    pub grace_ms: f64,
}

impl LagReport {
    pub fn of(lag: PublishLag) -> LagReport {
        let ms = |span: crate::sim::Span| span.0 as f64 / 1e6;
        LagReport { probes: lag.probes, claims: lag.claims, worst_ms: ms(lag.worst), grace_ms: ms(lag.grace) }
    }

    /// The worst of several cases; none where no case was judged.
    pub fn over(cases: impl IntoIterator<Item = LagReport>) -> Option<LagReport> {
        cases.into_iter().filter(|lag| lag.grace_ms > 0.0).reduce(|a, b| LagReport {
            probes: a.probes + b.probes,
            claims: a.claims + b.claims,
            worst_ms: a.worst_ms.max(b.worst_ms),
            grace_ms: a.grace_ms.max(b.grace_ms),
        })
    }

    pub fn sentence(&self) -> String {
        let grace = self.grace_ms;
        match self.claims {
            0 => format!("publish lag not measured: no claim about a probe order was heard; grace {grace:.0} ms by default"),
            n => format!("publish lag {:.0} ms at worst, by {n} claims about {} probe orders; grace {grace:.0} ms", self.worst_ms, self.probes),
        }
    }
}

/// A finding with the story that proves it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct FindingReport {
    pub check: String,
    /// `O17`, or empty
    pub order: String,
    pub what: String,
    pub expected: String,
    /// the entries that prove it, in order
    pub evidence: Vec<TimelineRow>,
    /// the fault rules that acted on this order: on what, when, and what they did
    pub faults: Vec<String>,
    /// what partners' books and shelves have for the order against what the target says
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub books: Vec<BookRow>,
    /// the whole story of the order; with the first finding of an order, for the first few orders of a case
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub story: Vec<TimelineRow>,
    pub reproduce: String,
}

impl FindingReport {
    /// The order for people: `order O17`, or `probe order O4294967040`; empty where it is about none.
    pub fn whose(&self) -> String {
        match self.order.as_str() {
            "" => String::new(),
            order if names_probe(order) => format!("probe order {order}"),
            order => format!("order {order}"),
        }
    }
}

/// One sum of an order on both sides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BookRow {
    /// `captured`, `shipped units`, ..
    pub what: String,
    pub facts: String,
    pub claims: String,
}

/// One line of a timeline: facts on one side, claims on the other, faults inline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TimelineRow {
    pub n: u64,
    /// `00:10:05.250` since the run began
    pub at: String,
    /// `fact`, `claim`, `sent`, `call`, `fault` or `mark`
    pub side: String,
    pub text: String,
    /// one of the entries that a finding names
    pub marked: bool,
}
