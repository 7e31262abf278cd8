//! Everything the orchestrator is not: shoppers, inventory systems and partners, each with books of its own.
//!
//! A partner is a ledger with the idempotency of a real one: the same key gives the same answer and no second effect. What it
//! really did is a *fact*. How long things take and how they turn out is drawn from streams keyed by the entity, so the same order
//! meets the same world whatever else happens.
//!
//! Rooms: `payment`, `screens` (fraud, address, notification), `nodes` (warehouse, store, carrier), `shopper` (commands, steps,
//! returns), `stock` (shelves and feeds), `probes` (orders that measure the target). To add a partner: a file with its book and its calls, and a line in [`World::on_call`].

mod client;
mod nodes;
mod payment;
mod probes;
mod screens;
mod shopper;
mod stock;

use crate::model::{Code, Fixture, Id, Message, Op, OrderNo, Outcome};
use crate::scenario::{Behaviour, Kind, Link, PartnerAnswer, PartnerPoint, Scenario};
use crate::sim::{Law, Purpose, Sampler, Seed, Span, Timestamp};
use rustc_hash::FxHashMap;
use std::sync::Arc;

pub use client::{Backoff, Client};
pub use probes::{PROBE_PRICE, PROBE_SKU, PROBES, Probes};
pub use stock::{Opening, StockStep};

/// What a partition's world is made from.
#[derive(Clone)]
pub struct Plan {
    pub scenario: Arc<Scenario>,
    /// nodes and products, scaled to the number of orders
    pub estate: Arc<Fixture>,
    pub opening: Vec<Opening>,
    /// in time order
    pub stock_steps: Vec<StockStep>,
    /// what probe orders ask for; none where nobody could ship it
    pub probes: Option<Probes>,
    pub seed: Seed,
    /// how far apart the SKUs of one order and of the next are; 0 where they share them
    pub stride: u32,
    pub first: OrderNo,
    /// for so many orders room is made beforehand: those of a partition; a case in one piece may have any number
    pub room: u32,
}

/// Something the world does later. Ordered by content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Later {
    StockStep(u32),
    Node(nodes::Work, crate::model::Fid),
    AuthExpires(Id),
    PaymentDecides(Id),
    FraudDecides(OrderNo),
    Step { order: OrderNo, step: u16, time: u8 },
    GoodsArrive { ret: Id },
    GoodsInspected { ret: Id },
    Snapshot(crate::model::NodeId),
    Probe { order: OrderNo, cancel: bool },
    AskStock { node: crate::model::NodeId, sku: crate::model::SkuId, after: Id },
}

impl Later {
    /// What it is, for the order of simultaneous things about the same.
    pub fn kind(self) -> u64 {
        match self {
            Later::StockStep(_) => 0,
            Later::Node(work, _) => 1 << 8 | work as u64,
            Later::AuthExpires(_) => 2 << 8,
            Later::PaymentDecides(_) => 3 << 8,
            Later::FraudDecides(_) => 4 << 8,
            Later::Step { step, time, .. } => 5 << 32 | u64::from(step) << 8 | u64::from(time),
            Later::GoodsArrive { .. } => 6 << 8,
            Later::GoodsInspected { .. } => 7 << 8,
            Later::Snapshot(_) => 8 << 8,
            Later::Probe { cancel, .. } => 9 << 8 | u64::from(cancel),
            Later::AskStock { after, .. } => 10 << 56 | after.0,
        }
    }

    /// Whom it is about, for the order of simultaneous things.
    pub fn entity(self) -> u64 {
        match self {
            Later::StockStep(n) => n.into(),
            Later::Node(_, fid) => fid.0,
            Later::AuthExpires(id) | Later::PaymentDecides(id) | Later::GoodsArrive { ret: id } | Later::GoodsInspected { ret: id } => id.0,
            Later::FraudDecides(order) | Later::Step { order, .. } | Later::Probe { order, .. } => order.0.into(),
            Later::Snapshot(node) => node.0.into(),
            Later::AskStock { node, sku, .. } => u64::from(node.0) << 32 | u64::from(sku.0),
        }
    }
}

/// A message of the world on its way out.
#[derive(Clone, Debug)]
pub struct Send {
    pub link: Link,
    pub msg: Arc<Message>,
    /// when it was meant to go, where that is earlier than now (a resend of an order)
    pub due: Timestamp,
    pub after: Span,
    /// how often it was sent before
    pub attempt: u32,
}

