//! The low form of a scenario: exactly what its TOML file says. JSON Schema and decoder both come from these types.
//!
//! All amounts of money are integers in minor units (cents), all durations text such as `"2h"`.

use super::FaultRuleFile;
use crate::model::{Channel, Fulfil, NodeKind, Region};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happens (estate, stock, order, steps, partner behaviour), what is expected, and the axes of the matrix.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "orderstorm scenario", extend("$id" = "https://orderstorm.dev/schemas/scenario.v1.json"))]
pub struct ScenarioFile {
    /// short unique name, such as `S01`; becomes the first part of every case name
    pub name: String,
    /// one line for a human
    pub title: String,
    /// why it matters and what it shows
    #[serde(default)]
    pub about: String,
    /// what every case of it must hold, such as `["latency.ack.p99 < 250ms", "orders.failed == 0"]` (docs/thresholds.md)
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub thresholds: Vec<String>,
    #[serde(default)]
    pub matrix: MatrixFile,
    /// changes to the standard nodes (DC1, DC2, S1, S2, 3PL1, SUP), by name
    #[serde(default)]
    pub nodes: BTreeMap<String, NodeFile>,
    /// goods besides the standard ones (A, A2, B to H, K), by name
    #[serde(default)]
    pub products: BTreeMap<String, ProductFile>,
    /// opening stock that the inventory feed reports, `"SKU@NODE" = units` (for one order; see `matrix.stock`)
    #[serde(default)]
    pub stock: BTreeMap<String, u32>,
    /// units that the feed reports but that are not on the shelf, `"SKU@NODE" = units`
    #[serde(default)]
    pub phantom: BTreeMap<String, u32>,
    /// the order as every shopper places it; where there are kinds, each has its own
    #[serde(default)]
    pub order: OrderFile,
    /// what the shopper, the shop floor or the supplier does, and when; where there are kinds, shoppers' steps are theirs
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub step: Vec<StepFile>,
    /// how a partner behaves where it is not simply helpful; where there are kinds, that is theirs to say
    #[serde(default)]
    pub partner: Vec<PartnerFile>,
    /// kinds of orders that a case mixes, in place of `order`, `partner` and the steps of shoppers above
    #[serde(default)]
    #[schemars(length(max = 10000))]
    pub kind: Vec<KindFile>,
    /// exactly these orders, in place of `matrix.orders` and drawn times; the case then has one channel, and only the faults of `fault`
    #[serde(default)]
    pub place: Vec<PlaceFile>,
    /// fault rules of the scenario's own: they are its only fault set, named `own`
    #[serde(default)]
    pub fault: Vec<FaultRuleFile>,
    /// the case whose draws this scenario keeps under the same seed, such as `M01.base.delay.web.400`: an order of the same number then has the
    /// same customer, partners and network as there. Behind a `/`, the partition of a case that was cut: `M01.base.delay.web.5000/1`
    pub luck: Option<String>,
    /// target policies that differ from the defaults
    #[serde(default)]
    pub policy: PolicyFile,
    /// what must be true of every order
    #[serde(default)]
    pub expect: ExpectFile,
    /// named changes to this file, each a test of its own: any key above except `name`, `matrix.channels` and `variant`; tables merge, lists and values replace
    #[serde(default)]
    pub variant: Vec<VariantFile>,
}

/// A variant: `name` and `about`, and any keys of the scenario that differ. Checked after merging.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct VariantFile {
    /// short name, unique within the scenario; second part of the case name
    pub name: String,
    #[serde(default)]
    pub about: String,
    /// keys of the scenario that start afresh here instead of being merged with the base, such as `["expect"]`
    #[serde(default)]
    pub replace: Vec<String>,
    #[serde(flatten)]
    pub changes: BTreeMap<String, serde_json::Value>,
}

/// Orders of one sort among others.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KindFile {
    /// short name, unique within the scenario
    pub name: String,
    /// how often this kind is drawn for an order, against the others
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000000))]
    pub weight: u32,
    pub order: OrderFile,
    /// what shoppers with such an order do, and when
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub step: Vec<StepFile>,
    /// how a partner behaves towards such an order where it is not simply helpful
    #[serde(default)]
    pub partner: Vec<PartnerFile>,
}

/// One order, placed at a time that is named.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceFile {
    /// its number, from which everything about it is drawn; default its position in this list, from 1
    #[schemars(range(min = 1, max = 100000000))]
    pub no: Option<u32>,
    /// how long after the case began
    pub at: String,
    /// name of its kind; default the first
    pub kind: Option<String>,
    #[serde(default)]
    pub channel: Channel,
}

