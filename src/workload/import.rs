//! A real order history, as orders that can be placed.
//!
//! Histories are dirty: they hold cancellations, fees, gifts and typing errors beside orders. Every row has exactly one
//! fate, which the account counts, so nothing is lost silently and nothing is counted twice.

use super::cancelled::{Cancellations, Cancelled};
use super::columns::{Columns, ColumnsFile, Field, Repeated};
use super::listed::Listed;
use super::rows::{self, Refused, Row};
use crate::model::{Channel, Money, Region};
use crate::sim::{Span, Timestamp};
use jiff::civil;
use jiff::fmt::strtime;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

/// Examples that are kept of each reason.
const EXAMPLES: usize = 3;
/// More characters of a value do not help to recognise it.
const SHOWN: usize = 60;
/// Years that an order may be of; a date outside is a typing error, and would make the history span centuries.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2199;
/// Limits that keep every sum over an order within the integers that hold it.
const MOST_LINES: usize = u16::MAX as usize;
const MOST_LINE_AMOUNT: i64 = 100_000_000_000_000;

/// What a history holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// by time of placing; simultaneous orders as the file has them
    pub orders: Vec<SourceOrder>,
    /// names of SKUs, in the order in which the file first accepts them
    pub skus: Vec<String>,
    /// names of customers, likewise
    pub customers: Vec<String>,
    pub cancellations: Cancellations,
    pub account: Account,
    /// what a reader of it must know of the column map
    pub notes: Vec<String>,
    /// when the first order was placed, in UTC or by the clock of its row, such as `2010-12-01T08:26:00`
    pub started: String,
    /// from the first order to the last
    pub span: Span,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceOrder {
    pub id: String,
    /// since the first order; an order with rows of several times was placed at the earliest
    pub placed_at: Timestamp,
    /// index into `Import::customers`; none for a guest
    pub customer: Option<u32>,
    pub region: Region,
    pub channel: Channel,
    /// in the order of the file, never empty
    pub lines: Vec<SourceLine>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceLine {
    /// index into `Import::skus`
    pub sku: u32,
    pub qty: u32,
    pub unit_price: Money,
}

/// What became of every row.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    pub rows: u64,
    /// became an order line
    pub accepted: u64,
    /// added to a line that was accepted before
    pub merged: u64,
    pub rejected: BTreeMap<Reason, u64>,
    /// the first few rows of each reason
    pub examples: BTreeMap<Reason, Vec<Example>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Example {
    pub line: u64,
    pub text: String,
}

/// Why a row is no order line. A row with several flaws has the first of them in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// no row of this file at all: another number of fields, or no JSON object
    MalformedRow,
    /// a mapped field is not UTF-8
    NotText,
    /// order, SKU, quantity, price or time is empty
    MissingField,
    Cancellation,
    NonProduct,
    MalformedQuantity,
    QuantityNotPositive,
    MalformedPrice,
    /// a price that the minor unit cannot express exactly
    PriceTooFine,
    PriceNotPositive,
    MalformedTimestamp,
    /// quantity, amount or length of an order beyond what any order has
    TooLarge,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::MalformedRow => "malformed_row",
            Reason::NotText => "not_text",
            Reason::MissingField => "missing_field",
            Reason::Cancellation => "cancellation",
            Reason::NonProduct => "non_product",
            Reason::MalformedQuantity => "malformed_quantity",
            Reason::QuantityNotPositive => "quantity_not_positive",
            Reason::MalformedPrice => "malformed_price",
            Reason::PriceTooFine => "price_too_fine",
            Reason::PriceNotPositive => "price_not_positive",
            Reason::MalformedTimestamp => "malformed_timestamp",
            Reason::TooLarge => "too_large",
        }
    }

    /// The row was understood, and is no sale of goods. Every other row that was left out may have been one.
    fn is_no_sale(self) -> bool {
        matches!(self, Reason::Cancellation | Reason::NonProduct | Reason::QuantityNotPositive)
    }

    /// What to do where many rows have it.
    fn help(self) -> &'static str {
        match self {
            Reason::MalformedRow => "see that these rows are whole and that `delimiter` of the column map is theirs",
            Reason::NotText => "save the file as UTF-8",
            Reason::MissingField => "see that the column map names the right columns; a row needs order, SKU, quantity, price and time",
            Reason::Cancellation => "`order.cancellation_prefixes` of the column map says which ids cancel",
            Reason::NonProduct => "`sku.non_product` and `sku.non_product_patterns` of the column map say what is no goods",
            Reason::MalformedQuantity => "`quantity.column` of the column map must name a column of whole numbers",
            Reason::QuantityNotPositive => "`quantity.column` of the column map must name the units that were ordered",
            Reason::MalformedPrice => "`price.column` of the column map must name a column of decimal numbers, with a point and without a currency",
            Reason::PriceTooFine => "`price.minor_digits` of the column map says how many decimals a price has",
            Reason::PriceNotPositive => "`price.column` of the column map must name the price of one unit; gifts can only be left out",
            Reason::MalformedTimestamp => "`placed_at.format` of the column map must say how the times of these rows are written",
            Reason::TooLarge => "see that the column map names the right columns: no order is that large",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Account {
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Rows that were left out though they may have been sales, and their share of all that may have been.
    pub fn lost(&self) -> (u64, f64) {
        let no_sale: u64 = self.rejected.iter().filter(|(reason, _)| reason.is_no_sale()).map(|(_, count)| count).sum();
        let lost = self.rejected_in_all() - no_sale;
        (lost, lost as f64 / (self.rows - no_sale).max(1) as f64)
    }

    /// What to do about each reason for which a tenth or more of the lost rows were lost, the most frequent first.
    pub fn helps(&self) -> Vec<String> {
        let counts = |(reason, count): &(Reason, u64)| !reason.is_no_sale() && count * 10 >= self.lost().0;
        let mut many: Vec<(Reason, u64)> = self.rejected.iter().map(|(reason, count)| (*reason, *count)).filter(counts).collect();
        many.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        many.into_iter().map(|(reason, _)| format!("{reason}: {}", reason.help())).collect()
    }

    /// Every row has exactly one fate.
    pub fn adds_up(&self) -> bool {
        self.accepted + self.merged + self.rejected_in_all() == self.rows
    }

    fn tally(&mut self, line: u64, fate: Result<Fate, Refused>) {
        self.rows += 1;
        match fate {
            Ok(Fate::Accepted) => self.accepted += 1,
            Ok(Fate::Merged) => self.merged += 1,
            Err((reason, text)) => {
                *self.rejected.entry(reason).or_default() += 1;
                let examples = self.examples.entry(reason).or_default();
                if examples.len() < EXAMPLES {
                    examples.push(Example { line, text });
                }
            }
        }
    }
}

impl fmt::Display for Account {
    /// One line for each fate, with an example of each reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected = self.rejected_in_all();
        write!(f, "{} rows: {} accepted, {} merged, {rejected} rejected", self.rows, self.accepted, self.merged)?;
        if rejected > 0 {
            write!(f, " ({:.2} %)", rejected as f64 / self.rows as f64 * 100.0)?;
        }
        for (reason, count) in &self.rejected {
            write!(f, "\n  {count} {reason}")?;
            if let Some(Example { line, text }) = self.examples.get(reason).and_then(|examples| examples.first()) {
                write!(f, " (line {line}: {text})")?;
            }
        }
        Ok(())
    }
}

