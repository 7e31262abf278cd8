//! The low form: what the tables of a target profile may hold that map a foreign API.
//!
//! Texts are of three sorts, and every field says which: plain, a *template* (sent or built, `{{ }}` inside), or an *expression* (asked).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// One request of the foreign API, or several in a row.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepFile {
    /// what it is called in errors and in the output of check-target
    pub name: String,
    /// expression, a list: once for each `item` of it
    pub for_each: String,
    /// expression: only where it holds
    #[serde(rename = "if")]
    pub when: String,
    /// GET, POST, PUT, PATCH or DELETE; POST where there is a body, else GET
    pub method: String,
    /// template; that of the command where absent
    pub path: String,
    /// template for each parameter of the query string; encoded for you
    pub query: BTreeMap<String, String>,
    /// template for each header
    pub headers: BTreeMap<String, String>,
    /// the body, as JSON; every text in it is a template
    pub json: Option<Json>,
    /// the body as a text: a template
    pub text: String,
    /// the name of a document in `[graphql]`; the body is then `{query, variables}`
    pub graphql: String,
    /// variables of that document; every text in it is a template
    pub vars: BTreeMap<String, Json>,
    /// session whose headers go with it; that of the command where absent
    pub session: String,
    /// expressions over the answer: what is kept, under `name` or `name[expression]`
    pub bind: BTreeMap<String, String>,
    /// this step makes the order: after it nobody can say that nothing happened. The last one where none is marked
    pub commit: bool,
    /// expression over the answer: asked again until it holds. For reads only
    pub until: String,
    /// between two asks of `until`
    pub every: String,
    /// `until` must hold within so long, else the outcome is unknown
    pub within: String,
    /// to wait after it, as a shopper does who looks for a card
    pub pause: String,
    /// outcome rules that are asked before those of the whole profile
    pub outcome: Vec<OutcomeFile>,
}

/// What an answer means. The first rule that holds decides.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeFile {
    /// expression over `status`, `headers`, `body`, `timeout`, `refused` and `broken`
    pub when: String,
    pub class: OutcomeClass,
    /// expression: why. A word of `[reasons]`, or one of the vocabulary
    #[serde(default)]
    pub reason: String,
    /// of `retry`: the sender waits so long before it sends it again
    #[serde(default)]
    pub after: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// done: the next step
    Ok,
    /// it was done before; nothing new happened
    Replayed,
    /// taken on, to be decided later
    Pending,
    /// a definite business no
    Rejected,
    /// not now, and nothing happened: sent again later, from this step on, as a new attempt in the history
    Retry,
    /// a technical error; nothing is promised
    Error,
    /// nobody can say whether it happened
    Unknown,
}

/// What is sent for one command, feed or callback of the vocabulary.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CommandFile {
    pub session: String,
    /// template
    pub path: String,
    pub step: Vec<StepFile>,
}

/// A session: how it begins, and what of it goes with each request.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionFile {
    pub scope: SessionScope,
    /// steps that begin it; none where the first answer does
    pub login: Vec<StepFile>,
    /// expressions over every answer: what is kept, read as `session.name`. What is absent changes nothing
    pub capture: BTreeMap<String, String>,
    /// template for each header; left out while what it needs is not there yet
    pub headers: BTreeMap<String, String>,
    /// expression over an answer: the session is gone, though nobody said so
    pub lost: String,
    /// the canonical reason after which it begins anew
    pub renew_on: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionScope {
    /// one for all
    #[default]
    Run,
    /// one for each order
    Order,
}

/// Names that orderstorm knows and ids that the target knows: `lookup.name[key]`, and `lookup.name | key_of(id)` for the way back.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LookupFile {
    pub scope: LookupScope,
    pub step: StepFile,
    /// expression over the answer: the list
    pub each: String,
    /// expression over `item`
    pub key: String,
    /// expression over `item`
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupScope {
    /// read once, and after each reset
    #[default]
    Run,
    /// read when a case begins, after `[open]`
    Case,
}

/// A read at rest.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadFile {
    pub step: StepFile,
    /// expressions over the answer. Of an order: `state` (open, completed, state_cancelled, state_rejected, exception), `reserved`, `net`
    /// (captured less refunded, minor units); of stock: `on_hand`, `reserved`
    pub out: BTreeMap<String, String>,
}

/// How the target tells what happens.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsFile {
    /// steps that tell the target where to send its webhooks: `{{ case.webhook_url }}`
    pub subscribe: Vec<StepFile>,
    pub verify: Option<VerifyFile>,
    /// expression over `event` and `headers`: its id; the same where it is delivered again
    pub id: String,
    /// expression: its number among all that this case is sent; a gap makes the case unknown
    pub sequence: String,
    /// an event of an order that is not known yet is kept for so long
    pub park: String,
    /// what is answered to one that was taken
    pub answer: Option<u16>,
    /// `all`, or `sampled` where only polls tell and states between two of them are missed
    pub states_seen: StatesSeen,
    pub poll: Vec<PollFile>,
    /// the first rule that holds decides; one event may be several, by `each`
    pub map: Vec<EventRuleFile>,
}

