//! Parts of a load that have names, and what is demanded of a run.

use super::{Arrival, Base, LoadProfileFile};
use crate::model::{Threshold, Window};
use crate::scenario::resolve::Check;
use crate::sim::Span;

/// Stages that have a name, what a flash divides a run into, and the parts that the file names.
pub(super) fn phases(file: &LoadProfileFile, arrival: &Arrival, check: &mut Check<'_>) -> Vec<(String, Window)> {
    let mut phases: Vec<(String, Window)> = Vec::new();
    let mut add = |path: String, name: &str, window: Window, check: &mut Check<'_>| {
        if phases.iter().any(|(known, _)| known == name) {
            check.value(&path, format!("a second phase is named `{name}`"), Some("names of phases and stages are unique within a profile".into()));
        } else {
            phases.push((name.to_string(), window));
        }
    };
    if let Base::Flash(flash) = &arrival.base {
        let (opens, peak) = (flash.at, flash.at + flash.rise);
        let parts = [("before", Span::ZERO, opens), ("rise", opens, peak), ("after", peak, Span(u64::MAX))];
        for (name, from, until) in parts.into_iter().filter(|(_, from, until)| from < until) {
            // the file may mean something else by this name
            if !file.phases.contains_key(name) {
                add("arrival.flash".into(), name, Window { from, until }, check);
            }
        }
    }
    if let Base::Stages(stages) = &arrival.base {
        let mut from = Span::ZERO;
        for (n, (stage, said)) in stages.iter().zip(&file.arrival.stages).enumerate() {
            let until = from + stage.lasts;
            if let Some(name) = &said.name {
                let path = format!("arrival.stages[{n}].name");
                named(&path, name, check);
                if from == until {
                    check.value(&path, format!("stage `{name}` takes no time"), Some("name the stage after the jump".into()));
                } else {
                    add(path, name, Window { from, until }, check);
                }
            }
            from = until;
        }
    }
    for (name, text) in &file.phases {
        let path = format!("phases.{name}");
        named(&path, name, check);
        match Window::parse(text) {
            Ok(window) => add(path, name, window, check),
            Err(what) => check.value_itself(&path, what, Some("such as peak = \"1h..2h\"".into())),
        }
    }
    phases
}

fn named(path: &str, name: &str, check: &mut Check<'_>) {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        check.value_itself(path, format!("`{name}` cannot name a phase"), Some("letters, digits, `-` and `_` only".into()));
    }
}

/// The thresholds of a file; `whose` says whose phases they may name.
pub(in crate::scenario) fn thresholds(list: &[String], phases: &[(String, Window)], whose: &str, check: &mut Check<'_>) -> Vec<Threshold> {
    let mut sound = Vec::new();
    for (n, text) in list.iter().enumerate() {
        let path = format!("thresholds[{n}]");
        match Threshold::parse(text) {
            Err((what, help)) => check.value_itself(&path, what, Some(help)),
            // what the phases are depends on the rest of the file
            Ok(threshold) => match threshold.within(phases, whose) {
                Ok(threshold) => sound.push(threshold),
                Err((what, help)) => check.value(&path, what, Some(help)),
            },
        }
    }
    sound
}
