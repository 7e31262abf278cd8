//! The canonical contract as documents, made from the types that speak it: OpenAPI for requests, AsyncAPI for events, JSON Schema for
//! what they say. `contracts/v1/` holds the text of them; a test compares.
//!
//! Rooms: `fields` (which fields an operation has), `schema` (payloads), `openapi`, `asyncapi`.

mod asyncapi;
mod fields;
mod openapi;
mod schema;

pub use fields::{ANSWERS, MESSAGES, Row, has_payload};

use serde_json::Value as Json;

/// A file name in `contracts/v1/`, and what makes its text.
pub type Document = (&'static str, fn() -> String);

/// Every document of the contract.
pub const DOCUMENTS: &[Document] = &[
    ("openapi.json", || text(&openapi::document())),
    ("asyncapi.json", || text(&asyncapi::document())),
    ("message.schema.json", || text(&schema::document())),
];

/// Version of the contract; it is not the program's. Within `v1` things are only added.
const VERSION: &str = "1.0.0";

fn text(document: &Json) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with ORDERSTORM_BLESS=1 to write them anew.
    #[test]
    fn the_written_contract_is_that_of_the_types() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/v1");
        for (name, document) in DOCUMENTS {
            let path = folder.join(name);
            if std::env::var_os("ORDERSTORM_BLESS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, document()).unwrap();
            }
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(written == document(), "contracts/v1/{name} is out of date: run this test with ORDERSTORM_BLESS=1");
        }
    }

    /// Places that a `$ref` names, with the document that has it.
    fn references<'a>(json: &'a Json, found: &mut Vec<&'a str>) {
        match json {
            Json::Object(map) => {
                found.extend(map.get("$ref").and_then(Json::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Json::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for document in [openapi::document(), asyncapi::document(), schema::document()] {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() > 50);
            for place in found {
                assert!(place.strip_prefix('#').is_some_and(|pointer| document.pointer(pointer).is_some()), "{place}");
            }
        }
    }

    #[test]
    fn every_operation_stands_in_the_documents() {
        let (openapi, asyncapi, schema) = (openapi::document().to_string(), asyncapi::document().to_string(), schema::document());
        for row in MESSAGES {
            let name = row.op.name();
            assert!(schema["$defs"].get(name).is_some(), "{name}");
            assert!(openapi.contains(&format!("/{name}\"")), "{name}");
            let enveloped = super::super::envelope::is_enveloped(row.op);
            assert_eq!(asyncapi.contains(&format!("\"oms.{name}.v1\"")), enveloped, "{name}");
        }
    }
}
