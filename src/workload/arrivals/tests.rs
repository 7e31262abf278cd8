//! Each process against its theory, with a control that the same statistic must reject. Seeds are fixed, so a test passes always or never.

use super::*;
use crate::scenario::{Base, CoxFile, Flash, Stage, State};
use crate::sim::Span;
use crate::workload::plan::share;

const CASE: Seed = Seed(21);
/// Of all partitions, the seed of each.
fn own(number: u32) -> Seed {
    CASE.derive(&format!("partition {number}"))
}

fn flat(gap: f64) -> Arrival {
    Arrival { gap, ..Arrival::poisson(Span::from_secs(1)) }
}

fn times(arrival: &Arrival, orders: u32, of: u32) -> Vec<f64> {
    let shared = Arc::new(arrival.clone());
    let part =
        |number| due(&shared, CASE, own(number), Share { number, of, orders: share(orders, number, of).1, in_all: orders }).map(|at| at.0 as f64);
    let parts: Vec<Vec<f64>> = (0..of).map(|number| part(number).collect()).collect();
    let mut all = parts.concat();
    all.sort_by(f64::total_cmp);
    all
}

/// What mass of the rate has passed at each time.
fn rescaled(arrival: &Arrival, times: &[f64]) -> Vec<f64> {
    let path = Path::new(&Arc::new(arrival.clone()), CASE);
    let mut path = if arrival.duration.is_some() { path.ending().0 } else { path };
    let (mut now, mut before) = (path.next().unwrap(), 0.0);
    let mass = |now: Segment, at: f64| Segment { until: at, law: cut(&now, at), ..now }.mass();
    let one = |at: &f64| {
        while *at > now.until {
            before += now.mass();
            now = path.next().unwrap();
        }
        before + mass(now, *at)
    };
    times.iter().map(one).collect()
}

/// Kolmogorov's distance of gaps, divided by their mean, from an exponential law, times the root of how many there are. 1.63 is passed once
/// in a hundred times.
fn ks(at: &[f64]) -> f64 {
    let mut gaps: Vec<f64> = std::iter::once(at[0]).chain(at.windows(2).map(|pair| pair[1] - pair[0])).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let off = |(i, gap): (usize, &f64)| {
        let law = 1.0 - (-gap / mean).exp();
        (law - i as f64 / n).abs().max((law - (i + 1) as f64 / n).abs())
    };
    gaps.iter().enumerate().map(off).fold(0.0, f64::max) * n.sqrt()
}

/// Variance to mean of the counts in windows of this width.
fn idc(times: &[f64], width: f64) -> f64 {
    let windows = (times.last().unwrap() / width) as usize;
    let mut counts = vec![0.0; windows];
    times.iter().filter(|at| **at < windows as f64 * width).for_each(|at| counts[(at / width) as usize] += 1.0);
    let mean = counts.iter().sum::<f64>() / windows as f64;
    counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / windows as f64 / mean
}

fn shapes() -> Vec<(&'static str, Arrival)> {
    let flash = Flash { at: Span::from_mins(10), rise: Span::from_secs(26), peak: 36.0, exponent: 0.383, floor: 0.55 };
    let stage = |minutes, to| Stage { lasts: Span::from_mins(minutes), to };
    let hours = [0.3, 0.2, 0.1, 0.4, 1.0, 2.0, 1.9, 1.5];
    let states = vec![
        State { level: 0.5, stay: Span::from_mins(40) },
        State { level: 6.0, stay: Span::from_mins(5) },
        State { level: 2.0, stay: Span::from_mins(10) },
    ];
    let fitted = Some(Span::from_hours(2));
    vec![
        ("power law", Arrival { base: Base::Flash(flash), duration: fitted, ..flat(1e9) }),
        (
            "ramps",
            Arrival {
                base: Base::Stages(vec![stage(10, 3.0), stage(0, 8.0), stage(30, 1.0), stage(20, 0.0)]),
                duration: Some(Span::from_hours(1)),
                ..flat(1e9)
            },
        ),
        ("slots", Arrival { slots: hours.to_vec(), days: vec![1.0, 2.0], ..flat(2e9) }),
        ("cox", Arrival { cox: CoxFile { day_cv: 0.3, day_ar1: 0.4, hour_cv: 0.5 }, ..flat(60e9) }),
        ("states", Arrival { states, ..flat(5e9) }),
        ("waves", {
            let wave =
                crate::scenario::Wave { at: Span::from_mins(5), orders: 900.0, law: Default::default(), scale: Span::from_hours(1), shape: 0.42 };
            Arrival { waves: vec![wave], duration: fitted, ..flat(20e9) }
        }),
    ]
}

