//! A pool of keep-alive connections to one host. One call is one request on the wire: a second POST that nobody asked for would be a fault
//! that nobody injected. Only what was certainly never written may go out on another connection. Plain requests go by a `lane`; those with TLS, and
//! bodies that trickle or break off, by hyper.

use super::body::{Abrupt, Paced};
use super::lane::{Exchange, Lanes, Place};
use super::reading::LARGEST_ANSWER;
use super::tls::{Tls, Trust};
use super::wire::Wire;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use std::io::Write;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, trace};

pub struct Request {
    pub method: Method,
    /// from the root, with `/`
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// How the body of a request goes over the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    AtOnce,
    /// piece by piece over so long
    Slowly(Duration),
    /// half of it, and then the connection is reset
    BrokenOff,
}

pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get_all(name).next().and_then(text_of)
    }
}

/// The headers of an answer, in their order: one text, for few of them are ever asked for.
#[derive(Default)]
pub struct Headers {
    text: Vec<u8>,
    /// where in the text each name and its value end
    ends: Vec<(usize, usize)>,
}

impl Headers {
    pub(super) fn with_capacity(lines: usize, bytes: usize) -> Headers {
        Headers { text: Vec::with_capacity(bytes), ends: Vec::with_capacity(lines) }
    }

    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        let from = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        let name_ends = self.text.len();
        self.text[from..].make_ascii_lowercase();
        self.text.extend_from_slice(value);
        self.ends.push((name_ends, self.text.len()));
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut from = 0;
        self.ends.iter().map(move |(name_ends, ends)| {
            let line = (&self.text[from..*name_ends], &self.text[*name_ends..*ends]);
            from = *ends;
            line
        })
    }

    /// Names in lower case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines().map(|(name, value)| (str::from_utf8(name).unwrap_or_default(), value))
    }

    /// All values of a name in lower case.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.lines().filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| value)
    }
}

/// A value, where it is readable text.
pub(super) fn text_of(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)))
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failed {
    /// nobody took the connection: nothing happened
    Refused(String),
    /// it was sent, and nobody knows what became of it
    Broken(String),
    /// no answer in time: nobody knows either
    TimedOut,
    /// it could not be made a request at all
    Malformed(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Refused(why) => write!(f, "no connection: {why}"),
            Failed::Broken(why) => write!(f, "connection broken: {why}"),
            Failed::TimedOut => f.write_str("no answer in time"),
            Failed::Malformed(why) => write!(f, "no valid request: {why}"),
        }
    }
}

type Connection = SendRequest<Paced>;

struct Host {
    /// plain connections, and host and port as the `Host` header has them
    lanes: Arc<Lanes>,
    /// path before every path
    base: String,
    /// of an address that begins with `https`
    tls: Option<Tls>,
    /// connections with TLS, and those of bodies that trickle
    idle: Mutex<Vec<Connection>>,
    /// between two requests; nothing where their rate is not bounded
    gap: Mutex<Duration>,
    ticks: tokio::sync::Mutex<Option<Interval>>,
    timeout: Duration,
    /// requests that waited for a place among those under way longer than [`LONG`], and for their turn
    for_place: AtomicU64,
    for_turn: AtomicU64,
}

/// Who waits longer than this before it is sent is late for it.
const LONG: Duration = Duration::from_millis(25);

/// Requests that could not be sent for a while, and not because of the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waited {
    /// as many as may be were under way
    pub for_place: u64,
    /// as many in a second as may be were sent
    pub for_turn: u64,
}

impl Waited {
    /// Those since an earlier look.
    pub fn since(self, earlier: Waited) -> Waited {
        Waited { for_place: self.for_place - earlier.for_place, for_turn: self.for_turn - earlier.for_turn }
    }
}

/// A client for one base address. Cloning shares its connections.
#[derive(Clone)]
pub struct Client(Arc<Host>);

