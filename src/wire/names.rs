//! Names on the wire and the ids that they stand for, of one estate.

use super::{Traces, Unreadable};
use crate::model::{Fid, Fixture, ForeignNames, Id, NodeId, OrderNo, SharedNames, SkuId};
use rustc_hash::FxHashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

/// Shared by the threads that read and write messages of one case. Texts of others get a number of their own and are written back as they came.
pub struct Names {
    estate: Arc<Fixture>,
    nodes: FxHashMap<String, NodeId>,
    skus: FxHashMap<String, SkuId>,
    foreign: SharedNames,
    traces: Traces,
}

impl Names {
    pub fn new(estate: Arc<Fixture>) -> Names {
        Names::sharing(estate, SharedNames::default())
    }

    /// The same, with texts of others that are known elsewhere, too.
    pub fn sharing(estate: Arc<Fixture>, foreign: SharedNames) -> Names {
        let nodes = estate.node_ids().map(|id| (estate.node_name(id).to_owned(), id)).collect();
        let skus = estate.sku_ids().map(|id| (estate.sku_name(id).to_owned(), id)).collect();
        Names { estate, nodes, skus, foreign, traces: Traces::default() }
    }

    /// The same, with traces that are told apart from those of other cases.
    pub fn in_traces(self, traces: Traces) -> Names {
        Names { traces, ..self }
    }

    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    pub fn shared(&self) -> SharedNames {
        self.foreign.clone()
    }
    pub fn estate(&self) -> &Arc<Fixture> {
        &self.estate
    }
    /// Each change of the names is one call, so a thread that panicked leaves them whole.
    fn foreign(&self) -> MutexGuard<'_, ForeignNames> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn node(&self, name: &str) -> Result<NodeId, Unreadable> {
        self.nodes.get(name).copied().ok_or_else(|| Unreadable { field: "node_id", expected: format!("a node of this estate, not `{name}`") })
    }
    pub fn sku(&self, name: &str) -> Result<SkuId, Unreadable> {
        self.skus.get(name).copied().ok_or_else(|| Unreadable { field: "sku", expected: format!("a SKU of this estate, not `{name}`") })
    }
    pub fn id(&self, text: &str) -> Id {
        self.foreign().id(text)
    }
    pub fn fid(&self, text: &str) -> Fid {
        self.foreign().fid(text)
    }
    pub fn order(&self, text: &str) -> OrderNo {
        self.foreign().order(text)
    }
    pub fn show_id(&self, id: Id) -> String {
        self.foreign().show_id(id)
    }
    pub fn show_fid(&self, fid: Fid) -> String {
        self.foreign().show_fid(fid)
    }
    pub fn show_order(&self, order: OrderNo) -> String {
        self.foreign().show_order(order)
    }
}
