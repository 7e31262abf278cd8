//! The judges: folds over history entries that yield findings. They read the history and its header, nothing else;
//! in particular nothing of the reference, the target or the world.
//!
//! To add one: a file with a type that implements [`Checker`], a line in `suite.rs`, one history it must accept and one it
//! must reject.

mod expectation;
mod suite;
mod verdict;

// pub use suite::{INVARIANTS, Invariant, Judgement, Suite};
pub use verdict::{CheckResult, Finding, Verdict};

use crate::history::{Entry, Header};
use crate::model::OrderNo;

/// A fold over entries. O(1) amortised an entry; state is kept per open order and per (node, SKU).
pub trait Checker {
    /// The invariant's name, such as `NO_OVERSELL`.
    fn name(&self) -> &'static str;

    /// Takes one more entry into account.
    fn observe(&mut self, entry: &Entry, ctx: &mut Context<'_>);

    /// `order` has ended and its quiet time is over, or the run is at rest: judge what is due now, and forget the order.
    fn settle_order(&mut self, _order: OrderNo, _ctx: &mut Context<'_>) {}

    /// The run is over (after every order was settled): judge what holds for the whole.
    fn settle(&mut self, _ctx: &mut Context<'_>) {}
}

/// What a checker may read besides entries, and where its results go.
pub struct Context<'a> {
    pub header: &'a Header,
    /// the run reached rest: obligations that are not met now were not met. False where the record was cut short:
    /// then what is still owed is unknown, and only what has already gone wrong is a failure.
    pub at_rest: bool,
    /// how often this checker had something to judge; 0 at the end is `not exercised`
    pub activations: &'a mut u64,
    /// checks that could not be decided
    pub unknowns: &'a mut u64,
    pub findings: &'a mut Vec<Finding>,
}
