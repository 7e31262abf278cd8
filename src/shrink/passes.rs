//! What is tried, in which order. Each pass takes something away; what still fails for the same reason is the plan from then on.

use super::ddmin::ddmin;
use super::{Key, Plan, Size};
use crate::scenario::{ExpectFile, OrderFile, PartnerFile, StepFile};
use crate::sim::Span;
use std::collections::BTreeSet;

/// How a plan fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub key: Key,
    /// the order that the finding is about, if it is one
    pub order: Option<u32>,
    /// orders in the entries that prove it
    pub proof: BTreeSet<u32>,
    /// SKUs in these entries
    pub skus: BTreeSet<String>,
    /// the last of these entries, after the case began
    pub at: Span,
}

/// How much may be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    pub runs: u32,
    /// runs in a row that lead to nothing smaller
    pub idle: u32,
}

/// Why it went no further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// nothing more can be taken away by itself
    Minimal,
    /// the budget was used up
    Budget,
    /// stopped from outside
    Stopped,
}

/// What is left.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub plan: Plan,
    pub why: Why,
    pub runs: u32,
}

/// Who says whether a plan fails, for the same reason, and would not fail with a correct target.
pub trait Oracle {
    fn fails(&mut self, plan: &Plan) -> Option<Failure>;
    /// runs so far
    fn runs(&self) -> u32;
    fn stopped(&self) -> bool;
    /// something smaller was found
    fn smaller(&mut self, size: Size);
}

/// Reduces `plan`, which fails as `failure` says.
pub fn shrink(plan: Plan, failure: Failure, budget: Budget, oracle: &mut dyn Oracle) -> Shrunk {
    let runs = oracle.runs();
    let mut work = Work { best: plan, failure, budget, oracle, progress: runs, why: Why::Minimal };
    // none says that the budget is used up: what was found until then is the answer
    let _ = work.all();
    Shrunk { runs: work.oracle.runs(), plan: work.best, why: work.why }
}

struct Work<'a> {
    best: Plan,
    failure: Failure,
    budget: Budget,
    oracle: &'a mut dyn Oracle,
    /// runs when something smaller was found last
    progress: u32,
    why: Why,
}

