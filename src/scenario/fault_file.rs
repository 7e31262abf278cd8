//! Fault sets: rules on links, each decided by (seed, rule, entity, nth). The low form, and the high form made from it.

use super::resolve::Check;
use super::{Action, Scenario, ScenarioFile, SpanRange, standard_fixture};
use crate::model::{Class, Fixture, Op, OrderNo};
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a scenario's own faults are called.
pub const OWN: &str = "own";

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
    /// share of the messages of the link that it hits, besides the directed ones; with `lasts` of those in the window, all where absent
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// hit the first message of each operation of one order of every case, so that the fault is certain to act; default true
    #[serde(default = "yes")]
    pub directed: bool,
    /// only messages of the order of this number: exactly those that the address names, whatever is drawn
    #[schemars(range(min = 1, max = 100000000))]
    pub order: Option<u32>,
    /// feeds: only messages about this node, exactly those that the address names
    pub node: Option<String>,
    /// feeds: only messages about this SKU (a snapshot names none)
    pub sku: Option<String>,
    /// with `order` or `node`: only the nth message of each operation (from 1, counted over all messages of that operation of the order, or of
    /// the node and SKU); every one where absent
    #[schemars(range(min = 1))]
    pub nth: Option<u32>,
    /// act on everything (or on `share` of it) in a window of this length that opens with the first message of the link (an outage)
    pub lasts: Option<String>,
    /// duplicate: how many more
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub copies: u32,
    /// duplicate: the copies carry a new message id (the same idempotency key and body)
    #[serde(default)]
    pub new_id: bool,
    /// duplicate: how much later each copy comes, one duration for each; in place of `copies` and `delay`
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub again: Vec<String>,
    /// how much later: a duration or a range to draw from. duplicate: the copies; drop: the redelivery; delay, effect_late: the message; reorder: at most so much; slow: how long the body takes; replay: after the run came to rest
    pub delay: Option<String>,
    /// throttle: what Retry-After says
    pub retry_after: Option<String>,
    /// lose (feeds): a snapshot that mends the gap follows after this long
    pub resync: Option<String>,
    /// crash, pause: how long the target is down, or stands still; 5s where absent
    pub down: Option<String>,
    /// crash, pause: what sets it off. With `lasts`: what opens the window
    pub after: Option<AfterFile>,
    /// how long after that; at once where absent
    pub wait: Option<String>,
}

/// Something in the record that sets a rule off, once: one of `fact`, `event`, `call`, `sent` and `reply` says what.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterFile {
    /// an effect in a partner's books or on a shelf: nobody has told the target yet
    pub fact: Option<String>,
    /// an event of the target is heard
    pub event: Option<String>,
    /// a call of the target reaches its partner
    pub call: Option<String>,
    /// a command, feed or callback leaves its sender
    pub sent: Option<String>,
    /// a definite answer to one of these is heard
    pub reply: Option<String>,
    /// of the order of this number; of whichever order where absent
    #[schemars(range(min = 1, max = 100000000))]
    pub order: Option<u32>,
    /// which of them, from 1
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub nth: u32,
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
    /// no link: the target itself
    Target,
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
    /// when it was answered, another command follows `delay` later under the same idempotency key, with other content
    Mutate,
    /// the message (calls: the answer) carries fields that the target does not know
    ExtraField,
    /// half of the body, framed as if it were all (calls, events: of the answer): it cannot be read
    Truncate,
    /// a body of garbage (calls, events: of the answer): it cannot be read
    Malformed,
    /// the connection is reset in the middle of the body (calls, events: of the answer): whoever sent it cannot know
    Reset,
    /// the body (calls, events: of the answer) trickles in over `delay`
    Slow,
    /// signed with another secret (feeds and callbacks): it does not verify
    WrongSignature,
    /// the target's process is killed, and started again `down` later from what it had stored
    Crash,
    /// the target's process stands still for `down`, and then goes on
    Pause,
    /// everything that was ever sent over the link is sent once more, in its order, `delay` after the run came to rest
    Replay,
}

