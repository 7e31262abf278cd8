//! The acceptance report as text, and its notes.

use super::drift::FEWEST_WEEKS;
use super::events::{Crowd, Event, Shape};
use super::laws::{Catalogue, Number, Ranks};
use super::modulation::{Clusters, DayFactor};
use super::trials::Work;
use super::verify::Check;
use super::{MOST_LOST, Model, Report, Verdict, Wanted};
use crate::sim::Span;
use crate::workload::{Account, Import};
use std::fmt::Write;

/// More of them than these are counted.
const ODD_DAYS_SHOWN: usize = 12;

pub(super) fn text(report: &Report) -> String {
    let mut out = format!("Fit of {}\n", report.source);
    // writing to a text cannot fail
    let mut row = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<12} {text}");
    };
    row("orders", format!("{} on {} days, {}; {} lines, {} SKUs", report.orders, report.days, report.first, report.lines, report.skus));
    row("times", format!("to {}, spread evenly within it; {} closed days", report.resolution, report.closed_days));
    let (period, of_day) = report.slots;
    let slots = match period {
        7 if report.product => format!("7 days of a week x {of_day} slots of a day"),
        7 => format!("{} slots of a week", period * of_day),
        _ => format!("{of_day} slots of a day"),
    };
    row("rate", format!("a level a day (mean of 29 days) x {slots}"));
    for (n, event) in report.events.iter().take(ODD_DAYS_SHOWN).enumerate() {
        row(if n == 0 { "odd days" } else { "" }, odd_day(event, &report.first));
    }
    if let Some(more) = report.events.len().checked_sub(ODD_DAYS_SHOWN).filter(|more| *more > 0) {
        row("", format!("and {more} more, which are in the JSON of the report and in the profile"));
    }
    row(
        "days",
        report.day_factor.map_or("differ no more than by chance, or are too few to tell".into(), |factor| {
            format!("a gamma factor, cv {:.3}, correlation {:.2}; {:.1} standard errors above chance", factor.cv, factor.ar1, factor.z)
        }),
    );
    let Clusters { branching, half_life, gain } = report.clusters;
    let kept = if report.clusters.count() { "" } else { ": not kept" };
    row("clusters", format!("one order sets off {branching:.3}, half-life {half_life:.2} mean gaps, log-likelihood +{gain:.0}{kept}"));
    let tried: Vec<String> = report.popularity.iter().map(|tried| format!("{} {:.3}", ranks(tried.law), tried.ks)).collect();
    let counts = if report.alike { "uniform taken, for SKUs differ no more than by chance" } else { "empirical taken" };
    let taken = report.catalogue.map_or(counts.into(), |Catalogue { skus, sigma }| {
        format!("lognormal({sigma:.1}) over {skus} SKUs taken, for most that sold did so a few times, and others were on offer")
    });
    row(
        "popularity",
        format!(
            "{taken}; KS of {}: {}",
            if report.catalogue.is_some() { "laws" } else { "others" },
            tried[..tried.len().saturating_sub(1)].join(", ")
        ),
    );
    for (name, list, chosen) in [("lines", &report.basket_lines, report.chosen_lines), ("units", &report.basket_units, report.chosen_units)] {
        let tried: Vec<String> = list.iter().map(|tried| format!("{} {:.3}", number(tried.law), tried.ks)).collect();
        row(name, format!("{} taken; KS: {}", number(chosen), tried.join(", ")));
    }
    if let Some(tops) = &report.tops {
        let drift = report.drift.map_or("ranks stand still".into(), |drift| {
            format!("{:.2} % of the SKUs change rank every night, a day {:.1} times as steep as the whole", drift.nightly * 100.0, drift.steeper)
        });
        row("drift", format!("of a week's top {} {:.2} are in the next, {:.2} {} weeks later: {drift}", tops.top, tops.next, tops.later, tops.weeks));
    }
    if let Some(channels) = &report.shoppers.channels {
        let share = |(channel, orders): (&&str, &u64)| format!("{channel} {:.1} %", *orders as f64 * 100.0 / report.orders as f64);
        row("channels", channels.iter().map(share).collect::<Vec<_>>().join(", "));
    }
    if let Some(after) = report.after.as_ref().filter(|after| after.documents > 0) {
        let days = after.lag_s.map(|lag| format!("{:.1}", lag / 86_400.0)).join("/");
        let found = format!("{} of {} documents' orders found", after.matched, after.documents);
        let shares = format!("{:.1} % cancelled within a day, {:.1} % returned", after.cancel * 100.0, after.returns * 100.0);
        row("afterwards", format!("{shares}; lag p25/50/75/90 {days} d ({found})"));
    }
    for model in &report.models {
        let verdict = if model.accepted { "accepted" } else { "REJECTED" };
        let chosen = if model.model == report.chosen { ", written to the profile" } else { "" };
        out += &format!("\nTimes, {}: {verdict}{chosen}\n{}", model.model.name(), table(&model.checks));
    }
    out += &format!("\nGoods\n{}", table(&report.goods));
    out += "\n  Distances are of distributions (0: the same), ratios those of replicas to history (1: the same). The floor is the same between odd and\n";
    out += "  even weeks of the history. Replicas: from the 5th to the 95th percentile; what is no further off than they are is accepted up to twice the limit.\n";
    for note in &report.notes {
        out += &format!("\n  note: {note}");
    }
    out += &format!("\n\nRows, read by the column map {}: {}\n", report.columns, report.rows);
    let replicas = report.replicas;
    out += &match report.verdict {
        Verdict::Accepted => format!("\nAccepted: {replicas} replicas of the profile are as the history is.{}\n", left_out(&report.rows)),
        Verdict::Unknown => format!("\nUNKNOWN: {replicas} replicas of the profile are as the rows are that were read.\n"),
        Verdict::Rejected => format!("\nNOT ACCEPTED: {}.{}\n", failing(report).join(", "), left_out(&report.rows)),
    };
    if report.lost > MOST_LOST {
        let (lost, share) = report.rows.lost();
        out += &format!(
            "{lost} rows were left out that may have been sales, {:.2} % of all that may: with more than {} % the history may be another one.\n",
            share * 100.0,
            MOST_LOST * 100.0
        );
        report.rows.helps().iter().for_each(|help| out += &format!("  = help: {help}\n"));
        out += "  = help: or take these rows out of the file, if they are none that matter, and fit again\n";
    }
    out
}