/// What comes of something: facts first, then messages and plans.
#[derive(Default)]
pub struct Actions {
    pub facts: Vec<Message>,
    pub sends: Vec<Send>,
    pub later: Vec<(Span, Later)>,
    /// stock levels to ask the target for, and the feed message that they follow
    pub asks: Vec<(crate::model::NodeId, crate::model::SkuId, Id)>,
}

/// The world of one partition.
pub struct World {
    scenario: Arc<Scenario>,
    estate: Arc<Fixture>,
    seed: Seed,
    next_id: u64,
    now: Timestamp,
    stock: stock::Shelves,
    steps: Vec<StockStep>,
    probes: Option<Probes>,
    payment: payment::Books,
    nodes: nodes::Floor,
    shopper: shopper::Shoppers,
    screens: screens::Screens,
    stride: u32,
    first: OrderNo,
    /// version of the routing rules that was sent last
    rule_version: u32,
    client: Client,
    tokens: client::Tokens,
    /// until then faults may act
    calm: Timestamp,
    bank_answers: Sampler,
    partner_answers: Sampler,
    /// how often (order, point) was met, for behaviours that name an nth
    met: FxHashMap<(OrderNo, u8), u32>,
    /// by operation: some step of some kind waits for such an event
    awaited: Vec<bool>,
    tried: Tried,
}

/// What of a scenario came to be, a bit each, where all its orders are of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tried {
    /// steps of shoppers that were set off
    pub steps: u64,
    /// partners that behaved as they were told to
    pub partners: u64,
}

impl Tried {
    pub fn or(self, other: Tried) -> Tried {
        Tried { steps: self.steps | other.steps, partners: self.partners | other.partners }
    }
}

impl World {
    /// The world at its beginning, and what it does first: opening stock and the feeds that report it.
    pub fn new(plan: &Plan) -> (World, Actions) {
        let steps = || plan.scenario.kinds.iter().flat_map(|kind| &kind.steps);
        let mut world = World {
            awaited: Op::ALL.iter().map(|op| steps().any(|step| step.on == Some(*op))).collect(),
            scenario: plan.scenario.clone(),
            estate: plan.estate.clone(),
            seed: plan.seed,
            next_id: 0,
            now: Timestamp::ZERO,
            stock: stock::Shelves::new(&plan.estate),
            steps: plan.stock_steps.clone(),
            probes: plan.probes,
            payment: payment::Books::default(),
            nodes: nodes::Floor::default(),
            shopper: shopper::Shoppers::new(plan.room),
            screens: screens::Screens::new(plan.room),
            stride: plan.stride,
            first: plan.first,
            rule_version: 1,
            client: Client::default(),
            calm: Timestamp::ZERO,
            tokens: client::Tokens::default(),
            bank_answers: Sampler::new(BANK_ANSWERS),
            partner_answers: Sampler::new(PARTNER_ANSWERS),
            met: FxHashMap::default(),
            tried: Tried::default(),
        };
        let mut out = Actions::default();
        world.open(&plan.opening, &mut out);
        out.later.reserve(world.steps.len());
        for n in 0..world.steps.len() {
            out.later.push((world.steps[n].at.since(Timestamp::ZERO), Later::StockStep(n as u32)));
        }
        world.plan_probes(&mut out);
        (world, out)
    }

    /// The same with clients of other manners.
    pub fn with_client(self, client: Client) -> World {
        World { client, ..self }
    }

    /// The same where faults may act until `calm`: before, nobody despairs of the target.
    pub fn with_faults_until(self, calm: Timestamp) -> World {
        World { calm, ..self }
    }

    /// How long a client waits for an answer to a command, where there is an end to that.
    pub fn client_timeout(&self) -> Option<Span> {
        self.client.timeout
    }

    /// A planned thing is due.
    pub fn on_due(&mut self, now: Timestamp, what: Later, out: &mut Actions) {
        self.now = now;
        match what {
            Later::StockStep(n) => self.stock_step(n as usize, out),
            Later::Node(work, fid) => self.node_work(work, fid, out),
            Later::AuthExpires(pay) => self.auth_expires(pay, out),
            Later::PaymentDecides(key) => self.payment_decides(key, out),
            Later::FraudDecides(order) => self.fraud_decides(order, out),
            Later::Step { order, step, time } => self.shopper_step(order, step as usize, time, out),
            Later::GoodsArrive { ret } => self.goods_arrive(ret, out),
            Later::GoodsInspected { ret } => self.goods_inspected(ret, out),
            Later::Snapshot(node) => self.send_snapshot(node, out),
            Later::Probe { order, cancel } => self.probe(now, order, cancel, out),
            Later::AskStock { node, sku, after } => out.asks.push((node, sku, after)),
        }
    }

