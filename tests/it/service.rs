//! The service by itself: what it answers, what it gives up, and what it does not start from.
#![cfg(unix)]

use crate::live::Service;
use crate::wire::{receiver, runtime};
use crate::world::{Folder, items, text};
use orderstorm::net::{Arrived, Client, Deed, How, Request, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

struct Asker<'a> {
    runtime: &'a Runtime,
    client: Client,
}

impl Asker<'_> {
    fn of<'a>(runtime: &'a Runtime, service: &Service) -> Asker<'a> {
        Asker { runtime, client: Client::new(&service.url, 8, Duration::from_secs(10)).expect("an address") }
    }
    fn ask(&self, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request { method: method.parse().expect("a method"), path: path.into(), headers: Vec::new(), body };
        self.runtime.block_on(self.client.send(request)).unwrap_or_else(|failed| panic!("{method} {path}: {failed}"))
    }
    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice(&answer.body).expect("JSON")
    }
    /// Opens a sandbox whose events go to `webhook`, and tells it of some stock, which it announces.
    fn open(&self, webhook: &str) {
        self.open_as("demo", webhook, webhook);
    }
    fn open_as(&self, name: &str, partners: &str, webhook: &str) {
        let estate = json!({"nodes": [{"name": "DC1", "kind": "dc", "region": "east"}], "products": [{"name": "A", "price": 4000}]});
        let sandbox = json!({"estate": estate, "partners_url": partners, "webhook_url": webhook});
        assert_eq!(self.ask("PUT", &format!("/v1/{name}"), &sandbox).status, 201);
        let stock = json!({
            "specversion": "1.0", "id": "f-1", "source": "wms", "type": "oms.inventory.snapshot.v1", "subject": "node/DC1",
            "time": "2000-01-01T10:00:00Z", "datacontenttype": "application/json", "idempotencykey": "snapshot-1",
            "data": {"node_id": "DC1", "lines": [{"sku": "A", "quantity": 5, "movement": 1}]}
        });
        assert_eq!(self.ask("POST", &format!("/v1/{name}/events"), &stock).status, 200);
    }
    /// Asks until it is so.
    fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..500 {
            let said = self.get(path);
            if so(&said) {
                return said;
            }
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        }
        panic!("{path} still says {}", self.get(path));
    }
}

/// A receiver of events that takes them while `open`, and how many came.
fn sink(runtime: &Runtime) -> (String, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (open, came) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (takes, count) = (open.clone(), came.clone());
    let url = receiver(runtime, move |_: Arrived| {
        count.fetch_add(1, Ordering::SeqCst);
        let status = if takes.load(Ordering::SeqCst) { 204 } else { 500 };
        async move { Deed::Answer { status, headers: Vec::new(), body: Vec::new(), how: How::AtOnce } }
    });
    (url, open, came)
}