impl FaultAction {
    /// What became of the message.
    pub fn words(self) -> &'static str {
        match self {
            FaultAction::Duplicate => "delivered again",
            FaultAction::Drop => "lost, and sent again later",
            FaultAction::Delay => "delayed",
            FaultAction::Reorder => "overtaken by others",
            FaultAction::Refuse => "connection refused, not done",
            FaultAction::Blackhole => "no answer, not done",
            FaultAction::Unavailable => "answered 503, not done",
            FaultAction::Error => "answered 500, not done",
            FaultAction::Throttle => "answered 429, not done",
            FaultAction::LoseReply => "done, answer lost",
            FaultAction::EffectLate => "no answer, done later",
            FaultAction::Lose => "lost for good",
            FaultAction::Mutate => "followed by another under its key",
            FaultAction::ExtraField => "with fields that nobody knows",
            FaultAction::Truncate => "cut short",
            FaultAction::Malformed => "garbage in its place",
            FaultAction::Reset => "connection reset in the middle",
            FaultAction::Slow => "trickled in",
            FaultAction::WrongSignature => "wrongly signed",
            FaultAction::Crash => "killed",
            FaultAction::Pause => "made to stand still",
            FaultAction::Replay => "sent once more at the end",
        }
    }
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
    /// the messages that it hits for certain, and no others
    pub address: Option<Address>,
    /// of these, by operation, only this one
    pub nth: Option<u32>,
    pub copies: u32,
    /// when each copy comes, where that is not drawn
    pub again: Vec<Span>,
    pub new_id: bool,
    pub delay: super::SpanRange,
    pub retry_after: Span,
    pub resync: Span,
    pub down: Span,
    pub after: Option<Trigger>,
}

/// What sets a rule off: the `nth` thing of a kind, and how long after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trigger {
    pub moment: Moment,
    pub op: Op,
    /// whichever order where none is named
    pub order: Option<u32>,
    pub nth: u32,
    pub wait: Span,
}

/// What sort of entry of the record sets a rule off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    Fact,
    Event,
    Call,
    Sent,
    Reply,
}

impl Moment {
    pub fn name(self) -> &'static str {
        match self {
            Moment::Fact => "fact",
            Moment::Event => "event",
            Moment::Call => "call",
            Moment::Sent => "sent",
            Moment::Reply => "reply",
        }
    }

    /// Can there be such an entry with an operation of this class?
    fn knows(self, class: Class) -> bool {
        match self {
            Moment::Fact => matches!(class, Class::Call | Class::Callback | Class::Stock),
            Moment::Event => class == Class::Event,
            Moment::Call => class == Class::Call,
            Moment::Sent | Moment::Reply => matches!(class, Class::Command | Class::Feed | Class::Callback),
        }
    }
}

/// Whose messages a rule hits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    Order(OrderNo),
    /// feeds, by name: where orders have SKUs of their own, `A~3` is a copy of `A`
    Stock {
        node: String,
        sku: Option<String>,
    },
}

impl Link {
    pub const ALL: [Link; 6] = [Link::Commands, Link::Feeds, Link::Callbacks, Link::Calls, Link::Events, Link::Target];

    pub fn name(self) -> &'static str {
        match self {
            Link::Commands => "commands",
            Link::Feeds => "feeds",
            Link::Callbacks => "callbacks",
            Link::Calls => "calls",
            Link::Events => "events",
            Link::Target => "target",
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
            // nothing goes over it
            Link::Target => Class::Mark,
        }
    }
}

impl FaultAction {
    pub const ALL: [FaultAction; 22] = {
        use FaultAction as A;
        [
            A::Duplicate,
            A::Drop,
            A::Delay,
            A::Reorder,
            A::Refuse,
            A::Blackhole,
            A::Unavailable,
            A::Error,
            A::Throttle,
            A::LoseReply,
            A::EffectLate,
            A::Lose,
            A::Mutate,
            A::ExtraField,
            A::Truncate,
            A::Malformed,
            A::Reset,
            A::Slow,
            A::WrongSignature,
            A::Crash,
            A::Pause,
            A::Replay,
        ]
    };

