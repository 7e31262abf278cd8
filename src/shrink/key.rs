//! When two failures are the same: the same rule, about the same sort of thing, said in the same words but for the figures.

use crate::check::Finding;
use crate::model::Fixture;
use std::fmt;

/// What makes a failure the same as another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// the invariant, or `EXPECTATION`
    pub check: String,
    /// `order` or `stock`
    pub entity: &'static str,
    /// what was found, without figures and names, up to the first semicolon: what follows that is circumstance
    pub signature: String,
}

impl Key {
    pub fn of(finding: &Finding, estate: &Fixture) -> Key {
        let entity = if finding.order.is_some() { "order" } else { "stock" };
        Key { check: finding.check.clone(), entity, signature: signature(&finding.what, estate) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {}", self.check, self.entity, self.signature)
    }
}

fn signature(what: &str, estate: &Fixture) -> String {
    let what = what.split(';').next().unwrap_or(what);
    let mut words: Vec<&str> = Vec::new();
    for word in what.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let name = bare.split(['@', '~']).all(|name| estate.sku_named(name).is_some() || estate.node_named(name).is_some());
        // one unit or two
        let word = if bare.chars().any(|c| c.is_ascii_digit()) || name { "#" } else { bare.strip_suffix('s').unwrap_or(bare) };
        if !word.is_empty() && (word != "#" || words.last() != Some(&"#")) {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrderNo;

    fn key(check: &str, order: u32, what: &str) -> Key {
        let order = (order > 0).then_some(OrderNo(order));
        let finding = Finding { check: check.into(), order, what: what.into(), expected: String::new(), evidence: Vec::new() };
        Key::of(&finding, &crate::scenario::standard_fixture())
    }

    #[test]
    fn figures_and_names_do_not_matter_and_everything_else_does() {
        let one = key("SHIP_ONCE", 17, "O17: 3 units of A~4 left DC1, F2a, but 1 was ordered; it waits since 00:10");
        assert_eq!(one, key("SHIP_ONCE", 1, "O1: 1 unit of B left 3PL1, but 0 was ordered; it does not wait"));
        assert_ne!(one, key("NO_LOST", 17, "O17: 3 units of A left DC1, but 1 was ordered"));
        assert_ne!(one, key("SHIP_ONCE", 0, "O17: 3 units of A left DC1, but 1 was ordered"));
        assert_ne!(one, key("SHIP_ONCE", 17, "O17: 3 units of A were lost at DC1, but 1 was ordered"));
    }
}
