//! `cargo xtask bench`: mote beside its peers, in one run, as ratios.
//!
//! Machines drift, so an absolute figure is shown but never judged: what counts is the ratio to a
//! peer measured in the same round, its median over the rounds and its spread. When another
//! program used the machine meanwhile, figures are printed and no verdict is.

mod aws;
mod burst;
mod cold;
mod durable;
mod figures;
mod idle;
mod peers;
mod pin;
mod plain;
mod quiet;
mod spawn;
mod upload;

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value};

use crate::Result;
use crate::places;
use quiet::Watch;

/// Name, what it measures, how.
type Benchmark = (&'static str, &'static str, fn(&Options, &Path) -> Result<Value>);

const BENCHMARKS: &[Benchmark] = &[
    ("plain", "the formula, warm, beside its peers", plain::run),
    ("cold", "from no instance to the first answer", cold::run),
    ("idle", "start-up, memory at rest, size of the binary", idle::run),
    ("durable", "events accepted, run and settled on disk, beside message brokers", durable::run),
    ("aws", "Lambda's Invoke, cold and warm, beside others on one's own machine", aws::run),
    ("upload", "from a PUT's answer to the start of its function", upload::run),
];

/// Share of one core that others may take before a verdict means nothing.
const ELSEWHERE_MAX: f64 = 0.10;

#[derive(Args)]
pub(crate) struct Options {
    /// Which benchmarks: plain, cold, idle, durable, aws, upload (all, if none is named)
    names: Vec<String>,
    /// Rounds, each of which measures every peer once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(unknown) = options.names.iter().find(|name| !BENCHMARKS.iter().any(|(known, ..)| known == name)) {
        let known: Vec<&str> = BENCHMARKS.iter().map(|(name, ..)| *name).collect();
        return Err(format!("there is no benchmark {unknown:?}; there are {}", known.join(", ")).into());
    }
    let binary = places::mote()?;
    let mut all = Map::new();
    for (name, what, measure) in BENCHMARKS.iter().filter(|(name, ..)| options.names.is_empty() || options.names.iter().any(|n| n == name))
    {
        options.say(&format!("\n{name}: {what}"));
        let watch = Watch::start()?;
        let mut result = measure(options, &binary)?;
        let elsewhere = watch.elsewhere()?;
        result["elsewhere"] = elsewhere.into();
        let verdict = judge(&result, elsewhere);
        options.say(&verdict);
        all.insert((*name).to_owned(), result);
    }
    if options.json {
        println!("{}", Value::Object(all));
    }
    Ok(())
}

impl Options {
    fn say(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }
}

/// The goals that a benchmark put into its result under `goals`, with what was found.
fn judge(result: &Value, elsewhere: f64) -> String {
    let goals = result["goals"].as_array().map(Vec::as_slice).unwrap_or_default();
    if goals.is_empty() {
        return format!("other programs took {:.0} % of a core", elsewhere * 100.0);
    }
    if elsewhere > ELSEWHERE_MAX {
        return format!("no verdict: other programs took {:.0} % of a core (at most {:.0} %)", elsewhere * 100.0, ELSEWHERE_MAX * 100.0);
    }
    let line = |goal: &Value| {
        let mark = if goal["met"] == true { '✓' } else { '✗' };
        format!(
            "{mark} {}: {:.2} (goal {} {})",
            goal["what"].as_str().unwrap_or_default(),
            goal["found"].as_f64().unwrap_or_default(),
            goal["sign"].as_str().unwrap_or_default(),
            goal["goal"]
        )
    };
    goals.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `found` is at most `limit`.
fn at_most(what: &str, found: f64, limit: f64) -> Value {
    serde_json::json!({ "what": what, "found": found, "sign": "≤", "goal": limit, "met": found <= limit })
}

/// `found` is at least `limit`.
fn at_least(what: &str, found: f64, limit: f64) -> Value {
    serde_json::json!({ "what": what, "found": found, "sign": "≥", "goal": limit, "met": found >= limit })
}
