//! One line of a history file, as it is written, and the entry it stands for.

use super::problem::Fault;
use crate::history::{Entry, Kind};
use crate::model::ForeignNames;
use crate::model::{Channel, Code, Fixture, Fulfil, LineNo, LineQty, Message, Money, NodeId, Op, Order, OrderLine, Outcome, Region, SkuId};
use crate::sim::Timestamp;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// An entry or the footer. Every key is optional here, so that what is missing can be named in our words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row<'a> {
    n: Option<u64>,
    at: Option<u64>,
    due: Option<u64>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    outcome: Cow<'a, str>,
    #[serde(borrow, default)]
    op: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    order: Cow<'a, str>,
    #[serde(default)]
    line: u16,
    #[serde(borrow, default)]
    fulfillment: Cow<'a, str>,
    #[serde(borrow, default)]
    ret: Cow<'a, str>,
    #[serde(borrow, default)]
    pay: Cow<'a, str>,
    #[serde(borrow, default)]
    node: Cow<'a, str>,
    #[serde(borrow, default)]
    sku: Cow<'a, str>,
    #[serde(default)]
    qty: i32,
    #[serde(default)]
    amount: i64,
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(default)]
    seq: u32,
    #[serde(default)]
    rule_version: u32,
    #[serde(borrow, default)]
    cause: Cow<'a, str>,
    #[serde(default)]
    drift: bool,
    #[serde(borrow, default)]
    corr: Cow<'a, str>,
    #[serde(borrow, default)]
    lines: Vec<LineRow<'a>>,
    #[serde(borrow)]
    body: Option<BodyRow<'a>>,
    pub end: Option<Footer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Footer {
    /// checked where they are given
    pub entries: Option<u64>,
    pub sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineRow<'a> {
    #[serde(default)]
    line: u16,
    #[serde(borrow, default)]
    sku: Cow<'a, str>,
    #[serde(default)]
    qty: i32,
    #[serde(default)]
    seq: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyRow<'a> {
    #[serde(default)]
    channel: Channel,
    #[serde(default)]
    ship_to: Region,
    customer: Option<CustomerRow>,
    #[serde(borrow, default)]
    lines: Vec<OrderLineRow<'a>>,
    #[serde(default)]
    shipping: i64,
    #[serde(default)]
    ship_complete: bool,
}

/// Name and address are for the eye; the number is the shopper.
#[derive(Deserialize)]
struct CustomerRow {
    #[serde(default)]
    no: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderLineRow<'a> {
    #[serde(default)]
    line: u16,
    #[serde(borrow, default)]
    sku: Cow<'a, str>,
    #[serde(default)]
    qty: u32,
    #[serde(default)]
    unit_price: i64,
    #[serde(default)]
    discount: i64,
    #[serde(default)]
    tax: i64,
    #[serde(default)]
    fulfil: Fulfil,
    #[serde(borrow, default)]
    node: Cow<'a, str>,
}

pub(super) const KINDS: [Kind; 9] =
    [Kind::Sent, Kind::Reply, Kind::Call, Kind::Answer, Kind::Event, Kind::Fact, Kind::Fault, Kind::State, Kind::Mark];
const OUTCOMES: [Outcome; 8] =
    [Outcome::Ok, Outcome::Replayed, Outcome::Pending, Outcome::Rejected, Outcome::Backpressure, Outcome::Error, Outcome::Refused, Outcome::TimedOut];

/// Names to ids for one file.
pub(super) struct Lexicon {
    nodes: FxHashMap<String, NodeId>,
    skus: FxHashMap<String, SkuId>,
    pub foreign: ForeignNames,
}

impl Lexicon {
    pub fn new(fixture: &Fixture) -> Lexicon {
        let mut lexicon = Lexicon { nodes: FxHashMap::default(), skus: FxHashMap::default(), foreign: ForeignNames::default() };
        // the first of two equal names wins, as it does in the fixture's own look-up
        for id in fixture.node_ids() {
            lexicon.nodes.entry(fixture.node_name(id).to_owned()).or_insert(id);
        }
        for id in fixture.sku_ids() {
            lexicon.skus.entry(fixture.sku_name(id).to_owned()).or_insert(id);
        }
        lexicon
    }

