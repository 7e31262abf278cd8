//! The words said across rooms: ids, operations, messages, orders, nodes. Data and validity only.
//!
//! No rounding, allocation or transition logic lives here: the judge and the accused both speak these words, and
//! neither may inherit a rule from them.

mod fixture;
mod harm;
mod ids;
mod message;
mod metric;
mod names;
mod op;
mod order;
mod threshold;

pub use fixture::{Fixture, Node, NodeKind, Policies, Product, RUN_BEGINS_AT_H, Region};
pub use harm::Harm;
pub use ids::{Fid, Id, LineNo, Money, NodeId, OrderNo, SkuId};
pub use message::{LineQty, Lines, Message};
pub use metric::{Aggregate, Counter, Metric, Moves, Stage, Unit};
pub use names::{ForeignNames, SharedNames, fnv1a, names_probe, tell_probes};
pub use op::{Class, Code, Op, Outcome};
pub use order::{Channel, Fulfil, Order, OrderLine};
pub use threshold::{Relation, Threshold, Window, Wrong, as_shown};
