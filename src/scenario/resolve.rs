//! From the low form to the high one: names become ids, texts become values, and what contradicts itself is refused with its place.

use super::decode::{Problem, Source, Spans, join};
use super::expect::{Expect, ExpectProblem, Term, event, stock_key, unknown_node, unknown_sku};
use super::file::*;
use super::{Behaviour, FaultSet, Kind, Luck, Matrix, Place, Scenario, SpanRange, StockLevel, standard_fixture};
use crate::model::{Fixture, Fulfil, LineNo, Money, NodeId, NodeKind, Order, OrderLine, OrderNo, Product, SkuId};
use crate::sim::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Collects problems of one document, each at the place of a path.
pub(super) struct Check<'a> {
    pub source: &'a Source,
    pub spans: &'a Spans,
    pub problems: Vec<Problem>,
    /// The form of the document was wrong, and this is what is left of it, with stand-ins that begin here. Then only what is wrong by
    /// itself is said; what one place says of another may follow from what is missing.
    left: Option<&'a BTreeSet<usize>>,
}

impl<'a> Check<'a> {
    pub fn new(source: &'a Source, spans: &'a Spans) -> Check<'a> {
        Check { source, spans, problems: Vec::new(), left: None }
    }

    /// Checks what is left of a document whose form was wrong.
    pub fn of_what_is_left(source: &'a Source, spans: &'a Spans, stand_ins: &'a BTreeSet<usize>) -> Check<'a> {
        Check { left: Some(stand_ins), ..Check::new(source, spans) }
    }

    /// Says what is wrong with the text at `span` whatever the rest of the document holds.
    fn by_itself(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        if self.left.is_none_or(|stand_ins| !stand_ins.contains(&span.start)) {
            self.problems.push(self.source.problem(span, message, help));
        }
    }

    /// At a value that is wrong whatever the rest of the document holds.
    pub fn value_itself(&mut self, path: &str, message: impl Into<String>, help: Option<String>) {
        self.by_itself(self.spans.value(self.source, path), message, help);
    }

    fn at(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        if self.left.is_none() {
            self.problems.push(self.source.problem(span, message, help));
        }
    }

    pub fn value(&mut self, path: &str, message: impl Into<String>, help: Option<String>) {
        self.at(self.spans.value(self.source, path), message, help);
    }

    pub fn key(&mut self, path: &str, message: impl Into<String>, help: Option<String>) {
        self.at(self.spans.key(self.source, path), message, help);
    }

    /// At a part of the text that stands at `path`, wrong whatever the rest of the document holds.
    fn part(&mut self, path: &str, part: Range<usize>, in_key: bool, message: impl Into<String>, help: Option<String>) {
        self.by_itself(self.spans.part(self.source, path, part, in_key), message, help);
    }

    pub fn span(&mut self, path: &str, text: &str) -> Span {
        Span::parse(text).unwrap_or_else(|message| {
            self.value_itself(path, message, None);
            Span::ZERO
        })
    }

    pub fn range(&mut self, path: &str, text: &str) -> SpanRange {
        SpanRange::parse(text).unwrap_or_else(|message| {
            self.value_itself(path, message, None);
            SpanRange::default()
        })
    }

    /// Names are parts of a case's name, so they may not hold what separates those.
    pub fn name(&mut self, path: &str, name: &str) {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            self.value_itself(path, format!("`{name}` cannot be part of a case's name"), Some("letters, digits, `-` and `_` only".into()));
        }
    }

    pub fn node(&mut self, path: &str, name: &str, fixture: &Fixture) -> NodeId {
        fixture.node_named(name).unwrap_or_else(|| {
            let (message, help) = unknown_node(name, fixture);
            self.value_itself(path, message, Some(help));
            NodeId::NONE
        })
    }

    pub fn sku(&mut self, path: &str, name: &str, fixture: &Fixture) -> SkuId {
        fixture.sku_named(name).unwrap_or_else(|| {
            let (message, help) = unknown_sku(name, fixture);
            self.value_itself(path, message, Some(help));
            SkuId::NONE
        })
    }
}

