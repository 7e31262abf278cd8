//! A safe stop: the first Ctrl-C ends the run with what it has, the second ends the program.

use crate::sim::Stopwatch;
use std::io::Write as _;
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

    /// Listens for Ctrl-C, the signal that build servers end programs with, and a terminal that is closed, on a thread of its own; `said` is what becomes of the work.
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
                    stop.set();
                    // of a terminal that is gone nothing is left to write to
                    let _ = writeln!(std::io::stderr(), "\nStopping: {said}. Ctrl-C again ends at once.");
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
    /// the terminal was closed; none where that is to end nothing
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
}

impl Ends {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Ends> {
        use tokio::signal::unix::{SignalKind, signal};
        // whoever listens takes away what `nohup` has set
        let hang_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Ends { terminate: signal(SignalKind::terminate())?, hang_up })
    }
    #[cfg(not(unix))]
    fn listen() -> std::io::Result<Ends> {
        Ok(Ends {})
    }
    #[cfg(unix)]
    async fn wanted(&mut self) -> bool {
        let Ends { terminate, hang_up } = self;
        let hung_up = async {
            match hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ctrl_c = tokio::signal::ctrl_c() => ctrl_c.is_ok(),
            terminate = terminate.recv() => terminate.is_some(),
            hung_up = hung_up => hung_up.is_some(),
        }
    }
    #[cfg(not(unix))]
    async fn wanted(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}

/// The program was started by `nohup` or the like. Where that cannot be told it is taken for so, and a closed terminal ends it as it ends any program.
#[cfg(unix)]
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored(&status)).is_none_or(|ignored| ignored & 1 != 0)
}

/// The signals that a process ignores, as Linux says it: signal 1 (SIGHUP) is the lowest bit.
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_a_process_ignores_is_read() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n"), Some(0x1001));
        assert_eq!((ignored("SigCgt:\t1\n"), ignored("SigIgn:\tsome\n")), (None, None));
    }

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
