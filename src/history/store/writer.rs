//! Entries to bytes. This runs once for every entry of every run that keeps its history, so it formats by hand into one reused buffer.

use super::people::push_person;
use crate::history::fingerprint::hex;
use crate::history::{Entry, Header, Observer};
use crate::model::{
    Code, Fid, Fixture, ForeignNames, Fulfil, Id, LineNo, Lines, NodeId, Op, Order, OrderLine, OrderNo, Outcome, Region, SharedNames, SkuId,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::PoisonError;

/// Bytes are digested and handed on in blocks of this size.
const BLOCK: usize = 64 * 1024;

enum Sink<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
}

impl<W: Write> Sink<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Plain(w) => w.write_all(bytes),
            Sink::Gzip(w) => w.write_all(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Plain(w) => w.flush(),
            Sink::Gzip(w) => w.flush(),
        }
    }
    fn finish(self) -> io::Result<()> {
        match self {
            Sink::Plain(mut w) => w.flush(),
            Sink::Gzip(w) => w.finish()?.flush(),
        }
    }
}

/// Writes a history and digests it. Dropped without [`finish`](HistoryWriter::finish), it leaves a file without a
/// footer, which is what a run that was cut short should leave.
pub struct HistoryWriter<W: Write> {
    sink: Sink<W>,
    buf: Vec<u8>,
    sha: Sha256,
    entries: u64,
    /// names as JSON strings, by id - 1
    nodes: Vec<Vec<u8>>,
    skus: Vec<Vec<u8>>,
    /// texts of a live target that some ids stand for
    names: Option<SharedNames>,
    error: Option<io::Error>,
}

impl HistoryWriter<BufWriter<File>> {
    /// Creates the file, gzipped where its name ends in `.gz`. It is written in place: after a crash what was
    /// recorded so far should be found under its own name.
    pub fn create(path: &Path, header: &Header) -> io::Result<HistoryWriter<BufWriter<File>>> {
        let file = BufWriter::new(File::create(path)?);
        Ok(if path.extension().is_some_and(|ext| ext == "gz") { HistoryWriter::gzip(file, header) } else { HistoryWriter::plain(file, header) })
    }
}

impl<W: Write> HistoryWriter<W> {
    pub fn plain(sink: W, header: &Header) -> HistoryWriter<W> {
        HistoryWriter::new(Sink::Plain(sink), header)
    }

    /// Compressed, with neither a time nor a file name in the gzip header, so that equal histories are equal files.
    pub fn gzip(sink: W, header: &Header) -> HistoryWriter<W> {
        HistoryWriter::new(Sink::Gzip(GzEncoder::new(sink, Compression::fast())), header)
    }

    fn new(sink: Sink<W>, header: &Header) -> HistoryWriter<W> {
        let (nodes, skus) = quoted_names(&header.fixture);
        let mut writer =
            HistoryWriter { sink, buf: Vec::with_capacity(BLOCK + 4096), sha: Sha256::new(), entries: 0, nodes, skus, names: None, error: None };
        if let Err(error) = serde_json::to_writer(&mut writer.buf, header) {
            writer.error = Some(error.into());
        }
        writer.buf.push(b'\n');
        writer
    }

    /// Ids that stand for texts of the target are written as it wrote them.
    pub fn naming(self, names: SharedNames) -> HistoryWriter<W> {
        HistoryWriter { names: Some(names), ..self }
    }

    /// Puts on the disk what there is so far, so that whoever is killed leaves at least that. Compressed, it costs some bytes each time.
    pub fn flush(&mut self) {
        self.flush_block();
        if self.error.is_none()
            && let Err(error) = self.sink.flush()
        {
            self.error = Some(error);
        }
    }

    fn flush_block(&mut self) {
        self.sha.update(&self.buf);
        self.hand_on();
    }

    fn hand_on(&mut self) {
        if self.error.is_none()
            && let Err(error) = self.sink.write_all(&self.buf)
        {
            self.error = Some(error);
        }
        self.buf.clear();
    }

