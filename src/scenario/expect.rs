//! Expectations: the sentences of `[expect]`, read into chains, prohibitions, deadlines, counts and sums.
//!
//! The semantics follow DECLARE (Pesic and van der Aalst 2006), scoped per object as in object-centric process mining:
//! `a > b` says that b needs a's least number before it, and that a bounded a may not come after b.

use crate::model::{LineNo, Op};
use crate::sim::Span;

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
    /// `all shipment.a > b`: every fulfillment that was ever allocated and not cancelled must have done a before b
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
