//! Entries a second through the judges: each alone, and all together; and how that grows with the length of the history. What the
//! judges hold is counted too: it must follow what is open, not what has been.
//!
//! Entries are made by a simulation and handed over in batches; only the judges' own time and memory count. One core.
//!
//! `cargo bench --bench judges` ; `cargo bench --bench judges -- 1000000` for another greatest length.

use cap::Cap;
use mimalloc::MiMalloc;
use orderstorm::check::{Judgement, Suite, Verdict};
use orderstorm::history::{Entry, Header, Observer};
use orderstorm::run::Stop;
use orderstorm::run::execute::{self, Conditions, Setup};
use orderstorm::scenario::{Case, Library, LoadProfile, Selection, expand};
use orderstorm::sim::{Seed, Span, Stopwatch, VirtualClock};
use orderstorm::workload;

#[global_allocator]
static ALLOCATED: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

/// Entries of one batch: enough that the judges work as they do over a stored history, with the simulator's data out of the cache.
const BATCH: usize = 65_536;
const BOOKS: &str = "(the books)";
/// Entries of an order, roughly: how many orders make a history of a given length.
const ENTRIES_AN_ORDER: u64 = 70;

/// One suite, with the time it took and what it holds.
struct Timed {
    suite: Suite,
    seconds: f64,
    held: i64,
    most: i64,
}

impl Timed {
    fn new(suite: Suite) -> Timed {
        Timed { suite, seconds: 0.0, held: 0, most: 0 }
    }
    fn take(&mut self, batch: &[Entry]) {
        let before = ALLOCATED.allocated() as i64;
        let watch = Stopwatch::start();
        batch.iter().for_each(|entry| self.suite.observe(entry));
        self.seconds += watch.seconds();
        self.held += ALLOCATED.allocated() as i64 - before;
        self.most = self.most.max(self.held);
    }
    fn finish(self) -> (f64, i64, Judgement) {
        let watch = Stopwatch::start();
        let judgement = self.suite.finish(true);
        (self.seconds + watch.seconds(), self.most, judgement)
    }
}

struct Batches<'a> {
    batch: Vec<Entry>,
    suites: &'a mut [Timed],
}

impl Batches<'_> {
    fn flush(&mut self) {
        for timed in self.suites.iter_mut() {
            timed.take(&self.batch);
        }
        self.batch.clear();
    }
}

impl Observer for Batches<'_> {
    fn observe(&mut self, entry: &Entry) {
        self.batch.push(entry.clone());
        if self.batch.len() == BATCH {
            self.flush();
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let longest: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10_000_000);
    println!("All judges, by length of the history (one core). An order is open until nothing was heard of it for 40 days, so `held`, the most");
    println!("that the judges held at a time, grows until the history is longer than that.");
    let gaps = [Span::from_mins(60), Span::from_mins(1)];
    let lengths = std::iter::successors(Some(100_000), |length| Some(length * 10)).take_while(|length| *length <= longest);
    let columns = ["an order every", "entries", "seconds", "entries/s", "ns/entry", "held MiB", "verdict"];
    println!("{:>15} {:>12} {:>10} {:>12} {:>12} {:>10} {:>8}", columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6]);
    // a process that has just begun waits for its memory: not what is measured here
    let (case, header, part) = history(100_000, gaps[0])?;
    run(&case, &part, &mut [Timed::new(Suite::new(header, case.scenario.expect.clone()))]);
    for (gap, length) in gaps.into_iter().flat_map(|gap| lengths.clone().map(move |length| (gap, length))) {
        let (case, header, part) = history(length, gap)?;
        let mut suites = [Timed::new(Suite::new(header, case.scenario.expect.clone()))];
        let entries = run(&case, &part, &mut suites);
        let [timed] = suites;
        let (seconds, held, judgement) = timed.finish();
        assert!(judgement.verdict == Verdict::Pass, "the correct reference must pass: {:?}", judgement.findings);
        let (rate, each) = (entries as f64 / seconds, seconds * 1e9 / entries as f64);
        let held = held as f64 / (1 << 20) as f64;
        let gap = gap.to_string();
        println!("{gap:>15} {entries:>12} {seconds:>10.2} {rate:>12.0} {each:>12.0} {held:>10.1} {:>8}", judgement.verdict.name());
    }
    let length = longest.min(300_000);
    println!("\nEach judge alone over {length} entries, one after another, less the books that all of them read");
    println!("{:<24} {:>10} {:>14} {:>12} {:>12}", "judge", "ns/entry", "entries/s", "bytes/order", "judged");
    let (case, header, part) = history(length, Span::from_mins(1))?;
    let mut entries: Vec<Entry> = Vec::new();
    execute::simulate(&setup(), &case, &part, &mut VirtualClock::new(), &Stop::new(), &mut entries);
    let (mut books, mut of_books) = (0.0, 0);
    for name in std::iter::once(None).chain(Suite::judges(&header).into_iter().map(Some)) {
        // the least of three: what a busy machine adds is not the judge's
        let once = || {
            let mut timed = Timed::new(Suite::only(header.clone(), case.scenario.expect.clone(), name));
            timed.take(&entries);
            timed.finish()
        };
        let (mut seconds, most, judgement) = once();
        for _ in 0..2 {
            seconds = seconds.min(once().0);
        }
        if name.is_none() {
            (books, of_books) = (seconds, most);
        }
        let own = if name.is_none() { seconds } else { (seconds - books).max(0.0) };
        let each = own * 1e9 / entries.len() as f64;
        let rate = if each < 1.0 { "-".to_string() } else { format!("{:.0}", 1e9 / each) };
        let name = name.unwrap_or(BOOKS);
        let judged = judgement.results.iter().find(|result| result.name == name).map_or(0, |result| result.activations);
        let held = (if name == BOOKS { most } else { most - of_books }) / judgement.orders.max(1) as i64;
        println!("{name:<24} {each:>10.1} {rate:>14} {held:>12} {judged:>12}");
    }
    Ok(())
}

/// Orders of which each is returned in part, as one history of about `entries`.
fn history(entries: u64, gap: Span) -> Result<(Case, Header, workload::Partition), Box<dyn std::error::Error>> {
    let mut library = Library::shipped()?;
    let scenarios = library.scenarios(&["S07.base".to_string()])?;
    let faults = library.fault_sets(&["none".to_string()])?;
    let orders = (entries / ENTRIES_AN_ORDER) as u32;
    let profile = LoadProfile::poisson("bench", gap, orders);
    let selection = Selection { profile: Some(profile), seed: Seed(1), ..Selection::default() };
    let case = expand(&scenarios, &faults, &selection).cases.swap_remove(0);
    let part = workload::whole(&case);
    let header = execute::header(&setup(), &case, &part);
    Ok((case, header, part))
}

fn setup() -> Setup {
    Setup { seed: 1, target: "embedded".into(), defect: None, conditions: Conditions::default(), arguments: String::new() }
}

fn run(case: &Case, part: &workload::Partition, suites: &mut [Timed]) -> u64 {
    let mut batches = Batches { batch: Vec::with_capacity(BATCH), suites };
    let ran = execute::simulate(&setup(), case, part, &mut VirtualClock::new(), &Stop::new(), &mut batches);
    batches.flush();
    ran.entries
}
