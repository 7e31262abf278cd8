//! Faults as rules on links. A rule looks at one message and answers what becomes of it and of the answer to it; the first rule
//! that acts wins. Every decision is a function of (seed, rule, entity, operation, nth message of it), so removing one order moves nothing for
//! another, and no decision depends on how messages interleave.
//!
//! First the storm, then the calm: from `calm` on every rule lets everything pass.

use crate::model::{Fixture, Harm, Message, NodeId, Op, OrderNo, Outcome, SkuId};
pub use crate::scenario::Link;
pub use crate::scenario::Moment;
use crate::scenario::{Address, FaultAction, FaultRule, FaultRuleFile, FaultSet};
use crate::sim::{Purpose, Seed, Span, Timestamp, branch};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};

/// One word a message, of which each rule takes a branch.
const SHARE: Purpose = Purpose(10_000);
/// Each rule has a purpose of its own, counted up from here.
const DELAY: Purpose = Purpose(30_000);

/// One delivery of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub after: Span,
    /// under a new message id
    pub new_id: bool,
}

/// What becomes of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    Comes,
    /// whoever asked hears nothing
    Lost,
    /// the other side never saw the message; whoever asked hears this at once, with Retry-After
    Instead(Outcome, Span),
    /// whoever sent it notices nothing and sends it again after so long
    SentAgain(Span),
}

/// What a rule makes of one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fate {
    /// number of the rule, from 1
    pub rule: u32,
    pub deliveries: SmallVec<[Delivery; 2]>,
    pub reply: Reply,
    /// a snapshot of the node follows after so long
    pub resync: Option<Span>,
    /// so long after its answer another message follows under the same key
    pub conflict: Option<Span>,
    /// it (of a call: its answer) carries fields that the target does not know
    pub drift: bool,
    /// what becomes of its body (of a call or an event: of its answer's)
    pub harm: Option<Harm>,
}

/// The target goes down, or stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crash {
    /// number of the rule, from 1
    pub rule: u32,
    pub wait: Span,
    pub down: Span,
    /// it only stands still
    pub pauses: bool,
}

/// A rule acted on a message: which one, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acted {
    pub link: Link,
    pub op: Op,
    pub order: OrderNo,
    /// feeds
    pub node: NodeId,
    pub sku: SkuId,
    /// among all messages of that operation of the order, or of the node and SKU, from 1
    pub nth: u32,
    pub fate: Fate,
}

/// What there is to know of a rule that names no messages, for nearly all of those that it looks at.
#[derive(Clone, Copy)]
struct General {
    at: u32,
    share: f64,
    /// it hits by its share alone
    plain: bool,
    /// it has a window of time
    lasts: bool,
}

/// The messages of one entity, by operation.
#[derive(Default)]
struct Asked {
    /// a bit for each operation of which there was one: for most that is all there ever is
    once: u128,
    /// of the others, how many there were
    more: SmallVec<[(Op, u32); 2]>,
}

const _: () = assert!(Op::ALL.len() <= u128::BITS as usize, "an operation needs a bit of its own");

impl Asked {
    /// Which one this is, from 1.
    fn count(&mut self, op: Op) -> u32 {
        let bit = 1 << op as u8;
        if self.once & bit == 0 {
            self.once |= bit;
            return 1;
        }
        match self.more.iter_mut().find(|(other, _)| *other == op) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.more.push((op, 2));
                2
            }
        }
    }
}

/// The rules of one case at work.
pub struct Storm {
    rules: Vec<FaultRule>,
    seed: Seed,
    /// the order that directed rules are sure to hit
    directed_at: u32,
    calm: Timestamp,
    /// directed rules that have hit (entity, operation)
    directed: FxHashSet<(u32, u64, Op)>,
    /// rules that name their messages, in order
    named: FxHashMap<(u64, Op), SmallVec<[u32; 1]>>,
    /// rules that do not, in order, by the messages that they look at
    general: Vec<Vec<General>>,
    /// how many messages there were of an entity, by operation; counted only where somebody needs it
    asked: FxHashMap<u64, Asked>,
    /// the first rule that sends such messages once more at the end
    replays: Vec<Option<u32>>,
    acted: Option<Vec<Acted>>,
    /// when the window of a rule opened
    opened: Vec<Option<Timestamp>>,
    /// rules that something in the record sets off, and how often that was seen
    waiting: Vec<(u32, u32)>,
}

