//! One event loop for both clocks.

use orderstorm::engine::{Engine, LINK};
use orderstorm::history::{Entry, Kind};
use orderstorm::model::{Code, Id, NodeId, Op, OrderNo, SkuId};
use orderstorm::reference::Settings;
use orderstorm::run::Stop;
use orderstorm::run::execute::{Conditions, Setup, simulate, storm};
use orderstorm::scenario::{Case, Library, LoadProfile, Selection, expand};
use orderstorm::sim::{Clock, Seed, Span, Timestamp, VirtualClock, WallClock};
use orderstorm::target::{Embedded, Inbound, Look, Outbound, ServiceModel, Target};
use orderstorm::workload::{partition, whole};
use orderstorm::world::World;

/// Virtual seconds in a real one: years pass in a blink, so that no wait is noticed.
const SCALE: f64 = 1e12;

fn cases(pattern: &str) -> Vec<Case> {
    let mut library = Library::shipped().expect("what is shipped is right");
    let (scenarios, faults) = (library.scenarios(&[]).expect("all"), library.fault_sets(&["all".into()]).expect("all"));
    let cases = vec![glob::Pattern::new(pattern).expect("a pattern")];
    expand(&scenarios, &faults, &Selection { seed: Seed(1), seeds: 1, cases, ..Selection::default() }).cases
}

fn played(case: &Case, clock: &mut dyn Clock) -> Vec<Entry> {
    let setup = Setup { seed: 1, target: "embedded".into(), defect: None, conditions: Conditions::default(), arguments: String::new() };
    let mut entries: Vec<Entry> = Vec::new();
    let ran = simulate(&setup, case, &partition(case, 0), clock, &Stop::new(), &mut entries);
    assert_eq!(ran.entries, entries.len() as u64);
    assert!(!ran.stopped);
    entries
}

#[test]
fn a_case_in_real_time_leaves_the_entries_of_virtual_time() {
    for pattern in ["S01.base.none.*", "S02.base.reorder.*", "S05.fifo.outage-503.*"] {
        let mut some = false;
        for case in cases(pattern).iter().filter(|case| case.not_applicable.is_none()) {
            let (virtually, really) = (played(case, &mut VirtualClock::new()), played(case, &mut WallClock::new(SCALE)));
            assert_eq!(virtually.len(), really.len(), "{}", case.name);
            if let Some((one, other)) = virtually.iter().zip(&really).find(|(one, other)| one != other) {
                panic!("{} differs first at entry {}\n{one:?}\n{other:?}", case.name, one.n);
            }
            let last = virtually.last().expect("entries");
            assert_eq!((last.kind, last.msg.op), (Kind::Mark, Op::MarkRest));
            some = true;
        }
        assert!(some, "no case matches {pattern}");
    }
}

/// The embedded reference, as if it lived elsewhere.
struct Elsewhere(Embedded);

impl Target for Elsewhere {
    fn is_live(&self) -> bool {
        true
    }
    fn deliver(&mut self, now: Timestamp, inbound: Inbound, out: &mut Vec<Outbound>) {
        self.0.deliver(now, inbound, out);
    }
    fn next_due(&mut self) -> Timestamp {
        self.0.next_due()
    }
    fn poll(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        self.0.poll(now, out);
    }
    fn acknowledged(&mut self, now: Timestamp, event: Id) {
        self.0.acknowledged(now, event);
    }
    fn refused(&mut self, now: Timestamp, event: Id) {
        self.0.refused(now, event);
    }
    fn crash(&mut self) {
        self.0.crash();
    }
    fn restart(&mut self, now: Timestamp, out: &mut Vec<Outbound>) {
        self.0.restart(now, out);
    }
    fn order_state(&mut self, order: OrderNo) -> Look<(Code, i32, i64)> {
        self.0.order_state(order)
    }
    fn inventory(&mut self, node: NodeId, sku: SkuId, at_rest: bool) -> Look<(i64, i64)> {
        self.0.inventory(node, sku, at_rest)
    }
}

/// When orders of a busy stream were due and when they left, with a clock that is never late.
fn departures(coalesce: Span) -> Vec<(Timestamp, Timestamp)> {
    const ORDERS: u32 = 200;
    let mut library = Library::shipped().expect("what is shipped is right");
    let (scenarios, faults) =
        (library.scenarios(&["S07.base".into()]).expect("it is there"), library.fault_sets(&["none".into()]).expect("it is there"));
    let profile = Some(LoadProfile::poisson("busy", Span::from_millis(20), ORDERS));
    let case = expand(&scenarios, &faults, &Selection { profile, seed: Seed(1), ..Selection::default() }).cases.swap_remove(0);
    let mut part = whole(&case);
    part.plan.probes = None;
    let (world, opening) = World::new(&part.plan);
    let mut target = Elsewhere(Embedded::new(part.plan.estate.clone(), Settings::default(), ServiceModel::default(), None, part.seed));
    let (mut entries, stop): (Vec<Entry>, Stop) = (Vec::new(), Stop::new());
    let engine = Engine {
        world,
        opening,
        storm: storm(&case, &part),
        target: &mut target,
        clock: &mut VirtualClock::new(),
        arrivals: Box::new(part.orders()),
        seed: part.seed,
        calm: part.calm,
        horizon: part.horizon,
        stop: stop.flag(),
        link: LINK,
        coalesce,
    };
    engine.run(&mut entries);
    let placed = entries.iter().filter(|entry| entry.kind == Kind::Sent && entry.msg.op == Op::PlaceOrder).map(|entry| (entry.due, entry.at));
    let placed: Vec<_> = placed.collect();
    assert_eq!(placed.len(), ORDERS as usize);
    placed
}

#[test]
fn what_is_due_within_a_quantum_leaves_at_its_end_and_no_later() {
    let exact = departures(Span::ZERO);
    assert!(exact.iter().all(|(due, at)| due == at));
    for quantum in [Span(50_000), Span::from_millis(1), Span::from_millis(10)] {
        let together = departures(quantum);
        assert!(together.iter().zip(&exact).all(|((due, _), (other, _))| due == other), "the schedule is the same");
        for (due, at) in &together {
            assert!(at.0 % quantum.0 == 0 && at >= due && at.since(*due) < quantum, "due at {due}, left at {at}, together within {quantum}");
        }
    }
}
