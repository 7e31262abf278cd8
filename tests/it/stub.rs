//! A target that answers every order at once with a definite no, so that nothing follows; and, where it is told to, stands still for a while.
//! It is one thread, as a service is that collects garbage or waits for a lock that all need: nobody is answered meanwhile, and nobody is refused.

#![allow(clippy::disallowed_methods, reason = "it stands still in real time, and says how long it did")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// A scenario whose orders it may refuse.
pub const SOLD_OUT: &str = "name = \"LOAD\"\ntitle = \"t\"\nabout = \"Orders for goods that are sold out.\"\nstock = { \"A@DC1\" = 0 }\nmatrix = { channels = [\"web\"] }\n\n[order]\nlines = [{ sku = \"A\", qty = 1 }]\n";

/// Connections that wait to be taken; Linux allows as many without being asked.
const BACKLOG: u32 = 4_096;

/// When it stands still, counted from its first order.
#[derive(Clone, Copy)]
pub struct Freeze {
    pub after: Duration,
    pub lasts: Duration,
}

#[derive(Default)]
struct Seen {
    orders: usize,
    /// their idempotency keys
    keys: BTreeSet<String>,
    /// what lies where, as it was told: `node/sku` in lower case
    shelves: BTreeMap<String, i64>,
    first: Option<Instant>,
    froze: Option<Instant>,
    /// when orders were answered since it stood still, in order
    thawed: Vec<Instant>,
}

