//! The embedded target: what survives a crash, what is sent again, and who waits for whom.

use super::*;
use crate::model::{LineNo, LineQty, NodeKind, Op, Order, OrderLine, Product, Region};

fn target(defect: Option<Defect>) -> Embedded {
    let node = crate::model::Node {
        name: "DC1".into(),
        kind: NodeKind::Dc,
        region: Region::East,
        safety_stock: 0,
        capacity_per_day: 0,
        opens_h: 0,
        closes_h: 24,
        enabled: true,
    };
    let product = Product { name: "A".into(), price: Money(4000), backorderable: false };
    let estate = Arc::new(Fixture { nodes: vec![node], products: vec![product], ..Fixture::default() });
    Embedded::new(estate, Settings::default(), ServiceModel::default(), defect, Seed(1)).durable()
}

fn snapshot() -> Message {
    let mut msg = Message { node: NodeId(1), ..Message::new(Op::InventorySnapshot, Id(2)) };
    msg.lines.push(LineQty { sku: SkuId(1), qty: 5, seq: 1, ..LineQty::default() });
    msg
}

fn place() -> Message {
    let line = OrderLine { line: LineNo(1), sku: SkuId(1), qty: 2, unit_price: Money(4000), ..OrderLine::default() };
    let body = Some(Arc::new(Order { lines: vec![line], ..Order::default() }));
    Message { key: Id(256), body, ..Message::of_order(Op::PlaceOrder, Id(4), OrderNo(1)) }
}

/// Delivers at the second `at` and works for `ms` after that.
fn work(target: &mut Embedded, at: u64, ms: u64, message: Option<Message>) -> Vec<Outbound> {
    let mut out = Vec::new();
    let start = Timestamp(Span::from_secs(at).0);
    if let Some(message) = message {
        target.deliver(start, Inbound::Message(message.into()), &mut out);
    }
    while target.next_due() <= start + Span::from_millis(ms) {
        let due = target.next_due();
        target.poll(due, &mut out);
    }
    out
}

/// Events of the order.
fn events(out: &[Outbound]) -> Vec<Arc<Message>> {
    let event = |out: &Outbound| if let Outbound::Event(msg) = out { Some(msg.clone()) } else { None };
    out.iter().filter_map(event).filter(|msg| msg.order.is_some()).collect()
}

fn restart(target: &mut Embedded, at: u64) -> Vec<Outbound> {
    let mut out = Vec::new();
    target.crash();
    target.restart(Timestamp(Span::from_secs(at).0), &mut out);
    out
}

#[test]
fn what_it_had_stored_is_there_again_and_what_the_sink_has_is_not_sent_again() {
    let mut target = target(None);
    work(&mut target, 0, 500, Some(snapshot()));
    let told = events(&work(&mut target, 1, 500, Some(place())));
    assert!(told.len() > 1 && told[0].op == Op::OrderAccepted);
    target.acknowledged(Timestamp::ZERO, told[0].id);
    let before = (target.order_state(OrderNo(1)), target.inventory(NodeId(1), SkuId(1), true));
    assert_eq!(events(&restart(&mut target, 6)), told[1..], "the same ids with the same content");
    assert_eq!((target.order_state(OrderNo(1)), target.inventory(NodeId(1), SkuId(1), true)), before);
    assert_eq!(events(&restart(&mut target, 12)), told[1..], "as often as it falls");
}

#[test]
fn orders_for_one_key_are_worked_on_one_after_another_and_others_beside_them() {
    let of = |number: u32, sku: u32| {
        let line = OrderLine { line: LineNo(1), sku: SkuId(sku), qty: 1, unit_price: Money(4000), ..OrderLine::default() };
        let body = Some(Arc::new(Order { lines: vec![line], ..Order::default() }));
        Message { key: Id(u64::from(number) * 256), body, ..Message::of_order(Op::PlaceOrder, Id(u64::from(number)), OrderNo(number)) }
    };
    // milliseconds after which each order has its answer
    let answered = |lane, workers, queue| {
        let mut target = target(None);
        let service = crate::sim::Law::Const(Span::from_millis(10));
        target.model = ServiceModel { workers, queue, lane, service, ..ServiceModel::default() };
        target.service = Sampler::new(service);
        let mut out = Vec::new();
        for (number, sku) in [(1, 1), (2, 1), (3, 1), (4, 2)] {
            target.deliver(Timestamp::ZERO, Inbound::Message(of(number, sku).into()), &mut out);
        }
        let mut at: Vec<(u64, u64)> = Vec::new();
        for ms in 0..=50 {
            let now = Timestamp::ZERO + Span::from_millis(ms);
            if target.next_due() <= now {
                target.poll(now, &mut out);
            }
            at.extend(out.drain(..).filter_map(|out| if let Outbound::Reply { to, .. } = out { Some((to.0, ms)) } else { None }));
        }
        at.sort_unstable();
        at
    };
    assert_eq!(answered(Lane::Commands, 8, 64), [(1, 10), (2, 10), (3, 10), (4, 10)]);
    assert_eq!(answered(Lane::Keys, 8, 64), [(1, 10), (2, 20), (3, 30), (4, 10)]);
    // a worker is not kept waiting by a key
    assert_eq!(answered(Lane::Keys, 1, 64).iter().map(|(_, ms)| *ms).max(), Some(40));
    // who waits for a key waits in the same queue: the third of them is turned away at once
    assert_eq!(answered(Lane::Keys, 8, 1), [(1, 10), (2, 20), (3, 0), (4, 10)]);
}

