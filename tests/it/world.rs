//! The program as its users meet it: a command line in, an exit code, text and a folder of results out.

use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder of one test, empty at first; it goes away where the test succeeds.
pub struct Folder(PathBuf);

impl Folder {
    /// `name` is unique among the tests.
    pub fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Folder(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and gives its name, as the program is told it when it works in this folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.at(name), bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        name.to_string()
    }

    /// Runs the program in this folder.
    pub fn orderstorm(&self, arguments: &[&str]) -> Ended {
        self.orderstorm_in(&[], arguments)
    }

    /// The same with this in its environment.
    pub fn orderstorm_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let output = self.command(arguments).envs(environment.iter().copied()).output().expect("the program can be started");
        let code = output.status.code();
        let ended = Ended {
            line: format!("orderstorm {}", arguments.join(" ")),
            code: code.unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(code.is_some(), "ended by a signal: {ended}");
        assert!(!ended.out.contains("panicked") && !ended.err.contains("panicked"), "{ended}");
        ended
    }

    /// The program with these arguments, to be started in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderstorm"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null()).env_remove("CLICOLOR_FORCE").env("NO_COLOR", "1").env_remove("COLUMNS");
        command
    }

    /// Runs a matrix into `out`, demands an exit code, and gives its summary.
    pub fn run(&self, out: &str, arguments: &[&str], code: i32) -> Summary {
        let mut all = vec!["run", "--out", out];
        all.extend(arguments);
        self.orderstorm(&all).exits(code);
        self.summary(out)
    }

    pub fn summary(&self, run: &str) -> Summary {
        let path = self.at(run).join("summary.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Summary(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Names and bytes of the histories that a run kept, in order of name.
    pub fn histories(&self, run: &str) -> Vec<(String, Vec<u8>)> {
        let dir = self.at(run).join("histories");
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut all: Vec<(String, Vec<u8>)> = entries
            .map(|entry| {
                let path = entry.expect("a readable folder").path();
                let name = path.file_name().expect("a file").to_string_lossy().into_owned();
                (name, fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            })
            .collect();
        all.sort();
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// How a run of the program ended.
pub struct Ended {
    line: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn exits(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Every part is in what was printed, wherever; what is not is named.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Ended {
        let all = format!("{}\n{}", self.out, self.err);
        for part in parts {
            assert!(all.contains(part), "`{part}` is not in\n{self}");
        }
        self
    }

    /// What was printed to standard output, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tail = |text: &str| text.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        write!(f, "$ {}\n-- exit code {}\n-- stdout\n{}\n-- stderr\n{}", self.line, self.code, tail(&self.out), tail(&self.err))
    }
}

/// `summary.json` of a run.
pub struct Summary(pub Value);

impl Summary {
    pub fn cases(&self) -> &[Value] {
        items(&self.0["cases"])
    }

    pub fn with_verdict<'a>(&'a self, verdict: &'a str) -> impl Iterator<Item = &'a Value> {
        self.cases().iter().filter(move |case| case["verdict"] == verdict)
    }

    pub fn case(&self, name: &str) -> &Value {
        self.cases().iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("there is no case {name}"))
    }
}

/// The items of a list; none where it is no list.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The text of a value; nothing where it is no text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// What `orderstorm list` says, as JSON.
pub fn list(what: &str) -> Vec<Value> {
    let folder = Folder::new(&format!("list-{what}-{}", unique()));
    let listed = folder.orderstorm(&["list", what, "--format", "json"]).exits(0).json();
    items(&listed).to_vec()
}

fn unique() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The bytes of a gzip file.
pub fn unzipped(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).expect("a whole gzip file of text");
    text
}

/// Everything in `value` that `schema` (a part of `root`) does not allow: types, required keys, closed sets.
pub fn breaches(value: &Value, schema: &Value, root: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = root.pointer(pointer.trim_start_matches('#')).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        return breaches(value, target, root, place, found);
    }
    for branches in [&schema["anyOf"], &schema["oneOf"]] {
        let fits = |branch: &Value| {
            let mut inner = Vec::new();
            breaches(value, branch, root, place, &mut inner);
            inner.is_empty()
        };
        if branches.is_array() && !items(branches).iter().any(fits) {
            found.push(format!("{place}: fits no branch"));
        }
    }
    if (schema["enum"].is_array() && !items(&schema["enum"]).contains(value)) || schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{place}: {value} is not in the set"));
    }
    let fits = |kind: &Value| match text(kind) {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{place}: the schema names a type `{other}`"),
    };
    match schema.get("type") {
        Some(kinds) if kinds.is_array() && !items(kinds).iter().any(fits) => found.push(format!("{place}: is none of {kinds}")),
        Some(kind) if kind.is_string() && !fits(kind) => found.push(format!("{place}: is no {kind}")),
        _ => {}
    }
    for key in items(&schema["required"]) {
        if value.get(text(key)).is_none() {
            found.push(format!("{place}: {key} is missing"));
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(schema), _) => breaches(inner, schema, root, &format!("{place}.{key}"), found),
            (None, Some(Value::Bool(false))) => found.push(format!("{place}: {key} is unknown")),
            (None, Some(schema)) => breaches(inner, schema, root, &format!("{place}.{key}"), found),
            (None, None) => {}
        }
    }
    for (at, inner) in items(value).iter().enumerate() {
        if let Some(schema) = schema.get("items") {
            breaches(inner, schema, root, &format!("{place}[{at}]"), found);
        }
    }
}