/// The axes that make a matrix out of one scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatrixFile {
    /// sales channels to place the order through
    pub channels: Vec<Channel>,
    /// how many orders a case places, one case for each number
    pub orders: Vec<u32>,
    /// `pairwise`: every pair of axis values in some case; `full`: every combination
    pub cover: Cover,
    /// whose stock the orders draw on
    pub stock: StockScope,
    /// mean time between two orders of a case
    pub gap: String,
}

impl Default for MatrixFile {
    fn default() -> MatrixFile {
        MatrixFile {
            channels: vec![Channel::Web, Channel::App, Channel::Cs],
            orders: vec![1, 12],
            cover: Cover::Pairwise,
            stock: StockScope::Scaled,
            gap: "5m".into(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    #[default]
    Pairwise,
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StockScope {
    /// every quantity at a node (stock, safety stock, capacity, receipts, sales) is multiplied by the number of orders; all orders share it
    #[default]
    Scaled,
    /// every order gets SKUs of its own, stocked exactly as the file says
    PerOrder,
    /// as the file says, shared by however many orders there are
    Fixed,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductFile {
    /// cents a unit
    #[schemars(range(min = 0, max = 1000000000))]
    pub price: i64,
    /// orders may wait for it
    #[serde(default)]
    pub backorderable: bool,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    pub kind: Option<NodeKind>,
    pub region: Option<Region>,
    /// units of each SKU kept back from orders
    #[schemars(range(max = 1000000))]
    pub safety_stock: Option<u32>,
    /// fulfillments a day; 0 is no limit
    #[schemars(range(max = 1000000))]
    pub capacity_per_day: Option<u32>,
    /// hours of the day, such as `[9, 21]`
    pub hours: Option<(u8, u8)>,
    pub enabled: Option<bool>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderFile {
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub lines: Vec<LineFile>,
    /// where the shopper lives
    #[serde(default)]
    pub ship_to: Region,
    /// shipping charge in cents, once an order; default 800, or 0 where every line is picked up
    pub shipping: Option<i64>,
    /// tax on goods, in basis points (1000 is 10 %)
    #[serde(default)]
    #[schemars(range(min = 0, max = 10000))]
    pub tax_bp: u32,
    /// all lines in one go, or wait
    #[serde(default)]
    pub ship_complete: bool,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineFile {
    pub sku: String,
    #[schemars(range(min = 1, max = 1000000))]
    pub qty: u32,
    /// cents a unit; default the product's price
    pub price: Option<i64>,
    /// cents off the whole line
    #[serde(default)]
    pub discount: i64,
    #[serde(default)]
    pub fulfil: Fulfil,
    /// the store of a pickup line
    pub node: Option<String>,
}

/// Something that is done to the target during the case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    #[serde(rename = "do")]
    pub action: Action,
    /// the event of the order that sets it off, such as `fulfillment.allocated` (`order.placed` is the sending of the order); order steps only
    pub on: Option<String>,
    /// time after `on`, or for stock steps after the case began: a duration, or a range `"0s..10s"` to draw from
    #[serde(default)]
    pub after: Option<String>,
    /// the lines concerned; all where absent
    #[serde(default)]
    pub lines: Vec<StepLineFile>,
    /// exchange: the new lines
    #[serde(default)]
    pub take: Vec<LineFile>,
    /// exchange: when the new goods leave
    pub mode: Option<ExchangeMode>,
    /// return, exchange: how goods come back
    pub method: Option<ReturnMethod>,
    /// return, exchange: what inspection decides; default restock
    pub disposition: Option<Disposition>,
    /// stock steps, and the node that goods come back to (default the node that shipped)
    pub node: Option<String>,
    /// stock steps
    pub sku: Option<String>,
    /// stock steps: units
    #[schemars(range(min = 1, max = 1000000))]
    pub qty: Option<u32>,
    /// how often the shopper does it (each time under a new idempotency key)
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub times: u32,
    /// return, exchange: the goods are sent back before the request is made
    #[serde(default)]
    pub blind: bool,
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// the shopper cancels (all lines, or those named)
    Cancel,
    /// the shopper asks to return lines
    Return,
    /// the shopper asks to exchange lines for others
    Exchange,
    /// the shopper withdraws a return or exchange
    CancelReturn,
    /// goods arrive at a node and the feed says so
    Receipt,
    /// a till at a store sells units and the feed says so
    Sale,
    /// a purchase order is announced (`inventory.supply`)
    Supply,
    /// a full inventory snapshot of every node is sent
    Snapshot,
    /// a node is taken out of routing: from then on nothing new is promised there
    DisableNode,
    /// a node may be asked again
    EnableNode,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeMode {
    #[default]
    OnReceipt,
    Advance,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnMethod {
    #[default]
    Mail,
    /// bought online, returned in store
    Store,
    /// refunded, the goods stay with the shopper
    Keep,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    #[default]
    Restock,
    Scrap,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepLineFile {
    #[schemars(range(min = 1))]
    pub line: u16,
    /// units; all of the line where absent
    #[schemars(range(min = 1))]
    pub qty: Option<u32>,
}

/// How a partner answers, where it is not simply helpful.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerFile {
    /// the call or activity that behaves differently
    pub at: PartnerPoint,
    pub answer: PartnerAnswer,
    /// reason that goes with it
    pub reason: Option<PartnerReason>,
    /// only this node
    pub node: Option<String>,
    /// only the nth time for an order (from 1); every time where absent
    #[schemars(range(min = 1))]
    pub nth: Option<u32>,
    /// how long it takes, where that matters: a pending decision, a late acceptance, a shopper who comes to collect
    pub after: Option<String>,
    /// units concerned (a short pick); default all
    pub qty: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum PartnerPoint {
    #[serde(rename = "payment.authorize")]
    Authorize,
    #[serde(rename = "fraud.screen")]
    Screen,
    #[serde(rename = "address.validate")]
    Validate,
    /// a node takes on a released fulfillment
    #[serde(rename = "node.accept")]
    Accept,
    #[serde(rename = "node.pick")]
    Pick,
    /// the shopper comes for a pickup
    #[serde(rename = "customer.collect")]
    Collect,
    /// a node is asked to cancel
    #[serde(rename = "node.cancel")]
    NodeCancel,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartnerAnswer {
    /// as a helpful partner does, only at the time `after`
    Ok,
    Decline,
    /// says pending, approves after `after`
    Pending,
    /// review, accepts after `after`
    ReviewAccept,
    /// review, rejects after `after`
    ReviewReject,
    Reject,
    Corrected,
    Undeliverable,
    /// does nothing at all (no acceptance, nobody collects)
    Never,
    /// finds fewer units than asked: `qty` missing
    Short,
    /// refuses to cancel: the parcel goes on
    TooLate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartnerReason {
    NotInStock,
    Mismatch,
    Damaged,
    NoVariance,
    Closed,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// how long a staged pickup waits for its shopper, such as `"7d"`
    pub pickup_hold: Option<String>,
    /// how long a node may take to accept, such as `"2h"`
    pub node_accept_sla: Option<String>,
    /// serve a part of a backordered line as units arrive
    pub backorder_partial: Option<bool>,
    /// how long a new order waits before release, such as `"30m"`
    pub remorse_hold: Option<String>,
}

/// What is expected of every order of a case.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectFile {
    /// chains of canonical events: `a > b`, `x2`, `x1..3`, `?`, `*`, `+`, `(a & b)`, `(a | b)`, `each shipment: a > b`, `all shipment.a > b`
    pub flow: Vec<String>,
    /// events that must not occur: `a`, `a after b`, `a before b`
    pub never: Vec<String>,
    /// deadlines: `"a > b" = "2h"`, extended by the faults that overlap
    pub within: BTreeMap<String, String>,
    /// effects in the partners' books: `payment = { capture = 1, void = "0..1" }`
    pub calls: BTreeMap<String, BTreeMap<String, CountFile>>,
    pub ledger: LedgerFile,
    /// alternatives, each chosen by the event that names it; exactly one must come true
    pub outcome: BTreeMap<String, OutcomeFile>,
}

/// One legal way for an order to end; takes the place of nothing above, adds to it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutcomeFile {
    pub flow: Vec<String>,
    pub never: Vec<String>,
    pub within: BTreeMap<String, String>,
    pub calls: BTreeMap<String, BTreeMap<String, CountFile>>,
    pub ledger: LedgerFile,
}

/// A number, or a range such as `"0..2"` or `"1.."`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CountFile {
    Exactly(u32),
    Range(String),
}

/// An amount in cents, or a sum such as `"order.total + 5500 - line.1"`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AmountFile {
    Cents(i64),
    Sum(String),
}

/// The books at rest, for one order.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerFile {
    /// captured in all; terms: `order.total`, `order.goods`, `order.shipping`, `line.N`, `unit.N` (one unit of a line, cumulative rounding aside), whole cents
    pub captured: Option<AmountFile>,
    pub refunded: Option<AmountFile>,
    /// authorized but neither captured nor voided nor expired
    pub authorized_open: Option<AmountFile>,
    /// physical movement caused by one order and its share of the case's receipts and sales, `"SKU@NODE" = +1`; a key that is named is exact, keys not named are not judged
    pub stock: BTreeMap<String, i64>,
}
