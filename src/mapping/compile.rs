//! From the tables of a profile to a [`Mapping`]: every expression and template is read, every name looked up, and what is wrong is told
//! with the path that it stands at.

use super::file::*;
use super::{Bind, Body, EventRule, Events, Expr, Lookup, Mapping, OutcomeRule, Partner, Poll, Read, Reset, Session, Shape, Step, Template, Until};
use super::{Whose, partner_of, value_of};
use crate::model::{Class, Code, Op};
use crate::sim::Span;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What a request may be made from.
const ASKING: &[&str] = &["cmd", "again", "ids", "lookup", "words", "setup", "case", "env", "session", "item", "now_ms"];
/// What an answer is looked at with.
const ANSWERED: &[&str] = &[
    "cmd", "again", "ids", "lookup", "words", "setup", "case", "env", "session", "item", "now_ms", "status", "headers", "body", "timeout", "refused",
    "broken", "cursor",
];
const POLLING: &[&str] = &["cursor", "lookup", "words", "setup", "case", "env", "session", "item", "now_ms"];
const HEARING: &[&str] = &["event", "headers", "lookup", "words", "setup", "case", "env", "item"];
/// Once it is known whose event it is.
const HEARD: &[&str] = &["event", "headers", "lookup", "words", "setup", "case", "env", "item", "ids"];
const ANSWERING: &[&str] = &["event", "headers", "lookup", "words", "setup", "case", "env", "ids", "answer"];

