//! Shoppers: they place orders, change their minds, and send goods back.

use super::{Actions, Later, Send, World};
use crate::model::{Code, Fid, Id, LineNo, LineQty, Lines, Message, NodeId, Op, Order, OrderLine, OrderNo, Outcome, SkuId};
use crate::scenario::{Action, Disposition, ExchangeMode, Link, ReturnMethod, Step};
use crate::sim::{Law, Purpose, Span};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::sync::Arc;

const STEP_DELAY: Purpose = Purpose(320);
const MAIL_TIME: Purpose = Purpose(321);

/// Goods on their way back.
struct Parcel {
    order: OrderNo,
    node: NodeId,
    lines: Lines,
    disposition: Disposition,
    sent: bool,
}

#[derive(Default)]
pub struct Shoppers {
    orders: FxHashMap<OrderNo, Arc<Order>>,
    /// bit i: step i was set off
    set_off: FxHashMap<OrderNo, u64>,
    parcels: FxHashMap<Id, Parcel>,
    tries: FxHashMap<Id, u32>,
}

impl Shoppers {
    /// With room for so many orders.
    pub fn new(orders: u32) -> Shoppers {
        Shoppers { orders: FxHashMap::with_capacity_and_hasher(orders as usize, FxBuildHasher), ..Shoppers::default() }
    }
    pub fn placed(&mut self, order: OrderNo, body: Arc<Order>) {
        self.orders.insert(order, body);
    }
    pub fn order(&self, order: OrderNo) -> Option<Arc<Order>> {
        self.orders.get(&order).cloned()
    }
    /// A message with this key has its answer.
    pub fn done(&mut self, key: Id) {
        self.tries.remove(&key);
    }
    /// How often a message with this key was sent again.
    pub fn tries(&mut self, key: Id) -> u32 {
        let tries = self.tries.entry(key).or_insert(0);
        *tries += 1;
        *tries - 1
    }
}

/// The id of what a step of an order asks for.
fn return_id(order: OrderNo, step: usize) -> Id {
    Id(u64::from(order.0) << 16 | (step as u64 & 0xff) << 8 | 0xfe)
}

impl World {
    /// Steps of the scenario wait for events of their order.
    pub(super) fn shopper_hears(&mut self, event: &Message, out: &mut Actions) {
        if event.order.is_some() && !event.order.is_probe() {
            self.set_off(event.order, Some(event.op), out);
        }
    }

    fn set_off(&mut self, order: OrderNo, on: Option<Op>, out: &mut Actions) {
        if on.is_some_and(|op| !self.awaited[op as usize]) {
            return;
        }
        let World { scenario, shopper, seed, tried, .. } = self;
        for (i, step) in scenario.kind_of(order, *seed).steps.iter().enumerate() {
            let done = shopper.set_off.entry(order).or_insert(0);
            if !step.action.is_of_order() || step.on != on || *done >> i & 1 == 1 {
                continue;
            }
            *done |= 1 << i;
            tried.steps |= 1u64.checked_shl(i as u32).unwrap_or(0);
            let mut draw = seed.draw(STEP_DELAY, order.0.into(), i as u32);
            let wait = if step.after.lo >= step.after.hi { step.after.lo } else { draw.span(step.after.lo, step.after.hi) };
            for time in 0..step.times {
                // the second time follows a moment later, as an impatient shopper does it
                let wait = wait + Span::from_secs(20).saturating_mul(time.into());
                out.later.push((wait, Later::Step { order, step: i as u16, time: time as u8 }));
            }
        }
    }

    /// The lines a step is about: (line, SKU, units).
    fn step_lines(&self, order: OrderNo, step: &Step) -> Lines {
        let Some(body) = self.shopper.orders.get(&order) else { return Lines::new() };
        let all = body.lines.iter().filter(|line| step.lines.is_empty() || step.lines.iter().any(|(no, _)| *no == line.line));
        all.map(|line| {
            let qty = step.lines.iter().find(|(no, _)| *no == line.line).and_then(|(_, qty)| *qty).unwrap_or(line.qty);
            LineQty { line: line.line, sku: line.sku, qty: qty as i32, seq: 0 }
        })
        .collect()
    }

