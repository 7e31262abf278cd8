//! Payloads and envelopes as JSON Schema, for all three documents: each has its own place for them.

use super::super::{CloudEvent, Payload, Problem};
use super::fields::{ANSWERS, MESSAGES, Row};
use crate::model::{Class, Code, Op};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value as Json, json};

pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Schemas that refer to each other under one place of a document, such as `/components/schemas`.
pub struct Schemas {
    place: &'static str,
    generator: SchemaGenerator,
    made: Map<String, Json>,
}

impl Schemas {
    pub fn new(place: &'static str) -> Schemas {
        // of this dialect schemars writes nothing that 2020-12 reads in another way, and AsyncAPI reads it, too
        let mut settings = SchemaSettings::draft07();
        settings.definitions_path = place.into();
        settings.meta_schema = None;
        Schemas { place, generator: settings.into_generator(), made: Map::new() }
    }

    pub fn reference(&self, name: &str) -> Json {
        json!({"$ref": format!("#{}/{name}", self.place)})
    }

    /// The schema of a type, and of those that it is made of.
    pub fn of<T: JsonSchema>(&mut self) -> Json {
        Json::from(self.generator.subschema_for::<T>())
    }

    pub fn add(&mut self, name: &str, schema: Json) {
        self.made.insert(name.into(), schema);
    }

    /// The schemas of the messages of some classes, under the names of their operations; of answers with `.answer` behind.
    pub fn add_messages(&mut self, classes: &[Class]) {
        self.of::<Payload>();
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).filter(|name| !name.is_empty()).collect();
        self.add(
            "Code",
            json!({"type": "string", "description": "a word of the vocabulary: a reason, a verdict, an initiator, a template", "enum": codes}),
        );
        let fields = self.generator.definitions().get("Payload").and_then(|schema| schema.get("properties")).cloned().unwrap_or_default();
        let wanted = |row: &&Row| classes.contains(&row.op.class());
        for row in MESSAGES.iter().filter(wanted) {
            let schema = self.message(row, &fields);
            self.add(row.op.name(), schema);
        }
        for row in ANSWERS.iter().filter(wanted) {
            let schema = self.message(row, &fields);
            self.add(&answer_name(row.op), schema);
        }
    }

    fn message(&self, row: &Row, fields: &Json) -> Json {
        let property = |name: &str| match name {
            "code" => {
                let mut code = json!({"allOf": [self.reference("Code")]});
                let usual: Vec<&str> = row.codes().collect();
                if !usual.is_empty() {
                    code["examples"] = json!(usual);
                }
                code
            }
            _ => {
                let mut field = fields[name].clone();
                simplify(&mut field);
                // a list or an order that is required has something in it
                if let ("lines", Some(list)) = (name, field.as_object_mut()) {
                    list.insert("minItems".into(), json!(1));
                }
                if let Some(text) = field.as_object_mut().filter(|field| field.get("type") == Some(&json!("string"))) {
                    text.insert("minLength".into(), json!(1));
                }
                field
            }
        };
        let properties: Map<String, Json> = row.fields().map(|name| (name.into(), property(name))).collect();
        let mut schema = json!({"type": "object", "description": row.about, "properties": properties, "additionalProperties": true});
        let required: Vec<&str> = row.required().collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// Envelopes of the operations of some classes, under `event.` and their names; gives those names with what is in them.
    pub fn add_events(&mut self, classes: &[Class]) -> Vec<(String, &'static Row)> {
        self.of::<CloudEvent>();
        let rows = MESSAGES.iter().filter(|row| classes.contains(&row.op.class()));
        let mut names = Vec::new();
        for row in rows {
            let mut required = vec!["specversion", "id", "source", "type", "data"];
            if row.op.class() != Class::Event {
                required.extend(["subject", "time", "datacontenttype", "idempotencykey"]);
            }
            let schema = json!({
                "description": row.about,
                "allOf": [self.reference("CloudEvent")],
                "type": "object",
                "required": required,
                "properties": {"type": {"const": kind(row.op)}, "data": self.reference(row.op.name())},
            });
            let name = format!("event.{}", row.op.name());
            self.add(&name, schema);
            names.push((name, row));
        }
        names
    }

    pub fn finish(mut self) -> Map<String, Json> {
        let mut all = self.generator.take_definitions(true);
        // what a message has, its own schema says: the union of all of them is of no use to anybody
        all.remove("Payload");
        for (name, schema) in &mut all {
            polish(name, schema);
        }
        all.extend(self.made);
        all
    }
}

