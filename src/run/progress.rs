//! Progress of work that is done in trials: on a terminal one line of standard error, redrawn; elsewhere a line a trial, where nothing else tells of it.

use super::logs;
use crate::sim::Stopwatch;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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
