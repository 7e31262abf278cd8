use super::*;
use crate::workload::{DEFAULT_RECEIPT_LAG, opening_stock, parse_columns, replenishment};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

const SAMPLE: &str = include_str!("../../tests/data/online-retail-sample.csv");
const SHIPPED: &str = include_str!("../../profiles/columns/online-retail.toml");
const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

fn columns() -> Columns {
    parse_columns(SHIPPED, "online-retail.toml").expect("the shipped columns map is sound")
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Import, ImportError> {
    import(bytes.as_ref(), "orders.csv", &columns())
}

fn sample() -> Import {
    read(SAMPLE).expect("the sample is sound")
}

/// An import of the shipped header and these rows.
fn rows(rows: &[&str]) -> Import {
    read(format!("{HEADER}\n{}\n", rows.join("\n"))).expect("at least one row is an order line")
}

fn import_with(text: &str, columns: &Columns) -> Import {
    import(text.as_bytes(), "orders.csv", columns).expect("sound")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn rejected(account: &Account) -> Vec<(&'static str, u64)> {
    account.rejected.iter().map(|(reason, count)| (reason.name(), *count)).collect()
}

/// One JSON object a row; quantity and price as numbers where they look like numbers.
fn ndjson(csv_text: &str) -> String {
    let mut reader = csv::Reader::from_reader(csv_text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let mut out = String::new();
    for record in reader.records() {
        let record = record.expect("a row");
        let value = |name: &str, text: &str| match (name, text) {
            (_, "") => serde_json::Value::Null,
            ("Quantity" | "UnitPrice", text) => serde_json::from_str(text).expect("a number"),
            (_, text) => text.into(),
        };
        let object: serde_json::Map<_, _> = header.iter().zip(&record).map(|(name, text)| (name.to_string(), value(name, text))).collect();
        out += &serde_json::to_string(&object).expect("an object");
        out.push('\n');
    }
    out
}

/// The counts are those of an independent script.
#[test]
fn the_sample_is_accounted_for_row_by_row() {
    let import = sample();
    let account = &import.account;
    assert_eq!((account.rows, account.accepted, account.merged), (323, 264, 7));
    assert_eq!(rejected(account), [("cancellation", 30), ("non_product", 16), ("quantity_not_positive", 3), ("price_not_positive", 3)]);
    assert!(account.adds_up());
    assert_eq!((import.orders.len(), import.skus.len(), import.customers.len()), (19, 238, 16));
    let lines = || import.orders.iter().flat_map(|order| &order.lines);
    assert_eq!(lines().count() as u64, account.accepted);
    assert_eq!(lines().map(|line| u64::from(line.qty)).sum::<u64>(), 3052);
    assert_eq!(lines().map(|line| line.unit_price.0 * i64::from(line.qty)).sum::<i64>(), 623_376);
    assert_eq!(import.started, "2010-12-01T08:26:00");
    assert_eq!(import.span, Span::from_secs(25_761_360));
    assert_eq!(import.orders.iter().filter(|order| order.region == Region::East).count(), 15);
}

#[test]
fn orders_are_in_time_order_and_begin_at_zero() {
    let import = sample();
    assert!(import.orders.is_sorted_by_key(|order| order.placed_at));
    let first = &import.orders[0];
    assert_eq!((first.id.as_str(), first.placed_at, first.lines.len()), ("536365", Timestamp::ZERO, 7));
    let line = first.lines[0];
    assert_eq!((import.skus[line.sku as usize].as_str(), line.qty, line.unit_price), ("85123A", 6, Money(255)));
    assert_eq!(first.customer.map(|customer| import.customers[customer as usize].as_str()), Some("17850.0"));
    assert!(import.orders.iter().all(|order| !order.lines.is_empty()));
}

#[test]
fn gzip_and_json_lines_say_the_same_as_csv() {
    let expected = sample();
    let json = ndjson(SAMPLE);
    for bytes in [gzip(SAMPLE.as_bytes()), json.clone().into_bytes(), gzip(json.as_bytes())] {
        let mut import = read(bytes).expect("the sample is sound");
        // Empty lines aside, the two forms differ only in the line numbers of the examples: JSON has no header.
        assert_eq!(import.account.rejected, expected.account.rejected);
        import.account.examples.clone_from(&expected.account.examples);
        assert_eq!(import, expected);
    }
    // Two gzip members, as concatenated logs have them.
    let (head, tail) = SAMPLE.split_at(SAMPLE.len() / 2);
    assert_eq!(read([gzip(head.as_bytes()), gzip(tail.as_bytes())].concat()).as_ref(), Ok(&expected));
}

#[test]
fn byte_order_mark_carriage_returns_and_blank_lines_change_nothing() {
    let expected = sample();
    let windows = format!("\u{feff}{}\r\n", SAMPLE.replace('\n', "\r\n"));
    assert!(read(&windows).as_ref() == Ok(&expected));
    assert!(read(gzip(windows.as_bytes())).as_ref() == Ok(&expected));
    let json = format!("\u{feff}\n{}\r\n", ndjson(SAMPLE).replace('\n', "\r\n"));
    assert_eq!(read(json).map(|import| import.orders), Ok(expected.orders));
}

/// As a pipe may do.
struct ByteByByte<'a>(&'a [u8]);

impl Read for ByteByByte<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(1);
        self.0.read(&mut into[..most])
    }
}

