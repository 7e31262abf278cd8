//! From a case to what one partition of it does: the estate scaled to its orders, opening stock, stock steps, and the orders
//! themselves as a lazy, time-ordered stream.

use super::arrivals;
use crate::model::{Fixture, NodeKind, Order, OrderLine, OrderNo, Product, SkuId};
use crate::scenario::{Case, Scenario, StockScope};
use crate::sim::{Purpose, Seed, Span, Timestamp};
use crate::world::{Opening, PROBE_PRICE, PROBE_SKU, PROBES, Plan, Probes, StockStep};
use std::sync::Arc;

/// A case with more orders is cut into partitions of this many, each a region of its own with its share of stock.
pub const PARTITION_ORDERS: u32 = 2_048;
/// Orders begin when the opening stock has been reported and the probe orders have ended.
const OPENS: Span = Span::from_mins(1);
/// Faults act until so long after the last order.
const STORM_LASTS: Span = Span::from_days(45);
/// The run may take so long to come to rest after that.
const CALM_LASTS: Span = Span::from_days(90);
const CUSTOMER: Purpose = Purpose(30);

/// One partition of a case.
pub struct Partition {
    pub number: u32,
    pub of: u32,
    pub plan: Plan,
    pub first: OrderNo,
    pub orders: u32,
    /// its own seed, so that it runs alone
    pub seed: Seed,
    pub calm: Timestamp,
    pub horizon: Timestamp,
    arrivals: Vec<Timestamp>,
    bodies: Bodies,
}

enum Bodies {
    /// every order the same; with its own copies of the SKUs where `stride` is not 0
    Same { order: Arc<Order>, stride: u32 },
    /// recorded orders
    Listed(Vec<(OrderNo, Arc<Order>)>),
}

/// How many partitions a case is cut into.
pub fn partitions(case: &Case) -> u32 {
    match case.scenario.matrix.stock {
        // one pool that all draw on cannot be cut
        StockScope::Fixed => 1,
        StockScope::Scaled | StockScope::PerOrder => case.orders.div_ceil(PARTITION_ORDERS).max(1),
    }
}

/// What partition `number` of a case does.
pub fn partition(case: &Case, number: u32) -> Partition {
    let of = partitions(case);
    let share = case.orders.div_ceil(of);
    let before = share * number;
    let orders = share.min(case.orders.saturating_sub(before));
    let scenario = &case.scenario;
    let per_order = scenario.matrix.stock == StockScope::PerOrder;
    let times = if scenario.matrix.stock == StockScope::Scaled { orders } else { 1 };
    let stride = if per_order { scenario.fixture.products.len() as u32 } else { 0 };
    let copies = if per_order { orders } else { 1 };
    let mut estate = scaled(&scenario.fixture, times, copies, orders);
    let seed = case.seed.derive(&format!("partition {number}"));
    let mut opening = Vec::new();
    let probes = add_probes(&mut estate, &mut opening);
    let mut stock_steps = Vec::new();
    for copy in 0..copies {
        let sku = |sku: SkuId| SkuId(sku.0 + copy * stride);
        for level in &scenario.stock {
            let phantom = scenario.phantom.iter().find(|p| (p.node, p.sku) == (level.node, level.sku)).map_or(0, |p| p.qty);
            opening.push(Opening { node: level.node, sku: sku(level.sku), book: level.qty * times, phantom: phantom * times });
        }
        for (i, step) in scenario.steps.iter().enumerate().filter(|(_, step)| !step.action.is_of_order()) {
            let mut draw = seed.draw(Purpose(31), i as u64, copy);
            let after = if step.after.lo >= step.after.hi { step.after.lo } else { draw.span(step.after.lo, step.after.hi) };
            stock_steps.push(StockStep {
                at: Timestamp::ZERO + OPENS + after,
                action: step.action,
                node: step.node,
                sku: sku(step.sku),
                qty: step.qty * times,
            });
        }
    }
    // all partitions run in the same time, each as a region of its own with its share of the orders
    let gap = case.gap.saturating_mul(of.into());
    let due: Vec<Timestamp> = arrivals::due(case.arrival, gap, seed, orders).map(|at| at + OPENS).collect();
    let last = due.last().copied().unwrap_or(Timestamp::ZERO).max(stock_steps.iter().map(|step| step.at).max().unwrap_or(Timestamp::ZERO));
    let calm = last + STORM_LASTS;
    let mut order = scenario.order.clone();
    order.channel = case.channel;
    Partition {
        number,
        of,
        plan: Plan { scenario: scenario.clone(), estate: Arc::new(estate), opening, stock_steps, probes, seed, stride, first: OrderNo(before + 1) },
        first: OrderNo(before + 1),
        orders,
        seed,
        calm,
        horizon: calm + CALM_LASTS,
        arrivals: due,
        bodies: Bodies::Same { order: Arc::new(order), stride },
    }
}