#[test]
fn rescaled_by_the_rate_every_poisson_process_is_the_same_whole_or_in_parts() {
    for (name, arrival) in shapes() {
        for of in [1, 8] {
            let times = times(&arrival, 8_000, of);
            let right = ks(&rescaled(&arrival, &times));
            assert!(right < 1.63, "{name} in {of}: {right}");
            let wrong = ks(&times);
            assert!(wrong > 3.0, "{name} in {of}: these times are not those of one rate: {wrong}");
        }
    }
    let constant = ks(&times(&Arrival { process: Process::Constant, ..flat(1e9) }, 8_000, 8));
    assert!(constant > 20.0, "equal gaps are no exponential ones: {constant}");
}

#[test]
fn a_number_and_a_duration_keep_both() {
    for (name, arrival) in shapes() {
        let Some(duration) = arrival.duration else { continue };
        for orders in [1, 40, 8_000] {
            let times = times(&arrival, orders, 1);
            assert_eq!(times.len(), orders as usize);
            assert!(times.iter().all(|at| *at <= duration.0 as f64), "{name}");
        }
        // a half of the mass has a half of the orders: five standard deviations
        let times = times(&arrival, 8_000, 8);
        let half =
            rescaled(&arrival, &times).iter().filter(|mass| **mass < 0.5 * Path::new(&Arc::new(arrival.clone()), CASE).total().unwrap()).count();
        assert!((half as f64 - 4_000.0).abs() < 5.0 * 45.0, "{name}: {half}");
    }
}

#[test]
fn the_index_of_dispersion_of_a_poisson_process_is_one() {
    let at = times(&flat(1e9), 40_000, 1);
    let one = idc(&at, 20e9);
    assert!((one - 1.0).abs() < 0.1, "{one}");
    let rate = at.len() as f64 / at.last().unwrap() * 1e9;
    assert!((rate - 1.0).abs() < 0.02, "{rate}");
    let even = idc(&times(&Arrival { process: Process::Constant, ..flat(1e9) }, 40_000, 1), 20e9);
    assert!(even < 0.1, "{even}");
}

/// Var N / E N over a day is 1 + E N cv^2 where a day has one gamma factor.
#[test]
fn a_cox_process_is_as_dispersed_as_its_factor_says() {
    let cox = CoxFile { day_cv: 0.2, ..CoxFile::default() };
    // 500 days of 100 orders
    let arrival = Arrival { cox, ..flat(864e9) };
    let at: Vec<f64> = times(&arrival, 50_000, 4).iter().map(|at| at + modulation::MIDNIGHT).collect();
    let seen = idc(&at, modulation::DAY);
    assert!((seen - 5.0).abs() < 0.8, "{seen}");
    let plain = idc(&times(&flat(864e9), 50_000, 4), modulation::DAY);
    assert!((plain - 1.0).abs() < 0.3, "{plain}");
}

#[test]
fn days_follow_a_gamma_law_and_correlate_as_asked() {
    let factors = |cv: f64, r: f64| {
        let arrival = Arc::new(Arrival { cox: CoxFile { day_cv: cv, day_ar1: r, hour_cv: 0.0 }, ..flat(1e9) });
        let mut factors = modulation::Factors::new(&arrival, CASE);
        (0..20_000).map(|day| factors.at(f64::from(day) * modulation::DAY).0).collect::<Vec<f64>>()
    };
    let moments = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let lag = x.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / x.len() as f64 / var;
        (mean, var.sqrt() / mean, lag)
    };
    for (cv, r) in [(0.183, 0.17), (0.5, 0.8)] {
        let (mean, seen, lag) = moments(&factors(cv, r));
        assert!((mean - 1.0).abs() < 0.04 && (seen / cv - 1.0).abs() < 0.06 && (lag - r).abs() < 0.03, "{mean} {seen} {lag}");
    }
    assert!(moments(&factors(0.5, 0.0)).2.abs() < 0.03, "without correlation there is none");
}