#[test]
fn calls_that_hang_are_tried_again_under_their_keys() {
    let calls = |out: &[Outbound]| -> Vec<Id> {
        let mut keys: Vec<Id> = out.iter().filter_map(|out| if let Outbound::Call(msg) = out { Some(msg.key) } else { None }).collect();
        keys.sort_unstable();
        keys
    };
    let mut target = target(None);
    work(&mut target, 0, 500, Some(snapshot()));
    let asked = calls(&work(&mut target, 1, 500, Some(place())));
    assert!(!asked.is_empty());
    let mut again = restart(&mut target, 600);
    again.extend(work(&mut target, 600, 20_000, None));
    assert_eq!(calls(&again), asked);
    // whether the first attempts left it nobody knows, so no later one names them
    let causes = again.iter().filter_map(|out| if let Outbound::Call(msg) = out { Some(msg.cause) } else { None });
    assert!(causes.clone().count() > 0 && causes.into_iter().all(|cause| cause == place().id));
}

#[test]
fn what_was_at_work_is_gone_and_was_never_told() {
    let mut target = target(None);
    work(&mut target, 0, 500, Some(snapshot()));
    assert_eq!(work(&mut target, 1, 0, Some(place())), [], "it takes a moment");
    restart(&mut target, 6);
    assert_eq!(work(&mut target, 6, 5_000, None), []);
    assert_eq!(target.order_state(OrderNo(1)), Look::Unknown);
}

#[test]
fn a_refused_event_is_sent_again_as_it_was_until_it_is_taken() {
    let again = |defect| {
        let mut target = target(defect);
        work(&mut target, 0, 500, Some(snapshot()));
        let first = events(&work(&mut target, 1, 500, Some(place()))).remove(0);
        target.refused(Timestamp(Span::from_secs(2).0), first.id);
        let second = events(&work(&mut target, 2, 20_000, None));
        (first, second)
    };
    let (first, second) = again(None);
    assert_eq!(second, [first]);
    assert_eq!(again(Some(Defect::WebhookDroppedAfter500)).1, []);
    let (first, second) = again(Some(Defect::BodyRegeneratedOnRedelivery));
    assert!(second[0].id == first.id && second[0].amount != first.amount, "{second:?}");
}

#[test]
fn defects_lose_in_a_crash_what_they_had_said_or_done() {
    let after_crash = |defect| {
        let mut target = target(Some(defect));
        work(&mut target, 0, 900, Some(snapshot()));
        let told = work(&mut target, 1, 300, Some(place()));
        let owed = restart(&mut target, 6);
        (told, events(&owed), target.order_state(OrderNo(1)).known().is_some())
    };
    let yes = |out: &[Outbound]| out.iter().any(|out| matches!(out, Outbound::Reply { outcome: Outcome::Ok, .. }));
    let (told, owed, known) = after_crash(Defect::AcknowledgedBeforeStored);
    assert!(yes(&told) && owed.is_empty() && !known);
    let (told, owed, known) = after_crash(Defect::EventBeforeCommit);
    assert!(!events(&told).is_empty() && !yes(&told) && owed.is_empty() && !known);
    let (told, owed, known) = after_crash(Defect::EventLostOnCrash);
    assert!(events(&told).is_empty() && owed.is_empty() && known);
    let (told, owed, known) = after_crash(Defect::ReplayNotIdempotent);
    let reserved = |events: &[Arc<Message>]| events.iter().filter(|msg| msg.op == Op::InventoryReserved).count();
    assert!(known && reserved(&events(&told)) == 1 && reserved(&owed) == 2, "one of the first time, one of recovery");
}