/// Classes of what has a payload.
pub const ALL: &[Class] = &[Class::Command, Class::Feed, Class::Callback, Class::Call, Class::Event];
/// Classes of what goes in an envelope.
pub const ENVELOPED: &[Class] = &[Class::Feed, Class::Callback, Class::Event];

/// Type of the CloudEvent of an operation.
pub fn kind(op: Op) -> String {
    format!("oms.{}.v1", op.name())
}

pub fn answer_name(op: Op) -> String {
    format!("{}.answer", op.name())
}

/// What the types cannot say.
fn polish(name: &str, schema: &mut Json) {
    simplify(schema);
    let required: &[&str] = match name {
        "CloudEvent" => &["specversion", "id", "source", "type", "data"],
        "PayloadOrder" => &["lines"],
        "PayloadLine" | "PayloadOrderLine" => &["sku", "quantity"],
        "Problem" => &["status"],
        _ => return,
    };
    schema["required"] = json!(required);
    schema["additionalProperties"] = json!(true);
    match name {
        "CloudEvent" => {
            schema["properties"]["specversion"] = json!({"const": "1.0"});
            schema["properties"]["id"]["minLength"] = json!(1);
            schema["properties"]["source"]["minLength"] = json!(1);
            // each message narrows it down
            schema["properties"]["data"] = json!({"type": "object"});
            schema["properties"]["time"]["format"] = json!("date-time");
            schema["properties"]["source"]["format"] = json!("uri-reference");
            schema["properties"]["sequence"]["pattern"] = json!("^[0-9]+$");
        }
        "PayloadOrder" => schema["properties"]["lines"]["minItems"] = json!(1),
        "PayloadLine" => schema["properties"]["sku"]["minLength"] = json!(1),
        "PayloadOrderLine" => {
            schema["properties"]["sku"]["minLength"] = json!(1);
            schema["properties"]["quantity"]["minimum"] = json!(1);
        }
        _ => {}
    }
}

/// What is left out is not said, and a default would be said. There is no null. A receiver ignores what it does not know.
fn simplify(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            map.remove("default");
            if map.get("additionalProperties") == Some(&Json::Bool(false)) {
                map.remove("additionalProperties");
            }
            if let Some(Json::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Json::Array(branches)) = map.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
                // of one branch, `allOf` says the same
                let branches = std::mem::take(branches);
                map.remove("anyOf");
                map.insert(if branches.len() == 1 { "allOf" } else { "anyOf" }.into(), Json::Array(branches));
            }
            map.values_mut().for_each(simplify);
            if map.len() == 1
                && let Some(Json::Array(branches)) = map.get_mut("allOf")
                && let [only] = branches.as_slice()
            {
                *schema = only.clone();
            }
        }
        Json::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// `message.schema.json`.
pub fn document() -> Json {
    let mut schemas = Schemas::new("/$defs");
    schemas.add_messages(ALL);
    schemas.of::<Problem>();
    let events = schemas.add_events(ENVELOPED);
    let any: Vec<Json> = events.iter().map(|(name, _)| schemas.reference(name)).collect();
    json!({
        "$schema": DIALECT,
        "$id": "urn:orderstorm:contract:v1:message",
        "title": "Messages of the canonical contract, version 1",
        "description": "The root is a CloudEvent of the contract. Of the definitions, one has the name of each operation: its payload, which is the body of a command or call, and the `data` of an event. `event.` and the name is its envelope, the name and `.answer` what a partner answers. A receiver ignores what it does not know.",
        "oneOf": any,
        "$defs": schemas.finish(),
    })
}