/// The scenario that the (merged) file describes; None where something is wrong with it.
pub(super) fn resolve(file: &ScenarioFile, variant: &str, about: &str, origin: &str, check: &mut Check<'_>) -> Option<Scenario> {
    let before = check.problems.len();
    check.name("name", &file.name);
    let fixture = fixture(file, check);
    let stock = stock(most_units(file), "stock", &file.stock, &fixture, check);
    let phantom = stock_phantom(file, &fixture, check);
    let kinds = kinds(file, &fixture, check);
    let steps = if file.kind.is_empty() { kinds[0].steps.clone() } else { own_steps(file, &fixture, check) };
    let places = places(file, check);
    let own = (!file.fault.is_empty() || !file.place.is_empty()).then(|| Arc::new(FaultSet::own(file, &fixture, origin, check)));
    let expect = expect(file, &fixture, check);
    let luck = file.luck.as_ref().and_then(|text| {
        let luck = Luck::parse(text);
        if luck.is_none() {
            check.value_itself("luck", format!("`{text}` names no case"), Some("such as luck = \"M01.base.delay.web.400\"".into()));
        }
        luck
    });
    let thresholds = super::profile::thresholds(&file.thresholds, &[], "a scenario", check);
    let mut matrix = matrix(&file.matrix, check);
    if let Some(first) = places.first() {
        (matrix.channels, matrix.orders) = (vec![first.channel], vec![places.len() as u32]);
    }
    let scenario = Scenario {
        name: file.name.clone(),
        variant: variant.to_string(),
        title: file.title.clone(),
        about: about.to_string(),
        matrix,
        remorse_hold: (fixture.policies.remorse_hold_s > 0).then(|| Span::from_secs(fixture.policies.remorse_hold_s)),
        fixture,
        stock,
        phantom,
        kinds,
        places,
        own,
        luck,
        steps,
        expect,
        expect_file: file.expect.clone(),
        thresholds,
        origin: origin.to_string(),
        file: Arc::new(file.clone()),
    };
    (check.problems.len() == before).then_some(scenario)
}

/// What a file says of orders of one sort: of all of them at its top, or of one kind.
struct Sort<'a> {
    order: &'a OrderFile,
    step: &'a [StepFile],
    partner: &'a [PartnerFile],
    /// the path of the kind's table, and a dot; empty at the top
    at: String,
}

impl Sort<'_> {
    /// Lines that its orders may have: an exchange continues the line numbers of its order.
    fn lines(&self) -> usize {
        self.order.lines.len() + self.step.iter().map(|step| step.take.len()).sum::<usize>()
    }

    fn resolve(&self, name: &str, weight: u32, fixture: &Fixture, check: &mut Check<'_>) -> Kind {
        let order = order(self, fixture, check);
        let steps = self.step.iter().enumerate().map(|(i, step)| resolve_step(self, step, i, fixture, check)).collect();
        let partner = self.partner.iter().enumerate().map(|(i, partner)| behaviour(partner, &format!("{}partner[{i}]", self.at), fixture, check));
        Kind { name: name.into(), weight, order, steps, partner: partner.collect() }
    }
}

fn sorts(file: &ScenarioFile) -> Vec<Sort<'_>> {
    if file.kind.is_empty() {
        return vec![Sort { order: &file.order, step: &file.step, partner: &file.partner, at: String::new() }];
    }
    let kinds = file.kind.iter().enumerate();
    kinds.map(|(i, kind)| Sort { order: &kind.order, step: &kind.step, partner: &kind.partner, at: format!("kind[{i}].") }).collect()
}

