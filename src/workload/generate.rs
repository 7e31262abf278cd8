//! Synthetic orders, and the stock feed beside them, as text: one after another, so that memory does not grow with their number.
//!
//! The same profile, seed and number of orders give the same bytes. They are the orders of the case that a run makes of them, in one piece: where a
//! run cuts the case into partitions, each draws its own orders, for another moment of the same rates and batches.

use super::arrivals::{self, Share};
use super::goods::{Bodies, Drawn, price};
use super::plan::seed_of;
use crate::model::{OrderNo, RUN_BEGINS_AT_H, Region};
use crate::scenario::{Goods, LoadProfile, Scenario};
use crate::sim::{Draw, Purpose, Seed, Span, Timestamp};
use jiff::civil;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NEWS: Purpose = Purpose(0x0126);
/// Where stock is told of.
const NODES: [&str; 4] = ["DC1", "DC2", "S1", "S2"];
/// Units of each SKU at each node when the feed begins.
const OPENING: i32 = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// an object a line
    Ndjson,
    /// a row for each line of an order
    Csv,
}

/// What is to be written.
pub struct Generate<'a> {
    pub profile: &'a LoadProfile,
    pub goods: &'a Arc<Goods>,
    /// the profile's scenario: what becomes of an order is drawn from its kinds
    pub scenario: &'a Scenario,
    pub orders: u32,
    /// of the case
    pub case: Seed,
    pub form: Form,
    /// once it is set, no further order is begun
    pub stop: &'a AtomicBool,
}

impl Generate<'_> {
    /// Writes the orders to `out`, and what happens to stock besides to `feed`; says how many orders.
    pub fn write(&self, out: &mut dyn Write, mut feed: Option<&mut dyn Write>) -> io::Result<u32> {
        let seed = seed_of(self.case, 0);
        let mut bodies = Bodies::new(self.goods, self.case, seed);
        let mut days = Days::default();
        let mut news = feed.is_some().then(|| News::new(self.goods, seed));
        if self.form == Form::Csv {
            out.write_all(b"order,placed_at,sku,quantity,unit_price,customer,region,channel,fulfil,becomes\n")?;
            if let Some(feed) = feed.as_deref_mut() {
                feed.write_all(b"at,type,node,sku,quantity,version\n")?;
            }
        }
        let mut text = String::new();
        let mut written = 0;
        for (number, at) in (1..).zip(arrivals::due(&self.profile.arrival, self.case, seed, Share::whole(self.orders))) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let order = bodies.order(number, at.since(Timestamp::ZERO));
            text.clear();
            self.order(number, days.text(at), &order, seed, &mut text);
            out.write_all(text.as_bytes())?;
            if let (Some(feed), Some(news)) = (feed.as_deref_mut(), &mut news) {
                text.clear();
                news.up_to(at, number, &bodies, self.form, &mut days, &mut text, feed)?;
            }
            written = number;
        }
        Ok(written)
    }

    fn order(&self, number: u32, at: &str, order: &Drawn, seed: Seed, text: &mut String) {
        let becomes = &self.scenario.kind_of(OrderNo(number), seed).name;
        let region = if order.region == Region::West { "west" } else { "east" };
        let fulfil = if order.pickup { "pickup" } else { "ship" };
        let (channel, customer) = (order.channel.name(), order.customer);
        // writing to a text cannot fail
        if self.form == Form::Csv {
            for (sku, qty) in &order.lines {
                let cents = price(self.goods, *sku);
                let _ = writeln!(
                    text,
                    "O{number},{at},SKU{},{qty},{}.{:02},C{customer},{region},{channel},{fulfil},{becomes}",
                    sku + 1,
                    cents / 100,
                    cents % 100
                );
            }
            return;
        }
        let _ = write!(
            text,
            r#"{{"order":"O{number}","placed_at":"{at}","channel":"{channel}","region":"{region}","customer":"C{customer}","fulfil":"{fulfil}","becomes":"{becomes}","lines":["#
        );
        for (n, (sku, qty)) in order.lines.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let _ = write!(text, r#"{comma}{{"sku":"SKU{}","qty":{qty},"unit_price":{}}}"#, sku + 1, price(self.goods, *sku));
        }
        text.push_str("]}\n");
    }
}

/// Milliseconds since 1970; the run begins at 2000-01-01T10:00:00Z, as in [`Days`].
#[cfg(feature = "parquet")]
pub(super) fn epoch_ms(at: Timestamp) -> i64 {
    const FIRST_DAY_MS: u64 = 946_684_800_000;
    (FIRST_DAY_MS + RUN_BEGINS_AT_H * 3_600_000).saturating_add(at.0 / 1_000_000) as i64
}

