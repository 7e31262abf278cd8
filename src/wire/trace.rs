//! W3C Trace Context: everything about one order is one trace, and each message a span of it. A trace that the other side began is continued
//! by whatever follows from its message.

use crate::model::{Class, Id, Message};
use rustc_hash::FxHashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    pub trace: u128,
    pub span: u64,
    /// 0 where there is none
    pub parent: u64,
}

impl TraceContext {
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace.to_be_bytes());
        text.push('-');
        push_hex(&mut text, &self.span.to_be_bytes());
        text.push_str("-01");
        text
    }

    /// Trace and span of a header. A version that is newer may say more after them; what is not valid is no context.
    pub fn parse(header: &str) -> Option<(u128, u64)> {
        let mut parts = header.trim().split('-');
        let mut hex = |length: usize| {
            let part = parts.next()?;
            let fits = part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            fits.then_some(part)
        };
        let (version, trace, span, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        if version == "ff" || version == "00" && parts.next().is_some() {
            return None;
        }
        let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        (trace != 0 && span != 0).then_some((trace, span))
    }
}

/// Each message has such a header, and the formatter of `std` takes its time over a wide number.
fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// So many ids are remembered at least, and twice as many at most.
const REMEMBERED: usize = 50_000;

/// Traces of others, by id: what is old is forgotten.
#[derive(Default, Debug)]
struct Known {
    recent: FxHashMap<Id, u128>,
    older: FxHashMap<Id, u128>,
}

impl Known {
    fn get(&self, id: Id) -> Option<u128> {
        self.recent.get(&id).or_else(|| self.older.get(&id)).copied().filter(|_| id.is_some())
    }
    fn put(&mut self, id: Id, trace: u128) {
        if self.recent.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(id, trace);
    }
}

/// The traces of one case. Ids of traces and spans are hashes, so that nothing is remembered but what others began.
#[derive(Default, Debug)]
pub struct Traces {
    salt: u64,
    /// what comes in names the trace of an order; else it is ours, and only what follows from a message is in that message's trace
    follows: bool,
    messages: Mutex<Known>,
    orders: Mutex<Known>,
    /// in which an order's partners were last called, where that is another: a callback names no call
    called: Mutex<Known>,
}

impl Traces {
    /// Of the side that begins traces. `salt` tells cases and runs apart.
    pub fn beginning(salt: u64) -> Traces {
        Traces { salt, ..Traces::default() }
    }

    /// Of the side that is asked.
    pub fn following(salt: u64) -> Traces {
        Traces { salt, follows: true, ..Traces::default() }
    }

    fn messages(&self) -> MutexGuard<'_, Known> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn called(&self) -> MutexGuard<'_, Known> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn orders(&self) -> MutexGuard<'_, Known> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spread over 64 bits, never 0.
    fn number(&self, id: Id, part: u64) -> u64 {
        let mut x = self.salt ^ id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)).max(1)
    }

    fn span(&self, message: Id) -> u64 {
        if message.is_some() { self.number(message, 0) } else { 0 }
    }

    /// The trace of a message by its order, or its own where there is none.
    fn usual(&self, msg: &Message) -> u128 {
        let id = if msg.corr.is_some() { msg.corr } else { msg.id };
        let own = || u128::from(self.number(id, 1)) << 64 | u128::from(self.number(id, 2));
        self.orders().get(msg.corr).unwrap_or_else(own)
    }

    /// The context of a message of ours.
    pub fn outgoing(&self, msg: &Message) -> TraceContext {
        let usual = self.usual(msg);
        let called = if msg.op.class() == Class::Callback { self.called().get(order(msg)) } else { None };
        let mut messages = self.messages();
        let trace = messages.get(msg.cause).or(called).unwrap_or(usual);
        if trace != usual {
            messages.put(msg.id, trace);
        }
        TraceContext { trace, span: self.span(msg.id), parent: self.span(msg.cause) }
    }

    /// The context of a message of the other side: a span of ours below the one that its header names.
    pub fn incoming(&self, msg: &Message, header: &str) -> TraceContext {
        let Some((trace, parent)) = TraceContext::parse(header) else {
            return self.outgoing(msg);
        };
        if self.follows && msg.corr.is_some() && self.orders().get(msg.corr).is_none() {
            self.orders().put(msg.corr, trace);
        }
        let elsewhere = trace != self.usual(msg);
        if elsewhere {
            self.messages().put(msg.id, trace);
        }
        if msg.op.class() == Class::Call {
            let mut called = self.called();
            if elsewhere || called.get(order(msg)).is_some() {
                called.put(order(msg), trace);
            }
        }
        TraceContext { trace, span: self.span(msg.id), parent }
    }
}

