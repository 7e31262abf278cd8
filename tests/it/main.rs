//! Tests of the repository as a whole. One binary, one module a subject.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why and ends")]

mod bad_input;
mod capacity;
mod contract;
mod defects;
mod determinism;
mod docs;
mod fit;
mod floors;
mod foreign;
mod live;
mod load;
mod mapped;
mod matrix;
mod recorded;
mod service;
mod shrink;
mod source;
mod stall;
mod starved;
mod stop;
mod stored;
mod stub;
mod sweep;
mod thresholds;
mod wall_clock;
mod wire;
mod world;
