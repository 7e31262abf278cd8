//! The library: what is shipped with the program, and what the user's files add. Files are read here and nowhere else in this room.

use super::decode::{Entry, Node, Problem, Problems, Source, Spans, Table, Value, decode, did_you_mean, join, mend, parse, validate};
use super::resolve::{Check, resolve};
use super::{FaultSet, FaultSetFile, LoadProfile, LoadProfileFile, Scenario, ScenarioFile, TargetProfile, TargetProfileFile, schema};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

macro_rules! shipped_files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))),*]
    };
}

/// Every shipped file by its path in the source tree; `init` writes them out under the same paths.
const SHIPPED: &[(&str, &str)] = shipped_files![
    "scenarios/S01-single-item-ship.toml",
    "scenarios/S02-split-shipment.toml",
    "scenarios/S03-ship-from-store.toml",
    "scenarios/S04-store-pickup.toml",
    "scenarios/S05-backorder.toml",
    "scenarios/S06-cancellation.toml",
    "scenarios/S07-partial-return.toml",
    "scenarios/S08-exchange.toml",
    "scenarios/M01-mixed-basket.toml",
    "scenarios/M02-scarce-stock.toml",
    "scenarios/M03-moody-partners.toml",
    "scenarios/M04-second-thoughts.toml",
    "profiles/fault/none.toml",
    "profiles/fault/duplicate.toml",
    "profiles/fault/duplicate-late.toml",
    "profiles/fault/duplicate-callback.toml",
    "profiles/fault/duplicate-callback-late.toml",
    "profiles/fault/duplicate-event.toml",
    "profiles/fault/drop.toml",
    "profiles/fault/delay.toml",
    "profiles/fault/reorder.toml",
    "profiles/fault/outage-refused.toml",
    "profiles/fault/outage-blackhole.toml",
    "profiles/fault/outage-503.toml",
    "profiles/fault/reply-lost.toml",
    "profiles/fault/release-unconfirmed.toml",
    "profiles/fault/effect-late.toml",
    "profiles/fault/errors.toml",
    "profiles/fault/throttle.toml",
    "profiles/fault/feed-delayed.toml",
    "profiles/fault/feed-stale.toml",
    "profiles/fault/feed-gap.toml",
    "profiles/fault/feed-duplicate.toml",
    "profiles/fault/sink-503.toml",
    "profiles/fault/sink-errors.toml",
    "profiles/fault/sink-reply-lost.toml",
    "profiles/fault/key-conflict.toml",
    "profiles/fault/extra-field.toml",
    "profiles/fault/truncate.toml",
    "profiles/fault/wrong-signature.toml",
    "profiles/fault/reset.toml",
    "profiles/fault/slow.toml",
    "profiles/fault/pause.toml",
    "profiles/fault/crash-placing.toml",
    "profiles/fault/crash-placed.toml",
    "profiles/fault/crash-announced.toml",
    "profiles/fault/crash-authorizing.toml",
    "profiles/fault/crash-releasing.toml",
    "profiles/fault/crash-capturing.toml",
    "profiles/fault/replay.toml",
    "profiles/fault/everyday.toml",
    "profiles/load/steady.toml",
    "profiles/load/diurnal.toml",
    "profiles/load/flash-sale.toml",
    "profiles/load/holiday-peak.toml",
    "profiles/load/promo-email.toml",
    "profiles/load/retry-storm.toml",
    "profiles/load/bot-drop.toml",
    "profiles/load/hot-sku.toml",
    "profiles/load/marketplace-batch.toml",
    "profiles/load/inventory-feed.toml",
    "profiles/target/reference.toml",
    "profiles/target/reference-process.toml",
    "profiles/target/vendure.toml",
    "schemas/scenario.v1.json",
    "schemas/fault.v1.json",
    "schemas/load.v1.json",
    "schemas/target.v1.json",
];

/// The shipped files: path and text.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}

/// Scenarios, fault sets and load profiles that can be asked for by name, and a record of every file that was used.
#[derive(Clone, Debug, Default)]
pub struct Library {
    scenarios: Vec<Arc<Scenario>>,
    fault_sets: Vec<Arc<FaultSet>>,
    load_profiles: Vec<(LoadProfile, String)>,
    target_profiles: Vec<(TargetProfile, String)>,
    /// digests of what is shipped, by origin
    digests: BTreeMap<String, String>,
    /// name and SHA-256 of every file that a selection was made from
    pub files: BTreeMap<String, String>,
}

