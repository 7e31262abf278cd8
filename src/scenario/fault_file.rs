//! Fault sets: rules on links, each decided by (seed, rule, entity, nth). The low form, and the high form made from it.

use super::resolve::Check;
use super::{Action, Scenario, SpanRange};
use crate::model::{Class, Op};
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
    /// how much later: a duration or a range to draw from. duplicate: the copies; drop: the redelivery; delay, effect_late: the message; reorder: at most so much; replay: after the run came to rest
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
    /// everything that was ever sent over the link is sent once more, in its order, `delay` after the run came to rest
    Replay,
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

impl Link {
    pub const ALL: [Link; 5] = [Link::Commands, Link::Feeds, Link::Callbacks, Link::Calls, Link::Events];

    pub fn name(self) -> &'static str {
        match self {
            Link::Commands => "commands",
            Link::Feeds => "feeds",
            Link::Callbacks => "callbacks",
            Link::Calls => "calls",
            Link::Events => "events",
        }
    }

    /// The sort of operation that goes over it.
    pub fn class(self) -> Class {
        match self {
            Link::Commands => Class::Command,
            Link::Feeds => Class::Feed,
            Link::Callbacks => Class::Callback,
            Link::Calls => Class::Call,
            Link::Events => Class::Event,
        }
    }
}

impl FaultAction {
    /// An answer can only fail where somebody waits for one, and only feeds are mended by a snapshot.
    fn fits(self, link: Link) -> bool {
        use FaultAction as A;
        match self {
            A::Duplicate | A::Delay => true,
            A::Drop | A::Reorder => link != Link::Calls,
            A::Refuse | A::Blackhole | A::Unavailable | A::Error | A::Throttle | A::LoseReply => matches!(link, Link::Commands | Link::Calls),
            A::EffectLate => link == Link::Calls,
            A::Lose => link == Link::Feeds,
            A::Replay => matches!(link, Link::Commands | Link::Feeds | Link::Callbacks),
        }
    }

    fn needs_delay(self) -> bool {
        matches!(self, FaultAction::Drop | FaultAction::Delay | FaultAction::Reorder | FaultAction::EffectLate | FaultAction::Replay)
    }

    fn may_last(self) -> bool {
        use FaultAction as A;
        matches!(self, A::Refuse | A::Blackhole | A::Unavailable | A::Error | A::Throttle | A::LoseReply | A::Delay | A::Drop)
    }
}

impl FaultRule {
    pub fn concerns(&self, op: Op) -> bool {
        op.class() == self.link.class() && (self.ops.is_empty() || self.ops.contains(&op))
    }

    /// Hits a message whatever is drawn, as long as there is one.
    fn is_certain(&self) -> bool {
        self.directed || self.lasts.is_some() || self.share >= 1.0
    }
}

impl FaultSet {
    /// No storm at all.
    pub fn is_calm(&self) -> bool {
        self.rules.is_empty()
    }

