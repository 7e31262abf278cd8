//! What a history says before its first entry: enough to judge it alone.

use crate::model::Fixture;
use crate::scenario::ExpectFile;
use serde::{Deserialize, Serialize};

pub const HISTORY_VERSION: u32 = 1;

/// First line of a history file.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// format version, [`HISTORY_VERSION`]
    pub orderstorm_history: u32,
    /// version of the program that wrote it
    pub version: String,
    pub case: String,
    /// the run's seed; the case's own is derived from it and the case name
    pub seed: u64,
    /// this part of a case cut into partitions, from 0
    pub partition: u32,
    pub partitions: u32,
    pub target: String,
    /// defect switched on in the embedded reference, or empty
    pub defect: String,
    /// names of the fault rules, in rule order: entry `seq` k of kind `fault` names rule k-1
    pub fault_rules: Vec<String>,
    /// from when on no fault acts any more, in nanoseconds
    pub calm_ns: u64,
    /// longest time the run waits for the target after the calm, in nanoseconds
    pub horizon_ns: u64,
    pub fixture: Fixture,
    /// after `mark.replay` everything that was sent is sent once more
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// what the scenario expects of every order
    pub expect: ExpectFile,
    /// the command that reproduces this history
    pub command: String,
}