impl Library {
    /// What comes with the program. An error here is a defect of the program, and a test holds that there is none.
    pub fn shipped() -> Result<Library, Problems> {
        let mut library = Library::default();
        let mut problems = Vec::new();
        for (path, text) in SHIPPED.iter().filter(|(path, _)| path.ends_with(".toml")) {
            let source = Source::new(&format!("shipped:{path}"), text);
            library.digests.insert(source.file.to_string(), digest(text));
            let result = if path.starts_with("scenarios/") {
                read_scenarios(&source).map(|scenarios| library.scenarios.extend(scenarios))
            } else if path.starts_with("profiles/fault/") {
                read_fault_set(&source).map(|set| library.fault_sets.push(set))
            } else if path.starts_with("profiles/target/") {
                read_target_profile(&source).map(|profile| library.target_profiles.push((profile, source.file.to_string())))
            } else {
                read_load_profile(&source).map(|profile| library.load_profiles.push((profile, source.file.to_string())))
            };
            problems.extend(result.err().into_iter().flat_map(|found| found.0));
        }
        if problems.is_empty() { Ok(library) } else { Err(Problems(problems)) }
    }

    /// The scenarios asked for, with their variants: a name (`S01`, any case), a variant (`S01.last-units`), a file, or a folder of
    /// files. Nothing asked for is everything shipped.
    pub fn scenarios(&mut self, asked: &[String]) -> Result<Vec<Arc<Scenario>>, Problems> {
        let mut chosen: Vec<Arc<Scenario>> = Vec::new();
        let mut problems = Vec::new();
        if asked.is_empty() {
            chosen.clone_from(&self.scenarios);
        }
        for name in asked {
            let found = if is_path(name) { self.scenario_files(name) } else { self.scenarios_named(name) };
            match found {
                Ok(found) => chosen.extend(found),
                Err(found) => problems.extend(found.0),
            }
        }
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        chosen.retain(|scenario| {
            let key = (scenario.name.to_lowercase(), scenario.variant.clone());
            match seen.insert(key, scenario.origin.clone()) {
                None => true,
                Some(origin) if origin == scenario.origin => false,
                Some(origin) => {
                    let message = format!("two scenarios are named `{}.{}`: in {origin} and in {}", scenario.name, scenario.variant, scenario.origin);
                    problems.push(Problem::plain(message, Some("rename one: names of cases are made from them".into())));
                    false
                }
            }
        });
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        chosen.iter().for_each(|scenario| self.remember(&scenario.origin));
        Ok(chosen)
    }

    /// The fault sets asked for: names, files, folders, `none`, or `all` for everything shipped. Nothing asked for is `none`.
    pub fn fault_sets(&mut self, asked: &[String]) -> Result<Vec<Arc<FaultSet>>, Problems> {
        let mut chosen: Vec<Arc<FaultSet>> = Vec::new();
        let mut problems = Vec::new();
        let none = ["none".to_string()];
        for name in if asked.is_empty() { &none } else { asked } {
            let found = if name == "all" {
                Ok(self.fault_sets.clone())
            } else if is_path(name) {
                self.read_each(name, read_fault_set)
            } else {
                named(&self.fault_sets, name, "fault set", |set| &set.name, ", `all`").map(|set| vec![set])
            };
            match found {
                Ok(found) => chosen.extend(found),
                Err(found) => problems.extend(found.0),
            }
        }
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        chosen.retain(|set| match seen.insert(set.name.clone(), set.origin.clone()) {
            None => true,
            Some(origin) if origin == set.origin => false,
            Some(origin) => {
                let message = format!("two fault sets are named `{}`: in {origin} and in {}", set.name, set.origin);
                problems.push(Problem::plain(message, Some("rename one: names of cases are made from them".into())));
                false
            }
        });
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        chosen.iter().for_each(|set| self.remember(&set.origin));
        Ok(chosen)
    }