    /// As a file writes it.
    pub fn name(self) -> &'static str {
        match self {
            FaultAction::Duplicate => "duplicate",
            FaultAction::Drop => "drop",
            FaultAction::Delay => "delay",
            FaultAction::Reorder => "reorder",
            FaultAction::Refuse => "refuse",
            FaultAction::Blackhole => "blackhole",
            FaultAction::Unavailable => "unavailable",
            FaultAction::Error => "error",
            FaultAction::Throttle => "throttle",
            FaultAction::LoseReply => "lose_reply",
            FaultAction::EffectLate => "effect_late",
            FaultAction::Lose => "lose",
            FaultAction::Mutate => "mutate",
            FaultAction::ExtraField => "extra_field",
            FaultAction::Truncate => "truncate",
            FaultAction::Malformed => "malformed",
            FaultAction::Reset => "reset",
            FaultAction::Slow => "slow",
            FaultAction::WrongSignature => "wrong_signature",
            FaultAction::Crash => "crash",
            FaultAction::Pause => "pause",
            FaultAction::Replay => "replay",
        }
    }

    /// An answer can only fail where somebody waits for one, and only feeds are mended by a snapshot.
    pub fn fits(self, link: Link) -> bool {
        use FaultAction as A;
        match self {
            A::Crash | A::Pause => link == Link::Target,
            _ if link == Link::Target => false,
            A::Duplicate | A::Delay | A::Truncate | A::Malformed | A::Reset | A::Slow => true,
            A::Drop | A::Reorder => link != Link::Calls,
            A::Refuse | A::Blackhole | A::Throttle => matches!(link, Link::Commands | Link::Calls),
            A::Unavailable | A::Error | A::LoseReply => matches!(link, Link::Commands | Link::Calls | Link::Events),
            A::EffectLate => link == Link::Calls,
            A::Lose => link == Link::Feeds,
            A::Mutate => link == Link::Commands,
            A::ExtraField => link != Link::Events,
            A::WrongSignature => matches!(link, Link::Feeds | Link::Callbacks),
            A::Replay => matches!(link, Link::Commands | Link::Feeds | Link::Callbacks),
        }
    }

    /// It harms the body of a message on the wire, or of an answer, or what goes with a body.
    pub fn is_of_bodies(self) -> bool {
        use FaultAction as A;
        matches!(self, A::Truncate | A::Malformed | A::Reset | A::Slow | A::WrongSignature)
    }

    fn needs_delay(self) -> bool {
        use FaultAction as A;
        matches!(self, A::Drop | A::Delay | A::Reorder | A::EffectLate | A::Slow | A::Replay)
    }

    fn may_delay(self) -> bool {
        self.needs_delay() || matches!(self, FaultAction::Duplicate | FaultAction::Mutate)
    }

    fn may_last(self) -> bool {
        use FaultAction as A;
        matches!(self, A::Refuse | A::Blackhole | A::Unavailable | A::Error | A::Throttle | A::LoseReply | A::Delay | A::Drop)
    }
}

impl FaultRule {
    /// One that hits nothing yet: what it is to hit is for whoever makes it to say.
    pub fn of(link: Link, action: FaultAction) -> FaultRule {
        FaultRule {
            name: action.name().into(),
            link,
            ops: Vec::new(),
            action,
            share: 0.0,
            directed: false,
            lasts: None,
            address: None,
            nth: None,
            copies: 1,
            again: Vec::new(),
            new_id: false,
            delay: super::SpanRange { lo: Span::ZERO, hi: Span::ZERO },
            retry_after: Span::ZERO,
            resync: Span::ZERO,
            down: Span::ZERO,
            after: None,
        }
    }
    pub fn concerns(&self, op: Op) -> bool {
        match (self.link, &self.after) {
            (Link::Target, Some(after)) => after.op == op,
            _ => op.class() == self.link.class() && (self.ops.is_empty() || self.ops.contains(&op)),
        }
    }

