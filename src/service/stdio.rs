//! The reference behind the child-process protocol: one sandbox, one thread, a line at a time. What an adapter in another language does,
//! it does, too.

use super::journal::Journals;
use super::{Config, Trouble, orchestrator};
use crate::model::{Code, Id, Message, Outcome};
use crate::sim::{Clock, Inbox, Mailbox, Timestamp, WallClock};
use crate::target::{Embedded, Inbound, Outbound, Target};
use crate::wire::{self, FromAdapter, Names, OrderView, Sandbox, SkipLine, StockView, ToAdapter};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

/// Name of its one sandbox in a journal.
const SANDBOX: &str = "stdio";

struct Stdio {
    names: Arc<Names>,
    target: Embedded,
    clock: WallClock,
    journal: Option<super::journal::OnDisk>,
    /// the numbers under which messages are to be answered
    answers: FxHashMap<Id, VecDeque<u64>>,
    calls: FxHashMap<String, Arc<Message>>,
    events: FxHashMap<String, Id>,
    out: Vec<Outbound>,
    skips: Vec<(u64, SkipLine)>,
    /// events and calls that were written
    said: u64,
}

/// Speaks on standard input and output until the input ends.
pub fn speak(config: &Config) -> Result<(), Trouble> {
    let lines: Arc<Mailbox<Option<String>>> = Arc::new(Mailbox::new());
    let heard = lines.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            heard.push(Some(line));
        }
        heard.push(None);
    });
    let journals = config.data.as_ref().map(|dir| Journals::open(dir).map_err(|error| Trouble::Journal(dir.clone(), error))).transpose()?;
    let mut stdio: Option<Stdio> = None;
    loop {
        let wait = stdio.as_mut().map_or(Duration::from_secs(3_600), Stdio::wait);
        lines.wait(wait);
        for line in lines.drain() {
            let Some(line) = line else { return Ok(()) };
            let asked: ToAdapter = match serde_json::from_str(&line) {
                Ok(asked) => asked,
                Err(error) => {
                    say(&FromAdapter { log: "error".into(), msg: format!("no line of the protocol: {error}"), ..FromAdapter::default() });
                    continue;
                }
            };
            match (asked.op.as_str(), &mut stdio) {
                ("quit", _) => return Ok(()),
                ("init", _) => match Stdio::open(config, journals.as_ref(), &asked) {
                    Ok(opened) => stdio = Some(opened),
                    Err(why) => say(&FromAdapter { re: asked.id, class: "error".into(), reason: why, ..FromAdapter::default() }),
                },
                (_, Some(stdio)) => stdio.take(&asked),
                (_, None) => say(&FromAdapter { re: asked.id, class: "error".into(), reason: "`init` comes first".into(), ..FromAdapter::default() }),
            }
        }
        stdio.iter_mut().for_each(Stdio::turn);
    }
}

fn say(line: &FromAdapter) {
    let mut out = std::io::stdout().lock();
    // whoever listened is gone: the input will end, too
    let _ = serde_json::to_writer(&mut out, line).map(|()| out.write_all(b"\n").and_then(|()| out.flush()));
}

impl Stdio {
    fn open(config: &Config, journals: Option<&Journals>, asked: &ToAdapter) -> Result<Stdio, String> {
        if asked.args["protocol"] != wire::ADAPTER {
            return Err(format!("the protocol is {}, and this speaks {}", asked.args["protocol"], wire::ADAPTER));
        }
        let sandbox: Sandbox = serde_json::from_value(asked.args["sandbox"].clone()).map_err(|error| format!("no sandbox: {error}"))?;
        let restored = asked.args["restart"] == true && journals.is_some();
        let built = orchestrator::build(config, journals, SANDBOX, &sandbox, restored);
        let (target, journal) = built.map_err(|error| error.to_string())?;
        let clock = WallClock::new(config.scale);
        clock.skip_to(Timestamp(asked.now_ns));
        let result = json!({"protocol": wire::ADAPTER, "name": "orderstorm reference", "clock": "skip", "acknowledgements": true});
        say(&FromAdapter { re: asked.id, class: "ok".into(), result, ..FromAdapter::default() });
        let (answers, calls, events) = (FxHashMap::default(), FxHashMap::default(), FxHashMap::default());
        let names = Arc::new(Names::new(Arc::new(sandbox.estate)));
        let mut stdio = Stdio { names, target, clock, journal, answers, calls, events, out: Vec::new(), skips: Vec::new(), said: 0 };
        if restored {
            stdio.target.restart(stdio.clock.now(), &mut stdio.out);
            stdio.let_out();
        }
        Ok(stdio)
    }

