//! The durable log: one embedded store for all sandboxes, written by one thread that puts what waits at the moment into one transaction.
//! A commit is on the disk when it returns, so what is let out after it outlives a kill.

use crate::sim::Timestamp;
use crate::target::{Journal, Logged};
use crate::wire::Sandbox;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Settings of each sandbox, by name.
const SANDBOXES: TableDefinition<&str, &[u8]> = TableDefinition::new("sandboxes");
/// What each took in, by (name, number).
const LOG: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("log");
/// Name of the file in the folder.
const FILE: &str = "journal.redb";

#[derive(Debug)]
pub struct JournalError(String);

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn failed(error: impl std::fmt::Display) -> JournalError {
    JournalError(error.to_string())
}

/// What a sandbox was opened with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    pub sandbox: Sandbox,
}

/// What one sandbox wants stored.
struct Batch {
    name: String,
    first: u64,
    rows: Vec<Vec<u8>>,
    done: oneshot::Sender<()>,
}

/// The store.
pub struct Journals {
    database: Arc<Database>,
    batches: mpsc::Sender<Batch>,
}

impl Journals {
    pub fn open(dir: &Path) -> Result<Journals, JournalError> {
        std::fs::create_dir_all(dir).map_err(failed)?;
        let database = Arc::new(Database::create(dir.join(FILE)).map_err(failed)?);
        let write = database.begin_write().map_err(failed)?;
        write.open_table(SANDBOXES).map_err(failed)?;
        write.open_table(LOG).map_err(failed)?;
        write.commit().map_err(failed)?;
        let (batches, waiting) = mpsc::channel();
        let store = database.clone();
        std::thread::Builder::new().name("journal".into()).spawn(move || keep(&store, &waiting)).map_err(failed)?;
        Ok(Journals { database, batches })
    }

    /// Every sandbox that was opened and not removed.
    pub fn sandboxes(&self) -> Result<Vec<(String, Opened)>, JournalError> {
        let table = self.database.begin_read().map_err(failed)?.open_table(SANDBOXES).map_err(failed)?;
        let mut all = Vec::new();
        for row in table.iter().map_err(failed)? {
            let (name, opened) = row.map_err(failed)?;
            all.push((name.value().to_owned(), serde_json::from_slice(opened.value()).map_err(failed)?));
        }
        Ok(all)
    }

    /// Begins the log of a sandbox anew.
    pub fn begin(&self, name: &str, opened: &Opened) -> Result<(), JournalError> {
        self.remove(name)?;
        let write = self.database.begin_write().map_err(failed)?;
        let bytes = serde_json::to_vec(opened).map_err(failed)?;
        write.open_table(SANDBOXES).map_err(failed)?.insert(name, bytes.as_slice()).map_err(failed)?;
        write.commit().map_err(failed)
    }

    pub fn remove(&self, name: &str) -> Result<(), JournalError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            write.open_table(SANDBOXES).map_err(failed)?.remove(name).map_err(failed)?;
            write.open_table(LOG).map_err(failed)?.retain_in((name, 0)..=(name, u64::MAX), |_, _| false).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }

    /// The log of one sandbox. What is in it is read here: who goes on from it must have all of it, or not begin.
    pub fn of(&self, name: &str) -> Result<OnDisk, JournalError> {
        let table = self.database.begin_read().map_err(failed)?.open_table(LOG).map_err(failed)?;
        let rows = table.range((name, 0)..=(name, u64::MAX)).map_err(failed)?;
        let read = |(number, row): (usize, Result<_, redb::StorageError>)| -> Result<Logged, JournalError> {
            let row: (redb::AccessGuard<'_, (&str, u64)>, redb::AccessGuard<'_, &[u8]>) = row.map_err(failed)?;
            let unreadable = |error| failed(format!("entry {number} of the log of sandbox `{name}`: {error}"));
            serde_json::from_slice(row.1.value()).map_err(unreadable)
        };
        let found = rows.enumerate().map(read).collect::<Result<Vec<Logged>, JournalError>>()?;
        let time = |logged: &Logged| match logged {
            Logged::Input(at, _) | Logged::Woke(at) | Logged::Restarted(at) => Some(*at),
            Logged::Taken(_) => None,
        };
        let latest = found.iter().rev().find_map(time);
        let pending = Arc::new(Mutex::new(Pending { next: found.len() as u64, rows: Vec::new() }));
        Ok(OnDisk { name: name.to_owned(), batches: self.batches.clone(), pending, latest, found: Arc::new(Mutex::new(found)) })
    }
}

/// Stores what waits, as much as there is in one transaction.
fn keep(database: &Database, waiting: &mpsc::Receiver<Batch>) {
    while let Ok(first) = waiting.recv() {
        let batches: Vec<Batch> = std::iter::once(first).chain(waiting.try_iter().take(1_000)).collect();
        let store = || -> Result<(), JournalError> {
            let write = database.begin_write().map_err(failed)?;
            {
                let mut log = write.open_table(LOG).map_err(failed)?;
                for batch in &batches {
                    for (number, row) in (batch.first..).zip(&batch.rows) {
                        log.insert((batch.name.as_str(), number), row.as_slice()).map_err(failed)?;
                    }
                }
            }
            write.commit().map_err(failed)
        };
        match store() {
            Ok(()) => batches.into_iter().for_each(|batch| {
                let _ = batch.done.send(());
            }),
            // nobody is told that it was stored: nothing goes out, and whoever waits learns nothing that is not true
            Err(error) => eprintln!("error: the journal cannot be written: {error}"),
        }
    }
}

/// What was appended since the last commit.
#[derive(Default)]
struct Pending {
    next: u64,
    rows: Vec<Vec<u8>>,
}

/// The log of one sandbox. Clones are the same log: the orchestrator appends, and whoever lets its effects out commits before.
#[derive(Clone)]
pub struct OnDisk {
    name: String,
    batches: mpsc::Sender<Batch>,
    pending: Arc<Mutex<Pending>>,
    latest: Option<Timestamp>,
    /// what was in it when it was opened, until it is read
    found: Arc<Mutex<Vec<Logged>>>,
}

impl OnDisk {
    /// The time of the last thing that was in it.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Hands over what was appended; none where there was nothing.
    fn hand_over(&self) -> Option<oneshot::Receiver<()>> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = std::mem::take(&mut pending.rows);
        if rows.is_empty() {
            return None;
        }
        let first = pending.next;
        pending.next += rows.len() as u64;
        let (done, stored) = oneshot::channel();
        let _ = self.batches.send(Batch { name: self.name.clone(), first, rows, done });
        Some(stored)
    }

    /// The same as [`OnDisk::commit`], on a thread that may wait.
    pub fn commit_here(&self) {
        if self.hand_over().is_some_and(|stored| stored.blocking_recv().is_err()) {
            // what follows from it may never be let out
            loop {
                std::thread::park();
            }
        }
    }

    /// Waits until everything that was appended is on the disk. False: there was nothing.
    pub async fn commit(&self) -> bool {
        let Some(stored) = self.hand_over() else { return false };
        if stored.await.is_err() {
            // it could not be stored: what follows from it may never be let out
            std::future::pending::<()>().await;
        }
        true
    }
}

impl Journal for OnDisk {
    fn append(&mut self, logged: Logged) {
        let row = serde_json::to_vec(&logged).unwrap_or_default();
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).rows.push(row);
    }
    /// What was in it when it was opened: a process starts from its log once.
    fn read(&self) -> Vec<Logged> {
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
