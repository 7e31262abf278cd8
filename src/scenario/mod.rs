//! What happens and how hard: scenarios, fault sets, load profiles, and the matrix of cases made from them.
//!
//! `file` is the low form (what the TOML says, and the JSON Schema of it); the types here are the high form, built once by
//! `load` after everything was checked.

mod decode;
mod expect;
mod fault_file;
mod file;
mod from_load;
mod intake;
mod load;
mod matrix;
mod profile;
mod resolve;
mod schema;
mod target_profile;
mod write;

pub use decode::{Problem, Problems};
pub use expect::{Amount, Chain, Count, Deadline, Expect, ExpectProblem, Ledger, Never, Relation, Scope, Step as FlowStep, StepTree, Term};
pub use fault_file::{Address, AfterFile, FaultAction, FaultRule, FaultRuleFile, FaultSet, FaultSetFile, Link, Moment, OWN, Trigger, certain_ops};
pub use file::*;
pub use from_load::LOAD;
pub use intake::COLUMN_MAPS;
pub use load::{Library, parse_load_profile, shipped};
pub use matrix::{Case, Expansion, Selection, expand};
pub use profile::*;
pub use schema::{SCHEMAS, schema_text};
pub use target_profile::{Capability, ClockMode, Protocol, TargetProfile, TargetProfileFile, from_environment};

use crate::model::{Fixture, Fulfil, LineNo, Money, NodeId, Op, Order, OrderNo, Region, SkuId, Threshold};
use crate::sim::{Purpose, Seed, Span};
use std::sync::Arc;

/// A scenario with one variant applied, checked and resolved: names are ids, texts are values.
///
/// Quantities are those of the file (one order); scaling to a number of orders happens when a case is built.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// `S01`
    pub name: String,
    /// `base`, or the variant's name
    pub variant: String,
    pub title: String,
    pub about: String,
    pub matrix: Matrix,
    /// the standard fixture with this scenario's changes to nodes and policies
    pub fixture: Fixture,
    pub stock: Vec<StockLevel>,
    pub phantom: Vec<StockLevel>,
    /// at least one; an order's kind is drawn by weight where there are several
    pub kinds: Vec<Kind>,
    /// explicit orders by number; where there are any, a case has these and no others
    pub places: Vec<Place>,
    /// its own faults, where it is bound to these and no others
    pub own: Option<Arc<FaultSet>>,
    /// whose draws it keeps
    pub luck: Option<Luck>,
    pub remorse_hold: Option<Span>,
    /// steps of the whole scenario: what happens once in a case, and where it names no kinds the steps of every order
    pub steps: Vec<Step>,
    pub expect: Expect,
    /// the text that `expect` was read from, as it goes into a history's header
    pub expect_file: ExpectFile,
    /// what each of its cases must hold
    pub thresholds: Vec<Threshold>,
    /// where it came from, for messages: a path, or `shipped:S01.toml`
    pub origin: String,
    /// the low form, with the variant merged in
    pub file: Arc<ScenarioFile>,
}

/// Orders of one sort.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Kind {
    pub name: String,
    pub weight: u32,
    /// as every shopper places it, with channel and customer left at their defaults
    pub order: Order,
    /// a step is known by its place in this list; steps of the whole case may stand among them and are not the shopper's
    pub steps: Vec<Step>,
    pub partner: Vec<Behaviour>,
}

/// An order that is placed at a time that is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub no: OrderNo,
    pub at: Span,
    /// index into the kinds
    pub kind: usize,
    pub channel: crate::model::Channel,
}

/// The case, and the partition of it, from whose names a scenario's draws come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Luck {
    pub case: String,
    pub partition: u32,
}

impl Luck {
    /// `M01.base.delay.web.400`, or with the partition `M01.base.delay.web.5000/1`.
    pub fn parse(text: &str) -> Option<Luck> {
        let (case, partition) = text.split_once('/').unwrap_or((text, "0"));
        (!case.is_empty()).then_some(Luck { case: case.into(), partition: partition.parse().ok()? })
    }
}

const KIND: Purpose = Purpose(32);

impl Scenario {
    /// A scenario that a program made rather than a file.
    pub fn from_file(file: &ScenarioFile, variant: &str, origin: &str) -> Result<Scenario, Problems> {
        let source = decode::Source::new(origin, "");
        let spans = decode::Spans::default();
        let mut check = resolve::Check::new(&source, &spans);
        resolve::resolve(file, variant, &file.about, origin, &mut check).ok_or(Problems(check.problems))
    }

