//! What an entry of another program must say to be of use. Our own always do; of a stranger's, one that no rule could judge is
//! an error and not a silent pass.

use super::problem::{Fault, nearest};
use super::row::KINDS;
use crate::history::{Entry, Kind};
use crate::model::{Class, Message, Op, OrderLine, Outcome};

/// What sorts of operation go with a kind.
fn classes(kind: Kind) -> &'static [Class] {
    match kind {
        Kind::Sent | Kind::Reply => &[Class::Command, Class::Query, Class::Feed, Class::Callback],
        Kind::Call | Kind::Answer => &[Class::Call],
        Kind::Event => &[Class::Event],
        Kind::Fact => &[Class::Call, Class::Callback, Class::Stock],
        Kind::Fault => &[Class::Command, Class::Query, Class::Feed, Class::Callback, Class::Call, Class::Event, Class::Mark],
        Kind::State => &[Class::Query],
        Kind::Mark => &[Class::Mark],
    }
}

/// What is wrong with the entry, if anything.
pub(super) fn lacks(entry: &Entry) -> Option<Fault> {
    let (kind, op) = (entry.kind, entry.msg.op);
    if !classes(kind).contains(&op.class()) {
        let fits: Vec<&str> = KINDS.into_iter().filter(|kind| classes(*kind).contains(&op.class()) && *kind != Kind::Fault).map(Kind::name).collect();
        let known = || Op::ALL.iter().filter(|op| classes(kind).contains(&op.class())).map(|op| op.name());
        // `shipment.shipped` is what the target says of what the node did: `node.shipped`
        let tail = op.name().rsplit('.').next().unwrap_or_default();
        let near = nearest(op.name(), known()).or_else(|| known().find(|name| name.rsplit('.').next() == Some(tail)).map(str::to_owned));
        let fault = Fault::new(format!("`{op}` cannot be of kind `{}`", kind.name()), format!("`{op}` as {}", fits.join(" or ")));
        return Some(Fault { field: Some("kind".into()), nearest: near, ..fault });
    }
    if let Some((key, why)) = needs(kind, op).iter().find(|(key, _)| !has(entry, key)) {
        return Some(Fault::new(format!("the key `{key}` is missing"), format!("`{key}` in each {} {op}: {why}", kind.name())));
    }
    figures(entry)
}

/// Amounts and quantities that nothing could come to.
fn figures(entry: &Entry) -> Option<Fault> {
    /// Ten thousand million of a currency with cents: far beyond any order, and far from what cannot be added up.
    const MOST: i128 = 1_000_000_000_000;
    let msg = &entry.msg;
    let named = |key: &str, fault: Fault| Some(Fault { field: Some(key.into()), ..fault });
    let paid = matches!(msg.op.name().split_once('.'), Some(("payment", _)));
    if msg.amount.0.unsigned_abs() as i128 > MOST || paid && msg.amount.0 < 0 {
        let least = if paid { "0" } else { "-1000000000000" };
        return named("amount", Fault::new(format!("the amount {}", msg.amount.0), format!("whole cents from {least} to {MOST}")));
    }
    let moved = matches!(entry.kind, Kind::Fact | Kind::Event) && !matches!(msg.op.class(), Class::Stock);
    if let Some(line) = msg.lines.iter().find(|line| moved && line.qty <= 0) {
        return named("qty", Fault::new(format!("{} units", line.qty), "a quantity above 0: what went the other way has an operation of its own"));
    }
    let body = msg.body.as_ref()?;
    let wide = |line: &OrderLine| {
        let goods = i128::from(line.unit_price.0) * i128::from(line.qty);
        [goods, line.discount.0.into(), line.tax.0.into()].iter().any(|cents| cents.abs() > MOST)
    };
    if body.lines.len() > 10_000 || body.shipping.0.unsigned_abs() as i128 > MOST || body.lines.iter().any(wide) {
        let expected = format!("at most 10000 lines, each worth at most {MOST} cents (`unit_price` times `qty`)");
        return named("body", Fault::new("an order that cannot be added up", expected));
    }
    None
}

type Needs = &'static [(&'static str, &'static str)];

