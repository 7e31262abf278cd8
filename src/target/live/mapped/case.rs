//! What is known of one case against a mapped target: ids by order, lookups, sessions, and how far each command has come.

use super::super::Heard;
use super::super::http::Responder;
use crate::mapping::{Bind, Lookup, Mapping, Scope, value_of};
use crate::model::{Code, Fid, Id, Lines, Message, NodeId, Op, OrderNo, Outcome, SkuId};
use crate::net::Client;
use crate::sim::{Clock, Mailbox, Stopwatch, Timestamp, WallClock};
use crate::wire::{Names, Payload};
use minijinja::value::Value;
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// What is the same for all cases of a run.
pub struct Shared {
    pub mapping: Arc<Mapping>,
    pub client: Client,
    /// the environment, as `env`
    pub env: Value,
    /// lookups that are read once
    pub(super) lookups: Mutex<BTreeMap<String, Value>>,
    pub(super) sessions: Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
    /// one login at a time
    pub(super) login: tokio::sync::Mutex<()>,
    /// program and arguments of `[reset]`, filled in
    pub reset: Vec<String>,
}

impl Shared {
    pub fn new(mapping: Arc<Mapping>, client: Client, env: Value, reset: Vec<String>) -> Shared {
        let (lookups, sessions) = (Mutex::default(), Mutex::default());
        Shared { mapping, client, env, reset, lookups, sessions, login: tokio::sync::Mutex::new(()) }
    }

    /// Nothing is kept over a reset of the target.
    pub(super) fn forget(&self) {
        lock(&self.lookups).clear();
        lock(&self.sessions).clear();
    }
}

/// Each change is one call, so a thread that panicked leaves everything whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ids and other values that were kept, by name.
#[derive(Clone, Default)]
struct Bag(BTreeMap<String, Kept>);

#[derive(Clone)]
enum Kept {
    One(Value),
    Many(BTreeMap<String, Value>),
}

impl Bag {
    fn value(&self) -> Value {
        let one = |kept: &Kept| match kept {
            Kept::One(value) => value.clone(),
            Kept::Many(values) => Value::from(values.clone()),
        };
        Value::from(self.0.iter().map(|(name, kept)| (name.clone(), one(kept))).collect::<BTreeMap<String, Value>>())
    }
}

#[derive(Default)]
struct Known {
    bags: FxHashMap<OrderNo, Bag>,
    /// by name and value: the order in whose bag it stands
    owners: FxHashMap<(String, String), OrderNo>,
    /// lookups of this case
    lookups: BTreeMap<String, Value>,
    /// by order and session
    sessions: FxHashMap<(OrderNo, String), BTreeMap<String, Value>>,
    attempts: FxHashMap<Id, Arc<Attempts>>,
    /// by id: calls that were heard through the target's own API
    driven: FxHashMap<Id, Message>,
    /// by fulfillment: what is packed and has not left
    packed: FxHashMap<Fid, (NodeId, Lines)>,
    numbers: Numbers,
    /// deliveries that were not taken: whoever sent them sends them again
    owed: BTreeSet<String>,
    /// those that nothing can be made of, however often they are sent
    hopeless: BTreeSet<String>,
    /// ids that were waited for, and nobody ever had
    nobodys: BTreeSet<(String, String)>,
    trouble: Vec<String>,
    /// since there is any
    troubled: Option<Stopwatch>,
    /// what was sent and what came back, for who looks on
    tape: Option<Vec<String>>,
}

/// The numbers of events: which of them never came.
#[derive(Default)]
struct Numbers {
    last: Option<u64>,
    missing: BTreeSet<u64>,
}

/// A hole wider than this is no hole: numbers are not counted one by one there.
const WIDEST_HOLE: u64 = 10_000;

impl Numbers {
    fn came(&mut self, number: u64) {
        self.missing.remove(&number);
        if let Some(last) = self.last {
            self.missing.extend(last.saturating_add(1)..number.min(last.saturating_add(WIDEST_HOLE)));
        }
        self.last = Some(self.last.map_or(number, |last| last.max(number)));
    }
    fn trouble(&self) -> Option<String> {
        let first = self.missing.first()?;
        let more = if self.missing.len() > 1 { format!(" and {} more", self.missing.len() - 1) } else { String::new() };
        Some(format!("the event number {first}{more} of the target never came, so what it said is not known in full"))
    }
}