fn kinds(file: &ScenarioFile, fixture: &Fixture, check: &mut Check<'_>) -> Vec<Kind> {
    if file.kind.is_empty() {
        return sorts(file).iter().map(|sort| sort.resolve("", 1, fixture, check)).collect();
    }
    for key in ["order", "partner"] {
        if check.spans.has(key) {
            check.key(key, format!("`{key}` belongs to a kind where there are kinds"), Some("move it into each `[[kind]]`".into()));
        }
    }
    let mut names = BTreeSet::new();
    for (i, kind) in file.kind.iter().enumerate() {
        let at = format!("kind[{i}].name");
        check.name(&at, &kind.name);
        if !names.insert(&kind.name) {
            check.value_itself(&at, format!("a second kind is named `{}`", kind.name), None);
        }
        for (n, step) in kind.step.iter().enumerate().filter(|(_, step)| !step.action.is_of_order()) {
            let action = action_name(step.action);
            let help = Some("move it to the `[[step]]` of the whole scenario".into());
            check.value(&format!("kind[{i}].step[{n}].do"), format!("`{action}` happens once in a case, not for each order of a kind"), help);
        }
    }
    if file.kind.iter().all(|kind| kind.weight == 0) && file.place.is_empty() {
        check.value("kind[0].weight", "no kind is ever drawn: every weight is 0", Some("give one a weight, or leave `weight` out for 1".into()));
    }
    sorts(file).iter().zip(&file.kind).map(|(sort, kind)| sort.resolve(&kind.name, kind.weight, fixture, check)).collect()
}

/// The steps of a scenario with kinds: what happens once in a case.
fn own_steps(file: &ScenarioFile, fixture: &Fixture, check: &mut Check<'_>) -> Vec<super::Step> {
    for (i, step) in file.step.iter().enumerate().filter(|(_, step)| step.action.is_of_order()) {
        let message = format!("`{}` is a shopper's step, and belongs to a kind where there are kinds", action_name(step.action));
        check.value(&format!("step[{i}].do"), message, Some("move it into a `[[kind]]`".into()));
    }
    let sort = Sort { order: &file.order, step: &file.step, partner: &[], at: String::new() };
    file.step.iter().enumerate().map(|(i, step)| resolve_step(&sort, step, i, fixture, check)).collect()
}

/// By number.
fn places(file: &ScenarioFile, check: &mut Check<'_>) -> Vec<Place> {
    let mut places: BTreeMap<OrderNo, Place> = BTreeMap::new();
    for (i, place) in file.place.iter().enumerate() {
        let no = OrderNo(place.no.unwrap_or(i as u32 + 1));
        let kind = match &place.kind {
            None => 0,
            Some(name) => file.kind.iter().position(|kind| kind.name == *name).unwrap_or_else(|| {
                let known: Vec<&str> = file.kind.iter().map(|kind| kind.name.as_str()).collect();
                let help = super::decode::did_you_mean(name, known.iter().copied(), format!("known: {}", known.join(", ")));
                check.value(&format!("place[{i}].kind"), format!("there is no kind named `{name}`"), Some(help));
                0
            }),
        };
        let at = check.span(&format!("place[{i}].at"), &place.at);
        if places.insert(no, Place { no, at, kind, channel: place.channel }).is_some() {
            check.value(&format!("place[{i}]"), format!("a second order has the number {}", no.0), Some("give each a `no` of its own".into()));
        }
    }
    if !places.is_empty() {
        for key in ["channels", "orders", "gap", "cover"] {
            let path = format!("matrix.{key}");
            if check.spans.has(&path) {
                check.key(
                    &path,
                    format!("`{key}` has no meaning beside `[[place]]`"),
                    Some("the places say how many orders come, when, and how".into()),
                );
            }
        }
    }
    places.into_values().collect()
}

fn matrix(file: &MatrixFile, check: &mut Check<'_>) -> Matrix {
    if file.channels.is_empty() {
        check.value("matrix.channels", "a matrix needs a channel", Some("leave `channels` out for the usual ones".into()));
    }
    if file.orders.is_empty() {
        check.value("matrix.orders", "a matrix needs a number of orders", Some("leave `orders` out for [1, 12]".into()));
    }
    for (i, orders) in file.orders.iter().enumerate() {
        if *orders == 0 {
            check.value(&format!("matrix.orders[{i}]"), "a case places at least 1 order", None);
        }
    }
    let mut channels = file.channels.clone();
    channels.sort();
    channels.dedup();
    let mut orders = file.orders.clone();
    orders.sort();
    orders.dedup();
    Matrix { channels, orders, cover: file.cover, stock: file.stock, gap: check.span("matrix.gap", &file.gap) }
}