    /// A load profile by name, or from a file.
    pub fn load_profile(&mut self, asked: &str) -> Result<LoadProfile, Problems> {
        if is_path(asked) {
            let text = read(Path::new(asked))?;
            self.files.insert(asked.to_string(), digest(&text));
            let profile = read_load_profile(&Source::new(asked, &text))?;
            return self.with_times(profile, Path::new(asked));
        }
        let (profile, origin) = named(&self.load_profiles, asked, "load profile", |(profile, _)| &profile.name, "")?;
        self.remember(&origin);
        Ok(profile)
    }

    /// Reads the times that a profile replays; they stand beside it.
    fn with_times(&mut self, profile: LoadProfile, at: &Path) -> Result<LoadProfile, Problems> {
        let Some(times) = &profile.times else { return Ok(profile) };
        let path = at.parent().unwrap_or(Path::new("")).join(times);
        let text = read(&path)?;
        let name = path.display().to_string();
        self.files.insert(name.clone(), digest(&text));
        profile.with_times(&text).map_err(|message| Problem::plain(format!("{name}: {message}"), None).into())
    }

    /// A target profile by name, or the one in a file.
    pub fn target_profile(&mut self, asked: &str) -> Result<TargetProfile, Problems> {
        if is_path(asked) {
            let text = read(Path::new(asked))?;
            self.files.insert(asked.to_string(), digest(&text));
            return read_target_profile(&Source::new(asked, &text));
        }
        let (profile, origin) =
            named(&self.target_profiles, asked, "target", |(profile, _)| &profile.name, ", and `embedded`, which is the reference in virtual time")?;
        self.remember(&origin);
        Ok(profile)
    }

    /// Everything that a name can stand for: scenarios with their variants, fault sets and load profiles, as shipped.
    pub fn contents(&self) -> (&[Arc<Scenario>], &[Arc<FaultSet>], impl Iterator<Item = &LoadProfile>) {
        (&self.scenarios, &self.fault_sets, self.load_profiles.iter().map(|(profile, _)| profile))
    }

    fn remember(&mut self, origin: &str) {
        if let Some(digest) = self.digests.get(origin) {
            self.files.insert(origin.to_string(), digest.clone());
        }
    }