    /// Writes the footer and closes the file. Whatever went wrong since the beginning is said here.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush_block();
        let hex = hex(&std::mem::take(&mut self.sha).finalize());
        self.buf.extend_from_slice(b"{\"end\":{\"entries\":");
        push_u64(&mut self.buf, self.entries);
        self.buf.extend_from_slice(b",\"sha256\":\"");
        self.buf.extend_from_slice(hex.as_bytes());
        self.buf.extend_from_slice(b"\"}}\n");
        self.hand_on();
        match self.error {
            Some(error) => Err(error),
            None => self.sink.finish(),
        }
    }

    fn write_entry(&mut self, entry: &Entry) {
        let out = &mut self.buf;
        let msg = &entry.msg;
        let names = self.names.as_ref();
        out.extend_from_slice(b"{\"n\":");
        push_u64(out, entry.n);
        out.extend_from_slice(b",\"at\":");
        push_u64(out, entry.at.0);
        if entry.due != entry.at {
            key(out, "due");
            push_u64(out, entry.due.0);
        }
        key(out, "kind");
        quoted(out, entry.kind.name());
        if entry.outcome != Outcome::None {
            key(out, "outcome");
            quoted(out, entry.outcome.name());
        }
        key(out, "op");
        quoted(out, msg.op.name());
        push_id(out, "id", msg.id, names);
        push_id(out, "key", msg.key, names);
        push_order(out, msg.order);
        push_small(out, "line", msg.line.0.into());
        push_fid(out, msg.fulfillment, names);
        push_id(out, "ret", msg.ret, names);
        push_id(out, "pay", msg.pay, names);
        push_node(out, &self.nodes, msg.node);
        push_sku(out, &self.skus, msg.sku);
        push_small(out, "qty", msg.qty.into());
        push_small(out, "amount", msg.amount.0);
        if msg.code != Code::None {
            key(out, "code");
            quoted(out, msg.code.name());
        }
        push_small(out, "seq", msg.seq.into());
        push_small(out, "rule_version", msg.rule_version.into());
        push_id(out, "cause", msg.cause, names);
        if msg.drift {
            out.extend_from_slice(b",\"drift\":true");
        }
        push_id(out, "corr", msg.corr, names);
        push_lines(out, &self.skus, &msg.lines);
        if let Some(order) = &msg.body {
            push_body(out, &self.nodes, &self.skus, msg.op, order);
        }
        out.extend_from_slice(b"}\n");
        self.entries += 1;
        if self.buf.len() >= BLOCK {
            self.flush_block();
        }
    }
}

impl<W: Write> Observer for HistoryWriter<W> {
    fn observe(&mut self, entry: &Entry) {
        self.write_entry(entry);
    }
}

/// Names as they are written. An empty name, or one that looks like the `#3` that stands for an id without a name, would
/// not read back.
fn quoted_names(fixture: &Fixture) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let quote = |name: &str| match name {
        "" => Vec::new(),
        hash if hash.starts_with('#') => Vec::new(),
        name => serde_json::to_vec(name).unwrap_or_default(),
    };
    (fixture.nodes.iter().map(|node| quote(&node.name)).collect(), fixture.products.iter().map(|product| quote(&product.name)).collect())
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Only for texts that need no escapes: our own names.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

fn push_hex(out: &mut Vec<u8>, value: u64) {
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * digit) & 15) as usize]);
    }
}

fn push_small(out: &mut Vec<u8>, name: &str, value: i64) {
    if value != 0 {
        key(out, name);
        push_i64(out, value);
    }
}

/// The text that a number of a foreign name stands for, in quotes.
fn push_foreign(out: &mut Vec<u8>, number: u64, names: Option<&SharedNames>, show: impl Fn(&ForeignNames) -> String) -> bool {
    let Some(names) = names.filter(|_| ForeignNames::is_foreign(number)) else { return false };
    let text = show(&names.lock().unwrap_or_else(PoisonError::into_inner));
    out.extend(serde_json::to_vec(&text).unwrap_or_default());
    true
}

