//! Steps, one after another: a request is made from what is known, its answer is judged by the rules, and what it says is kept.

use super::super::super::Look;
use super::case::{Case, Reached, lock, short};
use crate::mapping::{Body, OutcomeClass, OutcomeRule, Read, Scope, Session, SessionScope, Step, Template, value_of};
use crate::model::{Code, Message, OrderNo, Outcome};
use crate::net::{Failed, Request, Response};
use crate::sim::{Span, Stopwatch};
use hyper::Method;
use minijinja::value::Value;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a step or a whole command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ended {
    pub outcome: Outcome,
    pub code: Code,
    pub retry_after: Span,
    /// what the steps before it did is gone with its session
    from_the_start: bool,
}

impl Ended {
    fn of(outcome: Outcome, code: Code) -> Ended {
        Ended { outcome, code, retry_after: Span::ZERO, from_the_start: false }
    }
    fn goes_on(self) -> bool {
        matches!(self.outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending)
    }
}

/// A step of which the request could not even be made, or the answer not be looked at: the profile is wrong.
pub(super) struct Mistaken(pub String);

/// One command, feed or callback, by the steps of the profile.
pub(super) async fn command(case: Arc<Case>, msg: Arc<Message>) -> Ended {
    let mapping = case.shared.mapping.clone();
    let Some(steps) = mapping.commands.get(&msg.op) else {
        // silent: the target need not be told
        return Ended::of(Outcome::Ok, Code::None);
    };
    let attempts = case.attempts(msg.key);
    let (first, again) = begin(&attempts, steps).await;
    let ended = run(&case, &msg, steps, first, again, &attempts).await;
    ended.unwrap_or_else(|Mistaken(why)| {
        attempts.send_modify(|reached| *reached = Reached::Nothing);
        case.trouble(why);
        Ended::of(Outcome::Rejected, Code::Invalid)
    })
}

/// Where this attempt begins, and whether there was one that came so far before. A second one does not fill the basket again: it sends what makes
/// the order once more, as an impatient click does, as soon as the first has sent it.
async fn begin(attempts: &super::case::Attempts, steps: &[Step]) -> ((usize, usize), bool) {
    let commit = steps.iter().position(|step| step.commit).unwrap_or(0);
    let mut heard = attempts.subscribe();
    loop {
        let mut found = None;
        attempts.send_if_modified(|reached| {
            match *reached {
                Reached::Nothing => found = Some(((0, 0), false)),
                Reached::Stopped(step, item) => found = Some(((step, item), false)),
                Reached::Committed => found = Some(((commit, 0), true)),
                Reached::Working => {}
            }
            let begins = found.is_some() && *reached != Reached::Committed;
            if begins {
                *reached = Reached::Working;
            }
            begins
        });
        if let Some(found) = found {
            return found;
        }
        // the sender lives as long as the case does
        let _ = heard.changed().await;
    }
}

async fn run(
    case: &Case,
    msg: &Message,
    steps: &[Step],
    first: (usize, usize),
    again: bool,
    attempts: &super::case::Attempts,
) -> Result<Ended, Mistaken> {
    let mut last = Ended::of(Outcome::Ok, Code::None);
    for (number, step) in steps.iter().enumerate().skip(first.0) {
        let from = if number == first.0 { first.1 } else { 0 };
        let mut items = items(case, msg, step, again)?;
        items.drain(..from.min(items.len()));
        for (at, item) in items.into_iter().enumerate() {
            if step.commit {
                attempts.send_modify(|reached| *reached = Reached::Committed);
            }
            let scope = case.scope_of(msg, again).with("item", item);
            if !holds(step, &scope)? {
                continue;
            }
            let ended = one(case, msg.order, step, &scope, Sort::Message).await?;
            if !ended.goes_on() {
                let certain = matches!(ended.outcome, Outcome::Backpressure | Outcome::Refused);
                attempts.send_modify(|reached| {
                    if *reached != Reached::Committed || certain && !again {
                        *reached = match certain && !ended.from_the_start {
                            true => Reached::Stopped(number, from + at),
                            false => Reached::Nothing,
                        };
                    }
                });
                return Ok(ended);
            }
            if ended.outcome != Outcome::Ok {
                last = ended;
            }
        }
    }
    attempts.send_modify(|reached| *reached = Reached::Committed);
    Ok(last)
}

fn holds(step: &Step, scope: &Scope) -> Result<bool, Mistaken> {
    step.when.as_ref().map_or(Ok(true), |when| when.holds(scope)).map_err(|why| mistaken(step, &why))
}

fn mistaken(step: &Step, why: &str) -> Mistaken {
    Mistaken(format!("profile, step {}: {why}", step.name))
}

