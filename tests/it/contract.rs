//! The published contract against what is really sent: every message of the shipped matrix, of the world and of the reference alike.

use jsonschema::Validator;
use orderstorm::history::{Entry, Kind, Observer};
use orderstorm::model::{Class, Message, Op, Outcome};
use orderstorm::run::Stop;
use orderstorm::run::execute::{Conditions, Setup, simulate};
use orderstorm::scenario::{Case, Library, Selection, expand};
use orderstorm::sim::{Seed, VirtualClock};
use orderstorm::wire::contract::{ANSWERS, DOCUMENTS, MESSAGES, Row};
use orderstorm::wire::{CAUSATION_ID, CORRELATION_ID, CloudEvent, IDEMPOTENCY_KEY, MESSAGE_ID, Names, Payload};
use orderstorm::workload::partition;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Events of the vocabulary that the reference has no use for.
const NOT_SENT: &[Op] = &[Op::PromiseChanged, Op::FulfillmentRerouted, Op::ExceptionResolved, Op::DeadLettered, Op::NotificationRequested];

fn cases() -> Vec<Case> {
    let mut library = Library::shipped().expect("what is shipped is right");
    let (scenarios, faults) = (library.scenarios(&[]).expect("all"), library.fault_sets(&["all".into()]).expect("all"));
    expand(&scenarios, &faults, &Selection { seed: Seed(1), seeds: 1, ..Selection::default() }).cases
}

fn schema() -> Value {
    let (_, text) = DOCUMENTS.iter().find(|(name, _)| *name == "message.schema.json").expect("there");
    serde_json::from_str(&text()).expect("JSON")
}

/// The schema of one definition alone.
fn validator(schema: &Value, name: &str) -> Validator {
    assert!(schema["$defs"].get(name).is_some(), "no definition {name}");
    let one = json!({"$schema": schema["$schema"], "$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"]});
    jsonschema::options().should_validate_formats(true).build(&one).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// What was sent, each shape once.
#[derive(Default)]
struct Seen {
    shapes: BTreeSet<String>,
    ops: BTreeSet<Op>,
    problems: BTreeSet<String>,
    validators: BTreeMap<String, Validator>,
}

struct Recorder<'a> {
    names: &'a Names,
    schema: &'a Value,
    seen: &'a mut Seen,
}

impl Recorder<'_> {
    fn valid(&mut self, name: &str, value: &Value) {
        let validator = self.seen.validators.entry(name.into()).or_insert_with(|| validator(self.schema, name));
        let problems = complaints(validator, value);
        self.seen.problems.extend(problems.into_iter().map(|problem| format!("{name}: {problem}")));
    }

    fn fits(&mut self, row: &Row, what: &str, said: &Value) {
        let fields: Vec<&str> = said.as_object().expect("an object").keys().map(String::as_str).filter(|field| *field != "added_later").collect();
        let (known, required): (Vec<&str>, Vec<&str>) = (row.fields().collect(), row.required().collect());
        let op = row.op;
        let strange =
            fields.iter().filter(|field| !known.contains(field)).map(|field| format!("{what} {op} has `{field}`, which is not on its list"));
        self.seen.problems.extend(strange);
        let missing = required.iter().filter(|field| !fields.contains(field)).map(|field| format!("{what} {op} lacks `{field}`"));
        self.seen.problems.extend(missing);
        if let Some(code) = said["code"].as_str().filter(|code| !row.codes().any(|known| known == *code)) {
            self.seen.problems.insert(format!("{what} {op} has the code `{code}`, which is not on its list"));
        }
    }

    /// Whoever reads it has the message again.
    fn read_back(&mut self, entry: &Entry, payload: &Payload) {
        let (msg, names) = (&entry.msg, self.names);
        let again = if matches!(msg.op.class(), Class::Command | Class::Call) {
            let text = |id: orderstorm::model::Id| id.is_some().then(|| names.show_id(id));
            let headers =
                [(MESSAGE_ID, text(msg.id)), (IDEMPOTENCY_KEY, text(msg.key)), (CORRELATION_ID, text(msg.corr)), (CAUSATION_ID, text(msg.cause))];
            payload.request(msg.op, names, |name| headers.iter().find(|(known, _)| *known == name).and_then(|(_, text)| text.as_deref()))
        } else {
            let event = CloudEvent::of(msg, entry.at, "orderstorm/test", names);
            let value = serde_json::to_value(&event).expect("JSON");
            self.valid(&format!("event.{}", msg.op.name()), &value);
            serde_json::from_value::<CloudEvent>(value).expect("what was written").message(names)
        };
        // a command and a call carry no number
        let wanted = Message { seq: if matches!(msg.op.class(), Class::Command | Class::Call) { 0 } else { msg.seq }, ..(**msg).clone() };
        if again.as_ref() != Ok(&wanted) {
            self.seen.problems.insert(format!("{} reads back as another message: {again:?}", msg.op));
        }
    }
}