/// Times as RFC 3339 in UTC; the text of a day is made once.
#[derive(Default)]
struct Days {
    day: Option<u64>,
    date: String,
    text: String,
}

impl Days {
    /// The run begins at 2000-01-01T10:00:00Z, as exported histories do.
    fn text(&mut self, at: Timestamp) -> &str {
        let ns = u128::from(at.0) + u128::from(RUN_BEGINS_AT_H) * 3_600_000_000_000;
        let (day, rest) = ((ns / 86_400_000_000_000) as u64, (ns % 86_400_000_000_000) as u64);
        if self.day != Some(day) {
            self.day = Some(day);
            let first = civil::date(2000, 1, 1);
            let date = first.checked_add(jiff::Span::new().days(day.min(1_000_000) as i32)).unwrap_or(first);
            self.date = date.to_string();
        }
        self.text.clear();
        let ms = rest / 1_000_000;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        let _ = write!(self.text, "{}T{hour:02}:{minute:02}:{second:02}.{:03}Z", self.date, ms % 1_000);
        &self.text
    }
}

/// The feed: changes as many to an order as the profile says, and a snapshot of everything from time to time.
struct News<'a> {
    goods: &'a Goods,
    seed: Seed,
    /// units and version of each SKU at each node
    levels: Vec<(i32, u32)>,
    next_snapshot: Option<Span>,
}