    /// As a file writes it, if it is about no message in particular: a crash, a pause, or a replay of everything.
    pub fn of_no_message(&self) -> Option<FaultRuleFile> {
        let (ops, delay) =
            (self.ops.iter().map(|op| op.name().to_string()).collect(), format!("{}..{}", self.delay.lo.exact(), self.delay.hi.exact()));
        let file = FaultRuleFile {
            name: self.name.clone(),
            link: self.link,
            ops,
            action: self.action,
            share: 0.0,
            directed: true,
            order: None,
            node: None,
            sku: None,
            nth: None,
            lasts: None,
            copies: 1,
            new_id: false,
            again: Vec::new(),
            delay: None,
            retry_after: None,
            resync: None,
            down: None,
            after: None,
            wait: None,
        };
        match (self.action, self.after) {
            (FaultAction::Crash | FaultAction::Pause, Some(trigger)) => {
                let mut after = AfterFile { order: trigger.order, nth: trigger.nth, ..AfterFile::default() };
                let name = Some(trigger.op.name().to_string());
                match trigger.moment {
                    Moment::Fact => after.fact = name,
                    Moment::Event => after.event = name,
                    Moment::Call => after.call = name,
                    Moment::Sent => after.sent = name,
                    Moment::Reply => after.reply = name,
                }
                let (down, wait) = (Some(self.down.exact()), Some(trigger.wait.exact()));
                Some(FaultRuleFile { down, wait, after: Some(after), ..file })
            }
            (FaultAction::Replay, _) => Some(FaultRuleFile { delay: Some(delay), ..file }),
            _ => None,
        }
    }

    /// Hits a message whatever is drawn, as long as there is one.
    fn is_certain(&self) -> bool {
        match &self.after {
            // that there is a second one is not certain
            Some(after) => after.nth == 1,
            None => self.directed || self.lasts.is_some() || self.share >= 1.0,
        }
    }
}

impl FaultSet {
    /// No storm at all.
    pub fn is_calm(&self) -> bool {
        self.rules.is_empty()
    }

    /// Some rule kills the target, so what it stores must be kept.
    pub fn crashes(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == FaultAction::Crash)
    }

    /// Some rule makes the target stand still.
    pub fn pauses(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == FaultAction::Pause)
    }

    /// The faults that a scenario brings itself.
    pub(super) fn own(file: &ScenarioFile, fixture: &Fixture, origin: &str, check: &mut Check<'_>) -> FaultSet {
        let rules = resolve_rules(&file.fault, "fault", fixture, check);
        FaultSet { name: OWN.into(), title: "The scenario's own faults".into(), about: String::new(), rules, origin: origin.into() }
    }

    /// Is something sent once more when the run has come to rest?
    pub fn replays(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == FaultAction::Replay)
    }

    /// Why no rule can be certain to act on the scenario, if so: a case in which the fault may never fire shows nothing.
    pub fn acts_on(&self, scenario: &Scenario) -> Result<(), String> {
        // whoever names messages knows that there are such
        if self.is_calm() || self.rules.iter().any(|rule| rule.address.is_some()) {
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
                    Some(Link::Target) => "no order is sure to set a crash off",
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
        // names in `--faults` and in reports that mean something else; a calm set may be called what it is
        let taken = match file.name.to_ascii_lowercase().as_str() {
            OWN => Some("is the name of the faults that a scenario brings itself"),
            "all" => Some("stands for every shipped fault set"),
            "none" if !file.rule.is_empty() => Some("is the name of the calm, and this set has rules"),
            _ => None,
        };
        if let Some(why) = taken {
            let message = format!("a fault set cannot be named `{}`: that {why}", file.name);
            check.value_itself("name", message, Some("give it another name; it is a part of the names of its cases".into()));
        }
        if file.rule.is_empty() && !file.name.eq_ignore_ascii_case("none") {
            // all that it would show is that nothing happens where nothing is done
            let help =
                "such as\n[[rule]]\nname = \"late\"\nlink = \"events\"\ndo = \"delay\"\ndelay = \"5m\"\nwithout faults there is `--faults none`";
            check.value("name", format!("the fault set `{}` has no rules", file.name), Some(help.into()));
        }
        let rules = resolve_rules(&file.rule, "rule", &standard_fixture(), check);
        let set = FaultSet { name: file.name.clone(), title: file.title.clone(), about: file.about.clone(), rules, origin: origin.to_string() };
        (check.problems.len() == before).then_some(set)
    }
}

fn resolve_rules(rules: &[FaultRuleFile], table: &str, fixture: &Fixture, check: &mut Check<'_>) -> Vec<FaultRule> {
    let mut names = BTreeSet::new();
    let each = rules.iter().enumerate().map(|(i, rule)| {
        let path = format!("{table}[{i}]");
        if !names.insert(&rule.name) {
            check.value(&format!("{path}.name"), format!("a second rule is named `{}`", rule.name), None);
        }
        resolve_rule(rule, &path, fixture, check)
    });
    each.collect()
}

