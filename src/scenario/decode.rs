//! From TOML text to a typed value, with every problem at once and each at its place.
//!
//! serde stops at the first error and, under merged or tagged tables, loses the place. So the text is parsed into a tree with
//! spans, the tree is walked against the JSON Schema that the low-form types derive, and only a tree without a problem goes to serde.

pub(super) use crate::mapping::join;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Problems drawn in full; the rest is counted.
const SHOWN: usize = 40;

/// One thing wrong in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// name of the file, or empty where no file is concerned (an unknown scenario name)
    pub file: Arc<str>,
    /// the whole text of the file
    pub text: Arc<str>,
    /// bytes of `text`
    pub span: Range<usize>,
    pub message: String,
    /// what to do about it
    pub help: Option<String>,
}

impl Problem {
    /// A problem that is in no file, such as a name on the command line.
    pub fn plain(message: impl Into<String>, help: Option<String>) -> Problem {
        Problem { file: "".into(), text: "".into(), span: 0..0, message: message.into(), help }
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.text[..floor_char(&self.text, self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn render(&self, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let mut group = if self.file.is_empty() || self.text.is_empty() {
            let place = if self.file.is_empty() { None } else { Some(annotate_snippets::Origin::path(&*self.file)) };
            place.into_iter().fold(Group::with_title(title), Group::element)
        } else {
            let start = floor_char(&self.text, self.span.start);
            let end = floor_char(&self.text, self.span.end).max(start);
            Group::with_title(title).element(Snippet::source(&*self.text).path(&*self.file).annotation(AnnotationKind::Primary.span(start..end)))
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Everything that is wrong, in the order of the files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Each problem with the line that it is in, what was expected and what to do.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text: Vec<String> = self.0.iter().take(SHOWN).map(|problem| problem.render(&renderer)).collect();
        if self.0.len() > SHOWN {
            text.push(format!("and {} more problems", self.0.len() - SHOWN));
        }
        text.join("\n\n")
    }

    /// In the order of the text, each once: a base document and its variants often have the same thing to say.
    pub(super) fn tidy(mut problems: Vec<Problem>) -> Problems {
        let mut seen = BTreeSet::new();
        problems.retain(|p| seen.insert((p.file.clone(), p.span.start, p.span.end, p.message.clone())));
        problems.sort_by(|a, b| (&a.file, a.span.start, a.span.end).cmp(&(&b.file, b.span.start, b.span.end)));
        Problems(problems)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// A file's name and text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub file: Arc<str>,
    pub text: Arc<str>,
}

impl Source {
    pub fn new(file: &str, text: &str) -> Source {
        Source { file: file.into(), text: text.into() }
    }

    pub fn problem(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Problem {
        Problem { file: self.file.clone(), text: self.text.clone(), span, message: message.into(), help }
    }
}

/// A TOML value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    /// a whole number beyond 64 bits
    Huge,
    Real(f64),
    Truth(bool),
    Date,
    List(Vec<Node>),
    Table(Table),
}

pub(super) type Table = BTreeMap<String, Entry>;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: Range<usize>,
    pub node: Node,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Whole(_) | Value::Huge => "a whole number",
            Value::Real(_) => "a number with a fraction",
            Value::Truth(_) => "true or false",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl Node {
    pub fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn from_toml(node: &toml::Spanned<toml::de::DeValue<'_>>) -> Node {
        use toml::de::DeValue;
        let value = match node.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                i64::from_str_radix(&digits, number.radix()).map_or(Value::Huge, Value::Whole)
            }
            DeValue::Float(number) => Value::Real(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(truth) => Value::Truth(*truth),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(items) => Value::List(items.iter().map(Node::from_toml).collect()),
            DeValue::Table(table) => Value::Table(table_from_toml(table)),
        };
        Node { span: node.span(), value }
    }

    fn to_json(&self) -> Json {
        match &self.value {
            Value::Text(text) => Json::from(text.as_str()),
            Value::Whole(number) => Json::from(*number),
            Value::Real(number) => Json::from(*number),
            Value::Truth(truth) => Json::from(*truth),
            Value::Huge | Value::Date => Json::Null,
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Table(table) => Json::Object(table.iter().map(|(key, entry)| (key.clone(), entry.node.to_json())).collect()),
        }
    }
}

fn table_from_toml(table: &toml::de::DeTable<'_>) -> Table {
    table.iter().map(|(key, node)| (key.get_ref().to_string(), Entry { key: key.span(), node: Node::from_toml(node) })).collect()
}

/// Parses; all syntax errors, or the tree.
pub(super) fn parse(source: &Source) -> Result<Node, Vec<Problem>> {
    let (root, errors) = toml::de::DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Ok(Node { span: 0..0, value: Value::Table(table_from_toml(root.get_ref())) });
    }
    Err(errors.iter().map(|error| source.problem(error.span().unwrap_or(0..0), format!("not valid TOML: {}", error.message()), None)).collect())
}

/// Walks `root` against `schema`; a `T` where nothing is wrong.
pub(super) fn decode<T: DeserializeOwned>(source: &Source, root: &Node, schema: &Json) -> Result<T, Vec<Problem>> {
    let problems = validate(source, root, schema, schema);
    if !problems.is_empty() {
        return Err(problems);
    }
    // the schema and serde come from the same types, so this can only fail where the two disagree about a detail
    serde_json::from_value(root.to_json()).map_err(|error| vec![source.problem(root.span.clone(), format!("cannot be read: {error}"), None)])
}

/// Everything in `node` that `schema` (a part of `root`, where the `$defs` are) does not allow.
pub(super) fn validate(source: &Source, node: &Node, root: &Json, schema: &Json) -> Vec<Problem> {
    let mut walk = Walk { source, root, problems: Vec::new() };
    walk.node(node, schema, "");
    walk.problems
}

/// What is left of a document where everything that `schema` does not allow is taken out, so that the meaning of the rest can be
/// checked too; and where stand-ins were put, for keys that must be there: what is said of those means nothing.
pub(super) fn mend(source: &Source, root: &Node, schema: &Json) -> (Node, BTreeSet<usize>) {
    let mut mender = Mender { walk: Walk { source, root: schema, problems: Vec::new() }, stand_ins: BTreeSet::new() };
    let mended = mender.node(root, schema).unwrap_or_else(|| Node { span: root.span.clone(), value: Value::Table(Table::new()) });
    (mended, mender.stand_ins)
}

struct Mender<'a> {
    walk: Walk<'a>,
    /// where they begin in the text
    stand_ins: BTreeSet<usize>,
}

impl<'a> Mender<'a> {
    /// None where nothing can be kept.
    fn node(&mut self, node: &Node, schema: &'a Json) -> Option<Node> {
        let schema = self.walk.resolve(schema);
        let value = match (&node.value, schema.get("type").and_then(Json::as_str)) {
            (Value::Table(table), Some("object")) => Value::Table(self.table(node, table, schema)?),
            (Value::List(items), Some("array")) if !schema.get("prefixItems").is_some_and(Json::is_array) => {
                let expected = schema.get("items").unwrap_or(&Json::Null);
                let kept: Vec<Node> = items.iter().filter_map(|item| self.node(item, expected)).collect();
                let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0) as usize;
                if kept.len() < least {
                    return None;
                }
                Value::List(kept)
            }
            _ => {
                self.walk.problems.clear();
                self.walk.node(node, schema, "");
                return self.walk.problems.is_empty().then(|| node.clone());
            }
        };
        Some(Node { span: node.span.clone(), value })
    }

    fn table(&mut self, node: &Node, table: &Table, schema: &'a Json) -> Option<Table> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let mut kept = Table::new();
        for (key, entry) in table {
            let expected =
                properties.and_then(|known| known.get(key)).or_else(|| schema.get("additionalProperties").filter(|other| other.is_object()));
            if let Some(node) = expected.and_then(|expected| self.node(&entry.node, expected)) {
                kept.insert(key.clone(), Entry { key: entry.key.clone(), node });
            }
        }
        for key in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if !kept.contains_key(key) {
                let (place, at) = table.get(key).map_or((&node.span, &node.span), |entry| (&entry.key, &entry.node.span));
                let value = self.stand_in(properties?.get(key)?, at)?;
                self.stand_ins.insert(at.start);
                kept.insert(key.to_string(), Entry { key: place.clone(), node: Node { span: at.clone(), value } });
            }
        }
        Some(kept)
    }