/// Goods besides the standard ones.
fn products(file: &ScenarioFile, fixture: &mut Fixture, check: &mut Check<'_>) {
    for (name, product) in &file.products {
        let path = join("products", name);
        // a SKU stands before `@` and, in a copy, before `~`; a name with either could not be told from those
        let sound = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !sound || fixture.sku_named(name).is_some() {
            let what = if sound { "is there already" } else { "cannot be the name of a SKU" };
            check.by_itself(check.spans.key(check.source, &path), format!("`{name}` {what}"), Some("letters, digits, `-` and `_` only".into()));
            continue;
        }
        fixture.products.push(Product { name: name.clone(), price: Money(product.price), backorderable: product.backorderable });
    }
}

fn fixture(file: &ScenarioFile, check: &mut Check<'_>) -> Fixture {
    let mut fixture = standard_fixture();
    products(file, &mut fixture, check);
    for (name, change) in &file.nodes {
        let path = join("nodes", name);
        let Some(id) = fixture.node_named(name) else {
            let (message, help) = unknown_node(name, &fixture);
            check.by_itself(check.spans.key(check.source, &path), message, Some(help));
            continue;
        };
        let node = &mut fixture.nodes[usize::from(id.0) - 1];
        node.kind = change.kind.unwrap_or(node.kind);
        node.region = change.region.unwrap_or(node.region);
        node.safety_stock = change.safety_stock.unwrap_or(node.safety_stock);
        node.capacity_per_day = change.capacity_per_day.unwrap_or(node.capacity_per_day);
        node.enabled = change.enabled.unwrap_or(node.enabled);
        if let Some((opens, closes)) = change.hours {
            if opens >= closes || closes > 24 {
                check.value_itself(
                    &format!("{path}.hours"),
                    "hours are an opening and a later closing hour of one day",
                    Some("such as [9, 21]".into()),
                );
            }
            (node.opens_h, node.closes_h) = (opens, closes);
        }
    }
    let policies = &mut fixture.policies;
    let mut seconds = |key: &str, text: &Option<String>, into: &mut u64| {
        if let Some(text) = text {
            *into = check.span(&format!("policy.{key}"), text).0 / 1_000_000_000;
        }
    };
    seconds("remorse_hold", &file.policy.remorse_hold, &mut policies.remorse_hold_s);
    seconds("pickup_hold", &file.policy.pickup_hold, &mut policies.pickup_hold_s);
    seconds("node_accept_sla", &file.policy.node_accept_sla, &mut policies.node_accept_sla_s);
    policies.backorder_partial = file.policy.backorder_partial.unwrap_or(policies.backorder_partial);
    fixture
}

/// Messages carry quantities in 32 bits, and `scaled` stock is multiplied by the orders of a partition.
fn most_units(file: &ScenarioFile) -> u32 {
    if file.matrix.stock == StockScope::Scaled { 1_000_000 } else { 1_000_000_000 }
}

fn stock(most: u32, table: &str, levels: &BTreeMap<String, u32>, fixture: &Fixture, check: &mut Check<'_>) -> Vec<StockLevel> {
    let mut stock = Vec::new();
    for (key, qty) in levels {
        if *qty > most {
            check.value(&join(table, key), format!("more units than can be counted: {qty}"), Some(format!("at most {most}")));
        }
        match stock_key(key, fixture) {
            Ok((node, sku)) => stock.push(StockLevel { node, sku, qty: *qty }),
            Err((part, message, help)) => check.part(&join(table, key), part, true, message, help),
        }
    }
    stock
}

fn stock_phantom(file: &ScenarioFile, fixture: &Fixture, check: &mut Check<'_>) -> Vec<StockLevel> {
    for (key, qty) in &file.phantom {
        let reported = file.stock.get(key).copied().unwrap_or(0);
        if *qty > reported {
            let message = format!("more phantom units than the feed reports: {qty} of {reported}");
            check.value(&join("phantom", key), message, Some(format!("raise stock.\"{key}\" or lower this")));
        }
    }
    stock(most_units(file), "phantom", &file.phantom, fixture, check)
}

