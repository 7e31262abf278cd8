//! EXPECTATION: what the scenario expects of every order.

use super::account::{Account, Flow, Happened};
use super::chain::{Compiled, Progress, Wrong};
use super::credit::Credit;
use super::money::first_units;
use super::per_order::PerOrder;
use super::{Checker, Context, Invariant};
use crate::history::{Entry, Header, Kind};
use crate::model::{Class, Fixture, Id, LineNo, Money, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::scenario::{Amount, Expect, Relation, Scope, Term};
use crate::sim::Timestamp;
use smallvec::SmallVec;
use std::collections::BTreeMap;

pub(super) const ABOUT: Invariant = Invariant {
    name: "EXPECTATION",
    summary: "what the scenario expects comes true",
    definition: "What the scenario says in `[expect]`, per order, over its events in the order of `seq`. `a > b`: b needs every earlier step's least number before it; a step with a greatest number may not come after a later one began. `each shipment:` counts every fulfillment that took a step. `never \"a before b\"`: no a while there was no b yet. `calls` counts facts (for screening and address checks: answered calls by key; a void of nothing is none). Of the outcomes exactly one comes true; an order turned down in the reply is `order.rejected`, with the event or without. `stock` is summed over all orders, and exact for a key that is named for each of them.",
    needs: "a scenario with expectations; events with `seq`",
    traps: "`within` is extended by the time from the order's first fault to the calm, and by that in which the target was down, as far as they overlap. A fulfillment that was rejected, cancelled or expired owes nothing more. An order that was shed (429, refused) owes nothing.",
    facts_only: false,
};

/// Per order: its events, put in the order of their `seq`, follow every sentence of `flow`, do what `never` forbids nowhere
/// and what `within` demands in time; its effects are counted and its books sum as stated; exactly one of the outcomes comes
/// true, and what is expected of that one holds too. Over all orders: goods moved as stated.
///
/// Redelivered events are collapsed before they come here. Chains of an order count all its events, those of exchanges
/// included; `each shipment:` counts a fulfillment that took at least one of the steps, and one that was rejected, cancelled
/// or expired owes nothing more. A deadline is extended by the time for which faults could act on the order. Where an event is
/// missing, only what is certain before the hole is judged. An order that was never taken on owes nothing; one that was
/// turned down for a business reason counts as `order.rejected`.
pub(super) struct Expectation {
    scenario: Scenario,
    orders: PerOrder<State>,
}

/// What is expected, and what of it came true so far.
struct Scenario {
    /// it expects nothing
    empty: bool,
    /// what holds always, then each outcome
    sets: Vec<Set>,
    /// by operation: the sets in which a sentence concerns an event of it
    concerned: Vec<Vec<usize>>,
    ops_of_outcomes: Vec<Op>,
    /// for how many orders each outcome came true
    came_true: Vec<u64>,
    stock: Stock,
}

struct Set {
    /// empty, or what it is called in a finding
    prefix: String,
    expect: Expect,
    chains: Vec<Compiled>,
    /// by operation: which of its sentences an event of it concerns
    concerned: Vec<Concerned>,
}

/// Places in `never`, `flow` and `within`.
struct Concerned {
    nevers: Vec<usize>,
    chains: Vec<usize>,
    deadlines: Vec<usize>,
}

impl Concerned {
    fn is_empty(&self) -> bool {
        self.nevers.is_empty() && self.chains.is_empty() && self.deadlines.is_empty()
    }
}

impl Set {
    fn new(prefix: String, expect: &Expect) -> Set {
        let chains: Vec<Compiled> = expect.flow.iter().map(Compiled::new).collect();
        let places = |count: usize, concerns: &dyn Fn(usize) -> bool| (0..count).filter(|i| concerns(*i)).collect::<Vec<usize>>();
        let of = |op: Op| Concerned {
            nevers: places(expect.never.len(), &|i| expect.never[i].op == op),
            chains: places(chains.len(), &|i| chains[i].ops().any(|step| step == op)),
            deadlines: places(expect.within.len(), &|i| expect.within[i].from == op || expect.within[i].to.contains(&op)),
        };
        let concerned = Op::ALL.iter().map(|op| of(*op)).collect();
        Set { prefix, expect: expect.clone(), chains, concerned }
    }
}

#[derive(Clone, Copy)]
struct Event {
    seq: u32,
    op: Op,
    fulfillment: u64,
    ret: u64,
    at: Timestamp,
    n: u64,
}

struct Instance {
    set: usize,
    chain: usize,
    object: u64,
    progress: Progress,
}

struct Pending {
    set: usize,
    deadline: usize,
    object: u64,
    from: Timestamp,
    n: u64,
}

/// Ids of fulfillments or returns.
type Objects = SmallVec<[u64; 2]>;

#[derive(Default)]
struct State {
    next: u32,
    waiting: Vec<Event>,
    instances: Vec<Instance>,
    pending: Vec<Pending>,
    /// every operation that came, with how often and where first and last
    came: Vec<(Op, u32, u64, u64)>,
    /// fulfillments that were allocated, and those that were rejected, cancelled or expired
    allocated: Objects,
    ended: Objects,
    /// returns and exchanges that were taken on, and those that were called off
    taken_on: Objects,
    called_off: Objects,
    effects: Vec<(Op, u32, u64)>,
    answered: SmallVec<[Id; 2]>,
    /// the answer that turned the order down
    turned_down: Option<(u64, Timestamp)>,
    /// deadlines met only thanks to the time that faults add
    excused: u64,
    wrong: Vec<(usize, String, Wrong)>,
}

impl State {
    /// Nothing yet, in the same memory.
    fn empty(&mut self) {
        let State { next, waiting, instances, pending, came, allocated, ended, taken_on, called_off, effects, answered, wrong, .. } = self;
        *next = 0;
        waiting.clear();
        instances.clear();
        pending.clear();
        came.clear();
        effects.clear();
        answered.clear();
        wrong.clear();
        [allocated, ended, taken_on, called_off].into_iter().for_each(Objects::clear);
        (self.turned_down, self.excused) = (None, 0);
    }
    fn came(&self, op: Op) -> Option<(u32, u64)> {
        self.came.iter().find(|(known, ..)| *known == op).map(|(_, count, first, _)| (*count, *first))
    }
}

/// Goods moved over all orders, by node and SKU (the copies of a SKU that orders of their own get are one).
#[derive(Default)]
struct Stock {
    expected: BTreeMap<(NodeId, SkuId), (i64, u64)>,
    judged: u64,
    /// the last entry about an order that was judged: it shows that nothing moved
    last: u64,
    /// an order of which is not known how it went
    open: bool,
}

impl Expectation {
    pub(super) fn new(expect: Expect, _header: &Header) -> Expectation {
        let mut sets = vec![Set::new(String::new(), &expect)];
        sets.extend(expect.outcomes.iter().map(|(op, outcome)| Set::new(format!("outcome {op}: "), outcome)));
        let ops_of_outcomes: Vec<Op> = expect.outcomes.iter().map(|(op, _)| *op).collect();
        let concerned = Op::ALL.iter().map(|op| (0..sets.len()).filter(|set| !sets[*set].concerned[*op as usize].is_empty()).collect()).collect();
        let came_true = vec![0; ops_of_outcomes.len()];
        let (empty, stock) = (expect == Expect::default(), Stock::default());
        Expectation { scenario: Scenario { empty, sets, concerned, ops_of_outcomes, came_true, stock }, orders: PerOrder::default() }
    }
}

impl Checker for Expectation {
    fn about(&self) -> &'static Invariant {
        &ABOUT
    }
    fn hears(&self, kind: Kind, op: Op) -> bool {
        let concerns = match kind {
            Kind::Event => true,
            Kind::Fact => op.class() != Class::Stock,
            Kind::Answer => matches!(op, Op::FraudScreen | Op::AddressValidate),
            Kind::Reply => op == Op::PlaceOrder,
            _ => false,
        };
        concerns && !self.scenario.empty
    }

    fn observe(&mut self, e: &Entry, ctx: &mut Context<'_>) {
        // a probe is no order of the scenario
        let Some(place) = ctx.place.filter(|_| !e.msg.order.is_probe() && !self.scenario.empty) else { return };
        match e.kind {
            Kind::Event => {
                let m = &e.msg;
                let event = Event { seq: m.seq, op: m.op, fulfillment: m.fulfillment.0, ret: m.ret.0, at: e.at, n: e.n };
                let state = self.orders.entry(place);
                if event.seq > state.next + 1 {
                    state.waiting.push(event);
                    return;
                }
                let Some(account) = ctx.account else { return };
                let credit = || ctx.ledger.credit(account, ctx.header);
                take(&self.scenario, state, event, &credit);
                while let Some(i) = state.waiting.iter().position(|event| event.seq <= state.next + 1) {
                    let event = state.waiting.swap_remove(i);
                    take(&self.scenario, state, event, &credit);
                }
            }
            Kind::Fact if !(e.msg.op == Op::PaymentVoid && e.msg.amount == Money::ZERO) => {
                let state = self.orders.entry(place);
                count_effect(state, e.msg.op, e.n);
            }
            // these partners only look: their answer is the effect
            Kind::Answer if matches!(e.msg.op, Op::FraudScreen | Op::AddressValidate) && e.outcome != Outcome::Error => {
                let state = self.orders.entry(place);
                if !state.answered.contains(&e.msg.key) {
                    state.answered.push(e.msg.key);
                    count_effect(state, e.msg.op, e.n);
                }
            }
            Kind::Reply if e.msg.op == Op::PlaceOrder && e.outcome == Outcome::Rejected && e.msg.code != crate::model::Code::KeyReuse => {
                self.orders.entry(place).turned_down = Some((e.n, e.at));
            }
            _ => {}
        }
    }

    fn settle_order(&mut self, order: OrderNo, ctx: &mut Context<'_>) {
        let Expectation { scenario, orders } = self;
        let Some(place) = ctx.place else { return };
        let state = orders.entry(place);
        if let Some(account) = ctx.account {
            let credit = || ctx.ledger.credit(account, ctx.header);
            turned_down_in_the_answer(scenario, state, account, &credit);
        }
        scenario.settle_one(order, state, ctx);
        state.empty();
        orders.leave(place);
    }

    fn settle(&mut self, ctx: &mut Context<'_>) {
        self.scenario.settle(ctx);
    }
}