/// How far a command has come, over all its attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Reached {
    /// nobody has begun it, or it is to be begun anew
    #[default]
    Nothing,
    /// somebody is at it, before the step that makes it so
    Working,
    /// it stopped at this step and this item of it, and nothing happened there
    Stopped(usize, usize),
    /// the step that makes it so was sent
    Committed,
}

pub(super) type Attempts = watch::Sender<Reached>;

pub(super) struct Case {
    pub shared: Arc<Shared>,
    pub names: Names,
    pub clock: WallClock,
    pub inbox: Mailbox<Heard<Responder>>,
    /// `case` in expressions
    about: Value,
    known: Mutex<Known>,
    /// an order's bag has changed: an event that waits for its order looks again
    pub learnt: Notify,
    pub traffic: Traffic,
}

/// Whether anything is under way.
#[derive(Default)]
pub(super) struct Traffic {
    /// things that were sent or heard
    moves: AtomicU64,
    /// when the last of them was
    last: AtomicU64,
    /// requests of ours without an answer, and events that wait for their order
    open: AtomicUsize,
    /// deliveries that were turned away, though they will be taken later
    turned_away: AtomicU64,
}

impl Traffic {
    pub fn moved(&self, now: Timestamp) {
        self.moves.fetch_add(1, Ordering::AcqRel);
        self.last.fetch_max(now.0, Ordering::AcqRel);
    }
    /// Nothing has happened yet.
    pub fn begin(&self) {
        self.last.store(0, Ordering::Release);
    }
    pub fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }
    pub fn last(&self) -> Timestamp {
        Timestamp(self.last.load(Ordering::Acquire))
    }
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Acquire)
    }
    pub fn opened(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }
    pub fn closed(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Where a case is reached, and how it is called.
pub(super) struct About<'a> {
    pub name: &'a str,
    pub prefix: &'a str,
    pub seed: u64,
    pub webhook_url: &'a str,
    pub partners_url: &'a str,
}

