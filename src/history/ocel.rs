//! A history as an object-centric event log: OCEL 2.0 in JSON (<https://www.ocel-standard.org>), for process-mining tools.
//!
//! Written as it is read, in two passes: objects first, then events. Memory grows with the number of objects, of which only a key
//! is kept, and not with that of entries. The published schema wants every value as a text; its type is declared with its name.

use super::{Entry, Header, HistoryReader, Item, Kind, ReadError};
use crate::model::{Class, Code, Fid, ForeignNames, Id, LineNo, NodeId, Op, OrderNo, Outcome, SkuId};
use jiff::SignedDuration;
use rustc_hash::FxHashSet;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

/// When time zero of a run is, where nobody says otherwise: the hour at which every run begins, in UTC.
pub const OCEL_EPOCH: &str = "2000-01-01T10:00:00Z";

/// Attributes of each object type, with their types.
const OBJECTS: &[(&str, &[(&str, &str)])] = &[
    ("order", &[("channel", "string"), ("total", "integer"), ("shipping", "integer")]),
    ("line", &[("line", "integer"), ("sku", "string"), ("qty", "integer"), ("amount", "integer")]),
    ("parcel", &[("node", "string")]),
    ("payment", &[("amount", "integer")]),
    ("return", &[("exchange", "boolean")]),
    ("stock", &[("sku", "string"), ("node", "string")]),
];

/// Attributes of every event; one that does not apply is left out.
const EVENT: &[(&str, &str)] = &[
    ("n", "integer"),
    ("message", "string"),
    ("key", "string"),
    ("cause", "string"),
    ("outcome", "string"),
    ("code", "string"),
    ("qty", "integer"),
    ("amount", "integer"),
    ("seq", "integer"),
];

/// What was exported.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    pub events: u64,
    pub objects: u64,
    /// what the record lacks, where it is not whole
    pub missing: Option<String>,
}

/// Why an export ended early.
#[derive(Debug)]
pub enum ExportError {
    /// the history cannot be read, or the epoch is no time
    Input(String),
    Output(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Input(text) => f.write_str(text),
            ExportError::Output(error) => write!(f, "{error}"),
        }
    }
}
impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> ExportError {
        ExportError::Output(error)
    }
}
impl From<Box<ReadError>> for ExportError {
    fn from(error: Box<ReadError>) -> ExportError {
        ExportError::Input(error.to_string())
    }
}

/// An object of the log. Names of fulfillments, payments and returns need only differ within their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Object {
    Order(OrderNo),
    Line(OrderNo, LineNo),
    Parcel(OrderNo, Fid),
    Payment(OrderNo, Id),
    Return(OrderNo, Id),
    Stock(NodeId, SkuId),
}

/// Writes the log of one history, of which `open` gives a new reader each time. `epoch` is the time of the record's zero, in RFC 3339.
pub fn export_ocel(open: impl Fn() -> Result<HistoryReader, Box<ReadError>>, epoch: &str, out: &mut dyn Write) -> Result<Exported, ExportError> {
    let bad = |error: jiff::Error| ExportError::Input(format!("error: `{epoch}` is not a time: {error}\n  = help: write one such as {OCEL_EPOCH}"));
    let epoch: jiff::Timestamp = epoch.parse().map_err(bad)?;
    let mut exported = Exported::default();
    write!(out, "{{\"objectTypes\":{},\n\"objects\":[", types(OBJECTS.iter().map(|(name, attributes)| (*name, *attributes))))?;
    let mut known: FxHashSet<Object> = FxHashSet::default();
    let mut sorts: BTreeSet<(Kind, Op)> = BTreeSet::new();
    let mut reader = open()?;
    while let Some(item) = reader.next() {
        match item? {
            Item::End(end) => exported.missing = end.missing,
            Item::Entry(entry) => {
                let tongue = Tongue { header: reader.header(), names: reader.names(), time: time(epoch, &entry)? };
                let objects = objects(&entry);
                if objects.is_empty() {
                    continue;
                }
                sorts.insert((entry.kind, entry.msg.op));
                for (object, _) in objects {
                    if known.insert(object) {
                        separate(out, exported.objects)?;
                        exported.objects += 1;
                        write!(out, "{}", tongue.object(object, &entry))?;
                    }
                }
            }
        }
    }
    drop(known);
    let sorts: BTreeSet<String> = sorts.into_iter().map(|(kind, op)| sort(kind, op)).collect();
    write!(out, "],\n\"eventTypes\":{},\n\"events\":[", types(sorts.iter().map(|name| (name.as_str(), EVENT))))?;
    let mut reader = open()?;
    while let Some(item) = reader.next() {
        let Item::Entry(entry) = item? else { continue };
        let objects = objects(&entry);
        if !objects.is_empty() {
            let tongue = Tongue { header: reader.header(), names: reader.names(), time: time(epoch, &entry)? };
            separate(out, exported.events)?;
            exported.events += 1;
            write!(out, "{}", tongue.event(&entry, &objects))?;
        }
    }
    out.write_all(b"]}\n")?;
    out.flush()?;
    Ok(exported)
}

