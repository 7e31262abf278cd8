//! The floors of the house and the nevers of its design, read from the source: see ARCHITECTURE.md.

use crate::source::{code, files, read, test_files, without_tests, words};

/// A room, its floor, and the rooms that it may import. A room that is not here is a mistake: give it a floor first.
struct Room {
    name: &'static str,
    floor: u8,
    imports: &'static [&'static str],
}

const fn room(name: &'static str, floor: u8, imports: &'static [&'static str]) -> Room {
    Room { name, floor, imports }
}

const ROOMS: &[Room] = &[
    room("main", 9, &["run", "cli"]),
    room(
        "run",
        8,
        &[
            "cli",
            "capacity",
            "fit",
            "report",
            "shrink",
            "engine",
            "check",
            "workload",
            "world",
            "fault",
            "target",
            "measure",
            "scenario",
            "reference",
            "history",
            "service",
            "mapping",
            "wire",
            "net",
            "model",
            "sim",
        ],
    ),
    // stands aside: argv -> Command
    room("cli", 8, &[]),
    room("capacity", 6, &["sim"]),
    room("fit", 6, &["workload", "scenario", "model", "sim"]),
    room("report", 7, &["capacity", "check", "measure", "history", "scenario", "model", "sim"]),
    room("shrink", 7, &["check", "workload", "world", "scenario", "model", "sim"]),
    room("engine", 6, &["world", "fault", "target", "history", "model", "sim"]),
    room("check", 6, &["history", "scenario", "model", "sim"]),
    room("service", 6, &["target", "reference", "wire", "net", "model", "sim"]),
    room("workload", 5, &["world", "scenario", "model", "sim"]),
    room("world", 5, &["scenario", "model", "sim"]),
    room("fault", 5, &["scenario", "model", "sim"]),
    room("target", 5, &["reference", "mapping", "wire", "net", "model", "sim"]),
    room("measure", 5, &["history", "model", "sim"]),
    room("scenario", 4, &["mapping", "model", "sim"]),
    room("reference", 4, &["model", "sim"]),
    room("history", 4, &["scenario", "model", "sim"]),
    room("mapping", 4, &["model", "sim"]),
    room("wire", 4, &["model", "sim"]),
    room("model", 3, &["sim"]),
    room("net", 2, &[]),
    room("sim", 2, &[]),
];

/// Imports between rooms of one floor, each a decision that ARCHITECTURE.md gives the reason for.
const ON_ONE_FLOOR: &[(&str, &str)] = &[
    // a history carries the expectations that it is judged by
    ("history", "scenario"),
    // a target profile holds the mapping of a foreign API
    ("scenario", "mapping"),
    // `workload` builds the plan that `world` carries out
    ("workload", "world"),
    // argv is nobody's floor
    ("run", "cli"),
];

fn known(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// The room of `src/<room>.rs` or `src/<room>/..`; none for lib.rs, which names them all.
fn room_of(file: &str) -> Option<&str> {
    let name = file.strip_prefix("src/")?.split('/').next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "lib").then_some(name)
}

/// Modules between a file and the root of the crate: 1 for `src/check/mod.rs`, 2 for `src/check/suite.rs`.
fn depth(file: &str) -> usize {
    let parts = file.trim_start_matches("src/").trim_end_matches(".rs").split('/');
    parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).count()
}

/// Every room that `source` names by a path from the root of the crate, with the line: `crate::room`, each of
/// `crate::{room, ..}`, `orderstorm::room`, and `super::super::room` where that leads to the root.
fn imports(file: &str, source: &str) -> Vec<(usize, String)> {
    let code = code(source);
    let words = words(&code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (line, word) = words[at];
        let follows = |at: usize, what: &str| words.get(at).is_some_and(|(_, word)| *word == what);
        let begins = (at == 0 || words[at - 1].1 != "::") && follows(at + 1, "::");
        if begins && matches!(word, "crate" | "orderstorm") {
            named(&words, at + 2, line, &mut found);
        } else if begins && word == "super" {
            let mut climbed = 0;
            while follows(at, "super") && follows(at + 1, "::") {
                climbed += 1;
                at += 2;
            }
            // a module inside the file climbs once more; then the next name is of the room, and only rarely one of a room
            if climbed >= depth(file) {
                let before = found.len();
                named(&words, at, line, &mut found);
                let names = found.split_off(before).into_iter().filter(|(_, name)| known(name).is_some());
                found.extend(names);
            }
            continue;
        }
        at += 1;
    }
    found
}