    /// Something that the form allows.
    fn stand_in(&mut self, schema: &'a Json, at: &Range<usize>) -> Option<Value> {
        let schema = self.walk.resolve(schema);
        if let Some(choices) = choices(schema) {
            return choices.first().map(|text| Value::Text((*text).to_string()));
        }
        let least = schema.get("minimum").and_then(Json::as_i64).unwrap_or(0);
        match schema.get("type").and_then(Json::as_str)? {
            "string" => Some(Value::Text(String::new())),
            "integer" => Some(Value::Whole(least)),
            "number" => Some(Value::Real(least as f64)),
            "boolean" => Some(Value::Truth(false)),
            "array" if schema.get("minItems").is_none() => Some(Value::List(Vec::new())),
            "object" => {
                let empty = Node { span: at.clone(), value: Value::Table(Table::new()) };
                self.table(&empty, &Table::new(), schema).map(Value::Table)
            }
            _ => None,
        }
    }
}

struct Walk<'a> {
    source: &'a Source,
    root: &'a Json,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, span: &Range<usize>, message: String, help: Option<String>) {
        self.problems.push(self.source.problem(span.clone(), message, help));
    }

    /// Follows `$ref`, and `anyOf` with a single branch.
    fn resolve(&self, mut schema: &'a Json) -> &'a Json {
        for _ in 0..16 {
            let next = match (schema.get("$ref").and_then(Json::as_str), schema.get("anyOf").and_then(Json::as_array)) {
                (Some(pointer), _) => self.root.pointer(pointer.trim_start_matches('#')),
                (None, Some(branches)) if branches.len() == 1 => branches.first(),
                _ => None,
            };
            match next {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    fn node(&mut self, node: &Node, schema: &'a Json, name: &str) {
        let schema = self.resolve(schema);
        if let Some(choices) = choices(schema) {
            return self.choice(node, &choices, name);
        }
        if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
            return self.any_of(node, branches, name);
        }
        let Some(expected) = schema.get("type").and_then(Json::as_str) else { return };
        match (expected, &node.value) {
            ("string", Value::Text(_)) | ("boolean", Value::Truth(_)) => {}
            ("integer", Value::Whole(number)) => self.whole(node, *number, schema, name),
            ("integer", Value::Huge) => self.problem(&node.span, format!("{} is too large a number", subject(name)), None),
            ("number", Value::Whole(number)) => self.real(node, *number as f64, schema, name),
            ("number", Value::Real(number)) => self.real(node, *number, schema, name),
            ("array", Value::List(items)) => self.list(node, items, schema, name),
            ("object", Value::Table(table)) => self.table(node, table, schema, name),
            (_, found) => {
                let message = format!("{} must be {}, but this is {}", subject(name), type_name(expected), found.kind());
                self.problem(&node.span, message, description(schema));
            }
        }
    }

    fn choice(&mut self, node: &Node, choices: &[&str], name: &str) {
        let known = || format!("one of: {}", choices.join(", "));
        match &node.value {
            Value::Text(text) if choices.contains(&text.as_str()) => {}
            Value::Text(text) => {
                let help = did_you_mean(text, choices.iter().copied(), known());
                self.problem(&node.span, format!("`{text}` is not a value of {}", subject(name)), Some(help));
            }
            found => {
                let message = format!("{} must be text, but this is {}", subject(name), found.kind());
                self.problem(&node.span, message, Some(known()));
            }
        }
    }

    fn any_of(&mut self, node: &Node, branches: &'a [Json], name: &str) {
        let fits = |branch: &Json| {
            let kind = self.resolve_type(branch);
            matches!(
                (kind.as_str(), &node.value),
                ("string", Value::Text(_))
                    | ("integer", Value::Whole(_) | Value::Huge)
                    | ("number", Value::Whole(_) | Value::Real(_))
                    | ("boolean", Value::Truth(_))
                    | ("array", Value::List(_))
                    | ("object", Value::Table(_))
            )
        };
        match branches.iter().find(|branch| fits(branch)) {
            Some(branch) => self.node(node, branch, name),
            None => {
                let kinds: Vec<&str> = branches.iter().map(|branch| type_name(&self.resolve_type(branch))).collect();
                self.problem(&node.span, format!("{} must be {}, but this is {}", subject(name), kinds.join(" or "), node.value.kind()), None);
            }
        }
    }

    fn resolve_type(&self, branch: &Json) -> String {
        let target = match branch.get("$ref").and_then(Json::as_str) {
            Some(pointer) => self.root.pointer(pointer.trim_start_matches('#')).unwrap_or(branch),
            None => branch,
        };
        if choices(target).is_some() {
            return "string".into();
        }
        target.get("type").and_then(Json::as_str).unwrap_or("").to_string()
    }

    fn whole(&mut self, node: &Node, number: i64, schema: &'a Json, name: &str) {
        let (low, high) = match schema.get("format").and_then(Json::as_str) {
            Some("uint8") => (0, i64::from(u8::MAX)),
            Some("uint16") => (0, i64::from(u16::MAX)),
            Some("uint32") => (0, i64::from(u32::MAX)),
            Some("uint64" | "uint") => (0, i64::MAX),
            Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let low = schema.get("minimum").and_then(Json::as_i64).unwrap_or(low).max(low);
        let high = schema.get("maximum").and_then(Json::as_i64).unwrap_or(high).min(high);
        if number < low {
            self.problem(&node.span, format!("{} must be at least {low}", subject(name)), description(schema));
        } else if number > high {
            self.problem(&node.span, format!("{} must be at most {high}", subject(name)), description(schema));
        }
    }

    fn real(&mut self, node: &Node, number: f64, schema: &'a Json, name: &str) {
        let bound = |key| schema.get(key).and_then(Json::as_f64);
        if let Some(low) = bound("minimum").filter(|low| number < *low || number.is_nan()) {
            self.problem(&node.span, format!("{} must be at least {low}", subject(name)), description(schema));
        } else if let Some(high) = bound("maximum").filter(|high| number > *high) {
            self.problem(&node.span, format!("{} must be at most {high}", subject(name)), description(schema));
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Json, name: &str) {
        let bound = |key| schema.get(key).and_then(Json::as_u64).map(|n| n as usize);
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(usize::MAX));
        if items.len() < least || items.len() > most {
            let wanted = match (least, most) {
                (least, most) if least == most => format!("exactly {least}"),
                (least, _) if items.len() < least => format!("at least {least}"),
                (_, most) => format!("at most {most}"),
            };
            self.problem(&node.span, format!("{} must have {wanted} items, but has {}", subject(name), items.len()), description(schema));
        }
        let prefix = schema.get("prefixItems").and_then(Json::as_array);
        for (i, item) in items.iter().enumerate() {
            let expected = prefix.and_then(|prefix| prefix.get(i)).or_else(|| schema.get("items"));
            if let Some(expected) = expected {
                self.node(item, expected, name);
            }
        }
    }

    fn table(&mut self, node: &Node, table: &Table, schema: &'a Json, name: &str) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        for (key, entry) in table {
            match (properties.and_then(|known| known.get(key)), others) {
                (Some(expected), _) => self.node(&entry.node, expected, key),
                (None, Some(Json::Bool(false))) => {
                    let known: Vec<&str> = properties.into_iter().flatten().map(|(known, _)| known.as_str()).collect();
                    let help = did_you_mean(key, known.iter().copied(), format!("known keys: {}", known.join(", ")));
                    self.problem(&entry.key, format!("unknown key `{key}`{}", within(name)), Some(help));
                }
                (None, Some(expected)) => self.node(&entry.node, expected, key),
                (None, None) => {}
            }
        }
        for key in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if !table.contains_key(key) {
                let help = properties.and_then(|known| known.get(key)).and_then(description);
                let span = first_line(&self.source.text, &node.span);
                self.problem(&span, format!("missing key `{key}`{}", within(name)), help.map(|text| format!("`{key}`: {text}")));
            }
        }
    }
}

fn subject(name: &str) -> String {
    if name.is_empty() { "the file".into() } else { format!("`{name}`") }
}

fn within(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" in `{name}`") }
}

