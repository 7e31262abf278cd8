//! A recorded order history as the source of a run: its real times, SKUs and quantities, in virtual time.

use super::Trouble;
use crate::model::{Channel, Fixture, Fulfil, LineNo, Money, NodeId, Order, OrderLine, OrderNo, Product, Region, SkuId};
use crate::scenario::{
    Action, Case, Cover, Disposition, ExchangeMode, Expect, ExpectFile, Kind, Library, Matrix, ReturnMethod, Scenario, SpanRange, Step, StockScope,
    standard_fixture,
};
use crate::sim::{Span, Timestamp};
use crate::workload::{self, Account, DEFAULT_RECEIPT_LAG, Partition, import, opening_stock, parse_columns, replenishment};
use crate::world::{Opening, StockStep};
use std::path::Path;
use std::sync::Arc;

/// Share of each SKU's demand that is on the shelf when the run begins; the rest comes in after it ran out.
const OPENING_SHARE: f64 = 0.98;

/// Where more of the rows that may have been sales were left out, what ran may be another history than the one that was meant.
const MOST_LOST: f64 = 0.05;

/// Recorded orders, cut into the regions that they belong to.
pub struct Recorded {
    scenario: Arc<Scenario>,
    pub parts: Vec<Part>,
    /// what became of every row, as text and as JSON
    pub account: String,
    pub as_json: serde_json::Value,
    /// why what was run may not be what was meant
    pub doubt: Option<String>,
}

pub struct Part {
    orders: Vec<(Timestamp, OrderNo, Arc<Order>)>,
    opening: Vec<Opening>,
    receipts: Vec<StockStep>,
}

impl Recorded {
    pub fn partition(&self, case: &Case, number: u32) -> Partition {
        self.first(case, number, usize::MAX)
    }

    /// A partition of the first so many orders.
    pub fn first(&self, case: &Case, number: u32, most: usize) -> Partition {
        let part = &self.parts[number as usize];
        let of = (number, self.parts.len() as u32);
        let orders = part.orders.iter().take(most).cloned().collect();
        workload::recorded(&self.scenario, workload::seed_of(case.seed, number), of, orders, part.opening.clone(), part.receipts.clone())
    }
}

/// Reads the history and its column map.
pub fn load(file: &Path, columns: &str, most: Option<u32>, library: &mut Library) -> Result<(Scenario, Recorded), Trouble> {
    let (name, text) = library.column_map(columns)?;
    let columns = parse_columns(&text, &name).map_err(|error| Trouble::Usage(error.to_string()))?;
    let input = library.open_source(file)?;
    let shown = file.display().to_string();
    let mut history = import(input, &shown, &columns).map_err(|error| Trouble::Usage(error.to_string()))?;
    if let Some(most) = most {
        history.orders.truncate(most as usize);
    }
    let mut fixture = standard_fixture();
    fixture.products = history.skus.iter().map(|name| Product { name: name.clone(), price: Money::ZERO, backorderable: true }).collect();
    let node = |region: Region| if region == Region::East { NodeId(1) } else { NodeId(2) };
    let opening = opening_stock(&history, OPENING_SHARE);
    let receipts = replenishment(&history, &opening, DEFAULT_RECEIPT_LAG);
    let first = receipts.first().map(|receipt| (node(receipt.region), SkuId(receipt.sku + 1), clamp(receipt.units), receipt.at));
    let scenario = Arc::new(scenario(fixture, history.orders.len() as u32, most_orders(&history.orders), first)?);
    let account = format!("{}", history.account);
    let rows = format!("{} of {shown}", account.lines().next().unwrap_or_default());
    history.notes.iter().for_each(|note| eprintln!("note: {note}"));
    let doubt = doubt(&shown, &history.account);
    let as_json = serde_json::json!({"file": shown, "columns": name, "rows": rows, "account": history.account, "orders": history.orders.len(), "skus": history.skus.len()});
    let number = |at: usize| OrderNo(at as u32 + 1);
    let parts = [Region::East, Region::West]
        .into_iter()
        .map(|region| Part {
            orders: history
                .orders
                .iter()
                .enumerate()
                .filter(|(_, order)| order.region == region)
                .map(|(at, order)| (order.placed_at, number(at), Arc::new(as_order(order, region))))
                .collect(),
            opening: opening
                .iter()
                .filter(|stock| stock.region == region)
                .map(|stock| Opening { node: node(region), sku: SkuId(stock.sku + 1), book: clamp(stock.units), phantom: 0 })
                .collect(),
            receipts: receipts
                .iter()
                .filter(|receipt| receipt.region == region)
                .map(|r| StockStep { at: r.at, action: Action::Receipt, node: node(region), sku: SkuId(r.sku + 1), qty: clamp(r.units) })
                .collect(),
        })
        .filter(|part| !part.orders.is_empty())
        .collect();
    let recorded = Recorded { scenario: scenario.clone(), parts, account, as_json, doubt };
    Ok(((*scenario).clone(), recorded))
}

