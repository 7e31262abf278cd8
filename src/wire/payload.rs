//! What a message says, as JSON. One vocabulary for all of them; which fields an operation has, docs/contract.md says.

use super::{Names, Unreadable};
use crate::model::{Channel, Code, Fid, Fulfil, Id, LineNo, LineQty, Message, Money, NodeId, Op, Order, OrderLine, Region, SkuId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields of a message. What is absent is not said; a receiver ignores what it does not know.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Payload {
    /// the client's name of the order
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order_id: String,
    /// the target's name of a fulfillment; its parcel has the same
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fulfillment_id: String,
    /// the client's name of a return or an exchange
    #[serde(skip_serializing_if = "String::is_empty")]
    pub return_id: String,
    /// the payment partner's name of an authorization
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payment_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sku: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub line_id: u16,
    /// units; of a feed by how many the stock changed
    #[serde(skip_serializing_if = "is_zero")]
    pub quantity: i32,
    /// minor units (cents) of the run's one currency
    #[serde(skip_serializing_if = "is_zero")]
    pub amount: i64,
    /// a reason, a verdict, an initiator: a word of the vocabulary
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// version of the routing rules
    #[serde(skip_serializing_if = "is_zero")]
    pub rule_version: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<PayloadLine>,
    /// PlaceOrder: the order. RequestExchange: the new lines
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<PayloadOrder>,
    /// what else is there: a newer sender wrote it
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Units of one SKU, on a line where there is one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PayloadLine {
    #[serde(skip_serializing_if = "is_zero")]
    pub line_id: u16,
    pub sku: String,
    pub quantity: i32,
    /// number of the movement among all of this SKU at this node; 0 or absent where none is reported
    #[serde(skip_serializing_if = "is_zero")]
    pub movement: u32,
}

/// What a shopper asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PayloadOrder {
    pub channel: Channel,
    pub ship_to: Region,
    /// who asks, as a number
    pub customer: u32,
    pub lines: Vec<PayloadOrderLine>,
    /// minor units
    pub shipping: i64,
    /// all in one parcel or not at all
    pub ship_complete: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PayloadOrderLine {
    pub line_id: u16,
    pub sku: String,
    pub quantity: u32,
    /// minor units, as all amounts
    pub unit_price: i64,
    pub discount: i64,
    pub tax: i64,
    pub fulfil: Fulfil,
    /// pickup: where
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_id: String,
}

impl Payload {
    pub fn of(msg: &Message, names: &Names) -> Payload {
        let estate = names.estate();
        let text = |some: bool, show: &dyn Fn() -> String| if some { show() } else { String::new() };
        let line = |q: &LineQty| PayloadLine { line_id: q.line.0, sku: estate.sku_name(q.sku).into(), quantity: q.qty, movement: q.seq };
        Payload {
            order_id: text(msg.order.is_some(), &|| names.show_order(msg.order)),
            fulfillment_id: text(msg.fulfillment.is_some(), &|| names.show_fid(msg.fulfillment)),
            return_id: text(msg.ret.is_some(), &|| names.show_id(msg.ret)),
            payment_id: text(msg.pay.is_some(), &|| names.show_id(msg.pay)),
            node_id: estate.node_name(msg.node).into(),
            sku: estate.sku_name(msg.sku).into(),
            line_id: msg.line.0,
            quantity: msg.qty,
            amount: msg.amount.0,
            code: msg.code.name().into(),
            rule_version: msg.rule_version,
            lines: msg.lines.iter().map(line).collect(),
            order: msg.body.as_ref().map(|order| order_out(order, names)),
            unknown: if msg.drift { BTreeMap::from([("added_later".into(), serde_json::json!({"by": "a newer sender"}))]) } else { BTreeMap::new() },
        }
    }

    /// The message that these fields make. What stands in the envelope (ids, key, cause, sequence) is not set here.
    pub fn message(&self, op: Op, names: &Names) -> Result<Message, Unreadable> {
        let node = |name: &str| if name.is_empty() { Ok(NodeId::NONE) } else { names.node(name) };
        let sku = |name: &str| if name.is_empty() { Ok(SkuId::NONE) } else { names.sku(name) };
        let code = Code::parse(&self.code)
            .ok_or_else(|| Unreadable { field: "code", expected: format!("a word of the vocabulary, not `{}`", self.code) })?;
        let line = |l: &PayloadLine| Ok(LineQty { line: LineNo(l.line_id), sku: sku(&l.sku)?, qty: l.quantity, seq: l.movement });
        let order_in = |order: &PayloadOrder| -> Result<Arc<Order>, Unreadable> {
            let line = |l: &PayloadOrderLine| {
                Ok(OrderLine {
                    line: LineNo(l.line_id),
                    sku: sku(&l.sku)?,
                    qty: l.quantity,
                    unit_price: Money(l.unit_price),
                    discount: Money(l.discount),
                    tax: Money(l.tax),
                    fulfil: l.fulfil,
                    node: node(&l.node_id)?,
                })
            };
            let lines = order.lines.iter().map(line).collect::<Result<_, Unreadable>>()?;
            let PayloadOrder { channel, ship_to, customer, shipping, ship_complete, .. } = *order;
            Ok(Arc::new(Order { channel, ship_to, customer, lines, shipping: Money(shipping), ship_complete }))
        };
        Ok(Message {
            order: names.order(&self.order_id),
            fulfillment: if self.fulfillment_id.is_empty() { Fid::NONE } else { names.fid(&self.fulfillment_id) },
            ret: names.id(&self.return_id),
            pay: names.id(&self.payment_id),
            node: node(&self.node_id)?,
            sku: sku(&self.sku)?,
            line: LineNo(self.line_id),
            qty: self.quantity,
            amount: Money(self.amount),
            code,
            rule_version: self.rule_version,
            drift: !self.unknown.is_empty(),
            lines: self.lines.iter().map(line).collect::<Result<_, Unreadable>>()?,
            body: self.order.as_ref().map(order_in).transpose()?,
            ..Message::new(op, Id::NONE)
        })
    }
}

fn order_out(order: &Order, names: &Names) -> PayloadOrder {
    let estate = names.estate();
    let line = |l: &OrderLine| PayloadOrderLine {
        line_id: l.line.0,
        sku: estate.sku_name(l.sku).into(),
        quantity: l.qty,
        unit_price: l.unit_price.0,
        discount: l.discount.0,
        tax: l.tax.0,
        fulfil: l.fulfil,
        node_id: estate.node_name(l.node).into(),
    };
    let Order { channel, ship_to, customer, shipping, ship_complete, .. } = *order;
    PayloadOrder { channel, ship_to, customer, lines: order.lines.iter().map(line).collect(), shipping: shipping.0, ship_complete }
}
