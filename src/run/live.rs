//! Cases against a live target: the same engine, world and judges as in the simulation, in time that passes.

use super::bounds::{self, Bounded};
use super::execute::{self, Part, Setup};
use super::gauge::Gauge;
use super::{Stop, Trouble};
use crate::capacity::{Lags, bottleneck};
use crate::check::{Suite, Verdict};
use crate::engine::{Engine, LINK};
use crate::history::{Fingerprint, Header, HistoryWriter, Observer, Tells, read_history};
use crate::mapping::{StatesSeen, value_of};
use crate::measure::Stage;
use crate::model::{Policies, SharedNames};
use crate::net::{Client, Echo, Spans, Trust, Waited};
use crate::report::Lens;
use crate::scenario::{Capability, Case, ClockMode, FaultAction, Library, Protocol, TargetProfile, from_environment};
use crate::sim::{Span, Stopwatch, WallClock};
use crate::target::{Adapter, Commands, Harness, Live, Mapped, MappedOpening, Opening, Process, Shared, Target};
use crate::wire::Sandbox;
use crate::workload::Partition;
use crate::world::World;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use tracing::info;

/// A live target.
pub struct Session {
    pub profile: TargetProfile,
    reach: Reach,
    /// names of its sandboxes begin with this: runs at the same time do not meet
    run: String,
    /// cases that were begun
    begun: AtomicUsize,
    /// it was told that orders waited for what the profile bounds
    told: AtomicBool,
    commands: Commands,
    /// who does something to a process that all cases share has it for himself
    shared: RwLock<()>,
}

/// How it is reached.
enum Reach {
    Http(Http),
    Mapped(Http, Arc<Shared>),
    /// program and arguments, with what is the same for all cases filled in
    Adapter(Vec<String>),
}

/// What a target says of itself.
fn described(manifest: &serde_json::Value) -> String {
    let list = |key: &str| manifest[key].as_array().map_or(0, Vec::len);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let durable = if manifest["durable"] == true { "with a durable journal" } else { "in memory" };
    format!(
        "{} {}, {durable}, {} capabilities, clock: {}",
        text(&manifest["name"]),
        text(&manifest["version"]),
        list("capabilities"),
        text(&manifest["clock"]["mode"])
    )
}

/// A target over HTTP, and the side of the harness that it calls.
struct Http {
    client: Client,
    harness: Harness,
    spans: Option<Spans>,
    described: String,
    // last, so that what it carries ends before
    runtime: Runtime,
}

impl Session {
    /// Reads the profile, and makes sure that the target is there.
    pub fn open(asked: &str, allowed: &[String], otlp: Option<&str>, library: &mut Library) -> Result<Session, Trouble> {
        let mut profile = library.target_profile(asked)?;
        let get = |name: &str| std::env::var(name).ok();
        let filled = |text: &str| from_environment(text, get).map_err(|why| Trouble::Usage(format!("error: target {asked}: {why}")));
        (profile.base_url, profile.secret) = (filled(&profile.base_url)?, filled(&profile.secret)?);
        let own = std::env::current_exe().map_or_else(|_| "orderstorm".into(), |path| path.display().to_string());
        let dir = folder_of(asked).display().to_string();
        let words = |words: &[String]| -> Result<Vec<String>, Trouble> {
            words.iter().map(|word| Ok(filled(word)?.replace("${self}", &own).replace("${dir}", &dir))).collect()
        };
        let process = &profile.process;
        let commands = Commands {
            kill: words(&process.kill)?,
            start: words(&process.start)?,
            pause: words(&process.pause)?,
            resume: words(&process.resume)?,
            timeout: Duration::from_nanos(process.timeout.0),
        };
        if otlp.is_some() && profile.protocol == Protocol::Adapter {
            let what = "error: --otlp is for a target over HTTP: the lines of an adapter carry no trace of ours";
            return Err(Trouble::Usage(what.into()));
        }
        let reach = match &profile.mapping {
            Some(mapping) => {
                let http = Http::open(asked, &profile, &profile.base_url, allowed, otlp)?;
                let env: BTreeMap<String, String> = std::env::vars().collect();
                let reset = words(mapping.reset.as_ref().map_or(&[], |reset| &reset.command))?;
                let shared = Shared::new(mapping.clone(), http.client.clone(), value_of(env), reset);
                Reach::Mapped(http, Arc::new(shared))
            }
            None if profile.protocol == Protocol::Adapter => Reach::Adapter(words(&profile.command)?),
            None => {
                let mut http = Http::open(asked, &profile, &format!("{}/v1", profile.base_url.trim_end_matches('/')), allowed, otlp)?;
                http.described = http.ready(&profile)?;
                Reach::Http(http)
            }
        };
        let (run, begun) = (format!("r{:x}", std::process::id()), AtomicUsize::new(0));
        Ok(Session { profile, reach, run, begun, told: AtomicBool::new(false), commands, shared: RwLock::new(()) })
    }

