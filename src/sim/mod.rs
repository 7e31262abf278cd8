//! Time, the clock, the calendar of pending items, and keyed random draws. Knows no orders.
//!
//! Everything here is generic: a calendar of any ordered item, a clock that either jumps or waits, and draws that
//! are a pure function of (seed, purpose, entity, step).

mod alias;
mod calendar;
mod clock;
mod draws;
mod laws;
mod paged;
mod sampler;
mod time;
mod variates;

pub use alias::Alias;
pub use calendar::Calendar;
pub use clock::{Clock, Inbox, Mailbox, NoInbox, Stopwatch, VirtualClock, Wake, WallClock, time_of_day_ns};
pub use draws::{Draw, Purpose, Seed, branch};
pub use laws::Law;
pub use paged::Paged;
pub use sampler::Sampler;
pub use time::{Span, Timestamp};
pub use variates::{normal_cdf, normal_quantile};
