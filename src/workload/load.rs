//! A partition of a load profile: its orders, and an estate that holds the SKUs that they ask for and no others.

use super::arrivals::{self, Share};
use super::goods::{Bodies, Drawn, price};
use super::plan::{Partition, listed, seed_of, share};
use crate::model::{Fulfil, LineNo, Money, NodeId, Order, OrderLine, OrderNo, Product, Region, SkuId};
use crate::scenario::{Action, Case, Goods, default_shipping, standard_fixture};
use crate::sim::{Purpose, Seed, Span, Timestamp};
use crate::world::{Opening, StockStep};
use rustc_hash::FxHashMap;
use std::sync::Arc;

const STOCK: Purpose = Purpose(0x0124);
const NEWS: Purpose = Purpose(0x0125);
/// Units of a SKU at a node: messages count them in 32 bits.
const MOST_UNITS: u32 = u32::MAX / 4;
/// Snapshots in one partition.
const MOST_SNAPSHOTS: u64 = 1_000;
/// Where the goods of an order lie, in the standard estate: warehouses for what is shipped, stores for what is picked up, each in the east and
/// in the west.
const NODES: [NodeId; 4] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4)];

fn place(order: &Drawn) -> usize {
    usize::from(order.pickup) * 2 + usize::from(order.region == Region::West)
}

pub(super) fn partition(case: &Case, goods: &Arc<Goods>, number: u32, of: u32) -> Partition {
    let (before, orders) = share(case.orders, number, of);
    let luck = case.scenario.luck.as_ref().map_or(number, |luck| luck.partition);
    let seed = seed_of(case.seed, luck);
    let due = arrivals::due(&case.arrival, case.seed, seed, Share { number, of, orders, in_all: case.orders });
    let mut bodies = Bodies::new(goods, case.seed, seed);
    let drawn: Vec<(Span, Drawn)> = due
        .zip(before + 1..)
        .map(|(at, number)| {
            let at = at.since(Timestamp::ZERO);
            (at, bodies.order(number, at))
        })
        .collect();

    // every SKU with what is asked of it at each node
    let mut asked: Vec<(u32, [f64; 4])> = Vec::new();
    let mut places: FxHashMap<u32, usize> = FxHashMap::default();
    for (at, order) in &drawn {
        for (sku, qty) in &order.lines {
            let of = *places.entry(*sku).or_insert_with(|| {
                asked.push((*sku, [0.0; 4]));
                asked.len() - 1
            });
            let at_node = &mut asked[of].1[place(order)];
            let law = law_of(goods, *sku);
            let counts = law.and_then(|law| law.cover_of.map(|within| law.from + within)).is_none_or(|until| *at < until);
            let begun = law.is_none_or(|law| law.cover_of.is_none() || *at >= law.from);
            *at_node += if counts && begun { f64::from(*qty) } else { 0.0 };
        }
    }
    asked.sort_unstable_by_key(|(sku, _)| *sku);
    let ids: FxHashMap<u32, SkuId> = asked.iter().map(|(sku, _)| *sku).zip((1..).map(SkuId)).collect();
    let mut estate = standard_fixture();
    estate.nodes.iter_mut().for_each(|node| node.capacity_per_day = node.capacity_per_day.saturating_mul(orders));
    estate.policies = case.scenario.fixture.policies.clone();
    estate.products = asked.iter().map(|(sku, _)| product(goods, *sku)).collect();
    let id = |sku: u32| ids.get(&sku).copied().unwrap_or_default();
    let mut opening = Vec::new();
    for (sku, at_nodes) in &asked {
        let cover = law_of(goods, *sku).map_or(1.0, |law| law.cover);
        for (n, units) in at_nodes.iter().enumerate() {
            // rounded at random, so that the parts that partitions have of a scarce SKU add up to what was meant
            let book = ((units * cover + seed.draw(STOCK, u64::from(*sku), n as u32).unit()) as u32).min(MOST_UNITS);
            // a SKU without any is known all the same
            if book > 0 || n == 0 {
                opening.push(Opening { node: NODES[n], sku: id(*sku), book, phantom: 0 });
            }
        }
    }
    let steps = news(goods, seed, &drawn, id);
    let price = |sku: SkuId| estate.product(sku).map_or(Money::ZERO, |product| product.price);
    let body = |order: &Drawn| Arc::new(as_order(order, id, price));
    let orders = drawn.iter().zip(before + 1..).map(|((at, order), no)| (Timestamp::ZERO + *at, OrderNo(no), body(order))).collect();
    listed(&case.scenario, estate, seed, (number, of), orders, opening, steps)
}

/// The first law that is about a SKU.
fn law_of(goods: &Goods, sku: u32) -> Option<&crate::scenario::Popularity> {
    goods.popularity.iter().find(|law| (law.first..law.first + law.skus).contains(&sku))
}

fn product(goods: &Goods, sku: u32) -> Product {
    Product { name: ["SKU", &(sku + 1).to_string()].concat(), price: Money(price(goods, sku)), backorderable: false }
}

