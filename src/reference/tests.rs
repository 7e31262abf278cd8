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
            (at, Input::Answer { msg, outcome: Outcome::Ok })
        })
        .collect()
}

#[test]
fn an_order_is_reserved_before_it_is_screened_and_released_only_after() {
    let mut journal = vec![(0, Input::Message(snapshot(5))), (10, Input::Message(place(1, 4, 2)))];
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
    let mut journal = vec![(0, Input::Message(snapshot(5))), (10, Input::Message(place(1, 4, 2))), (11, Input::Message(place(2, 6, 1)))];
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
    let journal = [(0, Input::Message(snapshot(5))), (10, Input::Message(place(1, 4, 2))), (20, Input::Message(place(1, 8, 2)))];
    let (reference, effects) = play(&journal, None);
    assert_eq!(events(&effects).iter().filter(|name| **name == "order.accepted").count(), 1);
    assert!(effects.contains(&Effect::Reply { to: Id(8), outcome: Outcome::Replayed, code: Code::None }));
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)).1, 2);
    let (_, effects) = play(&journal, Some(Defect::DedupByMessageId));
    assert_eq!(events(&effects).iter().filter(|name| **name == "order.accepted").count(), 2, "the defect does what it says");
}

#[test]
fn the_same_key_with_another_order_in_it_is_refused() {
    let journal = [(0, Input::Message(snapshot(5))), (10, Input::Message(place(1, 4, 2))), (20, Input::Message(place(1, 8, 3)))];
    let (_, effects) = play(&journal, None);
    assert!(effects.contains(&Effect::Reply { to: Id(8), outcome: Outcome::Rejected, code: Code::KeyReuse }));
}

#[test]
fn an_older_snapshot_takes_nothing_back() {
    let delta = Message { node: NodeId(1), sku: SkuId(1), qty: -3, seq: 2, ..Message::new(Op::InventoryDelta, Id(4)) };
    let journal =
        [(0, Input::Message(snapshot(5))), (10, Input::Message(delta.clone())), (20, Input::Message(snapshot(5))), (30, Input::Message(delta))];
    let (reference, _) = play(&journal, None);
    assert_eq!(reference.inventory(NodeId(1), SkuId(1)).0, 2);
    let (reference, _) = play(&journal, Some(Defect::StaleSnapshotWins));
    assert_ne!(reference.inventory(NodeId(1), SkuId(1)).0, 2, "the defect does what it says");
}

#[test]
fn a_call_without_an_answer_is_made_again_under_the_same_key() {
    let journal = [(0, Input::Message(snapshot(5))), (10, Input::Message(place(1, 4, 2))), (40_000, Input::Message(snapshot(5)))];
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