/// Why a file could not be imported as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportError {
    pub file: String,
    pub line: Option<u64>,
    pub message: String,
    pub help: Option<String>,
    /// the map names columns that the file does not have: another map may fit it
    pub lacks_columns: bool,
}

impl ImportError {
    pub(super) fn help(mut self, help: impl Into<String>) -> ImportError {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message)?,
            None => write!(f, "{}: {}", self.file, self.message)?,
        }
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}
impl std::error::Error for ImportError {}

/// Reads a history row by row; `name` is what messages call it.
pub fn import(reader: impl Read, name: &str, columns: &Columns) -> Result<Import, ImportError> {
    let mut builder = Builder::new(columns);
    let mut account = Account::default();
    rows::read(reader, name, columns, &mut |line, row| account.tally(line, row.and_then(|row| builder.add(&row))))?;
    if account.accepted == 0 {
        let message = match account.rows {
            0 => "there is a header and no row below it".into(),
            _ => format!("no row became an order line by the column map {}; {account}", columns.file().name),
        };
        let help = account.helps().into_iter().next();
        return Err(ImportError { file: name.to_string(), line: None, message, help, lacks_columns: false });
    }
    Ok(builder.finish(account))
}

enum Fate {
    Accepted,
    Merged,
}

/// A row with every value read.
struct Parsed<'a> {
    order: &'a str,
    sku: String,
    qty: u32,
    price: i64,
    placed_ns: i64,
    customer: Option<&'a str>,
    region: Region,
    channel: Channel,
}

