//! What a history amounts to, as a few words: equal for equal histories, and never seen equal for others. It is folded over the content of
//! entries and not over their text, so a run that keeps no history does not have to write one to have it.

use super::{Entry, Header, Observer};
use crate::model::{LineQty, Order};
use sha2::{Digest as _, Sha256};

/// Odd words without a pattern: the digits of the golden ratio and of three square roots.
const SALT: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b];

/// A fold over the header and every entry. Not made to resist forgers: it tells whether two runs did the same. The footer of a file has a
/// SHA-256 for whoever must know that nobody changed it.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    sha: Sha256,
    lanes: [u64; 2],
    entries: u64,
}

impl Fingerprint {
    pub fn new(header: &Header) -> Fingerprint {
        let mut sha = Sha256::new();
        sha.update(serde_json::to_vec(header).unwrap_or_default());
        Fingerprint { sha, lanes: [SALT[0], SALT[1]], entries: 0 }
    }

    /// Of a history that is there.
    pub fn of(header: &Header, entries: &[Entry]) -> String {
        let mut fingerprint = Fingerprint::new(header);
        entries.iter().for_each(|entry| fingerprint.observe(entry));
        fingerprint.hex()
    }

    /// 64 hexadecimal digits.
    pub fn hex(mut self) -> String {
        for word in [self.entries, self.lanes[0], self.lanes[1]] {
            self.sha.update(word.to_le_bytes());
        }
        hex(&self.sha.finalize())
    }

    /// Both halves of a product depend on every bit of both factors (wyhash mixes so); what was there before is kept beside them, so that a
    /// factor of zero, one chance in 2^64, forgets these two words and nothing else.
    fn mix(&mut self, first: u64, second: u64) {
        let [left, right] = self.lanes;
        let product = u128::from(left ^ first ^ SALT[2]) * u128::from(right ^ second ^ SALT[3]);
        self.lanes = [product as u64 ^ right.rotate_left(29), (product >> 64) as u64 ^ left.rotate_left(17)];
    }

    fn line(&mut self, line: &LineQty) {
        self.mix(two(line.sku.0, line.qty as u32), two(line.seq, line.line.0.into()));
    }

    fn body(&mut self, order: &Order) {
        let Order { channel, ship_to, customer, lines, shipping, ship_complete } = order;
        self.mix(two(*customer, (*channel as u32) << 16 | (*ship_to as u32) << 8 | u32::from(*ship_complete)), shipping.0 as u64);
        self.mix(lines.len() as u64, 0);
        for line in lines {
            self.mix(two(line.sku.0, line.qty), line.unit_price.0 as u64);
            self.mix(line.discount.0 as u64, line.tax.0 as u64);
            self.mix(two(u32::from(line.line.0) << 8 | line.fulfil as u32, line.node.0.into()), 0);
        }
    }
}