#[test]
fn a_reader_that_hands_out_single_bytes_changes_nothing() {
    let expected = sample();
    for bytes in [format!("\u{feff}{SAMPLE}").into_bytes(), gzip(SAMPLE.as_bytes())] {
        assert!(import(ByteByByte(&bytes), "orders.csv", &columns()).as_ref() == Ok(&expected));
    }
}

const GOOD: &str = "1,A,thing,2,2011-01-02 03:04:05,2.55,7,Germany";

#[test]
fn every_flaw_has_its_reason_and_keeps_its_line() {
    let flaws = [
        ("1,A,thing,2,2011-01-02 03:04:05,2.55,7", Reason::MalformedRow),
        ("1,A,thing,2,2011-01-02 03:04:05,2.55,7,Germany,more", Reason::MalformedRow),
        (" ,A,thing,2,2011-01-02 03:04:05,2.55,7,Germany", Reason::MissingField),
        ("1,,thing,2,2011-01-02 03:04:05,2.55,7,Germany", Reason::MissingField),
        ("1,A,thing,,2011-01-02 03:04:05,2.55,7,Germany", Reason::MissingField),
        ("1,A,thing,2,,2.55,7,Germany", Reason::MissingField),
        ("1,A,thing,2,2011-01-02 03:04:05,,7,Germany", Reason::MissingField),
        ("C1,,,,,,,", Reason::Cancellation),
        ("1,post,thing,2,2011-01-02 03:04:05,2.55,7,Germany", Reason::NonProduct),
        ("1,gift_0001_20,thing,2,2011-01-02 03:04:05,2.55,7,Germany", Reason::NonProduct),
        ("1,A,thing,two,2011-01-02 03:04:05,2.55,7,Germany", Reason::MalformedQuantity),
        ("1,A,thing,1.5,2011-01-02 03:04:05,2.55,7,Germany", Reason::MalformedQuantity),
        ("1,A,thing,0,2011-01-02 03:04:05,2.55,7,Germany", Reason::QuantityNotPositive),
        ("1,A,thing,-2,2011-01-02 03:04:05,2.55,7,Germany", Reason::QuantityNotPositive),
        ("1,A,thing,2,2011-01-02 03:04:05,\"2,55\",7,Germany", Reason::MalformedPrice),
        ("1,A,thing,2,2011-01-02 03:04:05,1e3,7,Germany", Reason::MalformedPrice),
        ("1,A,thing,2,2011-01-02 03:04:05,0.001,7,Germany", Reason::PriceTooFine),
        ("1,A,thing,2,2011-01-02 03:04:05,0.00,7,Germany", Reason::PriceNotPositive),
        ("1,A,thing,2,2011-01-02 03:04:05,-3,7,Germany", Reason::PriceNotPositive),
        ("1,A,thing,2,02.01.2011 03:04,2.55,7,Germany", Reason::MalformedTimestamp),
        ("1,A,thing,2,2011-02-30 03:04:05,2.55,7,Germany", Reason::MalformedTimestamp),
        ("1,A,thing,2,1011-01-02 03:04:05,2.55,7,Germany", Reason::MalformedTimestamp),
        ("1,A,thing,4294967296,2011-01-02 03:04:05,2.55,7,Germany", Reason::TooLarge),
        ("1,A,thing,99999999999999999999,2011-01-02 03:04:05,2.55,7,Germany", Reason::TooLarge),
        ("1,A,thing,2,2011-01-02 03:04:05,99999999999999999999,7,Germany", Reason::TooLarge),
        ("1,A,thing,2,2011-01-02 03:04:05,999999999999999,7,Germany", Reason::TooLarge),
        ("1,A,thing,4294967295,2011-01-02 03:04:05,2.55,7,Germany", Reason::TooLarge),
    ];
    for (flaw, reason) in flaws {
        let import = rows(&[GOOD, flaw]);
        let account = &import.account;
        assert_eq!((account.rows, account.accepted, account.merged, account.adds_up()), (2, 1, 0, true), "{flaw}");
        assert_eq!(account.rejected.keys().copied().collect::<Vec<_>>(), [reason], "{flaw}: {account}");
        assert_eq!(account.examples[&reason][0].line, 3, "{flaw}");
        assert_eq!(import.orders[0].lines, [SourceLine { sku: 0, qty: 2, unit_price: Money(255) }], "{flaw}");
    }
}

