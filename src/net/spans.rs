//! Spans to a collector: OTLP over HTTP in its JSON encoding, which a few lines write. Whoever tells a span never waits: where the queue is
//! full, the span is dropped and counted.

use super::{Client, Request};
use hyper::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Spans that wait.
const QUEUE: usize = 8_192;
/// Spans in one request.
const BATCH: usize = 1_024;
/// A batch is waited for so long, where few come.
const GATHERING: Duration = Duration::from_millis(100);
/// A collector has so long for a batch, and the end of a run for all that is left.
const PATIENCE: Duration = Duration::from_secs(5);

/// Numbers as OTLP has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanKind {
    /// it asks
    Client = 3,
    /// it is asked
    Server = 2,
}

/// One exchange, whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    /// 0 where there is none
    pub parent: u64,
    pub name: &'static str,
    pub kind: SpanKind,
    /// nanoseconds since 1970
    pub begin_ns: u64,
    pub end_ns: u64,
    pub attributes: Vec<(&'static str, Value)>,
    /// what went wrong, if anything did
    pub failed: Option<String>,
}

impl Span {
    /// As OTLP has it: ids in hex, 64-bit numbers as text.
    fn json(&self) -> Value {
        let attributes: Vec<Value> = self.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
        let mut span = json!({
            "traceId": format!("{:032x}", self.trace),
            "spanId": format!("{:016x}", self.id),
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": self.begin_ns.to_string(),
            "endTimeUnixNano": self.end_ns.to_string(),
            "attributes": attributes,
        });
        if self.parent != 0 {
            span["parentSpanId"] = json!(format!("{:016x}", self.parent));
        }
        if let Some(why) = &self.failed {
            // 2: an error
            span["status"] = json!({"code": 2, "message": why});
        }
        span
    }
}

fn attribute(key: &str, value: &Value) -> Value {
    let value = match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": key, "value": value})
}

fn request(spans: &[Span]) -> Value {
    let resource = [attribute("service.name", &json!("orderstorm")), attribute("service.version", &json!(env!("CARGO_PKG_VERSION")))];
    let spans: Vec<Value> = spans.iter().map(Span::json).collect();
    json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"scope": {"name": "orderstorm"}, "spans": spans}]}]})
}

enum Item {
    Span(Box<Span>),
    /// everything before it was seen to
    End(oneshot::Sender<()>),
}

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    dropped: AtomicU64,
    /// the first thing that went wrong at the collector
    fault: Mutex<String>,
}

/// How many spans the collector has, how many it has not, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    pub taken: u64,
    pub dropped: u64,
    pub fault: String,
}

/// Where spans are told. Clones are the same.
#[derive(Clone)]
pub struct Spans {
    queue: mpsc::Sender<Item>,
    counts: Arc<Counts>,
}

impl Spans {
    /// To the collector at `url`, such as `http://127.0.0.1:4318`.
    pub fn to(url: &str, handle: &Handle) -> Result<Spans, String> {
        let client = Client::new(url, 1, PATIENCE)?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let counts = Arc::new(Counts::default());
        handle.spawn(carry(client, waiting, counts.clone()));
        Ok(Spans { queue, counts })
    }

    pub fn tell(&self, span: Span) {
        if self.queue.try_send(Item::Span(Box::new(span))).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits for what is under way, not for long.
    pub async fn finish(&self) -> Told {
        let (to, end) = oneshot::channel();
        let carried = async {
            if self.queue.send(Item::End(to)).await.is_ok() {
                let _ = end.await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, carried).await.is_ok();
        let waiting = if in_time { 0 } else { (QUEUE - self.queue.capacity()) as u64 };
        let fault = self.counts.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let dropped = self.counts.dropped.load(Ordering::Relaxed) + waiting;
        Told { taken: self.counts.taken.load(Ordering::Relaxed), dropped, fault }
    }
}

async fn carry(client: Client, mut waiting: mpsc::Receiver<Item>, counts: Arc<Counts>) {
    while let Some(first) = waiting.recv().await {
        if waiting.len() < BATCH && matches!(first, Item::Span(_)) {
            tokio::time::sleep(GATHERING).await;
        }
        let (mut batch, mut ends) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Span(span) => batch.push(*span),
                Item::End(end) => ends.push(end),
            }
            next = if batch.len() < BATCH { waiting.try_recv().ok() } else { None };
        }
        if !batch.is_empty() {
            let refused = match send(&client, &batch).await {
                Ok(refused) => refused.min(batch.len() as u64),
                Err(why) => {
                    let mut fault = counts.fault.lock().unwrap_or_else(PoisonError::into_inner);
                    if fault.is_empty() {
                        *fault = why;
                    }
                    batch.len() as u64
                }
            };
            counts.taken.fetch_add(batch.len() as u64 - refused, Ordering::Relaxed);
            counts.dropped.fetch_add(refused, Ordering::Relaxed);
        }
        for end in ends {
            let _ = end.send(());
        }
    }
}

