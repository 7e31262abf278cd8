//! Sweeps: one calm run tells where something can go wrong, then there is one case for every single fault at every such place. What
//! chance would have to find is gone through from end to end.

use super::Stop;
use super::execute::{self, Setup};
use crate::cli::Sweep;
use crate::history::{Entry, Kind, Observer};
use crate::model::{Class, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::scenario::{
    Address, Case, Cover, Expansion, FaultAction, FaultRule, FaultSet, Link, Moment, Scenario, Selection, SpanRange, Trigger, expand,
};
use crate::sim::{Span, Timestamp, VirtualClock};
use crate::workload;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name of the fault set that is none yet; every set of a sweep begins with it.
const SWEEP: &str = "sweep";
/// Where orders share a fixed stock there are many in a case: so many of them are gone through.
const ORDERS: u32 = 12;
/// A message that was sent is at work a moment later.
const AT_WORK: Span = Span::from_millis(25);

/// Whose message it is, which operation, and which of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Site {
    order: OrderNo,
    node: NodeId,
    sku: SkuId,
    op: Op,
    nth: u32,
}

/// Where a case can be hit: messages by link, and moments at which the target can be killed.
#[derive(Default)]
struct Sites {
    orders: BTreeSet<OrderNo>,
    /// there are more orders
    beyond: bool,
    seen: BTreeMap<(u8, OrderNo, NodeId, SkuId, Op), u32>,
    messages: Vec<(Link, Site)>,
    moments: Vec<(Moment, Site)>,
}

impl Sites {
    /// Which of its kind it is, from 1. `sort` keeps kinds apart that have the same operation.
    fn nth(&mut self, sort: u8, (order, node, sku): (OrderNo, NodeId, SkuId), op: Op) -> Site {
        let seen = self.seen.entry((sort, order, node, sku, op)).or_insert(0);
        *seen += 1;
        Site { order, node, sku, op, nth: *seen }
    }
}

impl Observer for Sites {
    fn observe(&mut self, entry: &Entry) {
        // no fault acts on what opens the shop
        if entry.at == Timestamp::ZERO {
            return;
        }
        let msg = &entry.msg;
        if msg.order.0 > ORDERS {
            self.beyond = true;
            return;
        }
        let link = match (entry.kind, msg.op.class()) {
            (Kind::Sent, Class::Command) => Some(Link::Commands),
            (Kind::Sent, Class::Feed) => Some(Link::Feeds),
            (Kind::Sent, Class::Callback) => Some(Link::Callbacks),
            (Kind::Call, _) => Some(Link::Calls),
            (Kind::Event, _) if msg.order.is_some() => Some(Link::Events),
            _ => None,
        };
        if msg.order.is_some() {
            self.orders.insert(msg.order);
        }
        if let Some(link) = link {
            let whose = if link == Link::Feeds { (OrderNo::NONE, msg.node, msg.sku) } else { (msg.order, NodeId::NONE, SkuId::NONE) };
            let site = self.nth(link as u8, whose, msg.op);
            self.messages.push((link, site));
        }
        let moment = match entry.kind {
            Kind::Sent => Moment::Sent,
            Kind::Reply if matches!(entry.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected) => Moment::Reply,
            Kind::Call => Moment::Call,
            Kind::Event => Moment::Event,
            Kind::Fact => Moment::Fact,
            _ => return,
        };
        let site = self.nth(100 + moment as u8, (msg.order, NodeId::NONE, SkuId::NONE), msg.op);
        self.moments.push((moment, site));
    }
}

/// The cases of a sweep over `scenarios`: of each variant its smallest case, a single order where stock allows it, on its first channel.
pub(super) fn cases(scenarios: &[Arc<Scenario>], setup: &Setup, sweep: Sweep, selection: &Selection) -> Expansion {
    let none = Arc::new(FaultSet { name: SWEEP.into(), ..FaultSet::default() });
    let whole = Selection { cover: Some(Cover::Full), cases: Vec::new(), orders: selection.orders.or(Some(1)), ..selection.clone() };
    let mut bases: Vec<Case> = Vec::new();
    for case in expand(scenarios, &[none], &whole).cases {
        let same = |base: &Case| Arc::ptr_eq(&base.scenario, &case.scenario) && seed_of(base) == seed_of(&case);
        if case.fault.name == SWEEP && !bases.iter().any(same) {
            bases.push(case);
        }
    }
    let (mut sites, mut kinds, mut beyond) = (0, BTreeSet::new(), false);
    let mut swept = Expansion::default();
    for base in &bases {
        let found = find(setup, base);
        beyond |= found.beyond;
        let rules = if sweep == Sweep::Crash { crashes(&found, &mut sites) } else { single_faults(base, &found, &mut sites) };
        for (place, rule) in rules {
            let kind = rule.after.map_or(rule.action.name(), |after| after.moment.name());
            kinds.insert(kind);
            let name = format!("{SWEEP}-{place}-{kind}");
            let case = Case {
                name: base.name.replacen(&format!(".{SWEEP}."), &format!(".{name}."), 1),
                fault: Arc::new(FaultSet { name, title: kind.into(), rules: vec![rule], ..FaultSet::default() }),
                ..base.clone()
            };
            swept.full += 1;
            if selection.cases.is_empty() || selection.cases.iter().any(|pattern| pattern.matches(&case.name)) {
                swept.cases.push(case);
            } else {
                swept.filtered += 1;
            }
        }
    }
    let what = match sweep {
        Sweep::SingleFault => format!("{} kinds of fault at {sites} call sites, each where it fits, exactly once", kinds.len()),
        Sweep::Crash => format!("a crash after each of {sites} moments, and while each message is at work, exactly once"),
    };
    let left = if swept.filtered > 0 { format!("; the case filter left out {}", swept.filtered) } else { String::new() };
    let beyond = if beyond { format!(" (of the first {ORDERS} orders, where a case has more)") } else { String::new() };
    swept.cover = format!("{what}{beyond}: {} cases{left}", swept.full);
    swept
}