fn items(case: &Case, msg: &Message, step: &Step, again: bool) -> Result<Vec<Value>, Mistaken> {
    match &step.for_each {
        None => Ok(vec![Value::default()]),
        Some(list) => list.list(&case.scope_of(msg, again)).map_err(|why| mistaken(step, &why)),
    }
}

/// Steps that belong to no message: what opens and closes a case, and sessions.
pub(super) async fn series(case: &Case, steps: &[Step]) -> Result<(), String> {
    for step in steps {
        let items = match &step.for_each {
            None => Ok(vec![Value::default()]),
            Some(list) => list.list(&case.scope(OrderNo::NONE)),
        };
        for item in items.map_err(|why| mistaken(step, &why).0)? {
            let scope = case.scope(OrderNo::NONE).with("item", item);
            if !holds(step, &scope).map_err(|Mistaken(why)| why)? {
                continue;
            }
            let ended = one(case, OrderNo::NONE, step, &scope, Sort::Upkeep).await.map_err(|Mistaken(why)| why)?;
            if !ended.goes_on() {
                let reason = if ended.code == Code::None { String::new() } else { format!(" ({})", ended.code) };
                return Err(format!("step {} ended with {}{reason}: `check-target` shows what came back", step.name, ended.outcome.name()));
            }
        }
    }
    Ok(())
}

/// The session of a step, begun if need be.
async fn begin_session(case: &Case, order: Option<OrderNo>, name: &str, session: &Session) -> Result<(), Mistaken> {
    if session.login.is_empty() || !case.session(order, name).is_empty() {
        return Ok(());
    }
    let _one_at_a_time = case.shared.login.lock().await;
    if !case.session(order, name).is_empty() {
        return Ok(());
    }
    for step in &session.login {
        let scope = case.scope(order.unwrap_or(OrderNo::NONE));
        // a login needs no session: its own answers make it
        let (ended, answered) = Box::pin(exchange(case, step, &scope, None, Sort::Login)).await?;
        capture(case, order, name, session, &answered).map_err(|why| mistaken(step, &why))?;
        if !ended.goes_on() {
            return Err(Mistaken(format!("session {name}: {} ended with {} {}", step.name, ended.outcome.name(), ended.code)));
        }
    }
    if case.session(order, name).is_empty() && !session.capture.is_empty() {
        let wanted: Vec<&str> = session.capture.iter().map(|(key, _)| key.as_str()).collect();
        return Err(Mistaken(format!("session {name}: no answer to its login has a value for {}", wanted.join(", "))));
    }
    Ok(())
}

/// Keeps what an answer says of its session; says whether the session is gone.
fn capture(case: &Case, order: Option<OrderNo>, name: &str, session: &Session, answered: &Scope) -> Result<bool, String> {
    let answered = answered.clone().with("session", Value::from(case.session(order, name)));
    let lost = session.lost.as_ref().map_or(Ok(false), |lost| lost.holds(&answered))?;
    let mut kept = BTreeMap::new();
    for (key, expr) in &session.capture {
        let value = expr.eval(&answered)?;
        if !value.is_undefined() && !value.is_none() {
            kept.insert(key.clone(), value);
        }
    }
    case.keep_session(order, name, kept);
    Ok(lost)
}

/// One request with what belongs to it: its session before, what is kept after.
fn one<'a>(
    case: &'a Case,
    order: OrderNo,
    step: &'a Step,
    scope: &'a Scope,
    sort: Sort,
) -> Pin<Box<dyn Future<Output = Result<Ended, Mistaken>> + Send + 'a>> {
    Box::pin(async move { Ok(asked(case, order, step, scope, sort).await?.0) })
}

/// Why something is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// a message of the record: whoever sends it sends it again, and nobody else does
    Message,
    /// a read, or what sets a case up: no message of the record
    Upkeep,
    /// what it answers is nobody's business
    Login,
    /// it is asked again and again, and that is no sign that anything goes on
    Poll,
}

