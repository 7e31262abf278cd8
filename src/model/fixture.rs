//! The estate a case runs in: nodes, products, and the policies that the target declares.

use super::{Money, NodeId, SkuId};
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A coarse place: two are enough to make one node nearer than another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    #[default]
    East,
    West,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum NodeKind {
    #[default]
    #[serde(rename = "dc")]
    Dc,
    #[serde(rename = "store")]
    Store,
    #[serde(rename = "3pl")]
    ThirdParty,
    #[serde(rename = "supplier")]
    Supplier,
}

/// A place that holds stock. In a history all but the name may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub name: String,
    #[serde(default)]
    pub kind: NodeKind,
    #[serde(default)]
    pub region: Region,
    /// units of each SKU kept back from orders
    #[serde(default)]
    pub safety_stock: u32,
    /// orders that may be promised to it on one day of the calendar, midnight to midnight; 0 is no limit
    #[serde(default)]
    pub capacity_per_day: u32,
    /// hours of the day in which a store works, such as 9 to 21; 0 to 24 is always
    #[serde(default)]
    pub opens_h: u8,
    #[serde(default = "midnight")]
    pub closes_h: u8,
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn midnight() -> u8 {
    24
}

fn yes() -> bool {
    true
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub name: String,
    #[serde(default)]
    pub price: Money,
    #[serde(default)]
    pub backorderable: bool,
}

/// What the target declares about its own rules. A checker reads these; it assumes none of them. What a history leaves out was
/// not declared: a word is then empty, and no rule that rests on it is judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default = "Policies::undeclared")]
pub struct Policies {
    /// `on_ship`: capture when units leave (or are collected)
    pub capture: String,
    /// `on_inspection`: refund when returned goods were inspected
    pub refund: String,
    /// `net`: of an exchange only the difference moves: what the new goods cost more is captured with the first of their parcels,
    /// what they cost less is refunded on inspection
    pub exchange: String,
    /// `fifo`: who waits longest for a SKU is served first, whole lines only if `backorder_partial` is false
    pub backorder: String,
    pub backorder_partial: bool,
    /// `cumulative`: the n-th unit of a line is worth round(n/qty * line) - round((n-1)/qty * line); under any other a cent a unit is open
    pub rounding: String,
    pub pickup_hold_s: u64,
    pub node_accept_sla_s: u64,
    /// what `ok` to a whole CancelOrder promises: `done`, the order is cancelled; or `accepted`, it is being tried. `pending` is always the latter.
    pub cancel_ok: String,
    /// `fewest_nodes`: where one node can bring all that an order has shipped, no second one is asked; anything else promises nothing
    pub split: String,
    /// `nearest`: of nodes that can bring everything, one in the shopper's region before any other; anything else promises nothing
    pub region: String,
    /// a new order is not released for so long
    pub remorse_hold_s: u64,
    /// the target's own work, in time (0: no promise): what is paid, screened and reserved goes to its node,
    pub release_within_s: u64,
    /// what left is captured,
    pub capture_within_s: u64,
    /// returned goods that were inspected are refunded. A quarter of an hour is several tries of a call; assumed.
    pub refund_within_s: u64,
}

impl Default for Policies {
    fn default() -> Policies {
        Policies {
            capture: "on_ship".into(),
            refund: "on_inspection".into(),
            exchange: "net".into(),
            backorder: "fifo".into(),
            backorder_partial: false,
            rounding: "cumulative".into(),
            pickup_hold_s: Span::from_days(7).0 / 1_000_000_000,
            node_accept_sla_s: Span::from_hours(2).0 / 1_000_000_000,
            cancel_ok: "done".into(),
            split: "fewest_nodes".into(),
            region: "nearest".into(),
            remorse_hold_s: 0,
            release_within_s: 900,
            capture_within_s: 900,
            refund_within_s: 900,
        }
    }
}

impl Policies {
    /// The words that a policy may have, besides none: `other` is one that no rule here knows.
    pub fn words(&self) -> [(&'static str, &str, &'static [&'static str]); 8] {
        [
            ("capture", &self.capture, &["on_ship", "other"]),
            ("refund", &self.refund, &["on_inspection", "other"]),
            ("exchange", &self.exchange, &["net", "other"]),
            ("backorder", &self.backorder, &["fifo", "other"]),
            ("rounding", &self.rounding, &["cumulative", "other"]),
            ("cancel_ok", &self.cancel_ok, &["done", "accepted"]),
            ("split", &self.split, &["fewest_nodes", "other"]),
            ("region", &self.region, &["nearest", "other"]),
        ]
    }
    /// What is known of a target that declares nothing: it promised nothing. Exchanges that net and cumulative rounding are taken for granted.
    pub fn undeclared() -> Policies {
        let none = String::new;
        Policies {
            capture: none(),
            refund: none(),
            backorder: none(),
            pickup_hold_s: 0,
            node_accept_sla_s: 0,
            cancel_ok: "accepted".into(),
            split: none(),
            region: none(),
            release_within_s: 0,
            capture_within_s: 0,
            refund_within_s: 0,
            ..Policies::default()
        }
    }
}

/// Nodes, products and policies of one case.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    #[serde(default)]
    pub nodes: Vec<Node>,
    #[serde(default)]
    pub products: Vec<Product>,
    #[serde(default = "Policies::undeclared")]
    pub policies: Policies,
}

impl Fixture {
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get((id.0 as usize).wrapping_sub(1))
    }
    pub fn product(&self, id: SkuId) -> Option<&Product> {
        self.products.get((id.0 as usize).wrapping_sub(1))
    }
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name).map(|i| NodeId(i as u16 + 1))
    }
    pub fn sku_named(&self, name: &str) -> Option<SkuId> {
        self.products.iter().position(|p| p.name == name).map(|i| SkuId(i as u32 + 1))
    }
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.nodes.len() as u16).map(NodeId)
    }
    pub fn sku_ids(&self) -> impl Iterator<Item = SkuId> + use<> {
        (1..=self.products.len() as u32).map(SkuId)
    }
    pub fn node_name(&self, id: NodeId) -> &str {
        self.node(id).map_or("", |n| &n.name)
    }
    pub fn sku_name(&self, id: SkuId) -> &str {
        self.product(id).map_or("", |p| &p.name)
    }
}

/// The local hour at which every run begins: shops are open.
pub const RUN_BEGINS_AT_H: u64 = 10;