    /// What is known of it, in one line.
    pub fn says(&self) -> String {
        match &self.reach {
            Reach::Http(http) => format!("{} at {}", http.described, self.profile.base_url),
            Reach::Mapped(_, shared) => format!(
                "its own API at {}, mapped: {} commands, {} events announced",
                self.profile.base_url,
                shared.mapping.commands.len(),
                shared.mapping.claims().len()
            ),
            Reach::Adapter(command) => format!("a child process: {}", command.join(" ")),
        }
    }

    /// The policies that every case is judged by, where they are not those of its scenario: an API of its own cannot be told these.
    pub fn policies(&self) -> Option<Policies> {
        self.profile.policies.clone().or_else(|| self.profile.mapping.as_ref().map(|_| Policies::undeclared()))
    }

    /// Waits for the spans that are under way, and says what became of all of them.
    pub fn finish(&self) -> Option<String> {
        let (Reach::Http(http) | Reach::Mapped(http, _)) = &self.reach else { return None };
        let Http { spans: Some(spans), runtime, .. } = http else { return None };
        let told = runtime.block_on(spans.finish());
        let why = if told.fault.is_empty() { "the queue was full".into() } else { told.fault };
        let dropped = if told.dropped == 0 { String::new() } else { format!(", {} dropped: {why}", told.dropped) };
        Some(format!("spans    {} told{dropped}", told.taken))
    }

    /// What is about to be sent to another machine, where it is another.
    pub fn warning(&self, cases: usize, orders: u64) -> Option<String> {
        let (Reach::Http(http) | Reach::Mapped(http, _)) = &self.reach else { return None };
        let host = elsewhere(http.client.authority())?;
        let TargetProfile { cases: at_once, max_in_flight, max_rate, .. } = &self.profile;
        let rate = if *max_rate == 0 { "at any rate".into() } else { format!("at most {max_rate} requests a second") };
        Some(format!("{host} is sent {cases} cases with {orders} orders: {at_once} cases at a time, {max_in_flight} requests under way, {rate}"))
    }

    /// How requests are sent to it, and what its profile allows.
    pub fn sending(&self) -> String {
        let TargetProfile { max_in_flight, max_rate, coalesce, scale, .. } = &self.profile;
        let mut said = match *coalesce {
            Span::ZERO => "each at its moment".to_string(),
            quantum => format!("what is due within {quantum} together"),
        };
        if !matches!(self.reach, Reach::Adapter(_)) {
            said += &format!(", at most {max_in_flight} requests under way");
            if *max_rate > 0 {
                said += &format!(" and {max_rate} a second");
            }
        }
        if (scale - 1.0).abs() > 1e-9 {
            said += &format!(", at {scale} business seconds a second");
        }
        said
    }

    /// Requests that had to wait before they were sent, so far.
    pub fn waited(&self) -> Waited {
        match &self.reach {
            Reach::Http(http) | Reach::Mapped(http, _) => http.client.waited(),
            Reach::Adapter(_) => Waited::default(),
        }
    }

    /// What watches whether answers are heard in time, where the network hears them.
    fn echo(&self) -> Option<Echo> {
        match &self.reach {
            Reach::Http(http) | Reach::Mapped(http, _) => {
                let watch = Stopwatch::start();
                Echo::of(http.runtime.handle(), move || Duration::from_secs_f64(watch.seconds()))
            }
            Reach::Adapter(_) => None,
        }
    }

