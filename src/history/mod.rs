//! The history: the only witness of a run. Judging, measuring and drawing are folds over its entries.
//!
//! A history file is JSON Lines, gzipped: one header, then one entry a line, then one footer that counts and digests
//! what came before it. A file without its footer was cut short, and can never pass. Other programs may write histories, too:
//! docs/history.md is all that they need.

mod entry;
mod fingerprint;
mod header;
mod ocel;
mod store;

pub use entry::{Entry, Kind, Observer};
pub use fingerprint::{Fingerprint, Fingerprints};
pub use header::{HISTORY_VERSION, Header, Tells};
pub use ocel::{ExportError, Exported, OCEL_EPOCH, export_ocel};
pub use store::{End, HistoryReader, HistoryWriter, Item, ReadError, Recorded, history_schema, read_history};
