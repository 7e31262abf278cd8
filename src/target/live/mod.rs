//! Targets in processes of their own: over HTTP by the contract (`http`) or by the mapping of a profile (`mapped`), or as a child of ours that
//! speaks JSON lines (`process`).
//!
//! What they say comes in on threads that stamp it; the engine takes it from an inbox, in the order of the stamps. An answer to a call, or
//! to the delivery of an event, is held until the engine gives it, so every fault of the engine's (late, lost, refused) is one on the wire.

mod commands;
mod exchange;
mod http;
mod mapped;
mod process;

pub use commands::Commands;
use commands::Controlled;
pub use http::{Harness, Live, Opening};
pub use mapped::{Mapped, MappedOpening, Shared};
pub use process::{Adapter, Process};

use super::{Look, Outbound, Skip};
use crate::model::{Code, Id, Message, Outcome};
use crate::sim::{Inbox, Mailbox, NoInbox, Span, Stopwatch, Timestamp};
use crate::wire::{OrderView, Skipped};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::Duration;

/// One thing that came from the target. `R` is whatever its answer goes to.
struct Heard<R> {
    at: Timestamp,
    what: What<R>,
}

enum What<R> {
    Reply {
        to: Id,
        outcome: Outcome,
        code: Code,
        retry_after: Span,
    },
    Call(Message, R),
    Event(Message, R),
    /// the answer to the question whether time may be skipped; none where there was no answer
    Skipped(Option<Skipped>),
}

/// Whether the target has been asked if time may be skipped. The one thread of a case may not wait for an answer: a target that stands still
/// must not hold up what is due.
#[derive(Default)]
enum Asking {
    #[default]
    No,
    /// nothing was sent since
    Yes,
    /// something was
    Overtaken,
    Answered {
        skipped: Option<Skipped>,
        overtaken: bool,
    },
}

/// What was heard and not given to the engine yet, and who waits for answers of ours.
struct Ears<R> {
    heard: VecDeque<Heard<R>>,
    /// empty: changes places with the inbox
    spare: VecDeque<Heard<R>>,
    /// calls and events that wait, by id; the oldest first
    calls: FxHashMap<Id, VecDeque<R>>,
    events: FxHashMap<Id, VecDeque<R>>,
    skipped_to: Timestamp,
    asking: Asking,
    /// since when the target has not answered that question at all
    silent: Option<Stopwatch>,
}

/// At rest whoever did not answer a question is asked again, each time after so long: `not now` passes, and a connection that broke says nothing of
/// what was asked.
const ASKED_AGAIN_MS: [u64; 5] = [250, 500, 1_000, 2_000, 4_000];

/// Asks until there is an answer, where there is time for that. Who has answered to none of a whole series is `mute`, and nobody waits for him again.
fn until_told<T>(mute: &mut bool, at_rest: bool, mut ask: impl FnMut() -> Look<T>) -> Look<T> {
    let mut seen = ask();
    for pause in ASKED_AGAIN_MS.iter().filter(|_| at_rest && !*mute) {
        if !matches!(seen, Look::Silent) {
            return seen;
        }
        NoInbox.wait(Duration::from_millis(*pause));
        seen = ask();
    }
    *mute |= at_rest && matches!(seen, Look::Silent);
    seen
}

/// The state that an answer names; one of a word that nobody knows cannot be read.
fn stated(OrderView { state, reserved, net }: OrderView) -> Look<(Code, i32, i64)> {
    Code::parse(&state).map_or(Look::Silent, |code| Look::Is((code, reserved, net)))
}

/// A target that does not answer for so long is gone: nobody waits for ever.
const GONE_AFTER_S: f64 = 60.0;

impl<R> Ears<R> {
    fn new() -> Ears<R> {
        let (calls, events) = (FxHashMap::default(), FxHashMap::default());
        Ears { heard: VecDeque::new(), spare: VecDeque::new(), calls, events, skipped_to: Timestamp::ZERO, asking: Asking::No, silent: None }
    }

    /// Something is sent to the target.
    fn sent(&mut self) {
        if let Asking::Yes = self.asking {
            self.asking = Asking::Overtaken;
        }
    }

    /// What came of the question, once there is an answer; none where it is to be asked.
    fn asked(&mut self) -> Option<Skip> {
        match std::mem::take(&mut self.asking) {
            Asking::No => None,
            Asking::Answered { skipped: Some(Skipped { busy: false, idle, now_ns }), overtaken } => Some(match idle {
                // the target's clock has moved, so ours follows, whatever was sent meanwhile
                false => Skip::To(Timestamp(now_ns)),
                true if overtaken => Skip::Busy,
                true => Skip::Idle,
            }),
            Asking::Answered { .. } => Some(Skip::Busy),
            asking => {
                self.asking = asking;
                Some(Skip::Busy)
            }
        }
    }

    /// Takes in what has come. Nothing was under way when time was skipped, so what came since is not older, though it may have been
    /// stamped before our own clock was moved.
    fn gather(&mut self, inbox: &Mailbox<Heard<R>>) {
        inbox.drain_into(&mut self.spare);
        while let Some(heard) = self.spare.pop_front() {
            match heard.what {
                What::Skipped(skipped) => {
                    let overtaken = matches!(self.asking, Asking::Overtaken);
                    if skipped.is_some() {
                        self.silent = None;
                    } else {
                        self.silent.get_or_insert_with(Stopwatch::start);
                    }
                    if let Some(Skipped { busy: false, idle: false, now_ns }) = skipped {
                        self.skipped_to = Timestamp(now_ns);
                        self.heard.iter_mut().for_each(|held| held.at = held.at.max(self.skipped_to));
                    }
                    self.asking = Asking::Answered { skipped, overtaken };
                }
                what => self.heard.push_back(Heard { at: heard.at.max(self.skipped_to), what }),
            }
        }
    }

    /// While it is not known whether the target's clock was moved, nobody can say when something came: it is held.
    fn holds(&self) -> bool {
        matches!(self.asking, Asking::Yes | Asking::Overtaken)
    }

    fn is_silent(&self) -> bool {
        self.silent.as_ref().is_some_and(|since| since.seconds() > GONE_AFTER_S)
    }

    fn next_due(&self) -> Timestamp {
        self.heard.front().filter(|_| !self.holds()).map_or(Timestamp::NEVER, |heard| heard.at)
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        while self.poll_one(now, out) {}
    }

    /// Gives the engine the first that is due; says whether there was one.
    fn poll_one(&mut self, now: Timestamp, out: &mut Vec<Outbound>) -> bool {
        if self.next_due() > now {
            return false;
        }
        let Some(heard) = self.heard.pop_front() else { return false };
        out.push(match heard.what {
            // taken where it came in
            What::Skipped(_) => return true,
            What::Reply { to, outcome, code, retry_after } => Outbound::Reply { to, outcome, code, retry_after },
            What::Call(msg, answer) => {
                self.calls.entry(msg.id).or_default().push_back(answer);
                Outbound::Call(msg.into())
            }
            What::Event(msg, answer) => {
                self.events.entry(msg.id).or_default().push_back(answer);
                Outbound::Event(msg.into())
            }
        });
        true
    }

    /// Who waits for an answer of ours.
    fn waiting(&self) -> impl Iterator<Item = &R> {
        self.calls.values().chain(self.events.values()).flatten()
    }
    /// The target was killed: whoever waited is gone.
    fn forget(&mut self) {
        self.asking = Asking::No;
        self.calls.clear();
        self.events.clear();
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
