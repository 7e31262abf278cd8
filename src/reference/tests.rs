//! The orchestrator alone: what goes in, what comes out, and that its journal of inputs is all there is.

use super::*;
use crate::model::{Fulfil, LineNo, LineQty, Money, Node, NodeKind, Order, OrderLine, Product, Region};

fn estate() -> Arc<Fixture> {
    let node = Node {
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
    Arc::new(Fixture { nodes: vec![node], products: vec![product], ..Fixture::default() })
}

fn snapshot(units: i32) -> Message {
    let mut msg = Message { node: NodeId(1), ..Message::new(Op::InventorySnapshot, Id(2)) };
    msg.lines.push(LineQty { sku: SkuId(1), qty: units, seq: 1, ..LineQty::default() });
    msg
}

fn place(order: u32, id: u64, qty: u32) -> Message {
    let line = OrderLine { line: LineNo(1), sku: SkuId(1), qty, unit_price: Money(4000), fulfil: Fulfil::Ship, ..OrderLine::default() };
    let body = Order { lines: vec![line], shipping: Money(800), ..Order::default() };
    Message { key: Id(u64::from(order) << 8), body: Some(Arc::new(body)), ..Message::of_order(Op::PlaceOrder, Id(id), OrderNo(order)) }
}

/// Feeds a journal and gives everything that came out, answering every call with `ok`.
fn play(journal: &[(u64, Input)], defect: Option<Defect>) -> (Reference, Vec<Effect>) {
    let mut reference = Reference::new(estate(), Settings::default(), defect, Seed(1));
    let mut all = Vec::new();
    for (ms, input) in journal {
        let now = Timestamp(ms * 1_000_000);
        let mut out = Vec::new();
        while reference.next_due() <= now {
            let due = reference.next_due();
            reference.wake(due, &mut out);
        }
        reference.handle(now, input.clone(), &mut out);
        all.append(&mut out);
    }
    (reference, all)
}

fn events(effects: &[Effect]) -> Vec<&'static str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Event(msg) => Some(msg.op.name()),
            _ => None,
        })
        .collect()
}

fn answers(effects: &[Effect], at: u64, pay: u64) -> Vec<(u64, Input)> {
    let calls = effects.iter().filter_map(|effect| match effect {
        Effect::Call(msg) => Some(msg),
        _ => None,
    });
    calls
        .map(|call| {
            let msg = Message { key: call.key, pay: Id(pay), code: Code::Accept, ..Message::of_order(call.op, call.id, call.order) };
            (at, Input::Answer { msg: msg.into(), outcome: Outcome::Ok })
        })
        .collect()
}

#[test]
fn an_order_is_reserved_before_it_is_screened_and_released_only_after() {
    let mut journal = vec![(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into()))];
    let (_, effects) = play(&journal, None);
    assert_eq!(events(&effects), ["inventory.adjusted", "order.accepted", "inventory.reserved"]);
    journal.extend(answers(&effects, 20, 100));
    let (reference, effects) = play(&journal, None);
    assert!(events(&effects).contains(&"fulfillment.allocated"));
    let released = effects.iter().any(|effect| matches!(effect, Effect::Call(msg) if msg.op == Op::NodeRelease));
    assert!(released, "a screened order goes to its node");
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)), (5, 2));
}

#[test]
fn the_same_journal_gives_the_same_state_and_the_same_effects() {
    let mut journal =
        vec![(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into())), (11, Input::Message(place(2, 6, 1).into()))];
    let (_, effects) = play(&journal, None);
    journal.extend(answers(&effects, 20, 100));
    let (first, first_effects) = play(&journal, None);
    let (second, second_effects) = play(&journal, None);
    assert_eq!(first_effects, second_effects);
    for order in [1, 2] {
        assert_eq!(first.order_state(OrderNo(order)), second.order_state(OrderNo(order)));
    }
}

