//! A safe stop: the first Ctrl-C ends the run with what it has, the second ends the program.

use crate::sim::Stopwatch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// So often whoever waits looks whether it was set.
const LOOKS: Duration = Duration::from_millis(50);

/// A second signal within so long is the first once more.
const SAME_WISH_S: f64 = 0.5;

/// Set once, read by every run.
#[derive(Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// stops of single cases, which are set with this one
    cases: Arc<Mutex<Vec<Weak<AtomicBool>>>>,
}

impl Stop {
    pub fn new() -> Stop {
        Stop::default()
    }
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }
    /// A stop of one case: set with this one, or alone.
    pub fn of_case(&self) -> Stop {
        let case = Stop::default();
        let mut cases = self.cases.lock().unwrap_or_else(PoisonError::into_inner);
        cases.retain(|case| case.strong_count() > 0);
        cases.push(Arc::downgrade(&case.flag));
        if self.is_set() {
            case.set();
        }
        drop(cases);
        case
    }
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
    pub fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
        let cases = self.cases.lock().unwrap_or_else(PoisonError::into_inner);
        cases.iter().filter_map(Weak::upgrade).for_each(|case| case.store(true, Ordering::Relaxed));
    }

    /// Work without a safe point of its own and without an effect: it is done on a thread that is left behind where this is set first.
    pub fn or<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, result) = channel();
        let worker = std::thread::spawn(move || {
            // nobody waits for it where this was set
            let _ = sender.send(work());
        });
        while !self.is_set() {
            match result.recv_timeout(LOOKS) {
                Ok(result) => return Some(result),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(()) => return None,
                },
            }
        }
        None
    }

    /// Listens for Ctrl-C, and for the signal that build servers end programs with, on a thread of its own; `said` is what becomes of the work.
    pub fn on_ctrl_c(&self, said: &'static str) {
        let stop = self.clone();
        let listen = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
            runtime.block_on(async {
                let Ok(mut ends) = Ends::listen() else { return };
                let mut first: Option<Stopwatch> = None;
                while ends.wanted().await {
                    match &first {
                        // who ends a program and then its whole group, as `timeout` does, means it once
                        Some(since) if since.seconds() < SAME_WISH_S => continue,
                        Some(_) => std::process::exit(130),
                        None if stop.is_set() => std::process::exit(130),
                        None => first = Some(Stopwatch::start()),
                    }
                    eprintln!("\nStopping: {said}. Ctrl-C again ends at once.");
                    stop.set();
                }
            });
        };
        // without the listener Ctrl-C ends the program as usual: nothing else is lost
        let _ = std::thread::Builder::new().name("ctrl-c".into()).spawn(listen);
    }
}

/// What ends a program from outside and lets it do something before.
struct Ends {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Ends> {
        Ok(Ends {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }
    #[cfg(unix)]
    async fn wanted(&mut self) -> bool {
        tokio::select! {
            ctrl_c = tokio::signal::ctrl_c() => ctrl_c.is_ok(),
            terminate = self.terminate.recv() => terminate.is_some(),
        }
    }
    #[cfg(not(unix))]
    async fn wanted(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_waited_for_until_it_is_done_or_the_stop_is_set() {
        let stop = Stop::new();
        assert_eq!(stop.or(|| 7), Some(7));
        let (never, waits) = channel::<u32>();
        let set = stop.clone();
        let setter = std::thread::spawn(move || set.set());
        assert_eq!(stop.or(move || waits.recv()), None);
        setter.join().unwrap();
        drop(never);
    }
}