    pub(super) fn shopper_step(&mut self, order: OrderNo, at: usize, time: u8, out: &mut Actions) {
        let Some(step) = self.kind(order).steps.get(at).cloned() else { return };
        let id = self.fresh_id();
        let key = Id(u64::from(order.0) << 8 | (at as u64 & 0x1f) << 3 | (u64::from(time) & 7) | 1 << 63);
        let ret = match step.action {
            // withdraws the latest return or exchange before this step
            Action::CancelReturn => {
                let earlier = (0..at).rev().find(|i| matches!(self.kind(order).steps[*i].action, Action::Return | Action::Exchange));
                return_id(order, earlier.unwrap_or(0))
            }
            _ => return_id(order, at),
        };
        let mut msg = Message { key, corr: super::correlation(order), ..Message::of_order(Op::CancelOrder, id, order) };
        match step.action {
            Action::Cancel => {
                msg.code = Code::Customer;
                if !step.lines.is_empty() {
                    msg.lines = self.step_lines(order, &step);
                }
            }
            Action::Return | Action::Exchange => {
                let lines = self.step_lines(order, &step);
                let first = lines.first().map_or(LineNo::NONE, |item| item.line);
                let node = if step.node.is_some() { step.node } else { self.nodes.left_from(order, first) };
                msg.ret = ret;
                msg.node = node;
                msg.lines = lines.clone();
                msg.op = Op::RequestReturn;
                msg.code = match step.method {
                    ReturnMethod::Mail => Code::Mail,
                    ReturnMethod::Store => Code::Store,
                    ReturnMethod::Keep => Code::Keep,
                };
                if step.action == Action::Exchange {
                    msg.op = Op::RequestExchange;
                    msg.code = if step.mode == ExchangeMode::Advance { Code::Advance } else { Code::OnReceipt };
                    let offset = self.stride * self.scenario.copy_of(order, self.first);
                    let take = step.take.iter().map(|line| OrderLine { sku: SkuId(line.sku.0 + offset), ..line.clone() }).collect();
                    msg.body = Some(Arc::new(Order { lines: take, ..Order::default() }));
                }
                self.shopper.parcels.insert(ret, Parcel { order, node, lines, disposition: step.disposition, sent: false });
                if step.blind && time == 0 {
                    // the goods travel first, the request follows
                    self.send_goods(ret, &step, out);
                    out.sends.push(Send {
                        link: Link::Commands,
                        msg: msg.into(),
                        due: self.now + Span::from_days(4),
                        after: Span::from_days(4),
                        attempt: 0,
                    });
                    return;
                }
            }
            Action::CancelReturn => {
                msg.op = Op::CancelReturn;
                msg.ret = ret;
            }
            Action::Receipt | Action::Sale | Action::Supply | Action::Snapshot | Action::DisableNode | Action::EnableNode => return,
        }
        out.sends.push(Send { link: Link::Commands, msg: msg.into(), due: self.now, after: Span::ZERO, attempt: 0 });
    }

    fn send_goods(&mut self, ret: Id, step: &Step, out: &mut Actions) {
        let Some(parcel) = self.shopper.parcels.get_mut(&ret) else { return };
        if parcel.sent || step.method == ReturnMethod::Keep {
            return;
        }
        parcel.sent = true;
        let law = if step.method == ReturnMethod::Store {
            Law::LogNormal { p50: Span::from_hours(5), p95: Span::from_days(2) }
        } else {
            Law::LogNormal { p50: Span::from_days(4), p95: Span::from_days(8) }
        };
        let takes = law.sample(&mut self.seed.draw(MAIL_TIME, ret.0, 0)).max(Span::from_hours(1)).min(Span::from_days(15));
        out.later.push((takes, Later::GoodsArrive { ret }));
    }

    /// A command has a definite answer.
    pub(super) fn command_answered(&mut self, sent: &Send, outcome: Outcome, code: Code, out: &mut Actions) {
        if outcome == Outcome::Rejected {
            // under a key that was used before, another order is turned down and not this one
            if sent.msg.op == Op::PlaceOrder && code != Code::KeyReuse {
                // nothing will be done with it: hours of orders that are turned down must not pile up
                self.shopper.orders.remove(&sent.msg.order);
            }
            return;
        }
        match sent.msg.op {
            Op::PlaceOrder if sent.msg.order.is_probe() => self.probe_accepted(sent.msg.order, out),
            Op::PlaceOrder => self.set_off(sent.msg.order, None, out),
            Op::RequestReturn | Op::RequestExchange => {
                let at = (sent.msg.ret.0 >> 8 & 0xff) as usize;
                let steps = &self.kind(sent.msg.order).steps;
                if let Some(step) = steps.get(at).cloned() {
                    let withdrawn = steps.iter().any(|step| step.action == Action::CancelReturn);
                    // a shopper who means to withdraw does not send anything
                    if !withdrawn {
                        self.send_goods(sent.msg.ret, &step, out);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn goods_arrive(&mut self, ret: Id, out: &mut Actions) {
        let Some(parcel) = self.shopper.parcels.get(&ret) else { return };
        let (order, node, lines) = (parcel.order, parcel.node, parcel.lines.clone());
        let fact = self.fact(Op::CbNodeReceived, order, |m| (m.ret, m.node, m.lines) = (ret, node, lines.clone()));
        out.facts.push(fact);
        let send = self.callback(Op::CbNodeReceived, order, |m| (m.ret, m.node, m.lines) = (ret, node, lines));
        out.sends.push(send);
        out.later.push((Span::from_hours(6), Later::GoodsInspected { ret }));
    }

    pub(super) fn goods_inspected(&mut self, ret: Id, out: &mut Actions) {
        let Some(parcel) = self.shopper.parcels.get(&ret) else { return };
        let (order, node, restock) = (parcel.order, parcel.node, parcel.disposition == Disposition::Restock);
        let mut lines = parcel.lines.clone();
        let code = if restock { Code::Restock } else { Code::Scrap };
        let plain = lines.clone();
        let fact = self.fact(Op::CbNodeInspected, order, |m| (m.ret, m.node, m.code, m.lines) = (ret, node, code, plain));
        out.facts.push(fact);
        if restock {
            for item in lines.iter_mut() {
                item.seq = self.movement(Op::StockRestocked, node, item.sku, i64::from(item.qty), (order, Fid::NONE, ret), out);
            }
        }
        let send = self.callback(Op::CbNodeInspected, order, |m| (m.ret, m.node, m.code, m.lines) = (ret, node, code, lines));
        out.sends.push(send);
    }
}