#[test]
fn a_repeated_order_under_a_new_message_id_is_the_same_order() {
    let journal = [(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into())), (20, Input::Message(place(1, 8, 2).into()))];
    let (reference, effects) = play(&journal, None);
    assert_eq!(events(&effects).iter().filter(|name| **name == "order.accepted").count(), 1);
    assert!(effects.contains(&Effect::Reply { to: Id(8), outcome: Outcome::Replayed, code: Code::None }));
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)).1, 2);
    let (_, effects) = play(&journal, Some(Defect::DedupByMessageId));
    assert_eq!(events(&effects).iter().filter(|name| **name == "order.accepted").count(), 2, "the defect does what it says");
}

#[test]
fn the_same_key_with_another_order_in_it_is_refused() {
    let journal = [(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into())), (20, Input::Message(place(1, 8, 3).into()))];
    let (_, effects) = play(&journal, None);
    assert!(effects.contains(&Effect::Reply { to: Id(8), outcome: Outcome::Rejected, code: Code::KeyReuse }));
}

#[test]
fn an_older_snapshot_takes_nothing_back() {
    let delta = Message { node: NodeId(1), sku: SkuId(1), qty: -3, seq: 2, ..Message::new(Op::InventoryDelta, Id(4)) };
    let journal = [
        (0, Input::Message(snapshot(5).into())),
        (10, Input::Message(delta.clone().into())),
        (20, Input::Message(snapshot(5).into())),
        (30, Input::Message(delta.into())),
    ];
    let (reference, _) = play(&journal, None);
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)).0, 2);
    let (reference, _) = play(&journal, Some(Defect::StaleSnapshotWins));
    assert_ne!(reference.inventory(NodeId(1), SkuId(1)).0, 2, "the defect does what it says");
}

#[test]
fn a_call_without_an_answer_is_made_again_under_the_same_key() {
    let journal =
        [(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into())), (40_000, Input::Message(snapshot(5).into()))];
    let (_, effects) = play(&journal, None);
    let keys: Vec<Id> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call(msg) if msg.op == Op::PaymentAuthorize => Some(msg.key),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

/// Calls of one operation, as they went out.
fn calls(effects: &[Effect], op: Op) -> Vec<&Message> {
    let calls = effects.iter().filter_map(|effect| match effect {
        Effect::Call(msg) => Some(&**msg),
        _ => None,
    });
    calls.filter(|msg| msg.op == op).collect()
}

fn reply_to(effects: &[Effect], id: u64) -> Option<(Outcome, Code)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { to, outcome, code } if to.0 == id => Some((*outcome, *code)),
        _ => None,
    })
}

fn delta(id: u64, seq: u32, qty: i32) -> (u64, Input) {
    (id * 10, Input::Message(Message { node: NodeId(1), sku: SkuId(1), qty, seq, ..Message::new(Op::InventoryDelta, Id(id)) }.into()))
}

fn cancel(at: u64, id: u64) -> (u64, Input) {
    (at, Input::Message(Message { key: Id(id), ..Message::of_order(Op::CancelOrder, Id(id), OrderNo(1)) }.into()))
}

/// A callback of the node about the first fulfillment of order 1.
fn callback(at: u64, id: u64, op: Op, release: &Message, seq: u32) -> (u64, Input) {
    let lines = release.lines.iter().map(|line| LineQty { seq, ..*line }).collect();
    (at, Input::Message(Message { fulfillment: release.fulfillment, node: release.node, lines, ..Message::of_order(op, Id(id), OrderNo(1)) }.into()))
}

/// An order of two that is screened and sent to its node, whose answer is not there yet; and the call that sent it.
fn released() -> (Vec<(u64, Input)>, Message) {
    let mut journal = vec![(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into()))];
    let (_, effects) = play(&journal, None);
    journal.extend(answers(&effects, 20, 100));
    let (_, effects) = play(&journal, None);
    let release = calls(&effects, Op::NodeRelease)[0].clone();
    (journal, release)
}

