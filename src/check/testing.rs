//! Histories written by hand, for the tests of the checkers. Every entry comes a second after the one before it.

use super::{Finding, Judgement, Suite, Verdict};
use crate::history::{Entry, Header, Kind, Observer};
use crate::model::{Code, Fid, Id, LineNo, LineQty, Message, Money, NodeId, Op, Order, OrderLine, OrderNo, Outcome, SkuId};
use crate::scenario::{Expect, standard_fixture};
use crate::sim::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const A: SkuId = SkuId(1);
pub const B: SkuId = SkuId(3);
pub const D: SkuId = SkuId(5);
pub const DC1: NodeId = NodeId(1);
pub const S1: NodeId = NodeId(3);

pub type Qty = (u16, SkuId, i32);

pub fn lines(m: &mut Message, lines: &[Qty]) {
    m.lines = lines.iter().map(|(line, sku, qty)| LineQty { line: LineNo(*line), sku: *sku, qty: *qty, seq: 0 }).collect();
}
pub fn at_node(m: &mut Message, node: NodeId, of: &[Qty]) {
    m.node = node;
    lines(m, of);
}
pub fn parcel(m: &mut Message, fid: u64) {
    m.fulfillment = Fid(fid);
}
pub fn in_return(m: &mut Message, ret: u64, of: &[Qty]) {
    m.ret = Id(ret);
    lines(m, of);
}
pub fn pays(m: &mut Message, pay: u64, cents: i64) {
    m.pay = Id(pay);
    m.amount = Money(cents);
}

impl Judgement {
    pub fn verdict_of(&self, check: &str) -> Verdict {
        self.results.iter().find(|r| r.name == check).map_or(Verdict::NotApplicable, |r| r.verdict)
    }
}

pub struct Story {
    pub header: Header,
    pub expect: Expect,
    entries: Vec<Entry>,
    held: Vec<Message>,
    seqs: BTreeMap<u32, u32>,
    last_id: u64,
    now: Timestamp,
}

impl Story {
    pub fn new() -> Story {
        let header = Header { fixture: standard_fixture(), fault_rules: vec!["storm".into()], ..Header::default() };
        let (entries, held, seqs) = Default::default();
        Story { header, expect: Expect::default(), entries, held, seqs, last_id: 1_000, now: Timestamp::ZERO }
    }
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    pub fn wait(&mut self, span: Span) -> &mut Story {
        self.now += span;
        self
    }
    pub fn remove(&mut self, index: usize) {
        self.entries.remove(index);
    }
    fn id(&mut self) -> Id {
        self.last_id += 1;
        Id(self.last_id)
    }
    /// Writes an entry; returns its index.
    fn write(&mut self, kind: Kind, outcome: Outcome, msg: Message) -> usize {
        self.now += Span::from_secs(1);
        self.entries.push(Entry { n: self.entries.len() as u64 + 1, at: self.now, due: self.now, kind, outcome, msg: msg.into() });
        self.entries.len() - 1
    }

    /// Any entry at all.
    pub fn put(&mut self, kind: Kind, outcome: Outcome, msg: Message) -> &mut Story {
        self.write(kind, outcome, msg);
        self
    }

    pub fn mark(&mut self, op: Op) -> &mut Story {
        self.write(Kind::Mark, Outcome::None, Message::new(op, Id::NONE));
        self
    }

    // commands and feeds

