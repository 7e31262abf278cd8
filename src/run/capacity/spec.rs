//! What is said on the command line in one word: an objective, a service model, a client.

use super::super::Trouble;
use super::super::execute::Conditions;
use crate::capacity::Objective;
use crate::engine::LINK;
use crate::sim::{Law, Span};
use crate::target::{Discipline, Lane, ServiceModel};
use crate::world::{Backoff, Client};

/// `key=value` pairs, each key one of `known`.
struct Pairs<'a> {
    flag: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

fn wrong(flag: &str, what: String, help: &str) -> Trouble {
    Trouble::Usage(format!("error: {flag}: {what}\n  = help: {help}"))
}

impl<'a> Pairs<'a> {
    fn of(flag: &'a str, text: &'a str, known: &[&str]) -> Result<Pairs<'a>, Trouble> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&key) {
                let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
                let nearest = nearest.filter(|name| strsim::jaro_winkler(name, key) > 0.75);
                let hint = nearest.map_or(String::new(), |name| format!("did you mean `{name}`? "));
                return Err(wrong(flag, format!("`{key}` is no key"), &format!("{hint}there are {}", known.join(", "))));
            }
            if pairs.iter().any(|(name, _)| *name == key) {
                return Err(wrong(flag, format!("`{key}` is said twice"), "say it once"));
            }
            pairs.push((key, value));
        }
        Ok(Pairs { flag, pairs })
    }
    fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }
    fn span(&self, key: &str) -> Result<Option<Span>, Trouble> {
        self.get(key).map(|text| Span::parse(text).map_err(|why| wrong(self.flag, format!("{key}: {why}"), "such as 10ms"))).transpose()
    }
    fn whole(&self, key: &str, least: usize) -> Result<Option<usize>, Trouble> {
        let parse = |text: &str| text.parse().ok().filter(|n: &usize| *n >= least && *n <= 1_000_000);
        self.get(key)
            .map(|text| parse(text).ok_or_else(|| wrong(self.flag, format!("{key}: `{text}` is no number from {least} to 1000000"), "such as 8")))
            .transpose()
    }
    fn one_of<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Trouble> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| wrong(self.flag, format!("{key}: `{text}` is unknown"), &format!("one of {}", known.join(", "))))
    }
}

/// `p99<250ms`, and the share of errors.
pub(super) fn objective(text: &str, errors: f64) -> Result<Objective, Trouble> {
    let bad = |what: String| wrong("--objective", what, "write it as p99<250ms: a quantile of the time to an answer, and how long it may be");
    let Some((quantile, within)) = text.split_once('<') else { return Err(bad(format!("`{text}` is none"))) };
    let digits = quantile.trim().strip_prefix('p').filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let percent: f64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| bad(format!("`{quantile}` is no quantile")))?;
    // p999 is 99.9 %, as many write it; p101 is a slip, and not 10.1 %
    let short = percent > 100.0 && quantile.trim().starts_with("p99") && !quantile.contains('.');
    let percent = if short { percent / 10f64.powi(percent.log10() as i32 - 1) } else { percent };
    if percent >= 100.0 {
        let help = "a quantile lies below 100: write p99<250ms, or p99.9<1s or p999<1s for 99.9 %";
        return Err(wrong("--objective", format!("`{}` is the time of all answers, or of more than there are", quantile.trim()), help));
    }
    if !(1.0..100.0).contains(&percent) {
        return Err(bad(format!("`{quantile}` is no quantile between p1 and p99.99")));
    }
    let within = Span::parse(within.trim_start_matches('=').trim()).map_err(bad)?;
    if within == Span::ZERO {
        return Err(bad("nothing takes no time".into()));
    }
    if !(0.0..1.0).contains(&errors) {
        return Err(wrong("--errors", format!("{errors} is no share"), "such as 0.001 for one in a thousand"));
    }
    Ok(Objective { quantile: percent / 100.0, within, errors })
}

/// The network comes last: a service that listens has one.
const SERVICE: &[&str] = &["workers", "law", "mean", "p50", "p95", "queue", "next", "expires", "lane", "network"];

/// The model of a service that listens: the same but for the network, which is there.
pub(in super::super) fn service_model(text: &str) -> Result<ServiceModel, Trouble> {
    let pairs = Pairs::of("--service-model", text, &SERVICE[..SERVICE.len() - 1])?;
    model("--service-model", &pairs)
}

/// The model of the embedded target, where it is said otherwise than usual.
pub(super) fn service(text: &str, conditions: &mut Conditions) -> Result<(), Trouble> {
    let pairs = Pairs::of("--service", text, SERVICE)?;
    conditions.service = model("--service", &pairs)?;
    conditions.link = pairs.span("network")?.map_or(LINK, Law::Const);
    Ok(())
}

