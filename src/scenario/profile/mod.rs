//! Load profiles: how hard, and what for. The low form, and the high form made from it.

mod arrival;
mod goods;
mod number;
mod phases;
mod popularity;

pub use arrival::{
    Arrival, ArrivalFile, Base, CoxFile, DelayName, Flash, FlashFile, Process, ProcessName, Stage, StageFile, State, StateFile, Wave, WaveFile,
};
pub use goods::{BasketFile, ChannelsFile, FeedFile, GoodsFile, LaterFile, ShoppersFile};
pub use number::{NumberFile, NumberLaw, NumberName};
pub(super) use phases::thresholds;
pub use popularity::{Popularity, PopularityFile, PopularityName, rank_weights};

use super::SpanRange;
use super::resolve::Check;
use crate::model::{Threshold, Window};
use crate::sim::{Alias, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Orders of a case where neither the profile nor anybody else says how many.
const ORDERS: u32 = 1_000;
/// As many as there are times: known when they are read.
const AS_RECORDED: u32 = 0;

/// A file in `profiles/load/`. It takes the place of the scenarios' own order counts and gaps; with `[goods]` it makes whole orders by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "orderstorm load profile", extend("$id" = "https://orderstorm.dev/schemas/load.v1.json"))]
pub struct LoadProfileFile {
    /// short name; part of the name of its case
    pub name: String,
    /// one line for a human
    pub title: String,
    /// where its numbers come from, and what it leaves out
    #[serde(default)]
    pub about: String,
    /// keys whose values are an assumption rather than a measurement, such as `["basket.qty", "goods.popularity[0].share"]`
    #[serde(default)]
    pub assumed: Vec<String>,
    /// orders a case, where `--orders` does not say. Where absent, a profile with goods has as many as its `rate`, or stages in orders a second, make up to
    /// the end, and a replay as many as it has times; else, and where there is neither or no end, 1000
    #[schemars(range(min = 1, max = 100000000))]
    pub orders: Option<u32>,
    /// fault sets that it is run under by itself, where `--faults` does not say; all where empty
    #[serde(default)]
    pub faults: Vec<String>,
    /// what every run with this profile must hold, such as `["latency.ack.p99 < 250ms", "peak: requests.failed.share < 1%"]` (docs/thresholds.md)
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub thresholds: Vec<String>,
    /// parts of the run that thresholds name, counted from the first moment, such as `peak = "1h..2h"`; stages with a name are such parts too
    #[serde(default)]
    pub phases: BTreeMap<String, String>,
    pub arrival: ArrivalFile,
    /// where there are goods, the profile makes whole orders, and is run by itself
    pub goods: Option<GoodsFile>,
    #[serde(default)]
    pub basket: BasketFile,
    #[serde(default)]
    pub channels: ChannelsFile,
    #[serde(default)]
    pub shoppers: ShoppersFile,
    #[serde(default)]
    pub after: LaterFile,
    #[serde(default)]
    pub feed: FeedFile,
}

#[derive(Clone, PartialEq, Debug)]
pub struct LoadProfile {
    pub name: String,
    pub title: String,
    pub about: String,
    pub assumed: Vec<String>,
    pub orders: u32,
    /// nobody said how many orders there are, and its rates say it
    pub by_rates: bool,
    pub faults: Vec<String>,
    pub arrival: Arc<Arrival>,
    /// parts of the run by name
    pub phases: Vec<(String, Window)>,
    pub thresholds: Vec<Threshold>,
    pub goods: Option<Arc<Goods>>,
    /// a file of times, as the profile names it; whoever loads the profile reads it
    pub(super) times: Option<String>,
}

/// What whole orders are made from.
#[derive(Clone, PartialEq, Debug)]
pub struct Goods {
    pub skus: u32,
    pub popularity: Vec<Popularity>,
    pub drift: f64,
    pub one_stock: bool,
    pub price: i64,
    pub price_sigma: f64,
    pub lines: NumberLaw,
    pub qty: NumberLaw,
    /// indexes into `Channel::ALL`
    pub channels: Alias,
    pub channel_shares: [f64; 6],
    pub shoppers: ShoppersFile,
    pub later: LaterFile,
    pub deltas: f64,
    pub snapshot: Option<Span>,
}

impl LoadProfile {
    pub(super) fn resolve(file: &LoadProfileFile, check: &mut Check<'_>) -> Option<LoadProfile> {
        let before = check.problems.len();
        check.name("name", &file.name);
        for (n, key) in file.assumed.iter().enumerate() {
            if !check.spans.has(key) {
                let help = "write it as it stands in the tables, such as `arrival.rate` or `goods.popularity[0].share`";
                check.value(&format!("assumed[{n}]"), format!("`{key}` is no key of this profile"), Some(help.into()));
            }
        }
        if file.faults.is_empty() && check.spans.has("faults") {
            // nobody who writes an empty list means all of them
            check.value("faults", "an empty list names no fault set", Some("write [\"none\"] for the calm, or leave it out for all".into()));
        }
        let arrival = Arc::new(Arrival::resolve(&file.arrival, check));
        if file.goods.is_none() {
            for key in ["basket", "channels", "shoppers", "after", "feed"].into_iter().filter(|key| check.spans.has(key)).collect::<Vec<_>>() {
                check.key(key, format!("`{key}` has no meaning without `goods`"), Some("a profile without goods only says when orders come".into()));
            }
        }
        let goods = file.goods.as_ref().map(|goods| Arc::new(Goods::resolve(file, goods, check)));
        let phases = phases::phases(file, &arrival, check);
        never(&arrival, goods.as_deref(), check);
        let thresholds = thresholds(&file.thresholds, &phases, &format!("load profile {}", file.name), check);
        let profile = LoadProfile {
            name: file.name.clone(),
            title: file.title.clone(),
            about: file.about.clone(),
            assumed: file.assumed.clone(),
            orders: file.orders.unwrap_or(if file.arrival.times.is_some() { AS_RECORDED } else { ORDERS }),
            by_rates: file.orders.is_none() && file.goods.is_some() && (file.arrival.rate.is_some() || !file.arrival.stages.is_empty()),
            faults: file.faults.clone(),
            arrival,
            phases,
            thresholds,
            goods,
            times: file.arrival.times.clone(),
        };
        (check.problems.len() == before).then_some(profile)
    }

    /// One that only says how many orders come, at random, and how fast.
    pub fn poisson(name: &str, gap: Span, orders: u32) -> LoadProfile {
        LoadProfile {
            name: name.into(),
            title: String::new(),
            about: String::new(),
            assumed: Vec::new(),
            orders,
            by_rates: false,
            faults: Vec::new(),
            arrival: Arc::new(Arrival::poisson(gap)),
            phases: Vec::new(),
            thresholds: Vec::new(),
            goods: None,
            times: None,
        }
    }

    /// Gives a replay its times, in seconds, one a line.
    pub(super) fn with_times(mut self, text: &str) -> Result<LoadProfile, String> {
        let Process::Replay { speed, .. } = self.arrival.process else { return Ok(self) };
        let mut times = Vec::new();
        // some editors begin a file with a mark that nobody sees
        for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let time = line.trim().parse().ok().filter(|time: &f64| time.is_finite() && (0.0..=3e9).contains(time));
            let Some(time) = time else { return Err(format!("line {}: `{}` is no time: a number of seconds, 0 or more", n + 1, line.trim())) };
            if times.last().is_some_and(|last| time < *last) {
                return Err(format!("line {}: {time} is earlier than the line before: times go in order", n + 1));
            }
            times.push(time);
        }
        if times.is_empty() {
            return Err("there is no time in it: write one a line, in seconds".into());
        }
        if self.orders == AS_RECORDED {
            let ends = self.arrival.duration.map_or(f64::INFINITY, |duration| duration.as_secs_f64() * speed);
            self.orders = times.partition_point(|time| *time < ends).max(1) as u32;
        }
        self.arrival = Arc::new(Arrival { process: Process::Replay { times: times.into(), speed }, ..(*self.arrival).clone() });
        Ok(self)
    }
}