fn order(sort: &Sort<'_>, fixture: &Fixture, check: &mut Check<'_>) -> Order {
    let (file, at) = (sort.order, format!("{}order", sort.at));
    if file.lines.is_empty() {
        check.value(&format!("{at}.lines"), "an order needs a line", Some("such as lines = [{ sku = \"A\", qty = 1 }]".into()));
    }
    let lines: Vec<OrderLine> =
        file.lines.iter().enumerate().map(|(i, line)| order_line(line, i + 1, file.tax_bp, &format!("{at}.lines[{i}]"), fixture, check)).collect();
    if file.shipping.is_some_and(|cents| cents < 0) {
        check.value_itself(&format!("{at}.shipping"), "the shipping charge cannot be negative", None);
    }
    let shipping = file.shipping.map_or_else(|| super::default_shipping(&lines), Money);
    Order { ship_to: file.ship_to, lines, shipping, ship_complete: file.ship_complete, ..Order::default() }
}

/// Of a line, as of those of a record.
const MOST_CENTS: i64 = 1_000_000_000_000;

fn order_line(line: &LineFile, number: usize, tax_bp: u32, path: &str, fixture: &Fixture, check: &mut Check<'_>) -> OrderLine {
    let sku = check.sku(&format!("{path}.sku"), &line.sku, fixture);
    let unit_price = line.price.unwrap_or_else(|| fixture.product(sku).map_or(0, |product| product.price.0));
    let gross = unit_price.saturating_mul(i64::from(line.qty));
    if !(0..=1_000_000_000).contains(&unit_price) {
        check.value_itself(&format!("{path}.price"), "a price is between 0 and 1000000000 cents", None);
    }
    if gross > MOST_CENTS {
        // sums of such lines, with tax, are still exact
        let most = "a line is worth at most 1000000000000 cents";
        check.value_itself(&format!("{path}.qty"), format!("{most}, and {} of {unit_price} are more", line.qty), None);
    }
    if line.discount < 0 || line.discount > gross {
        check.value(&format!("{path}.discount"), format!("a discount is between 0 and the price of the line, {gross} cents"), None);
    }
    let node = match (&line.node, line.fulfil) {
        (None, Fulfil::Ship) => NodeId::NONE,
        (None, Fulfil::Pickup) => {
            check.value(path, "a pickup line needs its store", Some("add `node`, such as node = \"S1\"".into()));
            NodeId::NONE
        }
        (Some(name), fulfil) => {
            let path = format!("{path}.node");
            let id = check.node(&path, name, fixture);
            if fulfil == Fulfil::Ship {
                check.key(&path, "`node` is for pickup lines: where a line ships from is the target's to choose", None);
            } else if fixture.node(id).is_some_and(|node| node.kind != NodeKind::Store) {
                check.value(&path, format!("`{name}` is not a store"), Some("nobody can pick up there".into()));
            }
            id
        }
    };
    // half a cent rounds up; the discount comes off before tax
    let tax = gross.saturating_sub(line.discount).saturating_mul(i64::from(tax_bp)).saturating_add(5_000) / 10_000;
    OrderLine {
        line: LineNo(u16::try_from(number).unwrap_or(u16::MAX)),
        sku,
        qty: line.qty,
        unit_price: Money(unit_price),
        discount: Money(line.discount),
        tax: Money(tax),
        fulfil: line.fulfil,
        node,
    }
}

