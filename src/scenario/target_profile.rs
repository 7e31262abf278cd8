//! Target profiles: what a live target is, where it is, and what may be done to it. The low form, and the high form made from it.

use super::decode::did_you_mean;
use super::resolve::Check;
use super::{Action, Behaviour, Case, Expect, FaultRule, Link, PartnerAnswer, PartnerPoint, Scenario, standard_fixture};
use crate::mapping::{self, Mapping, MappingFile, Role, StatesSeen};
use crate::model::{Class, Fulfil, Money, Node, Op, Policies};
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A file in `profiles/target/`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "orderstorm target profile", extend("$id" = "https://orderstorm.dev/schemas/target.v1.json", "additionalProperties" = false))]
pub struct TargetProfileFile {
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub protocol: Protocol,
    /// what it can do; everything where absent
    #[serde(default)]
    pub capabilities: Option<Vec<Capability>>,
    /// where it is; of a target over HTTP
    #[serde(default)]
    pub http: Option<HttpFile>,
    /// how it is started; of a target behind a child process
    #[serde(default)]
    pub adapter: Option<AdapterFile>,
    /// how its process is killed and started; of a target over HTTP
    #[serde(default)]
    pub process: Option<ProcessFile>,
    #[serde(default)]
    pub webhooks: WebhooksFile,
    #[serde(default)]
    pub clock: ClockFile,
    #[serde(default)]
    pub limits: LimitsFile,
    /// what it declares of its own rules; what is left out it does not promise. Of the canonical contract and of adapters: the reference's
    #[serde(default)]
    pub policies: Option<Policies>,
    /// of protocol "mapped"
    #[serde(flatten)]
    pub mapping: MappingFile,
}

/// What a target can do. A case that needs what a target does not claim is not applicable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// CancelOrder
    Cancel,
    /// RequestReturn
    Return,
    /// RequestExchange
    Exchange,
    /// lines that the shopper collects
    Pickup,
    /// one order from several nodes
    Split,
    /// orders that wait for goods
    Backorder,
    /// UpsertNode: nodes are taken out of routing and put back
    Rules,
    /// goods that a node refuses, does not accept in time or does not find come from another
    Reroute,
    /// it knows the safety stock, daily capacity and opening hours of nodes
    NodeLimits,
    /// tax on top of prices
    Tax,
    /// a payment that is decided later, by a callback
    PendingPayment,
    /// an order is taken on before it is paid, and cancelled where it cannot be
    AcceptUnpaid,
    /// single lines of an order are cancelled while the rest goes on
    CancelLines,
}

impl Capability {
    pub fn name(self) -> &'static str {
        match self {
            Capability::Cancel => "cancel",
            Capability::Return => "return",
            Capability::Exchange => "exchange",
            Capability::Pickup => "pickup",
            Capability::Split => "split",
            Capability::Backorder => "backorder",
            Capability::Rules => "rules",
            Capability::Reroute => "reroute",
            Capability::NodeLimits => "node_limits",
            Capability::Tax => "tax",
            Capability::PendingPayment => "pending_payment",
            Capability::CancelLines => "cancel_lines",
            Capability::AcceptUnpaid => "accept_unpaid",
        }
    }
}