/// The order of a message, as an id; none where there is none.
fn order(msg: &Message) -> Id {
    Id(u64::from(msg.order.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Op, OrderNo};

    const THEIRS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn message(id: u64, corr: u64, cause: u64) -> Message {
        Message { corr: Id(corr), cause: Id(cause), ..Message::new(Op::PaymentAuthorize, Id(id)) }
    }

    #[test]
    fn headers_are_read_as_the_standard_says() {
        assert_eq!(TraceContext::parse(THEIRS), Some((TRACE, 0x00f0_67aa_0ba9_02b7)));
        let written = TraceContext { trace: TRACE, span: 0x00f0_67aa_0ba9_02b7, parent: 3 }.header();
        assert_eq!(written, THEIRS);
        assert!(TraceContext::parse(&THEIRS.replacen("00", "42", 1)).is_some(), "a newer version");
        assert!(TraceContext::parse(&format!("{}-more", THEIRS.replacen("00", "42", 1))).is_some());
        let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        for bad in ["", "00", &THEIRS[..54], &format!("{THEIRS}-more"), &THEIRS.to_uppercase(), &THEIRS.replacen("00", "ff", 1), &zero] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_order_is_a_trace_and_cases_do_not_share_any() {
        let traces = Traces::beginning(1);
        let (placed, cancelled) = (traces.outgoing(&message(2, 9, 0)), traces.outgoing(&message(4, 9, 7)));
        assert_eq!(placed.trace, cancelled.trace);
        assert_eq!((placed.parent, cancelled.parent), (0, traces.incoming(&message(7, 9, 2), THEIRS).span));
        assert_ne!(placed.span, cancelled.span);
        assert_ne!(placed.trace, traces.outgoing(&message(2, 10, 0)).trace);
        assert_ne!(placed.trace, Traces::beginning(2).outgoing(&message(2, 9, 0)).trace);
    }

    #[test]
    fn what_follows_from_a_message_is_in_its_trace() {
        let traces = Traces::beginning(1);
        let own = traces.outgoing(&message(2, 9, 0)).trace;
        // a call of a target that began a trace of its own, the callback that it causes, and another message of the order
        let call = traces.incoming(&message(7, 9, 2), THEIRS);
        assert_eq!((call.trace, call.parent), (TRACE, 0x00f0_67aa_0ba9_02b7));
        let callback = traces.outgoing(&message(4, 9, 7));
        assert_eq!((callback.trace, callback.parent), (TRACE, call.span));
        assert_eq!(traces.outgoing(&message(6, 9, 4)).trace, TRACE, "by way of the callback");
        assert_eq!(traces.outgoing(&message(8, 9, 0)).trace, own);
        assert_eq!(traces.incoming(&message(10, 9, 2), "nonsense").trace, own);
        // a partner that calls back names no call, but the order
        let about = |op, id| Message { corr: Id(9), ..Message::of_order(op, Id(id), OrderNo(1)) };
        assert_eq!(traces.outgoing(&about(Op::CbPaymentDecided, 12)).trace, own);
        traces.incoming(&about(Op::PaymentAuthorize, 13), THEIRS);
        assert_eq!(traces.outgoing(&about(Op::CbPaymentDecided, 14)).trace, TRACE);
        assert_eq!(traces.outgoing(&about(Op::CancelOrder, 16)).trace, own);
    }

    #[test]
    fn whoever_is_asked_has_the_trace_of_the_command_in_all_that_it_causes() {
        let traces = Traces::following(1);
        traces.incoming(&message(2, 9, 0), THEIRS);
        for (id, cause) in [(3, 2), (5, 3), (7, 0)] {
            assert_eq!(traces.outgoing(&message(id, 9, cause)).trace, TRACE);
        }
        let other = THEIRS.replace("4bf9", "5bf9");
        traces.incoming(&message(4, 9, 0), &other);
        assert_ne!(traces.outgoing(&message(9, 9, 4)).trace, TRACE, "the cancellation came in another trace");
        assert_eq!(traces.outgoing(&message(11, 9, 2)).trace, TRACE);
    }
}