/// Told of everything that is wrong: the path, what, and the word that is not known with those that are, where it is one.
pub type Report<'a> = &'a mut dyn FnMut(&str, String, Option<(&str, Vec<&'static str>)>);

struct Compiler<'a> {
    file: &'a MappingFile,
    report: Report<'a>,
}

/// A mapping; where something was reported it is incomplete.
pub fn compile(file: &MappingFile, report: Report<'_>) -> Mapping {
    Compiler { file, report }.mapping()
}

/// `path.key`, with the key in quotes where TOML wants them: how errors name a place of a document.
pub fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if bare { key.to_string() } else { format!("\"{key}\"") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

impl Compiler<'_> {
    fn wrong(&mut self, path: &str, what: impl Into<String>) {
        (self.report)(path, what.into(), None);
    }

    fn ok<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.wrong(path, why)).ok()
    }

    /// None where it is not written.
    fn expr(&mut self, path: &str, text: &str, known: &[&str]) -> Option<Expr> {
        if text.is_empty() { None } else { self.ok(path, Expr::new(text, known)) }
    }

    fn needed(&mut self, path: &str, key: &str, text: &str, known: &[&str]) -> Expr {
        if text.is_empty() {
            self.wrong(path, format!("`{key}` is missing: an expression"));
        }
        // what was reported is never run
        self.expr(&join(path, key), text, known).unwrap_or_else(Expr::never)
    }

    fn template(&mut self, path: &str, text: &str, known: &[&str]) -> Template {
        self.ok(path, Template::new(text, known)).unwrap_or_default()
    }

    /// Headers. Their names live as long as the program: a profile is read once.
    fn templates(&mut self, path: &str, texts: &BTreeMap<String, String>, known: &[&str]) -> Vec<(&'static str, Template)> {
        let own = |name: &str| -> &'static str { Box::leak(name.to_lowercase().into_boxed_str()) };
        texts.iter().map(|(name, text)| (own(name), self.template(&join(path, name), text, known))).collect()
    }

    fn shape(&mut self, path: &str, json: &Json, known: &[&str]) -> Shape {
        self.ok(path, Shape::new(json, known)).unwrap_or(Shape::Const(Json::Null))
    }

    fn table(&mut self, path: &str, table: &BTreeMap<String, Json>, known: &[&str]) -> Shape {
        Shape::Table(table.iter().map(|(key, json)| (key.clone(), self.shape(&join(path, key), json, known))).collect())
    }

    fn span(&mut self, path: &str, text: &str, otherwise: Span) -> Span {
        if text.is_empty() { otherwise } else { self.ok(path, Span::parse(text)).unwrap_or(otherwise) }
    }

    fn op(&mut self, path: &str, name: &str, classes: &[Class]) -> Option<Op> {
        let op = Op::parse(name).filter(|op| classes.contains(&op.class()));
        if op.is_none() {
            let known = Op::ALL.iter().filter(|op| classes.contains(&op.class())).map(|op| op.name()).collect();
            (self.report)(path, format!("`{name}` is not what can stand here in the vocabulary"), Some((name, known)));
        }
        op
    }

    fn mapping(mut self) -> Mapping {
        let file = self.file;
        let r = &file.roles;
        let roles = vec![
            ("payment", r.payment),
            ("fraud", r.fraud),
            ("address", r.address),
            ("node", r.node),
            ("carrier", r.carrier),
            ("notification", r.notification),
        ];
        let mut mapping = Mapping {
            roles,
            headers: self.templates("headers", &file.headers, ASKING),
            reset: file.reset.as_ref().map(|reset| Reset {
                command: reset.command.clone(),
                timeout: self.span("reset.timeout", &reset.timeout, Span::from_secs(60)),
                steps: self.steps("reset.step", "reset", &reset.step),
            }),
            ready: file.ready.as_ref().map(|step| self.step("ready", "ready", step, &CommandFile::default(), ASKING)),
            outcome: self.outcomes("outcome", &file.outcome),
            reasons: self.reasons(),
            words: value_of(&file.words),
            sessions: file.session.iter().map(|(name, session)| (name.clone(), self.session(name, session))).collect(),
            lookups: file.lookup.iter().map(|(name, lookup)| (name.clone(), self.lookup(name, lookup))).collect(),
            open: self.steps("open", "open", &file.open),
            close: self.steps("close", "close", &file.close),
            commands: BTreeMap::new(),
            silent: BTreeSet::new(),
            read_order: self.read("order", file.read.order.as_ref(), &["state", "reserved", "net"]),
            read_stock: self.read("stock", file.read.stock.as_ref(), &["on_hand", "reserved"]),
            events: self.events(),
            partners: file.partner.iter().enumerate().map(|(i, partner)| self.partner(&format!("partner[{i}]"), partner)).collect(),
        };
        let sent = [Class::Command, Class::Feed, Class::Callback];
        for (name, command) in &file.command {
            let path = join("command", name);
            let Some(op) = self.op(&path, name, &sent) else { continue };
            let steps = command.step.iter().enumerate().map(|(i, step)| self.step(&format!("{path}.step[{i}]"), name, step, command, ASKING));
            let mut steps: Vec<Step> = steps.collect();
            if steps.is_empty() {
                self.wrong(&path, "it has no step: list what need not be told under `silent`");
            }
            if !steps.iter().any(|step| step.commit)
                && let Some(last) = steps.last_mut()
            {
                last.commit = true;
            }
            mapping.commands.insert(op, steps);
        }
        for (i, name) in file.silent.iter().enumerate() {
            let path = format!("silent[{i}]");
            let Some(op) = self.op(&path, name, &sent) else { continue };
            if mapping.commands.contains_key(&op) {
                self.wrong(&path, format!("`{name}` has its steps under [command]"));
            }
            mapping.silent.insert(op);
        }
        self.complete(&mapping);
        mapping
    }

    /// What has no place at all would be lost in the middle of a case.
    fn complete(&mut self, mapping: &Mapping) {
        if !mapping.commands.contains_key(&Op::PlaceOrder) {
            self.wrong("command", "[command.PlaceOrder] is missing: how an order is placed");
        }
        for feed in [Op::InventorySnapshot, Op::InventoryDelta] {
            if !mapping.commands.contains_key(&feed) && !mapping.silent.contains(&feed) {
                self.wrong(
                    "command",
                    format!("`{feed}` has neither steps under [command] nor a place in `silent`: how does the target learn of stock?"),
                );
            }
        }
        for op in Op::ALL.iter().copied().filter(|op| op.class() == Class::Callback) {
            let Some(partner) = partner_of(op) else { continue };
            let told = mapping.commands.contains_key(&op) || mapping.silent.contains(&op);
            match mapping.role(partner) {
                Role::Internal if told => self.wrong("command", format!("`{op}` never comes: the role of {partner} is internal")),
                Role::Driven | Role::Called if !told => {
                    let what = format!("`{op}` has neither steps under [command] nor a place in `silent`, and the role of {partner} is not internal");
                    self.wrong("roles", what);
                }
                _ => {}
            }
        }
        for (partner, role) in &mapping.roles {
            let of = |op: Op| op.class() == Class::Call && partner_of(op) == Some(*partner);
            let driven = mapping.events.rules.iter().filter_map(|rule| rule.op).any(of);
            if *role == Role::Driven && !driven {
                self.wrong(&join("roles", partner), format!("nothing sets {partner} off: no rule of [[events.map]] has a `call` of it"));
            }
            if *role == Role::Internal && driven {
                self.wrong(&join("roles", partner), format!("a rule of [[events.map]] calls {partner}, whose role is internal"));
            }
        }
    }

    fn reasons(&mut self) -> BTreeMap<String, Code> {
        let mut reasons = BTreeMap::new();
        for (word, reason) in &self.file.reasons {
            match Code::parse(reason).filter(|code| *code != Code::None) {
                Some(code) => drop(reasons.insert(word.clone(), code)),
                None => self.wrong(&join("reasons", word), format!("`{reason}` is no reason of the vocabulary, such as out_of_stock or too_late")),
            }
        }
        reasons
    }

    fn outcomes(&mut self, path: &str, rules: &[OutcomeFile]) -> Vec<OutcomeRule> {
        let rule = |(i, rule): (usize, &OutcomeFile)| {
            let path = format!("{path}[{i}]");
            OutcomeRule {
                when: self.needed(&path, "when", &rule.when, ANSWERED),
                class: rule.class,
                reason: self.expr(&join(&path, "reason"), &rule.reason, ANSWERED),
                after: self.span(&join(&path, "after"), &rule.after, Span::ZERO),
            }
        };
        rules.iter().enumerate().map(rule).collect()
    }

    fn steps(&mut self, path: &str, what: &str, steps: &[StepFile]) -> Vec<Step> {
        let none = CommandFile::default();
        steps.iter().enumerate().map(|(i, step)| self.step(&format!("{path}[{i}]"), what, step, &none, ASKING)).collect()
    }

    /// A step of `command`, which may say for all of its steps where they go and in which session.
    fn step(&mut self, path: &str, what: &str, file: &StepFile, command: &CommandFile, known: &[&str]) -> Step {
        let name = if file.name.is_empty() { what.to_string() } else { format!("{what}/{}", file.name) };
        let written = if file.path.is_empty() { &command.path } else { &file.path };
        if !written.starts_with('/') && !written.starts_with("{{") {
            self.wrong(&join(path, "path"), format!("`{written}` is no path: it begins with /"));
        }
        let bodies = [file.json.is_some(), !file.text.is_empty(), !file.graphql.is_empty()];
        if bodies.iter().filter(|there| **there).count() > 1 {
            self.wrong(path, "a request has one body: `json`, `text` or `graphql`");
        }
        if !file.vars.is_empty() && file.graphql.is_empty() {
            self.wrong(&join(path, "vars"), "`vars` go with `graphql`");
        }
        let body = match &file.json {
            Some(json) => Body::Json(self.shape(&join(path, "json"), json, known)),
            None if !file.text.is_empty() => Body::Text(self.template(&join(path, "text"), &file.text, known)),
            None if !file.graphql.is_empty() => {
                let document = self.document(&join(path, "graphql"), &file.graphql);
                let vars = self.table(&join(path, "vars"), &file.vars, known);
                Body::Json(Shape::Table(vec![("query".into(), Shape::Const(Json::from(document))), ("variables".into(), vars)]))
            }
            None => Body::None,
        };
        let method = match (file.method.as_str(), &body) {
            ("", Body::None) => "GET",
            ("", _) => "POST",
            (method @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE"), _) => method,
            (other, _) => {
                self.wrong(&join(path, "method"), format!("`{other}` is not GET, POST, PUT, PATCH or DELETE"));
                "POST"
            }
        };
        let session = Some(if file.session.is_empty() { &command.session } else { &file.session }).filter(|name| !name.is_empty());
        if let Some(name) = session.filter(|name| !self.file.session.contains_key(*name)) {
            // a step that names none has that of its command
            let place = if file.session.is_empty() { path.rsplit_once(".step[").map_or(path, |(command, _)| command) } else { path };
            self.wrong(&join(place, "session"), format!("there is no [session.{name}]"));
        }
        let until = self.expr(&join(path, "until"), &file.until, ANSWERED);
        Step {
            name,
            for_each: self.expr(&join(path, "for_each"), &file.for_each, known),
            when: self.expr(&join(path, "if"), &file.when, known),
            method: method.into(),
            path: self.template(&join(path, "path"), written, known),
            query: file.query.iter().map(|(name, text)| (name.clone(), self.template(&join(&join(path, "query"), name), text, known))).collect(),
            headers: self.templates(&join(path, "headers"), &file.headers, known),
            body,
            session: session.cloned(),
            bind: self.binds(&join(path, "bind"), &file.bind, ANSWERED),
            commit: file.commit,
            until: until.map(|holds| Until {
                holds,
                every: self.span(&join(path, "every"), &file.every, Span::from_millis(500)),
                within: self.span(&join(path, "within"), &file.within, Span::from_secs(15)),
            }),
            pause: self.span(&join(path, "pause"), &file.pause, Span::ZERO),
            outcome: self.outcomes(&join(path, "outcome"), &file.outcome),
        }
    }

    fn binds(&mut self, path: &str, binds: &BTreeMap<String, String>, known: &[&str]) -> Vec<Bind> {
        let bind = |(key, text): (&String, &String)| {
            let path = join(path, key);
            let (name, index) = match key.split_once('[') {
                Some((name, index)) => (name, index.strip_suffix(']')),
                None => (key.as_str(), Some("")),
            };
            if index.is_none() || name.is_empty() {
                self.wrong(&path, format!("`{key}` is neither `name` nor `name[expression]`"));
            }
            Bind {
                name: name.into(),
                index: self.expr(&path, index.unwrap_or_default(), known),
                value: self.expr(&path, text, known).unwrap_or_else(Expr::never),
            }
        };
        binds.iter().map(bind).collect()
    }

    /// A document with the fragments that it uses, and with those that they use: a server refuses any other.
    fn document(&mut self, path: &str, name: &str) -> String {
        let Some(document) = self.file.graphql.get(name).filter(|_| name != "fragments") else {
            self.wrong(path, format!("there is no document `{name}` in [graphql]"));
            return String::new();
        };
        let all = self.file.graphql.get("fragments").map_or("", String::as_str);
        let starts: Vec<usize> = all.match_indices("fragment ").map(|(at, _)| at).chain([all.len()]).collect();
        let fragments = starts.windows(2).map(|pair| all[pair[0]..pair[1]].trim());
        let mut left: Vec<(&str, &str)> = fragments.map(|text| (text["fragment ".len()..].split_whitespace().next().unwrap_or(""), text)).collect();
        let uses = |text: &str, name: &str| {
            text.match_indices("...").any(|(at, _)| {
                let rest = text[at + 3..].trim_start();
                rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
        };
        let mut text = document.clone();
        while let Some(at) = left.iter().position(|(name, _)| uses(&text, name)) {
            text = format!("{text}\n{}", left.remove(at).1);
        }
        text
    }

    fn session(&mut self, name: &str, file: &SessionFile) -> Session {
        let path = join("session", name);
        let code = Code::parse(&file.renew_on);
        if code.is_none() {
            self.wrong(&join(&path, "renew_on"), format!("`{}` is no reason of the vocabulary", file.renew_on));
        }
        Session {
            scope: file.scope,
            login: self.steps(&join(&path, "login"), &format!("session.{name}"), &file.login),
            capture: file.capture.iter().map(|(key, text)| (key.clone(), self.needed(&join(&path, "capture"), key, text, ANSWERED))).collect(),
            headers: self.templates(&join(&path, "headers"), &file.headers, ASKING),
            lost: self.expr(&join(&path, "lost"), &file.lost, ANSWERED),
            renew_on: code.filter(|code| *code != Code::None),
        }
    }

    fn lookup(&mut self, name: &str, file: &LookupFile) -> Lookup {
        let path = join("lookup", name);
        Lookup {
            of_case: file.scope == LookupScope::Case,
            step: self.step(&join(&path, "step"), &format!("lookup.{name}"), &file.step, &CommandFile::default(), ASKING),
            each: self.needed(&path, "each", &file.each, ANSWERED),
            key: self.needed(&path, "key", &file.key, ANSWERED),
            value: self.needed(&path, "value", &file.value, ANSWERED),
        }
    }

    fn read(&mut self, name: &str, file: Option<&ReadFile>, outs: &[&str]) -> Option<Read> {
        let file = file?;
        let path = join("read", name);
        for key in file.out.keys().filter(|key| !outs.contains(&key.as_str())) {
            self.wrong(&join(&join(&path, "out"), key), format!("`{key}` is not read here: expected {}", outs.join(", ")));
        }
        for key in outs.iter().filter(|key| !file.out.contains_key(**key)) {
            self.wrong(&join(&path, "out"), format!("`{key}` is missing"));
        }
        Some(Read {
            step: self.step(&join(&path, "step"), &format!("read.{name}"), &file.step, &CommandFile::default(), ASKING),
            out: file.out.iter().map(|(key, text)| (key.clone(), self.needed(&join(&path, "out"), key, text, ANSWERED))).collect(),
        })
    }

    fn events(&mut self) -> Events {
        let file = &self.file.events;
        if file.states_seen == StatesSeen::Sampled && file.poll.is_empty() {
            self.wrong("events.states_seen", "states are sampled where [[events.poll]] asks for them, and there is none");
        }
        Events {
            subscribe: self.steps("events.subscribe", "events.subscribe", &file.subscribe),
            verify: file.verify.as_ref().map(|verify| {
                if verify.header.is_empty() != (verify.scheme == Scheme::Standard) {
                    self.wrong("events.verify", "`header` names the header of the signature; `standard` has its own three");
                }
                (verify.scheme, verify.header.to_lowercase(), self.template("events.verify.key", &verify.key, &["env", "case"]))
            }),
            id: self.expr("events.id", &file.id, HEARING),
            sequence: self.expr("events.sequence", &file.sequence, HEARING),
            park: self.span("events.park", &file.park, Span::from_secs(5)),
            answer: file.answer.unwrap_or(204),
            states_seen: file.states_seen,
            polls: file.poll.iter().enumerate().map(|(i, poll)| self.poll(&format!("events.poll[{i}]"), poll)).collect(),
            rules: file.map.iter().enumerate().map(|(i, rule)| self.rule(i, rule)).collect(),
        }
    }

    fn poll(&mut self, path: &str, file: &PollFile) -> Poll {
        Poll {
            name: file.name.clone(),
            every: self.span(&join(path, "every"), &file.every, Span::from_millis(500)),
            step: self.step(&join(path, "step"), &format!("poll.{}", file.name), &file.step, &CommandFile::default(), POLLING),
            each: self.needed(path, "each", &file.each, ANSWERED),
            key: self.needed(path, "key", &file.key, ANSWERED),
            snapshot: self.table(&join(path, "snapshot"), &file.snapshot, ANSWERED),
            cursor: self.expr(&join(path, "cursor"), &file.cursor, ANSWERED),
            start: (!file.start.is_empty()).then(|| self.template(&join(path, "start"), &file.start, POLLING)),
        }
    }

    fn whose(&mut self, path: &str, order: &str, correlate: &BTreeMap<String, String>) -> Whose {
        match (self.expr(&join(path, "order"), order, HEARING), correlate.is_empty()) {
            (Some(_), false) => {
                self.wrong(path, "`order` and `correlate` both say whose event this is: one is enough");
                Whose::Nobody
            }
            (Some(order), true) => Whose::Named(order),
            (None, false) => {
                let path = join(path, "correlate");
                Whose::Known(correlate.iter().map(|(name, text)| (name.clone(), self.needed(&path, name, text, HEARING))).collect())
            }
            (None, true) => Whose::Nobody,
        }
    }

    fn rule(&mut self, i: usize, file: &EventRuleFile) -> EventRule {
        let path = format!("events.map[{i}]");
        let ways = [file.ignore, !file.event.is_empty(), !file.call.is_empty()].into_iter().filter(|way| *way).count();
        if ways != 1 {
            self.wrong(&path, "a rule has one of `event`, `call` and `ignore`");
        }
        let op = if file.event.is_empty() && file.call.is_empty() {
            None
        } else if file.call.is_empty() {
            self.op(&join(&path, "event"), &file.event, &[Class::Event])
        } else {
            self.op(&join(&path, "call"), &file.call, &[Class::Call])
        };
        EventRule {
            number: i + 1,
            when: self.expr(&join(&path, "when"), &file.when, HEARING),
            also: file.also,
            op,
            order: self.whose(&path, &file.order, &file.correlate),
            each: self.expr(&join(&path, "each"), &file.each, HEARD),
            data: self.table(&join(&path, "data"), &file.data, HEARD),
            bind: self.binds(&join(&path, "bind"), &file.bind, HEARD),
            key: self.expr(&join(&path, "key"), &file.key, HEARD),
        }
    }

    fn partner(&mut self, path: &str, file: &PartnerFile) -> Partner {
        let op = self.op(&join(path, "call"), &file.call, &[Class::Call]);
        let words = ["ok", "replayed", "pending", "rejected", "busy", "error"];
        for word in file.answer.keys().filter(|word| !words.contains(&word.as_str())) {
            self.wrong(&join(&join(path, "answer"), word), format!("`{word}` is no outcome: expected {}", words.join(", ")));
        }
        if !file.answer.contains_key("ok") {
            self.wrong(path, "[partner.answer.ok] is missing: what the target is told when it was done");
        }
        let mut answer = BTreeMap::new();
        for (word, file) in &file.answer {
            let path = join(&join(path, "answer"), word);
            answer.insert(word.clone(), (file.status, file.json.as_ref().map(|json| self.shape(&join(&path, "json"), json, ANSWERING))));
        }
        Partner {
            method: if file.method.is_empty() { "POST".into() } else { file.method.to_uppercase() },
            path: file.path.clone(),
            op: op.unwrap_or(Op::NotificationSend),
            order: self.whose(path, &file.order, &file.correlate),
            key: self.expr(&join(path, "key"), &file.key, HEARD),
            data: self.table(&join(path, "data"), &file.data, HEARD),
            answer,
        }
    }
}