impl Storm {
    pub fn new(set: &FaultSet, seed: Seed, directed_at: u32, calm: Timestamp, estate: &Fixture) -> Storm {
        let mut named: FxHashMap<(u64, Op), SmallVec<[u32; 1]>> = FxHashMap::default();
        let (mut general, mut replays) = (vec![Vec::new(); MESSAGES], vec![None; MESSAGES]);
        let waiting = (0..).zip(&set.rules).filter(|(_, rule)| rule.after.is_some()).map(|(at, _)| (at, 0)).collect();
        for (at, rule) in (0..).zip(&set.rules).filter(|(_, rule)| rule.link != Link::Target) {
            let Some(address) = &rule.address else {
                for op in Op::ALL.iter().filter(|op| rule.ops.is_empty() || rule.ops.contains(op)) {
                    match rule.action {
                        FaultAction::Replay => _ = replays[sort(rule.link, *op)].get_or_insert(at),
                        _ => {
                            let (plain, lasts) = (!rule.directed && rule.lasts.is_none(), rule.lasts.is_some());
                            general[sort(rule.link, *op)].push(General { at, share: rule.share, plain, lasts });
                        }
                    }
                }
                continue;
            };
            for op in Op::ALL.iter().filter(|op| rule.concerns(**op)) {
                for entity in entities(address, *op, estate) {
                    named.entry((entity, *op)).or_default().push(at);
                }
            }
        }
        let opened = vec![None; set.rules.len()];
        let (directed, asked) = (FxHashSet::default(), FxHashMap::default());
        Storm { rules: set.rules.clone(), seed, directed_at, calm, directed, named, general, asked, replays, acted: None, opened, waiting }
    }

    /// Keeps what the rules do, for [`Storm::acted`].
    pub fn remember(&mut self) {
        self.acted = Some(Vec::new());
    }

    /// What the rules did, in order of time; empty unless it was to be remembered.
    pub fn acted(self) -> Vec<Acted> {
        self.acted.unwrap_or_default()
    }

    /// Is there a rule that something in the record sets off?
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Something was recorded: windows that wait for it open, and what crash it sets off is said.
    pub fn witness(&mut self, now: Timestamp, moment: Moment, msg: &Message) -> Option<Crash> {
        let mut crash = None;
        if msg.order.is_probe() {
            return None;
        }
        for (at, count) in &mut self.waiting {
            let rule = &self.rules[*at as usize];
            let Some(after) = rule.after.filter(|after| after.moment == moment && after.op == msg.op) else { continue };
            if after.order.is_some_and(|order| order != msg.order.0) {
                continue;
            }
            *count += 1;
            if *count != after.nth || now >= self.calm {
                continue;
            }
            if matches!(rule.action, FaultAction::Crash | FaultAction::Pause) {
                let pauses = rule.action == FaultAction::Pause;
                crash = Some(Crash { rule: *at + 1, wait: after.wait, down: rule.down, pauses });
            } else {
                self.opened[*at as usize] = Some(now + after.wait);
            }
        }
        crash
    }