pub struct Stub {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    ends: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stub {
    pub fn start(freeze: Option<Freeze>) -> Stub {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (ends, ended) = oneshot::channel();
        let (tells, told) = std::sync::mpsc::channel();
        let shared = seen.clone();
        let serve = async move {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
            // all who come while it stands still are let in: a shorter queue makes them knock again a second later, which is a stall of another length
            let listener = socket.listen(BACKLOG).expect("a listener of ours");
            tells.send(listener.local_addr().expect("its address")).expect("somebody waits for it");
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer_all(stream, shared.clone(), freeze));
                }
            };
            tokio::select! { () = accept => {}, _ = ended => {} }
        };
        let thread = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread of ours").block_on(serve);
        });
        let address = told.recv().expect("it listens");
        Stub { address, seen, ends: Some(ends), thread: Some(thread) }
    }

    /// A target profile for it.
    pub fn profile(&self) -> String {
        format!(
            "name = \"stub\"\ntitle = \"a stub\"\n[http]\nbase_url = \"http://{}\"\nmax_in_flight = 1024\n[clock]\nmode = \"skip\"\n[limits]\nsend_lag = \"2s\"\n",
            self.address
        )
    }

    /// Requests with an order, and how many different orders they were for.
    pub fn orders(&self) -> (usize, usize) {
        let seen = self.seen.lock().expect("whole");
        (seen.orders, seen.keys.len())
    }

    /// How long it stood still for the `n`th of those who had waited since, in seconds; none where it did not.
    pub fn froze_for(&self, n: usize) -> Option<f64> {
        let seen = self.seen.lock().expect("whole");
        Some(seen.thawed.get(n.checked_sub(1)?)?.duration_since(seen.froze?).as_secs_f64())
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.ends.take().map(|ends| ends.send(()));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

async fn answer_all(mut stream: tokio::net::TcpStream, seen: Arc<Mutex<Seen>>, freeze: Option<Freeze>) {
    let _ = stream.set_nodelay(true);
    let mut held = Vec::new();
    loop {
        while let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8_lossy(&held[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0usize);
            if held.len() < end + length {
                break;
            }
            let first = head.lines().next().unwrap_or_default().to_string();
            let body = String::from_utf8_lossy(&held[end..end + length]).into_owned();
            held.drain(..end + length);
            let order = is_order(&first);
            if order {
                let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key:")).unwrap_or_default();
                arrives(&seen, key.trim(), freeze);
            }
            if stream.write_all(&answer(&first, &body, &seen)).await.is_err() {
                return;
            }
            if order {
                let mut seen = seen.lock().expect("whole");
                if seen.froze.is_some() {
                    seen.thawed.push(Instant::now());
                }
            }
        }
        match stream.read_buf(&mut held).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn is_order(first: &str) -> bool {
    first.split(' ').nth(1).is_some_and(|path| path.ends_with("/orders"))
}

/// An order has come in: it stands still now, if this is the time.
fn arrives(seen: &Mutex<Seen>, key: &str, freeze: Option<Freeze>) {
    let now = Instant::now();
    let mut seen = seen.lock().expect("whole");
    seen.orders += 1;
    seen.keys.insert(key.into());
    let first = *seen.first.get_or_insert(now);
    if let Some(freeze) = freeze.filter(|freeze| seen.froze.is_none() && now.duration_since(first) >= freeze.after) {
        seen.froze = Some(now);
        drop(seen);
        // the one thread that it has: everybody waits
        std::thread::sleep(freeze.lasts);
    }
}

/// Nothing is ever taken from a shelf, so what was told is what lies there.
fn stocks(seen: &Mutex<Seen>, body: &str) {
    let Ok(told) = serde_json::from_str::<serde_json::Value>(body) else { return };
    let node = told["data"]["node_id"].as_str().unwrap_or_default();
    for line in told["data"]["lines"].as_array().into_iter().flatten() {
        let shelf = format!("{node}/{}", line["sku"].as_str().unwrap_or_default()).to_lowercase();
        seen.lock().expect("whole").shelves.insert(shelf, line["quantity"].as_i64().unwrap_or_default());
    }
}

fn answer(first: &str, body: &str, seen: &Mutex<Seen>) -> Vec<u8> {
    let respond = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let path = first.split(' ').nth(1).unwrap_or_default();
    if is_order(first) {
        return respond("422 Unprocessable Content", r#"{"type":"about:blank","title":"rejected","status":422,"code":"out_of_stock"}"#);
    }
    if path.ends_with("/clock") {
        let to: String = body.split("\"to_ns\":").nth(1).map_or(String::new(), |rest| rest.chars().take_while(char::is_ascii_digit).collect());
        let idle = to.is_empty();
        return respond("200 OK", &format!(r#"{{"busy":false,"idle":{idle},"now_ns":{}}}"#, if idle { "0" } else { &to }));
    }
    if path == "/v1" {
        let manifest =
            r#"{"contract":"orderstorm/v1","name":"stub","version":"1","durable":false,"capabilities":[],"clock":{"mode":"skip","scale":1.0}}"#;
        return respond("200 OK", manifest);
    }
    if let Some((_, shelf)) = path.split_once("/inventory/") {
        let on_hand = seen.lock().expect("whole").shelves.get(shelf).copied();
        return on_hand
            .map_or_else(|| respond("404 Not Found", "{}"), |on_hand| respond("200 OK", &format!(r#"{{"on_hand":{on_hand},"reserved":0}}"#)));
    }
    stocks(seen, body);
    if first.starts_with("get") { respond("404 Not Found", "{}") } else { respond("200 OK", "{}") }
}

/// Seconds that each of `requests` took for who sends the next one a millisecond after the last answer.
pub fn closed_loop(stub: &Stub, requests: usize) -> Vec<f64> {
    let mut stream = TcpStream::connect(stub.address).expect("the stub is there");
    stream.set_nodelay(true).expect("a connection of ours");
    let one = |_| {
        std::thread::sleep(Duration::from_millis(1));
        let sent = Instant::now();
        stream.write_all(b"POST /v1/x/orders HTTP/1.1\r\nhost: stub\r\ncontent-length: 2\r\n\r\n{}").expect("the stub listens");
        let (mut held, mut chunk) = (Vec::new(), [0; 4096]);
        // the body of its answer ends so, and nothing else does
        while !held.ends_with(b"\"out_of_stock\"}") {
            let read = stream.read(&mut chunk).expect("the stub answers");
            assert!(read > 0, "the stub hung up");
            held.extend_from_slice(&chunk[..read]);
        }
        sent.elapsed().as_secs_f64()
    };
    (0..requests).map(one).collect()
}