fn resolve_step(sort: &Sort<'_>, step: &StepFile, i: usize, fixture: &Fixture, check: &mut Check<'_>) -> super::Step {
    let path = format!("{}step[{i}]", sort.at);
    let key = |name: &str| format!("{path}.{name}");
    let of_order = step.action.is_of_order();
    let brings_back = matches!(step.action, Action::Return | Action::Exchange);
    let moves_stock = matches!(step.action, Action::Receipt | Action::Sale | Action::Supply);
    let action = action_name(step.action);

    let mut only = |name: &str, allowed: bool| {
        if !allowed && check.spans.has(&key(name)) {
            check.key(&key(name), format!("`{name}` has no meaning in a step that does `{action}`"), None);
        }
    };
    only("on", of_order);
    only("times", of_order);
    only("lines", matches!(step.action, Action::Cancel | Action::Return | Action::Exchange));
    only("take", step.action == Action::Exchange);
    only("mode", step.action == Action::Exchange);
    only("method", brings_back);
    only("disposition", brings_back);
    only("blind", brings_back);
    let of_node = matches!(step.action, Action::DisableNode | Action::EnableNode);
    only("node", brings_back || moves_stock || of_node);
    only("sku", moves_stock);
    only("qty", moves_stock);

    let mut needs = |name: &str, given: bool, such_as: &str| {
        if !given {
            check.value(&path, format!("a step that does `{action}` needs `{name}`"), Some(format!("such as {name} = {such_as}")));
        }
    };
    if of_order {
        needs("on", step.on.is_some(), "\"order.completed\"");
    }
    if moves_stock || of_node {
        needs("node", step.node.is_some(), "\"DC1\"");
    }
    if moves_stock {
        needs("sku", step.sku.is_some(), "\"A\"");
        needs("qty", step.qty.is_some(), "5");
    }
    needs("take", step.action != Action::Exchange || !step.take.is_empty(), "[{ sku = \"A2\", qty = 1 }]");
    needs("node", step.method != Some(ReturnMethod::Store) || step.node.is_some(), "\"S1\"");

    if step.action == Action::CancelReturn && !sort.step[..i].iter().any(|other| matches!(other.action, Action::Return | Action::Exchange)) {
        check.value(&path, "there is no earlier return or exchange to withdraw", None);
    }
    let on = step.on.as_deref().filter(|on| *on != "order.placed").and_then(|on| match event(on) {
        Ok(op) => Some(op),
        Err((message, help)) => {
            check.value_itself(&key("on"), message, help.or_else(|| Some("an event of the order, or `order.placed`".into())));
            None
        }
    });
    let lines = step_lines(sort, step, &path, check);
    let node = step.node.as_ref().map_or(NodeId::NONE, |name| check.node(&key("node"), name, fixture));
    let in_store = step.action == Action::Sale || step.method == Some(ReturnMethod::Store);
    if in_store && fixture.node(node).is_some_and(|node| node.kind != NodeKind::Store) {
        check.value(&key("node"), format!("`{}` is not a store", fixture.node_name(node)), None);
    }
    let take = step.take.iter().enumerate();
    let take = take
        .map(|(n, line)| OrderLine { line: LineNo::NONE, ..order_line(line, 0, sort.order.tax_bp, &format!("{path}.take[{n}]"), fixture, check) });
    super::Step {
        action: step.action,
        on,
        take: take.collect(),
        after: step.after.as_ref().map_or(SpanRange::default(), |text| check.range(&key("after"), text)),
        lines,
        mode: step.mode.unwrap_or_default(),
        method: step.method.unwrap_or_default(),
        disposition: step.disposition.unwrap_or_default(),
        node,
        sku: step.sku.as_ref().map_or(SkuId::NONE, |name| check.sku(&key("sku"), name, fixture)),
        qty: step.qty.unwrap_or(0),
        times: step.times,
        blind: step.blind,
    }
}

fn step_lines(sort: &Sort<'_>, step: &StepFile, path: &str, check: &mut Check<'_>) -> Vec<(LineNo, Option<u32>)> {
    let known = sort.lines();
    for (n, line) in step.lines.iter().enumerate() {
        let place = format!("{path}.lines[{n}].line");
        if usize::from(line.line) > known {
            check.value(&place, format!("the order has no line {}", line.line), Some(format!("its lines are 1 to {known}")));
        }
        if step.lines[..n].iter().any(|other| other.line == line.line) {
            check.value(&place, format!("line {} is named twice", line.line), None);
        }
    }
    step.lines.iter().map(|line| (LineNo(line.line), line.qty)).collect()
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Cancel => "cancel",
        Action::Return => "return",
        Action::Exchange => "exchange",
        Action::CancelReturn => "cancel_return",
        Action::Receipt => "receipt",
        Action::Sale => "sale",
        Action::Supply => "supply",
        Action::Snapshot => "snapshot",
        Action::DisableNode => "disable_node",
        Action::EnableNode => "enable_node",
    }
}