impl Client {
    /// `base` is such as `http://127.0.0.1:7070/v1`. With `https` the certificate must be of an authority that this machine knows.
    pub fn new(base: &str, in_flight: usize, timeout: Duration) -> Result<Client, String> {
        Client::trusting(None, base, in_flight, timeout)
    }

    /// The same, where `trust` says who is believed.
    pub fn trusting(trust: Option<&Trust>, base: &str, in_flight: usize, timeout: Duration) -> Result<Client, String> {
        let uri: Uri = base.parse().map_err(|error| format!("`{base}` is no address: {error}"))?;
        let host = uri.host().ok_or_else(|| format!("`{base}` names no host"))?;
        let (tls, port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(Tls::new(trust.cloned().map_or_else(Trust::platform, Ok)?, host)?), 443),
            _ => return Err(format!("`{base}` is not understood: expected an address such as http://127.0.0.1:7070")),
        };
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(port));
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Client(Arc::new(Host {
            lanes: Arc::new(Lanes { authority, patience: timeout, places: Semaphore::new(in_flight.max(1)), idle: Mutex::default() }),
            base,
            tls,
            idle: Mutex::default(),
            gap: Mutex::default(),
            ticks: tokio::sync::Mutex::new(None),
            timeout,
            for_place: AtomicU64::new(0),
            for_turn: AtomicU64::new(0),
        })))
    }

    pub fn authority(&self) -> &str {
        &self.0.lanes.authority
    }

    /// Sends no more than so many requests a second from now on; each waits for its turn.
    pub fn pace(&self, per_second: u32) {
        *self.0.gap.lock().unwrap_or_else(PoisonError::into_inner) = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
    }

    pub fn waited(&self) -> Waited {
        Waited { for_place: self.0.for_place.load(Ordering::Relaxed), for_turn: self.0.for_turn.load(Ordering::Relaxed) }
    }

    async fn turn(&self) {
        let gap = self.0.gap();
        if gap.is_zero() {
            return;
        }
        counted(&self.0.for_turn, async {
            let mut ticks = self.0.ticks.lock().await;
            let ticks = ticks.get_or_insert_with(|| {
                let mut ticks = interval(gap);
                // a turn that nobody took is not made up for
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks
            });
            ticks.tick().await;
        })
        .await;
    }

    /// Sends one request, once.
    pub async fn send(&self, request: Request) -> Result<Response, Failed> {
        self.send_as(How::AtOnce, request).await
    }

    /// The same, with a body that may trickle or break off.
    pub async fn send_as(&self, how: How, request: Request) -> Result<Response, Failed> {
        let place = match self.0.lanes.try_place() {
            None => counted(&self.0.for_place, self.0.lanes.place()).await,
            place => place,
        };
        let Some(place) = place else { return Err(Failed::Malformed("the client is closed".into())) };
        let answer = match how {
            How::AtOnce if self.0.is_plain(&request) => self.send_plain(place, request).await,
            _ => self.send_by_hyper(how, request).await,
        };
        if let Err(failed) = &answer {
            debug!(to = self.0.lanes.authority, %failed, "no answer");
        }
        answer
    }

    /// Sends one request, once, at this moment and on this thread where a connection is there that nobody uses, and has `done` told what became of it.
    /// What has to wait for its turn, or for a place, can be called off.
    pub fn start(&self, handle: &Handle, request: Request, done: impl FnOnce(Result<Response, Failed>) + Send + 'static) -> Option<AbortHandle> {
        let at_once = self.0.is_plain(&request) && self.0.gap().is_zero();
        let Some(place) = at_once.then(|| self.0.lanes.try_place()).flatten() else {
            let client = self.clone();
            return Some(handle.spawn(async move { done(client.send(request).await) }).abort_handle());
        };
        match self.0.text(&request) {
            Ok(text) => {
                let exchange = Exchange { text, deadline: self.0.deadline(handle), done: Box::new(done) };
                if let Some((place, exchange)) = place.send(handle, exchange) {
                    handle.spawn(place.send_on_new(exchange));
                }
            }
            Err(why) => done(Err(Failed::Malformed(why))),
        }
        None
    }

    /// The same, from a task of the network: gives where the answer comes.
    pub fn ask(&self, request: Request) -> oneshot::Receiver<Result<Response, Failed>> {
        let (tell, told) = oneshot::channel();
        // whoever asked may be gone
        let _ = self.start(&Handle::current(), request, |answer| drop(tell.send(answer)));
        told
    }

    async fn send_plain(&self, place: Place, request: Request) -> Result<Response, Failed> {
        let text = self.0.text(&request).map_err(Failed::Malformed)?;
        self.turn().await;
        let (tell, told) = oneshot::channel();
        let done = Box::new(|answer| drop(tell.send(answer)));
        let handle = Handle::current();
        let exchange = Exchange { text, deadline: self.0.deadline(&handle), done };
        if let Some((place, exchange)) = place.send(&handle, exchange) {
            place.send_on_new(exchange).await;
        }
        told.await.unwrap_or_else(|_| Err(Failed::Broken("the client has ended".into())))
    }

    async fn send_by_hyper(&self, how: How, request: Request) -> Result<Response, Failed> {
        let (abrupt, patience) = (Abrupt::default(), self.0.timeout + if let How::Slowly(over) = how { over } else { Duration::ZERO });
        let request = self.0.build(how, request, &abrupt).map_err(Failed::Malformed)?;
        self.turn().await;
        let sending = async {
            match how {
                How::BrokenOff => self.0.receive(&mut self.0.connect(abrupt).await?, request).await,
                How::AtOnce | How::Slowly(_) => self.0.send(request).await,
            }
        };
        tokio::time::timeout(patience, sending).await.unwrap_or(Err(Failed::TimedOut))
    }
}

