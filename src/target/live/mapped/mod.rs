//! A target that speaks its own API over HTTP, as a profile maps it. Commands, feeds and callbacks go out as the steps of the profile; its
//! webhooks, rows of polls and calls of partners come in, and what they are in the vocabulary the profile says.
//!
//! Rooms: `case` (what is known of one case), `steps` (requests and what their answers mean), `hear` (what the target says).

mod case;
mod hear;
mod steps;

pub use case::Shared;

use super::super::{Inbound, Look, Outbound, Skip, Target};
use super::exchange::Exchange;
use super::http::{Ear, Harness, Responder, answered, respond, salt};
use super::{Commands, Controlled, Ears, Heard, What, until_told};
use crate::model::{Code, Id, Message, NodeId, OrderNo, Outcome, SharedNames, SkuId};
use crate::net::{Arrived, Deed, SpanKind};
use crate::sim::{Clock, Inbox, Span, Stopwatch, Timestamp, WallClock};
use crate::wire::{self, Answered, Names, Sandbox, Traces};
use case::{About, Case};
use minijinja::value::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// What is done through the target's own API is tried again after so long, as somebody does who looks at a list.
const LOOKS_AGAIN: Span = Span::from_secs(5);

/// Whoever was turned away with an event tries again. Between two attempts business time moves so far at first, then eight times as far, and no
/// further than the last.
const FIRST_STEP: Span = Span::from_secs(1);
const LONGEST_STEP: Span = Span::from_mins(30);
/// So much of what was sent and came back is shown where a case cannot be set up.
const SHOWN: usize = 8;
/// In real time: a target that has not tried again for so long has given up.
const GIVES_UP: Duration = Duration::from_secs(20);

/// In real time: a case that is unknown for a reason of its own goes on for no longer.
const UNKNOWN_ANYWAY: Duration = Duration::from_secs(60);

/// What a target is set up with for one case.
pub struct MappedOpening<'a> {
    pub name: String,
    /// short, and the same for nothing else: SKUs and ids of the case may begin with it
    pub prefix: String,
    pub sandbox: &'a Sandbox,
    pub clock: &'a WallClock,
    /// it does nothing by the clock
    pub timeless: bool,
    pub settle: Span,
    pub patience: Span,
    /// what is done to its process
    pub commands: Commands,
    /// what is sent and what comes back is kept for who looks on
    pub tape: bool,
    /// set by whoever does not want to wait until it is ready
    pub stop: &'a AtomicBool,
    /// is told that it is waited for
    pub tell: &'a dyn Fn(&str),
}

/// A mapped target of one case.
pub struct Mapped {
    handle: Handle,
    harness: Harness,
    case: Arc<Case>,
    name: String,
    ears: Ears<Responder>,
    /// the next thing that is heard is given to the engine at this time at the earliest
    next_at: Timestamp,
    /// calls through the target's own API that are to be tried again
    again: Vec<(Timestamp, Message)>,
    polls: Vec<(JoinHandle<()>, Arc<hear::Seen>)>,
    timeless: bool,
    settle: Span,
    patience: Span,
    /// how much had happened when everything had settled
    settled_at: u64,
    process: Controlled,
    retries: Retries,
    /// it did not answer when it was asked at rest
    mute: bool,
}

/// How far time has moved for a target that was turned away with an event.
struct Retries {
    /// deliveries that had been turned away when it moved last
    seen: u64,
    since: Stopwatch,
    step: Span,
}

impl Ear for Case {
    fn receive(self: Arc<Self>, arrived: Arrived) -> Pin<Box<dyn Future<Output = Deed> + Send>> {
        Box::pin(hear::receive(self, arrived))
    }
}

