//! The command line: argv -> [`Command`]. No clap type goes beyond this file.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Puts an order orchestrator through a storm before its customers do.
///
/// orderstorm plays the whole world around an order orchestrator (channels, inventory systems, payment, fraud, address, warehouse,
/// store, carrier), injects faults on every link, writes down what was sent and heard, and judges that record.
#[derive(Parser, Debug)]
#[command(name = "orderstorm", version, max_term_width = 110, propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  orderstorm run                                  the whole shipped matrix against the embedded reference
  orderstorm run S06 --faults duplicate,delay     one scenario under two fault sets
  orderstorm run --defect dedup-by-message-id     switch on a bug and see it found
  orderstorm explain results/latest O1            what happened to order 1

Exit codes: 0 all applicable cases passed and were exercised; 1 something failed; 2 usage or file error; 3 target or environment
error; 4 nothing failed, but something is unknown or was not exercised, or no case was applicable; 130 stopped by Ctrl-C.")]
pub struct Cli {
    /// Say on standard error what happens on the wire, as it happens
    #[arg(long, global = true, value_enum, value_name = "LEVEL", env = "ORDERSTORM_LOG", hide_env_values = true)]
    pub log: Option<LogLevel>,
    /// Form of --log
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run scenarios under faults, judge, and write a report
    #[command(after_help = "Examples:
  orderstorm run                                   everything that is shipped
  orderstorm run S01 S05 my/scenario.toml          by name or path
  orderstorm run --case 'S06.*.delay.*'            cases by name
  orderstorm run S02 --orders 500 --faults none    one scenario, 500 orders
  orderstorm run --profile flash-sale              whole orders, as a load profile makes them
  orderstorm run --profile steady --rate 200 --duration 10m        200 orders a second in the mean, for ten minutes
  orderstorm run --profile steady --threshold 'latency.ack.p99 < 250ms' --threshold 'orders.failed == 0'   exit code 1 where one fails
  orderstorm run S01.base --sweep single-fault     every single fault at every call site, once each
  orderstorm run --seeds 20 --record failures      twenty seeds, keep histories of failing cases only
  orderstorm run --source orders.csv.gz --columns map.toml   replay a real order history")]
    Run(RunArgs),
    /// Expand the matrix and print what would be run; send nothing
    #[command(after_help = "Examples:
  orderstorm plan S06                              what would be run
  orderstorm plan --profile flash-sale --plot      what a load profile is like, with pictures in plots/")]
    Plan(PlanArgs),
    /// Write synthetic orders of a load profile, and nothing else
    #[command(after_help = "Examples:
  orderstorm generate --profile steady --orders 1000000 --out orders.ndjson
  orderstorm generate --profile flash-sale --format csv --out orders.csv
  orderstorm run --source orders.csv --columns orderstorm           replay them
  orderstorm generate --profile inventory-feed --feeds feed.ndjson --out orders.ndjson

The same profile, seed and number of orders give the same bytes: the orders of the case that `run --profile` makes of them, in one piece.
A run cuts a case of more than 1024 orders into regions, which draw their own orders at the same rates and batches (docs/load.md).")]
    Generate(GenerateArgs),
    /// Make a load profile from a real order history, and see whether it makes what the history was
    #[command(after_help = "Examples:
  orderstorm fit orders.csv.gz --columns online-retail --out mine.toml --report fit
  orderstorm plan --profile mine.toml --plot       what it is like
  orderstorm run --profile mine.toml --orders 2000 --faults none
  orderstorm fit orders.csv.gz --columns online-retail --model poisson     a model to compare with

Draws 20 replicas from the fitted profile and compares each statistic with the history. Exit code 0: accepted; 1: not, and the report names
what fails; 2: a history that says too little; 4: more than 1 % of the rows that may be sales could not be read. docs/fit.md says how.")]
    Fit(FitArgs),
    /// Prove the judges: every defect is found, every invariant finds one, and the correct reference is never accused
    #[command(after_help = "Examples:
  orderstorm prove --quick                         a few seeds, in seconds
  orderstorm prove                                 defects x fault sets x 40 seeds, and 20,000 clean runs
  orderstorm prove --defects check-then-reserve    one defect

Writes proof.json and proof.md into --out. Exit code 0: no survivor, no unproven invariant, no false alarm; else 1.")]
    Prove(ProveArgs),
    /// Run the reference orchestrator as an HTTP service, to be driven by `run --target`
    #[command(after_help = "Examples:
  orderstorm serve                                 on 127.0.0.1:7070; Ctrl-C ends it
  orderstorm serve --data /var/tmp/oms             with a durable journal: kill -9 loses nothing that was acknowledged
  orderstorm serve --defect dedup-by-message-id    with a bug switched on

