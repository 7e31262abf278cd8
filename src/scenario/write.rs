//! From the low form back to TOML: what a program made, as a file that people read and edit.

use super::{ScenarioFile, schema};
use serde_json::{Map, Value as Json};

/// Keys that say what something is come first, in this order; the others follow by name.
const FIRST: &[&str] = &[
    "name",
    "title",
    "about",
    "luck",
    "thresholds",
    "no",
    "do",
    "on",
    "at",
    "link",
    "ops",
    "order",
    "node",
    "sku",
    "nth",
    "qty",
    "matrix",
    "nodes",
    "products",
    "stock",
    "phantom",
    "lines",
    "step",
    "partner",
    "policy",
    "kind",
    "place",
    "fault",
    "expect",
];

impl ScenarioFile {
    /// As text that reads back as the same. A key that says what would be meant without it is left out.
    pub fn to_toml(&self) -> String {
        let root = schema::scenario();
        let mut value = serde_json::to_value(self).unwrap_or_default();
        prune(&mut value, root, root);
        let mut out = String::new();
        let Json::Object(table) = &value else { return out };
        let (tables, plain): (Vec<_>, Vec<_>) = sorted(table).into_iter().partition(|(key, value)| is_section(key, value));
        for (key, value) in plain {
            line(&mut out, key, value);
        }
        for (key, value) in tables {
            match value {
                Json::Array(items) => {
                    for table in items.iter().filter_map(Json::as_object) {
                        out += &format!("\n[[{key}]]\n");
                        sorted(table).into_iter().for_each(|(key, value)| line(&mut out, key, value));
                    }
                }
                Json::Object(table) => {
                    out += &format!("\n[{key}]\n");
                    sorted(table).into_iter().for_each(|(key, value)| line(&mut out, key, value));
                }
                _ => {}
            }
        }
        out
    }
}

fn is_section(key: &str, value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().all(Json::is_object),
        Json::Object(_) => matches!(key, "order" | "expect"),
        _ => false,
    }
}

fn sorted(table: &Map<String, Json>) -> Vec<(&str, &Json)> {
    let mut pairs: Vec<(&str, &Json)> = table.iter().map(|(key, value)| (key.as_str(), value)).collect();
    pairs.sort_by_key(|(key, _)| (FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()), *key));
    pairs
}

fn line(out: &mut String, key: &str, value: &Json) {
    *out += &format!("{} = {}\n", bare(key), inline(value));
}

fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { key.into() } else { quoted(key) }
}

/// TOML's basic strings know every escape that JSON writes but `\/`, which serde does not write.
fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn inline(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Json::Object(table) if table.is_empty() => "{}".into(),
        Json::Object(table) => {
            let pairs: Vec<String> = sorted(table).into_iter().map(|(key, value)| format!("{} = {}", bare(key), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// Takes out what is absent, and what is as the schema says it is by default.
fn prune(value: &mut Json, schema: &Json, root: &Json) {
    let schema = resolved(schema, root);
    match value {
        Json::Object(table) => {
            let of = |key: &str| schema.pointer("/properties").and_then(|known| known.get(key)).or_else(|| schema.get("additionalProperties"));
            let keys: Vec<String> = table.keys().cloned().collect();
            for key in keys {
                let (Some(value), Some(schema)) = (table.get_mut(&key), of(&key)) else { continue };
                let default = schema.get("default").cloned();
                let same = value.is_null() || default.as_ref() == Some(value);
                prune(value, schema, root);
                let mut plain = default.unwrap_or_default();
                prune(&mut plain, schema, root);
                if same || *value == plain {
                    table.remove(&key);
                }
            }
        }
        Json::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| prune(item, schema, root));
            }
        }
        _ => {}
    }
}

fn resolved<'a>(mut schema: &'a Json, root: &'a Json) -> &'a Json {
    while let Some(next) = match (schema.get("$ref").and_then(Json::as_str), schema.get("anyOf").and_then(Json::as_array)) {
        (Some(pointer), _) => root.pointer(pointer.trim_start_matches('#')),
        (None, Some(branches)) if branches.len() == 1 => branches.first(),
        _ => None,
    } {
        schema = next;
    }
    schema
}
