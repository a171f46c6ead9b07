//! `mote remove NAME`: a function, its versions, its bindings and its artifact are gone.

use clap::Args;
use reqwest::Method;
use serde_json::json;

use crate::cli::{Common, Namespace};
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote remove formula
  mote remove formula --namespace shop";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Remove {
    /// The function
    name: String,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Remove {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let namespace = &self.namespace.namespace;
        let request = client.request(Method::DELETE, &["functions", &self.name]).query(&[("namespace", namespace)]);
        if let Err(failure) = client.send(request).await {
            return Err(client.advise(failure, namespace, &self.name).await);
        }
        if self.common.output.json {
            output::json(&json!({ "name": self.name, "removed": true }));
        } else {
            output::line_out(&format!("{} is removed", self.name));
        }
        Ok(Exit::Done)
    }
}
