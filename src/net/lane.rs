//! Connections of plain HTTP/1.1 with nothing between a request and its socket: whoever has one writes it himself, on whatever thread, and the
//! one task of a connection only reads. So a request wakes nobody, and an answer wakes the network once.

use super::reading::Reading;
use super::{Failed, Response};
use bytes::BytesMut;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::trace;

/// Read at once.
const PART: usize = 8 << 10;
/// Nobody's patience is looked at more often.
const SHORTEST: Duration = Duration::from_millis(1);

/// One request, and who is told what became of it, by the task that read the answer.
pub struct Exchange {
    /// as it goes over the wire
    pub text: Vec<u8>,
    pub deadline: Instant,
    pub done: Box<dyn FnOnce(Result<Response, Failed>) + Send>,
}

/// All connections to one host that nobody uses, and how many requests may be under way.
pub struct Lanes {
    pub authority: String,
    pub patience: Duration,
    pub places: Semaphore,
    pub idle: Mutex<Vec<Lane>>,
}

impl Lanes {
    /// A place among those under way, if there is one.
    pub fn try_place(self: &Arc<Self>) -> Option<Place> {
        self.places.try_acquire().ok().map(|permit| {
            permit.forget();
            Place(self.clone())
        })
    }

    /// The same, when there is one.
    pub async fn place(self: &Arc<Self>) -> Option<Place> {
        self.places.acquire().await.ok().map(|permit| {
            permit.forget();
            Place(self.clone())
        })
    }