/// Whom a rule names, and that what it says besides fits that.
fn address(rule: &FaultRuleFile, path: &str, fixture: &Fixture, check: &mut Check<'_>) -> Option<Address> {
    let key = |name: &str| format!("{path}.{name}");
    let feeds = rule.link == Link::Feeds;
    let mut only = |name: &str, allowed: bool, message: &str, help: &str| {
        if !allowed && check.spans.has(&key(name)) {
            check.key(&key(name), format!("`{name}` {message}"), Some(help.into()));
        }
    };
    let target = rule.link == Link::Target;
    only("order", !target, "means nothing with `crash` and `pause`", "say in `after` whose messages set it off");
    only("order", !feeds, "means nothing on the link `feeds`", "feed messages are named by `node`, and `sku` where they have one");
    only("node", feeds, "means nothing on this link", "messages of this link are named by `order`");
    only("sku", feeds && rule.node.is_some(), "goes with `node` on the link `feeds`", "name the node too");
    let addressed = rule.order.is_some() || rule.node.is_some();
    only("nth", addressed, "goes with `order` or `node`", "name whose nth message is meant");
    for name in ["share", "directed", "lasts"] {
        only(name, !addressed, "has no meaning where `order` or `node` names the messages", "exactly the messages that are named are hit");
    }
    if let Some(node) = &rule.node {
        check.node(&key("node"), node, fixture);
        if let Some(sku) = &rule.sku {
            let base = sku.split_once('~').map_or(sku.as_str(), |(base, _)| base);
            check.sku(&key("sku"), base, fixture);
        }
        return Some(Address::Stock { node: node.clone(), sku: rule.sku.clone() });
    }
    rule.order.map(|no| Address::Order(OrderNo(no)))
}

fn resolve_rule(rule: &FaultRuleFile, path: &str, fixture: &Fixture, check: &mut Check<'_>) -> FaultRule {
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
    only("copies", rule.action == FaultAction::Duplicate && rule.again.is_empty(), "duplicate, where `again` does not say it");
    only("again", rule.action == FaultAction::Duplicate && rule.delay.is_none(), "duplicate, in place of `copies` and `delay`");
    only("new_id", rule.action == FaultAction::Duplicate, "duplicate");
    only("delay", rule.action.may_delay(), "duplicate, mutate, drop, delay, reorder, effect_late, slow and replay");
    only("share", rule.action != FaultAction::Replay, "every action but replay, which repeats all");
    only("directed", rule.action != FaultAction::Replay, "every action but replay, which repeats all");
    only("retry_after", rule.action == FaultAction::Throttle, "throttle");
    only("resync", rule.action == FaultAction::Lose, "lose");
    only("lasts", rule.action.may_last(), "refuse, blackhole, unavailable, error, throttle, lose_reply, delay and drop");
    let crash = matches!(rule.action, FaultAction::Crash | FaultAction::Pause);
    only("down", crash, "crash and pause");
    only("after", crash || rule.lasts.is_some(), "crash and pause, and with `lasts`");
    only("wait", rule.after.is_some(), "`after`");
    only("share", !crash, "messages; a crash or pause has `after`");
    only("directed", !crash, "messages; a crash or pause has `after`");
    only("ops", !crash, "messages; a crash or pause has `after`");
    if crash && rule.after.is_none() {
        check.key(
            path,
            format!("rule `{}` needs `after`", rule.name),
            Some("what sets it off, such as `after = { fact = \"payment.capture\" }`".into()),
        );
    }
    if rule.action.needs_delay() && rule.delay.is_none() {
        check.key(path, format!("rule `{}` needs `delay`", rule.name), Some("a duration such as `\"5m\"`, or a range `\"1m..10m\"`".into()));
    }
    if rule.action == FaultAction::Lose && rule.resync.is_none() {
        check.key(path, format!("rule `{}` needs `resync`", rule.name), Some("when a snapshot mends what was lost, such as `\"1h\"`".into()));
    }
    let address = address(rule, path, fixture, check);
    let of_none = rule.share == 0.0 && if rule.lasts.is_some() { check.spans.has(&key("share")) } else { !rule.directed };
    if address.is_none() && of_none {
        check.key(path, format!("rule `{}` never acts", rule.name), Some("leave `directed` true, or give it `share` or `lasts`".into()));
    }
    FaultRule {
        name: rule.name.clone(),
        link: rule.link,
        ops,
        action: rule.action,
        share: if rule.lasts.is_some() && !check.spans.has(&key("share")) { 1.0 } else { rule.share },
        directed: rule.directed && address.is_none(),
        address,
        nth: rule.nth,
        again: rule.again.iter().enumerate().map(|(i, text)| check.span(&format!("{path}.again[{i}]"), text)).collect(),
        lasts: rule.lasts.as_ref().map(|text| check.span(&key("lasts"), text)),
        copies: rule.copies,
        new_id: rule.new_id,
        delay: rule.delay.as_ref().map_or(SpanRange::default(), |text| check.range(&key("delay"), text)),
        retry_after: rule.retry_after.as_ref().map_or(Span::from_secs(30), |text| check.span(&key("retry_after"), text)),
        resync: rule.resync.as_ref().map_or(Span::ZERO, |text| check.span(&key("resync"), text)),
        down: rule.down.as_ref().map_or(Span::from_secs(5), |text| check.span(&key("down"), text)),
        after: rule.after.as_ref().and_then(|after| {
            let wait = rule.wait.as_ref().map_or(Span::ZERO, |text| check.span(&key("wait"), text));
            trigger(after, wait, &key("after"), check)
        }),
    }
}

