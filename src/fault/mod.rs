//! Faults as rules on links. A rule looks at one message and answers what becomes of it and of the answer to it; the first rule
//! that acts wins. Every decision is a function of (seed, rule, entity, operation, nth), so removing one order moves nothing for
//! another, and no decision depends on how messages interleave.
//!
//! First the storm, then the calm: from `calm` on every rule lets everything pass.

use crate::model::{Message, Op, Outcome};
pub use crate::scenario::Link;
use crate::scenario::{FaultAction, FaultRule, FaultSet};
use crate::sim::{Purpose, Seed, Span, Timestamp};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

/// Each rule has a purpose of its own, counted up from here.
const SHARE: Purpose = Purpose(10_000);
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
    pub rule: u16,
    pub deliveries: SmallVec<[Delivery; 2]>,
    pub reply: Reply,
    /// a snapshot of the node follows after so long
    pub resync: Option<Span>,
}

/// The rules of one case at work.
pub struct Storm {
    rules: Vec<FaultRule>,
    seed: Seed,
    /// the order that directed rules are sure to hit
    directed_at: u32,
    calm: Timestamp,
    /// how many messages of (rule, entity, operation) have been looked at
    seen: FxHashMap<(u16, u64, Op), u32>,
    /// when the window of a rule opened
    opened: Vec<Option<Timestamp>>,
}

impl Storm {
    pub fn new(set: &FaultSet, seed: Seed, directed_at: u32, calm: Timestamp) -> Storm {
        Storm { opened: vec![None; set.rules.len()], rules: set.rules.clone(), seed, directed_at, calm, seen: FxHashMap::default() }
    }

    /// What becomes of `msg` on `link` at `now`; none where no rule acts.
    pub fn ask(&mut self, now: Timestamp, link: Link, msg: &Message) -> Option<Fate> {
        if now >= self.calm || msg.order.is_probe() {
            return None;
        }
        for at in 0..self.rules.len() {
            let rule = &self.rules[at];
            if rule.action == FaultAction::Replay || rule.link != link || !(rule.ops.is_empty() || rule.ops.contains(&msg.op)) {
                continue;
            }
            let entity = entity(link, msg);
            let seen = self.seen.entry((at as u16, entity, msg.op)).or_insert(0);
            *seen += 1;
            let nth = *seen;
            let hit = match rule.lasts {
                Some(lasts) => now < *self.opened[at].get_or_insert(now) + lasts,
                None => {
                    let directed = rule.directed && nth == 1 && (link == Link::Feeds || msg.order.0 == self.directed_at);
                    directed || self.seed.draw(Purpose(SHARE.0 + at as u16), entity, step(msg.op, nth)).chance(rule.share)
                }
            };
            if hit {
                return Some(self.fate(at, entity, step(msg.op, nth)));
            }
        }
        None
    }

    /// The rule (from 1) by which this message is sent once more at the end, and how long after the run came to rest.
    pub fn replay_of(&self, link: Link, op: Op) -> Option<(u16, Span)> {
        let fits = |rule: &FaultRule| rule.action == FaultAction::Replay && rule.link == link && (rule.ops.is_empty() || rule.ops.contains(&op));
        let at = self.rules.iter().position(fits)?;
        let delay = self.rules[at].delay;
        let after = if delay.lo >= delay.hi { delay.lo } else { self.seed.draw(Purpose(DELAY.0 + at as u16), 0, 0).span(delay.lo, delay.hi) };
        Some((at as u16 + 1, after))
    }

    /// No rule acts from now on.
    pub fn end(&mut self) {
        self.calm = Timestamp::ZERO;
    }

    fn fate(&self, at: usize, entity: u64, step: u32) -> Fate {
        let rule = &self.rules[at];
        let mut draw = self.seed.draw(Purpose(DELAY.0 + at as u16), entity, step);
        let mut delay = || if rule.delay.lo >= rule.delay.hi { rule.delay.lo } else { draw.span(rule.delay.lo, rule.delay.hi) };
        let once = |after| smallvec![Delivery { after, new_id: false }];
        let (deliveries, reply): (SmallVec<[Delivery; 2]>, Reply) = match rule.action {
            FaultAction::Duplicate => {
                let mut deliveries = once(Span::ZERO);
                for _ in 0..rule.copies {
                    deliveries.push(Delivery { after: delay(), new_id: rule.new_id });
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
        };
        let resync = (rule.action == FaultAction::Lose).then_some(rule.resync);
        Fate { rule: at as u16 + 1, deliveries, reply, resync }
    }
}

/// Whom a decision belongs to: the order, or for feeds the (node, SKU).
fn entity(link: Link, msg: &Message) -> u64 {
    match link {
        Link::Feeds => u64::from(msg.node.0) << 32 | u64::from(msg.sku.0),
        _ => u64::from(msg.order.0),
    }
}

fn step(op: Op, nth: u32) -> u32 {
    (op as u32) << 16 | nth.min(0xffff)
}