fn model(flag: &str, pairs: &Pairs<'_>) -> Result<ServiceModel, Trouble> {
    let usual = ServiceModel::default();
    let (mean, p50, p95) = (pairs.span("mean")?, pairs.span("p50")?, pairs.span("p95")?);
    let help = "law=exponential,mean=10ms or law=constant,mean=10ms or law=lognormal,p50=4ms,p95=15ms";
    pairs.one_of("law", &[("exponential", ()), ("constant", ()), ("lognormal", ())])?;
    let law = match (pairs.get("law"), mean, p50, p95) {
        (None, None, None, None) => usual.service,
        (Some("exponential"), Some(mean), None, None) => Law::Exp { mean },
        (Some("constant"), Some(mean), None, None) => Law::Const(mean),
        (None | Some("lognormal"), None, Some(p50), Some(p95)) if p95 > p50 && p50 > Span::ZERO => Law::LogNormal { p50, p95 },
        (None | Some("lognormal"), None, Some(Span::ZERO), Some(_)) => return Err(wrong(flag, "p50 must be above zero".into(), help)),
        (None | Some("lognormal"), None, Some(p50), Some(p95)) => {
            return Err(wrong(flag, format!("p95 must be above p50, and {p95} is not above {p50}"), help));
        }
        _ => return Err(wrong(flag, "the time that a message takes is not said in full, or twice".into(), help)),
    };
    Ok(ServiceModel {
        workers: pairs.whole("workers", 1)?.unwrap_or(usual.workers),
        service: law,
        queue: if pairs.get("queue") == Some("none") { usize::MAX } else { pairs.whole("queue", 0)?.unwrap_or(usual.queue) },
        discipline: pairs.one_of("next", &[("fifo", Discipline::Fifo), ("lifo", Discipline::Lifo)])?.unwrap_or_default(),
        expires: pairs.span("expires")?,
        lane: pairs.one_of("lane", &[("all", Lane::All), ("commands", Lane::Commands), ("keys", Lane::Keys)])?.unwrap_or_default(),
        brownout: None,
    })
}

const CLIENT: &[&str] = &["timeout", "retries", "backoff", "wait", "budget"];

/// The manners of clients, where they are said otherwise than usual.
pub(super) fn client(text: &str) -> Result<Client, Trouble> {
    let pairs = Pairs::of("--client", text, CLIENT)?;
    let wait = pairs.span("wait")?;
    let backoff = match (pairs.get("backoff"), wait) {
        (None, None) => Backoff::default(),
        (Some("none"), None) => Backoff::None,
        (Some("exponential") | None, Some(first)) => Backoff::Exponential { first, jittered: true },
        (Some("constant"), Some(wait)) => Backoff::Constant { wait },
        (Some("exponential"), None) => Backoff::Exponential { first: Span::from_secs(1), jittered: true },
        (word, _) => {
            let help = "backoff=none, or backoff=exponential,wait=100ms, or backoff=constant,wait=5s";
            return Err(wrong("--client", format!("backoff `{}` is not understood", word.unwrap_or("?")), help));
        }
    };
    let budget = pairs.get("budget").map(|text| {
        let share = text.parse().ok().filter(|share: &f64| (0.0..=10.0).contains(share));
        share.ok_or_else(|| wrong("--client", format!("budget: `{text}` is no share"), "such as 0.1: one retry for ten orders"))
    });
    let retries = if pairs.get("retries") == Some("none") { Some(0) } else { pairs.whole("retries", 0)?.map(|n| n as u32) };
    let timeout = pairs.span("timeout")?;
    if timeout == Some(Span::ZERO) {
        return Err(wrong(
            "--client",
            "timeout: nobody has an answer in no time at all".into(),
            "such as 1s; leave it out where a client waits for ever",
        ));
    }
    Ok(Client { timeout, retries, backoff, budget: budget.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_as_people_write_them() {
        let read = |text| objective(text, 0.0).map(|objective| (objective.quantile, objective.within));
        assert_eq!(read("p99<250ms").unwrap(), (0.99, Span::from_millis(250)));
        assert_eq!(read("p95 <= 1s").unwrap(), (0.95, Span::from_secs(1)));
        assert!((read("p99.9<1s").unwrap().0 - 0.999).abs() < 1e-9 && (read("p999<1s").unwrap().0 - 0.999).abs() < 1e-9);
        for text in ["", "p99", "99<1s", "p0<1s", "p100<1s", "p99<0s", "p99<soon", "p<1s", "pNaN<1s"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["p100<1s", "p101<10ms", "p100.5<1s", "p950<1s"] {
            let why = objective(text, 0.0).expect_err(text).to_string();
            assert!(why.contains("below 100") && why.contains("p99.9<1s"), "{why}");
        }
        assert!(objective("p99<1s", 1.5).is_err() && objective("p99<1s", f64::NAN).is_err());
    }

    #[test]
    fn a_service_and_a_client_in_one_word_and_what_is_wrong_with_one() {
        let mut conditions = Conditions::default();
        service("workers=10,law=exponential,mean=10ms,queue=none,next=lifo,lane=commands,network=0ms,expires=1s", &mut conditions).unwrap();
        let model = &conditions.service;
        assert_eq!((model.workers, model.queue, model.service), (10, usize::MAX, Law::Exp { mean: Span::from_millis(10) }));
        assert_eq!((model.discipline, model.lane, model.expires), (Discipline::Lifo, Lane::Commands, Some(Span::from_secs(1))));
        let fails = |text: &str, says: &str| {
            let Err(why) = service(text, &mut Conditions::default()) else { panic!("{text}") };
            assert!(why.to_string().contains(says), "{why}");
        };
        fails("worker=10", "did you mean `workers`?");
        fails("workers=0", "no number from 1");
        fails("law=exponential", "not said in full");
        fails("law=gauss,mean=1ms", "law: `gauss` is unknown\n  = help: one of exponential, constant, lognormal");
        fails("law=lognormal,p50=10ms,p95=5ms", "p95 must be above p50, and 5ms is not above 10ms");
        fails("p50=0ms,p95=5ms", "p50 must be above zero");
        fails("next=random", "one of fifo, lifo");
        fails("lane=key", "one of all, commands, keys");
        fails("workers=1,workers=2", "said twice");
        let storm = client("timeout=1s,retries=3,backoff=none").unwrap();
        assert!(client("timeout=0s").is_err());
        assert_eq!((storm.timeout, storm.retries, storm.backoff), (Some(Span::from_secs(1)), Some(3), Backoff::None));
        assert!(client("budget=lots").is_err() && client("backoff=constant").is_err() && client("patience=1s").is_err());
    }
}