    fn node(&self, name: &str, line: &str) -> Result<NodeId, Fault> {
        let numbered = || name.strip_prefix('#')?.parse().ok().map(NodeId);
        match name {
            "" => Ok(NodeId::NONE),
            name => {
                self.nodes.get(name).copied().or_else(numbered).ok_or_else(|| Fault::unknown_word(line, "node", "node", name, sorted(&self.nodes)))
            }
        }
    }

    fn sku(&self, name: &str, line: &str) -> Result<SkuId, Fault> {
        let numbered = || name.strip_prefix('#')?.parse().ok().map(SkuId);
        match name {
            "" => Ok(SkuId::NONE),
            name => self.skus.get(name).copied().or_else(numbered).ok_or_else(|| Fault::unknown_word(line, "sku", "SKU", name, sorted(&self.skus))),
        }
    }
}

fn sorted<V>(names: &FxHashMap<String, V>) -> Vec<&str> {
    let mut list: Vec<&str> = names.keys().map(String::as_str).collect();
    list.sort_unstable();
    list
}

impl Row<'_> {
    /// `place` is the number of an entry that does not say its own.
    pub fn entry(self, place: u64, lexicon: &mut Lexicon, line: &str) -> Result<Entry, Fault> {
        let missing = |name: &str| Fault::new(format!("the key `{name}` is missing"), "at, kind and op in every entry");
        let n = self.n.unwrap_or(place);
        let at = Timestamp(self.at.ok_or_else(|| missing("at"))?);
        if self.kind.is_empty() || self.op.is_empty() {
            return Err(missing(if self.kind.is_empty() { "kind" } else { "op" }));
        }
        let kind = KINDS.into_iter().find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| Fault::unknown_word(line, "kind", "kind", &self.kind, KINDS.map(Kind::name)))?;
        let op = Op::parse(&self.op).ok_or_else(|| Fault::unknown_word(line, "op", "operation", &self.op, Op::ALL.iter().map(|op| op.name())))?;
        let code = Code::parse(&self.code)
            .ok_or_else(|| Fault::unknown_word(line, "code", "reason code", &self.code, Code::ALL.iter().map(|c| c.name())))?;
        let outcome = match &*self.outcome {
            "" => Outcome::None,
            text => OUTCOMES
                .into_iter()
                .find(|outcome| outcome.name() == text)
                .ok_or_else(|| Fault::unknown_word(line, "outcome", "outcome", text, OUTCOMES.map(Outcome::name)))?,
        };
        let lines = self.lines.iter().map(|l| Ok(LineQty { line: LineNo(l.line), sku: lexicon.sku(&l.sku, line)?, qty: l.qty, seq: l.seq }));
        let lines = lines.collect::<Result<_, Fault>>()?;
        let body = self.body.map(|body| body.order(lexicon, line)).transpose()?.map(Arc::new);
        let node = lexicon.node(&self.node, line)?;
        let sku = lexicon.sku(&self.sku, line)?;
        let names = &mut lexicon.foreign;
        let msg = Message {
            id: names.id(&self.id),
            op,
            key: names.id(&self.key),
            order: names.order(&self.order),
            fulfillment: names.fid(&self.fulfillment),
            ret: names.id(&self.ret),
            pay: names.id(&self.pay),
            node,
            sku,
            line: LineNo(self.line),
            qty: self.qty,
            amount: Money(self.amount),
            code,
            seq: self.seq,
            rule_version: self.rule_version,
            cause: names.id(&self.cause),
            drift: self.drift,
            corr: names.id(&self.corr),
            lines,
            body,
        };
        Ok(Entry { n, at, due: self.due.map_or(at, Timestamp), kind, outcome, msg: msg.into() })
    }
}

impl BodyRow<'_> {
    fn order(self, lexicon: &Lexicon, line: &str) -> Result<Order, Fault> {
        let lines = self.lines.iter().map(|l| {
            Ok(OrderLine {
                line: LineNo(l.line),
                sku: lexicon.sku(&l.sku, line)?,
                qty: l.qty,
                unit_price: Money(l.unit_price),
                discount: Money(l.discount),
                tax: Money(l.tax),
                fulfil: l.fulfil,
                node: lexicon.node(&l.node, line)?,
            })
        });
        Ok(Order {
            channel: self.channel,
            ship_to: self.ship_to,
            customer: self.customer.map_or(0, |customer| customer.no),
            lines: lines.collect::<Result<_, Fault>>()?,
            shipping: Money(self.shipping),
            ship_complete: self.ship_complete,
        })
    }
}
