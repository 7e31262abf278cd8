//! Histories as files: JSON Lines, plain or gzipped, written byte for byte the same from the same entries, and read
//! back as far as they go.
//!
//! Writing never interrupts a run: an I/O error is kept until [`HistoryWriter::finish`]. Reading never hides what is
//! there: a file that was cut short yields its entries first, and only then says what is missing.

mod needs;
mod people;
mod problem;
mod reader;
mod row;
mod schema;
mod writer;

pub use problem::ReadError;
pub use reader::{End, HistoryReader, Item, Recorded, read_history};
pub use schema::history_schema;
pub use writer::HistoryWriter;

#[cfg(test)]
mod tests;
