//! The scenario of a load profile that makes whole orders: the standard estate, ordinary partners, and shoppers of three kinds.

use super::file::{Action, KindFile, LineFile, MatrixFile, OrderFile, OutcomeFile, ScenarioFile, StepFile, StockScope};
use super::{Cover, ExpectFile, Goods, LoadProfile, Problems, Scenario};
use crate::model::Channel;
use std::sync::Arc;

/// The name of every such scenario; the variant is the profile's.
pub const LOAD: &str = "LOAD";
/// What its origin begins with, which no file's does.
const ORIGIN: &str = "load profile ";
/// What shares of kinds are told in.
const PARTS: f64 = 1_000_000.0;

impl LoadProfile {
    /// The scenario of this profile; none where it does not say what orders are about. Its orders stand for those that are drawn.
    pub fn scenario(&self) -> Option<Result<Scenario, Problems>> {
        self.goods.as_ref().map(|goods| {
            let mut scenario = Scenario::from_file(&self.file(goods), &self.name, &format!("{ORIGIN}{}", self.name))?;
            scenario.about.clone_from(&self.about);
            Ok(scenario)
        })
    }

    fn file(&self, goods: &Arc<Goods>) -> ScenarioFile {
        let order = OrderFile { lines: vec![LineFile { sku: "A".into(), qty: 1, ..LineFile::default() }], ..OrderFile::default() };
        let kind = |name: &str, share: f64, step: Vec<StepFile>| KindFile {
            name: name.into(),
            weight: (share * PARTS).round() as u32,
            order: order.clone(),
            step,
            partner: Vec::new(),
        };
        let later = &goods.later;
        let cancel = StepFile { on: Some("order.accepted".into()), after: Some(later.cancel_after.clone()), ..StepFile::of(Action::Cancel) };
        let comes_back = StepFile { on: Some("order.completed".into()), after: Some(later.return_after.clone()), ..StepFile::of(Action::Return) };
        let kinds = vec![
            kind("kept", 1.0 - later.cancel - later.returns, Vec::new()),
            kind("cancelled", later.cancel, vec![cancel]),
            kind("returned", later.returns, vec![comes_back]),
        ];
        let ends = ["order.completed", "order.cancelled", "order.rejected"];
        let first = Channel::ALL.into_iter().zip(goods.channel_shares);
        let most = first.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(Channel::Web, |(channel, _)| channel);
        ScenarioFile {
            name: LOAD.into(),
            title: self.title.clone(),
            matrix: MatrixFile {
                channels: vec![most],
                orders: vec![self.orders],
                cover: Cover::Full,
                stock: StockScope::Scaled,
                ..MatrixFile::default()
            },
            stock: [("A@DC1".to_string(), 1)].into(),
            kind: kinds.into_iter().filter(|kind| kind.weight > 0).collect(),
            step: news(goods),
            expect: ExpectFile { outcome: ends.map(|end| (end.to_string(), OutcomeFile::default())).into(), ..ExpectFile::default() },
            ..ScenarioFile::default()
        }
    }
}

impl StepFile {
    /// A step that says no more than what is done.
    pub fn of(action: Action) -> StepFile {
        StepFile {
            action,
            on: None,
            after: None,
            lines: Vec::new(),
            take: Vec::new(),
            mode: None,
            method: None,
            disposition: None,
            node: None,
            sku: None,
            qty: None,
            times: 1,
            blind: false,
        }
    }
}

/// That there is news of stock: what it is, is drawn with the orders.
fn news(goods: &Goods) -> Vec<StepFile> {
    let mut steps = Vec::new();
    if goods.deltas > 0.0 {
        let of = |action, node: &str| StepFile { node: Some(node.into()), sku: Some("A".into()), qty: Some(1), ..StepFile::of(action) };
        steps.extend([of(Action::Receipt, "DC1"), of(Action::Sale, "S1")]);
    }
    if goods.snapshot.is_some() {
        steps.push(StepFile::of(Action::Snapshot));
    }
    steps
}

impl Scenario {
    /// It is that of a load profile.
    pub fn is_load(&self) -> bool {
        self.name == LOAD && self.origin.starts_with(ORIGIN)
    }
}
