//! A small HTTP server: bounded bodies, connections and times, and handlers that may also answer nothing at all.

use super::body::{Abrupt, Paced};
use super::client::How;
use super::wire::Wire;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::warn;

/// How much it takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub body: usize,
    pub connections: usize,
    /// a request must have come whole in this time
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { body: 1 << 20, connections: 4_096, patience: Duration::from_secs(30) }
    }
}

/// A whole request.
pub struct Arrived {
    pub method: String,
    /// without the query
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Arrived {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What is done with a request.
pub enum Deed {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
        how: How,
    },
    /// the connection is closed, and whoever asked knows nothing
    Cut,
}

pub struct Server {
    listener: TcpListener,
    limits: Limits,
}

impl Server {
    pub async fn bind(address: &str, limits: Limits) -> io::Result<Server> {
        Ok(Server { listener: TcpListener::bind(address).await?, limits })
    }
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped. `handle` is called with each request that came whole.
    pub async fn run<F, Fut>(self, handle: F)
    where
        F: Fn(Arrived) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Deed> + Send + 'static,
    {
        let (handle, room) = (Arc::new(handle), Arc::new(Semaphore::new(self.limits.connections)));
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else {
                // out of file descriptors, say: others may end meanwhile
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let (handle, limits, abrupt) = (handle.clone(), self.limits, Abrupt::default());
            let wire = Wire::new(stream, abrupt.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| serve(request, handle.clone(), limits, abrupt.clone()));
                let mut http = hyper::server::conn::http1::Builder::new();
                let _ =
                    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(300)).serve_connection(TokioIo::new(wire), service).await;
                drop(place);
            });
        }
    }
}

async fn serve<F, Fut>(request: hyper::Request<Incoming>, handle: Arc<F>, limits: Limits, abrupt: Abrupt) -> io::Result<hyper::Response<Paced>>
where
    F: Fn(Arrived) -> Fut,
    Fut: Future<Output = Deed>,
{
    let (head, body) = request.into_parts();
    let whole = tokio::time::timeout(limits.patience, Limited::new(body, limits.body).collect()).await;
    let body = match whole {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            warn!(path = head.uri.path(), limit = limits.body, "a request that is too large");
            return Ok(response(413, &[], Paced::whole(Vec::new())));
        }
        Ok(Err(error)) => return Err(io::Error::other(error)),
        Err(_) => {
            warn!(path = head.uri.path(), "a request that did not come whole in time");
            return Ok(response(408, &[], Paced::whole(Vec::new())));
        }
    };
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    let query = head.uri.query().unwrap_or_default().to_owned();
    match handle(Arrived { method, path, query, headers: head.headers, body }).await {
        Deed::Answer { status, headers, body, how } => Ok(response(
            status,
            &headers,
            match how {
                How::AtOnce => Paced::whole(body),
                How::Slowly(over) => Paced::slow(body, over),
                How::BrokenOff => Paced::broken(body, abrupt),
            },
        )),
        Deed::Cut => Err(io::Error::other("cut on purpose")),
    }
}

fn response(status: u16, headers: &[(&'static str, String)], body: Paced) -> hyper::Response<Paced> {
    let mut built = hyper::Response::builder().status(status);
    for (name, value) in headers {
        built = built.header(*name, value);
    }
    built.body(body).unwrap_or_else(|_| hyper::Response::new(Paced::whole(Vec::new())))
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Failed, Request};
    use super::*;
    use hyper::Method;

    #[test]
    fn bodies_are_bounded_and_a_handler_may_hang_up() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::bind("127.0.0.1:0", Limits { body: 100, ..Limits::default() })).unwrap();
        let url = format!("http://{}", server.address().unwrap());
        runtime.spawn(server.run(|arrived: Arrived| async move {
            match arrived.path.as_str() {
                "/cut" => Deed::Cut,
                "/" => Deed::Answer { status: 204, headers: Vec::new(), body: Vec::new(), how: How::AtOnce },
                "/slow" => {
                    Deed::Answer { status: 200, headers: Vec::new(), body: arrived.body.to_vec(), how: How::Slowly(Duration::from_millis(200)) }
                }
                "/broken" => Deed::Answer { status: 200, headers: Vec::new(), body: arrived.body.to_vec(), how: How::BrokenOff },
                _ => Deed::Answer {
                    status: 200,
                    headers: vec![("x-length", arrived.body.len().to_string())],
                    body: arrived.query.into_bytes(),
                    how: How::AtOnce,
                },
            }
        }));
        let client = Client::new(&url, 4, Duration::from_secs(5)).unwrap();
        let send = |path: &str, length: usize| {
            let request = Request { method: Method::POST, path: path.into(), headers: Vec::new(), body: vec![b'a'; length] };
            runtime.block_on(client.send(request))
        };
        let answer = send("/echo?after=3", 100).map(|answer| (answer.status, answer.header("x-length").map(str::to_owned), answer.body)).unwrap();
        assert_eq!(answer, (200, Some("100".into()), b"after=3".to_vec()));
        assert_eq!(send("/echo", 101).map(|answer| answer.status), Ok(413));
        assert!(matches!(send("/cut", 0).err(), Some(Failed::Broken(_))));
        assert_eq!(send("", 0).map(|answer| answer.status), Ok(204), "an address without a path is that of the root");
        assert_eq!(send("/echo", 1).map(|answer| answer.status), Ok(200));
        let hurried = Client::new(&url, 4, Duration::from_millis(100)).unwrap();
        let slow = || Request { method: Method::POST, path: "/slow".into(), headers: Vec::new(), body: vec![b'a'; 50] };
        assert_eq!(runtime.block_on(hurried.send(slow())).err(), Some(Failed::TimedOut), "it takes its time");
        assert_eq!(send("/slow", 50).map(|answer| answer.body.len()), Ok(50), "and is whole in the end");
        let broken = send("/broken", 50).err();
        assert!(matches!(&broken, Some(Failed::Broken(_))), "{broken:?}");
        assert_eq!(send("/echo", 1).map(|answer| answer.status), Ok(200));
    }
}