    /// A call of the target reaches its partner: the answer, with how long the partner takes to give it.
    pub fn on_call(&mut self, now: Timestamp, call: &Message, out: &mut Actions) -> (Outcome, Message, Span) {
        self.now = now;
        let mut answer = Message {
            key: call.key,
            order: call.order,
            cause: call.id,
            corr: call.corr,
            fulfillment: call.fulfillment,
            ret: call.ret,
            ..Message::new(call.op, call.id)
        };
        let outcome = match call.op {
            Op::PaymentAuthorize | Op::PaymentCapture | Op::PaymentVoid | Op::PaymentRefund => self.payment_call(call, &mut answer, out),
            Op::FraudScreen => self.screen(call, &mut answer, out),
            Op::AddressValidate => self.validate(call, &mut answer),
            Op::NodeRelease => self.node_release(call, &mut answer, out),
            Op::NodeCancel => self.node_cancel(call, &mut answer, out),
            Op::CarrierLabel => self.label(call, out),
            Op::NotificationSend => self.notify(call, out),
            _ => {
                answer.code = Code::Invalid;
                Outcome::Rejected
            }
        };
        if call.order.is_probe() {
            return (outcome, answer, Span::ZERO);
        }
        let law = match call.op {
            Op::PaymentAuthorize | Op::PaymentCapture | Op::PaymentVoid | Op::PaymentRefund => &self.bank_answers,
            _ => &self.partner_answers,
        };
        let takes = law.sample(self.seed, ANSWER_TIME, call.key.0 ^ call.fulfillment.0, call.op as u32);
        (outcome, answer, takes)
    }

    /// An event of the target has been heard.
    pub fn on_event(&mut self, now: Timestamp, event: &Message, out: &mut Actions) {
        self.now = now;
        self.shopper_hears(event, out);
    }

    /// What became of a message that the world sent. `retry_after` is what the other side asked for.
    pub fn on_reply(&mut self, now: Timestamp, sent: &Send, outcome: Outcome, code: Code, retry_after: Span, out: &mut Actions) {
        self.now = now;
        match outcome {
            Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected | Outcome::None => {
                self.shopper.done(sent.msg.key);
                match sent.link {
                    Link::Commands => self.command_answered(sent, outcome, code, out),
                    Link::Feeds if matches!(outcome, Outcome::Ok | Outcome::Replayed) => self.ask_stock(&sent.msg, out),
                    _ => {}
                }
            }
            // no definite answer: the same business request again under its old key, as a careful client does
            Outcome::Backpressure | Outcome::Error | Outcome::Refused | Outcome::TimedOut => {
                if now >= sent.due.max(self.calm) + GIVES_UP_AFTER {
                    return self.shopper.done(sent.msg.key);
                }
                let tries = self.shopper.tries(sent.msg.key);
                let wait = if sent.link == Link::Commands {
                    if !self.client.tries_again(tries, &mut self.tokens) {
                        // the shopper goes away; what the target has made of it by then stands
                        return self.shopper.done(sent.msg.key);
                    }
                    self.client.backoff.wait(tries, &mut self.seed.draw(RETRY, sent.msg.key.0, tries))
                } else {
                    Backoff::default().wait(tries, &mut self.seed.draw(RETRY, sent.msg.key.0, tries))
                };
                let wait = wait.max(retry_after);
                let msg = Message { id: self.fresh_id(), cause: sent.msg.id, ..(*sent.msg).clone() };
                out.sends.push(Send { link: sent.link, msg: msg.into(), due: sent.due, after: wait, attempt: tries + 1 });
            }
        }
    }

    /// The feed of a node has a gap that is mended by a snapshot after `wait`.
    pub fn resync(&self, node: crate::model::NodeId, wait: Span, out: &mut Actions) {
        out.later.push((wait, Later::Snapshot(node)));
    }

