use super::*;
use crate::history::{Entry, HISTORY_VERSION, Header, Kind, Observer};
use crate::model::*;
use crate::scenario::standard_fixture;
use crate::sim::Timestamp;
use proptest::prelude::*;
use std::io::Cursor;
use std::sync::Arc;

fn header() -> Header {
    Header {
        orderstorm_history: HISTORY_VERSION,
        version: "0.0.0".into(),
        case: "S01.base.none.web.1".into(),
        fixture: standard_fixture(),
        ..Header::default()
    }
}

fn file(entries: &[Entry], gz: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = if gz { HistoryWriter::gzip(&mut bytes, &header()) } else { HistoryWriter::plain(&mut bytes, &header()) };
    for entry in entries {
        writer.observe(entry);
    }
    writer.finish().expect("writing to memory");
    bytes
}

/// A writer that is flushed and never finished leaves what it had, and one that goes on writes the same history.
#[test]
fn what_was_flushed_can_be_read_though_nothing_more_comes() {
    for gz in [false, true] {
        let path = std::env::temp_dir().join(format!("orderstorm-flush-{}{}", std::process::id(), if gz { ".jsonl.gz" } else { ".jsonl" }));
        let mut writer = HistoryWriter::create(&path, &header()).expect("writable");
        let size = || std::fs::metadata(&path).expect("there").len();
        assert_eq!(size(), 0, "what is flushed here was not on the disk before");
        writer.flush();
        let (entries, end) = read(&std::fs::read(&path).expect("readable")).expect("a header");
        assert!(entries.is_empty() && !end.complete, "{end:?}");
        writer.finish().expect("writable");
        let (_, end) = read(&std::fs::read(&path).expect("readable")).expect("a history");
        assert!(end.complete && end.digest == read(&file(&[], gz)).expect("a history").1.digest, "{end:?}");
        std::fs::remove_file(&path).expect("removable");
    }
}

fn read(bytes: &[u8]) -> Result<(Vec<Entry>, End), Box<ReadError>> {
    let mut entries = Vec::new();
    for item in HistoryReader::from_reader("test.jsonl", Cursor::new(bytes.to_vec()))? {
        match item? {
            Item::Entry(entry) => entries.push(*entry),
            Item::End(end) => return Ok((entries, end)),
        }
    }
    panic!("a reader ends with an error or an end");
}

fn error_of(line: &str) -> String {
    let mut bytes = serde_json::to_vec(&header()).expect("a header");
    bytes.extend_from_slice(format!("\n{line}\n").as_bytes());
    read(&bytes).expect_err(line).to_string()
}

