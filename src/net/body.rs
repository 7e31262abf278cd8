//! Bodies that come all at once, trickle, or end in the middle.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// A body that trickles comes in at most so many pieces.
const PIECES: usize = 16;
/// What is to arrive before the connection ends gets so long to be on its way.
const HEAD_START: Duration = Duration::from_millis(20);

/// A connection whose end this says is reset when it is closed, so that nothing looks like an orderly end.
pub type Abrupt = Arc<AtomicBool>;

/// A body of a known length.
pub struct Paced {
    pieces: VecDeque<Bytes>,
    /// what the other side is told: more than the pieces have where it breaks off
    length: u64,
    apart: Duration,
    waits: Option<Pin<Box<Sleep>>>,
    began: bool,
    /// after the last piece the connection breaks
    breaks: Option<Abrupt>,
}

impl Paced {
    /// All at once.
    pub fn whole(body: Vec<u8>) -> Paced {
        let (length, pieces) = (body.len() as u64, if body.is_empty() { VecDeque::new() } else { VecDeque::from([Bytes::from(body)]) });
        Paced { pieces, length, apart: Duration::ZERO, waits: None, began: false, breaks: None }
    }

    /// Piece by piece, over so long.
    pub fn slow(body: Vec<u8>, over: Duration) -> Paced {
        let count = body.len().clamp(1, PIECES);
        let whole = Bytes::from(body);
        let cut = |n: usize| whole.len() * n / count;
        let pieces: VecDeque<Bytes> = (0..count).map(|n| whole.slice(cut(n)..cut(n + 1))).filter(|piece| !piece.is_empty()).collect();
        // a wait before each, so that a single piece takes its time, too
        Paced { length: whole.len() as u64, pieces, apart: over / count as u32, waits: None, began: true, breaks: None }
    }

    /// Half of it, and then the connection is reset.
    pub fn broken(body: Vec<u8>, abrupt: Abrupt) -> Paced {
        let length = body.len().max(2);
        let mut half = body;
        half.truncate(length / 2);
        Paced { length: length as u64, apart: HEAD_START, breaks: Some(abrupt), ..Paced::whole(half) }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let more = !this.pieces.is_empty() || this.breaks.is_some();
        if more && this.began && !this.apart.is_zero() {
            let apart = this.apart;
            let waits = this.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(apart)));
            if waits.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.waits = None;
        }
        this.began = true;
        if let Some(piece) = this.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(this.breaks.take().map(|abrupt| {
            abrupt.store(true, Ordering::Release);
            Err(io::Error::other("broken off on purpose"))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.breaks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