fn separate(out: &mut dyn Write, before: u64) -> io::Result<()> {
    out.write_all(if before > 0 { b",\n" } else { b"\n" })
}

fn types<'a>(all: impl Iterator<Item = (&'a str, &'a [(&'a str, &'a str)])>) -> Value {
    let attributes = |list: &[(&str, &str)]| list.iter().map(|(name, of)| json!({"name": name, "type": of})).collect::<Vec<_>>();
    all.map(|(name, list)| json!({"name": name, "attributes": attributes(list)})).collect()
}

fn time(epoch: jiff::Timestamp, entry: &Entry) -> Result<String, ExportError> {
    let since = SignedDuration::new((entry.at.0 / 1_000_000_000) as i64, (entry.at.0 % 1_000_000_000) as i32);
    let late = |_| ExportError::Input(format!("error: entry {} is too late for a calendar\n  = help: name an earlier --epoch", entry.n));
    Ok(epoch.checked_add(since).map_err(late)?.to_string())
}

/// The name of an event's type: who did it, and what. The same word may be a call, a fact and a claim.
fn sort(kind: Kind, op: Op) -> String {
    let who = match (kind, op.class()) {
        (Kind::Sent, Class::Command) => "command",
        (Kind::Sent, Class::Feed) => "feed",
        (Kind::Sent, Class::Callback) => "callback",
        (Kind::Event, _) => "claim",
        (kind, _) => kind.name(),
    };
    format!("{who} {op}")
}

/// What an entry is about, each with its part in it.
fn objects(entry: &Entry) -> Vec<(Object, &'static str)> {
    let m = &entry.msg;
    let order = m.order;
    let mut all: Vec<(Object, &'static str)> = Vec::new();
    let mut add = |object: Object, part: &'static str| {
        if !all.contains(&(object, part)) {
            all.push((object, part));
        }
    };
    if order.is_some() {
        add(Object::Order(order), "order");
        let placed = m.body.iter().filter(|_| m.op == Op::PlaceOrder).flat_map(|body| body.lines.iter().map(|line| line.line));
        for line in placed.chain(m.lines.iter().map(|line| line.line)).chain([m.line]).filter(|line| line.is_some()) {
            add(Object::Line(order, line), "item");
        }
        if m.fulfillment.is_some() {
            add(Object::Parcel(order, m.fulfillment), "parcel");
        }
        if m.pay.is_some() {
            add(Object::Payment(order, m.pay), "authorization");
        }
        if m.ret.is_some() {
            add(Object::Return(order, m.ret), "return");
        }
    }
    let part = match m.op.class() {
        Class::Stock if m.qty < 0 => "leaves",
        Class::Stock if m.qty > 0 => "arrives",
        _ => "at",
    };
    if m.node.is_some() {
        for sku in m.lines.iter().map(|line| line.sku).chain([m.sku]).filter(|sku| sku.is_some()) {
            add(Object::Stock(m.node, sku), part);
        }
    }
    all
}

/// How one history names things, at the time of one entry.
struct Tongue<'a> {
    header: &'a Header,
    names: &'a ForeignNames,
    time: String,
}