  then, in another terminal:  orderstorm run S01 --target reference")]
    Serve(ServeArgs),
    /// See whether a live target is there and understands: it places one order and shows what came back
    #[command(after_help = "Examples:
  orderstorm check-target reference                with `orderstorm serve` in another terminal
  orderstorm check-target my/target.toml

Exit codes: 0 one order went through and was judged right; 1 it was judged wrong; 2 the profile; 3 the target is not there, or is none; 4 it
could not be judged; 130 Ctrl-C.")]
    CheckTarget(CheckTargetArgs),
    /// Find the largest rate that the target holds under an objective, and see what it does beyond it
    #[command(after_help = "Examples:
  orderstorm capacity                              S01.base against the embedded reference, p99 < 250 ms
  orderstorm capacity S01.last-units --objective 'p99<100ms' --service workers=10,law=exponential,mean=10ms,queue=none,lane=commands,network=0ms
  orderstorm capacity --target reference           a live target, in real time: half an hour
                                                   as a rule, less with --from near the answer
  orderstorm capacity --skew 0,0.8,1.2,one --objective 'p99<1s' --service workers=10,law=exponential,mean=10ms,queue=none,lane=keys,network=0ms

A trial holds a rate until batches of it decide; what is undecided after 300 s is lost. Exit code 0: a rate was held and confirmed by other
seeds; 1: none was, or something was done wrong under load; 4: the harness was the limit. docs/capacity.md says how.")]
    Capacity(CapacityArgs),
    /// See whether the target comes back by itself after a trigger is gone, or stays down: a metastable failure
    #[command(after_help = "Examples:
  orderstorm probe --rate 50,100,150 --client timeout=1s,retries=3,backoff=none
  orderstorm probe --rate 150 --trigger brownout --lasts 2s,10s,30s --client timeout=1s,retries=none
  orderstorm probe --rate 50 --trigger pause --lasts 10s --target profiles/target/reference-restarted.toml

Exit code 0: it recovered everywhere; 1: it stayed down somewhere, or something was done wrong; 4: the harness was the limit, or a rate was
more than the target holds without any trigger. docs/capacity.md says how.")]
    Probe(ProbeArgs),
    /// Judge a stored history again
    #[command(after_help = "Example:\n  orderstorm check results/latest/histories/S01.base.none.web.1.jsonl.gz")]
    Check(CheckArgs),
    /// Draw the report of a stored run again
    #[command(after_help = "Example:\n  orderstorm report results/latest")]
    Report(ReportArgs),
    /// Show one order's timeline: facts and claims side by side, faults inline
    #[command(after_help = "Examples:
  orderstorm explain results/latest O3
  orderstorm explain results/latest O3 --case 'S06.released.delay.*'")]
    Explain(ExplainArgs),
    /// Write a history in a format of other tools
    #[command(after_help = "Examples:
  orderstorm export results/latest/histories/S01.base.none.web.1.jsonl.gz --format ocel2 --out s01.json
  orderstorm export theirs.jsonl --format ocel2 --epoch 2026-03-01T08:00:00Z > theirs.json

ocel2 is the object-centric event log OCEL 2.0 as JSON (www.ocel-standard.org), for process-mining tools.")]
    Export(ExportArgs),
    /// Reduce a failing case to the fewest orders and faults that still fail for the same reason, as a scenario file
    #[command(after_help = "Examples:
  orderstorm shrink results/latest M01.base.reply-lost.web.40
  orderstorm shrink results/latest 'M01.*' --out smallest.toml --budget 1000")]
    Shrink(ShrinkArgs),
    /// List what there is
    List(ListArgs),
    /// Print the JSON Schema of a file format, or a document of the contract
    #[command(
        after_help = "Examples:\n  orderstorm schema                 which there are\n  orderstorm schema scenario        print one\n  orderstorm schema openapi         what a target serves and calls\n  orderstorm schema --all --out schemas"
    )]
    Schema(SchemaArgs),
    /// Write the shipped scenarios and profiles out, to edit them
    #[command(after_help = "Examples:
  orderstorm init my-tests && orderstorm run my-tests/scenarios/S01-single-item-ship.toml
  orderstorm init --target webshop                 profiles/target/webshop.toml, to be filled in")]
    Init(InitArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  orderstorm completions bash > ~/.local/share/bash-completion/completions/orderstorm")]
    Completions(CompletionsArgs),
}