fn two(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl Observer for Fingerprint {
    fn observe(&mut self, entry: &Entry) {
        self.entries += 1;
        let Entry { n, at, due, kind, outcome, msg } = entry;
        let small = [*kind as u8, *outcome as u8, msg.op as u8, msg.code as u8, u8::from(msg.drift), u8::from(msg.body.is_some())];
        let small = small.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.mix(*n, at.0);
        self.mix(due.0, small);
        self.mix(msg.id.0, msg.key.0);
        self.mix(msg.cause.0, msg.corr.0);
        self.mix(msg.fulfillment.0, msg.ret.0);
        self.mix(msg.pay.0, msg.amount.0 as u64);
        self.mix(two(msg.order.0, msg.sku.0), two(msg.qty as u32, msg.seq));
        self.mix(two(msg.rule_version, msg.lines.len() as u32), two(msg.node.0.into(), msg.line.0.into()));
        msg.lines.iter().for_each(|line| self.line(line));
        if let Some(order) = &msg.body {
            self.body(order);
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    text
}

/// One over several, in order; a single one stands for itself, and of none there is none.
#[derive(Default)]
pub struct Fingerprints {
    first: String,
    sha: Sha256,
    count: u64,
}

impl Fingerprints {
    pub fn of<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
        let mut sum = Fingerprints::default();
        all.into_iter().for_each(|one| sum.add(one));
        sum.hex()
    }

    pub fn add(&mut self, one: &str) {
        if self.count == 0 {
            self.first = one.into();
        }
        self.count += 1;
        self.sha.update(one.as_bytes());
        self.sha.update(b"\n");
    }

    pub fn hex(self) -> String {
        if self.count > 1 { hex(&self.sha.finalize()) } else { self.first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Kind;
    use crate::model::{Channel, Code, Fid, Fulfil, Id, LineNo, Message, Money, NodeId, Op, OrderLine, OrderNo, Outcome, Region, SkuId};
    use crate::sim::Timestamp;
    use std::sync::Arc;

    fn entry() -> Entry {
        let order = Order { lines: vec![OrderLine::default(), OrderLine::default()], ..Order::default() };
        let mut msg = Message { body: Some(Arc::new(order)), ..Message::of_order(Op::PlaceOrder, Id(2), OrderNo(1)) };
        msg.lines.extend([LineQty::default(), LineQty::default()]);
        Entry { n: 1, at: Timestamp(5), due: Timestamp(4), kind: Kind::Sent, outcome: Outcome::None, msg: msg.into() }
    }

    fn of(entries: &[Entry]) -> String {
        Fingerprint::of(&Header::default(), entries)
    }

    #[test]
    fn every_field_of_every_entry_counts() {
        fn body(e: &mut Entry) -> &mut Order {
            msg(e).body.as_mut().map(Arc::make_mut).expect("a body")
        }
        fn msg(e: &mut Entry) -> &mut Message {
            Arc::make_mut(&mut e.msg)
        }
        let changes: [fn(&mut Entry); 39] = [
            |e| e.n += 1,
            |e| e.at.0 += 1,
            |e| e.due.0 += 1,
            |e| e.kind = Kind::Reply,
            |e| e.outcome = Outcome::Ok,
            |e| msg(e).op = Op::CancelOrder,
            |e| msg(e).id.0 += 2,
            |e| msg(e).key.0 += 1,
            |e| msg(e).order.0 += 1,
            |e| msg(e).fulfillment = Fid(1),
            |e| msg(e).ret.0 += 1,
            |e| msg(e).pay.0 += 1,
            |e| msg(e).node = NodeId(1),
            |e| msg(e).sku = SkuId(1),
            |e| msg(e).line = LineNo(1),
            |e| msg(e).qty = 1,
            |e| msg(e).qty = -1,
            |e| msg(e).amount = Money(1),
            |e| msg(e).code = Code::Invalid,
            |e| msg(e).seq += 1,
            |e| msg(e).rule_version += 1,
            |e| msg(e).cause.0 += 1,
            |e| msg(e).corr.0 += 1,
            |e| msg(e).drift = true,
            |e| msg(e).lines[1].sku = SkuId(1),
            |e| msg(e).lines[1].qty = 1,
            |e| msg(e).lines[0].seq = 1,
            |e| msg(e).lines[1].line = LineNo(1),
            |e| msg(e).lines.truncate(1),
            |e| msg(e).body = None,
            |e| body(e).customer += 1,
            |e| body(e).channel = Channel::App,
            |e| body(e).ship_to = Region::West,
            |e| body(e).ship_complete = true,
            |e| body(e).shipping = Money(1),
            |e| body(e).lines[1].unit_price = Money(1),
            |e| body(e).lines[1].tax = Money(1),
            |e| body(e).lines[0].fulfil = Fulfil::Pickup,
            |e| body(e).lines.truncate(1),
        ];
        let mut seen = vec![of(&[entry()])];
        for change in changes {
            let mut changed = entry();
            change(&mut changed);
            assert_ne!(changed, entry());
            seen.push(of(&[changed]));
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn so_do_order_number_and_the_header() {
        let (first, second) = (entry(), Entry { n: 2, ..entry() });
        let both = of(&[first.clone(), second.clone()]);
        assert_eq!(both, of(&[first.clone(), second.clone()]));
        for other in [of(&[second.clone(), first.clone()]), of(std::slice::from_ref(&first)), of(&[first.clone(), first.clone(), second.clone()])] {
            assert_ne!(both, other);
        }
        let header = Header { seed: 7, ..Header::default() };
        assert_ne!(both, Fingerprint::of(&header, &[first, second]));
    }

    #[test]
    fn several_make_one_in_their_order() {
        assert_eq!(Fingerprints::of(["a"]), "a");
        assert_ne!(Fingerprints::of(["a", "b"]), Fingerprints::of(["b", "a"]));
        assert_eq!(Fingerprints::of([]), "");
    }
}