    fn scenarios_named(&self, asked: &str) -> Result<Vec<Arc<Scenario>>, Problems> {
        let (name, variant) = asked.split_once('.').map_or((asked, None), |(name, variant)| (name, Some(variant)));
        let stem = |scenario: &Scenario| {
            let file = scenario.origin.rsplit('/').next().unwrap_or("");
            file.strip_suffix(".toml").is_some_and(|stem| stem.eq_ignore_ascii_case(name))
        };
        let of_name: Vec<&Arc<Scenario>> = self.scenarios.iter().filter(|s| s.name.eq_ignore_ascii_case(name) || stem(s)).collect();
        let found: Vec<Arc<Scenario>> =
            of_name.iter().filter(|s| variant.is_none_or(|v| s.variant.eq_ignore_ascii_case(v))).map(|s| Arc::clone(s)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let (message, help) = if of_name.is_empty() {
            let mut known: Vec<&str> = self.scenarios.iter().map(|s| s.name.as_str()).collect();
            known.dedup();
            let help = if Path::new(asked).is_dir() {
                format!("there is a folder of that name: write `{asked}/` for all scenarios in it")
            } else {
                did_you_mean(name, known.iter().copied(), format!("known: {}; or a path with `/` or `.toml`", known.join(", ")))
            };
            (format!("there is no scenario named `{name}`"), help)
        } else {
            let known: Vec<&str> = of_name.iter().map(|s| s.variant.as_str()).collect();
            let variant = variant.unwrap_or("");
            let help = did_you_mean(variant, known.iter().copied(), format!("variants: {}", known.join(", ")));
            (format!("scenario `{name}` has no variant `{variant}`"), help)
        };
        Err(Problem::plain(message, Some(help)).into())
    }

    fn scenario_files(&mut self, path: &str) -> Result<Vec<Arc<Scenario>>, Problems> {
        Ok(self.read_each(path, read_scenarios)?.into_iter().flatten().collect())
    }

    /// Reads a file, or every `.toml` of a folder in order of name; all problems of all of them.
    fn read_each<T>(&mut self, path: &str, read_one: impl Fn(&Source) -> Result<T, Problems>) -> Result<Vec<T>, Problems> {
        let mut all = Vec::new();
        let mut problems = Vec::new();
        for path in files_at(path)? {
            let result = read(&path).and_then(|text| {
                let name = path.display().to_string();
                self.files.insert(name.clone(), digest(&text));
                read_one(&Source::new(&name, &text))
            });
            match result {
                Ok(one) => all.push(one),
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(Problems(problems)) }
    }
}

/// What looks like a path is never a name, so that a typing error in one is not taken for the other.
fn is_path(text: &str) -> bool {
    text.contains(['/', '\\']) || text.ends_with(".toml")
}

fn named<T: Clone>(all: &[T], asked: &str, what: &str, name: impl Fn(&T) -> &str, also: &str) -> Result<T, Problems> {
    if let Some(found) = all.iter().find(|one| name(one).eq_ignore_ascii_case(asked)) {
        return Ok(found.clone());
    }
    let known: Vec<&str> = all.iter().map(&name).collect();
    let help = did_you_mean(asked, known.iter().copied(), format!("known: {}{also}; or a path with `/` or `.toml`", known.join(", ")));
    Err(Problem::plain(format!("there is no {what} named `{asked}`"), Some(help)).into())
}

fn files_at(path: &str) -> Result<Vec<PathBuf>, Problems> {
    let path_buf = PathBuf::from(path);
    if !path_buf.is_dir() {
        return Ok(vec![path_buf]);
    }
    let unreadable = |error: std::io::Error| Problems::from(Problem::plain(format!("cannot read the folder {path}: {error}"), None));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&path_buf).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Problem::plain(format!("there is no .toml file in {path}"), None).into());
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String, Problems> {
    let bytes = std::fs::read(path).map_err(|error| Problem::plain(format!("cannot read {}: {error}", path.display()), None))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let source = Source::new(&path.display().to_string(), &String::from_utf8_lossy(error.as_bytes()));
        source.problem(at..at + 1, "not text: this byte is not UTF-8", Some("is this the file that was meant?".into())).into()
    })
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn read_fault_set(source: &Source) -> Result<Arc<FaultSet>, Problems> {
    read_with(source, schema::fault_set(), |file: &FaultSetFile, check| FaultSet::resolve(file, &source.file, check)).map(Arc::new)
}

/// A load profile from its text; `name` is what messages call it. One that replays a file of times has none.
pub fn parse_load_profile(name: &str, text: &str) -> Result<LoadProfile, Problems> {
    read_load_profile(&Source::new(name, text))
}

fn read_load_profile(source: &Source) -> Result<LoadProfile, Problems> {
    read_with(source, schema::load_profile(), |file: &LoadProfileFile, check| LoadProfile::resolve(file, check))
}

fn read_target_profile(source: &Source) -> Result<TargetProfile, Problems> {
    read_with(source, schema::target_profile(), |file: &TargetProfileFile, check| TargetProfile::resolve(file, check))
}