impl Scenario {
    fn settle(&mut self, ctx: &mut Context<'_>) {
        ctx.outcomes.extend(self.ops_of_outcomes.iter().copied().zip(self.came_true.iter().copied()));
        if self.stock.expected.is_empty() {
            return;
        }
        if !ctx.at_rest || self.stock.open {
            return ctx.unknown();
        }
        let mut moved: BTreeMap<(NodeId, SkuId), (i64, u64)> = BTreeMap::new();
        for ((node, sku), shelf) in ctx.ledger.shelves() {
            let sum = moved.entry((node, base_sku(&ctx.header.fixture, sku))).or_default();
            *sum = (sum.0 + shelf.moved, sum.1.max(shelf.last_fact));
        }
        for ((node, sku), (expected, named)) in std::mem::take(&mut self.stock.expected) {
            // exact only where it is named for every order
            if named != self.stock.judged {
                continue;
            }
            ctx.judged();
            let (moved, last) = moved.get(&(node, sku)).copied().unwrap_or_default();
            if moved != expected {
                let (node, sku) = (ctx.header.fixture.node_name(node), ctx.header.fixture.sku_name(sku));
                let what = format!("stock of {sku} at {node} moved by {moved:+} over {named} orders");
                ctx.fail(OrderNo::NONE, what, format!("{expected:+}: `{sku}@{node}` for each order"), vec![last, self.stock.last]);
            }
        }
    }

