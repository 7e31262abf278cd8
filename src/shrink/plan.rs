//! A case as data: every order, fault, step and unit of stock named, so that each can be left out by itself.

use crate::model::{Fixture, NodeId, OrderLine, OrderNo, Product, SkuId};
use crate::scenario::{
    Case, FaultRuleFile, KindFile, LineFile, MatrixFile, NodeFile, OrderFile, PartnerFile, PlaceFile, ProductFile, ScenarioFile, StepFile,
    StockScope, standard_fixture,
};
use crate::sim::{Span, Timestamp};
use crate::workload::{OPENS, Partition};
use crate::world::StockStep;
use std::collections::{BTreeMap, BTreeSet};

/// What a case does, as a scenario file in which nothing is drawn that could be left out.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    file: ScenarioFile,
    /// where orders have SKUs of their own, a fault about them belongs to the order; 0 for any other
    owners: Vec<u32>,
}

/// How much there is of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    pub orders: usize,
    pub faults: usize,
    /// receipts, sales, supply and snapshots
    pub steps: usize,
    /// units of opening stock
    pub units: u64,
}

/// Everything of one sort of order that the passes can take away from.
pub struct Sort<'a> {
    pub order: &'a mut OrderFile,
    pub step: &'a mut Vec<StepFile>,
    pub partner: &'a mut Vec<PartnerFile>,
}

/// The plan of one partition of a case; `faults` are the rules that do what was done.
pub fn materialise(case: &Case, part: &Partition, faults: Vec<FaultRuleFile>) -> Plan {
    let scenario = &case.scenario;
    let mut file = (*scenario.file).clone();
    if case.goods.is_some() {
        spell_out(case, part, &mut file);
    }
    let luck = case.name.split(".seed").next().unwrap_or(&case.name);
    file.luck.get_or_insert(if part.number == 0 { luck.into() } else { format!("{luck}/{}", part.number) });
    file.place = part
        .orders()
        .map(|(at, no, body)| PlaceFile {
            no: Some(no.0),
            at: since_open(at).exact(),
            kind: match case.goods {
                Some(_) => Some(no.to_string()),
                None => (!file.kind.is_empty()).then(|| scenario.kind_of(no, part.seed).name.clone()),
            },
            channel: body.channel,
        })
        .collect();
    let per_order = file.matrix.stock == StockScope::PerOrder;
    if !per_order {
        let estate = &part.plan.estate;
        let key = |node: NodeId, sku: SkuId| format!("{}@{}", estate.sku_name(sku), estate.node_name(node));
        // every run brings its probe orders, with their goods
        let of_probes = |sku: SkuId| part.plan.probes.as_ref().is_some_and(|probes| probes.sku == sku);
        let opening = || part.plan.opening.iter().filter(|item| !of_probes(item.sku));
        file.stock = opening().map(|item| (key(item.node, item.sku), item.book)).collect();
        file.phantom = opening().filter(|item| item.phantom > 0).map(|item| (key(item.node, item.sku), item.phantom)).collect();
        for (step, planned) in file.step.iter_mut().filter(|step| !step.action.is_of_order()).zip(&part.plan.stock_steps) {
            step.after = Some(since_open(planned.at).exact());
            step.qty = step.qty.map(|_| planned.qty);
        }
        limits(&mut file.nodes, estate);
        // what one order's share of receipts and sales is cannot be said any more
        let moves = file.step.iter().any(|step| !step.action.is_of_order());
        if file.matrix.stock == StockScope::Scaled && moves {
            file.expect.ledger.stock.clear();
            file.expect.outcome.values_mut().for_each(|outcome| outcome.ledger.stock.clear());
        }
    }
    let stock = if per_order { StockScope::PerOrder } else { StockScope::Fixed };
    file.matrix = MatrixFile { stock, ..MatrixFile::default() };
    let owner = |fault: &FaultRuleFile| match (&fault.sku, per_order) {
        (Some(sku), true) => part.first.0 + sku.split_once('~').and_then(|(_, copy)| copy.parse().ok()).unwrap_or(0),
        _ => 0,
    };
    let owners = faults.iter().map(owner).collect();
    file.fault = faults;
    Plan { file, owners }
}