    /// What becomes of `msg` on `link` at `now`; none where no rule acts.
    pub fn ask(&mut self, now: Timestamp, link: Link, msg: &Message) -> Option<Fate> {
        if now >= self.calm || msg.order.is_probe() {
            return None;
        }
        if self.general[sort(link, msg.op)].is_empty() && self.named.is_empty() && self.acted.is_none() {
            return None;
        }
        let entity = entity(link, msg);
        let nth = self.asked.entry(entity).or_default().count(msg.op);
        let named = if self.named.is_empty() { None } else { self.named.get(&(entity, msg.op)) };
        let named = named.into_iter().flatten().copied().find(|at| self.rules[*at as usize].nth.is_none_or(|n| n == nth));
        let at = self.drawn(now, link, msg, entity, nth, named.unwrap_or(u32::MAX)).or(named)?;
        let fate = self.fate(at, entity, step(msg.op, nth));
        if let Some(acted) = &mut self.acted {
            let (node, sku) = if link == Link::Feeds { (msg.node, msg.sku) } else { (NodeId::NONE, SkuId::NONE) };
            acted.push(Acted { link, op: msg.op, order: msg.order, node, sku, nth, fate: fate.clone() });
        }
        Some(fate)
    }

    /// The first rule before `before` that names no messages and hits this one.
    fn drawn(&mut self, now: Timestamp, link: Link, msg: &Message, entity: u64, nth: u32, before: u32) -> Option<u32> {
        let rules = &self.general[sort(link, msg.op)];
        let word = self.seed.word(SHARE, entity, step(msg.op, nth));
        let hits = |general: &&General| {
            let drawn = branch(word, general.at.into()) < general.share;
            let near = link == Link::Feeds || msg.order.0 == self.directed_at;
            if general.plain || !general.lasts && !near {
                return drawn;
            }
            let (at, rule) = (general.at, &self.rules[general.at as usize]);
            match rule.lasts {
                Some(lasts) => {
                    let window = &mut self.opened[at as usize];
                    let opened = if rule.after.is_some() { *window } else { Some(*window.get_or_insert(now)) };
                    drawn && opened.is_some_and(|opened| opened <= now && now < opened + lasts)
                }
                None => rule.directed && near && self.directed.insert((at, entity, msg.op)) || drawn,
            }
        };
        rules.iter().take_while(|rule| rule.at < before).find(hits).map(|rule| rule.at)
    }

    /// The rule (from 1) by which this message is sent once more at the end, and how long after the run came to rest.
    pub fn replay_of(&self, link: Link, op: Op) -> Option<(u32, Span)> {
        let at = self.replays[sort(link, op)]?;
        let delay = self.rules[at as usize].delay;
        let after = if delay.lo >= delay.hi { delay.lo } else { self.seed.draw(of_rule(DELAY, at), 0, 0).span(delay.lo, delay.hi) };
        Some((at + 1, after))
    }

    /// No rule acts from now on.
    pub fn end(&mut self) {
        self.calm = Timestamp::ZERO;
    }