async fn asked(case: &Case, order: OrderNo, step: &Step, scope: &Scope, sort: Sort) -> Result<(Ended, Scope), Mistaken> {
    let session = step.session.as_ref().and_then(|name| case.shared.mapping.sessions.get(name).map(|session| (name, session)));
    let owner = session.and_then(|(_, session)| (session.scope == SessionScope::Order).then_some(order));
    if let Some((name, session)) = session {
        begin_session(case, owner, name, session).await?;
    }
    let until = Stopwatch::start();
    let mut renewed = false;
    loop {
        let scope = match session {
            Some((name, _)) => scope.clone().with("session", Value::from(case.session(owner, name))),
            None => scope.clone(),
        };
        let (mut ended, answered) = exchange(case, step, &scope, session.map(|(_, session)| session), sort).await?;
        if let Some((name, session)) = session {
            let lost = capture(case, owner, name, session, &answered).map_err(|why| mistaken(step, &why))?;
            let renew = ended.outcome == Outcome::Rejected && session.renew_on.is_some_and(|code| code == ended.code);
            if lost || renew {
                case.drop_session(owner, name);
                if renew && !renewed && sort != Sort::Message {
                    // nothing happened but that nobody was let in
                    renewed = true;
                    begin_session(case, owner, name, session).await?;
                    continue;
                }
                // what was lost in the middle is not certain
                let certain = renew || !step.commit;
                let outcome = if certain { Outcome::Backpressure } else { Outcome::TimedOut };
                ended = Ended { from_the_start: lost, ..Ended::of(outcome, Code::Unavailable) };
            }
        }
        if let Some(rule) = step.until.as_ref().filter(|_| ended.goes_on())
            && !rule.holds.holds(&answered).map_err(|why| mistaken(step, &why))?
        {
            if until.seconds() * 1e9 > rule.within.0 as f64 {
                return Ok((Ended::of(Outcome::TimedOut, Code::None), answered));
            }
            tokio::time::sleep(Duration::from_nanos(rule.every.0)).await;
            continue;
        }
        if ended.goes_on() {
            let kept = case.bind(order, &step.bind, &answered).map_err(|why| mistaken(step, &why))?;
            if !kept.is_empty() {
                case.tape(|| format!("{:44}kept {}", "", kept.join(", ")));
            }
            if step.pause > Span::ZERO {
                tokio::time::sleep(Duration::from_nanos(step.pause.0)).await;
            }
        }
        return Ok((ended, answered));
    }
}

/// One request on the wire, and what its answer means.
async fn exchange(case: &Case, step: &Step, scope: &Scope, session: Option<&Session>, sort: Sort) -> Result<(Ended, Scope), Mistaken> {
    let request = request(case, step, scope, session).map_err(|why| mistaken(step, &why))?;
    let moved = || {
        if sort != Sort::Poll {
            case.traffic.moved(crate::sim::Clock::now(&case.clock))
        }
    };
    moved();
    let took = Stopwatch::start();
    let result = case.shared.client.send(request).await;
    let took = took.seconds() * 1e3;
    moved();
    let answered = answered(scope.clone(), &result);
    let ended = judge(case, step, &answered, &result).map_err(|why| mistaken(step, &why))?;
    case.tape(|| {
        let line = format!("{:<26} {:<6} {}", step.name, step.method, path(step, scope, true).unwrap_or_default());
        let status = result.as_ref().map_or_else(ToString::to_string, |response| response.status.to_string());
        let reason = if ended.code == Code::None { String::new() } else { format!(" {}", ended.code) };
        let body = match &result {
            Ok(response) if !ended.goes_on() && sort != Sort::Login => format!("\n{:44}{}", "", short(&String::from_utf8_lossy(&response.body))),
            _ => String::new(),
        };
        format!("{line:<58} {status:>4} {took:>6.0} ms  {}{reason}{body}", ended.outcome.name())
    });
    Ok((ended, answered))
}

/// Path and query; as it may be shown, without what comes from the environment.
fn path(step: &Step, scope: &Scope, shown: bool) -> Result<String, String> {
    let text = |template: &Template| if shown && template.names("env") { Ok("..".into()) } else { template.text(scope) };
    let mut path = text(&step.path)?;
    for (n, (name, template)) in step.query.iter().enumerate() {
        path += if n == 0 && !path.contains('?') { "?" } else { "&" };
        path += &format!("{}={}", utf8_percent_encode(name, UNRESERVED), utf8_percent_encode(&text(template)?, UNRESERVED));
    }
    Ok(path)
}

fn request(case: &Case, step: &Step, scope: &Scope, session: Option<&Session>) -> Result<Request, String> {
    let mut headers: Vec<(&'static str, String)> = Vec::new();
    let mut set = |name: &'static str, value: String| {
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
    };
    // what it does with a trace is its own affair: others ignore the header
    if let Some(trace) = scope.get("cmd").get_attr("traceparent").ok().filter(|trace| !trace.is_undefined()) {
        set(crate::wire::TRACEPARENT, trace.to_string());
    }
    for (name, template) in &case.shared.mapping.headers {
        set(name, template.text(scope)?);
    }
    for (name, template) in session.iter().flat_map(|session| &session.headers) {
        // until the session has begun there is nothing to say of it
        if let Ok(value) = template.text(scope) {
            set(name, value);
        }
    }
    let body = match &step.body {
        Body::None => Vec::new(),
        Body::Json(shape) => {
            set("content-type", crate::wire::JSON.into());
            serde_json::to_vec(&shape.build(scope)?).map_err(|error| error.to_string())?
        }
        Body::Text(template) => template.text(scope)?.into_bytes(),
    };
    for (name, template) in &step.headers {
        set(name, template.text(scope)?);
    }
    let method = Method::from_bytes(step.method.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Request { method, path: path(step, scope, false)?, headers, body })
}

