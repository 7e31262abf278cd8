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

/// A place that holds stock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub kind: NodeKind,
    pub region: Region,
    /// units of each SKU kept back from orders
    pub safety_stock: u32,
    /// fulfillments that may be released to it a day; 0 is no limit
    pub capacity_per_day: u32,
    /// hours of the day in which a store works, such as 9 to 21; 0 to 24 is always
    pub opens_h: u8,
    pub closes_h: u8,
    pub enabled: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Product {
    pub name: String,
    pub price: Money,
    pub backorderable: bool,
}

/// What the target declares about its own rules. A checker reads these; it assumes none of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policies {
    /// `on_ship`: capture when units leave (or are collected)
    pub capture: String,
    /// `on_inspection`: refund when returned goods were inspected
    pub refund: String,
    /// `net`: of an exchange only the difference moves: what the new goods cost more is captured with the first of their parcels,
    /// what they cost less is refunded on inspection
    #[serde(default = "net")]
    pub exchange: String,
    /// `fifo`: who waits longest for a SKU is served first, whole lines only if `backorder_partial` is false
    pub backorder: String,
    pub backorder_partial: bool,
    /// `cumulative`: the n-th unit of a line is worth round(n/qty * line) - round((n-1)/qty * line)
    pub rounding: String,
    pub pickup_hold_s: u64,
    pub node_accept_sla_s: u64,
}

// histories from before the policy was declared were all made under it
fn net() -> String {
    "net".into()
}

impl Default for Policies {
    fn default() -> Policies {
        Policies {
            capture: "on_ship".into(),
            refund: "on_inspection".into(),
            exchange: net(),
            backorder: "fifo".into(),
            backorder_partial: false,
            rounding: "cumulative".into(),
            pickup_hold_s: Span::from_days(7).0 / 1_000_000_000,
            node_accept_sla_s: Span::from_hours(2).0 / 1_000_000_000,
        }
    }
}

/// Nodes, products and policies of one case.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fixture {
    pub nodes: Vec<Node>,
    pub products: Vec<Product>,
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
