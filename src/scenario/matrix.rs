//! The matrix: scenarios x variants x faults x channels x order counts, expanded into cases with stable names.

use super::{Arrival, Cover, FaultSet, Goods, LoadProfile, Scenario, StockScope};
use crate::model::{Channel, Threshold};
use crate::sim::{Seed, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// One cell of the matrix: the unit of running, naming, judging and reporting.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// `S01.base.duplicate.web.12`: scenario, variant, fault set, channel, orders
    pub name: String,
    pub scenario: Arc<Scenario>,
    pub fault: Arc<FaultSet>,
    pub channel: Channel,
    pub orders: u32,
    /// when its orders come
    pub arrival: Arc<Arrival>,
    /// what its orders are about, where a load profile makes them
    pub goods: Option<Arc<Goods>>,
    /// what it must hold: of its scenario, and of the load profile
    pub thresholds: Vec<Threshold>,
    /// its orders come at the times of a load profile
    pub is_load: bool,
    /// derived from the run's seed and the case name, or the name that its scenario keeps the luck of, so that a case replays alone
    pub seed: Seed,
    /// why this cell cannot be run, if so
    pub not_applicable: Option<String>,
}

/// What to make of the matrix.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// takes the place of each scenario's own order counts and gaps. Where stock is `fixed`, the order count belongs to the story
    /// (five orders for fifteen units), so there only the gaps are replaced.
    pub profile: Option<LoadProfile>,
    /// takes the place of the order counts, of a profile's too
    pub orders: Option<u32>,
    /// only these channels; all of the scenario's where empty
    pub channels: Vec<Channel>,
    /// takes the place of each scenario's own cover
    pub cover: Option<Cover>,
    pub seed: Seed,
    /// how many seeds, counting up from `seed`; 0 is 1
    pub seeds: u32,
    /// only cases whose names match one of these (the part that names the seed may be left out); all where empty
    pub cases: Vec<glob::Pattern>,
}

/// The cases, and what they are a part of.
#[derive(Clone, Debug, Default)]
pub struct Expansion {
    pub cases: Vec<Case>,
    /// size of the full product, before covering and filtering
    pub full: usize,
    /// how many cases the filter left out
    pub filtered: usize,
    /// one sentence on how the cases cover the product
    pub cover: String,
}

/// One combination of axis values of one scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Cell {
    variant: usize,
    fault: usize,
    channel: Channel,
    orders: u32,
}

/// Two axis values; the first number tells which two axes.
type Pair = (u8, u64, u64);

impl Cell {
    fn pairs(self) -> [Pair; 6] {
        let (v, f, c, o) = (self.variant as u64, self.fault as u64, self.channel as u64, u64::from(self.orders));
        [(0, v, f), (1, v, c), (2, v, o), (3, f, c), (4, f, o), (5, c, o)]
    }
}

/// Expands every scenario with every fault set. Variants of one scenario (same name and origin) share their matrix.
pub fn expand(scenarios: &[Arc<Scenario>], fault_sets: &[Arc<FaultSet>], selection: &Selection) -> Expansion {
    let mut groups: Vec<Vec<&Arc<Scenario>>> = Vec::new();
    for scenario in scenarios {
        match groups.iter_mut().find(|group| group[0].name == scenario.name && group[0].origin == scenario.origin) {
            Some(group) => group.push(scenario),
            None => groups.push(vec![scenario]),
        }
    }
    let mut expansion = Expansion::default();
    let mut pairwise = 0;
    for group in groups {
        // a scenario with faults of its own has its place on the axis behind the fault sets
        let sets = |variant: usize| match &group[variant].own {
            Some(_) => fault_sets.len() + variant..fault_sets.len() + variant + 1,
            None => 0..fault_sets.len(),
        };
        let set = |variant: usize, fault: usize| fault_sets.get(fault).or(group[variant].own.as_ref());
        let applicable: BTreeMap<(usize, usize), Option<String>> = (0..group.len())
            .flat_map(|variant| sets(variant).map(move |fault| (variant, fault)))
            .map(|(variant, fault)| ((variant, fault), set(variant, fault).and_then(|set| set.acts_on(group[variant]).err())))
            .collect();
        let product = product(&group, sets, selection);
        expansion.full += product.len();
        let cells = match selection.cover.unwrap_or(group[0].matrix.cover) {
            Cover::Full => product,
            Cover::Pairwise => {
                pairwise += 1;
                cover_pairs(&product, |cell| applicable[&(cell.variant, cell.fault)].is_none())
            }
        };
        for cell in cells {
            let (why, Some(set)) = (&applicable[&(cell.variant, cell.fault)], set(cell.variant, cell.fault)) else { continue };
            for n in 0..selection.seeds.max(1) {
                let case = case(group[cell.variant], set, cell, why.clone(), n, selection);
                let plain = case.name.split(".seed").next().unwrap_or(&case.name);
                let matches = |pattern: &glob::Pattern| pattern.matches(&case.name) || pattern.matches(plain);
                let wanted = selection.cases.is_empty() || selection.cases.iter().any(matches);
                if wanted {
                    expansion.cases.push(case);
                } else {
                    expansion.filtered += 1;
                }
            }
        }
    }
    expansion.full *= selection.seeds.max(1) as usize;
    expansion.cover = match (pairwise, expansion.filtered) {
        (0, 0) if expansion.full == 1 => "the only combination".into(),
        (0, 0) => format!("every one of {} combinations", expansion.full),
        (0, left) => format!("{} of {} combinations; the case filter left out {left}", expansion.cases.len(), expansion.full),
        (_, 0) => {
            format!("{} of {} combinations are planned: every pair of values of any two axes is in a case", expansion.cases.len(), expansion.full)
        }
        (_, left) => format!("{} of {} combinations; the case filter left out {left} of the pairwise cases", expansion.cases.len(), expansion.full),
    };
    expansion
}