/// What stands as it is in a query string (RFC 3986: unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What came back, for expressions.
fn answered(scope: Scope, result: &Result<Response, Failed>) -> Scope {
    let nothing = || scope.clone().with("body", Value::default()).with("headers", Value::default());
    match result {
        Ok(response) => {
            let body = serde_json::from_slice::<Json>(&response.body)
                .map_or_else(|_| Value::from(String::from_utf8_lossy(&response.body).into_owned()), value_of);
            let headers: BTreeMap<String, Value> =
                response.headers.iter().map(|(name, value)| (name.to_owned(), Value::from(String::from_utf8_lossy(value).into_owned()))).collect();
            scope
                .with("status", Value::from(response.status))
                .with("headers", Value::from(headers))
                .with("body", body)
                .with("timeout", Value::from(false))
                .with("refused", Value::from(false))
                .with("broken", Value::from(false))
        }
        Err(failed) => nothing()
            .with("status", Value::from(0))
            .with("timeout", Value::from(matches!(failed, Failed::TimedOut)))
            .with("refused", Value::from(matches!(failed, Failed::Refused(_))))
            .with("broken", Value::from(matches!(failed, Failed::Broken(_) | Failed::Malformed(_)))),
    }
}

/// The first rule that holds decides: those of the step, those of the profile, then what HTTP says.
fn judge(case: &Case, step: &Step, answered: &Scope, result: &Result<Response, Failed>) -> Result<Ended, String> {
    for rule in step.outcome.iter().chain(&case.shared.mapping.outcome) {
        if rule.when.holds(answered)? {
            return by(case, rule, answered);
        }
    }
    Ok(match result {
        Ok(response) => {
            let (outcome, code, retry_after, _) =
                crate::wire::read_answer(response.status, false, response.header(crate::wire::RETRY_AFTER), &response.body);
            let good = matches!(outcome, Outcome::Ok | Outcome::Pending);
            // 202 is no more than a 200 where nobody said what it means
            Ended {
                outcome: if good { Outcome::Ok } else { outcome },
                code: if good { Code::None } else { code },
                retry_after,
                from_the_start: false,
            }
        }
        Err(Failed::Refused(_)) => Ended::of(Outcome::Refused, Code::None),
        Err(Failed::Broken(_) | Failed::TimedOut) => Ended::of(Outcome::TimedOut, Code::None),
        Err(Failed::Malformed(why)) => return Err(why.clone()),
    })
}

fn by(case: &Case, rule: &OutcomeRule, answered: &Scope) -> Result<Ended, String> {
    let reason = rule.reason.as_ref().map(|reason| reason.text(answered)).transpose()?.flatten();
    let code = reason.map_or(Code::None, |word| case.reason(&word));
    Ok(match rule.class {
        OutcomeClass::Ok => Ended::of(Outcome::Ok, Code::None),
        OutcomeClass::Replayed => Ended::of(Outcome::Replayed, Code::None),
        OutcomeClass::Pending => Ended::of(Outcome::Pending, Code::None),
        OutcomeClass::Rejected => Ended::of(Outcome::Rejected, if code == Code::None { Code::Invalid } else { code }),
        OutcomeClass::Retry => Ended { retry_after: rule.after, ..Ended::of(Outcome::Backpressure, code) },
        OutcomeClass::Error => Ended::of(Outcome::Error, code),
        OutcomeClass::Unknown => Ended::of(Outcome::TimedOut, code),
    })
}

/// One look at the target; none where its answer is not good.
pub(super) async fn look(case: &Case, step: &Step, scope: &Scope) -> Result<Option<Scope>, String> {
    let (ended, answered) = asked(case, OrderNo::NONE, step, scope, Sort::Poll).await.map_err(|Mistaken(why)| why)?;
    Ok(ended.goes_on().then_some(answered))
}

