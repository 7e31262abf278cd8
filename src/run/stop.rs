//! A safe stop: the first Ctrl-C ends the run with what it has, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, read by every run.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn new() -> Stop {
        Stop::default()
    }
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
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
