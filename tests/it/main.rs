//! Tests of the repository as a whole. One binary, one module a subject.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why and ends")]

mod docs;
mod floors;
mod source;