/// A run that was killed closes nothing, and its webhooks are tried again for ever.
#[test]
fn a_sandbox_that_nobody_speaks_to_is_closed_but_for_the_last() {
    let (folder, runtime) = (Folder::new("service-idle"), runtime());
    let service = Service::start(&folder, &["--idle", "2s", "--scale", "1000", "--data", "journal", "--log", "info"]);
    let (asker, (webhook, _, came)) = (Asker::of(&runtime, &service), sink(&runtime));
    asker.open(&webhook);
    asker.open_as("calls", "http://127.0.0.1:1", &webhook);
    let line = json!({"line_id": 1, "sku": "A", "quantity": 1, "unit_price": 4000, "fulfil": "ship"});
    let order = json!({"order_id": "W1", "order": {"channel": "web", "ship_to": "east", "customer": 7, "shipping": 500, "lines": [line]}});
    let headers = [("idempotency-key", "place-W1"), ("x-message-id", "m-1"), ("x-correlation-id", "W1")];
    let headers = headers.map(|(name, value)| (name, value.to_string())).to_vec();
    let request =
        Request { method: "POST".parse().expect("a method"), path: "/v1/calls/orders".into(), headers, body: order.to_string().into_bytes() };
    assert_eq!(runtime.block_on(asker.client.send(request)).expect("an answer").status, 200);
    let sandbox = json!({"estate": {"nodes": [], "products": []}, "partners_url": webhook, "webhook_url": webhook});
    assert_eq!(asker.ask("PUT", "/v1/other", &sandbox).status, 201);
    let open = |said: &Value| items(&said["sandboxes"]).iter().map(|name| text(name).to_string()).collect::<Vec<_>>();
    assert_eq!(open(&asker.get("/v1")), ["calls", "demo", "other"]);
    // to look at what is open is to speak to none of them
    let said = asker.until("/v1", |said| items(&said["sandboxes"]).len() < 2);
    assert_eq!(open(&said), ["other"]);
    // they went on with their events and calls, and that kept them no longer
    let metrics = String::from_utf8(asker.ask("GET", "/metrics", &Value::Null).body.to_vec()).expect("text");
    let calls = metrics.lines().find_map(|line| line.strip_prefix("orderstorm_calls_total ")).and_then(|calls| calls.parse::<u32>().ok());
    assert!(came.load(Ordering::SeqCst) > 1 && calls > Some(1), "{metrics}");
    let gone = asker.ask("GET", "/v1/demo/events", &Value::Null);
    assert!(gone.status == 404 && String::from_utf8_lossy(&gone.body).contains("PUT /v1/demo opens one"));
    assert!(service.said().contains("sandbox closed: nobody spoke to it"), "{}", service.said());
    // the last one stays, however long nobody speaks
    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(3)).await });
    assert_eq!(open(&asker.get("/v1")), ["other"]);
    // nothing of it is kept
    drop(service);
    let again = Service::start(&folder, &["--data", "journal"]);
    assert_eq!(open(&Asker::of(&runtime, &again).get("/v1")), ["other"]);
    folder.orderstorm(&["serve", "--idle", "soon"]).exits(2).says(&["--idle: `soon` is not a duration", "such as `250ms`"]);
}

#[test]
fn an_event_that_nobody_takes_becomes_a_dead_letter_and_is_delivered_when_it_is_asked_for() {
    let (folder, runtime) = (Folder::new("service-dead"), runtime());
    let service = Service::start(&folder, &["--webhook-attempts", "3", "--scale", "1000"]);
    let (asker, (webhook, open, came)) = (Asker::of(&runtime, &service), sink(&runtime));
    asker.open(&webhook);
    let letters = asker.until("/v1/demo/dead-letters", |letters| !items(letters).is_empty());
    let published = asker.get("/v1/demo/events");
    assert_eq!(items(&letters).len(), items(&published).len());
    assert_eq!(letters[0]["attempts"], 3);
    assert_eq!(letters[0]["event"]["id"], published[0]["id"]);
    let after = came.load(Ordering::SeqCst);
    assert_eq!(after, 3 * items(&published).len());
    let metrics = String::from_utf8_lossy(&asker.ask("GET", "/metrics", &Value::Null).body).into_owned();
    assert!(metrics.contains(&format!("orderstorm_webhooks_dead_total {}\n", items(&letters).len())), "{metrics}");
    // a replay that fails settles nothing
    assert_eq!(asker.ask("POST", "/v1/demo/replays", &Value::Null).status, 202);
    asker.until("/v1/demo/dead-letters", |_| came.load(Ordering::SeqCst) > after);
    // redelivered in vain it comes back, with as many attempts as the first time
    let again = asker.ask("POST", "/v1/demo/dead-letters/redeliveries", &Value::Null);
    assert_eq!((again.status, again.body), (202, format!("{{\"events\":{}}}", items(&letters).len()).into()));
    asker.until("/v1/demo/dead-letters", |now| now[0]["attempts"] == 3 && now[0]["event"]["id"] == letters[0]["event"]["id"]);
    open.store(true, Ordering::SeqCst);
    asker.ask("POST", "/v1/demo/dead-letters/redeliveries", &Value::Null);
    asker.until("/v1/demo/dead-letters", |letters| items(letters).is_empty());
    assert!(asker.ask("POST", "/v1/demo/clock", &json!({"open_calls": 0, "open_events": 0})).status == 200);
    let idle =
        |asker: &Asker| serde_json::from_slice::<Value>(&asker.ask("POST", "/v1/demo/clock", &json!({"open_calls": 0, "open_events": 0})).body);
    for _ in 0..100 {
        if idle(&asker).is_ok_and(|said| said["idle"] == true) {
            return;
        }
    }
    panic!("something is still to come");
}

