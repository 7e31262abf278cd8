//! How a client behaves that gets no answer, or a no for now: how long it waits, how often it tries again, and how soon.

use crate::sim::{Draw, Span};

/// The manners of whoever sends commands. The default is that of a careful client: it waits as long as it takes, and tries again, ever
/// more slowly, until the world gives up.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// after so long without an answer it gives the attempt up; what the target does with it by then nobody stops
    pub timeout: Option<Span>,
    /// attempts after the first; none: as many as it takes
    pub retries: Option<u32>,
    pub backoff: Backoff,
    /// each first attempt, of any order, earns this share of a retry; what is earned is kept up to ten retries
    pub budget: Option<f64>,
}

/// How long until the next attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backoff {
    /// at once
    None,
    /// doubled with each attempt, up to 256 times as long; jittered: a random share of that, from a half up to the whole
    Exponential { first: Span, jittered: bool },
    /// the same each time, likewise jittered
    Constant { wait: Span },
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::Exponential { first: Span::from_secs(1), jittered: false }
    }
}

impl Backoff {
    /// Until attempt `tries` + 2, by a draw of that attempt's own.
    pub(super) fn wait(self, tries: u32, draw: &mut Draw) -> Span {
        let jittered = |wait: Span, draw: &mut Draw| draw.span(Span(wait.0 / 2), wait);
        match self {
            Backoff::None => Span::ZERO,
            Backoff::Exponential { first, jittered: false } => first.saturating_mul(1 << tries.min(8)),
            Backoff::Exponential { first, jittered: true } => jittered(first.saturating_mul(1 << tries.min(8)), draw),
            Backoff::Constant { wait } => jittered(wait, draw),
        }
    }
}

/// Retries that were earned and not spent, of all orders together: a token bucket, as retry budgets are kept (Finagle, gRPC).
#[derive(Default)]
pub(super) struct Tokens(f64);

/// More are not saved up for bad times.
const MOST_TOKENS: f64 = 10.0;

impl Client {
    pub(super) fn began(&self, tokens: &mut Tokens) {
        tokens.0 = (tokens.0 + self.budget.unwrap_or(0.0)).min(MOST_TOKENS);
    }

    /// May it try once more, having tried again `tries` times?
    pub(super) fn tries_again(&self, tries: u32, tokens: &mut Tokens) -> bool {
        if self.retries.is_some_and(|most| tries >= most) {
            return false;
        }
        if self.budget.is_none() {
            return true;
        }
        // sums of shares such as a tenth fall short of one by a hair
        let may = tokens.0 >= 1.0 - 1e-9;
        tokens.0 -= f64::from(u8::from(may));
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Purpose, Seed};

    #[test]
    fn retries_are_bounded_each_and_together() {
        let mut tokens = Tokens::default();
        let client = Client { retries: Some(2), budget: Some(0.1), ..Client::default() };
        (0..20).for_each(|_| client.began(&mut tokens));
        assert!(!client.tries_again(2, &mut tokens), "each");
        let allowed = (0..20).filter(|_| client.tries_again(0, &mut tokens)).count();
        assert_eq!(allowed, 2, "a tenth of twenty");
        (0..1_000).for_each(|_| client.began(&mut tokens));
        assert_eq!((0..1_000).filter(|_| client.tries_again(0, &mut tokens)).count(), 10, "what is saved up has a bound");
        let careful = Client::default();
        assert!((0..1000).all(|tries| careful.tries_again(tries, &mut tokens)));
    }

    #[test]
    fn waits_double_and_jitter_takes_up_to_half_of_them() {
        let draw = |n| Seed(1).draw(Purpose(9), n, 0);
        let plain = Backoff::default();
        assert_eq!([0, 1, 8, 20].map(|tries| plain.wait(tries, &mut draw(1)).0 / 1_000_000_000), [1, 2, 256, 256]);
        let jittered = Backoff::Exponential { first: Span::from_millis(100), jittered: true };
        let waits: Vec<u64> = (0..200).map(|n| jittered.wait(1, &mut draw(n)).0 / 1_000_000).collect();
        assert!(waits.iter().all(|wait| (100..=200).contains(wait)) && waits.iter().max() > waits.iter().min(), "{waits:?}");
        assert_eq!(Backoff::None.wait(3, &mut draw(1)), Span::ZERO);
    }
}
