//! Cases against a live target: the same engine, world and judges as in the simulation, in time that passes.

use super::execute::{self, Part, Setup};
use super::{Stop, Trouble};
use crate::check::{Suite, Verdict};
use crate::engine::Engine;
use crate::history::{HistoryWriter, read_history};
use crate::measure::Meter;
use crate::net::Client;
use crate::report::Lens;
use crate::scenario::{Case, ClockMode, Library, TargetProfile, from_environment};
use crate::sim::{Span, WallClock};
use crate::target::{Harness, Live, Opening};
use crate::wire::Sandbox;
use crate::workload::Partition;
use crate::world::World;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A live target, and the side of the harness that it calls.
pub struct Session {
    pub profile: TargetProfile,
    client: Client,
    harness: Harness,
    /// names of its sandboxes begin with this: runs at the same time do not meet
    run: String,
    // last, so that what it carries ends before
    _runtime: Runtime,
}

impl Session {
    /// Reads the profile, and makes sure that the target is there.
    pub fn open(asked: &str, allowed: &[String], library: &mut Library) -> Result<Session, Trouble> {
        let mut profile = library.target_profile(asked)?;
        let get = |name: &str| std::env::var(name).ok();
        let filled = |text: &str| from_environment(text, get).map_err(|why| Trouble::Usage(format!("error: target {asked}: {why}")));
        (profile.base_url, profile.secret) = (filled(&profile.base_url)?, filled(&profile.secret)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::Environment(format!("error: no threads for the target: {error}")))?;
        let base = format!("{}/v1", profile.base_url.trim_end_matches('/'));
        let client = Client::new(&base, profile.max_in_flight, Duration::from_nanos(profile.timeout.0));
        let client = client.map_err(|why| Trouble::Usage(format!("error: target {asked}: {why}")))?;
        permitted(client.authority(), allowed)?;
        let harness = Harness::listen(runtime.handle().clone(), &profile.listen).map_err(|error| {
            Trouble::Environment(format!("error: cannot listen on {}: {error}\n  = help: name another address under [webhooks]", profile.listen))
        })?;
        let run = format!("r{:x}", std::process::id());
        let session = Session { profile, client, harness, run, _runtime: runtime };
        session.ready()?;
        Ok(session)
    }

    fn ready(&self) -> Result<(), Trouble> {
        let url = &self.profile.base_url;
        let start = "start it first: `orderstorm serve` in another terminal, or name another address under [http]";
        let manifest = self.harness.get(&self.client, "").map_err(|why| {
            Trouble::Environment(format!("error: the target {} at {url} is not there: {why}\n  = help: {start}", self.profile.name))
        })?;
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
        if (scale - self.profile.scale).abs() > 1e-9 {
            let help = "start both at the same, with `orderstorm serve --scale` and `scale` under [clock]";
            let what = format!("error: {} runs at {scale} business seconds a second, and the profile says {}", url, self.profile.scale);
            return Err(Trouble::Environment(format!("{what}\n  = help: {help}")));
        }
        Ok(())
    }

    /// Why a case cannot be run against this target, if it cannot.
    pub fn not_applicable(&self, case: &Case) -> Option<String> {
        case.fault.crashes().then(|| "the target's profile does not say how to kill and restart it".into())
    }
}

/// Load goes to this machine; to any other only where somebody said so.
fn permitted(authority: &str, allowed: &[String]) -> Result<(), Trouble> {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback || allowed.iter().any(|name| name == host) {
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
pub fn partition(session: &Session, setup: &Setup, case: &Case, part: &Partition, file: &Path, stop: &Stop) -> Result<Part, Broken> {
    let header = execute::header(setup, case, part);
    let profile = &session.profile;
    let mut clock = WallClock::new(profile.scale);
    let sandbox = Sandbox {
        estate: (*part.plan.estate).clone(),
        seed: part.seed.0,
        remorse_hold_ns: case.scenario.remorse_hold.map(|hold| hold.0),
        partners_url: String::new(),
        webhook_url: String::new(),
        webhook_secret: profile.secret.clone(),
    };
    let name = format!("{}-{}-{}", session.run, case.name, part.number);
    let skips = profile.mode == ClockMode::Skip;
    let opening = Opening { name, sandbox, clock: &clock.clone(), skips, patience: profile.patience };
    let mut target = Live::open(&session.harness, session.client.clone(), opening).map_err(Broken::Target)?;
    let mut suite = Suite::new(header.clone(), case.scenario.expect.clone());
    let mut meter = Meter::new();
    let mut writer = HistoryWriter::create(file, &header).map_err(Broken::Disk)?;
    let (world, opening) = World::new(&part.plan);
    let engine = Engine {
        world,
        opening,
        storm: execute::storm(case, part),
        target: &mut target,
        clock: &mut clock,
        arrivals: Box::new(part.orders()),
        seed: part.seed,
        calm: part.calm,
        horizon: part.horizon,
        stop: stop.flag(),
    };
    let ran = engine.run((&mut suite, (&mut meter, &mut writer)));
    let digest = writer.finish().map_err(Broken::Disk)?;
    let mut judgement = suite.finish(!ran.stopped);
    let mut unknown = |reason: String| {
        judgement.verdict = judgement.verdict.merge(Verdict::Unknown);
        judgement.reason = reason;
    };
    let lag = Span((ran.lag.0 as f64 / profile.scale) as u64);
    if lag > profile.send_lag {
        unknown(format!("the harness was the bottleneck: it sent up to {lag} later than it meant to, more than {}", profile.send_lag));
    }
    if target.unreadable() > 0 {
        unknown(format!("{} messages of the target could not be read: they were answered with 400 or 401 and why", target.unreadable()));
    }
    let mut stories = Vec::new();
    if !judgement.findings.is_empty() {
        // what happened cannot be run again: it is read again
        let recorded = read_history(file).map_err(|error| Broken::Disk(io::Error::other(error.to_string())))?;
        stories = execute::stories(&Lens::new(&header), &judgement.findings, &recorded.entries, &execute::reproduce(setup, &case.name));
    }
    Ok(Part { judgement, totals: meter.totals(), digest, ran, stories })
}
