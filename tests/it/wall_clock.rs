//! One event loop for both clocks.

use orderstorm::history::{Entry, Kind};
use orderstorm::model::Op;
use orderstorm::run::Stop;
use orderstorm::run::execute::{Conditions, Setup, simulate};
use orderstorm::scenario::{Case, Library, Selection, expand};
use orderstorm::sim::{Clock, Seed, VirtualClock, WallClock};
use orderstorm::workload::partition;

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