fn needs(kind: Kind, op: Op) -> Needs {
    const ORDER: (&str, &str) = ("order", "which order it is about");
    const LINES: (&str, &str) = ("lines", "which units it is about, each with `sku` and `qty`");
    const RET: (&str, &str) = ("ret", "which return or exchange it is about");
    const PAY: (&str, &str) = ("pay", "which authorization it is about");
    const FULFILLMENT: (&str, &str) = ("fulfillment", "which parcel it is about");
    const OUTCOME: (&str, &str) = ("outcome", "what was answered");
    const NODE: (&str, &str) = ("node", "where");
    const SKU: (&str, &str) = ("sku", "of what");
    match (kind, op) {
        (Kind::Sent, Op::PlaceOrder) => &[ORDER, ("body", "the order: `lines`, each with `line`, `sku` and `qty`")],
        (Kind::Sent, Op::RequestReturn | Op::RequestExchange) => &[ORDER, RET, LINES],
        (Kind::Sent, Op::CancelReturn) => &[ORDER, RET],
        (Kind::Sent, Op::InventorySnapshot) => &[NODE, LINES],
        (Kind::Sent, Op::InventoryDelta) => &[NODE, SKU],
        (Kind::Sent, op) if op.class() == Class::Command => &[ORDER],
        (Kind::Reply, Op::RequestReturn | Op::RequestExchange) => &[ORDER, RET, OUTCOME],
        (Kind::Reply, op) if op.class() == Class::Command => &[ORDER, OUTCOME],
        (Kind::Reply | Kind::Answer, _) => &[OUTCOME],
        (Kind::Event, Op::InventoryReserved | Op::InventoryReleased) => &[ORDER, NODE, LINES],
        (Kind::Event, Op::LineBackordered | Op::LineCancelled) => &[ORDER, LINES],
        (Kind::Event, Op::ShipmentShipped | Op::FulfillmentPickedUp) => &[ORDER, FULFILLMENT, LINES],
        (Kind::Event, Op::InventoryAdjusted) => &[NODE, SKU],
        (Kind::Event, Op::DeadLettered | Op::NotificationRequested) => &[],
        (Kind::Event, op) if matches!(op.name().split_once('.'), Some(("fulfillment" | "shipment", _))) => &[ORDER, FULFILLMENT],
        (Kind::Event, op) if matches!(op.name().split_once('.'), Some(("return" | "exchange", _))) => &[ORDER, RET],
        (Kind::Event, _) => &[ORDER],
        (Kind::Fact, Op::PaymentAuthorize | Op::PaymentCapture | Op::PaymentRefund) => &[ORDER, PAY, ("amount", "how much, in whole cents")],
        (Kind::Fact, Op::PaymentVoid | Op::CbPaymentExpired) => &[ORDER, PAY],
        (Kind::Fact, Op::CbNodeShipped | Op::CbNodeCollected) => &[ORDER, FULFILLMENT, LINES],
        (Kind::Fact, Op::NodeRelease | Op::NodeCancel | Op::CbNodeRejected | Op::CbNodeShortPicked) => &[ORDER, FULFILLMENT],
        (Kind::Fact, Op::CbNodeReceived | Op::CbNodeInspected) => &[ORDER, RET, LINES],
        (Kind::Fact, op) if op.class() == Class::Stock => &[NODE, SKU],
        (Kind::State, Op::GetOrder) => &[ORDER, ("code", "what the target says it is: `completed`, `open`, ..")],
        (Kind::State, _) => &[NODE, SKU],
        _ => &[],
    }
}

fn has(entry: &Entry, key: &str) -> bool {
    let Message { order, ret, pay, fulfillment, node, sku, lines, body, code, amount, .. } = &*entry.msg;
    match key {
        "order" => order.is_some(),
        "amount" => amount.0 != 0,
        "ret" => ret.is_some(),
        "pay" => pay.is_some(),
        "fulfillment" => fulfillment.is_some(),
        "node" => node.is_some(),
        "sku" => sku.is_some(),
        "lines" => !lines.is_empty() && lines.iter().all(|line| line.sku.is_some()),
        "body" => {
            body.as_ref().is_some_and(|body| !body.lines.is_empty() && body.lines.iter().all(|l| l.line.is_some() && l.sku.is_some() && l.qty > 0))
        }
        "code" => *code != crate::model::Code::None,
        _ => entry.outcome != Outcome::None,
    }
}
