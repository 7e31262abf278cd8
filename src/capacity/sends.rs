//! Was it the generator that was late? Latency counts from when an order was due, so what a starved generator loses is told as the target's, unless
//! somebody looks at when the orders were really sent.

use super::Objective;
use crate::sim::Span;

/// Sent later than this share of what an objective allows, an order was not sent in time.
const SHARE: u64 = 10;
/// The same where nobody names an objective: that share of the usual one, 250 ms.
const USUAL: Span = Span::from_millis(25);

/// How a generator kept its times in one trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sends {
    limit: Span,
    orders: u64,
    late: u64,
    worst: Span,
}

impl Sends {
    pub fn within(objective: &Objective) -> Sends {
        Sends { limit: Span(objective.within.0 / SHARE), orders: 0, late: 0, worst: Span::ZERO }
    }

    /// An order was sent so long after it was due.
    pub fn add(&mut self, lag: Span) {
        self.orders += 1;
        self.late += u64::from(lag > self.limit);
        self.worst = self.worst.max(lag);
    }

    pub fn orders(&self) -> u64 {
        self.orders
    }

    /// Why nothing that is bad can be laid at the target's door, if it cannot: more orders were sent late than may be answered late.
    pub fn spoilt(&self, objective: &Objective) -> Option<String> {
        let share = self.late as f64 / self.orders.max(1) as f64;
        (share > 1.0 - objective.quantile).then(|| {
            format!(
                "the harness was the bottleneck: it sent {:.1} % of the orders more than {} after they were due, the worst {}",
                share * 100.0,
                self.limit,
                self.worst
            )
        })
    }
}

/// What a run tells of its generator and of its target.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Lags {
    /// how late the latest order was sent, and how late it may be
    pub worst: Span,
    pub most: Span,
    /// 99th percentiles of how late orders were sent, and of the time to an answer from when they were due; none where too few were sent
    pub sent: Option<Span>,
    pub answered: Option<Span>,
    /// 99th percentile of how late the network heard what it said to itself; none where nobody listened
    pub heard: Option<Span>,
}

/// Why a run says nothing of its target, if it does not: an order was sent later than any may be, or orders were sent late, or answers heard late, by more
/// than a tenth of what is told as the target's time.
pub fn bottleneck(lags: &Lags) -> Option<String> {
    let Lags { worst, most, sent, answered, heard } = *lags;
    if worst > most {
        return Some(format!("the harness was the bottleneck: it sent up to {worst} later than it meant to, more than {most}"));
    }
    let answered = answered?;
    let counts = |late: &Span| *late > USUAL && late.0 > answered.0 / SHARE;
    let sent = sent.filter(counts).map(|sent| format!("one order in a hundred was sent more than {sent} after it was due"));
    let heard = || heard.filter(counts).map(|heard| format!("one message in a hundred that it sent to itself was heard more than {heard} late"));
    sent.or_else(heard).map(|why| format!("the harness was the bottleneck: {why}, of {answered} until an order was answered"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Objective = Objective { quantile: 0.99, within: Span::from_millis(250), errors: 0.001 };

    fn sends(lags_ms: impl Iterator<Item = u64>) -> Option<String> {
        let mut sends = Sends::within(&OBJECTIVE);
        lags_ms.for_each(|lag| sends.add(Span::from_millis(lag)));
        sends.spoilt(&OBJECTIVE)
    }

    #[test]
    fn a_busy_machine_is_no_starved_one() {
        // a few milliseconds each, and now and then a long wait for the processor: of 10,000 one hundred may be late
        assert_eq!(sends((0..10_000).map(|n| if n % 100 == 0 { 400 } else { n % 20 })), None);
        // as late as that share of the objective, and no later
        assert_eq!(sends((0..10_000).map(|_| 25)), None);
        assert_eq!(sends(std::iter::empty()), None);
    }

    #[test]
    fn a_starved_one_says_nothing_of_its_target() {
        // it never gets its turn in time
        let why = sends((0..10_000).map(|n| 30 + n % 50)).unwrap();
        assert!(why.contains("100.0 % of the orders more than 25ms") && why.contains("worst 79ms"), "{why}");
        // it stood still for one second in sixty, and sent what was due in it afterwards
        assert!(sends((0..60_000u64).map(|n| 1_000u64.saturating_sub(n))).is_some());
    }

    fn told(worst: u64, sent: u64, answered: u64) -> Option<String> {
        let ms = Span::from_millis;
        bottleneck(&Lags { worst: ms(worst), most: ms(2_000), sent: Some(ms(sent)), answered: Some(ms(answered)), heard: None })
    }

    #[test]
    fn a_target_that_stood_still_is_slow_and_a_starved_harness_is_unknown() {
        // a stall of a second: who was due waited for the target
        assert_eq!(told(40, 12, 940), None);
        // the harness is busy, too: most of the time is still the target's
        assert_eq!(told(500, 30, 400), None);
        // nothing was late that anybody would notice
        assert_eq!(told(60, 20, 21), None);
        // as seen with a seventh of one core: the answers were heard late, and the target was idle
        assert!(told(186, 165, 891).is_some());
        // all that was slow was ourselves
        assert!(told(500, 300, 310).is_some_and(|why| why.contains("more than 300ms after it was due, of 310ms until")));
        assert!(told(2_100, 3, 900).is_some_and(|why| why.contains("up to 2s 100ms later")));
        // as seen with a twelfth of one core: it sent in time, nearly, and heard an idle target late
        assert_eq!(told(194, 186, 2_270), None);
        let starved = |heard: u64, answered: u64| {
            let (heard, answered) = (Some(Span::from_millis(heard)), Some(Span::from_millis(answered)));
            bottleneck(&Lags { worst: Span::from_millis(194), most: Span::from_secs(2), sent: Some(Span::from_millis(186)), answered, heard })
        };
        assert!(starved(900, 2_270).is_some_and(|why| why.contains("was heard more than 900ms late, of 2s 270ms until an order was answered")));
        assert_eq!(starved(100, 2_270), None);
        // with few orders there is no percentile, and only the worst can tell
        let few = Lags { worst: Span::from_millis(500), most: Span::from_secs(2), ..Lags::default() };
        assert_eq!(bottleneck(&few), None);
        assert!(bottleneck(&Lags { worst: Span::from_secs(3), ..few }).is_some());
    }
}
