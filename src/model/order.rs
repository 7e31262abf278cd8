//! What a shopper asks for.

use super::{LineNo, Money, NodeId, Region, SkuId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an order came in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    #[default]
    Web,
    App,
    Store,
    Cs,
    Marketplace,
    B2b,
}

impl Channel {
    pub const ALL: [Channel; 6] = [Channel::Web, Channel::App, Channel::Store, Channel::Cs, Channel::Marketplace, Channel::B2b];
    pub fn name(self) -> &'static str {
        match self {
            Channel::Web => "web",
            Channel::App => "app",
            Channel::Store => "store",
            Channel::Cs => "cs",
            Channel::Marketplace => "marketplace",
            Channel::B2b => "b2b",
        }
    }
}

/// How a line reaches the shopper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fulfil {
    #[default]
    Ship,
    Pickup,
}

/// One line as ordered. All amounts are for the shopper's currency in minor units.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OrderLine {
    pub line: LineNo,
    pub sku: SkuId,
    pub qty: u32,
    /// list price of one unit
    pub unit_price: Money,
    /// discount on the whole line, to be taken off `qty * unit_price`
    pub discount: Money,
    /// tax on the whole line
    pub tax: Money,
    pub fulfil: Fulfil,
    /// the store of a pickup line; none where the target chooses
    pub node: NodeId,
}

impl OrderLine {
    /// What the shopper owes for the whole line: an exact sum, no rounding is involved.
    pub fn total(&self) -> Money {
        Money(self.unit_price.0 * i64::from(self.qty)) - self.discount + self.tax
    }
}

/// One order as placed; for an exchange, the new lines.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Order {
    pub channel: Channel,
    pub ship_to: Region,
    /// index into the pool of people; names and addresses are made from it only where bytes leave the process
    pub customer: u32,
    pub lines: Vec<OrderLine>,
    /// charged once an order
    pub shipping: Money,
    /// all lines in one go, or wait
    pub ship_complete: bool,
}

impl Order {
    /// What the shopper owes in all.
    pub fn total(&self) -> Money {
        self.lines.iter().map(OrderLine::total).sum::<Money>() + self.shipping
    }
    pub fn units(&self) -> u32 {
        self.lines.iter().map(|line| line.qty).sum()
    }
    pub fn line(&self, line: LineNo) -> Option<&OrderLine> {
        self.lines.iter().find(|l| l.line == line)
    }
}
