//! A safe stop: the first Ctrl-C ends the run with what it has, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

    /// Listens for Ctrl-C on a thread of its own.
    pub fn on_ctrl_c(&self) {
        let stop = self.clone();
        let listen = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if stop.is_set() {
                        std::process::exit(130);
                    }
                    eprintln!("\nStopping: what was recorded is judged and kept. Ctrl-C again ends at once.");
                    stop.set();
                }
            });
        };
        // without the listener Ctrl-C ends the program as usual: nothing else is lost
        let _ = std::thread::Builder::new().name("ctrl-c".into()).spawn(listen);
    }
}
