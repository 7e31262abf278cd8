//! `--log`: what happens on the wire, on standard error, as it happens. Without it nothing is said, and the simulation has nothing to say.

use crate::cli::{Cli, LogFormat, LogLevel};
use std::io::{self, IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

pub fn begin(cli: &Cli) {
    let level = match cli.log {
        None | Some(LogLevel::Off) => return,
        Some(LogLevel::Error) => LevelFilter::ERROR,
        Some(LogLevel::Warn) => LevelFilter::WARN,
        Some(LogLevel::Info) => LevelFilter::INFO,
        Some(LogLevel::Debug) => LevelFilter::DEBUG,
        Some(LogLevel::Trace) => LevelFilter::TRACE,
    };
    // colours as for everything else, and never where nobody looks
    let colour = io::stderr().is_terminal() && anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = fmt().with_max_level(level).with_writer(io::stderr).with_ansi(colour);
    // whoever embeds this program may have set another: it stays
    let _ = match cli.log_format {
        LogFormat::Human => tracing::subscriber::set_global_default(lines.compact().finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    };
}

/// Is anything said at all?
pub fn are_on() -> bool {
    LevelFilter::current() > LevelFilter::OFF
}