fn order() -> impl Strategy<Value = Order> {
    let line =
        (any::<u16>(), 0u32..12, any::<u32>(), any::<i64>(), any::<bool>(), 0u16..8).prop_map(|(line, sku, qty, price, pickup, node)| OrderLine {
            line: LineNo(line),
            sku: SkuId(sku),
            qty,
            unit_price: Money(price),
            discount: Money(price / 3),
            tax: Money(price / 7),
            fulfil: if pickup { Fulfil::Pickup } else { Fulfil::Ship },
            node: NodeId(node),
        });
    (0usize..6, any::<bool>(), any::<u32>(), prop::collection::vec(line, 0..3), any::<i64>()).prop_map(
        |(channel, west, customer, lines, shipping)| Order {
            channel: Channel::ALL[channel],
            ship_to: if west { Region::West } else { Region::East },
            customer,
            lines,
            shipping: Money(shipping),
            ship_complete: west,
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    const OUTCOMES: [Outcome; 9] = [
        Outcome::None,
        Outcome::Ok,
        Outcome::Replayed,
        Outcome::Pending,
        Outcome::Rejected,
        Outcome::Backpressure,
        Outcome::Error,
        Outcome::Refused,
        Outcome::TimedOut,
    ];
    const KINDS: [Kind; 9] = [Kind::Sent, Kind::Reply, Kind::Call, Kind::Answer, Kind::Event, Kind::Fact, Kind::Fault, Kind::State, Kind::Mark];
    let ids = prop::array::uniform7(prop_oneof![Just(0u64), any::<u64>(), 1u64..40]);
    let lines = prop::collection::vec((any::<u16>(), 0u32..12, any::<i32>(), any::<u32>()), 0..4);
    let small = (0..=100_000_000u32, any::<u16>(), 0u16..9, 0u32..13, any::<i32>(), any::<i64>(), any::<u32>());
    let words = (0..OUTCOMES.len(), 0..KINDS.len(), 0..Op::ALL.len(), 0..Code::ALL.len());
    (any::<u64>(), any::<u64>(), any::<bool>(), words, ids, small, lines, prop::option::of(order())).prop_map(
        |(at, due, late, (outcome, kind, op, code), ids, (order, line, node, sku, qty, amount, seq), lines, body)| Entry {
            n: 1,
            at: Timestamp(at),
            due: Timestamp(if late { due } else { at }),
            kind: KINDS[kind],
            outcome: OUTCOMES[outcome],
            msg: Message {
                id: Id(ids[0]),
                op: Op::ALL[op],
                key: Id(ids[1]),
                order: OrderNo(order),
                fulfillment: Fid(ids[2]),
                ret: Id(ids[3]),
                pay: Id(ids[4]),
                node: NodeId(node),
                sku: SkuId(sku),
                line: LineNo(line),
                qty,
                amount: Money(amount),
                code: Code::ALL[code],
                seq,
                rule_version: seq % 3,
                cause: Id(ids[5]),
                drift: late,
                corr: Id(ids[6]),
                lines: lines.into_iter().map(|(line, sku, qty, seq)| LineQty { line: LineNo(line), sku: SkuId(sku), qty, seq }).collect(),
                body: body.map(Arc::new),
            }
            .into(),
        },
    )
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..12).prop_map(|mut list| {
        for (i, entry) in list.iter_mut().enumerate() {
            entry.n = i as u64 + 1;
        }
        list
    })
}

fn some_entries(count: u64) -> Vec<Entry> {
    let msg = Message { key: Id(0xa1), order: OrderNo(1), ..Message::new(Op::PlaceOrder, Id(0xbeef)) };
    let body = Some(Arc::new(Order {
        customer: 7,
        lines: vec![OrderLine { line: LineNo(1), sku: SkuId(1), qty: 2, ..OrderLine::default() }],
        ..Order::default()
    }));
    (1..=count)
        .map(|n| Entry {
            n,
            at: Timestamp(n * 10),
            due: Timestamp(n * 9),
            kind: Kind::Sent,
            outcome: Outcome::None,
            msg: Message { body: body.clone(), ..msg.clone() }.into(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_and_is_the_same_bytes_twice(entries in entries(), gz in any::<bool>()) {
        let bytes = file(&entries, gz);
        prop_assert_eq!(&bytes, &file(&entries, gz));
        let (read_back, end) = read(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read_back, entries);
        prop_assert_eq!((end.complete, end.missing), (true, None));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut after_header = serde_json::to_vec(&header()).expect("a header");
        after_header.push(b'\n');
        after_header.extend_from_slice(&bytes);
        let complete = read(&after_header).is_ok_and(|(_, end)| end.complete);
        prop_assert!(!complete);
        prop_assert!(read(&bytes).is_err());
    }
}

#[test]
fn a_file_that_was_cut_short_yields_what_it_has_and_is_never_complete() {
    let whole = some_entries(40);
    for gz in [false, true] {
        let bytes = file(&whole, gz);
        let mut most = 0;
        for cut in (0..bytes.len()).step_by(50).chain(bytes.len() - 60..bytes.len() - 1) {
            let Ok((entries, end)) = read(&bytes[..cut]) else { continue };
            assert!(!end.complete && end.missing.is_some(), "cut at {cut} of {} passes as complete", bytes.len());
            assert_eq!(entries[..], whole[..entries.len()]);
            most = most.max(entries.len());
        }
        assert_eq!(most, 40, "what was there was not delivered");
    }
    let bytes = file(&whole, false);
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    let half: String = text.lines().take(5).map(|line| format!("{line}\n")).collect::<String>() + "{\"n\":5,\"at\":";
    let (entries, end) = read(half.as_bytes()).expect("a cut file is not an error");
    assert_eq!(entries.len(), 4);
    assert_eq!(end.missing.as_deref(), Some("the footer is missing: the file ends at line 6 in the middle of an entry"));
}

#[test]
fn a_file_that_was_edited_says_so() {
    let text = String::from_utf8(file(&some_entries(9), false)).expect("JSON is UTF-8");
    let missing = |text: String| read(text.as_bytes()).expect("readable").1.missing.unwrap_or_default();
    assert!(missing(text.replacen("\"qty\":2", "\"qty\":3", 1)).contains("changed after it was written"));
    let without: String = text.lines().filter(|line| !line.starts_with("{\"n\":5,")).map(|line| format!("{line}\n")).collect();
    assert!(missing(without).contains("is entry 6 where 5 should follow"));
    let short: String = text.lines().filter(|line| !line.starts_with("{\"n\":9,")).map(|line| format!("{line}\n")).collect();
    assert!(missing(short).contains("counts 9 entries, the file has 8"));
    assert!(missing(format!("{text}{{}}\n")).contains("after the footer"));
}

#[test]
fn errors_name_the_place_and_the_nearest_word() {
    let text = error_of(r#"{"n":1,"at":5,"kind":"fact","op":"payment.capture","amuont":5}"#);
    assert!(text.starts_with("test.jsonl:2:"), "{text}");
    assert!(
        text.contains("unknown key `amuont`") && text.contains("did you mean `amount`?") && text.contains("one of the keys n, at, due"),
        "{text}"
    );
    let text = error_of(r#"{"n":1,"at":5,"kind":"fact","op":"payment.captrue"}"#);
    assert!(text.contains("unknown operation `payment.captrue`") && text.contains("did you mean `payment.capture`?"), "{text}");
    let text = error_of(r#"{"n":1,"at":5,"kind":"fatc","op":"payment.capture"}"#);
    assert!(text.contains("unknown kind `fatc`") && text.contains("did you mean `fact`?"), "{text}");
    let text = error_of(r#"{"n":1,"at":5,"kind":"fact","op":"payment.capture","code":"declind"}"#);
    assert!(text.contains("did you mean `declined`?"), "{text}");
    let text = error_of(r#"{"n":1,"at":5,"kind":"fact","op":"stock.receipt","node":"DC9"}"#);
    assert!(text.contains("unknown node `DC9`") && text.contains("(in `node`)"), "{text}");
    let text = error_of(r#"{"n":1,"at":5,"kind":"fact","op":"payment.capture","amount":"48.00"}"#);
    assert!(text.contains("(in `amount`)") && text.contains("expected a whole number"), "{text}");
    let text = error_of(r#"{"n":1,"at":5,"op":"payment.capture"}"#);
    assert!(text.contains("the key `kind` is missing"), "{text}");
    let text = error_of("nonsense");
    assert!(text.contains("not JSON"), "{text}");
}

#[test]
fn foreign_names_keep_their_identity_and_their_spelling() {
    let mut bytes = serde_json::to_vec(&header()).expect("a header");
    for (n, order, id) in [(1, "100045", "msg-1"), (2, "100046", "msg-2"), (3, "100045", "msg-1"), (4, "O17", "beef")] {
        let line = format!(
            "\n{{\"n\":{n},\"at\":1,\"kind\":\"event\",\"op\":\"order.accepted\",\"order\":\"{order}\",\"id\":\"{id}\",\"fulfillment\":\"SHP {order}\"}}"
        );
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.push(b'\n');
    let mut reader = HistoryReader::from_reader("test.jsonl", Cursor::new(bytes)).expect("a header");
    let mut entries = Vec::new();
    while let Some(Ok(Item::Entry(entry))) = reader.next() {
        entries.push(*entry);
    }
    assert_eq!(entries.len(), 4);
    let [a, b, c, own] = [0, 1, 2, 3].map(|i| &entries[i].msg);
    assert_eq!((a.order, a.id, a.fulfillment), (c.order, c.id, c.fulfillment));
    assert!(a.order != b.order && a.id != b.id && a.fulfillment != b.fulfillment);
    assert_eq!((own.order, own.id), (OrderNo(17), Id(0xbeef)));
    let names = reader.names();
    assert_eq!(
        (names.show_order(a.order), names.show_id(a.id), names.show_fid(a.fulfillment)),
        ("100045".into(), "msg-1".into(), "SHP 100045".into())
    );
    assert_eq!((names.show_order(own.order), names.show_id(own.id)), ("O17".into(), "beef".into()));
    assert_eq!(names.find_order("100046"), Some(b.order));
}

#[test]
fn a_shopper_has_the_same_name_every_time() {
    let text = String::from_utf8(file(&some_entries(2), false)).expect("JSON is UTF-8");
    let bodies: Vec<&str> = text.lines().filter_map(|line| line.split_once("\"customer\"").map(|(_, body)| body)).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    assert!(bodies[0].contains("\"no\":7,\"name\":\"") && bodies[0].contains("\"postcode\":\""));
}

#[test]
fn an_io_error_waits_until_the_end() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut writer = HistoryWriter::plain(Full, &header());
    for entry in some_entries(2000) {
        writer.observe(&entry);
    }
    assert!(writer.finish().expect_err("the disk is full").to_string().contains("disk full"));
}

/// `docs/history.md` lists all words between its marks. `ORDERSTORM_BLESS=1 cargo test --lib` writes it.
#[test]
fn the_page_lists_every_operation_and_code() {
    use crate::model::Class;
    const BEGIN: &str = "<!-- written from src/model/op.rs: ORDERSTORM_BLESS=1 cargo test --lib -->\n";
    const END: &str = "<!-- end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/history.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has its mark");
    let (list, after) = rest.split_once(END).expect("and its end");
    let quoted = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let classes = [
        (Class::Command, "command"),
        (Class::Query, "query"),
        (Class::Feed, "feed"),
        (Class::Callback, "callback of a partner; as a fact, what the partner did"),
        (Class::Call, "call of the target to a partner; as a fact, what came of it"),
        (Class::Event, "event of the target"),
        (Class::Stock, "movement on a shelf, only ever a fact"),
        (Class::Mark, "mark"),
    ];
    let ops = |class: Class| quoted(Op::ALL.iter().filter(|op| op.class() == class).map(|op| op.name()).collect());
    let mut wanted = String::from("| operations | |\n|---|---|\n");
    for (class, what) in classes {
        wanted += &format!("| {what} | {} |\n", ops(class));
    }
    let codes = Code::ALL.iter().map(|code| code.name()).filter(|name| !name.is_empty()).collect();
    wanted += &format!("| `code` | {} |\n", quoted(codes));
    if std::env::var_os("ORDERSTORM_BLESS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert_eq!(list, wanted, "docs/history.md is out of date");
    }
}