fn as_order(order: &Drawn, id: impl Fn(u32) -> SkuId, price: impl Fn(SkuId) -> Money) -> Order {
    let (fulfil, node) = if order.pickup { (Fulfil::Pickup, NODES[place(order)]) } else { (Fulfil::Ship, NodeId::NONE) };
    let line = |(line, (sku, qty)): (u16, &(u32, u32))| {
        let sku = id(*sku);
        OrderLine { line: LineNo(line), sku, qty: *qty, unit_price: price(sku), fulfil, node, ..OrderLine::default() }
    };
    let lines: Vec<OrderLine> = (1..).zip(&order.lines).map(line).collect();
    let shipping = default_shipping(&lines);
    Order { channel: order.channel, ship_to: order.region, customer: order.customer, lines, shipping, ship_complete: false }
}

/// What comes in and is sold without an order: of SKUs that orders ask for, as often as they do.
fn news(goods: &Goods, seed: Seed, drawn: &[(Span, Drawn)], id: impl Fn(u32) -> SkuId) -> Vec<StockStep> {
    let last = drawn.last().map_or(Span::ZERO, |(at, _)| *at);
    let at = |part: f64| Timestamp::ZERO + Span((last.0 as f64 * part) as u64);
    let many = (goods.deltas * drawn.len() as f64).round() as u64;
    let mut steps = Vec::new();
    for n in 0..many {
        let mut draw = seed.draw(NEWS, n, 0);
        let (_, order) = &drawn[draw.below(drawn.len() as u64) as usize];
        let (sku, _) = order.lines[draw.below(order.lines.len() as u64) as usize];
        let node = draw.below(NODES.len() as u64) as usize;
        // what stores sell came in there before, at some time
        let action = if node >= 2 && draw.chance(0.5) { Action::Sale } else { Action::Receipt };
        steps.push(StockStep { at: at((n as f64 + draw.unit()) / many as f64), action, node: NODES[node], sku: id(sku), qty: 1 });
    }
    if let Some(every) = goods.snapshot {
        let times = (last.0 / every.0.max(1)).min(MOST_SNAPSHOTS);
        steps.extend((1..=times).map(|n| StockStep {
            at: Timestamp::ZERO + every.saturating_mul(n),
            action: Action::Snapshot,
            node: NodeId::NONE,
            sku: SkuId::NONE,
            qty: 0,
        }));
        steps.sort_by_key(|step| step.at);
    }
    steps
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Case, Library, Selection, expand};
    use crate::sim::{Seed, Span, Timestamp};
    use crate::workload::{OPENS, partition, partitions};
    use crate::world::PROBE_SKU;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn case(profile: &str, orders: u32) -> Case {
        let mut library = Library::shipped().unwrap();
        let profile = library.load_profile(profile).unwrap();
        let scenario = Arc::new(profile.scenario().unwrap().unwrap());
        let selection = Selection { profile: Some(profile), orders: Some(orders), seed: Seed(5), ..Selection::default() };
        expand(&[scenario], &library.fault_sets(&[]).unwrap(), &selection).cases.remove(0)
    }

    #[test]
    fn a_partition_holds_what_its_orders_ask_for_and_hot_goods_are_as_scarce_as_told() {
        let case = case("flash-sale", 40_000);
        let (mut hot_stock, mut hot_asked, mut orders) = (0, 0, 0);
        for number in 0..partitions(&case) {
            let part = partition(&case, number);
            let estate = &part.plan.estate;
            let asked: BTreeSet<u32> =
                part.orders().flat_map(|(_, _, order)| order.lines.iter().map(|line| line.sku.0).collect::<Vec<_>>()).collect();
            let held: BTreeSet<u32> = estate.sku_ids().filter(|sku| estate.sku_name(*sku) != PROBE_SKU).map(|sku| sku.0).collect();
            assert_eq!(asked, held);
            assert!(part.orders().map(|(at, ..)| at).is_sorted());
            orders += part.orders().count();
            let hot = |sku| estate.sku_name(sku).trim_start_matches("SKU").parse::<u32>().is_ok_and(|number| number <= 10);
            hot_stock += part.plan.opening.iter().filter(|item| hot(item.sku)).map(|item| item.book).sum::<u32>();
            let opens = Timestamp::ZERO + OPENS + Span::from_mins(10);
            let first_minute = part.orders().filter(|(at, ..)| (opens..opens + Span::from_mins(1)).contains(at));
            hot_asked += first_minute.flat_map(|(_, _, order)| order.lines.clone()).filter(|line| hot(line.sku)).map(|line| line.qty).sum::<u32>();
        }
        assert_eq!(orders, 40_000);
        let share = f64::from(hot_stock) / f64::from(hot_asked);
        assert!(hot_asked > 500 && (0.01..0.035).contains(&share), "{hot_stock} of {hot_asked}");
    }

    #[test]
    fn stock_news_is_of_goods_that_are_there_and_in_order() {
        let case = case("inventory-feed", 200);
        let part = partition(&case, 0);
        let steps = &part.plan.stock_steps;
        assert!(steps.is_sorted_by_key(|step| step.at) && steps.len() >= 200 * 35);
        let known = part.plan.estate.products.len() as u32;
        assert!(steps.iter().filter(|step| step.qty > 0).all(|step| (1..=known).contains(&step.sku.0) && step.node.is_some()));
    }
}
