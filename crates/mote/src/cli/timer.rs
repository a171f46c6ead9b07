//! `mote timer list`: the timers of a namespace, their last run and the next ones.

use clap::{Args, Subcommand};
use mote_core::clock::Timestamp;
use mote_core::schedule::Zone;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::calls::text;
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote timer list
  mote timer list --next 5
  mote timer list --namespace shop --json | jq -r '.timers[] | select(.enabled) | .name'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Timer {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the timers of all functions
    #[command(after_help = EXAMPLES)]
    List(List),
}

#[derive(Debug, Args)]
struct List {
    /// So many of the next runs, 100 at most
    #[arg(long, value_name = "N", default_value_t = 1)]
    next: usize,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Timer {
    pub(super) fn json(&self) -> bool {
        let Verb::List(it) = &self.verb;
        it.common.output.json
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let Verb::List(it) = self.verb;
        it.run().await
    }
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let (namespace, next) = (self.namespace.namespace.as_str(), self.next.to_string());
        let found = client.json(client.request(Method::GET, &["timers"]).query(&[("namespace", namespace), ("next", &next)])).await?;
        let timers = found.get("timers").and_then(Value::as_array).cloned().unwrap_or_default();
        if self.common.output.json {
            output::json(&json!({ "timers": timers }));
        } else if timers.is_empty() {
            eprintln!("no timers in the namespace {namespace}");
            eprintln!("{} a [[timer]] table in mote.toml makes one.", output::bold("hint:"));
        } else {
            let rows: Vec<_> = timers.iter().flat_map(rows).collect();
            output::table(&["NAME", "FUNCTION", "SCHEDULE", "ZONE", "LAST", "NEXT"], &rows);
        }
        Ok(Exit::Done)
    }
}

/// A line for the timer, and one for each further run.
fn rows(timer: &Value) -> Vec<Vec<String>> {
    // On the clocks of its own zone, which the rule means too.
    let zone: Zone = text(timer, "zone").parse().unwrap_or_default();
    let time = |value: &Value| value.as_u64().map(|ms| zone.show(Timestamp(ms)));
    let last = timer.get("last").and_then(time).unwrap_or_else(|| "-".to_owned());
    let mut next = timer.get("next").and_then(Value::as_array).into_iter().flatten().filter_map(time);
    let is_enabled = timer.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    let first = next.next().unwrap_or_else(|| if is_enabled { "never again" } else { "disabled" }.to_owned());
    let whole = vec![text(timer, "name"), text(timer, "function"), text(timer, "schedule"), text(timer, "zone"), last, first];
    let further = next.map(|run| [vec![String::new(); 5], vec![run]].concat());
    [whole].into_iter().chain(further).collect()
}
