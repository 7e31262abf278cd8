//! Expectations: the sentences of `[expect]`, read into chains, prohibitions, deadlines, counts and sums.
//!
//! The semantics follow DECLARE (Pesic and van der Aalst 2006), scoped per object as in object-centric process mining:
//! `a > b` says that b needs a's least number before it, and that a bounded a may not come after b.

use super::decode::{did_you_mean, join, nearest};
use super::{AmountFile, CountFile, ExpectFile, LedgerFile};
use crate::model::{Class, Fixture, LineNo, Op};
use crate::sim::Span;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// What must be true of every order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Expect {
    pub flow: Vec<Chain>,
    pub never: Vec<Never>,
    pub within: Vec<Deadline>,
    /// effects (facts) of a partner call in the books: `payment.capture` with how many
    pub calls: Vec<(Op, Count)>,
    pub ledger: Ledger,
    /// alternatives, each chosen by its event; exactly one must come true. An outcome's own `outcomes` are empty.
    pub outcomes: Vec<(Op, Expect)>,
}

/// Whose events a chain counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    #[default]
    Order,
    /// `each shipment:` and `each fulfillment:`, told apart by the fulfillment id
    EachFulfillment,
    /// `each return:` and `each exchange:`, told apart by the return id
    EachReturn,
}

/// `a > b > (c & d)`; `text` is the sentence as written, for findings.
#[derive(Clone, PartialEq, Debug)]
pub struct Chain {
    pub scope: Scope,
    /// `all shipment.a > b`: every fulfillment that was ever allocated and not cancelled must have done a before b;
    /// with `return` or `exchange`, every one that was taken on and not called off.
    /// The scope is that of `a`; what follows is of the order.
    pub all: bool,
    pub parts: Vec<StepTree>,
    pub text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StepTree {
    One(Step),
    /// `(a & b)`: all, in any order
    And(Vec<StepTree>),
    /// `(a | b)`: exactly one
    Or(Vec<StepTree>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub op: Op,
    pub count: Count,
}

/// How often; `max` none is unbounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    pub min: u32,
    pub max: Option<u32>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Never {
    pub op: Op,
    pub relation: Relation,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    AtAll,
    After(Op),
    Before(Op),
}

/// From each `from` the next `to` comes within `limit`, in the same scope.
#[derive(Clone, PartialEq, Debug)]
pub struct Deadline {
    pub scope: Scope,
    pub from: Op,
    pub to: Vec<Op>,
    pub limit: Span,
    pub text: String,
}

/// Books at rest for one order. Amounts are sums of terms.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ledger {
    pub captured: Option<Amount>,
    pub refunded: Option<Amount>,
    pub authorized_open: Option<Amount>,
    /// ("SKU@NODE" by id) physical movement per order
    pub stock: Vec<(crate::model::NodeId, crate::model::SkuId, i64)>,
}

/// A sum: (sign, term).
#[derive(Clone, PartialEq, Debug)]
pub struct Amount {
    pub terms: Vec<(i64, Term)>,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    Cents(i64),
    OrderTotal,
    OrderGoods,
    OrderShipping,
    Line(LineNo),
    /// the first unit of a line under cumulative rounding
    Unit(LineNo),
}

/// One thing wrong in an expectation. `path` leads from `[expect]`, such as `flow[2]`; `part` is bytes of the text there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectProblem {
    pub path: String,
    pub part: Range<usize>,
    /// the text is the key of `path`, not its value
    pub in_key: bool,
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for ExpectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expect.{}: {}", self.path, self.message)?;
        self.help.iter().try_for_each(|help| write!(f, " ({help})"))
    }
}

impl Expect {
    /// Reads the sentences; names of nodes and SKUs are those of `fixture`. All problems at once.
    pub fn parse(file: &ExpectFile, fixture: &Fixture) -> Result<Expect, Vec<ExpectProblem>> {
        let (expect, problems) = Expect::read(file, fixture);
        if problems.is_empty() { Ok(expect) } else { Err(problems) }
    }

    /// What can be read, so that the rest can be checked further, and what cannot.
    pub(super) fn read(file: &ExpectFile, fixture: &Fixture) -> (Expect, Vec<ExpectProblem>) {
        let mut reader = Reader { fixture, problems: Vec::new() };
        let body = Body { flow: &file.flow, never: &file.never, within: &file.within, calls: &file.calls, ledger: &file.ledger };
        let mut expect = reader.body(&body, "");
        for (name, outcome) in &file.outcome {
            let path = join("outcome", name);
            let body = Body { flow: &outcome.flow, never: &outcome.never, within: &outcome.within, calls: &outcome.calls, ledger: &outcome.ledger };
            let inner = reader.body(&body, &path);
            match event(name) {
                Ok(op) => expect.outcomes.push((op, inner)),
                Err((message, help)) => reader.problems.push(ExpectProblem { path, part: 0..name.len(), in_key: true, message, help }),
            }
        }
        (expect, reader.problems)
    }

