//! Generated orders as Apache Parquet, behind the feature `parquet`: a row for each line of an order, as in CSV, with types. Rows are written in groups, so
//! that memory does not grow with the number of orders.

use super::arrivals::{self, Share};
use super::generate::{Generate, epoch_ms};
use super::goods::{Bodies, price};
use super::plan::seed_of;
use crate::model::{OrderNo, Region};
use crate::sim::Timestamp;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Rows of a group: some megabytes.
pub const GROUP: usize = 100_000;

const SCHEMA: &str = "message orders {
  required binary order (STRING);
  required int64 placed_at (TIMESTAMP(MILLIS, true));
  required binary sku (STRING);
  required int32 quantity;
  required int64 unit_price_cents;
  required binary customer (STRING);
  required binary region (STRING);
  required binary channel (STRING);
  required binary fulfil (STRING);
  required binary becomes (STRING);
}";

/// The columns of one group, in the order of the schema.
#[derive(Default)]
struct Columns {
    order: Vec<ByteArray>,
    placed_at: Vec<i64>,
    sku: Vec<ByteArray>,
    quantity: Vec<i32>,
    cents: Vec<i64>,
    customer: Vec<ByteArray>,
    region: Vec<ByteArray>,
    channel: Vec<ByteArray>,
    fulfil: Vec<ByteArray>,
    becomes: Vec<ByteArray>,
}

impl Columns {
    fn write<W: Write + Send>(&mut self, writer: &mut SerializedFileWriter<W>) -> Result<(), ParquetError> {
        let mut group = writer.next_row_group()?;
        column::<ByteArrayType, W>(&mut group, &self.order)?;
        column::<Int64Type, W>(&mut group, &self.placed_at)?;
        column::<ByteArrayType, W>(&mut group, &self.sku)?;
        column::<Int32Type, W>(&mut group, &self.quantity)?;
        column::<Int64Type, W>(&mut group, &self.cents)?;
        for values in [&self.customer, &self.region, &self.channel, &self.fulfil, &self.becomes] {
            column::<ByteArrayType, W>(&mut group, values)?;
        }
        group.close()?;
        *self = Columns::default();
        Ok(())
    }
}

fn column<T: DataType, W: Write + Send>(group: &mut SerializedRowGroupWriter<'_, W>, values: &[T::T]) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Err(ParquetError::General("the schema has fewer columns".into())) };
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

impl Generate<'_> {
    /// Writes the orders to `out` as a whole Parquet file, and says how many; a group of rows ends at the first whole order from `group` rows on.
    pub fn write_parquet<W: Write + Send>(&self, out: W, group: usize) -> io::Result<u32> {
        self.rows(out, group).map_err(|error| match error {
            ParquetError::External(inner) => inner.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error),
            other => io::Error::other(other),
        })
    }

    fn rows<W: Write + Send>(&self, out: W, group: usize) -> Result<u32, ParquetError> {
        // the same orders as in the other forms
        let seed = seed_of(self.case, 0);
        let mut bodies = Bodies::new(self.goods, self.case, seed);
        let properties = WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build();
        let mut writer = SerializedFileWriter::new(out, Arc::new(parse_message_type(SCHEMA)?), Arc::new(properties))?;
        let mut rows = Columns::default();
        let mut written = 0;
        for (number, at) in (1..).zip(arrivals::due(&self.profile.arrival, self.case, seed, Share::whole(self.orders))) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let order = bodies.order(number, at.since(Timestamp::ZERO));
            let text = |text: String| ByteArray::from(text.into_bytes());
            let becomes = &self.scenario.kind_of(OrderNo(number), seed).name;
            for (sku, qty) in &order.lines {
                rows.order.push(text(format!("O{number}")));
                rows.placed_at.push(epoch_ms(at));
                rows.sku.push(text(format!("SKU{}", sku + 1)));
                rows.quantity.push(i32::try_from(*qty).unwrap_or(i32::MAX));
                rows.cents.push(price(self.goods, *sku));
                rows.customer.push(text(format!("C{}", order.customer)));
                rows.region.push(ByteArray::from(if order.region == Region::West { "west" } else { "east" }));
                rows.channel.push(ByteArray::from(order.channel.name()));
                rows.fulfil.push(ByteArray::from(if order.pickup { "pickup" } else { "ship" }));
                rows.becomes.push(ByteArray::from(becomes.as_str()));
            }
            written = number;
            if rows.order.len() >= group {
                rows.write(&mut writer)?;
            }
        }
        if !rows.order.is_empty() {
            rows.write(&mut writer)?;
        }
        writer.close().map(|_| written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Library;
    use crate::sim::Seed;
    use crate::workload::Form;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use std::sync::atomic::AtomicBool;

    /// What is read back is what stands in the rows of the CSV.
    #[test]
    fn what_was_written_is_read_back_in_groups() {
        let profile = Library::shipped().unwrap().load_profile("steady").unwrap();
        let (goods, scenario) = (profile.goods.clone().unwrap(), profile.scenario().unwrap().unwrap());
        let generate = Generate {
            profile: &profile,
            goods: &goods,
            scenario: &scenario,
            orders: 700,
            case: Seed(5),
            form: Form::Csv,
            stop: &AtomicBool::new(false),
        };
        let (mut file, mut again, mut csv) = (Vec::new(), Vec::new(), Vec::new());
        generate.write_parquet(&mut file, 300).unwrap();
        generate.write_parquet(&mut again, 300).unwrap();
        assert_eq!(file, again, "the same bytes");
        generate.write(&mut csv, None).unwrap();
        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
        let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        assert!(groups.len() > 3 && groups[..groups.len() - 1].iter().all(|rows| (300..330).contains(rows)), "{groups:?}");
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                let values: Vec<String> = row
                    .get_column_iter()
                    .map(|(name, value)| match (name.as_str(), value) {
                        ("unit_price_cents", Field::Long(cents)) => format!("{}.{:02}", cents / 100, cents % 100),
                        (_, Field::Str(text)) => text.clone(),
                        (_, Field::Int(number)) => number.to_string(),
                        ("placed_at", Field::TimestampMillis(at)) => {
                            jiff::Timestamp::from_millisecond(*at).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
                        }
                        (name, other) => panic!("{name}: {other:?}"),
                    })
                    .collect();
                values.join(",")
            })
            .collect();
        let wanted: Vec<String> = String::from_utf8(csv).unwrap().lines().skip(1).map(str::to_string).collect();
        assert_eq!(rows, wanted);
    }
}
