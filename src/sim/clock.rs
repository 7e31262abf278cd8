//! The clock: virtual time jumps, wall time waits. The only place of the core that reads the time of day.

use super::{Span, Timestamp};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    fn wait(&self, timeout: Duration) -> bool;
}

/// Nobody to hear from: a wait is a sleep.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInbox;

impl Inbox for NoInbox {
    fn wait(&self, timeout: Duration) -> bool {
        #[allow(clippy::disallowed_methods, reason = "this is the clock")]
        std::thread::sleep(timeout);
        false
    }
}

/// A queue between the receiving threads of a live adapter and the one thread that runs the case. Share it in an `Arc`.
#[derive(Debug)]
pub struct Mailbox<T> {
    /// what came in, and whether somebody waits for it: to wake nobody is a call of the system, too
    queue: Mutex<(VecDeque<T>, bool)>,
    filled: Condvar,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox { queue: Mutex::new((VecDeque::new(), false)), filled: Condvar::new() }
    }
}

impl<T> Mailbox<T> {
    pub fn new() -> Self {
        Mailbox::default()
    }

    /// Puts something in, and ends a wait if there is one.
    pub fn push(&self, item: T) {
        let mut queue = self.lock();
        queue.0.push_back(item);
        let awaited = queue.1;
        drop(queue);
        if awaited {
            self.filled.notify_one();
        }
    }

    /// Everything that came in since the last time, in the order of arrival.
    pub fn drain(&self) -> VecDeque<T> {
        std::mem::take(&mut self.lock().0)
    }

    /// The same, into a queue that is emptied again and again, and changes places with ours: neither has to grow each time.
    pub fn drain_into(&self, other: &mut VecDeque<T>) {
        other.clear();
        std::mem::swap(&mut self.lock().0, other);
    }

    pub fn is_empty(&self) -> bool {
        self.lock().0.is_empty()
    }

    /// A sender that panicked leaves the queue whole: each change of it is one call.
    fn lock(&self) -> MutexGuard<'_, (VecDeque<T>, bool)> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inbox for Mailbox<T> {
    fn wait(&self, timeout: Duration) -> bool {
        let mut queue = self.lock();
        queue.1 = true;
        let waited = self.filled.wait_timeout_while(queue, timeout, |(queue, _)| queue.is_empty());
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.1 = false;
        !queue.0.is_empty()
    }
}

/// Says now, and waits until a time.
pub trait Clock {
    fn now(&self) -> Timestamp;
    /// Waits until `due`, or until something was heard. A time already passed is reached at once, with its lag: what is due
    /// is not put off by what comes in, so whoever calls drains the inbox on every turn.
    fn wait_until(&mut self, due: Timestamp, inbox: &dyn Inbox) -> Wake;
    /// It is `time` now, where it was earlier and nothing is to happen before.
    fn skip(&mut self, time: Timestamp);
}

/// Jumps to whatever is due and is never late; nothing is heard between two instants of virtual time.
#[derive(Clone, Copy, Debug, Default)]
pub struct VirtualClock {
    now: Timestamp,
}

impl VirtualClock {
    pub fn new() -> Self {
        VirtualClock::default()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.now
    }
    fn wait_until(&mut self, due: Timestamp, _inbox: &dyn Inbox) -> Wake {
        self.now = due.max(self.now);
        Wake::Reached { lag: Span::ZERO }
    }
    fn skip(&mut self, time: Timestamp) {
        self.now = time.max(self.now);
    }
}

/// Follows the time of day at a scale, and admits how late it is in virtual time. Clones are the same clock: threads that receive stamp
/// with it what the thread that runs the case waits for.
#[derive(Clone, Debug)]
pub struct WallClock {
    origin: Instant,
    /// virtual seconds per wall second
    scale: f64,
    /// virtual nanoseconds that nobody waited for, less those before it began
    skipped: Arc<AtomicU64>,
}

impl WallClock {
    /// Longest single wait: a time that is never due must not overflow the operating system's timers.
    const LONGEST_WAIT_NS: f64 = 3_600e9;

    /// Starts now, at `scale` virtual seconds per wall second. A scale that is no positive number is 1.
    pub fn new(scale: f64) -> Self {
        let scale = if scale.is_finite() && scale > 0.0 { scale } else { 1.0 };
        WallClock { origin: wall_now(), scale, skipped: Arc::default() }
    }

    /// It begins now: what was done before belongs to nothing that it tells the time of. Of all clones.
    pub fn begin(&self) {
        self.skipped.store(0u64.wrapping_sub(self.passed()), Ordering::Relaxed);
    }

    fn passed(&self) -> u64 {
        let elapsed = wall_now().saturating_duration_since(self.origin);
        (elapsed.as_nanos() as f64 * self.scale) as u64
    }

