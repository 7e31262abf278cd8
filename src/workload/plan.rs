//! From a case to what one partition of it does: the estate scaled to its orders, opening stock, stock steps, and the orders
//! themselves as a lazy, time-ordered stream.

use super::arrivals::{self, Share};
use crate::model::{Channel, Fixture, NodeKind, Order, OrderLine, OrderNo, Product, SkuId};
use crate::scenario::{Case, Scenario, StockScope};
use crate::sim::{Purpose, Seed, Span, Timestamp};
use crate::world::{Opening, PROBE_PRICE, PROBE_SKU, PROBES, Plan, Probes, StockStep};
use std::sync::Arc;

/// A case with more orders is cut into partitions of this many, each a region of its own with its share of stock. What is open of so many orders is
/// some 10 MB: twice as many take an eighth more time an order, and half as many a twelfth less, with twice the files and probe orders.
pub const PARTITION_ORDERS: u32 = 1_024;
/// A case begins so long after its run: orders come when the opening stock has been reported and the
/// probe orders have ended.
pub const OPENS: Span = Span::from_mins(1);
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
    /// every order as its kind says, which is drawn; with its own copies of the SKUs where `stride` is not 0
    Drawn { scenario: Arc<Scenario>, channel: Channel, stride: u32 },
    /// recorded orders, and explicit ones
    Listed(Vec<(OrderNo, Arc<Order>)>),
}

/// How many partitions a case is cut into.
pub fn partitions(case: &Case) -> u32 {
    match case.scenario.matrix.stock {
        // explicit orders belong together, and one pool that all draw on cannot be cut
        _ if !case.scenario.places.is_empty() => 1,
        StockScope::Fixed => 1,
        _ if case.goods.as_ref().is_some_and(|goods| goods.one_stock) => 1,
        StockScope::Scaled | StockScope::PerOrder => case.orders.div_ceil(PARTITION_ORDERS).max(1),
    }
}

/// A case in one piece, however large.
pub fn whole(case: &Case) -> Partition {
    cut(case, 0, 1)
}

/// The seed of what is drawn for a partition's own orders.
pub fn seed_of(case: Seed, number: u32) -> Seed {
    case.derive(&format!("partition {number}"))
}

/// What partition `number` of a case does.
pub fn partition(case: &Case, number: u32) -> Partition {
    cut(case, number, partitions(case))
}

/// How many orders come before those of a partition, and how many it has: where they are dealt out one by one, the first have one more.
pub(super) fn share(orders: u32, number: u32, of: u32) -> (u32, u32) {
    let (share, more) = (orders / of.max(1), orders % of.max(1));
    (share * number + number.min(more), share + u32::from(number < more))
}

fn cut(case: &Case, number: u32, of: u32) -> Partition {
    if let Some(goods) = &case.goods {
        return super::load::partition(case, goods, number, of);
    }
    let (before, orders) = share(case.orders, number, of);
    let scenario = &case.scenario;
    let per_order = scenario.matrix.stock == StockScope::PerOrder;
    let times = if scenario.matrix.stock == StockScope::Scaled { orders } else { 1 };
    let stride = if per_order { scenario.fixture.products.len() as u32 } else { 0 };
    let copies = if per_order { orders } else { 1 };
    let places = &scenario.places;
    let first = places.first().map_or(OrderNo(before + 1), |place| place.no);
    // copies are named by how far their order's number is from the first
    let labels: Vec<u32> = (0..copies).map(|copy| places.get(copy as usize).map_or(copy, |place| place.no.0 - first.0)).collect();
    let mut estate = scaled(&scenario.fixture, times, &labels, orders);
    let seed = seed_of(case.seed, scenario.luck.as_ref().map_or(number, |luck| luck.partition));
    let mut opening = Vec::new();
    let probes = add_probes(&mut estate, &mut opening);
    let mut stock_steps = Vec::new();
    for (copy, label) in labels.into_iter().enumerate().map(|(copy, label)| (copy as u32, label)) {
        let sku = |sku: SkuId| SkuId(sku.0 + copy * stride);
        for level in &scenario.stock {
            let phantom = scenario.phantom.iter().find(|p| (p.node, p.sku) == (level.node, level.sku)).map_or(0, |p| p.qty);
            let times = times_of(level.qty.max(phantom), times);
            opening.push(Opening { node: level.node, sku: sku(level.sku), book: level.qty * times, phantom: phantom * times });
        }
        for (i, step) in scenario.steps.iter().enumerate().filter(|(_, step)| !step.action.is_of_order()) {
            let mut draw = seed.draw(Purpose(31), i as u64, label);
            let after = if step.after.lo >= step.after.hi { step.after.lo } else { draw.span(step.after.lo, step.after.hi) };
            stock_steps.push(StockStep {
                at: Timestamp::ZERO + OPENS + after,
                action: step.action,
                node: step.node,
                sku: sku(step.sku),
                qty: step.qty * times_of(step.qty, times),
            });
        }
    }
    // all partitions run in the same time, each as a region of its own with its share of the orders
    let mut due: Vec<Timestamp> =
        arrivals::due(&case.arrival, case.seed, seed, Share { number, of, orders, in_all: case.orders }).map(|at| at + OPENS).collect();
    let mut bodies = Bodies::Drawn { scenario: scenario.clone(), channel: case.channel, stride };
    if !places.is_empty() {
        let mut placed: Vec<(Timestamp, OrderNo, Arc<Order>)> = (0..)
            .zip(places)
            .map(|(copy, place)| {
                let order = body(scenario, place.no, place.channel, stride * copy, seed);
                (Timestamp::ZERO + OPENS + place.at, place.no, Arc::new(order))
            })
            .collect();
        placed.sort_by_key(|(at, no, _)| (*at, *no));
        due = placed.iter().map(|(at, ..)| *at).collect();
        bodies = Bodies::Listed(placed.into_iter().map(|(_, no, order)| (no, order)).collect());
    }
    let last = due.last().copied().unwrap_or(Timestamp::ZERO).max(stock_steps.iter().map(|step| step.at).max().unwrap_or(Timestamp::ZERO));
    let calm = last + STORM_LASTS;
    Partition {
        number,
        of,
        plan: Plan { scenario: scenario.clone(), estate: Arc::new(estate), opening, stock_steps, probes, seed, stride, first, room: room(orders) },
        first,
        orders,
        seed,
        calm,
        horizon: calm + CALM_LASTS,
        arrivals: due,
        bodies,
    }
}