/// `whole` is from the first day to the last.
fn odd_day(event: &Event, whole: &str) -> String {
    let Event { date, orders, usual, shape } = event;
    let what = match shape {
        Shape::Level(times) => format!("{times:.2} times the usual rate"),
        Shape::Crowd { crowd: Crowd { at_s, orders, median_s, .. }, level } => {
            let rest = if *level == 1.0 { String::new() } else { format!("; else {level:.2} times the usual rate") };
            let minutes = (at_s / 60.0).round() as u64 % 1_440;
            let (from, half) = (format!("{:02}:{:02}", minutes / 60, minutes % 60), (median_s / 60.0).max(1.0));
            format!("a crowd of {orders:.0} from {from} on, half of it within {half:.0} min{rest}")
        }
    };
    let is_end = whole.starts_with(date) || whole.ends_with(date);
    let cut = if is_end && (*orders as f64) < *usual { " (the history is cut there)" } else { "" };
    format!("{date}: {orders} orders, usual {usual:.0}; {what}{cut}")
}

/// So that nobody reads a verdict without it.
fn left_out(rows: &Account) -> String {
    match rows.rejected_in_all() {
        0 => String::new(),
        rejected => format!(" Of its {} rows {rejected} ({:.2} %) were left out.", rows.rows, rejected as f64 / rows.rows as f64 * 100.0),
    }
}

/// What the profile says of itself.
pub(super) fn about(rows: &Account) -> String {
    let reasons: Vec<String> = rows.rejected.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let lost = if rows.lost().1 > MOST_LOST { " So many may have been sales that the history may be another one." } else { "" };
    let head =
        "Fitted by `orderstorm fit`; the report says how close it comes. The run begins on the day before the first order, on which nothing comes.";
    format!("{head} Of {} rows {} were left out{reasons}.{lost}", rows.rows, rows.rejected_in_all())
}

fn failing(report: &Report) -> Vec<&'static str> {
    let times = report.models.iter().filter(|model| model.model == report.chosen).flat_map(|model| &model.checks);
    times.chain(&report.goods).filter(|check| !check.accepted).map(|check| check.statistic).collect()
}

fn table(checks: &[Check]) -> String {
    let mut out = format!("  {:<22}{:>8}{:>9}{:>15}{:>17}\n", "", "value", "floor", "limit", "replicas");
    for check in checks {
        let (lo, hi) = check.limit;
        let limit = if lo > 0.0 { format!("{lo:.2} .. {hi:.2}") } else { format!("below {hi:.3}") };
        let spread = format!("{:.3} .. {:.3}", check.spread.0, check.spread.1);
        let verdict = if check.accepted { "accepted" } else { "REJECTED" };
        // writing to a text cannot fail
        let _ = writeln!(out, "  {:<22}{:>8.3}{:>9.3}{limit:>15}{spread:>17}  {verdict}", check.statistic, check.value, check.floor);
    }
    out
}

