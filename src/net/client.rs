//! A pool of keep-alive connections to one host. One call is one request on the wire: a second POST that nobody asked for would be a fault
//! that nobody injected. Only what was certainly never written may go out on another connection.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Answers are read so far.
const LARGEST_ANSWER: usize = 8 << 20;

pub struct Request {
    pub method: Method,
    /// from the root, with `/`
    pub path: String,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Vec<u8>,
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
            Failed::Refused(why) => write!(f, "connection refused: {why}"),
            Failed::Broken(why) => write!(f, "connection broken: {why}"),
            Failed::TimedOut => f.write_str("no answer in time"),
            Failed::Malformed(why) => write!(f, "no valid request: {why}"),
        }
    }
}

type Connection = SendRequest<Full<Bytes>>;

struct Host {
    /// host and port, as the `Host` header has them
    authority: String,
    /// path before every path
    base: String,
    idle: Mutex<Vec<Connection>>,
    in_flight: Semaphore,
    timeout: Duration,
}

/// A client for one base address. Cloning shares its connections.
#[derive(Clone)]
pub struct Client(Arc<Host>);

impl Client {
    /// `base` is such as `http://127.0.0.1:7070/v1`.
    pub fn new(base: &str, in_flight: usize, timeout: Duration) -> Result<Client, String> {
        let uri: Uri = base.parse().map_err(|error| format!("`{base}` is no address: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("`{base}` is not understood: expected an address such as http://127.0.0.1:7070"));
        }
        let host = uri.host().ok_or_else(|| format!("`{base}` names no host"))?;
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Client(Arc::new(Host { authority, base, idle: Mutex::default(), in_flight: Semaphore::new(in_flight.max(1)), timeout })))
    }

    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// Sends one request, once.
    pub async fn send(&self, request: Request) -> Result<Response, Failed> {
        let Ok(_permit) = self.0.in_flight.acquire().await else { return Err(Failed::Malformed("the client is closed".into())) };
        let request = self.0.build(request).map_err(Failed::Malformed)?;
        match tokio::time::timeout(self.0.timeout, self.0.send(request)).await {
            Ok(result) => result,
            Err(_) => Err(Failed::TimedOut),
        }
    }
}

impl Host {
    fn build(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>, String> {
        let mut built = hyper::Request::builder().method(request.method).uri(format!("{}{}", self.base, request.path)).header(HOST, &self.authority);
        for (name, value) in request.headers {
            built = built.header(name, HeaderValue::from_str(&value).map_err(|error| error.to_string())?);
        }
        built.body(Full::new(Bytes::from(request.body))).map_err(|error| error.to_string())
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

    async fn connect(&self) -> Result<Connection, Failed> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|error| Failed::Refused(error.to_string()))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| Failed::Refused(error.to_string()))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn send(&self, mut request: hyper::Request<Full<Bytes>>) -> Result<Response, Failed> {
        loop {
            let (mut connection, fresh) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (self.connect().await?, true),
            };
            if connection.ready().await.is_err() && !fresh {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| Failed::Broken(error.to_string()))?.to_bytes();
                    self.keep(connection);
                    return Ok(Response { status: head.status.as_u16(), headers: head.headers, body });
                }
                Err(mut error) => match error.take_message() {
                    // not a byte of it was written: the connection had ended while it was idle
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(Failed::Refused(error.into_error().to_string())),
                    None => return Err(Failed::Broken(error.into_error().to_string())),
                },
            }
        }
    }
}