/// One quote too many makes a field of all that follows: every row in it is lost, and is told to be.
#[test]
fn rows_that_a_stray_quote_takes_in_are_rows_that_are_lost() {
    let row = |order: usize| GOOD.replacen('1', &order.to_string(), 1);
    let with = |broken: &[usize]| {
        let all: Vec<String> = (1..=40).map(|n| if broken.contains(&n) { row(n).replacen(",A,", ",\"A,", 1) } else { row(n) }).collect();
        rows(&all.iter().map(String::as_str).collect::<Vec<_>>()).account
    };
    for broken in [&[10][..], &[10, 30]] {
        let account = with(broken);
        assert_eq!((account.rows, account.adds_up()), (40, true), "{account}");
        assert!(account.accepted < 20 && rejected(&account)[0].0 == "malformed_row", "{account}");
        assert_eq!(account.examples[&Reason::MalformedRow][0].line, 11, "{account}");
    }
    // what somebody wrote over several lines is a field like any other
    let account = rows(&["1,A,\"two\nlines, of text\",2,2011-01-02 03:04:05,2.55,7,Germany", &row(2)]).account;
    assert_eq!((account.rows, account.accepted), (2, 2));
}

#[test]
fn bytes_that_are_no_text_are_refused_only_where_they_matter() {
    let latin1 = |row: &str| {
        [HEADER.as_bytes(), b"\n", GOOD.as_bytes(), b"\n", &row.bytes().map(|b| if b == b'#' { 0xa3 } else { b }).collect::<Vec<_>>()].concat()
    };
    let good = read(latin1("2,X,voucher #20,1,2011-01-02 03:04:05,1,7,Germany")).expect("the description is not read");
    assert_eq!(good.account.accepted, 2);
    let bad = read(latin1("2,X#,voucher,1,2011-01-02 03:04:05,1,7,Germany")).expect("the first row is good");
    assert_eq!(rejected(&bad.account), [("not_text", 1)]);
}