#[test]
fn a_gap_in_a_feed_is_mended_by_what_was_missing_or_by_a_snapshot() {
    let on_hand = |journal: &[(u64, Input)]| play(journal, None).0.inventory(NodeId(1), SkuId(1)).0;
    let start = (0, Input::Message(snapshot(5).into()));
    let in_order = [start.clone(), delta(4, 2, -1), delta(6, 3, 4), delta(8, 4, -2)];
    assert_eq!(on_hand(&in_order), 6);
    let turned = |at: u64, (_, input): (u64, Input)| (at, input);
    let out_of_order =
        [start.clone(), turned(10, delta(8, 4, -2)), turned(20, delta(6, 3, 4)), turned(30, delta(4, 2, -1)), turned(40, delta(6, 3, 4))];
    assert_eq!(on_hand(&out_of_order), 6, "each movement counts once, whenever it comes");
    let mut later = snapshot(6);
    later.id = Id(10);
    later.lines[0].seq = 4;
    let with_gap = [start, delta(4, 2, -1), turned(100, delta(8, 4, -2)), (200, Input::Message(later.clone().into()))];
    assert_eq!(on_hand(&with_gap), 6, "a snapshot says all about what came before it");
    let late = [with_gap.as_slice(), &[turned(300, delta(6, 3, 4))]].concat();
    assert_eq!(on_hand(&late), 6, "and what it told already does not count again");
}

#[test]
fn a_cancellation_before_the_release_gives_the_units_back_at_once() {
    let journal = [(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into())), cancel(20, 6), cancel(30, 6), cancel(40, 8)];
    let (reference, effects) = play(&journal, None);
    assert_eq!(reply_to(&effects, 6), Some((Outcome::Pending, Code::None)), "the bank has not answered yet");
    assert_eq!(events(&effects).iter().filter(|name| **name == "order.cancel_requested").count(), 1, "asked three times, cancelled once");
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)), (5, 0));
    assert!(calls(&effects, Op::NodeRelease).is_empty());
}

#[test]
fn a_cancellation_after_the_release_waits_for_the_word_of_the_node() {
    let (mut journal, release) = released();
    let answer = Message { key: release.key, code: Code::None, ..Message::of_order(Op::NodeRelease, release.id, OrderNo(1)) };
    journal.push((30, Input::Answer { msg: answer.into(), outcome: Outcome::Ok }));
    journal.push(cancel(40, 6));
    let (reference, effects) = play(&journal, None);
    let ask = calls(&effects, Op::NodeCancel)[0].clone();
    assert!(!events(&effects).contains(&"order.cancelled"), "the parcel may have left");
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)).1, 2, "and its units are still held");

    // the node stops it
    let stopped = Message { key: ask.key, ..Message::of_order(Op::NodeCancel, ask.id, OrderNo(1)) };
    let mut won = journal.clone();
    won.push((50, Input::Answer { msg: stopped.clone().into(), outcome: Outcome::Ok }));
    let (reference, effects) = play(&won, None);
    assert!(events(&effects).contains(&"fulfillment.cancelled"), "{:?}", events(&effects));
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)), (5, 0));

    // the parcel leaves first: the order goes on, and the shopper hears that it was too late
    let mut lost = journal.clone();
    lost.push((50, Input::Answer { msg: Message { code: Code::TooLate, ..stopped }.into(), outcome: Outcome::Rejected }));
    lost.push(callback(60, 8, Op::CbNodeShipped, &release, 2));
    let (reference, effects) = play(&lost, None);
    let events = events(&effects);
    assert!(events.contains(&"order.cancel_rejected") && events.contains(&"shipment.shipped"), "{events:?}");
    assert!(!events.contains(&"order.cancelled") && !events.contains(&"fulfillment.cancelled"), "{events:?}");
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)), (3, 0));
}