/// Orders, goods and stock news of a load profile, which its scenario only stands for: each order is a kind of its own.
fn spell_out(case: &Case, part: &Partition, file: &mut ScenarioFile) {
    let estate = &part.plan.estate;
    let probes = part.plan.probes.map(|probes| probes.sku);
    let goods = estate.sku_ids().zip(&estate.products).filter(|(sku, _)| probes != Some(*sku));
    let product = |product: &Product| ProductFile { price: product.price.0, backorderable: product.backorderable };
    file.products = goods.map(|(_, goods)| (goods.name.clone(), product(goods))).collect();
    let line = |line: &OrderLine| LineFile {
        sku: estate.sku_name(line.sku).into(),
        qty: line.qty,
        price: None,
        discount: line.discount.0,
        fulfil: line.fulfil,
        node: line.node.is_some().then(|| estate.node_name(line.node).into()),
    };
    let orders = part.orders().map(|(_, no, body)| {
        let sort = &case.scenario.kind_of(no, part.seed).name;
        let steps = file.kind.iter().find(|kind| kind.name == *sort).map(|kind| kind.step.clone()).unwrap_or_default();
        let order = OrderFile {
            lines: body.lines.iter().map(line).collect(),
            ship_to: body.ship_to,
            shipping: Some(body.shipping.0),
            tax_bp: 0,
            ship_complete: body.ship_complete,
        };
        KindFile { name: no.to_string(), weight: 1, order, step: steps, partner: Vec::new() }
    });
    file.kind = orders.collect();
    let news = |step: &StockStep| StepFile {
        node: step.node.is_some().then(|| estate.node_name(step.node).into()),
        sku: step.sku.is_some().then(|| estate.sku_name(step.sku).into()),
        qty: (step.qty > 0).then_some(step.qty),
        ..StepFile::of(step.action)
    };
    file.step = part.plan.stock_steps.iter().map(news).collect();
}

fn since_open(at: Timestamp) -> Span {
    at.since(Timestamp::ZERO + OPENS)
}

/// What nodes keep back and can do in a day, as scaled.
fn limits(nodes: &mut BTreeMap<String, NodeFile>, estate: &Fixture) {
    for (node, standard) in estate.nodes.iter().zip(standard_fixture().nodes) {
        let named = nodes.contains_key(&node.name);
        if named || (node.safety_stock, node.capacity_per_day) != (standard.safety_stock, standard.capacity_per_day) {
            let change = nodes.entry(node.name.clone()).or_default();
            change.safety_stock = Some(node.safety_stock.min(1_000_000));
            change.capacity_per_day = Some(node.capacity_per_day.min(1_000_000));
        }
    }
}

impl Plan {
    /// As a scenario file that runs by itself.
    pub fn file(&self) -> ScenarioFile {
        let mut file = self.file.clone();
        if file.matrix.stock == StockScope::PerOrder {
            let first = file.place.iter().filter_map(|place| place.no).min().unwrap_or(1);
            for (fault, owner) in file.fault.iter_mut().zip(&self.owners).filter(|(_, owner)| **owner > 0) {
                let base = fault.sku.as_deref().and_then(|sku| sku.split('~').next()).unwrap_or_default().to_string();
                fault.sku = Some(if *owner == first { base } else { format!("{base}~{}", owner - first) });
            }
        }
        file
    }

    /// The same with the file changed; orders and faults are left as they are.
    pub fn with(&self, change: impl FnOnce(&mut ScenarioFile)) -> Plan {
        let mut plan = self.clone();
        change(&mut plan.file);
        plan
    }

    pub fn raw(&self) -> &ScenarioFile {
        &self.file
    }

    pub fn size(&self) -> Size {
        Size {
            orders: self.file.place.len(),
            faults: self.file.fault.len(),
            steps: self.stock_steps().len(),
            units: self.file.stock.values().map(|units| u64::from(*units)).sum(),
        }
    }

    /// Numbers of its orders.
    pub fn orders(&self) -> Vec<u32> {
        self.file.place.iter().filter_map(|place| place.no).collect()
    }

    /// With these orders only, and without the faults of the others.
    pub fn keep_orders(&self, kept: &BTreeSet<u32>) -> Plan {
        let mut plan = self.clone();
        plan.file.place.retain(|place| place.no.is_some_and(|no| kept.contains(&no)));
        let owner = |at: usize| self.file.fault[at].order.or((self.owners[at] > 0).then_some(self.owners[at]));
        let stays: Vec<usize> = (0..self.owners.len()).filter(|at| owner(*at).is_none_or(|no| kept.contains(&no))).collect();
        plan.take_faults(self, &stays);
        plan
    }

