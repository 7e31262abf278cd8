//! Histories of known truth for tests: drawn from a profile by the code of a run.

use super::{FitError, Fitted, Model, Told, Verdict, Wanted};
use crate::model::{Money, RUN_BEGINS_AT_H};
use crate::scenario::parse_load_profile;
use crate::sim::{Seed, Span, Timestamp};
use crate::workload::arrivals::{Share, due};
use crate::workload::goods::{Bodies, price};
use crate::workload::{Import, SourceLine, SourceOrder};
use jiff::civil::date;
use std::collections::BTreeMap;

/// Orders by the hour.
const COURSE: &str =
    "slots = [0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.7, 0.9, 1.0, 1.2, 1.4, 1.3, 1.2, 1.1, 1.2, 1.4, 1.8, 2.3, 2.4, 2.1, 1.5, 0.8, 0.5]";

/// One SKU, where goods do not matter.
pub(super) const ONE: &str = "skus = 1\npopularity = [{ law = \"uniform\" }]";

/// The text of a profile: so many orders in so many days, how they come, and the goods.
pub(super) fn profile(orders: u32, days: u32, process: &str, goods: &str) -> String {
    let arrival = format!("[arrival]\nrate = 0.002\nduration = \"{days}d\"\n{COURSE}\n{process}");
    let baskets = "[basket.lines]\nlaw = \"negative_binomial\"\nr = 1.5\np = 0.5";
    format!("name = \"truth\"\ntitle = \"truth\"\norders = {orders}\n{arrival}\n[goods]\n{goods}\n{baskets}\n")
}

/// What a shop whose orders come by a profile would have written down.
pub(super) fn history(profile: &str, seed: u64) -> Import {
    let profile = parse_load_profile("truth", profile).expect("a profile");
    let goods = profile.goods.as_ref().expect("goods");
    let case = Seed(seed);
    let orders = profile.orders;
    let mut bodies = Bodies::new(goods, case, case.derive("orders"));
    let mut placed = Vec::new();
    // a file names only who ordered and what was sold, in the order in which it first does
    let (mut customers, mut skus) = (BTreeMap::new(), BTreeMap::new());
    let known = |names: &mut BTreeMap<u32, u32>, name: u32| {
        let next = names.len() as u32;
        *names.entry(name).or_insert(next)
    };
    for (number, at) in (1..).zip(due(&profile.arrival, case, case.derive("orders"), Share::whole(orders))) {
        let order = bodies.order(number, at.since(Timestamp::ZERO));
        let line = |(sku, qty): &(u32, u32)| SourceLine { sku: known(&mut skus, *sku), qty: *qty, unit_price: Money(price(goods, *sku)) };
        placed.push(SourceOrder {
            id: number.to_string(),
            placed_at: at,
            customer: Some(known(&mut customers, order.customer)),
            region: order.region,
            channel: order.channel,
            lines: order.lines.iter().map(line).collect(),
        });
    }
    let first = placed.first().expect("orders").placed_at;
    let started = date(2000, 1, 1).at(RUN_BEGINS_AT_H as i8, 0, 0, 0) + jiff::Span::new().nanoseconds(first.0 as i64);
    placed.iter_mut().for_each(|order| order.placed_at = Timestamp(order.placed_at.0 - first.0));
    Import {
        span: Span(placed.last().expect("orders").placed_at.0),
        orders: placed,
        skus: (0..skus.len()).map(|sku| sku.to_string()).collect(),
        customers: (0..customers.len()).map(|customer| customer.to_string()).collect(),
        cancellations: Default::default(),
        account: Default::default(),
        notes: Vec::new(),
        started: started.to_string(),
    }
}

pub(super) fn fitted(history: &Import) -> Result<Fitted, FitError> {
    let told = Told { regions: true, channels: true, cancellations: true, minor_digits: 2 };
    let wanted = Wanted { name: "mine", source: "truth", columns: "none", seed: 1, model: None, told };
    super::fit(history, &wanted, &|_, _, _| ())
}

#[test]
fn clusters_alone_are_accepted_without_a_day_factor() {
    let truth = profile(14_000, 84, "process = \"hawkes\"\nbranching = 0.3\nhalf_life = \"1m\"", ONE);
    for seed in 1..=3 {
        let Fitted { profile, report, .. } = fitted(&history(&truth, seed)).expect("a fit");
        assert_eq!((report.verdict, report.chosen), (Verdict::Accepted, Model::Hawkes), "seed {seed}: {}", report.text());
        assert!(!profile.contains("cox = "), "seed {seed}: {:?}", report.day_factor);
    }
}

/// Popularity of so many SKUs by a law, and how ranks change.
fn goods(skus: u32, law: &str, drift: f64) -> String {
    format!("skus = {skus}\ndrift = {drift:?}\npopularity = [{{ {law} }}]")
}

#[test]
fn popularity_that_hardly_differs_is_accepted_and_stands_still() {
    for (skus, law) in
        [(200, "law = \"uniform\""), (800, "law = \"uniform\""), (800, "law = \"lognormal\", sigma = 0.3"), (300, "law = \"lognormal\", sigma = 1.2")]
    {
        for seed in 1..=3 {
            let Fitted { profile, report, .. } = fitted(&history(&profile(14_000, 84, "", &goods(skus, law, 0.0)), seed)).expect("a fit");
            assert_eq!((report.verdict, report.drift), (Verdict::Accepted, None), "{skus} {law}, seed {seed}: {}", report.text());
            assert_eq!(profile.contains("popularity]]\nlaw = \"uniform\""), law.contains("uniform"), "{profile}");
        }
    }
}

#[test]
fn ranks_that_change_are_said_to() {
    for nightly in [0.01, 0.03] {
        for seed in 1..=3 {
            let truth = profile(14_000, 84, "", &goods(300, "law = \"lognormal\", sigma = 1.2", nightly));
            let Fitted { report, .. } = fitted(&history(&truth, seed)).expect("a fit");
            assert_eq!(report.verdict, Verdict::Accepted, "{nightly}, seed {seed}: {}", report.text());
            assert!(report.drift.is_some_and(|drift| (0.4..2.5).contains(&(drift.nightly / nightly))), "{nightly}, seed {seed}: {:?}", report.drift);
        }
    }
}