    /// Judges one order that is not heard of any more.
    fn settle_one(&mut self, order: OrderNo, state: &State, ctx: &mut Context<'_>) {
        let Some(account) = ctx.account.filter(|account| account.placed.is_set()) else { return };
        if self.empty || order.is_probe() {
            return;
        }
        if account.happened() != Happened::Yes && state.turned_down.is_none() {
            self.stock.open = true;
            if account.happened() == Happened::Unknown && account.said.is_none() {
                ctx.unknown();
            }
            return;
        }
        ctx.judged();
        (0..state.excused).for_each(|_| ctx.excuse());
        let came = self.outcomes_that_came(state);
        for (outcome, _) in &came {
            self.came_true[*outcome] += 1;
        }
        let complete = ctx.at_rest && !ctx.suspended;
        let mut open = false;
        if complete && !self.ops_of_outcomes.is_empty() && came.len() != 1 {
            let names = |ops: &[Op]| ops.iter().map(|op| op.name()).collect::<Vec<_>>().join(", ");
            let seen: Vec<Op> = came.iter().map(|(i, _)| self.ops_of_outcomes[*i]).collect();
            let what = match seen.len() {
                0 => format!("none of the outcomes came true for {order}"),
                _ => format!("{} outcomes came true for {order}: {}", seen.len(), names(&seen)),
            };
            let mut evidence: Vec<u64> = came.iter().map(|(_, n)| *n).collect();
            evidence.extend([account.placed.n, account.last_claim.map_or(0, |(_, n)| n)]);
            ctx.fail(order, what, format!("exactly one of: {}", names(&self.ops_of_outcomes)), evidence);
            open = true;
        }
        // what is expected always, and of the outcome that came true
        let chosen = if came.len() == 1 { Some(came[0].0 + 1) } else { None };
        for set in [Some(0), chosen].into_iter().flatten() {
            self.certain(set, order, state, ctx);
            if complete {
                self.owed(set, account, state, ctx);
            } else {
                open = true;
            }
        }
        if !complete {
            ctx.unknown();
        }
        self.stock.open |= open;
        self.stock.judged += 1;
        self.stock.last = self.stock.last.max(account.last.n);
        for set in [Some(0), chosen].into_iter().flatten() {
            for (node, sku, qty) in &self.sets[set].expect.ledger.stock {
                let key = (*node, base_sku(&ctx.header.fixture, *sku));
                let named = self.stock.expected.entry(key).or_default();
                // an outcome speaks more exactly than what holds always
                let general = self.sets[0].expect.ledger.stock.iter().find(|(n, s, _)| set != 0 && (n, s) == (node, sku));
                named.0 += qty - general.map_or(0, |(_, _, qty)| *qty);
                named.1 += u64::from(general.is_none());
            }
        }
    }
}

fn count_effect(state: &mut State, op: Op, n: u64) {
    match state.effects.iter_mut().find(|(known, ..)| *known == op) {
        Some((_, count, last)) => (*count, *last) = (*count + 1, n),
        None => {
            if state.effects.is_empty() {
                state.effects.reserve(8);
            }
            state.effects.push((op, 1, n));
        }
    }
}

/// The object that an event is about, in a scope.
fn object(scope: Scope, event: &Event) -> Option<u64> {
    match scope {
        Scope::Order => Some(0),
        Scope::EachFulfillment => Some(event.fulfillment).filter(|id| *id != 0),
        Scope::EachReturn => Some(event.ret).filter(|id| *id != 0),
    }
}