/// How many of them the collector did not want.
async fn send(client: &Client, batch: &[Span]) -> Result<u64, String> {
    let body = serde_json::to_vec(&request(batch)).map_err(|error| error.to_string())?;
    let headers = vec![("content-type", "application/json".to_string())];
    let answer = client.send(Request { method: Method::POST, path: "/v1/traces".into(), headers, body }).await;
    let answer = answer.map_err(|failed| failed.to_string())?;
    if !(200..300).contains(&answer.status) {
        return Err(format!("the collector answered {}", answer.status));
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let refused = &said["partialSuccess"]["rejectedSpans"];
    Ok(refused.as_u64().or_else(|| refused.as_str()?.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::{Arrived, Deed, How, Limits, Server};
    use super::*;

    fn span(id: u64) -> Span {
        let attributes = vec![("http.request.method", json!("POST")), ("http.response.status_code", json!(503))];
        Span { trace: 0xab, id, parent: 7, name: "PlaceOrder", kind: SpanKind::Client, begin_ns: 1, end_ns: 2, attributes, failed: Some("no".into()) }
    }

    #[test]
    fn a_span_is_written_as_otlp_has_it() {
        let written = &request(&[span(9)])["resourceSpans"][0];
        assert_eq!(written["resource"]["attributes"][0], json!({"key": "service.name", "value": {"stringValue": "orderstorm"}}));
        let expected = json!({
            "traceId": "000000000000000000000000000000ab", "spanId": "0000000000000009", "parentSpanId": "0000000000000007",
            "name": "PlaceOrder", "kind": 3, "startTimeUnixNano": "1", "endTimeUnixNano": "2",
            "attributes": [
                {"key": "http.request.method", "value": {"stringValue": "POST"}},
                {"key": "http.response.status_code", "value": {"intValue": "503"}},
            ],
            "status": {"code": 2, "message": "no"},
        });
        assert_eq!(written["scopeSpans"][0]["spans"], json!([expected]));
    }

    #[test]
    fn what_is_told_arrives_in_batches_and_what_the_collector_does_not_want_is_counted() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::bind("127.0.0.1:0", Limits::default())).unwrap();
        let url = format!("http://{}", server.address().unwrap());
        let batches = Arc::new(AtomicU64::new(0));
        let seen = batches.clone();
        runtime.spawn(server.run(move |arrived: Arrived| {
            seen.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_eq!((arrived.method.as_str(), arrived.path.as_str()), ("POST", "/v1/traces"));
                let body = br#"{"partialSuccess": {"rejectedSpans": "1"}}"#.to_vec();
                Deed::Answer { status: 200, headers: Vec::new(), body, how: How::AtOnce }
            }
        }));
        let spans = Spans::to(&url, runtime.handle()).unwrap();
        (1..=50).for_each(|id| spans.tell(span(id)));
        let told = runtime.block_on(spans.finish());
        let batches = batches.load(Ordering::Relaxed);
        assert!(batches < 5, "{batches} requests for 50 spans");
        assert_eq!(told, Told { taken: 50 - batches, dropped: batches, fault: String::new() });
    }

    #[test]
    fn a_collector_that_stands_still_or_is_not_there_holds_nobody_up() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let spans = Spans::to("http://127.0.0.1:1", runtime.handle()).unwrap();
        spans.tell(span(1));
        let told = runtime.block_on(spans.finish());
        assert_eq!((told.taken, told.dropped), (0, 1));
        assert!(told.fault.contains("no connection"), "{told:?}");
        // nobody carries anything on a runtime that is not driven
        let still = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let spans = Spans::to("http://127.0.0.1:1", still.handle()).unwrap();
        (0..QUEUE as u64 + 10).for_each(|id| spans.tell(span(id)));
        assert_eq!(spans.counts.dropped.load(Ordering::Relaxed), 10);
    }
}