    /// With these faults only, by their places in the list.
    pub fn keep_faults(&self, kept: &[usize]) -> Plan {
        let mut plan = self.clone();
        plan.take_faults(self, kept);
        plan
    }

    /// With one rule in place of three or more that do the same to messages of one operation of one order; and whether there are such.
    pub fn merged_faults(&self) -> (Plan, bool) {
        let same = |a: &FaultRuleFile, b: &FaultRuleFile| {
            (a.action, a.link, &a.ops, a.order, &a.node, &a.sku) == (b.action, b.link, &b.ops, b.order, &b.node, &b.sku)
        };
        let faults = &self.file.fault;
        let group = |at: usize| faults.iter().filter(|other| same(&faults[at], other)).count();
        let first = |at: usize| faults.iter().position(|other| same(&faults[at], other)) == Some(at);
        if faults.len() > 2_000 {
            return (self.clone(), false);
        }
        let kept: Vec<usize> = (0..faults.len()).filter(|at| group(*at) < 3 || first(*at)).collect();
        let mut plan = self.keep_faults(&kept);
        for (fault, at) in plan.file.fault.iter_mut().zip(&kept).filter(|(_, at)| group(**at) >= 3) {
            fault.nth = None;
            fault.name = faults[*at].name.rsplit_once('.').map_or_else(|| fault.name.clone(), |(name, _)| format!("{name}.every"));
        }
        let fewer = plan.file.fault.len() < faults.len();
        (plan, fewer)
    }

    fn take_faults(&mut self, from: &Plan, kept: &[usize]) {
        self.file.fault = kept.iter().map(|at| from.file.fault[*at].clone()).collect();
        self.owners = kept.iter().map(|at| from.owners[*at]).collect();
    }

    /// Places, in the list of steps, of what happens once in a case.
    pub fn stock_steps(&self) -> Vec<usize> {
        (0..self.file.step.len()).filter(|at| !self.file.step[*at].action.is_of_order()).collect()
    }

    /// Without some of these.
    pub fn without_steps(&self, gone: &BTreeSet<usize>) -> Plan {
        self.with(|file| {
            let mut at = 0;
            file.step.retain(|_| {
                at += 1;
                !gone.contains(&(at - 1))
            });
        })
    }

    /// When a step of the case or an order comes, after the case began.
    pub fn time(text: Option<&str>) -> Span {
        text.and_then(|text| Span::parse(text).ok()).unwrap_or(Span::ZERO)
    }

    /// SKUs that an order's lines and exchanges name.
    pub fn skus_of(&self, no: u32) -> BTreeSet<&str> {
        let Some(place) = self.file.place.iter().find(|place| place.no == Some(no)) else { return BTreeSet::new() };
        let (order, steps) = match self.file.kind.iter().find(|kind| Some(&kind.name) == place.kind.as_ref()) {
            Some(KindFile { order, step, .. }) => (order, step),
            None => (&self.file.order, &self.file.step),
        };
        order.lines.iter().chain(steps.iter().flat_map(|step| &step.take)).map(|line| line.sku.as_str()).collect()
    }

    /// Units of each SKU that its orders ask for.
    pub fn demand(&self) -> BTreeMap<String, u64> {
        let mut demand: BTreeMap<String, u64> = BTreeMap::new();
        for place in &self.file.place {
            let kind = self.file.kind.iter().find(|kind| Some(&kind.name) == place.kind.as_ref());
            let (order, steps) = kind.map_or((&self.file.order, &self.file.step), |kind| (&kind.order, &kind.step));
            for line in order.lines.iter().chain(steps.iter().flat_map(|step| &step.take)) {
                *demand.entry(line.sku.clone()).or_default() += u64::from(line.qty);
            }
        }
        demand
    }

    /// Every SKU that anything but the list of goods names.
    pub fn skus(&self) -> BTreeSet<String> {
        let file = &self.file;
        let stocked = file.stock.keys().chain(file.phantom.keys()).filter_map(|key| key.split('@').next());
        let moved = file.step.iter().filter_map(|step| step.sku.as_deref()).chain(file.fault.iter().filter_map(|fault| fault.sku.as_deref()));
        self.demand().into_keys().chain(stocked.chain(moved).map(str::to_string)).collect()
    }

    /// How many sorts of orders there are.
    pub fn sorts(&self) -> usize {
        self.file.kind.len().max(1)
    }

