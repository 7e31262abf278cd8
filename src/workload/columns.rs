//! The columns map: which column of an order history means what.

use crate::model::{Channel, Region};
use jiff::civil;
use jiff::fmt::strtime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A file in `profiles/columns/`: how to read orders from a CSV file or from lines of flat JSON objects.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "orderstorm columns map", extend("$id" = "https://orderstorm.dev/schemas/columns.v1.json"))]
pub struct ColumnsFile {
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub about: String,
    /// what separates the fields of a CSV line: one ASCII character, `,` by default
    #[serde(default = "comma")]
    pub delimiter: char,
    #[serde(default)]
    pub repeated: Repeated,
    pub order: OrderIdFile,
    pub sku: SkuFile,
    pub quantity: QuantityFile,
    pub price: PriceFile,
    pub placed_at: PlacedAtFile,
    #[serde(default)]
    pub customer: Option<CustomerFile>,
    #[serde(default)]
    pub region: Option<RegionFile>,
    #[serde(default)]
    pub channel: Option<ChannelFile>,
}

/// What becomes of a row whose order already has a line of its SKU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeated {
    /// at the same unit price the quantities are added; another price is another line
    #[default]
    SamePrice,
    /// each row is a line of its own
    Keep,
}

/// Rows with the same order id are one order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderIdFile {
    pub column: String,
    /// an order id that begins like this cancels goods and is no order
    #[serde(default)]
    pub cancellation_prefixes: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkuFile {
    pub column: String,
    /// upper and lower case of ASCII letters mean the same SKU
    #[serde(default)]
    pub fold_case: bool,
    /// postage, fees, vouchers and the like: not goods; case is folded here too if it is for SKUs
    #[serde(default)]
    pub non_product: Vec<String>,
    /// the same with `*`, `?` and `[...]`, such as `gift_*`
    #[serde(default)]
    pub non_product_patterns: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuantityFile {
    pub column: String,
}

/// The price of one unit, as a decimal number of the major unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    pub column: String,
    /// decimal digits of the currency's minor unit: 2 for cents
    #[serde(default = "two")]
    #[schemars(range(min = 0, max = 6))]
    pub minor_digits: u32,
}

/// When the order was placed. Without an offset in the format it is UTC. `fit` takes the time as it stands, and leaves an offset out: its days are those of
/// whoever wrote the history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacedAtFile {
    pub column: String,
    /// as for strptime, such as `%Y-%m-%d %H:%M:%S`, with `%z` for an offset
    pub format: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerFile {
    pub column: String,
}

/// Where an order is to go; every value not listed is `otherwise`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionFile {
    pub column: String,
    #[serde(default)]
    pub east: Vec<String>,
    #[serde(default)]
    pub west: Vec<String>,
    #[serde(default = "west")]
    pub otherwise: Region,
}

/// Through which channel an order came; every value not listed is `otherwise`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelFile {
    pub column: String,
    /// what the history calls a channel, and which one that is: `web`, `app`, `store`, `cs`, `marketplace`, `b2b`
    #[serde(default)]
    pub values: BTreeMap<String, Channel>,
    #[serde(default)]
    pub otherwise: Channel,
}

fn comma() -> char {
    ','
}
fn two() -> u32 {
    2
}
fn west() -> Region {
    Region::West
}

/// Why a columns map cannot be used: every problem found in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnsError {
    pub file: String,
    pub problems: Vec<String>,
}

impl fmt::Display for ColumnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.problems.iter().map(|problem| format!("{}: {problem}", self.file)).collect();
        f.write_str(&problems.join("\n"))
    }
}
impl std::error::Error for ColumnsError {}

/// Reads a columns map and checks it.
pub fn parse_columns(text: &str, name: &str) -> Result<Columns, ColumnsError> {
    let error = |problems| ColumnsError { file: name.to_string(), problems };
    let file = decode(text).map_err(|problem| error(vec![problem]))?;
    Columns::new(file).map_err(error)
}

/// The one place that turns TOML into the low form.
fn decode(text: &str) -> Result<ColumnsFile, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

/// A columns map that was checked, in the form that rows are read with.
#[derive(Clone, Debug)]
pub struct Columns {
    file: ColumnsFile,
    delimiter: u8,
    non_product: Vec<String>,
    patterns: Vec<glob::Pattern>,
    by_wall_clock: bool,
}

/// A mapped column, as an index into the fields of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Order,
    Sku,
    Quantity,
    Price,
    PlacedAt,
    Customer,
    Region,
    Channel,
}

impl Field {
    pub(super) const ALL: [Field; 8] =
        [Field::Order, Field::Sku, Field::Quantity, Field::Price, Field::PlacedAt, Field::Customer, Field::Region, Field::Channel];

    /// The table of the columns map that names the column.
    pub(super) fn table(self) -> &'static str {
        match self {
            Field::Order => "order",
            Field::Sku => "sku",
            Field::Quantity => "quantity",
            Field::Price => "price",
            Field::PlacedAt => "placed_at",
            Field::Customer => "customer",
            Field::Region => "region",
            Field::Channel => "channel",
        }
    }
}

