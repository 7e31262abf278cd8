//! One order in the judge's books: what was asked, what was done (facts), what was said (claims).

use super::coverage::{Coverage, RETURN_ENDS};
use crate::history::{Entry, Kind};
use crate::model::{Code, Fid, Fulfil, Id, LineNo, Lines, Message, Money, NodeId, Op, Order, OrderNo, Outcome, SkuId};
use crate::sim::Timestamp;
use smallvec::SmallVec;
use std::sync::Arc;

/// A place in the record: which entry, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spot {
    pub n: u64,
    pub at: Timestamp,
}

impl Spot {
    pub fn is_set(self) -> bool {
        self.n != 0
    }
    fn set_first(&mut self, entry: &Entry) {
        if self.n == 0 {
            *self = Spot { n: entry.n, at: entry.at };
        }
    }
}

/// Did a command take effect?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened {
    Yes,
    No,
    /// a time-out or a broken connection, and nothing since that settles it
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct LineBook {
    pub line: LineNo,
    pub sku: SkuId,
    pub qty: i64,
    pub total: Money,
    pub fulfil: Fulfil,
    pub node: NodeId,
    /// the exchange that added this line
    pub exchange: Id,
    /// facts
    pub shipped: i64,
    /// claims
    pub reserved: i64,
    pub released: i64,
    pub cancelled: i64,
    pub backordered: Spot,
}

impl LineBook {
    /// Units for which no reservation stands, by the claims heard so far. Does not depend on the order of hearing.
    pub fn need(&self) -> i64 {
        self.qty - self.cancelled - (self.reserved - self.released)
    }
}

/// A payment authorization (facts).
#[derive(Clone, Debug, Default)]
pub struct Auth {
    pub pay: Id,
    pub amount: i64,
    pub captured: i64,
    pub voided: i64,
    pub expired: i64,
    pub refunded: i64,
    pub made: Spot,
    pub closed: Spot,
}

impl Auth {
    pub fn open(&self) -> i64 {
        self.amount - self.captured - self.voided - self.expired
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Flow {
    Authorized,
    Captured,
    Voided,
    Refunded,
}

/// One movement of money, as a fact or as a claim.
#[derive(Clone, Copy, Debug)]
pub struct MoneyMove {
    pub flow: Flow,
    pub fact: bool,
    pub pay: Id,
    pub ret: Id,
    pub fulfillment: Fid,
    pub amount: i64,
    pub n: u64,
}

/// A fulfillment and its parcel.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    pub fid: Fid,
    pub ret: Id,
    pub node: NodeId,
    /// claims
    pub allocated: Spot,
    pub released_claims: SmallVec<[u64; 1]>,
    /// units and node of the claim; none where it names none
    pub claimed_release: Lines,
    pub claimed_node: NodeId,
    pub shipped_claims: SmallVec<[u64; 1]>,
    pub claimed_lines: Lines,
    /// rejected, cancelled or expired, as the target says
    pub ended: Spot,
    /// facts
    pub releases: SmallVec<[u64; 1]>,
    pub release_lines: Lines,
    pub release_node: NodeId,
    pub cancels: SmallVec<[u64; 1]>,
    pub shipments: SmallVec<[u64; 1]>,
    pub shipped_lines: Lines,
}

/// A return, or the return half of an exchange.
#[derive(Clone, Debug, Default)]
pub struct Return {
    pub id: Id,
    pub exchange: bool,
    pub requested: Spot,
    pub request: Lines,
    /// the goods stay with the shopper
    pub keep: bool,
    /// exchange: the new goods leave before the old ones are back
    pub advance: bool,
    /// exchange: the new lines as asked for
    pub body: Option<Arc<Order>>,
    pub accepted: bool,
    pub refused: bool,
    /// facts
    pub received: Spot,
    pub inspected: Spot,
    pub inspected_lines: Lines,
    /// claims
    pub created: Spot,
    pub authorized: Spot,
    pub rejected: Spot,
    pub cancelled: Spot,
    pub completed: Spot,
}

impl Return {
    /// The units that came back and were looked at, or that the shopper keeps with leave.
    pub fn units(&self) -> &Lines {
        if self.inspected.is_set() || !self.keep || !(self.accepted || self.authorized.is_set()) { &self.inspected_lines } else { &self.request }
    }
    /// Taken on by the target, and neither completed nor called off.
    pub fn is_open(&self) -> bool {
        (self.accepted || self.authorized.is_set() || self.created.is_set()) && !self.completed.is_set() && !self.is_off()
    }
    pub fn is_off(&self) -> bool {
        self.rejected.is_set() || self.cancelled.is_set() || (self.refused && !self.accepted && !self.authorized.is_set())
    }
}

/// Reservation at one node of one SKU (claims).
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub node: NodeId,
    pub sku: SkuId,
    pub reserved: i64,
    pub released: i64,
    pub consumed: i64,
    pub last_n: u64,
}

