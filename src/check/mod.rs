//! The judges: folds over history entries that yield findings. They read the history and its header, nothing else;
//! in particular nothing of the reference, the target or the world.
//!
//! Every entry goes first into the judge's own books (`ledger`, one account an order, one shelf a node and SKU), then past
//! each checker, which is a small predicate over the entry and the books. An event that was delivered again goes into
//! neither: redelivery is legal, and no checker needs to think of it.
//!
//! To add one: a file with its definition and a type that implements [`Checker`], a line in `roster.rs`, one history it must accept and
//! one it must reject. `docs/invariants.md` is written from the definitions.

mod accept_once;
mod account;
mod alloc_within_order;
mod auth_once;
mod backorder_fair;
mod cancel_honest;
mod capture_complete;
mod capture_within_auth;
mod capture_within_shipped;
mod certain;
mod chain;
mod coverage;
mod credit;
mod event_gapless;
mod event_stable;
mod evidence;
mod exception_class;
mod expectation;
mod feed_tracked;
mod in_order;
mod lag;
mod ledger;
mod money;
mod no_lost;
mod no_oversell;
mod no_phantom;
mod no_undersell;
mod owed;
mod paid_before_release;
mod partner_agreement;
mod per_order;
mod precedence;
mod progress;
mod quiet_after_end;
mod refund_exact;
mod refund_within_captured;
mod reject_inert;
mod release_within_alloc;
mod released_on_end;
mod replay_equal;
mod reply_idempotent;
mod restock_exact;
mod roster;
mod routing;
mod rules;
mod sell_outs;
mod settled;
mod ship_once;
mod state_agreement;
mod stock_conserved;
mod suite;
mod supply;
#[cfg(test)]
mod testing;
mod told;
mod traceable;
mod verdict;

pub use account::{Account, Arrival};
pub use coverage::Coverage;
pub use lag::PublishLag;
pub use ledger::Ledger;
pub use per_order::Place;
pub use roster::{INVARIANTS, invariant};
pub use sell_outs::{SellOuts, shows_from_s};
pub use suite::{FINDINGS_KEPT, Judgement, QUIET, Suite};
pub use verdict::{CheckResult, Finding, Verdict};

use crate::history::{Entry, Header, Kind};
use crate::model::{Id, Op, OrderNo};
use crate::sim::{Span, Timestamp};

/// A check that is always on, in words: what exactly is claimed, so that it can be argued with.
pub struct Invariant {
    pub name: &'static str,
    pub summary: &'static str,
    pub definition: &'static str,
    /// what must be in the record, or else it is not exercised
    pub needs: &'static str,
    /// what may look like a violation and is none, and how it is told apart
    pub traps: &'static str,
    /// decided by what partners' books and shelves show, whatever the target says
    pub facts_only: bool,
}

/// A fold over entries. O(1) amortised an entry; state is kept per open order and per (node, SKU).
pub trait Checker {
    fn about(&self) -> &'static Invariant;

    /// Which entries it wants to see; asked once for every pair.
    fn hears(&self, _kind: Kind, _op: Op) -> bool {
        false
    }

    /// Takes one more entry into account. The books in `ctx` already hold it.
    fn observe(&mut self, _entry: &Entry, _ctx: &mut Context<'_>) {}

    /// Does it want to see events that are delivered again?
    fn hears_again(&self) -> bool {
        false
    }

    /// Does it want to see what follows `mark.replay`? Everything else was judged by then.
    fn hears_replay(&self) -> bool {
        false
    }

    /// An event whose id is known came again. It goes into no book.
    fn again(&mut self, _entry: &Entry, _arrival: Arrival, _ctx: &mut Context<'_>) {}

    /// `order` has ended and its quiet time is over, or the run is at rest: judge what is due now. The order is forgotten afterwards.
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
    /// it is about a probe order: judged like any other, but no proof that the case exercised anything
    pub probe: bool,
    /// what the checkers have come to so far, and whose turn it is
    tallies: &'a mut [suite::Tally],
    at: usize,
    /// where the books keep the order that this is about, if it is about one that is open
    pub place: Option<Place>,
    /// what the books say of that order
    pub account: Option<&'a Account>,
    /// outcomes that the scenario allows, with how many orders each came true for
    pub outcomes: &'a mut Vec<(Op, u64)>,
    /// what sold out, and what was oversold
    pub sell_outs: &'a mut SellOuts,
}

impl Context<'_> {
    /// When the harness first sent the message of this id, as far as an event of this order can be caused by it.
    fn sent_at(&self, id: Id) -> Option<Timestamp> {
        if id.is_none() {
            return None;
        }
        self.account.and_then(|account| account.sent_at(id)).or_else(|| self.ledger.feed_sent_at(id))
    }
    /// May an event or call of this order name this id as its cause? A message about it, the answer to a call of its, an event or call of
    /// its own; or a feed.
    fn can_cause(&self, id: Id) -> bool {
        self.account.is_some_and(|account| account.sent_at(id).is_some() || account.is_own(id)) || self.ledger.feed_sent_at(id).is_some()
    }
    /// Nobody asked for what names this cause: it was a timer's.
    fn is_timers(&self, cause: Id) -> bool {
        cause.is_none() || self.account.is_some_and(|account| account.is_own(cause))
    }
    /// Counts one occasion on which there was something to judge.
    fn judged(&mut self) {
        self.judged_so_often(1);
    }
    fn judged_so_often(&mut self, times: u64) {
        let times = if self.probe { 0 } else { times };
        self.tally().activations += times;
    }
    /// How long after its cause was answered a claim may be heard, and what the target acknowledged may still be on its way through it:
    /// twice the worst publish lag of the probe orders heard so far, at least 0.5 s and at most 10 s; 2 s where there are none.
    fn grace(&self) -> Span {
        self.ledger.publish_lag().grace
    }
    /// Counts one check that the record cannot decide.
    fn unknown(&mut self) {
        self.tally().unknowns += 1;
    }
    /// Counts one check that passes only thanks to an excuse.
    fn excuse(&mut self) {
        self.tally().excused += 1;
    }
    fn fail(&mut self, order: OrderNo, what: String, expected: impl Into<String>, mut evidence: Vec<u64>) {
        evidence.retain(|n| *n != 0);
        evidence.sort_unstable();
        evidence.dedup();
        let order = order.is_some().then_some(order);
        let tally = self.tally();
        tally.fail(Finding { check: tally.about.name.into(), order, what, expected: expected.into(), evidence });
    }
    fn tally(&mut self) -> &mut suite::Tally {
        &mut self.tallies[self.at]
    }
}