impl Columns {
    fn new(file: ColumnsFile) -> Result<Columns, Vec<String>> {
        let mut problems = Vec::new();
        let delimiter = u8::try_from(file.delimiter).ok().filter(|d| d.is_ascii() && !matches!(d, b'"' | b'\n' | b'\r'));
        if delimiter.is_none() {
            problems.push(format!("`delimiter`: `{}` cannot separate fields; write one ASCII character, such as `,`, `;` or a tab", file.delimiter));
        }
        if file.price.minor_digits > 6 {
            problems.push(format!("`price.minor_digits`: {} is more than any currency has; write 0 to 6", file.price.minor_digits));
        }
        problems.extend(format_problem(&file.placed_at.format));
        if let Some(region) = &file.region {
            let both = region.east.iter().filter(|value| region.west.contains(value));
            problems.extend(both.map(|value| format!("`region`: `{value}` is listed as east and as west")));
        }
        // a column that is named and not read would make all orders alike, and nothing would say so
        if let Some(region) = file.region.as_ref().filter(|region| region.otherwise == west() && region.east.is_empty() && region.west.is_empty()) {
            problems.push(format!(
                "`region`: no value of column `{}` is listed, so every order would go `west`; say which go where, such as east = [\"Kent\"], or leave `[region]` out",
                region.column
            ));
        }
        if let Some(channel) = file.channel.as_ref().filter(|channel| channel.otherwise == Channel::default() && channel.values.is_empty()) {
            problems.push(format!(
                "`channel`: no value of column `{}` is listed, so every order would come through `{}`; say which is which, such as values = {{ Online = \"web\", Shop = \"store\" }}, or leave `[channel]` out",
                channel.column,
                channel.otherwise.name()
            ));
        }
        if file.order.cancellation_prefixes.iter().any(String::is_empty) {
            problems.push("`order.cancellation_prefixes`: an empty prefix would make every order a cancellation".to_string());
        }
        let fold = |text: &str| if file.sku.fold_case { text.to_ascii_uppercase() } else { text.to_string() };
        let mut patterns = Vec::new();
        for text in &file.sku.non_product_patterns {
            match glob::Pattern::new(&fold(text)) {
                Ok(pattern) => patterns.push(pattern),
                Err(e) => problems.push(format!("`sku.non_product_patterns`: `{text}`: {e}")),
            }
        }
        let non_product = file.sku.non_product.iter().map(|text| fold(text)).collect();
        match delimiter {
            Some(delimiter) if problems.is_empty() => Ok(Columns { file, delimiter, non_product, patterns, by_wall_clock: false }),
            _ => Err(problems),
        }
    }

    /// Times are taken as the clock of each row showed them, and an offset that stands beside one is left out: a day is then one of the shop's.
    pub fn by_wall_clock(self) -> Columns {
        Columns { by_wall_clock: true, ..self }
    }

    pub(super) fn is_by_wall_clock(&self) -> bool {
        self.by_wall_clock
    }

    pub fn file(&self) -> &ColumnsFile {
        &self.file
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The name of a field's column; none where the map has no such column.
    pub(super) fn name_of(&self, field: Field) -> Option<&str> {
        match field {
            Field::Order => Some(&self.file.order.column),
            Field::Sku => Some(&self.file.sku.column),
            Field::Quantity => Some(&self.file.quantity.column),
            Field::Price => Some(&self.file.price.column),
            Field::PlacedAt => Some(&self.file.placed_at.column),
            Field::Customer => self.file.customer.as_ref().map(|customer| customer.column.as_str()),
            Field::Region => self.file.region.as_ref().map(|region| region.column.as_str()),
            Field::Channel => self.file.channel.as_ref().map(|channel| channel.column.as_str()),
        }
    }

    pub(super) fn is_cancellation(&self, order: &str) -> bool {
        self.file.order.cancellation_prefixes.iter().any(|prefix| order.starts_with(prefix))
    }

    /// The SKU as it is named from here on.
    pub(super) fn sku_name(&self, text: &str) -> String {
        if self.file.sku.fold_case { text.to_ascii_uppercase() } else { text.to_string() }
    }

    /// Asks about a name from `sku_name`.
    pub(super) fn is_non_product(&self, sku: &str) -> bool {
        self.non_product.iter().any(|name| name == sku) || self.patterns.iter().any(|pattern| pattern.matches(sku))
    }

    pub(super) fn region(&self, text: &str) -> Region {
        match &self.file.region {
            Some(region) if region.east.iter().any(|value| value == text) => Region::East,
            Some(region) if region.west.iter().any(|value| value == text) => Region::West,
            Some(region) => region.otherwise,
            None => Region::default(),
        }
    }

    pub(super) fn lists_region(&self, text: &str) -> bool {
        self.file.region.as_ref().is_some_and(|region| region.east.iter().chain(&region.west).any(|value| value == text))
    }

    pub(super) fn lists_channel(&self, text: &str) -> bool {
        self.file.channel.as_ref().is_some_and(|channel| channel.values.contains_key(text))
    }

    pub(super) fn channel(&self, text: &str) -> Channel {
        self.file.channel.as_ref().map_or(Channel::default(), |channel| channel.values.get(text).copied().unwrap_or(channel.otherwise))
    }
}

/// A format is sound if a time written with it can be read with it, and says at least the day.
fn format_problem(format: &str) -> Option<String> {
    let sample = civil::datetime(2001, 2, 3, 4, 5, 6, 0).to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
    let written = strtime::format(format, &sample);
    let read = written.and_then(|text| strtime::parse(format, text)).and_then(|time| time.to_datetime());
    read.err().map(|e| format!("`placed_at.format`: `{format}` does not say a date and time such as `%Y-%m-%d %H:%M:%S` does: {e}"))
}