impl Held {
    pub fn net(&self) -> i64 {
        self.reserved - self.released - self.consumed
    }
}

/// What the target answered to `GetOrder` at rest.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub code: Code,
    pub qty: i64,
    pub amount: i64,
    pub n: u64,
}

/// One distinct event of the order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    id: Id,
    seq: u32,
    digest: u32,
    n: u64,
}

/// What became of an event on its way into the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    New,
    /// the same event once more; `n` is its first entry
    Again,
    /// the same id with other content than at `n`
    Changed {
        n: u64,
    },
}

#[derive(Clone, Debug, Default)]
pub struct Account {
    pub no: OrderNo,
    pub body: Option<Arc<Order>>,
    /// the client's correlation id
    pub corr: Id,
    pub placed: Spot,
    pub placed_last: u64,
    /// the first attempt to place it of which nobody said that it was not taken
    pub offered: Timestamp,
    attempts: u32,
    refusals: u32,
    replied_yes: bool,
    /// taken, with the decision to come (202), and a no of the target's own
    replied_later: bool,
    replied_no: bool,
    /// something else shows that the target took the order on
    evidence_yes: bool,
    pub cancel_sent: Spot,
    pub lines: Vec<LineBook>,
    pub auths: SmallVec<[Auth; 1]>,
    pub money: Vec<MoneyMove>,
    pub parcels: Vec<Parcel>,
    pub returns: Vec<Return>,
    pub held: SmallVec<[Held; 2]>,
    /// `order.accepted`, by distinct event id
    pub accepted: SmallVec<[u64; 1]>,
    /// what the first of them says that the shopper owes; zero where none says it
    pub accepted_at: Money,
    /// `order.completed`, `.cancelled`, `.rejected`
    pub ends: SmallVec<[(Op, u64); 1]>,
    pub exception: Spot,
    pub last: Spot,
    pub last_claim: Option<(Op, u64)>,
    pub said: Option<Said>,
    pub first_fault: Spot,
    /// numbers of the fault rules that acted on it, from 1
    pub fault_rules: SmallVec<[u32; 2]>,
    pub(super) heard: Vec<Heard>,
    /// numbers of events up to 64 that were heard, one bit each, and the greatest of all
    numbers: u64,
    top_number: u32,
    /// the greatest ids among those heard, and among those sent: whoever numbers upwards has said nothing twice that is greater
    heard_top: Id,
    inbound_top: Id,
    /// messages to the target about this order (and answers to its calls), and when they were first sent
    inbound: Vec<(Id, Timestamp, Op, u64)>,
    /// calls of the target that reached a partner
    calls: SmallVec<[Id; 4]>,
    /// messages that a fault acted on, and when
    faulted: SmallVec<[(Id, Timestamp); 2]>,
    /// nodes that refused or came up short
    pub unhelpful: SmallVec<[(NodeId, SkuId, u64); 1]>,
}