impl Mapped {
    /// Sets a case up: ready, lookups, the steps of `[open]`, and the subscription to events.
    pub fn open(harness: &Harness, shared: Arc<Shared>, opening: MappedOpening<'_>) -> Result<Mapped, String> {
        let MappedOpening { name, prefix, sandbox, clock, timeless, settle, patience, commands, tape, stop, tell } = opening;
        let names = Names::new(Arc::new(sandbox.estate.clone())).in_traces(Traces::beginning(salt(&name)));
        let (webhook_url, partners_url) = (format!("{}/{name}/webhook", harness.url()), format!("{}/{name}/{}", harness.url(), wire::CALL_PREFIX));
        let about = About { name: &name, prefix: &prefix, seed: sandbox.seed, webhook_url: &webhook_url, partners_url: &partners_url };
        let case = Arc::new(Case::new(shared, names, clock.clone(), &about, tape));
        harness.register(&name, case.clone());
        let mut mapped = Mapped {
            handle: harness.handle().clone(),
            harness: harness.clone(),
            case,
            name,
            ears: Ears::new(),
            next_at: Timestamp::ZERO,
            again: Vec::new(),
            polls: Vec::new(),
            timeless,
            settle,
            patience,
            settled_at: u64::MAX,
            process: Controlled::by(commands),
            retries: Retries { seen: 0, since: Stopwatch::start(), step: FIRST_STEP },
            mute: false,
        };
        mapped.begin(stop, tell).map_err(|why| {
            let authority = mapped.case.shared.client.authority();
            let tape = mapped.case.taped();
            let before = tape.len().saturating_sub(SHOWN);
            let shown =
                if tape.is_empty() { String::new() } else { format!("\n  the last that was sent and came back:\n{}", tape[before..].join("\n")) };
            format!("{authority}: {why}{shown}")
        })?;
        clock.begin();
        mapped.case.traffic.begin();
        Ok(mapped)
    }

    fn begin(&mut self, stop: &AtomicBool, tell: &dyn Fn(&str)) -> Result<(), String> {
        let (case, mapping) = (&self.case, self.case.shared.mapping.clone());
        if let Some(reset) = &mapping.reset {
            if !case.shared.reset.is_empty() {
                let command = Commands { timeout: Duration::from_nanos(reset.timeout.0), ..Commands::default() };
                command.run(&case.shared.reset).map_err(|why| format!("the reset of the profile: {why}"))?;
            }
            case.shared.forget();
        }
        self.handle.block_on(async {
            if let Some(reset) = &mapping.reset {
                steps::series(case, &reset.steps).await?;
            }
            steps::waited_for(case, stop, tell).await?;
            steps::lookups(case, false).await?;
            steps::series(case, &mapping.open).await?;
            steps::lookups(case, true).await?;
            steps::series(case, &mapping.events.subscribe).await
        })?;
        for number in 0..mapping.events.polls.len() {
            let seen: Arc<hear::Seen> = Arc::default();
            self.polls.push((self.handle.spawn(hear::poll(case.clone(), number, seen.clone())), seen));
        }
        Ok(())
    }

    /// Texts of the target's that ids stand for.
    pub fn names(&self) -> SharedNames {
        self.case.names.shared()
    }
    /// Why what was recorded cannot be relied on.
    pub fn troubles(&self) -> Vec<String> {
        self.process.broken().map(str::to_owned).into_iter().chain(self.case.troubles()).collect()
    }

    /// What was sent and what came back.
    pub fn tape(&self) -> Vec<String> {
        self.case.taped()
    }

    fn read(&mut self, read: Option<&crate::mapping::Read>, order: OrderNo, cmd: &Message, at_rest: bool) -> Look<BTreeMap<String, Value>> {
        let Some(read) = read else { return Look::Silent };
        let mut mute = self.mute;
        let look = until_told(&mut mute, at_rest, || {
            let scope = self.case.scope_of(cmd, false).with("item", Value::default());
            self.handle.block_on(steps::read(&self.case, read, order, &scope))
        });
        self.mute = mute;
        look
    }

    /// One number of a read. What is none is the profile's mistake, and no nought.
    fn number(&self, what: &str, values: &BTreeMap<String, Value>, name: &str) -> Option<i64> {
        let value = values.get(name)?;
        let number = whole(value);
        if number.is_none() {
            self.case.trouble(format!("profile, {what}: `{name}` came out as `{value}`: expected a whole number"));
        }
        number
    }

