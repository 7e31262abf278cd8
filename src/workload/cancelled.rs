//! Cancellations of an order history. Their rows are no orders, but they tell how many orders are taken back, and how late.

use super::columns::{Columns, Field};
use super::import::{SourceOrder, placed_ns};
use super::rows::Row;
use crate::sim::Span;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// What a history tells of cancellations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cancellations {
    /// different numbers under which goods were taken back
    pub documents: u64,
    /// orders that were, as indexes into `Import::orders` and in their order, each with the time from the order to the first cancellation of
    /// some of its goods. It is the last order before it in which that customer had that SKU
    pub orders: Vec<(u32, Span)>,
}

/// Rows that cancel, as they come.
#[derive(Default)]
pub(super) struct Cancelled {
    rows: Vec<Noted>,
    documents: FxHashSet<String>,
}

struct Noted {
    at_ns: i64,
    customer: String,
    sku: String,
}

impl Cancelled {
    /// Remembers a row; one without a readable time, customer or SKU only counts.
    pub fn note(&mut self, row: &Row<'_>, document: &str, columns: &Columns) {
        if !self.documents.contains(document) {
            self.documents.insert(document.to_string());
        }
        let text = |field| row.get(field).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (Some(time), Some(customer), Some(sku)) = (text(Field::PlacedAt), text(Field::Customer), text(Field::Sku)) else { return };
        let Ok((at_ns, _)) = placed_ns(time, columns) else { return };
        self.rows.push(Noted { at_ns, customer: customer.to_string(), sku: columns.sku_name(sku) });
    }

    /// Finds the order of each row; `first` is the time of the first order.
    pub fn matched(self, first: i64, orders: &[SourceOrder], customers: &FxHashMap<String, u32>, skus: &FxHashMap<String, u32>) -> Cancellations {
        let documents = self.documents.len() as u64;
        let known = |row: &Noted| Some(((*customers.get(&row.customer)?, *skus.get(&row.sku)?), row.at_ns));
        let rows: Vec<((u32, u32), i64)> = self.rows.iter().filter_map(known).collect();
        // only of what was cancelled, so that memory follows the cancellations
        let mut bought: FxHashMap<(u32, u32), Vec<u32>> = rows.iter().map(|(pair, _)| (*pair, Vec::new())).collect();
        for (at, order) in (0u32..).zip(orders) {
            let Some(customer) = order.customer else { continue };
            for line in &order.lines {
                if let Some(list) = bought.get_mut(&(customer, line.sku)) {
                    list.push(at);
                }
            }
        }
        let mut found: BTreeMap<u32, Span> = BTreeMap::new();
        for (pair, at_ns) in rows {
            let Some(list) = bought.get(&pair) else { continue };
            let Ok(since) = u64::try_from(at_ns.saturating_sub(first)) else { continue };
            let before = list.partition_point(|at| orders[*at as usize].placed_at.0 <= since);
            let Some(at) = before.checked_sub(1).and_then(|last| list.get(last)) else { continue };
            let lag = Span(since - orders[*at as usize].placed_at.0);
            found.entry(*at).and_modify(|known| *known = (*known).min(lag)).or_insert(lag);
        }
        Cancellations { documents, orders: found.into_iter().collect() }
    }
}
