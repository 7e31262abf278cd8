//! Load profiles: how hard. The low form, and the high form made from it.

use super::resolve::Check;
use crate::sim::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file in `profiles/load/`: takes the place of a scenario's own `matrix.orders` and `matrix.gap`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "orderstorm load profile", extend("$id" = "https://orderstorm.dev/schemas/load.v1.json"))]
pub struct LoadProfileFile {
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub about: String,
    pub arrival: Arrival,
    /// mean time between two orders, such as `"200ms"`
    pub gap: String,
    /// orders a case
    #[schemars(range(min = 1, max = 100000000))]
    pub orders: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// exponential gaps
    #[default]
    Poisson,
    /// equal gaps
    Constant,
    /// all at the same instant
    Burst,
}

#[derive(Clone, PartialEq, Debug)]
pub struct LoadProfile {
    pub name: String,
    pub title: String,
    pub about: String,
    pub arrival: Arrival,
    pub gap: Span,
    pub orders: u32,
}

impl LoadProfile {
    pub(super) fn resolve(file: &LoadProfileFile, check: &mut Check<'_>) -> Option<LoadProfile> {
        let before = check.problems.len();
        check.name("name", &file.name);
        let gap = check.span("gap", &file.gap);
        let profile = LoadProfile {
            name: file.name.clone(),
            title: file.title.clone(),
            about: file.about.clone(),
            arrival: file.arrival,
            gap,
            orders: file.orders,
        };
        (check.problems.len() == before).then_some(profile)
    }
}
