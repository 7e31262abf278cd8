//! From a failing case to the least of it that still fails for the same reason.
//!
//! A [`Plan`] is a case as data: its orders, faults, stock and steps, each of which can be left out without moving anything else. The
//! passes take things away and ask an oracle whether what is left still fails for the same reason, and for no other.
//!
//! Rooms: `key` (what the same reason is), `plan` (what can be left out), `ddmin` (how to find what can), `passes` (in which order).

mod ddmin;
mod key;
mod passes;
mod plan;

pub use key::Key;
pub use passes::{Budget, Failure, Oracle, Shrunk, Why, shrink};
pub use plan::{Plan, Size, materialise};