impl Account {
    pub(super) fn new(no: OrderNo) -> Account {
        // what an order that is turned down comes to: with room for a whole course, orders by the thousand would be mostly room
        Account { no, inbound: Vec::with_capacity(6), ..Account::default() }
    }
    /// The account of another order, in the same memory.
    pub(super) fn renew(&mut self, no: OrderNo) {
        fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
            list.clear();
            std::mem::take(list)
        }
        *self = Account {
            no,
            lines: emptied(&mut self.lines),
            money: emptied(&mut self.money),
            parcels: emptied(&mut self.parcels),
            returns: emptied(&mut self.returns),
            heard: emptied(&mut self.heard),
            inbound: emptied(&mut self.inbound),
            ..Account::default()
        };
    }

    pub fn happened(&self) -> Happened {
        // what was taken on is the target's, unless another attempt heard the decision
        if self.replied_yes || self.evidence_yes || self.replied_later && !self.replied_no {
            Happened::Yes
        } else if self.refusals >= self.attempts {
            Happened::No
        } else {
            Happened::Unknown
        }
    }
    /// The target has taken it on, or turned it down for good.
    pub fn is_decided(&self) -> bool {
        self.replied_no || self.happened() == Happened::Yes
    }
    /// Nothing was heard of it but answers, and no fault acted on it.
    pub fn is_untouched(&self) -> bool {
        self.heard.is_empty() && self.calls.is_empty() && !self.first_fault.is_set() && self.said.is_none()
    }
    /// It ended without goods or money, and no fault acted on it: nothing more is to come.
    pub fn is_called_off(&self) -> bool {
        let off = matches!(self.ends.as_slice(), [(Op::OrderRejected | Op::OrderCancelled, _)]);
        off && !self.first_fault.is_set()
            && self.hole().is_none()
            && self.parcels.iter().all(|parcel| parcel.releases.is_empty())
            && self.auths.iter().all(|auth| auth.open() == 0)
    }
    pub fn replied_yes(&self) -> bool {
        self.replied_yes
    }
    pub fn line(&self, line: LineNo, sku: SkuId) -> Option<&LineBook> {
        self.lines.iter().find(|l| if line.is_some() { l.line == line } else { l.sku == sku })
    }
    fn line_mut(&mut self, line: LineNo, sku: SkuId) -> Option<&mut LineBook> {
        self.lines.iter_mut().find(|l| if line.is_some() { l.line == line } else { l.sku == sku })
    }
    pub fn parcel(&self, fid: Fid) -> Option<&Parcel> {
        self.parcels.iter().find(|p| p.fid == fid)
    }
    fn parcel_mut(&mut self, fid: Fid) -> &mut Parcel {
        let i = self.parcels.iter().position(|p| p.fid == fid).unwrap_or_else(|| {
            self.parcels.reserve_exact(1);
            self.parcels.push(Parcel { fid, ..Parcel::default() });
            self.parcels.len() - 1
        });
        &mut self.parcels[i]
    }
    pub fn ret(&self, id: Id) -> Option<&Return> {
        self.returns.iter().find(|r| r.id == id)
    }
    fn ret_mut(&mut self, id: Id) -> &mut Return {
        let i = self.returns.iter().position(|r| r.id == id).unwrap_or_else(|| {
            self.returns.reserve_exact(1);
            self.returns.push(Return { id, ..Return::default() });
            self.returns.len() - 1
        });
        &mut self.returns[i]
    }
    fn held_mut(&mut self, node: NodeId, sku: SkuId) -> &mut Held {
        let i = self.held.iter().position(|h| (h.node, h.sku) == (node, sku)).unwrap_or_else(|| {
            self.held.push(Held { node, sku, ..Held::default() });
            self.held.len() - 1
        });
        &mut self.held[i]
    }
    pub fn sum(&self, flow: Flow, fact: bool) -> i64 {
        self.money.iter().filter(|m| m.flow == flow && m.fact == fact).map(|m| m.amount).sum()
    }
    pub fn entries_of(&self, flow: Flow) -> Vec<u64> {
        self.money.iter().filter(|m| m.flow == flow && m.fact).map(|m| m.n).collect()
    }
    pub fn ended(&self, op: Op) -> bool {
        self.ends.iter().any(|(end, _)| *end == op)
    }
    /// Ended, as the target announced it or answers at rest.
    pub fn is_ended(&self) -> bool {
        let ended = |said: Said| matches!(said.code, Code::StateCompleted | Code::StateCancelled | Code::StateRejected);
        !self.ends.is_empty() || self.said.is_some_and(ended)
    }
    /// Ended, and no return or exchange is under way. Where the record never tells of a return's end, its inspection is one.
    pub fn is_over(&self, covers: &Coverage) -> bool {
        let told = covers.claims(RETURN_ENDS);
        self.is_ended() && !self.returns.iter().any(|ret| ret.is_open() && (told || !ret.inspected.is_set()))
    }
    /// Parked in an exception queue, as far as the target was asked, and said so in time.
    pub fn is_parked(&self) -> bool {
        let parked = self.said.map_or(self.ends.is_empty(), |said| said.code == Code::StateException);
        self.exception.is_set() && parked
    }
    /// A finding's last words: what the order came to, and what had been done to it.
    pub(super) fn where_it_stands(&self, fault_rules: &[String]) -> String {
        let last = self.last_claim.map_or("the target never said anything of it".into(), |(op, n)| format!("its last event is {op} (entry {n})"));
        let names = self.fault_rules.iter().filter_map(|rule| fault_rules.get((*rule as usize).wrapping_sub(1)));
        let faults: Vec<&str> = names.map(String::as_str).collect();
        if faults.is_empty() { format!("{last}; no fault acted on it") } else { format!("{last}; faults on it: {}", faults.join(", ")) }
    }
    /// When the harness first sent the message, or the answer to the call, of this id.
    pub fn sent_at(&self, id: Id) -> Option<Timestamp> {
        self.inbound.iter().rev().find(|(known, ..)| *known == id).map(|(_, at, ..)| *at)
    }
    /// What the message to the target of this id is about, and where it stands.
    pub fn inbound_op(&self, id: Id) -> Option<(Op, u64)> {
        self.inbound.iter().rev().find(|(known, ..)| *known == id).map(|(_, _, op, n)| (*op, *n))
    }
    /// An event or a call of the target's own, as heard, seen, or held up by a fault.
    pub fn is_own(&self, id: Id) -> bool {
        let said = |id: Id| self.calls.contains(&id) || self.heard.iter().any(|h| h.id == id);
        id.is_some() && (said(id) || (self.faulted_at(id).is_some() && self.sent_at(id).is_none()))
    }
    /// A call of the target that its partner has not answered.
    pub fn has_open_call(&self) -> bool {
        self.calls.iter().any(|call| self.sent_at(*call).is_none())
    }
    /// When a fault acted on the message of this id.
    pub fn faulted_at(&self, id: Id) -> Option<Timestamp> {
        self.faulted.iter().find(|(known, _)| *known == id).map(|(_, at)| *at)
    }
    /// How many events with a number were heard.
    pub fn numbered(&self) -> u64 {
        self.heard.iter().filter(|h| h.seq != 0).count() as u64
    }
    /// The first number that is missing among the events heard, with the entry that follows it.
    pub fn hole(&self) -> Option<(u32, u64)> {
        if self.top_number <= u64::BITS && self.numbers.count_ones() == self.top_number {
            return None;
        }
        let mut seqs: Vec<(u32, u64)> = self.heard.iter().filter(|h| h.seq != 0).map(|h| (h.seq, h.n)).collect();
        seqs.sort_unstable();
        let mut want = 1;
        for (seq, n) in seqs {
            if seq > want {
                return Some((want, n));
            }
            want = want.max(seq.saturating_add(1));
        }
        None
    }

    /// Units of a line given back in returns that count.
    pub fn returned(&self, line: &LineBook) -> i64 {
        let lines = self.returns.iter().filter(|r| !r.is_off()).flat_map(|r| r.units().iter());
        lines.filter(|q| self.line(q.line, q.sku).is_some_and(|of| of.line == line.line)).map(|q| i64::from(q.qty)).sum()
    }

    pub(super) fn observe(&mut self, e: &Entry) -> Arrival {
        let arrival = match e.kind {
            Kind::Event => self.hear(e),
            _ => Arrival::New,
        };
        if arrival != Arrival::New {
            return arrival;
        }
        if e.kind != Kind::State {
            self.last = Spot { n: e.n, at: e.at };
        }
        match e.kind {
            Kind::Sent => self.sent(e),
            Kind::Reply => self.reply(e),
            Kind::Answer => self.remember(e),
            Kind::Call => self.calls.push(e.msg.id),
            Kind::Event => self.claim(e),
            Kind::Fact => self.fact(e),
            Kind::Fault => self.fault(e),
            Kind::State if e.msg.op == Op::GetOrder => {
                self.said = Some(Said { code: e.msg.code, qty: i64::from(e.msg.qty), amount: e.msg.amount.0, n: e.n });
                if !matches!(e.msg.code, Code::UnknownOrder | Code::None) {
                    self.evidence_yes = true;
                }
            }
            _ => {}
        }
        arrival
    }

    fn hear(&mut self, e: &Entry) -> Arrival {
        let digest = digest(&e.msg);
        if e.msg.id.is_some()
            && e.msg.id <= self.heard_top
            && let Some(first) = self.heard.iter().rev().find(|h| h.id == e.msg.id)
        {
            return if first.digest == digest { Arrival::Again } else { Arrival::Changed { n: first.n } };
        }
        self.heard_top = self.heard_top.max(e.msg.id);
        self.top_number = self.top_number.max(e.msg.seq);
        if let Some(bit) = e.msg.seq.checked_sub(1).and_then(|bit| 1u64.checked_shl(bit)) {
            self.numbers |= bit;
        }
        if self.heard.is_empty() {
            // of most orders that are turned down nothing is ever heard
            self.heard.reserve(6);
        }
        self.heard.push(Heard { id: e.msg.id, seq: e.msg.seq, digest, n: e.n });
        Arrival::New
    }

    fn remember(&mut self, e: &Entry) {
        if e.msg.id.is_some() && (e.msg.id > self.inbound_top || self.sent_at(e.msg.id).is_none()) {
            self.inbound_top = self.inbound_top.max(e.msg.id);
            self.inbound.push((e.msg.id, e.at, e.msg.op, e.n));
        }
    }

    fn sent(&mut self, e: &Entry) {
        let m = &e.msg;
        self.remember(e);
        match m.op {
            Op::PlaceOrder => {
                if self.refusals >= self.attempts && !self.evidence_yes {
                    self.offered = e.at;
                }
                self.attempts += 1;
                self.placed.set_first(e);
                self.placed_last = e.n;
                if self.corr.is_none() {
                    self.corr = m.corr;
                }
                if let (None, Some(body)) = (&self.body, &m.body) {
                    self.body = Some(body.clone());
                    self.lines.reserve_exact(body.lines.len());
                    for l in &body.lines {
                        let (line, sku, qty, total) = (l.line, l.sku, i64::from(l.qty), l.total());
                        self.lines.push(LineBook { line, sku, qty, total, fulfil: l.fulfil, node: l.node, ..LineBook::default() });
                    }
                }
            }
            Op::CancelOrder => self.cancel_sent.set_first(e),
            Op::RequestReturn | Op::RequestExchange => {
                let ret = self.ret_mut(m.ret);
                if !ret.requested.is_set() {
                    ret.request = m.lines.clone();
                    ret.body = m.body.clone();
                    ret.exchange = m.op == Op::RequestExchange;
                    ret.keep = m.code == Code::Keep;
                    ret.advance = m.code == Code::Advance;
                }
                ret.requested.set_first(e);
            }
            _ => {}
        }
    }

    fn reply(&mut self, e: &Entry) {
        let yes = matches!(e.outcome, Outcome::Ok | Outcome::Replayed);
        let no = matches!(e.outcome, Outcome::Rejected | Outcome::Refused | Outcome::Backpressure);
        match e.msg.op {
            Op::PlaceOrder => {
                self.replied_yes |= yes;
                self.replied_later |= e.outcome == Outcome::Pending;
                self.replied_no |= e.outcome == Outcome::Rejected;
                self.refusals += u32::from(no);
            }
            Op::RequestReturn | Op::RequestExchange if e.msg.ret.is_some() => {
                let ret = self.ret_mut(e.msg.ret);
                ret.accepted |= yes;
                ret.refused |= e.outcome == Outcome::Rejected && e.msg.code != Code::KeyReuse;
            }
            _ => {}
        }
    }

    fn claim(&mut self, e: &Entry) {
        let m = &e.msg;
        self.evidence_yes = true;
        self.last_claim = Some((m.op, e.n));
        match m.op {
            Op::OrderAccepted => {
                if self.accepted.is_empty() {
                    self.accepted_at = e.msg.amount;
                }
                self.accepted.push(e.n);
            }
            Op::OrderCompleted | Op::OrderCancelled | Op::OrderRejected => self.ends.push((m.op, e.n)),
            Op::ExceptionRaised => self.exception = Spot { n: e.n, at: e.at },
            Op::InventoryReserved | Op::InventoryReleased => self.reservation(e),
            Op::LineBackordered => self.each_line(m, |line, _| line.backordered.set_first(e)),
            Op::LineCancelled => self.each_line(m, |line, qty| line.cancelled += qty),
            Op::PaymentAuthorized | Op::PaymentReauthorized => self.money_move(Flow::Authorized, false, e),
            Op::PaymentCaptured => self.money_move(Flow::Captured, false, e),
            Op::PaymentVoided => self.money_move(Flow::Voided, false, e),
            Op::PaymentRefunded => self.money_move(Flow::Refunded, false, e),
            Op::ExchangeCreated => self.exchange_created(e),
            Op::ReturnAuthorized => self.ret_mut(m.ret).authorized.set_first(e),
            Op::ReturnRejected => self.ret_mut(m.ret).rejected.set_first(e),
            Op::ReturnCancelled => self.ret_mut(m.ret).cancelled.set_first(e),
            Op::ReturnCompleted | Op::ExchangeCompleted => self.ret_mut(m.ret).completed.set_first(e),
            _ => {}
        }
        if m.fulfillment.is_some() {
            self.parcel_claim(e);
        }
    }

    fn reservation(&mut self, e: &Entry) {
        let released = e.msg.op == Op::InventoryReleased;
        self.each_line(&e.msg, |line, qty| *(if released { &mut line.released } else { &mut line.reserved }) += qty);
        for q in &e.msg.lines {
            let held = self.held_mut(e.msg.node, q.sku);
            *(if released { &mut held.released } else { &mut held.reserved }) += i64::from(q.qty);
            held.last_n = e.n;
        }
    }

    fn each_line(&mut self, m: &Message, mut change: impl FnMut(&mut LineBook, i64)) {
        for q in &m.lines {
            if let Some(line) = self.line_mut(q.line, q.sku) {
                change(line, i64::from(q.qty));
            }
        }
    }

    fn exchange_created(&mut self, e: &Entry) {
        let ret = self.ret_mut(e.msg.ret);
        ret.created.set_first(e);
        ret.exchange = true;
        let body = ret.body.clone();
        for (i, q) in e.msg.lines.iter().enumerate() {
            if self.lines.iter().any(|l| l.line == q.line) {
                continue;
            }
            // priced by the request: the line at the same place, or else the first of the same SKU
            let asked = body.as_ref().and_then(|b| b.lines.get(i).filter(|l| l.sku == q.sku).or_else(|| b.lines.iter().find(|l| l.sku == q.sku)));
            let (qty, total) = asked.map_or((i64::from(q.qty), Money::ZERO), |l| (i64::from(l.qty), l.total()));
            let (fulfil, node) = asked.map_or((Fulfil::Ship, NodeId::NONE), |l| (l.fulfil, l.node));
            self.lines.push(LineBook { line: q.line, sku: q.sku, qty, total, fulfil, node, exchange: e.msg.ret, ..LineBook::default() });
        }
    }

    fn parcel_claim(&mut self, e: &Entry) {
        let m = &e.msg;
        let parcel = self.parcel_mut(m.fulfillment);
        if m.ret.is_some() {
            parcel.ret = m.ret;
        }
        if m.node.is_some() {
            parcel.node = m.node;
        }
        let node = parcel.node;
        match m.op {
            Op::FulfillmentAllocated => parcel.allocated.set_first(e),
            Op::FulfillmentReleased => {
                parcel.released_claims.push(e.n);
                parcel.claimed_release.extend(m.lines.iter().copied());
                parcel.claimed_node = m.node;
            }
            Op::FulfillmentRejected | Op::FulfillmentCancelled | Op::FulfillmentExpired => parcel.ended.set_first(e),
            Op::ShipmentShipped | Op::FulfillmentPickedUp => {
                parcel.shipped_claims.push(e.n);
                parcel.claimed_lines.extend(m.lines.iter().copied());
                for q in &m.lines {
                    let held = self.held_mut(node, q.sku);
                    held.consumed += i64::from(q.qty);
                    held.last_n = e.n;
                }
            }
            _ => {}
        }
    }

    fn money_move(&mut self, flow: Flow, fact: bool, e: &Entry) {
        let m = &e.msg;
        self.money.push(MoneyMove { flow, fact, pay: m.pay, ret: m.ret, fulfillment: m.fulfillment, amount: m.amount.0, n: e.n });
    }

    fn fact(&mut self, e: &Entry) {
        let m = &e.msg;
        self.evidence_yes = true;
        match m.op {
            Op::PaymentAuthorize => {
                self.money_move(Flow::Authorized, true, e);
                self.auths.push(Auth { pay: m.pay, amount: m.amount.0, made: Spot { n: e.n, at: e.at }, ..Auth::default() });
            }
            Op::PaymentCapture | Op::PaymentVoid | Op::CbPaymentExpired => {
                if let Some(auth) = self.auths.iter_mut().find(|a| a.pay == m.pay) {
                    match m.op {
                        Op::PaymentCapture => auth.captured += m.amount.0,
                        Op::PaymentVoid => auth.voided += m.amount.0,
                        _ => auth.expired += m.amount.0,
                    }
                    if m.op != Op::PaymentCapture {
                        auth.closed.set_first(e);
                    }
                }
                match m.op {
                    Op::PaymentCapture => self.money_move(Flow::Captured, true, e),
                    Op::PaymentVoid => self.money_move(Flow::Voided, true, e),
                    _ => {}
                }
            }
            Op::PaymentRefund => {
                self.money_move(Flow::Refunded, true, e);
                if let Some(auth) = self.auths.iter_mut().find(|a| a.pay == m.pay) {
                    auth.refunded += m.amount.0;
                }
            }
            Op::NodeRelease => {
                let parcel = self.parcel_mut(m.fulfillment);
                parcel.releases.push(e.n);
                parcel.release_lines.extend(m.lines.iter().copied());
                parcel.release_node = m.node;
                if parcel.node.is_none() {
                    parcel.node = m.node;
                }
            }
            Op::NodeCancel => self.parcel_mut(m.fulfillment).cancels.push(e.n),
            Op::CbNodeShipped | Op::CbNodeCollected => {
                self.each_line(m, |line, qty| line.shipped += qty);
                let parcel = self.parcel_mut(m.fulfillment);
                if m.ret.is_some() {
                    parcel.ret = m.ret;
                }
                parcel.shipments.push(e.n);
                parcel.shipped_lines.extend(m.lines.iter().copied());
            }
            Op::CbNodeRejected | Op::CbNodeShortPicked => self.unhelpful.extend(m.lines.iter().map(|item| (m.node, item.sku, e.n))),
            Op::CbNodeReceived => self.ret_mut(m.ret).received.set_first(e),
            Op::CbNodeInspected => {
                let ret = self.ret_mut(m.ret);
                ret.inspected.set_first(e);
                ret.inspected_lines.extend(m.lines.iter().copied());
            }
            _ => {}
        }
    }

    fn fault(&mut self, e: &Entry) {
        self.first_fault.set_first(e);
        if !self.fault_rules.contains(&e.msg.seq) {
            self.fault_rules.push(e.msg.seq);
        }
        let hit = if e.msg.cause.is_some() { e.msg.cause } else { e.msg.key };
        if self.faulted_at(hit).is_none() {
            self.faulted.push((hit, e.at));
        }
    }
}

/// What an event says, without what its delivery adds.
fn digest(m: &Message) -> u32 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    (m.op, m.order, m.fulfillment, m.ret, m.pay, m.node, m.sku, m.line).hash(&mut hasher);
    (m.qty, m.amount, m.code, m.seq).hash(&mut hasher);
    for q in &m.lines {
        (q.line, q.sku, q.qty, q.seq).hash(&mut hasher);
    }
    let all = hasher.finish();
    (all ^ (all >> 32)) as u32
}
