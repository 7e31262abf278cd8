//! A target behind a child process of ours: JSON lines on its standard input and output, in any language. What it writes to standard error
//! is shown. When it ends, every request that is open is of unknown outcome; so is one that was not answered in time.

use super::super::{Inbound, Look, Outbound, Skip, Target};
use super::{Asking, Ears, Heard, What, commands, stated, until_told};
use crate::model::{Code, Id, NodeId, OrderNo, Outcome, SharedNames, SkuId};
use crate::sim::{Clock, Inbox, Mailbox, Span, Stopwatch, Timestamp, WallClock};
use crate::wire::{self, FromAdapter, Names, Payload, Sandbox, StockView, ToAdapter};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{debug, info, warn};

/// How an adapter is started, and how long it is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adapter {
    /// program and arguments
    pub command: Vec<String>,
    pub timeout: Duration,
    pub patience: Span,
}

/// The text of a call or an event that waits for our answer.
type Waiting = String;

/// Who waits for an answer of the adapter.
enum Asked {
    /// a message of the engine's
    Message(Id),
    /// the thread that runs the case
    Here(mpsc::Sender<FromAdapter>),
    /// whether time may be skipped
    Skip,
}

/// Questions by their number.
#[derive(Default)]
struct Questions {
    open: FxHashMap<u64, Asked>,
    /// nobody waits for these any longer, and an answer is none
    given_up: FxHashSet<u64>,
}

impl Questions {
    fn give_up(&mut self, id: u64) -> Option<Asked> {
        let asked = self.open.remove(&id)?;
        self.given_up.insert(id);
        Some(asked)
    }
}

/// What the threads around one child share.
struct Shared {
    names: Arc<Names>,
    clock: WallClock,
    inbox: Mailbox<Heard<Waiting>>,
    asked: Mutex<Questions>,
    dead: AtomicBool,
    /// `init` was answered
    greeted: AtomicBool,
    /// events and calls that came
    heard: AtomicU64,
    /// lines that could not be read, and the first of them with its fault
    unreadable: AtomicUsize,
    first_fault: Mutex<String>,
}