/// A read: its values by name.
pub(super) async fn read(case: &Case, read: &Read, order: OrderNo, scope: &Scope) -> Look<BTreeMap<String, Value>> {
    let told = |why: String| case.trouble(why);
    if !holds(&read.step, scope).map_err(|Mistaken(why)| told(why)).unwrap_or(false) {
        return Look::Unknown;
    }
    let answer = asked(case, order, &read.step, scope, Sort::Upkeep).await;
    let Ok((ended, answered)) = answer.map_err(|Mistaken(why)| told(why)) else { return Look::Silent };
    if !ended.goes_on() {
        return if ended.outcome == Outcome::Rejected { Look::Unknown } else { Look::Silent };
    }
    let mut out = BTreeMap::new();
    for (name, expr) in &read.out {
        match expr.eval(&answered) {
            Ok(value) if value.is_undefined() || value.is_none() => return Look::Unknown,
            Ok(value) => drop(out.insert(name.clone(), value)),
            Err(why) => {
                told(mistaken(&read.step, &why).0);
                return Look::Silent;
            }
        }
    }
    Look::Is(out)
}

/// Reads the lookups that are missing.
pub(super) async fn lookups(case: &Case, of_case: bool) -> Result<(), String> {
    for (name, lookup) in case.shared.mapping.lookups.iter().filter(|(_, lookup)| lookup.of_case == of_case) {
        if !of_case && lock(&case.shared.lookups).contains_key(name) {
            continue;
        }
        let scope = case.scope(OrderNo::NONE).with("item", Value::default());
        let (ended, answered) = asked(case, OrderNo::NONE, &lookup.step, &scope, Sort::Upkeep).await.map_err(|Mistaken(why)| why)?;
        if !ended.goes_on() {
            return Err(format!("lookup {name}: its step ended with {} {}", ended.outcome.name(), ended.code));
        }
        let wrong = |why: String| format!("profile, lookup {name}: {why}");
        let mut map = BTreeMap::new();
        for item in lookup.each.list(&answered).map_err(wrong)? {
            let scope = answered.clone().with("item", item);
            let key = lookup.key.text(&scope).map_err(wrong)?;
            let value = lookup.value.eval(&scope).map_err(wrong)?;
            if let Some(key) = key {
                map.insert(key, value);
            }
        }
        case.tape(|| format!("{:44}lookup {name}: {} entries", "", map.len()));
        case.keep_lookup(name, lookup, map);
    }
    Ok(())
}

/// Asks until the target is there, or somebody says stop; says so where that takes longer than a moment.
pub(super) async fn waited_for(case: &Case, stop: &AtomicBool, tell: &dyn Fn(&str)) -> Result<(), String> {
    const MOMENT: f64 = 1.0;
    const AGAIN: f64 = 10.0;
    let began = Stopwatch::start();
    let watched = async {
        let mut next = MOMENT;
        while !stop.load(Ordering::Relaxed) {
            if began.seconds() >= next {
                let so_far = Span::from_secs(began.seconds() as u64);
                tell(&format!(
                    "{}: not ready yet after {so_far}; it is asked for {} (`within` of [ready])",
                    case.shared.client.authority(),
                    within(case)
                ));
                next = if next < AGAIN { AGAIN } else { next + AGAIN };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        ready = ready(case) => ready,
        () = watched => Err(format!("stopped before it was ready, after {:.1} s", began.seconds())),
    }
}

/// So long is asked whether the target is there.
fn within(case: &Case) -> Span {
    let until = case.shared.mapping.ready.as_ref().and_then(|step| step.until.as_ref());
    until.map_or(Span::from_secs(10), |until| until.within)
}

/// Asks until the target is there.
pub(super) async fn ready(case: &Case) -> Result<(), String> {
    let Some(step) = &case.shared.mapping.ready else {
        // whatever it says to this, somebody is there
        let anything = Request { method: Method::GET, path: "/".into(), headers: Vec::new(), body: Vec::new() };
        return match case.shared.client.send(anything).await {
            Err(failed @ Failed::Refused(_)) => Err(format!("{failed}: is it running?")),
            _ => Ok(()),
        };
    };
    let within = within(case);
    let began = Stopwatch::start();
    let scope = case.scope(OrderNo::NONE).with("item", Value::default());
    loop {
        let said = asked(case, OrderNo::NONE, step, &scope, Sort::Upkeep).await;
        match said {
            Ok((ended, _)) if ended.goes_on() => return Ok(()),
            Ok(_) if began.seconds() * 1e9 < within.0 as f64 => tokio::time::sleep(Duration::from_millis(250)).await,
            Ok((ended, _)) => return Err(format!("it did not become ready in {within}: step {} ended with {}", step.name, ended.outcome.name())),
            Err(Mistaken(why)) => return Err(why),
        }
    }
}