/// A partition that replays recorded orders.
pub fn recorded(
    scenario: &Arc<Scenario>,
    seed: Seed,
    part: (u32, u32),
    orders: Vec<(Timestamp, OrderNo, Arc<Order>)>,
    opening: Vec<Opening>,
    stock_steps: Vec<StockStep>,
) -> Partition {
    listed(scenario, scenario.fixture.clone(), seed, part, orders, opening, stock_steps)
}

/// For how many orders room is made beforehand.
fn room(orders: u32) -> u32 {
    orders.min(PARTITION_ORDERS)
}

/// A partition whose orders are listed, in an estate of its own.
pub(super) fn listed(
    scenario: &Arc<Scenario>,
    mut estate: Fixture,
    seed: Seed,
    (number, of): (u32, u32),
    orders: Vec<(Timestamp, OrderNo, Arc<Order>)>,
    mut opening: Vec<Opening>,
    stock_steps: Vec<StockStep>,
) -> Partition {
    let probes = add_probes(&mut estate, &mut opening);
    let last = orders.last().map_or(Timestamp::ZERO, |(at, _, _)| *at).max(stock_steps.last().map_or(Timestamp::ZERO, |step| step.at)) + OPENS;
    let calm = last + STORM_LASTS;
    let first = orders.first().map_or(OrderNo(1), |(_, number, _)| *number);
    let stock_steps = stock_steps.into_iter().map(|step| StockStep { at: step.at + OPENS, ..step }).collect();
    Partition {
        number,
        of,
        plan: Plan {
            scenario: scenario.clone(),
            estate: Arc::new(estate),
            opening,
            stock_steps,
            probes,
            seed,
            stride: 0,
            first,
            room: room(orders.len() as u32),
        },
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
    /// The most orders that are due within one second.
    pub fn busiest_second(&self) -> usize {
        let within = |(first, from): (usize, &Timestamp)| self.arrivals[first..].partition_point(|at| at.since(*from) < Span::from_secs(1));
        self.arrivals.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// The orders, in time order.
    pub fn orders(&self) -> impl Iterator<Item = (Timestamp, OrderNo, Arc<Order>)> + '_ {
        self.arrivals.iter().enumerate().map(|(i, at)| {
            let (number, body) = match &self.bodies {
                Bodies::Listed(listed) => listed[i].clone(),
                Bodies::Drawn { scenario, channel, stride } => {
                    let number = OrderNo(self.first.0 + i as u32);
                    (number, Arc::new(body(scenario, number, *channel, stride * i as u32, self.seed)))
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

/// An order as its kind says, with SKUs `offset` behind those of the first copy.
fn body(scenario: &Scenario, number: OrderNo, channel: Channel, offset: u32, seed: Seed) -> Order {
    let order = &scenario.kind_of(number, seed).order;
    let customer = seed.draw(CUSTOMER, number.0.into(), 0).below(100_000) as u32;
    let lines = order.lines.iter().map(|line| OrderLine { sku: SkuId(line.sku.0 + offset), ..line.clone() });
    Order { channel, customer, lines: lines.collect(), ..order.clone() }
}

/// More units than anybody sells, and fewer than a message can count.
const MOST_UNITS: u32 = 1_000_000_000;

/// How many times so many units there are for so many orders: a case in one piece may have any number of them.
fn times_of(units: u32, times: u32) -> u32 {
    times.min(MOST_UNITS / units.max(1)).max(1)
}

/// Quantities of nodes times the number of orders; products once for every copy, a copy with label k > 0 under the name `A~k`.
fn scaled(fixture: &Fixture, times: u32, labels: &[u32], orders: u32) -> Fixture {
    let mut scaled = fixture.clone();
    for node in &mut scaled.nodes {
        node.safety_stock = node.safety_stock.saturating_mul(times);
        // with SKUs of their own, orders still share the nodes' hands
        node.capacity_per_day = node.capacity_per_day.saturating_mul(if labels.len() > 1 { orders } else { times });
    }
    let products = std::mem::take(&mut scaled.products);
    for label in labels {
        let name = |product: &Product| if *label == 0 { product.name.clone() } else { format!("{}~{label}", product.name) };
        scaled.products.extend(products.iter().map(|product| Product { name: name(product), ..product.clone() }));
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Library, PlaceFile, Selection, expand};

    fn case(scenario: Scenario) -> Case {
        let selection = Selection { orders: Some(40), seed: Seed(3), ..Selection::default() };
        expand(&[Arc::new(scenario)], &Library::shipped().unwrap().fault_sets(&[]).unwrap(), &selection).cases.remove(0)
    }

    /// The same number under the same luck is the same order, whoever else is there.
    #[test]
    fn a_placed_order_is_the_one_of_the_case_that_it_came_from() {
        let mix = Library::shipped().unwrap().scenarios(&["M01".into()]).unwrap().remove(0);
        let whole = case((*mix).clone());
        let part = partition(&whole, 0);
        let orders: Vec<_> = part.orders().collect();
        let kinds: std::collections::BTreeSet<&str> = orders.iter().map(|(_, no, _)| mix.kind_of(*no, part.seed).name.as_str()).collect();
        assert!(kinds.len() > 5, "{kinds:?}");

        let mut file = (*mix.file).clone();
        file.luck = Some(whole.name.clone());
        file.place = [31, 7]
            .map(|no: u32| {
                let (at, number, _) = orders[no as usize - 1];
                let kind = mix.kind_of(number, part.seed).name.clone();
                PlaceFile { no: Some(no), at: Span(at.0 - OPENS.0).exact(), kind: Some(kind), ..PlaceFile::default() }
            })
            .into();
        let few = case(Scenario::from_file(&file, "few", "test").unwrap());
        assert_eq!(few.name, "M01.few.own.web.2");
        let few = partition(&few, 0);
        assert_eq!(few.orders().collect::<Vec<_>>(), [orders[6].clone(), orders[30].clone()]);
        assert_eq!((few.seed, few.first), (part.seed, OrderNo(7)));
    }

    #[test]
    fn orders_with_skus_of_their_own_keep_them_apart_whatever_their_numbers() {
        let base = Library::shipped().unwrap().scenarios(&["S05.partly-there".into()]).unwrap().remove(0);
        let mut file = (*base.file).clone();
        file.place = [3, 9].map(|no| PlaceFile { no: Some(no), at: format!("{no}m"), ..PlaceFile::default() }).into();
        let part = partition(&case(Scenario::from_file(&file, "few", "test").unwrap()), 0);
        let skus: Vec<&str> = part.orders().map(|(_, _, order)| order.lines[0].sku).map(|sku| part.plan.estate.sku_name(sku)).collect::<Vec<_>>();
        assert_eq!(skus, ["D", "D~6"]);
    }

    #[test]
    fn much_stock_for_many_orders_is_still_a_number() {
        assert_eq!((times_of(3, 40), times_of(0, 40), times_of(1_000_000, 1_024)), (40, 40, 1_000));
        let base = Library::shipped().unwrap().scenarios(&["S07.base".into()]).unwrap().remove(0);
        assert_eq!(base.matrix.stock, StockScope::Scaled);
        let mut file = (*base.file).clone();
        file.stock.values_mut().for_each(|units| *units = 1_000_000);
        let mut many = case(Scenario::from_file(&file, "many", "test").unwrap());
        many.orders = 300_000;
        let books: Vec<u32> = whole(&many).plan.opening.iter().map(|opening| opening.book).collect();
        assert!(!books.is_empty() && books.iter().all(|book| *book <= MOST_UNITS), "{books:?}");
        assert!(books.contains(&MOST_UNITS));
    }
}