/// Waits, and counts it where that takes long.
async fn counted<T>(count: &AtomicU64, until: impl Future<Output = T>) -> T {
    let mut until = pin!(until);
    match timeout(LONG, until.as_mut()).await {
        Ok(it) => it,
        Err(_) => {
            count.fetch_add(1, Ordering::Relaxed);
            until.await
        }
    }
}

/// Longer paths are looked at in any case.
const USUAL_PATH: usize = 512;
/// What the plain way says itself, or does not understand.
const FRAMING: [&str; 6] = ["connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"];

impl Host {
    fn gap(&self) -> Duration {
        *self.gap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, whatever thread this is.
    fn deadline(&self, handle: &Handle) -> Instant {
        let _entered = handle.enter();
        sleep(self.timeout).deadline()
    }

    fn is_plain(&self, request: &Request) -> bool {
        let framing = || request.headers.iter().any(|(name, _)| FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)));
        self.tls.is_none() && request.method != Method::HEAD && request.method != Method::CONNECT && !framing()
    }

    /// The path as it goes over the wire. One of plain letters only is written as it is: whether it is a path need not be found out.
    fn push_path(&self, text: &mut Vec<u8>, request: &Request) -> Result<(), String> {
        let usual = |fine, byte: u8| fine & (byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_'));
        if request.path.starts_with('/') && request.path.len() <= USUAL_PATH && request.path.bytes().fold(true, usual) {
            text.extend_from_slice(self.base.as_bytes());
            text.extend_from_slice(request.path.as_bytes());
            return Ok(());
        }
        let path = Uri::try_from(self.path(request)).map_err(|error| error.to_string())?;
        let path = path.path_and_query().filter(|_| path.authority().is_none()).ok_or("no path")?;
        text.extend_from_slice(path.as_str().as_bytes());
        Ok(())
    }

    fn path(&self, request: &Request) -> String {
        let path = [self.base.as_str(), &request.path].concat();
        if path.is_empty() { "/".into() } else { path }
    }

    /// A request as it goes over the wire.
    fn text(&self, request: &Request) -> Result<Vec<u8>, String> {
        let mut text = Vec::with_capacity(256 + 64 * request.headers.len() + request.body.len());
        for part in [request.method.as_str(), " "] {
            text.extend_from_slice(part.as_bytes());
        }
        self.push_path(&mut text, request)?;
        for part in [" HTTP/1.1\r\nhost: ", &self.lanes.authority, "\r\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        for (name, value) in &request.headers {
            // looked at where they are, and to the end, which goes many at a time: a header of ours is no copy of its own
            if !value.bytes().fold(true, |fine, byte| fine & (byte >= b' ' && byte != 0x7f || byte == b'\t')) {
                return Err(format!("the value of the header `{name}` cannot be sent"));
            }
            let usual = |fine, byte: u8| fine & (byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            let usual = !name.is_empty() && name.bytes().fold(true, usual);
            let other = (!usual).then(|| HeaderName::from_bytes(name.as_bytes())).transpose().map_err(|error| error.to_string())?;
            for part in [other.as_ref().map_or(*name, HeaderName::as_str), ": ", value, "\r\n"] {
                text.extend_from_slice(part.as_bytes());
            }
        }
        if !request.body.is_empty() || matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
            let _ = write!(text, "content-length: {}\r\n", request.body.len());
        }
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&request.body);
        Ok(text)
    }

    fn build(&self, how: How, request: Request, abrupt: &Abrupt) -> Result<hyper::Request<Paced>, String> {
        let path = self.path(&request);
        let mut built = hyper::Request::builder().method(request.method).uri(path).header(HOST, &self.lanes.authority);
        for (name, value) in request.headers {
            built = built.header(name, HeaderValue::from_str(&value).map_err(|error| error.to_string())?);
        }
        let body = match how {
            How::AtOnce => Paced::whole(request.body),
            How::Slowly(over) => Paced::slow(request.body, over),
            How::BrokenOff => Paced::broken(request.body, abrupt.clone()),
        };
        built.body(body).map_err(|error| error.to_string())
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        if !connection.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    async fn connect(&self, abrupt: Abrupt) -> Result<Connection, Failed> {
        let stream = TcpStream::connect(&self.lanes.authority).await.map_err(|error| Failed::Refused(error.to_string()))?;
        let wire = Wire::new(stream, abrupt);
        trace!(to = self.lanes.authority, tls = self.tls.is_some(), "connected");
        match &self.tls {
            Some(tls) => greet(tls.secure(wire).await.map_err(Failed::Refused)?).await,
            None => greet(wire).await,
        }
    }

    /// It was written, and what came back is no answer.
    fn broken(&self, error: &hyper::Error) -> Failed {
        let hint = if error.is_parse() && self.tls.is_none() { "; it may be TLS, and the address begin with https://" } else { "" };
        Failed::Broken(format!("{error}{hint}"))
    }

    /// One request on a connection of its own.
    async fn receive(&self, connection: &mut Connection, request: hyper::Request<Paced>) -> Result<Response, Failed> {
        match connection.send_request(request).await {
            Ok(response) => read(response).await,
            Err(error) => Err(self.broken(&error)),
        }
    }

    async fn send(&self, mut request: hyper::Request<Paced>) -> Result<Response, Failed> {
        loop {
            let (mut connection, fresh) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (self.connect(Abrupt::default()).await?, true),
            };
            if connection.ready().await.is_err() && !fresh {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let response = read(response).await?;
                    self.keep(connection);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    // not a byte of it was written: the connection had ended while it was idle
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(Failed::Refused(error.into_error().to_string())),
                    None => return Err(self.broken(&error.into_error())),
                },
            }
        }
    }
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Connection, Failed> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| Failed::Refused(error.to_string()))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn read(response: hyper::Response<Incoming>) -> Result<Response, Failed> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| Failed::Broken(error.to_string()))?.to_bytes().into();
    let mut headers = Headers::default();
    head.headers.iter().for_each(|(name, value)| headers.push(name.as_str(), value.as_bytes()));
    Ok(Response { status: head.status.as_u16(), headers, body })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