/// A line as it is quoted: what is wrong with it shows at its beginning.
fn shown(line: &str) -> String {
    const MOST: usize = 200;
    let more = if line.chars().nth(MOST).is_some() { ".." } else { "" };
    format!("`{}{more}`", line.chars().take(MOST).collect::<String>())
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Questions> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, line: &str, why: &str) {
        warn!(why, "a line that cannot be read");
        let mut first = self.first_fault.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            *first = if line.is_empty() { why.into() } else { format!("{why} in {}", shown(line)) };
        }
        drop(first);
        // the text before the count: who sees the count may show the text
        self.unreadable.fetch_add(1, Ordering::Release);
        // who cannot say its first word will not say a better one: `init` is not waited for any longer
        if !self.greeted.load(Ordering::Acquire) {
            self.asked().open.clear();
        }
    }

    fn take(&self, line: &str) {
        let at = self.clock.now();
        let said: FromAdapter = match serde_json::from_str(line) {
            Ok(said) => said,
            Err(error) => return self.fault(line, &format!("no JSON of the protocol ({error})")),
        };
        if said.re != 0 {
            // what was heard is in the inbox before the question is gone: who sees none open has heard all answers
            let mut asked = self.asked();
            match asked.open.remove(&said.re) {
                Some(Asked::Here(to)) => {
                    let _ = to.send(said);
                }
                Some(Asked::Skip) => self.inbox.push(Heard { at, what: What::Skipped(serde_json::from_value(said.result).ok()) }),
                Some(Asked::Message(to)) => {
                    let (outcome, code, retry_after) = wire::outcome_of(&said.class, &said.reason, said.retry_after_ms);
                    debug!(id = self.names.show_id(to), outcome = outcome.name(), code = code.name(), "answer");
                    let code = if matches!(outcome, Outcome::Rejected | Outcome::Backpressure) { code } else { Code::None };
                    self.inbox.push(Heard { at, what: What::Reply { to, outcome, code, retry_after } });
                }
                None if asked.given_up.remove(&said.re) => debug!(question = said.re, "an answer for which nobody waits any longer"),
                None => {
                    drop(asked);
                    self.fault(line, "an answer to what nobody asked, or to what was answered before");
                }
            }
        } else if !said.log.is_empty() {
            eprintln!("adapter: {}: {}", said.log, said.msg);
        } else {
            let is_event = !said.event.is_empty();
            match said.read(&self.names) {
                Ok(msg) => {
                    debug!(op = msg.op.name(), order = self.names.show_order(msg.order), id = said.id, "received");
                    self.inbox.push(Heard { at, what: if is_event { What::Event(msg, said.id) } else { What::Call(msg, said.id) } });
                }
                Err(lacks) => self.fault(line, &lacks.to_string()),
            }
            // after it was put into the inbox: who reads the count first has what was counted
            self.heard.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The adapter has ended: nobody knows what became of what was asked.
    fn end(&self) {
        self.dead.store(true, Ordering::Release);
        let at = self.clock.now();
        let mut asked = self.asked();
        let mut open: Vec<(u64, Asked)> = asked.open.drain().collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        for (_, asked) in open {
            if let Asked::Message(to) = asked {
                self.inbox.push(Heard { at, what: What::Reply { to, outcome: Outcome::TimedOut, code: Code::None, retry_after: Span::ZERO } });
            }
        }
    }
}

/// One child, with the threads that write to it and read from it.
struct Running {
    child: Child,
    lines: mpsc::Sender<String>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

/// A target of one case.
pub struct Process {
    adapter: Adapter,
    sandbox: Sandbox,
    running: Running,
    next: u64,
    ears: Ears<Waiting>,
    skips: bool,
    /// messages that were sent, with their time; the oldest first
    sent: VecDeque<(u64, Stopwatch)>,
    names: Arc<Names>,
    /// children that ended before: their faults count, too
    unreadable: usize,
    ended_by_itself: bool,
    /// it did not answer when it was asked at rest
    mute: bool,
}

impl Process {
    /// Starts the adapter and sets it up for one case.
    pub fn open(adapter: &Adapter, sandbox: Sandbox, clock: &WallClock) -> Result<Process, String> {
        let names = Arc::new(Names::new(Arc::new(sandbox.estate.clone())));
        let running = start(adapter, &names, clock)?;
        let mut process = Process {
            adapter: adapter.clone(),
            sandbox,
            running,
            next: 0,
            ears: Ears::new(),
            skips: false,
            sent: VecDeque::new(),
            names,
            unreadable: 0,
            ended_by_itself: false,
            mute: false,
        };
        process.init(false)?;
        Ok(process)
    }

    fn init(&mut self, again: bool) -> Result<(), String> {
        let args = serde_json::json!({"protocol": wire::ADAPTER, "sandbox": self.sandbox, "restart": again});
        let said = self.ask("init", args);
        let shared = &self.running.shared;
        if let Some(said) = said.as_ref().filter(|said| said.class == "ok" && said.result["protocol"] == wire::ADAPTER) {
            shared.greeted.store(true, Ordering::Release);
            self.skips = said.result["clock"] == "skip";
            return Ok(());
        }
        let line = |said: &FromAdapter| serde_json::to_string(said).unwrap_or_default();
        let wrong = match said {
            Some(said) => format!("`init` was answered {}", shown(&line(&said))),
            None if shared.unreadable.load(Ordering::Acquire) > 0 => format!("no answer to `init`{}", self.fault()),
            None if shared.dead.load(Ordering::Acquire) => "no answer to `init`: the adapter ended".into(),
            None => format!("no answer to `init` in {} s (`timeout` under [adapter])", self.adapter.timeout.as_secs_f64()),
        };
        let result = serde_json::json!({"protocol": wire::ADAPTER, "name": "mine"});
        let expected = line(&FromAdapter { re: self.next, class: "ok".into(), result, ..FromAdapter::default() });
        let help = "standard output is for lines of the protocol alone (docs/adapter.md); what people should read goes to standard error";
        Err(format!("{}: {wrong}\n  = expected: a line such as {expected}\n  = help: {help}", self.adapter.command.join(" ")))
    }

    /// Texts of the adapter's that ids stand for.
    pub fn names(&self) -> SharedNames {
        self.names.shared()
    }
    /// What was wrong with the adapter's lines, if anything.
    pub fn fault(&self) -> String {
        let first = self.running.shared.first_fault.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() { String::new() } else { format!(": {first}") }
    }
    pub fn unreadable(&self) -> usize {
        self.unreadable + self.running.shared.unreadable.load(Ordering::Relaxed)
    }
    /// It ended before anybody wanted it to.
    fn is_dead(&self) -> bool {
        self.ended_by_itself || self.running.shared.dead.load(Ordering::Acquire)
    }
    /// Why nothing more is to be had of it, if so.
    pub fn broken(&self) -> Option<String> {
        if self.is_dead() {
            return Some(format!("the adapter ended before the case did{}", self.fault()));
        }
        self.ears.is_silent().then(|| format!("the adapter has not said for a minute whether time may go on{}", self.fault()))
    }

    fn signal(&mut self, name: &str) {
        if let Err(why) = commands::signal(name, self.running.child.id()) {
            self.running.shared.fault("", &format!("it could not be told to stand still or go on ({why})"));
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn write(&self, line: &ToAdapter) {
        // a child that has ended is noticed by its reader
        let _ = serde_json::to_string(line).map(|text| self.running.lines.send(text));
    }

    fn ask(&mut self, op: &str, args: serde_json::Value) -> Option<FromAdapter> {
        let id = self.number();
        let (to, answer) = mpsc::channel();
        self.running.shared.asked().open.insert(id, Asked::Here(to));
        let shared = &self.running.shared;
        if shared.dead.load(Ordering::Acquire) || !shared.greeted.load(Ordering::Acquire) && shared.unreadable.load(Ordering::Acquire) > 0 {
            return None;
        }
        let now_ns = self.running.shared.clock.now().0;
        self.write(&ToAdapter { id, op: op.into(), args, now_ns, ..ToAdapter::default() });
        answer.recv_timeout(self.adapter.timeout).inspect_err(|_| drop(self.running.shared.asked().give_up(id))).ok()
    }

    /// Nobody waits longer than the profile says.
    fn give_up_on_late(&mut self) {
        let most = self.adapter.timeout.as_secs_f64();
        while self.sent.front().is_some_and(|(_, since)| since.seconds() >= most) {
            let Some((id, _)) = self.sent.pop_front() else { return };
            let shared = &self.running.shared;
            // what was answered is open no more
            if let Some(Asked::Message(to)) = shared.asked().give_up(id) {
                debug!(id = self.names.show_id(to), "no answer in time");
                let what = What::Reply { to, outcome: Outcome::TimedOut, code: Code::None, retry_after: Span::ZERO };
                shared.inbox.push(Heard { at: shared.clock.now(), what });
            }
        }
    }

    fn look<T: serde::de::DeserializeOwned>(&mut self, op: &str, args: &serde_json::Value, at_rest: bool) -> Look<T> {
        let mut mute = self.mute;
        let look = until_told(&mut mute, at_rest, || match self.ask(op, args.clone()) {
            Some(said) if said.class == "ok" => serde_json::from_value(said.result).map_or(Look::Silent, Look::Is),
            Some(said) if said.class == "rejected" => Look::Unknown,
            _ => Look::Silent,
        });
        self.mute = mute;
        look
    }
}

fn start(adapter: &Adapter, names: &Arc<Names>, clock: &WallClock) -> Result<Running, String> {
    let (program, arguments) = adapter.command.split_first().ok_or("the adapter's command is empty")?;
    let spawned = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("{program} cannot be started: {error}"))?;
    info!(program, id = child.id(), "adapter started");
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else { return Err(format!("{program} has no standard input")) };
    let shared = Arc::new(Shared {
        names: names.clone(),
        clock: clock.clone(),
        inbox: Mailbox::new(),
        asked: Mutex::default(),
        dead: AtomicBool::new(false),
        greeted: AtomicBool::new(false),
        heard: AtomicU64::new(0),
        unreadable: AtomicUsize::new(0),
        first_fault: Mutex::default(),
    });
    // a thread of its own: an adapter that does not read must not stop the case
    let (lines, waiting) = mpsc::channel::<String>();
    let write = move || {
        for line in waiting {
            if to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    };
    let ears = shared.clone();
    let read = move || {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        loop {
            line.clear();
            match from.by_ref().take(wire::LONGEST_LINE as u64).read_line(&mut line) {
                Ok(0) | Err(_) => return ears.end(),
                Ok(_) if !line.ends_with('\n') && line.len() >= wire::LONGEST_LINE => {
                    ears.fault(&line, "a line of more than 1 MiB");
                    return ears.end();
                }
                Ok(_) if line.trim().is_empty() => {}
                Ok(_) => ears.take(line.trim_end()),
            }
        }
    };
    let thread = |name: &str| std::thread::Builder::new().name(name.into());
    let failed = |error| format!("no thread for the adapter: {error}");
    thread("adapter-write").spawn(write).map_err(failed)?;
    let reader = Some(thread("adapter-read").spawn(read).map_err(failed)?);
    Ok(Running { child, lines, shared, reader })
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.write(&ToAdapter { op: "quit".into(), ..ToAdapter::default() });
    }
}

impl Target for Process {
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, out: &mut Vec<Outbound>) {
        self.ears.sent();
        match inbound {
            Inbound::Message(msg) if self.running.shared.dead.load(Ordering::Acquire) => {
                out.push(Outbound::Reply { to: msg.id, outcome: Outcome::Refused, code: Code::None, retry_after: Span::ZERO });
            }
            Inbound::Message(msg) => {
                let id = self.number();
                debug!(op = msg.op.name(), order = self.names.show_order(msg.order), id = self.names.show_id(msg.id), "sent");
                self.running.shared.asked().open.insert(id, Asked::Message(msg.id));
                self.sent.push_back((id, Stopwatch::start()));
                self.write(&ToAdapter::message(id, &msg, now.0, &self.names));
            }
            Inbound::Answer { msg, outcome } => {
                let Some(answer) = self.ears.caller(msg.id) else { return };
                let retry_after_ms = if outcome == Outcome::Backpressure { msg.qty.max(0) as u64 * 1_000 } else { 0 };
                let args = serde_json::to_value(Payload::of(&msg, &self.names)).unwrap_or_default();
                let (class, reason) = (wire::class_of(outcome).into(), msg.code.name().into());
                self.write(&ToAdapter { answer, class, reason, retry_after_ms, args, now_ns: now.0, ..ToAdapter::default() });
            }
        }
    }

    fn next_due(&mut self) -> Timestamp {
        self.give_up_on_late();
        self.ears.gather(&self.running.shared.inbox);
        self.ears.next_due()
    }

    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        self.ears.gather(&self.running.shared.inbox);
        self.ears.poll(now, out);
    }

    fn acknowledged(&mut self, now: Timestamp, event: Id) {
        if let Some(taken) = self.ears.publisher(event) {
            self.write(&ToAdapter { taken, now_ns: now.0, ..ToAdapter::default() });
        }
    }

    fn refused(&mut self, now: Timestamp, event: Id) {
        if let Some(refused) = self.ears.publisher(event) {
            self.write(&ToAdapter { refused, now_ns: now.0, ..ToAdapter::default() });
        }
    }

    fn crash(&mut self) {
        info!("the adapter is killed");
        let _ = self.running.child.kill();
        let _ = self.running.child.wait();
        self.unreadable += self.running.shared.unreadable.load(Ordering::Relaxed);
        // what it had written when it died has left it: the pipe gives it out to its end
        let _ = self.running.reader.take().map(JoinHandle::join);
        (self.ears.asking, self.ears.silent) = (Asking::No, None);
        self.ears.gather(&self.running.shared.inbox);
    }

    fn restart(&mut self, _now: Timestamp, _out: &mut Vec<Outbound>) {
        self.ears.forget();
        let clock = self.running.shared.clock.clone();
        let started = start(&self.adapter, &self.names, &clock).map(|running| self.running = running);
        if let Err(why) = started.and_then(|()| self.init(true)) {
            eprintln!("error: the adapter did not start again: {why}");
            self.ended_by_itself = true;
        }
    }

    fn pause(&mut self) {
        self.signal("STOP");
    }

    fn resume(&mut self) {
        self.signal("CONT");
        // who stood still could not answer
        self.ears.silent = None;
    }

    fn order_state(&mut self, order: OrderNo) -> Look<(Code, i32, i64)> {
        self.look("GetOrder", &serde_json::json!({"order_id": self.names.show_order(order)}), true).and_then(stated)
    }

    fn inventory(&mut self, node: NodeId, sku: SkuId, at_rest: bool) -> Look<(i64, i64)> {
        let estate = self.names.estate();
        let args = serde_json::json!({"node_id": estate.node_name(node), "sku": estate.sku_name(sku)});
        self.look("GetInventory", &args, at_rest).and_then(|StockView { on_hand, reserved }| Look::Is((on_hand, reserved)))
    }

    fn is_live(&self) -> bool {
        true
    }

    fn inbox(&self) -> &dyn Inbox {
        &self.running.shared.inbox
    }

    fn skip(&mut self, to: Option<Timestamp>) -> Skip {
        if !self.skips {
            return Skip::Unable;
        }
        if let Some(skip) = self.ears.asked() {
            if self.ears.holds() {
                self.ears.silent.get_or_insert_with(Stopwatch::start);
            }
            return skip;
        }
        let under_way = !self.running.shared.asked().open.is_empty();
        let heard = self.running.shared.heard.load(Ordering::Acquire);
        self.ears.gather(&self.running.shared.inbox);
        if under_way || !self.ears.heard.is_empty() {
            return Skip::Busy;
        }
        let args = serde_json::to_value(wire::SkipLine { to_ns: to.map(|to| to.0), heard }).unwrap_or_default();
        let id = self.number();
        self.running.shared.asked().open.insert(id, Asked::Skip);
        self.ears.asking = Asking::Yes;
        self.write(&ToAdapter { id, op: "skip".into(), args, now_ns: self.running.shared.clock.now().0, ..ToAdapter::default() });
        Skip::Busy
    }

    fn is_gone(&self) -> bool {
        self.is_dead() || self.ears.is_silent()
    }

    fn patience(&self) -> Span {
        self.adapter.patience
    }

    fn unanswered(&mut self, call: Id) {
        // a pipe has no connection to close: the adapter's own time-out sees to it
        if let Some(answer) = self.ears.caller(call) {
            self.write(&ToAdapter { answer, class: wire::class_of(Outcome::TimedOut).into(), ..ToAdapter::default() });
        }
    }
}