struct DraftOrder {
    id: String,
    placed_ns: i64,
    customer: Option<u32>,
    region: Region,
    channel: Channel,
    units: u32,
    lines: Vec<SourceLine>,
}

/// Names, and the number that each got.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    numbers: FxHashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(name.to_string());
        self.numbers.insert(name.to_string(), number);
        number
    }
}

struct Builder<'a> {
    columns: &'a Columns,
    orders: Vec<DraftOrder>,
    order_numbers: FxHashMap<String, usize>,
    skus: Names,
    customers: Names,
    /// (order, SKU, price) to the line's place in its order
    lines: FxHashMap<(usize, u32, i64), usize>,
    cancelled: Cancelled,
    regions: Listed,
    channels: Listed,
    /// the least and the greatest offset of a time, in seconds
    offsets: Option<(i32, i32)>,
    /// neighbouring rows mostly have the same time
    last_time: (String, i64),
}

impl<'a> Builder<'a> {
    fn new(columns: &'a Columns) -> Self {
        Builder {
            columns,
            orders: Vec::new(),
            order_numbers: FxHashMap::default(),
            skus: Names::default(),
            customers: Names::default(),
            lines: FxHashMap::default(),
            cancelled: Cancelled::default(),
            regions: Listed::default(),
            channels: Listed::default(),
            offsets: None,
            last_time: (String::new(), 0),
        }
    }

    fn add(&mut self, row: &Row<'_>) -> Result<Fate, Refused> {
        let parsed = self.parse(row)?;
        self.place(parsed)
    }

    /// Reads a row, cheapest refusals first: a cancellation needs no price.
    fn parse<'r>(&mut self, row: &'r Row<'_>) -> Result<Parsed<'r>, Refused> {
        let order = required(row, Field::Order)?;
        if self.columns.is_cancellation(order) {
            self.cancelled.note(row, order, self.columns);
            return Err((Reason::Cancellation, shown(order)));
        }
        let sku = self.columns.sku_name(required(row, Field::Sku)?);
        if self.columns.is_non_product(&sku) {
            return Err((Reason::NonProduct, shown(&sku)));
        }
        let qty = quantity(required(row, Field::Quantity)?)?;
        let price = price(required(row, Field::Price)?, self.columns.file().price.minor_digits)?;
        let placed_ns = self.time(required(row, Field::PlacedAt)?)?;
        let customer = text(row, Field::Customer)?;
        let (region, channel) = (text(row, Field::Region)?, text(row, Field::Channel)?);
        region.into_iter().for_each(|value| self.regions.note(value, self.columns.lists_region(value)));
        channel.into_iter().for_each(|value| self.channels.note(value, self.columns.lists_channel(value)));
        let (region, channel) = (self.columns.region(region.unwrap_or_default()), self.columns.channel(channel.unwrap_or_default()));
        Ok(Parsed { order, sku, qty, price, placed_ns, customer, region, channel })
    }

    fn time(&mut self, text: &str) -> Result<i64, Refused> {
        if self.last_time.0 != text {
            let (nanoseconds, offset) = placed_ns(text, self.columns).map_err(|e| (Reason::MalformedTimestamp, e))?;
            let (least, most) = self.offsets.unwrap_or((offset, offset));
            self.offsets = Some((least.min(offset), most.max(offset)));
            self.last_time = (text.to_string(), nanoseconds);
        }
        Ok(self.last_time.1)
    }