fn behaviour(partner: &PartnerFile, path: &str, fixture: &Fixture, check: &mut Check<'_>) -> Behaviour {
    use PartnerAnswer as A;
    use PartnerPoint as P;
    let key = |name: &str| format!("{path}.{name}");
    let (answers, known): (&[A], &str) = match partner.at {
        P::Authorize => (&[A::Ok, A::Decline, A::Pending], "ok, decline, pending"),
        P::Screen => (&[A::Ok, A::Reject, A::ReviewAccept, A::ReviewReject], "ok, reject, review_accept, review_reject"),
        P::Validate => (&[A::Ok, A::Corrected, A::Undeliverable], "ok, corrected, undeliverable"),
        P::Accept => (&[A::Ok, A::Reject, A::Never], "ok, reject, never"),
        P::Pick => (&[A::Ok, A::Short], "ok, short"),
        P::Collect => (&[A::Ok, A::Never], "ok, never"),
        P::NodeCancel => (&[A::Ok, A::TooLate], "ok, too_late"),
    };
    if !answers.contains(&partner.answer) {
        check.value(&key("answer"), "this answer does not fit where it is given", Some(format!("here: {known}")));
    }
    let mut only = |name: &str, allowed: bool, what: &str| {
        if !allowed && check.spans.has(&key(name)) {
            check.key(&key(name), format!("`{name}` has no meaning here"), Some(format!("it goes with {what}")));
        }
    };
    let at_node = matches!(partner.at, P::Accept | P::Pick | P::Collect | P::NodeCancel);
    only("node", at_node, "node.accept, node.pick, node.cancel and customer.collect");
    only("qty", partner.answer == A::Short, "answer = \"short\"");
    let gives_reason = partner.answer == A::Short || partner.at == P::Accept && partner.answer == A::Reject;
    only("reason", gives_reason, "a node that rejects or comes up short");
    Behaviour {
        at: partner.at,
        answer: partner.answer,
        reason: partner.reason,
        node: partner.node.as_ref().map_or(NodeId::NONE, |name| check.node(&key("node"), name, fixture)),
        nth: partner.nth,
        after: partner.after.as_ref().map(|text| check.span(&key("after"), text)),
        qty: partner.qty,
    }
}

fn expect(file: &ScenarioFile, fixture: &Fixture, check: &mut Check<'_>) -> Expect {
    let (expect, problems) = Expect::read(&file.expect, fixture);
    for ExpectProblem { path, part, in_key, message, help } in problems {
        check.part(&format!("expect.{path}"), part, in_key, message, help);
    }
    ledger_lines("expect.ledger", &expect, file, check);
    for (op, outcome) in &expect.outcomes {
        ledger_lines(&format!("{}.ledger", join("expect.outcome", op.name())), outcome, file, check);
    }
    if let [(op, _)] = expect.outcomes.as_slice() {
        check.key(&join("expect.outcome", op.name()), "an only outcome is no alternative", Some("move it up into `[expect]`".into()));
    }
    expect
}

/// `line.N` and `unit.N` must name lines of the order, or of an exchange.
fn ledger_lines(path: &str, expect: &Expect, file: &ScenarioFile, check: &mut Check<'_>) {
    let known = sorts(file).iter().map(Sort::lines).max().unwrap_or(0);
    let ledger = &expect.ledger;
    for (key, amount) in [("captured", &ledger.captured), ("refunded", &ledger.refunded), ("authorized_open", &ledger.authorized_open)] {
        for (_, term) in amount.iter().flat_map(|amount| &amount.terms) {
            let (Term::Line(line) | Term::Unit(line)) = term else { continue };
            if usize::from(line.0) > known {
                check.value(&format!("{path}.{key}"), format!("the order has no line {}", line.0), Some(format!("its lines are 1 to {known}")));
            }
        }
    }
}
