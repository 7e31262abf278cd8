//! Target profiles: what a live target is, where it is, and what may be done to it. The low form, and the high form made from it.

use super::resolve::Check;
use super::{Action, Scenario};
use crate::model::{Fulfil, Op};
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file in `profiles/target/`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "orderstorm target profile", extend("$id" = "https://orderstorm.dev/schemas/target.v1.json"))]
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
        needs.sort_unstable();
        needs.dedup();
        needs
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
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    /// such as `"http://127.0.0.1:7070"`; `${env.NAME}` and `${env.NAME:-otherwise}` are taken from the environment
    pub base_url: String,
    /// a request without an answer after so long is of unknown outcome
    #[serde(default = "timeout")]
    pub timeout: String,
    /// requests under way at the same time, all cases together
    #[serde(default = "max_in_flight")]
    #[schemars(range(min = 1, max = 65536))]
    pub max_in_flight: u32,
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
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockMode {
    /// the target's clock can be moved to what is due next
    Skip,
    /// time passes by itself, at `scale`
    #[default]
    Passes,
}

impl Default for ClockFile {
    fn default() -> ClockFile {
        ClockFile { mode: ClockMode::default(), scale: 1.0, patience: "8d".into() }
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
}

impl Default for LimitsFile {
    fn default() -> LimitsFile {
        LimitsFile { cases: 8, send_lag: "2s".into() }
    }
}

/// A target profile, checked; what it takes from the environment is not filled in yet.
#[derive(Clone, PartialEq, Debug)]
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
    pub listen: String,
    pub secret: String,
    /// feeds and callbacks are signed
    pub signed: bool,
    pub mode: ClockMode,
    pub scale: f64,
    pub patience: Span,
    pub cases: usize,
    pub send_lag: Span,
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
            Protocol::Canonical => (file.http.is_some(), file.adapter.is_some()),
            Protocol::Adapter => (file.adapter.is_some(), file.http.is_some()),
        };
        if !wanted || unwanted {
            let help = "protocol \"canonical\" has a table [http] with `base_url`, protocol \"adapter\" a table [adapter] with `command`";
            check.value("protocol", "it has not the one table that goes with it", Some(help.into()));
        }
        let fits = |url: &str| url.starts_with("http://") || url.starts_with("${env.");
        if file.http.as_ref().is_some_and(|http| !fits(&http.base_url)) {
            let help = "such as \"http://127.0.0.1:7070\", or \"${env.ORDERSTORM_TARGET_URL:-http://127.0.0.1:7070}\"";
            check.value("http.base_url", "expected an address that begins with http://", Some(help.into()));
        }
        if file.webhooks.verifies && file.webhooks.secret.is_empty() {
            check.value("webhooks.verifies", "there is no `secret` to sign with", Some("name it under [webhooks]".into()));
        }
        let timeout = match (&file.http, &file.adapter) {
            (Some(http), _) => check.span("http.timeout", &http.timeout),
            (None, Some(adapter)) => check.span("adapter.timeout", &adapter.timeout),
            (None, None) => Span::ZERO,
        };
        let patience = check.span("clock.patience", &file.clock.patience);
        let send_lag = check.span("limits.send_lag", &file.limits.send_lag);
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
            listen: file.webhooks.listen.clone(),
            secret: file.webhooks.secret.clone(),
            signed: file.webhooks.verifies,
            mode: file.clock.mode,
            scale: file.clock.scale,
            patience,
            cases: file.limits.cases as usize,
            send_lag,
        };
        (check.problems.len() == before).then_some(profile)
    }
}

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
    use super::from_environment;
    #[test]
    fn the_environment_fills_in_what_is_set_and_what_is_not_has_its_otherwise() {
        let get = |name: &str| (name == "PORT").then(|| "80".to_string());
        assert_eq!(from_environment("http://h:${env.PORT}/${env.PATH:-x}/", get).as_deref(), Ok("http://h:80/x/"));
        assert_eq!(from_environment("plain", get).as_deref(), Ok("plain"));
        assert!(from_environment("${env.SECRET}", get).is_err_and(|why| why.contains("SECRET")));
        assert!(from_environment("${env.PORT", get).is_err());
    }
}