fn read_with<F: serde::de::DeserializeOwned, T>(
    source: &Source,
    schema: &serde_json::Value,
    resolve: impl Fn(&F, &mut Check<'_>) -> Option<T>,
) -> Result<T, Problems> {
    let root = parse(source).map_err(Problems::tidy)?;
    read_node(source, &root, schema, resolve).map_err(Problems::tidy)
}

/// Form first, then meaning. Where the form is wrong, what is left is looked at all the same, so that everything is said at once.
fn read_node<F: serde::de::DeserializeOwned, T>(
    source: &Source,
    root: &Node,
    schema: &serde_json::Value,
    resolve: impl Fn(&F, &mut Check<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    match decode(source, root, schema) {
        Ok(file) => {
            let spans = Spans::of(root);
            let mut check = Check::new(source, &spans);
            resolve(&file, &mut check).ok_or(check.problems)
        }
        Err(mut problems) => {
            let (left, stand_ins) = mend(source, root, schema);
            if let Ok(file) = decode(source, &left, schema) {
                let spans = Spans::of(&left);
                let mut check = Check::of_what_is_left(source, &spans, &stand_ins);
                // what is left is no more than a witness
                let _ = resolve(&file, &mut check);
                problems.append(&mut check.problems);
            }
            Err(problems)
        }
    }
}

/// A scenario file gives the base and each variant, all checked.
fn read_scenarios(source: &Source) -> Result<Vec<Arc<Scenario>>, Problems> {
    let mut base = parse(source).map_err(Problems::tidy)?;
    let schema = schema::scenario();
    // the whole first, so that mistakes in a variant are found even where merging would hide them
    let mut problems = validate(source, &base, schema, schema);
    let variants = base.table_mut().and_then(|table| table.remove("variant"));
    let mut scenarios = Vec::new();
    let mut document = |root: &Node, variant: &str, about: Option<&str>, problems: &mut Vec<Problem>| {
        let meaning = |file: &ScenarioFile, check: &mut Check<'_>| resolve(file, variant, about.unwrap_or(&file.about), &source.file, check);
        match read_node(source, root, schema, meaning) {
            Ok(scenario) => scenarios.push(Arc::new(scenario)),
            Err(found) => problems.extend(found),
        }
    };
    document(&base, "base", None, &mut problems);

    let mut names = vec!["base".to_string()];
    for (i, node) in variants.iter().flat_map(|entry| match &entry.node.value {
        Value::List(items) => items.iter().enumerate().collect(),
        _ => Vec::new(),
    }) {
        let Value::Table(table) = &node.value else { continue };
        let path = format!("variant[{i}]");
        let text_of = |key: &str| table.get(key).and_then(|entry| entry.node.as_text());
        let name = text_of("name").unwrap_or("");
        let own = Spans::of(&Node { span: node.span.clone(), value: Value::Table(table.clone()) });
        let mut check = Check::new(source, &own);
        check.name("name", name);
        if names.iter().any(|other| other == name) {
            check.value(
                "name",
                format!("a second variant is named `{name}`"),
                Some("names of variants are unique within a file; `base` is taken".into()),
            );
        }
        names.push(name.to_string());
        if own.has("matrix.channels") {
            check.key("matrix.channels", "a variant cannot change the channels: they are an axis of the whole scenario", None);
        }
        problems.append(&mut check.problems);
        let (merged, mut found) = merged(source, &base, table, &path);
        problems.append(&mut found);
        document(&merged, name, text_of("about"), &mut problems);
    }
    if problems.is_empty() { Ok(scenarios) } else { Err(Problems::tidy(problems)) }
}

/// The base document with a variant's changes: tables merge, lists and values replace, and keys listed in `replace` start afresh.
fn merged(source: &Source, base: &Node, variant: &Table, path: &str) -> (Node, Vec<Problem>) {
    let mut merged = base.clone();
    let mut problems = Vec::new();
    let Some(table) = merged.table_mut() else { return (merged, problems) };
    if let Some(Value::List(keys)) = variant.get("replace").map(|entry| &entry.node.value) {
        for node in keys {
            let key = node.as_text().unwrap_or("");
            if !variant.contains_key(key) || matches!(key, "name" | "about" | "replace") {
                let message = format!("`{key}` is to be replaced, but {} does not say by what", join(path, "replace"));
                problems.push(source.problem(node.span.clone(), message, Some("name keys that this variant gives anew".into())));
            }
            table.remove(key);
        }
    }
    for (key, entry) in variant.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "about" | "replace")) {
        merge(table, key, entry);
    }
    (merged, problems)
}