fn product(group: &[&Arc<Scenario>], sets: impl Fn(usize) -> Range<usize>, selection: &Selection) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (variant, scenario) in group.iter().enumerate() {
        let asked = selection.orders.or(selection.profile.as_ref().map(|profile| profile.orders));
        let orders = match asked {
            Some(orders) if scenario.matrix.stock != StockScope::Fixed && scenario.places.is_empty() => vec![orders],
            _ => scenario.matrix.orders.clone(),
        };
        for fault in sets(variant) {
            for &channel in scenario.matrix.channels.iter().filter(|c| selection.channels.is_empty() || selection.channels.contains(c)) {
                cells.extend(orders.iter().map(|&orders| Cell { variant, fault, channel, orders }));
            }
        }
    }
    cells
}

/// Greedy covering: always the cell with most pairs that no chosen cell has, the first among equals. A cell in which the fault
/// cannot act shows nothing, so it counts for its own variant and fault only, and every other pair is in a cell that runs
/// (as far as there is one).
fn cover_pairs(product: &[Cell], runs: impl Fn(&Cell) -> bool) -> Vec<Cell> {
    let pairs_of = |cell: &Cell| -> Vec<Pair> { if runs(cell) { cell.pairs().to_vec() } else { vec![cell.pairs()[0]] } };
    let mut open: BTreeSet<Pair> = product.iter().flat_map(pairs_of).collect();
    // how often a value of the cheap axes was chosen: among equals the rarer goes first, which spreads them evenly
    let mut used: BTreeMap<(u8, u64), u32> = BTreeMap::new();
    let mut left: Vec<Cell> = product.to_vec();
    let mut chosen = Vec::new();
    while !open.is_empty() {
        let score = |cell: &Cell| {
            let gain = pairs_of(cell).iter().filter(|pair| open.contains(pair)).count();
            let wear = used.get(&(0, cell.channel as u64)).unwrap_or(&0) + used.get(&(1, u64::from(cell.orders))).unwrap_or(&0);
            (gain, std::cmp::Reverse(wear))
        };
        let mut best = 0;
        let mut most = None;
        for (i, cell) in left.iter().enumerate() {
            let now = score(cell);
            if most.is_none_or(|most| now > most) {
                (best, most) = (i, Some(now));
            }
        }
        let cell = left.remove(best);
        pairs_of(&cell).iter().for_each(|pair| {
            open.remove(pair);
        });
        *used.entry((0, cell.channel as u64)).or_default() += 1;
        *used.entry((1, u64::from(cell.orders))).or_default() += 1;
        chosen.push(cell);
    }
    chosen.sort();
    chosen
}

fn case(scenario: &Arc<Scenario>, fault: &Arc<FaultSet>, cell: Cell, not_applicable: Option<String>, n: u32, selection: &Selection) -> Case {
    let plain = format!("{}.{}.{}.{}.{}", scenario.name, scenario.variant, fault.name, cell.channel.name(), cell.orders);
    let run_seed = Seed(selection.seed.0.wrapping_add(u64::from(n)));
    let arrival = match &selection.profile {
        Some(profile) => profile.arrival.clone(),
        None => Arc::new(Arrival::poisson(gap(scenario, cell.orders))),
    };
    // scenarios have orders of their own; a profile only lends them its times
    let goods = selection.profile.as_ref().and_then(|profile| profile.goods.clone()).filter(|_| scenario.is_load());
    Case {
        seed: run_seed.derive(scenario.luck.as_ref().map_or(&plain, |luck| &luck.case)),
        name: if n == 0 { plain } else { format!("{plain}.seed{}", run_seed.0) },
        scenario: Arc::clone(scenario),
        fault: Arc::clone(fault),
        channel: cell.channel,
        orders: cell.orders,
        arrival,
        goods,
        thresholds: scenario.thresholds.iter().chain(selection.profile.iter().flat_map(|profile| &profile.thresholds)).cloned().collect(),
        is_load: selection.profile.is_some(),
        not_applicable,
    }
}