    /// Events that every order is certain to see, whichever way it ends.
    pub fn certain_events(&self) -> Vec<Op> {
        let mut certain = events_of(&self.flow);
        let mut endings = self.outcomes.iter().map(|(op, outcome)| {
            let mut events = events_of(&outcome.flow);
            events.push(*op);
            events
        });
        if let Some(first) = endings.next() {
            let common = endings.fold(first, |common, next| common.into_iter().filter(|op| next.contains(op)).collect());
            certain.extend(common);
        }
        certain.sort();
        certain.dedup();
        certain
    }

    /// Effects that every order is certain to have in the partners' books.
    pub fn certain_effects(&self) -> Vec<Op> {
        let of = |expect: &Expect| -> Vec<Op> { expect.calls.iter().filter(|(_, count)| count.min > 0).map(|(op, _)| *op).collect() };
        let mut certain = of(self);
        let mut endings = self.outcomes.iter().map(|(_, outcome)| of(outcome));
        if let Some(first) = endings.next() {
            certain.extend(endings.fold(first, |common, next| common.into_iter().filter(|op| next.contains(op)).collect()));
        }
        certain.sort();
        certain.dedup();
        certain
    }
}

/// Events with a least number in chains of the order, and in chains of an object of which there is certain to be one.
fn events_of(flow: &[Chain]) -> Vec<Op> {
    fn collect(tree: &StepTree, into: &mut Vec<Op>) {
        match tree {
            StepTree::One(step) if step.count.min > 0 => into.push(step.op),
            StepTree::And(all) => all.iter().for_each(|one| collect(one, into)),
            StepTree::One(_) | StepTree::Or(_) => {}
        }
    }
    let mut certain = Vec::new();
    for scope in [Scope::Order, Scope::EachFulfillment, Scope::EachReturn] {
        let exists = match scope {
            Scope::Order => true,
            Scope::EachFulfillment => certain.iter().any(|op: &Op| op.name().starts_with("fulfillment.") || op.name().starts_with("shipment.")),
            Scope::EachReturn => certain.iter().any(|op: &Op| op.name().starts_with("return.") || op.name().starts_with("exchange.")),
        };
        // in `all shipment.a > b`, only b is of the order
        for chain in flow.iter().filter(|chain| exists && chain.scope == scope && !chain.all) {
            chain.parts.iter().for_each(|part| collect(part, &mut certain));
        }
    }
    certain
}

impl StepTree {
    /// Every step named in it.
    pub fn steps(&self) -> Vec<Step> {
        match self {
            StepTree::One(step) => vec![*step],
            StepTree::And(all) | StepTree::Or(all) => all.iter().flat_map(StepTree::steps).collect(),
        }
    }
}

impl Count {
    pub const ONCE: Count = Count { min: 1, max: Some(1) };

    pub fn allows(self, n: u32) -> bool {
        n >= self.min && self.max.is_none_or(|max| n <= max)
    }

    /// `2`, `0..2`, `1..`
    fn parse(text: &str) -> Option<Count> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let count = match text.split_once("..") {
            None => {
                let n = number(text)?;
                Count { min: n, max: Some(n) }
            }
            Some((low, high)) if high.trim().is_empty() => Count { min: number(low)?, max: None },
            Some((low, high)) => Count { min: number(low)?, max: Some(number(high)?) },
        };
        count.max.is_none_or(|max| max >= count.min).then_some(count)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) if max == self.min => write!(f, "{max}"),
            Some(max) => write!(f, "{}..{max}", self.min),
            None => write!(f, "{}..", self.min),
        }
    }
}

/// What the base part and each outcome have in common.
struct Body<'f> {
    flow: &'f [String],
    never: &'f [String],
    within: &'f BTreeMap<String, String>,
    calls: &'f BTreeMap<String, BTreeMap<String, CountFile>>,
    ledger: &'f LedgerFile,
}

struct Reader<'f> {
    fixture: &'f Fixture,
    problems: Vec<ExpectProblem>,
}

/// What is wrong, where in the text, and what to do.
type Wrong = (Range<usize>, String, Option<String>);