impl Scenario {
    /// What a target must be able to do for this.
    pub fn needs(&self) -> Vec<Capability> {
        let steps = || self.steps.iter().chain(self.kinds.iter().flat_map(|kind| &kind.steps));
        let mut needs: Vec<Capability> = steps()
            .filter_map(|step| match step.action {
                Action::Cancel => Some(Capability::Cancel),
                Action::Return | Action::CancelReturn => Some(Capability::Return),
                Action::Exchange => Some(Capability::Exchange),
                Action::DisableNode | Action::EnableNode => Some(Capability::Rules),
                Action::Receipt | Action::Sale | Action::Supply | Action::Snapshot => None,
            })
            .collect();
        let lines = || self.kinds.iter().flat_map(|kind| &kind.order.lines);
        needs.extend(lines().any(|line| line.fulfil == Fulfil::Pickup).then_some(Capability::Pickup));
        let expected = || std::iter::once(&self.expect).chain(self.expect.outcomes.iter().map(|(_, expect)| expect));
        let steps_of = |op: Op| {
            expected().flat_map(|expect| &expect.flow).flat_map(|chain| &chain.parts).any(|part| part.steps().iter().any(|step| step.op == op))
        };
        needs.extend(steps_of(Op::LineBackordered).then_some(Capability::Backorder));
        let split = expected().flat_map(|expect| &expect.calls).any(|(op, count)| *op == Op::NodeRelease && count.min > 1);
        needs.extend(split.then_some(Capability::Split));
        let fails = |behaviour: &Behaviour| {
            let bad = matches!(behaviour.answer, PartnerAnswer::Reject | PartnerAnswer::Never | PartnerAnswer::Short);
            bad && matches!(behaviour.at, PartnerPoint::Accept | PartnerPoint::Pick)
        };
        let fails = self.kinds.iter().flat_map(|kind| &kind.partner).any(fails) || !self.phantom.is_empty();
        needs.extend(fails.then_some(Capability::Reroute));
        let declines = |b: &Behaviour| b.at == PartnerPoint::Authorize && matches!(b.answer, PartnerAnswer::Decline | PartnerAnswer::Reject);
        let declines = self.kinds.iter().flat_map(|kind| &kind.partner).any(declines);
        needs.extend(declines.then_some(Capability::AcceptUnpaid));
        let pends = |behaviour: &Behaviour| (behaviour.at, behaviour.answer) == (PartnerPoint::Authorize, PartnerAnswer::Pending);
        let pends = self.kinds.iter().flat_map(|kind| &kind.partner).any(pends);
        needs.extend(pends.then_some(Capability::PendingPayment));
        let of_lines = steps().any(|step| step.action == Action::Cancel && !step.lines.is_empty());
        needs.extend(of_lines.then_some(Capability::CancelLines));
        let standard = standard_fixture();
        let limits = |node: &Node| (node.safety_stock, node.capacity_per_day, node.opens_h, node.closes_h);
        let own = self.fixture.nodes.iter().any(|node| !standard.nodes.iter().any(|usual| usual.name == node.name && limits(usual) == limits(node)));
        needs.extend(own.then_some(Capability::NodeLimits));
        needs.extend(lines().any(|line| line.tax > Money::ZERO).then_some(Capability::Tax));
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

/// A partner that a scenario makes behave otherwise than well.
fn partner_at(point: PartnerPoint) -> &'static str {
    match point {
        PartnerPoint::Authorize => "payment",
        PartnerPoint::Screen => "fraud",
        PartnerPoint::Validate => "address",
        PartnerPoint::Accept | PartnerPoint::Pick | PartnerPoint::Collect | PartnerPoint::NodeCancel => "node",
    }
}

impl Scenario {
    /// Several nodes have goods for an order, and it expects that only one is asked.
    fn rests_on_fewest_nodes(&self) -> bool {
        let mut nodes: Vec<_> = self.stock.iter().map(|level| level.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let one = |expect: &Expect| expect.calls.iter().any(|(op, count)| *op == Op::NodeRelease && count.max == Some(1));
        nodes.len() > 1 && one(&self.expect)
    }

    /// Times that the target itself has to keep for this.
    fn timers(&self) -> Vec<(&'static str, Span)> {
        let policies = &self.fixture.policies;
        let behaves = |point, answer| self.kinds.iter().flat_map(|kind| &kind.partner).any(|b| (b.at, b.answer) == (point, answer));
        let named = |op: Op| {
            let all = std::iter::once(&self.expect).chain(self.expect.outcomes.iter().map(|(_, expect)| expect));
            all.flat_map(|expect| &expect.flow).flat_map(|chain| &chain.parts).any(|part| part.steps().iter().any(|step| step.op == op))
        };
        let mut timers = Vec::new();
        timers.extend(self.remorse_hold.map(|hold| ("a hold before release", hold)));
        timers.extend(named(Op::FulfillmentExpired).then(|| ("the hold of a pickup", Span::from_secs(policies.pickup_hold_s))));
        let never = behaves(PartnerPoint::Accept, PartnerAnswer::Never);
        timers.extend(never.then(|| ("a node's time to accept", Span::from_secs(policies.node_accept_sla_s))));
        timers.extend(named(Op::PaymentReauthorized).then(|| ("the life of an authorization", Span::from_days(7))));
        timers
    }
}

impl TargetProfile {
    /// Does it claim to be able to do this?
    pub fn claims(&self, capability: Capability) -> bool {
        self.capabilities.as_ref().is_none_or(|claimed| claimed.contains(&capability))
    }

