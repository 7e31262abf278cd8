//! Names to ids. Our own text forms read back as the numbers they were written from; every other text gets a number of its own.

use super::{Fid, Id, OrderNo};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex};

/// Numbers of foreign texts have the two top bits set and the rest from a hash of the text, so that the partitions of one case
/// give the same number to the same text.
const FOREIGN: u64 = 3 << 62;
const FOREIGN_ORDER: u32 = 1 << 31;
/// No run of ours has more orders, probes aside: a greater number in the form `O17` is another program's name, for our numbers are dense and may
/// be kept in tables.
const MOST_ORDERS: u32 = 100_000_000;

/// Texts that are not our own, as other programs name their orders and messages.
#[derive(Default, Debug)]
pub struct ForeignNames {
    ids: Interner,
    fids: Interner,
    orders: FxHashMap<String, u32>,
    order_names: Vec<String>,
}

/// The hash FNV-1a of 64 bits: the same on every machine and in every version.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[derive(Default, Debug)]
struct Interner {
    numbers: FxHashMap<String, u64>,
    names: FxHashMap<u64, String>,
}

impl Interner {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // spread once more; taken numbers are stepped over
        let hash = fnv1a(text.as_bytes());
        let mut number = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | FOREIGN;
        while self.names.contains_key(&number) {
            number = number.wrapping_add(1) | FOREIGN;
        }
        self.numbers.insert(text.to_owned(), number);
        self.names.insert(number, text.to_owned());
        number
    }
}

/// The names of one live case, shared by the threads that read and write its messages.
pub type SharedNames = Arc<Mutex<ForeignNames>>;

/// An id of ours as it is written. Each message has several, and the formatter of `std` takes longer for each than its header.
fn hex(number: u64) -> String {
    let digits: [u8; 16] = std::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15]);
    let leading = (number.leading_zeros() as usize / 4).min(15);
    str::from_utf8(&digits[leading..]).unwrap_or_default().to_owned()
}

impl ForeignNames {
    /// Does this number of an id stand for a text of somebody else's?
    pub fn is_foreign(number: u64) -> bool {
        number >= FOREIGN
    }

    pub fn id(&mut self, text: &str) -> Id {
        match text {
            "" => Id::NONE,
            text => Id(canonical_hex(text).unwrap_or_else(|| self.ids.number(text))),
        }
    }

    pub fn fid(&mut self, text: &str) -> Fid {
        match text {
            "" => Fid::NONE,
            text => Fid(text.strip_prefix('F').and_then(canonical_hex).unwrap_or_else(|| self.fids.number(text))),
        }
    }

    pub fn order(&mut self, text: &str) -> OrderNo {
        if text.is_empty() {
            return OrderNo::NONE;
        }
        if let Some(number) = own_order(text) {
            return OrderNo(number);
        }
        if let Some(number) = self.orders.get(text) {
            return OrderNo(*number);
        }
        let number = FOREIGN_ORDER | self.order_names.len() as u32;
        self.orders.insert(text.to_owned(), number);
        self.order_names.push(text.to_owned());
        OrderNo(number)
    }

    /// The text an id was read from.
    pub fn show_id(&self, id: Id) -> String {
        self.ids.names.get(&id.0).cloned().unwrap_or_else(|| hex(id.0))
    }

    pub fn show_fid(&self, fid: Fid) -> String {
        self.fids.names.get(&fid.0).cloned().unwrap_or_else(|| fid.to_string())
    }

    pub fn show_order(&self, order: OrderNo) -> String {
        let foreign = order.0.checked_sub(FOREIGN_ORDER).and_then(|k| self.order_names.get(k as usize));
        foreign.cloned().unwrap_or_else(|| order.to_string())
    }

    /// The order that a user means by a text, without making a new number for it.
    pub fn find_order(&self, text: &str) -> Option<OrderNo> {
        self.orders.get(text).copied().or_else(|| own_order(text)).map(OrderNo)
    }

    /// A text of ours (a finding, say) in the file's own words: the numbers that stand for foreign texts give way to them.
    pub fn retell(&self, text: &str) -> String {
        each_word(text, |word| self.foreign_text(word).map(str::to_owned))
    }

    /// The foreign text that one of our words stands for.
    fn foreign_text(&self, word: &str) -> Option<&str> {
        let order = || {
            let number = word.strip_prefix('O')?.parse::<u32>().ok()?.checked_sub(FOREIGN_ORDER)?;
            self.order_names.get(number as usize)
        };
        let id = || (word.len() == 16).then(|| canonical_hex(word)).flatten().and_then(|id| self.ids.names.get(&id));
        let fid = || word.strip_prefix('F').filter(|hex| hex.len() == 16).and_then(canonical_hex).and_then(|fid| self.fids.names.get(&fid));
        order().or_else(id).or_else(fid).map(String::as_str)
    }
}

/// Is this how a probe order of the harness is written?
pub fn names_probe(text: &str) -> bool {
    own_order(text).is_some_and(|number| OrderNo(number).is_probe())
}

/// A text for people, in which the harness's own orders are called so: nobody placed an order of such a number.
pub fn tell_probes(text: &str) -> String {
    each_word(text, |word| names_probe(word).then(|| format!("probe order {word}")))
}

/// A text in which some words give way to others.
fn each_word(text: &str, other: impl Fn(&str) -> Option<String>) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let length = rest[start..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - start);
        let word = &rest[start..start + length];
        told.push_str(&rest[..start]);
        told.push_str(other(word).as_deref().unwrap_or(word));
        rest = &rest[start + length..];
    }
    told + rest
}

/// Exactly what `{:x}` writes: lower case, no leading zero. Anything else is a name and keeps its spelling.
fn canonical_hex(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 16 || bytes[0] == b'0' {
        return None;
    }
    bytes.iter().try_fold(0u64, |value, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

fn own_order(text: &str) -> Option<u32> {
    text.strip_prefix('O').and_then(canonical_decimal).filter(|number| *number <= MOST_ORDERS || OrderNo(*number).is_probe())
}

fn canonical_decimal(text: &str) -> Option<u32> {
    (text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_orders_are_called_so_and_no_other_word_is_touched() {
        let told = tell_probes("refund of O17: O4294967040 was shipped, O4294967039 and F4294967040 were not");
        assert_eq!(told, "refund of O17: probe order O4294967040 was shipped, O4294967039 and F4294967040 were not");
    }

    #[test]
    fn an_id_is_written_as_std_writes_it() {
        for number in [0, 1, 9, 15, 16, 0xabc, 0x1000, u64::MAX >> 4, u64::MAX] {
            assert_eq!(hex(number), Id(number).to_string());
        }
    }
}
