use super::*;
use crate::history::{Entry, Kind, Observer};
use crate::model::*;
use crate::sim::{Span, Timestamp};
use std::sync::Arc;

/// A history by hand: times in milliseconds.
#[derive(Default)]
struct Story(Vec<Entry>);

impl Story {
    fn add(&mut self, at_ms: u64, kind: Kind, msg: Message) -> &mut Entry {
        let at = Timestamp::ZERO + Span::from_millis(at_ms);
        let n = self.0.len() as u64 + 1;
        self.0.push(Entry { n, at, due: at, kind, outcome: Outcome::None, msg: msg.into() });
        self.0.last_mut().expect("just pushed")
    }
    fn place(&mut self, due_ms: u64, at_ms: u64, order: u32, id: u64) {
        let line = OrderLine { line: LineNo(1), sku: SkuId(1), qty: 2, unit_price: Money(4000), ..OrderLine::default() };
        let body = Order { lines: vec![line], shipping: Money(800), ..Order::default() };
        let msg = Message { body: Some(Arc::new(body)), ..Message::of_order(Op::PlaceOrder, Id(id), OrderNo(order)) };
        self.add(at_ms, Kind::Sent, msg).due = Timestamp::ZERO + Span::from_millis(due_ms);
    }
    fn reply(&mut self, at_ms: u64, order: u32, id: u64, outcome: Outcome) {
        self.add(at_ms, Kind::Reply, Message::of_order(Op::PlaceOrder, Id(id), OrderNo(order))).outcome = outcome;
    }
    fn of(&mut self, at_ms: u64, kind: Kind, op: Op, order: u32) -> &mut Message {
        std::sync::Arc::make_mut(&mut self.add(at_ms, kind, Message::of_order(op, Id(900 + at_ms), OrderNo(order))).msg)
    }
    fn totals(&self) -> MeterTotals {
        let mut meter = Meter::new();
        self.0.iter().for_each(|entry| meter.observe(entry));
        meter.totals()
    }
    fn measures(&self) -> Measures {
        self.totals().measures()
    }
}

#[test]
fn a_late_send_counts_from_the_time_it_was_due() {
    let mut story = Story::default();
    // due at 1 s, sent at 3 s because the sender was held up, lost, sent again at 4 s, answered at 4.2 s
    story.place(1000, 3000, 1, 10);
    story.reply(3500, 1, 10, Outcome::TimedOut);
    story.place(1000, 4000, 1, 11);
    story.reply(4200, 1, 11, Outcome::Ok);
    story.reply(4300, 1, 11, Outcome::Ok);
    let measures = story.measures();
    assert_eq!(measures.orders_placed, 1);
    assert_eq!((measures.latency["ack"].count, measures.latency["ack_service"].count), (1, 1));
    assert!((measures.latency["ack"].max_s - 3.2).abs() < 0.01, "{:?}", measures.latency["ack"]);
    assert!((measures.latency["ack_service"].max_s - 0.2).abs() < 0.001);
    assert_eq!(measures.kpis.order_failure_rate, None, "no rest, no judgement");
}

/// As often as the report of its case says that rules acted.
#[test]
fn a_fault_is_counted_once_though_more_than_one_entry_tells_of_it() {
    let mut story = Story::default();
    story.place(1000, 1000, 1, 10);
    story.of(1000, Kind::Fault, Op::PlaceOrder, 1);
    story.add(1200, Kind::Fault, Message::of_order(Op::PlaceOrder, Id::NONE, OrderNo(1))).outcome = Outcome::Refused;
    for (at, op) in [(2000, Op::TargetCrashed), (2500, Op::TargetRestarted), (3000, Op::TargetPaused), (3500, Op::TargetResumed)] {
        story.of(at, Kind::Fault, op, 0);
    }
    assert_eq!(story.measures().series.iter().map(|point| point.faults).sum::<u64>(), 3);
}

