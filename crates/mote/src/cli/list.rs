//! `mote list`: the functions of a namespace.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote list
  mote list --namespace shop --json | jq -r '.functions[].name'";

/// Functions asked for at a time.
const PAGE: usize = 500;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl List {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let (namespace, limit) = (self.namespace.namespace.as_str(), PAGE.to_string());
        let mut all: Vec<Value> = Vec::new();
        loop {
            let last = all.last().and_then(|function| function.get("name")?.as_str()).map(str::to_owned);
            let mut request = client.request(Method::GET, &["functions"]).query(&[("namespace", namespace), ("limit", &limit)]);
            if let Some(last) = last {
                request = request.query(&[("after", last)]);
            }
            let mut page = client.json(request).await?;
            let Some(page) = page.get_mut("functions").and_then(Value::as_array_mut) else { break };
            let whole = page.len() >= PAGE;
            all.append(page);
            if !whole {
                break;
            }
        }
        if self.common.output.json {
            output::json(&json!({ "functions": all }));
        } else if all.is_empty() {
            eprintln!("no functions in the namespace {namespace}");
            eprintln!("{} `mote deploy PATH` makes one.", output::bold("hint:"));
        } else {
            let rows: Vec<_> = all.iter().map(row).collect();
            output::table(&["NAME", "VERSION", "RUNTIME", "FIRED BY"], &rows);
        }
        Ok(Exit::Done)
    }
}

fn row(function: &Value) -> Vec<String> {
    let text = |key: &str| function.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = function.get("version").and_then(Value::as_u64).unwrap_or_default().to_string();
    vec![text("name"), version, runtime(function), fired_by(function).join(", ")]
}

/// What runs it, and for a server where it listens.
pub(super) fn runtime(function: &Value) -> String {
    let runtime = function.get("runtime").and_then(Value::as_str).unwrap_or_default();
    match function.get("port").and_then(Value::as_u64) {
        Some(port) => format!("{runtime}, server on port {port}"),
        None => runtime.to_owned(),
    }
}

/// What calls it: its URL, its routes, its buckets, its timers.
pub(super) fn fired_by(function: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let namespace = Some(text(function, "namespace")).filter(|namespace| !namespace.is_empty() && namespace != "default");
    let url = function.get("http").and_then(|http| http.get("url")).and_then(Value::as_bool).unwrap_or(true);
    let url =
        url.then(|| format!("{}/{}", namespace.map(|namespace| format!("/@{namespace}")).unwrap_or_default(), text(function, "name")));
    url.into_iter().chain(bound_to(function)).collect()
}

/// Its routes, its buckets and its timers.
pub(super) fn bound_to(function: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let bindings = function.get("bindings").and_then(Value::as_array).into_iter().flatten();
    let bound = bindings.map(|binding| match text(binding, "on").as_str() {
        "http" => text(binding, "path"),
        "bucket" => format!("bucket {}", text(binding, "bucket")),
        "timer" => text(binding, "schedule"),
        "mqtt" => format!("mqtt {}", text(binding, "filter")),
        other => other.to_owned(),
    });
    bound.collect()
}
