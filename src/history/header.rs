//! What a history says before its first entry: enough to judge it alone.

use crate::model::{Fixture, Op};
use crate::scenario::ExpectFile;
use serde::{Deserialize, Serialize};

pub const HISTORY_VERSION: u32 = 1;

/// First line of a history file. Of other programs only the version of the format and the fixture are demanded.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// format version, [`HISTORY_VERSION`]
    pub orderstorm_history: u32,
    /// version of the orderstorm that wrote it; empty where another program did
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub case: String,
    /// the run's seed; the case's own is derived from it and the case name
    #[serde(default)]
    pub seed: u64,
    /// this part of a case cut into partitions, from 0
    #[serde(default)]
    pub partition: u32,
    #[serde(default)]
    pub partitions: u32,
    #[serde(default)]
    pub target: String,
    /// defect switched on in the embedded reference, or empty
    #[serde(default)]
    pub defect: String,
    /// names of the fault rules, in rule order: entry `seq` k of kind `fault` names rule k-1
    #[serde(default)]
    pub fault_rules: Vec<String>,
    /// what each of them does to a message, in words
    #[serde(default)]
    pub fault_does: Vec<String>,
    /// from when on no fault acts any more, in nanoseconds
    #[serde(default)]
    pub calm_ns: u64,
    /// longest time the run waits for the target after the calm, in nanoseconds
    #[serde(default)]
    pub horizon_ns: u64,
    /// business seconds in one second of the wall clock, where time passed by itself and faster than that; absent or 0: one
    #[serde(default, skip_serializing_if = "is_zero")]
    pub time_scale: f64,
    pub fixture: Fixture,
    /// what the record can tell of, where that is not everything
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tells: Option<Tells>,
    /// after `mark.replay` everything that was sent is sent once more
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// what the scenario expects of every order
    #[serde(default)]
    pub expect: ExpectFile,
    /// what the case must hold by its measures, where it must; with `abort` the record may end early for it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<String>,
    /// the command that reproduces this history
    #[serde(default)]
    pub command: String,
}

/// What a record tells of: a rule that rests on something else has nothing to judge. A target that is said to announce something and
/// does not is to blame.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tells {
    /// calls and callbacks of partners whose books are in it
    pub facts: Vec<Op>,
    /// events that the target announces
    pub claims: Vec<Op>,
    /// states are only looked at so often, in nanoseconds; 0 where each is announced
    #[serde(default)]
    pub sampled_ns: u64,
}

fn is_zero(scale: &f64) -> bool {
    *scale == 0.0
}

impl Header {
    /// What takes a second on the wire takes so many in the record.
    pub fn scale(&self) -> f64 {
        if self.time_scale.is_finite() && self.time_scale > 1.0 { self.time_scale } else { 1.0 }
    }
    /// Written by another program: its entries may lack what ours always have, and it may record less than everything.
    pub fn is_foreign(&self) -> bool {
        self.version.is_empty()
    }
}
