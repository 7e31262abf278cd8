//! Capacity by skew of the keys: the same search where all goods are asked alike, and where few of them are asked for most. An order takes a row of
//! its goods for itself at some time, and that row bears only so much, however many machines there are.

use super::super::{Ended, Stop, Trouble, cannot_write, say};
use super::rig::{Rig, without_faults};
use super::told::{capacity_command, percent};
use super::{Outcome, searched};
use crate::capacity::Objective;
use crate::cli::{CapacityArgs, Format};
use crate::report::{self, Skewed};
use crate::scenario::{Case, Library, parse_load_profile};
use crate::workload::goods::shares;
use std::fmt::Write as _;
use std::sync::Arc;

/// All orders are for one key.
const ONE: &str = "one";

/// Goods that orders of one line ask for, one unit each: the rank r with the weight r^-s.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Keys {
    /// as it was asked for
    pub name: String,
    keys: u32,
    s: f64,
}

impl Keys {
    fn parse(text: &str, keys: u32) -> Result<Keys, Trouble> {
        if text == ONE {
            return Ok(Keys { name: text.into(), keys: 1, s: 0.0 });
        }
        let s = text.parse().ok().filter(|s: &f64| (0.0..=10.0).contains(s));
        let help = "0 asks for all keys alike, 1.2 is a busy day of a shop, and `one` asks for one key alone";
        let s = s.ok_or_else(|| {
            Trouble::Usage(format!("error: --skew: `{text}` is no exponent of Zipf's law from 0 to 10, nor `{ONE}`\n  = help: {help}"))
        })?;
        Ok(Keys { name: text.into(), keys, s })
    }

    /// A name that files and cases can have.
    fn file(&self) -> String {
        format!("skew-{}", self.name.replace('.', "_"))
    }

    /// The load profile that makes such orders.
    fn profile(&self) -> String {
        let Keys { keys, s, .. } = self;
        format!(
            "name = \"{}\"\ntitle = \"One unit of one of {keys} goods, by Zipf's law\"\n\n[arrival]\nprocess = \"poisson\"\nrate = 1.0\n\n[goods]\nskus = {keys}\npopularity = [{{ law = \"zipf\", s = {s:?} }}]\n",
            self.file()
        )
    }

    pub fn case(&self, library: &mut Library, seed: u64) -> Result<Case, Trouble> {
        let profile = parse_load_profile("--skew", &self.profile())?;
        let no = || Trouble::Usage("error: --skew: no orders can be made of these keys".into());
        let scenario = profile.scenario().ok_or_else(no)??;
        without_faults(library, &Arc::new(scenario), profile, seed)?.ok_or_else(no)
    }
}

/// One search for each skew, and what they say together.
pub(super) fn by_skew(args: &CapacityArgs, objective: Objective, stop: &Stop) -> Result<Ended, Trouble> {
    let all: Vec<Keys> = args.skew.iter().map(|text| Keys::parse(text.trim(), args.keys)).collect::<Result<_, _>>()?;
    let mut library = Library::shipped()?;
    let mut rig = Rig::new(&args.loaded, all.first(), stop)?;
    let (human, out) = (args.loaded.format == Format::Human, rig.dir.clone());
    let mut found: Vec<(Skewed, Outcome)> = Vec::new();
    for keys in &all {
        rig.case = keys.case(&mut library, args.loaded.seed)?;
        rig.dir = out.join(keys.file());
        std::fs::create_dir_all(&rig.dir).map_err(|error| cannot_write(&rig.dir, &error))?;
        rig.write("keys.toml", &keys.profile())?;
        rig.setup.arguments = format!(
            "--profile {} --faults none --seed {}",
            super::super::matrix::quoted(&rig.dir.join("keys.toml").display().to_string()),
            args.loaded.seed
        );
        let hottest = rig.case.goods.as_ref().and_then(|goods| shares(goods).first().copied()).unwrap_or(1.0);
        if human {
            say(&format!("Skew {}: {} of the orders are for the hottest of {} keys\n\n", keys.name, percent(hottest), keys.keys));
        }
        let outcome = searched(&rig, args, objective)?;
        if human {
            say("\n");
        }
        found.push((Skewed { name: keys.name.clone(), hottest, held: outcome.held, lost: outcome.lost }, outcome));
        if stop.is_set() {
            break;
        }
    }
    rig.dir = out;
    let rows: Vec<Skewed> = found.iter().map(|(row, _)| row.clone()).collect();
    for plot in report::skew_plots(&rows) {
        rig.write(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    let list: Vec<serde_json::Value> = found
        .iter()
        .zip(&all)
        .map(|((row, outcome), keys)| {
            serde_json::json!({"skew": row.name, "hottest": row.hottest, "held": row.held, "lost": row.lost, "confirmed": outcome.confirmed,
                "folder": keys.file()})
        })
        .collect();
    let command = capacity_command(args);
    let partial = found.len() < all.len() || stop.is_set();
    let summary = serde_json::json!({"command": command, "partial": partial, "target": args.loaded.target, "objective": args.loaded.objective, "errors": args.errors,
        "keys": args.keys, "skews": list});
    rig.write("capacity.json", &format!("{summary:#}\n"))?;
    if human {
        say(&format!("{}\nreproduce: {command}\n\nResults  {}\n", table(&rows), rig.dir.display()));
    } else {
        say(&format!("{summary:#}\n"));
    }
    // by the worst of them
    let worst = [Ended::Stopped, Ended::Failed, Ended::Undecided];
    Ok(worst.into_iter().find(|ended| found.iter().any(|(_, outcome)| outcome.ended == *ended)).unwrap_or(Ended::Good))
}

fn table(rows: &[Skewed]) -> String {
    let mut out = format!("{:>8} {:>12} {:>12} {:>12} {:>16}\n", "skew", "hottest key", "held/s", "lost/s", "of it, hottest/s");
    for row in rows {
        let lost = row.lost.map_or("-".into(), |lost| format!("{lost:.2}"));
        let _ = writeln!(out, "{:>8} {:>12} {:>12.2} {lost:>12} {:>16.2}", row.name, percent(row.hottest), row.held, row.held * row.hottest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shared_by_the_law_and_what_is_none_is_said() {
        let case = |text: &str| Keys::parse(text, 1_000).unwrap().case(&mut Library::shipped().unwrap(), 1).unwrap();
        let hottest = |text: &str| shares(case(text).goods.as_ref().unwrap())[0];
        assert!((hottest("0") - 0.001).abs() < 1e-9 && (hottest("one") - 1.0).abs() < 1e-9);
        // 1 / (1 + 2^-1.2 + .. + 1000^-1.2)
        let all: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-1.2)).sum();
        assert!((hottest("1.2") - 1.0 / all).abs() < 1e-9);
        for bad in ["-1", "11", "NaN", "two", ""] {
            let why = Keys::parse(bad, 10).unwrap_err().to_string();
            assert!(why.contains("no exponent") && why.contains("= help:"), "{why}");
        }
    }
}
