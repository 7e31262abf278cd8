//! Writes every format of a report into a folder, and reads a stored one back.

use super::plots::{Ground, Plot, plots};
use super::{RunReport, html, json, junit};
use crate::report::data::SUMMARY_VERSION;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Paths {
    pub summary: PathBuf,
    pub junit: PathBuf,
    pub html: PathBuf,
    pub plots: Vec<PathBuf>,
}

/// Writes `summary.json`, `junit.xml`, `report.html` and `plots/*.svg`. Each file appears whole or not at all.
pub fn write_all(dir: &Path, report: &RunReport) -> io::Result<Paths> {
    fs::create_dir_all(dir)?;
    // every format draws from the very numbers that are stored
    let report = &json::tidied(report);
    let mut paths = Paths { summary: dir.join("summary.json"), junit: dir.join("junit.xml"), html: dir.join("report.html"), plots: Vec::new() };
    write_file(&paths.summary, &json::to_json(report).map_err(io::Error::other)?)?;
    write_file(&paths.junit, &junit::to_junit(report)?)?;
    let drawn = plots(&report.totals, Ground::File);
    if !drawn.is_empty() {
        paths.plots = write_plots(&dir.join("plots"), "", &drawn)?;
    }
    write_file(&paths.html, html::to_html(report)?.as_bytes())?;
    Ok(paths)
}

/// Writes plots into a folder, each under its name behind `before`.
pub fn write_plots(dir: &Path, before: &str, plots: &[Plot]) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let write = |plot: &Plot| {
        let path = dir.join(format!("{before}{}.svg", plot.name));
        write_file(&path, plot.svg.as_bytes()).map(|()| path)
    };
    plots.iter().map(write).collect()
}

/// Reads `summary.json` of a run's folder, so that the run can be drawn again.
pub fn read_summary(dir: &Path) -> io::Result<RunReport> {
    let path = dir.join("summary.json");
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let text = fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| bad(format!("not JSON: {error}")))?;
    match value.get("orderstorm_summary").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(SUMMARY_VERSION) => {}
        Some(version) => return Err(bad(format!("format version {version}; this program reads {SUMMARY_VERSION}"))),
        None => return Err(bad("not a summary: `orderstorm_summary` is missing".into())),
    }
    serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))
}

/// Writes beside the place and renames, so that nobody ever reads half a file.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    let result = write();
    if result.is_err() {
        let _ = fs::remove_file(&beside);
    }
    result
}