#[test]
fn a_restart_tries_dead_letters_again() {
    let (folder, runtime) = (Folder::new("service-dead-restart"), runtime());
    let more = ["--webhook-attempts", "1", "--data", "journal"];
    let mut service = Service::start(&folder, &more);
    let (webhook, open, came) = sink(&runtime);
    let asker = Asker::of(&runtime, &service);
    asker.open(&webhook);
    asker.until("/v1/demo/dead-letters", |letters| !items(letters).is_empty());
    service.kill();
    let before = came.load(Ordering::SeqCst);
    open.store(true, Ordering::SeqCst);
    let service = Service::start(&folder, &more);
    let asker = Asker::of(&runtime, &service);
    asker.until("/v1/demo/dead-letters", |letters| items(letters).is_empty() && came.load(Ordering::SeqCst) > before);
}

#[test]
fn methods_queries_and_empty_answers_are_as_http_has_them() {
    let (folder, runtime) = (Folder::new("service-http"), runtime());
    let service = Service::start(&folder, &[]);
    let (asker, (webhook, open, _)) = (Asker::of(&runtime, &service), sink(&runtime));
    open.store(true, Ordering::SeqCst);
    asker.open(&webhook);
    for (method, path, allow) in [
        ("DELETE", "/health", "GET"),
        ("POST", "/v1/demo", "PUT, DELETE"),
        ("PUT", "/v1/demo/events", "GET, POST"),
        ("GET", "/v1/demo/orders", "POST"),
        ("POST", "/v1/demo/nodes/DC1", "PUT"),
        ("PATCH", "/v1/demo/orders/O1", "GET"),
    ] {
        let answer = asker.ask(method, path, &Value::Null);
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((text(&problem["code"]), &problem["status"]), ("unknown_method", &json!(405)));
    }
    assert_eq!(asker.ask("GET", "/v1/demo/nothing", &Value::Null).status, 404);
    for query in ["after=x", "after=-1", "after=", "after=1.5", "limit=0", "limit=1001", "limit=all", "after=0&limit=many"] {
        let answer = asker.ask("GET", &format!("/v1/demo/events?{query}"), &Value::Null);
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")), "{query}");
        assert!(text(&problem["detail"]).contains("expected a whole number from "), "{problem}");
    }
    assert_eq!(asker.ask("POST", "/v1/demo/replays?after=x", &Value::Null).status, 400);
    assert!(!items(&asker.get("/v1/demo/events?after=0&limit=1000")).is_empty());
    assert!(items(&asker.get("/v1/demo/events?after=1000")).is_empty());
    let gone = asker.ask("DELETE", "/v1/demo", &Value::Null);
    assert_eq!((gone.status, gone.header("content-type")), (204, None));
}

#[test]
fn a_log_that_cannot_be_read_is_not_begun_anew() {
    let (folder, runtime) = (Folder::new("service-log"), runtime());
    let mut service = Service::start(&folder, &["--data", "journal"]);
    let (webhook, ..) = sink(&runtime);
    Asker::of(&runtime, &service).open(&webhook);
    service.kill();
    let database = redb::Database::create(folder.at("journal").join("journal.redb")).expect("the journal");
    let write = database.begin_write().expect("it can be written");
    let log = redb::TableDefinition::<(&str, u64), &[u8]>::new("log");
    write.open_table(log).expect("its log").insert(("demo", 0), b"{\"half".as_slice()).expect("a row");
    write.commit().expect("stored");
    drop(database);
    let refused = folder.orderstorm(&["serve", "--listen", "127.0.0.1:0", "--data", "journal"]);
    refused.exits(3).says(&["sandbox `demo` cannot be taken up", "entry 0 of the log", "--data"]);
}