fn description(schema: &Json) -> Option<String> {
    schema.get("description").and_then(Json::as_str).map(|text| text.replace('\n', " "))
}

fn type_name(kind: &str) -> &'static str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    }
}

/// The texts that a closed set allows, however the schema writes them: `enum`, `const`, or a `oneOf` of such.
fn choices(schema: &Json) -> Option<Vec<&str>> {
    if let Some(values) = schema.get("enum").and_then(Json::as_array) {
        return values.iter().map(Json::as_str).collect();
    }
    if let Some(value) = schema.get("const") {
        return value.as_str().map(|text| vec![text]);
    }
    let mut all = Vec::new();
    for branch in schema.get("oneOf")?.as_array()? {
        all.extend(choices(branch)?);
    }
    Some(all)
}

/// A table's span may cover many lines; a caret under its first one is enough.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor_char(text, span.start);
    let end = floor_char(text, span.end.max(start));
    start..text[start..end].find('\n').map_or(end, |i| start + i)
}

/// The most similar of `known`, if it is similar at all.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let low = word.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let other = candidate.to_lowercase();
        // `shipped` for `shipment.shipped`: the last part alone is what people write
        let tail = other.rsplit('.').next().unwrap_or(&other);
        let score = strsim::normalized_damerau_levenshtein(&low, &other).max(0.95 * strsim::normalized_damerau_levenshtein(&low, tail));
        if score >= 0.5 && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `did you mean X?` before what else there is to say.
