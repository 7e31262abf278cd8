//! Fault sets: rules on links, each decided by (seed, rule, entity, nth). The low form, and the high form made from it.

use crate::model::Op;
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file in `profiles/fault/`: one named storm.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "orderstorm fault set", extend("$id" = "https://orderstorm.dev/schemas/fault.v1.json"))]
pub struct FaultSetFile {
    /// short unique name; third part of every case name
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub about: String,
    /// asked in order, the first that acts on a message wins
    #[serde(default)]
    pub rule: Vec<FaultRuleFile>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRuleFile {
    pub name: String,
    pub link: Link,
    /// operations concerned (canonical names); all of the link where empty
    #[serde(default)]
    pub ops: Vec<String>,
    #[serde(rename = "do")]
    pub action: FaultAction,
    /// share of the messages of the link that it hits, besides the directed ones
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// hit the first message of each operation of one order of every case, so that the fault is certain to act; default true
    #[serde(default = "yes")]
    pub directed: bool,
    /// act on everything in a window of this length that opens with the first message of the link (an outage)
    pub lasts: Option<String>,
    /// duplicate: how many more
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub copies: u32,
    /// duplicate: the copies carry a new message id (the same idempotency key and body)
    #[serde(default)]
    pub new_id: bool,
    /// how much later: a duration or a range to draw from. duplicate: the copies; drop: the redelivery; delay, effect_late: the message; reorder: at most so much
    pub delay: Option<String>,
    /// throttle: what Retry-After says
    pub retry_after: Option<String>,
    /// lose (feeds): a snapshot that mends the gap follows after this long
    pub resync: Option<String>,
}

fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}

/// Which way a message goes. The request leg is the message itself; the reply leg is the answer to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// channels to target
    Commands,
    /// inventory systems to target
    Feeds,
    /// partners to target
    Callbacks,
    /// target to partners
    Calls,
    /// target to the harness's event sink
    Events,
}

/// On which leg an action lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leg {
    Request,
    Reply,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// delivered again, `copies` times, `delay` later
    Duplicate,
    /// lost; whoever sent it sends it again after `delay`
    Drop,
    /// delivered `delay` later
    Delay,
    /// delivered up to `delay` later, so that later ones overtake it
    Reorder,
    /// the connection is refused: nothing happened, and the sender knows
    Refuse,
    /// no answer, nothing happened, and the sender cannot know
    Blackhole,
    /// answered 503 at once, nothing happened
    Unavailable,
    /// answered 500: the effect did not happen, but the answer promises nothing
    Error,
    /// answered 429 with Retry-After
    Throttle,
    /// the effect happens, the answer is lost
    LoseReply,
    /// no answer in time; the effect happens `delay` later
    EffectLate,
    /// lost for good (feeds); a snapshot follows after `resync`
    Lose,
}

/// A storm, checked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FaultSet {
    pub name: String,
    pub title: String,
    pub about: String,
    pub rules: Vec<FaultRule>,
    pub origin: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FaultRule {
    pub name: String,
    pub link: Link,
    /// empty: every operation of the link
    pub ops: Vec<Op>,
    pub action: FaultAction,
    pub share: f64,
    pub directed: bool,
    pub lasts: Option<Span>,
    pub copies: u32,
    pub new_id: bool,
    pub delay: super::SpanRange,
    pub retry_after: Span,
    pub resync: Span,
}
