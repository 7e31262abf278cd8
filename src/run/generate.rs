//! `generate`: synthetic orders for people who only need data.

use super::pace::{Asked, paced};
use super::{Ended, Stop, Trouble, cannot_write_to};
use crate::cli::{GenerateArgs, GeneratedFormat};
use crate::scenario::{Library, LoadProfile, Scenario, Selection, expand};
use crate::sim::Seed;
use crate::workload::{Form, Generate};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

pub fn generate(args: &GenerateArgs, stop: &Stop) -> Result<Ended, Trouble> {
    let mut library = Library::shipped()?;
    let (rate, duration) = (args.rate.as_deref(), args.duration.as_deref());
    let asked = Asked { rate, duration, orders: args.orders, seed: args.seed, most: 1_000_000_000 };
    let profile = paced(library.load_profile(&args.profile)?, asked)?;
    let (Some(goods), Some(scenario)) = (&profile.goods, profile.scenario()) else {
        let help = "add `[goods]`: the shipped profiles have it";
        return Err(Trouble::Usage(format!("error: load profile `{}` does not say what orders are about\n  = help: {help}", profile.name)));
    };
    let scenario = scenario?;
    if args.feeds.is_some() && goods.deltas == 0.0 && goods.snapshot.is_none() {
        let help = "add `[feed]` to it, or take the profile inventory-feed";
        return Err(Trouble::Usage(format!("error: load profile `{}` has no stock feed\n  = help: {help}", profile.name)));
    }
    if args.feeds.as_deref() == Some(Path::new("-")) {
        return Err(Trouble::Usage("error: feeds cannot go to standard output, where orders go\n  = help: name a file with --feeds".into()));
    }
    if args.feeds.as_deref().is_some_and(|feeds| Some(feeds) == args.out.as_deref()) {
        return Err(Trouble::Usage("error: orders and feeds cannot go to one file\n  = help: name another with --feeds".into()));
    }
    let form = match args.format {
        GeneratedFormat::Ndjson => Form::Ndjson,
        GeneratedFormat::Csv | GeneratedFormat::Parquet => Form::Csv,
    };
    let columns = args.format == GeneratedFormat::Parquet;
    if columns && !cfg!(feature = "parquet") {
        let help = "install it with that: cargo install orderstorm --features parquet; or take --format csv";
        return Err(Trouble::Usage(format!("error: this program was built without the feature `parquet`\n  = help: {help}")));
    }
    if columns && args.feeds.is_some() {
        return Err(Trouble::Usage("error: feeds are written as NDJSON or CSV\n  = help: --feeds with --format ndjson or csv".into()));
    }
    let orders = args.orders.unwrap_or(profile.orders);
    let case = case_of(&mut library, &profile, scenario.clone(), args)?;
    let generate = Generate { profile: &profile, goods, scenario: &scenario, orders, case, form, stop: stop.flag() };
    let mut feeds = args.feeds.as_deref().map(|path| create("--feeds", path, args.force)).transpose()?;
    let feed = feeds.as_mut().map(|file| file as &mut dyn Write);
    let (result, to) = match args.out.as_deref().filter(|path| *path != Path::new("-")) {
        None => (written(&generate, &mut BufWriter::new(io::stdout()), feed, columns), Path::new("standard output")),
        Some(path) => (written(&generate, &mut create("--out", path, args.force)?, feed, columns), path),
    };
    match result.and_then(|written| feeds.as_mut().map_or(Ok(()), Write::flush).map(|()| written)) {
        // a closed pipe is a reader who has seen enough
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Good),
        Err(error) => Err(cannot_write_to("--out", to, &error)),
        Ok(written) if written < orders => {
            anstream::eprintln!("Stopped: {written} of {orders} orders of {} under seed {} are in {}", profile.name, args.seed, to.display());
            Ok(Ended::Stopped)
        }
        Ok(_) => {
            anstream::eprintln!("{orders} orders of {} under seed {} to {}", profile.name, args.seed, to.display());
            Ok(Ended::Good)
        }
    }
}

/// The seed of the case that `run` begins with, so that its orders are those that are written.
fn case_of(library: &mut Library, profile: &LoadProfile, scenario: Scenario, args: &GenerateArgs) -> Result<Seed, Trouble> {
    let all = ["all".to_string()];
    let faults = library.fault_sets(if profile.faults.is_empty() { &all } else { &profile.faults })?;
    let selection = Selection { profile: Some(profile.clone()), orders: args.orders, seed: Seed(args.seed), ..Selection::default() };
    let cases = expand(&[Arc::new(scenario)], &faults, &selection).cases;
    Ok(cases.first().map_or(selection.seed, |case| case.seed))
}

fn written<W: Write + Send>(generate: &Generate<'_>, out: &mut W, feed: Option<&mut dyn Write>, columns: bool) -> io::Result<u32> {
    #[cfg(feature = "parquet")]
    if columns {
        let written = generate.write_parquet(&mut *out, crate::workload::GROUP)?;
        return out.flush().map(|()| written);
    }
    debug_assert!(!columns, "refused before anything is opened");
    let written = generate.write(out, feed)?;
    out.flush().map(|()| written)
}

/// A new file; one that is there is only written over where that is asked for.
fn create(option: &str, path: &Path, force: bool) -> Result<BufWriter<File>, Trouble> {
    let opened = if force { File::create(path) } else { File::create_new(path) };
    match opened {
        Ok(file) => Ok(BufWriter::new(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(there_already(path)),
        Err(error) => Err(cannot_write_to(option, path, &error)),
    }
}

pub(super) fn there_already(path: &Path) -> Trouble {
    Trouble::Usage(format!("error: {} is there already\n  = help: name a new file, or write over it with --force", path.display()))
}
