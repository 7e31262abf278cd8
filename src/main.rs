//! argv in, exit code out.

use orderstorm::cli;
use orderstorm::run::{self, Stop};
use std::process::ExitCode;

/// Judges and simulator make and drop many small things: measured in `benches/judges.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::read();
    let stop = Stop::new();
    if let Some(said) = run::stopping(&cli.command) {
        stop.on_ctrl_c(said);
    }
    match run::run(&cli, &stop) {
        Ok(ended) => ExitCode::from(ended.exit_code()),
        Err(trouble) => {
            anstream::eprintln!("{trouble}");
            ExitCode::from(trouble.exit_code())
        }
    }
}
