//! EXPECTATION: what the scenario expects of every order.
use super::{Checker, Context};
use crate::history::{Entry, Header};
use crate::scenario::Expect;
pub(super) struct Expectation {
    _expect: Expect,
}
impl Expectation {
    pub(super) fn new(expect: Expect, _header: &Header) -> Expectation {
        Expectation { _expect: expect }
    }
}
impl Checker for Expectation {
    fn name(&self) -> &'static str {
        "EXPECTATION"
    }
    fn observe(&mut self, _: &Entry, _: &mut Context<'_>) {}
}
