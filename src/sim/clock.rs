//! The clock.
use super::{Span, Timestamp};
/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a clock that is late says so here"]
pub enum Wake {
    /// The time was reached, so much too late.
    Reached { lag: Span },
    /// Something came in before.
    Heard,
}
/// Where live adapters put what they heard; empty in virtual time.
pub trait Inbox {
    /// Waits at most `timeout` for something to come in; true if there is something.
    fn wait(&self, timeout: std::time::Duration) -> bool;
}
/// Says now, and waits until a time.
pub trait Clock {
    fn now(&self) -> Timestamp;
    fn wait_until(&mut self, due: Timestamp, inbox: &dyn Inbox) -> Wake;
}
/// stub
#[derive(Default)]
pub struct VirtualClock {
    now: Timestamp,
}
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.now
    }
    fn wait_until(&mut self, due: Timestamp, _inbox: &dyn Inbox) -> Wake {
        self.now = due.max(self.now);
        Wake::Reached { lag: Span::ZERO }
    }
}
/// stub
pub struct WallClock {
    _scale: f64,
}
