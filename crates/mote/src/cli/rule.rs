//! `mote rule …`: what happens on a topic or by the clock, and who is told; made over the aws door.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::calls::text;
use crate::cli::topic::{destination, listed};
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote rule list
  mote rule show nightly --group schedules.default
  mote rule remove paid --group bus.default

Clients of EventBridge and of its Scheduler make them: `aws events put-rule`, `aws scheduler create-schedule`.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Rule {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the rules of a namespace
    #[command(after_help = "Example:\n  mote rule list --group schedules.default --json | jq -r .name")]
    List(List),
    /// Show a rule with all that is said of it, as JSON
    #[command(after_help = "Example:\n  mote rule show nightly --group schedules.default | jq .targets")]
    Show(One),
    /// Take a rule away, with its targets
    #[command(after_help = "Example:\n  mote rule remove paid --group bus.default")]
    Remove(One),
}

#[derive(Debug, Args)]
struct List {
    /// Those of one group: `bus.NAME`, `schedules.NAME`
    #[arg(long)]
    group: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct One {
    /// The rule
    name: String,
    /// Its group: `bus.NAME`, `schedules.NAME`
    #[arg(long, default_value = "bus.default")]
    group: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl Rule {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::List(it) => it.common.output.json,
            Verb::Show(it) | Verb::Remove(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List(it) => list(it).await,
            Verb::Show(it) => show(it).await,
            Verb::Remove(it) => remove(it).await,
        }
    }
}

async fn list(it: &List) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let group = it.group.iter().map(|group| ("group", group));
    let request = client.request(Method::GET, &["rules"]).query(&[("namespace", &it.namespace.namespace)]);
    let found = client.json(request.query(&group.collect::<Vec<_>>())).await?;
    let row = |rule: &Value| {
        let targets = rule.get("targets").and_then(Value::as_array).into_iter().flatten();
        let targets: Vec<_> = targets.map(|target| destination(target.get("to").unwrap_or(&Value::Null))).collect();
        let state = if rule.get("enabled") == Some(&Value::Bool(true)) { "enabled" } else { "disabled" };
        vec![text(rule, "name"), text(rule, "group"), when(rule), state.to_owned(), targets.join(", ")]
    };
    listed(&found, "rules", "there are no rules", &["NAME", "GROUP", "WHEN", "STATE", "TELLS"], row, it.common.output.json)
}

/// A topic, a schedule or both; a group's own record has neither.
fn when(rule: &Value) -> String {
    let topic = rule.get("on").map(|on| format!("topic {}", text(on, "topic")));
    let parts: Vec<_> = topic.into_iter().chain(rule.get("timer").map(|timer| text(timer, "schedule"))).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

async fn show(it: &One) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let request = client.request(Method::GET, &["rules", &it.group, &it.name]).query(&[("namespace", &it.namespace.namespace)]);
    let found = client.json(request).await?;
    output::json(found.get("rule").unwrap_or(&Value::Null));
    Ok(Exit::Done)
}

async fn remove(it: &One) -> Result<Exit, Failure> {
    let client = it.common.server.connect()?;
    let request = client.request(Method::DELETE, &["rules", &it.group, &it.name]);
    client.send(request.query(&[("namespace", &it.namespace.namespace)])).await?;
    if it.common.output.json {
        output::json(&json!({ "group": it.group, "removed": it.name }));
    } else {
        output::line_out(&format!("{} of {} is removed", it.name, it.group));
    }
    Ok(Exit::Done)
}
