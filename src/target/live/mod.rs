//! Targets in processes of their own: over HTTP (`http`), or as a child of ours that speaks JSON lines (`process`).
//!
//! What they say comes in on threads that stamp it; the engine takes it from an inbox, in the order of the stamps. An answer to a call, or
//! to the delivery of an event, is held until the engine gives it, so every fault of the engine's (late, lost, refused) is one on the wire.

mod http;
mod process;

pub use http::{Harness, Live, Opening};
pub use process::{Adapter, Process};

use super::Outbound;
use crate::model::{Code, Id, Message, Outcome};
use crate::sim::{Mailbox, Span, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// One thing that came from the target. `R` is whatever its answer goes to.
struct Heard<R> {
    at: Timestamp,
    what: What<R>,
}

enum What<R> {
    Reply { to: Id, outcome: Outcome, code: Code, retry_after: Span },
    Call(Message, R),
    Event(Message, R),
}

/// What was heard and not given to the engine yet, and who waits for answers of ours.
struct Ears<R> {
    heard: VecDeque<Heard<R>>,
    /// calls and events that wait, by id; the oldest first
    calls: FxHashMap<Id, VecDeque<R>>,
    events: FxHashMap<Id, VecDeque<R>>,
    skipped_to: Timestamp,
}

impl<R> Ears<R> {
    fn new() -> Ears<R> {
        Ears { heard: VecDeque::new(), calls: FxHashMap::default(), events: FxHashMap::default(), skipped_to: Timestamp::ZERO }
    }

    /// Takes in what has come. Nothing was under way when time was skipped, so what came since is not older, though it may have been
    /// stamped before our own clock was moved.
    fn gather(&mut self, inbox: &Mailbox<Heard<R>>) {
        let least = self.skipped_to;
        self.heard.extend(inbox.drain().into_iter().map(|heard| Heard { at: heard.at.max(least), ..heard }));
    }

    fn next_due(&self) -> Timestamp {
        self.heard.front().map_or(Timestamp::NEVER, |heard| heard.at)
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        while self.heard.front().is_some_and(|heard| heard.at <= now) {
            let Some(heard) = self.heard.pop_front() else { return };
            out.push(match heard.what {
                What::Reply { to, outcome, code, retry_after } => Outbound::Reply { to, outcome, code, retry_after },
                What::Call(msg, answer) => {
                    self.calls.entry(msg.id).or_default().push_back(answer);
                    Outbound::Call(msg)
                }
                What::Event(msg, answer) => {
                    self.events.entry(msg.id).or_default().push_back(answer);
                    Outbound::Event(msg)
                }
            });
        }
    }

    fn caller(&mut self, call: Id) -> Option<R> {
        first(&mut self.calls, call)
    }
    fn publisher(&mut self, event: Id) -> Option<R> {
        first(&mut self.events, event)
    }
}

/// Who has waited longest for the answer to this.
fn first<R>(waiting: &mut FxHashMap<Id, VecDeque<R>>, id: Id) -> Option<R> {
    let queue = waiting.get_mut(&id)?;
    let first = queue.pop_front();
    if queue.is_empty() {
        waiting.remove(&id);
    }
    first
}
