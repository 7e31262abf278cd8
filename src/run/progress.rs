//! Progress of work that is done in trials: on a terminal one line of standard error, redrawn; elsewhere a line a trial, where nothing else tells of it.

use super::logs;
use crate::history::{Entry, Kind, Observer};
use crate::model::Op;
use crate::sim::{Span, Stopwatch};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A case of few entries is over before anybody reads of it.
const LOOKS_EVERY: u64 = 16;
const TOLD_EVERY_S: f64 = 1.0;

pub(super) struct Progress {
    bar: ProgressBar,
    /// a line for each trial, for whoever sees neither the redrawn one nor the table
    lines: bool,
    began: Stopwatch,
    done: AtomicU32,
}

impl Progress {
    /// `tells`: what is printed on standard output tells of each trial by itself.
    pub fn new(tells: bool) -> Progress {
        // two that write to one terminal would write over each other
        let bar = if logs::are_on() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let lines = !tells && bar.is_hidden() && !logs::are_on();
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Progress { bar, lines, began: Stopwatch::start(), done: AtomicU32::new(0) }
    }

    /// Trials that are done.
    pub fn done(&self) -> u32 {
        self.done.load(Ordering::Relaxed)
    }

    /// What is done just now.
    pub fn now(&self, text: String) {
        self.bar.set_message(text);
    }

    /// A trial has ended, and came to this.
    pub fn ended(&self, text: &str) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.lines {
            anstream::eprintln!("trial {}: {text}", self.done());
        }
    }

    /// Takes the line away, whoever else still tells of progress.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints while the line is out of the way.
    pub fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// `at most 3m left`, where so much of the work was done and so much is left at most, whatever it is counted in; nothing at the beginning.
    pub fn left(&self, done: f64, left: f64) -> String {
        left_of(self.began.seconds(), done, left)
    }
}

/// Progress within one live case, which may take long: what of its load was sent, and how far the clock of the business is where all was.
pub(super) struct Sending<'a> {
    bar: &'a ProgressBar,
    case: &'a str,
    orders: u32,
    sent: u32,
    told: Stopwatch,
}

impl<'a> Sending<'a> {
    pub fn new(bar: &'a ProgressBar, case: &'a str, orders: u32) -> Sending<'a> {
        Sending { bar, case, orders, sent: 0, told: Stopwatch::start() }
    }
}

impl Observer for Sending<'_> {
    fn observe(&mut self, e: &Entry) {
        if e.kind == Kind::Sent && e.msg.op == Op::PlaceOrder && !e.msg.order.is_probe() {
            // in the order of their numbers; attempts are no orders
            self.sent = self.sent.max(e.msg.order.0);
        }
        if !e.n.is_multiple_of(LOOKS_EVERY) || self.told.seconds() < TOLD_EVERY_S {
            return;
        }
        self.told = Stopwatch::start();
        let Sending { case, orders, sent, .. } = self;
        self.bar.set_message(if sent < orders {
            format!("{sent} of {orders} orders sent: {case}")
        } else {
            format!("all sent, until rest (now {}): {case}", Span(e.at.0))
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn left_of(seconds: f64, done: f64, left: f64) -> String {
    if done <= 0.0 || !(seconds / done * left).is_finite() {
        return String::new();
    }
    let left = (seconds / done * left).ceil() as u64;
    match left {
        0..=90 => format!(", at most {left} s left"),
        91..=5_400 => format!(", at most {} min left", left.div_ceil(60)),
        _ => format!(", at most {} h left", left.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done() {
        assert_eq!(left_of(10.0, 2.0, 6.0), ", at most 30 s left");
        assert_eq!(left_of(10.0, 1.0, 19.0), ", at most 4 min left");
        assert_eq!(left_of(10.0, 1.0, 900.0), ", at most 3 h left");
        assert_eq!(left_of(10.0, 0.0, 6.0), "");
    }
}