pub(super) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>, otherwise: String) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? {otherwise}"),
        None => otherwise,
    }
}

/// Where every value and every key of a document stands, by path such as `expect.flow[2]` or `stock."A@DC1"`.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Debug)]
struct Place {
    key: Option<Range<usize>>,
    value: Range<usize>,
    text: Option<String>,
}

impl Spans {
    pub fn of(root: &Node) -> Spans {
        let mut spans = Spans::default();
        spans.collect(root, None, String::new());
        spans
    }

    fn collect(&mut self, node: &Node, key: Option<&Range<usize>>, path: String) {
        match &node.value {
            Value::Table(table) => {
                for (name, entry) in table {
                    self.collect(&entry.node, Some(&entry.key), join(&path, name));
                }
            }
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.collect(item, None, format!("{path}[{i}]"));
                }
            }
            _ => {}
        }
        let place = Place { key: key.cloned(), value: node.span.clone(), text: node.as_text().map(String::from) };
        self.places.insert(path, place);
    }

    /// The place of `path`, or of what holds it where it is not written.
    fn place(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None if path.is_empty() => return None,
                None => path = "",
            }
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    pub fn value(&self, source: &Source, path: &str) -> Range<usize> {
        self.place(path).map_or(0..0, |place| first_line(&source.text, &place.value))
    }

    pub fn key(&self, source: &Source, path: &str) -> Range<usize> {
        self.place(path).map_or(0..0, |place| place.key.clone().unwrap_or_else(|| first_line(&source.text, &place.value)))
    }

    /// A part of the text at `path` (its value, or its key): exact where the file holds the text as it is, without escapes.
    pub fn part(&self, source: &Source, path: &str, part: Range<usize>, in_key: bool) -> Range<usize> {
        let Some(place) = self.places.get(path) else { return self.value(source, path) };
        let name = path.strip_suffix('"').and_then(|rest| rest.rsplit_once(".\"").map(|(_, name)| name).or_else(|| rest.strip_prefix('"')));
        let (span, content) = match (in_key, &place.key) {
            (true, Some(key)) => (key.clone(), name),
            _ => (place.value.clone(), place.text.as_deref()),
        };
        let raw = &source.text[floor_char(&source.text, span.start)..floor_char(&source.text, span.end.max(span.start))];
        match content.and_then(|content| raw.find(content)) {
            Some(at) if part.start <= part.end => {
                let start = (span.start + at + part.start).min(span.end);
                start..(span.start + at + part.end).clamp(start, span.end)
            }
            _ => span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::schema;

    fn problems_of(text: &str) -> Vec<String> {
        let source = Source::new("t.toml", text);
        let schema = schema::scenario();
        match parse(&source).and_then(|root| decode::<crate::scenario::ScenarioFile>(&source, &root, schema)) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .iter()
                .map(|p| format!("{}:{} {} [{}]", p.line_column().0, p.line_column().1, p.message, p.help.as_deref().unwrap_or("")))
                .collect(),
        }
    }

    #[test]
    fn every_problem_is_found_at_its_place() {
        let text = "nam = \"X\"\ntitle = 5\n[order]\nlines = [{ sku = \"A\", qty = -3 }, { qty = 1, fulfil = \"pikup\" }]\n[matrix]\nstock = true\n[[step]]\nafter = \"1h\"\n";
        let found = problems_of(text).join("\n");
        for part in [
            "1:1 unknown key `nam` [did you mean `name`?",
            "1:1 missing key `name`",
            "2:9 `title` must be text, but this is a whole number",
            "4:29 `qty` must be at least 1",
            "4:35 missing key `sku` in `lines`",
            "4:55 `pikup` is not a value of `fulfil` [did you mean `pickup`?",
            "6:9 `stock` must be text, but this is true or false [one of: scaled, per_order, fixed]",
            "missing key `do` in `step`",
        ] {
            assert!(found.contains(part), "{part} is not in\n{found}");
        }
    }

    #[test]
    fn all_syntax_errors_are_reported_and_drawn() {
        let source = Source::new("t.toml", "name = \nx = [1,\n");
        let problems = Problems::tidy(parse(&source).unwrap_err());
        assert!(problems.0.len() >= 2, "{problems}");
        assert!(problems.to_string().contains("t.toml:1:"), "{problems}");
    }

    #[test]
    fn places_inside_a_text_and_a_key_are_exact() {
        let source = Source::new("t.toml", "[within]\n\"a.b > c\" = \"2h\"\n");
        let spans = Spans::of(&parse(&source).unwrap());
        let at = spans.part(&source, "within.\"a.b > c\"", 6..7, true);
        assert_eq!(&source.text[at], "c");
        let at = spans.part(&source, "within.\"a.b > c\"", 1..2, false);
        assert_eq!(&source.text[at], "h");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z=\\[\\]{}\"'0-9\\.,\n éx-]{0,80}") {
            let source = Source::new("t.toml", &text);
            let result = parse(&source).and_then(|root| decode::<crate::scenario::ScenarioFile>(&source, &root, schema::scenario()));
            if let Err(problems) = result {
                let _ = Problems::tidy(problems).to_string();
            }
        }
    }
}
