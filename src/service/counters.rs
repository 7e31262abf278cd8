//! Counts in the text format of Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($name:ident = $metric:literal, $help:literal;)*) => {
        #[derive(Default)]
        pub struct Counters { $(pub $name: AtomicU64),* }
        impl Counters {
            pub fn text(&self, sandboxes: usize) -> String {
                let mut text = String::new();
                $(text += &format!("# HELP {0} {1}\n# TYPE {0} counter\n{0} {2}\n", $metric, $help, self.$name.load(Ordering::Relaxed));)*
                text + &format!("# HELP orderstorm_sandboxes Sandboxes that are open.\n# TYPE orderstorm_sandboxes gauge\norderstorm_sandboxes {sandboxes}\n")
            }
        }
    };
}

counters! {
    messages = "orderstorm_messages_total", "Commands, feeds and callbacks that were taken in.";
    refused = "orderstorm_refused_total", "Requests that could not be read or name nothing known.";
    calls = "orderstorm_calls_total", "Calls of partners that were sent.";
    calls_unanswered = "orderstorm_calls_unanswered_total", "Calls of partners of which no answer came.";
    events = "orderstorm_webhooks_total", "Deliveries of events that were tried.";
    events_taken = "orderstorm_webhooks_taken_total", "Deliveries that the receiver took.";
    dead_letters = "orderstorm_webhooks_dead_total", "Events that were given up after too many deliveries.";
    commits = "orderstorm_journal_commits_total", "Transactions of the journal.";
    skips = "orderstorm_clock_skips_total", "Times that a harness moved a clock.";
}

pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
