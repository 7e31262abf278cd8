//! A pool of keep-alive connections to one host. One call is one request on the wire: a second POST that nobody asked for would be a fault
//! that nobody injected. Only what was certainly never written may go out on another connection.

use super::body::{Abrupt, Paced};
use super::tls::{Tls, Trust};
use super::wire::Wire;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{debug, trace};

/// Answers are read so far.
const LARGEST_ANSWER: usize = 8 << 20;

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
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
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
    /// host and port, as the `Host` header has them
    authority: String,
    /// path before every path
    base: String,
    /// of an address that begins with `https`
    tls: Option<Tls>,
    idle: Mutex<Vec<Connection>>,
    in_flight: Semaphore,
    /// between two requests; nothing where their rate is not bounded
    gap: Mutex<Duration>,
    ticks: tokio::sync::Mutex<Option<Interval>>,
    timeout: Duration,
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
            authority,
            base,
            tls,
            idle: Mutex::default(),
            in_flight: Semaphore::new(in_flight.max(1)),
            gap: Mutex::default(),
            ticks: tokio::sync::Mutex::new(None),
            timeout,
        })))
    }

    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// Sends no more than so many requests a second from now on; each waits for its turn.
    pub fn pace(&self, per_second: u32) {
        *self.0.gap.lock().unwrap_or_else(PoisonError::into_inner) = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
    }

    async fn turn(&self) {
        let gap = *self.0.gap.lock().unwrap_or_else(PoisonError::into_inner);
        if gap.is_zero() {
            return;
        }
        let mut ticks = self.0.ticks.lock().await;
        let ticks = ticks.get_or_insert_with(|| {
            let mut ticks = interval(gap);
            // a turn that nobody took is not made up for
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
    }

    /// Sends one request, once.
    pub async fn send(&self, request: Request) -> Result<Response, Failed> {
        self.send_as(How::AtOnce, request).await
    }

    /// The same, with a body that may trickle or break off.
    pub async fn send_as(&self, how: How, request: Request) -> Result<Response, Failed> {
        let Ok(_permit) = self.0.in_flight.acquire().await else { return Err(Failed::Malformed("the client is closed".into())) };
        let (abrupt, patience) = (Abrupt::default(), self.0.timeout + if let How::Slowly(over) = how { over } else { Duration::ZERO });
        let request = self.0.build(how, request, &abrupt).map_err(Failed::Malformed)?;
        self.turn().await;
        let sending = async {
            match how {
                How::BrokenOff => self.0.receive(&mut self.0.connect(abrupt).await?, request).await,
                How::AtOnce | How::Slowly(_) => self.0.send(request).await,
            }
        };
        let answer = tokio::time::timeout(patience, sending).await.unwrap_or(Err(Failed::TimedOut));
        if let Err(failed) = &answer {
            debug!(to = self.0.authority, %failed, "no answer");
        }
        answer
    }
}

impl Host {
    fn build(&self, how: How, request: Request, abrupt: &Abrupt) -> Result<hyper::Request<Paced>, String> {
        let path = format!("{}{}", self.base, request.path);
        let path = if path.is_empty() { "/" } else { &path };
        let mut built = hyper::Request::builder().method(request.method).uri(path).header(HOST, &self.authority);
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
        let stream = TcpStream::connect(&self.authority).await.map_err(|error| Failed::Refused(error.to_string()))?;
        let wire = Wire::new(stream, abrupt);
        trace!(to = self.authority, tls = self.tls.is_some(), "connected");
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
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| Failed::Broken(error.to_string()))?.to_bytes();
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    /// A server that does `with` to each connection, and counts whole requests.
    fn server(with: fn(&mut std::net::TcpStream, &dyn Fn() -> bool)) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, count) = (stream.unwrap(), count.clone());
                std::thread::spawn(move || {
                    let mut reading = stream.try_clone().unwrap();
                    let read = || {
                        let (mut text, mut byte) = (Vec::new(), [0]);
                        while !text.ends_with(b"\r\n\r\n") {
                            if (&reading).read(&mut byte).unwrap_or(0) == 0 {
                                return false;
                            }
                            text.push(byte[0]);
                        }
                        count.fetch_add(1, Ordering::SeqCst);
                        true
                    };
                    with(&mut stream, &read);
                    let _ = reading.flush();
                });
            }
        });
        (url, requests)
    }

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    fn ask() -> Request {
        Request { method: Method::POST, path: "/orders".into(), headers: vec![("x-message-id", "1".into())], body: Vec::new() }
    }

    fn client(url: &str) -> Client {
        Client::new(url, 4, Duration::from_millis(300)).unwrap()
    }

    #[test]
    fn what_was_written_is_never_written_again() {
        let (url, requests) = server(|_, read| {
            read();
        });
        let failed = runtime().block_on(client(&url).send(ask())).err();
        assert!(matches!(failed, Some(Failed::Broken(_))), "{failed:?}");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn requests_wait_for_their_turn() {
        let runtime = runtime();
        let (url, requests) = server(|stream, read| {
            while read() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let client = Client::new(&url, 100, Duration::from_secs(10)).unwrap();
        client.pace(100);
        runtime.block_on(async {
            let began = tokio::time::Instant::now();
            let sends = (0..21).map(|_| {
                tokio::spawn({
                    let client = client.clone();
                    async move { client.send(ask()).await }
                })
            });
            for sent in sends.collect::<Vec<_>>() {
                sent.await.unwrap().unwrap();
            }
            // the last of 21 leaves twenty turns of ten milliseconds after the first, and no sooner
            assert!(began.elapsed() >= Duration::from_millis(200));
        });
        assert_eq!(requests.load(Ordering::SeqCst), 21);
    }

    #[test]
    fn a_body_may_trickle_and_what_breaks_off_is_reset_and_never_whole() {
        let (said, heard) = std::sync::mpsc::channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut text, mut some) = (stream.unwrap(), String::new(), [0; 4096]);
                let end = loop {
                    match stream.read(&mut some) {
                        Ok(0) => break "closed".to_string(),
                        Ok(n) => text += &String::from_utf8_lossy(&some[..n]),
                        Err(error) => break format!("{:?}", error.kind()),
                    }
                    if text.ends_with("0123456789") {
                        let _ = stream.write_all(GOOD);
                    }
                };
                said.send((text, end)).unwrap();
            }
        });
        let (client, runtime) = (client(&url), runtime());
        let mut request = ask();
        request.body = b"0123456789".to_vec();
        let failed = runtime.block_on(client.send_as(How::BrokenOff, request)).err();
        assert!(matches!(failed, Some(Failed::Broken(_))), "{failed:?}");
        let (text, end) = heard.recv().unwrap();
        assert!(text.contains("content-length: 10") && text.ends_with("\r\n\r\n01234"), "{text}");
        assert_eq!(end, "ConnectionReset");
        let mut request = ask();
        request.body = b"0123456789".to_vec();
        let answer = runtime.block_on(client.send_as(How::Slowly(Duration::from_millis(200)), request)).map(|answer| answer.status);
        assert_eq!(answer, Ok(200));
        drop((client, runtime));
        assert!(heard.recv().unwrap().0.ends_with("0123456789"));
    }

    #[test]
    fn a_connection_that_ended_while_it_was_idle_is_replaced_and_one_that_lives_is_used_again() {
        let (url, requests) = server(|stream, read| {
            read();
            let _ = stream.write_all(GOOD);
        });
        let (client, runtime) = (client(&url), runtime());
        for n in 1..=3 {
            let answer = runtime.block_on(client.send(ask())).map(|answer| (answer.status, answer.body));
            assert_eq!(answer.unwrap(), (200, Bytes::from_static(b"ok")));
            assert_eq!(requests.load(Ordering::SeqCst), n);
            // its end must have come, or the next request is on its way into nowhere
            while client.0.idle.lock().unwrap().iter().any(|connection| !connection.is_closed()) {
                runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            }
        }
        let (url, _) = server(|stream, read| {
            while read() {
                let _ = stream.write_all(GOOD);
            }
        });
        let client = super::Client::new(&url, 4, Duration::from_millis(300)).unwrap();
        for _ in 0..3 {
            runtime.block_on(client.send(ask())).map(|answer| answer.status).unwrap();
        }
        assert_eq!(client.0.idle.lock().unwrap().len(), 1);
    }

    #[test]
    fn nobody_there_and_no_answer_are_told_apart() {
        let refused = runtime().block_on(client("http://127.0.0.1:1").send(ask())).err();
        assert!(matches!(refused, Some(Failed::Refused(_))), "{refused:?}");
        let (url, _) = server(|_, read| while read() {});
        assert_eq!(runtime().block_on(client(&url).send(ask())).err(), Some(Failed::TimedOut));
        assert!(Client::new("ftp://127.0.0.1", 1, Duration::ZERO).is_err_and(|why| why.contains("not understood")));
    }
}
