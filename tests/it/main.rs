//! Tests of the repository as a whole. One binary, one module a subject.

mod docs;
mod floors;
mod source;