    /// It is `time` now, where it was earlier: both ends agreed that nothing happens before.
    pub fn skip_to(&self, time: Timestamp) {
        self.skipped.fetch_add(time.since(self.now()).0, Ordering::Relaxed);
    }

    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Wall time until `due`, rounded up so that a wait does not end a moment too early.
    fn wall_time_to(&self, due: Timestamp, now: Timestamp) -> Duration {
        let wall_ns = (due.since(now).0 as f64 / self.scale).ceil();
        Duration::from_nanos(wall_ns.min(Self::LONGEST_WAIT_NS) as u64)
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.passed().wrapping_add(self.skipped.load(Ordering::Relaxed)))
    }
    fn wait_until(&mut self, due: Timestamp, inbox: &dyn Inbox) -> Wake {
        loop {
            let now = self.now();
            if now >= due {
                return Wake::Reached { lag: now.since(due) };
            }
            if inbox.wait(self.wall_time_to(due, now)) {
                return Wake::Heard;
            }
        }
    }
    fn skip(&mut self, time: Timestamp) {
        self.skip_to(time);
    }
}

#[allow(clippy::disallowed_methods, reason = "the one clock of the core that follows the time of day; everything else asks a Clock")]
fn wall_now() -> Instant {
    Instant::now()
}

/// Nanoseconds since 1970, for what other programs are told; no result of ours has it.
#[allow(clippy::disallowed_methods, reason = "collectors of spans put those of several programs together by the time of day")]
pub fn time_of_day_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Measures how long something really took.
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch(wall_now())
    }
    pub fn seconds(&self) -> f64 {
        wall_now().duration_since(self.0).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_wall_clock_begins_for_all_of_its_clones() {
        // so far away that no machine is slow enough to come there by itself
        let far = Timestamp(1 << 60);
        let clock = WallClock::new(1.0);
        let mut other = clock.clone();
        other.skip(far);
        assert!(clock.now() >= far);
        clock.begin();
        assert!(other.now() < far);
        other.skip(far);
        assert!(clock.now() >= far);
    }

    #[test]
    fn virtual_time_jumps_without_lag_and_never_back() {
        let mut clock = VirtualClock::new();
        for (due, now) in [(5, 5), (3, 5), (u64::MAX, u64::MAX)] {
            assert_eq!(clock.wait_until(Timestamp(due), &NoInbox), Wake::Reached { lag: Span::ZERO });
            assert_eq!(clock.now(), Timestamp(now));
        }
    }

    #[test]
    fn wall_time_reaches_what_is_due_at_a_high_scale() {
        let mut clock = WallClock::new(1e6);
        let due = clock.now() + Span::from_hours(1);
        let Wake::Reached { lag } = clock.wait_until(due, &NoInbox) else { panic!("heard something from nobody") };
        assert!(clock.now() >= due + lag);
    }

    #[test]
    fn wall_time_admits_a_lag_when_the_time_has_passed() {
        let mut clock = WallClock::new(1e6);
        let due = clock.now() + Span(1);
        let late = due + Span::from_secs(30);
        let _ = clock.wait_until(late, &NoInbox);
        let Wake::Reached { lag } = clock.wait_until(due, &NoInbox) else { panic!("heard something from nobody") };
        assert!(lag >= Span::from_secs(30), "{lag}");
    }

    #[test]
    fn a_push_from_another_thread_ends_the_wait() {
        let mailbox = Arc::new(Mailbox::new());
        let sender = Arc::clone(&mailbox);
        let thread = std::thread::spawn(move || {
            sender.push(1);
            sender.push(2);
        });
        // Never due: only the push can end it, whenever it comes.
        assert_eq!(WallClock::new(1.0).wait_until(Timestamp::NEVER, &*mailbox), Wake::Heard);
        thread.join().expect("the sender ran");
        assert_eq!(mailbox.drain(), [1, 2]);
        assert!(mailbox.is_empty());
        mailbox.push(3);
        let mut other = VecDeque::from([9]);
        mailbox.drain_into(&mut other);
        assert_eq!((other, mailbox.is_empty()), (VecDeque::from([3]), true));
    }

    #[test]
    fn skipped_time_has_passed_for_every_clone_and_never_goes_back() {
        let clock = WallClock::new(1.0);
        let other = clock.clone();
        clock.skip_to(Timestamp::ZERO + Span::from_days(7));
        assert!(other.now() >= Timestamp::ZERO + Span::from_days(7));
        other.skip_to(Timestamp(1));
        assert!(clock.now() < Timestamp::ZERO + Span::from_days(8));
        assert!(clock.now() >= Timestamp::ZERO + Span::from_days(7));
    }

    #[test]
    fn what_is_due_is_not_put_off_by_what_was_heard() {
        let mailbox = Mailbox::new();
        mailbox.push(());
        assert!(matches!(WallClock::new(1.0).wait_until(Timestamp::ZERO, &mailbox), Wake::Reached { .. }));
    }

    #[test]
    fn a_scale_that_is_no_positive_number_is_one() {
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(WallClock::new(scale).scale, 1.0);
        }
    }
}