impl Work<'_> {
    /// Takes `plan` on if it fails as it should; none where nothing may be tried any more.
    fn attempt(&mut self, plan: Plan) -> Option<bool> {
        if plan == self.best {
            return Some(false);
        }
        let runs = self.oracle.runs();
        if self.oracle.stopped() || runs >= self.budget.runs || runs - self.progress >= self.budget.idle {
            self.why = if self.oracle.stopped() { Why::Stopped } else { Why::Budget };
            return None;
        }
        let Some(failure) = self.oracle.fails(&plan) else { return Some(false) };
        self.oracle.smaller(plan.size());
        (self.best, self.failure, self.progress) = (plan, failure, self.oracle.runs());
        Some(true)
    }

    fn all(&mut self) -> Option<()> {
        self.time_cut()?;
        self.cone()?;
        self.fewest()?;
        self.lower_stock()?;
        self.fewest()?;
        self.features()?;
        self.quantities()?;
        self.fewest()?;
        self.times()?;
        // at the same time fewer may contend for less
        self.lower_stock()?;
        self.fewest()?;
        self.lower_stock()?;
        self.hoist()?;
        self.rename()
    }

    /// Orders, faults and steps, until none of them can go.
    fn fewest(&mut self) -> Option<()> {
        loop {
            let before = self.best.size();
            self.fewest_orders()?;
            self.fewest_faults()?;
            self.fewest_steps()?;
            if self.best.size() == before {
                return Some(());
            }
        }
    }

    /// What came after the violation did not cause it.
    fn time_cut(&mut self) -> Option<()> {
        let until = self.failure.at;
        let file = self.best.raw();
        let early = file.place.iter().filter(|place| Plan::time(Some(&place.at)) <= until).filter_map(|place| place.no).collect();
        let late = |at: &usize| Plan::time(file.step[*at].after.as_deref()) > until;
        let gone: BTreeSet<usize> = self.best.stock_steps().into_iter().filter(late).collect();
        let cut = self.best.keep_orders(&early);
        if self.attempt(cut.without_steps(&gone))? {
            return Some(());
        }
        self.attempt(cut).map(drop)
    }

    /// The order that was wronged, by itself; or those in the proof; or those that want the same goods.
    fn cone(&mut self) -> Option<()> {
        let all: BTreeSet<u32> = self.best.orders().into_iter().collect();
        let of_order: BTreeSet<u32> = self.failure.order.into_iter().collect();
        let mut skus = self.failure.skus.clone();
        skus.extend(of_order.iter().flat_map(|no| self.best.skus_of(*no)).map(String::from));
        let sharing = all.iter().copied().filter(|no| self.best.skus_of(*no).iter().any(|sku| skus.contains(*sku))).collect();
        let proof: BTreeSet<u32> = self.failure.proof.union(&of_order).copied().collect();
        for cone in [of_order, proof, sharing] {
            let cone: BTreeSet<u32> = cone.intersection(&all).copied().collect();
            if !cone.is_empty() && cone.len() < all.len() && self.attempt(self.best.keep_orders(&cone))? {
                break;
            }
        }
        Some(())
    }

    fn fewest_orders(&mut self) -> Option<()> {
        let base = self.best.clone();
        let orders = base.orders();
        if orders.len() > 1 {
            ddmin(orders.len(), |kept| match kept {
                // without places orders would be drawn
                [] => Some(false),
                kept => self.attempt(base.keep_orders(&kept.iter().map(|at| orders[*at]).collect())),
            });
        }
        self.may_go_on()
    }

    fn fewest_faults(&mut self) -> Option<()> {
        let (merged, fewer) = self.best.merged_faults();
        // none of them may be needed; where many of a sort are, one rule for all of them says so
        if fewer && !self.attempt(self.best.keep_faults(&[]))? {
            self.attempt(merged)?;
        }
        let base = self.best.clone();
        ddmin(base.size().faults, |kept| self.attempt(base.keep_faults(kept)));
        self.may_go_on()
    }

    fn fewest_steps(&mut self) -> Option<()> {
        let base = self.best.clone();
        let steps = base.stock_steps();
        ddmin(steps.len(), |kept| {
            self.attempt(base.without_steps(&steps.iter().copied().filter(|at| !kept.iter().any(|k| steps[*k] == *at)).collect()))
        });
        self.may_go_on()
    }

    fn may_go_on(&self) -> Option<()> {
        (self.why == Why::Minimal).then_some(())
    }

    /// Opening stock goes with the orders that there were: contention shows in few orders only where there is little for them.
    fn lower_stock(&mut self) -> Option<()> {
        let demand = self.best.demand();
        let wanted = |key: &str| key.split_once('@').and_then(|(sku, _)| demand.get(sku)).copied().unwrap_or(0);
        let unused = self.best.with(|file| {
            file.stock.retain(|key, _| wanted(key) > 0);
            file.phantom.retain(|key, _| wanted(key) > 0);
        });
        self.attempt(unused)?;
        let enough = self.best.clone().with(|file| {
            for (key, units) in &mut file.stock {
                *units = (*units).min(u32::try_from(wanted(key)).unwrap_or(u32::MAX));
            }
            file.phantom.iter_mut().for_each(|(key, units)| *units = (*units).min(file.stock.get(key).copied().unwrap_or(0)));
        });
        self.attempt(enough)?;
        let keys: Vec<String> = self.best.raw().stock.keys().cloned().collect();
        for key in keys {
            let set = |plan: &Plan, units: u32| {
                plan.with(|file| {
                    file.stock.insert(key.clone(), units);
                    file.phantom.entry(key.clone()).and_modify(|phantom| *phantom = (*phantom).min(units));
                })
            };
            let without = self.best.with(|file| {
                file.stock.remove(&key);
                file.phantom.remove(&key);
            });
            if self.attempt(without)? {
                continue;
            }
            // the least with which it still fails, as far as less never helps
            let (mut too_few, mut fails) = (0, self.best.raw().stock.get(&key).copied().unwrap_or(0));
            while fails - too_few > 1 {
                let half = too_few + (fails - too_few) / 2;
                if self.attempt(set(&self.best, half))? { fails = half } else { too_few = half }
            }
        }
        for key in self.best.raw().phantom.keys().cloned().collect::<Vec<_>>() {
            self.attempt(self.best.with(|file| file.phantom.retain(|held, _| *held != key)))?;
        }
        Some(())
    }

    /// Steps, moods of partners, lines, discounts, taxes, policies: whatever makes it harder to read.
    fn features(&mut self) -> Option<()> {
        let used: BTreeSet<String> = self.best.raw().place.iter().filter_map(|place| place.kind.clone()).collect();
        self.attempt(self.best.with(|file| file.kind.retain(|kind| used.contains(&kind.name))))?;
        let named = self.best.skus();
        self.attempt(self.best.with(|file| file.products.retain(|name, _| named.contains(name))))?;
        if self.failure.key.check != "EXPECTATION" {
            self.attempt(self.best.with(|file| file.expect = ExpectFile::default()))?;
        }
        self.attempt(self.best.with(|file| file.policy = Default::default()))?;
        for node in self.best.raw().nodes.keys().cloned().collect::<Vec<_>>() {
            self.attempt(self.best.with(|file| file.nodes.retain(|name, _| *name != node)))?;
        }
        for sort in 0..self.best.sorts() {
            self.features_of(sort)?;
        }
        Some(())
    }

    fn features_of(&mut self, sort: usize) -> Option<()> {
        for at in (0..self.best.sort(sort).1.len()).rev().filter(|at| self.best.sort(sort).1[*at].action.is_of_order()).collect::<Vec<_>>() {
            self.attempt(self.best.with_sort(sort, |sort| drop(sort.step.remove(at))))?;
        }
        for at in (0..self.best.sort(sort).2.len()).rev() {
            self.attempt(self.best.with_sort(sort, |sort| drop(sort.partner.remove(at))))?;
        }
        for at in (0..self.best.sort(sort).0.lines.len()).rev() {
            if self.best.sort(sort).0.lines.len() > 1 {
                self.attempt(self.best.with_sort(sort, |sort| drop(sort.order.lines.remove(at))))?;
            }
        }
        let of_order: [fn(&mut OrderFile); 6] = [
            |order| order.lines.iter_mut().for_each(|line| line.discount = 0),
            |order| order.tax_bp = 0,
            |order| order.lines.iter_mut().for_each(|line| line.price = None),
            |order| order.shipping = None,
            |order| order.ship_complete = false,
            |order| order.ship_to = Default::default(),
        ];
        for simpler in of_order {
            self.attempt(self.best.with_sort(sort, |sort| simpler(sort.order)))?;
        }
        let of_step: [fn(&mut StepFile); 4] = [
            |step| step.times = 1,
            |step| step.blind = false,
            |step| step.lines.clear(),
            |step| (step.method, step.mode, step.disposition) = (None, None, None),
        ];
        for simpler in of_step {
            self.attempt(self.best.with_sort(sort, |sort| sort.step.iter_mut().filter(|step| step.action.is_of_order()).for_each(simpler)))?;
        }
        let of_partner: [fn(&mut PartnerFile); 2] = [|partner| partner.nth = None, |partner| partner.node = None];
        for simpler in of_partner {
            self.attempt(self.best.with_sort(sort, |sort| sort.partner.iter_mut().for_each(simpler)))?;
        }
        Some(())
    }

    /// One unit of each, or as few as do it.
    fn quantities(&mut self) -> Option<()> {
        for sort in 0..self.best.sorts() {
            for line in 0..self.best.sort(sort).0.lines.len() {
                let (mut too_few, mut fails) = (0, self.best.sort(sort).0.lines[line].qty);
                let mut next = 1;
                while fails - too_few > 1 {
                    let fewer = self.best.with_sort(sort, |sort| {
                        let line = &mut sort.order.lines[line];
                        let price = line.price.unwrap_or(i64::MAX).saturating_mul(next.into());
                        (line.qty, line.discount) = (next, line.discount.min(price));
                    });
                    if self.attempt(fewer)? {
                        fails = next
                    } else {
                        too_few = next
                    }
                    next = too_few + (fails - too_few) / 2;
                }
            }
        }
        for at in self.best.stock_steps() {
            for qty in [1, self.best.raw().step[at].qty.unwrap_or(0) / 2] {
                if self.best.raw().step[at].qty.is_some_and(|now| qty > 0 && qty < now) {
                    self.attempt(self.best.with(|file| file.step[at].qty = Some(qty)))?;
                }
            }
        }
        Some(())
    }

    /// Times together, and round.
    fn times(&mut self) -> Option<()> {
        let together = |every: Span| {
            move |plan: &Plan| {
                plan.with(|file| {
                    file.place.sort_by_key(|place| (Plan::time(Some(&place.at)), place.no));
                    (0..).zip(&mut file.place).for_each(|(n, place)| place.at = every.saturating_mul(n).exact());
                })
            }
        };
        for every in [Span::ZERO, Span::from_secs(1), Span::from_mins(1)] {
            if self.attempt(together(every)(&self.best))? {
                break;
            }
        }
        for at in 0..self.best.raw().place.len() {
            let now = self.best.raw().place[at].at.clone();
            self.rounder(&now, |file, text| file.place[at].at = text)?;
        }
        for at in self.best.stock_steps() {
            let now = self.best.raw().step[at].after.clone().unwrap_or_default();
            self.rounder(&now, |file, text| file.step[at].after = Some(text))?;
        }
        for at in 0..self.best.raw().fault.len() {
            if let Some(now) = self.best.raw().fault[at].delay.clone() {
                self.rounder(&now, |file, text| file.fault[at].delay = Some(text))?;
            }
            for copy in 0..self.best.raw().fault[at].again.len() {
                let now = self.best.raw().fault[at].again[copy].clone();
                self.rounder(&now, |file, text| file.fault[at].again[copy] = text)?;
            }
        }
        Some(())
    }

    fn rounder(&mut self, now: &str, set: impl Fn(&mut crate::scenario::ScenarioFile, String)) -> Option<()> {
        let time = Plan::time(Some(now));
        for unit in [Span::from_days(1), Span::from_hours(1), Span::from_mins(1), Span::from_secs(1)] {
            let round = Span(time.0 / unit.0 * unit.0);
            if round == time || (round > Span::ZERO && self.attempt(self.best.with(|file| set(file, round.exact())))?) {
                break;
            }
        }
        Some(())
    }

    /// A kind that is the only one needs no name.
    fn hoist(&mut self) -> Option<()> {
        self.attempt(self.best.with(|file| file.kind.iter_mut().for_each(|kind| kind.weight = 1)))?;
        if let [only] = self.best.raw().kind.as_slice() {
            let only = only.clone();
            let plain = self.best.with(|file| {
                file.kind.clear();
                file.place.iter_mut().for_each(|place| place.kind = None);
                (file.order, file.partner) = (only.order, only.partner);
                // first, for a step's place in the list is part of what is drawn for it
                file.step.splice(0..0, only.step);
            });
            self.attempt(plain)?;
        }
        Some(())
    }

    fn rename(&mut self) -> Option<()> {
        self.attempt(self.best.renumbered())?;
        self.attempt(self.best.with(|file| file.luck = None))?;
        if self.best.raw().luck.is_some() {
            return Some(());
        }
        self.attempt(self.best.renumbered()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ScenarioFile;

    /// Fails while order 7 and another are there, a fault hits order 7, and there is too little of A.
    struct Contention {
        runs: u32,
        stop_at: u32,
    }

    impl Oracle for Contention {
        fn fails(&mut self, plan: &Plan) -> Option<Failure> {
            self.runs += 1;
            let file = plan.file();
            let first = file.place.first()?.no;
            let hit = file.fault.iter().any(|fault| fault.delay.as_deref() == Some("7m") && (fault.order == Some(7) || fault.order == first));
            let wanted: u32 = file.place.len() as u32 * file.order.lines[0].qty;
            let few = file.place.len() >= 2 && file.stock.get("A@DC1").is_some_and(|units| *units < wanted);
            (hit && few).then(failure)
        }
        fn runs(&self) -> u32 {
            self.runs
        }
        fn stopped(&self) -> bool {
            self.runs >= self.stop_at
        }
        fn smaller(&mut self, _size: Size) {}
    }

    fn failure() -> Failure {
        let key = Key { check: "NO_OVERSELL".into(), entity: "order", signature: String::new() };
        Failure { key, order: Some(7), proof: BTreeSet::new(), skus: BTreeSet::new(), at: Span::from_mins(30) }
    }

    fn plan() -> Plan {
        let place: Vec<_> = (1..=40).map(|no| serde_json::json!({"no": no, "at": format!("{no}m 17s")})).collect();
        let fault: Vec<_> = (1..=40)
            .map(|no| {
                serde_json::json!({"name": format!("late.O{no}.payment.capture.1"), "link": "calls", "ops": ["payment.capture"], "do": "delay",
                "delay": format!("{no}m"), "order": no, "nth": 1})
            })
            .collect();
        let file: ScenarioFile = serde_json::from_value(serde_json::json!({
            "name": "T", "title": "t", "luck": "X.base.delay.web.40", "matrix": {"stock": "fixed"}, "stock": {"A@DC1": 100, "B@DC1": 50},
            "order": {"lines": [{"sku": "A", "qty": 3, "discount": 5}, {"sku": "B", "qty": 1}], "tax_bp": 700}, "place": place, "fault": fault,
        }))
        .unwrap();
        Plan::of(file)
    }

    fn reduce(runs: u32, stop_at: u32) -> Shrunk {
        shrink(plan(), failure(), Budget { runs, idle: runs }, &mut Contention { runs: 0, stop_at })
    }

    #[test]
    fn only_what_is_needed_is_left() {
        let shrunk = reduce(1_000, 1_000);
        let file = shrunk.plan.file();
        let text = file.to_toml();
        assert_eq!(shrunk.why, Why::Minimal, "{text}");
        assert_eq!(shrunk.plan.size(), Size { orders: 2, faults: 1, steps: 0, units: 1 }, "{text}");
        assert_eq!((file.order.lines.len(), file.order.lines[0].qty, file.order.tax_bp, file.luck.is_none()), (1, 1, 0, true), "{text}");
    }

    #[test]
    fn a_used_up_budget_and_a_stop_are_said_and_leave_what_was_found() {
        for (runs, stop_at, why) in [(60, 1_000, Why::Budget), (1_000, 60, Why::Stopped)] {
            let shrunk = reduce(runs, stop_at);
            assert_eq!((shrunk.why, shrunk.runs), (why, 60));
            assert!(shrunk.plan.size().orders < 40 && Contention { runs: 0, stop_at: 9 }.fails(&shrunk.plan).is_some());
        }
    }
}