/// The name at `at`, or each first name of a group in braces.
fn named(words: &[(usize, &str)], at: usize, line: usize, found: &mut Vec<(usize, String)>) {
    let Some((_, word)) = words.get(at) else { return };
    if *word != "{" {
        found.push((line, word.to_string()));
        return;
    }
    let mut depth = 0;
    let mut first = true;
    for (line, word) in &words[at..] {
        match *word {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => first = true,
            word if depth == 1 && first => {
                found.push((*line, word.to_string()));
                first = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// What is forbidden about the imports of one file: `file:line: ..`.
fn forbidden(file: &str, source: &str) -> Vec<String> {
    let Some(own) = room_of(file) else { return Vec::new() };
    let Some(room) = known(own) else {
        return vec![format!("{file}:1: the room `{own}` has no floor yet: add it to ROOMS in tests/it/floors.rs and to ARCHITECTURE.md")];
    };
    let mut problems = Vec::new();
    for (line, name) in imports(file, source) {
        if name == own || room.imports.contains(&name.as_str()) {
            continue;
        }
        problems.push(match known(&name) {
            Some(other) => format!(
                "{file}:{line}: `{own}` (floor {}) imports `crate::{name}` (floor {}); it may import: {}",
                room.floor,
                other.floor,
                if room.imports.is_empty() { "no other room".into() } else { room.imports.join(", ") }
            ),
            None => format!("{file}:{line}: `crate::{name}` names no room: name the room that a word comes from"),
        });
    }
    problems
}

/// What holds for the code of the program; test code may differ.
fn program(file: &str, tests: &[String]) -> Option<String> {
    (!tests.iter().any(|test| test == file)).then(|| without_tests(&code(&read(file))))
}

/// Lines of `code` with one of `names`, each a run of words such as `Instant :: now`.
fn lines_with(code: &str, names: &[&str]) -> Vec<(usize, String)> {
    let words = words(code);
    let mut found = Vec::new();
    for name in names {
        let wanted: Vec<&str> = name.split(' ').collect();
        for window in words.windows(wanted.len()) {
            if window.iter().map(|(_, word)| *word).eq(wanted.iter().copied()) {
                found.push((window[0].0, wanted.concat()));
            }
        }
    }
    found
}

/// Says where the program names one of `names` outside `allowed`; an entry that ends in `/` is a folder.
fn only_in(allowed: &[&str], names: &[&str], why: &str) {
    let tests = test_files();
    let mut problems = Vec::new();
    for file in files("src", ".rs") {
        if allowed.iter().any(|place| file == *place || (place.ends_with('/') && file.starts_with(place))) {
            continue;
        }
        let Some(code) = program(&file, &tests) else { continue };
        problems.extend(lines_with(&code, names).into_iter().map(|(line, name)| format!("{file}:{line}: {name}")));
    }
    assert!(problems.is_empty(), "{why} (only in {}):\n{}", allowed.join(", "), problems.join("\n"));
}

#[test]
fn nothing_imports_upward() {
    let problems: Vec<String> = files("src", ".rs").iter().flat_map(|file| forbidden(file, &read(file))).collect();
    assert!(problems.is_empty(), "{} forbidden imports:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_table_of_rooms_is_itself_in_order() {
    for room in ROOMS {
        for name in room.imports {
            let other = known(name).unwrap_or_else(|| panic!("`{}` may import `{name}`, which is no room", room.name));
            let level = other.floor == room.floor && ON_ONE_FLOOR.contains(&(room.name, name));
            assert!(other.floor < room.floor || level, "`{}` may import `{name}`, which is not below it", room.name);
            assert!(!other.imports.contains(&room.name), "`{}` and `{name}` may import each other", room.name);
        }
        let there = files("src", ".rs").iter().any(|file| room_of(file) == Some(room.name) || file == &format!("src/{}.rs", room.name));
        assert!(there, "there is no room `{}`", room.name);
    }
}

#[test]
fn a_seeded_violation_is_found_with_file_line_and_import() {
    let source = "//! use crate::world::World;\nuse crate::history::Entry;\n\nuse crate::world::World;\n";
    assert_eq!(
        forbidden("src/check/seeded.rs", source),
        ["src/check/seeded.rs:4: `check` (floor 6) imports `crate::world` (floor 5); it may import: history, scenario, model, sim"]
    );
    let found = |file: &str, source: &str| forbidden(file, source).len();
    assert_eq!(found("src/check/seeded.rs", "fn f() { let x = crate::target::Embedded::new(); }"), 1, "a path without `use`");
    assert_eq!(found("src/check/seeded.rs", "use crate::{history::Entry,\n  reference::{Defect, Reference},\n};"), 1, "a group");
    assert_eq!(found("src/check/seeded.rs", "use super::super::world::World;"), 1, "a climb to the root");
    assert_eq!(found("src/check/mod.rs", "use super::world::World;"), 1, "a climb from the door");
    assert_eq!(found("src/check/seeded.rs", "use orderstorm::world::World;"), 1, "by the name of the crate");
    assert_eq!(found("src/sim/seeded.rs", "use crate::model::Order;"), 1, "time knows no orders");
    assert_eq!(found("src/engine/seeded.rs", "use crate::scenario::Scenario;"), 1, "the engine knows no scenario");
    assert_eq!(found("src/world/seeded.rs", "use crate::run::Stop;"), 1, "nothing imports run");
    assert_eq!(found("src/check/seeded.rs", "use crate::*;"), 1, "everything at once");
    assert_eq!(found("src/lobby/seeded.rs", ""), 1, "a room without a floor");
    assert_eq!(found("src/check/seeded.rs", "use super::suite::Suite;\n#[cfg(test)] mod tests { use super::*; use crate::model::Op; }"), 0);
    assert_eq!(found("src/workload/seeded.rs", "use crate::world::Plan; let s = \"crate::run\"; /* crate::run */"), 0);
    assert_eq!(found("src/main.rs", "use orderstorm::cli::Cli; use orderstorm::run::{self, Stop};"), 0);
}

/// The judge shares no code with the accused.
#[test]
fn the_judges_never_mention_the_accused() {
    let mut problems = Vec::new();
    for file in ["src/check", "src/measure"].iter().flat_map(|room| files(room, ".rs")) {
        let code = code(&read(&file));
        let names = ["reference ::", "target ::", "world ::", "mod reference", "mod target", "mod world"];
        problems.extend(lines_with(&code, &names).into_iter().map(|(line, name)| format!("{file}:{line}: {name}")));
    }
    assert!(problems.is_empty(), "judges read the history and nothing else:\n{}", problems.join("\n"));
}

#[test]
fn printing_happens_in_main_run_and_the_terminal_report() {
    let macros = ["println !", "print !", "eprintln !", "eprint !", "dbg !"];
    let rooms = ["src/main.rs", "src/run/", "src/report/terminal.rs"];
    // an adapter's log lines, as they come; a disk that fails under a service that nobody called
    let as_it_happens = ["src/target/live/process.rs", "src/service/journal.rs"];
    only_in(&[&rooms[..], &as_it_happens].concat(), &macros, "a room returns text, and does not print it");
}

#[test]
fn the_wall_clock_is_read_in_one_file() {
    only_in(&["src/sim/clock.rs"], &["Instant :: now", "SystemTime :: now"], "everything else asks a Clock or a Stopwatch");
}

#[test]
fn async_stays_at_the_edge() {
    let words = ["async", "await", "tokio"];
    let edge = ["src/net/", "src/target/", "src/service/", "src/run/stop.rs", "src/run/live.rs", "src/run/serve.rs"];
    only_in(&edge, &words, "simulation, world and judges are synchronous");
}

#[test]
fn files_are_touched_in_few_places() {
    let allowed = [
        "src/scenario/load.rs",
        "src/scenario/intake.rs",
        "src/history/store.rs",
        "src/history/store/",
        "src/report/write.rs",
        "src/service/journal.rs",
        "src/run/",
    ];
    only_in(&allowed, &["std :: fs", "fs ::", "File ::", "tokio :: fs"], "whoever needs a file's content is handed it");
}

#[test]
fn a_forbidden_word_is_found_in_code_and_not_in_tests_or_text() {
    let source = "// println!\nlet a = \"println!\";\n#[cfg(test)]\nmod tests { fn t() { println!(); } }\nfn f() { println!(\"x\"); std::time::Instant::now(); }\n";
    let left = without_tests(&code(source));
    assert_eq!(lines_with(&left, &["println !"]), [(5, "println!".to_string())]);
    assert_eq!(lines_with(&left, &["Instant :: now"]), [(5, "Instant::now".to_string())]);
}
