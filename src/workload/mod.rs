//! What is sent and when: order histories to replay, and due times.
//!
//! Nothing here opens a file: whoever loads hands over a reader and the name to call it by.

pub mod arrivals;
mod cancelled;
mod columns;
mod generate;
pub mod goods;
mod import;
mod indices;
mod listed;
mod load;
#[cfg(feature = "parquet")]
mod parquet;
mod plan;
mod rows;
mod stock;

pub use cancelled::Cancellations;
pub use columns::{
    Columns, ColumnsError, ColumnsFile, CustomerFile, OrderIdFile, PlacedAtFile, PriceFile, QuantityFile, RegionFile, Repeated, SkuFile,
    parse_columns,
};
pub use generate::{Form, Generate};
pub use import::{Account, Example, Import, ImportError, Reason, SourceLine, SourceOrder, import};
pub use indices::{Indices, RHO};
#[cfg(feature = "parquet")]
pub use parquet::GROUP;
pub use plan::{OPENS, PARTITION_ORDERS, Partition, partition, partitions, recorded, seed_of, whole};
pub use stock::{DEFAULT_RECEIPT_LAG, Receipt, RegionStock, opening_stock, replenishment};