    /// Puts a row into its order. Nothing is changed before it is certain that the row fits.
    fn place(&mut self, row: Parsed<'_>) -> Result<Fate, Refused> {
        let existing = self.order_numbers.get(row.order).copied();
        let sku = self.skus.numbers.get(&row.sku).copied();
        let repeats = match (existing, sku, self.columns.file().repeated) {
            (Some(order), Some(sku), Repeated::SamePrice) => self.lines.get(&(order, sku, row.price)).copied(),
            _ => None,
        };
        let before = existing.map(|order| &self.orders[order]);
        let line_qty = before.zip(repeats).map_or(0, |(order, line)| order.lines[line].qty);
        let order_units = before.map_or(0, |order| order.units);
        let (Some(qty), Some(units)) = (line_qty.checked_add(row.qty), order_units.checked_add(row.qty)) else {
            return Err((Reason::TooLarge, format!("order {} has too many units", shown(row.order))));
        };
        if row.price.checked_mul(i64::from(qty)).is_none_or(|amount| amount > MOST_LINE_AMOUNT) {
            return Err((Reason::TooLarge, format!("{qty} units at a price of {} minor units", row.price)));
        }
        if repeats.is_none() && before.is_some_and(|order| order.lines.len() >= MOST_LINES) {
            return Err((Reason::TooLarge, format!("order {} has more than {MOST_LINES} lines", shown(row.order))));
        }

        let customer = row.customer.map(|name| self.customers.number(name));
        let number = existing.unwrap_or_else(|| self.open(&row));
        let order = &mut self.orders[number];
        order.placed_ns = order.placed_ns.min(row.placed_ns);
        order.customer = order.customer.or(customer);
        order.units = units;
        if let Some(line) = repeats {
            order.lines[line].qty = qty;
            return Ok(Fate::Merged);
        }
        let sku = self.skus.number(&row.sku);
        if self.columns.file().repeated == Repeated::SamePrice {
            self.lines.insert((number, sku, row.price), order.lines.len());
        }
        order.lines.push(SourceLine { sku, qty, unit_price: Money(row.price) });
        Ok(Fate::Accepted)
    }

    /// A new order without lines.
    fn open(&mut self, row: &Parsed<'_>) -> usize {
        let number = self.orders.len();
        self.order_numbers.insert(row.order.to_string(), number);
        self.orders.push(DraftOrder {
            id: row.order.to_string(),
            placed_ns: row.placed_ns,
            customer: None,
            region: row.region,
            channel: row.channel,
            units: 0,
            lines: Vec::new(),
        });
        number
    }

    fn finish(self, account: Account) -> Import {
        let mut drafts = self.orders;
        // Stable: simultaneous orders stay in the order of their first rows.
        drafts.sort_by_key(|order| order.placed_ns);
        let first = drafts.first().map_or(0, |order| order.placed_ns);
        let orders: Vec<SourceOrder> = drafts
            .into_iter()
            .map(|order| SourceOrder {
                id: order.id,
                placed_at: Timestamp(order.placed_ns.abs_diff(first)),
                customer: order.customer,
                region: order.region,
                channel: order.channel,
                lines: order.lines,
            })
            .collect();
        let span = orders.last().map_or(Span::ZERO, |last| last.placed_at.since(Timestamp::ZERO));
        let ColumnsFile { region, channel, .. } = self.columns.file();
        let region = region.as_ref().filter(|map| !map.east.is_empty() || !map.west.is_empty());
        let channel = channel.as_ref().filter(|map| !map.values.is_empty());
        let of_regions = region.and_then(|map| self.regions.told("region", &map.column));
        let of_channels = channel.and_then(|map| self.channels.told("channel", &map.column));
        let (least, most) = self.offsets.unwrap_or_default();
        // the hour of summer time is no matter
        let mixed = (self.columns.is_by_wall_clock() && most - least > 3_600).then(|| {
            let hours = |seconds: i32| f64::from(seconds) / 3_600.0;
            format!(
                "the times have offsets from {} h to {} h: each counts as its row shows it, so days are those of each row, and lags may be off by as much",
                hours(least),
                hours(most)
            )
        });
        let notes = of_regions.into_iter().chain(of_channels).chain(mixed).collect();
        let cancellations = self.cancelled.matched(first, &orders, &self.customers.numbers, &self.skus.numbers);
        Import { orders, skus: self.skus.list, customers: self.customers.list, cancellations, account, notes, started: civil_text(first), span }
    }
}