impl Reader<'_> {
    fn wrong(&mut self, path: String, in_key: bool, (part, message, help): Wrong) {
        self.problems.push(ExpectProblem { path, part, in_key, message, help });
    }

    fn body(&mut self, body: &Body<'_>, path: &str) -> Expect {
        let mut expect = Expect::default();
        for (i, text) in body.flow.iter().enumerate() {
            match chain(text) {
                Ok(chain) => expect.flow.push(chain),
                Err(wrong) => self.wrong(format!("{}[{i}]", join_path(path, "flow")), false, wrong),
            }
        }
        for (i, text) in body.never.iter().enumerate() {
            match never(text) {
                Ok(never) => expect.never.push(never),
                Err(wrong) => self.wrong(format!("{}[{i}]", join_path(path, "never")), false, wrong),
            }
        }
        for (text, limit) in body.within {
            let place = join(&join_path(path, "within"), text);
            let limit = Span::parse(limit).map_err(|message| (0..limit.len(), message, None));
            let sentence = deadline(text);
            match (sentence, limit) {
                (Ok((scope, from, to)), Ok(limit)) => expect.within.push(Deadline { scope, from, to, limit, text: text.clone() }),
                (sentence, limit) => {
                    sentence.err().into_iter().for_each(|wrong| self.wrong(place.clone(), true, wrong));
                    limit.err().into_iter().for_each(|wrong| self.wrong(place.clone(), false, wrong));
                }
            }
        }
        self.calls(body.calls, &join_path(path, "calls"), &mut expect);
        expect.ledger = self.ledger(body.ledger, &join_path(path, "ledger"));
        self.counts_agree(&expect.flow, &join_path(path, "flow"));
        expect
    }

    fn calls(&mut self, calls: &BTreeMap<String, BTreeMap<String, CountFile>>, path: &str, expect: &mut Expect) {
        for (partner, ops) in calls {
            for (name, count) in ops {
                let place = join(&join(path, partner), name);
                let full = format!("{partner}.{name}");
                match Op::parse(&full).filter(|op| is_effect(*op)) {
                    None => {
                        let known: Vec<&str> = Op::ALL.iter().filter(|op| is_effect(**op)).map(|op| op.name()).collect();
                        let help = did_you_mean(&full, known.iter().copied(), format!("effects: {}", known.join(", ")));
                        self.wrong(place.clone(), true, (0..name.len(), format!("`{full}` is not an effect in a partner's books"), Some(help)));
                    }
                    Some(op) => match count {
                        CountFile::Exactly(n) => expect.calls.push((op, Count { min: *n, max: Some(*n) })),
                        CountFile::Range(text) => match Count::parse(text) {
                            Some(count) => expect.calls.push((op, count)),
                            None => self.wrong(place, false, (0..text.len(), not_a_count(text), None)),
                        },
                    },
                }
            }
        }
    }

    fn ledger(&mut self, file: &LedgerFile, path: &str) -> Ledger {
        let mut read = |amount: &Option<AmountFile>, key: &str| match amount {
            None => None,
            Some(AmountFile::Cents(cents)) => Some(Amount { terms: vec![(1, Term::Cents(*cents))], text: cents.to_string() }),
            Some(AmountFile::Sum(text)) => amount_sum(text).map_err(|wrong| self.wrong(join(path, key), false, wrong)).ok(),
        };
        let captured = read(&file.captured, "captured");
        let refunded = read(&file.refunded, "refunded");
        let authorized_open = read(&file.authorized_open, "authorized_open");
        let mut stock = Vec::new();
        for (key, movement) in &file.stock {
            match stock_key(key, self.fixture) {
                Ok((node, sku)) => stock.push((node, sku, *movement)),
                Err(wrong) => self.wrong(join(&join(path, "stock"), key), true, wrong),
            }
        }
        Ledger { captured, refunded, authorized_open, stock }
    }

    /// Chains of one scope are one partial order: an event that stands in several of them must stand there with the same count.
    fn counts_agree(&mut self, flow: &[Chain], path: &str) {
        let mut first: BTreeMap<(u8, Op), (Count, usize)> = BTreeMap::new();
        for (i, chain) in flow.iter().enumerate() {
            for (part, tree) in chain.parts.iter().enumerate() {
                let scope = if chain.all && part > 0 { Scope::Order } else { chain.scope };
                for step in tree.steps() {
                    let (count, earlier) = *first.entry((scope as u8, step.op)).or_insert((step.count, i));
                    if count != step.count {
                        let at = chain.text.find(step.op.name()).unwrap_or(0);
                        let message = format!("`{}` is counted {} here but {count} in flow[{earlier}]", step.op, step.count);
                        let help = "write the same count wherever the event stands; without one it is exactly 1".to_string();
                        self.wrong(format!("{path}[{i}]"), false, (at..at + step.op.name().len(), message, Some(help)));
                    }
                }
            }
        }
    }
}

fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