/// One event of an order, in sequence.
fn take<'a>(scenario: &Scenario, state: &mut State, event: Event, credit: &impl Fn() -> Credit<'a>) {
    state.next = state.next.max(event.seq);
    let Event { op, n, .. } = event;
    match op {
        Op::FulfillmentAllocated => state.allocated.push(event.fulfillment),
        Op::FulfillmentRejected | Op::FulfillmentCancelled | Op::FulfillmentExpired => state.ended.push(event.fulfillment),
        Op::ReturnAuthorized | Op::ExchangeCreated if !state.taken_on.contains(&event.ret) => state.taken_on.push(event.ret),
        Op::ReturnRejected | Op::ReturnCancelled => state.called_off.push(event.ret),
        _ => {}
    }
    for s in scenario.concerned[op as usize].iter().copied() {
        let set = &scenario.sets[s];
        let concerned = &set.concerned[op as usize];
        for never in concerned.nevers.iter().map(|i| &set.expect.never[*i]) {
            let clash = match never.relation {
                Relation::AtAll => Some(0),
                Relation::After(other) => state.came(other).map(|(_, first)| first),
                // before the first of them, that is: a later one may follow
                Relation::Before(other) => state.came(other).is_none().then_some(n),
            };
            if let Some(earlier) = clash {
                let what = match never.relation {
                    Relation::AtAll => format!("{op} came"),
                    Relation::After(other) => format!("{op} came after {other}"),
                    Relation::Before(other) => format!("{op} came with no {other} before it"),
                };
                state.wrong.push((s, format!("never {}", never.text), Wrong { what, evidence: vec![earlier, n] }));
            }
        }
        for c in &concerned.chains {
            chain_step(state, (s, *c), &set.chains[*c], &event);
        }
        for d in concerned.deadlines.iter().copied() {
            let deadline = &set.expect.within[d];
            let Some(object) = object(deadline.scope, &event) else { continue };
            if deadline.to.contains(&op) {
                for pending in state.pending.extract_if(.., |p| (p.set, p.deadline, p.object) == (s, d, object)) {
                    let extra = credit().between(pending.from, event.at);
                    if event.at.since(pending.from) > deadline.limit + extra {
                        let took = event.at.since(pending.from);
                        let what = format!("{op} came {took} after {}, {} is right{}", deadline.from, deadline.limit, extended(extra));
                        state.wrong.push((s, deadline.text.clone(), Wrong { what, evidence: vec![pending.n, n] }));
                    } else if event.at.since(pending.from) > deadline.limit {
                        state.excused += 1;
                    }
                }
            }
            if deadline.from == op {
                state.pending.push(Pending { set: s, deadline: d, object, from: event.at, n });
            }
        }
    }
    match state.came.iter_mut().find(|(known, ..)| *known == op) {
        Some((_, count, _, last)) => (*count, *last) = (*count + 1, n),
        None => {
            if state.came.is_empty() {
                // what a plain order comes to
                state.came.reserve(12);
            }
            state.came.push((op, 1, n, n));
        }
    }
}

/// Who was turned down in the answer need not be told so by an event once more: the answer is that step.
fn turned_down_in_the_answer<'a>(scenario: &Scenario, state: &mut State, account: &Account, credit: &impl Fn() -> Credit<'a>) {
    let Some((n, at)) = state.turned_down.filter(|_| account.happened() != Happened::Yes) else { return };
    if state.waiting.is_empty() && state.came(Op::OrderRejected).is_none() {
        take(scenario, state, Event { seq: state.next, op: Op::OrderRejected, fulfillment: 0, ret: 0, at, n }, credit);
    }
}

fn chain_step(state: &mut State, (set, chain): (usize, usize), compiled: &Compiled, event: &Event) {
    let in_scope = if compiled.chain.all { Some(0) } else { object(compiled.chain.scope, event) };
    let Some(mut id) = in_scope else { return };
    if compiled.chain.all && compiled.chain.parts.first().is_some_and(|first| first.steps().iter().any(|step| step.op == event.op)) {
        // the first part of `all` is of each object, the rest of the order
        match object(compiled.chain.scope, event) {
            Some(object) => id = object,
            None => return,
        }
    }
    let at = state.instances.iter().position(|i| (i.set, i.chain, i.object) == (set, chain, id)).unwrap_or_else(|| {
        state.instances.push(Instance { set, chain, object: id, progress: compiled.start() });
        state.instances.len() - 1
    });
    if !compiled.chain.all {
        return compiled.step(&mut state.instances[at].progress, event.op, event.n);
    }
    if id != 0 {
        return compiled.step(&mut state.instances[at].progress, event.op, event.n);
    }
    // every object that is there by now must have done its step
    let first = compiled.chain.parts[0].steps();
    let (begun, over) = match compiled.chain.scope {
        Scope::EachReturn => (&state.taken_on, &state.called_off),
        _ => (&state.allocated, &state.ended),
    };
    let objects: Vec<u64> = begun.iter().copied().filter(|object| !over.contains(object)).collect();
    let lacking = objects.iter().filter(|object| {
        let progress = state.instances.iter().find(|i| (i.set, i.chain, i.object) == (set, chain, **object)).map(|i| &i.progress);
        progress.is_none_or(|progress| !compiled.begun(progress))
    });
    let lacking = lacking.count();
    let progress = &mut state.instances[at].progress;
    if lacking > 0 && progress.wrong.is_none() {
        let steps: Vec<&str> = first.iter().map(|step| step.op.name()).collect();
        let what = format!("{} came while {lacking} of {} had not done {}", event.op, objects.len(), steps.join(", "));
        progress.wrong = Some(Box::new(Wrong { what, evidence: vec![event.n] }));
    }
}