/// A field's text; none where the row says nothing.
fn text<'r>(row: &'r Row<'_>, field: Field) -> Result<Option<&'r str>, Refused> {
    let Some(bytes) = row.get(field) else { return Ok(None) };
    let refuse = |_| (Reason::NotText, format!("{}: {}", field.table(), shown(&String::from_utf8_lossy(bytes))));
    std::str::from_utf8(bytes).map(Some).map_err(refuse)
}

fn required<'r>(row: &'r Row<'_>, field: Field) -> Result<&'r str, Refused> {
    text(row, field)?.ok_or_else(|| (Reason::MissingField, format!("no {}", field.table())))
}

fn quantity(text: &str) -> Result<u32, Refused> {
    match exact(text, 0) {
        Ok(units) if units <= 0 => Err((Reason::QuantityNotPositive, shown(text))),
        Ok(units) => u32::try_from(units).map_err(|_| (Reason::TooLarge, format!("quantity {}", shown(text)))),
        Err(Inexact::TooLarge) => Err((Reason::TooLarge, format!("quantity {}", shown(text)))),
        Err(Inexact::Malformed | Inexact::TooFine) => Err((Reason::MalformedQuantity, shown(text))),
    }
}

fn price(text: &str, minor_digits: u32) -> Result<i64, Refused> {
    match exact(text, minor_digits) {
        Ok(minor) if minor <= 0 => Err((Reason::PriceNotPositive, shown(text))),
        Ok(minor) => Ok(minor),
        Err(Inexact::Malformed) => Err((Reason::MalformedPrice, shown(text))),
        Err(Inexact::TooFine) => Err((Reason::PriceTooFine, shown(text))),
        Err(Inexact::TooLarge) => Err((Reason::TooLarge, format!("price {}", shown(text)))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inexact {
    Malformed,
    /// more decimals than there are digits for
    TooFine,
    TooLarge,
}

/// A decimal number as an integer of units of 10^-digits. In integers throughout: 2.55 has no exact binary fraction.
fn exact(text: &str, digits: u32) -> Result<i64, Inexact> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return Err(Inexact::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    let fill = (digits as usize).checked_sub(fraction.len()).ok_or(Inexact::TooFine)?;
    let mut value = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').chain(std::iter::repeat_n(0, fill));
    let total = value.try_fold(0i64, |total, digit| total.checked_mul(10)?.checked_add(i64::from(digit))).ok_or(Inexact::TooLarge)?;
    Ok(if negative { -total } else { total })
}

/// Nanoseconds since 1970 in UTC, or as the clock showed them, and the offset that stood there, in seconds.
pub(super) fn placed_ns(text: &str, columns: &Columns) -> Result<(i64, i32), String> {
    let parsed = strtime::parse(&columns.file().placed_at.format, text).map_err(|e| format!("{}: {e}", shown(text)))?;
    let civil = parsed.to_datetime().map_err(|e| format!("{}: {e}", shown(text)))?;
    if !YEARS.contains(&civil.year()) {
        return Err(format!("{}: the year is not from {} to {}", shown(text), YEARS.start(), YEARS.end()));
    }
    let stood = parsed.offset().unwrap_or(jiff::tz::Offset::UTC);
    let offset = if columns.is_by_wall_clock() { jiff::tz::Offset::UTC } else { stood };
    let instant = offset.to_timestamp(civil).map_err(|e| format!("{}: {e}", shown(text)))?;
    i64::try_from(instant.as_nanosecond()).map(|ns| (ns, stood.seconds())).map_err(|e| format!("{}: {e}", shown(text)))
}

fn civil_text(nanoseconds: i64) -> String {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let civil: civil::DateTime = jiff::tz::Offset::UTC.to_datetime(instant);
    civil.to_string()
}

/// A value as it goes into a message: printable and not long.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() { format!("`{short}...`") } else { format!("`{short}`") }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