/// The part of a case's name that tells seeds apart.
fn seed_of(case: &Case) -> &str {
    case.name.split_once(".seed").map_or("", |(_, seed)| seed)
}

/// What happens in the case while nothing goes wrong.
fn find(setup: &Setup, base: &Case) -> Sites {
    let mut sites = Sites::default();
    for number in 0..workload::partitions(base) {
        execute::simulate(setup, base, &workload::partition(base, number), &mut VirtualClock::new(), &Stop::new(), &mut sites);
    }
    sites
}

fn single_faults(base: &Case, found: &Sites, sites: &mut usize) -> Vec<(String, FaultRule)> {
    let estate = workload::partition(base, 0).plan.estate;
    let mut rules = Vec::new();
    for (link, site) in &found.messages {
        *sites += 1;
        let address = match link {
            Link::Feeds => {
                Address::Stock { node: estate.node_name(site.node).into(), sku: site.sku.is_some().then(|| estate.sku_name(site.sku).into()) }
            }
            _ => Address::Order(site.order),
        };
        let whose = match &address {
            Address::Stock { node, sku } => format!("{node}-{}", sku.as_ref().map_or(String::new(), |sku| format!("{sku}-"))),
            Address::Order(order) => {
                if found.orders.len() > 1 {
                    format!("{order}-")
                } else {
                    String::new()
                }
            }
        };
        for action in FaultAction::ALL.into_iter().filter(|action| fits(*action, *link, site.op)) {
            let rule = FaultRule { address: Some(address.clone()), nth: Some(site.nth), ops: vec![site.op], ..rule(*link, action) };
            rules.push((format!("{whose}{}-{}", site.op, site.nth), rule));
        }
    }
    rules
}

fn fits(action: FaultAction, link: Link, op: Op) -> bool {
    match action {
        // one message that others overtake is one that is late
        FaultAction::Reorder => false,
        // it repeats everything
        FaultAction::Replay => false,
        // it says nothing that could be said otherwise
        FaultAction::Mutate if matches!(op, Op::CancelReturn | Op::UpsertNode) => false,
        _ => action.fits(link),
    }
}

fn crashes(found: &Sites, sites: &mut usize) -> Vec<(String, FaultRule)> {
    let mut rules = Vec::new();
    for (moment, site) in &found.moments {
        *sites += 1;
        let whose = if found.orders.len() > 1 && site.order.is_some() { format!("{}-", site.order) } else { String::new() };
        let waits: &[Span] = if *moment == Moment::Sent { &[Span::ZERO, AT_WORK] } else { &[Span::ZERO] };
        for wait in waits {
            let order = site.order.is_some().then_some(site.order.0);
            let after = Some(Trigger { moment: *moment, op: site.op, order, nth: site.nth, wait: *wait });
            let late = if *wait > Span::ZERO { "-at-work" } else { "" };
            rules.push((format!("crash-{whose}{}-{}{late}", site.op, site.nth), FaultRule { after, ..rule(Link::Target, FaultAction::Crash) }));
        }
    }
    rules
}

/// A rule with the times that a sweep uses: a message comes late by more than a call waits, and a copy when much has happened since.
fn rule(link: Link, action: FaultAction) -> FaultRule {
    let exactly = |span: Span| SpanRange { lo: span, hi: span };
    let delay = match action {
        FaultAction::Drop => Span::from_mins(2),
        FaultAction::EffectLate => Span::from_secs(45),
        FaultAction::Mutate => Span::from_mins(1),
        FaultAction::Slow => Span::from_secs(2),
        _ => Span::from_mins(20),
    };
    FaultRule {
        new_id: link == Link::Commands,
        delay: exactly(delay),
        retry_after: Span::from_secs(30),
        resync: Span::from_hours(1),
        down: Span::from_secs(5),
        ..FaultRule::of(link, action)
    }
}