    pub fn sent(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> Id {
        let mut msg = Message::of_order(op, self.id(), OrderNo(order));
        fill(&mut msg);
        let id = msg.id;
        self.write(Kind::Sent, Outcome::None, msg);
        id
    }
    /// The reply to a message sent before.
    pub fn reply(&mut self, id: Id, outcome: Outcome) -> &mut Story {
        let asked = self.entries.iter().find(|e| e.kind == Kind::Sent && e.msg.id == id).map(|e| (*e.msg).clone());
        let msg = asked.map_or(Message::new(Op::PlaceOrder, id), |m| Message { body: None, lines: Default::default(), ..m });
        self.write(Kind::Reply, outcome, msg);
        self
    }
    pub fn body(&self, of: &[Qty]) -> Arc<Order> {
        let price = |sku| self.header.fixture.product(sku).map_or(Money(100), |p| p.price);
        let line =
            |(line, sku, qty): &Qty| OrderLine { line: LineNo(*line), sku: *sku, qty: *qty as u32, unit_price: price(*sku), ..OrderLine::default() };
        Arc::new(Order { lines: of.iter().map(line).collect(), shipping: Money(800), ..Order::default() })
    }
    /// PlaceOrder and its reply: two entries.
    pub fn place(&mut self, order: u32, of: &[Qty]) -> &mut Story {
        self.place_with(order, self.body(of), Outcome::Ok)
    }
    pub fn place_with(&mut self, order: u32, body: Arc<Order>, outcome: Outcome) -> &mut Story {
        let id = self.sent(order, Op::PlaceOrder, |m| m.body = Some(body));
        self.reply(id, outcome)
    }
    /// The same order sent once more, and its reply.
    pub fn resend(&mut self, order: u32, outcome: Outcome) -> &mut Story {
        let body = self.entries.iter().find(|e| e.msg.order == OrderNo(order)).and_then(|e| e.msg.body.clone());
        let id = self.sent(order, Op::PlaceOrder, |m| m.body = body);
        self.reply(id, outcome)
    }
    /// A probe order of which one event is heard so long after its acknowledgement, or just before it.
    pub fn probe(&mut self, lag: Option<Span>) -> &mut Story {
        let order = OrderNo::FIRST_PROBE.0;
        let body = self.body(&[(1, D, 1)]);
        let id = self.sent(order, Op::PlaceOrder, |m| m.body = Some(body));
        let event = self.hold_event(order, Op::OrderAccepted, |m| m.cause = id);
        match lag {
            None => self.deliver(event).reply(id, Outcome::Ok),
            // every entry takes a second
            Some(lag) => self.reply(id, Outcome::Ok).wait(Span(lag.0.saturating_sub(Span::from_secs(1).0))).deliver(event),
        }
    }
    pub fn cancel(&mut self, order: u32) -> Id {
        let id = self.sent(order, Op::CancelOrder, |_| {});
        self.reply(id, Outcome::Ok);
        id
    }
    /// A cancellation (of these lines, or of all) and the answer to it.
    pub fn cancel_answered(&mut self, order: u32, of: &[Qty], outcome: Outcome, code: Code) -> Id {
        let id = self.sent(order, Op::CancelOrder, |m| lines(m, of));
        let msg = Message { code, ..Message::of_order(Op::CancelOrder, id, OrderNo(order)) };
        self.write(Kind::Reply, outcome, msg);
        id
    }
    /// An entry of any kind about an order.
    pub fn entry(&mut self, kind: Kind, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> &mut Story {
        let mut msg = Message::of_order(op, self.id(), OrderNo(order));
        fill(&mut msg);
        self.write(kind, Outcome::None, msg);
        self
    }
    /// The answer to a call of this id.
    pub fn answer(&mut self, order: u32, op: Op, id: Id, outcome: Outcome) -> &mut Story {
        self.write(Kind::Answer, outcome, Message::of_order(op, id, OrderNo(order)));
        self
    }
    /// RequestExchange and its reply; new lines are (line, sku, qty, price).
    pub fn exchange(&mut self, order: u32, ret: u64, back: &[Qty], take: &[(u16, SkuId, u32, i64)]) -> &mut Story {
        let line = |t: &(u16, SkuId, u32, i64)| OrderLine { sku: t.1, qty: t.2, unit_price: Money(t.3), ..OrderLine::default() };
        let body = Order { lines: take.iter().map(line).collect(), ..Order::default() };
        let id = self.sent(order, Op::RequestExchange, |m| {
            in_return(m, ret, back);
            m.body = Some(Arc::new(body));
        });
        self.reply(id, Outcome::Ok)
    }
    pub fn request_return(&mut self, order: u32, ret: u64, back: &[Qty]) -> &mut Story {
        let id = self.sent(order, Op::RequestReturn, |m| in_return(m, ret, back));
        self.reply(id, Outcome::Ok)
    }
    /// Opening stock: the fact, and the snapshot with its acknowledgement.
    pub fn stock(&mut self, node: NodeId, sku: SkuId, qty: i32) -> &mut Story {
        self.movement(Op::StockOpening, node, sku, qty, 1);
        let id = self.snapshot(node, &[(sku, qty, 1)]);
        self.reply(id, Outcome::Ok)
    }
    pub fn movement(&mut self, op: Op, node: NodeId, sku: SkuId, qty: i32, seq: u32) -> &mut Story {
        let msg = Message { node, sku, qty, seq, ..Message::new(op, Id::NONE) };
        self.write(Kind::Fact, Outcome::None, msg);
        self
    }
    pub fn snapshot(&mut self, node: NodeId, of: &[(SkuId, i32, u32)]) -> Id {
        self.sent(0, Op::InventorySnapshot, |m| {
            m.node = node;
            m.lines = of.iter().map(|(sku, qty, seq)| LineQty { line: LineNo::NONE, sku: *sku, qty: *qty, seq: *seq }).collect();
        })
    }
    pub fn delta(&mut self, node: NodeId, sku: SkuId, qty: i32, seq: u32) -> Id {
        self.sent(0, Op::InventoryDelta, |m| (m.node, m.sku, m.qty, m.seq) = (node, sku, qty, seq))
    }

    // claims

    fn new_event(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> Message {
        let mut msg = Message::of_order(op, self.id(), OrderNo(order));
        let seq = self.seqs.entry(order).or_default();
        *seq += 1;
        msg.seq = *seq;
        fill(&mut msg);
        msg
    }
    /// An event; returns its index among the entries.
    pub fn event(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> usize {
        let msg = self.new_event(order, op, fill);
        self.write(Kind::Event, Outcome::None, msg)
    }
    /// An event, and on.
    pub fn claim(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> &mut Story {
        self.event(order, op, fill);
        self
    }
    /// An event of a target that does not number its events.
    pub fn unnumbered(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> &mut Story {
        let mut msg = Message::of_order(op, self.id(), OrderNo(order));
        fill(&mut msg);
        self.write(Kind::Event, Outcome::None, msg);
        self
    }
    /// An event that is under way; `deliver` brings it.
    pub fn hold_event(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> usize {
        let msg = self.new_event(order, op, fill);
        self.held.push(msg);
        self.held.len() - 1
    }
    pub fn deliver(&mut self, held: usize) -> &mut Story {
        let msg = self.held[held].clone();
        self.write(Kind::Event, Outcome::None, msg);
        self
    }
    pub fn held_id(&self, held: usize) -> Id {
        self.held[held].id
    }
    pub fn again(&mut self, index: usize) -> &mut Story {
        self.again_with(index, |_| {})
    }
    pub fn again_with(&mut self, index: usize, change: impl FnOnce(&mut Message)) -> &mut Story {
        let mut msg = (*self.entries[index].msg).clone();
        change(&mut msg);
        self.write(Kind::Event, Outcome::None, msg);
        self
    }
    pub fn accept(&mut self, order: u32) -> &mut Story {
        self.event(order, Op::OrderAccepted, |_| {});
        self
    }
    pub fn complete(&mut self, order: u32) -> &mut Story {
        self.event(order, Op::OrderCompleted, |_| {});
        self
    }
    pub fn reserve(&mut self, order: u32, node: NodeId, of: &[Qty], cause: Id) -> &mut Story {
        self.event(order, Op::InventoryReserved, |m| {
            at_node(m, node, of);
            m.cause = cause;
        });
        self
    }
    pub fn release(&mut self, order: u32, node: NodeId, of: &[Qty], cause: Id) -> &mut Story {
        self.event(order, Op::InventoryReleased, |m| {
            at_node(m, node, of);
            m.cause = cause;
        });
        self
    }

    // facts, most with the claim that goes with them

    pub fn fact(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> &mut Story {
        let mut msg = Message::of_order(op, self.id(), OrderNo(order));
        fill(&mut msg);
        self.write(Kind::Fact, Outcome::None, msg);
        self
    }
    pub fn authorize(&mut self, order: u32, pay: u64, cents: i64) -> &mut Story {
        self.fact(order, Op::PaymentAuthorize, |m| pays(m, pay, cents));
        self.event(order, Op::PaymentAuthorized, |m| pays(m, pay, cents));
        self
    }
    pub fn capture(&mut self, order: u32, pay: u64, cents: i64) -> &mut Story {
        self.fact(order, Op::PaymentCapture, |m| pays(m, pay, cents));
        self.event(order, Op::PaymentCaptured, |m| pays(m, pay, cents));
        self
    }
    pub fn void(&mut self, order: u32, pay: u64, cents: i64) -> &mut Story {
        self.fact(order, Op::PaymentVoid, |m| pays(m, pay, cents));
        self.event(order, Op::PaymentVoided, |m| pays(m, pay, cents));
        self
    }
    pub fn refund(&mut self, order: u32, pay: u64, ret: u64, cents: i64) -> &mut Story {
        let fill = |m: &mut Message| {
            pays(m, pay, cents);
            m.ret = Id(ret);
        };
        self.fact(order, Op::PaymentRefund, fill);
        self.event(order, Op::PaymentRefunded, fill);
        self
    }
    pub fn node_release(&mut self, order: u32, fid: u64, node: NodeId, of: &[Qty]) -> &mut Story {
        let fill = |m: &mut Message| {
            parcel(m, fid);
            at_node(m, node, of);
        };
        self.fact(order, Op::NodeRelease, fill);
        self.event(order, Op::FulfillmentReleased, fill);
        self
    }
    pub fn ship(&mut self, order: u32, fid: u64, node: NodeId, of: &[Qty]) -> &mut Story {
        let fill = |m: &mut Message| {
            parcel(m, fid);
            at_node(m, node, of);
        };
        self.fact(order, Op::CbNodeShipped, fill);
        self.event(order, Op::ShipmentShipped, fill);
        self
    }
    /// Goods came back and were inspected: two facts and the claim that they were received.
    pub fn give_back(&mut self, order: u32, ret: u64, of: &[Qty]) -> &mut Story {
        self.fact(order, Op::CbNodeReceived, |m| in_return(m, ret, of));
        self.fact(order, Op::CbNodeInspected, |m| {
            in_return(m, ret, of);
            m.code = Code::Restock;
        })
    }
    pub fn fault(&mut self, order: u32, hit: Id) -> &mut Story {
        let msg = Message { cause: hit, seq: 1, ..Message::of_order(Op::PlaceOrder, Id::NONE, OrderNo(order)) };
        self.write(Kind::Fault, Outcome::None, msg);
        self
    }
    /// What was made of a message that came harmed.
    pub fn harmed(&mut self, order: u32, op: Op, outcome: Outcome) -> &mut Story {
        let msg = Message { cause: self.id(), seq: 1, ..Message::of_order(op, Id::NONE, OrderNo(order)) };
        self.write(Kind::Fault, outcome, msg);
        self
    }
    /// The target is killed, or starts again.
    pub fn target(&mut self, what: Op) -> &mut Story {
        self.write(Kind::Fault, Outcome::None, Message { seq: 1, ..Message::new(what, Id::NONE) });
        self
    }
    /// A call of the target as it reaches its partner.
    pub fn call(&mut self, order: u32, op: Op, fill: impl FnOnce(&mut Message)) -> &mut Story {
        let mut msg = Message::of_order(op, self.id(), OrderNo(order));
        fill(&mut msg);
        self.write(Kind::Call, Outcome::None, msg);
        self
    }
    /// What a partner answers.
    pub fn said(&mut self, order: u32, op: Op, code: Code) -> &mut Story {
        let msg = Message { code, ..Message::of_order(op, self.id(), OrderNo(order)) };
        self.write(Kind::Answer, Outcome::Ok, msg);
        self
    }
    /// What the target answers to GetOrder.
    pub fn answers(&mut self, order: u32, fill: impl FnOnce(&mut Message)) -> &mut Story {
        let mut msg = Message::of_order(Op::GetOrder, Id::NONE, OrderNo(order));
        fill(&mut msg);
        self.write(Kind::State, Outcome::Ok, msg);
        self
    }
    pub fn state(&mut self, order: u32, code: Code, held: i32) -> &mut Story {
        let msg = Message { code, qty: held, ..Message::of_order(Op::GetOrder, Id::NONE, OrderNo(order)) };
        self.write(Kind::State, Outcome::Ok, msg);
        self
    }
    pub fn shelf_state(&mut self, node: NodeId, sku: SkuId, qty: i32, reserved: i32) -> &mut Story {
        let mut msg = Message { node, sku, qty, ..Message::new(Op::GetInventory, Id::NONE) };
        msg.lines.push(LineQty { line: LineNo::NONE, sku, qty: reserved, seq: 0 });
        self.write(Kind::State, Outcome::Ok, msg);
        self
    }
    /// What the target says during the run, asked after a feed message.
    pub fn shelf_asked(&mut self, node: NodeId, sku: SkuId, qty: i32, after: Id) -> &mut Story {
        let msg = Message { node, sku, qty, cause: after, ..Message::new(Op::GetInventory, Id::NONE) };
        self.write(Kind::State, Outcome::Ok, msg);
        self
    }
    /// One unit of A from DC1, ordered, shipped, paid and completed, with what the target says at rest.
    pub fn plain_order(&mut self, order: u32) -> &mut Story {
        let (fid, pay) = (u64::from(order), u64::from(order) + 500);
        self.stock(DC1, A, 10).place(order, &[(1, A, 1)]).accept(order);
        self.reserve(order, DC1, &[(1, A, 1)], Id::NONE).authorize(order, pay, 4800).node_release(order, fid, DC1, &[(1, A, 1)]);
        self.movement(Op::StockShipped, DC1, A, -1, 2).ship(order, fid, DC1, &[(1, A, 1)]);
        self.capture(order, pay, 4800)
            .complete(order)
            .answers(order, |m| (m.code, m.amount) = (Code::StateCompleted, Money(4800)))
            .shelf_state(DC1, A, 9, 0)
    }

    // judging

    pub fn suite(&self) -> Suite {
        Suite::new(self.header.clone(), self.expect.clone())
    }
    pub fn run(&self, mut suite: Suite) -> Judgement {
        self.feed(&mut suite, true);
        suite.finish(true)
    }
    fn feed(&self, suite: &mut Suite, rest: bool) {
        self.entries.iter().for_each(|e| suite.observe(e));
        if rest {
            let n = self.entries.last().map_or(0, |e| e.n) + 1;
            let (kind, outcome, msg) = (Kind::Mark, Outcome::None, Message::new(Op::MarkRest, Id::NONE));
            suite.observe(&Entry { n, at: self.now, due: self.now, kind, outcome, msg: msg.into() });
        }
    }
    pub fn judge(&self) -> Judgement {
        self.run(self.suite())
    }
    pub fn judge_with(&self, finish: impl FnOnce(Suite) -> Judgement) -> Judgement {
        let mut suite = self.suite();
        self.feed(&mut suite, true);
        finish(suite)
    }
    /// The same record, ending before the run came to rest.
    pub fn cut_short(&self) -> Judgement {
        let mut suite = self.suite();
        self.feed(&mut suite, false);
        suite.finish(true)
    }
    /// Asserts that the check passes; that it had something to judge is part of it.
    #[track_caller]
    pub fn accepts(&self, check: &str) -> &Story {
        let judgement = self.judge();
        let found: Vec<_> = judgement.findings.iter().filter(|f| f.check == check).collect();
        assert_eq!(judgement.verdict_of(check), Verdict::Pass, "{check}: {found:#?}");
        self
    }
    /// Asserts that the check fails and says so.
    #[track_caller]
    pub fn rejects(&self, check: &str, says: &str) -> Finding {
        let judgement = self.judge();
        let found = judgement.findings.iter().find(|f| f.check == check && f.what.contains(says));
        found.cloned().unwrap_or_else(|| panic!("{check} did not say `{says}`: {:#?}", judgement.findings))
    }
    /// Asserts that the check cannot decide.
    #[track_caller]
    pub fn leaves_open(&self, check: &str) -> &Story {
        let judgement = self.judge();
        assert_eq!(judgement.verdict_of(check), Verdict::Unknown, "{check}: {:#?}", judgement.findings);
        self
    }
}