fn merge(into: &mut Table, key: &str, change: &Entry) {
    if let (Some(Value::Table(old)), Value::Table(new)) = (into.get_mut(key).map(|entry| &mut entry.node.value), &change.node.value) {
        new.iter().for_each(|(key, entry)| merge(old, key, entry));
        return;
    }
    into.insert(key.to_string(), change.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Link, StockScope, certain_ops};

    fn wrong(text: &str) -> String {
        read_scenarios(&Source::new("t.toml", text)).unwrap_err().to_string()
    }

    #[test]
    fn commands_go_in_pairs_and_are_of_targets_over_http() {
        let said = |process: &str, reach: &str| {
            let text = format!("name = \"p\"\ntitle = \"p\"\n{reach}\n[process]\n{process}\n");
            read_target_profile(&Source::new("p.toml", &text)).err().map(|problems| problems.to_string()).unwrap_or_default()
        };
        let http = "[http]\nbase_url = \"http://127.0.0.1:1\"";
        assert_eq!(said("kill = [\"a\"]\nstart = [\"b\"]", http), "");
        assert!(said("kill = [\"a\"]", http).contains("`kill` and `start` go together"));
        assert!(said("resume = [\"a\"]", http).contains("`pause` and `resume` go together"));
        let child = "protocol = \"adapter\"\n[adapter]\ncommand = [\"a\"]";
        assert!(said("", child).contains("`process` is of targets over HTTP"));
    }

    #[test]
    fn what_is_shipped_is_right() {
        let mut library = Library::shipped().unwrap_or_else(|problems| panic!("{problems}"));
        let scenarios = library.scenarios(&[]).unwrap();
        for n in 1..=8 {
            let variants = scenarios.iter().filter(|s| s.name == format!("S0{n}")).count();
            assert!(variants >= 4, "S0{n} has {variants} variants with the base");
        }
        let files = shipped().iter().filter(|(path, _)| path.starts_with("profiles/fault/")).count();
        assert_eq!(library.fault_sets(&["all".into()]).unwrap().len(), files);
        assert_eq!(library.load_profile("flash-sale").unwrap().orders, 5000);
        for (path, text) in shipped().iter().filter(|(path, _)| path.ends_with(".toml")) {
            let up = if path.starts_with("scenarios/") { "../" } else { "../../" };
            assert!(text.starts_with(&format!("#:schema {up}schemas/")), "{path} does not name its schema");
        }
        assert!(library.files.iter().all(|(_, digest)| digest.len() == 64) && library.files.len() == 12 + files + 1);
    }

    /// Stock movements in an expectation only mean something where each order has a share of the stock.
    #[test]
    fn no_shipped_scenario_judges_movements_of_fixed_stock() {
        for scenario in Library::shipped().unwrap().scenarios(&[]).unwrap() {
            if scenario.matrix.stock == StockScope::Fixed {
                assert!(scenario.expect.ledger.stock.is_empty(), "{}.{}", scenario.name, scenario.variant);
            }
        }
    }

    #[test]
    fn every_fault_set_can_act_on_some_shipped_scenario() {
        let mut library = Library::shipped().unwrap();
        let scenarios = library.scenarios(&[]).unwrap();
        for set in library.fault_sets(&["all".into()]).unwrap() {
            let links: Vec<Link> = set.rules.iter().map(|rule| rule.link).collect();
            let acting = scenarios.iter().filter(|scenario| set.acts_on(scenario).is_ok()).count();
            assert!(acting > 0, "{}", set.name);
            if links.contains(&Link::Commands) || links.contains(&Link::Events) {
                assert_eq!(acting, scenarios.len(), "{}", set.name);
            }
        }
        let ops = certain_ops(&scenarios[0]);
        for op in [crate::model::Op::PlaceOrder, crate::model::Op::PaymentCapture, crate::model::Op::FraudScreen, crate::model::Op::CbNodeShipped] {
            assert!(ops.contains(&op), "{op}");
        }
    }

    #[test]
    fn unknown_names_are_met_with_the_nearest() {
        let mut library = Library::shipped().unwrap();
        assert!(library.scenarios(&["s1".into()]).unwrap_err().to_string().contains("did you mean `S01`?"));
        assert!(library.scenarios(&["S01.last-unit".into()]).unwrap_err().to_string().contains("did you mean `last-units`?"));
        assert!(library.fault_sets(&["duplicat".into()]).unwrap_err().to_string().contains("did you mean `duplicate`?"));
        assert!(library.load_profile("stead").unwrap_err().to_string().contains("did you mean `steady`?"));
        assert!(library.scenarios(&["./no/such.toml".into()]).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn everything_wrong_with_the_meaning_is_reported_at_once_and_in_place() {
        let text = r#"name = "T 1"
title = "t"
stock = { "A@DC9" = 1, "Z@DC1" = 1, "B@S1" = 1 }
phantom = { "B@S1" = 2 }
matrix = { gap = "5 parsecs" }
[order]
lines = [{ sku = "A", qty = 1, fulfil = "pickup" }, { sku = "AA", qty = 1, discount = 999999 }]
[[step]]
do = "exchange"
on = "order.complete"
after = "10s..1s"
lines = [{ line = 7 }]
[[step]]
do = "receipt"
on = "order.completed"
node = "DC1"
[[step]]
do = "cancel_return"
[[partner]]
at = "node.pick"
answer = "decline"
qty = 3
[expect]
flow = ["order.accepted > payment.captred"]
[expect.ledger]
captured = "line.4"
[[variant]]
name = "base"
matrix = { channels = ["web"] }
[[variant]]
name = "v"
replace = ["expekt"]
order = { lines = [{ sku = "A", qty = 0 }] }
"#;
        let found = wrong(text);
        for part in [
            "`T 1` cannot be part of a case's name",
            "unknown node `DC9`",
            "unknown SKU `Z`",
            "more phantom units than the feed reports: 2 of 1",
            "`5 parsecs` is not a duration",
            "a pickup line needs its store",
            "unknown SKU `AA`",
            "a discount is between 0 and the price of the line",
            "needs `take`",
            "unknown event `order.complete`",
            "did you mean `order.completed`?",
            "`10s..1s` runs backwards",
            "the order has no line 7",
            "`on` has no meaning in a step that does `receipt`",
            "a step that does `receipt` needs `sku`",
            "a step that does `cancel_return` needs `on`",
            "this answer does not fit where it is given",
            "`qty` has no meaning here",
            "t.toml:24:27",
            "unknown event `payment.captred`",
            "the order has no line 4",
            "a second variant is named `base`",
            "a variant cannot change the channels",
            "`expekt` is to be replaced",
            "`qty` must be at least 1",
        ] {
            assert!(found.contains(part), "{part} is not in\n{found}");
        }
    }

    #[test]
    fn a_variant_merges_tables_replaces_lists_and_points_into_its_own_lines() {
        let text = r#"name = "T"
title = "t"
stock = { "A@DC1" = 1 }
[order]
lines = [{ sku = "A", qty = 1 }]
[expect]
flow = ["order.accepted"]
[[variant]]
name = "more"
stock = { "A@DC2" = 2 }
[[variant]]
name = "fresh"
replace = ["expect"]
expect = { never = ["order.rejected"] }
"#;
        let scenarios = read_scenarios(&Source::new("t.toml", text)).unwrap();
        assert_eq!(scenarios.iter().map(|s| s.variant.as_str()).collect::<Vec<_>>(), ["base", "more", "fresh"]);
        assert_eq!(scenarios[1].stock.len(), 2);
        assert_eq!(scenarios[1].expect.flow.len(), 1);
        assert!(scenarios[2].expect.flow.is_empty() && scenarios[2].expect.never.len() == 1);
        let found = wrong(&text.replace("A@DC2", "A@DC3"));
        assert!(found.contains("t.toml:10:14"), "{found}");
    }

    #[test]
    fn a_fault_rule_that_cannot_be_meant_is_refused() {
        let text = r#"name = "f"
title = "f"
[[rule]]
name = "a"
link = "feeds"
ops = ["payment.capture", "inventory.detla"]
do = "lose"
delay = "5m"
[[rule]]
name = "a"
link = "callbacks"
do = "refuse"
[[rule]]
name = "c"
link = "commands"
do = "duplicate"
lasts = "2h"
directed = false
[[rule]]
name = "d"
link = "commands"
do = "delay"
directed = false
"#;
        let found = read_fault_set(&Source::new("f.toml", text)).unwrap_err().to_string();
        for part in [
            "`payment.capture` does not go over the link `feeds`",
            "did you mean `inventory.delta`?",
            "`delay` has no meaning with `lose`",
            "needs `resync`",
            "a second rule is named `a`",
            "`refuse` does not fit the link `callbacks`",
            "`lasts` has no meaning with `duplicate`",
            "rule `d` needs `delay`",
            "rule `d` never acts",
        ] {
            assert!(found.contains(part), "{part} is not in\n{found}");
        }
    }

    #[test]
    fn a_fault_set_may_not_take_a_name_that_means_something_else() {
        let said = |name: &str, rules: &str| {
            let text = format!("title = \"f\"\nname = \"{name}\"\n{rules}");
            read_fault_set(&Source::new("f.toml", &text)).err().map(|problems| problems.to_string()).unwrap_or_default()
        };
        let rule = "[[rule]]\nname = \"a\"\nlink = \"commands\"\ndo = \"duplicate\"\n";
        for (name, why) in [("none", "is the name of the calm"), ("None", "the calm"), ("all", "every shipped"), ("own", "a scenario brings itself")]
        {
            let found = said(name, rule);
            assert!(found.contains(&format!("cannot be named `{name}`: that ")) && found.contains(why) && found.contains("f.toml:2:8"), "{found}");
            assert!(found.contains("give it another name"), "{found}");
        }
        assert_eq!((said("none", ""), said("nonesuch", rule)), (String::new(), String::new()));
    }

    #[test]
    fn what_kinds_places_and_own_faults_cannot_mean_is_refused() {
        let text = r#"name = "T"
title = "t"
luck = "T.base.none.web.9/x"
partner = [{ at = "payment.authorize", answer = "decline" }]
matrix = { orders = [3] }
[order]
lines = [{ sku = "A", qty = 1 }]
[[step]]
do = "cancel"
on = "order.accepted"
[[kind]]
name = "one"
order = { lines = [{ sku = "Q", qty = 1 }] }
step = [{ do = "receipt", node = "DC1", sku = "A", qty = 1 }, { do = "return", on = "order.completed", lines = [{ line = 3 }] }]
[[kind]]
name = "one"
order = { lines = [{ sku = "A", qty = 1 }] }
[[place]]
no = 4
at = "soon"
[[place]]
no = 4
at = "1m"
kind = "onne"
[[fault]]
name = "f"
link = "calls"
ops = ["payment.capture"]
do = "lose_reply"
order = 4
share = 0.5
node = "DC1"
[[fault]]
name = "g"
link = "feeds"
do = "duplicate"
again = ["1m"]
copies = 2
order = 4
nth = 1
"#;
        let found = wrong(text);
        for part in [
            "`order` belongs to a kind",
            "`partner` belongs to a kind",
            "`cancel` is a shopper's step",
            "unknown SKU `Q`",
            "`receipt` happens once in a case",
            "the order has no line 3",
            "a second kind is named `one`",
            "`soon` is not a duration",
            "a second order has the number 4",
            "did you mean `one`?",
            "`orders` has no meaning beside `[[place]]`",
            "`T.base.none.web.9/x` names no case",
            "`share` has no meaning where",
            "`node` means nothing on this link",
            "`order` means nothing on the link `feeds`",
            "`copies` has no meaning with",
        ] {
            assert!(found.contains(part), "{part} is not in\n{found}");
        }
    }

    #[test]
    fn a_scenario_with_places_is_one_case_under_its_own_faults() {
        let text = r#"name = "T"
title = "t"
luck = "M01.base.delay.web.40"
[order]
lines = [{ sku = "A", qty = 1 }]
[[place]]
no = 7
at = "1m"
channel = "app"
[[fault]]
name = "late"
link = "commands"
do = "delay"
delay = "3m"
order = 7
nth = 1
"#;
        let mut library = Library::shipped().unwrap();
        let sets = library.fault_sets(&["all".into()]).unwrap();
        let scenarios = read_scenarios(&Source::new("t.toml", text)).unwrap();
        let selection = crate::scenario::Selection { orders: Some(50), seed: crate::sim::Seed(9), ..Default::default() };
        let cases = crate::scenario::expand(&scenarios, &sets, &selection).cases;
        assert_eq!(cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["T.base.own.app.1"]);
        assert_eq!((cases[0].seed, cases[0].not_applicable.is_none()), (crate::sim::Seed(9).derive("M01.base.delay.web.40"), true));
    }

    #[test]
    fn every_shipped_scenario_can_be_written_and_read_back() {
        for scenario in Library::shipped().unwrap().scenarios(&[]).unwrap() {
            let text = scenario.file.to_toml();
            let read = read_scenarios(&Source::new("t.toml", &text)).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
            assert_eq!(read[0].file, scenario.file, "{text}");
            assert!(!text.contains("null") && !text.contains("directed") && !text.contains("times = 1"), "{text}");
        }
    }
}
