//! Popularity: how the SKUs of a catalogue share what is asked.

use crate::scenario::resolve::Check;
use crate::sim::{Alias, Span, normal_quantile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// One law of popularity. With several, each has its share of the lines.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PopularityFile {
    /// share of the lines; laws that name none share the rest equally
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: Option<f64>,
    #[serde(default)]
    pub law: PopularityName,
    /// zipf, zipf_mandelbrot: weight of rank r is (r + q)^-s
    #[schemars(range(min = 0.0, max = 10.0))]
    pub s: Option<f64>,
    /// zipf_mandelbrot
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub q: Option<f64>,
    /// lognormal: standard deviation of the logarithm of the weights
    #[schemars(range(min = 0.0, max = 10.0))]
    pub sigma: Option<f64>,
    /// empirical: weights, the first being that of the first SKU
    #[serde(default)]
    #[schemars(length(max = 5000000), inner(range(min = 0.0, max = 1000000000000.0)))]
    pub weights: Vec<f64>,
    /// how many SKUs it is about; default all, or with weights as many as there are
    #[schemars(range(min = 1, max = 5000000))]
    pub skus: Option<u32>,
    /// number of the SKU that is its first rank
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5000000))]
    pub first: u32,
    /// from when on it counts, after the first moment of the case; until then the others have its share
    pub from: Option<String>,
    /// opening stock of its SKUs, in place of `goods.cover`
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub cover: Option<f64>,
    /// `cover` counts what is asked within so long after `from`, such as `"1m"`; default all that is asked
    pub cover_of: Option<String>,
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PopularityName {
    /// all alike; with `share` and `skus` a hot set
    #[default]
    Uniform,
    Zipf,
    ZipfMandelbrot,
    Lognormal,
    Empirical,
}

impl PopularityName {
    pub fn name(self) -> &'static str {
        match self {
            PopularityName::Uniform => "uniform",
            PopularityName::Zipf => "zipf",
            PopularityName::ZipfMandelbrot => "zipf_mandelbrot",
            PopularityName::Lognormal => "lognormal",
            PopularityName::Empirical => "empirical",
        }
    }
}

/// One law, checked.
#[derive(Clone, PartialEq, Debug)]
pub struct Popularity {
    pub law: PopularityName,
    /// its share of the lines while all laws count
    pub share: f64,
    /// from 0
    pub first: u32,
    pub skus: u32,
    pub from: Span,
    pub cover: f64,
    pub cover_of: Option<Span>,
    s: f64,
    q: f64,
    sigma: f64,
    weights: Vec<f64>,
    table: OnceLock<Alias>,
}

impl Popularity {
    /// Weights by rank, the most popular first, but for empirical ones.
    pub fn weights(&self) -> Vec<f64> {
        match self.law {
            PopularityName::Empirical => self.weights.clone(),
            law => rank_weights(law, self.skus, (self.s, self.q), self.sigma),
        }
    }

    /// Ranks by their weights, from 0; made when it is first asked for.
    pub fn table(&self) -> &Alias {
        self.table.get_or_init(|| Alias::new(&self.weights()).unwrap_or_default())
    }

    /// It is about the whole catalogue, whose ranks may drift.
    pub fn drifts(&self, catalogue: u32) -> bool {
        self.first == 0 && self.skus == catalogue
    }
}

/// Weights of ranks 1 to `skus` under a law with parameters; those of a list of weights are all alike here.
pub fn rank_weights(law: PopularityName, skus: u32, (s, q): (f64, f64), sigma: f64) -> Vec<f64> {
    match law {
        PopularityName::Uniform | PopularityName::Empirical => vec![1.0; skus as usize],
        PopularityName::Zipf | PopularityName::ZipfMandelbrot => (1..=skus).map(|rank| libm::pow(f64::from(rank) + q, -s)).collect(),
        // the quantiles of the law in the middles of equal parts
        PopularityName::Lognormal => (0..skus).map(|at| libm::exp(-sigma * normal_quantile((f64::from(at) + 0.5) / f64::from(skus)))).collect(),
    }
}

/// All laws of a catalogue of `skus`.
pub(super) fn resolve(files: &[PopularityFile], skus: u32, cover: f64, check: &mut Check<'_>) -> Vec<Popularity> {
    let named: f64 = files.iter().filter_map(|file| file.share).sum();
    let unnamed = files.iter().filter(|file| file.share.is_none()).count();
    if named > 1.0 + 1e-9 || (unnamed == 0 && (named - 1.0).abs() > 1e-6 && !files.is_empty()) {
        let help = "leave one `share` out, and it is the rest";
        check.value("goods.popularity", format!("the shares add up to {named:.3}, not to 1"), Some(help.into()));
    }
    let rest = (1.0 - named).max(0.0) / unnamed.max(1) as f64;
    files.iter().enumerate().map(|(n, file)| one_law(file, &format!("goods.popularity[{n}]"), (skus, cover, rest), check)).collect()
}

fn one_law(file: &PopularityFile, path: &str, (skus, cover, rest): (u32, f64, f64), check: &mut Check<'_>) -> Popularity {
    use PopularityName as N;
    let key = |name: &str| format!("{path}.{name}");
    for (name, given, fits, needed) in [
        ("s", file.s.is_some(), matches!(file.law, N::Zipf | N::ZipfMandelbrot), true),
        ("q", file.q.is_some(), file.law == N::ZipfMandelbrot, true),
        ("sigma", file.sigma.is_some(), file.law == N::Lognormal, true),
        ("weights", !file.weights.is_empty(), file.law == N::Empirical, true),
        ("cover_of", file.cover_of.is_some(), file.cover.is_some(), false),
    ] {
        if given && !fits {
            let with = if name == "cover_of" { "without `cover`".to_string() } else { format!("with `law = \"{}\"`", file.law.name()) };
            check.key(&key(name), format!("`{name}` has no meaning {with}"), None);
        }
        if needed && fits && !given {
            check.value(path, format!("`law = \"{}\"` needs `{name}`", file.law.name()), None);
        }
    }
    if file.law == N::Empirical && !file.weights.is_empty() && Alias::new(&file.weights).is_none() {
        check.value(&key("weights"), "these weights choose nothing", Some("one of them must be above 0".into()));
    }
    let listed = if file.law == N::Empirical { Some(file.weights.len() as u32) } else { None };
    let about = listed.or(file.skus).unwrap_or(skus.saturating_sub(file.first - 1));
    if listed.is_some_and(|listed| file.skus.is_some_and(|skus| skus != listed)) {
        check.value(&key("skus"), "there are more or fewer weights than this", Some("leave `skus` out".into()));
    }
    if file.first > skus || about > skus - (file.first - 1) {
        check.value(path, format!("the catalogue has no SKU beyond {skus}"), Some("raise `goods.skus`".into()));
    }
    Popularity {
        law: file.law,
        share: file.share.unwrap_or(rest),
        first: file.first - 1,
        skus: about,
        from: file.from.as_ref().map_or(Span::ZERO, |text| check.span(&key("from"), text)),
        cover: file.cover.unwrap_or(cover),
        cover_of: file.cover_of.as_ref().map(|text| check.span(&key("cover_of"), text)),
        s: file.s.unwrap_or(0.0),
        q: file.q.unwrap_or(0.0),
        sigma: file.sigma.unwrap_or(0.0),
        weights: file.weights.clone(),
        table: OnceLock::new(),
    }
}