fn extended(extra: crate::sim::Span) -> String {
    if extra.0 == 0 { String::new() } else { format!(" and {extra} more for faults") }
}

impl Scenario {
    fn outcomes_that_came(&self, state: &State) -> SmallVec<[(usize, u64); 2]> {
        let came = |op: Op| match state.came(op) {
            None if op == Op::OrderRejected => state.turned_down.map(|(n, _)| n),
            came => came.map(|(_, first)| first),
        };
        self.ops_of_outcomes.iter().enumerate().filter_map(|(i, op)| came(*op).map(|n| (i, n))).collect()
    }

    /// What went wrong for certain, whatever may still be missing.
    fn certain(&self, set: usize, order: OrderNo, state: &State, ctx: &mut Context<'_>) {
        let prefix = &self.sets[set].prefix;
        for instance in state.instances.iter().filter(|instance| instance.set == set) {
            if let Some(wrong) = &instance.progress.wrong {
                let text = &self.sets[set].chains[instance.chain].chain.text;
                ctx.fail(order, format!("{prefix}{}", wrong.what), text.as_str(), wrong.evidence.clone());
            }
        }
        for (_, text, wrong) in state.wrong.iter().filter(|(of, ..)| *of == set) {
            ctx.fail(order, format!("{prefix}{}", wrong.what), text.as_str(), wrong.evidence.clone());
        }
    }

    /// What should be there by now and is not, and what the books say.
    fn owed(&self, set: usize, account: &Account, state: &State, ctx: &mut Context<'_>) {
        let (order, Set { prefix, expect, chains, .. }) = (account.no, &self.sets[set]);
        let last = account.last_claim.map_or(0, |(_, n)| n);
        for (c, compiled) in chains.iter().enumerate() {
            let mine = state.instances.iter().filter(|i| (i.set, i.chain) == (set, c));
            let fresh = compiled.start();
            let objects: Vec<(u64, &Progress)> = match compiled.chain.scope {
                Scope::Order => vec![(0, mine.map(|i| &i.progress).next().unwrap_or(&fresh))],
                _ if compiled.chain.all => Vec::new(),
                _ => mine.map(|i| (i.object, &i.progress)).collect(),
            };
            for (object, progress) in objects {
                let excused = compiled.chain.scope == Scope::EachFulfillment && state.ended.contains(&object);
                let owes = compiled.owes(progress);
                if owes.is_empty() || progress.wrong.is_some() || excused {
                    continue;
                }
                let whose = if object == 0 { String::new() } else { format!(" for {object:x}") };
                let what = format!("{prefix}{} never came{whose}", owes.join(", "));
                ctx.fail(order, what, compiled.chain.text.as_str(), vec![account.placed.n, compiled.last_entry(progress), last]);
            }
            if compiled.chain.all {
                let later = compiled.chain.parts.iter().skip(1).flat_map(|part| part.steps());
                let absent: Vec<&str> = later.filter(|step| step.count.min > 0 && state.came(step.op).is_none()).map(|step| step.op.name()).collect();
                if !absent.is_empty() {
                    ctx.fail(order, format!("{prefix}{} never came", absent.join(", ")), compiled.chain.text.as_str(), vec![last]);
                }
            }
        }
        for pending in state.pending.iter().filter(|pending| pending.set == set) {
            let deadline = &expect.within[pending.deadline];
            if deadline.scope == Scope::EachFulfillment && state.ended.contains(&pending.object) {
                continue;
            }
            let extra = ctx.ledger.credit(account, ctx.header).between(pending.from, ctx.ledger.now);
            if ctx.ledger.now.since(pending.from) > deadline.limit + extra {
                let to: Vec<&str> = deadline.to.iter().map(|op| op.name()).collect();
                let what = format!("{prefix}{} did not come within {} after {}{}", to.join(" or "), deadline.limit, deadline.from, extended(extra));
                ctx.fail(order, what, deadline.text.as_str(), vec![pending.n]);
            } else {
                ctx.unknown();
            }
        }
        for (op, count) in &expect.calls {
            let (times, n) = state.effects.iter().find(|(known, ..)| known == op).map_or((0, 0), |(_, times, n)| (*times, *n));
            if !count.allows(times) {
                let right = match count.max {
                    Some(max) if max == count.min => format!("{max}"),
                    Some(max) => format!("{} to {max}", count.min),
                    None => format!("at least {}", count.min),
                };
                let what = format!("{prefix}{op} took effect {times} times for {order}");
                ctx.fail(order, what, format!("{op}: {right}"), vec![account.placed.n, n]);
            }
        }
        let open: i64 = account.auths.iter().map(|auth| auth.open().max(0)).sum();
        let books = [
            ("captured", &expect.ledger.captured, account.sum(Flow::Captured, true), Flow::Captured),
            ("refunded", &expect.ledger.refunded, account.sum(Flow::Refunded, true), Flow::Refunded),
            ("authorized and open", &expect.ledger.authorized_open, open, Flow::Authorized),
        ];
        for (name, amount, is, flow) in books {
            let Some(amount) = amount else { continue };
            match evaluate(amount, account) {
                Some(expected) if expected != is => {
                    let what = format!("{prefix}{} {name} for {order}", Money(is));
                    let mut all = vec![account.placed.n];
                    all.extend(account.entries_of(flow));
                    ctx.fail(order, what, format!("{name} = {} = {}", amount.text, Money(expected)), all);
                }
                Some(_) => {}
                None => ctx.unknown(),
            }
        }
    }
}