impl<'a> News<'a> {
    fn new(goods: &'a Goods, seed: Seed) -> News<'a> {
        let levels = vec![(OPENING, 1); goods.skus as usize * NODES.len()];
        News { goods, seed, levels, next_snapshot: goods.snapshot.map(|_| Span::ZERO) }
    }

    #[expect(clippy::too_many_arguments, reason = "the writer's state, taken apart so that each part is borrowed by itself")]
    fn up_to(
        &mut self,
        at: Timestamp,
        order: u32,
        bodies: &Bodies,
        form: Form,
        days: &mut Days,
        text: &mut String,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        while let (Some(due), Some(every)) = (self.next_snapshot, self.goods.snapshot) {
            if due > at.since(Timestamp::ZERO) {
                break;
            }
            let when = days.text(Timestamp::ZERO + due).to_string();
            for place in 0..self.levels.len() {
                text.clear();
                self.row(form, &when, "snapshot", place, self.levels[place].0, text);
                out.write_all(text.as_bytes())?;
            }
            self.next_snapshot = Some(due + every);
        }
        let mut draw = self.seed.draw(NEWS, order.into(), 0);
        let many = (self.goods.deltas + draw.unit()) as u32;
        for _ in 0..many {
            text.clear();
            let place = self.place(bodies, &mut draw);
            // a shelf never holds less than nothing
            let change = if self.levels[place].0 > 0 && draw.chance(0.5) { -1 } else { 1 };
            let (units, version) = &mut self.levels[place];
            (*units, *version) = (*units + change, *version + 1);
            self.row(form, days.text(at), "delta", place, change, text);
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    fn place(&self, bodies: &Bodies, draw: &mut Draw) -> usize {
        bodies.sku(draw) as usize * NODES.len() + draw.below(NODES.len() as u64) as usize
    }

    fn row(&self, form: Form, at: &str, kind: &str, place: usize, units: i32, text: &mut String) {
        let (node, sku, version) = (NODES[place % NODES.len()], place / NODES.len() + 1, self.levels[place].1);
        let _ = match form {
            Form::Csv => writeln!(text, "{at},{kind},{node},SKU{sku},{units},{version}"),
            Form::Ndjson => writeln!(text, r#"{{"at":"{at}","type":"{kind}","node":"{node}","sku":"SKU{sku}","qty":{units},"version":{version}}}"#),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{COLUMN_MAPS, Library, Selection, expand};
    use crate::workload::{OPENS, import, parse_columns, partition};

    fn generated(profile: &str, orders: u32, seed: u64, form: Form, feed: bool) -> (String, String) {
        let profile = Library::shipped().unwrap().load_profile(profile).unwrap();
        let (goods, scenario) = (profile.goods.clone().unwrap(), profile.scenario().unwrap().unwrap());
        let (mut out, mut news) = (Vec::new(), Vec::new());
        let generate =
            Generate { profile: &profile, goods: &goods, scenario: &scenario, orders, case: Seed(seed), form, stop: &AtomicBool::new(false) };
        generate.write(&mut out, feed.then_some(&mut news as &mut dyn Write)).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(news).unwrap())
    }

    /// What the importer reads is what was drawn.
    #[test]
    fn the_rows_can_be_imported_by_the_shipped_column_map() {
        let (csv, _) = generated("steady", 500, 3, Form::Csv, false);
        let (json, _) = generated("steady", 500, 3, Form::Ndjson, false);
        let map = COLUMN_MAPS.iter().find(|(path, _)| path.ends_with("/orderstorm.toml")).unwrap().1;
        let read = import(csv.as_bytes(), "t.csv", &parse_columns(map, "map").unwrap()).unwrap();
        assert_eq!(read.orders.len(), 500, "{}", read.account);
        let mut units = 0;
        for (order, line) in read.orders.iter().zip(json.lines()) {
            let drawn: serde_json::Value = serde_json::from_str(line).unwrap();
            let lines = drawn["lines"].as_array().unwrap();
            assert_eq!(order.lines.len(), lines.len());
            for (read_line, drawn) in order.lines.iter().zip(lines) {
                assert_eq!(read.skus[read_line.sku as usize], drawn["sku"].as_str().unwrap());
                assert_eq!(u64::from(read_line.qty), drawn["qty"].as_u64().unwrap());
                assert_eq!(read_line.unit_price.0, drawn["unit_price"].as_i64().unwrap());
                units += read_line.qty;
            }
            assert_eq!(order.region == Region::East, drawn["region"] == "east");
        }
        assert!(units > 1_500);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_a_longer_stream_begins_alike() {
        let bytes = |orders, seed| generated("marketplace-batch", orders, seed, Form::Ndjson, false).0;
        assert_eq!(bytes(300, 1), bytes(300, 1));
        assert_ne!(bytes(300, 1), bytes(300, 2));
        assert!(bytes(600, 1).starts_with(&bytes(300, 1)));
    }

    /// A case of one region is the same stream wherever it is met: number, moment, shopper and goods of each order.
    #[test]
    fn what_is_generated_is_what_a_run_places() {
        let mut library = Library::shipped().unwrap();
        let faults = library.fault_sets(&["everyday".into()]).unwrap();
        for name in ["marketplace-batch", "bot-drop", "steady"] {
            let profile = library.load_profile(name).unwrap();
            let scenario = Arc::new(profile.scenario().unwrap().unwrap());
            let selection = Selection { profile: Some(profile.clone()), orders: Some(700), seed: Seed(5), ..Selection::default() };
            let case = expand(std::slice::from_ref(&scenario), &faults, &selection).cases.remove(0);
            let goods = profile.goods.as_ref().unwrap();
            let mut out = Vec::new();
            let none = AtomicBool::new(false);
            let generate = Generate { profile: &profile, goods, scenario: &scenario, orders: 700, case: case.seed, form: Form::Ndjson, stop: &none };
            assert_eq!(generate.write(&mut out, None).unwrap(), 700);
            let part = partition(&case, 0);
            let mut days = Days::default();
            let mut written = std::str::from_utf8(&out).unwrap().lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            for (at, number, order) in part.orders() {
                let drawn = written.next().unwrap();
                let customer = format!("C{}", order.customer);
                let told = [number.to_string(), days.text(at - OPENS).into(), order.channel.name().into(), customer];
                assert_eq!(
                    ["order", "placed_at", "channel", "customer"].map(|key| drawn[key].as_str().unwrap()),
                    told.each_ref().map(String::as_str)
                );
                let lines: Vec<(&str, u64)> =
                    drawn["lines"].as_array().unwrap().iter().map(|line| (line["sku"].as_str().unwrap(), line["qty"].as_u64().unwrap())).collect();
                let placed: Vec<(&str, u64)> = order.lines.iter().map(|line| (part.plan.estate.sku_name(line.sku), line.qty.into())).collect();
                assert_eq!(lines, placed);
            }
            assert!(written.next().is_none());
        }
    }

    #[test]
    fn the_feed_counts_its_versions_and_never_goes_below_nothing() {
        let (orders, feed) = generated("inventory-feed", 50, 1, Form::Ndjson, true);
        assert_eq!(orders.lines().count(), 50);
        let rows: Vec<serde_json::Value> = feed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let snapshot = rows.iter().filter(|row| row["type"] == "snapshot").count();
        assert_eq!((snapshot, rows.len() - snapshot), (2_000 * 4, 50 * 35), "one snapshot, and 35 changes for each order");
        assert!(rows.is_sorted_by_key(|row| row["at"].as_str().unwrap().to_string()));
        let mut known = std::collections::BTreeMap::new();
        for row in &rows {
            let key = (row["node"].to_string(), row["sku"].to_string());
            let (units, version) = (row["qty"].as_i64().unwrap(), row["version"].as_i64().unwrap());
            let (level, before) = *known.get(&key).unwrap_or(&(0, 0));
            assert_eq!(version, before + 1);
            let level = if row["type"] == "snapshot" { units } else { level + units };
            assert!(level >= 0);
            known.insert(key, (level, version));
        }
    }
}