#[test]
fn quantiles_need_ten_samples_beyond_them_and_come_from_the_sum() {
    let case = |n: u32| {
        let mut story = Story::default();
        for order in 1..=n {
            story.place(order.into(), order.into(), order, order.into());
            story.reply(u64::from(order) + 100, order, order.into(), Outcome::Ok);
        }
        story.totals()
    };
    assert_eq!(case(19).measures().latency["ack"].p50_s, None);
    let mut sum = case(19);
    sum.merge(&case(81));
    let ack = &sum.measures().latency["ack"];
    assert_eq!(ack.count, 100);
    assert!(ack.p50_s.is_some_and(|p50| (p50 - 0.1).abs() < 0.001));
    assert!(ack.p90_s.is_some() && ack.p95_s.is_none() && ack.p99_s.is_none());
    assert_eq!(sum.measures().throughput_per_s, 1000.0);
    // two halves of one case at the same time place twice as fast: 161 gaps in 80 ms
    let mut halves = case(81);
    halves.merge_partition(&case(81));
    assert_eq!(halves.measures().throughput_per_s, 2012.5);
}

/// Parts of a case begin and end at times of their own; the rate is that of all of them together.
#[test]
fn the_rate_of_a_case_is_that_between_its_first_order_and_its_last() {
    let part = |from_ms: u64| {
        let mut story = Story::default();
        for n in 0..10 {
            let at = from_ms + 100 * n;
            story.place(at, at, n as u32 + 1, n + 1);
            story.reply(at, n as u32 + 1, n + 1, Outcome::Ok);
        }
        story.totals()
    };
    let mut whole = MeterTotals::default();
    [0, 50, 1000, 1050].iter().for_each(|from| whole.merge_partition(&part(*from)));
    // forty orders within 1.95 s
    assert!((whole.measures().throughput_per_s - 20.0).abs() < 0.01, "{}", whole.measures().throughput_per_s);
    let rate = |text: &str| whole.reading(&Threshold::parse(text).unwrap());
    assert!(matches!(rate("orders.placed.rate >= 1/s"), Reading::Value(rate) if (rate - 20.0).abs() < 0.01));
    assert!(matches!(rate("orders.acked.rate >= 1/s"), Reading::Value(rate) if (rate - 40.0 / 1.95).abs() < 0.01));
    // cases come one after another
    let mut run = MeterTotals::default();
    run.merge(&whole);
    run.merge(&whole);
    assert!((run.measures().throughput_per_s - 20.0).abs() < 0.01);
}

#[test]
fn an_order_that_is_taken_to_be_decided_later_is_answered() {
    let mut story = Story::default();
    story.place(1000, 1000, 1, 10);
    story.reply(1005, 1, 10, Outcome::Pending);
    assert_eq!(story.measures().latency["ack"].count, 1);
}

#[test]
fn a_share_may_rise_by_what_is_not_decided_and_requests_need_no_order() {
    let mut story = Story::default();
    for order in 1..=4 {
        story.place(1000, 1000, order, order.into());
    }
    story.reply(1005, 1, 1, Outcome::Ok);
    story.of(1010, Kind::Event, Op::OrderRejected, 2);
    story.of(1011, Kind::Event, Op::OrderCompleted, 1);
    let window = Window { from: Span::from_secs(5), until: Span::from_secs(9) };
    let mut meter = Meter::with(&Focus { windows: vec![window], ..Focus::default() });
    story.0.iter().for_each(|entry| meter.observe(entry));
    let best = |text: &str| meter.best(&Threshold::parse(text).unwrap());
    assert_eq!((best("orders.acked.share >= 1%"), best("orders.completed.share >= 1%")), (Some(1.0), Some(0.75)));
    assert_eq!((best("orders.completed >= 1"), best("requests.failed.share >= 1%"), best("latency.ack.p99 < 1s")), (None, None, None));
    // who gave up is not waited for while others are sent, and may have been sent again where the record is cut short
    for order in 3..=4 {
        meter.observe(&Entry { outcome: Outcome::TimedOut, kind: Kind::Reply, ..story.0[order as usize - 1].clone() });
    }
    let of_all = |meter: &Meter| meter.best(&Threshold::parse("orders.acked.share >= 1%").unwrap());
    assert_eq!(of_all(&meter), Some(0.5));
    // long after all orders were due
    story.0.clear();
    story.add(6000, Kind::Reply, Message::of_order(Op::CancelOrder, Id(77), OrderNo(1))).outcome = Outcome::Ok;
    story.0.iter().for_each(|entry| meter.observe(entry));
    let of = |text: &str| meter.reading(&Threshold::parse(text).unwrap());
    assert!(matches!(of("5s..9s: requests.answered == 1"), Reading::Value(1.0)));
    assert!(matches!(of("5s..9s: orders.acked == 1"), Reading::Nothing(_)));
}