#[derive(Args, Debug, Clone)]
pub struct MatrixArgs {
    /// Scenario names (S01) or paths of scenario files; all shipped ones where absent
    pub scenarios: Vec<String>,
    /// Load profile by name or path. Without scenarios one that has goods makes whole orders by itself; else it takes the place of the
    /// scenarios' own order counts and gaps
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Orders a case, in the time that the scenario foresees; scenarios of a fixed stock keep their own number. With --source: the
    /// first so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub orders: Option<u32>,
    /// Mean rate of --profile, in orders a second (200) or with a unit (12000/min): with a duration it says how many orders there are
    #[arg(long, value_name = "RATE", requires = "profile")]
    pub rate: Option<String>,
    /// No order of --profile comes later than this after the first moment, such as 10m; its rate stays what it is where --rate and --orders say
    /// nothing
    #[arg(long, value_name = "DURATION", requires = "profile")]
    pub duration: Option<String>,
    /// Fault sets by name or path, separated by commas; or `none`, or `all`. Where absent: what a load profile that is run by itself says, else
    /// all
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Seed of all that is drawn; the same seed and files give the same histories, byte for byte
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole)]
    pub seed: u64,
    /// Run the matrix under so many seeds, from --seed on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub seeds: u32,
    /// Instead of fault sets: a calm run to see what there is, then one case for every single fault at every call site, or for a crash
    /// of the target after every fact, claim, call, command and callback
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["faults", "profile", "source"])]
    pub sweep: Option<Sweep>,
    /// Only cases whose name matches, such as `S06.*.delay.*` (scenario.variant.fault.channel.orders)
    #[arg(long, value_name = "GLOB")]
    pub case: Option<String>,
    /// Replay the orders of a recorded history: CSV or JSON Lines, plain or gzip
    #[arg(long, value_name = "FILE", requires = "columns")]
    pub source: Option<PathBuf>,
    /// Which column of --source is what; `online-retail` is shipped
    #[arg(long, value_name = "MAP.toml", requires = "source")]
    pub columns: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub struct RunArgs {
    #[command(flatten)]
    pub matrix: MatrixArgs,
    /// What every case must hold, such as 'latency.ack.p99 < 250ms', 'orders.failed == 0' or 'peak: requests.failed.share < 1% abort after 30s'
    /// (see `orderstorm list metrics`); may be given again. A case that does not hold it fails, and one that cannot tell is unknown
    #[arg(long, value_name = "THRESHOLD")]
    pub threshold: Vec<String>,
    /// What to run against: `embedded` is the reference orchestrator in virtual time; else the name or the file of a target profile
    #[arg(long, value_name = "NAME", default_value = "embedded")]
    pub target: String,
    /// Let a target on another host be driven; without it only this machine's own addresses are
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Send a span for each exchange with the live target to this collector (OTLP over HTTP), such as http://127.0.0.1:4318
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Switch a bug on in the embedded reference (see `orderstorm list defects`)
    #[arg(long, value_name = "NAME")]
    pub defect: Option<String>,
    /// Cases run at the same time; as many as there are cores where absent. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Folder for the results; a new one under results/ where absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Which histories to keep: all where absent, or with --seeds or --sweep failures; `failures` runs a failing case again from its seed to
    /// record it, but for one in several parts that only together miss a threshold
    #[arg(long, value_enum)]
    pub record: Option<Record>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Run everything twice and name the first difference
    #[arg(long)]
    pub check_determinism: bool,
}