fn not_a_count(text: &str) -> String {
    format!("`{text}` is not a count: write a number, or a range such as `0..2` or `1..`")
}

/// What partners keep books of: the effects of calls, and what was done to goods.
fn is_effect(op: Op) -> bool {
    const OF_GOODS: [Op; 6] =
        [Op::CbNodeShipped, Op::CbNodeCollected, Op::CbNodeReceived, Op::CbNodeInspected, Op::CbNodeRejected, Op::CbCarrierDelivered];
    // screening and address checks change nothing in anyone's books
    op.class() == Class::Call && !matches!(op, Op::FraudScreen | Op::AddressValidate) || OF_GOODS.contains(&op)
}

/// The node and SKU of `SKU@NODE`.
pub(super) fn stock_key(key: &str, fixture: &Fixture) -> Result<(crate::model::NodeId, crate::model::SkuId), Wrong> {
    let Some((sku, node)) = key.split_once('@') else {
        return Err((0..key.len(), format!("`{key}` does not name stock"), Some("write `SKU@NODE`, such as `A@DC1`".into())));
    };
    let sku_id = fixture.sku_named(sku).ok_or_else(|| unknown_sku(sku, fixture)).map_err(|(message, help)| (0..sku.len(), message, Some(help)))?;
    let node_id = fixture
        .node_named(node)
        .ok_or_else(|| unknown_node(node, fixture))
        .map_err(|(message, help)| (sku.len() + 1..key.len(), message, Some(help)))?;
    Ok((node_id, sku_id))
}

pub(super) fn unknown_sku(sku: &str, fixture: &Fixture) -> (String, String) {
    let known: Vec<&str> = fixture.products.iter().map(|p| p.name.as_str()).collect();
    (format!("unknown SKU `{sku}`"), did_you_mean(sku, known.iter().copied(), format!("SKUs: {}", known.join(", "))))
}

pub(super) fn unknown_node(node: &str, fixture: &Fixture) -> (String, String) {
    let known: Vec<&str> = fixture.nodes.iter().map(|n| n.name.as_str()).collect();
    (format!("unknown node `{node}`"), did_you_mean(node, known.iter().copied(), format!("nodes: {}", known.join(", "))))
}

/// The event of that name, or what is wrong with it.
pub(super) fn event(name: &str) -> Result<Op, (String, Option<String>)> {
    match Op::parse(name) {
        Some(op) if op.class() == Class::Event && op != Op::InventoryAdjusted => Ok(op),
        Some(Op::InventoryAdjusted) => Err((format!("`{name}` belongs to no order, so nothing can be expected of it here"), None)),
        Some(_) => {
            let near = near_event(name).map(|near| format!("did you mean the event `{near}`? effects in partners' books are counted under `calls`"));
            Err((format!("`{name}` is not an event of an order"), near))
        }
        None => Err((format!("unknown event `{name}`"), near_event(name).map(|near| format!("did you mean `{near}`?")))),
    }
}

fn near_event(name: &str) -> Option<&'static str> {
    nearest(name, Op::ALL.iter().filter(|op| op.class() == Class::Event && **op != Op::InventoryAdjusted).map(|op| op.name()))
}

fn event_at(name: &str, at: usize) -> Result<Op, Wrong> {
    event(name).map_err(|(message, help)| (at..at + name.len(), message, help))
}

/// A word or a sign, with its place in the sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Token<'t> {
    text: &'t str,
    at: usize,
}

impl Token<'_> {
    fn place(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, Wrong> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        let len = match first {
            c if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '>' | '(' | ')' | '&' | '|' | '?' | '*' | '+' | ':' => 1,
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => return Err((at..at + c.len_utf8(), format!("`{c}` has no meaning here"), Some("a chain is `a > b > (c & d)`".into()))),
        };
        tokens.push(Token { text: &rest[..len], at });
        rest = &rest[len..];
    }
    Ok(tokens)
}

struct Sentence<'t> {
    tokens: Vec<Token<'t>>,
    next: usize,
    end: usize,
    /// `all shipment.`: the object that the first name belongs to
    object: Option<&'t str>,
}