/// For two states, left at rates q1 and q2, the index tends to 1 + 2 (l1 - l2)^2 q1 q2 / ((q1 + q2)^2 (l1 q2 + l2 q1)).
#[test]
fn a_modulated_process_is_as_dispersed_as_its_states_say() {
    let (l1, l2, q1, q2): (f64, f64, f64, f64) = (0.5, 5.0, 1.0 / 90.0, 1.0 / 10.0);
    let state = |level: f64, stay: u64| State { level, stay: Span::from_secs(stay) };
    let arrival = Arrival { states: vec![state(l1, 90), state(l2, 10)], ..flat(1e9) };
    let theory = 1.0 + 2.0 * (l1 - l2).powi(2) * q1 * q2 / ((q1 + q2).powi(2) * (l1 * q2 + l2 * q1));
    let at = times(&arrival, 400_000, 4);
    let seen = idc(&at, 1_000e9);
    assert!((seen / theory - 1.0).abs() < 0.15, "{seen} {theory}");
    let mean = at.len() as f64 / at.last().unwrap() * 1e9;
    assert!((mean / (l1 * 0.9 + l2 * 0.1) - 1.0).abs() < 0.03, "{mean}");
    assert!((idc(&times(&flat(1e9), 400_000, 4), 1_000e9) / theory - 1.0).abs() > 0.5, "a plain one is not");
}

fn hawkes(branching: f64) -> Arrival {
    Arrival { process: Process::Hawkes { branching, half_life: Span::from_secs(5) }, ..flat(1e9) }
}

/// Over long windows the index is 1 / (1 - n)^2, of the whole and of its parts together.
#[test]
fn a_hawkes_process_is_as_dispersed_as_its_branching_says() {
    for of in [1, 4] {
        let at = times(&hawkes(0.5), 400_000, of);
        let (seen, mean) = (idc(&at, 500e9), at.len() as f64 / at.last().unwrap() * 1e9);
        assert!((seen / 4.0 - 1.0).abs() < 0.15 && (mean - 1.0).abs() < 0.02, "in {of}: {seen} {mean}");
        let none = idc(&times(&hawkes(0.0), 100_000, of), 500e9);
        assert!((none - 1.0).abs() < 0.25, "in {of}: {none}");
    }
}

/// Where a part ends before the others, the load tapers off; and a duration is over when it is over.
#[test]
fn the_parts_of_a_hawkes_process_end_together() {
    let lasting = Arrival { duration: Some(Span::from_secs(1_200)), ..hawkes(0.6) };
    for (arrival, seconds) in [(hawkes(0.6), 24_000.0), (lasting, 1_200.0)] {
        let at = times(&arrival, 24_000, 24);
        let (last, fifth) = (at[at.len() - 1], at[at.len() - 1] / 5.0);
        assert!((last / 1e9 / seconds - 1.0).abs() < if arrival.duration.is_some() { 0.005 } else { 0.1 }, "{last}");
        let of = |n: usize| at.iter().filter(|at| (**at / fifth) as usize == n).count() as f64 / at.len() as f64 * 5.0;
        assert!((1..5).all(|n| (of(n) - 1.0).abs() < 0.12), "{:?}", (0..5).map(of).collect::<Vec<f64>>());
    }
}

/// Gaps measured by the intensity that the events themselves make are exponential.
#[test]
fn rescaled_by_its_own_intensity_a_hawkes_process_is_poisson() {
    let at = times(&hawkes(0.6), 20_000, 1);
    let decay = std::f64::consts::LN_2 / 5e9;
    let by = |branching: f64| {
        let (mut excess, mut last, mut mass) = (branching * 1e-9, 0.0, 0.0);
        let one = |at: &f64| {
            let gap = at - last;
            mass += (1.0 - branching) * 1e-9 * gap + excess * (1.0 - (-decay * gap).exp()) / decay;
            excess = excess * (-decay * gap).exp() + branching * decay;
            last = *at;
            mass
        };
        at.iter().map(one).collect::<Vec<f64>>()
    };
    let (right, wrong) = (ks(&by(0.6)), ks(&by(0.0)));
    assert!(right < 1.63 && wrong > 3.0, "{right} {wrong}");
}