    /// Is something sent once more when the run has come to rest?
    pub fn replays(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == FaultAction::Replay)
    }

    /// Why no rule can be certain to act on the scenario, if so: a case in which the fault may never fire shows nothing.
    pub fn acts_on(&self, scenario: &Scenario) -> Result<(), String> {
        if self.is_calm() {
            return Ok(());
        }
        let certain = certain_ops(scenario);
        if self.rules.iter().any(|rule| rule.is_certain() && (rule.link == Link::Events || certain.iter().any(|op| rule.concerns(*op)))) {
            return Ok(());
        }
        Err(match self.rules.iter().any(FaultRule::is_certain) {
            true => {
                let lacks = match self.rules.first().map(|rule| rule.link) {
                    Some(Link::Feeds) => "no stock news is sent after the opening",
                    Some(Link::Callbacks) => "no order is sure to get such callbacks",
                    Some(Link::Calls) => "no order is sure to cause such calls",
                    _ => "no order is sure to have such messages",
                };
                format!("{lacks}, so fault set `{}` has nothing to act on", self.name)
            }
            false => format!("every rule of fault set `{}` acts by chance only: make one `directed`, or give it `lasts`", self.name),
        })
    }

    /// Checks a file's rules; None where something is wrong with them.
    pub(super) fn resolve(file: &FaultSetFile, origin: &str, check: &mut Check<'_>) -> Option<FaultSet> {
        let before = check.problems.len();
        check.name("name", &file.name);
        let mut rules = Vec::new();
        for (i, rule) in file.rule.iter().enumerate() {
            let path = format!("rule[{i}]");
            if file.rule[..i].iter().any(|other| other.name == rule.name) {
                check.value(&format!("{path}.name"), format!("a second rule is named `{}`", rule.name), None);
            }
            rules.push(resolve_rule(rule, &path, check));
        }
        let set = FaultSet { name: file.name.clone(), title: file.title.clone(), about: file.about.clone(), rules, origin: origin.to_string() };
        (check.problems.len() == before).then_some(set)
    }
}

fn resolve_rule(rule: &FaultRuleFile, path: &str, check: &mut Check<'_>) -> FaultRule {
    let key = |name: &str| format!("{path}.{name}");
    let action = word(check, &key("do"));
    let mut ops = Vec::new();
    for (i, name) in rule.ops.iter().enumerate() {
        match Op::parse(name) {
            Some(op) if op.class() == rule.link.class() => ops.push(op),
            found => {
                let known: Vec<&str> = Op::ALL.iter().filter(|op| op.class() == rule.link.class()).map(|op| op.name()).collect();
                let message = match found {
                    Some(_) => format!("`{name}` does not go over the link `{}`", rule.link.name()),
                    None => format!("unknown operation `{name}`"),
                };
                let help = super::decode::did_you_mean(name, known.iter().copied(), format!("on this link: {}", known.join(", ")));
                check.value(&format!("{path}.ops[{i}]"), message, Some(help));
            }
        }
    }
    if !rule.action.fits(rule.link) {
        let links: Vec<&str> = Link::ALL.into_iter().filter(|link| rule.action.fits(*link)).map(Link::name).collect();
        check.value(&key("do"), format!("`{action}` does not fit the link `{}`", rule.link.name()), Some(format!("it fits: {}", links.join(", "))));
    }
    let mut only = |name: &str, allowed: bool, what: &str| {
        if !allowed && check.spans.has(&key(name)) {
            check.key(&key(name), format!("`{name}` has no meaning with `{action}`"), Some(format!("it goes with {what}")));
        }
    };
    only("copies", rule.action == FaultAction::Duplicate, "duplicate");
    only("new_id", rule.action == FaultAction::Duplicate, "duplicate");
    only("delay", rule.action.needs_delay() || rule.action == FaultAction::Duplicate, "duplicate, drop, delay, reorder, effect_late and replay");
    only("share", rule.action != FaultAction::Replay, "every action but replay, which repeats all");
    only("directed", rule.action != FaultAction::Replay, "every action but replay, which repeats all");
    only("retry_after", rule.action == FaultAction::Throttle, "throttle");
    only("resync", rule.action == FaultAction::Lose, "lose");
    only("lasts", rule.action.may_last(), "refuse, blackhole, unavailable, error, throttle, lose_reply, delay and drop");
    if rule.action.needs_delay() && rule.delay.is_none() {
        check.key(path, format!("rule `{}` needs `delay`", rule.name), Some("a duration such as `\"5m\"`, or a range `\"1m..10m\"`".into()));
    }
    if rule.action == FaultAction::Lose && rule.resync.is_none() {
        check.key(path, format!("rule `{}` needs `resync`", rule.name), Some("when a snapshot mends what was lost, such as `\"1h\"`".into()));
    }
    if !rule.directed && rule.share == 0.0 && rule.lasts.is_none() {
        check.key(path, format!("rule `{}` never acts", rule.name), Some("leave `directed` true, or give it `share` or `lasts`".into()));
    }
    FaultRule {
        name: rule.name.clone(),
        link: rule.link,
        ops,
        action: rule.action,
        share: rule.share,
        directed: rule.directed,
        lasts: rule.lasts.as_ref().map(|text| check.span(&key("lasts"), text)),
        copies: rule.copies,
        new_id: rule.new_id,
        delay: rule.delay.as_ref().map_or(SpanRange::default(), |text| check.range(&key("delay"), text)),
        retry_after: rule.retry_after.as_ref().map_or(Span::from_secs(30), |text| check.span(&key("retry_after"), text)),
        resync: rule.resync.as_ref().map_or(Span::ZERO, |text| check.span(&key("resync"), text)),
    }
}