    /// Why a case cannot be run against this target, if it cannot.
    pub fn not_applicable(&self, case: &Case) -> Option<String> {
        if let Some(why) = self.profile.not_applicable(case) {
            return Some(why);
        }
        self.harms(case).or_else(|| self.kills(case))
    }

    /// Why bodies cannot be harmed as the case wants it.
    fn harms(&self, case: &Case) -> Option<String> {
        let mut does = case.fault.rules.iter().map(|rule| rule.action).filter(|action| action.is_of_bodies());
        match self.reach {
            Reach::Adapter(_) => does.next().map(|_| "a pipe to a child process has no bodies, connections and signatures to be harmed".into()),
            Reach::Mapped(..) => does.next().map(|_| "bodies in the form of a mapped API are not harmed".into()),
            Reach::Http(_) if self.profile.signed => None,
            Reach::Http(_) => (does.any(|action| action == FaultAction::WrongSignature))
                .then(|| "the target's profile does not say that it checks signatures of feeds and callbacks (`verifies` under [webhooks])".into()),
        }
    }

    /// Why the target cannot be killed, or made to stand still, as the case wants it.
    fn kills(&self, case: &Case) -> Option<String> {
        let (survives, pauses) = match self.reach {
            Reach::Adapter(_) => (self.profile.durable, true),
            Reach::Http(_) | Reach::Mapped(..) => (!self.commands.kill.is_empty(), !self.commands.pause.is_empty()),
        };
        if case.fault.crashes() && !survives {
            return Some("the target's profile does not say how to kill and restart it, or it does not survive that".into());
        }
        (case.fault.pauses() && !pauses).then(|| "the target's profile does not say how to pause and resume it".into())
    }
}

/// Threads for the network: a case has one of its own, and what wakes another core for each message pays for it twice.
fn network_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1)
}

impl Http {
    fn open(asked: &str, profile: &TargetProfile, base: &str, allowed: &[String], otlp: Option<&str>) -> Result<Http, Trouble> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(network_threads()).enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::Environment(format!("error: no threads for the target: {error}")))?;
        let unusable = |what: String| Trouble::Usage(format!("error: target {asked}: {what}"));
        let trust = profile.ca_file.as_ref().map(|file| trusted(&folder_of(asked).join(file))).transpose().map_err(unusable)?;
        let client = Client::trusting(trust.as_ref(), base, profile.max_in_flight, Duration::from_nanos(profile.timeout.0));
        let client = client.map_err(unusable)?;
        client.pace(profile.max_rate);
        permitted(client.authority(), allowed)?;
        let harness = Harness::listen(runtime.handle().clone(), &profile.listen).map_err(|error| {
            Trouble::Environment(format!("error: cannot listen on {}: {error}\n  = help: name another address under [webhooks]", profile.listen))
        })?;
        let spans = otlp.map(|url| Spans::to(url, runtime.handle())).transpose();
        let spans = spans.map_err(|why| Trouble::Usage(format!("error: --otlp: {why}")))?;
        let harness = harness.telling(spans.clone());
        Ok(Http { client, harness, spans, described: String::new(), runtime })
    }

    /// Is it there, and does it speak the contract?
    fn ready(&self, profile: &TargetProfile) -> Result<String, Trouble> {
        let url = &profile.base_url;
        let start = match url.starts_with("https:") {
            true => "start it first; where an authority of your own signs its certificate, name that one under [http]: ca_file = \"ca.pem\"",
            false => "start it first: `orderstorm serve` in another terminal, or name another address under [http]",
        };
        let manifest = self
            .harness
            .get(&self.client, "")
            .map_err(|why| Trouble::Environment(format!("error: the target {} at {url} is not there: {why}\n  = help: {start}", profile.name)))?;
        let says = |what: &str| {
            let help = "expected a service of the canonical contract: GET /v1 answers with its manifest in JSON (docs/contract.md)";
            Trouble::Environment(format!("error: what answers at {url} is no target of the contract: {what}\n  = help: {help}"))
        };
        if manifest.status != 200 {
            return Err(says(&format!("GET /v1 has status {}", manifest.status)));
        }
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.body).map_err(|error| says(&format!("GET /v1 is no JSON: {error}")))?;
        if manifest["contract"] != "orderstorm/v1" {
            return Err(says(&format!("its contract is {}, not \"orderstorm/v1\"", manifest["contract"])));
        }
        let scale = manifest["clock"]["scale"].as_f64().unwrap_or(1.0);
        if (scale - profile.scale).abs() > 1e-9 {
            let help = "start both at the same, with `orderstorm serve --scale` and `scale` under [clock]";
            let what = format!("error: {url} runs at {scale} business seconds a second, and the profile says {}", profile.scale);
            return Err(Trouble::Environment(format!("{what}\n  = help: {help}")));
        }
        Ok(described(&manifest))
    }
}