/// What begins when the duration is over, or later, never comes: nobody would see that it is missing. A phase may: requests are answered then.
fn never(arrival: &Arrival, goods: Option<&Goods>, check: &mut Check<'_>) {
    let Some(duration) = arrival.duration else { return };
    let mut begins: Vec<(String, &str, Span)> = Vec::new();
    match &arrival.base {
        Base::Flat => {}
        Base::Flash(flash) => begins.push(("arrival.flash.at".into(), "the sale opens", flash.at)),
        Base::Stages(stages) => {
            let mut at = Span::ZERO;
            for (n, stage) in stages.iter().enumerate() {
                // a jump at the very end only says where the last ramp leads
                if stage.lasts > Span::ZERO || at > duration {
                    begins.push((format!("arrival.stages[{n}].for"), "this stage begins", at));
                }
                at += stage.lasts;
            }
        }
    }
    begins.extend(arrival.waves.iter().enumerate().map(|(n, wave)| (format!("arrival.wave[{n}].at"), "this wave begins", wave.at)));
    let laws = goods.map_or(&[][..], |goods| &goods.popularity).iter().enumerate();
    begins.extend(laws.filter(|(_, law)| law.from > Span::ZERO).map(|(n, law)| (format!("goods.popularity[{n}].from"), "this law counts", law.from)));
    for (path, what, at) in begins.into_iter().filter(|(_, _, at)| *at >= duration) {
        let (lasts, at) = (duration.exact(), at.exact());
        let message = format!("{what} {at} after the first moment, and by then the load is over: it lasts {lasts}");
        check.value(&path, message, Some(format!("let it begin before {lasts} are over, or give a longer `duration`")));
    }
}

impl Goods {
    fn resolve(file: &LoadProfileFile, goods: &GoodsFile, check: &mut Check<'_>) -> Goods {
        let shares = file.channels.weights();
        let channels = if check.spans.has("channels") { Alias::new(&shares) } else { Alias::new(&[1.0]) };
        if channels.is_none() {
            check.value("channels", "no channel has a share", Some("such as web = 0.4, app = 0.6".into()));
        }
        let (later, feed) = (&file.after, &file.feed);
        if later.cancel + later.returns > 1.0 {
            check.value("after", "more orders are cancelled or returned than there are", Some("an order does one or the other".into()));
        }
        for (name, text) in [("cancel_after", &later.cancel_after), ("return_after", &later.return_after)] {
            let _: SpanRange = check.range(&format!("after.{name}"), text);
        }
        let snapshot = feed.snapshot.as_ref().map(|text| check.span("feed.snapshot", text).max(Span::from_mins(1)));
        Goods {
            skus: goods.skus,
            popularity: popularity::resolve(&goods.popularity, goods.skus, goods.cover, check),
            drift: goods.drift,
            one_stock: goods.one_stock,
            price: goods.price,
            price_sigma: goods.price_sigma,
            lines: NumberLaw::resolve(&file.basket.lines, "basket.lines", check),
            qty: NumberLaw::resolve(&file.basket.qty, "basket.qty", check),
            channel_shares: if check.spans.has("channels") { shares } else { [1.0, 0.0, 0.0, 0.0, 0.0, 0.0] },
            channels: channels.unwrap_or_default(),
            shoppers: file.shoppers.clone(),
            later: later.clone(),
            deltas: feed.deltas,
            snapshot,
        }
    }
}
