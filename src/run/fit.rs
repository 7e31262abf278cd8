//! `fit`: from a real order history to a load profile, and whether the profile makes what the history was.

use super::progress::Progress;
use super::{Ended, Stop, Trouble, cannot_write_to, say};
use crate::cli::{FitArgs, FitModel, Format};
use crate::fit::{Fitted, Model, REPLICAS, Told, Verdict, Wanted, fit as fit_history};
use crate::report::{Compared, compared_plots, write_plots};
use crate::scenario::Library;
use crate::workload::{Columns, Import, ImportError, import, parse_columns};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub fn fit(args: &FitArgs, stop: &Stop) -> Result<Ended, Trouble> {
    check_places(args)?;
    // the report tells of the models when all is done: meanwhile standard error does
    let progress = Arc::new(Progress::new(false));
    let work = {
        let (args, progress) = (args.clone(), progress.clone());
        move || fitted(&args, &progress)
    };
    let fitted = stop.or(work);
    progress.clear();
    let Some(fitted) = fitted.transpose()? else {
        anstream::eprintln!("Stopped before the fit was done: no profile and no report were written.");
        return Ok(Ended::Stopped);
    };
    let report = serde_json::to_string_pretty(&fitted.report).map_err(|error| Trouble::Environment(format!("error: {error}")))? + "\n";
    let mut text = fitted.report.text();
    if let Some(path) = &args.out {
        fs::write(path, &fitted.profile).map_err(|error| cannot_write_to("--out", path, &error))?;
        text += &format!("Profile {} in {}\n", profile_name(path), path.display());
    }
    if let Some(dir) = &args.report {
        drawn(dir, &fitted, &report).map_err(|error| cannot_write_to("--report", dir, &error))?;
        text += &format!("Report and pictures in {}\n", dir.display());
    }
    match args.format {
        Format::Human => say(&text),
        Format::Json => say(&report),
    }
    Ok(match fitted.report.verdict {
        Verdict::Accepted => Ended::Good,
        Verdict::Unknown => Ended::Undecided,
        Verdict::Rejected => Ended::Failed,
    })
}

/// Whether what comes out can be written at all is said before the work, and not after it.
fn check_places(args: &FitArgs) -> Result<(), Trouble> {
    if let Some(path) = &args.out {
        if path.is_dir() {
            return Err(cannot_write_to("--out", path, &io::ErrorKind::IsADirectory.into()));
        }
        if path.exists() && !args.force {
            return Err(super::generate::there_already(path));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.map_or(Ok(()), |folder| fs::read_dir(folder).map(|_| ())).map_err(|error| cannot_write_to("--out", path, &error))?;
    }
    match &args.report {
        Some(dir) if dir.exists() && !dir.is_dir() => Err(cannot_write_to("--report", dir, &io::ErrorKind::NotADirectory.into())),
        _ => Ok(()),
    }
}

/// Everything but writing.
fn fitted(args: &FitArgs, progress: &Progress) -> Result<Fitted, Trouble> {
    let mut library = Library::shipped()?;
    let shown = args.history.display().to_string();
    let (map, columns, history) = match &args.columns {
        Some(map) => read(&mut library, &args.history, map)?.map_err(refused)?,
        None => read_by_a_shipped_map(&mut library, &args.history)?,
    };
    let source = args.history.file_name().map_or(shown, |name| name.to_string_lossy().into_owned());
    let told = Told {
        regions: columns.file().region.is_some(),
        channels: columns.file().channel.is_some(),
        cancellations: !columns.file().order.cancellation_prefixes.is_empty(),
        minor_digits: columns.file().price.minor_digits,
    };
    let name = profile_name(args.out.as_deref().unwrap_or(&args.history));
    let model = args.model.map(|model| match model {
        FitModel::Poisson => Model::Poisson,
        FitModel::Nhpp => Model::Nhpp,
        FitModel::Cox => Model::Cox,
    });
    let wanted = Wanted { name: &name, source: &source, columns: &map, seed: args.seed, model, told };
    let drawing = |what: &str, done: usize, in_all: usize| {
        let left = progress.left(done as f64, in_all.saturating_sub(done) as f64);
        progress.now(format!("{what}: replica {done} of at most {in_all}{left}"));
        if done.is_multiple_of(REPLICAS) {
            progress.ended(&format!("{what}: {REPLICAS} replicas drawn{left}"));
        }
    };
    fit_history(&history, &wanted, &drawing).map_err(|error| Trouble::Usage(error.to_string()))
}

type Read = (String, Columns, Import);

fn refused(error: ImportError) -> Trouble {
    Trouble::Usage(format!("error: {error}"))
}

/// The history by a column map, and what the map is called; or what is wrong with the history.
fn read(library: &mut Library, history: &Path, map: &str) -> Result<Result<Read, ImportError>, Trouble> {
    let (name, text) = library.column_map(map)?;
    let columns = parse_columns(&text, &name).map_err(|error| Trouble::Usage(error.to_string()))?.by_wall_clock();
    let shown = history.display().to_string();
    let read = import(library.open_source(history)?, &shown, &columns);
    Ok(read.map(|history| (name, columns, history)))
}

/// By the first map whose columns are all there: a file that lacks one is refused at its header. What else is wrong is no question of the map.
fn read_by_a_shipped_map(library: &mut Library, history: &Path) -> Result<Read, Trouble> {
    let (mut lacking, mut help) = (String::new(), String::new());
    for map in Library::column_maps() {
        match read(library, history, map)? {
            Ok(read) => return Ok(read),
            Err(error) if error.lacks_columns => {
                let said = error.to_string();
                lacking += &format!("\n  {map}: {}", said.lines().next().unwrap_or_default());
                help = error.help.map_or(String::new(), |help| format!("\n  = help: {help}"));
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Trouble::Usage(format!(
        "error: {}: no shipped column map fits it{lacking}{help}\n  = help: say with --columns which column is what; `orderstorm schema columns` describes the file",
        history.display()
    )))
}

fn drawn(dir: &Path, fitted: &Fitted, report: &str) -> io::Result<()> {
    let picture = &fitted.picture;
    let compared = Compared {
        week: picture.week.clone(),
        days: picture.days.clone(),
        ranks: picture.ranks.clone(),
        gaps: picture.gaps.clone(),
        lines: picture.lines.clone(),
    };
    write_plots(dir, "fit-", &compared_plots(&compared))?;
    fs::write(dir.join("fit.json"), report)?;
    fs::write(dir.join("fit.txt"), fitted.report.text())
}

/// A name that a case can have, from that of a file.
fn profile_name(path: &Path) -> String {
    let stem = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let stem = stem.split('.').next().unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect();
    if name.is_empty() { "fitted".into() } else { name }
}