impl Case {
    /// It may end early, so it is run in one piece: whoever decides that sees all of its orders.
    pub fn aborts(&self) -> bool {
        self.thresholds.iter().any(|threshold| threshold.abort.is_some())
    }
}

/// More orders than the scenario foresees come in the time that it foresees: its own times (a receipt on day 5) keep their meaning.
fn gap(scenario: &Scenario, orders: u32) -> Span {
    let foreseen = scenario.matrix.orders.iter().copied().max().unwrap_or(1).max(1);
    if orders <= foreseen {
        return scenario.matrix.gap;
    }
    Span((u128::from(scenario.matrix.gap.0) * u128::from(foreseen) / u128::from(orders)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Library;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_pair_of_values_is_in_a_case(variants in 1usize..6, faults in 1usize..8, channels in 1usize..5, orders in 1u32..4, idle in prop::collection::btree_set((0usize..6, 0usize..8), 0..8)) {
            let mut product = Vec::new();
            for variant in 0..variants {
                for fault in 0..faults {
                    for &channel in &Channel::ALL[..channels] {
                        for orders in 1..=orders {
                            product.push(Cell { variant, fault, channel, orders });
                        }
                    }
                }
            }
            let runs = |cell: &Cell| !idle.contains(&(cell.variant, cell.fault));
            let chosen = cover_pairs(&product, runs);
            let running: BTreeSet<Pair> = chosen.iter().filter(|cell| runs(cell)).flat_map(|cell| cell.pairs()).collect();
            for cell in &product {
                prop_assert!(chosen.iter().any(|other| other.variant == cell.variant && other.fault == cell.fault));
                if runs(cell) {
                    for pair in cell.pairs() {
                        prop_assert!(running.contains(&pair));
                    }
                }
            }
            prop_assert!(chosen.len() <= product.len());
        }
    }

    #[test]
    fn cases_have_stable_names_and_seeds_of_their_own() {
        let mut library = Library::shipped().unwrap();
        let scenarios = library.scenarios(&["s01.base".into()]).unwrap();
        let faults = library.fault_sets(&["none".into(), "duplicate".into()]).unwrap();
        let selection = Selection { seed: Seed(7), seeds: 2, cover: Some(Cover::Full), ..Selection::default() };
        let all = expand(&scenarios, &faults, &selection);
        assert_eq!(all.full, all.cases.len());
        assert_eq!(all.cases[0].name, "S01.base.none.web.1");
        assert_eq!(all.cases[1].name, "S01.base.none.web.1.seed8");
        assert_eq!(all.cases[1].seed, Seed(8).derive("S01.base.none.web.1"));
        let one = Selection { cases: vec![glob::Pattern::new("*.duplicate.app.12").unwrap()], ..selection };
        let some = expand(&scenarios, &faults, &one);
        assert_eq!(some.cases.len(), 2, "one for each seed");
        assert!(some.cases.iter().all(|case| all.cases.contains(case)));
    }

    #[test]
    fn the_whole_shipped_matrix_has_names_without_doubles_and_is_far_smaller_than_the_product() {
        let mut library = Library::shipped().unwrap();
        let (scenarios, faults) = (library.scenarios(&[]).unwrap(), library.fault_sets(&["all".into()]).unwrap());
        let expansion = expand(&scenarios, &faults, &Selection::default());
        let names: BTreeSet<&str> = expansion.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), expansion.cases.len());
        assert!(expansion.cases.len() * 2 < expansion.full, "{}", expansion.cover);
        assert!(expansion.cases.iter().filter(|case| case.not_applicable.is_none()).count() > 500, "{}", expansion.cover);
        let again = expand(&scenarios, &faults, &Selection::default());
        assert_eq!(expansion.cases, again.cases);
    }

    #[test]
    fn a_case_in_which_the_fault_cannot_act_says_so() {
        let mut library = Library::shipped().unwrap();
        let scenarios = library.scenarios(&["S01.base".into()]).unwrap();
        let faults = library.fault_sets(&["feed-delayed".into()]).unwrap();
        let expansion = expand(&scenarios, &faults, &Selection::default());
        assert!(!expansion.cases.is_empty());
        assert!(expansion.cases.iter().all(|case| case.not_applicable.as_ref().is_some_and(|why| why.contains("no stock news"))));
    }
}
