//! The history: the only witness of a run. Judging, measuring and drawing are folds over its entries.
//!
//! A history file is JSON Lines, gzipped: one header, then one entry a line, then one footer that counts and digests
//! what came before it. A file without its footer was cut short, and can never pass. Other programs may write histories, too:
//! docs/history.md is all that they need.

mod entry;
mod header;
mod ocel;
mod store;

pub use entry::{Entry, Kind, Observer};
pub use header::{HISTORY_VERSION, Header, Tells};
pub use ocel::{ExportError, Exported, OCEL_EPOCH, export_ocel};
pub use store::{Digest, End, HistoryReader, HistoryWriter, Item, ReadError, Recorded, combined_digest, combined_hex, history_schema, read_history};