/// How a webhook's signature is checked. One that does not fit is answered 401 and makes the case unknown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyFile {
    pub scheme: Scheme,
    /// the header with the signature; of `standard` the three of Standard Webhooks
    #[serde(default)]
    pub header: String,
    /// template, such as `{{ env.WEBHOOK_SECRET }}`
    pub key: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Scheme {
    /// HMAC with SHA-256 over the body, in hexadecimal; `sha256=` before it is taken off
    #[serde(rename = "hmac-sha256-hex")]
    HmacHex,
    /// the same in base64
    #[serde(rename = "hmac-sha256-base64")]
    HmacBase64,
    /// Standard Webhooks 1.0
    #[serde(rename = "standard")]
    Standard,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatesSeen {
    #[default]
    All,
    Sampled,
}

/// A read that is repeated; each row that differs from the last time is an event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollFile {
    /// what `event.poll` says in the rules
    pub name: String,
    #[serde(default)]
    pub every: String,
    /// may use `cursor`
    pub step: StepFile,
    /// expression over the answer: the rows
    pub each: String,
    /// expression over `item`: which row it is
    pub key: String,
    /// what of a row is looked at; every text in it is a template over `item`. Rules see it as `event.now`, and as `event.before`
    pub snapshot: BTreeMap<String, Json>,
    /// expression over the answer: where the next poll goes on; should overlap
    #[serde(default)]
    pub cursor: String,
    /// the first cursor
    #[serde(default)]
    pub start: String,
}

/// What an event of the target is in the vocabulary.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventRuleFile {
    /// expression over `event` and `headers`
    pub when: String,
    /// nothing is made of it
    pub ignore: bool,
    /// the rules after this one are asked too
    pub also: bool,
    /// an event of the vocabulary
    pub event: String,
    /// a call of a partner whose work the target leaves to be done through its own API: it is heard as if the target had called
    pub call: String,
    /// expression: our name of the order
    pub order: String,
    /// the order whose bag has this value of that name
    pub correlate: BTreeMap<String, String>,
    /// expression, a list: one event for each `item`
    pub each: String,
    /// fields of the contract (order_id is filled in); every text in it is a template
    pub data: BTreeMap<String, Json>,
    /// expressions: what is kept in the order's bag
    pub bind: BTreeMap<String, String>,
    /// of a call, expression: names the intent, the same for every attempt; its id where absent
    pub key: String,
}

/// A partner's API as the target calls it, where that is not the canonical one (which is at `{{ case.partners_url }}` at any rate).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartnerFile {
    pub method: String,
    /// such as `/charges`, below `{{ case.partners_url }}`
    pub path: String,
    /// the call of the vocabulary
    pub call: String,
    /// expression over `event` (the body) and `headers`: our name of the order
    pub order: String,
    pub correlate: BTreeMap<String, String>,
    /// expression: names the intent, the same for every attempt
    pub key: String,
    pub data: BTreeMap<String, Json>,
    /// what is answered, by the outcome: `ok`, `replayed`, `pending`, `rejected`, `busy`, `error`; `ok` also stands for `replayed`
    pub answer: BTreeMap<String, AnswerFile>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerFile {
    pub status: u16,
    /// the body; every text in it is a template over `answer` (fields of the contract) and `event`
    #[serde(default)]
    pub json: Option<Json>,
}

/// Who does a partner's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// the target calls orderstorm, which plays it
    Called,
    /// orderstorm plays it, and acts through the target's own API: events say when, commands say what
    Driven,
    /// the target does it alone, or nobody does; nothing of it is in the record, and nothing is judged by it
    #[default]
    Internal,
}

/// Who plays which partner.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolesFile {
    pub payment: Role,
    pub fraud: Role,
    pub address: Role,
    pub node: Role,
    pub carrier: Role,
    pub notification: Role,
}

/// Everything that maps a foreign API: top-level tables of a target profile.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MappingFile {
    pub roles: RolesFile,
    /// headers of every request: templates
    pub headers: BTreeMap<String, String>,
    /// before each case, where cases cannot be told apart otherwise; then one runs at a time
    pub reset: Option<ResetFile>,
    /// asked until it answers, before anything else
    pub ready: Option<StepFile>,
    pub outcome: Vec<OutcomeFile>,
    /// words of the target, and the reasons of the vocabulary that they stand for
    pub reasons: BTreeMap<String, String>,
    /// tables of words, read as `words.table[word]`
    pub words: BTreeMap<String, BTreeMap<String, String>>,
    /// documents by name; `fragments` is put before each that uses one of them
    pub graphql: BTreeMap<String, String>,
    pub session: BTreeMap<String, SessionFile>,
    pub lookup: BTreeMap<String, LookupFile>,
    /// steps when a case begins
    pub open: Vec<StepFile>,
    /// steps when a case is over
    pub close: Vec<StepFile>,
    /// by the name of the vocabulary: PlaceOrder, CancelOrder, `inventory.snapshot`, `node.shipped`, ..
    pub command: BTreeMap<String, CommandFile>,
    /// commands, feeds and callbacks that the target need not be told of
    pub silent: Vec<String>,
    pub read: ReadsFile,
    pub events: EventsFile,
    pub partner: Vec<PartnerFile>,
}

/// How the target forgets everything. Sessions and lookups are forgotten with it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResetFile {
    /// program and arguments; `${dir}` is the folder of this file, `${env.NAME}` is taken from the environment
    pub command: Vec<String>,
    pub timeout: String,
    pub step: Vec<StepFile>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadsFile {
    pub order: Option<ReadFile>,
    pub stock: Option<ReadFile>,
}
