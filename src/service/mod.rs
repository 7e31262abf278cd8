//! The reference orchestrator as a service: what a newcomer tries first, and what a vendor reads as the example of the contract.
//!
//! A *sandbox* is an orchestrator of its own for one case: its estate, its clock, its partners. All share one durable journal, so that
//! what was acknowledged outlives a kill. Rooms: `api` (requests in), `sandbox` (the actor that owns one orchestrator, its calls and
//! webhooks), `journal` (the log on disk), `counters` (Prometheus metrics), `stdio` (the child-process protocol in place of HTTP).

mod api;
mod counters;
mod journal;
mod sandbox;
mod stdio;

pub use journal::JournalError;
pub use stdio::speak;

use crate::net::{Limits, Server};
use crate::reference::Defect;
use counters::Counters;
use journal::Journals;
use sandbox::Running;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: String,
    pub defect: Option<Defect>,
    /// business seconds in one of the wall clock
    pub scale: f64,
    /// where the journal is kept; in memory only where none is named
    pub data: Option<PathBuf>,
    /// workers, service time and a bounded queue, as in the simulation
    pub service_model: bool,
}

/// Why it does not run.
#[derive(Debug)]
pub enum Trouble {
    Listen(String, std::io::Error),
    Journal(PathBuf, JournalError),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Listen(address, error) => write!(f, "error: cannot listen on {address}: {error}\n  = help: name another address with --listen"),
            Trouble::Journal(path, error) => {
                write!(f, "error: the journal {} cannot be used: {error}\n  = help: name another folder with --data", path.display())
            }
        }
    }
}

/// What all requests share.
struct Shared {
    config: Config,
    journals: Option<Journals>,
    sandboxes: RwLock<BTreeMap<String, Running>>,
    counters: Counters,
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
        let journals = config.data.as_ref().map(|dir| Journals::open(dir).map_err(|error| Trouble::Journal(dir.clone(), error))).transpose()?;
        let shared = Arc::new(Shared { config, journals, sandboxes: RwLock::default(), counters: Counters::default() });
        if let Some(journals) = &shared.journals {
            for (name, opened) in journals.sandboxes() {
                api::open(&shared, &name, opened, true);
            }
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
        let shared = self.shared;
        self.server.run(move |arrived| api::serve(shared.clone(), arrived)).await;
    }
}