#[test]
fn a_release_whose_answer_is_lost_is_known_from_what_the_node_does() {
    let (mut journal, release) = released();
    journal.push(callback(40, 6, Op::CbNodeShipped, &release, 2));
    // long after the answer was given up on, and after every retry of it would have gone out
    journal.push((600_000, Input::Message(snapshot(5).into())));
    let (reference, effects) = play(&journal, None);
    let steps: Vec<&str> = events(&effects).into_iter().filter(|name| name.starts_with("fulfillment.") || name.starts_with("shipment.")).collect();
    assert_eq!(steps[steps.len() - 2..], ["fulfillment.packed", "shipment.shipped"], "{steps:?}");
    assert_eq!(steps.iter().filter(|name| **name == "fulfillment.released").count(), 1);
    assert_eq!(calls(&effects, Op::NodeRelease).len(), 1, "it is not released again");
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)), (3, 0));
    let (_, effects) = play(&journal, Some(Defect::EarlyShippedDropped));
    assert!(!events(&effects).contains(&"shipment.shipped"), "the defect does what it says");
}

#[test]
fn another_cancellation_under_a_known_key_is_refused_and_does_nothing() {
    let cancel = |id: u64, code: Code| Message { key: Id(77), code, ..Message::of_order(Op::CancelOrder, Id(id), OrderNo(1)) };
    let mut journal = vec![
        (0, Input::Message(snapshot(5).into())),
        (10, Input::Message(place(1, 4, 2).into())),
        (20, Input::Message(cancel(8, Code::Customer).into())),
    ];
    let (_, before) = play(&journal, None);
    journal.push((30, Input::Message(cancel(10, Code::Merchant).into())));
    let (_, effects) = play(&journal, None);
    assert_eq!(effects[before.len()..], [Effect::Reply { to: Id(10), outcome: Outcome::Rejected, code: Code::KeyReuse }]);
    journal.push((40, Input::Message(cancel(12, Code::Customer).into())));
    let (_, effects) = play(&journal, None);
    assert!(effects.contains(&Effect::Reply { to: Id(12), outcome: Outcome::Replayed, code: Code::None }), "the first one again is no conflict");
}

#[test]
fn another_order_under_a_known_key_is_an_update_with_the_defect() {
    let journal = [(0, Input::Message(snapshot(5).into())), (10, Input::Message(place(1, 4, 2).into())), (20, Input::Message(place(1, 8, 3).into()))];
    assert_eq!(play(&journal, None).0.inventory(NodeId(1), SkuId(1)).1, 2);
    assert_eq!(play(&journal, Some(Defect::KeyConflictOverwrites)).0.inventory(NodeId(1), SkuId(1)).1, 3);
}

#[test]
fn unknown_fields_mean_nothing_but_to_the_defect() {
    let order = Message { drift: true, ..place(1, 4, 2) };
    let journal = [(0, Input::Message(snapshot(5).into())), (10, Input::Message(order.into()))];
    assert!(events(&play(&journal, None).1).contains(&"order.accepted"));
    let (_, effects) = play(&journal, Some(Defect::UnknownFieldPoisons));
    assert!(effects.contains(&Effect::Reply { to: Id(4), outcome: Outcome::Ok, code: Code::None }) && events(&effects) == ["inventory.adjusted"]);
}

#[test]
fn after_a_restart_a_deadline_of_others_has_patience() {
    let settings = Settings { remorse_hold: Some(Span::from_mins(30)), ..Settings::default() };
    let ends = |restarted: Option<u64>| {
        let mut reference = Reference::new(estate(), settings.clone(), None, Seed(1));
        let mut out = Vec::new();
        reference.handle(Timestamp(0), Input::Message(snapshot(5).into()), &mut out);
        reference.handle(Timestamp(1), Input::Message(place(1, 4, 2).into()), &mut out);
        if let Some(minute) = restarted {
            reference.restarted(Timestamp(Span::from_mins(minute).0), &mut out);
        }
        while !events(&out).contains(&"order.hold_released") {
            let due = reference.next_due();
            reference.wake(due, &mut out);
            assert!(due < Timestamp(Span::from_hours(3).0), "it never ends");
        }
        reference.now.0 / Span::from_mins(1).0
    };
    assert_eq!((ends(None), ends(Some(5)), ends(Some(120))), (30, 30, 130));
}
