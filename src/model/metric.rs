//! What can be measured, by name: `latency.ack.p99`, `orders.failed`, `requests.failed.share`.

use std::fmt;

/// The stages of an order's way that are timed, each from its start to its end as the harness saw them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// intended time of the order to its first sending: how late the harness itself was. In virtual time it never is
    SendLag,
    /// intended time of the order to the first definite answer
    Ack,
    /// actual sending of the attempt that was answered to its answer
    AckService,
    OrderToAccept,
    OrderToAllocate,
    OrderToRelease,
    /// to the first units that left, were handed over or stood ready for pickup
    OrderToShip,
    OrderToComplete,
    /// a node takes a fulfillment on, until it leaves
    ReleaseToShip,
    /// the request for a return, until its refund stands in the payment books
    ReturnToRefund,
}

impl Stage {
    /// It is counted from when the order was due, and so holds what the harness sent it late.
    pub fn counts_from_due(self) -> bool {
        !matches!(self, Stage::SendLag | Stage::AckService | Stage::ReleaseToShip | Stage::ReturnToRefund)
    }

    pub const ALL: [Stage; 10] = [
        Stage::SendLag,
        Stage::Ack,
        Stage::AckService,
        Stage::OrderToAccept,
        Stage::OrderToAllocate,
        Stage::OrderToRelease,
        Stage::OrderToShip,
        Stage::OrderToComplete,
        Stage::ReleaseToShip,
        Stage::ReturnToRefund,
    ];

    /// The key in `Measures::latency`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::SendLag => "send_lag",
            Stage::Ack => "ack",
            Stage::AckService => "ack_service",
            Stage::OrderToAccept => "order_to_accept",
            Stage::OrderToAllocate => "order_to_allocate",
            Stage::OrderToRelease => "order_to_release",
            Stage::OrderToShip => "order_to_ship",
            Stage::OrderToComplete => "order_to_complete",
            Stage::ReleaseToShip => "release_to_ship",
            Stage::ReturnToRefund => "return_to_refund",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Stage::SendLag => "due time of an order to its first sending, where that was late; in virtual time it never is",
            Stage::Ack => "due time of an order to the first definite answer",
            Stage::AckService => "sending of the attempt that was answered to its answer",
            Stage::OrderToAccept => "due time to the event that the order is accepted",
            Stage::OrderToAllocate => "due time to the event of the first allocation",
            Stage::OrderToRelease => {
                "due time to the first release, as its node or its event shows it: it may be there before the allocation is heard"
            }
            Stage::OrderToShip => "due time to the first units that left or stood ready for pickup",
            Stage::OrderToComplete => "due time to the event that the order is completed",
            Stage::ReleaseToShip => "a node takes a fulfillment on, until it leaves",
            Stage::ReturnToRefund => "request for a return, until its refund stands in the payment books",
        }
    }
}

/// What is made of the latencies of a stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    Count,
    Min,
    Mean,
    Max,
    /// in thousandths of a per cent: 99,900 is p99.9
    Quantile(u32),
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    Placed,
    Acked,
    Completed,
    Cancelled,
    Rejected,
    Exceptions,
    Failed,
    Split,
    Requests,
    RequestsRejected,
    RequestsFailed,
    StockWrong,
    Tickets,
}

impl Counter {
    /// Of answers to whatever was sent, and not of orders.
    pub fn is_of_requests(self) -> bool {
        matches!(self, Counter::Requests | Counter::RequestsRejected | Counter::RequestsFailed)
    }
}

/// One figure of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    Latency(Stage, Aggregate),
    Count(Counter),
    /// of what the counter can be at most
    Share(Counter),
    /// a second
    Rate(Counter),
}

/// What a figure is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Seconds,
    Count,
    Share,
    PerSecond,
    /// a plain number
    Number,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Count => "count",
            Unit::Share => "share",
            Unit::PerSecond => "per_s",
            Unit::Number => "number",
        }
    }
}

/// How a figure moves while a run goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moves {
    Up,
    Down,
    Freely,
}