    fn fate(&self, at: u32, entity: u64, step: u32) -> Fate {
        let rule = &self.rules[at as usize];
        let mut draw = self.seed.draw(of_rule(DELAY, at), entity, step);
        let mut delay = || if rule.delay.lo >= rule.delay.hi { rule.delay.lo } else { draw.span(rule.delay.lo, rule.delay.hi) };
        let mut conflict = None;
        let mut harm = None;
        let once = |after| smallvec![Delivery { after, new_id: false }];
        let (deliveries, reply): (SmallVec<[Delivery; 2]>, Reply) = match rule.action {
            FaultAction::Duplicate => {
                let mut deliveries = once(Span::ZERO);
                if rule.again.is_empty() {
                    deliveries.extend((0..rule.copies).map(|_| Delivery { after: delay(), new_id: rule.new_id }));
                } else {
                    deliveries.extend(rule.again.iter().map(|after| Delivery { after: *after, new_id: rule.new_id }));
                }
                (deliveries, Reply::Comes)
            }
            FaultAction::Drop => (SmallVec::new(), Reply::SentAgain(delay())),
            FaultAction::Delay => (once(delay()), Reply::Comes),
            FaultAction::Reorder => (once(draw.span(Span::ZERO, rule.delay.hi.max(Span(1)))), Reply::Comes),
            FaultAction::Refuse => (SmallVec::new(), Reply::Instead(Outcome::Refused, Span::ZERO)),
            FaultAction::Blackhole => (SmallVec::new(), Reply::Lost),
            FaultAction::Unavailable => (SmallVec::new(), Reply::Instead(Outcome::Backpressure, rule.retry_after)),
            FaultAction::Error => (SmallVec::new(), Reply::Instead(Outcome::Error, Span::ZERO)),
            FaultAction::Throttle => (SmallVec::new(), Reply::Instead(Outcome::Backpressure, rule.retry_after)),
            FaultAction::LoseReply => (once(Span::ZERO), Reply::Lost),
            FaultAction::EffectLate => (once(delay()), Reply::Lost),
            // never asked of one message
            FaultAction::Lose | FaultAction::Replay => (SmallVec::new(), Reply::Comes),
            FaultAction::Mutate => {
                conflict = Some(delay());
                (once(Span::ZERO), Reply::Comes)
            }
            FaultAction::ExtraField | FaultAction::Crash | FaultAction::Pause => (once(Span::ZERO), Reply::Comes),
            FaultAction::Truncate | FaultAction::Malformed | FaultAction::Reset | FaultAction::Slow | FaultAction::WrongSignature => {
                harm = Some(match rule.action {
                    FaultAction::Truncate => Harm::Truncated,
                    FaultAction::Malformed => Harm::Garbled,
                    FaultAction::Reset => Harm::Reset,
                    FaultAction::Slow => Harm::Slow(delay()),
                    _ => Harm::Forged,
                });
                (once(Span::ZERO), Reply::Comes)
            }
        };
        let resync = (rule.action == FaultAction::Lose).then_some(rule.resync);
        Fate { rule: at + 1, deliveries, reply, resync, conflict, drift: rule.action == FaultAction::ExtraField, harm }
    }
}

impl Acted {
    /// A rule that does this and nothing else. `set` and `estate` are those of the run in which it happened.
    pub fn as_rule(&self, set: &FaultSet, estate: &Fixture) -> FaultRuleFile {
        let Fate { rule, deliveries, reply, resync, conflict, harm, .. } = &self.fate;
        let rule = &set.rules[*rule as usize - 1];
        let name_of = |address: String| format!("{}.{address}.{}.{}", rule.name, self.op.name(), self.nth);
        let after = || deliveries.first().map(|delivery| delivery.after.exact());
        let mut file = FaultRuleFile {
            name: name_of(self.order.to_string()),
            link: self.link,
            ops: vec![self.op.name().into()],
            action: rule.action,
            share: 0.0,
            directed: true,
            order: (self.link != Link::Feeds).then_some(self.order.0),
            node: None,
            sku: None,
            nth: Some(self.nth),
            lasts: None,
            copies: 1,
            new_id: rule.new_id,
            again: Vec::new(),
            delay: None,
            retry_after: None,
            resync: resync.map(Span::exact),
            down: None,
            after: None,
            wait: None,
        };
        if self.link == Link::Feeds {
            let (node, sku) = (estate.node_name(self.node), estate.sku_name(self.sku));
            file.name = name_of(if self.sku.is_some() { format!("{sku}@{node}") } else { node.into() });
            file.node = Some(node.into());
            file.sku = self.sku.is_some().then(|| sku.into());
        }
        match rule.action {
            FaultAction::Duplicate => file.again = deliveries.iter().skip(1).map(|delivery| delivery.after.exact()).collect(),
            FaultAction::Delay | FaultAction::EffectLate => file.delay = after(),
            // once it is known by how much, a message that lets others overtake it is one that is late
            FaultAction::Reorder => (file.action, file.delay) = (FaultAction::Delay, after()),
            FaultAction::Mutate => file.delay = conflict.map(Span::exact),
            FaultAction::Slow => {
                if let Some(Harm::Slow(over)) = harm {
                    file.delay = Some(over.exact());
                }
            }
            FaultAction::Throttle => file.retry_after = Some(rule.retry_after.exact()),
            FaultAction::Drop => {
                if let Reply::SentAgain(after) = reply {
                    file.delay = Some(after.exact());
                }
            }
            _ => {}
        }
        file
    }
}