    /// An event that was turned away comes again, and by what is due nobody can tell when. None where it does not come any more.
    fn until_it_tries_again(&mut self, to: Option<Timestamp>) -> Option<Skip> {
        let turned_away = self.case.traffic.turned_away();
        if turned_away == self.retries.seen {
            return (self.retries.since.seconds() < GIVES_UP.as_secs_f64()).then_some(Skip::Busy);
        }
        let next = self.case.clock.now() + self.retries.step;
        self.retries = Retries { seen: turned_away, since: Stopwatch::start(), step: self.retries.step.saturating_mul(8).min(LONGEST_STEP) };
        Some(Skip::To(to.map_or(next, |to| to.min(next))))
    }

    fn try_again(&mut self, now: Timestamp, call: Id) {
        let Some(msg) = self.case.take_driven(call) else { return };
        // another attempt of the same intent
        let id = self.case.names.id(&format!("{}'", self.case.names.show_id(msg.id)));
        self.again.push((now + LOOKS_AGAIN, Message { id, cause: msg.id, ..msg }));
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.polls.iter().for_each(|(poll, _)| poll.abort());
        let mapping = self.case.shared.mapping.clone();
        // what stays behind at the target costs it memory; the verdict is made
        let _ = self.handle.block_on(steps::series(&self.case, &mapping.close));
        self.harness.leave(&self.name);
    }
}

/// A whole number that a read came to; none where it is another thing, as 48.5 is.
fn whole(value: &Value) -> Option<i64> {
    i64::try_from(value.clone()).ok().or_else(|| value.to_string().parse().ok())
}