impl Observer for Recorder<'_> {
    fn observe(&mut self, entry: &Entry) {
        let (rows, what) = match (entry.kind, entry.outcome) {
            (Kind::Sent, _) => (MESSAGES, "sent"),
            (Kind::Call, _) => (MESSAGES, "call"),
            (Kind::Event, _) => (MESSAGES, "event"),
            (Kind::Answer, Outcome::Ok | Outcome::Replayed | Outcome::Pending) => (ANSWERS, "answer to"),
            _ => return,
        };
        let payload = Payload::of(&entry.msg, self.names);
        let said = serde_json::to_value(&payload).expect("JSON");
        let fields: Vec<&String> = said.as_object().expect("an object").keys().collect();
        self.seen.ops.insert(entry.msg.op);
        if !self.seen.shapes.insert(format!("{what} {} {fields:?} {}", entry.msg.op, said["code"])) {
            return;
        }
        let row = rows.iter().find(|row| row.op == entry.msg.op).unwrap_or_else(|| panic!("no line for {what} {}", entry.msg.op));
        self.fits(row, what, &said);
        if what == "answer to" {
            self.valid(&format!("{}.answer", row.op.name()), &said);
        } else {
            self.valid(row.op.name(), &said);
            self.read_back(entry, &payload);
        }
    }
}

#[test]
fn every_message_of_the_matrix_is_one_of_the_contract() {
    let schema = schema();
    let mut seen = Seen::default();
    let setup = Setup { seed: 1, target: "embedded".into(), defect: None, conditions: Conditions::default(), arguments: String::new() };
    for case in cases().iter().filter(|case| case.not_applicable.is_none()) {
        let part = partition(case, 0);
        let names = Names::new(part.plan.estate.clone());
        let recorder = Recorder { names: &names, schema: &schema, seen: &mut seen };
        simulate(&setup, case, &part, &mut VirtualClock::new(), &Stop::new(), recorder);
    }
    let list = seen.problems.iter().cloned().collect::<Vec<_>>().join("\n");
    assert!(list.is_empty(), "what is sent and what src/wire/contract/fields.rs says differ:\n{list}");
    let never: Vec<Op> = MESSAGES.iter().map(|row| row.op).filter(|op| !seen.ops.contains(op)).collect();
    assert_eq!(never, NOT_SENT, "operations that nobody sent");
    assert!(seen.shapes.len() > 150, "{} shapes", seen.shapes.len());
}

#[test]
fn a_message_that_is_not_of_the_contract_is_refused() {
    let schema = schema();
    let captured = validator(&schema, "payment.captured");
    let good = json!({"order_id": "O1", "amount": 900, "payment_id": "a1", "something_newer": true});
    assert_eq!(complaints(&captured, &good), Vec::<String>::new());
    for bad in [json!({"order_id": "O1"}), json!({"order_id": "O1", "amount": "9.00"}), json!({"order_id": "", "amount": 900}), json!([])] {
        assert!(!captured.is_valid(&bad), "{bad}");
    }
    let event = validator(&schema, "event.payment.captured");
    let envelope = |kind: &str, data: &Value| json!({"specversion": "1.0", "id": "e1", "source": "oms", "type": kind, "data": data});
    assert!(event.is_valid(&envelope("oms.payment.captured.v1", &good)));
    assert!(!event.is_valid(&envelope("oms.payment.refunded.v1", &good)), "another type");
    assert!(!event.is_valid(&envelope("oms.payment.captured.v1", &json!({"order_id": "O1"}))), "no amount");
    assert!(!event.is_valid(&json!({"specversion": "1.0", "id": "e1", "type": "oms.payment.captured.v1", "data": good})), "no source");
    // the root takes each envelope, and only those
    let root = jsonschema::validator_for(&schema).expect("a schema");
    assert!(root.is_valid(&envelope("oms.payment.captured.v1", &good)));
    assert!(!root.is_valid(&envelope("oms.payment.stolen.v1", &good)));
}