fn ranks(law: Ranks) -> String {
    match law {
        Ranks::Lognormal { sigma } => format!("lognormal({sigma:.2})"),
        Ranks::Zipf { s } => format!("zipf({s:.2})"),
        Ranks::ZipfMandelbrot { s, q } => format!("zipf_mandelbrot({s:.2}, {q:.0})"),
        Ranks::Uniform => "uniform".into(),
        Ranks::Empirical => "empirical".into(),
    }
}

fn number(law: Number) -> String {
    match law {
        Number::NegativeBinomial { r, p } => format!("1 + negative_binomial({r:.3}, {p:.3})"),
        Number::Lognormal { mu, sigma } => format!("lognormal({mu:.3}, {sigma:.3})"),
        Number::Empirical => "empirical".into(),
    }
}

/// What was not fitted, and what a reader must know.
pub(super) fn notes(
    history: &Import,
    work: &Work<'_>,
    wanted: &Wanted<'_>,
    (factor, sure): (Option<DayFactor>, bool),
    clusters: Clusters,
    (short, many_odd): (&[&str], bool),
) -> Vec<String> {
    let Work { axis, counted, tops, .. } = work;
    let mut notes = Vec::new();
    let mut when = |holds: bool, text: String| {
        if holds {
            notes.push(text);
        }
    };
    let unit = Span(axis.unit);
    when(axis.unit >= 900_000_000_000, format!("times are to {unit}: how orders come within {unit} is not known, and taken as even"));
    let few = axis.days <= super::rate::WEEK_DAYS;
    when(few, "less than three weeks: each day has its own level, in the replicas too; how days differ by themselves was not fitted".into());
    when(axis.days <= 28 && !few, "less than four weeks: no trend could be told from days of the week, so all open days have one level".into());
    when(
        wanted.model == Some(Model::Cox) && factor.is_none(),
        "days differ no more than by chance, or are too few to tell: the Cox model has no day factor".into(),
    );
    when(wanted.model.is_none() && factor.is_some() && !sure, "days may differ by chance alone, so no day factor was kept".into());
    when(clusters.count() && wanted.model.is_none(), "residual clusters were found; they are kept only where replicas with them come closer".into());
    for (what, numbers) in [("orders with more lines", &counted.lines), ("lines with more units", &counted.units)] {
        when(numbers.cut > 0, format!("{what} than the {} that a profile can hold: {}, which count as that", super::laws::MOST, numbers.cut));
    }
    let late = history.cancellations.orders.iter().filter(|(_, lag)| *lag > Span::from_days(30)).count();
    when(late > 0, format!("orders that came back after more than 30 days: {late}; the profile lets nothing come back later than that"));
    if let Some([late, watched]) = work.after.as_ref().and_then(|after| after.cut_off()) {
        let seen = format!(
            "a tenth of what is taken back comes {late:.1} days after the order or later, and too few orders were watched for {watched:.1} days"
        );
        when(true, format!("{seen}: more may come back than the profile says"));
    }
    when(!wanted.told.cancellations, "the columns map names no `order.cancellation_prefixes`: what is cancelled or returned was not fitted".into());
    let none = wanted.told.cancellations && history.cancellations.documents == 0;
    when(none, "no number begins with one of `order.cancellation_prefixes`: what is cancelled or returned was not fitted".into());
    history.notes.iter().for_each(|note| when(true, note.clone()));
    when(!wanted.told.channels, "the columns map names no `channel`: all orders come through the web".into());
    when(!wanted.told.regions, "the columns map names no `region`: orders go to both regions alike".into());
    when(history.customers.is_empty(), "there are no customers in it: how many people order was not fitted".into());
    when(many_odd, "more than a tenth of the days are far from the usual: that is how days differ here, so none of them is called odd".into());
    when(tops.is_none(), format!("fewer than {FEWEST_WEEKS} weeks with enough lines, or too few SKUs: drift of ranks was not fitted"));
    let far = "single replicas are as far off, and further than can be accepted; more orders would tell";
    when(!short.is_empty(), format!("the history is too short to tell by {}: {far}", short.join(", ")));
    notes.push("pickup, what sells on odd days, and how goods are bought together were not fitted".into());
    notes
}