/// A rule's purpose of its own.
fn of_rule(purpose: Purpose, at: u32) -> Purpose {
    Purpose(purpose.0.wrapping_add(at as u16))
}

/// Whom an address names, as `entity` does.
fn entities(address: &Address, op: Op, estate: &Fixture) -> Vec<u64> {
    match address {
        Address::Order(order) => vec![order.0.into()],
        Address::Stock { node, sku } => {
            let Some(node) = estate.node_named(node) else { return Vec::new() };
            let of_sku = |sku: SkuId| u64::from(node.0) << 32 | u64::from(sku.0);
            match sku {
                Some(sku) => estate.sku_named(sku).map(of_sku).into_iter().collect(),
                None if op == Op::InventorySnapshot => vec![of_sku(SkuId::NONE)],
                None => estate.sku_ids().map(of_sku).collect(),
            }
        }
    }
}

/// Whom a decision belongs to: the order, or for feeds the (node, SKU).
fn entity(link: Link, msg: &Message) -> u64 {
    match link {
        Link::Feeds => u64::from(msg.node.0) << 32 | u64::from(msg.sku.0),
        _ => u64::from(msg.order.0),
    }
}

/// A link and an operation, as one number.
fn sort(link: Link, op: Op) -> usize {
    link as usize * Op::ALL.len() + op as usize
}

/// How many of those there are.
const MESSAGES: usize = (Link::Target as usize + 1) * Op::ALL.len();