/// The word as the file writes it, for messages.
fn word(check: &Check<'_>, path: &str) -> String {
    check.source.text.get(check.spans.value(check.source, path)).unwrap_or("").trim_matches('"').to_string()
}

/// Operations of which every order of the scenario is certain to send or cause at least one message.
pub fn certain_ops(scenario: &Scenario) -> Vec<Op> {
    let mut ops = vec![Op::PlaceOrder];
    for step in &scenario.steps {
        ops.push(match step.action {
            Action::Cancel => Op::CancelOrder,
            Action::Return => Op::RequestReturn,
            Action::Exchange => Op::RequestExchange,
            Action::CancelReturn => Op::CancelReturn,
            Action::Receipt | Action::Sale => Op::InventoryDelta,
            Action::Supply => Op::InventorySupply,
            Action::Snapshot => Op::InventorySnapshot,
        });
    }
    for effect in scenario.expect.certain_effects() {
        // facts that are not calls were told by callback
        ops.push(effect);
    }
    // an event that sets a step off comes, or the scenario would not be about that step
    let triggers = scenario.steps.iter().filter_map(|step| step.on);
    for event in scenario.expect.certain_events().into_iter().chain(triggers) {
        ops.push(event);
        ops.extend(causes(event));
    }
    ops.sort();
    ops.dedup();
    ops
}

/// What must have crossed a partner's link for the event to be true.
fn causes(event: Op) -> &'static [Op] {
    match event {
        // whatever becomes of an accepted order, it is screened and its money asked for
        Op::OrderAccepted => &[Op::FraudScreen, Op::PaymentAuthorize],
        Op::PaymentAuthorized | Op::PaymentDeclined => &[Op::PaymentAuthorize],
        Op::PaymentCaptured => &[Op::PaymentCapture],
        Op::PaymentVoided => &[Op::PaymentVoid],
        Op::PaymentRefunded => &[Op::PaymentRefund],
        Op::RiskAssessed => &[Op::FraudScreen],
        Op::AddressValidated | Op::AddressCorrected | Op::AddressFailed => &[Op::AddressValidate],
        Op::FulfillmentReleased => &[Op::NodeRelease],
        Op::FulfillmentAccepted => &[Op::NodeRelease, Op::CbNodeAccepted],
        Op::FulfillmentRejected => &[Op::NodeRelease, Op::CbNodeRejected],
        Op::FulfillmentShortPicked => &[Op::CbNodeShortPicked],
        Op::FulfillmentPicked => &[Op::CbNodePicked],
        Op::FulfillmentPacked => &[Op::CbNodePacked],
        Op::FulfillmentReady => &[Op::CbNodeReady],
        Op::FulfillmentPickedUp => &[Op::CbNodeCollected],
        Op::ShipmentShipped => &[Op::CarrierLabel, Op::CbNodeShipped],
        Op::ShipmentInTransit => &[Op::CbCarrierInTransit],
        Op::ShipmentDelivered => &[Op::CbCarrierDelivered],
        Op::ReturnReceived => &[Op::CbNodeReceived],
        Op::ReturnInspected => &[Op::CbNodeInspected],
        _ => &[],
    }
}