/// A partition that replays recorded orders.
pub fn recorded(
    scenario: &Arc<Scenario>,
    seed: Seed,
    (number, of): (u32, u32),
    orders: Vec<(Timestamp, OrderNo, Arc<Order>)>,
    mut opening: Vec<Opening>,
    stock_steps: Vec<StockStep>,
) -> Partition {
    let mut estate = scenario.fixture.clone();
    let probes = add_probes(&mut estate, &mut opening);
    let last = orders.last().map_or(Timestamp::ZERO, |(at, _, _)| *at).max(stock_steps.last().map_or(Timestamp::ZERO, |step| step.at)) + OPENS;
    let calm = last + STORM_LASTS;
    let first = orders.first().map_or(OrderNo(1), |(_, number, _)| *number);
    let stock_steps = stock_steps.into_iter().map(|step| StockStep { at: step.at + OPENS, ..step }).collect();
    Partition {
        number,
        of,
        plan: Plan { scenario: scenario.clone(), estate: Arc::new(estate), opening, stock_steps, probes, seed, stride: 0, first },
        first,
        orders: orders.len() as u32,
        seed,
        calm,
        horizon: calm + CALM_LASTS,
        arrivals: orders.iter().map(|(at, _, _)| *at + OPENS).collect(),
        bodies: Bodies::Listed(orders.into_iter().map(|(_, number, order)| (number, order)).collect()),
    }
}

impl Partition {
    /// The orders, in time order.
    pub fn orders(&self) -> impl Iterator<Item = (Timestamp, OrderNo, Arc<Order>)> + '_ {
        self.arrivals.iter().enumerate().map(|(i, at)| {
            let (number, body) = match &self.bodies {
                Bodies::Listed(listed) => listed[i].clone(),
                Bodies::Same { order, stride } => {
                    let number = OrderNo(self.first.0 + i as u32);
                    let customer = self.seed.draw(CUSTOMER, number.0.into(), 0).below(100_000) as u32;
                    (number, Arc::new(Order { customer, lines: copied(&order.lines, stride * i as u32), ..(**order).clone() }))
                }
            };
            (*at, number, body)
        })
    }
}

/// The SKU of the probe orders, with enough of it at one node that ships, and may ship most.
fn add_probes(estate: &mut Fixture, opening: &mut Vec<Opening>) -> Option<Probes> {
    let hands = |capacity: u32| if capacity == 0 { u32::MAX } else { capacity };
    let able = estate.node_ids().filter_map(|id| estate.node(id).map(|node| (id, node)));
    let able = able.filter(|(_, node)| node.enabled && node.kind != NodeKind::Supplier);
    let (node, safety) =
        able.max_by_key(|(id, node)| (hands(node.capacity_per_day), std::cmp::Reverse(*id))).map(|(id, node)| (id, node.safety_stock))?;
    estate.products.push(Product { name: PROBE_SKU.into(), price: PROBE_PRICE, backorderable: false });
    let sku = SkuId(estate.products.len() as u32);
    opening.push(Opening { node, sku, book: safety + PROBES, phantom: 0 });
    Some(Probes { sku, node })
}

fn copied(lines: &[OrderLine], offset: u32) -> Vec<OrderLine> {
    lines.iter().map(|line| OrderLine { sku: SkuId(line.sku.0 + offset), ..line.clone() }).collect()
}

/// Quantities of nodes times the number of orders; products once for every copy, copy k > 0 under the name `A~k`.
fn scaled(fixture: &Fixture, times: u32, copies: u32, orders: u32) -> Fixture {
    let mut scaled = fixture.clone();
    for node in &mut scaled.nodes {
        node.safety_stock *= times;
        // with SKUs of their own, orders still share the nodes' hands
        node.capacity_per_day *= if copies > 1 { orders } else { times };
    }
    let products = std::mem::take(&mut scaled.products);
    for copy in 0..copies {
        let name = |product: &Product| if copy == 0 { product.name.clone() } else { format!("{}~{copy}", product.name) };
        scaled.products.extend(products.iter().map(|product| Product { name: name(product), ..product.clone() }));
    }
    scaled
}