fn step(op: Op, nth: u32) -> u32 {
    (op as u32) << 16 | nth.min(0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Id;
    use crate::scenario::{Library, Scenario, ScenarioFile, standard_fixture};

    const CALM: Timestamp = Timestamp(Span::from_days(1).0);

    fn messages() -> Vec<(Link, Message)> {
        let mut messages = Vec::new();
        for n in 1..=40u64 {
            let order = OrderNo(n as u32 % 7 + 1);
            messages.push((Link::Commands, Message::of_order(Op::PlaceOrder, Id(n), order)));
            messages.push((Link::Calls, Message::of_order(if n % 2 == 0 { Op::PaymentCapture } else { Op::NodeRelease }, Id(n), order)));
            messages.push((Link::Callbacks, Message::of_order(Op::CbNodeShipped, Id(n), order)));
            messages.push((Link::Events, Message::of_order(Op::OrderAccepted, Id(n), order)));
            let (node, sku) = (NodeId(n as u16 % 2 + 1), SkuId(n as u32 % 3 + 1));
            messages.push((Link::Feeds, Message { node, sku, ..Message::new(Op::InventoryDelta, Id(n)) }));
            messages.push((Link::Feeds, Message { node, ..Message::new(Op::InventorySnapshot, Id(n)) }));
        }
        messages
    }

    fn set(rule: &str) -> FaultSet {
        let file =
            serde_json::from_str(&format!(r#"{{"name": "T", "title": "", "order": {{"lines": [{{"sku": "A", "qty": 1}}]}}, "fault": [{rule}]}}"#))
                .unwrap();
        (*Scenario::from_file(&file, "base", "test").unwrap().own.unwrap()).clone()
    }

    fn of(order: u32, op: Op) -> Message {
        Message::of_order(op, Id(u64::from(order) + 100), OrderNo(order))
    }

    #[test]
    fn a_crash_is_set_off_once_by_the_nth_thing_of_its_order() {
        let rule = r#"{"name": "kill", "link": "target", "do": "crash", "after": {"fact": "payment.capture", "order": 17, "nth": 2}, "wait": "3s"}"#;
        let mut storm = Storm::new(&set(rule), Seed(5), 1, CALM, &standard_fixture());
        let mut seen = |moment, order, op| storm.witness(Timestamp::ZERO, moment, &of(order, op));
        assert_eq!(seen(Moment::Fact, 17, Op::PaymentCapture), None);
        assert_eq!(seen(Moment::Fact, 16, Op::PaymentCapture), None, "another order's");
        assert_eq!(seen(Moment::Call, 17, Op::PaymentCapture), None, "asked for, not done");
        assert_eq!(seen(Moment::Fact, 17, Op::PaymentVoid), None);
        let crash = Crash { rule: 1, wait: Span::from_secs(3), down: Span::from_secs(5), pauses: false };
        assert_eq!(seen(Moment::Fact, 17, Op::PaymentCapture), Some(crash));
        assert_eq!(seen(Moment::Fact, 17, Op::PaymentCapture), None, "once");
    }

    #[test]
    fn a_pause_is_set_off_as_a_crash_is() {
        let rule = r#"{"name": "still", "link": "target", "do": "pause", "after": {"sent": "PlaceOrder"}, "down": "20s"}"#;
        let mut storm = Storm::new(&set(rule), Seed(5), 1, CALM, &standard_fixture());
        let pause = Crash { rule: 1, wait: Span::ZERO, down: Span::from_secs(20), pauses: true };
        assert_eq!(storm.witness(Timestamp::ZERO, Moment::Sent, &of(3, Op::PlaceOrder)), Some(pause));
    }

    #[test]
    fn no_crash_is_set_off_in_the_calm() {
        let rule = r#"{"name": "kill", "link": "target", "do": "crash", "after": {"event": "order.accepted"}}"#;
        let mut storm = Storm::new(&set(rule), Seed(5), 1, CALM, &standard_fixture());
        assert_eq!(storm.witness(CALM, Moment::Event, &of(1, Op::OrderAccepted)), None);
        let mut storm = Storm::new(&set(rule), Seed(5), 1, CALM, &standard_fixture());
        assert!(storm.witness(Timestamp::ZERO, Moment::Event, &of(4, Op::OrderAccepted)).is_some(), "whichever order comes first");
    }

    #[test]
    fn a_window_opens_after_what_it_waits_for() {
        let rule = r#"{"name": "away", "link": "events", "do": "unavailable", "lasts": "10m", "after": {"call": "node.release"}, "wait": "1m"}"#;
        let mut storm = Storm::new(&set(rule), Seed(5), 1, CALM, &standard_fixture());
        let at = |minutes| Timestamp::ZERO + Span::from_mins(minutes);
        let event = of(3, Op::OrderAccepted);
        assert_eq!(storm.ask(at(0), Link::Events, &event), None);
        assert_eq!(storm.witness(at(5), Moment::Call, &of(1, Op::NodeRelease)), None, "it is no crash");
        let mut acts = |minutes| storm.ask(at(minutes), Link::Events, &event).is_some();
        assert_eq!([acts(5), acts(6), acts(15), acts(16)], [false, true, true, false]);
    }

    #[test]
    fn a_second_request_and_unknown_fields_leave_the_message_alone() {
        let rules = r#"{"name": "other", "link": "commands", "do": "mutate", "delay": "5m"}, {"name": "more", "link": "calls", "do": "extra_field"}"#;
        let mut storm = Storm::new(&set(rules), Seed(5), 1, CALM, &standard_fixture());
        let command = storm.ask(Timestamp::ZERO, Link::Commands, &of(1, Op::PlaceOrder)).unwrap();
        assert_eq!((command.conflict, command.drift, command.reply), (Some(Span::from_mins(5)), false, Reply::Comes));
        let call = storm.ask(Timestamp::ZERO, Link::Calls, &of(1, Op::NodeRelease)).unwrap();
        assert_eq!((call.conflict, call.drift, call.deliveries.len()), (None, true, 1));
    }

    #[test]
    fn bodies_are_harmed_as_the_rule_says_and_a_message_that_is_sent_again_meets_the_next_rule() {
        let rules = r#"{"name": "a", "link": "callbacks", "do": "truncate"}, {"name": "b", "link": "callbacks", "do": "malformed"},
            {"name": "c", "link": "callbacks", "do": "wrong_signature"}, {"name": "d", "link": "callbacks", "do": "reset"},
            {"name": "e", "link": "callbacks", "do": "slow", "delay": "2s"}"#;
        let mut storm = Storm::new(&set(rules), Seed(5), 1, CALM, &standard_fixture());
        let harms: Vec<Option<Harm>> = (0..6)
            .map(|_| storm.ask(Timestamp::ZERO, Link::Callbacks, &of(1, Op::CbNodeShipped)))
            .map(|fate| fate.and_then(|fate| fate.harm))
            .collect();
        let all = [Harm::Truncated, Harm::Garbled, Harm::Forged, Harm::Reset, Harm::Slow(Span::from_secs(2))];
        assert_eq!(harms, all.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
    }

    #[test]
    fn a_crash_can_be_written_down_again() {
        let mut library = Library::shipped().unwrap();
        for shipped in library.fault_sets(&["all".into()]).unwrap().iter().filter(|set| set.crashes()) {
            let again = shipped.rules.iter().map(|rule| serde_json::to_string(&rule.of_no_message().unwrap()).unwrap());
            assert_eq!(set(&again.collect::<Vec<_>>().join(",")).rules, shipped.rules, "{}", shipped.name);
        }
    }

    fn fates(storm: &mut Storm, messages: &[(Link, Message)]) -> Vec<Option<Fate>> {
        let at = |n: usize| Timestamp(Span::from_secs(30).0 * n as u64);
        messages.iter().enumerate().map(|(n, (link, msg))| storm.ask(at(n), *link, msg).map(|fate| Fate { rule: 0, ..fate })).collect()
    }

    /// What acted, written as rules that name their messages, does the same again, whatever the seed is.
    #[test]
    fn what_every_shipped_set_does_can_be_said_by_address() {
        let estate = standard_fixture();
        let messages = messages();
        let shipped = Library::shipped().unwrap().fault_sets(&["all".into()]).unwrap();
        // a crash or a replay is no message's fate
        for set in shipped.into_iter().filter(|set| set.rules.iter().all(|rule| rule.of_no_message().is_none())) {
            let mut storm = Storm::new(&set, Seed(5), 1, CALM, &estate);
            storm.remember();
            let before = fates(&mut storm, &messages);
            let acted = storm.acted();
            assert_eq!(acted.len(), before.iter().flatten().count());
            // a crash is set off by the record and not by a message that it asks about
            let of_messages = set.rules.iter().any(|rule| rule.link != Link::Target);
            assert_eq!(acted.is_empty(), !of_messages, "{}", set.name);
            if !of_messages {
                continue;
            }
            let fault = acted.iter().map(|acted| acted.as_rule(&set, &estate)).collect();
            let order = serde_json::from_value(serde_json::json!({"lines": [{"sku": "A", "qty": 1}]})).unwrap();
            let file = ScenarioFile { name: "T".into(), fault, order, ..ScenarioFile::default() };
            let own = Scenario::from_file(&file, "base", "test").unwrap_or_else(|problems| panic!("{}: {problems}", set.name)).own.unwrap();
            let after = fates(&mut Storm::new(&own, Seed(6), 99, CALM, &estate), &messages);
            assert_eq!(before, after, "{}", set.name);
            // the address matters: with one order's messages gone, nobody else's luck changes
            let fewer: Vec<(Link, Message)> = messages.iter().filter(|(_, msg)| msg.order != OrderNo(3)).cloned().collect();
            let left: Vec<Option<Fate>> =
                before.iter().zip(&messages).filter(|(_, (_, msg))| msg.order != OrderNo(3)).map(|(fate, _)| fate.clone()).collect();
            assert_eq!(fates(&mut Storm::new(&own, Seed(6), 99, CALM, &estate), &fewer), left, "{}", set.name);
        }
    }
}