    /// Why a case cannot be asked of this target, if it cannot.
    pub fn not_applicable(&self, case: &Case) -> Option<String> {
        let lacking: Vec<&str> = case.scenario.needs().into_iter().filter(|needed| !self.claims(*needed)).map(Capability::name).collect();
        if !lacking.is_empty() {
            return Some(format!("the target does not claim the capability {}", lacking.join(", ")));
        }
        if self.max_orders > 0 && case.orders > self.max_orders {
            return Some(format!("it has more orders than the profile allows: {} (limits.max_orders)", self.max_orders));
        }
        let timers = case.scenario.timers();
        let longest = timers.into_iter().max_by_key(|(_, takes)| *takes);
        if let Some((what, takes)) = longest {
            let real = Span((takes.0 as f64 / self.scale) as u64);
            match self.mode {
                ClockMode::Skip => {}
                ClockMode::Timeless => return Some(format!("the target does nothing by the clock, and this needs {what}")),
                ClockMode::Passes if real > self.case_time => {
                    return Some(format!("{what} is {takes}, at this scale {real}, longer than a case may take (limits.case_time)"));
                }
                ClockMode::Passes => {}
            }
        }
        if self.policies.as_ref().is_some_and(|policies| policies.split != "fewest_nodes") && case.scenario.rests_on_fewest_nodes() {
            return Some("the target does not declare the policy split = \"fewest_nodes\"".into());
        }
        let mapping = self.mapping.as_ref()?;
        let announced = mapping.claims();
        let mut begins = case.scenario.steps.iter().chain(case.scenario.kinds.iter().flat_map(|kind| &kind.steps)).filter_map(|step| step.on);
        if let Some(never) = begins.find(|op| !announced.contains(op)) {
            return Some(format!("a step of it waits for {never}, which the target does not announce"));
        }
        let plays = |partner: &str| mapping.role(partner) != Role::Internal;
        let moods = case.scenario.kinds.iter().flat_map(|kind| &kind.partner).map(|behaviour| partner_at(behaviour.at));
        if let Some(partner) = moods.into_iter().find(|partner| !plays(partner)) {
            return Some(format!("the role of {partner} is internal, and this needs it to behave in a way of its own"));
        }
        let reaches = |rule: &FaultRule| match rule.link {
            Link::Calls => Op::ALL
                .iter()
                .filter(|op| op.class() == Class::Call)
                .any(|op| (rule.ops.is_empty() || rule.ops.contains(op)) && mapping::partner_of(*op).is_some_and(plays)),
            Link::Feeds => mapping.commands.keys().any(|op| op.class() == Class::Feed),
            Link::Callbacks => mapping.commands.keys().any(|op| op.class() == Class::Callback && (rule.ops.is_empty() || rule.ops.contains(op))),
            // whoever looks himself is sent nothing that could go astray
            Link::Events => mapping.events.states_seen == StatesSeen::All && mapping.events.rules.iter().any(|rule| rule.op.is_some()),
            Link::Commands | Link::Target => true,
        };
        let rules = &case.fault.rules;
        (!rules.is_empty() && !rules.iter().any(reaches)).then(|| "its faults are on messages that this target neither sends nor is sent".into())
    }
}

/// How the target is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// the published contract over HTTP, as `orderstorm serve` has it
    #[default]
    Canonical,
    /// a child process that speaks JSON lines (docs/adapter.md)
    Adapter,
    /// its own API over HTTP, as this profile maps it (docs/target-profile.md)
    Mapped,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    /// such as `"http://127.0.0.1:7070"` or `"https://oms.example"`; `${env.NAME}` and `${env.NAME:-otherwise}` are taken from the environment
    pub base_url: String,
    /// a request without an answer after so long is of unknown outcome
    #[serde(default = "timeout")]
    pub timeout: String,
    /// requests under way at the same time, all cases together
    #[serde(default = "max_in_flight")]
    #[schemars(range(min = 1, max = 65536))]
    pub max_in_flight: u32,
    /// certificates in PEM of the only authorities that are believed, for `https`; relative to this file. Those of this machine where absent
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// A child process: one for each case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterFile {
    /// program and arguments; `${env.NAME}` is taken from the environment, `${dir}` is the folder of this file
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// how long an answer is waited for
    #[serde(default = "timeout")]
    pub timeout: String,
    /// it may be killed and started again, and remembers what it acknowledged
    #[serde(default)]
    pub durable: bool,
}

/// What is done to the process of a target over HTTP: programs with their arguments, each of which ends when it is done. `${env.NAME}` is
/// taken from the environment, `${dir}` is the folder of this file, `${self}` is orderstorm.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessFile {
    /// kills it as a power cut would; when this ends, it is gone
    #[serde(default)]
    pub kill: Vec<String>,
    /// starts it again, from what it had stored; it is then waited for
    #[serde(default)]
    pub start: Vec<String>,
    /// makes it stand still
    #[serde(default)]
    pub pause: Vec<String>,
    /// makes it go on
    #[serde(default)]
    pub resume: Vec<String>,
    /// how long a command may take, and how long it may take to be ready
    #[serde(default = "timeout")]
    pub timeout: String,
}

