//! One thing sent, heard, answered, or done to the world.

use crate::model::{Message, Outcome};
use crate::sim::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What sort of thing an entry records. *Facts* are what partners' books and shelves really did, in one total order;
/// *claims* (events, replies, answers to queries) are what the target says, in the order in which it was heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// command, feed or callback leaves the harness (one entry per attempt; a resend keeps its key)
    Sent,
    /// what came back to it, as heard by the harness: `outcome` says what is known. Claim.
    Reply,
    /// a call of the target reaches a partner
    Call,
    /// what the partner answered (the answer may still be lost under way)
    Answer,
    /// an event of the target reaches the harness. Claim; `id` tells redeliveries apart.
    Event,
    /// a side effect in a partner's books or on a shelf
    Fact,
    /// a fault rule acted: `cause` is the message that it hit, `seq` the rule's number from 1
    Fault,
    /// what the target answers to a query at rest. Claim.
    State,
    /// phase marker of the harness
    Mark,
}

impl Kind {
    pub const ALL: [Kind; 9] = [Kind::Sent, Kind::Reply, Kind::Call, Kind::Answer, Kind::Event, Kind::Fact, Kind::Fault, Kind::State, Kind::Mark];
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sent => "sent",
            Kind::Reply => "reply",
            Kind::Call => "call",
            Kind::Answer => "answer",
            Kind::Event => "event",
            Kind::Fact => "fact",
            Kind::Fault => "fault",
            Kind::State => "state",
            Kind::Mark => "mark",
        }
    }
}

/// One entry. `n` counts from 1 without gaps within a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub n: u64,
    pub at: Timestamp,
    /// when it should have happened: the intended time of a command, whatever attempt this is; else equal to `at`
    pub due: Timestamp,
    pub kind: Kind,
    pub outcome: Outcome,
    pub msg: Arc<Message>,
}

/// Whoever folds over entries as they happen.
pub trait Observer {
    fn observe(&mut self, entry: &Entry);
}

/// Nobody looks on.
impl Observer for () {
    fn observe(&mut self, _: &Entry) {}
}
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, entry: &Entry) {
        self.0.observe(entry);
        self.1.observe(entry);
    }
}
impl<O: Observer + ?Sized> Observer for &mut O {
    fn observe(&mut self, entry: &Entry) {
        (**self).observe(entry);
    }
}
impl<O: Observer> Observer for Option<O> {
    fn observe(&mut self, entry: &Entry) {
        if let Some(observer) = self {
            observer.observe(entry);
        }
    }
}
impl Observer for Vec<Entry> {
    fn observe(&mut self, entry: &Entry) {
        self.push(entry.clone());
    }
}