#[derive(Args, Debug, Clone)]
pub struct ServeArgs {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub listen: String,
    /// Folder of the durable journal; in memory only where absent
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Switch a bug on (see `orderstorm list defects`)
    #[arg(long, value_name = "NAME")]
    pub defect: Option<String>,
    /// Business seconds in one second of the wall clock
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub scale: f64,
    /// Work as slowly as the simulated one: workers, service time, a bounded queue; with =KEY=VALUE,.. as --service of `capacity` has them
    #[arg(long, value_name = "KEY=VALUE,..", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub service_model: Option<String>,
    /// Deliveries of one event that may fail before it is put to the dead letters
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub webhook_attempts: u32,
    /// Close a sandbox that nobody spoke to for so long, in real time, as DELETE does: that of a run that was killed, say. The one that was
    /// spoken to last stays; 0s closes none
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub idle: String,
    /// Certificates in PEM of the only authorities that are believed, where partners or events are at https; those of this machine where absent
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Speak the child-process protocol on standard input and output in place of HTTP (docs/adapter.md)
    #[arg(long, conflicts_with = "listen")]
    pub stdio: bool,
}

#[derive(Args, Debug, Clone)]
pub struct CheckTargetArgs {
    /// Name or file of a target profile
    pub profile: String,
    /// Let a target on another host be driven; without it only this machine's own addresses are
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
}

#[derive(Args, Debug, Clone)]
pub struct ProveArgs {
    /// Only the fault sets that expose each defect, five seeds, and some 600 clean runs
    #[arg(long)]
    pub quick: bool,
    /// Only these defects, separated by commas
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub defects: Vec<String>,
    /// Seeds for each defect and fault set; 40 where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub seeds: Option<u32>,
    /// Runs of the correct reference, of 40 orders each; 20000 where absent
    #[arg(long, value_name = "N", value_parser = whole)]
    pub clean: Option<u64>,
    /// First seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole)]
    pub seed: u64,
    /// Runs at the same time; as many as there are cores where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Folder for the results; a new one under results/ where absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Args, Debug, Clone)]
pub struct PlanArgs {
    #[command(flatten)]
    pub matrix: MatrixArgs,
    /// Show the shape of --profile: how bursty it is, what orders are about, what is assumed; and draw it into this folder
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "plots", requires = "profile")]
    pub plot: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Args, Debug, Clone)]
pub struct GenerateArgs {
    /// Load profile by name or path; it must say what orders are about
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: String,
    /// How many orders; as many as the profile says where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub orders: Option<u32>,
    /// Mean rate of --profile, in orders a second (200) or with a unit (12000/min): with a duration it says how many orders there are
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// No order of --profile comes later than this after the first moment, such as 10m; its rate stays what it is where --rate and --orders say
    /// nothing
    #[arg(long, value_name = "DURATION")]
    pub duration: Option<String>,
    /// Seed of all that is drawn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole)]
    pub seed: u64,
    #[arg(long, value_enum, default_value_t = GeneratedFormat::Ndjson)]
    pub format: GeneratedFormat,
    /// File to write; standard output where absent or `-`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// A second file, for the stock feed of the profile
    #[arg(long, value_name = "FILE")]
    pub feeds: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug, Clone)]