impl Target for Mapped {
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, _out: &mut Vec<Outbound>) {
        match inbound {
            Inbound::Message(msg) => {
                self.case.follow(&msg, Outcome::None);
                let (case, to) = (self.case.clone(), msg.id);
                case.traffic.opened();
                case.traffic.moved(now);
                // one span, however many requests a profile makes of the message: all of them carry its traceparent
                let context = case.names.traces().outgoing(&msg);
                let exchange = self.harness.spans().map(|spans| Exchange::begin(spans, &self.name, SpanKind::Client, context, &msg, &case.names));
                self.handle.spawn(async move {
                    let ended = steps::command(case.clone(), msg).await;
                    let at = case.clock.now();
                    let steps::Ended { outcome, code, retry_after, .. } = ended;
                    exchange.into_iter().for_each(|exchange| exchange.end_as(outcome));
                    // a good answer's reason is none of a command's business
                    let code = if matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending) { Code::None } else { code };
                    case.inbox.push(Heard { at, what: What::Reply { to, outcome, code, retry_after } });
                    case.traffic.closed();
                });
            }
            Inbound::Answer { msg, outcome } => {
                self.case.follow(&msg, outcome);
                if !matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected) {
                    self.try_again(now, msg.id);
                }
                let answered = answered(outcome, &msg, &self.case.names);
                let caller = self.ears.caller(msg.id);
                respond(caller.filter(|_| outcome != Outcome::Refused), answered);
            }
        }
    }

    fn next_due(&mut self) -> Timestamp {
        self.ears.gather(&self.case.inbox);
        let again = self.again.iter().map(|(at, _)| *at).min().unwrap_or(Timestamp::NEVER);
        // what comes at one time would be put into any order, and one look or webhook tells of several things in theirs
        self.ears.next_due().max(self.next_at).min(again)
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        self.ears.gather(&self.case.inbox);
        if now == Timestamp::NEVER {
            // it is killed: what it had said before has left it, all of it
            self.ears.poll(now, out);
        } else if now >= self.next_at && self.ears.poll_one(now, out) {
            self.next_at = now + Span(1);
        }
        for (_, msg) in self.again.extract_if(.., |(at, _)| *at <= now) {
            self.case.driven(msg.clone());
            out.push(Outbound::Call(msg.into()));
        }
    }

    fn acknowledged(&mut self, _now: Timestamp, event: Id) {
        respond(self.ears.publisher(event), Answered::empty(204));
    }

    fn refused(&mut self, _now: Timestamp, event: Id) {
        respond(self.ears.publisher(event), Answered::empty(503));
    }

    fn crash(&mut self) {
        self.process.kill();
        self.ears.gather(&self.case.inbox);
    }

    fn restart(&mut self, _now: Timestamp, _out: &mut Vec<Outbound>) {
        self.ears.forget();
        let (handle, case) = (self.handle.clone(), self.case.clone());
        self.process.start(|| handle.block_on(steps::ready(&case)).is_ok());
    }

    fn pause(&mut self) {
        self.process.pause();
    }

    fn resume(&mut self) {
        self.process.resume();
    }

    fn is_gone(&self) -> bool {
        self.process.broken().is_some() || self.case.troubled_for() > UNKNOWN_ANYWAY.as_secs_f64()
    }

    fn order_state(&mut self, order: OrderNo) -> Look<(Code, i32, i64)> {
        let msg = Message::of_order(crate::model::Op::GetOrder, Id::NONE, order);
        let mapping = self.case.shared.mapping.clone();
        let look = self.read(mapping.read_order.as_ref(), order, &msg, true);
        look.and_then(|values| {
            let state = values.get("state").map(ToString::to_string).unwrap_or_default();
            let Some(code) = Code::parse(&state).filter(|code| *code != Code::None) else {
                self.case.trouble(format!("profile, read.order: `state` came out as `{state}`: expected open, completed, state_cancelled, .."));
                return Look::Silent;
            };
            let number = |name| self.number("read.order", &values, name);
            let held = number("reserved").and_then(|held| i32::try_from(held).ok());
            held.zip(number("net")).map_or(Look::Silent, |(held, net)| Look::Is((code, held, net)))
        })
    }

    fn inventory(&mut self, node: NodeId, sku: SkuId, at_rest: bool) -> Look<(i64, i64)> {
        let msg = Message { node, sku, ..Message::new(crate::model::Op::GetInventory, Id::NONE) };
        let mapping = self.case.shared.mapping.clone();
        let look = self.read(mapping.read_stock.as_ref(), OrderNo::NONE, &msg, at_rest);
        look.and_then(|values| {
            let number = |name| self.number("read.stock", &values, name);
            number("on_hand").zip(number("reserved")).map_or(Look::Silent, Look::Is)
        })
    }

    fn tells_stock(&self) -> bool {
        self.case.shared.mapping.read_stock.is_some()
    }

    fn tells_states(&self) -> bool {
        self.case.shared.mapping.read_order.is_some()
    }

    fn is_live(&self) -> bool {
        true
    }

    fn inbox(&self) -> &dyn Inbox {
        &self.case.inbox
    }

    fn skip(&mut self, to: Option<Timestamp>) -> Skip {
        if !self.timeless {
            return Skip::Unable;
        }
        // in this order: an answer is put into the inbox before it is no longer under way
        let open = self.case.traffic.is_open();
        self.ears.gather(&self.case.inbox);
        // a command that waits for us is not what keeps us
        let waits = self.ears.waiting().any(|caller| !caller.is_closed());
        if open && !waits || !self.ears.heard.is_empty() {
            return Skip::Busy;
        }
        let moves = self.case.traffic.moves();
        if moves != self.settled_at {
            let asleep = self.case.clock.now().since(self.case.traffic.last()) >= self.settle;
            let seen = self.polls.iter().all(|(_, seen)| seen.quiet_at.load(Ordering::Acquire) >= moves);
            if !asleep || !seen {
                return Skip::Busy;
            }
            self.settled_at = moves;
        }
        if !self.case.owes_any() {
            self.retries.step = FIRST_STEP;
        } else if let Some(skip) = self.until_it_tries_again(to) {
            return skip;
        }
        // nothing comes of itself: only ours is to be done
        to.map_or(Skip::Idle, Skip::To)
    }

    fn patience(&self) -> Span {
        self.patience
    }

    fn unanswered(&mut self, call: Id) {
        self.try_again(self.case.clock.now(), call);
        drop(self.ears.caller(call));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_number_is_not_taken_for_nought() {
        for (value, number) in [(Value::from(48), Some(48)), (Value::from("-3"), Some(-3)), (Value::from(48.5), None), (Value::from("open"), None)] {
            assert_eq!(whole(&value), number, "{value}");
        }
        assert_eq!(whole(&Value::from(())), None);
    }
}
