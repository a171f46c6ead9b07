//! `mote show NAME`: one function, whole.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::cli::list::fired_by;
use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote show formula
  mote show formula --json | jq .versions";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The function
    name: String,
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