/// The sum, for this order; none where a term is about a line that it does not have.
fn evaluate(amount: &Amount, account: &Account) -> Option<i64> {
    let body = account.body.as_ref()?;
    let goods: i64 = body.lines.iter().map(|line| line.total().0).sum();
    let line = |no: LineNo| body.line(no);
    let mut sum = 0;
    for (sign, term) in &amount.terms {
        sum += sign
            * match term {
                Term::Cents(cents) => *cents,
                Term::OrderTotal => goods + body.shipping.0,
                Term::OrderGoods => goods,
                Term::OrderShipping => body.shipping.0,
                Term::Line(no) => line(*no)?.total().0,
                Term::Unit(no) => line(*no).map(|l| first_units(l.total(), l.qty.into(), 1).0)?,
            };
    }
    Some(sum)
}

/// Orders with stock of their own get copies of a SKU, named after it: `A~3` is a copy of `A`.
fn base_sku(fixture: &Fixture, sku: SkuId) -> SkuId {
    let name = fixture.sku_name(sku);
    name.split_once('~').and_then(|(base, _)| fixture.sku_named(base)).unwrap_or(sku)
}

#[cfg(test)]
mod tests {
    use crate::check::Verdict;
    use crate::check::testing::*;
    use crate::model::{Op, Outcome};
    use crate::scenario::{Expect, ExpectFile};
    use crate::sim::Span;

    fn expecting(toml: &str) -> Story {
        let mut h = Story::new();
        let file: ExpectFile = toml::from_str(toml).expect("the test's own text");
        h.expect = Expect::parse(&file, &h.header.fixture).expect("the test's own sentences");
        h
    }
    fn told(toml: &str, ops: &[Op]) -> Story {
        let mut h = expecting(toml);
        h.place(1, &[(1, A, 1)]);
        for op in ops {
            h.event(1, *op, |_| {});
        }
        h
    }
    const CHAIN: &str = r#"flow = ["order.accepted > (payment.authorized & risk.assessed) > fulfillment.released"]"#;
    const RISK: Op = Op::RiskAssessed;

    #[test]
    fn accepts_a_chain_in_any_order_that_it_leaves_open() {
        told(CHAIN, &[Op::OrderAccepted, RISK, Op::PaymentAuthorized, Op::FulfillmentReleased]).accepts("EXPECTATION");
    }

    #[test]
    fn events_are_put_in_sequence_before_they_are_judged() {
        let mut h = expecting(CHAIN);
        h.place(1, &[(1, A, 1)]);
        let held: Vec<usize> = [Op::OrderAccepted, RISK, Op::PaymentAuthorized, Op::FulfillmentReleased].map(|op| h.hold_event(1, op, |_| {})).into();
        for event in held.into_iter().rev() {
            h.deliver(event);
        }
        h.accepts("EXPECTATION");
    }

    #[test]
    fn rejects_a_step_without_what_must_come_before_it_and_says_so_once() {
        let h = told(CHAIN, &[Op::OrderAccepted, RISK, Op::FulfillmentReleased, Op::PaymentAuthorized]);
        let finding = h.rejects("EXPECTATION", "fulfillment.released came without payment.authorized before it");
        assert!(finding.expected.contains("order.accepted >"));
        assert_eq!(h.judge().findings.iter().filter(|f| f.check == "EXPECTATION").count(), 1, "the mirror image is not a second mistake");
    }

    #[test]
    fn rejects_what_is_missing_at_rest_and_leaves_it_open_where_the_record_is_cut_short() {
        let h = told(CHAIN, &[Op::OrderAccepted, RISK, Op::PaymentAuthorized]);
        h.rejects("EXPECTATION", "fulfillment.released never came");
        assert_eq!(h.cut_short().verdict_of("EXPECTATION"), Verdict::Unknown);
    }