    /// The kind of an order, under the seed of its partition.
    pub fn kind_of(&self, order: OrderNo, seed: Seed) -> &Kind {
        let at = if self.kinds.len() == 1 {
            0
        } else if let Some(place) = self.place(order) {
            self.places[place].kind
        } else {
            let all: u64 = self.kinds.iter().map(|kind| u64::from(kind.weight)).sum();
            let drawn = ((u128::from(seed.word(KIND, order.0.into(), 0)) * u128::from(all)) >> 64) as u64;
            let mut up_to = 0;
            let mut reached = self.kinds.iter().map(|kind| {
                up_to += u64::from(kind.weight);
                up_to
            });
            reached.position(|up_to| drawn < up_to).unwrap_or(0)
        };
        &self.kinds[at]
    }

    /// Which of the copies of the SKUs an order has, where orders have SKUs of their own; `first` is the first order of its partition.
    pub fn copy_of(&self, order: OrderNo, first: OrderNo) -> u32 {
        self.place(order).map_or(order.0.saturating_sub(first.0), |place| place as u32)
    }

    fn place(&self, order: OrderNo) -> Option<usize> {
        self.places.binary_search_by_key(&order, |place| place.no).ok()
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Matrix {
    pub channels: Vec<crate::model::Channel>,
    pub orders: Vec<u32>,
    pub cover: Cover,
    pub stock: StockScope,
    pub gap: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StockLevel {
    pub node: NodeId,
    pub sku: SkuId,
    pub qty: u32,
}

/// A range of time to draw from; `lo == hi` is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpanRange {
    pub lo: Span,
    pub hi: Span,
}

impl SpanRange {
    /// A duration such as `2h`, or a range such as `0s..10s`.
    pub fn parse(text: &str) -> Result<SpanRange, String> {
        let (lo, hi) = text.split_once("..").unwrap_or((text, text));
        let range = SpanRange { lo: Span::parse(lo)?, hi: Span::parse(hi)? };
        if range.lo > range.hi { Err(format!("`{text}` runs backwards: write the shorter time first")) } else { Ok(range) }
    }
}

/// Something done to the target.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    pub action: Action,
    /// order steps: the event that sets it off; none for `order.placed` and for stock steps
    pub on: Option<Op>,
    pub after: SpanRange,
    /// lines concerned; empty means all. Quantity none means the whole line.
    pub lines: Vec<(LineNo, Option<u32>)>,
    /// exchange: the new lines (line numbers are the target's to give; here they are 0)
    pub take: Vec<crate::model::OrderLine>,
    pub mode: ExchangeMode,
    pub method: ReturnMethod,
    pub disposition: Disposition,
    pub node: NodeId,
    pub sku: SkuId,
    pub qty: u32,
    pub times: u32,
    pub blind: bool,
}

impl Action {
    /// Done by a shopper for each order, as against once for a case.
    pub fn is_of_order(self) -> bool {
        matches!(self, Action::Cancel | Action::Return | Action::Exchange | Action::CancelReturn)
    }
}

/// A partner that is not simply helpful.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Behaviour {
    pub at: PartnerPoint,
    pub answer: PartnerAnswer,
    pub reason: Option<PartnerReason>,
    pub node: NodeId,
    pub nth: Option<u32>,
    pub after: Option<Span>,
    pub qty: Option<u32>,
}

/// The standard estate (domain 4.0): DC1 (east), DC2 (west), stores S1 (east) and S2 (west), 3PL1, SUP; SKUs A to K.
pub fn standard_fixture() -> Fixture {
    use crate::model::{Node, NodeKind, Policies, Product};
    let node = |name: &str, kind, region, capacity_per_day, opens_h, closes_h| Node {
        name: name.into(),
        kind,
        region,
        safety_stock: 0,
        capacity_per_day,
        opens_h,
        closes_h,
        enabled: true,
    };
    let product = |name: &str, price, backorderable| Product { name: name.into(), price: Money(price), backorderable };
    Fixture {
        nodes: vec![
            node("DC1", NodeKind::Dc, Region::East, 0, 0, 24),
            node("DC2", NodeKind::Dc, Region::West, 0, 0, 24),
            node("S1", NodeKind::Store, Region::East, 20, 9, 21),
            node("S2", NodeKind::Store, Region::West, 20, 9, 21),
            node("3PL1", NodeKind::ThirdParty, Region::East, 0, 0, 24),
            node("SUP", NodeKind::Supplier, Region::West, 0, 0, 24),
        ],
        products: vec![
            product("A", 4000, false),
            product("A2", 4000, false),
            product("B", 6000, false),
            product("C", 10000, false),
            product("D", 2500, true),
            product("E", 8000, true),
            product("F", 12000, false),
            product("G", 3000, false),
            product("H", 5500, false),
            product("K", 9000, false),
        ],
        policies: Policies::default(),
    }
}

/// Shipping charge where the file names none: 8.00 an order, nothing where every line is picked up.
pub fn default_shipping(lines: &[crate::model::OrderLine]) -> Money {
    if lines.iter().all(|line| line.fulfil == Fulfil::Pickup) { Money::ZERO } else { Money(800) }
}
