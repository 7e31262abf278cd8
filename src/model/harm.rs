//! What a network does to a body, or a stranger to its signature.

use crate::sim::Span;

/// How the body of a message to the target is harmed, or that of an answer to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    /// half of it, framed as if it were all
    Truncated,
    /// garbage in its place
    Garbled,
    /// the connection is reset in the middle of it
    Reset,
    /// it trickles in over so long, and is whole then
    Slow(Span),
    /// whole, and signed with another secret
    Forged,
}
