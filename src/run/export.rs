//! `export`: a stored history for other tools.

use super::{Ended, Trouble, cannot_write};
use crate::cli::{ExportArgs, ExportFormat};
use crate::history::{ExportError, Exported, HistoryReader, OCEL_EPOCH, export_ocel};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub fn export(args: &ExportArgs) -> Result<Ended, Trouble> {
    // it is read twice
    if !args.history.is_file() {
        let help = "name one file, such as those in the `histories` folder of a run";
        return Err(Trouble::Usage(format!("error: {} is not a file\n  = help: {help}", args.history.display())));
    }
    let Some(path) = &args.out else {
        let to_stdout = write(args, &mut BufWriter::new(io::stdout().lock()));
        return match to_stdout {
            // a closed pipe is a reader who has seen enough
            Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Good),
            done => told(done, args, Path::new("standard output")),
        };
    };
    if same(path, &args.history) {
        return Err(Trouble::Usage(format!("error: {} is the history itself\n  = help: name another file with --out", path.display())));
    }
    let mut file = BufWriter::new(new_file(path)?);
    let done = write(args, &mut file);
    if done.is_err() {
        // half a log would look like a whole one until it is read
        let _ = std::fs::remove_file(path);
    }
    told(done, args, path)
}

/// What is there is not written over.
fn new_file(path: &Path) -> Result<File, Trouble> {
    File::create_new(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Trouble::Usage(format!("error: {} is there already\n  = help: name another file with --out, or remove it first", path.display()))
        }
        _ => cannot_write(path, &error),
    })
}

fn write(args: &ExportArgs, out: &mut dyn Write) -> Result<Exported, ExportError> {
    match args.format {
        ExportFormat::Ocel2 => export_ocel(|| HistoryReader::open(&args.history), args.epoch.as_deref().unwrap_or(OCEL_EPOCH), out),
    }
}

/// Says on standard error what was written: standard output may be the log.
fn told(done: Result<Exported, ExportError>, args: &ExportArgs, to: &Path) -> Result<Ended, Trouble> {
    let Exported { events, objects, missing } = done.map_err(|error| match error {
        ExportError::Input(text) => Trouble::Usage(text),
        ExportError::Output(error) => cannot_write(to, &error),
    })?;
    anstream::eprintln!("{events} events about {objects} objects from {} to {}", args.history.display(), to.display());
    if let Some(missing) = missing {
        anstream::eprintln!("The record is not whole: {missing}. What is there was exported.");
    }
    Ok(Ended::Good)
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
