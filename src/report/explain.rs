//! The story of an order: what really happened on one side, what the target said on the other, and the faults between.

use super::{BookRow, TimelineRow};
use crate::history::{Entry, Header, Kind};
use crate::model::{Class, Code, ForeignNames, Id, LineQty, Money, Op, OrderNo, Outcome, tell_probes};
use crate::sim::{Span, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::Write as _;

/// Turns entries into words; names come from the header, and from the reader where the history is not ours.
#[derive(Clone, Copy)]
pub struct Lens<'a> {
    header: &'a Header,
    names: Option<&'a ForeignNames>,
}

impl<'a> Lens<'a> {
    pub fn new(header: &'a Header) -> Lens<'a> {
        Lens { header, names: None }
    }

    pub fn with_names(self, names: &'a ForeignNames) -> Lens<'a> {
        Lens { names: Some(names), ..self }
    }

    pub fn order(&self, order: OrderNo) -> String {
        self.names.map_or_else(|| order.to_string(), |names| names.show_order(order))
    }

    /// `order O17`, or `probe order O4294967040`.
    pub fn title(&self, order: OrderNo) -> String {
        let probe = if order.is_probe() { "probe " } else { "" };
        format!("{probe}order {}", self.order(order))
    }

    /// A sentence of a checker in the words of the history.
    pub fn retell(&self, text: &str) -> String {
        let told = self.names.map_or_else(|| text.to_owned(), |names| names.retell(text));
        tell_probes(&told)
    }

    fn id(&self, id: Id) -> String {
        self.names.map_or_else(|| id.to_string(), |names| names.show_id(id))
    }

    fn sku(&self, sku: crate::model::SkuId) -> String {
        match self.header.fixture.sku_name(sku) {
            "" => format!("#{}", sku.0),
            name => name.into(),
        }
    }

    fn node(&self, node: crate::model::NodeId) -> String {
        match self.header.fixture.node_name(node) {
            "" => format!("#{}", node.0),
            name => name.into(),
        }
    }

    /// What fault rules did to an order, in the order of acting: on what, when, and what became of it. Where there were many, those
    /// nearest to what is marked.
    pub fn faults_of(&self, entries: &[Entry], order: OrderNo, marked: &[u64]) -> Vec<String> {
        const MOST: usize = 6;
        let mut acts: Vec<&Entry> = of_order(entries, order).filter(|entry| entry.kind == Kind::Fault).collect();
        let all = acts.len();
        acts.sort_by_key(|act| (marked.iter().map(|n| n.abs_diff(act.n)).min(), act.n));
        acts.truncate(MOST);
        acts.sort_by_key(|act| act.n);
        let one = |entry: &&Entry| {
            let did = self.did(entry).map_or(String::new(), |did| format!(": {did}"));
            format!("`{}` on {} at {} (entry {}){did}", self.rule(entry), entry.msg.op, entry.at, entry.n)
        };
        let mut told: Vec<String> = acts.iter().map(one).collect();
        if all > MOST {
            told.push(format!("{} more", all - MOST));
        }
        told
    }

    /// What the rule of a fault entry makes of a message.
    fn did(&self, entry: &Entry) -> Option<&str> {
        self.header.fault_does.get((entry.msg.seq as usize).wrapping_sub(1)).map(String::as_str)
    }

    /// What partners' books and shelves have for an order against what the target says; what is nothing on both sides is left out.
    pub fn books(&self, entries: &[Entry], order: OrderNo) -> Vec<BookRow> {
        const MONEY: [(&str, Op, &[Op]); 4] = [
            ("authorized", Op::PaymentAuthorize, &[Op::PaymentAuthorized, Op::PaymentReauthorized]),
            ("captured", Op::PaymentCapture, &[Op::PaymentCaptured]),
            ("voided", Op::PaymentVoid, &[Op::PaymentVoided]),
            ("refunded", Op::PaymentRefund, &[Op::PaymentRefunded]),
        ];
        const UNITS: [(&str, &[Op], &[Op]); 3] = [
            ("units released to nodes", &[Op::NodeRelease], &[Op::FulfillmentReleased]),
            ("units shipped", &[Op::CbNodeShipped, Op::CbNodeCollected], &[Op::ShipmentShipped, Op::FulfillmentPickedUp]),
            ("units returned", &[Op::CbNodeInspected], &[Op::ReturnInspected]),
        ];
        let mut heard: FxHashSet<Id> = FxHashSet::default();
        let facts: Vec<&Entry> = entries.iter().filter(|e| e.msg.order == order && e.kind == Kind::Fact).collect();
        let claims = entries.iter().filter(|e| e.msg.order == order && e.kind == Kind::Event && (e.msg.id.is_none() || heard.insert(e.msg.id)));
        let claims: Vec<&Entry> = claims.collect();
        let money = |of: &[&Entry], ops: &[Op]| -> i64 { of.iter().filter(|e| ops.contains(&e.msg.op)).map(|e| e.msg.amount.0).sum() };
        let units = |of: &[&Entry], ops: &[Op]| -> i64 {
            of.iter().filter(|e| ops.contains(&e.msg.op)).flat_map(|e| e.msg.lines.iter()).map(|q| i64::from(q.qty)).sum()
        };
        let row = |what: &str, facts: String, claims: String| BookRow { what: what.into(), facts, claims };
        let sums = MONEY.iter().map(|(what, fact, ops)| {
            let (facts, claims) = (Money(money(&facts, &[*fact])), Money(money(&claims, ops)));
            row(what, facts.to_string(), claims.to_string())
        });
        let counts = UNITS.iter().map(|(what, fact, ops)| row(what, units(&facts, fact).to_string(), units(&claims, ops).to_string()));
        sums.chain(counts).filter(|row| [&row.facts, &row.claims].into_iter().any(|sum| sum != "0" && sum != "0.00")).collect()
    }

    fn rule(&self, entry: &Entry) -> String {
        let index = (entry.msg.seq as usize).wrapping_sub(1);
        self.header.fault_rules.get(index).cloned().unwrap_or_else(|| format!("rule {}", entry.msg.seq))
    }

    /// The whole story of one order. Answers stand with what they answer; `marked` are the entries a finding names.
    pub fn timeline(&self, entries: &[Entry], order: OrderNo, marked: &[u64]) -> Vec<TimelineRow> {
        let story: Vec<&Entry> = of_order(entries, order).collect();
        self.rows(&story, marked)
    }

    /// The story cut to what a report has room for: all that is marked, all faults, and the nearest neighbours.
    pub fn excerpt(&self, entries: &[Entry], order: Option<OrderNo>, marked: &[u64], most: usize) -> Vec<TimelineRow> {
        let rows = match order {
            Some(order) => {
                // what proves a finding may stand with another order, or with none
                let own: FxHashSet<u64> = of_order(entries, order).map(|entry| entry.n).collect();
                let story: Vec<&Entry> = entries.iter().filter(|entry| own.contains(&entry.n) || marked.contains(&entry.n)).collect();
                let mut rows = self.rows(&story, marked);
                for row in rows.iter_mut().filter(|row| !own.contains(&row.n)) {
                    let other = story.iter().find(|entry| entry.n == row.n).map_or(OrderNo::NONE, |entry| entry.msg.order);
                    if other.is_some() {
                        let _ = write!(row.text, " ({})", self.retell(&other.to_string()));
                    }
                }
                rows
            }
            None => {
                let named: FxHashSet<u64> = marked.iter().copied().collect();
                let story: Vec<&Entry> = entries.iter().filter(|entry| named.contains(&entry.n)).collect();
                self.rows(&story, marked)
            }
        };
        shorten(rows, most)
    }

    /// Entries as rows, in their order.
    pub fn rows(&self, story: &[&Entry], marked: &[u64]) -> Vec<TimelineRow> {
        let marked: FxHashSet<u64> = marked.iter().copied().collect();
        let mut rows: Vec<TimelineRow> = Vec::with_capacity(story.len());
        // rows that wait for their answer, and events already heard
        let mut asked: FxHashMap<(bool, Id), (usize, Timestamp)> = FxHashMap::default();
        let mut heard: FxHashSet<Id> = FxHashSet::default();
        for entry in story {
            let id = entry.msg.id;
            let of_call = matches!(entry.kind, Kind::Call | Kind::Answer);
            if matches!(entry.kind, Kind::Reply | Kind::Answer)
                && let Some((row, since)) = asked.remove(&(of_call, id))
                && let Some(row) = rows.get_mut(row)
            {
                let _ = write!(row.text, " -> {}", self.answer(entry));
                let took = entry.at.since(since);
                if took > Span::ZERO {
                    let _ = write!(row.text, " after {took}");
                }
                row.marked |= marked.contains(&entry.n);
                continue;
            }
            if matches!(entry.kind, Kind::Sent | Kind::Call) && id.is_some() {
                asked.insert((of_call, id), (rows.len(), entry.at));
            }
            let again = entry.kind == Kind::Event && id.is_some() && !heard.insert(id);
            rows.push(self.row(entry, again, marked.contains(&entry.n)));
        }
        rows
    }

    fn row(&self, entry: &Entry, again: bool, marked: bool) -> TimelineRow {
        let side = match entry.kind {
            Kind::Sent | Kind::Reply => "sent",
            Kind::Call | Kind::Answer => "call",
            Kind::Event | Kind::State => "claim",
            Kind::Fact => "fact",
            Kind::Fault => "fault",
            Kind::Mark => "mark",
        };
        let mut text = match (entry.kind, entry.msg.op) {
            (Kind::Fault, Op::TargetCrashed) => format!("fault `{}`: the target is killed", self.rule(entry)),
            (Kind::Fault, Op::TargetRestarted) => format!("fault `{}`: the target starts again from what it had stored", self.rule(entry)),
            (Kind::Fault, Op::TargetPaused) => format!("fault `{}`: the target stands still", self.rule(entry)),
            (Kind::Fault, Op::TargetResumed) => format!("fault `{}`: the target goes on", self.rule(entry)),
            (Kind::Fault, op) if entry.outcome != Outcome::None => {
                format!("fault `{}`: {op} message {} came harmed -> {}", self.rule(entry), self.id(entry.msg.cause), self.answer(entry))
            }
            (Kind::Fault, op) => {
                let on = if entry.msg.cause.is_some() { entry.msg.cause } else { entry.msg.key };
                let message = if on.is_some() { format!(" message {}", self.id(on)) } else { String::new() };
                let op = if op.class() == Class::Mark { "" } else { op.name() };
                let did = self.did(entry).map_or(String::new(), |did| format!(": {did}"));
                format!("fault `{}` acted on {op}{message}{did}", self.rule(entry))
            }
            (_, Op::MarkCalm) => "calm: no fault acts any more".into(),
            (_, Op::MarkRest) => "rest: nothing is pending".into(),
            (_, Op::MarkReplay) => "replay: everything that was sent is sent once more".into(),
            (_, Op::MarkStopped) => "stopped: the record was cut short here".into(),
            (Kind::Reply | Kind::Answer, _) => format!("{} -> {}", self.words(entry), self.answer(entry)),
            _ => self.words(entry),
        };
        if again {
            text.push_str(" (delivered again)");
        }
        if entry.due < entry.at {
            let _ = write!(text, " (was due {})", entry.due);
        }
        TimelineRow { n: entry.n, at: entry.at.to_string(), side: side.into(), text, marked }
    }

    fn answer(&self, entry: &Entry) -> String {
        let word = match entry.outcome {
            Outcome::Refused if entry.msg.code == Code::Invalid => return "turned away unread, not done".into(),
            Outcome::None => "answered",
            Outcome::Ok => "ok",
            Outcome::Replayed => "ok, replayed",
            Outcome::Pending => "pending",
            Outcome::Rejected => "rejected",
            Outcome::Backpressure => "backpressure, not done",
            Outcome::Error => "error, may or may not be done",
            Outcome::Refused => "connection refused, not done",
            Outcome::TimedOut => "timed out, may or may not be done",
        };
        match entry.msg.code {
            Code::None => word.into(),
            code => format!("{word} ({code})"),
        }
    }

    /// `payment.capture 48.00 key a1`: operation, what it is about, identities.
    fn words(&self, entry: &Entry) -> String {
        let msg = &entry.msg;
        let mut text = msg.op.name().to_owned();
        if let Some(order) = &msg.body {
            let lines: Vec<String> = order.lines.iter().map(|line| format!("{} {}", line.qty, self.sku(line.sku))).collect();
            let _ = write!(text, " {} for {} by {}", lines.join(", "), order.total(), order.channel.name());
        }
        if msg.sku.is_some() {
            let signed = matches!(msg.op.class(), Class::Stock | Class::Feed) && msg.qty > 0;
            let _ = write!(text, " {}{} {}", if signed { "+" } else { "" }, msg.qty, self.sku(msg.sku));
        } else if msg.qty != 0 {
            // what was delivered in vain so often is no goods
            let _ = write!(text, " {} {}", msg.qty, if msg.op == Op::DeadLettered { "attempts" } else { "units" });
        }
        if !msg.lines.is_empty() {
            let _ = write!(text, " {}", self.lines(&msg.lines));
        }
        if msg.node.is_some() {
            let _ = write!(text, " at {}", self.node(msg.node));
        }
        if msg.amount.0 != 0 {
            let _ = write!(text, " {}", msg.amount);
        }
        if msg.code != Code::None && !matches!(entry.kind, Kind::Reply | Kind::Answer) {
            let _ = write!(text, " {}", msg.code);
        }
        if msg.fulfillment.is_some() {
            let name = self.names.map_or_else(|| msg.fulfillment.to_string(), |names| names.show_fid(msg.fulfillment));
            let _ = write!(text, " {name}");
        }
        for (word, id) in [("return", msg.ret), ("auth", msg.pay), ("key", msg.key)] {
            if id.is_some() {
                let _ = write!(text, " {word} {}", self.id(id));
            }
        }
        if msg.seq > 0 && matches!(entry.kind, Kind::Event) {
            let _ = write!(text, " #{}", msg.seq);
        }
        text
    }

    fn lines(&self, lines: &[LineQty]) -> String {
        const MOST: usize = 6;
        let one = |line: &LineQty| {
            let sku = if line.sku.is_some() { format!(" {}", self.sku(line.sku)) } else { String::new() };
            let no = if line.line.is_some() { format!(" (line {})", line.line.0) } else { String::new() };
            format!("{}{sku}{no}", line.qty)
        };
        let mut parts: Vec<String> = lines.iter().take(MOST).map(one).collect();
        if lines.len() > MOST {
            parts.push(format!("{} more", lines.len() - MOST));
        }
        parts.join(", ")
    }
}

/// Entries of an order, the faults that acted on its messages, and the marks.
fn of_order(entries: &[Entry], order: OrderNo) -> impl Iterator<Item = &Entry> {
    let own: FxHashSet<Id> =
        entries.iter().filter(|e| e.msg.order == order && e.msg.id.is_some() && e.kind != Kind::Fault).map(|e| e.msg.id).collect();
    entries.iter().filter(move |entry| {
        entry.msg.order == order
            || entry.kind == Kind::Mark
            || matches!(entry.msg.op, Op::TargetCrashed | Op::TargetRestarted | Op::TargetPaused | Op::TargetResumed)
            || (entry.kind == Kind::Fault && entry.msg.order.is_none() && (own.contains(&entry.msg.cause) || own.contains(&entry.msg.key)))
    })
}

/// Keeps what is marked, then faults and others that stand nearest to something marked; says what was left out.
fn shorten(rows: Vec<TimelineRow>, most: usize) -> Vec<TimelineRow> {
    if rows.len() <= most {
        return rows;
    }
    let places: Vec<usize> = rows.iter().enumerate().filter(|(_, row)| row.marked).map(|(i, _)| i).collect();
    // a fault tells more than another row at the same distance; but one far from what is marked explains nothing
    const FAULTS_COUNT_AS_NEARER: usize = 4;
    let distance = |i: usize| {
        let rows_between = places.iter().map(|place| place.abs_diff(i)).min().unwrap_or(i);
        if rows[i].side == "fault" { rows_between / FAULTS_COUNT_AS_NEARER } else { rows_between }
    };
    let mut ranked: Vec<usize> = (0..rows.len()).collect();
    ranked.sort_by_key(|&i| (!rows[i].marked, distance(i), i));
    let keep: FxHashSet<usize> = ranked.into_iter().take(most).collect();
    let mut out: Vec<TimelineRow> = Vec::with_capacity(most * 2);
    let mut skipped = 0;
    for (i, row) in rows.into_iter().enumerate() {
        if !keep.contains(&i) {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            out.push(left_out(&row, skipped));
            skipped = 0;
        }
        out.push(row);
    }
    if let (true, Some(last)) = (skipped > 0, out.last().cloned()) {
        out.push(left_out(&last, skipped));
    }
    out
}

fn left_out(near: &TimelineRow, count: usize) -> TimelineRow {
    TimelineRow { n: 0, at: near.at.clone(), side: "mark".into(), text: format!(".. {count} not shown"), marked: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LineNo, Message, NodeId, SkuId};
    use crate::scenario::standard_fixture;

    fn header() -> Header {
        Header { fixture: standard_fixture(), fault_rules: vec!["lose-capture-reply".into()], ..Header::default() }
    }

    fn entry(n: u64, kind: Kind, outcome: Outcome, msg: Message) -> Entry {
        let at = Timestamp(n * 250_000_000);
        Entry { n, at, due: at, kind, outcome, msg: msg.into() }
    }

    fn story() -> Vec<Entry> {
        let order = OrderNo(1);
        let call = Message { key: Id(0xa1), amount: Money(4800), ..Message::of_order(Op::PaymentCapture, Id(5), order) };
        let fact = Message { order, node: NodeId(1), sku: SkuId(1), qty: -2, ..Message::new(Op::StockShipped, Id::NONE) };
        let event = Message {
            seq: 3,
            lines: [LineQty { line: LineNo(1), sku: SkuId(1), qty: 2, seq: 0 }].into_iter().collect(),
            ..Message::of_order(Op::ShipmentShipped, Id(9), order)
        };
        vec![
            entry(1, Kind::Call, Outcome::None, call.clone()),
            entry(2, Kind::Fault, Outcome::None, Message { seq: 1, cause: Id(5), ..Message::new(Op::PaymentCapture, Id::NONE) }),
            entry(3, Kind::Answer, Outcome::Ok, call.clone()),
            entry(4, Kind::Fact, Outcome::None, fact),
            entry(5, Kind::Event, Outcome::None, event.clone()),
            entry(6, Kind::Event, Outcome::None, event),
            entry(7, Kind::Event, Outcome::None, Message::of_order(Op::OrderAccepted, Id(10), OrderNo(2))),
        ]
    }

    #[test]
    fn a_story_has_calls_with_answers_facts_claims_and_faults() {
        let header = header();
        let rows = Lens::new(&header).timeline(&story(), OrderNo(1), &[4]);
        let texts: Vec<(&str, &str, bool)> = rows.iter().map(|row| (row.side.as_str(), row.text.as_str(), row.marked)).collect();
        assert_eq!(
            texts,
            [
                ("call", "payment.capture 48.00 key a1 -> ok after 500ms", false),
                ("fault", "fault `lose-capture-reply` acted on payment.capture message 5", false),
                ("fact", "stock.shipped -2 A at DC1", true),
                ("claim", "shipment.shipped 2 A (line 1) #3", false),
                ("claim", "shipment.shipped 2 A (line 1) #3 (delivered again)", false),
            ]
        );
    }

    #[test]
    fn a_probe_order_is_called_one() {
        let header = header();
        let lens = Lens::new(&header);
        assert_eq!((lens.title(OrderNo(17)), lens.title(OrderNo::FIRST_PROBE)), ("order O17".into(), "probe order O4294967040".into()));
        assert_eq!(lens.retell("48.00 refunded to O4294967041"), "48.00 refunded to probe order O4294967041");
        let rows = lens.excerpt(&story(), Some(OrderNo::FIRST_PROBE), &[7], 9);
        assert!(rows.iter().any(|row| row.text.ends_with(" (O2)")), "{rows:?}");
    }

    #[test]
    fn faults_say_what_they_did_and_when() {
        let header = Header { fault_does: vec!["done, answer lost".into()], ..header() };
        let lens = Lens::new(&header);
        assert_eq!(
            lens.faults_of(&story(), OrderNo(1), &[4]),
            ["`lose-capture-reply` on payment.capture at 00:00:00.500 (entry 2): done, answer lost"]
        );
        assert!(lens.timeline(&story(), OrderNo(1), &[])[1].text.ends_with("message 5: done, answer lost"));
    }

    #[test]
    fn books_stand_against_claims_and_a_redelivered_claim_counts_once() {
        let header = header();
        let mut entries = story();
        let fact = Message { amount: Money(4800), ..Message::of_order(Op::PaymentCapture, Id(70), OrderNo(1)) };
        entries.push(entry(8, Kind::Fact, Outcome::None, fact));
        let books = Lens::new(&header).books(&entries, OrderNo(1));
        let row = |what: &str| books.iter().find(|row| row.what == what).map(|row| (row.facts.as_str(), row.claims.as_str()));
        assert_eq!(row("captured"), Some(("48.00", "0.00")));
        assert_eq!(row("units shipped"), Some(("0", "2")));
    }

    #[test]
    fn a_long_story_keeps_what_is_marked_and_says_what_it_left_out() {
        let header = header();
        let rows = Lens::new(&header).excerpt(&story(), Some(OrderNo(1)), &[6], 3);
        assert!(
            rows.iter().any(|row| row.marked) && rows.iter().any(|row| row.side == "fault") && rows.iter().any(|row| row.text.contains("not shown"))
        );
    }
}
