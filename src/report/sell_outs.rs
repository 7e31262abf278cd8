//! What a run says of races for the last unit.

use super::grid::{seconds, thousands};
use crate::check::{SellOuts, shows_from_s};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What sold out, and how narrow a race for the last unit would have shown.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SellOutReport {
    /// how often the last unit of a SKU was promised, and others asked for it after that
    pub count: u64,
    /// how often a second it was asked for what had just sold out, summed over those; 0 where too seldom to say
    pub asks_per_s: f64,
    /// orders that were promised more than there was
    pub oversold: u64,
    /// those of them that asked for what had sold out so
    pub raced: u64,
    /// a target that takes stock so long after it looked at it would have oversold with 95 % certainty, in milliseconds
    pub shows_from_ms: Option<f64>,
    /// as many orders as raced asked within so long, in milliseconds: about the time from looking at the stock to taking it. Null where nothing raced,
    /// where it is longer than can be told, and where several cases raced
    pub window_ms: Option<f64>,
}

impl SellOutReport {
    pub fn of(seen: &SellOuts) -> SellOutReport {
        let window_ms = seen.window_s().map(|s| s * 1e3);
        SellOutReport { window_ms, ..SellOutReport::counting(seen.count, seen.asks_per_s(), seen.oversold, seen.raced) }
    }

    fn counting(count: u64, asks_per_s: f64, oversold: u64, raced: u64) -> SellOutReport {
        let shows_from_ms = shows_from_s(asks_per_s).map(|s| s * 1e3);
        SellOutReport { count, asks_per_s, oversold, raced, shows_from_ms, window_ms: None }
    }

    /// Of several cases together.
    pub fn over(cases: impl IntoIterator<Item = SellOutReport>) -> SellOutReport {
        let sum = |a: SellOutReport, b: SellOutReport| {
            // the window of one case is that of all where nothing raced in the others
            let window_ms = if b.raced == 0 { a.window_ms } else { b.window_ms.filter(|_| a.raced == 0) };
            let sums = SellOutReport::counting(a.count + b.count, a.asks_per_s + b.asks_per_s, a.oversold + b.oversold, a.raced + b.raced);
            SellOutReport { window_ms, ..sums }
        };
        cases.into_iter().reduce(sum).unwrap_or_default()
    }

    /// What it says of a run of so many orders, if it says anything.
    pub fn sentence(&self, orders: u64) -> Option<String> {
        let ms = |ms: f64| seconds(ms / 1e3);
        let sold_out = if self.count == 1 { "1 sell-out".into() } else { format!("{} sell-outs", thousands(self.count)) };
        if self.oversold > 0 {
            let oversold = if self.oversold == 1 { "1 order".into() } else { format!("{} orders", thousands(self.oversold)) };
            // others were promised what was not there for another reason
            let within = self.window_ms.filter(|_| self.raced == self.oversold);
            let within = within.map(|window| format!(", as many as asked within {} of the last unit's buyer", ms(window)));
            return (self.count > 0).then(|| format!("{sold_out}, {oversold} oversold{}", within.unwrap_or_default()));
        }
        match self.shows_from_ms {
            Some(shows) => {
                Some(format!("{sold_out}: a target that takes stock {} or more after it looked would have oversold with 95 % certainty", ms(shows)))
            }
            None if self.count > 0 => Some(format!("{sold_out}: too few asked after them to say what race for the last unit would have shown")),
            None => (orders >= MANY).then(|| "nothing sold out while others asked for it: a race for the last unit was not tried".into()),
        }
    }
}

/// Who sends so many orders wants to know what they were worth.
const MANY: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_would_have_shown_or_what_did_or_nothing() {
        let clean = SellOutReport::counting(3, 1000.0, 0, 0);
        let says = "3 sell-outs: a target that takes stock 3 ms or more after it looked would have oversold with 95 % certainty";
        assert_eq!(clean.sentence(0).as_deref(), Some(says));
        let raced = SellOutReport { window_ms: Some(20.0), ..SellOutReport::counting(1, 500.0, 30, 30) };
        let both = SellOutReport::over([clean, raced]);
        assert_eq!((both.count, both.asks_per_s, both.window_ms), (4, 1500.0, raced.window_ms));
        let says = "4 sell-outs, 30 orders oversold, as many as asked within 20 ms of the last unit's buyer";
        assert_eq!(both.sentence(0).as_deref(), Some(says));
        let twice = SellOutReport::over([raced, raced]);
        assert_eq!(twice.sentence(0).as_deref(), Some("2 sell-outs, 60 orders oversold"));
        // what was oversold where nothing was raced for is another matter
        assert_eq!(SellOutReport::counting(3, 1000.0, 7, 0).sentence(0).as_deref(), Some("3 sell-outs, 7 orders oversold"));
        assert_eq!(SellOutReport::counting(3, 0.0, 0, 0).sentence(0).as_deref().map(|says| says.contains("too few")), Some(true));
        assert_eq!((SellOutReport::over([]).sentence(10), SellOutReport::counting(0, 0.0, 2, 0).sentence(5000)), (None, None));
        assert!(SellOutReport::over([]).sentence(5000).is_some_and(|says| says.contains("was not tried")));
    }
}
