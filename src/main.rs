//! argv in, exit code out.

use clap::Parser;
use orderstorm::cli::Cli;
use orderstorm::run::{self, Stop};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stop = Stop::new();
    stop.on_ctrl_c();
    match run::run(&cli, &stop) {
        Ok(ended) => ExitCode::from(ended.exit_code()),
        Err(trouble) => {
            anstream::eprintln!("{trouble}");
            ExitCode::from(trouble.exit_code())
        }
    }
}