    /// With one sort of order changed.
    pub fn with_sort(&self, at: usize, change: impl FnOnce(&mut Sort<'_>)) -> Plan {
        self.with(|file| {
            let mut sort = match file.kind.get_mut(at) {
                Some(kind) => Sort { order: &mut kind.order, step: &mut kind.step, partner: &mut kind.partner },
                None => Sort { order: &mut file.order, step: &mut file.step, partner: &mut file.partner },
            };
            change(&mut sort);
        })
    }

    /// One sort of order to look at.
    pub fn sort(&self, at: usize) -> (&OrderFile, &[StepFile], &[PartnerFile]) {
        self.file.kind.get(at).map_or((&self.file.order, &self.file.step, &self.file.partner), |kind| (&kind.order, &kind.step, &kind.partner))
    }

    /// Orders numbered from 1 in the order in which they come, with names of rules to match.
    pub fn renumbered(&self) -> Plan {
        let mut plan = self.clone();
        plan.file.place.sort_by_key(|place| (Plan::time(Some(&place.at)), place.no));
        let new: BTreeMap<u32, u32> = plan.file.place.iter().filter_map(|place| place.no).zip(1..).collect();
        plan.file.place.iter_mut().for_each(|place| place.no = place.no.and_then(|no| new.get(&no).copied()));
        for (fault, owner) in plan.file.fault.iter_mut().zip(&mut plan.owners) {
            *owner = new.get(owner).copied().unwrap_or(*owner);
            if let Some((old, no)) = fault.order.and_then(|old| Some((old, *new.get(&old)?))) {
                fault.name = fault.name.replace(&format!(".{}.", OrderNo(old)), &format!(".{}.", OrderNo(no)));
                fault.order = Some(no);
            }
        }
        plan
    }
}

#[cfg(test)]
impl Plan {
    pub fn of(file: ScenarioFile) -> Plan {
        Plan { owners: vec![0; file.fault.len()], file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faults of feeds follow the copies of the SKUs of the orders that they were about.
    #[test]
    fn a_fault_goes_with_its_order_and_follows_its_copy() {
        let fault = |no: u32, sku: Option<&str>| {
            serde_json::json!({"name": format!("f.O{no}.x.1"), "link": if sku.is_some() { "feeds" } else { "calls" }, "do": "duplicate",
                "order": sku.is_none().then_some(no), "node": sku.map(|_| "DC1"), "sku": sku, "nth": 1})
        };
        let file: ScenarioFile = serde_json::from_value(serde_json::json!({
            "name": "T", "title": "t", "matrix": {"stock": "per_order"}, "order": {"lines": [{"sku": "D", "qty": 1}]},
            "place": [{"no": 3, "at": "2m"}, {"no": 9, "at": "1m"}],
            "fault": [fault(3, None), fault(9, None), fault(9, Some("D~6")), fault(3, Some("D"))],
        }))
        .unwrap();
        let plan = Plan { file, owners: vec![0, 0, 9, 3] };
        let names = |plan: &Plan| plan.file().fault.iter().map(|fault| (fault.order, fault.sku.clone())).collect::<Vec<_>>();
        let nine = plan.keep_orders(&[9].into());
        assert_eq!(names(&nine), [(Some(9), None), (None, Some("D".into()))]);
        assert_eq!(names(&plan.renumbered()), [(Some(2), None), (Some(1), None), (None, Some("D".into())), (None, Some("D~1".into()))]);
        assert_eq!(plan.renumbered().file().fault[0].name, "f.O2.x.1");
    }

    #[test]
    fn many_faults_of_a_sort_are_one_rule() {
        let fault: Vec<_> = (1..=4)
            .map(|nth| {
                let op = if nth < 4 { "node.release" } else { "node.cancel" };
                serde_json::json!({"name": format!("f.O1.{op}.{nth}"), "link": "calls", "ops": [op], "do": "blackhole", "order": 1, "nth": nth})
            })
            .collect();
        let file = serde_json::json!({"name": "T", "title": "t", "order": {"lines": [{"sku": "D", "qty": 1}]}, "fault": fault});
        let (merged, fewer) = Plan::of(serde_json::from_value(file).unwrap()).merged_faults();
        let left: Vec<_> = merged.file().fault.into_iter().map(|fault| (fault.name, fault.nth)).collect();
        assert_eq!((left, fewer), (vec![("f.O1.node.release.every".into(), None), ("f.O1.node.cancel.4".into(), Some(4))], true));
        assert!(!merged.merged_faults().1);
    }
}
