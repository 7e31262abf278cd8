//! What orders are about: catalogue, popularity, baskets, channels, shoppers and what they do later, as the file says it.

use super::number::NumberFile;
use super::popularity::PopularityFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The catalogue, and how its SKUs share what is asked.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoodsFile {
    /// SKUs in the catalogue; they are named `SKU1`, `SKU2`, ..
    #[schemars(range(min = 1, max = 5000000))]
    pub skus: u32,
    /// laws of popularity, each for a share of the lines
    #[schemars(length(min = 1, max = 20))]
    pub popularity: Vec<PopularityFile>,
    /// share of the SKUs that change rank with another one, every midnight for a year; hot sets of their own stay as they are
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub drift: f64,
    /// opening stock of a SKU, as a multiple of the units that the run asks for
    #[serde(default = "plenty")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub cover: f64,
    /// all orders draw on one stock: the case is one region, however large. Else each region of 1,024 orders has its share
    #[serde(default)]
    pub one_stock: bool,
    /// price of a unit in cents: the median of a lognormal law
    #[serde(default = "price")]
    #[schemars(range(min = 1, max = 100000000))]
    pub price: i64,
    /// standard deviation of the logarithm of prices
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub price_sigma: f64,
}

/// How large orders are. A SKU that is drawn twice for an order is one line with both quantities.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasketFile {
    /// lines of an order
    #[serde(default)]
    pub lines: NumberFile,
    /// units of a line
    #[serde(default)]
    pub qty: NumberFile,
}

/// Relative shares of the channels through which orders come.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelsFile {
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub web: f64,
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub app: f64,
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub store: f64,
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub cs: f64,
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub marketplace: f64,
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub b2b: f64,
}

impl Default for ChannelsFile {
    fn default() -> ChannelsFile {
        ChannelsFile { web: 0.0, app: 0.0, store: 0.0, cs: 0.0, marketplace: 0.0, b2b: 0.0 }
    }
}

impl ChannelsFile {
    /// In the order of `Channel::ALL`.
    pub fn weights(&self) -> [f64; 6] {
        [self.web, self.app, self.store, self.cs, self.marketplace, self.b2b]
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShoppersFile {
    /// how many people there are to order
    #[schemars(range(min = 1, max = 1000000000))]
    pub people: u32,
    /// share of orders to the west
    #[schemars(range(min = 0.0, max = 1.0))]
    pub west: f64,
    /// share of orders that are picked up in the store of the shopper's region
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pickup: f64,
}

impl Default for ShoppersFile {
    fn default() -> ShoppersFile {
        ShoppersFile { people: 100_000, west: 0.5, pickup: 0.0 }
    }
}

/// What shoppers do after they ordered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LaterFile {
    /// share of orders that their shopper cancels
    #[schemars(range(min = 0.0, max = 1.0))]
    pub cancel: f64,
    /// how long after the order was accepted: a duration, or a range to draw from
    pub cancel_after: String,
    /// share of orders that come back
    #[serde(rename = "return")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub returns: f64,
    /// how long after the order was complete
    pub return_after: String,
}

impl Default for LaterFile {
    fn default() -> LaterFile {
        LaterFile { cancel: 0.0, cancel_after: "0s..30m".into(), returns: 0.0, return_after: "1d..20d".into() }
    }
}

/// News of stock besides what orders move.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedFile {
    /// messages for each order: units that come in at a warehouse, or are sold in a store, of SKUs as popular as in orders
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub deltas: f64,
    /// time between two full snapshots of all nodes, such as `"1d"`; none where absent
    pub snapshot: Option<String>,
}

fn plenty() -> f64 {
    1.5
}

fn price() -> i64 {
    2_500
}
