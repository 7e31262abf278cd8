//! The verbs: the only room that knows every stage, one function a verb.

mod bounds;
mod capacity;
mod check_target;
pub mod execute;
mod export;
mod fit;
mod gauge;
mod generate;
mod listing;
mod live;
mod logs;
mod matrix;
mod pace;
mod plan;
mod progress;
mod prove;
mod rows;
mod serve;
mod shape;
mod shrink;
mod source;
mod stop;
mod stored;
mod sweep;

pub use stop::Stop;

use crate::cli::{Cli, Command};
use matrix::{defect, jobs, out_dir, progress};
use std::fmt;
use std::sync::OnceLock;

/// How a verb ended, and with which exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// everything applicable passed and was exercised
    Good,
    /// something failed
    Failed,
    /// nothing failed, but something is unknown or was not exercised
    Undecided,
    /// stopped by Ctrl-C; what was recorded is judged and kept
    Stopped,
}

impl Ended {
    pub fn exit_code(self) -> u8 {
        match self {
            Ended::Good => 0,
            Ended::Failed => 1,
            Ended::Undecided => 4,
            Ended::Stopped => 130,
        }
    }
}

/// Why a verb could not do its work.
#[derive(Debug)]
pub enum Trouble {
    /// usage or a file: exit code 2
    Usage(String),
    /// the target or the environment: exit code 3
    Environment(String),
}

impl Trouble {
    pub fn exit_code(&self) -> u8 {
        match self {
            Trouble::Usage(_) => 2,
            Trouble::Environment(_) => 3,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Usage(text) | Trouble::Environment(text) => f.write_str(text.trim_end()),
        }
    }
}

impl From<crate::scenario::Problems> for Trouble {
    fn from(problems: crate::scenario::Problems) -> Trouble {
        let color = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        Trouble::Usage(problems.render(color))
    }
}

/// Writing a result failed: a matter of the machine, not of what was asked.
fn cannot_write(path: &std::path::Path, error: &std::io::Error) -> Trouble {
    cannot_write_to("--out", path, error)
}

/// The same where the place was named by another option.
fn cannot_write_to(option: &str, path: &std::path::Path, error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind;
    let help = match error.kind() {
        ErrorKind::NotFound => format!("the folder that it is to stand in is not there: make it, or name another place with {option}"),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => format!("a file is where a folder should be: name another place with {option}"),
        ErrorKind::IsADirectory => format!("a folder is where the file should be: name a file with {option}"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("make room, or name another place with {option}"),
        _ => format!("name another place with {option}"),
    };
    Trouble::Environment(format!("error: cannot write {}: {error}\n  = help: {help}", path.display()))
}

/// What the first Ctrl-C says. None: the verb has nothing to keep, so Ctrl-C ends it as it ends any program.
pub fn stopping(command: &Command) -> Option<&'static str> {
    match command {
        Command::Fit(_) => Some("the fit is given up"),
        Command::Serve(_) => Some("the service ends"),
        Command::Generate(_) => Some("what is written ends with a whole order"),
        Command::Plan(_) | Command::Check(_) | Command::Report(_) | Command::Explain(_) | Command::Export(_) => None,
        Command::List(_) | Command::Schema(_) | Command::Init(_) | Command::Completions(_) => None,
        _ => Some("what was recorded is judged and kept"),
    }
}

/// Does what the command line says.
pub fn run(cli: &Cli, stop: &Stop) -> Result<Ended, Trouble> {
    logs::begin(cli);
    match &cli.command {
        Command::Run(args) => matrix::run(args, stop),
        Command::Plan(args) => plan::plan(args),
        Command::Serve(args) => serve::serve(args, stop),
        Command::CheckTarget(args) => check_target::check_target(args, stop),
        Command::Capacity(args) => capacity::capacity(args, stop),
        Command::Probe(args) => capacity::probe(args, stop),
        Command::Fit(args) => fit::fit(args, stop),
        Command::Generate(args) => generate::generate(args, stop),
        Command::Prove(args) => prove::prove(args, stop),
        Command::Check(args) => stored::check(args),
        Command::Report(args) => stored::report(args),
        Command::Explain(args) => stored::explain(args),
        Command::Export(args) => export::export(args),
        Command::Shrink(args) => shrink::shrink(args, stop),
        Command::List(args) => listing::list(args),
        Command::Schema(args) => listing::schema(args),
        Command::Init(args) => listing::init(args),
        Command::Completions(args) => {
            let mut script = Vec::new();
            crate::cli::completions(args.shell, &mut script);
            say(&String::from_utf8_lossy(&script));
            Ok(Ended::Good)
        }
    }
    .and_then(|ended| UNSAID.get().map_or(Ok(ended), |why| Err(Trouble::Environment(why.clone()))))
}

/// Why something could not be printed, where that is no matter of the reader's.
static UNSAID: OnceLock<String> = OnceLock::new();

/// Prints to standard output; a closed pipe is a reader who has seen enough.
fn say(text: &str) {
    use std::io::Write;
    let mut out = anstream::stdout();
    if let Err(error) = shown(out.write_all(text.as_bytes()).and_then(|()| out.flush())) {
        // told at the end: what is done meanwhile is done all the same
        let (Trouble::Usage(why) | Trouble::Environment(why)) = error;
        let _ = UNSAID.set(why);
    }
}

/// The same for what a report printed by itself: only another fault than a closed pipe is one.
fn shown(result: std::io::Result<()>) -> Result<(), Trouble> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Trouble::Environment(format!("error: cannot print: {error}"))),
        _ => Ok(()),
    }
}

/// Columns of the terminal, or what fits a page.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| (40..=400).contains(columns)).unwrap_or(110)
}