/// A share of what anybody waits for an answer.
const MOST_COALESCED: Span = Span::from_millis(10);

fn timeout() -> String {
    "15s".into()
}
fn max_in_flight() -> u32 {
    256
}

/// Where the harness plays the partners and receives events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksFile {
    /// address and port; port 0 takes a free one
    pub listen: String,
    /// what events are signed with, as Standard Webhooks has it; empty where they are not signed
    pub secret: String,
    /// the target checks signatures of feeds and callbacks, too: they are signed with `secret`
    pub verifies: bool,
}

impl Default for WebhooksFile {
    fn default() -> WebhooksFile {
        WebhooksFile { listen: "127.0.0.1:0".into(), secret: String::new(), verifies: false }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClockFile {
    pub mode: ClockMode,
    /// business seconds in one second of the wall clock; the target must run at the same
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub scale: f64,
    /// where time cannot be skipped: after so long without a word, in business time, nothing more is to come
    pub patience: String,
    /// of a timeless target: after so long without a word, in real time, nothing is under way
    pub settle: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockMode {
    /// the target's clock can be moved to what is due next
    Skip,
    /// time passes by itself, at `scale`
    #[default]
    Passes,
    /// it does nothing by the clock: where nothing is under way, only ours moves
    Timeless,
}

impl Default for ClockFile {
    fn default() -> ClockFile {
        ClockFile { mode: ClockMode::default(), scale: 1.0, patience: "8d".into(), settle: "500ms".into() }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsFile {
    /// cases at the same time
    #[schemars(range(min = 1, max = 1024))]
    pub cases: u32,
    /// the harness may send so much later than it meant to; beyond it is the bottleneck, and a case is unknown
    pub send_lag: String,
    /// what is due within so long is sent together, at the end of it: fewer awakenings, and up to so much send lag. 0s: each at its own moment
    pub coalesce: String,
    /// orders in one case, probe orders aside; a larger case is not applicable. 0: no limit
    pub max_orders: u32,
    /// requests a second, all cases together; what is due earlier waits, and a limit of latency that is missed so is unknown. 0: no limit
    pub max_rate: u32,
    /// time that a case may take where time passes: one that needs longer is not applicable
    pub case_time: String,
}

impl Default for LimitsFile {
    fn default() -> LimitsFile {
        LimitsFile { cases: 8, send_lag: "2s".into(), coalesce: "0s".into(), max_orders: 0, max_rate: 0, case_time: "30m".into() }
    }
}

/// A target profile, checked; what it takes from the environment is not filled in yet.
#[derive(Clone, Debug)]
pub struct TargetProfile {
    pub name: String,
    pub title: String,
    pub protocol: Protocol,
    pub capabilities: Option<Vec<Capability>>,
    /// empty where it is a child process
    pub base_url: String,
    /// empty where it is spoken to over HTTP
    pub command: Vec<String>,
    pub durable: bool,
    pub process: ProcessCommands,
    pub timeout: Span,
    pub max_in_flight: usize,
    pub ca_file: Option<String>,
    pub listen: String,
    pub secret: String,
    /// feeds and callbacks are signed
    pub signed: bool,
    pub mode: ClockMode,
    pub scale: f64,
    pub patience: Span,
    pub settle: Span,
    pub cases: usize,
    pub send_lag: Span,
    pub coalesce: Span,
    pub max_orders: u32,
    pub max_rate: u32,
    pub case_time: Span,
    pub policies: Option<Policies>,
    /// of a foreign API
    pub mapping: Option<Arc<Mapping>>,
}

/// The commands of `[process]`; empty where there is none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProcessCommands {
    pub kill: Vec<String>,
    pub start: Vec<String>,
    pub pause: Vec<String>,
    pub resume: Vec<String>,
    pub timeout: Span,
}

impl ProcessCommands {
    fn resolve(file: &TargetProfileFile, check: &mut Check<'_>) -> ProcessCommands {
        let Some(process) = &file.process else { return ProcessCommands::default() };
        if file.http.is_none() {
            check.key("process", "`process` is of targets over HTTP", Some("a child process is killed and paused without it".into()));
        }
        for (one, other, has) in [("kill", "start", (&process.kill, &process.start)), ("pause", "resume", (&process.pause, &process.resume))] {
            if has.0.is_empty() != has.1.is_empty() {
                check.key("process", format!("`{one}` and `{other}` go together"), Some("name both, or neither".into()));
            }
        }
        ProcessCommands {
            kill: process.kill.clone(),
            start: process.start.clone(),
            pause: process.pause.clone(),
            resume: process.resume.clone(),
            timeout: check.span("process.timeout", &process.timeout),
        }
    }
}

impl TargetProfile {
    pub(super) fn resolve(file: &TargetProfileFile, check: &mut Check<'_>) -> Option<TargetProfile> {
        let before = check.problems.len();
        check.name("name", &file.name);
        let (wanted, unwanted) = match file.protocol {
            Protocol::Canonical | Protocol::Mapped => (file.http.is_some(), file.adapter.is_some()),
            Protocol::Adapter => (file.adapter.is_some(), file.http.is_some()),
        };
        if !wanted || unwanted {
            let help =
                "protocols \"canonical\" and \"mapped\" have a table [http] with `base_url`, protocol \"adapter\" has [adapter] with `command`";
            check.value("protocol", "it has not the one table that goes with it", Some(help.into()));
        }
        let fits = |url: &str| ["http://", "https://", "${env."].iter().any(|start| url.starts_with(start));
        if file.http.as_ref().is_some_and(|http| !fits(&http.base_url)) {
            let help = "such as \"http://127.0.0.1:7070\", or \"${env.ORDERSTORM_TARGET_URL:-http://127.0.0.1:7070}\"";
            check.value("http.base_url", "expected an address that begins with http:// or https://", Some(help.into()));
        }
        if file.webhooks.verifies && file.webhooks.secret.is_empty() {
            check.value("webhooks.verifies", "there is no `secret` to sign with", Some("name it under [webhooks]".into()));
        }
        let timeout = match (&file.http, &file.adapter) {
            (Some(http), _) => check.span("http.timeout", &http.timeout),
            (None, Some(adapter)) => check.span("adapter.timeout", &adapter.timeout),
            (None, None) => Span::ZERO,
        };
        if let Some(http) = file.http.as_ref().filter(|http| Span::parse(&http.timeout) == Ok(Span::ZERO)) {
            check.value("http.timeout", format!("`{}`: nobody answers in no time at all", http.timeout), Some("such as \"15s\"".into()));
        }
        let patience = check.span("clock.patience", &file.clock.patience);
        let send_lag = check.span("limits.send_lag", &file.limits.send_lag);
        let coalesce = check.span("limits.coalesce", &file.limits.coalesce);
        if coalesce > MOST_COALESCED {
            let help = "longer would make bursts of a steady stream; \"1ms\" is what most load generators have";
            check.value("limits.coalesce", format!("expected at most {MOST_COALESCED}"), Some(help.into()));
        }
        let settle = check.span("clock.settle", &file.clock.settle);
        let case_time = check.span("limits.case_time", &file.limits.case_time);
        for (key, word, known) in file.policies.iter().flat_map(Policies::words).filter(|(_, word, known)| !word.is_empty() && !known.contains(word))
        {
            // it would silently switch a rule off
            let help = did_you_mean(word, known.iter().copied(), format!("known are {}", known.join(" and ")));
            check.value(&format!("policies.{key}"), format!("`{word}` is no word for this policy"), Some(help));
        }
        let mapping = Self::mapping(file, check);
        let profile = TargetProfile {
            name: file.name.clone(),
            title: file.title.clone(),
            protocol: file.protocol,
            capabilities: file.capabilities.clone(),
            base_url: file.http.as_ref().map_or(String::new(), |http| http.base_url.clone()),
            command: file.adapter.as_ref().map_or(Vec::new(), |adapter| adapter.command.clone()),
            durable: file.adapter.as_ref().is_some_and(|adapter| adapter.durable),
            process: ProcessCommands::resolve(file, check),
            timeout,
            max_in_flight: file.http.as_ref().map_or(1, |http| http.max_in_flight as usize),
            ca_file: file.http.as_ref().and_then(|http| http.ca_file.clone()),
            listen: file.webhooks.listen.clone(),
            secret: file.webhooks.secret.clone(),
            signed: file.webhooks.verifies,
            mode: file.clock.mode,
            scale: file.clock.scale,
            patience,
            settle,
            cases: file.limits.cases as usize,
            send_lag,
            coalesce,
            max_orders: file.limits.max_orders,
            max_rate: file.limits.max_rate,
            case_time,
            policies: file.policies.clone(),
            mapping,
        };
        (check.problems.len() == before).then_some(profile)
    }

    fn mapping(file: &TargetProfileFile, check: &mut Check<'_>) -> Option<Arc<Mapping>> {
        if file.protocol != Protocol::Mapped {
            if file.mapping != MappingFile::default() {
                let help = "write protocol = \"mapped\", or leave out the tables that map an API";
                check.value("protocol", "it maps no API, and the file has tables that do", Some(help.into()));
            }
            return None;
        }
        if file.clock.mode == ClockMode::Skip {
            let help = "\"timeless\" where it does nothing by the clock, else \"passes\" with its `scale`";
            check.value("clock.mode", "only the canonical contract and adapters can skip time", Some(help.into()));
        }
        if file.mapping.reset.is_some() && file.limits.cases != 1 {
            check.value("limits.cases", "a target that is reset before each case has one at a time", Some("write cases = 1 under [limits]".into()));
        }
        let mapping = mapping::compile(&file.mapping, &mut |path, what, word| {
            let help = word.map(|(word, known)| did_you_mean(word, known, "docs/contract.md has the vocabulary".into()));
            check.value(path, what, help);
        });
        for (capability, command) in CAPABILITY_COMMANDS {
            let claims = file.capabilities.as_ref().is_none_or(|claimed| claimed.contains(capability));
            if claims && !mapping.commands.contains_key(command) {
                let what = format!("it claims the capability {}, and [command.{command}] is missing", capability.name());
                check.value("capabilities", what, Some("list what it can do: capabilities = [..]".into()));
            }
        }
        Some(Arc::new(mapping))
    }
}

/// Commands without which nobody can ask for what a target claims to do.
const CAPABILITY_COMMANDS: &[(Capability, Op)] = &[
    (Capability::Cancel, Op::CancelOrder),
    (Capability::Return, Op::RequestReturn),
    (Capability::Exchange, Op::RequestExchange),
    (Capability::Rules, Op::UpsertNode),
];

/// A text with `${env.NAME}` and `${env.NAME:-otherwise}` filled in; the error names what is not set.
pub fn from_environment(text: &str, get: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${env.") {
        filled += &rest[..start];
        let inside = &rest[start + 6..];
        let end = inside.find('}').ok_or_else(|| format!("`{text}`: `${{env.` has no `}}`"))?;
        let (name, otherwise) = inside[..end].split_once(":-").map_or((&inside[..end], None), |(name, value)| (name, Some(value)));
        match get(name).or_else(|| otherwise.map(str::to_owned)) {
            Some(value) => filled += &value,
            None => return Err(format!("the environment has no {name}: set it, or write ${{env.{name}:-otherwise}}")),
        }
        rest = &inside[end + 1..];
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::super::{Library, Selection, expand};
    use super::from_environment;

    #[test]
    fn a_step_that_waits_for_what_is_never_announced_is_not_applicable() {
        let mut library = Library::shipped().unwrap();
        let vendure = library.target_profile("vendure").unwrap();
        let mut why = |scenario: &str| {
            let scenarios = library.scenarios(&[scenario.into()]).unwrap();
            let cases =
                expand(&scenarios, &library.fault_sets(&["none".into()]).unwrap(), &Selection { orders: Some(2), ..Selection::default() }).cases;
            vendure.not_applicable(&cases[0])
        };
        assert!(why("S06.released").is_some_and(|why| why.contains("waits for fulfillment.released")));
        assert_eq!(why("S06.reserved"), None);
    }

    #[test]
    fn the_environment_fills_in_what_is_set_and_what_is_not_has_its_otherwise() {
        let get = |name: &str| (name == "PORT").then(|| "80".to_string());
        assert_eq!(from_environment("http://h:${env.PORT}/${env.PATH:-x}/", get).as_deref(), Ok("http://h:80/x/"));
        assert_eq!(from_environment("plain", get).as_deref(), Ok("plain"));
        assert!(from_environment("${env.SECRET}", get).is_err_and(|why| why.contains("SECRET")));
        assert!(from_environment("${env.PORT", get).is_err());
    }
}