impl Tongue<'_> {
    /// A name of its own for each object, whatever texts another program chose.
    fn id(&self, object: Object) -> String {
        let order = |no: OrderNo| if no.is_some() { plain(&self.names.show_order(no)) } else { String::new() };
        match object {
            Object::Order(no) => format!("order:{}", order(no)),
            Object::Line(no, line) => format!("line:{}/{}", order(no), line.0),
            Object::Parcel(no, fid) => format!("parcel:{}/{}", order(no), plain(&self.names.show_fid(fid))),
            Object::Payment(no, pay) => format!("payment:{}/{}", order(no), plain(&self.names.show_id(pay))),
            Object::Return(no, ret) => format!("return:{}/{}", order(no), plain(&self.names.show_id(ret))),
            Object::Stock(node, sku) => format!("stock:{}/{}", plain(&self.node(node)), plain(&self.sku(sku))),
        }
    }

    fn node(&self, node: NodeId) -> String {
        match self.header.fixture.node_name(node) {
            "" => format!("#{}", node.0),
            name => name.into(),
        }
    }

    fn sku(&self, sku: SkuId) -> String {
        match self.header.fixture.sku_name(sku) {
            "" => format!("#{}", sku.0),
            name => name.into(),
        }
    }

    /// An object as the entry that first names it shows it.
    fn object(&self, object: Object, entry: &Entry) -> Value {
        let m = &entry.msg;
        let body = m.body.as_ref().filter(|_| m.op == Op::PlaceOrder);
        let (sort, of, attributes): (&str, OrderNo, Vec<(&str, String)>) = match object {
            Object::Order(_) => {
                let known = |body: &std::sync::Arc<crate::model::Order>| {
                    vec![("channel", body.channel.name().into()), ("total", body.total().0.to_string()), ("shipping", body.shipping.0.to_string())]
                };
                ("order", OrderNo::NONE, body.map(known).unwrap_or_default())
            }
            Object::Line(no, line) => {
                let mut known = vec![("line", line.0.to_string())];
                if let Some(ordered) = body.and_then(|body| body.line(line)) {
                    known.push(("sku", self.sku(ordered.sku)));
                    known.push(("qty", ordered.qty.to_string()));
                    known.push(("amount", ordered.total().0.to_string()));
                } else if let Some(named) = m.lines.iter().find(|named| named.line == line && named.sku.is_some()) {
                    known.push(("sku", self.sku(named.sku)));
                }
                ("line", no, known)
            }
            Object::Parcel(no, _) => ("parcel", no, m.node.is_some().then(|| ("node", self.node(m.node))).into_iter().collect()),
            Object::Payment(no, _) => {
                let made = matches!(m.op, Op::PaymentAuthorize | Op::PaymentAuthorized | Op::PaymentReauthorized) && m.amount.0 != 0;
                ("payment", no, made.then(|| ("amount", m.amount.0.to_string())).into_iter().collect())
            }
            Object::Return(no, _) => {
                let exchange = matches!(m.op, Op::RequestExchange | Op::ExchangeCreated);
                ("return", no, vec![("exchange", exchange.to_string())])
            }
            Object::Stock(node, sku) => ("stock", OrderNo::NONE, vec![("sku", self.sku(sku)), ("node", self.node(node))]),
        };
        let attributes: Vec<Value> = attributes.into_iter().map(|(name, value)| json!({"name": name, "time": self.time, "value": value})).collect();
        let order = of.is_some().then(|| json!({"objectId": self.id(Object::Order(of)), "qualifier": "of order"}));
        json!({"id": self.id(object), "type": sort, "attributes": attributes, "relationships": order.into_iter().collect::<Vec<_>>()})
    }

    fn event(&self, entry: &Entry, objects: &[(Object, &'static str)]) -> Value {
        let m = &entry.msg;
        let id = |id: Id| id.is_some().then(|| self.names.show_id(id));
        let number = |value: i64| (value != 0).then(|| value.to_string());
        let values = [
            ("n", Some(entry.n.to_string())),
            ("message", id(m.id)),
            ("key", id(m.key)),
            ("cause", id(m.cause)),
            ("outcome", (entry.outcome != Outcome::None).then(|| entry.outcome.name().to_owned())),
            ("code", (m.code != Code::None).then(|| m.code.name().to_owned())),
            ("qty", number(m.qty.into())),
            ("amount", number(m.amount.0)),
            ("seq", number(m.seq.into())),
        ];
        let attributes: Vec<Value> = values.into_iter().filter_map(|(name, value)| Some(json!({"name": name, "value": value?}))).collect();
        let related: Vec<Value> = objects.iter().map(|(object, part)| json!({"objectId": self.id(*object), "qualifier": part})).collect();
        json!({"id": format!("e{}", entry.n), "type": sort(entry.kind, m.op), "time": self.time, "attributes": attributes, "relationships": related})
    }
}

/// A name without the sign that parts names.
fn plain(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}