    /// Each change is one call, so a thread that panicked leaves it whole.
    fn idle(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Place(Arc<Lanes>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}

impl Place {
    /// Writes a request on a connection that is there. Gives it back where there is none; then not a byte of it was written.
    pub fn send(mut self, handle: &Handle, mut exchange: Exchange) -> Option<(Place, Exchange)> {
        loop {
            let Some(lane) = self.0.idle().pop() else { return Some((self, exchange)) };
            (self, exchange) = lane.carry(handle, self, exchange)?;
        }
    }

    /// Writes a request on a new connection.
    pub async fn send_on_new(self, exchange: Exchange) {
        let (place, exchange, failed) = match timeout_at(exchange.deadline, TcpStream::connect(&self.0.authority)).await {
            Err(_) => (self, exchange, Failed::TimedOut),
            Ok(Err(error)) => (self, exchange, Failed::Refused(error.to_string())),
            Ok(Ok(stream)) => {
                trace!(to = self.0.authority, tls = false, "connected");
                let lane = Lane::over(stream, self.0.patience);
                let Some((place, exchange)) = lane.carry(&Handle::current(), self, exchange) else { return };
                (place, exchange, Failed::Refused("it was closed at once".into()))
            }
        };
        drop(place);
        (exchange.done)(Err(failed));
    }
}

/// A connection without a request under way. It is closed when this is dropped.
pub struct Lane {
    line: Arc<Line>,
    reader: AbortHandle,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Lane {
    fn over(stream: TcpStream, patience: Duration) -> Lane {
        let _ = stream.set_nodelay(true);
        let line = Arc::new(Line { stream, state: Mutex::default() });
        let reader = tokio::spawn(read(Reader(line.clone()), patience.max(SHORTEST))).abort_handle();
        Lane { line, reader }
    }

    /// Writes a request, all of it as a rule. Gives it back where the connection has ended before a byte of it was written.
    fn carry(self, handle: &Handle, place: Place, Exchange { text, deadline, done }: Exchange) -> Option<(Place, Exchange)> {
        let line = self.line.clone();
        let mut state = line.state();
        if state.ended {
            return Some((place, Exchange { text, deadline, done }));
        }
        (state.awaited, state.writing) = (Some(Awaited { lane: self, deadline, done, place }), Writing::Now);
        drop(state);
        // nobody is held up by it: whoever writes may lose the processor to the very one who reads what he wrote
        let written = line.stream.try_write(&text);
        let mut state = line.state();
        state.writing = Writing::No;
        match written {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                state.ended = true;
                let Awaited { deadline, done, place, .. } = state.awaited.take()?;
                return Some((place, Exchange { text, deadline, done }));
            }
            written => {
                let (written, answered) = (written.unwrap_or(0), state.answered.take());
                if written == text.len() {
                    answered.into_iter().for_each(|(lane, place)| place.0.idle().push(lane));
                } else if state.awaited.is_some() {
                    state.writing = Writing::Rest(handle.spawn(write_rest(line.clone(), text, written)).abort_handle());
                } else {
                    // an answer to half a request: whatever followed would be read as the other half
                    state.ended = true;
                }
            }
        }
        None
    }

    #[cfg(test)]
    pub fn has_ended(&self) -> bool {
        self.line.state().ended
    }
}

/// What those who write and the one who reads have in common.
struct Line {
    stream: TcpStream,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    awaited: Option<Awaited>,
    writing: Writing,
    /// what was answered before whoever wrote it noticed that it was written: it is for him to say whether all of it was
    answered: Option<(Lane, Place)>,
    /// nothing can be sent any more
    ended: bool,
}

#[derive(Default)]
enum Writing {
    #[default]
    No,
    /// in a call of the system that does not wait
    Now,
    /// a task carries on with what did not go out at once
    Rest(AbortHandle),
}

/// A request under way.
struct Awaited {
    lane: Lane,
    deadline: Instant,
    done: Box<dyn FnOnce(Result<Response, Failed>) + Send>,
    place: Place,
}

impl Line {
    /// Each change is one call, so a thread that panicked leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is there: how many bytes, 0 at the end.
    fn take(&self, held: &mut BytesMut) -> io::Result<usize> {
        let mut state = self.state();
        held.reserve(PART);
        let room = held.capacity() - held.len();
        let mut taken = Err(ErrorKind::WouldBlock.into());
        let _ = self.stream.try_io(Interest::READABLE, || {
            taken = self.stream.try_read_buf(held);
            match taken {
                // all that there was: to look again at once would be a call of the system in vain
                Ok(bytes) if 0 < bytes && bytes < room => Err(ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        state.ended |= match &taken {
            Ok(bytes) => *bytes == 0 || state.awaited.is_none(),
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        taken
    }

    /// The request under way ends so, and the connection too if it is of no use any more. Says whether it goes on.
    fn end(&self, answer: Result<Response, Failed>, keeps: bool) -> bool {
        let mut state = self.state();
        let keeps = keeps && !matches!(state.writing, Writing::Rest(_));
        state.ended |= !keeps;
        let Some(Awaited { lane, done, place, .. }) = state.awaited.take() else { return keeps };
        if keeps && matches!(state.writing, Writing::Now) {
            state.answered = Some((lane, place));
            drop(state);
        } else {
            drop(state);
            if keeps {
                place.0.idle().push(lane);
            }
            drop(place);
        }
        done(answer);
        keeps
    }

    /// Until nobody is in the middle of writing: only then it is known whether anything went out.
    async fn settled(&self) {
        while matches!(self.state().writing, Writing::Now) {
            yield_now().await;
        }
    }
}

async fn write_rest(line: Arc<Line>, text: Vec<u8>, mut from: usize) {
    while from < text.len() {
        if line.stream.writable().await.is_err() {
            return;
        }
        match line.stream.try_write(&text[from..]) {
            Ok(written) => from += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // whoever reads notices it, too; there may be an answer
            Err(_) => return,
        }
    }
    line.state().writing = Writing::No;
}

/// The end of the task that reads is that of the connection, also where the task is given up.
struct Reader(Arc<Line>);

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        if let Writing::Rest(writing) = &state.writing {
            writing.abort();
        }
        let left = (state.awaited.take(), state.answered.take());
        drop(state);
        drop(left);
    }
}

async fn read(Reader(ref line): Reader, patience: Duration) {
    let (mut held, mut reading) = (BytesMut::new(), Reading::default());
    let mut timer = pin!(sleep(patience));
    loop {
        tokio::select! {
            biased;
            () = timer.as_mut() => {
                // set once for many requests: what begins after now is not due before this
                let (now, next) = (timer.deadline(), line.state().awaited.as_ref().map(|awaited| awaited.deadline));
                if next.is_some_and(|deadline| deadline <= now) {
                    line.end(Err(Failed::TimedOut), false);
                    return;
                }
                timer.as_mut().reset(next.unwrap_or(now + patience));
            }
            ready = poll_fn(|context| line.stream.poll_read_ready(context)) => {
                let taken = match ready.and_then(|()| line.take(&mut held)) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Ok(_) if line.state().awaited.is_none() => return,
                    Ok(bytes) => reading.take(&mut held, bytes == 0),
                    Err(error) => Err(error.to_string()),
                };
                match taken {
                    Ok(None) => {}
                    Ok(Some((response, keeps))) => if !line.end(Ok(response), keeps) { return },
                    Err(why) => {
                        line.settled().await;
                        line.end(Err(Failed::Broken(why)), false);
                        return;
                    }
                }
            }
        }
    }
}
