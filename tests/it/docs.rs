//! What the pages say is there is there.

use crate::source::{files, read, root};
use std::collections::BTreeSet;
use std::process::Command;

/// Targets of `[text](target)` outside code, with their lines.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // what stands between backticks is code
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for after in text.split("](").skip(1) {
            if let Some((target, _)) = after.split_once(')') {
                let target = target.split_whitespace().next().unwrap_or("");
                found.push((at + 1, target.to_string()));
            }
        }
    }
    found
}

/// Anchors that a page offers, as they are made from its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut problems = Vec::new();
    for page in files("", ".md") {
        let text = read(&page);
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let to = root().join(folder).join(path);
            if !path.is_empty() && !to.exists() {
                problems.push(format!("{page}:{line}: {target}: there is no such file"));
                continue;
            }
            let there = if path.is_empty() { text.clone() } else { std::fs::read_to_string(&to).unwrap_or_default() };
            if let Some(anchor) = anchor
                && (path.is_empty() || path.ends_with(".md"))
                && !anchors(&there).contains(anchor)
            {
                problems.push(format!("{page}:{line}: {target}: there is no such heading"));
            }
        }
    }
    assert!(problems.is_empty(), "dead links:\n{}", problems.join("\n"));
}

/// Words that follow `orderstorm ` or `cargo run --release -- ` in code: verbs, or flags.
fn verbs(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code: Vec<&str> = if fenced { vec![line.trim_start()] } else { line.split('`').skip(1).step_by(2).collect() };
        for text in code {
            for (at, start) in ["orderstorm ", "cargo run --release -- "].iter().flat_map(|start| text.match_indices(start)) {
                // a command begins its text, or follows a prompt or another command
                if !(at == 0 || text[..at].ends_with("&& ") || text[..at].ends_with("$ ") || text[..at].ends_with("| ")) {
                    continue;
                }
                let word = text[at + start.len()..].split_whitespace().next().unwrap_or("");
                if word.starts_with(|c: char| c.is_ascii_lowercase()) {
                    found.insert(word.to_string());
                }
            }
        }
    }
    found
}

fn help(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_orderstorm")).args(arguments).output().expect("the program starts");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_command_of_the_readme_exists() {
    let (_, text) = help(&["--help"]);
    let commands = text.split("Commands:").nth(1).and_then(|text| text.split("\n\n").next()).unwrap_or("");
    let known: BTreeSet<String> = commands.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect();
    assert!(known.contains("run"), "commands were not read from:\n{text}");
    let named = verbs(&read("README.md"));
    assert!(named.contains("run"), "the README names no command");
    let unknown: Vec<&String> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "the README names commands that `orderstorm --help` does not: {unknown:?}");
}

/// Flags such as `--faults` that stand in code after a verb.
#[test]
fn every_flag_of_the_readme_exists() {
    let mut all = String::new();
    for verb in verbs(&read("README.md")) {
        all += &help(&[&verb, "--help"]).1;
    }
    let flags: BTreeSet<String> = read("README.md")
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.lines().map(str::trim).filter(|line| !line.starts_with("cargo ") || line.starts_with("cargo run --release -- ")))
        .flat_map(|line| line.trim_start_matches("cargo run --release -- ").split([' ', '=', '|']))
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(str::to_string)
        .collect();
    let unknown: Vec<&String> = flags.iter().filter(|flag| !all.contains(flag.as_str())).collect();
    assert!(unknown.is_empty(), "the README names flags that no command has: {unknown:?}");
}

/// The README and `--help` have the same exit codes, and both tell of the run in which nothing was tried.
#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let page = read("README.md");
    let table = page.split("## Exit codes").nth(1).and_then(|text| text.split("\n## ").next()).expect("a section");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let of_page: Vec<(String, String)> = rows.filter(|(code, _)| code.parse::<u8>().is_ok()).map(|(a, b)| (a.into(), b.into())).collect();
    let help = help(&["--help"]).1.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = help.split("Exit codes: ").nth(1).expect("they are told");
    let of_help: Vec<(&str, &str)> = said.trim_end_matches('.').split("; ").filter_map(|code| code.split_once(' ')).collect();
    assert_eq!(of_page.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), of_help.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    for (code, text) in of_page.iter().map(|(a, b)| (a.as_str(), b.as_str())).chain(of_help) {
        assert_eq!(text.contains("no case was applicable"), code == "4", "{code}: {text}");
    }
}

/// Fenced blocks of TOML, each with its `name`.
fn examples(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```toml\n").skip(1).filter_map(|after| after.split_once("```").map(|(block, _)| block.to_string()));
    let name = |block: &str| block.lines().find_map(|line| line.strip_prefix("name = \"")?.split_once('"').map(|(name, _)| name.to_string()));
    blocks.map(|block| (name(&block).expect("an example has a name"), block)).collect()
}

/// Scenarios have an `[order]`, fault sets do not: all are planned together, and the plan names them.
#[test]
fn the_examples_of_the_readme_are_accepted() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    std::fs::create_dir_all(&folder).expect("writable");
    let mut arguments = vec!["plan".to_string()];
    let mut faults = vec!["none".to_string()];
    let examples = examples(&read("README.md"));
    assert!(examples.len() >= 2, "a scenario and a fault set");
    for (name, text) in &examples {
        let path = folder.join(format!("{name}.toml"));
        std::fs::write(&path, text).expect("writable");
        let path = path.to_str().expect("UTF-8").to_string();
        if text.contains("[order]") { arguments.push(path) } else { faults.push(path) }
    }
    arguments.push(format!("--faults={}", faults.join(",")));
    let output = Command::new(env!("CARGO_BIN_EXE_orderstorm")).args(&arguments).output().expect("the program starts");
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, _) in &examples {
        assert!(plan.contains(name.as_str()), "`{name}` is not in the plan:\n{plan}");
    }
}

#[test]
fn dead_links_and_unknown_verbs_would_be_found() {
    assert_eq!(links("see [a](no/such.md) and `[b](code.md)`\n```\n[c](code.md)\n```\n"), [(1, "no/such.md".to_string())]);
    assert!(anchors("# A heading, with *marks*\n").contains("a-heading-with-marks"));
    let named =
        verbs("`orderstorm judge x`, `cargo run --release -- run`\n```sh\norderstorm sing\n# orderstorm speak\n```\nthe orderstorm project\n");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["judge", "run", "sing"]);
}