impl Case {
    pub fn new(shared: Arc<Shared>, names: Names, clock: WallClock, about: &About<'_>, tape: bool) -> Case {
        let estate = names.estate();
        let about = value_of(json!({
            "name": about.name, "prefix": about.prefix, "seed": about.seed, "webhook_url": about.webhook_url, "partners_url": about.partners_url,
            "nodes": estate.nodes, "products": estate.products,
        }));
        let known = Mutex::new(Known { tape: tape.then(Vec::new), ..Known::default() });
        Case { shared, names, clock, inbox: Mailbox::new(), about, known, learnt: Notify::new(), traffic: Traffic::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// What can be said about an order, or about none.
    pub fn scope(&self, order: OrderNo) -> Scope {
        let known = self.known();
        let bag = |of: OrderNo| known.bags.get(&of).map_or_else(|| Value::from(BTreeMap::<String, Value>::new()), Bag::value);
        let mut lookups = lock(&self.shared.lookups).clone();
        lookups.extend(known.lookups.iter().map(|(name, map)| (name.clone(), map.clone())));
        Scope::default()
            .with("env", self.shared.env.clone())
            .with("words", self.shared.mapping.words.clone())
            .with("case", self.about.clone())
            .with("lookup", Value::from(lookups))
            .with("setup", bag(OrderNo::NONE))
            .with("ids", bag(order))
            .with("now_ms", Value::from(self.clock.now().0 / 1_000_000))
    }

    /// The same with a message of ours.
    pub fn scope_of(&self, msg: &Message, again: bool) -> Scope {
        let packed = |sku: SkuId| self.packed(msg.node, sku);
        let mut cmd = serde_json::to_value(Payload::of(msg, &self.names)).unwrap_or_default();
        cmd["op"] = msg.op.name().into();
        cmd["key"] = self.names.show_id(msg.key).into();
        cmd["message_id"] = self.names.show_id(msg.id).into();
        cmd["sequence"] = msg.seq.into();
        // what a payload leaves out where it is nothing is there in an expression
        for (field, nothing) in [("quantity", json!(0)), ("amount", json!(0)), ("lines", json!([])), ("code", json!(""))] {
            if cmd.get(field).is_none() {
                cmd[field] = nothing;
            }
        }
        cmd["traceparent"] = self.names.traces().outgoing(msg).header().into();
        cmd["packed"] = packed(msg.sku).into();
        for (line, told) in msg.lines.iter().zip(cmd["lines"].as_array_mut().into_iter().flatten()) {
            told["packed"] = packed(line.sku).into();
        }
        self.scope(msg.order).with("cmd", value_of(cmd)).with("again", Value::from(again))
    }

    /// Keeps what a step or an event says.
    pub fn bind(&self, order: OrderNo, binds: &[Bind], scope: &Scope) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        for bind in binds {
            let value = bind.value.eval(scope)?;
            if value.is_undefined() || value.is_none() {
                continue;
            }
            let index = bind.index.as_ref().map(|index| index.text(scope)).transpose()?.flatten();
            told.push(format!("{}{}={}", bind.name, index.as_ref().map_or(String::new(), |index| format!("[{index}]")), short(&value.to_string())));
            let mut known = self.known();
            known.owners.insert((bind.name.clone(), value.to_string()), order);
            let bag = known.bags.entry(order).or_default();
            match index {
                None => drop(bag.0.insert(bind.name.clone(), Kept::One(value))),
                Some(index) => match bag.0.entry(bind.name.clone()).or_insert_with(|| Kept::Many(BTreeMap::new())) {
                    Kept::Many(values) => drop(values.insert(index, value)),
                    one => *one = Kept::Many(BTreeMap::from([(index, value)])),
                },
            }
        }
        if !binds.is_empty() {
            self.learnt.notify_waiters();
        }
        Ok(told)
    }

    /// The order in whose bag this value stands under this name.
    pub fn owner(&self, name: &str, value: &str) -> Option<OrderNo> {
        self.known().owners.get(&(name.to_owned(), value.to_owned())).copied().filter(|order| order.is_some())
    }

    /// Nobody had it when it was waited for, so it is not waited for again.
    pub fn is_nobodys(&self, name: &str, value: &str) -> bool {
        self.known().nobodys.contains(&(name.to_owned(), value.to_owned()))
    }
    pub fn is_nobodys_from_now_on(&self, name: &str, value: &str) {
        self.known().nobodys.insert((name.to_owned(), value.to_owned()));
    }

    pub fn attempts(&self, key: Id) -> Arc<Attempts> {
        self.known().attempts.entry(key).or_insert_with(|| Arc::new(watch::Sender::new(Reached::default()))).clone()
    }

    pub fn session(&self, order: Option<OrderNo>, name: &str) -> BTreeMap<String, Value> {
        match order {
            Some(order) => self.known().sessions.get(&(order, name.to_owned())).cloned().unwrap_or_default(),
            None => lock(&self.shared.sessions).get(name).cloned().unwrap_or_default(),
        }
    }
    pub fn keep_session(&self, order: Option<OrderNo>, name: &str, kept: BTreeMap<String, Value>) {
        match order {
            Some(order) => self.known().sessions.entry((order, name.to_owned())).or_default().extend(kept),
            None => lock(&self.shared.sessions).entry(name.to_owned()).or_default().extend(kept),
        }
    }
    pub fn drop_session(&self, order: Option<OrderNo>, name: &str) {
        match order {
            Some(order) => drop(self.known().sessions.remove(&(order, name.to_owned()))),
            None => drop(lock(&self.shared.sessions).remove(name)),
        }
    }

    pub fn keep_lookup(&self, name: &str, lookup: &Lookup, map: BTreeMap<String, Value>) {
        let map = Value::from(map);
        if lookup.of_case {
            self.known().lookups.insert(name.to_owned(), map);
        } else {
            lock(&self.shared.lookups).insert(name.to_owned(), map);
        }
    }

    /// Goods that are packed: many a target takes them off its stock then, and not when they leave.
    pub fn follow(&self, msg: &Message, outcome: Outcome) {
        let mut known = self.known();
        match msg.op {
            Op::CbNodePacked => drop(known.packed.insert(msg.fulfillment, (msg.node, msg.lines.clone()))),
            Op::CbNodeShipped | Op::CbNodeCollected => drop(known.packed.remove(&msg.fulfillment)),
            Op::NodeCancel if matches!(outcome, Outcome::Ok | Outcome::Replayed) => drop(known.packed.remove(&msg.fulfillment)),
            _ => {}
        }
    }
    fn packed(&self, node: NodeId, sku: SkuId) -> i64 {
        let known = self.known();
        #[allow(clippy::iter_over_hash_type, reason = "a sum has no order")]
        let units = known.packed.values().filter(|(at, _)| *at == node).flat_map(|(_, lines)| lines);
        units.filter(|line| line.sku == sku).map(|line| i64::from(line.qty)).sum()
    }

    pub fn driven(&self, call: Message) {
        self.known().driven.insert(call.id, call);
    }
    pub fn take_driven(&self, call: Id) -> Option<Message> {
        self.known().driven.remove(&call)
    }

    /// A number of an event.
    pub fn numbered(&self, number: u64) {
        self.known().numbers.came(number);
    }

    /// Is this a delivery that was turned away before? That it comes again is nothing new.
    pub fn is_owed(&self, delivery: &str) -> bool {
        self.known().owed.contains(delivery)
    }
    pub fn owes_any(&self) -> bool {
        !self.known().owed.is_empty()
    }
    /// It was taken, or is to come again.
    pub fn owe(&self, delivery: String, again: bool) {
        let mut known = self.known();
        if again {
            self.traffic.turned_away.fetch_add(1, Ordering::AcqRel);
            known.owed.insert(delivery);
        } else {
            known.owed.remove(&delivery);
        }
    }
    pub fn give_up(&self, delivery: &str) {
        self.known().hopeless.insert(delivery.to_owned());
    }
    pub fn is_hopeless(&self, delivery: &str) -> bool {
        self.known().hopeless.contains(delivery)
    }

    /// Something that makes the record unreliable.
    pub fn trouble(&self, what: String) {
        let mut known = self.known();
        known.troubled.get_or_insert_with(Stopwatch::start);
        // what goes wrong again and again is one trouble
        if known.trouble.last() != Some(&what) {
            known.trouble.push(what);
        }
    }
    /// Seconds since something went wrong.
    pub fn troubled_for(&self) -> f64 {
        self.known().troubled.as_ref().map_or(0.0, Stopwatch::seconds)
    }
    pub fn troubles(&self) -> Vec<String> {
        let known = self.known();
        known.trouble.iter().cloned().chain(known.numbers.trouble()).collect()
    }

    pub fn tape(&self, line: impl FnOnce() -> String) {
        if let Some(tape) = &mut self.known().tape {
            tape.push(line());
        }
    }
    pub fn taped(&self) -> Vec<String> {
        self.known().tape.clone().unwrap_or_default()
    }

    /// A reason in the words of the vocabulary.
    pub fn reason(&self, word: &str) -> Code {
        let known = self.shared.mapping.reasons.get(word).copied();
        known.or_else(|| Code::parse(word)).filter(|code| *code != Code::None).unwrap_or(Code::Invalid)
    }
}

/// The beginning of a text, on one line.
pub(super) fn short(text: &str) -> String {
    let mut line: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        line += "..";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(numbers: &[u64]) -> Option<String> {
        let mut all = Numbers::default();
        numbers.iter().for_each(|number| all.came(*number));
        all.trouble()
    }

    #[test]
    fn numbers_may_come_in_any_order_and_again_but_none_may_stay_away() {
        assert_eq!(missing(&[7, 8, 10, 9, 9, 8, 11]), None);
        assert!(missing(&[7, 9]).is_some_and(|why| why.contains("number 8 of")));
        assert!(missing(&[1, 5, 3]).is_some_and(|why| why.contains("number 2 and 1 more")));
        assert!(missing(&[1, u64::MAX]).is_some());
    }
}