impl<'t> Sentence<'t> {
    fn of(text: &'t str) -> Result<Sentence<'t>, Wrong> {
        Ok(Sentence { tokens: tokens(text)?, next: 0, end: text.len(), object: None })
    }

    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.next).map(|token| token.text)
    }

    fn take(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.next).copied();
        self.next += 1;
        token
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.peek() == Some(sign);
        self.next += usize::from(found);
        found
    }

    /// Complains about the next token, or about the end of the sentence.
    fn wrong<T>(&self, wanted: &str) -> Result<T, Wrong> {
        match self.tokens.get(self.next) {
            Some(token) => Err((token.place(), format!("expected {wanted}, found `{}`", token.text), None)),
            None => Err((self.end.saturating_sub(1)..self.end, format!("expected {wanted}, but the sentence ends here"), None)),
        }
    }

    fn name(&mut self) -> Result<Token<'t>, Wrong> {
        match self.peek() {
            Some(word) if word.starts_with(|c: char| c.is_alphanumeric()) => self.take().map_or_else(|| self.wrong("the name of an event"), Ok),
            _ => self.wrong("the name of an event"),
        }
    }

    /// `each shipment:` or `all shipment.`, or nothing for the order.
    fn scope(&mut self) -> Result<(Scope, bool), Wrong> {
        match self.peek() {
            Some("each") => {
                self.next += 1;
                let Some(object) = self.take() else { return self.wrong("what each one is") };
                let scope = scope_of(object.text, object.place())?;
                if !self.eat(":") {
                    return self.wrong("`:` after the object");
                }
                Ok((scope, false))
            }
            Some("all") => {
                self.next += 1;
                let Some(first) = self.tokens.get(self.next) else { return self.wrong("`shipment.` and a name") };
                let object = first.text.split('.').next().unwrap_or("");
                let scope = scope_of(object, first.at..first.at + object.len())?;
                self.object = Some(object);
                Ok((scope, true))
            }
            _ => Ok((Scope::Order, false)),
        }
    }

    /// Alternatives and sets need parentheses, so that `a > b | c` cannot be read in two ways.
    fn part(&mut self, depth: u32) -> Result<StepTree, Wrong> {
        if depth > 8 {
            return self.wrong("fewer parentheses");
        }
        if !self.eat("(") {
            return self.step().map(StepTree::One);
        }
        let mut items = vec![self.part(depth + 1)?];
        let sign = self.peek().unwrap_or("");
        if matches!(sign, "&" | "|") {
            while self.eat(sign) {
                items.push(self.part(depth + 1)?);
            }
        }
        if !self.eat(")") {
            return match (sign, self.peek()) {
                ("&", Some("|")) | ("|", Some("&")) => self.wrong("`)`: `&` and `|` do not mix without parentheses"),
                ("&" | "|", _) => self.wrong(&format!("`{sign}` or `)`")),
                _ => self.wrong("`&`, `|` or `)`"),
            };
        }
        Ok(match (sign, items.len()) {
            (_, 1) => items.remove(0),
            ("&", _) => StepTree::And(items),
            _ => StepTree::Or(items),
        })
    }

    fn step(&mut self) -> Result<Step, Wrong> {
        let name = self.name()?;
        let op = match self.object.take() {
            // `shipment.delivered` is an event by itself; in `shipment.payment.captured` the first word only says whose
            Some(object) => match Op::parse(name.text).or_else(|| Op::parse(name.text.strip_prefix(object)?.strip_prefix('.')?)) {
                Some(op) if op.class() == Class::Event => op,
                _ => event_at(name.text, name.at)?,
            },
            None => event_at(name.text, name.at)?,
        };
        Ok(Step { op, count: self.count()? })
    }

    fn count(&mut self) -> Result<Count, Wrong> {
        let Some(token) = self.tokens.get(self.next).copied() else { return Ok(Count::ONCE) };
        let count = match token.text {
            "?" => Count { min: 0, max: Some(1) },
            "*" => Count { min: 0, max: None },
            "+" => Count { min: 1, max: None },
            word if word.starts_with('x') && word[1..].starts_with(|c: char| c.is_ascii_digit()) => match Count::parse(&word[1..]) {
                Some(Count { max: Some(0), .. }) => {
                    return Err((token.place(), "`x0` says nothing here".into(), Some("list the event under `never`".into())));
                }
                Some(count) => count,
                None => return Err((token.place(), format!("`{word}` is not a count"), Some("write `x2`, `x1..3` or `x1..`".into()))),
            },
            _ => return Ok(Count::ONCE),
        };
        self.next += 1;
        Ok(count)
    }
}

fn scope_of(object: &str, place: Range<usize>) -> Result<Scope, Wrong> {
    match object {
        "shipment" | "fulfillment" => Ok(Scope::EachFulfillment),
        "return" | "exchange" => Ok(Scope::EachReturn),
        _ => {
            let known = ["shipment", "fulfillment", "return", "exchange"];
            Err((
                place,
                format!("`{object}` is not an object with steps of its own"),
                Some(did_you_mean(object, known, format!("objects: {}", known.join(", ")))),
            ))
        }
    }
}

