//! `mote flow …`: the flows of a namespace, and a run of one of them, step by step.

use std::time::Duration;

use clap::{Args, Subcommand};
use mote_core::clock::Timestamp;
use mote_core::flow::Flow;
use mote_core::flow::trace::{At, Doing, Entry, StepState, Trace};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::calls::text;
use crate::cli::list::fired_by;
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote flow list
  ID=$(mote invoke photo --async --data @order.json)
  mote flow show $ID
  mote flow show $ID --json | jq .flow.steps";

const PAGE: &str = "1000";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct FlowCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the flows, with their steps
    #[command(after_help = "Example:\n  mote flow list --namespace shop --json")]
    List(List),
    /// Tell how a run stands: its steps, when each began and ended, and how
    #[command(after_help = "Example:\n  mote flow show 0193f1f0-5a6b-7c3d-8e9f-000102030405")]
    Show(Show),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Show {
    /// The run's id: that of the call that began it
    id: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    common: Common,
}

impl FlowCommand {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            Verb::List(it) => it.common.output.json,
            Verb::Show(it) => it.common.output.json,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List(it) => it.run().await,
            Verb::Show(it) => it.run().await,
        }
    }
}

impl List {
    async fn run(&self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let namespace = self.namespace.namespace.as_str();
        let (mut flows, mut after): (Vec<Value>, Option<String>) = (Vec::new(), None);
        loop {
            let mut request = client.request(Method::GET, &["functions"]).query(&[("namespace", namespace), ("limit", PAGE)]);
            if let Some(after) = &after {
                request = request.query(&[("after", after)]);
            }
            let page = client.json(request).await?;
            let Some(page) = page.get("functions").and_then(Value::as_array).filter(|page| !page.is_empty()) else { break };
            after = page.last().map(|function| text(function, "name"));
            flows.extend(page.iter().filter(|function| function.get("flow").is_some()).cloned());
        }
        if self.common.output.json {
            output::json(&json!({ "flows": flows }));
        } else if flows.is_empty() {
            eprintln!("no flows in the namespace {namespace}");
        } else {
            let row = |function: &Value| {
                let version = function.get("version").and_then(Value::as_u64).unwrap_or_default().to_string();
                vec![text(function, "name"), version, fired_by(function).join(", "), summary(function)]
            };
            output::table(&["NAME", "VERSION", "FIRED BY", "STEPS"], &flows.iter().map(row).collect::<Vec<_>>());
        }
        Ok(Exit::Done)
    }
}

fn summary(function: &Value) -> String {
    definition(function).map(|flow| flow.summary()).unwrap_or_default()
}

/// A later server may know steps that this command does not.
pub(super) fn definition(function: &Value) -> Option<Flow> {
    serde_json::from_value(function.get("flow")?.clone()).ok()
}

impl Show {
    async fn run(&self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let query = [("namespace", self.namespace.namespace.as_str())];
        let status = client.json(client.request(Method::GET, &["calls", &self.id]).query(&query)).await?;
        if self.common.output.json {
            output::json(&status);
            return Ok(Exit::Done);
        }
        let time = |key: &str| status.get(key).and_then(Value::as_u64).map(|ms| Timestamp(ms).rfc3339()).unwrap_or_default();
        let error = status.get("error").map(|error| format!("{}: {}", text(error, "code"), text(error, "message")));
        output::pairs(&[
            ("flow", status.get("function").map(|function| text(function, "name")).unwrap_or_default()),
            ("state", text(&status, "state")),
            ("accepted", time("accepted")),
            ("ended", time("ended")),
            ("error", error.unwrap_or_default()),
        ]);
        let Some(trace) = status.get("flow").and_then(|trace| serde_json::from_value::<Trace>(trace.clone()).ok()) else {
            eprintln!("no step has ended yet");
            return Ok(Exit::Done);
        };
        let over = text(&status, "state") != "running";
        let rows: Vec<_> = trace.steps.iter().map(row).chain(trace.at.iter().map(|at| current(at, over))).collect();
        output::line_out("");
        output::table(&["STEP", "STATE", "BEGAN", "TOOK", "ATTEMPTS", "WHAT CAME OF IT"], &rows);
        Ok(Exit::Done)
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let state = match entry.state {
        StepState::Succeeded => "succeeded",
        StepState::Failed => "failed",
    };
    let children = (entry.children > 0).then(|| format!("{} children", entry.children));
    let error = entry.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    let attempts = if entry.attempts > 0 { entry.attempts.to_string() } else { String::new() };
    let took = output::duration(Duration::from_millis(entry.ended.0.saturating_sub(entry.started.0)));
    let came = error.or(children).unwrap_or_default();
    vec![entry.step.clone(), state.to_owned(), entry.started.rfc3339(), took, attempts, came]
}

fn current(at: &At, over: bool) -> Vec<String> {
    let (state, came) = match &at.doing {
        _ if over => ("stopped", String::new()),
        Doing::Running => ("running", String::new()),
        Doing::Waiting { until } => ("waiting", format!("until {}", until.rfc3339())),
        Doing::Children { total, over, .. } => ("running", format!("{over} of {total} children are over")),
    };
    vec![at.step.clone(), state.to_owned(), at.since.rfc3339(), String::new(), String::new(), came]
}