/// Too many rows were left out that may have been sales: how many, and what to do about it.
fn doubt(file: &str, account: &Account) -> Option<String> {
    let (lost, share) = account.lost();
    let helps = account.helps().join("; ");
    let (most, share_said) = (MOST_LOST * 100.0, share * 100.0);
    (share > MOST_LOST).then(|| {
        format!("{lost} rows of {file} were left out that may have been sales, {share_said:.2} % of all that may have been, and {most:.0} % are the most: {helps}")
    })
}

fn clamp(units: u64) -> u32 {
    units.min(u64::from(u32::MAX / 4)) as u32
}

fn as_order(order: &workload::SourceOrder, region: Region) -> Order {
    let lines = order.lines.iter().enumerate().map(|(at, line)| OrderLine {
        line: LineNo(at as u16 + 1),
        sku: SkuId(line.sku + 1),
        qty: line.qty,
        unit_price: line.unit_price,
        discount: Money::ZERO,
        tax: Money::ZERO,
        fulfil: Fulfil::Ship,
        node: NodeId::NONE,
    });
    Order { channel: order.channel, ship_to: region, customer: order.customer.unwrap_or(0), lines: lines.collect(), ..Order::default() }
}

/// The channel that most of them came through: the case is named after it. Of several with as many, the first.
fn most_orders(orders: &[workload::SourceOrder]) -> Channel {
    let came = |channel: &Channel| orders.iter().filter(|order| order.channel == *channel).count();
    Channel::ALL.into_iter().rev().max_by_key(came).unwrap_or(Channel::Web)
}

/// What is expected of a recorded order: it ends, and everything in between keeps the invariants.
fn scenario(fixture: Fixture, orders: u32, channel: Channel, receipt: Option<(NodeId, SkuId, u32, Timestamp)>) -> Result<Scenario, Trouble> {
    let expect_file = ExpectFile {
        flow: vec![
            "order.accepted > payment.authorized > fulfillment.released+".into(),
            "fulfillment.released+ > fulfillment.picked+ > shipment.shipped+ > shipment.delivered+".into(),
            "order.accepted > payment.captured+".into(),
            "order.accepted > order.completed".into(),
        ],
        never: vec!["order.rejected".into(), "order.cancelled".into()],
        ..ExpectFile::default()
    };
    let expect = Expect::parse(&expect_file, &fixture).map_err(|_| Trouble::Environment("error: the built-in expectation is broken".into()))?;
    let steps: Vec<Step> = receipt.map(receipt_step).into_iter().collect();
    Ok(Scenario {
        name: "SOURCE".into(),
        variant: "recorded".into(),
        title: "Recorded orders".into(),
        about: "A real order history with its own times, SKUs and quantities; opening stock covers 98 % of each SKU's demand".into(),
        matrix: Matrix { channels: vec![channel], orders: vec![orders], cover: Cover::Pairwise, stock: StockScope::Fixed, gap: Span::ZERO },
        fixture,
        stock: Vec::new(),
        phantom: Vec::new(),
        kinds: vec![Kind { weight: 1, steps: steps.clone(), ..Kind::default() }],
        places: Vec::new(),
        own: None,
        luck: None,
        remorse_hold: None,
        steps,
        expect,
        expect_file,
        thresholds: Vec::new(),
        origin: "recorded".into(),
        file: Arc::default(),
    })
}

/// That goods come in, as the scenario says it; the receipts themselves are in each part.
fn receipt_step((node, sku, qty, at): (NodeId, SkuId, u32, Timestamp)) -> Step {
    let after = at.since(Timestamp::ZERO);
    Step {
        action: Action::Receipt,
        on: None,
        after: SpanRange { lo: after, hi: after },
        lines: Vec::new(),
        take: Vec::new(),
        mode: ExchangeMode::default(),
        method: ReturnMethod::default(),
        disposition: Disposition::default(),
        node,
        sku,
        qty,
        times: 1,
        blind: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_named_after_the_channel_that_most_orders_came_through() {
        let of = |channels: &[Channel]| {
            let order = |channel: &Channel| workload::SourceOrder {
                id: String::new(),
                placed_at: Timestamp::ZERO,
                customer: None,
                region: Region::East,
                channel: *channel,
                lines: Vec::new(),
            };
            most_orders(&channels.iter().map(order).collect::<Vec<_>>())
        };
        assert_eq!(of(&[Channel::Web, Channel::App, Channel::App]), Channel::App);
        assert_eq!(of(&[Channel::App, Channel::Web]), Channel::Web);
        assert_eq!(of(&[]), Channel::Web);
    }
}
