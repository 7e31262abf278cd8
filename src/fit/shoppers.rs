//! Who orders, what it costs, and what is taken back.

use crate::model::{Channel, Region};
use crate::sim::Span;
use crate::workload::Import;
use serde::Serialize;
use std::collections::BTreeMap;

/// Up to here goods are taken back before they are sent: a cancellation. Later it is a return.
const CANCELLED_WITHIN: Span = Span(86_400_000_000_000);

/// Later returns count as if they came then: judges of a run know no order of which nothing was heard for forty days.
const LATEST_RETURN: Span = Span(30 * CANCELLED_WITHIN.0);

/// What the columns map lets a history tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    pub regions: bool,
    pub channels: bool,
    pub cancellations: bool,
    /// decimal digits of the currency's minor unit
    pub minor_digits: u32,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Shoppers {
    /// different customers
    pub people: Option<u32>,
    /// share of the orders to the west
    pub west: Option<f64>,
    /// orders that came through each channel
    pub channels: Option<BTreeMap<&'static str, u64>>,
    /// median in cents, and standard deviation of the logarithm, over SKUs
    pub price: Option<(i64, f64)>,
}

impl Shoppers {
    pub(super) fn of(history: &Import, told: Told) -> Shoppers {
        let orders = history.orders.len() as f64;
        let west = history.orders.iter().filter(|order| order.region == Region::West).count() as f64 / orders.max(1.0);
        // the price at which a SKU was first sold
        let mut prices = vec![None; history.skus.len()];
        for line in history.orders.iter().flat_map(|order| &order.lines) {
            prices[line.sku as usize].get_or_insert(line.unit_price.0);
        }
        let cents = libm::pow(10.0, f64::from(told.minor_digits) - 2.0);
        let logs: Vec<f64> = prices.into_iter().flatten().map(|price| libm::log((price as f64 / cents).max(1.0))).collect();
        let n = logs.len().max(1) as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let sigma = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / n).sqrt();
        Shoppers {
            people: u32::try_from(history.customers.len()).ok().filter(|people| *people > 0),
            west: told.regions.then_some(west),
            channels: told.channels.then(|| {
                let count = |channel: Channel| (channel.name(), history.orders.iter().filter(|order| order.channel == channel).count() as u64);
                Channel::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
            }),
            price: (!logs.is_empty()).then(|| (libm::exp(mean).round().clamp(1.0, 1e8) as i64, sigma.min(2.0))),
        }
    }
}

/// Shares of the orders that are taken back, and how late: from the 10th to the 90th percentile, and returns at most 30 days.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Afterwards {
    pub cancel: f64,
    #[serde(skip)]
    pub cancel_after: (Span, Span),
    #[serde(rename = "return")]
    pub returns: f64,
    #[serde(skip)]
    pub return_after: (Span, Span),
    /// seconds, at 25, 50, 75 and 90 in a hundred of all that was taken back
    pub lag_s: [f64; 4],
    /// documents that took goods back, and orders that were found for them
    pub documents: u64,
    pub matched: u64,
}

impl Afterwards {
    pub(super) fn of(history: &Import) -> Afterwards {
        let orders = history.orders.len().max(1) as f64;
        let mut lags: Vec<Span> = history.cancellations.orders.iter().map(|(_, lag)| *lag).collect();
        lags.sort_unstable();
        let (early, late) = lags.split_at(lags.partition_point(|lag| *lag <= CANCELLED_WITHIN));
        let at = |lags: &[Span], part: f64| lags.get((part * lags.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(Span::ZERO);
        Afterwards {
            cancel: early.len() as f64 / orders,
            cancel_after: (at(early, 0.1), at(early, 0.9)),
            returns: late.len() as f64 / orders,
            return_after: (at(late, 0.1).min(LATEST_RETURN), at(late, 0.9).min(LATEST_RETURN)),
            lag_s: [0.25, 0.5, 0.75, 0.9].map(|part| at(&lags, part).as_secs_f64()),
            documents: history.cancellations.documents,
            matched: lags.len() as u64,
        }
    }
}
