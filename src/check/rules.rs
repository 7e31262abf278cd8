//! The judge's own book of the routing rules: which node may be asked, by which version, since when.
//!
//! The header's fixture is version 1. A change is possible from the moment it is sent, and certain a grace after it was acknowledged; in
//! between the old and the new rule are both right.

use crate::history::{Entry, Kind};
use crate::model::{Code, Id, NodeId, Outcome};
use crate::sim::{Span, Timestamp};

#[derive(Debug)]
struct Change {
    node: NodeId,
    version: u32,
    enabled: bool,
    sent: Timestamp,
    n: u64,
    certain: Timestamp,
    /// messages that carried it: a resend has an id of its own
    ids: Vec<Id>,
}

#[derive(Default, Debug)]
pub struct Rules {
    /// by version
    changes: Vec<Change>,
}

impl Rules {
    /// Takes in what was said of an `UpsertNode`.
    pub(super) fn observe(&mut self, e: &Entry, grace: Span) {
        let m = &e.msg;
        match e.kind {
            Kind::Sent if matches!(m.code, Code::NodeEnabled | Code::NodeDisabled) => {
                if let Some(known) = self.changes.iter_mut().find(|c| (c.node, c.version) == (m.node, m.rule_version)) {
                    known.ids.push(m.id);
                    return;
                }
                let at = self.changes.partition_point(|c| c.version <= m.rule_version);
                let (node, version, enabled) = (m.node, m.rule_version, m.code == Code::NodeEnabled);
                self.changes.insert(at, Change { node, version, enabled, sent: e.at, n: e.n, certain: Timestamp::NEVER, ids: vec![m.id] });
            }
            Kind::Reply if matches!(e.outcome, Outcome::Ok | Outcome::Replayed) => {
                if let Some(change) = self.changes.iter_mut().find(|c| c.ids.contains(&m.id)) {
                    change.certain = change.certain.min(e.at + grace);
                }
            }
            _ => {}
        }
    }

    /// The newest version that was certainly in force at `at`, and the entry that brought it.
    pub fn certain_version(&self, at: Timestamp) -> (u32, u64) {
        self.changes.iter().rev().find(|c| c.certain <= at).map_or((1, 0), |c| (c.version, c.n))
    }
    /// The newest version that can have been in force at `at`.
    pub fn possible_version(&self, at: Timestamp) -> u32 {
        self.changes.iter().rev().find(|c| c.sent <= at).map_or(1, |c| c.version)
    }

    /// Was the node possibly `enabled` (or possibly not) at some time between `from` and `to`? `first` is what version 1 says.
    pub fn possibly(&self, node: NodeId, enabled: bool, first: bool, from: Timestamp, to: Timestamp) -> bool {
        let of_node = || self.changes.iter().filter(move |c| c.node == node);
        let superseded = |version: u32| of_node().any(|c| c.version > version && c.certain <= from);
        let states = of_node().filter(|c| c.sent <= to).map(|c| (c.version, c.enabled)).chain([(1, first)]);
        states.into_iter().any(|(version, state)| state == enabled && !superseded(version))
    }

    /// What the newest rule says of a node; `first` is what version 1 says.
    pub fn now(&self, node: NodeId, first: bool) -> bool {
        self.changes.iter().rev().find(|c| c.node == node).map_or(first, |c| c.enabled)
    }
    /// The entry that last changed a node, or 0.
    pub fn changed(&self, node: NodeId, to: Timestamp) -> u64 {
        self.changes.iter().rev().find(|c| c.node == node && c.sent <= to).map_or(0, |c| c.n)
    }
}