fn chain(text: &str) -> Result<Chain, Wrong> {
    let mut sentence = Sentence::of(text)?;
    let (scope, all) = sentence.scope()?;
    let mut parts = vec![sentence.part(0)?];
    while sentence.eat(">") {
        parts.push(sentence.part(0)?);
    }
    if sentence.next < sentence.tokens.len() {
        return match sentence.peek() {
            Some("&" | "|") => sentence.wrong("`>` or the end: put alternatives and sets in parentheses"),
            _ => sentence.wrong("`>` or the end"),
        };
    }
    if all && parts.len() < 2 {
        return sentence.wrong("`> name`: what all of them come before");
    }
    for (i, part) in parts.iter().enumerate() {
        let later: Vec<Op> = parts[i + 1..].iter().flat_map(StepTree::steps).map(|step| step.op).collect();
        if let Some(step) = part.steps().into_iter().find(|step| later.contains(&step.op)) {
            let at = text.rfind(step.op.name()).unwrap_or(0);
            return Err((at..at + step.op.name().len(), format!("`{}` cannot come before itself", step.op), None));
        }
    }
    Ok(Chain { scope, all, parts, text: text.to_string() })
}

fn never(text: &str) -> Result<Never, Wrong> {
    let mut sentence = Sentence::of(text)?;
    let name = sentence.name()?;
    let op = event_at(name.text, name.at)?;
    let relation = match sentence.peek() {
        None => Relation::AtAll,
        Some(word @ ("after" | "before")) => {
            sentence.next += 1;
            let other = sentence.name()?;
            let other = event_at(other.text, other.at)?;
            if word == "after" { Relation::After(other) } else { Relation::Before(other) }
        }
        Some(_) => return sentence.wrong("`after`, `before` or the end"),
    };
    if sentence.next < sentence.tokens.len() {
        return sentence.wrong("the end");
    }
    Ok(Never { op, relation, text: text.to_string() })
}

fn deadline(text: &str) -> Result<(Scope, Op, Vec<Op>), Wrong> {
    let mut sentence = Sentence::of(text)?;
    let (scope, all) = sentence.scope()?;
    if all {
        return Err((0..3, "a deadline is for each, not for all".into(), Some("write `each shipment: a > b`".into())));
    }
    let from = sentence.name()?;
    let from = event_at(from.text, from.at)?;
    if !sentence.eat(">") {
        return sentence.wrong("`>`");
    }
    let mut to = Vec::new();
    if sentence.eat("(") {
        loop {
            let name = sentence.name()?;
            to.push(event_at(name.text, name.at)?);
            if sentence.eat(")") {
                break;
            }
            if !sentence.eat("|") {
                return sentence.wrong("`|` or `)`");
            }
        }
    } else {
        let name = sentence.name()?;
        to.push(event_at(name.text, name.at)?);
    }
    if sentence.next < sentence.tokens.len() {
        return sentence.wrong("the end: a deadline is `a > b` or `a > (b | c)`");
    }
    Ok((scope, from, to))
}

/// `order.total + 5500 - line.1`
fn amount_sum(text: &str) -> Result<Amount, Wrong> {
    let mut terms = Vec::new();
    let mut sign = 1;
    let mut wants_term = true;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let len = match first {
            c if c.is_whitespace() => c.len_utf8(),
            '+' | '-' if !wants_term || terms.is_empty() && first == '-' && sign == 1 => {
                sign = if first == '-' { -1 } else { 1 };
                wants_term = true;
                1
            }
            _ => {
                let len = rest.find(|c: char| c.is_whitespace() || matches!(c, '+' | '-')).unwrap_or(rest.len()).max(first.len_utf8());
                let word = &rest[..len];
                if !wants_term {
                    return Err((at..at + len, format!("expected `+` or `-`, found `{word}`"), None));
                }
                terms.push((sign, term(word).map_err(|(message, help)| (at..at + len, message, help))?));
                wants_term = false;
                len
            }
        };
        rest = &rest[len..];
    }
    if wants_term {
        return Err((0..text.len(), "the sum is not complete".into(), Some("write such as `order.total - unit.1`".into())));
    }
    Ok(Amount { terms, text: text.to_string() })
}