#[test]
fn batches_have_their_size_and_are_dealt_out_whole() {
    let minutes = Span::from_mins;
    let process = Process::Batch { every: minutes(15), jitter: Span::from_secs(30), size: 50.0, sigma: 0.5, within: Span::from_secs(10) };
    let arrival = Arrival { process, ..flat(1e9) };
    let whole = times(&arrival, 40_000, 1);
    assert_eq!(whole, times(&arrival, 40_000, 8), "parts together are the whole, to the nanosecond");
    let batches = whole.windows(2).filter(|pair| pair[1] - pair[0] > 60e9).count() + 1;
    let mean = 40_000.0 / batches as f64 / (50.0 * (0.125f64).exp());
    assert!((mean - 1.0).abs() < 0.08, "{mean}");
    let offs = whole.iter().map(|at| at % minutes(15).0 as f64);
    assert!(offs.clone().all(|off| off < 70.1e9) && offs.filter(|off| *off > 30e9).count() > 5_000);
    let lasting = |duration, orders, parts| times(&Arrival { duration: Some(duration), ..arrival.clone() }, orders, parts);
    let last = lasting(Span::from_days(1), 960, 1).last().unwrap() / modulation::DAY;
    assert!((0.5..1.0).contains(&last), "fewer orders are smaller batches, not fewer: {last}");
    // whatever sizes chance gave, none comes later; in less time than lies between two batches all come with one
    for orders in [1, 40, 1_200] {
        assert!(lasting(minutes(60), orders, 1).iter().all(|at| *at < minutes(60).0 as f64));
        assert!(lasting(minutes(10), orders, 1).iter().all(|at| *at < 70.1e9));
    }
    assert_eq!(lasting(minutes(60), 8_000, 1), lasting(minutes(60), 8_000, 8));
    // as many batches as are over by then
    for (duration, batches) in [(15, 1), (16, 1), (17, 2), (29, 2), (31, 2), (32, 3)] {
        let seen = lasting(minutes(duration), 600, 1).windows(2).filter(|pair| pair[1] - pair[0] > 300e9).count() + 1;
        assert_eq!(seen, batches, "{duration} min");
        assert!(lasting(minutes(duration), 600, 1).iter().all(|at| *at <= minutes(duration).0 as f64), "{duration} min");
    }
}

/// Orders that cannot be dealt out evenly are all there, and at no other time.
#[test]
fn parts_of_unequal_size_are_the_whole_together() {
    let process = Process::Replay { times: (0..3_073).map(f64::from).collect(), speed: 1.0 };
    let arrival = Arrival { process, ..flat(1e9) };
    assert_eq!(times(&arrival, 3_073, 4), times(&arrival, 3_073, 1));
    for (orders, of) in [(1, 1), (10, 4), (3_073, 4), (1_000_000, 977)] {
        let mut before = 0;
        for number in 0..of {
            let (first, part) = share(orders, number, of);
            assert_eq!(first, before, "{orders} in {of}");
            before += part;
        }
        assert_eq!(before, orders);
    }
}

#[test]
fn a_poisson_process_in_parts_does_not_taper_off() {
    let (orders, of) = (40_000, 40);
    let all = times(&flat(1e7), orders, of);
    let lasts = all.last().unwrap() - all[0];
    // 400 s: a hundred a second, to four standard deviations; did each part end in its own time, the last would end some 7 % later
    assert!((lasts / 400e9 - 1.0).abs() < 4.0 / f64::from(orders).sqrt(), "{lasts}");
    let tail = all.iter().filter(|at| **at > all.last().unwrap() - 10e9).count() as f64;
    assert!((tail - 1_000.0).abs() < 4.0 * 32.0, "{tail}");
}

#[test]
fn a_replay_keeps_its_times_at_its_speed_and_begins_anew() {
    let process = Process::Replay { times: [0.0, 1.0, 4.0].into(), speed: 2.0 };
    let arrival = Arrival { process, ..flat(1e9) };
    assert_eq!(times(&arrival, 6, 1), [0.0, 0.5e9, 2e9, 3e9, 3.5e9, 5e9]);
    assert_eq!(times(&arrival, 6, 2), times(&arrival, 6, 1));
}

#[test]
fn the_plain_ones_are_exact_and_a_longer_case_begins_like_a_shorter_one() {
    let process = |process, gap| Arc::new(Arrival { process, gap, ..flat(gap) });
    let first = |arrival: &Arc<Arrival>, seed, orders| due(arrival, CASE, Seed(seed), Share::whole(orders)).map(|at| at.0).collect::<Vec<_>>();
    assert_eq!(first(&process(Process::Constant, 7.0), 1, 3), [0, 7, 14]);
    assert_eq!(first(&process(Process::Burst, 7.0), 1, 3), [0, 0, 0]);
    assert_eq!(first(&Arc::new(Arrival::poisson(Span::ZERO)), 1, 2), [0, 0]);
    let plain = process(Process::Poisson, 1e9);
    assert_eq!(first(&plain, 1, 100), first(&plain, 1, 1000)[..100]);
    assert_ne!(first(&plain, 1, 100), first(&plain, 2, 100));
    let slow = first(&process(Process::Poisson, 1e18), 1, 1_000);
    assert!(slow.is_sorted() && *slow.last().unwrap() == LATEST, "no time is beyond what a run can reach");
}

#[test]
fn where_nothing_is_to_come_orders_come_evenly() {
    let arrival = Arrival { days: vec![0.0, 1.0], duration: Some(Span::from_hours(2)), ..flat(1e9) };
    let at = times(&arrival, 1_000, 1);
    assert!(ks(&at) < 1.63 && at.iter().all(|at| *at < 7_200e9));
}