    #[test]
    fn rejects_more_than_the_greatest_number_and_a_bounded_step_after_a_later_one() {
        told(CHAIN, &[Op::OrderAccepted, RISK, RISK]).rejects("EXPECTATION", "risk.assessed came 2 times");
        let optional = r#"flow = ["order.accepted > shipment.in_transit? > shipment.delivered"]"#;
        told(optional, &[Op::OrderAccepted, Op::ShipmentDelivered]).accepts("EXPECTATION");
        told(optional, &[Op::OrderAccepted, Op::ShipmentDelivered, Op::ShipmentInTransit])
            .rejects("EXPECTATION", "shipment.in_transit came after shipment.delivered");
    }

    #[test]
    fn exactly_one_of_two_comes() {
        let either = r#"flow = ["order.accepted > (order.cancelled | order.completed)"]"#;
        told(either, &[Op::OrderAccepted, Op::OrderCancelled]).accepts("EXPECTATION");
        told(either, &[Op::OrderAccepted]).rejects("EXPECTATION", "order.cancelled or order.completed never came");
        told(either, &[Op::OrderAccepted, Op::OrderCancelled, Op::OrderCompleted]).rejects("EXPECTATION", "both order.cancelled and order.completed");
    }

    #[test]
    fn a_cancelled_fulfillment_is_excused_and_an_unfinished_one_is_not() {
        let each = r#"flow = ["each shipment: fulfillment.allocated > fulfillment.released > shipment.shipped"]"#;
        let mut h = expecting(each);
        h.place(1, &[(1, A, 1)]);
        for (fid, end) in [(1, Op::FulfillmentRejected), (2, Op::FulfillmentReleased), (2, Op::ShipmentShipped)] {
            if end != Op::ShipmentShipped {
                h.event(1, Op::FulfillmentAllocated, |m| parcel(m, fid));
            }
            h.event(1, end, |m| parcel(m, fid));
        }
        h.accepts("EXPECTATION");
        h.event(1, Op::FulfillmentAllocated, |m| parcel(m, 3));
        h.rejects("EXPECTATION", "fulfillment.released, shipment.shipped never came for 3");
    }

    #[test]
    fn all_waits_for_every_fulfillment() {
        let all = r#"flow = ["all shipment.delivered > order.completed"]"#;
        let with = |delivered: &[u64]| {
            let mut h = expecting(all);
            h.place(1, &[(1, A, 1)]);
            for fid in [1, 2] {
                h.event(1, Op::FulfillmentAllocated, |m| parcel(m, fid));
            }
            for fid in delivered {
                h.event(1, Op::ShipmentDelivered, |m| parcel(m, *fid));
            }
            h.complete(1);
            h
        };
        with(&[2, 1]).accepts("EXPECTATION");
        with(&[2]).rejects("EXPECTATION", "order.completed came while 1 of 2 had not done shipment.delivered");
    }

    #[test]
    fn a_probe_is_no_order_of_the_scenario() {
        let mut h = told(CHAIN, &[Op::OrderAccepted, RISK, Op::PaymentAuthorized, Op::FulfillmentReleased]);
        h.probe(None).accepts("EXPECTATION");
    }