/// A target of one case.
enum Opened {
    Http(Box<Live>),
    Mapped(Box<Mapped>),
    Adapter(Box<Process>),
}

impl Opened {
    fn target(&mut self) -> &mut dyn Target {
        match self {
            Opened::Http(live) => &mut **live,
            Opened::Mapped(mapped) => &mut **mapped,
            Opened::Adapter(process) => &mut **process,
        }
    }
    fn names(&self) -> SharedNames {
        match self {
            Opened::Http(live) => live.names(),
            Opened::Mapped(mapped) => mapped.names(),
            Opened::Adapter(process) => process.names(),
        }
    }
    /// Why what was recorded cannot be relied on, if it cannot.
    fn trouble(&self) -> Option<String> {
        let (broken, unreadable, fault) = match self {
            Opened::Http(live) => (live.broken(), live.unreadable(), String::new()),
            Opened::Mapped(mapped) => {
                let troubles = mapped.troubles();
                let first = troubles.first()?;
                let more = if troubles.len() > 1 { format!(", and {} more such", troubles.len() - 1) } else { String::new() };
                return Some(format!("{first}{more}"));
            }
            Opened::Adapter(process) => (process.broken(), process.unreadable(), process.fault()),
        };
        if broken.is_some() {
            return broken;
        }
        (unreadable > 0).then(|| format!("{unreadable} messages of the target could not be read{fault}"))
    }
}