fn term(word: &str) -> Result<Term, (String, Option<String>)> {
    let line = |number: &str| match number.parse::<u16>() {
        Ok(n) if n > 0 => Ok(LineNo(n)),
        _ => Err((format!("`{word}` does not name a line"), Some("lines are numbered from 1, such as `line.1`".to_string()))),
    };
    match word {
        "order.total" => Ok(Term::OrderTotal),
        "order.goods" => Ok(Term::OrderGoods),
        "order.shipping" => Ok(Term::OrderShipping),
        _ => match (word.strip_prefix("line."), word.strip_prefix("unit."), word.parse::<i64>()) {
            (Some(number), _, _) => line(number).map(Term::Line),
            (_, Some(number), _) => line(number).map(Term::Unit),
            (_, _, Ok(cents)) => Ok(Term::Cents(cents)),
            _ => {
                let known = ["order.total", "order.goods", "order.shipping", "line.1", "unit.1"];
                Err((
                    format!("`{word}` is not an amount"),
                    Some(did_you_mean(word, known, "terms: order.total, order.goods, order.shipping, line.N, unit.N, whole cents".into())),
                ))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::standard_fixture;

    fn one(op: Op, min: u32, max: Option<u32>) -> StepTree {
        StepTree::One(Step { op, count: Count { min, max } })
    }

    #[test]
    fn chains_are_read_with_counts_sets_and_scopes() {
        let read = chain("order.accepted > (payment.authorized & inventory.reserved x1..3) > (order.completed | order.cancelled)").unwrap();
        assert_eq!(read.scope, Scope::Order);
        assert_eq!(
            read.parts,
            vec![
                one(Op::OrderAccepted, 1, Some(1)),
                StepTree::And(vec![one(Op::PaymentAuthorized, 1, Some(1)), one(Op::InventoryReserved, 1, Some(3))]),
                StepTree::Or(vec![one(Op::OrderCompleted, 1, Some(1)), one(Op::OrderCancelled, 1, Some(1))]),
            ]
        );
        let read = chain("each shipment: shipment.shipped > shipment.in_transit? > shipment.delivered").unwrap();
        assert_eq!((read.scope, read.all), (Scope::EachFulfillment, false));
        assert_eq!(read.parts[1], one(Op::ShipmentInTransit, 0, Some(1)));
        let read = chain("fulfillment.allocated+ > payment.captured*").unwrap();
        assert_eq!(read.parts, vec![one(Op::FulfillmentAllocated, 1, None), one(Op::PaymentCaptured, 0, None)]);
        let read = chain("order.accepted > fulfillment.allocated x2").unwrap();
        assert_eq!(read.parts[1], one(Op::FulfillmentAllocated, 2, Some(2)));
        assert_eq!(chain("each exchange: exchange.created > exchange.completed").unwrap().scope, Scope::EachReturn);
    }

    #[test]
    fn all_names_the_event_with_or_without_its_object() {
        let read = chain("all shipment.delivered > order.completed").unwrap();
        assert_eq!((read.scope, read.all), (Scope::EachFulfillment, true));
        assert_eq!(read.parts[0], one(Op::ShipmentDelivered, 1, Some(1)));
        let read = chain("all shipment.payment.captured > order.completed").unwrap();
        assert_eq!(read.parts[0], one(Op::PaymentCaptured, 1, Some(1)));
    }

    #[test]
    fn the_other_sentences_are_read() {
        assert_eq!(never("order.cancelled").unwrap().relation, Relation::AtAll);
        assert_eq!(never("shipment.shipped after order.cancelled").unwrap().relation, Relation::After(Op::OrderCancelled));
        assert_eq!(never("payment.captured before shipment.shipped").unwrap().relation, Relation::Before(Op::ShipmentShipped));
        assert_eq!(
            deadline("each shipment: shipment.shipped > (payment.captured | shipment.delivered)").unwrap(),
            (Scope::EachFulfillment, Op::ShipmentShipped, vec![Op::PaymentCaptured, Op::ShipmentDelivered])
        );
        let sum = amount_sum("order.total + 5500 - line.2 - unit.1").unwrap();
        assert_eq!(sum.terms, vec![(1, Term::OrderTotal), (1, Term::Cents(5500)), (-1, Term::Line(LineNo(2))), (-1, Term::Unit(LineNo(1)))]);
        assert_eq!(amount_sum("-500").unwrap().terms, vec![(-1, Term::Cents(500))]);
        assert_eq!(Count::parse("1.."), Some(Count { min: 1, max: None }));
        assert_eq!(Count::parse("3..1"), None);
    }

    #[test]
    fn bad_sentences_are_refused_with_a_reason_and_a_place() {
        for (text, part, at) in [
            ("", "expected the name of an event", 0),
            ("order.acepted > order.completed", "unknown event `order.acepted`", 0),
            ("order.accepted > shipped", "unknown event `shipped`", 17),
            ("order.accepted >", "the sentence ends here", 15),
            ("order.accepted > > order.completed", "found `>`", 17),
            ("order.accepted order.completed", "expected `>` or the end", 15),
            ("order.accepted | order.completed", "put alternatives and sets in parentheses", 15),
            ("(order.accepted & risk.assessed | order.held)", "do not mix", 32),
            ("(order.accepted", "expected `&`, `|` or `)`", 14),
            ("order.accepted x0", "`x0` says nothing", 15),
            ("order.accepted x3..1", "is not a count", 15),
            ("order.accepted! > order.completed", "`!` has no meaning", 14),
            ("payment.authorize > order.completed", "not an event", 0),
            ("PlaceOrder > order.completed", "not an event", 0),
            ("inventory.adjusted > order.completed", "belongs to no order", 0),
            ("each parcel: shipment.shipped", "not an object", 5),
            ("each shipment shipment.shipped", "expected `:`", 14),
            ("all shipment.delivered", "what all of them come before", 21),
            ("order.accepted > order.accepted", "before itself", 17),
        ] {
            let (place, message, _) = chain(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
            assert_eq!(place.start, at, "{text}: {message}");
        }
        assert_eq!(chain("order.accepted > shipped").unwrap_err().2.as_deref(), Some("did you mean `shipment.shipped`?"));
        for (text, part) in
            [("order.cancelled afer order.accepted", "expected `after`"), ("order.cancelled after", "ends here"), ("x", "unknown event")]
        {
            assert!(never(text).unwrap_err().1.contains(part), "{text}");
        }
        for (text, part) in [
            ("order.accepted", "expected `>`"),
            ("all shipment.delivered > order.completed", "for each"),
            ("order.accepted > (order.completed", "`|` or `)`"),
        ] {
            assert!(deadline(text).unwrap_err().1.contains(part), "{text}");
        }
        for (text, part) in [
            ("", "not complete"),
            ("order.total +", "not complete"),
            ("order.totl", "not an amount"),
            ("line.0", "does not name a line"),
            ("1 2", "expected `+`"),
        ] {
            assert!(amount_sum(text).unwrap_err().1.contains(part), "{text}");
        }
    }

    #[test]
    fn a_whole_expectation_reports_all_problems_at_once() {
        let text = r#"{ "flow": ["order.accepted > inventory.reserved x2", "inventory.reserved > order.completed", "order.acc"],
            "within": { "order.accepted > order.completed": "2 weeks" },
            "calls": { "payment": { "capture": "2..1", "charge": 1 }, "node": { "shipped": 1, "release": "1.." } },
            "ledger": { "captured": "order.sum", "stock": { "A@DC9": 1, "A": 1 } },
            "outcome": { "order.gone": { "never": ["order.lost"] } } }"#;
        let file: ExpectFile = serde_json::from_str(text).unwrap();
        let problems = Expect::parse(&file, &standard_fixture()).unwrap_err();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for part in [
            "expect.flow[2]: unknown event `order.acc`",
            "expect.flow[1]: `inventory.reserved` is counted 1 here but 2 in flow[0]",
            "within.\"order.accepted > order.completed\": `2 weeks` is not a duration",
            "calls.payment.capture: `2..1` is not a count",
            "calls.payment.charge: `payment.charge` is not an effect",
            "ledger.captured: `order.sum` is not an amount",
            "ledger.stock.\"A@DC9\": unknown node `DC9`",
            "ledger.stock.A: `A` does not name stock",
            "outcome.\"order.gone\": unknown event `order.gone`",
            "outcome.\"order.gone\".never[0]: unknown event `order.lost`",
        ] {
            assert!(all.iter().any(|one| one.contains(part)), "{part} is not in {all:#?}");
        }
        assert_eq!(all.len(), 10, "{all:#?}");
    }

    #[test]
    fn what_is_certain_is_what_every_ending_shares() {
        let text = r#"{ "flow": ["order.accepted > (payment.authorized & risk.assessed?) > fulfillment.allocated", "each shipment: fulfillment.released > shipment.in_transit?"],
            "calls": { "payment": { "authorize": 1, "void": "0..1" } },
            "outcome": { "order.completed": { "flow": ["inventory.released > order.completed"] }, "order.cancelled": { "flow": ["inventory.released"] } } }"#;
        let file: ExpectFile = serde_json::from_str(text).unwrap();
        let expect = Expect::parse(&file, &standard_fixture()).unwrap();
        let certain = expect.certain_events();
        for op in [Op::OrderAccepted, Op::PaymentAuthorized, Op::FulfillmentAllocated, Op::FulfillmentReleased, Op::InventoryReleased] {
            assert!(certain.contains(&op), "{op}");
        }
        for op in [Op::RiskAssessed, Op::ShipmentInTransit, Op::OrderCompleted] {
            assert!(!certain.contains(&op), "{op}");
        }
        assert_eq!(expect.certain_effects(), vec![Op::PaymentAuthorize]);
    }
}