/// Figures that are not latencies, by name.
const COUNTED: [(&str, Metric, &str); 21] = [
    ("orders.placed", Metric::Count(Counter::Placed), "orders that were sent"),
    ("orders.placed.rate", Metric::Rate(Counter::Placed), "orders a second, over the time in which orders were due: the rate offered"),
    ("orders.acked", Metric::Count(Counter::Acked), "orders with a definite answer"),
    (
        "orders.acked.rate",
        Metric::Rate(Counter::Acked),
        "such answers a second, from the first due time to the last due time or answer: the rate served",
    ),
    ("orders.acked.share", Metric::Share(Counter::Acked), "orders with a definite answer, of those placed"),
    ("orders.completed", Metric::Count(Counter::Completed), "orders that the target announced as completed"),
    ("orders.completed.share", Metric::Share(Counter::Completed), "the same, of those placed"),
    ("orders.cancelled", Metric::Count(Counter::Cancelled), "orders that ended as cancelled, by whomever"),
    ("orders.cancelled.share", Metric::Share(Counter::Cancelled), "the same, of those placed"),
    ("orders.rejected", Metric::Count(Counter::Rejected), "orders that the target turned down"),
    ("orders.rejected.share", Metric::Share(Counter::Rejected), "the same, of those placed"),
    ("orders.exceptions", Metric::Count(Counter::Exceptions), "orders that waited for a person"),
    ("orders.exceptions.share", Metric::Share(Counter::Exceptions), "the same, of those placed"),
    ("orders.failed", Metric::Count(Counter::Failed), "orders that never came to an end; known at the end"),
    ("orders.failed.share", Metric::Share(Counter::Failed), "the same, of those placed; known at the end"),
    ("orders.split.share", Metric::Share(Counter::Split), "orders in more than one parcel, of those with a parcel; known at the end"),
    ("requests.answered", Metric::Count(Counter::Requests), "messages to the target that were answered, failed or given up"),
    ("requests.rejected.share", Metric::Share(Counter::RequestsRejected), "messages that the target refused for what they say"),
    ("requests.failed", Metric::Count(Counter::RequestsFailed), "messages refused, held off, timed out or answered by an error"),
    ("requests.failed.share", Metric::Share(Counter::RequestsFailed), "the same, of all: the error share"),
    ("stock.mismatch.share", Metric::Share(Counter::StockWrong), "shelves of which the target says another number, at rest"),
];
const TICKETS: (&str, Metric, &str) =
    ("tickets.per_100", Metric::Count(Counter::Tickets), "expected support tickets per 100 orders, with assumed weights; known at the end");

/// What can be asked of latencies, as a list of names shows it.
const AGGREGATES: [(&str, Aggregate); 10] = [
    ("p50", Aggregate::Quantile(50_000)),
    ("p90", Aggregate::Quantile(90_000)),
    ("p95", Aggregate::Quantile(95_000)),
    ("p99", Aggregate::Quantile(99_000)),
    ("p99.9", Aggregate::Quantile(99_900)),
    ("p99.99", Aggregate::Quantile(99_990)),
    ("min", Aggregate::Min),
    ("mean", Aggregate::Mean),
    ("max", Aggregate::Max),
    ("count", Aggregate::Count),
];

/// What other tools call something that has another name here.
const ELSEWHERE: [(&str, &str); 6] = [
    ("http_req_duration", "latency.ack"),
    ("http_req_failed", "requests.failed.share"),
    ("http_reqs", "requests.answered"),
    ("errors", "requests.failed.share"),
    ("error_rate", "requests.failed.share"),
    ("iterations", "orders.placed"),
];

impl Metric {
    /// Every figure with a name of its own, and what it is; a latency may have any quantile besides.
    pub fn all() -> Vec<(String, String)> {
        let counted = COUNTED.iter().chain([&TICKETS]).map(|(name, _, about)| (name.to_string(), about.to_string()));
        let latencies = Stage::ALL
            .into_iter()
            .flat_map(|stage| AGGREGATES.iter().map(move |(name, _)| (format!("latency.{}.{name}", stage.name()), stage.about().to_string())));
        latencies.chain(counted).collect()
    }