fn push_id(out: &mut Vec<u8>, name: &str, id: Id, names: Option<&SharedNames>) {
    if id.is_some() {
        key(out, name);
        if !push_foreign(out, id.0, names, |names| names.show_id(id)) {
            out.push(b'"');
            push_hex(out, id.0);
            out.push(b'"');
        }
    }
}

fn push_fid(out: &mut Vec<u8>, fid: Fid, names: Option<&SharedNames>) {
    if fid.is_some() {
        key(out, "fulfillment");
        if !push_foreign(out, fid.0, names, |names| names.show_fid(fid)) {
            out.extend_from_slice(b"\"F");
            push_hex(out, fid.0);
            out.push(b'"');
        }
    }
}

fn push_order(out: &mut Vec<u8>, order: OrderNo) {
    if order.is_some() {
        out.extend_from_slice(b",\"order\":\"O");
        push_u64(out, order.0.into());
        out.push(b'"');
    }
}

fn push_name(out: &mut Vec<u8>, names: &[Vec<u8>], id: u64) {
    match names.get((id as usize).wrapping_sub(1)) {
        Some(name) if !name.is_empty() => out.extend_from_slice(name),
        _ => {
            out.extend_from_slice(b"\"#");
            push_u64(out, id);
            out.push(b'"');
        }
    }
}

fn push_node(out: &mut Vec<u8>, nodes: &[Vec<u8>], node: NodeId) {
    if node.is_some() {
        key(out, "node");
        push_name(out, nodes, node.0.into());
    }
}

fn push_sku(out: &mut Vec<u8>, skus: &[Vec<u8>], sku: SkuId) {
    if sku.is_some() {
        key(out, "sku");
        push_name(out, skus, sku.0.into());
    }
}

/// The first key of an object is written with a comma like every other; this takes it off again.
fn object(out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    fields(out);
    if out.len() > start {
        out[start] = b'{';
    } else {
        out.push(b'{');
    }
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, name: &str, items: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    if items.is_empty() {
        return;
    }
    key(out, name);
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

fn push_line_no(out: &mut Vec<u8>, line: LineNo) {
    push_small(out, "line", line.0.into());
}

fn push_lines(out: &mut Vec<u8>, skus: &[Vec<u8>], lines: &Lines) {
    list(out, "lines", lines, |out, line| {
        object(out, |out| {
            push_line_no(out, line.line);
            push_sku(out, skus, line.sku);
            push_small(out, "qty", line.qty.into());
            push_small(out, "seq", line.seq.into());
        });
    });
}

fn push_body(out: &mut Vec<u8>, nodes: &[Vec<u8>], skus: &[Vec<u8>], op: Op, order: &Order) {
    key(out, "body");
    object(out, |out| {
        key(out, "channel");
        quoted(out, order.channel.name());
        key(out, "ship_to");
        quoted(
            out,
            match order.ship_to {
                Region::East => "east",
                Region::West => "west",
            },
        );
        if op == Op::PlaceOrder || order.customer != 0 {
            key(out, "customer");
            object(out, |out| {
                push_small(out, "no", order.customer.into());
                if op == Op::PlaceOrder {
                    push_person(out, order.customer);
                }
            });
        }
        list(out, "lines", &order.lines, |out, line| push_order_line(out, nodes, skus, line));
        push_small(out, "shipping", order.shipping.0);
        if order.ship_complete {
            out.extend_from_slice(b",\"ship_complete\":true");
        }
    });
}

fn push_order_line(out: &mut Vec<u8>, nodes: &[Vec<u8>], skus: &[Vec<u8>], line: &OrderLine) {
    object(out, |out| {
        push_line_no(out, line.line);
        push_sku(out, skus, line.sku);
        push_small(out, "qty", line.qty.into());
        push_small(out, "unit_price", line.unit_price.0);
        push_small(out, "discount", line.discount.0);
        push_small(out, "tax", line.tax.0);
        if line.fulfil == Fulfil::Pickup {
            out.extend_from_slice(b",\"fulfil\":\"pickup\"");
        }
        push_node(out, nodes, line.node);
    });
}