    /// Until it has something to do by itself.
    fn wait(&mut self) -> Duration {
        super::wall_until(self.target.next_due(), &self.clock)
    }

    fn answer(&self, re: u64, class: &str, result: Value) {
        say(&FromAdapter { re, class: class.into(), result, ..FromAdapter::default() });
    }

    fn take(&mut self, asked: &ToAdapter) {
        let now = self.clock.now();
        if !asked.taken.is_empty() || !asked.refused.is_empty() {
            let (id, taken) = if asked.taken.is_empty() { (&asked.refused, false) } else { (&asked.taken, true) };
            match self.events.remove(id) {
                Some(event) if taken => self.target.acknowledged(now, event),
                Some(event) => self.target.refused(now, event),
                None => {}
            }
        } else if !asked.answer.is_empty() {
            let Some(call) = self.calls.remove(&asked.answer) else { return };
            let (outcome, code, wait) = wire::outcome_of(&asked.class, &asked.reason, asked.retry_after_ms);
            if outcome != Outcome::TimedOut {
                let said = serde_json::from_value::<wire::Payload>(asked.args.clone()).ok().and_then(|said| said.message(call.op, &self.names).ok());
                let said = said.unwrap_or_else(|| Message { code, ..Message::new(call.op, call.id) });
                let qty = if outcome == Outcome::Backpressure { (wait.0 / 1_000_000_000) as i32 } else { said.qty };
                let Message { key, corr, fulfillment, ret, order, id, .. } = *call;
                let msg = Message { id, key, corr, cause: id, fulfillment, ret, order, qty, ..said };
                self.target.deliver(now, Inbound::Answer { msg: msg.into(), outcome }, &mut self.out);
            }
        } else {
            self.request(now, asked);
        }
    }

    fn request(&mut self, now: Timestamp, asked: &ToAdapter) {
        let text = |key: &str| asked.args[key].as_str().unwrap_or_default();
        match asked.op.as_str() {
            "GetOrder" => match self.target.order_state(self.names.order(text("order_id"))).known() {
                Some((state, reserved, net)) => {
                    self.answer(asked.id, "ok", json!(OrderView { state: state.name().into(), reserved, net }));
                }
                None => self.answer(asked.id, "rejected", json!({"reason": Code::UnknownOrder.name()})),
            },
            "GetInventory" => match (self.names.node(text("node_id")), self.names.sku(text("sku"))) {
                (Ok(node), Ok(sku)) => {
                    let (on_hand, reserved) = self.target.inventory(node, sku, true).known().unwrap_or_default();
                    self.answer(asked.id, "ok", json!(StockView { on_hand, reserved }));
                }
                _ => self.answer(asked.id, "rejected", Value::Null),
            },
            "skip" => match serde_json::from_value(asked.args.clone()) {
                Ok(skip) => self.skips.push((asked.id, skip)),
                Err(error) => self.answer(asked.id, "error", json!(error.to_string())),
            },
            _ => match asked.read(&self.names) {
                Ok(msg) => {
                    self.answers.entry(msg.id).or_default().push_back(asked.id);
                    self.target.deliver(now, Inbound::Message(msg.into()), &mut self.out);
                }
                Err(lacks) => self.answer(asked.id, "unsupported", json!(lacks.to_string())),
            },
        }
    }

    fn turn(&mut self) {
        self.target.poll(self.clock.now(), &mut self.out);
        self.let_out();
        for (id, skip) in std::mem::take(&mut self.skips) {
            let skipped = super::skip(&self.clock, self.target.next_due(), skip.to_ns, skip.heard == self.said);
            self.answer(id, "ok", json!(skipped));
        }
    }

    /// First to the disk, then out.
    fn let_out(&mut self) {
        if let Some(journal) = &self.journal {
            journal.commit_here();
        }
        for outbound in std::mem::take(&mut self.out) {
            match outbound {
                Outbound::Reply { to, outcome, code, retry_after } => {
                    let Some(re) = self.answers.get_mut(&to).and_then(VecDeque::pop_front) else { continue };
                    let (class, reason) = (wire::class_of(outcome).into(), code.name().into());
                    say(&FromAdapter { re, class, reason, retry_after_ms: retry_after.0 / 1_000_000, ..FromAdapter::default() });
                }
                Outbound::Call(msg) => {
                    let line = FromAdapter::said(&msg, &self.names);
                    self.calls.insert(line.id.clone(), msg);
                    self.said += 1;
                    say(&line);
                }
                Outbound::Event(msg) => {
                    let line = FromAdapter::said(&msg, &self.names);
                    self.events.insert(line.id.clone(), msg.id);
                    self.said += 1;
                    say(&line);
                }
            }
        }
    }
}
