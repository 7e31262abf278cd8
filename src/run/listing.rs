//! `list`, `schema` and `init`.

use super::{Ended, Trouble, cannot_write, say};
use crate::check::INVARIANTS;
use crate::cli::{Format, InitArgs, ListArgs, Listed, SchemaArgs};
use crate::model::Metric;
use crate::reference::DEFECTS;
use crate::scenario::{COLUMN_MAPS, Library, SCHEMAS, schema_text, shipped};
use crate::wire::contract::DOCUMENTS;
use serde_json::{Value, json};

pub fn list(args: &ListArgs) -> Result<Ended, Trouble> {
    let library = Library::shipped()?;
    let (scenarios, faults, profiles) = library.contents();
    let items: Vec<Value> = match args.what {
        Listed::Scenarios => scenarios
            .iter()
            .map(|s| json!({"name": format!("{}.{}", s.name, s.variant), "about": if s.about.is_empty() { &s.title } else { &s.about }}))
            .collect(),
        Listed::Faults => faults.iter().map(|f| json!({"name": f.name, "about": f.title})).collect(),
        Listed::Profiles => profiles.map(|p| json!({"name": p.name, "about": p.title})).collect(),
        Listed::Invariants => INVARIANTS.iter().map(|i| json!({"name": i.name, "about": i.summary, "definition": i.definition})).collect(),
        Listed::Metrics => Metric::all().into_iter().map(|(name, about)| json!({"name": name, "about": about})).collect(),
        Listed::Defects => DEFECTS.iter().map(|d| json!({"name": d.name, "about": d.about, "caught_by": d.caught_by, "seen": d.seen})).collect(),
    };
    if args.format == Format::Json {
        say(&format!("{:#}\n", Value::Array(items)));
        return Ok(Ended::Good);
    }
    let width = items.iter().filter_map(|item| item["name"].as_str()).map(str::len).max().unwrap_or(0);
    for item in &items {
        let about = item["about"].as_str().unwrap_or("").lines().next().unwrap_or("");
        say(&format!("{:<width$}  {about}\n", item["name"].as_str().unwrap_or("")));
    }
    Ok(Ended::Good)
}

/// Every format: those of scenarios and profiles, and those of the rooms that this one assembles.
pub fn schemas() -> Vec<(&'static str, String)> {
    let mut all: Vec<(&'static str, String)> = SCHEMAS.iter().map(|(name, text)| (*name, text())).collect();
    all.push(("columns.v1.json", schema_text::<crate::workload::ColumnsFile>()));
    all.push(("summary.v1.json", crate::report::summary_schema()));
    all.push(("history.v1.json", crate::history::history_schema()));
    all
}

/// File formats, and the documents of the contract. `init` hands out only the former.
fn documents() -> Vec<(&'static str, String)> {
    let mut all = schemas();
    all.extend(DOCUMENTS.iter().map(|(name, text)| (*name, text())));
    all
}

pub fn schema(args: &SchemaArgs) -> Result<Ended, Trouble> {
    let all = documents();
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_string();
    if let (true, Some(dir)) = (args.all, &args.out) {
        std::fs::create_dir_all(dir).map_err(|error| cannot_write(dir, &error))?;
        for (name, text) in &all {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
            say(&format!("{}\n", path.display()));
        }
        return Ok(Ended::Good);
    }
    let Some(asked) = &args.name else {
        for (name, _) in &all {
            say(&format!("{}\n", short(name)));
        }
        return Ok(Ended::Good);
    };
    match all.iter().find(|(name, _)| short(name) == *asked || name == asked) {
        Some((_, text)) => {
            say(text);
            Ok(Ended::Good)
        }
        None => {
            let known: Vec<String> = all.iter().map(|(name, _)| short(name)).collect();
            Err(Trouble::Usage(format!("error: there is no format named `{asked}`\n  = help: known: {}", known.join(", "))))
        }
    }
}

/// What a profile of a target that speaks an API of its own may say, most of it commented out; NAME stands for its name.
const TARGET_TEMPLATE: &str = include_str!("init_target.toml");

/// Writes a target profile to begin with.
fn init_target(args: &InitArgs, name: &str) -> Result<Ended, Trouble> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(Trouble::Usage(format!("error: `{name}` cannot be the name of a target\n  = help: letters, digits, `-` and `_` only")));
    }
    let folder = args.dir.join("profiles/target");
    let file = folder.join(format!("{name}.toml"));
    if file.exists() && !args.force {
        let help = "choose another name, or write over it with --force";
        return Err(Trouble::Usage(format!("error: {} is there already\n  = help: {help}", file.display())));
    }
    // names of the environment have no hyphens
    let in_environment = name.to_uppercase().replace('-', "_");
    let text = TARGET_TEMPLATE.replace("env.NAME_", &format!("env.{in_environment}_")).replace("NAME", name);
    std::fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
    std::fs::write(&file, text).map_err(|error| cannot_write(&file, &error))?;
    say(&format!("{0}\nedit it, then: orderstorm check-target {0}\n", file.display()));
    Ok(Ended::Good)
}

/// Target profiles that run a program of ours, and the programs: they are of use only where both are files.
const WITH_PROGRAMS: [(&str, &str); 4] = [
    ("profiles/target/toy.toml", include_str!("../../profiles/target/toy.toml")),
    ("profiles/target/reference-restarted.toml", include_str!("../../profiles/target/reference-restarted.toml")),
    ("adapters/toy.py", include_str!("../../adapters/toy.py")),
    ("scripts/served", include_str!("../../scripts/served")),
];

pub fn init(args: &InitArgs) -> Result<Ended, Trouble> {
    if let Some(name) = &args.target {
        return init_target(args, name);
    }
    let files: Vec<(String, String)> = shipped()
        .iter()
        .filter(|(path, _)| path.ends_with(".toml"))
        .chain(COLUMN_MAPS)
        .chain(&WITH_PROGRAMS)
        .map(|(path, text)| (path.to_string(), text.to_string()))
        .chain(schemas().into_iter().map(|(name, text)| (format!("schemas/{name}"), text)))
        .collect();
    if let Some((path, _)) = files.iter().find(|(path, _)| args.dir.join(path).exists())
        && !args.force
    {
        return Err(Trouble::Usage(format!(
            "error: {} is there already\n  = help: name an empty folder, or write over it with --force",
            args.dir.join(path).display()
        )));
    }
    for (path, text) in &files {
        let path = args.dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| cannot_write(parent, &error))?;
        }
        std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
        if text.starts_with("#!") {
            executable(&path).map_err(|error| cannot_write(&path, &error))?;
        }
    }
    say(&format!("{} files in {}\n", files.len(), args.dir.display()));
    Ok(Ended::Good)
}

/// Programs are started by their names.
fn executable(path: &std::path::Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = path;
    Ok(())
}