/// The folder of a profile that was named by its file; what stands in it is relative to that.
fn folder_of(profile: &str) -> &Path {
    Path::new(profile).parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The authorities in a file.
pub(super) fn trusted(file: &Path) -> Result<Trust, String> {
    let pem = std::fs::read(file).map_err(|error| format!("the certificates in {} cannot be read: {error}", file.display()))?;
    Trust::only(&pem).map_err(|why| format!("{}: {why}", file.display()))
}

/// The host, where it is not this machine.
fn elsewhere(authority: &str) -> Option<&str> {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    (!loopback).then_some(host)
}

/// Load goes to this machine; to any other only where somebody said so.
fn permitted(authority: &str, allowed: &[String]) -> Result<(), Trouble> {
    let Some(host) = elsewhere(authority) else { return Ok(()) };
    if allowed.iter().any(|name| name == host) {
        return Ok(());
    }
    Err(Trouble::Usage(format!("error: {host} is another machine\n  = help: if it is yours to put under load, say so: --allow-host {host}")))
}

/// Why a case could not be run.
pub enum Broken {
    Disk(io::Error),
    Target(String),
}

/// Runs, judges and measures one partition against the target; its history is kept in `file`.
pub fn partition(
    session: &Session,
    setup: &Setup,
    case: &Case,
    part: &Partition,
    file: &Path,
    stop: &Stop,
    told: &mut dyn Observer,
) -> Result<Part, Broken> {
    let before = session.waited();
    let echo = session.echo();
    let mut ran = watched(session, setup, case, part, file, stop, None, (None, told))?;
    let heard = echo.and_then(|echo| echo.p99()).map(|late| Span(late.as_nanos() as u64));
    // other cases at the same time wait for the same places
    let (rate, profile) = (part.busiest_second() as f64, &session.profile);
    let orders = (u64::from(part.orders), bounds::FEW);
    ran.bounded = Bounded::of(session.waited().since(before), orders, rate, (profile.max_in_flight, profile.max_rate));
    if let Some(bounded) = ran.bounded.as_ref().filter(|_| !session.told.swap(true, Ordering::Relaxed)) {
        anstream::eprintln!("note: {}; that wait is in `ack` and `ack_service`", bounded.why);
    }
    // whoever has an objective looks at it order by order; here it is what the report would tell as the target's
    let measures = ran.totals.measures();
    let p99 = |stage: Stage| {
        let seconds = measures.latency.get(stage.name()).and_then(|times| times.p99_s);
        seconds.map(|seconds| Span::from_secs_f64(seconds / session.profile.scale))
    };
    let lags = Lags { sent: p99(Stage::SendLag), answered: p99(Stage::Ack), heard, ..Lags::default() };
    if let Some(why) = bottleneck(&lags).filter(|_| ran.doubt.is_none()) {
        if ran.judgement.verdict < Verdict::Unknown {
            ran.judgement.verdict = Verdict::Unknown;
            ran.judgement.reason = why.clone();
        }
        ran.doubt = Some(why);
    }
    Ok(ran)
}

/// Somebody who looks on, and who may say that no more orders come: then what is under way goes on to rest.
pub type Onlooker<'a> = (Option<&'a Stop>, &'a mut dyn Observer);

/// The same, with what a mapped target was sent and what came back, and with somebody who looks on.
#[allow(clippy::too_many_arguments, reason = "each is another thing")]
pub fn watched(
    session: &Session,
    setup: &Setup,
    case: &Case,
    part: &Partition,
    file: &Path,
    stop: &Stop,
    tape: Option<&mut Vec<String>>,
    (enough, also): Onlooker<'_>,
) -> Result<Part, Broken> {
    let profile = &session.profile;
    let alone = matches!(session.reach, Reach::Http(_)) && (case.fault.crashes() || case.fault.pauses());
    let _alone = alone.then(|| session.shared.write().unwrap_or_else(PoisonError::into_inner));
    let _together = (!alone).then(|| session.shared.read().unwrap_or_else(PoisonError::into_inner));
    let time_scale = if profile.scale > 1.0 { profile.scale } else { 0.0 };
    let mut header = Header { time_scale, ..execute::header(setup, case, part) };
    if let Some(mapping) = &profile.mapping {
        let sampled = mapping.events.states_seen == StatesSeen::Sampled;
        let period = mapping.events.polls.iter().map(|poll| poll.every).max().filter(|_| sampled).unwrap_or_default();
        let sampled_ns = (period.0 as f64 * profile.scale) as u64;
        header.tells = Some(Tells { facts: mapping.facts(), claims: mapping.claims(), sampled_ns });
    }
    if let Some(policies) = session.policies() {
        header.fixture.policies = policies;
    }
    if !profile.claims(Capability::NodeLimits) {
        // what it cannot know it is not held to
        for node in &mut header.fixture.nodes {
            (node.safety_stock, node.capacity_per_day, node.opens_h, node.closes_h) = (0, 0, 0, 24);
        }
    }
    let mut clock = WallClock::new(profile.scale);
    info!(case = case.name, orders = part.orders, "case begins");
    let sandbox = Sandbox {
        estate: (*part.plan.estate).clone(),
        seed: part.seed.0,
        remorse_hold_ns: case.scenario.remorse_hold.map(|hold| hold.0),
        partners_url: String::new(),
        webhook_url: String::new(),
        webhook_secret: profile.secret.clone(),
        signed: profile.signed,
    };
    // trials of a search are the same case again and again, and what one of them left on its way is none of the next one's
    let number = session.begun.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{}-{number}", session.run, case.name);
    let scratch = file.with_extension("scratch");
    let mut opened = match &session.reach {
        Reach::Http(http) => {
            let opening = Opening {
                name,
                sandbox,
                clock: &clock.clone(),
                skips: profile.mode == ClockMode::Skip,
                patience: profile.patience,
                commands: session.commands.clone(),
            };
            Live::open(&http.harness, http.client.clone(), opening).map(|live| Opened::Http(Box::new(live)))
        }
        Reach::Mapped(http, shared) => {
            // of all cases that wait for the same target, one says so
            let tell = |what: &str| {
                if number == 0 {
                    eprintln!("waiting  {what}. Ctrl-C ends it.")
                }
            };
            let opened = MappedOpening {
                name,
                prefix: format!("{}n{number}", session.run),
                sandbox: &sandbox,
                clock: &clock,
                timeless: profile.mode == ClockMode::Timeless,
                settle: profile.settle,
                commands: session.commands.clone(),
                patience: profile.patience,
                tape: tape.is_some(),
                stop: stop.flag(),
                tell: &tell,
            };
            Mapped::open(&http.harness, shared.clone(), opened).map(|mapped| Opened::Mapped(Box::new(mapped)))
        }
        Reach::Adapter(command) => {
            let command = command.iter().map(|word| word.replace("${scratch}", &scratch.display().to_string())).collect();
            let adapter = Adapter { command, timeout: Duration::from_nanos(profile.timeout.0), patience: profile.patience };
            Process::open(&adapter, sandbox, &clock).map(|process| Opened::Adapter(Box::new(process)))
        }
    }
    .map_err(Broken::Target)?;
    // setting a case up takes time that is none of its own
    clock.begin();
    let mut suite = Suite::new(header.clone(), case.scenario.expect.clone());
    let mut fingerprint = Fingerprint::new(&header);
    let mut gauge = Gauge::new(case, stop);
    let stop = &gauge.stop();
    let mut writer = HistoryWriter::create(file, &header).map_err(Broken::Disk)?.naming(opened.names());
    // a live case takes its time, and who is killed meanwhile finds out which cases were under way
    writer.flush();
    let (world, opening) = World::new(&part.plan);
    let engine = Engine {
        link: LINK,
        coalesce: Span((profile.coalesce.0 as f64 * profile.scale) as u64),
        world: world.with_client(setup.conditions.client.clone()).with_faults_until(execute::storms_until(case, part)),
        opening,
        storm: execute::storm(case, part),
        target: opened.target(),
        clock: &mut clock,
        arrivals: Box::new(part.orders().take_while(|_| !enough.is_some_and(Stop::is_set))),
        seed: part.seed,
        calm: part.calm,
        horizon: part.horizon,
        stop: stop.flag(),
    };
    let mut ran = engine.run(((&mut suite, also), (&mut gauge, (&mut fingerprint, &mut writer))));
    writer.finish().map_err(Broken::Disk)?;
    let mut judgement = suite.finish(!ran.stopped);
    let mut unknown = |reason: String| {
        judgement.verdict = judgement.verdict.merge(Verdict::Unknown);
        judgement.reason = reason;
    };
    let worst = Span((ran.lag.0 as f64 / profile.scale) as u64);
    let doubt = bottleneck(&Lags { worst, most: profile.send_lag, ..Lags::default() });
    if let Some(why) = &doubt {
        unknown(why.clone());
    }
    if let Some(trouble) = opened.trouble() {
        match &opened {
            Opened::Mapped(_) => judgement.doubt(trouble),
            _ => unknown(trouble),
        }
        // by the target, that is, and not by whoever sits here
        ran.stopped &= stop.is_set();
    }
    if let (Some(tape), Opened::Mapped(mapped)) = (tape, &opened) {
        *tape = mapped.tape();
    }
    drop(opened);
    info!(case = case.name, verdict = judgement.verdict.name(), reason = judgement.reason, "case ends");
    // what an adapter kept for this case is of no use any more
    let _ = std::fs::remove_dir_all(&scratch);
    let mut stories = Vec::new();
    if !judgement.findings.is_empty() {
        // what happened cannot be run again: it is read again
        let recorded = read_history(file).map_err(|error| Broken::Disk(io::Error::other(error.to_string())))?;
        stories = execute::stories(
            &Lens::new(&header).with_names(&recorded.names),
            &judgement.findings,
            &recorded.entries,
            &execute::reproduce(setup, &case.name),
        );
    }
    let (totals, broke) = gauge.finish();
    Ok(Part { judgement, totals, digest: fingerprint.hex(), ran, broke, doubt, bounded: None, of_one: part.of == 1, kept: true, stories })
}
