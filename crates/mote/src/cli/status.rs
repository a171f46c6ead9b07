//! `mote status`: whether the server is well, and what is inside.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::cli::Common;
use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote status
  mote status --json | jq .queued";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) common: Common,
}

impl Status {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.common.server.connect()?;
        let status = client.json(client.request(Method::GET, &["status"])).await?;
        if self.common.output.json {
            output::json(&status);
        } else {
            let value = |key: &str| match status.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => String::new(),
            };
            output::pairs(&[
                ("version", value("version")),
                ("functions", value("functions")),
                ("queued", value("queued")),
                ("records dropped", value("records_dropped")),
                ("control", client.base().to_owned()),
                ("public", value("public")),
            ]);
        }
        Ok(Exit::Done)
    }
}