#[test]
fn stages_and_kpis_of_a_short_story() {
    let mut story = Story::default();
    let hour = 3_600_000;
    story.of(0, Kind::Fact, Op::StockOpening, 0).qty = 10;
    for order in 1..=4 {
        story.place(1000, 1000, order, order.into());
        story.reply(1100, order, order.into(), Outcome::Ok);
        story.of(1200, Kind::Event, Op::OrderAccepted, order);
        story.of(1300, Kind::Event, Op::FulfillmentAllocated, order);
    }
    // 1: two parcels, both announced, completed; then goods come back
    for (fid, at) in [(1, hour), (2, 2 * hour)] {
        story.of(2000, Kind::Fact, Op::NodeRelease, 1).fulfillment = Fid(fid);
        story.of(at, Kind::Fact, Op::CbNodeShipped, 1).fulfillment = Fid(fid);
    }
    story.of(2 * hour, Kind::Event, Op::OrderCompleted, 1);
    story.of(2 * hour, Kind::Event, Op::OrderCompleted, 1);
    // 2: cancelled by the merchant; 3: parked in an exception queue; 4: never heard of again
    story.of(2 * hour, Kind::Event, Op::OrderCancelled, 2).code = Code::OutOfStock;
    story.of(2 * hour, Kind::Event, Op::ExceptionRaised, 3);
    story.of(3 * hour, Kind::Sent, Op::RequestReturn, 1).ret = Id(77);
    story.place(1000, 3 * hour, 1, 99); // a late resend must not count as a new order
    story.of(4 * hour, Kind::Fact, Op::CbNodeReceived, 1).ret = Id(77);
    story.of(5 * hour, Kind::Fact, Op::PaymentRefund, 1).ret = Id(77);
    story.of(6 * hour, Kind::Mark, Op::MarkRest, 0);
    story.of(6 * hour, Kind::State, Op::GetInventory, 0).qty = 9;
    story.of(6 * hour, Kind::State, Op::GetOrder, 4).code = Code::StateOpen;
    let measures = story.measures();
    assert_eq!(measures.orders_placed, 4);
    assert_eq!(measures.kpis.order_failure_rate, Some(0.25));
    assert_eq!(measures.kpis.cancellation_rate, Some(0.25));
    assert_eq!(measures.kpis.manual_intervention_rate, Some(0.25));
    assert_eq!(measures.kpis.split_shipment_rate, Some(1.0));
    assert_eq!(measures.kpis.inventory_mismatch_rate, Some(1.0));
    // no notices anywhere, so only the base and the merchant's cancellation count: 3 x 0.03 + (1 - 0.97 x 0.6)
    assert_eq!(measures.kpis.tickets_per_100, Some(round(100.0 * (0.09 + 1.0 - 0.97 * 0.6) / 4.0)));
    let stage = |name: &str| (measures.latency[name].count, measures.latency[name].max_s);
    assert_eq!(stage("release_to_ship").0, 2);
    assert!((stage("order_to_ship").1 - 3599.0).abs() < 4.0);
    assert_eq!(stage("order_to_complete").0, 1);
    assert!((stage("return_to_refund").1 - 7200.0).abs() < 8.0);
    assert_eq!(
        measures.series.iter().map(|p| (p.placed, p.shipped, p.completed)).fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2)),
        (4, 1, 1)
    );
}

fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[test]
fn a_parcel_for_an_exchange_does_not_split_an_order() {
    let mut story = Story::default();
    story.place(0, 0, 1, 1);
    story.of(1000, Kind::Fact, Op::CbNodeShipped, 1).fulfillment = Fid(1);
    let msg = story.of(2000, Kind::Fact, Op::CbNodeShipped, 1);
    msg.fulfillment = Fid(2);
    msg.lines.push(LineQty { line: LineNo(2), sku: SkuId(2), qty: 1, seq: 0 });
    assert_eq!(story.measures().kpis.split_shipment_rate, Some(0.0));
}
