//! The judges: folds over history entries that yield findings. They read the history and its header, nothing else;
//! in particular nothing of the reference, the target or the world.
//!
//! Every entry goes first into the judge's own books (`ledger`, one account an order, one shelf a node and SKU), then past
//! each checker, which is a small predicate over the entry and the books. An event that was delivered again goes into
//! neither: redelivery is legal, and no checker needs to think of it.
//!
//! To add one: a file with a type that implements [`Checker`], a line in `suite.rs`, one history it must accept and one it
//! must reject.

mod accept_once;
mod account;
mod backorder_fair;
mod capture_within_auth;
mod chain;
mod coverage;
mod evidence;
mod expectation;
mod ledger;
mod money;
mod money_conserved;
mod no_lost;
mod no_oversell;
mod partner_agreement;
mod refund_exact;
mod released_on_end;
mod ship_once;
mod stock_conserved;
mod suite;
mod supply;
#[cfg(test)]
mod testing;
mod verdict;

pub use account::Account;
pub use coverage::Coverage;
pub use ledger::Ledger;
pub use suite::{FINDINGS_KEPT, INVARIANTS, Invariant, Judgement, QUIET, Suite};
pub use verdict::{CheckResult, Finding, Verdict};

use crate::history::{Entry, Header};
use crate::model::OrderNo;

/// A fold over entries. O(1) amortised an entry; state is kept per open order and per (node, SKU).
pub trait Checker {
    /// The invariant's name, such as `NO_OVERSELL`.
    fn name(&self) -> &'static str;

    /// Takes one more entry into account. The books in `ctx` already hold it.
    fn observe(&mut self, entry: &Entry, ctx: &mut Context<'_>);

    /// `order` has ended and its quiet time is over, or the run is at rest: judge what is due now, and forget the order.
    fn settle_order(&mut self, _order: OrderNo, _ctx: &mut Context<'_>) {}

    /// The run is over (after every order was settled): judge what holds for the whole.
    fn settle(&mut self, _ctx: &mut Context<'_>) {}
}

/// What a checker may read besides entries, and where its results go.
pub struct Context<'a> {
    pub header: &'a Header,
    /// the judge's own books
    pub ledger: &'a Ledger,
    /// what the record tells of at all
    pub covers: &'a Coverage,
    /// the run reached rest: obligations that are not met now were not met. False where the record was cut short:
    /// then what is still owed is unknown, and only what has already gone wrong is a failure.
    pub at_rest: bool,
    /// the order being settled lost an event: what follows from its claims is unknown
    pub suspended: bool,
    /// how often this checker had something to judge; 0 at the end is `not exercised`
    pub activations: &'a mut u64,
    /// checks that could not be decided
    pub unknowns: &'a mut u64,
    pub findings: &'a mut Vec<Finding>,
}

impl Context<'_> {
    /// Counts one occasion on which there was something to judge.
    fn judged(&mut self) {
        *self.activations += 1;
    }
    /// Counts one check that the record cannot decide.
    fn unknown(&mut self) {
        *self.unknowns += 1;
    }
    fn fail(&mut self, check: &'static str, order: OrderNo, what: String, expected: impl Into<String>, mut evidence: Vec<u64>) {
        evidence.retain(|n| *n != 0);
        evidence.sort_unstable();
        evidence.dedup();
        let order = order.is_some().then_some(order);
        self.findings.push(Finding { check: check.into(), order, what, expected: expected.into(), evidence });
    }
}
