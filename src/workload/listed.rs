//! Values that a column map lists, and those that the history has: a list that matches nothing would make all orders alike without a word.

use std::collections::BTreeMap;

/// More different values are not told apart.
const MOST: usize = 50;
/// So many of them are told.
const TOLD: usize = 5;

/// The values of one column.
#[derive(Default)]
pub(super) struct Listed {
    /// a value that is listed was there
    hit: bool,
    /// how many rows had each of the others
    others: BTreeMap<String, u64>,
}

impl Listed {
    pub fn note(&mut self, value: &str, listed: bool) {
        self.hit |= listed;
        if self.hit {
            return;
        }
        if let Some(rows) = self.others.get_mut(value) {
            *rows += 1;
        } else if self.others.len() < MOST {
            self.others.insert(value.to_string(), 1);
        }
    }

    /// What there is to say where none of the values that `table` of the map lists was there.
    pub fn told(&self, table: &str, column: &str) -> Option<String> {
        if self.hit || self.others.is_empty() {
            return None;
        }
        let mut most: Vec<(&String, &u64)> = self.others.iter().collect();
        most.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
        let there: Vec<String> = most.iter().take(TOLD).map(|(value, rows)| format!("`{value}`, {rows} times")).collect();
        let more = if most.len() > TOLD { ", .." } else { "" };
        Some(format!(
            "no value that `{table}` of the column map lists is in column `{column}`, so all rows count alike; it has {}{more}",
            there.join("; ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_matches_nothing_is_told_however_many_values_there_are() {
        let told = |hit: bool| {
            let mut values = Listed::default();
            (0..3 * MOST).for_each(|n| values.note(&format!("country {n}"), false));
            values.note("country 7", false);
            values.note("GB", hit);
            values.told("region", "Country")
        };
        assert!(told(false).is_some_and(|says| says.contains("it has `country 7`, 2 times; ") && says.ends_with(", ..")));
        assert_eq!((told(true), Listed::default().told("region", "Country")), (None, None));
    }
}
