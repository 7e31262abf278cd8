//! The reference orchestrator as a service: what a newcomer tries first, and what a vendor reads as the example of the contract.
//!
//! A *sandbox* is an orchestrator of its own for one case: its estate, its clock, its partners. All share one durable journal, so that
//! what was acknowledged outlives a kill. Rooms: `api` (requests in), `sandbox` (the actor that owns one orchestrator, its calls and
//! webhooks), `orchestrator` (how one is built), `journal` (the log on disk), `counters` (Prometheus metrics), `stdio` (the child-process protocol in place of HTTP).

mod api;
mod counters;
mod journal;
mod orchestrator;
mod sandbox;
mod stdio;

pub use journal::JournalError;
pub use stdio::speak;

use crate::net::{Limits, Server, Trust};
use crate::reference::Defect;
use crate::sim::{Clock, Stopwatch, Timestamp, WallClock};
use crate::target::ServiceModel;
use crate::wire::Skipped;
use counters::Counters;
use journal::Journals;
use sandbox::Running;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: String,
    pub defect: Option<Defect>,
    /// business seconds in one of the wall clock
    pub scale: f64,
    /// where the journal is kept; in memory only where none is named
    pub data: Option<PathBuf>,
    /// workers, service time and a bounded queue, as in the simulation; as fast as it goes where absent
    pub service_model: Option<ServiceModel>,
    /// deliveries of one event that fail before it is put to the dead letters
    pub webhook_attempts: u32,
    /// real time after which a sandbox that nobody spoke to is closed; absent: it stays
    pub idle: Option<Duration>,
    /// who is believed where partners or events are at https; the authorities of this machine where absent
    pub trust: Option<Trust>,
}

/// Why it does not run.
#[derive(Debug)]
pub enum Trouble {
    Listen(String, std::io::Error),
    Journal(PathBuf, JournalError),
    /// one that stands in the journal cannot be gone on with
    Sandbox(String, String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Listen(address, error) => write!(f, "error: cannot listen on {address}: {error}\n  = help: name another address with --listen"),
            Trouble::Sandbox(name, why) => {
                write!(
                    f,
                    "error: sandbox `{name}` cannot be taken up: {why}\n  = help: what it acknowledged is in the journal: mend that, or name another folder with --data"
                )
            }
            Trouble::Journal(path, error) => {
                write!(f, "error: the journal {} cannot be used: {error}\n  = help: name another folder with --data", path.display())
            }
        }
    }
}

/// Wall time until `due`, not longer than timers can be set.
fn wall_until(due: Timestamp, clock: &WallClock) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3_600);
    if due == Timestamp::NEVER {
        return LONGEST;
    }
    Duration::from_nanos((due.since(clock.now()).0 as f64 / clock.scale()).ceil().min(LONGEST.as_nanos() as f64) as u64)
}

/// Moves the clock to `to_ns`, or to what is `due` if that is earlier; `agreed`: nothing is under way that the harness does not know of.
fn skip(clock: &WallClock, due: Timestamp, to_ns: Option<u64>, agreed: bool) -> Skipped {
    let busy = !agreed || due <= clock.now();
    let goal = to_ns.map_or(Timestamp::NEVER, Timestamp).min(due);
    let idle = !busy && goal == Timestamp::NEVER;
    if !busy && !idle {
        clock.skip_to(goal);
    }
    Skipped { busy, idle, now_ns: clock.now().0 }
}

/// What all requests share.
struct Shared {
    config: Config,
    journals: Option<Journals>,
    sandboxes: RwLock<BTreeMap<String, Running>>,
    counters: Counters,
    began: Stopwatch,
}

/// Nobody closes the sandboxes of a harness that was killed, and each keeps its orders in memory.
async fn close_idle(shared: &Shared) {
    let Some(idle) = shared.config.idle else { return std::future::pending().await };
    let look = (idle / 10).clamp(Duration::from_millis(50), Duration::from_secs(60));
    loop {
        tokio::time::sleep(look).await;
        api::close_idle(shared, idle);
    }
}

/// A service that listens and has taken up what its journal holds.
pub struct Service {
    server: Server,
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Service {
    /// Listens, opens the journal, and starts every sandbox that stands in it.
    pub async fn start(config: Config) -> Result<Service, Trouble> {
        let listening = |error| Trouble::Listen(config.listen.clone(), error);
        let server = Server::bind(&config.listen, Limits::default()).await.map_err(listening)?;
        let address = server.address().map_err(listening)?;
        let unusable = |dir: &PathBuf, error| Trouble::Journal(dir.clone(), error);
        let journals = config.data.as_ref().map(|dir| Journals::open(dir).map_err(|error| unusable(dir, error))).transpose()?;
        // what cannot be read was not nothing: to begin without it would lose what was acknowledged
        let opened = match (&journals, &config.data) {
            (Some(journals), Some(dir)) => journals.sandboxes().map_err(|error| unusable(dir, error))?,
            _ => Vec::new(),
        };
        let shared = Arc::new(Shared { config, journals, sandboxes: RwLock::default(), counters: Counters::default(), began: Stopwatch::start() });
        for (name, opened) in opened {
            api::open(&shared, &name, &opened.sandbox, true).map_err(|why| Trouble::Sandbox(name, why))?;
        }
        Ok(Service { server, shared, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many sandboxes were taken up from the journal.
    pub fn restored(&self) -> usize {
        api::sandboxes(&self.shared).len()
    }

    /// Serves until it is dropped.
    pub async fn run(self) {
        let (shared, watched) = (self.shared.clone(), self.shared);
        tokio::select! {
            () = self.server.run(move |arrived| api::serve(shared.clone(), arrived)) => {}
            () = close_idle(&watched) => {}
        }
    }
}