    #[test]
    fn a_deadline_that_faults_extended_beyond_the_end_is_open() {
        let mut h = expecting(r#"within = { "shipment.shipped > payment.captured" = "1h" }"#);
        h.header.calm_ns = Span::from_hours(5).0;
        h.place(1, &[(1, A, 1)]).claim(1, Op::ShipmentShipped, |_| {}).fault(1, crate::model::Id(7));
        h.wait(Span::from_mins(90)).place(2, &[(1, A, 1)]).leaves_open("EXPECTATION");
    }

    #[test]
    fn never_at_all_after_and_before() {
        let never = r#"never = ["payment.refunded", "shipment.shipped after order.completed", "payment.captured before shipment.shipped"]"#;
        told(never, &[Op::ShipmentShipped, Op::PaymentCaptured, Op::OrderCompleted]).accepts("EXPECTATION");
        told(never, &[Op::PaymentRefunded]).rejects("EXPECTATION", "payment.refunded came");
        told(never, &[Op::ShipmentShipped, Op::PaymentCaptured, Op::ShipmentShipped]).accepts("EXPECTATION");
        told(never, &[Op::OrderCompleted, Op::ShipmentShipped]).rejects("EXPECTATION", "shipment.shipped came after order.completed");
        told(never, &[Op::PaymentCaptured, Op::ShipmentShipped]).rejects("EXPECTATION", "payment.captured came with no shipment.shipped before it");
    }

    #[test]
    fn a_deadline_is_extended_by_faults_and_only_by_them() {
        let within = r#"within = { "shipment.shipped > payment.captured" = "1h" }"#;
        for (wait, fault, verdict) in [(50, false, Verdict::Pass), (90, false, Verdict::Fail), (90, true, Verdict::Pass)] {
            let mut h = expecting(within);
            h.header.calm_ns = Span::from_hours(5).0;
            h.place(1, &[(1, A, 1)]);
            h.event(1, Op::ShipmentShipped, |_| {});
            if fault {
                h.fault(1, crate::model::Id(7));
            }
            h.wait(Span::from_mins(wait)).event(1, Op::PaymentCaptured, |_| {});
            assert_eq!(h.judge().verdict_of("EXPECTATION"), verdict, "{wait} min, fault {fault}");
        }
        let mut h = expecting(within);
        h.place(1, &[(1, A, 1)]);
        h.event(1, Op::ShipmentShipped, |_| {});
        h.wait(Span::from_hours(3)).place(2, &[(1, A, 1)]);
        h.rejects("EXPECTATION", "payment.captured did not come within 1h");
    }

    #[test]
    fn effects_are_counted_and_books_are_summed() {
        let books = r#"
            calls = { payment = { capture = 1, refund = 0 } }
            ledger = { captured = "order.total", authorized_open = 0, stock = { "A@DC1" = -1 } }"#;
        let with = |cents: i64, moved: i32| {
            let mut h = expecting(books);
            h.place(1, &[(1, A, 1)]).accept(1).authorize(1, 50, 4800).capture(1, 50, cents).movement(Op::StockShipped, DC1, A, moved, 2);
            h
        };
        with(4800, -1).accepts("EXPECTATION");
        let finding = with(4000, -1).rejects("EXPECTATION", "40.00 captured for O1");
        assert_eq!(finding.expected, "captured = order.total = 48.00");
        with(4000, -1).rejects("EXPECTATION", "8.00 authorized and open");
        with(4800, -2).rejects("EXPECTATION", "stock of A at DC1 moved by -2 over 1 orders");
        with(4800, -1).capture(1, 50, 0).rejects("EXPECTATION", "payment.capture took effect 2 times");
    }

    #[test]
    fn all_waits_for_every_return_that_was_taken_on_and_not_called_off() {
        let with = |ops: &[(Op, u64)]| {
            let mut h = expecting(r#"flow = ["all return.received > order.completed"]"#);
            h.place(1, &[(1, A, 1)]);
            for (op, ret) in ops {
                h.event(1, *op, |m| in_return(m, *ret, &[]));
            }
            h.complete(1);
            h
        };
        let (authorized, received, cancelled) = (Op::ReturnAuthorized, Op::ReturnReceived, Op::ReturnCancelled);
        with(&[(authorized, 1), (authorized, 2), (received, 2), (received, 1)]).accepts("EXPECTATION");
        with(&[(authorized, 1), (authorized, 2), (received, 2), (cancelled, 1)]).accepts("EXPECTATION");
        with(&[(authorized, 1), (authorized, 2), (received, 2)])
            .rejects("EXPECTATION", "order.completed came while 1 of 2 had not done return.received");
    }

    const OUTCOMES: &str = r#"
        [outcome."order.cancelled"]
        never = ["shipment.shipped"]
        [outcome."order.completed"]
        flow = ["shipment.shipped > order.completed"]"#;

    #[test]
    fn exactly_one_outcome_comes_true_and_only_its_own_expectations_count() {
        told(OUTCOMES, &[Op::OrderCancelled]).accepts("EXPECTATION");
        told(OUTCOMES, &[Op::ShipmentShipped, Op::OrderCompleted]).accepts("EXPECTATION");
        told(OUTCOMES, &[Op::ShipmentShipped, Op::OrderCancelled]).rejects("EXPECTATION", "outcome order.cancelled: shipment.shipped came");
        told(OUTCOMES, &[Op::OrderAccepted]).rejects("EXPECTATION", "none of the outcomes");
        told(OUTCOMES, &[Op::OrderCancelled, Op::OrderCompleted]).rejects("EXPECTATION", "2 outcomes came true");
    }

    #[test]
    fn an_order_that_was_shed_owes_nothing_and_one_turned_down_is_rejected() {
        let with = |toml: &str, outcome| {
            let mut h = expecting(toml);
            let body = h.body(&[(1, A, 1)]);
            h.place_with(1, body, outcome);
            h
        };
        let shed = with(CHAIN, Outcome::Backpressure).judge();
        assert_eq!((shed.verdict_of("EXPECTATION"), shed.verdict), (Verdict::NotExercised, Verdict::NotExercised));
        with(CHAIN, Outcome::Rejected).rejects("EXPECTATION", "order.accepted");
        with(r#"[outcome."order.rejected"]"#, Outcome::Rejected).accepts("EXPECTATION");
        // the answer is the step, and an event beside it is the same step
        let refused = r#"flow = ["order.rejected"]"#;
        with(refused, Outcome::Rejected).accepts("EXPECTATION");
        let mut told = with(refused, Outcome::Rejected);
        told.event(1, Op::OrderRejected, |_| {});
        told.accepts("EXPECTATION");
        with(refused, Outcome::Ok).rejects("EXPECTATION", "order.rejected never came");
        with(r#"never = ["order.rejected"]"#, Outcome::Rejected).rejects("EXPECTATION", "order.rejected came");
    }

    #[test]
    fn a_lost_event_leaves_open_what_came_after_it() {
        let mut h = expecting(CHAIN);
        h.place(1, &[(1, A, 1)]).accept(1);
        h.hold_event(1, Op::PaymentAuthorized, |_| {});
        h.event(1, RISK, |_| {});
        h.event(1, Op::FulfillmentReleased, |_| {});
        h.leaves_open("EXPECTATION");
    }
}
