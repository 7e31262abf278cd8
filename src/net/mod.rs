//! HTTP/1.1 without surprises: a client that never sends anything twice, and a server that bounds what it takes.

mod body;
mod client;
mod echo;
mod lane;
mod reading;
mod server;
mod spans;
mod tls;
mod wire;

pub use client::{Client, Failed, Headers, How, Request, Response, Waited};
pub use echo::Echo;
pub use server::{Arrived, Deed, Limits, Server};
pub use spans::{Span, SpanKind, Spans, Told};
pub use tls::Trust;