    /// A copy of a message under a new id, as a network or a nervous client makes it.
    pub fn copy_of(&mut self, msg: &Message) -> Message {
        Message { id: self.fresh_id(), cause: msg.id, ..msg.clone() }
    }

    /// Another request under the key of a command, as a client makes it that reuses keys; none where nothing in it can differ.
    pub fn conflicting(&mut self, msg: &Message) -> Option<Message> {
        let mut other = self.copy_of(msg);
        match msg.op {
            Op::PlaceOrder => {
                let mut body = (**msg.body.as_ref()?).clone();
                body.lines.first_mut()?.qty += 1;
                other.body = Some(Arc::new(body));
            }
            Op::CancelOrder if msg.lines.is_empty() => other.code = Code::Merchant,
            _ => other.lines.first_mut()?.qty += 1,
        }
        Some(other)
    }

    /// The PlaceOrder of one order.
    pub fn place_order(&mut self, order: OrderNo, body: Arc<crate::model::Order>, due: Timestamp) -> Send {
        let id = self.fresh_id();
        let key = Id(u64::from(order.0) << 8 | 1);
        let msg = Message { key, corr: correlation(order), body: Some(body.clone()), ..Message::of_order(Op::PlaceOrder, id, order) };
        self.shopper.placed(order, body);
        self.client.began(&mut self.tokens);
        Send { link: Link::Commands, msg: msg.into(), due, after: Span::ZERO, attempt: 0 }
    }

    fn fresh_id(&mut self) -> Id {
        self.next_id += 1;
        // even ids are the world's, odd ones the target's
        Id(self.next_id * 2)
    }

    fn callback(&mut self, op: Op, order: OrderNo, fill: impl FnOnce(&mut Message)) -> Send {
        let id = self.fresh_id();
        let mut msg = Message { key: id, corr: correlation(order), ..Message::of_order(op, id, order) };
        fill(&mut msg);
        Send { link: Link::Callbacks, msg: msg.into(), due: self.now, after: Span::ZERO, attempt: 0 }
    }

    fn fact(&mut self, op: Op, order: OrderNo, fill: impl FnOnce(&mut Message)) -> Message {
        let mut msg = Message::of_order(op, self.fresh_id(), order);
        fill(&mut msg);
        msg
    }

    /// What orders of the same sort are like.
    fn kind(&self, order: OrderNo) -> &Kind {
        self.scenario.kind_of(order, self.seed)
    }

    /// How a partner behaves at `point` for this order, this time.
    fn behaviour(&mut self, order: OrderNo, point: PartnerPoint, node: crate::model::NodeId) -> Option<Behaviour> {
        if order.is_probe() || !self.scenario.kinds.iter().any(|kind| kind.partner.iter().any(|b| b.at == point)) {
            return None;
        }
        let nth = self.met.entry((order, point as u8)).or_insert(0);
        *nth += 1;
        let nth = *nth;
        let fits = |b: &&Behaviour| b.at == point && (b.node.is_none() || b.node == node) && b.nth.is_none_or(|n| n == nth);
        let (at, behaviour) = self.kind(order).partner.iter().enumerate().find(|(_, b)| fits(b)).map(|(at, b)| (at, *b))?;
        self.tried.partners |= 1u64.checked_shl(at as u32).unwrap_or(0);
        Some(behaviour).filter(|b| b.answer != PartnerAnswer::Ok || b.after.is_some())
    }

    pub fn tried(&self) -> Tried {
        self.tried
    }
}

/// What the client calls everything that is about one order: not its number, and not the key of any request.
fn correlation(order: OrderNo) -> Id {
    if order.is_some() { Id(u64::from(order.0) << 8 | 2) } else { Id::NONE }
}

/// domain 6.2: authorization takes 350 ms in the median, 2.5 s at the 99th percentile (assumed)
const BANK_ANSWERS: Law = Law::LogNormal { p50: Span::from_millis(350), p95: Span::from_millis(1400) };
const PARTNER_ANSWERS: Law = Law::LogNormal { p50: Span::from_millis(60), p95: Span::from_millis(250) };
const ANSWER_TIME: Purpose = Purpose(300);
/// Whoever was told to come back for so long, with no fault to blame, is told no. Providers of payments and webhooks stop after some hours to
/// three days (Shopify 4 h, Stripe 3 d).
const GIVES_UP_AFTER: Span = Span::from_days(1);
const RETRY: Purpose = Purpose(301);
