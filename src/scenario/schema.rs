//! JSON Schemas of the file formats: what editors complete and check, and what the decoder walks.

use super::{FaultSetFile, LoadProfileFile, ScenarioFile, TargetProfileFile};
use schemars::JsonSchema;
use serde_json::Value as Json;
use std::sync::LazyLock;

/// A file name in `schemas/`, and what makes its text.
pub type Format = (&'static str, fn() -> String);

/// Every format by the name of its file in `schemas/`. Formats of other rooms (column maps, the history's header, the summary)
/// are added here by whoever assembles the program, as `(name, schema_text::<Type>)`.
pub const SCHEMAS: &[Format] = &[
    ("scenario.v1.json", || text(scenario())),
    ("fault.v1.json", || text(fault_set())),
    ("load.v1.json", || text(load_profile())),
    ("target.v1.json", || text(target_profile())),
];

/// The schema of any format, as it is written to a file.
pub fn schema_text<T: JsonSchema>() -> String {
    text(&of::<T>())
}

pub(super) fn scenario() -> &'static Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| with_variants(of::<ScenarioFile>()));
    &SCHEMA
}

pub(super) fn fault_set() -> &'static Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(of::<FaultSetFile>);
    &SCHEMA
}

pub(super) fn load_profile() -> &'static Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(of::<LoadProfileFile>);
    &SCHEMA
}

pub(super) fn target_profile() -> &'static Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(of::<TargetProfileFile>);
    &SCHEMA
}

fn text(schema: &Json) -> String {
    let mut text = serde_json::to_string_pretty(schema).unwrap_or_default();
    text.push('\n');
    text
}

fn of<T: JsonSchema>() -> Json {
    let mut schema = Json::from(schemars::schema_for!(T));
    drop_null(&mut schema);
    schema
}

/// TOML has no null: an optional key is one that may be left out. So `null` goes wherever the schema allows it.
fn drop_null(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            if let Some(Json::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Json::Array(branches)) = map.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
            }
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_null);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

/// A variant may hold any key of the scenario besides its own, so that editors complete them there too.
fn with_variants(mut schema: Json) -> Json {
    let keys = schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    if let Some(variant) = schema.pointer_mut("/$defs/VariantFile").and_then(Json::as_object_mut) {
        variant.insert("additionalProperties".into(), Json::Bool(false));
        if let Some(own) = variant.get_mut("properties").and_then(Json::as_object_mut) {
            for (key, value) in keys.into_iter().filter(|(key, _)| key != "variant") {
                own.entry(key).or_insert(value);
            }
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with ORDERSTORM_BLESS=1 to write them anew.
    #[test]
    fn the_written_schemas_are_those_of_the_types() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        for (name, schema) in SCHEMAS {
            let path = folder.join(name);
            if std::env::var_os("ORDERSTORM_BLESS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, schema()).unwrap();
            }
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(written == schema(), "schemas/{name} is out of date: run this test with ORDERSTORM_BLESS=1");
        }
    }
}