pub struct FitArgs {
    /// Order history: CSV or JSON Lines, plain or gzip
    pub history: PathBuf,
    /// Which column is what: a file, or a shipped map such as `online-retail`. Where absent: the shipped
    /// one whose columns are all there
    #[arg(long, value_name = "MAP.toml")]
    pub columns: Option<String>,
    /// File of the profile; none is written where absent
    #[arg(long, value_name = "FILE.toml")]
    pub out: Option<PathBuf>,
    /// Folder for the report, as text and as JSON, and for pictures of history and replicas
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Model of the times; where absent all are compared and the best is taken
    #[arg(long, value_enum, value_name = "MODEL")]
    pub model: Option<FitModel>,
    /// Seed of all that is drawn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole)]
    pub seed: u64,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Write over a profile that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FitModel {
    /// one rate at every moment
    Poisson,
    /// trend, days and slots
    Nhpp,
    /// the same with a drawn factor for each day
    Cox,
}

/// What is put under load, and how it is judged.
#[derive(Args, Debug, Clone)]
pub struct LoadedArgs {
    /// Scenario and variant whose orders are offered
    #[arg(value_name = "SCENARIO", default_value = "S01.base")]
    pub scenario: String,
    /// What to put under load: `embedded` is the reference orchestrator in virtual time; else the name or the file of a target profile
    #[arg(long, value_name = "NAME", default_value = "embedded")]
    pub target: String,
    /// Let a target on another host be driven; without it only this machine's own addresses are
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Which share of the orders must have a yes or a no, counted from when they were due, and how soon
    #[arg(long, value_name = "p99<250ms", default_value = "p99<250ms")]
    pub objective: String,
    /// Model of the embedded target: workers, law (exponential, constant, lognormal), mean or p50 and p95, queue, next (fifo, lifo), expires,
    /// lane (all, commands, keys), network
    #[arg(long, value_name = "KEY=VALUE,..", default_value = "")]
    pub service: String,
    /// What clients do without an answer: timeout, retries, backoff (none, exponential, constant), wait, budget. They wait, and try again for a day,
    /// where absent
    #[arg(long, value_name = "KEY=VALUE,..", default_value = "")]
    pub client: String,
    /// Seed of all that is drawn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole)]
    pub seed: u64,
    /// Folder for the results; a new one under results/ where absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Args, Debug, Clone)]
pub struct CapacityArgs {
    #[command(flatten)]
    pub loaded: LoadedArgs,
    /// Share of the orders that may have no definite answer at all
    #[arg(long, value_name = "SHARE", default_value = "0.1%", value_parser = share)]
    pub errors: f64,
    /// The first rate to try, orders a second
    #[arg(long, value_name = "RATE", default_value_t = 10.0)]
    pub from: f64,
    /// No rate beyond this is tried
    #[arg(long, value_name = "RATE", default_value_t = 20_000.0)]
    pub most: f64,
    /// One search for each skew of the keys, with orders of one line: exponents of Zipf's law, of which 0 asks for all alike, or `one` for a single key
    #[arg(long, value_name = "S,..", value_delimiter = ',', conflicts_with = "scenario")]
    pub skew: Vec<String>,
    /// With --skew: how many goods there are
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "skew", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub keys: u32,
}

#[derive(Args, Debug, Clone)]
pub struct ProbeArgs {
    #[command(flatten)]
    pub loaded: LoadedArgs,
    /// Orders a second while nothing is wrong
    #[arg(long, value_name = "RATE,..", value_delimiter = ',', default_value = "100")]
    pub rate: Vec<f64>,
    /// What goes wrong for a while
    #[arg(long, value_enum, default_value_t = Trigger::Spike)]
    pub trigger: Trigger,
    /// How long it goes wrong
    #[arg(long, value_name = "TIME,..", value_delimiter = ',', default_value = "2s,10s,30s")]
    pub lasts: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Trigger {
    /// three times the rate is offered
    Spike,
    /// a tenth of the capacity is left (embedded target only)
    Brownout,
    /// the target stands still (a live one: where its profile says how)
    Pause,
    /// no request reaches it, and nobody is told
    Blackhole,
    /// payment, screening, warehouses and all other partners answer 503
    Partners,
}

#[derive(Args, Debug, Clone)]
pub struct CheckArgs {
    /// History file (.jsonl or .jsonl.gz)
    pub history: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Args, Debug, Clone)]
pub struct ReportArgs {
    /// Folder of a run, such as results/latest
    pub run: PathBuf,
}

#[derive(Args, Debug, Clone)]
pub struct ExplainArgs {
    /// Folder of a run, or one history file
    pub run: PathBuf,
    /// Order number, such as O3
    pub order: String,
    /// Which case, where several have that order; the first failing one where absent
    #[arg(long, value_name = "GLOB")]
    pub case: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub struct ExportArgs {
    /// History file (.jsonl or .jsonl.gz)
    pub history: PathBuf,
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// File to write; standard output where absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The time of the history's zero, in RFC 3339; where absent 2000-01-01T10:00:00Z, for every run begins at ten
    #[arg(long, value_name = "TIME")]
    pub epoch: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub struct ShrinkArgs {
    /// Folder of a run, such as results/latest
    pub run: PathBuf,
    /// Name of a case that failed, or a pattern: the first failing case that matches
    #[arg(value_name = "CASE")]
    pub case: String,
    /// File to write; must not be there yet. CASE.shrunk.toml in the folder of the run where absent, written anew each time
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Runs that it may take; half as many without progress end it too
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub budget: u32,
}

#[derive(Args, Debug, Clone)]
pub struct ListArgs {
    #[arg(value_enum)]
    pub what: Listed,
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Args, Debug, Clone)]
pub struct SchemaArgs {
    /// Which format; the list of them where absent
    pub name: Option<String>,
    /// All of them, into --out
    #[arg(long, requires = "out")]
    pub all: bool,
    /// With --all: folder to write them into
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug, Clone)]
pub struct InitArgs {
    /// Folder to write to; must not hold any of these files yet
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Write one file instead: profiles/target/NAME.toml, a commented profile of a target that speaks an API of its own
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug, Clone)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sweep {
    SingleFault,
    Crash,
}

impl Sweep {
    pub fn name(self) -> &'static str {
        match self {
            Sweep::SingleFault => "single-fault",
            Sweep::Crash => "crash",
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    Off,
    /// what cannot go on
    Error,
    /// what was given up or could not be read
    Warn,
    /// cases, sandboxes and processes that begin and end
    Info,
    /// each message, answer and retry
    Debug,
    /// connections and clocks
    Trace,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Human,
    /// an object a line
    Json,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    All,
    Failures,
    None,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Human,
    Json,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum GeneratedFormat {
    /// an order a line, as a JSON object
    Ndjson,
    /// a row for each line of an order
    Csv,
    /// the same with types, as Apache Parquet; where the program was built with the feature `parquet`
    Parquet,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportFormat {
    Ocel2,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listed {
    Scenarios,
    Faults,
    Profiles,
    Invariants,
    Defects,
    /// what a threshold can be about
    Metrics,
}

/// Reads the command line of this process; ends it where that is wrong.
pub fn read() -> Cli {
    Cli::parse_from(joined(std::env::args_os()))
}

/// No option is named after a number, so one below zero that follows an option is its value: joined by `=`, it is refused for what it is,
/// and not taken for an option that nobody knows.
fn joined(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let below_zero = |word: &OsString| {
        let digits = word.to_str().and_then(|text| text.strip_prefix('-'));
        digits.is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    };
    let is_option = |word: &OsString| word.to_str().is_some_and(|text| text.len() > 2 && text.starts_with("--") && !text.contains('='));
    let mut all: Vec<OsString> = Vec::new();
    for word in words {
        let free = all.iter().any(|word| word == "--");
        match all.last_mut() {
            Some(option) if !free && is_option(option) && below_zero(&word) => {
                option.push("=");
                option.push(word);
            }
            _ => all.push(word),
        }
    }
    all
}

/// `0.001`, or `0.1%`.
fn share(text: &str) -> Result<f64, String> {
    let (number, of) = text.trim().strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    number.trim().parse::<f64>().map(|number| number / of).map_err(|_| "it is no share: write it as 0.001 or 0.1%".into())
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// The arguments of a stored `orderstorm run ..`, as its manifest writes them: words, quoted where they need it.
pub fn stored_run(command: &str) -> Option<RunArgs> {
    let mut words: Vec<String> = Vec::new();
    let mut within = false;
    let (mut quoted, mut escaped) = (false, false);
    for c in command.chars() {
        match c {
            _ if escaped => escaped = false,
            '\'' => {
                quoted = !quoted;
                if !within {
                    words.push(String::new());
                    within = true;
                }
                continue;
            }
            '\\' if !quoted => {
                escaped = true;
                continue;
            }
            ' ' if !quoted => {
                within = false;
                continue;
            }
            _ => {}
        }
        if !within {
            words.push(String::new());
            within = true;
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    match Cli::try_parse_from(words).ok()?.command {
        Command::Run(args) => Some(args),
        _ => None,
    }
}

/// Writes the completion script for a shell.
pub fn completions(shell: clap_complete::Shell, to: &mut dyn std::io::Write) {
    use clap::CommandFactory;
    clap_complete::generate(shell, &mut Cli::command(), "orderstorm", &mut &mut *to);
}
