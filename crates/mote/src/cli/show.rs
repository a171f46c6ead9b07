//! `mote show NAME`: one function, whole.

use std::time::Duration;

use clap::Args;
use mote_core::egress::Egress;
use mote_core::function::delivery::Delivery;
use mote_core::function::{HttpAccess, Isolation, Limits, Recorded};
use reqwest::Method;
use serde_json::Value;

use crate::cli::flow::definition;
use crate::cli::list::fired_by;
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote show formula
  mote show formula --all
  mote show formula --json | jq .versions";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The function
    name: String,
    /// Every limit, not only those that differ from the defaults
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Show {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let namespace = &self.namespace.namespace;
        let request = client.request(Method::GET, &["functions", &self.name]).query(&[("namespace", namespace)]);
        let described = match client.json(request).await {
            Ok(described) => described,
            Err(failure) => return Err(client.advise(failure, namespace, &self.name).await),
        };
        if self.common.output.json {
            output::json(&described);
        } else {
            let path = described.get("url_path").and_then(Value::as_str);
            let public = client.public().await.unwrap_or_default();
            print(&described, path.map(|path| format!("{public}{path}")));
            limits(described.get("function").unwrap_or(&described), self.all);
        }
        Ok(Exit::Done)
    }
}

fn print(described: &Value, url: Option<String>) {
    let function = described.get("function").unwrap_or(described);
    let text = |key: &str| function.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let limit = |key: &str| function.get("limits").and_then(|limits| limits.get(key)).and_then(Value::as_u64).unwrap_or_default();
    let live = function.get("version").and_then(Value::as_u64).unwrap_or_default();
    let versions = described.get("versions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64);
    let versions = versions.map(|version| if version == live { format!("{version} (live)") } else { version.to_string() });
    let instances = format!("{} to {}, {} each", limit("instances_min"), limit("instances_max"), calls(limit("concurrency")));
    output::pairs(&[
        ("name", text("name")),
        ("namespace", text("namespace")),
        ("url", url.unwrap_or_default()),
        ("fired by", fired_by(function).join(", ")),
        ("versions", versions.collect::<Vec<_>>().join(", ")),
        ("runtime", super::list::runtime(function)),
        ("entry", text("entry")),
        ("parameters", parameters(function)),
        ("about", function.get("signature").and_then(|it| it.get("doc")?.as_str()).unwrap_or_default().replace('\n', " ")),
        ("timeout", output::duration(Duration::from_millis(limit("timeout_ms")))),
        ("memory", output::bytes(limit("memory_bytes"))),
        ("body", output::bytes(limit("body_bytes"))),
        ("instances", instances),
        (
            "environment",
            function
                .get("env")
                .and_then(Value::as_object)
                .map(|env| env.keys().cloned().collect::<Vec<_>>().join(", "))
                .unwrap_or_default(),
        ),
        ("artifact", text("artifact")),
    ]);
    if let Some(flow) = definition(function) {
        output::line_out("");
        flow.picture().iter().for_each(|line| output::line_out(line));
    }
}

/// Beside those that every function shows: what differs from the default, or all.
fn limits(function: &Value, all: bool) {
    const SHOWN: [&str; 6] = ["timeout_ms", "memory_bytes", "body_bytes", "instances_min", "instances_max", "concurrency"];
    let defaults = [
        ("limits", serde_json::to_value(Limits::default())),
        ("delivery", serde_json::to_value(Delivery::default())),
        ("http", serde_json::to_value(HttpAccess::default())),
        ("records", serde_json::to_value(Recorded::default())),
        ("isolation", serde_json::to_value(Isolation::default())),
        ("egress", serde_json::to_value(Egress::default())),
    ];
    let mut rows = Vec::new();
    for (key, default) in defaults {
        let (set, default) = (function.get(key).cloned().unwrap_or_default(), default.unwrap_or_default());
        each("", key, &set, &default, &mut |path, set, default| {
            if (all || set != default) && !SHOWN.contains(&path) {
                rows.push((path.to_owned(), worded(path, set)));
            }
        });
    }
    let rows: Vec<(&str, String)> = rows.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    output::pairs(&rows);
}

/// Every value that is no object, with its default; `limits.cpu_millis` is called `cpu_millis`.
fn each(above: &str, key: &str, set: &Value, default: &Value, tell: &mut dyn FnMut(&str, &Value, &Value)) {
    let path = if above.is_empty() || above == "limits" { key.to_owned() } else { format!("{above}.{key}") };
    match set {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| each(&path, name, value, default.get(name).unwrap_or(&Value::Null), tell));
        }
        value => tell(&path, value, default),
    }
}

/// By the unit that ends its name.
fn worded(path: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if path.ends_with("_ms") => output::duration(Duration::from_millis(number.as_u64().unwrap_or_default())),
        Value::Number(number) if path.ends_with("_bytes") => output::bytes(number.as_u64().unwrap_or_default()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn calls(count: u64) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

/// `a: number, b: number = 2 → number`.
fn parameters(function: &Value) -> String {
    let Some(signature) = function.get("signature") else { return String::new() };
    let parameters = signature.get("parameters").and_then(Value::as_array).into_iter().flatten().map(|parameter| {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let kind = text("type").map(|kind| format!(": {kind}")).unwrap_or_default();
        let default = parameter.get("default").filter(|value| !value.is_null()).map(|value| format!(" = {value}")).unwrap_or_default();
        format!("{}{kind}{default}", text("name").unwrap_or("?"))
    });
    let returns = signature.get("returns").and_then(Value::as_str).filter(|text| !text.is_empty());
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    format!("{parameters}{}", returns.map(|returns| format!(" → {returns}")).unwrap_or_default())
}