    /// A figure by its name, or what is wrong with that and what to do.
    pub fn parse(text: &str) -> Result<Metric, (String, String)> {
        if let Some((_, metric, _)) = COUNTED.iter().chain([&TICKETS]).find(|(name, ..)| *name == text) {
            return Ok(*metric);
        }
        let of_latency = text.strip_prefix("latency.").and_then(|rest| rest.split_once('.'));
        if let Some((stage, aggregate)) = of_latency
            && let Some(stage) = Stage::ALL.into_iter().find(|known| known.name() == stage)
        {
            return aggregate_of(aggregate).map(|aggregate| Metric::Latency(stage, aggregate)).ok_or_else(|| {
                let meant = match aggregate {
                    "avg" | "average" => Some("mean".to_string()),
                    "med" | "median" => Some("p50".into()),
                    "p999" => Some("p99.9".into()),
                    "p9999" => Some("p99.99".into()),
                    other => other.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')')).map(|digits| format!("p{digits}")),
                };
                let hint = meant.filter(|meant| aggregate_of(meant).is_some()).map_or(String::new(), |meant| format!("did you mean `{meant}`? "));
                let help = format!("{hint}there are count, min, mean, max, and quantiles such as p50, p99 or p99.9");
                (format!("`latency.{}` has no `{aggregate}`", stage.name()), help)
            });
        }
        let all = Metric::all();
        let likeness = |name: &str| strsim::jaro_winkler(name, text);
        let nearest = all.iter().map(|(name, _)| name.as_str()).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == text).map(|(_, name)| *name);
        let hint =
            elsewhere.or_else(|| nearest.filter(|name| likeness(name) > 0.75)).map_or(String::new(), |name| format!("did you mean `{name}`? "));
        Err((format!("there is no metric named `{text}`"), format!("{hint}`orderstorm list metrics` shows all")))
    }

    pub fn unit(self) -> Unit {
        match self {
            Metric::Latency(_, Aggregate::Count) => Unit::Count,
            Metric::Latency(..) => Unit::Seconds,
            Metric::Count(Counter::Tickets) => Unit::Number,
            Metric::Count(_) => Unit::Count,
            Metric::Share(_) => Unit::Share,
            Metric::Rate(_) => Unit::PerSecond,
        }
    }

    /// Only where all has come to rest it can be said.
    pub fn is_known_at_the_end(self) -> bool {
        use Counter::{Failed, Split, StockWrong, Tickets};
        matches!(self, Metric::Count(c) | Metric::Share(c) | Metric::Rate(c) if matches!(c, Failed | Split | StockWrong | Tickets))
    }

    /// It can be said of the orders that were due in a part of the run. A return comes when its order is long forgotten, and stock is of no time.
    pub fn has_phases(self) -> bool {
        use Counter::{StockWrong, Tickets};
        match self {
            Metric::Latency(stage, _) => stage != Stage::ReturnToRefund,
            Metric::Count(c) | Metric::Share(c) | Metric::Rate(c) => !matches!(c, StockWrong | Tickets),
        }
    }

    pub fn moves(self) -> Moves {
        match self {
            Metric::Latency(_, Aggregate::Count | Aggregate::Max) | Metric::Count(_) => Moves::Up,
            Metric::Latency(_, Aggregate::Min) => Moves::Down,
            _ => Moves::Freely,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Metric::Latency(stage, aggregate) = self {
            return match aggregate {
                Aggregate::Quantile(q) => write!(f, "latency.{}.p{}", stage.name(), f64::from(*q) / 1000.0),
                other => {
                    let name = AGGREGATES.iter().find(|(_, known)| known == other).map_or("", |(name, _)| name);
                    write!(f, "latency.{}.{name}", stage.name())
                }
            };
        }
        f.write_str(COUNTED.iter().chain([&TICKETS]).find(|(_, metric, _)| metric == self).map_or("", |(name, ..)| name))
    }
}

fn aggregate_of(text: &str) -> Option<Aggregate> {
    if let Some((_, aggregate)) = AGGREGATES.iter().find(|(name, _)| *name == text) {
        return Some(*aggregate);
    }
    let digits = text.strip_prefix('p').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'))?;
    let percent: f64 = digits.parse().ok()?;
    let thousandths = (percent * 1000.0).round();
    // as many digits as can be told apart
    let exact = (thousandths / 1000.0 - percent).abs() < 1e-9;
    (exact && thousandths > 0.0 && thousandths < 100_000.0).then_some(Aggregate::Quantile(thousandths as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_metric_and_back() {
        for (name, about) in Metric::all() {
            let metric = Metric::parse(&name).unwrap_or_else(|(what, _)| panic!("{what}"));
            assert_eq!(metric.to_string(), name);
            assert!(!about.is_empty());
        }
        assert_eq!(Metric::parse("latency.ack.p75.5"), Ok(Metric::Latency(Stage::Ack, Aggregate::Quantile(75_500))));
    }

    #[test]
    fn who_errs_is_told_the_nearest_name() {
        let help = |text: &str| Metric::parse(text).expect_err(text).1;
        for (wrong, right) in [
            ("latency.ack.avg", "`mean`"),
            ("latency.ack.p(95)", "`p95`"),
            ("latency.ack.p999", "`p99.9`"),
            ("latency.akc.p99", "`latency.ack.p99`"),
            ("http_req_failed", "`requests.failed.share`"),
            ("orders.fialed", "`orders.failed`"),
        ] {
            assert!(help(wrong).contains(right), "{wrong}: {}", help(wrong));
        }
        assert!(!help("zzz").contains("did you mean") && help("zzz").contains("list metrics"));
        for none in ["latency.ack.p0", "latency.ack.p100", "latency.ack.p99.99999", "latency.ack", ""] {
            assert!(Metric::parse(none).is_err(), "{none}");
        }
    }
}