#[test]
fn flawed_json_is_the_rows_problem() {
    let good =
        r#"{"InvoiceNo":1,"StockCode":"A","Quantity":2.0,"InvoiceDate":"2011-01-02 03:04:05","UnitPrice":2.55,"CustomerID":null,"Country":"EIRE"}"#;
    let text = format!("{good}\n{{\"InvoiceNo\": \n[1]\n{}\n{}\n", good.replace("2.55", "[2.55]"), good.replace("2.0", "null"));
    let import = read(text).expect("the first row is good");
    assert_eq!(rejected(&import.account), [("malformed_row", 3), ("missing_field", 1)]);
    assert_eq!(import.account.examples[&Reason::MalformedRow].iter().map(|example| example.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!((import.orders[0].id.as_str(), import.orders[0].customer, import.orders[0].region), ("1", None, Region::East));
    let long = format!("{good}\n{{\"x\":\"{}\"}}\n{}\n", "y".repeat(3 << 20), good.replace(":1,", ":2,"));
    let import = read(long).expect("two rows are good");
    assert_eq!((import.account.rows, import.account.accepted), (3, 2));
}

#[test]
fn line_numbers_count_every_line_of_the_file() {
    let text = format!("{HEADER}\n\n{GOOD}\n2,A,\"two\nlines\",1,2011-01-02 03:04:05,1,,EIRE\n  \n\nC1,,,,,,,\nC2,,\"a\nb\",,,,,\nC3,,,,,,,");
    for text in [text.clone(), text.replace('\n', "\r\n"), text.clone() + "\n", text + "\r\n\r\n"] {
        let account = read(&text).expect("two rows are good").account;
        assert_eq!((account.rows, account.accepted), (5, 2));
        assert_eq!(account.examples[&Reason::Cancellation].iter().map(|example| example.line).collect::<Vec<_>>(), [8, 9, 11], "{text:?}");
    }
}

#[test]
fn only_the_first_examples_are_kept() {
    let mut many = vec![GOOD];
    many.extend(["C1,,,,,,,"; 50]);
    let account = rows(&many).account;
    assert_eq!(rejected(&account), [("cancellation", 50)]);
    assert_eq!(account.examples[&Reason::Cancellation].iter().map(|example| example.line).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(account.to_string().contains("50 cancellation (line 3: `C1`)"), "{account}");
}

#[test]
fn repeated_rows_merge_at_one_price_and_stand_apart_at_two() {
    let again =
        ["1,a,thing,3,2011-01-02 03:04:05,2.550,7,Germany", "1,A,thing,5,2011-01-02 03:04:05,2.56,7,Germany", "2,A,,1,2011-01-02 03:04:05,2.55,,"];
    let import = rows(&[GOOD, again[0], again[1], again[2]]);
    assert_eq!((import.account.accepted, import.account.merged), (3, 1));
    let lines: Vec<_> = import.orders[0].lines.iter().map(|line| (line.sku, line.qty, line.unit_price.0)).collect();
    assert_eq!(lines, [(0, 5, 255), (0, 5, 256)]);
    assert_eq!(import.orders[1].region, Region::West);

    let keep = parse_columns(&SHIPPED.replace("\"same_price\"", "\"keep\"").replace("fold_case = true", "fold_case = false"), "keep").expect("sound");
    let text = format!("{HEADER}\n{GOOD}\n{GOOD}\n{}\n", again[0]);
    let kept = import_with(&text, &keep);
    assert_eq!((kept.account.accepted, kept.account.merged), (3, 0));
    assert_eq!(kept.skus, ["A", "a"]);
}

#[test]
fn an_order_is_placed_at_the_earliest_of_its_rows() {
    let import = rows(&[GOOD, "2,X,,1,2011-01-02 03:04:05,1,,EIRE", "1,X,,1,2011-01-02 03:03:05,1,8,France", "3,X,,1,2011-01-02 03:05:00,1,,EIRE"]);
    let placed: Vec<_> = import.orders.iter().map(|order| (order.id.as_str(), order.placed_at)).collect();
    let at = |s| Timestamp(Span::from_secs(s).0);
    assert_eq!(placed, [("1", at(0)), ("2", at(60)), ("3", at(115))]);
    assert_eq!((import.started.as_str(), import.span), ("2011-01-02T03:03:05", Span::from_secs(115)));
}

#[test]
fn decimals_become_integers_exactly() {
    let cases = [("2.55", 255), ("0.29", 29), ("1.1", 110), ("10", 1000), (".5", 50), ("5.", 500), ("2.5500", 255), ("+1", 100), ("-1.01", -101)];
    for (text, minor) in cases {
        assert_eq!(exact(text, 2), Ok(minor), "{text}");
    }
    assert_eq!(exact("92233720368547758.07", 2), Ok(i64::MAX));
    assert_eq!(exact("92233720368547758.08", 2), Err(Inexact::TooLarge));
    assert_eq!((exact("6.0", 0), exact("6.5", 0), exact("0.001", 2)), (Ok(6), Err(Inexact::TooFine), Err(Inexact::TooFine)));
    for text in ["", ".", "-", "--1", "1.2.3", "1,5", "1e3", "0x1", "1 000", "NaN", "\u{0661}"] {
        assert_eq!(exact(text, 2), Err(Inexact::Malformed), "{text}");
    }
}

#[test]
fn an_offset_in_the_format_is_honoured() {
    let format = "%Y-%m-%dT%H:%M:%S%z";
    let map = parse_columns(&SHIPPED.replace("%Y-%m-%d %H:%M:%S", format), "offset").expect("sound");
    let text = format!("{HEADER}\n1,A,,1,2011-01-02T01:00:00+0200,1,,EIRE\n2,A,,1,2011-01-02T00:00:00+0000,1,,EIRE\n");
    let import = import_with(&text, &map);
    assert_eq!((import.started.as_str(), import.span), ("2011-01-01T23:00:00", Span::from_hours(1)));
}

/// What is sold on a Sunday evening in New York is not sold on a Monday.
#[test]
fn by_the_clock_on_the_wall_an_offset_is_left_out() {
    let map = parse_columns(&SHIPPED.replace("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"), "offset").expect("sound").by_wall_clock();
    let text = format!("{HEADER}\n1,A,,1,2011-01-02T21:00:00-0500,1,,EIRE\n2,A,,1,2011-01-02T22:00:00-0400,1,,EIRE\n");
    let import = import_with(&text, &map);
    assert_eq!((import.started.as_str(), import.span, import.notes.len()), ("2011-01-02T21:00:00", Span::from_hours(1), 0));
    // the hour of summer time is no matter, and another continent is
    let mixed = import_with(&text.replace("-0400", "+0900"), &map);
    assert!(mixed.notes.len() == 1 && mixed.notes[0].contains("from -5 h to 9 h"), "{:?}", mixed.notes);
}

#[test]
fn values_of_which_none_is_listed_are_told() {
    let map =
        |table: &str| parse_columns(&format!("{SHIPPED}\n[channel]\ncolumn = \"Description\"\nvalues = {{ {table} }}\n"), "listed").expect("sound");
    let text =
        format!("{HEADER}\n1,A,web,1,2011-01-02 01:00:00,1,,EIRE\n2,A,pos,1,2011-01-02 02:00:00,1,,EIRE\n3,A,web,1,2011-01-02 03:00:00,1,,EIRE\n");
    let notes = |table: &str| import_with(&text, &map(table)).notes.into_iter().filter(|note| note.contains("`channel`")).collect::<Vec<_>>();
    let says = notes("Web = \"web\", POS = \"store\"");
    assert!(says.len() == 1 && says[0].contains("in column `Description`") && says[0].contains("`web`, 2 times; `pos`, 1 times"), "{says:?}");
    assert_eq!(notes("web = \"web\", POS = \"store\""), [""; 0]);
}

/// The message of the file as a whole.
fn failure(bytes: impl AsRef<[u8]>, name: &str) -> String {
    import(bytes.as_ref(), name, &columns()).expect_err("not importable").to_string()
}

#[test]
fn a_missing_column_is_named_with_the_nearest_and_all_there_are() {
    let text = SAMPLE.replacen("InvoiceNo", "Invoice_No", 1).replacen("Quantity", "Menge", 1);
    let message = failure(&text, "orders.csv");
    assert!(message.starts_with("orders.csv:1: no column `InvoiceNo`, which `order.column` names; is it `Invoice_No`?"), "{message}");
    assert!(message.contains("no column `Quantity`, which `quantity.column` names\n"), "{message}");
    assert!(message.contains("the file has the columns `Invoice_No`, `StockCode`, `Description`, `Menge`"), "{message}");
    let message = failure(ndjson(&text), "orders.ndjson");
    assert!(message.contains("no column `InvoiceNo`") && message.contains("is it `Invoice_No`?"), "{message}");
    assert!(message.starts_with("orders.ndjson:1: "), "the first object shows it: {message}");
    let nested = "{\"InvoiceNo\":\"1\",\"lines\":[{\"StockCode\":\"A\"}]}\n".repeat(3);
    let message = failure(format!("\n{nested}"), "orders.ndjson");
    assert!(
        message.starts_with("orders.ndjson:2: no column") && message.contains("`lines` is a list") && message.contains("--format csv"),
        "{message}"
    );
    let message = failure(SAMPLE.replacen("Country", "InvoiceNo", 1), "orders.csv");
    assert!(message.contains("no column `Country`"), "{message}");
    let message = failure(SAMPLE.replacen("Description", "InvoiceNo", 1), "orders.csv");
    assert!(message.contains("more than one column `InvoiceNo`"), "{message}");
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused_with_their_name() {
    let message = failure(SAMPLE.replace(',', ";"), "orders.csv");
    assert!(message.contains("set `delimiter`") && message.contains("';'"), "{message}");
    assert!(failure(SAMPLE, "orders.csv.gz").starts_with("orders.csv.gz: the name ends in `.gz`, but"));
    assert!(failure("", "orders.csv").contains("the file is empty"));
    assert!(failure(gzip(b""), "orders.csv").contains("the file is empty"));
    assert!(failure(b"PK\x03\x04....", "orders.xlsx").contains("workbook"));
    assert!(failure(b"\xff\xfeI\0n\0", "orders.csv").contains("UTF-16"));
    let whole = gzip(SAMPLE.as_bytes());
    let message = failure(&whole[..whole.len() / 2], "orders.csv.gz");
    assert!(message.contains("cannot be read on") && message.starts_with("orders.csv.gz:"), "{message}");
    let message = failure(format!("{HEADER}\nC1,,,,,,,\n"), "orders.csv");
    assert!(message.contains("no row became an order line") && message.contains("1 cancellation (line 2: `C1`)"), "{message}");
    let message = failure(format!("{HEADER}\n1,A,,1,1.2.2011,1,,EIRE\n"), "orders.csv");
    assert!(
        message.contains("1 malformed_timestamp") && message.contains("\n  help: malformed_timestamp: `placed_at.format` of the column map"),
        "{message}"
    );
    assert!(failure(HEADER, "orders.csv").ends_with("there is a header and no row below it"));
    assert!(failure("{\n\"InvoiceNo\": 1\n}\n", "orders.json").contains("not a JSON object on one line"));
}

#[test]
fn a_reader_that_fails_says_where() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let error = import(SAMPLE.as_bytes().chain(Broken), "orders.csv", &columns()).expect_err("not importable");
    assert!(error.line > Some(1) && error.message.contains("the disk is gone"), "{error}");
    let error = import(Broken, "orders.csv", &columns()).expect_err("not importable");
    assert!(error.line.is_none() && error.message.contains("the disk is gone"), "{error}");
}

#[test]
fn a_columns_map_that_cannot_work_is_refused() {
    let problems = |from: &str, to: &str| {
        assert!(SHIPPED.contains(from), "{from}");
        parse_columns(&SHIPPED.replace(from, to), "map.toml").expect_err(to).to_string()
    };
    assert!(problems("delimiter = \",\"", "delimiter = \"\\\"\"").contains("`delimiter`"));
    assert!(problems("minor_digits = 2", "minor_digits = 9").contains("`price.minor_digits`"));
    assert!(problems("%Y-%m-%d %H:%M:%S", "%H:%M").contains("`placed_at.format`"));
    assert!(problems("%Y-%m-%d %H:%M:%S", "%Q-").contains("`placed_at.format`"));
    assert!(problems("gift_*", "gift_[").contains("`sku.non_product_patterns`"));
    assert!(problems("[\"C\"]", "[\"\"]").contains("`order.cancellation_prefixes`"));
    assert!(problems("east = [", "west = [\"EIRE\"]\neast = [").contains("listed as east and as west"));
    let east = "east = [\"United Kingdom\", \"Channel Islands\", \"EIRE\"]";
    let said = problems(east, "");
    assert!(said.contains("map.toml: `region`: no value of column `Country` is listed") && said.contains("leave `[region]` out"), "{said}");
    let channel = |rest: &str| format!("{east}\n[channel]\ncolumn = \"Country\"\n{rest}");
    let said = problems(east, &channel(""));
    assert!(said.contains("`channel`: no value of column `Country` is listed, so every order would come through `web`"), "{said}");
    assert!(said.contains("values = {") && said.contains("leave `[channel]` out"), "{said}");
    // all through one channel may be meant
    for rest in ["otherwise = \"store\"", "values = { EIRE = \"app\" }"] {
        assert!(parse_columns(&SHIPPED.replace(east, &channel(rest)), "map.toml").is_ok(), "{rest}");
    }
    assert!(problems("fold_case", "fold_cases").contains("unknown field `fold_cases`"));
    let both = problems("minor_digits = 2", "minor_digits = 9\n[extra]\n");
    assert!(both.starts_with("map.toml: "), "{both}");
}

/// The schema is what editors check a map with: it must refuse what the decoder refuses.
#[test]
fn the_schema_of_a_columns_map_knows_the_keys_that_the_shipped_map_uses() {
    let schema = serde_json::to_value(schemars::schema_for!(crate::workload::ColumnsFile)).expect("a schema is JSON");
    assert_eq!(schema["additionalProperties"], false);
    let shipped: toml::Table = toml::from_str(SHIPPED).expect("TOML");
    assert!(shipped.keys().all(|key| schema["properties"].get(key).is_some()));
}

#[test]
fn opening_stock_and_receipts_are_exactly_the_demand() {
    let import = sample();
    for share in [0.0, 0.5, 0.98, 1.0, 7.0, -1.0, f64::NAN] {
        let opening = opening_stock(&import, share);
        let receipts = replenishment(&import, &opening, DEFAULT_RECEIPT_LAG);
        let units = opening.iter().map(|stock| stock.units).sum::<u64>() + receipts.iter().map(|receipt| receipt.units).sum::<u64>();
        assert_eq!(units, 3052, "share {share}");
        assert!(opening.iter().all(|stock| stock.units > 0));
        assert!(receipts.is_sorted());
        assert_eq!(receipts.is_empty(), share >= 1.0);
    }
}

#[test]
fn a_receipt_comes_after_the_order_with_which_the_stock_runs_out() {
    let row = |order: u32, qty: u32, minute: u32| format!("{order},A,,{qty},2011-01-02 03:{minute:02}:00,1,,EIRE");
    let texts: Vec<String> = (0..10).map(|i| row(i, 10, i)).chain([row(90, 1, 0).replace("EIRE", "Japan")]).collect();
    let import = rows(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let opening = opening_stock(&import, 0.29);
    let units: Vec<_> = opening.iter().map(|stock| (stock.sku, stock.region, stock.units)).collect();
    assert_eq!(units, [(0, Region::East, 29), (0, Region::West, 1)]);
    let receipts = replenishment(&import, &opening, Span::from_mins(1));
    assert_eq!(receipts, [crate::workload::Receipt { at: Timestamp(Span::from_mins(3).0), sku: 0, region: Region::East, units: 71 }]);
}

/// The whole data set, where it is at hand; the counts are those of an independent script.
#[test]
fn the_whole_history_is_accounted_for_row_by_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/online-retail.csv.gz");
    let Ok(file) = std::fs::File::open(path) else {
        eprintln!("NOT RUN: the whole data set is not at hand");
        return;
    };
    let import = import(file, "online-retail.csv.gz", &columns()).expect("the data set is sound");
    let account = &import.account;
    eprintln!("{account}");
    assert_eq!((account.rows, account.accepted, account.merged), (541_909, 517_736, 10_022));
    assert_eq!(rejected(account), [("cancellation", 9288), ("non_product", 2366), ("quantity_not_positive", 1336), ("price_not_positive", 1161)]);
    assert!(account.adds_up());
    assert_eq!((import.orders.len(), import.skus.len(), import.customers.len()), (19_773, 3798, 4334));
    let units: u64 = import.orders.iter().flat_map(|order| &order.lines).map(|line| u64::from(line.qty)).sum();
    let value: i64 = import.orders.iter().flat_map(|order| &order.lines).map(|line| line.unit_price.0 * i64::from(line.qty)).sum();
    assert_eq!((units, value), (5_577_100, 1_027_143_306));
    assert_eq!((import.started.as_str(), import.span), ("2010-12-01T08:26:00", Span::from_secs(32_243_040)));
    assert_eq!(import.orders.iter().filter(|order| order.region == Region::East).count(), 18_208);
}
