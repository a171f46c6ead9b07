//! `mote rollback NAME`: the version before, or a named one, is live again.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote rollback formula
  mote rollback formula --version 3";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Rollback {
    /// The function
    name: String,
    /// The version to make live [default: the one that was live before]
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Rollback {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let namespace = &self.namespace.namespace;
        let request = client.request(Method::POST, &["functions", &self.name, "point"]).query(&[("namespace", namespace)]);
        let described = match client.json(request.json(&json!({ "version": self.version }))).await {
            Ok(described) => described,
            Err(failure) => return Err(client.advise(failure, namespace, &self.name).await),
        };
        let live = described.get("function").unwrap_or(&described).get("version").and_then(Value::as_u64).unwrap_or_default();
        if self.common.output.json {
            output::json(&json!({ "name": self.name, "version": live }));
        } else {
            output::line_out(&format!("version {live} of {} is live", self.name));
        }
        Ok(Exit::Done)
    }
}