fn trigger(after: &AfterFile, wait: Span, path: &str, check: &mut Check<'_>) -> Option<Trigger> {
    let all = [
        (Moment::Fact, &after.fact),
        (Moment::Event, &after.event),
        (Moment::Call, &after.call),
        (Moment::Sent, &after.sent),
        (Moment::Reply, &after.reply),
    ];
    let named: Vec<(Moment, &String)> = all.into_iter().filter_map(|(moment, name)| Some((moment, name.as_ref()?))).collect();
    let [(moment, name)] = named[..] else {
        let help = "one of `fact`, `event`, `call`, `sent` and `reply`, such as `{ fact = \"payment.capture\" }`";
        check.value(path, "`after` names one thing", Some(help.into()));
        return None;
    };
    match Op::parse(name) {
        Some(op) if moment.knows(op.class()) => Some(Trigger { moment, op, order: after.order, nth: after.nth, wait }),
        found => {
            let known: Vec<&str> = Op::ALL.iter().filter(|op| moment.knows(op.class())).map(|op| op.name()).collect();
            let what = moment.name();
            let message = if found.is_some() { format!("`{name}` is never a {what}") } else { format!("unknown operation `{name}`") };
            let help = super::decode::did_you_mean(name, known.iter().copied(), format!("known: {}", known.join(", ")));
            check.value(&format!("{path}.{what}"), message, Some(help));
            None
        }
    }
}

/// The word as the file writes it, for messages.
fn word(check: &Check<'_>, path: &str) -> String {
    check.source.text.get(check.spans.value(check.source, path)).unwrap_or("").trim_matches('"').to_string()
}

/// Operations of which every order of the scenario is certain to send or cause at least one message.
pub fn certain_ops(scenario: &Scenario) -> Vec<Op> {
    let mut ops = vec![Op::PlaceOrder];
    if scenario.kinds.len() > 1 {
        // no order of a mix is sure of anything, but of so many some meet nearly everything; a case that meets nothing says so itself
        ops.extend(Op::ALL.iter().filter(|op| matches!(op.class(), Class::Call | Class::Callback | Class::Command | Class::Event)));
    }
    for step in &scenario.steps {
        ops.push(match step.action {
            Action::Cancel => Op::CancelOrder,
            Action::Return => Op::RequestReturn,
            Action::Exchange => Op::RequestExchange,
            Action::CancelReturn => Op::CancelReturn,
            Action::Receipt | Action::Sale => Op::InventoryDelta,
            Action::Supply => Op::InventorySupply,
            Action::Snapshot => Op::InventorySnapshot,
            Action::DisableNode | Action::EnableNode => Op::UpsertNode,
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
